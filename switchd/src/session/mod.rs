//! One OpenFlow connection as a state machine without I/O: decoded messages in, bytes out, time as an
//! argument. Every rule of the channel lives here and is tested without a socket or a clock.
//!
//! ```text
//!              hello            version agreed
//!  new ──▶ Hello ──────────────────▶ Up ──▶ Ending ──▶ (the agent closes)
//!            │ no version, no hello in time      ▲
//!            └───────────────────────────────────┘  probe unanswered, peer doesn't read, …
//! ```
//!
//! Order: requests are carried out one after the other. A barrier, or a dump that the peer hasn't
//! taken yet, holds the next request back ([`Session::ready`]); nothing else waits, and no other
//! connection does. Output is bounded by [`limits`].
//!
//! Invariants: a refused request changes nothing and is answered with exactly one error; every reply
//! bears its request's xid; asynchronous messages pass the filter of the connection's role. One
//! owner, no locks.

pub mod bundle;
pub mod channel;
mod fairness;
pub mod filter;
mod greeting;
pub mod hello;
pub mod host;
pub mod limits;
mod loads;
mod monitor;
mod multipart;
mod names;
pub mod notify;
mod refusals;
pub mod requests;
pub mod role;
mod rows;
mod schedule;
mod staging;
mod timers;

#[cfg(test)]
pub(crate) mod tests;

use bundle::Bundles;
use bytes::Bytes;
use channel::Channel;
use datapath::clock::Time;
use filter::Filter;
use hello::VersionSet;
use host::{FlowCursor, Host, Ticket};
pub use names::message_name;
use ofproto::ids::{TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{ErrorMsg, Message, MultipartReply, MultipartRequest, SwitchConfig};
use ofproto::monitor::FlowMonitorRequest;
use ofproto::role::Role;
use ofproto::stats::FlowDesc;
use ofproto::wire::segment::Reassembler;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};
use refusals::{Refusals, SharedRefusals};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use tracing::{debug, info, warn};

/// A connection's number within its bridge, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A controller: gets asynchronous messages, and a standalone bridge doesn't leave its tables aside while it is
    /// there.
    Controller,
    /// Somebody who came to a listener: gets nothing unasked until it configures the connection as a
    /// controller does (set-config, role request or set-async). One that asks to be a slave watches
    /// only: a standalone bridge whose controllers are away goes on without its tables.
    Visitor,
    /// An auxiliary connection of a controller (OpenFlow 1.3.5 §6.3.8).
    Auxiliary {
        /// The connection that it belongs to, and ends with.
        main: ConnId,
        /// Its number in the features reply, not 0.
        id: u8,
    },
}

/// What all sessions of a bridge are told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Versions to speak.
    pub versions: VersionSet,
    /// Idle time before an echo request; the same again without an answer ends the connection.
    /// `None`: never.
    pub probe: Option<Duration>,
    /// Packets kept per connection.
    pub buffers: usize,
    /// How long they are kept.
    pub buffer_lifetime: Duration,
    /// How many refused requests all connections together may still log.
    pub refusals: SharedRefusals,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            versions: VersionSet::ALL,
            probe: Some(Duration::from_secs(15)),
            buffers: 256,
            buffer_lifetime: Duration::from_secs(30),
            refusals: SharedRefusals::default(),
        }
    }
}

/// `miss_send_len` of a new connection (OpenFlow 1.3.5 §7.3.2).
const DEFAULT_MISS_SEND_LEN: u16 = 128;

/// The longest message whose memory is kept for the next one.
const SPARE: usize = 1024;

/// A received message: small, because it lies in queues. What it means is best read just before it is carried out,
/// while its bytes and the memory of the last one are in the processor's cache.
#[derive(Clone, Debug)]
pub struct Received {
    /// The header.
    pub header: Header,
    /// The whole message.
    pub bytes: Bytes,
    /// What it means, or why it can't be taken, if that was found out already.
    meaning: Option<Box<Meaning>>,
}

/// What bytes mean, with their header, or why they can't be taken.
type Meaning = Result<(Header, Message), OfError>;

impl Received {
    /// A whole message.
    pub fn new(header: Header, bytes: Bytes) -> Self {
        Self { header, bytes, meaning: None }
    }

    /// A message that can't be taken.
    pub fn broken(header: Header, bytes: Bytes, e: OfError) -> Self {
        Self { header, bytes, meaning: Some(Box::new(Err(e))) }
    }

    /// Finds out what it means; for a thread that has more time than the one that will carry it out.
    pub fn read(&mut self) {
        self.meaning.get_or_insert_with(|| Box::new(wire::decode(&self.bytes)));
    }
}

