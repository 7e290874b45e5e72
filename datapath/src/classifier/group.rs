//! The rules of one bucket side by side: value, mask, rank and entry, compared with a key all at once.
//!
//! Groups lie in an [`Arena`] in whole cache lines: one word that says how many rules and key words there are, a
//! word per rule (entry and rank), then per key word all masks, and per key word all values. Rules stand best first.
//! A group's rules never change: another rule makes another group. Only the entry of a rule is replaced in place, by
//! the entry that continues it or by none. What a group lay in is used again when no reader can be looking at it.
//!
//! Thread-safety: one writer ([`ArenaBook`]), any number of readers.

use crate::key::{FlowKey, WORDS};
use crate::publish::{Chunks, Guard, Writer};
use crate::table::{FlowRef, NIL, Slab};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most rules of a group.
pub(super) const MOST: usize = 16;
/// Most key words that the rules of a tuple look at.
pub(super) const MOST_WORDS: usize = 8;
/// Words of a cache line.
const LINE: usize = 8;
/// Lines of a chunk.
const CHUNK: u32 = 256;

#[derive(Default)]
#[repr(C, align(64))]
struct Line([AtomicU64; LINE]);

struct Chunk(Box<[Line]>);

impl Chunk {
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: a `Line` is eight words and nothing else; the same memory for the same time.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }
}

/// Where groups lie.
pub(super) struct Arena {
    chunks: Chunks<Chunk>,
}

/// A group as readers see it.
#[derive(Clone, Copy)]
pub(super) struct Group<'g> {
    /// Per rule: rank above, entry below.
    lanes: &'g [AtomicU64],
    masks: &'g [AtomicU64],
    values: &'g [AtomicU64],
}

impl Arena {
    pub(super) fn new() -> Self {
        Self { chunks: Chunks::new() }
    }

    /// The group at a line.
    #[inline]
    pub(super) fn group<'g>(&self, at: u32, guard: Guard<'g>) -> Option<Group<'g>> {
        let words = self.chunks.get((at / CHUNK) as usize, guard)?.words().get((at % CHUNK) as usize * LINE..)?;
        let (head, rest) = words.split_first()?;
        let head = head.load(Ordering::Acquire);
        let (n, w) = ((head & 0xff) as usize, (head >> 8 & 0xff) as usize);
        let (lanes, rest) = rest.split_at_checked(n)?;
        let (masks, rest) = rest.split_at_checked(n * w)?;
        let values = rest.get(..n * w)?;
        Some(Group { lanes, masks, values })
    }

    /// Asks for a group's first lines.
    #[inline]
    pub(super) fn prefetch(&self, at: u32, guard: Guard<'_>) {
        if let Some(chunk) = self.chunks.get((at / CHUNK) as usize, guard) {
            let at = (at % CHUNK) as usize;
            for line in chunk.0.iter().skip(at).take(2) {
                super::prefetch(line);
            }
        }
    }
}

impl<'g> Group<'g> {
    /// Rule number `i`: its rank and its entry (`NIL` if it has gone).
    #[inline]
    pub(super) fn rule(&self, i: usize) -> Option<(u32, u32)> {
        let word = self.lanes.get(i)?.load(Ordering::Acquire);
        Some(((word >> 32) as u32, word as u32))
    }

