//! Which hashes a tuple may hold, a bit each, looked at before its slots: most of what no rule is for isn't looked for any
//! further.
//!
//! A hash whose bit isn't set stands under no tuple. Bits are set before the version that shows an entry is published,
//! and never cleared: when so many hashes have come that too many bits would be set, another filter of those that are
//! left takes its place, in a list of parts of its own that readers find by then.
//!
//! Thread-safety: one writer sets bits, any number of readers.

use super::BURST;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bits for each hash when a filter is made, at least; twice as many at most.
const SPACE: usize = 16;
/// Bits for each hash at least when it is full.
const LEAST_SPACE: usize = 8;
/// Bits of the smallest.
const SMALLEST: usize = 512;
/// Hashes of the largest: making it anew is work that one change does.
pub(super) const MOST: usize = 1 << 16;

/// A bit for each hash, by its leading bits.
pub(super) struct Filter {
    words: Box<[AtomicU32]>,
    /// How far to shift a hash for its bit's number.
    shift: u32,
}

impl Filter {
    /// With room for twice so many hashes, of which there are at most [`MOST`].
    pub(super) fn new(hashes: usize) -> Self {
        let bits = (hashes.min(MOST) * SPACE).next_power_of_two().max(SMALLEST);
        Self { words: (0..bits / 32).map(|_| AtomicU32::new(0)).collect(), shift: 32 - bits.trailing_zeros() }
    }

    /// Hashes that may be noted.
    pub(super) fn room(&self) -> usize {
        self.words.len() * 32 / LEAST_SPACE
    }

    /// The word and the bit of a hash.
    #[inline(always)]
    const fn place(&self, h: u32) -> (usize, u32) {
        let bit = h >> self.shift;
        ((bit >> 5) as usize, bit & 31)
    }

    /// Notes a hash.
    pub(super) fn note(&self, h: u32) {
        let (word, bit) = self.place(h);
        if let Some(word) = self.words.get(word) {
            word.store(word.load(Ordering::Relaxed) | 1 << bit, Ordering::Release);
        }
    }

    /// Whether a hash may have been noted: 1, or 0 if it wasn't.
    #[inline(always)]
    pub(super) fn may_hold(&self, h: u32) -> u32 {
        let (word, bit) = self.place(h);
        self.words.get(word).map_or(1, |w| w.load(Ordering::Relaxed) >> bit & 1)
    }

    /// Which of the first `n` hashes may have been noted, one bit each.
    #[inline(always)]
    pub(super) fn may_hold_of(&self, hashes: &[u32; BURST], n: usize) -> u32 {
        hashes.iter().take(n).enumerate().fold(0, |set, (i, h)| set | self.may_hold(*h) << i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_that_was_noted_may_be_there_and_few_others() {
        let mut x = 3u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 32) as u32
        };
        for n in [0, 1, 31, 400, 5000, MOST] {
            let filter = Filter::new(n);
            assert!(filter.room() >= 2 * n);
            let noted: Vec<u32> = (0..n).map(|_| random()).chain([0, u32::MAX]).collect();
            noted.iter().for_each(|h| filter.note(*h));
            assert!(noted.iter().all(|h| filter.may_hold(*h) == 1));
            let others = (0..10_000).filter(|_| filter.may_hold(random()) == 1).count();
            assert!(others < 1000, "{n}: {others}");
            let hashes: [u32; BURST] =
                std::array::from_fn(|i| if i % 3 == 0 { noted[i % noted.len()] } else { random() });
            for k in [0, 1, 17, BURST] {
                let want = (0..k).fold(0, |s, i| s | filter.may_hold(hashes[i]) << i);
                assert_eq!(filter.may_hold_of(&hashes, k), want);
            }
        }
    }
}
