//! A tuple: entries by the hash of their value under one mask, in an extendible hash table.
//!
//! A slot is one word: the 32-bit hash and the first entry of its chain. Entries with the same hash
//! (the same value under the tuple's mask, but for rare collisions) are chained through the slab,
//! best first, so that the first match of a chain is the tuple's answer. A full segment is split or
//! doubled by copying its slots and swapping one pointer; chains are never copied.

use super::Mask;
use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowRef, NIL, Slab};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A slot that ends a probe sequence. No entry has index `NIL`.
const EMPTY: u64 = u64::MAX;
/// A slot whose chain has gone; a probe goes on.
const TOMB: u64 = u64::MAX - 1;
/// Slots of a new tuple's segment.
const SMALLEST: usize = 8;
/// Slots (4 KiB) from which a segment is split instead of doubled.
const SEGMENT: usize = 512;
/// Directory bits at most; a segment beyond that grows.
const MAX_BITS: u32 = 16;

struct Segment {
    /// How many leading hash bits all its slots share.
    depth: u32,
    /// Slots that aren't `EMPTY`; the writer's note.
    taken: AtomicU32,
    slots: Box<[AtomicU64]>,
}

impl Segment {
    fn new(depth: u32, size: usize) -> Self {
        Self { depth, taken: AtomicU32::new(0), slots: (0..size).map(|_| AtomicU64::new(EMPTY)).collect() }
    }

    /// The slot with this hash, or the first `EMPTY`; probes the whole segment at most.
    #[inline]
    fn find(&self, h: u32) -> Option<(usize, u64)> {
        let mask = self.slots.len() - 1;
        let mut i = h as usize & mask;
        for _ in 0..self.slots.len() {
            let word = self.slots[i].load(Ordering::Acquire);
            if word == EMPTY {
                return None;
            }
            if (word >> 32) as u32 == h && word != TOMB {
                return Some((i, word));
            }
            i = (i + 1) & mask;
        }
        None
    }

    /// Puts a slot whose hash isn't there into the first free place.
    fn put(&self, word: u64) {
        let mask = self.slots.len() - 1;
        let mut i = (word >> 32) as usize & mask;
        for _ in 0..self.slots.len() {
            let old = self.slots[i].load(Ordering::Relaxed);
            if old == EMPTY || old == TOMB {
                self.slots[i].store(word, Ordering::Release);
                if old == EMPTY {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            i = (i + 1) & mask;
        }
    }

    fn live(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().map(|s| s.load(Ordering::Relaxed)).filter(|w| *w != EMPTY && *w != TOMB)
    }
}

struct Directory {
    bits: u32,
    segments: Box<[Rcu<Segment>]>,
}

impl Directory {
    #[inline]
    fn place(&self, h: u32) -> usize {
        if self.bits == 0 { 0 } else { (h >> (32 - self.bits)) as usize }
    }
}

pub(super) struct Tuple {
    pub(super) mask: Mask,
    lane: usize,
    directory: Rcu<Directory>,
    /// Distinct hashes; the writer's note.
    hashes: AtomicU32,
}

const fn word(h: u32, head: u32) -> u64 {
    ((h as u64) << 32) | head as u64
}

impl Tuple {
    pub(super) fn new(mask: Mask, lane: usize) -> Self {
        let segments = Box::new([Rcu::new(Arc::new(Segment::new(0, SMALLEST)))]);
        Self { mask, lane, directory: Rcu::new(Arc::new(Directory { bits: 0, segments })), hashes: AtomicU32::new(0) }
    }

    #[inline]
    fn segment<'g>(&self, h: u32, guard: Guard<'g>) -> Option<&'g Segment> {
        let d = self.directory.load(guard)?;
        d.segments.get(d.place(h))?.load(guard)
    }

    #[inline]
    pub(super) fn prefetch(&self, h: u32, guard: Guard<'_>) {
        if let Some(s) = self.segment(h, guard) {
            let i = h as usize & (s.slots.len() - 1);
            super::prefetch(std::ptr::from_ref(&s.slots[i]));
        }
    }

    /// The first entry with this hash.
    #[inline]
    pub(super) fn head(&self, h: u32, guard: Guard<'_>) -> Option<u32> {
        self.segment(h, guard)?.find(h).map(|(_, w)| w as u32)
    }

