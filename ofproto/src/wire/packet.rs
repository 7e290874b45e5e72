//! Packet-in and packet-out (OpenFlow 1.3.5 §7.3.7, §7.4.1; 1.5.1 §7.3.6).

use super::{EncodeError, Reader, Writer, action, codes, oxm, unsupported, v10};
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::ids::{BufferId, Cookie, PortNo, TableId};
use crate::matching::Match;
use crate::packet::{PacketIn, PacketOut};
use crate::version::Version;
use bytes::Bytes;

/// Reads the body of `OFPT_PACKET_IN` (1.2+).
pub(super) fn decode_packet_in(r: &mut Reader<'_>, version: Version) -> Result<PacketIn, OfError> {
    match version {
        Version::V10 => return v10::decode_packet_in(r),
        Version::V11 => return decode_packet_in_11(r),
        _ => {}
    }
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let total_len = r.u16("total_len")?;
    let reason = codes::packet_in_reason(r.u8("reason")?, version);
    let table = TableId(r.u8("table_id")?);
    let cookie = Cookie(if version >= Version::V13 { r.u64("cookie")? } else { u64::MAX });
    let matching = oxm::decode_match(r, version)?;
    r.skip(2)?;
    Ok(PacketIn { buffer_id, total_len, reason, table, cookie, matching, data: Bytes::copy_from_slice(r.take_rest()) })
}

/// Writes the body of `OFPT_PACKET_IN` (1.2+).
pub(super) fn encode_packet_in(w: &mut Writer, version: Version, m: &PacketIn) -> Result<(), EncodeError> {
    match version {
        Version::V10 => return v10::encode_packet_in(w, m),
        Version::V11 => {
            encode_packet_in_11(w, m);
            return Ok(());
        }
        _ => {}
    }
    w.u32(m.buffer_id.0);
    w.u16(m.total_len);
    w.u8(codes::packet_in_reason_code(m.reason, version));
    w.u8(m.table.0);
    if version >= Version::V13 {
        w.u64(m.cookie.0);
    }
    oxm::encode_match(w, version, &m.matching)?;
    w.zeros(2);
    w.bytes(&m.data);
    Ok(())
}

/// 1.1 says both ports in place of a match; the second is told from the first only where it differs.
fn decode_packet_in_11(r: &mut Reader<'_>) -> Result<PacketIn, OfError> {
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let (in_port, in_phy_port) = (r.u32("in_port")?, r.u32("in_phy_port")?);
    let total_len = r.u16("total_len")?;
    let reason = codes::packet_in_reason(r.u8("reason")?, Version::V11);
    let table = TableId(r.u8("table_id")?);
    let mut matching = Match::any().with(FieldId::InPort, in_port.into());
    if in_phy_port != in_port {
        matching = matching.with(FieldId::InPhyPort, in_phy_port.into());
    }
    let data = Bytes::copy_from_slice(r.take_rest());
    Ok(PacketIn { buffer_id, total_len, reason, table, cookie: Cookie(u64::MAX), matching, data })
}

fn encode_packet_in_11(w: &mut Writer, m: &PacketIn) {
    let in_port = v10::in_port(&m.matching).0;
    let in_phy_port = m.matching.get(FieldId::InPhyPort).and_then(|f| u32::try_from(f.value).ok());
    w.u32(m.buffer_id.0);
    w.u32(in_port);
    w.u32(in_phy_port.unwrap_or(in_port));
    w.u16(m.total_len);
    w.u8(codes::packet_in_reason_code(m.reason, Version::V11));
    w.u8(m.table.0);
    w.bytes(&m.data);
}

/// Reads the body of `OFPT_PACKET_OUT` (1.1+).
pub(super) fn decode_packet_out(r: &mut Reader<'_>, version: Version) -> Result<PacketOut, OfError> {
    if version == Version::V10 {
        return v10::decode_packet_out(r);
    }
    let buffer_id = BufferId(r.u32("buffer_id")?);
    let (matching, actions_len);
    if version >= Version::V15 {
        actions_len = r.u16("actions_len")?;
        r.skip(2)?;
        matching = oxm::decode_match(r, version)?;
    } else {
        let in_port = r.u32("in_port")?;
        actions_len = r.u16("actions_len")?;
        r.skip(6)?;
        matching = Match::any().with(FieldId::InPort, u128::from(in_port));
    }
    let mut list = r.sub_short(ErrorKind::BadActionBadLen, actions_len.into(), "actions_len")?;
    let actions = action::decode_list(&mut list, version)?;
    Ok(PacketOut { buffer_id, matching, actions, data: Bytes::copy_from_slice(r.take_rest()) })
}

/// Writes the body of `OFPT_PACKET_OUT` (1.1+).
pub(super) fn encode_packet_out(w: &mut Writer, version: Version, m: &PacketOut) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_packet_out(w, m);
    }
    w.u32(m.buffer_id.0);
    let len_at;
    if version >= Version::V15 {
        len_at = w.len();
        w.zeros(4);
        oxm::encode_match(w, version, &m.matching)?;
    } else {
        w.u32(in_port_alone(&m.matching, version)?.0);
        len_at = w.len();
        w.zeros(8);
    }
    let start = w.len();
    action::encode_list(w, version, &m.actions)?;
    super::set_length(w, len_at, start, "actions")?;
    w.bytes(&m.data);
    Ok(())
}

/// Before 1.5 a packet-out says its ingress port and nothing else of the pipeline.
pub(super) fn in_port_alone(matching: &Match, version: Version) -> Result<PortNo, EncodeError> {
    match (matching.fields.as_slice(), matching.unknown.as_slice()) {
        ([], []) => Ok(PortNo::ANY),
        ([field], []) if field.id == FieldId::InPort && field.mask.is_none() => match u32::try_from(field.value) {
            Ok(port) => Ok(PortNo(port)),
            Err(_) => Err(EncodeError::OutOfRange { what: "in_port", value: field.value }),
        },
        _ => Err(unsupported(version, "packet-out fields beside in_port")),
    }
}
