//! What passes beside the flow tables so that a switch reaches its own controllers through its own ports.
//!
//! A switch whose controller lies behind one of its ports can't wait for that controller's flow entries: what
//! carries the channel goes through the learning switch instead of the tables, whatever these say. As with
//! Open vSwitch's in-band control, no controller sees or changes these rules, and no flow counts for them.
//!
//! | rule | lets through |
//! |---|---|
//! | ARP | from or to LOCAL's Ethernet address; requests for LOCAL's own address; whatever names a controller or the router that leads to it, so that switches behind this one find it, too |
//! | neighbour discovery | the same for IPv6: solicitations and advertisements; router solicitations of LOCAL, and what is sent to its Ethernet address |
//! | MLD | LOCAL's reports, without which snooping switches keep its solicitations' answers away |
//! | DHCP, DHCPv6 | requests of LOCAL, and what is sent back to its Ethernet address |
//! | TCP | to and from a controller's address and port, other switches' channels included |
//!
//! DHCP's answers to the broadcast address, and routers' advertisements and MLD queries to all nodes, are hosts' as
//! much as LOCAL's: they go through the tables, and LOCAL gets a copy.
//!
//! Later fragments and everything else go through the tables.
//!
//! Open vSwitch 3 has IPv4's rules only. It knows a router by its Ethernet address and passes its requests and what
//! answers them; here it is known by the address that the kernel's routes give, for which others' requests pass,
//! too. So do requests *for* a controller's address, which pass here alone.

use super::sink::TxSink;
use crate::frame::Frame;
use crate::key::{FlowKey, word};
use crate::packet::Packet;
use crate::parse::parse;
use crate::pipeline::{Env, Outcome, Sink, Start, Unobserved, View, execute};
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use std::net::{IpAddr, SocketAddr};

const ETH_IPV4: u128 = 0x0800;
const ETH_IPV6: u128 = 0x86dd;
const ETH_ARP: u128 = 0x0806;
const BROADCAST: u128 = 0xffff_ffff_ffff;
/// The Ethernet address of IPv6's group of all nodes, `ff02::1`.
const ALL_NODES: u128 = 0x3333_0000_0001;
const ARP_REQUEST: u128 = 1;
const TCP: u128 = 6;
const UDP: u128 = 17;
const ICMPV6: u128 = 58;
const DHCP_SERVER: u128 = 67;
const DHCP_CLIENT: u128 = 68;
const DHCPV6_CLIENT: u128 = 546;
const DHCPV6_SERVER: u128 = 547;
const MLD_QUERY: u128 = 130;
const MLD_REPORT: u128 = 131;
const MLD_DONE: u128 = 132;
const ROUTER_SOLICITATION: u128 = 133;
const ROUTER_ADVERTISEMENT: u128 = 134;
const SOLICITATION: u128 = 135;
const ADVERTISEMENT: u128 = 136;
const MLD2_REPORT: u128 = 143;
/// The bit of the key's `ip_frag` that later fragments have.
const LATER: u128 = 2;

/// The rules of one switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InBand {
    /// LOCAL's Ethernet address, once there is such a port.
    pub local: Option<[u8; 6]>,
    /// The addresses from which the controllers are dialled.
    pub own: Vec<IpAddr>,
    /// The controllers.
    pub controllers: Vec<SocketAddr>,
    /// The routers over which they are reached, as far as they are on no link of ours.
    pub routers: Vec<IpAddr>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Through the learning switch, not through the tables.
    Beside,
    /// Through the tables, and to LOCAL besides.
    AlsoLocal,
    /// Through the tables.
    Tables,
}

impl Way {
    fn beside_if(beside: bool) -> Self {
        if beside { Self::Beside } else { Self::Tables }
    }
}

/// A packet's key, held against the rules.
struct Seen<'a> {
    rules: &'a InBand,
    key: &'a FlowKey,
    from_local: bool,
    to_local: bool,
}

