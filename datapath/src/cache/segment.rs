//! Parts of walks, kept once however many walks have them.
//!
//! A segment is a lookup and what was done until the next one. Its hot part is what a hit touches: where to count,
//! compiled edits, the output, and the segment that follows if the cache's entry has no room to name it.

mod merged;
mod tally;

use super::alike::{hash_step, same};
use super::entry::{Found, Ids, MOST_SEGMENTS};
use super::key::tag_bit;
use super::micro::{self, Compiled, Micro, Runner};
use super::patch::{Parts, Patch};
use super::record::Step;
use super::seen::Seen;
use super::validity::Validity;
use crate::clock::Time;
use crate::frame::Frame;
use crate::pipeline::{DropReason, Lost, Sink, View};
use hashbrown::HashMap;
use merged::Merged;
pub(crate) use merged::NOWHERE;
use ofproto::ids::{PortNo, QueueId, TableId};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};
use tally::Tally;

/// Where a frame goes: port and queue in one word, or one of the numbers below, which no output has. Of a segment also
/// `NORMAL` with a queue, if the learning switch is to be asked, and `ALL` with its own number, if it has more to say.
pub(crate) type Fate = u64;
/// Nowhere, and the frame is left over.
pub(crate) const LEAVE: Fate = u64::MAX;
/// Nowhere, and it isn't here any more.
pub(crate) const GONE: Fate = LEAVE - 1;
/// No queue was set.
const NO_QUEUE: u32 = u32::MAX;

/// Out of a port.
#[inline]
pub(crate) const fn way_to(port: PortNo, queue: Option<QueueId>) -> Fate {
    let queue = match queue {
        Some(q) => q.0,
        None => NO_QUEUE,
    };
    (port.0 as u64) << 32 | queue as u64
}

/// The port and the queue of a fate that is to send.
#[inline]
pub(crate) const fn way_out(fate: Fate) -> (PortNo, Option<QueueId>) {
    let queue = fate as u32;
    (PortNo((fate >> 32) as u32), if queue == NO_QUEUE { None } else { Some(QueueId(queue)) })
}

/// Compiled edits of a segment.
const MICROS: usize = 4;
/// No table.
const NO_TABLE: TableId = TableId::ALL;
/// No number of a counter.
const NO_STATS: u32 = u32::MAX;

/// What a hit touches: one line.
#[repr(C, align(64))]
struct Hot {
    fate: Fate,
    /// Where the flow entry counts.
    stats: u32,
    /// The generation at which it was last found valid.
    checked: u32,
    edits: Edits,
    drop: Option<DropReason>,
    /// The table that was asked, or [`NO_TABLE`].
    table: TableId,
    /// The flow entry ended: what names this segment is void.
    dead: bool,
    /// The segment that follows, or 0.
    next: u32,
}

const _: () = assert!(size_of::<Hot>() == 64);

/// What a segment changes.
#[derive(Clone, Copy)]
enum Edits {
    /// All at once.
    Patch(Patch),
    /// One after the other, so many of them.
    List([Micro; MICROS], u8),
}

struct Cold {
    start: Option<Runner>,
    end: Option<Runner>,
    steps: Box<[Step]>,
    /// Of this segment alone.
    traits: Traits,
    /// Another segment whose flow entry counts under the same number, or 0.
    kin: u32,
}

/// What must be known of a segment, or of several in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// Its edits are compiled, and it does nothing else but send or drop at its end.
    pub(crate) plain: bool,
    /// It decrements a TTL.
    pub(crate) decrements: bool,
    /// It changes what the upper layer's checksum covers.
    pub(crate) covered: bool,
    /// It sends or drops, so nothing may follow it.
    pub(crate) ends: bool,
    /// Its edits must be done one after the other.
    pub(crate) listed: bool,
    /// What its patch does.
    pub(super) parts: Parts,
}

impl Traits {
    /// Of no segment at all, for a packet of this shape.
    pub(crate) const fn none(start: Option<Runner>) -> Self {
        Self { plain: start.is_some(), decrements: false, covered: false, ends: false, listed: false, parts: 0 }
    }

    /// Of this and what follows.
    pub(crate) const fn then(self, next: Self) -> Self {
        Self {
            plain: self.plain && next.plain && !self.ends,
            decrements: self.decrements || next.decrements,
            covered: self.covered || next.covered,
            ends: self.ends || next.ends,
            listed: self.listed || next.listed || self.parts & next.parts != 0,
            parts: self.parts | next.parts,
        }
    }
}

