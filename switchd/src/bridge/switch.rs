//! The switch behind the sessions: the datapath's control, its packets for controllers, its ports.
//!
//! Everything that a request can change goes through [`Control`], as one version or not at all.
//! Packet-outs are compiled here and carried out by a worker; a barrier waits for them, too.

use super::Instance;
use super::answers;
use super::features;
use super::hub::{Backend, Demand, Happened};
use super::punted::punted;
use super::queues::QueueTable;
use super::saving::{self, Saving};
use super::snapshot;
use crate::config::FailMode;
use crate::management::{Answer as ManagementAnswer, CallError, Request};
use crate::ports::PortEvent;
use crate::session::ConnId;
use crate::session::host::{Answer, Effect, FlowCursor, Host, Identity, Ticket};
use crate::session::notify::{self, FlowEvent, Punted};
use crate::session::role::Election;
use bytes::Bytes;
use datapath::clock::Time;
use datapath::control::ports::PortEntry;
use datapath::control::{BarrierToken, Control, DumpId, Event, FlowChange, FlowChangeKind, Modification, Tick};
use datapath::engine::{InBand, Shared};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::port::{PortCounters, QueueCounters};
use datapath::program::{Bits, Place, Program, Resumption, compile_packet_out, compile_resumption};
use datapath::publish::FragmentHandling;
use datapath::punt::Punt;
use datapath::table::Miss;
use datapath::worker::{TxQueues, WorkerCounters};
use ofproto::action::Action;
use ofproto::continuation::Continuation;
use ofproto::flow::FlowMod;
use ofproto::group::GroupMod;
use ofproto::ids::{Dpid, PortNo, QueueId, TableId};
use ofproto::matching::Match;
use ofproto::message::{Capabilities, Message, MultipartReply, MultipartRequest};
use ofproto::meter::MeterMod;
use ofproto::port::{EthernetStats, PortConfig, PortMod, PortReason, PortState, PortStats, PortStatsProp};
use ofproto::queue::QueueDesc;
use ofproto::role::{ControllerStatus, Role};
use ofproto::stats::{FlowDesc, FlowStats, SwitchDesc};
use ofproto::table::TableMod;
use ofproto::{ErrorKind, OfError, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;

/// What happens to a packet that isn't received.
#[derive(Debug)]
pub enum Way {
    /// A packet-out's actions.
    Actions(Program),
    /// What was left to do when it was paused.
    Rest(Resumption),
}

/// A packet to be sent.
#[derive(Debug)]
pub struct OutPacket {
    /// What happens to it.
    pub way: Way,
    /// Its pipeline fields.
    pub key: FlowKey,
    /// The packet.
    pub frame: Frame,
}

/// Carries out what has to happen where packets are: on a worker.
pub trait Packets: Send {
    /// Transmit halves of all ports for the bridge's own thread, if it has any.
    fn halves(&self) -> Option<MutexGuard<'_, TxQueues>> {
        None
    }
    /// Sends packets, in order; `done` is raised by their number when that has happened.
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>);
    /// Explains what the pipeline would do with a frame that comes in on a port.
    fn trace(&self, key: FlowKey, frame: Frame) -> Option<datapath::trace::Trace>;
    /// A port's counters, if it has a backend.
    fn port_counters(&self, port: PortNo) -> Option<PortCounters>;
    /// A queue's counters, if the port has it.
    fn queue_counters(&self, _port: PortNo, _queue: QueueId) -> Option<QueueCounters> {
        None
    }
    /// What each worker has counted.
    fn worker_counters(&self) -> Vec<WorkerCounters> {
        Vec::new()
    }
    /// Sets a port's interface administratively up or down. Doesn't wait until it is.
    fn set_port_up(&self, _port: PortNo, _up: bool) {}
}

/// What a switch is called and how it behaves by itself.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Its name, which a description shows.
    pub name: String,
    /// Datapath id.
    pub dpid: Dpid,
    /// What happens while no controller is connected.
    pub fail_mode: FailMode,
    /// Where flows, groups and meters are kept over a restart.
    pub state: Option<std::path::PathBuf>,
    /// The controllers that are reached through the switch's own ports; none: they aren't.
    pub in_band: Vec<SocketAddr>,
}

