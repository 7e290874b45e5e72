//! What a fixed match means, and what of its bytes is kept.

use super::*;

fn bytes(version: Version, m: &Match) -> Vec<u8> {
    let mut w = Writer::new();
    encode(&mut w, version, m, Say::All).expect("sayable");
    w.into_vec()
}

fn back(version: Version, bytes: &[u8]) -> Match {
    let mut r = Reader::new(bytes);
    let m = decode(&mut r, version).expect("sound");
    assert!(r.is_empty());
    m
}

fn refused(version: Version, m: &Match) -> String {
    encode(&mut Writer::new(), version, m, Say::All).expect_err("unsayable").to_string()
}

fn tcp() -> Match {
    Match::any()
        .with(FieldId::InPort, 0xffff_fffe)
        .with(FieldId::EthType, 0x800)
        .with(FieldId::VlanVid, 0x1005)
        .with(FieldId::VlanPcp, 3)
        .with(FieldId::EthSrc, 0x0102_0304_0506)
        .with_mask(FieldId::Ipv4Src, 0x0a00_0000, 0xff00_0000)
        .with(FieldId::Ipv4Dst, 0x0a00_0001)
        .with(FieldId::IpProto, 6)
        .with(FieldId::IpDscp, 46)
        .with(FieldId::TcpDst, 80)
}

#[test]
fn what_a_match_means_comes_back_in_both_layouts() {
    for version in [Version::V10, Version::V11] {
        for m in [Match::any(), tcp()] {
            assert_eq!(back(version, &bytes(version, &m)), m, "{version}");
        }
    }
    assert_eq!(bytes(Version::V10, &Match::any())[..4], [0, 0x3f, 0xff, 0xff]);
}

#[test]
fn bytes_beyond_the_meaning_survive_and_give_way_to_changed_fields() {
    let mut raw = bytes(Version::V10, &Match::any());
    // OVS and POX count 32 wild bits where the canonical form has 63; a value stands under a wildcard.
    raw[..4].copy_from_slice(&0x0038_20ff_u32.to_be_bytes());
    raw[36..].copy_from_slice(&[0, 80, 0, 81]);
    let m = back(Version::V10, &raw);
    assert_eq!(m.fields, []);
    assert_eq!(bytes(Version::V10, &m), raw);
    let changed = m.with(FieldId::EthType, 0x806);
    assert_eq!(bytes(Version::V10, &changed)[36..], [0; 4]);
}

#[test]
fn vlan_has_its_own_words() {
    let vid = |version, m: &Match| {
        let at = if version == Version::V10 { 18 } else { 36 };
        bytes(version, m)[at..at + 2].to_vec()
    };
    let untagged = Match::any().with(FieldId::VlanVid, 0);
    let any = Match::any().with_mask(FieldId::VlanVid, 0x1000, 0x1000);
    for version in [Version::V10, Version::V11] {
        assert_eq!(vid(version, &untagged), [0xff, 0xff]);
    }
    assert_eq!(vid(Version::V11, &any), [0xff, 0xfe]);
    assert!(refused(Version::V10, &any).contains("any VLAN tag"));
    // 1.0: a priority alone means any tag with it; 1.1 ignores it.
    let pcp = any.with(FieldId::VlanPcp, 5);
    assert_eq!(back(Version::V10, &bytes(Version::V10, &pcp)), pcp);
    let mut raw = bytes(Version::V11, &Match::any());
    raw[11] &= !4;
    assert_eq!(back(Version::V11, &raw).fields, []);
}

#[test]
fn a_vlan_id_beyond_twelve_bits_stays_invalid() {
    let mut raw = bytes(Version::V11, &Match::any().with(FieldId::VlanVid, 0x1001));
    raw[36..38].copy_from_slice(&[0x12, 0x34]);
    let m = back(Version::V11, &raw);
    assert!(m.fields[0].value > 0x1fff);
    assert_eq!(bytes(Version::V11, &m), raw);
}

