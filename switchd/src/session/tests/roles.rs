//! What a role lets a controller do and hear (OpenFlow 1.5.1 §6.3.7, §7.3.8, §7.3.10 and their predecessors).

use super::events::punted;
use super::fake::{Bench, flow, group_add, port};
use super::requests::{FRAME, packet_out};
use crate::session::notify::Punted;
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::{FlowMod, FlowRemoved, FlowRemovedReason};
use ofproto::group::{GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, BufferId, BundleId, GroupId, MacAddr, MeterId, PortNo, TableId, Xid};
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::meter::{MeterFlags, MeterMod, MeterModCommand};
use ofproto::nx_message::NxMessage;
use ofproto::packet::PacketInReason;
use ofproto::port::{PortConfig, PortMod, PortReason};
use ofproto::role::{ControllerStatus, Role, RoleMsg};
use ofproto::stats::FlowStatsRequest;
use ofproto::table::{TableConfig, TableDesc, TableFeatures, TableMod, TableStatus};
use ofproto::{ErrorKind, Version, wire};

fn role(role: Role, generation_id: u64) -> Message {
    Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id })
}

fn ask(body: MultipartRequest) -> Message {
    Message::MultipartRequest(Multipart::last(body))
}

/// Everything that changes the switch or sends packets.
fn writes(version: Version) -> Vec<Message> {
    let (table, config) = (TableId(0), TableConfig::empty());
    let group = group_add();
    let port = PortMod {
        port_no: PortNo(1),
        hw_addr: MacAddr([2, 0, 0, 0, 0, 1]),
        config: PortConfig::empty(),
        mask: PortConfig::empty(),
        properties: Vec::new(),
    };
    let mut all = vec![
        Message::FlowMod(FlowMod::default()),
        Message::Nicira(NxMessage::FlowMod(FlowMod::default())),
        Message::PacketOut(packet_out(PortNo(1), BufferId::NONE, FRAME)),
        Message::GroupMod(group),
        Message::PortMod(port),
        Message::TableMod(TableMod { table, config, properties: Vec::new() }),
    ];
    if version >= Version::V13 {
        let meter = MeterId(1);
        let bands = Vec::new();
        all.push(Message::MeterMod(MeterMod {
            command: MeterModCommand::Delete,
            flags: MeterFlags::empty(),
            meter,
            bands,
        }));
        all.push(ask(MultipartRequest::TableFeatures(vec![TableFeatures {
            table,
            command: 0,
            features: 0,
            name: "t".into(),
            metadata_match: 0,
            metadata_write: 0,
            capabilities: config,
            max_entries: 1,
            properties: Vec::new(),
        }])));
        let (bundle, flags) = (BundleId(1), BundleFlags::ATOMIC);
        for ty in [BundleCtrlType::OpenRequest, BundleCtrlType::CommitRequest] {
            all.push(Message::BundleControl(BundleCtrl { bundle, ty, flags, properties: Vec::new() }));
        }
        let message = Box::new(Message::FlowMod(FlowMod::default()));
        all.push(Message::BundleAdd(BundleAdd { bundle, flags, message, inner_xid: Xid(2), properties: Vec::new() }));
    }
    all
}

#[test]
fn a_slave_may_send_nothing_that_changes_the_switch() {
    for version in [Version::V12, Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        b.reply(1, &role(Role::Slave, 1));
        for message in writes(version) {
            assert_eq!(b.refused(2, &message), ErrorKind::BadRequestIsSlave, "{version} {message:?}");
        }
        assert!(b.host.did.is_empty());
        // Whoever is more may.
        for (n, other) in [Role::Equal, Role::Master].into_iter().enumerate() {
            b.reply(3, &role(other, 2 + n as u64));
            for message in writes(version) {
                let out = b.ask(2, &message);
                let slave = |m: &Message| matches!(m, Message::Error(e) if e.kind(version) == Some(ErrorKind::BadRequestIsSlave));
                assert!(!out.iter().any(|(_, m)| slave(m)), "{version} {message:?}: {out:?}");
            }
        }
    }
}

