//! Ports on Linux interfaces through packet sockets.
//!
//! Receiving: two TPACKET_V2 rings in which frames stay while the pipeline works on them (no copy
//! between kernel and us), or `recvmmsg` where there's no memory for rings. One ring has many small
//! slots, so that a worker that is held up loses nothing; the other has room for super-frames. A
//! filter on the length sends each frame to one of them. Since a flow's frames may go to either, they
//! are merged by arrival time: when a frame is seen in one ring, an earlier one of the same flow
//! (handled before it by the same CPU) is already visible in the other. Sending: `sendmmsg`.
//!
//! The receive side may be open in several parts, each with sockets and rings of its own, over which the
//! kernel shares the frames out by flow (`fanout`).
//!
//! Both sides carry virtio headers, so that unfinished checksums and super-frames pass as they are;
//! where the interface can't, the kernel finishes them.

mod fanout;
mod rx;
mod tx;

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ofproto::ids::QueueId;

use super::{InterfaceName, Port, PortCounters, PortError, PortRx, PortStats, PortTx, QueueCounters, interface_name};
use crate::sys;

/// How a packet-socket port is opened.
#[derive(Clone, Debug)]
pub struct AfPacketOptions {
    /// Memory of the receive rings in bytes, in steps of 1 MiB. Half is for frames up to 1792 bytes
    /// (496 per MiB), half for longer ones (15 per MiB). 0: no rings.
    pub ring_bytes: usize,
    /// Socket buffers in bytes, each way.
    pub socket_buffer: u32,
    /// Receive frames for every destination address.
    pub promiscuous: bool,
    /// Turn the interface's generic receive offload on or off when its receive half is opened;
    /// `None` leaves it. On, TCP from hosts without segmentation offload arrives in super-frames,
    /// which costs far less per byte. It stays as set after the port is closed.
    pub gro: Option<bool>,
    /// Parts in which the receive side opens for as many workers, each with rings and buffers of the
    /// sizes above. 0 counts as 1.
    pub parts: usize,
}

impl Default for AfPacketOptions {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20, socket_buffer: 8 << 20, promiscuous: true, gro: None, parts: 1 }
    }
}

#[derive(Debug)]
struct Shared {
    name: InterfaceName,
    options: AfPacketOptions,
    stats: PortStats,
    queues: Mutex<HashMap<u32, u32>>,
    /// Counts changes of `queues`.
    queues_version: AtomicU64,
    /// Counts reopenings of the interface.
    generation: AtomicU64,
    /// What the parts of the receive side have joined. Locked while one opens.
    groups: Mutex<Option<fanout::Groups>>,
}

/// A port on the interface `name` of the network namespace of the thread that opens its halves.
#[derive(Clone, Debug)]
pub struct AfPacket(Arc<Shared>);

impl AfPacket {
    /// Checks the name; opens nothing yet.
    ///
    /// # Errors
    /// [`PortError::Name`]
    pub fn new(name: &str, options: AfPacketOptions) -> Result<Self, PortError> {
        Ok(Self(Arc::new(Shared {
            name: interface_name(name)?,
            options,
            stats: PortStats::default(),
            queues: Mutex::default(),
            queues_version: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            groups: Mutex::default(),
        })))
    }
}

impl Port for AfPacket {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        rx::open_one(&self.0)
    }

    fn open_rx_parts(&self, most: usize) -> Result<Vec<Box<dyn PortRx>>, PortError> {
        rx::open(&self.0, self.0.options.parts.clamp(1, most.max(1)))
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        tx::open(&self.0)
    }

    fn counters(&self) -> PortCounters {
        self.0.stats.sum()
    }

    fn set_queue(&self, queue: QueueId, priority: Option<u32>) -> bool {
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match priority {
            Some(p) => {
                self.0.stats.add_queue(queue);
                queues.insert(queue.0, p);
            }
            None => {
                queues.remove(&queue.0);
                self.0.stats.remove_queue(queue);
            }
        }
        self.0.queues_version.fetch_add(1, Ordering::Release);
        true
    }

    fn queue_counters(&self, queue: QueueId) -> Option<QueueCounters> {
        self.0.stats.queue(queue)
    }
}

/// Sets a socket buffer's size beyond the system's limit if we may, else up to it.
fn set_buffer(fd: BorrowedFd<'_>, bytes: u32, force: i32, plain: i32) {
    let bytes = i32::try_from(bytes / 2).unwrap_or(i32::MAX / 2);
    // Without CAP_NET_ADMIN the limit applies; a smaller buffer loses frames in long bursts, no more.
    if sys::setsockopt(fd, libc::SOL_SOCKET, force, &bytes).is_err() {
        let _ = sys::setsockopt(fd, libc::SOL_SOCKET, plain, &bytes);
    }
}

/// What the interface with this number is called now; `None` if there is none (here).
fn name_of(fd: BorrowedFd<'_>, index: u32) -> Option<InterfaceName> {
    let name = rustix::net::netdevice::index_to_name(fd, index).ok()?;
    InterfaceName::new(&name).ok()
}
