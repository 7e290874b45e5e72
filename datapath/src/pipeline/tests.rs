use super::*;
use crate::engine::Collected;
use crate::engine::testbed::{TestSwitch, frames};
use crate::meter::Verdict;
use ofproto::Version;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::BucketId;
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::packet::PacketInReason as R;

mod bounds;

fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}
fn set(id: F, value: u128) -> Action {
    Action::SetField(MatchField::exact(id, value))
}
fn ports(c: &Collected) -> Vec<u32> {
    c.sent.iter().map(|(p, ..)| p.0).collect()
}
fn sub(field: F, offset: u16, n_bits: u16) -> Subfield {
    Subfield { field: OxmId::of(field), offset, n_bits }
}
fn ip() -> Match {
    Match::any().with(F::EthType, 0x0800)
}
fn group(id: u32, ty: GroupType, buckets: Vec<Vec<Action>>) -> GroupMod {
    GroupMod {
        command: GroupModCommand::Add,
        ty,
        group: GroupId(id),
        command_bucket: BucketId::ALL,
        buckets: buckets
            .into_iter()
            .map(|a| Bucket { weight: u16::from(ty == GroupType::Select), ..Bucket::new(a) })
            .collect(),
        properties: Vec::new(),
    }
}
const T: Time = Time::ZERO;

#[test]
fn misses_go_where_the_version_says() {
    let s = TestSwitch::new(Version::V13);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.sent.len(), c.punts.len(), &c.drops[..]), (0, 0, &[DropReason::TableMiss][..]));
    let mut s = TestSwitch::new(Version::V10);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.punts[0].reason, c.punts[0].max_len, c.punts[0].cookie), (R::TableMiss, 128, Cookie(u64::MAX)));
    assert_eq!(c.punts[0].frame.bytes(), frames::tcp());
    s.port_mut(1).config = PortConfig::NO_PACKET_IN;
    assert!(s.run(1, &frames::tcp(), T).punts.is_empty());
    s.miss = Miss::Continue;
    s.apply(3, 1, Match::any(), vec![out(2)]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2]);
}

#[test]
fn the_table_miss_entry_sends_with_its_own_reason_and_cookie() {
    let mut s = TestSwitch::new(Version::V13);
    let to_controller = Action::Output { port: PortNo::CONTROLLER, max_len: 77 };
    let n = s.apply(0, 0, Match::any(), vec![to_controller.clone()]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.punts[0].reason, c.punts[0].cookie, c.punts[0].max_len), (R::TableMiss, Cookie(n.into()), 77));
    s.apply(0, 5, ip(), vec![to_controller.clone()]);
    assert_eq!(s.run(1, &frames::tcp(), T).punts[0].reason, R::ApplyAction);
    s.flow(0, 6, ip(), vec![I::WriteActions(vec![to_controller.clone()])]).unwrap();
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.punts[0].reason, c.punts[0].cookie), (R::ActionSet, Cookie(u64::MAX)));
    s.group(&group(1, GroupType::All, vec![vec![to_controller]])).unwrap();
    s.apply(0, 7, ip(), vec![Action::Group(GroupId(1))]);
    assert_eq!(s.run(1, &frames::tcp(), T).punts[0].reason, R::Group);
}

#[test]
fn outputs_take_the_packet_of_the_moment() {
    let mut s = TestSwitch::new(Version::V13);
    let a = vec![
        out(2),
        Action::PushVlan(0x8100),
        set(F::VlanVid, 0x1005),
        out(3),
        Action::PopVlan,
        out(4),
        set(F::Ipv4Dst, 9),
    ];
    s.apply(0, 1, ip(), a);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2, 3, 4]);
    assert_eq!(c.sent[0].2.bytes(), frames::tcp());
    assert_eq!(c.sent[1].2.bytes(), frames::tagged(&frames::tcp(), 5));
    assert_eq!(c.sent[2].2.bytes(), frames::tcp());
}

#[test]
fn the_action_set_runs_in_its_own_order_and_the_last_of_a_kind_counts() {
    let mut s = TestSwitch::new(Version::V13);
    // Written in the wrong order on purpose.
    let w = vec![out(2), set(F::VlanVid, 0x1007), Action::PushVlan(0x8100), out(3)];
    s.flow(0, 1, ip(), vec![I::WriteActions(w), I::GotoTable(TableId(1))]).unwrap();
    s.flow(1, 1, ip(), vec![I::WriteActions(vec![set(F::VlanVid, 0x1008)])]).unwrap();
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [3]);
    assert_eq!(c.sent[0].2.bytes(), frames::tagged(&frames::tcp(), 8));
    s.flow(1, 2, ip(), vec![I::ClearActions]).unwrap();
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.sent.len(), &c.drops[..]), (0, &[DropReason::NoOutput][..]));
    // A group makes the output void.
    s.group(&group(1, GroupType::Indirect, vec![vec![out(4)]])).unwrap();
    s.flow(1, 3, ip(), vec![I::WriteActions(vec![Action::Group(GroupId(1))])]).unwrap();
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [4]);
}

