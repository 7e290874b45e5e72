//! Who is let into the cache: keys that come again.
//!
//! A flood of keys that come once each would push the cache out of the processor's and find nothing there. So it is
//! observed whether the keys that the cache doesn't know come again: of one in [`SAMPLED`] it is noted that it came,
//! in an array that remembers as many as came among about a million. As long as they do, or until they would have had
//! to, every key is let in at its first sight. If next to none does, only those are that come again soon; and the
//! cache grows only while many do.
//!
//! Notes are a byte each of a keyed hash. One that is wrong, or was written over, lets a key in early or late.

/// Notes of each array: as many as there are values of 16 bits.
const NOTES: usize = 1 << 16;
/// One key in so many is observed.
const SAMPLED: u64 = 16;
/// Observed keys after which it is said how many had come before.
const WINDOW: u32 = 1024;
/// One key in more than so many that comes again is next to none; so many are needed to open the door again.
const FEW: u32 = 16;
const MANY: u32 = 8;
/// Windows in a row after which next to none is believed: a million flows drawn at random have met themselves by then.
const PATIENCE: u32 = 16;

/// Which keys came lately.
pub(super) struct Newcomers {
    /// Of all keys that weren't let in at their first sight.
    all: Box<[u8; NOTES]>,
    /// Of those observed.
    sample: Box<[u8; NOTES]>,
    observed: u32,
    again: u32,
    /// Windows in which next to none came again.
    poor: u32,
    come_again: bool,
}

impl Newcomers {
    pub(super) fn new() -> Self {
        Self { all: zeroes(), sample: zeroes(), observed: 0, again: 0, poor: 0, come_again: true }
    }

    /// Whether the key with this hash, which the cache doesn't know, is let in.
    #[inline]
    pub(super) fn admits(&mut self, hash: u64) -> bool {
        if hash >> 28 & (SAMPLED - 1) == 0 {
            self.observe(hash);
        }
        !self.is_strict() || noted(&mut self.all, hash)
    }

    /// Whether a first sight isn't enough.
    #[inline]
    pub(super) const fn is_strict(&self) -> bool {
        self.poor >= PATIENCE
    }

    /// Whether many of the keys that the cache doesn't know come again, so that it may be too small, or next to none do.
    #[inline]
    pub(super) const fn come_again(&self) -> Option<bool> {
        if self.come_again {
            Some(true)
        } else if self.is_strict() {
            Some(false)
        } else {
            None
        }
    }

    fn observe(&mut self, hash: u64) {
        self.again += u32::from(noted(&mut self.sample, hash));
        self.observed += 1;
        if self.observed == WINDOW {
            let least = if self.is_strict() { MANY } else { FEW };
            self.come_again = self.again >= WINDOW / least;
            self.poor = if self.come_again { 0 } else { (self.poor + 1).min(PATIENCE) };
            (self.observed, self.again) = (0, 0);
        }
    }
}

fn zeroes() -> Box<[u8; NOTES]> {
    vec![0; NOTES].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; NOTES]))
}

/// Notes a key; whether it was noted before.
#[inline]
fn noted(notes: &mut [u8; NOTES], hash: u64) -> bool {
    let (place, note) = (&mut notes[usize::from((hash >> 48) as u16)], (hash >> 40) as u8);
    std::mem::replace(place, note) == note
}

impl std::fmt::Debug for Newcomers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Newcomers")
            .field("poor", &self.poor)
            .field("come_again", &self.come_again)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random: a hash of what is counted.
    fn hash(mut x: u64) -> u64 {
        for k in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
            x = (x ^ x >> 33).wrapping_mul(k);
        }
        x ^ x >> 33
    }

    fn admitted(n: &mut Newcomers, keys: impl Iterator<Item = u64>) -> usize {
        keys.filter(|k| n.admits(hash(*k))).count()
    }

    #[test]
    fn only_what_comes_again_is_let_in_while_hardly_anything_does() {
        let mut n = Newcomers::new();
        // As far as it is known, all may come again.
        assert_eq!(admitted(&mut n, 0..100_000), 100_000);
        assert_eq!(n.come_again(), None);
        admitted(&mut n, 100_000..400_000);
        assert_eq!(n.come_again(), Some(false));
        let flood = admitted(&mut n, 400_000..500_000);
        assert!(flood < 1000, "{flood}");
        // One in sixteen comes again soon.
        let again = |i: u64| 1 << 32 | if i % 16 == 15 { i - 100 } else { i };
        let some = admitted(&mut n, (1000..161_000).map(again));
        assert!(some > 9900 && some < 11_000, "{some}");
        // When the flood is over.
        admitted(&mut n, (0..200_000).map(|i| (1 << 40) | (i % 30_000)));
        assert_eq!(n.come_again(), Some(true));
    }

    #[test]
    fn many_flows_are_no_flood() {
        let mut n = Newcomers::new();
        for i in 0..3_000_000u64 {
            assert!(n.admits(hash((1 << 33) | (hash(i) % 1_000_000))), "{i}");
        }
        assert_eq!(n.come_again(), Some(true));
    }
}
