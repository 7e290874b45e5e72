//! Random flow-mods against a list of flows searched from end to end.

use super::super::*;
use crate::classifier::ways;
use crate::table::compile::{Compiled, compile};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::{Cookie, GroupId, PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};
use ofproto::stats::FlowStatsRequest;

/// A small generator: runs are the same on every machine.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn prefix(&mut self, f: F, value: u128, bits: u32) -> MatchField {
        let len = [0, 8, 13, 16, 20, 24, 27, 31, 32][self.below(9) as usize].min(bits);
        let all = f.info().all_ones();
        let mask = if len == 0 { 0 } else { (all << (bits - len)) & all };
        if mask == all { MatchField::exact(f, value) } else { MatchField::masked(f, value & mask, mask) }
    }

    /// Few values per field, so that matches meet.
    pub(super) fn matching(&mut self) -> Match {
        let mut m = Vec::new();
        if self.below(3) == 0 {
            m.push(MatchField::exact(F::InPort, u128::from(1 + self.below(3))));
        }
        if self.below(6) == 0 {
            let v = u128::from(self.below(4));
            m.push(self.prefix(F::Metadata, v << 32, 32));
            let f = m.last_mut().unwrap();
            if f.mask.is_none() {
                f.value &= F::Metadata.info().all_ones();
            }
        }
        if self.below(3) == 0 {
            m.push(match self.below(3) {
                0 => MatchField::exact(F::VlanVid, 0),
                1 => MatchField::masked(F::VlanVid, 0x1000, 0x1000),
                _ => MatchField::exact(F::VlanVid, 0x1000 | u128::from(self.below(3))),
            });
        }
        if self.below(5) > 0 {
            m.push(MatchField::exact(F::EthType, 0x800));
            if self.below(2) == 0 {
                let v = self.address();
                m.push(self.prefix(F::Ipv4Src, v, 32));
            }
            if self.below(2) == 0 {
                let v = self.address();
                m.push(self.prefix(F::Ipv4Dst, v, 32));
            }
            if self.below(2) == 0 {
                let tcp = self.below(2) == 0;
                m.push(MatchField::exact(F::IpProto, if tcp { 6 } else { 17 }));
                if self.below(2) == 0 {
                    m.push(MatchField::exact(if tcp { F::TcpDst } else { F::UdpDst }, u128::from(self.below(4))));
                }
            }
        }
        Match::new(m)
    }

    fn address(&mut self) -> u128 {
        let hosts = [0x0a00_0001, 0x0a00_0102, 0x0a01_0203, 0x0a01_ff00, 0xc0a8_0001, 0xc0a8_8001];
        hosts[self.below(6) as usize]
    }

    pub(super) fn key(&mut self) -> FlowKey {
        let mut k = FlowKey::default();
        k.set(F::InPort, u128::from(1 + self.below(4)));
        k.set(F::Metadata, u128::from(self.below(4)) << 32);
        if self.below(2) == 0 {
            k.set(F::VlanVid, 0x1000 | u128::from(self.below(4)));
        }
        if self.below(6) > 0 {
            k.set(F::EthType, 0x800);
            let (a, b) = (self.address(), self.address());
            k.set(F::Ipv4Src, a);
            k.set(F::Ipv4Dst, b);
            let tcp = self.below(2) == 0;
            k.set(F::IpProto, if tcp { 6 } else { 17 });
            if self.below(4) > 0 {
                k.set(F::IpFrag, u128::from(crate::key::flag::L4_PRESENT));
                k.set(F::TcpDst, u128::from(self.below(5)));
            } else {
                k.set(F::IpFrag, 3);
            }
        }
        k
    }
}

#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) m: FlowMod,
    c: Compiled,
    order: u64,
}

/// The specification, read literally.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) flows: Vec<Flow>,
    order: u64,
}

fn contains(filter: &Compiled, e: &Compiled) -> bool {
    (0..crate::key::WORDS).all(|w| {
        let m = filter.mask().0[w];
        m & !e.mask().0[w] == 0 && (filter.value.0[w] ^ e.value.0[w]) & m == 0
    })
}

