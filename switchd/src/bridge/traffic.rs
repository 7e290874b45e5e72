//! Bundles, barriers and counters while packets run: a worker's engine on a thread of its own, memory
//! ports, and a bridge that changes its tables.

use super::tests::{Bench, add};
use crate::session::ConnId;
use datapath::clock::Time;
use datapath::engine::PipelineEngine;
use datapath::frame::Frame;
use datapath::port::memory::Memory;
use datapath::port::{FramePool, Port};
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::{BundleId, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::matching::MatchField;
use ofproto::message::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

const V15: Version = Version::V15;

/// What the worker's thread tells.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    /// Frames that went in, whole bursts.
    received: AtomicU64,
    /// Frames that came out of port 2.
    sent: AtomicU64,
    /// Of these, with source and destination of different bundles.
    torn: AtomicU64,
    /// How often these changed from frame to frame.
    changes: AtomicU64,
}

/// Sends bursts of one frame into port 1 until it is over.
fn run(b: &mut Bench, cache: usize) -> (Arc<Seen>, JoinHandle<()>) {
    let reader = b.lend_worker();
    let shared = Arc::clone(&b.hub.switch.shared);
    let seen = Arc::new(Seen::default());
    let told = Arc::clone(&seen);
    let thread = std::thread::spawn(move || {
        let mut engine = PipelineEngine::new(reader, shared, cache);
        let (near, far) = Memory::pair("near", "far", 256).unwrap();
        let mut rx = far.open_rx().unwrap();
        let mut tx = TxQueues::new();
        tx.add_port(PortNo(2), near.open_tx().unwrap());
        let (mut pool, mut out, mut last) = (FramePool::new(64, 4), Vec::new(), [0; 6]);
        let mut now = 1_000_000_000;
        while !seen.over.load(Ordering::Relaxed) {
            now += 1000;
            let mut frames: Vec<Frame> = (0..32).map(|_| Frame::from_bytes(&[0; 64])).collect();
            engine.burst(PortNo(1), &mut frames, &mut tx, Time(now));
            tx.flush();
            rx.receive(&mut out, 256, &mut pool).unwrap();
            for frame in out.drain(..) {
                let (destination, source) = (&frame.bytes()[..6], &frame.bytes()[6..12]);
                if destination != source {
                    seen.torn.fetch_add(1, Ordering::Relaxed);
                }
                if destination != last {
                    last.copy_from_slice(destination);
                    seen.changes.fetch_add(1, Ordering::Relaxed);
                }
                seen.sent.fetch_add(1, Ordering::Relaxed);
            }
            seen.received.fetch_add(32, Ordering::Release);
        }
    });
    (told, thread)
}

/// Sends a barrier request and waits for its answer: what came before it.
fn barrier(b: &mut Bench, c: ConnId, seen: &Seen) -> Vec<Message> {
    b.say(c, V15, 77, &Message::BarrierRequest);
    let mut before = Vec::new();
    let mut patience = seen.received.load(Ordering::Relaxed) + 100_000_000;
    while patience > seen.received.load(Ordering::Relaxed) {
        b.turn();
        for (_, message) in b.hear(c) {
            if message == Message::BarrierReply {
                return before;
            }
            before.push(message);
        }
        // In case the worker's thread isn't given any time.
        patience -= 1;
        std::thread::yield_now();
    }
    panic!("no answer to the barrier request");
}

fn set(field: FieldId, value: u128) -> Action {
    Action::SetField(MatchField::exact(field, value))
}

