//! Flow-mods, their matches, instructions and actions.

use super::{FROM_11, FROM_12, FROM_13, OLD, Table, acting, doing, flow, matching, unknown_field};
use crate::bridge::tests::add;
use bytes::Bytes;
use ofproto::Version::{self, V10, V11, V12, V13, V14, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowModCommand, FlowModFlags};
use ofproto::ids::TableId;
use ofproto::ids::{BufferId, ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId};
use ofproto::message::Message;
use ofproto::nicira::NxAction;

#[test]
fn flow_mods() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let command = |c| flow(|m| m.command = c);
        t.row("an unknown command", &all, command(FlowModCommand::Unknown(9)), E::FlowModFailedBadCommand);
        let flags = |n| flow(|m| m.flags = FlowModFlags::from_bits_retain(n));
        t.row("an undefined flag", &all, flags(0x4000), E::FlowModFailedBadFlags);
        t.row("a flag of a later version", &[V12], flags(8), E::FlowModFailedBadFlags);
        for c in [FlowModCommand::Add, FlowModCommand::Modify, FlowModCommand::ModifyStrict] {
            let table = |n| flow(|m| (m.command, m.table) = (c, TableId(n)));
            t.row("a table that isn't there", FROM_11, table(4), E::FlowModFailedBadTableId);
            t.row("every table in an add or modify", FROM_11, table(255), E::FlowModFailedBadTableId);
        }
        for c in [FlowModCommand::Delete, FlowModCommand::DeleteStrict] {
            let m = flow(|m| (m.command, m.table) = (c, TableId(200)));
            t.row("a delete in a table that isn't there", FROM_11, m, E::FlowModFailedBadTableId);
        }
        let overlapping = flow(|m| {
            (m.priority, m.flags) = (100, FlowModFlags::CHECK_OVERLAP);
            m.matching = Match::any().with(F::EthType, 0x0806);
        });
        t.row("an overlap that is checked", &all, overlapping, E::FlowModFailedOverlap);
        let emergency = |idle| flow(|m| (m.flags, m.idle_timeout) = (FlowModFlags::EMERG, idle));
        t.row("an emergency entry with a timeout", &[V10], emergency(5), E::FlowModFailedBadEmergTimeout);
        t.row("an emergency entry", &[V10], emergency(0), E::FlowModFailedAllTablesFull);
        t.row("a buffer that never was", &all, flow(|m| m.buffer_id = BufferId(77)), E::BadRequestBufferUnknown);
        for n in 10..17 {
            t.fine(Message::FlowMod(add(n, FlowModFlags::empty())));
        }
        let full = if v == V10 { E::FlowModFailedAllTablesFull } else { E::FlowModFailedTableFull };
        t.row("no room", &all, flow(|_| {}), full);
        t.end(6);
    }
}

#[test]
fn instructions() {
    for v in FROM_11.iter().copied() {
        let mut t = Table::new(v);
        let unknown = || doing(vec![I::Unknown { ty: 0x99, data: vec![0; 4].into() }]);
        t.row("an undefined type", FROM_11, unknown(), E::BadInstructionUnknownInst);
        let experimenter = ExperimenterId(0x00ab_cdef);
        let exp = || doing(vec![I::Experimenter { experimenter, data: Bytes::new() }]);
        t.row("somebody's", FROM_12, exp(), E::BadInstructionBadExperimenter);
        t.row("somebody's", &[V11], exp(), E::BadInstructionUnsupExpInst);
        for to in [0, 4, 255] {
            let m = doing(vec![I::GotoTable(TableId(to))]);
            t.row("goto itself or beyond the last table", FROM_11, m, E::BadInstructionBadTableId);
        }
        let back = flow(|m| (m.table, m.instructions) = (TableId(2), vec![I::GotoTable(TableId(1))]));
        t.row("goto backwards", FROM_11, back, E::BadInstructionBadTableId);
        let twice = doing(vec![I::GotoTable(TableId(1)), I::GotoTable(TableId(2))]);
        t.row("two of one type", FROM_11, twice, E::BadInstructionDupInst);
        t.row(
            "a meter that isn't there",
            &[V13, V14],
            doing(vec![I::Meter(MeterId(9))]),
            E::MeterModFailedUnknownMeter,
        );
        let metered = || acting(vec![Action::Meter(MeterId(9))]);
        t.row("a meter that isn't there", &[V15], metered(), E::BadActionBadMeter);
        let at = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what).unwrap();
        let clear = |bytes: &mut Vec<u8>| {
            let i = at(bytes, &[0, 4, 0, 24]);
            bytes[i + 1] = 5;
        };
        t.raw("clear-actions with actions", FROM_12, flow(|_| {}), clear, E::BadInstructionBadLen);
        let short = |bytes: &mut Vec<u8>| {
            let i = at(bytes, &[0, 1, 0, 8, 1]);
            bytes[i + 3] = 4;
        };
        t.raw("a length that can't be", FROM_12, doing(vec![I::GotoTable(TableId(1))]), short, E::BadInstructionBadLen);
        t.end(7);
    }
}

