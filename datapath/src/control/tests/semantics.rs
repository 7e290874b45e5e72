//! Rules of the specification, one by one, with a clock that the test holds.

mod events;
mod versions;

use super::super::*;
use ofproto::Version::{self, V10, V11, V12, V13, V14, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand as C, FlowModFlags as Fl, FlowRemoved, FlowRemovedReason as R};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, Cookie, GroupId, MeterId, PortNo, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::stats::FlowStatsRequest;

fn control(max: u32) -> Control {
    Control::new(ControlConfig { n_tables: 4, max_entries: max, ..ControlConfig::default() })
}

fn apply(actions: Vec<Action>) -> Vec<Instruction> {
    vec![Instruction::ApplyActions(actions)]
}

fn out(port: u32) -> Vec<Instruction> {
    apply(vec![Action::output(PortNo(port))])
}

/// An entry on `in_port` with everything else at its default.
fn flow(in_port: u32) -> FlowMod {
    FlowMod { matching: Match::any().with(F::InPort, u128::from(in_port)), instructions: out(1), ..FlowMod::default() }
}

fn key(in_port: u32) -> FlowKey {
    let mut k = FlowKey::default();
    k.set(F::InPort, u128::from(in_port));
    k
}

fn secs(n: u64) -> Time {
    Time::from_secs(n)
}

/// Lets everything that waits come to its end; what was told meanwhile.
fn settle(c: &mut Control, reader: &mut Reader, now: Time) -> Vec<Event> {
    for _ in 0..10_000 {
        reader.adopt();
        let t = c.tick(now);
        if !t.busy && !t.waiting {
            return c.events().collect();
        }
    }
    panic!("never comes to rest");
}

fn removed(events: &[Event]) -> Vec<&FlowRemoved> {
    events.iter().filter_map(|e| if let Event::FlowRemoved(f) = e { Some(f) } else { None }).collect()
}

fn hit(reader: &mut Reader, in_port: u32, packets: u64, now: Time) -> Option<Cookie> {
    let snap = reader.adopt();
    let f = snap.lookup(TableId(0), &key(in_port))?;
    snap.count(f.stats(), packets, packets * 100, now);
    Some(f.cookie())
}

fn stats(c: &mut Control, now: Time) -> Vec<ofproto::stats::FlowDesc> {
    let d = c.flow_stats(&FlowStatsRequest::default(), V13).unwrap();
    c.next_flows(d, usize::MAX, now).0
}

#[test]
fn a_hard_timeout_counts_from_insertion_and_an_idle_one_from_the_last_packet() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let base = FlowMod { flags: Fl::SEND_FLOW_REM, ..flow(1) };
    c.flow_mod(V13, &FlowMod { hard_timeout: 3, ..base.clone() }, secs(10)).unwrap();
    c.flow_mod(V13, &FlowMod { idle_timeout: 2, ..FlowMod { matching: flow(2).matching, ..base } }, secs(10)).unwrap();
    let at = |ms| Time::from_millis(ms);
    assert!(removed(&settle(&mut c, &mut w, at(11_000))).is_empty());
    hit(&mut w, 1, 5, at(11_900));
    hit(&mut w, 2, 7, at(11_500));
    // A modify leaves both clocks alone.
    c.flow_mod(V13, &FlowMod { command: C::Modify, instructions: out(9), ..FlowMod::default() }, at(11_600)).unwrap();
    assert!(removed(&settle(&mut c, &mut w, at(12_990))).is_empty());
    let events = settle(&mut c, &mut w, at(13_090));
    let r = removed(&events);
    assert_eq!(r.len(), 1);
    assert_eq!((r[0].reason, r[0].stats.packet_count, r[0].stats.byte_count), (R::HardTimeout, 5, 500));
    assert_eq!(r[0].stats.duration_sec, 3);
    assert!(removed(&settle(&mut c, &mut w, at(13_450))).is_empty());
    let events = settle(&mut c, &mut w, at(13_590));
    let r = removed(&events);
    assert_eq!((r.len(), r[0].reason, r[0].stats.packet_count), (1, R::IdleTimeout, 7));
    assert_eq!(c.flow_count(TableId(0)), 0);
    assert!(hit(&mut w, 2, 1, at(13_600)).is_none());
}