/// The switch.
pub struct Switch<P> {
    pub(super) control: Control,
    pub(super) shared: Arc<Shared>,
    pub(super) packets: P,
    pub(super) config: SwitchConfig,
    election: Election,
    short_ids: BTreeMap<ConnId, u16>,
    effects: Vec<(ConnId, Effect)>,
    /// Whose request is being carried out, for port-status.
    by: Option<ConnId>,
    controllers: Vec<ControllerStatus>,
    /// Memory for packets just taken from the workers' queue.
    punts: VecDeque<Punt>,
    packet_outs: u64,
    /// Compiled and not yet sent or handed to a worker: one hand-over each would cost more than they do.
    outgoing: Vec<OutPacket>,
    /// Whether all of `outgoing` may be sent by this thread.
    simple: bool,
    packet_outs_done: Arc<AtomicU64>,
    due: Option<Time>,
    wall: Duration,
    pub(super) demand: Demand,
    pub(super) queues: QueueTable,
    /// Ports whose interfaces were set down.
    down: BTreeSet<PortNo>,
    /// Configurations of ports that were kept and haven't come yet.
    kept_ports: BTreeMap<String, PortConfig>,
    /// A snapshot under way.
    pub(super) saving: Option<Saving>,
    /// From which address each controller is dialled.
    ways: BTreeMap<SocketAddr, IpAddr>,
}

/// Wishes of the pipeline carried out at a time.
const WISHES_PER_ROUND: usize = 256;

/// How soon to look again while something waits for workers.
const WAIT: Duration = Duration::from_millis(2);

impl<P: Packets> Switch<P> {
    /// A switch around a datapath, not controlled by anybody yet.
    pub fn new(now: Time, control: Control, shared: Arc<Shared>, packets: P, config: SwitchConfig) -> Self {
        let mut switch = Self {
            control,
            shared,
            packets,
            config,
            election: Election::default(),
            short_ids: BTreeMap::new(),
            effects: Vec::new(),
            by: None,
            controllers: Vec::new(),
            punts: VecDeque::new(),
            packet_outs: 0,
            outgoing: Vec::new(),
            simple: true,
            packet_outs_done: Arc::default(),
            due: None,
            wall: Duration::ZERO,
            demand: Demand { controlled: true, ..Demand::default() },
            queues: QueueTable::default(),
            down: BTreeSet::new(),
            kept_ports: BTreeMap::new(),
            saving: None,
            ways: BTreeMap::new(),
        };
        switch.note_queues();
        switch.note_in_band(now);
        switch.set_demand(now, Demand::default());
        switch
    }

    /// Every port's configuration that isn't empty, by its interface's name; of ports that haven't come
    /// since the restart, too.
    pub(super) fn port_configs(&self) -> BTreeMap<String, PortConfig> {
        let mut configs = self.kept_ports.clone();
        for (_, port) in self.control.ports().iter() {
            configs.insert(port.desc.name.clone(), port.desc.config);
        }
        configs.retain(|_, config| !config.is_empty());
        configs
    }

    /// Remembers what ports are to be configured as when they come.
    pub(super) fn keep_port_configs(&mut self, ports: Vec<(String, PortConfig)>) {
        self.kept_ports = ports.into_iter().collect();
    }

    /// Takes up what was kept. A snapshot that can't be taken up is left aside, as `.bad`, and the switch
    /// begins empty.
    pub fn restore_state(&mut self, now: Time) {
        let Some(path) = self.config.state.clone() else { return };
        match snapshot::restore(self, now, &path) {
            Ok(None) => {}
            Ok(Some(lines)) => {
                tracing::info!(bridge = self.config.name, path = %path.display(), lines, "state restored");
            }
            Err(e) => {
                tracing::error!(bridge = self.config.name, error = %e, "the state can't be restored");
                if let Err(e) = std::fs::rename(&path, path.with_extension("bad")) {
                    tracing::warn!(path = %path.display(), error = %e, "can't put the state aside");
                }
            }
        }
    }

