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
const WINDOW: u32 = 2048;
/// One key in so many that comes again makes a larger cache worth while; one in so few is next to none.
const MANY: u32 = 8;
const FEW: u32 = 16;
/// Windows in a row after which next to none is believed: a million flows drawn at random have met themselves by then.
const PATIENCE: u32 = 8;

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

    /// Whether many of the keys that the cache doesn't know come again, so that it may be too small.
    #[inline]
    pub(super) const fn come_again(&self) -> bool {
        self.come_again
    }

    fn observe(&mut self, hash: u64) {
        self.again += u32::from(noted(&mut self.sample, hash));
        self.observed += 1;
        if self.observed == WINDOW {
            self.come_again = self.again >= WINDOW / MANY;
            // Those who are let in don't show again: many speak for an open door, few don't speak for a closed one.
            if self.come_again {
                self.poor = 0;
            } else if self.again < WINDOW / FEW {
                self.poor = (self.poor + 1).min(PATIENCE);
            } else if !self.is_strict() {
                self.poor = 0;
            }
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
