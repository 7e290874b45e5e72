//! Rules of the channel that take more than one connection, or what happens in the switch.

use super::{Bench, add, group};
use crate::bridge::Instance;
use crate::bridge::scheduled::monitor;
use crate::ports::PortEvent;
use crate::session::tests::fake::port;
use crate::session::{ConnId, Purpose};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemovedReason};
use ofproto::group::{GroupMod, GroupModCommand};
use ofproto::ids::{BundleId, MeterId, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::monitor::{FlowUpdate, FlowUpdateEvent, MonitorFlags};
use ofproto::port::{PortConfig, PortMod, PortReason, PortState};
use ofproto::role::{Role, RoleMsg};
use ofproto::{ErrorKind, Version, wire};
use std::time::Duration;

const V14: Version = Version::V14;
const FLAGS: BundleFlags = BundleFlags::ATOMIC.union(BundleFlags::ORDERED);

fn control(id: u32, ty: BundleCtrlType) -> Message {
    Message::BundleControl(BundleCtrl { bundle: BundleId(id), ty, flags: FLAGS, properties: Vec::new() })
}

fn bundled(id: u32, xid: u32, message: Message) -> Message {
    let (bundle, inner_xid, message) = (BundleId(id), Xid(xid), Box::new(message));
    Message::BundleAdd(BundleAdd { bundle, flags: FLAGS, message, inner_xid, properties: Vec::new() })
}

fn flow(in_port: u32) -> Message {
    Message::FlowMod(add(in_port, FlowModFlags::SEND_FLOW_REM))
}

fn delete() -> Message {
    let (command, table) = (FlowModCommand::Delete, TableId::ALL);
    Message::FlowMod(FlowMod { command, table, ..FlowMod::default() })
}

fn port_mod(no: u32, config: PortConfig) -> Message {
    let (port_no, hw_addr, mask) = (PortNo(no), port(no).hw_addr, PortConfig::NO_FWD);
    Message::PortMod(PortMod { port_no, hw_addr, config, mask, properties: Vec::new() })
}

fn meter(id: u32) -> Message {
    let bands = vec![Band { rate: 1000, burst_size: 0, action: BandAction::Drop }];
    Message::MeterMod(MeterMod { command: MeterModCommand::Add, flags: MeterFlags::KBPS, meter: MeterId(id), bands })
}

fn names(b: &mut Bench, id: ConnId) -> Vec<&'static str> {
    b.hear(id).iter().map(|(_, m)| wire::message_name(m)).collect()
}

fn masks(kind: AsyncKind, mask: u32) -> Message {
    let props = [true, false].map(|master| AsyncProp::Reasons { kind, master, mask }).to_vec();
    Message::SetAsync(AsyncConfig { props })
}

#[test]
fn replies_and_errors_go_to_who_asked() {
    let mut b = Bench::new();
    let (one, two) = (b.connect(Version::V13), b.connect(Version::V13));
    b.turn();
    let bad = FlowMod { table: TableId(9), ..add(1, FlowModFlags::empty()) };
    for message in [
        Message::EchoRequest(Bytes::new()),
        Message::FeaturesRequest,
        Message::BarrierRequest,
        Message::RoleRequest(RoleMsg { role: Role::NoChange, short_id: 0, generation_id: 0 }),
        Message::MultipartRequest(Multipart::last(MultipartRequest::Desc)),
        Message::FlowMod(bad),
    ] {
        b.ask(one, Version::V13, &message);
        assert_eq!(b.hear(two), [], "{message:?}");
    }
}

