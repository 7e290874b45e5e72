//! The specification's error conditions, one row each: what a controller asks, in which versions, and the
//! error that answers it (OpenFlow 1.5.1 §7.5.4 and its predecessors). A refused request changes nothing.
//!
//! Requests go through the wire and the whole switch. The expected kind is compared by its wire numbers, so
//! that versions without a code of their own are compared by their nearest one.

mod flows;
mod groups;
mod others;

use super::Instance;
use super::tests::{Bench, add, group};
use crate::ports::PortEvent;
use crate::queues::Queue;
use bytes::Bytes;
use ofproto::Version::{self, V10, V11, V12, V13, V14, V15};
use ofproto::action::Action;
use ofproto::error::ErrorKind as E;
use ofproto::field::FieldId as F;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{Bucket, ExperimenterProp, GroupMod, GroupModCommand, GroupType, OtherProp, UnknownProp};
use ofproto::ids::Xid;
use ofproto::ids::{BucketId, BufferId, ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use ofproto::instruction::Instruction as I;
use ofproto::matching::{Match, UnknownField};
use ofproto::message::{ErrorMsg, Message, Multipart, MultipartRequest};
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::packet::PacketOut;
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
