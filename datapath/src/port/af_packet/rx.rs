//! Receiving: rings or `recvmmsg`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use afpacket::sync::RawPacketStream;

use super::super::counters::Counter;
use super::super::{FramePool, LinkState, PortError, PortRx, restore_vlan};
use super::fanout::Groups;
use super::{Shared, name_of, set_buffer};
use crate::frame::Frame;
use crate::sys::batch::Receiver;
use crate::sys::ring::{Received, RingRx, SMALL_FRAME, SlotSize, VNET_LEN};
use crate::sys::{self, vnet};

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

mod filter {
    //! Classic BPF programs.

    use super::SMALL_FRAME;
    use afpacket::sync::FilterProgram;

    const LOAD_LENGTH: u16 = 0x80;
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;

    /// Passes all frames or none.
    pub(super) fn all(pass: bool) -> FilterProgram {
        vec![(RETURN, 0, 0, if pass { u32::MAX } else { 0 })]
    }

    /// Passes frames by length: those up to `SMALL_FRAME` or the longer ones.
    pub(super) fn length(small: bool) -> FilterProgram {
        let (longer, others) = if small { (0, u32::MAX) } else { (u32::MAX, 0) };
        vec![
            (LOAD_LENGTH, 0, 0, 0),
            (JUMP_IF_GREATER, 0, 1, SMALL_FRAME),
            (RETURN, 0, 0, longer),
            (RETURN, 0, 0, others),
        ]
    }
}

/// A receiving socket. The stream must never be cloned: its clones share the descriptor and each closes
/// it.
#[derive(Debug)]
pub(super) struct RxSocket {
    stream: RawPacketStream,
    index: u32,
    source: Source,
}

impl RxSocket {
    /// A socket that is bound to the interface and receives nothing yet.
    fn prepare(shared: &Shared, index: u32, rings: bool) -> Result<Self, PortError> {
        let name = &shared.name;
        let small = packet_socket(shared)?;
        if !rings {
            return Ok(Self { stream: bind(small, shared, index)?, index, source: Source::Calls(Box::default()) });
        }
        let large = packet_socket(shared)?;
        let bytes = shared.options.ring_bytes / 2;
        let ring =
            |fd: &OwnedFd, slot| RingRx::new(fd.as_fd(), slot, bytes).map_err(PortError::open(name, "receive ring"));
        let (small_ring, large_ring) = (ring(&small, SlotSize::Small)?, ring(&large, SlotSize::Large)?);
        let large_stream = bind(large, shared, index)?;
        let rings = Rings { small: small_ring, large: large_ring, large_stream };
        Ok(Self { stream: bind(small, shared, index)?, index, source: Source::Rings(Box::new(rings)) })
    }

    /// From now on it receives.
    fn start(&mut self, shared: &Shared) -> Result<(), PortError> {
        let filter = match &mut self.source {
            Source::Calls(_) => filter::all(true),
            Source::Rings(rings) => {
                let set = rings.large_stream.set_bpf_filter(filter::length(false));
                set.map_err(PortError::open(&shared.name, "filter"))?;
                filter::length(true)
            }
        };
        self.stream.set_bpf_filter(filter).map_err(PortError::open(&shared.name, "filter"))
    }

    /// The socket of the small ring, or the only one.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        sys::stream_fd(&self.stream)
    }

    /// The socket of the large ring.
    pub(super) fn large_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Rings(rings) => Some(sys::stream_fd(&rings.large_stream)),
            Source::Calls(_) => None,
        }
    }
}

