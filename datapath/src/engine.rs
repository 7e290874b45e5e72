//! Frames in, frames out: what a worker does with a burst, and what control does with a packet-out.
//!
//! A [`PipelineEngine`] is a worker's [`Engine`]: it adopts the newest version, parses, asks the cache,
//! walks what the cache doesn't know, and queues what goes out. It counts before it transmits. All of it
//! works on memory owned by its thread; what threads share is in [`Shared`].

mod burst;
pub mod counter;
mod deal;
mod fan;
mod in_band;
mod keys;
mod misses;
mod port_drops;
mod published;
mod rehearse;
mod shared;
mod sink;
mod source;
mod switching;
#[cfg(test)]
pub(crate) mod testbed;
#[cfg(test)]
mod tests;

pub use in_band::InBand;
pub use rehearse::Rehearsal;
pub use shared::{DropCounts, FailMode, Shared, SharedConfig};
pub use sink::{Collected, TxSink};
pub use source::Source;

use crate::cache::CacheStats;
use crate::clock::Time;
use crate::frame::Frame;
use crate::key::FlowKey;
use crate::packet::Packet;
use crate::pipeline::{Env, Outcome, Start, Unobserved, View, execute};
use crate::program::{Program, Resumption};
use crate::punt::Moment;
use crate::worker::{Engine, TxQueues};
use burst::{Around, FastPath};
use counter::Writer;
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use std::sync::Arc;

/// Entries of a worker's cache unless told otherwise.
pub const CACHE_ENTRIES: usize = 131_072;

/// How many times as many they become if so many flows come, unless that were more than this part of the memory.
const GROWTH: usize = 32;
const SHARE: u64 = 64;

/// What may shorten a packet's way; the outcome is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcuts {
    /// Every packet is walked by the interpreter.
    None,
    /// What entries do is worked out once, and a burst's packets are looked up together.
    Legs,
    /// Walks are remembered, too.
    All,
}

/// One thread's way through the pipeline.
pub struct PipelineEngine<S> {
    source: S,
    way: FastPath,
    /// What it may use instead of the interpreter.
    pub shortcuts: Shortcuts,
    shared: Arc<Shared>,
    writer: Writer,
    /// Frames of this round.
    received: usize,
}

/// A round of so many frames at most leaves its thread time for their packet-ins.
const FEW: usize = 4;

impl<S: Source> PipelineEngine<S> {
    /// An engine for the thread that will own `source`; without cache entries it looks up every packet.
    pub fn new(mut source: S, shared: Arc<Shared>, cache_entries: usize) -> Self {
        let writer = source.writer();
        let affordable = crate::sys::memory() / SHARE / crate::cache::ENTRY_BYTES;
        let most = cache_entries.saturating_mul(GROWTH).min(usize::try_from(affordable).unwrap_or(usize::MAX));
        let way = FastPath::new(cache_entries, most, shared.seed().wrapping_add(u64::from(writer.0)));
        let shortcuts = if cache_entries > 0 { Shortcuts::All } else { Shortcuts::Legs };
        Self { source, way, shortcuts, shared, writer, received: 0 }
    }

    /// How the cache fares.
    pub const fn cache_stats(&self) -> CacheStats {
        self.way.cache.stats
    }

    /// Where frames come from and state is read.
    pub const fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Works on frames from one port, in order. The frames are taken. Who takes packets for the controllers isn't told.
    pub fn burst(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: false };
        let mut sink = TxSink { tx: &mut *tx, shared: &self.shared, writer: self.writer };
        if let Some(rules) = view.in_band() {
            rules.divert(view, env, in_port, frames, &mut sink);
        }
        let mut around = Around { view, env, in_port, sink: &mut sink };
        if self.shared.is_standalone() {
            self.way.standalone(&mut around, frames);
        } else {
            self.way.burst(&mut around, frames, self.shortcuts);
        }
    }

    /// Carries out a packet-out: `program` by [`crate::program::compile_packet_out`], `key` with the pipeline
    /// fields that the message gave, at least `in_port`.
    pub fn packet_out(&mut self, program: &Program, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        self.walk(Start::PacketOut(program), key, frame, tx, now);
    }

    /// Lets a paused packet go on: `rest` by [`crate::program::compile_resumption`], `key` with its pipeline
    /// fields.
    pub fn resume(&mut self, rest: &Resumption, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        self.walk(Start::Resume(rest), key, frame, tx, now);
    }

    /// Sends a packet through the tables as if it had come in on the key's `in_port`: a packet that a
    /// flow-mod took from a buffer.
    pub fn inject(&mut self, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        self.walk(Start::Received, key, frame, tx, now);
    }

    fn walk(&mut self, start: Start<'_>, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        let way = Way { shared: &self.shared, writer: self.writer, now };
        way.walk(self.source.adopt(), start, key, frame, tx);
    }

    /// Explains what would become of a packet, without doing it: nothing is counted, sent or learnt.
    pub fn trace(&mut self, key: FlowKey, frame: Frame, start: Start<'_>, now: Time) -> crate::trace::Trace {
        let view = self.source.adopt();
        let env = Env { now, writer: self.writer, normal: self.shared.normal(), dry: true };
        let mut packet = Packet::with_key(frame, with_phy_port(key));
        let beside = || view.in_band().is_some_and(|rules| rules.admits(&packet.key));
        let aside = matches!(start, Start::Received) && (self.shared.is_standalone() || beside());
        crate::trace::trace(view, env, &mut packet, if aside { Start::Normal } else { start })
    }
}

/// How a packet goes that wasn't received.
pub(crate) struct Way<'a> {
    pub(crate) shared: &'a Shared,
    /// Whose counters are written: the calling thread's.
    pub(crate) writer: Writer,
    pub(crate) now: Time,
}

impl<'v> Way<'v> {
    /// Sends a packet on its way, `key` with its pipeline fields.
    pub(crate) fn walk(&self, view: impl View<'v>, start: Start<'v>, key: FlowKey, frame: Frame, tx: &mut TxQueues) {
        let env = Env { now: self.now, writer: self.writer, normal: self.shared.normal(), dry: false };
        let mut packet = Packet::with_key(frame, with_phy_port(key));
        let mut sink = TxSink { tx: &mut *tx, shared: self.shared, writer: self.writer };
        let outcome = execute(view, env, &mut packet, start, &mut sink, &mut Unobserved);
        if let Outcome::Left(frame) = outcome {
            tx.pool().put(frame);
        }
        self.shared.punts().tell(Moment::Busy);
    }
}

/// `in_phy_port` is `in_port` unless it was given (OpenFlow 1.5.1 §7.3.6).
fn with_phy_port(mut key: FlowKey) -> FlowKey {
    if key.get(FieldId::InPhyPort) == 0 {
        key.set(FieldId::InPhyPort, key.get(FieldId::InPort));
    }
    key
}

impl<S: Source + Send + 'static> Engine for PipelineEngine<S> {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        self.received += frames.len();
        self.burst(in_port, frames, tx, now);
        if self.received > FEW {
            self.shared.punts().tell(Moment::Busy);
        }
    }

    fn end_burst(&mut self, _now: Time) {
        let few = std::mem::take(&mut self.received) <= FEW;
        if self.shared.punts().is_untold() {
            // Nobody is to wait for this thread while it takes packets to the controllers.
            self.source.offline();
            self.shared.punts().tell(if few { Moment::Spare } else { Moment::Busy });
            self.source.online();
        }
    }

    fn offline(&mut self) {
        self.source.offline();
    }

    fn online(&mut self) {
        self.source.online();
    }
}
