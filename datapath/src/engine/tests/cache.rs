//! What is remembered, for how long, and for whom the cache has room.

use super::*;

#[test]
fn a_changed_flow_makes_its_own_entries_stale_and_no_others() {
    let mut s = TestSwitch::new(Version::V13);
    let one = s.apply(0, 1, Match::any().with(F::InPort, 1), vec![Action::output(PortNo(2))]);
    s.apply(0, 1, Match::any().with(F::InPort, 2), vec![Action::output(PortNo(3))]);
    let mut cache = FastPath::new(64, 64, 1);
    for _ in 0..2 {
        for port in [1, 2] {
            s.run_cached(&mut cache, port, &frames::tcp(), Time::ZERO);
        }
    }
    assert_eq!((cache.cache.stats.hits, cache.cache.stats.misses), (2, 2));
    // Another table's changes don't matter; a deletion is its own entry's affair.
    s.apply(3, 1, Match::any(), vec![]);
    s.remove(one);
    assert_eq!(s.run_cached(&mut cache, 2, &frames::tcp(), Time::ZERO).sent.len(), 1);
    assert_eq!(s.run_cached(&mut cache, 1, &frames::tcp(), Time::ZERO).drops, [DropReason::TableMiss]);
    assert_eq!((cache.cache.stats.hits, cache.cache.stats.stale), (3, 1));
    // An add to a table that was looked into does.
    s.apply(0, 9, Match::any(), vec![Action::output(PortNo(4))]);
    let c = s.run_cached(&mut cache, 2, &frames::tcp(), Time::ZERO);
    assert_eq!(c.sent[0].0, PortNo(4));
}

#[test]
fn one_wildcard_rule_needs_one_entry_for_all_its_flows() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, Match::any().with(F::EthType, 0x0800), vec![Action::output(PortNo(2))]);
    let mut cache = FastPath::new(64, 64, 1);
    for i in 0..1000 {
        s.run_cached(&mut cache, 1, &frames::ipv4(6, i, i * 7, 0, 64, i as u16, 80), Time::ZERO);
    }
    assert_eq!((cache.cache.stats.misses, cache.cache.stats.hits), (1, 999));
}

/// A switch that looks at the whole source address, and frames of as many flows as wanted.
fn by_source() -> TestSwitch {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 2, Match::any().with(F::EthType, 0x0800).with(F::Ipv4Src, 0xffff_ffff), vec![]);
    s.apply(0, 1, Match::any().with(F::EthType, 0x0800), vec![Action::output(PortNo(2))]);
    s
}

/// What became of a number of packets, `flow` saying of which flow each is.
fn passed(s: &TestSwitch, way: &mut FastPath, n: u64, mut flow: impl FnMut(u64) -> u64) -> crate::cache::CacheStats {
    let before = way.cache.stats;
    let mut frame = frames::tcp();
    for from in (0..n).step_by(32) {
        let mut burst = (from..n.min(from + 32))
            .map(|i| {
                frame[26..30].copy_from_slice(&(flow(i) as u32).to_be_bytes());
                Frame::from_bytes(&frame)
            })
            .collect();
        s.run_burst(way, 1, &mut burst, Time::ZERO);
    }
    let d = way.cache.stats.since(before);
    assert_eq!(d.packets(), n, "{d:?}");
    d
}

#[test]
fn a_cold_cache_fills_with_flows_that_fit() {
    let (s, mut r) = (by_source(), Rng(1));
    let mut way = FastPath::new(CACHE_ENTRIES, CACHE_ENTRIES, 1);
    let d = passed(&s, &mut way, 120_000, |_| r.below(40_000));
    assert_eq!(d.bypassed, 0, "{d:?}");
    let d = passed(&s, &mut way, 20_000, |_| r.below(40_000));
    assert!(d.hits > 17_500, "{d:?}");
    // Nearly as many as there are places.
    let mut way = FastPath::new(4096, 4096, 1);
    passed(&s, &mut way, 40_000, |_| r.below(3500));
    let d = passed(&s, &mut way, 20_000, |_| r.below(3500));
    assert!(d.hits > 15_000 && d.bypassed == 0, "{d:?}");
}