fn outputs_to(m: &FlowMod, port: PortNo) -> bool {
    m.instructions.iter().any(|i| match i {
        Instruction::ApplyActions(l) | Instruction::WriteActions(l) => {
            l.iter().any(|a| matches!(a, Action::Output { port: p, .. } if *p == port))
        }
        _ => false,
    })
}

impl Model {
    pub(super) fn apply(&mut self, m: &FlowMod, max: usize) -> Result<(), ErrorKind> {
        let c = compile(&m.matching, Version::V13).map_err(|e| e.kind)?;
        let same = |f: &Flow| f.c.value == c.value && f.c.mask() == c.mask() && f.m.priority == m.priority;
        let cookie = |f: &Flow| (f.m.cookie.0 ^ m.cookie.0) & m.cookie_mask == 0;
        match m.command {
            FlowModCommand::Add => {
                if m.flags.contains(FlowModFlags::CHECK_OVERLAP)
                    && self.flows.iter().any(|f| {
                        !same(f)
                            && f.m.priority == m.priority
                            && (0..crate::key::WORDS)
                                .all(|w| (f.c.value.0[w] ^ c.value.0[w]) & f.c.mask().0[w] & c.mask().0[w] == 0)
                    })
                {
                    return Err(ErrorKind::FlowModFailedOverlap);
                }
                let replaced = self.flows.iter().position(same);
                if replaced.is_none() && self.flows.len() >= max {
                    return Err(ErrorKind::FlowModFailedTableFull);
                }
                if let Some(i) = replaced {
                    self.flows.remove(i);
                }
                self.order += 1;
                self.flows.push(Flow { m: m.clone(), c, order: self.order });
            }
            FlowModCommand::Modify | FlowModCommand::ModifyStrict => {
                let strict = m.command == FlowModCommand::ModifyStrict;
                for f in &mut self.flows {
                    if cookie(f) && if strict { same(f) } else { contains(&c, &f.c) } {
                        f.m.instructions = m.instructions.clone();
                    }
                }
            }
            _ => {
                let strict = m.command == FlowModCommand::DeleteStrict;
                self.flows.retain(|f| {
                    !(cookie(f)
                        && (m.out_port == PortNo::ANY || outputs_to(&f.m, m.out_port))
                        && if strict { same(f) } else { contains(&c, &f.c) })
                });
            }
        }
        Ok(())
    }

    pub(super) fn lookup(&self, key: &FlowKey) -> Option<&Flow> {
        self.flows
            .iter()
            .filter(|f| key.matches(&f.c.value, &f.c.mask()))
            .max_by_key(|f| (f.m.priority, std::cmp::Reverse(f.order)))
    }
}

fn random_mod(r: &mut Random, serial: u64, wide: bool) -> FlowMod {
    let command = match r.below(if wide { 40 } else { 12 }) {
        0 => FlowModCommand::Delete,
        1 | 2 => FlowModCommand::DeleteStrict,
        3 => FlowModCommand::Modify,
        4 => FlowModCommand::ModifyStrict,
        _ => FlowModCommand::Add,
    };
    FlowMod {
        command,
        cookie: Cookie(serial),
        cookie_mask: if command != FlowModCommand::Add && r.below(4) == 0 { 3 } else { 0 },
        priority: r.below(if wide { 6 } else { 3 }) as u16,
        out_port: if r.below(5) == 0 { PortNo(1 + r.below(3) as u32) } else { PortNo::ANY },
        out_group: GroupId::ANY,
        flags: if r.below(6) == 0 { FlowModFlags::CHECK_OVERLAP } else { FlowModFlags::empty() },
        matching: r.matching(),
        instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo(1 + (serial % 3) as u32))])],
        ..FlowMod::default()
    }
}

