//! Matches: known fields, no field twice, values and masks in range, prerequisites before what needs
//! them (OpenFlow 1.3.5 §7.2.3.3-8).

use crate::error::{ErrorKind, OfError};
use crate::field::{FieldId, FieldInfo, Prereq};
use crate::matching::{Match, MatchField};
use crate::version::Version;

/// `OFPVID_PRESENT`
const VID_PRESENT: u128 = 0x1000;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PBB: u16 = 0x88e7;
const NSH: u16 = 0x894f;

/// What is known of a packet that matched, as far as prerequisites ask: built up by a match, changed
/// by the actions that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    in_port: bool,
    /// The ethertype after VLAN tags; for a non-Ethernet packet its packet type.
    pub(super) eth_type: Option<u16>,
    /// Whether there is a VLAN tag, if known.
    pub(super) vlan: Option<bool>,
    pub(super) ip_proto: Option<u8>,
    icmpv6_type: Option<u8>,
}

impl Known {
    /// Takes note of a field with this exact value.
    pub(super) fn note(&mut self, id: FieldId, value: u128) {
        match id {
            FieldId::InPort => self.in_port = true,
            FieldId::EthType => {
                self.eth_type = u16::try_from(value).ok();
                (self.ip_proto, self.icmpv6_type) = (None, None);
            }
            // Namespace 1 is "ethertype".
            FieldId::PacketType if value >> 16 == 1 => self.eth_type = Some(value as u16),
            FieldId::IpProto => {
                self.ip_proto = u8::try_from(value).ok();
                self.icmpv6_type = None;
            }
            FieldId::Icmpv6Type => self.icmpv6_type = u8::try_from(value).ok(),
            FieldId::VlanVid | FieldId::VlanTci => self.vlan = Some(value & VID_PRESENT != 0),
            _ => {}
        }
    }

    /// A header of this ethertype now follows the Ethernet header.
    pub(super) fn set_eth_type(&mut self, eth_type: u16) {
        self.note(FieldId::EthType, eth_type.into());
    }

    /// Whether a field's prerequisite holds.
    pub(super) fn satisfies(&self, prereq: Prereq) -> bool {
        let eth = |wanted: &[u16]| self.eth_type.is_some_and(|t| wanted.contains(&t));
        let ip_proto = |wanted: u8| eth(&[IPV4, IPV6]) && self.ip_proto == Some(wanted);
        match prereq {
            Prereq::None => true,
            Prereq::InPort => self.in_port,
            Prereq::Vlan => self.vlan == Some(true),
            Prereq::Ip => eth(&[IPV4, IPV6]),
            Prereq::Ipv4 => eth(&[IPV4]),
            Prereq::Ipv6 => eth(&[IPV6]),
            Prereq::Arp => eth(&[ARP, RARP]),
            Prereq::Mpls => eth(&[MPLS, MPLS_MULTICAST]),
            Prereq::Pbb => eth(&[PBB]),
            Prereq::Nsh => eth(&[NSH]),
            Prereq::Tcp => ip_proto(6),
            Prereq::Udp => ip_proto(17),
            Prereq::Sctp => ip_proto(132),
            Prereq::Icmpv4 => eth(&[IPV4]) && self.ip_proto == Some(1),
            Prereq::Icmpv6 => eth(&[IPV6]) && self.ip_proto == Some(58),
            Prereq::Nd => self.satisfies(Prereq::Icmpv6) && matches!(self.icmpv6_type, Some(135 | 136)),
            Prereq::NdSol => self.satisfies(Prereq::Icmpv6) && self.icmpv6_type == Some(135),
            Prereq::NdAdv => self.satisfies(Prereq::Icmpv6) && self.icmpv6_type == Some(136),
        }
    }
}

/// Checks a match; says what it makes known of a packet, for checking actions.
///
/// 1.0 and 1.1 have fixed matches, where a field without its prerequisite is ignored rather than
/// refused.
pub fn matching(m: &Match, version: Version) -> Result<Known, OfError> {
    fields(m, version >= Version::V12)
}

/// Checks a match of Nicira's messages, which has prerequisites in every version.
pub fn nicira_matching(m: &Match) -> Result<Known, OfError> {
    fields(m, true)
}

