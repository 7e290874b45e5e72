//! A switch that only takes notes, and a controller's end of a session.

use crate::session::host::{Answer, Effect, FlowCursor, Host, Identity, Staged, Ticket};
use crate::session::role::Election;
use crate::session::{ConnId, Purpose, Received, Session, Settings};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::action::Action;
use ofproto::continuation::Continuation;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, Cookie, Dpid, GroupId, MacAddr, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Capabilities, Message, MultipartReply, MultipartRequest};
use ofproto::meter::MeterMod;
use ofproto::port::{EthernetPort, Port, PortConfig, PortDescProp, PortMod, PortState};
use ofproto::queue::QueueDesc;
use ofproto::role::Role;
use ofproto::stats::{FlowDesc, FlowStats};
use ofproto::table::TableMod;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};

/// Adds a group without buckets.
pub fn group_add() -> GroupMod {
    GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::All,
        group: GroupId(1),
        command_bucket: BucketId::ALL,
        buckets: Vec::new(),
        properties: Vec::new(),
    }
}

/// What the fake switch was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Did {
    Flow(FlowMod),
    Group(GroupMod),
    Meter(MeterMod),
    Table(TableMod),
    Port(PortMod),
    PacketOut { frame: Bytes, in_port: u128, actions: Vec<Action> },
    Resume { frame: Bytes, in_port: u128, rest: Continuation },
    Commit(usize),
}

#[derive(Debug, Default)]
pub struct Fake {
    pub did: Vec<Did>,
    pub effects: Vec<Effect>,
    pub election: Election,
    /// Refuse the next change with this.
    pub refuse: Option<ErrorKind>,
    /// In a commit, refuse the message with this index.
    pub refuse_at: Option<usize>,
    pub adopted: u64,
    pub changes: u64,
    pub frag: u16,
    pub taken_short_id: u16,
    /// What the wall clock shows.
    pub wall: std::time::Duration,
    /// How many flows a dump yields.
    pub flows: u64,
    /// Bytes of actions in each.
    pub flow_actions: usize,
}

impl Fake {
    fn change(&mut self, did: Did) -> Result<(), OfError> {
        if let Some(kind) = self.refuse.take() {
            return Err(OfError::new(kind, "test", "told to refuse"));
        }
        self.changes += 1;
        self.did.push(did);
        Ok(())
    }
}

pub fn port(n: u32) -> Port {
    Port {
        port_no: PortNo(n),
        hw_addr: MacAddr([2, 0, 0, 0, 0, n as u8]),
        name: format!("eth{n}"),
        config: PortConfig::empty(),
        state: PortState::LIVE,
        properties: vec![PortDescProp::Ethernet(EthernetPort::default())],
    }
}

pub fn flow(n: u64, actions: usize) -> FlowDesc {
    FlowDesc {
        table: TableId(0),
        priority: n as u16,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: FlowModFlags::empty(),
        importance: 0,
        cookie: Cookie(n),
        stats: FlowStats::default(),
        matching: Match::any(),
        instructions: vec![ofproto::instruction::Instruction::ApplyActions(vec![
            Action::output(PortNo(1));
            actions / 16
        ])],
    }
}

