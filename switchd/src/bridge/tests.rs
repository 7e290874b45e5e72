//! A bridge as its controllers see it: the real control, no sockets; then with sockets.

use super::hub::Hub;
use super::switch::{OutPacket, Packets, Switch, SwitchConfig};
use super::{Event, Instance, Runner, channel};
use crate::agent::{Agent, AgentConfig};
use crate::config::FailMode;
use crate::management::{Call, Request};
use crate::ports::PortEvent;
use crate::session::tests::fake::{port, split};
use crate::session::{ConnId, Purpose, Received, Settings};
use bytes::Bytes;
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::port::PortCounters;
use datapath::publish::Reader;
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, BufferId, BundleId, Dpid, GroupId, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::packet::PacketOut;
use ofproto::port::{PortConfig, PortMod, PortReason};
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::FlowStatsRequest;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, Version};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Carries nothing out, and says so at once.
#[derive(Default, Clone)]
pub(super) struct NoPackets {
    sent: Arc<Mutex<Vec<usize>>>,
}

impl Packets for NoPackets {
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>) {
        self.sent.lock().unwrap().extend(packets.iter().map(|p| p.frame.len()));
        done.fetch_add(packets.len() as u64, Ordering::Release);
    }
    fn trace(&self, _: FlowKey, _: Frame) -> Option<datapath::trace::Trace> {
        None
    }
    fn port_counters(&self, _: PortNo) -> Option<PortCounters> {
        None
    }
}

pub(super) struct Bench {
    pub hub: Hub<Switch<NoPackets>>,
    pub now: Time,
    packets: NoPackets,
    worker: Option<Reader>,
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
        let message = wire::decode(bytes).map(|(_, m)| m);
        self.hub.receive(self.now, id, Received { header, message, bytes: Bytes::copy_from_slice(bytes) });
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
        let message = wire::decode(&bytes).map(|(_, m)| m);
        self.hub.receive(self.now, id, Received { header, message, bytes: bytes.into() });
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

const V13: Version = Version::V13;
const V14: Version = Version::V14;

#[test]
fn a_flow_is_added_shown_removed_and_its_end_told() {
    for version in Version::ALL {
        let mut b = Bench::new();
        let c = b.connect(version);
        b.say(c, version, 1, &Message::FlowMod(add(1, FlowModFlags::SEND_FLOW_REM)));
        assert_eq!(b.hear(c), [], "{version}");
        let flows = b.flows(c, version);
        assert_eq!((flows.len(), flows[0].priority), (1, 0x8000));
        // 1.0 knows of no tables: what it deletes is gone from all.
        let table = if version == Version::V10 { TableId(0) } else { TableId::ALL };
        let delete = FlowMod { command: FlowModCommand::Delete, table, ..FlowMod::default() };
        b.say(c, version, 2, &Message::FlowMod(delete));
        b.say(c, version, 3, &Message::BarrierRequest);
        for _ in 0..4 {
            b.turn();
        }
        let out = b.hear(c);
        let kinds: Vec<_> = out.iter().map(|(h, m)| (h.xid.0, std::mem::discriminant(m))).collect();
        assert_eq!(out.len(), 2, "{kinds:?}");
        assert!(
            matches!(&out[0].1, Message::FlowRemoved(r) if r.priority == 0x8000),
            "before the barrier's reply: {out:?}"
        );
        assert_eq!((out[1].0.xid, &out[1].1), (Xid(3), &Message::BarrierReply));
        assert_eq!(b.flows(c, version), []);
    }
}

#[test]
fn a_barrier_is_answered_when_the_worker_has_adopted_what_came_before() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let _ = b.worker.as_mut().unwrap().adopt();
    b.say(c, V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
    b.say(c, V13, 2, &Message::BarrierRequest);
    b.hub.tick(b.now);
    assert_eq!(b.hear(c), []);
    assert!(b.hub.session(c).unwrap().awaits_barrier());
    b.turn();
    assert_eq!(b.hear(c)[0].1, Message::BarrierReply);
}

#[test]
fn errors_are_those_of_the_tables() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let bad = FlowMod { table: TableId(4), ..add(1, FlowModFlags::empty()) };
    assert_eq!(b.error(c, V13, &Message::FlowMod(bad)), ErrorKind::FlowModFailedBadTableId);
    for n in 1..=8 {
        b.say(c, V13, n, &Message::FlowMod(add(n, FlowModFlags::empty())));
    }
    assert_eq!(b.error(c, V13, &Message::FlowMod(add(9, FlowModFlags::empty()))), ErrorKind::FlowModFailedTableFull);
    assert_eq!(b.flows(c, V13).len(), 8);
    b.say(c, V13, 1, &group(5));
    assert_eq!(b.error(c, V13, &group(5)), ErrorKind::GroupModFailedGroupExists);
    let stats = Message::MultipartRequest(Multipart::last(MultipartRequest::PortStats(PortNo(77))));
    assert_eq!(b.error(c, V13, &stats), ErrorKind::BadRequestBadPort);
    let stats = Message::MultipartRequest(Multipart::last(MultipartRequest::Group(GroupId(6))));
    assert_eq!(b.error(c, V13, &stats), ErrorKind::GroupModFailedUnknownGroup);
}

