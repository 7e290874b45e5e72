//! One flow table's lookup structure: which entry of highest priority does a packet match?
//!
//! The structure follows what the table holds, never what packets arrive: up to [`LINEAR_MAX`]
//! entries are compared one after the other, all at once per word; above that entries lie in hash
//! *tuples*. A tuple has a mask and takes entries whose own mask contains it; entries that agree
//! under the tuple's mask share a chain, best first. Tuples are looked at in the order of the best
//! priority they hold, until none that is left can do better.
//!
//! An entry whose mask no tuple suits opens a tuple, but with a *widened* mask (address and port
//! prefixes rounded down), so that rules which differ a little in their masks share one; a chain
//! that grows beyond [`CHAIN_MAX`] sends further entries to a tuple with a mask of their own.
//! Once there are [`CROWDED`] tuples, coarse masks (networks only) gather what is left: an access
//! list of 10,000 rules with 243 masks lies in 14 tuples.
//! The cost of a lookup is thus bounded by the rules alone.
//!
//! Of entries with equal priority the older one wins, so that the answer is always that of a
//! linear scan.
//!
//! Thread-safety: one writer, any number of lock-free readers (see [`publish`](crate::publish)).
//! Readers may meet entries that their version doesn't have; visibility is checked per entry.

mod linear;
mod mask;
mod tuple;

pub(crate) use mask::{Mask, Shape, ShapeField, known_bits};

use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowBody, FlowRef, Slab};
use linear::Linear;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tuple::Tuple;

/// Up to this many entries are compared directly.
pub(crate) const LINEAR_MAX: usize = 32;
/// Down to this many entries, a table goes back to direct comparison.
const LINEAR_BACK: usize = 12;
/// A chain this long takes no entries with a mask finer than its tuple's.
const CHAIN_MAX: usize = 8;
/// From this many tuples on, coarse masks are preferred to further tuples.
const CROWDED: usize = 8;
/// A tuple with this many entries of one mask takes all of that mask.
const MANY: usize = 256;
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

/// A tuple and the best rank it may hold.
struct Ranked {
    max_rank: u32,
    tuple: Arc<Tuple>,
}

/// What readers walk.
enum Form {
    Linear(Linear),
    /// Best rank first.
    Tuples(Box<[Ranked]>),
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
            Form::Tuples(tuples) => {
                let mut best: Option<FlowRef<'g>> = None;
                for r in tuples {
                    if best.is_some_and(|b| r.max_rank < b.body().rank()) {
                        break;
                    }
                    let h = hash(self.seed, &r.tuple.mask, key);
                    if let Some(head) = r.tuple.head(h, guard)
                        && let Some(found) = r.tuple.walk(head, slab, version, key, rank_of(best), guard)
                        && best.is_none_or(|b| beats(found.body(), b.body()))
                    {
                        best = Some(found);
                    }
                }
                best
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
                Some(Form::Tuples(tuples)) => self.burst(tuples, slab, version, keys, out, guard),
            }
        }
    }

    fn burst<'g>(
        &self,
        tuples: &[Ranked],
        slab: &Slab,
        version: u64,
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
        guard: Guard<'g>,
    ) {
        out.iter_mut().take(keys.len()).for_each(|o| *o = None);
        let mut hashes = [0u32; BURST];
        let mut heads = [crate::table::NIL; BURST];
        // Packets still looking, as indices.
        let mut open: [u8; BURST] = std::array::from_fn(|i| i as u8);
        let mut n = keys.len().min(out.len());
        for r in tuples {
            let mut kept = 0;
            for j in 0..n {
                let i = open[j];
                if out[usize::from(i)].is_none_or(|b| r.max_rank >= b.body().rank()) {
                    open[kept] = i;
                    kept += 1;
                }
            }
            n = kept;
            if n == 0 {
                break;
            }
            for i in open[..n].iter().map(|i| usize::from(*i)) {
                hashes[i] = hash(self.seed, &r.tuple.mask, keys[i]);
                r.tuple.prefetch(hashes[i], guard);
            }
            for i in open[..n].iter().map(|i| usize::from(*i)) {
                heads[i] = r.tuple.head(hashes[i], guard).unwrap_or(crate::table::NIL);
                if heads[i] != crate::table::NIL {
                    slab.prefetch(heads[i], guard);
                }
            }
            for i in open[..n].iter().map(|i| usize::from(*i)) {
                if heads[i] != crate::table::NIL
                    && let Some(found) = r.tuple.walk(heads[i], slab, version, keys[i], rank_of(out[i]), guard)
                    && out[i].is_none_or(|b| beats(found.body(), b.body()))
                {
                    out[i] = Some(found);
                }
            }
        }
    }
}

