//! What stands under a hash: an extendible hash table in an [`Arena`].
//!
//! A slot is one word: the 32-bit hash, and a number of the user's, the *head*. Slots lie in segments of whole lines;
//! a full segment is split in two or made larger by copying its slots and storing its new place, two that have emptied
//! are put together again. With several segments a directory says where each lies, by the leading bits of the hash.
//!
//! Thread-safety: one writer ([`IndexBook`]), any number of readers.

use super::arena::{Arena, ArenaBook, LINE, Line};
use crate::publish::Writer;
use crate::table::NIL;
use std::sync::atomic::{AtomicU64, Ordering};

/// A slot that ends a probe sequence. No head is `u32::MAX`.
const EMPTY: u64 = u64::MAX;
/// A slot whose head has gone; a probe goes on. No head is `u32::MAX - 1`.
const TOMB: u64 = u64::MAX - 1;
/// Slots of a new table.
const SMALLEST: usize = LINE;
/// Slots (4 KiB) from which a segment is split instead of doubled.
const SEGMENT: usize = 512;
/// Directory bits at most; a segment beyond that grows.
const MAX_BITS: u32 = 16;

impl Line {
    /// Which slots have this hash (a tomb may be among them), and which are `EMPTY`, one bit each.
    #[inline(always)]
    fn look<const WIDE: bool>(&self, h: u32) -> (u32, u32) {
        #[cfg(target_arch = "x86_64")]
        if WIDE {
            // SAFETY: the processor has AVX-512F, as the caller knows.
            return unsafe { self.look_avx512(h) };
        }
        self.look_any(h)
    }

    fn look_any(&self, h: u32) -> (u32, u32) {
        let (mut met, mut empty) = (0, 0);
        for (i, slot) in self.0.iter().enumerate() {
            let word = slot.load(Ordering::Acquire);
            met |= u32::from((word >> 32) as u32 == h) << i;
            empty |= u32::from(word == EMPTY) << i;
        }
        (met & !empty, empty)
    }

    /// What stands under this hash if a look at this line alone tells: `NIL`, nothing; `None`: it doesn't tell.
    #[inline(always)]
    pub(super) fn single<const WIDE: bool>(&self, h: u32) -> Option<u32> {
        let (met, empty) = self.look::<WIDE>(h);
        // Any slot's if there is none: so both cases go the same way.
        let word = self.0[met.trailing_zeros() as usize % LINE].load(Ordering::Acquire);
        let held = (word >> 32) as u32 == h && word < TOMB;
        let told = if met == 0 { empty != 0 } else { held && met & (met - 1) == 0 };
        told.then_some(if met == 0 { NIL } else { word as u32 })
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn look_avx512(&self, h: u32) -> (u32, u32) {
        use std::arch::x86_64::{__m512i, _mm512_cmpeq_epi64_mask, _mm512_set1_epi64, _mm512_srli_epi64};
        let line: *const Self = self;
        let words: __m512i;
        // SAFETY: reads 64 bytes of a live, 64-byte aligned line. In assembly because the writer may store to it
        // meanwhile: each word is then the old or the new one, and what is taken is loaded again.
        unsafe {
            std::arch::asm!("vmovdqa64 {}, [{}]", lateout(zmm_reg) words, in(reg) line,
                options(nostack, preserves_flags, readonly));
        }
        let met = _mm512_cmpeq_epi64_mask(_mm512_srli_epi64::<32>(words), _mm512_set1_epi64(i64::from(h)));
        let empty = _mm512_cmpeq_epi64_mask(words, _mm512_set1_epi64(EMPTY.cast_signed()));
        (u32::from(met & !empty), u32::from(empty))
    }
}

/// Where a segment lies: its first line, how many leading bits of the hash all its slots share, and its lines' number
/// as a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell(u64);

/// In the root: it is where the directory lies, and how many bits that is for, not a segment's place.
const DIRECTORY: u64 = 1 << 63;

impl Cell {
    const fn new(at: u32, depth: u32, lines: usize) -> Self {
        Self(at as u64 | (depth as u64) << 32 | (lines.trailing_zeros() as u64) << 40)
    }

    const fn at(self) -> u32 {
        self.0 as u32
    }

    const fn depth(self) -> u32 {
        (self.0 >> 32) as u32 & 0xff
    }

    const fn lines(self) -> usize {
        1 << (self.0 >> 40 & 0x1f)
    }

