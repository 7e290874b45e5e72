//! The fixed matches of 1.0 (40 bytes, OpenFlow 1.0.0 §5.2.3) and 1.1 (88 bytes, 1.1.0 §A.2.3).
//!
//! [`Match::fields`] gets what a match *means*: values under a wildcard, and fields of a protocol that
//! the match doesn't select, mean nothing. Where the bytes say more than [`put`] writes for these
//! fields, [`Match::fixed`] keeps them, and they are written again as long as the fields still agree.

use super::{EncodeError, Reader, Writer, unsupported};
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::ids::PortNo;
use crate::matching::{Match, MatchField};
use crate::version::Version;
use bytes::Bytes;

const LEN_10: usize = 40;
const LEN_11: usize = 88;
/// `OFPMT_STANDARD`
const STANDARD: u16 = 0;
/// `OFP_VLAN_NONE`, `OFPVID_NONE`
const VLAN_NONE: u16 = 0xffff;
/// `OFPVID_ANY` (1.1)
const VLAN_ANY: u16 = 0xfffe;
/// `OFPVID_PRESENT` of 1.2, which the model's `vlan_vid` has in every version.
const PRESENT: u128 = 0x1000;
/// Marks a VLAN id that no packet can have, so that it stays what it is and validation refuses it.
const VID_INVALID: u128 = 0x1_0000;
const ETH_48: u128 = (1 << 48) - 1;

/// Whether a message asks (everything must be said) or reports (what cannot be said is left out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    All,
    Possible,
}

/// Bits of the `wildcards` word; both versions have the same kinds at different places.
struct Bits {
    in_port: u32,
    dl_vlan: u32,
    dl_vlan_pcp: u32,
    dl_type: u32,
    nw_tos: u32,
    nw_proto: u32,
    tp_src: u32,
    tp_dst: u32,
}

const BITS_10: Bits = Bits {
    in_port: 1,
    dl_vlan: 1 << 1,
    dl_vlan_pcp: 1 << 20,
    dl_type: 1 << 4,
    nw_tos: 1 << 21,
    nw_proto: 1 << 5,
    tp_src: 1 << 6,
    tp_dst: 1 << 7,
};
const DL_SRC_10: u32 = 1 << 2;
const DL_DST_10: u32 = 1 << 3;
const NW_SRC_SHIFT: u32 = 8;
const NW_DST_SHIFT: u32 = 14;
const ALL_10: u32 = (1 << 22) - 1;

const BITS_11: Bits = Bits {
    in_port: 1,
    dl_vlan: 1 << 1,
    dl_vlan_pcp: 1 << 2,
    dl_type: 1 << 3,
    nw_tos: 1 << 4,
    nw_proto: 1 << 5,
    tp_src: 1 << 6,
    tp_dst: 1 << 7,
};
const MPLS_LABEL_11: u32 = 1 << 8;
const MPLS_TC_11: u32 = 1 << 9;
const ALL_11: u32 = (1 << 10) - 1;

/// Both layouts, spread out. Masks have ones where a bit matters, as everywhere in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layout {
    wildcards: u32,
    in_port: u32,
    dl_src: (u128, u128),
    dl_dst: (u128, u128),
    dl_vlan: u16,
    dl_vlan_pcp: u8,
    dl_type: u16,
    nw_tos: u8,
    nw_proto: u8,
    nw_src: (u32, u32),
    nw_dst: (u32, u32),
    tp_src: u16,
    tp_dst: u16,
    mpls_label: u32,
    mpls_tc: u8,
    metadata: (u64, u64),
}

/// The mask of a 1.0 address wildcard: how many low bits don't matter, 32 and more for all.
fn prefix_mask(wild: u32) -> u32 {
    u32::MAX.checked_shl(wild & 0x3f).unwrap_or(0)
}

