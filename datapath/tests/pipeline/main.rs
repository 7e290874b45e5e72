//! A whole datapath in memory: control changes the tables, an engine moves frames between ports.

mod caches;
mod rig;

use datapath::clock::Time;
use datapath::control::Event;
use datapath::engine::FailMode;
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::pipeline::{DropReason, Request};
use datapath::program::{Place, compile_packet_out};
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId, PortNo, TableId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::packet::PacketInReason;
use ofproto::port::PortState;
use rig::{Switch, V, frame, out};

#[test]
fn flow_mods_take_effect_at_the_next_burst_and_count_exactly() {
    let mut s = Switch::new();
    let f = frame(2, 1);
    s.send(1, &[&f]);
    assert_eq!(s.shared.drops()[DropReason::TableMiss as usize], 1);
    s.add(0, 10, Match::any().with(F::InPort, 1), vec![I::ApplyActions(vec![out(2), out(3)])]);
    s.send(1, &[&f, &f, &f]);
    assert_eq!(s.received(2), vec![f.clone(); 3]);
    assert_eq!(s.received(3), vec![f.clone(); 3]);
    assert_eq!(s.counts(), [(3, 3 * f.len() as u64)]);
    let m = FlowMod {
        command: FlowModCommand::ModifyStrict,
        priority: 10,
        matching: Match::any().with(F::InPort, 1),
        instructions: vec![I::ApplyActions(vec![out(4)])],
        ..FlowMod::default()
    };
    s.control.flow_mod(V, &m, s.now).unwrap();
    s.send(1, &[&f]);
    assert_eq!((s.received(2).len(), s.received(4).len()), (0, 1));
    assert_eq!(s.counts(), [(4, 4 * f.len() as u64)]);
    let m = FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() };
    s.control.flow_mod(V, &m, s.now).unwrap();
    s.send(1, &[&f]);
    assert_eq!(s.shared.drops()[DropReason::TableMiss as usize], 2);
    assert!(s.engine.cache_stats().hits >= 2);
}

#[test]
fn the_whole_pipeline_with_groups_meters_and_sets() {
    let mut s = Switch::new();
    let group = GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::All,
        group: GroupId(7),
        command_bucket: BucketId::ALL,
        buckets: vec![
            Bucket::new(vec![out(2)]),
            Bucket::new(vec![Action::SetField(MatchField::exact(F::EthDst, 0xff)), out(3)]),
        ],
        properties: vec![],
    };
    s.control.group_mod(V, &group, s.now).unwrap();
    let meter = MeterMod {
        command: MeterModCommand::Add,
        flags: MeterFlags::PKTPS | MeterFlags::BURST,
        meter: MeterId(1),
        bands: vec![Band { rate: 1, burst_size: 2, action: BandAction::Drop }],
    };
    s.control.meter_mod(V, &meter, s.now).unwrap();
    s.add(
        0,
        1,
        Match::any(),
        vec![
            I::Meter(MeterId(1)),
            I::WriteActions(vec![Action::Group(GroupId(7))]),
            I::WriteMetadata { metadata: 5, mask: 0xff },
            I::GotoTable(TableId(3)),
        ],
    );
    s.add(3, 1, Match::any().with(F::Metadata, 5), vec![]);
    let f = frame(2, 1);
    s.send(1, &[&f, &f, &f]);
    assert_eq!(s.received(2), vec![f.clone(); 2]);
    let edited = s.received(3);
    assert_eq!((edited.len(), &edited[0][..6]), (2, &[0, 0, 0, 0, 0, 0xff][..]));
    assert_eq!(s.shared.drops()[DropReason::Meter as usize], 1);
    let stats = s.control.group_stats(GroupId(7), s.now).unwrap();
    assert_eq!((stats[0].packet_count, stats[0].ref_count), (2, 1));
    assert_eq!(stats[0].buckets.iter().map(|b| b.0).collect::<Vec<_>>(), [2, 2]);
    let stats = s.control.meter_stats(MeterId(1), s.now).unwrap();
    assert_eq!((stats[0].packet_in_count, stats[0].bands[0].0), (3, 1));
    // Deleting the group takes its flow along.
    let gone = GroupMod { command: GroupModCommand::Delete, buckets: vec![], ..group };
    s.control.group_mod(V, &gone, s.now).unwrap();
    s.send(1, &[&f]);
    assert_eq!(s.shared.drops()[DropReason::TableMiss as usize], 1);
}