#[test]
fn every_multipart_is_answered_in_its_own_kind() {
    for version in Version::ALL {
        let mut b = Bench::new();
        let c = b.connect(version);
        let mut asks = vec![
            MultipartRequest::Desc,
            MultipartRequest::Flow(FlowStatsRequest::default()),
            MultipartRequest::Aggregate(FlowStatsRequest::default()),
            MultipartRequest::Table,
            MultipartRequest::PortStats(PortNo::ANY),
            MultipartRequest::Queue { port: PortNo::ANY, queue: ofproto::ids::QueueId::ALL },
        ];
        if version >= Version::V11 {
            b.say(c, version, 1, &group(5));
            asks.extend([MultipartRequest::Group(GroupId::ALL), MultipartRequest::GroupDesc(GroupId::ALL)]);
        }
        if version >= Version::V12 {
            asks.push(MultipartRequest::GroupFeatures);
        }
        if version >= Version::V13 {
            asks.extend([
                MultipartRequest::Meter(ofproto::ids::MeterId::ALL),
                MultipartRequest::MeterConfig(ofproto::ids::MeterId::ALL),
                MultipartRequest::MeterFeatures,
                MultipartRequest::TableFeatures(Vec::new()),
                MultipartRequest::PortDesc(PortNo::ANY),
            ]);
        }
        if version >= Version::V14 {
            asks.push(MultipartRequest::TableDesc);
            asks.push(MultipartRequest::QueueDesc { port: PortNo::ANY, queue: ofproto::ids::QueueId::ALL });
            asks.push(MultipartRequest::FlowMonitor(Vec::new()));
        }
        if version >= Version::V15 {
            asks.push(MultipartRequest::FlowStats(FlowStatsRequest::default()));
            asks.push(MultipartRequest::ControllerStatus);
        }
        for ask in asks {
            let bytes =
                wire::encode(version, Xid(9), &Message::MultipartRequest(Multipart::last(ask.clone()))).unwrap();
            b.say(c, version, 9, &Message::MultipartRequest(Multipart::last(ask.clone())));
            let session = b.hub.session_mut(c).unwrap();
            let out = session.take_output();
            session.set_queued(0);
            assert!(!out.is_empty(), "{version} {ask:?}");
            let replies = split(&out);
            assert!(
                replies.iter().all(|(h, m)| h.xid == Xid(9) && matches!(m, Message::MultipartReply(_))),
                "{version} {ask:?}: {replies:?}"
            );
            assert_eq!(out[8..10], bytes[8..10], "{version} {ask:?}: the type is the request's");
        }
    }
}