/// What a connection has done, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counters {
    pub messages_received: u64,
    pub messages_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub errors_sent: u64,
    pub errors_received: u64,
    pub flow_mods: u64,
    pub packet_outs: u64,
    pub barriers: u64,
    pub packet_ins_sent: u64,
    /// Dropped because the controller doesn't read fast enough.
    pub packet_ins_dropped: u64,
    pub probes_sent: u64,
}

/// How packet-ins are written (Nicira's `NXT_SET_PACKET_IN_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PacketInFormat {
    Standard,
    Nxt1,
    Nxt2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hello { since: Time },
    Up,
    Ending,
}

/// What the next request waits for.
#[derive(Debug)]
enum Waiting {
    Nothing,
    Barrier {
        xid: Xid,
        ticket: Ticket,
    },
    /// A dump: its cursors, the first one under way, and the step that isn't sent yet.
    Flows {
        xid: Xid,
        cursors: VecDeque<FlowCursor>,
        kind: DumpKind,
        held: Option<MultipartReply>,
        /// Descriptions that were sent: memory for the next.
        spare: Vec<FlowDesc>,
    },
}

/// What the flows of a dump become.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DumpKind {
    /// Flow descriptions.
    Desc,
    /// Flow descriptions in Nicira's form (1.0).
    Nicira,
    /// 1.5's flow statistics.
    Stats,
    /// The initial state for flow monitors, one for each cursor.
    Initial(Vec<FlowMonitorRequest>),
}

/// What makes a flow entry that entry.
type FlowKey = (TableId, u16, Match);

/// A change that waits for the peer to read.
#[derive(Clone, Debug)]
struct PausedFlow {
    /// New since the pause began, rather than changed.
    added: bool,
    flow: FlowDesc,
}

/// How and why a connection is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whether what is written may still be sent.
    pub flush: bool,
    /// Why, for people.
    pub reason: String,
}

/// The session.
#[derive(Debug)]
pub struct Session {
    id: ConnId,
    peer: String,
    settings: Settings,
    purpose: Purpose,
    /// Whether it came to a listener.
    visitor: bool,
    state: State,
    version: Version,
    ending: Option<Ending>,
    established: bool,

    /// Whether the controller was told the features.
    introduced: bool,

    channel: Channel,
    shares: fairness::Shares,
    bundles: Bundles,
    schedule: schedule::Schedule,
    monitors: BTreeMap<ofproto::ids::MonitorId, FlowMonitorRequest>,
    /// Changes that monitors will be told of when the peer has read: what is new or changed meanwhile.
    paused: Option<HashMap<FlowKey, PausedFlow>>,
    /// The last request that was named as the cause of a change, of those at hand.
    abbreviated: Option<Xid>,
    /// Requests that come in segments.
    segments: Reassembler<MultipartRequest>,
    waiting: Waiting,

    /// The last message, over which the next is read.
    spare: Option<Box<Message>>,
    /// Memory for the pipeline fields of packet-ins.
    told: Match,
    out: Vec<u8>,
    /// Bytes handed out and not yet written, as the owner last said.
    queued: usize,
    counters: Counters,
    last_error: Option<String>,
    refusals: Refusals,
    connected: Time,
    last_received: Time,
    probed: Option<Time>,
    next_xid: u32,
}

impl Session {
    /// A connection that was just made; its hello is the first output.
    pub fn new(id: ConnId, peer: String, purpose: Purpose, settings: Settings, now: Time) -> Self {
        let version = settings.versions.highest().unwrap_or(Version::V13);
        let seed = u32::try_from(id.0 & 0xffff_ffff).unwrap_or(0);
        let mut session = Self {
            id,
            peer,
            purpose,
            visitor: purpose == Purpose::Visitor,
            state: State::Hello { since: now },
            version,
            ending: None,
            established: false,
            introduced: false,
            channel: Channel::new(version, purpose, &settings, seed),
            shares: fairness::Shares::default(),
            bundles: Bundles::default(),
            schedule: schedule::Schedule::default(),
            monitors: BTreeMap::new(),
            paused: None,
            abbreviated: None,
            segments: Reassembler::new(limits::SEGMENTS),
            waiting: Waiting::Nothing,
            spare: None,
            told: Match::any(),
            out: Vec::new(),
            queued: 0,
            counters: Counters::default(),
            last_error: None,
            refusals: Refusals::new(now),
            connected: now,
            last_received: now,
            probed: None,
            next_xid: 1,
            settings,
        };
        let xid = session.fresh_xid();
        session.send(xid, &Message::Hello(hello::hello_elements(session.settings.versions)));
        session
    }

    /// Its number.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Who is at the other end, as a URI.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The version agreed on, once it is.
    pub fn version(&self) -> Option<Version> {
        (self.state == State::Up).then_some(self.version)
    }