/// Steps, and the shape of the packet before them.
#[derive(Clone, Copy)]
struct Part<'s> {
    start: Option<Runner>,
    steps: &'s [Step],
}

impl<'s> Part<'s> {
    /// The steps up to the next lookup, and those from there on; `None` if there are none at all.
    fn split(self) -> Option<(Self, &'s [Step])> {
        let (_, others) = self.steps.split_first()?;
        let next = others.iter().position(|s| matches!(s, Step::Lookup(..)));
        let (first, behind) = self.steps.split_at(next.map_or(self.steps.len(), |i| i + 1));
        Some((Self { steps: first, ..self }, behind))
    }
}

/// Since when an entry is asked about.
pub(super) struct Since<'c> {
    /// What it says was so at this version.
    pub(super) version: u64,
    /// The generation that it is to become of.
    pub(super) generation: u32,
    /// From this version on, segments of flow entries that ended are marked.
    pub(super) whole: u64,
    /// Per table the version of the latest add.
    pub(super) last_add: &'c [u64; 256],
}

/// Segments with numbers from 1 on that last for one burst: they are made when there are too many others, are no other's
/// kin, and have no steps to replay.
const PASSING: u32 = 128;

/// More segments than this have counters that must be asked for in time.
const MANY: usize = 2048;

/// Whether a walk has a segment that lasts for one burst.
#[inline]
pub(crate) fn is_passing(ids: &Ids) -> bool {
    ids.iter().any(|id| id.wrapping_sub(1) < PASSING)
}

/// A worker's segments. Number 0 is none.
pub(crate) struct Segments {
    hot: Vec<Hot>,
    cold: Vec<Cold>,
    index: HashMap<u64, SmallVec<[u32; 2]>, foldhash::fast::FixedState>,
    hasher: foldhash::fast::FixedState,
    /// By the number that a flow entry counts under, one of its segments.
    users: HashMap<u32, u32, foldhash::fast::FixedState>,
    drops: Drops,
    /// What tables were asked, until it is told.
    tables: Tally,
    merged: Merged,
    /// The passing ones in use.
    passing: u32,
    /// How many were marked as dead.
    dead: usize,
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segments").field("len", &self.hot.len()).finish_non_exhaustive()
    }
}

impl Segments {
    /// With records of so many walks.
    pub(crate) fn new(seed: u64, walks: usize) -> Self {
        let hasher = foldhash::fast::FixedState::with_seed(seed);
        let mut all = Self {
            hot: Vec::new(),
            cold: Vec::new(),
            index: HashMap::default(),
            hasher,
            users: HashMap::default(),
            drops: Drops { all: [(0, 0); MOST_DROPS], len: 0 },
            tables: Tally::new(),
            merged: Merged::new(walks),
            passing: 0,
            dead: 0,
        };
        all.clear();
        all
    }

    /// Forgets all. Nothing may be uncounted.
    pub(crate) fn clear(&mut self) {
        debug_assert!(self.drops.len == 0);
        self.hot.clear();
        self.cold.clear();
        self.index.clear();
        self.users.clear();
        (self.passing, self.dead) = (0, 0);
        self.merged.next_epoch();
        self.tables.forget_ways();
        let traits = Traits::none(None);
        for _ in 0..=PASSING {
            self.hot.push(Hot::of(&[], None).0);
            self.cold.push(Cold { start: None, end: None, steps: Box::default(), traits, kin: 0 });
        }
    }

    /// A burst begins, and nothing is uncounted.
    #[inline]
    pub(super) fn begin(&mut self) {
        debug_assert!(self.drops.len == 0);
        self.passing = 0;
    }

    /// Whether any of them is of a flow entry that ended.
    #[inline]
    pub(crate) const fn are_any_dead(&self) -> bool {
        self.dead > 0
    }

    /// Whether there are more of them than have counters in the processor's nearer caches.
    #[inline]
    pub(crate) const fn are_many(&self) -> bool {
        self.hot.len() > MANY
    }

    /// Whether more than so many, and the larger part of them, are of no use any more.
    #[inline]
    pub(super) const fn are_mostly_dead(&self, many: usize) -> bool {
        self.dead > many && self.dead * 2 > self.hot.len()
    }

    /// Whether many of them are of no use any more.
    pub(super) const fn many_are_dead(&self) -> bool {
        self.dead * 4 > self.hot.len()
    }

