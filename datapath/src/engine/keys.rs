//! The keys of a burst's packets, made before any is looked for, and what the cache is asked by them.

use super::burst::{BURST, FastPath, port_key};
use crate::cache::{COMPACT, Found, LONGEST, PACKED, Packing, Recorded, Validity, extract, is_easy, kind, project};
use crate::classifier::prefetch;
use crate::frame::Frame;
use crate::key::word;
use ofproto::ids::PortNo;

/// Bit of a packet's kind: it is longer than [`LONGEST`].
pub(super) const TOO_LONG: u32 = 1 << 25;

/// The keys of a burst: packed or, where that can't be, compact; or else so many words each.
#[derive(Debug)]
pub(super) struct Keys {
    packed: [[u64; PACKED]; BURST],
    /// Bit by bit the packets that have a compact key though others have packed ones.
    loose: u32,
    compact: [[u64; COMPACT]; BURST],
    wide: Vec<u64>,
    words: usize,
}

impl Keys {
    pub(super) const fn new() -> Self {
        Self { packed: [[0; PACKED]; BURST], loose: 0, compact: [[0; COMPACT]; BURST], wide: Vec::new(), words: 0 }
    }

    /// The key of a packet; `N` is its length, or 0 for keys of lengths that change.
    #[inline]
    pub(super) fn get<const N: usize>(&self, i: usize) -> &[u64] {
        match N {
            PACKED => &self.packed[i],
            COMPACT => &self.compact[i],
            _ => &self.wide[i * self.words..(i + 1) * self.words],
        }
    }

    #[inline]
    pub(super) const fn is_loose(&self, i: usize) -> bool {
        self.loose >> i & 1 != 0
    }
}

impl FastPath {
    /// Makes packed keys, and looks where in the cache they belong.
    #[inline]
    pub(super) fn packed_keys(&mut self, packing: Packing, frames: &mut [Frame], in_port: PortNo) {
        for frame in &*frames {
            prefetch(frame.bytes().as_ptr());
        }
        self.keys.loose = 0;
        let (mut last, mut comparable, mut place) = ([0; PACKED], false, 0);
        for (i, frame) in frames.iter_mut().enumerate().take(BURST) {
            let mut whole = [0; COMPACT];
            let Some(ttl) = extract(frame.bytes(), in_port.0, &mut whole) else {
                self.compact_key(i, frame, in_port);
                self.keys.loose |= 1 << i;
                comparable = false;
                continue;
            };
            self.easy |= u32::from(is_easy(ttl, frame.offload.checksum)) << i;
            let key = packing.pack(&whole);
            self.kinds[i] = (whole[word::IN_PORT] >> 32) as u32;
            if comparable && key == last {
                self.twins |= 1 << i;
            } else {
                if self.probing {
                    place = self.cache.place::<PACKED>(&key);
                    self.cache.prefetch::<PACKED>(place);
                }
                (last, comparable) = (key, true);
            }
            self.places[i] = place;
            self.keys.packed[i] = key;
        }
    }

    /// Makes the keys of compact length, and looks where in the cache they belong.
    pub(super) fn compact_keys(&mut self, frames: &mut [Frame], in_port: PortNo) {
        for (i, frame) in frames.iter_mut().enumerate().take(BURST) {
            self.compact_key(i, frame, in_port);
            if i > 0 && self.keys.compact[i] == self.keys.compact[i - 1] {
                self.twins |= 1 << i;
            }
        }
    }

    fn compact_key(&mut self, i: usize, frame: &mut Frame, in_port: PortNo) {
        let mask = self.cache.compact().unwrap_or_default();
        let mut key = [0; COMPACT];
        if extract(frame.bytes(), in_port.0, &mut key).is_some() {
            self.kinds[i] = (key[word::IN_PORT] >> 32) as u32;
        } else {
            let kind = self.parse(frame, in_port);
            self.kinds[i] = kind;
            key = std::array::from_fn(|w| project(&self.packet.key, kind, w));
        }
        for (k, m) in key.iter_mut().zip(mask) {
            *k &= m;
        }
        if self.probing {
            let place = self.cache.place::<COMPACT>(&key);
            self.cache.prefetch::<COMPACT>(place);
            self.places[i] = place;
        }
        self.keys.compact[i] = key;
    }

