//! Frames that leave through several ports, and those whose way other packets decide.

use super::*;

/// A frame from `src` to `dst`, the last bytes of their addresses.
fn between(src: u8, dst: u8) -> Vec<u8> {
    let mut f = frames::tcp();
    (f[5], f[11]) = (dst, src);
    f
}

fn ports(c: &Collected) -> Vec<u32> {
    c.sent.iter().map(|(p, ..)| p.0).collect()
}

/// Nothing that the learning switch forgot or learnt otherwise meanwhile may be in what is remembered, however often it was hit.
#[test]
fn an_address_that_moved_or_was_forgotten_is_not_where_it_was() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, Match::any(), vec![Action::output(PortNo::NORMAL)]);
    let mut way = FastPath::new(64, 64, 1);
    let mut run = |port, src, dst, now: Time| ports(&s.run_cached(&mut way, port, &between(src, dst), now));
    let at = Time::from_secs;
    assert_eq!(run(1, 1, 2, at(0)), [2, 3, 4]);
    assert_eq!(run(2, 2, 1, at(0)), [1]);
    for _ in 0..10 {
        assert_eq!(run(1, 1, 2, at(1)), [2]);
    }
    // Another address comes; then it moves to 3, and back to where packets for it come from.
    assert_eq!(run(4, 9, 1, at(1)), [1]);
    assert_eq!(run(1, 1, 2, at(1)), [2]);
    assert_eq!(run(3, 2, 1, at(2)), [1]);
    assert_eq!(run(1, 1, 2, at(2)), [3]);
    assert!(run(3, 1, 2, at(2)).is_empty());
    assert_eq!(run(1, 1, 2, at(2)), [3]);
    // Its source is known as long as it sends; its destination said nothing any more.
    for second in (50..=301).step_by(50) {
        assert_eq!(run(1, 1, 2, at(second)), [3], "{second}");
    }
    assert_eq!(run(1, 1, 2, at(302)), [2, 3, 4]);
    assert_eq!(run(4, 9, 1, at(600)), [1]);
    s.shared.normal().forget_port(PortNo(1));
    let mut run = |port, src, dst, now: Time| ports(&s.run_cached(&mut way, port, &between(src, dst), now));
    assert_eq!(run(4, 9, 1, at(600)), [1, 2, 3]);
    s.shared.normal().flush();
    let mut run = |port, src, dst, now: Time| ports(&s.run_cached(&mut way, port, &between(src, dst), now));
    assert_eq!(run(1, 1, 9, at(600)), [2, 3, 4]);
    // Ports that may not send, and such as are spared.
    s.shared.normal().learn(0, ofproto::ids::MacAddr([2, 0, 0, 0, 0, 7]), PortNo(3), at(600));
    s.port_mut(3).config = PortConfig::PORT_DOWN;
    s.port_mut(2).config = PortConfig::NO_FLOOD;
    let c = s.run_cached(&mut way, 1, &between(1, 7), at(600));
    assert_eq!((ports(&c), &c.drops[..]), (vec![], &[DropReason::PortDown][..]));
    assert_eq!(ports(&s.run_cached(&mut way, 1, &between(1, 9), at(600))), [4]);
    s.port_mut(4).config = PortConfig::NO_FWD;
    assert_eq!(s.run_cached(&mut way, 1, &between(1, 9), at(600)).drops, [DropReason::NoOutput]);
    let d = way.cache.stats;
    assert!(way.compiled > 20 && d.hits > 20, "{} {d:?}", way.compiled);
}

