//! Which bucket a flow takes: weighted rendezvous hashing. Each bucket draws a number from the flow's
//! hash and its own id; the best one wins. A bucket that comes or goes moves only the flows that it
//! wins or had won, and the shares are exactly proportional to the weights.

use super::{Group, GroupBucket};
use crate::key::{FlowKey, Slot, VLAN_PRESENT, flag, slot, word};
use ofproto::field::{FieldId, Prereq};
use ofproto::group::{GroupProp, GroupType, MethodName, SelectionMethod};
use ofproto::ids::GroupId;
use ofproto::{ErrorKind as E, OfError};

/// What a select group hashes.
#[derive(Debug, Default)]
pub(super) enum Hashed {
    /// What makes a flow.
    #[default]
    Flow,
    /// These fields, as far as a packet has them.
    Fields(Box<[HashedField]>),
}

/// A field that is hashed, under a mask.
#[derive(Debug)]
pub(super) struct HashedField {
    slot: Slot,
    mask: u128,
    prereq: Prereq,
}

/// How a select group chooses.
#[derive(Debug, Default)]
pub(super) struct Method {
    hashed: Hashed,
    /// Where the hash begins, if a controller said so: then all groups that have it choose alike, on all switches.
    basis: Option<u64>,
}

impl Method {
    /// The method that a group's properties name; what the protocol library checks is taken as checked.
    pub(super) fn of(ty: GroupType, properties: &[GroupProp]) -> Result<Self, OfError> {
        let chosen = properties.iter().rev().find_map(|p| match p {
            GroupProp::Selection(s) => Some(s),
            GroupProp::Other(_) => None,
        });
        let Some(s) = chosen.filter(|_| ty == GroupType::Select) else { return Ok(Self::default()) };
        // The upper half of dp_hash's parameter names an algorithm of Open vSwitch's datapaths.
        let basis = if s.method.text() == MethodName::DP_HASH.text() { s.param & 0xffff_ffff } else { s.param };
        Ok(Self { hashed: fields(s)?, basis: Some(basis).filter(|b| *b != 0) })
    }

    /// The bits of a key that decide, if they aren't those of every flow.
    pub(super) fn bits(&self) -> Option<FlowKey> {
        let Hashed::Fields(fields) = &self.hashed else { return None };
        let mut bits = FlowKey::default();
        for f in fields {
            bits.write(f.slot, bits.read(f.slot) | f.mask);
            add_prereq_bits(&mut bits, f.prereq);
        }
        Some(bits)
    }

    /// The hash of a packet. `seed` is the switch's own.
    pub(super) fn hash(&self, key: &FlowKey, seed: u64) -> u64 {
        let begin = self.basis.map_or(seed, mix);
        match &self.hashed {
            Hashed::Flow => flow_hash(key) ^ begin,
            Hashed::Fields(fields) => fields.iter().enumerate().fold(begin, |h, (i, f)| {
                if !present(key, f.prereq) {
                    return h;
                }
                let value = key.read(f.slot) & f.mask;
                // The place in the list keeps a field that is missing from looking like another that is there.
                mix(mix(h ^ value as u64) ^ (value >> 64) as u64 ^ ((i as u64 + 1) << 48)).rotate_left(17)
            }),
        }
    }
}

fn fields(s: &SelectionMethod) -> Result<Hashed, OfError> {
    if s.fields.fields.is_empty() {
        return Ok(Hashed::Flow);
    }
    let fields = s.fields.fields.iter().map(|f| {
        let info = f.id.info();
        let refused = || OfError::new(E::BadMatchBadField, info.name, "this switch does not know it of packets");
        Ok(HashedField { slot: slot(f.id).ok_or_else(refused)?, mask: f.value & info.all_ones(), prereq: info.prereq })
    });
    fields.collect::<Result<_, _>>().map(Hashed::Fields)
}

/// Whether a packet has what fields of this prerequisite are read from.
fn present(key: &FlowKey, prereq: Prereq) -> bool {
    let eth_type = key.get(FieldId::EthType);
    let ip = matches!(eth_type, 0x0800 | 0x86dd);
    let l4 = |proto: u128| {
        ip && key.get(FieldId::IpProto) == proto && key.get(FieldId::IpFrag) as u64 & flag::L4_PRESENT != 0
    };
    let nd = |types: &[u128]| eth_type == 0x86dd && l4(58) && types.contains(&key.get(FieldId::Icmpv6Type));
    match prereq {
        Prereq::None | Prereq::InPort => true,
        Prereq::Vlan => key.get(FieldId::VlanVid) & u128::from(VLAN_PRESENT) != 0,
        Prereq::Ip => ip,
        Prereq::Ipv4 => eth_type == 0x0800,
        Prereq::Ipv6 => eth_type == 0x86dd,
        Prereq::Arp => matches!(eth_type, 0x0806 | 0x8035),
        Prereq::Mpls => matches!(eth_type, 0x8847 | 0x8848),
        Prereq::Pbb => eth_type == 0x88e7,
        Prereq::Nsh => eth_type == 0x894f,
        Prereq::Tcp => l4(6),
        Prereq::Udp => l4(17),
        Prereq::Sctp => l4(132),
        Prereq::Icmpv4 => eth_type == 0x0800 && l4(1),
        Prereq::Icmpv6 => eth_type == 0x86dd && l4(58),
        Prereq::Nd => nd(&[135, 136]),
        Prereq::NdSol => nd(&[135]),
        Prereq::NdAdv => nd(&[136]),
    }
}

/// Adds the bits that [`present`] reads.
fn add_prereq_bits(bits: &mut FlowKey, prereq: Prereq) {
    match prereq {
        Prereq::None | Prereq::InPort => {}
        Prereq::Vlan => bits.set(FieldId::VlanVid, bits.get(FieldId::VlanVid) | u128::from(VLAN_PRESENT)),
        Prereq::Ip | Prereq::Ipv4 | Prereq::Ipv6 | Prereq::Arp | Prereq::Mpls | Prereq::Pbb | Prereq::Nsh => {
            bits.set(FieldId::EthType, 0xffff);
        }
        Prereq::Tcp | Prereq::Udp | Prereq::Sctp | Prereq::Icmpv4 | Prereq::Icmpv6 => {
            bits.set(FieldId::EthType, 0xffff);
            bits.set(FieldId::IpProto, 0xff);
            bits.set(FieldId::IpFrag, bits.get(FieldId::IpFrag) | u128::from(flag::L4_PRESENT));
        }
        Prereq::Nd | Prereq::NdSol | Prereq::NdAdv => {
            add_prereq_bits(bits, Prereq::Icmpv6);
            bits.set(FieldId::Icmpv6Type, 0xff);
        }
    }
}

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
pub(super) fn choose(group: &Group, hash: u64, mut usable: impl FnMut(&GroupBucket) -> bool) -> Option<usize> {
    // Groups in a row don't choose alike, unless a controller wants them to.
    let id = if group.method.basis.is_some() { GroupId(0) } else { group.id() };
    let hash = hash ^ u64::from(id.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
