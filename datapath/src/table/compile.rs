//! A match becomes a value and a mask over the flow key, checked on the way.
//!
//! What a version means beyond its fields is put into the key here: 1.1 and later want the L4 header
//! in the frame when an L4 field is matched (later fragments don't match), 1.0 sees ports 0 there;
//! 1.0's exact match beats every priority.

use crate::classifier::{Mask, Shape, ShapeField, known_bits};
use crate::key::{FlowKey, VLAN_PRESENT, flag, slot};
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::field::{FieldId, Prereq};
use ofproto::matching::{Match, MatchField};

/// A checked match.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) value: FlowKey,
    pub(crate) mask: FlowKey,
    pub(crate) shape: Shape,
    /// 1.0's match without wildcards.
    pub(crate) exact10: bool,
}

fn refuse(kind: ErrorKind, f: &MatchField, reason: &'static str) -> OfError {
    OfError::new(kind, f.id.info().name, reason)
}

/// Whether `prereq` holds given the fields before.
fn satisfied(prereq: Prereq, before: &[MatchField]) -> bool {
    let exact =
        |id: FieldId| before.iter().find(|f| f.id == id && f.effective_mask() == id.info().all_ones()).map(|f| f.value);
    // 1.5: a packet type of the Ethertype namespace says what eth_type would.
    let packet_type =
        before.iter().find(|f| f.id == FieldId::PacketType && f.value >> 16 == 1).map(|f| f.value & 0xffff);
    let eth_type = exact(FieldId::EthType).or(packet_type);
    let proto = exact(FieldId::IpProto);
    let icmpv6 = || eth_type == Some(0x86dd) && proto == Some(58);
    let nd = exact(FieldId::Icmpv6Type);
    match prereq {
        Prereq::None => true,
        Prereq::InPort => exact(FieldId::InPort).is_some(),
        Prereq::Vlan => before.iter().any(|f| match f.id {
            FieldId::VlanVid | FieldId::VlanTci => f.value & f.effective_mask() & u128::from(VLAN_PRESENT) != 0,
            _ => false,
        }),
        Prereq::Ip => matches!(eth_type, Some(0x0800 | 0x86dd)),
        Prereq::Ipv4 => eth_type == Some(0x0800),
        Prereq::Ipv6 => eth_type == Some(0x86dd),
        Prereq::Arp => matches!(eth_type, Some(0x0806 | 0x8035)),
        Prereq::Mpls => matches!(eth_type, Some(0x8847 | 0x8848)),
        Prereq::Pbb => eth_type == Some(0x88e7),
        Prereq::Nsh => eth_type == Some(0x894f),
        Prereq::Tcp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(6),
        Prereq::Udp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(17),
        Prereq::Sctp => matches!(eth_type, Some(0x0800 | 0x86dd)) && proto == Some(132),
        Prereq::Icmpv4 => eth_type == Some(0x0800) && proto == Some(1),
        Prereq::Icmpv6 => icmpv6(),
        Prereq::Nd => icmpv6() && matches!(nd, Some(135 | 136)),
        Prereq::NdSol => icmpv6() && nd == Some(135),
        Prereq::NdAdv => icmpv6() && nd == Some(136),
    }
}

/// Whether the field is read from the L4 header.
fn is_l4(id: FieldId) -> bool {
    use FieldId as F;
    matches!(
        id,
        F::TcpSrc
            | F::TcpDst
            | F::UdpSrc
            | F::UdpDst
            | F::SctpSrc
            | F::SctpDst
            | F::TcpFlags
            | F::Icmpv4Type
            | F::Icmpv4Code
            | F::Icmpv6Type
            | F::Icmpv6Code
            | F::Ipv6NdTarget
            | F::Ipv6NdSll
            | F::Ipv6NdTll
    )
}

