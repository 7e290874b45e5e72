//! A frame that a match describes, for explaining where such packets go.
//!
//! What the match leaves open is zero, a TTL of 64 or a plain choice (SYN, echo request); checksums are
//! right, so that edits show what they would do. Not every match has a frame (a mask leaves bits open,
//! fields may contradict each other): the frame is parsed again and the first field that came out
//! otherwise is named.

use crate::checksum;
use crate::frame::Frame;
use crate::key::{FlowKey, VLAN_PRESENT};
use crate::packet::Packet;
use crate::trace::{Mismatch, mismatch};
use ofproto::field::FieldId as F;
use ofproto::matching::Match;

/// Ethernet type of a match that names none: "local experimental", which nothing parses further.
const EXPERIMENTAL: u16 = 0x88b5;

const TTL: u8 = 64;

/// The fields of a match, by name.
struct Fields<'a>(&'a Match);

impl Fields<'_> {
    fn get(&self, id: F) -> Option<u128> {
        self.0.get(id).map(|f| f.value)
    }

    fn or(&self, id: F, default: u128) -> u128 {
        self.get(id).unwrap_or(default)
    }

    fn u8(&self, id: F, default: u8) -> u8 {
        self.or(id, default.into()) as u8
    }

    fn u16(&self, id: F, default: u16) -> u16 {
        self.or(id, default.into()) as u16
    }

    fn u32(&self, id: F) -> u32 {
        self.or(id, 0) as u32
    }

    fn mac(&self, id: F) -> [u8; 6] {
        let [_, _, a, b, c, d, e, g] = (self.or(id, 0) as u64).to_be_bytes();
        [a, b, c, d, e, g]
    }
}

/// A frame and the pipeline fields beside it (`in_port`, `metadata`, registers, …) for a match.
///
/// # Errors
/// The first field that no frame of this builder can have as the match wants it.
pub fn compose(m: &Match) -> Result<(Frame, FlowKey), Mismatch> {
    let f = Fields(m);
    let mut key = FlowKey::default();
    for field in &m.fields {
        if is_beside_the_frame(field.id) {
            key.set(field.id, field.value);
        }
    }
    let frame = Frame::from_bytes(&ethernet(&f));
    let parsed = Packet::with_key(frame.duplicate(), key);
    match mismatch(&parsed.key, m) {
        None => Ok((frame, key)),
        Some(wrong) => Err(wrong),
    }
}

/// Whether a field describes the packet's way rather than its bytes.
fn is_beside_the_frame(id: F) -> bool {
    use crate::key::{slot, word};
    slot(id).is_some_and(|s| match s.word {
        word::IN_PORT | word::METADATA | word::TUNNEL_ID => true,
        word::ACTSET_MARK => id == F::PktMark,
        w => (word::REGS..=word::TUN_MISC).contains(&w),
    })
}

fn ethernet(f: &Fields<'_>) -> Vec<u8> {
    let mut b = Vec::with_capacity(128);
    b.extend(f.mac(F::EthDst));
    b.extend(f.mac(F::EthSrc));
    let tci = f.get(F::VlanTci).map(|t| t as u16 & !VLAN_PRESENT).filter(|_| f.u16(F::VlanTci, 0) & VLAN_PRESENT != 0);
    let tag = tci.or_else(|| {
        let vid = f.u16(F::VlanVid, 0);
        let tagged = vid & VLAN_PRESENT != 0 || f.get(F::VlanPcp).is_some();
        tagged.then(|| u16::from(f.u8(F::VlanPcp, 0)) << 13 | vid & 0xfff)
    });
    if let Some(tci) = tag {
        b.extend(0x8100u16.to_be_bytes());
        b.extend(tci.to_be_bytes());
    }
    let eth_type = f.u16(F::EthType, EXPERIMENTAL);
    b.extend(eth_type.to_be_bytes());
    match eth_type {
        0x0800 => ipv4(f, &mut b),
        0x86dd => ipv6(f, &mut b),
        0x0806 | 0x8035 => arp(f, &mut b),
        0x8847 | 0x8848 => {
            let ttl = f.u8(F::MplsTtl, TTL);
            let (label, tc, bos) = (f.u32(F::MplsLabel), u32::from(f.u8(F::MplsTc, 0)), u32::from(f.u8(F::MplsBos, 1)));
            b.extend((label << 12 | tc << 9 | bos << 8 | u32::from(ttl)).to_be_bytes());
            if bos == 0 {
                // Below a label that isn't the last stands another one.
                b.extend((1u32 << 8 | u32::from(TTL)).to_be_bytes());
            }
        }
        0x88e7 => {
            b.extend((f.u32(F::PbbIsid) | u32::from(f.u8(F::PbbUca, 0)) << 27).to_be_bytes());
            b.extend([0; 12]);
            b.extend(EXPERIMENTAL.to_be_bytes());
        }
        _ => {}
    }
    b.resize(b.len().max(60), 0);
    b
}