#[test]
fn misses_reach_the_controllers_and_packet_outs_the_ports() {
    let mut s = Switch::new();
    let to_controller = Action::Output { port: PortNo::CONTROLLER, max_len: 60 };
    s.add(0, 0, Match::any(), vec![I::ApplyActions(vec![to_controller])]);
    let f = frame(2, 1);
    s.send(3, &[&f, &f]);
    let punt = s.shared.punts().pop().unwrap();
    assert_eq!(
        (punt.reason, punt.in_port(), punt.table, punt.max_len),
        (PacketInReason::TableMiss, PortNo(3), TableId(0), 60)
    );
    assert_eq!((punt.frame.bytes(), punt.key.get(F::InPhyPort)), (&f[..], 3));
    // The second one came by the cache.
    assert_eq!(s.engine.cache_stats().hits, 1);
    assert_eq!(s.shared.punts().pop().unwrap().frame.bytes(), f);
    let program = compile_packet_out(&[Action::output(PortNo::ALL)], &s.control.context(V, Place::PacketOut)).unwrap();
    let mut key = FlowKey::default();
    key.set(F::InPort, 3);
    s.engine.packet_out(&program, key, punt.frame, &mut s.tx, s.now);
    s.tx.flush();
    assert_eq!([1, 2, 3, 4].map(|p| s.received(p).len()), [1, 1, 0, 1]);
}

#[test]
fn ports_that_change_are_felt_at_once_through_the_cache() {
    let mut s = Switch::new();
    s.add(0, 1, Match::any(), vec![I::ApplyActions(vec![out(2)])]);
    let f = frame(2, 1);
    s.send(1, &[&f, &f]);
    s.control.update_port(PortNo(2), s.now, |p| p.state = PortState::LINK_DOWN);
    s.send(1, &[&f]);
    assert_eq!(s.received(2).len(), 2);
    assert_eq!(s.shared.drops()[DropReason::PortDown as usize], 1);
    s.control.update_port(PortNo(2), s.now, |p| p.state = PortState::empty());
    s.send(1, &[&f]);
    assert_eq!(s.received(2).len(), 1);
}

#[test]
fn standalone_mode_is_a_learning_switch() {
    let mut s = Switch::new();
    s.shared.set_mode(FailMode::Standalone);
    s.send(1, &[&frame(2, 1)]);
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [1, 1, 1]);
    s.send(2, &[&frame(1, 2)]);
    assert_eq!([1, 3, 4].map(|p| s.received(p).len()), [1, 0, 0]);
    let mut key = FlowKey::default();
    key.set(F::InPort, 3);
    let traced = |s: &mut Switch| {
        let t = s.engine.trace(key, Frame::from_bytes(&frame(1, 3)), datapath::pipeline::Start::Received, s.now);
        (t.result.sent.iter().map(|x| x.0.0).collect::<Vec<_>>(), t.result.drops)
    };
    assert_eq!(traced(&mut s), (vec![1], vec![]), "a trace tells what is done");
    s.shared.set_mode(FailMode::Secure);
    assert_eq!(traced(&mut s), (vec![], vec![DropReason::TableMiss]));
    s.send(2, &[&frame(1, 2)]);
    assert_eq!(s.received(1).len(), 0);
}

/// TCP from port 1000 to port 80; `fragment` is the header's fragment field.
fn tcp(ttl: u8, fragment: u16) -> Vec<u8> {
    let mut f = frame(2, 1);
    f.truncate(12);
    f.extend([8, 0, 0x45, 0, 0, 40, 0, 1]);
    f.extend(fragment.to_be_bytes());
    f.extend([ttl, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    f.extend([1000u16.to_be_bytes(), 80u16.to_be_bytes()].concat());
    f.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0, 100, 0, 0, 0, 0]);
    f
}

/// OpenFlow 1.0.0 §3.4: of a fragment, the first included, the transport ports are zero for the lookup.
#[test]
fn the_ports_of_fragments_are_zero_in_1_0_alone() {
    let mut s = Switch::new();
    let tcp_to = |port| Match::any().with(F::EthType, 0x0800).with(F::IpProto, 6).with(F::TcpDst, port);
    let (whole, first, later) = (tcp(64, 0), tcp(64, 0x2000), tcp(64, 5));
    s.add(0, 5, tcp_to(80), vec![I::ApplyActions(vec![out(3)])]);
    for _ in 0..3 {
        s.send(1, &[&whole, &first, &later]);
    }
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [0, 6, 0], "1.3: later fragments have no ports");
    // Learnt walks notice entries that come.
    for (port, to) in [(0, 2), (80, 4)] {
        let instructions = vec![I::ApplyActions(vec![out(to)])];
        let f = FlowMod { priority: 10, matching: tcp_to(port), instructions, ..FlowMod::default() };
        s.control.flow_mod(Version::V10, &f, s.now).unwrap();
    }
    for _ in 0..3 {
        s.send(1, &[&whole, &first, &later]);
    }
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [6, 0, 3]);
    s.add(0, 20, tcp_to(80), vec![I::ApplyActions(vec![out(3)])]);
    for _ in 0..3 {
        s.send(1, &[&whole, &first, &later]);
    }
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [3, 6, 0], "the higher priority");
}

