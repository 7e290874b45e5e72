//! Current entries by a hash of match and rank: which one does a strict request mean, and which one does an add replace?
//!
//! A table of its own rather than a library's, because the memory of a place can be asked for before it is looked at
//! ([`Identities::prefetch`]): in a large table finding a place waits for memory longer than all else that a flow-mod does.
//! It grows by reading and writing from front to back, as the leading bits of a hash say where it stands.
//!
//! Lines of eight words; a word is a hash above a slot's number plus one. What doesn't fit its line stands in the next that
//! has room, so that a search ends at a line with an `EMPTY` word. One owner, no readers.

/// Words of a line: those of a line of the processor's cache.
const LINE: usize = 8;
/// Nothing was ever here.
const EMPTY: u64 = 0;
/// What was here is gone, and a search goes on.
const GONE: u64 = 1 << 32;

/// Slots by the hash of what they hold; several may have the same hash.
#[derive(Default)]
pub(super) struct Identities {
    /// Whole lines from `start` on, which is where the first line of the processor's cache begins.
    words: Vec<u64>,
    start: usize,
    /// Lines, as a power of two; of none there is no word either.
    bits: u32,
    live: usize,
    /// Words that aren't `EMPTY`.
    taken: usize,
}

const fn word(hash: u32, index: u32) -> u64 {
    (hash as u64) << 32 | (index.wrapping_add(1)) as u64
}

const fn is_live(word: u64) -> bool {
    word as u32 != 0
}

impl Identities {
    /// With room for so many at least.
    fn with_room(live: usize) -> Self {
        // Three quarters full at most.
        let lines = (live * 4 / 3 / LINE + 1).next_power_of_two();
        let words = crate::sys::zeroes((lines + 1) * LINE);
        let start = words.as_ptr().align_offset(LINE * size_of::<u64>()).min(LINE);
        Self { words, start, bits: lines.trailing_zeros(), live: 0, taken: 0 }
    }

    fn lines(&self) -> usize {
        if self.words.is_empty() { 0 } else { 1 << self.bits }
    }

