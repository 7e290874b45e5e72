//! Bundles end to end (their rules one by one: `bundle.rs`).

use super::events::punted;
use super::fake::{Bench, Did};
use super::requests::packet_out;
use crate::session::limits;
use datapath::clock::Time;
use ofproto::bundle::{
    BundleAdd, BundleCtrl, BundleCtrlType, BundleFeatures, BundleFeaturesProp, BundleFlags, BundleProp, OfTime,
};
use ofproto::flow::FlowMod;
use ofproto::group::{OtherProp, UnknownProp};
use ofproto::ids::{BundleId, PortNo, Xid};
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::packet::PacketIn;
use ofproto::role::{Role, RoleMsg};
use ofproto::{ErrorKind, Version};
use std::time::Duration;

fn control(ty: BundleCtrlType) -> Message {
    let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC;
    Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() })
}

fn add(xid: u32, message: Message) -> Message {
    Message::BundleAdd(BundleAdd {
        bundle: BundleId(1),
        flags: BundleFlags::ORDERED | BundleFlags::ATOMIC,
        message: Box::new(message),
        inner_xid: Xid(xid),
        properties: Vec::new(),
    })
}

fn flow_mod() -> Message {
    Message::FlowMod(FlowMod::default())
}

#[test]
fn nothing_is_done_before_the_commit_and_everything_by_it() {
    for version in [Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        assert_eq!(b.reply(1, &control(BundleCtrlType::OpenRequest)), control(BundleCtrlType::OpenReply));
        assert_eq!(b.ask(2, &add(2, flow_mod())), []);
        assert_eq!(b.ask(3, &add(3, flow_mod())), []);
        assert_eq!(b.reply(4, &control(BundleCtrlType::CloseRequest)), control(BundleCtrlType::CloseReply));
        assert!(b.host.did.is_empty());
        assert_eq!(b.reply(5, &control(BundleCtrlType::CommitRequest)), control(BundleCtrlType::CommitReply));
        assert_eq!(b.host.did, [Did::Commit(2)]);
        assert_eq!(b.refused(6, &control(BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBadId);
    }
}

#[test]
fn a_failing_message_is_named_before_the_bundle_fails() {
    let mut b = Bench::up(Version::V14);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    b.ask(2, &add(2, flow_mod()));
    b.ask(3, &add(3, flow_mod()));
    b.host.refuse_at = Some(1);
    let out = b.ask(4, &control(BundleCtrlType::CommitRequest));
    let kinds: Vec<_> = out
        .iter()
        .map(|(h, m)| match m {
            Message::Error(e) => (h.xid.0, e.kind(Version::V14).unwrap(), e.data[1]),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [(3, ErrorKind::FlowModFailedTableFull, 14), (4, ErrorKind::BundleFailedMsgFailed, 33)],
        "the flow-mod's own error with its xid, then the commit's"
    );
}

#[test]
fn what_can_not_stand_in_a_bundle_is_refused_and_the_bundle_stays() {
    let mut b = Bench::up(Version::V14);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    assert_eq!(b.refused(2, &add(2, Message::BarrierRequest)), ErrorKind::BundleFailedMsgUnsup);
    b.host.refuse = Some(ErrorKind::FlowModFailedBadTableId);
    let out = b.ask(3, &add(3, flow_mod()));
    assert!(matches!(&out[0].1, Message::Error(e) if e.kind(Version::V14) == Some(ErrorKind::FlowModFailedBadTableId)));
    b.host.refuse = None;
    assert_eq!(b.reply(4, &control(BundleCtrlType::CommitRequest)), control(BundleCtrlType::CommitReply));
    assert_eq!(b.host.did, [Did::Commit(0)]);
}

#[test]
fn a_bundle_that_lies_idle_is_discarded_with_an_error() {
    let mut b = Bench::up(Version::V14);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    let out = b.at(Time::ZERO + limits::BUNDLE_WAIT);
    assert!(matches!(&out[0].1, Message::Error(e) if e.kind(Version::V14) == Some(ErrorKind::BundleFailedTimeout)));
    assert_eq!(b.refused(2, &control(BundleCtrlType::DiscardRequest)), ErrorKind::BundleFailedBadId);
}

#[test]
fn replies_and_undefined_types_are_no_requests() {
    let mut b = Bench::up(Version::V14);
    assert_eq!(b.refused(1, &control(BundleCtrlType::OpenReply)), ErrorKind::BundleFailedBadType);
    assert_eq!(b.refused(2, &control(BundleCtrlType::Unknown(99))), ErrorKind::BundleFailedBadType);
}

fn commit_at(seconds: u64, nanoseconds: u32) -> Message {
    let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC | BundleFlags::TIME;
    let properties = vec![BundleProp::Time(OfTime { seconds, nanoseconds })];
    Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty: BundleCtrlType::CommitRequest, flags, properties })
}

/// At ten past the epoch by the wall clock, five by the bridge's, with a bundle of one message.
fn staged() -> Bench {
    let mut b = Bench::up(Version::V15);
    b.host.wall = Duration::from_secs(10);
    b.now = Time::from_secs(5);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    b.ask(2, &add(2, flow_mod()));
    b
}

#[test]
fn a_commit_waits_for_its_time() {
    let mut b = staged();
    assert_eq!(b.ask(3, &commit_at(10, 900_000_000)), []);
    // That the wall clock is set afterwards moves nothing.
    b.host.wall = Duration::from_secs(1_000_000);
    assert_eq!(b.session.deadline(), Some(Time::from_millis(5900)));
    // It isn't committed twice, and requests go on.
    assert_eq!(b.refused(5, &control(BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBundleInProgress);
    assert!(matches!(b.reply(6, &Message::EchoRequest(bytes::Bytes::new())), Message::EchoReply(_)));
    assert_eq!(b.at(Time::from_millis(5899)), []);
    assert_eq!(b.host.did, []);
    let out = b.at(Time::from_millis(5900));
    assert_eq!(out[0].0.xid, Xid(3));
    assert!(matches!(&out[0].1, Message::BundleControl(c) if c.ty == BundleCtrlType::CommitReply));
    assert_eq!(b.host.did, [Did::Commit(1)]);
    assert_eq!(b.session.deadline(), Some(Time::from_secs(20)), "the probe");
}

#[test]
fn a_commit_that_is_late_is_carried_out_at_once_within_the_tolerance() {
    for (at, kind) in [
        (commit_at(8, 999_999_999), ErrorKind::BundleFailedSchedPast),
        (commit_at(11, 1), ErrorKind::BundleFailedSchedFuture),
    ] {
        let mut b = staged();
        assert_eq!(b.refused(3, &at), kind);
        assert_eq!(b.refused(4, &commit_at(9, 0)), ErrorKind::BundleFailedBadId, "a commit ends it, failed or not");
        assert_eq!(b.host.did, []);
    }
    let mut b = staged();
    assert!(matches!(b.reply(5, &commit_at(9, 0)), Message::BundleControl(_)));
    assert_eq!(b.host.did, [Did::Commit(1)]);
}

/// A commit closes its bundle (1.5.1 §7.3.9.9), and what one does to a closed bundle discards it, its commit included.
#[test]
fn a_bundle_whose_commit_waits_is_closed() {
    let other_flags = |ty| {
        let flags = BundleFlags::ATOMIC;
        Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() })
    };
    for (message, kind) in [
        (add(4, flow_mod()), ErrorKind::BundleFailedBundleClosed),
        (control(BundleCtrlType::CloseRequest), ErrorKind::BundleFailedBundleClosed),
        (control(BundleCtrlType::OpenRequest), ErrorKind::BundleFailedBadId),
        (other_flags(BundleCtrlType::CommitRequest), ErrorKind::BundleFailedBadFlags),
    ] {
        let mut b = staged();
        assert_eq!(b.ask(3, &commit_at(10, 900_000_000)), []);
        assert_eq!(b.refused(4, &message), kind);
        assert_eq!(b.at(Time::from_secs(7)), [], "{kind:?}");
        assert_eq!(b.host.did, []);
        assert_eq!(b.refused(5, &control(BundleCtrlType::DiscardRequest)), ErrorKind::BundleFailedBadId);
    }
}

/// 1.5.1 §7.3.9.3: the flag is the commit's, and ignored anywhere else; the property makes no difference without it.
#[test]
fn the_time_flag_means_something_to_commits_only() {
    let mut b = Bench::up(Version::V15);
    let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC;
    let timed = |ty| {
        let flags = flags | BundleFlags::TIME;
        Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() })
    };
    assert!(matches!(b.reply(1, &timed(BundleCtrlType::OpenRequest)), Message::BundleControl(_)));
    assert_eq!(b.ask(2, &add(2, flow_mod())), []);
    assert!(matches!(b.reply(3, &timed(BundleCtrlType::CloseRequest)), Message::BundleControl(_)));
    let properties = vec![BundleProp::Time(OfTime { seconds: 99, nanoseconds: 0 })];
    let ty = BundleCtrlType::CommitRequest;
    let commit = Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties });
    assert!(matches!(b.reply(4, &commit), Message::BundleControl(_)), "at once");
    assert_eq!(b.host.did, [Did::Commit(1)]);
}

