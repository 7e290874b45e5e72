//! The cache's storage: one line for an entry whose mask touches the first words of the key only.

use super::judge::Judge;
use super::key::COMPACT;
use super::micro::Runner;
use super::record::{CachedHit, Step};
use super::segment::Segments;
use crate::checksum::SCTP_OFFSET;
use crate::frame::PartialChecksum;
use crate::key::{FlowKey, word};
use ofproto::ids::TableId;
use smallvec::SmallVec;

/// How a cache fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Packets served from it.
    pub hits: u64,
    /// Packets that it didn't know. Each packet is one of hits, misses, stale and bypassed.
    pub misses: u64,
    /// Packets whose entry was found stale.
    pub stale: u64,
    /// Walks remembered.
    pub inserts: u64,
    /// Packets that went past it because it didn't pay.
    pub bypassed: u64,
}

impl CacheStats {
    /// Packets, whatever became of them.
    pub const fn packets(&self) -> u64 {
        self.hits + self.misses + self.stale + self.bypassed
    }

    /// What has come since `before`, of the same cache.
    pub const fn since(self, before: Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(before.hits),
            misses: self.misses.saturating_sub(before.misses),
            stale: self.stale.saturating_sub(before.stale),
            inserts: self.inserts.saturating_sub(before.inserts),
            bypassed: self.bypassed.saturating_sub(before.bypassed),
        }
    }
}

impl std::ops::AddAssign for CacheStats {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.stale += other.stale;
        self.inserts += other.inserts;
        self.bypassed += other.bypassed;
    }
}

/// Whether what a walk saw still holds.
pub trait Validity {
    /// The version being read.
    fn version(&self) -> u64;
    /// Counts changes of ports, groups, meters and settings.
    fn epoch(&self) -> u64;
    /// The version of the latest add to a table.
    fn last_add(&self, table: TableId) -> u64;
    /// Whether the entry is still what this version holds.
    fn holds(&self, hit: CachedHit) -> bool;
}

/// Segments of a walk, 0 behind the last one.
pub(crate) type Ids = [u32; MOST_SEGMENTS];
/// Segments that an entry has room for; what follows is part of the last one.
pub(crate) const MOST_SEGMENTS: usize = 5;

/// Words of an entry before its key: generation and first segment, then two segments each.
const HEAD: usize = 3;
/// Words of a cache line.
const LINE: usize = 8;
/// Bit of the first segment's number: the walk must be replayed step by step.
const STEPWISE: u32 = 1 << 31;
/// The walk decrements a TTL.
const DECREMENTS: u32 = 1 << 30;
/// It changes what the upper layer's checksum covers.
const COVERED: u32 = 1 << 29;
/// Bits of the first segment's number.
const NUMBER: u32 = COVERED - 1;
/// A TTL above this survives every walk that is compiled.
const LIVELY: u8 = 32;
/// What is left of the first word of an entry that was found stale.
const VOID: u64 = 0xffff_ffff;

/// A walk that the cache knew: the entry's words as they stand there, taken apart when they are used. Built from parts
/// it would wait, at each move, for the narrow stores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found([u64; HEAD]);

impl Found {
    /// Nothing was found: an entry's generation is never 0.
    pub(crate) const NOT: Self = Self([0; HEAD]);

    /// Whether something was found.
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        self.0[0] != 0
    }

    /// The walk's segments.
    #[inline]
    pub(crate) const fn ids(&self) -> Ids {
        let [a, b, c] = self.0;
        [a as u32 & NUMBER, (b >> 32) as u32, b as u32, (c >> 32) as u32, c as u32]
    }

    /// Whether its segments can be run on a frame with this offload work and this TTL.
    #[inline]
    pub(crate) fn runs(&self, checksum: Option<PartialChecksum>, ttl: impl FnOnce() -> u8) -> bool {
        let first = self.0[0] as u32;
        first & STEPWISE == 0
            && (first & DECREMENTS == 0 || ttl() > LIVELY)
            // A packet's SCTP checksum, or what looks like one, is finished at once.
            && checksum.is_none_or(|c| first & COVERED == 0 && c.offset != SCTP_OFFSET)
    }
}

