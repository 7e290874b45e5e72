//! Actions of 1.1 and later (OpenFlow 1.3.5 §7.2.5, 1.5.1 §7.2.6), and what all versions share. 1.0's
//! own numbering and 1.1's set actions are in [`super::action10`].

use super::{EncodeError, Reader, Writer, action10, experimenter, oxm, unsupported};
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use crate::version::Version;
use bytes::Bytes;

const OUTPUT: u16 = 0;
const COPY_TTL_OUT: u16 = 11;
const COPY_TTL_IN: u16 = 12;
const SET_MPLS_TTL: u16 = 15;
const DEC_MPLS_TTL: u16 = 16;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const PUSH_MPLS: u16 = 19;
const POP_MPLS: u16 = 20;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const SET_NW_TTL: u16 = 23;
const DEC_NW_TTL: u16 = 24;
const SET_FIELD: u16 = 25;
const PUSH_PBB: u16 = 26;
const POP_PBB: u16 = 27;
const COPY_FIELD: u16 = 28;
const METER: u16 = 29;
const EXPERIMENTER: u16 = 0xffff;

/// The first version whose specification defines an action type of the common numbering. 1.1's
/// set actions (1-10, 13, 14) are that version's own.
fn since(ty: u16) -> Option<Version> {
    Some(match ty {
        OUTPUT | COPY_TTL_OUT | COPY_TTL_IN | SET_MPLS_TTL..=DEC_NW_TTL => Version::V11,
        SET_FIELD => Version::V12,
        PUSH_PBB | POP_PBB => Version::V13,
        COPY_FIELD | METER => Version::V15,
        EXPERIMENTER => Version::V11,
        _ => return None,
    })
}

/// Reads actions to the end of `r`.
#[inline]
pub(super) fn decode_list(r: &mut Reader<'_>, version: Version) -> Result<Vec<Action>, OfError> {
    list_over(Vec::new(), r, version)
}

/// As [`decode_list`], in the memory of an earlier list.
#[inline]
pub(super) fn list_over(mut list: Vec<Action>, r: &mut Reader<'_>, version: Version) -> Result<Vec<Action>, OfError> {
    list.clear();
    // Lists of more than eight are rare; capacity follows the bytes at hand, never a length field.
    list.reserve_exact((r.remaining() / 8).min(8));
    while !r.is_empty() {
        if !decode_output(&mut list, r, version) {
            list.push(decode(r, version)?);
        }
    }
    Ok(list)
}

/// The short way for the most frequent action; `false`, with nothing read, for all else.
#[inline]
pub(super) fn decode_output(list: &mut Vec<Action>, r: &mut Reader<'_>, version: Version) -> bool {
    let &[0, 0, 0, 16, p0, p1, p2, p3, l0, l1, _, _, _, _, _, _, ..] = r.rest() else { return false };
    if version == Version::V10 || r.skip(16).is_err() {
        return false;
    }
    let port = PortNo(u32::from_be_bytes([p0, p1, p2, p3]));
    list.push(Action::Output { port, max_len: u16::from_be_bytes([l0, l1]) });
    true
}

/// Reads one action.
pub(super) fn decode(r: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
    let at = r.offset();
    let outer = r.set_short(ErrorKind::BadActionBadLen);
    let ty = r.u16("action type")?;
    let length = usize::from(r.u16("action len")?);
    if length < 8 || !length.is_multiple_of(8) {
        return Err(OfError::at(
            ErrorKind::BadActionBadLen,
            at + 2,
            "action len",
            format!("{length} is not a positive multiple of 8"),
        ));
    }
    let mut body = r.sub(length - 4, "action len")?;
    let action = if version == Version::V10 && action10::defined(ty) {
        action10::decode_body(ty, &mut body)?
    } else if version == Version::V11 && action10::defined_11(ty) {
        action10::decode_body_11(ty, &mut body)?
    } else if since(ty).is_some_and(|v| v <= version) {
        decode_body(ty, &mut body, version)?
    } else {
        Action::Unknown { ty, data: Bytes::copy_from_slice(body.take_rest()) }
    };
    if !body.is_empty() {
        return Err(OfError::at(
            ErrorKind::BadActionBadLen,
            at + 2,
            "action len",
            format!("{length} is {} more than action type {ty} has", body.remaining()),
        ));
    }
    r.set_short(outer);
    Ok(action)
}

