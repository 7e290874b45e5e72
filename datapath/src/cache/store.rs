//! The cache itself: what it holds for whom, and for how long.

use super::entry::{Found, Ids, MOST_ENTRIES, PACKED, Packing, Places, SEGMENTS, unpack};
use super::judge::{Judge, Verdict};
use super::key::{COMPACT, FAST, is_received};
use super::leg::{self, Leg, Legs, Next, Stand};
use super::micro::Runner;
use super::newcomers::Newcomers;
use super::record::{MOST_STEPS, Step};
use super::seen::Seen;
use super::segment::{Segments, Since, Traits, is_passing};
use super::stats::CacheStats;
use super::validity::Validity;
use super::watch::Watch;
use crate::key::{FlowKey, word};
use crate::pipeline::{Hit, View};
use ofproto::field::FieldId;
use ofproto::ids::{PortNo, TableId};
use smallvec::SmallVec;

/// The generation of an entry that was found stale.
const VOID: u32 = 0;
/// Generations of which it is remembered up to which version they were proven.
const PROOFS: usize = 1024;

/// So many legs without a segment that lasts, times those that there may be, are found before other flows get a chance.
const STAYING: usize = 128;
/// Walks that are put together: as many as a cache has entries, divided by this, and these at most.
const FLOWS_A_WALK: usize = 8;
const MOST_WALKS: usize = 16_384;
/// Segments that even a small cache has room for.
const LEAST_SEGMENTS: usize = 65_536;

/// More segments of flow entries that ended than this, some 400 bytes each, are worth forgetting all, if they are the
/// larger part: to find the others again then costs no more than those did.
const MANY_DEAD: usize = 16_384;

/// A walk to be remembered.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'s> {
    /// What the packet was like.
    pub(crate) kind: u32,
    pub(crate) steps: &'s [Step],
    /// What tables were asked for can't be told from packet and steps.
    pub(crate) opaque: bool,
    /// Where a TTL ends inside a resubmit, what follows can't be told from the steps.
    pub(crate) leaves: bool,
}

/// A worker's cache.
#[derive(Debug)]
pub struct Cache {
    /// Entries of packed keys, and of others.
    packed: Places,
    wide: Places,
    /// Segments that are kept, and how many of them are enough: then walks of flows without make segments that last for
    /// one burst.
    most_segments: usize,
    enough_segments: usize,
    many_dead: usize,
    /// Legs with such segments since everything was forgotten, and the latest of them.
    passed: usize,
    passing: Leg,
    /// The words of the key that the mask touches, and the mask's bits there.
    touched: Vec<(usize, u64)>,
    /// The same of a compact key.
    compact: Option<[u64; COMPACT]>,
    packing: Option<Packing>,
    mask: FlowKey,
    /// What the pipeline's rules look at beyond their matches, as far as packets met them.
    extra: FlowKey,
    draws: u64,
    generation: u32,
    /// Counts how often everything was forgotten: what was found before is void.
    pub(crate) era: u32,
    /// Entries of earlier generations are void.
    floor: u32,
    version: u64,
    epoch: u64,
    /// Version and generation go up together; by so much they differ. What is forgotten widens it, so that for all
    /// entries that count, it is what it was when they were made.
    base: u64,
    /// What is so of the entries of the current generation was so up to this version.
    proven: u64,
    /// The same of earlier generations, with their numbers.
    proofs: Box<[(u32, u64); PROOFS]>,
    /// Per table the version that the latest add had, and whether a walk came through.
    last_add: Box<[u64; 256]>,
    used: Vec<TableId>,
    watch: Watch,
    pub(crate) segments: Segments,
    legs: Legs,
    /// The words of the key beyond `touched` that entries look at, and what they are when a walk begins.
    at_first: Vec<(usize, u64)>,
    /// Whether it pays, as far as the current windows tell.
    judge: Judge,
    /// Who is let in.
    newcomers: Newcomers,
    /// How it fares.
    pub stats: CacheStats,
}

