//! Sending: `sendmmsg`.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use ofproto::ids::QueueId;

use super::super::counters::Counter;
use super::super::{FramePool, PortError, PortTx, Transmitted};
use super::{Shared, name_of, set_buffer};
use crate::frame::Frame;
use crate::sys;
use crate::sys::batch::Sender;

/// Opens a transmit half.
pub(super) fn open(shared: &Arc<Shared>) -> Result<Box<dyn PortTx>, PortError> {
    let generation = shared.generation.load(Ordering::Acquire);
    let tx = AfPacketTx {
        socket: tx_socket(shared)?,
        index: 0,
        counter: shared.stats.transmitter(),
        sender: Sender::default(),
        generation,
        queues: HashMap::new(),
        queues_version: 0,
        priority: 0,
        shared: Arc::clone(shared),
    };
    Ok(Box::new(tx.with_index()?))
}

fn tx_socket(shared: &Shared) -> Result<OwnedFd, PortError> {
    let name = &shared.name;
    let fd = sys::packet_socket().map_err(PortError::open(name, "packet socket"))?;
    sys::setsockopt(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1i32)
        .map_err(PortError::open(name, "PACKET_VNET_HDR"))?;
    set_buffer(fd.as_fd(), shared.options.socket_buffer, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF);
    Ok(fd)
}

/// A sending socket, bound with protocol 0: the kernel delivers nothing to it.
#[derive(Debug)]
struct AfPacketTx {
    socket: OwnedFd,
    index: u32,
    counter: Counter,
    sender: Sender,
    generation: u64,
    /// Queues' priorities and counters, as of `queues_version`.
    queues: HashMap<u32, (u32, Option<Counter>)>,
    queues_version: u64,
    /// The socket's current `SO_PRIORITY`.
    priority: u32,
    shared: Arc<Shared>,
}

impl AfPacketTx {
    fn with_index(mut self) -> Result<Self, PortError> {
        self.rebind().map_err(PortError::open(&self.shared.name, "bind"))?;
        Ok(self)
    }

    /// Binds the socket to the interface that bears the name now, unless the one it is bound to exists
    /// still (under whatever name).
    fn rebind(&mut self) -> std::io::Result<()> {
        if self.index != 0 && name_of(self.socket.as_fd(), self.index).is_some() {
            return Ok(());
        }
        let index = sys::interface_index(self.socket.as_fd(), &self.shared.name)?;
        if index != self.index {
            sys::bind_send_only(self.socket.as_fd(), index)?;
            self.index = index;
        }
        Ok(())
    }

    fn select_queue(&mut self, queue: QueueId) {
        let version = self.shared.queues_version.load(Ordering::Acquire);
        if version != self.queues_version {
            let queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner);
            // The counters begin anew: a queue may have been removed and made again meanwhile. What the
            // old ones hold is kept by the port.
            self.queues.clear();
            self.queues
                .extend(queues.iter().map(|(q, p)| (*q, (*p, self.shared.stats.queue_transmitter(QueueId(*q))))));
            self.queues_version = version;
        }
        if self.queues.is_empty() && self.priority == 0 {
            return;
        }
        let priority = self.priority_of(queue);
        if priority != self.priority
            && sys::setsockopt(self.socket.as_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, &priority).is_ok()
        {
            self.priority = priority;
        }
    }
}

impl AfPacketTx {
    /// The queue that a frame for `queue` goes into; frames for none go into queue 0 if there is one.
    fn queue_of(&self, queue: QueueId) -> u32 {
        if self.queues.contains_key(&queue.0) { queue.0 } else { 0 }
    }

    fn priority_of(&self, queue: QueueId) -> u32 {
        self.queues.get(&self.queue_of(queue)).map_or(0, |q| q.0)
    }
}

impl PortTx for AfPacketTx {
    fn transmit(&mut self, queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            // If it fails, so does the send below, which counts the loss.
            let _ = self.rebind();
        }
        self.select_queue(queue);
        let outcome = self.sender.send(self.socket.as_fd(), frames);
        if outcome.down {
            let _ = sys::take_error(self.socket.as_fd());
            let _ = self.rebind();
        }
        self.counter.add(outcome.sent, outcome.bytes, outcome.dropped, outcome.errors);
        if !self.queues.is_empty() {
            let queue = self.queue_of(queue);
            if let Some((_, Some(counter))) = self.queues.get_mut(&queue) {
                counter.add(outcome.sent, outcome.bytes, outcome.dropped, outcome.errors);
            }
        }
        pool.put_all(frames);
        Transmitted { sent: outcome.sent, dropped: outcome.dropped + outcome.errors }
    }
}