fn read_10(r: &mut Reader<'_>) -> Result<Layout, OfError> {
    let wildcards = r.u32("wildcards")?;
    let in_port = super::v10::widen(r.u16("in_port")?).0;
    let mac = |r: &mut Reader<'_>, field, bit| -> Result<(u128, u128), OfError> {
        Ok((r.uint(6, field)?, if wildcards & bit != 0 { 0 } else { ETH_48 }))
    };
    let dl_src = mac(r, "dl_src", DL_SRC_10)?;
    let dl_dst = mac(r, "dl_dst", DL_DST_10)?;
    let dl_vlan = r.u16("dl_vlan")?;
    let dl_vlan_pcp = r.u8("dl_vlan_pcp")?;
    r.skip(1)?;
    let dl_type = r.u16("dl_type")?;
    let (nw_tos, nw_proto) = (r.u8("nw_tos")?, r.u8("nw_proto")?);
    r.skip(2)?;
    let nw_src = (r.u32("nw_src")?, prefix_mask(wildcards >> NW_SRC_SHIFT));
    let nw_dst = (r.u32("nw_dst")?, prefix_mask(wildcards >> NW_DST_SHIFT));
    let (tp_src, tp_dst) = (r.u16("tp_src")?, r.u16("tp_dst")?);
    Ok(Layout {
        wildcards,
        in_port,
        dl_src,
        dl_dst,
        dl_vlan,
        dl_vlan_pcp,
        dl_type,
        nw_tos,
        nw_proto,
        nw_src,
        nw_dst,
        tp_src,
        tp_dst,
        ..Layout::default()
    })
}

fn read_11(r: &mut Reader<'_>) -> Result<Layout, OfError> {
    let at = r.offset();
    let ty = r.u16("match type")?;
    if ty != STANDARD {
        return Err(OfError::at(ErrorKind::BadMatchBadType, at, "match type", format!("{ty} is not OFPMT_STANDARD")));
    }
    let length = r.u16("match length")?;
    if usize::from(length) != LEN_11 {
        return Err(OfError::at(
            ErrorKind::BadMatchBadLen,
            at + 2,
            "match length",
            format!("{length} is not {LEN_11}"),
        ));
    }
    let in_port = r.u32("in_port")?;
    let wildcards = r.u32("wildcards")?;
    let mac = |r: &mut Reader<'_>, field, mask| -> Result<(u128, u128), OfError> {
        Ok((r.uint(6, field)?, r.uint(6, mask)? ^ ETH_48))
    };
    let dl_src = mac(r, "dl_src", "dl_src_mask")?;
    let dl_dst = mac(r, "dl_dst", "dl_dst_mask")?;
    let dl_vlan = r.u16("dl_vlan")?;
    let dl_vlan_pcp = r.u8("dl_vlan_pcp")?;
    r.skip(1)?;
    let dl_type = r.u16("dl_type")?;
    let (nw_tos, nw_proto) = (r.u8("nw_tos")?, r.u8("nw_proto")?);
    let nw_src = (r.u32("nw_src")?, !r.u32("nw_src_mask")?);
    let nw_dst = (r.u32("nw_dst")?, !r.u32("nw_dst_mask")?);
    let (tp_src, tp_dst) = (r.u16("tp_src")?, r.u16("tp_dst")?);
    let mpls_label = r.u32("mpls_label")?;
    let mpls_tc = r.u8("mpls_tc")?;
    r.skip(3)?;
    let metadata = (r.u64("metadata")?, !r.u64("metadata_mask")?);
    Ok(Layout {
        wildcards,
        in_port,
        dl_src,
        dl_dst,
        dl_vlan,
        dl_vlan_pcp,
        dl_type,
        nw_tos,
        nw_proto,
        nw_src,
        nw_dst,
        tp_src,
        tp_dst,
        mpls_label,
        mpls_tc,
        metadata,
    })
}

fn write_10(w: &mut Writer, m: &Layout) -> Result<(), EncodeError> {
    w.u32(m.wildcards);
    w.u16(super::v10::narrow(PortNo(m.in_port), "in_port")?);
    w.uint(m.dl_src.0, 6);
    w.uint(m.dl_dst.0, 6);
    w.u16(m.dl_vlan);
    w.u8(m.dl_vlan_pcp);
    w.u8(0);
    w.u16(m.dl_type);
    w.u8(m.nw_tos);
    w.u8(m.nw_proto);
    w.zeros(2);
    w.u32(m.nw_src.0);
    w.u32(m.nw_dst.0);
    w.u16(m.tp_src);
    w.u16(m.tp_dst);
    Ok(())
}