    /// Whether a version was ever agreed on.
    pub fn established(&self) -> bool {
        self.established
    }

    /// Whether this is a controller, from the start or by its behaviour.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.channel.role
    }

    /// The controller's short id (1.5), 0 if it has none.
    pub fn short_id(&self) -> u16 {
        self.channel.short_id
    }

    /// Nicira's controller id, which `controller(id=…)` actions name.
    pub fn controller_id(&self) -> u16 {
        self.channel.controller_id
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The last refusal or fault, for people.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// When the connection was made.
    pub fn connected(&self) -> Time {
        self.connected
    }

    /// Flow monitors in force.
    pub fn monitors(&self) -> usize {
        self.monitors.len()
    }

    /// The state in a word.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Hello { .. } => "hello",
            State::Up => "active",
            State::Ending => "ending",
        }
    }

    /// How the connection is to end, once it is.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The bytes to send since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.pour_output(|bytes| std::mem::swap(&mut out, bytes));
        out
    }

    /// Hands out the bytes to send since the last call: `take` empties the buffer, whose memory is used again
    /// if it is left there.
    pub fn pour_output(&mut self, take: impl FnOnce(&mut Vec<u8>)) {
        let len = self.out.len();
        take(&mut self.out);
        self.queued += len - self.out.len();
        self.counters.bytes_sent += (len - self.out.len()) as u64;
    }

    /// Tells how many of the bytes handed out are still unsent.
    pub fn set_queued(&mut self, bytes: usize) {
        self.queued = bytes;
    }

    fn unsent(&self) -> usize {
        self.queued + self.out.len()
    }

    /// Whether the next message may be handed in: nothing holds it back and the peer reads.
    pub fn ready(&self) -> bool {
        matches!(self.waiting, Waiting::Nothing) && self.state != State::Ending && self.unsent() < limits::REPLY_QUEUE
    }

    /// Whether messages that stand behind `received`, which is held back, may go before it: nothing passes a barrier
    /// (OpenFlow 1.3.5 §6.2).
    pub fn may_be_passed(&self, received: &Received) -> bool {
        !received.header.is_barrier_request(self.version)
    }

    /// Whether a message may go before those that are held back: an echo request, which asks whether
    /// anybody is there and changes nothing, of a peer that reads. Not before a barrier's reply.
    pub fn may_overtake(&self, received: &Received) -> bool {
        self.state == State::Up
            && !self.awaits_barrier()
            && self.unsent() < limits::REPLY_QUEUE
            && received.header.version == self.version.wire()
            && received.header.is_echo_request()
            && received.meaning.as_ref().is_none_or(|m| m.is_ok())
    }

    /// Whether a barrier is being waited for, so that the owner looks again soon.
    pub fn awaits_barrier(&self) -> bool {
        matches!(self.waiting, Waiting::Barrier { .. })
    }

    /// Whether a dump goes on as soon as the peer has read more.
    pub fn awaits_output(&self) -> bool {
        matches!(self.waiting, Waiting::Flows { .. })
    }

    /// Whether a dump could go on at once.
    pub fn wants_turn(&self) -> bool {
        self.awaits_output() && self.unsent() < limits::REPLY_QUEUE
    }

    /// Ends the connection from outside.
    pub fn end(&mut self, flush: bool, reason: impl Into<String>) {
        if self.ending.is_none() {
            let reason = reason.into();
            // Tools, and whoever only knocks, must not fill the log.
            if self.purpose == Purpose::Visitor {
                debug!(conn = %self.id, peer = %self.peer, reason, "ending the connection");
            } else {
                info!(conn = %self.id, peer = %self.peer, reason, "ending the connection");
            }
            self.state = State::Ending;
            self.last_error = Some(reason.clone());
            self.ending = Some(Ending { flush, reason });
        }
    }

    /// Takes one message. Call only while [`ready`](Self::ready).
    pub fn receive(&mut self, now: Time, received: Received, host: &mut dyn Host) {
        self.counters.messages_received += 1;
        self.counters.bytes_received += received.bytes.len() as u64;
        self.last_received = now;
        self.probed = None;
        self.abbreviated = None;
        if self.state == State::Ending {
            return;
        }
        let Received { header, bytes, meaning } = received;
        if matches!(self.state, State::Hello { .. }) {
            let message = meaning.map_or_else(|| wire::decode(&bytes), |m| *m);
            self.greet(&header, &message, &bytes);
            return;
        }
        let mut message = self.spare.take().unwrap_or_else(|| Box::new(Message::BarrierReply));
        let read = match meaning.map(|m| *m) {
            None => wire::decode_over(&mut message, &bytes).map(|_| ()),
            Some(read) => read.map(|(_, m)| *message = m),
        };
        if let Err(e) = self.dispatch(now, &header, read.map(|()| &mut *message), &bytes, host) {
            self.segments.refuse(now.0, &bytes);
            self.refuse(&header, &bytes, &e);
        }
        // What a large one took goes back.
        self.spare = (bytes.len() <= SPARE).then_some(message);
        self.advance(now, host);
    }

    /// Goes on with what waits: call after workers adopted, after output went out, and on ticks.
    pub fn advance(&mut self, now: Time, host: &mut dyn Host) {
        match &mut self.waiting {
            Waiting::Nothing => {}
            Waiting::Barrier { xid, ticket } => {
                if host.barrier_done(*ticket) {
                    let xid = *xid;
                    self.waiting = Waiting::Nothing;
                    self.send(xid, &Message::BarrierReply);
                }
            }
            Waiting::Flows { .. } => self.pump(now, host),
        }
        self.resume_monitors();
        if self.unsent() > limits::HARD_QUEUE {
            self.end(false, format!("the peer doesn't read: {} bytes wait for it", self.unsent()));
        }
    }

    /// The connection is gone: what it holds of the switch is given back.
    pub fn give_back(&mut self, host: &mut dyn Host) {
        if let Waiting::Flows { cursors, .. } = std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            cursors.iter().for_each(|c| host.end_flows(c));
        }
    }

    fn fresh_xid(&mut self) -> Xid {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.wrapping_add(1).max(1);
        Xid(xid)
    }

    /// Writes one message.
    fn send(&mut self, xid: Xid, message: &Message) {
        match wire::encode_into(&mut self.out, self.version, xid, message) {
            Ok(()) => self.counters.messages_sent += 1,
            // The version has no such message, or it is too long: a fault of ours, told to people.
            Err(e) => {
                warn!(conn = %self.id, version = %self.version, error = %e, "can't write {}", message_name(message));
                self.last_error = Some(format!("can't write {}: {e}", message_name(message)));
            }
        }
    }

    /// Sends the error `e` about the message `bytes`, or about the message inside it that can't be read: that one's
    /// error bears its own xid and bytes (OpenFlow 1.4.1 §7.3.9.7).
    fn refuse(&mut self, header: &Header, bytes: &[u8], e: &OfError) {
        let of_bundle = matches!(e.kind, ErrorKind::BundleFailedMsgUnsup | ErrorKind::BundleFailedMsgBadLen);
        if let Some((at, inner)) = wire::bundled(bytes).filter(|_| !of_bundle)
            // Properties may stand behind it.
            && e.offset.is_some_and(|o| o >= at && (o < at + inner.len() || at + inner.len() == bytes.len()))
            && let Ok(Header { xid, .. }) = Header::decode(inner)
        {
            return self.refuse_with(xid, inner, e);
        }
        self.refuse_with(header.xid, bytes, e);
    }

    /// Sends the error `e` about the message `bytes` that bore `xid`.
    fn refuse_with(&mut self, xid: Xid, bytes: &[u8], e: &OfError) {
        // Refusals follow a message: the time of the last one is now.
        match self.refusals.admit(&self.settings.refusals, self.last_received) {
            Some(unsaid) => info!(conn = %self.id, peer = %self.peer, %xid, error = %e, unsaid, "request refused"),
            None => debug!(conn = %self.id, peer = %self.peer, %xid, error = %e, "request refused"),
        }
        self.last_error = Some(format!("xid {xid}: {e}"));
        self.counters.errors_sent += 1;
        self.send(xid, &Message::Error(ErrorMsg::of(e.kind, self.version, bytes)));
    }

    fn is_slave(&self) -> bool {
        self.channel.role == Role::Slave
    }

    /// A visitor that behaves as a controller becomes one.
    fn settle(&mut self) {
        if self.purpose == Purpose::Visitor {
            self.purpose = Purpose::Controller;
            self.channel.filter = Filter::defaults(self.version);
            info!(conn = %self.id, peer = %self.peer, version = %self.version, "a visitor behaves as a controller");
        }
    }

    fn config(&self, host: &dyn Host) -> SwitchConfig {
        let ttl = u16::from(self.channel.filter.invalid_ttl() && INVALID_TTL_VERSIONS.contains(&self.version)) << 2;
        SwitchConfig { flags: host.frag_flags() | ttl, miss_send_len: self.channel.miss_send_len }
    }
}

/// The versions whose switch configuration has `OFPC_INVALID_TTL_TO_CONTROLLER`.
const INVALID_TTL_VERSIONS: [Version; 2] = [Version::V11, Version::V12];
