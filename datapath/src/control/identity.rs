//! Current entries by a hash of match and rank: which one does a strict request mean, and which one does an add replace?
//!
//! A table of its own rather than a library's, because the memory of a place can be asked for before it is looked at
//! ([`Identities::prefetch`]): in a large table finding a place waits for memory longer than all else that a flow-mod does.
//! It grows by reading and writing from front to back, as the leading bits of a hash say where it stands.
//!
//! A line is eight places: a byte each in one word that says what is there, and a word each of a hash above a slot's
//! number. Of a hash that isn't there the bytes tell nearly always, and they are few enough to stay in the processor's
//! cache. What doesn't fit its line stands in the next that has room, so that a search ends at a line with an `EMPTY`
//! place. One owner, no readers.

/// Places of a line.
const LINE: usize = 8;
/// Nothing was ever here.
const EMPTY: u64 = 0;
/// What was here is gone, and a search goes on.
const GONE: u64 = 1;
/// The bit of each place by which something is there; the others are the lowest ones of its hash.
const LIVE: u64 = u64::from_ne_bytes([0x80; LINE]);
const ONES: u64 = u64::from_ne_bytes([1; LINE]);

/// Slots by the hash of what they hold; several may have the same hash.
#[derive(Default)]
pub(super) struct Identities {
    /// What is there, by line.
    tags: Vec<u64>,
    /// Whole lines from `start` on, which is where the first line of the processor's cache begins.
    words: Vec<u64>,
    start: usize,
    /// Lines, as a power of two, if there are any.
    bits: u32,
    live: usize,
    /// Places that aren't `EMPTY`.
    taken: usize,
}

const fn tag(hash: u32) -> u64 {
    (hash & 0x7f | 0x80) as u64
}

/// Places that are zero, by their highest bits; some above the first that is may be one.
const fn zeroes(tags: u64) -> u64 {
    tags.wrapping_sub(ONES) & !tags & LIVE
}

impl Identities {
    /// With room for so many at least.
    fn with_room(live: usize) -> Self {
        // Three quarters full at most.
        let lines = (live * 4 / 3 / LINE + 1).next_power_of_two();
        let words = crate::sys::zeroes((lines + 1) * LINE);
        let start = words.as_ptr().align_offset(LINE * size_of::<u64>()).min(LINE);
        Self { tags: vec![0; lines], words, start, bits: lines.trailing_zeros(), live: 0, taken: 0 }
    }

