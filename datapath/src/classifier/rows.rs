//! Many rules compared with one key at once, word by word: their masks and values stand in rows, one of each per word.
//!
//! Eight rules at a time in AVX-512's registers, four in AVX2's, eight words after each other elsewhere; all find the
//! same.

use crate::key::{FlowKey, WORDS};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Most rules that are compared at once.
pub(super) const MOST: usize = 64;
/// Rules that are compared in one go.
const LANES: usize = 8;

/// Three words' logic: `a & b ^ c`.
#[cfg(target_arch = "x86_64")]
pub(super) const AND_XOR: i32 = (0xf0 & 0xcc) ^ 0xaa;

/// Whether the processor has what code for `WIDE` is compiled with.
#[inline]
pub(super) fn is_wide() -> bool {
    static WIDE: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 2;
    #[cold]
    fn detect() -> bool {
        #[cfg(target_arch = "x86_64")]
        let wide = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("lzcnt")
            && std::is_x86_feature_detected!("popcnt");
        #[cfg(not(target_arch = "x86_64"))]
        let wide = false;
        WIDE.store(u8::from(wide), Ordering::Relaxed);
        wide
    }
    #[cfg(test)]
    if ways::LEFT_OUT.get() > 0 {
        return false;
    }
    match WIDE.load(Ordering::Relaxed) {
        UNKNOWN => detect(),
        wide => wide != 0,
    }
}

/// Whether it has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline]
fn is_medium() -> bool {
    #[cfg(test)]
    if ways::LEFT_OUT.get() > 1 {
        return false;
    }
    std::is_x86_feature_detected!("avx2")
}

/// Lookups as on lesser processors.
#[cfg(test)]
pub(crate) mod ways {
    std::thread_local! {
        /// How much of what the processor has isn't used by this thread: AVX-512, AVX2.
        pub(super) static LEFT_OUT: std::cell::Cell<u8> = const { std::cell::Cell::new(0) };
    }

    /// Does something with all that the processor has, without AVX-512, and without AVX2.
    pub(crate) fn each(mut f: impl FnMut()) {
        for n in [0, 1, 2] {
            LEFT_OUT.set(n);
            f();
        }
        LEFT_OUT.set(0);
    }
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
    pub(super) fn equal<const WIDE: bool>(&self, key: &FlowKey) -> u64 {
        if !self.is_whole() {
            return 0;
        }
        #[cfg(target_arch = "x86_64")]
        {
            if WIDE {
                // SAFETY: the processor has AVX-512F and BMI2, as the caller knows; the rows are whole.
                return unsafe { self.equal_avx512(key) };
            }
            if is_medium() {
                // SAFETY: the processor has AVX2; the rows are whole.
                return unsafe { self.equal_avx2(key) };
            }
        }
        self.equal_from(0, key)
    }

    /// Whether there are rows of `n` words for each of the key's words.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        let (n, words) = (self.n, self.words.len());
        let last = words.saturating_sub(1) * self.stride + n;
        n <= MOST && (words == 0 || last <= self.masks.len() && last <= self.values.len())
    }

    /// A word of the key.
    #[inline(always)]
    fn word(key: &FlowKey, w: u8) -> u64 {
        // Words are below WORDS; said so that nothing is tested.
        key.0[usize::from(w).min(WORDS - 1)]
    }

    /// # Safety
    /// The rows are whole.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,bmi2")]
    #[inline]
    unsafe fn equal_avx512(&self, key: &FlowKey) -> u64 {
        use std::arch::x86_64::{
            _bzhi_u32, _mm512_mask_testn_epi64_mask, _mm512_maskz_loadu_epi64, _mm512_or_si512, _mm512_set1_epi64,
            _mm512_setzero_si512, _mm512_ternarylogic_epi64,
        };
        let mut equal = 0;
        let mut first = 0;
        while first < self.n {
            let lanes = _bzhi_u32(0xff, (self.n - first).min(LANES) as u32) as u8;
            let mut differ = _mm512_setzero_si512();
            let mut at = first;
            for w in self.words {
                // SAFETY: the lanes below `n - first` of a row that has `n` words. Nobody stores there.
                let (m, v) = unsafe {
                    (
                        _mm512_maskz_loadu_epi64(lanes, self.masks.as_ptr().add(at).cast()),
                        _mm512_maskz_loadu_epi64(lanes, self.values.as_ptr().add(at).cast()),
                    )
                };
                let word = _mm512_set1_epi64(Self::word(key, *w).cast_signed());
                differ = _mm512_or_si512(differ, _mm512_ternarylogic_epi64::<AND_XOR>(word, m, v));
                at += self.stride;
            }
            equal |= u64::from(_mm512_mask_testn_epi64_mask(lanes, differ, differ)) << first;
            first += LANES;
        }
        equal
    }

    /// # Safety
    /// The rows are whole.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn equal_avx2(&self, key: &FlowKey) -> u64 {
        use std::arch::x86_64::{
            _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd,
            _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_xor_si256,
        };
        let mut equal = 0;
        for first in (0..self.n / 4 * 4).step_by(4) {
            let mut differ = _mm256_setzero_si256();
            let mut at = first;
            for w in self.words {
                // SAFETY: four words of a row that has `n`, which is at least `first + 4`. Nobody stores there.
                let (m, v) = unsafe {
                    (
                        _mm256_loadu_si256(self.masks.as_ptr().add(at).cast()),
                        _mm256_loadu_si256(self.values.as_ptr().add(at).cast()),
                    )
                };
                let word = _mm256_set1_epi64x(Self::word(key, *w).cast_signed());
                differ = _mm256_or_si256(differ, _mm256_xor_si256(_mm256_and_si256(word, m), v));
                at += self.stride;
            }
            let same = _mm256_cmpeq_epi64(differ, _mm256_setzero_si256());
            equal |= (_mm256_movemask_pd(_mm256_castsi256_pd(same)) as u64) << first;
        }
        equal | self.equal_from(self.n / 4 * 4, key)
    }

    /// Rules from `first` on, a few at a time.
    #[inline(always)]
    fn equal_from(&self, first: usize, key: &FlowKey) -> u64 {
        let mut equal = 0;
        for first in (first..self.n).step_by(LANES) {
            let n = (self.n - first).min(LANES);
            let mut differ = [0u64; LANES];
            for (j, w) in self.words.iter().enumerate() {
                let (word, at) = (Self::word(key, *w), j * self.stride + first);
                for (d, (m, v)) in differ.iter_mut().zip(self.masks[at..at + n].iter().zip(&self.values[at..at + n])) {
                    *d |= (word & m.load(Ordering::Relaxed)) ^ v.load(Ordering::Relaxed);
                }
            }
            for (i, d) in differ.iter().enumerate().take(n) {
                equal |= u64::from(*d == 0) << (first + i);
            }
        }
        equal
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
            for (stride, w) in [(n, 0usize), (n, 1), (n, 2), (n, 5), (MOST, 0), (MOST, 3), (MOST, 6)] {
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
                let want = (0..n).filter(|i| same(*i)).fold(0u64, |e, i| e | 1 << i);
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
