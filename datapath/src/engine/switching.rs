//! The learning switch for the frames of a burst: where their addresses may stand is asked for together, and frames
//! stay in their places until they are dealt out.

use super::burst::{Around, BURST, FastPath};
use crate::cache::{Fate, Found, LEAVE, way_to};
use crate::frame::Frame;
use crate::normal::{Station, Where};
use crate::pipeline::{Addresses, DropReason, Lost, Sink, View, all_ports, may_not_send};
use ofproto::ids::{PortNo, QueueId, TableId};
use smallvec::SmallVec;

/// Ports that are known to take what is sent to them.
const OPEN: usize = 8;

/// What the learning switch knows during a burst, which sees one version of the ports.
#[derive(Debug, Default)]
pub(super) struct Switching {
    stations: [[Station; 2]; BURST],
    /// Whether packets of this port teach.
    teaches: Option<bool>,
    open: [Option<PortNo>; OPEN],
    next: usize,
    flooded: Option<SmallVec<[PortNo; 16]>>,
}

impl Switching {
    /// Another burst begins.
    #[inline]
    pub(super) fn reset(&mut self) {
        (self.teaches, self.flooded, self.next) = (None, None, 0);
        self.open = [None; OPEN];
    }
}

/// Which frames are to be switched, and in what circumstances.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) from: usize,
    pub(super) n: usize,
    pub(super) queue: Option<QueueId>,
    /// The walk that ends here.
    pub(super) found: Found,
}

/// Where a frame goes.
#[derive(Clone, Copy)]
enum Way {
    /// Out.
    Out(Fate),
    /// Nowhere; the port may be to blame.
    Lost(DropReason, Option<PortNo>),
    Flood,
}

impl FastPath {
    /// Decides where frames of at least 14 bytes go; those before them are decided on.
    #[inline(never)]
    pub(super) fn switch<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        batch: Batch,
    ) {
        let Batch { from, n, queue, .. } = batch;
        let (view, env, in_port) = (around.view, around.env, around.in_port);
        let n = n.min(BURST).min(frames.len().saturating_sub(from));
        let (mut twins, mut last) = (0u32, None);
        for (k, frame) in frames.iter().skip(from).take(n).enumerate() {
            let bytes = frame.bytes();
            // Type and tag are in it, if that isn't cut off.
            let head = bytes.first_chunk().copied().map(u128::from_ne_bytes).filter(|_| bytes.len() >= 18);
            if head.is_some() && head == last {
                twins |= 1 << k;
                continue;
            }
            last = head;
            let a = Addresses::of_bytes(bytes);
            let stations = [a.src, a.dst].map(|mac| env.normal.station(a.vlan, mac));
            stations.iter().for_each(|s| env.normal.prefetch(*s));
            self.switching.stations[k] = stations;
        }
        let teaches = *self.switching.teaches.get_or_insert_with(|| !env.dry && view.port(in_port).is_some());
        let mut k = 0;
        while k < n {
            let [src, dst] = self.switching.stations[k];
            if teaches {
                env.normal.learn_at(src, in_port, env.now);
            }
            let way = match env.normal.find_at(dst, env.now) {
                Where::Port(port) if port == in_port => Way::Lost(DropReason::OutputToInPort, None),
                Where::Port(port) => self.switching.way(port, queue, view),
                Where::Flood => Way::Flood,
            };
            // Those with the same addresses behind it go the same way.
            let alike = 1 + (twins >> k >> 1).trailing_ones() as usize;
            for i in from + k..from + k + alike {
                self.fates[i] = match way {
                    Way::Out(fate) => fate,
                    Way::Lost(reason, port) => lose(around, reason, self.last_table(batch), port),
                    Way::Flood => self.flood(around, frames, i, batch),
                };
                self.decided = i + 1;
            }
            k += alike;
        }
    }

    #[cold]
    fn last_table(&self, batch: Batch) -> Option<TableId> {
        self.cache.segments.last_table(&batch.found.ids())
    }

    /// Sends copies of frame `i` to all ports but the last; which is the fate of the frame itself.
    #[inline(never)]
    fn flood<'v, V: View<'v>, S: Sink>(
        &mut self,
        around: &mut Around<'_, 'v, V, S>,
        frames: &mut [Frame],
        i: usize,
        batch: Batch,
    ) -> Fate {
        let (view, in_port) = (around.view, around.in_port);
        let ports = self.switching.flooded.take().unwrap_or_else(|| all_ports(view, in_port, true));
        let fate = match ports.split_last() {
            None => lose(around, DropReason::NoOutput, self.last_table(batch), None),
            Some((last, others)) => {
                let fate = way_to(*last, batch.queue);
                if !others.is_empty() {
                    self.before_copies(around, frames, i, fate);
                }
                for port in others {
                    around.sink.transmit_copy(*port, batch.queue, &frames[i]);
                }
                fate
            }
        };
        self.switching.flooded = Some(ports);
        fate
    }
}

impl Switching {
    /// The way to a port where an address was seen.
    #[inline]
    fn way<'v>(&mut self, port: PortNo, queue: Option<QueueId>, view: impl View<'v>) -> Way {
        if self.open.contains(&Some(port)) { Way::Out(way_to(port, queue)) } else { self.new_way(port, queue, view) }
    }

    #[cold]
    #[inline(never)]
    fn new_way<'v>(&mut self, port: PortNo, queue: Option<QueueId>, view: impl View<'v>) -> Way {
        match may_not_send(view, port) {
            None => {
                self.open[self.next % OPEN] = Some(port);
                self.next += 1;
                Way::Out(way_to(port, queue))
            }
            // Where it was seen is no place any more.
            Some(DropReason::NoSuchPort) => Way::Flood,
            Some(reason) => Way::Lost(reason, Some(port)),
        }
    }
}

/// Counts a frame that goes nowhere; a port that doesn't let it out counts it, too.
#[cold]
#[inline(never)]
fn lose<'v, V: View<'v>, S: Sink>(
    around: &mut Around<'_, 'v, V, S>,
    reason: DropReason,
    table: Option<TableId>,
    out_port: Option<PortNo>,
) -> Fate {
    if let Some(port) = out_port {
        around.view.port_dropped(port, true);
    }
    around.sink.dropped(Lost { reason, in_port: around.in_port, table, out_port });
    LEAVE
}