/// Compares lookups, single and in bursts, and the dump.
fn compare(control: &mut Control, reader: &mut Reader, model: &Model, r: &mut Random, keys: usize) {
    let keys: Vec<FlowKey> = (0..keys).map(|_| r.key()).collect();
    let refs: Vec<&FlowKey> = keys.iter().collect();
    let want: Vec<_> = keys.iter().map(|k| model.lookup(k)).collect();
    let snap = reader.adopt();
    ways::each(|| {
        let mut burst = vec![None; keys.len()];
        snap.lookup_burst(TableId(0), &refs, &mut burst);
        let mut hits = vec![None; keys.len() + 1];
        crate::pipeline::View::lookup_burst(snap, TableId(0), &refs, &mut hits);
        for (((key, b), hit), want) in keys.iter().zip(&burst).zip(&hits).zip(&want) {
            assert_eq!(hit.as_ref().map(|h| (h.cookie, h.priority)), b.as_ref().map(|f| (f.cookie(), f.priority())));
            let want = want.map(|f| (f.m.cookie, f.m.priority, f.m.instructions.clone()));
            let shown = |f: &crate::table::FlowRef<'_>| (f.cookie(), f.priority(), f.instructions().to_vec());
            assert_eq!(snap.lookup(TableId(0), key).as_ref().map(shown), want);
            assert_eq!(b.as_ref().map(shown), want);
            let union = &snap.state().union_mask;
            let mut masked = *key;
            masked.0.iter_mut().zip(&union.0).for_each(|(k, m)| *k &= m);
            assert_eq!(snap.lookup(TableId(0), &masked).as_ref().map(shown), want, "union mask");
        }
    });
    let dump = control.flow_stats(&FlowStatsRequest::default(), Version::V13).unwrap();
    let mut all = Vec::new();
    loop {
        let (flows, end) = control.next_flows(dump, 7, Time::ZERO);
        all.extend(flows.into_iter().map(|f| (f.cookie, f.priority, f.matching, f.instructions)));
        if end {
            break;
        }
    }
    let mut want: Vec<_> = model
        .flows
        .iter()
        .map(|f| (f.m.cookie, f.m.priority, f.m.matching.clone(), f.m.instructions.clone()))
        .collect();
    all.sort_by_key(|f| f.0);
    want.sort_by_key(|f| f.0);
    assert_eq!(all, want);
    assert_eq!(control.flow_count(TableId(0)) as usize, model.flows.len());
}

fn run(seed: u64, steps: u64, max: u32, wide: bool) {
    let mut r = Random(seed);
    let config = ControlConfig { n_tables: 3, max_entries: max, seed, ..ControlConfig::default() };
    let mut control = Control::new(config);
    let mut reader = control.attach_worker().unwrap();
    let mut model = Model::default();
    for step in 0..steps {
        if r.below(20) == 0 {
            // A bundle that fails at its end, and changes nothing.
            let mut mods: Vec<_> = (0..r.below(6)).map(|i| random_mod(&mut r, step << 8 | i, wide)).collect();
            mods.push(FlowMod { table: TableId(9), ..FlowMod::default() });
            let messages: Vec<_> = mods
                .into_iter()
                .map(|m| BundleMessage { version: Version::V13, request: Modification::Flow(m) })
                .collect();
            let version = control.version();
            assert!(control.commit_bundle(&messages, Time::ZERO).is_err());
            assert_eq!(control.version(), version);
        } else if r.below(8) == 0 {
            let mods: Vec<_> = (0..1 + r.below(6)).map(|i| random_mod(&mut r, step << 8 | i, wide)).collect();
            let mut next = model.clone();
            let want = mods.iter().try_for_each(|m| next.apply(m, max as usize));
            let messages: Vec<_> = mods
                .into_iter()
                .map(|m| BundleMessage { version: Version::V13, request: Modification::Flow(m) })
                .collect();
            let got = control.commit_bundle(&messages, Time::ZERO).map_err(|(_, e)| e.kind);
            assert_eq!(got, want);
            if want.is_ok() {
                model = next;
            }
        } else {
            let m = random_mod(&mut r, step << 8, wide);
            let got = control.flow_mod(Version::V13, &m, Time::ZERO).map(|_| ()).map_err(|e| e.kind);
            assert_eq!(got, model.apply(&m, max as usize), "{m:?}");
        }
        if r.below(3) == 0 {
            control.tick(Time::ZERO);
        }
        if step % 16 == 0 || steps < 100 {
            compare(&mut control, &mut reader, &model, &mut r, 40);
        }
    }
    compare(&mut control, &mut reader, &model, &mut r, 200);
}

