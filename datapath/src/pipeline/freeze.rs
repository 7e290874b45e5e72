//! Packets that wait: for a controller (Nicira's `controller(pause)`), or until a flow is learnt (`learn` with
//! `result_dst`), and then go on where they were.
//!
//! A pause goes up through the levels of the walk, and each says what it still had to do. Where the packet
//! (or the copy of it) began, [`Walk::end`] puts that together and lets the packet go. Nothing is kept here.

use super::punts::{PuntWhat, each_finished};
use super::walk::{Flow, Origin, Walk};
use super::{DropReason, MAX_DEPTH, Observer, Request, Sink, View, Waiting, learn};
use crate::meter::Meter;
use crate::program::op::Bits;
use crate::program::{Op, Rest, Resumption, said};
use bytes::Bytes;
use ofproto::Version;
use ofproto::action::{Action, MAX_LEN_NO_BUFFER};
use ofproto::continuation::{Continuation, Ending, Part};
use ofproto::field::FieldId;
use ofproto::nicira::Learn;
use std::sync::Arc;

/// What a packet waits for.
enum What {
    Controller(PuntWhat),
    Learn { learn: Arc<Learn>, result: Bits },
}

/// A pause on its way up.
pub(super) struct Freezing {
    what: What,
    /// Innermost first; the last one's `nested` isn't known until it is reached.
    parts: Vec<Part>,
}

impl<'v, V: View<'v>, S: Sink, O: Observer> Walk<'v, '_, '_, V, S, O> {
    pub(super) fn pause_for_controller(
        &mut self,
        controller_id: u16,
        reason: Option<u8>,
        userdata: Option<Bytes>,
        meter: Option<Arc<Meter>>,
        rest: Option<&Rest>,
    ) -> Flow {
        self.refuse();
        let Some(reason) = self.reason(reason) else { return Flow::Stop };
        let (table, cookie, max_len) = (self.table, self.cookie, MAX_LEN_NO_BUFFER);
        let what = PuntWhat { reason, table, cookie, max_len, controller_id, userdata, meter, paused: None };
        self.pause(What::Controller(what), rest)
    }

    pub(super) fn pause_for_learn(&mut self, learn: &Arc<Learn>, result: Bits, rest: Option<&Rest>) -> Flow {
        self.pause(What::Learn { learn: Arc::clone(learn), result }, rest)
    }

    fn pause(&mut self, what: What, rest: Option<&Rest>) -> Flow {
        self.freezing = Some(Box::new(Freezing { what, parts: Vec::new() }));
        self.leave_part(rest, false);
        Flow::Pause
    }

    /// What the present level still had to do. `below`: the parts so far were reached from it by a resubmit.
    pub(super) fn leave_part(&mut self, rest: Option<&Rest>, below: bool) {
        let Some(freezing) = &mut self.freezing else { return };
        if below && let Some(last) = freezing.parts.last_mut() {
            last.nested = true;
        }
        let part = Part {
            table: self.table,
            cookie: self.cookie,
            version: rest.map_or(Version::V15, |r| r.source.version),
            nested: false,
            table_miss: self.origin == Origin::TableMiss,
            instructions: rest.map(Rest::instructions).unwrap_or_default(),
        };
        freezing.parts.push(part);
    }

    /// The end of a packet's way, or of a copy's: what comes last is done, or kept for later.
    pub(super) fn end(&mut self, flow: Flow, ending: Ending) {
        match (flow, ending) {
            (Flow::Go, Ending::ActionSet) => self.run_set(),
            (Flow::Go, Ending::Egress) => self.run_egress_set(),
            (Flow::Go, Ending::Nothing) | (Flow::Stop | Flow::Leave, _) => {}
            (Flow::Pause, _) => self.freeze(ending),
        }
    }

    fn freeze(&mut self, ending: Ending) {
        let Some(Freezing { what, mut parts }) = self.freezing.take().map(|f| *f) else { return };
        // A level with nothing left to do needs no coming back to.
        parts.retain(|p| !p.instructions.is_empty());
        let rest = Continuation {
            bridge: 0,
            stack: self.stack.clone(),
            queue: self.queue,
            parts,
            set: self.said_set(),
            ending,
            waits: 0,
        };
        match what {
            What::Controller(what) => self.send_what(PuntWhat { paused: Some(Box::new(rest)), ..what }),
            // Each going on has the bounds of a new walk: a packet that teaches in a circle would go round for ever.
            What::Learn { .. } if self.waits >= MAX_DEPTH => {
                self.drop(DropReason::TooComplex);
            }
            What::Learn { learn, result } => {
                self.accounted = true;
                let rest = Continuation { waits: self.waits + 1, ..rest };
                let (sink, now, limit) = (&mut *self.sink, self.env.now, learn.most());
                let mut lost = 0;
                each_finished(self.packet, |frame| {
                    let flow_mod = Box::new(learn::flow_mod(self.packet, &learn));
                    let frame = Bytes::copy_from_slice(frame.bytes());
                    let waiting = Waiting { result, key: self.packet.key, frame, rest: rest.clone() };
                    let request = Request::Learn { flow_mod, limit, waiting: Some(Box::new(waiting)) };
                    lost += u32::from(!sink.request(request, now));
                });
                for _ in 0..lost {
                    self.drop(DropReason::ControllerQueue);
                }
            }
        }
    }

    /// The action set in the model's words.
    fn said_set(&self) -> Vec<(Version, Action)> {
        let group = self.set.group.map(Op::Group);
        let output = self.set.output.map(|(port, max_len)| Op::Output { port, max_len });
        let last = group.iter().chain(&output).chain(self.set.resubmit);
        self.set.ops().filter_map(said).chain(last.filter_map(said)).collect()
    }

    /// Goes on where a pause was.
    pub(super) fn resume(&mut self, rest: &'v Resumption) {
        self.stack.clone_from(&rest.stack);
        (self.queue, self.waits) = (rest.queue, rest.waits);
        for op in &rest.set {
            self.set.write(op);
        }
        self.packet.key.set(FieldId::ActsetOutput, u128::from(self.set.output_field().0));
        self.in_egress = rest.ending == Ending::Egress;
        for (i, resumed) in rest.parts.iter().enumerate() {
            let part = &resumed.part;
            (self.table, self.cookie, self.hit) = (part.table, part.cookie, None);
            let flow = match self.program(&resumed.program) {
                (Flow::Go, Some(next)) => self.tables(next, part.nested),
                (flow, _) => flow,
            };
            match flow {
                Flow::Go => {}
                Flow::Leave if part.nested => {}
                Flow::Pause => {
                    if let Some(freezing) = &mut self.freezing {
                        if let Some(last) = freezing.parts.last_mut() {
                            last.nested = part.nested;
                        }
                        freezing.parts.extend(rest.parts[i + 1..].iter().map(|r| r.part.clone()));
                    }
                    return self.end(flow, rest.ending);
                }
                flow => return self.end(flow, rest.ending),
            }
        }
        self.end(Flow::Go, rest.ending);
    }
}