#[test]
fn packets_see_all_of_a_bundle_or_nothing() {
    for cache in [0, 1024] {
        let mut b = Bench::of(64);
        let c = b.connect(V15);
        let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
        let control =
            |ty| Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() });
        let commit = |b: &mut Bench, n: u32| {
            let first = FlowMod {
                table: TableId(0),
                instructions: vec![
                    Instruction::ApplyActions(vec![set(FieldId::EthSrc, u128::from(n))]),
                    Instruction::GotoTable(TableId(1)),
                ],
                ..FlowMod::default()
            };
            let second = FlowMod {
                table: TableId(1),
                instructions: vec![Instruction::ApplyActions(vec![
                    set(FieldId::EthDst, u128::from(n)),
                    Action::output(PortNo(2)),
                ])],
                ..FlowMod::default()
            };
            b.say(c, V15, 1, &control(BundleCtrlType::OpenRequest));
            for (xid, message) in [(2, first), (3, second)] {
                b.say(
                    c,
                    V15,
                    xid,
                    &Message::BundleAdd(BundleAdd {
                        bundle: BundleId(1),
                        flags,
                        message: Box::new(Message::FlowMod(message)),
                        inner_xid: Xid(xid),
                        properties: Vec::new(),
                    }),
                );
            }
            b.say(c, V15, 4, &control(BundleCtrlType::CommitRequest));
            let out = b.hear(c);
            assert!(out.iter().all(|(_, m)| matches!(m, Message::BundleControl(_))), "{out:?}");
            b.turn();
        };
        commit(&mut b, 1);
        let (seen, thread) = run(&mut b, cache);
        for n in 2..=1000 {
            commit(&mut b, n);
            if n % 10 == 0 {
                barrier(&mut b, c, &seen);
            }
        }
        barrier(&mut b, c, &seen);
        seen.over.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        let (sent, torn) = (seen.sent.load(Ordering::Relaxed), seen.torn.load(Ordering::Relaxed));
        assert_eq!(torn, 0, "of {sent}");
        assert!(seen.changes.load(Ordering::Relaxed) >= 50, "packets ran while bundles were committed");
    }
}

#[test]
fn after_the_barrier_no_packet_goes_the_old_way_and_what_went_is_counted_exactly() {
    for cache in [0, 1024] {
        let mut b = Bench::of(64);
        let c = b.connect(V15);
        let (seen, thread) = run(&mut b, cache);
        let mut before = 0;
        for round in 0..50 {
            b.say(c, V15, 1, &Message::FlowMod(add(1, FlowModFlags::SEND_FLOW_REM)));
            barrier(&mut b, c, &seen);
            let at_reply = seen.received.load(Ordering::Acquire);
            // Statistics: not less than what is out, not more than what went in.
            let out = seen.sent.load(Ordering::Relaxed) - before;
            let flows = b.flows(c, V15);
            let in_ = seen.received.load(Ordering::Acquire) + 32;
            let counted = flows[0].stats.packet_count;
            assert!(out <= counted && counted <= in_, "round {round}: {out} <= {counted} <= {in_}");
            // Every packet of a burst that began after the barrier's reply goes the new way.
            while seen.received.load(Ordering::Acquire) < at_reply + 96 {
                std::thread::yield_now();
            }
            let went = seen.sent.load(Ordering::Relaxed) - before;
            assert!(went >= 64, "round {round}: {went}");

            let delete = FlowMod { command: FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
            b.say(c, V15, 2, &Message::FlowMod(delete));
            let told = barrier(&mut b, c, &seen);
            let last = seen.sent.load(Ordering::Relaxed);
            let Message::FlowRemoved(removed) = &told[0] else { panic!("{told:?}") };
            assert_eq!(removed.stats.packet_count, last - before, "round {round}");
            assert_eq!(removed.stats.byte_count, (last - before) * 64, "round {round}");
            let until = seen.received.load(Ordering::Acquire) + 128;
            while seen.received.load(Ordering::Acquire) < until {
                std::thread::yield_now();
            }
            assert_eq!(seen.sent.load(Ordering::Relaxed), last, "round {round}: nothing after the barrier");
            before = last;
        }
        seen.over.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }
}

/// M16: flow-mods without end while packets run: every packet that went in came out.
#[test]
fn changes_elsewhere_lose_no_packet() {
    let mut b = Bench::of(200_000);
    let c = b.connect(V15);
    b.say(c, V15, 1, &Message::FlowMod(add(1, FlowModFlags::empty())));
    b.turn();
    let (seen, thread) = run(&mut b, 1024);
    barrier(&mut b, c, &seen);
    for n in 2..20_000 {
        b.say(c, V15, n, &Message::FlowMod(FlowMod { priority: (n % 7) as u16, ..add(n, FlowModFlags::empty()) }));
        if n % 500 == 0 {
            b.turn();
        }
    }
    b.hear(c);
    barrier(&mut b, c, &seen);
    seen.over.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    let (received, sent) = (seen.received.load(Ordering::Relaxed), seen.sent.load(Ordering::Relaxed));
    assert_eq!(received, sent, "19,998 flow-mods on the way");
    assert_eq!(b.flows_count(c), 19_999);
}
