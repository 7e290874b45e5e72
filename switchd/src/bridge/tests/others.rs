//! What one connection does shows to the others, and what becomes of the bridge without any.

use super::{Bench, add, group};
use crate::bridge::Instance;
use crate::ports::PortEvent;
use crate::session::Purpose;
use crate::session::tests::fake::port;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::flow::FlowModFlags;
use ofproto::ids::{PortNo, Xid};
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::port::{PortConfig, PortMod, PortReason};
use ofproto::role::{Role, RoleMsg};
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