    /// The control, to set things up before the bridge runs.
    pub fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    fn send(&mut self, program: Program, pipeline: &Match, frame: &[u8]) {
        self.packet_outs += 1;
        self.simple &= self.control.may_send(&program);
        let (way, key) = (Way::Actions(program), pipeline_key(pipeline));
        self.outgoing.push(OutPacket { way, key, frame: Frame::from_bytes(frame) });
    }

    /// Lets a paused packet go on.
    fn go_on(&mut self, rest: &Continuation, key: FlowKey, frame: &[u8]) -> Result<(), OfError> {
        // Each part has its own version.
        let rest = compile_resumption(rest, &self.control.context(Version::V15, Place::PacketOut))?;
        self.packet_outs += 1;
        self.simple = false;
        self.outgoing.push(OutPacket { way: Way::Rest(rest), key, frame: Frame::from_bytes(frame) });
        Ok(())
    }

    /// Lets pass what reaching the controllers takes, as far as it is known.
    fn note_in_band(&mut self, now: Time) {
        if self.config.in_band.is_empty() {
            return;
        }
        let mut own: Vec<IpAddr> = self.ways.values().copied().collect();
        own.sort_unstable();
        own.dedup();
        let local = self.control.ports().get(PortNo::LOCAL).map(|p| p.desc.hw_addr.0);
        let controllers = self.config.in_band.clone();
        self.control.set_in_band(now, Some(InBand { local, own, controllers }));
    }

    /// Sends packet-outs that only leave through ports, and hands others to a worker, with those that come
    /// between them: all leave in their order.
    fn hand_over(&mut self, now: Time) {
        if self.outgoing.is_empty() {
            return;
        }
        let before = self.packet_outs - self.outgoing.len() as u64;
        let simple = std::mem::replace(&mut self.simple, true);
        let passed = self.packet_outs_done.load(Ordering::Acquire) == before;
        if let Some(mut tx) = self.packets.halves().filter(|_| simple && passed) {
            let count = self.outgoing.len() as u64;
            for OutPacket { way, key, frame } in self.outgoing.drain(..) {
                if let Way::Actions(program) = way {
                    self.control.send(&self.shared, &program, key, frame, &mut tx, now);
                }
            }
            tx.flush();
            self.packet_outs_done.fetch_add(count, Ordering::Release);
            return;
        }
        self.packets.packet_outs(std::mem::take(&mut self.outgoing), Arc::clone(&self.packet_outs_done));
    }

    fn note_tick(&mut self, now: Time, tick: Tick) {
        self.due = match tick {
            Tick { busy: true, .. } => Some(now),
            Tick { waiting: true, next, .. } => Some(next.map_or(now + WAIT, |n| n.min(now + WAIT))),
            Tick { next, .. } => next,
        };
    }

    /// A change may have made something due earlier than the last tick said.
    pub(super) fn changed(&mut self, now: Time) {
        let soon = now + WAIT;
        self.due = Some(self.due.map_or(soon, |d| d.min(soon)));
    }

    /// A port's counters: its frames' mover's, and what its configuration kept from passing.
    pub(super) fn port_counters(&self, no: PortNo, entry: &PortEntry) -> Option<PortCounters> {
        let mut c = self.packets.port_counters(no)?;
        c.rx_dropped = c.rx_dropped.wrapping_add(entry.drops.received());
        c.tx_dropped = c.tx_dropped.wrapping_add(entry.drops.sent());
        Some(c)
    }

