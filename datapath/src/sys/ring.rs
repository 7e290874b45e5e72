//! The TPACKET_V2 receive ring of an AF_PACKET socket, shared with the kernel.
//!
//! Slots change hands by their status word: `TP_STATUS_KERNEL` (0) while the kernel may write,
//! `TP_STATUS_USER` once a frame is in it. Invariants:
//!
//! - A slot's data is touched only by the one [`RingSlot`] that took it, from the moment the status
//!   said USER until its drop says KERNEL. `taken` prevents taking the same slot twice when the ring
//!   wraps around a slot that is still held.
//! - The mapping lives as long as the ring or any slot (`Arc`), also after its socket is closed.
//! - `RingRx` is owned by one thread; slots may be dropped on any thread.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use libc::{c_int, tpacket_req, tpacket2_hdr};

use super::setsockopt;

/// Bytes at the front of a slot that stay the kernel's: `struct tpacket2_hdr`, whose status word
/// is read and written atomically and must not be covered by a slice.
const KEEP: usize = 32;
/// Room asked for in front of the link header (`PACKET_RESERVE`), for pushed headers.
const RESERVE: c_int = 112;
/// `sizeof(struct virtio_net_hdr)`: the kernel writes it just before the link header.
pub const VNET_LEN: usize = 10;
/// Block size: the kernel allocates physically contiguous blocks if it can.
pub const BLOCK: usize = 1 << 20;

/// Slot sizes. Both are odd numbers of cache lines, so that the slots' headers don't all fall into
/// the same cache sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotSize {
    /// For frames up to [`SMALL_FRAME`] bytes.
    Small = 33 * 64,
    /// For a 64 KiB super-frame with its headers.
    Large = 1037 * 64,
}

/// Longest frame (less a tag that the kernel took off) for which a small slot has room: the slot less
/// the kernel's header and the reserve (202 bytes) and 64 bytes for the tail.
pub const SMALL_FRAME: u32 = 1792;

const TP_STATUS_KERNEL: u32 = 0;
const TP_STATUS_USER: u32 = 1 << 0;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    blocks: usize,
    slot: usize,
    per_block: usize,
    taken: Box<[AtomicBool]>,
}

// SAFETY: the mapping is plain shared memory; who may touch which part is settled by the status
// words and `taken`, both atomic (module invariants).
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the successful mmap; no slot is left (each holds an Arc).
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.blocks * BLOCK) };
    }
}

impl Map {
    fn slots(&self) -> usize {
        self.taken.len()
    }

    fn slot(&self, index: usize) -> NonNull<u8> {
        debug_assert!(index < self.slots());
        let offset = index / self.per_block * BLOCK + index % self.per_block * self.slot;
        // SAFETY: index < slots, so the offset lies inside the mapping.
        unsafe { self.base.add(offset) }
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        // SAFETY: the status word is the first field of the slot's header, aligned to 16 at least,
        // and never covered by a reference to the slot's data (KEEP).
        unsafe { AtomicU32::from_ptr(self.slot(index).as_ptr().cast()) }
    }
}

/// One slot taken from the ring; dropping it gives it back to the kernel.
#[derive(Debug)]
pub struct RingSlot {
    data: NonNull<u8>,
    len: u32,
    index: u32,
    map: Arc<Map>,
}

// SAFETY: the slot's data belongs to this value alone (module invariants).
unsafe impl Send for RingSlot {}
// SAFETY: shared references only read.
unsafe impl Sync for RingSlot {}

impl RingSlot {
    /// The slot behind the kernel's header.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: data points KEEP bytes into a slot, len is the slot's rest, and it is ours until drop.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len as usize) }
    }

    /// The same, writable.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `data`, and the slot is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len as usize) }
    }
}

impl Drop for RingSlot {
    fn drop(&mut self) {
        let i = self.index as usize;
        // Status first: whoever sees `taken` false must see a status that is the kernel's.
        self.map.status(i).store(TP_STATUS_KERNEL, Ordering::Release);
        self.map.taken[i].store(false, Ordering::Release);
    }
}