/// Checks and compiles a match of `version`.
///
/// # Errors
/// `OFPBMC_*` as OpenFlow 1.3.5 §7.2.3 says: `BAD_FIELD` for a field this switch doesn't match on,
/// `DUP_FIELD`, `BAD_PREREQ`, `BAD_VALUE`, `BAD_MASK`, `BAD_WILDCARDS` (a value bit where the mask has none).
pub(crate) fn compile(m: &Match, version: Version) -> Result<Compiled, OfError> {
    use ErrorKind as E;
    if let Some((_, unknown)) = m.unknown.first() {
        return Err(OfError::new(
            E::BadMatchBadField,
            "oxm_field",
            format!("class {:#06x} field {} is not supported", unknown.class, unknown.field),
        ));
    }
    let mut value = FlowKey::default();
    let mut mask = FlowKey::default();
    let mut fields = Vec::with_capacity(m.fields.len());
    let fixed = version <= Version::V11;
    for (i, f) in m.fields.iter().enumerate() {
        let info = f.id.info();
        let Some(s) = slot(f.id) else {
            return Err(refuse(E::BadMatchBadField, f, "this switch does not match on it"));
        };
        let all = info.all_ones();
        if m.fields[..i].iter().any(|g| g.id == f.id) {
            return Err(refuse(E::BadMatchDupField, f, "given twice"));
        }
        let lone_pcp = fixed && f.id == FieldId::VlanPcp && m.get(FieldId::VlanVid).is_none();
        if !lone_pcp && !satisfied(info.prereq, &m.fields[..i]) {
            // The fixed match of 1.0 and 1.1 carries fields that its protocol doesn't have: no meaning.
            if fixed && f.code.is_none() {
                continue;
            }
            return Err(refuse(E::BadMatchBadPrereq, f, "what it needs is not matched before it"));
        }
        let mut bits = f.mask.unwrap_or(all);
        if f.value & !all != 0 || bits & !all != 0 {
            return Err(refuse(E::BadMatchBadValue, f, "wider than the field"));
        }
        let mut want = f.value;
        if want & !bits != 0 {
            if !fixed {
                return Err(refuse(E::BadMatchBadWildcards, f, "value bits are set where the mask has none"));
            }
            want &= bits;
        }
        if bits != all && bits != 0 && !info.maskable && f.id != FieldId::IpTos {
            return Err(refuse(E::BadMatchBadMask, f, "cannot be masked"));
        }
        if f.id == FieldId::VlanVid {
            let present = u128::from(VLAN_PRESENT);
            if bits & present != 0 && want & present == 0 {
                if want != 0 {
                    return Err(refuse(E::BadMatchBadValue, f, "without OFPVID_PRESENT no packet has this VLAN id"));
                }
                // Untagged. The present bit says it all; one form, so that both spellings are one identity.
                bits = present;
            }
        }
        if f.id == FieldId::IpProto && fixed && m.get(FieldId::EthType).is_some_and(|t| t.value == 0x0806) {
            // 1.0, 1.1: the opcode of ARP stands in nw_proto; the slot is the same.
            value.set(FieldId::ArpOp, want);
            mask.set(FieldId::ArpOp, 0xffff);
        }
        let (old_value, old_mask) = (value.read(s), mask.read(s));
        let seen = bits & known_bits(f.id);
        if (old_value ^ want) & old_mask & seen != 0 {
            return Err(refuse(E::BadMatchBadValue, f, "contradicts a field that shares its bits"));
        }
        value.write(s, old_value | (want & seen));
        mask.write(s, old_mask | seen);
        if lone_pcp {
            let present = slot(FieldId::VlanVid).map_or(0, |v| value.read(v)) | u128::from(VLAN_PRESENT);
            value.set(FieldId::VlanVid, present);
            mask.set(FieldId::VlanVid, mask.get(FieldId::VlanVid) | u128::from(VLAN_PRESENT));
        }
        if is_l4(f.id) && seen != 0 {
            let word = crate::key::word::L4;
            if version >= Version::V11 {
                value.0[word] |= flag::L4_PRESENT << 32;
                mask.0[word] |= flag::L4_PRESENT << 32;
            } else if want & seen != 0 {
                // 1.0 sees ports 0 in every fragment, the first one included.
                mask.0[word] |= 1 << 32;
            }
        }
        fields.push(ShapeField { id: f.id, mask: f.mask, code: f.code });
    }
    let exact10 = version == Version::V10 && is_exact10(m);
    // What fields asked for themselves is not the version's.
    let asked = m.get(FieldId::IpFrag).map_or(0, |f| (f.effective_mask() & 3) as u64) << 32;
    let hidden = mask.0[crate::key::word::L4] & ((flag::L4_PRESENT | 1) << 32) & !asked;
    let shape = Shape { fields: fields.into(), mask: Mask::of(&mask), hidden };
    Ok(Compiled { value, mask, shape, exact10 })
}

