//! How readers look a key up in a table's parts, one or a burst of them.
//!
//! Of each part that may do better the best rule by its notes becomes a *candidate*: a rank and an entry. Only the one
//! that is left at the end is looked at itself, or two of the same rank, of which age decides: are they visible? Where
//! one isn't, and where three have the same rank, the parts are asked again, for visible rules ([`Walk::exact`]).

use super::arena::Arena;
use super::columns::Columns;
use super::filter::Filter;
use super::hash::{Seed, hash, hash_burst};
use super::linear::Linear;
use super::routes::{Routes, Terms};
use super::tuple::{Memory, Query, Tuple};
use super::vector::Block;
use super::{BURST, better, bits, rank_of, rows};
use crate::key::FlowKey;
use crate::publish::Guard;
use crate::table::{FlowRef, NIL, Slab};
use std::sync::Arc;

/// Tuples whose memory is asked for before the first one is looked at.
const AHEAD: usize = 4;

/// So few parts are asked one after the other for a single key.
const IN_TURN: usize = 2;

/// A part of a table.
pub(super) enum Part {
    /// With what is looked at before, if it has any.
    Tuple(Arc<Tuple>, Option<Arc<Filter>>),
    Block(Arc<Block>),
    /// So few of a block that they are compared directly.
    Few(Linear),
}

/// A part and the best rank it may hold.
pub(super) struct Ranked {
    pub(super) max_rank: u32,
    pub(super) part: Part,
}

/// Tuples and blocks, best rank first, and what groups lie in.
pub(super) struct Parts {
    /// Asked first.
    pub(super) routes: Option<(Arc<Routes>, Terms)>,
    pub(super) arena: Arc<Arena>,
    pub(super) list: Box<[Ranked]>,
}

/// What a part has to offer, by its notes.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// One more than the rank; 0: nothing.
    score: u32,
    entry: u32,
}

impl Candidate {
    pub(super) const NONE: Self = Self { score: 0, entry: NIL };

    #[inline(always)]
    pub(super) const fn new(rank: u32, entry: u32) -> Self {
        Self { score: rank + 1, entry }
    }
}

/// The best candidates for a burst's keys.
struct Best {
    scores: [u32; BURST],
    entries: [u32; BURST],
    /// Another part's candidate of the same rank.
    rivals: [u32; BURST],
    /// Those that have more than one rival, one bit each.
    crowded: u32,
}

impl Best {
    const fn new() -> Self {
        Self { scores: [0; BURST], entries: [NIL; BURST], rivals: [NIL; BURST], crowded: 0 }
    }

    #[inline(always)]
    fn offer(&mut self, i: usize, new: Candidate) {
        let (old, rival) = (self.scores[i], self.rivals[i]);
        let (wins, ties) = (new.score > old, new.score == old && old != 0);
        self.crowded = self.crowded & !(u32::from(wins) << i) | u32::from(ties && rival != NIL) << i;
        self.entries[i] = if wins { new.entry } else { self.entries[i] };
        self.rivals[i] = if ties { new.entry } else { rival };
        self.rivals[i] = if wins { NIL } else { self.rivals[i] };
        self.scores[i] = new.score.max(old);
    }

    /// The rank that a rule must have to be of interest.
    #[inline(always)]
    fn floor(&self, i: usize) -> u32 {
        self.scores[i].saturating_sub(1)
    }
}

/// A version's view of a table that has parts.
#[derive(Clone, Copy)]
pub(super) struct Walk<'g> {
    pub(super) seed: Seed,
    pub(super) parts: &'g Parts,
    pub(super) slab: &'g Slab,
    pub(super) version: u64,
    pub(super) guard: Guard<'g>,
}