#[test]
fn actions() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        for port in [PortNo::ANY, PortNo::TABLE, PortNo(0)] {
            let to = || vec![Action::output(port)];
            t.row("an output that can't be", &all, acting(to()), E::BadActionBadOutPort);
            t.row("a set's output that can't be", FROM_11, doing(vec![I::WriteActions(to())]), E::BadActionBadOutPort);
        }
        let one = |a: Action| acting(vec![a]);
        t.row(
            "an undefined type",
            &all,
            one(Action::Unknown { ty: 0x77, data: vec![0; 4].into() }),
            E::BadActionBadType,
        );
        let experimenter = ExperimenterId(0x00ab_cdef);
        let exp = Action::Experimenter { experimenter, data: vec![0; 8].into() };
        t.row("somebody's", &all, one(exp), E::BadActionBadExperimenter);
        let exp = Action::Nicira(NxAction::Unknown { subtype: 0x7777, data: vec![0; 6].into() });
        t.row("an unknown one of somebody known", &all, one(exp), E::BadActionBadExpType);
        t.row("a group that isn't there", FROM_11, one(Action::Group(GroupId(77))), E::BadActionBadOutGroup);
        t.row("all groups", FROM_11, one(Action::Group(GroupId::ALL)), E::BadActionBadOutGroup);
        for (port, queue) in [(1, 2), (2, 1)] {
            let (port, queue) = (PortNo(port), QueueId(queue));
            let m = one(Action::Enqueue { port, queue });
            t.row("a queue that the port lacks", &[V10], m, E::BadActionBadQueue);
            let m = acting(vec![Action::SetQueue(queue), Action::output(port)]);
            t.row("a queue that the port lacks", FROM_11, m, E::BadActionBadQueue);
            let m = doing(vec![I::WriteActions(vec![Action::output(port), Action::SetQueue(queue)])]);
            t.row("a queue that the set's port lacks", FROM_11, m, E::BadActionBadQueue);
        }
        t.row("a queue that no port has", FROM_11, one(Action::SetQueue(QueueId(9))), E::BadActionBadQueue);
        t.row("a VLAN id of 13 bits", OLD, one(Action::SetVlanVid(4096)), E::BadActionBadArgument);
        t.row("a VLAN priority of 4 bits", OLD, one(Action::SetVlanPcp(8)), E::BadActionBadArgument);
        let set = |f, n: u128| one(Action::SetField(MatchField::exact(f, n)));
        t.row("ECN bits in a TOS", OLD, set(F::IpTos, 1), E::BadActionBadArgument);
        t.row("a push of what is no VLAN", FROM_11, one(Action::PushVlan(0x0800)), E::BadActionBadArgument);
        t.row("a push of what is no MPLS", FROM_11, one(Action::PushMpls(0x8100)), E::BadActionBadArgument);
        t.row("a push of what is no PBB", FROM_13, one(Action::PushPbb(0x8100)), E::BadActionBadArgument);
        t.row("a VLAN id without its present bit", FROM_12, set(F::VlanVid, 5), E::BadActionBadSetArgument);
        t.row("a field that can't be set", FROM_12, set(F::InPort, 1), E::BadActionBadSetType);
        let field = one(Action::SetUnknownField(unknown_field()));
        t.row("a field that nobody knows", FROM_12, field, E::BadActionBadSetType);
        t.row("a field that the match doesn't give", FROM_12, set(F::Ipv4Src, 1), E::BadActionMatchInconsistent);
        let ip = |a| {
            flow(|m| {
                m.matching = Match::any().with(F::EthType, 0x0800);
                m.instructions = vec![I::ApplyActions(vec![a])];
            })
        };
        let tcp = Action::SetField(MatchField::exact(F::TcpDst, 1));
        t.row("a port of packets that may not be TCP", FROM_12, ip(tcp), E::BadActionMatchInconsistent);
        let dscp = Action::SetField(MatchField::exact(F::IpDscp, 64));
        t.row("a DSCP of 7 bits", FROM_12, ip(dscp), E::BadActionBadSetArgument);
        let untagged = flow(|m| {
            m.matching = Match::any().with(F::VlanVid, 0);
            m.instructions = vec![I::ApplyActions(vec![Action::PopVlan])];
        });
        t.row("a pop of a tag that the match excludes", FROM_12, untagged, E::BadActionMatchInconsistent);
        let masked = MatchField::masked(F::EthDst, 0xff, 0xf0);
        t.row("a value bit under a 0 mask bit", &[V15], one(Action::SetField(masked)), E::BadActionBadSetMask);
        let copy = |n_bits, src_offset, src, dst| {
            one(Action::CopyField { n_bits, src_offset, dst_offset: 0, src: OxmId::of(src), dst: OxmId::of(dst) })
        };
        t.row("a copy beyond the field", &[V15], copy(48, 1, F::EthSrc, F::EthDst), E::BadActionBadSetArgument);
        t.row("a copy into a shorter field", &[V15], copy(48, 0, F::EthSrc, F::VlanPcp), E::BadActionBadSetArgument);
        t.row("a copy into the ingress port", &[V15], copy(8, 0, F::EthSrc, F::InPort), E::BadActionBadSetType);
        let length = |bytes: &mut Vec<u8>| {
            let what: &[u8] = if bytes[0] == 1 { &[0, 0, 0, 8] } else { &[0, 0, 0, 16] };
            let i = bytes.windows(4).rposition(|w| w == what).unwrap();
            bytes[i + 3] = 14;
        };
        t.raw("a length of 14", &all, flow(|_| {}), length, E::BadActionBadLen);
        t.end(10);
    }
}