#[test]
fn a_crowded_cache_grows_up_to_its_bound() {
    let (s, mut r) = (by_source(), Rng(3));
    let mut way = FastPath::new(4096, 16_384, 1);
    passed(&s, &mut way, 100_000, |_| r.below(8000));
    let d = passed(&s, &mut way, 20_000, |_| r.below(8000));
    assert!(d.hits > 17_500 && d.bypassed == 0, "{d:?}");
    // As large as may be.
    let mut way = FastPath::new(4096, 16_384, 1);
    passed(&s, &mut way, 300_000, |_| r.below(40_000));
    let d = passed(&s, &mut way, 20_000, |_| r.below(40_000));
    assert!(d.hits > 5_000 && d.hits < 10_000, "{d:?}");
}

/// Ports with high numbers, other protocols and a mask that asks for more have keys of other forms.
#[test]
fn keys_of_every_length_are_served_from_the_cache() {
    let frame = frames::tcp();
    let other = frames::eth([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], 0x88cc, &[1, 2, 3]);
    let wide =
        [Match::any(), Match::any().with(F::EthSrc, 1), Match::any().with(F::EthType, 0x86dd).with(F::Ipv6Src, 1)];
    for m in wide {
        for port in [1, 4095, 4096, 70_000] {
            let mut s = TestSwitch::new(Version::V13);
            s.apply(0, 2, m.clone(), vec![Action::output(PortNo(3))]);
            s.apply(0, 1, Match::any(), vec![Action::output(PortNo(2))]);
            let mut way = FastPath::new(64, 64, 1);
            for _ in 0..3 {
                for f in [&frame, &other] {
                    let (want, got) = (s.run(port, f, Time::ZERO), s.run_cached(&mut way, port, f, Time::ZERO));
                    assert_eq!(digest(&got), digest(&want));
                }
            }
            assert_eq!((way.cache.stats.misses, way.cache.stats.hits), (2, 4), "{m:?} {port}");
        }
    }
}

/// A walk of more tables than an entry names segments is compiled like any other.
#[test]
fn long_walks_are_compiled_to_their_end() {
    let make = || {
        let mut s = TestSwitch::new(Version::V13);
        for table in 0..6u8 {
            let list = vec![Action::SetField(MatchField::exact(F::EthDst, u128::from(table))), Action::DecNwTtl];
            for dst in 0..2 {
                let m = Match::any().with(F::EthType, 0x0800).with(F::Ipv4Dst, dst);
                let mut i = vec![I::ApplyActions(list.clone()), I::WriteMetadata { metadata: 1, mask: 3 }];
                match table {
                    5 => i = vec![I::ApplyActions(vec![Action::output(PortNo(2 + dst as u32))])],
                    _ => i.push(I::GotoTable(TableId(table + 1))),
                }
                s.flow(table, 1, m, i).unwrap();
            }
        }
        s
    };
    let (plain, mut cached) = (make(), make());
    let mut way = FastPath::new(64, 64, 1);
    let frame = |dst| frames::ipv4(17, 1, dst, 0, 64, 1, 2);
    for dst in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
        let want = digest(&plain.run(1, &frame(dst), Time::ZERO));
        assert_eq!(digest(&cached.run_cached(&mut way, 1, &frame(dst), Time::ZERO)), want);
    }
    // Far down the walk something is taken away.
    let gone = cached.tables[4][0].index;
    cached.remove(gone);
    assert_eq!(cached.run_cached(&mut way, 1, &frame(0), Time::ZERO).drops, [DropReason::TableMiss]);
    assert!(way.compiled >= 6 && way.cache.stats.stale == 1, "{} {:?}", way.compiled, way.cache.stats);
}

