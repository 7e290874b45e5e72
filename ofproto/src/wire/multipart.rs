//! Multipart bodies by type (OpenFlow 1.3.5 §7.3.5). 1.0-1.2 call them statistics.

use super::nicira_message as nicira;
use super::{EncodeError, Reader, Writer, bundle, flow, group, meter, monitor, onf, port, queue, role, switch, table};
use super::{require, unsupported};
use crate::error::OfError;
use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use crate::message::{Experimenter, Multipart, MultipartReply, MultipartRequest};
use crate::version::Version;
use bytes::Bytes;
use std::borrow::Cow;

const DESC: u16 = 0;
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLE: u16 = 3;
const PORT_STATS: u16 = 4;
const QUEUE: u16 = 5;
const GROUP: u16 = 6;
const GROUP_DESC: u16 = 7;
const GROUP_FEATURES: u16 = 8;
const METER: u16 = 9;
const METER_CONFIG: u16 = 10;
const METER_FEATURES: u16 = 11;
const TABLE_FEATURES: u16 = 12;
const PORT_DESC: u16 = 13;
const TABLE_DESC: u16 = 14;
const QUEUE_DESC: u16 = 15;
const FLOW_MONITOR: u16 = 16;
const FLOW_STATS: u16 = 17;
const CONTROLLER_STATUS: u16 = 18;
const BUNDLE_FEATURES: u16 = 19;
const EXPERIMENTER: u16 = 0xffff;

/// The first version that defines a type.
fn since(ty: u16) -> Option<Version> {
    Some(match ty {
        DESC..=QUEUE | EXPERIMENTER => Version::V10,
        GROUP | GROUP_DESC => Version::V11,
        GROUP_FEATURES => Version::V12,
        METER..=PORT_DESC => Version::V13,
        TABLE_DESC..=FLOW_MONITOR => Version::V14,
        FLOW_STATS..=BUNDLE_FEATURES => Version::V15,
        _ => return None,
    })
}

/// A type's name in the versions that have it.
fn name(ty: u16) -> Cow<'static, str> {
    Cow::Borrowed(match ty {
        GROUP => "OFPMP_GROUP",
        GROUP_DESC => "OFPMP_GROUP_DESC",
        GROUP_FEATURES => "OFPMP_GROUP_FEATURES",
        METER => "OFPMP_METER",
        METER_CONFIG => "OFPMP_METER_CONFIG",
        METER_FEATURES => "OFPMP_METER_FEATURES",
        TABLE_FEATURES => "OFPMP_TABLE_FEATURES",
        PORT_DESC => "OFPMP_PORT_DESC",
        TABLE_DESC => "OFPMP_TABLE_DESC",
        QUEUE_DESC => "OFPMP_QUEUE_DESC",
        FLOW_MONITOR => "OFPMP_FLOW_MONITOR",
        FLOW_STATS => "OFPMP_FLOW_STATS",
        CONTROLLER_STATUS => "OFPMP_CONTROLLER_STATUS",
        BUNDLE_FEATURES => "OFPMP_BUNDLE_FEATURES",
        ty => return format!("multipart type {ty}").into(),
    })
}

fn defined(ty: u16, version: Version) -> bool {
    since(ty).is_some_and(|v| v <= version)
}

/// Whether the body of a request of this type is one structure, which segments without it may stand beside.
fn is_structure(ty: u16, version: Version) -> bool {
    match ty {
        FLOW | AGGREGATE | PORT_STATS | QUEUE | GROUP | METER | METER_CONFIG | QUEUE_DESC | FLOW_STATS
        | BUNDLE_FEATURES => true,
        // Which group or port is 1.5's question.
        GROUP_DESC | PORT_DESC => version >= Version::V15,
        _ => false,
    }
}

/// The type of a request whose body is a structure, whether it holds it or is empty.
pub(super) fn structure_type(body: &MultipartRequest) -> Option<u16> {
    use MultipartRequest as M;
    Some(match body {
        M::Empty { ty } => *ty,
        M::Flow(_) => FLOW,
        M::Aggregate(_) => AGGREGATE,
        M::PortStats(_) => PORT_STATS,
        M::Queue { .. } => QUEUE,
        M::Group(_) => GROUP,
        M::GroupDesc(_) => GROUP_DESC,
        M::Meter(_) => METER,
        M::MeterConfig(_) => METER_CONFIG,
        M::PortDesc(_) => PORT_DESC,
        M::QueueDesc { .. } => QUEUE_DESC,
        M::FlowStats(_) => FLOW_STATS,
        M::BundleFeatures(_) => BUNDLE_FEATURES,
        _ => return None,
    })
}

