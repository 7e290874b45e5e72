//! Walks of several segments put together, so that a hit touches one record instead of each segment.
//!
//! What is here is derived from the segments and may be gone at any time: a record says for which segments it stands,
//! and is void when the [epoch](Merged::next_epoch) ends, as it does when any flow entry of a segment ends. It is no
//! place for as many walks as there may be flows; where more walks come than there are records, it is left alone for
//! a while, and the segments are what is run.

use super::tally::Way;
use super::{Fate, Found, Hot, LEAVE, NO_STATS, NO_TABLE, On, Segments, is_passing, length};
use crate::cache::patch::Patch;
use crate::frame::Frame;
use crate::pipeline::View;

/// Segments of a walk that is put together.
const MOST_PARTS: usize = 7;
/// No record.
pub(crate) const NOWHERE: u32 = u32::MAX;
/// Packets after which it is looked how many found their record.
const WINDOW: u32 = 16_384;
/// Bursts in which they are left alone if less than three quarters did.
const PAUSE: u32 = 32_768;
/// A record that holds is replaced by one of so many that want its place.
const SELDOM: u32 = 16;

/// Where a segment counts.
#[derive(Clone, Copy)]
struct Part {
    stats: u32,
    /// By how many bytes a frame became shorter before.
    cut: u32,
}

/// What a hit touches: two lines, of which the second says where to count.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Walk {
    /// The epoch, and what the entry says of the walk.
    name: [u64; 2],
    fate: Fate,
    patch: Patch,
    /// The segment that drops, or 0.
    drops: u32,
    /// Its parts, and which tables it asks, by number.
    n: u16,
    way: u16,
    parts: [Part; MOST_PARTS],
}

const _: () = assert!(size_of::<Walk>() == 128);

impl Walk {
    const NONE: Self = Self {
        name: [0; 2],
        fate: LEAVE,
        patch: Patch::NONE,
        drops: 0,
        n: 0,
        way: 0,
        parts: [Part { stats: NO_STATS, cut: 0 }; MOST_PARTS],
    };
}

/// The records of a worker.
pub(super) struct Merged {
    walks: Box<[Walk]>,
    shift: u32,
    epoch: u32,
    /// Packets that looked for records, and those that did in vain, since the window began.
    asked: u32,
    missing: u32,
    /// Bursts in which they are still left alone.
    pause: u32,
    /// Walks that wanted the place of another that holds.
    refused: u32,
}

impl Merged {
    /// With a power of two of records, at least as many as asked for.
    pub(super) fn new(records: usize) -> Self {
        let n = records.next_power_of_two().max(2);
        let walks = vec![Walk::NONE; n].into_boxed_slice();
        crate::sys::huge_pages(&walks);
        Self { walks, shift: 64 - n.trailing_zeros(), epoch: 1, asked: 0, missing: 0, pause: 0, refused: 0 }
    }

