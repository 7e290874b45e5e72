//! Ports that are bounded lock-free queues: for tests and benchmarks, and as patch ports between
//! two bridges of one process.
//!
//! A link has two ends; what one sends the other receives. Frames move between threads here, so one
//! that lives in a kernel ring is copied out first.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::queue::ArrayQueue;
use ofproto::ids::QueueId;

use super::counters::Counter;
use super::{FramePool, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, Transmitted};
use crate::frame::Frame;
use crate::sys::Event;

/// One direction of a link.
#[derive(Debug)]
struct Lane {
    queue: ArrayQueue<Frame>,
    event: Event,
    /// The receiver is about to block and wants the event.
    waiting: AtomicBool,
    receiving: AtomicBool,
}

impl Lane {
    fn new(capacity: usize) -> Result<Arc<Self>, PortError> {
        Ok(Arc::new(Self {
            queue: ArrayQueue::new(capacity.max(1)),
            event: Event::new()?,
            waiting: AtomicBool::new(false),
            receiving: AtomicBool::new(false),
        }))
    }

    fn wake(&self) {
        // Pairs with the fence in `prepare_wait`: either we see `waiting`, or it sees our frames.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::AcqRel) {
            self.event.signal();
        }
    }
}

/// One end of a link of two queues.
#[derive(Clone, Debug)]
pub struct Memory {
    name: Arc<str>,
    rx: Arc<Lane>,
    tx: Arc<Lane>,
    stats: Arc<PortStats>,
}

impl Memory {
    /// A patch cable: two ends for two bridges, a thousand frames deep.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn patch(a: &str, b: &str) -> Result<(Self, Self), PortError> {
        Self::pair(a, b, 1024)
    }

    /// Two ends that hold up to `capacity` frames in each direction; more are dropped and counted at
    /// the sending end.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn pair(a: &str, b: &str, capacity: usize) -> Result<(Self, Self), PortError> {
        let (left, right) = (Lane::new(capacity)?, Lane::new(capacity)?);
        let end = |name: &str, rx: &Arc<Lane>, tx: &Arc<Lane>| Self {
            name: name.into(),
            rx: Arc::clone(rx),
            tx: Arc::clone(tx),
            stats: Arc::default(),
        };
        Ok((end(a, &left, &right), end(b, &right, &left)))
    }
}

impl Port for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        if self.rx.receiving.swap(true, Ordering::AcqRel) {
            return Err(PortError::Busy(self.name.to_string()));
        }
        Ok(Box::new(MemoryRx { lane: Arc::clone(&self.rx), counter: self.stats.receiver() }))
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        Ok(Box::new(MemoryTx { lane: Arc::clone(&self.tx), counter: self.stats.transmitter() }))
    }

    fn counters(&self) -> PortCounters {
        self.stats.sum()
    }
}

#[derive(Debug)]
struct MemoryRx {
    lane: Arc<Lane>,
    counter: Counter,
}

impl Drop for MemoryRx {
    fn drop(&mut self) {
        self.lane.receiving.store(false, Ordering::Release);
    }
}

impl PortRx for MemoryRx {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, _pool: &mut FramePool) -> Result<usize, PortError> {
        let before = burst.len();
        let mut bytes = 0;
        while burst.len() - before < max {
            let Some(frame) = self.lane.queue.pop() else { break };
            bytes += frame.len() as u64;
            burst.push(frame);
        }
        let n = burst.len() - before;
        self.counter.add(n as u64, bytes, 0, 0);
        Ok(n)
    }

    fn each_fd(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.lane.event.as_fd());
    }

    fn cheap_when_idle(&self) -> bool {
        true
    }

    fn prepare_wait(&mut self) -> bool {
        self.lane.event.clear();
        self.lane.waiting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.lane.queue.is_empty()
    }

    fn check(&mut self) -> LinkState {
        LinkState::Up
    }
}

#[derive(Debug)]
struct MemoryTx {
    lane: Arc<Lane>,
    counter: Counter,
}

impl PortTx for MemoryTx {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let (mut packets, mut bytes, mut dropped) = (0, 0, 0);
        for mut frame in frames.drain(..) {
            frame.detach();
            let len = frame.len() as u64;
            match self.lane.queue.push(frame) {
                Ok(()) => {
                    packets += 1;
                    bytes += len;
                }
                Err(frame) => {
                    dropped += 1;
                    pool.put(frame);
                }
            }
        }
        self.counter.add(packets, bytes, dropped, 0);
        self.lane.wake();
        Transmitted { sent: packets, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_cross_in_order_and_the_overflow_is_counted() -> Result<(), PortError> {
        let (a, b) = Memory::pair("a", "b", 2)?;
        let mut pool = FramePool::default();
        let mut tx = a.open_tx()?;
        let mut rx = b.open_rx()?;
        assert!(matches!(b.open_rx(), Err(PortError::Busy(_))));
        let mut frames: Vec<_> = [&b"one"[..], b"three", b"lost"].into_iter().map(Frame::from_bytes).collect();
        assert!(!rx.prepare_wait());
        let t = tx.transmit(QueueId(0), &mut frames, &mut pool);
        assert_eq!(t, Transmitted { sent: 2, dropped: 1 });
        assert!(frames.is_empty());
        let mut burst = Vec::new();
        assert_eq!(rx.receive(&mut burst, 1, &mut pool)?, 1);
        assert_eq!(rx.receive(&mut burst, 8, &mut pool)?, 1);
        assert_eq!(burst.iter().map(Frame::bytes).collect::<Vec<_>>(), [&b"one"[..], b"three"]);
        assert_eq!((a.counters().tx_packets, a.counters().tx_bytes, a.counters().tx_dropped), (2, 8, 1));
        assert_eq!((b.counters().rx_packets, b.counters().rx_bytes), (2, 8));
        drop(rx);
        b.open_rx()?;
        Ok(())
    }
}
