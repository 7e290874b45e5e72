//! Opening and closing ports side by side: the kernel takes tens of milliseconds for a socket with a ring, until every
//! processor has come round, and does many at once in the same time.

use super::claims::{Claim, Claims, Outcome};
use super::manager::{AddPortError, Backends, Plumbing};
use super::table::PortTable;
use ofproto::ids::PortNo;
use tracing::warn;

/// What it takes to open a port, on whichever thread.
pub(super) struct Opening<'a> {
    pub bridge: &'a str,
    pub table: &'a PortTable,
    pub backends: &'a Backends,
    pub plumbing: &'a dyn Plumbing,
    pub claims: Option<&'a Claims>,
}

impl Opening<'_> {
    /// Opens it and claims its interface.
    pub fn open(&self, no: PortNo) -> Result<Option<Claim>, AddPortError> {
        let claim = self.claim(no)?;
        if let Some(backend) = self.backends.get(no) {
            self.plumbing.connect(no, backend.as_ref())?;
        }
        Ok(claim)
    }

    /// Claims the interface of a port.
    fn claim(&self, no: PortNo) -> Result<Option<Claim>, AddPortError> {
        let (Some(claims), Some(entry)) = (self.claims, self.table.get(no)) else { return Ok(None) };
        // The device of a TAP may not be known yet. The kernel gives it to one process only, unless that shares it.
        let ifindex = entry.link.as_ref().map(|l| l.ifindex).or_else(|| interface_number(entry.spec.name.as_str()));
        let Some(ifindex) = ifindex else { return Ok(None) };
        match claims.claim(ifindex, format!("port {no} of bridge `{}`", self.bridge)) {
            Outcome::Ours(claim) => Ok(Some(claim)),
            Outcome::Taken(holder) => Err(AddPortError::Claimed(entry.spec.name.clone(), holder)),
            Outcome::Unknown(why) => {
                let bridge = self.bridge;
                warn!(bridge, port = %no, why, "can't tell whether another switch has the interface");
                Ok(None)
            }
        }
    }
}

/// How many ports are opened or closed at a time.
pub(super) const AT_ONCE: usize = 32;

/// Does something for each port, [`AT_ONCE`] at a time, each on a thread of its own.
pub(super) fn side_by_side<T: Send>(ports: &[PortNo], work: impl Fn(PortNo) -> T + Sync) -> Vec<T> {
    if let [one] = ports {
        return vec![work(*one)];
    }
    let mut done = Vec::with_capacity(ports.len());
    for some in ports.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|no| (*no, std::thread::Builder::new().spawn_scoped(scope, || work(*no)))).collect();
            for (no, thread) in threads {
                done.push(match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    // Out of threads: here, then.
                    Err(_) => work(no),
                });
            }
        });
    }
    done
}

/// The number of the interface with this name now.
fn interface_number(name: &str) -> Option<u32> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    netdevice::name_to_index(socket, name).ok()
}
