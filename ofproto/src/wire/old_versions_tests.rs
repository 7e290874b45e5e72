//! 1.0, 1.1 and 1.2: what can be said comes back, matches survive byte by byte, nothing panics; and the
//! codes that validation answers there.

use crate::ids::Xid;
use crate::message::Message;
use crate::{ErrorKind, Version, arbitrary, validate, wire};
use proptest::prelude::*;

const OLD: [Version; 3] = [Version::V10, Version::V11, Version::V12];

/// A flow-mod of 1.0 or 1.1 around a match.
fn flow_mod(version: Version, matching: &[u8]) -> Vec<u8> {
    let mut m = match version {
        Version::V10 => {
            let mut m = vec![1, 14, 0, 0, 0, 0, 0, 1];
            m.extend(matching);
            m.extend([0; 20]);
            m.extend([0xff; 2]);
            m.extend([0; 2]);
            m
        }
        _ => {
            let mut m = vec![2, 14, 0, 0, 0, 0, 0, 1];
            m.extend([0; 24]);
            m.extend([0xff; 8]);
            m.extend([0; 8]);
            m.extend(matching);
            m
        }
    };
    let len = m.len() as u16;
    m[2..4].copy_from_slice(&len.to_be_bytes());
    m
}

fn fixed_match(version: Version) -> BoxedStrategy<Vec<u8>> {
    let eth_types = prop::sample::select(vec![0x0800u16, 0x0806, 0x8035, 0x8847, 0x86dd, 0x05ff]);
    let protocols = prop::sample::select(vec![1u8, 6, 17, 132, 58]);
    let v10 = version == Version::V10;
    let len = if v10 { 40 } else { 88 };
    (prop::collection::vec(any::<u8>(), len), eth_types, protocols, any::<[bool; 4]>(), any::<u32>())
        .prop_map(move |(mut m, eth_type, protocol, [kind, vlan, sparse, zero], wildcards)| {
            let (wildcards_at, type_at, proto_at, vlan_at) = if v10 { (0, 22, 25, 18) } else { (8, 40, 43, 36) };
            let wildcards = if sparse { wildcards & 0x000f_00cf } else { wildcards };
            m[wildcards_at..wildcards_at + 4].copy_from_slice(&wildcards.to_be_bytes());
            if kind {
                m[type_at..type_at + 2].copy_from_slice(&eth_type.to_be_bytes());
                m[proto_at] = protocol;
            }
            if vlan {
                m[vlan_at] &= 0x0f;
            }
            if zero {
                m[len - 8..].fill(0);
            }
            if !v10 {
                m[..4].copy_from_slice(&[0, 0, 0, 88]);
            }
            m
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Everything of 1.3 that an older version can say comes back as what it was there.
    #[test]
    fn what_can_be_said_comes_back(m in arbitrary::message(Version::V13)) {
        for version in OLD {
            let Ok(bytes) = wire::encode(version, Xid(5), &m) else { continue };
            let (header, again) = wire::decode(&bytes)
                .map_err(|e| TestCaseError::fail(format!("{version}: {e}\n{m:?}")))?;
            prop_assert_eq!(header.version, version.wire());
            let twice = wire::encode(version, Xid(5), &again);
            prop_assert_eq!(twice.as_ref(), Ok(&bytes), "{}: {:?}\n{:?}", version, m, again);
            // And from there on nothing changes any more.
            prop_assert_eq!(wire::decode(&bytes).map(|d| d.1), Ok(again));
        }
    }

    #[test]
    fn fixed_matches_survive_byte_by_byte(ten in fixed_match(Version::V10), eleven in fixed_match(Version::V11)) {
        for (version, matching) in [(Version::V10, ten), (Version::V11, eleven)] {
            let bytes = flow_mod(version, &matching);
            let (_, m) = wire::decode(&bytes).map_err(|e| TestCaseError::fail(format!("{version}: {e}")))?;
            prop_assert_eq!(wire::encode(version, Xid(1), &m), Ok(bytes));
            // What the match means has one layout, which says it all.
            let Message::FlowMod(mut plain) = m else { panic!("a flow-mod") };
            plain.matching.fixed = None;
            if let Ok(canonical) = wire::encode(version, Xid(1), &Message::FlowMod(plain.clone())) {
                prop_assert_eq!(wire::decode(&canonical).map(|d| d.1), Ok(Message::FlowMod(plain)));
            }
        }
    }

    #[test]
    fn no_bytes_panic(version in 1u8..4, ty in 0u8..32, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let len = (8 + body.len()) as u16;
        let mut bytes = vec![version, ty, (len >> 8) as u8, len as u8, 0, 0, 0, 1];
        bytes.extend(body);
        if let Ok((_, m)) = wire::decode(&bytes) {
            let _ = wire::encode(Version::from_wire(version).expect("one"), Xid(1), &m);
        }
    }

    #[test]
    fn no_damage_panics(m in arbitrary::message(Version::V13), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        for version in OLD {
            let Ok(mut bytes) = wire::encode(version, Xid(5), &m) else { continue };
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok((_, m)) = wire::decode(&bytes) {
                let _ = wire::encode(version, Xid(5), &m);
            }
        }
    }
}

/// What validation says of a flow-mod with this match.
fn judged(version: Version, set: impl FnOnce(&mut Vec<u8>)) -> Option<(ErrorKind, (u16, u16))> {
    let mut matching = match version {
        Version::V10 => {
            let mut m = vec![0; 40];
            m[..4].copy_from_slice(&0x003f_ffff_u32.to_be_bytes());
            m
        }
        _ => {
            let mut m = vec![0; 88];
            m[3] = 88;
            m[8..12].copy_from_slice(&0x3ff_u32.to_be_bytes());
            for range in [18..24, 30..36, 48..52, 56..60, 80..88] {
                m[range].fill(0xff);
            }
            m
        }
    };
    set(&mut matching);
    let (_, m) = wire::decode(&flow_mod(version, &matching)).expect("sound");
    validate::message(&m, version).err().map(|e| (e.kind, e.kind.wire(version)))
}

#[test]
fn wrong_values_have_their_versions_codes() {
    for version in [Version::V10, Version::V11] {
        assert_eq!(judged(version, |_| {}), None, "{version}");
    }
    let vlan = |m: &mut Vec<u8>| {
        m[11] &= !2;
        m[36..38].copy_from_slice(&[0x12, 0x34]);
    };
    assert_eq!(judged(Version::V11, vlan), Some((ErrorKind::BadMatchBadValue, (4, 7))));
    let tos = |m: &mut Vec<u8>| {
        m[11] &= !(8 | 16);
        m[40..42].copy_from_slice(&[8, 0]);
        m[42] = 3;
    };
    assert_eq!(judged(Version::V11, tos), Some((ErrorKind::BadMatchBadValue, (4, 7))));
    // 1.0 has no error for a match; what a flow cannot be is unsupported there.
    let vlan = |m: &mut Vec<u8>| {
        m[3] &= !2;
        m[18..20].copy_from_slice(&[0x12, 0x34]);
    };
    assert_eq!(judged(Version::V10, vlan), Some((ErrorKind::BadMatchBadValue, (3, 5))));
}
