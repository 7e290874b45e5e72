//! A frame that a match covers: what the flow syntax says, and zero, or the usual, elsewhere.

use crate::packet::{checksum, eth, ip};
use ofproto::field::FieldId;
use ofproto::matching::Match;

/// The shortest Ethernet frame, without the checksum.
const SHORTEST: usize = 60;

/// Composes a frame. Masked fields take the value's bits; fields that no frame holds (ports,
/// metadata, registers) are passed over.
///
/// # Errors
/// A field that this can't put into a frame, in words.
pub fn frame(m: &Match) -> Result<Vec<u8>, String> {
    let get = |id| m.get(id).map(|f| f.value);
    let or = |id, default: u128| get(id).unwrap_or(default);
    if let Some(f) = m.fields.iter().find(|f| !known(f.id)) {
        return Err(format!("{} can't be put into a frame here: give the bytes in hexadecimal", f.id.info().name));
    }
    let ty = or(FieldId::EthType, 0) as u16;
    let mut out = Vec::with_capacity(SHORTEST);
    out.extend(mac(or(FieldId::EthDst, 0)));
    out.extend(mac(or(FieldId::EthSrc, 0)));
    // The present bit says that there is a tag (OpenFlow 1.3.5 §7.2.3.8).
    let vid = or(FieldId::VlanVid, 0) as u16;
    if vid & 0x1000 != 0 {
        out.extend(eth::VLAN.to_be_bytes());
        out.extend(((or(FieldId::VlanPcp, 0) as u16) << 13 | vid & 0xfff).to_be_bytes());
    }
    out.extend(ty.to_be_bytes());
    match ty {
        eth::IPV4 => ipv4(&mut out, m),
        eth::IPV6 => ipv6(&mut out, m),
        eth::ARP => {
            out.extend([0, 1, 8, 0, 6, 4]);
            out.extend((or(FieldId::ArpOp, 1) as u16).to_be_bytes());
            out.extend(mac(or(FieldId::ArpSha, or(FieldId::EthSrc, 0))));
            out.extend((or(FieldId::ArpSpa, 0) as u32).to_be_bytes());
            out.extend(mac(or(FieldId::ArpTha, 0)));
            out.extend((or(FieldId::ArpTpa, 0) as u32).to_be_bytes());
        }
        0x8847 | 0x8848 => {
            let word = (or(FieldId::MplsLabel, 0) as u32) << 12
                | (or(FieldId::MplsTc, 0) as u32) << 9
                | (or(FieldId::MplsBos, 1) as u32) << 8
                | or(FieldId::MplsTtl, 64) as u32;
            out.extend(word.to_be_bytes());
        }
        _ => {}
    }
    if out.len() < SHORTEST {
        out.resize(SHORTEST, 0);
    }
    Ok(out)
}

/// What [`frame`] writes, and what stands in no frame.
fn known(id: FieldId) -> bool {
    use FieldId::*;
    let written = [
        EthDst, EthSrc, EthType, VlanVid, VlanPcp, IpDscp, IpEcn, IpProto, NwTtl, Ipv4Src, Ipv4Dst, Ipv6Src, Ipv6Dst,
        Ipv6Flabel, TcpSrc, TcpDst, TcpFlags, UdpSrc, UdpDst, SctpSrc, SctpDst, Icmpv4Type, Icmpv4Code, Icmpv6Type,
        Icmpv6Code, ArpOp, ArpSpa, ArpTpa, ArpSha, ArpTha, MplsLabel, MplsTc, MplsBos, MplsTtl,
    ];
    let outside = [InPort, InPhyPort, Metadata, TunnelId, PacketType];
    written.contains(&id) || outside.contains(&id)
}

fn mac(value: u128) -> [u8; 6] {
    let b = value.to_be_bytes();
    [b[10], b[11], b[12], b[13], b[14], b[15]]
}

/// The transport header, with a zero checksum.
fn transport(m: &Match, proto: u8) -> Vec<u8> {
    let port = |id| m.get(id).map_or(0, |f| f.value as u16).to_be_bytes();
    let byte = |id, default| m.get(id).map_or(default, |f| f.value as u8);
    let mut out = Vec::new();
    match proto {
        ip::TCP => {
            out.extend(port(FieldId::TcpSrc));
            out.extend(port(FieldId::TcpDst));
            out.extend([0; 8]);
            let flags = m.get(FieldId::TcpFlags).map_or(0x10, |f| f.value as u16) & 0xfff;
            out.extend((5 << 12 | flags).to_be_bytes());
            out.extend([0xff, 0xff, 0, 0, 0, 0]);
        }
        ip::UDP => {
            out.extend(port(FieldId::UdpSrc));
            out.extend(port(FieldId::UdpDst));
            out.extend([0, 8, 0, 0]);
        }
        ip::SCTP => {
            out.extend(port(FieldId::SctpSrc));
            out.extend(port(FieldId::SctpDst));
            out.extend([0; 8]);
        }
        ip::ICMP => out.extend([byte(FieldId::Icmpv4Type, 8), byte(FieldId::Icmpv4Code, 0), 0, 0, 0, 0, 0, 0]),
        ip::ICMPV6 => {
            out.extend([byte(FieldId::Icmpv6Type, 128), byte(FieldId::Icmpv6Code, 0), 0, 0, 0, 0, 0, 0]);
        }
        _ => {}
    }
    out
}

