//! The specification's error conditions, one row each: what a controller asks, in which versions, and the
//! error that answers it (OpenFlow 1.5.1 §7.5.4 and its predecessors). A refused request changes nothing.
//!
//! Requests go through the wire and the whole switch. The expected kind is compared by its wire numbers, so
//! that versions without a code of their own are compared by their nearest one.

use super::Instance;
use super::tests::{Bench, add, group};
use crate::ports::PortEvent;
use crate::queues::Queue;
use bytes::Bytes;
use ofproto::Version::{self, V10, V11, V12, V13, V14, V15};
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::group::{Bucket, ExperimenterProp, GroupMod, GroupModCommand, GroupType, OtherProp, UnknownProp};
use ofproto::ids::{BucketId, BufferId, ExperimenterId, GroupId, MacAddr, MeterId, MonitorId, PortNo, QueueId};
use ofproto::ids::{TableId, Xid};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, MatchField, OxmId, UnknownField};
use ofproto::message::{ErrorMsg, Experimenter, Message, Multipart, MultipartRequest, SwitchConfig};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::monitor::{FlowMonitorRequest, MonitorCommand, MonitorFlags};
use ofproto::nicira::NxAction;
use ofproto::packet::PacketOut;
use ofproto::port::{PortConfig, PortFeatures, PortMod, PortModProp};
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::FlowStatsRequest;
use ofproto::table::{TableConfig, TableFeatureProp, TableFeatures, TableMod, TableModProp};
use ofproto::wire;

const FROM_11: &[Version] = &[V11, V12, V13, V14, V15];
const FROM_12: &[Version] = &[V12, V13, V14, V15];
const FROM_13: &[Version] = &[V13, V14, V15];
const FROM_14: &[Version] = &[V14, V15];
const OLD: &[Version] = &[V10, V11];

struct Table {
    bench: Bench,
    version: Version,
    conn: crate::session::ConnId,
    rows: usize,
    wrong: Vec<String>,
}

impl Table {
    /// A switch with ports 1 to 3, queue 1 on port 1, and in versions that have them groups 1 (an output), 2
    /// (names 1), 3 (select), 4 (indirect), meter 1; one flow.
    fn new(version: Version) -> Self {
        let mut bench = Bench::new();
        let queue = Queue { id: QueueId(1), min: None, max: None, speed: 1 };
        bench.hub.switch.port_event(bench.now, PortEvent::Queues(PortNo(1), vec![queue]));
        let conn = bench.connect(version);
        let mut t = Self { bench, version, conn, rows: 0, wrong: Vec::new() };
        t.fine(Message::FlowMod(FlowMod { priority: 100, ..add(1, FlowModFlags::empty()) }));
        if version >= V11 {
            t.fine(group(1));
            t.fine(groups(2, GroupType::All, vec![Bucket::new(vec![Action::Group(GroupId(1))])]));
            t.fine(groups(3, GroupType::Select, vec![Bucket { weight: 1, ..out(1) }]));
            t.fine(groups(4, GroupType::Indirect, vec![out(1)]));
        }
        if version >= V13 {
            t.fine(meter(MeterModCommand::Add, 1, MeterFlags::KBPS, vec![band(BandAction::Drop)]));
        }
        t
    }

    fn fine(&mut self, m: Message) {
        self.bench.say(self.conn, self.version, 1, &m);
        let said = self.bench.hear(self.conn);
        assert!(!said.iter().any(|(_, m)| matches!(m, Message::Error(_))), "{} {m:?}: {said:?}", self.version);
    }

    fn row(&mut self, what: &str, versions: &[Version], m: Message, expected: E) {
        if versions.contains(&self.version) {
            let bytes = wire::encode(self.version, Xid(99), &m).unwrap_or_else(|e| panic!("{what}: {e}"));
            self.judge(what, &bytes, expected);
        }
    }

    /// As `row`, with bytes of the message changed.
    fn raw(&mut self, what: &str, versions: &[Version], m: Message, patch: impl Fn(&mut Vec<u8>), expected: E) {
        if versions.contains(&self.version) {
            let mut bytes = wire::encode(self.version, Xid(99), &m).unwrap();
            patch(&mut bytes);
            self.judge(what, &bytes, expected);
        }
    }

