//! A burst's way through the cache, in stages: all keys, all probes, then packet after packet.
//!
//! Frames leave a port and queue in the order in which they came: what a hit sends waits until the packets before it
//! are done, and what is counted is written before anything is sent.

use super::Shortcuts;
use super::deal::Deal;
use super::keys::{Keys, TOO_LONG};
use super::misses::{Walks, bits};
use super::switching::{Batch, Switching};
use crate::cache::{
    COMPACT, Cache, FAST, Fate, Found, GONE, LEAVE, MOST_SEGMENTS, NOWHERE, On, PACKED, Recorded, Recorder, Validity,
    is_passing, replay, way_out,
};
use crate::checksum::SCTP_OFFSET;
use crate::classifier::prefetch;
use crate::frame::Frame;
use crate::key::{FlowKey, word};
use crate::packet::Packet;
use crate::pipeline::{Env, Outcome, PortFacts, Sink, Start, Unobserved, View, execute, execute_recorded, select_bits};
use ofproto::field::FieldId;
use ofproto::ids::PortNo;

/// Packets that are worked on together; no more than bits of [`FastPath::twins`].
pub(super) const BURST: usize = 32;
/// Ways out of which each has its frames moved at once.
const MOST_WAYS: usize = 4;

/// One thread's cache and the memory of its bursts.
#[derive(Debug)]
pub(crate) struct FastPath {
    pub(crate) cache: Cache,
    /// The packet being worked on.
    pub(super) packet: Packet,
    pub(super) keys: Keys,
    pub(super) kinds: [u32; BURST],
    pub(super) places: [usize; BURST],
    pub(super) found: [Found; BURST],
    /// Where the records of the walks that were found would be.
    records: Records,
    /// The walks of packets that the cache doesn't know.
    pub(super) walks: Walks,
    /// Whether the burst is looked up in the cache.
    pub(super) probing: bool,
    /// Bit by bit whether a packet has the key of the one before it.
    pub(super) twins: u32,
    /// Bit by bit whether a packet is known to be one that any segments can be run on.
    pub(super) easy: u32,
    /// What is to become of the frames that were decided on, and how many those are.
    pub(super) fates: [Fate; BURST],
    pub(super) decided: usize,
    /// Frames whose fate was carried out.
    pub(super) settled: usize,
    pub(super) switching: Switching,
    /// Frames that go one way.
    aside: Vec<Frame>,
    /// Packets that went through compiled segments.
    #[cfg(test)]
    pub(crate) compiled: u64,
    /// Packets whose walks were found by legs.
    #[cfg(test)]
    pub(crate) legged: u64,
    /// Packets that went by the record of their walk.
    #[cfg(test)]
    pub(crate) merged: u64,
}

/// Where the records of a burst's walks would be.
#[derive(Debug)]
pub(super) struct Records {
    at: [u32; BURST],
    /// How many were looked for, and those that weren't there, a bit each.
    asked: u32,
    missing: u32,
}

/// The circumstances of a burst.
pub(crate) struct Around<'a, 'v, V, S> {
    pub(crate) view: V,
    pub(crate) env: Env<'v>,
    /// Where the frames came in.
    pub(crate) in_port: PortNo,
    pub(crate) sink: &'a mut S,
}

/// The static mask of the cache's keys: what the tables look at, and what select groups hash if there
/// are any.
pub(super) fn cache_mask<'v>(view: impl View<'v>) -> FlowKey {
    let mut mask = view.union_mask();
    let by_flow = view.groups().has_select_by_flow().then(select_bits);
    for bits in by_flow.iter().chain([view.groups().fields_bits()]) {
        mask.0.iter_mut().zip(bits.0).for_each(|(m, b)| *m |= b);
    }
    if view.settings().drop_fragments {
        mask.set(FieldId::IpFrag, mask.get(FieldId::IpFrag) | 1);
    }
    mask
}

pub(super) fn port_key(in_port: PortNo) -> FlowKey {
    let mut key = FlowKey::default();
    key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
    key
}

impl FastPath {
    /// With a cache of at least `entries` entries, which become up to `most`.
    pub(crate) fn new(entries: usize, most: usize, seed: u64) -> Self {
        Self {
            cache: Cache::new(entries, most, seed),
            packet: Packet::new(Frame::default()),
            keys: Keys::new(),
            kinds: [0; BURST],
            places: [0; BURST],
            found: [Found::NOT; BURST],
            records: Records { at: [NOWHERE; BURST], asked: 0, missing: 0 },
            walks: Walks::new(),
            probing: true,
            twins: 0,
            easy: 0,
            fates: [LEAVE; BURST],
            decided: 0,
            settled: 0,
            switching: Switching::default(),
            aside: Vec::with_capacity(BURST),
            #[cfg(test)]
            compiled: 0,
            #[cfg(test)]
            legged: 0,
            #[cfg(test)]
            merged: 0,
        }
    }

