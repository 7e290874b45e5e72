//! Flow entries in a slab: a place is a number, and a place's history is a sequence of versions.
//!
//! A [`Slot`] is visible at version `v` if `added <= v < removed`. The writer fills the body while
//! the slot is invisible to everyone, and empties it when no worker can be looking at it
//! (see [`publish`](crate::publish)); in between the body never changes: a modified flow is a new
//! slot with the same statistics id.

use crate::classifier::Shape;
use crate::clock::Time;
use crate::counters::StatsId;
use crate::key::{FlowKey, word};
use crate::program::Program;
use crate::publish::{CachedFlow, Guard, Writer};
use crate::sys::array::{Array, Zeroed};
use crate::sys::places::Places;
use ofproto::flow::FlowModFlags;
use ofproto::ids::{Cookie, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No slot.
pub(crate) const NIL: u32 = u32::MAX;
/// `removed` of an entry that nothing has removed.
pub(crate) const NEVER: u64 = u64::MAX;
/// `added` of an empty slot, whose `removed` is 0, too: no version shows it. What was never used is so.
const EMPTY: u64 = 0;
/// `added` of a slot that is being filled: later than every version.
const NOT_YET: u64 = u64::MAX;

/// What a flow does: as it came, and compiled. Shared by flows that do the same.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) instructions: Arc<[Instruction]>,
    pub(crate) program: Program,
}

impl Behaviour {
    /// Whether an entry that does this is no match of its own but a clause of conjunctions.
    pub(crate) fn is_clause(&self) -> bool {
        !self.program.conjunctions.is_empty()
    }
}

/// Everything about a flow entry that doesn't change while it is visible.
#[derive(Clone)]
pub(crate) struct FlowBody {
    pub(crate) cookie: Cookie,
    pub(crate) behaviour: Arc<Behaviour>,
    /// The match's fields and masks; shared by all flows that match on the same.
    pub(crate) shape: Arc<Shape>,
    pub(crate) values: Values,
    /// When it was added, made unique: of two entries the smaller one is the older.
    pub(crate) created: Time,
    pub(crate) stats: StatsId,
    pub(crate) priority: u16,
    pub(crate) idle_timeout: u16,
    pub(crate) hard_timeout: u16,
    pub(crate) importance: u16,
    pub(crate) flags: FlowModFlags,
    /// Beats every priority: an exact match of 1.0 (OpenFlow 1.0.0 §3.4).
    pub(crate) exact10: bool,
    pub(crate) table_miss: bool,
}

/// Words of a match's value, those that its mask touches, in key order.
#[derive(Clone)]
pub(crate) enum Values {
    Few([u64; 5]),
    Many(Box<[u64]>),
}

impl Values {
    pub(crate) fn new(shape: &Shape, value: &FlowKey) -> Self {
        let words = shape.mask.words();
        if words.len() <= 5 {
            let mut few = [0; 5];
            for (v, (w, _)) in few.iter_mut().zip(words) {
                *v = value.0[usize::from(*w)];
            }
            Self::Few(few)
        } else {
            Self::Many(words.iter().map(|(w, _)| value.0[usize::from(*w)]).collect())
        }
    }

    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        match self {
            Self::Few(w) => w,
            Self::Many(w) => w,
        }
    }
}

impl FlowBody {
    /// The same entry that does something else.
    pub(crate) fn doing(&self, behaviour: Arc<Behaviour>, cookie: Cookie) -> Self {
        Self { cookie, behaviour, shape: Arc::clone(&self.shape), values: self.values.clone(), ..*self }
    }

    /// The effective priority: larger wins.
    #[inline]
    pub(crate) fn rank(&self) -> u32 {
        if self.exact10 { 0x1_0000 } else { u32::from(self.priority) }
    }

    /// Whether a packet with this key matches.
    #[inline]
    pub(crate) fn matches(&self, key: &FlowKey) -> bool {
        self.shape.mask.words().iter().zip(self.values.words()).all(|((w, m), v)| key.0[usize::from(*w)] & m == *v)
    }

    /// The match's value as a key.
    pub(crate) fn value(&self) -> FlowKey {
        let mut key = FlowKey::default();
        for ((w, _), v) in self.shape.mask.words().iter().zip(self.values.words()) {
            key.0[usize::from(*w)] = *v;
        }
        key
    }

    /// The match as the controller gave it.
    pub(crate) fn matching(&self) -> Match {
        self.shape.matching(&self.value())
    }

    /// Whether a packet could match both `self` and `(value, mask)`.
    pub(crate) fn overlaps(&self, value: &FlowKey, mask: &FlowKey) -> bool {
        self.shape.mask.words().iter().zip(self.values.words()).all(|((w, m), v)| {
            let w = usize::from(*w);
            (value.0[w] ^ v) & m & mask.0[w] == 0
        })
    }
}

