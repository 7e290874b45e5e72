//! Matches as text.

use super::names::{field_by_any_name, field_text_name};
use super::scan::{Item, Sep, Src};
use super::tun_metadata;
use super::value::{format_value_named, parse_value};
use super::{ParseContext, Printer, Shown, TextError, TextErrorKind};
use crate::field::{Code, FieldId, Prereq};
use crate::ids::ExperimenterId;
use crate::matching::{Match, MatchField, OxmId, UnknownField};
use bytes::Bytes;
use std::fmt;

/// `name, eth_type, ip_proto`
const SHORTHANDS: &[(&str, u128, Option<u128>)] = &[
    ("ip", 0x0800, None),
    ("ipv6", 0x86dd, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
    ("nsh", 0x894f, None),
];

/// Where a field stands in a canonical match: prerequisites before what needs them.
pub fn canonical_order(id: FieldId) -> u8 {
    match id {
        FieldId::PacketType => 0,
        id => id as u8 + 1,
    }
}

/// Reads a match: `in_port=1,tcp,nw_dst=10.0.0.0/8`.
///
/// # Errors
/// Unknown fields, malformed values, masks where none are allowed, contradictions.
pub fn parse_match(text: &str, ctx: &ParseContext<'_>) -> Result<Match, TextError> {
    let mut builder = MatchBuilder::default();
    for item in Src::new(text).items() {
        let item = item?;
        if !builder.accept(&item, ctx)? {
            return Err(item.unknown("a match field"));
        }
    }
    builder.finish()
}

/// Fields whose meaning depends on the protocol matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generic {
    TpSrc,
    TpDst,
    IcmpType,
    IcmpCode,
    NwSrc,
    NwDst,
    NwProto,
}

/// Collects a match's items; the meaning of `tp_src` and its like is settled at the end.
#[derive(Default)]
pub(crate) struct MatchBuilder<'a> {
    fields: Vec<(MatchField, Src<'a>)>,
    generic: Vec<(Generic, Option<Src<'a>>, Src<'a>)>,
    unknown: Vec<UnknownField>,
}

