//! Instructions (OpenFlow 1.3.5 §7.2.4, 1.5.1 §7.2.5).

use super::fixed::Say;
use super::{EncodeError, Reader, Writer, action, oxs, unsupported, v10};
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::ids::{ExperimenterId, MeterId, TableId};
use crate::instruction::Instruction;
use crate::version::Version;
use bytes::Bytes;

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;
const STAT_TRIGGER: u16 = 7;
const EXPERIMENTER: u16 = 0xffff;

/// The versions that define a type: the first, and the last where a later one dropped it.
fn defined(ty: u16, version: Version) -> bool {
    match ty {
        GOTO_TABLE..=CLEAR_ACTIONS | EXPERIMENTER => true,
        METER => (Version::V13..=Version::V14).contains(&version),
        STAT_TRIGGER => version >= Version::V15,
        _ => false,
    }
}

/// Reads instructions to the end of `r`; 1.0 has actions in their place.
#[inline]
pub(super) fn decode_list(r: &mut Reader<'_>, version: Version) -> Result<Vec<Instruction>, OfError> {
    let mut list = Vec::new();
    list_over(&mut list, r, version)?;
    Ok(list)
}

/// As [`decode_list`], over an earlier list, whose memory is used again.
pub(super) fn list_over(list: &mut Vec<Instruction>, r: &mut Reader<'_>, version: Version) -> Result<(), OfError> {
    if version == Version::V10 {
        *list = v10::decode_instructions(r)?;
        return Ok(());
    }
    if only_output(list, r, version) {
        return Ok(());
    }
    let mut spare = Vec::new();
    for earlier in list.drain(..) {
        if let Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) = earlier {
            spare = actions;
        }
    }
    list.reserve_exact((r.remaining() / 8).min(2));
    while !r.is_empty() {
        decode(list, r, version, &mut spare)?;
    }
    Ok(())
}

/// The short way for what most flows do over what most flows do: an output is all that is applied, and nothing is moved.
/// `false`, with nothing read, for all else.
#[inline]
fn only_output(list: &mut [Instruction], r: &mut Reader<'_>, version: Version) -> bool {
    let ([Instruction::ApplyActions(actions)], [0, 4, 0, 24, ..]) = (list, r.rest()) else { return false };
    let mut body = r.clone();
    if r.remaining() != 24 || body.skip(8).is_err() {
        return false;
    }
    actions.clear();
    let read = action::decode_output(actions, &mut body, version);
    if read {
        *r = body;
    }
    read
}

/// Reads one instruction; a list of actions takes the memory of `spare`.
fn decode(
    list: &mut Vec<Instruction>,
    r: &mut Reader<'_>,
    version: Version,
    spare: &mut Vec<Action>,
) -> Result<(), OfError> {
    let at = r.offset();
    let outer = r.set_short(ErrorKind::BadInstructionBadLen);
    let ty = r.u16("instruction type")?;
    let length = usize::from(r.u16("instruction len")?);
    if length < 8 || !length.is_multiple_of(8) {
        return Err(OfError::at(
            ErrorKind::BadInstructionBadLen,
            at + 2,
            "instruction len",
            format!("{length} is not a positive multiple of 8"),
        ));
    }
    let mut body = r.sub(length - 4, "instruction len")?;
    list.push(if defined(ty, version) {
        decode_body(ty, &mut body, version, spare)?
    } else {
        Instruction::Unknown { ty, data: Bytes::copy_from_slice(body.take_rest()) }
    });
    if !body.is_empty() {
        return Err(OfError::at(
            ErrorKind::BadInstructionBadLen,
            at + 2,
            "instruction len",
            format!("{length} is {} more than instruction type {ty} has", body.remaining()),
        ));
    }
    r.set_short(outer);
    Ok(())
}

fn decode_body(
    ty: u16,
    body: &mut Reader<'_>,
    version: Version,
    spare: &mut Vec<Action>,
) -> Result<Instruction, OfError> {
    Ok(match ty {
        GOTO_TABLE => {
            let table = TableId(body.u8("table_id")?);
            body.skip(3)?;
            Instruction::GotoTable(table)
        }
        WRITE_METADATA => {
            body.skip(4)?;
            Instruction::WriteMetadata { metadata: body.u64("metadata")?, mask: body.u64("metadata_mask")? }
        }
        WRITE_ACTIONS => {
            body.skip(4)?;
            Instruction::WriteActions(action::list_over(std::mem::take(spare), body, version)?)
        }
        APPLY_ACTIONS => {
            body.skip(4)?;
            Instruction::ApplyActions(action::list_over(std::mem::take(spare), body, version)?)
        }
        CLEAR_ACTIONS => {
            body.skip(4)?;
            Instruction::ClearActions
        }
        METER => Instruction::Meter(MeterId(body.u32("meter_id")?)),
        STAT_TRIGGER => Instruction::StatTrigger { flags: body.u32("flags")?, thresholds: oxs::decode_stats(body)? },
        _ => Instruction::Experimenter {
            experimenter: ExperimenterId(body.u32("experimenter")?),
            data: Bytes::copy_from_slice(body.take_rest()),
        },
    })
}

/// Writes instructions; for 1.0, where only reports come here, what actions can say of them.
pub(super) fn encode_list(w: &mut Writer, version: Version, list: &[Instruction]) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_instructions(w, list, Say::Possible);
    }
    list.iter().try_for_each(|i| encode(w, version, i))
}

fn encode(w: &mut Writer, version: Version, instruction: &Instruction) -> Result<(), EncodeError> {
    let start = w.len();
    w.u32(0);
    let ty = match instruction {
        Instruction::GotoTable(table) => {
            w.u8(table.0);
            GOTO_TABLE
        }
        Instruction::WriteMetadata { metadata, mask } => {
            w.zeros(4);
            w.u64(*metadata);
            w.u64(*mask);
            WRITE_METADATA
        }
        Instruction::WriteActions(actions) => {
            w.zeros(4);
            action::encode_list(w, version, actions)?;
            WRITE_ACTIONS
        }
        Instruction::ApplyActions(actions) => {
            w.zeros(4);
            action::encode_list(w, version, actions)?;
            APPLY_ACTIONS
        }
        Instruction::ClearActions => {
            w.zeros(4);
            CLEAR_ACTIONS
        }
        Instruction::Meter(_) if !defined(METER, version) => return Err(unsupported(version, "OFPIT_METER")),
        Instruction::Meter(meter) => {
            w.u32(meter.0);
            METER
        }
        Instruction::StatTrigger { .. } if !defined(STAT_TRIGGER, version) => {
            return Err(unsupported(version, "OFPIT_STAT_TRIGGER"));
        }
        Instruction::StatTrigger { flags, thresholds } => {
            w.u32(*flags);
            oxs::encode_stats(w, thresholds)?;
            STAT_TRIGGER
        }
        Instruction::Experimenter { experimenter, data } => {
            w.u32(experimenter.0);
            w.bytes(data);
            EXPERIMENTER
        }
        Instruction::Unknown { ty, data } => {
            w.bytes(data);
            *ty
        }
    };
    w.pad8(start);
    w.patch_u16(start, ty);
    super::set_length(w, start + 2, start, "instruction")
}