fn write_11(w: &mut Writer, m: &Layout) {
    w.u16(STANDARD);
    w.u16(LEN_11 as u16);
    w.u32(m.in_port);
    w.u32(m.wildcards);
    for (value, mask) in [m.dl_src, m.dl_dst] {
        w.uint(value, 6);
        w.uint(mask ^ ETH_48, 6);
    }
    w.u16(m.dl_vlan);
    w.u8(m.dl_vlan_pcp);
    w.u8(0);
    w.u16(m.dl_type);
    w.u8(m.nw_tos);
    w.u8(m.nw_proto);
    for (value, mask) in [m.nw_src, m.nw_dst] {
        w.u32(value);
        w.u32(!mask);
    }
    w.u16(m.tp_src);
    w.u16(m.tp_dst);
    w.u32(m.mpls_label);
    w.u8(m.mpls_tc);
    w.zeros(3);
    w.u64(m.metadata.0);
    w.u64(!m.metadata.1);
}

/// What the layout means, prerequisites before what needs them.
fn fields(m: &Layout, v10: bool) -> Vec<MatchField> {
    use FieldId as F;
    let bits = if v10 { &BITS_10 } else { &BITS_11 };
    let exact = |bit: u32| m.wildcards & bit == 0;
    let mut out = Vec::with_capacity(12);
    let mut put = |id: F, value: u128| out.push(MatchField::exact(id, value));
    if exact(bits.in_port) {
        put(F::InPort, m.in_port.into());
    }
    if exact(bits.dl_type) {
        put(F::EthType, m.dl_type.into());
    }
    vlan(m, bits, v10, &mut out);
    let mut masked = |id: F, (value, mask): (u128, u128)| {
        let all = id.info().all_ones();
        if mask == all {
            out.push(MatchField::exact(id, value));
        } else if mask != 0 {
            out.push(MatchField::masked(id, value & mask, mask));
        }
    };
    masked(F::Metadata, (m.metadata.0.into(), m.metadata.1.into()));
    masked(F::EthSrc, m.dl_src);
    masked(F::EthDst, m.dl_dst);
    let eth_type = exact(bits.dl_type).then_some(m.dl_type);
    let addresses = |(value, mask): (u32, u32)| (u128::from(value), u128::from(mask));
    match eth_type {
        Some(0x0800) => {
            masked(F::Ipv4Src, addresses(m.nw_src));
            masked(F::Ipv4Dst, addresses(m.nw_dst));
        }
        Some(0x0806 | 0x8035) => {
            masked(F::ArpSpa, addresses(m.nw_src));
            masked(F::ArpTpa, addresses(m.nw_dst));
        }
        _ => {}
    }
    let mut put = |id: F, value: u128| out.push(MatchField::exact(id, value));
    // 1.0 says nothing of IPv6; what a controller asks of its protocol, class and ports is what other
    // switches take it to mean. 1.1 has them for IPv4 alone.
    let ipv6 = v10 && eth_type == Some(0x86dd);
    match eth_type {
        Some(t) if ipv6 || t == 0x0800 => {
            if exact(bits.nw_proto) {
                put(F::IpProto, m.nw_proto.into());
            }
            if exact(bits.nw_tos) {
                // 1.0 looks at the upper six bits; 1.1 refuses the other two, so they must be seen.
                if v10 || m.nw_tos & 3 == 0 {
                    put(F::IpDscp, (m.nw_tos >> 2).into());
                } else {
                    put(F::IpTos, m.nw_tos.into());
                }
            }
            if exact(bits.nw_proto) {
                let (src, dst) = match m.nw_proto {
                    1 if !ipv6 => (F::Icmpv4Type, F::Icmpv4Code),
                    58 if ipv6 => (F::Icmpv6Type, F::Icmpv6Code),
                    6 => (F::TcpSrc, F::TcpDst),
                    17 => (F::UdpSrc, F::UdpDst),
                    132 => (F::SctpSrc, F::SctpDst),
                    _ => return out,
                };
                // Of an ICMP type 1.0 has the low eight bits; 1.1 refuses a wider one.
                let icmp = if v10 && matches!(m.nw_proto, 1 | 58) { 0xff } else { 0xffff };
                if exact(bits.tp_src) {
                    put(src, (m.tp_src & icmp).into());
                }
                if exact(bits.tp_dst) {
                    put(dst, (m.tp_dst & icmp).into());
                }
            }
        }
        Some(0x0806 | 0x8035) if exact(bits.nw_proto) => put(F::ArpOp, m.nw_proto.into()),
        Some(0x8847 | 0x8848) if !v10 => {
            if exact(MPLS_LABEL_11) {
                put(F::MplsLabel, m.mpls_label.into());
            }
            if exact(MPLS_TC_11) {
                put(F::MplsTc, m.mpls_tc.into());
            }
        }
        _ => {}
    }
    out
}

