//! A switch and all its connections, without I/O: what one connection does to the others, and what
//! the switch tells them. The single place through which anything changes the switch.
//!
//! Invariants: at most one master; every request's consequences (effects, events) are told to
//! everybody before the next request begins; a session that ended is told nothing.

use crate::session::hello::VersionSet;
use crate::session::host::{Effect, Host};
use crate::session::notify::{FlowChange, Punted};
use crate::session::{ConnId, Purpose, Received, Session, Settings};
use datapath::clock::Time;
use ofproto::Version;
use ofproto::flow::FlowRemoved;
use ofproto::ids::Xid;
use ofproto::port::{Port, PortReason};
use ofproto::role::{ControllerStatus, ControllerStatusProp, Role};
use ofproto::stats::FlowStatsEntry;
use ofproto::table::TableStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tracing::error;

/// Something that happened in the switch.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// An entry that asked for it is gone.
    FlowRemoved(FlowRemoved),
    /// An entry changed; for monitors.
    Flow(Box<FlowChange>),
    /// A port changed; not told to `by`, whose port-mod did it, before 1.5.
    Port {
        /// How.
        reason: PortReason,
        /// What it is now.
        port: Port,
        /// Who asked for it.
        by: Option<ConnId>,
    },
    /// Thresholds of stat-triggers were passed.
    FlowStats(Vec<FlowStatsEntry>),
    /// A table's vacancy passed a threshold.
    Table(TableStatus),
}

/// What the connections as a whole ask of the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Some controller is connected.
    pub controlled: bool,
    /// Some controller speaks a version whose tables send what misses to it.
    pub misses: bool,
    /// Some connection monitors flows: changes have to be told.
    pub monitors: bool,
}

/// A switch that a hub can serve.
pub trait Backend: Host {
    /// What other connections have to be told, in order.
    fn take_effects(&mut self) -> Vec<(ConnId, Effect)>;
    /// What happened since the last call, in order.
    fn take_events(&mut self) -> Vec<Happened>;
    /// Appends the next packets for controllers, at most `most`; `flows`: with [`Punted::flow`].
    fn next_punts(&mut self, most: usize, flows: bool, out: &mut Vec<Punted>);
    /// What the connections ask of the switch now.
    fn set_demand(&mut self, now: Time, demand: Demand);
    /// Whether there are controllers that are dialled, connected or not.
    fn set_dials(&mut self, now: Time, dials: bool);
    /// The controllers, for 1.5's controller-status request.
    fn set_controllers(&mut self, controllers: Vec<ControllerStatus>);
    /// A connection is gone: its short id is free.
    fn forget(&mut self, id: ConnId);
    /// Carries out what packets asked for (learnt flows): at every round.
    fn attend(&mut self, now: Time);
    /// Whether packet-outs are on their way that nobody will tell the end of.
    fn is_sending(&self) -> bool;
    /// What the wall clock (TAI) shows now.
    fn set_wall(&mut self, wall: std::time::Duration);
    /// Timers: timeouts of flows, meters, vacancy.
    fn tick(&mut self, now: Time);
    /// When `tick` is due.
    fn deadline(&self, now: Time) -> Option<Time>;
}

/// `OFPCSR_*`
const REASON_REQUEST: u8 = 0;
const REASON_CHANNEL: u8 = 1;
const REASON_ADDED: u8 = 3;
const REASON_REMOVED: u8 = 4;
/// `OFPCT_STATUS_*`
const CHANNEL_UP: u8 = 0;
const CHANNEL_DOWN: u8 = 1;

/// The switch and its sessions.
#[derive(Debug)]
pub struct Hub<B> {
    /// The switch.
    pub switch: B,
    sessions: BTreeMap<ConnId, Session>,
    settings: Settings,
    next: u64,
    /// Auxiliary connections by their main one.
    auxiliaries: BTreeMap<ConnId, Vec<ConnId>>,
    demand: Demand,
    /// Controllers that are dialled, connected or not, as URIs.
    configured: Vec<String>,
    /// Connections to those that aren't dialled any more.
    leaving: BTreeSet<ConnId>,
    /// Packets for controllers that no connection took.
    unclaimed: u64,
    /// Memory for packets for controllers.
    punts: Vec<Punted>,
}

