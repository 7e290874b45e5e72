//! Nicira's actions (`NXAST_*`), which every version carries in its experimenter (1.0: vendor) action.
//! Their layouts are Open vSwitch's: port numbers have 16 bits, fields are NXM or OXM headers.
//!
//! Actions in actions (`ct`, `clone`) nest no deeper than [`Reader::descend`] lets them.

use super::oxm::{self, Tlv};
use super::v10::{port, put_port};
use super::{EncodeError, Reader, Writer, action, nicira_learn, property, unsupported};
use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::ids::{MeterId, TableId};
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Nat, NxAction, Subfield};
use crate::version::Version;
use bytes::Bytes;

const RESUBMIT: u16 = 1;
const SET_TUNNEL: u16 = 2;
const SET_QUEUE: u16 = 4;
const POP_QUEUE: u16 = 5;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const SET_TUNNEL64: u16 = 9;
const MULTIPATH: u16 = 10;
const BUNDLE: u16 = 12;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const EXIT: u16 = 17;
const DEC_TTL: u16 = 18;
const FIN_TIMEOUT: u16 = 19;
const CONTROLLER: u16 = 20;
const DEC_TTL_CNT_IDS: u16 = 21;
const WRITE_METADATA: u16 = 22;
const PUSH_MPLS: u16 = 23;
const POP_MPLS: u16 = 24;
const SET_MPLS_TTL: u16 = 25;
const DEC_MPLS_TTL: u16 = 26;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
const SAMPLE: u16 = 29;
const SET_MPLS_LABEL: u16 = 30;
const SET_MPLS_TC: u16 = 31;
const OUTPUT_REG2: u16 = 32;
const REG_LOAD2: u16 = 33;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const NAT: u16 = 36;
const CONTROLLER2: u16 = 37;
const SAMPLE2: u16 = 38;
const OUTPUT_TRUNC: u16 = 39;
const SAMPLE3: u16 = 41;
const CLONE: u16 = 42;
const CT_CLEAR: u16 = 43;
const RESUBMIT_TABLE_CT: u16 = 44;
const LEARN2: u16 = 45;
const ENCAP: u16 = 46;
const DECAP: u16 = 47;
const DEC_NSH_TTL: u16 = 48;
const CHECK_PKT_LARGER: u16 = 49;
const DELETE_FIELD: u16 = 50;

/// Properties of `NXAST_CONTROLLER2`.
const PROP_MAX_LEN: u16 = 0;
const PROP_CONTROLLER_ID: u16 = 1;
const PROP_REASON: u16 = 2;
const PROP_USERDATA: u16 = 3;
const PROP_PAUSE: u16 = 4;
const PROP_METER: u16 = 5;

/// The bytes before the subtype: type, length, vendor.
const BEFORE: usize = 8;
/// `NX_LEARN_F_WRITE_RESULT`
const WRITE_RESULT: u16 = 4;

/// Offset and width as one number: `ofs << 6 | (n_bits - 1)`.
fn ofs_nbits(n: u16) -> (u16, u16) {
    (n >> 6, (n & 0x3f) + 1)
}

fn put_ofs_nbits(w: &mut Writer, s: &Subfield) -> Result<(), EncodeError> {
    if s.offset > 0x3ff || s.n_bits == 0 || s.n_bits > 64 {
        let value = u128::from(s.offset) << 16 | u128::from(s.n_bits);
        return Err(EncodeError::OutOfRange { what: "ofs_nbits", value });
    }
    w.u16(s.offset << 6 | (s.n_bits - 1));
    Ok(())
}

