//! Where what leaves the pipeline goes: a worker's transmit queues, or a list.

use super::counter::Writer;
use super::shared::Shared;
use crate::clock::Time;
use crate::frame::Frame;
use crate::pipeline::{DropReason, Lost, Request, Sink};
use crate::punt::Punt;
use crate::worker::TxQueues;
use ofproto::ids::{PortNo, QueueId, TableId};
use ofproto::packet::PacketInReason;

/// A worker's way out.
pub struct TxSink<'a> {
    /// Its transmit queues.
    pub tx: &'a mut TxQueues,
    /// What it shares.
    pub shared: &'a Shared,
    /// Whose counters it writes.
    pub writer: Writer,
}

impl Sink for TxSink<'_> {
    #[inline]
    fn transmit(&mut self, port: PortNo, queue: Option<QueueId>, frame: Frame) {
        self.tx.push(port, queue.unwrap_or(QueueId(0)), frame);
    }

    #[inline]
    fn transmit_all(&mut self, port: PortNo, queue: Option<QueueId>, frames: &mut Vec<Frame>) {
        self.tx.push_all(port, queue.unwrap_or(QueueId(0)), frames);
    }

    fn admits(&mut self, in_port: PortNo, table: TableId, reason: PacketInReason, now: Time) -> bool {
        self.shared.punts().admits(in_port, table, reason, now)
    }

    fn punt(&mut self, punt: Punt) -> bool {
        self.shared.punts().push(punt)
    }

    fn request(&mut self, request: Request, now: Time) -> bool {
        self.shared.request(request, now)
    }

    fn dropped(&mut self, lost: Lost) {
        self.shared.count_drop(lost, self.writer);
    }

    #[inline]
    fn transmit_copy(&mut self, port: PortNo, queue: Option<QueueId>, frame: &Frame) {
        self.tx.push_copy(port, queue.unwrap_or(QueueId(0)), frame);
    }

    fn copy(&mut self, frame: &Frame) -> Frame {
        self.tx.pool().duplicate(frame)
    }

    #[inline]
    fn left(&mut self, frame: Frame) {
        self.tx.pool().put(frame);
    }

    #[inline]
    fn left_all(&mut self, frames: &mut Vec<Frame>) {
        self.tx.pool().put_all(frames);
    }

    fn sampled(&mut self, _collector_set_id: u32) {
        self.shared.count_sample();
    }
}

/// Keeps everything, for tests and traces.
#[derive(Debug, Default)]
pub struct Collected {
    /// Frames that went out.
    pub sent: Vec<(PortNo, Option<QueueId>, Frame)>,
    /// Packets for the controllers.
    pub punts: Vec<Punt>,
    /// Wishes.
    pub requests: Vec<Request>,
    /// Drops.
    pub drops: Vec<DropReason>,
    /// The same, with where they were.
    pub lost: Vec<Lost>,
}

impl Sink for Collected {
    fn transmit(&mut self, port: PortNo, queue: Option<QueueId>, frame: Frame) {
        self.sent.push((port, queue, frame));
    }

    fn punt(&mut self, punt: Punt) -> bool {
        self.punts.push(punt);
        true
    }

    fn request(&mut self, request: Request, _now: Time) -> bool {
        self.requests.push(request);
        true
    }

    fn dropped(&mut self, lost: Lost) {
        self.drops.push(lost.reason);
        self.lost.push(lost);
    }
}
