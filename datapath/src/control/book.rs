//! The writer's books: per table what is where, and what flows share.

use super::identity::Identities;
use crate::classifier::{Classifier, ClassifierBook, Mask, Shape};
use crate::key::{FlowKey, word};
use crate::publish::{Guard, Writer};
use crate::table::{Behaviour, FlowBody, FlowTable, NEVER, NIL, SlabBook};
use hashbrown::HashTable;
use ofproto::Version;
use ofproto::ids::TableId;
use ofproto::instruction::Instruction;
use ofproto::table::{TableConfig, TableFeatures};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What table-mod and table-features set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableConfiguration {
    pub(super) config: TableConfig,
    /// `OFPTMPEF_*`
    pub(super) eviction: u32,
    /// Per cent of free space below and above which an event is sent.
    pub(super) vacancy: (u8, u8),
    /// The next vacancy event: `true` up, `false` down, `None` while events are off.
    pub(super) awaits_up: Option<bool>,
    pub(super) max_entries: u32,
    /// What a table-features request set, if one did.
    pub(super) features: Option<Arc<TableFeatures>>,
}

/// One table's book.
pub(super) struct TableBook {
    pub(super) slab: SlabBook,
    pub(super) classifier: ClassifierBook,
    /// Entries that are clauses of conjunctions.
    pub(super) clauses: ClassifierBook,
    /// Current entries by match and rank.
    pub(super) identity: Identities,
    /// Current entries.
    pub(super) live: u32,
    pub(super) configuration: TableConfiguration,
    /// Current entries in the order in which they would be evicted; kept while eviction is on.
    pub(super) eviction: Option<BTreeSet<EvictionKey>>,
    /// How many current entries have which rank and shape.
    pub(super) kinds: HashMap<(u32, usize), (u32, Arc<Shape>), foldhash::fast::FixedState>,
    /// Slots were emptied since the last trim.
    pub(super) emptied: u32,
}

/// Importance, end of life, creation, slot: the smallest goes first.
pub(super) type EvictionKey = (u16, u64, u64, u32);

/// `OFPTMPEF_IMPORTANCE`
pub(super) const EVICT_IMPORTANCE: u32 = 2;
/// `OFPTMPEF_LIFETIME`
pub(super) const EVICT_LIFETIME: u32 = 4;

impl TableBook {
    pub(super) fn new(max_entries: u32) -> Self {
        Self {
            slab: SlabBook::default(),
            classifier: ClassifierBook::default(),
            clauses: ClassifierBook::default(),
            identity: Identities::default(),
            live: 0,
            configuration: TableConfiguration {
                config: TableConfig::empty(),
                eviction: EVICT_IMPORTANCE | EVICT_LIFETIME,
                vacancy: (0, 0),
                awaits_up: None,
                max_entries,
                features: None,
            },
            eviction: None,
            kinds: HashMap::default(),
            emptied: 0,
        }
    }

    /// Where entries are looked up that are clauses of conjunctions, or are not.
    pub(super) fn structure<'b, 't>(
        &'b mut self,
        table: &'t FlowTable,
        clause: bool,
    ) -> (&'b mut ClassifierBook, &'t Classifier) {
        if clause { (&mut self.clauses, &table.clauses) } else { (&mut self.classifier, &table.classifier) }
    }

    /// The current entry with this match and rank.
    pub(super) fn find(
        &self,
        table: &FlowTable,
        value: &FlowKey,
        shape: &Shape,
        rank: u32,
        guard: Guard<'_>,
    ) -> Option<u32> {
        self.find_hashed(table, identity(value, shape, rank), value, shape, rank, guard)
    }

    /// As [`find`](Self::find); `hash` is the match's and rank's [`identity`].
    pub(super) fn find_hashed(
        &self,
        table: &FlowTable,
        hash: u32,
        value: &FlowKey,
        shape: &Shape,
        rank: u32,
        guard: Guard<'_>,
    ) -> Option<u32> {
        self.identity.find(hash, |i| {
            let body = table.slab.slot(i, guard).and_then(|s| s.body(guard));
            body.is_some_and(|b| b.rank() == rank && same_match(b, value, shape))
        })
    }

    /// Asks for the memory that finding, entering and linking an entry with this match will look at.
    #[inline]
    pub(super) fn foresee(&self, hash: u32, value: &FlowKey, shape: &Shape) {
        self.identity.prefetch(hash);
        self.classifier.foresee(&shape.mask, value);
    }

