//! Flow-mod, flow-removed and the flow entries of multipart bodies (OpenFlow 1.3.5 §7.3.4.1, §7.3.5.2,
//! §7.4.2; 1.5.1 §7.3.4.2, §7.3.5.2-4, §7.4.2).

use super::{EncodeError, Reader, Writer, codes, instruction, oxm, oxs, require, v10};
use crate::error::{ErrorKind, OfError};
use crate::flow::{FlowMod, FlowModFlags, FlowRemoved};
use crate::ids::{BufferId, Cookie, GroupId, PortNo, TableId};
use crate::matching::Match;
use crate::stats::{AggregateStats, FlowDesc, FlowStat, FlowStats, FlowStatsEntry, FlowStatsRequest};
use crate::version::Version;

/// Reads the body of `OFPT_FLOW_MOD` (1.1+).
#[inline]
pub(super) fn decode_flow_mod(r: &mut Reader<'_>, version: Version) -> Result<FlowMod, OfError> {
    let mut m = FlowMod::default();
    flow_mod_over(&mut m, r, version)?;
    Ok(m)
}

/// As [`decode_flow_mod`], over an earlier one, whose memory is used again.
#[inline]
pub(super) fn flow_mod_over(m: &mut FlowMod, r: &mut Reader<'_>, version: Version) -> Result<(), OfError> {
    if version == Version::V10 {
        *m = v10::decode_flow_mod(r)?;
        return Ok(());
    }
    m.cookie = Cookie(r.u64("cookie")?);
    m.cookie_mask = r.u64("cookie_mask")?;
    m.table = TableId(r.u8("table_id")?);
    m.command = codes::flow_mod_command(u16::from(r.u8("command")?));
    m.idle_timeout = r.u16("idle_timeout")?;
    m.hard_timeout = r.u16("hard_timeout")?;
    m.priority = r.u16("priority")?;
    m.buffer_id = BufferId(r.u32("buffer_id")?);
    m.out_port = PortNo(r.u32("out_port")?);
    m.out_group = GroupId(r.u32("out_group")?);
    m.flags = FlowModFlags::from_bits_retain(r.u16("flags")?);
    m.importance = decode_importance(r, version)?;
    let Match { fields, unknown, fixed } = &mut m.matching;
    fields.clear();
    unknown.clear();
    *fixed = None;
    oxm::match_into(&mut m.matching, r, version)?;
    instruction::list_over(&mut m.instructions, r, version)
}

/// Padding before 1.4.
fn decode_importance(r: &mut Reader<'_>, version: Version) -> Result<u16, OfError> {
    let importance = r.u16("importance")?;
    Ok(if version >= Version::V14 { importance } else { 0 })
}

/// Writes the body of `OFPT_FLOW_MOD` (1.1+).
pub(super) fn encode_flow_mod(w: &mut Writer, version: Version, m: &FlowMod) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_flow_mod(w, m);
    }
    require(version >= Version::V14 || m.importance == 0, version, "importance")?;
    // Undefined bits are written as they are: 0x8000 is one here, though 1.0's emergency flag in the model.
    w.u64(m.cookie.0);
    w.u64(m.cookie_mask);
    w.u8(m.table.0);
    let command = codes::flow_mod_command_code(m.command);
    let Ok(command) = u8::try_from(command) else {
        return Err(EncodeError::OutOfRange { what: "flow-mod command", value: command.into() });
    };
    w.u8(command);
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.u16(m.priority);
    w.u32(m.buffer_id.0);
    w.u32(m.out_port.0);
    w.u32(m.out_group.0);
    w.u16(m.flags.bits());
    w.u16(m.importance);
    oxm::encode_match(w, version, &m.matching)?;
    instruction::encode_list(w, version, &m.instructions)
}

/// Reads the body of `OFPT_FLOW_REMOVED` (1.2+; 1.1 differs by its match and pads `hard_timeout`).
pub(super) fn decode_flow_removed(r: &mut Reader<'_>, version: Version) -> Result<FlowRemoved, OfError> {
    if version == Version::V10 {
        return v10::decode_flow_removed(r);
    }
    if version >= Version::V15 {
        let table = TableId(r.u8("table_id")?);
        let reason = codes::flow_removed_reason(r.u8("reason")?, version);
        let priority = r.u16("priority")?;
        let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
        let cookie = Cookie(r.u64("cookie")?);
        let matching = oxm::decode_match(r, version)?;
        let stats = oxs::decode_flow_stats(r)?;
        return Ok(FlowRemoved { cookie, priority, reason, table, idle_timeout, hard_timeout, stats, matching });
    }
    let cookie = Cookie(r.u64("cookie")?);
    let priority = r.u16("priority")?;
    let reason = codes::flow_removed_reason(r.u8("reason")?, version);
    let table = TableId(r.u8("table_id")?);
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    // Padding in 1.1.
    let hard_timeout = if version >= Version::V12 { hard_timeout } else { 0 };
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let stats = FlowStats { duration_sec, duration_nsec, packet_count, byte_count, ..FlowStats::default() };
    let matching = oxm::decode_match(r, version)?;
    Ok(FlowRemoved { cookie, priority, reason, table, idle_timeout, hard_timeout, stats, matching })
}

