//! Bytes to Nicira's actions.

use super::*;
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::ids::{Cookie, MeterId, TableId};
use crate::matching::OxmId;
use crate::nicira::{Learn, Nat, NxAction, Subfield};
use crate::version::Version;
use crate::wire::oxm::{self, Tlv};
use crate::wire::v10::port;
use crate::wire::{Reader, action, nicira_learn, property};
use bytes::Bytes;

/// Offset and width as one number: `ofs << 6 | (n_bits - 1)`.
fn ofs_nbits(n: u16) -> (u16, u16) {
    (n >> 6, (n & 0x3f) + 1)
}

fn subfield(r: &mut Reader<'_>, bits: u16, version: Version) -> Result<Subfield, OfError> {
    let (offset, n_bits) = ofs_nbits(bits);
    Ok(Subfield { field: oxm::decode_id(r, version)?, offset, n_bits })
}

/// The id of a field that has four bytes: an experimenter's doesn't fit, and what follows would be read wrongly.
fn short_id(r: &mut Reader<'_>, version: Version) -> Result<OxmId, OfError> {
    if r.rest().get(..2) == Some(&[0xff; 2]) {
        let reason = "an experimenter's field, which doesn't fit into four bytes";
        return Err(r.error(ErrorKind::BadActionBadSetType, "oxm_header", reason));
    }
    oxm::decode_id(r, version)
}

fn short_subfield(r: &mut Reader<'_>, bits: u16, version: Version) -> Result<Subfield, OfError> {
    let (offset, n_bits) = ofs_nbits(bits);
    Ok(Subfield { field: short_id(r, version)?, offset, n_bits })
}

/// Skips what pads the action to a multiple of eight; `start` is where the subtype stands.
fn skip_pad(r: &mut Reader<'_>, start: usize) -> Result<(), OfError> {
    let used = r.offset() - start + BEFORE;
    r.skip(used.next_multiple_of(8) - used)
}

/// Skips zeros up to an action of `len` bytes that may have been longer by an experimenter's field.
fn skip_to(r: &mut Reader<'_>, start: usize, len: usize) -> Result<(), OfError> {
    let used = r.offset() - start + BEFORE;
    r.skip(used.next_multiple_of(8).max(len) - used)
}