    /// Enters a current entry.
    pub(super) fn enter(&mut self, table: &FlowTable, index: u32, writer: &Writer) {
        let guard = writer.guard();
        let Some(slot) = table.slab.slot(index, guard) else { return };
        let Some(body) = slot.body(guard) else { return };
        let hash = slot.identity.load(Ordering::Relaxed);
        self.identity.insert(hash, index);
        self.live += 1;
        self.kinds
            .entry((body.rank(), Arc::as_ptr(&body.shape) as usize))
            .or_insert_with(|| (0, Arc::clone(&body.shape)))
            .0 += 1;
        let key = self.eviction_key(body, index);
        if let Some(order) = &mut self.eviction {
            order.insert(key);
        }
    }

    /// Strikes an entry that is no longer current.
    pub(super) fn strike(&mut self, table: &FlowTable, index: u32, writer: &Writer) {
        let guard = writer.guard();
        let Some(slot) = table.slab.slot(index, guard) else { return };
        let Some(body) = slot.body(guard) else { return };
        let hash = slot.identity.load(Ordering::Relaxed);
        self.identity.remove(hash, index);
        self.live -= 1;
        let kind = (body.rank(), Arc::as_ptr(&body.shape) as usize);
        if let Some((n, _)) = self.kinds.get_mut(&kind) {
            *n -= 1;
            if *n == 0 {
                self.kinds.remove(&kind);
            }
        }
        let key = self.eviction_key(body, index);
        if let Some(order) = &mut self.eviction {
            order.remove(&key);
        }
    }

    /// Puts an entry in the place of one that it continues, with the same match and rank.
    pub(super) fn replace(&mut self, table: &FlowTable, old: u32, new: u32, writer: &Writer) {
        let guard = writer.guard();
        let (Some(before), Some(slot)) = (table.slab.slot(old, guard), table.slab.slot(new, guard)) else { return };
        self.identity.replace(slot.identity.load(Ordering::Relaxed), old, new);
        if self.eviction.is_some() {
            let keys = [(before, old), (slot, new)].map(|(s, i)| s.body(guard).map(|b| self.eviction_key(b, i)));
            if let ([Some(gone), Some(come)], Some(order)) = (keys, &mut self.eviction) {
                order.remove(&gone);
                order.insert(come);
            }
        }
    }

    /// Current entries, by slot.
    pub(super) fn current<'a>(
        &'a self,
        table: &'a FlowTable,
        guard: Guard<'a>,
    ) -> impl Iterator<Item = (u32, &'a FlowBody)> + 'a {
        let mut next = 0;
        std::iter::from_fn(move || {
            loop {
                next = self.slab.next_used(next);
                if next >= self.slab.limit() {
                    return None;
                }
                let index = next;
                next += 1;
                if let Some(slot) = table.slab.slot(index, guard)
                    && slot.removed() == NEVER
                    && let Some(body) = slot.body(guard)
                {
                    return Some((index, body));
                }
            }
        })
    }

    /// Starts or ends keeping the order of eviction.
    pub(super) fn order_evictions(&mut self, table: &FlowTable, writer: &Writer) {
        self.eviction = None;
        if self.configuration.config.contains(TableConfig::EVICTION) {
            let guard = writer.guard();
            let order = self.current(table, guard).map(|(i, b)| self.eviction_key(b, i)).collect();
            self.eviction = Some(order);
        }
    }

    fn eviction_key(&self, body: &FlowBody, index: u32) -> EvictionKey {
        let by = self.configuration.eviction;
        let importance = if by & EVICT_IMPORTANCE != 0 { body.importance } else { 0 };
        let ends = if by & EVICT_LIFETIME != 0 { lifetime_end(body) } else { 0 };
        (importance, ends, body.created.0, index)
    }

    /// Which entry would make room for one of this importance.
    pub(super) fn victim(&self, importance: u16) -> Option<u32> {
        let (i, ends, _, index) = *self.eviction.as_ref()?.first()?;
        let by = self.configuration.eviction;
        let refused = (by & EVICT_IMPORTANCE != 0 && i > importance)
            // By lifetime alone, permanent entries stay.
            || (by & EVICT_IMPORTANCE == 0 && ends == u64::MAX);
        (!refused && index != NIL).then_some(index)
    }

    /// Gives back memory after many removals.
    pub(super) fn shrink(&mut self) {
        self.identity.shrink();
        self.kinds.shrink_to_fit();
    }

    /// Free space in per cent, rounded down.
    pub(super) fn vacancy(&self) -> u8 {
        let max = u64::from(self.configuration.max_entries.max(1));
        (max.saturating_sub(u64::from(self.live)) * 100 / max) as u8
    }
}

