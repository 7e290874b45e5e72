//! What the bridge's thread does in a round, and the connections it serves.

use super::hub::Hub;
use super::spin::Spin;
use super::{Event, Instance};
use crate::agent::outbox::{Close, Outbox};
use crate::agent::plain::{READ, Socket, Taken};
use crate::agent::snoop::Watchers;
use crate::agent::{DialStatus, Inbound, Opened, Standing, standing_of};
use crate::management;
use crate::session::{ConnId, Purpose, Received, Session, limits};
use datapath::clock::Time;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tracing::error;

/// Messages taken from one connection per round.
const MESSAGES_PER_ROUND: usize = 64;
/// Packets for controllers per round.
const PUNTS_PER_ROUND: usize = 512;
/// Events per round.
const EVENTS_PER_ROUND: usize = 64;
/// How often a barrier is looked after while a worker sends packet-outs.
const SENDING_LOOK: Duration = Duration::from_micros(50);
/// The same while workers adopt: the last one rings, so that a look finds nothing.
const ADOPTING_LOOK: Duration = Duration::from_millis(2);
/// Messages of a held-back connection that are looked through for what may overtake.
const HELD: usize = 64;
/// Packets that a worker takes to the controllers at once, and how many connections there may be for that.
const PUNTS_BESIDE: usize = 4;
const LINKS_BESIDE: usize = 32;
/// How long a worker leaves them to the thread afterwards: one packet at a time costs more in all, and a worker is to
/// have its time for frames.
const REST: Duration = Duration::from_micros(100);
/// How long connections have for their last bytes at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The longest sleep.
const NAP: Duration = Duration::from_secs(1);

struct Link {
    id: ConnId,
    inbound: Inbound,
    /// Taken from `inbound`, not yet carried out.
    held: VecDeque<Received>,
    /// How many of `held`, from its front, were found to be none that may overtake.
    looked: usize,
    outbox: Arc<Outbox>,
    /// `outbox.written()` when it last moved, and when that was.
    progress: (u64, Time),
    /// Whom to tell that the version is agreed on, and that the connection is set up.
    standing: Standing,
}

impl Link {
    /// The next messages that came.
    fn take(&mut self, scratch: &mut [u8]) -> Taken {
        match &mut self.inbound {
            Inbound::Socket(reader) => reader.take(scratch),
            Inbound::Task(queue) => match queue.try_recv() {
                Ok(batch) => Taken::Messages(batch),
                Err(TryRecvError::Empty) => Taken::Nothing,
                Err(TryRecvError::Disconnected) => Taken::End("the peer closed the connection".to_owned()),
            },
        }
    }

    /// Whether nothing that it sent waits.
    fn is_empty(&self) -> bool {
        self.held.is_empty()
            && match &self.inbound {
                Inbound::Socket(reader) => reader.is_empty(),
                Inbound::Task(queue) => queue.is_empty(),
            }
    }

    /// What to wait for, if its messages come from a socket: nothing while enough of them wait already.
    fn wait_for(&self) -> Option<&Socket> {
        match &self.inbound {
            Inbound::Socket(reader) if self.held.len() < HELD => reader.wait_for(),
            _ => None,
        }
    }

    /// Hands the session's output over.
    fn pour(&mut self, now: Time, session: &mut Session, watchers: &mut Watchers) {
        // Told before the peer hears of it: it may act on the answer at once.
        self.standing.follow(session);
        let watched = !watchers.is_empty() && is_controller_s(session);
        session.pour_output(|bytes| {
            if watched {
                watchers.show(bytes);
            }
            self.outbox.push(bytes);
        });
        let written = self.outbox.written();
        if written != self.progress.0 || self.outbox.queued() == 0 {
            self.progress = (written, now);
        }
    }
}

/// What to wait for when a round is over.
#[derive(Default)]
pub(super) struct Sleep {
    /// Sockets, by their connections' places.
    pub(super) sockets: Vec<(usize, Socket)>,
    /// Which of them turned out to have something to read.
    pub(super) ready: Vec<usize>,
    /// How long at most; `None`: the next round begins at once.
    pub(super) time: Option<Duration>,
}

/// The thread's state.
pub(super) struct Rounds<S> {
    pub(super) hub: Hub<S>,
    events: mpsc::Receiver<Event>,
    links: Vec<Link>,
    watchers: Watchers,
    /// Memory for what is read from sockets.
    scratch: Vec<u8>,
    spin: Spin,
    /// Until when workers leave packets to the thread.
    rest: Time,
    /// Since when there is nothing to do, and how long to look for something before the next sleep.
    idle: Option<(Time, Duration)>,
    dials: Vec<Arc<Mutex<DialStatus>>>,
    clock: Box<dyn Fn() -> Time + Send>,
    wall: Box<dyn Fn() -> Duration + Send>,
}

