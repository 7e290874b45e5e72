//! Ports on Linux interfaces through AF_XDP sockets.
//!
//! A small program in the interface's driver (or right behind it) hands every frame to a socket: the
//! host's own stack sees nothing of the interface any more. Each of its receive queues has a socket with
//! memory of its own, and a part of the receive side has some of the queues, so that a flow stays with
//! one part as long as the interface keeps it in one queue.
//!
//! XDP carries no word of offload work. What is sent is finished before: super-frames are cut, checksums
//! filled in. What a veth's peer sends with an unfinished checksum comes without a mark (segmentation
//! the kernel turns off there), and is recognised (`undone`). A queue of the interface serves all
//! transmit halves that were dealt it, which take turns by a lock held for a batch; there is none to wait
//! for with as many queues as workers. OpenFlow queues need the kernel's queueing disciplines, which XDP
//! goes around: there are none here.

mod undone;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ofproto::ids::QueueId;

use super::counters::Counter;
use super::{
    FramePool, InterfaceName, LinkState, Port, PortCounters, PortError, PortRx, PortStats, PortTx, Transmitted,
    interface_name,
};
use crate::checksum::finish_checksum;
use crate::frame::Frame;
use crate::segment::segment;
use crate::sys::bpf::Redirect;
use crate::sys::xdp::{self, Load, XskDrops, XskRx, XskTx};
use crate::sys::{self, ethtool};

/// Bytes of an Ethernet header, with room for one tag more than the MTU covers.
const HEADER: usize = 14 + 4;
/// How long to wait for the kernel to let go of a queue whose last socket was just closed.
const BUSY: Duration = Duration::from_secs(2);
const BUSY_STEP: Duration = Duration::from_millis(10);

/// How an AF_XDP port is opened.
#[derive(Clone, Debug, Default)]
pub struct AfXdpOptions {
    /// Parts in which the receive side opens for as many workers: as many at most as the interface has
    /// receive queues. 0 counts as 1.
    pub parts: usize,
}

#[derive(Debug)]
struct Shared {
    name: InterfaceName,
    parts: usize,
    stats: PortStats,
    /// The open interface. The halves keep it.
    device: Mutex<Weak<Device>>,
    /// Transmit halves opened so far.
    senders: AtomicUsize,
}

/// A port on the interface `name` of the network namespace of the thread that opens its halves.
#[derive(Clone, Debug)]
pub struct AfXdp(Arc<Shared>);

impl AfXdp {
    /// Checks the name; opens nothing yet.
    ///
    /// # Errors
    /// [`PortError::Name`]
    pub fn new(name: &str, options: &AfXdpOptions) -> Result<Self, PortError> {
        Ok(Self(Arc::new(Shared {
            name: interface_name(name)?,
            parts: options.parts.max(1),
            stats: PortStats::default(),
            device: Mutex::default(),
            senders: AtomicUsize::new(0),
        })))
    }
}

/// An interface with the program and a socket for each of its queues. All go when the last half does.
#[derive(Debug)]
struct Device {
    index: u32,
    mtu: AtomicU32,
    /// It sends what its peer left undone without a mark.
    veth: bool,
    rx: Vec<Mutex<Option<XskRx>>>,
    tx: Vec<Mutex<XskTx>>,
    /// The interface is gone.
    gone: AtomicBool,
    _redirect: Redirect,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    fn open(name: &InterfaceName, wait: Duration) -> Result<Self, PortError> {
        let control = sys::control_socket().map_err(PortError::open(name, "control socket"))?;
        let control = control.as_fd();
        let index = sys::interface_index(control, name).map_err(PortError::open(name, "interface"))?;
        let mtu = sys::interface_mtu(control, name).map_err(PortError::open(name, "MTU"))?;
        let veth = ethtool::driver(control, name).is_ok_and(|d| d == "veth");
        let queues = ethtool::rx_queues(control, name);
        let failed = |(what, source)| PortError::Open { name: name.to_string(), what, source };
        let redirect = patiently(wait, || Redirect::attach(index, queues)).map_err(failed)?;
        let (mut rx, mut tx) = (Vec::new(), Vec::new());
        for queue in 0..queues {
            let (r, t) = patiently(wait, || xdp::open(index, queue)).map_err(failed)?;
            redirect.register(queue, r.as_fd()).map_err(PortError::open(name, "BPF_MAP_UPDATE_ELEM"))?;
            tracing::debug!(port = %name, queue, zero_copy = t.zero_copy(), "AF_XDP socket");
            rx.push(Mutex::new(Some(r)));
            tx.push(Mutex::new(t));
        }
        Ok(Self { index, mtu: AtomicU32::new(mtu), veth, rx, tx, gone: AtomicBool::new(false), _redirect: redirect })
    }
}

