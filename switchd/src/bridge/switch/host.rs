//! What sessions ask of the switch: requests on the way to [`Control`](datapath::control::Control), as one version or not at all.

use super::out::pipeline_key;
use super::ports::no_port;
use super::{Packets, Switch};
use crate::bridge::features;
use crate::session::ConnId;
use crate::session::host::{Answer, Effect, FlowCursor, Host, Identity, Staged, Ticket};
use bytes::Bytes;
use datapath::clock::Time;
use datapath::control::ports::config_bits;
use datapath::control::{BarrierToken, Control, DumpId};
use datapath::program::{Place, compile_packet_out};
use datapath::publish::FragmentHandling;
use ofproto::action::Action;
use ofproto::continuation::Continuation;
use ofproto::flow::FlowMod;
use ofproto::group::GroupMod;
use ofproto::ids::{PortNo, QueueId, TableId};
use ofproto::matching::Match;
use ofproto::message::{Capabilities, Message, MultipartReply, MultipartRequest};
use ofproto::meter::MeterMod;
use ofproto::port::PortMod;
use ofproto::queue::QueueDesc;
use ofproto::role::Role;
use ofproto::stats::{FlowDesc, SwitchDesc};
use ofproto::table::TableMod;
use ofproto::{ErrorKind, OfError, Version};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Carries out a request that changes the control's state; `None`: it is none.
pub(in crate::bridge) fn carry_out(
    control: &mut Control,
    version: Version,
    message: &Message,
    now: Time,
) -> Option<Result<(), OfError>> {
    Some(match message {
        Message::FlowMod(m) => control.flow_mod(version, m, now).map(|_| ()),
        Message::GroupMod(m) => control.group_mod(version, m, now),
        Message::MeterMod(m) => control.meter_mod(version, m, now),
        Message::PortMod(m) => control.port_mod(version, m, now),
        Message::TableMod(m) => control.table_mod(version, m, now),
        _ => return None,
    })
}

impl<P: Packets> Host for Switch<P> {
    fn identity(&self) -> Identity {
        Identity {
            dpid: self.config.dpid,
            n_tables: self.control.n_tables(),
            capabilities: Capabilities::FLOW_STATS
                | Capabilities::TABLE_STATS
                | Capabilities::PORT_STATS
                | Capabilities::GROUP_STATS
                | Capabilities::QUEUE_STATS
                | Capabilities::ARP_MATCH_IP
                | Capabilities::BUNDLES
                | Capabilities::FLOW_MONITORING,
        }
    }

    fn wall(&self) -> Duration {
        self.wall
    }

    fn frag_flags(&self) -> u16 {
        match self.control.state().config.fragments {
            FragmentHandling::Normal => 0,
            FragmentHandling::Drop => 1,
            FragmentHandling::Reassemble => 2,
        }
    }

    fn set_frag_flags(&mut self, now: Time, flags: u16) -> Result<(), OfError> {
        let fragments = match flags {
            0 => FragmentHandling::Normal,
            1 => FragmentHandling::Drop,
            n => {
                let reason = format!("fragment handling {n} isn't supported");
                return Err(OfError::new(ErrorKind::SwitchConfigFailedBadFlags, "flags", reason));
            }
        };
        self.control.configure(now, |c| c.fragments = fragments);
        Ok(())
    }

    fn flow_mod(&mut self, now: Time, version: Version, request: &FlowMod) -> Result<(), OfError> {
        self.changed(now);
        self.control.flow_mod(version, request, now).map(|_| ())
    }

    fn group_mod(&mut self, now: Time, version: Version, request: &GroupMod) -> Result<(), OfError> {
        self.changed(now);
        self.control.group_mod(version, request, now)
    }

    fn meter_mod(&mut self, now: Time, version: Version, request: &MeterMod) -> Result<(), OfError> {
        self.changed(now);
        self.control.meter_mod(version, request, now)
    }

    fn table_mod(&mut self, now: Time, version: Version, request: &TableMod) -> Result<(), OfError> {
        self.changed(now);
        self.control.table_mod(version, request, now)
    }

    fn port_mod(&mut self, now: Time, version: Version, by: ConnId, request: &PortMod) -> Result<(), OfError> {
        self.changed(now);
        self.by = Some(by);
        self.control.port_mod(version, request, now)
    }

