//! Which asynchronous messages a controller gets, by role (OpenFlow 1.3.5 §7.3.10, 1.5.1 §7.3.10).

use crate::group::OtherProp;

/// One kind of asynchronous message with two reason masks.
///
/// OpenFlow 1.3.5 §7.3.10, 1.4.1 §7.3.10, 1.5.1 §7.3.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AsyncKind {
    /// packet-in
    PacketIn,
    /// port-status
    PortStatus,
    /// flow-removed
    FlowRemoved,
    /// role-status (1.4+)
    RoleStatus,
    /// table-status (1.4+)
    TableStatus,
    /// requestforward (1.4+)
    RequestForward,
    /// flow-stats by triggers (1.5)
    FlowStats,
    /// controller-status (1.5)
    ControllerStatus,
}

/// One reason mask: bit n for reason n (1.4+: `ofp_async_config_prop_reasons`).
///
/// OpenFlow 1.3.5 §7.3.10, 1.4.1 §7.3.10, 1.5.1 §7.3.10.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AsyncProp {
    /// A mask.
    Reasons {
        /// Of which message.
        kind: AsyncKind,
        /// For the master and equal role, or for slaves.
        master: bool,
        /// The bits.
        mask: u32,
    },
    /// Anything else.
    Other(OtherProp),
}

/// `ofp_async_config`, the body of set-async and get-async-reply. 1.3 holds the first three kinds, each twice.
///
/// OpenFlow 1.3.5 §7.3.10, 1.4.1 §7.3.10, 1.5.1 §7.3.10.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AsyncConfig {
    /// The masks, in wire order.
    pub props: Vec<AsyncProp>,
}