impl<B: Backend> Hub<B> {
    /// A hub without connections.
    pub fn new(switch: B, settings: Settings) -> Self {
        Self {
            switch,
            sessions: BTreeMap::new(),
            settings,
            next: 1,
            auxiliaries: BTreeMap::new(),
            demand: Demand::default(),
            configured: Vec::new(),
            leaving: BTreeSet::new(),
            unclaimed: 0,
            punts: Vec::new(),
        }
    }

    /// These aren't dialled any more: their connections end.
    pub fn undialled(&mut self, targets: &[String]) {
        for session in self.sessions.values_mut().filter(|s| s.is_dialled()) {
            if targets.iter().any(|t| t == session.peer()) {
                self.leaving.insert(session.id());
                session.end(true, "it is no controller of this switch any more");
            }
        }
    }

    /// The controllers that are dialled, whether they are connected or not.
    pub fn set_configured(&mut self, now: Time, targets: Vec<String>) {
        self.switch.set_dials(now, !targets.is_empty());
        let before = std::mem::replace(&mut self.configured, targets);
        self.spread(None);
        let changed: Vec<ControllerStatus> = (before.iter().filter(|t| !self.configured.contains(t)))
            .map(|t| absent(t, REASON_REMOVED))
            .chain(self.configured.iter().filter(|t| !before.contains(t)).map(|t| absent(t, REASON_ADDED)))
            .collect();
        changed.iter().for_each(|status| self.status(status));
        self.refresh(now);
    }

    /// Tells every controller of one (OpenFlow 1.5.1 §7.4.7), which is among them if it is connected.
    fn status(&mut self, status: &ControllerStatus) {
        self.sessions.values_mut().for_each(|s| s.controller_status(status));
    }

