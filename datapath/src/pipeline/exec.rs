//! Actions that do more than change the packet: outputs, the action set, Nicira's control flow.

use super::edit::is_edit;
use super::switching::{Addresses, Switched, all_ports, learn_and_switch, may_not_send};
use super::walk::{Flow, NO_COOKIE, Origin, Walk};
use super::{DropReason, Event, Observer, Request, Sink, View, hash, learn};
use crate::cache::Step;
use crate::key::{FlowKey, word};
use crate::program::op::{Bits, Choice, HashFields, mask_bits};
use crate::program::{Op, Rest};
use ofproto::action::MAX_LEN_NO_BUFFER;
use ofproto::continuation::{Ending, MAX_STACK};
use ofproto::field::FieldId;
use ofproto::ids::{PortNo, QueueId, TableId};

impl<'v, V: View<'v>, S: Sink, O: Observer> Walk<'v, '_, '_, V, S, O> {
    pub(super) fn action(&mut self, op: &'v Op) -> Flow {
        if is_edit(op) {
            return self.edit(op);
        }
        self.note(|| Event::Action { op });
        match op {
            Op::Output { port, max_len } => self.output(*port, *max_len),
            Op::OutputBits { src, max_len } => {
                self.decided_by_bits(*src);
                let port = PortNo(
                    self.packet.field(src.field).map_or(0, |v| (v >> src.offset & mask_bits(src.n_bits)) as u32),
                );
                self.output(widen(port, src.n_bits), *max_len)
            }
            Op::OutputTrunc { port, max_len } => self.output_trunc(*port, *max_len),
            Op::Enqueue { port, queue } => {
                let before = self.queue.replace(*queue);
                let flow = self.output(*port, MAX_LEN_NO_BUFFER);
                self.queue = before;
                flow
            }
            Op::Group(id) => self.group(*id),
            Op::SetQueue(q) => {
                self.queue = Some(*q);
                Flow::Go
            }
            Op::PopQueue => {
                self.queue = None;
                Flow::Go
            }
            Op::Meter(id) => self.meter(*id),
            Op::Controller { max_len, controller_id, reason, userdata, meter, pause, rest } => {
                let meter = meter.and_then(|m| self.view.meters().get(m)).cloned();
                let (reason, userdata) = (Some(*reason), userdata.clone());
                if *pause {
                    return self.pause_for_controller(*controller_id, reason, userdata, meter, rest.as_deref());
                }
                self.punt_by(*max_len, *controller_id, reason, userdata, meter);
                Flow::Go
            }
            Op::Resubmit { in_port, table, rest } => self.resubmit(*in_port, *table, rest.as_deref()),
            Op::Multipath { fields, basis, choice, links, dst } => {
                // Highest random weight draws for each link.
                if *choice == Choice::Hrw && self.charge(links / 32) == Flow::Stop {
                    return Flow::Stop;
                }
                self.decided_by_hash(*fields);
                let link = hash::choose(&self.packet.key, *fields, *basis, *choice, *links);
                self.load(*dst, u128::from(link))
            }
            Op::Bundle { fields, basis, active_backup, members, dst } => {
                if self.charge(members.len() as u32 / 32) == Flow::Stop {
                    return Flow::Stop;
                }
                let view = self.view;
                let live = |i: usize| view.port(members[i]).is_some_and(|p| p.is_up());
                let chosen = if *active_backup {
                    (0..members.len()).find(|i| live(*i))
                } else {
                    self.decided_by_hash(*fields);
                    hash::member(&self.packet.key, *fields, *basis, members.len(), live)
                };
                let port = chosen.map(|i| members[i]);
                match (dst, port) {
                    (Some(dst), port) => self.load(*dst, u128::from(port.unwrap_or(PortNo::ANY).0)),
                    (None, Some(port)) => self.output(port, MAX_LEN_NO_BUFFER),
                    (None, None) => Flow::Go,
                }
            }
            Op::StackPush(src) => {
                // What is popped later lands in some field; where from is no longer told.
                self.refuse();
                if self.stack.len() >= MAX_STACK {
                    return self.drop(DropReason::TooComplex);
                }
                let v = self.packet.field(src.field).unwrap_or(0) >> src.offset & mask_bits(src.n_bits);
                self.stack.push(v);
                Flow::Go
            }
            Op::StackPop(dst) => {
                self.refuse();
                match self.stack.pop() {
                    Some(v) => self.load(*dst, v),
                    None => Flow::Go,
                }
            }
            Op::Sample { probability, collector_set_id } => {
                self.refuse();
                if hash::is_sampled(&self.packet.key, self.env.now, *probability) && !self.env.dry {
                    self.sink.sampled(*collector_set_id);
                }
                Flow::Go
            }
            Op::Learn { learn, result, rest } => {
                self.refuse();
                match *result {
                    Some(result) if !self.env.dry => return self.pause_for_learn(learn, result, rest.as_deref()),
                    // Nothing is learnt in a dry run, and no limit is near.
                    Some(result) => return self.load(result, 1),
                    None => {}
                }
                if !self.env.dry {
                    let flow_mod = Box::new(learn::flow_mod(self.packet, learn));
                    let request = Request::Learn { flow_mod, limit: learn.most(), waiting: None };
                    self.sink.request(request, self.env.now);
                }
                Flow::Go
            }
            Op::FinTimeout { idle, hard } => {
                self.refuse();
                // FIN or RST.
                if !self.env.dry
                    && self.packet.field(FieldId::TcpFlags).is_some_and(|f| f & 5 != 0)
                    && let Some(hit) = self.hit
                {
                    let request = Request::FinTimeout { entry: hit.handle, idle: *idle, hard: *hard };
                    self.sink.request(request, self.env.now);
                }
                Flow::Go
            }
            Op::CheckPktLarger { pkt_len, dst } => {
                self.refuse();
                let larger = self.packet.frame.len() > usize::from(*pkt_len);
                self.load(*dst, u128::from(larger))
            }
            Op::Clone(ops) => {
                if self.charge(1) == Flow::Stop || self.enter() == Flow::Stop {
                    return Flow::Stop;
                }
                let set = self.set.clone();
                self.on_copy(true, |w| {
                    let flow = w.list(ops);
                    w.end(flow, Ending::Nothing);
                });
                self.set = set;
                self.leave();
                Flow::Go
            }
            // As Open vSwitch does it, the action set isn't executed either.
            Op::Exit => Flow::Stop,
            // Edits went before.
            _ => Flow::Go,
        }
    }

    pub(super) fn load(&mut self, dst: Bits, value: u128) -> Flow {
        let op = Op::Set { field: dst.field, value: (value << dst.offset) & dst.mask(), mask: dst.mask() };
        self.edit(&op)
    }

    fn decided_by_bits(&mut self, src: Bits) {
        if let Some(r) = &mut self.record {
            let mut bits = FlowKey::default();
            bits.set(src.field, src.mask());
            r.decided_by(&bits);
        }
    }

    fn decided_by_hash(&mut self, fields: HashFields) {
        if let Some(r) = &mut self.record {
            r.decided_by(&hash::bits(fields));
        }
    }

    // ---- outputs ----

    pub(super) fn output(&mut self, port: PortNo, max_len: u16) -> Flow {
        let in_port = self.in_port();
        match port {
            PortNo::IN_PORT => self.deliver(in_port, max_len),
            PortNo::ALL | PortNo::FLOOD => self.flood(port == PortNo::FLOOD),
            PortNo::NORMAL => {
                self.normal();
                Flow::Go
            }
            PortNo::TABLE => self.submit_copy(),
            PortNo::ANY | PortNo::UNSET => Flow::Go,
            PortNo::CONTROLLER => self.deliver(port, max_len),
            p if p == in_port => {
                self.drop(DropReason::OutputToInPort);
                Flow::Go
            }
            p => self.deliver(p, max_len),
        }
    }

    /// `OFPP_ALL` or `OFPP_FLOOD`: every port but the ingress port, as far as it may send.
    pub(super) fn flood(&mut self, flood: bool) -> Flow {
        let in_port = self.in_port();
        for p in all_ports(self.view, in_port, flood) {
            if self.charge(1) == Flow::Stop || self.deliver(p, 0) == Flow::Stop {
                return Flow::Stop;
            }
        }
        Flow::Go
    }

    /// To one real port, or the controllers: through egress processing if there is any (1.5.1 §5.1).
    fn deliver(&mut self, port: PortNo, max_len: u16) -> Flow {
        match self.settings.first_egress {
            Some(first) if self.origin != Origin::PacketOut || port != PortNo::CONTROLLER => {
                self.egress(port, max_len, first)
            }
            _ => {
                self.send(port, max_len);
                Flow::Go
            }
        }
    }

    fn egress(&mut self, port: PortNo, max_len: u16, first: TableId) -> Flow {
        self.note(|| Event::Egress { port, table: first });
        if self.charge(8) == Flow::Stop || self.enter() == Flow::Stop {
            return Flow::Stop;
        }
        let set = std::mem::take(&mut self.set);
        let saved = (self.table, self.hit, self.cookie, self.origin, self.in_egress);
        self.on_copy(true, |w| {
            w.in_egress = true;
            w.set.output = Some((port, max_len));
            w.packet.key.set(FieldId::ActsetOutput, u128::from(port.0));
            let flow = w.tables(first, false);
            w.end(flow, Ending::Egress);
        });
        self.set = set;
        (self.table, self.hit, self.cookie, self.origin, self.in_egress) = saved;
        self.leave();
        Flow::Go
    }

    /// The end of egress processing: the action set, and out.
    pub(super) fn run_egress_set(&mut self) {
        if !self.run_set_ops() {
            return;
        }
        match self.set.output {
            Some((port, max_len)) => self.send(port, max_len),
            None => drop(self.drop(DropReason::NoOutput)),
        }
    }

    /// Out of the switch. The port's configuration decides; nothing else is looked at any more.
    pub(super) fn send(&mut self, port: PortNo, max_len: u16) {
        if port == PortNo::CONTROLLER {
            self.punt_by(max_len, 0, None, None, None);
            return;
        }
        if !self.may_send(port) {
            return;
        }
        self.flush();
        let queue = self.queue;
        self.note_output(port, queue);
        self.accounted = true;
        self.step(|| Step::Output(port, queue));
        self.pending = Some((port, queue));
    }

    fn note_output(&mut self, port: PortNo, queue: Option<QueueId>) {
        let len = self.packet.frame.len();
        self.note(|| Event::Output { port, queue, len });
    }

    fn may_send(&mut self, port: PortNo) -> bool {
        let reason = may_not_send(self.view, port);
        if let Some(reason) = reason {
            self.drop_at_port(reason, port, true);
        }
        reason.is_none()
    }

    fn output_trunc(&mut self, port: PortNo, max_len: u32) -> Flow {
        self.refuse();
        if self.charge(1) == Flow::Stop {
            return Flow::Stop;
        }
        self.on_copy(true, |w| {
            w.packet.finish_checksum();
            w.packet.frame.truncate(max_len as usize);
            w.packet.frame.offload = crate::frame::Offload::default();
            w.packet.reparse();
            w.output(port, MAX_LEN_NO_BUFFER);
        });
        Flow::Go
    }

    /// `OFPP_TABLE`, of a packet-out or out of a register: the packet as it is now goes through the tables.
    fn submit_copy(&mut self) -> Flow {
        // A level: output to a port out of a register may come here from the tables.
        if self.charge(1) == Flow::Stop || self.enter() == Flow::Stop {
            return Flow::Stop;
        }
        let saved = (self.table, self.hit, self.cookie, self.origin);
        let set = std::mem::take(&mut self.set);
        self.on_copy(true, |w| w.submit());
        self.set = set;
        (self.table, self.hit, self.cookie, self.origin) = saved;
        self.leave();
        Flow::Go
    }

    /// The learning switch.
    pub(super) fn normal(&mut self) {
        // What other packets taught is asked for each packet anew, so what comes of it isn't for the record. Egress tables
        // would have to be walked for each anew as well.
        if self.settings.first_egress.is_some() {
            self.refuse();
        }
        let queue = self.queue;
        self.step(|| Step::Normal(queue));
        let record = self.record.take();
        // However it ends: the replay can't know later.
        self.accounted = true;
        let in_port = self.in_port();
        match learn_and_switch(self.view, self.env, in_port, Addresses::of(self.packet)) {
            Switched::Home => drop(self.drop(DropReason::OutputToInPort)),
            Switched::To(p) => drop(self.deliver(p, 0)),
            Switched::Flood => {
                if all_ports(self.view, in_port, true).is_empty() {
                    self.drop(DropReason::NoOutput);
                } else {
                    self.flood(true);
                }
            }
        }
        self.record = record;
    }

    // ---- action set ----

    /// Executes the action set (OpenFlow 1.3.5 §5.10).
    pub(super) fn run_set(&mut self) {
        if !self.set.goes_somewhere() {
            // The set is carried out all the same (OpenFlow 1.5.1 §5.6), which shows in the meter that it names.
            if self.set.ops().any(|op| matches!(op, Op::Meter(_))) && !self.run_set_ops() {
                return;
            }
            // What already went somewhere, or was dropped for a better reason, isn't dropped again.
            if !self.accounted {
                self.drop(DropReason::NoOutput);
            }
            return;
        }
        if !self.run_set_ops() {
            return;
        }
        match (self.set.group, self.set.output) {
            (Some(g), _) => drop(self.group(g)),
            (None, Some((port, max_len))) => drop(self.output(port, max_len)),
            (None, None) => {
                if let Some(op) = self.set.resubmit {
                    self.action(op);
                }
            }
        }
    }

    /// Executes what comes before the group and the output; false if the packet ended there.
    fn run_set_ops(&mut self) -> bool {
        let ops: smallvec::SmallVec<[&Op; 8]> = self.set.ops().collect();
        self.origin = Origin::ActionSet;
        // The set as a whole belongs to no one entry.
        self.cookie = NO_COOKIE;
        ops.into_iter().all(|op| self.charge(1) == Flow::Go && self.action(op) == Flow::Go)
    }

    // ---- Nicira's control flow ----

    fn resubmit(&mut self, in_port: Option<PortNo>, table: Option<TableId>, rest: Option<&Rest>) -> Flow {
        if self.enter() == Flow::Stop {
            return Flow::Stop;
        }
        let table = table.unwrap_or(if self.table == TableId::ALL { TableId(0) } else { self.table });
        if self.settings.first_egress.is_some_and(|first| (table >= first) != self.in_egress) {
            // Checked where it was written as far as it could be: a bucket may be met on either side, and the border may
            // have moved since. It finds nothing there, as a goto to a table that left the pipeline.
            self.leave();
            return Flow::Go;
        }
        let saved = (self.table, self.hit, self.cookie, self.origin);
        self.resubmits += 1;
        let flow = match in_port {
            None => self.tables(table, true),
            // The port is another for the lookup alone; what is found acts on the packet as it is.
            Some(port) => {
                if let Some(r) = &mut self.record {
                    r.disguised();
                }
                let own = self.packet.key.0[word::IN_PORT];
                self.packet.key.set(FieldId::InPort, u128::from(port.0));
                let found = self.lookup(table);
                self.packet.key.0[word::IN_PORT] = own;
                match found {
                    Ok(Some(hit)) => match self.entry(table, hit) {
                        (Flow::Go, Some(next)) => self.tables(next, true),
                        (flow, _) => flow,
                    },
                    Ok(None) => Flow::Go,
                    Err(flow) => flow,
                }
            }
        };
        (self.table, self.hit, self.cookie, self.origin) = saved;
        self.resubmits -= 1;
        self.leave();
        match flow {
            // Where this level was reached from is what the levels above have to say.
            Flow::Pause => self.leave_part(rest, true),
            Flow::Leave => return Flow::Go,
            Flow::Go | Flow::Stop => {}
        }
        flow
    }
}

/// Port numbers from 16-bit fields: the reserved ones stand at the top of either range.
fn widen(port: PortNo, bits: u16) -> PortNo {
    if bits <= 16 && port.0 >= 0xff00 { PortNo(port.0 | 0xffff_0000) } else { port }
}