/// With no controller all frames go through the learning switch; many at once as one by one.
#[test]
fn a_standalone_burst_does_what_its_packets_do_one_by_one() {
    for seed in 0..60 {
        let mut r = Rng(seed + 7000);
        let (mut plain, mut all) = pair(seed);
        let mut way = FastPath::new(64, 64, seed);
        for n in 0..40u64 {
            let now = Time(n * 20_000_000_000);
            for s in [&mut plain, &mut all] {
                s.port_mut(1 + (n % 4) as u32).config =
                    [PortConfig::empty(), PortConfig::NO_FWD, PortConfig::NO_FLOOD, PortConfig::NO_RECV]
                        [(n / 4 % 4) as usize];
            }
            let port = 1 + r.below(4) as u32;
            let burst: Vec<_> = (0..1 + r.below(70)).map(|_| a_frame(&mut r)).collect();
            let (mut want, mut got) = (Collected::default(), Collected::default());
            for f in &burst {
                let mut packet = Packet::with_key(Frame::from_bytes(f), TestSwitch::key(port));
                execute(&plain, plain.env(now), &mut packet, Start::Normal, &mut want, &mut Unobserved);
            }
            let mut frames: Vec<_> = burst.iter().map(|f| Frame::from_bytes(f)).collect();
            let env = all.env(now);
            way.standalone(&mut Around { view: &all, env, in_port: PortNo(port), sink: &mut got }, &mut frames);
            assert!(frames.is_empty());
            let ((want, _, mut lost), (got, _, mut got_lost)) = (by_port(&want), by_port(&got));
            assert_eq!(got, want, "seed {seed} burst {n}");
            lost.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            got_lost.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            assert_eq!(got_lost, lost, "seed {seed} burst {n}");
        }
        assert_eq!(all.counters(), plain.counters());
        assert_eq!(all.shared.normal().dump(), plain.shared.normal().dump());
    }
}

#[test]
fn egress_multipath_and_bundles_are_remembered() {
    let bundle = |algorithm, dst| {
        let members = vec![PortNo(3), PortNo(4)];
        Action::Nicira(NxAction::Bundle { algorithm, fields: 1, basis: 0, slave_type: 2, members, dst })
    };
    let multipath =
        NxAction::Multipath { fields: 1, basis: 0, algorithm: 0, max_link: 1, arg: 0, dst: sub(F::Reg0, 0, 16) };
    let choose =
        |choice| vec![choice, Action::Nicira(NxAction::OutputReg { src: sub(F::Reg0, 0, 16), max_len: 0, v2: false })];
    let lists = [
        (false, vec![bundle(1, None)]),
        (false, vec![bundle(0, None)]),
        (false, choose(bundle(1, Some(sub(F::Reg0, 0, 16))))),
        (false, vec![Action::Nicira(multipath), Action::output(PortNo(2))]),
        (true, vec![Action::output(PortNo(2))]),
        (true, vec![Action::output(PortNo(2)), Action::output(PortNo(3))]),
    ];
    for (egress, list) in lists {
        let mut s = TestSwitch::new(Version::V15);
        if egress {
            s.settings.first_egress = Some(TableId(4));
            let m = Match::any().with(F::EthType, 0x0800).with(F::ActsetOutput, 2);
            let i = vec![I::WriteActions(vec![Action::SetField(MatchField::exact(F::EthDst, 5))])];
            s.flow(4, 2, m, i).unwrap();
            s.flow(4, 1, Match::any(), vec![]).unwrap();
        }
        s.apply(0, 1, Match::any(), list.clone());
        let mut way = FastPath::new(1024, 1024, 1);
        let mut seen = [0; 6];
        for round in 0..10 {
            if round == 5 {
                s.port_mut(3).config = PortConfig::PORT_DOWN;
            }
            for i in 0..40 {
                let f = frames::ipv4(17, i % 5, i % 8, 0, 64, i as u16, 80);
                let (want, got) = (s.run(1, &f, Time::ZERO), s.run_cached(&mut way, 1, &f, Time::ZERO));
                assert_eq!(digest(&got), digest(&want), "{list:?}");
                got.sent.iter().for_each(|(p, ..)| seen[p.0 as usize] += 1);
                assert!(round < 5 || egress || seen[3] == 0 || got.sent.iter().all(|(p, ..)| p.0 != 3));
            }
        }
        let stats = way.cache.stats;
        assert!(stats.hits > 300, "{list:?} {stats:?}");
        assert!(egress && list.len() > 1 || way.compiled > 300, "{list:?}");
    }
}