impl Seen<'_> {
    fn get(&self, field: FieldId) -> u128 {
        self.key.get(field)
    }

    /// Whether it is a controller's address, or of a router on the way to one.
    fn is_on_the_way(&self, field: FieldId, v6: bool) -> bool {
        let address = self.get(field);
        let mut all = self.rules.controllers.iter().map(SocketAddr::ip).chain(self.rules.routers.iter().copied());
        all.any(|ip| ip.is_ipv6() == v6 && bits(ip) == address)
    }

    fn is_own(&self, field: FieldId, v6: bool) -> bool {
        let address = self.get(field);
        self.rules.own.iter().any(|own| own.is_ipv6() == v6 && bits(*own) == address)
    }

    fn arp(&self) -> Way {
        use FieldId as F;
        let asks = self.get(F::ArpOp) == ARP_REQUEST;
        Way::beside_if(
            self.from_local
                || self.to_local
                || self.is_on_the_way(F::ArpSpa, false)
                || self.is_on_the_way(F::ArpTpa, false)
                || asks && self.is_own(F::ArpTpa, false),
        )
    }

    fn ip(&self, v6: bool) -> Way {
        use FieldId as F;
        let (source, target) = if v6 { (F::Ipv6Src, F::Ipv6Dst) } else { (F::Ipv4Src, F::Ipv4Dst) };
        match self.get(F::IpProto) {
            TCP => Way::beside_if(self.ends(target, F::TcpDst, v6) || self.ends(source, F::TcpSrc, v6)),
            UDP => self.dhcp(if v6 { (DHCPV6_CLIENT, DHCPV6_SERVER) } else { (DHCP_CLIENT, DHCP_SERVER) }),
            ICMPV6 if v6 => self.icmpv6(),
            _ => Way::Tables,
        }
    }

    /// Whether a controller is at the end of a channel that these fields give.
    fn ends(&self, address: FieldId, port: FieldId, v6: bool) -> bool {
        let (address, port) = (self.get(address), self.get(port));
        let mut controllers = self.rules.controllers.iter().filter(|c| c.is_ipv6() == v6);
        controllers.any(|c| bits(c.ip()) == address && u128::from(c.port()) == port)
    }

    fn dhcp(&self, (client, server): (u128, u128)) -> Way {
        use FieldId as F;
        let ports = (self.get(F::UdpSrc), self.get(F::UdpDst));
        if ports == (client, server) {
            Way::beside_if(self.is_local_s())
        } else if ports != (server, client) {
            Way::Tables
        } else if self.to_local {
            Way::Beside
        } else {
            self.to_all(BROADCAST)
        }
    }

    fn icmpv6(&self) -> Way {
        use FieldId as F;
        match self.get(F::Icmpv6Type) {
            SOLICITATION if self.is_own(F::Ipv6NdTarget, true) => Way::Beside,
            SOLICITATION | ADVERTISEMENT => {
                let named = [F::Ipv6NdTarget, F::Ipv6Src, F::Ipv6Dst].iter().any(|f| self.is_on_the_way(*f, true));
                Way::beside_if(self.from_local || self.to_local || named)
            }
            ROUTER_SOLICITATION | MLD_REPORT | MLD_DONE | MLD2_REPORT => Way::beside_if(self.is_local_s()),
            ROUTER_ADVERTISEMENT if self.to_local => Way::Beside,
            ROUTER_ADVERTISEMENT | MLD_QUERY => self.to_all(ALL_NODES),
            _ => Way::Tables,
        }
    }

    /// Whether LOCAL sent it, and nobody who borrows its Ethernet address.
    fn is_local_s(&self) -> bool {
        self.from_local && self.get(FieldId::InPort) == u128::from(PortNo::LOCAL.0)
    }

    /// The way of what is LOCAL's as well as everybody's if it goes to the Ethernet address `all`.
    fn to_all(&self, all: u128) -> Way {
        let for_local = self.rules.local.is_some() && self.get(FieldId::InPort) != u128::from(PortNo::LOCAL.0);
        if for_local && self.get(FieldId::EthDst) == all { Way::AlsoLocal } else { Way::Tables }
    }
}

