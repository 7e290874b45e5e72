//! Flow entries: flow-mod and flow-removed (OpenFlow 1.3.5 §7.3.4.1, §7.4.2; 1.5.1 §7.3.4.2, §7.4.2).

use crate::ids::{BufferId, Cookie, GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::stats::FlowStats;
use bitflags::bitflags;

/// `ofp_flow_mod_command`: what a flow-mod does.
///
/// OpenFlow 1.3.5 §6.4, 1.5.1 §6.4, 1.0.0 §4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowModCommand {
    /// `OFPFC_ADD`
    Add,
    /// `OFPFC_MODIFY`
    Modify,
    /// `OFPFC_MODIFY_STRICT`
    ModifyStrict,
    /// `OFPFC_DELETE`
    Delete,
    /// `OFPFC_DELETE_STRICT`
    DeleteStrict,
    /// Not defined; refused with `OFPFMFC_BAD_COMMAND`.
    Unknown(u16),
}

bitflags! {
    /// `ofp_flow_mod_flags`; unknown bits are kept and refused with `OFPFMFC_BAD_FLAGS`.
    ///
    /// OpenFlow 1.3.5 §7.3.4.1, 1.4.1 §7.3.4.2, 1.5.1 §7.3.4.2, 1.0.0 §5.3.3.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FlowModFlags: u16 {
        /// `OFPFF_SEND_FLOW_REM`
        const SEND_FLOW_REM = 1;
        /// `OFPFF_CHECK_OVERLAP`
        const CHECK_OVERLAP = 2;
        /// `OFPFF_RESET_COUNTS` (1.2+); 1.0's `OFPFF_EMERG` has the same bit, see [`FlowModFlags::EMERG`].
        const RESET_COUNTS = 4;
        /// `OFPFF_NO_PKT_COUNTS`
        const NO_PKT_COUNTS = 8;
        /// `OFPFF_NO_BYT_COUNTS`
        const NO_BYT_COUNTS = 16;
        /// 1.0's `OFPFF_EMERG` (wire bit 4 of that version).
        const EMERG = 0x8000;
        const _ = !0;
    }
}

/// `OFPT_FLOW_MOD`: adds, changes or deletes flow entries. Timeouts are in seconds.
///
/// OpenFlow 1.3.5 §6.4, §7.3.4.1; 1.4.1 §7.3.4.2; 1.5.1 §7.3.4.2; 1.0.0 §4.6, §5.3.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowMod {
    /// Opaque id.
    pub cookie: Cookie,
    /// Restricts modify and delete; 0 means no restriction (1.1+).
    pub cookie_mask: u64,
    /// Which table; `ALL` deletes from all. 1.0: `TableId(0)`, or as the Nicira table-id extension says.
    pub table: TableId,
    /// What to do.
    pub command: FlowModCommand,
    /// Seconds without a packet, 0: none.
    pub idle_timeout: u16,
    /// Seconds since insertion, 0: none.
    pub hard_timeout: u16,
    /// Priority.
    pub priority: u16,
    /// Packet to send through the new entry.
    pub buffer_id: BufferId,
    /// Delete filter (`ANY`: none).
    pub out_port: PortNo,
    /// Delete filter (`ANY`: none).
    pub out_group: GroupId,
    /// Flags.
    pub flags: FlowModFlags,
    /// Eviction precedence (1.4+).
    pub importance: u16,
    /// What packets.
    pub matching: Match,
    /// What to do with them.
    pub instructions: Vec<Instruction>,
}

impl Default for FlowMod {
    fn default() -> Self {
        Self {
            cookie: Cookie(0),
            cookie_mask: 0,
            table: TableId(0),
            command: FlowModCommand::Add,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0x8000,
            buffer_id: BufferId::NONE,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            flags: FlowModFlags::empty(),
            importance: 0,
            matching: Match::any(),
            instructions: Vec::new(),
        }
    }
}

/// `ofp_flow_removed_reason`
///
/// OpenFlow 1.3.5 §7.4.2, 1.4.1 §7.4.2, 1.5.1 §7.4.2, 1.0.0 §5.4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowRemovedReason {
    /// `OFPRR_IDLE_TIMEOUT`
    IdleTimeout,
    /// `OFPRR_HARD_TIMEOUT`
    HardTimeout,
    /// `OFPRR_DELETE`
    Delete,
    /// `OFPRR_GROUP_DELETE` (before 1.3: `DELETE`)
    GroupDelete,
    /// `OFPRR_METER_DELETE` (before 1.4: `DELETE`)
    MeterDelete,
    /// `OFPRR_EVICTION` (before 1.4: `DELETE`, or the 1.3 extension's number)
    Eviction,
    /// Not defined by the version.
    Unknown(u8),
}

/// `OFPT_FLOW_REMOVED`: an entry that asked for it has ended. Timeouts are in seconds.
///
/// OpenFlow 1.3.5 §5.5, §7.4.2; 1.5.1 §6.5, §7.4.2; 1.0.0 §4.7, §5.4.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowRemoved {
    /// Cookie.
    pub cookie: Cookie,
    /// Priority.
    pub priority: u16,
    /// Why.
    pub reason: FlowRemovedReason,
    /// From which table (1.1+).
    pub table: TableId,
    /// Idle timeout of the flow-mod.
    pub idle_timeout: u16,
    /// Hard timeout of the flow-mod (1.2+).
    pub hard_timeout: u16,
    /// Duration, packets and bytes.
    pub stats: FlowStats,
    /// The match.
    pub matching: Match,
}
