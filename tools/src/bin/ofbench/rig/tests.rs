//! Every frame is counted, whatever drives it.

use super::*;
use crate::input::{Frames, Kind, parse_rules};
use datapath::engine::Rehearsal;
use std::collections::BTreeMap;

fn frames(n: u32) -> Frames {
    let mut all = Frames::default();
    for i in 0..n {
        let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
        f.extend((0x0a00_0000 + i).to_be_bytes());
        f.extend([10, 1, 0, 1, 4, 0, 0, 53, 0, 26, 0, 0]);
        f.resize(64, 0);
        all.push(&f);
    }
    all
}

#[test]
fn every_frame_is_counted_once_and_slices_have_their_share() {
    let text = "priority=9,udp,nw_src=10.0.0.0/31,actions=dec_ttl,output:2\n\
                priority=8,udp,nw_src=10.0.0.2,actions=output:3\n\
                priority=7,udp,nw_src=10.0.0.3,actions=drop\n\
                priority=0,actions=controller\n";
    let rules = parse_rules(text, Kind::Flow, Version::V13).unwrap();
    let mut setup = Setup::new(rules, frames(5));
    setup.order = Order::File;
    setup.workers = 1;
    setup.phases = vec![Phase::plain(Until::Frames(500), 1), Phase::plain(Until::Frames(1000), 4)];
    let o = run(&setup, &mut idle).unwrap();
    assert_eq!(o.received, 1500);
    assert_eq!(o.sent, BTreeMap::from([(2, 600), (3, 300)]));
    let limited = o.drops.get("controller_queue").copied().unwrap_or(0);
    assert_eq!((o.packet_ins + limited, o.drops["no_output"]), (300, 300));
    assert_eq!(o.tables, BTreeMap::from([(0, (1500, 1500))]));
    let slices: Vec<u64> = o.workers[0].iter().map(|s| s.frames).collect();
    assert_eq!(slices, [500, 250, 250, 250, 250]);
    let cache = o.cache(1);
    assert_eq!(cache.hits + cache.misses + cache.stale + cache.bypassed, 1000, "{cache:?}");
}

#[test]
fn workers_share_the_frames_and_the_attack_comes_beside_them() {
    let rules = parse_rules("in_port=1,actions=output:2", Kind::Flow, Version::V13).unwrap();
    let mut setup = Setup::new(rules, frames(7));
    setup.workers = 2;
    setup.attack = Arc::new(frames(1));
    let half = Phase { until: Until::Frames(64), slices: 1, attack: Pace::Half };
    setup.phases = vec![Phase::plain(Until::Frames(64), 1), half];
    let o = run(&setup, &mut idle).unwrap();
    assert_eq!(o.workers.len(), 2);
    assert_eq!(o.phase(1).map(|s| (s.frames, s.attack)).collect::<Vec<_>>(), [(64, 64); 2]);
    assert_eq!((o.received, o.sent[&2]), (384, 384));
}

#[test]
fn the_parts_forward_every_frame() {
    let only = |far| Variant::Only(far, 64);
    for variant in [only(Rehearsal::Keys), only(Rehearsal::Cache), Variant::Ports, Variant::Cache(0)] {
        let rules = parse_rules("actions=output:2", Kind::Flow, Version::V13).unwrap();
        let mut setup = Setup::new(rules, frames(3));
        setup.variant = variant;
        setup.order = Order::Shuffle;
        setup.phases = vec![Phase::plain(Until::Frames(100), 1); 2];
        let o = run(&setup, &mut idle).unwrap();
        assert_eq!((o.received, o.sent[&2]), (200, 200), "{variant:?}");
        // The rules are asked while it warms up, and by the whole switch afterwards.
        let lookups = match variant {
            Variant::Ports => None,
            Variant::Only(..) => Some(100),
            _ => Some(200),
        };
        assert_eq!(o.tables.get(&0).map(|t| t.0), lookups, "{variant:?}");
    }
}

#[test]
fn refused_rules_say_their_line() {
    let rules = parse_rules("\nactions=group:7", Kind::Flow, Version::V13).unwrap();
    let e = run(&Setup { phases: vec![Phase::plain(Until::Frames(1), 1)], ..Setup::new(rules, frames(1)) }, &mut idle);
    assert!(e.unwrap_err().to_string().contains("line 2"));
}
