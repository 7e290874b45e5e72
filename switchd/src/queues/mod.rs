//! Queues that shape: what a port's queues are promised and allowed, as classes of the kernel's HTB.
//!
//! ```text
//!  1:      the interface's root; what has no class goes to the default one
//!  1:fffe  the port's speed, which all share
//!  1:fffd  the default class: what is in no queue; may use what the queues leave
//!  1:q+1   queue q; a frame names its class by `skb->priority`
//! ```
//!
//! A port without queues keeps the root that it has. Queue 0, if there is one, is also for frames for
//! which no queue was chosen. [`PortQueues`] decides; a [`Shaper`] carries out, and is the kernel but
//! in tests. Both belong to the ports' thread.

mod kernel;

pub use kernel::KernelShaper;

use crate::config::{PortKind, QueueSpec};
use crate::netlink::Link;
use crate::netlink::htb::Class;
use datapath::port::Port;
use ofproto::ids::{PortNo, QueueId};
use ofproto::queue::{QueueDesc, QueueProp};
use std::collections::BTreeMap;
use std::io;

/// Most queues of one port.
pub const MAX_QUEUES: usize = 1024;

/// What a port's speed is taken for where the driver tells none that means anything (a TAP's, a bridge's),
/// in bits per second.
const UNKNOWN_SPEED: u64 = 10_000_000_000;

const ROOT: u16 = 0xfffe;
/// The class of what is in no queue.
pub const DEFAULT: u16 = 0xfffd;

/// What a class without a promise is promised: enough not to starve behind those with one.
const SCRAP: u64 = 12_000;

/// Sets an interface's classes.
pub trait Shaper: Send {
    /// Makes the interface's classes these, and no others; none: its root is what it was before.
    ///
    /// # Errors
    /// What the kernel says; the classes are then as they were.
    fn shape(&mut self, ifindex: u32, classes: &[Class]) -> io::Result<()>;

    /// The interface is gone, and its classes with it.
    fn gone(&mut self, ifindex: u32);
}

/// Why a queue can't be made.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no such port.
    #[error("there is no port `{0}`")]
    NoPort(String),
    /// There is no such queue.
    #[error("port {0} has no queue {1}")]
    NoQueue(PortNo, QueueId),
    /// The number is taken.
    #[error("port {0} has a queue {1} already")]
    Taken(PortNo, QueueId),
    /// The port's kind can't.
    #[error(
        "port {0} is of type {1}: what the switch sends to it enters the host without a queue that could be \
         shaped; use an interface of type af_packet"
    )]
    Kind(PortNo, &'static str),
    /// Rates that don't fit.
    #[error("port {0}: {1}")]
    Rates(PortNo, String),
    /// The kernel refuses.
    #[error("can't shape port {port}: {source}{}", advice(.source))]
    Kernel {
        /// The port.
        port: PortNo,
        /// What the kernel said.
        source: io::Error,
    },
}

fn advice(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::NotFound => " (has the kernel HTB? `modprobe sch_htb`)",
        io::ErrorKind::PermissionDenied => " (queues need CAP_NET_ADMIN)",
        _ => "",
    }
}

/// A queue as the bridge shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its number.
    pub id: QueueId,
    /// What it is promised, in bits per second.
    pub min: Option<u64>,
    /// What it can't exceed, in bits per second.
    pub max: Option<u64>,
    /// The port's speed, in bits per second.
    pub speed: u64,
}

impl Queue {
    fn of(spec: &QueueSpec, speed: u64) -> Self {
        let bits = |r: Option<crate::config::Rate>| r.map(|r| r.bits(speed));
        Self { id: spec.id, min: bits(spec.min), max: bits(spec.max), speed }
    }

    /// Its description; rates are in tenths of a per cent of the port's speed.
    pub fn describe(&self, port: PortNo) -> QueueDesc {
        // A rate is never described as none, nor as more than all.
        let tenths = |bits: u64| {
            let t = u128::from(bits) * 1000 / u128::from(self.speed.max(1));
            u16::try_from(t.clamp(1, 1000)).unwrap_or(1000)
        };
        let properties =
            [self.min.map(|n| QueueProp::MinRate(tenths(n))), self.max.map(|n| QueueProp::MaxRate(tenths(n)))];
        QueueDesc { port, queue: self.id, properties: properties.into_iter().flatten().collect() }
    }
}

const fn minor(id: QueueId) -> u16 {
    // Numbers are checked to be at most `config::MAX_QUEUE`.
    id.0 as u16 + 1
}

/// A port as its queues see it.
pub struct Place<'a> {
    /// Its number.
    pub no: PortNo,
    /// Its kind.
    pub kind: PortKind,
    /// Its interface, if it is there.
    pub link: Option<&'a Link>,
    /// What sends its frames.
    pub backend: Option<&'a dyn Port>,
}

impl Place<'_> {
    fn speed(&self) -> u64 {
        let speed = self.link.and_then(|l| l.speed).map(|s| u64::from(s.mbps) * 1_000_000);
        speed.unwrap_or(UNKNOWN_SPEED)
    }
}

