//! TAP devices: interfaces whose other end is this process.
//!
//! Every frame carries a virtio header, so the host's stack may leave checksums and segmentation
//! undone in both directions. The device lives as long as any handle or the port itself is open.

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
}

#[derive(Debug)]
struct Shared {
    name: InterfaceName,
    device: File,
    stats: PortStats,
    receiving: AtomicBool,
}

impl Shared {
    /// Whether the device exists, in whichever network namespace.
    ///
    /// A zero-length poll can't tell; a deleted device answers every ioctl with EBADFD. Its name is no
    /// help: the interface may have been moved to another network namespace.
    fn attached(&self) -> bool {
        sys::tun_set_vnet_header(self.device.as_fd(), VNET_LEN).is_ok()
    }
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
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(failed("/dev/net/tun"))?;
        let fd = device.as_fd();
        sys::tun_attach(fd, &name, libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR)
            .map_err(failed("TUNSETIFF"))?;
        sys::tun_set_vnet_header(fd, VNET_LEN).map_err(failed("TUNSETVNETHDRSZ"))?;
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
        Ok(Self(Arc::new(Shared { name, device, stats: PortStats::default(), receiving: AtomicBool::new(false) })))
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
        if self.0.receiving.swap(true, Ordering::AcqRel) {
            return Err(PortError::Busy(self.name().to_owned()));
        }
        Ok(Box::new(TapRx {
            counter: self.0.stats.receiver(),
            overflow: vec![0; MAX_FRAME],
            large: false,
            shared: Arc::clone(&self.0),
        }))
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

#[derive(Debug)]
struct TapRx {
    counter: Counter,
    /// Where the part of a frame goes that doesn't fit a small buffer.
    overflow: Vec<u8>,
    /// The last frame was large: read the next one into a large buffer at once.
    large: bool,
    shared: Arc<Shared>,
}

impl Drop for TapRx {
    fn drop(&mut self) {
        self.shared.receiving.store(false, Ordering::Release);
    }
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
            let len = match rustix::io::readv(&self.shared.device, &mut parts) {
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
        each(self.shared.device.as_fd());
    }

    fn check(&mut self) -> LinkState {
        if self.shared.attached() { LinkState::Up } else { LinkState::Gone }
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
        for frame in frames.iter() {
            let header = vnet::encode(&frame.offload, frame.bytes());
            let parts = [IoSlice::new(&header), IoSlice::new(frame.bytes())];
            match rustix::io::writev(&self.shared.device, &parts) {
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