impl<'a> MatchBuilder<'a> {
    /// Takes `item` if it belongs to a match.
    pub fn accept(&mut self, item: &Item<'a>, ctx: &ParseContext<'_>) -> Result<bool, TextError> {
        if let Some(field) = tun_metadata::item(item)? {
            match self.unknown.iter_mut().find(|u| u.tun_metadata() == field.tun_metadata()) {
                Some(old) => {
                    let both = tun_metadata::both(old, &field);
                    *old = both.ok_or_else(|| {
                        item.all.err(TextErrorKind::Duplicate, format!("one value of {}", item.key.s))
                    })?;
                }
                None => self.unknown.push(field),
            }
            return Ok(true);
        }
        if item.sep == Sep::None {
            if item.key.s == "eth" {
                self.put(FieldId::PacketType, 0, None, item.all)?;
                return Ok(true);
            }
            let name = match item.key.s {
                "ipv4" => "ip",
                "ip6" => "ipv6",
                name => name,
            };
            let Some((_, ty, proto)) = SHORTHANDS.iter().find(|(n, ..)| *n == name) else {
                return if field_by_any_name(item.key.s).is_some() {
                    Err(item.all.missing(format!("{}=value", item.key.s)))
                } else {
                    Ok(false)
                };
            };
            self.put(FieldId::EthType, *ty, None, item.all)?;
            if let Some(proto) = proto {
                self.put(FieldId::IpProto, *proto, None, item.all)?;
            }
            return Ok(true);
        }
        if item.sep == Sep::Paren {
            if item.key.s != "oxm" {
                return Ok(false);
            }
            self.unknown.push(parse_unknown(item)?);
            return Ok(true);
        }
        if item.sep != Sep::Equals {
            return Ok(false);
        }
        let (name, range) = match item.key.split_once("[") {
            Some((name, range)) => (name, Some(range)),
            None => (item.key, None),
        };
        let generic = match name.s {
            "tp_src" => Some(Generic::TpSrc),
            "tp_dst" => Some(Generic::TpDst),
            "icmp_type" => Some(Generic::IcmpType),
            "icmp_code" => Some(Generic::IcmpCode),
            "nw_src" => Some(Generic::NwSrc),
            "nw_dst" => Some(Generic::NwDst),
            "nw_proto" => Some(Generic::NwProto),
            _ => None,
        };
        if let Some(generic) = generic {
            self.generic.push((generic, range, item.need("a value")?));
            return Ok(true);
        }
        match item.key.s {
            "dl_vlan" => {
                let value = item.need("a VLAN id")?;
                if matches!(value.s, "*" | "ANY") {
                    return Ok(true);
                }
                match value.number_to(0xffff)? {
                    0xffff => self.put(FieldId::VlanVid, 0, None, item.all)?,
                    vid @ 0..=0xfff => self.put(FieldId::VlanVid, vid | 0x1000, None, item.all)?,
                    _ => {
                        return Err(value.err(TextErrorKind::OutOfRange, "a VLAN id (0 to 4095), or 0xffff for no tag"));
                    }
                }
            }
            "dl_vlan_pcp" | "vlan_pcp" => self.put_parsed(FieldId::VlanPcp, item, ctx)?,
            "vlan_tci" => self.vlan_tci(item, ctx)?,
            "nw_tos" | "ip_tos" => {
                let value = item.need("a value")?;
                if matches!(value.s, "*" | "ANY") {
                    return Ok(true);
                }
                let tos = value.number_to(0xff)?;
                if tos & 3 != 0 {
                    return Err(value.err(TextErrorKind::OutOfRange, "a TOS whose two ECN bits are zero"));
                }
                self.put(FieldId::IpDscp, tos >> 2, None, item.all)?;
            }
            key => {
                if let Some(range) = range {
                    let Some((id, code)) = field_by_any_name(name.s) else { return Ok(false) };
                    self.bits(id, code, range, item.need("a value")?)?;
                    return Ok(true);
                }
                let Some((id, _)) = field_by_any_name(key) else { return Ok(false) };
                self.put_parsed(id, item, ctx)?;
            }
        }
        Ok(true)
    }

    /// `reg0[4..7]=3`; several such items make one mask.
    fn bits(&mut self, id: FieldId, code: Option<Code>, range: Src<'a>, value: Src<'a>) -> Result<(), TextError> {
        let name = id.info().name;
        let inner = range.s.strip_suffix(']').map(|s| Src { s, at: range.at });
        let inner = inner.ok_or_else(|| range.err(TextErrorKind::Syntax, "a closing bracket"))?;
        let (offset, n_bits) = super::nicira::parse_bit_range(inner, id, code)?;
        let max = if n_bits >= 128 { u128::MAX } else { (1 << n_bits) - 1 };
        let mut bits = value.number_to(max)? << offset;
        let mut mask = max << offset;
        let all = id.info().all_ones();
        if mask != all && !id.info().maskable {
            return Err(range.err(TextErrorKind::NotMaskable, format!("{name} as a whole")));
        }
        if let Some((old, _)) = self.fields.iter().find(|(f, _)| f.id == id) {
            let old_mask = old.effective_mask();
            if (old.value ^ bits) & old_mask & mask != 0 {
                return Err(value.err(TextErrorKind::Duplicate, format!("the same value of {name}")));
            }
            bits |= old.value;
            mask |= old_mask;
            self.fields.retain(|(f, _)| f.id != id);
        }
        let mask = (mask != all).then_some(mask);
        if id == FieldId::VlanTci { self.tci(bits, mask, value) } else { self.put(id, bits, mask, value) }
    }

    fn put_generic(&mut self, id: FieldId, range: Option<Src<'a>>, src: Src<'a>) -> Result<(), TextError> {
        if let Some(range) = range {
            self.bits(id, None, range, src)?;
        } else if let Some((value, mask)) = parse_value(id, src, &ParseContext::default())? {
            self.put(id, value, mask, src)?;
        }
        Ok(())
    }

    fn put_parsed(&mut self, id: FieldId, item: &Item<'a>, ctx: &ParseContext<'_>) -> Result<(), TextError> {
        if let Some((value, mask)) = parse_value(id, item.need("a value")?, ctx)? {
            self.put(id, value, mask, item.all)?;
        }
        Ok(())
    }

