//! Requests that change the switch.

use super::{Known, Place, actions, instructions, matching};
use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::continuation::Continuation;
use crate::error::{ErrorKind, OfError};
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags};
use crate::group::{GroupMod, GroupModCommand, GroupType, OtherProp};
use crate::ids::{BucketId, GroupId, MeterId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::message::SwitchConfig;
use crate::meter::{BandAction, MeterFlags, MeterMod, MeterModCommand};
use crate::nx_message::PacketIn2;
use crate::packet::PacketOut;
use crate::port::{PortMod, PortModProp};
use crate::role::{Role, RoleMsg};
use crate::table::{TableConfig, TableMod, TableModProp};
use crate::version::Version;
use bytes::Bytes;
use std::collections::HashSet;

pub(super) fn fault(
    kind: ErrorKind,
    field: &'static str,
    reason: impl Into<std::borrow::Cow<'static, str>>,
) -> OfError {
    OfError::new(kind, field, reason)
}

/// A property that no codec knew.
pub(super) fn unknown_property(prop: &OtherProp) -> OfError {
    match prop {
        OtherProp::Experimenter(p) => fault(
            ErrorKind::BadPropertyBadExperimenter,
            "experimenter",
            format!("no property of {} is supported", p.experimenter),
        ),
        OtherProp::Unknown(p) => {
            fault(ErrorKind::BadPropertyBadType, "property type", format!("{} is not defined", p.ty))
        }
    }
}

/// The flags a version defines.
fn flow_mod_flags(version: Version) -> FlowModFlags {
    let common = FlowModFlags::SEND_FLOW_REM | FlowModFlags::CHECK_OVERLAP;
    match version {
        Version::V10 => common | FlowModFlags::EMERG,
        Version::V11 => common,
        Version::V12 => common | FlowModFlags::RESET_COUNTS,
        _ => common | FlowModFlags::RESET_COUNTS | FlowModFlags::NO_PKT_COUNTS | FlowModFlags::NO_BYT_COUNTS,
    }
}

pub(super) fn flow_mod(m: &FlowMod, version: Version) -> Result<(), OfError> {
    flow_mod_with(m, version, |m| matching(m, version))
}

/// `NXT_FLOW_MOD`: its match has TLVs whatever the version.
pub(super) fn nicira_flow_mod(m: &FlowMod, version: Version) -> Result<(), OfError> {
    flow_mod_with(m, version, super::nicira_matching)
}

fn flow_mod_with(
    m: &FlowMod,
    version: Version,
    matching: impl FnOnce(&Match) -> Result<Known, OfError>,
) -> Result<(), OfError> {
    let deletes = match m.command {
        FlowModCommand::Delete | FlowModCommand::DeleteStrict => true,
        FlowModCommand::Add | FlowModCommand::Modify | FlowModCommand::ModifyStrict => false,
        FlowModCommand::Unknown(n) => {
            return Err(fault(ErrorKind::FlowModFailedBadCommand, "command", format!("{n} is not defined")));
        }
    };
    let unknown = m.flags - flow_mod_flags(version);
    if !unknown.is_empty() {
        let reason = format!("bits {:#x} are not defined", unknown.bits());
        return Err(fault(ErrorKind::FlowModFailedBadFlags, "flags", reason));
    }
    // 1.0 names no table, and Nicira's extension to it may say so: a modify is then for all tables, an add for
    // one that the switch chooses (which it has done before this).
    let anywhere = version == Version::V10 && m.command != FlowModCommand::Add;
    if m.table == TableId::ALL && !deletes && !anywhere {
        return Err(fault(ErrorKind::FlowModFailedBadTableId, "table_id", "OFPTT_ALL is for deletes"));
    }
    let known = matching(&m.matching)?;
    // A delete's instructions are ignored (OpenFlow 1.3.5 §6.4).
    if deletes { Ok(()) } else { instructions(&m.instructions, known, m.table, version) }
}

pub(super) fn group_mod(m: &GroupMod, version: Version) -> Result<(), OfError> {
    if let GroupModCommand::Unknown(n) = m.command {
        return Err(fault(ErrorKind::GroupModFailedBadCommand, "command", format!("{n} is not defined")));
    }
    super::group::properties(m)?;
    if m.command == GroupModCommand::Delete {
        if m.group.0 > GroupId::MAX.0 && m.group != GroupId::ALL {
            return Err(fault(ErrorKind::GroupModFailedInvalidGroup, "group_id", "reserved"));
        }
        if !m.buckets.is_empty() {
            return Err(fault(ErrorKind::GroupModFailedInvalidGroup, "buckets", "a delete has none"));
        }
        return Ok(());
    }
    if m.group.0 > GroupId::MAX.0 {
        return Err(fault(ErrorKind::GroupModFailedInvalidGroup, "group_id", format!("{:#x} is reserved", m.group.0)));
    }
    if let GroupType::Unknown(n) = m.ty {
        return Err(fault(ErrorKind::GroupModFailedBadType, "type", format!("{n} is not defined")));
    }
    let whole = !matches!(m.command, GroupModCommand::InsertBucket | GroupModCommand::RemoveBucket);
    if whole && m.ty == GroupType::Indirect && m.buckets.len() != 1 {
        let reason = format!("an indirect group has one, not {}", m.buckets.len());
        return Err(fault(ErrorKind::GroupModFailedInvalidGroup, "buckets", reason));
    }
    let mut seen = HashSet::new();
    for bucket in &m.buckets {
        // Before 1.3 nothing was said of weights outside select groups.
        if whole && version >= Version::V13 && m.ty != GroupType::Select && bucket.weight > 1 {
            return Err(fault(ErrorKind::GroupModFailedInvalidGroup, "weight", "only a select group has weights"));
        }
        if let Some(id) = bucket.id {
            if id.0 > BucketId::MAX.0 {
                return Err(fault(ErrorKind::GroupModFailedBadBucket, "bucket_id", format!("{:#x} is reserved", id.0)));
            }
            if !seen.insert(id) {
                return Err(fault(ErrorKind::GroupModFailedBucketExists, "bucket_id", format!("{id} twice")));
            }
        }
        if let Some(prop) = bucket.other.first() {
            return Err(unknown_property(prop));
        }
        actions(&bucket.actions, &mut None, version, Place::Bucket)?;
    }
    Ok(())
}

pub(super) fn meter_mod(m: &MeterMod) -> Result<(), OfError> {
    if let MeterModCommand::Unknown(n) = m.command {
        return Err(fault(ErrorKind::MeterModFailedBadCommand, "command", format!("{n} is not defined")));
    }
    let virtual_meter = [MeterId::SLOWPATH, MeterId::CONTROLLER].contains(&m.meter);
    let all = m.meter == MeterId::ALL && m.command == MeterModCommand::Delete;
    if (m.meter.0 == 0 || m.meter.0 > MeterId::MAX.0) && !virtual_meter && !all {
        return Err(fault(ErrorKind::MeterModFailedInvalidMeter, "meter_id", format!("{:#x} is reserved", m.meter.0)));
    }
    if m.command == MeterModCommand::Delete {
        return Ok(());
    }
    let unknown = m.flags.bits() & !0xf;
    if unknown != 0 {
        return Err(fault(ErrorKind::MeterModFailedBadFlags, "flags", format!("bits {unknown:#x} are not defined")));
    }
    if m.flags.contains(MeterFlags::KBPS | MeterFlags::PKTPS) {
        return Err(fault(ErrorKind::MeterModFailedBadFlags, "flags", "kb/s and packets/s at once"));
    }
    for band in &m.bands {
        match &band.action {
            BandAction::Unknown { ty, .. } => {
                return Err(fault(ErrorKind::MeterModFailedBadBand, "band type", format!("{ty} is not defined")));
            }
            BandAction::Experimenter { experimenter, .. } => {
                let reason = format!("no band of {experimenter} is supported");
                return Err(fault(ErrorKind::MeterModFailedBadBand, "experimenter", reason));
            }
            BandAction::Drop | BandAction::DscpRemark { .. } => {}
        }
        if band.rate == 0 {
            return Err(fault(ErrorKind::MeterModFailedBadRate, "rate", "zero"));
        }
    }
    Ok(())
}

pub(super) fn port_mod(m: &PortMod, version: Version) -> Result<(), OfError> {
    let known = if version == Version::V10 { 0x7f } else { 0x65 };
    let unknown = (m.config.bits() | m.mask.bits()) & !known;
    if unknown != 0 {
        return Err(fault(ErrorKind::PortModFailedBadConfig, "config", format!("bits {unknown:#x} are not defined")));
    }
    for (i, prop) in m.properties.iter().enumerate() {
        let kind = std::mem::discriminant(prop);
        if m.properties[..i].iter().any(|earlier| std::mem::discriminant(earlier) == kind) {
            return Err(fault(ErrorKind::BadPropertyDupType, "property type", "two of one type"));
        }
        match prop {
            PortModProp::Ethernet(advertise) if advertise.bits() & !0xffff != 0 => {
                let reason = format!("{:#x} has undefined bits", advertise.bits());
                return Err(fault(ErrorKind::PortModFailedBadAdvertise, "advertise", reason));
            }
            PortModProp::Other(other) => return Err(unknown_property(other)),
            PortModProp::Ethernet(_) | PortModProp::Optical(_) => {}
        }
    }
    Ok(())
}

pub(super) fn table_mod(m: &TableMod, version: Version) -> Result<(), OfError> {
    let settable = TableConfig::EVICTION | TableConfig::VACANCY_EVENTS;
    let known = TableConfig::MISS_MASK | if version >= Version::V14 { settable.bits() } else { 0 };
    let unknown = m.config.bits() & !known;
    if unknown != 0 {
        return Err(fault(ErrorKind::TableModFailedBadConfig, "config", format!("bits {unknown:#x} are not defined")));
    }
    if version < Version::V13 && m.config.bits() & TableConfig::MISS_MASK == TableConfig::MISS_MASK {
        return Err(fault(ErrorKind::TableModFailedBadConfig, "config", "3 is no table-miss behaviour"));
    }
    for (i, prop) in m.properties.iter().enumerate() {
        let kind = std::mem::discriminant(prop);
        if m.properties[..i].iter().any(|earlier| std::mem::discriminant(earlier) == kind) {
            return Err(fault(ErrorKind::BadPropertyDupType, "property type", "two of one type"));
        }
        match prop {
            TableModProp::Eviction(flags) if flags & !7 != 0 => {
                return Err(fault(ErrorKind::BadPropertyBadValue, "flags", format!("{flags:#x} has undefined bits")));
            }
            TableModProp::Vacancy { down, up, .. } if down > up || *up > 100 => {
                let reason = format!("vacancy_down {down}, vacancy_up {up}");
                return Err(fault(ErrorKind::BadPropertyBadValue, "vacancy_down", reason));
            }
            TableModProp::Vacancy { vacancy: n @ 1.., .. } => {
                let reason = format!("{n}: only a switch says how much is free");
                return Err(fault(ErrorKind::BadPropertyBadValue, "vacancy", reason));
            }
            TableModProp::Other(other) => return Err(unknown_property(other)),
            TableModProp::Eviction(_) | TableModProp::Vacancy { .. } => {}
        }
    }
    Ok(())
}

/// What says how a packet came here, and nothing of its headers.
fn pipeline_fields(m: &Match) -> Result<(), OfError> {
    match m.fields.iter().find(|f| !f.id.is_pipeline()) {
        None => Ok(()),
        Some(field) => Err(fault(
            ErrorKind::BadRequestPipelineFieldsOnly,
            field.id.info().name,
            "only pipeline fields go with a packet",
        )),
    }
}

/// `NXT_RESUME`
pub(super) fn resume(m: &PacketIn2) -> Result<(), OfError> {
    let len = m.packet.as_ref().map_or(0, Bytes::len);
    if len == 0 {
        return Err(fault(ErrorKind::BadRequestBadLen, "packet", "there is none"));
    }
    if m.full_len.is_some_and(|n| usize::try_from(n).is_ok_and(|n| n < len)) {
        return Err(fault(ErrorKind::BadRequestBadLen, "full_len", format!("less than the packet's {len} bytes")));
    }
    if let Some(p) = m.other.first() {
        return Err(fault(ErrorKind::BadPropertyBadType, "property type", format!("{} is not known", p.ty)));
    }
    m.metadata.as_ref().map_or(Ok(()), pipeline_fields)
}

/// Checks what a continuation says is still to be done.
///
/// # Errors
/// As for the same lists elsewhere; of their packets nothing is known.
pub fn continuation(c: &Continuation) -> Result<(), OfError> {
    for part in &c.parts {
        let place = if part.table == TableId::ALL { Place::PacketOut } else { Place::Flow };
        for i in &part.instructions {
            match i {
                Instruction::ApplyActions(list) | Instruction::WriteActions(list) => {
                    actions(list, &mut None, part.version, place)?;
                }
                _ => {}
            }
        }
    }
    c.set.iter().try_for_each(|(version, a)| actions(std::slice::from_ref(a), &mut None, *version, Place::Flow))
}

pub(super) fn packet_out(m: &PacketOut, version: Version) -> Result<(), OfError> {
    if version >= Version::V15 {
        matching(&m.matching, version)?;
        pipeline_fields(&m.matching)?;
    }
    let port = m.matching.get(FieldId::InPort).and_then(|f| u32::try_from(f.value).ok()).map(PortNo);
    match port {
        Some(PortNo::CONTROLLER | PortNo::LOCAL) => {}
        // Many controllers say ANY where the packet has no ingress port; 1.5 is strict.
        Some(PortNo::ANY) if version < Version::V15 => {}
        Some(port) if port.is_ordinary() => {}
        Some(port) => {
            return Err(fault(ErrorKind::BadRequestBadPort, "in_port", format!("{port} is no ingress port")));
        }
        None => return Err(fault(ErrorKind::BadRequestBadPort, "in_port", "missing")),
    }
    actions(&m.actions, &mut None, version, Place::PacketOut)
}

pub(super) fn set_config(m: &SwitchConfig, version: Version) -> Result<(), OfError> {
    // OFPC_INVALID_TTL_TO_CONTROLLER lived in 1.1 and 1.2.
    let known = if matches!(version, Version::V11 | Version::V12) { 7 } else { 3 };
    let unknown = m.flags & !known;
    if unknown != 0 {
        return Err(fault(
            ErrorKind::SwitchConfigFailedBadFlags,
            "flags",
            format!("bits {unknown:#x} are not defined"),
        ));
    }
    if m.flags & 3 == 3 {
        return Err(fault(ErrorKind::SwitchConfigFailedBadFlags, "flags", "3 is no way to treat fragments"));
    }
    Ok(())
}

pub(super) fn role(m: &RoleMsg) -> Result<(), OfError> {
    match m.role {
        Role::Unknown(n) => Err(fault(ErrorKind::RoleRequestFailedBadRole, "role", format!("{n} is not defined"))),
        _ => Ok(()),
    }
}

/// The reasons that a version defines for a kind of message.
fn reasons(kind: AsyncKind, version: Version) -> u32 {
    let later = version >= Version::V14;
    match kind {
        AsyncKind::PacketIn => {
            if later {
                0x3f
            } else {
                0x07
            }
        }
        AsyncKind::PortStatus | AsyncKind::RoleStatus => 0x07,
        AsyncKind::FlowRemoved => {
            if later {
                0x3f
            } else {
                0x0f
            }
        }
        AsyncKind::TableStatus => 0x18,
        AsyncKind::RequestForward | AsyncKind::FlowStats => 0x03,
        AsyncKind::ControllerStatus => 0x7f,
    }
}

/// Before 1.4 undefined bits have no error of their own and mean nothing.
pub(super) fn set_async(m: &AsyncConfig, version: Version) -> Result<(), OfError> {
    for prop in &m.props {
        match prop {
            AsyncProp::Reasons { kind, mask, .. } if version >= Version::V14 => {
                let unknown = mask & !reasons(*kind, version);
                if unknown != 0 {
                    let reason = format!("bits {unknown:#x} are no reasons of {kind:?}");
                    return Err(fault(ErrorKind::AsyncConfigFailedInvalid, "mask", reason));
                }
            }
            AsyncProp::Reasons { .. } => {}
            AsyncProp::Other(other) => return Err(unknown_property(other)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::group::Bucket;
    use crate::instruction::Instruction;
    use crate::message::{Message, Multipart, MultipartRequest};
    use crate::meter::Band;
    use crate::monitor::{FlowMonitorRequest, MonitorCommand, MonitorFlags};
    use crate::nx_message::NxMessage;

    fn check(m: Message, version: Version) -> Result<(), ErrorKind> {
        super::super::message(&m, version).map_err(|e| e.kind)
    }

    #[test]
    fn flow_mods() {
        let m = |f: fn(&mut FlowMod)| {
            let mut m = FlowMod::default();
            f(&mut m);
            check(Message::FlowMod(m), Version::V13)
        };
        assert_eq!(m(|_| {}), Ok(()));
        assert_eq!(m(|m| m.command = FlowModCommand::Unknown(9)), Err(ErrorKind::FlowModFailedBadCommand));
        assert_eq!(m(|m| m.flags = FlowModFlags::from_bits_retain(0x20)), Err(ErrorKind::FlowModFailedBadFlags));
        assert_eq!(m(|m| m.table = TableId::ALL), Err(ErrorKind::FlowModFailedBadTableId));
        for command in [FlowModCommand::Modify, FlowModCommand::ModifyStrict] {
            let all = Message::FlowMod(FlowMod { table: TableId::ALL, command, ..FlowMod::default() });
            assert_eq!(check(all.clone(), Version::V10), Ok(()), "1.0 names no table");
            for version in [Version::V11, Version::V12, Version::V13, Version::V14, Version::V15] {
                assert_eq!(check(all.clone(), version), Err(ErrorKind::FlowModFailedBadTableId), "{version}");
            }
        }
        assert_eq!(
            m(|m| {
                m.command = FlowModCommand::Delete;
                m.table = TableId::ALL;
                m.instructions = vec![Instruction::Unknown { ty: 99, data: bytes::Bytes::new() }];
            }),
            Ok(())
        );
    }

    #[test]
    fn group_mods() {
        let m = |f: fn(&mut GroupMod)| {
            let mut m = GroupMod {
                command: GroupModCommand::Add,
                ty: GroupType::All,
                group: GroupId(1),
                command_bucket: BucketId::ALL,
                buckets: vec![Bucket::new(vec![Action::output(PortNo(1))]), Bucket::new(Vec::new())],
                properties: Vec::new(),
            };
            f(&mut m);
            check(Message::GroupMod(m), Version::V13)
        };
        assert_eq!(m(|_| {}), Ok(()));
        assert_eq!(m(|m| m.group = GroupId::ALL), Err(ErrorKind::GroupModFailedInvalidGroup));
        assert_eq!(m(|m| m.ty = GroupType::Unknown(7)), Err(ErrorKind::GroupModFailedBadType));
        assert_eq!(m(|m| m.ty = GroupType::Indirect), Err(ErrorKind::GroupModFailedInvalidGroup));
        assert_eq!(m(|m| m.command = GroupModCommand::Delete), Err(ErrorKind::GroupModFailedInvalidGroup));
        assert_eq!(m(|m| m.buckets[0].actions[0] = Action::output(PortNo::ANY)), Err(ErrorKind::BadActionBadOutPort));
    }

    #[test]
    fn meter_port_table_and_config() {
        let band = Band { rate: 1, burst_size: 0, action: BandAction::Drop };
        let meter = |meter, flags, band: &Band| {
            let m = MeterMod { command: MeterModCommand::Add, flags, meter, bands: vec![band.clone()] };
            check(Message::MeterMod(m), Version::V13)
        };
        assert_eq!(meter(MeterId(1), MeterFlags::KBPS, &band), Ok(()));
        assert_eq!(meter(MeterId(0), MeterFlags::KBPS, &band), Err(ErrorKind::MeterModFailedInvalidMeter));
        assert_eq!(
            meter(MeterId(1), MeterFlags::KBPS | MeterFlags::PKTPS, &band),
            Err(ErrorKind::MeterModFailedBadFlags)
        );
        let zero = Band { rate: 0, ..band };
        assert_eq!(meter(MeterId(1), MeterFlags::KBPS, &zero), Err(ErrorKind::MeterModFailedBadRate));
        let config = |flags| check(Message::SetConfig(SwitchConfig { flags, miss_send_len: 0 }), Version::V13);
        assert_eq!(config(2), Ok(()));
        assert_eq!(config(16), Err(ErrorKind::SwitchConfigFailedBadFlags));
        let vacancy = TableMod {
            table: TableId(0),
            config: TableConfig::VACANCY_EVENTS,
            properties: vec![TableModProp::Vacancy { down: 60, up: 40, vacancy: 0 }],
        };
        assert_eq!(check(Message::TableMod(vacancy.clone()), Version::V14), Err(ErrorKind::BadPropertyBadValue));
        let full = TableModProp::Vacancy { down: 40, up: 60, vacancy: 50 };
        let told = TableMod { properties: vec![full], ..vacancy.clone() };
        assert_eq!(check(Message::TableMod(told), Version::V14), Err(ErrorKind::BadPropertyBadValue));
        assert_eq!(check(Message::TableMod(vacancy), Version::V13), Err(ErrorKind::TableModFailedBadConfig));
    }

    #[test]
    fn no_bucket_id_comes_twice_and_many_are_judged_as_fast_as_few() {
        let bucket = |n| Bucket { id: Some(BucketId(n)), ..Bucket::new(Vec::new()) };
        // As many as a message has room for.
        let mut m = GroupMod {
            command: GroupModCommand::Add,
            ty: GroupType::All,
            group: GroupId(1),
            command_bucket: BucketId::ALL,
            buckets: (0..8_188).map(bucket).collect(),
            properties: Vec::new(),
        };
        assert_eq!(check(Message::GroupMod(m.clone()), Version::V15), Ok(()));
        m.buckets.push(bucket(17));
        assert_eq!(check(Message::GroupMod(m), Version::V15), Err(ErrorKind::GroupModFailedBucketExists));
    }

    #[test]
    fn no_property_of_a_port_mod_comes_twice() {
        let mut m = PortMod {
            port_no: PortNo(1),
            hw_addr: crate::ids::MacAddr([0; 6]),
            config: crate::port::PortConfig::empty(),
            mask: crate::port::PortConfig::empty(),
            properties: vec![PortModProp::Ethernet(crate::port::PortFeatures::empty())],
        };
        assert_eq!(check(Message::PortMod(m.clone()), Version::V14), Ok(()));
        m.properties.extend(m.properties.clone());
        assert_eq!(check(Message::PortMod(m), Version::V14), Err(ErrorKind::BadPropertyDupType));
    }

    #[test]
    fn nicira_s_choice_of_messages_and_monitors_are_judged_as_the_standard_s() {
        let all = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 0x8000_0000 };
        let m = NxMessage::SetAsyncConfig2(AsyncConfig { props: vec![all] });
        for version in Version::ALL {
            assert_eq!(check(Message::Nicira(m.clone()), version), Err(ErrorKind::AsyncConfigFailedInvalid));
        }
        let monitor = FlowMonitorRequest {
            id: crate::ids::MonitorId(1),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            flags: MonitorFlags::ADD,
            table: TableId::ALL,
            command: MonitorCommand::Add,
            matching: Match::any().with(FieldId::TcpDst, 80),
            bare: false,
        };
        let request = Message::MultipartRequest(Multipart::last(MultipartRequest::FlowMonitor(vec![monitor])));
        for version in [Version::V10, Version::V13, Version::V14] {
            assert_eq!(check(request.clone(), version), Err(ErrorKind::BadMatchBadPrereq), "{version}");
        }
    }

    #[test]
    fn packet_outs() {
        let out = |matching: Match, port, version| {
            let m = PacketOut {
                buffer_id: crate::ids::BufferId::NONE,
                matching,
                actions: vec![Action::output(port)],
                data: bytes::Bytes::new(),
            };
            check(Message::PacketOut(m), version)
        };
        let from = |port: PortNo| Match::any().with(FieldId::InPort, port.0.into());
        assert_eq!(out(from(PortNo::CONTROLLER), PortNo::TABLE, Version::V13), Ok(()));
        assert_eq!(out(from(PortNo::FLOOD), PortNo(1), Version::V13), Err(ErrorKind::BadRequestBadPort));
        assert_eq!(out(Match::any(), PortNo(1), Version::V15), Err(ErrorKind::BadRequestBadPort));
        let header = from(PortNo(1)).with(FieldId::EthType, 0x800);
        assert_eq!(out(header, PortNo(1), Version::V15), Err(ErrorKind::BadRequestPipelineFieldsOnly));
    }
}
