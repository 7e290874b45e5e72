//! The OpenFlow protocol, versions 1.0 to 1.5 and the Nicira extensions: one version-independent
//! model, every wire form, no I/O.
//!
//! The model ([`message`] and what it holds) says what a message *means*; [`wire`] turns it into a
//! version's bytes and back; [`text`] and [`json`] turn it into the flow syntax and JSON-RPC-OpenFlow
//! and back; [`field`] is the one table of match fields that everything reads.
//!
//! # References
//!
//! Each type names the sections of the specification that define it: `OpenFlow 1.3.5 §7.2.1` is that
//! section of *OpenFlow Switch Specification* 1.3.5. The texts are 1.0.0 (its appendix A counts as §5), 1.1.0
//! (appendix A is §A), 1.3.5, 1.4.1 and 1.5.1; no section of 1.2 is named, which stands between 1.1 and 1.3.
//! `EXT-n` are the ONF's extensions to 1.3. What is Nicira's names a chapter of Open vSwitch's manual
//! pages or `nicira-ext.h`.
//!
//! Numbers of the model are the host's; on the wire they are big-endian (OpenFlow 1.3.5 §7.1). Where a type
//! holds bytes, they stand as on the wire.
#![forbid(unsafe_code)]

pub mod action;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod async_config;
pub mod bundle;
pub mod continuation;
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