    fn judge(&mut self, what: &str, bytes: &[u8], expected: E) {
        self.rows += 1;
        let before = self.state();
        self.bench.bytes(self.conn, bytes);
        let said = self.bench.hear(self.conn);
        let wanted = ErrorMsg::of(expected, self.version, &[]);
        let wanted = (wanted.ty, wanted.code);
        let errors: Vec<_> = said
            .iter()
            .filter_map(|(h, m)| if let Message::Error(e) = m { Some((h.xid, (e.ty, e.code), e)) } else { None })
            .collect();
        match &errors[..] {
            [(xid, got, e)] if *xid == Xid(99) && said.len() == 1 => {
                if *got != wanted {
                    let got = e.kind(self.version);
                    self.wrong.push(format!("{} {what}: {got:?}, not {expected:?}", self.version));
                } else if e.data[..] != bytes[..bytes.len().min(e.data.len())] || e.data.len() < bytes.len().min(64) {
                    self.wrong.push(format!("{} {what}: the error doesn't hold the request", self.version));
                }
            }
            _ => self.wrong.push(format!("{} {what}: {said:?} instead of {expected:?}", self.version)),
        }
        if self.state() != before {
            self.wrong.push(format!("{} {what}: refused, and something changed", self.version));
        }
    }

    fn state(&mut self) -> String {
        let s = &mut self.bench.hub.switch;
        let groups = s.control_mut().group_desc(GroupId::ALL).unwrap();
        let meters = s.control_mut().meter_config(MeterId::ALL).unwrap();
        let (tables, ports) = (s.control_mut().table_desc(), s.control_mut().port_descs());
        let mut flows = self.bench.flows(self.conn, self.version);
        for f in &mut flows {
            f.stats = Default::default();
        }
        format!("{flows:?} {groups:?} {meters:?} {tables:?} {ports:?}")
    }

    fn end(self, least: usize) {
        assert!(self.wrong.is_empty(), "\n{}", self.wrong.join("\n"));
        assert!(self.rows >= least, "{} rows in OpenFlow {}", self.rows, self.version);
    }
}

fn out(port: u32) -> Bucket {
    Bucket::new(vec![Action::output(PortNo(port))])
}

fn groups(id: u32, ty: GroupType, buckets: Vec<Bucket>) -> Message {
    change(GroupModCommand::Add, id, ty, buckets)
}

fn change(command: GroupModCommand, id: u32, ty: GroupType, buckets: Vec<Bucket>) -> Message {
    let command_bucket = BucketId::ALL;
    Message::GroupMod(GroupMod { command, ty, group: GroupId(id), command_bucket, buckets, properties: Vec::new() })
}

fn buckets(command: GroupModCommand, id: u32, at: u32, buckets: Vec<Bucket>) -> Message {
    let (group, ty) = (GroupId(id), GroupType::All);
    let command_bucket = BucketId(at);
    Message::GroupMod(GroupMod { command, ty, group, command_bucket, buckets, properties: Vec::new() })
}

fn band(action: BandAction) -> Band {
    Band { rate: 1000, burst_size: 0, action }
}

fn meter(command: MeterModCommand, id: u32, flags: MeterFlags, bands: Vec<Band>) -> Message {
    Message::MeterMod(MeterMod { command, flags, meter: MeterId(id), bands })
}

fn flow(f: impl FnOnce(&mut FlowMod)) -> Message {
    let mut m = FlowMod { priority: 7, ..add(3, FlowModFlags::empty()) };
    f(&mut m);
    Message::FlowMod(m)
}

fn doing(instructions: Vec<I>) -> Message {
    flow(|m| m.instructions = instructions)
}

fn acting(actions: Vec<Action>) -> Message {
    doing(vec![I::ApplyActions(actions)])
}

fn matching(m: Match) -> Message {
    flow(|f| f.matching = m)
}

fn ask(body: MultipartRequest) -> Message {
    Message::MultipartRequest(Multipart::last(body))
}