    /// The line where a hash is looked for first.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        (u64::from(hash) << self.bits >> 32) as usize
    }

    #[inline]
    fn line(&self, at: usize) -> &[u64] {
        let from = self.start + at * LINE;
        self.words.get(from..from + LINE).unwrap_or_default()
    }

    /// Asks for the memory in which a hash is looked for first.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        crate::classifier::prefetch(self.line(self.first(hash)).as_ptr());
    }

    /// Where a word stands that has this hash, and whose slot is the one that is looked for.
    #[inline]
    fn position(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        let (lines, first) = (self.lines(), self.first(hash));
        for at in (first..).take(lines).map(|at| at & (lines - 1)) {
            let mut ends = false;
            for (i, word) in self.line(at).iter().enumerate() {
                if (word >> 32) as u32 == hash && is_live(*word) && is_it((*word as u32).wrapping_sub(1)) {
                    return Some(self.start + at * LINE + i);
                }
                ends |= *word == EMPTY;
            }
            if ends {
                return None;
            }
        }
        None
    }

    /// The slot with this hash that is the one looked for.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it).and_then(|at| Some((*self.words.get(at)? as u32).wrapping_sub(1)))
    }

    /// Enters a slot, which isn't there yet.
    pub(super) fn insert(&mut self, hash: u32, index: u32) {
        if (self.taken + 1) * 4 > self.lines() * LINE * 3 {
            // Twice as many, or the same without what is gone.
            self.rebuild((self.live + 1).max(self.live * 3 / 2));
        }
        self.put(word(hash, index));
    }

    /// Puts a word into the first free place of its hash; there is room.
    fn put(&mut self, new: u64) {
        let (lines, first) = (self.lines(), self.first((new >> 32) as u32));
        for at in (first..).take(lines).map(|at| at & (lines - 1)) {
            let from = self.start + at * LINE;
            let Some(line) = self.words.get_mut(from..from + LINE) else { return };
            if let Some(word) = line.iter_mut().find(|w| !is_live(**w)) {
                self.taken += usize::from(*word == EMPTY);
                self.live += 1;
                *word = new;
                return;
            }
        }
    }

    /// Strikes a slot; whether it was there.
    pub(super) fn remove(&mut self, hash: u32, index: u32) -> bool {
        let Some(at) = self.position(hash, |i| i == index) else { return false };
        let from = at - (at - self.start) % LINE;
        let Some(line) = self.words.get_mut(from..from + LINE) else { return false };
        // No search goes on behind a line that has an empty word.
        let ends = line.contains(&EMPTY);
        if let Some(word) = line.get_mut(at - from) {
            *word = if ends { EMPTY } else { GONE };
        }
        self.taken -= usize::from(ends);
        self.live -= 1;
        true
    }

    /// Puts another slot in the place of one with the same hash; whether that was there.
    pub(super) fn replace(&mut self, hash: u32, old: u32, new: u32) -> bool {
        let found = self.position(hash, |i| i == old);
        match found.and_then(|at| self.words.get_mut(at)) {
            Some(place) => *place = word(hash, new),
            None => return false,
        }
        true
    }

    /// Gives memory back that isn't needed.
    pub(super) fn shrink(&mut self) {
        if self.live == 0 {
            *self = Self::default();
        } else if self.live * 4 < self.lines() * LINE {
            self.rebuild(self.live);
        }
    }

    fn rebuild(&mut self, live: usize) {
        let old = std::mem::replace(self, Self::with_room(live));
        old.words.iter().filter(|w| is_live(**w)).for_each(|w| self.put(*w));
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Hashes of which many are the same, and many share a line.
    #[test]
    fn what_is_entered_is_found_until_it_is_struck() {
        let mut x = 5u64;
        let mut random = move |n: u64| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 33) % n
        };
        for hashes in [1, 3, 40, 100_000] {
            let (mut table, mut model) = (Identities::default(), BTreeMap::<u32, u32>::new());
            let spread = |n: u64| (n as u32).wrapping_mul(0x9e37_79b1);
            assert_eq!(table.find(0, |_| true), None);
            assert!(!table.remove(7, 7) && !table.replace(7, 7, 8));
            for step in 0..30_000u64 {
                let index = if random(50) == 0 { u32::MAX - 1 } else { random(600) as u32 };
                let growing = step / 3000 % 2 == 0;
                match model.get(&index).copied() {
                    None if growing || random(4) == 0 => {
                        let hash = spread(random(hashes));
                        table.insert(hash, index);
                        model.insert(index, hash);
                    }
                    Some(hash) if random(3) == 0 => {
                        let new = 1000 + index % 500;
                        if !model.contains_key(&new) {
                            assert!(table.replace(hash, index, new));
                            model.remove(&index);
                            model.insert(new, hash);
                        }
                    }
                    Some(hash) if !growing || random(4) == 0 => {
                        assert!(table.remove(hash, index) && !table.remove(hash, index));
                        model.remove(&index);
                    }
                    _ => {}
                }
                if step % 1000 == 0 {
                    table.shrink();
                }
                assert_eq!(table.live, model.len());
                assert!(table.taken * 4 <= table.lines() * LINE * 3);
                let hash = spread(random(hashes));
                let mut met = Vec::new();
                assert_eq!(
                    table.find(hash, |i| {
                        met.push(i);
                        false
                    }),
                    None
                );
                met.sort_unstable();
                let all: Vec<u32> = model.iter().filter(|(_, h)| **h == hash).map(|(i, _)| *i).collect();
                assert_eq!(met, all);
                if let Some(i) = all.first() {
                    assert_eq!(table.find(hash, |j| j == *i), Some(*i));
                }
            }
            for (index, hash) in std::mem::take(&mut model) {
                assert!(table.remove(hash, index));
            }
            table.shrink();
            assert_eq!(table.bytes(), 0);
        }
    }

    #[test]
    fn a_million_takes_seventeen_bytes_each_at_most() {
        let mut table = Identities::default();
        (0..1_000_000u32).for_each(|i| table.insert(i.wrapping_mul(0x9e37_79b1), i));
        assert!(table.bytes() <= 17_000_000, "{}", table.bytes());
        assert!(
            (0..1_000_000).step_by(997).all(|i: u32| table.find(i.wrapping_mul(0x9e37_79b1), |j| j == i) == Some(i))
        );
        (1000..1_000_000u32).for_each(|i| assert!(table.remove(i.wrapping_mul(0x9e37_79b1), i)));
        table.shrink();
        assert!(table.bytes() < 64_000);
    }
}