/// 1.4.1 §6.8.5: ids and what is staged are each connection's; several on one connection go in any order.
#[test]
fn bundles_are_each_connection_s() {
    let mut b = Bench::of(100);
    let (one, two) = (b.connect(V14), b.connect(V14));
    for (id, first) in [(one, 1), (two, 11)] {
        b.ask(id, V14, &control(1, BundleCtrlType::OpenRequest));
        b.say(id, V14, 2, &bundled(1, 2, flow(first)));
    }
    b.say(one, V14, 3, &bundled(2, 3, flow(5)));
    assert_eq!(b.hear(one), [], "an add opens a bundle without a reply");
    assert_eq!(b.ask(one, V14, &control(2, BundleCtrlType::CommitRequest)), control(2, BundleCtrlType::CommitReply));
    let ports = |b: &mut Bench| -> Vec<u128> {
        let mut all: Vec<_> = b.flows(one, V14).iter().map(|f| f.matching.fields[0].value).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(ports(&mut b), [5]);
    b.ask(two, V14, &control(1, BundleCtrlType::CommitRequest));
    assert_eq!(ports(&mut b), [5, 11]);
    b.ask(one, V14, &control(1, BundleCtrlType::CommitRequest));
    assert_eq!(ports(&mut b), [1, 5, 11]);
    assert_eq!(b.error(two, V14, &control(2, BundleCtrlType::DiscardRequest)), ErrorKind::BundleFailedBadId);
    // The connection ends, and its bundles with it.
    b.ask(two, V14, &control(3, BundleCtrlType::OpenRequest));
    b.say(two, V14, 2, &bundled(3, 2, flow(12)));
    b.hub.session_mut(two).unwrap().end(false, "test");
    b.hub.closed(b.now, two);
    assert_eq!(b.error(one, V14, &control(3, BundleCtrlType::CommitRequest)), ErrorKind::BundleFailedBadId);
}

/// 1.4.1 §6.8.5: nothing else waits for a bundle; what it causes is told after its commit alone.
#[test]
fn a_bundle_holds_back_its_own_events_only() {
    let mut b = Bench::of(100);
    let (one, two) = (b.connect(V14), b.connect(V14));
    for id in [one, two] {
        b.say(id, V14, 1, &masks(AsyncKind::RequestForward, 3));
    }
    b.say(one, V14, 1, &flow(1));
    b.ask(one, V14, &control(1, BundleCtrlType::OpenRequest));
    for (xid, message) in [
        (2, delete()),
        (3, port_mod(1, PortConfig::NO_FWD)),
        (4, flow(2)),
        (5, group(7)),
        (6, meter(1)),
        (7, port_mod(2, PortConfig::NO_FWD)),
        (8, flow(3)),
    ] {
        b.say(one, V14, xid, &bundled(1, xid, message));
    }
    assert_eq!((b.hear(one), b.hear(two)), (vec![], vec![]), "nothing of it happened");
    b.ask(one, V14, &Message::EchoRequest(Bytes::new()));
    let mut down = port(3);
    down.state = PortState::LINK_DOWN;
    b.hub.switch.port_event(b.now, PortEvent::Changed(down));
    b.hub.spread(None);
    for id in [one, two] {
        assert_eq!(names(&mut b, id), ["OFPT_PORT_STATUS"], "an event goes out at once");
    }
    b.say(one, V14, 50, &control(1, BundleCtrlType::CommitRequest));
    for _ in 0..4 {
        b.turn();
    }
    let mut told = names(&mut b, one);
    told.sort_unstable();
    assert_eq!(told, ["OFPT_BUNDLE_CONTROL", "OFPT_FLOW_REMOVED"]);
    let mut told = names(&mut b, two);
    told.sort_unstable();
    let (status, forward) = ("OFPT_PORT_STATUS", "OFPT_REQUESTFORWARD");
    assert_eq!(told, ["OFPT_FLOW_REMOVED", status, status, forward, forward]);
    assert_eq!(b.flows(one, V14).len(), 2);
}

/// 1.4.1 §6.8.4: nobody hears of a part of a bundle that failed.
#[test]
fn a_bundle_that_fails_causes_no_event() {
    let mut b = Bench::of(100);
    let (one, two) = (b.connect(V14), b.connect(V14));
    for id in [one, two] {
        b.say(id, V14, 1, &masks(AsyncKind::RequestForward, 3));
        monitor(&mut b, id, V14, MonitorFlags::ADD | MonitorFlags::REMOVED | MonitorFlags::NO_ABBREV);
    }
    b.say(one, V14, 1, &flow(1));
    b.hear(one);
    b.hear(two);
    b.ask(one, V14, &control(1, BundleCtrlType::OpenRequest));
    let last = GroupMod { command: GroupModCommand::Modify, ..as_group(group(99)) };
    for (xid, message) in
        [(2, delete()), (3, port_mod(1, PortConfig::NO_FWD)), (4, flow(2)), (5, group(7)), (6, Message::GroupMod(last))]
    {
        b.say(one, V14, xid, &bundled(1, xid, message));
    }
    assert_eq!(b.hear(one), []);
    b.say(one, V14, 50, &control(1, BundleCtrlType::CommitRequest));
    for _ in 0..4 {
        b.turn();
    }
    let errors: Vec<_> = b.hear(one).into_iter().map(|(h, m)| (h.xid.0, matches!(m, Message::Error(_)))).collect();
    assert_eq!(errors, [(6, true), (50, true)]);
    assert_eq!(b.hear(two), []);
    assert_eq!(b.flows(one, V14).len(), 1);
    let config = b.hub.switch.control.ports().get(PortNo(1)).unwrap().desc.config;
    assert_eq!(config, PortConfig::empty());
}

fn as_group(m: Message) -> GroupMod {
    let Message::GroupMod(m) = m else { unreachable!() };
    m
}

/// 1.4.1 §7.4.6: requests that succeeded, to others who asked; before 1.4 there is no such message.
#[test]
fn what_succeeds_is_forwarded_and_nothing_else() {
    let mut b = Bench::new();
    let versions = [V14, V14, Version::V15, V14, Version::V13];
    let [by, asked, newer, silent, old] = versions.map(|v| b.connect(v));
    for (id, version) in [(by, V14), (asked, V14), (newer, Version::V15)] {
        b.say(id, version, 1, &masks(AsyncKind::RequestForward, 3));
    }
    for id in [asked, newer] {
        b.hear(id);
    }
    for (xid, message) in [(21, group(3)), (22, meter(4))] {
        b.say(by, V14, xid, &message);
        for id in [asked, newer] {
            let [(header, Message::RequestForward(f))] = &b.hear(id)[..] else { panic!() };
            assert_eq!((header.xid, f.xid), (Xid(0), Xid(xid)), "its own xid is the request's");
            assert_eq!(wire::message_name(&f.request), wire::message_name(&message));
        }
        b.say(by, V14, xid, &message);
        assert_eq!(names(&mut b, by), ["OFPT_ERROR"], "it is there");
        for id in [asked, newer, silent, old] {
            let other = b.hear(id).into_iter().find(|(_, m)| !matches!(m, Message::ControllerStatus(_)));
            assert_eq!(other, None);
        }
    }
}

/// §7.4.3: every controller of every version, slaves included.
#[test]
fn ports_that_come_change_and_go_are_told_to_all() {
    let mut b = Bench::new();
    let all: Vec<_> = Version::ALL.into_iter().map(|v| b.connect(v)).collect();
    for (id, version) in all.iter().zip(Version::ALL).filter(|(_, v)| *v >= Version::V12) {
        b.say(*id, version, 1, &Message::RoleRequest(RoleMsg { role: Role::Slave, short_id: 0, generation_id: 1 }));
    }
    all.iter().for_each(|id| drop(b.hear(*id)));
    let mut down = port(9);
    down.state = PortState::LINK_DOWN;
    for (event, reason) in [
        (PortEvent::Added(port(9)), PortReason::Add),
        (PortEvent::Changed(down), PortReason::Modify),
        (PortEvent::Removed(PortNo(9)), PortReason::Delete),
    ] {
        b.hub.switch.port_event(b.now, event);
        b.hub.spread(None);
        for id in &all {
            let [(header, Message::PortStatus(s))] = &b.hear(*id)[..] else { panic!("{reason:?}") };
            assert_eq!((header.xid, s.reason, s.port.port_no), (Xid(0), reason, PortNo(9)));
        }
    }
}

fn updates(m: &Message) -> &[FlowUpdate] {
    match m {
        Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(u), .. }) => u,
        _ => &[],
    }
}

