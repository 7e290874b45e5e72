//! Flow monitors (OpenFlow 1.4.1 §7.3.5.17, 1.5.1 §7.3.5.19; the 1.3 extension EXT-187; Nicira's
//! `NXST_FLOW_MONITOR`).

use crate::flow::FlowRemovedReason;
use crate::ids::{Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use crate::instruction::Instruction;
use crate::matching::Match;
use bitflags::bitflags;

bitflags! {
    /// `ofp_flow_monitor_flags`: what a monitor reports.
    ///
    /// OpenFlow 1.4.1 §7.3.5.17.1, 1.5.1 §7.3.5.19.1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MonitorFlags: u16 {
        /// `OFPFMF_INITIAL`
        const INITIAL = 1;
        /// `OFPFMF_ADD`
        const ADD = 2;
        /// `OFPFMF_REMOVED`
        const REMOVED = 4;
        /// `OFPFMF_MODIFY`
        const MODIFY = 8;
        /// `OFPFMF_INSTRUCTIONS`
        const INSTRUCTIONS = 16;
        /// `OFPFMF_NO_ABBREV`
        const NO_ABBREV = 32;
        /// `OFPFMF_ONLY_OWN`
        const ONLY_OWN = 64;
        const _ = !0;
    }
}

/// `ofp_flow_monitor_command`
///
/// OpenFlow 1.4.1 §7.3.5.17.1, 1.5.1 §7.3.5.19.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MonitorCommand {
    /// `OFPFMC_ADD`
    Add,
    /// `OFPFMC_MODIFY`
    Modify,
    /// `OFPFMC_DELETE`
    Delete,
    /// Not defined.
    Unknown(u8),
}

/// `ofp_flow_monitor_request`: one monitor to add, change or delete.
///
/// OpenFlow 1.4.1 §7.3.5.17.1, 1.5.1 §7.3.5.19.1; Nicira's form: `nicira-ext.h`, `struct nx_flow_monitor_request`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowMonitorRequest {
    /// The monitor.
    pub id: MonitorId,
    /// Filter.
    pub out_port: PortNo,
    /// Filter.
    pub out_group: GroupId,
    /// What to report.
    pub flags: MonitorFlags,
    /// Table.
    pub table: TableId,
    /// Command.
    pub command: MonitorCommand,
    /// Match.
    pub matching: Match,
    /// EXT-187's match (1.3) without the head of `ofp_match`, as os-ken writes it; Open vSwitch wants the head.
    pub bare: bool,
}

/// `ofp_flow_update_event` of a full update.
///
/// OpenFlow 1.4.1 §7.3.5.17.2, 1.5.1 §7.3.5.19.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowUpdateEvent {
    /// `OFPFME_INITIAL`
    Initial,
    /// `OFPFME_ADDED`
    Added,
    /// `OFPFME_REMOVED`, with the reason.
    Removed(FlowRemovedReason),
    /// `OFPFME_MODIFIED`
    Modified,
}

/// `ofp_flow_update_*`: one update. Timeouts are in seconds.
///
/// OpenFlow 1.4.1 §7.3.5.17.2, 1.5.1 §7.3.5.19.2; Nicira's form: `nicira-ext.h`, `struct nx_flow_update_full`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlowUpdate {
    /// A flow's state.
    Full {
        /// What happened.
        event: FlowUpdateEvent,
        /// Table.
        table: TableId,
        /// Idle timeout.
        idle_timeout: u16,
        /// Hard timeout.
        hard_timeout: u16,
        /// Priority.
        priority: u16,
        /// Cookie.
        cookie: Cookie,
        /// Match.
        matching: Match,
        /// Instructions, if asked for.
        instructions: Vec<Instruction>,
    },
    /// The monitor's own request with this xid took effect.
    Abbrev(Xid),
    /// Updates stop: the reader is slow.
    Paused,
    /// Updates go on.
    Resumed,
    /// An event that the version doesn't define.
    Unknown {
        /// The wire event.
        event: u16,
        /// The bytes after length and event.
        data: bytes::Bytes,
    },
}
