//! Ports' lifecycle: numbers, interfaces that come and go, and the datapath's halves of them.

pub mod table;

use ofproto::ids::PortNo;
use ofproto::port::Port;

/// What a bridge is told about its ports, in order.
///
/// The description's `config` is empty: those bits are the bridge's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// A port came into being; its link may be down, its interface missing.
    Added(Port),
    /// Its description is this now.
    Changed(Port),
    /// The user took it away.
    Removed(PortNo),
}
