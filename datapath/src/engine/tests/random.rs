//! Pipelines, changes to them and frames, drawn at random.

use super::*;

/// A small generator of numbers: the tests' randomness is the seed's alone.
pub(super) struct Rng(pub(super) u64);
impl Rng {
    pub(in crate::engine) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub(in crate::engine) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub(in crate::engine) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    pub(in crate::engine) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

pub(super) fn a_match(r: &mut Rng) -> Match {
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

pub(super) fn sub(field: F, offset: u16, n_bits: u16) -> Subfield {
    Subfield { field: OxmId::of(field), offset, n_bits }
}

pub(super) fn an_action(r: &mut Rng, groups: bool) -> Action {
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

pub(super) fn a_multipath(r: &mut Rng) -> NxAction {
    NxAction::Multipath {
        fields: r.below(6) as u16,
        basis: r.below(3) as u16,
        algorithm: r.below(3) as u16,
        max_link: r.below(4) as u16,
        arg: 8,
        dst: sub(r.pick(&[F::Reg0, F::Metadata]), 0, 2),
    }
}

pub(super) fn a_bundle(r: &mut Rng) -> NxAction {
    NxAction::Bundle {
        algorithm: r.below(2) as u16,
        fields: r.below(6) as u16,
        basis: r.below(3) as u16,
        slave_type: 2,
        members: (0..r.below(4)).map(|_| PortNo(1 + r.below(5) as u32)).collect(),
        dst: r.one_in(3).then(|| sub(F::Reg0, 0, 32)),
    }
}

pub(super) fn actions(r: &mut Rng, groups: bool) -> Vec<Action> {
    (0..1 + r.below(4)).map(|_| an_action(r, groups)).collect()
}

/// One random change, the same on both switches.
pub(super) fn change(r: &mut Rng, a: &mut TestSwitch, b: &mut TestSwitch) {
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
pub(super) fn choice(r: &mut Rng, ty: GroupType) -> Vec<GroupProp> {
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

pub(super) fn a_frame(r: &mut Rng) -> Vec<u8> {
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

pub(super) fn pair(seed: u64) -> (TestSwitch, TestSwitch) {
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