/// A message that doesn't fit its bundle any more discards it, whatever is wrong with the message besides.
#[test]
fn a_closed_bundle_is_discarded_by_a_bad_message_too() {
    let mut b = Bench::up(Version::V14);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    b.ask(2, &control(BundleCtrlType::CloseRequest));
    b.host.refuse = Some(ErrorKind::FlowModFailedBadTableId);
    assert_eq!(b.refused(3, &add(3, flow_mod())), ErrorKind::BundleFailedBundleClosed);
    assert_eq!(b.refused(4, &control(BundleCtrlType::DiscardRequest)), ErrorKind::BundleFailedBadId);
}

/// The error of a message that doesn't pass is about that message, not the one around it (1.4.1 §7.3.9.7).
#[test]
fn a_bundled_packet_out_s_error_bears_its_own_bytes() {
    let mut b = Bench::up(Version::V15);
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    let po = Message::PacketOut(packet_out(PortNo(77), ofproto::ids::BufferId::NONE, &[7; 60]));
    let inner = ofproto::wire::encode(Version::V15, Xid(9), &po).unwrap();
    let [(header, Message::Error(e))] = &b.ask(9, &add(9, po))[..] else { panic!() };
    assert_eq!((header.xid, e.kind(Version::V15)), (Xid(9), Some(ErrorKind::BadRequestBadPort)));
    assert_eq!(e.data[..], inner[..64]);
}

