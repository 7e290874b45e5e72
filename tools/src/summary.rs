//! A frame in one line, for people.

use crate::packet::{Ethernet, Ip, Tcp, eth, ip, u16_at, u32_at};
use ofproto::ids::MacAddr;
use std::net::{IpAddr, Ipv4Addr};

/// Says what a frame is: addresses, protocol, and what that protocol is about.
pub fn of(frame: &[u8]) -> String {
    let Some(e) = Ethernet::read(frame) else { return format!("{} bytes, too short for Ethernet", frame.len()) };
    let mut out = String::new();
    for tci in &e.vlans {
        out += &format!("vlan {}", tci & 0xfff);
        if tci >> 13 != 0 {
            out += &format!(" pcp {}", tci >> 13);
        }
        out += " ";
    }
    let what = match e.ty {
        eth::ARP => arp(e.payload),
        eth::IPV4 | eth::IPV6 => Ip::read(e.payload).map(|ip| of_ip(&ip)),
        eth::MPLS => u32_at(e.payload, 0).map(|l| format!("MPLS label {} ttl {}", l >> 12, l & 0xff)),
        eth::LLDP => Some(format!("LLDP from {}", MacAddr(e.src))),
        _ => None,
    };
    out += &what.unwrap_or_else(|| {
        let ty = if e.ty < 0x600 { format!("length {}", e.ty) } else { format!("type {:#06x}", e.ty) };
        format!("{} > {} {ty}", MacAddr(e.src), MacAddr(e.dst))
    });
    out
}

fn arp(p: &[u8]) -> Option<String> {
    let sender = Ipv4Addr::from(u32_at(p, 14)?);
    let target = Ipv4Addr::from(u32_at(p, 24)?);
    let mac = MacAddr(*p.get(8..)?.first_chunk()?);
    Some(match u16_at(p, 6)? {
        1 => format!("ARP who has {target}? tell {sender}"),
        2 => format!("ARP {sender} is at {mac}"),
        op => format!("ARP operation {op}, {sender} > {target}"),
    })
}

fn of_ip(p: &Ip<'_>) -> String {
    let (src, dst) = (p.src, p.dst);
    let ports = |name: &str| {
        let (Some(s), Some(d)) = (u16_at(p.payload, 0), u16_at(p.payload, 2)) else { return None };
        Some(format!("{name} {} > {}", with_port(src, s), with_port(dst, d)))
    };
    let what = if p.later_fragment {
        None
    } else {
        match p.proto {
            ip::TCP => Tcp::read(p.payload).map(|t| {
                let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
                let flags: Vec<&str> =
                    names.iter().enumerate().filter(|(i, _)| t.flags >> i & 1 == 1).map(|(_, n)| *n).collect();
                format!(
                    "TCP {} > {} {} {} bytes",
                    with_port(src, t.src),
                    with_port(dst, t.dst),
                    flags.join("+"),
                    t.payload.len()
                )
            }),
            ip::UDP => ports("UDP").map(|s| format!("{s} {} bytes", p.payload.len().saturating_sub(8))),
            ip::SCTP => ports("SCTP"),
            ip::ICMP => p.payload.first().map(|ty| {
                let what = match ty {
                    0 => "echo reply".into(),
                    3 => "unreachable".into(),
                    8 => "echo request".into(),
                    11 => "time exceeded".into(),
                    ty => format!("type {ty}"),
                };
                format!("ICMP {src} > {dst} {what}{}", echo_number(*ty == 8 || *ty == 0, p.payload))
            }),
            ip::ICMPV6 => p.payload.first().map(|ty| {
                let what = match ty {
                    128 => "echo request".into(),
                    129 => "echo reply".into(),
                    133 => "router solicitation".into(),
                    134 => "router advertisement".into(),
                    135 => "neighbour solicitation".into(),
                    136 => "neighbour advertisement".into(),
                    143 => "multicast listener report".into(),
                    ty => format!("type {ty}"),
                };
                format!("ICMPv6 {src} > {dst} {what}{}", echo_number(matches!(ty, 128 | 129), p.payload))
            }),
            _ => None,
        }
    };
    what.unwrap_or_else(|| {
        let fragment = if p.later_fragment { " later fragment" } else { "" };
        format!("IP {src} > {dst} protocol {}{fragment}", p.proto)
    })
}

fn echo_number(is_echo: bool, p: &[u8]) -> String {
    u16_at(p, 6).filter(|_| is_echo).map_or_else(String::new, |n| format!(" {n}"))
}

fn with_port(ip: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;
    use ofproto::text::{ParseContext, parse_match};

    fn shown(flow: &str) -> String {
        let m = parse_match(flow, &ParseContext::default()).expect(flow);
        of(&compose::frame(&m).expect(flow))
    }

    #[test]
    fn frames_in_words() {
        for (flow, text) in [
            ("arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2", "ARP who has 10.0.0.2? tell 10.0.0.1"),
            ("arp,arp_op=2,arp_spa=10.0.0.1,arp_sha=02:00:00:00:00:01", "ARP 10.0.0.1 is at 02:00:00:00:00:01"),
            ("tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=1,tp_dst=80", "TCP 10.0.0.1:1 > 10.0.0.2:80 ACK 0 bytes"),
            ("udp6,ipv6_src=fe80::1,ipv6_dst=fe80::2,tp_dst=53", "UDP [fe80::1]:0 > [fe80::2]:53 0 bytes"),
            (
                "dl_vlan=5,dl_vlan_pcp=3,icmp,nw_src=1.2.3.4,icmp_type=8",
                "vlan 5 pcp 3 ICMP 1.2.3.4 > 0.0.0.0 echo request 0",
            ),
            ("icmp6,icmp_type=135", "ICMPv6 :: > :: neighbour solicitation"),
            ("ip,nw_proto=47", "IP 0.0.0.0 > 0.0.0.0 protocol 47"),
            ("dl_type=0x88cc,dl_src=02:00:00:00:00:09", "LLDP from 02:00:00:00:00:09"),
            ("dl_type=0x1234", "00:00:00:00:00:00 > 00:00:00:00:00:00 type 0x1234"),
        ] {
            assert_eq!(shown(flow), text, "{flow}");
        }
    }

    #[test]
    fn any_bytes_have_a_line() {
        let m = parse_match("dl_vlan=5,tcp6,tp_dst=80", &ParseContext::default()).expect("a match");
        let frame = compose::frame(&m).expect("a frame");
        for n in 0..frame.len() {
            assert!(!of(&frame[..n]).is_empty());
            let mut bad = frame.clone();
            bad[n] ^= 0xff;
            assert!(!of(&bad).is_empty());
        }
    }
}
