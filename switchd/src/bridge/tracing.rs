//! Traces for management: a worker walks the packet, then what its lookups met is sought a few entries at a time; between
//! two pieces the bridge serves everybody.
//!
//! One trace is under way at a time, and the others wait; a client that went away is noticed at the next piece.

use super::answers::failed;
use super::explain::{self, MOST_PASSED_OVER};
use super::switch::{Packets, Switch};
use crate::management::{Answer, CallError, TracePacket};
use crate::session::host::Host;
use crossbeam::channel::{Receiver, TryRecvError};
use datapath::clock::Time;
use datapath::compose::compose;
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::trace::{Search, Trace};
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use ofproto::text::{self, ParseContext};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot;

/// About how many entries are looked at in a piece.
const PIECE: usize = 2048;
/// How soon to look again for a worker's answer.
const WAIT: Duration = Duration::from_millis(1);

/// A trace that is asked for.
struct Tracing {
    stage: Stage,
    reply: oneshot::Sender<Answer>,
}

enum Stage {
    /// The packet waits for its turn.
    Asked(Box<(FlowKey, Frame)>),
    /// A worker walks it; when to look for its answer.
    Walked(Receiver<Trace>, Time),
    /// What it met is sought.
    Sought(Box<(Trace, Search)>),
}

/// The traces that are asked for, in their order.
#[derive(Default)]
pub struct Tracings(VecDeque<Tracing>);

impl<P: Packets> Switch<P> {
    /// Begins a trace; it is answered when it is told.
    pub(super) fn begin_trace(&mut self, in_port: u32, packet: &TracePacket, reply: oneshot::Sender<Answer>) {
        match self.traced(in_port, packet) {
            Ok(packet) => self.tracings.0.push_back(Tracing { stage: Stage::Asked(Box::new(packet)), reply }),
            // A client that went away needs no answer.
            Err(e) => drop(reply.send(Err(e))),
        }
    }

    fn traced(&self, in_port: u32, packet: &TracePacket) -> Result<(FlowKey, Frame), CallError> {
        let port = PortNo(in_port);
        if port != PortNo::CONTROLLER && !self.is_ingress(port) {
            return Err(CallError::NotFound(format!("there is no port {port}")));
        }
        let (frame, mut key) = match packet {
            TracePacket::Bytes(bytes) => (Frame::from_bytes(bytes), FlowKey::default()),
            TracePacket::Flow(flow) => {
                let wanted = text::parse_match(flow, &ParseContext::default())
                    .map_err(|e| CallError::BadParams(format!("`flow`: {e}")))?;
                compose(&wanted).map_err(|wrong| {
                    CallError::BadParams(format!("`flow`: no packet is like that; {}", explain::because(&wrong)))
                })?
            }
        };
        key.set(FieldId::InPort, u128::from(in_port));
        Ok((key, frame))
    }

    /// Goes on with the trace under way, by one piece.
    pub(super) fn go_on_tracing(&mut self, now: Time) {
        let Some(Tracing { stage, reply }) = self.tracings.0.pop_front() else { return };
        if reply.is_closed() {
            if let Stage::Sought(sought) = stage {
                sought.1.end(&mut self.control, now);
            }
            return;
        }
        match self.next_stage(stage, now) {
            Ok(Next::Stage(stage)) => self.tracings.0.push_front(Tracing { stage, reply }),
            Ok(Next::Told(told)) => drop(reply.send(Ok(told))),
            Err(e) => drop(reply.send(Err(e))),
        }
    }

    fn next_stage(&mut self, stage: Stage, now: Time) -> Result<Next, CallError> {
        let no_worker = || CallError::Failed("no worker is there to trace with".into());
        Ok(Next::Stage(match stage {
            Stage::Asked(packet) => {
                let (key, frame) = *packet;
                Stage::Walked(self.packets.trace(key, frame).ok_or_else(no_worker)?, now + WAIT)
            }
            Stage::Walked(answer, _) => match answer.try_recv() {
                Ok(trace) => {
                    let search = Search::begin(&mut self.control, &trace, MOST_PASSED_OVER).map_err(|e| failed(&e))?;
                    Stage::Sought(Box::new((trace, search)))
                }
                Err(TryRecvError::Empty) => Stage::Walked(answer, now + WAIT),
                Err(TryRecvError::Disconnected) => return Err(no_worker()),
            },
            Stage::Sought(mut sought) => {
                if !sought.1.go_on(&self.control, PIECE) {
                    return Ok(Next::Stage(Stage::Sought(sought)));
                }
                let (trace, search) = *sought;
                let met = search.end(&mut self.control, now);
                return Ok(Next::Told(explain::explain(&trace, &met)));
            }
        }))
    }

