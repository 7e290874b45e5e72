//! Which packet-outs the bridge's thread sends itself, and that all leave in their order.

use super::Instance;
use super::hub::Backend;
use super::switch::{OutPacket, Packets, Switch, SwitchConfig};
use crate::config::FailMode;
use crate::ports::PortEvent;
use crate::session::host::Host;
use crate::session::tests::fake::port;
use bytes::Bytes;
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::port::memory::Memory;
use datapath::port::{FramePool, Port, PortCounters, PortRx};
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::ids::{Dpid, PortNo};
use ofproto::matching::Match;
use ofproto::port::{PortConfig, PortMod};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

const V13: Version = Version::V13;
const NOW: Time = Time::from_secs(1);

/// A frame by its first byte, and whom to tell when it is out.
type Waiting = (u8, Arc<AtomicU64>);

/// A worker that takes its time.
#[derive(Clone, Default)]
struct Slow {
    halves: Arc<Mutex<TxQueues>>,
    /// What waits for it.
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

impl Slow {
    /// Carries out what waits.
    fn work(&self) -> Vec<u8> {
        let mut waiting = self.waiting.lock().unwrap();
        let done = waiting.drain(..).map(|(byte, done)| {
            done.fetch_add(1, Ordering::Release);
            byte
        });
        done.collect()
    }
}

impl Packets for Slow {
    fn halves(&self) -> Option<MutexGuard<'_, TxQueues>> {
        Some(self.halves.lock().unwrap())
    }
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>) {
        let all = packets.into_iter().map(|p| (p.frame.bytes()[0], Arc::clone(&done)));
        self.waiting.lock().unwrap().extend(all);
    }
    fn trace(&self, _: FlowKey, _: Frame) -> Option<crossbeam::channel::Receiver<datapath::trace::Trace>> {
        None
    }
    fn port_counters(&self, _: PortNo) -> Option<PortCounters> {
        None
    }
}

struct Bench {
    switch: Switch<Slow>,
    worker: Slow,
    wires: Vec<Box<dyn PortRx>>,
}

impl Bench {
    fn new() -> Self {
        let worker = Slow::default();
        let config = SwitchConfig {
            name: "br0".into(),
            dpid: Dpid(1),
            fail_mode: FailMode::Secure,
            dials: true,
            state: None,
            in_band: Vec::new(),
        };
        let control = Control::new(ControlConfig { n_tables: 4, ..ControlConfig::default() });
        let shared = Arc::new(Shared::new(SharedConfig::default()));
        let mut switch = Switch::new(NOW, control, shared, worker.clone(), config);
        let mut wires = Vec::new();
        for n in 1..=3 {
            switch.port_event(NOW, PortEvent::Added(port(n)));
            let (near, far) = Memory::pair("near", "far", 256).unwrap();
            worker.halves.lock().unwrap().add_port(PortNo(n), near.open_tx().unwrap());
            wires.push(far.open_rx().unwrap());
        }
        Self { switch, worker, wires }
    }

    fn say(&mut self, byte: u8, in_port: PortNo, actions: &[Action]) {
        let data = Bytes::from(vec![byte; 60]);
        let pipeline = Match::any().with(FieldId::InPort, in_port.0.into());
        self.switch.packet_out(NOW, V13, data, &pipeline, actions).unwrap();
    }

    /// What left each port meanwhile, by the frames' first bytes.
    fn heard(&mut self) -> Vec<Vec<u8>> {
        let mut pool = FramePool::new(8, 1);
        let hear = |rx: &mut Box<dyn PortRx>| {
            let mut burst = Vec::new();
            rx.receive(&mut burst, 256, &mut pool).unwrap();
            burst.iter().map(|f| f.bytes()[0]).collect()
        };
        self.wires.iter_mut().map(hear).collect()
    }
}

fn to(port: u32) -> Vec<Action> {
    vec![Action::output(PortNo(port))]
}

#[test]
fn what_only_leaves_is_sent_at_once_and_obeys_the_ports() {
    let mut b = Bench::new();
    for byte in 0..100 {
        b.say(byte, PortNo::CONTROLLER, &to(2));
    }
    b.say(100, PortNo(1), &[Action::output(PortNo::FLOOD)]);
    b.say(101, PortNo(1), &[Action::output(PortNo::IN_PORT), Action::output(PortNo(3))]);
    // Not back to where it came from, nor to a port that isn't there.
    b.say(102, PortNo(1), &[Action::output(PortNo(1)), Action::output(PortNo(9)), Action::output(PortNo(3))]);
    b.switch.attend(NOW);
    assert!(b.worker.work().is_empty());
    let expected: Vec<u8> = (0..=100).collect();
    assert_eq!(b.heard(), [vec![101], expected, vec![100, 101, 102]]);

    let ticket = b.switch.barrier(NOW);
    assert!(b.switch.barrier_done(ticket), "they are out");
    b.say(1, PortNo::CONTROLLER, &to(3));
    let ticket = b.switch.barrier(NOW);
    assert!(b.switch.barrier_done(ticket), "a barrier has them sent");
    assert_eq!(b.heard()[2], [1]);

    let shut = PortMod {
        port_no: PortNo(2),
        hw_addr: port(2).hw_addr,
        config: PortConfig::NO_FWD,
        mask: PortConfig::NO_FWD,
        properties: Vec::new(),
    };
    b.switch.port_mod(NOW, V13, crate::session::ConnId(1), &shut).unwrap();
    b.say(2, PortNo::CONTROLLER, &to(2));
    b.switch.attend(NOW);
    assert_eq!(b.heard(), [[]; 3] as [[u8; 0]; 3]);
}

#[test]
fn nothing_overtakes_what_a_worker_still_has() {
    let mut b = Bench::new();
    b.say(1, PortNo::CONTROLLER, &to(2));
    b.switch.attend(NOW);
    // One for the tables is a worker's, and with it what comes in the same round and while it isn't done.
    b.say(2, PortNo::CONTROLLER, &to(2));
    b.say(3, PortNo(1), &[Action::output(PortNo::TABLE)]);
    b.say(4, PortNo::CONTROLLER, &to(2));
    b.switch.attend(NOW);
    b.say(5, PortNo::CONTROLLER, &to(2));
    b.switch.attend(NOW);
    let ticket = b.switch.barrier(NOW);
    assert!(!b.switch.barrier_done(ticket));
    assert_eq!(b.heard()[1], [1]);
    assert_eq!(b.worker.work(), [2, 3, 4, 5]);
    assert!(b.switch.barrier_done(ticket));
    b.say(6, PortNo::CONTROLLER, &to(2));
    b.switch.attend(NOW);
    assert_eq!((b.heard()[1].clone(), b.worker.work()), (vec![6], vec![]));
}

#[test]
fn what_would_take_long_or_changes_something_is_a_worker_s() {
    let mut b = Bench::new();
    let many = vec![Action::output(PortNo(2)); 100];
    let lists = [
        many,
        vec![Action::output(PortNo::FLOOD); 30],
        vec![Action::output(PortNo::CONTROLLER)],
        vec![Action::output(PortNo::NORMAL)],
        vec![Action::PopVlan, Action::output(PortNo(2))],
    ];
    for (byte, actions) in (0..).zip(&lists) {
        b.say(byte, PortNo(1), actions);
        b.switch.attend(NOW);
        assert_eq!(b.worker.work(), [byte], "{actions:?}");
    }
    assert_eq!(b.heard()[1], [0u8; 0]);
}