impl<'g> Walk<'g> {
    fn memory(&self) -> Memory<'g> {
        Memory { slab: self.slab, arena: &self.parts.arena }
    }

    const fn query<'k>(&self, key: &'k FlowKey, floor: u32) -> Query<'k, 'g> {
        Query { version: self.version, key, floor, guard: self.guard }
    }

    /// The entry that a packet with `key` matches.
    #[inline]
    pub(super) fn lookup(&self, key: &FlowKey) -> Option<FlowRef<'g>> {
        #[cfg(target_arch = "x86_64")]
        if rows::is_wide() {
            // SAFETY: the processor has what it is compiled with.
            return unsafe { self.one_wide(key) };
        }
        self.one::<false>(key)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
    fn one_wide(&self, key: &FlowKey) -> Option<FlowRef<'g>> {
        self.one::<true>(key)
    }

    #[inline(always)]
    pub(super) fn one<const WIDE: bool>(&self, key: &FlowKey) -> Option<FlowRef<'g>> {
        if let Some((routes, terms)) = &self.parts.routes
            && let Some(found) = routes.lookup(*terms, self.slab, self.query(key, 0))
        {
            return Some(found);
        }
        if self.parts.list.len() <= IN_TURN {
            return self.in_turn::<WIDE>(key);
        }
        let memory = self.memory();
        let (mut best, mut rival, mut crowded) = (Candidate::NONE, NIL, false);
        'parts: for some in self.parts.list.chunks(AHEAD) {
            // Mostly all of them are looked at: what they read is asked for together, step by step. Columns of their own,
            // read as they are written: what is put together from parts waits for the stores.
            let mut hashes = [0u32; AHEAD];
            let mut may = [false; AHEAD];
            for ((r, h), may) in some.iter().zip(&mut hashes).zip(&mut may) {
                if let Part::Tuple(tuple, filter) = &r.part {
                    *h = hash(self.seed, &tuple.mask, key);
                    *may = filter.as_ref().is_none_or(|f| f.may_hold(*h) != 0);
                    if *may {
                        tuple.prefetch(memory.arena, *h);
                    }
                }
            }
            let mut heads = [NIL; AHEAD];
            for (((r, h), may), head) in some.iter().zip(&hashes).zip(&may).zip(&mut heads) {
                if let Part::Tuple(tuple, _) = &r.part
                    && *may
                    && let Some(met) = tuple.head::<WIDE>(memory.arena, *h)
                {
                    *head = met;
                    Tuple::prefetch_head(met, memory);
                }
            }
            for (r, head) in some.iter().zip(&heads) {
                if r.max_rank + 1 < best.score {
                    break 'parts;
                }
                let q = self.query(key, best.score.saturating_sub(1));
                let found = match &r.part {
                    Part::Tuple(..) if *head == NIL => continue,
                    Part::Tuple(tuple, _) => {
                        tuple.candidate::<WIDE>((*head, Tuple::words(*head, memory)), self.slab, q)
                    }
                    Part::Block(block) => block.candidate::<WIDE>(self.slab, q),
                    Part::Few(few) => few.candidate::<WIDE>(key),
                };
                if found.score > best.score {
                    (best, rival, crowded) = (found, NIL, false);
                    self.slab.prefetch(best.entry);
                } else if found.score == best.score && best.score != 0 {
                    (rival, crowded) = (found.entry, rival != NIL);
                }
            }
        }
        if best.entry == NIL {
            return None;
        }
        self.settle(best.entry, rival).filter(|_| !crowded).or_else(|| self.exact(key))
    }

    /// The candidate, or the better one of it and its rival, if they are visible.
    #[inline(always)]
    fn settle(&self, entry: u32, rival: u32) -> Option<FlowRef<'g>> {
        let visible = |entry| FlowRef::current(self.slab, entry, self.version, self.guard);
        let found = visible(entry);
        if rival == NIL { found } else { better(Some(found?), Some(visible(rival)?)) }
    }

    /// The same from rules that were seen to be visible.
    #[cold]
    #[inline(never)]
    fn exact(&self, key: &FlowKey) -> Option<FlowRef<'g>> {
        self.in_turn::<false>(key)
    }

    /// Part after part.
    #[inline(always)]
    fn in_turn<const WIDE: bool>(&self, key: &FlowKey) -> Option<FlowRef<'g>> {
        let memory = self.memory();
        let mut best: Option<FlowRef<'g>> = None;
        for r in &self.parts.list {
            let floor = rank_of(best);
            if r.max_rank < floor {
                break;
            }
            let q = self.query(key, floor);
            best = match &r.part {
                Part::Tuple(tuple, _) => {
                    let head = tuple.head::<WIDE>(memory.arena, hash(self.seed, &tuple.mask, key));
                    better(best, head.and_then(|head| tuple.matches::<WIDE>(head, memory, q).next()))
                }
                Part::Block(block) => block.lookup::<WIDE>(self.slab, q, best),
                Part::Few(few) => better(best, few.matches::<WIDE>(self.slab, q).next()),
            };
        }
        best
    }

    /// Every entry of at least rank `floor` that a packet with `key` matches, in no particular order.
    pub(super) fn each_match(&self, key: &FlowKey, floor: u32, f: &mut dyn FnMut(FlowRef<'g>)) {
        let (memory, q) = (self.memory(), self.query(key, floor));
        for r in self.parts.list.iter().take_while(|r| r.max_rank >= floor) {
            match &r.part {
                Part::Tuple(tuple, _) => {
                    if let Some(head) = tuple.head::<false>(memory.arena, hash(self.seed, &tuple.mask, key)) {
                        tuple.matches::<false>(head, memory, q).for_each(&mut *f);
                    }
                }
                Part::Block(block) => block.matches(self.slab, q, f),
                Part::Few(few) => few.matches::<false>(self.slab, q).for_each(&mut *f),
            }
        }
    }

    /// [`lookup`](Self::lookup) for up to 32 keys, with the memory accesses of a burst overlapped.
    #[inline]
    pub(super) fn burst(&self, keys: &[&FlowKey], out: &mut [Option<FlowRef<'g>>]) {
        #[cfg(target_arch = "x86_64")]
        if rows::is_wide() {
            // SAFETY: the processor has what it is compiled with.
            return unsafe { self.many_wide(keys, out) };
        }
        self.many::<false>(keys, out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
    fn many_wide(&self, keys: &[&FlowKey], out: &mut [Option<FlowRef<'g>>]) {
        self.many::<true>(keys, out);
    }

    #[inline(always)]
    pub(super) fn many<const WIDE: bool>(&self, keys: &[&FlowKey], out: &mut [Option<FlowRef<'g>>]) {
        let n = keys.len().min(out.len()).min(BURST);
        let (keys, out) = (&keys[..n], &mut out[..n]);
        out.fill(None);
        // Packets still looking, one bit each.
        let mut open = u32::MAX.checked_shr((BURST - n) as u32).unwrap_or(0);
        if let Some((routes, terms)) = &self.parts.routes {
            open &= !routes.burst(*terms, self.slab, (self.version, self.guard), keys, out);
        }
        let all = open;
        let mut best = Best::new();
        let mut columns = Columns::new(keys);
        for r in &self.parts.list {
            let hopeless = best.scores.iter().enumerate().fold(0, |b, (i, s)| b | u32::from(r.max_rank + 1 < *s) << i);
            open &= !hopeless;
            if open == 0 {
                break;
            }
            match &r.part {
                Part::Tuple(tuple, filter) => {
                    self.ask::<WIDE>((tuple, filter.as_deref()), &mut columns, open, &mut best);
                }
                Part::Few(few) => few.candidates::<WIDE>(&mut columns, open, |i, found| best.offer(i, found)),
                Part::Block(block) => {
                    for i in bits(open) {
                        best.offer(i, block.candidate::<WIDE>(self.slab, self.query(keys[i], best.floor(i))));
                    }
                }
            }
        }
        for i in bits(all) {
            self.slab.prefetch(best.entries[i]);
            if best.rivals[i] != NIL {
                self.slab.prefetch(best.rivals[i]);
            }
        }
        for i in bits(all) {
            if best.entries[i] == NIL {
                continue;
            }
            let found = self.settle(best.entries[i], best.rivals[i]);
            out[i] = found.filter(|_| best.crowded >> i & 1 == 0).or_else(|| self.exact(keys[i]));
        }
    }

    /// A tuple's candidates for the packets in `open`, stage by stage.
    #[inline(always)]
    fn ask<const WIDE: bool>(
        &self,
        (tuple, filter): (&'g Tuple, Option<&Filter>),
        columns: &mut Columns<'_>,
        open: u32,
        best: &mut Best,
    ) {
        let hashes = hash_burst(self.seed, &tuple.mask, columns);
        let keys = columns.keys();
        let open = open & filter.map_or(u32::MAX, |f| f.may_hold_of(&hashes, keys.len()));
        if open == 0 {
            return;
        }
        let memory = self.memory();
        let slots = tuple.slots(memory.arena);
        let mut lines = [None; BURST];
        for i in bits(open) {
            lines[i] = slots.line(hashes[i]);
            super::prefetch(lines[i].map_or(std::ptr::null(), std::ptr::from_ref));
        }
        let mut heads = [NIL; BURST];
        let mut met = 0u32;
        // Where nothing is met, the last one is asked for again: no jump depends on it.
        let mut last = NIL;
        for i in bits(open) {
            let head = lines[i].and_then(|line| line.single::<WIDE>(hashes[i]));
            let head = head.unwrap_or_else(|| slots.head(hashes[i]));
            heads[i] = head;
            met |= u32::from(head != NIL) << i;
            last = if head == NIL { last } else { head };
            Tuple::prefetch_head(last, memory);
        }
        for i in bits(met) {
            let q = self.query(keys[i], 0);
            best.offer(i, tuple.candidate::<WIDE>((heads[i], Tuple::words(heads[i], memory)), self.slab, q));
        }
    }
}