fn vlan(m: &Layout, bits: &Bits, v10: bool, out: &mut Vec<MatchField>) {
    let any_tag = MatchField::masked(FieldId::VlanVid, PRESENT, PRESENT);
    let pcp = m.wildcards & bits.dl_vlan_pcp == 0;
    if m.wildcards & bits.dl_vlan != 0 {
        // 1.0: any tag of this priority. 1.1 ignores the priority where the id is a wildcard.
        if !(v10 && pcp) {
            return;
        }
        out.push(any_tag);
    } else {
        match m.dl_vlan {
            VLAN_NONE => {
                out.push(MatchField::exact(FieldId::VlanVid, 0));
                return;
            }
            VLAN_ANY if !v10 => out.push(any_tag),
            vid @ 0..=0xfff => out.push(MatchField::exact(FieldId::VlanVid, PRESENT | u128::from(vid))),
            vid => out.push(MatchField::exact(FieldId::VlanVid, VID_INVALID | u128::from(vid))),
        }
    }
    if pcp {
        out.push(MatchField::exact(FieldId::VlanPcp, m.dl_vlan_pcp.into()));
    }
}

/// Reads the version's fixed match.
pub(super) fn decode(r: &mut Reader<'_>, version: Version) -> Result<Match, OfError> {
    let v10 = version == Version::V10;
    let short = if v10 { r.short() } else { ErrorKind::BadMatchBadLen };
    let before = r.clone();
    let mut m = r.clone().with_short(short);
    let layout = if v10 { read_10(&mut m)? } else { read_11(&mut m)? };
    let fields = fields(&layout, v10);
    let raw = before.rest().get(..if v10 { LEN_10 } else { LEN_11 }).unwrap_or_default();
    let mut matching = Match::new(fields);
    let mut canonical = Writer::new();
    if put(&mut canonical, version, &matching, Say::Possible).is_err() || canonical.as_slice() != raw {
        matching.fixed = Some(Box::new(Bytes::copy_from_slice(raw)));
    }
    *r = m.with_short(before.short());
    Ok(matching)
}

/// Writes the version's fixed match: the bytes it came in, if there are any and they mean these fields.
pub(super) fn encode(w: &mut Writer, version: Version, matching: &Match, say: Say) -> Result<(), EncodeError> {
    let v10 = version == Version::V10;
    if let Some(raw) = &matching.fixed
        && raw.len() == if v10 { LEN_10 } else { LEN_11 }
        && matching.unknown.is_empty()
    {
        let mut r = Reader::new(raw);
        let layout = if v10 { read_10(&mut r) } else { read_11(&mut r) };
        if layout.is_ok_and(|layout| fields(&layout, v10) == matching.fields) {
            w.bytes(raw);
            return Ok(());
        }
    }
    put(w, version, matching, say)
}

/// Writes the canonical layout: zeros wherever a wildcard is.
fn put(w: &mut Writer, version: Version, matching: &Match, say: Say) -> Result<(), EncodeError> {
    let v10 = version == Version::V10;
    let mut m = Layout { wildcards: if v10 { ALL_10 } else { ALL_11 }, ..Layout::default() };
    if say == Say::All && !matching.unknown.is_empty() {
        return Err(unsupported(version, "a match field that is not known"));
    }
    for field in &matching.fields {
        match (place(&mut m, field, matching, version), say) {
            (Ok(()), _) | (Err(_), Say::Possible) => {}
            (Err(e), Say::All) => return Err(e),
        }
    }
    if v10 {
        return write_10(w, &m);
    }
    write_11(w, &m);
    Ok(())
}

