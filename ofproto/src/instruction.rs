//! Instructions (OpenFlow 1.3.5 §7.2.4, 1.5.1 §7.2.5).

use crate::action::Action;
use crate::ids::{ExperimenterId, MeterId, TableId};
use crate::stats::FlowStat;
use bytes::Bytes;

/// One instruction of a flow entry. A 1.0 action list is `[ApplyActions]`.
///
/// OpenFlow 1.3.5 §5.9, §7.2.4; 1.4.1 §7.2.3; 1.5.1 §5.5, §7.2.5; 1.1.0 §A.2.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Continue in a later table.
    GotoTable(TableId),
    /// Write bits of the metadata register.
    WriteMetadata {
        /// Value.
        metadata: u64,
        /// Which bits.
        mask: u64,
    },
    /// Merge into the action set.
    WriteActions(Vec<Action>),
    /// Execute now.
    ApplyActions(Vec<Action>),
    /// Empty the action set.
    ClearActions,
    /// 1.3, 1.4: apply a meter.
    Meter(MeterId),
    /// 1.5: tell the controller when statistics pass thresholds.
    StatTrigger {
        /// `OFPSTF_*`
        flags: u32,
        /// The thresholds.
        thresholds: Vec<FlowStat>,
    },
    /// An experimenter instruction that this crate doesn't know.
    Experimenter {
        /// Whose.
        experimenter: ExperimenterId,
        /// The bytes after the experimenter id.
        data: Bytes,
    },
    /// A type that the version doesn't define.
    Unknown {
        /// The wire type.
        ty: u16,
        /// The bytes after type and length.
        data: Bytes,
    },
}

impl Instruction {
    /// Where it stands in the order of execution (OpenFlow 1.3.5 §5.9), from 0.
    pub const fn execution_rank(&self) -> u8 {
        match self {
            Self::Meter(_) => 0,
            Self::ApplyActions(_) => 1,
            Self::ClearActions => 2,
            Self::WriteActions(_) => 3,
            Self::WriteMetadata { .. } => 4,
            Self::StatTrigger { .. } => 5,
            Self::Experimenter { .. } | Self::Unknown { .. } => 6,
            Self::GotoTable(_) => 7,
        }
    }
}
