//! One flow table's lookup structure: which entry of highest priority does a packet match?
//!
//! The structure follows what the table holds, never what packets arrive. Up to [`LINEAR_MAX`]
//! entries are compared one after the other, all at once per word. Above that the table has *parts*:
//! - Hash *tuples*. A tuple has a mask and takes entries whose own mask contains it; entries that agree
//!   under the tuple's mask share a chain, best first. A chain of [`CHAIN_MAX`] takes no more entries with
//!   finer masks than the tuple's.
//! - *Blocks* of 512 entries compared by bit vectors, for what no tuple takes.
//!
//! New masks begin in blocks. When much has come together there, the masks for tuples are chosen that
//! take the most of it: an access list of 10,000 rules with 243 masks lies in three tuples and a block,
//! a million flows of one mask in one tuple, and rules whose masks have nothing in common stay in
//! blocks, at a cost per 512 of them. No set of rules makes a tuple that few of them use.
//! Parts are looked at in the order of the best priority they may hold, until none that is left can do
//! better. The cost of a lookup is thus bounded by the rules alone.
//!
//! Of entries with equal priority the older one wins, so that the answer is always that of a
//! linear scan.
//!
//! Thread-safety: one writer, any number of lock-free readers (see [`publish`](crate::publish)).
//! Readers may meet entries that their version doesn't have; visibility is checked per entry.

mod choose;
mod linear;
mod mask;
mod tuple;
mod vector;

pub(crate) use mask::{Mask, Shape, ShapeField, known_bits};

use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use linear::Linear;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tuple::Tuple;
use vector::{Block, Nibbles, RULES};

/// Up to this many entries are compared directly.
pub(crate) const LINEAR_MAX: usize = 32;
/// Down to this many entries, a table goes back to direct comparison.
const LINEAR_BACK: usize = 12;
/// A chain this long takes no entries with a mask finer than its tuple's: each entry walked is a cache
/// miss or two. Measured with 100,000 rules: 8 0.5 M/s, 3 0.8, 2 0.95.
const CHAIN_MAX: usize = 2;
/// With this many entries in blocks, the first tuple is looked for.
const FIRST_TRY: usize = LINEAR_MAX + 1;
/// The first tuple takes at least so many entries when it is opened.
const FIRST_TAKES: usize = 32;
/// Every other one so many: a block compares them about as fast as one tuple is looked at.
const TAKES: usize = 192;
/// Further entries that come to blocks before tuples are looked for again, at least.
const NEXT_TRY: usize = 256;
/// Tuples opened at once, at most.
const MOST_OPENED: usize = 8;
/// Packets handled at once.
const BURST: usize = 32;

/// Keys of the hash; different for every switch, so that nobody can compute collisions.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64, u64);