fn decode_body(ty: u16, body: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
    let mut pad = 4;
    let action = match ty {
        OUTPUT => {
            pad = 6;
            Action::Output { port: PortNo(body.u32("port")?), max_len: body.u16("max_len")? }
        }
        COPY_TTL_OUT => Action::CopyTtlOut,
        COPY_TTL_IN => Action::CopyTtlIn,
        SET_MPLS_TTL => {
            pad = 3;
            Action::SetMplsTtl(body.u8("mpls_ttl")?)
        }
        DEC_MPLS_TTL => Action::DecMplsTtl,
        PUSH_VLAN | PUSH_MPLS | POP_MPLS | PUSH_PBB => {
            pad = 2;
            let ethertype = body.u16("ethertype")?;
            match ty {
                PUSH_VLAN => Action::PushVlan(ethertype),
                PUSH_MPLS => Action::PushMpls(ethertype),
                POP_MPLS => Action::PopMpls(ethertype),
                _ => Action::PushPbb(ethertype),
            }
        }
        POP_VLAN => Action::PopVlan,
        SET_QUEUE => {
            pad = 0;
            Action::SetQueue(QueueId(body.u32("queue_id")?))
        }
        GROUP => {
            pad = 0;
            Action::Group(GroupId(body.u32("group_id")?))
        }
        SET_NW_TTL => {
            pad = 3;
            Action::SetNwTtl(body.u8("nw_ttl")?)
        }
        DEC_NW_TTL => Action::DecNwTtl,
        SET_FIELD => return decode_set_field(body, version),
        POP_PBB => Action::PopPbb,
        COPY_FIELD => return decode_copy_field(body, version),
        METER => {
            pad = 0;
            Action::Meter(MeterId(body.u32("meter_id")?))
        }
        _ => {
            let id = ExperimenterId(body.u32("experimenter")?);
            return experimenter::decode_action(id, body, version);
        }
    };
    body.skip(pad)?;
    Ok(action)
}

/// The TLV stands at offset 4 of the action; zeros fill up to a multiple of 8.
fn decode_set_field(body: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
    let start = body.offset();
    body.set_short(ErrorKind::BadActionBadSetLen);
    let action = match oxm::decode_tlv(body, version, ErrorKind::BadActionBadSetLen)? {
        oxm::Tlv::Known(field) => Action::SetField(field),
        oxm::Tlv::Unknown(field) => Action::SetUnknownField(field),
    };
    let used = 4 + body.offset() - start;
    body.skip(used.next_multiple_of(8) - used)?;
    Ok(action)
}

fn decode_copy_field(body: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
    let start = body.offset();
    let (n_bits, src_offset, dst_offset) = (body.u16("n_bits")?, body.u16("src_offset")?, body.u16("dst_offset")?);
    body.skip(2)?;
    let src = oxm::decode_id(body, version)?;
    let dst = oxm::decode_id(body, version)?;
    let used = 4 + body.offset() - start;
    body.skip(used.next_multiple_of(8) - used)?;
    Ok(Action::CopyField { n_bits, src_offset, dst_offset, src, dst })
}

/// Writes actions.
pub(super) fn encode_list(w: &mut Writer, version: Version, list: &[Action]) -> Result<(), EncodeError> {
    list.iter().try_for_each(|a| encode(w, version, a))
}

/// Writes one action.
pub(super) fn encode(w: &mut Writer, version: Version, action: &Action) -> Result<(), EncodeError> {
    let start = w.len();
    // Type and length are patched in when the body is known.
    w.u32(0);
    let ty = encode_type(w, version, action)?;
    w.pad8(start);
    w.patch_u16(start, ty);
    super::set_length(w, start + 2, start, "action")
}

/// Writes the body in the version's own form and says the type.
fn encode_type(w: &mut Writer, version: Version, action: &Action) -> Result<u16, EncodeError> {
    match version {
        Version::V10 => return action10::encode_body(w, action),
        Version::V11 => {
            if let Some(ty) = action10::encode_body_11(w, action)? {
                return Ok(ty);
            }
        }
        _ => {}
    }
    let ty = encode_body(w, version, action)?;
    // An unknown one of this version may well be a known one of a later.
    if since(ty).is_some_and(|v| v > version) && !matches!(action, Action::Unknown { .. }) {
        return Err(unsupported(version, name(action)));
    }
    Ok(ty)
}

