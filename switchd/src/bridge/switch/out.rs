//! Packets that no port received: packet-outs, and those that were paused and go on.
//!
//! Those that only leave through ports are sent by the bridge's own thread, others by a worker; all leave in
//! the order they were asked for. `packet_outs` counts what was asked, `packet_outs_done` what has left.

use super::Switch;
use crossbeam::channel::Receiver;
use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::port::{PortCounters, QueueCounters};
use datapath::program::{Bits, Place, Program, Resumption, compile_resumption};
use datapath::trace::Trace;
use datapath::worker::{TxQueues, WorkerCounters};
use ofproto::continuation::Continuation;
use ofproto::ids::{PortNo, QueueId};
use ofproto::matching::Match;
use ofproto::{OfError, Version};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};

/// What happens to a packet that isn't received.
#[derive(Debug)]
pub enum Way {
    /// A packet-out's actions.
    Actions(Program),
    /// What was left to do when it was paused.
    Rest(Resumption),
}

/// A packet to be sent.
#[derive(Debug)]
pub struct OutPacket {
    /// What happens to it.
    pub way: Way,
    /// Its pipeline fields.
    pub key: FlowKey,
    /// The packet.
    pub frame: Frame,
}

/// Carries out what has to happen where packets are: on a worker.
pub trait Packets: Send {
    /// Transmit halves of all ports for the bridge's own thread, if it has any.
    fn halves(&self) -> Option<MutexGuard<'_, TxQueues>> {
        None
    }
    /// Sends packets, in order; `done` is raised by their number when that has happened.
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>);
    /// Has explained what the pipeline would do with a frame that comes in on a port; `None` without a worker.
    fn trace(&self, key: FlowKey, frame: Frame) -> Option<Receiver<Trace>>;
    /// A port's counters, if it has a backend.
    fn port_counters(&self, port: PortNo) -> Option<PortCounters>;
    /// A queue's counters, if the port has it.
    fn queue_counters(&self, _port: PortNo, _queue: QueueId) -> Option<QueueCounters> {
        None
    }
    /// What each worker has counted.
    fn worker_counters(&self) -> Vec<WorkerCounters> {
        Vec::new()
    }
    /// Sets a port's interface administratively up or down. Doesn't wait until it is.
    fn set_port_up(&self, _port: PortNo, _up: bool) {}
}

/// Wishes of the pipeline carried out at a time.
pub(super) const WISHES_PER_ROUND: usize = 256;

impl<P: Packets> Switch<P> {
    pub(super) fn send(&mut self, program: Program, pipeline: &Match, frame: &[u8]) {
        self.packet_outs += 1;
        self.simple &= self.control.may_send(&program);
        let (way, key) = (Way::Actions(program), pipeline_key(pipeline));
        self.outgoing.push(OutPacket { way, key, frame: Frame::from_bytes(frame) });
    }

    /// Lets a paused packet go on.
    pub(super) fn go_on(&mut self, rest: &Continuation, key: FlowKey, frame: &[u8]) -> Result<(), OfError> {
        // Each part has its own version.
        let rest = compile_resumption(rest, &self.control.context(Version::V15, Place::PacketOut))?;
        self.packet_outs += 1;
        self.simple = false;
        self.outgoing.push(OutPacket { way: Way::Rest(rest), key, frame: Frame::from_bytes(frame) });
        Ok(())
    }

    /// Sends packet-outs that only leave through ports, and hands others to a worker, with those that come
    /// between them: all leave in their order.
    pub(super) fn hand_over(&mut self, now: Time) {
        if self.outgoing.is_empty() {
            return;
        }
        let before = self.packet_outs - self.outgoing.len() as u64;
        let simple = std::mem::replace(&mut self.simple, true);
        let passed = self.packet_outs_done.load(Ordering::Acquire) == before;
        if let Some(mut tx) = self.packets.halves().filter(|_| simple && passed) {
            let count = self.outgoing.len() as u64;
            for OutPacket { way, key, frame } in self.outgoing.drain(..) {
                if let Way::Actions(program) = way {
                    self.control.send(&self.shared, &program, key, frame, &mut tx, now);
                }
            }
            tx.flush();
            self.packet_outs_done.fetch_add(count, Ordering::Release);
            return;
        }
        self.packets.packet_outs(std::mem::take(&mut self.outgoing), Arc::clone(&self.packet_outs_done));
    }

    /// Carries out a wish of the pipeline.
    pub(super) fn wish(&mut self, now: Time, request: datapath::pipeline::Request) {
        match request {
            datapath::pipeline::Request::Learn { flow_mod, limit, waiting } => {
                self.changed(now);
                let learnt = self.control.learn(&flow_mod, limit, now).unwrap_or_else(|e| {
                    tracing::debug!(bridge = self.config.name, error = %e, "a learnt flow was refused");
                    false
                });
                if let Some(mut waiting) = waiting {
                    let Bits { field, offset, .. } = waiting.result;
                    let bit = 1 << offset;
                    let others = waiting.key.get(field) & !bit;
                    waiting.key.set(field, others | if learnt { bit } else { 0 });
                    if let Err(e) = self.go_on(&waiting.rest, waiting.key, &waiting.frame) {
                        tracing::debug!(bridge = self.config.name, error = %e, "a packet can't go on after it taught");
                    }
                }
            }
            datapath::pipeline::Request::FinTimeout { entry, idle, hard } => {
                if self.control.shorten_timeouts(entry, idle, hard, now) {
                    self.changed(now);
                }
            }
        }
    }
}

/// A key with a packet's pipeline fields.
pub(super) fn pipeline_key(pipeline: &Match) -> FlowKey {
    let mut key = FlowKey::default();
    for field in &pipeline.fields {
        key.set(field.id, field.value);
    }
    key
}
