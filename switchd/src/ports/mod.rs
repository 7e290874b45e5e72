//! Ports' lifecycle: numbers, interfaces that come and go, and the datapath's halves of them.
//!
//! One thread ([`start`]) drives the ports of all bridges: it takes link events from netlink and requests
//! from management, opens and closes the datapath's ports, and tells each bridge what changed.

pub mod claims;
pub mod manager;
mod opening;
pub mod table;

use crate::config::{PortSpec, QueueSpec};
use crate::netlink::{Link, LinkEvent};
use crate::queues::{Queue, QueueError};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use manager::{AddPortError, BridgePorts};
use ofproto::ids::{PortNo, QueueId};
use ofproto::port::Port;
use std::collections::HashMap;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a bridge is told about its ports, in order.
///
/// The description's `config` is empty: those bits are the bridge's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// A port came into being; its link may be down, its interface missing.
    Added(Port),
    /// Its description is this now.
    Changed(Port),
    /// The user took it away.
    Removed(PortNo),
    /// Its queues are these now.
    Queues(PortNo, Vec<Queue>),
}

/// How long until a port that could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

enum Command {
    Link(LinkEvent),
    Bridge(Box<BridgePorts>, Sender<()>),
    Add(String, Vec<PortSpec>, Reply<Vec<Result<PortNo, AddPortError>>>),
    Remove(String, String, Reply<Option<PortNo>>),
    AddQueue(String, QueueSpec, Reply<Result<PortNo, QueueError>>),
    RemoveQueue(String, String, QueueId, Reply<Result<PortNo, QueueError>>),
    SetUp(String, PortNo, bool),
    Stop,
}

type Reply<T> = Box<dyn FnOnce(T) + Send>;

/// A way to the ports' thread; cheap to clone.
#[derive(Clone)]
pub struct PortControl(Sender<Command>);

impl std::fmt::Debug for PortControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PortControl")
    }
}

/// The ports' thread. Dropping it lets go of all ports.
#[derive(Debug)]
pub struct PortThread {
    control: PortControl,
    synced: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl PortControl {
    /// Takes a link event; `false` once the thread has ended.
    ///
    /// The channel is unbounded, but its events are few: the kernel's socket buffer bounds a storm, and
    /// what is lost there is mended by a dump.
    pub fn link_event(&self, event: LinkEvent) -> bool {
        self.0.send(Command::Link(event)).is_ok()
    }

    /// Takes a bridge's ports into care. Returns when it is done.
    pub fn add_bridge(&self, ports: BridgePorts) {
        let (done, wait) = bounded(1);
        if self.0.send(Command::Bridge(Box::new(ports), done)).is_ok() {
            let _ = wait.recv();
        }
    }

    /// Adds a port to a bridge and calls `reply` with the outcome. Dropped without a call if there is
    /// no such bridge.
    pub fn add(&self, bridge: &str, spec: PortSpec, reply: impl FnOnce(Result<PortNo, AddPortError>) + Send + 'static) {
        let reply = move |mut outcomes: Vec<_>| {
            if let Some(outcome) = outcomes.pop() {
                reply(outcome);
            }
        };
        let _ = self.0.send(Command::Add(bridge.into(), vec![spec], Box::new(reply)));
    }

    /// Adds a port and waits for the outcome; `None` if there is no such bridge.
    pub fn add_and_wait(&self, bridge: &str, spec: PortSpec) -> Option<Result<PortNo, AddPortError>> {
        self.add_all_and_wait(bridge, vec![spec])?.pop()
    }

    /// Adds ports, opening them side by side, and waits for what comes of each; `None` if there is no such bridge.
    pub fn add_all_and_wait(&self, bridge: &str, specs: Vec<PortSpec>) -> Option<Vec<Result<PortNo, AddPortError>>> {
        let (tell, told) = bounded(1);
        let reply = move |outcomes| {
            let _ = tell.send(outcomes);
        };
        let _ = self.0.send(Command::Add(bridge.into(), specs, Box::new(reply)));
        told.recv().ok()
    }

    /// Removes a port of a bridge, given by name or number.
    pub fn remove(&self, bridge: &str, which: &str, reply: impl FnOnce(Option<PortNo>) + Send + 'static) {
        let _ = self.0.send(Command::Remove(bridge.into(), which.into(), Box::new(reply)));
    }

    /// Makes a queue on a port of a bridge and calls `reply` with the outcome.
    pub fn add_queue(
        &self,
        bridge: &str,
        spec: QueueSpec,
        reply: impl FnOnce(Result<PortNo, QueueError>) + Send + 'static,
    ) {
        let _ = self.0.send(Command::AddQueue(bridge.into(), spec, Box::new(reply)));
    }

    /// Makes a queue and waits for the outcome; `None` if there is no such bridge.
    pub fn add_queue_and_wait(&self, bridge: &str, spec: QueueSpec) -> Option<Result<PortNo, QueueError>> {
        let (tell, told) = bounded(1);
        self.add_queue(bridge, spec, move |r| {
            let _ = tell.send(r);
        });
        told.recv().ok()
    }

    /// Takes a queue of a port, given by name or number, away.
    pub fn remove_queue(
        &self,
        bridge: &str,
        port: &str,
        queue: QueueId,
        reply: impl FnOnce(Result<PortNo, QueueError>) + Send + 'static,
    ) {
        let _ = self.0.send(Command::RemoveQueue(bridge.into(), port.into(), queue, Box::new(reply)));
    }

    /// Sets a port's interface administratively up or down, now and whenever it comes back.
    pub fn set_up(&self, bridge: &str, port: PortNo, up: bool) {
        let _ = self.0.send(Command::SetUp(bridge.into(), port, up));
    }
}

impl PortThread {
    /// The way to it.
    pub fn control(&self) -> PortControl {
        self.control.clone()
    }