/// `OFPMPF_*_MORE`
const MORE: u16 = 1;

/// The bits of a request's flags that the version gives a meaning: 1.0 to 1.2 have none.
pub(super) fn request_more(version: Version) -> u16 {
    if version >= Version::V13 { MORE } else { 0 }
}

/// Where each entry of a list body ends, in bytes of the writer; the first mark is where the first
/// entry begins. A sender may cut the body there (and nowhere else).
pub(super) type Marks = Vec<usize>;

/// A reader of one entry, whose length stands `at` bytes into it and covers all of it.
pub(super) fn entry<'a>(r: &mut Reader<'a>, at: usize, field: &'static str) -> Result<Reader<'a>, OfError> {
    let mut peek = r.clone();
    peek.bytes(at, field)?;
    let offset = peek.offset();
    let length = usize::from(peek.u16(field)?);
    if length < at + 2 {
        return Err(OfError::at(r.short(), offset, field, format!("{length} is too little for an entry")));
    }
    r.sub(length, field)
}

/// Reads entries to the end of `r`.
fn list<'a, T>(
    r: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, OfError>,
) -> Result<Vec<T>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        list.push(one(r)?);
    }
    Ok(list)
}

/// Type, flags and padding before the body (1.0 has no padding).
fn decode_head(r: &mut Reader<'_>, version: Version) -> Result<(u16, u16), OfError> {
    let (ty, flags) = (r.u16("multipart type")?, r.u16("flags")?);
    if version > Version::V10 {
        r.skip(4)?;
    }
    Ok((ty, flags))
}

fn encode_head<B>(w: &mut Writer, version: Version, more: u16, m: &Multipart<B>) -> usize {
    let at = w.len();
    w.u16(0);
    w.u16((m.other_flags & !more) | u16::from(m.more));
    if version > Version::V10 {
        w.zeros(4);
    }
    at
}

fn part<B>(flags: u16, more: u16, body: B) -> Multipart<B> {
    Multipart { more: flags & more != 0, other_flags: flags & !more, body }
}

/// Experimenter multiparts have a subtype from 1.1 on; 1.0 says the vendor alone.
fn decode_experimenter(r: &mut Reader<'_>, version: Version) -> Result<Experimenter, OfError> {
    let experimenter = ExperimenterId(r.u32("experimenter")?);
    let exp_type = if version > Version::V10 { Some(r.u32("exp_type")?) } else { None };
    Ok(Experimenter { experimenter, exp_type, data: Bytes::copy_from_slice(r.take_rest()) })
}

fn encode_experimenter(w: &mut Writer, version: Version, m: &Experimenter) -> Result<(), EncodeError> {
    w.u32(m.experimenter.0);
    match m.exp_type {
        Some(n) => {
            require(version > Version::V10, version, "an experimenter subtype")?;
            w.u32(n);
        }
        None => require(version == Version::V10, version, "an experimenter multipart without subtype")?,
    }
    w.bytes(&m.data);
    Ok(())
}

fn id_and_pad(r: &mut Reader<'_>, field: &'static str) -> Result<u32, OfError> {
    let id = r.u32(field)?;
    r.skip(4)?;
    Ok(id)
}

