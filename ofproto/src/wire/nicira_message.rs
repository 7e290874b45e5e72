//! Nicira's messages (`NXT_*`) and statistics (`NXST_*`). In 1.0 they are vendor messages, later
//! experimenter messages; their bodies are the same in all versions.

use super::{
    EncodeError, Reader, Writer, action, async_config, codes, instruction, nicira_tlv, onf, oxm, property, require, v10,
};
use crate::error::{ErrorKind, OfError};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved};
use crate::ids::{BufferId, Cookie, ExperimenterId, GroupId, MonitorId, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, UnknownField};
use crate::monitor::{FlowMonitorRequest, MonitorCommand};
use crate::nx_message::{NxMessage, PacketIn2};
use crate::packet::PacketIn;
use crate::role::Role;
use crate::stats::{FlowDesc, FlowStats, FlowStatsRequest};
use crate::version::Version;
use bytes::Bytes;
use std::borrow::Cow;

const ROLE_REQUEST: u32 = 10;
const ROLE_REPLY: u32 = 11;
const SET_FLOW_FORMAT: u32 = 12;
const FLOW_MOD: u32 = 13;
const FLOW_REMOVED: u32 = 14;
const FLOW_MOD_TABLE_ID: u32 = 15;
const SET_PACKET_IN_FORMAT: u32 = 16;
const PACKET_IN: u32 = 17;
const FLOW_AGE: u32 = 18;
const SET_ASYNC_CONFIG: u32 = 19;
const SET_CONTROLLER_ID: u32 = 20;
const FLOW_MONITOR_CANCEL: u32 = 21;
const FLOW_MONITOR_PAUSED: u32 = 22;
const FLOW_MONITOR_RESUMED: u32 = 23;
const TLV_TABLE_MOD: u32 = 24;
const TLV_TABLE_REQUEST: u32 = 25;
const TLV_TABLE_REPLY: u32 = 26;
const SET_ASYNC_CONFIG2: u32 = 27;
const RESUME: u32 = 28;
const CT_FLUSH_ZONE: u32 = 29;
const PACKET_IN2: u32 = 30;

/// `NXST_FLOW`
pub(super) const STATS_FLOW: u32 = 0;
/// `NXST_AGGREGATE`
pub(super) const STATS_AGGREGATE: u32 = 1;
/// `NXST_FLOW_MONITOR`
pub(super) const STATS_FLOW_MONITOR: u32 = 2;

/// Nicira's roles are one less than the specification's, which has `NOCHANGE` first.
fn role(n: u32) -> Role {
    match n {
        0 => Role::Equal,
        1 => Role::Master,
        2 => Role::Slave,
        n => Role::Unknown(n),
    }
}

fn role_code(role: Role) -> Result<u32, EncodeError> {
    Ok(match role {
        Role::Equal => 0,
        Role::Master => 1,
        Role::Slave => 2,
        Role::Unknown(n) if n > 2 => n,
        Role::Unknown(n) => return Err(EncodeError::OutOfRange { what: "role", value: n.into() }),
        Role::NoChange => return Err(super::unsupported(Version::V10, "OFPCR_ROLE_NOCHANGE in NXT_ROLE_REQUEST")),
    })
}

