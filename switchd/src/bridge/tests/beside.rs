//! Packets that a worker takes to the controllers while the bridge's thread sleeps.

use super::{by_a_task, parts};
use crate::agent::outbox::{Outbox, Work};
use crate::bridge::hub::Hub;
use crate::bridge::{Handle, Runner, channel};
use crate::session::tests::fake::split;
use crate::session::{Received, Settings};
use datapath::clock::Time;
use datapath::engine::Shared;
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::punt::Punt;
use ofproto::Version;
use ofproto::field::FieldId;
use ofproto::ids::{Cookie, TableId, Xid};
use ofproto::message::Message;
use ofproto::packet::PacketInReason;
use ofproto::wire::{self, Header};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const V13: Version = Version::V13;

type Messages = tokio::sync::mpsc::Sender<Vec<Received>>;

/// A bridge that nobody runs, and its one controller.
struct Lab {
    runner: Runner<crate::bridge::switch::Switch<super::NoPackets>>,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    /// Nanoseconds; at `u64::MAX` reading the clock is a defect.
    now: Arc<AtomicU64>,
    sent: u8,
    _handle: (Handle, Messages),
}

impl Lab {
    fn new() -> Self {
        let (switch, _, _) = parts();
        let shared = Arc::clone(&switch.shared);
        let (handle, inbox) = channel().unwrap();
        let now = Arc::new(AtomicU64::new(1_000_000_000));
        let clock = Arc::clone(&now);
        let clock = move || {
            let now = clock.load(Ordering::Relaxed);
            assert_ne!(now, u64::MAX, "the clock has stopped");
            Time(now)
        };
        let mut runner = Runner::new(Hub::new(switch, Settings::default()), inbox, clock, || Duration::ZERO);
        let (sender, outbox, opened) = by_a_task();
        handle.send_blocking(opened).unwrap();
        let bytes = wire::encode(V13, Xid(1), &Message::Hello(Vec::new())).unwrap();
        sender.blocking_send(vec![Received::new(Header::decode(&bytes).unwrap(), bytes.into())]).unwrap();
        (0..3).for_each(|_| assert!(runner.round()));
        let mut lab = Self { runner, shared, outbox, now, sent: 0, _handle: (handle, sender) };
        assert!(lab.heard().is_empty(), "no packet-in yet");
        lab
    }

    /// Packets for the controllers; their first byte says which.
    fn punt(&mut self, count: usize) {
        for _ in 0..count {
            let mut key = FlowKey::default();
            key.set(FieldId::InPort, 1);
            self.sent += 1;
            let punt = Punt {
                reason: PacketInReason::ApplyAction,
                table: TableId(0),
                cookie: Cookie(0),
                key,
                frame: Frame::from_bytes(&[self.sent; 60]),
                max_len: 128,
                controller_id: 0,
                userdata: None,
                paused: None,
            };
            assert!(self.shared.punts().push(punt));
        }
    }

    fn pass_on(&self) -> bool {
        self.runner.helper().pass_on()
    }

    fn later(&self, time: Duration) {
        self.now.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The first bytes of packets that have reached the controller.
    fn heard(&mut self) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut bytes = Vec::new();
        while self.outbox.queued() > 0 {
            let Work::Write(chunks) = runtime.block_on(self.outbox.take()) else { break };
            chunks.iter().for_each(|c| bytes.extend_from_slice(c));
            self.outbox.wrote(chunks.iter().map(|c| c.len()).sum());
        }
        let first = |m: Message| if let Message::PacketIn(p) = m { Some(p.data[0]) } else { None };
        split(&bytes).into_iter().filter_map(|(_, m)| first(m)).collect()
    }
}

#[test]
fn a_few_packets_go_at_once_and_in_order_and_more_are_left_to_the_thread() {
    let mut lab = Lab::new();
    lab.punt(2);
    assert!(lab.pass_on());
    assert_eq!(lab.heard(), [1, 2]);
    lab.later(Duration::from_millis(1));
    lab.punt(6);
    assert!(!lab.pass_on(), "the thread is to be woken up");
    assert_eq!(lab.heard(), [3, 4, 5, 6]);
    assert!(lab.runner.round());
    assert_eq!(lab.heard(), [7, 8]);
}

#[test]
fn what_comes_soon_afterwards_is_the_thread_s() {
    let mut lab = Lab::new();
    lab.punt(1);
    assert!(lab.pass_on());
    lab.later(Duration::from_micros(10));
    lab.punt(1);
    assert!(!lab.pass_on());
    assert_eq!(lab.heard(), [1]);
    assert!(lab.runner.round());
    assert_eq!(lab.heard(), [2]);
    lab.later(Duration::from_millis(1));
    lab.punt(1);
    assert!(lab.pass_on());
    assert_eq!(lab.heard(), [3]);
}

#[test]
fn nobody_waits_for_the_thread_nor_works_after_it() {
    let mut lab = Lab::new();
    let helper = lab.runner.helper();
    lab.punt(1);
    lab.runner.with(|_, _| assert!(!helper.pass_on(), "a round is under way"));
    assert!(lab.heard().is_empty());
    let Lab { runner, .. } = lab;
    drop(runner);
    assert!(!helper.pass_on());
}

#[test]
fn a_defect_met_beside_ends_the_thread_and_not_the_worker() {
    let mut lab = Lab::new();
    lab.punt(1);
    lab.now.store(u64::MAX, Ordering::Relaxed);
    assert!(!lab.pass_on());
    lab.now.store(2_000_000_000, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| lab.runner.round())).is_err());
}