/// A worker's cache.
#[derive(Debug)]
pub struct Cache {
    words: Box<[u64]>,
    /// Words to skip so that entries begin with a line.
    skip: usize,
    /// Lines in all, a power of two.
    lines: usize,
    /// Entries of a set stand behind each other; so many words each.
    stride: usize,
    /// Sets less one.
    set_mask: usize,
    /// The words of the key that the mask touches, and the mask's bits there.
    touched: Vec<(usize, u64)>,
    /// The same of a compact key.
    compact: Option<[u64; COMPACT]>,
    mask: FlowKey,
    /// What the pipeline's rules look at beyond their matches, as far as packets met them.
    extra: FlowKey,
    seeds: [u64; 4],
    draws: u64,
    generation: u32,
    /// Counts how often everything was forgotten: what was found before is void.
    pub(crate) era: u32,
    /// Entries of earlier generations are void.
    floor: u32,
    version: u64,
    epoch: u64,
    /// Per table the generation of the latest add, the version it had, and whether a walk came through.
    added: Box<[u32; 256]>,
    last_add: Box<[u64; 256]>,
    used: Vec<TableId>,
    pub(crate) segments: Segments,
    /// Whether it pays, as far as the current windows tell.
    judge: Judge,
    /// How it fares.
    pub stats: CacheStats,
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    p as u64 ^ (p >> 64) as u64
}

