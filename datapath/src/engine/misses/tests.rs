//! Walks of legs against the interpreter.

use crate::clock::Time;
use crate::engine::Shortcuts;
use crate::engine::burst::FastPath;
use crate::engine::testbed::{TestSwitch, digest, frames};
use crate::frame::Frame;
use crate::pipeline::{Lost, Miss};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::ids::{PortNo, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::port::PortConfig;

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Matches on what edits of earlier tables change.
fn a_match(r: &mut Draw) -> Match {
    let mut m = Match::any();
    if r.one_in(3) {
        m = m.with_mask(F::Metadata, u128::from(r.below(4)), 3);
    }
    if r.one_in(4) {
        m = m.with_mask(F::Reg1, u128::from(r.below(3)), 3);
    }
    match r.below(8) {
        0 => m = m.with(F::InPort, u128::from(1 + r.below(3))),
        1 => m = m.with(F::EthDst, u128::from(r.below(2))),
        2 => m = m.with(F::VlanVid, 0),
        3 => m = m.with_mask(F::VlanVid, 0x1000, 0x1000),
        4 => m = m.with(F::VlanVid, 0x1000 | u128::from(r.below(3))),
        5 => m = m.with(F::VlanVid, 0x1000 | u128::from(r.below(3))).with(F::VlanPcp, u128::from(r.below(2))),
        _ => {}
    }
    if r.one_in(4) {
        return m;
    }
    m = m.with(F::EthType, 0x0800);
    match r.below(8) {
        0 | 1 => m.with_mask(F::Ipv4Src, u128::from(r.below(4)), 3),
        2 | 3 => m.with_mask(F::Ipv4Dst, u128::from(r.below(4)), 3),
        4 => m.with(F::IpProto, 6).with(F::TcpDst, u128::from(80 + r.below(3))),
        5 => m.with(F::IpProto, 17).with(F::UdpSrc, u128::from(r.below(3))),
        6 if r.one_in(8) => m.with(F::NwTtl, 63),
        _ => m,
    }
}

fn an_edit(r: &mut Draw) -> Action {
    let set = |id, v: u64| Action::SetField(MatchField::exact(id, u128::from(v)));
    match r.below(14) {
        0 => set(F::EthDst, r.below(2)),
        1 => set(F::EthSrc, r.below(1 << 48)),
        2 => set(F::Ipv4Src, r.below(4)),
        3 => set(F::Ipv4Dst, r.below(1 << 32)),
        4 => set(F::TcpDst, 80 + r.below(3)),
        5 => set(F::UdpSrc, r.below(3)),
        6 => Action::DecNwTtl,
        7 | 8 => Action::PopVlan,
        9 => Action::PushVlan([0x8100, 0x88a8][r.below(2) as usize]),
        10 => set(F::VlanVid, 0x1000 | r.below(3)),
        11 => set(F::VlanPcp, r.below(2)),
        12 => {
            let dst = Subfield { field: OxmId::of(F::Reg1), offset: 0, n_bits: 2 };
            Action::Nicira(NxAction::RegLoad { dst, value: r.below(3) })
        }
        _ => set(F::TunnelId, r.below(3)),
    }
}

/// One random flow, the same on all switches.
fn add(r: &mut Draw, switches: &mut [TestSwitch]) {
    let table = r.below(4) as u8;
    let m = a_match(r);
    let mut list: Vec<Action> = (0..r.below(4)).map(|_| an_edit(r)).collect();
    let mut instructions = Vec::new();
    if r.one_in(3) {
        instructions.push(I::WriteMetadata { metadata: r.below(4), mask: 3 });
    }
    if r.one_in(6) {
        instructions.push(I::WriteActions(vec![Action::output(PortNo(1 + r.below(4) as u32))]));
    } else if r.one_in(8) {
        instructions.push(I::ClearActions);
    }
    if table < 3 && !r.one_in(4) {
        instructions.push(I::GotoTable(TableId(table + 1 + r.below(u64::from(3 - table)) as u8)));
    } else if !r.one_in(6) {
        list.push(Action::output(PortNo(1 + r.below(5) as u32)));
    }
    if r.one_in(20) {
        list.push(Action::output(PortNo::FLOOD));
    }
    instructions.push(I::ApplyActions(list));
    let priority = r.below(10) as u16;
    for s in switches {
        // Prerequisites refuse some lists: those flows just aren't there.
        let _ = s.flow(table, priority, m.clone(), instructions.clone());
    }
}

fn a_frame(r: &mut Draw) -> Vec<u8> {
    let (proto, ttl) = ([6u8, 17, 17, 1][r.below(4) as usize], [64u8, 64, 64, 33, 2, 1][r.below(6) as usize]);
    let ports = (r.below(3) as u16, 80 + r.below(3) as u16);
    let mut f = frames::ipv4(proto, r.below(4) as u32, r.below(4) as u32, 4, ttl, ports.0, ports.1);
    f[..6].copy_from_slice(&[0, 0, 0, 0, 0, r.below(2) as u8]);
    for _ in 0..[0, 0, 1, 1, 2][r.below(5) as usize] {
        f = frames::tagged(&f, (r.below(2) << 13 | r.below(3)) as u16);
    }
    f
}

/// Random pipelines of several tables whose edits later tables look at, that change under bursts of flows most of
/// which are new: frames, drops and counters must be the interpreter's.
#[test]
fn walks_of_legs_do_what_the_interpreter_does() {
    let order = |l: &Lost| (l.reason as u8, l.in_port, l.table, l.out_port);
    let (mut legged, mut packets, mut passed) = (0, 0, 0);
    for seed in 0..150 {
        let mut r = Draw(seed + 77);
        let mut switches = [(); 4].map(|()| TestSwitch::new(Version::V13));
        if seed % 4 == 0 {
            switches.iter_mut().for_each(|s| s.miss = Miss::Continue);
        }
        for _ in 0..24 {
            add(&mut r, &mut switches);
        }
        let mut ways = [1, 2, 3].map(|n| FastPath::new(64, 64, seed + n));
        // Of hardly any leg a segment is kept.
        ways[2].cache.limit_segments(136);
        for round in 0..30 {
            match r.below(6) {
                0 => add(&mut r, &mut switches),
                1 => {
                    let all: Vec<u32> = switches[0].tables.iter().flatten().map(|e| e.index).collect();
                    let gone = all[r.below(all.len() as u64) as usize];
                    switches.iter_mut().for_each(|s| s.remove(gone));
                }
                2 if r.one_in(4) => {
                    let config = [PortConfig::empty(), PortConfig::NO_FWD][r.below(2) as usize];
                    let port = 1 + r.below(4) as u32;
                    switches.iter_mut().for_each(|s| s.port_mut(port).config = config);
                }
                _ => {}
            }
            let port = 1 + r.below(4) as u32;
            let burst: Vec<_> = (0..1 + r.below(40)).map(|_| a_frame(&mut r)).collect();
            packets += burst.len() as u64;
            let (mut sent, mut lost) = (Vec::new(), Vec::new());
            for f in &burst {
                let one = digest(&switches[0].run(port, f, Time(round)));
                sent.extend(one.0);
                lost.extend(one.2);
            }
            lost.sort_unstable_by_key(order);
            for (i, shortcuts) in [Shortcuts::Legs, Shortcuts::All, Shortcuts::All].into_iter().enumerate() {
                let mut frames: Vec<_> = burst.iter().map(|f| Frame::from_bytes(f)).collect();
                let got = switches[i + 1].run_by(shortcuts, &mut ways[i], port, &mut frames, Time(round));
                let (mut got_sent, _, mut got_lost) = digest(&got);
                // Ports keep their order, not the burst.
                let mut want = sent.clone();
                got_sent.sort_by_key(|s| s.0);
                want.sort_by_key(|s| s.0);
                got_lost.sort_unstable_by_key(order);
                assert_eq!(got_sent, want, "seed {seed} round {round} {shortcuts:?}");
                assert_eq!(got_lost, lost, "seed {seed} round {round} {shortcuts:?}");
            }
        }
        for s in &switches[1..] {
            assert_eq!(s.counters(), switches[0].counters(), "seed {seed}");
        }
        legged += ways[0].legged;
        passed += ways[2].cache.passed();
    }
    // The comparison is worth something only if packets go this way.
    assert!(legged * 3 > packets, "{legged} of {packets}");
    assert!(passed * 10 > packets as usize, "{passed} of {packets}");
}
