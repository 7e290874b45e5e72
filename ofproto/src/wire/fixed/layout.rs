//! The two layouts' bytes, spread out; their masks have ones where a bit matters.

use crate::error::{ErrorKind, OfError};
use crate::ids::PortNo;
use crate::wire::{EncodeError, Reader, Writer, v10};

/// Bytes of 1.0's match.
pub(super) const LEN_10: usize = 40;
/// Bytes of 1.1's match.
pub(super) const LEN_11: usize = 88;
/// `OFPMT_STANDARD`
const STANDARD: u16 = 0;
/// An Ethernet address's mask of all ones.
pub(super) const ETH_48: u128 = (1 << 48) - 1;

/// Bits of the `wildcards` word; both versions have the same kinds at different places.
pub(super) struct Bits {
    pub(super) in_port: u32,
    pub(super) dl_vlan: u32,
    pub(super) dl_vlan_pcp: u32,
    pub(super) dl_type: u32,
    pub(super) nw_tos: u32,
    pub(super) nw_proto: u32,
    pub(super) tp_src: u32,
    pub(super) tp_dst: u32,
}

pub(super) const BITS_10: Bits = Bits {
    in_port: 1,
    dl_vlan: 1 << 1,
    dl_vlan_pcp: 1 << 20,
    dl_type: 1 << 4,
    nw_tos: 1 << 21,
    nw_proto: 1 << 5,
    tp_src: 1 << 6,
    tp_dst: 1 << 7,
};
pub(super) const DL_SRC_10: u32 = 1 << 2;
pub(super) const DL_DST_10: u32 = 1 << 3;
pub(super) const NW_SRC_SHIFT: u32 = 8;
pub(super) const NW_DST_SHIFT: u32 = 14;
pub(super) const ALL_10: u32 = (1 << 22) - 1;

pub(super) const BITS_11: Bits = Bits {
    in_port: 1,
    dl_vlan: 1 << 1,
    dl_vlan_pcp: 1 << 2,
    dl_type: 1 << 3,
    nw_tos: 1 << 4,
    nw_proto: 1 << 5,
    tp_src: 1 << 6,
    tp_dst: 1 << 7,
};
pub(super) const MPLS_LABEL_11: u32 = 1 << 8;
pub(super) const MPLS_TC_11: u32 = 1 << 9;
pub(super) const ALL_11: u32 = (1 << 10) - 1;

/// Both layouts, spread out. Masks have ones where a bit matters, as everywhere in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) wildcards: u32,
    pub(super) in_port: u32,
    pub(super) dl_src: (u128, u128),
    pub(super) dl_dst: (u128, u128),
    pub(super) dl_vlan: u16,
    pub(super) dl_vlan_pcp: u8,
    pub(super) dl_type: u16,
    pub(super) nw_tos: u8,
    pub(super) nw_proto: u8,
    pub(super) nw_src: (u32, u32),
    pub(super) nw_dst: (u32, u32),
    pub(super) tp_src: u16,
    pub(super) tp_dst: u16,
    pub(super) mpls_label: u32,
    pub(super) mpls_tc: u8,
    pub(super) metadata: (u64, u64),
}

impl Layout {
    /// What stands in the same order in both.
    fn read_tag_and_protocols(&mut self, r: &mut Reader<'_>) -> Result<(), OfError> {
        (self.dl_vlan, self.dl_vlan_pcp) = (r.u16("dl_vlan")?, r.u8("dl_vlan_pcp")?);
        r.skip(1)?;
        self.dl_type = r.u16("dl_type")?;
        (self.nw_tos, self.nw_proto) = (r.u8("nw_tos")?, r.u8("nw_proto")?);
        Ok(())
    }

    fn write_tag_and_protocols(&self, w: &mut Writer) {
        w.u16(self.dl_vlan);
        w.u8(self.dl_vlan_pcp);
        w.u8(0);
        w.u16(self.dl_type);
        w.u8(self.nw_tos);
        w.u8(self.nw_proto);
    }
}

/// The mask of a 1.0 address wildcard: how many low bits don't matter, 32 and more for all.
pub(super) fn prefix_mask(wild: u32) -> u32 {
    u32::MAX.checked_shl(wild & 0x3f).unwrap_or(0)
}

pub(super) fn read_10(r: &mut Reader<'_>) -> Result<Layout, OfError> {
    let wildcards = r.u32("wildcards")?;
    let in_port = v10::widen(r.u16("in_port")?).0;
    let mac = |r: &mut Reader<'_>, field, bit| -> Result<(u128, u128), OfError> {
        Ok((r.uint(6, field)?, if wildcards & bit != 0 { 0 } else { ETH_48 }))
    };
    let mut m = Layout { wildcards, in_port, ..Layout::default() };
    m.dl_src = mac(r, "dl_src", DL_SRC_10)?;
    m.dl_dst = mac(r, "dl_dst", DL_DST_10)?;
    m.read_tag_and_protocols(r)?;
    r.skip(2)?;
    m.nw_src = (r.u32("nw_src")?, prefix_mask(wildcards >> NW_SRC_SHIFT));
    m.nw_dst = (r.u32("nw_dst")?, prefix_mask(wildcards >> NW_DST_SHIFT));
    (m.tp_src, m.tp_dst) = (r.u16("tp_src")?, r.u16("tp_dst")?);
    Ok(m)
}

pub(super) fn read_11(r: &mut Reader<'_>) -> Result<Layout, OfError> {
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
    let mut m = Layout { wildcards, in_port, ..Layout::default() };
    m.dl_src = mac(r, "dl_src", "dl_src_mask")?;
    m.dl_dst = mac(r, "dl_dst", "dl_dst_mask")?;
    m.read_tag_and_protocols(r)?;
    m.nw_src = (r.u32("nw_src")?, !r.u32("nw_src_mask")?);
    m.nw_dst = (r.u32("nw_dst")?, !r.u32("nw_dst_mask")?);
    (m.tp_src, m.tp_dst) = (r.u16("tp_src")?, r.u16("tp_dst")?);
    (m.mpls_label, m.mpls_tc) = (r.u32("mpls_label")?, r.u8("mpls_tc")?);
    r.skip(3)?;
    m.metadata = (r.u64("metadata")?, !r.u64("metadata_mask")?);
    Ok(m)
}

pub(super) fn write_10(w: &mut Writer, m: &Layout) -> Result<(), EncodeError> {
    w.u32(m.wildcards);
    w.u16(v10::narrow(PortNo(m.in_port), "in_port")?);
    w.uint(m.dl_src.0, 6);
    w.uint(m.dl_dst.0, 6);
    m.write_tag_and_protocols(w);
    w.zeros(2);
    w.u32(m.nw_src.0);
    w.u32(m.nw_dst.0);
    w.u16(m.tp_src);
    w.u16(m.tp_dst);
    Ok(())
}

pub(super) fn write_11(w: &mut Writer, m: &Layout) {
    w.u16(STANDARD);
    w.u16(LEN_11 as u16);
    w.u32(m.in_port);
    w.u32(m.wildcards);
    for (value, mask) in [m.dl_src, m.dl_dst] {
        w.uint(value, 6);
        w.uint(mask ^ ETH_48, 6);
    }
    m.write_tag_and_protocols(w);
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
