//! What is told when flows end, tables fill, workers and connections go.

use super::super::super::*;
use super::{control, flow, hit, key, out, removed, secs, settle, stats};
use ofproto::Version::{V13, V14};
use ofproto::error::ErrorKind as E;
use ofproto::flow::{FlowMod, FlowModCommand as C, FlowModFlags as Fl, FlowRemovedReason as R};
use ofproto::ids::TableId;
use ofproto::stats::FlowStatsRequest;
use ofproto::table::{TableConfig, TableMod, TableModProp};

#[test]
fn eviction_takes_the_least_important_first_and_none_more_important_than_the_new_one() {
    let mut c = control(2);
    let mut w = c.attach_worker().unwrap();
    let m = TableMod { table: TableId(0), config: TableConfig::EVICTION, properties: vec![TableModProp::Eviction(2)] };
    c.table_mod(V14, &m, secs(1)).unwrap();
    let f = |p, importance| FlowMod { importance, flags: Fl::SEND_FLOW_REM, ..flow(p) };
    c.flow_mod(V14, &f(1, 5), secs(1)).unwrap();
    c.flow_mod(V14, &f(2, 3), secs(1)).unwrap();
    assert_eq!(c.flow_mod(V14, &f(3, 1), secs(1)).unwrap_err().kind, E::FlowModFailedTableFull);
    assert_eq!(c.flow_mod(V14, &f(3, 4), secs(1)).unwrap(), FlowModOutcome { added: 1, modified: 0, removed: 1 });
    let events = settle(&mut c, &mut w, secs(1));
    let r = removed(&events);
    assert_eq!((r[0].reason, &r[0].matching), (R::Eviction, &flow(2).matching));
    // By lifetime alone permanent entries stay.
    let m = TableMod { properties: vec![TableModProp::Eviction(4)], ..m };
    c.table_mod(V14, &m, secs(1)).unwrap();
    assert_eq!(c.flow_mod(V14, &f(4, 9), secs(1)).unwrap_err().kind, E::FlowModFailedTableFull);
    let short = FlowMod { command: C::Delete, ..f(3, 0) };
    c.flow_mod(V14, &short, secs(1)).unwrap();
    c.flow_mod(V14, &FlowMod { hard_timeout: 60, ..f(3, 9) }, secs(1)).unwrap();
    c.flow_mod(V14, &f(4, 0), secs(1)).unwrap();
    assert_eq!(c.flow_count(TableId(0)), 2);
}

#[test]
fn vacancy_events_alternate() {
    let mut c = control(10);
    let m = TableMod {
        table: TableId(0),
        config: TableConfig::VACANCY_EVENTS,
        properties: vec![TableModProp::Vacancy { down: 30, up: 60, vacancy: 0 }],
    };
    c.table_mod(V14, &m, secs(1)).unwrap();
    let told = |c: &mut Control| {
        c.events().filter_map(|e| if let Event::TableStatus(s) = e { Some(s.reason) } else { None }).collect::<Vec<_>>()
    };
    for p in 1..=7 {
        c.flow_mod(V14, &flow(p), secs(1)).unwrap();
    }
    assert!(told(&mut c).is_empty());
    c.flow_mod(V14, &flow(8), secs(1)).unwrap();
    assert_eq!(told(&mut c), [3]);
    let del = |p| FlowMod { command: C::Delete, ..flow(p) };
    for p in 4..=7 {
        c.flow_mod(V14, &del(p), secs(1)).unwrap();
    }
    assert!(told(&mut c).is_empty());
    c.flow_mod(V14, &del(8), secs(1)).unwrap();
    assert_eq!(told(&mut c), [4]);
    let bad = TableMod { properties: vec![TableModProp::Vacancy { down: 61, up: 60, vacancy: 0 }], ..m };
    assert_eq!(c.table_mod(V14, &bad, secs(1)).unwrap_err().kind, E::BadPropertyBadValue);
    assert_eq!(c.table_desc()[0].properties[1], TableModProp::Vacancy { down: 30, up: 60, vacancy: 70 });
}