/// A place in a slab.
///
/// Two cache lines; what a lookup reads before it compares stands in the first.
#[repr(C, align(64))]
pub(crate) struct Slot {
    added: AtomicU64,
    removed: AtomicU64,
    /// The entry that goes on where this one ended: the same match at the same rank. Where this entry is found,
    /// that one is.
    pub(crate) next: AtomicU32,
    /// The writer's notes: which part of the table's structure holds the entry, and which of the next one.
    pub(crate) home: [AtomicU32; 2],
    /// The writer's note: the hash of match and rank.
    pub(crate) identity: AtomicU32,
    /// There unless `added` is `EMPTY`.
    body: UnsafeCell<MaybeUninit<FlowBody>>,
}

// SAFETY: `body` is written by the single writer only, while no reader may look at it: before the
// slot becomes visible and after the last reader that saw it has moved on. Its contents are Sync.
unsafe impl Sync for Slot {}

// SAFETY: all zero is an empty slot, whose body nobody looks at; one that holds a body is given up by `clear`.
unsafe impl Zeroed for Slot {}

impl Slot {
    /// Empties it; the writer only, when nobody can be looking at its body.
    fn clear(&self) {
        let held = self.added.load(Ordering::Relaxed) != EMPTY;
        self.removed.store(0, Ordering::Release);
        self.added.store(EMPTY, Ordering::Release);
        if held {
            // SAFETY: it held a body, and by the caller's promise nobody else looks at it.
            unsafe { (*self.body.get()).assume_init_drop() };
        }
    }

    #[inline]
    pub(crate) fn is_visible(&self, version: u64) -> bool {
        // `removed` first: a slot that is emptied and filled again under a stale handle then shows
        // either its end or its new `added`, which is later than `version`.
        let removed = self.removed.load(Ordering::Acquire);
        let added = self.added.load(Ordering::Acquire);
        added <= version && version < removed
    }

    pub(crate) fn added(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }

    pub(crate) fn removed(&self) -> u64 {
        self.removed.load(Ordering::Acquire)
    }

    /// For the writer: the body of a slot in use. The guard is the writer's own.
    pub(crate) fn body<'g>(&'g self, _guard: Guard<'g>) -> Option<&'g FlowBody> {
        // SAFETY: only the writer calls this (readers go through `FlowRef`), and only it writes the
        // body, through `Slab::put` and `Slab::take`, for which it must not hold this guard.
        (self.added.load(Ordering::Relaxed) != EMPTY).then(|| unsafe { (*self.body.get()).assume_init_ref() })
    }

    /// Ends the entry with version `version` (or, with [`NEVER`], takes that back).
    pub(crate) fn set_removed(&self, version: u64) {
        self.removed.store(version, Ordering::Release);
    }
}

/// A flow entry that is visible at the version it was looked up at.
#[derive(Clone, Copy)]
pub struct FlowRef<'g> {
    body: &'g FlowBody,
    slot: &'g Slot,
    table: TableId,
    index: u32,
}

impl<'g> FlowRef<'g> {
    /// The entry in `slot` if `version` has it.
    #[inline]
    pub(crate) fn visible(slab: &'g Slab, slot: &'g Slot, index: u32, version: u64) -> Option<Self> {
        if !slot.is_visible(version) {
            return None;
        }
        // SAFETY: visible at a version that the caller's guard holds: the body was written before
        // the version was published, and is taken out only after every guard at that version ended.
        let body = unsafe { (*slot.body.get()).assume_init_ref() };
        Some(Self { body, slot, table: slab.table, index })
    }

    /// The entry in place `index`, or the one that continues it, whichever `version` has.
    #[inline]
    pub(crate) fn current(slab: &'g Slab, mut index: u32, version: u64, guard: Guard<'g>) -> Option<Self> {
        loop {
            let slot = slab.slot(index, guard)?;
            if let Some(found) = Self::visible(slab, slot, index, version) {
                return Some(found);
            }
            index = slot.next.load(Ordering::Acquire);
            if index == NIL {
                return None;
            }
        }
    }

    /// The writer's view of a slot in use, visible or not.
    pub(crate) fn of_writer(slab: &'g Slab, index: u32, guard: Guard<'g>) -> Option<Self> {
        let slot = slab.slot(index, guard)?;
        Some(Self { body: slot.body(guard)?, slot, table: slab.table, index })
    }