#[test]
fn a_bundle_is_all_or_nothing() {
    let mut b = Bench::new();
    let c = b.connect(V14);
    b.say(c, V14, 1, &Message::FlowMod(add(3, FlowModFlags::empty())));
    let before = b.flows(c, V14);
    let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() });
    let bundled = |xid: u32, m: Message| {
        Message::BundleAdd(BundleAdd {
            bundle: BundleId(1),
            flags,
            message: Box::new(m),
            inner_xid: Xid(xid),
            properties: Vec::new(),
        })
    };
    b.say(c, V14, 1, &control(BundleCtrlType::OpenRequest));
    for n in 1..=10 {
        let m = if n == 1 { group(7) } else { Message::FlowMod(add(10 + n, FlowModFlags::empty())) };
        b.say(c, V14, n, &bundled(n, m));
    }
    b.hear(c);
    b.say(c, V14, 50, &control(BundleCtrlType::CommitRequest));
    let errors: Vec<_> = b
        .hear(c)
        .iter()
        .map(|(h, m)| match m {
            Message::Error(e) => (h.xid.0, e.kind(V14).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(errors, [(9, ErrorKind::FlowModFailedTableFull), (50, ErrorKind::BundleFailedMsgFailed)]);
    assert_eq!(b.flows(c, V14), before);
    let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::GroupDesc(GroupId::ALL)));
    let Message::MultipartReply(m) = b.ask(c, V14, &ask) else { panic!() };
    assert_eq!(m.body, MultipartReply::GroupDesc(Vec::new()));

    // A group, a flow that uses it and a packet-out through it, in one.
    b.say(c, V14, 1, &control(BundleCtrlType::OpenRequest));
    b.say(c, V14, 2, &bundled(2, group(7)));
    let through = vec![Action::Group(GroupId(7))];
    let mut fm = add(1, FlowModFlags::empty());
    fm.instructions = vec![Instruction::ApplyActions(through.clone())];
    b.say(c, V14, 3, &bundled(3, Message::FlowMod(fm)));
    let po = PacketOut {
        buffer_id: BufferId::NONE,
        matching: Match::any().with(FieldId::InPort, 1),
        actions: through,
        data: Bytes::from_static(&[7; 64]),
    };
    b.say(c, V14, 4, &bundled(4, Message::PacketOut(po)));
    b.hear(c);
    assert!(b.packets.sent.lock().unwrap().is_empty());
    assert_eq!(b.ask(c, V14, &control(BundleCtrlType::CommitRequest)), control(BundleCtrlType::CommitReply));
    assert_eq!(*b.packets.sent.lock().unwrap(), [64]);
    assert_eq!(b.flows(c, V14).len(), 2);
}

#[test]
fn one_master_at_most_and_slaves_hear_of_ports_only() {
    let mut b = Bench::new();
    let (one, two) = (b.connect(V14), b.connect(V13));
    let master = |generation_id| Message::RoleRequest(RoleMsg { role: Role::Master, short_id: 0, generation_id });
    b.ask(one, V14, &master(1));
    let Message::RoleReply(r) = b.ask(two, V13, &master(2)) else { panic!() };
    assert_eq!((r.role, r.generation_id), (Role::Master, 2));
    let told = b.hear(one);
    assert!(matches!(&told[0].1, Message::RoleStatus(s) if s.role == Role::Slave && s.generation_id == 2), "{told:?}");
    assert_eq!(b.error(one, V14, &master(1)), ErrorKind::RoleRequestFailedStale);
    assert_eq!(b.error(one, V14, &Message::FlowMod(add(1, FlowModFlags::empty()))), ErrorKind::BadRequestIsSlave);
    let mut down = port(1);
    down.state = ofproto::port::PortState::LINK_DOWN;
    b.hub.switch.port_event(b.now, PortEvent::Changed(down));
    b.hub.spread(None);
    for id in [one, two] {
        let out = b.hear(id);
        assert!(matches!(&out[0].1, Message::PortStatus(s) if s.reason == PortReason::Modify), "{out:?}");
    }
}

