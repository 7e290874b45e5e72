//! Blocks of rules compared by bit vectors: for rules that no hash tuple suits.
//!
//! A [`Block`] holds up to [`RULES`] rules. For each four bits of the key in which its rules differ, and each
//! value those may have, a row says by one bit per rule whether the rule allows it; the rows for a packet's
//! values, ANDed, leave the rules that match. That costs the same whatever the masks are: about 30 rows
//! of 64 bytes for a rule set of 5-tuples.
//!
//! Readers trust no row: what is left is checked for visibility and compared, so that a bit may be
//! stale or a place be taken again at any moment. A rule's bits are set before the version that shows
//! it is published, and cleared when no reader's version shows it any more.
//!
//! Thread-safety: one writer stores words of rows, any number of readers load them.

use super::tuple::Query;
use super::walk::Candidate;
use super::{better, rank_of};
use crate::key::{FlowKey, WORDS, word};
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use std::cmp::Reverse;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Rules of a block: one AVX-512 register's bits.
pub(super) const RULES: usize = 512;
/// Words of a row.
const LANES: usize = RULES / 64;
/// Rows ANDed between tests for zero.
const STRIDE: usize = 8;

#[derive(Default)]
#[repr(C, align(64))]
struct Row([AtomicU64; LANES]);

impl Row {
    fn put(&self, place: usize, on: bool, order: Ordering) {
        let lane = &self.0[place / 64];
        let bit = 1u64 << (place % 64);
        let old = lane.load(Ordering::Relaxed);
        lane.store(if on { old | bit } else { old & !bit }, order);
    }
}

/// Up to [`RULES`] rules.
pub(super) struct Block {
    /// Word and shift of the four bits of the key that 16 rows belong to.
    nibbles: Box<[(u8, u8)]>,
    rows: Box<[Row]>,
    /// Places that hold a rule.
    taken: Row,
    entries: Box<[AtomicU32]>,
    ranks: Box<[AtomicU32]>,
    created: Box<[AtomicU64]>,
}

/// Nibbles of a key, as a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nibbles([u16; WORDS]);

impl Nibbles {
    pub(super) const NONE: Self = Self([0; WORDS]);

    /// Adds the nibbles in which two rules, by value and mask, differ. What all rules of a block have in common needs
    /// no rows: what is left is compared in full anyway.
    pub(super) fn tell_apart(&mut self, a: (&FlowKey, &FlowKey), b: (&FlowKey, &FlowKey)) {
        for (w, set) in self.0.iter_mut().enumerate() {
            let differ = (a.0.0[w] ^ b.0.0[w]) | (a.1.0[w] ^ b.1.0[w]);
            for n in 0..16 {
                if differ >> (4 * n) & 15 != 0 {
                    *set |= 1 << n;
                }
            }
        }
    }

    fn list(&self) -> Box<[(u8, u8)]> {
        // The words that tell most rules apart first: a key that nothing matches is then soon done.
        let words = [word::IP4, word::L4, word::IP6_DST + 1, word::IP6_SRC + 1, word::ETH_DST_TYPE];
        let rest = (0..WORDS).filter(|w| !words.contains(w));
        let of = |w: usize| (0..16u8).filter(move |i| self.0[w] >> i & 1 != 0).map(move |i| (w as u8, 4 * i));
        words.into_iter().chain(rest).flat_map(of).collect()
    }
}

