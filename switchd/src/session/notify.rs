//! What a connection is told unasked: packet-ins, removals, status changes, flow monitors' updates.

use super::filter::{flow_removed_reason, packet_in_reason, port_reason};
use super::{FlowKey, PacketInFormat, PausedFlow, Purpose, Session, State, limits};
use crate::packet_buffer::Kept;
use bytes::Bytes;
use datapath::clock::Time;
use datapath::control::ports::config_bits;
use ofproto::Version;
use ofproto::action::MAX_LEN_NO_BUFFER;
use ofproto::async_config::AsyncKind;
use ofproto::continuation::Continuation;
use ofproto::field::FieldId;
use ofproto::flow::{FlowRemoved, FlowRemovedReason};
use ofproto::ids::{BufferId, Cookie, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};
use ofproto::message::{Message, MultipartReply, RequestForward};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorFlags};
use ofproto::nx_message::{NxMessage, PacketIn2};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::port::{Port, PortReason, PortStatus};
use ofproto::role::{ControllerStatus, Role, RoleStatus};
use ofproto::stats::{FlowDesc, FlowStatsEntry};
use ofproto::table::TableStatus;
use ofproto::wire;
use std::collections::HashMap;
use std::sync::Arc;

/// `OFPFSR_STAT_TRIGGER`
const OFPFSR_STAT_TRIGGER: u8 = 1;

/// 1.5's packet registers, two of Nicira's registers each.
const XREGS: [FieldId; 8] = [
    FieldId::Xreg0,
    FieldId::Xreg1,
    FieldId::Xreg2,
    FieldId::Xreg3,
    FieldId::Xreg4,
    FieldId::Xreg5,
    FieldId::Xreg6,
    FieldId::Xreg7,
];

/// A packet on its way to controllers.
#[derive(Clone, Debug, PartialEq)]
pub struct Punted {
    /// The frame as the pipeline left it, without FCS.
    pub frame: Bytes,
    /// Where it came in.
    pub in_port: PortNo,
    /// The pipeline fields, `in_port` first.
    pub pipeline: Arc<Match>,
    /// Why.
    pub reason: PacketInReason,
    /// From which table.
    pub table: TableId,
    /// Of the entry that sent it; all ones if none.
    pub cookie: Cookie,
    /// Bytes asked for by the output action; `None`: the connection's `miss_send_len` counts.
    pub max_len: Option<u16>,
    /// No entry matched and the table has no miss entry: 1.0-1.2's default, nothing to 1.3+.
    pub implicit_miss: bool,
    /// Only for connections with this Nicira controller id.
    pub controller_id: Option<u16>,
    /// Nicira's opaque data.
    pub userdata: Option<Bytes>,
    /// What it still has to do: it waits until a controller lets it go on.
    pub paused: Option<Box<Continuation>>,
    /// The same for all packets of a flow, spread evenly over flows; 0 where nobody asked for it.
    pub flow: u64,
}

/// What became of a flow entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEvent {
    /// It is new.
    Added,
    /// Its instructions changed.
    Modified,
    /// It is gone.
    Removed(FlowRemovedReason),
}

/// A change of a flow entry.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowChange {
    /// What happened.
    pub event: FlowEvent,
    /// The entry, of one that is gone as it was last.
    pub flow: FlowDesc,
    /// Its instructions before it was modified.
    pub before: Option<Arc<[Instruction]>>,
    /// The message of a bundle that did it.
    pub bundled: Option<Xid>,
}

impl FlowChange {
    fn before(&self) -> Option<&[Instruction]> {
        self.before.as_deref()
    }
}

impl Session {
    fn up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether an asynchronous message goes to this connection; ends one that doesn't read at all.
    fn wants(&mut self, kind: AsyncKind, reason: u8) -> bool {
        if !self.up() || !self.channel.filter.wants(kind, reason, self.is_slave()) {
            return false;
        }
        self.room()
    }

    fn room(&mut self) -> bool {
        if self.unsent() > limits::HARD_QUEUE {
            self.end(false, format!("the peer doesn't read: {} bytes wait for it", self.unsent()));
            return false;
        }
        true
    }

    /// Whether any packet of this kind would be sent: cheap, for those who would have to copy it.
    pub fn wants_packet_in(&self, punted: &Punted) -> bool {
        self.up()
            && self.channel.filter.wants(
                AsyncKind::PacketIn,
                packet_in_reason(self.version, punted.reason),
                self.is_slave(),
            )
            && !(punted.implicit_miss && self.version >= Version::V13)
            && punted.controller_id.unwrap_or(0) == self.channel.controller_id
    }