/// Reads the body of a Nicira action from its subtype on.
pub(in crate::wire) fn decode(r: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
    let start = r.offset();
    let subtype = r.u16("subtype")?;
    let mut pad = 0;
    let nx = match subtype {
        RESUBMIT => {
            pad = 4;
            NxAction::Resubmit { in_port: port(r, "in_port")?, table: None, ct: false }
        }
        RESUBMIT_TABLE | RESUBMIT_TABLE_CT => {
            pad = 3;
            let in_port = port(r, "in_port")?;
            NxAction::Resubmit { in_port, table: Some(TableId(r.u8("table")?)), ct: subtype == RESUBMIT_TABLE_CT }
        }
        SET_TUNNEL => {
            r.skip(2)?;
            NxAction::SetTunnel { id: r.u32("tun_id")?.into(), wide: false }
        }
        SET_TUNNEL64 => {
            r.skip(6)?;
            NxAction::SetTunnel { id: r.u64("tun_id")?, wide: true }
        }
        SET_QUEUE => {
            r.skip(2)?;
            NxAction::SetQueue(r.u32("queue_id")?)
        }
        POP_QUEUE | EXIT | DEC_TTL | DEC_MPLS_TTL | CT_CLEAR | DEC_NSH_TTL => {
            pad = 6;
            match subtype {
                POP_QUEUE => NxAction::PopQueue,
                EXIT => NxAction::Exit,
                DEC_TTL => NxAction::DecTtl,
                DEC_MPLS_TTL => NxAction::DecMplsTtl,
                CT_CLEAR => NxAction::CtClear,
                _ => NxAction::DecNshTtl,
            }
        }
        REG_MOVE => {
            let (n_bits, src_offset, dst_offset) = (r.u16("n_bits")?, r.u16("src_ofs")?, r.u16("dst_ofs")?);
            let src = oxm::decode_id(r, version)?;
            let dst = oxm::decode_id(r, version)?;
            skip_pad(r, start)?;
            NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst }
        }
        REG_LOAD => {
            let bits = r.u16("ofs_nbits")?;
            // Always four bytes: a field that needs an experimenter's header has the other form.
            let dst = short_subfield(r, bits, version)?;
            NxAction::RegLoad { dst, value: r.u64("value")? }
        }
        REG_LOAD2 => {
            let mut tlv = r.clone().with_short(ErrorKind::BadActionBadSetLen);
            let Tlv::Known(field) = oxm::decode_tlv(&mut tlv, version, ErrorKind::BadActionBadSetLen)? else {
                return Ok(unknown(subtype, r));
            };
            *r = tlv.with_short(r.short());
            skip_pad(r, start)?;
            NxAction::RegLoad2(field)
        }
        NOTE => NxAction::Note(Bytes::copy_from_slice(r.take_rest())),
        MULTIPATH => {
            let (fields, basis) = (r.u16("fields")?, r.u16("basis")?);
            r.skip(2)?;
            let (algorithm, max_link, arg) = (r.u16("algorithm")?, r.u16("max_link")?, r.u32("arg")?);
            r.skip(2)?;
            let bits = r.u16("ofs_nbits")?;
            NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst: short_subfield(r, bits, version)? }
        }
        BUNDLE | BUNDLE_LOAD => decode_bundle(subtype, r, start, version)?,
        OUTPUT_REG => {
            let bits = r.u16("ofs_nbits")?;
            let src = short_subfield(r, bits, version)?;
            pad = 6;
            NxAction::OutputReg { src, max_len: r.u16("max_len")?, v2: false }
        }
        OUTPUT_REG2 => {
            let (bits, max_len) = (r.u16("ofs_nbits")?, r.u16("max_len")?);
            let src = subfield(r, bits, version)?;
            skip_to(r, start, 24)?;
            NxAction::OutputReg { src, max_len, v2: true }
        }
        LEARN | LEARN2 => decode_learn(subtype == LEARN2, r, version)?,
        FIN_TIMEOUT => {
            pad = 2;
            NxAction::FinTimeout { idle: r.u16("fin_idle_timeout")?, hard: r.u16("fin_hard_timeout")? }
        }
        CONTROLLER => {
            pad = 1;
            let (max_len, controller_id) = (r.u16("max_len")?, r.u16("controller_id")?);
            NxAction::Controller { max_len, controller_id, reason: r.u8("reason")? }
        }
        CONTROLLER2 => return decode_controller2(subtype, r),
        DEC_TTL_CNT_IDS => {
            let n = r.u16("n_controllers")?;
            r.skip(4)?;
            let mut ids = Vec::with_capacity(usize::from(n).min(r.remaining() / 2));
            for _ in 0..n {
                ids.push(r.u16("controller_id")?);
            }
            skip_pad(r, start)?;
            NxAction::DecTtlCntIds(ids)
        }
        WRITE_METADATA => {
            r.skip(6)?;
            NxAction::WriteMetadata { metadata: r.u64("metadata")?, mask: r.u64("mask")? }
        }
        PUSH_MPLS | POP_MPLS => {
            pad = 4;
            let ethertype = r.u16("ethertype")?;
            if subtype == PUSH_MPLS { NxAction::PushMpls(ethertype) } else { NxAction::PopMpls(ethertype) }
        }
        SET_MPLS_TTL => {
            pad = 5;
            NxAction::SetMplsTtl(r.u8("ttl")?)
        }
        SET_MPLS_TC => {
            pad = 5;
            NxAction::SetMplsTc(r.u8("tc")?)
        }
        SET_MPLS_LABEL => {
            r.skip(2)?;
            NxAction::SetMplsLabel(r.u32("label")?)
        }
        STACK_PUSH | STACK_POP => {
            let offset = r.u16("offset")?;
            let field = oxm::decode_id(r, version)?;
            let s = Subfield { field, offset, n_bits: r.u16("n_bits")? };
            skip_to(r, start, 24)?;
            if subtype == STACK_PUSH { NxAction::StackPush(s) } else { NxAction::StackPop(s) }
        }
        SAMPLE | SAMPLE2 | SAMPLE3 => {
            let probability = r.u16("probability")?;
            let (collector_set_id, obs_domain_id) = (r.u32("collector_set_id")?, r.u32("obs_domain_id")?);
            let obs_point_id = r.u32("obs_point_id")?;
            let (mut sampling_port, mut direction) = (None, None);
            if subtype != SAMPLE {
                sampling_port = Some(port(r, "sampling_port")?);
                let n = r.u8("direction")?;
                direction = (subtype == SAMPLE3).then_some(n);
                pad = 5;
            }
            NxAction::Sample { probability, collector_set_id, obs_domain_id, obs_point_id, sampling_port, direction }
        }
        CONJUNCTION => {
            NxAction::Conjunction { clause: r.u8("clause")?, n_clauses: r.u8("n_clauses")?, id: r.u32("id")? }
        }
        CT => {
            let flags = r.u16("flags")?;
            let immediate = r.rest().get(..4) == Some(&[0; 4]);
            let zone = if immediate {
                r.skip(4)?;
                Ok(r.u16("zone")?)
            } else {
                let field = short_id(r, version)?;
                let (offset, n_bits) = ofs_nbits(r.u16("zone_ofs_nbits")?);
                Err(Subfield { field, offset, n_bits })
            };
            let recirc_table = TableId(r.u8("recirc_table")?);
            r.skip(3)?;
            let alg = r.u16("alg")?;
            NxAction::Ct { flags, zone, recirc_table, alg, actions: decode_nested(r, version)? }
        }
        NAT => {
            let nat = decode_nat(r)?;
            skip_pad(r, start)?;
            NxAction::Nat(nat)
        }
        OUTPUT_TRUNC => NxAction::OutputTrunc { port: port(r, "port")?, max_len: r.u32("max_len")? },
        CLONE => {
            r.skip(6)?;
            NxAction::Clone(decode_nested(r, version)?)
        }
        ENCAP => {
            let (hdr_size, packet_type) = (r.u16("hdr_size")?, r.u32("new_pkt_type")?);
            NxAction::Encap { hdr_size, packet_type, properties: Bytes::copy_from_slice(r.take_rest()) }
        }
        DECAP => {
            r.skip(2)?;
            NxAction::Decap { packet_type: r.u32("new_pkt_type")? }
        }
        CHECK_PKT_LARGER => {
            let (pkt_len, offset) = (r.u16("pkt_len")?, r.u16("offset")?);
            let dst = Subfield { field: oxm::decode_id(r, version)?, offset, n_bits: 1 };
            skip_to(r, start, 24)?;
            NxAction::CheckPktLarger { pkt_len, dst }
        }
        DELETE_FIELD => {
            let field = oxm::decode_id(r, version)?;
            skip_to(r, start, 24)?;
            NxAction::DeleteField(field)
        }
        _ => return Ok(unknown(subtype, r)),
    };
    r.skip(pad)?;
    Ok(Action::Nicira(nx))
}

