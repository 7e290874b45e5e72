//! How many packets one engine takes through the pipeline: `cargo run --release --example engine_rate`.
//!
//! Frames are made before, outputs go to a port that throws them away; parsing, the cache, the tables and the
//! transmit queues are what is measured. Each line gives the rate with the cache and without.

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::FlowMod;
use ofproto::ids::{MacAddr, PortNo, QueueId, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField};
use ofproto::port::{Port, PortConfig, PortState};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;

/// Throws frames away, and gives them back as the next burst's.
struct Sink;

impl PortTx for Sink {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len();
        pool.put_all(frames);
        Transmitted { sent: sent as u64, dropped: 0 }
    }
}

/// Seconds that this thread has computed: other work on the machine doesn't count.
fn cpu_time() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

fn udp(flow: u32) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    f.extend((0x0a00_0000 + flow).to_be_bytes());
    f.extend((0x0b00_0000 + flow % 1000).to_be_bytes());
    f.extend([4, 0, 0, 53, 0, 26, 0, 0]);
    f.resize(60, 7);
    f
}

fn measure(name: &str, flows: u32, setup: &[FlowMod]) {
    let mut rates = Vec::new();
    for cache in [CACHE_ENTRIES, 0] {
        let mut control = Control::new(ControlConfig { n_tables: 8, ..ControlConfig::default() });
        let mut tx = TxQueues::new();
        for n in 1..=2u32 {
            tx.add_port(PortNo(n), Box::new(Sink));
            let port = Port {
                port_no: PortNo(n),
                hw_addr: MacAddr([2, 0, 0, 0, 1, n as u8]),
                name: format!("p{n}"),
                config: PortConfig::empty(),
                state: PortState::LIVE,
                properties: vec![],
            };
            control.add_port(port, n, Time::ZERO).expect("a port");
        }
        for f in setup {
            control.flow_mod(Version::V13, f, Time::ZERO).expect("a flow");
        }
        let reader = control.attach_worker().expect("room for a worker");
        let mut engine = PipelineEngine::new(reader, Arc::new(Shared::new(SharedConfig::default())), cache);
        let frames: Vec<Vec<u8>> = (0..4096).map(|i: u32| udp(i.wrapping_mul(2_654_435_761) % flows)).collect();
        let mut burst = Vec::new();
        let (mut best, mut done) = (f64::MAX, 0u64);
        for round in 0..40 {
            let start = cpu_time();
            for chunk in frames.chunks(32) {
                for bytes in chunk {
                    burst.push(tx.pool().take(64));
                    if let Some(f) = burst.last_mut() {
                        f.extend(bytes);
                    }
                }
                done += burst.len() as u64;
                engine.burst(PortNo(1), &mut burst, &mut tx, Time(done));
                tx.flush();
            }
            if round > 4 {
                best = best.min((cpu_time() - start) / frames.len() as f64);
            }
        }
        rates.push(1e-6 / best);
    }
    println!("{name:32} {flows:>6} flows {:>7.2} Mpps cached {:>7.2} Mpps walked", rates[0], rates[1]);
}

fn flow(table: u8, priority: u16, matching: Match, instructions: Vec<I>) -> FlowMod {
    FlowMod { table: TableId(table), priority, matching, instructions, ..FlowMod::default() }
}

fn main() {
    let out = || I::ApplyActions(vec![Action::output(PortNo(2))]);
    let ip = || Match::any().with(F::EthType, 0x0800);
    let one = [flow(0, 1, Match::any(), vec![out()])];
    let hosts: Vec<FlowMod> =
        (0..1000u32).map(|i| flow(0, 1, ip().with(F::Ipv4Dst, u128::from(0x0b00_0000 + i)), vec![out()])).collect();
    let mut chain: Vec<FlowMod> = (0..3)
        .map(|t| flow(t, 1, ip().with_mask(F::Ipv4Src, 0x0a00_0000, 0xff00_0000), vec![I::GotoTable(TableId(t + 1))]))
        .collect();
    let rewrite = vec![
        Action::SetField(MatchField::exact(F::EthDst, 5)),
        Action::SetField(MatchField::exact(F::EthSrc, 6)),
        Action::DecNwTtl,
        Action::output(PortNo(2)),
    ];
    chain.extend((0..1000u32).map(|i| {
        let m = ip().with(F::Ipv4Dst, u128::from(0x0b00_0000 + i));
        flow(3, 1, m, vec![I::ApplyActions(rewrite.clone())])
    }));
    let ports = [flow(0, 1, Match::any().with(F::InPort, 1), vec![out()])];
    let udp = Match::any().with(F::EthType, 0x0800).with(F::IpProto, 17);
    let five = [flow(
        0,
        1,
        udp.with_mask(F::Ipv4Src, 0x0a00_0000, 0xff00_0000).with_mask(F::Ipv4Dst, 0x0b00_0000, 0xffff_0000),
        vec![out()],
    )];
    for flows in [1, 1000, 100_000] {
        measure("one in_port rule", flows, &ports);
        measure("one UDP rule with masks", flows, &five);
        measure("one wildcard flow", flows, &one);
        measure("1000 host routes", flows, &hosts);
        measure("four tables, rewrite, 1000 routes", flows, &chain);
    }
}
