//! What is told unasked, and to whom.

use super::fake::{Bench, Did, flow, group_add, port};
use super::requests::{FRAME, packet_out};
use crate::session::limits;
use crate::session::notify::{FlowChange, FlowEvent, Punted};
use crate::session::{Purpose, Settings};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowRemoved, FlowRemovedReason};
use ofproto::ids::{BufferId, Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest, SwitchConfig};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use ofproto::nx_message::NxMessage;
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::port::PortReason;
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::{FlowDesc, FlowStats};
use ofproto::{ErrorKind, Version};

pub(super) fn punted(max_len: Option<u16>) -> Punted {
    Punted {
        frame: Bytes::from_static(&[0xaa; 100]),
        in_port: PortNo(3),
        pipeline: Match::any().with(FieldId::InPort, 3).into(),
        reason: PacketInReason::ApplyAction,
        table: TableId(2),
        cookie: Cookie(7),
        max_len,
        implicit_miss: false,
        controller_id: None,
        userdata: None,
        paused: None,
        flow: 0,
    }
}

fn packet_in(b: &mut Bench, p: &Punted) -> PacketIn {
    assert!(b.session.packet_in(b.now, p));
    match b.output().remove(0).1 {
        Message::PacketIn(p) => p,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packet_in_is_as_long_as_asked_and_its_packet_is_kept() {
    let mut b = Bench::up(Version::V13);
    let p = packet_in(&mut b, &punted(Some(10)));
    assert_eq!((p.data.len(), p.total_len, p.table, p.cookie), (10, 100, TableId(2), Cookie(7)));
    assert_ne!(p.buffer_id, BufferId::NONE);
    let p = packet_in(&mut b, &punted(Some(0xffff)));
    assert_eq!((p.data.len(), p.buffer_id), (100, BufferId::NONE), "NO_BUFFER: whole");
    let p = packet_in(&mut b, &punted(Some(0)));
    assert_eq!(p.data.len(), 0);
    b.ask(1, &Message::SetConfig(SwitchConfig { flags: 0, miss_send_len: 20 }));
    assert_eq!(packet_in(&mut b, &punted(None)).data.len(), 20, "miss_send_len without an action's length");
    let mut b = Bench::fresh(Purpose::Controller, Settings { buffers: 0, ..Settings::default() });
    b.ask(1, &Message::Hello(Vec::new()));
    let p = packet_in(&mut b, &punted(Some(10)));
    assert_eq!((p.data.len(), p.buffer_id), (100, BufferId::NONE), "nothing can be kept: whole");
}

#[test]
fn a_kept_packet_is_sent_once_by_packet_out_or_flow_mod() {
    let mut b = Bench::up(Version::V13);
    let id = packet_in(&mut b, &punted(Some(10))).buffer_id;
    assert_eq!(b.ask(1, &Message::PacketOut(packet_out(PortNo(1), id, &[]))), []);
    let Did::PacketOut { frame, in_port, .. } = &b.host.did[0] else { panic!() };
    assert_eq!((frame.len(), *in_port), (100, 1), "the whole packet, from where the packet-out says");
    let again = Message::PacketOut(packet_out(PortNo(1), id, &[]));
    assert_eq!(b.refused(2, &again), ErrorKind::BadRequestBufferEmpty);

    let id = packet_in(&mut b, &punted(Some(10))).buffer_id;
    b.host.did.clear();
    let fm = FlowMod { buffer_id: id, ..FlowMod::default() };
    assert_eq!(b.ask(3, &Message::FlowMod(fm.clone())), []);
    let Did::PacketOut { in_port, actions, .. } = &b.host.did[1] else { panic!() };
    assert_eq!((*in_port, &actions[..]), (3, &[Action::output(PortNo::TABLE)][..]));
    b.host.did.clear();
    assert_eq!(b.refused(4, &Message::FlowMod(fm)), ErrorKind::BadRequestBufferEmpty);
    assert!(b.host.did.is_empty(), "refused before anything changed");
}

#[test]
fn a_refused_packet_out_leaves_the_packet_kept() {
    let mut b = Bench::up(Version::V13);
    let id = packet_in(&mut b, &punted(Some(10))).buffer_id;
    b.host.refuse = Some(ErrorKind::BadActionBadOutPort);
    let po = Message::PacketOut(packet_out(PortNo(1), id, &[]));
    assert_eq!(b.refused(1, &po), ErrorKind::BadActionBadOutPort);
    assert_eq!(b.ask(2, &po), []);
}

#[test]
fn reasons_are_filtered_and_folded() {
    let mut b = Bench::up(Version::V13);
    let mut p = punted(None);
    p.reason = PacketInReason::InvalidTtl;
    assert!(!b.session.packet_in(b.now, &p), "off by default");
    p.reason = PacketInReason::Group;
    assert_eq!(packet_in(&mut b, &p).reason, PacketInReason::ApplyAction);
    let mut b = Bench::up(Version::V14);
    assert_eq!(packet_in(&mut b, &p).reason, PacketInReason::Group);
}

#[test]
fn implicit_misses_go_to_versions_that_have_them() {
    let mut p = punted(None);
    (p.implicit_miss, p.reason) = (true, PacketInReason::TableMiss);
    for version in Version::ALL {
        let mut b = Bench::up(version);
        assert_eq!(b.session.packet_in(b.now, &p), version < Version::V13, "{version}");
    }
}

#[test]
fn slaves_and_visitors_get_no_packets_until_they_become_more() {
    let mut b = Bench::up(Version::V13);
    b.ask(1, &Message::RoleRequest(RoleMsg { role: Role::Slave, short_id: 0, generation_id: 1 }));
    assert!(!b.session.packet_in(b.now, &punted(None)));
    b.session.port_status(PortReason::Modify, &port(1));
    assert_eq!(b.output().len(), 1, "a slave hears of ports");

    let mut b = Bench::fresh(Purpose::Visitor, Settings::default());
    b.ask(1, &Message::Hello(Vec::new()));
    assert!(!b.session.packet_in(b.now, &punted(None)) && !b.session.controls());
    b.session.port_status(PortReason::Modify, &port(1));
    assert_eq!(b.output(), []);
    b.ask(2, &Message::SetConfig(SwitchConfig { flags: 0, miss_send_len: 128 }));
    assert!(b.session.packet_in(b.now, &punted(None)) && b.session.controls());

    // One that asks to be a slave hears what it wants to, and leaves the bridge to itself.
    let mut b = Bench::fresh(Purpose::Visitor, Settings::default());
    b.ask(1, &Message::Hello(Vec::new()));
    b.ask(2, &Message::RoleRequest(RoleMsg { role: Role::Slave, short_id: 0, generation_id: 1 }));
    assert!(!b.session.controls());
    b.output();
    b.session.port_status(PortReason::Modify, &port(1));
    assert_eq!(b.output().len(), 1);
    b.ask(3, &Message::RoleRequest(RoleMsg { role: Role::Equal, short_id: 0, generation_id: 1 }));
    assert!(b.session.controls());
}

#[test]
fn packets_are_dropped_for_a_controller_that_does_not_read() {
    let mut b = Bench::up(Version::V13);
    b.session.set_queued(limits::PACKET_IN_QUEUE + 1);
    assert!(!b.session.packet_in(b.now, &punted(None)));
    assert_eq!(b.session.counters().packet_ins_dropped, 1);
    b.session.port_status(PortReason::Add, &port(1));
    assert_eq!(b.output().len(), 1, "states aren't lost so soon");
}

#[test]
fn removals_pass_the_filter() {
    let removed = FlowRemoved {
        cookie: Cookie(1),
        priority: 1,
        reason: FlowRemovedReason::IdleTimeout,
        table: TableId(0),
        idle_timeout: 1,
        hard_timeout: 0,
        stats: FlowStats::default(),
        matching: Match::any(),
    };
    let mut b = Bench::up(Version::V13);
    b.session.flow_removed(&removed);
    assert_eq!(b.output()[0].1, Message::FlowRemoved(removed));
}

#[test]
fn a_demoted_master_is_told_from_1_4_on() {
    for (version, told) in [(Version::V13, 0), (Version::V14, 1)] {
        let mut b = Bench::up(version);
        b.ask(1, &Message::RoleRequest(RoleMsg { role: Role::Master, short_id: 0, generation_id: 1 }));
        assert!(b.session.demote(9));
        assert_eq!(b.session.role(), Role::Slave);
        assert_eq!(b.output().len(), told);
        assert!(!b.session.demote(9));
    }
}

#[test]
fn requests_are_forwarded_to_those_who_asked() {
    let gm = Message::GroupMod(group_add());
    let mut b = Bench::up(Version::V14);
    b.session.request_forward(Xid(5), &gm);
    assert_eq!(b.output(), []);
    let props = vec![ofproto::async_config::AsyncProp::Reasons {
        kind: ofproto::async_config::AsyncKind::RequestForward,
        master: true,
        mask: 1,
    }];
    b.ask(1, &Message::SetAsync(ofproto::async_config::AsyncConfig { props }));
    b.session.request_forward(Xid(5), &gm);
    let Message::RequestForward(f) = b.output().remove(0).1 else { panic!() };
    assert_eq!((f.xid, *f.request), (Xid(5), gm));
}

pub(super) fn monitor(id: u32, flags: MonitorFlags, command: MonitorCommand) -> FlowMonitorRequest {
    FlowMonitorRequest {
        id: MonitorId(id),
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        flags,
        table: TableId::ALL,
        command,
        matching: Match::any(),
        bare: false,
    }
}

pub(super) fn ask_monitor(requests: Vec<FlowMonitorRequest>) -> Message {
    Message::MultipartRequest(Multipart::last(MultipartRequest::FlowMonitor(requests)))
}

pub(super) fn tell(b: &mut Bench, event: FlowEvent, flow: &FlowDesc, own: Option<Xid>) {
    b.session.flow_event(&FlowChange { event, flow: flow.clone(), before: None, bundled: None }, own);
}

pub(super) fn updates(message: Message) -> Vec<FlowUpdate> {
    match message {
        Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(u), .. }) => u,
        other => panic!("{other:?}"),
    }
}

