//! Per-worker microflow cache: what a walk did, remembered under the bits that decided it.
//!
//! The key of an entry is the packet's key AND a *static* mask: every bit that some flow entry of some
//! table looks at, the ingress port, and what hashes of the rules in use read; and beside it which
//! headers the packet has ([`kind`]). It is compared exactly; nothing is learnt from packets, so packets
//! can't make each other slow.
//!
//! A walk is remembered as a sequence of segments: a lookup and the effects ([`Step`]) up to the next.
//! Segments are kept once, however many flows share them, and an entry holds their numbers, so that
//! an entry is half a cache line, or one, whatever the pipeline does. Walks of several segments that are met often have
//! a record (`segment/merged`) which is all that a hit touches. For packets of the common shapes ([`kind`]
//! with [`FAST`]) the edits of a segment are compiled to a few stores; every other packet and every
//! other effect goes through `replay`, which does step by step what the interpreter did.
//!
//! The `Recorder` says which walks can be remembered: not those where a decision depended on
//! something beyond the key (a header that a pop uncovered, a random draw, the
//! frame's length), and not those that wish something of control. Where the learning switch sends a packet isn't
//! remembered, but that it is asked.
//!
//! What it doesn't know is mostly a chain of legs, whose lookups a burst's packets do together; the interpreter
//! walks the rest. When there are many segments, legs of others get such as last for one burst, so that more flow
//! entries than segments are no reason to forget any.
//!
//! An entry is valid if the ports, groups, meters and settings are the ones it was made with, each
//! flow entry it hit is still there, and none came since that matches what its tables were asked. Before a burst the
//! cache hears of every change (`watch`): the end of a flow entry marks its segments, and a new flow entry that no
//! remembered walk's tables were asked for changes nothing. If one may have been, or changes were missed, the
//! generation ends, and an entry of an earlier one is asked about when it is met (`table::changes`), in doubt against
//! it. What tables behind an edit were asked is followed as far as edits say it ([`Seen`]); else any add to them counts.
//! Changes to tables that no walk came through change nothing.
//!
//! A set has two places. A walk takes what is empty or stale at once; from others that hold it takes one seldom. In a
//! flood of keys that come once only those are let in that come again. A judge has packets
//! go past a cache that doesn't pay; a cache that fills isn't judged by it. One whose sets are crowded with keys that
//! come again grows, up to a bound.
//!
//! One cache belongs to one worker.

mod alike;
mod entry;
mod judge;
mod key;
mod leg;
mod micro;
mod newcomers;
mod patch;
mod record;
mod replay;
mod seen;
mod segment;
mod stats;
mod store;
mod validity;
mod watch;

pub(crate) use entry::{ENTRY_BYTES, Found, Ids, MOST_SEGMENTS, PACKED, Packing, is_easy};
pub(crate) use key::{COMPACT, LONGEST, extract, project};
pub use key::{FAST, kind};
pub(crate) use leg::{Leg, Next, Stand};
pub(crate) use micro::Runner;
pub(crate) use record::Recorder;
pub use record::{CachedHit, PuntStep, Step};
pub(crate) use replay::replay;
pub use seen::Seen;
pub(crate) use segment::{Fate, GONE, LEAVE, NOWHERE, On, Traits, is_passing, way_out, way_to};
pub use stats::CacheStats;
pub use store::Cache;
pub(crate) use store::Recorded;
pub use validity::Validity;
