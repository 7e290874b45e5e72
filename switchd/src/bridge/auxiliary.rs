//! A controller with auxiliary connections (OpenFlow 1.3.5 §6.3.8): what is the channel's, what is each
//! connection's, and what ends with what.

use super::Instance;
use super::scheduled::{updates, watch};
use super::tests::{Bench, add};
use crate::ports::PortEvent;
use crate::session::notify::Punted;
use crate::session::{ConnId, Purpose};
use bytes::Bytes;
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::field::FieldId;
use ofproto::flow::FlowModFlags;
use ofproto::ids::{BufferId, Cookie, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{HelloElement, Message, SwitchConfig};
use ofproto::monitor::{FlowUpdate, MonitorFlags};
use ofproto::packet::{PacketInReason, PacketOut};
use ofproto::role::{Role, RoleMsg};
use ofproto::{ErrorKind, Version};

const V13: Version = Version::V13;

/// A main connection that is set up, and auxiliary ones.
fn channel(b: &mut Bench, version: Version, auxiliary: u8) -> (ConnId, Vec<ConnId>) {
    let main = b.connect(version);
    b.ask(main, version, &Message::FeaturesRequest);
    let list = (1..=auxiliary).map(|id| {
        let purpose = Purpose::Auxiliary { main, id };
        let aux = b.hub.opened(b.now, "tcp:test".into(), purpose);
        b.say(aux, version, 1, &Message::Hello(Vec::new()));
        assert!(matches!(b.hear(aux)[..], [(_, Message::Hello(_))]));
        aux
    });
    (main, list.collect())
}

fn punted(flow: u64) -> Punted {
    Punted {
        frame: Bytes::from(vec![7; 60]),
        in_port: PortNo(1),
        pipeline: Match::any().with(FieldId::InPort, 1).into(),
        reason: PacketInReason::TableMiss,
        table: TableId(0),
        cookie: Cookie(0),
        max_len: None,
        implicit_miss: false,
        controller_id: None,
        userdata: None,
        paused: None,
        flow,
    }
}

fn role(role: Role, generation_id: u64) -> Message {
    Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id })
}

fn packet_ins(b: &mut Bench, id: ConnId) -> Vec<BufferId> {
    let out = b.hear(id);
    let ids = out.iter().map(|(_, m)| match m {
        Message::PacketIn(p) => p.buffer_id,
        other => panic!("{other:?}"),
    });
    ids.collect()
}

#[test]
fn the_features_reply_tells_which_connection_it_is() {
    for version in [V13, Version::V14, Version::V15] {
        let mut b = Bench::new();
        let (main, aux) = channel(&mut b, version, 2);
        for (id, expected) in [(main, 0), (aux[0], 1), (aux[1], 2)] {
            let Message::FeaturesReply(f) = b.ask(id, version, &Message::FeaturesRequest) else { panic!() };
            assert_eq!((f.auxiliary_id, f.dpid.0, f.n_buffers), (expected, 0xd1, 256), "{version}");
        }
    }
}

#[test]
fn there_is_none_before_the_main_connection_is_set_up_nor_below_1_3() {
    let mut b = Bench::new();
    let main = b.connect(V13);
    let early = b.hub.opened(b.now, "tcp:test".into(), Purpose::Auxiliary { main, id: 1 });
    assert!(b.hub.session(early).unwrap().ending().unwrap().reason.contains("without its main"));
    let old = b.connect(Version::V12);
    b.ask(old, Version::V12, &Message::FeaturesRequest);
    assert!(!b.hub.session(old).unwrap().introduced());
    let nobody = Purpose::Auxiliary { main: ConnId(77), id: 1 };
    let orphan = b.hub.opened(b.now, "tcp:test".into(), nobody);
    assert!(b.hub.session(orphan).unwrap().ending().is_some());
}

