//! Management: JSON-RPC 2.0 over a unix socket.
//!
//! The server knows the transport and the methods' parameters; the answers come from whoever owns
//! the state. A [`Call`] carries one [`Request`] to its owner (the bridge's thread, or the daemon for
//! ports, log filter and stop) and a one-shot channel for the answer. A call that is dropped
//! unanswered is an internal error to the client, never a hang.

pub mod rpc;
pub mod server;
pub mod socket;

pub use server::{Router, serve};

use crate::config::FailMode;
use serde_json::Value;
use tokio::sync::oneshot;

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `status`: dpid, fail mode, number of ports, flows and connections of the bridge.
    Status,
    /// `ports`: every port with its number, state and counters.
    Ports,
    /// `flows`: the entries of one table, or of all, with their counters.
    Flows {
        /// Which table.
        table: Option<u8>,
        /// A match in the flow syntax; entries at least as specific are shown.
        filter: Option<String>,
    },
    /// `tables`: configuration, occupancy and lookup counters of every table.
    Tables,
    /// `groups`: groups with their buckets and counters.
    Groups,
    /// `meters`: meters with their bands and counters.
    Meters,
    /// `connections`: controllers, also those that are waited for, and tools, with state, version and role.
    Connections,
    /// `save-state`: writes flows, groups and meters where `--state` says.
    SaveState,
    /// `counters`: every counter of the bridge by name, drops by reason among them.
    Counters,
    /// `learned`: the addresses that the learning switch knows.
    Learned,
    /// `forget-learned`: they are to be learned anew.
    ForgetLearned,
    /// `trace`: what the pipeline would do with a packet, step by step.
    Trace {
        /// The port it comes in on.
        in_port: u32,
        /// The packet.
        packet: TracePacket,
    },
    /// `add-port` (the daemon's): opens a port, in the syntax of `--port`.
    AddPort(String),
    /// `del-port` (the daemon's): closes a port given by name or number.
    DelPort(String),
    /// `controllers`: whom the bridge dials, in the syntax of `--controller`.
    Controllers,
    /// `set-controllers` (the daemon's): whom to dial from now on, in the syntax of `--controller`.
    SetControllers(Vec<String>),
    /// `set-fail-mode`: what the bridge does from now on while no controller is connected.
    SetFailMode(FailMode),
    /// `queues`: every queue of every port with its rates and counters.
    Queues,
    /// `add-queue` (the daemon's): makes a queue, in the syntax of `--queue`.
    AddQueue(String),
    /// `del-queue` (the daemon's): takes a queue away.
    DelQueue {
        /// Its port, by name or number.
        port: String,
        /// Its number.
        queue: u32,
    },
    /// `set-log` (the daemon's): replaces the log filter.
    SetLog(String),
    /// `stop` (the daemon's): an orderly end.
    Stop,
    /// `metrics`: all counters as Prometheus text.
    Metrics,
}

/// The packet of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TracePacket {
    /// The frame's bytes.
    Bytes(Vec<u8>),
    /// A flow in the flow syntax (`tcp,nw_src=10.0.0.1,…`) that describes it.
    Flow(String),
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The parameters are wrong: which, and what was expected.
    #[error("{0}")]
    BadParams(String),
    /// There is no such bridge, port, table, …
    #[error("{0}")]
    NotFound(String),
    /// It can't be done now or here.
    #[error("{0}")]
    Failed(String),
}

/// The answer to a call.
pub type Answer = Result<Value, CallError>;

/// One request on its way to the owner of the state.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes; a receiver that went away is no fault.
    pub reply: oneshot::Sender<Answer>,
}
