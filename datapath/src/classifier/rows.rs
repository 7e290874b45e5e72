//! Many rules compared with one key at once, word by word: their masks and values stand in rows, one of each per word.
//!
//! Eight rules at a time in AVX-512's registers, four in AVX2's, one after the other elsewhere; all find the same.

use crate::key::{FlowKey, WORDS};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most rules that are compared at once.
pub(super) const MOST: usize = 32;

/// Whether the processor has what code for `WIDE` is compiled with.
#[inline]
pub(super) fn is_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("bmi2")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Rules by columns. Whoever holds one has made sure that nobody stores to its words meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Rows<'g> {
    /// Rules, at most [`MOST`].
    pub(super) n: usize,
    /// Words from one row to the next; at least `n`.
    pub(super) stride: usize,
    /// The words of the key that the rows are for.
    pub(super) words: &'g [u8],
    pub(super) masks: &'g [AtomicU64],
    pub(super) values: &'g [AtomicU64],
}

impl Rows<'_> {
    /// Which rules match the key, one bit each. `WIDE`: the processor has AVX-512 (see [`is_wide`]).
    #[inline(always)]
    pub(super) fn equal<const WIDE: bool>(&self, key: &FlowKey) -> u32 {
        #[cfg(target_arch = "x86_64")]
        {
            if WIDE {
                // SAFETY: the processor has AVX-512F, as the caller knows.
                return unsafe { self.equal_avx512(key) };
            }
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { self.equal_avx2(key) };
            }
        }
        self.equal_from(0, key)
    }

    /// The words of the key, each with its row of masks and its row of values.
    #[inline(always)]
    fn rows<'r>(&'r self, key: &'r FlowKey) -> impl Iterator<Item = (u64, &'r [AtomicU64], &'r [AtomicU64])> {
        let stride = self.stride.max(1);
        let rows = self.masks.chunks(stride).zip(self.values.chunks(stride));
        // Words are below WORDS; said so that nothing is tested.
        self.words.iter().zip(rows).map(|(w, (m, v))| (key.0[usize::from(*w).min(WORDS - 1)], m, v))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn equal_avx512(&self, key: &FlowKey) -> u32 {
        use std::arch::x86_64::{
            _mm512_and_si512, _mm512_mask_testn_epi64_mask, _mm512_maskz_loadu_epi64, _mm512_or_si512,
            _mm512_set1_epi64, _mm512_setzero_si512, _mm512_xor_si512,
        };
        let n = self.n.min(MOST);
        let mut equal = 0;
        for first in (0..n).step_by(8) {
            let lanes = if n - first >= 8 { 0xff } else { (1u8 << (n - first)) - 1 };
            let mut differ = _mm512_setzero_si512();
            for (word, masks, values) in self.rows(key) {
                if masks.len() < n || values.len() < n {
                    return 0;
                }
                let word = _mm512_set1_epi64(word.cast_signed());
                // SAFETY: only the lanes below `n - first` are read, and both rows have `n` words. Nobody stores there.
                let (m, v) = unsafe {
                    (
                        _mm512_maskz_loadu_epi64(lanes, masks.as_ptr().add(first).cast()),
                        _mm512_maskz_loadu_epi64(lanes, values.as_ptr().add(first).cast()),
                    )
                };
                differ = _mm512_or_si512(differ, _mm512_xor_si512(_mm512_and_si512(word, m), v));
            }
            equal |= u32::from(_mm512_mask_testn_epi64_mask(lanes, differ, differ)) << first;
        }
        equal
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn equal_avx2(&self, key: &FlowKey) -> u32 {
        use std::arch::x86_64::{
            _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd,
            _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_xor_si256,
        };
        let n = self.n.min(MOST);
        let mut equal = 0;
        for first in (0..n / 4 * 4).step_by(4) {
            let mut differ = _mm256_setzero_si256();
            for (word, masks, values) in self.rows(key) {
                if masks.len() < n || values.len() < n {
                    return 0;
                }
                let word = _mm256_set1_epi64x(word.cast_signed());
                // SAFETY: four words from `first` on, `first + 4` is at most `n`, and both rows have `n` words. Nobody
                // stores there.
                let (m, v) = unsafe {
                    (
                        _mm256_loadu_si256(masks.as_ptr().add(first).cast()),
                        _mm256_loadu_si256(values.as_ptr().add(first).cast()),
                    )
                };
                differ = _mm256_or_si256(differ, _mm256_xor_si256(_mm256_and_si256(word, m), v));
            }
            let same = _mm256_cmpeq_epi64(differ, _mm256_setzero_si256());
            equal |= (_mm256_movemask_pd(_mm256_castsi256_pd(same)) as u32) << first;
        }
        equal | self.equal_from(n / 4 * 4, key)
    }

    /// Rules from `first` on, one after the other.
    #[inline(always)]
    fn equal_from(&self, first: usize, key: &FlowKey) -> u32 {
        let mut differ = [0u64; MOST];
        for (word, masks, values) in self.rows(key) {
            for (d, (m, v)) in differ.iter_mut().zip(masks.iter().zip(values)).skip(first) {
                *d |= (word & m.load(Ordering::Relaxed)) ^ v.load(Ordering::Relaxed);
            }
        }
        differ.iter().take(self.n).enumerate().skip(first).fold(0, |e, (i, d)| e | u32::from(*d == 0) << i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_compare_finds_the_same() {
        let mut x = 7u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x ^ x >> 29
        };
        for n in 0..=MOST {
            for (stride, w) in [(n, 0usize), (n, 1), (n, 5), (MOST, 0), (MOST, 3), (MOST, 6)] {
                let key = FlowKey(std::array::from_fn(|_| random()));
                let words: Vec<u8> = (0..w as u8).map(|i| 3 * i).collect();
                let masks: Vec<AtomicU64> = (0..w * stride).map(|_| AtomicU64::new(random() & random())).collect();
                let values: Vec<AtomicU64> = (0..w * stride)
                    .map(|at| {
                        // Mostly what the key has.
                        let off = if random() % 6 == 0 { random() } else { 0 };
                        let word = key.0[3 * (at / stride)];
                        AtomicU64::new((word ^ off) & masks[at].load(Ordering::Relaxed))
                    })
                    .collect();
                let rows = Rows { n, stride, words: &words, masks: &masks, values: &values };
                let same = |i: usize| {
                    words.iter().enumerate().all(|(j, word)| {
                        key.0[usize::from(*word)] & masks[j * stride + i].load(Ordering::Relaxed)
                            == values[j * stride + i].load(Ordering::Relaxed)
                    })
                };
                let want = (0..n).filter(|i| same(*i)).fold(0u32, |e, i| e | 1 << i);
                assert_eq!(rows.equal::<false>(&key), want, "{n} rules, {w} words");
                if is_wide() {
                    assert_eq!(rows.equal::<true>(&key), want, "{n} rules, {w} words");
                }
                assert_eq!(rows.equal_from(0, &key), want, "{n} rules, {w} words");
                #[cfg(target_arch = "x86_64")]
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    assert_eq!(unsafe { rows.equal_avx2(&key) }, want, "{n} rules, {w} words");
                }
            }
        }
    }
}