    pub(super) fn port_stats(&self, now: Time, port: PortNo) -> Result<Vec<PortStats>, OfError> {
        let ports = Arc::clone(self.control.ports());
        let of = |no: PortNo, entry: &PortEntry| {
            let c = self.port_counters(no, entry).unwrap_or_default();
            let age = now.since(entry.created);
            PortStats {
                port_no: no,
                duration_sec: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
                duration_nsec: age.subsec_nanos(),
                rx_packets: c.rx_packets,
                tx_packets: c.tx_packets,
                rx_bytes: c.rx_bytes,
                tx_bytes: c.tx_bytes,
                rx_dropped: c.rx_dropped,
                tx_dropped: c.tx_dropped,
                rx_errors: c.rx_errors,
                tx_errors: c.tx_errors,
                // The kernel keeps these, per interface; a port doesn't know them.
                properties: vec![PortStatsProp::Ethernet(EthernetStats {
                    rx_frame_err: u64::MAX,
                    rx_over_err: u64::MAX,
                    rx_crc_err: u64::MAX,
                    collisions: u64::MAX,
                })],
            }
        };
        if port == PortNo::ANY {
            return Ok(ports.iter().map(|(no, p)| of(no, p)).collect());
        }
        match ports.get(port) {
            Some(p) => Ok(vec![of(port, p)]),
            None => Err(no_port(ErrorKind::BadRequestBadPort, port)),
        }
    }

    /// Whether what a request names exists; all queues of a port without any are none, and no error.
    fn queue_check(&self, port: PortNo, queue: QueueId) -> Result<(), OfError> {
        if port != PortNo::ANY && port != PortNo::ALL && self.control.ports().get(port).is_none() {
            return Err(no_port(ErrorKind::QueueOpFailedBadPort, port));
        }
        if queue != QueueId::ALL && !self.queues.has(port, queue) {
            let reason = format!("port {port} has no queue {queue}");
            return Err(OfError::new(ErrorKind::QueueOpFailedBadQueue, "queue_id", reason));
        }
        Ok(())
    }
}

/// A key with a packet's pipeline fields.
fn pipeline_key(pipeline: &Match) -> FlowKey {
    let mut key = FlowKey::default();
    for field in &pipeline.fields {
        key.set(field.id, field.value);
    }
    key
}

fn no_port(kind: ErrorKind, port: PortNo) -> OfError {
    OfError::new(kind, "port_no", format!("there is no port {port}"))
}