fn subfield(r: &mut Reader<'_>, bits: u16, version: Version) -> Result<Subfield, OfError> {
    let (offset, n_bits) = ofs_nbits(bits);
    Ok(Subfield { field: oxm::decode_id(r, version)?, offset, n_bits })
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
pub(super) fn decode(r: &mut Reader<'_>, version: Version) -> Result<Action, OfError> {
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
            let dst = subfield(r, bits, version)?;
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
            NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst: subfield(r, bits, version)? }
        }
        BUNDLE | BUNDLE_LOAD => decode_bundle(subtype, r, start, version)?,
        OUTPUT_REG => {
            let bits = r.u16("ofs_nbits")?;
            let src = subfield(r, bits, version)?;
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
                let field = oxm::decode_id(r, version)?;
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
        Some(subfield(r, bits, version)?)
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
    let cookie = r.u64("cookie")?;
    let flags = r.u16("flags")?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let (fin_idle_timeout, fin_hard_timeout) = (r.u16("fin_idle_timeout")?, r.u16("fin_hard_timeout")?);
    let mut limit = None;
    if second {
        let n = r.u32("limit")?;
        let offset = r.u16("result_dst_ofs")?;
        r.skip(2)?;
        let dst = if flags & WRITE_RESULT != 0 {
            Some(Subfield { field: oxm::decode_id(r, version)?, offset, n_bits: 1 })
        } else {
            None
        };
        limit = Some((n, dst));
    }
    let specs = nicira_learn::decode_specs(r, version)?;
    Ok(NxAction::Learn {
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
    })
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

/// Pads so that the action has `len` bytes at least, and a multiple of eight; `start` as in [`skip_pad`].
fn pad_to(w: &mut Writer, start: usize, len: usize) {
    let used = w.len() - start + BEFORE;
    w.zeros(used.next_multiple_of(8).max(len) - used);
}

/// Writes a Nicira action's body from its subtype on.
pub(super) fn encode(w: &mut Writer, version: Version, nx: &NxAction) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    let subtype = encode_body(w, version, nx)?;
    let [hi, lo] = subtype.to_be_bytes();
    w.patch_u8(start, hi);
    w.patch_u8(start + 1, lo);
    let len = match subtype {
        OUTPUT_REG | OUTPUT_REG2 | STACK_PUSH | STACK_POP | CHECK_PKT_LARGER | DELETE_FIELD => 24,
        SAMPLE2 | SAMPLE3 => 32,
        _ => 16,
    };
    if !matches!(nx, NxAction::Unknown { .. }) {
        pad_to(w, start, len);
    }
    Ok(())
}

