//! The fixed matches of 1.0 (40 bytes, OpenFlow 1.0.0 §5.2.3) and 1.1 (88 bytes, 1.1.0 §A.2.3).
//!
//! [`Match::fields`] gets what a match *means*: values under a wildcard, and fields of a protocol that
//! the match doesn't select, mean nothing. Where the bytes say more than [`put`] writes for these
//! fields, [`Match::fixed`] keeps them, and they are written again as long as the fields still agree.

mod layout;
#[cfg(test)]
mod tests;

use super::{EncodeError, Reader, Writer, unsupported};
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::ids::PortNo;
use crate::matching::{Match, MatchField};
use crate::version::Version;
use bytes::Bytes;
use layout::{
    ALL_10, ALL_11, BITS_10, BITS_11, Bits, DL_DST_10, DL_SRC_10, ETH_48, LEN_10, LEN_11, Layout, MPLS_LABEL_11,
    MPLS_TC_11, NW_DST_SHIFT, NW_SRC_SHIFT, prefix_mask, read_10, read_11, write_10, write_11,
};

/// `OFP_VLAN_NONE`, `OFPVID_NONE`
const VLAN_NONE: u16 = 0xffff;
/// `OFPVID_ANY` (1.1)
const VLAN_ANY: u16 = 0xfffe;
/// `OFPVID_PRESENT` of 1.2, which the model's `vlan_vid` has in every version.
const PRESENT: u128 = 0x1000;
/// Marks a VLAN id that no packet can have, so that it stays what it is and validation refuses it.
pub(crate) const VID_INVALID: u128 = 0x1_0000;

/// Whether a message asks (everything must be said) or reports (what cannot be said is left out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    All,
    Possible,
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
