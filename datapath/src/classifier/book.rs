//! The writer's side of a classifier: what lies where, and how it is placed anew.

use super::choose::{Chooser, SAMPLE};
use super::group::{Arena, ArenaBook, MOST, MOST_WORDS};
use super::linear::Linear;
use super::tuple::{Memory, Tuple};
use super::vector::{Block, Nibbles, RULES};
use super::{
    Classifier, Description, Form, LINEAR_MAX, Mask, Part, Parts, Ranked, Seed, Shape, Unchained, beats, hash, unchain,
};
use crate::key::FlowKey;
use crate::publish::Writer;
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Down to this many entries, a table goes back to direct comparison.
const LINEAR_BACK: usize = 12;
/// With this many entries in blocks, the first tuple is looked for.
const FIRST_TRY: usize = LINEAR_MAX + 1;
/// The first tuple takes at least so many entries when it is opened.
const FIRST_TAKES: usize = 32;
/// Every other one so many: a block compares them about as fast as one tuple is looked at.
const TAKES: usize = 128;
/// Further entries that come to blocks before tuples are looked for again, at least.
const NEXT_TRY: usize = 256;
/// A table that lies in several parts is placed anew from this size on.
const FIRST_BUILD: usize = 256;
/// Entries placed anew with each change while that goes on.
const PLACED_PER_CHANGE: usize = 8;

struct TupleBook {
    tuple: Arc<Tuple>,
    bound: Bound,
    entries: usize,
}

struct BlockBook {
    block: Arc<Block>,
    nibbles: Nibbles,
    /// The rule, by value and mask, from which the others were told apart.
    first: Option<Box<(FlowKey, FlowKey)>>,
    bound: Bound,
    entries: usize,
}

/// The best rank that a part may hold. Raised exactly a few times, then in steps, because each time
/// readers need a new list.
#[derive(Clone, Copy, Default)]
struct Bound {
    rank: u32,
    raised: u8,
}

impl Bound {
    /// Covers `rank`; whether it didn't before.
    fn cover(&mut self, rank: u32) -> bool {
        if rank <= self.rank && self.raised > 0 {
            return false;
        }
        self.raised = self.raised.saturating_add(1);
        self.rank = if self.raised < 64 { rank } else { rank | 0xff };
        true
    }
}

/// In a slot's note of its home: it is in a block.
const IN_BLOCK: u32 = 1 << 31;
/// In a slot's note of its home: it is found through the entry that it continues.
const BEHIND: u32 = 1 << 30;

/// Tuples and blocks.
struct Structure {
    /// Which of a slot's two notes is this structure's.
    lane: usize,
    arena: Arc<Arena>,
    groups: ArenaBook,
    tuples: Vec<Option<TupleBook>>,
    by_mask: HashMap<Mask, u32, foldhash::fast::FixedState>,
    blocks: Vec<BlockBook>,
    /// Entries in blocks.
    residue: usize,
    /// With this many entries in blocks, a tuple is looked for that takes some.
    try_at: usize,
    /// Readers' list of parts isn't what it should be.
    changed: bool,
}

/// A structure that will take the place of the one that readers walk.
struct Build {
    structure: Structure,
    phase: Phase,
}

enum Phase {
    /// Forgets what slots from here on note for the lane.
    Clearing(u32),
    Choosing(Box<Chooser>),
    /// Places the entries of slots from here on.
    Placing(u32),
}

/// Writer's side: what is where.
#[derive(Default)]
pub(crate) struct ClassifierBook {
    /// While the form is linear: the entries, best first.
    linear: Vec<u32>,
    form: Option<Arc<Form>>,
    mixed: Option<Structure>,
    next: Option<Box<Build>>,
    entries: usize,
    /// How many entries there were when all of it was placed last.
    built: usize,
    /// Whether the entries are clauses of conjunctions: those share a slab with the others.
    clauses: bool,
}