    /// Frames through the learning switch.
    pub(crate) fn standalone<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut Vec<Frame>,
    ) {
        let (view, settings) = (around.view, around.view.settings());
        let shut = |p: PortFacts| !p.takes_all();
        let simple =
            !settings.drop_fragments && settings.first_egress.is_none() && !view.port(around.in_port).is_some_and(shut);
        let plain = |f: &Frame| f.len() >= 14 && f.offload.checksum.is_none_or(|c| c.offset != SCTP_OFFSET);
        self.switching.reset();
        while !frames.is_empty() {
            let n = frames.len().min(BURST);
            if simple && frames[..n].iter().all(plain) {
                (self.decided, self.settled) = (0, 0);
                for frame in &frames[..n] {
                    prefetch(frame.bytes().as_ptr());
                }
                self.switch(around, &mut frames[..n], Batch { from: 0, n, queue: None, found: Found::NOT });
                self.part(around.sink, frames, n);
            } else {
                for frame in frames.drain(..n) {
                    self.interpret(around, frame, Start::Normal);
                }
            }
        }
    }

    /// A packet that the cache has no part in.
    fn interpret<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frame: Frame,
        start: Start<'v>,
    ) {
        let Around { view, env, in_port, sink } = around;
        self.packet.load(frame, &port_key(*in_port));
        if let Outcome::Left(frame) = execute(*view, *env, &mut self.packet, start, *sink, &mut Unobserved) {
            sink.left(frame);
        }
    }

    /// Frames from one port through the tables, in order. The frames are taken.
    pub(crate) fn burst<'v, V: View<'v> + Validity, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut Vec<Frame>,
        shortcuts: Shortcuts,
    ) {
        if shortcuts != Shortcuts::None {
            self.cache.adopt(&around.view, || cache_mask(around.view));
        }
        self.switching.reset();
        while !frames.is_empty() {
            let n = frames.len().min(BURST);
            if shortcuts == Shortcuts::None {
                for frame in frames.drain(..n) {
                    self.interpret(around, frame, Start::Received);
                }
                continue;
            }
            self.probing = shortcuts == Shortcuts::All && self.cache.pays(n);
            self.cache.make_room(n * MOST_SEGMENTS);
            (self.decided, self.settled) = (0, 0);
            (self.twins, self.easy) = (0, 0);
            if let Some(packing) = self.cache.packing(around.in_port) {
                self.packed_keys(packing, &mut frames[..n], around.in_port);
                self.chunk::<PACKED, V, S>(around, &mut frames[..n]);
            } else if self.cache.compact().is_some() {
                self.compact_keys(&mut frames[..n], around.in_port);
                self.chunk::<COMPACT, V, S>(around, &mut frames[..n]);
            } else {
                self.wide_keys(&mut frames[..n], around.in_port);
                self.chunk::<0, V, S>(around, &mut frames[..n]);
            }
            self.cache.segments.tell(around.view, around.in_port, around.sink);
            self.part(around.sink, frames, n);
        }
    }

    /// Carries out what is left to do with the first `n` frames, all of which were decided on.
    #[inline]
    fn part<S: Sink>(&mut self, sink: &mut S, frames: &mut Vec<Frame>, n: usize) {
        let fates = &self.fates[..self.decided];
        // Mostly all go one way: then they are moved at once.
        if let Some(&first) = fates.first()
            && first < GONE
            && self.settled == 0
            && n == frames.len()
            && fates.iter().all(|f| *f == first)
        {
            let (port, queue) = way_out(first);
            sink.transmit_all(port, queue, frames);
            return;
        }
        // Those that go one way at once, as long as there are few ways.
        let mut rest = alike(fates, |f| f != GONE) & u32::MAX.checked_shl(self.settled as u32).unwrap_or(0);
        let mut deal = Deal::new(frames, n);
        for _ in 0..MOST_WAYS {
            let Some(fate) = fates.get(rest.trailing_zeros() as usize).copied() else { break };
            let same = alike(fates, |f| f == fate) & rest;
            rest &= !same;
            deal.move_to(same, &mut self.aside);
            if fate == LEAVE {
                sink.left_all(&mut self.aside);
            } else {
                let (port, queue) = way_out(fate);
                sink.transmit_all(port, queue, &mut self.aside);
            }
        }
        while let Some(fate) = fates.get(rest.trailing_zeros() as usize) {
            if let Some(frame) = deal.take(rest.trailing_zeros() as usize) {
                carry_out(*fate, frame, sink);
            }
            rest &= rest - 1;
        }
    }

    /// Tells which tables were asked so far, and what was dropped.
    pub(super) fn tell_counts<'v, V: View<'v>, S: Sink>(&mut self, around: &mut Around<'_, 'v, V, S>) {
        self.cache.segments.tell(around.view, around.in_port, around.sink);
    }

    /// Carries out what was decided for the frames so far, drops first.
    pub(super) fn settle<'v, V: View<'v>, S: Sink>(&mut self, around: &mut Around<'_, 'v, V, S>, frames: &mut [Frame]) {
        self.tell_counts(around);
        let fates = &self.fates[..self.decided];
        for (frame, fate) in frames.iter_mut().zip(fates).skip(self.settled).filter(|(_, f)| **f != GONE) {
            carry_out(*fate, std::mem::take(frame), around.sink);
        }
        self.settled = self.decided;
    }

    fn chunk<'v, const N: usize, V: View<'v> + Validity, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
    ) {
        let view = around.view;
        let era = self.cache.era;
        let mut missed = 0u32;
        (self.records.asked, self.records.missing) = (0, 0);
        for i in 0..frames.len() {
            if self.twins >> i & 1 != 0 {
                self.found[i] = self.found[i - 1];
                self.records.at[i] = self.records.at[i - 1];
                continue;
            }
            self.found[i] = if self.probing { self.find::<N>(i, &view) } else { Found::NOT };
            missed |= u32::from(!self.found[i].is_some()) << i;
            self.records.at[i] = self.cache.segments.ask(&self.found[i]);
        }
        let mut fresh = 0;
        if missed != 0 {
            fresh = self.resolve::<N, V>(view, around.in_port, missed, self.probing);
            for i in 1..frames.len() {
                if self.twins >> i & 1 != 0 {
                    self.found[i] = self.found[i - 1];
                }
            }
        }
        let apart = self.twins.count_ones() as usize + 2 < frames.len();
        let counters = apart && self.cache.segments.are_many();
        if counters || self.cache.segments.are_any_dead() {
            self.look::<N, V>(frames.len(), view, counters);
        }
        let mut walked = false;
        let mut i = 0;
        let mut hits = 0;
        while i < frames.len() {
            let mut found = self.found[i];
            if self.cache.era != era {
                // Everything was forgotten, and the keys may be under another mask.
                if self.probing && fresh >> i & 1 == 0 {
                    self.cache.missed();
                }
                self.walk::<N, V, S>(around, frames, i, None);
                i += 1;
                continue;
            }
            if !found.is_some() && walked && self.probing {
                // An earlier packet of this burst may have been the first of its flow.
                found = self.find::<N>(i, &view);
            }
            if found.is_some() {
                let n = self.hit(around, frames, i, found);
                hits += n - (fresh >> i & 1) as usize;
                i += n;
            } else {
                walked = true;
                let at = if self.probing { self.room::<N>(i, &view) } else { None };
                self.walk::<N, V, S>(around, frames, i, at);
                i += 1;
            }
        }
        if self.probing {
            self.cache.served(hits as u32);
        }
        self.end_records();
    }

    /// Puts walks together that had to be run by their segments.
    #[inline]
    fn end_records(&mut self) {
        let Records { asked, missing, .. } = self.records;
        self.cache.segments.judge_records(asked, missing);
        for i in bits(missing) {
            self.cache.segments.merge(self.records.at[i], &self.found[i]);
        }
    }

    /// Looks whether flow entries ended by which walks were found, and asks for counters.
    #[inline]
    fn look<'v, const N: usize, V: View<'v> + Validity>(&mut self, n: usize, view: V, counters: bool) {
        let mut dead = false;
        for (i, (found, at)) in self.found[..n].iter().zip(self.records.at).enumerate() {
            // A twin's look would find what that before it did.
            if !counters && self.twins >> i & 1 != 0 || self.cache.segments.ask_counters(at, found, view, counters) {
                continue;
            }
            for id in found.ids().into_iter().take_while(|id| *id != 0) {
                dead |= self.cache.segments.look(id, view, counters);
            }
        }
        if dead {
            (0..n).for_each(|i| self.found[i] = self.confirm::<N>(i, &view));
        }
    }

    /// Packet `i` and those behind it that have its key, as far as they can be worked on together: how many.
    #[inline(always)]
    fn hit<'v, V: View<'v> + Validity, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        i: usize,
        found: Found,
    ) -> usize {
        let kind = self.kinds[i];
        // Shifted in two steps, as by 32 it isn't.
        let n = 1 + (self.twins >> i >> 1).trailing_ones() as usize;
        let easy = found.runs_on_easy() && (self.easy >> i).trailing_ones() as usize >= n;
        let n = if easy { n } else { runnable(&found, &frames[i..i + n], kind) };
        if n > 0 {
            #[cfg(test)]
            {
                self.compiled += n as u64;
            }
            let on = On { view: around.view, now: &around.env.now, kind };
            let at = self.records.at[i];
            let (fate, merged) = self.cache.segments.run(at, &found, &mut frames[i..i + n], &on);
            if at != NOWHERE {
                self.records.asked += 1;
                self.records.missing |= u32::from(!merged) << i;
                #[cfg(test)]
                {
                    self.merged += if merged { n as u64 } else { 0 };
                }
            }
            let (port, queue) = way_out(fate);
            match port {
                PortNo::NORMAL => self.switch(around, frames, Batch { from: i, n, queue, found }),
                PortNo::ALL => self.fan(around, frames, i, n, fate as u32),
                _ => {
                    match &mut self.fates[i..i + n] {
                        // Mostly one: without a loop.
                        [one] => *one = fate,
                        all => all.fill(fate),
                    }
                    self.decided = i + n;
                }
            }
            return n;
        }
        if is_passing(&found.ids()) || found.leaves() {
            self.walk::<PACKED, V, S>(around, frames, i, None);
            return 1;
        }
        self.settle(around, frames);
        let Around { view, env, in_port, sink } = around;
        self.packet.load(std::mem::take(&mut frames[i]), &port_key(*in_port));
        let outcome = {
            let steps = self.cache.steps(&found.ids());
            replay(*view, &steps, &mut self.packet, *env, *sink)
        };
        self.after(outcome, i, frames);
        1
    }

    /// By the interpreter. `at`: where in the cache to remember it.
    #[inline(never)]
    fn walk<'v, const N: usize, V: View<'v> + Validity, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        i: usize,
        at: Option<usize>,
    ) {
        self.settle(around, frames);
        let Around { view, env, in_port, sink } = around;
        let (view, env) = (*view, *env);
        let kind = self.kinds[i];
        let packet = &mut self.packet;
        packet.load(std::mem::take(&mut frames[i]), &port_key(*in_port));
        let outcome = match at {
            Some(at) if kind & TOO_LONG == 0 => {
                let mask = *self.cache.mask();
                let mut recorder = Recorder::new(&mask, kind);
                let recording = Some(&mut recorder);
                let outcome = execute_recorded(view, env, packet, Start::Received, *sink, &mut Unobserved, recording);
                let (opaque, leaves) = (recorder.is_opaque(), recorder.leaves());
                let (steps, wants) = recorder.finish();
                if let Some(steps) = steps {
                    self.insert::<N>(i, at, Recorded { kind, steps: &steps, opaque, leaves }, &view);
                } else if let Some(wants) = wants {
                    self.cache.widen(&wants);
                } else {
                    self.cache.refused();
                }
                outcome
            }
            at => {
                if at.is_some() {
                    self.cache.refused();
                }
                execute(view, env, packet, Start::Received, *sink, &mut Unobserved)
            }
        };
        self.after(outcome, i, frames);
    }

    fn after(&mut self, outcome: Outcome, i: usize, frames: &mut [Frame]) {
        self.fates[i] = match outcome {
            Outcome::Sent => GONE,
            Outcome::Left(frame) => {
                frames[i] = frame;
                LEAVE
            }
        };
        self.decided = i + 1;
    }
}

/// For which of at most 32 this holds, one bit each.
#[inline]
fn alike(fates: &[Fate], is: impl Fn(Fate) -> bool) -> u32 {
    fates.iter().take(BURST).enumerate().fold(0, |set, (i, f)| set | u32::from(is(*f)) << i)
}

#[inline]
fn carry_out<S: Sink>(fate: Fate, frame: Frame, sink: &mut S) {
    match fate {
        GONE => {}
        LEAVE => sink.left(frame),
        fate => {
            let (port, queue) = way_out(fate);
            sink.transmit(port, queue, frame);
        }
    }
}

/// On how many of the frames, from the first on, the segments of a walk can be run.
#[inline(never)]
fn runnable(found: &Found, frames: &[Frame], kind: u32) -> usize {
    frames.iter().take_while(|f| found.runs(f.offload.checksum, || ttl(f, kind))).count()
}

#[inline]
fn ttl(frame: &Frame, kind: u32) -> u8 {
    debug_assert!(kind & FAST != 0);
    frame.bytes().get(22 + 4 * (kind & 1) as usize).copied().unwrap_or(0)
}