/// Timeouts of all lengths, from moments that no tick falls on, with packets in between: each flow ends within
/// 100 ms after its time and never before.
#[test]
fn timeouts_are_exact_to_a_tenth_of_a_second() {
    let mut c = control(1000);
    let mut w = c.attach_worker().unwrap();
    let base = FlowMod { flags: Fl::SEND_FLOW_REM, ..FlowMod::default() };
    // When each is due, in ms, by cookie; the idle ones move on with their packets.
    let mut due = std::collections::HashMap::new();
    let mut now = 10_000u64;
    for i in 0..200u64 {
        now += i * 37 % 41;
        let (seconds, idle) = (5 + (i * 13 % 86) as u16, i % 2 == 0);
        let m = FlowMod {
            cookie: Cookie(i),
            matching: flow(i as u32 + 1).matching,
            idle_timeout: if idle { seconds } else { 0 },
            hard_timeout: if idle { 0 } else { seconds },
            ..base.clone()
        };
        c.flow_mod(V13, &m, Time::from_millis(now)).unwrap();
        due.insert(i, now + u64::from(seconds) * 1000);
    }
    assert!(removed(&settle(&mut c, &mut w, Time::from_millis(now))).is_empty());
    let mut ended = 0;
    while !due.is_empty() {
        now += 10;
        assert!(now < 300_000, "{due:?}");
        // A flow in twenty has a packet, of those that aren't due yet.
        let lucky = now / 10 * 7919 % 4000;
        if now < 100_000
            && lucky < 200
            && due.get(&lucky).is_some_and(|at| *at > now)
            && hit(&mut w, lucky as u32 + 1, 1, Time::from_millis(now)).is_some()
            && lucky.is_multiple_of(2)
        {
            due.insert(lucky, now + (5 + lucky * 13 % 86) * 1000);
        }
        for r in removed(&settle(&mut c, &mut w, Time::from_millis(now))) {
            let at = due.remove(&r.cookie.0).unwrap();
            assert!((at..=at + 100).contains(&now), "flow {} ended at {now} ms, due at {at}", r.cookie.0);
            let reason = if r.cookie.0 % 2 == 0 { R::IdleTimeout } else { R::HardTimeout };
            assert_eq!(r.reason, reason);
            ended += 1;
        }
    }
    assert_eq!(ended, 200);
}

#[test]
fn replacing_copies_counters_from_1_2_on_and_restarts_the_duration() {
    for (version, flags, kept) in
        [(V10, Fl::empty(), false), (V11, Fl::empty(), false), (V12, Fl::empty(), true), (V13, Fl::RESET_COUNTS, false)]
    {
        let mut c = control(100);
        let mut w = c.attach_worker().unwrap();
        c.flow_mod(version, &FlowMod { flags: Fl::SEND_FLOW_REM, ..flow(1) }, secs(1)).unwrap();
        hit(&mut w, 1, 4, secs(2));
        c.flow_mod(version, &FlowMod { flags, cookie: Cookie(9), ..flow(1) }, secs(5)).unwrap();
        assert!(removed(&settle(&mut c, &mut w, secs(6))).is_empty(), "a replacement is no removal");
        let s = stats(&mut c, secs(7));
        assert_eq!((s.len(), s[0].cookie, s[0].stats.duration_sec), (1, Cookie(9), 2));
        assert_eq!(s[0].stats.packet_count, if kept { 4 } else { 0 }, "{version}");
        hit(&mut w, 1, 1, secs(8));
        assert_eq!(stats(&mut c, secs(8))[0].stats.packet_count, if kept { 5 } else { 1 });
    }
}

