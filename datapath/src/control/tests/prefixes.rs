//! Tables of prefixes against the list, while they change and while a reader stays at an older version.

use super::super::*;
use super::model::{Model, Random};
use crate::classifier::ways;
use crate::key::FlowKey;
use crate::table::FlowRef;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{Cookie, PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};

/// A kind of table.
#[derive(Clone, Copy)]
struct Kind {
    field: F,
    /// 0: by length, 1: all the same, 2: by chance.
    priorities: u8,
}

/// Few values per byte, so that prefixes cover each other.
fn address(r: &mut Random, field: F) -> u128 {
    let bytes = field.info().all_ones().count_ones() / 8;
    (0..bytes).fold(0, |a, i| a << 8 | u128::from(if i < 2 { r.below(3) } else { r.below(7) * 0x23 }))
}

fn rule(r: &mut Random, kind: Kind, serial: u64) -> FlowMod {
    let all = kind.field.info().all_ones();
    let bits = all.count_ones();
    let lens = [8, 9, 12, 15, 16, 16, 17, 20, 23, 24, 24, 24, 25, 31, 32, 48, 64, 65, 100, 127, 128];
    let len = if r.below(60) == 0 { r.below(8) as u32 } else { lens[r.below(21) as usize].min(bits) };
    let mask = if len == 0 { 0 } else { (all << (bits - len)) & all };
    let mut m = vec![MatchField::exact(F::EthType, if bits == 32 { 0x800 } else { 0x86dd })];
    match len {
        0 => {}
        _ if len == bits => m.push(MatchField::exact(kind.field, address(r, kind.field))),
        _ => m.push(MatchField::masked(kind.field, address(r, kind.field) & mask, mask)),
    }
    let mut priority = match kind.priorities {
        0 => 10 + len as u16,
        1 => 7,
        _ => r.below(6) as u16,
    };
    if r.below(80) == 0 {
        // What isn't like the others.
        match r.below(3) {
            0 => m.clear(),
            1 => m.push(MatchField::exact(F::InPort, u128::from(r.below(2)))),
            _ => m.insert(1, MatchField::exact(F::IpProto, 6)),
        }
        priority = r.below(60) as u16;
    }
    FlowMod {
        matching: Match::new(m),
        priority,
        cookie: Cookie(serial),
        instructions: output(serial as u32),
        ..FlowMod::default()
    }
}

fn output(n: u32) -> Vec<Instruction> {
    vec![Instruction::ApplyActions(vec![Action::output(PortNo(1 + n % 60_000))])]
}

fn key(r: &mut Random, kind: Kind) -> FlowKey {
    let mut k = FlowKey::default();
    let four = kind.field.info().all_ones().count_ones() == 32;
    k.set(
        F::EthType,
        if r.below(20) == 0 {
            0x806
        } else if four {
            0x800
        } else {
            0x86dd
        },
    );
    k.set(F::InPort, u128::from(r.below(2)));
    k.set(F::IpProto, if r.below(2) == 0 { 6 } else { 17 });
    k.set(F::IpFrag, u128::from(crate::key::flag::L4_PRESENT));
    k.set(kind.field, address(r, kind.field));
    k
}

/// One at a time and in a burst, by what they are and what they do.
fn agree(snap: crate::publish::Snapshot<'_>, model: &Model, r: &mut Random, kind: Kind, n: usize) {
    let keys: Vec<FlowKey> = (0..n).map(|_| key(r, kind)).collect();
    let refs: Vec<&FlowKey> = keys.iter().collect();
    let want: Vec<_> = keys.iter().map(|k| model.lookup(k).map(|f| (f.m.cookie, f.m.instructions.clone()))).collect();
    ways::each(|| {
        let mut burst = vec![None; n];
        snap.lookup_burst(TableId(0), &refs, &mut burst);
        for ((k, b), want) in keys.iter().zip(&burst).zip(&want) {
            let shown = |f: FlowRef<'_>| (f.cookie(), f.instructions().to_vec());
            assert_eq!(snap.lookup(TableId(0), k).map(shown), *want);
            assert_eq!(b.map(shown), *want, "in a burst");
        }
    });
}