fn packet(in_port: u32, actions: Vec<Action>) -> Message {
    Message::PacketOut(PacketOut {
        buffer_id: BufferId::NONE,
        matching: Match::any().with(F::InPort, in_port.into()),
        actions,
        data: Bytes::from_static(&[0; 60]),
    })
}

fn unknown_field() -> UnknownField {
    UnknownField { class: 0x8000, field: 0x70, has_mask: false, experimenter: None, payload: vec![0; 4].into() }
}

fn unknown_prop() -> OtherProp {
    OtherProp::Unknown(UnknownProp { ty: 0x77, data: vec![0; 4].into() })
}

fn experimenter_prop() -> OtherProp {
    let experimenter = ExperimenterId(0x00ab_cdef);
    OtherProp::Experimenter(ExperimenterProp { ty: 0xffff, experimenter, exp_type: 1, data: Bytes::new() })
}

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

#[test]
fn group_mods() {
    use GroupModCommand as C;
    use GroupType::{All, FastFailover, Indirect, Select, Unknown};
    for v in FROM_11.iter().copied() {
        let mut t = Table::new(v);
        t.row("one that is there", FROM_11, groups(1, All, vec![out(1)]), E::GroupModFailedGroupExists);
        t.row("a modify of none", FROM_11, change(C::Modify, 9, All, vec![out(1)]), E::GroupModFailedUnknownGroup);
        t.row("a reserved id", FROM_11, groups(0xffff_ff01, All, vec![]), E::GroupModFailedInvalidGroup);
        t.row(
            "a delete of a reserved id",
            FROM_11,
            change(C::Delete, 0xffff_ff01, All, vec![]),
            E::GroupModFailedInvalidGroup,
        );
        t.row(
            "a delete of any",
            FROM_11,
            change(C::Delete, GroupId::ANY.0, All, vec![]),
            E::GroupModFailedInvalidGroup,
        );
        t.row("an indirect one without bucket", FROM_11, groups(9, Indirect, vec![]), E::GroupModFailedInvalidGroup);
        let two = || vec![out(1), out(2)];
        t.row("an indirect one with two buckets", FROM_11, groups(9, Indirect, two()), E::GroupModFailedInvalidGroup);
        t.row("an undefined type", FROM_11, groups(9, Unknown(77), vec![]), E::GroupModFailedBadType);
        t.row("an undefined command", FROM_11, change(C::Unknown(77), 9, All, vec![]), E::GroupModFailedBadCommand);
        let heavy = || vec![Bucket { weight: 5, ..out(1) }];
        t.row("a weight where nothing is selected", FROM_13, groups(9, All, heavy()), E::GroupModFailedInvalidGroup);
        if v < V13 {
            t.fine(groups(99, All, heavy()));
            t.fine(change(C::Delete, 99, All, vec![]));
        }
        t.row("a delete with buckets", FROM_13, change(C::Delete, 2, All, two()), E::GroupModFailedInvalidGroup);
        t.row(
            "a delete of one that another names",
            FROM_12,
            change(C::Delete, 1, All, vec![]),
            E::GroupModFailedChainedGroup,
        );
        let names = |g| vec![Bucket::new(vec![Action::Group(GroupId(g))])];
        t.row("a loop", FROM_11, change(C::Modify, 1, All, names(2)), E::GroupModFailedLoop);
        t.row("a loop of one", FROM_11, groups(9, All, names(9)), E::GroupModFailedLoop);
        t.row("a bucket to a group that isn't there", FROM_11, groups(9, All, names(77)), E::BadActionBadOutGroup);
        t.row("a bucket to nowhere", FROM_11, groups(9, All, vec![out(0)]), E::BadActionBadOutPort);
        t.row("a bucket to a table", FROM_11, groups(9, All, vec![out(PortNo::TABLE.0)]), E::BadActionBadOutPort);
        let queued = vec![Bucket::new(vec![Action::SetQueue(QueueId(1)), Action::output(PortNo(2))])];
        t.row("a bucket's queue that its port lacks", FROM_11, groups(9, All, queued), E::BadActionBadQueue);
        let unknown = Bucket::new(vec![Action::Unknown { ty: 0x77, data: vec![0; 4].into() }]);
        t.row("a bucket's undefined action", FROM_11, groups(9, All, vec![unknown]), E::BadActionBadType);
        let watch = |port, group| vec![Bucket { watch_port: port, watch_group: group, ..out(1) }];
        let reserved = groups(9, FastFailover, watch(PortNo::FLOOD, GroupId::ANY));
        t.row("a watch on no port", FROM_12, reserved, E::GroupModFailedBadWatch);
        let none = groups(9, FastFailover, watch(PortNo::ANY, GroupId(77)));
        t.row("a watch on no group", FROM_12, none, E::GroupModFailedBadWatch);
        let own = groups(9, FastFailover, watch(PortNo::ANY, GroupId(9)));
        t.row("a watch on itself", FROM_11, own, E::GroupModFailedLoop);
        if v >= V15 {
            let at = |id: u32| Bucket { id: Some(BucketId(id)), ..out(1) };
            let only = &[V15];
            t.row("an id twice", only, groups(9, All, vec![at(1), at(1)]), E::GroupModFailedBucketExists);
            t.row("a reserved bucket id", only, groups(9, All, vec![at(BucketId::LAST.0)]), E::GroupModFailedBadBucket);
            let insert = |g, place, id| buckets(C::InsertBucket, g, place, vec![at(id)]);
            let last = BucketId::LAST.0;
            t.row("an insert into no group", only, insert(77, last, 5), E::GroupModFailedUnknownGroup);
            t.row("an insert after no bucket", only, insert(1, 55, 5), E::GroupModFailedUnknownBucket);
            t.row("an insert of an id that is there", only, insert(1, last, 0), E::GroupModFailedBucketExists);
            t.row("a second bucket of an indirect one", only, insert(4, last, 5), E::GroupModFailedInvalidGroup);
            let remove = |g, place| buckets(C::RemoveBucket, g, place, vec![]);
            t.row("a remove from no group", only, remove(77, last), E::GroupModFailedUnknownGroup);
            t.row("a remove of no bucket", only, remove(1, 55), E::GroupModFailedUnknownBucket);
            t.row("the last bucket of an indirect one", only, remove(4, last), E::GroupModFailedInvalidGroup);
            t.fine(groups(8, All, vec![]));
            t.row("a remove from an empty group", only, remove(8, BucketId::FIRST.0), E::GroupModFailedUnknownBucket);
            let with = |p: OtherProp| Bucket { other: vec![p], ..at(1) };
            t.row(
                "a bucket's undefined property",
                only,
                groups(9, All, vec![with(unknown_prop())]),
                E::BadPropertyBadType,
            );
            let m = groups(9, All, vec![with(experimenter_prop())]);
            t.row("a bucket's property of somebody", only, m, E::BadPropertyBadExperimenter);
        }
        for n in 1000..1500 {
            if t.bench.hub.switch.control_mut().group_desc(GroupId::ALL).unwrap().len() < 1000 {
                t.bench.say(t.conn, v, 1, &groups(n, Select, vec![]));
            }
        }
        t.bench.hear(t.conn);
        t.row("no room", FROM_11, groups(5000, Select, vec![]), E::GroupModFailedOutOfGroups);
        t.end(18);
    }
}