    fn vlan_tci(&mut self, item: &Item<'a>, ctx: &ParseContext<'_>) -> Result<(), TextError> {
        match parse_value(FieldId::VlanTci, item.need("a value")?, ctx)? {
            Some((value, mask)) => self.tci(value, mask, item.all),
            None => Ok(()),
        }
    }

    /// The tag control word says what `vlan_vid` and `vlan_pcp` say where it can.
    fn tci(&mut self, value: u128, mask: Option<u128>, at: Src<'a>) -> Result<(), TextError> {
        let m = mask.unwrap_or(0xffff);
        let (vid, vid_mask) = (value & 0x1fff, m & 0x1fff);
        match m & 0xe000 {
            0 if m & 0x1000 != 0 => {
                self.put(FieldId::VlanVid, vid, (vid_mask != 0x1fff).then_some(vid_mask), at)?;
            }
            0xe000 if m & value & 0x1000 != 0 => {
                self.put(FieldId::VlanVid, vid, (vid_mask != 0x1fff).then_some(vid_mask), at)?;
                self.put(FieldId::VlanPcp, value >> 13, None, at)?;
            }
            0xe000 if m == 0xffff && value == 0 => self.put(FieldId::VlanVid, 0, None, at)?,
            _ => self.put(FieldId::VlanTci, value, mask, at)?,
        }
        Ok(())
    }

    fn put(&mut self, id: FieldId, value: u128, mask: Option<u128>, at: Src<'a>) -> Result<(), TextError> {
        match self.fields.iter().find(|(f, _)| f.id == id) {
            Some((old, _)) if old.value == value && old.mask == mask => Ok(()),
            Some(_) => {
                Err(at.err(TextErrorKind::Duplicate, format!("one value of {}, not two that differ", id.info().name)))
            }
            None => {
                self.fields.push((MatchField { id, value, mask, code: None }, at));
                Ok(())
            }
        }
    }

    fn exact(&self, id: FieldId) -> Option<u128> {
        self.fields.iter().find(|(f, _)| f.id == id && f.mask.is_none()).map(|(f, _)| f.value)
    }

    /// Settles what depends on the protocol and sorts.
    pub fn finish(mut self) -> Result<Match, TextError> {
        let eth_type = self.exact(FieldId::EthType).or(match self.exact(FieldId::PacketType) {
            Some(p) if p >> 16 == 1 => Some(p & 0xffff),
            _ => None,
        });
        // The 1.0 match has one pair of addresses for IP and ARP, and so has this syntax.
        let arp = matches!(eth_type, Some(0x0806 | 0x8035));
        let (addresses, ports): (Vec<_>, Vec<_>) = std::mem::take(&mut self.generic)
            .into_iter()
            .partition(|(g, ..)| matches!(g, Generic::NwSrc | Generic::NwDst | Generic::NwProto));
        for (generic, range, src) in addresses {
            let id = match (generic, arp) {
                (Generic::NwSrc, false) => FieldId::Ipv4Src,
                (Generic::NwSrc, true) => FieldId::ArpSpa,
                (Generic::NwDst, false) => FieldId::Ipv4Dst,
                (Generic::NwDst, true) => FieldId::ArpTpa,
                (_, false) => FieldId::IpProto,
                (_, true) => FieldId::ArpOp,
            };
            self.put_generic(id, range, src)?;
        }
        let proto = self.exact(FieldId::IpProto);
        for (generic, range, src) in ports {
            use Generic as G;
            let id = match (generic, proto, eth_type) {
                (G::TpSrc, Some(6), _) => FieldId::TcpSrc,
                (G::TpDst, Some(6), _) => FieldId::TcpDst,
                (G::TpSrc, Some(17), _) => FieldId::UdpSrc,
                (G::TpDst, Some(17), _) => FieldId::UdpDst,
                (G::TpSrc, Some(132), _) => FieldId::SctpSrc,
                (G::TpDst, Some(132), _) => FieldId::SctpDst,
                (G::TpSrc | G::IcmpType, Some(58), Some(0x86dd)) => FieldId::Icmpv6Type,
                (G::TpDst | G::IcmpCode, Some(58), Some(0x86dd)) => FieldId::Icmpv6Code,
                (G::TpSrc, Some(1), _) | (G::IcmpType, ..) => FieldId::Icmpv4Type,
                (G::TpDst, Some(1), _) | (G::IcmpCode, ..) => FieldId::Icmpv4Code,
                _ => {
                    return Err(
                        src.missing("tcp, udp, sctp or icmp (or nw_proto) for tp_src and tp_dst to mean something")
                    );
                }
            };
            self.put_generic(id, range, src)?;
        }
        if self.fields.iter().any(|(f, _)| f.id == FieldId::VlanPcp)
            && !self.fields.iter().any(|(f, _)| matches!(f.id, FieldId::VlanVid | FieldId::VlanTci))
        {
            self.fields.push((MatchField::masked(FieldId::VlanVid, 0x1000, 0x1000), Src::new("")));
        }
        let mut fields: Vec<MatchField> = self.fields.into_iter().map(|(f, _)| f).collect();
        fields.sort_by_key(|f| canonical_order(f.id));
        let n = fields.len();
        Ok(Match { fields, unknown: self.unknown.into_iter().map(|u| (n, u)).collect(), fixed: None })
    }
}

