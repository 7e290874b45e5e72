//! One flow table's lookup structure: which entry of highest priority does a packet match?
//!
//! The structure follows what the table holds, never what packets arrive. Up to [`LINEAR_MAX`]
//! entries are compared one after the other, all at once per word. Above that the table has *parts*:
//! - Hash *tuples*. A tuple has a mask and takes entries whose own mask contains it; entries that agree
//!   under the tuple's mask lie in one *group*, compared all at once. A group takes 16 entries.
//! - *Blocks* of 512 entries compared by bit vectors, for what no tuple takes.
//!
//! New masks begin in blocks. When much has come together there, the masks for tuples are chosen that
//! take the most of it. When the table has doubled, or shrunk to a quarter, and lies in several parts, all of it is
//! placed anew, a bounded piece with each change: an access list of 10,000 rules with 1,000 masks then lies in a few
//! tuples and a block, a million flows of one mask in one tuple, and rules whose masks have nothing in common stay in
//! blocks, at a cost per 512 of them. No set of rules makes a tuple that few of them use.
//! A table that holds hardly anything but prefixes of one address field gets a *tree* of them in front when it is
//! placed anew, which answers most packets alone.
//!
//! Parts are looked at in the order of the best priority they may hold, until none that is left can do
//! better. The cost of a lookup is thus bounded by the rules alone.
//!
//! Of entries with equal priority the older one wins, so that the answer is always that of a
//! linear scan. An entry that a modification puts in another's place is found where the other one stands.
//!
//! Thread-safety: one writer, any number of lock-free readers (see [`publish`](crate::publish)).
//! Readers may meet entries that their version doesn't have; visibility is checked per entry.

mod arena;
mod book;
mod choose;
mod group;
mod index;
mod linear;
mod mask;
mod routes;
mod rows;
mod structure;
mod tuple;
mod vector;

pub(crate) use book::ClassifierBook;
pub(crate) use mask::{Mask, Shape, ShapeField, known_bits};

use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use arena::Arena;
use linear::Linear;
use routes::{Routes, Terms};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tuple::{Memory, Query, Tuple};
use vector::Block;

/// Up to this many entries are compared directly.
pub(crate) const LINEAR_MAX: usize = 32;
/// Packets handled at once.
const BURST: usize = 32;

/// Tuples whose memory is asked for before the first one is looked at.
const AHEAD: usize = 4;

/// What a table's lookup structure consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Entries compared directly, all at once.
    pub direct: usize,
    /// Entries that a tree of prefixes finds before anything else is asked.
    pub routes: usize,
    /// Hash tuples, by the entries in each.
    pub tuples: Vec<usize>,
    /// Bit-vector blocks, by the entries in each.
    pub blocks: Vec<usize>,
    /// Whether the entries are being placed anew.
    pub placing: bool,
}

impl Description {
    /// About how many nanoseconds a lookup takes at most, with the structure in the processor's cache, whatever the
    /// packet: a tuple's hash and group, a block's rows, a direct comparison.
    pub fn bound_ns(&self) -> usize {
        // Measured, rounded up.
        let tree = if self.routes > 0 { 30 } else { 0 };
        10 + tree + self.direct.div_ceil(8) * 5 + self.tuples.len() * 40 + self.blocks.len() * 80
    }
}

/// Says what it is: `3 hash tuples of 812, 77 and 64 entries, …`.
impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.tuples.is_empty() && self.blocks.is_empty() {
            write!(f, "direct comparison of {} entries", self.direct)?;
        } else {
            let list = |of: &[usize]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let mut parts = Vec::new();
            if self.routes > 0 {
                parts.push(format!("a tree of {} prefixes", self.routes));
            }
            if !self.tuples.is_empty() {
                parts.push(format!("{} hash tuples ({} entries)", self.tuples.len(), list(&self.tuples)));
            }
            if !self.blocks.is_empty() {
                parts.push(format!("{} bit-vector blocks ({} entries)", self.blocks.len(), list(&self.blocks)));
            }
            f.write_str(&parts.join(", "))?;
        }
        write!(f, "; a lookup takes at most about {} ns", self.bound_ns())?;
        if self.placing { f.write_str("; being placed anew") } else { Ok(()) }
    }
}

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
    /// Too few for a block.
    Few(Linear),
}

/// A part and the best rank it may hold.
struct Ranked {
    max_rank: u32,
    part: Part,
}

/// Tuples and blocks, best rank first, and what groups lie in.
struct Parts {
    /// Asked first.
    routes: Option<(Arc<Routes>, Terms)>,
    arena: Arc<Arena>,
    list: Box<[Ranked]>,
}

