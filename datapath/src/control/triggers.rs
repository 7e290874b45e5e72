//! Entries with a stat-trigger instruction: which thresholds their statistics have passed
//! (OpenFlow 1.5.1 §5.5, §7.2.5).
//!
//! Counters are looked at in turns of at most [`BUDGET`] entries, [`PERIOD`] apart, never where packets
//! are: a threshold is told up to a period after it was passed, later with more such entries than the
//! budget. Thresholds passed within one period make one message.

use super::{Control, Event};
use crate::clock::Time;
use crate::program::{StatTrigger, Statistic};
use ofproto::ids::TableId;
use ofproto::stats::FlowStatsEntry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Entries looked at in one turn.
const BUDGET: usize = 4096;
/// From turn to turn.
const PERIOD: Duration = Duration::from_millis(50);
/// `OFPFSR_STAT_TRIGGER`
const REASON: u8 = 1;

/// An entry that is watched.
struct Watch {
    table: TableId,
    index: u32,
    trigger: Arc<StatTrigger>,
    /// Of each threshold, how many multiples of it the statistic has passed (1 at most unless periodic).
    levels: Box<[u64]>,
    /// The threshold passed first, if that one alone counts from then on.
    only: Option<usize>,
}

/// All entries that are watched, by creation time.
#[derive(Default)]
pub(super) struct Triggers {
    watches: HashMap<u64, Watch, foldhash::fast::FixedState>,
    /// Who is next. Each watched entry stands here once; some that stand here are watched no longer.
    turns: std::collections::VecDeque<u64>,
    next: Time,
}

impl Triggers {
    /// Whether nothing is watched.
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// When to look next, if there is anything to look at.
    pub(super) fn next(&self) -> Option<Time> {
        (!self.watches.is_empty()).then_some(self.next)
    }

    /// The entry created then has ended.
    pub(super) fn forget(&mut self, created: Time) {
        self.watches.remove(&created.0);
        if self.turns.len() > 2 * self.watches.len() + 1024 {
            // An entry whose trigger came back may stand here twice.
            self.turns = self.watches.keys().copied().collect();
        }
    }
}

impl Control {
    /// An entry is in place: it is watched if it has a trigger, from what its statistics are now.
    pub(super) fn watch_statistics(&mut self, table: TableId, index: u32, now: Time) {
        let Some(b) = self.body(table, index) else { return };
        let created = b.created;
        let Some(trigger) = b.behaviour.program.trigger.clone() else {
            if !self.triggers.is_empty() {
                self.triggers.forget(created);
            }
            return;
        };
        if let Some(w) = self.triggers.watches.get_mut(&created.0) {
            (w.table, w.index) = (table, index);
            if w.trigger == trigger {
                return;
            }
        }
        let levels = self.levels(&trigger, table, index, now);
        let fresh = Watch { table, index, trigger, levels, only: None };
        if self.triggers.watches.insert(created.0, fresh).is_none() {
            self.triggers.turns.push_back(created.0);
        }
    }

    fn levels(&self, trigger: &StatTrigger, table: TableId, index: u32, now: Time) -> Box<[u64]> {
        let Some(b) = self.body(table, index) else { return Box::default() };
        let count = self.counters.sum(b.stats, &self.writer);
        let nanoseconds = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        trigger
            .thresholds
            .iter()
            .map(|t| {
                let value = match t.of {
                    Statistic::Duration => nanoseconds(now.since(b.created)),
                    Statistic::Idle => nanoseconds(now.since(count.used.max(b.created))),
                    Statistic::Packets => count.packets,
                    Statistic::Bytes => count.bytes,
                };
                let passed = value.checked_div(t.value).unwrap_or(0);
                if trigger.periodic { passed } else { passed.min(1) }
            })
            .collect()
    }

    /// Looks at the next entries' statistics, if it is time, and tells of thresholds that were passed.
    pub(super) fn look_at_statistics(&mut self, now: Time) {
        if self.triggers.is_empty() || now < self.triggers.next {
            return;
        }
        self.triggers.next = now + PERIOD;
        let mut passed = Vec::new();
        for _ in 0..BUDGET.min(self.triggers.turns.len()) {
            let Some(created) = self.triggers.turns.pop_front() else { break };
            let Some(w) = self.triggers.watches.get(&created) else { continue };
            self.triggers.turns.push_back(created);
            let (table, index) = (w.table, w.index);
            let levels = self.levels(&w.trigger, table, index, now);
            let mut first = None;
            for (i, (new, old)) in levels.iter().zip(&w.levels).enumerate() {
                if new > old && w.only.is_none_or(|o| o == i) {
                    first = first.or(Some(i));
                }
            }
            let only = w.only.or(first.filter(|_| w.trigger.only_first));
            if first.is_some()
                && let Some(b) = self.body(table, index)
            {
                passed.push(FlowStatsEntry {
                    table,
                    reason: REASON,
                    priority: b.priority,
                    matching: b.matching(),
                    stats: self.flow_stats_of(b.created, b.stats, now),
                });
            }
            if let Some(w) = self.triggers.watches.get_mut(&created) {
                // Lower than before: the counters began again, or a packet ended the silence.
                (w.levels, w.only) = (levels, only);
            }
        }
        if !passed.is_empty() {
            self.events.push_back(Event::FlowStats(passed));
        }
    }
}