/// Writes the body of `OFPT_FLOW_REMOVED` (1.2+).
pub(super) fn encode_flow_removed(w: &mut Writer, version: Version, m: &FlowRemoved) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_flow_removed(w, m);
    }
    let reason = codes::flow_removed_reason_code(m.reason, version);
    if version >= Version::V15 {
        w.u8(m.table.0);
        w.u8(reason);
        w.u16(m.priority);
        w.u16(m.idle_timeout);
        w.u16(m.hard_timeout);
        w.u64(m.cookie.0);
        oxm::encode_match(w, version, &m.matching)?;
        return oxs::encode_flow_stats(w, &m.stats);
    }
    w.u64(m.cookie.0);
    w.u16(m.priority);
    w.u8(reason);
    w.u8(m.table.0);
    w.u32(m.stats.duration_sec);
    w.u32(m.stats.duration_nsec);
    w.u16(m.idle_timeout);
    w.u16(if version >= Version::V12 { m.hard_timeout } else { 0 });
    w.u64(m.stats.packet_count);
    w.u64(m.stats.byte_count);
    oxm::report_match(w, version, &m.matching)
}

/// Reads the filter of flow, aggregate and (1.5) flow-stats requests.
pub(super) fn decode_request(r: &mut Reader<'_>, version: Version) -> Result<FlowStatsRequest, OfError> {
    if version == Version::V10 {
        return v10::decode_flow_request(r);
    }
    let table = TableId(r.u8("table_id")?);
    r.skip(3)?;
    let out_port = PortNo(r.u32("out_port")?);
    let out_group = GroupId(r.u32("out_group")?);
    r.skip(4)?;
    Ok(FlowStatsRequest {
        table,
        out_port,
        out_group,
        cookie: Cookie(r.u64("cookie")?),
        cookie_mask: r.u64("cookie_mask")?,
        matching: oxm::decode_match(r, version)?,
    })
}

/// Writes it.
pub(super) fn encode_request(w: &mut Writer, version: Version, m: &FlowStatsRequest) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_flow_request(w, m);
    }
    w.u8(m.table.0);
    w.zeros(3);
    w.u32(m.out_port.0);
    w.u32(m.out_group.0);
    w.zeros(4);
    w.u64(m.cookie.0);
    w.u64(m.cookie_mask);
    oxm::encode_match(w, version, &m.matching)
}

/// Reads one entry of the flow (1.5: flow-desc) reply.
pub(super) fn decode_desc(r: &mut Reader<'_>, version: Version) -> Result<FlowDesc, OfError> {
    if version == Version::V10 {
        return v10::decode_flow_desc(r);
    }
    let mut r = super::multipart::entry(r, 0, "length")?;
    if version >= Version::V15 {
        r.skip(4)?;
        let table = TableId(r.u8("table_id")?);
        r.skip(1)?;
        let priority = r.u16("priority")?;
        let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
        let flags = FlowModFlags::from_bits_retain(r.u16("flags")?);
        let importance = r.u16("importance")?;
        let cookie = Cookie(r.u64("cookie")?);
        let matching = oxm::decode_match(&mut r, version)?;
        let stats = oxs::decode_flow_stats(&mut r)?;
        let instructions = instruction::decode_list(&mut r, version)?;
        return Ok(FlowDesc {
            table,
            priority,
            idle_timeout,
            hard_timeout,
            flags,
            importance,
            cookie,
            stats,
            matching,
            instructions,
        });
    }
    r.skip(2)?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let priority = r.u16("priority")?;
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    let flags = r.u16("flags")?;
    let flags = if version >= Version::V13 { FlowModFlags::from_bits_retain(flags) } else { FlowModFlags::empty() };
    let importance = decode_importance(&mut r, version)?;
    r.skip(2)?;
    let cookie = Cookie(r.u64("cookie")?);
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let matching = oxm::decode_match(&mut r, version)?;
    let instructions = instruction::decode_list(&mut r, version)?;
    let stats = FlowStats { duration_sec, duration_nsec, packet_count, byte_count, ..FlowStats::default() };
    Ok(FlowDesc {
        table,
        priority,
        idle_timeout,
        hard_timeout,
        flags,
        importance,
        cookie,
        stats,
        matching,
        instructions,
    })
}

