//! A tree over the prefixes of one address field: in front of the tuples, for tables that hold hardly anything else.
//!
//! The first 16 bits of an address choose a place of the root, every further eight (of IPv6: four) one of a node's. A place tells
//! the best rule whose prefix ends on its level and covers it, and the node of the next level. Prefixes shorter than
//! [`SHORTEST`] and rules that have other fields or values than most, the *odd* ones, lie in the tuples alone.
//!
//! Readers trust the tree only as far as its answer is visible to them and beats all odd rules; else the tuples
//! answer. A place may therefore show a rule before its version is published, and until it has gone for all.
//!
//! A change touches at most 256 places of one level. The nodes' memory is bounded by the rules ([`RoutesBook::insert`]
//! gives up beyond that).
//!
//! Thread-safety: one writer, any number of readers; a node is used again when no reader can be in it.

use super::structure::Site;
use super::tuple::Query;
use super::{Mask, Shape, beats};
use crate::key::{FlowKey, slot};
use crate::publish::{Guard, Writer};
use crate::sys::array::Array;
use crate::sys::places::Places;
use crate::table::{FlowRef, NIL, Slab};
use ofproto::field::FieldId;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shorter prefixes are odd: they would cover too many places.
const SHORTEST: u8 = 8;
/// Places of the root.
const ROOT: u32 = 1 << 16;
/// Bits that choose a place of the root.
const ROOT_BITS: u8 = 16;
/// Places (of 8 bytes) that the nodes of a tree may always have, and those that each rule allows beyond that.
const PLACES_FREE: usize = if cfg!(test) { 1 << 18 } else { 4 << 20 };
const PLACES_PER_RULE: usize = 64;
/// Levels at most: the root and 28 nodes.
const LEVELS: usize = 29;
/// Odd rules beyond which a tree isn't worth having, and rules per odd one.
const ODD_FREE: usize = 16;
const RULES_PER_ODD: usize = 16;
/// Of so many rules, one may be odd when a tree is begun.
const BEGIN_ODD: usize = 8;

/// An address field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    word: usize,
    /// In the key's word, from the right.
    shift: u32,
    /// 32 or 128.
    bits: u8,
    /// Bits that choose a place of a node. More cost memory, fewer cost loads: IPv6 has long paths that few share.
    stride: u8,
}

impl Address {
    fn all() -> impl Iterator<Item = Self> {
        [FieldId::Ipv4Dst, FieldId::Ipv4Src, FieldId::Ipv6Dst, FieldId::Ipv6Src].into_iter().filter_map(slot).map(|s| {
            Self { word: s.word, shift: s.shift, bits: s.bits as u8, stride: if s.bits == 32 { 8 } else { 4 } }
        })
    }

    /// The field's bits, the first one highest.
    #[inline]
    fn of(self, key: &FlowKey) -> u128 {
        if self.bits == 32 {
            u128::from((key.0[self.word] >> self.shift) as u32) << 96
        } else {
            u128::from(key.0[self.word]) << 64 | u128::from(key.0[self.word + 1])
        }
    }

    /// A word's bits that are the field's, the first one highest, and the others.
    fn split(self, word: usize, bits: u64) -> (u128, u64) {
        match (self.bits, word.wrapping_sub(self.word)) {
            (32, 0) => (u128::from((bits >> self.shift) as u32) << 96, bits & !(0xffff_ffff << self.shift)),
            (128, 0) => (u128::from(bits) << 64, 0),
            (128, 1) => (u128::from(bits), 0),
            _ => (0, bits),
        }
    }

    /// The key without the field.
    fn without(self, key: &FlowKey) -> FlowKey {
        let mut rest = *key;
        if self.bits == 32 {
            rest.0[self.word] &= !(0xffff_ffff << self.shift);
        } else {
            rest.0[self.word] = 0;
            rest.0[self.word + 1] = 0;
        }
        rest
    }
}

fn prefix_mask(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

/// Readers' side.
pub(super) struct Routes {
    address: Address,
    /// What the rules have in common, by word: mask and value.
    common: Box<[(u8, u64, u64)]>,
    /// The next node above, the entry of the rule below, each plus one; 0: none. First the root's, then the nodes'.
    places: Array<AtomicU64>,
}

/// What a reader must know besides the places.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// A longer prefix beats each shorter one that covers it.
    ordered: bool,
    /// The best odd rule: its rank and age.
    odd: Option<(u32, Reverse<u64>)>,
}