    /// Sends a packet-in, if the connection wants it and reads; returns whether it was sent.
    pub fn packet_in(&mut self, now: Time, punted: &Punted) -> bool {
        if !self.wants_packet_in(punted) {
            return false;
        }
        let source = (punted.in_port, punted.table, punted.reason);
        let unsent = self.unsent();
        if !self.shares.admits(source, unsent) {
            self.counters.packet_ins_dropped += 1;
            return false;
        }
        let full = punted.frame.len();
        let asked = punted.max_len.unwrap_or(self.channel.miss_send_len);
        let kept = if asked == MAX_LEN_NO_BUFFER {
            None
        } else {
            self.channel.buffer.keep(now, Kept { frame: punted.frame.clone(), in_port: punted.in_port })
        };
        // Without a buffer the whole packet goes, whatever length was asked for.
        let len = if kept.is_some() { full.min(usize::from(asked)) } else { full };
        let data = punted.frame.slice(..len.min(limits::PACKET_IN_DATA));
        let buffer_id = kept.unwrap_or(BufferId::NONE);
        let mut pipeline = std::mem::take(&mut self.told);
        self.name_fields(&punted.pipeline, &mut pipeline);
        let continuation = match &punted.paused {
            Some(rest) if self.channel.packet_in_format == PacketInFormat::Nxt2 => {
                match wire::encode_continuation(rest) {
                    Ok(c) if c.len() + data.len() <= limits::PACKET_IN_DATA => Some(c),
                    // It couldn't go on, whatever the controller does.
                    _ => {
                        self.counters.packet_ins_dropped += 1;
                        return false;
                    }
                }
            }
            _ => None,
        };
        let message = if self.channel.packet_in_format == PacketInFormat::Nxt2 {
            Message::Nicira(NxMessage::PacketIn2(Box::new(PacketIn2 {
                packet: Some(data),
                full_len: (len < full).then(|| u32::try_from(full).unwrap_or(u32::MAX)),
                buffer_id: kept.map(|b| b.0),
                table_id: Some(punted.table.0),
                cookie: (punted.cookie.0 != u64::MAX).then_some(punted.cookie.0),
                reason: Some(packet_in_reason(Version::V14, punted.reason)),
                metadata: Some(pipeline),
                userdata: punted.userdata.clone(),
                continuation,
                ..PacketIn2::default()
            })))
        } else {
            let packet_in = PacketIn {
                buffer_id,
                total_len: u16::try_from(full).unwrap_or(u16::MAX),
                reason: self.fold_reason(punted.reason),
                table: punted.table,
                cookie: punted.cookie,
                matching: pipeline,
                data,
            };
            if self.channel.packet_in_format == PacketInFormat::Nxt1 {
                Message::Nicira(NxMessage::PacketIn(packet_in))
            } else {
                Message::PacketIn(packet_in)
            }
        };
        let xid = Xid(0);
        self.send(xid, &message);
        if let Message::PacketIn(p) | Message::Nicira(NxMessage::PacketIn(p)) = message {
            self.told = p.matching;
        }
        self.counters.packet_ins_sent += 1;
        true
    }

    /// Pipeline fields as the version names them: 1.5 has registers of 64 bits. `all` is memory for them.
    fn name_fields(&self, fields: &Match, all: &mut Match) {
        all.unknown.clone_from(&fields.unknown);
        if self.version < Version::V15 || self.channel.packet_in_format == PacketInFormat::Nxt1 {
            all.fields.clone_from(&fields.fields);
            return;
        }
        all.fields.clear();
        for f in &fields.fields {
            let Some(i) = (f.id as usize).checked_sub(FieldId::Reg0 as usize).filter(|i| *i < 16) else {
                all.fields.push(f.clone());
                continue;
            };
            let half = if i % 2 == 0 { f.value << 32 } else { f.value };
            match XREGS.get(i / 2).map(|id| (*id, all.fields.iter_mut().find(|x| x.id == *id))) {
                Some((_, Some(whole))) => whole.value |= half,
                Some((id, None)) => all.fields.push(MatchField::exact(id, half)),
                None => {}
            }
        }
    }

    /// The reason that the version can tell.
    fn fold_reason(&self, reason: PacketInReason) -> PacketInReason {
        let folded = match (self.version, reason) {
            (v, PacketInReason::InvalidTtl) if v < Version::V12 => 1,
            (v, reason) => packet_in_reason(v, reason),
        };
        match folded {
            0 => PacketInReason::TableMiss,
            1 => PacketInReason::ApplyAction,
            2 => PacketInReason::InvalidTtl,
            3 => PacketInReason::ActionSet,
            4 => PacketInReason::Group,
            5 => PacketInReason::PacketOut,
            n => PacketInReason::Other(n),
        }
    }

    /// A flow entry with `SEND_FLOW_REM` is gone.
    pub fn flow_removed(&mut self, removed: &FlowRemoved) {
        if self.wants(AsyncKind::FlowRemoved, flow_removed_reason(self.version, removed.reason)) {
            self.send(Xid(0), &Message::FlowRemoved(removed.clone()));
        }
    }

