//! How many packets one engine takes through the pipeline: `cargo run --release --example engine_rate`.
//!
//! Frames are made before, outputs go to a port that throws them away; parsing, the cache, the tables and the
//! transmit queues are what is measured. Each line gives the rate with the cache and without.

#[path = "../benches/rig/mod.rs"]
mod rig;

use datapath::engine::CACHE_ENTRIES;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::FlowMod;
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField};
use rig::Rig;
use rustix::time::{ClockId, clock_gettime};

/// Seconds that this thread has computed: other work on the machine doesn't count.
fn cpu_time() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

fn measure(name: &str, flows: u32, setup: &[FlowMod]) {
    let rates = [CACHE_ENTRIES, 0].map(|cache| {
        let mut rig = Rig::with_flows(setup, cache);
        let frames = rig::frames(flows);
        let mut best = f64::MAX;
        for round in 0..40 {
            let start = cpu_time();
            for chunk in frames.chunks(32) {
                rig.burst(chunk.iter().map(Vec::as_slice));
            }
            if round > 4 {
                best = best.min((cpu_time() - start) / frames.len() as f64);
            }
        }
        1e-6 / best
    });
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
