//! What changes an entry that goes on: modify requests, and timeouts that are shortened (OpenFlow 1.3.5 §6.4).
//!
//! A record never changes while it is visible. A modified entry goes on in another record with the same counters, which is
//! found where the first one was.

use super::flows::FlowModOutcome;
use super::{Control, FlowChangeKind};
use crate::cache::CachedHit;
use crate::classifier::Shape;
use crate::clock::Time;
use crate::key::{FlowKey, slot};
use crate::table::{Behaviour, FlowBody, NEVER};
use ofproto::Version;
use ofproto::error::OfError;
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::TableId;
use ofproto::matching::Match;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many entries before its turn an entry's memory is asked for.
const AHEAD: usize = 8;

impl Control {
    pub(super) fn modify_flows(&mut self, version: Version, m: &FlowMod, now: Time) -> Result<FlowModOutcome, OfError> {
        let mut asked_value = FlowKey::default();
        let form = self.compiler.compile(&mut asked_value, &m.matching, version)?;
        // Where nothing matches, it is an add, and the table for the switch to choose (1.0).
        let home = if m.table == TableId::ALL { TableId(0) } else { m.table };
        let strict = m.command == FlowModCommand::ModifyStrict;
        if strict {
            let hash = super::book::identity(&asked_value, &form.shape, form.rank(version, m.priority));
            self.tables[usize::from(home.0)].identity.prefetch(hash);
        }
        // Refused even if no entry matches.
        self.check_features(home, m)?;
        let asked = self.share_shape(&form);
        let first =
            self.behaviour(version, home, &m.matching, Arc::as_ptr(&asked) as usize, m.priority, &m.instructions)?;
        let mut found = self.select(version, m, &asked_value, &form, strict);
        if version != Version::V10 && m.cookie_mask != 0 {
            found.retain(|(t, i)| self.body(*t, *i).is_some_and(|b| (b.cookie.0 ^ m.cookie.0) & m.cookie_mask == 0));
        }
        // 1.0, and 1.1 without a cookie filter: as an add.
        if found.is_empty() && (version == Version::V10 || (version == Version::V11 && m.cookie_mask == 0)) {
            if home == m.table {
                return self.add(version, m, now);
            }
            return self.add(version, &FlowMod { table: home, ..m.clone() }, now);
        }
        let reset = version >= Version::V12 && m.flags.contains(FlowModFlags::RESET_COUNTS);
        let mut outcome = FlowModOutcome::default();
        let mut last: Option<Alike> = None;
        for (n, (table, index)) in found.iter().copied().enumerate() {
            if let Some((table, index)) = found.get(n + AHEAD) {
                self.tables[usize::from(table.0)].identity.prefetch(self.identity(*table, *index));
            }
            if table != home {
                self.check_features(table, m)?;
            }
            let Some(old) = self.body(table, index) else { continue };
            let (priority, shape) = (old.priority, &old.shape);
            let behaviour = if let Some(last) = last.as_ref().filter(|l| l.is_like(table, old)) {
                Arc::clone(&last.behaviour)
            } else if Arc::ptr_eq(shape, &asked)
                && priority == m.priority
                && table == home
                && old.value() == asked_value
            {
                // The very entry that the request names: checked already.
                Arc::clone(&first)
            } else {
                let (matching, shape) = (old.matching(), Arc::clone(shape));
                let at = Arc::as_ptr(&shape) as usize;
                let behaviour = self.behaviour(version, table, &matching, at, priority, &m.instructions)?;
                let Some(old) = self.body(table, index) else { continue };
                last = Some(Alike::of(table, old, shape, Arc::clone(&behaviour)));
                behaviour
            };
            let Some(old) = self.body(table, index) else { continue };
            let cookie = if version == Version::V10 { m.cookie } else { old.cookie };
            outcome.modified += 1;
            if Arc::ptr_eq(&behaviour, &old.behaviour) && cookie == old.cookie && !reset {
                continue;
            }
            let before = self.watched(table, index);
            let mut body = old.doing(behaviour, cookie);
            if reset {
                let used = self.counters.sum(body.stats, &self.writer).used;
                body.stats = self.counters.allocate(used, &self.writer);
            }
            let new = self.carry_on(table, index, body, reset);
            self.tell_change(table, new, FlowChangeKind::Modified, before);
        }
        Ok(outcome)
    }