struct TupleBook {
    tuple: Arc<Tuple>,
    max_rank: u32,
    entries: usize,
}

/// Writer's side: what is where.
#[derive(Default)]
pub(crate) struct ClassifierBook {
    /// While the form is linear: the entries, best first.
    linear: Vec<u32>,
    tuples: Vec<Option<TupleBook>>,
    by_mask: HashMap<Mask, u32>,
    /// Places in `tuples`, best rank first, then longest mask first.
    order: Vec<u32>,
    entries: usize,
    in_tuples: bool,
    lane: usize,
    /// Tuples were emptied that readers still look at.
    stale: bool,
    /// From this version on, no reader walks the links of the other lane.
    settled: u64,
}

impl ClassifierBook {
    /// Links an entry; readers see it as soon as its version is published.
    pub(crate) fn insert(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        self.entries += 1;
        if !self.in_tuples && self.entries <= LINEAR_MAX {
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
        if !self.in_tuples {
            self.in_tuples = true;
            // Readers of an earlier tuple form may still walk its links: use the others.
            self.lane ^= 1;
            self.settled = writer.next();
            for i in std::mem::take(&mut self.linear) {
                self.place(c, slab, i, writer);
            }
            changed = true;
        }
        changed |= self.place(c, slab, index, writer);
        if changed {
            self.publish_tuples(c, writer);
        }
    }

    /// Unlinks an entry that no version in use shows. Its slot may be freed a grace period later.
    pub(crate) fn remove(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        if !self.in_tuples {
            if let Some(at) = self.linear.iter().position(|i| *i == index) {
                self.linear.remove(at);
                self.entries -= 1;
                self.publish_linear(c, slab, writer);
            }
            return;
        }
        let Some(slot) = slab.slot(index, writer.guard()) else { return };
        let home = slot.home.load(Ordering::Relaxed);
        let Some(value) = slot.body(writer.guard()).map(FlowBody::value) else { return };
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return };
        let tuple = Arc::clone(&book.tuple);
        let h = hash(c.seed, &tuple.mask, &value);
        if !tuple.remove(h, index, slab, writer) {
            return;
        }
        self.entries -= 1;
        book.entries -= 1;
        if book.entries == 0 {
            self.tuples[home as usize] = None;
            self.by_mask.remove(&tuple.mask);
            self.order.retain(|i| *i != home);
            if self.order.is_empty() {
                *self = Self { lane: self.lane, settled: self.settled, ..Self::default() };
                c.form.replace(None, writer);
            } else {
                self.stale = true;
            }
        }
    }