#[test]
fn meter_mods() {
    use MeterModCommand as C;
    for v in FROM_13.iter().copied() {
        let mut t = Table::new(v);
        let (kbps, drop) = (MeterFlags::KBPS, || vec![band(BandAction::Drop)]);
        t.row("one that is there", FROM_13, meter(C::Add, 1, kbps, drop()), E::MeterModFailedMeterExists);
        t.row("a modify of none", FROM_13, meter(C::Modify, 9, kbps, drop()), E::MeterModFailedUnknownMeter);
        for id in [0, MeterId::MAX.0 + 1, MeterId::ALL.0] {
            t.row("a reserved id", FROM_13, meter(C::Add, id, kbps, drop()), E::MeterModFailedInvalidMeter);
        }
        t.row("an undefined command", FROM_13, meter(C::Unknown(9), 9, kbps, drop()), E::MeterModFailedBadCommand);
        let undefined = MeterFlags::from_bits_retain(0x11);
        t.row("an undefined flag", FROM_13, meter(C::Add, 9, undefined, drop()), E::MeterModFailedBadFlags);
        let both = MeterFlags::KBPS | MeterFlags::PKTPS;
        t.row("two units", FROM_13, meter(C::Add, 9, both, drop()), E::MeterModFailedBadFlags);
        let of = |action| meter(C::Add, 9, kbps, vec![band(action)]);
        t.row(
            "an undefined band",
            FROM_13,
            of(BandAction::Unknown { ty: 9, data: vec![0; 4].into() }),
            E::MeterModFailedBadBand,
        );
        let experimenter = ExperimenterId(0x00ab_cdef);
        t.row(
            "somebody's band",
            FROM_13,
            of(BandAction::Experimenter { experimenter, data: Bytes::new() }),
            E::MeterModFailedBadBand,
        );
        t.row(
            "a precedence that can't be",
            FROM_13,
            of(BandAction::DscpRemark { prec_level: 9 }),
            E::MeterModFailedBadBandValue,
        );
        let none = meter(C::Add, 9, kbps, vec![Band { rate: 0, ..band(BandAction::Drop) }]);
        t.row("a rate of nothing", FROM_13, none, E::MeterModFailedBadRate);
        let many = meter(C::Add, 9, kbps, vec![band(BandAction::Drop); 17]);
        t.row("too many bands", FROM_13, many, E::MeterModFailedOutOfBands);
        t.end(13);
    }
}