#[test]
fn modify_sets_instructions_only_and_its_miss_adds_before_1_2() {
    for version in Version::ALL {
        let mut c = control(100);
        let mut w = c.attach_worker().unwrap();
        let m = FlowMod { command: C::Modify, cookie: Cookie(7), instructions: out(3), ..flow(1) };
        c.flow_mod(version, &m, secs(1)).unwrap();
        assert_eq!(c.flow_count(TableId(0)), u32::from(version <= V11), "{version}");
        let masked = FlowMod { cookie_mask: 1, ..FlowMod { matching: flow(2).matching, ..m.clone() } };
        c.flow_mod(version, &masked, secs(1)).unwrap();
        assert_eq!(c.flow_count(TableId(0)), if version == V10 { 2 } else { u32::from(version == V11) });
        c.flow_mod(version, &FlowMod { cookie: Cookie(1), idle_timeout: 9, importance: 4, ..flow(1) }, secs(2))
            .unwrap();
        hit(&mut w, 1, 6, secs(3));
        c.flow_mod(version, &FlowMod { importance: 5, idle_timeout: 1, ..m }, secs(4)).unwrap();
        let s = stats(&mut c, secs(5)).into_iter().find(|f| f.matching == flow(1).matching).unwrap();
        assert_eq!(s.cookie, if version == V10 { Cookie(7) } else { Cookie(1) });
        assert_eq!((s.idle_timeout, s.importance, s.stats.packet_count, s.stats.duration_sec), (9, 4, 6, 3));
        assert_eq!(s.instructions, out(3));
        if version >= V12 {
            let reset = FlowMod { command: C::ModifyStrict, flags: Fl::RESET_COUNTS, instructions: out(4), ..flow(1) };
            c.flow_mod(version, &reset, secs(6)).unwrap();
            let s = stats(&mut c, secs(6));
            assert_eq!((s[0].stats.packet_count, s[0].stats.idle, s[0].stats.duration_sec), (0, Some((3, 0)), 4));
        }
    }
}

#[test]
fn a_modify_of_1_0_that_names_no_table_is_for_all_of_them() {
    let mut c = control(100);
    let in_table = |t, m: FlowMod| FlowMod { table: TableId(t), ..m };
    for t in [0, 2, 3] {
        c.flow_mod(V13, &in_table(t, FlowMod { cookie: Cookie(t.into()), ..flow(1) }), secs(1)).unwrap();
    }
    c.flow_mod(V13, &in_table(2, flow(2)), secs(1)).unwrap();
    let state = |c: &mut Control| {
        let flows = stats(c, secs(9)).into_iter();
        let mut flows: Vec<_> = flows.map(|f| (f.table.0, f.matching, f.cookie.0, f.instructions)).collect();
        flows.sort_by_key(|f| (f.0, f.1.fields[0].value));
        flows
    };
    let entry = |t: u8, port: u32, cookie: u64, to: u32| (t, flow(port).matching, cookie, out(to));
    let modify = |command, port, to| FlowMod {
        command,
        table: TableId::ALL,
        cookie: Cookie(9),
        instructions: out(to),
        ..flow(port)
    };
    let strict = modify(C::ModifyStrict, 1, 7);
    for version in [V11, V12, V13, V14, V15] {
        for command in [C::Add, C::Modify, C::ModifyStrict] {
            let refused = c.flow_mod(version, &FlowMod { command, ..strict.clone() }, secs(2)).unwrap_err();
            assert_eq!(refused.kind, E::FlowModFailedBadTableId, "{version} {command:?}");
        }
    }
    assert_eq!(c.flow_mod(V10, &strict, secs(2)).unwrap().modified, 3);
    let expected = [entry(0, 1, 9, 7), entry(2, 1, 9, 7), entry(2, 2, 0, 1), entry(3, 1, 9, 7)];
    assert_eq!(state(&mut c), expected);
    let every = FlowMod { matching: Match::any(), ..modify(C::Modify, 0, 5) };
    assert_eq!(c.flow_mod(V10, &every, secs(3)).unwrap().modified, 4);
    let expected = [entry(0, 1, 9, 5), entry(2, 1, 9, 5), entry(2, 2, 9, 5), entry(3, 1, 9, 5)];
    assert_eq!(state(&mut c), expected);
    // What one entry can't have, none gets.
    let group = FlowMod { instructions: apply(vec![Action::Group(GroupId(77))]), ..every };
    c.flow_mod(V10, &group, secs(4)).unwrap_err();
    assert_eq!(state(&mut c), expected);
    // What matches nothing is an add, to the first table.
    assert_eq!(c.flow_mod(V10, &modify(C::ModifyStrict, 3, 6), secs(5)).unwrap().added, 1);
    let expected = [entry(0, 1, 9, 5), entry(0, 3, 9, 6), entry(2, 1, 9, 5), entry(2, 2, 9, 5), entry(3, 1, 9, 5)];
    assert_eq!(state(&mut c), expected);
}

