//! Conjunctive matches (Nicira's `conjunction` action and `conj_id` field).
//!
//! Entries whose only actions are conjunctions are clauses. They lie in a lookup structure of their own and are
//! never found themselves. A packet that matches, at one priority, an entry for each clause of a conjunction is
//! looked up again with `conj_id` set to the conjunction's id, among the ordinary entries, and what is found
//! then is its match. An ordinary entry of the same or a higher priority than the clauses comes first; of several
//! conjunctions, those of the higher priority, then of the lower id.

use super::{FlowRef, FlowTable};
use crate::key::FlowKey;
use crate::program::Conjunction;
use crate::publish::Guard;
use ofproto::field::FieldId;
use smallvec::SmallVec;
use std::cmp::Reverse;

impl FlowTable {
    /// The match of a packet for which the ordinary entries gave `found`.
    #[cold]
    pub(super) fn with_conjunctions<'g>(
        &'g self,
        version: u64,
        key: &FlowKey,
        found: Option<FlowRef<'g>>,
        guard: Guard<'g>,
    ) -> Option<FlowRef<'g>> {
        let floor = found.map_or(0, |f| f.body().rank() + 1);
        let mut clauses: SmallVec<[(Reverse<u32>, Conjunction); 16]> = SmallVec::new();
        self.clauses.each_match(&self.slab, version, key, floor, guard, &mut |entry| {
            let rank = Reverse(entry.body().rank());
            clauses.extend(entry.program().conjunctions.iter().map(|c| (rank, *c)));
        });
        clauses.sort_unstable();
        // In this order the clauses of one conjunction at one priority stand together, ascending.
        for met in clauses.chunk_by(|a, b| (a.0, a.1.id, a.1.n_clauses) == (b.0, b.1.id, b.1.n_clauses)) {
            let bits = met.iter().fold(0u64, |bits, (_, c)| bits | 1 << c.clause.min(63));
            let Some((_, Conjunction { id, n_clauses, .. })) = met.first() else { continue };
            if bits.count_ones() < u32::from(*n_clauses) {
                continue;
            }
            let mut key = *key;
            key.set(FieldId::ConjId, u128::from(*id));
            if let Some(entry) = self.classifier.lookup(&self.slab, version, &key, guard) {
                return Some(entry);
            }
        }
        found
    }
}
