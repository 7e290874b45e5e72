//! Sharing a port's frames out over several receiving sockets (`PACKET_FANOUT`).
//!
//! The kernel chooses the socket by a hash over addresses and, for TCP and UDP that isn't fragmented,
//! ports, so that a flow stays with one socket. Fragments have no ports: those of one datagram stay
//! together, but not with the unfragmented datagrams of their flow. Two flags are left alone on purpose:
//! `DEFRAG` would change frames, and `ROLLOVER` would let a flow's frames overtake each other when a
//! ring is full.
//!
//! With rings each part has two sockets, and so there are two groups. A frame must meet the same part in
//! both, whichever of them takes it: the kernel's choice is a number below the group's size, and parts
//! join both groups in the same order. When an interface goes down and comes back the kernel makes its
//! sockets join again in the order in which they were made, which is the same.

use std::os::fd::BorrowedFd;

use super::super::PortError;
use super::rx::RxSocket;
use crate::sys::{self, InterfaceName};

/// The groups of a port whose receive side is open in parts.
#[derive(Debug)]
pub(super) struct Groups {
    /// The interface that its sockets are bound to.
    pub(super) index: u32,
    /// Whether its sockets have rings, which holds for all or none.
    pub(super) rings: bool,
    /// One for each socket of a part: of the small ring (or the only one), of the large one.
    ids: [Option<u16>; 2],
}

impl Groups {
    pub(super) fn new(index: u32, rings: bool) -> Self {
        Self { index, rings, ids: [None; 2] }
    }

    /// Lets a part's sockets, bound already, join.
    pub(super) fn join(&mut self, name: &InterfaceName, socket: &RxSocket) -> Result<(), PortError> {
        let mut join = |group: usize, fd: BorrowedFd<'_>| {
            let id = &mut self.ids[group];
            *id = Some(sys::join_fanout(fd, *id).map_err(PortError::open(name, "PACKET_FANOUT"))?);
            Ok(())
        };
        join(0, socket.fd())?;
        socket.large_fd().map_or(Ok(()), |fd| join(1, fd))
    }
}