impl ClassifierBook {
    /// Links an entry; readers see it as soon as its version is published.
    pub(crate) fn insert(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        self.entries += 1;
        if self.mixed.is_none() && self.linear.len() < LINEAR_MAX {
            let guard = writer.guard();
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return };
            self.clauses = new.body().behaviour.is_clause();
            let at = self
                .linear
                .partition_point(|i| FlowRef::of_writer(slab, *i, guard).is_some_and(|e| beats(e.body(), new.body())));
            self.linear.insert(at, index);
            self.publish_linear(c, slab, writer);
            return;
        }
        if self.mixed.is_none() {
            let mut structure = Structure::new(0);
            for i in std::mem::take(&mut self.linear) {
                structure.place_all(c.seed, slab, i, writer);
            }
            self.form = None;
            self.built = 0;
            self.mixed = Some(structure);
        }
        let Some(now) = &mut self.mixed else { return };
        now.place(c.seed, slab, index, writer);
        if now.residue >= now.try_at {
            now.gather(c.seed, slab, writer);
        }
        if let Some(next) = &mut self.next
            && let Phase::Placing(cursor) = next.phase
            && index < cursor
        {
            next.structure.place(c.seed, slab, index, writer);
        }
        if self.has_work(false) {
            self.work(c, slab, PLACED_PER_CHANGE, writer);
        }
        self.refresh(c, writer);
    }

    /// Links an entry that goes on where `old` ends, with the same match, rank and age: readers find it where they
    /// find `old`. Whether that was possible; [`insert`](Self::insert) does it otherwise.
    pub(crate) fn follow(&mut self, slab: &Slab, old: u32, index: u32, writer: &Writer) -> bool {
        let guard = writer.guard();
        let (Some(before), Some(new)) = (slab.slot(old, guard), slab.slot(index, guard)) else { return false };
        let same = |a: &FlowBody, b: &FlowBody| {
            a.shape.mask == b.shape.mask
                && a.values.words() == b.values.words()
                && (a.rank(), a.created) == (b.rank(), b.created)
        };
        if !before.body(guard).zip(new.body(guard)).is_some_and(|(a, b)| same(a, b)) {
            return false;
        }
        for (mine, theirs) in new.home.iter().zip(&before.home) {
            let home = theirs.load(Ordering::Relaxed);
            mine.store(if home == NIL { NIL } else { home | BEHIND }, Ordering::Relaxed);
        }
        new.next.store(before.next.load(Ordering::Relaxed), Ordering::Relaxed);
        before.next.store(index, Ordering::Release);
        self.entries += 1;
        true
    }

    /// Unlinks an entry that no version in use shows. Its slot may be freed a grace period later.
    pub(crate) fn remove(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        let Some(now) = &mut self.mixed else {
            for at in 0..self.linear.len() {
                match unchain(slab, self.linear[at], index, writer) {
                    Unchained::No => continue,
                    Unchained::Inside => {}
                    Unchained::Head(NIL) => {
                        self.linear.remove(at);
                        self.publish_linear(c, slab, writer);
                    }
                    Unchained::Head(next) => {
                        self.linear[at] = next;
                        if let Some(Form::Linear(linear)) = self.form.as_deref() {
                            linear.renew(at, next);
                        }
                    }
                }
                self.entries -= 1;
                return;
            }
            return;
        };
        let follower = slab.slot(index, writer.guard()).map_or(NIL, |s| s.next.load(Ordering::Relaxed));
        let lane = now.lane;
        // The structure in preparation first: its removal leaves the link as it is, too.
        let heads = note(slab, index, lane, writer) & BEHIND == 0;
        let unlinked = now.remove(c.seed, slab, index, writer);
        if let Some(next) = &mut self.next
            && note(slab, index, next.structure.lane, writer) != NIL
        {
            next.structure.remove(c.seed, slab, index, writer);
        }
        if !unlinked {
            return;
        }
        self.entries -= 1;
        if heads && follower != NIL {
            // What continued it stands for itself now.
            for lane in 0..2 {
                let home = note(slab, follower, lane, writer);
                if home != NIL {
                    set_note(slab, follower, lane, home & !BEHIND, writer);
                }
            }
            if let Some(next) = &mut self.next
                && let Phase::Placing(cursor) = next.phase
                && follower < cursor
                && note(slab, follower, next.structure.lane, writer) == NIL
            {
                next.structure.place_all(c.seed, slab, follower, writer);
            }
        }
        if self.entries == 0 {
            *self = Self::default();
            c.form.replace(None, writer);
        }
    }

    /// After a batch of removals: readers stop looking at parts that hold nothing.
    pub(crate) fn flush(&mut self, c: &Classifier, writer: &mut Writer) {
        self.refresh(c, writer);
    }

    /// Goes back to direct comparison if few entries are left. `live` lists every entry linked.
    pub(crate) fn relax(&mut self, c: &Classifier, slab: &Slab, live: impl Iterator<Item = u32>, writer: &mut Writer) {
        if !self.wants_relaxing() {
            return;
        }
        let guard = writer.guard();
        let mut all: Vec<u32> = live.collect();
        if all.len() != self.entries {
            return;
        }
        all.sort_by(|a, b| match (FlowRef::of_writer(slab, *a, guard), FlowRef::of_writer(slab, *b, guard)) {
            (Some(a), Some(b)) if beats(a.body(), b.body()) => std::cmp::Ordering::Less,
            (Some(a), Some(b)) if beats(b.body(), a.body()) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        });
        *self = Self { linear: all, entries: self.entries, clauses: self.clauses, ..Self::default() };
        for i in &self.linear {
            (0..2).for_each(|lane| set_note(slab, *i, lane, NIL, writer));
        }
        self.publish_linear(c, slab, writer);
    }

    pub(crate) fn wants_relaxing(&self) -> bool {
        self.mixed.is_some() && self.entries <= LINEAR_BACK
    }

    /// Entries linked, those awaiting their end included.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Whether all of it should be placed anew, or is being so. With time at hand (`idle`) a smaller change of size
    /// is reason enough.
    pub(crate) fn has_work(&self, idle: bool) -> bool {
        if self.next.is_some() {
            return true;
        }
        let Some(now) = &self.mixed else { return false };
        let grown = if idle { self.built + self.built / 4 } else { 3 * self.built };
        let shrunk = if idle { self.built / 2 } else { self.built / 4 };
        now.by_mask.len() + now.blocks.len() > 1
            && (self.entries >= FIRST_BUILD.max(grown) || self.entries < shrunk && self.entries > LINEAR_BACK)
    }

    /// Goes on with placing everything anew: about `n` entries' work.
    pub(crate) fn work(&mut self, c: &Classifier, slab: &Slab, n: usize, writer: &mut Writer) {
        let limit = slab.limit(writer.guard());
        let Some(now) = &self.mixed else { return };
        let next = self.next.get_or_insert_with(|| {
            self.built = self.entries;
            Box::new(Build { structure: Structure::new(now.lane ^ 1), phase: Phase::Clearing(0) })
        });
        match &mut next.phase {
            Phase::Clearing(cursor) => {
                let end = limit.min(cursor.saturating_add(16 * n as u32));
                for i in *cursor..end {
                    if is_ours(slab, i, now.lane, self.clauses, writer) {
                        set_note(slab, i, now.lane ^ 1, NIL, writer);
                    }
                }
                *cursor = end;
                if end == limit {
                    let step = (limit as usize).div_ceil(SAMPLE).max(1);
                    let sample: Vec<_> = (0..limit)
                        .step_by(step)
                        .filter_map(|first| {
                            (first..limit.min(first + 8.min(step as u32)))
                                .find(|i| is_ours(slab, *i, now.lane, self.clauses, writer))
                        })
                        .filter_map(|i| rule(slab, i, writer))
                        .map(|(shape, value, _)| (shape, value))
                        .collect();
                    let scale = self.entries / sample.len().max(1);
                    next.phase = Phase::Choosing(Box::new(Chooser::new(c.seed, sample, scale, TAKES, Vec::new())));
                }
            }
            Phase::Choosing(chooser) => {
                if chooser.step(n.div_ceil(16)) {
                    let Phase::Choosing(chooser) = std::mem::replace(&mut next.phase, Phase::Placing(0)) else {
                        return;
                    };
                    let (masks, words) = chooser.finish();
                    let words: Box<[u8]> = words.into_iter().take(MOST_WORDS).collect();
                    masks.into_iter().for_each(|m| next.structure.open(m, words.clone()));
                }
            }
            Phase::Placing(cursor) => {
                let mut left = n;
                while *cursor < limit && left > 0 {
                    let i = *cursor;
                    *cursor += 1;
                    if slab.slot(i, writer.guard()).is_none() {
                        continue;
                    }
                    left -= 1;
                    if is_ours(slab, i, now.lane, self.clauses, writer)
                        && note(slab, i, now.lane, writer) & BEHIND == 0
                        && note(slab, i, now.lane ^ 1, writer) == NIL
                    {
                        next.structure.place_all(c.seed, slab, i, writer);
                    }
                }
                if *cursor >= limit
                    && let Some(next) = self.next.take()
                {
                    let mut structure = next.structure;
                    structure.close_empty();
                    structure.try_at = structure.residue + (structure.residue / 2).max(NEXT_TRY);
                    structure.changed = true;
                    self.mixed = Some(structure);
                    self.built = self.entries;
                    self.refresh(c, writer);
                }
            }
        }
    }

    /// What the lookup structure consists of now.
    pub(crate) fn describe(&self) -> Description {
        let Some(now) = &self.mixed else {
            return Description { direct: self.linear.len(), ..Description::default() };
        };
        Description {
            direct: 0,
            tuples: now.tuples.iter().flatten().map(|t| t.entries).collect(),
            blocks: now.blocks.iter().filter(|b| b.entries > 0).map(|b| b.entries).collect(),
            placing: self.next.is_some(),
        }
    }

    /// Entries by tuples, and entries in blocks, for tests.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (Vec<usize>, usize) {
        self.mixed
            .as_ref()
            .map_or((Vec::new(), 0), |s| (s.tuples.iter().flatten().map(|t| t.entries).collect(), s.residue))
    }

    fn publish_linear(&mut self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        self.form =
            (!self.linear.is_empty()).then(|| Arc::new(Form::Linear(Linear::new(slab, &self.linear, writer.guard()))));
        c.form.replace(self.form.clone(), writer);
    }

    /// Gives readers the list of parts if it has changed.
    fn refresh(&mut self, c: &Classifier, writer: &mut Writer) {
        if let Some(now) = &mut self.mixed
            && std::mem::take(&mut now.changed)
        {
            c.form.replace(Some(Arc::new(Form::Parts(now.list()))), writer);
        }
    }
}