/// `oxm(class=0x8000,field=90,hasmask,experimenter=0x1,payload=0011)`
pub(crate) fn parse_unknown(item: &Item<'_>) -> Result<UnknownField, TextError> {
    let mut out = UnknownField { class: 0xffff, field: 0, has_mask: false, experimenter: None, payload: Bytes::new() };
    for part in item.value.items() {
        unknown_part(&mut out, &part?)?;
    }
    Ok(out)
}

fn unknown_part(out: &mut UnknownField, part: &Item<'_>) -> Result<(), TextError> {
    match part.key.s {
        "class" => out.class = part.need("a number")?.u16()?,
        "field" => out.field = part.need("a number")?.number_to(0x7f)? as u8,
        "hasmask" => out.has_mask = true,
        "experimenter" => out.experimenter = Some(ExperimenterId(part.need("a number")?.u32()?)),
        "payload" => out.payload = part.value.hex_bytes()?.into(),
        _ => return Err(part.unknown("class, field, hasmask, experimenter or payload")),
    }
    Ok(())
}

/// `oxm(class=0x8000,field=90,length=4)`: the header of a field not known, without a value.
pub(super) fn parse_unknown_id(item: &Item<'_>) -> Result<OxmId, TextError> {
    let mut out = UnknownField { class: 0xffff, field: 0, has_mask: false, experimenter: None, payload: Bytes::new() };
    let mut length = 0;
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "length" => length = part.need("a number")?.u8()?,
            "payload" => return Err(part.unknown("class, field, hasmask, experimenter or length")),
            _ => unknown_part(&mut out, &part)?,
        }
    }
    Ok(OxmId { has_mask: out.has_mask, field: Err(out), code: None, length: Some(length) })
}

/// Prints what [`parse_unknown_id`] reads.
pub(super) fn write_unknown_id(f: &mut fmt::Formatter<'_>, id: &OxmId, u: &UnknownField) -> fmt::Result {
    write!(f, "oxm(class={:#06x},field={}", u.class, u.field)?;
    if id.has_mask {
        f.write_str(",hasmask")?;
    }
    if let Some(e) = u.experimenter {
        write!(f, ",experimenter={e}")?;
    }
    write!(f, ",length={})", id.length.unwrap_or(0))
}

pub(crate) fn write_unknown(f: &mut fmt::Formatter<'_>, u: &UnknownField) -> fmt::Result {
    write!(f, "class={:#06x},field={}", u.class, u.field)?;
    if u.has_mask {
        f.write_str(",hasmask")?;
    }
    if let Some(e) = u.experimenter {
        write!(f, ",experimenter={e}")?;
    }
    f.write_str(",payload=")?;
    write_hex(f, &u.payload)
}

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

