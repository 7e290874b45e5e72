//! The flow syntax that `ovs-ofctl` and `ovs-fields` made known, both ways.
//!
//! ```
//! use ofproto::text::{self, ParseContext};
//! let flow = text::parse_flow_mod(
//!     "priority=100,ip,nw_dst=10.0.0.0/8,actions=output:2",
//!     ofproto::flow::FlowModCommand::Add,
//!     &ParseContext::default(),
//! )?;
//! assert_eq!(text::FlowModText(&flow).to_string(), "add priority=100,ip,nw_dst=10.0.0.0/8 actions=output:2");
//! # Ok::<(), text::TextError>(())
//! ```
//!
//! What holds:
//! - Parsing takes any text without a panic; nesting is bounded by [`MAX_NESTING`]; what it
//!   allocates is proportional to the text.
//! - Parsing gives the *canonical* model: match fields in [canonical order](canonical_order), no
//!   mask where every bit is matched, no bits outside a mask, no field whose mask is zero,
//!   instructions in the order of execution. Printing a canonical model and parsing it again (with
//!   the same version) gives it back.
//! - What the syntax can't say is left out of the print: the header form a match field came in,
//!   an output's `max_len` for ports other than the controller, 1.5 statistics lists.
//! - All functions are pure; nothing here holds state or locks.

mod action;
mod action_fmt;
mod describe;
mod encap;
mod flow;
mod group;
mod learn;
mod matching;
mod meter;
mod names;
mod nicira;
mod nicira_fmt;
mod scan;
mod selection;
mod tun_metadata;
mod value;

#[cfg(test)]
pub(crate) mod property_tests;

pub use action::{parse_actions, parse_instructions};
pub use action_fmt::{ActionsText, InstructionsText};
pub use describe::describe;
pub use flow::{
    FlowModText, FlowText, parse_flow_desc, parse_flow_mod, parse_flow_mods, parse_flow_stats_request,
    parse_packet_out, parse_written_flow_mod,
};
pub use group::{GroupModText, GroupText, parse_group_mod, parse_group_mods};
pub use matching::{MatchText, canonical_order, parse_match};
pub use meter::{MeterModText, MeterText, parse_meter_mod};
pub use names::{code_name, field_by_any_name, field_text_name};
pub use tun_metadata::{parse_tlv_maps, tlv_table};
pub use value::{format_value, parse_plain_value};

use crate::ids::PortNo;
use crate::version::Version;
use std::fmt;

/// How deep actions may nest (`clone(clone(…))`) before the text is refused.
pub const MAX_NESTING: usize = 16;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextErrorKind {
    /// A name that nothing has.
    Unknown,
    /// A value that isn't of the form its field has.
    BadValue,
    /// A number beyond its field's width or range.
    OutOfRange,
    /// A mask where the field allows none.
    NotMaskable,
    /// Something needed isn't there.
    Missing,
    /// Said twice, with different meanings.
    Duplicate,
    /// Parentheses, quotes or separators out of place.
    Syntax,
    /// Nested deeper than [`MAX_NESTING`].
    TooDeep,
    /// The protocol version can't express it.
    Version,
}

/// Why a text was refused: where, what was expected there, and what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Byte offset from the start of the text (of the whole file for [`parse_flow_mods`]).
    pub offset: usize,
    /// The kind of fault.
    pub kind: TextErrorKind,
    /// What was expected, in words.
    pub expected: String,
    /// The beginning of what stood there instead.
    pub found: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            TextErrorKind::Unknown => "unknown name",
            TextErrorKind::BadValue => "malformed value",
            TextErrorKind::OutOfRange => "value out of range",
            TextErrorKind::NotMaskable => "mask not allowed",
            TextErrorKind::Missing => "missing",
            TextErrorKind::Duplicate => "given twice",
            TextErrorKind::Syntax => "syntax error",
            TextErrorKind::TooDeep => "nested too deep",
            TextErrorKind::Version => "not in this protocol version",
        };
        write!(f, "{what} at offset {}: expected {}", self.offset, self.expected)?;
        if self.found.is_empty() { f.write_str(", found nothing") } else { write!(f, ", found \"{}\"", self.found) }
    }
}

impl std::error::Error for TextError {}

/// Port names, for texts that use them in place of numbers.
pub trait PortNames {
    /// The number of the port called `name`.
    fn port(&self, name: &str) -> Option<PortNo>;
    /// The name of `port`.
    fn name(&self, port: PortNo) -> Option<&str>;
}

/// No names: numbers and reserved ports only.
impl PortNames for () {
    fn port(&self, _: &str) -> Option<PortNo> {
        None
    }
    fn name(&self, _: PortNo) -> Option<&str> {
        None
    }
}

impl PortNames for Vec<(String, PortNo)> {
    fn port(&self, name: &str) -> Option<PortNo> {
        self.iter().find(|(n, _)| n == name).map(|(_, p)| *p)
    }
    fn name(&self, port: PortNo) -> Option<&str> {
        self.iter().find(|(_, p)| *p == port).map(|(n, _)| n.as_str())
    }
}

/// What a text is read for.
#[derive(Clone, Copy)]
pub struct ParseContext<'a> {
    /// The version whose forms are wanted: `dec_ttl` is a Nicira action in 1.0 and a standard one
    /// later, `mod_vlan_vid` becomes a set-field from 1.2 on, `meter` is an action from 1.5 on.
    pub version: Version,
    /// Port names.
    pub ports: &'a dyn PortNames,
}

impl fmt::Debug for ParseContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParseContext").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Default for ParseContext<'_> {
    fn default() -> Self {
        Self::new(Version::V13)
    }
}

impl ParseContext<'_> {
    /// A context without port names.
    pub const fn new(version: Version) -> Self {
        Self { version, ports: &() }
    }
}

/// How a model is printed; the `…Text` wrappers use the default.
#[derive(Clone, Copy)]
pub struct Printer<'a> {
    /// Chooses between the names that versions have for one thing (`strip_vlan`, `pop_vlan`).
    pub version: Version,
    /// Ports that have a name here are printed by it, in quotes.
    pub ports: &'a dyn PortNames,
}

impl fmt::Debug for Printer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Default for Printer<'_> {
    fn default() -> Self {
        Self { version: Version::V13, ports: &() }
    }
}

/// Prints through a closure: what the [`Printer`]'s methods return.
pub(crate) struct Shown<F>(pub F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Shown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