#[test]
fn metadata_and_edits_are_seen_by_later_tables() {
    let mut s = TestSwitch::new(Version::V13);
    s.flow(
        0,
        1,
        ip(),
        vec![
            I::ApplyActions(vec![set(F::Ipv4Dst, 77)]),
            I::WriteMetadata { metadata: 0xff05, mask: 0xff },
            I::GotoTable(TableId(2)),
        ],
    )
    .unwrap();
    let m = ip().with_mask(F::Metadata, 5, 0xffff).with(F::Ipv4Dst, 77);
    s.apply(2, 1, m, vec![Action::Output { port: PortNo::CONTROLLER, max_len: 0 }, out(2)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2]);
    assert_eq!((c.punts[0].key.get(F::Metadata), c.punts[0].table), (5, TableId(2)));
}

#[test]
fn ports_decide_what_may_pass() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, Match::any(), vec![Action::output(PortNo::ALL)]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2, 3, 4]);
    s.port_mut(2).config = PortConfig::NO_FWD;
    s.port_mut(3).config = PortConfig::PORT_DOWN;
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [4]);
    assert_eq!(s.run(3, &frames::tcp(), T).drops, [DropReason::PortNoRecv]);
    s.port_mut(4).config = PortConfig::NO_RECV;
    assert_eq!(s.run(4, &frames::tcp(), T).drops, [DropReason::PortNoRecv]);
    s.apply(0, 2, Match::any(), vec![out(2), out(3), out(9), out(1)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(
        c.drops,
        [DropReason::PortNoFwd, DropReason::PortDown, DropReason::NoSuchPort, DropReason::OutputToInPort]
    );
    // The ports count them, each the frames that it kept: in, out. Flooding spares a port, which drops nothing.
    let drops = |s: &TestSwitch| s.port_drops.values().map(|d| (d.received(), d.sent())).collect::<Vec<_>>();
    assert_eq!(drops(&s), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    s.apply(0, 3, Match::any(), vec![Action::output(PortNo::IN_PORT)]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [1]);
    s.apply(0, 4, Match::any(), vec![Action::output(PortNo::FLOOD)]);
    s.port_mut(2).config = PortConfig::NO_FLOOD;
    s.port_mut(3).config = PortConfig::empty();
    s.port_mut(3).state = PortState::BLOCKED;
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [4]);
}

#[test]
fn an_invalid_ttl_ends_the_packet_and_tells_the_controllers() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, ip(), vec![out(2), Action::DecNwTtl, out(3)]);
    let c = s.run(1, &frames::ipv4(6, 1, 2, 0, 1, 3, 4), T);
    assert_eq!(ports(&c), [2]);
    assert_eq!((c.punts[0].reason, &c.drops[..]), (R::InvalidTtl, &[DropReason::InvalidTtl][..]));
    assert_eq!(c.punts[0].frame.bytes(), frames::ipv4(6, 1, 2, 0, 1, 3, 4));
    let c = s.run(1, &frames::ipv4(6, 1, 2, 0, 2, 3, 4), T);
    assert_eq!(ports(&c), [2, 3]);
    assert_eq!(c.sent[1].2.bytes(), frames::ipv4(6, 1, 2, 0, 1, 3, 4));
}

