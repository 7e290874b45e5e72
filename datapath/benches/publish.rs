//! What a change costs its writer, and adopting it a worker: `cargo bench -p datapath --bench publish`.

#![allow(missing_docs, reason = "the macro's function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::PortNo;
use ofproto::instruction::Instruction;
use ofproto::matching::Match;

const FLOWS: u32 = 100_000;

fn flow(i: u32, command: FlowModCommand, port: u32) -> FlowMod {
    let matching = Match::any().with(F::EthType, 0x800).with(F::Ipv4Src, u128::from(i));
    let instructions = vec![Instruction::ApplyActions(vec![Action::output(PortNo(port))])];
    FlowMod { command, matching, instructions, priority: 7, ..FlowMod::default() }
}

fn changes(c: &mut Criterion) {
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut reader = control.attach_worker().expect("a place");
    let mut change = |m: &FlowMod| {
        control.flow_mod(Version::V13, m, Time::ZERO).expect("done");
        reader.adopt();
        control.tick(Time::ZERO);
    };
    for i in 0..FLOWS {
        change(&flow(i, FlowModCommand::Add, 1));
    }
    let mut group = c.benchmark_group("change, adopt, reclaim");
    group.throughput(Throughput::Elements(1));
    let mut i = 0u32;
    let mut next = || {
        i += 1;
        (i.wrapping_mul(2_654_435_761) % FLOWS, 1 + i % 7)
    };
    group.bench_function("modify-strict", |b| {
        b.iter(|| {
            let (i, port) = next();
            change(&flow(i, FlowModCommand::ModifyStrict, port));
        });
    });
    group.bench_function("delete-strict, add", |b| {
        b.iter(|| {
            let (i, port) = next();
            change(&flow(i, FlowModCommand::DeleteStrict, port));
            change(&flow(i, FlowModCommand::Add, port));
        });
    });
    group.finish();
}

criterion_group!(benches, changes);
criterion_main!(benches);
