//! Entries' beginning and end: records that show from one version on and until another, what they refer to, and
//! who is told (OpenFlow 1.3.5 §5.5, §6.4; eviction: 1.4.1 §5.5).

use super::{Cause, Control, Event, FlowChange, FlowChangeKind, Op};
use crate::clock::Time;
use crate::table::compile::Form;
use crate::table::{Behaviour, FlowBody, NEVER, NIL};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::flow::FlowRemovedReason;
use ofproto::ids::TableId;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Control {
    /// Makes room for an entry of this importance in a full table.
    pub(super) fn evict(&mut self, version: Version, table: TableId, importance: u16) -> Result<(), OfError> {
        match self.tables[usize::from(table.0)].victim(importance) {
            Some(index) => {
                self.end(table, index, Cause::Ended(FlowRemovedReason::Eviction), true);
                Ok(())
            }
            None => {
                let kind = if version == Version::V10 {
                    ErrorKind::FlowModFailedAllTablesFull
                } else {
                    ErrorKind::FlowModFailedTableFull
                };
                let max = self.tables[usize::from(table.0)].configuration.max_entries;
                Err(OfError::new(kind, "table_id", format!("table {table} holds its {max} entries")))
            }
        }
    }

    /// The time of an addition, unique.
    pub(super) fn creation(&mut self, now: Time) -> Time {
        self.last_created = Time(now.0.max(self.last_created.0 + 1));
        self.last_created
    }

    pub(super) fn is_current(&self, table: TableId, index: u32) -> bool {
        let slot = self.shared(table).and_then(|s| s.slab.slot(index, self.writer.guard()));
        slot.is_some_and(|s| s.removed() == NEVER)
    }

    pub(super) fn body(&self, table: TableId, index: u32) -> Option<&FlowBody> {
        let guard = self.writer.guard();
        self.shared(table)?.slab.slot(index, guard)?.body(guard)
    }

    /// The one copy of the match's shape; the union mask covers it from the next version on.
    pub(super) fn share_shape(&mut self, form: &Form) -> Arc<crate::classifier::Shape> {
        let shape = if form.shared {
            Arc::clone(&form.shape)
        } else {
            let shape = self.shapes.share(&form.shape);
            self.compiler.share(form, &shape);
            shape
        };
        // Even a shape known before may not be covered: a request that failed brought it in.
        let union = &self.state.union_mask.0;
        if shape.mask.words().iter().any(|(w, m)| m & !union[usize::from(*w)] != 0) {
            let mut wider = *self.state.union_mask;
            for (w, m) in shape.mask.words() {
                wider.0[usize::from(*w)] |= m;
            }
            let before = std::mem::replace(&mut self.state.union_mask, Arc::new(wider));
            self.narrower.get_or_insert((before, self.state.union_epoch));
            self.state.union_epoch += 1;
            self.state_changed = true;
        }
        shape
    }

    /// Puts a record in place; it shows with the next version.
    pub(super) fn begin(&mut self, table: TableId, body: FlowBody, identity: u32, fresh_stats: bool) -> u32 {
        let Some(shared) = self.domain.table(table) else { return NIL };
        let book = &mut self.tables[usize::from(table.0)];
        let version = self.writer.next();
        let clause = body.behaviour.is_clause();
        let index = book.slab.put(&shared.slab, body, version, &mut self.writer);
        if let Some(slot) = shared.slab.slot(index, self.writer.guard()) {
            slot.identity.store(identity, Ordering::Relaxed);
        }
        book.enter(shared, index, &self.writer);
        let (structure, readers) = book.structure(shared, clause);
        structure.insert(readers, &shared.slab, index, &mut self.writer);
        if clause {
            shared.changes.note_any(version);
        }
        self.count_cookie(table, index, true);
        self.refer(table, index, true);
        self.ops.push(Op::Added { table, index, modified: false, fresh_stats });
        index
    }

    /// Puts a record in place that goes on where `old` ends with the next version: another's instructions, cookie or
    /// timeouts, of the same match at the same rank. What follows is what an end and a beginning would do.
    pub(super) fn carry_on(&mut self, table: TableId, old: u32, body: FlowBody, fresh_stats: bool) -> u32 {
        let Some(shared) = self.domain.table(table) else { return NIL };
        let version = self.writer.next();
        let Some(before) = shared.slab.slot(old, self.writer.guard()) else { return NIL };
        let Some((was_clause, stats)) = before.body(self.writer.guard()).map(|b| (b.behaviour.is_clause(), b.stats))
        else {
            return NIL;
        };
        let clause = body.behaviour.is_clause();
        let identity = before.identity.load(Ordering::Relaxed);
        before.set_removed(version);
        shared.changes.note_end(version, stats.number());
        let book = &mut self.tables[usize::from(table.0)];
        let index = book.slab.put(&shared.slab, body, version, &mut self.writer);
        if let Some(slot) = shared.slab.slot(index, self.writer.guard()) {
            slot.identity.store(identity, Ordering::Relaxed);
        }
        book.replace(shared, old, index, &self.writer);
        let (structure, readers) = book.structure(shared, clause);
        if was_clause != clause || !structure.follow(&shared.slab, old, index, &self.writer) {
            structure.insert(readers, &shared.slab, index, &mut self.writer);
        }
        if was_clause || clause {
            // What was found by it is found no longer, though the entries found are still there.
            shared.changes.note_any(version);
        }
        self.refer(table, old, false);
        self.count_cookie(table, old, false);
        self.ops.push(Op::Removed { table, index: old, cause: Cause::Modified, release_stats: fresh_stats });
        self.count_cookie(table, index, true);
        self.refer(table, index, true);
        self.ops.push(Op::Added { table, index, modified: true, fresh_stats });
        index
    }

    /// Ends a record with the next version.
    pub(super) fn end(&mut self, table: TableId, index: u32, cause: Cause, release_stats: bool) {
        if let Cause::Ended(reason) = cause {
            self.tell_change(table, index, FlowChangeKind::Removed(reason), None);
        }
        let Some(shared) = self.domain.table(table) else { return };
        let version = self.writer.next();
        let Some((clause, stats)) = self.body(table, index).map(|b| (b.behaviour.is_clause(), b.stats)) else { return };
        if let Some(slot) = shared.slab.slot(index, self.writer.guard()) {
            slot.set_removed(version);
        }
        shared.changes.note_end(version, stats.number());
        if clause {
            // What was found by it is found no longer, though the entries found are still there.
            shared.changes.note_any(version);
        }
        self.tables[usize::from(table.0)].strike(shared, index, &self.writer);
        self.refer(table, index, false);
        self.count_cookie(table, index, false);
        self.ops.push(Op::Removed { table, index, cause, release_stats });
    }

    /// Takes back everything done since `mark`, latest first.
    pub(super) fn undo(&mut self, mark: usize) {
        let domain = Arc::clone(self.writer.domain());
        while self.ops.len() > mark {
            let Some(op) = self.ops.pop() else { break };
            match op {
                Op::Added { table, index, fresh_stats, .. } => {
                    let Some(shared) = domain.table(table) else { continue };
                    let Some((stats, clause)) = self.body(table, index).map(|b| (b.stats, b.behaviour.is_clause()))
                    else {
                        continue;
                    };
                    let book = &mut self.tables[usize::from(table.0)];
                    book.strike(shared, index, &self.writer);
                    if let Some(slot) = shared.slab.slot(index, self.writer.guard()) {
                        slot.set_removed(0);
                    }
                    let (structure, readers) = book.structure(shared, clause);
                    structure.remove(readers, &shared.slab, index, &mut self.writer);
                    structure.flush(readers, &shared.slab, &mut self.writer);
                    self.refer(table, index, false);
                    self.count_cookie(table, index, false);
                    if fresh_stats {
                        self.counters.release(stats, &self.writer);
                    }
                    self.reclaim.free_later(self.writer.next(), table, index, None);
                }
                Op::Removed { table, index, .. } => {
                    let Some(shared) = domain.table(table) else { continue };
                    if let Some(slot) = shared.slab.slot(index, self.writer.guard()) {
                        slot.set_removed(NEVER);
                    }
                    self.tables[usize::from(table.0)].enter(shared, index, &self.writer);
                    self.count_cookie(table, index, true);
                    self.refer(table, index, true);
                }
                Op::Configured { table, before } => {
                    let book = &mut self.tables[usize::from(table.0)];
                    book.configuration = *before;
                    if let Some(shared) = domain.table(table) {
                        book.order_evictions(shared, &self.writer);
                    }
                }
            }
        }
    }

    /// Notes (or strikes) which groups and meters the entry names.
    pub(super) fn refer(&mut self, table: TableId, index: u32, add: bool) {
        let names = |b: &FlowBody| {
            let uses = &b.behaviour.program.uses;
            !(uses.groups.is_empty() && uses.meters.is_empty() && uses.learns.is_empty())
        };
        let Some(behaviour) = self.body(table, index).filter(|b| names(b)).map(|b| Arc::clone(&b.behaviour)) else {
            return;
        };
        let program = &behaviour.program;
        self.note_learns(&program.uses.learns, add);
        for (refs, ids) in [
            (&mut self.group_refs, program.uses.groups.iter().map(|g| g.0).collect::<smallvec::SmallVec<[u32; 4]>>()),
            (&mut self.meter_refs, program.uses.meters.iter().map(|m| m.0).collect()),
        ] {
            for id in ids {
                if add {
                    refs.add(id, table, index);
                } else {
                    refs.remove(id);
                }
            }
        }
    }

    /// What an entry does, for whoever is told of its change; nothing if nobody is.
    pub(super) fn watched(&self, table: TableId, index: u32) -> Option<Arc<Behaviour>> {
        self.body(table, index).filter(|_| self.watch_flows).map(|b| Arc::clone(&b.behaviour))
    }

    pub(super) fn tell_change(
        &mut self,
        table: TableId,
        index: u32,
        kind: FlowChangeKind,
        before: Option<Arc<Behaviour>>,
    ) {
        if !self.watch_flows {
            return;
        }
        let Some(b) = self.body(table, index) else { return };
        let change = FlowChange {
            kind,
            table,
            priority: b.priority,
            cookie: b.cookie,
            idle_timeout: b.idle_timeout,
            hard_timeout: b.hard_timeout,
            flags: b.flags,
            matching: b.matching(),
            instructions: Arc::clone(&b.behaviour.instructions),
            before: before.map(|b| Arc::clone(&b.instructions)),
        };
        self.stage(Event::FlowChanged(change));
    }
}
