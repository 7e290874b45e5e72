//! The ONF's extensions to 1.3, which give it messages of 1.4 inside experimenter messages: bundles
//! (EXT-230), flow monitors (EXT-187), role status (EXT-191), request-forward.
//!
//! EXT-187 has no group filter, no command and no event for the initial flows: a request with the
//! first two is refused by the encoder, an initial flow is reported as added. Its match is written as
//! bare fields, as long as `match_len` says; Open vSwitch has a whole `ofp_match` there. The numbers 1911 and 2350 of role status and request-forward are Open vSwitch's too.

use super::multipart::Marks;
use super::{EncodeError, Reader, Writer, bundle, instruction, oxm, require, role};
use crate::error::{ErrorKind, OfError};
use crate::flow::FlowRemovedReason;
use crate::ids::{Cookie, ExperimenterId, GroupId, MonitorId, PortNo, TableId, Xid};
use crate::matching::Match;
use crate::message::Message;
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::nx_message::NxMessage;
use crate::version::Version;
use bytes::Bytes;

const FLOW_MONITOR_CANCEL: u32 = 1870;
const FLOW_MONITOR_PAUSED: u32 = 1871;
const FLOW_MONITOR_RESUMED: u32 = 1872;
const ROLE_STATUS: u32 = 1911;
const BUNDLE_CONTROL: u32 = 2300;
pub(super) const BUNDLE_ADD_MESSAGE: u32 = 2301;
const REQUESTFORWARD: u32 = 2350;
/// `ONFMP_FLOW_MONITOR`
const FLOW_MONITOR: u32 = 1870;
/// `OFPMT_OXM`
const OFPMT_OXM: u16 = 1;

const ADDED: u16 = 0;
const DELETED: u16 = 1;
const MODIFIED: u16 = 2;
const ABBREV: u16 = 3;

/// Where the body of a bundle-add (EXT-230) begins.
pub(super) fn bundle_add_body(message: &[u8]) -> Option<usize> {
    let mut r = super::Reader::new(message.get(super::HEADER_LEN..)?);
    let ours = r.u32("experimenter").ok()? == ExperimenterId::ONF.0 && r.u32("exp_type").ok()? == BUNDLE_ADD_MESSAGE;
    ours.then_some(super::HEADER_LEN + 8)
}

/// Reads an ONF experimenter message's body, or `None` for a subtype that isn't one of these.
pub(super) fn decode_message(
    exp_type: u32,
    r: &mut Reader<'_>,
    version: Version,
    nesting: super::message::Nesting,
) -> Result<Option<Message>, OfError> {
    if version != Version::V13 {
        return Ok(None);
    }
    Ok(Some(match exp_type {
        FLOW_MONITOR_CANCEL => Message::Nicira(NxMessage::OnfFlowMonitorCancel(r.u32("id")?)),
        FLOW_MONITOR_PAUSED => Message::Nicira(NxMessage::OnfFlowMonitorPaused),
        FLOW_MONITOR_RESUMED => Message::Nicira(NxMessage::OnfFlowMonitorResumed),
        ROLE_STATUS => Message::RoleStatus(role::decode_status(r)?),
        BUNDLE_CONTROL => Message::BundleControl(bundle::decode_control(r, version)?),
        BUNDLE_ADD_MESSAGE => {
            nesting.forbid(r)?;
            Message::BundleAdd(bundle::decode_add(r, version)?)
        }
        REQUESTFORWARD => {
            nesting.forbid(r)?;
            Message::RequestForward(bundle::decode_request_forward(r, version)?)
        }
        _ => return Ok(None),
    }))
}