    /// The first entry of the chain at `head` that is visible and matches: the best one of the tuple,
    /// unless that is of a lower rank than `floor`.
    #[inline]
    pub(super) fn walk<'g>(
        &self,
        head: u32,
        slab: &Slab,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
    ) -> Option<FlowRef<'g>> {
        let mut i = head;
        while i != NIL {
            let slot = slab.slot(i, guard)?;
            if let Some(found) = FlowRef::visible(slab, slot, i, version) {
                if found.body().rank() < floor {
                    return None;
                }
                if found.body().matches(key) {
                    return Some(found);
                }
            }
            i = slot.next[self.lane].load(Ordering::Acquire);
        }
        None
    }

    /// Every visible entry of the chain at `head` that matches and has at least rank `floor`.
    #[expect(clippy::too_many_arguments, reason = "as `walk`, and whom to tell")]
    pub(super) fn each_match<'g>(
        &self,
        head: u32,
        slab: &Slab,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
        f: &mut dyn FnMut(FlowRef<'g>),
    ) {
        let mut i = head;
        while i != NIL {
            let Some(slot) = slab.slot(i, guard) else { return };
            if let Some(found) = FlowRef::visible(slab, slot, i, version) {
                if found.body().rank() < floor {
                    return;
                }
                if found.body().matches(key) {
                    f(found);
                }
            }
            i = slot.next[self.lane].load(Ordering::Acquire);
        }
    }

    /// How many entries share this hash, counting no further than `most`.
    pub(super) fn chain_len(&self, h: u32, most: usize, slab: &Slab, guard: Guard<'_>) -> usize {
        let mut i = self.head(h, guard).unwrap_or(NIL);
        let mut n = 0;
        while i != NIL && n < most {
            n += 1;
            i = slab.slot(i, guard).map_or(NIL, |s| s.next[self.lane].load(Ordering::Relaxed));
        }
        n
    }

    /// Links entry `index` into the chain of `h`, in order.
    pub(super) fn insert(&self, h: u32, index: u32, slab: &Slab, writer: &mut Writer) {
        {
            let guard = writer.guard();
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return };
            let Some(new_slot) = slab.slot(index, guard) else { return };
            if let Some(segment) = self.segment(h, guard)
                && let Some((at, found)) = segment.find(h)
            {
                let (mut before, mut i) = (NIL, found as u32);
                while let Some(here) = (i != NIL).then(|| FlowRef::of_writer(slab, i, guard)).flatten() {
                    if super::beats(new.body(), here.body()) {
                        break;
                    }
                    before = i;
                    i = slab.slot(i, guard).map_or(NIL, |s| s.next[self.lane].load(Ordering::Relaxed));
                }
                new_slot.next[self.lane].store(i, Ordering::Release);
                match slab.slot(before, guard) {
                    Some(b) if before != NIL => b.next[self.lane].store(index, Ordering::Release),
                    _ => segment.slots[at].store(word(h, index), Ordering::Release),
                }
                return;
            }
            new_slot.next[self.lane].store(NIL, Ordering::Release);
        }
        self.make_room(h, writer);
        if let Some(segment) = self.segment(h, writer.guard()) {
            segment.put(word(h, index));
            self.hashes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Unlinks entry `index` from the chain of `h`; whether it was there.
    pub(super) fn remove(&self, h: u32, index: u32, slab: &Slab, writer: &mut Writer) -> bool {
        let emptied = {
            let guard = writer.guard();
            let Some(segment) = self.segment(h, guard) else { return false };
            let Some((at, found)) = segment.find(h) else { return false };
            let (mut before, mut i) = (NIL, found as u32);
            while i != index && i != NIL {
                before = i;
                i = slab.slot(i, guard).map_or(NIL, |s| s.next[self.lane].load(Ordering::Relaxed));
            }
            if i == NIL {
                return false;
            }
            // Its own link stays: a reader that stands on it goes on from there.
            let next = slab.slot(i, guard).map_or(NIL, |s| s.next[self.lane].load(Ordering::Relaxed));
            match slab.slot(before, guard) {
                Some(b) if before != NIL => {
                    b.next[self.lane].store(next, Ordering::Release);
                    false
                }
                _ if next != NIL => {
                    segment.slots[at].store(word(h, next), Ordering::Release);
                    false
                }
                _ => {
                    segment.slots[at].store(TOMB, Ordering::Release);
                    true
                }
            }
        };
        if emptied {
            let left = self.hashes.fetch_sub(1, Ordering::Relaxed) - 1;
            self.shrink(left as usize, writer);
        }
        true
    }

    /// Sees to it that the segment of `h` has a free slot and short probe sequences.
    fn make_room(&self, h: u32, writer: &mut Writer) {
        loop {
            let Some(directory) = self.directory.share(writer) else { return };
            let place = directory.place(h);
            let Some(segment) = directory.segments.get(place).and_then(|s| s.share(writer)) else { return };
            let size = segment.slots.len();
            let taken = segment.taken.load(Ordering::Relaxed) as usize;
            if (taken + 1) * 4 <= size * 3 {
                return;
            }
            let live = segment.live().count();
            if live * 2 < size {
                // Mostly tombs: the same again without them.
                self.swap(&directory, place, &segment, vec![copy(segment.depth, size, segment.live())], writer);
            } else if size < SEGMENT || segment.depth >= MAX_BITS {
                self.swap(&directory, place, &segment, vec![copy(segment.depth, size * 2, segment.live())], writer);
            } else if segment.depth < directory.bits {
                let bit = 31 - segment.depth;
                let half = |b: u64| segment.live().filter(move |w| (w >> 32 >> bit) & 1 == b);
                let depth = segment.depth + 1;
                self.swap(
                    &directory,
                    place,
                    &segment,
                    vec![copy(depth, size, half(0)), copy(depth, size, half(1))],
                    writer,
                );
            } else {
                let segments = directory
                    .segments
                    .iter()
                    .flat_map(|s| [s.share(writer), s.share(writer)])
                    .map(|s| s.map_or_else(Rcu::null, Rcu::new))
                    .collect();
                let doubled = Directory { bits: directory.bits + 1, segments };
                self.directory.replace(Some(Arc::new(doubled)), writer);
            }
        }
    }

    /// Puts `new` (one segment, or two that share the old one's places) where `old` was; `place` is
    /// one of its places.
    fn swap(&self, directory: &Directory, place: usize, old: &Segment, new: Vec<Segment>, writer: &mut Writer) {
        let span = 1usize << (directory.bits - old.depth);
        let first = place & !(span - 1);
        let each = span / new.len();
        for (k, segment) in new.into_iter().map(Arc::new).enumerate() {
            for cell in &directory.segments[first + k * each..first + (k + 1) * each] {
                cell.replace(Some(Arc::clone(&segment)), writer);
            }
        }
    }

    /// After many removals: the same content in less memory.
    fn shrink(&self, hashes: usize, writer: &mut Writer) {
        let Some(directory) = self.directory.share(writer) else { return };
        // Counted in segments of full size, so that the test is cheap; late, so that little is copied.
        let places = directory.segments.len();
        if places < 2 || hashes * 128 > places * SEGMENT {
            return;
        }
        let mut all = Vec::with_capacity(hashes);
        let mut old: Vec<Arc<Segment>> = Vec::new();
        for s in directory.segments.iter().filter_map(|s| s.share(writer)) {
            if old.last().is_none_or(|l| !Arc::ptr_eq(l, &s)) {
                all.extend(s.live());
                old.push(s);
            }
        }
        let bits = (hashes * 2 / SEGMENT).next_power_of_two().trailing_zeros().min(directory.bits);
        let count = 1usize << bits;
        let mut parts: Vec<Vec<u64>> = vec![Vec::new(); count];
        for w in all {
            let h = (w >> 32) as u32;
            parts[if bits == 0 { 0 } else { (h >> (32 - bits)) as usize }].push(w);
        }
        let segments = parts
            .into_iter()
            .map(|p| {
                let size = (p.len() * 2).next_power_of_two().max(SMALLEST);
                Rcu::new(Arc::new(copy(bits, size, p.into_iter())))
            })
            .collect();
        self.directory.replace(Some(Arc::new(Directory { bits, segments })), writer);
        // One by one: thousands of segments freed with their directory would make a long turn.
        drop(directory);
        old.into_iter().for_each(|s| writer.retire(s));
    }
}

fn copy(depth: u32, size: usize, words: impl Iterator<Item = u64>) -> Segment {
    let segment = Segment::new(depth, size);
    words.for_each(|w| segment.put(w));
    segment
}