/// A field's value if it is matched in full.
fn exact<T: TryFrom<u128>>(field: &MatchField, version: Version) -> Result<T, EncodeError> {
    let info = field.id.info();
    if field.effective_mask() & info.all_ones() != info.all_ones() {
        return Err(unsupported(version, format!("a mask of {}", info.name)));
    }
    narrow(field)
}

fn narrow<T: TryFrom<u128>>(field: &MatchField) -> Result<T, EncodeError> {
    T::try_from(field.value).map_err(|_| EncodeError::OutOfRange { what: field.id.info().name, value: field.value })
}

/// Puts a field in its place.
fn place(m: &mut Layout, field: &MatchField, matching: &Match, version: Version) -> Result<(), EncodeError> {
    use FieldId as F;
    let v10 = version == Version::V10;
    let bits = if v10 { &BITS_10 } else { &BITS_11 };
    let mut clear = 0;
    match field.id {
        F::InPort => {
            let port: u32 = exact(field, version)?;
            if v10 {
                super::v10::narrow(PortNo(port), "in_port")?;
            }
            m.in_port = port;
            clear = bits.in_port;
        }
        F::EthSrc => (m.dl_src, clear) = address(field, v10, DL_SRC_10, version)?,
        F::EthDst => (m.dl_dst, clear) = address(field, v10, DL_DST_10, version)?,
        F::EthType => {
            m.dl_type = exact(field, version)?;
            clear = bits.dl_type;
        }
        F::VlanVid => clear = place_vid(m, field, matching, version)?,
        F::VlanPcp => {
            m.dl_vlan_pcp = exact(field, version)?;
            clear = bits.dl_vlan_pcp;
        }
        F::VlanTci => clear = place_tci(m, field, version)?,
        F::IpDscp => {
            let dscp: u8 = exact(field, version)?;
            if dscp > 63 {
                return Err(EncodeError::OutOfRange { what: "ip_dscp", value: dscp.into() });
            }
            m.nw_tos = dscp << 2;
            clear = bits.nw_tos;
        }
        F::IpTos => {
            m.nw_tos = exact(field, version)?;
            clear = bits.nw_tos;
        }
        F::IpProto | F::ArpOp => {
            m.nw_proto = exact(field, version)?;
            clear = bits.nw_proto;
        }
        F::Ipv4Src | F::ArpSpa => (m.nw_src, clear) = prefix(field, v10, NW_SRC_SHIFT, version)?,
        F::Ipv4Dst | F::ArpTpa => (m.nw_dst, clear) = prefix(field, v10, NW_DST_SHIFT, version)?,
        F::Icmpv6Type if v10 => {
            m.tp_src = exact(field, version)?;
            clear = bits.tp_src;
        }
        F::Icmpv6Code if v10 => {
            m.tp_dst = exact(field, version)?;
            clear = bits.tp_dst;
        }
        F::TcpSrc | F::UdpSrc | F::SctpSrc | F::Icmpv4Type => {
            m.tp_src = exact(field, version)?;
            clear = bits.tp_src;
        }
        F::TcpDst | F::UdpDst | F::SctpDst | F::Icmpv4Code => {
            m.tp_dst = exact(field, version)?;
            clear = bits.tp_dst;
        }
        F::MplsLabel if !v10 => {
            m.mpls_label = exact(field, version)?;
            clear = MPLS_LABEL_11;
        }
        F::MplsTc if !v10 => {
            m.mpls_tc = exact(field, version)?;
            clear = MPLS_TC_11;
        }
        F::Metadata if !v10 => m.metadata = (narrow(field)?, field.effective_mask() as u64),
        id => return Err(unsupported(version, id.info().name)),
    }
    m.wildcards &= !clear;
    Ok(())
}

type Masked<T> = ((T, T), u32);