/// Reads a message's body after its subtype.
pub(super) fn decode(subtype: u32, r: &mut Reader<'_>, version: Version) -> Result<NxMessage, OfError> {
    Ok(match subtype {
        ROLE_REQUEST => NxMessage::RoleRequest(role(r.u32("role")?)),
        ROLE_REPLY => NxMessage::RoleReply(role(r.u32("role")?)),
        SET_FLOW_FORMAT => NxMessage::SetFlowFormat(r.u32("format")?),
        FLOW_MOD => NxMessage::FlowMod(decode_flow_mod(r, version)?),
        FLOW_REMOVED => NxMessage::FlowRemoved(decode_flow_removed(r, version)?),
        FLOW_MOD_TABLE_ID => {
            let set = r.u8("set")?;
            r.skip(7)?;
            NxMessage::FlowModTableId(set != 0)
        }
        SET_PACKET_IN_FORMAT => NxMessage::SetPacketInFormat(r.u32("format")?),
        PACKET_IN => NxMessage::PacketIn(decode_packet_in(r, version)?),
        FLOW_AGE => NxMessage::FlowAge,
        SET_ASYNC_CONFIG => {
            let mut two = |field| -> Result<[u32; 2], OfError> { Ok([r.u32(field)?, r.u32(field)?]) };
            NxMessage::SetAsyncConfig {
                packet_in: two("packet_in_mask")?,
                port_status: two("port_status_mask")?,
                flow_removed: two("flow_removed_mask")?,
            }
        }
        SET_CONTROLLER_ID => {
            r.skip(6)?;
            NxMessage::SetControllerId(r.u16("controller_id")?)
        }
        FLOW_MONITOR_CANCEL => NxMessage::FlowMonitorCancel(r.u32("id")?),
        FLOW_MONITOR_PAUSED => NxMessage::FlowMonitorPaused,
        FLOW_MONITOR_RESUMED => NxMessage::FlowMonitorResumed,
        TLV_TABLE_MOD => nicira_tlv::decode_mod(r)?,
        TLV_TABLE_REQUEST => NxMessage::TlvTableRequest,
        TLV_TABLE_REPLY => nicira_tlv::decode_reply(r)?,
        SET_ASYNC_CONFIG2 => NxMessage::SetAsyncConfig2(async_config::decode(r, version.max(Version::V14))?),
        RESUME => NxMessage::Resume(Box::new(decode_packet_in2(r, version)?)),
        CT_FLUSH_ZONE => {
            r.skip(6)?;
            NxMessage::CtFlushZone(r.u16("zone_id")?)
        }
        PACKET_IN2 => NxMessage::PacketIn2(Box::new(decode_packet_in2(r, version)?)),
        _ => NxMessage::Unknown { subtype, data: Bytes::copy_from_slice(r.take_rest()) },
    })
}

/// Writes vendor, subtype and body. The ONF's messages among these aren't Nicira's to write.
pub(super) fn encode(w: &mut Writer, version: Version, m: &NxMessage) -> Result<(), EncodeError> {
    w.u32(ExperimenterId::NICIRA.0);
    let at = w.len();
    w.u32(0);
    let subtype = encode_body(w, version, m)?;
    for (i, byte) in subtype.to_be_bytes().into_iter().enumerate() {
        w.patch_u8(at + i, byte);
    }
    Ok(())
}

fn encode_body(w: &mut Writer, version: Version, m: &NxMessage) -> Result<u32, EncodeError> {
    Ok(match m {
        NxMessage::RoleRequest(role) => {
            w.u32(role_code(*role)?);
            ROLE_REQUEST
        }
        NxMessage::RoleReply(role) => {
            w.u32(role_code(*role)?);
            ROLE_REPLY
        }
        NxMessage::SetFlowFormat(format) => {
            w.u32(*format);
            SET_FLOW_FORMAT
        }
        NxMessage::FlowMod(m) => {
            encode_flow_mod(w, version, m)?;
            FLOW_MOD
        }
        NxMessage::FlowRemoved(m) => {
            encode_flow_removed(w, version, m)?;
            FLOW_REMOVED
        }
        NxMessage::FlowModTableId(set) => {
            w.u8(u8::from(*set));
            w.zeros(7);
            FLOW_MOD_TABLE_ID
        }
        NxMessage::SetPacketInFormat(format) => {
            w.u32(*format);
            SET_PACKET_IN_FORMAT
        }
        NxMessage::PacketIn(m) => {
            encode_packet_in(w, version, m)?;
            PACKET_IN
        }
        NxMessage::FlowAge => FLOW_AGE,
        NxMessage::SetAsyncConfig { packet_in, port_status, flow_removed } => {
            [packet_in, port_status, flow_removed].iter().flat_map(|m| m.iter()).for_each(|n| w.u32(*n));
            SET_ASYNC_CONFIG
        }
        NxMessage::SetControllerId(id) => {
            w.zeros(6);
            w.u16(*id);
            SET_CONTROLLER_ID
        }
        NxMessage::FlowMonitorCancel(id) => {
            w.u32(*id);
            FLOW_MONITOR_CANCEL
        }
        NxMessage::FlowMonitorPaused => FLOW_MONITOR_PAUSED,
        NxMessage::FlowMonitorResumed => FLOW_MONITOR_RESUMED,
        NxMessage::SetAsyncConfig2(m) => {
            async_config::encode(w, version.max(Version::V14), m, false)?;
            SET_ASYNC_CONFIG2
        }
        NxMessage::Resume(m) => {
            encode_packet_in2(w, version, m)?;
            RESUME
        }
        NxMessage::TlvTableMod { command, maps } => {
            nicira_tlv::encode_mod(w, *command, maps);
            TLV_TABLE_MOD
        }
        NxMessage::TlvTableRequest => TLV_TABLE_REQUEST,
        NxMessage::TlvTableReply { max_option_space, max_fields, maps } => {
            nicira_tlv::encode_reply(w, *max_option_space, *max_fields, maps);
            TLV_TABLE_REPLY
        }
        NxMessage::CtFlushZone(zone) => {
            w.zeros(6);
            w.u16(*zone);
            CT_FLUSH_ZONE
        }
        NxMessage::PacketIn2(m) => {
            encode_packet_in2(w, version, m)?;
            PACKET_IN2
        }
        NxMessage::OnfFlowMonitorCancel(_) | NxMessage::OnfFlowMonitorPaused | NxMessage::OnfFlowMonitorResumed => {
            return Err(super::unsupported(version, "EXT-187's messages"));
        }
        NxMessage::Unknown { subtype, data } => {
            w.bytes(data);
            *subtype
        }
    })
}