/// An access list with hundreds of masks lies in few tuples.
#[test]
fn many_masks_share_few_tuples() {
    let mut r = Random(11);
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut masks = std::collections::HashSet::new();
    for i in 0..10_000u32 {
        let mut m = vec![MatchField::exact(F::EthType, 0x800)];
        for f in [F::Ipv4Src, F::Ipv4Dst] {
            let addr = 0x0a00_0000 | u128::from(r.below(1 << 24));
            let len = [0, 16, 20, 22, 24, 24, 26, 28, 30, 32, 32, 32][r.below(12) as usize];
            let mask = (0xffff_ffffu128 << (32 - len)) & 0xffff_ffff;
            match len {
                0 => {}
                32 => m.push(MatchField::exact(f, addr)),
                _ => m.push(MatchField::masked(f, addr & mask, mask)),
            }
        }
        if r.below(5) > 0 {
            m.push(MatchField::exact(F::IpProto, 6));
            if r.below(3) > 0 {
                m.push(MatchField::exact(F::TcpDst, u128::from(r.below(1 << 14))));
            }
        }
        let m = FlowMod { matching: Match::new(m), priority: (10_000 - i) as u16, ..FlowMod::default() };
        masks.insert(compile(&m.matching, Version::V13).unwrap().shape.mask.clone());
        control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
    }
    let (sizes, residue) = control.tables[0].classifier.sizes();
    assert!(
        masks.len() > 200 && sizes.len() <= 6 && residue <= 1024,
        "{} masks in tuples of {sizes:?}, {residue} in blocks",
        masks.len()
    );
}

#[test]
fn small_tables_behave_as_the_list() {
    for seed in 0..60 {
        run(seed, 60, 1000, false);
    }
}

#[test]
fn large_tables_behave_as_the_list() {
    for seed in 0..6 {
        run(1000 + seed, 1500, 100_000, true);
    }
}

#[test]
fn full_tables_behave_as_the_list() {
    for seed in 0..20 {
        run(2000 + seed, 200, 10, false);
    }
}

/// A rule of arbitrary bits of addresses and ports; bits matched are mostly zero in keys, so that
/// many rules match each.
fn arbitrary(r: &mut Random, few_bits: bool) -> FlowMod {
    let mut m = vec![MatchField::exact(F::EthType, 0x800), MatchField::exact(F::IpProto, 6)];
    for (f, bits) in [(F::Ipv4Src, 32), (F::Ipv4Dst, 32), (F::TcpSrc, 16), (F::TcpDst, 16)] {
        let mut mask = u128::from(r.below(1 << 31) << 1 | r.below(2)) & ((1 << bits) - 1);
        if few_bits {
            mask &= u128::from(r.below(1 << 31)) & u128::from(r.below(1 << 31)) & u128::from(r.below(1 << 31));
        }
        let value = u128::from(r.below(1 << 31)) & if few_bits { 0x1111_1111 } else { u128::MAX } & mask;
        if mask != 0 {
            m.push(MatchField::masked(f, value, mask));
        }
    }
    // Fields that hardly any other rule looks at.
    if r.below(200) == 0 {
        m.push(MatchField::masked(F::Metadata, 0, 1u128 << r.below(64)));
    }
    FlowMod { matching: Match::new(m), priority: r.below(50) as u16, ..FlowMod::default() }
}

/// Keys near the rules: their values, some bits flipped.
fn near(r: &mut Random, flows: &[Flow]) -> FlowKey {
    let mut k = FlowKey::default();
    k.set(F::EthType, 0x800);
    k.set(F::IpProto, 6);
    if let Some(f) = flows.get(r.below(flows.len().max(1) as u64) as usize) {
        k = f.c.value;
    }
    k.set(F::IpFrag, u128::from(crate::key::flag::L4_PRESENT));
    if r.below(2) == 0 {
        k.0[crate::key::word::IP4] ^= r.below(1 << 30) & r.below(1 << 30) & r.below(1 << 30);
    }
    k
}

