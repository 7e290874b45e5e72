//! Port counters: one slot per receive or transmit handle, written by its owner alone without
//! locked instructions, summed when somebody asks.
//!
//! A GSO super-frame counts as one packet with its whole length, as the kernel counts it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::utils::CachePadded;
use ofproto::ids::QueueId;

/// The counters of one port, or of one handle to it. OpenFlow 1.3.5 §7.3.5.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Their bytes, without FCS.
    pub rx_bytes: u64,
    /// Frames the kernel dropped before we could take them.
    pub rx_dropped: u64,
    /// Frames received that made no sense (longer than `MAX_FRAME`, unknown offload).
    pub rx_errors: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Their bytes, without FCS.
    pub tx_bytes: u64,
    /// Frames dropped because a queue was full or the interface down.
    pub tx_dropped: u64,
    /// Frames the interface refused.
    pub tx_errors: u64,
}

impl PortCounters {
    fn add(&mut self, o: &Self) {
        self.rx_packets = self.rx_packets.wrapping_add(o.rx_packets);
        self.rx_bytes = self.rx_bytes.wrapping_add(o.rx_bytes);
        self.rx_dropped = self.rx_dropped.wrapping_add(o.rx_dropped);
        self.rx_errors = self.rx_errors.wrapping_add(o.rx_errors);
        self.tx_packets = self.tx_packets.wrapping_add(o.tx_packets);
        self.tx_bytes = self.tx_bytes.wrapping_add(o.tx_bytes);
        self.tx_dropped = self.tx_dropped.wrapping_add(o.tx_dropped);
        self.tx_errors = self.tx_errors.wrapping_add(o.tx_errors);
    }
}

#[derive(Debug, Default)]
struct Slot([AtomicU64; 4]);

impl Slot {
    fn read(&self) -> [u64; 4] {
        std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed))
    }
}

/// One handle's counters. Not clonable: its owner is the only writer.
#[derive(Debug)]
pub struct Counter(Arc<CachePadded<Slot>>);

impl Counter {
    /// Counts frames that passed, dropped and failed.
    #[inline]
    pub fn add(&mut self, packets: u64, bytes: u64, dropped: u64, errors: u64) {
        // `&mut self` and no Clone: nobody else writes this slot, so load and store suffice.
        for (cell, n) in self.0.0.iter().zip([packets, bytes, dropped, errors]) {
            if n != 0 {
                cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
            }
        }
    }
}

/// The counters of one queue of a port. OpenFlow 1.3.5 §7.3.5.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Frames that the queue took.
    pub tx_packets: u64,
    /// Their bytes, without FCS.
    pub tx_bytes: u64,
    /// Frames dropped because the queue was full, or that the interface refused.
    pub tx_errors: u64,
}

impl QueueCounters {
    fn add(&mut self, [packets, bytes, dropped, errors]: [u64; 4]) {
        self.tx_packets = self.tx_packets.wrapping_add(packets);
        self.tx_bytes = self.tx_bytes.wrapping_add(bytes);
        self.tx_errors = self.tx_errors.wrapping_add(dropped).wrapping_add(errors);
    }
}

/// One queue's slots and what those that are gone had counted.
#[derive(Debug, Default)]
struct QueueSlots {
    slots: Vec<Arc<CachePadded<Slot>>>,
    retired: QueueCounters,
}

impl QueueSlots {
    fn retire(&mut self) {
        let retired = &mut self.retired;
        self.slots.retain(|s| {
            let alive = Arc::strong_count(s) > 1;
            if !alive {
                // As in `Registry::retire`.
                std::sync::atomic::fence(Ordering::Acquire);
                retired.add(s.read());
            }
            alive
        });
    }
}

#[derive(Debug, Default)]
struct Registry {
    rx: Vec<Arc<CachePadded<Slot>>>,
    tx: Vec<Arc<CachePadded<Slot>>>,
    /// Queues that exist, by number.
    queues: HashMap<u32, QueueSlots>,
    /// What handles that are gone had counted.
    retired: PortCounters,
}

/// All counters of a port. The lock is taken when a handle is opened or the sum is asked for.
#[derive(Debug, Default)]
pub struct PortStats(Mutex<Registry>);

