//! A commit at a set time is its connection's request like any other: everybody is told of what it did, and
//! its own controller what caused it.

use super::hub::Backend;
use super::tests::{Bench, add};
use crate::session::ConnId;
use ofproto::Version;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags, BundleProp, OfTime};
use ofproto::flow::FlowModFlags;
use ofproto::ids::{BundleId, GroupId, MonitorId, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use std::time::Duration;

const V15: Version = Version::V15;

pub(super) fn watch(b: &mut Bench, id: ConnId, flags: MonitorFlags) {
    monitor(b, id, V15, flags);
}

/// Asks for a monitor of all that happens to entries.
pub(super) fn monitor(b: &mut Bench, id: ConnId, version: Version, flags: MonitorFlags) {
    let monitor = FlowMonitorRequest {
        id: MonitorId(1),
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        flags,
        table: TableId::ALL,
        command: MonitorCommand::Add,
        matching: Match::any(),
        bare: false,
    };
    b.ask(id, version, &Message::MultipartRequest(Multipart::last(MultipartRequest::FlowMonitor(vec![monitor]))));
}

pub(super) fn updates(b: &mut Bench, id: ConnId) -> Vec<FlowUpdate> {
    let heard = b.hear(id).into_iter();
    let of = |(_, m)| match m {
        Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(u), .. }) => u,
        _ => Vec::new(),
    };
    heard.flat_map(of).collect()
}

#[test]
fn its_changes_are_told_as_its_connection_s_own() {
    let mut b = Bench::new();
    let (own, other) = (b.connect(V15), b.connect(V15));
    b.hear(own);
    watch(&mut b, own, MonitorFlags::ADD | MonitorFlags::ONLY_OWN);
    watch(&mut b, other, MonitorFlags::ADD);
    b.hub.switch.set_wall(Duration::from_secs(100));
    let flags = BundleFlags::ORDERED | BundleFlags::ATOMIC;
    let bundle = BundleId(1);
    for (n, xid) in [(1, 7), (2, 8)] {
        let message = Box::new(Message::FlowMod(add(n, FlowModFlags::empty())));
        let add = BundleAdd { bundle, flags, message, inner_xid: Xid(xid), properties: Vec::new() };
        b.say(own, V15, xid, &Message::BundleAdd(add));
    }
    let commit = BundleCtrl {
        bundle,
        ty: BundleCtrlType::CommitRequest,
        flags: flags | BundleFlags::TIME,
        properties: vec![BundleProp::Time(OfTime { seconds: 100, nanoseconds: 500_000_000 })],
    };
    b.say(own, V15, 9, &Message::BundleControl(commit));
    assert_eq!((b.hear(own), b.hear(other)), (vec![], vec![]));
    b.now = b.now + Duration::from_millis(500);
    b.hub.tick(b.now);
    // Before anybody else's request is carried out, which would else be taken for the cause.
    assert_eq!(updates(&mut b, own), [7, 8].map(|xid| FlowUpdate::Abbrev(Xid(xid))));
    let told = updates(&mut b, other);
    let added = |u: &FlowUpdate| matches!(u, FlowUpdate::Full { event: FlowUpdateEvent::Added, .. });
    assert!(told.len() == 2 && told.iter().all(added), "{told:?}");
}
