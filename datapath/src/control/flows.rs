//! Flow-mods, by each version's rules (OpenFlow 1.3.5 §6.4, §7.3.4.1 and their predecessors).

use super::book::{CompileKey, Within, plain_key};
use super::identity::Identities;
use super::modify::facts;
use super::{Cause, Control, FlowChangeKind};
use crate::clock::Time;
use crate::key::FlowKey;
use crate::program::{Context, Place, QueueSet, Queues};
use crate::publish::Published;
use crate::table::compile::Form;
use crate::table::{Behaviour, FlowBody, FlowRef, FlowTable, Values};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemovedReason};
use ofproto::ids::{Cookie, GroupId, PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use smallvec::SmallVec;
use std::cell::LazyCell;
use std::sync::Arc;

/// What a flow-mod did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowModOutcome {
    /// Entries that are new (one that replaces an identical one counts).
    pub added: usize,
    /// Entries whose instructions were set.
    pub modified: usize,
    /// Entries that ended; evicted ones count.
    pub removed: usize,
}

/// Entries by table and slot; a strict request means one at most in each table.
pub(super) type Found = SmallVec<[(TableId, u32); 4]>;

/// Which entries a request means.
pub(super) struct Filter {
    pub(super) within: Within,
    pub(super) terms: Terms,
}

/// What a request asks of entries besides their match.
pub(super) struct Terms {
    pub(super) cookie: (Cookie, u64),
    pub(super) out_port: PortNo,
    pub(super) out_group: GroupId,
}

impl Terms {
    /// Whether an entry that lies within the match also has the cookie and the outputs.
    pub(super) fn admits(&self, body: &FlowBody) -> bool {
        let (cookie, bits) = self.cookie;
        let uses = &body.behaviour.program.uses;
        (body.cookie.0 ^ cookie.0) & bits == 0
            && (self.out_port == PortNo::ANY || uses.ports.contains(&self.out_port))
            && (self.out_group == GroupId::ANY || uses.groups.contains(&self.out_group))
    }
}

impl Control {
    /// Carries out a flow-mod. The buffered packet it may name is the caller's business.
    ///
    /// # Errors
    /// `OFPFMFC_*`, `OFPBMC_*`, `OFPBIC_*`, `OFPBAC_*` as the specification says; nothing is changed then.
    pub fn flow_mod(&mut self, version: Version, m: &FlowMod, now: Time) -> Result<FlowModOutcome, OfError> {
        // As `atomically`, but a flow-mod changes nothing of the state but the union mask.
        let (ops, staged) = (self.ops.len(), self.staged.len());
        let changed = self.state_changed;
        self.narrower = None;
        self.depth += 1;
        let result = self.apply_flow_mod(version, m, now);
        self.depth -= 1;
        match &result {
            Ok(_) => self.finish(now),
            Err(_) => {
                self.undo(ops);
                self.staged.truncate(staged);
                if let Some(before) = self.narrower.take() {
                    (self.state.union_mask, self.state.union_epoch) = before;
                }
                self.state_changed = changed;
            }
        }
        result
    }

    /// Whether there is an entry that this request would replace if it were an ADD.
    ///
    /// # Errors
    /// The match means nothing in this version.
    pub fn would_replace(&mut self, version: Version, m: &FlowMod) -> Result<bool, OfError> {
        let mut value = FlowKey::default();
        let form = self.compiler.compile(&mut value, &m.matching, version)?;
        let rank = if form.exact10 { 0x1_0000 } else { u32::from(m.priority) };
        let shape = self.share_shape(&form);
        let found = self.shared(m.table).and_then(|s| {
            let table = self.tables.get(usize::from(m.table.0))?;
            table.find(s, &value, &shape, rank, self.writer.guard())
        });
        Ok(found.is_some())
    }

    fn apply_flow_mod(&mut self, version: Version, m: &FlowMod, now: Time) -> Result<FlowModOutcome, OfError> {
        self.check_flow_mod(version, m)?;
        match m.command {
            FlowModCommand::Add => self.add(version, m, now),
            FlowModCommand::Modify | FlowModCommand::ModifyStrict => self.modify_flows(version, m, now),
            FlowModCommand::Delete | FlowModCommand::DeleteStrict => self.delete(version, m, now),
            FlowModCommand::Unknown(n) => {
                Err(OfError::new(ErrorKind::FlowModFailedBadCommand, "command", format!("{n} is no flow-mod command")))
            }
        }
    }

