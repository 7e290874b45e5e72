//! The walk itself.

use super::edit::{apply_edit, is_edit};
use super::freeze::Freezing;
use super::{
    ActionSet, DropReason, Env, Event, Hit, Lost, MAX_DEPTH, MAX_LOOKUPS, MAX_STEPS, Miss, Observer, Settings, Sink,
    View,
};
use crate::cache::{Recorder, Step};
use crate::frame::Frame;
use crate::key::word;
use crate::meter::{Verdict, remark_dscp};
use crate::packet::Packet;
use crate::program::{Op, Program, Resumption};
use ofproto::continuation::Ending;
use ofproto::field::FieldId;
use ofproto::ids::{Cookie, MeterId, PortNo, QueueId, TableId};

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'v> {
    /// A received packet: table 0.
    Received,
    /// A packet-out's action list.
    PacketOut(&'v Program),
    /// No tables at all: the learning switch (fail-standalone).
    Normal,
    /// A packet that was paused.
    Resume(&'v Resumption),
}

/// How a walk ended.
#[derive(Debug)]
pub enum Outcome {
    /// The frame went out with the last output.
    Sent,
    /// The frame is left over: it was dropped, or only copies of it went out.
    Left(Frame),
}

/// Whether the walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    /// This packet (or this copy of it) is done.
    Stop,
    /// It is done up to the resubmit that led here, or altogether where none did.
    Leave,
    /// It waits; who is told takes down what is left to do ([`Walk::end`]).
    Pause,
}

/// In whose name an action is executed, which is what a packet-in tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Apply,
    TableMiss,
    ActionSet,
    Group,
    PacketOut,
}

pub(super) const NO_COOKIE: Cookie = Cookie(u64::MAX);

/// Where 802.1D's packets go.
const STP: u64 = 0x0180_c200_0000;

pub(super) struct Walk<'v, 'w, 'm, V, S, O> {
    pub(super) view: V,
    pub(super) env: Env<'v>,
    pub(super) settings: Settings,
    pub(super) sink: &'w mut S,
    pub(super) observer: &'w mut O,
    pub(super) record: Option<&'w mut Recorder<'m>>,
    pub(super) packet: &'w mut Packet,
    pub(super) set: ActionSet<'v>,
    pub(super) queue: Option<QueueId>,
    pub(super) table: TableId,
    /// The table of the last lookup.
    asked: Option<TableId>,
    pub(super) hit: Option<Hit<'v>>,
    pub(super) cookie: Cookie,
    pub(super) origin: Origin,
    pub(super) in_egress: bool,
    pub(super) stack: Vec<u128>,
    /// A pause on its way up, with what was left to do at each level.
    pub(super) freezing: Option<Box<Freezing>>,
    /// How often it has waited for what it teaches.
    pub(super) waits: u32,
    /// Resubmits that it is inside of.
    pub(super) resubmits: u32,
    /// An output whose frame is still this packet's: sent by moving if nothing follows.
    pub(super) pending: Option<(PortNo, Option<QueueId>)>,
    /// Whether some copy went somewhere or was dropped for a reason of its own.
    pub(super) accounted: bool,
    depth: u32,
    lookups: u32,
    steps: u32,
}

/// Walks one packet to its end.
///
/// The packet's key has `in_port` and, from a packet-out, other pipeline fields. With a recorder the walk
/// notes what a cache needs.
pub(crate) fn execute_recorded<'v, V: View<'v>, S: Sink, O: Observer>(
    view: V,
    env: Env<'v>,
    packet: &mut Packet,
    start: Start<'v>,
    sink: &mut S,
    observer: &mut O,
    record: Option<&mut Recorder<'_>>,
) -> Outcome {
    packet.key.set(FieldId::ActsetOutput, u128::from(PortNo::UNSET.0));
    let mut w = Walk {
        view,
        env,
        settings: view.settings(),
        sink,
        observer,
        record,
        packet,
        set: ActionSet::default(),
        queue: None,
        table: TableId(0),
        asked: None,
        hit: None,
        cookie: NO_COOKIE,
        origin: Origin::Apply,
        in_egress: false,
        stack: Vec::new(),
        freezing: None,
        waits: 0,
        resubmits: 0,
        pending: None,
        accounted: false,
        depth: 0,
        lookups: 0,
        steps: 0,
    };
    w.run(start);
    match w.pending.take() {
        Some((port, queue)) => {
            let frame = std::mem::take(&mut w.packet.frame);
            w.sink.transmit(port, queue, frame);
            Outcome::Sent
        }
        None => Outcome::Left(std::mem::take(&mut w.packet.frame)),
    }
}

