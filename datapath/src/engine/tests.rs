//! The cache against the interpreter, and the engine end to end.

mod cache;
mod ports;
mod ways;

use super::testbed::{TABLES, TestSwitch, digest, frames};
use super::*;
use crate::engine::burst::{Around, FastPath};
use crate::pipeline::{DropReason, MAX_STEPS};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupProp, GroupType, MethodName, SelectionMethod};
use ofproto::ids::{BucketId, GroupId, MeterId, QueueId, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::port::PortConfig;

/// A small generator of numbers: the tests' randomness is the seed's alone.
struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

fn a_match(r: &mut Rng) -> Match {
    let mut m = Match::any();
    if r.one_in(4) {
        m = m.with(F::InPort, u128::from(1 + r.below(3)));
    }
    if r.one_in(5) {
        m = m.with_mask(F::Metadata, u128::from(r.below(4)), 3);
    }
    if r.one_in(6) {
        m = m.with(F::Reg0, u128::from(r.below(3)));
    }
    if r.one_in(5) {
        let v = r.below(4) as u16;
        m = m.with(F::VlanVid, if v == 0 { 0 } else { u128::from(0x1000 | v) });
    }
    match r.below(6) {
        0 => {}
        1 => return m.with(F::EthType, 0x8847).with(F::MplsLabel, u128::from(r.below(3))),
        _ => {
            m = m.with(F::EthType, 0x0800);
            if r.one_in(3) {
                m = m.with_mask(F::Ipv4Dst, u128::from(r.below(4)), 3);
            }
            if r.one_in(4) {
                m = m.with(F::Ipv4Src, u128::from(r.below(4)));
            }
            if r.one_in(3) {
                m = m.with(F::IpProto, 6);
                if r.one_in(2) {
                    m = m.with(F::TcpDst, u128::from(80 + r.below(3)));
                }
            }
            if r.one_in(8) {
                m = m.with(F::IpDscp, u128::from(r.pick(&[0u8, 18, 20])));
            }
        }
    }
    m
}

fn sub(field: F, offset: u16, n_bits: u16) -> Subfield {
    Subfield { field: OxmId::of(field), offset, n_bits }
}

fn an_action(r: &mut Rng, groups: bool) -> Action {
    let port = [1, 2, 3, 4, 9, PortNo::IN_PORT.0, PortNo::ALL.0, PortNo::FLOOD.0, PortNo::NORMAL.0];
    let set = |id, v: u64| Action::SetField(MatchField::exact(id, u128::from(v)));
    match r.below(32) {
        0..8 => Action::output(PortNo(r.pick(&port))),
        8 => Action::Output { port: PortNo::CONTROLLER, max_len: r.below(200) as u16 },
        9 => Action::PushVlan(0x8100),
        10 => Action::PopVlan,
        11 => Action::PushMpls(0x8847),
        12 => Action::PopMpls(0x0800),
        13 => Action::DecNwTtl,
        14 => Action::DecMplsTtl,
        15 => set(F::EthDst, r.below(5)),
        16 => set(F::VlanVid, 0x1000 | r.below(4)),
        17 => set(F::Ipv4Dst, r.below(4)),
        18 => set(F::TcpDst, 80 + r.below(3)),
        19 => set(F::IpDscp, r.pick(&[0, 18, 20])),
        20 => set(F::TunnelId, r.below(3)),
        21 | 22 if groups => Action::Group(GroupId(r.below(6) as u32)),
        23 => Action::Nicira(NxAction::RegLoad { dst: sub(F::Reg0, 0, 2), value: r.below(3) }),
        24 => Action::Nicira(NxAction::RegMove {
            n_bits: 2,
            src_offset: 0,
            dst_offset: 0,
            src: OxmId::of(r.pick(&[F::Ipv4Src, F::Reg0, F::InPort, F::EthSrc])),
            dst: OxmId::of(r.pick(&[F::Reg0, F::Metadata])),
        }),
        25 => Action::Nicira(NxAction::Resubmit {
            in_port: PortNo::IN_PORT,
            table: Some(TableId(1 + r.below(u64::from(TABLES) - 1) as u8)),
            ct: false,
        }),
        26 => Action::Nicira(NxAction::OutputReg { src: sub(F::Reg0, 0, 32), max_len: 0, v2: false }),
        27 => Action::CopyTtlIn,
        28 => Action::CopyTtlOut,
        29 => Action::Nicira(a_multipath(r)),
        30 => Action::Nicira(a_bundle(r)),
        _ => Action::SetQueue(QueueId(r.below(3) as u32)),
    }
}

fn a_multipath(r: &mut Rng) -> NxAction {
    NxAction::Multipath {
        fields: r.below(6) as u16,
        basis: r.below(3) as u16,
        algorithm: r.below(3) as u16,
        max_link: r.below(4) as u16,
        arg: 8,
        dst: sub(r.pick(&[F::Reg0, F::Metadata]), 0, 2),
    }
}

fn a_bundle(r: &mut Rng) -> NxAction {
    NxAction::Bundle {
        algorithm: r.below(2) as u16,
        fields: r.below(6) as u16,
        basis: r.below(3) as u16,
        slave_type: 2,
        members: (0..r.below(4)).map(|_| PortNo(1 + r.below(5) as u32)).collect(),
        dst: r.one_in(3).then(|| sub(F::Reg0, 0, 32)),
    }
}

fn actions(r: &mut Rng, groups: bool) -> Vec<Action> {
    (0..1 + r.below(4)).map(|_| an_action(r, groups)).collect()
}

/// One random change, the same on both switches.
fn change(r: &mut Rng, a: &mut TestSwitch, b: &mut TestSwitch) {
    match r.below(20) {
        0..13 => {
            let table = r.below(4) as u8;
            let m = a_match(r);
            let mut i = Vec::new();
            if r.one_in(8) {
                i.push(I::Meter(MeterId(1 + r.below(2) as u32)));
            }
            if !r.one_in(5) {
                i.push(I::ApplyActions(actions(r, true)));
            }
            if r.one_in(10) {
                i.push(I::ClearActions);
            }
            if r.one_in(3) {
                let mut w = actions(r, true);
                w.retain(|x| !matches!(x, Action::Nicira(_)));
                i.push(I::WriteActions(w));
            }
            if r.one_in(4) {
                i.push(I::WriteMetadata { metadata: r.below(4), mask: 3 });
            }
            if table < 3 && r.one_in(2) {
                i.push(I::GotoTable(TableId(table + 1)));
            }
            let priority = r.below(10) as u16;
            let x = a.flow(table, priority, m.clone(), i.clone());
            let y = b.flow(table, priority, m, i);
            assert_eq!(x, y);
        }
        13..16 => {
            let all: Vec<u32> = a.tables.iter().flatten().map(|e| e.index).collect();
            if all.len() > 12 {
                let gone = r.pick(&all);
                a.remove(gone);
                b.remove(gone);
            }
        }
        16 | 17 => {
            let id = r.below(6) as u32;
            let ty = r.pick(&[GroupType::All, GroupType::Select, GroupType::FastFailover, GroupType::Indirect]);
            let n = if ty == GroupType::Indirect { 1 } else { r.below(4) };
            let buckets = (0..n)
                .map(|_| {
                    let mut list = actions(r, id > 3);
                    list.retain(|x| !matches!(x, Action::Nicira(_)));
                    let mut bucket = Bucket::new(list);
                    bucket.weight = if ty == GroupType::Select { 1 + r.below(3) as u16 } else { 0 };
                    if ty == GroupType::FastFailover {
                        bucket.watch_port = PortNo(1 + r.below(4) as u32);
                    }
                    bucket
                })
                .collect();
            let command =
                if a.groups.get(GroupId(id)).is_some() { GroupModCommand::Modify } else { GroupModCommand::Add };
            let m = GroupMod {
                command,
                ty,
                group: GroupId(id),
                command_bucket: BucketId::ALL,
                buckets,
                properties: choice(r, ty),
            };
            assert_eq!(a.group(&m), b.group(&m));
        }
        18 => {
            // An address moves, or is forgotten; often both know it.
            let port = PortNo(1 + r.below(4) as u32);
            let mac = ofproto::ids::MacAddr([2, 0, 0, 0, 0, r.below(5) as u8]);
            for s in [a, b] {
                match port.0 {
                    4 => s.shared.normal().forget_port(PortNo(2)),
                    _ => s.shared.normal().learn(0, mac, port, Time::ZERO),
                }
            }
        }
        _ => {
            let n = 1 + r.below(4) as u32;
            let config = r.pick(&[PortConfig::empty(), PortConfig::empty(), PortConfig::NO_FWD, PortConfig::PORT_DOWN]);
            a.port_mut(n).config = config;
            b.port_mut(n).config = config;
        }
    }
}

/// Perhaps fields by which a select group chooses.
fn choice(r: &mut Rng, ty: GroupType) -> Vec<GroupProp> {
    if ty != GroupType::Select || r.below(3) == 0 {
        return Vec::new();
    }
    let all =
        [F::TcpDst, F::UdpDst, F::Ipv4Src, F::Ipv4Dst, F::VlanVid, F::IpDscp, F::NwTtl, F::Metadata, F::MplsLabel];
    let mut fields: Vec<F> = (0..1 + r.below(3)).map(|_| r.pick(&all)).collect();
    fields.sort();
    fields.dedup();
    let masks = fields.into_iter().map(|f| MatchField::exact(f, r.pick(&[u128::MAX, 1, 2]) & f.info().all_ones()));
    let fields = Match::new(masks.collect());
    vec![GroupProp::Selection(SelectionMethod { fields, ..SelectionMethod::new(MethodName::HASH) })]
}

fn a_frame(r: &mut Rng) -> Vec<u8> {
    let proto = r.pick(&[6u8, 6, 17]);
    let tos = r.pick(&[0u8, 0, 18 << 2]);
    let ttl = r.pick(&[64u8, 64, 64, 1, 2]);
    let mut f = frames::ipv4(proto, r.below(4) as u32, r.below(4) as u32, tos, ttl, 1000, 80 + r.below(3) as u16);
    match r.below(12) {
        0 => f = frames::mpls(&f, r.below(3) as u32, ttl),
        1 => f = frames::mpls(&frames::mpls(&f, 2, 9), 1, ttl),
        2 => f = frames::eth([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], 0x88cc, &[1, 2, 3]),
        3 => f.truncate(14 + r.below(40) as usize),
        4 => f[20] = 0x20,
        _ => {}
    }
    if r.one_in(2) && f.len() >= 12 {
        (f[5], f[11]) = (r.below(5) as u8, r.below(5) as u8);
    }
    if r.one_in(4) && f.len() >= 12 {
        f = frames::tagged(&f, r.below(4) as u16);
    }
    if r.one_in(20) {
        // Noise behind the addresses, sometimes cut short.
        f.iter_mut().skip(12).for_each(|b| *b = if r.one_in(3) { r.next() as u8 } else { *b });
        f.truncate(r.below(80) as usize);
    }
    if r.one_in(12) && f.len() >= 12 {
        f = frames::tagged(&f, r.below(4) as u16);
    }
    f
}

fn pair(seed: u64) -> (TestSwitch, TestSwitch) {
    let make = || {
        let mut s = TestSwitch::new([Version::V13, Version::V15, Version::V11][seed as usize % 3]);
        s.settings.drop_fragments = seed.is_multiple_of(5);
        if seed % 3 == 1 && seed.is_multiple_of(4) {
            s.settings.first_egress = Some(TableId(4));
        }
        for id in 1..3 {
            s.meter(&MeterMod {
                command: MeterModCommand::Add,
                flags: MeterFlags::PKTPS | MeterFlags::BURST,
                meter: MeterId(id),
                bands: vec![
                    Band { rate: 500, burst_size: 3, action: BandAction::DscpRemark { prec_level: 1 } },
                    Band { rate: 1000 * id, burst_size: 5, action: BandAction::Drop },
                ],
            });
        }
        for id in 0..6 {
            let m = GroupMod {
                command: GroupModCommand::Add,
                ty: GroupType::All,
                group: GroupId(id),
                command_bucket: BucketId::ALL,
                buckets: vec![],
                properties: vec![],
            };
            s.group(&m).unwrap();
        }
        s
    };
    (make(), make())
}

/// Random pipelines that change under random packets: through the cache everything must be as without,
/// frames, packets for the controllers, drops, wishes and every counter.
fn compare(seeds: std::ops::Range<u64>, packets: usize) -> crate::cache::CacheStats {
    let mut stats = crate::cache::CacheStats::default();
    for seed in seeds {
        let mut r = Rng(seed);
        let (mut plain, mut cached) = pair(seed);
        let mut cache = FastPath::new(256, 256, seed);
        for _ in 0..30 {
            change(&mut r, &mut plain, &mut cached);
        }
        // Few flows, so that they come again.
        let flows: Vec<_> = (0..24).map(|_| (1 + r.below(4) as u32, a_frame(&mut r))).collect();
        for n in 0..packets {
            let now = Time(n as u64 * 200_000);
            if r.one_in(12) {
                change(&mut r, &mut plain, &mut cached);
            }
            let (port, frame) = r.pick(&flows);
            let want = plain.run(port, &frame, now);
            let got = cached.run_cached(&mut cache, port, &frame, now);
            assert_eq!(digest(&got), digest(&want), "seed {seed} packet {n} on port {port}: {frame:02x?}");
            assert_eq!(got.requests, want.requests);
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        assert_eq!(cached.shared.normal().dump(), plain.shared.normal().dump(), "seed {seed}");
        stats += cache.cache.stats;
    }
    stats
}

#[test]
fn the_cache_does_what_the_interpreter_does() {
    let s = compare(0..240, 500);
    // The comparison is worth something only if the cache is used.
    assert!(s.hits > 32_000 && s.stale > 2_000, "{s:?}");
}

/// [`digest`], frames by port and queue: the order among those of different ones says nothing.
fn by_port(c: &Collected) -> (Vec<super::testbed::SentFrame>, Vec<String>, Vec<crate::pipeline::Lost>) {
    let (mut sent, punts, lost) = digest(c);
    sent.sort_by_key(|(port, queue, _)| (*port, *queue));
    (sent, punts, lost)
}

/// Bursts of several flows, through compiled edits, replays and walks in turn: everything must leave in the order
/// of arrival and be counted as if one packet came after the other.
#[test]
fn a_burst_does_what_its_packets_do_one_by_one() {
    let mut hits = 0;
    for seed in 0..60 {
        let mut r = Rng(seed + 5000);
        let (mut plain, mut cached) = pair(seed);
        let mut way = FastPath::new(256, 256, seed);
        for _ in 0..20 {
            change(&mut r, &mut plain, &mut cached);
        }
        let flows: Vec<_> = (0..16).map(|_| a_frame(&mut r)).collect();
        for n in 0..40u64 {
            let now = Time(n * 20_000_000);
            if r.one_in(4) {
                change(&mut r, &mut plain, &mut cached);
            }
            let port = 1 + r.below(4) as u32;
            let burst: Vec<_> = (0..1 + r.below(70)).map(|_| r.pick(&flows)).collect();
            let mut want = Collected::default();
            for f in &burst {
                let one = plain.run(port, f, now);
                want.sent.extend(one.sent);
                want.punts.extend(one.punts);
                want.drops.extend(one.drops);
                want.lost.extend(one.lost);
                want.requests.extend(one.requests);
            }
            let mut frames: Vec<_> = burst.iter().map(|f| Frame::from_bytes(f)).collect();
            let got = cached.run_burst(&mut way, port, &mut frames, now);
            assert!(frames.is_empty());
            let ((sent, punts, mut drops), (got_sent, got_punts, mut got_drops)) = (by_port(&want), by_port(&got));
            assert_eq!(got_sent, sent, "seed {seed} burst {n}");
            assert_eq!(got_punts, punts, "seed {seed} burst {n}");
            drops.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            got_drops.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            assert_eq!(got_drops, drops, "seed {seed} burst {n}");
            assert_eq!(got.requests, want.requests);
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        hits += way.cache.stats.hits;
    }
    assert!(hits > 20_000, "{hits}");
}

/// The pipelines that compiled edits are for: rewriting IPv4 hosts, routers, taggers; all from compiled segments.
#[test]
fn compiled_edits_do_what_the_interpreter_does() {
    let set = |id, v: u128| Action::SetField(MatchField::exact(id, v));
    let mut compiled = 0;
    for seed in 0..200 {
        let mut r = Rng(seed + 9000);
        let make = |r: &mut Rng| {
            let mut s = TestSwitch::new(Version::V13);
            for table in 0..3u8 {
                for i in 0..3u128 {
                    let m = Match::any().with(F::EthType, 0x0800).with_mask(F::Ipv4Src, i, 3);
                    let mut list: Vec<Action> = (0..r.below(4))
                        .map(|_| match r.below(12) {
                            0 => set(F::EthDst, u128::from(r.below(1 << 48))),
                            1 => set(F::EthSrc, u128::from(r.below(1 << 48))),
                            2 => set(F::Ipv4Src, u128::from(r.below(1 << 32) & !3 | r.below(3))),
                            3 => set(F::Ipv4Dst, u128::from(r.below(1 << 32))),
                            4 => set(F::TcpDst, u128::from(r.below(1 << 16))),
                            5 => set(F::UdpSrc, u128::from(r.below(1 << 16))),
                            6 => Action::DecNwTtl,
                            7 => Action::PopVlan,
                            8 => Action::PushVlan(r.pick(&[0x8100, 0x88a8])),
                            9 => set(F::VlanVid, u128::from(0x1000 | r.below(4096))),
                            10 => set(F::VlanPcp, u128::from(r.below(8))),
                            _ => set(F::Metadata, u128::from(r.below(8))),
                        })
                        .collect();
                    let last = table == 2 || r.one_in(5);
                    if last && !r.one_in(6) {
                        list.push(Action::output(PortNo(2 + r.below(2) as u32)));
                    }
                    let mut instructions = vec![I::ApplyActions(list)];
                    if !last {
                        instructions.push(I::GotoTable(TableId(table + 1)));
                    }
                    // Prerequisites refuse some lists: those flows just aren't there.
                    let _ = s.flow(table, 1, m, instructions);
                }
            }
            s
        };
        let start = r.0;
        let plain = make(&mut r);
        let cached = make(&mut Rng(start));
        let mut way = FastPath::new(256, 256, seed);
        for round in 0..6 {
            let frames: Vec<Vec<u8>> = (0..20)
                .map(|_| {
                    let proto = r.pick(&[6u8, 17, 17, 1]);
                    let ttl = r.pick(&[64u8, 64, 33, 3, 2, 1]);
                    let (src, dst) = (r.below(4) as u32, r.below(4) as u32);
                    let mut f = frames::ipv4(proto, src, dst, 4, ttl, r.below(9) as u16, 80);
                    if proto == 17 && r.one_in(3) {
                        // UDP without a checksum.
                        f[40..42].fill(0);
                    }
                    if r.one_in(3) { frames::tagged(&f, r.below(1 << 16) as u16) } else { f }
                })
                .collect();
            let mut want: Vec<_> = frames.iter().flat_map(|f| digest(&plain.run(1, f, Time(round))).0).collect();
            let mut burst = frames.iter().map(|f| Frame::from_bytes(f)).collect();
            let mut got = digest(&cached.run_burst(&mut way, 1, &mut burst, Time(round))).0;
            // The order among frames of different ports says nothing.
            for sent in [&mut want, &mut got] {
                sent.sort_by_key(|(port, queue, _)| (*port, *queue));
            }
            assert_eq!(got, want, "seed {seed}");
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        compiled += way.compiled;
    }
    assert!(compiled > 10_000, "{compiled}");
}

/// The long form, a million packets: 25 s of processor time, 2 s optimised.
#[test]
fn the_cache_does_what_the_interpreter_does_at_length() {
    let s = compare(1000..3000, 500);
    assert!(s.hits > 300_000, "{s:?}");
}

#[test]
fn bounds_hold_for_random_pipelines() {
    let (mut a, mut b) = pair(0);
    let mut r = Rng(42);
    for _ in 0..200 {
        change(&mut r, &mut a, &mut b);
    }
    for _ in 0..500 {
        let f = a_frame(&mut r);
        let c = a.run(1 + r.below(4) as u32, &f, Time::ZERO);
        assert!(c.sent.len() <= MAX_STEPS as usize);
    }
}
