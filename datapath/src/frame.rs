//! The buffer a frame lives in, with room in front for pushed headers and the offload work that the
//! kernel left undone.
//!
//! A frame is owned by exactly one burst at a time; nothing here is shared between threads.

use crate::sys::ring::RingSlot;

/// Room kept free in front of a received frame: enough for the pushes of a long action list
/// without moving the payload. When it is used up the frame moves once into a larger buffer.
pub const HEADROOM: usize = 128;

/// Longest frame accepted: a 64 KiB GSO super-frame with its headers.
pub const MAX_FRAME: usize = 65_535 + 256;

/// A checksum that the sender left to be filled in (`VIRTIO_NET_HDR_F_NEEDS_CSUM`): the one's
/// complement sum from `start` to the end of the frame goes to `start + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// First summed byte, from the start of the frame.
    pub start: u16,
    /// Place of the checksum, from `start`.
    pub offset: u16,
}

/// What a super-frame has to be cut into (`virtio_net_hdr.gso_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
}

/// A super-frame's segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Kind.
    pub kind: GsoKind,
    /// Payload bytes of each segment but the last.
    pub size: u16,
    /// Whether the first segment alone carries CWR (`VIRTIO_NET_HDR_GSO_ECN`).
    pub ecn: bool,
}

/// Work left undone on a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The L4 checksum is still to be filled in.
    pub checksum: Option<PartialChecksum>,
    /// The frame stands for several.
    pub gso: Option<Gso>,
    /// The receiver already checked the L4 checksum (`VIRTIO_NET_HDR_F_DATA_VALID`).
    pub checksum_valid: bool,
}

/// Where a frame's bytes live.
#[derive(Debug)]
enum Storage {
    /// A heap buffer, always initialised over its whole length.
    Owned(Box<[u8]>),
    /// A slot of a kernel receive ring, given back to the kernel when the frame is dropped.
    Slot(RingSlot),
}

/// A frame: bytes from the destination address on, without FCS.
///
/// A received frame may still live in the kernel's receive ring. Whoever keeps frames beyond the
/// burst they came in (a buffer, a meter's queue, another thread) calls [`Frame::detach`] first,
/// because a ring whose slots don't come back drops what arrives.
#[derive(Debug)]
pub struct Frame {
    storage: Storage,
    start: usize,
    end: usize,
    /// Work left undone.
    pub offload: Offload,
}

impl Default for Frame {
    /// An empty frame without an allocation.
    fn default() -> Self {
        Self { storage: Storage::Owned(Box::default()), start: 0, end: 0, offload: Offload::default() }
    }
}