fn encode_body(w: &mut Writer, version: Version, nx: &NxAction) -> Result<u16, EncodeError> {
    let id = |w: &mut Writer, id: &OxmId| oxm::encode_id(w, version, id);
    Ok(match nx {
        NxAction::Resubmit { in_port, table: None, .. } => {
            put_port(w, *in_port, "in_port")?;
            RESUBMIT
        }
        NxAction::Resubmit { in_port, table: Some(table), ct } => {
            put_port(w, *in_port, "in_port")?;
            w.u8(table.0);
            if *ct { RESUBMIT_TABLE_CT } else { RESUBMIT_TABLE }
        }
        NxAction::SetTunnel { id, wide: true } => {
            w.zeros(6);
            w.u64(*id);
            SET_TUNNEL64
        }
        NxAction::SetTunnel { id, wide: false } => {
            w.zeros(2);
            let narrow = u32::try_from(*id);
            w.u32(narrow.map_err(|_| EncodeError::OutOfRange { what: "tun_id", value: (*id).into() })?);
            SET_TUNNEL
        }
        NxAction::SetQueue(queue) => {
            w.zeros(2);
            w.u32(*queue);
            SET_QUEUE
        }
        NxAction::PopQueue => POP_QUEUE,
        NxAction::Exit => EXIT,
        NxAction::DecTtl => DEC_TTL,
        NxAction::DecMplsTtl => DEC_MPLS_TTL,
        NxAction::CtClear => CT_CLEAR,
        NxAction::DecNshTtl => DEC_NSH_TTL,
        NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst } => {
            [*n_bits, *src_offset, *dst_offset].iter().for_each(|n| w.u16(*n));
            id(w, src)?;
            id(w, dst)?;
            REG_MOVE
        }
        NxAction::RegLoad { dst, value } => {
            put_ofs_nbits(w, dst)?;
            let before = w.len();
            id(w, &dst.field)?;
            if w.len() != before + 4 {
                return Err(unsupported(version, "NXAST_REG_LOAD of an experimenter's field"));
            }
            w.u64(*value);
            REG_LOAD
        }
        NxAction::RegLoad2(field) => {
            encode_load2(w, version, field)?;
            REG_LOAD2
        }
        NxAction::Note(bytes) => {
            w.bytes(bytes);
            NOTE
        }
        NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst } => {
            w.u16(*fields);
            w.u16(*basis);
            w.zeros(2);
            w.u16(*algorithm);
            w.u16(*max_link);
            w.u32(*arg);
            w.zeros(2);
            put_ofs_nbits(w, dst)?;
            id(w, &dst.field)?;
            MULTIPATH
        }
        NxAction::Bundle { algorithm, fields, basis, slave_type, members, dst } => {
            [*algorithm, *fields, *basis].iter().for_each(|n| w.u16(*n));
            w.u32(*slave_type);
            w.u16(count(members.len(), "n_slaves")?);
            match dst {
                Some(dst) => {
                    put_ofs_nbits(w, dst)?;
                    id(w, &dst.field)?;
                }
                None => w.zeros(6),
            }
            w.zeros(4);
            members.iter().try_for_each(|p| put_port(w, *p, "slave"))?;
            if dst.is_some() { BUNDLE_LOAD } else { BUNDLE }
        }
        NxAction::OutputReg { src, max_len, v2: false } => {
            put_ofs_nbits(w, src)?;
            id(w, &src.field)?;
            w.u16(*max_len);
            OUTPUT_REG
        }
        NxAction::OutputReg { src, max_len, v2: true } => {
            put_ofs_nbits(w, src)?;
            w.u16(*max_len);
            id(w, &src.field)?;
            OUTPUT_REG2
        }
        NxAction::DecTtlCntIds(ids) => {
            w.u16(count(ids.len(), "n_controllers")?);
            w.zeros(4);
            ids.iter().for_each(|n| w.u16(*n));
            DEC_TTL_CNT_IDS
        }
        NxAction::FinTimeout { idle, hard } => {
            w.u16(*idle);
            w.u16(*hard);
            FIN_TIMEOUT
        }
        NxAction::Controller { max_len, controller_id, reason } => {
            w.u16(*max_len);
            w.u16(*controller_id);
            w.u8(*reason);
            CONTROLLER
        }
        NxAction::Controller2 { .. } => {
            encode_controller2(w, nx)?;
            CONTROLLER2
        }
        NxAction::WriteMetadata { metadata, mask } => {
            w.zeros(6);
            w.u64(*metadata);
            w.u64(*mask);
            WRITE_METADATA
        }
        NxAction::PushMpls(ethertype) => {
            w.u16(*ethertype);
            PUSH_MPLS
        }
        NxAction::PopMpls(ethertype) => {
            w.u16(*ethertype);
            POP_MPLS
        }
        NxAction::SetMplsTtl(ttl) => {
            w.u8(*ttl);
            SET_MPLS_TTL
        }
        NxAction::SetMplsTc(tc) => {
            w.u8(*tc);
            SET_MPLS_TC
        }
        NxAction::SetMplsLabel(label) => {
            w.zeros(2);
            w.u32(*label);
            SET_MPLS_LABEL
        }
        NxAction::StackPush(s) | NxAction::StackPop(s) => {
            w.u16(s.offset);
            id(w, &s.field)?;
            w.u16(s.n_bits);
            if matches!(nx, NxAction::StackPush(_)) { STACK_PUSH } else { STACK_POP }
        }
        NxAction::Sample { probability, collector_set_id, obs_domain_id, obs_point_id, sampling_port, direction } => {
            w.u16(*probability);
            [*collector_set_id, *obs_domain_id, *obs_point_id].iter().for_each(|n| w.u32(*n));
            match (sampling_port, direction) {
                (None, None) => SAMPLE,
                (port, direction) => {
                    put_port(w, port.unwrap_or(crate::ids::PortNo::ANY), "sampling_port")?;
                    w.u8(direction.unwrap_or(0));
                    if direction.is_some() { SAMPLE3 } else { SAMPLE2 }
                }
            }
        }
        NxAction::Learn { .. } => encode_learn(w, version, nx)?,
        NxAction::Conjunction { clause, n_clauses, id } => {
            w.u8(*clause);
            w.u8(*n_clauses);
            w.u32(*id);
            CONJUNCTION
        }
        NxAction::Ct { flags, zone, recirc_table, alg, actions } => {
            w.u16(*flags);
            match zone {
                Ok(zone) => {
                    w.u32(0);
                    w.u16(*zone);
                }
                Err(src) => {
                    id(w, &src.field)?;
                    put_ofs_nbits(w, src)?;
                }
            }
            w.u8(recirc_table.0);
            w.zeros(3);
            w.u16(*alg);
            encode_nested(w, version, actions)?;
            CT
        }
        NxAction::Nat(nat) => {
            encode_nat(w, nat);
            NAT
        }
        NxAction::OutputTrunc { port, max_len } => {
            put_port(w, *port, "port")?;
            w.u32(*max_len);
            OUTPUT_TRUNC
        }
        NxAction::Clone(actions) => {
            w.zeros(6);
            encode_nested(w, version, actions)?;
            CLONE
        }
        NxAction::CheckPktLarger { pkt_len, dst } => {
            w.u16(*pkt_len);
            w.u16(dst.offset);
            id(w, &dst.field)?;
            CHECK_PKT_LARGER
        }
        NxAction::DeleteField(field) => {
            id(w, field)?;
            DELETE_FIELD
        }
        NxAction::Encap { hdr_size, packet_type, properties } => {
            w.u16(*hdr_size);
            w.u32(*packet_type);
            w.bytes(properties);
            ENCAP
        }
        NxAction::Decap { packet_type } => {
            w.zeros(2);
            w.u32(*packet_type);
            DECAP
        }
        NxAction::Unknown { subtype, data } => {
            w.bytes(data);
            *subtype
        }
    })
}

