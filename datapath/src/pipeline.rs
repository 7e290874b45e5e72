//! A packet's walk through the tables: THE interpreter. Everything that shortens the way (the
//! cache) is measured against it, and `trace` runs it with an observer.
//!
//! The walk reads one version of the state through [`View`], acts on one `Packet`, and gives what
//! leaves the switch to a [`Sink`]. It keeps no state between packets and never reads a clock.
//!
//! Bounds: [`MAX_DEPTH`] nested resubmits, groups, clones and egress restarts, [`MAX_LOOKUPS`]
//! lookups and [`MAX_STEPS`] actions and copies per packet; a packet that goes beyond is dropped with
//! [`DropReason::TooComplex`].

mod edit;
mod exec;
mod freeze;
#[cfg(test)]
mod freeze_tests;
mod groups;
mod hash;
mod learn;
mod punts;
mod set;
mod switching;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use edit::apply_edit;
pub(crate) use groups::select_bits;
pub(crate) use punts::{PuntWhat, punt};
pub use set::ActionSet;
pub(crate) use switching::{Addresses, Switched, all_ports, learn_and_switch, may_not_send};
pub use walk::{Outcome, Start, execute};
pub(crate) use walk::{execute_recorded, metered, remark};

use crate::cache::CachedHit;
use crate::clock::Time;
use crate::engine::InBand;
use crate::engine::counter::Writer;
use crate::frame::Frame;
use crate::group::{GroupTable, Liveness};
use crate::key::FlowKey;
use crate::meter::MeterTable;
use crate::normal::MacTable;
use crate::program::Program;
use crate::punt::Punt;
use ofproto::flow::FlowMod;
use ofproto::ids::{Cookie, GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::packet::PacketInReason;
use ofproto::port::{PortConfig, PortState};

/// Deepest nesting.
pub const MAX_DEPTH: u32 = 64;
/// Most table lookups of one packet.
pub const MAX_LOOKUPS: u32 = 4096;
/// Most actions and copies of one packet.
pub const MAX_STEPS: u32 = 65_536;

/// Why a packet, or a copy of it, went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// Received on a port that may not receive (`PORT_DOWN`, `NO_RECV`).
    PortNoRecv,
    /// A fragment, and fragments are dropped.
    Fragment,
    /// No entry matched and the table drops misses.
    TableMiss,
    /// The action set held neither output nor group, or the action list was empty.
    NoOutput,
    /// A meter's drop band.
    Meter,
    /// A TTL was to be decremented below 1.
    InvalidTtl,
    /// Output to the ingress port without `OFPP_IN_PORT`.
    OutputToInPort,
    /// Output to a port that doesn't exist.
    NoSuchPort,
    /// Output to a port with `PORT_DOWN` or without a link.
    PortDown,
    /// Output to a port with `NO_FWD`.
    PortNoFwd,
    /// A group that is gone, has no buckets or no live one.
    NoBucket,
    /// Bounds of the walk were exceeded.
    TooComplex,
    /// The controllers' queue was full, or a meter for it was exceeded.
    ControllerQueue,
    /// A frame too short to be Ethernet.
    Malformed,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = 14;
    /// Every reason, in order of number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::PortNoRecv,
        Self::Fragment,
        Self::TableMiss,
        Self::NoOutput,
        Self::Meter,
        Self::InvalidTtl,
        Self::OutputToInPort,
        Self::NoSuchPort,
        Self::PortDown,
        Self::PortNoFwd,
        Self::NoBucket,
        Self::TooComplex,
        Self::ControllerQueue,
        Self::Malformed,
    ];

    /// A short name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PortNoRecv => "port_no_recv",
            Self::Fragment => "fragment",
            Self::TableMiss => "table_miss",
            Self::NoOutput => "no_output",
            Self::Meter => "meter",
            Self::InvalidTtl => "invalid_ttl",
            Self::OutputToInPort => "output_to_in_port",
            Self::NoSuchPort => "no_such_port",
            Self::PortDown => "port_down",
            Self::PortNoFwd => "port_no_fwd",
            Self::NoBucket => "no_bucket",
            Self::TooComplex => "too_complex",
            Self::ControllerQueue => "controller_queue",
            Self::Malformed => "malformed",
        }
    }
}

/// A packet, or a copy of it, that went nowhere, and where that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Why.
    pub reason: DropReason,
    /// Where it came in.
    pub in_port: PortNo,
    /// The table that was asked last, if any was.
    pub table: Option<TableId>,
    /// The port that it was to leave through, if that was to blame.
    pub out_port: Option<PortNo>,
}