    /// A segment of these steps that lasts for this burst, and what it is like, if there is room and it is plain.
    pub(super) fn pass(&mut self, start: Runner, steps: &[Step]) -> Option<(u32, Traits)> {
        let (hot, end, traits) = Hot::of(steps, Some(start));
        if self.passing == PASSING || !traits.plain || way_out(hot.fate).0 == PortNo::ALL {
            return None;
        }
        self.passing += 1;
        self.tables.meet(hot.table);
        *self.hot.get_mut(self.passing as usize)? = hot;
        self.cold.get_mut(self.passing as usize)?.end = end;
        Some((self.passing, traits))
    }

    pub(crate) const fn len(&self) -> usize {
        self.hot.len()
    }

    /// The segments of a walk, and what they are like together; `None` if it has no steps. `start` is the packet's shape.
    pub(crate) fn chain(&mut self, start: Option<Runner>, steps: &[Step]) -> Option<(Ids, Traits)> {
        let mut ids = Ids::default();
        let mut rest = Part { start, steps };
        let mut all = Traits::none(start);
        for place in ids.iter_mut().take(MOST_SEGMENTS - 1) {
            let Some((first, behind)) = rest.split() else { break };
            let (id, end, traits) = self.intern(first, 0);
            *place = id;
            all = all.then(traits);
            rest = Part { start: end, steps: behind };
        }
        if !rest.steps.is_empty() {
            let (id, traits) = self.tail(rest);
            ids[MOST_SEGMENTS - 1] = id;
            all = all.then(traits);
        }
        (ids[0] != 0).then_some((ids, all))
    }

    /// The segment of these steps on packets of a shape, and what it is like.
    pub(super) fn leg(&mut self, start: Runner, steps: &[Step]) -> (u32, Traits) {
        let (id, _, traits) = self.intern(Part { start: Some(start), steps }, 0);
        (id, traits)
    }

    /// Segments that hang on each other: the first one's number, and what they are like together. A walk has few steps,
    /// so this doesn't go deep.
    fn tail(&mut self, part: Part<'_>) -> (u32, Traits) {
        let Some((first, behind)) = part.split() else { return (0, Traits::none(part.start)) };
        if behind.is_empty() {
            let (id, _, traits) = self.intern(first, 0);
            return (id, traits);
        }
        let (_, end, _) = Hot::of(first.steps, first.start);
        let (next, rest) = self.tail(Part { start: end, steps: behind });
        let (id, _, traits) = self.intern(first, next);
        (id, traits.then(rest))
    }

    /// The number of a segment that is followed by `next`, the shape that a packet then has, and what it is like.
    fn intern(&mut self, Part { start, steps }: Part<'_>, next: u32) -> (u32, Option<Runner>, Traits) {
        let mut h = self.hasher.build_hasher();
        (start, next).hash(&mut h);
        steps.iter().for_each(|s| hash_step(s, &mut h));
        let h = h.finish();
        if let Some(ids) = self.index.get(&h) {
            for id in ids {
                let c = &self.cold[*id as usize];
                if c.start == start
                    && self.hot[*id as usize].next == next
                    && c.steps.len() == steps.len()
                    && c.steps.iter().zip(steps).all(|(a, b)| same(a, b))
                {
                    return (*id, c.end, c.traits);
                }
            }
        }
        let (mut hot, end, traits) = Hot::of(steps, start);
        hot.next = next;
        let id = self.hot.len() as u32;
        if way_out(hot.fate).0 == PortNo::ALL {
            hot.fate = way_to(PortNo::ALL, Some(QueueId(id)));
        }
        let kin = if hot.stats == NO_STATS { 0 } else { self.users.insert(hot.stats, id).unwrap_or(0) };
        self.tables.meet(hot.table);
        self.hot.push(hot);
        self.cold.push(Cold { start, end, steps: steps.into(), traits, kin });
        self.index.entry(h).or_default().push(id);
        (id, end, traits)
    }

    /// A segment and those that hang on it.
    fn from(&self, id: u32) -> impl Iterator<Item = u32> {
        let next = |id: &u32| self.hot.get(*id as usize).map(|h| h.next).filter(|id| *id != 0);
        std::iter::successors(Some(id), next)
    }

    /// The steps of a segment and of those that hang on it.
    pub(crate) fn steps(&self, id: u32) -> impl Iterator<Item = &Step> {
        self.from(id).filter_map(|id| self.cold.get(id as usize)).flat_map(|c| &c.steps)
    }

