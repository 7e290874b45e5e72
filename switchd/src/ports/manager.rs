//! Opens ports when their interfaces appear, lets go of them when they vanish, and tells the bridge.
//!
//! One [`BridgePorts`] per bridge, all driven by one thread (see [`super::start`]): every method runs
//! there, so nothing here is locked. It blocks only for as long as a worker takes to come round.

use super::PortEvent;
use super::claims::{Claim, Claims, Holder};
use super::opening::{AT_ONCE, Opening, side_by_side};
use super::table::{AddError, Change, PortTable};
use crate::config::{IfName, PortKind, PortSpec, QueueSpec};
use crate::netlink::{Link, LinkEvent};
use crate::queues::{Place, PortQueues, QueueError, Shaper};
use crate::repeats::Repeats;
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::af_xdp::{AfXdp, AfXdpOptions};
use datapath::port::tap::{Tap, TapOptions};
use datapath::port::{Port, PortError};
use datapath::worker::{Engine, Workers};
use ofproto::ids::{PortNo, QueueId};
use ofproto::port::PortState;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{debug, info, warn};

/// The workers, as far as ports are concerned.
pub trait Plumbing: Send + Sync {
    /// Opens a port's halves and gives them to the workers.
    ///
    /// # Errors
    /// It can't be opened; nothing has changed.
    fn connect(&self, no: PortNo, port: &dyn Port) -> Result<(), PortError>;

    /// Takes them away again; none is held when it returns.
    fn disconnect(&self, no: PortNo);
}

impl<E: Engine> Plumbing for Arc<Workers<E>> {
    fn connect(&self, no: PortNo, port: &dyn Port) -> Result<(), PortError> {
        self.add_port(no, port)
    }

    fn disconnect(&self, no: PortNo) {
        if self.remove_port(no).is_err() {
            debug!(port = %no, "the workers have stopped already");
        }
    }
}

/// The open backends, for those who read counters. The lock is held to look one up and no longer.
#[derive(Clone, Default)]
pub struct Backends(Arc<Mutex<HashMap<PortNo, Arc<dyn Port>>>>);

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backends")
    }
}

impl Backends {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<PortNo, Arc<dyn Port>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backend of a port.
    pub fn get(&self, no: PortNo) -> Option<Arc<dyn Port>> {
        self.map().get(&no).cloned()
    }
}

/// Makes the backend of one of so many ports. It is a parameter so that tests need no interface.
pub type Opener = Box<dyn FnMut(&PortSpec, usize) -> Result<Arc<dyn Port>, PortError> + Send>;

/// Makes real backends for a bridge that begins with so many ports. They share 256 MiB of receive rings; one that comes
/// later gets what would be its share if all were made anew.
pub fn opener(expected: usize) -> Opener {
    Box::new(move |spec, ports| {
        Ok(match spec.kind {
            PortKind::AfPacket => {
                let ring_bytes = ring_bytes(expected.max(ports));
                let options = AfPacketOptions { parts: spec.workers, ring_bytes, ..AfPacketOptions::default() };
                Arc::new(AfPacket::new(spec.name.as_str(), options)?)
            }
            PortKind::AfXdp => Arc::new(AfXdp::new(spec.name.as_str(), &AfXdpOptions { parts: spec.workers })?),
            PortKind::Tap => {
                let options = TapOptions { up: true, queues: spec.workers, ..TapOptions::default() };
                Arc::new(Tap::create(spec.name.as_str(), &options)?)
            }
        })
    })
}

/// Memory of the receive rings of all ports together, as long as each has [`LEAST_RING`].
const RINGS: usize = 256 << 20;

/// The smallest rings: 496 short frames and 15 long ones.
const LEAST_RING: usize = 2 << 20;

/// Memory of one port's rings where there are so many ports.
fn ring_bytes(ports: usize) -> usize {
    let share = RINGS / ports.max(1) / LEAST_RING * LEAST_RING;
    share.clamp(LEAST_RING, AfPacketOptions::default().ring_bytes)
}

