//! Reading: dumps of flows in pieces, sums, table statistics.

use super::Control;
use super::book::{Within, plain_key};
use super::flows::{Filter, Terms, view};
use crate::clock::Time;
use crate::publish::CachedFlow;
use crate::table::FlowBody;
use crate::table::compile::compile;
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::flow::FlowMod;
use ofproto::ids::{GroupId, MeterId, TableId};
use ofproto::matching::Match;
use ofproto::stats::{AggregateStats, FlowDesc, FlowStats, FlowStatsRequest};
use ofproto::table::TableStats;

/// A dump in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DumpId(pub u64);

/// Where a dump stands. It shows the flows of one version, however long it takes.
pub(super) struct Dump {
    filter: Filter,
    pub(super) version: u64,
    table: u8,
    last_table: u8,
    next: u32,
}

/// Descriptions of flows that are written over earlier ones, whose lists of fields and instructions are used again.
struct Refilled<'a> {
    flows: &'a mut Vec<FlowDesc>,
    /// How many are new.
    filled: usize,
}

impl Refilled<'_> {
    /// A description of its own.
    fn one(table: TableId, b: &FlowBody, stats: FlowStats) -> Option<FlowDesc> {
        let mut flows = Vec::with_capacity(1);
        Refilled { flows: &mut flows, filled: 0 }.put(table, b, stats);
        flows.pop()
    }

    fn put(&mut self, table: TableId, b: &FlowBody, stats: FlowStats) {
        if self.filled == self.flows.len() {
            self.flows.push(FlowDesc::added(FlowMod::default(), FlowStats::default()));
        }
        let Some(flow) = self.flows.get_mut(self.filled) else { return };
        self.filled += 1;
        let Match { fields, unknown, fixed } = &mut flow.matching;
        unknown.clear();
        *fixed = None;
        fields.clear();
        fields.extend(b.shape.match_fields(&b.value()));
        // Flows often come in rows that do the same.
        if *flow.instructions != *b.behaviour.instructions {
            flow.instructions.clear();
            flow.instructions.extend_from_slice(&b.behaviour.instructions);
        }
        // Field by field, where it stays.
        flow.table = table;
        flow.priority = b.priority;
        flow.idle_timeout = b.idle_timeout;
        flow.hard_timeout = b.hard_timeout;
        flow.flags = b.flags;
        flow.importance = b.importance;
        flow.cookie = b.cookie;
        flow.stats = stats;
    }
}

/// Slots looked at in one call at most, so that a filter that few flows pass doesn't block.
const LOOKS: usize = 65_536;

impl Control {
    /// How a table's entries are looked up now, and what a lookup costs at most; `None` if there is no such table.
    pub fn table_structure(&self, table: TableId) -> Option<crate::classifier::Description> {
        Some(self.tables.get(usize::from(table.0))?.classifier.describe())
    }

    fn filter(&self, r: &FlowStatsRequest, version: Version) -> Result<Filter, OfError> {
        if r.table != TableId::ALL && (r.table.0 >= self.n_tables()) {
            return Err(Self::no_table(ErrorKind::BadRequestBadTableId, r.table, self.n_tables()));
        }
        let c = compile(&r.matching, version)?;
        Ok(Filter {
            within: Within::new(&c.value, &plain_key(&c.mask(), c.shape.hidden)),
            terms: Terms {
                cookie: (r.cookie, if version == Version::V10 { 0 } else { r.cookie_mask }),
                out_port: r.out_port,
                out_group: if version == Version::V10 { GroupId::ANY } else { r.out_group },
            },
        })
    }

    /// Starts a dump of the flows that `request` means, as of now. Fetch them with
    /// [`next_flows`](Self::next_flows) and close it with [`end_dump`](Self::end_dump): what a dump
    /// still has to show is not freed.
    ///
    /// # Errors
    /// `OFPBRC_BAD_TABLE_ID`, `OFPBMC_*`.
    pub fn flow_stats(&mut self, request: &FlowStatsRequest, version: Version) -> Result<DumpId, OfError> {
        let filter = self.filter(request, version)?;
        let (table, last_table) = match request.table {
            TableId::ALL => (0, self.n_tables() - 1),
            one => (one.0, one.0),
        };
        let id = self.next_dump;
        self.next_dump += 1;
        let version = self.writer.pin();
        self.dumps.insert(id, Dump { filter, version, table, last_table, next: 0 });
        Ok(DumpId(id))
    }

    /// The next flows of a dump, `most` at most and perhaps none although more follow; `true` with the
    /// last ones, and the dump is closed. Counters are those of now.
    pub fn next_flows(&mut self, dump: DumpId, most: usize, now: Time) -> (Vec<FlowDesc>, bool) {
        let mut out = Vec::new();
        let ended = self.next_flows_into(dump, most, now, &mut out);
        (out, ended)
    }

