//! What must wait: final counters of ended flows, unlinking, freeing, timeouts, barriers.
//!
//! An ended flow passes three gates. When every online worker has adopted the version that ended it,
//! its counters are final and its flow-removed message is told. Then it is unlinked from its table's
//! structure. A grace period after that, its slot and its counters are free for others.

use super::{Cause, Control, Event, Op};
use crate::clock::Time;
use crate::counters::StatsId;
use crate::publish::Domain;
use crate::table::NEVER;
use ofproto::flow::{FlowModFlags, FlowRemoved, FlowRemovedReason};
use ofproto::ids::TableId;
use ofproto::stats::FlowStats;
use std::collections::VecDeque;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

/// Items handled in one turn, of all kinds that have any: about half a millisecond's work.
const TURN: usize = 1024;
/// As much work as an item: placing half an entry anew, giving back a piece of memory.
const PLACING: usize = 2;
/// How many records before its turn a record's memory is asked for.
const AHEAD: usize = 8;
/// Ended flows that dumps in progress may keep.
const MAX_KEPT_FOR_DUMPS: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Queues {
    /// Flow-removed messages to tell once everyone has adopted the version.
    notices: VecDeque<Notice>,
    /// Records to unlink once everyone has adopted the version.
    ended: VecDeque<(u64, TableId, u32, bool)>,
    /// Slots to free once everyone has adopted the version.
    unlinked: VecDeque<(u64, TableId, u32, Option<StatsId>)>,
    /// Tables that should be placed anew.
    unplaced: Vec<TableId>,
    /// Memory to give back, one piece of work each turn.
    chores: VecDeque<Chore>,
}

/// A pass over something that has shrunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chore {
    Slab(TableId),
    Index(TableId),
    Counters,
    Queues,
    Shapes,
    /// After all else: what the C library keeps.
    Heaps,
}

struct Notice {
    version: u64,
    table: TableId,
    index: u32,
    reason: FlowRemovedReason,
    at: Time,
}

impl Queues {
    pub(super) fn free_later(&mut self, version: u64, table: TableId, index: u32, stats: Option<StatsId>) {
        self.unlinked.push_back((version, table, index, stats));
    }
}

/// A point in the stream of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BarrierToken(pub u64);

/// How a turn went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// More could be done at once: call again soon.
    pub busy: bool,
    /// Something waits for workers to move on: call again within some milliseconds, or after the next event.
    pub waiting: bool,
    /// When a timeout or a statistics' threshold may be due at the earliest; `None` if no flow has one.
    pub next: Option<Time>,
}

impl Control {
    /// Does a turn of what had to wait: timeouts due at `now`, messages of ended flows, freeing.
    /// A turn takes about a millisecond at most.
    pub fn tick(&mut self, now: Time) -> Tick {
        self.take_in_gone();
        let leaving = self.counters.take_in(&self.writer);
        let share = TURN / self.kinds_of_work().max(1);
        let expiring = self.expire(now, share);
        self.look_at_statistics(now);
        self.limit_dumps();
        self.tell_ended(share);
        self.unlink(share);
        self.free(share);
        if let Some(chore) = self.reclaim.chores.pop_front() {
            self.give_back(chore);
        }
        let placing = self.place_anew(share / PLACING);
        let garbage = self.writer.collect(share);
        let queues = &self.reclaim;
        let pending = !(queues.notices.is_empty() && queues.ended.is_empty() && queues.unlinked.is_empty());
        let oldest = self.writer.oldest_seen();
        let ready = queues.notices.front().is_some_and(|n| n.version <= oldest)
            || !queues.chores.is_empty()
            || queues.ended.front().is_some_and(|e| e.0 <= oldest)
            || queues.unlinked.front().is_some_and(|e| e.0 <= self.writer.oldest_used().max(1) && e.0 <= oldest);
        if self.needs_version() {
            // Nothing else may move the version on.
            self.writer.publish(None);
        }
        Tick {
            busy: expiring || ready || placing || leaving,
            waiting: pending || garbage,
            next: (self.wheel.len() > 0)
                .then(|| now + Duration::from_millis(50))
                .into_iter()
                .chain(self.triggers.next())
                .min(),
        }
    }

    /// How many kinds of work there are to do, as far as that is known beforehand.
    fn kinds_of_work(&self) -> usize {
        let (q, oldest) = (&self.reclaim, self.writer.oldest_seen());
        let kinds = [
            self.wheel.len() > 0,
            q.notices.front().is_some_and(|n| n.version <= oldest),
            q.ended.front().is_some_and(|e| e.0 <= oldest),
            q.unlinked.front().is_some_and(|u| u.0 <= oldest),
            !q.chores.is_empty(),
            !q.unplaced.is_empty(),
        ];
        kinds.into_iter().filter(|has| *has).count()
    }