    /// The line where a hash is looked for first.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        (u64::from(hash) << self.bits >> 32) as usize
    }

    /// Asks for the memory in which a hash is looked for first.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        let at = self.first(hash);
        crate::classifier::prefetch(self.tags.as_ptr().wrapping_add(at));
        crate::classifier::prefetch(self.words.as_ptr().wrapping_add(self.start + at * LINE));
    }

    /// The line and the place in it of a hash whose slot is the one that is looked for.
    #[inline]
    fn position(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let (lines, first) = (self.tags.len(), self.first(hash));
        for at in (first..).take(lines).map(|at| at & (lines - 1)) {
            let tags = *self.tags.get(at)?;
            let mut met = zeroes(tags ^ (ONES * tag(hash)));
            while met != 0 {
                let i = met.trailing_zeros() as usize / 8;
                let word = *self.words.get(self.start + at * LINE + i)?;
                if (word >> 32) as u32 == hash && is_it(word as u32) {
                    return Some((at, i));
                }
                met &= met - 1;
            }
            if zeroes(tags) != 0 {
                return None;
            }
        }
        None
    }

    /// The slot with this hash that is the one looked for.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (at, i) = self.position(hash, is_it)?;
        self.words.get(self.start + at * LINE + i).map(|w| *w as u32)
    }

    /// Enters a slot, which isn't there yet.
    pub(super) fn insert(&mut self, hash: u32, index: u32) {
        if (self.taken + 1) * 4 > self.tags.len() * LINE * 3 {
            // Twice as many, or the same without what is gone.
            self.rebuild((self.live + 1).max(self.live * 3 / 2));
        }
        self.put(hash, index);
    }

    /// Puts a slot into the first free place of its hash; there is room.
    #[inline]
    fn put(&mut self, hash: u32, index: u32) {
        let (lines, first) = (self.tags.len(), self.first(hash));
        for at in (first..).take(lines).map(|at| at & (lines - 1)) {
            let Some(tags) = self.tags.get_mut(at) else { return };
            let free = !*tags & LIVE;
            if free != 0 {
                let i = free.trailing_zeros() as usize / 8;
                self.taken += usize::from(*tags >> (8 * i) & 0xff == EMPTY);
                self.live += 1;
                *tags = *tags & !(0xff << (8 * i)) | tag(hash) << (8 * i);
                if let Some(word) = self.words.get_mut(self.start + at * LINE + i) {
                    *word = u64::from(hash) << 32 | u64::from(index);
                }
                return;
            }
        }
    }

    /// Strikes a slot; whether it was there.
    pub(super) fn remove(&mut self, hash: u32, index: u32) -> bool {
        let Some((at, i)) = self.position(hash, |i| i == index) else { return false };
        let Some(tags) = self.tags.get_mut(at) else { return false };
        // No search goes on behind a line that has an empty place.
        let ends = zeroes(*tags) != 0;
        *tags = *tags & !(0xff << (8 * i)) | if ends { EMPTY } else { GONE } << (8 * i);
        self.taken -= usize::from(ends);
        self.live -= 1;
        true
    }

    /// Puts another slot in the place of one with the same hash; whether that was there.
    pub(super) fn replace(&mut self, hash: u32, old: u32, new: u32) -> bool {
        let found = self.position(hash, |i| i == old);
        let Some(word) = found.and_then(|(at, i)| self.words.get_mut(self.start + at * LINE + i)) else { return false };
        *word = u64::from(hash) << 32 | u64::from(new);
        true
    }

    /// Gives memory back that isn't needed.
    pub(super) fn shrink(&mut self) {
        if self.live == 0 {
            *self = Self::default();
        } else if self.live * 4 < self.tags.len() * LINE {
            self.rebuild(self.live);
        }
    }

    fn rebuild(&mut self, live: usize) {
        let old = std::mem::replace(self, Self::with_room(live));
        let lines = old.words.get(old.start..).unwrap_or_default().as_chunks::<LINE>().0;
        for (tags, line) in old.tags.iter().zip(lines) {
            let mut there = tags & LIVE;
            while there != 0 {
                let word = line[there.trailing_zeros() as usize / 8];
                self.put((word >> 32) as u32, word as u32);
                there &= there - 1;
            }
        }
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.words[..]) + size_of_val(&self.tags[..])
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
            for step in 0..8_000u64 {
                let index = if random(50) == 0 { u32::MAX - 1 } else { random(600) as u32 };
                let growing = step / 1000 % 2 == 0;
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
                if step % 500 == 0 {
                    table.shrink();
                }
                assert_eq!(table.live, model.len());
                assert!(table.taken * 4 <= table.tags.len() * LINE * 3);
                if step % 5 != 0 {
                    continue;
                }
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
    fn a_million_takes_nineteen_bytes_each_at_most() {
        let mut table = Identities::default();
        (0..1_000_000u32).for_each(|i| table.insert(i.wrapping_mul(0x9e37_79b1), i));
        assert!(table.bytes() <= 19_000_000, "{}", table.bytes());
        assert!(
            (0..1_000_000).step_by(997).all(|i: u32| table.find(i.wrapping_mul(0x9e37_79b1), |j| j == i) == Some(i))
        );
        (1000..1_000_000u32).for_each(|i| assert!(table.remove(i.wrapping_mul(0x9e37_79b1), i)));
        table.shrink();
        assert!(table.bytes() < 64_000);
    }
}
