//! The switch behind the sessions: the datapath's control, its packets for controllers, its ports.
//!
//! Everything that a request can change goes through [`Control`], as one version or not at all.
//! One owner, whoever holds the bridge's lock (`runner`); no locks but those of `shared` and of what [`Packets`] shares with workers.

mod host;
mod out;
mod ports;

use super::Instance;
use super::answers;
use super::hub::{Backend, Demand, Happened};
use super::listing::Listings;
use super::punted::Teller;
use super::queues::QueueTable;
use super::saving::{self, Saving};
use super::snapshot;
use super::tracing::Tracings;
use crate::config::FailMode;
use crate::management::{Answer as ManagementAnswer, CallError, Request, TracePacket};
use crate::ports::PortEvent;
use crate::session::ConnId;
use crate::session::host::Effect;
use crate::session::notify::{self, FlowEvent, Punted};
use crate::session::role::Election;
use datapath::clock::Time;
use datapath::control::{Control, Event, FlowChange, FlowChangeKind, Tick};
use datapath::engine::Shared;
use datapath::punt::Punt;
use datapath::table::Miss;
pub(super) use host::carry_out;
use ofproto::ids::{Dpid, PortNo, Xid};
use ofproto::port::{PortConfig, PortReason, PortState};
use ofproto::role::ControllerStatus;
use ofproto::stats::{FlowDesc, FlowStats};
use out::WISHES_PER_ROUND;
pub use out::{OutPacket, Packets, Way};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a switch is called and how it behaves by itself.
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Its name, which a description shows.
    pub name: String,
    /// Datapath id.
    pub dpid: Dpid,
    /// What happens while no controller is connected.
    pub fail_mode: FailMode,
    /// Whether controllers are configured to be dialled.
    pub dials: bool,
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
    /// Up to which of the events that come next which message of a bundle is the cause.
    bundled: Vec<(usize, Option<Xid>)>,
    controllers: Vec<ControllerStatus>,
    /// Memory for packets just taken from the workers' queue.
    punts: VecDeque<Punt>,
    teller: Teller,
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
    /// Lists of flows that management asks for.
    pub(super) listings: Listings,
    /// Traces that management asks for.
    pub(super) tracings: Tracings,
    /// From which address each controller is dialled.
    ways: BTreeMap<SocketAddr, super::Route>,
}

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
            bundled: Vec::new(),
            controllers: Vec::new(),
            punts: VecDeque::new(),
            teller: Teller::default(),
            packet_outs: 0,
            outgoing: Vec::new(),
            simple: true,
            packet_outs_done: Arc::default(),
            due: None,
            wall: Duration::ZERO,
            demand: Demand::default(),
            queues: QueueTable::default(),
            down: BTreeSet::new(),
            kept_ports: BTreeMap::new(),
            saving: None,
            listings: Listings::default(),
            tracings: Tracings::default(),
            ways: BTreeMap::new(),
        };
        switch.note_queues();
        switch.note_in_band(now);
        switch.set_demand(now, Demand::default());
        switch
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
}

impl<P: Packets> Backend for Switch<P> {
    fn take_effects(&mut self) -> Vec<(ConnId, Effect)> {
        std::mem::take(&mut self.effects)
    }

    fn take_events(&mut self) -> Vec<Happened> {
        let by = self.by.take();
        let mut bundled = std::mem::take(&mut self.bundled).into_iter().peekable();
        self.control
            .events()
            .enumerate()
            .filter_map(|(i, event)| match event {
                Event::FlowRemoved(removed) => Some(Happened::FlowRemoved(removed)),
                Event::FlowChanged(change) => {
                    while bundled.next_if(|(end, _)| *end <= i).is_some() {}
                    Some(flow_change(change, bundled.peek().and_then(|(_, xid)| *xid)))
                }
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

    fn next_punts(&mut self, most: usize, flows: bool, out: &mut Vec<Punted>) {
        self.shared.punts().pop_some(most, &mut self.punts);
        let dpid = self.config.dpid;
        let teller = &mut self.teller;
        out.extend(self.punts.drain(..).map(|punt| teller.punted(punt, dpid, flows)));
    }

    fn set_demand(&mut self, now: Time, demand: Demand) {
        let before = std::mem::replace(&mut self.demand, demand);
        self.set_mode();
        if demand.controlled != before.controlled {
            let (controlled, aside) = (demand.controlled, self.leaves_flows_aside());
            tracing::info!(bridge = self.config.name, controlled, flows_aside = aside, "control changed");
        }
        self.control.set_default_miss(if demand.misses { Miss::Controller } else { Miss::Drop }, now);
        self.control.watch_flows(demand.monitors);
    }

    fn set_dials(&mut self, now: Time, dials: bool) {
        self.note_dials(now, dials);
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

    fn is_sending(&self) -> bool {
        self.packet_outs_done.load(Ordering::Acquire) < self.packet_outs
    }

    fn tick(&mut self, now: Time) {
        let tick = self.control.tick(now);
        self.note_tick(now, tick);
        self.go_on_saving(now);
        self.go_on_listing(now);
        self.go_on_tracing(now);
    }

    fn deadline(&self, now: Time) -> Option<Time> {
        let own = self.saving_due(now).into_iter().chain(self.listing_due(now)).chain(self.tracing_due(now));
        self.due.into_iter().chain(own).min()
    }
}

impl<P: Packets> Instance for Switch<P> {
    fn port_event(&mut self, now: Time, event: PortEvent) {
        self.port_happened(now, event);
    }

    fn set_in_band(&mut self, now: Time, controllers: Vec<SocketAddr>) {
        self.ways.retain(|controller, _| controllers.contains(controller));
        self.config.in_band = controllers;
        self.note_in_band(now);
    }

    fn way(&mut self, now: Time, controller: SocketAddr, route: super::Route) {
        // What was sent before others were named may come after.
        if self.config.in_band.contains(&controller) {
            self.ways.insert(controller, route);
            self.note_in_band(now);
        }
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

    fn list_flows(&mut self, table: Option<u8>, filter: Option<&str>, reply: oneshot::Sender<ManagementAnswer>) {
        self.begin_listing(table, filter, reply);
    }

    fn trace(&mut self, in_port: u32, packet: &TracePacket, reply: oneshot::Sender<ManagementAnswer>) {
        self.begin_trace(in_port, packet, reply);
    }

    fn answer(&mut self, now: Time, request: &Request) -> ManagementAnswer {
        answers::answer(self, now, request)
    }
}

fn flow_change(change: FlowChange, bundled: Option<Xid>) -> Happened {
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
    Happened::Flow(Box::new(notify::FlowChange { event, flow, before: change.before, bundled }))
}
