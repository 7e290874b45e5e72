//! Flow monitors (OpenFlow 1.4.1 §7.3.5.17, 1.5.1 §7.3.5.19). 1.3's are in [`super::onf`].

use super::{EncodeError, Reader, Writer, codes, instruction, oxm};
use crate::error::OfError;
use crate::flow::FlowRemovedReason;
use crate::ids::{Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorFlags};
use crate::version::Version;
use bytes::Bytes;

const INITIAL: u16 = 0;
const ADDED: u16 = 1;
const REMOVED: u16 = 2;
const MODIFIED: u16 = 3;
const ABBREV: u16 = 4;
const PAUSED: u16 = 5;
const RESUMED: u16 = 6;

/// Reads one `ofp_flow_monitor_request`.
pub(super) fn decode_request(r: &mut Reader<'_>, version: Version) -> Result<FlowMonitorRequest, OfError> {
    Ok(FlowMonitorRequest {
        id: MonitorId(r.u32("monitor_id")?),
        out_port: PortNo(r.u32("out_port")?),
        out_group: GroupId(r.u32("out_group")?),
        flags: MonitorFlags::from_bits_retain(r.u16("flags")?),
        table: TableId(r.u8("table_id")?),
        command: codes::monitor_command(r.u8("command")?),
        matching: oxm::decode_match(r, version)?,
        bare: false,
    })
}

/// Writes it.
pub(super) fn encode_request(w: &mut Writer, version: Version, m: &FlowMonitorRequest) -> Result<(), EncodeError> {
    w.u32(m.id.0);
    w.u32(m.out_port.0);
    w.u32(m.out_group.0);
    w.u16(m.flags.bits());
    w.u8(m.table.0);
    w.u8(codes::monitor_command_code(m.command));
    oxm::encode_match(w, version, &m.matching)
}

/// Reads one update.
pub(super) fn decode_update(r: &mut Reader<'_>, version: Version) -> Result<FlowUpdate, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let event = r.u16("event")?;
    Ok(match event {
        INITIAL | ADDED | REMOVED | MODIFIED => {
            let table = TableId(r.u8("table_id")?);
            let reason = r.u8("reason")?;
            let (idle_timeout, hard_timeout) = (r.u16("idle_timeout")?, r.u16("hard_timeout")?);
            let priority = r.u16("priority")?;
            r.skip(4)?;
            FlowUpdate::Full {
                event: match event {
                    INITIAL => FlowUpdateEvent::Initial,
                    ADDED => FlowUpdateEvent::Added,
                    REMOVED => FlowUpdateEvent::Removed(codes::flow_removed_reason(reason, version)),
                    _ => FlowUpdateEvent::Modified,
                },
                table,
                idle_timeout,
                hard_timeout,
                priority,
                cookie: Cookie(r.u64("cookie")?),
                matching: oxm::decode_match(&mut r, version)?,
                instructions: instruction::decode_list(&mut r, version)?,
            }
        }
        ABBREV => FlowUpdate::Abbrev(Xid(r.u32("xid")?)),
        PAUSED | RESUMED => {
            r.skip(4)?;
            if event == PAUSED { FlowUpdate::Paused } else { FlowUpdate::Resumed }
        }
        _ => FlowUpdate::Unknown { event, data: Bytes::copy_from_slice(r.take_rest()) },
    })
}

/// Writes one update.
pub(super) fn encode_update(w: &mut Writer, version: Version, m: &FlowUpdate) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    match m {
        FlowUpdate::Full { event, table, idle_timeout, hard_timeout, priority, cookie, matching, instructions } => {
            let (number, reason) = match event {
                FlowUpdateEvent::Initial => (INITIAL, FlowRemovedReason::IdleTimeout),
                FlowUpdateEvent::Added => (ADDED, FlowRemovedReason::IdleTimeout),
                FlowUpdateEvent::Removed(reason) => (REMOVED, *reason),
                FlowUpdateEvent::Modified => (MODIFIED, FlowRemovedReason::IdleTimeout),
            };
            w.u16(number);
            w.u8(table.0);
            // Zero where nothing was removed.
            w.u8(codes::flow_removed_reason_code(reason, version));
            w.u16(*idle_timeout);
            w.u16(*hard_timeout);
            w.u16(*priority);
            w.zeros(4);
            w.u64(cookie.0);
            oxm::encode_match(w, version, matching)?;
            instruction::encode_list(w, version, instructions)?;
        }
        FlowUpdate::Abbrev(xid) => {
            w.u16(ABBREV);
            w.u32(xid.0);
        }
        FlowUpdate::Paused => {
            w.u16(PAUSED);
            w.zeros(4);
        }
        FlowUpdate::Resumed => {
            w.u16(RESUMED);
            w.zeros(4);
        }
        FlowUpdate::Unknown { event, data } => {
            w.u16(*event);
            w.bytes(data);
        }
    }
    super::set_length(w, start, start, "flow update")
}
