//! The keyed hash of tuples: what a key is under a mask, in 32 bits.
//!
//! Made of multiplications whose lower halves suffice, so that a burst's hashes come eight at a time out of wide
//! registers; in the end the upper half is taken, into which all bits of the key have gone.

use super::columns::{Columns, EIGHT};
use super::{BURST, Mask};
use crate::key::FlowKey;

/// Keys of the hash; different for every switch, so that nobody can compute collisions.
#[derive(Clone, Copy)]
pub(crate) struct Seed {
    begin: u64,
    each: u64,
    end: u64,
}

impl Seed {
    pub(super) fn new(seed: u64) -> Self {
        let fold = |a: u64, b: u64| {
            let p = u128::from(a) * u128::from(b);
            (p as u64) ^ ((p >> 64) as u64)
        };
        let a = fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93);
        let b = fold(a ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db);
        let c = fold(b ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3);
        Self { begin: a, each: b | 1, end: c | 1 }
    }
}

/// What a word adds: its upper bits reach the lower ones, from where the multiplication carries them to all. Words don't
/// wait for each other.
#[inline(always)]
const fn share(word: u64, key: u64) -> u64 {
    (word ^ word >> 32).wrapping_mul(key)
}

/// The key of a word.
#[inline(always)]
const fn key_of(each: u64, w: u8) -> u64 {
    each.rotate_left(w as u32 * 11) | 1
}

#[inline(always)]
const fn finish(h: u64, end: u64) -> u32 {
    ((h ^ h >> 32).wrapping_mul(end) >> 32) as u32
}

/// The hash of the bits of `key` under `mask`.
#[inline(always)]
pub(super) fn hash(seed: Seed, mask: &Mask, key: &FlowKey) -> u32 {
    let add = |h: u64, (w, m): &(u8, u64)| h.wrapping_add(share(key.0[usize::from(*w)] & m, key_of(seed.each, *w)));
    finish(mask.words().iter().fold(seed.begin, add), seed.end)
}

/// [`hash`] of an entry whose mask is `mask`: by its values, which stand in the mask's order.
#[inline]
pub(super) fn hash_values(seed: Seed, mask: &Mask, values: &[u64]) -> u32 {
    let add = |h: u64, ((w, m), v): (&(u8, u64), &u64)| h.wrapping_add(share(v & m, key_of(seed.each, *w)));
    finish(mask.words().iter().zip(values).fold(seed.begin, add), seed.end)
}

/// [`hash`] of up to 32 keys; the other places say nothing.
#[inline(always)]
pub(super) fn hash_burst(seed: Seed, mask: &Mask, columns: &mut Columns<'_>) -> [u32; BURST] {
    let mut sums = [[seed.begin; EIGHT]; BURST / EIGHT];
    let eights = columns.eights();
    for (w, m) in mask.words() {
        let each = key_of(seed.each, *w);
        for (sums, words) in sums.iter_mut().zip(columns.get(*w)).take(eights) {
            for (h, word) in sums.iter_mut().zip(words) {
                *h = h.wrapping_add(share(word & m, each));
            }
        }
    }
    let mut hashes = [0; BURST];
    for (to, sums) in hashes.as_chunks_mut::<EIGHT>().0.iter_mut().zip(&sums).take(eights) {
        for (to, h) in to.iter_mut().zip(sums) {
            *to = finish(*h, seed.end);
        }
    }
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::WORDS;
    use std::collections::HashSet;

    #[test]
    fn a_burst_is_hashed_as_one_by_one() {
        let seed = Seed::new(7);
        let mut x = 3u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x ^ x >> 29
        };
        for n in [0, 1, 5, 31, 32] {
            for words in [0, 1, 2, 3, 8, WORDS] {
                let mut mask = FlowKey::default();
                mask.0.iter_mut().take(words).for_each(|w| *w = random());
                let mask = Mask::of(&mask);
                let keys: Vec<FlowKey> = (0..n).map(|_| FlowKey(std::array::from_fn(|_| random()))).collect();
                let refs: Vec<&FlowKey> = keys.iter().collect();
                let all = hash_burst(seed, &mask, &mut Columns::new(&refs));
                for (key, h) in keys.iter().zip(all) {
                    assert_eq!(h, hash(seed, &mask, key));
                    let values: Vec<u64> = mask.words().iter().map(|(w, _)| key.0[usize::from(*w)]).collect();
                    assert_eq!(h, hash_values(seed, &mask, &values));
                }
            }
        }
    }

    /// Directory, line and tag use different bits of a hash: keys that differ in any few neighbouring bits have to
    /// spread over each.
    #[test]
    fn all_parts_of_a_hash_depend_on_all_bits_of_a_key() {
        for seed in 0..8 {
            let seed = Seed::new(seed);
            for shift in 0..=52 {
                let mask = Mask::of(&FlowKey(std::array::from_fn(|w| if w == 2 { 0xfff << shift } else { 0 })));
                let mut key = FlowKey::default();
                let hashes: HashSet<u32> = (0..4096u64)
                    .map(|v| {
                        key.0[2] = v << shift;
                        hash(seed, &mask, &key)
                    })
                    .collect();
                assert!(hashes.len() > 4090, "{shift}: {}", hashes.len());
                for part in [0, 8, 20, 24] {
                    let mut counts = [0; 256];
                    hashes.iter().for_each(|h| counts[(h >> part) as usize % 256] += 1);
                    // 16 on average.
                    assert!(counts.iter().all(|c| *c <= 64), "{shift} {part}: {counts:?}");
                }
            }
        }
    }
}
