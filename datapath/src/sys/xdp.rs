//! AF_XDP sockets: a memory area shared with the kernel, and four rings that say who may touch which
//! chunk of it.
//!
//! Invariants:
//!
//! - The first [`RX_CHUNKS`] chunks belong to the receiving side, the others to the sending side, so that
//!   the two never touch the same memory.
//! - A chunk is touched by us only while its address stands in none of the rings that the kernel
//!   consumes from and isn't taken from them: received ones between taking their descriptor from the
//!   receive ring and giving them to the fill ring, sent ones before their descriptor is given to the
//!   transmit ring and after it came back through the completion ring.
//! - Each ring has one producer and one consumer, of which one is the kernel; our end is owned by the
//!   [`XskRx`] or [`XskTx`] that holds it.
//! - Mappings and socket live as long as either side (`Arc`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{xdp_desc, xdp_mmap_offsets, xdp_ring_offset};

use super::setsockopt;

/// Bytes of a chunk: the most that the kernel allows.
pub const CHUNK: usize = 4096;
/// Chunks of the receiving side.
pub const RX_CHUNKS: u32 = 2048;
/// Chunks of the sending side.
pub const TX_CHUNKS: u32 = 1024;
/// Kernel memory for frames that are being sent by copy, in bytes.
const SEND_BUFFER: i32 = 8 << 20;

/// A mapping, unmapped when dropped.
#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: plain memory; the module's invariants say who may touch which part.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(len: usize, flags: i32, fd: i32, offset: i64) -> io::Result<Self> {
        // SAFETY: a fresh mapping of len bytes at a place of the kernel's choice; checked below.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: base and len are those of the successful mmap; whoever has pointers into it holds this.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A socket and its memory.
#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    memory: Map,
}

impl Socket {
    /// Where `len` bytes at `address` stand; `None` if they aren't in the memory.
    fn place(&self, address: u64, len: u32) -> Option<NonNull<u8>> {
        let end = address.checked_add(u64::from(len))?;
        if end > self.memory.len as u64 {
            return None;
        }
        // SAFETY: address + len is inside the mapping.
        Some(unsafe { self.memory.base.add(address as usize) })
    }
}

/// Our end of a ring of `T`. `at` counts what we produced or consumed; the kernel's view of it is
/// updated by [`publish`](Self::publish).
#[derive(Debug)]
struct Ring<T> {
    map: Map,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: usize,
    size: u32,
    at: u32,
    kind: std::marker::PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    fn new(fd: &OwnedFd, option: i32, size: u32, offsets: &xdp_ring_offset, page: i64) -> io::Result<Self> {
        setsockopt(fd.as_fd(), libc::SOL_XDP, option, &size)?;
        let entries = offsets.desc as usize;
        let len = entries + size as usize * size_of::<T>();
        let map = Map::new(len, libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd(), page)?;
        let (producer, consumer, flags) =
            (offsets.producer as usize, offsets.consumer as usize, offsets.flags as usize);
        let fits = |at: usize| at.is_multiple_of(4) && at + 4 <= entries;
        let aligned = entries.is_multiple_of(align_of::<T>());
        if !size.is_power_of_two() || !aligned || !fits(producer) || !fits(consumer) || !fits(flags) {
            return Err(io::Error::other("the kernel's ring isn't laid out as known"));
        }
        Ok(Self { map, producer, consumer, flags, entries, size, at: 0, kind: std::marker::PhantomData })
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `new` checked that the word is inside the mapping and aligned; it is only ever used
        // atomically, by the kernel too.
        unsafe { AtomicU32::from_ptr(self.map.base.as_ptr().add(at).cast()) }
    }

    fn entry(&self, index: u32) -> *mut T {
        let offset = self.entries + (index & (self.size - 1)) as usize * size_of::<T>();
        // SAFETY: the index is below the ring's size, for which the mapping has room.
        unsafe { self.map.base.as_ptr().add(offset).cast() }
    }

