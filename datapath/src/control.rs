//! The one door through which all state changes: the single writer.
//!
//! [`Control`] belongs to one thread. It has no clock and does no I/O: time comes as an argument, what
//! there is to tell is fetched with [`Control::events`]. Every request is carried out completely and
//! published as one version, or refused with the specification's error and nothing changed; a
//! [`transaction`](Control::transaction) makes one version of many requests. Workers never wait for
//! control, nor control for workers: what must wait for them (freeing, final counters of a removed
//! flow, a barrier's reply) is done by later calls of [`Control::tick`].

mod book;
mod bundle;
mod direct;
mod entries;
mod events;
mod feature_limits;
mod features;
mod flows;
mod groups;
mod identity;
mod learnt;
mod modify;
pub mod ports;
mod reclaim;
mod stats;
mod tables;
#[cfg(test)]
mod tests;
mod triggers;
mod walk;

pub use bundle::{BundleMessage, Modification};
pub use events::{Event, FlowChange, FlowChangeKind};
pub use flows::FlowModOutcome;
pub use reclaim::{BarrierToken, Tick};
pub use stats::DumpId;

use crate::clock::Time;
use crate::counters::CounterBook;
use crate::engine::InBand;
use crate::group::GroupTable;
use crate::key::FlowKey;
use crate::meter::MeterTable;
use crate::program::QueueSet;
use crate::publish::{Domain, Published, Reader, SwitchSettings, Writer};
use crate::table::compile::Compiler;
use crate::table::{FlowTable, TableSettings, Wheel};
use book::{Behaviours, References, Shapes, TableBook};
use ofproto::error::{ErrorKind, OfError};
use ofproto::ids::TableId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What a switch's tables are made with.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// How many flow tables, 1 to 255.
    pub n_tables: u8,
    /// Most entries of a table.
    pub max_entries: u32,
    /// Most workers, up to [`MAX_WORKERS`](crate::publish::MAX_WORKERS); groups and meters keep
    /// counters for so many.
    pub max_workers: usize,
    /// Most groups of each type.
    pub max_groups: u32,
    /// Most meters.
    pub max_meters: u32,
    /// Keys the hashes; unpredictable to those who send packets.
    pub seed: u64,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            n_tables: 254,
            max_entries: 1_000_000,
            max_workers: 16,
            max_groups: crate::group::MAX_GROUPS,
            max_meters: 1 << 16,
            seed: 0x5eed_0f0f_1234_5678,
        }
    }
}

/// A change in progress: what was done, for taking it back or for finishing it.
enum Op {
    Added { table: TableId, index: u32, modified: bool, fresh_stats: bool },
    Removed { table: TableId, index: u32, cause: Cause, release_stats: bool },
    Configured { table: TableId, before: Box<book::TableConfiguration> },
}

/// Why an entry's record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// An identical one takes its place.
    Replaced,
    /// It goes on with other instructions, in another record.
    Modified,
    /// The flow ends.
    Ended(ofproto::flow::FlowRemovedReason),
    /// The flow ends, and nobody is told: its table was reconfigured.
    Silently,
}

/// The switch's state and the means to change it.
pub struct Control {
    writer: Writer,
    /// The writer's; at hand while the writer is at work.
    domain: Arc<Domain>,
    counters: CounterBook,
    tables: Vec<TableBook>,
    /// The state being prepared; equal to the published one between requests.
    state: Published,
    state_changed: bool,
    ops: Vec<Op>,
    staged: Vec<Event>,
    events: VecDeque<Event>,
    /// Depth of transactions: only the outermost publishes.
    depth: u32,
    compiler: Compiler,
    /// What the union mask was, and its number, before the flow-mod that is under way made it wider.
    narrower: Option<(Arc<FlowKey>, u64)>,
    shapes: Shapes,
    behaviours: Behaviours,
    group_refs: References,
    meter_refs: References,
    /// Flows with timeouts: by creation time (unique) to where they are now.
    timed: HashMap<u64, (TableId, u32), foldhash::fast::FixedState>,
    wheel: Wheel<u64>,
    last_created: Time,
    triggers: triggers::Triggers,
    learnt: learnt::Learnt,
    reclaim: reclaim::Queues,
    /// Which queues lists of actions may name; `None`: any.
    queues: Option<QueueSet>,
    dumps: HashMap<u64, stats::Dump>,
    next_dump: u64,
    watch_flows: bool,
}

