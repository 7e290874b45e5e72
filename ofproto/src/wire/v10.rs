//! OpenFlow 1.0's own layouts: 16-bit port numbers, its numbering of messages, flow-mod and the like
//! (OpenFlow 1.0.0 §5). What it shares with later versions is read where those are.

use super::fixed::{self, Say};
use super::{EncodeError, Reader, Writer, action10, codes, require, text};
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModFlags, FlowRemoved};
use crate::ids::{BufferId, Cookie, GroupId, MacAddr, PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::packet::{PacketIn, PacketOut};
use crate::port::{EthernetPort, Port, PortConfig, PortDescProp, PortFeatures, PortMod, PortModProp, PortState};
use crate::stats::{FlowDesc, FlowStats, FlowStatsRequest};
use crate::version::Version;
use bytes::Bytes;

const V10: Version = Version::V10;
/// `OFP_MAX_PORT_NAME_LEN`
const NAME_LEN: usize = 16;
/// `OFPFF_EMERG`
const EMERG: u16 = 4;

/// A 16-bit port number as a 32-bit one: the reserved range moves to the end.
pub(super) const fn widen(port: u16) -> PortNo {
    if port >= 0xff00 { PortNo(0xffff_0000 | port as u32) } else { PortNo(port as u32) }
}

/// The reverse of [`widen`]; numbers between the ranges don't exist in 16 bits.
pub(super) fn narrow(port: PortNo, what: &'static str) -> Result<u16, EncodeError> {
    match port.0 {
        n @ 0..0xff00 => Ok(n as u16),
        n @ 0xffff_ff00.. => Ok(n as u16),
        n => Err(EncodeError::OutOfRange { what, value: n.into() }),
    }
}

/// Reads a 16-bit port number.
pub(super) fn port(r: &mut Reader<'_>, field: &'static str) -> Result<PortNo, OfError> {
    Ok(widen(r.u16(field)?))
}

/// Writes a 16-bit port number.
pub(super) fn put_port(w: &mut Writer, port: PortNo, what: &'static str) -> Result<(), EncodeError> {
    w.u16(narrow(port, what)?);
    Ok(())
}

/// The message type of 1.1's numbering for a type of 1.0, or `None` for one that 1.0 lacks.
pub(super) fn common_type(ty: u8) -> Option<u8> {
    match ty {
        0..=14 => Some(ty),
        15 => Some(16),
        16..=21 => Some(ty + 2),
        _ => None,
    }
}

/// The reverse of [`common_type`].
pub(super) fn own_type(ty: u8) -> Option<u8> {
    match ty {
        0..=14 => Some(ty),
        16 => Some(15),
        18..=23 => Some(ty - 2),
        _ => None,
    }
}

/// 1.0's features: the media bits stand where later versions have 40 Gb/s and up.
fn features(r: &mut Reader<'_>, field: &'static str) -> Result<PortFeatures, OfError> {
    let n = r.u32(field)?;
    Ok(PortFeatures::from_bits_retain((n & 0x7f) | (n & 0xf80) << 4 | (n & !0xffff)))
}

/// A speed that 1.0 has no bit for is left out.
fn put_features(w: &mut Writer, f: PortFeatures) {
    let n = f.bits();
    w.u32((n & 0x7f) | (n & 0xf800) >> 4 | (n & !0xffff));
}

/// Reads an `ofp_phy_port`.
pub(super) fn decode_port(r: &mut Reader<'_>) -> Result<Port, OfError> {
    Ok(Port {
        port_no: port(r, "port_no")?,
        hw_addr: MacAddr(r.array("hw_addr")?),
        name: text(r.bytes(NAME_LEN, "name")?),
        config: PortConfig::from_bits_retain(r.u32("config")?),
        // 1.0 has no LIVE: its bit means nothing here, and encoding leaves it out.
        state: PortState::from_bits_retain(r.u32("state")?) - PortState::LIVE,
        properties: vec![PortDescProp::Ethernet(EthernetPort {
            curr: features(r, "curr")?,
            advertised: features(r, "advertised")?,
            supported: features(r, "supported")?,
            peer: features(r, "peer")?,
            curr_speed: 0,
            max_speed: 0,
        })],
    })
}

/// Writes an `ofp_phy_port`. `OFPPS_LIVE` has no bit here.
pub(super) fn encode_port(w: &mut Writer, p: &Port) -> Result<(), EncodeError> {
    put_port(w, p.port_no, "port_no")?;
    w.bytes(&p.hw_addr.0);
    super::put_text(w, &p.name, NAME_LEN, "port name")?;
    w.u32(p.config.bits());
    w.u32((p.state - PortState::LIVE).bits());
    let e = p.ethernet().copied().unwrap_or_default();
    [e.curr, e.advertised, e.supported, e.peer].into_iter().for_each(|f| put_features(w, f));
    Ok(())
}

/// Reads the body of `OFPT_PORT_MOD`.
pub(super) fn decode_port_mod(r: &mut Reader<'_>) -> Result<PortMod, OfError> {
    let m = PortMod {
        port_no: port(r, "port_no")?,
        hw_addr: MacAddr(r.array("hw_addr")?),
        config: PortConfig::from_bits_retain(r.u32("config")?),
        mask: PortConfig::from_bits_retain(r.u32("mask")?),
        properties: vec![PortModProp::Ethernet(features(r, "advertise")?)],
    };
    r.skip(4)?;
    Ok(m)
}

/// Writes it.
pub(super) fn encode_port_mod(w: &mut Writer, m: &PortMod) -> Result<(), EncodeError> {
    let advertise = super::port::advertise_alone(m, V10)?;
    require(advertise.bits() & 0x780 == 0, V10, "advertising 40 Gb/s and more")?;
    put_port(w, m.port_no, "port_no")?;
    w.bytes(&m.hw_addr.0);
    w.u32(m.config.bits());
    w.u32(m.mask.bits());
    put_features(w, advertise);
    w.zeros(4);
    Ok(())
}

/// Reads the body of `OFPT_PACKET_IN`.
pub(super) fn decode_packet_in(r: &mut Reader<'_>) -> Result<PacketIn, OfError> {
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let total_len = r.u16("total_len")?;
    let in_port = port(r, "in_port")?;
    let reason = codes::packet_in_reason(r.u8("reason")?, V10);
    r.skip(1)?;
    Ok(PacketIn {
        buffer_id,
        total_len,
        reason,
        table: TableId(0),
        cookie: Cookie(u64::MAX),
        matching: Match::any().with(FieldId::InPort, in_port.0.into()),
        data: Bytes::copy_from_slice(r.take_rest()),
    })
}

/// Writes it; of the pipeline it says the ingress port.
pub(super) fn encode_packet_in(w: &mut Writer, m: &PacketIn) -> Result<(), EncodeError> {
    w.u32(m.buffer_id.0);
    w.u16(m.total_len);
    put_port(w, in_port(&m.matching), "in_port")?;
    w.u8(codes::packet_in_reason_code(m.reason, V10));
    w.u8(0);
    w.bytes(&m.data);
    Ok(())
}

/// The ingress port of a packet-in.
pub(super) fn in_port(matching: &Match) -> PortNo {
    matching.get(FieldId::InPort).and_then(|f| u32::try_from(f.value).ok()).map_or(PortNo::ANY, PortNo)
}

/// Reads the body of `OFPT_PACKET_OUT`.
pub(super) fn decode_packet_out(r: &mut Reader<'_>) -> Result<PacketOut, OfError> {
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let in_port = port(r, "in_port")?;
    let actions_len = usize::from(r.u16("actions_len")?);
    let mut list = r.sub_short(ErrorKind::BadActionBadLen, actions_len, "actions_len")?;
    let actions = action10::decode_list(&mut list)?;
    let matching = Match::any().with(FieldId::InPort, in_port.0.into());
    Ok(PacketOut { buffer_id, matching, actions, data: Bytes::copy_from_slice(r.take_rest()) })
}

/// Writes it.
pub(super) fn encode_packet_out(w: &mut Writer, m: &PacketOut) -> Result<(), EncodeError> {
    w.u32(m.buffer_id.0);
    put_port(w, super::packet::in_port_alone(&m.matching, V10)?, "in_port")?;
    let len_at = w.len();
    w.u16(0);
    let start = w.len();
    action10::encode_list(w, &m.actions, Say::All)?;
    super::set_length(w, len_at, start, "actions")?;
    w.bytes(&m.data);
    Ok(())
}

/// Emergency entries have a bit of their own in the model, because 1.2 reuses 1.0's.
pub(super) fn flow_mod_flags(n: u16) -> FlowModFlags {
    let emerg = FlowModFlags::EMERG.bits();
    let swapped = if n & EMERG != 0 { emerg } else { 0 } | if n & emerg != 0 { EMERG } else { 0 };
    FlowModFlags::from_bits_retain(n & !EMERG & !emerg | swapped)
}

/// The reverse, which is the same exchange of two bits.
pub(super) fn flow_mod_flags_code(flags: FlowModFlags) -> u16 {
    flow_mod_flags(flags.bits()).bits()
}

/// An action list as instructions.
pub(super) fn decode_instructions(r: &mut Reader<'_>) -> Result<Vec<Instruction>, OfError> {
    let actions = action10::decode_list(r)?;
    Ok(if actions.is_empty() { Vec::new() } else { vec![Instruction::ApplyActions(actions)] })
}

/// Instructions as an action list: apply-actions; in a report also what Nicira's actions can say.
pub(super) fn encode_instructions(w: &mut Writer, list: &[Instruction], say: Say) -> Result<(), EncodeError> {
    for (i, instruction) in list.iter().enumerate() {
        match instruction {
            Instruction::ApplyActions(actions) if i == 0 || say == Say::Possible => {
                action10::encode_list(w, actions, say)?;
            }
            _ if say == Say::Possible => action10::encode_instruction(w, instruction)?,
            Instruction::ApplyActions(_) => return Err(super::unsupported(V10, "two action lists")),
            Instruction::GotoTable(_) => return Err(super::unsupported(V10, "OFPIT_GOTO_TABLE")),
            Instruction::WriteMetadata { .. } => return Err(super::unsupported(V10, "OFPIT_WRITE_METADATA")),
            Instruction::WriteActions(_) => return Err(super::unsupported(V10, "OFPIT_WRITE_ACTIONS")),
            Instruction::ClearActions => return Err(super::unsupported(V10, "OFPIT_CLEAR_ACTIONS")),
            Instruction::Meter(_) => return Err(super::unsupported(V10, "OFPIT_METER")),
            Instruction::StatTrigger { .. } => return Err(super::unsupported(V10, "OFPIT_STAT_TRIGGER")),
            Instruction::Experimenter { .. } | Instruction::Unknown { .. } => {
                return Err(super::unsupported(V10, "an experimenter instruction"));
            }
        }
    }
    Ok(())
}

/// The command, with the table in its upper half where there is one, as the Nicira extension has it.
/// A reader cannot know whether the extension is on: it sees an unknown command.
pub(super) fn flow_mod_command_code(m: &FlowMod) -> Result<u16, EncodeError> {
    let command = codes::flow_mod_command_code(m.command);
    if m.table == TableId(0) {
        return Ok(command);
    }
    require(command <= 0xff, V10, "a flow-mod's table")?;
    Ok(u16::from(m.table.0) << 8 | command)
}

/// Refuses what 1.0's flow-mod has no room for.
fn check_flow_mod(m: &FlowMod) -> Result<(), EncodeError> {
    require(m.cookie_mask == 0, V10, "cookie_mask")?;
    require(m.out_group == GroupId::ANY, V10, "out_group")?;
    require(m.importance == 0, V10, "importance")
}

/// Reads the body of `OFPT_FLOW_MOD`.
pub(super) fn decode_flow_mod(r: &mut Reader<'_>) -> Result<FlowMod, OfError> {
    let matching = fixed::decode(r, V10)?;
    Ok(FlowMod {
        matching,
        cookie: Cookie(r.u64("cookie")?),
        cookie_mask: 0,
        table: TableId(0),
        command: codes::flow_mod_command(r.u16("command")?),
        idle_timeout: r.u16("idle_timeout")?,
        hard_timeout: r.u16("hard_timeout")?,
        priority: r.u16("priority")?,
        buffer_id: BufferId(r.u32("buffer_id")?),
        out_port: port(r, "out_port")?,
        out_group: GroupId::ANY,
        flags: flow_mod_flags(r.u16("flags")?),
        importance: 0,
        instructions: decode_instructions(r)?,
    })
}

/// Writes it.
pub(super) fn encode_flow_mod(w: &mut Writer, m: &FlowMod) -> Result<(), EncodeError> {
    check_flow_mod(m)?;
    fixed::encode(w, V10, &m.matching, Say::All)?;
    w.u64(m.cookie.0);
    w.u16(flow_mod_command_code(m)?);
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.u16(m.priority);
    w.u32(m.buffer_id.0);
    put_port(w, m.out_port, "out_port")?;
    w.u16(flow_mod_flags_code(m.flags));
    encode_instructions(w, &m.instructions, Say::All)
}

/// Reads the body of `OFPT_FLOW_REMOVED`.
pub(super) fn decode_flow_removed(r: &mut Reader<'_>) -> Result<FlowRemoved, OfError> {
    let matching = fixed::decode(r, V10)?;
    let cookie = Cookie(r.u64("cookie")?);
    let priority = r.u16("priority")?;
    let reason = codes::flow_removed_reason(r.u8("reason")?, V10);
    r.skip(1)?;
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let idle_timeout = r.u16("idle_timeout")?;
    r.skip(2)?;
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let stats = FlowStats { duration_sec, duration_nsec, packet_count, byte_count, ..FlowStats::default() };
    Ok(FlowRemoved { cookie, priority, reason, table: TableId(0), idle_timeout, hard_timeout: 0, stats, matching })
}

/// Writes it.
pub(super) fn encode_flow_removed(w: &mut Writer, m: &FlowRemoved) -> Result<(), EncodeError> {
    fixed::encode(w, V10, &m.matching, Say::Possible)?;
    w.u64(m.cookie.0);
    w.u16(m.priority);
    w.u8(codes::flow_removed_reason_code(m.reason, V10));
    w.u8(0);
    w.u32(m.stats.duration_sec);
    w.u32(m.stats.duration_nsec);
    w.u16(m.idle_timeout);
    w.zeros(2);
    w.u64(m.stats.packet_count);
    w.u64(m.stats.byte_count);
    Ok(())
}

/// Reads the filter of flow and aggregate statistics requests.
pub(super) fn decode_flow_request(r: &mut Reader<'_>) -> Result<FlowStatsRequest, OfError> {
    let matching = fixed::decode(r, V10)?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let out_port = port(r, "out_port")?;
    Ok(FlowStatsRequest { table, out_port, matching, ..FlowStatsRequest::default() })
}

/// Refuses the filters that 1.0 lacks.
fn check_flow_request(m: &FlowStatsRequest) -> Result<(), EncodeError> {
    require(m.out_group == GroupId::ANY, V10, "out_group")?;
    require(m.cookie_mask == 0 && m.cookie.0 == 0, V10, "a cookie filter")
}

/// Writes it.
pub(super) fn encode_flow_request(w: &mut Writer, m: &FlowStatsRequest) -> Result<(), EncodeError> {
    check_flow_request(m)?;
    fixed::encode(w, V10, &m.matching, Say::All)?;
    w.u8(m.table.0);
    w.u8(0);
    put_port(w, m.out_port, "out_port")
}

/// Reads one entry of the flow statistics reply.
pub(super) fn decode_flow_desc(r: &mut Reader<'_>) -> Result<FlowDesc, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    let matching = fixed::decode(&mut r, V10)?;
    let (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    let priority = r.u16("priority")?;
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    r.skip(6)?;
    let cookie = Cookie(r.u64("cookie")?);
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    Ok(FlowDesc {
        table,
        priority,
        idle_timeout,
        hard_timeout,
        flags: FlowModFlags::empty(),
        importance: 0,
        cookie,
        stats: FlowStats { duration_sec, duration_nsec, packet_count, byte_count, ..FlowStats::default() },
        matching,
        instructions: decode_instructions(&mut r)?,
    })
}

/// Writes one entry of the flow statistics reply.
pub(super) fn encode_flow_desc(w: &mut Writer, m: &FlowDesc) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u8(m.table.0);
    w.u8(0);
    fixed::encode(w, V10, &m.matching, Say::Possible)?;
    w.u32(m.stats.duration_sec);
    w.u32(m.stats.duration_nsec);
    w.u16(m.priority);
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.zeros(6);
    w.u64(m.cookie.0);
    w.u64(m.stats.packet_count);
    w.u64(m.stats.byte_count);
    encode_instructions(w, &m.instructions, Say::Possible)?;
    super::set_length(w, start, start, "flow entry")
}

/// Reads a request that names a port, six bytes of padding after it.
pub(super) fn decode_port_request(r: &mut Reader<'_>) -> Result<PortNo, OfError> {
    let port = port(r, "port_no")?;
    r.skip(6)?;
    Ok(port)
}

/// Reads the port and queue of a queue statistics request.
pub(super) fn decode_queue_request(r: &mut Reader<'_>) -> Result<(PortNo, QueueId), OfError> {
    let port = port(r, "port_no")?;
    r.skip(2)?;
    Ok((port, QueueId(r.u32("queue_id")?)))
}

/// Writes them, in requests as in statistics.
pub(super) fn put_port_queue(w: &mut Writer, port: PortNo, queue: QueueId) -> Result<(), EncodeError> {
    put_port(w, port, "port_no")?;
    w.zeros(2);
    w.u32(queue.0);
    Ok(())
}
