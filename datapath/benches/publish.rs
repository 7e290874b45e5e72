//! What a change costs its writer, with how many readers, and adopting it a worker:
//! `cargo bench -p datapath --bench publish`.

#![allow(missing_docs, reason = "the macro's function")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::key::FlowKey;
use datapath::publish::Reader;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

const FLOWS: u32 = 100_000;
const MOST_READERS: usize = 64;
/// Changes that a writer makes while its reader, which criterion stops now and then, looks nothing up: what they
/// replace can't be freed meanwhile.
const AHEAD: u32 = 1000;

fn flow(i: u32, command: FlowModCommand, port: u32) -> FlowMod {
    let matching = Match::any().with(F::EthType, 0x800).with(F::Ipv4Src, u128::from(i));
    let instructions = vec![Instruction::ApplyActions(vec![Action::output(PortNo(port))])];
    FlowMod { command, matching, instructions, priority: 7, ..FlowMod::default() }
}

/// A table of many flows and who changes it.
struct Table {
    control: Control,
    i: u32,
}

impl Table {
    fn new() -> Self {
        let mut all = Self {
            control: Control::new(ControlConfig { n_tables: 1, max_workers: MOST_READERS, ..ControlConfig::default() }),
            i: 0,
        };
        (0..FLOWS).for_each(|i| all.change(&flow(i, FlowModCommand::Add, 1)));
        while all.control.tick(Time::ZERO).busy {}
        all
    }

    fn change(&mut self, m: &FlowMod) {
        self.control.flow_mod(Version::V13, m, Time::ZERO).expect("done");
    }

    /// Another flow each time, and another port.
    fn next(&mut self) -> (u32, u32) {
        self.i += 1;
        (self.i.wrapping_mul(2_654_435_761) % FLOWS, 1 + self.i % 7)
    }

    fn modify(&mut self) {
        let (i, port) = self.next();
        self.change(&flow(i, FlowModCommand::ModifyStrict, port));
    }

    fn readers(&mut self, n: usize) -> Vec<Reader> {
        (0..n).map(|_| self.control.attach_worker().expect("a place")).collect()
    }
}

fn adopt(readers: &mut [Reader]) {
    for r in readers {
        black_box(r.adopt());
    }
}

/// A change, each reader's adopting it, and the freeing of what it replaced, in one thread.
fn changes(c: &mut Criterion) {
    let mut table = Table::new();
    let mut group = c.benchmark_group("change, adopt, reclaim");
    group.throughput(Throughput::Elements(1));
    for n in [1, 8, MOST_READERS] {
        let mut readers = table.readers(n);
        group.bench_function(BenchmarkId::new("modify-strict, readers", n), |b| {
            b.iter(|| {
                table.modify();
                adopt(&mut readers);
                table.control.tick(Time::ZERO);
            });
        });
        group.bench_function(BenchmarkId::new("delete-strict and add, readers", n), |b| {
            b.iter(|| {
                let (i, port) = table.next();
                for command in [FlowModCommand::DeleteStrict, FlowModCommand::Add] {
                    table.change(&flow(i, command, port));
                    adopt(&mut readers);
                    table.control.tick(Time::ZERO);
                }
            });
        });
    }
    table.control.tick(Time::ZERO);
    let mut readers = table.readers(1);
    group.bench_function("adopt, nothing new", |b| b.iter(|| adopt(&mut readers)));
    group.finish();
}

/// Adopts and looks a burst up; every key is in the table.
fn read(reader: &mut Reader, from: &mut u32) {
    let mut keys = [FlowKey::default(); 32];
    for k in &mut keys {
        *from = from.wrapping_add(1);
        k.set(F::EthType, 0x800);
        k.set(F::Ipv4Src, u128::from(from.wrapping_mul(2_654_435_761) % FLOWS));
    }
    let keys: [&FlowKey; 32] = std::array::from_fn(|i| &keys[i]);
    let mut out = [None; 32];
    reader.adopt().lookup_burst(TableId(0), &keys, &mut out);
    assert!(out.iter().all(Option::is_some), "a change must not hide a flow");
}

/// One thread changes the table while another looks flows up in it. On fewer than two free cores they share one.
fn beside_each_other(c: &mut Criterion) {
    let mut group = c.benchmark_group("two threads");
    let (mut table, over) = (Table::new(), AtomicBool::new(false));
    let (mut from, read_so_far) = (0, AtomicU64::new(0));
    group.throughput(Throughput::Elements(32));
    let mut reader = table.readers(1).remove(0);
    group.bench_function("burst of 32 looked up, no writer", |b| b.iter(|| read(&mut reader, &mut from)));
    thread::scope(|s| {
        s.spawn(|| {
            let (mut seen, mut ahead) = (0, 0);
            while !over.load(Relaxed) {
                let bursts = read_so_far.load(Relaxed);
                ahead = if bursts == seen { ahead + 1 } else { 0 };
                seen = bursts;
                if ahead > AHEAD {
                    thread::yield_now();
                    continue;
                }
                table.modify();
                table.control.tick(Time::ZERO);
            }
        });
        group.bench_function("burst of 32 looked up beside a writer", |b| {
            b.iter(|| {
                read(&mut reader, &mut from);
                read_so_far.store(read_so_far.load(Relaxed) + 1, Relaxed);
            });
        });
        over.store(true, Relaxed);
    });
    over.store(false, Relaxed);
    group.throughput(Throughput::Elements(1));
    thread::scope(|s| {
        let (over, reader) = (&over, &mut reader);
        s.spawn(move || {
            while !over.load(Relaxed) {
                read(reader, &mut from);
            }
            reader.offline();
        });
        group.bench_function("modify-strict beside a reader", |b| {
            b.iter(|| {
                table.modify();
                table.control.tick(Time::ZERO);
            });
        });
        over.store(true, Relaxed);
    });
    group.finish();
}

criterion_group!(benches, changes, beside_each_other);
criterion_main!(benches);