impl Terms {
    /// Whether no odd rule beats this one.
    fn are_met(&self, best: &FlowRef<'_>) -> bool {
        self.odd.is_none_or(|odd| (best.body().rank(), Reverse(best.body().created.0)) > odd)
    }
}

/// Rules that cover an address, the longest prefix last.
type Found = SmallVec<[u32; LEVELS]>;

impl Routes {
    #[inline]
    fn place(&self, level: u32, node: u32, address: u128) -> u32 {
        if level == 0 {
            return (address >> 112) as u32;
        }
        let stride = u32::from(self.address.stride);
        ROOT + ((node - 1) << stride) + (address >> (112 - stride * level)) as u32 % (1 << stride)
    }

    /// The level on which a prefix ends; the root's is 0.
    fn last_level(&self, len: u8) -> u32 {
        u32::from(len.saturating_sub(ROOT_BITS).div_ceil(self.address.stride))
    }

    /// For the writer: the entry and the node of a place, each plus one.
    fn read(&self, at: u32) -> (u32, u32) {
        let word = self.places.get(at).map_or(0, |p| p.load(Ordering::Relaxed));
        (word as u32, (word >> 32) as u32)
    }

    fn write(&self, at: u32, entry: u32, node: u32) {
        if let Some(p) = self.places.get(at) {
            p.store(u64::from(node) << 32 | u64::from(entry), Ordering::Release);
        }
    }

    /// Whether the key has what the rules have in common.
    #[inline]
    fn concerns(&self, key: &FlowKey) -> bool {
        self.common.iter().all(|(w, m, v)| key.0[usize::from(*w)] & m == *v)
    }

    #[inline]
    fn find(&self, key: &FlowKey) -> Found {
        let address = self.address.of(key);
        let mut found = Found::new();
        let mut node = 0;
        for level in 0..LEVELS as u32 {
            let Some(place) = self.places.get(self.place(level, node, address)) else { break };
            let place = place.load(Ordering::Acquire);
            if place as u32 != 0 {
                found.push(place as u32 - 1);
            }
            node = (place >> 32) as u32;
            if node == 0 {
                break;
            }
        }
        found
    }

    /// The best entry that matches, if the tree knows it for certain.
    #[inline]
    pub(super) fn lookup<'g>(&self, terms: Terms, slab: &'g Slab, q: Query<'_, 'g>) -> Option<FlowRef<'g>> {
        if !self.concerns(q.key) {
            return None;
        }
        let found = self.find(q.key);
        let mut best: Option<FlowRef<'g>> = None;
        for entry in found.iter().rev() {
            let entry = FlowRef::current(slab, *entry, q.version, q.guard)?;
            if best.is_none_or(|b| beats(entry.body(), b.body())) {
                best = Some(entry);
            }
            if terms.ordered {
                break;
            }
        }
        best.filter(|b| terms.are_met(b))
    }
}

