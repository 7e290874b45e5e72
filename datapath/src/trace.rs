//! Why a packet goes where it goes: the interpreter with an observer, as structured data.
//!
//! It is the very code that forwards, run dry: nothing is counted, charged, learnt or sent.

pub mod conjunction;
mod search;

pub use search::{Met, Rejected, Search, search};

use crate::cache::CachedHit;
use crate::engine::Collected;
use crate::key::FlowKey;
use crate::meter::Verdict;
use crate::packet::Packet;
use crate::pipeline::{DropReason, Env, Event, Miss, Observer, Start, View, execute};
use crate::program::Op;
use ofproto::field::FieldId;
use ofproto::ids::{Cookie, GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::matching::Match;
use ofproto::packet::PacketInReason;

/// One thing that happened, `depth` levels of resubmits, groups, clones and egress down.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How deep.
    pub depth: u32,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "named as the pipeline's events")]
pub enum What {
    /// A lookup, with the packet's fields as they were then.
    Lookup {
        table: TableId,
        key: Box<FlowKey>,
        hit: Option<Matched>,
    },
    Miss {
        table: TableId,
        miss: Miss,
    },
    Action(Op),
    WriteActions(Vec<Op>),
    Group {
        group: GroupId,
        bucket: Option<usize>,
    },
    /// A dry run doesn't charge meters: the verdict isn't known.
    Meter {
        meter: MeterId,
        verdict: Option<Verdict>,
    },
    Egress {
        port: PortNo,
        table: TableId,
    },
    Output {
        port: PortNo,
        queue: Option<QueueId>,
        len: usize,
    },
    Controller {
        reason: PacketInReason,
        max_len: u16,
    },
    Drop(DropReason),
}

/// The entry that a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Which.
    pub entry: CachedHit,
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: Cookie,
}

/// A packet's walk and what came out.
#[derive(Debug)]
pub struct Trace {
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Frames that would have gone out, packets for the controllers, drops.
    pub result: Collected,
}

#[derive(Default)]
struct Notes {
    steps: Vec<Step>,
    depth: u32,
}

impl Observer for Notes {
    const ON: bool = true;

    fn event(&mut self, event: Event<'_>) {
        let depth = self.depth;
        let what = match event {
            Event::Back => {
                self.depth = self.depth.saturating_sub(1);
                return;
            }
            Event::Down => {
                self.depth += 1;
                return;
            }
            Event::Lookup { table, key, hit } => What::Lookup {
                table,
                key: Box::new(*key),
                hit: hit.map(|(entry, priority, cookie)| Matched { entry, priority, cookie }),
            },
            Event::Miss { table, miss } => What::Miss { table, miss },
            Event::Action { op } => What::Action(op.clone()),
            Event::Set { ops } => What::WriteActions(ops),
            Event::Group { group, bucket } => What::Group { group, bucket },
            Event::Meter { meter, verdict } => What::Meter { meter, verdict },
            Event::Egress { port, table } => What::Egress { port, table },
            Event::Output { port, queue, len } => What::Output { port, queue, len },
            Event::Controller { reason, max_len } => What::Controller { reason, max_len },
            Event::Drop { reason } => What::Drop(reason),
        };
        self.steps.push(Step { depth, what });
    }
}

/// Why an entry doesn't match a packet: the first field of its match that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field.
    pub field: FieldId,
    /// What the entry wants there.
    pub wanted: u128,
    /// Under this mask.
    pub mask: u128,
    /// What the packet has there.
    pub found: u128,
}

/// The first field of `m` in which a packet with this key differs, if there is one.
pub fn mismatch(key: &FlowKey, m: &Match) -> Option<Mismatch> {
    m.fields.iter().find_map(|f| {
        let mask = f.effective_mask();
        let found = key.get(f.id);
        // "Untagged" is about the present bit alone.
        let mask = if f.id == FieldId::VlanVid && f.value & mask == 0 { 0x1000 } else { mask };
        (found & mask != f.value & mask).then_some(Mismatch { field: f.id, wanted: f.value & mask, mask, found })
    })
}

/// Walks a packet dry.
pub fn trace<'v, V: View<'v>>(view: V, env: Env<'v>, packet: &mut Packet, start: Start<'v>) -> Trace {
    let mut notes = Notes::default();
    let mut result = Collected::default();
    let env = Env { dry: true, ..env };
    execute(view, env, packet, start, &mut result, &mut notes);
    Trace { steps: notes.steps, result }
}