impl Seed {
    fn new(seed: u64) -> Self {
        let a = seed ^ 0x9e37_79b9_7f4a_7c15;
        Self(fold(a, 0xd6e8_feb8_6659_fd93) | 1, fold(a ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db) | 1)
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    (p as u64) ^ ((p >> 64) as u64)
}

/// The hash of the bits of `key` under `mask`.
#[inline]
fn hash(seed: Seed, mask: &Mask, key: &FlowKey) -> u32 {
    let mut h = seed.0;
    let mut pairs = mask.words().chunks_exact(2);
    for p in &mut pairs {
        let a = key.0[usize::from(p[0].0)] & p[0].1;
        let b = key.0[usize::from(p[1].0)] & p[1].1;
        h = fold(a ^ h, b ^ seed.1).wrapping_add(seed.0);
    }
    for (w, m) in pairs.remainder() {
        h = fold((key.0[usize::from(*w)] & m) ^ h, seed.1).wrapping_add(seed.0);
    }
    (h ^ (h >> 32)) as u32
}

/// Asks for a cache line.
#[inline]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// A part of a table.
enum Part {
    Tuple(Arc<Tuple>),
    Block(Arc<Block>),
}

/// A part and the best rank it may hold.
struct Ranked {
    max_rank: u32,
    part: Part,
}

/// What readers walk.
enum Form {
    Linear(Linear),
    /// Best rank first.
    Parts(Box<[Ranked]>),
}

/// Readers' side.
pub(crate) struct Classifier {
    seed: Seed,
    form: Rcu<Form>,
}

/// Whether `a` wins over `b`.
#[inline]
fn beats(a: &FlowBody, b: &FlowBody) -> bool {
    (a.rank(), std::cmp::Reverse(a.created)) > (b.rank(), std::cmp::Reverse(b.created))
}

/// What an entry must reach to win over `best`.
#[inline]
fn rank_of(best: Option<FlowRef<'_>>) -> u32 {
    best.map_or(0, |b| b.body().rank())
}

impl Classifier {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: Seed::new(seed), form: Rcu::null() }
    }

    /// The entry that a packet with `key` matches at `version`.
    #[inline]
    pub(crate) fn lookup<'g>(&self, slab: &Slab, version: u64, key: &FlowKey, guard: Guard<'g>) -> Option<FlowRef<'g>> {
        match self.form.load(guard)? {
            Form::Linear(linear) => linear.lookup(slab, version, key, guard),
            Form::Parts(parts) => {
                let mut best: Option<FlowRef<'g>> = None;
                for r in parts {
                    if r.max_rank < rank_of(best) {
                        break;
                    }
                    match &r.part {
                        Part::Tuple(tuple) => {
                            let h = hash(self.seed, &tuple.mask, key);
                            if let Some(head) = tuple.head(h, guard)
                                && let Some(found) = tuple.walk(head, slab, version, key, rank_of(best), guard)
                                && best.is_none_or(|b| beats(found.body(), b.body()))
                            {
                                best = Some(found);
                            }
                        }
                        Part::Block(block) => best = block.lookup(slab, version, key, best, guard),
                    }
                }
                best
            }
        }
    }

    /// Whether there are no entries at all.
    #[inline]
    pub(crate) fn is_empty(&self, guard: Guard<'_>) -> bool {
        self.form.load(guard).is_none()
    }

    /// Every entry of at least rank `floor` that a packet with `key` matches at `version`, in no particular order.
    pub(crate) fn each_match<'g>(
        &self,
        slab: &Slab,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
        f: &mut dyn FnMut(FlowRef<'g>),
    ) {
        match self.form.load(guard) {
            None => {}
            Some(Form::Linear(linear)) => linear.each_match(slab, version, key, floor, guard, f),
            Some(Form::Parts(parts)) => {
                for r in parts.iter().take_while(|r| r.max_rank >= floor) {
                    match &r.part {
                        Part::Tuple(tuple) => {
                            if let Some(head) = tuple.head(hash(self.seed, &tuple.mask, key), guard) {
                                tuple.each_match(head, slab, version, key, floor, guard, f);
                            }
                        }
                        Part::Block(block) => block.each_match(slab, version, key, floor, guard, f),
                    }
                }
            }
        }
    }

    /// [`lookup`](Self::lookup) for many keys, with the memory accesses of a burst overlapped.
    pub(crate) fn lookup_burst<'g>(
        &self,
        slab: &Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        let form = self.form.load(guard);
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            match form {
                None => out.iter_mut().take(keys.len()).for_each(|o| *o = None),
                Some(Form::Linear(linear)) => {
                    for (key, o) in keys.iter().zip(out) {
                        *o = linear.lookup(slab, version, key, guard);
                    }
                }
                Some(Form::Parts(parts)) => self.burst(parts, slab, version, keys, out, guard),
            }
        }
    }

    fn burst<'g>(
        &self,
        parts: &[Ranked],
        slab: &Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        let n = keys.len().min(out.len());
        out.iter_mut().take(n).for_each(|o| *o = None);
        let mut hashes = [0u32; BURST];
        let mut heads = [NIL; BURST];
        let mut ranks = [0u32; BURST];
        // Packets still looking, one bit each.
        let mut open = u32::MAX >> (BURST - n.max(1)) & if n == 0 { 0 } else { u32::MAX };
        for r in parts {
            for (i, rank) in ranks.iter().enumerate() {
                open &= !(u32::from(r.max_rank < *rank) << i);
            }
            if open == 0 {
                break;
            }
            match &r.part {
                Part::Tuple(tuple) => {
                    for i in bits(open) {
                        hashes[i] = hash(self.seed, &tuple.mask, keys[i]);
                        tuple.prefetch(hashes[i], guard);
                    }
                    let mut met = 0u32;
                    for i in bits(open) {
                        if let Some(head) = tuple.head(hashes[i], guard) {
                            heads[i] = head;
                            met |= 1 << i;
                            slab.prefetch(head, guard);
                        }
                    }
                    for i in bits(met) {
                        if let Some(found) = tuple.walk(heads[i], slab, version, keys[i], ranks[i], guard)
                            && out[i].is_none_or(|b| beats(found.body(), b.body()))
                        {
                            ranks[i] = found.body().rank();
                            out[i] = Some(found);
                        }
                    }
                }
                Part::Block(block) => {
                    for i in bits(open) {
                        out[i] = block.lookup(slab, version, keys[i], out[i], guard);
                        ranks[i] = rank_of(out[i]);
                    }
                }
            }
        }
    }
}