    /// Every rule's entry.
    pub(super) fn entries(self) -> impl Iterator<Item = u32> + use<'g> {
        self.lanes.iter().map(|l| l.load(Ordering::Relaxed) as u32).filter(|i| *i != NIL)
    }

    /// Which rules match the key, one bit each. `words` are the tuple's.
    #[inline]
    pub(super) fn equal(&self, key: &FlowKey, words: &[u8]) -> u32 {
        if self.lanes.len() == 1 {
            let rules = words.iter().zip(self.masks).zip(self.values);
            return u32::from(
                rules.fold(0, |d, ((w, m), v)| {
                    d | (key.0[usize::from(*w).min(WORDS - 1)] & m.load(Ordering::Relaxed)) ^ v.load(Ordering::Relaxed)
                }) == 0,
            );
        }
        #[cfg(target_arch = "x86_64")]
        {
            if std::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has AVX-512F.
                return unsafe { self.equal_avx512(key, words) };
            }
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has AVX2.
                return unsafe { self.equal_avx2(key, words) };
            }
        }
        self.equal_any(key, words)
    }

    /// Eight rules at a time in registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn equal_avx512(&self, key: &FlowKey, words: &[u8]) -> u32 {
        use std::arch::x86_64::{
            _mm512_and_si512, _mm512_mask_testn_epi64_mask, _mm512_maskz_loadu_epi64, _mm512_or_si512,
            _mm512_set1_epi64, _mm512_setzero_si512, _mm512_xor_si512,
        };
        let n = self.lanes.len();
        let mut equal = 0;
        for first in (0..n).step_by(8) {
            let lanes = if n - first >= 8 { 0xff } else { (1u8 << (n - first)) - 1 };
            let mut differ = _mm512_setzero_si512();
            let rows = self.masks.chunks_exact(n).zip(self.values.chunks_exact(n));
            for (w, (masks, values)) in words.iter().zip(rows) {
                let word = _mm512_set1_epi64(key.0[usize::from(*w).min(WORDS - 1)].cast_signed());
                // SAFETY: only the lanes below `n - first` are read, `first` is below `n`, and both rows have `n`
                // words. Nobody writes there while a guard is held (`ArenaBook` waits for readers).
                let (m, v) = unsafe {
                    (
                        _mm512_maskz_loadu_epi64(lanes, masks.as_ptr().add(first).cast()),
                        _mm512_maskz_loadu_epi64(lanes, values.as_ptr().add(first).cast()),
                    )
                };
                differ = _mm512_or_si512(differ, _mm512_xor_si512(_mm512_and_si512(word, m), v));
            }
            equal |= u32::from(_mm512_mask_testn_epi64_mask(lanes, differ, differ)) << first;
        }
        equal
    }

    /// Four rules at a time; the rest one by one.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn equal_avx2(&self, key: &FlowKey, words: &[u8]) -> u32 {
        use std::arch::x86_64::{
            _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd,
            _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_xor_si256,
        };
        let n = self.lanes.len();
        let mut equal = 0;
        for first in (0..n / 4 * 4).step_by(4) {
            let mut differ = _mm256_setzero_si256();
            let rows = self.masks.chunks_exact(n).zip(self.values.chunks_exact(n));
            for (w, (masks, values)) in words.iter().zip(rows) {
                let word = _mm256_set1_epi64x(key.0[usize::from(*w).min(WORDS - 1)].cast_signed());
                // SAFETY: four words from `first` on, `first + 4` is at most `n`, and both rows have `n` words.
                // Nobody writes there while a guard is held (`ArenaBook` waits for readers).
                let (m, v) = unsafe {
                    (
                        _mm256_loadu_si256(masks.as_ptr().add(first).cast()),
                        _mm256_loadu_si256(values.as_ptr().add(first).cast()),
                    )
                };
                differ = _mm256_or_si256(differ, _mm256_xor_si256(_mm256_and_si256(word, m), v));
            }
            let same = _mm256_cmpeq_epi64(differ, _mm256_setzero_si256());
            equal |= (_mm256_movemask_pd(_mm256_castsi256_pd(same)) as u32) << first;
        }
        equal | self.equal_from(n / 4 * 4, key, words)
    }

    fn equal_any(&self, key: &FlowKey, words: &[u8]) -> u32 {
        self.equal_from(0, key, words)
    }

    /// Rules from `first` on, one after the other.
    #[inline(always)]
    fn equal_from(&self, first: usize, key: &FlowKey, words: &[u8]) -> u32 {
        let n = self.lanes.len();
        let mut differ = [0u64; MOST];
        for (w, (masks, values)) in
            words.iter().zip(self.masks.chunks_exact(n.max(1)).zip(self.values.chunks_exact(n.max(1))))
        {
            let word = key.0[usize::from(*w).min(WORDS - 1)];
            for (d, (m, v)) in differ.iter_mut().zip(masks.iter().zip(values)).skip(first) {
                *d |= (word & m.load(Ordering::Relaxed)) ^ v.load(Ordering::Relaxed);
            }
        }
        differ.iter().take(n).enumerate().skip(first).fold(0, |e, (i, d)| e | u32::from(*d == 0) << i)
    }
}

/// The writer's side of an arena.
#[derive(Default)]
pub(super) struct ArenaBook {
    /// Free places by their number of lines.
    free: Vec<Vec<u32>>,
    /// Places that readers may still look at, with the version after which none does.
    waiting: VecDeque<(u64, u32, u8)>,
    /// The first line never used.
    top: u32,
    /// What all readers were known to have adopted.
    passed: u64,
    /// Lines in use, and those that are not free.
    pub(super) lines: usize,
}

fn lines_of(rules: usize, words: usize) -> usize {
    (1 + rules * (1 + 2 * words)).div_ceil(LINE)
}

