//! Packets in, packets out: ports, tables, the pipeline and its workers.
//!
//! No socket to a controller, no async runtime, no OpenFlow wire bytes, and no clock: time is an argument.

pub mod cache;
pub mod checksum;
pub mod classifier;
pub mod clock;
pub mod compose;
pub mod control;
pub mod counters;
pub mod edit;
pub mod engine;
pub mod frame;
pub mod group;
pub mod group_shards;
pub mod key;
pub mod meter;
pub mod normal;
pub mod packet;
pub mod parse;
pub mod pipeline;
pub mod port;
pub mod program;
pub mod publish;
pub mod punt;
pub mod segment;
pub mod sys;
pub mod table;
pub mod trace;
pub mod worker;
