//! Flow statistics as OXS TLVs (OpenFlow 1.5.1 §7.2.4).

use super::{EncodeError, Reader, Writer};
use crate::error::OfError;
use crate::stats::{FlowStat, FlowStats};
use bytes::Bytes;

/// `OFPXSC_OPENFLOW_BASIC`
const BASIC: u16 = 0x8002;
const DURATION: u8 = 0;
const IDLE_TIME: u8 = 1;
const FLOW_COUNT: u8 = 3;
const PACKET_COUNT: u8 = 4;
const BYTE_COUNT: u8 = 5;

/// Reads an `ofp_stats` with its padding.
pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<Vec<FlowStat>, OfError> {
    r.u16("stats reserved")?;
    let at = r.offset();
    let length = usize::from(r.u16("stats length")?);
    if length < 4 {
        return Err(OfError::at(r.short(), at, "stats length", format!("{length} is less than 4")));
    }
    let mut body = r.sub(length - 4, "stats length")?;
    let mut list = Vec::new();
    while !body.is_empty() {
        list.push(decode_stat(&mut body)?);
    }
    r.skip(length.next_multiple_of(8) - length)?;
    Ok(list)
}

fn decode_stat(r: &mut Reader<'_>) -> Result<FlowStat, OfError> {
    let word = r.u32("oxs_header")?;
    let (class, low) = ((word >> 16) as u16, (word >> 8) as u8);
    let mut body = r.sub((word & 0xff) as usize, "oxs_length")?;
    if class != BASIC || low & 1 != 0 {
        return Ok(FlowStat::Unknown(class, low, Bytes::copy_from_slice(body.take_rest())));
    }
    let stat = match low >> 1 {
        DURATION => FlowStat::Duration(body.u32("duration sec")?, body.u32("duration nsec")?),
        IDLE_TIME => FlowStat::IdleTime(body.u32("idle_time sec")?, body.u32("idle_time nsec")?),
        FLOW_COUNT => FlowStat::FlowCount(body.u32("flow_count")?),
        PACKET_COUNT => FlowStat::PacketCount(body.u64("packet_count")?),
        BYTE_COUNT => FlowStat::ByteCount(body.u64("byte_count")?),
        _ => FlowStat::Unknown(class, low, Bytes::copy_from_slice(body.take_rest())),
    };
    if body.is_empty() { Ok(stat) } else { Err(body.error(body.short(), "oxs_length", "longer than the statistic")) }
}

/// Writes an `ofp_stats` with its padding.
pub(super) fn encode_stats(w: &mut Writer, stats: &[FlowStat]) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u16(0);
    for stat in stats {
        encode_stat(w, stat)?;
    }
    super::set_length(w, start + 2, start, "stats")?;
    w.pad8(start);
    Ok(())
}

fn encode_stat(w: &mut Writer, stat: &FlowStat) -> Result<(), EncodeError> {
    let mut head = |field: u8, length: u8| {
        w.u16(BASIC);
        w.u8(field << 1);
        w.u8(length);
    };
    match stat {
        FlowStat::Duration(sec, nsec) | FlowStat::IdleTime(sec, nsec) => {
            head(if matches!(stat, FlowStat::Duration(..)) { DURATION } else { IDLE_TIME }, 8);
            w.u32(*sec);
            w.u32(*nsec);
        }
        FlowStat::FlowCount(n) => {
            head(FLOW_COUNT, 4);
            w.u32(*n);
        }
        FlowStat::PacketCount(n) => {
            head(PACKET_COUNT, 8);
            w.u64(*n);
        }
        FlowStat::ByteCount(n) => {
            head(BYTE_COUNT, 8);
            w.u64(*n);
        }
        FlowStat::Unknown(class, low, data) => {
            let Ok(length) = u8::try_from(data.len()) else {
                return Err(EncodeError::TooLong { what: "oxs payload", len: data.len(), max: 255 });
            };
            w.u16(*class);
            w.u8(*low);
            w.u8(length);
            w.bytes(data);
        }
    }
    Ok(())
}

/// The list that a switch sends for `stats`: duration, idle time if known, packets, bytes.
fn usual(stats: &FlowStats) -> Vec<FlowStat> {
    let mut list = vec![FlowStat::Duration(stats.duration_sec, stats.duration_nsec)];
    list.extend(stats.idle.map(|(sec, nsec)| FlowStat::IdleTime(sec, nsec)));
    list.push(FlowStat::PacketCount(stats.packet_count));
    list.push(FlowStat::ByteCount(stats.byte_count));
    list
}

/// Reads a flow's statistics.
pub(super) fn decode_flow_stats(r: &mut Reader<'_>) -> Result<FlowStats, OfError> {
    let list = decode_stats(r)?;
    let mut stats = FlowStats::default();
    for stat in &list {
        match stat {
            FlowStat::Duration(sec, nsec) => (stats.duration_sec, stats.duration_nsec) = (*sec, *nsec),
            FlowStat::IdleTime(sec, nsec) => stats.idle = Some((*sec, *nsec)),
            FlowStat::PacketCount(n) => stats.packet_count = *n,
            FlowStat::ByteCount(n) => stats.byte_count = *n,
            FlowStat::FlowCount(_) | FlowStat::Unknown(..) => {}
        }
    }
    if list != usual(&stats) {
        stats.oxs = Some(list);
    }
    Ok(stats)
}

/// Writes a flow's statistics.
pub(super) fn encode_flow_stats(w: &mut Writer, stats: &FlowStats) -> Result<(), EncodeError> {
    match &stats.oxs {
        Some(list) => encode_stats(w, list),
        None => encode_stats(w, &usual(stats)),
    }
}
