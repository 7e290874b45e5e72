//! What the cache knows under changes: random ones, and such that don't concern it.

use crate::rig::{Switch, V, frame, out};
use datapath::clock::Time;
use datapath::engine::Shortcuts;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::TableId;
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField};

/// The tests' own generator of numbers.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ z >> 27) % n
    }
}

fn ipv4(proto: u8, src: u8, dst: u8, port: u8, vlan: Option<u8>) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if let Some(vlan) = vlan {
        f.extend([0x81, 0, 0x20, vlan]);
    }
    f.extend([8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, src, 10, 0, 0, dst, 0, 9, 0, port]);
    f.extend([0; 22]);
    f
}

fn random_match(r: &mut Draw, table: u8) -> Match {
    let mut m = Match::any();
    if r.below(6) == 0 {
        m = m.with(F::InPort, u128::from(1 + r.below(4)));
    }
    if r.below(8) == 0 {
        m = m.with(F::VlanVid, if r.below(2) == 0 { 0 } else { 0x1000 | u128::from(r.below(3)) });
    }
    if r.below(10) == 0 {
        m = m.with(F::EthDst, u128::from(r.below(4)));
    }
    if table > 0 && r.below(4) == 0 {
        m = m.with_mask(F::Metadata, u128::from(r.below(2)), 1);
    }
    match r.below(8) {
        0 => return m,
        1 => return m.with(F::EthType, 0x0806).with(F::ArpSpa, 0x0a00_0000 + u128::from(r.below(4))),
        _ => m = m.with(F::EthType, 0x0800),
    }
    if r.below(2) == 0 {
        // Any bits of those that don't differ, too: more masks than are told apart.
        let many = if r.below(3) == 0 { u128::from(r.below(64)) << 10 } else { 0 };
        let mask = [0xffff_ffff, 0xffff_fffe, 0xffff_fffd, 0xffff_fffc][r.below(4) as usize] & !many;
        m = m.with_mask(F::Ipv4Dst, (0x0a00_0000 + u128::from(r.below(4))) & mask, mask);
    }
    if r.below(3) == 0 {
        let mask = [0xffff_ffff, 0xffff_fffe][r.below(2) as usize];
        m = m.with_mask(F::Ipv4Src, (0x0a00_0000 + u128::from(r.below(4))) & mask, mask);
    }
    match r.below(4) {
        0 => m.with(F::IpProto, 17).with(F::UdpDst, u128::from(r.below(3))),
        1 => m.with(F::IpProto, 6).with(F::TcpDst, u128::from(r.below(3))),
        2 => m.with(F::IpProto, [6, 17, 1][r.below(3) as usize]),
        _ => m,
    }
}

fn random_change(r: &mut Draw) -> FlowMod {
    let table = r.below(3) as u8;
    let command = match r.below(8) {
        0..5 => FlowModCommand::Add,
        5 => FlowModCommand::DeleteStrict,
        6 => FlowModCommand::ModifyStrict,
        _ if r.below(20) == 0 => FlowModCommand::Delete,
        _ => FlowModCommand::DeleteStrict,
    };
    let mut list = Vec::new();
    if r.below(3) == 0 {
        list.push(Action::SetField(MatchField::exact(F::EthDst, u128::from(r.below(4)))));
    }
    if r.below(6) == 0 {
        let field = [F::VlanVid, F::EthSrc][r.below(2) as usize];
        list.push(if field == F::VlanVid { Action::PopVlan } else { Action::SetField(MatchField::exact(field, 7)) });
    }
    if r.below(6) == 0 {
        let set = match r.below(4) {
            0 => MatchField::exact(F::Ipv4Src, 0x0a00_0000 + u128::from(r.below(4))),
            1 | 2 => MatchField::exact(F::Ipv4Dst, 0x0a00_0000 + u128::from(r.below(4))),
            _ => MatchField::exact(F::UdpDst, u128::from(r.below(3))),
        };
        list.push(Action::SetField(set));
    }
    let mut instructions = Vec::new();
    if table < 2 && r.below(2) == 0 {
        instructions.push(I::WriteMetadata { metadata: r.below(2), mask: 1 });
        instructions.push(I::GotoTable(TableId(table + 1 + r.below(2 - u64::from(table)) as u8)));
    } else {
        list.push(out(1 + r.below(4) as u32));
    }
    instructions.push(I::ApplyActions(list));
    let priority = r.below(6) as u16;
    FlowMod {
        command,
        table: TableId(table),
        priority,
        matching: random_match(r, table),
        instructions,
        ..FlowMod::default()
    }
}