#[test]
fn port_table_and_config() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let port = |f: &dyn Fn(&mut PortMod)| {
            let mut m = PortMod {
                port_no: PortNo(1),
                hw_addr: MacAddr([2, 0, 0, 0, 0, 1]),
                config: PortConfig::empty(),
                mask: PortConfig::empty(),
                properties: Vec::new(),
            };
            f(&mut m);
            Message::PortMod(m)
        };
        t.row("a port that isn't there", &all, port(&|m| m.port_no = PortNo(77)), E::PortModFailedBadPort);
        t.row("every port", &all, port(&|m| m.port_no = PortNo::ALL), E::PortModFailedBadPort);
        t.row("another address", &all, port(&|m| m.hw_addr = MacAddr([2; 6])), E::PortModFailedBadHwAddr);
        let bit = PortConfig::from_bits_retain(1 << 1);
        t.row("an undefined bit", FROM_11, port(&|m| (m.config, m.mask) = (bit, bit)), E::PortModFailedBadConfig);
        t.row("an undefined bit of the mask", FROM_11, port(&|m| m.mask = bit), E::PortModFailedBadConfig);
        let advertise =
            |bits| port(&|m| m.properties = vec![PortModProp::Ethernet(PortFeatures::from_bits_retain(bits))]);
        t.row("an undefined feature", FROM_11, advertise(1 << 16), E::PortModFailedBadAdvertise);
        let prop = |p: OtherProp| port(&|m| m.properties = vec![PortModProp::Other(p.clone())]);
        t.row("an undefined property", FROM_14, prop(unknown_prop()), E::BadPropertyBadType);
        t.row("somebody's property", FROM_14, prop(experimenter_prop()), E::BadPropertyBadExperimenter);
        let optical = port(&|m| m.properties = vec![PortModProp::Optical(Default::default())]);
        t.row("light for a port without", FROM_14, optical, E::BadPropertyBadType);

        let table = |table, bits, properties| {
            Message::TableMod(TableMod {
                table: TableId(table),
                config: TableConfig::from_bits_retain(bits),
                properties,
            })
        };
        t.row("a table that isn't there", FROM_11, table(4, 0, vec![]), E::TableModFailedBadTable);
        t.row("an undefined bit", FROM_11, table(0, 1 << 5, vec![]), E::TableModFailedBadConfig);
        t.row("a miss that can't be", &[V11, V12], table(0, 3, vec![]), E::TableModFailedBadConfig);
        t.row("a bit of a later version", &[V11, V12, V13], table(0, 4, vec![]), E::TableModFailedBadConfig);
        let vacancy = |down, up| TableModProp::Vacancy { down, up, vacancy: 0 };
        t.row("vacancy upside down", FROM_14, table(0, 8, vec![vacancy(60, 40)]), E::BadPropertyBadValue);
        t.row("more than all is free", FROM_14, table(0, 8, vec![vacancy(60, 101)]), E::BadPropertyBadValue);
        let twice = vec![vacancy(1, 2), vacancy(1, 2)];
        t.row("a property twice", FROM_14, table(0, 8, twice), E::BadPropertyDupType);
        t.row(
            "an undefined property",
            FROM_14,
            table(0, 0, vec![TableModProp::Other(unknown_prop())]),
            E::BadPropertyBadType,
        );
        let theirs = vec![TableModProp::Other(experimenter_prop())];
        t.row("somebody's property", FROM_14, table(0, 0, theirs), E::BadPropertyBadExperimenter);

        let config = |flags| Message::SetConfig(SwitchConfig { flags, miss_send_len: 128 });
        t.row("an undefined flag", &all, config(1 << 4), E::SwitchConfigFailedBadFlags);
        t.row("reassembly", &all, config(2), E::SwitchConfigFailedBadFlags);
        t.row("two ways to treat fragments", &all, config(3), E::SwitchConfigFailedBadFlags);
        t.row("a flag that ended with 1.2", FROM_13, config(4), E::SwitchConfigFailedBadFlags);
        t.end(6);
    }
}

