//! Frames that leave through several ports: copies through all but the last one, whose is the frame itself.
//!
//! Order is kept per port and queue: what was decided on before is sent before any copy, unless it waits for nothing
//! but the same last port.

use super::burst::{Around, FastPath};
use crate::cache::{Fate, GONE, Step, way_to};
use crate::frame::Frame;
use crate::pipeline::{Sink, View};
use ofproto::ids::{PortNo, QueueId};
use smallvec::SmallVec;

impl FastPath {
    /// Sends frames `i..i + n` as the end of a segment says: what it counts, and through which ports.
    #[inline(never)]
    pub(super) fn fan<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        i: usize,
        n: usize,
        segment: u32,
    ) {
        let writer = around.env.writer;
        let bytes = frames[i..i + n].iter().map(|f| f.len() as u64).sum();
        let mut ways: SmallVec<[(PortNo, Option<QueueId>); 8]> = SmallVec::new();
        for step in self.cache.segments.own_steps(segment) {
            match step {
                Step::CountGroup(g) => g.counter.add(writer, n as u64, bytes),
                Step::CountBucket(b) => b.counter.add(writer, n as u64, bytes),
                Step::Output(port, queue) => ways.push((*port, *queue)),
                _ => {}
            }
        }
        let Some(((port, queue), others)) = ways.split_last() else { return };
        let fate = way_to(*port, *queue);
        if !others.is_empty() {
            self.before_copies(around, frames, i, fate);
            for (port, queue) in others {
                frames[i..i + n].iter().for_each(|f| around.sink.transmit_copy(*port, *queue, f));
            }
        }
        self.fates[i..i + n].fill(fate);
        self.decided = i + n;
    }

    /// Frame `i` is about to leave by copies, and itself with this fate: sends what must leave before, counts first.
    pub(super) fn before_copies<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        i: usize,
        fate: Fate,
    ) {
        if self.fates[self.settled..i].iter().any(|f| *f != fate && *f != GONE) {
            self.settle(around, frames);
        } else {
            self.tell_counts(around);
        }
    }
}