impl Cache {
    /// A cache of at least `entries` entries of packed keys, which become up to `most` if more are needed, and as many
    /// of others. `seed` keys its hash.
    pub fn new(entries: usize, most: usize, seed: u64) -> Self {
        let lines = entries.next_power_of_two().max(64);
        let most = (most / 2 + 1).next_power_of_two().clamp(lines, MOST_ENTRIES);
        let stride = Places::stride_for(PACKED);
        let mut packed = Places::new(most * stride, stride, seed);
        packed.limit(lines / 2);
        let stride = Places::stride_for(COMPACT);
        let most_segments = (2 * lines + LEAST_SEGMENTS).min(SEGMENTS - MOST_STEPS);
        Self {
            packed,
            wide: Places::new(lines * stride, stride, !seed),
            most_segments,
            enough_segments: most_segments / 4 * 3,
            many_dead: MANY_DEAD,
            passed: 0,
            passing: Leg::NONE,
            touched: Vec::new(),
            compact: Some([0; COMPACT]),
            packing: Packing::new(&[0; COMPACT]),
            mask: FlowKey::default(),
            extra: FlowKey::default(),
            draws: seed | 1,
            generation: 1,
            era: 0,
            floor: 1,
            version: 0,
            epoch: 0,
            base: u64::MAX,
            proven: 0,
            proofs: Box::new([(0, 0); PROOFS]),
            last_add: Box::new([0; 256]),
            used: Vec::new(),
            watch: Watch::new(),
            segments: Segments::new(seed, (lines / FLOWS_A_WALK).min(MOST_WALKS)),
            legs: Legs::new(seed),
            at_first: Vec::new(),
            judge: Judge::new(lines),
            newcomers: Newcomers::new(),
            stats: CacheStats::default(),
        }
    }

    /// Takes up the version that the next packets see; `mask` is asked for only when it may have changed.
    pub(crate) fn adopt(&mut self, now: &impl Validity, mask: impl FnOnce() -> FlowKey) {
        if self.version == now.version() && self.epoch == now.epoch() {
            return;
        }
        let other = self.epoch != now.epoch();
        let doubt = self.watch.is_news(now) && self.hear(now);
        self.version = now.version();
        if other || doubt {
            self.next_generation();
        }
        self.proven = self.version;
        if other {
            self.epoch = now.epoch();
            self.floor = self.generation;
            self.legs.clear();
            self.set_mask(&mask());
        }
    }

    /// Hears of what changed. Whether walks that are remembered must be looked at again.
    #[cold]
    #[inline(never)]
    fn hear(&mut self, now: &impl Validity) -> bool {
        let Self { watch, segments, last_add, used, .. } = self;
        let doubt = watch.hear(now, |stats| segments.end(stats, now));
        for table in used {
            last_add[usize::from(table.0)] = now.last_add(*table);
        }
        doubt
    }

    /// Up to which version what an entry of this generation says is known to be so.
    fn proven(&self, made: u32) -> u64 {
        if made == self.generation {
            return self.proven;
        }
        let (of, until) = self.proofs[made as usize % PROOFS];
        // As far as is remembered; what it was made at, it holds for anyhow.
        if of == made { until } else { self.base.wrapping_add(u64::from(made)) }
    }

    /// The generation that goes with the version.
    fn next_generation(&mut self) {
        self.proofs[self.generation as usize % PROOFS] = (self.generation, self.proven);
        let next = self.version.wrapping_sub(self.base);
        match u32::try_from(next) {
            Ok(next) if next > 0 => self.generation = next,
            _ => {
                // Four thousand million versions on: begin anew.
                self.packed.forget();
                self.wide.forget();
                self.segments.clear();
                self.legs.clear();
                self.era = self.era.wrapping_add(1);
                self.base = self.version.wrapping_sub(1);
                self.generation = 1;
                self.floor = 1;
                self.proofs.fill((0, 0));
            }
        }
    }

