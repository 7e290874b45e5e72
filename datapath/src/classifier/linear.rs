//! Direct comparison of few entries, word by word over all of them at once.

use super::LINEAR_MAX;
use super::rows::Rows;
use super::tuple::Query;
use crate::key::FlowKey;
use crate::publish::Guard;
use crate::table::{FlowRef, Slab};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Entries, best first, with their values and masks transposed: all entries' first word, and so on.
pub(super) struct Linear {
    entries: Box<[AtomicU32]>,
    /// Which words of the key any of them looks at.
    words: Box<[u8]>,
    /// Per word, `LINEAR_MAX` masks and values.
    masks: Box<[AtomicU64]>,
    values: Box<[AtomicU64]>,
}

impl Linear {
    /// Of at most [`LINEAR_MAX`] entries in this order.
    pub(super) fn new(slab: &Slab, entries: &[u32], guard: Guard<'_>) -> Self {
        let mut mask = FlowKey::default();
        let entries = &entries[..entries.len().min(LINEAR_MAX)];
        let bodies: Vec<_> = entries.iter().map(|i| FlowRef::of_writer(slab, *i, guard).map(|f| f.body())).collect();
        for body in bodies.iter().flatten() {
            for (w, m) in body.shape.mask.words() {
                mask.0[usize::from(*w)] |= m;
            }
        }
        let words: Box<[u8]> = (0u8..).zip(&mask.0).filter(|(_, m)| **m != 0).map(|(w, _)| w).collect();
        let mut masks: Box<[AtomicU64]> = (0..words.len() * LINEAR_MAX).map(|_| AtomicU64::new(0)).collect();
        let mut values: Box<[AtomicU64]> = (0..words.len() * LINEAR_MAX).map(|_| AtomicU64::new(0)).collect();
        for (i, body) in bodies.iter().enumerate() {
            let Some(body) = body else { continue };
            for ((w, m), v) in body.shape.mask.words().iter().zip(body.values.words()) {
                if let Ok(j) = words.binary_search(w) {
                    *masks[j * LINEAR_MAX + i].get_mut() = *m;
                    *values[j * LINEAR_MAX + i].get_mut() = *v;
                }
            }
        }
        Self { entries: entries.iter().map(|i| AtomicU32::new(*i)).collect(), words, masks, values }
    }

    /// Puts the entry that continues another in its place; values and masks are the same.
    pub(super) fn renew(&self, place: usize, entry: u32) {
        if let Some(e) = self.entries.get(place) {
            e.store(entry, Ordering::Release);
        }
    }

    /// Every visible entry that matches, best first.
    #[inline(always)]
    pub(super) fn matches<'g, const WIDE: bool>(
        &self,
        slab: &'g Slab,
        q: Query<'_, 'g>,
    ) -> impl Iterator<Item = FlowRef<'g>> {
        let rows = Rows {
            n: self.entries.len(),
            stride: LINEAR_MAX,
            words: &self.words,
            masks: &self.masks,
            values: &self.values,
        };
        super::bits(rows.equal::<WIDE>(q.key)).filter_map(move |i| {
            let index = self.entries.get(i)?.load(Ordering::Acquire);
            FlowRef::current(slab, index, q.version, q.guard).filter(|f| f.body().rank() >= q.floor)
        })
    }
}