/// A packet socket with its options set, not bound yet.
fn packet_socket(shared: &Shared) -> Result<OwnedFd, PortError> {
    let name = &shared.name;
    let fd = sys::packet_socket().map_err(PortError::open(name, "packet socket"))?;
    let s = fd.as_fd();
    let set = |option, what| sys::setsockopt(s, libc::SOL_PACKET, option, &1i32).map_err(PortError::open(name, what));
    set(libc::PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING")?;
    set(libc::PACKET_VNET_HDR, "PACKET_VNET_HDR")?;
    set(libc::PACKET_AUXDATA, "PACKET_AUXDATA")?;
    set_buffer(s, shared.options.socket_buffer, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF);
    Ok(fd)
}

/// Binds a socket to the port's interface with a filter that passes nothing: parts that haven't joined
/// their group yet would all receive every frame.
///
/// By its number: looking a name up takes another descriptor, and where there is none left the answer is that
/// there is no such interface.
fn bind(socket: OwnedFd, shared: &Shared, index: u32) -> Result<RawPacketStream, PortError> {
    let name = &shared.name;
    let mut stream = sys::into_afpacket(socket);
    stream.set_bpf_filter(filter::all(false)).map_err(PortError::open(name, "filter"))?;
    let fd = sys::stream_fd(&stream);
    sys::bind_receiving(fd, index).map_err(PortError::open(name, "bind"))?;
    if shared.options.promiscuous {
        sys::set_promiscuous(fd, index).map_err(PortError::open(name, "promiscuous mode"))?;
    }
    Ok(stream)
}

/// The number of the port's interface, which is set up as the port wants it.
fn interface(shared: &Shared) -> Result<u32, PortError> {
    let name = &shared.name;
    let control = sys::control_socket().map_err(PortError::open(name, "control socket"))?;
    let index = sys::interface_index(control.as_fd(), name).map_err(PortError::open(name, "interface"))?;
    if let Some(on) = shared.options.gro {
        sys::ethtool::set_gro(control.as_fd(), name, on).map_err(PortError::open(name, "receive offload"))?;
    }
    Ok(index)
}

/// Opens `n` sockets, all with rings or all without, which receive from the same moment on.
fn open_sockets(
    shared: &Shared,
    index: u32,
    n: usize,
    rings: bool,
    mut groups: Option<&mut Groups>,
) -> Result<Vec<RxSocket>, PortError> {
    let mut sockets = Vec::with_capacity(n);
    for _ in 0..n {
        let socket = RxSocket::prepare(shared, index, rings)?;
        if let Some(groups) = &mut groups {
            groups.join(&shared.name, &socket)?;
        }
        sockets.push(socket);
    }
    sockets.iter_mut().try_for_each(|s| s.start(shared))?;
    Ok(sockets)
}

/// Opens `n` sockets of a receive side; with `groups`, in new ones.
fn open_afresh(
    shared: &Shared,
    index: u32,
    n: usize,
    groups: Option<&mut Option<Groups>>,
) -> Result<Vec<RxSocket>, PortError> {
    let grouped = groups.is_some();
    let open = |rings| {
        let mut groups = grouped.then(|| Groups::new(index, rings));
        open_sockets(shared, index, n, rings, groups.as_mut()).map(|sockets| (sockets, groups))
    };
    let with_rings = (shared.options.ring_bytes > 0).then(|| open(true));
    let (sockets, opened) = match with_rings {
        Some(Ok(opened)) => opened,
        Some(Err(e)) => {
            tracing::warn!(port = %shared.name, error = %e, "no receive rings, receiving by system calls");
            open(false)?
        }
        None => open(false)?,
    };
    if let Some(groups) = groups {
        *groups = opened;
    }
    Ok(sockets)
}

/// Opens the receive side in `n` parts.
pub(super) fn open(shared: &Arc<Shared>, n: usize) -> Result<Vec<Box<dyn PortRx>>, PortError> {
    let part = n > 1;
    let index = interface(shared)?;
    let mut groups = shared.groups.lock().unwrap_or_else(PoisonError::into_inner);
    let sockets = open_afresh(shared, index, n, part.then_some(&mut *groups))?;
    let halves = sockets.into_iter().map(|socket| {
        let counter = shared.stats.receiver();
        Box::new(AfPacketRx { socket, counter, part, shared: Arc::clone(shared) }) as Box<dyn PortRx>
    });
    Ok(halves.collect())
}

/// Opens a socket again after its interface went: the only one, or a part beside others.
fn reopen(shared: &Shared, part: bool) -> Result<RxSocket, PortError> {
    let index = interface(shared)?;
    let mut groups = shared.groups.lock().unwrap_or_else(PoisonError::into_inner);
    // Another part may have begun groups on the new interface. Should they not take this one, they are
    // of a former interface that had the same number.
    if let Some(groups) = groups.as_mut().filter(|g| part && g.index == index)
        && let Ok(sockets) = open_sockets(shared, index, 1, groups.rings, Some(groups))
    {
        return one(shared, sockets);
    }
    one(shared, open_afresh(shared, index, 1, part.then_some(&mut *groups))?)
}

fn one<T>(shared: &Shared, list: Vec<T>) -> Result<T, PortError> {
    list.into_iter().next().ok_or_else(|| PortError::Busy(shared.name.to_string()))
}

/// Opens the receive side whole.
pub(super) fn open_one(shared: &Arc<Shared>) -> Result<Box<dyn PortRx>, PortError> {
    one(shared, open(shared, 1)?)
}

#[derive(Debug)]
struct AfPacketRx {
    socket: RxSocket,
    counter: Counter,
    /// One of several.
    part: bool,
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
        if let Some(fd) = self.socket.large_fd() {
            each(fd);
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
        self.socket = reopen(&self.shared, self.part)?;
        self.shared.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}
