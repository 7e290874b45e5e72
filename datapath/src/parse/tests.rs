//! What the vectors of `tests/packet_oracle` can't say: bounds, damage, odd orders.

use super::*;
use crate::key::flag;
use ofproto::field::FieldId as F;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn parsed(bytes: &[u8]) -> (FlowKey, Layout) {
    let mut key = FlowKey::default();
    let layout = parse(bytes, &mut key);
    (key, layout)
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    [&MACS, parts.concat().as_slice()].concat()
}

/// An IPv4 header with this length byte, total length, flags and offset, protocol.
fn ipv4(first: u8, total: u16, fragment: u16, proto: u8) -> Vec<u8> {
    let mut h = vec![first, 0];
    h.extend(total.to_be_bytes());
    h.extend([0, 1]);
    h.extend(fragment.to_be_bytes());
    h.extend([64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    h
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut h = vec![0x60, 0, 0, 0];
    h.extend((payload.len() as u16).to_be_bytes());
    h.extend([next, 64]);
    h.extend([0x20; 32]);
    [&[0x86, 0xdd], h.as_slice(), payload].concat()
}

const UDP: [u8; 8] = [0x12, 0x34, 0, 53, 0, 8, 0, 0];

#[test]
fn short_frames_have_nothing() {
    for n in 0..14 {
        let (key, layout) = parsed(&vec![0xff; n]);
        assert_eq!(key, FlowKey::default());
        assert_eq!(layout, Layout { end: n as u32, declared_end: n as u32, ..Layout::default() });
    }
}

#[test]
fn vlan_tags_are_walked_up_to_the_bound() {
    for n in [1, 2, 16, 17, 10_000] {
        let tags: Vec<u8> = (0..n).flat_map(|_| [0x81, 0, 0xa0, 5]).collect();
        let (key, layout) = parsed(&frame(&[&tags, &[0x12, 0x34, 0]]));
        assert_eq!(usize::from(layout.vlan_tags), n.min(16));
        assert_eq!(key.get(F::EthType), if n <= 16 { 0x1234 } else { 0x8100 });
        assert_eq!(key.get(F::VlanTci), 0xb005);
    }
    // A tag whose ethertype is cut off is no tag.
    let (key, layout) = parsed(&frame(&[&[0x81, 0, 0, 5, 8]]));
    assert_eq!((layout.vlan_tags, key.get(F::EthType), key.get(F::VlanTci)), (0, 0x8100, 0));
}

#[test]
fn malformed_ipv4_has_an_ethertype_only() {
    let good = ipv4(0x45, 28, 0, 17);
    assert_eq!(parsed(&frame(&[&[8, 0], &good, &UDP])).1.l4_kind, L4::Udp);
    for bad in [
        ipv4(0x44, 28, 0, 17), // header shorter than 20
        ipv4(0x55, 28, 0, 17), // version 5
        ipv4(0x45, 19, 0, 17), // packet shorter than its header
        ipv4(0x4f, 60, 0, 17), // options cut off
        good[..19].to_vec(),
    ] {
        let (key, layout) = parsed(&frame(&[&[8, 0], &bad]));
        assert_eq!(key.get(F::EthType), 0x800);
        assert_eq!(layout.l3_kind, L3::None);
        assert_eq!(&key.0[2..], &FlowKey::default().0[2..]);
    }
}

#[test]
fn the_packet_ends_where_ip_says() {
    // 8 bytes follow, but the packet is over after 7 of them.
    let (key, layout) = parsed(&frame(&[&[8, 0], &ipv4(0x45, 27, 0, 17), &UDP]));
    assert_eq!((layout.l4_kind, layout.l4, layout.end), (L4::None, 34, 41));
    assert_eq!((key.get(F::IpProto), key.get(F::UdpDst), key.get(F::IpFrag)), (17, 0, 0));
    // A truncated frame ends where it ends.
    let (_, layout) = parsed(&frame(&[&[8, 0], &ipv4(0x45, 1000, 0, 17), &UDP]));
    assert_eq!((layout.l4_kind, layout.end, layout.declared_end), (L4::Udp, 42, 1014));
}

#[test]
fn fragments_and_the_present_flag() {
    for (field, frag, present) in [(0x4000, 0, true), (0x2000, 1, true), (0x2001, 3, false), (0x0001, 3, false)] {
        let (key, layout) = parsed(&frame(&[&[8, 0], &ipv4(0x45, 28, field, 17), &UDP]));
        let expected = frag | if present { u128::from(flag::L4_PRESENT) } else { 0 };
        assert_eq!(key.get(F::IpFrag), expected, "{field:04x}");
        assert_eq!(key.get(F::UdpDst), if present { 53 } else { 0 });
        assert_eq!((layout.fragment, layout.l4 != 0), (frag != 0, present));
    }
}

#[test]
fn an_atomic_ipv6_fragment_is_a_whole_packet() {
    let (key, layout) = parsed(&frame(&[&ipv6(44, &[&[17, 0, 0, 0, 1, 2, 3, 4], UDP.as_slice()].concat())]));
    assert_eq!((key.get(F::IpFrag), key.get(F::UdpDst)), (u128::from(flag::L4_PRESENT), 53));
    assert_eq!((key.get(F::Ipv6Exthdr), layout.fragment), (16, false));
}

#[test]
fn extension_headers_are_bounded_and_judged() {
    // Chains of destination options of 8 bytes each.
    let chain = |n: usize| {
        let mut b: Vec<u8> = (0..n).flat_map(|i| [if i + 1 == n { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]).collect();
        b.extend(UDP);
        frame(&[&ipv6(60, &b)])
    };
    let (key, _) = parsed(&chain(2));
    assert_eq!((key.get(F::UdpDst), key.get(F::Ipv6Exthdr)), (53, 8), "two destination options are normal");
    let (key, _) = parsed(&chain(3));
    assert_eq!((key.get(F::UdpDst), key.get(F::Ipv6Exthdr)), (53, 8 | 128));
    assert_eq!(parsed(&chain(16)).0.get(F::UdpDst), 53);
    let (key, layout) = parsed(&chain(17));
    assert_eq!((key.get(F::UdpDst), key.get(F::IpProto), layout.l4), (0, 60, 0));

    let bits = |order: &[u8]| {
        let mut b: Vec<u8> = Vec::new();
        for next in order[1..].iter().chain(&[59]) {
            b.extend([*next, 0, 0, 0, 0, 0, 0, 0]);
        }
        parsed(&frame(&[&ipv6(order[0], &b)])).0.get(F::Ipv6Exthdr)
    };
    // RFC 8200's full order (without authentication, whose length counts otherwise), then no next header.
    assert_eq!(bits(&[0, 60, 43, 44, 60]), 64 | 8 | 32 | 16 | 1);
    // Routing in front of hop-by-hop; hop-by-hop isn't first, so its bit stays away.
    assert_eq!(bits(&[43, 0]), 32 | 256 | 1);
    assert_eq!(bits(&[44, 43]), 16 | 32 | 256 | 1);
    assert_eq!(bits(&[60, 60, 43]), 8 | 32 | 256 | 1, "destination options twice in front of routing");
    assert_eq!(bits(&[43, 43]), 32 | 128 | 1);
    // A header that claims more than there is ends the walk at itself.
    let (key, layout) = parsed(&frame(&[&ipv6(43, &[17, 9, 0, 0, 0, 0, 0, 0, 0, 0])]));
    assert_eq!((key.get(F::IpProto), key.get(F::Ipv6Exthdr), layout.l4), (43, 32, 0));
}

#[test]
fn neighbour_options_are_bounded() {
    let solicitation = |options: &[u8]| {
        let mut b = vec![135, 0, 0, 0, 0, 0, 0, 0];
        b.extend([7; 16]);
        b.extend(options);
        frame(&[&ipv6(58, &b)])
    };
    let lladdr = [1, 1, 2, 3, 4, 5, 6, 7];
    let other = [14, 1, 0, 0, 0, 0, 0, 0];
    let (key, layout) = parsed(&solicitation(&[other, lladdr].concat()));
    assert_eq!((key.get(F::Ipv6NdSll), layout.nd_option), (0x0203_0405_0607, 14 + 40 + 24 + 8));
    // A length of 0 would never end.
    assert_eq!(parsed(&solicitation(&[[14, 0, 0, 0, 0, 0, 0, 0], lladdr].concat())).1.nd_option, 0);
    assert_eq!(
        parsed(&solicitation(&[other.repeat(15), lladdr.to_vec()].concat())).0.get(F::Ipv6NdSll),
        0x0203_0405_0607
    );
    assert_eq!(parsed(&solicitation(&[other.repeat(16), lladdr.to_vec()].concat())).1.nd_option, 0);
    // Cut off inside the option, inside the target.
    assert_eq!(parsed(&solicitation(&lladdr[..7])).1.nd_option, 0);
    let mut cut = solicitation(&[]);
    cut.pop();
    assert_eq!(parsed(&cut).0.get(F::Ipv6NdTarget), 0);
    assert_eq!(parsed(&cut).0.get(F::Icmpv6Type), 135);
}

#[test]
fn arp_is_for_ethernet_and_ipv4() {
    let mut arp = vec![8, 6, 0, 1, 8, 0, 6, 4, 0x12, 0x34];
    arp.extend(1..21);
    let (key, layout) = parsed(&frame(&[&arp]));
    assert_eq!((layout.l3_kind, key.get(F::ArpOp)), (L3::Arp, 0x1234));
    assert_eq!((key.get(F::ArpSha), key.get(F::ArpSpa)), (0x0102_0304_0506, 0x0708_090a));
    assert_eq!((key.get(F::ArpTha), key.get(F::ArpTpa)), (0x0b0c_0d0e_0f10, 0x1112_1314));
    for at in 2..8 {
        let mut odd = arp.clone();
        odd[at] ^= 1;
        assert_eq!(parsed(&frame(&[&odd])).1.l3_kind, L3::None, "byte {at}");
    }
    assert_eq!(parsed(&frame(&[&arp[..29]])).1.l3_kind, L3::None);
}

#[test]
fn llc_and_snap() {
    let (key, layout) = parsed(&frame(&[&[0, 3, 0x42, 0x42, 3]]));
    assert_eq!((key.get(F::EthType), layout.eth_type, layout.length_802_3), (0x5ff, 0, 12));
    let (key, layout) = parsed(&frame(&[&[0, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x12, 0x34]]));
    assert_eq!((key.get(F::EthType), layout.eth_type, layout.l3), (0x1234, 20, 22));
    // A SNAP type that is none, and SNAP cut off.
    assert_eq!(parsed(&frame(&[&[0, 8, 0xaa, 0xaa, 3, 0, 0, 0, 5, 0xff]])).0.get(F::EthType), 0x5ff);
    assert_eq!(parsed(&frame(&[&[0, 8, 0xaa, 0xaa, 3, 0, 0, 0, 8]])).0.get(F::EthType), 0x5ff);
}