impl Host for Fake {
    fn identity(&self) -> Identity {
        Identity { dpid: Dpid(0xab), n_tables: 8, capabilities: Capabilities::all() }
    }
    fn wall(&self) -> std::time::Duration {
        self.wall
    }
    fn frag_flags(&self) -> u16 {
        self.frag
    }
    fn set_frag_flags(&mut self, _: Time, flags: u16) -> Result<(), OfError> {
        self.frag = flags;
        Ok(())
    }
    fn flow_mod(&mut self, _: Time, _: Version, request: &FlowMod) -> Result<(), OfError> {
        self.change(Did::Flow(request.clone()))
    }
    fn group_mod(&mut self, _: Time, _: Version, request: &GroupMod) -> Result<(), OfError> {
        self.change(Did::Group(request.clone()))
    }
    fn meter_mod(&mut self, _: Time, _: Version, request: &MeterMod) -> Result<(), OfError> {
        self.change(Did::Meter(request.clone()))
    }
    fn table_mod(&mut self, _: Time, _: Version, request: &TableMod) -> Result<(), OfError> {
        self.change(Did::Table(request.clone()))
    }
    fn port_mod(&mut self, _: Time, _: Version, _: ConnId, request: &PortMod) -> Result<(), OfError> {
        self.change(Did::Port(request.clone()))
    }
    fn is_ingress(&self, port: PortNo) -> bool {
        (1..=4).contains(&port.0)
    }
    fn packet_out(
        &mut self,
        _: Time,
        _: Version,
        frame: Bytes,
        pipeline: &Match,
        actions: &[Action],
    ) -> Result<(), OfError> {
        let in_port = pipeline.get(ofproto::field::FieldId::InPort).unwrap().value;
        self.change(Did::PacketOut { frame, in_port, actions: actions.to_vec() })
    }
    fn resume(&mut self, _: Time, frame: Bytes, pipeline: &Match, rest: &Continuation) -> Result<(), OfError> {
        let in_port = pipeline.get(ofproto::field::FieldId::InPort).unwrap().value;
        self.change(Did::Resume { frame, in_port, rest: rest.clone() })
    }
    fn check(&self, _: Version, _: &Message) -> Result<(), OfError> {
        match self.refuse {
            Some(kind) => Err(OfError::new(kind, "test", "told to refuse")),
            None => Ok(()),
        }
    }
    fn commit(&mut self, _: Time, _: Version, _: ConnId, messages: &mut dyn Staged) -> Result<(), (usize, OfError)> {
        let mut n = 0;
        while let Some(message) = messages.next() {
            message.map_err(|e| (n, e))?;
            n += 1;
        }
        if let Some(i) = self.refuse_at {
            return Err((i, OfError::new(ErrorKind::FlowModFailedTableFull, "test", "told to refuse")));
        }
        self.did.push(Did::Commit(n));
        Ok(())
    }
    fn multipart(&mut self, _: Time, _: Version, request: &MultipartRequest) -> Result<Answer, OfError> {
        Ok(match request {
            MultipartRequest::Flow(r) | MultipartRequest::FlowStats(r) => {
                Answer::Flows(FlowCursor { request: r.clone(), mark: 0, ended: false })
            }
            MultipartRequest::PortDesc(_) => Answer::Whole(MultipartReply::PortDesc(vec![port(1), port(2)])),
            MultipartRequest::PortStats(_) => {
                Answer::Whole(MultipartReply::PortStats((0..5000).map(|_| Default::default()).collect()))
            }
            MultipartRequest::TableFeatures(v) => Answer::Whole(MultipartReply::TableFeatures(v.clone())),
            _ => Answer::Whole(MultipartReply::Desc(Default::default())),
        })
    }
    fn next_flows(&mut self, _: Time, cursor: &mut FlowCursor, most: usize, flows: &mut Vec<FlowDesc>) {
        let end = (cursor.mark + most as u64).min(self.flows);
        *flows = (cursor.mark..end).map(|n| flow(n, self.flow_actions)).collect();
        cursor.mark = end;
        cursor.ended = end == self.flows;
    }
    fn queues(&self, port: PortNo) -> Result<Vec<QueueDesc>, OfError> {
        if port == PortNo(9) {
            return Err(OfError::new(ErrorKind::QueueOpFailedBadPort, "port", "no such port"));
        }
        Ok(Vec::new())
    }
    fn barrier(&mut self, _now: Time) -> Ticket {
        Ticket { changes: self.changes, packets: 0 }
    }
    fn barrier_done(&self, ticket: Ticket) -> bool {
        self.adopted >= ticket.changes
    }
    fn role_request(&mut self, _: ConnId, current: Role, asked: Role, generation: u64) -> Result<Role, OfError> {
        self.election.request(current, asked, generation)
    }
    fn generation(&self) -> u64 {
        self.election.generation()
    }
    fn short_id_taken(&self, _: ConnId, short_id: u16) -> bool {
        short_id == self.taken_short_id
    }
    fn end_flows(&mut self, _: &FlowCursor) {}
    fn take_short_id(&mut self, _: ConnId, short_id: u16) {
        self.taken_short_id = short_id;
    }
    fn effect(&mut self, _: ConnId, effect: Effect) {
        self.effects.push(effect);
    }
}

/// A session with a fake switch behind it and a controller's bytes in front of it.
pub struct Bench {
    pub session: Session,
    pub host: Fake,
    pub now: Time,
    pub version: Version,
}

impl Bench {
    /// Connected, nothing said yet.
    pub fn fresh(purpose: Purpose, settings: Settings) -> Self {
        let session = Session::new(ConnId(1), "tcp:test".into(), purpose, settings, Time::ZERO);
        Self { session, host: Fake::default(), now: Time::ZERO, version: Version::V13 }
    }

    /// Up with this version.
    pub fn up(version: Version) -> Self {
        let mut b = Self::fresh(Purpose::Controller, Settings::default());
        b.version = version;
        b.ask(0x7e, &Message::Hello(Vec::new()));
        assert_eq!(b.session.version(), Some(version));
        b
    }

    /// Hands raw bytes in.
    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<(Header, Message)> {
        let header = Header::decode(bytes).unwrap();
        let received = Received::new(header, Bytes::copy_from_slice(bytes));
        self.session.receive(self.now, received, &mut self.host);
        self.output()
    }

    /// Sends a message and reads what comes back.
    pub fn ask(&mut self, xid: u32, message: &Message) -> Vec<(Header, Message)> {
        self.bytes(&wire::encode(self.version, Xid(xid), message).unwrap())
    }

    /// The one message that comes back, which must bear the xid.
    pub fn reply(&mut self, xid: u32, message: &Message) -> Message {
        let mut out = self.ask(xid, message);
        assert_eq!(out.len(), 1, "{out:?}");
        let (header, message) = out.remove(0);
        assert_eq!(header.xid, Xid(xid));
        message
    }

    /// The error that comes back: its kind.
    pub fn refused(&mut self, xid: u32, message: &Message) -> ErrorKind {
        let bytes = wire::encode(self.version, Xid(xid), message).unwrap();
        let Message::Error(e) = self.reply(xid, message) else { panic!("no error") };
        assert!(bytes.starts_with(&e.data), "the error carries the request's first bytes");
        assert_eq!(e.data.len(), bytes.len().min(64));
        e.kind(self.version).unwrap()
    }

    /// What the session has to say.
    pub fn output(&mut self) -> Vec<(Header, Message)> {
        let out = self.session.take_output();
        self.session.set_queued(0);
        split(&out)
    }

    /// Lets time pass.
    pub fn at(&mut self, now: Time) -> Vec<(Header, Message)> {
        self.now = now;
        self.session.tick(now, &mut self.host);
        while self.session.commit_due(now, &mut self.host).is_some() {}
        self.output()
    }
}

/// The messages in a run of bytes.
pub fn split(mut bytes: &[u8]) -> Vec<(Header, Message)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let header = Header::decode(bytes).unwrap();
        let (one, rest) = bytes.split_at(usize::from(header.length));
        all.push((header, wire::decode(one).unwrap().1));
        bytes = rest;
    }
    all
}