/// When an entry ends at the latest if no packet comes (`u64::MAX`: never).
fn lifetime_end(b: &FlowBody) -> u64 {
    let end = |seconds: u16| {
        if seconds == 0 { u64::MAX } else { b.created.0.saturating_add(u64::from(seconds) * 1_000_000_000) }
    };
    end(b.idle_timeout).min(end(b.hard_timeout))
}

/// The hash of a match and a rank, over what the controller gave (not what versions add).
pub(super) fn identity(value: &FlowKey, shape: &Shape, rank: u32) -> u32 {
    let mut h = u64::from(rank) ^ 0x2545_f491_4f6c_dd1d;
    for (w, m) in shape.plain() {
        let p = u128::from(h ^ (value.0[w] & m)) * u128::from(0x9e37_79b9_7f4a_7c15u64 ^ (w as u64) << 1 | 1);
        h = (p as u64) ^ ((p >> 64) as u64);
        h = h.wrapping_add(m.rotate_left(w as u32));
    }
    (h ^ (h >> 32)) as u32
}

/// Whether an entry's match is this one.
fn same_match(b: &FlowBody, value: &FlowKey, shape: &Shape) -> bool {
    if std::ptr::eq(&raw const *b.shape, shape) || b.shape.mask == shape.mask && b.shape.hidden == shape.hidden {
        return shape.mask.words().iter().zip(b.values.words()).all(|((w, _), v)| value.0[usize::from(*w)] == *v)
            || (shape.hidden != 0 && same_plain(b, value, shape));
    }
    same_plain(b, value, shape)
}

fn same_plain(b: &FlowBody, value: &FlowKey, shape: &Shape) -> bool {
    let theirs = b.value();
    b.shape.plain().eq(shape.plain()) && shape.plain().all(|(w, m)| (theirs.0[w] ^ value.0[w]) & m == 0)
}

/// What entries must at least ask for (OpenFlow 1.3.5 §6.4, non-strict).
pub(super) struct Within {
    mask: Mask,
    /// By the mask's words.
    value: FlowKey,
}

impl Within {
    pub(super) fn new(value: &FlowKey, mask: &FlowKey) -> Self {
        Self { mask: Mask::of(mask), value: *value }
    }

    /// Whether an entry is at least as specific.
    pub(super) fn admits(&self, b: &FlowBody) -> bool {
        let mut words = b.shape.mask.words().iter().zip(b.values.words());
        self.mask.words().iter().all(|(w, want)| {
            let found = words.by_ref().find(|((x, _), _)| x >= w);
            found.is_some_and(|((x, m), v)| x == w && want & !m == 0 && (v ^ self.value.0[usize::from(*w)]) & want == 0)
        })
    }

    /// Whether any entry of a shape could be.
    pub(super) fn admits_shape(&self, shape: &Shape) -> bool {
        shape.mask.contains(&self.mask)
    }
}

/// The mask without what the version added.
pub(super) fn plain_key(mask: &FlowKey, hidden: u64) -> FlowKey {
    let mut key = *mask;
    key.0[word::L4] &= !hidden;
    key
}

/// Shapes in use, each once.
#[derive(Default)]
pub(super) struct Shapes {
    all: HashSet<Arc<Shape>, foldhash::fast::FixedState>,
    kept: usize,
    /// The one asked for last: flows often come in rows of the same.
    last: Option<Arc<Shape>>,
}

impl Shapes {
    /// The one copy of `shape`.
    pub(super) fn share(&mut self, shape: &Arc<Shape>) -> Arc<Shape> {
        if let Some(last) = self.last.as_ref().filter(|l| Arc::ptr_eq(l, shape) || *l == shape) {
            return Arc::clone(last);
        }
        let shared = match self.all.get(shape) {
            Some(s) => Arc::clone(s),
            None => {
                self.all.insert(Arc::clone(shape));
                Arc::clone(shape)
            }
        };
        self.last = Some(Arc::clone(&shared));
        shared
    }

    /// Forgets what nothing uses once it may be much; whether anything went.
    pub(super) fn trim(&mut self) -> bool {
        if self.all.len() <= 2 * self.kept + 64 {
            return false;
        }
        let before = self.all.len();
        self.last = None;
        self.all.retain(|s| Arc::strong_count(s) > 1);
        self.kept = self.all.len();
        self.all.shrink_to_fit();
        before != self.kept
    }