#[test]
fn flow_removed_and_barrier_wait_for_the_workers_and_count_their_last_packets() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    c.flow_mod(V13, &FlowMod { flags: Fl::SEND_FLOW_REM, ..flow(1) }, secs(1)).unwrap();
    let snap = w.adopt();
    let f = snap.lookup(TableId(0), &key(1)).unwrap();
    let cached = f.cached();
    c.flow_mod(V13, &FlowMod { command: C::Delete, ..flow(1) }, secs(2)).unwrap();
    let barrier = c.barrier();
    for _ in 0..5 {
        c.tick(secs(3));
    }
    assert!(c.events().next().is_none());
    assert!(!c.barrier_done(barrier));
    // The burst that began before the deletion still sees and counts the entry.
    assert_eq!(f.priority(), 0x8000);
    assert!(snap.resolve(cached).is_some());
    snap.count(f.stats(), 3, 300, secs(3));
    assert!(w.adopt().resolve(cached).is_none());
    c.tick(secs(4));
    let events: Vec<_> = c.events().collect();
    let r = removed(&events);
    assert_eq!((r.len(), r[0].stats.packet_count, r[0].stats.duration_sec), (1, 3, 1));
    assert!(c.barrier_done(barrier));
    // A sleeping worker holds nothing up.
    w.offline();
    c.flow_mod(V13, &flow(1), secs(5)).unwrap();
    assert!(c.barrier_done(c.barrier()));
    assert!(w.adopt().lookup(TableId(0), &key(1)).is_some());
}

#[test]
fn a_worker_that_goes_leaves_its_counts() {
    let mut c = control(100);
    c.flow_mod(V13, &flow(1), secs(1)).unwrap();
    for i in 0..300 {
        let mut w = c.attach_worker().expect("places are used again");
        hit(&mut w, 1, 2, secs(2));
        w.adopt().count_table(TableId(0), 2, 1);
        assert_eq!(stats(&mut c, secs(2))[0].stats.packet_count, 2 * (i + 1));
    }
    assert_eq!(c.table_stats()[0].lookup_count, 600);
    assert_eq!(c.table_stats()[0].matched_count, 300);
    let sum = c.aggregate(&FlowStatsRequest::default(), V13).unwrap();
    assert_eq!((sum.packet_count, sum.byte_count, sum.flow_count), (600, 60_000, 1));
}

#[test]
fn changes_are_told_to_monitors_when_asked_for() {
    let mut c = control(100);
    c.flow_mod(V13, &flow(1), secs(1)).unwrap();
    assert!(c.events().next().is_none());
    c.watch_flows(true);
    c.flow_mod(V13, &flow(2), secs(1)).unwrap();
    c.flow_mod(V13, &FlowMod { command: C::Modify, instructions: out(8), ..flow(2) }, secs(1)).unwrap();
    c.flow_mod(V13, &FlowMod { command: C::Delete, ..flow(2) }, secs(1)).unwrap();
    let kinds: Vec<_> = c
        .events()
        .map(|e| if let Event::FlowChanged(f) = e { (f.kind, f.instructions.to_vec()) } else { panic!() })
        .collect();
    assert_eq!(
        kinds,
        [
            (FlowChangeKind::Added, out(1)),
            (FlowChangeKind::Modified, out(8)),
            (FlowChangeKind::Removed(R::Delete), out(8))
        ]
    );
}

#[test]
fn the_end_of_a_connection_shortens_timeouts() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let m = FlowMod { flags: Fl::SEND_FLOW_REM, idle_timeout: 60, ..flow(1) };
    c.flow_mod(V13, &m, secs(10)).unwrap();
    assert!(hit(&mut w, 1, 5, secs(11)).is_some());
    let name = |w: &mut Reader| {
        let f = w.adopt().lookup(TableId(0), &key(1)).unwrap().cached();
        crate::cache::CachedHit { table: f.table, index: f.index, added: f.added, stats: 0 }
    };
    let entry = name(&mut w);
    assert!(c.shorten_timeouts(entry, 5, 0, secs(12)));
    assert!(!c.shorten_timeouts(entry, 1, 0, secs(12)), "named the entry as it was");
    let entry = name(&mut w);
    assert!(!c.shorten_timeouts(entry, 20, 0, secs(12)), "never lengthens");
    assert!(removed(&settle(&mut c, &mut w, Time::from_millis(15_900))).is_empty());
    let events = settle(&mut c, &mut w, Time::from_millis(16_500));
    let gone = removed(&events);
    assert_eq!(
        gone.iter().map(|f| (f.reason, f.idle_timeout, f.stats.packet_count)).collect::<Vec<_>>(),
        [(R::IdleTimeout, 5, 5)]
    );
    // Where there was none.
    c.flow_mod(V13, &FlowMod { flags: Fl::SEND_FLOW_REM, ..flow(1) }, secs(20)).unwrap();
    let entry = name(&mut w);
    assert!(c.shorten_timeouts(entry, 0, 3, secs(21)));
    assert!(removed(&settle(&mut c, &mut w, Time::from_millis(22_900))).is_empty());
    assert_eq!(removed(&settle(&mut c, &mut w, Time::from_millis(23_200))).len(), 1);
}