    /// What can be judged without looking into tables.
    fn check_flow_mod(&self, version: Version, m: &FlowMod) -> Result<(), OfError> {
        let mut known = FlowModFlags::SEND_FLOW_REM | FlowModFlags::CHECK_OVERLAP;
        match version {
            Version::V10 => known |= FlowModFlags::EMERG,
            Version::V11 => {}
            Version::V12 => known |= FlowModFlags::RESET_COUNTS,
            _ => {
                known |= FlowModFlags::RESET_COUNTS | FlowModFlags::NO_PKT_COUNTS | FlowModFlags::NO_BYT_COUNTS;
            }
        }
        let bad = m.flags - known;
        if !bad.is_empty() {
            return Err(OfError::new(
                ErrorKind::FlowModFailedBadFlags,
                "flags",
                format!("bits {:#x} are not defined in OpenFlow {version}", bad.bits()),
            ));
        }
        let deletes = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        if version == Version::V10 && m.flags.contains(FlowModFlags::EMERG) && !deletes {
            if m.idle_timeout != 0 || m.hard_timeout != 0 {
                return Err(OfError::new(
                    ErrorKind::FlowModFailedBadEmergTimeout,
                    "idle_timeout",
                    "an emergency entry has no timeouts",
                ));
            }
            return Err(OfError::new(
                ErrorKind::FlowModFailedAllTablesFull,
                "flags",
                "there is no table for emergency entries",
            ));
        }
        let n = self.n_tables();
        if m.table == TableId::ALL {
            let modifies = matches!(m.command, FlowModCommand::Modify | FlowModCommand::ModifyStrict);
            let allowed = deletes || modifies && version == Version::V10;
            if !allowed {
                return Err(OfError::new(
                    ErrorKind::FlowModFailedBadTableId,
                    "table_id",
                    "all tables can only be named to delete from",
                ));
            }
        } else if m.table.0 >= n || !self.state.tables[usize::from(m.table.0)].enabled {
            return Err(Self::no_table(ErrorKind::FlowModFailedBadTableId, m.table, n));
        }
        Ok(())
    }

    pub(super) fn shared(&self, table: TableId) -> Option<&FlowTable> {
        self.domain.table(table)
    }

    /// The behaviour of `instructions` in an entry with this match.
    pub(super) fn behaviour(
        &mut self,
        version: Version,
        table: TableId,
        matching: &Match,
        shape: usize,
        priority: u16,
        instructions: &[Instruction],
    ) -> Result<Arc<Behaviour>, OfError> {
        let key = CompileKey { version, table, priority_zero: priority == 0, shape, facts: facts(matching) };
        let (state, queues) = (&self.state, self.queues.as_ref());
        self.behaviours.share(key, instructions, || {
            let place = Place::Flow { table, matching, priority };
            let program = crate::program::compile(instructions, &context(state, queues, version, place))?;
            Ok(Behaviour { instructions: instructions.into(), program })
        })
    }

    pub(super) fn add(&mut self, version: Version, m: &FlowMod, now: Time) -> Result<FlowModOutcome, OfError> {
        let mut value = FlowKey::default();
        let form = self.compiler.compile(&mut value, &m.matching, version)?;
        let exact10 = form.exact10;
        let priority = if exact10 { u16::MAX } else { m.priority };
        let rank = if exact10 { 0x1_0000 } else { u32::from(priority) };
        let hash = super::book::identity(&value, &form.shape, rank);
        self.tables[usize::from(m.table.0)].foresee(hash, &value, &form.shape);
        self.check_features(m.table, m)?;
        let shape = self.share_shape(&form);
        let behaviour =
            self.behaviour(version, m.table, &m.matching, Arc::as_ptr(&shape) as usize, priority, &m.instructions)?;
        let t = usize::from(m.table.0);
        let old = self
            .shared(m.table)
            .and_then(|s| self.tables[t].find_hashed(s, hash, &value, &shape, rank, self.writer.guard()));
        if m.flags.contains(FlowModFlags::CHECK_OVERLAP) {
            self.check_overlap(m.table, &value, &shape.mask.key(), rank, old)?;
        }
        let mut outcome = FlowModOutcome { added: 1, ..FlowModOutcome::default() };
        if old.is_none() && self.tables[t].live >= self.tables[t].configuration.max_entries {
            self.evict(version, m.table, m.importance)?;
            outcome.removed += 1;
        }
        let created = self.creation(now);
        let reset = version < Version::V12 || m.flags.contains(FlowModFlags::RESET_COUNTS);
        let inherited = old.filter(|_| !reset).and_then(|i| self.body(m.table, i).map(|b| b.stats));
        let replaces = old.is_some();
        let before = old.and_then(|i| self.watched(m.table, i));
        if let Some(i) = old {
            self.end(m.table, i, Cause::Replaced, inherited.is_none());
        }
        let (stats, fresh) = match inherited {
            Some(id) => (id, false),
            None => (self.counters.allocate(Time::ZERO, &self.writer), true),
        };
        let body = FlowBody {
            cookie: m.cookie,
            behaviour,
            values: Values::new(&shape, &value),
            created,
            stats,
            priority,
            idle_timeout: m.idle_timeout,
            hard_timeout: m.hard_timeout,
            importance: m.importance,
            flags: m.flags & !FlowModFlags::EMERG,
            exact10,
            table_miss: m.priority == 0 && shape.fields.is_empty() && version >= Version::V13,
            shape: Arc::clone(&shape),
        };
        let index = self.begin(m.table, body, hash, fresh);
        if !replaces && let Some(s) = self.domain.table(m.table) {
            s.changes.note_add(self.writer.next(), shape.mask.words(), &value, &mut self.writer);
        }
        let kind = if replaces { FlowChangeKind::Modified } else { FlowChangeKind::Added };
        self.tell_change(m.table, index, kind, before);
        Ok(outcome)
    }