#[test]
fn a_port_mod_is_told_to_the_others_and_before_1_5_not_to_its_sender() {
    let mut b = Bench::new();
    let (old, new) = (b.connect(V13), b.connect(Version::V15));
    let mod_ = |config| {
        Message::PortMod(PortMod {
            port_no: PortNo(2),
            hw_addr: port(2).hw_addr,
            config,
            mask: PortConfig::NO_FWD,
            properties: Vec::new(),
        })
    };
    b.say(old, V13, 1, &mod_(PortConfig::NO_FWD));
    assert_eq!(b.hear(old), []);
    assert!(matches!(&b.hear(new)[0].1, Message::PortStatus(s) if s.port.config == PortConfig::NO_FWD));
    b.say(new, Version::V15, 1, &mod_(PortConfig::empty()));
    assert_eq!((b.hear(old).len(), b.hear(new).len()), (1, 1));
}

#[test]
fn group_mods_are_forwarded_to_others_who_asked() {
    let mut b = Bench::new();
    let (one, two) = (b.connect(V14), b.connect(V14));
    let props = vec![AsyncProp::Reasons { kind: AsyncKind::RequestForward, master: true, mask: 3 }];
    for id in [one, two] {
        b.say(id, V14, 1, &Message::SetAsync(AsyncConfig { props: props.clone() }));
    }
    b.say(one, V14, 42, &group(3));
    assert_eq!(b.hear(one), []);
    let out = b.hear(two);
    assert!(matches!(&out[0].1, Message::RequestForward(f) if f.xid == Xid(42)), "{out:?}");
}

#[test]
fn a_lost_controller_is_told_to_1_5_controllers() {
    let mut b = Bench::new();
    let (one, two) = (b.connect(V13), b.connect(Version::V15));
    b.hub.session_mut(one).unwrap().end(false, "test");
    b.hub.closed(b.now, one);
    let out = b.hear(two);
    assert!(matches!(&out[0].1, Message::ControllerStatus(s) if s.channel_status == 1 && s.reason == 1), "{out:?}");
}

#[test]
fn controller_status_lists_those_that_are_away_too() {
    let mut b = Bench::new();
    b.hub.set_configured(b.now, vec!["tcp:test".into(), "tcp:away".into()]);
    let c = b.connect(Version::V15);
    let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::ControllerStatus));
    let Message::MultipartReply(Multipart { body: MultipartReply::ControllerStatus(list), .. }) =
        b.ask(c, Version::V15, &ask)
    else {
        panic!()
    };
    let uri = |s: &ofproto::role::ControllerStatus| match &s.properties[0] {
        ofproto::role::ControllerStatusProp::Uri(u) => u.clone(),
        other => panic!("{other:?}"),
    };
    let list: Vec<_> = list.iter().map(|s| (uri(s), s.channel_status, s.reason)).collect();
    assert_eq!(list, [("tcp:test".to_owned(), 0, 0), ("tcp:away".to_owned(), 1, 0)]);
}

#[test]
fn a_standalone_bridge_forwards_by_itself_while_no_controller_is_there() {
    let mut b = Bench::new();
    assert!(!b.hub.demand().controlled);
    let visitor = b.hub.opened(b.now, "unix:test".into(), Purpose::Visitor);
    b.say(visitor, V13, 1, &Message::Hello(Vec::new()));
    assert!(!b.hub.demand().controlled, "a visitor doesn't control");
    let c = b.connect(V13);
    assert!(b.hub.demand().controlled);
    b.hub.session_mut(c).unwrap().end(false, "test");
    b.hub.closed(b.now, c);
    assert!(!b.hub.demand().controlled);
}

fn read_message(stream: &mut std::net::TcpStream) -> (Header, Message) {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).unwrap();
    let len = usize::from(Header::decode(&bytes).unwrap().length);
    bytes.resize(len, 0);
    stream.read_exact(&mut bytes[8..]).unwrap();
    wire::decode(&bytes).unwrap()
}

fn write_message(stream: &mut std::net::TcpStream, xid: u32, message: &Message) {
    stream.write_all(&wire::encode(V13, Xid(xid), message).unwrap()).unwrap();
}