/// 1.4.1 §7.3.5.17: an update comes before the reply to a barrier that follows its request.
#[test]
fn updates_come_before_the_barrier_s_reply() {
    let mut b = Bench::new();
    let (own, other) = (b.connect(V14), b.connect(V14));
    for id in [own, other] {
        monitor(&mut b, id, V14, MonitorFlags::ADD | MonitorFlags::REMOVED);
    }
    b.turn();
    b.say(own, V14, 1, &flow(1));
    b.say(own, V14, 2, &delete());
    b.say(own, V14, 3, &Message::BarrierRequest);
    for _ in 0..4 {
        b.turn();
    }
    let heard = b.hear(own);
    let reply = heard.iter().position(|(_, m)| *m == Message::BarrierReply).unwrap();
    let told: Vec<_> = heard[..reply].iter().flat_map(|(_, m)| updates(m)).collect();
    assert_eq!(told, [&FlowUpdate::Abbrev(Xid(1)), &FlowUpdate::Abbrev(Xid(2))]);
    assert!(heard[..reply].iter().any(|(_, m)| matches!(m, Message::FlowRemoved(_))), "and so do removals");
    assert_eq!(b.hear(other).iter().flat_map(|(_, m)| updates(m)).count(), 2, "the same id is another's monitor");
}