    /// All records are void.
    pub(super) fn next_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // Names of four thousand million epochs ago would hold again.
            self.walks.fill(Walk::NONE);
            self.epoch = 1;
        }
    }

    #[inline]
    fn name(&self, found: &Found) -> [u64; 2] {
        let [a, b] = found.walk();
        [u64::from(self.epoch) << 32 | a, b]
    }

    /// Where the record of a walk would be, and asks for its lines; [`NOWHERE`] if it has but one segment, or can't have a
    /// record.
    #[inline]
    pub(super) fn place(&self, found: &Found) -> u32 {
        let [a, b] = found.walk();
        if b == 0 || self.pause > 0 || !found.is_patched() {
            return NOWHERE;
        }
        let at = ((a ^ b.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as u32;
        let walk = self.walks.as_ptr().wrapping_add(at as usize);
        crate::classifier::prefetch(walk);
        crate::classifier::prefetch(walk.cast::<u8>().wrapping_add(64));
        at
    }

    #[inline]
    fn get(&self, at: u32, found: &Found) -> Option<&Walk> {
        self.walks.get(at as usize).filter(|w| w.name == self.name(found))
    }

    /// A burst is over in which so many packets looked for records, and those of the bits that are set in vain.
    #[inline]
    fn judge(&mut self, asked: u32, missing: u32) {
        if asked > 0 {
            self.asked += asked;
            self.missing += missing.count_ones();
            if self.asked >= WINDOW {
                self.pause = if self.missing > self.asked / 4 { PAUSE } else { 0 };
                (self.asked, self.missing) = (0, 0);
            }
        } else {
            self.pause = self.pause.saturating_sub(1);
        }
    }
}

impl Segments {
    /// Where the record of a walk would be; asks for what a hit will touch.
    #[inline]
    pub(crate) fn ask(&self, found: &Found) -> u32 {
        let at = self.merged.place(found);
        if at == NOWHERE {
            found.ids().into_iter().take_while(|id| *id != 0).for_each(|id| self.prefetch(id));
        }
        at
    }

    /// Asks for the counters of a walk if its record is there, which says that no flow entry of it ended.
    #[inline]
    pub(crate) fn ask_counters<'v>(&self, at: u32, found: &Found, view: impl View<'v>, counters: bool) -> bool {
        let Some(walk) = self.merged.get(at, found) else { return false };
        if counters {
            for part in walk.parts.iter().take(usize::from(walk.n)) {
                view.prefetch_count(part.stats);
            }
        }
        true
    }

    /// A burst is over in which so many packets looked for records, and those of the bits that are set in vain.
    #[inline]
    pub(crate) fn judge_records(&mut self, asked: u32, missing: u32) {
        self.merged.judge(asked, missing);
    }

    /// As [`run`](Self::run), if the walk's record is there.
    #[inline]
    pub(super) fn run_merged<'v>(
        &mut self,
        at: u32,
        found: &Found,
        frames: &mut [Frame],
        on: &On<'_, impl View<'v>>,
    ) -> Option<Fate> {
        let name = self.merged.name(found);
        let walk = self.merged.walks.get(at as usize).filter(|w| w.name == name)?;
        let packets = frames.len() as u64;
        let bytes = length(frames);
        self.tables.add_way(walk.way, packets);
        for part in walk.parts.iter().take(usize::from(walk.n)) {
            on.view.count(part.stats, packets, bytes - packets * u64::from(part.cut), *on.now);
        }
        self.drops.note(walk.drops != 0, walk.drops, packets as u32);
        walk.patch.apply_all(frames, on.kind);
        Some(walk.fate)
    }

    /// Puts a walk together that was run by its segments, if it can be and there is a place.
    #[cold]
    #[inline(never)]
    pub(crate) fn merge(&mut self, at: u32, found: &Found) {
        let Self { merged, hot, tables, .. } = self;
        let name = merged.name(found);
        let epoch = merged.epoch;
        let Some(place) = merged.walks.get_mut(at as usize) else { return };
        let ids = found.ids();
        if place.name == name || is_passing(&ids) {
            return;
        }
        if (place.name[0] >> 32) as u32 == epoch {
            merged.refused = merged.refused.wrapping_add(1);
            if !merged.refused.is_multiple_of(SELDOM) {
                return;
            }
        }
        let mut walk = Walk { name, ..Walk::NONE };
        let (mut cut, mut way) = (0, Way::new());
        for first in ids.into_iter().take_while(|id| *id != 0) {
            let mut id = first;
            while id != 0 {
                let Some(hot) = hot.get(id as usize) else { return };
                if hot.dead || !walk.add(hot, id, &mut cut) {
                    return;
                }
                if hot.table != NO_TABLE {
                    way.push((hot.table, hot.stats != NO_STATS));
                }
                id = hot.next;
            }
        }
        let Some(way) = tables.way(way) else { return };
        *place = Walk { way, ..walk };
    }
}

impl Walk {
    /// Goes on with a segment, if there is room.
    fn add(&mut self, hot: &Hot, id: u32, cut: &mut u32) -> bool {
        let super::Edits::Patch(patch) = hot.edits else { return false };
        if hot.stats != NO_STATS {
            let Some(part) = self.parts.get_mut(usize::from(self.n)) else { return false };
            *part = Part { stats: hot.stats, cut: *cut };
            self.n += 1;
        }
        self.patch = self.patch.and(patch);
        *cut += patch.shortens() as u32;
        self.fate = self.fate.min(hot.fate);
        if hot.drop.is_some() {
            if self.drops != 0 {
                return false;
            }
            self.drops = id;
        }
        true
    }
}
