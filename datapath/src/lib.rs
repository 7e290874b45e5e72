//! Packets in, packets out: ports, tables, the pipeline and its workers.
//!
//! No socket to a controller, no async runtime, no OpenFlow wire bytes, and no clock: time is an argument.

pub mod clock;
pub mod frame;
pub mod key;
