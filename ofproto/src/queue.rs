//! Queues (OpenFlow 1.3.5 §7.2.2, §7.3.5.8, §7.3.6; 1.4.1 §7.3.5.9-10; 1.5.1 §7.3.5.7-8).

use crate::group::OtherProp;
use crate::ids::{PortNo, QueueId};

/// A queue property (`ofp_queue_properties`, 1.4+: `ofp_queue_desc_prop_type`).
///
/// OpenFlow 1.3.5 §7.2.2, 1.4.1 §7.3.5.10, 1.5.1 §7.3.5.8, 1.0.0 §5.2.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum QueueProp {
    /// Guaranteed rate in tenths of a per cent of the port's; above 1000: not configured.
    MinRate(u16),
    /// Rate limit, likewise.
    MaxRate(u16),
    /// Anything else.
    Other(OtherProp),
}

/// A queue's description (`ofp_packet_queue`, 1.4+: `ofp_queue_desc`).
///
/// OpenFlow 1.3.5 §7.2.2, §7.3.6; 1.4.1 §7.3.5.10; 1.5.1 §7.3.5.8; 1.0.0 §5.2.2, §5.3.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueDesc {
    /// Its port (1.2+; 1.0 and 1.1 take it from the message).
    pub port: PortNo,
    /// Its number.
    pub queue: QueueId,
    /// Properties.
    pub properties: Vec<QueueProp>,
}

/// `ofp_queue_stats`, an entry of the queue statistics reply.
///
/// OpenFlow 1.3.5 §7.3.5.8, 1.4.1 §7.3.5.9, 1.5.1 §7.3.5.7, 1.0.0 §5.3.5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueStats {
    /// Its port.
    pub port: PortNo,
    /// Its number.
    pub queue: QueueId,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped for overrun.
    pub tx_errors: u64,
    /// Seconds alive (1.3+).
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Properties (1.4+).
    pub properties: Vec<OtherProp>,
}
