//! Per-worker microflow cache: what a walk did, remembered under the bits that decided it.
//!
//! The key of an entry is the packet's key AND a *static* mask: every bit that some flow entry of some
//! table looks at, the ingress port, and (if there is a select group) what a select group hashes; and
//! beside it which headers the packet has ([`packet_kind`]). It is compared exactly; nothing is learnt from packets, so packets can't make each other slow.
//!
//! What is remembered is the walk's effects in order ([`Step`]): counts, edits, outputs, packets for the
//! controllers, meters to charge. Replaying them on a packet of the same key does what the interpreter
//! would do. The [`Recorder`] says which walks that is true of: not those where a decision depended
//! on something beyond the key (a header that a pop uncovered, a learnt address, a random draw, the
//! frame's length), and not those that wish something of control.
//!
//! An entry is valid if the ports, groups, meters and settings are the ones it was made with, each
//! flow entry it hit is still there, and nothing was added since to a table it looked into. A modified or
//! deleted flow makes its own entries invalid and no others.
//!
//! One cache belongs to one worker.

mod record;
mod store;

pub(crate) use record::Recorder;
pub use record::{CachedHit, PuntStep, Step, Walked};
pub use store::{Cache, CacheStats, Validity, packet_kind, replay};