#[test]
fn it_speaks_the_main_connection_s_version_only() {
    let mut b = Bench::new();
    let (main, _) = channel(&mut b, V13, 0);
    let aux = b.hub.opened(b.now, "tcp:test".into(), Purpose::Auxiliary { main, id: 1 });
    let all = HelloElement::VersionBitmap(vec![0b0111_1110]);
    b.say(aux, Version::V15, 1, &Message::Hello(vec![all]));
    assert_eq!(b.hub.session(aux).unwrap().version(), Some(V13));
    let other = b.hub.opened(b.now, "tcp:test".into(), Purpose::Auxiliary { main, id: 2 });
    b.say(other, Version::V10, 1, &Message::Hello(Vec::new()));
    assert!(b.hub.session(other).unwrap().ending().is_some());
    assert!(b.hub.session(main).unwrap().ending().is_none());
}

#[test]
fn it_ends_with_the_main_connection_and_not_the_other_way_round() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 3);
    b.hub.session_mut(aux[0]).unwrap().end(false, "test");
    b.hub.closed(b.now, aux[0]);
    assert!(b.hub.session(main).unwrap().ending().is_none());
    assert!(b.hub.demand().controlled);
    b.hub.session_mut(main).unwrap().end(false, "test");
    b.hub.closed(b.now, main);
    for id in &aux[1..] {
        let ending = b.hub.session(*id).unwrap().ending().unwrap();
        assert!(!ending.flush, "at once");
        b.hub.closed(b.now, *id);
    }
    assert_eq!(b.hub.sessions().count(), 0);
    assert!(!b.hub.demand().controlled, "an auxiliary connection alone controls nothing");
}

#[test]
fn role_filter_and_configuration_are_the_channel_s() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 1);
    let other = b.connect(V13);
    // Asked for over either connection, in force for both.
    b.ask(aux[0], V13, &role(Role::Slave, 1));
    assert_eq!(b.hub.session(main).unwrap().role(), Role::Slave);
    for id in [main, aux[0]] {
        assert_eq!(b.error(id, V13, &Message::FlowMod(add(1, FlowModFlags::empty()))), ErrorKind::BadRequestIsSlave);
    }
    b.ask(main, V13, &role(Role::Master, 2));
    b.say(aux[0], V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
    assert_eq!(b.hear(aux[0]), []);
    // Another's mastership takes it from both.
    b.ask(other, V13, &role(Role::Master, 3));
    assert_eq!(b.error(aux[0], V13, &Message::FlowMod(add(2, FlowModFlags::empty()))), ErrorKind::BadRequestIsSlave);
    assert!(matches!(b.ask(aux[0], V13, &role(Role::NoChange, 0)), Message::RoleReply(r) if r.role == Role::Slave));
    // Mastership asked for on an auxiliary connection demotes the other controller, not the own main one.
    b.ask(aux[0], V13, &role(Role::Master, 4));
    assert_eq!(b.hub.session(other).unwrap().role(), Role::Slave);
    assert_eq!(b.hub.session(main).unwrap().role(), Role::Master);

    let config = SwitchConfig { flags: 0, miss_send_len: 33 };
    b.say(aux[0], V13, 1, &Message::SetConfig(config));
    let reply = b.ask(main, V13, &Message::GetConfigRequest);
    assert!(matches!(reply, Message::GetConfigReply(c) if c.miss_send_len == 33));
    let none = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 0 };
    b.say(aux[0], V13, 1, &Message::SetAsync(AsyncConfig { props: vec![none] }));
    b.hub.punted(b.now, &punted(1));
    assert_eq!((b.hear(main), b.hear(aux[0])), (vec![], vec![]));
}

#[test]
fn replies_and_barriers_are_each_connection_s() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 1);
    b.turn();
    b.say(main, V13, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
    b.say(main, V13, 2, &Message::BarrierRequest);
    b.hub.tick(b.now);
    assert!(!b.hub.session(main).unwrap().ready());
    // The other goes on meanwhile.
    let echo = Message::EchoRequest(Bytes::from_static(b"aux"));
    assert_eq!(b.ask(aux[0], V13, &echo), Message::EchoReply(Bytes::from_static(b"aux")));
    assert!(b.hub.session(aux[0]).unwrap().ready());
    b.turn();
    assert_eq!(b.hear(main).iter().map(|(h, _)| h.xid).collect::<Vec<_>>(), [Xid(2)]);
    assert_eq!(b.hear(aux[0]), []);
    let e = b.error(aux[0], V13, &Message::FlowMod(ofproto::flow::FlowMod { table: TableId(9), ..Default::default() }));
    assert_eq!(e, ErrorKind::FlowModFailedBadTableId);
    assert_eq!(b.hear(main), [], "the error went where the request came from");
}