impl Block {
    pub(super) fn new(nibbles: &Nibbles) -> Self {
        let nibbles = nibbles.list();
        Self {
            rows: (0..nibbles.len() * 16).map(|_| Row::default()).collect(),
            nibbles,
            taken: Row::default(),
            entries: (0..RULES).map(|_| AtomicU32::new(NIL)).collect(),
            ranks: (0..RULES).map(|_| AtomicU32::new(0)).collect(),
            created: (0..RULES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A place that holds nothing.
    pub(super) fn vacant(&self) -> Option<usize> {
        self.taken.0.iter().enumerate().find_map(|(i, w)| {
            let w = w.load(Ordering::Relaxed);
            (w != u64::MAX).then(|| i * 64 + w.trailing_ones() as usize)
        })
    }

    /// Puts a rule into a vacant place. Its mask looks at no other nibbles than this block's, or is
    /// filtered less well.
    pub(super) fn put(&self, place: usize, index: u32, body: &FlowBody) {
        let (mask, value) = (body.shape.mask.key(), body.value());
        for ((w, shift), rows) in self.nibbles.iter().zip(self.rows.chunks_exact(16)) {
            let m = mask.0[usize::from(*w)] >> shift & 15;
            let v = value.0[usize::from(*w)] >> shift & 15;
            for (x, row) in (0u64..).zip(rows) {
                row.put(place, x & m == v, Ordering::Relaxed);
            }
        }
        self.entries[place].store(index, Ordering::Relaxed);
        self.ranks[place].store(body.rank(), Ordering::Relaxed);
        self.created[place].store(body.created.0, Ordering::Relaxed);
        self.taken.put(place, true, Ordering::Release);
    }

    /// Empties a place if it holds `index`; whether it did.
    pub(super) fn remove(&self, place: usize, index: u32) -> bool {
        if self.entries.get(place).is_none_or(|e| e.load(Ordering::Relaxed) != index) {
            return false;
        }
        self.taken.put(place, false, Ordering::Release);
        self.entries[place].store(NIL, Ordering::Relaxed);
        true
    }

    /// The entry in a place.
    pub(super) fn entry(&self, place: usize) -> u32 {
        self.entries.get(place).map_or(NIL, |e| e.load(Ordering::Relaxed))
    }

    /// Puts the entry that continues another in its place.
    pub(super) fn renew(&self, place: usize, entry: u32) {
        if let Some(e) = self.entries.get(place) {
            e.store(entry, Ordering::Release);
        }
    }

    /// The same block without some of its rules.
    pub(super) fn without(&self, places: &[usize]) -> Self {
        let row = |r: &Row| Row(std::array::from_fn(|i| AtomicU64::new(r.0[i].load(Ordering::Relaxed))));
        let word = |w: &AtomicU32| AtomicU32::new(w.load(Ordering::Relaxed));
        let copy = Self {
            nibbles: self.nibbles.clone(),
            rows: self.rows.iter().map(row).collect(),
            taken: row(&self.taken),
            entries: self.entries.iter().map(word).collect(),
            ranks: self.ranks.iter().map(word).collect(),
            created: self.created.iter().map(|w| AtomicU64::new(w.load(Ordering::Relaxed))).collect(),
        };
        for p in places {
            copy.taken.put(*p, false, Ordering::Relaxed);
            copy.entries[*p].store(NIL, Ordering::Relaxed);
        }
        copy
    }

    /// The places that hold rules, and the rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        (0..RULES)
            .filter(|p| self.taken.0[p / 64].load(Ordering::Relaxed) >> (p % 64) & 1 != 0)
            .map(|p| (p, self.entries[p].load(Ordering::Relaxed)))
    }

    /// Rules that the rows leave for this key.
    #[inline(always)]
    fn left<const WIDE: bool>(&self, key: &FlowKey) -> [u64; LANES] {
        #[cfg(target_arch = "x86_64")]
        if WIDE {
            // SAFETY: the processor has AVX-512F, as the caller knows.
            return unsafe { self.left_avx512(key) };
        }
        self.left_any(key)
    }

    fn left_any(&self, key: &FlowKey) -> [u64; LANES] {
        let mut left: [u64; LANES] = std::array::from_fn(|i| self.taken.0[i].load(Ordering::Acquire));
        for (nibbles, rows) in self.nibbles.chunks(STRIDE).zip(self.rows.chunks(16 * STRIDE)) {
            for ((w, shift), rows) in nibbles.iter().zip(rows.chunks_exact(16)) {
                let row = &rows[(key.0[usize::from(*w)] >> shift & 15) as usize];
                left.iter_mut().zip(&row.0).for_each(|(l, r)| *l &= r.load(Ordering::Relaxed));
            }
            if left == [0; LANES] {
                break;
            }
        }
        left
    }

    /// One load and one AND per nibble: about six times as fast.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn left_avx512(&self, key: &FlowKey) -> [u64; LANES] {
        use std::arch::x86_64::{__m512i, _mm512_and_si512, _mm512_storeu_si512, _mm512_test_epi64_mask};

        #[inline]
        #[target_feature(enable = "avx512f")]
        fn load(row: &Row) -> __m512i {
            let row: *const Row = row;
            let words;
            // SAFETY: reads 64 bytes of a live, 64-byte aligned row. In assembly because the writer may
            // store to the row meanwhile: each word is then the old or the new one, and both will do.
            unsafe {
                std::arch::asm!("vmovdqa64 {}, [{}]", lateout(zmm_reg) words, in(reg) row,
                    options(nostack, preserves_flags, readonly));
            }
            words
        }

        let mut left = load(&self.taken);
        let mut out = [0u64; LANES];
        let (groups, rest) = self.nibbles.as_chunks::<STRIDE>();
        let (rows, last) = self.rows.split_at(groups.len() * STRIDE * 16);
        for (nibbles, rows) in groups.iter().zip(rows.as_chunks::<{ STRIDE * 16 }>().0) {
            for (i, (w, shift)) in nibbles.iter().enumerate() {
                // `w` is below WORDS; said so that nothing is tested.
                let value = (key.0[usize::from(*w).min(WORDS - 1)] >> (shift & 63)) as usize & 15;
                left = _mm512_and_si512(left, load(&rows[16 * i + value]));
            }
            if _mm512_test_epi64_mask(left, left) == 0 {
                return out;
            }
        }
        for ((w, shift), rows) in rest.iter().zip(last.as_chunks::<16>().0) {
            let value = (key.0[usize::from(*w).min(WORDS - 1)] >> (shift & 63)) as usize & 15;
            left = _mm512_and_si512(left, load(&rows[value]));
        }
        // SAFETY: 64 bytes of our own, any alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), left) };
        out
    }

    /// The best match, visible and of the floor's rank at least.
    #[inline(always)]
    pub(super) fn candidate<const WIDE: bool>(&self, slab: &Slab, q: Query<'_, '_>) -> Candidate {
        match self.lookup::<WIDE>(slab, q, None) {
            Some(found) => Candidate::new(found.body().rank(), found.cached().index),
            None => Candidate::NONE,
        }
    }

    /// The better one of `best`, whose rank the query asks for, and this block's best match.
    #[inline(always)]
    pub(super) fn lookup<'g, const WIDE: bool>(
        &self,
        slab: &'g Slab,
        q: Query<'_, 'g>,
        best: Option<FlowRef<'g>>,
    ) -> Option<FlowRef<'g>> {
        let left = self.left::<WIDE>(q.key);
        let (mut any, mut at) = (0, 0);
        for (i, w) in left.iter().enumerate() {
            at = if *w != 0 { i } else { at };
            any |= w;
        }
        if any == 0 {
            return best;
        }
        if left[at] == any && any.is_power_of_two() && left.iter().filter(|w| **w != 0).count() == 1 {
            // Mostly one rule is left.
            let place = at * 64 + any.trailing_zeros() as usize;
            return better(best, self.found(place, slab, q));
        }
        self.pick(&left, slab, q, best)
    }

    /// Every rule that matches.
    pub(super) fn matches<'g>(&self, slab: &'g Slab, q: Query<'_, 'g>, f: &mut dyn FnMut(FlowRef<'g>)) {
        places(&self.left::<false>(q.key)).filter_map(|place| self.found(place, slab, q)).for_each(f);
    }

    /// The rule in a place, if it matches and may be of this rank.
    #[inline]
    fn found<'g>(&self, place: usize, slab: &'g Slab, q: Query<'_, 'g>) -> Option<FlowRef<'g>> {
        if self.ranks[place].load(Ordering::Relaxed) < q.floor {
            return None;
        }
        let index = self.entries[place].load(Ordering::Acquire);
        if index == NIL {
            return None;
        }
        let found = FlowRef::current(slab, index, q.version, q.guard)?;
        found.body().matches(q.key).then_some(found)
    }

    fn pick<'g>(
        &self,
        left: &[u64; LANES],
        slab: &'g Slab,
        mut q: Query<'_, 'g>,
        mut best: Option<FlowRef<'g>>,
    ) -> Option<FlowRef<'g>> {
        let mut first: Option<((u32, Reverse<u64>), usize)> = None;
        for place in places(left) {
            let order =
                (self.ranks[place].load(Ordering::Relaxed), Reverse(self.created[place].load(Ordering::Relaxed)));
            if order.0 >= q.floor && first.is_none_or(|(f, _)| order > f) {
                first = Some((order, place));
            }
        }
        let Some(((rank, created), place)) = first else { return best };
        // Nearly always the best by the notes is visible, and then it is the answer.
        if let Some(f) = self.found(place, slab, q) {
            best = better(best, Some(f));
            if (f.body().rank(), Reverse(f.body().created.0)) == (rank, created) {
                return best;
            }
        }
        for p in places(left).filter(|p| *p != place) {
            q.floor = rank_of(best).max(q.floor);
            best = better(best, self.found(p, slab, q));
        }
        best
    }
}

