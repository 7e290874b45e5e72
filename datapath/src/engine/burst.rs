//! A burst's way through the cache, in stages: all keys, all probes, then packet after packet.
//!
//! Frames leave in the order in which they came: what a hit sends waits until the packets before it are done,
//! and what is counted is written before anything is sent.

use crate::cache::{COMPACT, Cache, FAST, Found, LONGEST, NO_PORT, Recorder, Validity, extract, kind, project, replay};
use crate::classifier::prefetch;
use crate::frame::Frame;
use crate::key::{FlowKey, word};
use crate::packet::Packet;
use crate::pipeline::{Env, Outcome, Sink, Start, Unobserved, View, execute, execute_recorded, select_bits};
use ofproto::field::FieldId;
use ofproto::ids::{PortNo, QueueId};

/// Packets that are worked on together.
const BURST: usize = 32;
/// A TTL above this survives every walk that is compiled.
const LIVELY: u8 = 32;

/// What is to become of a frame of the burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Send(PortNo, Option<QueueId>),
    Leave,
    /// It isn't here any more.
    Gone,
}

/// One thread's cache and the memory of its bursts.
#[derive(Debug)]
pub(crate) struct FastPath {
    pub(crate) cache: Cache,
    /// The packet being worked on.
    packet: Packet,
    keys: Vec<u64>,
    kinds: [u32; BURST],
    places: [usize; BURST],
    found: [Option<Found>; BURST],
    fates: Vec<Fate>,
    /// Frames whose fate was carried out.
    settled: usize,
    /// Packets that went through compiled segments.
    #[cfg(test)]
    pub(crate) compiled: u64,
}

/// The static mask of the cache's keys: what the tables look at, and what select groups hash if there
/// are any.
pub(super) fn cache_mask<'v>(view: impl View<'v>) -> FlowKey {
    let mut mask = view.union_mask();
    if view.groups().has_select() {
        let select = select_bits();
        for (m, s) in mask.0.iter_mut().zip(select.0) {
            *m |= s;
        }
    }
    if view.settings().drop_fragments {
        mask.set(FieldId::IpFrag, mask.get(FieldId::IpFrag) | 1);
    }
    mask
}

fn port_key(in_port: PortNo) -> FlowKey {
    let mut key = FlowKey::default();
    key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
    key
}

impl FastPath {
    pub(crate) fn new(entries: usize, seed: u64) -> Self {
        Self {
            cache: Cache::new(entries, seed),
            packet: Packet::new(Frame::default()),
            keys: Vec::new(),
            kinds: [0; BURST],
            places: [0; BURST],
            found: [None; BURST],
            fates: Vec::with_capacity(BURST),
            settled: 0,
            #[cfg(test)]
            compiled: 0,
        }
    }