fn arp(f: &Fields<'_>, b: &mut Vec<u8>) {
    b.extend([0, 1, 8, 0, 6, 4]);
    b.extend(f.u16(F::ArpOp, 1).to_be_bytes());
    b.extend(f.mac(F::ArpSha));
    b.extend(f.u32(F::ArpSpa).to_be_bytes());
    b.extend(f.mac(F::ArpTha));
    b.extend(f.u32(F::ArpTpa).to_be_bytes());
}

fn tos(f: &Fields<'_>) -> u8 {
    f.get(F::IpTos).map_or_else(|| f.u8(F::IpDscp, 0) << 2 | f.u8(F::IpEcn, 0) & 3, |t| t as u8)
}

fn ipv4(f: &Fields<'_>, b: &mut Vec<u8>) {
    let (src, dst) = (f.u32(F::Ipv4Src).to_be_bytes(), f.u32(F::Ipv4Dst).to_be_bytes());
    // Bit 0: a fragment, bit 1: a later one.
    let fragment: u16 = match f.u8(F::IpFrag, 0) & 3 {
        0 => 0,
        1 => 0x2000,
        _ => 100,
    };
    let proto = f.u8(F::IpProto, 0);
    let l4 = l4(f, proto, &[src, dst].concat());
    let start = b.len();
    b.extend([0x45, tos(f)]);
    b.extend((20 + l4.len() as u16).to_be_bytes());
    b.extend([0, 0]);
    b.extend(fragment.to_be_bytes());
    b.extend([f.u8(F::NwTtl, TTL), proto, 0, 0]);
    b.extend(src);
    b.extend(dst);
    let sum = !checksum::sum(&b[start..]);
    b[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    b.extend(l4);
}

fn ipv6(f: &Fields<'_>, b: &mut Vec<u8>) {
    let (src, dst) = (f.or(F::Ipv6Src, 0).to_be_bytes(), f.or(F::Ipv6Dst, 0).to_be_bytes());
    let proto = f.u8(F::IpProto, 59);
    let l4 = l4(f, proto, &[src, dst].concat());
    b.extend((6 << 28 | u32::from(tos(f)) << 20 | f.u32(F::Ipv6Flabel)).to_be_bytes());
    b.extend((l4.len() as u16).to_be_bytes());
    b.extend([proto, f.u8(F::NwTtl, TTL)]);
    b.extend(src);
    b.extend(dst);
    b.extend(l4);
}

/// The part above IP, with its checksum; `addresses` are the pseudo-header's.
fn l4(f: &Fields<'_>, proto: u8, addresses: &[u8]) -> Vec<u8> {
    let mut b = Vec::new();
    let (at, pseudo) = match proto {
        6 => {
            b.extend(f.u16(F::TcpSrc, 0).to_be_bytes());
            b.extend(f.u16(F::TcpDst, 0).to_be_bytes());
            b.extend([0; 8]);
            b.extend((0x5000 | f.u16(F::TcpFlags, 2) & 0xfff).to_be_bytes());
            b.extend([0xff, 0xff, 0, 0, 0, 0]);
            (16, true)
        }
        17 => {
            b.extend(f.u16(F::UdpSrc, 0).to_be_bytes());
            b.extend(f.u16(F::UdpDst, 0).to_be_bytes());
            b.extend([0, 8, 0, 0]);
            (6, true)
        }
        132 => {
            b.extend(f.u16(F::SctpSrc, 0).to_be_bytes());
            b.extend(f.u16(F::SctpDst, 0).to_be_bytes());
            b.extend([0; 8]);
            let crc = checksum::crc32c(&b);
            b[8..12].copy_from_slice(&crc.to_le_bytes());
            return b;
        }
        1 => {
            b.extend([f.u8(F::Icmpv4Type, 8), f.u8(F::Icmpv4Code, 0)]);
            b.extend([0; 6]);
            (2, false)
        }
        58 => {
            let ty = f.u8(F::Icmpv6Type, 128);
            b.extend([ty, f.u8(F::Icmpv6Code, 0)]);
            b.extend([0; 6]);
            // Neighbour solicitation and advertisement: target and one link-layer address option.
            if matches!(ty, 135 | 136) {
                b.extend(f.or(F::Ipv6NdTarget, 0).to_be_bytes());
                let (kind, id) = if ty == 135 { (1, F::Ipv6NdSll) } else { (2, F::Ipv6NdTll) };
                b.extend([kind, 1]);
                b.extend(f.mac(id));
            }
            (2, true)
        }
        _ => return b,
    };
    let mut sum = checksum::sum(&b);
    if pseudo {
        sum = checksum::add(sum, checksum::pseudo_header(addresses, b.len(), proto));
    }
    let sum = match !sum {
        0 if proto == 17 => 0xffff,
        s => s,
    };
    b[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_a_match_matches_it() {
        let ip = |p: u128| Match::any().with(F::EthType, 0x800).with(F::IpProto, p).with(F::Ipv4Src, 0x0a00_0001);
        let ip6 =
            |p: u128| Match::any().with(F::EthType, 0x86dd).with(F::IpProto, p).with(F::Ipv6Dst, 0xfd00 << 112 | 9);
        for m in [
            Match::any(),
            Match::any().with(F::EthDst, 0xffff_ffff_ffff).with(F::EthSrc, 0x0200_0000_0001),
            Match::any().with(F::VlanVid, 0x1000 | 7).with(F::VlanPcp, 5),
            Match::any().with(F::EthType, 0x806).with(F::ArpOp, 2).with(F::ArpSpa, 1).with(F::ArpTha, 0x0200_0000_0002),
            Match::any().with(F::EthType, 0x8847).with(F::MplsLabel, 0xfffff).with(F::MplsTc, 3).with(F::MplsBos, 0),
            Match::any().with(F::EthType, 0x88e7).with(F::PbbIsid, 0x00ab_cdef),
            ip(6).with(F::TcpSrc, 1000).with(F::TcpDst, 80).with(F::IpDscp, 46).with(F::IpEcn, 2),
            ip(17).with(F::UdpDst, 53).with(F::VlanVid, 0x1064),
            ip(132).with(F::SctpSrc, 9),
            ip(1).with(F::Icmpv4Type, 0).with(F::Icmpv4Code, 3),
            ip(47),
            ip6(6).with(F::TcpDst, 443).with(F::Ipv6Flabel, 0xabcde),
            ip6(58).with(F::Icmpv6Type, 135).with(F::Ipv6NdTarget, 77).with(F::Ipv6NdSll, 0x0200_0000_0003),
            ip6(58).with(F::Icmpv6Type, 136).with(F::Ipv6NdTll, 0x0200_0000_0003),
            ip(6).with(F::InPort, 3).with(F::Metadata, 0xdead_beef).with(F::Reg3, 5),
        ] {
            if let Err(wrong) = compose(&m) {
                panic!("{m:?}: {wrong:?}");
            }
        }
    }

    #[test]
    fn checksums_are_right() {
        let m =
            Match::any().with(F::EthType, 0x800).with(F::IpProto, 6).with(F::Ipv4Src, 0x0a00_0001).with(F::TcpDst, 80);
        let Ok((frame, _)) = compose(&m) else { panic!("no frame") };
        let b = frame.bytes();
        assert_eq!(checksum::sum(&b[14..34]), 0xffff);
        let all = checksum::add(checksum::sum(&b[34..54]), checksum::pseudo_header(&b[26..34], 20, 6));
        assert_eq!(all, 0xffff);
    }

    #[test]
    fn what_no_frame_can_be_is_named() {
        // A port without its protocol.
        let wrong = compose(&Match::any().with(F::EthType, 0x800).with(F::TcpDst, 80));
        assert_eq!(wrong.map(|_| ()).map_err(|w| (w.field, w.wanted, w.found)), Err((F::TcpDst, 80, 0)));
    }
}