/// The bits set, ascending.
fn places(left: &[u64; LANES]) -> impl Iterator<Item = usize> {
    left.iter().enumerate().flat_map(|(i, w)| {
        let mut w = *w;
        std::iter::from_fn(move || {
            (w != 0).then(|| {
                let bit = w.trailing_zeros() as usize;
                w &= w - 1;
                i * 64 + bit
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_and_rows_leaves_the_same_rules() {
        let mut x = 1u64;
        let mut random = || {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            x ^ x >> 29
        };
        for words in [0, 1, 2, 5, WORDS] {
            let mut mask = FlowKey::default();
            mask.0.iter_mut().take(words).for_each(|w| *w = random());
            let none = FlowKey::default();
            let mut nibbles = Nibbles::NONE;
            nibbles.tell_apart((&none, &none), (&none, &mask));
            let block = Block::new(&nibbles);
            assert_eq!(block.rows.len(), 16 * block.nibbles.len());
            for row in block.rows.iter().chain([&block.taken]) {
                for lane in &row.0 {
                    // Mostly ones: some rules are left by many rows.
                    lane.store(random() | random() | random() | random(), Ordering::Relaxed);
                }
            }
            for _ in 0..50 {
                let key = FlowKey(std::array::from_fn(|_| random()));
                if super::super::rows::is_wide() {
                    assert_eq!(block.left::<true>(&key), block.left_any(&key));
                }
            }
        }
    }
}
