//! Packets to and from the controller (OpenFlow 1.3.5 §7.3.7, §7.4.1; 1.5.1 §7.3.6, §7.4.1).

use crate::action::Action;
use crate::ids::{BufferId, Cookie, TableId};
use crate::matching::Match;
use bytes::Bytes;

/// `ofp_packet_in_reason`: why a packet goes to the controller (1.4's distinctions; earlier versions fold them).
///
/// OpenFlow 1.3.5 §7.4.1, 1.4.1 §7.4.1, 1.5.1 §7.4.1, 1.0.0 §5.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PacketInReason {
    /// `OFPR_NO_MATCH`/`OFPR_TABLE_MISS`
    TableMiss,
    /// `OFPR_ACTION`/`OFPR_APPLY_ACTION`
    ApplyAction,
    /// `OFPR_INVALID_TTL`
    InvalidTtl,
    /// `OFPR_ACTION_SET` (1.4+)
    ActionSet,
    /// `OFPR_GROUP` (1.4+)
    Group,
    /// `OFPR_PACKET_OUT` (1.4+)
    PacketOut,
    /// Another number.
    Other(u8),
}

/// `OFPT_PACKET_IN` (and Nicira's packet-in forms, see [`nx_message`](crate::nx_message)).
///
/// OpenFlow 1.3.5 §7.4.1, 1.5.1 §7.4.1, 1.0.0 §5.4.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PacketIn {
    /// Kept under this id.
    pub buffer_id: BufferId,
    /// Full length of the frame.
    pub total_len: u16,
    /// Why.
    pub reason: PacketInReason,
    /// From which table (1.1+).
    pub table: TableId,
    /// Of the entry (1.3+).
    pub cookie: Cookie,
    /// Pipeline fields: at least `in_port`. 1.0 and 1.1 carry `in_port` (and `in_phy_port`) only.
    pub matching: Match,
    /// The frame's first bytes.
    pub data: Bytes,
}

/// `OFPT_PACKET_OUT`: a packet to be sent.
///
/// OpenFlow 1.3.5 §7.3.7, 1.4.1 §7.3.6, 1.5.1 §7.3.6, 1.0.0 §5.3.6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PacketOut {
    /// A kept packet, or `NONE`.
    pub buffer_id: BufferId,
    /// Pipeline fields; before 1.5 exactly `in_port`.
    pub matching: Match,
    /// What to do with it.
    pub actions: Vec<Action>,
    /// The frame, if not buffered.
    pub data: Bytes,
}
