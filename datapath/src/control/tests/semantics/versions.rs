//! Bundles, dumps and what is used again: one version at a time.

use super::super::super::*;
use super::{apply, control, flow, hit, key, secs, settle, stats};
use ofproto::Version::{V13, V14};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand as C};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, Cookie, GroupId, MacAddr, PortNo, TableId};
use ofproto::matching::Match;
use ofproto::port::{Port, PortConfig, PortMod};
use ofproto::stats::FlowStatsRequest;

#[test]
fn slots_counters_and_memory_are_used_again() {
    let mut c = control(100_000);
    let mut w = c.attach_worker().unwrap();
    for round in 0..4 {
        for p in 0..10_000 {
            c.flow_mod(V13, &flow(p), secs(round)).unwrap();
        }
        hit(&mut w, 77, 1, secs(round));
        settle(&mut c, &mut w, secs(round));
        assert_eq!(stats(&mut c, secs(round)).iter().map(|f| f.stats.packet_count).sum::<u64>(), 1);
        c.flow_mod(V13, &FlowMod { command: C::Delete, ..FlowMod::default() }, secs(round)).unwrap();
        settle(&mut c, &mut w, secs(round));
        let book = &c.tables[0];
        assert_eq!((book.slab.limit(), book.classifier.len(), book.live), (0, 0, 0));
        assert_eq!(book.identity.bytes(), 0);
    }
    assert!(c.timed.is_empty() && c.shapes.union() != FlowKey::default());
}

#[test]
fn a_dump_shows_one_version_however_long_it_takes() {
    let mut c = control(10_000);
    let mut w = c.attach_worker().unwrap();
    for p in 0..1000 {
        c.flow_mod(V13, &FlowMod { cookie: Cookie(p.into()), ..flow(p) }, secs(1)).unwrap();
    }
    let dump = c.flow_stats(&FlowStatsRequest::default(), V13).unwrap();
    let mut cookies = Vec::new();
    for turn in 0u32.. {
        let (flows, end) = c.next_flows(dump, 30, secs(2));
        cookies.extend(flows.iter().map(|f| f.cookie.0));
        if end {
            break;
        }
        let del = FlowMod { command: C::Delete, ..flow(999 - turn * 3) };
        c.flow_mod(V13, &del, secs(2)).unwrap();
        c.flow_mod(V13, &FlowMod { cookie: Cookie(1 << 32), ..flow(5000 + turn) }, secs(2)).unwrap();
        settle_some(&mut c, &mut w);
    }
    cookies.sort_unstable();
    assert_eq!(cookies, (0..1000).collect::<Vec<_>>());
    settle(&mut c, &mut w, secs(3));
}

fn settle_some(c: &mut Control, w: &mut Reader) {
    for _ in 0..4 {
        w.adopt();
        c.tick(secs(2));
    }
}

#[test]
fn ports_change_with_the_rest_of_a_bundle() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let port = Port::new(PortNo(1), MacAddr([2, 0, 0, 0, 0, 1]), "p1");
    c.add_port(port.clone(), 0, secs(1)).unwrap();
    assert!(w.adopt().state().ports.is_live(PortNo(1)));
    let down = PortMod {
        port_no: PortNo(1),
        hw_addr: port.hw_addr,
        config: PortConfig::PORT_DOWN,
        mask: PortConfig::PORT_DOWN,
        properties: vec![],
    };
    let bundle = |last: FlowMod| {
        [Modification::Port(down.clone()), Modification::Flow(last)]
            .map(|request| BundleMessage { version: V14, request })
    };
    c.events().for_each(drop);
    assert!(c.commit_bundle(&bundle(FlowMod { table: TableId(8), ..flow(1) }), secs(2)).is_err());
    assert!(c.events().next().is_none());
    assert!(w.adopt().state().ports.is_live(PortNo(1)));
    c.commit_bundle(&bundle(flow(1)), secs(2)).unwrap();
    let snap = w.adopt();
    assert!(!snap.state().ports.is_live(PortNo(1)) && snap.lookup(TableId(0), &key(1)).is_some());
    assert!(matches!(c.events().next(), Some(Event::PortStatus { by_request: true, .. })));
    let kind = |c: &mut Control, m: PortMod| c.port_mod(V13, &m, secs(3)).unwrap_err().kind;
    assert_eq!(kind(&mut c, PortMod { port_no: PortNo(7), ..down.clone() }), E::PortModFailedBadPort);
    assert_eq!(kind(&mut c, PortMod { hw_addr: MacAddr([0; 6]), ..down.clone() }), E::PortModFailedBadHwAddr);
    let bits = PortConfig::from_bits_retain(2);
    assert_eq!(kind(&mut c, PortMod { mask: bits, ..down }), E::PortModFailedBadConfig);
    // Ports come and go; flows stay.
    assert!(c.remove_port(PortNo(1), secs(4)));
    assert_eq!(c.flow_count(TableId(0)), 1);
}