    /// Makes the keys of other lengths, and looks where in the cache they belong.
    pub(super) fn wide_keys(&mut self, frames: &mut [Frame], in_port: PortNo) {
        self.keys.words = self.cache.touched().len();
        self.keys.wide.clear();
        for (i, frame) in frames.iter_mut().enumerate().take(BURST) {
            let kind = self.parse(frame, in_port);
            self.kinds[i] = kind;
            let from = self.keys.wide.len();
            self.keys.wide.extend(self.cache.touched().iter().map(|(w, m)| project(&self.packet.key, kind, *w) & m));
            if self.probing {
                self.places[i] = self.cache.place::<0>(&self.keys.wide[from..]);
                self.cache.prefetch::<0>(self.places[i]);
            }
        }
    }

    /// Parses a frame that stays where it is.
    #[inline(never)]
    fn parse(&mut self, frame: &mut Frame, in_port: PortNo) -> u32 {
        self.packet.load(std::mem::take(frame), &port_key(in_port));
        let kind = kind(&self.packet);
        *frame = std::mem::take(&mut self.packet.frame);
        kind | if frame.len() > LONGEST { TOO_LONG } else { 0 }
    }

    /// What was found for packet `i`, if no flow entry of it ended.
    #[cold]
    #[inline(never)]
    pub(super) fn confirm<const N: usize>(&mut self, i: usize, now: &impl Validity) -> Found {
        if N == PACKED && self.keys.is_loose(i) {
            return self.cache.confirm::<COMPACT>(self.found[i], self.places[i], self.keys.get::<COMPACT>(i), now);
        }
        self.cache.confirm::<N>(self.found[i], self.places[i], self.keys.get::<N>(i), now)
    }

    /// What the cache knows of packet `i`, unless only the end of a flow entry makes it void.
    #[inline(always)]
    pub(super) fn find<const N: usize>(&mut self, i: usize, now: &impl Validity) -> Found {
        if N == PACKED && self.keys.is_loose(i) {
            return self.find_loose(i, now);
        }
        self.cache.find::<N>(self.places[i], self.keys.get::<N>(i), now)
    }

    #[cold]
    #[inline(never)]
    fn find_loose(&mut self, i: usize, now: &impl Validity) -> Found {
        self.cache.find::<COMPACT>(self.places[i], self.keys.get::<COMPACT>(i), now)
    }

    /// Where the walk of packet `i`, which the cache doesn't know, should be remembered.
    pub(super) fn room<const N: usize>(&mut self, i: usize, now: &impl Validity) -> Option<usize> {
        if N == PACKED && self.keys.is_loose(i) {
            return self.cache.room::<COMPACT>(self.places[i], self.keys.get::<COMPACT>(i), now);
        }
        self.cache.room::<N>(self.places[i], self.keys.get::<N>(i), now)
    }

    /// Remembers the walk of packet `i`.
    pub(super) fn insert<const N: usize>(&mut self, i: usize, at: usize, walk: Recorded<'_>, now: &impl Validity) {
        if N == PACKED && self.keys.is_loose(i) {
            return self.cache.insert::<COMPACT>(at, self.keys.get::<COMPACT>(i), walk, now);
        }
        self.cache.insert::<N>(at, self.keys.get::<N>(i), walk, now);
    }

    /// Remembers the walk of packet `i` that was found by legs.
    pub(super) fn remember<const N: usize>(&mut self, i: usize, at: usize) {
        if N == PACKED && self.keys.is_loose(i) {
            return self.cache.remember::<COMPACT>(at, self.keys.get::<COMPACT>(i), self.found[i]);
        }
        self.cache.remember::<N>(at, self.keys.get::<N>(i), self.found[i]);
    }
}
