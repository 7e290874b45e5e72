//! What each request does: one function per message, each all or nothing.

use super::host::{Answer, Effect, Host};
use super::{INVALID_TTL_VERSIONS, PacketInFormat, Session, Waiting, message_name};
use crate::packet_buffer::Kept;
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{BufferId, ExperimenterId, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{
    Capabilities, ErrorMsg, Experimenter, Message, MultipartReply, MultipartRequest, SwitchConfig, SwitchFeatures,
};
use ofproto::nx_message::{NxMessage, PacketIn2, TlvTableCommand};
use ofproto::packet::PacketOut;
use ofproto::role::{Role, RoleMsg};
use ofproto::validate;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};
use tracing::warn;

/// `OFPC_FRAG_MASK`
const FRAG_MASK: u16 = 3;
/// `OFPC_FRAG_DROP`
const FRAG_DROP: u16 = 1;
/// `OFPC_INVALID_TTL_TO_CONTROLLER` (1.1, 1.2)
const INVALID_TTL: u16 = 4;
/// `OFPCSR_ROLE` and `OFPCSR_SHORT_ID`
const STATUS_ROLE: u8 = 2;
const STATUS_SHORT_ID: u8 = 5;
/// 1.0's action bitmap: everything that version defines.
const ACTIONS_10: u32 = 0xfff;

pub(super) fn err(kind: ErrorKind, field: &'static str, reason: impl Into<std::borrow::Cow<'static, str>>) -> OfError {
    OfError::new(kind, field, reason)
}

impl Session {
    /// Carries out one request of a connection that is up; `bytes`: those that it came in.
    pub(super) fn dispatch(
        &mut self,
        now: Time,
        header: &Header,
        message: Result<&mut Message, OfError>,
        bytes: &[u8],
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        if header.version != self.version.wire() {
            return Err(err(
                ErrorKind::BadRequestBadVersion,
                "version",
                format!(
                    "this connection speaks {} ({:#04x}), not {:#04x}",
                    self.version,
                    self.version.wire(),
                    header.version
                ),
            ));
        }
        let message = message.map_err(|e| {
            // However broken it is: it is nothing to be heard here at all.
            if header.is_from_switch(self.version) { not_from_a_controller(format!("type {}", header.ty)) } else { e }
        })?;
        let xid = header.xid;
        if self.is_slave() && changes_state(message) {
            return Err(err(
                ErrorKind::BadRequestIsSlave,
                "type",
                format!("a slave may not send {}", message_name(message)),
            ));
        }
        match message {
            Message::FlowMod(fm) | Message::Nicira(NxMessage::FlowMod(fm)) => self.place_flow_mod(fm),
            _ => {}
        }
        if !judged_later(message) {
            validate::message(message, self.version)?;
        }
        // What comes most often stays where it was read.
        match message {
            Message::FlowMod(fm) => return self.flow_mod(now, fm, host),
            Message::BundleAdd(add) => return self.bundle_add(now, xid, add, bytes, host),
            _ => {}
        }
        match std::mem::replace(message, Message::BarrierReply) {
            Message::EchoRequest(data) => self.send(xid, &Message::EchoReply(data)),
            Message::EchoReply(_) => {}
            Message::Error(e) => self.note_error(&e),
            Message::FeaturesRequest => self.features(xid, host)?,
            Message::GetConfigRequest => {
                let config = self.config(host);
                self.send(xid, &Message::GetConfigReply(config));
            }
            Message::SetConfig(config) => self.set_config(now, config, host)?,
            Message::FlowMod(fm) => self.flow_mod(now, &fm, host)?,
            Message::PacketOut(po) => self.packet_out(now, &po, host)?,
            Message::GroupMod(gm) => {
                host.group_mod(now, self.version, &gm)?;
                self.forward(xid, Message::GroupMod(gm), host);
            }
            Message::MeterMod(mm) => {
                host.meter_mod(now, self.version, &mm)?;
                self.forward(xid, Message::MeterMod(mm), host);
            }
            Message::TableMod(tm) => host.table_mod(now, self.version, &tm)?,
            Message::PortMod(pm) => host.port_mod(now, self.version, self.governing(), &pm)?,
            Message::MultipartRequest(request) => self.multipart(now, xid, request, bytes.len(), host)?,
            Message::BarrierRequest => {
                self.counters.barriers += 1;
                // The reply goes out from `advance`, which the caller runs next.
                self.waiting = Waiting::Barrier { xid, ticket: host.barrier(now) };
            }
            Message::QueueGetConfigRequest(port) => {
                let queues = host.queues(port)?;
                self.send(xid, &Message::QueueGetConfigReply { port, queues });
            }
            Message::RoleRequest(request) => self.role_request(xid, &request, host)?,
            Message::GetAsyncRequest(asked) => {
                if !asked.props.is_empty() {
                    return Err(err(ErrorKind::BadRequestBadLen, "length", "a get-async request has no body"));
                }
                let config = self.channel.filter.config();
                self.send(xid, &Message::GetAsyncReply(config));
            }
            Message::SetAsync(config) => self.set_async(&config)?,
            Message::BundleControl(control) => self.bundle_control(now, xid, &control, host)?,
            Message::BundleAdd(add) => self.bundle_add(now, xid, &add, bytes, host)?,
            Message::Nicira(message) => self.nicira(now, xid, message, host)?,
            Message::Experimenter(e) => return Err(unknown_experimenter(&e)),
            Message::Hello(_)
            | Message::FeaturesReply(_)
            | Message::GetConfigReply(_)
            | Message::PacketIn(_)
            | Message::FlowRemoved(_)
            | Message::PortStatus(_)
            | Message::MultipartReply(_)
            | Message::BarrierReply
            | Message::QueueGetConfigReply { .. }
            | Message::RoleReply(_)
            | Message::GetAsyncReply(_)
            | Message::RoleStatus(_)
            | Message::TableStatus(_)
            | Message::RequestForward(_)
            | Message::ControllerStatus(_) => {
                return Err(not_from_a_controller(message_name(message)));
            }
        }
        Ok(())
    }