#[test]
fn groups_of_every_type() {
    let mut s = TestSwitch::new(Version::V13);
    let edit = vec![set(F::EthDst, 9), out(3)];
    s.group(&group(1, GroupType::All, vec![vec![out(2)], edit, vec![out(4)], vec![out(1)], vec![]])).unwrap();
    s.apply(0, 1, Match::any(), vec![Action::Group(GroupId(1)), out(2)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2, 3, 4, 2]);
    assert_eq!(&c.sent[1].2.bytes()[..6], [0, 0, 0, 0, 0, 9]);
    // The other copies and what follows the group are untouched; the ingress port is spared.
    assert!(c.sent.iter().enumerate().all(|(i, s)| i == 1 || s.2.bytes() == frames::tcp()));
    assert_eq!(c.drops, [DropReason::OutputToInPort, DropReason::NoOutput]);
    let g = s.groups.get(GroupId(1)).unwrap();
    let len = frames::tcp().len() as u64;
    assert_eq!(g.counter.sum(), (1, len));
    assert!(g.buckets.iter().all(|b| b.counter.sum() == (1, len)));

    let mut ff = group(2, GroupType::FastFailover, vec![vec![out(2)], vec![out(3)]]);
    ff.buckets[0].watch_port = PortNo(2);
    ff.buckets[1].watch_port = PortNo(3);
    s.group(&ff).unwrap();
    s.apply(0, 2, Match::any(), vec![Action::Group(GroupId(2))]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2]);
    s.port_mut(2).state = PortState::LINK_DOWN;
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [3]);
    s.port_mut(3).config = PortConfig::PORT_DOWN;
    assert_eq!(s.run(1, &frames::tcp(), T).drops, [DropReason::NoBucket]);

    s.group(&group(3, GroupType::Select, vec![vec![out(3)], vec![out(4)]])).unwrap();
    s.apply(0, 3, Match::any(), vec![Action::Group(GroupId(3))]);
    for i in 0..50 {
        assert_eq!(ports(&s.run(1, &frames::ipv4(6, i, 2, 0, 64, 3, 4), T)), [4]);
    }
    s.port_mut(3).config = PortConfig::empty();
    let to_3 = (0..1000).filter(|i| ports(&s.run(1, &frames::ipv4(6, *i, 2, 0, 64, 3, 4), T)) == [3]).count();
    assert!((400..600).contains(&to_3), "{to_3}");
}

#[test]
fn chained_groups_copy_within_bounds() {
    let mut s = TestSwitch::new(Version::V13);
    s.group(&group(0, GroupType::All, vec![vec![out(2)]; 16])).unwrap();
    for i in 1..10u32 {
        s.group(&group(i, GroupType::All, vec![vec![Action::Group(GroupId(i - 1))]; 16])).unwrap();
    }
    s.apply(0, 1, Match::any(), vec![Action::Group(GroupId(9))]);
    let c = s.run(1, &frames::tcp(), T);
    assert!(c.sent.len() < MAX_STEPS as usize);
    assert!(c.drops.contains(&DropReason::TooComplex));
}

#[test]
fn meters_drop_and_remark() {
    let mut s = TestSwitch::new(Version::V13);
    let meter = |id, action| MeterMod {
        command: MeterModCommand::Add,
        flags: MeterFlags::PKTPS | MeterFlags::BURST,
        meter: MeterId(id),
        bands: vec![Band { rate: 1, burst_size: 3, action }],
    };
    s.meter(&meter(1, BandAction::Drop));
    s.flow(0, 1, Match::any(), vec![I::Meter(MeterId(1)), I::ApplyActions(vec![out(2)])]).unwrap();
    let passed = (0..10).filter(|_| !s.run(1, &frames::tcp(), T).sent.is_empty()).count();
    assert_eq!(passed, 3);
    s.meter(&meter(2, BandAction::DscpRemark { prec_level: 1 }));
    s.flow(0, 2, Match::any(), vec![I::Meter(MeterId(2)), I::ApplyActions(vec![out(2)])]).unwrap();
    let af21 = frames::ipv4(6, 1, 2, 18 << 2, 64, 3, 4);
    let af22 = frames::ipv4(6, 1, 2, 20 << 2, 64, 3, 4);
    let got: Vec<_> = (0..5).map(|_| s.run(1, &af21, T).sent[0].2.bytes().to_vec()).collect();
    assert_eq!(got, [&af21, &af21, &af21, &af22, &af22].map(Clone::clone));
    assert_eq!(s.meters.get(MeterId(2)).unwrap().charge(Writer(0), 1, 1, T), Verdict::Remark(1));
}