#[test]
fn protocols_choose_what_the_shared_places_mean() {
    let arp = Match::any()
        .with(FieldId::EthType, 0x806)
        .with(FieldId::ArpSpa, 1)
        .with_mask(FieldId::ArpTpa, 0x0a00_0000, 0xffff_ff00)
        .with(FieldId::ArpOp, 2);
    let icmp = Match::any()
        .with(FieldId::EthType, 0x800)
        .with(FieldId::IpProto, 1)
        .with(FieldId::Icmpv4Type, 8)
        .with(FieldId::Icmpv4Code, 0);
    for version in [Version::V10, Version::V11] {
        for m in [&arp, &icmp] {
            assert_eq!(back(version, &bytes(version, m)), *m);
        }
    }
    // 1.0 takes protocol, class and ports of IPv6 as of IPv4; 1.1 doesn't.
    let ipv6 = Match::any().with(FieldId::EthType, 0x86dd);
    let neighbour = ipv6.clone().with(FieldId::IpProto, 58).with(FieldId::Icmpv6Type, 135);
    let tcp = ipv6.clone().with(FieldId::IpProto, 6).with(FieldId::IpDscp, 8).with(FieldId::TcpDst, 80);
    for m in [&neighbour, &tcp] {
        assert_eq!(back(Version::V10, &bytes(Version::V10, m)), *m);
    }
    assert_eq!(back(Version::V11, &bytes(Version::V11, &tcp)).fields, ipv6.fields);
    let mpls = Match::any().with(FieldId::EthType, 0x8847).with(FieldId::MplsLabel, 99).with(FieldId::MplsTc, 2);
    assert_eq!(back(Version::V11, &bytes(Version::V11, &mpls)), mpls);
    assert!(refused(Version::V10, &mpls).contains("mpls_label"));
}

#[test]
fn a_type_of_service_is_its_upper_six_bits() {
    let ip = Match::any().with(FieldId::EthType, 0x800).with(FieldId::IpDscp, 1);
    for (version, at) in [(Version::V10, 24), (Version::V11, 42)] {
        let mut raw = bytes(version, &ip);
        assert_eq!(raw[at], 4);
        raw[at] = 7;
        let m = back(version, &raw);
        let seen = (m.fields[1].id, m.fields[1].value);
        // 1.1 refuses the lower two, so they have to be seen.
        assert_eq!(seen, if version == Version::V10 { (FieldId::IpDscp, 1) } else { (FieldId::IpTos, 7) });
        assert_eq!(bytes(version, &m), raw);
    }
}

#[test]
fn what_cannot_be_said_is_named() {
    let v10 = Version::V10;
    assert!(refused(v10, &Match::any().with(FieldId::Ipv6Src, 1)).contains("ipv6_src"));
    assert!(refused(v10, &Match::any().with_mask(FieldId::EthDst, 1, 1)).contains("eth_dst"));
    assert!(refused(v10, &Match::any().with_mask(FieldId::Ipv4Src, 1, 1)).contains("prefix"));
    assert!(refused(v10, &Match::any().with(FieldId::InPort, 70_000)).contains("in_port"));
    assert!(refused(Version::V11, &Match::any().with(FieldId::TunnelId, 1)).contains("tunnel_id"));
    let mut w = Writer::new();
    encode(&mut w, v10, &tcp().with(FieldId::Ipv6Src, 1), Say::Possible).expect("left out");
    assert_eq!(w.as_slice(), bytes(v10, &tcp()));
}

#[test]
fn one_point_one_checks_type_and_length() {
    let raw = bytes(Version::V11, &Match::any());
    let kind = |at: usize| {
        let mut raw = raw.clone();
        raw[at] = 9;
        decode(&mut Reader::new(&raw), Version::V11).expect_err("refused").kind
    };
    assert_eq!(kind(1), ErrorKind::BadMatchBadType);
    assert_eq!(kind(3), ErrorKind::BadMatchBadLen);
    let short = decode(&mut Reader::new(&raw[..80]), Version::V11).expect_err("short").kind;
    assert_eq!(short, ErrorKind::BadMatchBadLen);
}