impl Structure {
    fn new(lane: usize) -> Self {
        Self {
            lane,
            arena: Arc::new(Arena::new()),
            groups: ArenaBook::default(),
            tuples: Vec::new(),
            by_mask: HashMap::default(),
            blocks: Vec::new(),
            residue: 0,
            try_at: FIRST_TRY,
            changed: true,
        }
    }

    fn list(&self) -> Parts {
        let tuples = self
            .tuples
            .iter()
            .flatten()
            .map(|t| Ranked { max_rank: t.bound.rank, part: Part::Tuple(Arc::clone(&t.tuple)) });
        let blocks = self
            .blocks
            .iter()
            .filter(|b| b.entries > 0)
            .map(|b| Ranked { max_rank: b.bound.rank, part: Part::Block(Arc::clone(&b.block)) });
        let mut list: Vec<Ranked> = tuples.chain(blocks).collect();
        list.sort_by_key(|r| std::cmp::Reverse(r.max_rank));
        Parts { arena: Arc::clone(&self.arena), list: list.into() }
    }

    /// A tuple with this mask.
    fn open(&mut self, mask: Mask, words: Box<[u8]>) {
        let home = self.tuples.iter().position(Option::is_none).unwrap_or(self.tuples.len());
        if home == self.tuples.len() {
            self.tuples.push(None);
        }
        self.by_mask.insert(mask.clone(), home as u32);
        let tuple = Arc::new(Tuple::new(mask, words));
        self.tuples[home] = Some(TupleBook { tuple, bound: Bound::default(), entries: 0 });
    }