/// Three switches get the same changes and the same packets: one walks all of them by the interpreter, one doesn't cache.
#[test]
fn a_cache_sees_every_change_that_matters() {
    let (mut hits, mut stale) = (0, 0);
    for seed in 0..6 {
        let mut r = Draw(seed);
        let (mut plain, mut bare, mut cached) = (Switch::new(), Switch::new(), Switch::new());
        plain.engine.shortcuts = Shortcuts::None;
        bare.engine.shortcuts = Shortcuts::Legs;
        let flows: Vec<(u32, Vec<u8>)> = (0..40)
            .map(|_| {
                let (src, dst, port) = (r.below(4) as u8, r.below(4) as u8, r.below(3) as u8);
                let vlan = [None, None, Some(r.below(3) as u8)][r.below(3) as usize];
                let f = if r.below(8) == 0 {
                    frame(dst, src)
                } else {
                    ipv4([6, 17, 1][r.below(3) as usize], src, dst, port, vlan)
                };
                (1 + r.below(4) as u32, f)
            })
            .collect();
        for round in 0..1500 {
            let now = Time(round * 1_000_000);
            [&mut plain, &mut bare, &mut cached].into_iter().for_each(|s| s.now = now);
            if seed < 2 && round % 500 == 499 {
                // More changes than the cache can hear of one by one.
                for i in 0..40_000 {
                    let command = if i % 2 == 0 { FlowModCommand::Add } else { FlowModCommand::DeleteStrict };
                    let matching = Match::any().with(F::EthType, 0x0800).with(F::Ipv4Dst, 0x0b00_0000 + i / 2);
                    let m = FlowMod { command, priority: 1, matching, ..FlowMod::default() };
                    for s in [&mut plain, &mut bare, &mut cached] {
                        s.control.flow_mod(V, &m, now).unwrap();
                    }
                }
            }
            for _ in 0..r.below(3) {
                let m = random_change(&mut r);
                let done = [&mut plain, &mut bare, &mut cached].map(|s| s.control.flow_mod(V, &m, now).is_ok());
                assert!(done[0] == done[1] && done[0] == done[2]);
            }
            if r.below(4) == 0 {
                [&mut plain, &mut bare, &mut cached].into_iter().for_each(|s| {
                    s.control.tick(now);
                });
            }
            for _ in 0..2 {
                let port = 1 + r.below(4) as u32;
                let burst: Vec<&[u8]> = (0..12)
                    .map(|_| &flows[r.below(40) as usize])
                    .filter(|(p, _)| *p == port)
                    .map(|(_, f)| &f[..])
                    .collect();
                [&mut plain, &mut bare, &mut cached].into_iter().for_each(|s| s.send(port, &burst));
                for out in 1..=4 {
                    let want = plain.received(out);
                    assert_eq!(bare.received(out), want, "without a cache, seed {seed} round {round}");
                    assert_eq!(cached.received(out), want, "seed {seed} round {round}");
                }
            }
        }
        for s in [&mut bare, &mut cached] {
            assert_eq!(s.counts(), plain.counts(), "seed {seed}");
            assert_eq!(s.shared.drops(), plain.shared.drops(), "seed {seed}");
        }
        let stats = cached.engine.cache_stats();
        (hits, stale) = (hits + stats.hits, stale + stats.stale);
    }
    assert!(hits > 20_000 && stale > 500, "{hits} {stale}");
}

#[test]
fn flows_that_do_not_match_a_packet_leave_what_the_cache_knows_of_it() {
    let mut s = Switch::new();
    let route = |dst: u32| Match::any().with(F::EthType, 0x0800).with(F::Ipv4Dst, u128::from(0x0a00_0000 + dst));
    s.add(0, 1, route(1), vec![I::ApplyActions(vec![out(2)])]);
    let f = ipv4(17, 1, 1, 1, None);
    s.send(1, &[&f, &f]);
    for i in 0..200 {
        s.add(0, 2, route(100 + i), vec![I::ApplyActions(vec![out(3)])]);
        s.send(1, &[&f]);
    }
    // Nor those under many masks, in tables behind edits, nor what ends.
    let through = vec![
        I::WriteMetadata { metadata: 5, mask: 7 },
        I::ApplyActions(vec![Action::SetField(MatchField::exact(F::Ipv4Dst, 0x0a00_0009))]),
        I::GotoTable(TableId(3)),
    ];
    s.add(0, 3, route(1), through);
    s.add(3, 3, route(9), vec![I::ApplyActions(vec![out(2)])]);
    s.send(1, &[&f, &f]);
    for i in 0..200u128 {
        let mask = 0xffff_ffff << (i % 24) & 0xffff_ffff;
        let m = Match::any().with(F::EthType, 0x0800).with_mask(F::Ipv4Dst, 0x0b00_0000 & mask, mask);
        // The packet has 5.
        let m = if i % 3 == 1 { route(9).with_mask(F::Metadata, 1 + i, 0xff) } else { m };
        s.add(3, 4 + (i % 2) as u16, m.clone(), vec![I::ApplyActions(vec![out(3)])]);
        s.send(1, &[&f]);
        let command = FlowModCommand::DeleteStrict;
        let end =
            FlowMod { command, table: TableId(3), priority: 4 + (i % 2) as u16, matching: m, ..FlowMod::default() };
        s.control.flow_mod(V, &end, s.now).unwrap();
        s.control.tick(s.now);
        s.send(1, &[&f]);
    }
    assert_eq!(s.received(3).len(), 1, "metadata 5 is matched once");
    s.add(3, 9, route(9).with_mask(F::Metadata, 5, 7), vec![I::ApplyActions(vec![out(4)])]);
    s.send(1, &[&f]);
    assert_eq!(s.received(4).len(), 1);
    let end = FlowMod { command: FlowModCommand::Delete, table: TableId(0), priority: 3, ..FlowMod::default() };
    s.control.flow_mod(V, &end, s.now).unwrap();
    s.add(0, 1, route(1), vec![I::ApplyActions(vec![out(2)])]);
    s.send(1, &[&f]);
    let before = s.engine.cache_stats();
    assert!(before.hits >= 195 + 370, "{before:?}");
    s.add(0, 2, route(1), vec![I::ApplyActions(vec![out(4)])]);
    s.send(1, &[&f]);
    assert_eq!((s.received(4).len(), s.engine.cache_stats().stale), (1, before.stale + 1));
}