fn encode_nested(w: &mut Writer, version: Version, actions: &[Action]) -> Result<(), EncodeError> {
    w.nested(|w| action::encode_list(w, version, actions))
        .unwrap_or_else(|| Err(unsupported(version, "so many actions inside each other")))
}

fn count(n: usize, what: &'static str) -> Result<u16, EncodeError> {
    u16::try_from(n).map_err(|_| EncodeError::TooLong { what, len: n, max: 0xffff })
}

fn encode_load2(w: &mut Writer, version: Version, field: &MatchField) -> Result<(), EncodeError> {
    oxm::encode_field(w, version, field)
}

fn encode_nat(w: &mut Writer, nat: &Nat) {
    let present = [
        nat.ipv4_min.is_some(),
        nat.ipv4_max.is_some(),
        nat.ipv6_min.is_some(),
        nat.ipv6_max.is_some(),
        nat.proto_min.is_some(),
        nat.proto_max.is_some(),
    ];
    w.zeros(2);
    w.u16(nat.flags);
    w.u16(present.iter().enumerate().fold(0, |bits, (i, is)| bits | u16::from(*is) << i));
    [nat.ipv4_min, nat.ipv4_max].iter().flatten().for_each(|n| w.u32(*n));
    [nat.ipv6_min, nat.ipv6_max].iter().flatten().for_each(|n| w.uint(*n, 16));
    [nat.proto_min, nat.proto_max].iter().flatten().for_each(|n| w.u16(*n));
}

