//! Frames in, frames out: what a worker does with a burst, and what control does with a packet-out.
//!
//! A [`PipelineEngine`] is a worker's [`Engine`]: it adopts the newest version, parses, asks the cache,
//! walks what the cache doesn't know, and queues what goes out. It counts before it transmits. All of it
//! works on memory owned by its thread; what threads share is in [`Shared`].

pub mod counter;
mod published;
mod shared;
mod sink;
mod source;
#[cfg(test)]
pub(crate) mod testbed;
#[cfg(test)]
mod tests;

pub use shared::{DropCounts, FailMode, Shared, SharedConfig};
pub use sink::{Collected, TxSink};
pub use source::Source;

use crate::cache::{Cache, CacheStats, Recorder, Validity, packet_kind, replay};
use crate::clock::Time;
use crate::frame::Frame;
use crate::key::{FlowKey, word};
use crate::packet::Packet;
use crate::pipeline::{Env, Outcome, Start, Unobserved, View, execute, execute_recorded, select_bits};
use crate::program::Program;
use crate::worker::{Engine, TxQueues};
use counter::Writer;
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use std::sync::Arc;

/// Entries of a worker's cache unless told otherwise.
pub const CACHE_ENTRIES: usize = 65_536;

/// One thread's way through the pipeline.
pub struct PipelineEngine<S> {
    source: S,
    cache: Cache,
    /// Whether the cache is used at all.
    pub caching: bool,
    shared: Arc<Shared>,
    writer: Writer,
    epoch: u64,
    adopted: bool,
    /// The cache's mask.
    mask: FlowKey,
    /// The packet being worked on.
    packet: Packet,
}

impl<S: Source> PipelineEngine<S> {
    /// An engine for the thread that will own `source`; without cache entries it always walks.
    pub fn new(mut source: S, shared: Arc<Shared>, cache_entries: usize) -> Self {
        let writer = source.writer();
        let cache = Cache::new(cache_entries, shared.seed().wrapping_add(u64::from(writer.0)));
        let packet = Packet::new(Frame::default());
        let caching = cache_entries > 0;
        Self { source, cache, caching, shared, writer, epoch: 0, adopted: false, mask: FlowKey::default(), packet }
    }

    /// How the cache fares.
    pub const fn cache_stats(&self) -> CacheStats {
        self.cache.stats
    }

    /// Where frames come from and state is read.
    pub const fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Works on frames from one port, in order. The frames are taken.
    pub fn burst(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: false };
        let standalone = self.shared.is_standalone();
        if !self.adopted || self.epoch != view.epoch() {
            self.adopted = true;
            self.epoch = view.epoch();
            self.cache.set_mask(&cache_mask(view));
            self.mask = *self.cache.mask();
        }
        let mut key = FlowKey::default();
        key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
        for frame in frames.drain(..) {
            let packet = &mut self.packet;
            packet.load(frame, &key);
            let mut sink = TxSink { tx: &mut *tx, shared: &self.shared, writer: self.writer };
            let outcome = if standalone {
                execute(view, env, packet, Start::Normal, &mut sink, &mut Unobserved)
            } else if !self.caching || !self.cache.pays() {
                execute(view, env, packet, Start::Received, &mut sink, &mut Unobserved)
            } else if let Some(walked) = self.cache.find(packet, &view) {
                replay(view, walked, packet, self.writer, now, &mut sink)
            } else {
                let (key, kind) = (packet.key, packet_kind(packet));
                let mut recorder = Recorder::new(&self.mask);
                let outcome = execute_recorded(
                    view,
                    env,
                    packet,
                    Start::Received,
                    &mut sink,
                    &mut Unobserved,
                    Some(&mut recorder),
                );
                if let Some(walked) = recorder.finish() {
                    self.cache.insert(&key, kind, walked, &view);
                }
                outcome
            };
            if let Outcome::Left(frame) = outcome {
                tx.pool().put(frame);
            }
        }
    }

    /// Carries out a packet-out: `program` by [`crate::program::compile_packet_out`], `key` with the pipeline
    /// fields that the message gave, at least `in_port`.
    pub fn packet_out(&mut self, program: &Program, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: false };
        let mut packet = Packet::with_key(frame, with_phy_port(key));
        let mut sink = TxSink { tx: &mut *tx, shared: &self.shared, writer: self.writer };
        let outcome = execute(view, env, &mut packet, Start::PacketOut(program), &mut sink, &mut Unobserved);
        if let Outcome::Left(frame) = outcome {
            tx.pool().put(frame);
        }
    }

    /// Sends a packet through the tables as if it had come in on the key's `in_port`: a packet that a
    /// flow-mod took from a buffer.
    pub fn inject(&mut self, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: false };
        let mut packet = Packet::with_key(frame, with_phy_port(key));
        let mut sink = TxSink { tx: &mut *tx, shared: &self.shared, writer: self.writer };
        let outcome = execute(view, env, &mut packet, Start::Received, &mut sink, &mut Unobserved);
        if let Outcome::Left(frame) = outcome {
            tx.pool().put(frame);
        }
    }

    /// Explains what would become of a packet, without doing it: nothing is counted, sent or learnt.
    pub fn trace(&mut self, key: FlowKey, frame: Frame, start: Start<'_>, now: Time) -> crate::trace::Trace {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: true };
        crate::trace::trace(view, env, &mut Packet::with_key(frame, with_phy_port(key)), start)
    }
}

/// `in_phy_port` is `in_port` unless it was given (OpenFlow 1.5.1 §7.3.6).
fn with_phy_port(mut key: FlowKey) -> FlowKey {
    if key.get(FieldId::InPhyPort) == 0 {
        key.set(FieldId::InPhyPort, key.get(FieldId::InPort));
    }
    key
}

/// The static mask of the cache's keys: what the tables look at, and what select groups hash if there
/// are any.
fn cache_mask<'v>(view: impl View<'v>) -> FlowKey {
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

impl<S: Source + Send + 'static> Engine for PipelineEngine<S> {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        self.burst(in_port, frames, tx, now);
    }

    fn offline(&mut self) {
        self.source.offline();
    }

    fn online(&mut self) {
        self.source.online();
    }
}