    fn delete(&mut self, version: Version, m: &FlowMod, _now: Time) -> Result<FlowModOutcome, OfError> {
        let mut value = FlowKey::default();
        let form = self.compiler.compile(&mut value, &m.matching, version)?;
        let terms = Terms {
            cookie: (m.cookie, if version == Version::V10 { 0 } else { m.cookie_mask }),
            out_port: m.out_port,
            out_group: if version == Version::V10 { GroupId::ANY } else { m.out_group },
        };
        let strict = m.command == FlowModCommand::DeleteStrict;
        let mut found = self.select(version, m, &value, &form, strict);
        found.retain(|(t, i)| self.body(*t, *i).is_some_and(|b| terms.admits(b)));
        let removed = found.len();
        for of_table in found.chunk_by(|a, b| a.0 == b.0) {
            // All of a large table goes: nothing need be struck from the index one by one. Taking the
            // deletion back enters everything again.
            let book = &mut self.tables[usize::from(of_table[0].0.0)];
            if book.live > 1024 && of_table.len() == book.live as usize {
                book.identity = Identities::default();
            }
        }
        for (table, index) in found {
            self.end(table, index, Cause::Ended(FlowRemovedReason::Delete), true);
        }
        Ok(FlowModOutcome { removed, ..FlowModOutcome::default() })
    }

    /// Entries that the match of a modify or delete means, in table and slot order.
    pub(super) fn select(&self, version: Version, m: &FlowMod, value: &FlowKey, form: &Form, strict: bool) -> Found {
        let tables = if m.table == TableId::ALL { 0..self.n_tables() } else { m.table.0..m.table.0 + 1 };
        let rank = form.rank(version, m.priority);
        let mut found = Found::new();
        let within = LazyCell::new(|| Within::new(value, &plain_key(&form.shape.mask.key(), form.shape.hidden)));
        for table in tables.map(TableId) {
            let book = &self.tables[usize::from(table.0)];
            let Some(shared) = self.shared(table) else { continue };
            let guard = self.writer.guard();
            if strict {
                found.extend(book.find(shared, value, &form.shape, rank, guard).map(|i| (table, i)));
            } else if book.kinds.values().any(|(_, shape)| within.admits_shape(shape)) {
                // Most often nearly all.
                found.reserve(book.live as usize);
                found.extend(book.current(shared, guard).filter(|(_, b)| within.admits(b)).map(|(i, _)| (table, i)));
            }
        }
        found
    }

    /// Every current entry of a table.
    pub(super) fn all_of(&self, table: TableId) -> Vec<u32> {
        let guard = self.writer.guard();
        self.shared(table)
            .map(|s| self.tables[usize::from(table.0)].current(s, guard).map(|(i, _)| i).collect())
            .unwrap_or_default()
    }

    fn check_overlap(
        &self,
        table: TableId,
        value: &FlowKey,
        mask: &FlowKey,
        rank: u32,
        identical: Option<u32>,
    ) -> Result<(), OfError> {
        let book = &self.tables[usize::from(table.0)];
        let Some(shared) = self.shared(table) else { return Ok(()) };
        // Entries with the same mask are identical or apart.
        let own = crate::classifier::Mask::of(mask);
        if !book.kinds.iter().any(|((r, _), (_, s))| *r == rank && s.mask != own) {
            return Ok(());
        }
        let hit = book
            .current(shared, self.writer.guard())
            .find(|(i, b)| Some(*i) != identical && b.rank() == rank && b.overlaps(value, mask));
        match hit {
            None => Ok(()),
            Some((_, b)) => Err(OfError::new(
                ErrorKind::FlowModFailedOverlap,
                "flags",
                format!("overlaps with the entry of cookie {} at the same priority", b.cookie),
            )),
        }
    }
}

/// What lists of actions are checked against, given the state.
pub(super) fn context<'a>(
    state: &'a Published,
    queues: Option<&'a QueueSet>,
    version: Version,
    place: Place<'a>,
) -> Context<'a> {
    Context {
        version,
        place,
        n_tables: state.config.n_tables,
        tables: &state.tables,
        first_egress: state.config.first_egress,
        groups: &state.groups,
        meters: &state.meters,
        queues: queues.map(|all| Queues { ports: &state.ports, all }),
    }
}

/// An entry as the statistics reply shows it, from a record.
pub(super) fn view<'g>(shared: &'g FlowTable, index: u32, guard: crate::publish::Guard<'g>) -> Option<FlowRef<'g>> {
    FlowRef::of_writer(&shared.slab, index, guard)
}