impl Routes {
    /// [`lookup`](Self::lookup) for up to 32 keys, level by level for all of them, so that they wait for memory
    /// together. What is found is put to `out`; one bit for each.
    #[inline]
    pub(super) fn burst<'g>(
        &self,
        terms: Terms,
        slab: &'g Slab,
        (version, guard): (u64, Guard<'g>),
        keys: &[&FlowKey],
        out: &mut [Option<FlowRef<'g>>],
    ) -> u32 {
        let query = |i: usize| Query { version, key: keys[i], floor: 0, guard };
        let n = keys.len().min(out.len()).min(32);
        if !terms.ordered {
            // Every rule on the way counts: one after the other.
            out.iter_mut().enumerate().take(n).for_each(|(i, o)| *o = self.lookup(terms, slab, query(i)));
            return out.iter().take(n).enumerate().fold(0, |all, (i, o)| all | u32::from(o.is_some()) << i);
        }
        let mut addresses = [0u128; 32];
        let mut at = [0u32; 32];
        let mut deepest = [NIL; 32];
        let mut open = 0u32;
        for (i, key) in keys.iter().enumerate().take(n).filter(|(_, k)| self.concerns(k)) {
            addresses[i] = self.address.of(key);
            at[i] = self.place(0, 0, addresses[i]);
            self.places.get(at[i]).into_iter().for_each(|p| super::prefetch(p));
            open |= 1 << i;
        }
        let concerned = open;
        for level in 1..=LEVELS as u32 {
            for i in super::bits(open) {
                let place = self.places.get(at[i]).map_or(0, |p| p.load(Ordering::Acquire));
                if place as u32 != 0 {
                    deepest[i] = place as u32 - 1;
                }
                let node = (place >> 32) as u32;
                if node == 0 {
                    open &= !(1 << i);
                    if deepest[i] != NIL {
                        slab.prefetch(deepest[i]);
                    }
                } else {
                    at[i] = self.place(level, node, addresses[i]);
                    self.places.get(at[i]).into_iter().for_each(|p| super::prefetch(p));
                }
            }
            if open == 0 {
                break;
            }
        }
        let mut found = 0;
        for i in super::bits(concerned).filter(|i| deepest[*i] != NIL) {
            out[i] = FlowRef::current(slab, deepest[i], version, guard).filter(|b| terms.are_met(b));
            found |= u32::from(out[i].is_some()) << i;
        }
        found
    }
}

/// Which table is it a tree for: the field, and what its rules have in common.
pub(super) struct Plan {
    address: Address,
    mask: Mask,
    value: FlowKey,
}

impl Plan {
    /// For a table of which this is a sample, if hardly anything else is in it.
    pub(super) fn of(sample: &[(Arc<Shape>, FlowKey)]) -> Option<Self> {
        let mut best: Option<(usize, Self)> = None;
        for address in Address::all() {
            let mut kinds: HashMap<(Mask, [u64; crate::key::WORDS]), (usize, u128), foldhash::fast::FixedState> =
                HashMap::default();
            for (shape, value) in sample {
                if let Some((len, _)) = prefix(address, &shape.mask.key(), value).filter(|(len, _)| *len >= SHORTEST) {
                    let rest = (Mask::of(&address.without(&shape.mask.key())), address.without(value).0);
                    let kind = kinds.entry(rest).or_default();
                    kind.0 += 1;
                    kind.1 |= 1 << (len - 1);
                }
            }
            for ((mask, value), (n, lens)) in kinds {
                // Of one length, they are one tuple.
                if lens.count_ones() > 1 && best.as_ref().is_none_or(|(most, _)| n > *most) {
                    best = Some((n, Self { address, mask, value: FlowKey(value) }));
                }
            }
        }
        best.filter(|(n, _)| *n >= sample.len() - sample.len() / BEGIN_ODD).map(|(_, plan)| plan)
    }
}

/// The prefix of a rule's address, if its mask is one: length, and bits with the first one highest.
fn prefix(address: Address, mask: &FlowKey, value: &FlowKey) -> Option<(u8, u128)> {
    let mask = address.of(mask);
    let len = mask.leading_ones() as u8;
    (mask == prefix_mask(len)).then(|| (len, address.of(value)))
}

type Prefix = (u8, u128);

/// The writer's side.
pub(super) struct RoutesBook {
    routes: Arc<Routes>,
    /// The entries of each prefix, best first.
    rules: HashMap<Prefix, SmallVec<[u32; 2]>, foldhash::fast::FixedState>,
    /// By length: how many entries there are of which rank.
    ranks: BTreeMap<u8, BTreeMap<u32, u32>>,
    odd: BTreeSet<(u32, Reverse<u64>, u32)>,
    numbers: Places<1>,
    /// By node: prefixes that end there, and nodes of the next level.
    uses: Vec<u32>,
    /// Nodes in the tree.
    nodes: usize,
    /// What readers were told may not be so any more.
    stirred: bool,
    /// Nodes that readers may be in, with the version after which none is.
    waiting: VecDeque<(u64, u32)>,
    entries: usize,
}

impl RoutesBook {
    pub(super) fn new(plan: Plan) -> Self {
        let common = plan.mask.words().iter().map(|(w, m)| (*w, *m, plan.value.0[usize::from(*w)])).collect();
        let routes = Routes { address: plan.address, common, places: Array::new() };
        (0..ROOT).step_by(256).for_each(|i| routes.places.grow(i));
        Self {
            routes: Arc::new(routes),
            rules: HashMap::default(),
            ranks: BTreeMap::new(),
            odd: BTreeSet::new(),
            numbers: Places::default(),
            uses: Vec::new(),
            nodes: 0,
            stirred: true,
            waiting: VecDeque::new(),
            entries: 0,
        }
    }

