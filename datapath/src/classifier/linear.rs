//! Direct comparison of few entries, word by word over all of them at once.

use super::LINEAR_MAX;
use crate::key::FlowKey;
use crate::publish::Guard;
use crate::table::{FlowRef, Slab};

/// Entries, best first, with their values and masks transposed: all entries' first word, and so on.
pub(super) struct Linear {
    entries: Box<[u32]>,
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
            entries: entries.iter().copied().take(LINEAR_MAX).collect(),
            words,
            masks: masks.into(),
            values: values.into(),
        }
    }

    /// Which of the first `n` entries differ from the key, and where.
    #[inline]
    fn compare(&self, key: &FlowKey, n: usize, differ: &mut [u64; LINEAR_MAX]) {
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has AVX-512F.
                return unsafe { self.compare_avx512(key, n, differ) };
            }
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { self.compare_avx2(key, n, differ) };
            }
        }
        self.compare_any(key, n, differ);
    }

    /// The same code in wider registers: measured 2-3 times faster with 32 entries.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn compare_avx512(&self, key: &FlowKey, n: usize, differ: &mut [u64; LINEAR_MAX]) {
        self.compare_any(key, n, differ);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn compare_avx2(&self, key: &FlowKey, n: usize, differ: &mut [u64; LINEAR_MAX]) {
        self.compare_any(key, n, differ);
    }

    #[inline(always)]
    fn compare_any(&self, key: &FlowKey, n: usize, differ: &mut [u64; LINEAR_MAX]) {
        for ((w, masks), values) in self.words.iter().zip(&self.masks).zip(&self.values) {
            let word = key.0[usize::from(*w)];
            let lanes = differ.chunks_exact_mut(8).zip(masks.chunks_exact(8)).zip(values.chunks_exact(8));
            for ((d, m), v) in lanes.take(n / 8) {
                for i in 0..8 {
                    d[i] |= (word & m[i]) ^ v[i];
                }
            }
        }
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
            if let Some(slot) = slab.slot(*i, guard)
                && let Some(found) = FlowRef::visible(slab, slot, *i, version)
                && found.body().rank() >= floor
                && found.body().matches(key)
            {
                f(found);
            }
        }
    }

    #[inline]
    pub(super) fn lookup<'g>(&self, slab: &Slab, version: u64, key: &FlowKey, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        let n = self.entries.len().next_multiple_of(8).min(LINEAR_MAX);
        let mut differ = [0u64; LINEAR_MAX];
        self.compare(key, n, &mut differ);
        for (i, d) in self.entries.iter().zip(&differ) {
            if *d == 0
                && let Some(slot) = slab.slot(*i, guard)
                && let Some(found) = FlowRef::visible(slab, slot, *i, version)
            {
                return Some(found);
            }
        }
        None
    }
}
