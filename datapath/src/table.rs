//! Flow tables: entries, their lookup structure and OpenFlow's rules for changing them.
//!
//! `FlowTable` is the part that workers read; everything that changes it is in
//! [`control`](crate::control), the single writer.

pub(crate) mod changes;
pub(crate) mod compile;
mod conjunction;
mod entry;
mod wheel;

pub use entry::FlowRef;
pub(crate) use entry::{Behaviour, FlowBody, NEVER, NIL, Slab, SlabBook, Values};
pub(crate) use wheel::Wheel;

use crate::classifier::Classifier;
use crate::key::FlowKey;
use crate::publish::Guard;
pub(crate) use changes::Changes;
use crossbeam::utils::CachePadded;

/// What a packet does that no entry of a table matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Dropped (1.3+, unless there is a table-miss entry; or `OFPTC_TABLE_MISS_DROP`).
    Drop,
    /// To the controller (1.0-1.2's default).
    Controller,
    /// On to the next table (`OFPTC_TABLE_MISS_CONTINUE`).
    Continue,
}

/// A table's configuration that packets feel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// Whether the table is part of the pipeline (table-features can take it out).
    pub enabled: bool,
    /// What a miss does.
    pub miss: Miss,
    /// Whether `miss` was set by a table-mod rather than being the default of the version spoken.
    pub miss_configured: bool,
}

impl Default for TableSettings {
    fn default() -> Self {
        Self { enabled: true, miss: Miss::Drop, miss_configured: false }
    }
}

/// A table as workers see it. One writer, any number of readers.
pub(crate) struct FlowTable {
    pub(crate) slab: Slab,
    /// Entries that packets match.
    pub(crate) classifier: Classifier,
    /// Entries that are clauses of conjunctions: looked at only if there are any.
    pub(crate) clauses: Classifier,
    /// Apart from what lookups read.
    pub(crate) changes: CachePadded<Changes>,
}

impl FlowTable {
    pub(crate) fn new(id: ofproto::ids::TableId, seed: u64) -> Self {
        Self {
            slab: Slab::new(id),
            classifier: Classifier::new(seed),
            clauses: Classifier::new(seed),
            changes: CachePadded::default(),
        }
    }

    #[inline]
    pub(crate) fn lookup<'g>(&'g self, version: u64, key: &FlowKey, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        let found = self.lookup_as_is(version, key, guard);
        match key.without_ports() {
            Some(plain) => self.or_without_ports(version, &plain, found, guard),
            None => found,
        }
    }

    /// Of a first fragment: what an entry of 1.0 that wants ports 0 makes of the match.
    #[cold]
    fn or_without_ports<'g>(
        &'g self,
        version: u64,
        plain: &FlowKey,
        found: Option<FlowRef<'g>>,
        guard: Guard<'g>,
    ) -> Option<FlowRef<'g>> {
        // The better one; of equals, the older.
        let order = |f: &FlowRef<'_>| (f.body().rank(), std::cmp::Reverse(f.added()));
        found.into_iter().chain(self.lookup_as_is(version, plain, guard)).max_by_key(order)
    }

    #[inline]
    fn lookup_as_is<'g>(&'g self, version: u64, key: &FlowKey, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        let found = self.classifier.lookup(&self.slab, version, key, guard);
        if self.clauses.is_empty(guard) {
            return found;
        }
        self.with_conjunctions(version, key, found, guard)
    }

    pub(crate) fn lookup_burst<'g>(
        &'g self,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        self.classifier.lookup_burst(&self.slab, version, keys, out, guard);
        if !self.clauses.is_empty(guard) {
            for (key, out) in keys.iter().zip(&mut *out) {
                *out = self.with_conjunctions(version, key, *out, guard);
            }
        }
        for (key, out) in keys.iter().zip(out) {
            if let Some(plain) = key.without_ports() {
                *out = self.or_without_ports(version, &plain, *out, guard);
            }
        }
    }

    #[inline]
    pub(crate) fn resolve<'g>(&'g self, index: u32, added: u64, version: u64, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        let slot = self.slab.slot(index, guard)?;
        let found = FlowRef::visible(&self.slab, slot, index, version)?;
        (found.added() == added).then_some(found)
    }
}