/// Fields in the order in which people know them from dumps.
fn print_rank(id: FieldId) -> u32 {
    use FieldId as F;
    let group = match id {
        F::PktMark => 0,
        F::RecircId => 1,
        F::DpHash => 2,
        F::ConjId => 3,
        F::ActsetOutput => 4,
        F::CtState => 5,
        F::CtZone => 6,
        F::CtMark => 7,
        F::CtLabel => 8,
        F::CtNwSrc => 9,
        F::CtIpv6Src => 10,
        F::CtNwDst => 11,
        F::CtIpv6Dst => 12,
        F::CtNwProto => 13,
        F::CtTpSrc => 14,
        F::CtTpDst => 15,
        F::PacketType => 16,
        // 17: the protocol's shorthand.
        id if id >= F::Reg0 => 18,
        F::TunnelId => 19,
        F::TunIpv4Src => 20,
        F::TunIpv4Dst => 21,
        F::TunIpv6Src => 22,
        F::TunIpv6Dst => 23,
        F::TunGbpId => 24,
        F::TunGbpFlags => 25,
        F::TunFlags => 26,
        F::Metadata => 27,
        F::InPort => 28,
        F::InPhyPort => 29,
        F::VlanVid | F::VlanTci => 30,
        F::VlanPcp => 31,
        F::EthSrc => 32,
        F::EthDst => 33,
        F::EthType => 34,
        F::Ipv4Src | F::Ipv6Src | F::ArpSpa => 35,
        F::Ipv4Dst | F::Ipv6Dst | F::ArpTpa => 36,
        F::Ipv6Flabel => 37,
        F::IpProto | F::ArpOp => 38,
        F::ArpSha => 39,
        F::ArpTha => 40,
        F::IpDscp | F::IpTos => 41,
        F::IpEcn => 42,
        F::NwTtl => 43,
        F::MplsLabel => 44,
        F::MplsTc => 45,
        F::MplsTtl => 46,
        F::MplsBos => 47,
        F::IpFrag => 48,
        F::TcpSrc | F::UdpSrc | F::SctpSrc | F::Icmpv4Type | F::Icmpv6Type => 60,
        F::TcpDst | F::UdpDst | F::SctpDst | F::Icmpv4Code | F::Icmpv6Code => 61,
        F::Ipv6NdTarget => 62,
        F::Ipv6NdSll => 63,
        F::Ipv6NdTll => 64,
        F::TcpFlags => 65,
        _ => 50,
    };
    group << 8 | u32::from(id as u8)
}

const RANK_SHORTHAND: u32 = 17 << 8;

/// Prints a match, without its priority. Nothing for one that matches every packet.
#[derive(Clone, Copy, Debug)]
pub struct MatchText<'a>(pub &'a Match);

impl fmt::Display for MatchText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer::default().write_match(f, self.0, None)
    }
}