    /// Forgets tuples that hold nothing.
    fn close_empty(&mut self) {
        for t in &mut self.tuples {
            if let Some(empty) = t.take_if(|t| t.entries == 0) {
                self.by_mask.remove(&empty.tuple.mask);
            }
        }
    }

    /// Puts an entry where it belongs: into the tuple of its mask, else into the first one with a
    /// coarser mask and room, else into a block.
    fn place(&mut self, seed: Seed, slab: &Slab, index: u32, writer: &mut Writer) {
        let Some((shape, value, rank)) = rule(slab, index, writer) else { return };
        let own = &shape.mask;
        if let Some(home) = self.by_mask.get(own).copied()
            && self.link(seed, slab, home, index, own, &value, rank, writer)
        {
            return;
        }
        for home in 0..self.tuples.len() as u32 {
            if self.link(seed, slab, home, index, own, &value, rank, writer) {
                return;
            }
        }
        self.put(slab, index, own, &value, rank, writer);
    }

    /// Places an entry with those that continue it.
    fn place_all(&mut self, seed: Seed, slab: &Slab, index: u32, writer: &mut Writer) {
        self.place(seed, slab, index, writer);
        let home = note(slab, index, self.lane, writer);
        let next = |i: u32| slab.slot(i, writer.guard()).map_or(NIL, |s| s.next.load(Ordering::Relaxed));
        let mut i = next(index);
        while i != NIL {
            set_note(slab, i, self.lane, home | BEHIND, writer);
            i = next(i);
        }
    }