    /// The steps of a segment alone.
    pub(crate) fn own_steps(&self, id: u32) -> &[Step] {
        self.cold.get(id as usize).map_or(&[], |c| &c.steps)
    }

    /// Asks for a segment's line.
    #[inline]
    pub(crate) fn prefetch(&self, id: u32) {
        crate::classifier::prefetch(self.hot.as_ptr().wrapping_add(id as usize));
    }

    /// The flow entry that counts under `stats` may have ended: what was found by it is void if it did.
    pub(super) fn end(&mut self, stats: u32, now: &impl Validity) {
        let mut id = self.users.get(&stats).copied().unwrap_or(0);
        while id != 0 {
            let Some(c) = self.cold.get(id as usize) else { return };
            if let Some(Step::Lookup(_, Some(hit))) = c.steps.first()
                && !now.holds(*hit)
                && let Some(hot) = self.hot.get_mut(id as usize)
            {
                if !hot.dead {
                    self.dead += 1;
                    self.merged.next_epoch();
                }
                hot.dead = true;
            }
            id = c.kin;
        }
    }

    /// Whether a walk of these segments came to a flow entry that is known to have ended.
    pub(super) fn is_dead(&self, ids: &Ids) -> bool {
        ids.iter().take_while(|id| **id != 0).any(|id| self.is_one_dead(*id))
    }

    /// Whether what a walk of these segments found is still so. `seen` makes what the first table was asked.
    pub(super) fn hold(
        &mut self,
        ids: &Ids,
        since: &Since<'_>,
        seen: impl FnOnce() -> Seen,
        now: &impl Validity,
    ) -> bool {
        let mut come = false;
        for first in ids.iter().copied().take_while(|id| *id != 0) {
            let mut id = first;
            while id != 0 {
                let Some(hot) = self.hot.get_mut(id as usize) else { return false };
                come |= hot.table != NO_TABLE && since.last_add[usize::from(hot.table.0)] > since.version;
                if hot.dead {
                    return false;
                }
                if hot.stats != NO_STATS
                    && since.version < since.whole
                    && hot.checked != since.generation
                    && now.may_have_gone(hot.table, since.version, hot.stats)
                    && let Some(Step::Lookup(_, Some(hit))) = self.cold.get(id as usize).and_then(|c| c.steps.first())
                    && !now.holds(*hit)
                {
                    return false;
                }
                hot.checked = since.generation;
                id = hot.next;
            }
        }
        if !come {
            return true;
        }
        let mut seen = seen();
        for first in ids.iter().copied().take_while(|id| *id != 0) {
            for id in self.from(first) {
                let Some((hot, cold)) = self.hot.get(id as usize).zip(self.cold.get(id as usize)) else { return false };
                if hot.table != NO_TABLE
                    && since.last_add[usize::from(hot.table.0)] > since.version
                    && now.may_have_come(hot.table, since.version, &seen)
                {
                    return false;
                }
                cold.steps.iter().for_each(|s| seen.step(s));
            }
        }
        true
    }