    /// Goes on with placing tables anew whose contents have changed much, one of them; whether there is more to do.
    fn place_anew(&mut self, budget: usize) -> bool {
        let domain = Arc::clone(self.writer.domain());
        while let Some(table) = self.reclaim.unplaced.last().copied() {
            let book = &mut self.tables[usize::from(table.0)];
            let mut later = false;
            if let Some(shared) = domain.table(table) {
                for (book, readers) in
                    [(&mut book.classifier, &shared.classifier), (&mut book.clauses, &shared.clauses)]
                {
                    if book.has_work_now() {
                        book.work(readers, &shared.slab, budget, &mut self.writer);
                        return true;
                    }
                    later |= book.has_work(true);
                }
            }
            if later {
                return true;
            }
            self.reclaim.unplaced.pop();
        }
        false
    }

    /// Whether something waits for a version that isn't published yet.
    fn needs_version(&self) -> bool {
        let next = self.writer.next();
        let last = self.reclaim.unlinked.back().map(|u| u.0);
        last == Some(next) || self.writer.youngest_garbage() == Some(next)
    }

    /// A dump that nobody fetches keeps every flow that has ended since: beyond a limit, the oldest
    /// dumps end early.
    fn limit_dumps(&mut self) {
        if self.reclaim.unlinked.len() > MAX_KEPT_FOR_DUMPS
            && self.writer.oldest_used() < self.writer.oldest_seen()
            && let Some(id) = self.dumps.keys().min().copied()
        {
            self.end_dump(super::DumpId(id));
        }
    }

    /// A token for everything done so far.
    pub fn barrier(&self) -> BarrierToken {
        BarrierToken(self.writer.published())
    }

    /// Whether every online worker has adopted everything up to the token, and every flow-removed
    /// message of a flow that ended before it is among the [`events`](Self::events). It becomes so
    /// by workers moving on and [`tick`](Self::tick) being called. While workers are waited for, the last that moves on
    /// calls what [`on_adoption`](Self::on_adoption) set.
    pub fn barrier_done(&self, token: BarrierToken) -> bool {
        self.writer.is_adopted(token.0) && self.reclaim.notices.front().is_none_or(|n| n.version > token.0)
    }

    /// Sets what is called when all workers have adopted what a [barrier](Self::barrier_done) waits for: on a worker's
    /// thread, so it must only wake somebody. Once; later calls change nothing.
    pub fn on_adoption(&self, ring: impl Fn() + Send + Sync + 'static) {
        self.writer.on_adoption(ring);
    }

    /// Files what a publication did.
    pub(super) fn settle(&mut self, version: u64, now: Time) {
        let mut ops = take(&mut self.ops);
        let mut touched = [0u64; 4];
        let mut touch = |table: TableId| touched[usize::from(table.0) / 64] |= 1 << (table.0 % 64);
        for op in ops.drain(..) {
            match op {
                Op::Added { table, index, modified, .. } => {
                    touch(table);
                    self.watch_statistics(table, index, now);
                    let Some((created, idle, hard)) =
                        self.body(table, index).map(|b| (b.created, b.idle_timeout, b.hard_timeout))
                    else {
                        continue;
                    };
                    if idle == 0 && hard == 0 {
                        continue;
                    }
                    self.timed.insert(created.0, (table, index));
                    if !modified {
                        let end = |s: u16| if s == 0 { u64::MAX } else { u64::from(s) * 1_000_000_000 };
                        let due = Time(created.0.saturating_add(end(idle).min(end(hard))));
                        self.arm(due, created);
                    }
                }
                Op::Removed { table, index, cause, release_stats } => {
                    touch(table);
                    let Some((created, flags)) = self.body(table, index).map(|b| (b.created, b.flags)) else {
                        continue;
                    };
                    if cause != Cause::Modified && !self.timed.is_empty() {
                        self.timed.remove(&created.0);
                    }
                    if cause != Cause::Modified && !self.triggers.is_empty() {
                        self.triggers.forget(created);
                    }
                    if let Cause::Ended(reason) = cause
                        && flags.contains(FlowModFlags::SEND_FLOW_REM)
                    {
                        self.reclaim.notices.push_back(Notice { version, table, index, reason, at: now });
                    }
                    self.reclaim.ended.push_back((version, table, index, release_stats));
                }
                Op::Configured { table, .. } => touch(table),
            }
        }
        if ops.capacity() <= 4096 {
            // Kept for the next change; after a large one the memory goes back.
            self.ops = ops;
        }
        for (i, mut tables) in (0u8..).zip(touched) {
            while tables != 0 {
                let table = TableId(i * 64 + tables.trailing_zeros() as u8);
                self.watch_vacancy(table);
                let book = &self.tables[usize::from(table.0)];
                if (book.classifier.has_work(true) || book.clauses.has_work(true))
                    && !self.reclaim.unplaced.contains(&table)
                {
                    self.reclaim.unplaced.push(table);
                }
                tables &= tables - 1;
            }
        }
    }

