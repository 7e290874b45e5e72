//! Flow monitors' requests (OpenFlow 1.4.1 §7.3.5.17, 1.5.1 §7.3.5.19); what they tell: `events`.

use super::events::{ask_monitor, monitor, tell, updates};
use super::fake::{Bench, flow};
use crate::session::notify::FlowEvent;
use ofproto::flow::FlowRemovedReason;
use ofproto::ids::Xid;
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::monitor::{FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use ofproto::{ErrorKind, Version};

const BOTH: [Version; 2] = [Version::V14, Version::V15];

fn told(b: &mut Bench) -> Vec<FlowUpdate> {
    b.output().into_iter().flat_map(|(_, m)| updates(m)).collect()
}

#[test]
fn a_request_may_come_in_segments_and_has_one_reply() {
    for version in BOTH {
        let mut b = Bench::up(version);
        b.host.flows = 3;
        let flags = MonitorFlags::INITIAL;
        let segment = |more, id| {
            let body = MultipartRequest::FlowMonitor(vec![monitor(id, flags, MonitorCommand::Add)]);
            Message::MultipartRequest(Multipart { more, other_flags: 0, body })
        };
        assert_eq!(b.ask(1, &segment(true, 1)), []);
        let parts = b.ask(1, &segment(false, 2));
        let more: Vec<_> = parts.iter().map(|(_, m)| matches!(m, Message::MultipartReply(m) if m.more)).collect();
        assert!(parts.iter().all(|(h, _)| h.xid == Xid(1)) && !more.ends_with(&[true]));
        let initial: Vec<_> = parts.into_iter().flat_map(|(_, m)| updates(m)).collect();
        assert_eq!(initial.len(), 3, "{version}: an entry that both monitors match is there once");
        assert_eq!(b.session.monitors(), 2);
    }
}

#[test]
fn without_a_flag_nothing_of_its_kind_is_told() {
    let events = [
        (MonitorFlags::ADD, FlowEvent::Added),
        (MonitorFlags::MODIFY, FlowEvent::Modified),
        (MonitorFlags::REMOVED, FlowEvent::Removed(FlowRemovedReason::Delete)),
    ];
    for (flag, _) in events {
        let mut b = Bench::up(Version::V15);
        assert_eq!(updates(b.reply(1, &ask_monitor(vec![monitor(1, flag, MonitorCommand::Add)]))), []);
        for (asked, event) in events {
            tell(&mut b, event, &flow(1, 0), None);
            assert_eq!(told(&mut b).len(), usize::from(asked == flag), "{flag:?} {event:?}");
        }
    }
}

/// Several monitors that match are told of by one update, with all that any of them asks for.
#[test]
fn an_update_holds_what_any_matching_monitor_asks_for() {
    let mut b = Bench::up(Version::V14);
    let add = |id, more| monitor(id, MonitorFlags::ADD | more, MonitorCommand::Add);
    b.reply(1, &ask_monitor(vec![add(1, MonitorFlags::empty())]));
    tell(&mut b, FlowEvent::Added, &flow(1, 16), None);
    assert!(matches!(&told(&mut b)[..], [FlowUpdate::Full { instructions, .. }] if instructions.is_empty()));
    tell(&mut b, FlowEvent::Added, &flow(2, 16), Some(Xid(5)));
    assert_eq!(told(&mut b), [FlowUpdate::Abbrev(Xid(5))]);
    b.reply(2, &ask_monitor(vec![add(2, MonitorFlags::INSTRUCTIONS), add(3, MonitorFlags::NO_ABBREV)]));
    tell(&mut b, FlowEvent::Added, &flow(3, 16), Some(Xid(6)));
    let [FlowUpdate::Full { event: FlowUpdateEvent::Added, instructions, .. }] = &told(&mut b)[..] else { panic!() };
    assert_eq!(*instructions, flow(3, 16).instructions);
}

#[test]
fn only_own_leaves_out_what_others_do() {
    let mut b = Bench::up(Version::V14);
    let flags = MonitorFlags::ADD | MonitorFlags::ONLY_OWN;
    b.reply(1, &ask_monitor(vec![monitor(1, flags, MonitorCommand::Add)]));
    tell(&mut b, FlowEvent::Added, &flow(1, 0), None);
    assert_eq!(told(&mut b), []);
    tell(&mut b, FlowEvent::Added, &flow(2, 0), Some(Xid(5)));
    assert_eq!(told(&mut b), [FlowUpdate::Abbrev(Xid(5))]);
}

#[test]
fn a_modify_is_a_delete_and_an_add() {
    for version in BOTH {
        let mut b = Bench::up(version);
        b.host.flows = 2;
        b.reply(1, &ask_monitor(vec![monitor(1, MonitorFlags::ADD, MonitorCommand::Add)]));
        let flags = MonitorFlags::INITIAL | MonitorFlags::REMOVED;
        let initial = updates(b.reply(2, &ask_monitor(vec![monitor(1, flags, MonitorCommand::Modify)])));
        assert_eq!(initial.len(), 2, "{version}: the state as for a new one");
        tell(&mut b, FlowEvent::Added, &flow(1, 0), None);
        assert_eq!(told(&mut b), []);
        tell(&mut b, FlowEvent::Removed(FlowRemovedReason::IdleTimeout), &flow(1, 0), None);
        let [FlowUpdate::Full { event, .. }] = &told(&mut b)[..] else { panic!() };
        assert_eq!(*event, FlowUpdateEvent::Removed(FlowRemovedReason::IdleTimeout), "with the reason");
        // Deleted, it tells nothing.
        b.reply(3, &ask_monitor(vec![monitor(1, MonitorFlags::empty(), MonitorCommand::Delete)]));
        tell(&mut b, FlowEvent::Removed(FlowRemovedReason::Delete), &flow(1, 0), None);
        assert_eq!(told(&mut b), []);
    }
}

#[test]
fn there_are_only_so_many() {
    let mut b = Bench::up(Version::V14);
    let add = |id| monitor(id, MonitorFlags::ADD, MonitorCommand::Add);
    let most = crate::session::limits::MONITORS as u32;
    b.reply(1, &ask_monitor((0..most).map(add).collect()));
    assert_eq!(b.refused(2, &ask_monitor(vec![add(most)])), ErrorKind::FlowMonitorFailedUnknown);
    assert_eq!(b.session.monitors(), most as usize);
}