/// Why a port can't be added.
#[derive(Debug, thiserror::Error)]
pub enum AddPortError {
    /// The name or number is taken.
    #[error(transparent)]
    Table(#[from] AddError),
    /// It can't be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Another bridge has the interface.
    #[error("interface `{0}` is port {2} of bridge `{1}` already")]
    Elsewhere(IfName, String, PortNo),
    /// Another bridge or switch has the interface, whatever it calls it.
    #[error("interface `{0}` is {1} already")]
    Claimed(IfName, Holder),
}

/// Sets an interface up or down.
type Raise = Box<dyn FnMut(&Link, bool) + Send>;

/// The ports of one bridge.
pub struct BridgePorts {
    name: String,
    table: PortTable,
    backends: Backends,
    /// Those that are open, and what keeps others from their interfaces.
    connected: HashMap<PortNo, Option<Claim>>,
    claims: Option<Claims>,
    plumbing: Box<dyn Plumbing>,
    open: Opener,
    tell: Box<dyn FnMut(PortEvent) + Send>,
    /// Sets an interface up or down.
    raise: Raise,
    /// Ports that controllers set down.
    down: HashSet<PortNo>,
    /// Why ports that wait can't be opened.
    failures: HashMap<PortNo, Repeats>,
    queues: PortQueues,
}

/// Where a port's queues are.
macro_rules! place {
    ($self:ident, $no:expr, $backend:ident) => {{
        let entry = $self.table.get($no);
        Place {
            no: $no,
            kind: entry.map(|e| e.spec.kind).unwrap_or_default(),
            link: entry.and_then(|e| e.link.as_ref()),
            backend: $backend.as_deref(),
        }
    }};
}

impl BridgePorts {
    /// A bridge's ports: none yet. `specs` are those that will be added at start, whose explicit
    /// numbers are kept free.
    #[expect(clippy::too_many_arguments, reason = "each is a different way out of here")]
    pub fn new(
        name: &str,
        specs: &[PortSpec],
        plumbing: impl Plumbing + 'static,
        backends: Backends,
        open: Opener,
        tell: impl FnMut(PortEvent) + Send + 'static,
        raise: impl FnMut(&Link, bool) + Send + 'static,
        shaper: Box<dyn Shaper>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            table: PortTable::for_specs(specs),
            backends,
            connected: HashMap::new(),
            claims: None,
            plumbing: Box::new(plumbing),
            open,
            tell: Box::new(tell),
            raise: Box::new(raise),
            down: HashSet::new(),
            failures: HashMap::new(),
            queues: PortQueues::new(shaper),
        }
    }

    /// Claims interfaces, so that no other switch has one of them at the same time.
    pub fn claiming(self, claims: Claims) -> Self {
        Self { claims: Some(claims), ..self }
    }

    /// The bridge's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The table, to look at.
    pub fn table(&self) -> &PortTable {
        &self.table
    }