    #[inline]
    pub(crate) fn body(&self) -> &'g FlowBody {
        self.body
    }

    pub(crate) fn added(&self) -> u64 {
        self.slot.added()
    }

    /// What to do.
    #[inline]
    pub fn program(&self) -> &'g Program {
        &self.body.behaviour.program
    }

    /// The instructions as the controller gave them.
    pub fn instructions(&self) -> &'g [Instruction] {
        &self.body.behaviour.instructions
    }

    /// Where to count.
    #[inline]
    pub fn stats(&self) -> StatsId {
        self.body.stats
    }

    /// The cookie.
    pub fn cookie(&self) -> Cookie {
        self.body.cookie
    }

    /// The priority as given (65535 for an exact match of 1.0).
    pub fn priority(&self) -> u16 {
        self.body.priority
    }

    /// The table.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// The flags.
    pub fn flags(&self) -> FlowModFlags {
        self.body.flags
    }

    /// Whether this is the table-miss entry (OpenFlow 1.3.5 §5.4).
    pub fn is_table_miss(&self) -> bool {
        self.body.table_miss
    }

    /// The match as the controller gave it.
    pub fn matching(&self) -> Match {
        self.body.matching()
    }

    /// Whether it is no match of its own but a clause of conjunctions.
    pub fn is_clause(&self) -> bool {
        self.body.behaviour.is_clause()
    }

    /// The conjunction that it wants met; its number isn't 0.
    pub fn wanted_conjunction(&self) -> Option<u32> {
        let words = self.body.shape.mask.words().iter().zip(self.body.values.words());
        let conjunction = words.clone().find(|((w, _), _)| usize::from(*w) == word::CONJ).map(|(_, v)| *v)?;
        u32::try_from(conjunction & u64::from(u32::MAX)).ok().filter(|id| *id != 0)
    }

    /// A name for a cache to keep.
    #[inline]
    pub fn cached(&self) -> CachedFlow {
        CachedFlow { table: self.table, index: self.index, added: self.slot.added() }
    }
}

impl std::fmt::Debug for FlowRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowRef")
            .field("table", &self.table)
            .field("priority", &self.priority())
            .field("cookie", &self.cookie())
            .field("matching", &self.matching())
            .finish_non_exhaustive()
    }
}

/// A table's entries by number.
pub(crate) struct Slab {
    table: TableId,
    slots: Array<Slot>,
    /// One past the highest slot that was ever filled.
    top: AtomicU32,
}

impl Drop for Slab {
    fn drop(&mut self) {
        (0..*self.top.get_mut()).filter_map(|i| self.slots.get(i)).for_each(Slot::clear);
    }
}

impl Slab {
    pub(crate) fn new(table: TableId) -> Self {
        Self { table, slots: Array::new(), top: AtomicU32::new(0) }
    }

    #[inline]
    pub(crate) fn slot<'g>(&'g self, index: u32, _guard: Guard<'g>) -> Option<&'g Slot> {
        self.slots.get(index)
    }

    /// One past the highest slot that was ever filled since the last [trim](SlabBook::trim).
    pub(crate) fn limit(&self) -> u32 {
        self.top.load(Ordering::Relaxed)
    }

    /// Brings a slot into the cache.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        if let Some(slot) = self.slots.get(index) {
            crate::classifier::prefetch(std::ptr::from_ref(slot));
            crate::classifier::prefetch(std::ptr::from_ref(slot).cast::<u8>().wrapping_add(64));
        }
    }
}

/// The writer's side of a slab: which slots are free.
#[derive(Default)]
pub(crate) struct SlabBook {
    places: Places<4>,
}

impl SlabBook {
    /// One past the highest slot there may be.
    pub(crate) fn limit(&self) -> u32 {
        self.places.limit()
    }

    /// The first slot from `index` on whose block holds anything; [`limit`](Self::limit) if there is none.
    pub(crate) fn next_used(&self, mut index: u32) -> u32 {
        while index < self.limit() && self.places.is_vacant(index) {
            index = Places::<4>::next_block(index);
        }
        index.min(self.limit())
    }

    /// Puts an entry into a free slot; it becomes visible with version `added`.
    pub(crate) fn put(&mut self, slab: &Slab, body: FlowBody, added: u64, writer: &mut Writer) -> u32 {
        let Some(index) = self.places.take() else { return NIL };
        slab.slots.grow_to_write(index);
        slab.top.fetch_max(index + 1, Ordering::Relaxed);
        if let Some(slot) = slab.slot(index, writer.guard()) {
            // SAFETY: the slot is free: no reader may look at its body (`added` is EMPTY and has been
            // for a grace period), and this is the writer, holding no other reference to it.
            unsafe { (*slot.body.get()).write(body) };
            slot.next.store(NIL, Ordering::Relaxed);
            slot.home.iter().for_each(|h| h.store(NIL, Ordering::Relaxed));
            // Whoever sees that it has no end sees that it hasn't begun.
            slot.added.store(NOT_YET, Ordering::Relaxed);
            slot.removed.store(NEVER, Ordering::Release);
            slot.added.store(added, Ordering::Release);
        }
        index
    }

    /// Empties a slot. The caller has made sure that no reader can still see or reach it.
    pub(crate) fn take(&mut self, slab: &Slab, index: u32, writer: &mut Writer) {
        let Some(slot) = slab.slot(index, writer.guard()) else { return };
        slot.clear();
        if self.places.free(index) {
            // At once: a table that is emptied gives its memory back as it goes.
            slab.slots.discard(index / Places::<4>::BLOCK * Places::<4>::BLOCK, Places::<4>::BLOCK as usize);
        }
    }

    /// Forgets what lies behind the last slot in use.
    pub(crate) fn trim(&mut self, slab: &Slab) {
        self.places.trim();
        slab.top.store(self.limit(), Ordering::Relaxed);
    }
}