/// Writes one entry of the flow (1.5: flow-desc) reply.
pub(super) fn encode_desc(w: &mut Writer, version: Version, m: &FlowDesc) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_flow_desc(w, m);
    }
    let start = w.len();
    w.u16(0);
    if version >= Version::V15 {
        w.zeros(2);
        w.u8(m.table.0);
        w.u8(0);
        w.u16(m.priority);
        w.u16(m.idle_timeout);
        w.u16(m.hard_timeout);
        w.u16(m.flags.bits());
        w.u16(m.importance);
        w.u64(m.cookie.0);
        oxm::encode_match(w, version, &m.matching)?;
        oxs::encode_flow_stats(w, &m.stats)?;
    } else {
        w.u8(m.table.0);
        w.u8(0);
        w.u32(m.stats.duration_sec);
        w.u32(m.stats.duration_nsec);
        w.u16(m.priority);
        w.u16(m.idle_timeout);
        w.u16(m.hard_timeout);
        w.u16(if version >= Version::V13 { m.flags.bits() } else { 0 });
        w.u16(if version >= Version::V14 { m.importance } else { 0 });
        w.zeros(2);
        w.u64(m.cookie.0);
        w.u64(m.stats.packet_count);
        w.u64(m.stats.byte_count);
        oxm::report_match(w, version, &m.matching)?;
    }
    instruction::encode_list(w, version, &m.instructions)?;
    super::set_length(w, start, start, "flow entry")
}

/// Reads one entry of 1.5's flow-stats reply.
pub(super) fn decode_stats_entry(r: &mut Reader<'_>, version: Version) -> Result<FlowStatsEntry, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(4)?;
    Ok(FlowStatsEntry {
        table: TableId(r.u8("table_id")?),
        reason: r.u8("reason")?,
        priority: r.u16("priority")?,
        matching: oxm::decode_match(&mut r, version)?,
        stats: oxs::decode_flow_stats(&mut r)?,
    })
    .and_then(|entry| if r.is_empty() { Ok(entry) } else { Err(too_long(&r)) })
}

fn too_long(r: &Reader<'_>) -> OfError {
    r.error(ErrorKind::BadRequestBadLen, "length", "longer than the entry")
}

/// Writes one entry of 1.5's flow-stats reply.
pub(super) fn encode_stats_entry(w: &mut Writer, version: Version, m: &FlowStatsEntry) -> Result<(), EncodeError> {
    let start = w.len();
    w.u32(0);
    w.u8(m.table.0);
    w.u8(m.reason);
    w.u16(m.priority);
    oxm::encode_match(w, version, &m.matching)?;
    oxs::encode_flow_stats(w, &m.stats)?;
    super::set_length(w, start, start, "flow entry")
}

/// The list that a switch sends for an aggregate: packets, bytes, flows.
fn usual_aggregate(m: &AggregateStats) -> [FlowStat; 3] {
    [FlowStat::PacketCount(m.packet_count), FlowStat::ByteCount(m.byte_count), FlowStat::FlowCount(m.flow_count)]
}

/// Reads the aggregate reply.
pub(super) fn decode_aggregate(r: &mut Reader<'_>, version: Version) -> Result<AggregateStats, OfError> {
    if version < Version::V15 {
        let m = AggregateStats {
            packet_count: r.u64("packet_count")?,
            byte_count: r.u64("byte_count")?,
            flow_count: r.u32("flow_count")?,
            oxs: None,
        };
        r.skip(4)?;
        return Ok(m);
    }
    let list = oxs::decode_stats(r)?;
    let mut m = AggregateStats::default();
    for stat in &list {
        match stat {
            FlowStat::PacketCount(n) => m.packet_count = *n,
            FlowStat::ByteCount(n) => m.byte_count = *n,
            FlowStat::FlowCount(n) => m.flow_count = *n,
            FlowStat::Duration(..) | FlowStat::IdleTime(..) | FlowStat::Unknown(..) => {}
        }
    }
    if list != usual_aggregate(&m) {
        m.oxs = Some(list);
    }
    Ok(m)
}

/// Writes the aggregate reply.
pub(super) fn encode_aggregate(w: &mut Writer, version: Version, m: &AggregateStats) -> Result<(), EncodeError> {
    if version >= Version::V15 {
        return match &m.oxs {
            Some(list) => oxs::encode_stats(w, list),
            None => oxs::encode_stats(w, &usual_aggregate(m)),
        };
    }
    w.u64(m.packet_count);
    w.u64(m.byte_count);
    w.u32(m.flow_count);
    w.zeros(4);
    Ok(())
}