#[test]
fn packet_ins_go_over_auxiliary_connections_a_flow_over_one_of_them() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 3);
    let other = b.connect(V13);
    let mut share = Vec::new();
    for flow in 0..30 {
        for _ in 0..3 {
            b.hub.punted(b.now, &punted(flow));
        }
        let got: Vec<_> = aux.iter().map(|id| packet_ins(&mut b, *id).len()).collect();
        assert_eq!(got.iter().filter(|n| **n == 3).count(), 1, "{got:?}");
        share.push(got.iter().position(|n| *n == 3));
    }
    for id in 0..3 {
        assert_eq!(share.iter().filter(|s| **s == Some(id)).count(), 10);
    }
    assert_eq!(packet_ins(&mut b, main), []);
    assert_eq!(packet_ins(&mut b, other).len(), 90, "another controller gets its own");
    // A kept packet is the channel's: it can be released over any of its connections.
    b.hub.punted(b.now, &punted(0));
    let buffer_id = aux.iter().find_map(|id| packet_ins(&mut b, *id).pop()).unwrap();
    let out = PacketOut {
        buffer_id,
        matching: Match::any().with(FieldId::InPort, 1),
        actions: vec![Action::output(PortNo(2))],
        data: Bytes::new(),
    };
    b.say(main, V13, 5, &Message::PacketOut(out.clone()));
    assert_eq!(b.hear(main), []);
    assert_eq!(b.error(aux[1], V13, &Message::PacketOut(out)), ErrorKind::BadRequestBufferEmpty);
    // One that is gone is made up for by the rest; without any the main one carries them.
    for id in aux {
        b.hub.session_mut(id).unwrap().end(false, "test");
        b.hub.punted(b.now, &punted(0));
        b.hub.closed(b.now, id);
    }
    b.hub.punted(b.now, &punted(0));
    assert!(!packet_ins(&mut b, main).is_empty());
}

#[test]
fn events_other_than_packet_ins_go_over_the_main_connection_once() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 2);
    let mut down = crate::session::tests::fake::port(1);
    down.state = ofproto::port::PortState::LINK_DOWN;
    b.hub.switch.port_event(b.now, PortEvent::Changed(down));
    b.hub.spread(None);
    assert_eq!(b.hear(main).len(), 1);
    assert_eq!((b.hear(aux[0]), b.hear(aux[1])), (vec![], vec![]));
}

#[test]
fn a_silent_auxiliary_connection_is_probed_and_ends_alone() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, V13, 1);
    let probe = crate::session::Settings::default().probe.unwrap();
    for _ in 0..2 {
        b.now = b.now + probe;
        b.say(main, V13, 1, &Message::EchoReply(Bytes::new()));
        b.hub.tick(b.now);
    }
    assert!(b.hub.session(aux[0]).unwrap().ending().unwrap().reason.contains("probe"));
    assert!(b.hub.session(main).unwrap().ending().is_none());
}

/// A flow monitor takes what any connection of its channel changes for the controller's own (1.4.1 §7.3.5.17).
#[test]
fn what_it_changes_is_its_controller_s_own() {
    let mut b = Bench::new();
    let (main, aux) = channel(&mut b, Version::V15, 1);
    let other = b.connect(Version::V15);
    for id in [main, other] {
        b.hear(id);
        watch(&mut b, id, MonitorFlags::ADD);
    }
    // Each connection counts its own xids.
    for (id, n) in [(aux[0], 1), (main, 2)] {
        b.say(id, Version::V15, 9, &Message::FlowMod(add(n, FlowModFlags::empty())));
    }
    assert_eq!(updates(&mut b, main), [FlowUpdate::Abbrev(Xid(9)), FlowUpdate::Abbrev(Xid(9))]);
    assert!(updates(&mut b, other).iter().all(|u| matches!(u, FlowUpdate::Full { .. })));
}