    fn wants_wakeup(&self) -> bool {
        self.word(self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Entries that the kernel produced and we haven't consumed.
    fn waiting(&self) -> u32 {
        self.word(self.producer).load(Ordering::Acquire).wrapping_sub(self.at).min(self.size)
    }

    /// Takes an entry. Only while some wait.
    fn take(&mut self) -> T {
        // SAFETY: it lies between our index and the kernel's (acquired in `waiting`): filled, and left
        // alone until we move on. Aligned: rings begin at a page, entries where `new` checked.
        let value = unsafe { self.entry(self.at).read() };
        self.at = self.at.wrapping_add(1);
        value
    }

    /// Tells the kernel how far we have consumed.
    fn consumed(&self) {
        self.word(self.consumer).store(self.at, Ordering::Release);
    }

    /// Entries that we produced and the kernel hasn't consumed.
    fn pending(&self) -> u32 {
        self.at.wrapping_sub(self.word(self.consumer).load(Ordering::Acquire)).min(self.size)
    }

    /// Puts an entry. Only while fewer than `size` are pending.
    fn put(&mut self, value: T) {
        // SAFETY: as in `take`, the other way round: the kernel is through with it (acquired in
        // `pending`) and doesn't look at it again before `produced`.
        unsafe { self.entry(self.at).write(value) };
        self.at = self.at.wrapping_add(1);
    }

    /// Tells the kernel how far we have produced.
    fn produced(&self) {
        self.word(self.producer).store(self.at, Ordering::Release);
    }
}

/// What the kernel dropped before it reached us, since the socket was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XskDrops {
    /// For want of room in the rings or of chunks.
    pub full: u64,
    /// Frames that don't fit a chunk, and what else the kernel couldn't hand over.
    pub unfit: u64,
}

/// The receiving side of a socket.
#[derive(Debug)]
pub struct XskRx {
    ring: Ring<xdp_desc>,
    fill: Ring<u64>,
    socket: Arc<Socket>,
}

/// The sending side of a socket.
#[derive(Debug)]
pub struct XskTx {
    ring: Ring<xdp_desc>,
    completion: Ring<u64>,
    /// Chunks that hold nothing.
    free: Vec<u64>,
    /// Queued, and nothing said of it yet.
    owed: Load,
    zero_copy: bool,
    socket: Arc<Socket>,
}

fn offsets(fd: &OwnedFd) -> io::Result<xdp_mmap_offsets> {
    // SAFETY: all-zero integers.
    let mut offsets: xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&offsets) as libc::socklen_t;
    // SAFETY: offsets has room for len bytes, of any value.
    let r = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, (&raw mut offsets).cast(), &raw mut len)
    };
    match r {
        // Kernels before 5.4 know no wake-up flags.
        0 if len as usize == size_of_val(&offsets) => Ok(offsets),
        0 => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `struct xdp_umem_reg` as of Linux 5.4.
#[repr(C)]
#[derive(Clone, Copy)]
struct MemoryRegistration {
    address: u64,
    len: u64,
    chunk: u32,
    headroom: u32,
    flags: u32,
    _pad: u32,
}

/// Opens a socket and binds it to a queue of an interface.
///
/// # Errors
/// Which step failed, and what the kernel said; `EBUSY` in `bind` also shortly after the last socket on
/// that queue was closed.
pub fn open(index: u32, queue: u32) -> Result<(XskRx, XskTx), (&'static str, io::Error)> {
    let at = |step: &'static str| move |e: io::Error| (step, e);
    // SAFETY: plain call; a non-negative result is a descriptor that nobody else owns.
    let fd = unsafe {
        let fd = libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 { Err(("AF_XDP socket", io::Error::last_os_error())) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }?;
    // More than all chunks of the sending side on their way to slow receivers take: the chunks shall be the
    // limit, for what waits for room in this buffer waits until something else is sent. A refusal, without
    // CAP_NET_ADMIN, leaves the system's limit.
    let _ = setsockopt(fd.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &SEND_BUFFER);
    let len = (RX_CHUNKS + TX_CHUNKS) as usize * CHUNK;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    let memory = Map::new(len, flags, -1, 0).map_err(at("memory"))?;
    let registration = MemoryRegistration {
        address: memory.base.as_ptr().expose_provenance() as u64,
        len: len as u64,
        chunk: CHUNK as u32,
        headroom: 0,
        flags: 0,
        _pad: 0,
    };
    setsockopt(fd.as_fd(), libc::SOL_XDP, libc::XDP_UMEM_REG, &registration).map_err(at("XDP_UMEM_REG"))?;
    let o = offsets(&fd).map_err(at("XDP_MMAP_OFFSETS"))?;
    let page = |offset: u64| offset as i64;
    let fill = Ring::<u64>::new(&fd, libc::XDP_UMEM_FILL_RING, RX_CHUNKS, &o.fr, page(libc::XDP_UMEM_PGOFF_FILL_RING));
    let mut fill = fill.map_err(at("XDP_UMEM_FILL_RING"))?;
    let completion = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
    let completion = Ring::<u64>::new(&fd, libc::XDP_UMEM_COMPLETION_RING, TX_CHUNKS, &o.cr, page(completion));
    let completion = completion.map_err(at("XDP_UMEM_COMPLETION_RING"))?;
    let rx = Ring::<xdp_desc>::new(&fd, libc::XDP_RX_RING, RX_CHUNKS, &o.rx, libc::XDP_PGOFF_RX_RING);
    let rx = rx.map_err(at("XDP_RX_RING"))?;
    let tx = Ring::<xdp_desc>::new(&fd, libc::XDP_TX_RING, TX_CHUNKS, &o.tx, libc::XDP_PGOFF_TX_RING);
    let tx = tx.map_err(at("XDP_TX_RING"))?;
    for i in 0..RX_CHUNKS {
        fill.put(u64::from(i) * CHUNK as u64);
    }
    fill.produced();
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: index,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    // SAFETY: address is a valid sockaddr_xdp for the length of the call.
    let bound = unsafe {
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_xdp>() as libc::socklen_t)
    };
    if bound != 0 {
        return Err(("bind", io::Error::last_os_error()));
    }
    let options = super::getsockopt_u32s::<1>(fd.as_fd(), libc::SOL_XDP, libc::XDP_OPTIONS);
    let zero_copy = options.is_ok_and(|[o]| o & libc::XDP_OPTIONS_ZEROCOPY != 0);
    let free = (RX_CHUNKS..RX_CHUNKS + TX_CHUNKS).map(|i| u64::from(i) * CHUNK as u64).collect();
    let socket = Arc::new(Socket { fd, memory });
    let rx = XskRx { ring: rx, fill, socket: Arc::clone(&socket) };
    Ok((rx, XskTx { ring: tx, completion, free, owed: Load::default(), zero_copy, socket }))
}

impl AsFd for XskRx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd.as_fd()
    }
}