impl Cache {
    /// A cache of at least `entries` entries of compact keys. `seed` keys its hash.
    pub fn new(entries: usize, seed: u64) -> Self {
        let lines = entries.next_power_of_two().max(64);
        let words = vec![0u64; lines * LINE + LINE].into_boxed_slice();
        let skip = words.as_ptr().align_offset(64).min(LINE);
        crate::sys::huge_pages(&words);
        let s = |n: u64| fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93 ^ n << 17) | 1;
        Self {
            words,
            skip,
            lines,
            stride: LINE,
            set_mask: lines / 2 - 1,
            touched: Vec::new(),
            compact: Some([0; COMPACT]),
            mask: FlowKey::default(),
            extra: FlowKey::default(),
            seeds: [s(1), s(2), s(3), s(4)],
            draws: seed | 1,
            generation: 1,
            era: 0,
            floor: 1,
            version: 0,
            epoch: 0,
            added: Box::new([0; 256]),
            last_add: Box::new([0; 256]),
            used: Vec::new(),
            segments: Segments::new(seed),
            judge: Judge::new(lines),
            stats: CacheStats::default(),
        }
    }

    /// Takes up the version that the next packets see; `mask` is asked for only when it may have changed.
    pub(crate) fn adopt(&mut self, now: &impl Validity, mask: impl FnOnce() -> FlowKey) {
        if self.version == now.version() && self.epoch == now.epoch() {
            return;
        }
        self.version = now.version();
        self.next_generation();
        if self.epoch != now.epoch() {
            self.epoch = now.epoch();
            self.floor = self.generation;
            self.set_mask(&mask());
        }
        for i in 0..self.used.len() {
            self.look_at(self.used[i], now);
        }
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            // Four thousand million versions on: begin anew.
            self.words.fill(0);
            self.added.fill(0);
            self.generation = 1;
            self.floor = 1;
        }
    }

    fn look_at(&mut self, table: TableId, now: &impl Validity) {
        let t = usize::from(table.0);
        let last = now.last_add(table);
        // An add of a version to come is noted before that is published: it is looked at again.
        let seen = if last > self.version { u64::MAX } else { last };
        if self.last_add[t] != seen || seen == u64::MAX {
            self.last_add[t] = seen;
            self.added[t] = self.generation;
        }
    }

    /// The mask that decides now. Another one than before empties the cache.
    pub fn set_mask(&mut self, mask: &FlowKey) {
        let mut mask = *mask;
        for (m, e) in mask.0.iter_mut().zip(self.extra.0) {
            *m |= e;
        }
        mask.0[word::IN_PORT] = u64::MAX;
        if mask == self.mask {
            return;
        }
        self.mask = mask;
        self.touched = mask.0.iter().enumerate().filter(|(_, m)| **m != 0).map(|(i, m)| (i, *m)).collect();
        self.compact = self
            .touched
            .iter()
            .all(|(w, _)| *w < COMPACT)
            .then(|| [mask.0[0], mask.0[1], mask.0[2], mask.0[3], mask.0[4]]);
        let n = if self.compact.is_some() { COMPACT } else { self.touched.len() };
        let stride = (HEAD + n).next_multiple_of(LINE);
        if stride != self.stride {
            // Old entries would be read at the wrong places.
            self.words.fill(0);
            self.stride = stride;
            let sets = self.lines / (2 * stride / LINE);
            let sets = if sets.is_power_of_two() { sets } else { sets.next_power_of_two() / 2 };
            self.set_mask = sets.max(1) - 1;
        }
        self.clear();
    }

    /// Widens the mask by what a rule was found to read.
    pub(crate) fn widen(&mut self, bits: &FlowKey) {
        for (e, b) in self.extra.0.iter_mut().zip(bits.0) {
            *e |= b;
        }
        let mask = self.mask;
        self.set_mask(&mask);
    }

    /// The mask in use.
    pub const fn mask(&self) -> &FlowKey {
        &self.mask
    }

    /// The mask of compact keys, if they suffice.
    #[inline]
    pub(crate) const fn compact(&self) -> Option<[u64; COMPACT]> {
        self.compact
    }

    /// The words of the key, and the mask there, of keys that aren't compact.
    pub(crate) fn touched(&self) -> &[(usize, u64)] {
        &self.touched
    }

    /// Forgets everything. No segment may have anything uncounted.
    pub fn clear(&mut self) {
        self.next_generation();
        self.floor = self.generation;
        self.era = self.era.wrapping_add(1);
        self.segments.clear();
        self.judge.reset();
    }

    /// Whether the next `n` packets should be looked up at all.
    #[inline]
    pub(crate) fn pays(&mut self, n: usize) -> bool {
        let pays = self.judge.pays(n);
        if !pays {
            self.stats.bypassed += n as u64;
        }
        pays
    }

    /// A packet's walk could not be remembered, however much room there is.
    pub(crate) fn refused(&mut self) {
        self.judge.refused();
    }

    /// Where a key's set begins.
    #[inline]
    pub(crate) fn place<const N: usize>(&self, key: &[u64]) -> usize {
        let [a, b, c, d] = self.seeds;
        let h = if N == COMPACT && key.len() == COMPACT {
            let x = fold(key[0] ^ a, key[1] ^ b);
            let y = fold(key[2] ^ c, key[3] ^ d);
            fold(x ^ key[4], y ^ b)
        } else {
            key.iter().fold(a, |h, k| fold(h ^ k, b).wrapping_add(c))
        };
        self.skip + (h as usize & self.set_mask) * 2 * self.stride
    }

    /// Asks for a set's lines.
    #[inline]
    pub(crate) fn prefetch(&self, place: usize) {
        let at = self.words.as_ptr().wrapping_add(place);
        crate::classifier::prefetch(at);
        crate::classifier::prefetch(at.wrapping_add(self.stride));
    }

    #[inline]
    fn way<const N: usize>(&self, place: usize, key: &[u64]) -> Option<usize> {
        for at in [place, place + self.stride] {
            let Some(entry) = self.words.get(at..at + HEAD + key.len()) else { continue };
            let same = if N == COMPACT && key.len() == COMPACT {
                (0..COMPACT).fold(0, |d, i| d | entry[HEAD + i] ^ key[i]) == 0
            } else {
                entry[HEAD..] == *key
            };
            if same && (entry[0] >> 32) as u32 >= self.floor {
                return Some(at);
            }
        }
        None
    }

    /// What was remembered for this key, if it still holds.
    #[inline(always)]
    pub(crate) fn find<const N: usize>(&mut self, place: usize, key: &[u64], now: &impl Validity) -> Found {
        let Some(at) = self.way::<N>(place, key) else { return Found::NOT };
        let entry = &self.words[at..at + HEAD];
        let found = Found([entry[0], entry[1], entry[2]]);
        let made = (entry[0] >> 32) as u32;
        if made != self.generation && !self.renew(at, made, &found.ids(), now) {
            return Found::NOT;
        }
        found
    }

    /// Counts packets that were served from here.
    #[inline]
    pub(crate) fn served(&mut self, n: u32) {
        self.stats.hits += u64::from(n);
        self.judge.hits(n);
    }

    /// Whether an entry of an earlier generation still holds; it is then of this one.
    #[cold]
    #[inline(never)]
    fn renew(&mut self, at: usize, made: u32, ids: &Ids, now: &impl Validity) -> bool {
        let (added, generation) = (&self.added, self.generation);
        let segments = &mut self.segments;
        let ok = ids.iter().take_while(|id| **id != 0).all(|id| segments.holds(*id, made, generation, added, now));
        if ok {
            self.words[at] = u64::from(generation) << 32 | self.words[at] & 0xffff_ffff;
        } else {
            self.words[at] &= VOID;
        }
        ok
    }

    /// Counts a packet that [`find`](Self::find) didn't know. Whether its walk should be remembered, and where: in
    /// place of what is void or stale at once; when both places are taken by others that still hold, mostly not, as a
    /// flood of new keys would push out what pays.
    #[cold]
    #[inline(never)]
    pub(crate) fn room<const N: usize>(&mut self, place: usize, key: &[u64], now: &impl Validity) -> Option<usize> {
        let ways = [place, place + self.stride];
        let (mut fresh, mut stale) = (None, None);
        let mut known = false;
        for at in ways {
            let Some(entry) = self.words.get(at..at + HEAD + key.len()) else { continue };
            let (first, same) = (entry[0], entry[HEAD..] == *key);
            let made = (first >> 32) as u32;
            if made >= self.floor {
                let ids = Found([first, entry[1], entry[2]]).ids();
                if made == self.generation || self.renew(at, made, &ids, now) {
                    continue;
                }
                stale = Some(at);
            } else if made == 0 && first != 0 {
                // Two entries of one key may not be.
                known |= same;
                stale = if same { Some(at) } else { stale.or(Some(at)) };
            } else {
                fresh = Some(at);
            }
        }
        if known {
            self.stats.stale += 1;
        } else {
            self.stats.misses += 1;
        }
        if stale.is_some() {
            self.judge.replaced();
            return stale;
        }
        if fresh.is_some() {
            return fresh;
        }
        self.draws = self.draws.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let chance = self.judge.full();
        ((self.draws >> 32) as u32 <= chance).then(|| ways[(self.draws >> 31 & 1) as usize])
    }

    /// Counts a packet that is walked though its key was not looked for again.
    pub(crate) const fn missed(&mut self) {
        self.stats.misses += 1;
    }

    /// Remembers a walk at a place that [`room`](Self::room) gave.
    pub(crate) fn insert(&mut self, at: usize, key: &[u64], kind: u32, steps: &[Step], now: &impl Validity) {
        if self.segments.len() > self.lines + 1024 {
            self.clear();
        }
        let mut runner = Runner::new(kind);
        let (mut ids, mut n) = ([0u32; MOST_SEGMENTS], 0);
        let (mut plain, mut decrements, mut covered, mut ended) = (runner.is_some(), false, false, false);
        let mut from = 0;
        while from < steps.len() {
            // The next lookup, unless this is the last place.
            let to = if n + 1 == MOST_SEGMENTS {
                steps.len()
            } else {
                let next = steps[from + 1..].iter().position(|s| matches!(s, Step::Lookup(..)));
                next.map_or(steps.len(), |i| from + 1 + i)
            };
            let (id, end, traits) = self.segments.intern(runner, &steps[from..to]);
            plain &= traits.plain && !ended;
            ended |= traits.ends;
            decrements |= traits.decrements;
            covered |= traits.covered;
            (runner, ids[n]) = (end, id);
            n += 1;
            from = to;
        }
        if n == 0 {
            return;
        }
        for s in steps {
            if let Step::Lookup(table, _) = s
                && !self.used.contains(table)
            {
                self.used.push(*table);
                self.look_at(*table, now);
            }
        }
        let bit = |set, bit| if set { bit } else { 0 };
        let first = ids[0] | bit(!plain, STEPWISE) | bit(decrements, DECREMENTS) | bit(covered, COVERED);
        let Some(entry) = self.words.get_mut(at..at + HEAD + key.len()) else { return };
        entry[0] = u64::from(self.generation) << 32 | u64::from(first);
        entry[1] = u64::from(ids[1]) << 32 | u64::from(ids[2]);
        entry[2] = u64::from(ids[3]) << 32 | u64::from(ids[4]);
        entry[HEAD..].copy_from_slice(key);
        self.stats.inserts += 1;
    }

    /// All steps of a walk in order.
    pub(crate) fn steps(&self, ids: &Ids) -> SmallVec<[&Step; 16]> {
        ids.iter().take_while(|id| **id != 0).flat_map(|id| self.segments.steps(*id)).collect()
    }
}
