//! The real thing: versions published by control, read through [`publish::Reader`](crate::publish::Reader).

use super::InBand;
use super::source::Source;
use crate::cache::{CachedHit, Seen, Validity};
use crate::clock::Time;
use crate::counters::StatsId;
use crate::engine::counter::Writer;
use crate::group::GroupTable;
use crate::key::FlowKey;
use crate::meter::MeterTable;
use crate::pipeline::{Hit, Miss, PortFacts, Settings, View};
use crate::publish::{CachedFlow, FragmentHandling, Reader, Snapshot};
use crate::table::changes::{MaskWords, News};
use crate::table::{Changes, FlowRef, Miss as TableMiss};
use ofproto::ids::{PortNo, TableId};

impl Source for Reader {
    type View<'r> = Snapshot<'r>;

    fn writer(&mut self) -> Writer {
        Self::adopt(self).writer()
    }

    fn adopt(&mut self) -> Snapshot<'_> {
        Self::adopt(self)
    }

    fn offline(&mut self) {
        Self::offline(self);
    }

    fn online(&mut self) {
        Self::online(self);
    }
}

const fn named(hit: CachedHit) -> CachedFlow {
    CachedFlow { table: hit.table, index: hit.index, added: hit.added }
}

/// Keys looked up together.
const BURST: usize = 32;

#[inline]
fn hit(f: FlowRef<'_>) -> Hit<'_> {
    let CachedFlow { table, index, added } = f.cached();
    let handle = CachedHit { table, index, added, stats: f.stats().number() };
    Hit { program: f.program(), cookie: f.cookie(), priority: f.priority(), handle }
}

impl<'r> View<'r> for Snapshot<'r> {
    #[inline]
    fn lookup(self, table: TableId, key: &FlowKey) -> Option<Hit<'r>> {
        // A table that table-features took out of the pipeline has no entries.
        Snapshot::lookup(&self, table, key).map(hit)
    }

    fn lookup_burst(self, table: TableId, keys: &[&FlowKey], out: &mut [Option<Hit<'r>>]) {
        let mut found = [None; BURST];
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            Snapshot::lookup_burst(&self, table, keys, &mut found);
            for (out, found) in out.iter_mut().zip(&found[..keys.len()]) {
                *out = found.map(hit);
            }
        }
    }

    #[inline]
    fn in_band(self) -> Option<&'r InBand> {
        self.state().in_band.as_deref()
    }

    fn miss(self, table: TableId) -> Miss {
        match self.state().tables.get(usize::from(table.0)).map(|t| t.miss) {
            Some(TableMiss::Controller) => Miss::Controller,
            Some(TableMiss::Continue) => Miss::Continue,
            Some(TableMiss::Drop) | None => Miss::Drop,
        }
    }

    #[inline]
    fn settings(self) -> Settings {
        let c = &self.state().config;
        Settings {
            n_tables: c.n_tables,
            first_egress: c.first_egress,
            miss_send_len: c.miss_send_len,
            drop_fragments: c.fragments == FragmentHandling::Drop,
        }
    }

    #[inline]
    fn groups(self) -> &'r GroupTable {
        &self.state().groups
    }

    #[inline]
    fn meters(self) -> &'r MeterTable {
        &self.state().meters
    }

    #[inline]
    fn port(self, no: PortNo) -> Option<PortFacts> {
        let p = self.state().ports.get(no)?;
        Some(PortFacts { no, config: p.desc.config, state: p.desc.state })
    }

    #[cold]
    fn port_dropped(self, no: PortNo, sending: bool) {
        if let Some(p) = self.state().ports.get(no) {
            p.drops.count(sending);
        }
    }

    fn each_port(self, f: &mut dyn FnMut(PortFacts)) {
        for (no, p) in self.state().ports.iter() {
            f(PortFacts { no, config: p.desc.config, state: p.desc.state });
        }
    }

    fn union_mask(self) -> FlowKey {
        *self.state().union_mask
    }

    #[inline]
    fn count(self, stats: u32, packets: u64, bytes: u64, now: Time) {
        Snapshot::count(&self, StatsId::from_number(stats), packets, bytes, now);
    }

    #[inline]
    fn prefetch_count(self, stats: u32) {
        Snapshot::prefetch_count(&self, StatsId::from_number(stats));
    }

    #[inline]
    fn count_table(self, table: TableId, lookups: u64, matched: u64) {
        Snapshot::count_table(&self, table, lookups, matched);
    }
}

impl Validity for Snapshot<'_> {
    #[inline]
    fn version(&self) -> u64 {
        Snapshot::version(self)
    }

    #[inline]
    fn epoch(&self) -> u64 {
        self.state().since
    }

    #[inline]
    fn last_add(&self, table: TableId) -> u64 {
        Snapshot::last_add(self, table)
    }

    fn may_have_come(&self, table: TableId, since: u64, seen: &Seen) -> bool {
        let come = |c: &Changes| c.may_have_come(since, &seen.key, seen.unknown, self.guard());
        self.changes(table).is_none_or(come)
    }

    fn may_have_gone(&self, table: TableId, since: u64, stats: u32) -> bool {
        self.changes(table).is_none_or(|c| c.may_have_gone(since, stats))
    }

    #[inline]
    fn changes(&self, table: TableId) -> u64 {
        Snapshot::changes(self, table).map_or(0, Changes::count)
    }

    fn next_change(&self, table: TableId) -> Option<u64> {
        Snapshot::changes(self, table).map_or(Some(0), |c| c.count_at(self.version()))
    }

    fn news(&self, table: TableId, first: u64, tell: impl FnMut(News)) -> Option<u64> {
        Snapshot::changes(self, table).map_or(Some(0), |c| c.news(first, self.version(), tell))
    }

    fn mask_of(&self, table: TableId, number: u32) -> Option<MaskWords> {
        Snapshot::changes(self, table)?.mask(number, self.guard())
    }

    #[inline]
    fn holds(&self, hit: CachedHit) -> bool {
        self.resolve(named(hit)).is_some()
    }
}