    /// A port came, went or changed.
    pub fn port_status(&mut self, reason: PortReason, port: &Port) {
        if self.wants(AsyncKind::PortStatus, port_reason(reason)) {
            let mut port = port.clone();
            port.config &= config_bits(self.version);
            self.send(Xid(0), &Message::PortStatus(PortStatus { reason, port }));
        }
    }

    /// Thresholds of stat-triggers were passed (1.5). What a peer that is behind doesn't take is left out
    /// (OpenFlow 1.5.1 §7.2.5 allows that under congestion).
    pub fn flow_stats(&mut self, entries: &[FlowStatsEntry]) {
        if self.version >= Version::V15
            && self.unsent() < limits::REPLY_QUEUE
            && self.wants(AsyncKind::FlowStats, OFPFSR_STAT_TRIGGER)
        {
            self.send_reply(Xid(0), MultipartReply::FlowStats(entries.to_vec()), true);
        }
    }

    /// A table's vacancy passed a threshold (1.4+).
    pub fn table_status(&mut self, status: &TableStatus) {
        if self.version >= Version::V14 && self.wants(AsyncKind::TableStatus, status.reason) {
            self.send(Xid(0), &Message::TableStatus(status.clone()));
        }
    }

    /// Another connection's request succeeded (1.4+): `reason` 0 for a group-mod, 1 for a meter-mod.
    pub fn request_forward(&mut self, xid: Xid, request: &Message) {
        let reason = u8::from(matches!(request, Message::MeterMod(_)));
        if self.version >= Version::V14 && self.wants(AsyncKind::RequestForward, reason) {
            let forward = RequestForward { xid, request: Box::new(request.clone()) };
            self.send(Xid(0), &Message::RequestForward(forward));
        }
    }

    /// A controller's connection or role changed (1.5).
    pub fn controller_status(&mut self, status: &ControllerStatus) {
        if self.version >= Version::V15 && self.wants(AsyncKind::ControllerStatus, status.reason) {
            self.send(Xid(0), &Message::ControllerStatus(status.clone()));
        }
    }

    /// Another connection became master: a master is a slave from now on, and told so from 1.4 on,
    /// whatever its filter says (OpenFlow 1.4.1 §6.3.7).
    pub fn demote(&mut self, generation_id: u64) -> bool {
        if self.channel.role != Role::Master {
            return false;
        }
        self.channel.role = Role::Slave;
        if self.up() && self.version >= Version::V14 && self.room() {
            let status = RoleStatus { role: Role::Slave, reason: 0, generation_id, properties: Vec::new() };
            self.send(Xid(0), &Message::RoleStatus(status));
        }
        true
    }

    /// Whether it is the main connection to a controller that the switch dialled.
    pub fn is_dialled(&self) -> bool {
        self.purpose == Purpose::Controller && !self.visitor
    }

    /// Whether this connection is a controller's: a standalone bridge goes by its tables then.
    pub fn controls(&self) -> bool {
        self.up() && self.purpose == Purpose::Controller && !(self.visitor && self.channel.role == Role::Slave)
    }

    /// Whether some monitor might want to know of a change.
    pub fn monitors_flows(&self) -> bool {
        self.up() && !self.monitors.is_empty()
    }

    /// Tells the connection's monitors of a change; `own` is the xid of its own request that caused it.
    pub fn flow_event(&mut self, change: &FlowChange, own: Option<Xid>) {
        if !self.monitors_flows() {
            return;
        }
        let FlowChange { event, flow, .. } = change;
        let wanted = match event {
            FlowEvent::Added => MonitorFlags::ADD,
            FlowEvent::Modified => MonitorFlags::MODIFY,
            FlowEvent::Removed(_) => MonitorFlags::REMOVED,
        };
        let flags = self
            .monitors
            .values()
            .filter(|m| m.flags.contains(wanted))
            .filter(|m| own.is_some() || !m.flags.contains(MonitorFlags::ONLY_OWN))
            .filter(|m| covers(m, flow, &flow.instructions) || change.before().is_some_and(|b| covers(m, flow, b)))
            .map(|m| m.flags)
            .reduce(|a, b| a | b);
        // What is withheld goes on changing, whoever wants to hear of the change itself.
        let never_told = self.paused.as_mut().is_some_and(|paused| note_change(paused, *event, flow));
        let Some(flags) = flags else { return };
        if !self.room() || never_told || self.withhold(*event, flow) {
            return;
        }
        let update = match own {
            Some(xid) if !flags.contains(MonitorFlags::NO_ABBREV) => {
                // It names the request (of a bundle, the message in it), whatever that changed: once is enough.
                let xid = change.bundled.unwrap_or(xid);
                if self.abbreviated.replace(xid) == Some(xid) {
                    return;
                }
                FlowUpdate::Abbrev(xid)
            }
            _ => full_update(
                match event {
                    FlowEvent::Added => FlowUpdateEvent::Added,
                    FlowEvent::Modified => FlowUpdateEvent::Modified,
                    FlowEvent::Removed(reason) => FlowUpdateEvent::Removed(*reason),
                },
                flow,
                flags.contains(MonitorFlags::INSTRUCTIONS),
            ),
        };
        self.update(update);
    }