#[test]
fn packet_outs() {
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let to = |port| vec![Action::output(PortNo(port))];
        let with = |f: &dyn Fn(&mut PacketOut)| {
            let Message::PacketOut(mut m) = packet(1, to(2)) else { unreachable!() };
            f(&mut m);
            Message::PacketOut(m)
        };
        let buffered = with(&|m| (m.buffer_id, m.data) = (BufferId(77), Bytes::new()));
        t.row("a buffer that never was", &all, buffered, E::BadRequestBufferUnknown);
        t.row("an ingress port that can't be", FROM_12, packet(PortNo::FLOOD.0, to(2)), E::BadRequestBadPort);
        t.row("an ingress port that isn't there", FROM_12, packet(77, to(2)), E::BadRequestBadPort);
        t.row("one byte", FROM_12, with(&|m| m.data = vec![0].into()), E::BadRequestBadPacket);
        t.row("an output that can't be", &all, packet(1, to(PortNo::ANY.0)), E::BadActionBadOutPort);
        let unknown = vec![Action::Unknown { ty: 0x77, data: vec![0; 4].into() }];
        t.row("an undefined action", &all, packet(1, unknown), E::BadActionBadType);
        t.row("a group that isn't there", FROM_11, packet(1, vec![Action::Group(GroupId(9))]), E::BadActionBadOutGroup);
        let queued = vec![Action::SetQueue(QueueId(1)), Action::output(PortNo(2))];
        t.row("a queue that isn't there", FROM_11, packet(1, queued), E::BadActionBadQueue);
        let queued = vec![Action::Enqueue { port: PortNo(2), queue: QueueId(1) }];
        t.row("a queue that isn't there", &[V10], packet(1, queued), E::BadActionBadQueue);
        let header = with(&|m| m.matching = m.matching.clone().with(F::EthType, 0x800));
        t.row("a header field", &[V15], header, E::BadRequestPipelineFieldsOnly);
        t.row("no ingress port", &[V15], with(&|m| m.matching = Match::any()), E::BadRequestBadPort);
        t.row("a meter that isn't there", &[V15], packet(1, vec![Action::Meter(MeterId(9))]), E::BadActionBadMeter);
        t.end(4);
    }
}