    /// A connection was made.
    pub fn opened(&mut self, now: Time, peer: String, purpose: Purpose) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        let mut settings = self.settings.clone();
        let mut refused = false;
        if let Purpose::Auxiliary { main, .. } = purpose {
            // One channel speaks one version, and there is no channel before its main connection is set up.
            match self.sessions.get(&main).filter(|s| s.introduced()).and_then(Session::version) {
                Some(version) => {
                    settings.versions = VersionSet::of(&[version]);
                    self.auxiliaries.entry(main).or_default().push(id);
                }
                None => refused = true,
            }
        }
        let mut session = Session::new(id, peer, purpose, settings, now);
        if refused {
            session.end(false, "an auxiliary connection without its main one");
        }
        self.sessions.insert(id, session);
        id
    }

    /// A connection is gone.
    pub fn closed(&mut self, now: Time, id: ConnId) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        session.give_back(&mut self.switch);
        self.switch.forget(id);
        if let Some(main) = session.main()
            && let Some(list) = self.auxiliaries.get_mut(&main)
        {
            list.retain(|a| *a != id);
        }
        // They end with it, at once.
        for auxiliary in self.auxiliaries.remove(&id).unwrap_or_default() {
            if let Some(session) = self.sessions.get_mut(&auxiliary) {
                session.end(false, "the main connection ended");
            }
        }
        // Of one that is no controller any more, that was told.
        let removed = self.leaving.remove(&id) && !self.configured.iter().any(|t| t == session.peer());
        if session.established() && session.purpose() == Purpose::Controller && !removed {
            self.status(&status_of(&session, REASON_CHANNEL, CHANNEL_DOWN));
        }
        self.refresh(now);
    }

    /// Lets a session act; an auxiliary one does so with its main connection's channel. `None`: there is no
    /// such session, or its channel is gone.
    fn act<R>(&mut self, id: ConnId, action: impl FnOnce(&mut Session, &mut B) -> R) -> Option<R> {
        let Some(main) = self.sessions.get(&id)?.main() else {
            return Some(action(self.sessions.get_mut(&id)?, &mut self.switch));
        };
        if !self.sessions.contains_key(&main) {
            return None;
        }
        let mut session = self.sessions.remove(&id)?;
        if let Some(main) = self.sessions.get_mut(&main) {
            session.swap_channel(main);
        }
        // A defect ends this connection, not the main one: its channel goes back all the same.
        let done = catch_unwind(AssertUnwindSafe(|| action(&mut session, &mut self.switch)));
        if let Some(main) = self.sessions.get_mut(&main) {
            session.swap_channel(main);
        }
        self.sessions.insert(id, session);
        match done {
            Ok(done) => Some(done),
            Err(defect) => resume_unwind(defect),
        }
    }

    /// A session.
    pub fn session(&self, id: ConnId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// A session, to be asked for output.
    pub fn session_mut(&mut self, id: ConnId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// All sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// Packets for controllers that no connection took.
    pub fn unclaimed(&self) -> u64 {
        self.unclaimed
    }

    /// What the connections ask of the switch.
    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// Takes a message of a connection whose session is ready.
    pub fn receive(&mut self, now: Time, id: ConnId, received: Received) {
        let Some(session) = self.sessions.get(&id) else { return };
        let main = session.main();
        let before = (standing(session), main.and_then(|m| self.sessions.get(&m)).map(standing));
        let was_up = session.controls();
        let xid = received.header.xid;
        self.act(id, |session, switch| session.receive(now, received, switch));
        let Some(session) = self.sessions.get(&id) else { return };
        let came_up = !was_up && session.controls();
        let changed = before != (standing(session), main.and_then(|m| self.sessions.get(&m)).map(standing));
        self.spread(Some((id, xid)));
        if came_up && let Some(session) = self.sessions.get(&id) {
            let status = status_of(session, REASON_CHANNEL, CHANNEL_UP);
            // Whoever came by itself is no configured controller, and may be a tool that knows no such message.
            let itself = session.is_dialled();
            for other in self.sessions.values_mut().filter(|s| itself || s.id() != id) {
                other.controller_status(&status);
            }
        }
        if changed {
            self.refresh(now);
        }
    }

    /// Goes on with what a connection waits for.
    pub fn advance(&mut self, now: Time, id: ConnId) {
        self.act(id, |session, switch| session.advance(now, switch));
    }

    /// Passes at most `most` packets on to controllers: how many there were.
    pub fn punts(&mut self, now: Time, most: usize) -> usize {
        let mut punts = std::mem::take(&mut self.punts);
        let spread = self.auxiliaries.values().any(|list| !list.is_empty());
        self.switch.next_punts(most, spread, &mut punts);
        let count = punts.len();
        for punted in punts.drain(..) {
            self.punted(now, &punted);
        }
        self.punts = punts;
        count
    }

    /// Passes one packet on to every controller that wants it: over the main connection, or over the same
    /// auxiliary one for all packets of a flow.
    pub fn punted(&mut self, now: Time, punted: &Punted) {
        let mut wanted = false;
        let mut carriers = Vec::new();
        for session in self.sessions.values_mut() {
            if !session.wants_packet_in(punted) {
                continue;
            }
            wanted = true;
            match self.auxiliaries.get(&session.id()) {
                Some(list) if !list.is_empty() => carriers.push(session.id()),
                _ => {
                    session.packet_in(now, punted);
                }
            }
        }
        for main in carriers {
            let up = |id: &ConnId| self.sessions.get(id).is_some_and(|s| s.version().is_some());
            let up: Vec<ConnId> = self.auxiliaries.get(&main).into_iter().flatten().copied().filter(up).collect();
            let share = (punted.flow % up.len().max(1) as u64) as usize;
            let carrier = up.get(share).copied().unwrap_or(main);
            self.act(carrier, |session, _| session.packet_in(now, punted));
        }
        self.unclaimed += u64::from(!wanted);
    }

    /// Carries out what packets asked for.
    pub fn attend(&mut self, now: Time) {
        self.switch.attend(now);
        self.spread(None);
    }

    /// Timers of the switch and of all sessions.
    pub fn tick(&mut self, now: Time) {
        self.switch.tick(now);
        self.spread(None);
        for session in self.sessions.values_mut().filter(|s| s.main().is_none()) {
            session.tick(now, &mut self.switch);
        }
        let auxiliaries: Vec<ConnId> = self.auxiliaries.values().flatten().copied().collect();
        for id in auxiliaries {
            self.act(id, |session, switch| session.tick(now, switch));
        }
        self.commits(now);
    }

    /// Carries out the commits whose time has come, each told to everybody before the next.
    fn commits(&mut self, now: Time) {
        let due: Vec<ConnId> = self.sessions.values().filter(|s| s.has_commit_due(now)).map(Session::id).collect();
        for id in due {
            let served = catch_unwind(AssertUnwindSafe(|| {
                while let Some(xid) = self.act(id, |session, switch| session.commit_due(now, switch)).flatten() {
                    self.spread(Some((id, xid)));
                }
            }));
            // As with a request that comes in: the connection ends, and nobody else.
            if served.is_err()
                && let Some(session) = self.sessions.get_mut(&id)
            {
                error!(conn = %id, "a defect in a commit at a set time; the connection is closed");
                session.end(false, "internal error");
            }
        }
    }

    /// When [`tick`](Self::tick) is due.
    pub fn deadline(&self, now: Time) -> Option<Time> {
        self.sessions.values().filter_map(Session::deadline).chain(self.switch.deadline(now)).min()
    }

    /// Tells everybody what the last step did.
    pub fn spread(&mut self, cause: Option<(ConnId, Xid)>) {
        loop {
            let events = self.switch.take_events();
            let effects = self.switch.take_effects();
            if events.is_empty() && effects.is_empty() {
                return;
            }
            for event in &events {
                self.tell(event, cause);
            }
            self.sessions.values_mut().for_each(Session::forget_cause);
            for (by, effect) in effects {
                self.effect(by, effect);
            }
        }
    }

    fn tell(&mut self, event: &Happened, cause: Option<(ConnId, Xid)>) {
        // A controller's own changes are those of its channel, whichever of its connections asked (1.4.1 §7.3.5.17).
        let cause = cause.map(|(id, xid)| (self.sessions.get(&id).map_or(id, Session::governing), xid));
        for session in self.sessions.values_mut() {
            match event {
                Happened::FlowRemoved(removed) => session.flow_removed(removed),
                Happened::Flow(change) => {
                    let own = cause.filter(|(id, _)| *id == session.governing()).map(|(_, xid)| xid);
                    session.flow_event(change, own);
                }
                Happened::Port { reason, port, by } => {
                    let own = *by == Some(session.governing()) && session.version() < Some(Version::V15);
                    if !own {
                        session.port_status(*reason, port);
                    }
                }
                Happened::FlowStats(entries) => session.flow_stats(entries),
                Happened::Table(status) => session.table_status(status),
            }
        }
    }

    fn effect(&mut self, by: ConnId, effect: Effect) {
        match effect {
            Effect::NewMaster => {
                let generation = self.switch.generation();
                // Their standing changes, too; the refresh that follows the request tells it.
                let demoted: Vec<ConnId> = self
                    .sessions
                    .values_mut()
                    .filter(|s| s.id() != by)
                    .filter_map(|s| s.demote(generation).then(|| s.id()))
                    .collect();
                for id in demoted {
                    self.effect(id, Effect::ControllerStatus { reason: 2 });
                }
            }
            Effect::ControllerStatus { reason } => {
                if let Some(session) = self.sessions.get(&by) {
                    let status = status_of(session, reason, CHANNEL_UP);
                    self.status(&status);
                }
            }
            Effect::Forward { xid, request } => {
                for other in self.sessions.values_mut().filter(|s| s.id() != by) {
                    other.request_forward(xid, &request);
                }
            }
        }
    }

    /// Tells the switch what its connections now ask of it.
    fn refresh(&mut self, now: Time) {
        let controlling = || self.sessions.values().filter(|s| s.controls());
        let demand = Demand {
            controlled: controlling().next().is_some(),
            misses: controlling().any(|s| s.version() < Some(Version::V13)),
            monitors: self.sessions.values().any(Session::monitors_flows),
        };
        if demand != self.demand {
            self.demand = demand;
            self.switch.set_demand(now, demand);
        }
        let away = self.configured.iter().filter(|t| !controlling().any(|s| s.peer() == t.as_str()));
        let away = away.map(|target| absent(target, REASON_REQUEST));
        let controllers = controlling().map(|s| status_of(s, REASON_REQUEST, CHANNEL_UP)).chain(away).collect();
        self.switch.set_controllers(controllers);
    }
}

/// What of a session the switch is told: asked before and after every message, so it has to be cheap.
fn standing(s: &Session) -> (bool, bool, Role, u16) {
    (s.controls(), s.monitors_flows(), s.role(), s.short_id())
}

/// The status of a controller that isn't connected.
fn absent(target: &str, reason: u8) -> ControllerStatus {
    ControllerStatus {
        short_id: 0,
        role: Role::Equal,
        reason,
        channel_status: CHANNEL_DOWN,
        properties: vec![ControllerStatusProp::Uri(target.to_owned())],
    }
}

fn status_of(session: &Session, reason: u8, channel_status: u8) -> ControllerStatus {
    ControllerStatus {
        short_id: session.short_id(),
        role: session.role(),
        reason,
        channel_status,
        properties: vec![ControllerStatusProp::Uri(session.peer().to_owned())],
    }
}