/// Writes the experimenter body of a message that 1.3 has only by extension; `false` for another.
pub(super) fn encode_message(w: &mut Writer, version: Version, m: &Message) -> Result<bool, EncodeError> {
    if version != Version::V13 {
        return Ok(false);
    }
    let mut head = |exp_type: u32| {
        w.u32(ExperimenterId::ONF.0);
        w.u32(exp_type);
    };
    match m {
        Message::Nicira(NxMessage::OnfFlowMonitorCancel(id)) => {
            head(FLOW_MONITOR_CANCEL);
            w.u32(*id);
        }
        Message::Nicira(NxMessage::OnfFlowMonitorPaused) => head(FLOW_MONITOR_PAUSED),
        Message::Nicira(NxMessage::OnfFlowMonitorResumed) => head(FLOW_MONITOR_RESUMED),
        Message::RoleStatus(m) => {
            head(ROLE_STATUS);
            role::encode_status(w, m)?;
        }
        Message::BundleControl(m) => {
            head(BUNDLE_CONTROL);
            bundle::encode_control(w, version, m)?;
        }
        Message::BundleAdd(m) => {
            head(BUNDLE_ADD_MESSAGE);
            bundle::encode_add(w, version, m)?;
        }
        Message::RequestForward(m) => {
            head(REQUESTFORWARD);
            bundle::encode_request_forward(w, version, m)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether an experimenter multipart is EXT-187's.
pub(super) fn is_flow_monitor(r: &Reader<'_>, version: Version) -> bool {
    let mut peek = r.clone();
    version == Version::V13
        && peek.u32("experimenter").is_ok_and(|id| id == ExperimenterId::ONF.0)
        && peek.u32("exp_type").is_ok_and(|ty| ty == FLOW_MONITOR)
}

/// Writes the experimenter header of EXT-187's multipart, before which no segment may be cut.
pub(super) fn put_monitor_head(w: &mut Writer, marks: &mut Marks) {
    w.u32(ExperimenterId::ONF.0);
    w.u32(FLOW_MONITOR);
    marks.clear();
    marks.push(w.len());
}

/// Reads a match that is a length elsewhere and bare TLVs here, padded to 8.
pub(super) fn decode_bare_match(r: &mut Reader<'_>, length: u16, version: Version) -> Result<Match, OfError> {
    let length = usize::from(length);
    let mut fields = r.sub_short(ErrorKind::BadMatchBadLen, length, "match_len")?;
    let matching = oxm::decode_fields(&mut fields, version)?;
    r.skip(length.next_multiple_of(8) - length)?;
    Ok(matching)
}

/// Reads EXT-187's match, which Open vSwitch begins with the type and length of `ofp_match`. No list of
/// TLVs begins with these bytes and has this length.
/// Says which form it was: true for the bare one.
fn decode_either_match(r: &mut Reader<'_>, length: u16, version: Version) -> Result<(Match, bool), OfError> {
    let [hi, lo] = length.to_be_bytes();
    if length < 4 || !r.rest().starts_with(&[0, 1, hi, lo]) {
        return Ok((decode_bare_match(r, length, version)?, true));
    }
    let length = usize::from(length);
    let mut fields = r.sub_short(ErrorKind::BadMatchBadLen, length, "match_len")?;
    fields.skip(4)?;
    let matching = oxm::decode_fields(&mut fields, version)?;
    r.skip(length.next_multiple_of(8) - length)?;
    Ok((matching, false))
}

/// Writes EXT-187's match as a whole `ofp_match`: so Open vSwitch writes it, and everybody who
/// is known to read it expects it. The length, without the padding, goes into the field at `len_at`.
fn encode_whole_match(w: &mut Writer, version: Version, len_at: usize, matching: &Match) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(OFPMT_OXM);
    let own_len_at = w.len();
    w.u16(0);
    oxm::encode_fields(w, version, matching)?;
    super::set_length(w, own_len_at, start, "match")?;
    super::set_length(w, len_at, start, "match")?;
    w.pad8(start);
    Ok(())
}

/// Writes a bare match; its length goes into the field at `len_at`.
pub(super) fn encode_bare_match(
    w: &mut Writer,
    version: Version,
    len_at: usize,
    matching: &Match,
) -> Result<(), EncodeError> {
    let start = w.len();
    oxm::encode_fields(w, version, matching)?;
    super::set_length(w, len_at, start, "match")?;
    w.pad8(start);
    Ok(())
}

/// Bit 5, OWN, includes the requester's own changes in full, as 1.4's NO_ABBREV does. Bit 6 has no
/// meaning here: it changes places with bit 7, which has none in 1.4 either.
pub(super) fn monitor_flags(n: u16) -> MonitorFlags {
    let only_own = MonitorFlags::ONLY_OWN.bits();
    let (six, seven) = (n & only_own, n & only_own << 1);
    MonitorFlags::from_bits_retain(n & !(only_own | only_own << 1) | six << 1 | seven >> 1)
}

/// The reverse, which is the same exchange of two bits.
pub(super) fn monitor_flags_code(flags: MonitorFlags) -> u16 {
    monitor_flags(flags.bits()).bits()
}

/// Reads the requests of EXT-187's multipart, header included.
pub(super) fn decode_monitor_requests(
    r: &mut Reader<'_>,
    version: Version,
) -> Result<Vec<FlowMonitorRequest>, OfError> {
    r.skip(8)?;
    let mut list = Vec::new();
    while !r.is_empty() {
        let id = MonitorId(r.u32("id")?);
        let flags = monitor_flags(r.u16("flags")?);
        let match_len = r.u16("match_len")?;
        let out_port = PortNo(r.u32("out_port")?);
        let table = TableId(r.u8("table_id")?);
        r.skip(3)?;
        let (matching, bare) = decode_either_match(r, match_len, version)?;
        list.push(FlowMonitorRequest {
            id,
            out_port,
            out_group: GroupId::ANY,
            flags,
            table,
            command: MonitorCommand::Add,
            matching,
            bare,
        });
    }
    Ok(list)
}

/// Writes one request of EXT-187.
pub(super) fn encode_monitor_request(
    w: &mut Writer,
    version: Version,
    m: &FlowMonitorRequest,
) -> Result<(), EncodeError> {
    require(m.out_group == GroupId::ANY, version, "a flow monitor's out_group")?;
    require(m.command == MonitorCommand::Add, version, "a flow monitor's command")?;
    w.u32(m.id.0);
    w.u16(monitor_flags_code(m.flags));
    let len_at = w.len();
    w.u16(0);
    w.u32(m.out_port.0);
    w.u8(m.table.0);
    w.zeros(3);
    if m.bare {
        encode_bare_match(w, version, len_at, &m.matching)
    } else {
        encode_whole_match(w, version, len_at, &m.matching)
    }
}

/// Reads the updates of EXT-187's multipart, header included.
pub(super) fn decode_updates(r: &mut Reader<'_>, version: Version) -> Result<Vec<FlowUpdate>, OfError> {
    r.skip(8)?;
    decode_update_list(r, version)
}

/// Reads updates to the end of `r`. Nicira's have the same layout, with a bare match.
pub(super) fn decode_update_list(r: &mut Reader<'_>, version: Version) -> Result<Vec<FlowUpdate>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        let mut u = super::multipart::entry(r, 0, "length")?;
        u.skip(2)?;
        list.push(decode_update(&mut u, version)?);
        if !u.is_empty() {
            return Err(u.error(u.short(), "length", "longer than the update"));
        }
    }
    Ok(list)
}

fn decode_update(r: &mut Reader<'_>, version: Version) -> Result<FlowUpdate, OfError> {
    let event = r.u16("event")?;
    if event == ABBREV {
        return Ok(FlowUpdate::Abbrev(Xid(r.u32("xid")?)));
    }
    if event > ABBREV {
        return Ok(FlowUpdate::Unknown { event, data: Bytes::copy_from_slice(r.take_rest()) });
    }
    let at = r.offset();
    let reason = r.u16("reason")?;
    let Ok(reason) = u8::try_from(reason) else {
        return Err(OfError::at(r.short(), at, "reason", format!("{reason} is no flow-removed reason")));
    };
    let priority = r.u16("priority")?;
    let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
    let match_len = r.u16("match_len")?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    Ok(FlowUpdate::Full {
        event: match event {
            ADDED => FlowUpdateEvent::Added,
            DELETED => FlowUpdateEvent::Removed(super::codes::flow_removed_reason(reason, version)),
            _ => FlowUpdateEvent::Modified,
        },
        table,
        idle_timeout,
        hard_timeout,
        priority,
        cookie: Cookie(r.u64("cookie")?),
        matching: decode_either_match(r, match_len, version)?.0,
        instructions: instruction::decode_list(r, version)?,
    })
}

/// Writes one update of EXT-187.
pub(super) fn encode_update(w: &mut Writer, version: Version, m: &FlowUpdate) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    match m {
        FlowUpdate::Full { event, table, idle_timeout, hard_timeout, priority, cookie, matching, instructions } => {
            let (number, reason) = match event {
                FlowUpdateEvent::Initial | FlowUpdateEvent::Added => (ADDED, FlowRemovedReason::IdleTimeout),
                FlowUpdateEvent::Removed(reason) => (DELETED, *reason),
                FlowUpdateEvent::Modified => (MODIFIED, FlowRemovedReason::IdleTimeout),
            };
            w.u16(number);
            w.u16(u16::from(super::codes::flow_removed_reason_code(reason, version)));
            w.u16(*priority);
            w.u16(*idle_timeout);
            w.u16(*hard_timeout);
            let len_at = w.len();
            w.u16(0);
            w.u8(table.0);
            w.u8(0);
            w.u64(cookie.0);
            if version == Version::V13 {
                encode_whole_match(w, version, len_at, matching)?;
            } else {
                encode_bare_match(w, version, len_at, matching)?;
            }
            instruction::encode_list(w, version, instructions)?;
        }
        FlowUpdate::Abbrev(xid) => {
            w.u16(ABBREV);
            w.u32(xid.0);
        }
        FlowUpdate::Unknown { event, data } => {
            w.u16(*event);
            w.bytes(data);
        }
        FlowUpdate::Paused | FlowUpdate::Resumed => {
            return Err(super::unsupported(version, "pausing as a flow update (it is a message of its own)"));
        }
    }
    super::set_length(w, start, start, "flow update")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldId;

    fn full(matching: Match) -> FlowUpdate {
        FlowUpdate::Full {
            event: FlowUpdateEvent::Added,
            table: TableId(3),
            idle_timeout: 1,
            hard_timeout: 2,
            priority: 5,
            cookie: Cookie(7),
            matching,
            instructions: Vec::new(),
        }
    }

    #[test]
    fn an_update_has_a_whole_ofp_match_and_is_read_with_bare_fields_too() {
        for (matching, fields) in
            [(Match::any(), &[][..]), (Match::any().with(FieldId::InPort, 9), &[0x80, 0, 0, 4, 0, 0, 0, 9])]
        {
            let update = full(matching);
            let mut w = Writer::new();
            encode_update(&mut w, Version::V13, &update).unwrap();
            let whole = w.into_vec();
            let len = 4 + fields.len() as u8;
            assert_eq!(whole[12..14], [0, len], "the length of the match, without its padding");
            let mut expected = [&[0, 1, 0, len], fields].concat();
            expected.resize(expected.len().next_multiple_of(8), 0);
            assert_eq!(whole[24..], expected);
            let mut bare = [&whole[..24], fields].concat();
            bare[1] = bare.len() as u8;
            bare[13] = fields.len() as u8;
            for bytes in [whole, bare] {
                let mut r = Reader::new(&bytes);
                assert_eq!(decode_update_list(&mut r, Version::V13).unwrap(), std::slice::from_ref(&update));
            }
        }
    }
}