    pub(super) fn readers(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    /// Entries in the tree.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// What readers must know, if it may have changed since they were told.
    pub(super) fn news(&mut self) -> Option<Terms> {
        std::mem::take(&mut self.stirred).then(|| self.terms())
    }

    pub(super) fn terms(&self) -> Terms {
        let mut reached = None;
        let ordered = self.ranks.values().all(|of| {
            let above = of.keys().next() > reached.as_ref();
            reached = of.keys().next_back().copied();
            above
        });
        Terms { ordered, odd: self.odd.last().map(|(rank, created, _)| (*rank, *created)) }
    }

    /// The prefix of a rule that isn't odd.
    fn prefix(&self, shape: &Shape, value: &FlowKey) -> Option<Prefix> {
        let address = self.routes.address;
        let mut mask = 0;
        let mut same = 0;
        for (w, m) in shape.mask.words() {
            let (of_address, rest) = address.split(usize::from(*w), *m);
            mask |= of_address;
            if rest != 0 {
                let common = self.routes.common.iter().find(|(x, _, _)| x == w);
                let value = address.split(usize::from(*w), value.0[usize::from(*w)] & m).1;
                if common.is_none_or(|(_, m, v)| (*m, *v) != (rest, value)) {
                    return None;
                }
                same += 1;
            }
        }
        let len = mask.leading_ones() as u8;
        let whole = same == self.routes.common.len() && mask == prefix_mask(len) && len >= SHORTEST;
        whole.then(|| (len, address.of(value)))
    }

    /// Puts an entry in; false if the tree isn't worth its memory any more.
    pub(super) fn insert(&mut self, index: u32, site: Site<'_>) -> bool {
        let Some(body) = site.body(index) else { return true };
        let Some(prefix) = self.prefix(&body.shape, &body.value()) else {
            self.stirred = true;
            self.odd.insert((body.rank(), Reverse(body.created.0), index));
            return self.odd.len() <= ODD_FREE + self.entries / RULES_PER_ODD;
        };
        self.entries += 1;
        let n = self.ranks.entry(prefix.0).or_default().entry(body.rank()).or_default();
        *n += 1;
        self.stirred |= *n == 1;
        let list = self.rules.entry(prefix).or_default();
        let at = list.iter().position(|i| site.body(*i).is_none_or(|b| beats(body, b))).unwrap_or(list.len());
        list.insert(at, index);
        if list.len() == 1 && !self.grow(prefix, site.writer) {
            return false;
        }
        if at == 0 {
            let wanted = |there| there == NIL || site.body(there).is_none_or(|b| beats(body, b));
            paint(&self.routes, prefix, wanted, |_| index);
        }
        true
    }

    /// Takes an entry out, or puts the one that continues it, `follower`, in its place.
    pub(super) fn remove(&mut self, index: u32, follower: u32, site: Site<'_>) {
        let Some(body) = site.body(index) else { return };
        let Some(prefix) = self.prefix(&body.shape, &body.value()) else {
            let key = (body.rank(), Reverse(body.created.0), index);
            self.stirred = true;
            if self.odd.remove(&key) && follower != NIL {
                self.odd.insert((key.0, key.1, follower));
            }
            return;
        };
        let Some(list) = self.rules.get_mut(&prefix) else { return };
        let Some(at) = list.iter().position(|i| *i == index) else { return };
        if follower != NIL {
            list[at] = follower;
            paint(&self.routes, prefix, |there| there == index, |_| follower);
            return;
        }
        list.remove(at);
        let last = list.is_empty();
        self.entries -= 1;
        if let Some(of) = self.ranks.get_mut(&prefix.0)
            && let Some(n) = of.get_mut(&body.rank())
        {
            *n -= 1;
            if *n == 0 {
                self.stirred = true;
                of.remove(&body.rank());
                if of.is_empty() {
                    self.ranks.remove(&prefix.0);
                }
            }
        }
        if last {
            self.rules.remove(&prefix);
        }
        // What else covers the places on this level.
        let stride = self.routes.address.stride;
        let first = if prefix.0 <= ROOT_BITS { SHORTEST } else { (prefix.0 - 1) / stride * stride + 1 };
        let until = if prefix.0 <= ROOT_BITS { ROOT_BITS } else { first + stride - 1 };
        let lens: SmallVec<[u8; 9]> = self.ranks.range(first..=until).map(|(len, _)| *len).collect();
        let rules = &self.rules;
        let best = |address: u128| {
            let heads = lens.iter().filter_map(|len| Some(*rules.get(&(*len, address & prefix_mask(*len)))?.first()?));
            let better = |a: u32, b: u32| match (site.body(a), site.body(b)) {
                (Some(x), Some(y)) if beats(y, x) => b,
                _ => a,
            };
            heads.reduce(better).unwrap_or(NIL)
        };
        paint(&self.routes, prefix, |there| there == index, best);
        if last {
            self.shrink(prefix, site.writer);
        }
    }

    /// Sees to it that the nodes of a prefix are there, and counts it in the last one; false if there are too many.
    fn grow(&mut self, (len, address): Prefix, writer: &Writer) -> bool {
        let mut node = 0;
        for level in 0..self.routes.last_level(len) {
            let at = self.routes.place(level, node, address);
            let (entry, mut next) = self.routes.read(at);
            if next == 0 {
                let places = (PLACES_FREE + self.entries * PLACES_PER_RULE).min(1 << 30);
                if self.nodes >= places >> self.routes.address.stride {
                    return false;
                }
                let Some(number) = self.node(writer) else { return false };
                next = number + 1;
                self.use_node(node);
                self.routes.write(at, entry, next);
            }
            node = next;
        }
        self.use_node(node);
        true
    }

    /// One more thing needs a node (0: the root, which always stays).
    fn use_node(&mut self, node: u32) {
        if node != 0 {
            self.uses[node as usize - 1] += 1;
        }
    }

    /// An empty node.
    fn node(&mut self, writer: &Writer) -> Option<u32> {
        let oldest = writer.oldest_seen();
        while let Some((_, number)) = self.waiting.front().copied().filter(|(tag, _)| *tag <= oldest) {
            self.waiting.pop_front();
            self.numbers.free(number);
        }
        let number = self.numbers.take()?;
        let stride = self.routes.address.stride;
        let first = ROOT + (number << stride);
        self.routes.places.grow(first);
        self.routes.places.from(first).iter().take(1 << stride).for_each(|p| p.store(0, Ordering::Relaxed));
        let at = number as usize;
        if self.uses.len() <= at {
            self.uses.resize(at + 1, 0);
        }
        self.uses[at] = 0;
        self.nodes += 1;
        Some(number)
    }

    /// Gives up nodes that nothing needs now that a prefix has gone.
    fn shrink(&mut self, (len, address): Prefix, writer: &Writer) {
        let mut path: SmallVec<[(u32, u32); LEVELS]> = SmallVec::new();
        let mut node = 0;
        for level in 0..self.routes.last_level(len) {
            let at = self.routes.place(level, node, address);
            node = self.routes.read(at).1;
            if node == 0 {
                return;
            }
            path.push((at, node));
        }
        while let Some((at, node)) = path.pop() {
            let uses = &mut self.uses[node as usize - 1];
            *uses -= 1;
            if *uses > 0 {
                return;
            }
            self.nodes -= 1;
            self.routes.write(at, self.routes.read(at).0, 0);
            self.waiting.push_back((writer.next(), node - 1));
        }
    }
}

/// Of the places that a prefix covers on its level, stores in those whose entry is `wanted` the one that
/// `entry` tells for the place's address (`NIL`: none).
fn paint(routes: &Routes, (len, address): Prefix, wanted: impl Fn(u32) -> bool, entry: impl Fn(u128) -> u32) {
    let last = routes.last_level(len);
    let mut node = 0;
    for level in 0..last {
        let at = routes.place(level, node, address);
        node = routes.read(at).1;
        if node == 0 {
            return;
        }
    }
    // Bits that are chosen by the end of this level.
    let end = u32::from(ROOT_BITS) + u32::from(routes.address.stride) * last;
    let first = routes.place(last, node, address);
    for i in 0..1u32 << (end - u32::from(len)) {
        let (there, next) = routes.read(first + i);
        if wanted(there.wrapping_sub(1)) {
            let new = entry(address | u128::from(i) << (128 - end));
            routes.write(first + i, new.wrapping_add(1), next);
        }
    }
}