    /// Frames through the learning switch.
    pub(crate) fn standalone<'v, V: View<'v>, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut Vec<Frame>,
        sink: &mut S,
    ) {
        for frame in frames.drain(..) {
            self.packet.load(frame, &port_key(in_port));
            if let Outcome::Left(frame) = execute(view, env, &mut self.packet, Start::Normal, sink, &mut Unobserved) {
                sink.left(frame);
            }
        }
    }

    /// Frames from one port through the tables, in order. The frames are taken.
    pub(crate) fn burst<'v, V: View<'v> + Validity, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut Vec<Frame>,
        sink: &mut S,
        caching: bool,
    ) {
        if caching {
            self.cache.adopt(&view, || cache_mask(view));
        }
        while !frames.is_empty() {
            let n = frames.len().min(BURST);
            if !caching || !self.cache.pays(n) {
                for frame in frames.drain(..n) {
                    self.packet.load(frame, &port_key(in_port));
                    let outcome = execute(view, env, &mut self.packet, Start::Received, sink, &mut Unobserved);
                    if let Outcome::Left(frame) = outcome {
                        sink.left(frame);
                    }
                }
                continue;
            }
            self.fates.clear();
            self.settled = 0;
            if self.cache.compact().is_some() {
                self.chunk::<COMPACT, V, S>(view, env, in_port, &mut frames[..n], sink);
            } else {
                self.chunk::<0, V, S>(view, env, in_port, &mut frames[..n], sink);
            }
            self.cache.segments.flush(view, in_port, env.now, sink);
            let settled = self.settled;
            // Mostly all go one way: then they are moved at once.
            if let Some(Fate::Send(port, queue)) = self.fates.first().copied()
                && settled == 0
                && n == frames.len()
                && self.fates.iter().all(|f| *f == Fate::Send(port, queue))
            {
                sink.transmit_all(port, queue, frames);
                return;
            }
            for (i, (frame, fate)) in frames.drain(..n).zip(&self.fates).enumerate() {
                match fate {
                    _ if i < settled => {}
                    Fate::Send(port, queue) => sink.transmit(*port, *queue, frame),
                    Fate::Leave => sink.left(frame),
                    Fate::Gone => {}
                }
            }
        }
    }

    /// Carries out what was decided for the frames so far, counts first.
    fn settle<'v, V: View<'v>, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut [Frame],
        sink: &mut S,
    ) {
        self.cache.segments.flush(view, in_port, env.now, sink);
        for (frame, fate) in frames.iter_mut().zip(&self.fates).skip(self.settled) {
            match fate {
                Fate::Send(port, queue) => sink.transmit(*port, *queue, std::mem::take(frame)),
                Fate::Leave => sink.left(std::mem::take(frame)),
                Fate::Gone => {}
            }
        }
        self.settled = self.fates.len();
    }

    /// The key of one frame and its place in the cache. `N` is [`COMPACT`], or 0 for keys of other lengths.
    #[inline]
    fn key<const N: usize>(&mut self, i: usize, frame: &mut Frame, in_port: PortNo) {
        if N == COMPACT {
            let mask = self.cache.compact().unwrap_or_default();
            let mut key = [0; COMPACT];
            if extract(frame.bytes(), in_port.0, &mut key) {
                self.kinds[i] = (key[word::IN_PORT] >> 32) as u32;
            } else {
                let kind = self.parse(frame, in_port);
                self.kinds[i] = kind;
                key = std::array::from_fn(|w| project(&self.packet.key, kind, w));
            }
            for (k, m) in key.iter_mut().zip(mask) {
                *k &= m;
            }
            self.places[i] = self.cache.place::<COMPACT>(&key);
            self.keys.extend_from_slice(&key);
        } else {
            let kind = self.parse(frame, in_port);
            self.kinds[i] = kind;
            let from = self.keys.len();
            self.keys.extend(self.cache.touched().iter().map(|(w, m)| project(&self.packet.key, kind, *w) & m));
            self.places[i] = self.cache.place::<0>(&self.keys[from..]);
        }
        self.cache.prefetch(self.places[i]);
    }

    /// Parses a frame that stays where it is.
    fn parse(&mut self, frame: &mut Frame, in_port: PortNo) -> u32 {
        self.packet.load(std::mem::take(frame), &port_key(in_port));
        let kind = kind(&self.packet);
        *frame = std::mem::take(&mut self.packet.frame);
        kind | if frame.len() > LONGEST { TOO_LONG } else { 0 }
    }

    fn chunk<'v, const N: usize, V: View<'v> + Validity, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut [Frame],
        sink: &mut S,
    ) {
        for frame in &*frames {
            prefetch(frame.bytes().as_ptr());
        }
        self.keys.clear();
        for (i, frame) in frames.iter_mut().enumerate() {
            self.key::<N>(i, frame, in_port);
        }
        let era = self.cache.era;
        let words = self.keys.len() / frames.len().max(1);
        for i in 0..frames.len() {
            self.found[i] = self.cache.find::<N>(self.places[i], &self.keys[i * words..(i + 1) * words], &view);
            if let Some(f) = &self.found[i] {
                for id in f.ids().into_iter().take_while(|id| *id != 0) {
                    self.cache.segments.prefetch(id);
                }
            }
        }
        let mut walked = false;
        for i in 0..frames.len() {
            if self.cache.era != era {
                // Everything was forgotten, and the keys may be under another mask.
                self.cache.missed();
                self.walk(view, env, in_port, frames, i, None, sink);
                continue;
            }
            let key = i * words..(i + 1) * words;
            let found = match self.found[i] {
                // An earlier packet of this burst may have been the first of its flow.
                None if walked => self.cache.find::<N>(self.places[i], &self.keys[key.clone()], &view),
                found => found,
            };
            if let Some(found) = found {
                self.hit(view, env, in_port, frames, i, found, sink);
            } else {
                walked = true;
                let at = self.cache.room::<N>(self.places[i], &self.keys[key.clone()], &view);
                self.walk(view, env, in_port, frames, i, at.map(|at| (at, key)), sink);
            }
        }
    }

    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the circumstances of one packet")]
    fn hit<'v, V: View<'v>, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut [Frame],
        i: usize,
        found: Found,
        sink: &mut S,
    ) {
        let frame = &mut frames[i];
        let kind = self.kinds[i];
        if found.plain() && frame.offload.checksum.is_none() && (!found.decrements() || ttl(frame, kind) > LIVELY) {
            #[cfg(test)]
            {
                self.compiled += 1;
            }
            let l4 = (kind >> 8) as u8;
            let mut fate = Fate::Leave;
            for id in found.ids().into_iter().take_while(|id| *id != 0) {
                if let Some(hot) = self.cache.segments.run(id, frame, l4)
                    && hot.port != NO_PORT
                {
                    fate = Fate::Send(PortNo(hot.port), hot.queue());
                }
            }
            self.fates.push(fate);
            return;
        }
        self.settle(view, env, in_port, frames, sink);
        self.packet.load(std::mem::take(&mut frames[i]), &port_key(in_port));
        let outcome = {
            let steps = self.cache.steps(&found.ids());
            replay(view, &steps, &mut self.packet, env.writer, env.now, sink)
        };
        self.after(outcome, i, frames);
    }

    /// By the interpreter. `at`: where in the cache to remember it, under which of the keys.
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "the circumstances of one packet")]
    fn walk<'v, V: View<'v> + Validity, S: Sink>(
        &mut self,
        view: V,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut [Frame],
        i: usize,
        at: Option<(usize, std::ops::Range<usize>)>,
        sink: &mut S,
    ) {
        self.settle(view, env, in_port, frames, sink);
        let kind = self.kinds[i];
        let packet = &mut self.packet;
        packet.load(std::mem::take(&mut frames[i]), &port_key(in_port));
        let outcome = match at {
            Some((at, key)) if kind & TOO_LONG == 0 => {
                let mask = *self.cache.mask();
                let mut recorder = Recorder::new(&mask, kind);
                let outcome =
                    execute_recorded(view, env, packet, Start::Received, sink, &mut Unobserved, Some(&mut recorder));
                let (steps, wants) = recorder.finish();
                if let Some(steps) = steps {
                    self.cache.insert(at, &self.keys[key], kind, &steps, &view);
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
                execute(view, env, packet, Start::Received, sink, &mut Unobserved)
            }
        };
        self.after(outcome, i, frames);
    }

    fn after(&mut self, outcome: Outcome, i: usize, frames: &mut [Frame]) {
        self.fates.push(match outcome {
            Outcome::Sent => Fate::Gone,
            Outcome::Left(frame) => {
                frames[i] = frame;
                Fate::Leave
            }
        });
    }
}

/// Bit of a packet's kind: it is longer than [`LONGEST`].
const TOO_LONG: u32 = 1 << 25;

#[inline]
fn ttl(frame: &Frame, kind: u32) -> u8 {
    debug_assert!(kind & FAST != 0);
    frame.bytes().get(22 + 4 * (kind & 1) as usize).copied().unwrap_or(0)
}