/// Reads the body of `OFPT_MULTIPART_REQUEST`.
pub(super) fn decode_request(r: &mut Reader<'_>, version: Version) -> Result<Multipart<MultipartRequest>, OfError> {
    use MultipartRequest as M;
    let (ty, flags) = decode_head(r, version)?;
    let more = request_more(version);
    if !defined(ty, version) {
        return Ok(part(flags, more, M::Unknown { ty, body: Bytes::copy_from_slice(r.take_rest()) }));
    }
    let body = match ty {
        _ if r.is_empty() && version >= Version::V13 && is_structure(ty, version) => M::Empty { ty },
        DESC => M::Desc,
        FLOW => M::Flow(flow::decode_request(r, version)?),
        AGGREGATE => M::Aggregate(flow::decode_request(r, version)?),
        TABLE => M::Table,
        PORT_STATS => M::PortStats(port::decode_port_request(r, version)?),
        QUEUE => {
            let (port, queue) = queue::decode_request(r, version)?;
            M::Queue { port, queue }
        }
        GROUP => M::Group(GroupId(id_and_pad(r, "group_id")?)),
        GROUP_DESC if version >= Version::V15 => M::GroupDesc(GroupId(id_and_pad(r, "group_id")?)),
        GROUP_DESC => M::GroupDesc(GroupId::ALL),
        GROUP_FEATURES => M::GroupFeatures,
        METER => M::Meter(MeterId(id_and_pad(r, "meter_id")?)),
        METER_CONFIG => M::MeterConfig(MeterId(id_and_pad(r, "meter_id")?)),
        METER_FEATURES => M::MeterFeatures,
        TABLE_FEATURES => M::TableFeatures(list(r, |r| table::decode_features(r, version))?),
        PORT_DESC if version >= Version::V15 => M::PortDesc(port::decode_port_request(r, version)?),
        PORT_DESC => M::PortDesc(PortNo::ANY),
        TABLE_DESC => M::TableDesc,
        QUEUE_DESC => M::QueueDesc { port: PortNo(r.u32("port_no")?), queue: QueueId(r.u32("queue_id")?) },
        FLOW_MONITOR => M::FlowMonitor(list(r, |r| monitor::decode_request(r, version))?),
        FLOW_STATS => M::FlowStats(flow::decode_request(r, version)?),
        CONTROLLER_STATUS => M::ControllerStatus,
        BUNDLE_FEATURES => M::BundleFeatures(bundle::decode_features_request(r)?),
        _ if onf::is_flow_monitor(r, version) => M::FlowMonitor(onf::decode_monitor_requests(r, version)?),
        _ if let Some(subtype) = nicira::stats_subtype(r, version) => {
            nicira::skip_stats_head(r)?;
            match subtype {
                nicira::STATS_FLOW => M::NxFlow(nicira::decode_flow_request(r, version)?),
                nicira::STATS_AGGREGATE => M::NxAggregate(nicira::decode_flow_request(r, version)?),
                _ => M::FlowMonitor(list(r, |r| nicira::decode_monitor_request(r, version))?),
            }
        }
        _ => M::Experimenter(decode_experimenter(r, version)?),
    };
    Ok(part(flags, more, body))
}

/// Writes the body of `OFPT_MULTIPART_REQUEST`.
pub(super) fn encode_request(
    w: &mut Writer,
    version: Version,
    m: &Multipart<MultipartRequest>,
    marks: &mut Marks,
) -> Result<(), EncodeError> {
    use MultipartRequest as M;
    require(!m.more || version >= Version::V13, version, "a request in segments")?;
    let at = encode_head(w, version, request_more(version), m);
    marks.push(w.len());
    let ty = match &m.body {
        M::Desc => DESC,
        M::Flow(f) => {
            flow::encode_request(w, version, f)?;
            FLOW
        }
        M::Aggregate(f) => {
            flow::encode_request(w, version, f)?;
            AGGREGATE
        }
        M::Table => TABLE,
        M::PortStats(port) => {
            port::encode_port_request(w, version, *port)?;
            PORT_STATS
        }
        M::Queue { port, queue } => {
            queue::encode_request(w, version, *port, *queue)?;
            QUEUE
        }
        M::Group(group) => {
            w.u32(group.0);
            w.zeros(4);
            GROUP
        }
        M::GroupDesc(group) => {
            if version >= Version::V15 {
                w.u32(group.0);
                w.zeros(4);
            } else {
                require(*group == GroupId::ALL, version, "a group-desc request of one group")?;
            }
            GROUP_DESC
        }
        M::GroupFeatures => GROUP_FEATURES,
        M::Meter(meter) => {
            w.u32(meter.0);
            w.zeros(4);
            METER
        }
        M::MeterConfig(meter) => {
            w.u32(meter.0);
            w.zeros(4);
            METER_CONFIG
        }
        M::MeterFeatures => METER_FEATURES,
        M::TableFeatures(tables) => {
            each(w, marks, tables, |w, t| table::encode_features(w, version, t))?;
            TABLE_FEATURES
        }
        M::PortDesc(port) => {
            port::encode_desc_request(w, version, *port)?;
            PORT_DESC
        }
        M::TableDesc => TABLE_DESC,
        M::QueueDesc { port, queue } => {
            w.u32(port.0);
            w.u32(queue.0);
            QUEUE_DESC
        }
        M::NxFlow(f) | M::NxAggregate(f) => {
            require(version == Version::V10, version, "Nicira's flow statistics")?;
            let flow = matches!(m.body, M::NxFlow(_));
            nicira::put_stats_head(w, if flow { nicira::STATS_FLOW } else { nicira::STATS_AGGREGATE });
            nicira::encode_flow_request(w, version, f)?;
            EXPERIMENTER
        }
        M::FlowMonitor(list) if version == Version::V10 => {
            put_nicira_head(w, nicira::STATS_FLOW_MONITOR, marks);
            each(w, marks, list, |w, m| nicira::encode_monitor_request(w, version, m))?;
            EXPERIMENTER
        }
        M::FlowMonitor(list) if version == Version::V13 => {
            onf::put_monitor_head(w, marks);
            each(w, marks, list, |w, m| onf::encode_monitor_request(w, version, m))?;
            EXPERIMENTER
        }
        M::FlowMonitor(list) => {
            each(w, marks, list, |w, m| monitor::encode_request(w, version, m))?;
            FLOW_MONITOR
        }
        M::FlowStats(f) => {
            flow::encode_request(w, version, f)?;
            FLOW_STATS
        }
        M::ControllerStatus => CONTROLLER_STATUS,
        M::BundleFeatures(f) => {
            bundle::encode_features_request(w, f)?;
            BUNDLE_FEATURES
        }
        M::Experimenter(e) => {
            encode_experimenter(w, version, e)?;
            EXPERIMENTER
        }
        M::Empty { ty } => {
            require(version >= Version::V13 && is_structure(*ty, version), version, "an empty segment of this type")?;
            *ty
        }
        M::Unknown { ty, body } => {
            w.bytes(body);
            w.patch_u16(at, *ty);
            return Ok(());
        }
    };
    finish(w, version, at, ty)
}

