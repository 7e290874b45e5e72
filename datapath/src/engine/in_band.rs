//! What passes beside the flow tables so that a switch reaches its own controllers through its own ports.
//!
//! A switch whose controller lies behind one of its ports can't wait for that controller's flow entries: what
//! carries the channel goes through the learning switch instead of the tables, whatever these say. As with
//! Open vSwitch's in-band control, no controller sees or changes these rules, and no flow counts for them.
//!
//! | rule | lets through |
//! |---|---|
//! | ARP | from or to LOCAL's Ethernet address; requests for LOCAL's own address; whatever names a controller, so that switches behind this one find it, too |
//! | DHCP | requests of LOCAL, and what is sent back to its Ethernet address |
//! | TCP | to and from a controller's address and port, other switches' channels included |
//!
//! Later fragments and everything else go through the tables.

use super::sink::TxSink;
use crate::frame::Frame;
use crate::key::{FlowKey, word};
use crate::packet::Packet;
use crate::parse::parse;
use crate::pipeline::{Env, Outcome, Sink, Start, Unobserved, View, execute};
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use std::net::{Ipv4Addr, SocketAddrV4};

const ETH_IPV4: u128 = 0x0800;
const ETH_ARP: u128 = 0x0806;
const ARP_REQUEST: u128 = 1;
const TCP: u128 = 6;
const UDP: u128 = 17;
const DHCP_SERVER: u128 = 67;
const DHCP_CLIENT: u128 = 68;
/// The bit of the key's `ip_frag` that later fragments have.
const LATER: u128 = 2;

/// The rules of one switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InBand {
    /// LOCAL's Ethernet address, once there is such a port.
    pub local: Option<[u8; 6]>,
    /// The addresses from which the controllers are dialled.
    pub own: Vec<Ipv4Addr>,
    /// The controllers.
    pub controllers: Vec<SocketAddrV4>,
}

impl InBand {
    /// Whether a packet with this key, all of its headers in it, passes beside the tables.
    pub fn admits(&self, key: &FlowKey) -> bool {
        use FieldId as F;
        let get = |field| key.get(field);
        let mac = self.local.map(|mac| mac.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte)));
        let (from_local, to_local) = (mac == Some(get(F::EthSrc)), mac == Some(get(F::EthDst)));
        let controller = |address| self.controllers.iter().any(|c| bits(*c.ip()) == address);
        match get(F::EthType) {
            ETH_ARP => {
                let (asks, target) = (get(F::ArpOp) == ARP_REQUEST, get(F::ArpTpa));
                from_local
                    || to_local
                    || controller(get(F::ArpSpa))
                    || controller(target)
                    || asks && self.own.iter().any(|own| bits(*own) == target)
            }
            ETH_IPV4 if get(F::IpFrag) & LATER == 0 => {
                let end = |address, port| {
                    let (address, port) = (get(address), get(port));
                    self.controllers.iter().any(|c| bits(*c.ip()) == address && u128::from(c.port()) == port)
                };
                match get(F::IpProto) {
                    TCP => end(F::Ipv4Dst, F::TcpDst) || end(F::Ipv4Src, F::TcpSrc),
                    UDP => match (get(F::UdpSrc), get(F::UdpDst)) {
                        (DHCP_CLIENT, DHCP_SERVER) => from_local && get(F::InPort) == u128::from(PortNo::LOCAL.0),
                        (DHCP_SERVER, DHCP_CLIENT) => to_local,
                        _ => false,
                    },
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// Takes what passes out of a burst and sends it through the learning switch; the rest stays.
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
        let passes = |frame: &mut Frame| {
            let mut key = port_key;
            parse(frame.bytes(), &mut key);
            self.admits(&key)
        };
        for frame in frames.extract_if(.., passes) {
            let mut packet = Packet::with_key(frame, port_key);
            if let Outcome::Left(frame) = execute(view, env, &mut packet, Start::Normal, sink, &mut Unobserved) {
                sink.left(frame);
            }
        }
    }
}

fn bits(address: Ipv4Addr) -> u128 {
    address.to_bits().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

    fn rules() -> InBand {
        InBand {
            local: Some(LOCAL),
            own: vec![Ipv4Addr::new(10, 0, 0, 1)],
            controllers: vec![SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 6653)],
        }
    }

    fn passes(rules: &InBand, in_port: PortNo, bytes: &[u8]) -> bool {
        let mut key = FlowKey::default();
        key.0[word::IN_PORT] = u64::from(in_port.0) << 32 | u64::from(in_port.0);
        parse(bytes, &mut key);
        rules.admits(&key)
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