pub(super) fn modification(message: &Message) -> Option<Modification> {
    Some(match message {
        Message::FlowMod(m) => Modification::Flow(m.clone()),
        Message::GroupMod(m) => Modification::Group(m.clone()),
        Message::MeterMod(m) => Modification::Meter(m.clone()),
        Message::PortMod(m) => Modification::Port(m.clone()),
        Message::TableMod(m) => Modification::Table(m.clone()),
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
        messages: &[Message],
    ) -> Result<(), (usize, OfError)> {
        self.changed(now);
        self.by = Some(by);
        let mut outs = Vec::new();
        self.control.transaction(now, |control| {
            for (i, message) in messages.iter().enumerate() {
                match (message, modification(message)) {
                    (_, Some(change)) => control.modify(version, &change, now).map_err(|e| (i, e))?,
                    (Message::PacketOut(po), None) => {
                        let context = control.context(version, Place::PacketOut);
                        let program = compile_packet_out(&po.actions, &context).map_err(|e| (i, e))?;
                        outs.push((program, po));
                    }
                    _ => {
                        let e = OfError::new(ErrorKind::BundleFailedMsgUnsup, "message", "it can't be bundled");
                        return Err((i, e));
                    }
                }
            }
            Ok(())
        })?;
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
                self.queue_check(*port, *queue)?;
                let packets = &self.packets;
                MultipartReply::Queue(self.queues.stats(now, *port, *queue, |p, q| packets.queue_counters(p, q)))
            }
            MultipartRequest::QueueDesc { port, queue } => {
                self.queue_check(*port, *queue)?;
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
            | MultipartRequest::Unknown { .. } => {
                let reason = "this multipart type isn't known here";
                return Err(OfError::new(ErrorKind::BadRequestBadMultipart, "type", reason));
            }
        }))
    }

    fn next_flows(&mut self, now: Time, cursor: &mut FlowCursor, most: usize) -> Vec<FlowDesc> {
        let (flows, last) = self.control.next_flows(DumpId(cursor.mark), most, now);
        cursor.ended = last;
        flows
    }

    fn end_flows(&mut self, cursor: &FlowCursor) {
        if !cursor.ended {
            self.control.end_dump(DumpId(cursor.mark));
        }
    }

    fn queues(&self, port: PortNo) -> Result<Vec<QueueDesc>, OfError> {
        self.queue_check(port, QueueId::ALL)?;
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

impl<P: Packets> Backend for Switch<P> {
    fn take_effects(&mut self) -> Vec<(ConnId, Effect)> {
        std::mem::take(&mut self.effects)
    }

    fn take_events(&mut self) -> Vec<Happened> {
        let by = self.by.take();
        self.control
            .events()
            .filter_map(|event| match event {
                Event::FlowRemoved(removed) => Some(Happened::FlowRemoved(removed)),
                Event::FlowChanged(change) => Some(flow_change(change)),
                Event::FlowStats(entries) => Some(Happened::FlowStats(entries)),
                Event::TableStatus(status) => Some(Happened::Table(status)),
                Event::PortStatus { reason, port, by_request } => {
                    let down = port.config.contains(PortConfig::PORT_DOWN);
                    if by_request && down != self.down.contains(&port.port_no) {
                        if down {
                            self.down.insert(port.port_no)
                        } else {
                            self.down.remove(&port.port_no)
                        };
                        self.packets.set_port_up(port.port_no, !down);
                    }
                    if reason == PortReason::Delete || down || port.state.contains(PortState::LINK_DOWN) {
                        // Who was behind it may be elsewhere now.
                        self.shared.normal().forget_port(port.port_no);
                    }
                    Some(Happened::Port { reason, port, by: by.filter(|_| by_request) })
                }
                Event::GroupDeleted(_) | Event::MeterDeleted(_) => None,
            })
            .collect()
    }

    fn next_punts(&mut self, most: usize) -> Vec<Punted> {
        self.shared.punts().pop_some(most, &mut self.punts);
        let dpid = self.config.dpid;
        self.punts.drain(..).map(|punt| punted(punt, dpid)).collect()
    }

    fn set_demand(&mut self, now: Time, demand: Demand) {
        if demand.controlled != self.demand.controlled {
            let mode = match (self.config.fail_mode, demand.controlled) {
                (FailMode::Standalone, false) => datapath::engine::FailMode::Standalone,
                _ => datapath::engine::FailMode::Secure,
            };
            tracing::info!(bridge = self.config.name, controlled = demand.controlled, ?mode, "control changed");
            self.shared.set_mode(mode);
        }
        self.control.set_default_miss(if demand.misses { Miss::Controller } else { Miss::Drop }, now);
        self.control.watch_flows(demand.monitors);
        self.demand = demand;
    }

    fn set_controllers(&mut self, controllers: Vec<ControllerStatus>) {
        self.controllers = controllers;
    }

    fn forget(&mut self, id: ConnId) {
        self.short_ids.remove(&id);
    }

    fn set_wall(&mut self, wall: Duration) {
        self.wall = wall;
    }

    fn attend(&mut self, now: Time) {
        self.hand_over(now);
        for _ in 0..WISHES_PER_ROUND {
            let Some(request) = self.shared.next_request() else { break };
            self.wish(now, request);
        }
        // Packets that waited for what they taught.
        self.hand_over(now);
    }

    fn tick(&mut self, now: Time) {
        let tick = self.control.tick(now);
        self.note_tick(now, tick);
        self.go_on_saving(now);
    }

    fn deadline(&self, now: Time) -> Option<Time> {
        self.due.into_iter().chain(self.saving_due(now)).min()
    }
}

impl<P: Packets> Switch<P> {
    /// Carries out a wish of the pipeline.
    fn wish(&mut self, now: Time, request: datapath::pipeline::Request) {
        match request {
            datapath::pipeline::Request::Learn { flow_mod, limit, waiting } => {
                self.changed(now);
                let learnt = self.control.learn(&flow_mod, limit, now).unwrap_or_else(|e| {
                    tracing::debug!(bridge = self.config.name, error = %e, "a learnt flow was refused");
                    false
                });
                if let Some(mut waiting) = waiting {
                    let Bits { field, offset, .. } = waiting.result;
                    let bit = 1 << offset;
                    let others = waiting.key.get(field) & !bit;
                    waiting.key.set(field, others | if learnt { bit } else { 0 });
                    if let Err(e) = self.go_on(&waiting.rest, waiting.key, &waiting.frame) {
                        tracing::debug!(bridge = self.config.name, error = %e, "a packet can't go on after it taught");
                    }
                }
            }
            datapath::pipeline::Request::FinTimeout { entry, idle, hard } => {
                if self.control.shorten_timeouts(entry, idle, hard, now) {
                    self.changed(now);
                }
            }
        }
    }

    /// Tells control which queues actions may name.
    pub(super) fn note_queues(&mut self) {
        self.control.set_queues(Some(self.queues.iter().map(|(port, q)| (q.id, port)).collect()));
    }
}

impl<P: Packets> Instance for Switch<P> {
    fn port_event(&mut self, now: Time, event: PortEvent) {
        self.changed(now);
        match event {
            PortEvent::Added(mut port) => {
                // A port that comes again keeps the configuration that controllers gave it.
                let known = self.control.ports().get(port.port_no).map(|p| p.desc.config);
                let kept = self.kept_ports.remove(&port.name);
                let number = port.port_no;
                port.config = known.or(kept).unwrap_or(PortConfig::empty());
                if kept.is_some() && port.config.contains(PortConfig::PORT_DOWN) && self.down.insert(number) {
                    self.packets.set_port_up(number, false);
                }
                if let Err(e) = self.control.add_port(port, number.0, now) {
                    tracing::error!(bridge = self.config.name, port = %number, error = %e, "the port can't be added");
                }
            }
            PortEvent::Changed(new) => {
                self.control.update_port(new.port_no, now, |port| {
                    let config = port.config;
                    *port = new;
                    port.config = config;
                });
            }
            PortEvent::Removed(number) => {
                self.control.remove_port(number, now);
                self.queues.set(now, number, &[]);
                self.note_queues();
                self.down.remove(&number);
            }
            PortEvent::Queues(number, queues) => {
                self.queues.set(now, number, &queues);
                self.note_queues();
            }
        }
        self.note_in_band(now);
    }

    fn way(&mut self, now: Time, controller: SocketAddr, own: IpAddr) {
        self.ways.insert(controller, own);
        self.note_in_band(now);
    }

    fn ending(&mut self, now: Time) {
        let Some(path) = self.config.state.clone() else { return };
        self.give_up_saving();
        match saving::save(self, now, &path) {
            Ok(lines) => {
                tracing::info!(bridge = self.config.name, path = %path.display(), lines, "state saved");
            }
            Err(e) => tracing::error!(bridge = self.config.name, error = %e, "the state can't be saved"),
        }
    }

    fn save(&mut self, reply: oneshot::Sender<ManagementAnswer>) {
        if self.config.state.is_none() {
            let why = "the daemon was started without `--state`";
            // A client that went away needs no answer.
            let _ = reply.send(Err(CallError::Failed(why.into())));
            return;
        }
        self.begin_save(Box::new(|written| {
            let answer = match written {
                Ok(lines) => Ok(serde_json::json!({ "lines": lines })),
                Err(e) => Err(CallError::Failed(e.to_string())),
            };
            let _ = reply.send(answer);
        }));
    }

    fn answer(&mut self, now: Time, request: &Request) -> ManagementAnswer {
        answers::answer(self, now, request)
    }
}

fn flow_change(change: FlowChange) -> Happened {
    let event = match change.kind {
        FlowChangeKind::Added => FlowEvent::Added,
        FlowChangeKind::Modified => FlowEvent::Modified,
        FlowChangeKind::Removed(reason) => FlowEvent::Removed(reason),
    };
    let flow = FlowDesc {
        table: change.table,
        priority: change.priority,
        idle_timeout: change.idle_timeout,
        hard_timeout: change.hard_timeout,
        flags: change.flags,
        importance: 0,
        cookie: change.cookie,
        stats: FlowStats::default(),
        matching: change.matching,
        instructions: change.instructions.to_vec(),
    };
    Happened::Flow(Box::new(notify::FlowChange { event, flow, before: change.before }))
}
