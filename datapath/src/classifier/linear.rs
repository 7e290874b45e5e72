//! Direct comparison of few entries, word by word over all of them at once.

use super::LINEAR_MAX;
use crate::key::{FlowKey, WORDS};
use crate::publish::Guard;
use crate::table::{FlowRef, Slab};
use std::sync::atomic::{AtomicU32, Ordering};

/// Entries, best first, with their values and masks transposed: all entries' first word, and so on.
pub(super) struct Linear {
    entries: Box<[AtomicU32]>,
    /// Which words of the key any of them looks at.
    words: Box<[u8]>,
    /// Per word, `LINEAR_MAX` masks and values.
    masks: Box<[[u64; LINEAR_MAX]]>,
    values: Box<[[u64; LINEAR_MAX]]>,
}

impl Linear {
    /// Of at most [`LINEAR_MAX`] entries in this order.
    pub(super) fn new(slab: &Slab, entries: &[u32], guard: Guard<'_>) -> Self {
        let mut mask = FlowKey::default();
        let bodies: Vec<_> =
            entries.iter().take(LINEAR_MAX).map(|i| FlowRef::of_writer(slab, *i, guard).map(|f| f.body())).collect();
        for body in bodies.iter().flatten() {
            for (w, m) in body.shape.mask.words() {
                mask.0[usize::from(*w)] |= m;
            }
        }
        let words: Box<[u8]> = (0u8..).zip(&mask.0).filter(|(_, m)| **m != 0).map(|(w, _)| w).collect();
        let mut masks = vec![[0; LINEAR_MAX]; words.len()];
        let mut values = vec![[0; LINEAR_MAX]; words.len()];
        for (i, body) in bodies.iter().enumerate() {
            let Some(body) = body else { continue };
            for ((w, m), v) in body.shape.mask.words().iter().zip(body.values.words()) {
                if let Ok(j) = words.binary_search(w) {
                    masks[j][i] = *m;
                    values[j][i] = *v;
                }
            }
        }
        Self {
            entries: entries.iter().take(LINEAR_MAX).map(|i| AtomicU32::new(*i)).collect(),
            words,
            masks: masks.into(),
            values: values.into(),
        }
    }

    /// Puts the entry that continues another in its place; values and masks are the same.
    pub(super) fn renew(&self, place: usize, entry: u32) {
        if let Some(e) = self.entries.get(place) {
            e.store(entry, Ordering::Release);
        }
    }

    /// Which entries have no difference to the key, one bit each; none beyond the last.
    #[inline]
    fn equal(&self, key: &FlowKey) -> u32 {
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has AVX-512F.
                return unsafe { self.equal_avx512(key) };
            }
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { self.equal_avx2(key) };
            }
        }
        self.equal_any(key)
    }

    /// Eight entries at a time in registers, all words of them before the next eight.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn equal_avx512(&self, key: &FlowKey) -> u32 {
        use std::arch::x86_64::{
            _mm512_and_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512,
            _mm512_testn_epi64_mask, _mm512_xor_si512,
        };
        let mut equal = 0;
        for group in 0..self.entries.len().div_ceil(8).min(LINEAR_MAX / 8) {
            let mut differ = _mm512_setzero_si512();
            for ((w, masks), values) in self.words.iter().zip(&self.masks).zip(&self.values) {
                // `w` is below WORDS; said so that nothing is tested.
                let word = _mm512_set1_epi64(key.0[usize::from(*w).min(WORDS - 1)].cast_signed());
                // SAFETY: eight words from 8 * group on, which is at most LINEAR_MAX - 8; any alignment.
                let (m, v) = unsafe {
                    (
                        _mm512_loadu_si512(masks.as_ptr().add(8 * group).cast()),
                        _mm512_loadu_si512(values.as_ptr().add(8 * group).cast()),
                    )
                };
                differ = _mm512_or_si512(differ, _mm512_xor_si512(_mm512_and_si512(word, m), v));
            }
            equal |= u32::from(_mm512_testn_epi64_mask(differ, differ)) << (8 * group);
        }
        equal & self.present()
    }

    /// The plain code in wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn equal_avx2(&self, key: &FlowKey) -> u32 {
        self.equal_any(key)
    }

    #[inline(always)]
    fn equal_any(&self, key: &FlowKey) -> u32 {
        let n = self.entries.len().next_multiple_of(8).min(LINEAR_MAX);
        let mut differ = [0u64; LINEAR_MAX];
        for ((w, masks), values) in self.words.iter().zip(&self.masks).zip(&self.values) {
            let word = key.0[usize::from(*w)];
            let lanes = differ.chunks_exact_mut(8).zip(masks.chunks_exact(8)).zip(values.chunks_exact(8));
            for ((d, m), v) in lanes.take(n / 8) {
                for i in 0..8 {
                    d[i] |= (word & m[i]) ^ v[i];
                }
            }
        }
        let equal = differ.iter().enumerate().fold(0, |e, (i, d)| e | u32::from(*d == 0) << i);
        equal & self.present()
    }

    /// One bit for each entry there is.
    #[inline]
    fn present(&self) -> u32 {
        1u32.checked_shl(self.entries.len() as u32).map_or(u32::MAX, |b| b - 1)
    }

    /// Every visible entry of at least this rank that matches.
    pub(super) fn each_match<'g>(
        &self,
        slab: &Slab,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
        f: &mut dyn FnMut(FlowRef<'g>),
    ) {
        for i in &self.entries {
            if let Some(found) = FlowRef::current(slab, i.load(Ordering::Acquire), version, guard)
                && found.body().rank() >= floor
                && found.body().matches(key)
            {
                f(found);
            }
        }
    }

    #[inline]
    pub(super) fn lookup<'g>(&self, slab: &Slab, version: u64, key: &FlowKey, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        let mut equal = self.equal(key);
        while equal != 0 {
            let i = self.entries.get(equal.trailing_zeros() as usize)?;
            equal &= equal - 1;
            if let Some(found) = FlowRef::current(slab, i.load(Ordering::Acquire), version, guard) {
                return Some(found);
            }
        }
        None
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
        for n in 0..=LINEAR_MAX {
            for words in 0..6u8 {
                let mut rows = |few: bool| -> Box<[[u64; LINEAR_MAX]]> {
                    (0..words)
                        .map(|_| std::array::from_fn(|_| if few { random() & random() & random() } else { 0 }))
                        .collect()
                };
                let masks = rows(true);
                let mut values = rows(false);
                let entries = (0..n as u32).map(AtomicU32::new).collect();
                let mut key = FlowKey::default();
                key.0.iter_mut().take(6).for_each(|w| *w = random());
                for (w, (values, masks)) in values.iter_mut().zip(&masks).enumerate() {
                    for (v, m) in values.iter_mut().zip(masks) {
                        // Mostly what the key has.
                        *v = (key.0[w] ^ if random() % 8 == 0 { random() } else { 0 }) & m;
                    }
                }
                let linear = Linear { entries, words: (0..words).collect(), masks, values };
                let want = (0..n).filter(|i| {
                    (0..usize::from(words)).all(|w| key.0[w] & linear.masks[w][*i] == linear.values[w][*i])
                });
                let want = want.fold(0u32, |e, i| e | 1 << i);
                assert_eq!(linear.equal_any(&key), want);
                assert_eq!(linear.equal(&key), want);
            }
        }
    }
}