fn encode_body(w: &mut Writer, version: Version, action: &Action) -> Result<u16, EncodeError> {
    let ethertype = |w: &mut Writer, n: u16| w.u16(n);
    Ok(match action {
        Action::Output { port, max_len } => {
            w.u32(port.0);
            w.u16(*max_len);
            w.zeros(6);
            OUTPUT
        }
        Action::Group(id) => {
            w.u32(id.0);
            GROUP
        }
        Action::SetQueue(id) => {
            w.u32(id.0);
            SET_QUEUE
        }
        Action::Meter(id) => {
            w.u32(id.0);
            METER
        }
        Action::PushVlan(n) => {
            ethertype(w, *n);
            PUSH_VLAN
        }
        Action::PushMpls(n) => {
            ethertype(w, *n);
            PUSH_MPLS
        }
        Action::PopMpls(n) => {
            ethertype(w, *n);
            POP_MPLS
        }
        Action::PushPbb(n) => {
            ethertype(w, *n);
            PUSH_PBB
        }
        Action::SetMplsTtl(n) => {
            w.u8(*n);
            SET_MPLS_TTL
        }
        Action::SetNwTtl(n) => {
            w.u8(*n);
            SET_NW_TTL
        }
        Action::PopVlan => POP_VLAN,
        Action::PopPbb => POP_PBB,
        Action::CopyTtlOut => COPY_TTL_OUT,
        Action::CopyTtlIn => COPY_TTL_IN,
        Action::DecMplsTtl => DEC_MPLS_TTL,
        Action::DecNwTtl => DEC_NW_TTL,
        Action::SetField(field) => {
            oxm::encode_field(w, version, field)?;
            SET_FIELD
        }
        Action::SetUnknownField(field) => {
            oxm::encode_unknown(w, field)?;
            SET_FIELD
        }
        Action::CopyField { n_bits, src_offset, dst_offset, src, dst } => {
            w.u16(*n_bits);
            w.u16(*src_offset);
            w.u16(*dst_offset);
            w.u16(0);
            oxm::encode_id(w, version, src)?;
            oxm::encode_id(w, version, dst)?;
            COPY_FIELD
        }
        Action::Nicira(action) => {
            w.u32(ExperimenterId::NICIRA.0);
            experimenter::encode_nicira_action(w, version, action)?;
            EXPERIMENTER
        }
        Action::Experimenter { experimenter, data } => {
            w.u32(experimenter.0);
            w.bytes(data);
            EXPERIMENTER
        }
        Action::Unknown { ty, data } => {
            w.bytes(data);
            *ty
        }
        Action::Enqueue { .. }
        | Action::SetVlanVid(_)
        | Action::SetVlanPcp(_)
        | Action::SetTpSrc(_)
        | Action::SetTpDst(_) => return Err(unsupported(version, name(action))),
    })
}

/// The specification's name of an action's type, for errors.
pub(super) fn name(action: &Action) -> &'static str {
    match action {
        Action::Output { .. } => "OFPAT_OUTPUT",
        Action::Group(_) => "OFPAT_GROUP",
        Action::SetQueue(_) => "OFPAT_SET_QUEUE",
        Action::Enqueue { .. } => "OFPAT_ENQUEUE",
        Action::PushVlan(_) => "OFPAT_PUSH_VLAN",
        Action::PopVlan => "OFPAT_POP_VLAN",
        Action::PushMpls(_) => "OFPAT_PUSH_MPLS",
        Action::PopMpls(_) => "OFPAT_POP_MPLS",
        Action::PushPbb(_) => "OFPAT_PUSH_PBB",
        Action::PopPbb => "OFPAT_POP_PBB",
        Action::CopyTtlOut => "OFPAT_COPY_TTL_OUT",
        Action::CopyTtlIn => "OFPAT_COPY_TTL_IN",
        Action::SetMplsTtl(_) => "OFPAT_SET_MPLS_TTL",
        Action::DecMplsTtl => "OFPAT_DEC_MPLS_TTL",
        Action::SetNwTtl(_) => "OFPAT_SET_NW_TTL",
        Action::DecNwTtl => "OFPAT_DEC_NW_TTL",
        Action::SetField(_) | Action::SetUnknownField(_) => "OFPAT_SET_FIELD",
        Action::SetVlanVid(_) => "OFPAT_SET_VLAN_VID",
        Action::SetVlanPcp(_) => "OFPAT_SET_VLAN_PCP",
        Action::SetTpSrc(_) => "OFPAT_SET_TP_SRC",
        Action::SetTpDst(_) => "OFPAT_SET_TP_DST",
        Action::CopyField { .. } => "OFPAT_COPY_FIELD",
        Action::Meter(_) => "OFPAT_METER",
        Action::Nicira(_) => "a Nicira action",
        Action::Experimenter { .. } => "OFPAT_EXPERIMENTER",
        Action::Unknown { .. } => "an action of unknown type",
    }
}
