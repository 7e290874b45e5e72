//! A tuple: entries by the hash of their value under one mask, in an extendible hash table.
//!
//! A slot is one word: the 32-bit hash and what stands under it. That is an entry whose mask is the tuple's, or a
//! [group](super::group) of entries with the same hash (the same value under the tuple's mask, but for rare
//! collisions). A full segment is split or doubled by copying its slots and swapping one pointer; groups are never
//! copied for that.

use super::Mask;
use super::group::{Arena, ArenaBook, MOST};
use super::{Unchained, unchain};
use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// In a head: it is a group's place in the arena, not an entry's in the slab.
const GROUP: u32 = 1 << 31;
/// A slot that ends a probe sequence. No entry has index `NIL`.
const EMPTY: u64 = u64::MAX;
/// A slot whose entries have gone; a probe goes on.
const TOMB: u64 = u64::MAX - 1;
/// Slots of a line.
const WIDE: usize = 8;
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
    lines: Box<[Line]>,
}

/// Eight slots: a cache line, looked at at once.
#[repr(C, align(64))]
struct Line([AtomicU64; WIDE]);

impl Line {
    /// Which slots have this hash (a tomb may be among them), and which are `EMPTY`, one bit each.
    #[inline]
    fn look(&self, h: u32) -> (u32, u32) {
        let (mut met, mut empty) = (0, 0);
        for (i, slot) in self.0.iter().enumerate() {
            let word = slot.load(Ordering::Acquire);
            met |= u32::from((word >> 32) as u32 == h) << i;
            empty |= u32::from(word == EMPTY) << i;
        }
        (met & !empty, empty)
    }
}

impl Segment {
    fn new(depth: u32, size: usize) -> Self {
        let lines = (0..size.div_ceil(WIDE)).map(|_| Line(std::array::from_fn(|_| AtomicU64::new(EMPTY)))).collect();
        Self { depth, taken: AtomicU32::new(0), lines }
    }

    /// How many slots.
    fn size(&self) -> usize {
        self.lines.len() * WIDE
    }

    /// The line in which a hash is looked for first.
    #[inline]
    fn home(&self, h: u32) -> usize {
        h as usize & (self.lines.len() - 1)
    }

    #[inline]
    fn slot(&self, at: usize) -> &AtomicU64 {
        &self.lines[at / WIDE].0[at % WIDE]
    }

    /// The slot with this hash; looks at all of the segment at most, and no further than the first line that has
    /// an `EMPTY` slot.
    #[inline]
    fn find(&self, h: u32) -> Option<(usize, u64)> {
        let mut at = self.home(h);
        for _ in 0..self.lines.len() {
            let line = &self.lines[at];
            let (mut met, empty) = line.look(h);
            while met != 0 {
                let i = met.trailing_zeros() as usize;
                let word = line.0[i].load(Ordering::Acquire);
                if (word >> 32) as u32 == h && word != TOMB && word != EMPTY {
                    return Some((at * WIDE + i, word));
                }
                met &= met - 1;
            }
            if empty != 0 {
                return None;
            }
            at = (at + 1) & (self.lines.len() - 1);
        }
        None
    }

    /// Puts a slot whose hash isn't there into the first free place.
    fn put(&self, word: u64) {
        let mut at = self.home((word >> 32) as u32);
        for _ in 0..self.lines.len() {
            for slot in &self.lines[at].0 {
                let old = slot.load(Ordering::Relaxed);
                if old == EMPTY || old == TOMB {
                    slot.store(word, Ordering::Release);
                    if old == EMPTY {
                        self.taken.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
            }
            at = (at + 1) & (self.lines.len() - 1);
        }
    }

    fn live(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().flat_map(|l| &l.0).map(|s| s.load(Ordering::Relaxed)).filter(|w| *w != EMPTY && *w != TOMB)
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
    /// The words of the key that groups compare.
    words: Box<[u8]>,
    directory: Rcu<Directory>,
    /// Distinct hashes; the writer's note.
    hashes: AtomicU32,
}

const fn word(h: u32, head: u32) -> u64 {
    ((h as u64) << 32) | head as u64
}

/// What the entries of a tuple lie in.
#[derive(Clone, Copy)]
pub(super) struct Memory<'a> {
    pub(super) slab: &'a Slab,
    pub(super) arena: &'a Arena,
}

impl Tuple {
    /// A tuple whose groups compare these words of the key.
    pub(super) fn new(mask: Mask, words: Box<[u8]>) -> Self {
        let segments = Box::new([Rcu::new(Arc::new(Segment::new(0, SMALLEST)))]);
        let directory = Rcu::new(Arc::new(Directory { bits: 0, segments }));
        Self { mask, words, directory, hashes: AtomicU32::new(0) }
    }

    #[inline]
    fn segment<'g>(&self, h: u32, guard: Guard<'g>) -> Option<&'g Segment> {
        let d = self.directory.load(guard)?;
        d.segments.get(d.place(h))?.load(guard)
    }