    /// The union of all masks.
    pub(super) fn union(&self) -> FlowKey {
        let mut union = FlowKey::default();
        for s in &self.all {
            for (w, m) in s.mask.words() {
                union.0[usize::from(*w)] |= m;
            }
        }
        union
    }
}

/// What decides how instructions compile, besides themselves.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CompileKey {
    pub(super) version: Version,
    pub(super) table: TableId,
    pub(super) priority_zero: bool,
    pub(super) shape: usize,
    /// Values of the fields that prerequisites ask for.
    pub(super) facts: [u128; 6],
}

/// Behaviours lately compiled, so that flows that do the same share one.
#[derive(Default)]
pub(super) struct Behaviours {
    all: HashTable<(u64, CompileKey, Arc<Behaviour>)>,
    /// The one asked for last: flows often come in rows that do the same.
    last: Option<(CompileKey, Arc<Behaviour>)>,
    hasher: foldhash::fast::FixedState,
    kept: usize,
}

impl Behaviours {
    fn hash(&self, key: &CompileKey, instructions: &[Instruction]) -> u64 {
        let mut h = self.hasher.build_hasher();
        key.hash(&mut h);
        instructions.hash(&mut h);
        std::hash::Hasher::finish(&h)
    }

    /// The behaviour of these instructions, compiled if need be.
    pub(super) fn share<E>(
        &mut self,
        key: CompileKey,
        instructions: &[Instruction],
        compile: impl FnOnce() -> Result<Behaviour, E>,
    ) -> Result<Arc<Behaviour>, E> {
        if let Some((_, b)) = self.last.as_ref().filter(|(k, b)| *k == key && *b.instructions == *instructions) {
            return Ok(Arc::clone(b));
        }
        let hash = self.hash(&key, instructions);
        if let Some((_, _, b)) =
            self.all.find(hash, |(h, k, b)| *h == hash && *k == key && *b.instructions == *instructions)
        {
            self.last = Some((key, Arc::clone(b)));
            return Ok(Arc::clone(b));
        }
        let new = Arc::new(compile()?);
        self.last = None;
        if self.all.len() > 2 * self.kept + 64 {
            self.all.retain(|(_, _, b)| Arc::strong_count(b) > 1);
            self.kept = self.all.len();
        }
        self.all.insert_unique(hash, (hash, key.clone(), Arc::clone(&new)), |(h, _, _)| *h);
        self.last = Some((key, Arc::clone(&new)));
        Ok(new)
    }

    /// What instructions mean has changed (groups, meters, tables): compile anew from now on.
    pub(super) fn forget(&mut self) {
        self.all = HashTable::new();
        self.last = None;
        self.kept = 0;
    }
}

/// Which flows name which group (or meter). Lists are cleaned when they grow beyond twice their need.
#[derive(Default)]
pub(super) struct References {
    by_id: HashMap<u32, Referrers>,
}

#[derive(Default)]
struct Referrers {
    count: u32,
    /// Table and slot of flows that named it; some may have gone.
    list: Vec<(TableId, u32)>,
    /// At this length the list is cleaned.
    clean_at: usize,
}

impl References {
    pub(super) fn add(&mut self, id: u32, table: TableId, index: u32) {
        let r = self.by_id.entry(id).or_default();
        r.count += 1;
        r.list.push((table, index));
        if r.list.len() > r.clean_at.max(2 * r.count as usize + 64) {
            // Slots are re-used: one may stand here many times, or for what it no longer holds.
            r.list.sort_unstable();
            r.list.dedup();
            r.clean_at = 2 * r.list.len();
        }
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Some(r) = self.by_id.get_mut(&id) {
            r.count = r.count.saturating_sub(1);
            if r.count == 0 {
                self.by_id.remove(&id);
            }
        }
    }

    /// How many flows name it.
    pub(super) fn count(&self, id: u32) -> u32 {
        self.by_id.get(&id).map_or(0, |r| r.count)
    }

    /// Slots that may hold flows that name it; the caller looks whether they do.
    pub(super) fn candidates(&self, id: u32) -> Vec<(TableId, u32)> {
        let mut list = self.by_id.get(&id).map(|r| r.list.clone()).unwrap_or_default();
        list.sort_unstable();
        list.dedup();
        list
    }
}
