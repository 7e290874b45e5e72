//! Bursts of 32 through a worker's engine, from the cache and through the tables:
//! `cargo bench -p datapath --bench engine`.

#![allow(missing_docs, reason = "the macro makes a public function")]

mod rig;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datapath::clock::Time;
use datapath::engine::CACHE_ENTRIES;
use ofproto::flow::FlowModCommand;
use ofproto::text::{ParseContext, parse_flow_mods};
use rig::Rig;

fn bursts(c: &mut Criterion) {
    let routes: String = (0..1000u32)
        .map(|i| {
            format!("ip,nw_dst=11.0.{}.{},actions=mod_dl_dst:02:00:00:00:00:09,dec_ttl,output:2\n", i >> 8, i & 255)
        })
        .collect();
    let mut g = c.benchmark_group("burst of 32");
    g.throughput(Throughput::Elements(32));
    for (name, rules) in [("one flow", "actions=output:2\n".to_owned()), ("1000 routes, edits", routes)] {
        let flows = parse_flow_mods(&rules, FlowModCommand::Add, &ParseContext::default()).expect("flows");
        for (way, cache) in [("cached", CACHE_ENTRIES), ("walked", 0)] {
            let mut rig = Rig::new(&flows, cache);
            let frames = rig::frames(1000);
            let mut chunks = frames.chunks(32).cycle();
            g.bench_function(format!("{name}, {way}"), |b| {
                b.iter(|| rig.burst(chunks.next().unwrap_or_default(), Time::ZERO));
            });
        }
    }
    g.finish();
}

criterion_group!(benches, bursts);
criterion_main!(benches);