impl Control {
    /// A switch without ports, flows, groups or meters.
    pub fn new(config: ControlConfig) -> Self {
        let n = config.n_tables.clamp(1, 255);
        let workers = config.max_workers.clamp(1, crate::publish::MAX_WORKERS);
        let ids = (0..n).map(TableId);
        let shared = ids.clone().map(|id| FlowTable::new(id, config.seed)).collect();
        let state = Published {
            since: 0,
            tables: ids.clone().map(|_| TableSettings::default()).collect(),
            ports: Arc::default(),
            groups: Arc::new(GroupTable::new(config.max_groups, workers + 1, config.seed)),
            meters: Arc::new(MeterTable::new(config.max_meters, workers + 1)),
            config: SwitchSettings { n_tables: n, ..SwitchSettings::default() },
            union_mask: Arc::new(FlowKey::default()),
            union_epoch: 0,
            in_band: None,
        };
        let writer = Writer::new(state.clone(), shared, workers);
        Self {
            domain: Arc::clone(writer.domain()),
            writer,
            counters: CounterBook::new(),
            tables: ids.map(|_| TableBook::new(config.max_entries)).collect(),
            state,
            state_changed: false,
            ops: Vec::new(),
            staged: Vec::new(),
            events: VecDeque::new(),
            depth: 0,
            compiler: Compiler::default(),
            narrower: None,
            shapes: Shapes::default(),
            behaviours: Behaviours::default(),
            group_refs: References::default(),
            meter_refs: References::default(),
            timed: HashMap::default(),
            wheel: Wheel::new(),
            last_created: Time::ZERO,
            triggers: triggers::Triggers::default(),
            learnt: learnt::Learnt::default(),
            reclaim: reclaim::Queues::default(),
            queues: None,
            dumps: HashMap::new(),
            next_dump: 0,
            watch_flows: false,
        }
    }

    /// A view for one more worker, online from now on. `None` if there are
    /// as many as the configuration allows.
    pub fn attach_worker(&mut self) -> Option<Reader> {
        self.take_in_gone();
        let counters = self.counters.fresh();
        let (place, reader) = self.writer.attach(Arc::clone(&counters))?;
        self.counters.attach(place, counters);
        Some(reader)
    }

    /// The newest published version.
    pub fn version(&self) -> u64 {
        self.writer.published()
    }

    /// How many tables there are.
    pub fn n_tables(&self) -> u8 {
        self.state.config.n_tables
    }

    /// The state as published (inside a transaction: as it will be).
    pub fn state(&self) -> &Published {
        &self.state
    }

    /// Takes what there is to tell, oldest first.
    pub fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Whether every flow's change becomes an [`Event::FlowChanged`]; off at first.
    pub fn watch_flows(&mut self, on: bool) {
        self.watch_flows = on;
    }

    /// Whether it does.
    pub fn watches_flows(&self) -> bool {
        self.watch_flows
    }

    /// Sets fragment handling and the like.
    pub fn configure(&mut self, now: Time, change: impl FnOnce(&mut SwitchSettings)) {
        let before = self.state.config;
        change(&mut self.state.config);
        self.state.config.n_tables = before.n_tables;
        self.state_changed |= before != self.state.config;
        self.behaviours.forget();
        self.finish(now);
    }

    /// Lets what carries the OpenFlow channel pass beside the flow tables, or nothing any more.
    pub fn set_in_band(&mut self, now: Time, rules: Option<InBand>) {
        if self.state.in_band.as_deref() != rules.as_ref() {
            self.state.in_band = rules.map(Arc::new);
            self.state_changed = true;
            self.finish(now);
        }
    }

    /// Carries out everything that `work` does as one change: all of it becomes visible to workers at
    /// once, or, if `work` fails, nothing ever does.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub fn transaction<T, E>(&mut self, now: Time, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.atomically(now, work)
    }

    /// How many events [`events`](Self::events) would drain with those of the transaction under way: each piece of work
    /// adds its own behind them.
    pub fn told(&self) -> usize {
        self.events.len() + self.staged.len()
    }

    /// Says which queues there are: lists of actions that name others are refused from now on
    /// (`OFPBAC_BAD_QUEUE`), flows that are there stay. `None`, as at first: not known, any may be named.
    pub fn set_queues(&mut self, queues: Option<QueueSet>) {
        self.queues = queues;
        self.behaviours.forget();
    }

    fn atomically<T, E>(&mut self, now: Time, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let (ops, staged) = (self.ops.len(), self.staged.len());
        let (state, changed) = (self.state.clone(), self.state_changed);
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        match result {
            Ok(done) => {
                self.finish(now);
                Ok(done)
            }
            Err(e) => {
                self.undo(ops);
                self.staged.truncate(staged);
                self.state = state;
                self.state_changed = changed;
                self.behaviours.forget();
                Err(e)
            }
        }
    }

    fn stage(&mut self, event: Event) {
        self.staged.push(event);
    }

    /// Publishes what was done, unless a transaction goes on around it.
    fn finish(&mut self, now: Time) {
        if self.depth > 0 {
            return;
        }
        while !self.ops.is_empty() || self.state_changed {
            let state = self.state_changed.then(|| self.state.clone());
            let version = self.writer.publish(state);
            self.state_changed = false;
            self.settle(version, now);
            // What goes with what went.
            if !self.end_left() {
                break;
            }
        }
        if !self.staged.is_empty() {
            self.events.extend(self.staged.drain(..));
        }
    }

    fn no_table(kind: ErrorKind, table: TableId, n: u8) -> OfError {
        OfError::new(kind, "table_id", format!("there is no table {table}: tables are 0 to {}", n - 1))
    }
}
