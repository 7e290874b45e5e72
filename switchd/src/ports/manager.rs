//! Opens ports when their interfaces appear, lets go of them when they vanish, and tells the bridge.
//!
//! One [`BridgePorts`] per bridge, all driven by one thread (see [`super::start`]): every method runs
//! there, so nothing here is locked. It blocks only for as long as a worker takes to come round.

use super::PortEvent;
use super::table::{AddError, Change, PortTable};
use crate::config::{IfName, PortKind, PortSpec};
use crate::netlink::{Link, LinkEvent};
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::tap::{Tap, TapOptions};
use datapath::port::{Port, PortError};
use datapath::worker::{Engine, Workers};
use ofproto::ids::PortNo;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{debug, info, warn};

/// The workers, as far as ports are concerned.
pub trait Plumbing: Send {
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

/// Makes a port's backend. It is a parameter so that tests need no interface.
pub type Opener = Box<dyn FnMut(&PortSpec) -> Result<Arc<dyn Port>, PortError> + Send>;

/// Makes real backends.
pub fn opener() -> Opener {
    Box::new(|spec| {
        Ok(match spec.kind {
            PortKind::AfPacket => Arc::new(AfPacket::new(spec.name.as_str(), AfPacketOptions::default())?),
            PortKind::Tap => {
                let options = TapOptions { up: true, ..TapOptions::default() };
                Arc::new(Tap::create(spec.name.as_str(), &options)?)
            }
        })
    })
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
}

/// The ports of one bridge.
pub struct BridgePorts {
    name: String,
    table: PortTable,
    backends: Backends,
    connected: HashSet<PortNo>,
    plumbing: Box<dyn Plumbing>,
    open: Opener,
    tell: Box<dyn FnMut(PortEvent) + Send>,
    /// Sets an interface up.
    raise: Box<dyn FnMut(&Link) + Send>,
}

impl BridgePorts {
    /// A bridge's ports: none yet. `specs` are those that will be added at start, whose explicit
    /// numbers are kept free.
    pub fn new(
        name: &str,
        specs: &[PortSpec],
        plumbing: impl Plumbing + 'static,
        backends: Backends,
        open: Opener,
        tell: impl FnMut(PortEvent) + Send + 'static,
        raise: impl FnMut(&Link) + Send + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            table: PortTable::for_specs(specs),
            backends,
            connected: HashSet::new(),
            plumbing: Box::new(plumbing),
            open,
            tell: Box::new(tell),
            raise: Box::new(raise),
        }
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
        let no = self.table.add(spec.clone())?;
        let backend = match (self.open)(&spec) {
            Ok(b) => b,
            Err(e) => {
                self.table.remove(no);
                return Err(e.into());
            }
        };
        self.backends.map().insert(no, backend);
        for link in links {
            self.table.present(link);
        }
        let present = self.table.get(no).and_then(|e| e.link.clone());
        // The device of a TAP is there already, even if its netlink message isn't.
        if let (Some(_), _) | (None, PortKind::Tap) = (&present, spec.kind)
            && let Err(e) = self.connect(no)
        {
            self.table.remove(no);
            self.backends.map().remove(&no);
            return Err(e.into());
        }
        match present {
            Some(link) => self.up(&link),
            None if spec.kind == PortKind::AfPacket => {
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

    /// Removes a port given by name or number.
    pub fn remove(&mut self, which: &str) -> Option<PortNo> {
        let no = self.table.find(which)?;
        self.disconnect(no);
        self.table.remove(no);
        self.backends.map().remove(&no);
        info!(bridge = self.name, port = %no, "port removed");
        (self.tell)(PortEvent::Removed(no));
        Some(no)
    }

    /// Takes a link event.
    pub fn link_event(&mut self, event: &LinkEvent) {
        for change in self.table.apply(event) {
            let no = match change {
                Change::Attached(no) => {
                    self.attached(no);
                    no
                }
                Change::Detached(no) => {
                    self.detached(no);
                    no
                }
                Change::Described(no) => no,
            };
            if let Some(port) = self.table.describe(no) {
                debug!(bridge = self.name, port = %no, name = port.name, state = ?port.state, "port changed");
                (self.tell)(PortEvent::Changed(port));
            }
        }
    }

    /// Tries again what could not be opened although its interface is there.
    pub fn retry(&mut self) {
        let waiting: Vec<_> = self
            .table
            .iter()
            .filter(|(n, e)| e.link.is_some() && !self.connected.contains(n))
            .map(|(n, _)| n)
            .collect();
        for no in waiting {
            self.attached(no);
        }
    }

    /// Whether a port waits although its interface is there.
    pub fn wants_retry(&self) -> bool {
        self.table.iter().any(|(n, e)| e.link.is_some() && !self.connected.contains(&n))
    }

    /// Lets go of everything.
    pub fn close(&mut self) {
        let all: Vec<_> = self.table.iter().map(|(n, _)| n).collect();
        for no in all {
            self.disconnect(no);
        }
        self.backends.map().clear();
    }

    fn attached(&mut self, no: PortNo) {
        if !self.connected.contains(&no) {
            if let Err(e) = self.connect(no) {
                warn!(bridge = self.name, port = %no, error = %e, "can't open the port; trying again");
                return;
            }
            info!(bridge = self.name, port = %no, "the interface is there");
        }
        if let Some(link) = self.table.get(no).and_then(|e| e.link.clone()) {
            self.up(&link);
        }
    }

    fn detached(&mut self, no: PortNo) {
        info!(bridge = self.name, port = %no, "the interface is gone; the port waits for it");
        self.disconnect(no);
        // A TAP is ours: somebody deleted it, and it must be made again for the port to live.
        let Some(spec) = self.table.get(no).map(|e| e.spec.clone()).filter(|s| s.kind == PortKind::Tap) else { return };
        self.backends.map().remove(&no);
        match (self.open)(&spec) {
            Ok(backend) => {
                self.backends.map().insert(no, backend);
                if let Err(e) = self.connect(no) {
                    warn!(bridge = self.name, port = %no, error = %e, "can't open the port again");
                }
            }
            Err(e) => warn!(bridge = self.name, port = %no, error = %e, "can't make the interface again"),
        }
    }

    fn connect(&mut self, no: PortNo) -> Result<(), PortError> {
        let Some(backend) = self.backends.get(no) else { return Ok(()) };
        self.plumbing.connect(no, backend.as_ref())?;
        self.connected.insert(no);
        Ok(())
    }

    fn disconnect(&mut self, no: PortNo) {
        if self.connected.remove(&no) {
            self.plumbing.disconnect(no);
        }
    }

    fn up(&mut self, link: &Link) {
        if !link.up {
            (self.raise)(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datapath::port::memory::Memory;
    use ofproto::ids::MacAddr;
    use ofproto::port::PortState;
    use std::sync::mpsc;

    #[derive(Clone, Default)]
    struct FakePlumbing(Arc<Mutex<(HashSet<PortNo>, bool)>>);

    impl Plumbing for FakePlumbing {
        fn connect(&self, no: PortNo, _: &dyn Port) -> Result<(), PortError> {
            let mut state = self.0.lock().unwrap();
            if state.1 {
                return Err(PortError::Down);
            }
            assert!(state.0.insert(no), "connected twice");
            Ok(())
        }
        fn disconnect(&self, no: PortNo) {
            assert!(self.0.lock().unwrap().0.remove(&no), "wasn't connected");
        }
    }

    impl FakePlumbing {
        fn connected(&self) -> Vec<u32> {
            let mut list: Vec<_> = self.0.lock().unwrap().0.iter().map(|n| n.0).collect();
            list.sort_unstable();
            list
        }
    }

    struct Rig {
        ports: BridgePorts,
        plumbing: FakePlumbing,
        events: mpsc::Receiver<PortEvent>,
        raised: mpsc::Receiver<u32>,
    }

    fn rig() -> Rig {
        let plumbing = FakePlumbing::default();
        let (tell, events) = mpsc::channel();
        let (raise, raised) = mpsc::channel();
        let open: Opener = Box::new(|s| {
            if s.name.as_str() == "bad" {
                return Err(PortError::Closed);
            }
            let (a, _) = Memory::pair("a", "b", 4)?;
            Ok(Arc::new(a))
        });
        let ports = BridgePorts::new(
            "br0",
            &[],
            plumbing.clone(),
            Backends::default(),
            open,
            move |e| tell.send(e).unwrap(),
            move |l| raise.send(l.ifindex).unwrap(),
        );
        Rig { ports, plumbing, events, raised }
    }

    fn link(ifindex: u32, name: &str, up: bool) -> Link {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        Link { ifindex, name: name.into(), mac, mtu: 1500, up, running: up, speed: None }
    }

    #[test]
    fn a_missing_interface_is_opened_when_it_comes_and_let_go_when_it_goes() {
        let mut r = rig();
        let no = r.ports.add("eth1".parse().unwrap(), [].iter()).unwrap();
        assert!(matches!(r.events.recv().unwrap(), PortEvent::Added(p) if p.state == PortState::LINK_DOWN));
        assert!(r.plumbing.connected().is_empty());
        for ifindex in [5, 6] {
            r.ports.link_event(&LinkEvent::Added(link(ifindex, "eth1", false)));
            assert_eq!(r.plumbing.connected(), [no.0]);
            assert_eq!(r.raised.recv().unwrap(), ifindex, "it is set up");
            r.events.recv().unwrap();
            let up = LinkEvent::Changed { old: link(ifindex, "eth1", false), new: link(ifindex, "eth1", true) };
            r.ports.link_event(&up);
            assert!(matches!(r.events.recv().unwrap(), PortEvent::Changed(p) if p.state == PortState::LIVE));
            r.ports.link_event(&LinkEvent::Removed(link(ifindex, "eth1", true)));
            assert!(matches!(r.events.recv().unwrap(), PortEvent::Changed(p) if p.state == PortState::LINK_DOWN));
            assert!(r.plumbing.connected().is_empty());
        }
        assert!(r.ports.backends.get(no).is_some(), "counters outlive the interface");
        assert_eq!(r.ports.remove("eth1"), Some(no));
        assert_eq!(r.events.recv().unwrap(), PortEvent::Removed(no));
        assert!(r.raised.try_recv().is_err(), "an interface that is up is left alone");
    }

    #[test]
    fn what_cannot_be_opened_leaves_nothing() {
        let mut r = rig();
        assert!(r.ports.add("bad".parse().unwrap(), [].iter()).is_err());
        r.plumbing.0.lock().unwrap().1 = true;
        let links = [link(3, "eth1", true)];
        assert!(r.ports.add("eth1".parse().unwrap(), links.iter()).is_err());
        assert_eq!(r.ports.table().iter().count(), 0);
        assert!(r.events.try_recv().is_err());
        // An interface that comes later and can't be opened is tried again.
        r.ports.add("eth1".parse().unwrap(), [].iter()).unwrap();
        r.ports.link_event(&LinkEvent::Added(links[0].clone()));
        assert!(r.ports.wants_retry());
        r.plumbing.0.lock().unwrap().1 = false;
        r.ports.retry();
        assert!(!r.ports.wants_retry());
        assert_eq!(r.plumbing.connected().len(), 1);
    }

    #[test]
    fn a_deleted_tap_is_made_again() {
        let mut r = rig();
        let no = r.ports.add("t0,type=tap".parse().unwrap(), [].iter()).unwrap();
        assert_eq!(r.plumbing.connected(), [no.0], "it needs no message to be there");
        r.ports.link_event(&LinkEvent::Added(link(5, "t0", true)));
        r.ports.link_event(&LinkEvent::Removed(link(5, "t0", true)));
        assert_eq!(r.plumbing.connected(), [no.0]);
        r.ports.close();
        assert!(r.plumbing.connected().is_empty());
    }
}
