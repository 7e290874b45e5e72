//! The rules of one bucket side by side: value, mask, rank and entry, compared with a key all at once.
//!
//! Groups lie in an [`Arena`]: one word that says how many rules and key words there are, a word per rule (entry and
//! rank), then per key word all masks, and per key word all values. Rules stand best first. A group's rules never
//! change: another rule makes another group. Only the entry of a rule is replaced in place, by the entry that
//! continues it or by none.
//!
//! Thread-safety: one writer, any number of readers.

use super::arena::{Arena, LINE};
use super::index::Ground;
use super::rows::Rows;
use super::walk::Candidate;
use crate::key::FlowKey;
use crate::publish::Guard;
use crate::table::{FlowRef, NIL, Slab};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most rules of a group.
pub(super) const MOST: usize = 16;
/// Most key words that the rules of a tuple look at.
pub(super) const MOST_WORDS: usize = 8;

/// A group as readers see it.
#[derive(Clone, Copy)]
pub(super) struct Group<'g> {
    /// Per rule: rank above, entry below.
    lanes: &'g [AtomicU64],
    masks: &'g [AtomicU64],
    values: &'g [AtomicU64],
}

impl<'g> Group<'g> {
    /// The group at a line.
    #[inline]
    pub(super) fn at(arena: &'g Arena, at: u32, guard: Guard<'g>) -> Option<Self> {
        Self::in_words(arena.words(at), guard)
    }

    /// The group at the beginning of some words.
    #[inline(always)]
    pub(super) fn in_words(words: &'g [AtomicU64], _guard: Guard<'g>) -> Option<Self> {
        let head = words.first()?.load(Ordering::Acquire);
        let (n, w) = ((head & 0xff) as usize, (head >> 8 & 0xff) as usize);
        let rules = words.get(1..1 + n * (1 + 2 * w))?;
        let (lanes, rest) = rules.split_at(n);
        let (masks, values) = rest.split_at(n * w);
        Some(Self { lanes, masks, values })
    }

    /// The best rule that matches the key and hasn't gone.
    #[inline(always)]
    pub(super) fn candidate<const WIDE: bool>(&self, key: &FlowKey, words: &[u8]) -> Candidate {
        let mut equal = self.equal::<WIDE>(key, words);
        // Any rule's if none matches, so that both cases go the same way.
        let mut lane = (equal.trailing_zeros() as usize).min(self.lanes.len().saturating_sub(1));
        loop {
            let Some((rank, entry)) = self.rule(lane) else { return Candidate::NONE };
            if entry != NIL {
                return if equal != 0 { Candidate::new(rank, entry) } else { Candidate::NONE };
            }
            equal &= equal.wrapping_sub(1);
            if equal == 0 {
                return Candidate::NONE;
            }
            lane = equal.trailing_zeros() as usize;
        }
    }

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
    #[inline(always)]
    pub(super) fn equal<const WIDE: bool>(&self, key: &FlowKey, words: &[u8]) -> u64 {
        let n = self.lanes.len();
        // `ArenaBook` gives the place to nobody else while a guard is held.
        Rows { n, stride: n, words, masks: self.masks, values: self.values }.equal::<WIDE>(key)
    }

    /// Puts another entry (or none, `NIL`) in the place of a rule's.
    pub(super) fn renew(&self, lane: usize, entry: u32) {
        if let Some(lane) = self.lanes.get(lane) {
            let rank = lane.load(Ordering::Relaxed) >> 32;
            lane.store(rank << 32 | u64::from(entry), Ordering::Release);
        }
    }
}

fn lines_of(rules: usize, words: usize) -> usize {
    (1 + rules * (1 + 2 * words)).div_ceil(LINE)
}

impl Ground<'_> {
    /// A group of these entries, best first; `None` if there can't be more.
    pub(super) fn make_group(&mut self, slab: &Slab, entries: &[u32], words: &[u8]) -> Option<u32> {
        let (n, w) = (entries.len().min(MOST), words.len());
        let at = self.book.place(self.arena, lines_of(n, w), self.writer)?;
        let guard = self.writer.guard();
        let place = self.arena.words(at);
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

    /// Gives a group's place back once nobody can be looking at it.
    pub(super) fn free_group(&mut self, at: u32) {
        let Some(g) = Group::at(self.arena, at, self.writer.guard()) else { return };
        let n = g.lanes.len();
        let lines = lines_of(n, g.masks.len().checked_div(n).unwrap_or(0));
        self.book.free(at, lines, self.writer);
    }
}