/// What a table does with a packet that nothing matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Drop it.
    Drop,
    /// Send it to the controller.
    Controller,
    /// Go on in the next table.
    Continue,
}

/// A port as packets feel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// Its number.
    pub no: PortNo,
    /// `OFPPC_*`
    pub config: PortConfig,
    /// `OFPPS_*`
    pub state: PortState,
}

impl PortFacts {
    /// Whether every frame may come in.
    pub const fn takes_all(&self) -> bool {
        let shut = PortConfig::PORT_DOWN.union(PortConfig::NO_RECV).union(PortConfig::NO_RECV_STP);
        !self.config.intersects(shut)
    }

    /// Whether a frame of this kind may come in: 1.0 asks for 802.1D's apart from all others (OpenFlow 1.0.0 §5.2.1);
    /// later versions' `NO_RECV` sets both bits.
    pub const fn takes(&self, is_stp: bool) -> bool {
        let refused = if is_stp { PortConfig::NO_RECV_STP } else { PortConfig::NO_RECV };
        !self.config.intersects(PortConfig::PORT_DOWN.union(refused))
    }

    /// Not administratively down and with a link.
    pub const fn is_up(&self) -> bool {
        !self.config.contains(PortConfig::PORT_DOWN) && !self.state.contains(PortState::LINK_DOWN)
    }
}

/// Switch-wide settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many tables there are.
    pub n_tables: u8,
    /// Where egress processing begins (1.5), if anywhere.
    pub first_egress: Option<TableId>,
    /// Bytes of packets that misses and invalid TTLs send to the controllers.
    pub miss_send_len: u16,
    /// `OFPC_FRAG_DROP`
    pub drop_fragments: bool,
}

/// A matched entry.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'v> {
    /// What to do.
    pub program: &'v Program,
    /// Its cookie.
    pub cookie: Cookie,
    /// Its priority.
    pub priority: u16,
    /// Its name, for counting and for the cache.
    pub handle: CachedHit,
}

/// One version of everything that packets read.
pub trait View<'v>: Copy {
    /// The entry of `table` that the key matches.
    fn lookup(self, table: TableId, key: &FlowKey) -> Option<Hit<'v>>;
    /// [`lookup`](Self::lookup) for the packets of a burst that stand before the same table: `out[i]` is for
    /// `keys[i]`, further places stay as they are. Their memory accesses overlap, so that many together cost
    /// less than one by one; 8 to 32 are a good number. Any number is right.
    fn lookup_burst(self, table: TableId, keys: &[&FlowKey], out: &mut [Option<Hit<'v>>]) {
        for (key, out) in keys.iter().zip(out) {
            *out = self.lookup(table, key);
        }
    }
    /// What `table` does on a miss.
    fn miss(self, table: TableId) -> Miss;
    /// Settings.
    fn settings(self) -> Settings;
    /// What passes beside the tables, if anything does.
    fn in_band(self) -> Option<&'v InBand> {
        None
    }
    /// Groups.
    fn groups(self) -> &'v GroupTable;
    /// Meters.
    fn meters(self) -> &'v MeterTable;
    /// A port.
    fn port(self, no: PortNo) -> Option<PortFacts>;
    /// Counts a frame that a port's configuration or state kept from coming in, or (`sending`) going out.
    fn port_dropped(self, _no: PortNo, _sending: bool) {}
    /// Every port, ascending.
    fn each_port(self, f: &mut dyn FnMut(PortFacts));
    /// Every key bit that some entry of some table looks at.
    fn union_mask(self) -> FlowKey;
    /// Counts packets on what has this number ([`CachedHit::stats`]).
    fn count(self, stats: u32, packets: u64, bytes: u64, now: Time);
    /// Asks for the memory that [`count`](Self::count) will touch.
    fn prefetch_count(self, _stats: u32) {}
    /// Counts lookups, and how many of them found something.
    fn count_table(self, table: TableId, lookups: u64, matched: u64);
}

/// Liveness of ports for groups, as a view knows it.
pub(crate) struct Ports<V>(pub V);

impl<'v, V: View<'v>> Liveness for Ports<V> {
    fn port_live(&self, port: PortNo) -> bool {
        self.0.port(port).is_some_and(|p| p.is_up())
    }
}