    fn note_error(&mut self, e: &ErrorMsg) {
        self.counters.errors_received += 1;
        warn!(conn = %self.id, peer = %self.peer, ty = e.ty, code = e.code, "the controller sent an error");
    }

    fn features(&mut self, xid: Xid, host: &mut dyn Host) -> Result<(), OfError> {
        let id = host.identity();
        let version = self.version;
        let ports = if version < Version::V13 {
            match host.multipart(Time::ZERO, version, &MultipartRequest::PortDesc(PortNo::ANY))? {
                Answer::Whole(MultipartReply::PortDesc(ports)) => ports,
                _ => Vec::new(),
            }
        } else {
            Vec::new()
        };
        let mut capabilities = id.capabilities;
        if version == Version::V10 {
            // The same bit says STP there, which this switch hasn't.
            capabilities.remove(Capabilities::GROUP_STATS);
        }
        if version > Version::V11 {
            capabilities.remove(Capabilities::ARP_MATCH_IP);
        }
        if version < Version::V12 {
            capabilities.remove(Capabilities::PORT_BLOCKED);
        }
        if version < Version::V14 {
            capabilities.remove(Capabilities::BUNDLES | Capabilities::FLOW_MONITORING);
        }
        let reply = SwitchFeatures {
            dpid: id.dpid,
            n_buffers: u32::try_from(self.channel.buffer.capacity()).unwrap_or(u32::MAX),
            n_tables: id.n_tables,
            auxiliary_id: self.auxiliary_id(),
            capabilities,
            actions: if version == Version::V10 { ACTIONS_10 } else { 0 },
            ports,
        };
        self.send(xid, &Message::FeaturesReply(reply));
        self.introduced = true;
        Ok(())
    }

    fn set_config(&mut self, now: Time, config: SwitchConfig, host: &mut dyn Host) -> Result<(), OfError> {
        let ttl = INVALID_TTL_VERSIONS.contains(&self.version);
        let known = FRAG_MASK | if ttl { INVALID_TTL } else { 0 };
        if config.flags & !known != 0 || config.flags & FRAG_MASK > FRAG_DROP {
            let reason = match config.flags & FRAG_MASK {
                _ if config.flags & !known != 0 => format!("bits {:#x} are not defined", config.flags & !known),
                2 => "this switch doesn't reassemble fragments".to_owned(),
                n => format!("fragment handling {n} is not defined"),
            };
            return Err(err(ErrorKind::SwitchConfigFailedBadFlags, "flags", reason));
        }
        // The handling of fragments is the whole switch's; a slave sets its own connection's length only.
        if !self.is_slave() && config.flags & FRAG_MASK != host.frag_flags() {
            host.set_frag_flags(now, config.flags & FRAG_MASK)?;
        }
        self.settle();
        self.channel.miss_send_len = config.miss_send_len;
        if ttl {
            self.channel.filter.set_invalid_ttl(config.flags & INVALID_TTL != 0);
        }
        Ok(())
    }

