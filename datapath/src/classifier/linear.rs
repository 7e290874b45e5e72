//! Direct comparison of few entries, word by word over all of them at once.
//!
//! What all of them ask of a packet is asked once, before; entries that match anything ask nothing.

use super::columns::{Columns, EIGHT};
use super::rows::{MOST, Rows};
use super::tuple::Query;
use super::walk::Candidate;
use crate::key::{FlowKey, WORDS};
use crate::publish::Guard;
use crate::table::{FlowRef, Slab};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// With fewer keys, each is compared with all rules at once.
const FEW_KEYS: u32 = 8;

/// What all entries but those that match anything agree on.
struct Common {
    word: u8,
    mask: u64,
    value: u64,
}

/// Entries, best first, with their values and masks transposed: all entries' first word, and so on.
pub(super) struct Linear {
    entries: Box<[AtomicU32]>,
    ranks: Box<[u32]>,
    common: Box<[Common]>,
    /// Those that match anything, one bit each.
    always: u64,
    /// Which words of the key any of them looks at beyond that.
    words: Box<[u8]>,
    /// Per word, a mask and a value for each entry.
    masks: Box<[AtomicU64]>,
    values: Box<[AtomicU64]>,
}

impl Linear {
    /// Of at most [`MOST`] entries in this order.
    pub(super) fn new(slab: &Slab, entries: &[u32], guard: Guard<'_>) -> Self {
        let entries = &entries[..entries.len().min(MOST)];
        let n = entries.len();
        let bodies: SmallVec<[_; MOST]> =
            entries.iter().map(|i| FlowRef::of_writer(slab, *i, guard).map(|f| f.body())).collect();
        // Per word the bits that those have in common that ask for any, what these are, and how many ask for it.
        let mut common = [(0u64, 0u64, 0usize); WORDS];
        let (mut always, mut asking) = (0u64, 0);
        for (i, body) in bodies.iter().enumerate() {
            let Some(body) = body.filter(|b| !b.shape.mask.words().is_empty()) else {
                always |= 1 << i;
                continue;
            };
            asking += 1;
            for ((w, m), v) in body.shape.mask.words().iter().zip(body.values.words()) {
                let c = &mut common[usize::from(*w)];
                *c = if c.2 == 0 { (*m, *v, 1) } else { (c.0 & m & !(c.1 ^ v), c.1, c.2 + 1) };
            }
        }
        common.iter_mut().filter(|c| c.2 < asking).for_each(|c| c.0 = 0);
        // Words in which more is asked for have a column.
        let mut columns = [None; WORDS];
        let mut words: SmallVec<[u8; 8]> = SmallVec::new();
        for body in bodies.iter().flatten() {
            for (w, m) in body.shape.mask.words() {
                let column = &mut columns[usize::from(*w)];
                if m & !common[usize::from(*w)].0 != 0 && column.is_none() {
                    *column = Some(words.len());
                    words.push(*w);
                }
            }
        }
        let mut masks: Box<[AtomicU64]> = (0..words.len() * n).map(|_| AtomicU64::new(0)).collect();
        let mut values: Box<[AtomicU64]> = (0..words.len() * n).map(|_| AtomicU64::new(0)).collect();
        for (i, body) in bodies.iter().enumerate() {
            let Some(body) = body else { continue };
            for ((w, m), v) in body.shape.mask.words().iter().zip(body.values.words()) {
                if let Some(j) = columns[usize::from(*w)] {
                    let rest = !common[usize::from(*w)].0;
                    *masks[j * n + i].get_mut() = m & rest;
                    *values[j * n + i].get_mut() = v & rest;
                }
            }
        }
        let common = (0u8..).zip(&common).filter(|(_, c)| c.0 != 0);
        Self {
            masks,
            values,
            entries: entries.iter().map(|i| AtomicU32::new(*i)).collect(),
            ranks: bodies.iter().map(|b| b.map_or(0, |b| b.rank())).collect(),
            always,
            words: words.into_vec().into(),
            common: common.map(|(word, (mask, value, _))| Common { word, mask: *mask, value: value & mask }).collect(),
        }
    }

    /// Puts the entry that continues another in its place; values and masks are the same.
    pub(super) fn renew(&self, place: usize, entry: u32) {
        if let Some(e) = self.entries.get(place) {
            e.store(entry, Ordering::Release);
        }
    }

    #[inline(always)]
    fn word(key: &FlowKey, w: u8) -> u64 {
        // Words are below WORDS; said so that nothing is tested.
        key.0[usize::from(w).min(WORDS - 1)]
    }

    /// Whether the key has what is asked for once.
    #[inline(always)]
    fn has_common(&self, key: &FlowKey) -> bool {
        self.common.iter().fold(0, |differ, c| differ | (Self::word(key, c.word) & c.mask ^ c.value)) == 0
    }

    /// Which entries match, one bit each.
    #[inline(always)]
    fn equal<const WIDE: bool>(&self, key: &FlowKey) -> u64 {
        if !self.has_common(key) {
            return self.always;
        }
        let n = self.entries.len();
        let rows = Rows { n, stride: n, words: &self.words, masks: &self.masks, values: &self.values };
        rows.equal::<WIDE>(key)
    }

