use super::*;
use crate::clock::Time;
use crate::group::GroupTable;
use crate::meter::MeterTable;
use bytes::Bytes;
use ofproto::ErrorKind as E;
use ofproto::action::Action;
use ofproto::field::FieldId as F;
use ofproto::group::{GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, ExperimenterId, QueueId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{MatchField, OxmId, UnknownField};
use ofproto::meter::{MeterFlags, MeterMod, MeterModCommand};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::stats::FlowStat;

struct World {
    groups: GroupTable,
    meters: MeterTable,
}

fn world() -> World {
    let meters = MeterTable::new(10, 1);
    let m = MeterMod { command: MeterModCommand::Add, flags: MeterFlags::KBPS, meter: MeterId(1), bands: vec![] };
    let meters = meters.apply(&m, Time::ZERO).unwrap().0;
    let groups = GroupTable::new(10, 1, 0);
    let m = GroupMod {
        command: GroupModCommand::Add,
        ty: GroupType::All,
        group: GroupId(1),
        command_bucket: BucketId::ALL,
        buckets: vec![],
        properties: vec![],
    };
    let ctx = Context {
        version: Version::V13,
        place: Place::Bucket,
        n_tables: 10,
        tables: &[],
        first_egress: None,
        groups: &groups,
        meters: &meters,
        queues: None,
    };
    let groups = groups.apply(&m, &ctx, Time::ZERO).unwrap().0;
    World { groups, meters }
}

fn with(v: Version, m: &Match, i: &[I]) -> Result<Program, E> {
    let w = world();
    let ctx = Context {
        version: v,
        place: Place::Flow { table: TableId(3), matching: m, priority: 1 },
        n_tables: 10,
        tables: &[],
        first_egress: None,
        groups: &w.groups,
        meters: &w.meters,
        queues: None,
    };
    compile(i, &ctx).map_err(|e| e.kind)
}

fn apply(v: Version, m: &Match, a: Vec<Action>) -> Result<Program, E> {
    with(v, m, &[I::ApplyActions(a)])
}

fn code(v: Version, a: Action) -> E {
    apply(v, &Match::any(), vec![a]).unwrap_err()
}

fn set(id: F, value: u128) -> Action {
    Action::SetField(MatchField::exact(id, value))
}

const V10: Version = Version::V10;
const V13: Version = Version::V13;
const V15: Version = Version::V15;

#[test]
fn instructions_are_refused_with_the_exact_code() {
    let any = Match::any();
    let bad = |v, i: &[I]| with(v, &any, i).unwrap_err();
    assert_eq!(bad(V13, &[I::Unknown { ty: 9, data: Bytes::new() }]), E::BadInstructionUnknownInst);
    let exp = || I::Experimenter { experimenter: ExperimenterId(1), data: Bytes::new() };
    assert_eq!(bad(V13, &[exp()]), E::BadInstructionBadExperimenter);
    assert_eq!(bad(Version::V11, &[exp()]), E::BadInstructionUnsupExpInst);
    for t in [0, 3, 10, 255] {
        assert_eq!(bad(V13, &[I::GotoTable(TableId(t))]), E::BadInstructionBadTableId);
    }
    assert!(with(V13, &any, &[I::GotoTable(TableId(9))]).is_ok());
    let twice = [I::ClearActions, I::ClearActions];
    assert_eq!(bad(Version::V14, &twice), E::BadInstructionDupInst);
    assert_eq!(bad(V13, &twice), E::BadInstructionUnsupInst);
    assert_eq!(bad(V13, &[I::Meter(MeterId(2))]), E::MeterModFailedUnknownMeter);
    assert_eq!(bad(V13, &[I::Meter(MeterId::CONTROLLER)]), E::MeterModFailedUnknownMeter);
    assert_eq!(bad(V15, &[I::Meter(MeterId(1))]), E::BadInstructionUnsupInst);
    let trigger = || I::StatTrigger { flags: 1, thresholds: vec![FlowStat::PacketCount(5)] };
    assert_eq!(bad(Version::V14, &[trigger()]), E::BadInstructionUnsupInst);
    assert!(with(V15, &any, &[trigger()]).unwrap().trigger.is_some_and(|t| t.periodic));
    assert_eq!(code(V15, Action::Meter(MeterId(2))), E::BadActionBadMeter);
    assert_eq!(code(V15, Action::Meter(MeterId::SLOWPATH)), E::BadActionBadMeter);
    let p = with(V13, &any, &[I::Meter(MeterId(1))]).unwrap();
    assert_eq!(&*p.uses.meters, [MeterId(1)]);
}

#[test]
fn outputs_groups_and_queues_are_checked() {
    for port in [PortNo::ANY, PortNo::UNSET, PortNo::TABLE, PortNo(0), PortNo(0xffff_ff01)] {
        assert_eq!(code(V13, Action::output(port)), E::BadActionBadOutPort, "{port}");
    }
    let fine = [PortNo(1), PortNo(99_999), PortNo::MAX, PortNo::IN_PORT, PortNo::NORMAL, PortNo::FLOOD];
    for port in fine.into_iter().chain([PortNo::ALL, PortNo::CONTROLLER, PortNo::LOCAL]) {
        assert!(apply(V13, &Match::any(), vec![Action::output(port)]).is_ok(), "{port}");
    }
    assert_eq!(code(V13, Action::Group(GroupId(9))), E::BadActionBadOutGroup);
    assert_eq!(code(V13, Action::Group(GroupId::ALL)), E::BadActionBadOutGroup);
    assert_eq!(code(V13, Action::SetQueue(QueueId::ALL)), E::BadActionBadQueue);
    let enqueue = |port| Action::Enqueue { port, queue: QueueId(1) };
    assert_eq!(code(V10, enqueue(PortNo::FLOOD)), E::BadActionBadOutPort);
    let p = apply(V10, &Match::any(), vec![enqueue(PortNo(3)), Action::output(PortNo(2))]).unwrap();
    assert_eq!(&*p.uses.ports, [PortNo(2), PortNo(3)]);
}

#[test]
fn set_field_follows_version_match_and_earlier_actions() {
    let ip = Match::any().with(F::EthType, 0x0800);
    let tcp = ip.clone().with(F::IpProto, 6);
    assert_eq!(code(V13, set(F::Ipv4Src, 1)), E::BadActionMatchInconsistent);
    assert!(apply(V13, &ip, vec![set(F::Ipv4Src, 1)]).is_ok());
    assert_eq!(apply(V13, &ip, vec![set(F::TcpSrc, 1)]).unwrap_err(), E::BadActionMatchInconsistent);
    assert!(apply(V13, &tcp, vec![set(F::TcpSrc, 1)]).is_ok());
    assert_eq!(apply(V13, &tcp, vec![set(F::UdpSrc, 1)]).unwrap_err(), E::BadActionMatchInconsistent);
    // 1.0 sets what is there.
    assert!(apply(V10, &Match::any(), vec![set(F::Ipv4Src, 1)]).is_ok());
    // A push gives what the field needs, in a list by order, in a set by the set's order.
    let label = || set(F::MplsLabel, 5);
    assert!(apply(V13, &ip, vec![Action::PushMpls(0x8847), label()]).is_ok());
    assert_eq!(apply(V13, &ip, vec![label(), Action::PushMpls(0x8847)]).unwrap_err(), E::BadActionMatchInconsistent);
    assert!(with(V13, &ip, &[I::WriteActions(vec![label(), Action::PushMpls(0x8847)])]).is_ok());
    let pcp = || set(F::VlanPcp, 3);
    assert_eq!(code(V13, pcp()), E::BadActionMatchInconsistent);
    assert!(apply(V13, &Match::any().with(F::VlanVid, 0x1005), vec![pcp()]).is_ok());
    assert_eq!(apply(V13, &Match::any().with(F::VlanVid, 0), vec![pcp()]).unwrap_err(), E::BadActionMatchInconsistent);
    // After a pop the uncovered header may be anything that its type allows.
    let mpls = Match::any().with(F::EthType, 0x8847);
    assert!(apply(V13, &mpls, vec![Action::PopMpls(0x0800), set(F::TcpDst, 1)]).is_ok());
    assert_eq!(
        apply(V13, &mpls, vec![Action::PopMpls(0x0800), set(F::Ipv6Flabel, 1)]).unwrap_err(),
        E::BadActionMatchInconsistent
    );
    assert_eq!(apply(V13, &ip, vec![Action::PopMpls(0x0800)]).unwrap_err(), E::BadActionMatchInconsistent);
    assert_eq!(apply(V13, &mpls, vec![Action::DecNwTtl]).unwrap_err(), E::BadActionMatchInconsistent);
    assert!(apply(V13, &Match::any(), vec![Action::DecNwTtl, Action::PopVlan]).is_ok());
}

#[test]
fn values_and_masks_are_checked() {
    let tagged = Match::any().with(F::VlanVid, 0x1005);
    assert_eq!(code(V13, set(F::VlanVid, 5)), E::BadActionBadSetArgument);
    assert_eq!(code(V13, set(F::VlanVid, 0x3005)), E::BadActionBadSetArgument);
    assert_eq!(apply(V13, &tagged, vec![set(F::VlanPcp, 8)]).unwrap_err(), E::BadActionBadSetArgument);
    for f in [F::InPort, F::InPhyPort, F::Ipv6Exthdr, F::Metadata, F::ActsetOutput, F::PacketType, F::CtMark] {
        assert_eq!(code(V13, set(f, 1)), E::BadActionBadSetType, "{f:?}");
    }
    assert!(apply(V15, &Match::any(), vec![set(F::Metadata, 1)]).is_ok());
    let unknown = UnknownField { class: 0x8000, field: 99, has_mask: false, experimenter: None, payload: Bytes::new() };
    assert_eq!(code(V13, Action::SetUnknownField(unknown)), E::BadActionBadSetType);
    let masked = |value, mask| Action::SetField(MatchField::masked(F::EthDst, value, mask));
    assert_eq!(code(V13, masked(1, 1)), E::BadActionBadSetType);
    assert!(apply(V15, &Match::any(), vec![masked(1, 1)]).is_ok());
    assert_eq!(code(V15, masked(3, 1)), E::BadActionBadSetMask);
    let vid = Action::SetField(MatchField::masked(F::VlanVid, 0x1001, 0x0fff));
    assert_eq!(code(V15, vid), E::BadActionBadSetMask);
    assert_eq!(code(V10, Action::SetVlanVid(4096)), E::BadActionBadArgument);
    assert_eq!(code(V10, Action::SetVlanPcp(8)), E::BadActionBadArgument);
    assert_eq!(code(V10, set(F::IpTos, 3)), E::BadActionBadArgument);
    assert_eq!(code(V13, Action::PushVlan(0x0800)), E::BadActionBadArgument);
    assert_eq!(code(V13, Action::PushMpls(0x8100)), E::BadActionBadArgument);
    assert_eq!(code(V13, Action::PushPbb(0x8100)), E::BadActionBadArgument);
}

#[test]
fn copy_field_and_register_moves_stay_within_their_fields() {
    let copy = |n_bits, src_offset, dst_offset, src, dst| Action::CopyField {
        n_bits,
        src_offset,
        dst_offset,
        src: OxmId::of(src),
        dst: OxmId::of(dst),
    };
    assert!(apply(V15, &Match::any(), vec![copy(32, 0, 32, F::InPort, F::Metadata)]).is_ok());
    assert_eq!(code(V15, copy(33, 0, 0, F::InPort, F::Metadata)), E::BadActionBadSetArgument);
    assert_eq!(code(V15, copy(32, 0, 33, F::InPort, F::Metadata)), E::BadActionBadSetArgument);
    assert_eq!(code(V15, copy(0, 0, 0, F::InPort, F::Metadata)), E::BadActionBadSetArgument);
    assert_eq!(code(V15, copy(1, 0, 0, F::InPort, F::Ipv6Exthdr)), E::BadActionMatchInconsistent);
    assert_eq!(code(V15, copy(1, 0, 0, F::Metadata, F::InPort)), E::BadActionBadSetType);
    let load = |offset, n_bits, value| {
        Action::Nicira(NxAction::RegLoad { dst: Subfield { field: OxmId::of(F::Reg0), offset, n_bits }, value })
    };
    assert!(apply(V13, &Match::any(), vec![load(4, 4, 15)]).is_ok());
    assert_eq!(code(V13, load(4, 4, 16)), E::BadActionBadArgument);
    assert_eq!(code(V13, load(30, 4, 1)), E::BadActionBadArgument);
}

#[test]
fn what_a_popped_tag_gave_may_still_be_set() {
    let pcp = set(F::VlanPcp, 5);
    let tagged = Match::any().with(F::VlanVid, 0x1005);
    // The match has what the field needs, and a second tag may be there (1.3.5 §7.2.5).
    assert!(apply(V13, &tagged, vec![Action::PopVlan, pcp.clone()]).is_ok());
    assert!(apply(V13, &tagged, vec![Action::PopVlan, Action::PopVlan, pcp.clone()]).is_ok());
    // Of these it isn't said that there was one.
    let refused = |m: &Match, list| apply(V13, m, list).unwrap_err();
    assert_eq!(refused(&Match::any(), vec![Action::PopVlan, pcp.clone()]), E::BadActionMatchInconsistent);
    assert_eq!(refused(&Match::any().with(F::VlanVid, 0), vec![pcp]), E::BadActionMatchInconsistent);
}

#[test]
fn what_is_not_supported_is_refused() {
    let exp = Action::Experimenter { experimenter: ExperimenterId(7), data: Bytes::new() };
    assert_eq!(code(V13, exp), E::BadActionBadExperimenter);
    assert_eq!(code(V13, Action::Unknown { ty: 99, data: Bytes::new() }), E::BadActionBadType);
    let nx = [NxAction::CtClear, NxAction::DecNshTtl, NxAction::Unknown { subtype: 999, data: Bytes::new() }];
    for a in nx {
        assert_eq!(code(V13, Action::Nicira(a)), E::BadActionBadExpType);
    }
    let resubmit = Action::Nicira(NxAction::Resubmit { in_port: PortNo::IN_PORT, table: Some(TableId(5)), ct: false });
    assert!(apply(V13, &Match::any(), vec![resubmit.clone()]).is_ok());
    assert!(with(V13, &Match::any(), &[I::WriteActions(vec![resubmit])]).is_ok());
    let exit = Action::Nicira(NxAction::Exit);
    assert_eq!(with(V13, &Match::any(), &[I::WriteActions(vec![exit])]).unwrap_err(), E::BadActionBadType);
    let mut deep = vec![Action::output(PortNo(1))];
    for _ in 0..20 {
        deep = vec![Action::Nicira(NxAction::Clone(deep))];
    }
    assert_eq!(apply(V13, &Match::any(), deep).unwrap_err(), E::BadActionTooMany);
    assert_eq!(apply(V13, &Match::any(), vec![Action::PopVlan; 9000]).unwrap_err(), E::BadActionTooMany);
}

#[test]
fn conjunctions_stand_alone() {
    let part = |clause, n_clauses| Action::Nicira(NxAction::Conjunction { clause, n_clauses, id: 7 });
    let note = Action::Nicira(NxAction::Note(Bytes::from_static(b"why")));
    let p = apply(V13, &Match::any(), vec![part(1, 2), note, part(1, 2), part(0, 3)]).unwrap();
    let found: Vec<_> = p.conjunctions.iter().map(|c| (c.id, c.n_clauses, c.clause)).collect();
    assert_eq!(found, [(7, 2, 1), (7, 3, 0)]);
    for bad in [vec![part(2, 2)], vec![part(0, 1)], vec![part(0, 65)], vec![part(0, 2), Action::output(PortNo(1))]] {
        assert_eq!(apply(V13, &Match::any(), bad).unwrap_err(), E::BadActionBadArgument);
    }
    let clone = Action::Nicira(NxAction::Clone(vec![part(0, 2)]));
    assert_eq!(apply(V13, &Match::any(), vec![clone]).unwrap_err(), E::BadActionBadArgument);
    let written = with(V13, &Match::any(), &[I::WriteActions(vec![part(0, 2)])]).unwrap_err();
    assert_eq!(written, E::BadActionBadArgument);
    let beside = [I::ApplyActions(vec![part(0, 2)]), I::ClearActions];
    assert_eq!(with(V13, &Match::any(), &beside).unwrap_err(), E::BadActionBadArgument);
}

#[test]
fn the_later_of_two_set_actions_of_a_kind_counts() {
    let list = vec![Action::output(PortNo(1)), set(F::EthDst, 1), set(F::EthDst, 2), Action::output(PortNo(2))];
    let p = with(V13, &Match::any(), &[I::WriteActions(list)]).unwrap();
    let ops: Vec<&Op> = p.write.iter().map(|s| &s.op).collect();
    assert!(matches!(ops[..], [Op::Output { port: PortNo(2), .. }, Op::Set { value: 2, .. }]), "{ops:?}");
}
