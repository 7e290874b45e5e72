//! The engines that are measured, and where their frames go.

use super::feed::Signal;
use datapath::cache::CacheStats;
use datapath::clock::Time;
use datapath::engine::{PipelineEngine, Rehearsal};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::publish::Reader;
use datapath::sys::cycles;
use datapath::worker::{Engine, TxQueues};
use ofproto::ids::{PortNo, QueueId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Marks that were made when the first phase, for warming up, is over.
const WARM: u64 = 2;

/// The work that is measured, or a part of it to compare with.
pub(super) enum Inner {
    Switch(Box<PipelineEngine<Reader>>),
    /// The switch's first stages, once it is warm; then frames go to a port.
    Only {
        engine: Box<PipelineEngine<Reader>>,
        far: Rehearsal,
        to: PortNo,
    },
    /// Frames go to a port.
    Ports {
        to: PortNo,
    },
}

/// An engine that says when a sampled burst is done.
pub(super) struct Timed {
    pub(super) inner: Inner,
    pub(super) signal: Arc<Signal>,
    pub(super) marks: u64,
    pub(super) caches: Vec<CacheStats>,
}

impl Engine for Timed {
    #[inline]
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        let marks = self.signal.marks.load(Relaxed);
        if marks != self.marks {
            self.marks = marks;
            self.caches.push(self.cache());
        }
        match &mut self.inner {
            Inner::Switch(engine) => engine.process(in_port, frames, tx, now),
            Inner::Only { engine, .. } if self.marks < WARM => engine.process(in_port, frames, tx, now),
            Inner::Only { engine, far, to } => {
                engine.rehearse(in_port, frames, *far);
                send_on(*to, frames, tx);
            }
            Inner::Ports { to } => send_on(*to, frames, tx),
        }
        if self.signal.sample.load(Relaxed) {
            self.signal.done.store(cycles(), Relaxed);
        }
    }

    fn offline(&mut self) {
        if let Inner::Switch(engine) | Inner::Only { engine, .. } = &mut self.inner {
            engine.offline();
        }
    }

    fn online(&mut self) {
        if let Inner::Switch(engine) | Inner::Only { engine, .. } = &mut self.inner {
            engine.online();
        }
    }
}

fn send_on(to: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues) {
    for frame in frames.drain(..) {
        tx.push(to, QueueId(0), frame);
    }
}

impl Timed {
    pub(super) fn cache(&self) -> CacheStats {
        match &self.inner {
            Inner::Switch(engine) | Inner::Only { engine, .. } => engine.cache_stats(),
            Inner::Ports { .. } => CacheStats::default(),
        }
    }
}

/// Counts what is sent and gives the buffers back.
pub(super) struct Drain(pub(super) Arc<AtomicU64>);

impl PortTx for Drain {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len() as u64;
        self.0.store(self.0.load(Relaxed) + sent, Relaxed);
        pool.put_all(frames);
        Transmitted { sent, dropped: 0 }
    }
}