#[test]
fn a_slave_may_ask_for_everything() {
    for version in [Version::V12, Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        b.reply(1, &role(Role::Slave, 1));
        let mut reads = vec![
            Message::FeaturesRequest,
            Message::GetConfigRequest,
            Message::BarrierRequest,
            Message::EchoRequest(Bytes::new()),
            role(Role::NoChange, 0),
            ask(MultipartRequest::Desc),
            ask(MultipartRequest::Flow(FlowStatsRequest::default())),
        ];
        if version < Version::V14 {
            reads.push(Message::QueueGetConfigRequest(PortNo(1)));
        }
        if version >= Version::V13 {
            reads.push(Message::GetAsyncRequest(AsyncConfig::default()));
            reads.push(ask(MultipartRequest::TableFeatures(Vec::new())));
        }
        if version >= Version::V14 {
            reads.push(ask(MultipartRequest::FlowMonitor(Vec::new())));
        }
        for message in reads {
            let reply = b.reply(2, &message);
            assert!(!matches!(reply, Message::Error(_)), "{version} {message:?}: {reply:?}");
        }
        // What concerns its own connection alone.
        if version >= Version::V13 {
            let mask = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: false, mask: 3 };
            assert_eq!(b.ask(3, &Message::SetAsync(AsyncConfig { props: vec![mask] })), []);
            assert!(b.session.packet_in(b.now, &punted(Some(9))));
        }
    }
}

/// Which kinds of unasked messages come.
fn heard(b: &mut Bench) -> Vec<&'static str> {
    b.session.packet_in(b.now, &punted(Some(9)));
    b.session.packet_in(b.now, &Punted { reason: PacketInReason::InvalidTtl, ..punted(Some(9)) });
    for reason in [PortReason::Add, PortReason::Delete, PortReason::Modify] {
        b.session.port_status(reason, &port(1));
    }
    let f = flow(1, 0);
    b.session.flow_removed(&FlowRemoved {
        cookie: f.cookie,
        priority: 1,
        reason: FlowRemovedReason::Delete,
        table: TableId(0),
        idle_timeout: 0,
        hard_timeout: 0,
        stats: f.stats,
        matching: f.matching,
    });
    let desc = TableDesc { table: TableId(0), config: TableConfig::empty(), properties: Vec::new() };
    b.session.table_status(&TableStatus { reason: 3, desc });
    let delete = GroupMod {
        command: GroupModCommand::Delete,
        ty: GroupType::All,
        group: GroupId(1),
        command_bucket: BucketId::ALL,
        buckets: Vec::new(),
        properties: Vec::new(),
    };
    b.session.request_forward(Xid(1), &Message::GroupMod(delete));
    let (short_id, role, properties) = (0, Role::Equal, Vec::new());
    b.session.controller_status(&ControllerStatus { short_id, role, reason: 1, channel_status: 0, properties });
    b.output().into_iter().map(|(_, m)| wire::message_name(&m)).collect()
}

/// §7.3.10: what a connection gets before it says otherwise.
#[test]
fn each_role_hears_by_default_what_the_text_says() {
    for version in Version::ALL {
        let ports = ["OFPT_PORT_STATUS"; 3];
        let statuses: &[_] = if version >= Version::V15 { &["OFPT_CONTROLLER_STATUS"] } else { &[] };
        let whole = [&["OFPT_PACKET_IN"], &ports[..], &["OFPT_FLOW_REMOVED"], statuses].concat();
        let mut b = Bench::up(version);
        if version < Version::V12 {
            // A bad TTL's packet-in is an action's there; 1.1 asks for it in its configuration.
            assert_eq!(heard(&mut b).iter().filter(|n| **n != "OFPT_PACKET_IN").count(), 4, "{version}");
            continue;
        }
        assert_eq!(heard(&mut b), whole, "{version}");
        b.reply(1, &role(Role::Master, 1));
        assert_eq!(heard(&mut b), whole, "{version}");
        b.reply(1, &role(Role::Slave, 2));
        assert_eq!(heard(&mut b), [&ports[..], statuses].concat(), "{version}");
    }
}