    const fn size(self) -> usize {
        self.lines() * LINE
    }
}

/// Readers' side.
pub(super) struct Index {
    root: AtomicU64,
}

const fn word(h: u32, head: u32) -> u64 {
    ((h as u64) << 32) | head as u64
}

/// The slot with this hash: looks at all of the segment at most, and no further than the first line that has an
/// `EMPTY` slot.
#[inline(always)]
fn find<const WIDE: bool>(segment: &[Line], h: u32) -> Option<(&AtomicU64, u32)> {
    for at in (h as usize..).take(segment.len()) {
        let line = &segment[at & (segment.len() - 1)];
        let (mut met, empty) = line.look::<WIDE>(h);
        while met != 0 {
            let slot = &line.0[met.trailing_zeros() as usize];
            let word = slot.load(Ordering::Acquire);
            if (word >> 32) as u32 == h && word != TOMB && word != EMPTY {
                return Some((slot, word as u32));
            }
            met &= met - 1;
        }
        if empty != 0 {
            return None;
        }
    }
    None
}

/// Puts a slot whose hash isn't there into the first free place; whether that was `EMPTY`.
fn put(segment: &[Line], word: u64) -> bool {
    for at in ((word >> 32) as usize..).take(segment.len()) {
        for slot in &segment[at & (segment.len() - 1)].0 {
            let old = slot.load(Ordering::Relaxed);
            if old == EMPTY || old == TOMB {
                slot.store(word, Ordering::Release);
                return old == EMPTY;
            }
        }
    }
    false
}

fn live(segment: &[Line]) -> impl Iterator<Item = u64> {
    segment.iter().flat_map(|l| &l.0).map(|s| s.load(Ordering::Relaxed)).filter(|w| *w != EMPTY && *w != TOMB)
}

impl Index {
    #[inline]
    fn cell(&self, arena: &Arena, h: u32) -> Cell {
        let root = self.root.load(Ordering::Acquire);
        if root & DIRECTORY == 0 {
            return Cell(root);
        }
        let at = h >> (32 - (root >> 32 & 0x1f)).min(31);
        Cell(arena.words(root as u32).get(at as usize).map_or(0, |c| c.load(Ordering::Acquire)))
    }

    #[inline]
    fn segment<'g>(&self, arena: &'g Arena, h: u32) -> &'g [Line] {
        let cell = self.cell(arena, h);
        arena.run(cell.at(), cell.lines())
    }

    /// Asks for the line in which a hash is looked for first.
    #[inline]
    pub(super) fn prefetch(&self, arena: &Arena, h: u32) {
        let segment = self.segment(arena, h);
        if let Some(line) = segment.get(h as usize & segment.len().wrapping_sub(1)) {
            super::prefetch(line);
        }
    }

    /// What stands under this hash.
    #[inline(always)]
    pub(super) fn head<const WIDE: bool>(&self, arena: &Arena, h: u32) -> Option<u32> {
        find::<WIDE>(self.segment(arena, h), h).map(|(_, head)| head)
    }
}

/// An index's segments as they are for a burst: a segment that is replaced meanwhile remains as it was.
#[derive(Clone, Copy)]
pub(super) struct Slots<'g> {
    arena: &'g Arena,
    /// The only segment's place, unless there is a directory.
    only: Cell,
    directory: &'g [AtomicU64],
    /// How far to shift a hash for its place there.
    shift: u32,
}

impl Index {
    #[inline(always)]
    pub(super) fn slots<'g>(&self, arena: &'g Arena) -> Slots<'g> {
        let root = self.root.load(Ordering::Acquire);
        if root & DIRECTORY == 0 {
            return Slots { arena, only: Cell(root), directory: &[], shift: 0 };
        }
        let bits = root >> 32 & 0x1f;
        let directory = arena.words(root as u32).get(..1 << bits).unwrap_or(&[]);
        Slots { arena, only: Cell(0), directory, shift: (32 - bits as u32).min(31) }
    }
}

impl<'g> Slots<'g> {
    #[inline(always)]
    fn cell(&self, h: u32) -> Cell {
        self.directory.get((h >> self.shift) as usize).map_or(self.only, |c| Cell(c.load(Ordering::Acquire)))
    }