#[test]
fn an_exact_match_of_1_0_beats_every_priority() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let m = Match::any()
        .with(F::InPort, 1)
        .with(F::EthSrc, 2)
        .with(F::EthDst, 3)
        .with(F::VlanVid, 0)
        .with(F::EthType, 0x88cc);
    let mut k = key(1);
    k.set(F::EthSrc, 2);
    k.set(F::EthDst, 3);
    k.set(F::EthType, 0x88cc);
    c.flow_mod(V10, &FlowMod { cookie: Cookie(1), priority: 0xffff, ..flow(1) }, secs(1)).unwrap();
    c.flow_mod(V10, &FlowMod { cookie: Cookie(2), priority: 1, matching: m.clone(), ..flow(1) }, secs(1)).unwrap();
    assert_eq!(w.adopt().lookup(TableId(0), &k).unwrap().cookie(), Cookie(2));
    // Its priority means nothing: strict commands find it with another.
    let del = FlowMod { command: C::DeleteStrict, priority: 77, matching: m.clone(), ..FlowMod::default() };
    assert_eq!(c.flow_mod(V10, &del, secs(1)).unwrap().removed, 1);
    // In 1.1 exact matches have no rank.
    c.flow_mod(V11, &FlowMod { cookie: Cookie(2), priority: 1, matching: m, ..flow(1) }, secs(1)).unwrap();
    assert_eq!(w.adopt().lookup(TableId(0), &k).unwrap().cookie(), Cookie(1));
}

#[test]
fn refusals_name_their_cause_and_change_nothing() {
    let mut c = control(2);
    let kind = |c: &mut Control, v, m: FlowMod| c.flow_mod(v, &m, secs(1)).map(|_| ()).map_err(|e| e.kind);
    let version = c.version();
    assert_eq!(kind(&mut c, V13, FlowMod { table: TableId(4), ..flow(1) }), Err(E::FlowModFailedBadTableId));
    assert_eq!(kind(&mut c, V13, FlowMod { table: TableId::ALL, ..flow(1) }), Err(E::FlowModFailedBadTableId));
    let del = FlowMod { table: TableId(9), command: C::Delete, ..flow(1) };
    assert_eq!(kind(&mut c, V13, del), Err(E::FlowModFailedBadTableId));
    assert_eq!(kind(&mut c, V13, FlowMod { command: C::Unknown(9), ..flow(1) }), Err(E::FlowModFailedBadCommand));
    let flags = Fl::from_bits_retain(0x40);
    assert_eq!(kind(&mut c, V13, FlowMod { flags, ..flow(1) }), Err(E::FlowModFailedBadFlags));
    let emergency = FlowMod { flags: Fl::EMERG, idle_timeout: 1, ..flow(1) };
    assert_eq!(kind(&mut c, V10, emergency), Err(E::FlowModFailedBadEmergTimeout));
    let group = FlowMod { instructions: apply(vec![Action::Group(GroupId(5))]), ..flow(1) };
    assert_eq!(kind(&mut c, V13, group), Err(E::BadActionBadOutGroup));
    assert_eq!(c.version(), version);
    kind(&mut c, V13, flow(1)).unwrap();
    kind(&mut c, V13, flow(2)).unwrap();
    assert_eq!(kind(&mut c, V13, flow(3)), Err(E::FlowModFailedTableFull));
    assert_eq!(kind(&mut c, V10, flow(3)), Err(E::FlowModFailedAllTablesFull));
    kind(&mut c, V13, FlowMod { cookie: Cookie(3), ..flow(2) }).unwrap();
    let overlap = FlowMod { matching: Match::any(), flags: Fl::CHECK_OVERLAP, ..flow(1) };
    assert_eq!(kind(&mut c, V13, overlap), Err(E::FlowModFailedOverlap));
    // An identical entry is no overlap.
    kind(&mut c, V13, FlowMod { flags: Fl::CHECK_OVERLAP, ..flow(1) }).unwrap();
}

