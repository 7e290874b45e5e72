//! What a version consists of besides flow entries, and a worker's view of one version.

use super::{Domain, Guard};
use crate::clock::Time;
use crate::control::ports::PortTable;
use crate::counters::{StatsId, WorkerCounters};
use crate::engine::InBand;
use crate::engine::counter::Writer;
use crate::group::GroupTable;
use crate::key::FlowKey;
use crate::meter::MeterTable;
use crate::table::{Changes, FlowRef, TableSettings};
use ofproto::ids::TableId;
use std::sync::Arc;

/// Everything but flow entries that belongs to one version. Copied on write; unchanged parts are shared.
#[derive(Clone)]
pub struct Published {
    /// The first version that this state belongs to.
    pub since: u64,
    /// Per table: configuration that packets feel. Index is the table id.
    pub tables: Arc<[TableSettings]>,
    /// The switch's ports.
    pub ports: Arc<PortTable>,
    /// The groups.
    pub groups: Arc<GroupTable>,
    /// The meters.
    pub meters: Arc<MeterTable>,
    /// Fragment handling and the like.
    pub config: SwitchSettings,
    /// Every key bit that some flow entry of some table looks at (and maybe some that none does any
    /// more). Two packets that agree on these bits take the same way through the tables.
    pub union_mask: Arc<FlowKey>,
    /// Counts changes of `union_mask`: a cache keyed by an older mask must be emptied.
    pub union_epoch: u64,
    /// What passes beside the tables, if the controllers are reached through the switch's own ports.
    pub in_band: Option<Arc<InBand>>,
}

/// `OFPC_FRAG_*` (OpenFlow 1.3.5 §7.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FragmentHandling {
    /// Fragments go through the tables like any packet.
    #[default]
    Normal,
    /// Fragments are dropped.
    Drop,
    /// Fragments are reassembled.
    Reassemble,
}

/// Switch-wide settings that packets feel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchSettings {
    /// What happens to IP fragments.
    pub fragments: FragmentHandling,
    /// Bytes of a packet that a table miss sends to the controller.
    pub miss_send_len: u16,
    /// The first table of egress processing (1.5), if configured.
    pub first_egress: Option<TableId>,
    /// How many tables there are.
    pub n_tables: u8,
}

impl Default for SwitchSettings {
    fn default() -> Self {
        Self { fragments: FragmentHandling::Normal, miss_send_len: 128, first_egress: None, n_tables: 254 }
    }
}

/// One worker's view of one version, for one burst. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Snapshot<'r> {
    version: u64,
    state: &'r Published,
    domain: &'r Domain,
    counters: &'r WorkerCounters,
    writer: Writer,
    guard: Guard<'r>,
}

/// A flow entry in a form that a cache may keep across bursts: it names one entry, as it was
/// published at one version, and [`Snapshot::resolve`] says whether that is still so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedFlow {
    /// The table.
    pub table: TableId,
    /// The entry's place in its table.
    pub index: u32,
    /// The version that added it, which makes the name unique.
    pub added: u64,
}

impl<'r> Snapshot<'r> {
    pub(super) fn new(
        version: u64,
        state: &'r Published,
        domain: &'r Domain,
        counters: &'r WorkerCounters,
        writer: Writer,
        guard: Guard<'r>,
    ) -> Self {
        Self { version, state, domain, counters, writer, guard }
    }

    /// The version this is a view of.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number under which its owner counts on groups and meters (0 is control's).
    #[inline]
    pub fn writer(&self) -> Writer {
        self.writer
    }

    /// Groups, meters, ports, configuration.
    #[inline]
    pub fn state(&self) -> &'r Published {
        self.state
    }

    /// The entry of `table` that a packet with this key matches. Doesn't count anything.
    #[inline]
    pub fn lookup(&self, table: TableId, key: &FlowKey) -> Option<FlowRef<'r>> {
        self.domain.table(table)?.lookup(self.version, key, self.guard)
    }

    /// [`lookup`](Self::lookup) for a burst: `out[i]` is for `keys[i]`; extra places stay as they are.
    pub fn lookup_burst(&self, table: TableId, keys: &[&FlowKey], out: &mut [Option<FlowRef<'r>>]) {
        match self.domain.table(table) {
            Some(t) => t.lookup_burst(self.version, keys, out, self.guard),
            None => out.iter_mut().take(keys.len()).for_each(|o| *o = None),
        }
    }

    /// The entry that a cache remembered, if it is still what this version holds.
    #[inline]
    pub fn resolve(&self, cached: CachedFlow) -> Option<FlowRef<'r>> {
        self.domain.table(cached.table)?.resolve(cached.index, cached.added, self.version, self.guard)
    }

    /// The version of the latest add to `table`. What was looked up in it at version `v` is still the
    /// answer if its entry still [resolves](Self::resolve) and `last_add(table) <= v`
    /// (modify and delete raise nothing: they make the entry itself vanish). For an answer "no
    /// entry" the second condition alone decides.
    #[inline]
    pub fn last_add(&self, table: TableId) -> u64 {
        self.domain.table(table).map_or(0, |t| t.changes.last_add())
    }

    /// The changes of `table`.
    #[inline]
    pub(crate) fn changes(&self, table: TableId) -> Option<&'r Changes> {
        self.domain.table(table).map(|t| &*t.changes)
    }

    pub(crate) fn guard(&self) -> Guard<'r> {
        self.guard
    }

    /// Counts packets and bytes on an entry. Call before transmitting.
    #[inline]
    pub fn count(&self, stats: StatsId, packets: u64, bytes: u64, now: Time) {
        self.counters.count(stats, packets, bytes, now, self.guard);
    }

    /// Asks for the memory that [`count`](Self::count) will touch.
    #[inline]
    pub fn prefetch_count(&self, stats: StatsId) {
        self.counters.prefetch(stats, self.guard);
    }

    /// Counts lookups and hits of a table.
    #[inline]
    pub fn count_table(&self, table: TableId, lookups: u64, matched: u64) {
        self.counters.count_table(table, lookups, matched);
    }
}