#[test]
fn multiparts_and_others() {
    use MultipartRequest as M;
    for v in Version::ALL {
        let mut t = Table::new(v);
        let all = Version::ALL;
        let flows = |table| FlowStatsRequest { table: TableId(table), ..FlowStatsRequest::default() };
        t.row("flows of a table that isn't there", FROM_11, ask(M::Flow(flows(9))), E::BadRequestBadTableId);
        t.row("a sum of a table that isn't there", FROM_11, ask(M::Aggregate(flows(9))), E::BadRequestBadTableId);
        t.row("statistics of a port that isn't there", FROM_12, ask(M::PortStats(PortNo(9))), E::BadRequestBadPort);
        t.row("a port that isn't there", &[V15], ask(M::PortDesc(PortNo(9))), E::BadRequestBadPort);
        t.row("statistics of no group", FROM_11, ask(M::Group(GroupId(9))), E::GroupModFailedUnknownGroup);
        t.row("statistics of no meter", FROM_13, ask(M::Meter(MeterId(9))), E::MeterModFailedUnknownMeter);
        t.row("configuration of no meter", FROM_13, ask(M::MeterConfig(MeterId(9))), E::MeterModFailedUnknownMeter);
        let queue = |port, queue| ask(M::Queue { port: PortNo(port), queue: QueueId(queue) });
        t.row("queues of a port that isn't there", &all, queue(9, 1), E::QueueOpFailedBadPort);
        t.row("a queue that isn't there", &all, queue(1, 9), E::QueueOpFailedBadQueue);
        t.row("a queue of another port", &all, queue(2, 1), E::QueueOpFailedBadQueue);
        let queue = M::QueueDesc { port: PortNo(9), queue: QueueId::ALL };
        t.row("descriptions of no port's queues", FROM_14, ask(queue), E::QueueOpFailedBadPort);
        let get = Message::QueueGetConfigRequest(PortNo(9));
        t.row("queues of a port that isn't there", &[V10, V11, V12, V13], get, E::QueueOpFailedBadPort);
        let unknown = M::Unknown { ty: 0x7777, body: Bytes::new() };
        t.row("an undefined multipart", &all, ask(unknown), E::BadRequestBadMultipart);
        let experimenter = ExperimenterId(0x00ab_cdef);
        let exp = || Experimenter { experimenter, exp_type: (v > V10).then_some(1), data: Bytes::new() };
        t.row("somebody's message", FROM_11, Message::Experimenter(exp()), E::BadRequestBadExperimenter);
        let kind = |bytes: &mut Vec<u8>| bytes[1] = 250;
        t.raw("an undefined type", &all, Message::BarrierRequest, kind, E::BadRequestBadType);
        t.row("what only a switch sends", &all, Message::BarrierReply, E::BadRequestBadType);

        let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
        t.row("an undefined role", FROM_12, role(Role::Unknown(9), 0), E::RoleRequestFailedBadRole);
        if v >= V12 {
            t.fine(role(Role::Master, 5));
            t.row("an old generation", FROM_12, role(Role::Master, 4), E::RoleRequestFailedStale);
        }
        let mask = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 1 << 30 };
        let m = Message::SetAsync(AsyncConfig { props: vec![mask] });
        t.row("an undefined reason", FROM_14, m, E::AsyncConfigFailedInvalid);
        let m = Message::SetAsync(AsyncConfig { props: vec![AsyncProp::Other(unknown_prop())] });
        t.row("an undefined mask", FROM_14, m, E::BadPropertyBadType);

        let monitor = |id, command, f: &dyn Fn(&mut FlowMonitorRequest)| {
            let mut m = FlowMonitorRequest {
                id: MonitorId(id),
                out_port: PortNo::ANY,
                out_group: GroupId::ANY,
                flags: MonitorFlags::ADD,
                table: TableId::ALL,
                command,
                matching: Match::any(),
            };
            f(&mut m);
            ask(M::FlowMonitor(vec![m]))
        };
        if v >= V14 {
            use MonitorCommand::{Add, Delete, Modify, Unknown};
            t.fine(monitor(1, Add, &|_| {}));
            t.row("a monitor that is there", FROM_14, monitor(1, Add, &|_| {}), E::FlowMonitorFailedMonitorExists);
            t.row("a modify of none", FROM_14, monitor(2, Modify, &|_| {}), E::FlowMonitorFailedUnknownMonitor);
            t.row("a delete of none", FROM_14, monitor(2, Delete, &|_| {}), E::FlowMonitorFailedUnknownMonitor);
            t.row("an undefined command", FROM_14, monitor(2, Unknown(9), &|_| {}), E::FlowMonitorFailedBadCommand);
            let flags = |n| move |m: &mut FlowMonitorRequest| m.flags = MonitorFlags::from_bits_retain(n);
            t.row("an undefined flag", FROM_14, monitor(2, Add, &flags(0x81)), E::FlowMonitorFailedBadFlags);
            t.row("no event", FROM_14, monitor(2, Add, &flags(16)), E::FlowMonitorFailedBadFlags);
            let table = |m: &mut FlowMonitorRequest| m.table = TableId(9);
            t.row("a table that isn't there", FROM_14, monitor(2, Add, &table), E::FlowMonitorFailedBadTableId);
            let port = |m: &mut FlowMonitorRequest| m.out_port = PortNo(0);
            t.row("an output that can't be", FROM_14, monitor(2, Add, &port), E::FlowMonitorFailedBadOut);
            let group = |m: &mut FlowMonitorRequest| m.out_group = GroupId(0xffff_ff01);
            t.row("a group that can't be", FROM_14, monitor(2, Add, &group), E::FlowMonitorFailedBadOut);
        }
        t.end(7);
    }
}