/// Tries again for as long as the kernel says that what was closed a moment ago is busy.
fn patiently<T>(
    wait: Duration,
    mut open: impl FnMut() -> Result<T, (&'static str, io::Error)>,
) -> Result<T, (&'static str, io::Error)> {
    let mut left = wait;
    loop {
        match open() {
            Err((_, e)) if e.raw_os_error() == Some(libc::EBUSY) && !left.is_zero() => {
                left = left.saturating_sub(BUSY_STEP);
                std::thread::sleep(BUSY_STEP);
            }
            done => return done,
        }
    }
}

impl Shared {
    /// The open interface; opened, if it isn't or went.
    fn device(&self, wait: Duration) -> Result<Arc<Device>, PortError> {
        let mut device = lock(&self.device);
        if let Some(d) = device.upgrade().filter(|d| !d.gone.load(Ordering::Acquire)) {
            return Ok(d);
        }
        let opened = Arc::new(Device::open(&self.name, wait)?);
        *device = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// The open interface, if there is one.
    fn open_device(&self) -> Option<Arc<Device>> {
        lock(&self.device).upgrade().filter(|d| !d.gone.load(Ordering::Acquire))
    }
}

impl Port for AfXdp {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        self.open_rx_parts(1)?.pop().ok_or_else(|| PortError::Busy(self.name().to_owned()))
    }

    fn open_rx_parts(&self, most: usize) -> Result<Vec<Box<dyn PortRx>>, PortError> {
        let device = self.0.device(BUSY)?;
        let wanted = self.0.parts.clamp(1, most.max(1));
        let of = wanted.min(device.rx.len());
        if of < wanted {
            tracing::warn!(
                port = self.name(),
                queues = of,
                "the interface has fewer receive queues than workers asked for"
            );
        }
        let mut parts = Vec::new();
        for part in 0..of {
            let mut rx = AfXdpRx {
                queues: Vec::new(),
                drops: XskDrops::default(),
                counter: self.0.stats.receiver(),
                part,
                of,
                device: Arc::clone(&device),
                shared: Arc::clone(&self.0),
            };
            rx.take_queues()?;
            parts.push(Box::new(rx) as Box<dyn PortRx>);
        }
        Ok(parts)
    }

    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        let device = self.0.device(BUSY)?;
        let number = self.0.senders.fetch_add(1, Ordering::Relaxed);
        let counter = self.0.stats.transmitter();
        Ok(Box::new(AfXdpTx { device, number, counter, shared: Arc::clone(&self.0) }))
    }

    fn counters(&self) -> PortCounters {
        self.0.stats.sum()
    }
}

#[derive(Debug)]
struct AfXdpRx {
    /// This part's queues: their numbers and sockets.
    queues: Vec<(usize, XskRx)>,
    /// What the kernel dropped of them, as counted already.
    drops: XskDrops,
    counter: Counter,
    /// This is part `part` of `of`.
    part: usize,
    of: usize,
    device: Arc<Device>,
    shared: Arc<Shared>,
}

impl AfXdpRx {
    fn take_queues(&mut self) -> Result<(), PortError> {
        self.queues.clear();
        self.drops = XskDrops::default();
        for (i, queue) in self.device.rx.iter().enumerate().filter(|(i, _)| i % self.of == self.part) {
            let rx = lock(queue).take().ok_or_else(|| PortError::Busy(self.shared.name.to_string()))?;
            self.queues.push((i, rx));
        }
        Ok(())
    }

    fn give_queues_back(&mut self) {
        for (i, rx) in self.queues.drain(..) {
            if let Some(place) = self.device.rx.get(i) {
                *lock(place) = Some(rx);
            }
        }
    }
}

impl Drop for AfXdpRx {
    fn drop(&mut self) {
        self.give_queues_back();
    }
}