/// A frame found in the ring.
#[derive(Debug)]
pub struct Received {
    /// The slot.
    pub slot: RingSlot,
    /// First byte of the frame in `slot.data()`; the virtio header stands just before it.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// The tag that the kernel took off: TPID and TCI.
    pub vlan: Option<(u16, u16)>,
    /// The frame was longer than the slot.
    pub truncated: bool,
}

/// The receiving side of a ring.
#[derive(Debug)]
pub struct RingRx {
    map: Arc<Map>,
    next: usize,
}

impl RingRx {
    /// Sets up a ring of about `bytes` on a packet socket that isn't bound yet and has its options set.
    ///
    /// # Errors
    /// What setsockopt or mmap said; the socket may be left with a ring and is best reopened.
    pub fn new(fd: BorrowedFd<'_>, slot: SlotSize, bytes: usize) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let slot = slot as usize;
        let per_block = BLOCK / slot;
        let blocks = (bytes / BLOCK).clamp(1, 1024);
        setsockopt(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as c_int))?;
        setsockopt(fd, libc::SOL_PACKET, libc::PACKET_RESERVE, &RESERVE)?;
        let request = tpacket_req {
            tp_block_size: BLOCK as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: slot as u32,
            tp_frame_nr: (blocks * per_block) as u32,
        };
        setsockopt(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a fresh mapping of the socket's ring, as long as the ring; checked below.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                blocks * BLOCK,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let taken = (0..blocks * per_block).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { map: Arc::new(Map { base, blocks, slot, per_block, taken }), next: 0 })
    }

    /// Whether a frame waits. One load, no system call.
    pub fn ready(&self) -> bool {
        !self.map.taken[self.next].load(Ordering::Acquire)
            && self.map.status(self.next).load(Ordering::Acquire) & TP_STATUS_USER != 0
    }

    /// When the kernel received the frame that waits, if one does, in nanoseconds of its wall clock.
    pub fn head(&self) -> Option<u64> {
        if !self.ready() {
            return None;
        }
        // SAFETY: status USER (acquired in `ready`): the header is filled and stays; copied out.
        let (sec, nsec) = unsafe {
            let h = self.map.slot(self.next).as_ptr().cast::<tpacket2_hdr>();
            ((*h).tp_sec, (*h).tp_nsec)
        };
        Some(u64::from(sec) * 1_000_000_000 + u64::from(nsec))
    }

    /// Takes the next frame out of the ring, if there is one.
    pub fn take(&mut self) -> Option<Received> {
        if !self.ready() {
            return None;
        }
        let index = self.next;
        self.next = if index + 1 == self.map.slots() { 0 } else { index + 1 };
        let base = self.map.slot(index);
        let status = self.map.status(index).load(Ordering::Acquire);
        // SAFETY: status USER (acquired) means that the kernel has filled the header and won't touch
        // the slot until we hand it back. Fields are copied out; no reference to the header remains.
        let (mac, snaplen, len, tci, tpid) = unsafe {
            let h = base.as_ptr().cast::<tpacket2_hdr>();
            ((*h).tp_mac, (*h).tp_snaplen, (*h).tp_len, (*h).tp_vlan_tci, (*h).tp_vlan_tpid)
        };
        self.map.taken[index].store(true, Ordering::Relaxed);
        // SAFETY: KEEP is less than any slot size: inside the slot.
        let data = unsafe { base.add(KEEP) };
        let room = (self.map.slot - KEEP) as u32;
        let slot = RingSlot { data, len: room, index: index as u32, map: Arc::clone(&self.map) };
        let start = usize::from(mac).saturating_sub(KEEP);
        let vlan = (status & TP_STATUS_VLAN_VALID != 0).then(|| {
            let tpid = if status & TP_STATUS_VLAN_TPID_VALID != 0 { tpid } else { 0x8100 };
            (tpid, tci)
        });
        Some(Received { slot, start, end: start + snaplen as usize, vlan, truncated: snaplen < len })
    }
}