/// The places of the bits set.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let i = set.trailing_zeros() as usize;
            set &= set - 1;
            i
        })
    })
}

struct TupleBook {
    tuple: Arc<Tuple>,
    bound: Bound,
    entries: usize,
}

struct BlockBook {
    block: Arc<Block>,
    nibbles: Nibbles,
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

/// Writer's side: what is where.
#[derive(Default)]
pub(crate) struct ClassifierBook {
    /// While the form is linear: the entries, best first.
    linear: Vec<u32>,
    tuples: Vec<Option<TupleBook>>,
    by_mask: HashMap<Mask, u32, foldhash::fast::FixedState>,
    blocks: Vec<BlockBook>,
    entries: usize,
    /// Entries in blocks.
    residue: usize,
    /// With this many entries in blocks, a tuple is looked for that takes some.
    try_at: usize,
    mixed: bool,
    lane: usize,
    /// Parts were emptied that readers still look at.
    stale: bool,
    /// From this version on, no reader walks the links of the other lane.
    settled: u64,
}

impl ClassifierBook {
    /// Links an entry; readers see it as soon as its version is published.
    pub(crate) fn insert(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        self.entries += 1;
        if !self.mixed && self.entries <= LINEAR_MAX {
            let guard = writer.guard();
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return };
            let at = self
                .linear
                .partition_point(|i| FlowRef::of_writer(slab, *i, guard).is_some_and(|e| beats(e.body(), new.body())));
            self.linear.insert(at, index);
            self.publish_linear(c, slab, writer);
            return;
        }
        let mut changed = false;
        if !self.mixed {
            self.mixed = true;
            self.try_at = FIRST_TRY;
            // Readers of an earlier form of this kind may still walk its links: use the others.
            self.lane ^= 1;
            self.settled = writer.next();
            for i in std::mem::take(&mut self.linear) {
                self.place(c, slab, i, writer);
            }
            changed = true;
        }
        changed |= self.place(c, slab, index, writer);
        if self.residue >= self.try_at {
            changed |= self.gather(c, slab, writer);
        }
        if changed {
            self.publish_parts(c, writer);
        }
    }