    /// What the first table was asked for a received packet, as far as the mask goes, from its key in the cache.
    fn seen<const N: usize>(mask: &[(usize, u64)], key: &[u64], opaque: bool) -> Seen {
        let mut whole = FlowKey::default();
        let mut kind = FAST;
        match *key {
            [a, b] if N == PACKED => {
                let words = unpack([a, b]);
                whole.0[..COMPACT].copy_from_slice(&words);
            }
            _ => {
                if N == COMPACT {
                    whole.0[..COMPACT].copy_from_slice(key);
                } else {
                    mask.iter().zip(key).for_each(|((w, _), k)| whole.0[*w] = *k);
                }
                kind = (whole.0[word::IN_PORT] >> 32) as u32;
            }
        }
        // A kind stands where in_phy_port stood, which is the same.
        let port = whole.0[word::IN_PORT] & 0xffff_ffff;
        whole.0[word::IN_PORT] = port << 32 | port;
        Seen::new(whole, kind, opaque)
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
        let touched = mask.0.into_iter().enumerate().filter(|(w, m)| *m != 0 && is_received(*w));
        self.touched = touched.collect();
        let rest = mask.0.into_iter().enumerate().filter(|(w, m)| *m != 0 && !is_received(*w));
        let mut first = FlowKey::default();
        first.set(FieldId::ActsetOutput, u128::from(PortNo::UNSET.0));
        self.at_first = rest.map(|(w, _)| (w, first.0[w])).collect();
        self.compact = self
            .touched
            .iter()
            .all(|(w, _)| *w < COMPACT)
            .then(|| [mask.0[0], mask.0[1], mask.0[2], mask.0[3], mask.0[4]]);
        self.packing = self.compact.as_ref().and_then(Packing::new);
        let n = if self.compact.is_some() { COMPACT } else { self.touched.len() };
        self.wide.set_stride(Places::stride_for(n));
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

    /// How keys of packets from a port are packed, if they can be.
    #[inline]
    pub(crate) fn packing(&self, port: PortNo) -> Option<Packing> {
        self.packing?.of_port(port)
    }

    /// The words of the key, and the mask there, of keys that aren't compact.
    pub(crate) fn touched(&self) -> &[(usize, u64)] {
        &self.touched
    }

    /// Forgets everything. No segment may have anything uncounted.
    pub fn clear(&mut self) {
        self.base = self.base.wrapping_sub(1);
        self.next_generation();
        self.floor = self.generation;
        self.era = self.era.wrapping_add(1);
        self.segments.clear();
        self.legs.clear();
        self.passed = 0;
        self.watch.forget();
        self.judge.reset();
    }

    /// Whether the next `n` packets should be looked up at all.
    #[inline]
    pub(crate) fn pays(&mut self, n: usize) -> bool {
        match self.judge.pays(n, self.newcomers.come_again()) {
            Verdict::Pays => true,
            Verdict::TooSmall => {
                let grown = self.packed.grow();
                self.judge.grown(grown);
                true
            }
            Verdict::Past => {
                self.stats.bypassed += n as u64;
                false
            }
        }
    }

    /// A packet's walk could not be remembered, however much room there is.
    pub(crate) fn refused(&mut self) {
        self.judge.refused();
    }

    #[inline]
    const fn places<const N: usize>(&self) -> &Places {
        if N == PACKED { &self.packed } else { &self.wide }
    }

    #[inline]
    const fn places_mut<const N: usize>(&mut self) -> &mut Places {
        if N == PACKED { &mut self.packed } else { &mut self.wide }
    }

    /// Where a key's set begins. `N`, here and below, is the length of the key, or 0 for one of any length that is not
    /// compact.
    #[inline]
    pub(crate) fn place<const N: usize>(&self, key: &[u64]) -> usize {
        self.places::<N>().place::<N>(key)
    }

    /// Asks for a set's lines.
    #[inline]
    pub(crate) fn prefetch<const N: usize>(&self, place: usize) {
        self.places::<N>().prefetch::<N>(place);
    }

    /// What was remembered for this key, if nothing came since that makes it void. Whether a flow entry ended, its
    /// [segments](Segments::look) say.
    #[inline(always)]
    pub(crate) fn find<const N: usize>(&mut self, place: usize, key: &[u64], now: &impl Validity) -> Found {
        for at in self.places::<N>().ways::<N>(place) {
            let (same, found) = self.places::<N>().entry::<N>(at, key);
            if same && found.generation() >= self.floor {
                if found.generation() != self.generation && !self.renew::<N>(at, key, found, now) {
                    return Found::NOT;
                }
                return found;
            }
        }
        Found::NOT
    }

    /// What [`find`](Self::find) gave, if no flow entry of it ended.
    pub(crate) fn confirm<const N: usize>(
        &mut self,
        found: Found,
        place: usize,
        key: &[u64],
        now: &impl Validity,
    ) -> Found {
        if !self.segments.is_dead(&found.ids()) {
            return found;
        }
        for at in self.places::<N>().ways::<N>(place) {
            let (same, found) = self.places::<N>().entry::<N>(at, key);
            if same && found.generation() >= self.floor {
                self.renew::<N>(at, key, found, now);
            }
        }
        Found::NOT
    }

    /// Counts packets that were served from here.
    #[inline]
    pub(crate) fn served(&mut self, n: u32) {
        self.stats.hits += u64::from(n);
        self.judge.hits(n);
    }

    /// Whether an entry still holds; it is then of this generation.
    #[cold]
    #[inline(never)]
    fn renew<const N: usize>(&mut self, at: usize, key: &[u64], found: Found, now: &impl Validity) -> bool {
        let since = Since {
            version: self.proven(found.generation()),
            generation: self.generation,
            whole: self.watch.whole,
            last_add: &self.last_add,
        };
        let (touched, generation) = (&self.touched, self.generation);
        let seen = || Self::seen::<N>(touched, key, found.is_opaque());
        let ok = self.segments.hold(&found.ids(), &since, seen, now);
        if ok && self.watch.is_watching() {
            self.note(&found, Self::seen::<N>(&self.touched, key, found.is_opaque()));
        }
        self.places_mut::<N>().renew(at, if ok { generation } else { VOID });
        ok
    }

    /// Watches for what may make a walk mean something else.
    fn note(&mut self, found: &Found, mut seen: Seen) {
        let ids = found.ids();
        let steps = ids.iter().take_while(|id| **id != 0).flat_map(|id| self.segments.steps(*id));
        if self.watch.remember(&mut seen, steps) {
            self.watch.forget();
        }
    }

    /// Counts a packet that [`find`](Self::find) didn't know. Whether its walk should be remembered, and where: in
    /// place of what is void or stale at once; when both places are taken by others that still hold, mostly not, as a
    /// flood of new keys would push out what pays. In such a flood a key must have come before.
    #[inline]
    pub(crate) fn room<const N: usize>(&mut self, place: usize, key: &[u64], now: &impl Validity) -> Option<usize> {
        let places = self.places::<N>();
        let known = places.ways::<N>(place).into_iter().any(|at| places.entry::<N>(at, key).0);
        let hash = places.hash::<N>(key);
        if !known && !self.newcomers.admits(hash) {
            self.stats.misses += 1;
            self.judge.refused();
            return None;
        }
        self.room_for::<N>(place, key, now)
    }

    #[cold]
    #[inline(never)]
    fn room_for<const N: usize>(&mut self, place: usize, key: &[u64], now: &impl Validity) -> Option<usize> {
        let ways = self.places::<N>().ways::<N>(place);
        let (mut fresh, mut stale) = (None, None);
        let mut known = false;
        for at in ways {
            let (same, found) = self.places::<N>().entry::<N>(at, key);
            let made = found.generation();
            if made >= self.floor {
                if self.places::<N>().is_lost::<N>(at, place, key.len()) {
                    fresh = Some(at);
                    continue;
                }
                if made == self.generation && !self.segments.is_dead(&found.ids()) {
                    continue;
                }
                let own: SmallVec<[u64; COMPACT]> = self.places::<N>().key(at, key.len()).into();
                if self.renew::<N>(at, &own, found, now) {
                    continue;
                }
                stale = Some(at);
            } else if made == VOID && found.is_some() {
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
        let chance = self.judge.full(N == PACKED, self.newcomers.is_strict());
        ((self.draws >> 32) as u32 <= chance).then(|| ways[(self.draws >> 31 & 1) as usize])
    }

    /// Counts a packet that is walked though its key was not looked for again.
    pub(crate) const fn missed(&mut self) {
        self.stats.misses += 1;
    }

    /// Remembers a walk at a place that [`room`](Self::room) gave.
    pub(crate) fn insert<const N: usize>(&mut self, at: usize, key: &[u64], walk: Recorded<'_>, now: &impl Validity) {
        if self.segments.len() > self.most_segments {
            self.clear();
        }
        let Some((ids, traits)) = self.segments.chain(Runner::new(walk.kind), walk.steps) else { return };
        for s in walk.steps {
            if let Step::Lookup(table, _) = s {
                self.uses(*table, now);
            }
        }
        let found = Found::new(self.generation, ids, traits, (walk.opaque, walk.leaves));
        if self.watch.is_watching() {
            self.note(&found, Self::seen::<N>(&self.touched, key, walk.opaque));
        }
        self.places_mut::<N>().put(at, found, key);
        self.stats.inserts += 1;
    }

    /// A walk comes through this table.
    fn uses(&mut self, table: TableId, now: &impl Validity) {
        if !self.used.contains(&table) {
            self.used.push(table);
            self.watch.add(table, now);
            self.last_add[usize::from(table.0)] = now.last_add(table);
        }
    }

    /// Sees to it that `n` more segments can be made for a burst. May forget everything; no segment may have anything
    /// uncounted.
    #[inline]
    pub(crate) fn make_room(&mut self, n: usize) {
        let crowded = self.segments.len() + n > self.enough_segments && self.should_begin_anew(n);
        if crowded || self.segments.are_mostly_dead(self.many_dead) {
            self.clear();
        }
        self.segments.begin();
    }

    /// Whether there is no room for `n` more segments, or what has room is of little use.
    #[cold]
    #[inline(never)]
    fn should_begin_anew(&self, n: usize) -> bool {
        self.segments.len() + n > self.most_segments
            || self.segments.many_are_dead()
            || self.passed / STAYING > self.most_segments
    }

    /// What tables are asked about a received packet, by its key in the cache, written over whatever `whole` was before.
    #[inline]
    pub(crate) fn whole_key<const N: usize>(&self, key: &[u64], whole: &mut FlowKey) {
        match *key {
            [a, b] if N == PACKED => whole.0[..COMPACT].copy_from_slice(&unpack([a, b])),
            _ if N == COMPACT => whole.0[..COMPACT].copy_from_slice(key),
            _ => self.touched.iter().zip(key).for_each(|((w, _), k)| whole.0[*w] = *k),
        }
        let port = whole.0[word::IN_PORT] & 0xffff_ffff;
        whole.0[word::IN_PORT] = port << 32 | port;
        self.at_first.iter().for_each(|(w, k)| whole.0[*w] = *k);
    }

    /// Asks for the line of a leg.
    #[inline]
    pub(crate) fn prefetch_leg(&self, from: &Stand, hit: Option<&Hit<'_>>) {
        self.legs.prefetch(from, hit.map(|h| &h.handle));
    }

    /// What an entry, or that there is none, does to packets that stand so. `guess`: where the leg of a packet like it
    /// was, and then where this one is: what no rule is for mostly meets one entry.
    #[inline]
    pub(crate) fn leg<'v, V: View<'v> + Validity>(
        &mut self,
        view: V,
        from: &Stand,
        hit: Option<&Hit<'v>>,
        guess: &mut usize,
    ) -> &Leg {
        let handle = hit.map(|h| &h.handle);
        if !self.legs.is_at(*guess, from, handle) {
            match self.legs.find(from, handle) {
                Some(at) => *guess = at,
                None => return self.new_leg(view, *from, hit),
            }
        }
        self.legs.get(*guess)
    }

    #[cold]
    #[inline(never)]
    fn new_leg<'v, V: View<'v> + Validity>(&mut self, view: V, from: Stand, hit: Option<&Hit<'v>>) -> &Leg {
        let mut draft = leg::draft(view, from, hit, &self.mask);
        if !matches!(draft.leg.next(), Next::Unknown) {
            if self.segments.len() > self.enough_segments {
                self.passed += 1;
                self.passing = draft.leg;
                match self.segments.pass(from.shape, &draft.steps) {
                    Some((segment, traits)) => self.passing.set_segment(segment, traits),
                    None => self.passing.give_up(),
                }
                return &self.passing;
            }
            let (segment, traits) = self.segments.leg(from.shape, &draft.steps);
            draft.leg.set_segment(segment, traits);
            self.uses(from.table, &view);
        }
        let at = self.legs.put(draft.leg);
        self.legs.get(at)
    }

    /// Whether a walk of legs can't be remembered, as what it consists of doesn't last; it is counted then.
    #[inline]
    pub(crate) fn passes(&mut self, ids: &Ids) -> bool {
        let passes = is_passing(ids);
        self.stats.misses += u64::from(passes);
        passes
    }

    /// With so few segments as that there are enough of them.
    #[cfg(test)]
    pub(crate) const fn limit_segments(&mut self, enough: usize) {
        self.enough_segments = enough;
    }

    /// With so few dead segments as that there are many.
    #[cfg(test)]
    pub(crate) const fn limit_dead(&mut self, many: usize) {
        self.many_dead = many;
    }

    /// Legs whose segment lasts for one burst, since everything was forgotten.
    #[cfg(test)]
    pub(crate) const fn passed(&self) -> usize {
        self.passed
    }

    /// A walk of legs as if it had been found here.
    #[inline]
    pub(crate) fn walked(&self, ids: Ids, traits: Traits) -> Found {
        Found::new(self.generation, ids, traits, (false, false))
    }

    /// Remembers a walk of legs at a place that [`room`](Self::room) gave.
    pub(crate) fn remember<const N: usize>(&mut self, at: usize, key: &[u64], found: Found) {
        if self.watch.is_watching() {
            self.note(&found, Self::seen::<N>(&self.touched, key, false));
        }
        self.places_mut::<N>().put(at, found, key);
        self.stats.inserts += 1;
    }

    /// All steps of a walk in order.
    pub(crate) fn steps(&self, ids: &Ids) -> SmallVec<[&Step; 16]> {
        ids.iter().take_while(|id| **id != 0).flat_map(|id| self.segments.steps(*id)).collect()
    }
}