#[test]
fn a_scheduled_commit_fails_and_is_cancelled_as_any() {
    let mut b = staged();
    b.ask(3, &commit_at(10, 500_000_000));
    let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC;
    let ty = BundleCtrlType::DiscardRequest;
    b.reply(4, &Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() }));
    assert_eq!(b.at(Time::from_secs(7)), []);
    assert_eq!(b.host.did, []);

    let mut b = staged();
    b.host.refuse_at = Some(0);
    b.ask(3, &commit_at(10, 500_000_000));
    let errors = b.at(Time::from_secs(6));
    let xids: Vec<_> = errors.iter().map(|(h, _)| h.xid.0).collect();
    assert_eq!(xids, [2, 3]);
    let no_time = BundleCtrl {
        bundle: BundleId(9),
        ty: BundleCtrlType::CommitRequest,
        flags: BundleFlags::TIME,
        properties: Vec::new(),
    };
    assert_eq!(b.refused(7, &Message::BundleControl(no_time)), ErrorKind::BundleFailedBadId);
}

#[test]
fn a_slave_s_commit_is_refused_when_its_time_comes() {
    let mut b = staged();
    let role = |role| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id: 1 });
    b.ask(3, &role(Role::Master));
    assert_eq!(b.ask(4, &commit_at(10, 500_000_000)), []);
    assert!(b.session.demote(2));
    b.output();
    let out = b.at(Time::from_secs(6));
    let [(header, Message::Error(e))] = &out[..] else { panic!("{out:?}") };
    assert_eq!((header.xid, e.kind(Version::V15)), (Xid(4), Some(ErrorKind::BadRequestIsSlave)));
    assert_eq!(b.host.did, []);
    b.ask(5, &role(Role::Equal));
    assert_eq!(b.refused(6, &control(BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBadId, "it is gone");
}

#[test]
fn a_time_is_a_flag_of_1_5() {
    let mut b = Bench::up(Version::V14);
    let timed = |ty| {
        let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC | BundleFlags::TIME;
        Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() })
    };
    assert_eq!(b.refused(1, &timed(BundleCtrlType::OpenRequest)), ErrorKind::BundleFailedBadFlags);
    b.ask(2, &control(BundleCtrlType::OpenRequest));
    assert_eq!(b.refused(3, &timed(BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBadFlags);
    assert_eq!(b.refused(4, &control(BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBadId, "discarded");
    b.ask(5, &control(BundleCtrlType::OpenRequest));
    assert!(matches!(b.reply(6, &timed(BundleCtrlType::DiscardRequest)), Message::BundleControl(_)));
}

#[test]
fn a_kept_packet_is_used_by_one_message_of_a_bundle() {
    let mut b = Bench::up(Version::V14);
    assert!(b.session.packet_in(b.now, &punted(Some(10))));
    let Message::PacketIn(PacketIn { buffer_id, .. }) = b.output().remove(0).1 else { panic!() };
    let releasing = || Message::FlowMod(FlowMod { buffer_id, ..FlowMod::default() });
    let out = Message::PacketOut(packet_out(PortNo(1), buffer_id, &[]));
    for second in [releasing(), out] {
        b.ask(1, &control(BundleCtrlType::OpenRequest));
        b.ask(2, &add(2, releasing()));
        b.ask(3, &add(3, second));
        let answers = b.ask(4, &control(BundleCtrlType::CommitRequest));
        let kinds: Vec<_> = answers
            .iter()
            .map(|(h, m)| if let Message::Error(e) = m { (h.xid.0, e.kind(Version::V14).unwrap()) } else { panic!() })
            .collect();
        assert_eq!(kinds, [(3, ErrorKind::BadRequestBufferEmpty), (4, ErrorKind::BundleFailedMsgFailed)]);
        assert_eq!(b.host.did, [], "nothing was done, and the packet is still kept");
    }
    b.ask(1, &control(BundleCtrlType::OpenRequest));
    b.ask(2, &add(2, releasing()));
    assert!(matches!(b.reply(4, &control(BundleCtrlType::CommitRequest)), Message::BundleControl(_)));
    assert!(matches!(&b.host.did[..], [Did::Commit(1), Did::PacketOut { .. }]), "{:?}", b.host.did);
}

#[test]
fn tolerances_are_set_and_told() {
    let mut b = staged();
    let second = |seconds| OfTime { seconds, nanoseconds: 0 };
    let ask = |flags, future| {
        let properties = vec![BundleFeaturesProp::Time {
            accuracy: second(0),
            max_future: second(future),
            max_past: second(3),
            timestamp: second(0),
        }];
        let request = MultipartRequest::BundleFeatures(BundleFeatures { flags, properties });
        Message::MultipartRequest(Multipart::last(request))
    };
    let told = |m: Message| match m {
        Message::MultipartReply(Multipart { body: MultipartReply::BundleFeatures(f), .. }) => f,
        other => panic!("{other:?}"),
    };
    let f = told(b.reply(3, &ask(1, 60)));
    let BundleFeaturesProp::Time { max_future, timestamp, .. } = f.properties[0].clone() else { panic!() };
    assert_eq!((f.flags, max_future, timestamp), (7, second(1), second(10)));
    let BundleFeaturesProp::Time { timestamp, .. } = told(b.reply(3, &ask(0, 60))).properties[0].clone() else {
        panic!()
    };
    assert_eq!(timestamp, second(10), "asked for or not");
    assert_eq!(b.refused(3, &ask(4, 60)), ErrorKind::BadRequestUnknown, "a reserved flag");
    let f = told(b.reply(4, &ask(2, 60)));
    let BundleFeaturesProp::Time { max_future, max_past, .. } = f.properties[0].clone() else { panic!() };
    assert_eq!((max_future, max_past), (second(60), second(3)));
    assert_eq!(b.refused(5, &ask(2, 1 << 40)), ErrorKind::BadRequestMultipartBadSched);
    let properties =
        vec![BundleFeaturesProp::Other(OtherProp::Unknown(UnknownProp { ty: 9, data: vec![0; 4].into() }))];
    let request = MultipartRequest::BundleFeatures(BundleFeatures { flags: 0, properties });
    let unknown = Message::MultipartRequest(Multipart::last(request));
    assert_eq!(b.refused(5, &unknown), ErrorKind::BadPropertyBadType);
    // Longer than a bundle may lie idle.
    assert_eq!(b.ask(6, &commit_at(50, 0)), []);
    assert_eq!(b.at(Time::from_secs(19)).len(), 0);
    b.session.touch(Time::from_secs(44));
    let out = b.at(Time::from_secs(45));
    assert!(out.iter().any(|(h, _)| h.xid == Xid(6)), "{out:?}");
    assert_eq!(b.host.did, [Did::Commit(1)]);
}

/// The bytes of a bundle-add with these of a message inside.
fn add_raw(version: Version, xid: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = ofproto::wire::encode(version, Xid(xid), &add(xid, Message::BarrierRequest)).unwrap();
    bytes.truncate(bytes.len() - 8);
    bytes.extend_from_slice(inner);
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    bytes
}

/// What no bundle takes and what nobody knows isn't supported there (1.4.1 §7.3.9.7); what can't be read of the rest has
/// its own error, about the message inside.
#[test]
fn errors_of_what_is_inside() {
    for version in [Version::V13, Version::V14, Version::V15] {
        let mut b = Bench::up(version);
        b.ask(1, &control(BundleCtrlType::OpenRequest));
        let mut refused = |inner: &[u8]| {
            let bytes = add_raw(version, 7, inner);
            let out = b.bytes(&bytes);
            let [(header, Message::Error(e))] = &out[..] else { panic!("{out:?}") };
            assert_eq!(header.xid, Xid(7));
            (e.kind(version).unwrap(), bytes.starts_with(&e.data), inner.starts_with(&e.data))
        };
        let v = version.wire();
        let unsupported = (ErrorKind::BundleFailedMsgUnsup, true, false);
        for (inner, what) in [
            (vec![v, 77, 0, 8, 0, 0, 0, 7], "a type that nobody knows"),
            (vec![v, 2, 0, 8, 0, 0, 0, 7], "an echo request"),
            (vec![v, 20, 0, 10, 0, 0, 0, 7, 0, 0], "a barrier that is too long"),
            (vec![v, 10, 0, 8, 0, 0, 0, 7], "half a packet-in"),
            (vec![v, 4, 0, 16, 0, 0, 0, 7, 1, 2, 3, 4, 0, 0, 0, 0], "an experimenter"),
            (vec![v, 4, 0, 16, 0, 0, 0, 7, 0, 0, 0x23, 0x20, 0, 0, 0xff, 0], "an unknown extension"),
            (vec![v, 18, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0], "a multipart"),
        ] {
            assert_eq!(refused(&inner), unsupported, "{version}: {what}");
        }
        let bad_len = (ErrorKind::BundleFailedMsgBadLen, true, false);
        assert_eq!(refused(&[v, 14, 0, 4, 0, 0, 0, 7]), bad_len);
        assert_eq!(refused(&[v, 14, 0, 99, 0, 0, 0, 7]), bad_len);
        let mut broken = ofproto::wire::encode(version, Xid(7), &flow_mod()).unwrap();
        broken.extend([0, 99, 0, 8, 0, 0, 0, 0]);
        broken[3] += 8;
        assert_eq!(refused(&broken), (ErrorKind::BadInstructionUnknownInst, false, true));
        broken.truncate(50);
        broken[3] = 50;
        assert_eq!(refused(&broken), (ErrorKind::BadMatchBadLen, false, true));
        assert_eq!(b.reply(8, &control(BundleCtrlType::CommitRequest)), control(BundleCtrlType::CommitReply));
        assert_eq!(b.host.did, [Did::Commit(0)]);
    }
}