    /// Links an entry into tuple `home`, if that takes it.
    #[expect(clippy::too_many_arguments, reason = "what the caller has at hand anyway")]
    fn link(
        &mut self,
        seed: Seed,
        slab: &Slab,
        home: u32,
        index: u32,
        own: &Mask,
        value: &FlowKey,
        rank: u32,
        writer: &mut Writer,
    ) -> bool {
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
        if !own.contains(&book.tuple.mask) {
            return false;
        }
        let h = hash(seed, &book.tuple.mask, value);
        let there = book.tuple.count(h, &self.arena, writer.guard());
        // Groups compare the words of the tuple; alone under its hash, an entry of the tuple's mask needs none.
        let fits = book.tuple.covers(own) || there == 0 && *own == book.tuple.mask;
        if !fits || there >= MOST {
            return false;
        }
        let memory = Memory { slab, arena: &self.arena };
        if !book.tuple.insert(h, index, memory, &mut self.groups, writer) {
            return false;
        }
        set_note(slab, index, self.lane, home, writer);
        self.changed |= book.entries == 0;
        book.entries += 1;
        self.changed |= book.bound.cover(rank);
        true
    }

    /// Puts an entry into a block.
    fn put(&mut self, slab: &Slab, index: u32, own: &Mask, value: &FlowKey, rank: u32, writer: &Writer) {
        let room = |b: &BlockBook| b.entries < RULES;
        let at = match self.blocks.last().is_some_and(room) {
            true => Some(self.blocks.len() - 1),
            false if self.residue < self.blocks.len() * RULES => self.blocks.iter().position(room),
            false => None,
        };
        let at = at.unwrap_or_else(|| {
            let nibbles = self.blocks.last().map_or(Nibbles::NONE, |b| b.nibbles);
            self.blocks.push(BlockBook {
                block: Arc::new(Block::new(&nibbles)),
                nibbles,
                first: None,
                bound: Bound::default(),
                entries: 0,
            });
            self.changed = true;
            self.blocks.len() - 1
        });
        let book = &mut self.blocks[at];
        let mut nibbles = book.nibbles;
        let rule = (value, &own.key());
        let first = book.first.get_or_insert_with(|| Box::new((*rule.0, *rule.1)));
        nibbles.tell_apart((&first.0, &first.1), rule);
        let guard = writer.guard();
        let body = |i: u32| slab.slot(i, guard).and_then(|s| s.body(guard));
        if nibbles != book.nibbles {
            // It differs where no rule of this block did.
            let wider = Block::new(&nibbles);
            for (place, i) in book.block.rules() {
                if let Some(b) = body(i) {
                    wider.put(place, i, b);
                }
            }
            book.block = Arc::new(wider);
            book.nibbles = nibbles;
            self.changed = true;
        }
        let (Some(place), Some(b)) = (book.block.vacant(), body(index)) else { return };
        book.block.put(place, index, b);
        set_note(slab, index, self.lane, IN_BLOCK | (at * RULES + place) as u32, writer);
        // An empty block isn't in the readers' list.
        self.changed |= book.entries == 0;
        book.entries += 1;
        self.residue += 1;
        self.changed |= book.bound.cover(rank);
    }

    /// Takes an entry away, or puts in its place the one that continues it; whether it was there.
    fn remove(&mut self, seed: Seed, slab: &Slab, index: u32, writer: &mut Writer) -> bool {
        let home = note(slab, index, self.lane, writer);
        if home == NIL {
            return false;
        }
        let home = home & !BEHIND;
        let gone;
        if home & IN_BLOCK != 0 {
            let (block, place) = ((home & !IN_BLOCK) as usize / RULES, home as usize % RULES);
            let Some(book) = self.blocks.get_mut(block) else { return false };
            match unchain(slab, book.block.entry(place), index, writer) {
                Unchained::No => return false,
                Unchained::Inside => gone = false,
                Unchained::Head(NIL) => gone = book.block.remove(place, index),
                Unchained::Head(next) => {
                    book.block.renew(place, next);
                    gone = false;
                }
            }
            if gone {
                book.entries -= 1;
                self.residue -= 1;
                // The last block goes when it is empty; others wait for it or are filled again.
                while self.blocks.last().is_some_and(|b| b.entries == 0) {
                    self.blocks.pop();
                    self.changed = true;
                }
            }
        } else {
            let Some(value) =
                slab.slot(index, writer.guard()).and_then(|s| s.body(writer.guard())).map(FlowBody::value)
            else {
                return false;
            };
            let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
            let h = hash(seed, &book.tuple.mask, &value);
            let chained = slab.slot(index, writer.guard()).is_some_and(|s| s.next.load(Ordering::Relaxed) != NIL);
            gone = note(slab, index, self.lane, writer) & BEHIND == 0 && !chained;
            if !book.tuple.remove(h, index, Memory { slab, arena: &self.arena }, &mut self.groups, writer) {
                return false;
            }
            if gone {
                book.entries -= 1;
                if book.entries == 0 {
                    self.by_mask.remove(&book.tuple.mask);
                    self.tuples[home as usize] = None;
                    self.changed = true;
                }
            }
        }
        set_note(slab, index, self.lane, NIL, writer);
        true
    }