/// `execute_recorded` without a recorder.
pub fn execute<'v, V: View<'v>, S: Sink, O: Observer>(
    view: V,
    env: Env<'v>,
    packet: &mut Packet,
    start: Start<'v>,
    sink: &mut S,
    observer: &mut O,
) -> Outcome {
    execute_recorded(view, env, packet, start, sink, observer, None)
}

impl<'v, V: View<'v>, S: Sink, O: Observer> Walk<'v, '_, '_, V, S, O> {
    fn run(&mut self, start: Start<'v>) {
        match start {
            Start::Received => {
                if self.admit() == Flow::Go {
                    self.submit();
                }
            }
            Start::PacketOut(program) => {
                self.origin = Origin::PacketOut;
                self.table = TableId::ALL;
                if program.apply.is_empty() {
                    self.drop(DropReason::NoOutput);
                }
                let flow = self.list(&program.apply);
                self.end(flow, Ending::Nothing);
            }
            Start::Resume(rest) => self.resume(rest),
            Start::Normal => {
                if self.admit() == Flow::Go {
                    if O::ON {
                        let op = Op::Output { port: PortNo::NORMAL, max_len: 0 };
                        self.observer.event(Event::Action { op: &op });
                    }
                    self.normal();
                }
            }
        }
    }

    /// What is decided before any table: the port's configuration, fragments, frames that are none.
    fn admit(&mut self) -> Flow {
        if let Some(port) = self.view.port(self.in_port())
            && !port.takes_all()
        {
            let is_stp = self.packet.key.0[word::ETH_DST_TYPE] >> 16 == STP;
            if let Some(r) = &mut self.record
                && port.takes(true) != port.takes(false)
            {
                let mut bits = crate::key::FlowKey::default();
                bits.set(FieldId::EthDst, u128::MAX);
                r.decided_by(&bits);
            }
            if !port.takes(is_stp) {
                return self.drop_at_port(DropReason::PortNoRecv, self.in_port(), false);
            }
        }
        if self.packet.frame.len() < 14 {
            return self.drop(DropReason::Malformed);
        }
        if self.settings.drop_fragments && self.packet.layout.fragment {
            // Whether a packet is a fragment need not be in the cache's key.
            self.refuse();
            return self.drop(DropReason::Fragment);
        }
        if self.settings.drop_fragments {
            self.refuse_unless_frag_in_key();
        }
        Flow::Go
    }

    /// Through the tables from 0 and out by the action set.
    pub(super) fn submit(&mut self) {
        self.origin = Origin::Apply;
        let flow = self.tables(TableId(0), false);
        self.end(flow, Ending::ActionSet);
    }

    /// The ingress port, as the packet says now.
    pub(super) fn in_port(&self) -> PortNo {
        PortNo(self.packet.key.0[word::IN_PORT] as u32)
    }

    pub(super) fn drop(&mut self, reason: DropReason) -> Flow {
        self.accounted = true;
        self.lose(reason, None);
        self.note(|| Event::Drop { reason });
        if let Some(r) = &mut self.record {
            r.step(Step::Drop(reason));
        }
        Flow::Stop
    }

    /// Tells the sink of a drop.
    pub(super) fn lose(&mut self, reason: DropReason, out_port: Option<PortNo>) {
        self.sink.dropped(Lost { reason, in_port: self.in_port(), table: self.asked, out_port });
    }

    /// A drop that the port counts too, as one of reception or (`sending`) of transmission.
    pub(super) fn drop_at_port(&mut self, reason: DropReason, port: PortNo, sending: bool) -> Flow {
        self.accounted = true;
        if !self.env.dry {
            self.view.port_dropped(port, sending);
        }
        self.lose(reason, sending.then_some(port));
        self.note(|| Event::Drop { reason });
        if let Some(r) = &mut self.record {
            r.step(Step::DropAtPort(reason, port, sending));
        }
        Flow::Stop
    }

    #[inline]
    pub(super) fn note<'e>(&mut self, event: impl FnOnce() -> Event<'e>) {
        if O::ON {
            self.observer.event(event());
        }
    }

    pub(super) fn refuse(&mut self) {
        if let Some(r) = &mut self.record {
            r.refuse();
        }
    }

    fn refuse_unless_frag_in_key(&mut self) {
        if let Some(r) = &mut self.record {
            let mut bits = crate::key::FlowKey::default();
            bits.set(FieldId::IpFrag, 1);
            r.decided_by(&bits);
        }
    }

    pub(super) fn step(&mut self, step: impl FnOnce() -> Step) {
        if let Some(r) = &mut self.record {
            r.step(step());
        }
    }

    /// One unit of work; beyond the bound the packet ends.
    pub(super) fn charge(&mut self, n: u32) -> Flow {
        self.steps = self.steps.saturating_add(n);
        if self.steps > MAX_STEPS {
            self.refuse();
            return self.drop(DropReason::TooComplex);
        }
        Flow::Go
    }

    /// One level deeper.
    pub(super) fn enter(&mut self) -> Flow {
        if self.depth >= MAX_DEPTH {
            self.refuse();
            return self.drop(DropReason::TooComplex);
        }
        self.depth += 1;
        self.note(|| Event::Down);
        Flow::Go
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
        self.note(|| Event::Back);
    }

    pub(super) fn len(&self) -> u64 {
        self.packet.frame.len() as u64
    }

    /// Table by table from `table`, until an entry has no goto. `nested`: by a resubmit.
    pub(super) fn tables(&mut self, mut table: TableId, nested: bool) -> Flow {
        loop {
            let hit = match self.lookup(table) {
                Ok(hit) => hit,
                Err(flow) => return flow,
            };
            let Some(hit) = hit else {
                // A resubmit that finds nothing changes nothing.
                if nested {
                    return Flow::Go;
                }
                match self.miss(table) {
                    Some(next) => {
                        table = next;
                        continue;
                    }
                    None => return Flow::Stop,
                }
            };
            match self.entry(table, hit) {
                (Flow::Go, Some(next)) => table = next,
                (flow, _) => return flow,
            }
        }
    }

    /// Looks up and counts; `Err` if the packet has had its share.
    pub(super) fn lookup(&mut self, table: TableId) -> Result<Option<Hit<'v>>, Flow> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS {
            self.refuse();
            return Err(self.drop(DropReason::TooComplex));
        }
        self.asked = Some(table);
        let hit = self.view.lookup(table, &self.packet.key);
        if !self.env.dry {
            self.view.count_table(table, 1, u64::from(hit.is_some()));
            if let Some(h) = &hit {
                self.view.count(h.handle.stats, 1, self.len(), self.env.now);
            }
        }
        if let Some(r) = &mut self.record {
            r.lookup(table, hit.as_ref());
        }
        if O::ON {
            self.observer.event(Event::Lookup {
                table,
                key: &self.packet.key,
                hit: hit.as_ref().map(|h| (h.handle, h.priority, h.cookie)),
            });
        }
        Ok(hit)
    }

    /// No entry: the next table if the table says so.
    fn miss(&mut self, table: TableId) -> Option<TableId> {
        let miss = self.view.miss(table);
        self.note(|| Event::Miss { table, miss });
        self.table = table;
        let next = TableId(table.0.saturating_add(1));
        match miss {
            Miss::Drop => {
                self.drop(DropReason::TableMiss);
                None
            }
            Miss::Continue if next.0 < self.settings.n_tables => Some(next),
            Miss::Continue | Miss::Controller => {
                self.hit = None;
                self.cookie = NO_COOKIE;
                self.origin = Origin::TableMiss;
                self.punt_by(self.settings.miss_send_len, 0, None, None, None);
                None
            }
        }
    }

    /// Executes an entry; where it goes on.
    pub(super) fn entry(&mut self, table: TableId, hit: Hit<'v>) -> (Flow, Option<TableId>) {
        self.table = table;
        self.hit = Some(hit);
        self.cookie = hit.cookie;
        self.program(hit.program)
    }

    /// Executes instructions in the name of the current table and cookie.
    pub(super) fn program(&mut self, p: &'v Program) -> (Flow, Option<TableId>) {
        self.origin = if p.table_miss { Origin::TableMiss } else { Origin::Apply };
        if let Some(m) = p.meter
            && self.meter(m) == Flow::Stop
        {
            return (Flow::Stop, None);
        }
        match self.list(&p.apply) {
            Flow::Go => {}
            flow => return (flow, None),
        }
        if p.clear {
            self.set.clear();
        }
        for s in &p.write {
            self.set.write(s);
        }
        if !p.write.is_empty() || p.clear {
            let port = self.set.output_field();
            self.packet.key.set(FieldId::ActsetOutput, u128::from(port.0));
            self.note(|| Event::Set { ops: p.write.iter().map(|s| s.op.clone()).collect() });
        }
        if let Some((metadata, mask)) = p.metadata {
            let op = Op::WriteMetadata { metadata, mask };
            if self.edit(&op) == Flow::Stop {
                return (Flow::Stop, None);
            }
        }
        (Flow::Go, p.goto_table)
    }

    /// A list of actions, in order.
    pub(super) fn list(&mut self, ops: &'v [Op]) -> Flow {
        for op in ops {
            if self.charge(1) == Flow::Stop {
                return Flow::Stop;
            }
            match self.action(op) {
                Flow::Go => {}
                flow => return flow,
            }
        }
        Flow::Go
    }

    /// An action that only changes the packet.
    pub(super) fn edit(&mut self, op: &Op) -> Flow {
        debug_assert!(is_edit(op));
        self.note(|| Event::Action { op });
        self.flush();
        if let Some(r) = &mut self.record {
            r.edit(op, self.table, self.cookie);
            if self.resubmits > 0 && matches!(op, Op::DecNwTtl(_) | Op::DecMplsTtl) {
                r.may_leave();
            }
        }
        match apply_edit(self.packet, op) {
            Ok(()) => Flow::Go,
            Err(_) => self.invalid_ttl(op),
        }
    }

    /// Charges a meter and does what it says. A meter that is gone lets everything pass.
    pub(super) fn meter(&mut self, id: MeterId) -> Flow {
        let Some(meter) = self.view.meters().get(id) else { return Flow::Go };
        if let Some(r) = &mut self.record {
            r.step(Step::Meter(std::sync::Arc::clone(meter)));
            // Whether a packet is remarked is decided anew each time.
            if meter.remarks() {
                r.taint();
            }
        }
        if self.env.dry {
            self.note(|| Event::Meter { meter: id, verdict: None });
            return Flow::Go;
        }
        let (packets, bytes) = metered(self.packet);
        let verdict = meter.charge(self.env.writer, packets, bytes, self.env.now);
        self.note(|| Event::Meter { meter: id, verdict: Some(verdict) });
        match verdict {
            Verdict::Pass => Flow::Go,
            Verdict::Drop => {
                self.accounted = true;
                self.lose(DropReason::Meter, None);
                self.note(|| Event::Drop { reason: DropReason::Meter });
                // What would have followed isn't known, so this walk can't be remembered.
                self.refuse();
                Flow::Stop
            }
            Verdict::Remark(levels) => {
                self.flush();
                remark(self.packet, levels);
                Flow::Go
            }
        }
    }

    /// Sends what is pending as a copy, because the packet is about to change or to go elsewhere.
    pub(super) fn flush(&mut self) {
        if let Some((port, queue)) = self.pending.take() {
            self.sink.transmit_copy(port, queue, &self.packet.frame);
        }
    }

    /// Runs `branch` on a copy; afterwards the packet is what it was. `changes`: whether the branch may change
    /// the packet at all.
    pub(super) fn on_copy(&mut self, changes: bool, branch: impl FnOnce(&mut Self)) {
        let queue = self.queue;
        if !changes {
            branch(self);
            self.queue = queue;
            return;
        }
        self.flush();
        let saved = self.packet.duplicate_in(self.sink);
        let stack = self.stack.clone();
        let known = self.record.as_ref().map(|r| r.knowledge());
        self.step(|| Step::Save);
        branch(self);
        self.step(|| Step::Restore);
        if let (Some(r), Some(known)) = (&mut self.record, known) {
            r.restore(known);
        }
        let copy = std::mem::replace(self.packet, saved);
        self.stack = stack;
        match self.pending.take() {
            Some((port, queue)) => self.sink.transmit(port, queue, copy.frame),
            None => self.sink.left(copy.frame),
        }
        self.queue = queue;
    }
}

/// How many packets and bytes a meter is charged for: a super-frame stands for its segments, each with
/// its headers.
pub(crate) fn metered(p: &Packet) -> (u64, u64) {
    let whole = (1, p.frame.len() as u64);
    if p.frame.offload.gso.is_none() { whole } else { crate::segment::measure(&p.frame).unwrap_or(whole) }
}

/// Raises the drop precedence of an IP packet.
pub(crate) fn remark(p: &mut Packet, levels: u8) {
    if let Some(dscp) = p.field(FieldId::IpDscp) {
        p.set_field(FieldId::IpDscp, u128::from(remark_dscp(dscp as u8, levels)), 0x3f);
    }
}