/// An action set is carried out, and a bucket's, whether or not something leaves by it (OpenFlow 1.5.1 §5.6, §5.6.1): what
/// shows of that is what its meter counts.
#[test]
fn a_meter_in_a_set_that_ends_nowhere_is_charged() {
    let mut s = TestSwitch::new(Version::V15);
    let band = Band { rate: 1, burst_size: 3, action: BandAction::Drop };
    let flags = MeterFlags::PKTPS | MeterFlags::BURST;
    s.meter(&MeterMod { command: MeterModCommand::Add, flags, meter: MeterId(1), bands: vec![band] });
    s.flow(0, 1, Match::any(), vec![I::WriteActions(vec![Action::Meter(MeterId(1))])]).unwrap();
    let run = |s: &TestSwitch| -> Vec<_> { (0..4).flat_map(|_| s.run(1, &frames::tcp(), T).drops).collect() };
    use DropReason::{Meter, NoOutput};
    assert_eq!(run(&s), [NoOutput, NoOutput, NoOutput, Meter]);
    s.meter(&MeterMod {
        command: MeterModCommand::Modify,
        flags,
        meter: MeterId(1),
        bands: vec![Band { rate: 1, burst_size: 3, action: BandAction::Drop }],
    });
    s.group(&group(1, GroupType::All, vec![vec![Action::Meter(MeterId(1))], vec![out(2)]])).unwrap();
    s.apply(0, 2, Match::any(), vec![Action::Group(GroupId(1))]);
    assert_eq!(run(&s), [NoOutput, NoOutput, NoOutput, Meter]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2]);
}

#[test]
fn packet_out_runs_its_list_and_may_enter_the_tables() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, Match::any().with(F::InPort, 7), vec![out(2)]);
    let c = s.packet_out(PortNo(7), &[Action::output(PortNo::TABLE), out(3)], &frames::tcp()).unwrap();
    assert_eq!(ports(&c), [2, 3]);
    let c = s.packet_out(PortNo(1), &[Action::output(PortNo::ALL)], &frames::tcp()).unwrap();
    assert_eq!(ports(&c), [2, 3, 4]);
    let c = s.packet_out(PortNo::CONTROLLER, &[Action::output(PortNo::CONTROLLER)], &frames::tcp()).unwrap();
    assert_eq!(c.punts[0].reason, R::PacketOut);
    assert_eq!(s.packet_out(PortNo(1), &[], &frames::tcp()).unwrap().drops, [DropReason::NoOutput]);
}