/// Answers of the table one at a time and as a burst, each way of the processor, against the list's.
pub(super) fn same_answers_for(reader: &mut Reader, model: &Model, keys: &[FlowKey]) {
    let refs: Vec<&FlowKey> = keys.iter().collect();
    let want: Vec<_> = keys.iter().map(|k| model.lookup(k).map(|f| f.m.cookie)).collect();
    let snap = reader.adopt();
    ways::each(|| {
        let mut burst = vec![None; keys.len()];
        snap.lookup_burst(TableId(0), &refs, &mut burst);
        for ((k, b), want) in keys.iter().zip(&burst).zip(&want) {
            assert_eq!(snap.lookup(TableId(0), k).map(|f| f.cookie()), *want);
            assert_eq!(b.map(|f| f.cookie()), *want);
        }
    });
}

fn same_answers(reader: &mut Reader, model: &Model, r: &mut Random, n: usize) {
    let keys: Vec<FlowKey> = (0..n).map(|_| near(r, &model.flows)).collect();
    same_answers_for(reader, model, &keys);
}

/// So few rules that they are compared directly, with and without one that matches anything, beside a tuple and alone;
/// rules in several parts with the same priority, too.
#[test]
fn few_rules_behave_as_the_list() {
    let mut r = Random(21);
    for (n, few_bits, tuple, priorities) in
        [(5, true, 0, 1000), (31, false, 0, 3), (40, true, 0, 1000), (60, false, 64, 1000), (50, true, 64, 3)]
    {
        let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
        let mut model = Model::default();
        let mut reader = control.attach_worker().unwrap();
        let add = |control: &mut Control, model: &mut Model, m: FlowMod| {
            control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
            model.apply(&m, usize::MAX).unwrap();
        };
        for i in 0..n + tuple {
            let priority = 1 + r.below(priorities) as u16;
            let mut m = FlowMod { cookie: Cookie(i), priority, ..arbitrary(&mut r, few_bits) };
            if i < tuple {
                let port = u128::from(r.below(4));
                m.matching = Match::any().with(F::EthType, 0x800).with(F::IpProto, 6).with(F::TcpDst, port).with_mask(
                    F::Ipv4Src,
                    u128::from(i) << 24,
                    0xff00_0000,
                );
            }
            add(&mut control, &mut model, m);
        }
        same_answers(&mut reader, &model, &mut r, 200);
        for priority in [0, 2, 500] {
            let m = FlowMod { cookie: Cookie(1000 + u64::from(priority)), priority, ..FlowMod::default() };
            add(&mut control, &mut model, m);
            while control.tick(Time::ZERO).busy {}
            same_answers(&mut reader, &model, &mut r, 200);
        }
        let structure = control.table_structure(TableId(0)).unwrap();
        assert_eq!(structure.tuples.len(), usize::from(tuple > 0), "{structure}");
    }
}

/// Thousands of masks of which hardly any contains another: blocks hold them, whatever comes and goes.
#[test]
fn rules_of_arbitrary_masks_behave_as_the_list() {
    for few_bits in [false, true] {
        let mut r = Random(77);
        let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
        let mut reader = control.attach_worker().unwrap();
        let mut model = Model::default();
        for round in 0..6u64 {
            for i in 0..600 {
                let m = FlowMod { cookie: Cookie(round << 32 | i), ..arbitrary(&mut r, few_bits) };
                control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
                model.apply(&m, usize::MAX).unwrap();
                if i % 100 == 0 {
                    same_answers(&mut reader, &model, &mut r, 20);
                }
            }
            for _ in 0..400 {
                let old = &model.flows[r.below(model.flows.len() as u64) as usize].m;
                let m = FlowMod { command: FlowModCommand::DeleteStrict, ..old.clone() };
                control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
                model.apply(&m, usize::MAX).unwrap();
                if r.below(4) == 0 {
                    reader.adopt();
                    control.tick(Time::ZERO);
                }
            }
            same_answers(&mut reader, &model, &mut r, 200);
        }
        let (sizes, residue) = control.tables[0].classifier.sizes();
        assert!(residue > 500, "tuples of {sizes:?}, {residue} in blocks");
        let all = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
        control.flow_mod(Version::V13, &all, Time::ZERO).unwrap();
        reader.adopt();
        while control.tick(Time::ZERO).busy {
            reader.adopt();
        }
        assert_eq!(control.tables[0].classifier.len(), 0);
    }
}