/// `nx_flow_mod`: as 1.0's, with NXM fields for a match. After 1.0 instructions follow, as Open vSwitch
/// has it.
fn decode_flow_mod(r: &mut Reader<'_>, version: Version) -> Result<FlowMod, OfError> {
    let mut m = FlowMod {
        cookie: Cookie(r.u64("cookie")?),
        command: codes::flow_mod_command(r.u16("command")?),
        idle_timeout: r.u16("idle_timeout")?,
        hard_timeout: r.u16("hard_timeout")?,
        priority: r.u16("priority")?,
        buffer_id: BufferId(r.u32("buffer_id")?),
        out_port: v10::port(r, "out_port")?,
        flags: flags(r.u16("flags")?, version),
        ..FlowMod::default()
    };
    let match_len = r.u16("match_len")?;
    r.skip(6)?;
    m.matching = onf::decode_bare_match(r, match_len, version)?;
    // A filter beside a new cookie, as a modify may have it, is nothing that the model can hold.
    if matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict)
        && let Some(filter) = take_cookie(&mut m.matching)
    {
        (m.cookie, m.cookie_mask) = filter;
    }
    m.instructions =
        if version == Version::V10 { decode_actions(r, version)? } else { instruction::decode_list(r, version)? };
    Ok(m)
}

fn flags(n: u16, version: Version) -> FlowModFlags {
    if version == Version::V10 { v10::flow_mod_flags(n) } else { FlowModFlags::from_bits_retain(n) }
}

/// The pseudo-field `NXM_NX_COOKIE`, which the model has as the filter that it is.
const COOKIE_CLASS: u16 = 1;
const COOKIE_FIELD: u8 = 30;

/// Takes the cookie filter out of a match.
fn take_cookie(m: &mut Match) -> Option<(Cookie, u64)> {
    let at = m.unknown.iter().position(|(_, u)| (u.class, u.field) == (COOKIE_CLASS, COOKIE_FIELD))?;
    let mut r = Reader::new(&m.unknown.get(at)?.1.payload);
    let cookie = r.u64("cookie").ok()?;
    let mask = if r.is_empty() { u64::MAX } else { r.u64("cookie_mask").ok()? };
    m.unknown.remove(at);
    Some((Cookie(cookie), mask))
}

/// The match with the cookie filter in it.
fn with_cookie(m: &Match, cookie: Cookie, mask: u64) -> Cow<'_, Match> {
    if mask == 0 {
        return Cow::Borrowed(m);
    }
    let mut m = m.clone();
    let payload = [(cookie.0 & mask).to_be_bytes(), mask.to_be_bytes()].concat().into();
    let field = UnknownField { class: COOKIE_CLASS, field: COOKIE_FIELD, has_mask: true, experimenter: None, payload };
    m.unknown.push((m.fields.len(), field));
    Cow::Owned(m)
}

fn decode_actions(r: &mut Reader<'_>, version: Version) -> Result<Vec<Instruction>, OfError> {
    let actions = action::decode_list(r, version)?;
    Ok(if actions.is_empty() { Vec::new() } else { vec![Instruction::ApplyActions(actions)] })
}