fn count(rx: bool, [packets, bytes, dropped, errors]: [u64; 4]) -> PortCounters {
    if rx {
        PortCounters {
            rx_packets: packets,
            rx_bytes: bytes,
            rx_dropped: dropped,
            rx_errors: errors,
            ..PortCounters::default()
        }
    } else {
        PortCounters {
            tx_packets: packets,
            tx_bytes: bytes,
            tx_dropped: dropped,
            tx_errors: errors,
            ..PortCounters::default()
        }
    }
}

impl Registry {
    fn retire(&mut self) {
        for (rx, slots) in [(true, &mut self.rx), (false, &mut self.tx)] {
            let retired = &mut self.retired;
            slots.retain(|s| {
                let alive = Arc::strong_count(s) > 1;
                if !alive {
                    // The owner's last store happened before its drop, which the count's decrement
                    // publishes.
                    std::sync::atomic::fence(Ordering::Acquire);
                    retired.add(&count(rx, s.read()));
                }
                alive
            });
        }
    }
}

impl PortStats {
    fn open(&self, rx: bool) -> Counter {
        let mut r = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        r.retire();
        let slot = Arc::<CachePadded<Slot>>::default();
        if rx { &mut r.rx } else { &mut r.tx }.push(Arc::clone(&slot));
        Counter(slot)
    }

    /// Counters for a receive handle.
    pub fn receiver(&self) -> Counter {
        self.open(true)
    }

    /// Counters for a transmit handle.
    pub fn transmitter(&self) -> Counter {
        self.open(false)
    }

    /// Makes a queue's counters exist, from nothing if they don't.
    pub fn add_queue(&self, queue: QueueId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).queues.entry(queue.0).or_default();
    }

    /// Forgets a queue and what it counted.
    pub fn remove_queue(&self, queue: QueueId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).queues.remove(&queue.0);
    }

    /// Counters of a queue for a transmit handle; `None` if there is no such queue.
    pub fn queue_transmitter(&self, queue: QueueId) -> Option<Counter> {
        let mut r = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let q = r.queues.get_mut(&queue.0)?;
        q.retire();
        let slot = Arc::<CachePadded<Slot>>::default();
        q.slots.push(Arc::clone(&slot));
        Some(Counter(slot))
    }

    /// What a queue has counted; `None` if there is no such queue.
    pub fn queue(&self, queue: QueueId) -> Option<QueueCounters> {
        let mut r = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let q = r.queues.get_mut(&queue.0)?;
        q.retire();
        let mut total = q.retired;
        for s in &q.slots {
            total.add(s.read());
        }
        Some(total)
    }

    /// The sum over all handles, past and present.
    pub fn sum(&self) -> PortCounters {
        let mut r = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        r.retire();
        let mut total = r.retired;
        for (rx, slots) in [(true, &r.rx), (false, &r.tx)] {
            for s in slots {
                total.add(&count(rx, s.read()));
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_keeps_what_closed_handles_counted() {
        let stats = PortStats::default();
        let mut a = stats.transmitter();
        let mut b = stats.transmitter();
        let mut r = stats.receiver();
        a.add(1, 60, 0, 0);
        b.add(2, 200, 3, 4);
        r.add(5, 500, 6, 7);
        let want = PortCounters {
            rx_packets: 5,
            rx_bytes: 500,
            rx_dropped: 6,
            rx_errors: 7,
            tx_packets: 3,
            tx_bytes: 260,
            tx_dropped: 3,
            tx_errors: 4,
        };
        assert_eq!(stats.sum(), want);
        drop((a, b, r));
        assert_eq!(stats.sum(), want);
        assert_eq!(stats.sum(), want);
    }

    #[test]
    fn a_queue_keeps_its_count_until_it_is_removed() {
        let stats = PortStats::default();
        let q = QueueId(3);
        assert!(stats.queue_transmitter(q).is_none() && stats.queue(q).is_none());
        stats.add_queue(q);
        let mut a = stats.queue_transmitter(q).unwrap();
        a.add(2, 120, 1, 1);
        drop(a);
        let mut b = stats.queue_transmitter(q).unwrap();
        b.add(1, 60, 0, 0);
        // Added again while it exists: nothing is lost.
        stats.add_queue(q);
        assert_eq!(stats.queue(q), Some(QueueCounters { tx_packets: 3, tx_bytes: 180, tx_errors: 2 }));
        stats.remove_queue(q);
        stats.add_queue(q);
        b.add(1, 60, 0, 0);
        assert_eq!(stats.queue(q), Some(QueueCounters::default()), "the new queue of that number is another one");
    }
}
