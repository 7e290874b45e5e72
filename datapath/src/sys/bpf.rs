//! `bpf(2)`: the one small program that AF_XDP needs, which hands every frame of a receive queue to the
//! socket registered for that queue.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;

const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const FUNC_REDIRECT_MAP: u64 = 51;
/// What becomes of a frame from a queue without a socket: nobody else is to have it either.
const XDP_DROP: u64 = 1;

/// `union bpf_attr`, as far as the commands used here read it.
#[repr(C, align(8))]
struct Attributes([u8; 144]);

impl Attributes {
    fn new() -> Self {
        Self([0; 144])
    }

    fn word(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    /// A pointer to data that outlives the call.
    fn pointer<T>(mut self, at: usize, to: &T) -> Self {
        self.0[at..at + 8].copy_from_slice(&(std::ptr::from_ref(to).expose_provenance() as u64).to_ne_bytes());
        self
    }

    fn call(&self, command: libc::c_long) -> io::Result<i32> {
        // SAFETY: the kernel reads as many bytes of the attributes as there are, and through the pointers
        // in them data that the caller borrows for the call.
        let r = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_ptr(), self.0.len()) };
        if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r as i32) }
    }

    fn descriptor(&self, command: libc::c_long) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: the commands that this is used for return a new descriptor, which nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The program attached to an interface, and its table of sockets. Detached when dropped.
#[derive(Debug)]
pub struct Redirect {
    sockets: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    /// Loads the program and attaches it to an interface with `queues` receive queues: in its driver, or in
    /// front of the kernel's stack where the driver can't run it.
    ///
    /// # Errors
    /// Which step failed, and what the kernel said.
    pub fn attach(index: u32, queues: u32) -> Result<Self, (&'static str, io::Error)> {
        let sockets = Attributes::new().word(0, MAP_TYPE_XSKMAP).word(4, 4).word(8, 4).word(12, queues);
        let sockets = sockets.descriptor(MAP_CREATE).map_err(|e| ("BPF_MAP_CREATE", e))?;
        let map = sockets.as_raw_fd() as u32;
        // code, registers (source in the high half), offset, immediate value: `struct bpf_insn`
        let instruction =
            |code: u64, registers: u64, offset: u64, value: u64| code | registers << 8 | offset << 16 | value << 32;
        let program: [u64; 6] = [
            instruction(0x61, 0x12, 16, 0),             // r2 = context->rx_queue_index
            instruction(0x18, 0x11, 0, u64::from(map)), // r1 = the table, in two words
            instruction(0, 0, 0, 0),
            instruction(0xb7, 0x03, 0, XDP_DROP), // r3 = if there is no socket
            instruction(0x85, 0, 0, FUNC_REDIRECT_MAP),
            instruction(0x95, 0, 0, 0), // return r0
        ];
        let license = *b"MIT\0";
        let program = Attributes::new()
            .word(0, PROG_TYPE_XDP)
            .word(4, program.len() as u32)
            .pointer(8, &program)
            .pointer(16, &license)
            .descriptor(PROG_LOAD)
            .map_err(|e| ("BPF_PROG_LOAD", e))?;
        let link = Attributes::new().word(0, program.as_raw_fd() as u32).word(4, index).word(8, ATTACH_TYPE_XDP);
        // The link keeps the program.
        let link = link.descriptor(LINK_CREATE).map_err(|e| ("BPF_LINK_CREATE", e))?;
        Ok(Self { sockets, _link: link })
    }

    /// Gives a queue's frames to a socket that is bound to it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = socket.as_raw_fd() as u32;
        Attributes::new()
            .word(0, self.sockets.as_raw_fd() as u32)
            .pointer(8, &queue)
            .pointer(16, &value)
            .call(MAP_UPDATE_ELEM)
            .map(drop)
    }
}
