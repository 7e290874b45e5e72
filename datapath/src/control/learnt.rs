//! Flows that learn actions teach, as far as they are counted or end with those that taught them
//! (Nicira's `NXAST_LEARN` with `NX_LEARN_F_DELETE_LEARNED`, `NXAST_LEARN2` with a limit).
//!
//! Learnt flows are told by table and cookie, as Open vSwitch tells them. A pair is followed while some entry
//! names it in a learn action of these kinds; nothing else costs anything.

use super::{Cause, Control};
use crate::clock::Time;
use crate::program::Learns;
use crate::table::compile::compile;
use ofproto::Version;
use ofproto::error::OfError;
use ofproto::flow::{FlowMod, FlowRemovedReason};
use ofproto::ids::{Cookie, TableId};
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Learnt {
    named: HashMap<(TableId, Cookie), Named, foldhash::fast::FixedState>,
    /// Pairs that lost a learner whose end ends them, to be looked at after the change.
    left: Vec<(TableId, Cookie)>,
}

/// A table's flows with one cookie.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// Learn actions of current entries that name it.
    learners: u32,
    /// Of these, those whose end ends it.
    deleters: u32,
    /// Flows that there are.
    flows: u32,
}

impl Control {
    /// Carries out what a learn action asks for; false if `limit` (0: none) flows with its cookie are in its
    /// table already and it would be one more.
    ///
    /// # Errors
    /// As [`flow_mod`](Self::flow_mod).
    pub fn learn(&mut self, m: &FlowMod, limit: u32, now: Time) -> Result<bool, OfError> {
        if limit > 0 && self.flows_with(m.table, m.cookie) >= limit {
            let c = compile(&m.matching, Version::V15)?;
            let (rank, guard) = (u32::from(m.priority), self.writer.guard());
            let there = self.writer.domain().table(m.table).zip(self.tables.get(usize::from(m.table.0)));
            if there.and_then(|(t, book)| book.find(t, &c.value, &c.shape, rank, guard)).is_none() {
                return Ok(false);
            }
        }
        self.flow_mod(Version::V15, m, now)?;
        Ok(true)
    }

    fn flows_with(&self, table: TableId, cookie: Cookie) -> u32 {
        match self.learnt.named.get(&(table, cookie)) {
            Some(n) => n.flows,
            None => u32::try_from(self.all_with(table, cookie).len()).unwrap_or(u32::MAX),
        }
    }

    fn all_with(&self, table: TableId, cookie: Cookie) -> Vec<u32> {
        let guard = self.writer.guard();
        let there = self.writer.domain().table(table).zip(self.tables.get(usize::from(table.0)));
        there.map_or_else(Vec::new, |(t, book)| {
            book.current(t, guard).filter(|(_, b)| b.cookie == cookie).map(|(i, _)| i).collect()
        })
    }

    /// A flow with this cookie is current now, or no longer. Said before its own learn actions are noted, and
    /// after they are struck.
    pub(super) fn count_cookie(&mut self, table: TableId, index: u32, come: bool) {
        if self.learnt.named.is_empty() {
            return;
        }
        let Some(cookie) = self.body(table, index).map(|b| b.cookie) else { return };
        if let Some(n) = self.learnt.named.get_mut(&(table, cookie)) {
            n.flows = if come { n.flows + 1 } else { n.flows.saturating_sub(1) };
        }
    }

    /// An entry with these learn actions is current now, or no longer.
    pub(super) fn note_learns(&mut self, learns: &[Learns], come: bool) {
        for l in learns {
            let pair = (l.table, l.cookie);
            if come {
                if !self.learnt.named.contains_key(&pair) {
                    let flows = self.flows_with(l.table, l.cookie);
                    self.learnt.named.insert(pair, Named { learners: 0, deleters: 0, flows });
                }
                if let Some(n) = self.learnt.named.get_mut(&pair) {
                    n.learners += 1;
                    n.deleters += u32::from(l.delete);
                }
            } else if let Some(n) = self.learnt.named.get_mut(&pair) {
                n.learners = n.learners.saturating_sub(1);
                n.deleters = n.deleters.saturating_sub(u32::from(l.delete));
                if l.delete && n.deleters == 0 {
                    self.learnt.left.push(pair);
                }
                if n.learners == 0 {
                    self.learnt.named.remove(&pair);
                }
            }
        }
    }

    /// Ends flows whose last learner has ended; whether there were any.
    pub(super) fn end_left(&mut self) -> bool {
        let mut any = false;
        for pair in std::mem::take(&mut self.learnt.left) {
            // Modified rather than gone: it is named again.
            if self.learnt.named.get(&pair).is_some_and(|n| n.deleters > 0) {
                continue;
            }
            for index in self.all_with(pair.0, pair.1) {
                self.end(pair.0, index, Cause::Ended(FlowRemovedReason::Delete), true);
                any = true;
            }
        }
        any
    }
}