/// Writes the header of Nicira's statistics, before which no segment may be cut.
fn put_nicira_head(w: &mut Writer, subtype: u32, marks: &mut Marks) {
    nicira::put_stats_head(w, subtype);
    marks.clear();
    marks.push(w.len());
}

/// Patches the type in, unless the version lacks it.
fn finish(w: &mut Writer, version: Version, at: usize, ty: u16) -> Result<(), EncodeError> {
    if since(ty).is_some_and(|v| v > version) {
        return Err(unsupported(version, name(ty)));
    }
    w.patch_u16(at, ty);
    Ok(())
}

/// Writes entries and marks their ends.
fn each<T>(
    w: &mut Writer,
    marks: &mut Marks,
    list: &[T],
    mut one: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    for item in list {
        one(w, item)?;
        marks.push(w.len());
    }
    Ok(())
}

/// Reads the body of `OFPT_MULTIPART_REPLY`.
pub(super) fn decode_reply(r: &mut Reader<'_>, version: Version) -> Result<Multipart<MultipartReply>, OfError> {
    use MultipartReply as M;
    let (ty, flags) = decode_head(r, version)?;
    if !defined(ty, version) {
        return Ok(part(flags, MORE, M::Unknown { ty, body: Bytes::copy_from_slice(r.take_rest()) }));
    }
    let body = match ty {
        DESC => M::Desc(switch::decode_desc(r)?),
        FLOW => M::Flow(list(r, |r| flow::decode_desc(r, version))?),
        AGGREGATE => M::Aggregate(flow::decode_aggregate(r, version)?),
        TABLE => M::Table(list(r, |r| table::decode_stats(r, version))?),
        PORT_STATS => M::PortStats(list(r, |r| port::decode_stats(r, version))?),
        QUEUE => M::Queue(list(r, |r| queue::decode_stats(r, version))?),
        GROUP => M::Group(list(r, |r| group::decode_stats(r, version))?),
        GROUP_DESC => M::GroupDesc(list(r, |r| group::decode_desc(r, version))?),
        GROUP_FEATURES => M::GroupFeatures(group::decode_features(r)?),
        METER => M::Meter(list(r, meter::decode_stats)?),
        METER_CONFIG => M::MeterConfig(list(r, meter::decode_config)?),
        METER_FEATURES => M::MeterFeatures(meter::decode_features(r, version)?),
        TABLE_FEATURES => M::TableFeatures(list(r, |r| table::decode_features(r, version))?),
        PORT_DESC => M::PortDesc(list(r, |r| port::decode_port(r, version))?),
        TABLE_DESC => M::TableDesc(list(r, table::decode_desc)?),
        QUEUE_DESC => M::QueueDesc(list(r, queue::decode_desc)?),
        FLOW_MONITOR => M::FlowMonitor(list(r, |r| monitor::decode_update(r, version))?),
        FLOW_STATS => M::FlowStats(list(r, |r| flow::decode_stats_entry(r, version))?),
        CONTROLLER_STATUS => M::ControllerStatus(list(r, role::decode_controller)?),
        BUNDLE_FEATURES => M::BundleFeatures(bundle::decode_features_reply(r)?),
        _ if onf::is_flow_monitor(r, version) => M::FlowMonitor(onf::decode_updates(r, version)?),
        _ if let Some(subtype) = nicira::stats_subtype(r, version) => {
            nicira::skip_stats_head(r)?;
            match subtype {
                nicira::STATS_FLOW => M::NxFlow(list(r, |r| nicira::decode_flow_desc(r, version))?),
                nicira::STATS_AGGREGATE => M::NxAggregate(flow::decode_aggregate(r, version)?),
                _ => M::FlowMonitor(onf::decode_update_list(r, version)?),
            }
        }
        _ => M::Experimenter(decode_experimenter(r, version)?),
    };
    Ok(part(flags, MORE, body))
}

