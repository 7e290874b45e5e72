//! What the vectors of `tests/packet_oracle` can't say: bounds, offload, registers, sequences.

use crate::checksum::{pseudo_header, sum};
use crate::frame::{Frame, Gso, GsoKind, MAX_FRAME, PartialChecksum};
use crate::packet::{InvalidTtl, Packet};
use crate::parse::{L3, L4, be16};
use ofproto::field::FieldId as F;

const ALL: u128 = u128::MAX;

/// UDP over IPv4 with right checksums.
fn udp() -> Packet {
    let mut b = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    b.extend([0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let c = !sum(&b[14..34]);
    b[24..26].copy_from_slice(&c.to_be_bytes());
    b.extend([0x12, 0x34, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    let c = !sum(&[pseudo_header(&b[26..34], 12, 17).to_be_bytes().as_slice(), &b[34..]].concat());
    b[40..42].copy_from_slice(&c.to_be_bytes());
    Packet::new(Frame::from_bytes(&b))
}

/// The same with the checksum left to hardware.
fn unfinished() -> Packet {
    let done = udp();
    let mut b = done.frame.bytes().to_vec();
    let pseudo = pseudo_header(&b[26..34], 12, 17);
    b[40..42].copy_from_slice(&pseudo.to_be_bytes());
    let mut frame = Frame::from_bytes(&b);
    frame.offload.checksum = Some(PartialChecksum { start: 34, offset: 6 });
    Packet::new(frame)
}

#[test]
fn an_unfinished_checksum_survives_a_long_list() {
    let list = |p: &mut Packet| {
        p.set_field(F::Ipv4Src, 0xc0a8_0101, ALL);
        p.push_vlan(0x8100);
        p.push_mpls(0x8847);
        p.pop_mpls(0x0800);
        p.set_field(F::UdpDst, 4789, ALL);
        p.push_pbb(0x88e7);
        p.pop_pbb();
        p.set_field(F::Ipv4Dst, 0xff, 0xff);
        p.dec_nw_ttl().expect("TTL 64");
        p.pop_vlan();
    };
    let (mut finished, mut open) = (udp(), unfinished());
    list(&mut finished);
    list(&mut open);
    assert_eq!(open.frame.offload.checksum, Some(PartialChecksum { start: 34, offset: 6 }));
    open.finish_checksum();
    assert_eq!(open.frame.bytes(), finished.frame.bytes());
    assert_eq!((open.key, open.layout), (finished.key, finished.layout));
}

#[test]
fn reading_anew_finishes_offloaded_work_first() {
    for (field, value) in [(F::IpProto, 6), (F::EthType, 0x88b5)] {
        let (mut finished, mut open) = (udp(), unfinished());
        open.frame.offload.gso = Some(Gso { kind: GsoKind::UdpL4, size: 2, ecn: false });
        open.frame.offload.checksum_valid = true;
        finished.set_field(field, value, ALL);
        open.set_field(field, value, ALL);
        assert_eq!(open.frame.bytes(), finished.frame.bytes());
        assert_eq!(open.frame.offload, crate::frame::Offload::default());
    }
}

#[test]
fn a_checksum_elsewhere_is_not_taken_for_ours() {
    // Behind an inner header, say: the outer UDP checksum is kept right, the inner place untouched.
    let mut p = udp();
    p.frame.offload.checksum = Some(PartialChecksum { start: 42, offset: 0 });
    p.set_field(F::Ipv4Src, 0xc0a8_0101, ALL);
    let mut plain = udp();
    plain.set_field(F::Ipv4Src, 0xc0a8_0101, ALL);
    assert_eq!(p.frame.bytes(), plain.frame.bytes());
}

#[test]
fn ttls_end() {
    let mut p = udp();
    p.set_nw_ttl(2);
    assert_eq!(p.dec_nw_ttl(), Ok(()));
    let before = p.frame.bytes().to_vec();
    assert_eq!(p.dec_nw_ttl(), Err(InvalidTtl));
    assert_eq!(p.frame.bytes(), before);
    p.set_nw_ttl(0);
    assert_eq!(p.dec_nw_ttl(), Err(InvalidTtl));
    assert_eq!(p.dec_mpls_ttl(), Ok(()), "no shim, no error");
    p.push_mpls(0x8847);
    assert_eq!(p.dec_mpls_ttl(), Err(InvalidTtl));
    assert_eq!(p.dec_nw_ttl(), Ok(()), "the IP header is hidden");
}

#[test]
fn a_port_that_looks_like_an_ip_header_is_none() {
    let mut p = udp();
    p.set_field(F::UdpSrc, 0x4500, ALL);
    p.frame.extend(&[0; 40]);
    p.reparse();
    let before = p.frame.bytes().to_vec();
    p.copy_ttl_in();
    p.copy_ttl_out();
    assert_eq!(p.frame.bytes(), before);
}

#[test]
fn pushes_end_at_the_longest_frame() {
    let mut p = udp();
    for _ in 0..20_000 {
        p.push_vlan(0x8100);
        p.push_mpls(0x8847);
        p.push_pbb(0x88e7);
    }
    assert!(p.frame.len() <= MAX_FRAME);
    assert!(p.frame.len() > MAX_FRAME - 4);
}

#[test]
fn tags_beyond_the_parsers_bound_come_back_into_sight() {
    let mut p = udp();
    for vid in 0..20 {
        p.push_vlan(0x8100);
        p.set_field(F::VlanVid, 0x1000 | vid, ALL);
    }
    assert_eq!((p.layout.vlan_tags, p.layout.l3_kind), (16, L3::None));
    for vid in (0..20u128).rev() {
        assert_eq!(p.field(F::VlanVid), Some(0x1000 | vid));
        p.pop_vlan();
    }
    assert_eq!(p.frame.bytes(), udp().frame.bytes());
    assert_eq!((p.key, p.layout), (udp().key, udp().layout));
}

#[test]
fn vlan_tci_pushes_sets_and_pops() {
    let mut p = udp();
    p.set_field(F::VlanTci, 0x0005, ALL);
    assert_eq!(p.layout.vlan_tags, 0, "without the present bit there is nothing to pop");
    p.set_field(F::VlanTci, 0xb005, ALL);
    assert_eq!(&p.frame.bytes()[12..18], [0x81, 0, 0xa0, 5, 8, 0]);
    p.set_field(F::VlanTci, 0x0123, 0x0fff);
    assert_eq!(p.key.get(F::VlanTci), 0xb123);
    p.set_field(F::VlanTci, 0, ALL);
    assert_eq!(p.frame.bytes(), udp().frame.bytes());
}

#[test]
fn from_1_1_on_setting_a_vlan_field_adds_no_tag() {
    let mut p = udp();
    p.set_field(F::VlanVid, 0x1005, ALL);
    p.set_field(F::VlanPcp, 5, ALL);
    assert_eq!(p.frame.bytes(), udp().frame.bytes());
    p.set_vlan_pcp(5);
    assert_eq!(&p.frame.bytes()[12..16], [0x81, 0, 0xa0, 0]);
}

#[test]
fn copy_field_moves_bits() {
    let mut p = udp();
    p.set_field(F::Metadata, 0x1234_5678_9abc_def0, ALL);
    p.copy_field(F::Metadata, 16, F::Ipv4Dst, 0, 32);
    assert_eq!(p.key.get(F::Ipv4Dst), 0x5678_9abc);
    p.copy_field(F::Ipv4Dst, 4, F::Reg1, 8, 12);
    assert_eq!(p.key.get(F::Reg1), 0x9ab << 8);
    assert_eq!(p.key.get(F::Xreg0), 0x9ab << 8, "reg1 is the low half of xreg0");
    p.set_field(F::Xxreg1, 0xfeed << 112 | 0xbeef, ALL);
    p.copy_field(F::Xxreg1, 0, F::Xxreg2, 0, 128);
    assert_eq!(p.key.get(F::Xxreg2), 0xfeed << 112 | 0xbeef);
    // TCP's port shares UDP's slot, but this packet doesn't have it.
    p.copy_field(F::TcpDst, 0, F::Reg5, 0, 16);
    assert_eq!(p.key.get(F::Reg5), 0);
    p.copy_field(F::UdpDst, 0, F::TcpSrc, 0, 16);
    assert_eq!(p.key.get(F::UdpSrc), 0x1234);
    // Overlap, and bits beyond the width.
    p.copy_field(F::UdpSrc, 0, F::UdpSrc, 4, 16);
    assert_eq!(p.key.get(F::UdpSrc), 0x2344);
    p.copy_field(F::UdpSrc, 200, F::UdpSrc, 200, 200);
    assert_eq!(p.key.get(F::UdpSrc), 0x2344);
}

#[test]
fn pipeline_fields_survive_every_parse() {
    let mut p = udp();
    let fields = [F::Metadata, F::TunnelId, F::Reg0, F::Reg15, F::PktMark, F::InPort, F::TunIpv6Dst];
    for (i, f) in fields.into_iter().enumerate() {
        p.set_field(f, i as u128 + 1, ALL);
    }
    p.push_mpls(0x8847);
    p.pop_mpls(0x0800);
    p.push_pbb(0x88e7);
    p.reparse();
    for (i, f) in fields.into_iter().enumerate() {
        assert_eq!(p.field(f), Some(i as u128 + 1), "{f:?}");
    }
    assert_eq!(p.frame.len(), udp().frame.len() + 18);
}

#[test]
fn fields_that_describe_the_frame_cannot_be_written() {
    let mut p = udp();
    let key = p.key;
    for f in [F::IpFrag, F::PacketType, F::CtMark, F::NshSpi] {
        p.set_field(f, 3, ALL);
    }
    assert_eq!(p.key, key);
}

#[test]
fn a_new_protocol_is_parsed() {
    let mut p = udp();
    p.set_field(F::IpProto, 132, ALL);
    assert_eq!((p.layout.l4_kind, p.field(F::SctpDst), p.field(F::UdpDst)), (L4::Sctp, Some(53), None));
    assert_eq!(sum(&p.frame.bytes()[14..34]), 0xffff);
    // Back again, all is as before.
    p.set_field(F::IpProto, 17, ALL);
    // The checksum can't follow away from UDP and back, as SCTP has none over the pseudo-header.
    let checksum = be16(p.frame.bytes(), 40);
    assert_ne!(checksum, be16(udp().frame.bytes(), 40));
}

#[test]
fn an_unfinished_sctp_checksum_is_finished_on_arrival() {
    let mut b = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    b.extend([0x45, 0, 0, 36, 0, 1, 0, 0, 64, 132, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    b.extend([0x12, 0x34, 0, 53, 1, 2, 3, 4, 0, 0, 0, 0, 9, 9, 9, 9]);
    let mut frame = Frame::from_bytes(&b);
    frame.offload.checksum = Some(PartialChecksum { start: 34, offset: 8 });
    let p = Packet::new(frame);
    assert_eq!(p.frame.offload.checksum, None);
    assert_eq!(p.frame.bytes()[42..46], crate::checksum::crc32c(&b[34..]).to_le_bytes());
}

#[test]
fn a_duplicate_is_independent() {
    let p = udp();
    let mut copy = p.duplicate();
    copy.push_vlan(0x8100);
    assert_eq!(p.frame.bytes(), udp().frame.bytes());
    assert_eq!(copy.frame.len(), p.frame.len() + 4);
}