    pub(super) fn arm(&mut self, due: Time, created: Time) {
        if self.wheel.len() > 2 * self.timed.len() + 4096 {
            // Mostly flows that have gone: start over with those that are left.
            self.wheel.clear();
            let all: Vec<u64> = self.timed.keys().copied().collect();
            for c in all {
                self.wheel.arm(self.due(Time(c)).map_or(due, |d| d.0), c);
            }
            return;
        }
        self.wheel.arm(due, created.0);
    }

    /// When the flow created then ends if no further packet comes, and why.
    pub(super) fn due(&self, created: Time) -> Option<(Time, FlowRemovedReason)> {
        let (table, index) = *self.timed.get(&created.0)?;
        let b = self.body(table, index)?;
        let hard = (b.hard_timeout != 0).then(|| created + Duration::from_secs(b.hard_timeout.into()));
        let idle = (b.idle_timeout != 0).then(|| {
            let used = self.counters.sum(b.stats, &self.writer).used.max(created);
            used + Duration::from_secs(b.idle_timeout.into())
        });
        match (hard, idle) {
            (Some(h), Some(i)) if i < h => Some((i, FlowRemovedReason::IdleTimeout)),
            (Some(h), _) => Some((h, FlowRemovedReason::HardTimeout)),
            (None, Some(i)) => Some((i, FlowRemovedReason::IdleTimeout)),
            (None, None) => None,
        }
    }

    /// Ends flows whose time is up; whether more are due.
    fn expire(&mut self, now: Time, budget: usize) -> bool {
        let mut due = Vec::new();
        let more = self.wheel.due(now, budget, &mut due);
        for created in due.into_iter().map(Time) {
            let Some((at, reason)) = self.due(created) else { continue };
            if at > now {
                self.wheel.arm(at, created.0);
                continue;
            }
            if let Some((table, index)) = self.timed.get(&created.0).copied() {
                self.end(table, index, Cause::Ended(reason), true);
            }
        }
        self.finish(now);
        more
    }

    fn tell_ended(&mut self, budget: usize) {
        let oldest = self.writer.oldest_seen();
        for _ in 0..budget {
            if self.reclaim.notices.front().is_none_or(|n| n.version > oldest) {
                break;
            }
            let Some(n) = self.reclaim.notices.pop_front() else { break };
            let Some(b) = self.body(n.table, n.index) else { continue };
            let message = FlowRemoved {
                cookie: b.cookie,
                priority: b.priority,
                reason: n.reason,
                table: n.table,
                idle_timeout: b.idle_timeout,
                hard_timeout: b.hard_timeout,
                stats: self.flow_stats_of(b.created, b.stats, n.at),
                matching: b.matching(),
            };
            self.events.push_back(Event::FlowRemoved(message));
        }
    }

    pub(super) fn flow_stats_of(&self, created: Time, stats: StatsId, now: Time) -> FlowStats {
        let count = self.counters.sum(stats, &self.writer);
        let alive = now.since(created);
        let idle = now.since(count.used.max(created));
        FlowStats {
            duration_sec: u32::try_from(alive.as_secs()).unwrap_or(u32::MAX),
            duration_nsec: alive.subsec_nanos(),
            packet_count: count.packets,
            byte_count: count.bytes,
            idle: Some((u32::try_from(idle.as_secs()).unwrap_or(u32::MAX), idle.subsec_nanos())),
            oxs: None,
        }
    }

    fn unlink(&mut self, budget: usize) {
        let oldest = self.writer.oldest_seen();
        let untold = self.reclaim.notices.front().map_or(u64::MAX, |n| n.version);
        let domain = Arc::clone(self.writer.domain());
        let mut touched = Vec::new();
        for _ in 0..budget {
            let Some((version, table, index, release)) = self.reclaim.ended.front().copied() else { break };
            if version > oldest || version >= untold {
                break;
            }
            self.reclaim.ended.pop_front();
            self.foresee(&domain);
            let Some(shared) = domain.table(table) else { continue };
            let book = &mut self.tables[usize::from(table.0)];
            let guard = self.writer.guard();
            let body = shared.slab.slot(index, guard).and_then(|s| s.body(guard));
            let clause = body.is_some_and(|b| b.behaviour.is_clause());
            let (structure, readers) = book.structure(shared, clause);
            structure.remove(readers, &shared.slab, index, &mut self.writer);
            if touched.last() != Some(&table) {
                touched.push(table);
            }
            let stats = release.then(|| self.body(table, index).map(|b| b.stats)).flatten();
            self.reclaim.unlinked.push_back((self.writer.next(), table, index, stats));
        }
        touched.sort_unstable();
        touched.dedup();
        for table in touched {
            let Some(shared) = domain.table(table) else { continue };
            let book = &mut self.tables[usize::from(table.0)];
            book.classifier.flush(&shared.classifier, &shared.slab, &mut self.writer);
            book.clauses.flush(&shared.clauses, &shared.slab, &mut self.writer);
            // Every record linked: current ones, and those ended but not yet unlinked, are few here.
            if book.classifier.wants_relaxing() && book.classifier.len() == book.live as usize {
                let live: Vec<u32> = book.current(shared, self.writer.guard()).map(|(i, _)| i).collect();
                book.classifier.relax(&shared.classifier, &shared.slab, live.into_iter(), &mut self.writer);
            }
        }
    }