/// Writes the body of `OFPT_MULTIPART_REPLY`.
pub(super) fn encode_reply(
    w: &mut Writer,
    version: Version,
    m: &Multipart<MultipartReply>,
    marks: &mut Marks,
) -> Result<(), EncodeError> {
    use MultipartReply as M;
    let at = encode_head(w, version, MORE, m);
    marks.push(w.len());
    let v = version;
    let ty = match &m.body {
        M::Desc(d) => switch::encode_desc(w, d).map(|()| DESC),
        M::Flow(l) => each(w, marks, l, |w, x| flow::encode_desc(w, v, x)).map(|()| FLOW),
        M::Aggregate(a) => flow::encode_aggregate(w, v, a).map(|()| AGGREGATE),
        M::Table(l) => each(w, marks, l, |w, x| table::encode_stats(w, v, x)).map(|()| TABLE),
        M::PortStats(l) => each(w, marks, l, |w, x| port::encode_stats(w, v, x)).map(|()| PORT_STATS),
        M::Queue(l) => each(w, marks, l, |w, x| queue::encode_stats(w, v, x)).map(|()| QUEUE),
        M::Group(l) => each(w, marks, l, |w, x| group::encode_stats(w, v, x)).map(|()| GROUP),
        M::GroupDesc(l) => each(w, marks, l, |w, x| group::encode_desc(w, v, x)).map(|()| GROUP_DESC),
        M::GroupFeatures(f) => {
            group::encode_features(w, f);
            Ok(GROUP_FEATURES)
        }
        M::Meter(l) => each(w, marks, l, meter::encode_stats).map(|()| METER),
        M::MeterConfig(l) => each(w, marks, l, meter::encode_config).map(|()| METER_CONFIG),
        M::MeterFeatures(f) => {
            meter::encode_features(w, v, f);
            Ok(METER_FEATURES)
        }
        M::TableFeatures(l) => each(w, marks, l, |w, x| table::encode_features(w, v, x)).map(|()| TABLE_FEATURES),
        M::PortDesc(l) => each(w, marks, l, |w, x| port::encode_port(w, v, x)).map(|()| PORT_DESC),
        M::TableDesc(l) => each(w, marks, l, table::encode_desc).map(|()| TABLE_DESC),
        M::QueueDesc(l) => each(w, marks, l, queue::encode_desc).map(|()| QUEUE_DESC),
        M::NxFlow(_) | M::NxAggregate(_) if v != Version::V10 => Err(unsupported(version, "Nicira's flow statistics")),
        M::NxFlow(l) => {
            put_nicira_head(w, nicira::STATS_FLOW, marks);
            each(w, marks, l, |w, x| nicira::encode_flow_desc(w, v, x)).map(|()| EXPERIMENTER)
        }
        M::NxAggregate(a) => {
            nicira::put_stats_head(w, nicira::STATS_AGGREGATE);
            flow::encode_aggregate(w, v, a).map(|()| EXPERIMENTER)
        }
        M::FlowMonitor(l) if v == Version::V10 => {
            put_nicira_head(w, nicira::STATS_FLOW_MONITOR, marks);
            each(w, marks, l, |w, x| onf::encode_update(w, v, x)).map(|()| EXPERIMENTER)
        }
        M::FlowMonitor(l) if v == Version::V13 => {
            onf::put_monitor_head(w, marks);
            each(w, marks, l, |w, x| onf::encode_update(w, v, x)).map(|()| EXPERIMENTER)
        }
        M::FlowMonitor(l) => each(w, marks, l, |w, x| monitor::encode_update(w, v, x)).map(|()| FLOW_MONITOR),
        M::FlowStats(l) => each(w, marks, l, |w, x| flow::encode_stats_entry(w, v, x)).map(|()| FLOW_STATS),
        M::ControllerStatus(l) => each(w, marks, l, role::encode_controller).map(|()| CONTROLLER_STATUS),
        M::BundleFeatures(f) => bundle::encode_features_reply(w, f).map(|()| BUNDLE_FEATURES),
        M::Experimenter(e) => encode_experimenter(w, v, e).map(|()| EXPERIMENTER),
        M::Unknown { ty, body } => {
            w.bytes(body);
            w.patch_u16(at, *ty);
            return Ok(());
        }
    }?;
    finish(w, version, at, ty)
}