/// ovs-actions(7), "The dec_ttl action": the levels above a resubmit go on where a TTL ends below.
#[test]
fn a_ttl_that_ends_inside_a_resubmit_ends_that_alone() {
    use ofproto::nicira::NxAction;
    let mut s = Switch::new();
    let table = Some(TableId(1));
    let resubmit = Action::Nicira(NxAction::Resubmit { in_port: PortNo::IN_PORT, table, ct: false });
    s.add(0, 1, Match::any(), vec![I::ApplyActions(vec![resubmit, out(2)])]);
    let ip = Match::any().with(F::EthType, 0x0800);
    s.add(1, 1, ip, vec![I::ApplyActions(vec![Action::DecNwTtl, out(3)]), I::GotoTable(TableId(2))]);
    s.add(2, 1, Match::any(), vec![I::ApplyActions(vec![out(4)])]);
    for (ttl, want) in [(64, [5, 5, 5]), (1, [5, 0, 0]), (0, [5, 0, 0]), (2, [5, 5, 5])] {
        for _ in 0..5 {
            s.send(1, &[&tcp(ttl, 0)]);
        }
        assert_eq!([2, 3, 4].map(|p| s.received(p).len()), want, "{ttl}");
    }
    assert_eq!(s.shared.drops()[DropReason::InvalidTtl as usize], 10);
    // Without one it ends the packet.
    let f = FlowMod {
        table: TableId(0),
        command: FlowModCommand::Modify,
        instructions: vec![I::ApplyActions(vec![Action::DecNwTtl, out(2)]), I::GotoTable(TableId(2))],
        ..FlowMod::default()
    };
    s.control.flow_mod(V, &f, s.now).unwrap();
    s.send(1, &[&tcp(64, 0), &tcp(1, 0)]);
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [1, 0, 1]);
}

#[test]
fn learning_flows_come_back_through_control() {
    use ofproto::matching::OxmId;
    use ofproto::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};
    let mut s = Switch::new();
    let sub = |f, n_bits| Subfield { field: OxmId::of(f), offset: 0, n_bits };
    let learn = Action::Nicira(NxAction::Learn(Box::new(Learn {
        priority: 1,
        specs: vec![
            LearnSpec::Match { src: LearnSource::Field(sub(F::EthSrc, 48)), dst: sub(F::EthDst, 48), n_bits: 48 },
            LearnSpec::Output { src: LearnSource::Field(sub(F::InPort, 32)), n_bits: 32 },
        ],
        ..Learn::default()
    })));
    s.add(0, 1, Match::any(), vec![I::ApplyActions(vec![learn]), I::GotoTable(TableId(1))]);
    s.add(1, 0, Match::any(), vec![I::ApplyActions(vec![Action::output(PortNo::FLOOD)])]);
    s.send(1, &[&frame(2, 1)]);
    assert_eq!([2, 3, 4].map(|p| s.received(p).len()), [1, 1, 1]);
    let Some(Request::Learn { flow_mod, .. }) = s.shared.next_request() else { panic!("nothing learnt") };
    s.control.flow_mod(V, &flow_mod, s.now).unwrap();
    s.send(4, &[&frame(1, 2)]);
    assert_eq!([1, 2, 3].map(|p| s.received(p).len()), [1, 0, 0]);
}

#[test]
fn a_removed_flow_reports_final_counters() {
    let mut s = Switch::new();
    let f = FlowMod {
        priority: 1,
        hard_timeout: 2,
        flags: FlowModFlags::SEND_FLOW_REM,
        instructions: vec![I::ApplyActions(vec![out(2)])],
        ..FlowMod::default()
    };
    s.control.flow_mod(V, &f, s.now).unwrap();
    s.send(1, &[&frame(2, 1), &frame(2, 3)]);
    s.now = Time::from_secs(5);
    for _ in 0..5 {
        s.control.tick(s.now);
        s.send(1, &[]);
    }
    let removed: Vec<_> = s
        .control
        .events()
        .filter_map(|e| if let Event::FlowRemoved(r) = e { Some(r.stats.packet_count) } else { None })
        .collect();
    assert_eq!(removed, [2]);
}

