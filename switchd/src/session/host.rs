//! What a session needs of the switch behind it.
//!
//! The bridge implements it over the datapath's control; a session knows neither. Every method that
//! can refuse does so with the error to answer and leaves everything as it was.

use bytes::Bytes;
use datapath::clock::Time;
use ofproto::action::Action;
use ofproto::continuation::Continuation;
use ofproto::flow::FlowMod;
use ofproto::group::GroupMod;
use ofproto::ids::{Dpid, PortNo, Xid};
use ofproto::matching::Match;
use ofproto::message::{Capabilities, Message, MultipartReply, MultipartRequest};
use ofproto::meter::MeterMod;
use ofproto::port::PortMod;
use ofproto::role::Role;
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::table::TableMod;
use ofproto::{OfError, Version};

use super::ConnId;

/// The unchanging facts of a features reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Datapath id.
    pub dpid: Dpid,
    /// Flow tables.
    pub n_tables: u8,
    /// What the switch can do, in terms of the newest version; a session keeps to its own version's.
    pub capabilities: Capabilities,
}

/// A point in the stream of changes that workers adopt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Published changes.
    pub changes: u64,
    /// Packet-outs handed to workers.
    pub packets: u64,
}

/// Where a dump of flows stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowCursor {
    /// What is asked for.
    pub request: FlowStatsRequest,
    /// The host's own mark of what comes next.
    pub mark: u64,
    /// Everything was fetched.
    pub ended: bool,
}

/// The answer to a multipart request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Here it is, of any size; the session cuts it into segments.
    Whole(MultipartReply),
    /// Flows, to be fetched with [`Host::next_flows`] as the connection takes them.
    Flows(FlowCursor),
}

/// Something that concerns other connections, too.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// This connection became master: any other master is a slave now.
    NewMaster,
    /// The role or short id changed (1.5's controller-status reason).
    ControllerStatus {
        /// `OFPCSR_ROLE` or `OFPCSR_SHORT_ID`.
        reason: u8,
    },
    /// A group-mod or meter-mod succeeded.
    Forward {
        /// Its xid.
        xid: Xid,
        /// The request.
        request: Box<Message>,
    },
}

/// The messages of a bundle, each with its own xid.
pub trait Staged {
    /// The next one, or why it can't be carried out. It takes the place of the one before.
    fn next(&mut self) -> Option<Result<(Xid, &mut Message), OfError>>;
}

/// The switch, as sessions see it.
pub trait Host {
    /// Facts for the features reply.
    fn identity(&self) -> Identity;
    /// What the wall clock (TAI) shows at this moment, since its epoch.
    fn wall(&self) -> std::time::Duration;
    /// `OFPC_FRAG_*` in force.
    fn frag_flags(&self) -> u16;
    /// Sets the handling of fragments.
    fn set_frag_flags(&mut self, now: Time, flags: u16) -> Result<(), OfError>;
    /// Carries out a flow-mod by the rules of `version`; its buffer is the session's business.
    fn flow_mod(&mut self, now: Time, version: Version, request: &FlowMod) -> Result<(), OfError>;
    /// Carries out a group-mod.
    fn group_mod(&mut self, now: Time, version: Version, request: &GroupMod) -> Result<(), OfError>;
    /// Carries out a meter-mod.
    fn meter_mod(&mut self, now: Time, version: Version, request: &MeterMod) -> Result<(), OfError>;
    /// Carries out a table-mod.
    fn table_mod(&mut self, now: Time, version: Version, request: &TableMod) -> Result<(), OfError>;
    /// Carries out a port-mod asked for by `by`.
    fn port_mod(&mut self, now: Time, version: Version, by: ConnId, request: &PortMod) -> Result<(), OfError>;
    /// Whether a packet can be said to come in on `port`: a standard port.
    fn is_ingress(&self, port: PortNo) -> bool;
    /// Sends a frame through an action list; `pipeline` holds the pipeline fields, `in_port` at least.
    fn packet_out(
        &mut self,
        now: Time,
        version: Version,
        frame: Bytes,
        pipeline: &Match,
        actions: &[Action],
    ) -> Result<(), OfError>;
    /// Lets a paused packet go on, as its continuation says (Nicira's `NXT_RESUME`).
    fn resume(&mut self, now: Time, frame: Bytes, pipeline: &Match, rest: &Continuation) -> Result<(), OfError>;
    /// Judges a message before it enters a bundle: whether it could be carried out at all.
    fn check(&self, version: Version, message: &Message) -> Result<(), OfError>;
    /// Carries out all messages as one change, or none: then which one failed, by its place, and why. A message that
    /// is an error fails, too.
    fn commit(
        &mut self,
        now: Time,
        version: Version,
        by: ConnId,
        messages: &mut dyn Staged,
    ) -> Result<(), (usize, OfError)>;
    /// Answers a multipart request that only reads, or sets table features.
    fn multipart(&mut self, now: Time, version: Version, request: &MultipartRequest) -> Result<Answer, OfError>;
    /// The next flows of a dump, at most `most`, perhaps none although more follow; `cursor.ended` says
    /// that these are the last. They take the place of what is in `flows`, and its memory.
    fn next_flows(&mut self, now: Time, cursor: &mut FlowCursor, most: usize, flows: &mut Vec<FlowDesc>);
    /// A dump is given up before its end.
    fn end_flows(&mut self, cursor: &FlowCursor);
    /// Queues of a port (`ANY`: of all) for queue-get-config.
    fn queues(&self, port: PortNo) -> Result<Vec<ofproto::queue::QueueDesc>, OfError>;
    /// A ticket for everything carried out so far.
    fn barrier(&mut self, now: Time) -> Ticket;
    /// Whether every worker has adopted everything up to the ticket.
    fn barrier_done(&self, ticket: Ticket) -> bool;
    /// Judges a role request (see [`super::role::Election`]).
    fn role_request(&mut self, by: ConnId, current: Role, asked: Role, generation: u64) -> Result<Role, OfError>;
    /// The newest generation id, all ones if none was set.
    fn generation(&self) -> u64;
    /// Whether another connection has the short id (1.5).
    fn short_id_taken(&self, by: ConnId, short_id: u16) -> bool;
    /// Gives a connection its short id (1.5).
    fn take_short_id(&mut self, by: ConnId, short_id: u16);
    /// Notes something that concerns other connections.
    fn effect(&mut self, by: ConnId, effect: Effect);
}
