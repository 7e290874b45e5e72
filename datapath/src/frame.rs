//! The buffer a frame lives in, with room in front for pushed headers and the offload work that the
//! kernel left undone.
//!
//! A frame is owned by exactly one burst at a time; nothing here is shared between threads.

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

/// A frame: bytes from the destination address on, without FCS.
#[derive(Debug)]
pub struct Frame {
    buf: Vec<u8>,
    start: usize,
    /// Work left undone.
    pub offload: Offload,
}

impl Frame {
    /// An empty frame with room for `capacity` bytes behind the headroom.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buf = Vec::with_capacity(HEADROOM + capacity);
        buf.resize(HEADROOM, 0);
        Self { buf, start: HEADROOM, offload: Offload::default() }
    }

    /// A frame holding a copy of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut frame = Self::with_capacity(bytes.len());
        frame.buf.extend_from_slice(bytes);
        frame
    }

    /// Empties the frame and gives it its headroom back; keeps the allocation.
    pub fn reset(&mut self) {
        self.buf.clear();
        self.buf.resize(HEADROOM, 0);
        self.start = HEADROOM;
        self.offload = Offload::default();
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// The bytes, writable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..]
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Cuts the frame to `len` bytes if it is longer.
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(self.start.saturating_add(len).max(self.start));
    }

    /// Opens a gap of `n` zero bytes at `at` by moving what stands before it towards the headroom,
    /// and moves the partial checksum's start along.
    ///
    /// `at` beyond the end counts as the end.
    pub fn insert(&mut self, at: usize, n: usize) {
        let at = at.min(self.len());
        if self.start < n {
            let more = n - self.start + HEADROOM;
            self.buf.splice(0..0, std::iter::repeat_n(0, more));
            self.start += more;
        }
        let old = self.start;
        self.start -= n;
        self.buf.copy_within(old..old + at, self.start);
        self.buf[self.start + at..self.start + at + n].fill(0);
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
        self.buf.copy_within(self.start..self.start + at, self.start + n);
        self.start += n;
        if let Some(c) = &mut self.offload.checksum
            && usize::from(c.start) >= at + n
        {
            c.start -= n as u16;
        }
    }

    /// A copy with fresh headroom.
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
