//! Packet-outs that control's own thread carries out: those that do no more than leave through a few ports, as
//! nearly all do. Handing one to a worker costs more than sending it.
//!
//! It is the same interpreter on the same state as a worker's; control counts as a writer of its own.

use super::Control;
use crate::clock::Time;
use crate::engine::counter::Writer;
use crate::engine::{Shared, Way};
use crate::frame::Frame;
use crate::key::FlowKey;
use crate::pipeline::Start;
use crate::program::{Op, Program};
use crate::worker::TxQueues;
use ofproto::ids::PortNo;

/// Frames that one packet-out may become here: what is more would keep control from everybody else.
const MOST_FRAMES: usize = 64;

impl Control {
    /// Whether a packet-out, by [`crate::program::compile_packet_out`], only leaves through a few ports:
    /// asks no table, changes nothing and goes to no controller.
    pub fn may_send(&self, program: &Program) -> bool {
        let frames = |op: &Op| match op {
            Op::Output { port: PortNo::ALL | PortNo::FLOOD, .. } => Some(self.state.ports.len()),
            Op::Output { port, .. } if port.0 <= PortNo::MAX.0 || matches!(*port, PortNo::LOCAL | PortNo::IN_PORT) => {
                Some(1)
            }
            _ => None,
        };
        self.state.config.first_egress.is_none()
            && program.apply.iter().try_fold(0, |sum, op| Some(sum + frames(op)?)).is_some_and(|n| n <= MOST_FRAMES)
    }

    /// Carries out such a packet-out through the caller's own transmit halves, `key` with the pipeline fields
    /// that the message gave. What is queued in `tx` is the caller's to flush.
    pub fn send(&self, shared: &Shared, program: &Program, key: FlowKey, frame: Frame, tx: &mut TxQueues, now: Time) {
        let view = self.writer.view(&self.state, self.counters.own());
        let way = Way { shared, writer: Writer::CONTROL, now };
        way.walk(view, Start::PacketOut(program), key, frame, tx);
    }
}