    fn set_async(&mut self, config: &AsyncConfig) -> Result<(), OfError> {
        // Judged before a visitor becomes a controller by it.
        self.channel.filter.clone().apply(config)?;
        self.settle();
        self.channel.filter.apply(config)
    }

    fn flow_mod(&mut self, now: Time, fm: &FlowMod, host: &mut dyn Host) -> Result<(), OfError> {
        self.counters.flow_mods += 1;
        let released = self.releases(fm);
        if released {
            // Judged before anything changes: a flow-mod with a bad buffer does nothing at all.
            self.channel.buffer.check(now, fm.buffer_id)?;
        }
        host.flow_mod(now, self.version, fm)?;
        if released {
            self.release(now, fm.buffer_id, host)?;
        }
        Ok(())
    }

    /// The table that a 1.0 flow-mod means.
    pub(super) fn place_flow_mod(&self, fm: &mut FlowMod) {
        if self.version != Version::V10 {
            return;
        }
        if self.channel.flow_mod_table_id {
            if let FlowModCommand::Unknown(raw) = fm.command {
                let [table, command] = raw.to_be_bytes();
                fm.table = TableId(table);
                fm.command = match command {
                    0 => FlowModCommand::Add,
                    1 => FlowModCommand::Modify,
                    2 => FlowModCommand::ModifyStrict,
                    3 => FlowModCommand::Delete,
                    4 => FlowModCommand::DeleteStrict,
                    _ => fm.command,
                };
                // "Any table" of an add is for the switch to choose.
                if fm.table == TableId::ALL && fm.command == FlowModCommand::Add {
                    fm.table = TableId(0);
                }
            }
        } else if fm.command != FlowModCommand::Add {
            // One table as far as 1.0 can see: what it modifies or deletes changes or goes wherever it is.
            fm.table = TableId::ALL;
        }
    }

    /// Whether the flow-mod sends a kept packet on its way.
    pub(super) fn releases(&self, fm: &FlowMod) -> bool {
        fm.buffer_id != BufferId::NONE && !matches!(fm.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict)
    }

    /// Sends a kept packet through the pipeline from the first table.
    pub(super) fn release(&mut self, now: Time, id: BufferId, host: &mut dyn Host) -> Result<(), OfError> {
        let Kept { frame, in_port } = self.channel.buffer.take(now, id)?;
        let pipeline = Match::any().with(FieldId::InPort, u128::from(in_port.0));
        host.packet_out(now, self.version, frame, &pipeline, &[Action::output(PortNo::TABLE)])
    }

    fn packet_out(&mut self, now: Time, po: &PacketOut, host: &mut dyn Host) -> Result<(), OfError> {
        self.counters.packet_outs += 1;
        check_pipeline(self.version, &po.matching, host)?;
        if po.buffer_id == BufferId::NONE {
            check_frame(&po.data)?;
            return host.packet_out(now, self.version, po.data.clone(), &po.matching, &po.actions);
        }
        // A refused packet-out changes nothing: the packet stays kept.
        let kept = self.channel.buffer.peek(now, po.buffer_id)?.clone();
        host.packet_out(now, self.version, kept.frame, &po.matching, &po.actions)?;
        self.channel.buffer.take(now, po.buffer_id).map(|_| ())
    }

    /// A packet that was paused goes on.
    fn resume(&mut self, now: Time, resume: PacketIn2, host: &mut dyn Host) -> Result<(), OfError> {
        self.counters.packet_outs += 1;
        let pipeline = resume.metadata.unwrap_or_default();
        check_pipeline(self.version, &pipeline, host)?;
        let frame = resume.packet.unwrap_or_default();
        check_frame(&frame)?;
        let Some(rest) = resume.continuation else {
            return Err(err(ErrorKind::NxResumeStale, "continuation", "there is none"));
        };
        let rest = wire::decode_continuation(&rest)?;
        validate::continuation(&rest)?;
        host.resume(now, frame, &pipeline, &rest)
    }