#[test]
fn monitors_tell_the_initial_state_and_changes() {
    let mut b = Bench::up(Version::V14);
    b.host.flows = 3;
    let flags = MonitorFlags::INITIAL | MonitorFlags::ADD | MonitorFlags::REMOVED;
    let reply = b.reply(1, &ask_monitor(vec![monitor(1, flags, MonitorCommand::Add)]));
    let initial = updates(reply);
    assert_eq!(initial.len(), 3);
    assert!(matches!(
        &initial[0],
        FlowUpdate::Full { event: FlowUpdateEvent::Initial, instructions, .. } if instructions.is_empty()
    ));
    let f = flow(9, 32);
    tell(&mut b, FlowEvent::Added, &f, None);
    let (header, message) = b.output().remove(0);
    assert_eq!(header.xid, Xid(0));
    assert!(matches!(updates(message)[0], FlowUpdate::Full { event: FlowUpdateEvent::Added, .. }));
    tell(&mut b, FlowEvent::Modified, &f, None);
    assert_eq!(b.output(), [], "not asked for");
    tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &f, Some(Xid(44)));
    assert_eq!(updates(b.output().remove(0).1), [FlowUpdate::Abbrev(Xid(44))], "an own change is abbreviated");
}

/// A controller looks for the xids that it gave its flow-mods, in a bundle or not.
#[test]
fn changes_of_a_bundle_are_abbreviated_by_the_messages_that_made_them() {
    let mut b = Bench::up(Version::V14);
    b.reply(1, &ask_monitor(vec![monitor(1, MonitorFlags::ADD, MonitorCommand::Add)]));
    let commit = Some(Xid(9));
    let inner = [Some(Xid(5)), Some(Xid(5)), Some(Xid(6)), None];
    for (n, bundled) in inner.into_iter().enumerate() {
        let change = FlowChange { event: FlowEvent::Added, flow: flow(n as u64, 0), before: None, bundled };
        b.session.flow_event(&change, commit);
    }
    let told: Vec<_> = b.output().into_iter().flat_map(|(_, m)| updates(m)).collect();
    assert_eq!(told, [5, 6, 9].map(|xid| FlowUpdate::Abbrev(Xid(xid))));
}

