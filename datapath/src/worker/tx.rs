//! Frames on their way out, gathered per port and queue and sent a batch at a time.
//!
//! Owned by one thread. Order is kept among the frames of one port and queue.

use std::collections::HashMap;

use ofproto::ids::{PortNo, QueueId};

use crate::frame::Frame;
use crate::port::{FramePool, PortTx};

/// A lane this long is sent at once instead of at the end of the burst.
const BATCH: usize = 64;
/// Empty lanes kept per port.
const KEEP_LANES: usize = 8;
/// Port numbers below this are looked up in a plain table.
const DIRECT: u32 = 4096;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Lane {
    queue: QueueId,
    frames: Vec<Frame>,
}

struct TxPort {
    no: PortNo,
    tx: Box<dyn PortTx>,
    lanes: Vec<Lane>,
    dirty: bool,
}

impl TxPort {
    /// This port, noted as one with frames.
    #[inline]
    fn marked(&mut self, i: u32, dirty: &mut Vec<u32>) -> &mut Self {
        if !self.dirty {
            self.dirty = true;
            dirty.push(i);
        }
        self
    }

    /// The lane of a queue, made if it isn't there.
    #[inline]
    fn lane(&mut self, queue: QueueId) -> &mut Lane {
        let at = match self.lanes.first() {
            Some(l) if l.queue == queue => 0,
            _ => self.other_lane(queue),
        };
        &mut self.lanes[at]
    }

    #[cold]
    fn other_lane(&mut self, queue: QueueId) -> usize {
        self.lanes.iter().position(|l| l.queue == queue).unwrap_or_else(|| {
            self.lanes.push(Lane { queue, frames: Vec::new() });
            self.lanes.len() - 1
        })
    }

    /// Sends what one lane holds.
    fn send(&mut self, queue: QueueId, pool: &mut FramePool) {
        if let Some(lane) = self.lanes.iter_mut().find(|l| l.queue == queue) {
            self.tx.transmit(queue, &mut lane.frames, pool);
            lane.frames.clear();
        }
    }

    fn flush(&mut self, pool: &mut FramePool) {
        for lane in self.lanes.iter_mut().filter(|l| !l.frames.is_empty()) {
            self.tx.transmit(lane.queue, &mut lane.frames, pool);
            // The contract says so; a backend that breaks it must not make the lane grow.
            lane.frames.clear();
        }
        self.lanes.truncate(KEEP_LANES);
        self.dirty = false;
    }
}

/// The transmit halves one thread has, and the frames waiting for them.
#[derive(Default)]
pub struct TxQueues {
    ports: Vec<TxPort>,
    direct: Vec<u32>,
    far: HashMap<u32, u32>,
    dirty: Vec<u32>,
    pool: FramePool,
    unknown: u64,
}

impl std::fmt::Debug for TxQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxQueues")
            .field("ports", &self.ports.iter().map(|p| p.no).collect::<Vec<_>>())
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

impl TxQueues {
    /// No ports.
    pub fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn index(&self, no: PortNo) -> Option<u32> {
        if no.0 < DIRECT {
            self.direct.get(no.0 as usize).copied().filter(|&i| i != NONE)
        } else {
            self.far.get(&no.0).copied()
        }
    }

    fn set_index(&mut self, no: PortNo, index: Option<u32>) {
        if no.0 < DIRECT {
            let at = no.0 as usize;
            if self.direct.len() <= at {
                self.direct.resize(at + 1, NONE);
            }
            self.direct[at] = index.unwrap_or(NONE);
        } else {
            match index {
                Some(i) => self.far.insert(no.0, i),
                None => self.far.remove(&no.0),
            };
        }
    }

    /// Adds a port, or replaces its transmit half.
    pub fn add_port(&mut self, no: PortNo, tx: Box<dyn PortTx>) {
        self.flush();
        if let Some(i) = self.index(no) {
            self.ports[i as usize].tx = tx;
            return;
        }
        let lanes = vec![Lane { queue: QueueId(0), frames: Vec::with_capacity(BATCH) }];
        self.set_index(no, Some(self.ports.len() as u32));
        self.ports.push(TxPort { no, tx, lanes, dirty: false });
    }

    /// Sends what waits and removes a port. Says whether there was one.
    pub fn remove_port(&mut self, no: PortNo) -> bool {
        self.take_port(no).is_some()
    }

    /// Sends what waits, removes a port and hands it out.
    pub(super) fn take_port(&mut self, no: PortNo) -> Option<Box<dyn PortTx>> {
        self.flush();
        let i = self.index(no)?;
        let taken = self.ports.swap_remove(i as usize);
        self.set_index(no, None);
        if let Some(moved) = self.ports.get(i as usize).map(|p| p.no) {
            self.set_index(moved, Some(i));
        }
        Some(taken.tx)
    }