#[test]
fn a_trace_says_why_better_entries_did_not_match() {
    use datapath::pipeline::Start;
    use datapath::trace::search;
    let mut s = Switch::new();
    s.add(0, 30, Match::any().with(F::InPort, 2), vec![I::ApplyActions(vec![out(4)])]);
    s.add(0, 20, Match::any().with(F::EthType, 0x0806).with(F::ArpOp, 2), vec![]);
    s.add(0, 10, Match::any().with(F::EthType, 0x0806), vec![I::ApplyActions(vec![out(3)])]);
    let mut key = FlowKey::default();
    key.set(F::InPort, 1);
    let t = s.engine.trace(key, Frame::from_bytes(&frame(2, 1)), Start::Received, s.now);
    assert_eq!(t.result.sent.iter().map(|x| x.0).collect::<Vec<_>>(), [PortNo(3)]);
    let met = search(&mut s.control, &t, 16, s.now).unwrap();
    let why = |met: &[datapath::trace::Met]| -> Vec<_> {
        let rejected = met[0].passed_over.iter();
        rejected.map(|r| (r.priority, r.because.map(|b| (b.field, b.wanted, b.found)))).collect()
    };
    assert_eq!(met.len(), 1);
    let entry = met[0].entry.as_ref().unwrap();
    assert_eq!((entry.priority, entry.stats.packet_count), (10, 0), "and nothing was counted");
    assert_eq!(why(&met), [(30, Some((F::InPort, 2, 1))), (20, Some((F::ArpOp, 2, 1)))]);
    // Of many the best, whatever order they lie in; and what has gone meanwhile isn't told.
    for priority in [40, 35, 50, 45] {
        s.add(0, priority, Match::any().with(F::InPort, 3), vec![]);
    }
    let met = search(&mut s.control, &t, 3, s.now).unwrap();
    assert_eq!(why(&met).iter().map(|w| w.0).collect::<Vec<_>>(), [50, 45, 40]);
    s.control.flow_mod(V, &FlowMod { command: FlowModCommand::Delete, ..FlowMod::default() }, s.now).unwrap();
    for _ in 0..5 {
        s.send(1, &[]);
        s.control.tick(s.now);
    }
    assert_eq!(search(&mut s.control, &t, 3, s.now).unwrap(), [datapath::trace::Met::default()]);
    assert_eq!(s.received(3).len(), 0);
}

#[test]
fn what_a_trace_met_is_sought_in_pieces() {
    use datapath::pipeline::Start;
    use datapath::trace::{Search, search};
    const FLOWS: u16 = 1000;
    let mut s = Switch::new();
    for i in 0..FLOWS {
        s.add(0, 100 + i, Match::any().with(F::InPort, u128::from(i) + 2), vec![I::GotoTable(TableId(1))]);
    }
    s.add(0, 10, Match::any(), vec![I::GotoTable(TableId(1))]);
    s.add(1, 7, Match::any().with(F::InPort, 9), vec![]);
    s.add(1, 5, Match::any(), vec![]);
    let mut key = FlowKey::default();
    key.set(F::InPort, 1);
    let t = s.engine.trace(key, Frame::from_bytes(&frame(2, 1)), Start::Received, s.now);
    let whole = search(&mut s.control, &t, 8, s.now).unwrap();
    let priorities = |i: usize| whole[i].passed_over.iter().map(|r| r.priority).collect::<Vec<_>>();
    assert_eq!(priorities(0), (92..100).rev().map(|i| FLOWS + i).collect::<Vec<_>>());
    assert_eq!(priorities(1), [7]);
    let mut pieces = Search::begin(&mut s.control, &t, 8).unwrap();
    let mut n = 0;
    while !pieces.go_on(&s.control, 64) {
        n += 1;
        // It doesn't see what changes meanwhile, but names nothing that is gone.
        s.add(0, 5000 + n, Match::any().with(F::InPort, 500), vec![]);
    }
    // Places that are free are looked at as well, in blocks of 256.
    assert!((FLOWS / 64..(FLOWS + 512) / 64).contains(&n), "{n}");
    assert_eq!(pieces.end(&mut s.control, s.now), whole);
}

#[test]
fn super_frames_reach_the_controllers_as_frames() {
    use datapath::frame::{Gso, GsoKind, PartialChecksum};
    let mut s = Switch::new();
    let to_controller = Action::Output { port: PortNo::CONTROLLER, max_len: 0xffff };
    s.add(0, 0, Match::any(), vec![I::ApplyActions(vec![to_controller, out(2)])]);
    let payload = 3000u16;
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    f.extend((40 + payload).to_be_bytes());
    f.extend([0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    f.extend([0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    f.extend(std::iter::repeat_n(7u8, payload.into()));
    let mut frame = Frame::from_bytes(&f);
    frame.offload.gso = Some(Gso { kind: GsoKind::TcpV4, size: 1000, ecn: false });
    frame.offload.checksum = Some(PartialChecksum { start: 34, offset: 16 });
    let mut burst = vec![frame];
    s.engine.burst(PortNo(1), &mut burst, &mut s.tx, s.now);
    let lens: Vec<usize> = std::iter::from_fn(|| s.shared.punts().pop()).map(|p| p.frame.len()).collect();
    assert_eq!(lens, [1054; 3]);
}
