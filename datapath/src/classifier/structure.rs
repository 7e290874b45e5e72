//! Tuples and blocks as the writer knows them: what lies where, and where a rule goes.

use super::arena::{Arena, ArenaBook};
use super::choose::{Chooser, SAMPLE};
use super::group::MOST_WORDS;
use super::index::Ground;
use super::linear::Linear;
use super::tuple::TupleBook;
use super::vector::{Block, Nibbles, RULES};
use super::{Bound, LINEAR_MAX, Mask, Part, Parts, Ranked, Seed, Shape, Unchained, hash, hash_values, unchain};
use crate::key::FlowKey;
use crate::publish::Writer;
use crate::table::{FlowBody, NIL, Slab};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A block of no more entries is compared directly: its rows cost more.
const DIRECT_MAX: usize = super::rows::MOST;
/// With this many entries in blocks, the first tuple is looked for.
const FIRST_TRY: usize = LINEAR_MAX + 1;
/// The first tuple takes at least so many entries when it is opened.
const FIRST_TAKES: usize = 32;
/// Every other one so many: a block compares them about as fast as one tuple is looked at.
pub(super) const TAKES: usize = 128;
/// Further entries that come to blocks before tuples are looked for again, at least.
const NEXT_TRY: usize = 256;
/// Runs of the arena that are looked after in one go.
const SETTLED: usize = 256;

/// In a slot's note of its home: it is in a block.
const IN_BLOCK: u32 = 1 << 31;
/// In a slot's note of its home: it is found through the entry that it continues.
pub(super) const BEHIND: u32 = 1 << 30;

struct BlockBook {
    block: Arc<Block>,
    nibbles: Nibbles,
    /// The rule, by value and mask, from which the others were told apart.
    first: Option<Box<(FlowKey, FlowKey)>>,
    bound: Bound,
    entries: usize,
}

impl BlockBook {
    /// Its entries, for direct comparison: few are compared faster so than by the rows.
    fn direct(&self, site: Site<'_>) -> Linear {
        let mut entries: Vec<u32> = self.block.rules().map(|(_, i)| i).collect();
        entries.sort_by(|a, b| order(*a, *b, site));
        Linear::new(site.slab, &entries, site.writer.guard())
    }

    /// Readers' list holds its entries themselves.
    fn is_direct(&self) -> bool {
        self.entries <= DIRECT_MAX
    }
}

/// Best first.
pub(super) fn order(a: u32, b: u32, site: Site<'_>) -> std::cmp::Ordering {
    let key = |i: u32| site.body(i).map(|b| (b.rank(), std::cmp::Reverse(b.created)));
    key(b).cmp(&key(a))
}

/// A table's slots, and the one who may change what is noted there.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) slab: &'a Slab,
    pub(super) writer: &'a Writer,
}

/// An entry's match and rank.
pub(super) struct Rule {
    pub(super) index: u32,
    pub(super) shape: Arc<Shape>,
    pub(super) value: FlowKey,
    rank: u32,
}

impl<'a> Site<'a> {
    pub(super) fn body(self, index: u32) -> Option<&'a FlowBody> {
        let guard = self.writer.guard();
        self.slab.slot(index, guard)?.body(guard)
    }

    pub(super) fn rule(self, index: u32) -> Option<Rule> {
        let b = self.body(index)?;
        Some(Rule { index, shape: Arc::clone(&b.shape), value: b.value(), rank: b.rank() })
    }

    /// Where an entry lies in the structure of this lane; `NIL`: nowhere.
    pub(super) fn note(self, index: u32, lane: usize) -> u32 {
        self.slab.slot(index, self.writer.guard()).map_or(NIL, |s| s.home[lane].load(Ordering::Relaxed))
    }

    pub(super) fn set_note(self, index: u32, lane: usize, home: u32) {
        if let Some(slot) = self.slab.slot(index, self.writer.guard()) {
            slot.home[lane].store(home, Ordering::Relaxed);
        }
    }

    /// The entry that continues this one, or `NIL`.
    pub(super) fn next(self, index: u32) -> u32 {
        self.slab.slot(index, self.writer.guard()).map_or(NIL, |s| s.next.load(Ordering::Relaxed))
    }

    /// Whether an entry lies in the structure whose notes are in `lane`.
    pub(super) fn is_ours(self, index: u32, lane: usize, clauses: bool) -> bool {
        self.note(index, lane) != NIL && self.body(index).is_some_and(|b| b.behaviour.is_clause() == clauses)
    }
}

