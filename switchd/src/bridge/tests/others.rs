//! What one connection does shows to the others, and what becomes of the bridge without any.

use super::{Bench, add, group};
use crate::bridge::Instance;
use crate::ports::PortEvent;
use crate::session::tests::fake::port;
use crate::session::{ConnId, Purpose};
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::flow::FlowModFlags;
use ofproto::ids::{PortNo, Xid};
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest, SwitchConfig};
use ofproto::port::{PortConfig, PortMod, PortReason};
use ofproto::role::{ControllerStatusProp, Role, RoleMsg};
use ofproto::{ErrorKind, Version};

const V13: Version = Version::V13;
const V14: Version = Version::V14;

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

/// A version's controllers see the bits that it has: spanning tree's and `NO_FLOOD` are 1.0's.
#[test]
fn a_ports_configuration_is_told_in_each_versions_bits() {
    let mut b = Bench::new();
    let (old, new) = (b.connect(Version::V10), b.connect(V13));
    let mod_ = |config, mask| {
        let (port_no, hw_addr) = (PortNo(2), port(2).hw_addr);
        Message::PortMod(PortMod { port_no, hw_addr, config, mask, properties: Vec::new() })
    };
    let known = |b: &Bench| b.hub.switch.control.ports().get(PortNo(2)).unwrap().desc.config;
    let (flood, stp) = (PortConfig::NO_FLOOD, PortConfig::NO_RECV_STP);
    b.say(old, Version::V10, 1, &mod_(flood | PortConfig::NO_RECV, PortConfig::from_bits_retain(0x7f)));
    assert!(matches!(&b.hear(new)[0].1, Message::PortStatus(s) if s.port.config == PortConfig::NO_RECV));
    assert_eq!((b.hear(old).len(), known(&b)), (0, flood | PortConfig::NO_RECV));
    // All frames, where 1.0 has two bits; and back.
    b.say(new, V13, 2, &mod_(PortConfig::NO_RECV, PortConfig::NO_RECV));
    assert_eq!(known(&b), flood | PortConfig::NO_RECV | stp);
    assert!(matches!(&b.hear(old)[0].1, Message::PortStatus(s) if s.port.config == flood | PortConfig::NO_RECV | stp));
    let ask = Message::MultipartRequest(Multipart::last(MultipartRequest::PortDesc(PortNo::ANY)));
    let Message::MultipartReply(Multipart { body: MultipartReply::PortDesc(ports), .. }) = b.ask(new, V13, &ask) else {
        panic!()
    };
    assert!(ports.iter().any(|p| p.port_no == PortNo(2) && p.config == PortConfig::NO_RECV));
    b.say(new, V13, 4, &mod_(PortConfig::empty(), PortConfig::NO_RECV));
    assert_eq!(known(&b), flood);
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

/// What a connection hears of controllers: reason, channel status, role, short id, URI.
fn statuses(b: &mut Bench, id: ConnId) -> Vec<(u8, u8, Role, u16, String)> {
    let heard = b.hear(id).into_iter().filter_map(|(h, m)| match m {
        Message::ControllerStatus(s) => {
            assert_eq!(h.xid, Xid(0));
            let ControllerStatusProp::Uri(uri) = s.properties[0].clone() else { panic!() };
            Some((s.reason, s.channel_status, s.role, s.short_id, uri))
        }
        _ => None,
    });
    heard.collect()
}

/// 1.5.1 §6.3.5, §7.4.7: every connected controller is told of each, itself included.
#[test]
fn controllers_are_told_of_each_other_and_themselves() {
    let mut b = Bench::new();
    let dialled = |b: &mut Bench, uri: &str| {
        let id = b.hub.opened(b.now, uri.into(), Purpose::Controller);
        b.say(id, Version::V15, 1, &Message::Hello(Vec::new()));
        id
    };
    let one = dialled(&mut b, "tcp:one");
    let told = |reason, down, role, short_id, uri: &str| (reason, down, role, short_id, uri.to_owned());
    assert_eq!(statuses(&mut b, one), [told(1, 0, Role::Equal, 0, "tcp:one")]);
    let two = dialled(&mut b, "tcp:two");
    for id in [one, two] {
        assert_eq!(statuses(&mut b, id), [told(1, 0, Role::Equal, 0, "tcp:two")]);
    }
    let role = |role, short_id, generation_id| Message::RoleRequest(RoleMsg { role, short_id, generation_id });
    b.say(one, Version::V15, 2, &role(Role::Master, 7, 1));
    for id in [one, two] {
        let heard = statuses(&mut b, id);
        assert_eq!(heard, [2, 5].map(|reason| told(reason, 0, Role::Master, 7, "tcp:one")));
    }
    // Two change at once: a message for each.
    b.say(two, Version::V15, 2, &role(Role::Master, 0, 2));
    for id in [one, two] {
        let mut heard = statuses(&mut b, id);
        heard.sort_by(|a, b| a.4.cmp(&b.4));
        let expected = [told(2, 0, Role::Slave, 7, "tcp:one"), told(2, 0, Role::Master, 0, "tcp:two")];
        assert_eq!(heard, expected);
    }
    // A query changes nothing.
    b.say(two, Version::V15, 2, &role(Role::NoChange, 0, 0));
    assert_eq!(statuses(&mut b, one), []);
    b.hub.session_mut(two).unwrap().end(false, "test");
    b.hub.closed(b.now, two);
    assert_eq!(statuses(&mut b, one), [told(1, 1, Role::Master, 0, "tcp:two")]);
}

#[test]
fn controllers_are_told_who_is_added_and_removed() {
    let mut b = Bench::new();
    b.hub.set_configured(b.now, vec!["tcp:test".into()]);
    let c = b.connect(Version::V15);
    let told = |reason, uri: &str| vec![(reason, 1, Role::Equal, 0, uri.to_owned())];
    b.hub.set_configured(b.now, vec!["tcp:test".into(), "tcp:late".into()]);
    assert_eq!(statuses(&mut b, c), told(3, "tcp:late"));
    let late = b.hub.opened(b.now, "tcp:late".into(), Purpose::Controller);
    b.say(late, Version::V15, 1, &Message::Hello(Vec::new()));
    b.hear(late);
    assert_eq!(statuses(&mut b, c).len(), 1);
    // It is told nothing, and that it goes is told once.
    b.hub.undialled(&["tcp:late".into()]);
    b.hub.set_configured(b.now, vec!["tcp:test".into()]);
    assert_eq!(statuses(&mut b, c), told(4, "tcp:late"));
    assert_eq!(b.hear(late), []);
    b.hub.closed(b.now, late);
    assert_eq!(b.hear(c), []);
    // With other options it is the same one, connected anew.
    b.hub.undialled(&["tcp:test".into()]);
    let other = b.hub.opened(b.now, "tcp:listener".into(), Purpose::Visitor);
    b.say(other, Version::V15, 1, &Message::Hello(Vec::new()));
    b.say(other, Version::V15, 2, &Message::SetConfig(SwitchConfig { flags: 0, miss_send_len: 9 }));
    assert!(b.hear(other).iter().all(|(_, m)| !matches!(m, Message::ControllerStatus(_))), "who came isn't configured");
    b.hub.set_configured(b.now, vec!["tcp:test".into()]);
    b.hub.closed(b.now, c);
    assert_eq!(statuses(&mut b, other), [(1, 1, Role::Equal, 0, "tcp:test".to_owned())]);
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
