//! Lookups by kind of structure, in bursts of 32: `cargo bench -p datapath --bench classifier`.

#![allow(missing_docs, reason = "the macro's function")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datapath::classifier::Description;
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::key::{FlowKey, flag};
use ofproto::Version;
use ofproto::field::FieldId as F;
use ofproto::flow::FlowMod;
use ofproto::ids::TableId;
use ofproto::matching::Match;
use std::hint::black_box;

/// A generator of its own: runs are the same on every machine.
struct Random(u64);

impl Random {
    fn bits(&mut self, n: u32) -> u128 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        u128::from(self.0 >> 20) & ((1 << n) - 1)
    }
}

/// Rules whose addresses are matched under these masks, chosen at random, and keys that match one each.
fn rules(n: u32, masks: impl Fn(&mut Random) -> (u128, u128)) -> (Control, Vec<FlowKey>) {
    let mut r = Random(5);
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut keys = Vec::new();
    for i in 0..n {
        let (src_mask, dst_mask) = masks(&mut r);
        let (src, dst) = (r.bits(32), r.bits(32));
        let mut m = Match::any().with(F::EthType, 0x800);
        for (field, value, mask) in [(F::Ipv4Src, src, src_mask), (F::Ipv4Dst, dst, dst_mask)] {
            if mask != 0 {
                m = m.with_mask(field, value & mask, mask);
            }
        }
        let m = FlowMod { matching: m, priority: (i % 60_000) as u16, ..FlowMod::default() };
        control.flow_mod(Version::V13, &m, Time::ZERO).expect("added");
        let mut k = FlowKey::default();
        k.set(F::EthType, 0x800);
        k.set(F::Ipv4Src, src);
        k.set(F::Ipv4Dst, dst);
        k.set(F::IpFrag, u128::from(flag::L4_PRESENT));
        keys.push(k);
    }
    while control.tick(Time::ZERO).busy {}
    (control, keys)
}

fn prefix(bits: u128) -> u128 {
    (0xffff_ffff << (32 - bits)) & 0xffff_ffff
}

fn lookups(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(32));
    let mut bench = |name: &str, is: fn(&Description) -> bool, (mut control, keys): (Control, Vec<FlowKey>)| {
        let mut reader = control.attach_worker().expect("a place");
        let snap = reader.adopt();
        let mut r = Random(1);
        let id = BenchmarkId::new(name, keys.len());
        let structure = control.table_structure(TableId(0)).expect("a table");
        println!("{name}/{}: {structure}", keys.len());
        assert!(is(&structure), "{name} is to measure another structure");
        let mut out = [None; 32];
        snap.lookup_burst(TableId(0), &std::array::from_fn::<_, 32, _>(|i| &keys[i % keys.len()]), &mut out);
        assert!(out.iter().all(Option::is_some), "{name}: every key matches a rule");
        group.bench_function(id, |b| {
            b.iter_batched(
                || -> [&FlowKey; 32] { std::array::from_fn(|_| &keys[r.bits(40) as usize % keys.len()]) },
                |burst| {
                    let mut out = [None; 32];
                    snap.lookup_burst(TableId(0), &burst, &mut out);
                    black_box(out.iter().flatten().count())
                },
                criterion::BatchSize::SmallInput,
            );
        });
    };
    for n in [4, 32] {
        bench("direct", |s| s.direct > 0 && s.bound_ns() < 60, rules(n, |r| (r.bits(32), r.bits(32))));
    }
    for n in [1000, 100_000] {
        bench("one mask", |s| s.tuples.len() == 1, rules(n, |_| (u128::from(u32::MAX), u128::from(u32::MAX))));
    }
    for n in [1000, 100_000] {
        bench("routes", |s| s.routes > 0 || !s.tuples.is_empty(), rules(n, |r| (0, prefix(16 + r.bits(4).min(12)))));
    }
    bench(
        "prefixes beside another field",
        |s| !s.tuples.is_empty(),
        rules(10_000, |r| (0xff00_0000, prefix(16 + r.bits(4).min(12)))),
    );
    bench(
        "access list",
        |s| !s.tuples.is_empty(),
        rules(10_000, |r| (prefix(8 + r.bits(5) % 25), prefix(8 + r.bits(5) % 25))),
    );
    for n in [500, 4000] {
        bench("arbitrary masks", |s| !s.blocks.is_empty(), rules(n, |r| (r.bits(32), r.bits(32))));
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