/// Three tables: users by source, a row of routes by destination, and the rest; `users` times `routes` walks.
fn by_both(users: u32, routes: u32) -> TestSwitch {
    let mut s = TestSwitch::new(Version::V13);
    let set = |id, v: u32| Action::SetField(MatchField::exact(id, u128::from(v)));
    let ip = || Match::any().with(F::EthType, 0x0800);
    for user in 0..users {
        let i = vec![I::ApplyActions(vec![Action::PopVlan, set(F::Ipv4Src, 0x6440_0000 + user)])];
        let m = ip().with(F::Ipv4Src, u128::from(user));
        s.flow(0, 1, m, [i, vec![I::GotoTable(TableId(1))]].concat()).unwrap();
    }
    for route in 0..routes {
        // Every fourth leads nowhere.
        let mut i = vec![I::ApplyActions(vec![set(F::EthDst, route), Action::DecNwTtl])];
        i.extend((route % 4 != 3).then_some(I::GotoTable(TableId(2))));
        s.flow(1, 1, ip().with(F::Ipv4Dst, u128::from(route)), i).unwrap();
    }
    s.apply(2, 1, Match::any(), vec![set(F::EthSrc, 9), Action::output(PortNo(2))]);
    s
}

#[test]
fn walks_go_by_their_records_until_a_flow_of_theirs_ends() {
    let (mut plain, mut cached) = (by_both(3, 5), by_both(3, 5));
    let mut way = FastPath::new(1024, 1024, 1);
    let frame = |i: u32| frames::tagged(&frames::ipv4(6, i % 3, i % 6, 0, 64, i as u16, 2), 7);
    let mut round = |plain: &TestSwitch, cached: &TestSwitch| {
        let before = way.merged;
        for from in [0, 20, 40] {
            let all: Vec<_> = (from..from + 20).map(frame).collect();
            let want: Vec<_> = all.iter().flat_map(|f| digest(&plain.run(1, f, Time::ZERO)).0).collect();
            let mut burst = all.iter().map(|f| Frame::from_bytes(f)).collect();
            let got = cached.run_burst(&mut way, 1, &mut burst, Time::ZERO);
            assert_eq!(digest(&got).0, want);
            assert_eq!(cached.counters(), plain.counters());
        }
        way.merged - before
    };
    round(&plain, &cached);
    // All but the six walks that end in the first two tables, of which five sixths end in the second.
    assert_eq!(round(&plain, &cached), 60);
    for table in [1, 2, 0] {
        for s in [&mut plain, &mut cached] {
            let gone = s.tables[table][0].index;
            s.remove(gone);
        }
        // Those that had a record have another, or none, as they are one lookup long.
        assert!(round(&plain, &cached) < 60);
        assert_eq!(round(&plain, &cached), if table == 0 { 40 } else { 60 });
    }
}

#[test]
fn more_walks_than_records_are_run_by_their_segments() {
    let (plain, cached) = (by_both(40, 40), by_both(40, 40));
    let mut way = FastPath::new(4096, 4096, 1);
    let mut r = Rng(4);
    let mut merged = [0; 2];
    for n in 0..4000 {
        let all: Vec<_> =
            (0..32).map(|_| frames::ipv4(17, r.below(40) as u32, r.below(40) as u32, 0, 64, 1, 2)).collect();
        let mut burst: Vec<_> = all.iter().map(|f| Frame::from_bytes(f)).collect();
        cached.run_burst(&mut way, 1, &mut burst, Time::ZERO);
        all.iter().for_each(|f| drop(plain.run(1, f, Time::ZERO)));
        if n == 600 {
            merged[0] = way.merged;
        }
    }
    merged[1] = way.merged;
    assert_eq!(cached.counters(), plain.counters());
    // For a while they were tried, then left alone.
    assert!(merged[0] > 1000 && merged[1] == merged[0], "{merged:?} {:?}", way.cache.stats);
}

#[test]
fn a_flood_goes_past_the_cache_and_flows_get_in_after_it() {
    let (s, mut r) = (by_source(), Rng(2));
    let mut way = FastPath::new(16_384, 16_384, 1);
    passed(&s, &mut way, 50_000, |i| 1 << 24 | i);
    let d = passed(&s, &mut way, 250_000, |i| 1 << 25 | i);
    assert!(d.bypassed > 225_000 && d.inserts < 12_500, "{d:?}");
    // All places are taken by what doesn't come again.
    passed(&s, &mut way, 250_000, |_| r.below(5000));
    let d = passed(&s, &mut way, 20_000, |_| r.below(5000));
    assert!(d.hits > 17_000, "{d:?}");
    // What doesn't come again doesn't push out what does.
    let d = passed(&s, &mut way, 100_000, |i| if i % 2 == 0 { r.below(1000) } else { 1 << 26 | i });
    assert!(d.hits > 38_000 && d.bypassed == 0, "{d:?}");
}