#[test]
fn deletes_go_by_output_group_and_cookie() {
    let mut c = control(100);
    let add = |c: &mut Control, p: u32, i: Vec<Instruction>| {
        c.flow_mod(V13, &FlowMod { cookie: Cookie(p.into()), instructions: i, ..flow(p) }, secs(1)).unwrap();
    };
    add(&mut c, 1, out(5));
    add(&mut c, 2, vec![Instruction::WriteActions(vec![Action::output(PortNo(5))])]);
    add(&mut c, 3, out(6));
    let all = FlowMod { command: C::Delete, table: TableId::ALL, ..FlowMod::default() };
    let gone = |c: &mut Control, m: &FlowMod| c.flow_mod(V13, m, secs(2)).unwrap().removed;
    assert_eq!(gone(&mut c, &FlowMod { out_port: PortNo(7), ..all.clone() }), 0);
    assert_eq!(gone(&mut c, &FlowMod { cookie: Cookie(1), cookie_mask: 2, out_port: PortNo(5), ..all.clone() }), 1);
    assert_eq!(gone(&mut c, &FlowMod { out_port: PortNo(5), ..all.clone() }), 1);
    assert_eq!(gone(&mut c, &all), 1);
}

#[test]
fn deleting_a_group_or_meter_ends_its_flows_and_says_so() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let group = GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::All,
        group: GroupId(1),
        command_bucket: BucketId::ALL,
        buckets: vec![Bucket::new(vec![Action::output(PortNo(2))])],
        properties: vec![],
    };
    c.group_mod(V13, &group, secs(1)).unwrap();
    let meter = MeterMod {
        command: MeterModCommand::Add,
        flags: MeterFlags::KBPS,
        meter: MeterId(1),
        bands: vec![Band { rate: 100, burst_size: 0, action: BandAction::Drop }],
    };
    c.meter_mod(V13, &meter, secs(1)).unwrap();
    let f = |p| FlowMod { flags: Fl::SEND_FLOW_REM, ..flow(p) };
    c.flow_mod(V13, &FlowMod { instructions: apply(vec![Action::Group(GroupId(1))]), ..f(1) }, secs(1)).unwrap();
    let metered = vec![Instruction::Meter(MeterId(1)), Instruction::ApplyActions(vec![])];
    c.flow_mod(V13, &FlowMod { instructions: metered, ..f(2) }, secs(1)).unwrap();
    c.flow_mod(V13, &f(3), secs(1)).unwrap();
    assert_eq!(c.group_stats(GroupId(1), secs(2)).unwrap()[0].ref_count, 1);
    assert_eq!(c.meter_stats(MeterId(1), secs(2)).unwrap()[0].ref_count, 1);
    // As one bundle, and once in vain.
    let bundle = |bad: bool| {
        let mut requests = vec![
            Modification::Group(GroupMod { command: GroupModCommand::Delete, buckets: vec![], ..group.clone() }),
            Modification::Meter(MeterMod { command: MeterModCommand::Delete, bands: vec![], ..meter.clone() }),
        ];
        if bad {
            requests.push(Modification::Flow(FlowMod { table: TableId(77), ..flow(1) }));
        }
        requests.into_iter().map(|request| BundleMessage { version: V14, request }).collect::<Vec<_>>()
    };
    assert_eq!(c.commit_bundle(&bundle(true), secs(3)).unwrap_err().0, 2);
    assert!(removed(&settle(&mut c, &mut w, secs(3))).is_empty());
    assert_eq!(c.flow_count(TableId(0)), 3);
    assert_eq!(c.group_stats(GroupId(1), secs(2)).unwrap()[0].ref_count, 1);
    assert_eq!(w.adopt().lookup(TableId(0), &key(1)).unwrap().matching(), flow(1).matching);
    c.commit_bundle(&bundle(false), secs(4)).unwrap();
    let events = settle(&mut c, &mut w, secs(4));
    let reasons: Vec<_> = removed(&events).iter().map(|r| r.reason).collect();
    assert_eq!(reasons, [R::GroupDelete, R::MeterDelete]);
    assert!(events.contains(&Event::GroupDeleted(GroupId(1))) && events.contains(&Event::MeterDeleted(MeterId(1))));
    assert_eq!(c.flow_count(TableId(0)), 1);
    assert_eq!(c.group_stats(GroupId(1), secs(2)).unwrap_err().kind, E::GroupModFailedUnknownGroup);
}

