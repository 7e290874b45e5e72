//! What control has to tell: drained by its owner after every call.

use ofproto::flow::{FlowModFlags, FlowRemoved, FlowRemovedReason};
use ofproto::ids::{Cookie, GroupId, MeterId, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::port::{Port, PortReason};
use ofproto::stats::FlowStatsEntry;
use ofproto::table::TableStatus;
use std::sync::Arc;

/// Something that happened to the switch's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A flow entry with `OFPFF_SEND_FLOW_REM` ended; its counters are final.
    FlowRemoved(FlowRemoved),
    /// A flow entry changed; only while [`watch_flows`](super::Control::watch_flows) is on.
    FlowChanged(FlowChange),
    /// Statistics of entries whose stat-trigger's thresholds were passed (1.5).
    FlowStats(Vec<FlowStatsEntry>),
    /// A table's free space passed a threshold (1.4+).
    TableStatus(TableStatus),
    /// A port came, went or changed. `by_request`: a port-mod did it.
    PortStatus {
        /// What happened.
        reason: PortReason,
        /// The port as it is now (as it was, if it went).
        port: Port,
        /// A controller's port-mod did it (before 1.5 that one needs no message).
        by_request: bool,
    },
    /// A group is gone, and the flow entries that used it.
    GroupDeleted(GroupId),
    /// A meter is gone, and the flow entries that used it.
    MeterDeleted(MeterId),
}

/// What happened to a flow entry, for flow monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed(FlowRemovedReason),
    /// Its instructions (1.0: or its cookie) are others, or an identical one replaced it.
    Modified,
}

/// A flow entry's change.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowChange {
    /// What happened.
    pub kind: FlowChangeKind,
    /// Table.
    pub table: TableId,
    /// Priority.
    pub priority: u16,
    /// Cookie.
    pub cookie: Cookie,
    /// Idle timeout in seconds.
    pub idle_timeout: u16,
    /// Hard timeout in seconds.
    pub hard_timeout: u16,
    /// Flags.
    pub flags: FlowModFlags,
    /// Match.
    pub matching: Match,
    /// Instructions now; of an entry removed, its last ones.
    pub instructions: Arc<[Instruction]>,
    /// Instructions before a modification.
    pub before: Option<Arc<[Instruction]>>,
}