    /// Waits until the kernel's list of interfaces is known.
    ///
    /// # Errors
    /// It didn't come in time.
    pub fn wait_for_links(&self, timeout: Duration) -> io::Result<()> {
        match self.synced.recv_timeout(timeout) {
            Ok(()) => Ok(()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel didn't list its interfaces")),
        }
    }
}

impl Drop for PortThread {
    fn drop(&mut self) {
        let _ = self.control.0.send(Command::Stop);
        if let Some(t) = self.thread.take() {
            // A panic there was logged by the hook; the ports are gone with it.
            let _ = t.join();
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// Out of threads.
pub fn start() -> io::Result<PortThread> {
    let (commands, inbox) = unbounded();
    let (tell_synced, synced) = bounded(1);
    let thread = std::thread::Builder::new().name("ports".into()).spawn(move || {
        // A link's loss is on its way to the fast-failover groups.
        datapath::worker::wake_promptly();
        run(&inbox, &tell_synced);
    })?;
    Ok(PortThread { control: PortControl(commands), synced, thread: Some(thread) })
}

fn run(inbox: &Receiver<Command>, synced: &Sender<()>) {
    let mut bridges: Vec<BridgePorts> = Vec::new();
    let mut links: HashMap<u32, Link> = HashMap::new();
    // When to try again. Commands don't put it off: on a busy host they come without a pause.
    let mut retry = None;
    loop {
        let command = if bridges.iter().any(BridgePorts::wants_retry) {
            let at = *retry.get_or_insert_with(|| Instant::now() + RETRY);
            let command = inbox.recv_deadline(at);
            if Instant::now() >= at {
                retry = None;
                bridges.iter_mut().for_each(BridgePorts::retry);
            }
            match command {
                Ok(command) => command,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => Command::Stop,
            }
        } else {
            retry = None;
            inbox.recv().unwrap_or(Command::Stop)
        };
        match command {
            Command::Link(event) => {
                match &event {
                    LinkEvent::Added(l) | LinkEvent::Changed { new: l, .. } => {
                        links.insert(l.ifindex, l.clone());
                    }
                    LinkEvent::Removed(l) => {
                        links.remove(&l.ifindex);
                    }
                    LinkEvent::Synced => {
                        let _ = synced.try_send(());
                    }
                }
                for b in &mut bridges {
                    b.link_event(&event);
                }
            }
            Command::Bridge(ports, done) => {
                bridges.push(*ports);
                let _ = done.send(());
            }
            Command::Add(bridge, specs, reply) => {
                let taken = |spec: &PortSpec| {
                    bridges.iter().filter(|b| b.name() != bridge).find_map(|b| {
                        let no = b.table().named(spec.name.as_str())?;
                        Some(manager::AddPortError::Elsewhere(spec.name.clone(), b.name().to_owned(), no))
                    })
                };
                let specs: Vec<_> = specs.into_iter().map(|spec| taken(&spec).map_or(Ok(spec), Err)).collect();
                if let Some(b) = bridges.iter_mut().find(|b| b.name() == bridge) {
                    reply(b.add_all(specs, || links.values()));
                }
            }
            Command::Remove(bridge, which, reply) => {
                if let Some(b) = bridges.iter_mut().find(|b| b.name() == bridge) {
                    reply(b.remove(&which));
                }
            }
            Command::AddQueue(bridge, spec, reply) => {
                if let Some(b) = bridges.iter_mut().find(|b| b.name() == bridge) {
                    reply(b.add_queue(spec));
                }
            }
            Command::RemoveQueue(bridge, port, queue, reply) => {
                if let Some(b) = bridges.iter_mut().find(|b| b.name() == bridge) {
                    reply(b.remove_queue(&port, queue));
                }
            }
            Command::SetUp(bridge, port, up) => {
                if let Some(b) = bridges.iter_mut().find(|b| b.name() == bridge) {
                    b.set_up(port, up);
                }
            }
            Command::Stop => {
                bridges.iter_mut().for_each(BridgePorts::close);
                return;
            }
        }
    }
}