/// Where the checksum of a transport header stands, and which sum it continues.
fn finish(mut l4: Vec<u8>, proto: u8, pseudo: &[u8]) -> Vec<u8> {
    let (at, with_pseudo) = match proto {
        ip::TCP => (16, true),
        ip::UDP => (6, true),
        ip::ICMPV6 => (2, true),
        ip::ICMP => (2, false),
        _ => return l4,
    };
    let mut all = if with_pseudo { pseudo.to_vec() } else { Vec::new() };
    all.extend(&l4);
    let mut sum = checksum(&all);
    if proto == ip::UDP && sum == 0 {
        sum = 0xffff;
    }
    if let Some(place) = l4.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
    l4
}

fn ipv4(out: &mut Vec<u8>, m: &Match) {
    let get = |id, default: u128| m.get(id).map_or(default, |f| f.value);
    let proto = get(FieldId::IpProto, 0) as u8;
    let (src, dst) = (get(FieldId::Ipv4Src, 0) as u32, get(FieldId::Ipv4Dst, 0) as u32);
    let l4 = transport(m, proto);
    let length = 20 + l4.len() as u16;
    let mut header = vec![0x45, (get(FieldId::IpDscp, 0) as u8) << 2 | get(FieldId::IpEcn, 0) as u8 & 3];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0x40, 0, get(FieldId::NwTtl, 64) as u8, proto, 0, 0]);
    header.extend(src.to_be_bytes());
    header.extend(dst.to_be_bytes());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut pseudo = Vec::new();
    pseudo.extend(src.to_be_bytes());
    pseudo.extend(dst.to_be_bytes());
    pseudo.extend([0, proto]);
    pseudo.extend((l4.len() as u16).to_be_bytes());
    out.extend(header);
    out.extend(finish(l4, proto, &pseudo));
}

fn ipv6(out: &mut Vec<u8>, m: &Match) {
    let get = |id, default: u128| m.get(id).map_or(default, |f| f.value);
    let proto = get(FieldId::IpProto, 59) as u8;
    let (src, dst) = (get(FieldId::Ipv6Src, 0), get(FieldId::Ipv6Dst, 0));
    let l4 = transport(m, proto);
    let class = (get(FieldId::IpDscp, 0) as u32) << 2 | get(FieldId::IpEcn, 0) as u32 & 3;
    out.extend((6 << 28 | class << 20 | get(FieldId::Ipv6Flabel, 0) as u32 & 0xf_ffff).to_be_bytes());
    out.extend((l4.len() as u16).to_be_bytes());
    out.extend([proto, get(FieldId::NwTtl, 64) as u8]);
    out.extend(src.to_be_bytes());
    out.extend(dst.to_be_bytes());
    let mut pseudo = Vec::new();
    pseudo.extend(src.to_be_bytes());
    pseudo.extend(dst.to_be_bytes());
    pseudo.extend((l4.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, proto]);
    out.extend(finish(l4, proto, &pseudo));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Ethernet, Ip, Tcp};
    use ofproto::text::{ParseContext, parse_match};

    fn made(flow: &str) -> Result<Vec<u8>, String> {
        frame(&parse_match(flow, &ParseContext::default()).expect(flow))
    }

    #[test]
    fn a_tcp_frame_says_what_the_flow_says() {
        let f = made(
            "in_port=1,tcp,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9,tp_dst=80,tcp_flags=+syn",
        )
        .expect("a frame");
        let e = Ethernet::read(&f).expect("Ethernet");
        assert_eq!(e.dst, [2, 0, 0, 0, 0, 2]);
        let p = Ip::read(e.payload).expect("IP");
        assert_eq!((p.src.to_string().as_str(), p.dst.to_string().as_str(), p.ttl), ("10.0.0.1", "10.0.0.2", 9));
        let t = Tcp::read(p.payload).expect("TCP");
        assert_eq!((t.dst, t.flags), (80, 2));
        // A header with a right checksum sums to zero.
        assert_eq!(checksum(&e.payload[..20]), 0);
        let pseudo = [&e.payload[12..20], &[0, 6, 0, 20], p.payload].concat();
        assert_eq!(checksum(&pseudo), 0);
    }

    #[test]
    fn what_it_cannot_write_is_refused() {
        let e = made("icmp6,icmp_type=135,nd_target=fe80::1").expect_err("neighbour discovery");
        assert!(e.contains("ipv6_nd_target"), "{e}");
    }
}