    pub(super) fn forward(&mut self, xid: Xid, request: Message, host: &mut dyn Host) {
        host.effect(self.governing(), Effect::Forward { xid, request: Box::new(request) });
    }

    fn role_request(&mut self, xid: Xid, request: &RoleMsg, host: &mut dyn Host) -> Result<(), OfError> {
        let short_id = if self.version >= Version::V15 { request.short_id } else { 0 };
        if short_id != 0 && host.short_id_taken(self.governing(), short_id) {
            return Err(err(
                ErrorKind::RoleRequestFailedIdInUse,
                "short_id",
                format!("another controller has the short id {short_id}"),
            ));
        }
        let role = host.role_request(self.governing(), self.channel.role, request.role, request.generation_id)?;
        if request.role != Role::NoChange {
            self.settle();
        }
        self.take_role(role, host);
        // 0 gives it back, but in a query, which changes nothing.
        let query = request.role == Role::NoChange && short_id == 0;
        if short_id != self.channel.short_id && !query {
            self.channel.short_id = short_id;
            host.take_short_id(self.governing(), short_id);
            host.effect(self.governing(), Effect::ControllerStatus { reason: STATUS_SHORT_ID });
        }
        let reply =
            RoleMsg { role: self.channel.role, short_id: self.channel.short_id, generation_id: host.generation() };
        self.send(xid, &Message::RoleReply(reply));
        Ok(())
    }

    fn take_role(&mut self, role: Role, host: &mut dyn Host) {
        let before = std::mem::replace(&mut self.channel.role, role);
        if role == Role::Master && before != Role::Master {
            host.effect(self.governing(), Effect::NewMaster);
        }
        if role != before {
            host.effect(self.governing(), Effect::ControllerStatus { reason: STATUS_ROLE });
        }
    }

    fn nicira(&mut self, now: Time, xid: Xid, message: NxMessage, host: &mut dyn Host) -> Result<(), OfError> {
        match message {
            NxMessage::RoleRequest(role) => {
                if let Role::Unknown(n) = role {
                    let reason = format!("role {n} is not defined");
                    return Err(err(ErrorKind::RoleRequestFailedBadRole, "role", reason));
                }
                // This form has no generation: nothing can be stale.
                if role != Role::NoChange {
                    self.settle();
                    self.take_role(role, host);
                }
                let role = self.channel.role;
                self.send(xid, &Message::Nicira(NxMessage::RoleReply(role)));
            }
            NxMessage::SetFlowFormat(format) => {
                if format != 0 && format != 2 {
                    let reason = format!("flow format {format} is not known; 0 (1.0) and 2 (NXM) are");
                    return Err(err(ErrorKind::BadRequestEperm, "format", reason));
                }
            }
            NxMessage::FlowModTableId(on) => self.channel.flow_mod_table_id = on,
            NxMessage::SetPacketInFormat(format) => {
                self.channel.packet_in_format = match format {
                    0 => PacketInFormat::Standard,
                    1 => PacketInFormat::Nxt1,
                    2 => PacketInFormat::Nxt2,
                    _ => {
                        let reason = format!("packet-in format {format} is not known; 0, 1 and 2 are");
                        return Err(err(ErrorKind::BadRequestEperm, "format", reason));
                    }
                };
            }
            NxMessage::SetAsyncConfig { packet_in, port_status, flow_removed } => {
                self.settle();
                for (kind, masks) in [
                    (AsyncKind::PacketIn, packet_in),
                    (AsyncKind::PortStatus, port_status),
                    (AsyncKind::FlowRemoved, flow_removed),
                ] {
                    self.channel.filter.set(kind, true, masks[0]);
                    self.channel.filter.set(kind, false, masks[1]);
                }
            }
            NxMessage::SetAsyncConfig2(config) => self.set_async(&config)?,
            NxMessage::SetControllerId(id) => self.channel.controller_id = id,
            NxMessage::FlowMod(fm) => self.flow_mod(now, &fm, host)?,
            NxMessage::Resume(resume) => self.resume(now, *resume, host)?,
            NxMessage::FlowMonitorCancel(id) | NxMessage::OnfFlowMonitorCancel(id) => self.cancel_monitor(id)?,
            // No tunnels, so no options: the table has no room.
            NxMessage::TlvTableRequest => {
                let reply = NxMessage::TlvTableReply { max_option_space: 0, max_fields: 0, maps: Vec::new() };
                self.send(xid, &Message::Nicira(reply));
            }
            NxMessage::TlvTableMod { command: TlvTableCommand::Add, maps } if !maps.is_empty() => {
                return Err(err(
                    ErrorKind::NxTlvTableFull,
                    "maps",
                    "this switch has no tunnels, and no options of theirs",
                ));
            }
            NxMessage::TlvTableMod { .. } => {}
            // Not what it says: it may be long.
            _ => {
                let reason = "only switches send extension messages of this type";
                return Err(err(ErrorKind::BadRequestBadExpType, "exp_type", reason));
            }
        }
        Ok(())
    }
}

