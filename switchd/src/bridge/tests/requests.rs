//! Requests of one connection and their answers, for the real control.

use super::*;
use ofproto::action::Action;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::{BufferId, BundleId, GroupId, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::packet::PacketOut;
use ofproto::stats::FlowStatsRequest;
use ofproto::wire;
use ofproto::{ErrorKind, Version};

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
