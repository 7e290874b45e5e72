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
    /// A worker walks it.
    Walked(Receiver<Trace>),
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
                Stage::Walked(self.packets.trace(key, frame).ok_or_else(no_worker)?)
            }
            Stage::Walked(answer) => match answer.try_recv() {
                Ok(trace) => {
                    let search = Search::begin(&mut self.control, &trace, MOST_PASSED_OVER).map_err(|e| failed(&e))?;
                    Stage::Sought(Box::new((trace, search)))
                }
                Err(TryRecvError::Empty) => Stage::Walked(answer),
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
        let first = self.tracings.0.front()?;
        Some(if matches!(first.stage, Stage::Walked(_)) { now + WAIT } else { now })
    }
}

enum Next {
    Stage(Stage),
    Told(serde_json::Value),
}