fn not_from_a_controller(what: impl std::fmt::Display) -> OfError {
    err(ErrorKind::BadRequestBadType, "type", format!("{what} is nothing that a controller sends here"))
}

/// What isn't judged as it comes: what stands in a bundle is judged on its own, and its error bears its own xid; an
/// empty segment is nothing before all of its request is there.
fn judged_later(message: &Message) -> bool {
    match message {
        Message::BundleAdd(_) | Message::BundleControl(_) => true,
        Message::MultipartRequest(m) => m.other_flags == 0 && matches!(m.body, MultipartRequest::Empty { .. }),
        _ => false,
    }
}

/// Whether a slave may not send it (OpenFlow 1.3.5 §6.3.7): it changes state or sends packets.
fn changes_state(message: &Message) -> bool {
    match message {
        Message::FlowMod(_)
        | Message::GroupMod(_)
        | Message::MeterMod(_)
        | Message::PortMod(_)
        | Message::TableMod(_)
        | Message::PacketOut(_)
        | Message::BundleControl(_)
        | Message::BundleAdd(_)
        | Message::Nicira(NxMessage::FlowMod(_) | NxMessage::Resume(_) | NxMessage::TlvTableMod { .. }) => true,
        Message::MultipartRequest(m) => matches!(&m.body, MultipartRequest::TableFeatures(v) if !v.is_empty()),
        _ => false,
    }
}

pub(super) fn unknown_experimenter(e: &Experimenter) -> OfError {
    match e.experimenter {
        ExperimenterId::NICIRA | ExperimenterId::ONF => err(
            ErrorKind::BadRequestBadExpType,
            "exp_type",
            format!("type {:?} of experimenter {} is not known", e.exp_type, e.experimenter),
        ),
        other => err(ErrorKind::BadRequestBadExperimenter, "experimenter", format!("{other} is not known")),
    }
}

/// A packet-out's pipeline fields: where it came in, and nothing of its headers.
pub(super) fn check_pipeline(version: Version, pipeline: &Match, host: &dyn Host) -> Result<(), OfError> {
    for field in &pipeline.fields {
        if !field.id.is_pipeline() {
            return Err(err(
                ErrorKind::BadRequestPipelineFieldsOnly,
                field.id.info().name,
                "a packet-out's match names pipeline fields only",
            ));
        }
    }
    if pipeline.get(FieldId::PacketType).is_some_and(|f| f.value != 0) {
        return Err(err(ErrorKind::BadMatchBadValue, "packet_type", "this switch has Ethernet packets only"));
    }
    let Some(port) = pipeline.get(FieldId::InPort) else {
        return Err(err(ErrorKind::BadRequestBadPort, "in_port", "the packet-out doesn't say where it came in"));
    };
    let port = PortNo(u32::try_from(port.value).unwrap_or(u32::MAX));
    // 1.0 says NONE (and controllers of later versions ANY) for packets that came from nowhere.
    let nowhere = port == PortNo::ANY && version <= Version::V11;
    if port == PortNo::CONTROLLER || nowhere || host.is_ingress(port) {
        Ok(())
    } else {
        Err(err(ErrorKind::BadRequestBadPort, "in_port", format!("port {port} can't be where a packet came in")))
    }
}

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: usize = 14;

pub(super) fn check_frame(data: &Bytes) -> Result<(), OfError> {
    if data.len() < ETHERNET_HEADER {
        return Err(err(ErrorKind::BadRequestBadPacket, "data", format!("{} bytes are no Ethernet frame", data.len())));
    }
    Ok(())
}