    /// The line in which a hash is looked for first.
    #[inline(always)]
    pub(super) fn line(&self, h: u32) -> Option<&'g Line> {
        let cell = self.cell(h);
        self.arena.line(cell.at() + (h & (cell.lines() as u32 - 1)))
    }

    /// What stands under a hash, or `NIL`.
    #[cold]
    #[inline(never)]
    pub(super) fn head(&self, h: u32) -> u32 {
        let cell = self.cell(h);
        find::<false>(self.arena.run(cell.at(), cell.lines()), h).map_or(NIL, |(_, head)| head)
    }
}

/// What the writer knows of a segment.
#[derive(Clone, Copy, Default)]
struct Note {
    /// Slots that aren't `EMPTY`.
    taken: u32,
    /// Slots with a head.
    live: u32,
}

/// The writer's side of an index.
pub(super) struct IndexBook {
    bits: u32,
    /// By the first place that a segment has in the directory.
    notes: Vec<Note>,
    /// Places of the directory whose segment is for them alone.
    single: usize,
}

/// The memory that an index lies in, and who changes it.
pub(super) struct Ground<'a> {
    pub(super) arena: &'a Arena,
    pub(super) book: &'a mut ArenaBook,
    pub(super) writer: &'a Writer,
}

impl Ground<'_> {
    /// A segment that holds these slots.
    fn segment(&mut self, depth: u32, size: usize, words: impl Iterator<Item = u64>) -> Option<(Cell, Note)> {
        let lines = (size / LINE).max(1);
        let at = self.book.place(self.arena, lines, self.writer)?;
        let segment = self.arena.run(at, lines);
        segment.iter().flat_map(|l| &l.0).for_each(|s| s.store(EMPTY, Ordering::Relaxed));
        let mut n = 0;
        for w in words {
            n += u32::from(put(segment, w));
        }
        Some((Cell::new(at, depth, lines), Note { taken: n, live: n }))
    }

    fn free(&mut self, cell: Cell) {
        self.book.free(cell.at(), cell.lines(), self.writer);
    }
}

impl IndexBook {
    /// An index that holds nothing; `None` if there is no memory for it.
    pub(super) fn new(ground: &mut Ground<'_>) -> Option<(Index, Self)> {
        let (cell, note) = ground.segment(0, SMALLEST, std::iter::empty())?;
        Some((Index { root: AtomicU64::new(cell.0) }, Self { bits: 0, notes: vec![note], single: 1 }))
    }

    /// Puts `head` under a hash, in place of what was there, which is the result; an error if there is no room.
    pub(super) fn set(&mut self, index: &Index, h: u32, head: u32, ground: &mut Ground<'_>) -> Result<Option<u32>, ()> {
        if let Some((slot, old)) = find::<false>(index.segment(ground.arena, h), h) {
            slot.store(word(h, head), Ordering::Release);
            return Ok(Some(old));
        }
        self.make_room(index, h, ground).ok_or(())?;
        let cell = index.cell(ground.arena, h);
        let fresh = put(ground.arena.run(cell.at(), cell.lines()), word(h, head));
        let note = &mut self.notes[first(self.bits, h, cell)];
        note.taken += u32::from(fresh);
        note.live += 1;
        Ok(None)
    }

    /// Nothing stands under this hash any more.
    pub(super) fn strike(&mut self, index: &Index, h: u32, ground: &mut Ground<'_>) {
        let cell = index.cell(ground.arena, h);
        let Some((slot, _)) = find::<false>(ground.arena.run(cell.at(), cell.lines()), h) else { return };
        slot.store(TOMB, Ordering::Release);
        let note = &mut self.notes[first(self.bits, h, cell)];
        note.live -= 1;
        if note.live as usize * 8 <= cell.size() && cell.size() > SMALLEST {
            // Without memory for less there remains more.
            let _ = self.shrink(index, h, cell, ground);
        }
    }

    /// All hashes under which anything stands.
    pub(super) fn each_hash(&self, index: &Index, arena: &Arena, mut f: impl FnMut(u32)) {
        let mut at = 0u32;
        while (at as usize) < self.notes.len() {
            let cell = index.cell(arena, if self.bits == 0 { 0 } else { at << (32 - self.bits) });
            at += 1 << (self.bits - cell.depth());
            live(arena.run(cell.at(), cell.lines())).for_each(|w| f((w >> 32) as u32));
        }
    }

    /// Gives all memory back.
    pub(super) fn close(&mut self, index: &Index, ground: &mut Ground<'_>) {
        let root = index.root.load(Ordering::Relaxed);
        let mut at = 0u32;
        while (at as usize) < self.notes.len() {
            let cell = index.cell(ground.arena, if self.bits == 0 { 0 } else { at << (32 - self.bits) });
            at += 1 << (self.bits - cell.depth());
            ground.free(cell);
        }
        if root & DIRECTORY != 0 {
            ground.book.free(root as u32, (1usize << self.bits).div_ceil(LINE), ground.writer);
        }
    }