#[test]
fn matches() {
    for v in FROM_12.iter().copied() {
        let mut t = Table::new(v);
        let fields =
            |list: &[(F, u128)]| matching(Match::new(list.iter().map(|(f, n)| MatchField::exact(*f, *n)).collect()));
        t.row("a field twice", FROM_12, fields(&[(F::InPort, 1), (F::InPort, 1)]), E::BadMatchDupField);
        t.row("no prerequisite", FROM_12, fields(&[(F::Ipv4Src, 1)]), E::BadMatchBadPrereq);
        let late = [(F::Ipv4Src, 1), (F::EthType, 0x800)];
        t.row("a prerequisite that comes after", FROM_12, fields(&late), E::BadMatchBadPrereq);
        let wrong = [(F::EthType, 0x86dd), (F::Ipv4Src, 1)];
        t.row("another prerequisite", FROM_12, fields(&wrong), E::BadMatchBadPrereq);
        t.row("a VLAN id of 14 bits", FROM_12, fields(&[(F::VlanVid, 0x3001)]), E::BadMatchBadValue);
        t.row("a DSCP of 7 bits", FROM_12, fields(&[(F::EthType, 0x800), (F::IpDscp, 64)]), E::BadMatchBadValue);
        let m = Match { unknown: vec![(0, unknown_field())], ..Match::any() };
        t.row("a field that nobody knows", FROM_12, matching(m), E::BadMatchBadField);
        let m = Match::new(vec![MatchField::masked(F::InPort, 1, 1)]);
        t.row("a mask where none can be", FROM_12, matching(m), E::BadMatchBadMask);
        let m = Match::new(vec![MatchField::masked(F::EthDst, 0xff, 0xf0)]);
        t.row("a value bit under a 0 mask bit", FROM_13, matching(m), E::BadMatchBadWildcards);
        let at = |bytes: &[u8]| bytes.windows(4).position(|w| w == [0x80, 0, 0, 4]).unwrap();
        let kind = |bytes: &mut Vec<u8>| {
            let i = at(bytes) - 4;
            bytes[i..i + 2].copy_from_slice(&[0, 9]);
        };
        t.raw("an undefined kind of match", FROM_12, flow(|_| {}), kind, E::BadMatchBadType);
        let length = |bytes: &mut Vec<u8>| {
            let i = at(bytes);
            bytes[i + 3] = 3;
        };
        t.raw("a field's length that isn't its own", FROM_12, flow(|_| {}), length, E::BadMatchBadLen);
        t.end(10);
    }
}