    /// What comes next has another cause, whatever xid that bears on whichever of the channel's connections.
    pub fn forget_cause(&mut self) {
        self.abbreviated = None;
    }

    fn update(&mut self, update: FlowUpdate) {
        self.send_reply(Xid(0), MultipartReply::FlowMonitor(vec![update]), true);
    }

    /// While the peer doesn't read, what is new or changed is remembered instead of told, and what
    /// was there before and goes is told (OpenFlow 1.4.1 §7.3.5.17). Whether the event is withheld.
    fn withhold(&mut self, event: FlowEvent, flow: &FlowDesc) -> bool {
        if self.paused.is_none() {
            if self.unsent() < limits::REPLY_QUEUE {
                return false;
            }
            self.update(FlowUpdate::Paused);
        }
        let paused = self.paused.get_or_insert_default();
        if let FlowEvent::Removed(_) = event {
            return false;
        }
        let key = (flow.table, flow.priority, flow.matching.clone());
        let added = event == FlowEvent::Added;
        paused.entry(key).or_insert_with(|| PausedFlow { added, flow: flow.clone() });
        if paused.len() > limits::PAUSED_FLOWS {
            self.end(false, "the peer doesn't read its flow monitors' updates");
        }
        true
    }

    /// Tells what was withheld, once the peer has read.
    pub(super) fn resume_monitors(&mut self) {
        if self.unsent() >= limits::PACKET_IN_QUEUE {
            return;
        }
        let Some(paused) = self.paused.take() else { return };
        for PausedFlow { added, flow } in paused.into_values() {
            let event = if added { FlowUpdateEvent::Added } else { FlowUpdateEvent::Modified };
            let covering = self
                .monitors
                .values()
                .filter(|m| covers(m, &flow, &flow.instructions))
                .map(|m| m.flags)
                .reduce(|a, b| a | b);
            let Some(flags) = covering else { continue };
            self.update(full_update(event, &flow, flags.contains(MonitorFlags::INSTRUCTIONS)));
        }
        self.update(FlowUpdate::Resumed);
    }
}

/// Keeps what is withheld up to date: whether the flow that this happened to was never told of, and is gone.
fn note_change(paused: &mut HashMap<FlowKey, PausedFlow>, event: FlowEvent, flow: &FlowDesc) -> bool {
    if paused.is_empty() {
        return false;
    }
    let key = (flow.table, flow.priority, flow.matching.clone());
    if let FlowEvent::Removed(_) = event {
        return paused.remove(&key).is_some_and(|p| p.added);
    }
    if let Some(p) = paused.get_mut(&key) {
        p.flow = flow.clone();
    }
    false
}

/// An update that tells all of a flow.
pub(super) fn full_update(event: FlowUpdateEvent, flow: &FlowDesc, instructions: bool) -> FlowUpdate {
    FlowUpdate::Full {
        event,
        table: flow.table,
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        priority: flow.priority,
        cookie: flow.cookie,
        matching: flow.matching.clone(),
        instructions: if instructions { flow.instructions.clone() } else { Vec::new() },
    }
}

/// Whether a monitor looks at this flow as it is, or was, with these instructions.
pub(super) fn covers(monitor: &FlowMonitorRequest, flow: &FlowDesc, instructions: &[Instruction]) -> bool {
    use ofproto::action::Action;
    use ofproto::ids::GroupId;
    let actions = || {
        instructions.iter().flat_map(|i| match i {
            Instruction::WriteActions(a) | Instruction::ApplyActions(a) => a.as_slice(),
            _ => &[],
        })
    };
    (monitor.table == TableId::ALL || monitor.table == flow.table)
        && (monitor.out_port == PortNo::ANY
            || actions().any(|a| {
                matches!(a, Action::Output { port, .. } | Action::Enqueue { port, .. } if *port == monitor.out_port)
            }))
        && (monitor.out_group == GroupId::ANY
            || actions().any(|a| matches!(a, Action::Group(g) if *g == monitor.out_group)))
        && monitor.matching.fields.iter().all(|want| {
            flow.matching.get(want.id).is_some_and(|has| {
                let mask = want.effective_mask();
                has.effective_mask() & mask == mask && has.value & mask == want.value & mask
            })
        })
}
