//! What a paused packet still has to do: the inside of a continuation
//! ([`PacketIn2::continuation`](crate::nx_message::PacketIn2::continuation)).
//!
//! It is said in the model's own words, instructions and actions, so that a switch that is handed one back
//! judges it by the same rules as a flow-mod or a packet-out: a controller can say nothing in it that it
//! couldn't say otherwise, and nobody has to be trusted.

use crate::action::Action;
use crate::ids::{Cookie, QueueId, TableId};
use crate::instruction::Instruction;
use crate::version::Version;

/// Most values on a packet's stack.
pub const MAX_STACK: usize = 1024;
/// Most parts: one for each level that was left.
pub const MAX_PARTS: usize = 128;

/// What is left of a packet's walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Continuation {
    /// Which switch paused it: its datapath id.
    pub bridge: u64,
    /// The stack, lowest value first.
    pub stack: Vec<u128>,
    /// The queue that was set.
    pub queue: Option<QueueId>,
    /// The rests of what was being executed, innermost first.
    pub parts: Vec<Part>,
    /// The action set, each action with the version that can say it.
    pub set: Vec<(Version, Action)>,
    /// What comes after the parts.
    pub ending: Ending,
    /// How often the packet has waited for what it teaches. Not part of the wire form: when a controller lets a
    /// packet go on it begins anew.
    pub waits: u32,
}

/// The rest of one entry, or of a packet-out's actions (`table` is then `TableId::ALL`).
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where the entry is.
    pub table: TableId,
    /// Its cookie.
    pub cookie: Cookie,
    /// By which version's rules its instructions are meant.
    pub version: Version,
    /// A resubmit came here: a table without a match ends this part only.
    pub nested: bool,
    /// The entry is its table's table-miss entry.
    pub table_miss: bool,
    /// What is left of it.
    pub instructions: Vec<Instruction>,
}

/// What comes after the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// The action set is executed.
    #[default]
    ActionSet,
    /// Nothing: a packet-out's own actions, or a copy by `clone`.
    Nothing,
    /// The action set is executed and its output leaves the switch: egress processing (1.5).
    Egress,
}