/// Nothing but an action list can be said in 1.0.
fn encode_actions(w: &mut Writer, version: Version, list: &[Instruction]) -> Result<(), EncodeError> {
    match list {
        _ if version > Version::V10 => instruction::encode_list(w, version, list),
        [] => Ok(()),
        [Instruction::ApplyActions(actions)] => action::encode_list(w, version, actions),
        _ => Err(super::unsupported(version, "instructions other than apply-actions in Nicira's messages")),
    }
}

fn encode_flow_mod(w: &mut Writer, version: Version, m: &FlowMod) -> Result<(), EncodeError> {
    require(m.out_group == GroupId::ANY, version, "out_group in NXT_FLOW_MOD")?;
    require(m.importance == 0, version, "importance in NXT_FLOW_MOD")?;
    let deletes = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
    require(m.cookie_mask == 0 || deletes, version, "cookie_mask in an NXT_FLOW_MOD that deletes nothing")?;
    w.u64(m.cookie.0);
    w.u16(v10::flow_mod_command_code(m)?);
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.u16(m.priority);
    w.u32(m.buffer_id.0);
    v10::put_port(w, m.out_port, "out_port")?;
    w.u16(if version == Version::V10 { v10::flow_mod_flags_code(m.flags) } else { m.flags.bits() });
    let len_at = w.len();
    w.zeros(8);
    onf::encode_bare_match(w, version, len_at, &with_cookie(&m.matching, m.cookie, m.cookie_mask))?;
    encode_actions(w, version, &m.instructions)
}

fn decode_flow_removed(r: &mut Reader<'_>, version: Version) -> Result<FlowRemoved, OfError> {
    let cookie = Cookie(r.u64("cookie")?);
    let priority = r.u16("priority")?;
    let reason = codes::flow_removed_reason(r.u8("reason")?, version);
    // One more than the table; 0 where the sender doesn't say.
    let table = TableId(r.u8("table_id")?.wrapping_sub(1));
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let idle_timeout = r.u16("idle_timeout")?;
    let match_len = r.u16("match_len")?;
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let matching = onf::decode_bare_match(r, match_len, version)?;
    let stats = FlowStats { duration_sec, duration_nsec, packet_count, byte_count, ..FlowStats::default() };
    Ok(FlowRemoved { cookie, priority, reason, table, idle_timeout, hard_timeout: 0, stats, matching })
}

fn encode_flow_removed(w: &mut Writer, version: Version, m: &FlowRemoved) -> Result<(), EncodeError> {
    w.u64(m.cookie.0);
    w.u16(m.priority);
    w.u8(codes::flow_removed_reason_code(m.reason, version));
    w.u8(m.table.0.wrapping_add(1));
    w.u32(m.stats.duration_sec);
    w.u32(m.stats.duration_nsec);
    w.u16(m.idle_timeout);
    let len_at = w.len();
    w.u16(0);
    w.u64(m.stats.packet_count);
    w.u64(m.stats.byte_count);
    onf::encode_bare_match(w, version, len_at, &m.matching)
}

fn decode_packet_in(r: &mut Reader<'_>, version: Version) -> Result<PacketIn, OfError> {
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let total_len = r.u16("total_len")?;
    let reason = codes::packet_in_reason(r.u8("reason")?, version.max(Version::V12));
    let table = TableId(r.u8("table_id")?);
    let cookie = Cookie(r.u64("cookie")?);
    let match_len = r.u16("match_len")?;
    r.skip(6)?;
    let matching = onf::decode_bare_match(r, match_len, version)?;
    r.skip(2)?;
    Ok(PacketIn { buffer_id, total_len, reason, table, cookie, matching, data: Bytes::copy_from_slice(r.take_rest()) })
}

fn encode_packet_in(w: &mut Writer, version: Version, m: &PacketIn) -> Result<(), EncodeError> {
    w.u32(m.buffer_id.0);
    w.u16(m.total_len);
    // 1.0 has no reason for an invalid TTL, the extension has.
    w.u8(codes::packet_in_reason_code(m.reason, version.max(Version::V12)));
    w.u8(m.table.0);
    w.u64(m.cookie.0);
    let len_at = w.len();
    w.zeros(8);
    onf::encode_bare_match(w, version, len_at, &m.matching)?;
    w.zeros(2);
    w.bytes(&m.data);
    Ok(())
}

