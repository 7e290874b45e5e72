//! Bursts of 32 through a worker's engine: from the cache over how many flows it holds, as keys that it never saw,
//! through the tables without a cache, and by the interpreter. `cargo bench -p datapath --bench engine`.

#![allow(missing_docs, reason = "the macro makes a public function")]

mod rig;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datapath::engine::CACHE_ENTRIES;
use ofproto::Version;
use rig::{Rig, udp};

/// Every address makes a key of its own: one rule looks at all of it.
const BY_ADDRESS: &str = "priority=9,ip,nw_src=192.0.2.1,actions=drop\npriority=1,actions=output:2";

fn routes() -> String {
    (0..1000u32)
        .map(|i| {
            format!("ip,nw_dst=11.0.{}.{},actions=mod_dl_dst:02:00:00:00:00:09,dec_ttl,output:2\n", i >> 8, i & 255)
        })
        .collect()
}

fn cache(c: &mut Criterion) {
    let mut g = c.benchmark_group("cache, burst of 32");
    g.throughput(Throughput::Elements(32));
    for flows in [1, 1000, 10_000, 100_000, 1_000_000u32] {
        let mut rig = Rig::new(Version::V13, BY_ADDRESS, CACHE_ENTRIES);
        // In an order in which neighbours in memory don't follow each other.
        let frames: Vec<Vec<u8>> = (0..flows.max(32)).map(|i| udp(i.wrapping_mul(2_654_435_761) % flows)).collect();
        // A crowded cache grows while flows come again.
        for _ in 0..4 {
            frames.chunks(32).for_each(|burst| rig.burst(burst.iter().map(Vec::as_slice)));
        }
        let mut bursts = frames.chunks_exact(32).cycle();
        g.bench_function(format!("{flows} flows"), |b| {
            b.iter(|| rig.burst(bursts.next().unwrap_or_default().iter().map(Vec::as_slice)));
        });
        println!("  {:.1} % hits since the start", rig.hit_rate() * 100.0);
    }
    let mut rig = Rig::new(Version::V13, BY_ADDRESS, CACHE_ENTRIES);
    let (mut frames, mut next) = (vec![udp(0); 32], 0u32);
    g.bench_function("keys that never came before", |b| {
        b.iter(|| {
            for f in &mut frames {
                next = next.wrapping_add(1);
                f[26..30].copy_from_slice(&next.wrapping_mul(2_654_435_761).to_be_bytes());
            }
            rig.burst(frames.iter().map(Vec::as_slice));
        });
    });
    println!("  {:.1} % hits since the start", rig.hit_rate() * 100.0);
    g.finish();
}

fn ways(c: &mut Criterion) {
    let mut g = c.benchmark_group("burst of 32");
    g.throughput(Throughput::Elements(32));
    for (name, rules) in [("one flow", "actions=output:2".to_owned()), ("1000 routes, edits", routes())] {
        for (way, cache) in [("cached", CACHE_ENTRIES), ("tables", 0), ("interpreted", 0)] {
            let mut rig = Rig::new(Version::V13, &rules, cache);
            if way == "interpreted" {
                rig.interpret();
            }
            let frames = rig::frames(1000);
            let mut bursts = frames.chunks(32).cycle();
            g.bench_function(format!("{name}, {way}"), |b| {
                b.iter(|| rig.burst(bursts.next().unwrap_or_default().iter().map(Vec::as_slice)));
            });
            let (looked_up, matched) = rig.first_table();
            assert_eq!(looked_up, matched, "{name}, {way}");
        }
    }
    g.finish();
}

criterion_group!(benches, cache, ways);
criterion_main!(benches);