#[test]
fn the_whole_way_over_sockets() {
    let (switch, _, mut worker) = parts();
    let (handle, inbox) = channel().unwrap();
    let epoch = std::time::Instant::now();
    let clock = move || Time(epoch.elapsed().as_nanos() as u64);
    let runner = Runner::new(Hub::new(switch, Settings::default()), inbox, clock, || Duration::ZERO);
    // The worker's thread comes round until the test is over.
    let over = Arc::new(AtomicU64::new(0));
    let until = Arc::clone(&over);
    let working = std::thread::spawn(move || {
        while until.load(Ordering::Relaxed) == 0 {
            let _ = worker.adopt();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let thread = std::thread::spawn(move || runner.run());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // A controller that the switch dials, and a listener that is dialled.
    let controller = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = AgentConfig {
        controllers: vec![format!("tcp:{}", controller.local_addr().unwrap()).parse().unwrap()],
        listen: vec![
            "ptcp:6653:127.0.0.1"
                .parse()
                .map(|_: crate::config::Listen| crate::config::Listen::Tcp("127.0.0.1:0".parse().unwrap()))
                .unwrap(),
        ],
        ..AgentConfig::default()
    };
    let agent = runtime.block_on(Agent::start(&config, &handle)).unwrap();

    let (mut s, _) = controller.accept().unwrap();
    assert!(matches!(read_message(&mut s).1, Message::Hello(_)));
    write_message(&mut s, 1, &Message::Hello(Vec::new()));
    write_message(&mut s, 2, &Message::FeaturesRequest);
    let (header, reply) = read_message(&mut s);
    assert!(matches!(reply, Message::FeaturesReply(f) if f.dpid == Dpid(0xd1)));
    assert_eq!(header.xid, Xid(2));
    // A message in single bytes, and many in one piece.
    for byte in wire::encode(V13, Xid(3), &Message::EchoRequest(Bytes::from_static(b"x"))).unwrap() {
        s.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_message(&mut s).1, Message::EchoReply(Bytes::from_static(b"x")));
    let mut many = Vec::new();
    for n in 0..500 {
        many.extend(wire::encode(V13, Xid(n), &Message::FlowMod(add(1 + n % 8, FlowModFlags::empty()))).unwrap());
    }
    many.extend(wire::encode(V13, Xid(1000), &Message::BarrierRequest).unwrap());
    s.write_all(&many).unwrap();
    let (header, reply) = read_message(&mut s);
    assert_eq!((header.xid, reply), (Xid(1000), Message::BarrierReply));

    // Another comes to the listener; the first is unhurt by its nonsense.
    let at = agent.listening[0].strip_prefix("ptcp:").unwrap().split(':').next().unwrap().parse::<u16>().unwrap();
    let mut visitor = std::net::TcpStream::connect(("127.0.0.1", at)).unwrap();
    assert!(matches!(read_message(&mut visitor).1, Message::Hello(_)));
    visitor.write_all(&[4, 0, 0, 3, 0, 0, 0, 1]).unwrap();
    let mut rest = Vec::new();
    visitor.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty(), "it is told before it is cut off");
    write_message(&mut s, 9, &Message::EchoRequest(Bytes::new()));
    assert!(matches!(read_message(&mut s).1, Message::EchoReply(_)));

    let (reply, answer) = tokio::sync::oneshot::channel();
    handle.send_blocking(Event::Call(Call { request: Request::Connections, reply })).unwrap();
    let answer = answer.blocking_recv().unwrap().unwrap();
    assert_eq!(answer[0]["state"], "active");
    assert_eq!(answer[0]["counters"]["flow_mods"], 500);

    // The controller goes and comes back: the switch dials again.
    drop(s);
    let (mut s, _) = controller.accept().unwrap();
    assert!(matches!(read_message(&mut s).1, Message::Hello(_)));

    handle.send_blocking(Event::Stop).unwrap();
    thread.join().unwrap();
    over.store(1, Ordering::Relaxed);
    working.join().unwrap();
}

#[test]
fn echo_requests_pass_a_barrier_that_holds_their_connection_back() {
    let (switch, _, mut worker) = parts();
    let _ = worker.adopt();
    let (handle, inbox) = channel().unwrap();
    let mut runner =
        Runner::new(Hub::new(switch, Settings::default()), inbox, || Time::from_secs(1), || Duration::ZERO);
    let (sender, inbound) = tokio::sync::mpsc::channel(64);
    let outbox = Arc::new(crate::agent::outbox::Outbox::default());
    let opened = crate::agent::Opened {
        peer: "tcp:test".into(),
        purpose: Purpose::Controller,
        inbound: crate::agent::Inbound::Task(inbound),
        outbox: Arc::clone(&outbox),
        standing: crate::agent::Standing::default(),
    };
    handle.send_blocking(Event::Opened(opened)).unwrap();
    let say = |xid, message: Message| {
        let bytes = wire::encode(V13, Xid(xid), &message).unwrap();
        let header = Header::decode(&bytes).unwrap();
        sender.blocking_send(vec![Received { header, message: Ok(message), bytes: bytes.into() }]).unwrap();
    };
    let heard = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bytes = Vec::new();
        while outbox.queued() > 0 {
            let crate::agent::outbox::Work::Write(chunks) = runtime.block_on(outbox.take()) else { break };
            chunks.iter().for_each(|c| bytes.extend_from_slice(c));
            outbox.wrote(chunks.iter().map(Bytes::len).sum());
        }
        // What the ports do is told with xid 0.
        split(&bytes).iter().map(|(h, _)| h.xid.0).filter(|xid| *xid != 0).collect::<Vec<_>>()
    };
    say(1, Message::Hello(Vec::new()));
    say(2, Message::FlowMod(add(1, FlowModFlags::empty())));
    say(3, Message::BarrierRequest);
    say(4, Message::FeaturesRequest);
    say(5, Message::EchoRequest(Bytes::from_static(b"there?")));
    say(6, Message::GetConfigRequest);
    for _ in 0..4 {
        runner.round();
    }
    assert_eq!(heard(), [1, 5], "our hello, and the answer to the echo request");
    let _ = worker.adopt();
    for _ in 0..4 {
        runner.round();
    }
    assert_eq!(heard(), [3, 4, 6], "the rest in its order");
}

#[test]
fn a_dump_that_nobody_reads_costs_a_bounded_amount_and_no_one_else_s_time() {
    let mut b = Bench::of(100_000);
    let (slow, quick) = (b.connect(V13), b.connect(V13));
    for n in 0..20_000 {
        b.say(quick, V13, n, &Message::FlowMod(add(n, FlowModFlags::empty())));
        if n % 1000 == 0 {
            b.turn();
        }
    }
    b.hear(quick);
    let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::Flow(FlowStatsRequest::default())));
    b.say(slow, V13, 7, &ask);
    let mut held = 0;
    for n in 0..100 {
        b.hub.advance(b.now, slow);
        let session = b.hub.session_mut(slow).unwrap();
        held += session.take_output().len();
        assert!(held < 2 * crate::session::limits::REPLY_QUEUE, "{held} bytes for a peer that reads nothing");
        b.say(quick, V13, n, &Message::BarrierRequest);
        b.turn();
        assert_eq!(b.hear(quick).last().map(|(h, m)| (h.xid, m.clone())), Some((Xid(n), Message::BarrierReply)));
    }
    assert!(held > crate::session::limits::REPLY_QUEUE / 2);
    // It reads again: the rest comes, step by step.
    let mut most = 0;
    let mut rest = 0;
    for _ in 0..1000 {
        let session = b.hub.session_mut(slow).unwrap();
        session.set_queued(0);
        b.hub.advance(b.now, slow);
        let session = b.hub.session_mut(slow).unwrap();
        let out = session.take_output().len();
        most = most.max(out);
        rest += out;
        if session.ready() && out == 0 {
            break;
        }
    }
    assert!(most < 2 * crate::session::limits::REPLY_QUEUE);
    // 56 bytes and a match of 16 and instructions of 24 each.
    assert!(held + rest >= 20_000 * 88, "{}", held + rest);
}
