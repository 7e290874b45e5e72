//! A whole bridge without sockets: controllers that say anything in any order, ports that come and go, packets,
//! questions over the management socket. What a session says is sound, and in its version.

use crate::rig::{self, Worker};
use bytes::Bytes;
use datapath::clock::Time;
use datapath::engine::Shared;
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::pipeline::Start;
use datapath::port::PortCounters;
use datapath::trace::Trace;
use ofproto::Version;
use ofproto::ids::{Dpid, PortNo, QueueId};
use ofproto::port::PortState;
use ofproto::wire::{self, Header};
use ofproto::wire::framer::Framer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switchd::bridge::Instance;
use switchd::bridge::hub::Hub;
use switchd::bridge::switch::{OutPacket, Packets, Switch, SwitchConfig, Way};
use switchd::config::FailMode;
use switchd::management::rpc::{self, Line, Wanted};
use switchd::ports::PortEvent;
use switchd::queues::Queue;
use switchd::session::{ConnId, Purpose, Received, Settings};

/// A worker that control runs itself, one packet after the other.
#[derive(Clone)]
struct Workers(Arc<Mutex<(Worker, Time)>>);

impl Workers {
    fn receive(&self, port: PortNo, frame: &[u8], now: Time) {
        let mut own = self.0.lock().expect("one thread");
        own.1 = now;
        let worker = &mut own.0;
        worker.engine.burst(port, &mut vec![Frame::from_bytes(frame)], &mut worker.tx, now);
        worker.sent();
    }

    /// Comes round without a packet.
    fn turn(&self, now: Time) {
        let mut own = self.0.lock().expect("one thread");
        own.1 = now;
        let worker = &mut own.0;
        worker.engine.burst(PortNo(1), &mut Vec::new(), &mut worker.tx, now);
    }
}

impl Packets for Workers {
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>) {
        let (worker, now) = &mut *self.0.lock().expect("one thread");
        let count = packets.len() as u64;
        for OutPacket { way, key, frame } in packets {
            match way {
                Way::Actions(program) => worker.engine.packet_out(&program, key, frame, &mut worker.tx, *now),
                Way::Rest(rest) => worker.engine.resume(&rest, key, frame, &mut worker.tx, *now),
            }
        }
        worker.sent();
        done.fetch_add(count, Ordering::Release);
    }

    fn trace(&self, key: FlowKey, frame: Frame) -> Option<Trace> {
        let (worker, now) = &mut *self.0.lock().expect("one thread");
        Some(worker.engine.trace(key, frame, Start::Received, *now))
    }

    fn port_counters(&self, _: PortNo) -> Option<PortCounters> {
        Some(PortCounters::default())
    }
}

/// Most connections at a time.
const CONNECTIONS: usize = 4;