#[test]
fn the_union_mask_covers_a_shape_that_a_failed_request_brought_in() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let m = FlowMod { matching: Match::any().with(F::EthSrc, 5), ..flow(1) };
    let bad = FlowMod { table: TableId(77), ..flow(1) };
    let bundle = [m.clone(), bad].map(|m| BundleMessage { version: V13, request: Modification::Flow(m) });
    assert!(c.commit_bundle(&bundle, secs(1)).is_err());
    assert_eq!(*w.adopt().state().union_mask, FlowKey::default());
    c.flow_mod(V13, &m, secs(1)).unwrap();
    assert_eq!(w.adopt().state().union_mask.get(F::EthSrc), F::EthSrc.info().all_ones());
}

#[test]
fn workers_see_all_of_a_bundle_or_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const FLOWS: u32 = 100;
    let mut c = control(10_000);
    let bundle = |round: u64| -> Vec<BundleMessage> {
        (0..FLOWS)
            .map(|p| {
                let m = FlowMod { cookie: Cookie(round), ..flow(p) };
                // Replace, or delete and add again, by turns.
                let delete = FlowMod { command: C::DeleteStrict, ..flow(p) };
                let mut both = vec![Modification::Flow(m)];
                if round.is_multiple_of(3) {
                    both.insert(0, Modification::Flow(delete));
                }
                both
            })
            .flat_map(|v| v.into_iter().map(|request| BundleMessage { version: V13, request }))
            .collect()
    };
    c.commit_bundle(&bundle(1), secs(1)).unwrap();
    let stop = AtomicBool::new(false);
    let readers: Vec<Reader> = (0..2).map(|_| c.attach_worker().unwrap()).collect();
    std::thread::scope(|s| {
        let workers: Vec<_> = readers
            .into_iter()
            .map(|mut reader| {
                let stop = &stop;
                s.spawn(move || {
                    let keys: Vec<FlowKey> = (0..FLOWS).map(key).collect();
                    let refs: Vec<&FlowKey> = keys.iter().collect();
                    let (mut bursts, mut last) = (0u64, 0);
                    while !stop.load(Ordering::Relaxed) || bursts < 50 {
                        let snap = reader.adopt();
                        let mut found = vec![None; refs.len()];
                        snap.lookup_burst(TableId(0), &refs, &mut found);
                        let first = found[0].expect("present at every version").cookie();
                        for (f, k) in found.iter().zip(&keys) {
                            let f = f.expect("present at every version");
                            assert_eq!(f.cookie(), first, "half a bundle");
                            assert_eq!(snap.lookup(TableId(0), k).map(|f| f.cookie()), Some(first));
                            snap.count(f.stats(), 1, 64, secs(2));
                        }
                        assert!(first.0 >= last, "back in time");
                        last = first.0;
                        bursts += 1;
                        if bursts.is_multiple_of(64) {
                            reader.offline();
                        }
                    }
                    bursts
                })
            })
            .collect();
        for round in 2..80u64 {
            c.commit_bundle(&bundle(round), secs(2)).unwrap();
            if round.is_multiple_of(5) {
                // A bundle that fails must never show.
                let mut bad = bundle(1 << 40);
                bad.push(BundleMessage {
                    version: V13,
                    request: Modification::Flow(FlowMod { table: TableId(77), ..flow(1) }),
                });
                assert!(c.commit_bundle(&bad, secs(2)).is_err());
            }
            c.tick(secs(2));
        }
        stop.store(true, Ordering::Relaxed);
        for w in workers {
            assert!(w.join().unwrap() > 0);
        }
    });
    while c.tick(secs(3)).waiting {}
    assert_eq!(c.flow_count(TableId(0)), FLOWS);
}

#[test]
fn a_hundred_thousand_groups_come_and_go() {
    let mut c = control(10);
    let mut w = c.attach_worker().unwrap();
    let bucket = Bucket { id: None, ..Bucket::new(vec![Action::output(PortNo(1))]) };
    let change = |command, group: u32, buckets| GroupMod {
        command,
        ty: GroupType::Indirect,
        group: GroupId(group),
        command_bucket: BucketId::ALL,
        buckets,
        properties: vec![],
    };
    for n in 0..100_000 {
        c.group_mod(V13, &change(GroupModCommand::Add, n, vec![bucket.clone()]), secs(1)).unwrap();
        if n % 1000 == 0 {
            w.adopt();
            c.tick(secs(1));
        }
    }
    c.flow_mod(V13, &FlowMod { instructions: apply(vec![Action::Group(GroupId(77_777))]), ..flow(1) }, secs(1))
        .unwrap();
    assert_eq!(c.group_stats(GroupId::ALL, secs(2)).unwrap().len(), 100_000);
    assert_eq!(c.group_stats(GroupId(77_777), secs(2)).unwrap()[0].ref_count, 1);
    for n in (0..100_000).step_by(2) {
        c.group_mod(V13, &change(GroupModCommand::Delete, n, vec![]), secs(2)).unwrap();
    }
    assert_eq!(c.group_desc(GroupId::ALL).unwrap().len(), 50_000);
    assert_eq!(c.flow_count(TableId(0)), 1);
    c.group_mod(V13, &change(GroupModCommand::Delete, GroupId::ALL.0, vec![]), secs(2)).unwrap();
    assert!(c.group_desc(GroupId::ALL).unwrap().is_empty());
    assert_eq!(c.flow_count(TableId(0)), 0, "the flow went with its group");
    settle(&mut c, &mut w, secs(3));
}