#[test]
fn table_features() {
    for v in FROM_13.iter().copied() {
        let mut t = Table::new(v);
        let now = t.bench.hub.switch.control_mut().table_features(v);
        let all = |f: &dyn Fn(&mut Vec<TableFeatures>)| {
            let mut tables = now.clone();
            f(&mut tables);
            // What is left out stays as it is, which keeps the request short.
            if v >= V15 {
                tables.iter_mut().filter(|t| t.properties.len() > 3).for_each(|t| t.properties.clear());
            } else {
                tables.truncate(5);
            }
            ask(MultipartRequest::TableFeatures(tables))
        };
        let first = |f: &dyn Fn(&mut TableFeatures)| {
            all(&|t: &mut Vec<TableFeatures>| {
                t[0].properties.retain(|p| matches!(p, TableFeatureProp::Match(_)));
                f(&mut t[0]);
            })
        };
        t.row("a table that isn't there", FROM_13, first(&|t| t.table = TableId(9)), E::TableFeaturesFailedBadTable);
        t.row("a table twice", FROM_13, first(&|t| t.table = TableId(1)), E::TableFeaturesFailedBadTable);
        let other = |p: OtherProp| first(&|t| t.properties.push(TableFeatureProp::Other(p.clone())));
        t.row("an undefined property", &[V13], other(unknown_prop()), E::TableFeaturesFailedBadType);
        t.row("an undefined property", FROM_14, other(unknown_prop()), E::BadPropertyBadType);
        t.row("somebody's property", FROM_14, other(experimenter_prop()), E::BadPropertyBadExperimenter);
        let back = first(&|t| {
            t.properties.push(TableFeatureProp::NextTables { miss: false, tables: vec![TableId(0)] });
        });
        let kind = if v == V13 { E::TableFeaturesFailedBadArgument } else { E::BadPropertyBadValue };
        t.row("a next table that comes before", FROM_13, back, kind);
        let twice = first(&|t| {
            let p = TableFeatureProp::NextTables { miss: false, tables: vec![] };
            t.properties.extend([p.clone(), p]);
        });
        t.row("a property twice", FROM_14, twice, E::BadPropertyDupType);
        let only = &[V15];
        t.row("an undefined command", only, first(&|t| t.command = 9), E::TableFeaturesFailedBadCommand);
        t.row("an undefined feature", only, first(&|t| t.features |= 1 << 20), E::TableFeaturesFailedBadFeatures);
        let first_egress = first(&|t| t.features |= 16);
        t.row("egress from table 0", only, first_egress, E::TableFeaturesFailedBadFeatures);
        let bits = TableConfig::from_bits_retain(1 << 20);
        t.row("an undefined capability", only, first(&|t| t.capabilities |= bits), E::TableFeaturesFailedBadCapa);
        t.row(
            "more entries than there can be",
            only,
            first(&|t| t.max_entries = u32::MAX),
            E::TableFeaturesFailedBadMaxEnt,
        );
        t.end(4);
    }
}