    /// Shortens an entry's timeouts to `idle` and `hard` seconds at most (0: leaves one as it is), as a
    /// connection's end asks for (`fin_timeout`). The hard timeout still counts from the entry's beginning, and
    /// its counters go on. Whether anything changed: not if the entry has gone or was modified since.
    pub fn shorten_timeouts(&mut self, entry: CachedHit, idle: u16, hard: u16, now: Time) -> bool {
        let current = self.shared(entry.table).and_then(|s| s.slab.slot(entry.index, self.writer.guard()));
        if current.is_none_or(|s| s.added() != entry.added || s.removed() != NEVER) {
            return false;
        }
        let Some(old) = self.body(entry.table, entry.index) else { return false };
        let shorter = |most: u16, now: u16| if most != 0 && (now == 0 || now > most) { most } else { now };
        let (idle, hard) = (shorter(idle, old.idle_timeout), shorter(hard, old.hard_timeout));
        if (idle, hard) == (old.idle_timeout, old.hard_timeout) {
            return false;
        }
        let created = old.created;
        let body = FlowBody { idle_timeout: idle, hard_timeout: hard, ..old.clone() };
        self.carry_on(entry.table, entry.index, body, false);
        self.finish(now);
        if let Some((at, _)) = self.due(created) {
            self.arm(at, created);
        }
        true
    }

    /// The hash of an entry's match and rank.
    fn identity(&self, table: TableId, index: u32) -> u32 {
        let slot = self.shared(table).and_then(|s| s.slab.slot(index, self.writer.guard()));
        slot.map_or(0, |s| s.identity.load(Ordering::Relaxed))
    }
}

/// Whether what instructions may do depends on this field's value.
fn is_fact(id: FieldId) -> bool {
    FACTS.contains(&id)
}

/// The fields that decide what instructions may do.
const FACTS: [FieldId; 6] =
    [FieldId::EthType, FieldId::IpProto, FieldId::VlanVid, FieldId::Icmpv6Type, FieldId::PacketType, FieldId::VlanTci];

/// The values of [`FACTS`] in a match.
pub(super) fn facts(matching: &Match) -> [u128; 6] {
    let mut facts = [u128::MAX; 6];
    for f in matching.fields.iter().rev() {
        if let Some(i) = FACTS.iter().position(|id| *id == f.id) {
            facts[i] = f.value;
        }
    }
    facts
}

/// Entries of which one was found to do something: others like it do the same.
struct Alike {
    table: TableId,
    /// An entry of priority 0 may be the one for what misses.
    priority_zero: bool,
    shape: Arc<Shape>,
    /// Where in an entry's values [`FACTS`] are, and what they are.
    facts: SmallVec<[(usize, u64, u64); 4]>,
    behaviour: Arc<Behaviour>,
}

impl Alike {
    fn of(table: TableId, b: &FlowBody, shape: Arc<Shape>, behaviour: Arc<Behaviour>) -> Self {
        let places = shape.fields.iter().filter(|f| is_fact(f.id)).filter_map(|f| slot(f.id));
        let bits = |s: crate::key::Slot| (u64::MAX >> 64u32.saturating_sub(s.bits)) << s.shift;
        let facts = places
            .filter_map(|s| {
                let at = shape.mask.words().iter().position(|(w, _)| usize::from(*w) == s.word)?;
                Some((at, bits(s), b.values.words().get(at)? & bits(s)))
            })
            .collect();
        Self { table, priority_zero: b.priority == 0, shape, facts, behaviour }
    }

    /// Whether what decides how the same instructions compile is the same.
    #[inline]
    fn is_like(&self, table: TableId, b: &FlowBody) -> bool {
        let words = b.values.words();
        self.table == table
            && Arc::ptr_eq(&self.shape, &b.shape)
            && self.priority_zero == (b.priority == 0)
            && self.facts.iter().all(|(at, bits, value)| words.get(*at).is_some_and(|w| w & bits == *value))
    }
}