    /// Adds a port. A missing interface is no error: the port waits for it.
    ///
    /// # Errors
    /// Name or number are taken; a TAP can't be made; a packet socket can't be opened on an interface
    /// that exists. Then nothing has changed.
    pub fn add<'a>(&mut self, spec: PortSpec, links: impl Iterator<Item = &'a Link>) -> Result<PortNo, AddPortError> {
        let no = self.prepare(spec, links)?;
        let opened = self.is_there(no).then(|| self.open_all(&[no]).pop()).flatten();
        self.added(no, opened.unwrap_or(Ok(())))
    }

    /// Adds ports as [`add`](Self::add) does, some at a time: their sockets are opened side by side. What is an error
    /// already stays one.
    pub fn add_all<'a, L: Iterator<Item = &'a Link>>(
        &mut self,
        specs: Vec<Result<PortSpec, AddPortError>>,
        links: impl Fn() -> L,
    ) -> Vec<Result<PortNo, AddPortError>> {
        let mut outcomes = Vec::with_capacity(specs.len());
        let mut specs = specs.into_iter().peekable();
        while specs.peek().is_some() {
            let chunk = specs.by_ref().take(AT_ONCE);
            let prepared: Vec<_> = chunk.map(|spec| self.prepare(spec?, links())).collect();
            let there: Vec<PortNo> = prepared.iter().flatten().copied().filter(|no| self.is_there(*no)).collect();
            let mut opened: HashMap<PortNo, _> = there.iter().copied().zip(self.open_all(&there)).collect();
            outcomes.extend(prepared.into_iter().map(|no| {
                let no = no?;
                self.added(no, opened.remove(&no).unwrap_or(Ok(())))
            }));
        }
        outcomes
    }

    /// Gives a port its number and its backend, not open yet.
    fn prepare<'a>(&mut self, spec: PortSpec, links: impl Iterator<Item = &'a Link>) -> Result<PortNo, AddPortError> {
        let no = self.table.add(spec.clone())?;
        match (self.open)(&spec, self.table.len()) {
            Ok(backend) => self.backends.map().insert(no, backend),
            Err(e) => {
                self.table.withdraw(no);
                return Err(e.into());
            }
        };
        for link in links {
            self.table.present(link);
        }
        Ok(no)
    }

    /// Whether a port can be opened. The device of a TAP is there already, even if its netlink message isn't.
    fn is_there(&self, no: PortNo) -> bool {
        self.table.get(no).is_some_and(|e| e.link.is_some() || e.spec.kind == PortKind::Tap)
    }

    /// Tells of a port that was opened, if it could be; takes away one that couldn't.
    fn added(&mut self, no: PortNo, opened: Result<(), AddPortError>) -> Result<PortNo, AddPortError> {
        if let Err(e) = opened {
            self.table.withdraw(no);
            self.backends.map().remove(&no);
            return Err(e);
        }
        let Some(entry) = self.table.get(no) else { return Ok(no) };
        let spec = entry.spec.clone();
        match entry.link.clone() {
            Some(link) => self.up(no, &link),
            None if spec.kind != PortKind::Tap => {
                warn!(bridge = self.name, port = %no, interface = %spec.name, "no such interface yet; the port waits for it");
            }
            None => {}
        }
        if let Some(port) = self.table.describe(no) {
            info!(bridge = self.name, port = %no, interface = %spec.name, kind = spec.kind.name(), "port added");
            (self.tell)(PortEvent::Added(port));
        }
        Ok(no)
    }

    /// Opens ports side by side: each waits for the kernel, which lets many go on at once.
    fn open_all(&mut self, ports: &[PortNo]) -> Vec<Result<(), AddPortError>> {
        let opening = Opening {
            bridge: &self.name,
            table: &self.table,
            backends: &self.backends,
            plumbing: self.plumbing.as_ref(),
            claims: self.claims.as_ref(),
        };
        let opened = side_by_side(ports, |no| opening.open(no));
        let noted = |(no, opened): (&PortNo, Result<Option<Claim>, AddPortError>)| {
            self.connected.insert(*no, opened?);
            Ok(())
        };
        ports.iter().zip(opened).map(noted).collect()
    }

    /// Removes a port given by name or number.
    pub fn remove(&mut self, which: &str) -> Option<PortNo> {
        let no = self.table.find(which)?;
        self.disconnect(no);
        let backend = self.backends.get(no);
        self.queues.port_removed(&place!(self, no, backend));
        self.down.remove(&no);
        self.failures.remove(&no);
        self.table.remove(no);
        self.backends.map().remove(&no);
        info!(bridge = self.name, port = %no, "port removed");
        (self.tell)(PortEvent::Removed(no));
        Some(no)
    }

    /// Takes a link event.
    pub fn link_event(&mut self, event: &LinkEvent) {
        if let LinkEvent::Changed { old, new } = event
            && old.master != new.master
            && let Some(no) = self.table.behind(new.ifindex)
        {
            self.warn_of_master(no, new);
        }
        for change in self.table.apply(event) {
            let no = match change {
                Change::Attached(no) => {
                    self.attached(no);
                    no
                }
                Change::Detached(no) => {
                    // Nothing else detaches.
                    let LinkEvent::Removed(link) = event else { continue };
                    self.queues.gone(link.ifindex);
                    self.detached(no, link);
                    no
                }
                Change::Described(no) => no,
            };
            if let Some(port) = self.describe(no) {
                debug!(bridge = self.name, port = %no, name = port.name, state = ?port.state, "port changed");
                (self.tell)(PortEvent::Changed(port));
            }
            self.refresh_queues(no);
        }
    }

    /// Tries again what could not be opened although its interface is there, and makes devices anew that
    /// ended in another network namespace, of which no message tells.
    pub fn retry(&mut self) {
        let ended: Vec<_> = self.away().filter(|n| !self.lives_elsewhere(*n)).collect();
        for no in ended {
            info!(bridge = self.name, port = %no, "the interface ended in another network namespace");
            self.table.set_away(no, None);
            self.remake(no);
            if let Some(port) = self.table.describe(no) {
                (self.tell)(PortEvent::Changed(port));
            }
        }
        let waiting: Vec<_> = self
            .table
            .iter()
            .filter(|(n, e)| e.link.is_some() && !self.connected.contains_key(n))
            .map(|(n, _)| n)
            .collect();
        for no in waiting {
            self.attached(no);
            if self.connected.contains_key(&no)
                && let Some(port) = self.describe(no)
            {
                (self.tell)(PortEvent::Changed(port));
            }
        }
    }

    /// Whether a port waits although its interface is there, or is in another network namespace.
    pub fn wants_retry(&self) -> bool {
        self.away().next().is_some()
            || self.table.iter().any(|(n, e)| e.link.is_some() && !self.connected.contains_key(&n))
    }

    fn away(&self) -> impl Iterator<Item = PortNo> {
        self.table.iter().filter(|(_, e)| e.away.is_some()).map(|(n, _)| n)
    }

    fn lives_elsewhere(&self, no: PortNo) -> bool {
        self.backends.get(no).is_some_and(|b| b.lives_elsewhere())
    }

    /// Lets go of everything.
    pub fn close(&mut self) {
        let open: Vec<PortNo> = self.connected.keys().copied().collect();
        side_by_side(&open, |no| self.plumbing.disconnect(no));
        self.connected.clear();
        let all: Vec<_> = self.table.iter().map(|(n, _)| n).collect();
        for no in all {
            let backend = self.backends.get(no);
            self.queues.clear(&place!(self, no, backend));
        }
        self.backends.map().clear();
    }

    fn attached(&mut self, no: PortNo) {
        if !self.connected.contains_key(&no) {
            if let Err(e) = self.connect(no) {
                // Tried every second, and said once.
                match self.failures.entry(no).or_default().note(&e.to_string()) {
                    1 => warn!(bridge = self.name, port = %no, error = %e, "can't open the port; trying again"),
                    times => debug!(bridge = self.name, port = %no, error = %e, times, "still can't open the port"),
                }
                return;
            }
            self.failures.remove(&no);
            info!(bridge = self.name, port = %no, "the interface is there");
        }
        if let Some(link) = self.table.get(no).and_then(|e| e.link.clone()) {
            self.up(no, &link);
        }
    }

    fn detached(&mut self, no: PortNo, link: &Link) {
        if self.lives_elsewhere(no) {
            info!(bridge = self.name, port = %no, "the interface went to another network namespace; the port goes on");
            self.table.set_away(no, Some(link.clone()));
            return;
        }
        info!(bridge = self.name, port = %no, "the interface is gone; the port waits for it");
        self.failures.remove(&no);
        self.remake(no);
    }

    /// Lets go of an interface that is no more. A TAP is ours: somebody deleted it, and it must be made
    /// again for the port to live.
    fn remake(&mut self, no: PortNo) {
        self.disconnect(no);
        let Some(spec) = self.table.get(no).map(|e| e.spec.clone()).filter(|s| s.kind == PortKind::Tap) else { return };
        self.backends.map().remove(&no);
        match (self.open)(&spec, self.table.len()) {
            Ok(backend) => {
                self.backends.map().insert(no, backend);
                if let Err(e) = self.connect(no) {
                    warn!(bridge = self.name, port = %no, error = %e, "can't open the port again");
                }
            }
            Err(e) => warn!(bridge = self.name, port = %no, error = %e, "can't make the interface again"),
        }
    }

    fn connect(&mut self, no: PortNo) -> Result<(), AddPortError> {
        if self.backends.get(no).is_none() {
            return Ok(());
        }
        self.open_all(&[no]).pop().unwrap_or(Ok(()))
    }

    fn disconnect(&mut self, no: PortNo) {
        if let Some(claim) = self.connected.remove(&no) {
            self.plumbing.disconnect(no);
            drop(claim);
        }
    }

    /// What the bridge shall know of a port. One whose interface is there and can't be opened carries nothing.
    fn describe(&self, no: PortNo) -> Option<ofproto::port::Port> {
        let mut port = self.table.describe(no)?;
        let waits = self.table.get(no).is_some_and(|e| e.link.is_some()) && !self.connected.contains_key(&no);
        if waits {
            port.state = PortState::LINK_DOWN;
        }
        Some(port)
    }

    /// Sets an interface that came as its port shall be: up, unless a controller set it down.
    fn up(&mut self, no: PortNo, link: &Link) {
        self.warn_of_master(no, link);
        let up = !self.down.contains(&no);
        if link.up != up {
            (self.raise)(link, up);
        }
    }

    /// Two switches at one interface send everything twice.
    fn warn_of_master(&self, no: PortNo, link: &Link) {
        if let Some(master) = link.master {
            warn!(
                bridge = self.name, port = %no, interface = link.name, master,
                "the interface belongs to a bridge, bond or VRF (the interface of that number), which takes its frames, \
                 too; `ip link set {} nomaster` takes it out", link.name
            );
        }
    }

    /// Sets a port's interface up or down, now and whenever it comes back.
    pub fn set_up(&mut self, no: PortNo, up: bool) {
        if self.table.get(no).is_none() {
            return;
        }
        if up {
            self.down.remove(&no)
        } else {
            self.down.insert(no)
        };
        if let Some(link) = self.table.get(no).and_then(|e| e.link.clone()) {
            info!(bridge = self.name, port = %no, interface = link.name, up, "a controller sets the interface");
            // Whether it is so already isn't known for sure: an earlier change may be under way.
            (self.raise)(&link, up);
        }
    }

    /// Makes a queue on a port given by name or number.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing has changed then.
    pub fn add_queue(&mut self, spec: QueueSpec) -> Result<PortNo, QueueError> {
        let no = self.table.find(&spec.port).ok_or_else(|| QueueError::NoPort(spec.port.clone()))?;
        let backend = self.backends.get(no);
        let id = spec.id;
        self.queues.add(&place!(self, no, backend), spec)?;
        info!(bridge = self.name, port = %no, queue = %id, "queue added");
        self.tell_queues(no);
        Ok(no)
    }

    /// Takes a queue of a port given by name or number away.
    ///
    /// # Errors
    /// There is none, or the kernel refuses.
    pub fn remove_queue(&mut self, port: &str, queue: QueueId) -> Result<PortNo, QueueError> {
        let no = self.table.find(port).ok_or_else(|| QueueError::NoPort(port.to_owned()))?;
        let backend = self.backends.get(no);
        let removed = self.queues.remove(&place!(self, no, backend), queue);
        self.tell_queues(no);
        removed?;
        info!(bridge = self.name, port = %no, queue = %queue, "queue removed");
        Ok(no)
    }

    fn tell_queues(&mut self, no: PortNo) {
        let backend = self.backends.get(no);
        let queues = self.queues.of(&place!(self, no, backend));
        (self.tell)(PortEvent::Queues(no, queues));
    }

    /// After the interface came or changed.
    fn refresh_queues(&mut self, no: PortNo) {
        let backend = self.backends.get(no);
        let place = place!(self, no, backend);
        if self.queues.of(&place).is_empty() {
            return;
        }
        if let Err(e) = self.queues.refresh(&place) {
            warn!(bridge = self.name, port = %no, error = %e, "the port's queues don't shape");
        }
        self.tell_queues(no);
    }
}

#[cfg(test)]
mod tests;