impl PortRx for AfXdpRx {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        let (mut packets, mut bytes, mut errors) = (0, 0, 0);
        for (_, queue) in &mut self.queues {
            let left = max - packets;
            queue.receive(left, |received| {
                if received.is_empty() {
                    errors += 1;
                    return;
                }
                let mut frame = pool.take(received.len());
                frame.extend(received);
                if self.device.veth {
                    frame.offload.checksum = undone::left_undone(received);
                }
                packets += 1;
                bytes += received.len() as u64;
                burst.push(frame);
            });
        }
        // One that always has frames must not starve the others.
        let several = self.queues.len() > 1;
        self.queues.rotate_left(usize::from(several));
        self.counter.add(packets as u64, bytes, 0, errors);
        Ok(packets)
    }

    fn each_fd(&self, each: &mut dyn FnMut(BorrowedFd<'_>)) {
        self.queues.iter().for_each(|(_, q)| each(q.as_fd()));
    }

    fn cheap_when_idle(&self) -> bool {
        true
    }

    fn prepare_wait(&mut self) -> bool {
        self.queues.iter().any(|(_, q)| q.ready())
    }

    fn check(&mut self) -> LinkState {
        let mut drops = XskDrops::default();
        for (_, q) in &self.queues {
            // The error is only a hint to look; the interface's own state counts.
            let _ = sys::take_error(q.as_fd());
            let d = q.drops();
            drops = XskDrops { full: drops.full + d.full, unfit: drops.unfit + d.unfit };
        }
        let (full, unfit) = (drops.full.saturating_sub(self.drops.full), drops.unfit.saturating_sub(self.drops.unfit));
        self.counter.add(0, 0, full, unfit);
        self.drops = drops;
        let Ok(control) = sys::control_socket() else { return LinkState::Down };
        let control = control.as_fd();
        let Ok(name) = rustix::net::netdevice::index_to_name(control, self.device.index) else {
            self.device.gone.store(true, Ordering::Release);
            return LinkState::Gone;
        };
        let Ok(name) = InterfaceName::new(&name) else { return LinkState::Down };
        if let Ok(mtu) = sys::interface_mtu(control, &name) {
            self.device.mtu.store(mtu, Ordering::Relaxed);
        }
        match sys::interface_flags(control, &name) {
            Ok(f) if f & libc::IFF_UP != 0 && f & libc::IFF_RUNNING != 0 => LinkState::Up,
            _ => LinkState::Down,
        }
    }

    fn reopen(&mut self) -> Result<(), PortError> {
        // Nothing to wait for: another interface's queues aren't busy.
        let device = self.shared.device(Duration::ZERO)?;
        self.give_queues_back();
        self.device = device;
        self.take_queues()
    }
}

#[derive(Debug)]
struct AfXdpTx {
    device: Arc<Device>,
    /// Which of the transmit halves this is; says which queue it uses.
    number: usize,
    counter: Counter,
    shared: Arc<Shared>,
}

/// What of a batch wasn't even queued.
#[derive(Default)]
struct Batch {
    dropped: u64,
    errors: u64,
}

impl Batch {
    /// Queues one finished frame.
    fn queue(&mut self, tx: &mut XskTx, frame: &[u8], longest: usize) {
        if frame.len() < 14 || frame.len() > longest.min(xdp::CHUNK) {
            self.errors += 1;
        } else if !tx.queue(frame) {
            self.dropped += 1;
        }
    }
}

impl PortTx for AfXdpTx {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        if self.device.gone.load(Ordering::Acquire)
            && let Some(device) = self.shared.open_device()
        {
            self.device = device;
        }
        let mut batch = Batch::default();
        // What another half queued and the kernel takes now is counted here, too: as late, but once.
        let mut sent = Load::default();
        let longest = self.device.mtu.load(Ordering::Relaxed) as usize + HEADER;
        if let Some(tx) = self.device.tx.get(self.number % self.device.tx.len().max(1)) {
            let mut tx = lock(tx);
            for frame in frames.iter_mut() {
                if frame.offload.gso.is_some() {
                    let cut = segment(frame, |part| batch.queue(&mut tx, part.bytes(), longest));
                    batch.errors += u64::from(cut.is_err());
                } else {
                    finish_checksum(frame);
                    batch.queue(&mut tx, frame.bytes(), longest);
                }
            }
            let flushed = tx.flush();
            sent = flushed.sent;
            batch.dropped += flushed.refused;
        }
        self.counter.add(sent.frames, sent.bytes, batch.dropped, batch.errors);
        pool.put_all(frames);
        Transmitted { sent: sent.frames, dropped: batch.dropped + batch.errors }
    }
}
