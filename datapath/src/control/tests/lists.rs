//! Access lists against the list searched from end to end, while rules come and go: packets near the rules and others
//! that next to no rule is for, in bursts of any length.

use super::super::*;
use super::model::{Model, Random, same_answers_for};
use crate::key::{FlowKey, flag};
use ofproto::Version;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::{Cookie, TableId};
use ofproto::matching::{Match, MatchField};

/// An address, mostly of one of some networks.
fn address(r: &mut Random, networks: u64) -> u128 {
    let network = if r.below(4) == 0 { r.below(1 << 16) } else { r.below(networks) * 0x3b1 };
    u128::from((network & 0xffff) << 16 | r.below(4) << 14 | r.below(64))
}

fn rule(r: &mut Random, networks: u64, serial: u64) -> FlowMod {
    let mut m = vec![MatchField::exact(F::EthType, 0x800)];
    for f in [F::Ipv4Src, F::Ipv4Dst] {
        let len = [0, 8, 16, 20, 24, 24, 26, 30, 32, 32][r.below(10) as usize];
        let mask = (0xffff_ffffu128 << (32 - len)) & 0xffff_ffff;
        let address = address(r, networks);
        match len {
            0 => {}
            32 => m.push(MatchField::exact(f, address)),
            _ => m.push(MatchField::masked(f, address & mask, mask)),
        }
    }
    if r.below(5) > 0 {
        m.push(MatchField::exact(F::IpProto, 6));
        if r.below(3) > 0 {
            m.push(MatchField::exact(F::TcpDst, u128::from(r.below(20))));
        }
    }
    // Many of one priority: their age decides.
    FlowMod { cookie: Cookie(serial), priority: 1 + r.below(40) as u16, matching: Match::new(m), ..FlowMod::default() }
}

fn key(r: &mut Random, networks: u64) -> FlowKey {
    let mut k = FlowKey::default();
    k.set(F::EthType, if r.below(20) == 0 { 0x86dd } else { 0x800 });
    for f in [F::Ipv4Src, F::Ipv4Dst] {
        let address = if r.below(3) == 0 { u128::from(r.below(1 << 31)) } else { address(r, networks) };
        k.set(f, address);
    }
    k.set(F::IpProto, if r.below(4) == 0 { 17 } else { 6 });
    k.set(F::TcpDst, u128::from(r.below(25)));
    k.set(F::IpFrag, u128::from(flag::L4_PRESENT));
    k
}

#[test]
fn access_lists_behave_as_the_list() {
    for (seed, networks) in [(1, 30), (2, 4), (3, 400)] {
        let mut r = Random(seed);
        let mut control = Control::new(ControlConfig { n_tables: 1, seed, ..ControlConfig::default() });
        let mut reader = control.attach_worker().unwrap();
        let mut model = Model::default();
        let mut most = 0;
        let apply = |control: &mut Control, model: &mut Model, m: &FlowMod| {
            control.flow_mod(Version::V13, m, Time::ZERO).unwrap();
            model.apply(m, usize::MAX).unwrap();
        };
        for round in 0..5u64 {
            for i in 0..500 {
                let m = rule(&mut r, networks, round << 32 | i);
                apply(&mut control, &mut model, &m);
                if i % 50 == 0 {
                    let n = 1 + r.below(40);
                    let keys: Vec<FlowKey> = (0..n).map(|_| key(&mut r, networks)).collect();
                    same_answers_for(&mut reader, &model, &keys);
                }
                if i % 7 == 0 {
                    control.tick(Time::ZERO);
                }
            }
            if round == 1 {
                // One for all that no other is for.
                let m = FlowMod { cookie: Cookie(1 << 60), priority: 0, ..FlowMod::default() };
                apply(&mut control, &mut model, &m);
            }
            while control.tick(Time::ZERO).busy {}
            let structure = control.table_structure(TableId(0)).unwrap();
            most = most.max(structure.tuples.len());
            let keys: Vec<FlowKey> = (0..200).map(|_| key(&mut r, networks)).collect();
            same_answers_for(&mut reader, &model, &keys);
            for _ in 0..if round == 3 { model.flows.len() * 7 / 8 } else { 250 } {
                let old = &model.flows[r.below(model.flows.len() as u64) as usize].m;
                let m = FlowMod { command: FlowModCommand::DeleteStrict, ..old.clone() };
                apply(&mut control, &mut model, &m);
                if r.below(4) == 0 {
                    reader.adopt();
                    control.tick(Time::ZERO);
                }
            }
            same_answers_for(&mut reader, &model, &keys);
        }
        assert!(most > 1, "{most} tuples");
    }
}

/// More hashes than are noted before a tuple's slots, and fewer again.
#[test]
fn a_tuple_of_many_is_found_with_and_without_a_filter() {
    const MANY: u32 = 80_000;
    let flow = |i: u32, command| FlowMod {
        command,
        cookie: Cookie(u64::from(i)),
        matching: Match::any().with(F::EthType, 0x800).with(F::Ipv4Src, u128::from(i)).with(F::Ipv4Dst, 7),
        ..FlowMod::default()
    };
    let key = |i: u32| {
        let mut k = FlowKey::default();
        k.set(F::EthType, 0x800);
        k.set(F::Ipv4Src, u128::from(i));
        k.set(F::Ipv4Dst, 7);
        k
    };
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut reader = control.attach_worker().unwrap();
    // Whether those below `to` are there and no others.
    let look = |reader: &mut Reader, to: u32| {
        let keys: Vec<FlowKey> = (0..2 * MANY).step_by(61).chain(to.saturating_sub(40)..to + 40).map(key).collect();
        let refs: Vec<&FlowKey> = keys.iter().collect();
        let mut found = vec![None; refs.len()];
        let snap = reader.adopt();
        snap.lookup_burst(TableId(0), &refs, &mut found);
        for (k, f) in keys.iter().zip(&found) {
            let i = k.get(F::Ipv4Src) as u32;
            let want = (i < to).then_some(Cookie(u64::from(i)));
            assert_eq!(f.map(|f| f.cookie()), want);
            assert_eq!(snap.lookup(TableId(0), k).map(|f| f.cookie()), want);
        }
    };
    let steps = [64, 65, 1000, 32_768, 32_769, 65_536, 65_537, MANY];
    let mut n = 0;
    for to in steps {
        for i in n..to {
            control.flow_mod(Version::V13, &flow(i, FlowModCommand::Add), Time::ZERO).unwrap();
        }
        n = to;
        look(&mut reader, n);
    }
    for (less, more) in [(40_000, 41_000), (20_000, 30_000), (100, 70_000)] {
        for i in less..n {
            control.flow_mod(Version::V13, &flow(i, FlowModCommand::DeleteStrict), Time::ZERO).unwrap();
        }
        reader.adopt();
        while control.tick(Time::ZERO).busy {
            reader.adopt();
        }
        look(&mut reader, less);
        for i in less..more {
            control.flow_mod(Version::V13, &flow(i, FlowModCommand::Add), Time::ZERO).unwrap();
        }
        n = more;
        look(&mut reader, n);
    }
}