    /// As [`next_flows`](Self::next_flows), into the memory of flows shown earlier, which are gone.
    pub fn next_flows_into(&mut self, dump: DumpId, most: usize, now: Time, flows: &mut Vec<FlowDesc>) -> bool {
        let mut out = Refilled { flows, filled: 0 };
        let ended = self.go_on_dumping(dump, most, now, &mut out);
        out.flows.truncate(out.filled);
        ended
    }

    fn go_on_dumping(&mut self, dump: DumpId, most: usize, now: Time, out: &mut Refilled<'_>) -> bool {
        let Some(mut d) = self.dumps.remove(&dump.0) else { return true };
        let mut looks = 0;
        while d.table <= d.last_table {
            if !self.dump_table(&mut d, most, &mut looks, now, out) {
                self.dumps.insert(dump.0, d);
                return false;
            }
            d.next = 0;
            if d.table == u8::MAX {
                break;
            }
            d.table += 1;
        }
        self.writer.unpin(d.version);
        true
    }

    /// Goes on in the dump's table; whether it is through.
    fn dump_table(&self, d: &mut Dump, most: usize, looks: &mut usize, now: Time, out: &mut Refilled<'_>) -> bool {
        let Some(shared) = self.writer.domain().table(TableId(d.table)) else { return true };
        let book = &self.tables[usize::from(d.table)];
        let guard = self.writer.guard();
        loop {
            d.next = book.slab.next_used(d.next);
            if d.next >= book.slab.limit() {
                return true;
            }
            if out.filled >= most || *looks >= LOOKS {
                return false;
            }
            *looks += 1;
            let index = d.next;
            d.next += 1;
            if let Some(slot) = shared.slab.slot(index, guard)
                && slot.is_visible(d.version)
                && let Some(flow) = view(shared, index, guard)
            {
                let b = flow.body();
                if d.filter.within.admits(b) && d.filter.terms.admits(b) {
                    out.put(TableId(d.table), b, self.flow_stats_of(b.created, b.stats, now));
                }
            }
        }
    }

    /// An entry's description, as long as it hasn't been freed since it was seen; counters are those of now.
    pub fn flow_at(&self, at: CachedFlow, now: Time) -> Option<FlowDesc> {
        let shared = self.writer.domain().table(at.table)?;
        let flow = view(shared, at.index, self.writer.guard()).filter(|f| f.added() == at.added)?;
        let b = flow.body();
        Refilled::one(at.table, b, self.flow_stats_of(b.created, b.stats, now))
    }

    /// Closes a dump before its end.
    pub fn end_dump(&mut self, dump: DumpId) {
        if let Some(d) = self.dumps.remove(&dump.0) {
            self.writer.unpin(d.version);
        }
    }

    /// Packets, bytes and number of the flows that `request` means.
    ///
    /// # Errors
    /// As [`flow_stats`](Self::flow_stats).
    pub fn aggregate(&self, request: &FlowStatsRequest, version: Version) -> Result<AggregateStats, OfError> {
        let filter = self.filter(request, version)?;
        let tables =
            if request.table == TableId::ALL { 0..self.n_tables() } else { request.table.0..request.table.0 + 1 };
        let mut sum = AggregateStats::default();
        for table in tables {
            let book = &self.tables[usize::from(table)];
            let Some(shared) = self.writer.domain().table(TableId(table)) else { continue };
            if !book.kinds.values().any(|(_, shape)| filter.within.admits_shape(shape)) {
                continue;
            }
            for (_, b) in book.current(shared, self.writer.guard()) {
                if filter.within.admits(b) && filter.terms.admits(b) {
                    let c = self.counters.sum(b.stats, &self.writer);
                    sum.packet_count = sum.packet_count.wrapping_add(c.packets);
                    sum.byte_count = sum.byte_count.wrapping_add(c.bytes);
                    sum.flow_count = sum.flow_count.saturating_add(1);
                }
            }
        }
        Ok(sum)
    }

    /// Statistics of every table that is part of the pipeline, in its order. What 1.0-1.2 say besides
    /// is in `legacy` and comes from [`table_features`](Self::table_features).
    pub fn table_stats(&self) -> Vec<TableStats> {
        (0..self.n_tables())
            .filter(|t| self.state.tables[usize::from(*t)].enabled)
            .map(|t| {
                let (lookup_count, matched_count) = self.counters.table(TableId(t));
                TableStats {
                    table: TableId(t),
                    active_count: self.tables[usize::from(t)].live,
                    lookup_count,
                    matched_count,
                    legacy: None,
                }
            })
            .collect()
    }

    /// How many flows a table holds.
    pub fn flow_count(&self, table: TableId) -> u32 {
        self.tables.get(usize::from(table.0)).map_or(0, |t| t.live)
    }

    /// How many flows name a group directly.
    pub fn group_references(&self, group: GroupId) -> u32 {
        self.group_refs.count(group.0)
    }

    /// How many flows name a meter.
    pub fn meter_references(&self, meter: MeterId) -> u32 {
        self.meter_refs.count(meter.0)
    }
}