    /// Whether a segment's flow entry, or that of one that hangs on it, is known to have ended; asks for the counter that
    /// it will be counted on if `counter`.
    #[inline]
    pub(crate) fn look<'v>(&self, id: u32, view: impl View<'v>, counter: bool) -> bool {
        let Some(hot) = self.hot.get(id as usize) else { return false };
        if counter && hot.stats != NO_STATS {
            view.prefetch_count(hot.stats);
        }
        hot.dead | (hot.next != 0 && self.is_one_dead(hot.next))
    }

    #[inline(never)]
    fn is_one_dead(&self, id: u32) -> bool {
        self.from(id).any(|id| self.hot.get(id as usize).is_none_or(|h| h.dead))
    }

    /// The table that was asked last on a way through these segments.
    pub(crate) fn last_table(&self, ids: &Ids) -> Option<TableId> {
        let all = ids.iter().take_while(|id| **id != 0).flat_map(|id| self.from(*id));
        all.filter_map(|id| self.hot.get(id as usize)).map(|hot| hot.table).filter(|t| *t != NO_TABLE).last()
    }

    /// Carries out a plain walk on frames of one kind with one key: counts, edits. Where the frames go.
    /// `at` is where its [record](Self::ask) would be.
    #[inline]
    pub(crate) fn run<'v>(
        &mut self,
        at: u32,
        found: &Found,
        frames: &mut [Frame],
        on: &On<'_, impl View<'v>>,
    ) -> (Fate, bool) {
        if let Some(id) = found.single()
            && let Some(fate) = self.run_one(id, frames, on)
        {
            return (fate, true);
        }
        match self.run_merged(at, found, frames, on) {
            Some(fate) => (fate, true),
            None => (self.run_segments(found, frames, on), false),
        }
    }

    /// Carries out a walk of one segment, if nothing hangs on it and its edits are done at once.
    #[inline]
    fn run_one<'v>(&mut self, id: u32, frames: &mut [Frame], on: &On<'_, impl View<'v>>) -> Option<Fate> {
        let hot = self.hot.get(id as usize)?;
        let Edits::Patch(patch) = &hot.edits else { return None };
        if hot.next != 0 {
            return None;
        }
        hot.count(&mut self.tables, on, frames.len() as u64, length(frames));
        self.drops.note(hot.drop.is_some(), id, frames.len() as u32);
        patch.apply_all(frames, on.kind);
        Some(hot.fate)
    }

    #[inline]
    fn run_segments<'v>(&mut self, found: &Found, frames: &mut [Frame], on: &On<'_, impl View<'v>>) -> Fate {
        if found.is_listed() {
            return self.run_listed(found, frames, on);
        }
        let packets = frames.len() as u64;
        let mut bytes = length(frames);
        let (mut patch, mut fate) = (Patch::default(), LEAVE);
        for first in found.ids().into_iter().take_while(|id| *id != 0) {
            let mut id = first;
            while let Some(hot) = self.hot.get(id as usize) {
                hot.count(&mut self.tables, on, packets, bytes);
                if let Edits::Patch(p) = hot.edits {
                    patch = patch.and(p);
                    bytes -= packets * p.shortens() as u64;
                }
                fate = fate.min(hot.fate);
                self.drops.note(hot.drop.is_some(), id, packets as u32);
                id = hot.next;
                if id == 0 {
                    break;
                }
            }
        }
        patch.apply_all(frames, on.kind);
        fate
    }

    /// The same segment by segment.
    #[inline(never)]
    fn run_listed<'v>(&mut self, found: &Found, frames: &mut [Frame], on: &On<'_, impl View<'v>>) -> Fate {
        let l4 = (on.kind >> 8) as u8;
        let mut tags = tag_bit(on.kind) as usize;
        let mut fate = LEAVE;
        for first in found.ids().into_iter().take_while(|id| *id != 0) {
            let mut id = first;
            while let Some(hot) = self.hot.get(id as usize) {
                let bytes = frames.iter().map(|f| f.len() as u64).sum();
                hot.count(&mut self.tables, on, frames.len() as u64, bytes);
                match &hot.edits {
                    Edits::Patch(patch) => frames.iter_mut().for_each(|f| patch.apply(f, l4, tags)),
                    Edits::List(micros, used) => {
                        let micros = micros.get(..usize::from(*used)).unwrap_or(&[]);
                        frames.iter_mut().for_each(|f| micro::execute(f, l4, micros));
                    }
                }
                if let Some(end) = self.cold.get(id as usize).and_then(|c| c.end) {
                    tags = end.tags() as usize;
                }
                fate = fate.min(hot.fate);
                self.drops.note(hot.drop.is_some(), id, frames.len() as u32);
                id = hot.next;
                if id == 0 {
                    break;
                }
            }
        }
        fate
    }

    /// Tells which tables were asked, and of the packets that were dropped.
    #[inline]
    pub(crate) fn tell<'v, S: Sink>(&mut self, view: impl View<'v>, in_port: PortNo, sink: &mut S) {
        self.tables.tell(view);
        if self.drops.len > 0 {
            self.tell_all(in_port, sink);
        }
    }

    #[inline(never)]
    fn tell_all<S: Sink>(&mut self, in_port: PortNo, sink: &mut S) {
        let n = std::mem::take(&mut self.drops.len);
        for (id, packets) in self.drops.all.iter().take(n).copied() {
            let Some((hot, reason)) = self.hot.get(id as usize).and_then(|h| Some((h, h.drop?))) else { continue };
            let lost = Lost { reason, in_port, table: (hot.table != NO_TABLE).then_some(hot.table), out_port: None };
            (0..packets).for_each(|_| sink.dropped(lost));
        }
    }
}

/// The bytes of all.
#[inline]
fn length(frames: &[Frame]) -> u64 {
    match frames {
        // Mostly one: without setting up a loop.
        [frame] => frame.len() as u64,
        all => all.iter().map(|f| f.len() as u64).sum(),
    }
}