/// A wish of the pipeline that only control can fulfil.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A learn action's flow.
    Learn {
        /// The flow-mod to apply.
        flow_mod: Box<FlowMod>,
        /// Most flows with its cookie in its table; 0: no limit.
        limit: u32,
        /// A packet that goes on when that is done.
        waiting: Option<Box<Waiting>>,
    },
    /// A FIN or RST passed an entry with `fin_timeout`: shorten its timeouts.
    FinTimeout {
        /// The entry.
        entry: CachedHit,
        /// New idle timeout, 0: as it is.
        idle: u16,
        /// New hard timeout, 0: as it is.
        hard: u16,
    },
}

/// A packet that waits for a learn action's outcome (Nicira's `result_dst`).
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Which bit takes whether the flow is there.
    pub result: crate::program::Bits,
    /// Its fields, the pipeline's among them.
    pub key: FlowKey,
    /// Its bytes, checksums finished.
    pub frame: bytes::Bytes,
    /// What it still has to do.
    pub rest: ofproto::continuation::Continuation,
}

/// Where what leaves the pipeline goes.
pub trait Sink {
    /// A frame leaves through a port that may send it.
    fn transmit(&mut self, port: PortNo, queue: Option<QueueId>, frame: Frame);
    /// All of `frames`, in order, leave through one port.
    fn transmit_all(&mut self, port: PortNo, queue: Option<QueueId>, frames: &mut Vec<Frame>) {
        for frame in frames.drain(..) {
            self.transmit(port, queue, frame);
        }
    }
    /// Whether a packet for the controllers may come from here now; false is counted as a drop.
    fn admits(&mut self, _in_port: PortNo, _table: TableId, _reason: PacketInReason, _now: Time) -> bool {
        true
    }
    /// A packet for the controllers; false if there was no room.
    fn punt(&mut self, punt: Punt) -> bool;
    /// A wish for control, made at `now`; false if there was no room.
    fn request(&mut self, request: Request, now: Time) -> bool;
    /// A packet or a copy went nowhere.
    fn dropped(&mut self, lost: Lost);
    /// A copy of a frame leaves.
    fn transmit_copy(&mut self, port: PortNo, queue: Option<QueueId>, frame: &Frame) {
        let copy = self.copy(frame);
        self.transmit(port, queue, copy);
    }
    /// A copy of a frame, in a buffer of whoever sends.
    fn copy(&mut self, frame: &Frame) -> Frame {
        frame.duplicate()
    }
    /// A frame that nothing was left to do with.
    fn left(&mut self, frame: Frame) {
        drop(frame);
    }
    /// Frames that nothing was left to do with.
    fn left_all(&mut self, frames: &mut Vec<Frame>) {
        for frame in frames.drain(..) {
            self.left(frame);
        }
    }
    /// A sample action chose the packet.
    fn sampled(&mut self, _collector_set_id: u32) {}
}

/// What an observer is told.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "events name what the pipeline does")]
pub enum Event<'a> {
    Lookup {
        table: TableId,
        key: &'a FlowKey,
        hit: Option<(CachedHit, u16, Cookie)>,
    },
    Miss {
        table: TableId,
        miss: Miss,
    },
    Action {
        op: &'a crate::program::Op,
    },
    Set {
        ops: Vec<crate::program::Op>,
    },
    Group {
        group: GroupId,
        bucket: Option<usize>,
    },
    Meter {
        meter: MeterId,
        verdict: Option<crate::meter::Verdict>,
    },
    Egress {
        port: PortNo,
        table: TableId,
    },
    Output {
        port: PortNo,
        queue: Option<QueueId>,
        len: usize,
    },
    Controller {
        reason: ofproto::packet::PacketInReason,
        max_len: u16,
    },
    Drop {
        reason: DropReason,
    },
    /// What follows is one level deeper, until as many `Back`.
    Down,
    Back,
}

/// Sees a walk happen.
pub trait Observer {
    /// Whether anything is to be told; `false` makes every call vanish.
    const ON: bool;
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    const ON: bool = false;
    fn event(&mut self, _event: Event<'_>) {}
}

/// What a walk is given beside packet and tables.
#[derive(Clone, Copy, Debug)]
pub struct Env<'v> {
    /// The moment.
    pub now: Time,
    /// Whose counter cells to write.
    pub writer: Writer,
    /// The learning switch behind `OFPP_NORMAL`.
    pub normal: &'v MacTable,
    /// Trace only: nothing is counted, charged or learnt.
    pub dry: bool,
}