    /// When to go on.
    pub(super) fn tracing_due(&self, now: Time) -> Option<Time> {
        match self.tracings.0.front()?.stage {
            Stage::Walked(_, at) => Some(at),
            Stage::Asked(_) | Stage::Sought(_) => Some(now),
        }
    }
}

enum Next {
    Stage(Stage),
    Told(serde_json::Value),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Instance;
    use crate::bridge::hub::Backend;
    use crate::bridge::tests::{Bench, add};
    use crossbeam::channel::{Sender, bounded};
    use datapath::engine::Collected;
    use datapath::trace::{Step, What};
    use ofproto::Version;
    use ofproto::flow::{FlowMod, FlowModFlags};
    use ofproto::ids::TableId;
    use ofproto::message::Message;

    const V13: Version = Version::V13;

    fn asked(b: &mut Bench) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        b.hub.switch.trace(1, &TracePacket::Flow("ip".into()), reply);
        answer
    }

    /// Ticks when one is due, as the bridge's thread does, until the answer is there or nothing is due.
    fn answered(b: &mut Bench, answer: &mut oneshot::Receiver<Answer>) -> Option<Answer> {
        for _ in 0..1000 {
            if let Ok(answer) = answer.try_recv() {
                return Some(answer);
            }
            b.now = b.hub.switch.tracing_due(b.now)?.max(b.now);
            assert!(b.hub.switch.deadline(b.now).is_some_and(|at| at <= b.now), "or it would wait for ever");
            b.hub.switch.tick(b.now);
        }
        None
    }

    fn walker(b: &mut Bench) -> Sender<Trace> {
        let (walker, walked) = bounded(1);
        b.packets.walks(walked);
        walker
    }

    fn a_miss() -> Trace {
        let what = What::Lookup { table: TableId(0), key: Box::default(), hit: None };
        Trace { steps: vec![Step { depth: 0, what }], result: Collected::default() }
    }

    #[test]
    fn nobody_waits_for_the_worker_and_the_answer_is_found_whenever_it_comes() {
        let mut b = Bench::new();
        let c = b.connect(V13);
        b.say(c, V13, 1, &Message::FlowMod(FlowMod { priority: 9, ..add(1, FlowModFlags::empty()) }));
        let worker = walker(&mut b);
        let mut answer = asked(&mut b);
        assert!(answered(&mut b, &mut answer).is_none(), "it hasn't answered");
        worker.send(a_miss()).unwrap();
        let told = answered(&mut b, &mut answer).unwrap().unwrap();
        let text = told["text"].as_str().unwrap();
        assert!(text.contains("no entry matched") && text.contains("not priority=9"), "{text}");
        assert!(b.hub.switch.tracing_due(b.now).is_none());
    }

    #[test]
    fn without_a_worker_or_with_a_port_that_is_none_it_is_said_so() {
        let mut b = Bench::new();
        let mut answer = asked(&mut b);
        assert!(matches!(answered(&mut b, &mut answer), Some(Err(CallError::Failed(_)))));
        drop(walker(&mut b));
        let mut answer = asked(&mut b);
        assert!(matches!(answered(&mut b, &mut answer), Some(Err(CallError::Failed(_)))), "it broke off");
        let (reply, mut answer) = oneshot::channel();
        b.hub.switch.trace(77, &TracePacket::Flow("ip".into()), reply);
        assert!(matches!(answer.try_recv(), Ok(Err(CallError::NotFound(_)))));
        // Who goes away is forgotten, and keeps nobody.
        let _worker = walker(&mut b);
        drop(asked(&mut b));
        b.hub.switch.tick(b.now);
        assert!(b.hub.switch.tracing_due(b.now).is_none());
    }
}