/// What readers walk.
enum Form {
    Linear(Linear),
    Parts(Parts),
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

/// The one of two that wins.
#[inline]
fn better<'g>(a: Option<FlowRef<'g>>, b: Option<FlowRef<'g>>) -> Option<FlowRef<'g>> {
    match (a, b) {
        (Some(x), Some(y)) if beats(x.body(), y.body()) => a,
        (_, Some(_)) => b,
        _ => a,
    }
}

/// The best rank that a part may hold. Raised exactly a few times, then in steps, because each time
/// readers need a new list.
#[derive(Clone, Copy, Default)]
struct Bound {
    rank: u32,
    raised: u8,
}

impl Bound {
    fn rank(self) -> u32 {
        self.rank
    }

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
    pub(crate) fn lookup<'g>(
        &'g self,
        slab: &'g Slab,
        version: u64,
        key: &FlowKey,
        guard: Guard<'g>,
    ) -> Option<FlowRef<'g>> {
        let q = Query { version, key, floor: 0, guard };
        let form = self.form.load(guard)?;
        #[cfg(target_arch = "x86_64")]
        if rows::is_wide() {
            // SAFETY: the processor has what it is compiled with.
            return unsafe { self.walk_wide(form, slab, q) };
        }
        self.walk::<false>(form, slab, q)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    fn walk_wide<'g>(&'g self, form: &'g Form, slab: &'g Slab, q: Query<'_, 'g>) -> Option<FlowRef<'g>> {
        self.walk::<true>(form, slab, q)
    }

    #[inline(always)]
    fn walk<'g, const WIDE: bool>(
        &'g self,
        form: &'g Form,
        slab: &'g Slab,
        mut q: Query<'_, 'g>,
    ) -> Option<FlowRef<'g>> {
        let parts = match form {
            Form::Linear(linear) => return linear.matches::<WIDE>(slab, q).next(),
            Form::Parts(parts) => parts,
        };
        if let Some((routes, terms)) = &parts.routes
            && let Some(found) = routes.lookup(*terms, slab, q)
        {
            return Some(found);
        }
        let memory = Memory { slab, arena: &parts.arena };
        // What the first tuples will read is asked for at once: mostly all of them are looked at.
        let mut hashes = [0u32; AHEAD];
        for (r, h) in parts.list.iter().zip(&mut hashes) {
            if let Part::Tuple(tuple) = &r.part {
                *h = hash(self.seed, &tuple.mask, q.key);
                tuple.prefetch(&parts.arena, *h);
            }
        }
        let mut best: Option<FlowRef<'g>> = None;
        for (i, r) in parts.list.iter().enumerate() {
            if r.max_rank < q.floor {
                break;
            }
            best = match &r.part {
                Part::Tuple(tuple) => {
                    let h = hashes.get(i).copied().unwrap_or_else(|| hash(self.seed, &tuple.mask, q.key));
                    let head = tuple.head::<WIDE>(&parts.arena, h);
                    better(best, head.and_then(|head| tuple.best::<WIDE>(head, memory, q)))
                }
                Part::Block(block) => block.lookup::<WIDE>(slab, q, best),
                Part::Few(few) => better(best, few.matches::<WIDE>(slab, q).next()),
            };
            q.floor = rank_of(best);
        }
        best
    }

    /// Whether there are no entries at all.
    #[inline]
    pub(crate) fn is_empty(&self, guard: Guard<'_>) -> bool {
        self.form.load(guard).is_none()
    }

    /// Every entry of at least rank `floor` that a packet with `key` matches at `version`, in no particular order.
    pub(crate) fn each_match<'g>(
        &'g self,
        slab: &'g Slab,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
        f: &mut dyn FnMut(FlowRef<'g>),
    ) {
        let q = Query { version, key, floor, guard };
        match self.form.load(guard) {
            None => {}
            Some(Form::Linear(linear)) => linear.matches::<false>(slab, q).for_each(f),
            Some(Form::Parts(parts)) => {
                let memory = Memory { slab, arena: &parts.arena };
                for r in parts.list.iter().take_while(|r| r.max_rank >= floor) {
                    match &r.part {
                        Part::Tuple(tuple) => {
                            if let Some(head) = tuple.head::<false>(&parts.arena, hash(self.seed, &tuple.mask, key)) {
                                tuple
                                    .matches(head, tuple.compare::<false>(head, memory, q), memory, q)
                                    .for_each(&mut *f);
                            }
                        }
                        Part::Block(block) => block.matches(slab, q, f),
                        Part::Few(few) => few.matches::<false>(slab, q).for_each(&mut *f),
                    }
                }
            }
        }
    }

    /// [`lookup`](Self::lookup) for many keys, with the memory accesses of a burst overlapped.
    pub(crate) fn lookup_burst<'g>(
        &'g self,
        slab: &'g Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        let n = keys.len().min(out.len());
        let Some(form) = self.form.load(guard) else { return out[..n].fill(None) };
        for (keys, out) in keys[..n].chunks(BURST).zip(out[..n].chunks_mut(BURST)) {
            match form {
                Form::Linear(linear) => {
                    for (key, o) in keys.iter().zip(out) {
                        let q = Query { version, key, floor: 0, guard };
                        *o = if rows::is_wide() {
                            linear.matches::<true>(slab, q).next()
                        } else {
                            linear.matches::<false>(slab, q).next()
                        };
                    }
                }
                #[cfg(target_arch = "x86_64")]
                Form::Parts(parts) if rows::is_wide() => {
                    // SAFETY: the processor has what it is compiled with.
                    unsafe { self.burst_wide(parts, slab, version, keys, out, guard) }
                }
                Form::Parts(parts) => self.burst::<false>(parts, slab, version, keys, out, guard),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    fn burst_wide<'g>(
        &self,
        parts: &'g Parts,
        slab: &'g Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        self.burst::<true>(parts, slab, version, keys, out, guard);
    }

    #[inline(always)]
    fn burst<'g, const WIDE: bool>(
        &self,
        parts: &'g Parts,
        slab: &'g Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        let memory = Memory { slab, arena: &parts.arena };
        let n = keys.len().min(out.len());
        out.iter_mut().take(n).for_each(|o| *o = None);
        let mut hashes = [0u32; BURST];
        let mut heads = [NIL; BURST];
        let mut equals = [0u32; BURST];
        let mut ranks = [0u32; BURST];
        // Packets still looking, one bit each.
        let mut open = u32::MAX >> (BURST - n.max(1)) & if n == 0 { 0 } else { u32::MAX };
        if let Some((routes, terms)) = &parts.routes {
            open &= !routes.burst(*terms, slab, (version, guard), keys, out);
        }
        for r in &parts.list {
            for (i, rank) in ranks.iter().enumerate() {
                open &= !(u32::from(r.max_rank < *rank) << i);
            }
            if open == 0 {
                break;
            }
            let query = |i: usize, floor: u32| Query { version, key: keys[i], floor, guard };
            match &r.part {
                Part::Tuple(tuple) => {
                    for i in bits(open) {
                        hashes[i] = hash(self.seed, &tuple.mask, keys[i]);
                        tuple.prefetch(&parts.arena, hashes[i]);
                    }
                    let mut met = 0u32;
                    for i in bits(open) {
                        if let Some(head) = tuple.head::<WIDE>(&parts.arena, hashes[i]) {
                            heads[i] = head;
                            met |= 1 << i;
                            Tuple::prefetch_head(memory, head);
                        }
                    }
                    for i in bits(met) {
                        equals[i] = tuple.compare::<WIDE>(heads[i], memory, query(i, ranks[i]));
                        Tuple::prefetch_first(heads[i], equals[i], memory, query(i, ranks[i]));
                    }
                    for i in bits(met) {
                        out[i] = better(out[i], tuple.matches(heads[i], equals[i], memory, query(i, ranks[i])).next());
                        ranks[i] = rank_of(out[i]);
                    }
                }
                Part::Few(few) => {
                    for i in bits(open) {
                        out[i] = better(out[i], few.matches::<WIDE>(slab, query(i, ranks[i])).next());
                        ranks[i] = rank_of(out[i]);
                    }
                }
                Part::Block(block) => {
                    for i in bits(open) {
                        out[i] = block.lookup::<WIDE>(slab, query(i, ranks[i]), out[i]);
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

/// What taking an entry out of the chain of those that continue each other did.
enum Unchained {
    /// It wasn't there.
    No,
    /// It stood behind the first one.
    Inside,
    /// It was the first one; now that is this one (`NIL`: none).
    Head(u32),
}

/// Takes `index` out of the chain that begins with `head`. Its own link stays: a reader that stands on it goes on
/// from there.
fn unchain(slab: &Slab, head: u32, index: u32, writer: &Writer) -> Unchained {
    let guard = writer.guard();
    let next = |i: u32| slab.slot(i, guard).map_or(NIL, |s| s.next.load(Ordering::Relaxed));
    if head == index {
        return Unchained::Head(next(head));
    }
    let mut i = head;
    while i != NIL {
        let n = next(i);
        if n == index {
            if let Some(slot) = slab.slot(i, guard) {
                slot.next.store(next(index), Ordering::Release);
            }
            return Unchained::Inside;
        }
        i = n;
    }
    Unchained::No
}