    /// After a batch of removals: readers stop looking at tuples that hold nothing.
    pub(crate) fn flush(&mut self, c: &Classifier, writer: &mut Writer) {
        if self.stale {
            self.publish_tuples(c, writer);
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
        self.in_tuples && self.entries <= LINEAR_BACK && writer.oldest_used() >= self.settled
    }

    /// Entries linked, those awaiting their end included.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Tuples by entries, for tests.
    #[cfg(test)]
    pub(crate) fn tuple_sizes(&self) -> Vec<usize> {
        self.tuples.iter().flatten().map(|t| t.entries).collect()
    }

    fn publish_linear(&self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        let form =
            (!self.linear.is_empty()).then(|| Arc::new(Form::Linear(Linear::new(slab, &self.linear, writer.guard()))));
        c.form.replace(form, writer);
    }

    fn publish_tuples(&mut self, c: &Classifier, writer: &mut Writer) {
        let list = self
            .order
            .iter()
            .filter_map(|i| self.tuples[*i as usize].as_ref())
            .map(|t| Ranked { max_rank: t.max_rank, tuple: Arc::clone(&t.tuple) })
            .collect();
        c.form.replace(Some(Arc::new(Form::Tuples(list))), writer);
        self.stale = false;
    }

    /// Puts an entry into a tuple; whether the list of tuples changed.
    fn place(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) -> bool {
        let Some(slot) = slab.slot(index, writer.guard()) else { return false };
        let Some((value, shape, rank)) = slot.body(writer.guard()).map(|b| (b.value(), Arc::clone(&b.shape), b.rank()))
        else {
            return false;
        };
        let own = &shape.mask;
        let wide = own.widened();
        // Few tuples: keep them fine, so that chains are short. Many: let coarse ones gather what is left.
        let crowded = self.order.len() >= CROWDED;
        let levels = if crowded { vec![own.coarse(), wide.clone()] } else { vec![wide.clone()] };
        let exact = self.by_mask.get(own).copied();
        let many = |i: u32| self.tuples[i as usize].as_ref().is_some_and(|t| t.entries >= MANY);
        let home = match exact {
            Some(home) if wide == *own && (!crowded || many(home)) => Some(home),
            _ => levels
                .iter()
                .filter_map(|m| self.by_mask.get(m).copied())
                .find(|i| self.has_room(*i, c, slab, &value, writer))
                .or_else(|| self.compatible(c, slab, own, &value, writer))
                .or(exact),
        };
        // A tuple with a coarser mask takes it while the chain is short; its own mask's tuple, if
        // there is one, takes everything; else open one, the coarsest there isn't yet.
        let (home, new) = match home {
            Some(home) => (home, false),
            None => {
                let mask = levels.into_iter().find(|m| !self.by_mask.contains_key(m));
                (self.open(mask.unwrap_or_else(|| own.clone())), true)
            }
        };
        let Some(Some(book)) = self.tuples.get_mut(home as usize) else { return false };
        let tuple = Arc::clone(&book.tuple);
        slot_home(slab, index, home, writer);
        let h = hash(c.seed, &tuple.mask, &value);
        tuple.insert(h, index, slab, writer);
        book.entries += 1;
        if rank > book.max_rank || new {
            book.max_rank = book.max_rank.max(rank);
            self.sort_in(home);
            return true;
        }
        false
    }

    /// The first tuple with a mask that `own` contains and a chain with room.
    fn compatible(&self, c: &Classifier, slab: &Slab, own: &Mask, value: &FlowKey, writer: &Writer) -> Option<u32> {
        self.order.iter().copied().find(|i| {
            self.tuples[*i as usize].as_ref().is_some_and(|t| own.contains(&t.tuple.mask))
                && self.has_room(*i, c, slab, value, writer)
        })
    }

    /// Whether the chain that `value` has in tuple `i` is short.
    fn has_room(&self, i: u32, c: &Classifier, slab: &Slab, value: &FlowKey, writer: &Writer) -> bool {
        self.tuples[i as usize].as_ref().is_some_and(|t| {
            t.tuple.chain_len(hash(c.seed, &t.tuple.mask, value), CHAIN_MAX, slab, writer.guard()) < CHAIN_MAX
        })
    }

    fn open(&mut self, mask: Mask) -> u32 {
        let home = self.tuples.iter().position(Option::is_none).unwrap_or(self.tuples.len());
        if home == self.tuples.len() {
            self.tuples.push(None);
        }
        self.by_mask.insert(mask.clone(), home as u32);
        self.tuples[home] = Some(TupleBook { tuple: Arc::new(Tuple::new(mask, self.lane)), max_rank: 0, entries: 0 });
        home as u32
    }

    fn sort_in(&mut self, home: u32) {
        self.order.retain(|i| *i != home);
        let key = |i: u32| self.tuples[i as usize].as_ref().map_or(0, |t| t.max_rank);
        let at = self.order.partition_point(|i| key(*i) > key(home));
        self.order.insert(at, home);
    }
}

fn slot_home(slab: &Slab, index: u32, home: u32, writer: &Writer) {
    if let Some(slot) = slab.slot(index, writer.guard()) {
        slot.home.store(home, Ordering::Relaxed);
    }
}
