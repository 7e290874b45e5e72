//! Frames in, frames out: what a worker does with a burst, and what control does with a packet-out.

pub mod counter;