#[test]
fn monitors_pause_while_the_peer_does_not_read() {
    let mut b = Bench::up(Version::V14);
    let flags = MonitorFlags::ADD | MonitorFlags::REMOVED | MonitorFlags::MODIFY;
    b.reply(1, &ask_monitor(vec![monitor(1, flags, MonitorCommand::Add)]));
    let (old, new, gone) = (flow(1, 0), flow(2, 0), flow(3, 0));
    b.session.set_queued(limits::REPLY_QUEUE);
    tell(&mut b, FlowEvent::Modified, &old, None);
    tell(&mut b, FlowEvent::Added, &new, None);
    tell(&mut b, FlowEvent::Modified, &new, None);
    tell(&mut b, FlowEvent::Added, &gone, None);
    tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &gone, None);
    tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &flow(4, 0), None);
    let out = super::fake::split(&b.session.take_output());
    let told: Vec<_> = out.into_iter().flat_map(|(_, m)| updates(m)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], FlowUpdate::Paused);
    assert!(matches!(told[1], FlowUpdate::Full { event: FlowUpdateEvent::Removed(_), priority: 4, .. }));
    b.session.set_queued(0);
    b.session.advance(b.now, &mut b.host);
    let mut told: Vec<_> = b.output().into_iter().flat_map(|(_, m)| updates(m)).collect();
    assert_eq!(told.pop(), Some(FlowUpdate::Resumed));
    let mut told: Vec<_> = told
        .iter()
        .map(|u| match u {
            FlowUpdate::Full { event, priority, .. } => (*priority, *event),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_by_key(|t| t.0);
    assert_eq!(told, [(1, FlowUpdateEvent::Modified), (2, FlowUpdateEvent::Added)]);
}

#[test]
fn what_is_withheld_follows_changes_that_nobody_asked_for() {
    let mut b = Bench::up(Version::V14);
    b.reply(1, &ask_monitor(vec![monitor(1, MonitorFlags::ADD | MonitorFlags::INSTRUCTIONS, MonitorCommand::Add)]));
    b.session.set_queued(limits::REPLY_QUEUE);
    tell(&mut b, FlowEvent::Added, &flow(1, 16), None);
    tell(&mut b, FlowEvent::Added, &flow(2, 16), None);
    tell(&mut b, FlowEvent::Modified, &flow(1, 48), None);
    tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &flow(2, 16), None);
    assert_eq!(updates(b.output().remove(0).1), [FlowUpdate::Paused]);
    b.session.advance(b.now, &mut b.host);
    let told: Vec<_> = b.output().into_iter().flat_map(|(_, m)| updates(m)).collect();
    let [FlowUpdate::Full { event: FlowUpdateEvent::Added, priority: 1, instructions, .. }, FlowUpdate::Resumed] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(*instructions, flow(1, 48).instructions, "as it is now; the other is gone and was never told of");
}

