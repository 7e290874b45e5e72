//! Flow statistics (OpenFlow 1.3.5 §7.3.5.2-3; 1.5.1 §7.2.4: OXS) and the statistics requests' filters.

use crate::flow::{FlowMod, FlowModFlags};
use crate::ids::{Cookie, GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::Match;
use bytes::Bytes;

/// One OXS statistic (1.5).
///
/// OpenFlow 1.5.1 §7.2.4.2-5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FlowStat {
    /// `OXS_OF_DURATION`: seconds, nanoseconds.
    Duration(u32, u32),
    /// `OXS_OF_IDLE_TIME`: seconds, nanoseconds.
    IdleTime(u32, u32),
    /// `OXS_OF_FLOW_COUNT`
    FlowCount(u32),
    /// `OXS_OF_PACKET_COUNT`
    PacketCount(u64),
    /// `OXS_OF_BYTE_COUNT`
    ByteCount(u64),
    /// One not known: class, field with reserved bit, payload.
    Unknown(u16, u8, Bytes),
}

/// The statistics of a flow, as every version counts them; 1.5's list (`ofp_stats`) may lack some or hold others.
///
/// OpenFlow 1.3.5 §5.8, §7.3.5.2; 1.5.1 §7.2.4; 1.0.0 §5.3.5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowStats {
    /// Seconds alive.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Packets.
    pub packet_count: u64,
    /// Bytes.
    pub byte_count: u64,
    /// Seconds and nanoseconds since the last packet (1.5).
    pub idle: Option<(u32, u32)>,
    /// The 1.5 list as received, when it isn't exactly duration, idle time?, packets, bytes in this order.
    pub oxs: Option<Vec<FlowStat>>,
}

/// `ofp_flow_stats_request` and `ofp_aggregate_stats_request`: which entries are meant.
///
/// OpenFlow 1.3.5 §7.3.5.2-3, 1.4.1 §7.3.5.2-3, 1.5.1 §7.3.5.2-4, 1.0.0 §5.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowStatsRequest {
    /// Which table (`ALL`: every one).
    pub table: TableId,
    /// Only entries that output here (`ANY`: no filter).
    pub out_port: PortNo,
    /// Only entries that use this group (`ANY`: no filter).
    pub out_group: GroupId,
    /// Cookie bits.
    pub cookie: Cookie,
    /// Which bits.
    pub cookie_mask: u64,
    /// Entries at least as specific.
    pub matching: Match,
}

impl Default for FlowStatsRequest {
    fn default() -> Self {
        Self {
            table: TableId::ALL,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            cookie: Cookie(0),
            cookie_mask: 0,
            matching: Match::any(),
        }
    }
}

/// `ofp_flow_stats` (1.5: `ofp_flow_desc`), an entry of the flow (1.5: flow-desc) reply. Timeouts are in seconds.
///
/// OpenFlow 1.3.5 §7.3.5.2, 1.4.1 §7.3.5.2, 1.5.1 §7.3.5.2, 1.0.0 §5.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowDesc {
    /// Table.
    pub table: TableId,
    /// Priority.
    pub priority: u16,
    /// Idle timeout.
    pub idle_timeout: u16,
    /// Hard timeout.
    pub hard_timeout: u16,
    /// Flags (1.3+).
    pub flags: FlowModFlags,
    /// Importance (1.4+).
    pub importance: u16,
    /// Cookie.
    pub cookie: Cookie,
    /// Statistics.
    pub stats: FlowStats,
    /// Match.
    pub matching: Match,
    /// Instructions.
    pub instructions: Vec<Instruction>,
}

impl FlowDesc {
    /// The entry that a flow-mod adds, with these statistics.
    pub fn added(m: FlowMod, stats: FlowStats) -> Self {
        Self {
            table: m.table,
            priority: m.priority,
            idle_timeout: m.idle_timeout,
            hard_timeout: m.hard_timeout,
            flags: m.flags,
            importance: m.importance,
            cookie: m.cookie,
            stats,
            matching: m.matching,
            instructions: m.instructions,
        }
    }
}

/// `ofp_flow_stats` of 1.5, an entry of its `OFPMP_FLOW_STATS` reply: statistics without instructions.
///
/// OpenFlow 1.5.1 §7.3.5.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowStatsEntry {
    /// Table.
    pub table: TableId,
    /// `OFPFSR_STATS_REQUEST` (0) or `STAT_TRIGGER` (1).
    pub reason: u8,
    /// Priority.
    pub priority: u16,
    /// Match.
    pub matching: Match,
    /// Statistics.
    pub stats: FlowStats,
}

/// `ofp_aggregate_stats_reply`: sums over entries.
///
/// OpenFlow 1.3.5 §7.3.5.3, 1.4.1 §7.3.5.3, 1.5.1 §7.3.5.4, 1.0.0 §5.3.5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AggregateStats {
    /// Packets.
    pub packet_count: u64,
    /// Bytes.
    pub byte_count: u64,
    /// Flows.
    pub flow_count: u32,
    /// The 1.5 list as received, when it isn't exactly packets, bytes, flows.
    pub oxs: Option<Vec<FlowStat>>,
}

/// `ofp_desc`, the switch's description (`OFPMP_DESC`): ASCII, at most 255 bytes each, the serial number 31.
///
/// OpenFlow 1.3.5 §7.3.5.1, 1.5.1 §7.3.5.1, 1.0.0 §5.3.5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SwitchDesc {
    /// Manufacturer.
    pub mfr_desc: String,
    /// Hardware.
    pub hw_desc: String,
    /// Software.
    pub sw_desc: String,
    /// Serial number.
    pub serial_num: String,
    /// Datapath.
    pub dp_desc: String,
}
