//! What the programs around the switch share: captures, and packets in words.
//!
//! All of it is pure: no I/O, no state.
#![forbid(unsafe_code)]

pub mod capture;
#[cfg(test)]
mod compose;
pub mod messages;
pub mod packet;
pub mod summary;