/// Tuples and blocks.
pub(super) struct Structure {
    seed: Seed,
    /// Which of a slot's two notes is this structure's.
    pub(super) lane: usize,
    arena: Arc<Arena>,
    lines: ArenaBook,
    tuples: Vec<Option<TupleBook>>,
    by_mask: HashMap<Mask, u32, foldhash::fast::FixedState>,
    /// The tuple that an entry's mask was last found to be.
    last: u32,
    blocks: Vec<BlockBook>,
    /// Entries in blocks.
    pub(super) residue: usize,
    /// With this many entries in blocks, a tuple is looked for that takes some.
    try_at: usize,
    /// Readers' list of parts isn't what it should be.
    pub(super) changed: bool,
}

impl Structure {
    pub(super) fn new(seed: Seed, lane: usize) -> Self {
        Self {
            seed,
            lane,
            arena: Arc::new(Arena::new()),
            lines: ArenaBook::default(),
            tuples: Vec::new(),
            by_mask: HashMap::default(),
            last: 0,
            blocks: Vec::new(),
            residue: 0,
            try_at: FIRST_TRY,
            changed: true,
        }
    }

    /// What readers walk.
    pub(super) fn list(&self, site: Site<'_>) -> Parts {
        let tuples = self
            .tuples
            .iter()
            .flatten()
            .map(|t| Ranked { max_rank: t.bound.rank(), part: Part::Tuple(Arc::clone(&t.tuple), t.filter()) });
        let blocks = self.blocks.iter().filter(|b| b.entries > 0).map(|b| Ranked {
            max_rank: b.bound.rank(),
            part: if b.is_direct() { Part::Few(b.direct(site)) } else { Part::Block(Arc::clone(&b.block)) },
        });
        let mut list: Vec<Ranked> = tuples.chain(blocks).collect();
        list.sort_by_key(|r| std::cmp::Reverse(r.max_rank));
        Parts { routes: None, arena: Arc::clone(&self.arena), list: list.into() }
    }

    /// What a lookup costs at most, in tuples.
    pub(super) fn cost(&self) -> usize {
        self.by_mask.len() + 2 * self.blocks.len()
    }

    /// Entries of each tuple.
    pub(super) fn tuples(&self) -> Vec<usize> {
        self.tuples.iter().flatten().map(|t| t.entries).collect()
    }

    /// Entries of each block.
    pub(super) fn blocks(&self) -> Vec<usize> {
        self.blocks.iter().filter(|b| b.entries > 0).map(|b| b.entries).collect()
    }

    /// Opens tuples with these masks.
    pub(super) fn open(&mut self, masks: Vec<Mask>, words: Vec<u8>, writer: &Writer) {
        let words: Box<[u8]> = words.into_iter().take(MOST_WORDS).collect();
        for mask in masks {
            let mut ground = Ground { arena: &self.arena, book: &mut self.lines, writer };
            let Some(tuple) = TupleBook::new(mask.clone(), words.clone(), &mut ground) else { return };
            let home = self.tuples.iter().position(Option::is_none).unwrap_or(self.tuples.len());
            if home == self.tuples.len() {
                self.tuples.push(None);
            }
            self.by_mask.insert(mask, home as u32);
            self.tuples[home] = Some(tuple);
        }
    }

    /// Forgets tuples that hold nothing.
    fn close_empty(&mut self, writer: &Writer) {
        for t in &mut self.tuples {
            if let Some(empty) = t.take_if(|t| t.entries == 0) {
                self.by_mask.remove(&empty.tuple.mask);
                empty.close(&mut Ground { arena: &self.arena, book: &mut self.lines, writer });
                self.changed = true;
            }
        }
    }

    /// All of a table has been placed.
    pub(super) fn complete(&mut self, writer: &Writer) {
        self.close_empty(writer);
        self.wait_for_more();
        self.changed = true;
    }

    fn wait_for_more(&mut self) {
        self.try_at = self.residue + (self.residue / 2).max(NEXT_TRY);
    }

    /// Looks after memory that readers may have left.
    pub(super) fn settle(&mut self, writer: &Writer) {
        self.lines.settle(&self.arena, SETTLED, writer);
    }

    /// Puts an entry where it belongs: into a tuple, else into a block.
    pub(super) fn place(&mut self, index: u32, site: Site<'_>) {
        if self.link_own(index, site) {
            return;
        }
        let Some(rule) = site.rule(index) else { return };
        if !self.link_any(&rule, site) {
            self.put(&rule, site);
        }
    }