/// What a walk is carried out on.
pub(crate) struct On<'c, V> {
    pub(crate) view: V,
    pub(crate) now: &'c Time,
    /// The frames' kind, a [`FAST`](super::FAST) one.
    pub(crate) kind: u32,
}

/// Segments that drop and how many packets came to them, in order, until it is told.
struct Drops {
    all: [(u32, u32); MOST_DROPS],
    len: usize,
}

/// Walks between two tellings at most, each of which drops once at most.
const MOST_DROPS: usize = 64;

impl Drops {
    /// Packets came to this segment. Written whether it drops or not: nobody could foresee that jump.
    #[inline]
    fn note(&mut self, drops: bool, id: u32, packets: u32) {
        if let Some(place) = self.all.get_mut(self.len) {
            *place = (id, packets);
        }
        self.len += usize::from(drops);
    }
}

impl Hot {
    /// Counts so many packets, together so long.
    #[inline]
    fn count<'v>(&self, tables: &mut Tally, on: &On<'_, impl View<'v>>, packets: u64, bytes: u64) {
        let counts = self.stats != NO_STATS;
        if self.table != NO_TABLE {
            tables.add(self.table.0, packets, if counts { packets } else { 0 });
        }
        if counts {
            on.view.count(self.stats, packets, bytes, *on.now);
        }
    }

    fn of(steps: &[Step], start: Option<Runner>) -> (Self, Option<Runner>, Traits) {
        let mut hot = Self {
            fate: LEAVE,
            stats: NO_STATS,
            checked: 0,
            edits: Edits::Patch(Patch::default()),
            drop: None,
            table: NO_TABLE,
            dead: false,
            next: 0,
        };
        let mut traits = Traits::none(start);
        let (mut micros, mut used) = ([0; MICROS], 0u8);
        let mut runner = start;
        // Whether groups count, and at how many steps the packet leaves.
        let (mut counts, mut outputs) = (false, 0);
        for (i, step) in steps.iter().enumerate() {
            let more = matches!(step, Step::Output(..) | Step::CountGroup(_) | Step::CountBucket(_));
            if traits.ends && !(more && outputs > 0) {
                traits.plain = false;
            }
            match step {
                Step::Lookup(table, hit) if i == 0 => {
                    hot.table = *table;
                    hot.stats = hit.map_or(NO_STATS, |h| h.stats);
                }
                Step::Edit(op, ..) => {
                    let compiled = runner.as_mut().map_or(Compiled::No, |r| r.compile(op));
                    match (compiled, micros.get_mut(usize::from(used))) {
                        (Compiled::Nothing, _) => {}
                        (Compiled::Micro(m), Some(place)) => {
                            *place = m;
                            used += 1;
                            // What counts comes last.
                            traits.plain &= !(counts && micro::resizes(m));
                            traits.decrements |= micro::decrements(m);
                            traits.covered |= micro::is_covered(m);
                        }
                        _ => (runner, traits.plain) = (None, false),
                    }
                }
                Step::Output(port, queue) => {
                    hot.fate = way_to(*port, *queue);
                    traits.ends = true;
                    outputs += 1;
                    // Twice through one port: the order would be another.
                    let again = |s: &Step| matches!(s, Step::Output(p, _) if p == port);
                    traits.plain &= !steps.iter().take(i).any(again);
                }
                Step::CountGroup(_) | Step::CountBucket(_) => counts = true,
                Step::Normal(queue) => {
                    hot.fate = way_to(PortNo::NORMAL, *queue);
                    traits.ends = true;
                }
                Step::Drop(reason) => {
                    hot.drop = Some(*reason);
                    traits.ends = true;
                }
                _ => (runner, traits.plain) = (None, false),
            }
        }
        if counts || outputs > 1 {
            hot.fate = way_to(PortNo::ALL, None);
            traits.plain &= outputs > 0;
        }
        let micros_used = micros.get(..usize::from(used)).unwrap_or(&[]);
        let mut patch = Patch::default();
        // A list that goes on to change the frame's length and looks at it in between stays one.
        if micros_used.iter().all(|m| micro::part(*m).is_some_and(|(part, value)| patch.add(part, value))) {
            traits.parts = patch.parts();
            hot.edits = Edits::Patch(patch);
        } else {
            traits.listed = true;
            hot.edits = Edits::List(micros, used);
        }
        (hot, runner, traits)
    }
}