/// §7.3.10: the filter is for asynchronous messages, not for errors and replies, nor for those of a monitor.
#[test]
fn a_filter_of_nothing_leaves_errors_and_replies() {
    for version in [Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        let Message::GetAsyncReply(all) = b.reply(1, &Message::GetAsyncRequest(AsyncConfig::default())) else {
            panic!()
        };
        let none = all.props.into_iter().map(|p| match p {
            AsyncProp::Reasons { kind, master, .. } => AsyncProp::Reasons { kind, master, mask: 0 },
            other => other,
        });
        assert_eq!(b.ask(2, &Message::SetAsync(AsyncConfig { props: none.collect() })), [], "no reply");
        assert_eq!(heard(&mut b), [""; 0]);
        b.host.refuse = Some(ErrorKind::FlowModFailedTableFull);
        assert_eq!(b.refused(3, &Message::FlowMod(FlowMod::default())), ErrorKind::FlowModFailedTableFull);
        assert_eq!(b.reply(4, &Message::BarrierRequest), Message::BarrierReply);
        let Message::GetAsyncReply(told) = b.reply(5, &Message::GetAsyncRequest(AsyncConfig::default())) else {
            panic!()
        };
        let expected = if version == Version::V13 {
            6
        } else if version == Version::V14 {
            12
        } else {
            16
        };
        assert_eq!(told.props.len(), expected, "every mask is told");
        assert!(told.props.iter().all(|p| matches!(p, AsyncProp::Reasons { mask: 0, .. })));
    }
}

/// §7.4.4: a demoted master is told with the generation of the request that did it, whatever its filter.
#[test]
fn a_role_status_tells_the_new_role_and_why() {
    let mut b = Bench::up(Version::V14);
    b.reply(1, &role(Role::Master, 1));
    for master in [true, false] {
        let mask = AsyncProp::Reasons { kind: AsyncKind::RoleStatus, master, mask: 0 };
        b.ask(2, &Message::SetAsync(AsyncConfig { props: vec![mask] }));
    }
    assert!(b.session.demote(77));
    let [(header, Message::RoleStatus(s))] = &b.output()[..] else { panic!() };
    assert_eq!((header.xid, s.role, s.reason, s.generation_id), (Xid(0), Role::Slave, 0, 77));
    // A change that it asked for itself is answered, and not told besides.
    assert_eq!(b.ask(3, &role(Role::Equal, 0)).len(), 1);
}

/// §7.3.8: the generation of a reply is the last that came with a master's or slave's request.
#[test]
fn a_query_tells_the_role_and_the_generation_and_changes_neither() {
    for version in [Version::V12, Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        let told = |b: &mut Bench, m: &Message| match b.reply(1, m) {
            Message::RoleReply(r) => (r.role, r.generation_id),
            other => panic!("{other:?}"),
        };
        assert_eq!(told(&mut b, &role(Role::NoChange, 9)), (Role::Equal, u64::MAX), "{version}: none was set");
        assert_eq!(told(&mut b, &role(Role::Equal, 9)), (Role::Equal, u64::MAX), "{version}: nor by this");
        assert_eq!(told(&mut b, &role(Role::Slave, 9)), (Role::Slave, 9));
        assert_eq!(told(&mut b, &role(Role::Equal, 3)), (Role::Equal, 9), "{version}: an equal's counts for nothing");
        assert_eq!(told(&mut b, &role(Role::NoChange, 3)), (Role::Equal, 9));
        assert_eq!(b.now, Time::ZERO);
    }
}