    /// Places an entry with those that continue it.
    pub(super) fn place_all(&mut self, index: u32, site: Site<'_>) {
        self.place(index, site);
        self.note_followers(index, site);
    }

    /// What continues an entry has the same home.
    fn note_followers(&self, index: u32, site: Site<'_>) {
        let home = site.note(index, self.lane);
        let mut i = site.next(index);
        while i != NIL {
            site.set_note(i, self.lane, home | BEHIND);
            i = site.next(i);
        }
    }

    /// Links an entry into the tuple of its mask, else into the first one with a coarser mask and room; whether
    /// there is one.
    fn link_any(&mut self, rule: &Rule, site: Site<'_>) -> bool {
        let own = self.by_mask.get(&rule.shape.mask).copied();
        self.last = own.unwrap_or(self.last);
        own.is_some_and(|home| self.link(home, rule, site))
            || (0..self.tuples.len() as u32).any(|home| Some(home) != own && self.link(home, rule, site))
    }

    /// Links an entry into the tuple of its mask, if that is the one that was last looked for and takes it.
    fn link_own(&mut self, index: u32, site: Site<'_>) -> bool {
        let Some(body) = site.body(index) else { return false };
        let own = &body.shape.mask;
        let home = self.last;
        if self.tuples.get(home as usize).is_none_or(|t| t.as_ref().is_none_or(|t| t.tuple.mask != *own)) {
            return false;
        }
        let h = hash_values(self.seed, own, body.values.words());
        self.enter(home, h, (index, body.rank()), own, site)
    }

    /// The hash of an entry under a tuple's mask.
    fn hash_in(&self, mask: &Mask, body: &FlowBody) -> u32 {
        if *mask == body.shape.mask {
            hash_values(self.seed, mask, body.values.words())
        } else {
            hash(self.seed, mask, &body.value())
        }
    }

    /// Links an entry into tuple `home`, if that takes it.
    fn link(&mut self, home: u32, rule: &Rule, site: Site<'_>) -> bool {
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
        let own = &rule.shape.mask;
        if !own.contains(&book.tuple.mask) {
            return false;
        }
        let h = hash(self.seed, &book.tuple.mask, &rule.value);
        self.enter(home, h, (rule.index, rule.rank), own, site)
    }

    /// Puts an entry with its rank under a hash of tuple `home`, if that takes it.
    fn enter(&mut self, home: u32, h: u32, (index, rank): (u32, u32), own: &Mask, site: Site<'_>) -> bool {
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
        let mut ground = Ground { arena: &self.arena, book: &mut self.lines, writer: site.writer };
        if !book.insert(h, index, own, site.slab, &mut ground) {
            return false;
        }
        site.set_note(index, self.lane, home);
        self.changed |= book.entries == 0 || std::mem::take(&mut book.refiltered);
        book.entries += 1;
        self.changed |= book.bound.cover(rank);
        true
    }

    /// Puts an entry into a block.
    fn put(&mut self, rule: &Rule, site: Site<'_>) {
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
        let pair = (&rule.value, &rule.shape.mask.key());
        let first = book.first.get_or_insert_with(|| Box::new((*pair.0, *pair.1)));
        nibbles.tell_apart((&first.0, &first.1), pair);
        if nibbles != book.nibbles {
            // It differs where no rule of this block did.
            let wider = Block::new(&nibbles);
            for (place, i) in book.block.rules() {
                if let Some(b) = site.body(i) {
                    wider.put(place, i, b);
                }
            }
            book.block = Arc::new(wider);
            book.nibbles = nibbles;
            self.changed = true;
        }
        let (Some(place), Some(b)) = (book.block.vacant(), site.body(rule.index)) else { return };
        book.block.put(place, rule.index, b);
        site.set_note(rule.index, self.lane, IN_BLOCK | (at * RULES + place) as u32);
        // Of an empty block nothing is in the readers' list, of a small one the entries.
        self.changed |= book.is_direct();
        book.entries += 1;
        self.residue += 1;
        self.changed |= book.bound.cover(rule.rank);
    }

    /// Asks for the memory that linking an entry into the tuple of its mask will look at, if that was looked for last.
    #[inline]
    pub(super) fn foresee(&self, mask: &Mask, value: &FlowKey) {
        if let Some(Some(book)) = self.tuples.get(self.last as usize)
            && book.tuple.mask == *mask
        {
            book.tuple.prefetch(&self.arena, hash(self.seed, mask, value));
        }
    }

