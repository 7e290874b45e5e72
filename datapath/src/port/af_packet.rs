//! Ports on Linux interfaces through packet sockets.
//!
//! Receiving: two TPACKET_V2 rings in which frames stay while the pipeline works on them (no copy
//! between kernel and us), or `recvmmsg` where there's no memory for rings. One ring has many small
//! slots, so that a worker that is held up loses nothing; the other has room for super-frames. A
//! filter on the length sends each frame to one of them. Since a flow's frames may go to either, they
//! are merged by arrival time: when a frame is seen in one ring, an earlier one of the same flow
//! (handled before it by the same CPU) is already visible in the other. Sending: `sendmmsg`.
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
    FramePool, InterfaceName, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, QueueCounters,
    Transmitted, interface_name, restore_vlan,
};
use crate::frame::Frame;
use crate::sys::batch::{Receiver, Sender};
use crate::sys::ring::{Received, RingRx, SMALL_FRAME, SlotSize, VNET_LEN};
use crate::sys::{self, vnet};

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
}

impl Default for AfPacketOptions {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20, socket_buffer: 8 << 20, promiscuous: true, gro: None }
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

#[derive(Debug)]
struct Rings {
    small: RingRx,
    large: RingRx,
    /// The socket of the large ring; the small one's is the main socket.
    large_stream: RawPacketStream,
}

impl Rings {
    /// Takes the frame that came first.
    fn take(&mut self) -> Option<Received> {
        let small = self.small.head();
        let large = self.large.head();
        // A ring that looked empty is asked again once the other has shown a frame: an earlier frame
        // may have come between the two looks.
        let small = if small.is_none() && large.is_some() { self.small.head() } else { small };
        match (small, large) {
            (Some(s), Some(l)) if l < s => self.large.take(),
            (Some(_), _) => self.small.take(),
            (None, Some(_)) => self.large.take(),
            // Nothing is taken that wasn't compared: by now both may hold a frame.
            (None, None) => None,
        }
    }

    fn ready(&self) -> bool {
        self.small.ready() || self.large.ready()
    }
}

#[derive(Debug)]
enum Source {
    Rings(Box<Rings>),
    Calls(Box<Receiver>),
}

/// A classic BPF program that passes frames by length: those up to `SMALL_FRAME` or the longer ones.
fn length_filter(small: bool) -> afpacket::sync::FilterProgram {
    const LOAD_LENGTH: u16 = 0x80;
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let (longer, others) = if small { (0, u32::MAX) } else { (u32::MAX, 0) };
    vec![(LOAD_LENGTH, 0, 0, 0), (JUMP_IF_GREATER, 0, 1, SMALL_FRAME), (RETURN, 0, 0, longer), (RETURN, 0, 0, others)]
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
        let fd = prepare()?;
        let index = sys::interface_index(fd.as_fd(), name).map_err(PortError::open(name, "interface"))?;
        if let Some(on) = shared.options.gro {
            sys::set_interface_gro(fd.as_fd(), name, on).map_err(PortError::open(name, "receive offload"))?;
        }
        if shared.options.ring_bytes > 0 {
            match Self::open_rings(fd, prepare()?, index, shared) {
                Ok(socket) => return Ok(socket),
                Err(e) => tracing::warn!(port = %name, error = %e, "no receive rings, receiving by system calls"),
            }
        }
        let mut stream = sys::into_afpacket(prepare()?);
        attach(&mut stream, shared)?;
        Ok(Self { stream, index, source: Source::Calls(Box::default()) })
    }

    fn open_rings(small: OwnedFd, large: OwnedFd, index: u32, shared: &Shared) -> Result<Self, PortError> {
        let name = &shared.name;
        let bytes = shared.options.ring_bytes / 2;
        let ring =
            |fd: &OwnedFd, slot| RingRx::new(fd.as_fd(), slot, bytes).map_err(PortError::open(name, "receive ring"));
        let (small_ring, large_ring) = (ring(&small, SlotSize::Small)?, ring(&large, SlotSize::Large)?);
        let (mut stream, mut large_stream) = (sys::into_afpacket(small), sys::into_afpacket(large));
        for (stream, small) in [(&mut large_stream, false), (&mut stream, true)] {
            stream.set_bpf_filter(length_filter(small)).map_err(PortError::open(name, "filter"))?;
            attach(stream, shared)?;
        }
        let rings = Rings { small: small_ring, large: large_ring, large_stream };
        Ok(Self { stream, index, source: Source::Rings(Box::new(rings)) })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        sys::stream_fd(&self.stream)
    }
}

/// Starts receiving from the port's interface.
fn attach(stream: &mut RawPacketStream, shared: &Shared) -> Result<(), PortError> {
    let name = &shared.name;
    stream.bind(name.as_str()).map_err(PortError::open(name, "bind"))?;
    if shared.options.promiscuous {
        stream.set_promisc(name.as_str(), true).map_err(PortError::open(name, "promiscuous mode"))?;
    }
    Ok(())
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
            Source::Rings(rings) => {
                for _ in 0..max {
                    let Some(r) = rings.take() else { break };
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

    fn each_fd(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.socket.fd());
        if let Source::Rings(rings) = &self.socket.source {
            each(sys::stream_fd(&rings.large_stream));
        }
    }

    fn cheap_when_idle(&self) -> bool {
        matches!(self.socket.source, Source::Rings(_))
    }

    fn prepare_wait(&mut self) -> bool {
        matches!(&self.socket.source, Source::Rings(rings) if rings.ready())
    }

    fn check(&mut self) -> LinkState {
        let mut drops = 0;
        self.each_fd(&mut |fd| {
            // The error is only a hint to look; the interface's own state counts.
            let _ = sys::take_error(fd);
            drops += sys::packet_drops(fd).map_or(0, u64::from);
        });
        self.counter.add(0, 0, drops, 0);
        let fd = self.socket.fd();
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