    /// Unlinks an entry that no version in use shows. Its slot may be freed a grace period later.
    pub(crate) fn remove(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        if !self.mixed {
            if let Some(at) = self.linear.iter().position(|i| *i == index) {
                self.linear.remove(at);
                self.entries -= 1;
                self.publish_linear(c, slab, writer);
            }
            return;
        }
        let Some(slot) = slab.slot(index, writer.guard()) else { return };
        let home = slot.home.load(Ordering::Relaxed);
        if home == NIL {
            return;
        }
        if home & IN_BLOCK != 0 {
            let (block, place) = ((home & !IN_BLOCK) as usize / RULES, home as usize % RULES);
            let Some(book) = self.blocks.get_mut(block) else { return };
            if !book.block.remove(place, index) {
                return;
            }
            book.entries -= 1;
            self.residue -= 1;
            // The last block goes when it is empty; others wait for it or are filled again.
            while self.blocks.last().is_some_and(|b| b.entries == 0) {
                self.blocks.pop();
                self.stale = true;
            }
        } else {
            let Some(value) = slot.body(writer.guard()).map(FlowBody::value) else { return };
            let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return };
            let h = hash(c.seed, &book.tuple.mask, &value);
            if !book.tuple.remove(h, index, slab, writer) {
                return;
            }
            book.entries -= 1;
            if book.entries == 0 {
                self.by_mask.remove(&book.tuple.mask);
                self.tuples[home as usize] = None;
                self.stale = true;
            }
        }
        slot_home(slab, index, NIL, writer);
        self.entries -= 1;
        if self.entries == 0 {
            *self = Self { lane: self.lane, settled: self.settled, ..Self::default() };
            c.form.replace(None, writer);
        }
    }

    /// After a batch of removals: readers stop looking at parts that hold nothing.
    pub(crate) fn flush(&mut self, c: &Classifier, writer: &mut Writer) {
        if self.stale {
            self.publish_parts(c, writer);
        }
    }

    /// Goes back to direct comparison if few entries are left. `live` lists every entry linked.
    pub(crate) fn relax(&mut self, c: &Classifier, slab: &Slab, live: impl Iterator<Item = u32>, writer: &mut Writer) {
        if !self.wants_relaxing(writer) {
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
        *self = Self { linear: all, entries: self.entries, lane: self.lane, settled: self.settled, ..Self::default() };
        self.publish_linear(c, slab, writer);
    }

    pub(crate) fn wants_relaxing(&self, writer: &Writer) -> bool {
        self.mixed && self.entries <= LINEAR_BACK && writer.oldest_used() >= self.settled
    }

    /// Entries linked, those awaiting their end included.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Entries by tuples, and entries in blocks, for tests.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (Vec<usize>, usize) {
        (self.tuples.iter().flatten().map(|t| t.entries).collect(), self.residue)
    }

    fn publish_linear(&self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        let form =
            (!self.linear.is_empty()).then(|| Arc::new(Form::Linear(Linear::new(slab, &self.linear, writer.guard()))));
        c.form.replace(form, writer);
    }

    fn publish_parts(&mut self, c: &Classifier, writer: &mut Writer) {
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
        c.form.replace(Some(Arc::new(Form::Parts(list.into()))), writer);
        self.stale = false;
    }

    /// Puts an entry where it belongs: into the tuple of its mask, else into the first one with a
    /// coarser mask and a short chain, else into a block. Whether readers need a new list of parts.
    fn place(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) -> bool {
        let Some((shape, value, rank)) = rule(slab, index, writer) else { return false };
        let own = &shape.mask;
        let home = self.by_mask.get(own).copied().or_else(|| {
            (0u32..).zip(&self.tuples).find_map(|(i, t)| {
                let t = &t.as_ref()?.tuple;
                (own.contains(&t.mask) && has_room(c, t, slab, &value, writer)).then_some(i)
            })
        });
        match home {
            Some(home) => self.link(c, slab, home, index, &value, rank, writer),
            None => self.put(slab, index, own, rank, writer),
        }
    }

    /// Links an entry into tuple `home`.
    #[expect(clippy::too_many_arguments, reason = "what the caller has at hand anyway")]
    fn link(
        &mut self,
        c: &Classifier,
        slab: &Slab,
        home: u32,
        index: u32,
        value: &FlowKey,
        rank: u32,
        writer: &mut Writer,
    ) -> bool {
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
        slot_home(slab, index, home, writer);
        book.tuple.insert(hash(c.seed, &book.tuple.mask, value), index, slab, writer);
        book.entries += 1;
        book.bound.cover(rank)
    }

    /// Puts an entry into a block.
    fn put(&mut self, slab: &Slab, index: u32, own: &Mask, rank: u32, writer: &Writer) -> bool {
        let mut changed = false;
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
                bound: Bound::default(),
                entries: 0,
            });
            changed = true;
            self.blocks.len() - 1
        });
        let book = &mut self.blocks[at];
        let mut nibbles = book.nibbles;
        nibbles.add(own);
        let guard = writer.guard();
        let body = |i: u32| slab.slot(i, guard).and_then(|s| s.body(guard));
        if nibbles != book.nibbles {
            // It looks at bits that no rule of this block did.
            let wider = Block::new(&nibbles);
            for (place, i) in book.block.rules() {
                if let Some(b) = body(i) {
                    wider.put(place, i, b);
                }
            }
            book.block = Arc::new(wider);
            book.nibbles = nibbles;
            changed = true;
        }
        let (Some(place), Some(b)) = (book.block.vacant(), body(index)) else { return changed };
        book.block.put(place, index, b);
        slot_home(slab, index, IN_BLOCK | (at * RULES + place) as u32, writer);
        // An empty block isn't in the readers' list.
        changed |= book.entries == 0;
        book.entries += 1;
        self.residue += 1;
        book.bound.cover(rank) || changed
    }

    /// Opens tuples for what many entries in blocks have in common, and moves those there. Whether it did.
    fn gather(&mut self, c: &Classifier, slab: &Slab, writer: &mut Writer) -> bool {
        let mut moved = false;
        for _ in 0..MOST_OPENED {
            let all: Vec<u32> = self.blocks.iter().flat_map(|b| b.block.rules().map(|(_, i)| i)).collect();
            let least = if self.by_mask.is_empty() { FIRST_TAKES } else { TAKES };
            let step = all.len().div_ceil(choose::SAMPLE).max(1);
            let mask = {
                let guard = writer.guard();
                let sample: Vec<&FlowBody> =
                    all.iter().step_by(step).filter_map(|i| slab.slot(*i, guard)?.body(guard)).collect();
                choose::choose(c.seed, &sample, least / step, |m| self.by_mask.contains_key(m))
            };
            let Some(mask) = mask else { break };
            let home = self.tuples.iter().position(Option::is_none).unwrap_or(self.tuples.len());
            if home == self.tuples.len() {
                self.tuples.push(None);
            }
            self.by_mask.insert(mask.clone(), home as u32);
            let tuple = Arc::new(Tuple::new(mask, self.lane));
            self.tuples[home] = Some(TupleBook { tuple: Arc::clone(&tuple), bound: Bound::default(), entries: 0 });
            for at in 0..self.blocks.len() {
                let mut gone = Vec::new();
                let block = Arc::clone(&self.blocks[at].block);
                for (place, index) in block.rules() {
                    let Some((shape, value, rank)) = rule(slab, index, writer) else { continue };
                    let own = &shape.mask;
                    if *own == tuple.mask || own.contains(&tuple.mask) && has_room(c, &tuple, slab, &value, writer) {
                        self.link(c, slab, home as u32, index, &value, rank, writer);
                        gone.push(place);
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
            }
            moved = true;
        }
        self.try_at = self.residue + (self.residue / 2).max(NEXT_TRY);
        moved
    }
}

/// Whether the chain that `value` has in a tuple is short.
fn has_room(c: &Classifier, t: &Tuple, slab: &Slab, value: &FlowKey, writer: &Writer) -> bool {
    t.chain_len(hash(c.seed, &t.mask, value), CHAIN_MAX, slab, writer.guard()) < CHAIN_MAX
}

/// An entry's shape, value and rank.
fn rule(slab: &Slab, index: u32, writer: &Writer) -> Option<(Arc<Shape>, FlowKey, u32)> {
    let guard = writer.guard();
    let b = slab.slot(index, guard)?.body(guard)?;
    Some((Arc::clone(&b.shape), b.value(), b.rank()))
}

fn slot_home(slab: &Slab, index: u32, home: u32, writer: &Writer) {
    if let Some(slot) = slab.slot(index, writer.guard()) {
        slot.home.store(home, Ordering::Relaxed);
    }
}
