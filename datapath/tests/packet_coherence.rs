//! Whatever is done to whatever packet: key and layout stay what a fresh parse says, valid
//! checksums stay valid, and nothing panics.

use datapath::frame::{Frame, Gso, GsoKind, PartialChecksum};
use datapath::key::FlowKey;
use datapath::packet::Packet;
use datapath::parse::parse;
use datapath::segment::segment;
use ofproto::field::{FIELDS, FieldId};
use proptest::prelude::*;

/// One edit with its arguments.
#[derive(Clone, Debug)]
enum Edit {
    PushVlan(bool),
    PopVlan,
    PushMpls(bool),
    PopMpls(u16),
    PushPbb,
    PopPbb,
    SetMplsTtl(u8),
    DecMplsTtl,
    SetNwTtl(u8),
    DecNwTtl,
    CopyTtlOut,
    CopyTtlIn,
    SetVlanVid(u16),
    SetVlanPcp(u8),
    SetTpSrc(u16),
    SetTpDst(u16),
    SetField(FieldId, u128, u128),
    CopyField(FieldId, u16, FieldId, u16, u16),
    Finish,
}

fn apply(p: &mut Packet, edit: &Edit) {
    match *edit {
        Edit::PushVlan(outer) => p.push_vlan(if outer { 0x88a8 } else { 0x8100 }),
        Edit::PopVlan => p.pop_vlan(),
        Edit::PushMpls(multicast) => p.push_mpls(if multicast { 0x8848 } else { 0x8847 }),
        Edit::PopMpls(ty) => p.pop_mpls(ty),
        Edit::PushPbb => p.push_pbb(0x88e7),
        Edit::PopPbb => p.pop_pbb(),
        Edit::SetMplsTtl(ttl) => p.set_mpls_ttl(ttl),
        Edit::DecMplsTtl => drop(p.dec_mpls_ttl()),
        Edit::SetNwTtl(ttl) => p.set_nw_ttl(ttl),
        Edit::DecNwTtl => drop(p.dec_nw_ttl()),
        Edit::CopyTtlOut => p.copy_ttl_out(),
        Edit::CopyTtlIn => p.copy_ttl_in(),
        Edit::SetVlanVid(vid) => p.set_vlan_vid(vid),
        Edit::SetVlanPcp(pcp) => p.set_vlan_pcp(pcp),
        Edit::SetTpSrc(port) => p.set_tp_src(port),
        Edit::SetTpDst(port) => p.set_tp_dst(port),
        Edit::SetField(f, value, mask) => p.set_field(f, value, mask),
        Edit::CopyField(src, s, dst, d, n) => p.copy_field(src, s, dst, d, n),
        Edit::Finish => p.finish_checksum(),
    }
}

fn any_field() -> impl Strategy<Value = FieldId> {
    (0..FIELDS.len()).prop_map(|i| FIELDS[i].id)
}

fn any_ethertype() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0x0800u16),
        Just(0x86dd),
        Just(0x0806),
        Just(0x8847),
        Just(0x8848),
        Just(0x8100),
        Just(0x88e7),
        any::<u16>()
    ]
}

fn any_mask() -> impl Strategy<Value = u128> {
    prop_oneof![3 => Just(u128::MAX), 1 => any::<u128>()]
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => any::<bool>().prop_map(Edit::PushVlan),
        2 => Just(Edit::PopVlan),
        2 => any::<bool>().prop_map(Edit::PushMpls),
        2 => any_ethertype().prop_map(Edit::PopMpls),
        1 => Just(Edit::PushPbb),
        1 => Just(Edit::PopPbb),
        1 => any::<u8>().prop_map(Edit::SetMplsTtl),
        1 => Just(Edit::DecMplsTtl),
        1 => any::<u8>().prop_map(Edit::SetNwTtl),
        1 => Just(Edit::DecNwTtl),
        1 => Just(Edit::CopyTtlOut),
        1 => Just(Edit::CopyTtlIn),
        1 => any::<u16>().prop_map(Edit::SetVlanVid),
        1 => any::<u8>().prop_map(Edit::SetVlanPcp),
        1 => any::<u16>().prop_map(Edit::SetTpSrc),
        1 => any::<u16>().prop_map(Edit::SetTpDst),
        16 => (any_field(), any::<u128>(), any_mask()).prop_map(|(f, v, m)| Edit::SetField(f, v, m)),
        2 => any_ethertype().prop_map(|t| Edit::SetField(FieldId::EthType, t.into(), u128::MAX)),
        2 => (any_field(), 0..140u16, any_field(), 0..140u16, 0..140u16)
            .prop_map(|(s, so, d, dof, n)| Edit::CopyField(s, so, d, dof, n)),
        1 => Just(Edit::Finish),
    ]
}