impl XskRx {
    /// Whether a frame waits. One load, no system call.
    pub fn ready(&self) -> bool {
        self.ring.waiting() != 0
    }

    /// Shows up to `max` frames that wait and gives their chunks back to the kernel. Returns how many.
    pub fn receive(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        let n = self.ring.waiting().min(u32::try_from(max).unwrap_or(u32::MAX));
        for _ in 0..n {
            let d = self.ring.take();
            let bytes = match self.socket.place(d.addr, d.len) {
                // SAFETY: the chunk is ours from here to its return to the fill ring below, and inside the
                // mapping, as `place` checked.
                Some(at) => unsafe { std::slice::from_raw_parts(at.as_ptr(), d.len as usize) },
                None => &[],
            };
            each(bytes);
            // As many as were put in can be out, so there is room; the kernel wants the chunk's beginning.
            self.fill.put(d.addr - d.addr % CHUNK as u64);
        }
        if n > 0 {
            self.ring.consumed();
            self.fill.produced();
            if self.fill.wants_wakeup() {
                self.wake();
            }
        }
        n as usize
    }

    /// Tells a driver that stopped for want of chunks that there are some.
    fn wake(&self) {
        // SAFETY: no buffer is given.
        unsafe {
            libc::recvfrom(
                self.socket.fd.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    /// What the kernel dropped.
    pub fn drops(&self) -> XskDrops {
        // rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full, rx_fill_ring_empty_descs,
        // tx_ring_empty_descs, each of 64 bits: `struct xdp_statistics`.
        let Ok(s) = super::getsockopt_u32s::<12>(self.as_fd(), libc::SOL_XDP, libc::XDP_STATISTICS) else {
            return XskDrops::default();
        };
        let wide = |i: usize| {
            let [a, b, c, d] = s[2 * i].to_ne_bytes();
            let [e, f, g, h] = s[2 * i + 1].to_ne_bytes();
            u64::from_ne_bytes([a, b, c, d, e, f, g, h])
        };
        // What found no chunk is counted twice: as dropped, and by its reason.
        XskDrops { full: wide(3) + wide(4), unfit: wide(0).saturating_sub(wide(4)) }
    }
}

/// What became of frames that were queued and of which nothing had been said yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XskSent {
    /// What the kernel took.
    pub sent: Load,
    /// How many it didn't take because the interface is down or gone. They won't be sent.
    pub refused: u64,
}

/// A number of frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Frames.
    pub frames: u64,
    /// Bytes of them together.
    pub bytes: u64,
}

impl XskTx {
    /// Whether the driver sends from our memory, without a copy.
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Queues a copy of a frame; `false` if it is longer than a chunk or there is no room, also not
    /// after the kernel was called.
    pub fn queue(&mut self, frame: &[u8]) -> bool {
        let Ok(len) = u32::try_from(frame.len()) else { return false };
        if frame.len() > CHUNK {
            return false;
        }
        if self.free.is_empty() {
            self.reap();
            if self.free.is_empty() {
                self.kick();
                self.reap();
            }
        }
        if self.ring.pending() >= TX_CHUNKS {
            return false;
        }
        let Some(address) = self.free.pop() else { return false };
        let Some(at) = self.socket.place(address, len) else { return false };
        // SAFETY: the chunk is free, so nobody else touches it, and has room for len bytes; frames never
        // live in this memory.
        unsafe { std::ptr::copy_nonoverlapping(frame.as_ptr(), at.as_ptr(), frame.len()) };
        self.ring.put(xdp_desc { addr: address, len, options: 0 });
        self.owed.frames += 1;
        self.owed.bytes += u64::from(len);
        true
    }