#[test]
fn table_features_bind_and_cost_the_flows_of_what_changes() {
    let mut c = control(100);
    let mut w = c.attach_worker().unwrap();
    let f = |p, t| FlowMod { table: TableId(t), flags: Fl::SEND_FLOW_REM, ..flow(p) };
    for t in 0..3 {
        c.flow_mod(V13, &f(1, t), secs(1)).unwrap();
    }
    let mut all = c.table_features(V13);
    assert_eq!(all.len(), 4);
    // What is, set again: nothing changes.
    c.set_table_features(V13, &all, secs(1)).unwrap();
    assert_eq!(c.flow_count(TableId(0)), 1);
    // Table 1 shall match on in_port no more; table 3 leaves.
    for p in &mut all[1].properties {
        if let ofproto::table::TableFeatureProp::Match(fields) = p {
            fields.retain(|o| o.field != Ok(F::InPort));
        }
    }
    all.truncate(3);
    c.set_table_features(V13, &all, secs(2)).unwrap();
    assert!(removed(&settle(&mut c, &mut w, secs(2))).is_empty());
    assert_eq!([0, 1, 2].map(|t| c.flow_count(TableId(t))), [1, 0, 1]);
    assert_eq!(c.table_features(V13).len(), 3);
    let kind = |c: &mut Control, m| c.flow_mod(V13, &m, secs(3)).unwrap_err().kind;
    assert_eq!(kind(&mut c, f(1, 1)), E::BadMatchBadField);
    assert_eq!(kind(&mut c, f(1, 3)), E::FlowModFailedBadTableId);
    // Without a word on what a table matches.
    let before = c.table_features(V13);
    let mut mute = before.clone();
    mute[1].properties.retain(|p| !matches!(p, ofproto::table::TableFeatureProp::Match(_)));
    assert_eq!(c.set_table_features(V13, &mute, secs(3)).unwrap_err().kind, E::TableFeaturesFailedBadArgument);
    assert_eq!(c.table_features(V13), before);
    // Neither what it matches on nor what it wildcards: anything, as Faucet means it.
    let mut open = before;
    let lists = |p: &_| {
        use ofproto::table::TableFeatureProp as P;
        matches!(p, P::Match(_) | P::Wildcards(_))
    };
    open[1].properties.retain(|p| !lists(p));
    c.set_table_features(V13, &open, secs(3)).unwrap();
    c.flow_mod(V13, &f(1, 1), secs(3)).unwrap();
    // Twice the same table, or a table that isn't.
    let twice = vec![all[0].clone(), all[0].clone()];
    assert_eq!(c.set_table_features(V13, &twice, secs(3)).unwrap_err().kind, E::TableFeaturesFailedBadTable);
    all[0].table = TableId(9);
    assert_eq!(c.set_table_features(V15, &all, secs(3)).unwrap_err().kind, E::TableFeaturesFailedBadTable);
}

/// Compiled to a clause of conjunction `id` at this priority.
fn clause(id: u32, clause: u8, n_clauses: u8, priority: u16, matching: Match) -> FlowMod {
    let part = ofproto::nicira::NxAction::Conjunction { clause, n_clauses, id };
    FlowMod { priority, matching, instructions: apply(vec![Action::Nicira(part)]), ..FlowMod::default() }
}

