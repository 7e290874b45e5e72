//! Ports on Linux interfaces through packet sockets.
//!
//! Receiving: a TPACKET_V2 ring in which frames stay while the pipeline works on them (no copy
//! between kernel and us), or `recvmmsg` where there's no memory for a ring. Sending: `sendmmsg`.
//! Both sides carry virtio headers, so that unfinished checksums and super-frames pass as they are;
//! where the interface can't, the kernel finishes them.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use afpacket::sync::RawPacketStream;
use ofproto::ids::QueueId;

use super::counters::Counter;
use super::{
    FramePool, InterfaceName, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, Transmitted,
    interface_name, restore_vlan,
};
use crate::frame::Frame;
use crate::sys::batch::{Receiver, Sender};
use crate::sys::ring::{RingRx, VNET_LEN};
use crate::sys::{self, vnet};

/// How a packet-socket port is opened.
#[derive(Clone, Debug)]
pub struct AfPacketOptions {
    /// Memory of the receive ring in bytes, in steps of 1 MiB (15 frames each); 0: no ring.
    pub ring_bytes: usize,
    /// Socket buffers in bytes, each way.
    pub socket_buffer: u32,
    /// Receive frames for every destination address.
    pub promiscuous: bool,
}

impl Default for AfPacketOptions {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20, socket_buffer: 8 << 20, promiscuous: true }
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
        })))
    }

    /// Sets the `skb->priority` with which frames for `queue` are sent (an HTB class id
    /// `major << 16 | minor` selects that class); `None` forgets it. Queues without one send with 0.
    pub fn set_queue_priority(&self, queue: QueueId, priority: Option<u32>) {
        let mut queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match priority {
            Some(p) => queues.insert(queue.0, p),
            None => queues.remove(&queue.0),
        };
        self.0.queues_version.fetch_add(1, Ordering::Release);
    }
}

impl Port for AfPacket {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        let socket = RxSocket::open(&self.0)?;
        Ok(Box::new(AfPacketRx { socket, counter: self.0.stats.receiver(), shared: Arc::clone(&self.0) }))
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        let generation = self.0.generation.load(Ordering::Acquire);
        Ok(Box::new(
            AfPacketTx {
                socket: tx_socket(&self.0)?,
                index: 0,
                counter: self.0.stats.transmitter(),
                sender: Sender::default(),
                generation,
                queues: HashMap::new(),
                queues_version: 0,
                priority: 0,
                shared: Arc::clone(&self.0),
            }
            .with_index()?,
        ))
    }

    fn counters(&self) -> PortCounters {
        self.0.stats.sum()
    }
}

#[derive(Debug)]
enum Source {
    Ring(RingRx),
    Calls(Box<Receiver>),
}

/// An open receiving socket. The stream must never be cloned: its clones share the descriptor and
/// each closes it.
#[derive(Debug)]
struct RxSocket {
    stream: RawPacketStream,
    index: u32,
    source: Source,
}