    fn is_ingress(&self, port: PortNo) -> bool {
        self.control.ports().get(port).is_some()
    }

    fn packet_out(
        &mut self,
        _now: Time,
        version: Version,
        frame: Bytes,
        pipeline: &Match,
        actions: &[Action],
    ) -> Result<(), OfError> {
        let program = compile_packet_out(actions, &self.control.context(version, Place::PacketOut))?;
        self.send(program, pipeline, &frame);
        Ok(())
    }

    fn resume(&mut self, _now: Time, frame: Bytes, pipeline: &Match, rest: &Continuation) -> Result<(), OfError> {
        if rest.bridge != self.config.dpid.0 {
            let why = "another switch made this continuation";
            return Err(OfError::new(ErrorKind::NxResumeStale, "continuation", why));
        }
        self.go_on(rest, pipeline_key(pipeline), &frame)
    }

    fn check(&self, _version: Version, message: &Message) -> Result<(), OfError> {
        // Whether it can be carried out shows at the commit, with what the bundle itself brings; what can
        // be seen now is a table that doesn't exist.
        match message {
            Message::FlowMod(m) if m.table != TableId::ALL && m.table.0 >= self.control.n_tables() => {
                let reason = format!("there is no table {}", m.table);
                Err(OfError::new(ErrorKind::FlowModFailedBadTableId, "table_id", reason))
            }
            _ => Ok(()),
        }
    }

    fn commit(
        &mut self,
        now: Time,
        version: Version,
        by: ConnId,
        messages: &mut dyn Staged,
    ) -> Result<(), (usize, OfError)> {
        self.changed(now);
        self.by = Some(by);
        let mut outs = Vec::new();
        // Only who watches flows is told which message did what.
        let (watched, mut bundled) = (self.control.watches_flows(), vec![(self.control.told(), None)]);
        self.control.transaction(now, |control| {
            let mut next = 0;
            while let Some(message) = messages.next() {
                let i = next;
                next += 1;
                let (xid, message) = message.map_err(|e| (i, e))?;
                match (carry_out(control, version, message, now), message) {
                    (Some(done), _) => done.map_err(|e| (i, e))?,
                    (None, Message::PacketOut(po)) => {
                        let context = control.context(version, Place::PacketOut);
                        let program = compile_packet_out(&po.actions, &context).map_err(|e| (i, e))?;
                        outs.push((program, po.clone()));
                    }
                    _ => {
                        let e = OfError::new(ErrorKind::BundleFailedMsgUnsup, "message", "it can't be bundled");
                        return Err((i, e));
                    }
                }
                if watched {
                    bundled.push((control.told(), Some(xid)));
                }
            }
            Ok(())
        })?;
        self.bundled = bundled;
        for (program, po) in outs {
            self.send(program, &po.matching, &po.data);
        }
        Ok(())
    }