/// 1.4.1 §7.3.5.17: one update for each entry; removals whether or not flow-removed messages are asked for; no word of
/// requests that change nothing.
#[test]
fn every_change_of_an_entry_is_told_and_no_other() {
    let mut b = Bench::of(100);
    let (by, c) = (b.connect(V14), b.connect(V14));
    monitor(&mut b, c, V14, MonitorFlags::ADD | MonitorFlags::REMOVED | MonitorFlags::MODIFY);
    let events = |b: &mut Bench| -> Vec<FlowUpdateEvent> {
        for _ in 0..4 {
            b.turn();
        }
        let heard = b.hear(c);
        let event = |u: &FlowUpdate| if let FlowUpdate::Full { event, .. } = u { *event } else { panic!("{u:?}") };
        heard.iter().flat_map(|(_, m)| updates(m)).map(event).collect()
    };
    for n in 1..=3 {
        let mut fm = add(n, FlowModFlags::empty());
        fm.hard_timeout = if n == 3 { 5 } else { 0 };
        b.say(by, V14, n, &Message::FlowMod(fm));
    }
    assert_eq!(events(&mut b), [FlowUpdateEvent::Added; 3]);
    let modify = |in_port| FlowMod {
        command: FlowModCommand::Modify,
        instructions: Vec::new(),
        ..add(in_port, FlowModFlags::empty())
    };
    b.say(by, V14, 4, &Message::FlowMod(FlowMod { matching: Match::any(), ..modify(1) }));
    assert_eq!(events(&mut b), [FlowUpdateEvent::Modified; 3]);
    // What matches nothing changes nothing.
    b.say(by, V14, 5, &Message::FlowMod(modify(77)));
    let none = FlowMod { command: FlowModCommand::Delete, ..add(77, FlowModFlags::empty()) };
    b.say(by, V14, 6, &Message::FlowMod(none));
    assert_eq!(events(&mut b), []);
    b.now = b.now + Duration::from_secs(6);
    assert_eq!(events(&mut b), [FlowUpdateEvent::Removed(FlowRemovedReason::HardTimeout)]);
    b.say(by, V14, 7, &delete());
    assert_eq!(events(&mut b), [FlowUpdateEvent::Removed(FlowRemovedReason::Delete); 2]);
}

/// §7.3.10, §7.3.2: what a controller sets for its channel holds for no other, now or later.
#[test]
fn a_channel_s_configuration_is_its_own() {
    let mut b = Bench::new();
    let (one, two) = (b.connect(V14), b.connect(V14));
    let ask = |b: &mut Bench, id| b.ask(id, V14, &Message::GetAsyncRequest(AsyncConfig::default()));
    let before = ask(&mut b, two);
    b.say(one, V14, 1, &masks(AsyncKind::PortStatus, 0));
    b.say(one, V14, 2, &Message::SetConfig(ofproto::message::SwitchConfig { flags: 0, miss_send_len: 7 }));
    assert_ne!(ask(&mut b, one), before);
    let three = b.connect(V14);
    for id in [two, three] {
        assert_eq!(ask(&mut b, id), before);
        let reply = b.ask(id, V14, &Message::GetConfigRequest);
        assert!(matches!(reply, Message::GetConfigReply(c) if c.miss_send_len == 128));
    }
}