impl<S: Instance> Rounds<S> {
    /// A bridge around a switch; `clock` and `wall`, the wall clock (TAI), are read once per round.
    pub(super) fn new(
        hub: Hub<S>,
        events: mpsc::Receiver<Event>,
        clock: impl Fn() -> Time + Send + 'static,
        wall: impl Fn() -> Duration + Send + 'static,
    ) -> Self {
        let (clock, wall) = (Box::new(clock), Box::new(wall));
        Self {
            hub,
            events,
            links: Vec::new(),
            watchers: Watchers::default(),
            scratch: vec![0; READ],
            spin: Spin::new(Duration::ZERO),
            rest: Time::ZERO,
            idle: None,
            dials: Vec::new(),
            clock,
            wall,
        }
    }

    /// Looks for more to do for `limit` before it sleeps; unless told, it doesn't.
    pub(super) fn set_spin(&mut self, limit: Duration) {
        self.spin = Spin::new(limit);
    }

    /// One round, and in `sleep` what to wait for after it; false at the end.
    pub(super) fn round(&mut self, sleep: &mut Sleep) -> bool {
        for i in sleep.ready.drain(..) {
            if let Some(Link { inbound: Inbound::Socket(reader), .. }) = self.links.get_mut(i) {
                reader.note_readable();
            }
        }
        let now = (self.clock)();
        self.hub.switch.set_wall((self.wall)());
        let mut busy = false;
        for _ in 0..EVENTS_PER_ROUND {
            match self.events.try_recv() {
                Ok(Event::Stop) | Err(TryRecvError::Disconnected) => return false,
                Ok(event) => {
                    busy = true;
                    self.event(now, event);
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        for i in 0..self.links.len() {
            busy |= self.serve(now, i);
        }
        // Packet-outs first: they are on their way while packet-ins are written.
        self.hub.attend(now);
        busy |= self.hub.punts(now, PUNTS_PER_ROUND) > 0;
        let barriers = self.barriers();
        if barriers > 0 || self.hub.deadline(now).is_some_and(|at| at <= now) {
            self.hub.tick(now);
        }
        if barriers > 0 {
            // What was told just now may have been all that a barrier waited for: nobody rings for that. What waits
            // behind the barrier has its turn in the next round.
            self.links.iter().for_each(|link| self.hub.advance(now, link.id));
            busy |= self.barriers() < barriers;
        }
        // Others may have been told of an end: their output goes out in the next round.
        busy |= self.flush(now);
        self.listen(now, busy, sleep);
        true
    }

    /// Takes a few packets to the controllers, between two rounds: whether nothing is left to do.
    pub(super) fn pass_on(&mut self) -> bool {
        let now = (self.clock)();
        if self.links.len() > LINKS_BESIDE || now < self.rest {
            return false;
        }
        for link in &self.links {
            if let Some(session) = self.hub.session_mut(link.id) {
                session.set_queued(link.outbox.queued());
            }
        }
        let all = self.hub.punts(now, PUNTS_BESIDE) < PUNTS_BESIDE;
        self.rest = now + REST;
        let (hub, watchers) = (&mut self.hub, &mut self.watchers);
        self.links.iter_mut().fold(all, |all, link| {
            // Ends are for the round.
            let Some(session) = hub.session_mut(link.id).filter(|s| s.ending().is_none()) else { return false };
            link.pour(now, session, watchers);
            all && link.outbox.closing().is_none()
        })
    }

    /// The end: what is to outlast it is kept, and connections are closed once their output is written.
    pub(super) fn end(&mut self) {
        self.hub.switch.ending((self.clock)());
        self.flush((self.clock)());
        for link in &self.links {
            link.outbox.close(Close::AfterFlush);
        }
    }

    /// Until when connections that are to close have time for their last bytes.
    pub(super) fn last_words(&self) -> Time {
        (self.clock)() + LAST_WORDS
    }

    /// Whether some connection still has time for that.
    pub(super) fn is_ending(&self, until: Time) -> bool {
        self.links.iter().any(|l| l.outbox.closing() != Some(Close::Now)) && (self.clock)() < until
    }

    /// How many barriers are waited for.
    fn barriers(&self) -> usize {
        self.hub.sessions().filter(|s| s.awaits_barrier()).count()
    }

    /// Says what to wait for: until a connection sends something, or until there is something else to do, unless
    /// there is already.
    fn listen(&mut self, now: Time, busy: bool, sleep: &mut Sleep) {
        let until = self.hub.deadline(now).map_or(NAP, |at| at.since(now).min(NAP));
        let wait = if busy {
            if let Some((_, time)) = self.idle.take()
                && !time.is_zero()
            {
                self.spin.ended(true);
            }
            Duration::ZERO
        } else {
            let spin = &mut self.spin;
            let (since, time) = *self.idle.get_or_insert_with(|| (now, spin.time()));
            if now.since(since) < time {
                Duration::ZERO
            } else {
                if !time.is_zero() {
                    self.spin.ended(false);
                }
                // Whoever wakes up without anything to do sleeps on at once.
                self.idle = Some((since, Duration::ZERO));
                let sending = self.hub.switch.is_sending();
                match self.barriers() {
                    0 => until,
                    _ => until.min(if sending { SENDING_LOOK } else { ADOPTING_LOOK }),
                }
            }
        };
        sleep.sockets.clear();
        let sockets = self.links.iter().enumerate().filter_map(|(i, link)| Some((i, link.wait_for()?.clone())));
        sleep.sockets.extend(sockets);
        sleep.time = (!busy || !sleep.sockets.is_empty()).then_some(wait);
    }

    fn event(&mut self, now: Time, event: Event) {
        match event {
            Event::Opened(opened) => {
                let Opened { peer, purpose, inbound, outbox, standing } = opened;
                let id = self.hub.opened(now, peer, purpose);
                self.links.push(Link {
                    id,
                    inbound,
                    held: VecDeque::new(),
                    looked: 0,
                    outbox,
                    progress: (0, now),
                    standing,
                });
            }
            Event::Port(event) => {
                self.hub.switch.port_event(now, event);
                self.hub.spread(None);
            }
            Event::Way(controller, route) => self.hub.switch.way(now, controller, route),
            Event::Call(management::Call { request, reply }) => {
                let answer = match request {
                    // Answered when it is on disk; until then everybody else is served.
                    management::Request::SaveState => return self.hub.switch.save(reply),
                    management::Request::Flows { table, filter } => {
                        return self.hub.switch.list_flows(table, filter.as_deref(), reply);
                    }
                    management::Request::Trace { in_port, packet } => {
                        return self.hub.switch.trace(in_port, &packet, reply);
                    }
                    management::Request::Connections => Ok(self.connections(now)),
                    management::Request::Controllers => Ok(self.controllers()),
                    request => self.hub.switch.answer(now, &request),
                };
                // A client that went away needs no answer.
                let _ = reply.send(answer);
            }
            Event::Dials { dials, in_band } => {
                self.hub.switch.set_in_band(now, in_band);
                self.hub
                    .set_configured(now, dials.iter().map(|d| standing_of(d).controller.target.to_string()).collect());
                self.dials = dials;
            }
            Event::Undialled(targets) => self.hub.undialled(&targets),
            Event::Watcher(watcher) => self.watchers.add(watcher),
            Event::Stop => {}
        }
    }

    /// Takes a connection's messages: whether there were any.
    fn serve(&mut self, now: Time, i: usize) -> bool {
        let Some(link) = self.links.get_mut(i) else { return false };
        let id = link.id;
        let (hub, watchers, scratch) = (&mut self.hub, &mut self.watchers, &mut self.scratch);
        let mut busy = false;
        let served = catch_unwind(AssertUnwindSafe(|| {
            if let Some(session) = hub.session_mut(id) {
                session.set_queued(link.outbox.queued());
            }
            hub.advance(now, id);
            for _ in 0..MESSAGES_PER_ROUND {
                if !hub.session(id).is_some_and(Session::ready) {
                    busy |= overtake(now, hub, link, watchers, scratch);
                    break;
                }
                if let Some(received) = link.held.pop_front() {
                    link.looked = link.looked.saturating_sub(1);
                    busy = true;
                    receive(now, hub, id, received, watchers);
                    continue;
                }
                match link.take(scratch) {
                    Taken::Messages(batch) => {
                        busy = true;
                        link.held = batch.into();
                    }
                    Taken::Nothing => break,
                    Taken::End(reason) => {
                        if let Some(session) = hub.session_mut(id) {
                            session.end(true, reason);
                        }
                        break;
                    }
                }
            }
        }));
        busy |= hub.session(id).is_some_and(Session::wants_turn);
        if served.is_err() {
            error!(conn = %id, "a defect in the handling of this connection; it is closed");
            if let Some(session) = self.hub.session_mut(id) {
                session.end(false, "internal error");
            }
        }
        busy
    }

    /// Hands output over, watches for peers that don't read, and buries what ended: whether anything did.
    fn flush(&mut self, now: Time) -> bool {
        let before = self.links.len();
        let (hub, watchers) = (&mut self.hub, &mut self.watchers);
        self.links.retain_mut(|link| {
            let Some(session) = hub.session_mut(link.id) else {
                link.outbox.close(Close::AfterFlush);
                return false;
            };
            link.pour(now, session, watchers);
            if now.since(link.progress.1) >= limits::STALL {
                session.end(false, format!("the peer read nothing for {:?}", limits::STALL));
            }
            if link.outbox.closing().is_some() {
                session.end(false, "the connection broke");
            }
            let Some(ending) = session.ending() else { return true };
            link.outbox.close(if ending.flush { Close::AfterFlush } else { Close::Now });
            hub.closed(now, link.id);
            false
        });
        self.links.len() != before
    }

    fn connections(&self, now: Time) -> serde_json::Value {
        // Every session, and every controller that is dialled without one.
        let sessions = self.hub.sessions().map(|s| describe(s, now));
        let waiting = self.dials.iter().filter_map(|d| {
            let d = standing_of(d);
            (!d.connected).then(|| {
                serde_json::json!({
                    "peer": d.controller.target.to_string(), "purpose": "controller", "state": "waiting",
                    "attempts": d.attempts, "last_error": d.last_error,
                })
            })
        });
        sessions.chain(waiting).collect()
    }

    /// Whom is dialled, as it can be said again.
    fn controllers(&self) -> serde_json::Value {
        self.dials.iter().map(|d| standing_of(d).controller.to_string()).collect()
    }
}

/// Whether the session is with a controller, and not with somebody who only looks in.
fn is_controller_s(session: &Session) -> bool {
    session.purpose() != Purpose::Visitor
}

/// Carries out one message; who watches sees it before its answer.
fn receive<S: Instance>(now: Time, hub: &mut Hub<S>, id: ConnId, received: Received, watchers: &mut Watchers) {
    let copy = (!watchers.is_empty()).then(|| received.bytes.clone());
    hub.receive(now, id, received);
    // Judged afterwards: some messages make a controller of a visitor.
    if let Some(bytes) = copy
        && hub.session(id).is_some_and(is_controller_s)
    {
        watchers.show(&bytes);
    }
}

/// Lets echo requests pass a barrier or a dump that holds their connection back: whether any did.
fn overtake<S: Instance>(
    now: Time,
    hub: &mut Hub<S>,
    link: &mut Link,
    watchers: &mut Watchers,
    scratch: &mut [u8],
) -> bool {
    let mut any = false;
    while link.looked < HELD {
        let Some(received) = link.held.get(link.looked) else {
            let Taken::Messages(batch) = link.take(scratch) else { break };
            link.held.extend(batch);
            continue;
        };
        let Some(session) = hub.session(link.id) else { break };
        if !session.may_overtake(received) {
            if session.awaits_barrier() || !session.may_be_passed(received) {
                break;
            }
            link.looked += 1;
        } else if let Some(received) = link.held.remove(link.looked) {
            any = true;
            receive(now, hub, link.id, received, watchers);
        }
    }
    // Held back, not silent.
    if !link.is_empty()
        && let Some(session) = hub.session_mut(link.id)
    {
        session.touch(now);
    }
    any
}

fn describe(s: &Session, now: Time) -> serde_json::Value {
    let c = s.counters();
    serde_json::json!({
        "id": s.id().0,
        "peer": s.peer(),
        "purpose": match s.purpose() {
            Purpose::Controller => "controller",
            Purpose::Visitor => "visitor",
            Purpose::Auxiliary { .. } => "auxiliary",
        },
        "main": s.main().map(|m| m.0),
        "auxiliary_id": s.auxiliary_id(),
        "state": s.state_name(),
        "version": s.version().map(|v| v.to_string()),
        "role": if s.main().is_some() { None } else { Some(format!("{:?}", s.role()).to_lowercase()) },
        "seconds": now.since(s.connected()).as_secs(),
        "last_error": s.last_error(),
        "monitors": s.monitors(),
        "counters": {
            "messages_received": c.messages_received,
            "messages_sent": c.messages_sent,
            "bytes_received": c.bytes_received,
            "bytes_sent": c.bytes_sent,
            "errors_sent": c.errors_sent,
            "errors_received": c.errors_received,
            "flow_mods": c.flow_mods,
            "packet_outs": c.packet_outs,
            "barriers": c.barriers,
            "packet_ins_sent": c.packet_ins_sent,
            "packet_ins_dropped": c.packet_ins_dropped,
            "probes_sent": c.probes_sent,
        },
    })
}