fn run(kind: Kind, seed: u64) {
    let mut r = Random(seed);
    let mut control = Control::new(ControlConfig { n_tables: 1, seed, ..ControlConfig::default() });
    let mut reader = control.attach_worker().unwrap();
    let mut model = Model::default();
    let (mut with_tree, mut without) = (0, 0);
    let mut serial = 0;
    for round in 0..60u64 {
        // A reader that stays where it is while others come, change and go.
        let stays = reader.adopt();
        let before = model.clone();
        let grows = round % 20 < 12;
        for _ in 0..100 {
            serial += 1;
            let some = (!model.flows.is_empty()).then(|| r.below(model.flows.len() as u64) as usize);
            let m = match (r.below(10), some) {
                (0..=6, _) if grows => rule(&mut r, kind, serial),
                (0 | 7, Some(i)) => FlowMod {
                    command: FlowModCommand::ModifyStrict,
                    instructions: output(serial as u32),
                    ..model.flows[i].m.clone()
                },
                (_, Some(i)) => FlowMod { command: FlowModCommand::DeleteStrict, ..model.flows[i].m.clone() },
                (_, None) => continue,
            };
            control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
            model.apply(&m, usize::MAX).unwrap();
            if r.below(4) == 0 {
                control.tick(Time::ZERO);
            }
            agree(stays, &before, &mut r, kind, 2);
        }
        agree(stays, &before, &mut r, kind, 30);
        if r.below(3) == 0 {
            // Behind the last version: everything that waited can go.
            reader.adopt();
            while control.tick(Time::ZERO).busy {
                reader.adopt();
            }
        }
        agree(reader.adopt(), &model, &mut r, kind, 30);
        match control.table_structure(TableId(0)).unwrap() {
            s if s.routes > 0 => with_tree += 1,
            s if s.direct == 0 => without += 1,
            _ => {}
        }
        if round == 35 {
            // Too many that are different: the tree goes.
            for i in 0..200 {
                serial += 1;
                let m = Match::any().with(F::EthType, 0x800).with(F::IpProto, 6).with(F::TcpDst, i);
                let m = FlowMod { matching: m, priority: 100, cookie: Cookie(serial), ..FlowMod::default() };
                control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
                model.apply(&m, usize::MAX).unwrap();
            }
            assert_eq!(control.table_structure(TableId(0)).unwrap().routes, 0);
        }
    }
    assert!(with_tree > 5 && without > 5, "{with_tree} rounds with a tree, {without} without");
    let all = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
    control.flow_mod(Version::V13, &all, Time::ZERO).unwrap();
    reader.adopt();
    while control.tick(Time::ZERO).busy {
        reader.adopt();
    }
    assert_eq!(control.tables[0].classifier.len(), 0);
    assert_eq!(control.table_structure(TableId(0)).unwrap().routes, 0);
}

#[test]
fn prefixes_behave_as_the_list() {
    for (field, priorities) in [(F::Ipv4Dst, 0), (F::Ipv4Src, 1), (F::Ipv4Dst, 2), (F::Ipv6Dst, 0), (F::Ipv6Src, 2)] {
        run(Kind { field, priorities }, 1 + u64::from(priorities));
    }
}

/// Prefixes so far apart that each needs nodes of its own: the tree gives up before it takes much memory.
#[test]
fn a_tree_of_prefixes_has_bounded_memory() {
    let mut r = Random(3);
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut most = 0;
    for i in 0..3000u32 {
        let mut a = (0..4).fold(0u128, |a, _| a << 32 | u128::from(r.below(1 << 31)) << 1);
        if i % 2 == 0 {
            // Many close together, so that one tuple isn't enough.
            a |= u128::MAX << 16;
        }
        let mask = u128::MAX << (i % 3 * 8);
        let m = Match::any().with(F::EthType, 0x86dd).with_mask(F::Ipv6Dst, a & mask, mask);
        let m = FlowMod { matching: m, priority: 5, ..FlowMod::default() };
        control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
        while control.tick(Time::ZERO).busy {}
        most = most.max(control.table_structure(TableId(0)).unwrap().routes);
    }
    // 28 nodes of 16 places for each of those far apart; here 262,144 places and 64 for each rule are allowed.
    assert!((1000..2900).contains(&most), "{most}");
    assert_eq!(control.table_structure(TableId(0)).unwrap().routes, 0);
}