    /// Opens tuples for what many entries in blocks have in common, and moves those there.
    fn gather(&mut self, seed: Seed, slab: &Slab, writer: &mut Writer) {
        let all: Vec<u32> = self.blocks.iter().flat_map(|b| b.block.rules().map(|(_, i)| i)).collect();
        let least = if self.by_mask.is_empty() { FIRST_TAKES } else { TAKES };
        let step = all.len().div_ceil(SAMPLE / 4).max(1);
        let sample = all.iter().step_by(step).filter_map(|i| rule(slab, *i, writer));
        let sample = sample.map(|(shape, value, _)| (shape, value)).collect();
        let mut chooser = Chooser::new(seed, sample, step, least, self.by_mask.keys().cloned().collect());
        chooser.step(usize::MAX);
        let (masks, words) = chooser.finish();
        let words: Box<[u8]> = words.into_iter().take(MOST_WORDS).collect();
        let found = !masks.is_empty();
        masks.into_iter().for_each(|m| self.open(m, words.clone()));
        if found {
            for at in 0..self.blocks.len() {
                let mut gone = Vec::new();
                let block = Arc::clone(&self.blocks[at].block);
                for (place, index) in block.rules() {
                    let Some((shape, value, rank)) = rule(slab, index, writer) else { continue };
                    let own = &shape.mask;
                    // What continues the entry shares its note; that it stands behind remains.
                    let home = self.by_mask.get(own).copied();
                    let homes = home.into_iter().chain(0..self.tuples.len() as u32);
                    for home in homes {
                        if self.link(seed, slab, home, index, own, &value, rank, writer) {
                            self.renote(slab, index, writer);
                            gone.push(place);
                            break;
                        }
                    }
                }
                if gone.is_empty() {
                    continue;
                }
                // Readers of the list that is still published need the old block as it is.
                let book = &mut self.blocks[at];
                book.block = Arc::new(block.without(&gone));
                book.entries -= gone.len();
                self.residue -= gone.len();
                self.changed = true;
            }
            while self.blocks.last().is_some_and(|b| b.entries == 0) {
                self.blocks.pop();
            }
            self.close_empty();
        }
        self.try_at = self.residue + (self.residue / 2).max(NEXT_TRY);
    }

    /// What continues an entry has its new home.
    fn renote(&self, slab: &Slab, index: u32, writer: &Writer) {
        let home = note(slab, index, self.lane, writer);
        let next = |i: u32| slab.slot(i, writer.guard()).map_or(NIL, |s| s.next.load(Ordering::Relaxed));
        let mut i = next(index);
        while i != NIL {
            set_note(slab, i, self.lane, home | BEHIND, writer);
            i = next(i);
        }
    }
}

/// An entry's shape, value and rank.
fn rule(slab: &Slab, index: u32, writer: &Writer) -> Option<(Arc<Shape>, FlowKey, u32)> {
    let guard = writer.guard();
    let b = slab.slot(index, guard)?.body(guard)?;
    Some((Arc::clone(&b.shape), b.value(), b.rank()))
}

/// Whether an entry lies in the structure whose notes are in `lane`.
fn is_ours(slab: &Slab, index: u32, lane: usize, clauses: bool, writer: &Writer) -> bool {
    let guard = writer.guard();
    slab.slot(index, guard).is_some_and(|s| {
        s.home[lane].load(Ordering::Relaxed) != NIL && s.body(guard).is_some_and(|b| b.behaviour.is_clause() == clauses)
    })
}

fn note(slab: &Slab, index: u32, lane: usize, writer: &Writer) -> u32 {
    slab.slot(index, writer.guard()).map_or(NIL, |s| s.home[lane].load(Ordering::Relaxed))
}

fn set_note(slab: &Slab, index: u32, lane: usize, home: u32, writer: &Writer) {
    if let Some(slot) = slab.slot(index, writer.guard()) {
        slot.home[lane].store(home, Ordering::Relaxed);
    }
}
