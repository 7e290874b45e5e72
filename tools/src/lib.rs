//! What the programs around the switch share: captures, and packets in words and from words.
//!
//! All of it is pure: no I/O, no state.
#![forbid(unsafe_code)]

pub mod capture;
pub mod compose;
pub mod packet;
pub mod summary;