/// Floods, groups and lists of outputs in bursts: copies leave each port in the order of arrival and everything is counted.
#[test]
fn copies_leave_in_order_and_are_counted() {
    let mut compiled = 0;
    for seed in 0..80 {
        let mut r = Rng(seed + 11_000);
        let make = |r: &mut Rng| {
            let mut s = TestSwitch::new(Version::V13);
            let set = |v: u64| Action::SetField(MatchField::exact(F::EthDst, u128::from(0x0200_0000_0000 + v)));
            for id in 0..4 {
                let ty = r.pick(&[GroupType::All, GroupType::Select, GroupType::Indirect]);
                let n = if ty == GroupType::Indirect { 1 } else { r.below(4) };
                let buckets = (0..n)
                    .map(|_| {
                        let mut list = Vec::new();
                        match r.below(5) {
                            0 => list.push(set(r.below(4))),
                            1 => list.push(Action::PushVlan(0x8100)),
                            _ => {}
                        }
                        list.push(Action::output(PortNo(2 + r.below(3) as u32)));
                        let mut bucket = Bucket::new(list);
                        bucket.weight = u16::from(ty == GroupType::Select);
                        bucket
                    })
                    .collect();
                let m = GroupMod {
                    command: GroupModCommand::Add,
                    ty,
                    group: GroupId(id),
                    command_bucket: BucketId::ALL,
                    buckets,
                    properties: vec![],
                };
                s.group(&m).unwrap();
            }
            for i in 0..8u128 {
                let m = Match::any().with(F::EthType, 0x0800).with_mask(F::Ipv4Src, i, 7);
                let mut list = Vec::new();
                for _ in 0..r.below(3) {
                    list.push(match r.below(5) {
                        0 => set(r.below(4)),
                        1 => Action::PushVlan(0x8100),
                        2 => Action::DecNwTtl,
                        3 => Action::SetQueue(QueueId(r.below(2) as u32)),
                        _ => Action::PopVlan,
                    });
                }
                let last = match r.below(5) {
                    0 => vec![Action::Group(GroupId(r.below(4) as u32))],
                    1 => vec![Action::output(r.pick(&[PortNo::ALL, PortNo::FLOOD]))],
                    2 => vec![Action::output(PortNo::NORMAL)],
                    _ => (0..1 + r.below(3)).map(|_| Action::output(PortNo(2 + r.below(3) as u32))).collect(),
                };
                list.extend(last);
                s.apply(0, 1, m, list);
            }
            s
        };
        let start = r.0;
        let plain = make(&mut r);
        let cached = make(&mut Rng(start));
        let mut way = FastPath::new(256, 256, seed);
        for round in 0..10 {
            let mut burst: Vec<Vec<u8>> = Vec::new();
            for _ in 0..20 {
                let mut f = frames::ipv4(6, r.below(8) as u32, 1, 0, 64, r.below(2) as u16, 80);
                (f[5], f[11]) = (r.below(5) as u8, r.below(5) as u8);
                f[40] = burst.len() as u8;
                if r.one_in(3) {
                    f = frames::tagged(&f, r.below(3) as u16);
                }
                (0..1 + r.below(4)).for_each(|_| burst.push(f.clone()));
            }
            let port = 1 + (round % 2) as u32;
            let mut want = Collected::default();
            for f in &burst {
                let one = plain.run(port, f, Time(round));
                want.sent.extend(one.sent);
                want.lost.extend(one.lost);
            }
            let mut all = burst.iter().map(|f| Frame::from_bytes(f)).collect();
            let got = cached.run_burst(&mut way, port, &mut all, Time(round));
            let ((want, _, mut lost), (got, _, mut got_lost)) = (by_port(&want), by_port(&got));
            assert_eq!(got, want, "seed {seed} round {round}");
            lost.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            got_lost.sort_unstable_by_key(|d| (d.reason as u8, d.in_port, d.table, d.out_port));
            assert_eq!(got_lost, lost, "seed {seed} round {round}");
        }
        assert_eq!(cached.counters(), plain.counters(), "seed {seed}");
        compiled += way.compiled;
    }
    assert!(compiled > 20_000, "{compiled}");
}