/// An Ethernet address: 1.0 has a wildcard bit, 1.1 a mask.
fn address(field: &MatchField, v10: bool, bit: u32, version: Version) -> Result<Masked<u128>, EncodeError> {
    if field.value > ETH_48 {
        return Err(EncodeError::OutOfRange { what: field.id.info().name, value: field.value });
    }
    let mask = field.effective_mask() & ETH_48;
    match (v10, mask) {
        (true, 0) => Ok(((0, 0), 0)),
        (true, _) => Ok(((exact(field, version)?, ETH_48), bit)),
        (false, mask) => Ok(((field.value, mask), 0)),
    }
}

/// An IPv4 address: 1.0 counts the low bits that don't matter, 1.1 has a mask.
fn prefix(field: &MatchField, v10: bool, shift: u32, version: Version) -> Result<Masked<u32>, EncodeError> {
    let value: u32 = narrow(field)?;
    let mask = field.effective_mask() as u32;
    if !v10 {
        return Ok(((value, mask), 0));
    }
    let wild = mask.trailing_zeros();
    if prefix_mask(wild) != mask {
        return Err(unsupported(version, format!("a mask of {} that is no prefix", field.id.info().name)));
    }
    if wild >= 32 {
        return Ok(((0, 0), 0));
    }
    // All six bits are set so far; those of the count that are zero are to be cleared.
    Ok(((value & mask, mask), (!wild & 0x3f) << shift))
}

fn place_vid(m: &mut Layout, field: &MatchField, matching: &Match, version: Version) -> Result<u32, EncodeError> {
    let v10 = version == Version::V10;
    let bits = if v10 { &BITS_10 } else { &BITS_11 };
    let mask = field.effective_mask() & FieldId::VlanVid.info().all_ones();
    let whole = mask == FieldId::VlanVid.info().all_ones();
    match field.value {
        0 if mask & PRESENT != 0 => m.dl_vlan = VLAN_NONE,
        PRESENT if mask == PRESENT && !v10 => m.dl_vlan = VLAN_ANY,
        // A priority without an id is 1.0's way to ask for any tag.
        PRESENT if mask == PRESENT && matching.get(FieldId::VlanPcp).is_some() => return Ok(0),
        PRESENT if mask == PRESENT => return Err(unsupported(version, "a match on any VLAN tag")),
        PRESENT..=0x1fff if whole => m.dl_vlan = (field.value & 0xfff) as u16,
        v if v & !0xffff == VID_INVALID && whole => m.dl_vlan = v as u16,
        value if whole => return Err(EncodeError::OutOfRange { what: "vlan_vid", value }),
        _ => return Err(unsupported(version, "a mask of vlan_vid")),
    }
    Ok(bits.dl_vlan)
}

/// Nicira's tag control word, as far as an id and a priority can say it.
fn place_tci(m: &mut Layout, field: &MatchField, version: Version) -> Result<u32, EncodeError> {
    let v10 = version == Version::V10;
    let bits = if v10 { &BITS_10 } else { &BITS_11 };
    let cannot = || unsupported(version, "this mask of vlan_tci");
    let mask = field.effective_mask() & 0xffff;
    let value = field.value & mask;
    if mask & PRESENT == 0 {
        return Err(cannot());
    }
    if value & PRESENT == 0 {
        if value != 0 {
            return Err(cannot());
        }
        m.dl_vlan = VLAN_NONE;
        return Ok(bits.dl_vlan);
    }
    let mut clear = match mask & 0xfff {
        0xfff => {
            m.dl_vlan = (value & 0xfff) as u16;
            bits.dl_vlan
        }
        0 if !v10 => {
            m.dl_vlan = VLAN_ANY;
            bits.dl_vlan
        }
        0 => 0,
        _ => return Err(cannot()),
    };
    match mask >> 13 {
        7 => {
            m.dl_vlan_pcp = (value >> 13) as u8;
            clear |= bits.dl_vlan_pcp;
        }
        0 if clear != 0 => {}
        _ => return Err(cannot()),
    }
    Ok(clear)
}

#[cfg(test)]
mod tests {
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
}