impl Frame {
    /// An empty frame with room for `capacity` bytes behind the headroom.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            storage: Storage::Owned(vec![0; HEADROOM + capacity].into_boxed_slice()),
            start: HEADROOM,
            end: HEADROOM,
            offload: Offload::default(),
        }
    }

    /// A frame holding a copy of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut frame = Self::with_capacity(bytes.len());
        frame.extend(bytes);
        frame
    }

    /// A frame in a slot of a receive ring: the bytes `start .. end` of the slot's data.
    pub(crate) fn from_slot(slot: RingSlot, start: usize, end: usize) -> Self {
        let end = end.min(slot.data().len());
        Self { start: start.min(end), end, storage: Storage::Slot(slot), offload: Offload::default() }
    }

    #[inline]
    fn buf(&self) -> &[u8] {
        match &self.storage {
            Storage::Owned(b) => b,
            Storage::Slot(s) => s.data(),
        }
    }

    #[inline]
    fn buf_mut(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Owned(b) => b,
            Storage::Slot(s) => s.data_mut(),
        }
    }

    /// Empties the frame and gives it its headroom back; keeps the allocation, but returns a
    /// receive ring's slot.
    #[inline]
    pub fn reset(&mut self) {
        if matches!(self.storage, Storage::Slot(_)) {
            self.storage = Storage::Owned(Box::default());
        }
        self.start = HEADROOM.min(self.buf().len());
        self.end = self.start;
        self.offload = Offload::default();
    }

    /// Moves the bytes out of a receive ring's slot, so that the frame may be kept for long.
    /// Does nothing to a frame that owns its bytes.
    pub fn detach(&mut self) {
        if matches!(self.storage, Storage::Slot(_)) {
            self.relocate(HEADROOM, 0);
        }
    }

    /// How many bytes fit behind the headroom; zero for a frame that lives in a ring's slot, whose
    /// storage can't be used again.
    #[inline]
    pub fn reusable_capacity(&self) -> usize {
        match &self.storage {
            Storage::Owned(b) => b.len().saturating_sub(HEADROOM),
            Storage::Slot(_) => 0,
        }
    }

    /// The unused room behind the bytes, to be written by a receive call and then claimed with
    /// [`Frame::grow_into_room`].
    #[inline]
    pub fn room_mut(&mut self) -> &mut [u8] {
        let end = self.end;
        &mut self.buf_mut()[end..]
    }

    /// Makes the next `n` bytes of the room part of the frame (as many as there are).
    #[inline]
    pub fn grow_into_room(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buf().len());
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buf()[self.start..self.end]
    }

    /// The bytes, writable.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let range = self.start..self.end;
        &mut self.buf_mut()[range]
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Moves the bytes into a new buffer with `front` bytes free before and `back` behind them.
    fn relocate(&mut self, front: usize, back: usize) {
        let len = self.len();
        let mut buf = vec![0; front + len + back].into_boxed_slice();
        buf[front..front + len].copy_from_slice(self.bytes());
        self.storage = Storage::Owned(buf);
        self.start = front;
        self.end = front + len;
    }

    /// Appends bytes.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.buf().len() - self.end < bytes.len() {
            // Grow geometrically: a caller that appends piecemeal stays linear.
            self.relocate(self.start.max(HEADROOM), bytes.len().max(self.len()));
        }
        let end = self.end;
        self.buf_mut()[end..end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Cuts the frame to `len` bytes if it is longer.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }

    /// Opens a gap of `n` zero bytes at `at` by moving what stands before it towards the headroom,
    /// and moves the partial checksum's start along.
    ///
    /// `at` beyond the end counts as the end.
    pub fn insert(&mut self, at: usize, n: usize) {
        let at = at.min(self.len());
        if self.start < n {
            self.relocate(n + HEADROOM, 0);
        }
        let old = self.start;
        let new = old - n;
        self.start = new;
        let buf = self.buf_mut();
        buf.copy_within(old..old + at, new);
        buf[new + at..new + at + n].fill(0);
        if let Some(c) = &mut self.offload.checksum
            && usize::from(c.start) >= at
        {
            c.start = c.start.saturating_add(n as u16);
        }
    }

    /// Removes `n` bytes at `at`, moving what stands before them back, and the partial checksum's
    /// start along. Beyond the end nothing is removed.
    pub fn remove(&mut self, at: usize, n: usize) {
        let at = at.min(self.len());
        let n = n.min(self.len() - at);
        let start = self.start;
        let buf = self.buf_mut();
        match buf.get_mut(start..start + 16) {
            // A tag behind the addresses: without a call.
            Some(tag) if (at, n) == (12, 4) => {
                if let Some(addresses) = tag.first_chunk::<12>().copied() {
                    tag[4..].copy_from_slice(&addresses);
                }
            }
            _ => buf.copy_within(start..start + at, start + n),
        }
        self.start += n;
        if let Some(c) = &mut self.offload.checksum
            && usize::from(c.start) >= at + n
        {
            c.start -= n as u16;
        }
    }

    /// Forgets the first `n` bytes, as [`remove`](Self::remove) does at 12 when the addresses were already moved.
    #[inline]
    pub(crate) fn behead(&mut self, n: usize) {
        let n = n.min(self.len());
        self.start += n;
        if let Some(c) = &mut self.offload.checksum
            && usize::from(c.start) >= 12 + n
        {
            c.start -= n as u16;
        }
    }

    /// A copy with fresh headroom and storage of its own.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::from_bytes(self.bytes());
        copy.offload = self.offload;
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_and_remove_keep_the_rest_and_move_the_checksum() {
        let mut f = Frame::from_bytes(&[1, 2, 3, 4, 5, 6]);
        f.offload.checksum = Some(PartialChecksum { start: 4, offset: 0 });
        f.insert(2, 4);
        assert_eq!(f.bytes(), [1, 2, 0, 0, 0, 0, 3, 4, 5, 6]);
        assert_eq!(f.offload.checksum.map(|c| c.start), Some(8));
        f.remove(2, 4);
        assert_eq!(f.bytes(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(f.offload.checksum.map(|c| c.start), Some(4));
        for _ in 0..100 {
            f.insert(2, 4);
        }
        assert_eq!(f.len(), 406);
        assert_eq!(&f.bytes()[402..], [3, 4, 5, 6]);
    }
}