#[test]
fn egress_tables_see_each_output() {
    let mut s = TestSwitch::new(Version::V15);
    s.settings.first_egress = Some(TableId(4));
    s.apply(0, 1, Match::any(), vec![Action::output(PortNo::ALL)]);
    assert_eq!(s.run(1, &frames::tcp(), T).drops, [DropReason::TableMiss; 3]);
    let push = vec![Action::PushVlan(0x8100), set(F::VlanVid, 0x1003)];
    s.flow(4, 2, Match::any().with(F::ActsetOutput, 3), vec![I::ApplyActions(push)]).unwrap();
    s.flow(4, 1, Match::any().with(F::ActsetOutput, 4), vec![I::ClearActions]).unwrap();
    s.flow(4, 0, Match::any(), vec![I::GotoTable(TableId(5))]).unwrap();
    s.flow(5, 0, Match::any(), vec![]).unwrap();
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2, 3]);
    assert_eq!(c.sent[0].2.bytes(), frames::tcp());
    assert_eq!(c.sent[1].2.bytes(), frames::tagged(&frames::tcp(), 3));
    // What leaves to the controllers is the action set's, which belongs to no entry.
    s.apply(0, 2, Match::any(), vec![Action::output(PortNo::CONTROLLER)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!((c.punts[0].reason, c.punts[0].cookie), (R::ActionSet, Cookie(u64::MAX)));
    use ofproto::ErrorKind as E;
    let e = s.flow(4, 9, Match::any(), vec![I::WriteActions(vec![out(1)])]).unwrap_err();
    assert_eq!(e.kind, E::BadActionBadType);
    let e = s.flow(0, 9, Match::any(), vec![I::GotoTable(TableId(4))]).unwrap_err();
    assert_eq!(e.kind, E::BadInstructionBadTableId);
}

/// A bucket may be met on either side of the border to the egress tables.
#[test]
fn a_resubmit_across_the_border_finds_nothing() {
    let mut s = TestSwitch::new(Version::V15);
    s.settings.first_egress = Some(TableId(4));
    let to = |t| Action::Nicira(NxAction::Resubmit { in_port: PortNo::IN_PORT, table: Some(TableId(t)), ct: false });
    s.group(&group(1, GroupType::All, vec![vec![to(1)], vec![to(5)], vec![out(2)]])).unwrap();
    s.apply(0, 1, Match::any(), vec![Action::Group(GroupId(1))]);
    s.apply(1, 1, Match::any(), vec![out(3)]);
    s.flow(4, 0, Match::any(), vec![]).unwrap();
    s.apply(5, 1, Match::any(), vec![set(F::EthDst, 5)]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [3, 2]);
    // Back from there, too.
    s.group(&group(2, GroupType::All, vec![vec![to(1)]])).unwrap();
    s.apply(4, 1, Match::any(), vec![Action::Group(GroupId(2))]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [3, 2]);
    let e = s.flow(0, 2, Match::any(), vec![I::ApplyActions(vec![to(4)])]).unwrap_err();
    assert_eq!(e.kind, ofproto::ErrorKind::BadActionBadArgument);
    let e = s.flow(4, 3, Match::any(), vec![I::ApplyActions(vec![to(3)])]).unwrap_err();
    assert_eq!(e.kind, ofproto::ErrorKind::BadActionBadArgument);
    let e = s.packet_out(PortNo(1), &[to(4)], &frames::tcp()).unwrap_err();
    assert_eq!(e.kind, ofproto::ErrorKind::BadActionBadArgument);
}

#[test]
fn an_output_loop_in_egress_ends() {
    let mut s = TestSwitch::new(Version::V15);
    s.settings.first_egress = Some(TableId(4));
    s.apply(0, 1, Match::any(), vec![out(2)]);
    s.apply(4, 1, Match::any(), vec![out(3), out(4)]);
    let c = s.run(1, &frames::tcp(), T);
    assert!(c.drops.contains(&DropReason::TooComplex));
}

#[test]
fn nicira_resubmit_registers_stack_and_output_reg() {
    let mut s = TestSwitch::new(Version::V13);
    let nx = Action::Nicira;
    s.apply(
        0,
        1,
        ip(),
        vec![
            nx(NxAction::RegLoad { dst: sub(F::Reg3, 4, 8), value: 0x0b }),
            nx(NxAction::Resubmit { in_port: PortNo(99), table: Some(TableId(1)), ct: false }),
            nx(NxAction::RegLoad { dst: sub(F::Reg1, 0, 32), value: 3 }),
            nx(NxAction::StackPush(sub(F::Reg1, 0, 32))),
            nx(NxAction::StackPop(sub(F::Reg2, 0, 32))),
            nx(NxAction::OutputReg { src: sub(F::Reg2, 0, 32), max_len: 0, v2: false }),
            nx(NxAction::RegMove {
                n_bits: 32,
                src_offset: 0,
                dst_offset: 0,
                src: OxmId::of(F::Ipv4Src),
                dst: OxmId::of(F::Ipv4Dst),
            }),
            out(4),
            nx(NxAction::Exit),
            out(2),
        ],
    );
    s.apply(1, 1, Match::any().with(F::InPort, 99).with(F::Reg3, 0xb0), vec![out(2)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2, 3, 4]);
    assert_eq!(c.sent[2].2.bytes(), frames::ipv4(6, 0x0a00_0001, 0x0a00_0001, 0, 64, 1000, 80));
}

#[test]
fn resubmit_loops_end() {
    let mut s = TestSwitch::new(Version::V10);
    let again = Action::Nicira(NxAction::Resubmit { in_port: PortNo::IN_PORT, table: None, ct: false });
    s.apply(0, 1, Match::any(), vec![again.clone(), again.clone(), again]);
    let c = s.run(1, &frames::tcp(), T);
    assert!(c.drops.contains(&DropReason::TooComplex));
}

#[test]
fn clone_and_group_leave_the_packet_as_it_was() {
    let mut s = TestSwitch::new(Version::V13);
    let inner = vec![set(F::EthDst, 1), out(2), Action::Nicira(NxAction::Exit), out(4)];
    s.apply(0, 1, ip(), vec![Action::Nicira(NxAction::Clone(inner)), out(3)]);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(ports(&c), [2, 3]);
    assert_eq!(c.sent[1].2.bytes(), frames::tcp());
}

#[test]
fn learn_makes_the_flow_that_a_mac_learner_wants() {
    use ofproto::nicira::{Learn, LearnSource, LearnSpec};
    let mut s = TestSwitch::new(Version::V13);
    let learn = NxAction::Learn(Box::new(Learn {
        idle_timeout: 10,
        priority: 5,
        cookie: Cookie(7),
        flags: 1,
        specs: vec![
            LearnSpec::Match { src: LearnSource::Field(sub(F::EthSrc, 0, 48)), dst: sub(F::EthDst, 0, 48), n_bits: 48 },
            LearnSpec::Output { src: LearnSource::Field(sub(F::InPort, 0, 32)), n_bits: 32 },
        ],
        ..Learn::default()
    }));
    s.apply(0, 1, Match::any(), vec![Action::Nicira(learn), out(2)]);
    let c = s.run(3, &frames::tcp(), T);
    let [Request::Learn { flow_mod, .. }] = &c.requests[..] else { panic!("{:?}", c.requests) };
    assert_eq!(flow_mod.matching, Match::any().with(F::EthDst, 0x0200_0000_0001));
    assert_eq!(flow_mod.instructions, [I::ApplyActions(vec![out(3)])]);
    assert_eq!((flow_mod.table, flow_mod.priority, flow_mod.idle_timeout), (TableId(1), 5, 10));
    // From a controller there is no way back that a flow could take.
    let table = [Action::output(PortNo::TABLE)];
    let from = |port| s.packet_out(port, &table, &frames::tcp()).unwrap().requests.swap_remove(0);
    for port in [PortNo::CONTROLLER, PortNo::ANY] {
        let Request::Learn { flow_mod, .. } = from(port) else { panic!() };
        assert_eq!((&flow_mod.matching.fields.len(), &flow_mod.instructions[..]), (&1, &[][..]), "{port}");
    }
    let Request::Learn { flow_mod, .. } = from(PortNo::LOCAL) else { panic!() };
    assert_eq!(flow_mod.instructions, [I::ApplyActions(vec![Action::output(PortNo::LOCAL)])]);
}

#[test]
fn normal_learns_and_floods() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 0, Match::any(), vec![Action::output(PortNo::NORMAL)]);
    let to = frames::tcp();
    let mut back = to.clone();
    back[..6].copy_from_slice(&to[6..12]);
    back[6..12].copy_from_slice(&to[..6]);
    assert_eq!(ports(&s.run(1, &to, T)), [2, 3, 4]);
    assert_eq!(ports(&s.run(3, &back, T)), [1]);
    assert_eq!(ports(&s.run(1, &to, T)), [3]);
    // Another VLAN is another world.
    assert_eq!(ports(&s.run(1, &frames::tagged(&to, 9), T)), [2, 3, 4]);
}