/// §6.3.7: a role is a connection's; whoever connects again begins as an equal, and the generation is remembered.
#[test]
fn a_role_ends_with_its_connection_and_the_generation_does_not() {
    let mut b = Bench::new();
    let one = b.connect(V14);
    let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
    b.ask(one, V14, &role(Role::Master, 8));
    b.hub.session_mut(one).unwrap().end(false, "test");
    b.hub.closed(b.now, one);
    let again = b.connect(V14);
    let Message::RoleReply(r) = b.ask(again, V14, &role(Role::NoChange, 0)) else { panic!() };
    assert_eq!((r.role, r.generation_id), (Role::Equal, 8));
    assert_eq!(b.error(again, V14, &role(Role::Slave, 7)), ErrorKind::RoleRequestFailedStale);
}

/// §6.3.7: a new master makes a slave of the old one, and leaves equals alone.
#[test]
fn a_new_master_leaves_equals_alone() {
    let mut b = Bench::new();
    let [old, new, equal] = [(); 3].map(|()| b.connect(V14));
    let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
    b.ask(old, V14, &role(Role::Master, 1));
    b.ask(new, V14, &role(Role::Master, 2));
    let roles = [old, new, equal].map(|id| b.hub.session(id).unwrap().role());
    assert_eq!(roles, [Role::Slave, Role::Master, Role::Equal]);
    assert_eq!(names(&mut b, equal), [""; 0]);
    b.say(equal, V14, 3, &flow(1));
    assert_eq!(b.flows(equal, V14).len(), 1);
}

/// §6.3.5: what was there when the connection was lost is there when it comes back, and timeouts ran meanwhile.
#[test]
fn flows_outlive_their_controller_and_expire_without_it() {
    let mut b = Bench::new();
    b.hub.set_configured(b.now, vec!["tcp:test".into()]);
    let c = b.connect(Version::V13);
    b.say(c, Version::V13, 1, &flow(1));
    let mut short = add(2, FlowModFlags::empty());
    short.hard_timeout = 5;
    b.say(c, Version::V13, 2, &Message::FlowMod(short));
    b.hub.session_mut(c).unwrap().end(false, "test");
    b.hub.closed(b.now, c);
    b.now = b.now + Duration::from_secs(6);
    for _ in 0..4 {
        b.turn();
    }
    let c = b.connect(Version::V13);
    assert_eq!(b.flows(c, Version::V13).len(), 1);
}

/// §6.3.8: all of the protocol on every connection: bundles, multiparts and monitors over an auxiliary one.
#[test]
fn an_auxiliary_connection_takes_every_message() {
    let mut b = Bench::of(100);
    let main = b.connect(V14);
    b.ask(main, V14, &Message::FeaturesRequest);
    let aux = b.hub.opened(b.now, "tcp:test".into(), Purpose::Auxiliary { main, id: 1 });
    b.say(aux, V14, 1, &Message::Hello(Vec::new()));
    b.hear(aux);
    monitor(&mut b, aux, V14, MonitorFlags::ADD | MonitorFlags::NO_ABBREV);
    b.ask(aux, V14, &control(1, BundleCtrlType::OpenRequest));
    b.say(aux, V14, 2, &bundled(1, 2, flow(1)));
    let missing = b.error(main, V14, &control(1, BundleCtrlType::CommitRequest));
    assert_eq!(missing, ErrorKind::BundleFailedBadId, "it is the auxiliary connection's");
    b.say(aux, V14, 3, &control(1, BundleCtrlType::CommitRequest));
    assert_eq!(names(&mut b, aux), ["OFPT_BUNDLE_CONTROL", "OFPT_MULTIPART_REPLY"]);
    assert_eq!(b.flows(aux, V14).len(), 1);
    b.ask(aux, V14, &Message::GetAsyncRequest(AsyncConfig::default()));
    b.say(aux, V14, 4, &group(5));
    b.say(aux, V14, 5, &meter(5));
    b.say(aux, V14, 6, &port_mod(1, PortConfig::NO_FWD));
    assert_eq!((b.hear(main), b.hear(aux)), (vec![], vec![]));
    assert!(b.now > Time::ZERO);
}
