//! Bundles end to end (their rules one by one: `bundle.rs`).

use super::fake::{Bench, Did};
use crate::session::limits;
use datapath::clock::Time;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::FlowMod;
use ofproto::ids::{BundleId, Xid};
use ofproto::message::Message;
use ofproto::{ErrorKind, Version};

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