#[test]
fn openflow_1_0_sets_vlans_on_untagged_packets() {
    let mut s = TestSwitch::new(Version::V10);
    s.apply(
        0,
        1,
        Match::any(),
        vec![Action::SetVlanVid(5), Action::Enqueue { port: PortNo(2), queue: QueueId(3) }, out(3)],
    );
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(c.sent[0].2.bytes(), frames::tagged(&frames::tcp(), 5));
    assert_eq!((c.sent[0].1, c.sent[1].1), (Some(QueueId(3)), None));
}

#[test]
fn fragments_are_dropped_when_told() {
    let mut s = TestSwitch::new(Version::V13);
    s.apply(0, 1, Match::any(), vec![out(2)]);
    let mut f = frames::tcp();
    f[20] = 0x20;
    assert_eq!(ports(&s.run(1, &f, T)), [2]);
    s.settings.drop_fragments = true;
    assert_eq!(s.run(1, &f, T).drops, [DropReason::Fragment]);
    assert_eq!(ports(&s.run(1, &frames::tcp(), T)), [2]);
}

#[test]
fn a_trace_tells_the_walk_and_changes_nothing() {
    use crate::trace::{What, trace};
    let mut s = TestSwitch::new(Version::V13);
    s.flow(0, 1, ip(), vec![I::ApplyActions(vec![set(F::EthDst, 1)]), I::GotoTable(TableId(1))]).unwrap();
    s.group(&group(1, GroupType::All, vec![vec![out(2)], vec![out(3)]])).unwrap();
    s.apply(1, 1, Match::any(), vec![Action::Group(GroupId(1))]);
    let mut packet = crate::packet::Packet::with_key(Frame::from_bytes(&frames::tcp()), TestSwitch::key(1));
    let env = Env { now: T, writer: Writer(0), normal: s.shared.normal(), dry: true };
    let t = trace(&s, env, &mut packet, Start::Received);
    assert_eq!(ports(&t.result), [2, 3]);
    let tables: Vec<u8> = t
        .steps
        .iter()
        .filter_map(|x| if let What::Lookup { table, .. } = x.what { Some(table.0) } else { None })
        .collect();
    assert_eq!(tables, [0, 1]);
    assert!(t.steps.iter().any(|x| x.what == What::Group { group: GroupId(1), bucket: Some(1) } && x.depth == 1));
    assert!(s.counters().iter().all(|c| *c == (0, 0)));
}
