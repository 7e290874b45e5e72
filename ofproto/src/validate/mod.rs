//! What a structurally sound message must still satisfy, with the specification's exact codes.
//!
//! Everything here looks at the message alone. What depends on the switch's state (does the table, the
//! group, the port exist) is the datapath's to judge. Checks go through a message front to back and
//! report the first fault.

mod action;
mod group;
mod matching;
mod request;
mod tlv;

pub use action::{Place, actions, instructions};
pub use matching::{Known, matching, nicira_matching};
pub use request::continuation;

use crate::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use crate::error::{ErrorKind, OfError};
use crate::ids::ExperimenterId;
use crate::message::{Experimenter, Message, Multipart, MultipartRequest};
use crate::monitor::{FlowMonitorRequest, MonitorCommand, MonitorFlags};
use crate::nx_message::NxMessage;
use crate::version::Version;

/// Checks a message that a controller sent. Replies and asynchronous messages pass.
pub fn message(m: &Message, version: Version) -> Result<(), OfError> {
    match m {
        Message::FlowMod(m) => request::flow_mod(m, version),
        Message::GroupMod(m) => request::group_mod(m, version),
        Message::MeterMod(m) => request::meter_mod(m),
        Message::PortMod(m) => request::port_mod(m, version),
        Message::TableMod(m) => request::table_mod(m, version),
        Message::PacketOut(m) => request::packet_out(m, version),
        Message::SetConfig(m) => request::set_config(m, version),
        Message::RoleRequest(m) => request::role(m),
        Message::SetAsync(m) => request::set_async(m, version),
        Message::MultipartRequest(m) => multipart_flags(m, version).and_then(|()| multipart(&m.body, version)),
        Message::BundleControl(m) => bundle_control(m, version),
        Message::BundleAdd(m) => bundle_add(m, version),
        Message::Nicira(NxMessage::FlowMod(m)) => request::nicira_flow_mod(m, version),
        Message::Nicira(NxMessage::SetAsyncConfig2(m)) => request::set_async(m, version.max(Version::V14)),
        Message::Nicira(NxMessage::Resume(m)) => request::resume(m),
        Message::Nicira(NxMessage::TlvTableMod { command, maps }) => tlv::table_mod(*command, maps),
        Message::Experimenter(e) => Err(experimenter(e)),
        _ => Ok(()),
    }
}

/// No codec took it, so either the experimenter is unknown or its subtype is.
fn experimenter(e: &Experimenter) -> OfError {
    let known = [ExperimenterId::ONF, ExperimenterId::NICIRA].contains(&e.experimenter);
    let kind = if known { ErrorKind::BadRequestBadExpType } else { ErrorKind::BadRequestBadExperimenter };
    let field = if known { "exp_type" } else { "experimenter" };
    OfError::new(kind, field, format!("{} with type {:?} is not supported", e.experimenter, e.exp_type))
}

/// 1.3.5 §7.1.3: a request with a reserved bit is to be refused; no code says so of a multipart's flags alone. To
/// 1.0-1.2 none is defined yet, and none is reserved.
fn multipart_flags(m: &Multipart<MultipartRequest>, version: Version) -> Result<(), OfError> {
    if m.other_flags == 0 || version < Version::V13 {
        return Ok(());
    }
    let reason = format!("bits {:#x} are not defined", m.other_flags);
    Err(OfError::new(ErrorKind::BadRequestBadMultipart, "flags", reason))
}

fn multipart(body: &MultipartRequest, version: Version) -> Result<(), OfError> {
    match body {
        MultipartRequest::NxFlow(f) | MultipartRequest::NxAggregate(f) => nicira_matching(&f.matching).map(|_| ()),
        MultipartRequest::Flow(f) | MultipartRequest::Aggregate(f) | MultipartRequest::FlowStats(f) => {
            matching(&f.matching, version).map(|_| ())
        }
        MultipartRequest::FlowMonitor(list) => list.iter().try_for_each(|m| flow_monitor(m, version)),
        MultipartRequest::Experimenter(e) => Err(experimenter(e)),
        MultipartRequest::Empty { ty } => Err(OfError::new(
            ErrorKind::BadRequestBadLen,
            "body",
            format!("there is none, and multipart type {ty} is a structure"),
        )),
        MultipartRequest::Unknown { ty, .. } => Err(OfError::new(
            ErrorKind::BadRequestBadMultipart,
            "multipart type",
            format!("{ty} is no multipart type of OpenFlow {version}"),
        )),
        _ => Ok(()),
    }
}

fn flow_monitor(m: &FlowMonitorRequest, version: Version) -> Result<(), OfError> {
    if let MonitorCommand::Unknown(n) = m.command {
        return Err(OfError::new(ErrorKind::FlowMonitorFailedBadCommand, "command", format!("{n} is not defined")));
    }
    let unknown = m.flags.bits() & !0x7f;
    if unknown != 0 {
        return Err(OfError::new(ErrorKind::FlowMonitorFailedBadFlags, "flags", format!("bits {unknown:#x}")));
    }
    let events = MonitorFlags::INITIAL | MonitorFlags::ADD | MonitorFlags::REMOVED | MonitorFlags::MODIFY;
    if m.command != MonitorCommand::Delete && !m.flags.intersects(events) {
        return Err(OfError::new(ErrorKind::FlowMonitorFailedBadFlags, "flags", "no event is asked for"));
    }
    // Nicira's monitor of 1.0 has TLVs for a match.
    let known = if version == Version::V10 { nicira_matching(&m.matching) } else { matching(&m.matching, version) };
    known.map(|_| ())
}

fn bundle_control(m: &BundleCtrl, version: Version) -> Result<(), OfError> {
    match m.ty {
        BundleCtrlType::OpenRequest
        | BundleCtrlType::CloseRequest
        | BundleCtrlType::CommitRequest
        | BundleCtrlType::DiscardRequest => bundle_flags(m.flags, version),
        other => Err(OfError::new(ErrorKind::BundleFailedBadType, "type", format!("{other:?} is no request"))),
    }
}

fn bundle_flags(flags: BundleFlags, version: Version) -> Result<(), OfError> {
    let known = if version >= Version::V15 { 7 } else { 3 };
    let unknown = flags.bits() & !known;
    if unknown == 0 {
        return Ok(());
    }
    Err(OfError::new(ErrorKind::BundleFailedBadFlags, "flags", format!("bits {unknown:#x} are not defined")))
}

fn bundle_add(m: &BundleAdd, version: Version) -> Result<(), OfError> {
    bundle_flags(m.flags, version)?;
    match &*m.message {
        Message::FlowMod(_)
        | Message::GroupMod(_)
        | Message::PortMod(_)
        | Message::MeterMod(_)
        | Message::TableMod(_)
        | Message::PacketOut(_) => message(&m.message, version),
        other => Err(OfError::new(
            ErrorKind::BundleFailedMsgUnsup,
            "message",
            format!("{} cannot be in a bundle", crate::wire::message_name(other)),
        )),
    }
}