#[test]
fn a_modification_is_told_to_who_watches_the_port_that_it_leaves() {
    let mut b = Bench::up(Version::V14);
    let at_port = |id, port| FlowMonitorRequest {
        out_port: PortNo(port),
        ..monitor(id, MonitorFlags::MODIFY, MonitorCommand::Add)
    };
    b.reply(1, &ask_monitor(vec![at_port(1, 7)]));
    let to = |port| vec![Instruction::ApplyActions(vec![Action::output(PortNo(port))])];
    let change = |before: u32, now: u32| FlowChange {
        event: FlowEvent::Modified,
        flow: FlowDesc { instructions: to(now), ..flow(1, 0) },
        before: Some(to(before).into()),
        bundled: None,
    };
    for (before, now, told) in [(7, 8, 1), (8, 7, 1), (8, 9, 0)] {
        b.session.flow_event(&change(before, now), None);
        assert_eq!(b.output().len(), told, "from {before} to {now}");
    }
}

#[test]
fn an_own_request_is_named_once_whatever_it_changed() {
    let mut b = Bench::up(Version::V14);
    b.reply(1, &ask_monitor(vec![monitor(1, MonitorFlags::REMOVED, MonitorCommand::Add)]));
    for request in [5, 6] {
        b.ask(request, &Message::FlowMod(FlowMod::default()));
        for n in 0..100 {
            tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &flow(n, 0), Some(Xid(request)));
        }
        let told: Vec<_> = b.output().into_iter().flat_map(|(_, m)| updates(m)).collect();
        assert_eq!(told, [FlowUpdate::Abbrev(Xid(request))]);
    }
}

#[test]
fn monitor_requests_are_all_or_nothing() {
    let mut b = Bench::up(Version::V14);
    let add = |id| monitor(id, MonitorFlags::ADD, MonitorCommand::Add);
    assert_eq!(updates(b.reply(1, &ask_monitor(vec![add(1)]))), []);
    assert_eq!(b.refused(2, &ask_monitor(vec![add(2), add(1)])), ErrorKind::FlowMonitorFailedMonitorExists);
    assert_eq!(b.session.monitors(), 1);
    let delete = |id| monitor(id, MonitorFlags::empty(), MonitorCommand::Delete);
    assert_eq!(b.refused(3, &ask_monitor(vec![delete(2)])), ErrorKind::FlowMonitorFailedUnknownMonitor);
    b.reply(4, &ask_monitor(vec![delete(1)]));
    assert_eq!(b.session.monitors(), 0);
}

#[test]
fn nicira_packet_ins_and_controller_ids() {
    let mut b = Bench::up(Version::V10);
    b.ask(1, &Message::Nicira(NxMessage::SetPacketInFormat(1)));
    assert!(b.session.packet_in(b.now, &punted(Some(10))));
    assert!(matches!(b.output().remove(0).1, Message::Nicira(NxMessage::PacketIn(_))));
    b.ask(2, &Message::Nicira(NxMessage::SetControllerId(5)));
    assert!(!b.session.packet_in(b.now, &punted(None)), "not for this controller");
    let mut p = punted(None);
    p.controller_id = Some(5);
    assert!(b.session.packet_in(b.now, &p));
    assert_eq!(b.output().len(), 1);
    assert_eq!(b.refused(3, &Message::Nicira(NxMessage::SetPacketInFormat(9))), ErrorKind::BadRequestEperm);
    assert_eq!(b.now, Time::ZERO);
    assert_eq!(FRAME.len(), 60);
}