fn fields(m: &Match, strict: bool) -> Result<Known, OfError> {
    let mut known = Known::default();
    let mut seen = [0u64; 4];
    let mut unknown = m.unknown.iter().peekable();
    for (i, field) in m.fields.iter().enumerate() {
        if unknown.peek().is_some_and(|(at, _)| *at <= i) {
            break;
        }
        let index = field.id as usize;
        if let Some(word) = seen.get_mut(index / 64) {
            let bit = 1u64 << (index % 64);
            if *word & bit != 0 {
                return Err(fault(ErrorKind::BadMatchDupField, field, "is there twice"));
            }
            *word |= bit;
        }
        if field.id == FieldId::PacketType && m.fields.iter().take(i).any(|f| !f.id.is_pipeline()) {
            // 1.5.1 §7.2.3.11. What stands before it took the packet for an Ethernet frame, unless it is no header's:
            // clients that sort fields by their numbers write in_port first.
            return Err(fault(ErrorKind::BadMatchBadPrereq, field, "must stand before the fields of headers"));
        }
        one(field, &mut known, strict)?;
    }
    match unknown.next() {
        None => Ok(known),
        Some((_, u)) => Err(super::tlv::unknown_field(u, ErrorKind::BadMatchBadField)),
    }
}

fn fault(kind: ErrorKind, field: &MatchField, reason: impl Into<std::borrow::Cow<'static, str>>) -> OfError {
    OfError::new(kind, field.id.info().name, reason)
}

fn one(field: &MatchField, known: &mut Known, strict: bool) -> Result<(), OfError> {
    let info = field.id.info();
    if strict && !known.satisfies(info.prereq) {
        return Err(fault(ErrorKind::BadMatchBadPrereq, field, format!("{:?} must be matched before it", info.prereq)));
    }
    value_and_mask(field, info)?;
    // 1.1 (1.1.0 §A.2.3) and Nicira's `NXM_OF_IP_TOS`: the two bits of ECN must be zero.
    if field.id == FieldId::IpTos && field.value & 3 != 0 {
        return Err(fault(ErrorKind::BadMatchBadValue, field, format!("{:#04x} has ECN bits", field.value)));
    }
    if exact(field, info) {
        if matches!(field.id, FieldId::VlanVid) && field.value & VID_PRESENT == 0 && field.value != 0 {
            return Err(fault(ErrorKind::BadMatchBadValue, field, "a VLAN id without OFPVID_PRESENT matches nothing"));
        }
        known.note(field.id, field.value);
    } else if matches!(field.id, FieldId::VlanVid | FieldId::VlanTci) {
        let mask = field.effective_mask();
        // Any VLAN bit that has to be one means a tag; PRESENT that has to be zero means none.
        if field.value & mask != 0 {
            known.vlan = Some(true);
        } else if mask & VID_PRESENT != 0 {
            known.vlan = Some(false);
        }
    }
    Ok(())
}

/// Whether a field is matched in full: no mask, or one of all ones.
fn exact(field: &MatchField, info: &FieldInfo) -> bool {
    field.mask.is_none_or(|mask| mask == info.all_ones())
}

