//! Actions of 1.0 (OpenFlow 1.0.0 §5.2.4) and the set actions that 1.1 has in their place (1.1.0
//! §A.2.5). Where a later version has one action for several, the model has that one:
//! `SET_DL_SRC` is [`Action::SetField`] of `eth_src`.

use super::fixed::Say;
use super::v10::{port, put_port};
use super::{EncodeError, Reader, Writer, experimenter, unsupported};
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::ids::{ExperimenterId, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::MatchField;
use crate::nicira::NxAction;
use crate::version::Version;

const V10: Version = Version::V10;
const OUTPUT: u16 = 0;
const SET_VLAN_VID: u16 = 1;
const SET_VLAN_PCP: u16 = 2;
const STRIP_VLAN: u16 = 3;
const SET_DL_SRC: u16 = 4;
const SET_DL_DST: u16 = 5;
const SET_NW_SRC: u16 = 6;
const SET_NW_DST: u16 = 7;
const SET_NW_TOS: u16 = 8;
const SET_TP_SRC: u16 = 9;
const SET_TP_DST: u16 = 10;
const ENQUEUE: u16 = 11;
const VENDOR: u16 = 0xffff;

/// Reads actions to the end of `r`.
pub(super) fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Action>, OfError> {
    super::action::decode_list(r, V10)
}

/// Whether 1.0 defines a type.
pub(super) fn defined(ty: u16) -> bool {
    matches!(ty, OUTPUT..=ENQUEUE | VENDOR)
}

/// Reads the body of a type that [`defined`] knows.
pub(super) fn decode_body(ty: u16, body: &mut Reader<'_>) -> Result<Action, OfError> {
    let pad;
    let action = match ty {
        OUTPUT => {
            pad = 0;
            Action::Output { port: port(body, "port")?, max_len: body.u16("max_len")? }
        }
        SET_VLAN_VID => {
            pad = 2;
            Action::SetVlanVid(body.u16("vlan_vid")?)
        }
        SET_VLAN_PCP => {
            pad = 3;
            Action::SetVlanPcp(body.u8("vlan_pcp")?)
        }
        STRIP_VLAN => {
            pad = 4;
            Action::PopVlan
        }
        SET_DL_SRC | SET_DL_DST => {
            pad = 6;
            let id = if ty == SET_DL_SRC { FieldId::EthSrc } else { FieldId::EthDst };
            Action::SetField(MatchField::exact(id, body.uint(6, "dl_addr")?))
        }
        SET_NW_SRC | SET_NW_DST => {
            pad = 0;
            let id = if ty == SET_NW_SRC { FieldId::Ipv4Src } else { FieldId::Ipv4Dst };
            Action::SetField(MatchField::exact(id, body.u32("nw_addr")?.into()))
        }
        SET_NW_TOS => {
            pad = 3;
            Action::SetField(MatchField::exact(FieldId::IpTos, body.u8("nw_tos")?.into()))
        }
        SET_TP_SRC | SET_TP_DST => {
            pad = 2;
            let n = body.u16("tp_port")?;
            if ty == SET_TP_SRC { Action::SetTpSrc(n) } else { Action::SetTpDst(n) }
        }
        ENQUEUE => {
            pad = 0;
            let port = port(body, "port")?;
            body.skip(6)?;
            Action::Enqueue { port, queue: QueueId(body.u32("queue_id")?) }
        }
        _ => {
            let id = ExperimenterId(body.u32("vendor")?);
            return experimenter::decode_action(id, body, V10);
        }
    };
    body.skip(pad)?;
    Ok(action)
}

/// Writes actions; a report leaves out what neither 1.0 nor Nicira's actions can say.
pub(super) fn encode_list(w: &mut Writer, list: &[Action], say: Say) -> Result<(), EncodeError> {
    for action in list {
        if say == Say::All {
            super::action::encode(w, V10, action)?;
            continue;
        }
        let mut one = Writer::new();
        let told = super::action::encode(&mut one, V10, action);
        if told.is_err() {
            one = Writer::new();
            let Some(other) = nicira(action) else { continue };
            if super::action::encode(&mut one, V10, &Action::Nicira(other)).is_err() {
                continue;
            }
        }
        w.bytes(one.as_slice());
    }
    Ok(())
}

/// Writes what of an instruction Nicira's actions can say, for a report.
pub(super) fn encode_instruction(w: &mut Writer, instruction: &Instruction) -> Result<(), EncodeError> {
    let action = match instruction {
        Instruction::GotoTable(table) => {
            NxAction::Resubmit { in_port: crate::ids::PortNo::IN_PORT, table: Some(TableId(table.0)), ct: false }
        }
        Instruction::WriteMetadata { metadata, mask } => NxAction::WriteMetadata { metadata: *metadata, mask: *mask },
        _ => return Ok(()),
    };
    super::action::encode(w, V10, &Action::Nicira(action))
}

/// Nicira's action that does the same.
fn nicira(action: &Action) -> Option<NxAction> {
    Some(match action {
        Action::SetQueue(queue) => NxAction::SetQueue(queue.0),
        Action::PushMpls(ethertype) => NxAction::PushMpls(*ethertype),
        Action::PopMpls(ethertype) => NxAction::PopMpls(*ethertype),
        Action::SetMplsTtl(ttl) => NxAction::SetMplsTtl(*ttl),
        Action::DecMplsTtl => NxAction::DecMplsTtl,
        Action::DecNwTtl => NxAction::DecTtl,
        Action::SetNwTtl(ttl) => NxAction::RegLoad2(MatchField::exact(FieldId::NwTtl, (*ttl).into())),
        Action::SetField(field) => NxAction::RegLoad2(field.clone()),
        Action::CopyField { n_bits, src_offset, dst_offset, src, dst } => NxAction::RegMove {
            n_bits: *n_bits,
            src_offset: *src_offset,
            dst_offset: *dst_offset,
            src: src.clone(),
            dst: dst.clone(),
        },
        _ => return None,
    })
}

/// A set-field's value, which is never masked here.
fn plain<T: TryFrom<u128>>(field: &MatchField, version: Version) -> Result<T, EncodeError> {
    let info = field.id.info();
    if field.effective_mask() & info.all_ones() != info.all_ones() {
        return Err(unsupported(version, "a mask of set-field"));
    }
    T::try_from(field.value).map_err(|_| EncodeError::OutOfRange { what: info.name, value: field.value })
}

/// Writes the body of an action of 1.0's own numbering and says its type.
pub(super) fn encode_body(w: &mut Writer, action: &Action) -> Result<u16, EncodeError> {
    Ok(match action {
        Action::Output { port, max_len } => {
            put_port(w, *port, "port")?;
            w.u16(*max_len);
            OUTPUT
        }
        Action::Enqueue { port, queue } => {
            put_port(w, *port, "port")?;
            w.zeros(6);
            w.u32(queue.0);
            ENQUEUE
        }
        Action::PopVlan => STRIP_VLAN,
        Action::Nicira(action) => {
            w.u32(ExperimenterId::NICIRA.0);
            experimenter::encode_nicira_action(w, V10, action)?;
            VENDOR
        }
        Action::Experimenter { experimenter, data } => {
            w.u32(experimenter.0);
            w.bytes(data);
            VENDOR
        }
        Action::Unknown { ty, data } => {
            w.bytes(data);
            *ty
        }
        _ => match encode_set(w, action, &SET_TYPES_10)? {
            Some(ty) => ty,
            None => return Err(unsupported(V10, super::action::name(action))),
        },
    })
}

fn mac(field: &MatchField, version: Version) -> Result<u128, EncodeError> {
    let value: u64 = plain(field, version)?;
    if value >> 48 != 0 {
        return Err(EncodeError::OutOfRange { what: field.id.info().name, value: value.into() });
    }
    Ok(value.into())
}

/// The TOS byte that `ip_tos` or `ip_dscp` says.
fn tos(field: &MatchField, version: Version) -> Result<u8, EncodeError> {
    let value: u8 = plain(field, version)?;
    match field.id {
        FieldId::IpDscp if value > 63 => Err(EncodeError::OutOfRange { what: "ip_dscp", value: value.into() }),
        FieldId::IpDscp => Ok(value << 2),
        _ => Ok(value),
    }
}

const SET_DL_SRC_11: u16 = 3;
const SET_DL_DST_11: u16 = 4;
const SET_NW_SRC_11: u16 = 5;
const SET_NW_DST_11: u16 = 6;
const SET_NW_TOS_11: u16 = 7;
const SET_NW_ECN_11: u16 = 8;
const SET_MPLS_LABEL_11: u16 = 13;
const SET_MPLS_TC_11: u16 = 14;

/// Whether 1.1 has a set action of this type, which later versions dropped.
pub(super) fn defined_11(ty: u16) -> bool {
    matches!(ty, SET_VLAN_VID..=SET_TP_DST | SET_MPLS_LABEL_11 | SET_MPLS_TC_11)
}

/// Reads the body of a type that [`defined_11`] knows.
pub(super) fn decode_body_11(ty: u16, body: &mut Reader<'_>) -> Result<Action, OfError> {
    let set = |id, value: u128| Action::SetField(MatchField::exact(id, value));
    let (action, pad) = match ty {
        SET_VLAN_VID => (Action::SetVlanVid(body.u16("vlan_vid")?), 2),
        SET_VLAN_PCP => (Action::SetVlanPcp(body.u8("vlan_pcp")?), 3),
        SET_DL_SRC_11 => (set(FieldId::EthSrc, body.uint(6, "dl_addr")?), 6),
        SET_DL_DST_11 => (set(FieldId::EthDst, body.uint(6, "dl_addr")?), 6),
        SET_NW_SRC_11 => (set(FieldId::Ipv4Src, body.u32("nw_addr")?.into()), 0),
        SET_NW_DST_11 => (set(FieldId::Ipv4Dst, body.u32("nw_addr")?.into()), 0),
        SET_NW_TOS_11 => (set(FieldId::IpTos, body.u8("nw_tos")?.into()), 3),
        SET_NW_ECN_11 => (set(FieldId::IpEcn, body.u8("nw_ecn")?.into()), 3),
        SET_TP_SRC => (Action::SetTpSrc(body.u16("tp_port")?), 2),
        SET_TP_DST => (Action::SetTpDst(body.u16("tp_port")?), 2),
        SET_MPLS_LABEL_11 => (set(FieldId::MplsLabel, body.u32("mpls_label")?.into()), 0),
        SET_MPLS_TC_11 => (set(FieldId::MplsTc, body.u8("mpls_tc")?.into()), 3),
        _ => return Err(body.error(ErrorKind::BadActionBadType, "action type", "no set action of 1.1")),
    };
    body.skip(pad)?;
    Ok(action)
}

/// The types of the set actions that 1.0 and 1.1 share but for their numbers.
struct SetTypes {
    version: Version,
    dl_src: u16,
    dl_dst: u16,
    nw_src: u16,
    nw_dst: u16,
    nw_tos: u16,
}

const SET_TYPES_10: SetTypes = SetTypes {
    version: V10,
    dl_src: SET_DL_SRC,
    dl_dst: SET_DL_DST,
    nw_src: SET_NW_SRC,
    nw_dst: SET_NW_DST,
    nw_tos: SET_NW_TOS,
};
const SET_TYPES_11: SetTypes = SetTypes {
    version: Version::V11,
    dl_src: SET_DL_SRC_11,
    dl_dst: SET_DL_DST_11,
    nw_src: SET_NW_SRC_11,
    nw_dst: SET_NW_DST_11,
    nw_tos: SET_NW_TOS_11,
};

/// Writes the body of a set action of 1.1 and says its type; `None` for an action that is none.
pub(super) fn encode_body_11(w: &mut Writer, action: &Action) -> Result<Option<u16>, EncodeError> {
    let Action::SetField(field) = action else { return encode_set(w, action, &SET_TYPES_11) };
    Ok(Some(match field.id {
        FieldId::IpEcn => {
            w.u8(plain(field, Version::V11)?);
            SET_NW_ECN_11
        }
        FieldId::MplsLabel => {
            w.u32(plain(field, Version::V11)?);
            SET_MPLS_LABEL_11
        }
        FieldId::MplsTc => {
            w.u8(plain(field, Version::V11)?);
            SET_MPLS_TC_11
        }
        _ => return encode_set(w, action, &SET_TYPES_11),
    }))
}

/// Writes the body of a set action of both versions and says its type; `None` for an action that is none.
fn encode_set(w: &mut Writer, action: &Action, types: &SetTypes) -> Result<Option<u16>, EncodeError> {
    let version = types.version;
    Ok(Some(match action {
        Action::SetVlanVid(vid) => {
            w.u16(*vid);
            SET_VLAN_VID
        }
        Action::SetVlanPcp(pcp) => {
            w.u8(*pcp);
            SET_VLAN_PCP
        }
        Action::SetTpSrc(n) => {
            w.u16(*n);
            SET_TP_SRC
        }
        Action::SetTpDst(n) => {
            w.u16(*n);
            SET_TP_DST
        }
        Action::SetField(field) => match field.id {
            FieldId::EthSrc | FieldId::EthDst => {
                w.uint(mac(field, version)?, 6);
                if field.id == FieldId::EthSrc { types.dl_src } else { types.dl_dst }
            }
            FieldId::Ipv4Src | FieldId::Ipv4Dst => {
                w.u32(plain(field, version)?);
                if field.id == FieldId::Ipv4Src { types.nw_src } else { types.nw_dst }
            }
            FieldId::IpTos | FieldId::IpDscp => {
                w.u8(tos(field, version)?);
                types.nw_tos
            }
            id => return Err(unsupported(version, format!("setting {}", id.info().name))),
        },
        _ => return Ok(None),
    }))
}