    /// Takes back the chunks of what was sent.
    fn reap(&mut self) {
        let n = self.completion.waiting();
        for _ in 0..n {
            let address = self.completion.take();
            // Only what was given; the kernel hands back the same.
            self.free.push(address - address % CHUNK as u64);
        }
        if n > 0 {
            self.completion.consumed();
        }
    }

    /// Makes the kernel send what is queued, without zero copy a limited number per call. What it leaves in the ring is told
    /// by a later flush.
    pub fn flush(&mut self) -> XskSent {
        self.ring.produced();
        let mut outcome = XskSent::default();
        let mut stuck = 0;
        let mut before = self.ring.pending();
        while before > 0 && self.ring.wants_wakeup() {
            match self.kick() {
                Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO) => {
                    let back = self.take_back();
                    outcome.refused = back.frames;
                    self.owed.frames = self.owed.frames.saturating_sub(back.frames);
                    self.owed.bytes = self.owed.bytes.saturating_sub(back.bytes);
                    break;
                }
                Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR) | None => {}
                Some(_) => stuck += 1,
            }
            let now = self.ring.pending();
            stuck = if now == before { stuck + 1 } else { 0 };
            before = now;
            if stuck > 2 {
                // The next flush goes on with them.
                break;
            }
        }
        self.reap();
        let left = self.waiting();
        outcome.sent.frames = self.owed.frames.saturating_sub(left.frames);
        outcome.sent.bytes = self.owed.bytes.saturating_sub(left.bytes);
        self.owed = left;
        outcome
    }

    /// What stands in the ring and the kernel hasn't taken.
    fn waiting(&self) -> Load {
        let mut load = Load::default();
        self.each_waiting(|d| load = Load { frames: load.frames + 1, bytes: load.bytes + u64::from(d.len) });
        load
    }

    fn each_waiting(&self, mut each: impl FnMut(xdp_desc)) {
        let pending = self.ring.pending();
        for i in 0..pending {
            // SAFETY: between the kernel's index and ours: written by us in `put`. The kernel only reads it.
            each(unsafe { self.ring.entry(self.ring.at.wrapping_sub(pending).wrapping_add(i)).read() });
        }
    }

    /// The error, if there was one.
    fn kick(&self) -> Option<i32> {
        self.ring.produced();
        // SAFETY: no buffer is given.
        let r = unsafe {
            libc::sendto(self.socket.fd.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
        };
        if r < 0 { io::Error::last_os_error().raw_os_error() } else { None }
    }

    /// Takes everything out of the transmit ring again, so that it isn't sent whenever the interface comes
    /// back. Says what there was; nothing with zero copy, where the driver may look at the ring any time.
    fn take_back(&mut self) -> Load {
        if self.zero_copy {
            return Load::default();
        }
        // Without zero copy the kernel consumes only while it is called, by whoever has this side.
        let (load, pending) = (self.waiting(), self.ring.pending());
        let mut free = std::mem::take(&mut self.free);
        self.each_waiting(|d| free.push(d.addr));
        self.free = free;
        self.ring.at = self.ring.at.wrapping_sub(pending);
        self.ring.produced();
        load
    }
}