const PROP_PACKET: u16 = 0;
const PROP_FULL_LEN: u16 = 1;
const PROP_BUFFER_ID: u16 = 2;
const PROP_TABLE_ID: u16 = 3;
const PROP_COOKIE: u16 = 4;
const PROP_REASON: u16 = 5;
const PROP_METADATA: u16 = 6;
const PROP_USERDATA: u16 = 7;
const PROP_CONTINUATION: u16 = 8;

fn decode_packet_in2(r: &mut Reader<'_>, version: Version) -> Result<PacketIn2, OfError> {
    let mut m = PacketIn2::default();
    property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| {
        match ty {
            PROP_PACKET => m.packet = Some(Bytes::copy_from_slice(body.take_rest())),
            PROP_FULL_LEN => m.full_len = Some(body.u32("full_len")?),
            PROP_BUFFER_ID => m.buffer_id = Some(body.u32("buffer_id")?),
            PROP_TABLE_ID => m.table_id = Some(body.u8("table_id")?),
            PROP_COOKIE => {
                body.skip(4)?;
                m.cookie = Some(body.u64("cookie")?);
            }
            PROP_REASON => m.reason = Some(body.u8("reason")?),
            PROP_METADATA => m.metadata = Some(oxm::decode_fields(body, version)?),
            PROP_USERDATA => m.userdata = Some(Bytes::copy_from_slice(body.take_rest())),
            PROP_CONTINUATION => m.continuation = Some(Bytes::copy_from_slice(body.take_rest())),
            _ => m.other.push(crate::group::UnknownProp { ty, data: Bytes::copy_from_slice(body.take_rest()) }),
        }
        Ok(())
    })?;
    Ok(m)
}

fn encode_packet_in2(w: &mut Writer, version: Version, m: &PacketIn2) -> Result<(), EncodeError> {
    require(m.actions.is_empty(), version, "actions in NXT_PACKET_IN2 outside its continuation")?;
    let mut prop = |ty, bytes: &[u8]| {
        property::encode(w, ty, |w| {
            w.bytes(bytes);
            Ok(())
        })
    };
    if let Some(packet) = &m.packet {
        prop(PROP_PACKET, packet)?;
    }
    if let Some(n) = m.full_len {
        prop(PROP_FULL_LEN, &n.to_be_bytes())?;
    }
    if let Some(n) = m.buffer_id {
        prop(PROP_BUFFER_ID, &n.to_be_bytes())?;
    }
    if let Some(n) = m.table_id {
        prop(PROP_TABLE_ID, &[n])?;
    }
    if let Some(n) = m.cookie {
        prop(PROP_COOKIE, &u128::from(n).to_be_bytes()[4..])?;
    }
    if let Some(n) = m.reason {
        prop(PROP_REASON, &[n])?;
    }
    if let Some(metadata) = &m.metadata {
        property::encode(w, PROP_METADATA, |w| oxm::encode_fields(w, version, metadata))?;
    }
    let mut prop = |ty, bytes: &[u8]| {
        property::encode(w, ty, |w| {
            w.bytes(bytes);
            Ok(())
        })
    };
    if let Some(data) = &m.userdata {
        prop(PROP_USERDATA, data)?;
    }
    if let Some(data) = &m.continuation {
        prop(PROP_CONTINUATION, data)?;
    }
    m.other.iter().try_for_each(|p| prop(p.ty, &p.data))
}

/// The subtype of a statistics body that is Nicira's: 1.0's have vendor, subtype and four bytes more.
pub(super) fn stats_subtype(r: &Reader<'_>, version: Version) -> Option<u32> {
    let mut peek = r.clone();
    let ours = version == Version::V10 && peek.u32("vendor").is_ok_and(|id| id == ExperimenterId::NICIRA.0);
    let subtype = peek.u32("subtype").ok()?;
    (ours && subtype <= STATS_FLOW_MONITOR && peek.skip(4).is_ok()).then_some(subtype)
}

/// Reads past what [`stats_subtype`] looked at.
pub(super) fn skip_stats_head(r: &mut Reader<'_>) -> Result<(), OfError> {
    r.skip(12)
}

/// Writes it.
pub(super) fn put_stats_head(w: &mut Writer, subtype: u32) {
    w.u32(ExperimenterId::NICIRA.0);
    w.u32(subtype);
    w.u32(0);
}

