//! An entry's instructions, checked and compiled once when the entry is installed.
//!
//! [`compile`] turns a flow-mod's instruction list into a [`Program`]; [`compile_packet_out`] and
//! [`compile_bucket`] do the same for a packet-out's action list and a group bucket's action set.
//! Whatever a packet could trip over is refused here with the specification's error, so that the
//! interpreter has no failure path but a missing header (a no-op, as decided for OpenFlow 1.3.5 §7.2.5).
//!
//! Programs are immutable and shared by reference; compiling is pure.

pub mod check;
mod compile;
pub mod op;
mod resume;
#[cfg(test)]
mod tests;
mod trigger;

pub use compile::{compile, compile_bucket, compile_packet_out};
pub use op::{Bits, Choice, Conjunction, HashFields, Op, SetKey, SetOp};
pub(crate) use resume::said;
pub use resume::{Rest, ResumedPart, Resumption, Source, compile_resumption};
pub use trigger::{StatTrigger, Statistic, Threshold};

use crate::control::ports::PortTable;
use crate::group::GroupTable;
use crate::meter::MeterTable;
use crate::table::TableSettings;
use ofproto::Version;
use ofproto::ids::{Cookie, GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::matching::Match;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a list of actions stands: what may be in it and what is known of its packets.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In a flow entry.
    Flow {
        /// The entry's table.
        table: TableId,
        /// The entry's match, for prerequisites.
        matching: &'a Match,
        /// The entry's priority: an empty match of priority 0 is the table-miss entry.
        priority: u16,
    },
    /// In a bucket.
    Bucket,
    /// In a packet-out.
    PacketOut,
    /// The rest of an entry of this table, or of a packet-out (`TableId::ALL`), after a pause.
    Resumed(TableId),
}

/// What a list is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The version that the request came in.
    pub version: Version,
    /// Where the list stands.
    pub place: Place<'a>,
    /// Number of tables; the last one is `n_tables - 1`.
    pub n_tables: u8,
    /// Which of them are in the pipeline; those past its end are.
    pub tables: &'a [TableSettings],
    /// The first egress table (1.5), if any.
    pub first_egress: Option<TableId>,
    /// The groups that may be named.
    pub groups: &'a GroupTable,
    /// The meters that may be named.
    pub meters: &'a MeterTable,
    /// The queues that may be named; `None`: any.
    pub queues: Option<Queues<'a>>,
}

/// Which queues there are, by number and port.
pub type QueueSet = BTreeSet<(QueueId, PortNo)>;

/// What queues are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Queues<'a> {
    /// The ports there are: others may come, with whatever queues.
    pub ports: &'a PortTable,
    /// Their queues.
    pub all: &'a QueueSet,
}

impl Queues<'_> {
    /// Whether a packet may be put into this queue of this port: the port has it, or isn't there yet.
    fn allow(&self, port: PortNo, queue: QueueId) -> bool {
        self.all.contains(&(queue, port)) || self.ports.get(port).is_none()
    }

    /// Whether any port has a queue of this number.
    fn anywhere(&self, queue: QueueId) -> bool {
        self.all.range((queue, PortNo(0))..=(queue, PortNo(u32::MAX))).next().is_some()
    }
}

/// Flows that a learn action teaches: those of a table with a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learns {
    /// The table.
    pub table: TableId,
    /// The cookie.
    pub cookie: Cookie,
    /// They end with the last entry that teaches them (`NX_LEARN_F_DELETE_LEARNED`).
    pub delete: bool,
}

/// What a program refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Groups named directly.
    pub groups: Box<[GroupId]>,
    /// Meters named directly.
    pub meters: Box<[MeterId]>,
    /// Ports output to (enqueue counts; `out_port` filters read this).
    pub ports: Box<[PortNo]>,
    /// What learn actions teach, where that is counted or ends with the entry.
    pub learns: Box<[Learns]>,
}

impl Program {
    /// Whether it leads a packet to a table of this kind, by goto or resubmit.
    pub(crate) fn leads_to(&self, kind: impl Fn(TableId) -> bool) -> bool {
        fn any(op: &Op, kind: &dyn Fn(TableId) -> bool) -> bool {
            match op {
                Op::Resubmit { table: Some(t), .. } => kind(*t),
                // No deeper than the compiler took it.
                Op::Clone(list) => list.iter().any(|op| any(op, kind)),
                _ => false,
            }
        }
        self.goto_table.is_some_and(&kind)
            || self.apply.iter().chain(self.write.iter().map(|s| &s.op)).any(|op| any(op, &kind))
    }
}

/// A compiled instruction list.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// `Meter` (runs first).
    pub meter: Option<MeterId>,
    /// `Apply-Actions`
    pub apply: Box<[Op]>,
    /// `Clear-Actions`
    pub clear: bool,
    /// `Write-Actions`, with the place of each in the action set.
    pub write: Box<[SetOp]>,
    /// `Write-Metadata`: value and mask.
    pub metadata: Option<(u64, u64)>,
    /// `Goto-Table`
    pub goto_table: Option<TableId>,
    /// The entry is its table's table-miss entry, or its version's packet-ins say so.
    pub table_miss: bool,
    /// Nicira's `conjunction`: which clauses of which conjunctions the entry is. Such an entry is never a
    /// packet's match itself.
    pub conjunctions: Box<[Conjunction]>,
    /// `Stat-Trigger` (1.5).
    pub trigger: Option<Arc<StatTrigger>>,
    /// What it refers to.
    pub uses: Uses,
    /// Its effect on a packet is a function of the packet's key (and of groups, ports and the tables):
    /// nothing in it reads time, the payload or a random source.
    pub cacheable: bool,
}