#[test]
fn a_conjunction_is_met_when_each_of_its_clauses_is() {
    // Few entries and many: direct comparison and tuples.
    for crowd in [0, 200u128] {
        let mut c = control(1000);
        let mut w = c.attach_worker().unwrap();
        let src = |n: u32| Match::any().with(F::EthType, 0x800).with(F::Ipv4Src, n.into());
        let dst = |n: u32| Match::any().with(F::EthType, 0x800).with(F::Ipv4Dst, n.into());
        for n in [1, 2] {
            c.flow_mod(V13, &clause(7, 0, 2, 50, src(n)), secs(1)).unwrap();
            c.flow_mod(V13, &clause(7, 1, 2, 50, dst(10 + n)), secs(1)).unwrap();
        }
        for n in 0..crowd {
            let other = Match::any().with(F::EthType, 0x800).with(F::Ipv4Dst, 1000 + n);
            c.flow_mod(V13, &clause(8, 1, 2, 60, other), secs(1)).unwrap();
        }
        let add = |c: &mut Control, cookie, priority, m: Match| {
            let m =
                FlowMod { cookie: Cookie(cookie), priority, matching: m, instructions: out(1), ..FlowMod::default() };
            c.flow_mod(V13, &m, secs(1)).unwrap();
        };
        add(&mut c, 100, 0, Match::any());
        add(&mut c, 70, 1, Match::any().with(F::ConjId, 7));
        // An ordinary entry of the clauses' priority, and one below.
        add(&mut c, 51, 50, dst(12));
        add(&mut c, 49, 49, src(1));
        let mut found = |src: u32, dst: u32| {
            let mut k = FlowKey::default();
            k.set(F::EthType, 0x800);
            k.set(F::Ipv4Src, src.into());
            k.set(F::Ipv4Dst, dst.into());
            let snap = w.adopt();
            let one = snap.lookup(TableId(0), &k).map(|f| f.cookie().0);
            let mut burst = [None];
            snap.lookup_burst(TableId(0), &[&k], &mut burst);
            assert_eq!(burst[0].map(|f| f.cookie().0), one);
            one
        };
        assert_eq!(found(2, 11), Some(70));
        assert_eq!(found(1, 11), Some(49), "looked up among all ordinary entries, of which 49 is the best");
        assert_eq!(found(2, 12), Some(51), "an ordinary entry of the same priority comes first");
        assert_eq!(found(2, 13), Some(100), "one clause of two");
        assert_eq!(found(3, 11), Some(100));
        // A clause goes: what was found by it, too, and a cache hears of it.
        let before = c.barrier().0;
        c.flow_mod(V13, &FlowMod { command: C::DeleteStrict, ..clause(7, 1, 2, 50, dst(11)) }, secs(2)).unwrap();
        let mut k = FlowKey::default();
        k.set(F::EthType, 0x800);
        k.set(F::Ipv4Src, 2);
        k.set(F::Ipv4Dst, 11);
        let snap = w.adopt();
        assert_eq!(snap.lookup(TableId(0), &k).map(|f| f.cookie().0), Some(100));
        assert!(snap.last_add(TableId(0)) > before);
        // All of it can go and its places come free.
        let all = FlowMod { command: C::Delete, table: TableId(0), matching: Match::any(), ..FlowMod::default() };
        c.flow_mod(V13, &all, secs(3)).unwrap();
        settle(&mut c, &mut w, secs(4));
        let book = &c.tables[0];
        assert_eq!((book.slab.limit(), book.classifier.len(), book.clauses.len(), book.live), (0, 0, 0, 0));
    }
}

/// Entries that match on the same fields, of which some don't allow what a modify of all sets.
#[test]
fn a_modify_of_all_judges_each_entry_by_its_own_values() {
    let mut c = control(1000);
    let mut w = c.attach_worker().unwrap();
    let matching =
        |proto: u128, n: u32| Match::any().with(F::EthType, 0x800).with(F::IpProto, proto).with(F::Ipv4Src, n.into());
    for n in 0..60 {
        let proto = if n == 41 { 17 } else { 6 };
        c.flow_mod(
            V13,
            &FlowMod { cookie: Cookie(n.into()), ..FlowMod { matching: matching(proto, n), ..flow(1) } },
            secs(1),
        )
        .unwrap();
    }
    let set = apply(vec![Action::SetField(MatchField::exact(F::TcpDst, 7)), Action::output(PortNo(2))]);
    let all = FlowMod { command: C::Modify, matching: Match::any(), instructions: set.clone(), ..flow(1) };
    assert_eq!(c.flow_mod(V13, &all, secs(2)).unwrap_err().kind, E::BadActionMatchInconsistent);
    assert!(stats(&mut c, secs(2)).iter().all(|f| f.instructions == out(1)));
    let tcp = Match::any().with(F::EthType, 0x800).with(F::IpProto, 6);
    assert_eq!(c.flow_mod(V13, &FlowMod { matching: tcp, ..all.clone() }, secs(3)).unwrap().modified, 59);
    settle(&mut c, &mut w, secs(3));
    for f in stats(&mut c, secs(3)) {
        assert_eq!(f.instructions == set, f.cookie != Cookie(41), "{}", f.cookie);
    }
    // Each is still found, and once, by what it matches.
    for n in 0..60 {
        let m = FlowMod { matching: matching(if n == 41 { 17 } else { 6 }, n), command: C::ModifyStrict, ..flow(1) };
        assert_eq!(c.flow_mod(V13, &FlowMod { instructions: out(9), ..m.clone() }, secs(4)).unwrap().modified, 1);
        assert_eq!(c.flow_mod(V13, &FlowMod { command: C::DeleteStrict, ..m }, secs(4)).unwrap().removed, 1);
    }
    assert_eq!(c.flow_count(TableId(0)), 0);
}