    /// Sees to it that the segment of `h` has a free slot and short probe sequences.
    fn make_room(&mut self, index: &Index, h: u32, ground: &mut Ground<'_>) -> Option<()> {
        loop {
            let cell = index.cell(ground.arena, h);
            let (size, depth) = (cell.size(), cell.depth());
            let note = self.notes[first(self.bits, h, cell)];
            if (note.taken as usize + 1) * 4 <= size * 3 {
                return Some(());
            }
            let old = ground.arena.run(cell.at(), cell.lines());
            if (note.live as usize) * 2 < size {
                // Mostly tombs: the same again without them.
                let new = ground.segment(depth, size, live(old))?;
                self.swap(index, h, cell, &[new], ground);
            } else if size < SEGMENT || depth >= MAX_BITS {
                let new = ground.segment(depth, size * 2, live(old))?;
                self.swap(index, h, cell, &[new], ground);
            } else if depth < self.bits {
                let half = |b: u64| live(old).filter(move |w| (w >> 32 >> (31 - depth)) & 1 == b);
                let new = [ground.segment(depth + 1, size, half(0))?, ground.segment(depth + 1, size, half(1))?];
                self.swap(index, h, cell, &new, ground);
            } else {
                self.resize(index, self.bits + 1, ground)?;
            }
        }
    }

    /// A segment holds little: it becomes smaller, or one with its neighbour.
    fn shrink(&mut self, index: &Index, h: u32, cell: Cell, ground: &mut Ground<'_>) -> Option<()> {
        let old = ground.arena.run(cell.at(), cell.lines());
        if cell.depth() == 0 || cell.size() > SEGMENT {
            let new = ground.segment(cell.depth(), (cell.size() / 4).max(SMALLEST), live(old))?;
            self.swap(index, h, cell, &[new], ground);
            return Some(());
        }
        let bit = 32 - cell.depth();
        let other = index.cell(ground.arena, h ^ 1 << bit);
        let note = |h: u32, c: Cell| self.notes[first(self.bits, h, c)];
        let together = note(h, cell).live + note(h ^ 1 << bit, other).live;
        if other.depth() != cell.depth() || other.size() != cell.size() || together as usize * 4 > cell.size() {
            return None;
        }
        let both = live(old).chain(live(ground.arena.run(other.at(), other.lines())));
        let new = ground.segment(cell.depth() - 1, cell.size(), both)?;
        if cell.depth() == self.bits {
            self.single -= 2;
        }
        self.store(index, h, new, ground);
        ground.free(cell);
        ground.free(other);
        while self.bits > 0 && self.single == 0 {
            self.resize(index, self.bits - 1, ground)?;
        }
        Some(())
    }

    /// Puts `new` (one segment, or two that share the old one's places) where `old` was, which has `h`.
    fn swap(&mut self, index: &Index, h: u32, old: Cell, new: &[(Cell, Note)], ground: &mut Ground<'_>) {
        for (half, segment) in (0u32..).zip(new) {
            let depth = segment.0.depth();
            let h = if new.len() == 1 { h } else { h & !(1 << (32 - depth)) | half << (32 - depth) };
            if new.len() > 1 && depth == self.bits {
                self.single += 1;
            }
            self.store(index, h, *segment, ground);
        }
        ground.free(old);
    }

    /// Stores a segment's place wherever its hashes are looked for.
    fn store(&mut self, index: &Index, h: u32, (cell, note): (Cell, Note), ground: &Ground<'_>) {
        let first = first(self.bits, h, cell);
        self.notes[first] = note;
        let root = index.root.load(Ordering::Relaxed);
        if root & DIRECTORY == 0 {
            index.root.store(cell.0, Ordering::Release);
        } else {
            let places = &ground.arena.words(root as u32)[first..first + (1 << (self.bits - cell.depth()))];
            places.iter().for_each(|c| c.store(cell.0, Ordering::Release));
        }
    }