    #[inline]
    pub(super) fn prefetch(&self, h: u32, guard: Guard<'_>) {
        if let Some(s) = self.segment(h, guard) {
            super::prefetch(&raw const s.lines[s.home(h)]);
        }
    }

    /// What stands under this hash: an entry whose mask is the tuple's, or a group.
    #[inline]
    pub(super) fn head(&self, h: u32, guard: Guard<'_>) -> Option<u32> {
        self.segment(h, guard)?.find(h).map(|(_, w)| w as u32)
    }

    /// Asks for what a head stands for.
    #[inline]
    pub(super) fn prefetch_head(memory: Memory<'_>, head: u32, guard: Guard<'_>) {
        if head & GROUP == 0 { memory.slab.prefetch(head, guard) } else { memory.arena.prefetch(head & !GROUP, guard) }
    }

    /// Whether the key has this entry's values under the tuple's mask, which is its own.
    #[inline]
    fn same(&self, body: &FlowBody, key: &FlowKey) -> bool {
        self.mask.words().iter().zip(body.values.words()).all(|((w, m), v)| key.0[usize::from(*w)] & m == *v)
    }

    /// The best visible entry under a head that matches, unless it is of a lower rank than `floor`.
    #[inline]
    pub(super) fn best<'g>(
        &self,
        head: u32,
        memory: Memory<'g>,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
    ) -> Option<FlowRef<'g>> {
        if head & GROUP == 0 {
            let found = FlowRef::current(memory.slab, head, version, guard)?;
            return (self.same(found.body(), key) && found.body().rank() >= floor).then_some(found);
        }
        let group = memory.arena.group(head & !GROUP, guard)?;
        let mut equal = group.equal(key, &self.words);
        while equal != 0 {
            let (rank, index) = group.rule(equal.trailing_zeros() as usize)?;
            if rank < floor {
                return None;
            }
            if index != NIL
                && let Some(found) = FlowRef::current(memory.slab, index, version, guard)
            {
                return Some(found);
            }
            equal &= equal - 1;
        }
        None
    }

    /// Every visible entry under a head that matches and has at least rank `floor`.
    #[expect(clippy::too_many_arguments, reason = "as `best`, and whom to tell")]
    pub(super) fn each_match<'g>(
        &self,
        head: u32,
        memory: Memory<'g>,
        version: u64,
        key: &FlowKey,
        floor: u32,
        guard: Guard<'g>,
        f: &mut dyn FnMut(FlowRef<'g>),
    ) {
        if head & GROUP == 0 {
            self.best(head, memory, version, key, floor, guard).into_iter().for_each(f);
            return;
        }
        let Some(group) = memory.arena.group(head & !GROUP, guard) else { return };
        let mut equal = group.equal(key, &self.words);
        while equal != 0 {
            let Some((rank, index)) = group.rule(equal.trailing_zeros() as usize) else { return };
            if rank < floor {
                return;
            }
            if index != NIL {
                FlowRef::current(memory.slab, index, version, guard).into_iter().for_each(&mut *f);
            }
            equal &= equal - 1;
        }
    }

    /// Whether entries with this mask fit the groups.
    pub(super) fn covers(&self, own: &Mask) -> bool {
        own.words().iter().all(|(w, _)| self.words.contains(w))
    }

    /// How many entries stand under this hash.
    pub(super) fn count(&self, h: u32, arena: &Arena, guard: Guard<'_>) -> usize {
        match self.head(h, guard) {
            None => 0,
            Some(head) if head & GROUP == 0 => 1,
            Some(head) => arena.group(head & !GROUP, guard).map_or(0, |g| g.entries().count()),
        }
    }

    /// Puts an entry under a hash that has room; whether it could.
    pub(super) fn insert(
        &self,
        h: u32,
        index: u32,
        memory: Memory<'_>,
        book: &mut ArenaBook,
        writer: &mut Writer,
    ) -> bool {
        let Memory { slab, arena } = memory;
        let mut entries: SmallVec<[u32; MOST]> = SmallVec::new();
        let exact;
        {
            let guard = writer.guard();
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return false };
            exact = new.body().shape.mask == self.mask;
            match self.head(h, guard) {
                None => {}
                Some(head) if head & GROUP == 0 => entries.push(head),
                Some(head) => entries.extend(arena.group(head & !GROUP, guard).into_iter().flat_map(|g| g.entries())),
            }
            let at = entries
                .iter()
                .position(|i| FlowRef::of_writer(slab, *i, guard).is_none_or(|e| super::beats(new.body(), e.body())))
                .unwrap_or(entries.len());
            entries.insert(at, index);
        }
        let head = if exact && entries.len() == 1 {
            index
        } else {
            let Some(at) = book.make(arena, slab, &entries, &self.words, writer) else { return false };
            GROUP | at
        };
        self.set_head(h, head, memory, book, writer);
        true
    }

    /// Puts `head` under a hash, in place of what was there.
    fn set_head(&self, h: u32, head: u32, memory: Memory<'_>, book: &mut ArenaBook, writer: &mut Writer) {
        let old = {
            let guard = writer.guard();
            self.segment(h, guard).and_then(|s| {
                let (at, old) = s.find(h)?;
                s.slot(at).store(word(h, head), Ordering::Release);
                Some(old as u32)
            })
        };
        match old {
            Some(old) if old & GROUP != 0 => book.free(memory.arena, old & !GROUP, writer),
            Some(_) => {}
            None => {
                self.make_room(h, writer);
                if let Some(segment) = self.segment(h, writer.guard()) {
                    segment.put(word(h, head));
                    self.hashes.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes an entry away, or puts in its place the one that continues it; whether it was there.
    pub(super) fn remove(
        &self,
        h: u32,
        index: u32,
        memory: Memory<'_>,
        book: &mut ArenaBook,
        writer: &mut Writer,
    ) -> bool {
        let Memory { slab, arena } = memory;
        let Some(head) = self.head(h, writer.guard()) else { return false };
        if head & GROUP == 0 {
            match unchain(slab, head, index, writer) {
                Unchained::No => return false,
                Unchained::Inside => {}
                Unchained::Head(NIL) => self.strike(h, writer),
                Unchained::Head(next) => self.set_head(h, next, memory, book, writer),
            }
            return true;
        }
        let at = head & !GROUP;
        let lanes: SmallVec<[u32; MOST]> = {
            let Some(group) = arena.group(at, writer.guard()) else { return false };
            (0..MOST).map_while(|i| group.rule(i)).map(|(_, i)| i).collect()
        };
        for (lane, entry) in lanes.iter().enumerate().filter(|(_, i)| **i != NIL) {
            match unchain(slab, *entry, index, writer) {
                Unchained::No => continue,
                Unchained::Inside => return true,
                Unchained::Head(next) => {
                    book.renew(arena, at, lane, next, writer);
                    let mut left = lanes.iter().filter(|i| **i != NIL && **i != index);
                    if next == NIL {
                        match (left.next(), left.next()) {
                            (None, _) => {
                                self.strike(h, writer);
                                book.free(arena, at, writer);
                            }
                            (Some(last), None) if self.is_own(slab, *last, writer) => {
                                self.set_head(h, *last, memory, book, writer);
                            }
                            _ => {}
                        }
                    }
                    return true;
                }
            }
        }
        false
    }

    /// Whether an entry's mask is the tuple's.
    fn is_own(&self, slab: &Slab, index: u32, writer: &Writer) -> bool {
        FlowRef::of_writer(slab, index, writer.guard()).is_some_and(|e| e.body().shape.mask == self.mask)
    }

    /// Nothing stands under this hash any more.
    fn strike(&self, h: u32, writer: &mut Writer) {
        {
            let Some(segment) = self.segment(h, writer.guard()) else { return };
            let Some((at, _)) = segment.find(h) else { return };
            segment.slot(at).store(TOMB, Ordering::Release);
        }
        let left = self.hashes.fetch_sub(1, Ordering::Relaxed) - 1;
        self.shrink(left as usize, writer);
    }

    /// Sees to it that the segment of `h` has a free slot and short probe sequences.
    fn make_room(&self, h: u32, writer: &mut Writer) {
        loop {
            let Some(directory) = self.directory.share(writer) else { return };
            let place = directory.place(h);
            let Some(segment) = directory.segments.get(place).and_then(|s| s.share(writer)) else { return };
            let size = segment.size();
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
