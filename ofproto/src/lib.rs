//! The OpenFlow protocol, versions 1.0 to 1.5 and the Nicira extensions: one version-independent
//! model, every wire form, no I/O.
//!
//! The model ([`message`] and what it holds) says what a message *means*; [`wire`] turns it into a
//! version's bytes and back; [`text`] and [`json`] turn it into the flow syntax and JSON-RPC-OpenFlow
//! and back; [`field`] is the one table of match fields that everything reads.
#![forbid(unsafe_code)]

pub mod action;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod async_config;
pub mod bundle;
pub mod error;
pub mod field;
pub mod flow;
pub mod group;
pub mod ids;
pub mod instruction;
pub mod json;
pub mod matching;
pub mod message;
pub mod meter;
pub mod monitor;
pub mod nicira;
pub mod nx_message;
pub mod packet;
pub mod port;
pub mod queue;
pub mod role;
pub mod stats;
pub mod table;
pub mod text;
pub mod validate;
pub mod version;
pub mod wire;

pub use error::{ErrorKind, OfError};
pub use version::Version;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