    fn multipart(&mut self, now: Time, version: Version, request: &MultipartRequest) -> Result<Answer, OfError> {
        let c = &mut self.control;
        Ok(Answer::Whole(match request {
            MultipartRequest::Desc => MultipartReply::Desc(SwitchDesc {
                mfr_desc: "switchd".into(),
                hw_desc: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                sw_desc: env!("CARGO_PKG_VERSION").into(),
                serial_num: "None".into(),
                dp_desc: self.config.name.clone(),
            }),
            MultipartRequest::Flow(r) | MultipartRequest::NxFlow(r) | MultipartRequest::FlowStats(r) => {
                let dump = c.flow_stats(r, version)?;
                return Ok(Answer::Flows(FlowCursor { request: r.clone(), mark: dump.0, ended: false }));
            }
            MultipartRequest::Aggregate(r) => MultipartReply::Aggregate(c.aggregate(r, version)?),
            MultipartRequest::NxAggregate(r) => MultipartReply::NxAggregate(c.aggregate(r, version)?),
            MultipartRequest::Table => MultipartReply::Table(features::table_stats(c, version)),
            MultipartRequest::PortStats(port) => MultipartReply::PortStats(self.port_stats(now, *port)?),
            MultipartRequest::Queue { port, queue } => {
                self.queue_check(version, *port, *queue)?;
                let packets = &self.packets;
                MultipartReply::Queue(self.queues.stats(now, *port, *queue, |p, q| packets.queue_counters(p, q)))
            }
            MultipartRequest::QueueDesc { port, queue } => {
                self.queue_check(version, *port, *queue)?;
                MultipartReply::QueueDesc(self.queues.describe(*port, *queue))
            }
            MultipartRequest::Group(id) => MultipartReply::Group(c.group_stats(*id, now)?),
            MultipartRequest::GroupDesc(id) => MultipartReply::GroupDesc(c.group_desc(*id)?),
            MultipartRequest::GroupFeatures => {
                MultipartReply::GroupFeatures(c.group_features(features::group_actions(version)))
            }
            MultipartRequest::Meter(id) => MultipartReply::Meter(c.meter_stats(*id, now)?),
            MultipartRequest::MeterConfig(id) => MultipartReply::MeterConfig(c.meter_config(*id)?),
            MultipartRequest::MeterFeatures => MultipartReply::MeterFeatures(c.meter_features()),
            MultipartRequest::TableFeatures(set) => {
                if !set.is_empty() {
                    c.set_table_features(version, set, now)?;
                }
                MultipartReply::TableFeatures(c.table_features(version))
            }
            MultipartRequest::PortDesc(port) => {
                let mut ports = c.port_descs();
                ports.iter_mut().for_each(|p| p.config &= config_bits(version));
                if *port != PortNo::ANY {
                    ports.retain(|p| p.port_no == *port);
                    if ports.is_empty() {
                        return Err(no_port(ErrorKind::BadRequestBadPort, *port));
                    }
                }
                MultipartReply::PortDesc(ports)
            }
            MultipartRequest::TableDesc => MultipartReply::TableDesc(c.table_desc()),
            MultipartRequest::ControllerStatus => MultipartReply::ControllerStatus(self.controllers.clone()),
            // Answered by the session.
            MultipartRequest::BundleFeatures(_)
            | MultipartRequest::FlowMonitor(_)
            | MultipartRequest::Experimenter(_)
            | MultipartRequest::Empty { .. }
            | MultipartRequest::Unknown { .. } => {
                let reason = "this multipart type isn't known here";
                return Err(OfError::new(ErrorKind::BadRequestBadMultipart, "type", reason));
            }
        }))
    }

    fn next_flows(&mut self, now: Time, cursor: &mut FlowCursor, most: usize, flows: &mut Vec<FlowDesc>) {
        cursor.ended = self.control.next_flows_into(DumpId(cursor.mark), most, now, flows);
    }

    fn end_flows(&mut self, cursor: &FlowCursor) {
        if !cursor.ended {
            self.control.end_dump(DumpId(cursor.mark));
        }
    }

    fn queues(&self, port: PortNo) -> Result<Vec<QueueDesc>, OfError> {
        self.queue_check(Version::V13, port, QueueId::ALL)?;
        Ok(self.queues.describe(port, QueueId::ALL))
    }

    fn barrier(&mut self, now: Time) -> Ticket {
        // Most are then out already, and the barrier needn't wait.
        self.hand_over(now);
        Ticket { changes: self.control.barrier().0, packets: self.packet_outs }
    }

    fn barrier_done(&self, ticket: Ticket) -> bool {
        self.control.barrier_done(BarrierToken(ticket.changes))
            && self.packet_outs_done.load(Ordering::Acquire) >= ticket.packets
    }

    fn role_request(&mut self, _by: ConnId, current: Role, asked: Role, generation: u64) -> Result<Role, OfError> {
        self.election.request(current, asked, generation)
    }

    fn generation(&self) -> u64 {
        self.election.generation()
    }

    fn short_id_taken(&self, by: ConnId, short_id: u16) -> bool {
        self.short_ids.iter().any(|(id, s)| *s == short_id && *id != by)
    }

    fn take_short_id(&mut self, by: ConnId, short_id: u16) {
        self.short_ids.insert(by, short_id);
    }

    fn effect(&mut self, by: ConnId, effect: Effect) {
        self.effects.push((by, effect));
    }
}