    /// Asks for the memory that [`remove`](Self::remove) will look at, if the entry is in a tuple.
    pub(super) fn prefetch(&self, index: u32, site: Site<'_>) {
        let home = site.note(index, self.lane) & !BEHIND;
        if let Some(Some(book)) = self.tuples.get(home as usize)
            && let Some(body) = site.body(index)
        {
            book.tuple.prefetch(&self.arena, self.hash_in(&book.tuple.mask, body));
        }
    }

    /// Takes an entry away, or puts in its place the one that continues it; whether it was there.
    pub(super) fn remove(&mut self, index: u32, site: Site<'_>) -> bool {
        let note = site.note(index, self.lane);
        if note == NIL {
            return false;
        }
        let home = note & !BEHIND;
        let removed = if home & IN_BLOCK != 0 {
            self.take_out((home & !IN_BLOCK) as usize / RULES, home as usize % RULES, index, site)
        } else {
            let goes = note & BEHIND == 0 && site.next(index) == NIL;
            self.unlink(home as usize, index, goes, site)
        };
        if removed {
            site.set_note(index, self.lane, NIL);
        }
        removed
    }

    /// As [`remove`](Self::remove), from a place of a block.
    fn take_out(&mut self, block: usize, place: usize, index: u32, site: Site<'_>) -> bool {
        let Some(book) = self.blocks.get_mut(block) else { return false };
        match unchain(site.slab, book.block.entry(place), index, site.writer) {
            Unchained::No => return false,
            Unchained::Inside => return true,
            Unchained::Head(NIL) => {}
            Unchained::Head(next) => {
                book.block.renew(place, next);
                self.changed |= book.is_direct();
                return true;
            }
        }
        if book.block.remove(place, index) {
            book.entries -= 1;
            self.residue -= 1;
            self.changed |= book.is_direct();
            self.close_last_blocks();
        }
        true
    }

    /// The last block goes when it is empty; others wait for it or are filled again.
    fn close_last_blocks(&mut self) {
        while self.blocks.pop_if(|b| b.entries == 0).is_some() {
            self.changed = true;
        }
    }

    /// As [`remove`](Self::remove), from a tuple; `goes`: nothing takes its place.
    fn unlink(&mut self, home: usize, index: u32, goes: bool, site: Site<'_>) -> bool {
        let Some(Some(book)) = self.tuples.get(home) else { return false };
        let Some(h) = site.body(index).map(|b| self.hash_in(&book.tuple.mask, b)) else { return false };
        let Some(Some(book)) = self.tuples.get_mut(home) else { return false };
        let mut ground = Ground { arena: &self.arena, book: &mut self.lines, writer: site.writer };
        if !book.remove(h, index, site.slab, &mut ground) {
            return false;
        }
        if goes {
            book.entries -= 1;
            if book.entries == 0 {
                self.close_empty(site.writer);
            }
        }
        true
    }

    /// Opens tuples for what many entries in blocks have in common, and moves those there, if there are many.
    pub(super) fn gather(&mut self, site: Site<'_>) {
        if self.residue < self.try_at {
            return;
        }
        let all: Vec<u32> = self.blocks.iter().flat_map(|b| b.block.rules().map(|(_, i)| i)).collect();
        let least = if self.by_mask.is_empty() { FIRST_TAKES } else { TAKES };
        let step = all.len().div_ceil(SAMPLE / 4).max(1);
        let sample = all.iter().step_by(step).filter_map(|i| site.rule(*i)).map(|r| (r.shape, r.value)).collect();
        let mut chooser = Chooser::new(self.seed, sample, step, least, self.by_mask.keys().cloned().collect());
        chooser.step(usize::MAX);
        let (masks, words) = chooser.finish();
        if !masks.is_empty() {
            self.open(masks, words, site.writer);
            for at in 0..self.blocks.len() {
                self.move_to_tuples(at, site);
            }
            self.close_last_blocks();
            self.close_empty(site.writer);
        }
        self.wait_for_more();
    }

    /// Moves what tuples take of a block.
    fn move_to_tuples(&mut self, at: usize, site: Site<'_>) {
        let mut gone = Vec::new();
        let block = Arc::clone(&self.blocks[at].block);
        for (place, index) in block.rules() {
            let Some(rule) = site.rule(index) else { continue };
            if self.link_any(&rule, site) {
                self.note_followers(index, site);
                gone.push(place);
            }
        }
        if gone.is_empty() {
            return;
        }
        // Readers of the list that is still published need the old block as it is.
        let book = &mut self.blocks[at];
        book.block = Arc::new(block.without(&gone));
        book.entries -= gone.len();
        self.residue -= gone.len();
        self.changed = true;
    }
}