fn value_and_mask(field: &MatchField, info: &FieldInfo) -> Result<(), OfError> {
    let ones = info.all_ones();
    if field.value & !ones != 0 {
        let reason = format!("{:#x} has more than {} bits", field.value, info.bits);
        return Err(fault(ErrorKind::BadMatchBadValue, field, reason));
    }
    let Some(mask) = field.mask else { return Ok(()) };
    // A mask byte-wide for a narrower field may well set the spare bits.
    let mask = mask & ones;
    if !info.maskable && mask != ones && mask != 0 {
        let kind = match field.id {
            FieldId::EthDst | FieldId::EthSrc => ErrorKind::BadMatchBadDlAddrMask,
            FieldId::Ipv4Src | FieldId::Ipv4Dst | FieldId::Ipv6Src | FieldId::Ipv6Dst => {
                ErrorKind::BadMatchBadNwAddrMask
            }
            _ => ErrorKind::BadMatchBadMask,
        };
        return Err(fault(kind, field, "cannot be masked"));
    }
    if field.value & !mask != 0 {
        let reason = format!("value {:#x} has bits outside mask {mask:#x}", field.value);
        return Err(fault(ErrorKind::BadMatchBadWildcards, field, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(m: Match) -> Result<(), ErrorKind> {
        matching(&m, Version::V13).map(|_| ()).map_err(|e| e.kind)
    }

    #[test]
    fn prerequisites_come_before_what_needs_them() {
        let tcp = Match::any().with(FieldId::EthType, 0x800).with(FieldId::IpProto, 6).with(FieldId::TcpDst, 80);
        assert_eq!(check(tcp.clone()), Ok(()));
        let mut turned = tcp.clone();
        turned.fields.swap(0, 1);
        assert_eq!(check(turned), Err(ErrorKind::BadMatchBadPrereq));
        assert_eq!(check(Match::any().with(FieldId::Ipv4Dst, 1)), Err(ErrorKind::BadMatchBadPrereq));
        let mut udp = tcp;
        udp.fields[1].value = 17;
        assert_eq!(check(udp), Err(ErrorKind::BadMatchBadPrereq));
    }

    #[test]
    fn vlan_pcp_needs_a_tag() {
        let pcp = |vid: MatchField| check(Match::new(vec![vid, MatchField::exact(FieldId::VlanPcp, 3)]));
        assert_eq!(pcp(MatchField::exact(FieldId::VlanVid, 0x1005)), Ok(()));
        assert_eq!(pcp(MatchField::masked(FieldId::VlanVid, 0x1000, 0x1000)), Ok(()));
        assert_eq!(pcp(MatchField::exact(FieldId::VlanVid, 0)), Err(ErrorKind::BadMatchBadPrereq));
        assert_eq!(pcp(MatchField::masked(FieldId::VlanVid, 0, 0x1000)), Err(ErrorKind::BadMatchBadPrereq));
    }

    #[test]
    fn values_and_masks_are_in_range() {
        let m = |f| check(Match::new(vec![f]));
        assert_eq!(m(MatchField::exact(FieldId::VlanVid, 0x2000)), Err(ErrorKind::BadMatchBadValue));
        assert_eq!(m(MatchField::exact(FieldId::VlanVid, 5)), Err(ErrorKind::BadMatchBadValue));
        assert_eq!(m(MatchField::masked(FieldId::EthDst, 3, 1)), Err(ErrorKind::BadMatchBadWildcards));
        assert_eq!(m(MatchField::masked(FieldId::EthType, 0, 0xff)), Err(ErrorKind::BadMatchBadMask));
        assert_eq!(m(MatchField::masked(FieldId::EthType, 0x800, 0xffff)), Ok(()));
        let dscp = Match::any().with(FieldId::EthType, 0x800).with(FieldId::IpDscp, 64);
        assert_eq!(check(dscp), Err(ErrorKind::BadMatchBadValue));
    }

    #[test]
    fn the_packet_type_comes_before_headers() {
        let check = |m: &Match| matching(m, Version::V15).map(|_| ()).map_err(|e| e.kind);
        let ip = Match::any().with(FieldId::PacketType, 0x1_0800).with(FieldId::IpProto, 6);
        assert_eq!(check(&ip), Ok(()));
        let behind = |first, value| check(&Match::any().with(first, value).with(FieldId::PacketType, 0));
        assert_eq!(behind(FieldId::EthType, 0x800), Err(ErrorKind::BadMatchBadPrereq));
        assert_eq!(behind(FieldId::EthDst, 1), Err(ErrorKind::BadMatchBadPrereq));
        // os-ken sorts fields by number.
        assert_eq!(behind(FieldId::InPort, 1), Ok(()));
        assert_eq!(behind(FieldId::Metadata, 5), Ok(()));
        let twice = Match::any().with(FieldId::PacketType, 0).with(FieldId::PacketType, 0);
        assert_eq!(check(&twice), Err(ErrorKind::BadMatchDupField));
    }

    #[test]
    fn no_field_twice_and_none_unknown() {
        let twice = Match::any().with(FieldId::InPort, 1).with(FieldId::InPort, 1);
        assert_eq!(check(twice), Err(ErrorKind::BadMatchDupField));
        let mut unknown = Match::any();
        unknown.unknown.push((
            0,
            crate::matching::UnknownField {
                class: 0x8000,
                field: 99,
                has_mask: false,
                experimenter: None,
                payload: bytes::Bytes::new(),
            },
        ));
        assert_eq!(check(unknown), Err(ErrorKind::BadMatchBadField));
    }
}
