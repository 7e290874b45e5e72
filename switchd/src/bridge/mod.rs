//! A bridge: one switch instance, one thread that owns all its state.
//!
//! ```text
//!  connection tasks ──messages──▶┐                       ┌──▶ outboxes ──▶ connection tasks
//!  workers ──packets for controllers──▶ bridge thread: hub ──▶ datapath control ──▶ workers
//!  ports, management ──events──▶┘
//! ```
//!
//! The thread goes round: a bounded number of events, of messages per connection, of packets for
//! controllers, then timers, then output; so that nobody, however busy, keeps the others waiting for
//! more than a round. With nothing to do it sleeps until the doorbell rings or a timer is due; then a worker may
//! take a few packets to the controllers in its place (`runner`).

mod alone;
mod answers;
#[cfg(test)]
mod auxiliary;
mod bell;
#[cfg(test)]
mod errors;
mod explain;
mod features;
#[cfg(test)]
mod hostile;
pub mod hub;
mod listing;
#[cfg(test)]
mod packet_outs;
mod punted;
mod queues;
mod rounds;
mod runner;
mod saving;
#[cfg(test)]
mod scheduled;
pub mod snapshot;
pub mod spin;
pub mod switch;
#[cfg(test)]
mod tests;
mod tracing;
#[cfg(test)]
mod traffic;

use crate::agent::snoop::Watcher;
use crate::agent::{DialStatus, Opened};
use crate::management;
use crate::ports::PortEvent;
pub use bell::Doorbell;
use bell::Ears;
use datapath::clock::Time;
use hub::Backend;
pub use runner::{Helper, Runner};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// How a controller is reached through the bridge's own ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// From which address.
    pub own: IpAddr,
    /// Over which router, where one is between.
    pub router: Option<IpAddr>,
}

/// What the rest of the daemon tells a bridge.
#[derive(Debug)]
pub enum Event {
    /// A connection was made.
    Opened(Opened),
    /// Something happened to a port.
    Port(PortEvent),
    /// Management asks.
    Call(management::Call),
    /// The controllers are these from now on.
    Dials {
        /// Whom is dialled, for management to show.
        dials: Vec<Arc<Mutex<DialStatus>>>,
        /// Those of them that are reached through the bridge's own ports.
        in_band: Vec<SocketAddr>,
    },
    /// These, by their targets, aren't dialled any more.
    Undialled(Vec<String>),
    /// A controller is dialled through the bridge's own ports, this way.
    Way(SocketAddr, Route),
    /// Somebody watches the controllers' messages.
    Watcher(Watcher),
    /// The end.
    Stop,
}

/// Events that may wait; more make their sender wait.
const EVENTS: usize = 256;

/// The bridge's thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bridge has stopped")]
pub struct Stopped;

/// How the rest of the daemon reaches a bridge.
#[derive(Clone, Debug)]
pub struct Handle {
    events: mpsc::Sender<Event>,
    bell: LastRing,
}

/// Rings when it is dropped: after the queue before it, whose end the bridge must see.
#[derive(Clone, Debug)]
struct LastRing(Doorbell);

impl Drop for LastRing {
    fn drop(&mut self) {
        self.0.ring();
    }
}

impl Handle {
    /// Sends an event from a task.
    ///
    /// # Errors
    /// [`Stopped`]
    pub async fn send(&self, event: Event) -> Result<(), Stopped> {
        self.events.send(event).await.map_err(|_| Stopped)?;
        self.bell.0.ring();
        Ok(())
    }

    /// Sends an event from a thread outside of any runtime.
    ///
    /// # Errors
    /// [`Stopped`]
    pub fn send_blocking(&self, event: Event) -> Result<(), Stopped> {
        self.events.blocking_send(event).map_err(|_| Stopped)?;
        self.bell.0.ring();
        Ok(())
    }

    /// The bell alone, for those that have queues of their own.
    pub fn bell(&self) -> &Doorbell {
        &self.bell.0
    }
}

/// The bridge's end of its [`Handle`].
#[derive(Debug)]
pub struct Inbox {
    events: mpsc::Receiver<Event>,
    ears: Ears,
}

/// A handle and its other end.
///
/// # Errors
/// Out of descriptors.
pub fn channel() -> io::Result<(Handle, Inbox)> {
    let (events, receiver) = mpsc::channel(EVENTS);
    let (bell, ears) = bell::bell()?;
    Ok((Handle { events, bell: LastRing(bell) }, Inbox { events: receiver, ears }))
}

/// A switch that lives in a bridge: a [`Backend`] that also knows ports and answers management.
pub trait Instance: Backend {
    /// Something happened to a port.
    fn port_event(&mut self, now: Time, event: PortEvent);
    /// These controllers, and no others, are reached through the switch's own ports.
    fn set_in_band(&mut self, now: Time, controllers: Vec<SocketAddr>);
    /// One of them is dialled this way.
    fn way(&mut self, now: Time, controller: SocketAddr, route: Route);
    /// The end: what is to outlast it is kept.
    fn ending(&mut self, now: Time);
    /// Writes what is to outlast the process, and answers when it is safe.
    fn save(&mut self, reply: tokio::sync::oneshot::Sender<management::Answer>);
    /// Lists the flows of a table that a filter leaves, and answers when the list is whole.
    fn list_flows(
        &mut self,
        table: Option<u8>,
        filter: Option<&str>,
        reply: tokio::sync::oneshot::Sender<management::Answer>,
    );
    /// Explains what would become of a packet, and answers when that is told.
    fn trace(
        &mut self,
        in_port: u32,
        packet: &management::TracePacket,
        reply: tokio::sync::oneshot::Sender<management::Answer>,
    );
    /// Answers everything but what concerns connections.
    fn answer(&mut self, now: Time, request: &management::Request) -> management::Answer;
}