fn encode_controller2(w: &mut Writer, nx: &NxAction) -> Result<(), EncodeError> {
    let NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter } = nx else { return Ok(()) };
    w.zeros(6);
    // The length of a property of 16 bits counts its padding, that of one of 8 bits doesn't.
    let padded = |n: u16| (u32::from(n) << 16).to_be_bytes();
    let mut prop = |ty, bytes: &[u8]| {
        property::encode(w, ty, |w| {
            w.bytes(bytes);
            Ok(())
        })
    };
    if let Some(n) = max_len {
        prop(PROP_MAX_LEN, &padded(*n))?;
    }
    if let Some(n) = controller_id {
        prop(PROP_CONTROLLER_ID, &padded(*n))?;
    }
    if let Some(n) = reason {
        prop(PROP_REASON, &[*n])?;
    }
    if let Some(data) = userdata {
        prop(PROP_USERDATA, data)?;
    }
    if *pause {
        prop(PROP_PAUSE, &[])?;
    }
    if let Some(meter) = meter {
        prop(PROP_METER, &meter.0.to_be_bytes())?;
    }
    Ok(())
}

fn encode_learn(w: &mut Writer, version: Version, nx: &NxAction) -> Result<u16, EncodeError> {
    let NxAction::Learn {
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
    } = nx
    else {
        return Ok(LEARN);
    };
    [*idle_timeout, *hard_timeout, *priority].iter().for_each(|n| w.u16(*n));
    w.u64(*cookie);
    w.u16(*flags);
    w.u8(table.0);
    w.u8(0);
    w.u16(*fin_idle_timeout);
    w.u16(*fin_hard_timeout);
    let mut subtype = LEARN;
    if let Some((n, dst)) = limit {
        subtype = LEARN2;
        w.u32(*n);
        super::require(dst.is_some() == (flags & WRITE_RESULT != 0), version, "a learn result without its flag")?;
        match dst {
            Some(dst) => {
                super::require(dst.n_bits == 1, version, "a learn result of more than one bit")?;
                w.u16(dst.offset);
                w.zeros(2);
                oxm::encode_id(w, version, &dst.field)?;
            }
            None => w.zeros(4),
        }
    }
    nicira_learn::encode_specs(w, version, specs)?;
    Ok(subtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowMod;
    use crate::ids::Xid;
    use crate::instruction::Instruction;
    use crate::message::Message;
    use crate::text::property_tests::flow_mod;
    use crate::wire;
    use proptest::prelude::*;

    fn mod_of(actions: Vec<Action>) -> Message {
        Message::FlowMod(FlowMod { instructions: vec![Instruction::ApplyActions(actions)], ..FlowMod::default() })
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).expect("hex"), 16).expect("hex")).collect()
    }

    /// An action after its type, length and vendor, as 1.0 carries it.
    fn read(body: &str) -> Result<Action, OfError> {
        let body = hex(body);
        let mut bytes = vec![0xff, 0xff, 0, 8 + body.len() as u8, 0, 0, 0x23, 0x20];
        bytes.extend(body);
        let mut r = Reader::new(&bytes);
        let list = action::decode_list(&mut r, Version::V10)?;
        let mut w = Writer::new();
        action::encode_list(&mut w, Version::V10, &list).expect("sayable");
        assert_eq!(w.as_slice(), bytes, "{list:?}");
        Ok(list.into_iter().next().expect("one"))
    }

    #[test]
    fn layouts_are_open_vswitch_s() {
        use crate::field::FieldId as F;
        let reg = |id, offset, n_bits| Subfield { field: OxmId::of(id), offset, n_bits };
        let nx = |text| match read(text) {
            Ok(Action::Nicira(nx)) => nx,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            nx("000e fff8 05 000000"),
            NxAction::Resubmit { in_port: crate::ids::PortNo::IN_PORT, table: Some(TableId(5)), ct: false }
        );
        assert_eq!(
            nx("0007 011f 00010004 0000000012345678"),
            NxAction::RegLoad { dst: reg(F::Reg0, 4, 32), value: 0x1234_5678 }
        );
        assert_eq!(nx("001b 0008 00010204 0010 000000000000"), NxAction::StackPush(reg(F::Reg1, 8, 16)));
        assert_eq!(nx("0022 01 03 000000ff"), NxAction::Conjunction { clause: 1, n_clauses: 3, id: 255 });
        assert_eq!(nx("0027 0007 00000064"), NxAction::OutputTrunc { port: crate::ids::PortNo(7), max_len: 100 });
        assert_eq!(
            nx("0031 05dc 0000 00010004 00000000 0000"),
            NxAction::CheckPktLarger { pkt_len: 1500, dst: reg(F::Reg0, 0, 1) }
        );
    }

    #[test]
    fn a_subtype_not_known_survives() {
        let action = read("7fff 0102 0304 0506").expect("sound");
        assert!(matches!(action, Action::Nicira(NxAction::Unknown { subtype: 0x7fff, .. })));
    }

    #[test]
    fn wrong_lengths_and_reserved_bits_are_refused() {
        let kind = |text| read(text).expect_err("refused").kind;
        assert_eq!(kind("0011 000000000000 0000000000000000"), ErrorKind::BadActionBadLen);
        assert_eq!(kind("0007 001f 00010004 0000"), ErrorKind::BadActionBadLen);
        assert_eq!(kind("0024 0000 0001 0040"), ErrorKind::BadActionBadArgument);
        let learn = "0010 0000 0000 8000 0000000000000000 0000 01 00 0000 0000";
        assert_eq!(kind(&format!("{learn} 5830 0000 0000 0000")), ErrorKind::BadActionBadArgument);
    }

    #[test]
    fn actions_in_actions_end_somewhere() {
        let clone = |inner| vec![Action::Nicira(NxAction::Clone(inner))];
        let deep = |n| (0..n).fold(Vec::new(), |inner, _| clone(inner));
        for version in Version::ALL {
            let bytes = |n| wire::encode(version, Xid(1), &mod_of(deep(n))).expect("sayable");
            let deepest = bytes(16);
            assert!(wire::decode(&deepest).is_ok());
            assert!(wire::encode(version, Xid(1), &mod_of(deep(18))).is_err());
            // Clones all the way down: the innermost one becomes the header of the next level again and again.
            let at = deepest.windows(10).position(|w| w[..2] == [0xff; 2] && w[8..] == [0, 42]).expect("a clone");
            let levels = 3000;
            let mut bytes = deepest[..at].to_vec();
            for level in 0..levels {
                let len = ((levels - level) * 16) as u16;
                bytes.extend([0xff, 0xff]);
                bytes.extend(len.to_be_bytes());
                bytes.extend([0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0]);
            }
            let total = bytes.len() as u16;
            bytes[2..4].copy_from_slice(&total.to_be_bytes());
            if version > Version::V10 {
                let instruction = at - 8;
                bytes[instruction + 2..instruction + 4].copy_from_slice(&((levels * 16 + 8) as u16).to_be_bytes());
            }
            let e = wire::decode(&bytes).expect_err("too deep");
            assert_eq!(e.kind, ErrorKind::BadActionBadArgument, "{version}: {e}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Everything that the flow syntax can say in a version is said on the wire and comes back, or
        /// is refused by name. Learnt constants have one form on the wire, so bytes are compared.
        #[test]
        fn flow_mods_of_the_syntax_survive((version, m) in flow_mod()) {
            let message = Message::FlowMod(m);
            if let Ok(bytes) = wire::encode(version, Xid(7), &message) {
                let (_, again) = wire::decode(&bytes).map_err(|e| TestCaseError::fail(format!("{e}: {message:?}")))?;
                prop_assert_eq!(wire::encode(version, Xid(7), &again).expect("was"), bytes, "{:?} {:?}", message, again);
            }
        }
    }
}
