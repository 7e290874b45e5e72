//! TAP devices: interfaces whose other end is this process.
//!
//! Every frame carries a virtio header, so the host's stack may leave checksums and segmentation
//! undone in both directions. The device lives as long as any handle or the port itself is open.
//!
//! A device with several queues is received from in as many parts. The kernel chooses the queue of a
//! frame by a hash of its flow, but remembers for each flow the queue that the other direction was last
//! sent through, and so would let the flow move between queues, and its frames overtake each other.
//! Therefore everything is sent through one more queue that is detached: nothing comes in there and
//! nothing is remembered of it.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ofproto::ids::{MacAddr, QueueId};

use super::counters::Counter;
use super::{
    FramePool, InterfaceName, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, Transmitted,
    interface_name,
};
use crate::frame::{Frame, MAX_FRAME};
use crate::sys::ring::VNET_LEN;
use crate::sys::{self, vnet};

/// How a TAP device is set up.
#[derive(Clone, Debug, Default)]
pub struct TapOptions {
    /// Its Ethernet address; the kernel's choice if not given.
    pub mac: Option<MacAddr>,
    /// Its MTU; 1500 if not given.
    pub mtu: Option<u32>,
    /// Bring it up.
    pub up: bool,
    /// Queues from which as many workers may receive. 0 counts as 1.
    pub queues: usize,
}

#[derive(Debug)]
struct Shared {
    name: InterfaceName,
    /// The device's first queue.
    device: Arc<File>,
    /// How many queues there may be.
    queues: usize,
    /// The detached queue of a device with several.
    sender: Option<File>,
    stats: PortStats,
    receiving: AtomicBool,
}

impl Shared {
    /// The device's name now. By a name that no interface bears (here), the kernel would make another
    /// device instead of a queue.
    fn present_name(&self) -> Result<InterfaceName, PortError> {
        let failed = |what| PortError::open(&self.name, what);
        let name = sys::tun_name(self.device.as_fd()).map_err(failed("TUNGETIFF"))?;
        let control = sys::control_socket().map_err(failed("control socket"))?;
        sys::interface_index(control.as_fd(), &name).map_err(failed("interface"))?;
        Ok(name)
    }

    /// Whether the device exists, in whichever network namespace.
    ///
    /// A zero-length poll can't tell; a deleted device answers every ioctl with EBADFD. Its name is no
    /// help: the interface may have been moved to another network namespace.
    fn attached(&self) -> bool {
        sys::tun_set_vnet_header(self.device.as_fd(), VNET_LEN).is_ok()
    }
}

/// One more queue of the device `name`, or the device itself.
fn open_queue(name: &InterfaceName, several: bool) -> Result<File, PortError> {
    let failed = |what| PortError::open(name, what);
    let queue = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .map_err(failed("/dev/net/tun"))?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let flags = flags | if several { libc::IFF_MULTI_QUEUE } else { 0 };
    sys::tun_attach(queue.as_fd(), name, flags).map_err(failed("TUNSETIFF"))?;
    sys::tun_set_vnet_header(queue.as_fd(), VNET_LEN).map_err(failed("TUNSETVNETHDRSZ"))?;
    Ok(queue)
}

/// A TAP port. Its interface exists from [`Tap::create`] until the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Tap(Arc<Shared>);

impl Tap {
    /// Creates the device.
    ///
    /// # Errors
    /// The name, permissions, or an interface of that name that isn't a free TAP device.
    pub fn create(name: &str, options: &TapOptions) -> Result<Self, PortError> {
        let name = interface_name(name)?;
        let failed = |what| PortError::open(&name, what);
        let several = options.queues > 1;
        let device = open_queue(&name, several)?;
        let fd = device.as_fd();
        let base = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        // Kernels before 6.2 know no UDP segmentation.
        sys::tun_set_offload(fd, base | libc::TUN_F_USO4 | libc::TUN_F_USO6)
            .or_else(|_| sys::tun_set_offload(fd, base))
            .map_err(failed("TUNSETOFFLOAD"))?;
        let control = sys::control_socket().map_err(failed("control socket"))?;
        if let Some(mac) = options.mac {
            sys::set_interface_mac(control.as_fd(), &name, mac.0).map_err(failed("set address"))?;
        }
        if let Some(mtu) = options.mtu {
            sys::set_interface_mtu(control.as_fd(), &name, mtu).map_err(failed("set MTU"))?;
        }
        if options.up {
            sys::set_interface_up(control.as_fd(), &name, true).map_err(failed("bring up"))?;
        }
        let sender = if several {
            let queue = open_queue(&name, several)?;
            sys::tun_detach_queue(queue.as_fd()).map_err(failed("TUNSETQUEUE"))?;
            Some(queue)
        } else {
            None
        };
        Ok(Self(Arc::new(Shared {
            name,
            device: Arc::new(device),
            queues: options.queues.max(1),
            sender,
            stats: PortStats::default(),
            receiving: AtomicBool::new(false),
        })))
    }

    /// The device's Ethernet address.
    ///
    /// # Errors
    /// The interface was deleted or moved to another network namespace.
    pub fn mac(&self) -> io::Result<MacAddr> {
        let control = sys::control_socket()?;
        sys::interface_mac(control.as_fd(), &self.0.name).map(MacAddr)
    }