struct Bench {
    hub: Hub<Switch<Workers>>,
    workers: Workers,
    connections: Vec<ConnId>,
    /// Whose messages come now.
    speaks: usize,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        let now = Time(1_000_000_000);
        let mut control = rig::control(now);
        let shared: Arc<Shared> = rig::shared();
        let worker = Worker::sharing(&mut control, 256, Arc::clone(&shared));
        let workers = Workers(Arc::new(Mutex::new((worker, now))));
        let config = SwitchConfig {
            name: "br0".into(),
            dpid: Dpid(0xd1),
            fail_mode: FailMode::Secure,
            dials: false,
            state: None,
            in_band: Vec::new(),
        };
        let switch = Switch::new(now, control, shared, workers.clone(), config);
        let mut bench =
            Self { hub: Hub::new(switch, Settings::default()), workers, connections: Vec::new(), speaks: 0, now };
        bench.hub.spread(None);
        bench.open(Purpose::Controller);
        bench
    }

    fn open(&mut self, purpose: Purpose) {
        if self.connections.len() < CONNECTIONS {
            let id = self.hub.opened(self.now, "tcp:test".into(), purpose);
            self.connections.push(id);
            self.speaks = self.connections.len() - 1;
        }
    }

    /// A message of the connection that speaks.
    fn say(&mut self, bytes: &[u8]) {
        let Some(&id) = self.connections.get(self.speaks) else { return };
        let received = Received::new(Header::decode(bytes).expect("the framer's"), Bytes::copy_from_slice(bytes));
        // A dump or a barrier may hold it back; nothing here holds one for long.
        for _ in 0..64 {
            let Some(session) = self.hub.session(id) else { return };
            if session.ready() || session.may_overtake(&received) {
                self.hub.receive(self.now, id, received);
                break;
            }
            self.round();
        }
        self.round();
    }

    /// What a bridge does between messages.
    fn round(&mut self) {
        self.workers.turn(self.now);
        self.hub.attend(self.now);
        self.hub.punts(self.now, 64);
        self.hub.tick(self.now);
        for id in self.connections.clone() {
            self.hub.advance(self.now, id);
            let Some(session) = self.hub.session_mut(id) else { continue };
            let out = session.take_output();
            session.set_queued(0);
            let (version, ended) = (session.version(), session.ending().is_some());
            sound(&out, version);
            if ended {
                self.hub.closed(self.now, id);
                self.connections.retain(|c| *c != id);
                self.speaks = 0;
            }
        }
    }

    /// Something that isn't a message: `what` and its bytes.
    fn happen(&mut self, what: u8, rest: &[u8]) {
        let first = rest.first().copied().unwrap_or(0);
        match what {
            1..=4 => self.workers.receive(PortNo(what.into()), rest, self.now),
            5 => self.open(Purpose::Controller),
            6 => self.open(Purpose::Visitor),
            7 => {
                if let Some(&main) = self.connections.get(usize::from(first)) {
                    self.open(Purpose::Auxiliary { main, id: 1 });
                }
            }
            8 => {
                if let Some(&id) = self.connections.get(usize::from(first)) {
                    self.hub.closed(self.now, id);
                    self.connections.retain(|c| *c != id);
                }
            }
            9 => self.speaks = usize::from(first) % CONNECTIONS,
            10 => self.now = self.now + Duration::from_millis(u64::from(first) * 100),
            11 => {
                let mut port = rig::port(u32::from(first % 5) + 1);
                if first & 0x80 != 0 {
                    port.state = PortState::LINK_DOWN;
                }
                let event = if first & 0x40 != 0 {
                    PortEvent::Removed(port.port_no)
                } else if self.hub.switch.control_mut().ports().get(port.port_no).is_some() {
                    PortEvent::Changed(port)
                } else {
                    PortEvent::Added(port)
                };
                self.hub.switch.port_event(self.now, event);
                self.hub.spread(None);
            }
            12 => {
                let queues = (0..u32::from(first % 3))
                    .map(|n| Queue { id: QueueId(n), min: Some(100), max: None, speed: 1 })
                    .collect();
                let event = PortEvent::Queues(PortNo(u32::from(first >> 4) % 4 + 1), queues);
                self.hub.switch.port_event(self.now, event);
                self.hub.spread(None);
            }
            _ => self.asked(rest),
        }
        self.round();
    }

    /// A line of the management socket.
    fn asked(&mut self, line: &[u8]) {
        let Line::One(incoming) = rpc::parse(line) else { return };
        if let Ok(Wanted::Call { request, .. }) = incoming.wanted {
            match self.hub.switch.answer(self.now, &request) {
                Ok(answer) => assert!(!answer.to_string().is_empty()),
                Err(e) => assert!(!rpc::RpcError::from(e).message.is_empty()),
            }
        }
    }
}

/// What a session sends is whole messages, in its version and sound.
fn sound(mut bytes: &[u8], version: Option<Version>) {
    while !bytes.is_empty() {
        let header = Header::decode(bytes).expect("a header");
        let (one, rest) = bytes.split_at_checked(usize::from(header.length)).expect("a whole message");
        let (header, _) = wire::decode(one).unwrap_or_else(|e| panic!("{e} in {one:02x?}"));
        if let Some(version) = version {
            // The hello comes before there is a version.
            assert!(header.version == version.wire() || header.ty == 0, "version {}", header.version);
        }
        bytes = rest;
    }
}

/// Input: a stream of OpenFlow messages of the connection that speaks. One of version 0 is something else that
/// happens, by its type; what follows the header belongs to it.
pub fn run(data: &[u8]) {
    let mut bench = Bench::new();
    let mut framer = Framer::default();
    framer.feed(data);
    while let Ok(Some(bytes)) = framer.next_message() {
        bench.now = bench.now + Duration::from_millis(1);
        if bytes[0] == 0 {
            bench.happen(bytes[1], &bytes[8..]);
        } else {
            bench.say(bytes);
        }
    }
    for id in std::mem::take(&mut bench.connections) {
        bench.hub.closed(bench.now, id);
    }
    bench.round();
}