    /// Tells `found` the best entry for each of the keys in `open`, of which there are at most 32, whether visible or not.
    #[inline(always)]
    pub(super) fn candidates<const WIDE: bool>(
        &self,
        columns: &mut Columns<'_>,
        open: u32,
        mut found: impl FnMut(usize, Candidate),
    ) {
        #[cfg(target_arch = "x86_64")]
        if WIDE && open.count_ones() >= FEW_KEYS {
            // SAFETY: the processor has AVX-512F, as the caller knows.
            let done = unsafe {
                match (self.words.len(), columns.eights()) {
                    (1, 0..=2) => self.across::<1, 2>(columns, open, &mut found),
                    (2, 0..=2) => self.across::<2, 2>(columns, open, &mut found),
                    (3, 0..=2) => self.across::<3, 2>(columns, open, &mut found),
                    (1, _) => self.across::<1, 4>(columns, open, &mut found),
                    (2, _) => self.across::<2, 4>(columns, open, &mut found),
                    (3, _) => self.across::<3, 4>(columns, open, &mut found),
                    _ => false,
                }
            };
            if done {
                return;
            }
        }
        for i in super::bits(open) {
            found(i, self.candidate::<WIDE>(columns.keys()[i]));
        }
    }

    /// Rule after rule for all keys at once, eight of them in each of `R` registers: less work than key after key. Looks at
    /// `W` words of each.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn across<const W: usize, const R: usize>(
        &self,
        columns: &mut Columns<'_>,
        open: u32,
        found: &mut impl FnMut(usize, Candidate),
    ) -> bool {
        use std::arch::x86_64::{
            __m512i, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512,
            _mm512_ternarylogic_epi64, _mm512_testn_epi64_mask,
        };

        #[target_feature(enable = "avx512f")]
        #[inline]
        fn load<const R: usize>(column: &[[u64; EIGHT]]) -> [__m512i; R] {
            let mut registers = [_mm512_setzero_si512(); R];
            for (register, eight) in registers.iter_mut().zip(column) {
                // SAFETY: eight words of our own.
                *register = unsafe { _mm512_loadu_si512(eight.as_ptr().cast::<__m512i>()) };
            }
            registers
        }

        #[target_feature(enable = "avx512f")]
        #[inline]
        fn equal<const R: usize>(differ: [__m512i; R]) -> u32 {
            (0..).zip(differ).fold(0, |e, (q, d)| e | u32::from(_mm512_testn_epi64_mask(d, d)) << (8 * q))
        }

        let n = self.entries.len();
        let (Some(words), true) = (self.words.first_chunk::<W>(), self.masks.len().min(self.values.len()) >= W * n)
        else {
            return false;
        };
        let differ_by = |differ: &mut [__m512i; R], column: &[__m512i; R], mask: u64, value: u64| {
            let (m, v) = (_mm512_set1_epi64(mask.cast_signed()), _mm512_set1_epi64(value.cast_signed()));
            for (d, register) in differ.iter_mut().zip(column) {
                *d = _mm512_or_si512(*d, _mm512_ternarylogic_epi64::<{ super::rows::AND_XOR }>(*register, m, v));
            }
        };
        // Who has what is asked for once.
        let mut differ = [_mm512_setzero_si512(); R];
        for c in &self.common {
            differ_by(&mut differ, &load(columns.get(c.word)), c.mask, c.value);
        }
        let asked = equal(differ);
        let mut all = [[_mm512_setzero_si512(); R]; W];
        for (column, w) in all.iter_mut().zip(words) {
            *column = load(columns.get(*w));
        }
        let mut todo = open;
        for rule in 0..n {
            let mut differ = [_mm512_setzero_si512(); R];
            for (j, column) in all.iter().enumerate() {
                let (m, v) = (&self.masks[j * n + rule], &self.values[j * n + rule]);
                differ_by(&mut differ, column, m.load(Ordering::Relaxed), v.load(Ordering::Relaxed));
            }
            let hit = equal(differ) & todo & (asked | 0u32.wrapping_sub((self.always >> rule & 1) as u32));
            if hit != 0 {
                let entry = self.entries[rule].load(Ordering::Acquire);
                super::bits(hit).for_each(|i| found(i, Candidate::new(self.ranks[rule], entry)));
                todo &= !hit;
                if todo == 0 {
                    break;
                }
            }
        }
        true
    }

    /// The best entry that matches, whether visible or not.
    #[inline(always)]
    pub(super) fn candidate<const WIDE: bool>(&self, key: &FlowKey) -> Candidate {
        let i = self.equal::<WIDE>(key).trailing_zeros() as usize;
        match (self.ranks.get(i), self.entries.get(i)) {
            (Some(rank), Some(entry)) => Candidate::new(*rank, entry.load(Ordering::Acquire)),
            _ => Candidate::NONE,
        }
    }

    /// Every visible entry that matches, best first.
    #[inline(always)]
    pub(super) fn matches<'g, const WIDE: bool>(
        &self,
        slab: &'g Slab,
        q: Query<'_, 'g>,
    ) -> impl Iterator<Item = FlowRef<'g>> {
        super::bits(self.equal::<WIDE>(q.key)).filter_map(move |i| {
            let index = self.entries.get(i)?.load(Ordering::Acquire);
            FlowRef::current(slab, index, q.version, q.guard).filter(|f| f.body().rank() >= q.floor)
        })
    }
}