    /// Switches the carrier that the host sees.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn set_carrier(&self, on: bool) -> io::Result<()> {
        sys::tun_set_carrier(self.0.device.as_fd(), on)
    }
}

impl Port for Tap {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        self.open_rx_parts(1)?.pop().ok_or_else(|| PortError::Busy(self.name().to_owned()))
    }

    fn open_rx_parts(&self, most: usize) -> Result<Vec<Box<dyn PortRx>>, PortError> {
        if self.0.receiving.swap(true, Ordering::AcqRel) {
            return Err(PortError::Busy(self.name().to_owned()));
        }
        let whole = Arc::new(Receiving(Arc::clone(&self.0)));
        let mut queues = vec![Arc::clone(&self.0.device)];
        // A queue that nobody reads would swallow the frames of its flows: it exists as long as its part.
        for _ in 1..self.0.queues.min(most) {
            queues.push(Arc::new(open_queue(&self.0.present_name()?, true)?));
        }
        let parts = queues.into_iter().map(|queue| {
            Box::new(TapRx {
                queue,
                counter: self.0.stats.receiver(),
                overflow: vec![0; MAX_FRAME],
                large: false,
                whole: Arc::clone(&whole),
            }) as Box<dyn PortRx>
        });
        Ok(parts.collect())
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        Ok(Box::new(TapTx { counter: self.0.stats.transmitter(), shared: Arc::clone(&self.0) }))
    }

    fn counters(&self) -> PortCounters {
        self.0.stats.sum()
    }

    fn lives_elsewhere(&self) -> bool {
        self.0.attached()
    }
}

/// The receive side, taken as long as a part of it is open.
#[derive(Debug)]
struct Receiving(Arc<Shared>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.receiving.store(false, Ordering::Release);
    }
}

#[derive(Debug)]
struct TapRx {
    queue: Arc<File>,
    counter: Counter,
    /// Where the part of a frame goes that doesn't fit a small buffer.
    overflow: Vec<u8>,
    /// The last frame was large: read the next one into a large buffer at once.
    large: bool,
    whole: Arc<Receiving>,
}

impl PortRx for TapRx {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        let (mut packets, mut bytes, mut errors) = (0, 0, 0);
        let mut result = Ok(());
        for _ in 0..max {
            let mut frame = pool.take(if self.large { MAX_FRAME } else { 0 });
            let mut header = [0; VNET_LEN];
            let room = frame.room_mut().len();
            let mut parts =
                [IoSliceMut::new(&mut header), IoSliceMut::new(frame.room_mut()), IoSliceMut::new(&mut self.overflow)];
            let len = match rustix::io::readv(&*self.queue, &mut parts) {
                Ok(n) => n.saturating_sub(VNET_LEN),
                Err(e) => {
                    pool.put(frame);
                    match e {
                        rustix::io::Errno::AGAIN | rustix::io::Errno::INTR => {}
                        // EBADFD: the device was deleted under us.
                        rustix::io::Errno::IO | rustix::io::Errno::BADFD => result = Err(PortError::Down),
                        e => result = Err(PortError::Io(e.into())),
                    }
                    break;
                }
            };
            frame.grow_into_room(len.min(room));
            if len > room {
                let mut whole = pool.take(len);
                whole.extend(frame.bytes());
                whole.extend(&self.overflow[..(len - room).min(MAX_FRAME)]);
                pool.put(std::mem::replace(&mut frame, whole));
            }
            self.large = len > super::pool::SMALL;
            // A full overflow area means that the frame was cut.
            match vnet::decode(header) {
                Some(offload) if len - len.min(room) < MAX_FRAME => {
                    frame.offload = offload;
                    packets += 1;
                    bytes += frame.len() as u64;
                    burst.push(frame);
                }
                _ => {
                    errors += 1;
                    pool.put(frame);
                }
            }
        }
        self.counter.add(packets, bytes, 0, errors);
        match result {
            Err(e) if packets == 0 => Err(e),
            _ => Ok(packets as usize),
        }
    }

    fn each_fd(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        each(self.queue.as_fd());
    }

    fn check(&mut self) -> LinkState {
        if self.whole.0.attached() { LinkState::Up } else { LinkState::Gone }
    }

    fn reopen(&mut self) -> Result<(), PortError> {
        match self.check() {
            LinkState::Gone => Err(PortError::Closed),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct TapTx {
    counter: Counter,
    shared: Arc<Shared>,
}

impl PortTx for TapTx {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let (mut packets, mut bytes, mut dropped, mut errors) = (0, 0, 0, 0);
        let device = self.shared.sender.as_ref().unwrap_or(&self.shared.device);
        for frame in frames.iter() {
            let header = vnet::encode(&frame.offload, frame.bytes());
            let parts = [IoSlice::new(&header), IoSlice::new(frame.bytes())];
            match rustix::io::writev(device, &parts) {
                Ok(_) => {
                    packets += 1;
                    bytes += frame.len() as u64;
                }
                Err(rustix::io::Errno::IO | rustix::io::Errno::BADFD | rustix::io::Errno::AGAIN) => dropped += 1,
                Err(_) => errors += 1,
            }
        }
        self.counter.add(packets, bytes, dropped, errors);
        pool.put_all(frames);
        Transmitted { sent: packets, dropped: dropped + errors }
    }
}
