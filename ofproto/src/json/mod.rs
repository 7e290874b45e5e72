//! The forms of JSON-RPC-OpenFlow, both ways.
//!
//! The conventions: numbers are JSON numbers; *hex* values (cookies, ids, ethertypes) are strings
//! such as `"0x0f"` (read with or without the prefix); *hybrid* values are a name or such a string;
//! *enums* are lower-case names; *bitmaps* are arrays of names; *byte arrays* are one hexadecimal
//! string (read also as an array of numbers). A match is an array of `ofp_oxm`; actions are an array
//! of objects with one action each, because their order means something (one object with several
//! actions is read too, in its order).
//!
//! What JSON-RPC-OpenFlow leaves out follows the same conventions with the specification's names.
//! Numbers that no name stands for are kept as hexadecimal strings, so that every model can be
//! written and read back. Keys that are not known are refused: a misspelt key would otherwise be a
//! silent default.
//!
//! Nothing here holds state; all functions are pure.

mod action;
mod basic;
mod bits;
mod codec;
mod control;
mod group;
mod matching;
mod message;
mod port;
mod property;
mod structures;
mod table;

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

use crate::message::Message;
use serde_json::Value;
use std::fmt;

pub(crate) use codec::Json;
pub(crate) use matching::write_oxm;

/// Why a JSON value is not the form of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The keys and indices that lead to the fault, outermost first: `ofp_flow_mod.ofp_match[1]`.
    pub path: String,
    /// What was expected there.
    pub expected: String,
    /// The beginning of what stood there.
    pub found: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the value" } else { &self.path };
        write!(f, "{path}: expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for JsonError {}

/// A message as a JSON object with one key, its name: `{"ofp_flow_mod": {…}}`.
pub fn to_value(message: &Message) -> Value {
    message.to_json()
}

/// The message that such an object means.
///
/// # Errors
/// Unknown or missing keys, values of another form, numbers beyond their width.
pub fn from_value(value: &Value) -> Result<Message, JsonError> {
    Message::from_json(value)
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $to:ident, $from:ident: $ty:ty;)*) => {$(
        $(#[$doc])*
        pub fn $to(model: &$ty) -> Value {
            model.to_json()
        }

        /// Reads what the function of the same name with `_to_value` writes.
        ///
        /// # Errors
        /// Unknown or missing keys, values of another form, numbers beyond their width.
        pub fn $from(value: &Value) -> Result<$ty, JsonError> {
            <$ty>::from_json(value)
        }
    )*};
}

pairs! {
    /// A match as an array of `ofp_oxm`.
    match_to_value, match_from_value: crate::matching::Match;
    /// One action as an object with its name as the key.
    action_to_value, action_from_value: crate::action::Action;
    /// One instruction as an object with its name as the key.
    instruction_to_value, instruction_from_value: crate::instruction::Instruction;
    /// A flow-mod's body (`ofp_flow_mod`).
    flow_mod_to_value, flow_mod_from_value: crate::flow::FlowMod;
    /// An entry of the flow reply (`ofp_flow_stats`).
    flow_desc_to_value, flow_desc_from_value: crate::stats::FlowDesc;
    /// A group-mod's body.
    group_mod_to_value, group_mod_from_value: crate::group::GroupMod;
    /// A meter-mod's body.
    meter_mod_to_value, meter_mod_from_value: crate::meter::MeterMod;
    /// A port's description.
    port_to_value, port_from_value: crate::port::Port;
}