    /// Asks for the memory of records that will be unlinked soon: their places first, then where they are linked.
    fn foresee(&self, domain: &Domain) {
        let of = |ahead: usize| {
            let (_, table, index, _) = *self.reclaim.ended.get(ahead)?;
            Some((domain.table(table)?, usize::from(table.0), index))
        };
        if let Some((shared, _, index)) = of(2 * AHEAD) {
            shared.slab.prefetch(index);
        }
        if let Some((shared, table, index)) = of(AHEAD) {
            self.tables[table].classifier.prefetch(&shared.slab, index, &self.writer);
        }
    }

    fn free(&mut self, budget: usize) {
        let oldest = self.writer.oldest_used();
        let domain = Arc::clone(self.writer.domain());
        let mut touched = Vec::new();
        for _ in 0..budget {
            let Some((version, table, index, stats)) = self.reclaim.unlinked.front().copied() else { break };
            if version > oldest {
                break;
            }
            self.reclaim.unlinked.pop_front();
            if let Some(stats) = stats {
                self.counters.release(stats, &self.writer);
            }
            let Some(shared) = domain.table(table) else { continue };
            let book = &mut self.tables[usize::from(table.0)];
            debug_assert!(shared.slab.slot(index, self.writer.guard()).is_some_and(|s| s.removed() != NEVER));
            book.slab.take(&shared.slab, index, &mut self.writer);
            book.emptied += 1;
            if touched.last() != Some(&table) {
                touched.push(table);
            }
        }
        // Memory goes back when a batch of removals is through, not flow by flow.
        if self.reclaim.unlinked.is_empty() && self.reclaim.ended.is_empty() && !touched.is_empty() {
            let mut many = false;
            let mut chores = Vec::new();
            for (t, book) in (0u8..).map(TableId).zip(&mut self.tables) {
                if book.emptied >= 4096.max(book.live) || (book.emptied > 0 && book.live == 0) {
                    many |= book.emptied >= 4096;
                    book.emptied = 0;
                    chores.extend([Chore::Slab(t), Chore::Index(t)]);
                }
            }
            if many {
                chores.extend([Chore::Counters, Chore::Queues]);
            }
            chores.push(Chore::Shapes);
            if many {
                chores.push(Chore::Heaps);
            }
            chores.retain(|c| !self.reclaim.chores.contains(c));
            self.reclaim.chores.extend(chores);
        }
    }

    /// Gives memory back.
    fn give_back(&mut self, chore: Chore) {
        let domain = Arc::clone(self.writer.domain());
        match chore {
            Chore::Slab(t) => {
                if let Some(shared) = domain.table(t) {
                    self.tables[usize::from(t.0)].slab.trim(&shared.slab);
                }
            }
            Chore::Index(t) => self.tables[usize::from(t.0)].shrink(),
            Chore::Counters => self.counters.trim(),
            Chore::Queues => {
                self.timed.shrink_to_fit();
                let q = &mut self.reclaim;
                if q.notices.is_empty() && q.ended.is_empty() && q.unlinked.is_empty() {
                    let all = (take(&mut q.notices), take(&mut q.ended), take(&mut q.unlinked));
                    crate::sys::drop_aside(all);
                } else {
                    q.notices.shrink_to_fit();
                    q.ended.shrink_to_fit();
                    q.unlinked.shrink_to_fit();
                }
            }
            Chore::Heaps => crate::sys::trim_heaps(),
            Chore::Shapes => {
                self.compiler.forget();
                if self.shapes.trim() {
                    let union = self.shapes.union();
                    if union != *self.state.union_mask && self.depth == 0 {
                        self.state.union_mask = Arc::new(union);
                        self.state.union_epoch += 1;
                        self.writer.publish(Some(self.state.clone()));
                    }
                }
            }
        }
    }

    /// Takes in the counters of workers that have gone.
    pub(super) fn take_in_gone(&mut self) {
        for place in self.writer.take_gone() {
            self.counters.detach(place);
        }
    }
}
