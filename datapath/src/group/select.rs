//! Which bucket a flow takes: weighted rendezvous hashing. Each bucket draws a number from the flow's
//! hash and its own id; the best one wins. A bucket that comes or goes moves only the flows that it
//! wins or had won, and the shares are exactly proportional to the weights.

use super::{Group, GroupBucket};
use crate::key::{FlowKey, word};

/// A hash of what makes a flow: addresses, VLAN, types, labels and, but for fragments, ports. What
/// differs between packets of one flow (TTL, ToS, TCP flags) and metadata are left out.
pub fn flow_hash(key: &FlowKey) -> u64 {
    let k = &key.0;
    let l4 = k[word::L4];
    // proto 16 | tos 8 | frag 8 | src 16 | dst 16; any fragment hashes without its ports, because the
    // later ones have none.
    let fragment = (l4 >> 32) & 3 != 0;
    let l4 = if fragment { l4 & 0xffff_0000_0000_0000 } else { l4 & 0xffff_0000_ffff_ffff };
    let mut h = 0x9e37_79b9_7f4a_7c15;
    for w in [k[word::ETH_DST_TYPE], k[word::ETH_SRC_VLAN], k[word::IP4], l4] {
        h = mix(h ^ w);
    }
    let label = k[word::FLABEL_MPLS] & 0x0000_0000_ffff_f000;
    for w in [label, k[word::IP6_SRC], k[word::IP6_SRC + 1], k[word::IP6_DST], k[word::IP6_DST + 1]] {
        if w != 0 {
            h = mix(h ^ w).rotate_left(17);
        }
    }
    h
}

/// A keyed multiply-fold: the high and low half of a 128-bit product.
pub(crate) const fn mix(x: u64) -> u64 {
    let p = (x ^ 0xa076_1d64_78bd_642f) as u128 * 0xe703_7ed1_a0b4_28db;
    let y = (p >> 64) as u64 ^ p as u64;
    let y = (y ^ (y >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    y ^ (y >> 32)
}

/// The usable bucket with the best draw; `None` if none is usable.
pub(super) fn choose(group: &Group, hash: u64, usable: impl Fn(&GroupBucket) -> bool) -> Option<usize> {
    let hash = hash ^ u64::from(group.id().0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let draw = |b: &GroupBucket| mix(hash ^ mix(u64::from(b.id.0) + 1));
    let mut best: Option<(usize, f64)> = None;
    if group.even {
        let mut best: Option<(usize, u64)> = None;
        for (i, b) in group.buckets.iter().enumerate() {
            if b.weight == 0 {
                continue;
            }
            let d = draw(b);
            if best.is_none_or(|(_, x)| d > x) && usable(b) {
                best = Some((i, d));
            }
        }
        return best.map(|(i, _)| i);
    }
    for (i, b) in group.buckets.iter().enumerate() {
        if b.weight == 0 {
            continue;
        }
        // A uniform draw in (0, 1) with 53 bits; -ln(u)/w is exponential with rate w, and the least of
        // such draws falls on each bucket in proportion to its rate.
        let u = ((draw(b) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let score = -u.ln() / f64::from(b.weight);
        if best.is_none_or(|(_, x)| score < x) && usable(b) {
            best = Some((i, score));
        }
    }
    best.map(|(i, _)| i)
}
