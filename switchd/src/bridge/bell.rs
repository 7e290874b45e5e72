//! How the bridge's thread sleeps, and what wakes it: a bell that anybody rings, and its own sockets.
//!
//! A ring costs a system call only while the thread sleeps. Invariant: whoever has put something where the
//! thread looks and then rings is seen in a round that begins after the ring: the ringer writes `rung` before it
//! reads `asleep`, the thread writes `asleep` before it reads `rung`.
//!
//! Thread-safety: anybody may ring; one thread sleeps.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{read, write};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug)]
struct Bell {
    /// Something is to be looked at.
    rung: AtomicBool,
    /// The thread sleeps, or is about to: ringing takes the descriptor.
    asleep: AtomicBool,
    event: OwnedFd,
}

/// Wakes the bridge's thread; rings are merged.
#[derive(Clone, Debug)]
pub struct Doorbell(Arc<Bell>);

impl Doorbell {
    /// Says that there is something to do. Never blocks.
    pub fn ring(&self) {
        if !self.0.rung.swap(true, Ordering::SeqCst) && self.0.asleep.load(Ordering::SeqCst) {
            // Full: it has rung already.
            let _ = write(&self.0.event, &1u64.to_ne_bytes());
        }
    }
}

impl Doorbell {
    /// Whether a ring would wake the thread up: it sleeps, and nobody has rung yet.
    pub fn meets_sleep(&self) -> bool {
        self.0.asleep.load(Ordering::SeqCst) && !self.0.rung.load(Ordering::SeqCst)
    }
}

/// The sleeper's end of a [`Doorbell`].
#[derive(Debug)]
pub struct Ears(Arc<Bell>);

/// A bell and who hears it.
///
/// # Errors
/// Out of descriptors.
pub fn bell() -> io::Result<(Doorbell, Ears)> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let bell = Arc::new(Bell { rung: AtomicBool::new(false), asleep: AtomicBool::new(false), event });
    Ok((Doorbell(Arc::clone(&bell)), Ears(bell)))
}

impl Ears {
    /// Takes note of all rings so far: to be called before looking at what they may be about.
    pub fn heed(&self) {
        self.0.rung.swap(false, Ordering::SeqCst);
    }

    /// Waits at most `time` for a ring since the last [`heed`](Self::heed) or for one of `fds`, which holds
    /// a place for the bell's own descriptor in front (see [`place`](Self::place)). Says what of the others is ready
    /// in `fds`.
    pub fn wait(&self, fds: &mut [PollFd<'_>], time: Duration) {
        let mut time = time;
        if !time.is_zero() {
            self.0.asleep.store(true, Ordering::SeqCst);
            if self.0.rung.load(Ordering::SeqCst) {
                time = Duration::ZERO;
            }
        }
        let most = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        // An interrupted wait is one that is over early.
        let ready = poll(fds, Some(&most));
        self.0.asleep.store(false, Ordering::SeqCst);
        if ready.is_err() {
            fds.iter_mut().for_each(PollFd::clear_revents);
        } else if fds.first().is_some_and(|own| !own.revents().is_empty()) {
            // Another ring may come in between: its round begins at once, as this one does.
            let _ = read(&self.0.event, &mut [0; 8]);
        }
    }

    /// The bell.
    pub fn bell(&self) -> Doorbell {
        Doorbell(Arc::clone(&self.0))
    }

    /// The bell's place in what is waited for.
    pub fn place(&self) -> PollFd<'_> {
        PollFd::new(&self.0.event, PollFlags::IN)
    }
}