/// Workers look up while blocks fill, widen, give their rules to tuples and empty again.
#[test]
fn workers_find_what_stays_while_blocks_and_tuples_change() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut r = Random(5);
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let mut stays = Model::default();
    for i in 0..300u64 {
        let mut m = FlowMod { cookie: Cookie(i), priority: 100 + i as u16, ..arbitrary(&mut r, i % 2 == 0) };
        if i % 3 == 0 {
            m.matching = Match::any().with(F::EthType, 0x800).with(F::IpProto, 6).with_mask(
                F::Ipv4Dst,
                u128::from(i) << 16,
                0xffff_0000,
            );
        }
        control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
        stays.apply(&m, usize::MAX).unwrap();
    }
    let stop = AtomicBool::new(false);
    let readers: Vec<Reader> = (0..2).map(|_| control.attach_worker().unwrap()).collect();
    std::thread::scope(|s| {
        let workers: Vec<_> = readers
            .into_iter()
            .zip(1u64..)
            .map(|(mut reader, seed)| {
                let (stop, stays) = (&stop, &stays);
                s.spawn(move || {
                    let mut r = Random(seed);
                    let mut bursts = 0u32;
                    while !stop.load(Ordering::Relaxed) || bursts < 20 {
                        // What comes and goes has lower priorities.
                        let keys: Vec<FlowKey> =
                            (0..32).map(|_| near(&mut r, &stays.flows)).filter(|k| stays.lookup(k).is_some()).collect();
                        let refs: Vec<&FlowKey> = keys.iter().collect();
                        let snap = reader.adopt();
                        let mut found = vec![None; refs.len()];
                        snap.lookup_burst(TableId(0), &refs, &mut found);
                        for (f, k) in found.iter().zip(&keys) {
                            let want = stays.lookup(k).map(|f| f.m.cookie);
                            assert_eq!(f.map(|f| f.cookie()), want);
                            assert_eq!(snap.lookup(TableId(0), k).map(|f| f.cookie()), want);
                        }
                        bursts += 1;
                        if bursts.is_multiple_of(16) {
                            reader.offline();
                        }
                    }
                })
            })
            .collect();
        for _ in 0..4 {
            let mods: Vec<FlowMod> = (0..1200u32)
                .map(|i| match i % 3 {
                    0 => FlowMod { cookie: Cookie(1 << 40), ..arbitrary(&mut r, false) },
                    _ => FlowMod {
                        cookie: Cookie(1 << 41),
                        priority: 60,
                        matching: Match::any().with(F::EthType, 0x800).with(F::Ipv4Dst, u128::from(i)),
                        ..FlowMod::default()
                    },
                })
                .collect();
            for m in &mods {
                control.flow_mod(Version::V13, m, Time::ZERO).unwrap();
                control.tick(Time::ZERO);
            }
            for bit in [40, 41] {
                let cookie = Cookie(1 << bit);
                let m =
                    FlowMod { command: FlowModCommand::Delete, cookie, cookie_mask: 1 << bit, ..FlowMod::default() };
                control.flow_mod(Version::V13, &m, Time::ZERO).unwrap();
                control.tick(Time::ZERO);
            }
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|w| w.join().unwrap());
    });
    while control.tick(Time::ZERO).busy {}
    assert_eq!(control.flow_count(TableId(0)), 300);
}
