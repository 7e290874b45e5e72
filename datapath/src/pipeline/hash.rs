//! Hashes for Nicira's multipath and bundle actions.

use crate::clock::Time;
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

/// The bits that such a hash reads.
pub(super) fn bits(fields: HashFields) -> FlowKey {
    let ends = [F::EthSrc, F::EthDst, F::VlanVid];
    let ip = [F::EthType, F::Ipv4Src, F::Ipv4Dst, F::Ipv6Src, F::Ipv6Dst];
    let ports = [F::IpProto, F::TcpSrc, F::TcpDst];
    let read: &[&[F]] = match fields {
        HashFields::EthSrc => &[&[F::EthSrc]],
        HashFields::SymmetricL4 => &[&ends, &ip, &ports],
        HashFields::SymmetricL3L4 | HashFields::SymmetricL3L4Udp => &[&ip, &ports],
        HashFields::SymmetricL3 => &[&ip],
        HashFields::NwSrc => &[&[F::EthType, F::Ipv4Src, F::Ipv6Src]],
        HashFields::NwDst => &[&[F::EthType, F::Ipv4Dst, F::Ipv6Dst]],
    };
    let mut key = FlowKey::default();
    for field in read.iter().copied().flatten() {
        key.set(*field, u128::MAX);
    }
    key
}

/// Whether a packet is one of the `probability` of 65,535 that are sampled. Time and packet stand in for a random
/// draw, because nothing here may read a random source; packets alike of one burst share theirs.
pub(super) fn is_sampled(key: &FlowKey, now: Time, probability: u16) -> bool {
    let draw = (flow_hash(key) ^ now.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 32;
    let share = u64::from(probability);
    // All of 2^32 draws for 65,535, and of 65,535 parts of them as many as asked for.
    draw <= share << 16 | share
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits that are said to be read and no others, by flipping each.
    #[test]
    fn a_hash_reads_the_bits_that_it_says() {
        use HashFields as H;
        let all =
            [H::EthSrc, H::SymmetricL4, H::SymmetricL3L4, H::SymmetricL3L4Udp, H::SymmetricL3, H::NwSrc, H::NwDst];
        for fields in all {
            let said = bits(fields);
            let mut read = FlowKey::default();
            for (ty, proto) in [(0x0800, 6), (0x86dd, 6), (0x0806, 0), (0x0800, 17)] {
                let mut key = FlowKey(std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                key.set(F::EthType, ty);
                key.set(F::IpProto, proto);
                let before = hash(&key, fields, 7);
                for w in 0..key.0.len() {
                    for b in 0..64 {
                        let mut other = key;
                        other.0[w] ^= 1 << b;
                        if hash(&other, fields, 7) != before {
                            read.0[w] |= 1 << b;
                        }
                    }
                }
            }
            for (w, (r, s)) in read.0.iter().zip(said.0).enumerate() {
                assert_eq!(r & !s, 0, "{fields:?} word {w}");
            }
            let some = |k: &FlowKey| k.0.iter().map(|w| w.count_ones()).sum::<u32>();
            assert!(some(&read) * 2 > some(&said), "{fields:?} {} {}", some(&read), some(&said));
        }
    }

    #[test]
    fn samples_are_as_many_as_asked_for() {
        let mut key = FlowKey::default();
        let count = |key: &FlowKey, probability| {
            // A burst every 20 us or so, for 40 s.
            (0..2_000_000).filter(|n| is_sampled(key, Time(n * 20_011 + n % 7), probability)).count() as f64
        };
        for flow in [1, 77] {
            key.set(F::TcpSrc, flow);
            assert_eq!(count(&key, u16::MAX), 2e6);
            for probability in [6_554_u16, 655, 66] {
                let expected = 2e6 * f64::from(probability) / 65_535.0;
                let n = count(&key, probability);
                assert!((n / expected - 1.0).abs() < 0.1, "{probability}: {n}, {expected}");
            }
            // One in 65,535: 30.5.
            let n = count(&key, 1);
            assert!((15.0..46.0).contains(&n), "{n}");
        }
    }
}
