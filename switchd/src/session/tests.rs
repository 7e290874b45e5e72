//! The rules of the channel, with bytes in and bytes out and a switch that only takes notes.

pub(crate) mod fake;

mod bundles;
mod channel;
mod events;
mod forms;
mod monitors;
mod requests;
mod roles;