#[test]
fn walks_that_cannot_be_remembered_go_past_the_cache() {
    let mut s = TestSwitch::new(Version::V13);
    let push = NxAction::StackPush(sub(F::Reg0, 0, 32));
    s.apply(0, 1, Match::any(), vec![Action::Nicira(push), Action::output(PortNo(2))]);
    let d = passed(&s, &mut FastPath::new(16_384, 16_384, 1), 70_000, |i| i);
    assert!(d.bypassed > 60_000 && d.inserts == 0, "{d:?}");
}

#[test]
fn stale_entries_make_room_at_once_and_do_not_speak_against_the_cache() {
    let mut s = by_source();
    let mut way = FastPath::new(64, 64, 1);
    passed(&s, &mut way, 3000, |i| i);
    for flow in 0..200 {
        // All entries are stale, but nobody has looked at them since.
        s.apply(0, 0, Match::any(), vec![]);
        let d = passed(&s, &mut way, 1, |_| 10_000 + flow);
        assert_eq!(d.inserts, 1, "{flow}: {d:?}");
        assert_eq!(passed(&s, &mut way, 1, |_| 10_000 + flow).hits, 1, "{flow}");
    }
    let mut way = FastPath::new(CACHE_ENTRIES, CACHE_ENTRIES, 1);
    passed(&s, &mut way, 8000, |i| i);
    for round in 0..4 {
        s.apply(0, 0, Match::any(), vec![]);
        let d = passed(&s, &mut way, 8000, |i| i);
        assert!(d.bypassed == 0 && d.stale > 7500, "{round}: {d:?}");
        let d = passed(&s, &mut way, 8000, |i| i);
        assert!(d.bypassed == 0 && d.hits > 7500, "{round}: {d:?}");
    }
}

#[test]
fn a_table_that_changes_with_every_packet_is_not_worth_a_cache() {
    let mut s = by_source();
    let mut way = FastPath::new(4096, 4096, 1);
    let mut bypassed = 0;
    for i in 0..30_000 {
        s.version += 1;
        s.last_add[0] = s.version;
        s.came = vec![(s.version, 0, FlowKey::default(), FlowKey::default())];
        bypassed += passed(&s, &mut way, 1, |_| i % 100).bypassed;
    }
    assert!(bypassed > 20_000, "{bypassed}");
    // It comes back when the table is quiet.
    passed(&s, &mut way, 66_000, |i| i % 100);
    let d = passed(&s, &mut way, 1000, |i| i % 100);
    assert_eq!(d.hits, 1000, "{d:?}");
}

/// Flows that come, have a packet and go leave little behind, and those that stay are mostly known.
#[test]
fn flows_that_went_are_forgotten() {
    let mut s = TestSwitch::new(Version::V13);
    let mut way = FastPath::new(CACHE_ENTRIES, CACHE_ENTRIES, 1);
    way.cache.limit_dead(500);
    let by = |n: u64| Match::any().with(F::EthType, 0x0800).with(F::Ipv4Src, u128::from(n));
    for n in 0..50 {
        s.apply(0, 1, by(n), vec![Action::output(PortNo(2))]);
    }
    let (mut most, mut hits) = (0, 0);
    for n in 1000..4000 {
        let one = s.apply(0, 1, by(n), vec![Action::output(PortNo(2))]);
        passed(&s, &mut way, 1, |_| n);
        s.remove(one);
        hits += passed(&s, &mut way, 1, |_| n % 50).hits;
        most = most.max(way.cache.segments.len());
    }
    assert!((500..1500).contains(&most), "{most} parts of walks kept, of 3,000");
    assert!(hits > 2000, "{hits} of 3,000 packets known");
}