/// A slow one's complement sum, on purpose not the crate's.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut acc = 0u32;
    for part in parts {
        for c in part.chunks(2) {
            acc += u32::from(c[0]) * 256 + u32::from(c.get(1).copied().unwrap_or(0));
            acc = (acc & 0xffff) + (acc >> 16);
        }
    }
    acc as u16
}

/// A bitwise CRC32c.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for b in bytes {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// How the checksum stands in a built packet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sums {
    Full,
    Partial,
}

#[derive(Clone, Debug)]
struct Built {
    bytes: Vec<u8>,
    partial: Option<PartialChecksum>,
}

/// An upper-layer packet of `proto` with right checksum, or with the pseudo-header's sum in its place.
fn upper(proto: u8, v6: bool, addresses: &[u8], payload: &[u8], sums: Sums) -> (Vec<u8>, Option<u16>) {
    let (mut b, at) = match proto {
        6 => (vec![0x12, 0x34, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 1, 0, 0, 0, 0, 0], 16),
        17 => (vec![0x12, 0x34, 0, 53, 0, 0, 0, 0], 6),
        1 => (vec![8, 0, 0, 0, 1, 2, 3, 4], 2),
        58 if payload.len() > 32 => {
            let mut b = vec![135, 0, 0, 0, 0, 0, 0, 0];
            b.extend_from_slice(&[0x20; 16]);
            b.extend_from_slice(&[1, 1, 2, 3, 4, 5, 6, 7]);
            (b, 2)
        }
        58 => (vec![128, 0, 0, 0, 9, 9, 9, 9], 2),
        132 => (vec![0x12, 0x34, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0], 8),
        _ => (vec![1, 2, 3, 4], 0),
    };
    b.extend_from_slice(payload);
    if proto == 17 {
        let len = (b.len() as u16).to_be_bytes();
        b[4..6].copy_from_slice(&len);
    }
    match proto {
        132 => {
            let crc = crc32c(&b).to_le_bytes();
            b[8..12].copy_from_slice(&crc);
            (b, None)
        }
        6 | 17 | 1 | 58 => {
            let len = (b.len() as u32).to_be_bytes();
            let pseudo = if proto == 1 && !v6 { 0 } else { sum(&[addresses, &len, &[0, proto]]) };
            if sums == Sums::Partial && matches!(proto, 6 | 17) {
                b[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
                (b, Some(at as u16))
            } else {
                let c = !sum(&[&b, &pseudo.to_be_bytes()]);
                let c = if c == 0 && proto == 17 { 0xffff } else { c };
                b[at..at + 2].copy_from_slice(&c.to_be_bytes());
                (b, None)
            }
        }
        _ => (b, None),
    }
}

fn build(v6: bool, proto: u8, payload: &[u8], tags: &[u16], shims: usize, pad: usize, sums: Sums) -> Built {
    let mut b = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (i, tci) in tags.iter().enumerate() {
        b.extend_from_slice(if i == 0 { &[0x88, 0xa8] } else { &[0x81, 0x00] });
        b.extend_from_slice(&tci.to_be_bytes());
    }
    let ty = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    b.extend_from_slice(if shims > 0 { &[0x88, 0x47] } else { &ty });
    for i in 0..shims {
        b.extend_from_slice(&[0, 1, 0x20 | u8::from(i + 1 == shims), 64 + i as u8]);
    }
    let addresses: Vec<u8> = if v6 { (1..33).collect() } else { vec![10, 0, 0, 1, 10, 0, 0, 2] };
    let (l4, at) = upper(proto, v6, &addresses, payload, sums);
    if v6 {
        b.extend_from_slice(&[0x60, 1, 2, 3]);
        b.extend_from_slice(&(l4.len() as u16).to_be_bytes());
        b.extend_from_slice(&[proto, 64]);
        b.extend_from_slice(&addresses);
    } else {
        let mut h = vec![0x45, 0x21];
        h.extend_from_slice(&(20 + l4.len() as u16).to_be_bytes());
        h.extend_from_slice(&[0x12, 0x34, 0x40, 0, 64, proto, 0, 0]);
        h.extend_from_slice(&addresses);
        let c = !sum(&[&h]);
        h[10..12].copy_from_slice(&c.to_be_bytes());
        b.extend_from_slice(&h);
    }
    let partial = at.map(|offset| PartialChecksum { start: b.len() as u16, offset });
    b.extend_from_slice(&l4);
    // Non-zero padding only where no sum to the end of the frame is taken.
    b.extend(std::iter::repeat_n(if partial.is_some() { 0 } else { 0xee }, pad));
    Built { bytes: b, partial }
}

fn any_packet() -> impl Strategy<Value = Built> {
    (
        any::<bool>(),
        prop_oneof![Just(6u8), Just(17), Just(1), Just(58), Just(132), Just(4), any::<u8>()],
        prop::collection::vec(any::<u8>(), 0..60),
        prop::collection::vec(any::<u16>(), 0..3),
        0..3usize,
        0..20usize,
        prop_oneof![Just(Sums::Full), Just(Sums::Partial)],
    )
        .prop_map(|(v6, proto, payload, tags, shims, pad, sums)| build(v6, proto, &payload, &tags, shims, pad, sums))
}

fn assert_coherent(p: &Packet, after: &Edit) {
    let mut key = p.key;
    let layout = parse(p.frame.bytes(), &mut key);
    assert_eq!(p.key, key, "key after {after:?} of {:02x?}", p.frame.bytes());
    assert_eq!(p.layout, layout, "layout after {after:?}");
}

/// Whether the IPv4 header's and the upper layer's checksums are right, looking only at bytes.
/// `proto` is what the packet was built with.
fn checksums_right(frame: &[u8], l3: usize, v6: bool, proto: u8) -> bool {
    let ip = &frame[l3..];
    let (addresses, l4) = if v6 {
        (&ip[8..40], &ip[40..40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]))])
    } else {
        if sum(&[&ip[..20]]) != 0xffff {
            return false;
        }
        (&ip[12..20], &ip[20..usize::from(u16::from_be_bytes([ip[2], ip[3]]))])
    };
    let actual = if v6 { ip[6] } else { ip[9] };
    let len = (l4.len() as u32).to_be_bytes();
    let pseudo = sum(&[addresses, &len, &[0, actual]]);
    match proto {
        6 | 17 => sum(&[l4, &pseudo.to_be_bytes()]) == 0xffff,
        58 if v6 => sum(&[l4, &pseudo.to_be_bytes()]) == 0xffff,
        1 if !v6 => sum(&[l4]) == 0xffff,
        132 => {
            let mut copy = l4.to_vec();
            copy[8..12].fill(0);
            crc32c(&copy).to_le_bytes() == l4[8..12]
        }
        _ => true,
    }
}

