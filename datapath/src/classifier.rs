//! One flow table's lookup structure: which entry of highest priority does a packet match?
//!
//! The structure follows what the table holds, never what packets arrive. Up to `LINEAR_MAX`
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
mod columns;
mod filter;
mod group;
mod hash;
mod index;
mod linear;
mod mask;
mod routes;
mod rows;
mod structure;
mod tuple;
mod vector;
mod walk;

pub(crate) use book::ClassifierBook;
pub(crate) use mask::{Mask, Shape, ShapeField, known_bits};
#[cfg(test)]
pub(crate) use rows::ways;

use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use hash::{Seed, hash, hash_values};
use linear::Linear;
use std::sync::atomic::Ordering;
use tuple::Query;
use walk::{Part, Parts, Ranked, Walk};

/// Up to this many entries are compared directly.
pub(crate) const LINEAR_MAX: usize = 32;
/// Packets handled at once.
const BURST: usize = 32;

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

/// Asks for the cache line at an address, which may be any.
#[inline]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
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
        match self.form.load(guard)? {
            Form::Linear(linear) => {
                let q = Query { version, key, floor: 0, guard };
                if rows::is_wide() {
                    linear.matches::<true>(slab, q).next()
                } else {
                    linear.matches::<false>(slab, q).next()
                }
            }
            Form::Parts(parts) => Walk { seed: self.seed, parts, slab, version, guard }.lookup(key),
        }
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
        match self.form.load(guard) {
            None => {}
            Some(Form::Linear(linear)) => {
                linear.matches::<false>(slab, Query { version, key, floor, guard }).for_each(f);
            }
            Some(Form::Parts(parts)) => {
                Walk { seed: self.seed, parts, slab, version, guard }.each_match(key, floor, f);
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
        let (keys, out) = (&keys[..n], &mut out[..n]);
        match self.form.load(guard) {
            None => out.fill(None),
            Some(Form::Linear(linear)) => {
                for (key, o) in keys.iter().zip(out) {
                    let q = Query { version, key, floor: 0, guard };
                    *o = if rows::is_wide() {
                        linear.matches::<true>(slab, q).next()
                    } else {
                        linear.matches::<false>(slab, q).next()
                    };
                }
            }
            Some(Form::Parts(parts)) => {
                let walk = Walk { seed: self.seed, parts, slab, version, guard };
                for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
                    walk.burst(keys, out);
                }
            }
        }
    }
}

/// The places of the bits set.
#[inline(always)]
fn bits(set: impl Into<u64>) -> impl Iterator<Item = usize> {
    let mut set = set.into();
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