impl RxSocket {
    fn open(shared: &Shared) -> Result<Self, PortError> {
        let name = &shared.name;
        let prepare = || -> Result<OwnedFd, PortError> {
            let fd = sys::packet_socket().map_err(PortError::open(name, "packet socket"))?;
            let s = fd.as_fd();
            let set =
                |option, what| sys::setsockopt(s, libc::SOL_PACKET, option, &1i32).map_err(PortError::open(name, what));
            set(libc::PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING")?;
            set(libc::PACKET_VNET_HDR, "PACKET_VNET_HDR")?;
            set(libc::PACKET_AUXDATA, "PACKET_AUXDATA")?;
            set_buffer(s, shared.options.socket_buffer, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF);
            Ok(fd)
        };
        let mut fd = prepare()?;
        let index = sys::interface_index(fd.as_fd(), name).map_err(PortError::open(name, "interface"))?;
        let mut source = None;
        if shared.options.ring_bytes > 0 {
            match RingRx::new(fd.as_fd(), shared.options.ring_bytes) {
                Ok(ring) => source = Some(Source::Ring(ring)),
                Err(e) => {
                    tracing::warn!(port = %name, error = %e, "no receive ring, receiving by system calls");
                    fd = prepare()?;
                }
            }
        }
        let source = source.unwrap_or_else(|| Source::Calls(Box::default()));
        let mut stream = sys::into_afpacket(fd);
        stream.bind(name.as_str()).map_err(PortError::open(name, "bind"))?;
        if shared.options.promiscuous {
            stream.set_promisc(name.as_str(), true).map_err(PortError::open(name, "promiscuous mode"))?;
        }
        Ok(Self { stream, index, source })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        sys::stream_fd(&self.stream)
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

#[derive(Debug)]
struct AfPacketRx {
    socket: RxSocket,
    counter: Counter,
    shared: Arc<Shared>,
}

/// Adds what came beside a frame to it; false if it is to be dropped.
fn complete(frame: &mut Frame, header: [u8; VNET_LEN], vlan: Option<(u16, u16)>) -> bool {
    let Some(offload) = vnet::decode(header) else { return false };
    frame.offload = offload;
    if let Some(tag) = vlan {
        restore_vlan(frame, tag);
    }
    true
}

impl PortRx for AfPacketRx {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        let (mut packets, mut bytes, mut errors) = (0, 0, 0);
        match &mut self.socket.source {
            Source::Ring(ring) => {
                for _ in 0..max {
                    let Some(r) = ring.take() else { break };
                    let header = r
                        .start
                        .checked_sub(VNET_LEN)
                        .and_then(|at| r.slot.data().get(at..)?.first_chunk::<VNET_LEN>().copied());
                    let mut frame = Frame::from_slot(r.slot, r.start, r.end);
                    match header {
                        Some(h) if !r.truncated && complete(&mut frame, h, r.vlan) => {
                            packets += 1;
                            bytes += frame.len() as u64;
                            burst.push(frame);
                        }
                        _ => errors += 1,
                    }
                }
            }
            Source::Calls(receiver) => {
                let fd = sys::stream_fd(&self.socket.stream);
                let result = receiver.receive(fd, max, pool, |mut r| {
                    if !r.truncated && complete(&mut r.frame, r.header, r.vlan) {
                        packets += 1;
                        bytes += r.frame.len() as u64;
                        burst.push(r.frame);
                    } else {
                        errors += 1;
                    }
                });
                if let Err(e) = result {
                    return match e.raw_os_error() {
                        Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => Err(PortError::Down),
                        _ => Err(e.into()),
                    };
                }
            }
        }
        self.counter.add(packets, bytes, 0, errors);
        Ok(packets as usize)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.fd())
    }

    fn cheap_when_idle(&self) -> bool {
        matches!(self.socket.source, Source::Ring(_))
    }

    fn prepare_wait(&mut self) -> bool {
        matches!(&self.socket.source, Source::Ring(ring) if ring.ready())
    }

    fn check(&mut self) -> LinkState {
        let fd = self.socket.fd();
        // The error is only a hint to look; the interface's own state counts.
        let _ = sys::take_error(fd);
        if let Ok(n) = sys::packet_drops(fd) {
            self.counter.add(0, 0, n.into(), 0);
        }
        // The socket is bound to the interface's number: a new name changes nothing for it.
        let Some(name) = name_of(fd, self.socket.index) else { return LinkState::Gone };
        match sys::interface_flags(fd, &name) {
            Ok(f) if f & libc::IFF_UP != 0 && f & libc::IFF_RUNNING != 0 => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    fn reopen(&mut self) -> Result<(), PortError> {
        self.socket = RxSocket::open(&self.shared)?;
        self.shared.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// What the interface with this number is called now; `None` if there is none (here).
fn name_of(fd: BorrowedFd<'_>, index: u32) -> Option<InterfaceName> {
    let name = rustix::net::netdevice::index_to_name(fd, index).ok()?;
    InterfaceName::new(&name).ok()
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
    queues: HashMap<u32, u32>,
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
            self.queues = self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.queues_version = version;
        }
        if self.queues.is_empty() && self.priority == 0 {
            return;
        }
        let priority = self.queues.get(&queue.0).copied().unwrap_or(0);
        if priority != self.priority
            && sys::setsockopt(self.socket.as_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, &priority).is_ok()
        {
            self.priority = priority;
        }
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
        pool.put_all(frames);
        Transmitted { sent: outcome.sent, dropped: outcome.dropped + outcome.errors }
    }
}
