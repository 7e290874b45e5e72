//! A bridge as its controllers see it: the real control, by subject; without sockets but in `sockets`.

mod beside;
mod channel;
mod others;
mod requests;
mod sockets;

use super::hub::Hub;
use super::switch::{OutPacket, Packets, Switch, SwitchConfig};
use super::{Event, Instance};
use crate::agent::outbox::Outbox;
use crate::agent::{Inbound, Opened, Standing};
use crate::config::FailMode;
use crate::ports::PortEvent;
use crate::session::tests::fake::{port, split};
use crate::session::{ConnId, Purpose, Received, Settings};
use bytes::Bytes;
use crossbeam::channel::Receiver;
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::port::PortCounters;
use datapath::publish::Reader;
use datapath::trace::Trace;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, Dpid, GroupId, PortNo, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::stats::FlowStatsRequest;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, Version};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Carries nothing out, and says so at once.
#[derive(Default, Clone)]
pub(super) struct NoPackets {
    sent: Arc<Mutex<Vec<usize>>>,
    walks: Arc<Mutex<Option<Receiver<Trace>>>>,
}

impl NoPackets {
    /// The next trace's worker answers here.
    pub fn walks(&self, answer: Receiver<Trace>) {
        *self.walks.lock().unwrap() = Some(answer);
    }
}

impl Packets for NoPackets {
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>) {
        self.sent.lock().unwrap().extend(packets.iter().map(|p| p.frame.len()));
        done.fetch_add(packets.len() as u64, Ordering::Release);
    }
    fn trace(&self, _: FlowKey, _: Frame) -> Option<Receiver<Trace>> {
        self.walks.lock().unwrap().take()
    }
    fn port_counters(&self, _: PortNo) -> Option<PortCounters> {
        None
    }
}

pub(super) struct Bench {
    pub hub: Hub<Switch<NoPackets>>,
    pub now: Time,
    pub packets: NoPackets,
    worker: Option<Reader>,
}

/// A controller's connection whose messages a task hands over: where to, where answers go, and what the bridge hears of it.
fn by_a_task() -> (tokio::sync::mpsc::Sender<Vec<Received>>, Arc<Outbox>, Event) {
    let (sender, inbound) = tokio::sync::mpsc::channel(64);
    let outbox = Arc::new(Outbox::default());
    let opened = Opened {
        peer: "tcp:test".into(),
        purpose: Purpose::Controller,
        inbound: Inbound::Task(inbound),
        outbox: Arc::clone(&outbox),
        standing: Standing::default(),
    };
    (sender, outbox, Event::Opened(opened))
}

fn parts() -> (Switch<NoPackets>, NoPackets, Reader) {
    parts_of(8)
}

fn parts_of(max_entries: u32) -> (Switch<NoPackets>, NoPackets, Reader) {
    let mut control = Control::new(ControlConfig {
        n_tables: 4,
        max_entries,
        max_groups: 500,
        max_meters: 50,
        ..ControlConfig::default()
    });
    let worker = control.attach_worker().unwrap();
    let packets = NoPackets::default();
    let config = SwitchConfig {
        name: "br0".into(),
        dpid: Dpid(0xd1),
        fail_mode: FailMode::Standalone,
        dials: true,
        state: None,
        in_band: Vec::new(),
    };
    let shared = Arc::new(Shared::new(SharedConfig::default()));
    let mut switch = Switch::new(Time::ZERO, control, shared, packets.clone(), config);
    for n in 1..=3 {
        switch.port_event(Time::ZERO, PortEvent::Added(port(n)));
    }
    (switch, packets, worker)
}

impl Bench {
    pub fn new() -> Self {
        Self::of(8)
    }

    /// With tables of so many entries.
    pub fn of(max_entries: u32) -> Self {
        let (switch, packets, worker) = parts_of(max_entries);
        let mut hub = Hub::new(switch, Settings::default());
        hub.spread(None);
        Self { hub, now: Time::from_secs(1), packets, worker: Some(worker) }
    }

    /// The one worker's view, for a thread of its own.
    pub fn lend_worker(&mut self) -> Reader {
        self.worker.take().unwrap()
    }

    /// Hands raw bytes in.
    pub fn bytes(&mut self, id: ConnId, bytes: &[u8]) {
        let header = Header::decode(bytes).unwrap();
        self.hub.receive(self.now, id, Received::new(header, Bytes::copy_from_slice(bytes)));
    }

    pub fn connect(&mut self, version: Version) -> ConnId {
        let id = self.hub.opened(self.now, "tcp:test".into(), Purpose::Controller);
        self.say(id, version, 1, &Message::Hello(Vec::new()));
        self.hear(id);
        id
    }

    pub fn say(&mut self, id: ConnId, version: Version, xid: u32, message: &Message) {
        let bytes = wire::encode(version, Xid(xid), message).unwrap();
        let header = Header::decode(&bytes).unwrap();
        self.hub.receive(self.now, id, Received::new(header, bytes.into()));
        self.hub.attend(self.now);
    }

    pub fn hear(&mut self, id: ConnId) -> Vec<(Header, Message)> {
        self.hub.advance(self.now, id);
        let session = self.hub.session_mut(id).unwrap();
        let out = session.take_output();
        session.set_queued(0);
        split(&out)
    }

    /// The one answer.
    pub fn ask(&mut self, id: ConnId, version: Version, message: &Message) -> Message {
        self.say(id, version, 99, message);
        let mut out = self.hear(id);
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!(out[0].0.xid, Xid(99));
        out.remove(0).1
    }

    pub fn error(&mut self, id: ConnId, version: Version, message: &Message) -> ErrorKind {
        match self.ask(id, version, message) {
            Message::Error(e) => e.kind(version).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The worker comes round, and control looks after what waited for it.
    pub fn turn(&mut self) {
        if let Some(worker) = &mut self.worker {
            let _ = worker.adopt();
        }
        self.hub.tick(self.now);
    }

    pub fn flows_count(&mut self, id: ConnId) -> u32 {
        let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::Aggregate(FlowStatsRequest::default())));
        match self.ask(id, Version::V15, &ask) {
            Message::MultipartReply(Multipart { body: MultipartReply::Aggregate(a), .. }) => a.flow_count,
            other => panic!("{other:?}"),
        }
    }

    pub fn flows(&mut self, id: ConnId, version: Version) -> Vec<ofproto::stats::FlowDesc> {
        let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::Flow(FlowStatsRequest::default())));
        match self.ask(id, version, &ask) {
            Message::MultipartReply(Multipart { body: MultipartReply::Flow(flows), .. }) => flows,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn add(in_port: u32, flags: FlowModFlags) -> FlowMod {
    FlowMod {
        flags,
        matching: Match::any().with(FieldId::InPort, u128::from(in_port)),
        instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo(2))])],
        ..FlowMod::default()
    }
}

pub(super) fn group(id: u32) -> Message {
    Message::GroupMod(GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::All,
        group: GroupId(id),
        command_bucket: BucketId::ALL,
        buckets: vec![Bucket { id: None, ..Bucket::new(vec![Action::output(PortNo(1))]) }],
        properties: Vec::new(),
    })
}