impl ArenaBook {
    /// A group of these entries, best first; `None` if there can't be more.
    pub(super) fn make(
        &mut self,
        arena: &Arena,
        slab: &Slab,
        entries: &[u32],
        words: &[u8],
        writer: &mut Writer,
    ) -> Option<u32> {
        let n = entries.len().min(MOST);
        let w = words.len();
        let at = self.place(arena, lines_of(n, w), writer)?;
        let guard = writer.guard();
        let chunk = arena.chunks.get((at / CHUNK) as usize, guard)?;
        let place = chunk.words().get((at % CHUNK) as usize * LINE..)?;
        for (i, index) in entries.iter().take(n).enumerate() {
            let body = FlowRef::of_writer(slab, *index, guard)?.body();
            place[1 + i].store(u64::from(body.rank()) << 32 | u64::from(*index), Ordering::Relaxed);
            for (j, word) in words.iter().enumerate() {
                let at = body.shape.mask.words().iter().position(|(x, _)| x == word);
                let (m, v) = at.map_or((0, 0), |k| (body.shape.mask.words()[k].1, body.values.words()[k]));
                place[1 + n + j * n + i].store(m, Ordering::Relaxed);
                place[1 + n + n * w + j * n + i].store(v, Ordering::Relaxed);
            }
        }
        place[0].store((n | w << 8) as u64, Ordering::Release);
        Some(at)
    }

    /// Puts another entry (or none, `NIL`) in the place of a rule's.
    pub(super) fn renew(&self, arena: &Arena, at: u32, lane: usize, entry: u32, writer: &Writer) {
        if let Some(lane) = arena.group(at, writer.guard()).and_then(|g| g.lanes.get(lane)) {
            let rank = lane.load(Ordering::Relaxed) >> 32;
            lane.store(rank << 32 | u64::from(entry), Ordering::Release);
        }
    }

    /// Gives a group's place back once nobody can be looking at it.
    pub(super) fn free(&mut self, arena: &Arena, at: u32, writer: &Writer) {
        let Some(g) = arena.group(at, writer.guard()) else { return };
        let n = g.lanes.len();
        let lines = lines_of(n, g.masks.len().checked_div(n).unwrap_or(0));
        self.lines -= lines;
        self.waiting.push_back((writer.next(), at, lines as u8));
    }

    fn place(&mut self, arena: &Arena, lines: usize, writer: &mut Writer) -> Option<u32> {
        if self.free.len() <= lines {
            self.free.resize_with(lines + 1, Vec::new);
        }
        if self.free[lines].is_empty() && self.waiting.len() > 64 {
            if self.waiting.front().is_some_and(|w| w.0 > self.passed) {
                self.passed = writer.oldest_seen();
            }
            for _ in 0..128 {
                match self.waiting.front() {
                    Some((tag, at, n)) if *tag <= self.passed => {
                        let (at, n) = (*at, usize::from(*n));
                        if self.free.len() <= n {
                            self.free.resize_with(n + 1, Vec::new);
                        }
                        self.free[n].push(at);
                        self.waiting.pop_front();
                    }
                    _ => break,
                }
            }
        }
        self.lines += lines;
        if let Some(at) = self.free[lines].pop() {
            return Some(at);
        }
        let left = (CHUNK - self.top % CHUNK) as usize;
        if left < lines {
            self.free.resize_with(self.free.len().max(left + 1), Vec::new);
            self.free[left].push(self.top);
            self.top += left as u32;
        }
        if self.top >= 1 << 30 {
            return None;
        }
        if self.top.is_multiple_of(CHUNK) {
            let chunk = Chunk((0..CHUNK).map(|_| Line::default()).collect());
            arena.chunks.set((self.top / CHUNK) as usize, Some(Arc::new(chunk)), writer);
        }
        let at = self.top;
        self.top += lines as u32;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_compare_finds_the_same() {
        let mut x = 7u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x ^ x >> 29
        };
        for n in 1..=MOST {
            for w in 0..6usize {
                let key = FlowKey(std::array::from_fn(|_| random()));
                let words: Vec<u8> = (0..w as u8).map(|i| 3 * i).collect();
                let lanes: Vec<AtomicU64> = (0..n).map(|i| AtomicU64::new(i as u64)).collect();
                let mut masks = Vec::new();
                let mut values = Vec::new();
                for word in &words {
                    for _ in 0..n {
                        let m = random() & random();
                        let off = if random() % 6 == 0 { random() } else { 0 };
                        masks.push(AtomicU64::new(m));
                        values.push(AtomicU64::new((key.0[usize::from(*word)] ^ off) & m));
                    }
                }
                let g = Group { lanes: &lanes, masks: &masks, values: &values };
                let same = |i: usize| {
                    words.iter().enumerate().all(|(j, word)| {
                        key.0[usize::from(*word)] & masks[j * n + i].load(Ordering::Relaxed)
                            == values[j * n + i].load(Ordering::Relaxed)
                    })
                };
                let want = (0..n).filter(|i| same(*i)).fold(0u32, |e, i| e | 1 << i);
                assert_eq!(g.equal(&key, &words), want);
                assert_eq!(g.equal_any(&key, &words), want);
                #[cfg(target_arch = "x86_64")]
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    assert_eq!(unsafe { g.equal_avx2(&key, &words) }, want);
                }
            }
        }
    }
}