fn unknown(subtype: u16, r: &mut Reader<'_>) -> Action {
    Action::Nicira(NxAction::Unknown { subtype, data: Bytes::copy_from_slice(r.take_rest()) })
}

/// Actions inside an action.
fn decode_nested(r: &mut Reader<'_>, version: Version) -> Result<Vec<Action>, OfError> {
    let Some(mut inner) = r.descend() else {
        return Err(r.error(ErrorKind::BadActionBadArgument, "actions", "too many actions inside each other"));
    };
    let list = action::decode_list(&mut inner, version)?;
    r.take_rest();
    Ok(list)
}

fn decode_bundle(subtype: u16, r: &mut Reader<'_>, start: usize, version: Version) -> Result<NxAction, OfError> {
    let (algorithm, fields, basis) = (r.u16("algorithm")?, r.u16("fields")?, r.u16("basis")?);
    let slave_type = r.u32("slave_type")?;
    let (n, bits) = (r.u16("n_slaves")?, r.u16("ofs_nbits")?);
    let dst = if subtype == BUNDLE_LOAD {
        Some(short_subfield(r, bits, version)?)
    } else {
        r.skip(4)?;
        None
    };
    r.skip(4)?;
    let mut members = Vec::with_capacity(usize::from(n).min(r.remaining() / 2));
    for _ in 0..n {
        members.push(port(r, "slave")?);
    }
    skip_pad(r, start)?;
    // More room than members is allowed.
    r.take_rest();
    Ok(NxAction::Bundle { algorithm, fields, basis, slave_type, members, dst })
}