impl Printer<'_> {
    /// A match, printable.
    pub fn matching<'m>(&'m self, m: &'m Match) -> impl fmt::Display + 'm {
        Shown(move |f: &mut fmt::Formatter<'_>| self.write_match(f, m, None))
    }

    pub(crate) fn write_match(&self, f: &mut fmt::Formatter<'_>, m: &Match, priority: Option<u16>) -> fmt::Result {
        let mut sep = "";
        if let Some(p) = priority.filter(|p| *p != 0x8000) {
            write!(f, "priority={p}")?;
            sep = ",";
        }
        let exact = |id| m.get(id).filter(|f| f.mask.is_none()).map(|f| f.value);
        let (eth_type, proto) = (exact(FieldId::EthType), exact(FieldId::IpProto));
        // A field that stands twice is an invalid match: then every one is printed by itself.
        let once = |id: FieldId| m.fields.iter().filter(|f| f.id == id).count() <= 1;
        let plain = once(FieldId::EthType) && once(FieldId::IpProto);
        let shorthand = SHORTHANDS
            .iter()
            .filter(|(_, ty, p)| plain && Some(*ty) == eth_type && (p.is_none() || *p == proto))
            .max_by_key(|(_, _, p)| p.is_some());
        let skip_proto = shorthand.is_some_and(|(_, _, p)| p.is_some());
        let mut fields: Vec<&MatchField> = m.fields.iter().collect();
        fields.sort_by_key(|f| print_rank(f.id));
        let mut shorthand = shorthand;
        let skip_type = shorthand.is_some();
        let has_pcp = exact(FieldId::VlanPcp).is_some();
        for field in fields {
            if print_rank(field.id) > RANK_SHORTHAND
                && let Some((name, ..)) = shorthand.take()
            {
                write!(f, "{sep}{name}")?;
                sep = ",";
            }
            let tagged = field.id == FieldId::VlanVid && field.value == 0x1000 && field.mask == Some(0x1000);
            if (field.id == FieldId::EthType && skip_type)
                || (field.id == FieldId::IpProto && skip_proto)
                || (tagged && has_pcp)
            {
                continue;
            }
            f.write_str(sep)?;
            let arp = matches!(eth_type, Some(0x0806 | 0x8035));
            self.write_match_field(f, field, skip_proto.then_some(proto).flatten(), arp)?;
            sep = ",";
        }
        for (_, u) in &m.unknown {
            f.write_str(sep)?;
            tun_metadata::write(f, u)?;
            sep = ",";
        }
        Ok(())
    }

    fn write_match_field(
        &self,
        f: &mut fmt::Formatter<'_>,
        field: &MatchField,
        proto: Option<u128>,
        arp: bool,
    ) -> fmt::Result {
        use FieldId as F;
        let (value, mask) = (field.value, field.mask);
        match (field.id, mask) {
            (F::VlanVid, None) if value >> 12 == 1 => return write!(f, "dl_vlan={}", value & 0xfff),
            (F::VlanVid, None) if value == 0 => return f.write_str("vlan_tci=0x0000/0x1fff"),
            (F::VlanVid, Some(m)) if m & 0x1000 != 0 => return write!(f, "vlan_tci=0x{value:04x}/0x{m:04x}"),
            (F::IpDscp, None) => return write!(f, "nw_tos={}", value << 2),
            _ => {}
        }
        let name = match field.id {
            F::EthDst => "dl_dst",
            F::EthSrc => "dl_src",
            F::EthType => "dl_type",
            F::VlanPcp => "dl_vlan_pcp",
            // Beside ARP the short names would mean ARP's fields.
            F::Ipv4Src if arp => "ipv4_src",
            F::Ipv4Dst if arp => "ipv4_dst",
            F::IpProto if arp => "ip_proto",
            F::Ipv4Src => "nw_src",
            F::Ipv4Dst => "nw_dst",
            F::IpFrag => "nw_frag",
            F::TcpSrc if proto == Some(6) => "tp_src",
            F::TcpDst if proto == Some(6) => "tp_dst",
            F::UdpSrc if proto == Some(17) => "tp_src",
            F::UdpDst if proto == Some(17) => "tp_dst",
            F::SctpSrc if proto == Some(132) => "tp_src",
            F::SctpDst if proto == Some(132) => "tp_dst",
            F::Icmpv6Type if proto == Some(58) => "icmp_type",
            F::Icmpv6Code if proto == Some(58) => "icmp_code",
            F::Icmpv4Type if proto == Some(58) => "icmpv4_type",
            F::Icmpv4Code if proto == Some(58) => "icmpv4_code",
            id => field_text_name(id),
        };
        write!(f, "{name}={}", format_value_named(field.id, value, mask, self.ports))
    }
}

/// Whether a match restricts a packet to one transport protocol, and to tagged frames: what some
/// 1.0 actions need to know to be expressed in later versions.
pub(crate) fn transport_of(m: &Match) -> Option<Prereq> {
    match m.get(FieldId::IpProto).filter(|f| f.mask.is_none())?.value {
        6 => Some(Prereq::Tcp),
        17 => Some(Prereq::Udp),
        132 => Some(Prereq::Sctp),
        _ => None,
    }
}

/// Whether a match wants a VLAN tag.
pub(crate) fn wants_tag(m: &Match) -> bool {
    m.get(FieldId::VlanVid).is_some_and(|f| f.effective_mask() & f.value & 0x1000 != 0)
        || m.get(FieldId::VlanTci).is_some_and(|f| f.effective_mask() & f.value & 0x1000 != 0)
}
