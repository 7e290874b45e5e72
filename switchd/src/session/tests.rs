//! The rules of the channel, with bytes in and bytes out and a switch that only takes notes.

mod fake;

mod bundles;
mod channel;
mod events;
mod requests;