    /// Whether there is a port of this number.
    pub fn has_port(&self, no: PortNo) -> bool {
        self.index(no).is_some()
    }

    /// The numbers of all ports, in no particular order.
    pub fn port_numbers(&self) -> impl Iterator<Item = PortNo> + '_ {
        self.ports.iter().map(|p| p.no)
    }

    /// Queues a frame for a port. Reserved numbers mean nothing here: they are resolved before.
    /// For a port that isn't there the frame is dropped and counted.
    #[inline]
    pub fn push(&mut self, no: PortNo, queue: QueueId, frame: Frame) {
        let Some(i) = self.index(no) else {
            self.unknown += 1;
            self.pool.put(frame);
            return;
        };
        let port = self.ports[i as usize].marked(i, &mut self.dirty);
        let lane = port.lane(queue);
        lane.frames.push(frame);
        if lane.frames.len() >= BATCH {
            port.send(queue, &mut self.pool);
        }
    }

    /// Queues a copy of a frame, in a buffer of this thread's, as [`push`](Self::push) does.
    #[inline]
    pub fn push_copy(&mut self, no: PortNo, queue: QueueId, frame: &Frame) {
        let Some(i) = self.index(no) else {
            self.unknown += 1;
            return;
        };
        let port = self.ports[i as usize].marked(i, &mut self.dirty);
        let lane = port.lane(queue);
        self.pool.copy_to(frame, &mut lane.frames);
        if lane.frames.len() >= BATCH {
            port.send(queue, &mut self.pool);
        }
    }

    /// Queues all of `frames`, in order, as [`push`](Self::push) does one by one.
    #[inline]
    pub fn push_all(&mut self, no: PortNo, queue: QueueId, frames: &mut Vec<Frame>) {
        let Some(i) = self.index(no) else {
            self.unknown += frames.len() as u64;
            self.pool.put_all(frames);
            return;
        };
        let port = self.ports[i as usize].marked(i, &mut self.dirty);
        let lane = port.lane(queue);
        lane.frames.append(frames);
        if lane.frames.len() >= BATCH {
            port.send(queue, &mut self.pool);
        }
    }

    /// Sends everything that waits.
    pub fn flush(&mut self) {
        for i in self.dirty.drain(..) {
            if let Some(port) = self.ports.get_mut(i as usize) {
                port.flush(&mut self.pool);
            }
        }
    }

    /// Drops everything that waits.
    pub(super) fn discard(&mut self) {
        self.dirty.clear();
        for port in &mut self.ports {
            port.dirty = false;
            for lane in &mut port.lanes {
                lane.frames.clear();
            }
        }
    }

    /// The buffers of this thread: take copies from here and put dropped frames back.
    #[inline]
    pub fn pool(&mut self) -> &mut FramePool {
        &mut self.pool
    }

    /// Frames that were pushed for ports that weren't there.
    pub fn unknown_port_drops(&self) -> u64 {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::memory::Memory;
    use crate::port::{Port, PortError};

    #[test]
    fn frames_reach_their_port_in_order_and_unknown_ports_are_counted() -> Result<(), PortError> {
        let mut tx = TxQueues::new();
        let numbers = [PortNo(1), PortNo(5000), PortNo(2)];
        let mut ends = Vec::new();
        for no in numbers {
            let (a, b) = Memory::pair("a", "b", 1000)?;
            tx.add_port(no, a.open_tx()?);
            ends.push(b.open_rx()?);
        }
        assert!(tx.remove_port(PortNo(1)));
        assert!(!tx.remove_port(PortNo(1)));
        for i in 0..200u8 {
            for no in numbers {
                let frame = Frame::from_bytes(&[i, no.0 as u8]);
                let queue = QueueId(u32::from(i % 3 == 0));
                match i % 5 {
                    0 | 1 => tx.push(no, queue, frame),
                    2 | 3 => tx.push_all(no, queue, &mut vec![frame]),
                    _ => tx.push_copy(no, queue, &frame),
                }
            }
        }
        tx.flush();
        assert_eq!(tx.unknown_port_drops(), 200);
        let mut pool = FramePool::default();
        for (end, no) in ends.iter_mut().zip(numbers).skip(1) {
            let mut got = Vec::new();
            end.receive(&mut got, 1000, &mut pool)?;
            for lane in [true, false] {
                let sent: Vec<_> = got.iter().map(|f| f.bytes()[0]).filter(|i| (i % 3 == 0) == lane).collect();
                assert_eq!(sent, (0..200).filter(|i| (i % 3 == 0) == lane).collect::<Vec<_>>());
            }
            assert!(got.iter().all(|f| f.bytes()[1] == no.0 as u8));
        }
        Ok(())
    }
}