/// All queues of a bridge's ports.
pub struct PortQueues {
    ports: BTreeMap<PortNo, BTreeMap<u32, QueueSpec>>,
    shaper: Box<dyn Shaper>,
}

impl PortQueues {
    /// None yet.
    pub fn new(shaper: Box<dyn Shaper>) -> Self {
        Self { ports: BTreeMap::new(), shaper }
    }

    /// A port's queues.
    pub fn of(&self, place: &Place<'_>) -> Vec<Queue> {
        let speed = place.speed();
        self.ports.get(&place.no).map_or_else(Vec::new, |q| q.values().map(|s| Queue::of(s, speed)).collect())
    }

    /// Makes a queue. Without its interface it waits for it.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing has changed then.
    pub fn add(&mut self, place: &Place<'_>, spec: QueueSpec) -> Result<(), QueueError> {
        let (no, id) = (place.no, spec.id);
        let queues = self.ports.entry(no).or_default();
        if queues.contains_key(&id.0) {
            return Err(QueueError::Taken(no, id));
        }
        if queues.len() >= MAX_QUEUES {
            return Err(QueueError::Rates(no, format!("it has {MAX_QUEUES} queues, and more can't be")));
        }
        queues.insert(id.0, spec);
        let done = match place.backend {
            Some(b) if b.set_queue(id, Some(Class::priority(minor(id)))) => self.refresh(place),
            _ => Err(QueueError::Kind(no, place.kind.name())),
        };
        if done.is_err() {
            self.forget(place, id);
        }
        done
    }

    /// Takes a queue away; what waits in it is lost.
    ///
    /// # Errors
    /// There is none, or the kernel refuses.
    pub fn remove(&mut self, place: &Place<'_>, id: QueueId) -> Result<(), QueueError> {
        if !self.ports.get(&place.no).is_some_and(|q| q.contains_key(&id.0)) {
            return Err(QueueError::NoQueue(place.no, id));
        }
        // First nothing is sent there any more, then the class goes.
        self.forget(place, id);
        self.refresh(place)
    }

    fn forget(&mut self, place: &Place<'_>, id: QueueId) {
        if let Some(queues) = self.ports.get_mut(&place.no) {
            queues.remove(&id.0);
            if queues.is_empty() {
                self.ports.remove(&place.no);
            }
        }
        if let Some(b) = place.backend {
            b.set_queue(id, None);
        }
    }

    /// Gives the interface the classes that the queues need: after it came, or its speed changed.
    ///
    /// # Errors
    /// The rates don't fit the speed, or the kernel refuses.
    pub fn refresh(&mut self, place: &Place<'_>) -> Result<(), QueueError> {
        let Some(link) = place.link else { return Ok(()) };
        let classes = self.plan(place)?;
        self.shaper.shape(link.ifindex, &classes).map_err(|source| QueueError::Kernel { port: place.no, source })
    }

    /// The port's interface is gone.
    pub fn gone(&mut self, ifindex: u32) {
        self.shaper.gone(ifindex);
    }

    /// The port is taken away, and its queues with it.
    pub fn port_removed(&mut self, place: &Place<'_>) {
        if self.ports.remove(&place.no).is_some() {
            self.clear(place);
        }
    }

    /// Gives the interface back the root that it had, but keeps the queues in mind.
    pub fn clear(&mut self, place: &Place<'_>) {
        if let Some(link) = place.link
            && let Err(e) = self.shaper.shape(link.ifindex, &[])
        {
            tracing::warn!(interface = link.name, error = %e, "can't take the queues away");
        }
    }

    fn plan(&self, place: &Place<'_>) -> Result<Vec<Class>, QueueError> {
        let queues = self.of(place);
        if queues.is_empty() {
            return Ok(Vec::new());
        }
        let speed = place.speed();
        let wrong = |reason| Err(QueueError::Rates(place.no, reason));
        let mut promised = 0_u64;
        let class = |minor, rate: u64, ceil: u64| {
            // 20 ms of the highest rate. More would fill the sending socket's buffer, and then the other
            // queues would lose frames, too.
            let limit = (ceil / 8 / 50).clamp(256 << 10, 512 << 10) as u32;
            Class { minor, parent: ROOT, rate, ceil, limit }
        };
        let mut classes = vec![
            Class { minor: ROOT, parent: 0, rate: speed, ceil: speed, limit: 0 },
            class(DEFAULT, SCRAP.min(speed), speed),
        ];
        for q in queues {
            let ceil = q.max.unwrap_or(speed).min(speed);
            let min = q.min.unwrap_or(0);
            if min > ceil {
                return wrong(format!(
                    "queue {}: min-rate is {min} bits per second, but no more than {ceil} can be",
                    q.id
                ));
            }
            promised = promised.saturating_add(min);
            classes.push(class(minor(q.id), min.max(SCRAP.min(ceil)), ceil));
        }
        if promised > speed {
            return wrong(format!("its queues are promised {promised} bits per second in all; its speed is {speed}"));
        }
        Ok(classes)
    }
}

#[cfg(test)]
mod tests;
