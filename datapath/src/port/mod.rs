//! Ports: where frames come in and go out.
//!
//! A [`Port`] is a factory shared by everyone. One worker opens its receive half ([`PortRx`]), or several
//! a part of it each; every worker, and whoever else sends, opens a transmit half of its own
//! ([`PortTx`]), so that neither receiving nor sending takes a lock. Frames of every kind pass byte for byte: tagged, double-tagged,
//! MPLS, jumbo, and super-frames with their offload work described in [`Frame::offload`].
//!
//! Interface loss is an event, not an error: [`PortRx::check`] reports it and [`PortRx::reopen`]
//! resumes when an interface of that name is back.

pub mod af_packet;
pub mod af_xdp;
pub mod counters;
pub mod memory;
pub mod pcap;
pub mod pool;
pub mod tap;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ofproto::ids::QueueId;

pub use self::counters::{PortCounters, PortStats, QueueCounters};
pub use self::pool::FramePool;
use crate::frame::Frame;
pub use crate::sys::InterfaceName;

/// Why a port can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The name can't be an interface's.
    #[error("interface name {name:?} {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Opening failed.
    #[error("port {name}: {what}: {source}")]
    Open {
        /// The port.
        name: String,
        /// The step that failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The interface is down or gone; [`PortRx::check`] says which.
    #[error("interface down")]
    Down,
    /// Nothing will ever come again (end of a file, the other end dropped).
    #[error("port closed")]
    Closed,
    /// The receive half is taken.
    #[error("port {0}: its receive side is open already")]
    Busy(String),
    /// Any other error of a system call.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl PortError {
    pub(crate) fn open(name: impl fmt::Display, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Open { name: name.to_string(), what, source }
    }
}

/// What [`PortRx::check`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Up and with carrier.
    Up,
    /// Administratively down or without carrier; resumes by itself.
    Down,
    /// The interface no longer exists: [`PortRx::reopen`].
    Gone,
}

/// A port: opens handles and knows the counters.
pub trait Port: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Opens the receive half. Some backends have only one.
    ///
    /// # Errors
    /// The interface is missing, permissions, or the half is taken.
    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError>;

    /// Opens the receive side in as many parts as the port was made for, `most` at most, each for a
    /// worker of its own. All frames of a flow come through the same part.
    ///
    /// # Errors
    /// As [`Port::open_rx`]; then none is open.
    fn open_rx_parts(&self, _most: usize) -> Result<Vec<Box<dyn PortRx>>, PortError> {
        Ok(vec![self.open_rx()?])
    }

    /// Opens a transmit half; any number may be open.
    ///
    /// # Errors
    /// The interface is missing, or permissions.
    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError>;

    /// The sum of all handles' counters.
    fn counters(&self) -> PortCounters;

    /// Makes a queue, or gives one that exists another class: its frames are sent with this
    /// `skb->priority` (an HTB class is `major << 16 | minor`). `None` takes the queue away. Frames for
    /// queues that don't exist are sent as if none had been chosen. Says whether the port can do it.
    fn set_queue(&self, _queue: QueueId, _priority: Option<u32>) -> bool {
        false
    }

    /// A queue's counters; `None` if there is no such queue.
    fn queue_counters(&self, _queue: QueueId) -> Option<QueueCounters> {
        None
    }

    /// Asked when this network namespace has no such interface (any more): whether its device lives in
    /// another one, so that open handles carry frames as before.
    fn lives_elsewhere(&self) -> bool {
        false
    }
}

/// The receive half of a port, owned by one thread.
pub trait PortRx: Send {
    /// Appends up to `max` frames to `burst` and says how many. Never blocks; 0 if none waits.
    ///
    /// # Errors
    /// [`PortError::Down`] if the interface is down or gone, [`PortError::Closed`] at the end.
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError>;

    /// Names the descriptors to wait for: one readable means that frames wait. They may change after
    /// [`PortRx::reopen`].
    fn each_fd(&self, each: &mut dyn FnMut(BorrowedFd<'_>));

    /// Whether [`PortRx::receive`] costs no system call when nothing waits.
    fn cheap_when_idle(&self) -> bool {
        false
    }

    /// Called before the thread blocks on the descriptors. Returns true if frames wait already.
    fn prepare_wait(&mut self) -> bool {
        false
    }

    /// Clears a pending error and reports the interface's state. For the slow path.
    fn check(&mut self) -> LinkState {
        LinkState::Up
    }

    /// Opens the interface again after [`LinkState::Gone`]. The descriptors change.
    ///
    /// # Errors
    /// It isn't there (yet).
    fn reopen(&mut self) -> Result<(), PortError> {
        Ok(())
    }
}

/// What became of transmitted frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transmitted {
    /// Frames sent.
    pub sent: u64,
    /// Frames not sent, for whatever reason; the port's counters tell which.
    pub dropped: u64,
}

/// A transmit half of a port, owned by one thread.
pub trait PortTx: Send {
    /// Sends all `frames` in order, emptying the vector; what can't be sent is counted and dropped.
    /// Never blocks. Buffers go back to `pool`.
    fn transmit(&mut self, queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted;
}

/// Speed in Mb/s of an interface of the calling thread's network namespace, and whether duplex is full;
/// `None` if there is no such interface or its driver doesn't know.
pub fn link_speed(name: &str) -> Option<(u32, bool)> {
    let control = crate::sys::control_socket().ok()?;
    crate::sys::ethtool::speed(control.as_fd(), &InterfaceName::new(name).ok()?)
}

/// A checked interface name.
fn interface_name(name: &str) -> Result<InterfaceName, PortError> {
    InterfaceName::new(name).map_err(|why| PortError::Name { name: name.to_owned(), why })
}

/// Puts a tag back that the kernel took off.
fn restore_vlan(frame: &mut Frame, (tpid, tci): (u16, u16)) {
    const AT: usize = 12;
    if frame.len() < AT {
        return;
    }
    frame.insert(AT, 4);
    let [a, b] = tpid.to_be_bytes();
    let [c, d] = tci.to_be_bytes();
    frame.bytes_mut()[AT..AT + 4].copy_from_slice(&[a, b, c, d]);
}
