//! Whether a cache pays.

/// Judged probes after which the hit rate is looked at.
const WINDOW: u32 = 4096;
/// Packets sent past a cache that doesn't pay before it is tried again.
const PAST: u32 = 65_536;
/// One hit in so many probes is the least that pays.
const LEAST: u32 = 8;
/// One probe in so many that fails for want of places makes a cache grow.
const CROWDED: u32 = 64;
/// Out of 2^32, how often a walk replaces another that holds: one in sixteen while the cache pays; every second one
/// while it is on trial, as there is nothing to lose then, and flows that last must get in among what a flood left; so,
/// too, what came again in a flood.
const SELDOM: u32 = u32::MAX / 16;
const OFTEN: u32 = u32::MAX / 2;

/// What is to be done with the next packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They should be looked up.
    Pays,
    /// They should, in a larger cache if there can be one.
    TooSmall,
    /// They should go past it.
    Past,
}

/// Decides from what probes find whether packets should be looked up at all.
///
/// A probe speaks against the cache if its set is full of other keys that hold, or if the walk can't be remembered.
/// One that finds an empty place says nothing: the cache fills, and it can do so only once. One that finds a stale
/// place says little: only when there were as many as the cache has places, and still next to no hits, things change
/// faster than packets come back.
#[derive(Debug)]
pub(super) struct Judge {
    /// Hits, and probes that failed, since the window began.
    hits: u32,
    failed: u32,
    /// Hits of whole windows and replaced stale entries, since the longer window began, and how long that is.
    kept: u32,
    replaced: u32,
    places: u32,
    /// Failed probes that would not have, had there been more places.
    crowded: u32,
    can_grow: bool,
    /// Packets still to be sent past it.
    past: u32,
    /// Whether the last window failed.
    trial: bool,
}

impl Judge {
    /// Of a cache with so many places.
    pub(super) fn new(places: usize) -> Self {
        let places = u32::try_from(places).unwrap_or(u32::MAX / 2).max(WINDOW);
        Self { hits: 0, failed: 0, kept: 0, replaced: 0, places, crowded: 0, can_grow: true, past: 0, trial: false }
    }

    /// Everything was forgotten.
    pub(super) fn reset(&mut self) {
        *self = Self { can_grow: self.can_grow, ..Self::new(self.places as usize) };
    }

    #[inline]
    pub(super) fn hits(&mut self, n: u32) {
        self.hits += n;
    }

    /// A stale entry makes room.
    pub(super) fn replaced(&mut self) {
        self.replaced += 1;
        let kept = self.kept.saturating_add(self.hits);
        let all = kept.saturating_add(self.replaced);
        if all >= self.places {
            if kept < all / LEAST {
                self.past = PAST;
            }
            (self.kept, self.replaced) = (0, 0);
        }
    }

    /// There are so many times as many places now; 1: there can't be more.
    pub(super) fn grown(&mut self, times: usize) {
        self.places = self.places.saturating_mul(times as u32);
        self.can_grow = times > 1;
    }

    /// The walk can't be remembered, or its key isn't let in.
    pub(super) fn refused(&mut self) {
        self.failed += 1;
    }

    /// The set is full of others, and may not be with more of them if `sparser`. How often, out of 2^32, to replace one;
    /// `again`: for a key that came again where hardly any does.
    pub(super) fn full(&mut self, sparser: bool, again: bool) -> u32 {
        self.failed += 1;
        self.crowded += u32::from(sparser && self.can_grow);
        if self.trial || again { OFTEN } else { SELDOM }
    }

    /// What to do with the next `n` packets; whether keys that the cache doesn't know come again, if that is known.
    #[inline]
    pub(super) fn pays(&mut self, n: usize, come_again: Option<bool>) -> Verdict {
        if self.past > 0 {
            self.past = self.past.saturating_sub(n as u32);
            return Verdict::Past;
        }
        if self.hits.saturating_add(self.failed) < WINDOW { Verdict::Pays } else { self.close(come_again) }
    }

    #[cold]
    fn close(&mut self, come_again: Option<bool>) -> Verdict {
        let crowded = self.crowded > WINDOW / CROWDED && come_again != Some(false);
        self.crowded = 0;
        self.kept = self.kept.saturating_add(self.hits);
        let failed = self.hits < (self.hits + self.failed) / LEAST;
        (self.hits, self.failed) = (0, 0);
        self.trial = failed;
        if crowded {
            self.trial = false;
            // As long as it isn't known, it is to be found out.
            if come_again.is_some() { Verdict::TooSmall } else { Verdict::Pays }
        } else if failed {
            self.past = PAST;
            Verdict::Past
        } else {
            Verdict::Pays
        }
    }
}