impl InBand {
    fn way(&self, key: &FlowKey) -> Way {
        use FieldId as F;
        let mac = self.local.map(|mac| mac.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte)));
        let (from_local, to_local) = (mac == Some(key.get(F::EthSrc)), mac == Some(key.get(F::EthDst)));
        let seen = Seen { rules: self, key, from_local, to_local };
        match key.get(F::EthType) {
            ETH_ARP => seen.arp(),
            ty @ (ETH_IPV4 | ETH_IPV6) if key.get(F::IpFrag) & LATER == 0 => seen.ip(ty == ETH_IPV6),
            _ => Way::Tables,
        }
    }

    /// Whether a packet with this key, all of its headers in it, passes beside the tables.
    pub fn admits(&self, key: &FlowKey) -> bool {
        self.way(key) == Way::Beside
    }

    /// Takes what passes out of a burst and sends it through the learning switch; the rest stays, copied to LOCAL
    /// where that has a share in it.
    pub(super) fn divert<'v>(
        &self,
        view: impl View<'v>,
        env: Env<'v>,
        in_port: PortNo,
        frames: &mut Vec<Frame>,
        sink: &mut TxSink<'_>,
    ) {
        let mut port_key = FlowKey::default();
        port_key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
        let way = |frame: &Frame| {
            let mut key = port_key;
            parse(frame.bytes(), &mut key);
            self.way(&key)
        };
        if !sink.shared.is_standalone() {
            // Without tables everything for all reaches LOCAL anyway.
            for frame in frames.iter().filter(|frame| way(frame) == Way::AlsoLocal) {
                sink.transmit(PortNo::LOCAL, None, frame.duplicate());
            }
        }
        for frame in frames.extract_if(.., |frame| way(frame) == Way::Beside) {
            let mut packet = Packet::with_key(frame, port_key);
            if let Outcome::Left(frame) = execute(view, env, &mut packet, Start::Normal, sink, &mut Unobserved) {
                sink.left(frame);
            }
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

    fn rules() -> InBand {
        InBand {
            local: Some(LOCAL),
            own: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            controllers: vec!["10.0.0.9:6653".parse().unwrap(), "[fd00::9]:6653".parse().unwrap()],
            routers: vec!["10.0.0.254".parse().unwrap(), "fe80::fe".parse().unwrap()],
        }
    }

    fn passes(rules: &InBand, in_port: PortNo, bytes: &[u8]) -> bool {
        way(rules, in_port, bytes) == Way::Beside
    }

    fn way(rules: &InBand, in_port: PortNo, bytes: &[u8]) -> Way {
        let mut key = FlowKey::default();
        key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
        parse(bytes, &mut key);
        rules.way(&key)
    }

    fn ethernet(destination: [u8; 6], source: [u8; 6], ty: u16, rest: &[u8]) -> Vec<u8> {
        [&destination[..], &source, &ty.to_be_bytes(), rest].concat()
    }

    fn arp(destination: [u8; 6], source: [u8; 6], op: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let body = [&[0, 1, 8, 0, 6, 4, 0, op][..], &source, &sender, &destination, &target].concat();
        ethernet(destination, source, 0x0806, &body)
    }

    /// An IPv4 packet of 40 bytes whose transport header is only its ports.
    fn ip(macs: [[u8; 6]; 2], fragment: u16, proto: u8, ends: [([u8; 4], u16); 2]) -> Vec<u8> {
        let [(source, source_port), (target, target_port)] = ends;
        let f = fragment.to_be_bytes();
        let mut body = vec![0x45, 0, 0, 40, 0, 0, f[0], f[1], 64, proto, 0, 0];
        body.extend_from_slice(&source);
        body.extend_from_slice(&target);
        body.extend_from_slice(&source_port.to_be_bytes());
        body.extend_from_slice(&target_port.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
        ethernet(macs[1], macs[0], 0x0800, &body)
    }

    const ME: [u8; 4] = [10, 0, 0, 1];
    const CONTROLLER: [u8; 4] = [10, 0, 0, 9];
    const STRANGER: [u8; 4] = [10, 0, 0, 7];
    const ROUTER: [u8; 4] = [10, 0, 0, 254];
    const ALL: [u8; 6] = [0xff; 6];
    const P1: PortNo = PortNo(1);

    #[test]
    fn arp_that_the_channel_needs_passes_and_no_other() {
        let r = rules();
        let cases = [
            (true, arp(ALL, LOCAL, 1, ME, STRANGER), "a request of LOCAL"),
            (true, arp(LOCAL, OTHER, 2, STRANGER, ME), "a reply to LOCAL"),
            (true, arp(ALL, OTHER, 1, STRANGER, ME), "a request for LOCAL's address"),
            (true, arp(OTHER, LOCAL, 2, ME, STRANGER), "LOCAL's reply to it"),
            (true, arp(ALL, OTHER, 1, STRANGER, CONTROLLER), "another switch looks for the controller"),
            (true, arp(OTHER, OTHER, 2, CONTROLLER, STRANGER), "and is answered"),
            (true, arp(ALL, OTHER, 1, CONTROLLER, STRANGER), "the controller looks for another switch"),
            (true, arp(ALL, OTHER, 1, STRANGER, ROUTER), "another switch looks for the router"),
            (true, arp(OTHER, OTHER, 2, ROUTER, STRANGER), "and is answered"),
            (true, arp(ALL, OTHER, 1, ROUTER, STRANGER), "the router looks for another switch"),
            (true, arp(OTHER, OTHER, 2, STRANGER, ROUTER), "and is answered"),
            (false, arp(ALL, OTHER, 1, STRANGER, [10, 0, 0, 8]), "hosts among themselves"),
            (false, arp(OTHER, OTHER, 2, [10, 0, 0, 8], STRANGER), "hosts among themselves"),
        ];
        for (expected, frame, what) in cases {
            assert_eq!(passes(&r, P1, &frame), expected, "{what}");
        }
    }

    #[test]
    fn channels_pass_by_address_and_port() {
        let r = rules();
        let macs = [OTHER, OTHER];
        let there = |address, port| [(STRANGER, 40000), (address, port)];
        assert!(passes(&r, P1, &ip(macs, 0, 6, there(CONTROLLER, 6653))));
        assert!(passes(&r, P1, &ip(macs, 0x2000, 6, there(CONTROLLER, 6653))), "a first fragment has its ports");
        assert!(passes(&r, P1, &ip(macs, 0, 6, [(CONTROLLER, 6653), (STRANGER, 40000)])));
        for (frame, what) in [
            (ip(macs, 0, 6, there(CONTROLLER, 80)), "another port"),
            (ip(macs, 0, 6, there(STRANGER, 6653)), "another host"),
            (ip(macs, 0, 6, there(ROUTER, 6653)), "the router itself"),
            (ip(macs, 0, 17, there(CONTROLLER, 6653)), "no TCP"),
            (ip(macs, 1, 6, there(CONTROLLER, 6653)), "a later fragment"),
            (ip(macs, 0, 6, [(CONTROLLER, 80), (STRANGER, 6653)]), "address and port of different ends"),
        ] {
            assert!(!passes(&r, P1, &frame), "{what}");
        }
    }

    #[test]
    fn dhcp_passes_for_local_alone() {
        let r = rules();
        let ask = |from| ip([from, ALL], 0, 17, [([0; 4], 68), ([255; 4], 67)]);
        let offer = |to| ip([OTHER, to], 0, 17, [(STRANGER, 67), (ME, 68)]);
        assert!(passes(&r, PortNo::LOCAL, &ask(LOCAL)));
        assert!(!passes(&r, P1, &ask(LOCAL)), "whoever borrows LOCAL's address");
        assert!(!passes(&r, PortNo::LOCAL, &ask(OTHER)));
        assert!(passes(&r, P1, &offer(LOCAL)));
        assert!(!passes(&r, P1, &offer(OTHER)));
        // Whose it is stands further inside: the tables have it, and LOCAL.
        assert_eq!(way(&r, P1, &offer(ALL)), Way::AlsoLocal);
        assert_eq!(way(&r, PortNo::LOCAL, &offer(ALL)), Way::Tables, "LOCAL needs no copy of its own");
        assert_eq!(way(&InBand { local: None, ..r }, P1, &offer(ALL)), Way::Tables);
    }

    const ME6: &str = "fd00::1";
    const CONTROLLER6: &str = "fd00::9";
    const STRANGER6: &str = "fd00::7";
    const ROUTER6: &str = "fe80::fe";
    const NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

    fn v6(address: &str) -> [u8; 16] {
        address.parse::<std::net::Ipv6Addr>().unwrap().octets()
    }

    /// An IPv6 packet; `fragment` is the fragment header's offset and flags, if there is one.
    fn ip6(macs: [[u8; 6]; 2], fragment: Option<u16>, proto: u8, ends: [&str; 2], rest: &[u8]) -> Vec<u8> {
        let extra = if fragment.is_some() { 8 } else { 0 };
        let length = u16::try_from(rest.len() + extra).unwrap().to_be_bytes();
        let next = if fragment.is_some() { 44 } else { proto };
        let mut body = vec![0x60, 0, 0, 0, length[0], length[1], next, 255];
        body.extend(v6(ends[0]).into_iter().chain(v6(ends[1])));
        if let Some(f) = fragment.map(u16::to_be_bytes) {
            body.extend([proto, 0, f[0], f[1], 0, 0, 0, 1]);
        }
        body.extend_from_slice(rest);
        ethernet(macs[1], macs[0], 0x86dd, &body)
    }

    /// Neighbour discovery about `target`.
    fn nd(macs: [[u8; 6]; 2], ty: u8, ends: [&str; 2], target: &str) -> Vec<u8> {
        ip6(macs, None, 58, ends, &[&[ty, 0, 0, 0, 0, 0, 0, 0][..], &v6(target)].concat())
    }

    #[test]
    fn neighbour_discovery_that_the_channel_needs_passes_and_no_other() {
        let r = rules();
        let group = "ff02::1:ff00:1";
        let (hosts, out, back) = ([OTHER, OTHER], [LOCAL, OTHER], [OTHER, LOCAL]);
        for (expected, frame, what) in [
            (true, nd(out, 135, [ME6, group], STRANGER6), "a solicitation of LOCAL"),
            (true, nd(out, 135, ["::", group], ME6), "LOCAL asks whether its address is another's"),
            (true, nd(back, 136, [STRANGER6, ME6], STRANGER6), "an advertisement to LOCAL"),
            (true, nd(hosts, 135, [STRANGER6, group], ME6), "a solicitation of LOCAL's address"),
            (true, nd(out, 136, [ME6, STRANGER6], ME6), "LOCAL's advertisement of it"),
            (true, nd(hosts, 135, [STRANGER6, group], CONTROLLER6), "another switch looks for the controller"),
            (true, nd(hosts, 136, [CONTROLLER6, STRANGER6], CONTROLLER6), "and is answered"),
            (true, nd(hosts, 135, [CONTROLLER6, group], STRANGER6), "the controller looks for another switch"),
            (true, nd(hosts, 136, [STRANGER6, CONTROLLER6], STRANGER6), "and is answered"),
            (true, nd(hosts, 135, [STRANGER6, group], ROUTER6), "another switch looks for the router"),
            (true, nd(hosts, 136, [ROUTER6, STRANGER6], ROUTER6), "and is answered"),
            (true, nd(hosts, 135, [ROUTER6, group], STRANGER6), "the router looks for another switch"),
            (true, nd(hosts, 136, [STRANGER6, ROUTER6], STRANGER6), "and is answered"),
            (false, nd(hosts, 135, [STRANGER6, group], "fd00::8"), "hosts among themselves"),
            (false, nd(hosts, 136, ["fd00::8", STRANGER6], "fd00::8"), "hosts among themselves"),
            (false, nd(hosts, 136, ["fd00::8", STRANGER6], ME6), "somebody else claims LOCAL's address"),
            (false, nd(hosts, 128, [CONTROLLER6, STRANGER6], ME6), "an echo request"),
        ] {
            assert_eq!(passes(&r, P1, &frame), expected, "{what}");
        }
        // Address families are apart: the bits of an IPv4 address are no IPv6 address.
        let low = "::a00:9";
        assert!(!passes(&r, P1, &nd(hosts, 135, [low, group], low)));
    }

    #[test]
    fn routers_and_groups_reach_local() {
        let r = rules();
        let node = "fe80::1";
        let say = |macs, ty| ip6(macs, None, 58, [node, "ff02::1"], &[ty, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for ty in [131, 132, 133, 143] {
            assert_eq!(way(&r, PortNo::LOCAL, &say([LOCAL, NODES], ty)), Way::Beside, "{ty}");
            assert_eq!(way(&r, P1, &say([LOCAL, NODES], ty)), Way::Tables, "{ty} of whoever borrows LOCAL's address");
            assert_eq!(way(&r, P1, &say([OTHER, NODES], ty)), Way::Tables, "{ty} of a host");
        }
        for ty in [130, 134] {
            assert_eq!(way(&r, P1, &say([OTHER, NODES], ty)), Way::AlsoLocal, "{ty}");
            assert_eq!(way(&r, PortNo::LOCAL, &say([LOCAL, NODES], ty)), Way::Tables, "{ty}");
        }
        assert_eq!(way(&r, P1, &say([OTHER, LOCAL], 134)), Way::Beside);
        assert_eq!(way(&r, P1, &say([OTHER, OTHER], 134)), Way::Tables);
    }

    #[test]
    fn channels_and_dhcp_over_ipv6_pass_by_address_and_port() {
        let r = rules();
        let hosts = [OTHER, OTHER];
        let ports = |from: u16, to: u16| {
            let mut l4 = [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 16]].concat();
            l4[12] = 0x50;
            l4
        };
        let there = ports(40000, 6653);
        assert!(passes(&r, P1, &ip6(hosts, None, 6, [STRANGER6, CONTROLLER6], &there)));
        assert!(passes(&r, P1, &ip6(hosts, Some(1), 6, [STRANGER6, CONTROLLER6], &there)), "a first fragment");
        assert!(passes(&r, P1, &ip6(hosts, None, 6, [CONTROLLER6, STRANGER6], &ports(6653, 40000))));
        for (frame, what) in [
            (ip6(hosts, None, 6, [STRANGER6, CONTROLLER6], &ports(40000, 80)), "another port"),
            (ip6(hosts, None, 6, [STRANGER6, ME6], &there), "another host"),
            (ip6(hosts, None, 17, [STRANGER6, CONTROLLER6], &there), "no TCP"),
            (ip6(hosts, Some(9), 6, [STRANGER6, CONTROLLER6], &there), "a later fragment"),
            (ip6(hosts, None, 6, [CONTROLLER6, STRANGER6], &there), "address and port of different ends"),
        ] {
            assert!(!passes(&r, P1, &frame), "{what}");
        }
        let ask = |from| ip6([from, NODES], None, 17, ["fe80::1", "ff02::1:2"], &ports(546, 547));
        let answer = |to| ip6([OTHER, to], None, 17, ["fe80::2", "fe80::1"], &ports(547, 546));
        assert!(passes(&r, PortNo::LOCAL, &ask(LOCAL)));
        assert!(!passes(&r, P1, &ask(LOCAL)) && !passes(&r, PortNo::LOCAL, &ask(OTHER)));
        assert!(passes(&r, P1, &answer(LOCAL)) && !passes(&r, P1, &answer(OTHER)));
    }

    #[test]
    fn nothing_passes_by_an_address_that_is_not_known() {
        let r = InBand { local: None, ..rules() };
        // An absent field reads as 0: so must no rule.
        assert!(!passes(&r, P1, &ethernet([0; 6], [0; 6], 0x0806, &[0; 28])));
        assert!(!passes(&r, P1, &arp(LOCAL, OTHER, 2, STRANGER, [0; 4])));
        assert!(!passes(&rules(), P1, &[]));
    }
}