    /// Makes the directory one for so many bits; no segment shares more.
    fn resize(&mut self, index: &Index, bits: u32, ground: &mut Ground<'_>) -> Option<()> {
        let old = index.root.load(Ordering::Relaxed);
        let cell = |i: usize| {
            if self.bits == 0 { Cell(old) } else { Cell(ground.arena.words(old as u32)[i].load(Ordering::Relaxed)) }
        };
        let from = |i: usize| if bits > self.bits { i >> (bits - self.bits) } else { i << (self.bits - bits) };
        let cells: Vec<Cell> = (0..1 << bits).map(|i| cell(from(i))).collect();
        let mut notes = vec![Note::default(); cells.len()];
        for (i, n) in notes.iter_mut().enumerate() {
            // Those that aren't first mean nothing.
            *n = self.notes[from(i)];
        }
        let root = if bits == 0 {
            cells[0].0
        } else {
            let at = ground.book.place(ground.arena, cells.len().div_ceil(LINE), ground.writer)?;
            ground.arena.words(at).iter().zip(&cells).for_each(|(p, c)| p.store(c.0, Ordering::Relaxed));
            DIRECTORY | u64::from(bits) << 32 | u64::from(at)
        };
        index.root.store(root, Ordering::Release);
        if self.bits > 0 {
            ground.book.free(old as u32, (1usize << self.bits).div_ceil(LINE), ground.writer);
        }
        self.bits = bits;
        self.notes = notes;
        self.single = cells.iter().filter(|c| c.depth() == bits).count();
        Some(())
    }
}

/// The first place in a directory for `bits` bits that leads to the segment of `h`.
fn first(bits: u32, h: u32, cell: Cell) -> usize {
    if bits == 0 {
        return 0;
    }
    let place = (h >> (32 - bits)) as usize;
    place & !((1 << (bits - cell.depth())) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_way_to_look_finds_the_same() {
        let mut x = 9u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x >> 33
        };
        for _ in 0..2000 {
            let h = if random() % 8 == 0 { u32::MAX } else { random() as u32 % 4 };
            let line = Line(std::array::from_fn(|_| {
                AtomicU64::new(match random() % 4 {
                    0 => EMPTY,
                    1 => TOMB,
                    _ => word(random() as u32 % 4, random() as u32 % 5),
                })
            }));
            let want = line.look_any(h);
            assert_eq!(line.look::<false>(h), want);
            if super::super::rows::is_wide() {
                assert_eq!(line.look::<true>(h), want);
            }
        }
    }

    /// Against a map, through splits, merges and every directory's size.
    #[test]
    fn an_index_is_a_map() {
        let mut writer = crate::control::Control::new(crate::control::ControlConfig::default()).into_writer();
        let arena = Arena::new();
        let mut book = ArenaBook::default();
        let (index, mut notes) =
            IndexBook::new(&mut Ground { arena: &arena, book: &mut book, writer: &writer }).unwrap();
        let mut map = BTreeMap::new();
        let mut x = 5u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x >> 33
        };
        let mut most = 0;
        for round in 0..8u64 {
            let grow = round % 2 == 0;
            let mut ground = Ground { arena: &arena, book: &mut book, writer: &writer };
            for i in 0..6000 {
                // Hashes that share leading bits, too.
                let h = (random() as u32) << 2 >> (random() % 3);
                if grow {
                    let old = notes.set(&index, h, i, &mut ground).unwrap();
                    assert_eq!(old, map.insert(h, i));
                } else if let Some((h, _)) = map.range(h..).next().map(|(h, i)| (*h, *i)) {
                    notes.strike(&index, h, &mut ground);
                    map.remove(&h);
                    assert_eq!(index.head::<false>(&arena, h), None);
                }
                if i % 100 == 0 {
                    ground.book.settle(&arena, 1000, &writer);
                }
            }
            most = most.max(notes.bits);
            for (h, i) in &map {
                assert_eq!(index.head::<false>(&arena, *h), Some(*i));
            }
            let mut hashes = Vec::new();
            notes.each_hash(&index, &arena, |h| hashes.push(h));
            hashes.sort_unstable();
            assert!(hashes.iter().eq(map.keys()));
            for _ in 0..1000 {
                let h = random() as u32;
                assert_eq!(index.head::<false>(&arena, h), map.get(&h).copied());
            }
            writer.publish(None);
        }
        assert!(most >= 4, "{most}");
        let mut ground = Ground { arena: &arena, book: &mut book, writer: &writer };
        for h in std::mem::take(&mut map).into_keys() {
            notes.strike(&index, h, &mut ground);
        }
        assert_eq!((notes.bits, notes.notes[0].live), (0, 0));
    }
}
