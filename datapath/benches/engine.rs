//! Bursts of 32 through a worker's engine, from the cache and through the tables:
//! `cargo bench -p datapath --bench engine`.

#![allow(missing_docs, reason = "the macro makes a public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::port::{FramePool, PortTx, Transmitted};
use datapath::worker::TxQueues;
use ofproto::Version;
use ofproto::flow::FlowModCommand;
use ofproto::ids::{MacAddr, PortNo, QueueId};
use ofproto::port::{Port, PortConfig, PortState};
use ofproto::text::{ParseContext, parse_flow_mods};
use std::sync::Arc;

/// Gives buffers back.
struct Drain;

impl PortTx for Drain {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len() as u64;
        pool.put_all(frames);
        Transmitted { sent, dropped: 0 }
    }
}

fn udp(flow: u32) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    f.extend((0x0a00_0000 + flow).to_be_bytes());
    f.extend((0x0b00_0000 + flow % 1000).to_be_bytes());
    f.extend([4, 0, 0, 53, 0, 26, 0, 0]);
    f.resize(60, 7);
    f
}

fn bursts(c: &mut Criterion) {
    let routes: String = (0..1000u32)
        .map(|i| {
            format!("ip,nw_dst=11.0.{}.{},actions=mod_dl_dst:02:00:00:00:00:09,dec_ttl,output:2\n", i >> 8, i & 255)
        })
        .collect();
    let mut g = c.benchmark_group("burst of 32");
    g.throughput(Throughput::Elements(32));
    for (name, rules) in [("one flow", "actions=output:2\n".to_owned()), ("1000 routes, edits", routes)] {
        for (way, cache) in [("cached", CACHE_ENTRIES), ("walked", 0)] {
            let mut control = Control::new(ControlConfig { n_tables: 2, ..ControlConfig::default() });
            let mut tx = TxQueues::new();
            for n in 1..=2u32 {
                tx.add_port(PortNo(n), Box::new(Drain));
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
            let flows = parse_flow_mods(&rules, FlowModCommand::Add, &ParseContext::default()).expect("flows");
            for f in flows {
                control.flow_mod(Version::V13, &f, Time::ZERO).expect("a flow");
            }
            let reader = control.attach_worker().expect("room for a worker");
            let mut engine = PipelineEngine::new(reader, Arc::new(Shared::new(SharedConfig::default())), cache);
            let frames: Vec<Vec<u8>> = (0..4096u32).map(|i| udp(i.wrapping_mul(2_654_435_761) % 1000)).collect();
            let (mut at, mut burst) = (0, Vec::with_capacity(32));
            g.bench_function(format!("{name}, {way}"), |b| {
                b.iter(|| {
                    for bytes in &frames[at..at + 32] {
                        let mut f = tx.pool().take(64);
                        f.extend(bytes);
                        burst.push(f);
                    }
                    at = (at + 32) % frames.len();
                    engine.burst(PortNo(1), &mut burst, &mut tx, Time::ZERO);
                    tx.flush();
                });
            });
        }
    }
    g.finish();
}

criterion_group!(benches, bursts);
criterion_main!(benches);
