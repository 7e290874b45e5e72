//! Many frames per system call: `sendmmsg` and `recvmmsg` over [`Frame`]s.
//!
//! The message arrays are kept between calls but their pointers are written anew in each, so none
//! outlives the frames it points to.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr};

use super::ring::VNET_LEN;
use super::vnet;
use crate::frame::{Frame, MAX_FRAME};
use crate::port::FramePool;

/// Messages per call.
pub const BATCH: usize = 64;
/// How often a full socket buffer is tried again before the frame is dropped.
const RETRIES: u32 = 2;

fn empty_message() -> mmsghdr {
    // SAFETY: an all-zero mmsghdr is valid: null pointers with zero lengths.
    unsafe { std::mem::zeroed() }
}

const fn empty_iovec() -> iovec {
    iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOutcome {
    /// Frames handed to the kernel.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames dropped because a queue was full or the interface was down.
    pub dropped: u64,
    /// Frames the kernel refused (too long, malformed).
    pub errors: u64,
    /// The interface was down or gone.
    pub down: bool,
}

/// Sends frames through a packet socket.
#[derive(Debug)]
pub struct Sender {
    headers: Vec<[u8; VNET_LEN]>,
    vectors: Vec<[iovec; 2]>,
    messages: Vec<mmsghdr>,
}

// SAFETY: the pointers in the arrays are only followed within `send`, which rewrites them first.
unsafe impl Send for Sender {}

impl Default for Sender {
    fn default() -> Self {
        Self {
            headers: vec![[0; VNET_LEN]; BATCH],
            vectors: vec![[empty_iovec(); 2]; BATCH],
            messages: (0..BATCH).map(|_| empty_message()).collect(),
        }
    }
}

impl Sender {
    /// Sends frames in order, each with its virtio header. Never blocks.
    pub fn send(&mut self, fd: BorrowedFd<'_>, frames: &[Frame]) -> SendOutcome {
        let mut outcome = SendOutcome::default();
        for chunk in frames.chunks(BATCH) {
            if outcome.down {
                outcome.dropped += chunk.len() as u64;
                continue;
            }
            self.send_chunk(fd, chunk, &mut outcome);
        }
        outcome
    }

    fn send_chunk(&mut self, fd: BorrowedFd<'_>, frames: &[Frame], outcome: &mut SendOutcome) {
        let parts = self.headers.iter_mut().zip(&mut self.vectors).zip(&mut self.messages);
        for (frame, ((header, vector), message)) in frames.iter().zip(parts) {
            let bytes = frame.bytes();
            *header = vnet::encode(&frame.offload, bytes);
            vector[0] = iovec { iov_base: header.as_mut_ptr().cast(), iov_len: VNET_LEN };
            vector[1] = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            message.msg_hdr.msg_iov = vector.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
        }
        let mut at = 0;
        let mut retries = 0;
        while at < frames.len() {
            // SAFETY: messages[at..frames.len()] were filled above and point into headers, vectors and
            // frames, all borrowed for the whole call; sendmmsg only reads through them.
            let r = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    self.messages.as_mut_ptr().add(at),
                    (frames.len() - at) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            if r > 0 {
                let sent = &frames[at..at + r as usize];
                outcome.sent += sent.len() as u64;
                outcome.bytes += sent.iter().map(|f| f.len() as u64).sum::<u64>();
                at += r as usize;
                retries = 0;
                continue;
            }
            match io::Error::last_os_error().raw_os_error().unwrap_or(0) {
                libc::EINTR => {}
                libc::EAGAIN if retries < RETRIES => {
                    retries += 1;
                    std::thread::yield_now();
                }
                libc::ENETDOWN | libc::ENODEV | libc::ENXIO => {
                    outcome.down = true;
                    outcome.dropped += (frames.len() - at) as u64;
                    return;
                }
                // ENOBUFS: the queueing discipline dropped it. Sending it again would only fill the
                // queue of somebody who is over his share.
                libc::EAGAIN | libc::ENOBUFS => {
                    outcome.dropped += 1;
                    at += 1;
                    retries = 0;
                }
                _ => {
                    outcome.errors += 1;
                    at += 1;
                    retries = 0;
                }
            }
        }
    }
}

/// Room for one `PACKET_AUXDATA` message, aligned as the kernel wants it.
type Control = [u64; 8];

/// Receives frames from a packet socket without a ring.
#[derive(Debug)]
pub struct Receiver {
    headers: Vec<[u8; VNET_LEN]>,
    controls: Vec<Control>,
    vectors: Vec<[iovec; 3]>,
    messages: Vec<mmsghdr>,
    /// Where the part of a frame goes that doesn't fit a small buffer, `MAX_FRAME` bytes each.
    overflow: Vec<u8>,
    staged: Vec<Frame>,
}

// SAFETY: the pointers in the arrays are only followed within `receive`, which rewrites them first.
unsafe impl Send for Receiver {}

/// Frames per call: each needs `MAX_FRAME` bytes of overflow room.
const RECEIVE_BATCH: usize = 32;

impl Default for Receiver {
    fn default() -> Self {
        Self {
            headers: vec![[0; VNET_LEN]; RECEIVE_BATCH],
            controls: vec![[0; 8]; RECEIVE_BATCH],
            vectors: vec![[empty_iovec(); 3]; RECEIVE_BATCH],
            messages: (0..RECEIVE_BATCH).map(|_| empty_message()).collect(),
            overflow: vec![0; RECEIVE_BATCH * MAX_FRAME],
            staged: Vec::with_capacity(RECEIVE_BATCH),
        }
    }
}

/// A frame received and what came beside it.
#[derive(Debug)]
pub struct ReceivedFrame {
    /// The frame as the socket gave it.
    pub frame: Frame,
    /// Its virtio header.
    pub header: [u8; VNET_LEN],
    /// The tag that the kernel took off: TPID and TCI.
    pub vlan: Option<(u16, u16)>,
    /// It was longer than `MAX_FRAME`.
    pub truncated: bool,
}

impl Receiver {
    /// Receives up to `max` frames and hands each to `each`. Returns how many; 0 if none waits.
    ///
    /// # Errors
    /// What recvmmsg said, `EAGAIN` excepted.
    pub fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        max: usize,
        pool: &mut FramePool,
        mut each: impl FnMut(ReceivedFrame),
    ) -> io::Result<usize> {
        let n = max.min(RECEIVE_BATCH);
        while self.staged.len() < n {
            self.staged.push(pool.take(0));
        }
        let overflow = self.overflow.chunks_exact_mut(MAX_FRAME);
        let parts = self.headers.iter_mut().zip(&mut self.controls).zip(&mut self.vectors).zip(&mut self.messages);
        for ((frame, room), (((header, control), vector), message)) in self.staged.iter_mut().zip(overflow).zip(parts) {
            let buf = frame.room_mut();
            vector[0] = iovec { iov_base: header.as_mut_ptr().cast(), iov_len: VNET_LEN };
            vector[1] = iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
            vector[2] = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            message.msg_hdr.msg_iov = vector.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 3;
            message.msg_hdr.msg_control = control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: the first n messages were filled above and point into self's arrays and the staged
        // frames, none of which is touched otherwise during the call.
        let r = unsafe {
            libc::recvmmsg(fd.as_raw_fd(), self.messages.as_mut_ptr(), n as u32, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        if r < 0 {
            let e = io::Error::last_os_error();
            return if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) { Ok(0) } else { Err(e) };
        }
        let received = r as usize;
        for (i, mut frame) in self.staged.drain(..received).enumerate() {
            let message = &self.messages[i];
            let len = (message.msg_len as usize).saturating_sub(VNET_LEN);
            let room = frame.room_mut().len();
            frame.grow_into_room(len.min(room));
            if len > room {
                let mut large = pool.take(len);
                large.extend(frame.bytes());
                large.extend(&self.overflow[i * MAX_FRAME..][..(len - room).min(MAX_FRAME)]);
                pool.put(std::mem::replace(&mut frame, large));
            }
            each(ReceivedFrame {
                frame,
                header: self.headers[i],
                vlan: auxdata_vlan(&message.msg_hdr),
                truncated: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(received)
    }
}

fn auxdata_vlan(header: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the header was filled by a successful recvmmsg, its control buffer is alive and aligned
    // for cmsghdr, and CMSG_NXTHDR stays inside msg_controllen. The data is copied out unaligned.
    unsafe {
        let mut c = libc::CMSG_FIRSTHDR(header);
        while !c.is_null() {
            if (*c).cmsg_level == libc::SOL_PACKET
                && (*c).cmsg_type == libc::PACKET_AUXDATA
                && (*c).cmsg_len as usize >= libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as u32) as usize
            {
                let aux = ptr::read_unaligned(libc::CMSG_DATA(c).cast::<libc::tpacket_auxdata>());
                if aux.tp_status & (1 << 4) == 0 {
                    return None;
                }
                let tpid = if aux.tp_status & (1 << 6) != 0 { aux.tp_vlan_tpid } else { 0x8100 };
                return Some((tpid, aux.tp_vlan_tci));
            }
            c = libc::CMSG_NXTHDR(header, c);
        }
    }
    None
}