fn frame_of(built: &Built) -> Frame {
    let mut frame = Frame::from_bytes(&built.bytes);
    frame.offload.checksum = built.partial;
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), ..ProptestConfig::default() })]

    #[test]
    fn edits_keep_key_and_layout(built in any_packet(), edits in prop::collection::vec(any_edit(), 0..24)) {
        let mut p = Packet::new(frame_of(&built));
        for edit in &edits {
            apply(&mut p, edit);
            assert_coherent(&p, edit);
        }
    }

    #[test]
    fn damaged_packets_do_no_harm(
        built in any_packet(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        edits in prop::collection::vec(any_edit(), 0..24),
    ) {
        let mut b = built.clone();
        for (at, x) in flips {
            let at = at.index(b.bytes.len());
            b.bytes[at] ^= x;
        }
        b.bytes.truncate(cut.index(b.bytes.len() + 1));
        let mut p = Packet::new(frame_of(&b));
        for edit in &edits {
            apply(&mut p, edit);
            assert_coherent(&p, edit);
        }
    }

    #[test]
    fn damaged_super_frames_do_no_harm(
        built in any_packet(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kind in prop_oneof![Just(GsoKind::TcpV4), Just(GsoKind::TcpV6), Just(GsoKind::UdpL4)],
        size in any::<u8>(),
        edits in prop::collection::vec(any_edit(), 0..8),
    ) {
        let mut b = built.clone();
        for (at, x) in flips {
            let at = at.index(b.bytes.len());
            b.bytes[at] ^= x;
        }
        b.bytes.truncate(cut.index(b.bytes.len() + 1));
        let mut frame = frame_of(&b);
        frame.offload.gso = Some(Gso { kind, size: size.into(), ecn: false });
        let mut p = Packet::new(frame);
        for edit in &edits {
            apply(&mut p, edit);
        }
        let mut emitted = 0;
        match segment(&p.frame, |f| { emitted += 1; assert!(f.len() <= p.frame.len()); }) {
            Ok(n) => prop_assert_eq!(n, emitted),
            Err(_) => prop_assert_eq!(emitted, 0),
        }
    }

    #[test]
    fn random_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        ty in any_ethertype(),
        offload in prop::option::of((any::<u16>(), any::<u16>())),
        edits in prop::collection::vec(any_edit(), 0..24),
    ) {
        let mut bytes = bytes;
        if bytes.len() >= 14 {
            bytes[12..14].copy_from_slice(&ty.to_be_bytes());
        }
        let mut frame = Frame::from_bytes(&bytes);
        frame.offload.checksum = offload.map(|(start, offset)| PartialChecksum { start: start % 256, offset: offset % 32 });
        let mut p = Packet::new(frame);
        for edit in &edits {
            apply(&mut p, edit);
            assert_coherent(&p, edit);
        }
    }

    #[test]
    fn checksums_stay_right(
        v6 in any::<bool>(),
        proto in prop_oneof![Just(6u8), Just(17), Just(1), Just(58), Just(132)],
        payload in prop::collection::vec(any::<u8>(), 0..60),
        tags in prop::collection::vec(any::<u16>(), 0..3),
        pad in 0..20usize,
        partial in any::<bool>(),
        edits in prop::collection::vec(any_edit(), 0..24),
    ) {
        let sums = if partial { Sums::Partial } else { Sums::Full };
        let built = build(v6, proto, &payload, &tags, 0, pad, sums);
        let ty = if v6 { 0x86dd } else { 0x0800 };
        let mut p = Packet::new(frame_of(&built));
        // The types behind the pushed shims and I-TAGs.
        let mut behind = Vec::new();
        for edit in &edits {
            // These make another packet of it, of which the first one's checksums say nothing: without
            // the bottom-of-stack bit an IP header is a shim.
            if let Edit::SetField(f, ..) | Edit::CopyField(_, _, f, ..) = edit
                && matches!(f, FieldId::EthType | FieldId::MplsBos)
            {
                continue;
            }
            // So does popping a shim to another type than what is behind it: an IP header may become
            // a shim and be edited as one.
            let (len, under) = (p.frame.len(), p.key.get(FieldId::EthType) as u16);
            let edit = match edit {
                Edit::PopMpls(_) => &Edit::PopMpls(behind.last().copied().unwrap_or(0)),
                other => other,
            };
            apply(&mut p, edit);
            match edit {
                Edit::PushMpls(_) | Edit::PushPbb => behind.push(under),
                Edit::PopMpls(_) | Edit::PopPbb if p.frame.len() < len => drop(behind.pop()),
                _ => {}
            }
            // A new protocol number makes ports of what was none, so they are part of the first one's sum no more.
            let now = p.key.get(FieldId::IpProto) as u8;
            let mut view = p.duplicate();
            view.finish_checksum();
            if p.key.get(FieldId::EthType) == ty && now == proto {
                prop_assert!(checksums_right(view.frame.bytes(), usize::from(p.layout.l3), v6, proto), "after {edit:?}");
            } else if now != proto && p.key.get(FieldId::EthType) == ty {
                break;
            }
        }
    }

    #[test]
    fn the_parser_owns_only_its_words(bytes in prop::collection::vec(any::<u8>(), 0..80), junk in any::<u64>()) {
        let mut dirty = FlowKey([junk; datapath::key::WORDS]);
        let mut clean = FlowKey::default();
        prop_assert_eq!(parse(&bytes, &mut dirty), parse(&bytes, &mut clean));
        for f in FIELDS {
            let pipeline = datapath::key::slot(f.id).is_some() && matches!(
                f.name,
                "in_port" | "in_phy_port" | "metadata" | "tunnel_id" | "actset_output" | "pkt_mark" | "dp_hash"
                | "recirc_id" | "conj_id" | "tun_src" | "tun_ipv6_dst" | "tun_flags" | "reg0" | "xxreg3"
            );
            if pipeline {
                prop_assert_eq!(dirty.get(f.id), FlowKey([junk; datapath::key::WORDS]).get(f.id), "{}", f.name);
                prop_assert_eq!(clean.get(f.id), 0, "{}", f.name);
            } else if !f.name.contains("reg") && !f.name.starts_with("tun") && !f.name.starts_with("xx") {
                prop_assert_eq!(dirty.get(f.id), clean.get(f.id), "{}", f.name);
            }
        }
    }
}