/// Whether a 1.0 match has no wildcards that mean anything (OpenFlow 1.0.0 §3.4).
fn is_exact10(m: &Match) -> bool {
    use FieldId as F;
    let exact = |id: F| m.get(id).filter(|f| f.effective_mask() == id.info().all_ones()).map(|f| f.value);
    let base = [F::InPort, F::EthSrc, F::EthDst].iter().all(|id| exact(*id).is_some());
    let Some(vid) = exact(F::VlanVid) else { return false };
    let Some(eth_type) = exact(F::EthType) else { return false };
    if !base || (vid != 0 && exact(F::VlanPcp).is_none()) {
        return false;
    }
    let both = |a, b| exact(a).is_some() && exact(b).is_some();
    match eth_type {
        0x0800 => {
            both(F::Ipv4Src, F::Ipv4Dst)
                && (exact(F::IpDscp).is_some() || exact(F::IpTos).is_some())
                && match exact(F::IpProto) {
                    Some(6) => both(F::TcpSrc, F::TcpDst),
                    Some(17) => both(F::UdpSrc, F::UdpDst),
                    Some(1) => both(F::Icmpv4Type, F::Icmpv4Code),
                    other => other.is_some(),
                }
        }
        0x86dd => {
            (exact(F::IpDscp).is_some() || exact(F::IpTos).is_some())
                && match exact(F::IpProto) {
                    Some(6) => both(F::TcpSrc, F::TcpDst),
                    Some(17) => both(F::UdpSrc, F::UdpDst),
                    Some(58) => both(F::Icmpv6Type, F::Icmpv6Code),
                    other => other.is_some(),
                }
        }
        0x0806 => {
            (both(F::ArpSpa, F::ArpTpa) || both(F::Ipv4Src, F::Ipv4Dst))
                && (exact(F::ArpOp).is_some() || exact(F::IpProto).is_some())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(m: &Match, v: Version) -> ErrorKind {
        compile(m, v).map(|_| ()).unwrap_err().kind
    }

    #[test]
    fn refuses_what_the_specification_refuses() {
        use ErrorKind as E;
        let v = Version::V13;
        assert_eq!(kind(&Match::any().with(FieldId::TcpDst, 80), v), E::BadMatchBadPrereq);
        let late = Match::any().with(FieldId::IpProto, 6).with(FieldId::EthType, 0x800);
        assert_eq!(kind(&late, v), E::BadMatchBadPrereq);
        let twice = Match::any().with(FieldId::EthType, 0x800).with(FieldId::EthType, 0x800);
        assert_eq!(kind(&twice, v), E::BadMatchDupField);
        assert_eq!(kind(&Match::any().with(FieldId::VlanVid, 5), v), E::BadMatchBadValue);
        assert_eq!(kind(&Match::any().with(FieldId::VlanVid, 0x2000), v), E::BadMatchBadValue);
        assert_eq!(kind(&Match::any().with_mask(FieldId::InPort, 1, 1), v), E::BadMatchBadMask);
        assert_eq!(kind(&Match::any().with_mask(FieldId::EthDst, 3, 1), v), E::BadMatchBadWildcards);
        assert_eq!(kind(&Match::any().with(FieldId::CtZone, 3), v), E::BadMatchBadField);
    }

    #[test]
    fn gives_the_match_back_as_it_came() {
        let m = Match::any()
            .with(FieldId::InPort, 7)
            .with_mask(FieldId::VlanVid, 0x1000, 0x1000)
            .with(FieldId::EthType, 0x800)
            .with(FieldId::IpProto, 6)
            .with_mask(FieldId::Ipv4Dst, 0x0a00_0000, 0xff00_0000)
            .with(FieldId::TcpDst, 80);
        let c = compile(&m, Version::V13).unwrap();
        assert_eq!(c.shape.matching(&c.value), m);
    }

    #[test]
    fn l4_fields_need_the_header_from_1_1_on() {
        let m = Match::any().with(FieldId::EthType, 0x800).with(FieldId::IpProto, 6).with(FieldId::TcpDst, 0);
        let mut fragment = FlowKey::default();
        fragment.set(FieldId::EthType, 0x800);
        fragment.set(FieldId::IpProto, 6);
        fragment.set(FieldId::IpFrag, 3);
        let c = compile(&m, Version::V13).unwrap();
        assert!(!fragment.matches(&c.value, &c.mask));
        let c = compile(&m, Version::V10).unwrap();
        assert!(fragment.matches(&c.value, &c.mask));
    }

    #[test]
    fn untagged_has_one_identity() {
        let a = compile(&Match::any().with(FieldId::VlanVid, 0), Version::V13).unwrap();
        let b = compile(&Match::any().with_mask(FieldId::VlanVid, 0, 0x1000), Version::V13).unwrap();
        assert_eq!((a.value, a.mask), (b.value, b.mask));
    }
}