fn decode_learn(second: bool, r: &mut Reader<'_>, version: Version) -> Result<NxAction, OfError> {
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    let priority = r.u16("priority")?;
    let cookie = Cookie(r.u64("cookie")?);
    let flags = r.u16("flags")?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let (fin_idle_timeout, fin_hard_timeout) = (r.u16("fin_idle_timeout")?, r.u16("fin_hard_timeout")?);
    let mut limit = None;
    if second {
        let n = r.u32("limit")?;
        let offset = r.u16("result_dst_ofs")?;
        r.skip(2)?;
        let dst = if flags & Learn::WRITE_RESULT != 0 {
            Some(Subfield { field: oxm::decode_id(r, version)?, offset, n_bits: 1 })
        } else {
            None
        };
        limit = Some((n, dst));
    }
    let specs = nicira_learn::decode_specs(r, version)?;
    Ok(NxAction::Learn(Box::new(Learn {
        idle_timeout,
        hard_timeout,
        priority,
        cookie,
        flags,
        table,
        fin_idle_timeout,
        fin_hard_timeout,
        limit,
        specs,
    })))
}

fn decode_nat(r: &mut Reader<'_>) -> Result<Nat, OfError> {
    r.skip(2)?;
    let flags = r.u16("flags")?;
    let present = r.u16("range_present")?;
    let has = |bit: u16| present & bit != 0;
    let mut nat = Nat { flags, ..Nat::default() };
    if has(1) {
        nat.ipv4_min = Some(r.u32("ipv4_min")?);
    }
    if has(2) {
        nat.ipv4_max = Some(r.u32("ipv4_max")?);
    }
    if has(4) {
        nat.ipv6_min = Some(r.u128("ipv6_min")?);
    }
    if has(8) {
        nat.ipv6_max = Some(r.u128("ipv6_max")?);
    }
    if has(16) {
        nat.proto_min = Some(r.u16("proto_min")?);
    }
    if has(32) {
        nat.proto_max = Some(r.u16("proto_max")?);
    }
    if present & !0x3f != 0 {
        return Err(r.error(ErrorKind::BadActionBadArgument, "range_present", format!("{present:#x} is not defined")));
    }
    Ok(nat)
}

/// A property that isn't known makes the whole action unknown: what it would change can't be told.
fn decode_controller2(subtype: u16, r: &mut Reader<'_>) -> Result<Action, OfError> {
    let mut props = r.clone();
    props.skip(6)?;
    let (mut max_len, mut controller_id, mut reason, mut userdata, mut pause, mut meter) =
        (None, None, None, None, false, None);
    let mut known = true;
    property::decode(&mut props, ErrorKind::BadPropertyBadLen, |ty, body| {
        // Narrow values are followed by zeros that the property's length counts.
        match ty {
            PROP_MAX_LEN => max_len = Some(body.u16("max_len")?),
            PROP_CONTROLLER_ID => controller_id = Some(body.u16("controller_id")?),
            PROP_REASON => reason = Some(body.u8("reason")?),
            PROP_USERDATA => userdata = Some(Bytes::copy_from_slice(body.take_rest())),
            PROP_PAUSE => pause = true,
            PROP_METER => meter = Some(MeterId(body.u32("meter_id")?)),
            _ => known = false,
        }
        body.take_rest();
        Ok(())
    })?;
    if !known {
        return Ok(unknown(subtype, r));
    }
    r.take_rest();
    Ok(Action::Nicira(NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter }))
}
