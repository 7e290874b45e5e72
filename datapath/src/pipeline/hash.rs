//! Hashes for Nicira's multipath and bundle actions.

use crate::group::flow_hash;
use crate::key::FlowKey;
use crate::program::op::{Choice, HashFields};
use ofproto::field::FieldId as F;

const fn mix(x: u64) -> u64 {
    let p = (x ^ 0xa076_1d64_78bd_642f) as u128 * 0xe703_7ed1_a0b4_28db;
    (p >> 64) as u64 ^ p as u64
}

fn wide(x: u128) -> u64 {
    mix(x as u64 ^ mix((x >> 64) as u64))
}

/// The hash of the fields that `fields` names.
pub(super) fn hash(key: &FlowKey, fields: HashFields, basis: u16) -> u64 {
    let g = |f| key.get(f);
    // Both directions of a connection hash alike because the two ends are added.
    let ends = |a: F, b: F| wide(g(a)).wrapping_add(wide(g(b)));
    let v6 = g(F::EthType) == 0x86dd;
    let v4 = g(F::EthType) == 0x0800;
    let ip = |src: bool| match (v4, v6, src) {
        (true, _, true) => wide(g(F::Ipv4Src)),
        (true, _, false) => wide(g(F::Ipv4Dst)),
        (_, true, true) => wide(g(F::Ipv6Src)),
        (_, true, false) => wide(g(F::Ipv6Dst)),
        _ => 0,
    };
    let l3 = ip(true).wrapping_add(ip(false));
    let proto = g(F::IpProto) as u64;
    let ported = |udp: bool| (v4 || v6) && (matches!(proto, 6 | 132) || (udp && proto == 17));
    let l4 = |udp: bool| if ported(udp) { ends(F::TcpSrc, F::TcpDst).wrapping_add(proto) } else { 0 };
    let h = match fields {
        HashFields::EthSrc => wide(g(F::EthSrc)),
        HashFields::SymmetricL4 => {
            let vlan = g(F::VlanVid) as u64;
            ends(F::EthSrc, F::EthDst)
                .wrapping_add(mix(vlan ^ (g(F::EthType) as u64) << 16))
                .wrapping_add(l3)
                .wrapping_add(if v4 || v6 { mix(proto) } else { 0 })
                .wrapping_add(l4(false))
        }
        HashFields::SymmetricL3L4 => l3.wrapping_add(l4(false)),
        HashFields::SymmetricL3L4Udp => l3.wrapping_add(l4(true)),
        HashFields::SymmetricL3 => l3,
        HashFields::NwSrc => ip(true),
        HashFields::NwDst => ip(false),
    };
    mix(h ^ u64::from(basis) << 32)
}

/// The link out of `links` (at least 1) that a multipath takes.
pub(super) fn choose(key: &FlowKey, fields: HashFields, basis: u16, choice: Choice, links: u32) -> u32 {
    let h = hash(key, fields, basis);
    let n = u64::from(links.max(1));
    let link = match choice {
        Choice::ModuloN => h % n,
        Choice::HashThreshold => ((h >> 32) * n) >> 32,
        Choice::Hrw => (0..n).max_by_key(|i| mix(h ^ mix(i + 1))).unwrap_or(0),
        // Draws until one falls among the links; the arg bounds the range, the loop is bounded too.
        Choice::IterHash(arg) => (0..64).map(|i| mix(h ^ i) % u64::from(arg.max(1))).find(|l| *l < n).unwrap_or(h % n),
    };
    link as u32
}

/// The order in which a bundle's members are tried for a flow: highest random weight first.
pub(super) fn member(
    key: &FlowKey,
    fields: HashFields,
    basis: u16,
    n: usize,
    live: impl Fn(usize) -> bool,
) -> Option<usize> {
    let h = hash(key, fields, basis) ^ flow_hash(&FlowKey::default());
    (0..n).filter(|i| live(*i)).max_by_key(|i| mix(h ^ mix(*i as u64 + 1)))
}
