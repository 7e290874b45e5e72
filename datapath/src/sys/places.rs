//! Which places of an [`Array`](super::array::Array) are in use: the writer's note, a bit each.

/// Places by number, in blocks of 64 times `WORDS`. The lowest free place of the block freed from last is taken next.
pub(crate) struct Places<const WORDS: usize> {
    blocks: Vec<Block<WORDS>>,
    /// Blocks with a free place; the last one is taken from.
    open: Vec<u32>,
}

struct Block<const WORDS: usize> {
    free: [u64; WORDS],
    used: u32,
}

impl<const WORDS: usize> Default for Places<WORDS> {
    fn default() -> Self {
        Self { blocks: Vec::new(), open: Vec::new() }
    }
}

impl<const WORDS: usize> Places<WORDS> {
    /// Places of a block.
    pub(crate) const BLOCK: u32 = 64 * WORDS as u32;

    /// One past the highest place that there may be.
    pub(crate) fn limit(&self) -> u32 {
        self.blocks.len() as u32 * Self::BLOCK
    }

    /// Whether nothing in the block of this place is in use.
    pub(crate) fn is_vacant(&self, place: u32) -> bool {
        self.blocks.get((place / Self::BLOCK) as usize).is_none_or(|b| b.used == 0)
    }

    /// The first place of the block after the one of this place.
    pub(crate) const fn next_block(place: u32) -> u32 {
        (place / Self::BLOCK + 1) * Self::BLOCK
    }

    /// Takes a free place; `None` if none has a number left.
    pub(crate) fn take(&mut self) -> Option<u32> {
        if self.open.is_empty() {
            if self.limit() > u32::MAX - 2 * Self::BLOCK {
                return None;
            }
            self.open.push(self.blocks.len() as u32);
            self.blocks.push(Block { free: [u64::MAX; WORDS], used: 0 });
        }
        let at = *self.open.last()?;
        let block = &mut self.blocks[at as usize];
        let (w, word) = block.free.iter_mut().enumerate().find(|(_, w)| **w != 0)?;
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        block.used += 1;
        if block.used == Self::BLOCK {
            self.open.pop();
        }
        Some(at * Self::BLOCK + w as u32 * 64 + bit)
    }

    /// Gives a place back; whether that was the last one in use of its block.
    pub(crate) fn free(&mut self, place: u32) -> bool {
        let at = place / Self::BLOCK;
        let Some(block) = self.blocks.get_mut(at as usize) else { return false };
        let (w, bit) = ((place % Self::BLOCK / 64) as usize, place % 64);
        if block.free[w] >> bit & 1 != 0 {
            return false;
        }
        if block.used == Self::BLOCK {
            self.open.push(at);
        }
        block.free[w] |= 1 << bit;
        block.used -= 1;
        block.used == 0
    }

    /// Forgets the blocks behind the last one in use. Costs a pass over those that have room.
    pub(crate) fn trim(&mut self) {
        if self.blocks.pop_if(|b| b.used == 0).is_none() {
            return;
        }
        while self.blocks.pop_if(|b| b.used == 0).is_some() {}
        let limit = self.blocks.len() as u32;
        self.open.retain(|b| *b < limit);
        self.open.shrink_to_fit();
        self.blocks.shrink_to_fit();
    }

    /// The blocks with places in use, by the first of each.
    pub(crate) fn blocks_in_use(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.blocks).filter(|(_, b)| b.used > 0).map(|(i, _)| i * Self::BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_place_is_taken_once() {
        let mut places = Places::<2>::default();
        let mut used = BTreeSet::new();
        let mut x = 3u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x >> 33
        };
        for round in 0..20_000 {
            if random() % 1000 < if round % 4000 < 2000 { 700 } else { 300 } || used.is_empty() {
                assert!(used.insert(places.take().expect("a place")));
            } else {
                let at = *used.iter().nth(random() as usize % used.len()).expect("one");
                used.remove(&at);
                let block = at / 128 * 128;
                let last = used.range(block..block + 128).next().is_none();
                assert_eq!(places.free(at), last);
                assert_eq!(places.is_vacant(at), last);
                assert!(!places.free(at), "twice");
            }
            if round % 500 == 0 {
                places.trim();
                let limit = used.last().map_or(0, |l| l / 128 * 128 + 128);
                assert_eq!(places.limit(), limit);
                let blocks: BTreeSet<u32> = used.iter().map(|u| u / 128 * 128).collect();
                assert!(places.blocks_in_use().eq(blocks));
            }
        }
        used.iter().for_each(|u| {
            places.free(*u);
        });
        places.trim();
        assert_eq!(places.limit(), 0);
    }
}