/// Reads the filter of `NXST_FLOW` and `NXST_AGGREGATE`.
pub(super) fn decode_flow_request(r: &mut Reader<'_>, version: Version) -> Result<FlowStatsRequest, OfError> {
    let out_port = v10::port(r, "out_port")?;
    let match_len = r.u16("match_len")?;
    let table = TableId(r.u8("table_id")?);
    r.skip(3)?;
    let mut matching = onf::decode_bare_match(r, match_len, version)?;
    let (cookie, cookie_mask) = take_cookie(&mut matching).unwrap_or_default();
    Ok(FlowStatsRequest { table, out_port, cookie, cookie_mask, matching, ..FlowStatsRequest::default() })
}

/// Writes it.
pub(super) fn encode_flow_request(w: &mut Writer, version: Version, m: &FlowStatsRequest) -> Result<(), EncodeError> {
    require(m.out_group == GroupId::ANY, version, "out_group")?;
    v10::put_port(w, m.out_port, "out_port")?;
    let len_at = w.len();
    w.u16(0);
    w.u8(m.table.0);
    w.zeros(3);
    onf::encode_bare_match(w, version, len_at, &with_cookie(&m.matching, m.cookie, m.cookie_mask))
}

/// Reads one entry of the `NXST_FLOW` reply. Ages are seconds and one; 0 is unknown.
pub(super) fn decode_flow_desc(r: &mut Reader<'_>, version: Version) -> Result<FlowDesc, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let priority = r.u16("priority")?;
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    let match_len = r.u16("match_len")?;
    let idle_age = r.u16("idle_age")?;
    r.skip(2)?;
    let cookie = Cookie(r.u64("cookie")?);
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let matching = onf::decode_bare_match(&mut r, match_len, version)?;
    let idle = idle_age.checked_sub(1).map(|age| (u32::from(age), 0));
    Ok(FlowDesc {
        table,
        priority,
        idle_timeout,
        hard_timeout,
        flags: FlowModFlags::empty(),
        importance: 0,
        cookie,
        stats: FlowStats { duration_sec, duration_nsec, packet_count, byte_count, idle, oxs: None },
        matching,
        instructions: decode_actions(&mut r, version)?,
    })
}

/// Writes one entry of the `NXST_FLOW` reply.
pub(super) fn encode_flow_desc(w: &mut Writer, version: Version, m: &FlowDesc) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u8(m.table.0);
    w.u8(0);
    w.u32(m.stats.duration_sec);
    w.u32(m.stats.duration_nsec);
    w.u16(m.priority);
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    let len_at = w.len();
    w.u16(0);
    w.u16(m.stats.idle.map_or(0, |(seconds, _)| u16::try_from(seconds).unwrap_or(u16::MAX).saturating_add(1)));
    w.zeros(2);
    w.u64(m.cookie.0);
    w.u64(m.stats.packet_count);
    w.u64(m.stats.byte_count);
    onf::encode_bare_match(w, version, len_at, &m.matching)?;
    instruction::encode_list(w, version, &m.instructions)?;
    super::set_length(w, start, start, "flow entry")
}

/// Reads one `nx_flow_monitor_request`.
pub(super) fn decode_monitor_request(r: &mut Reader<'_>, version: Version) -> Result<FlowMonitorRequest, OfError> {
    let id = MonitorId(r.u32("id")?);
    let flags = onf::monitor_flags(r.u16("flags")?);
    let out_port = v10::port(r, "out_port")?;
    let match_len = r.u16("match_len")?;
    let table = TableId(r.u8("table_id")?);
    r.skip(5)?;
    let matching = onf::decode_bare_match(r, match_len, version)?;
    Ok(FlowMonitorRequest {
        id,
        out_port,
        out_group: GroupId::ANY,
        flags,
        table,
        command: MonitorCommand::Add,
        matching,
        bare: false,
    })
}

/// Writes it.
pub(super) fn encode_monitor_request(
    w: &mut Writer,
    version: Version,
    m: &FlowMonitorRequest,
) -> Result<(), EncodeError> {
    require(m.out_group == GroupId::ANY, version, "a flow monitor's out_group")?;
    require(m.command == MonitorCommand::Add, version, "a flow monitor's command")?;
    w.u32(m.id.0);
    w.u16(onf::monitor_flags_code(m.flags));
    v10::put_port(w, m.out_port, "out_port")?;
    let len_at = w.len();
    w.u16(0);
    w.u8(m.table.0);
    w.zeros(5);
    onf::encode_bare_match(w, version, len_at, &m.matching)
}
