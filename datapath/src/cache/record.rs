//! Recording a walk.

use crate::group::{Group, GroupBucket};
use crate::key::FlowKey;
use crate::meter::Meter;
use crate::pipeline::Hit;
use crate::program::Op;
use bytes::Bytes;
use ofproto::ids::{Cookie, PortNo, QueueId, TableId};
use ofproto::packet::PacketInReason;
use smallvec::SmallVec;
use std::sync::Arc;

/// Names a flow entry as it was published at one version; see `publish::CachedFlow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CachedHit {
    /// The table.
    pub table: TableId,
    /// The entry's place in it.
    pub index: u32,
    /// The version that put it there.
    pub added: u64,
    /// Where it counts.
    pub stats: u32,
}

/// One effect of a walk.
#[derive(Clone, Debug)]
pub enum Step {
    /// Count the packet on a flow entry.
    Count(CachedHit),
    /// Count the packet on a group.
    CountGroup(Arc<Group>),
    /// Count the packet on a bucket.
    CountBucket(Arc<GroupBucket>),
    /// Change the packet. What failing at a TTL tells the controllers is in `table` and `cookie`.
    Edit(Op, TableId, Cookie),
    /// Charge a meter; the walk ends if it drops.
    Meter(Arc<Meter>),
    /// A copy goes out.
    Output(PortNo, Option<QueueId>),
    /// A copy goes to the controllers.
    Punt(Box<PuntStep>),
    /// Keep a copy of the packet and go on with it until [`Step::Restore`].
    Save,
    /// Go back to the packet that was saved last. A drop or an invalid TTL in between skips to here.
    Restore,
    /// The walk dropped the packet or a copy.
    Drop(crate::pipeline::DropReason),
}

/// A packet for the controllers.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of `Punt`")]
pub struct PuntStep {
    pub reason: PacketInReason,
    pub table: TableId,
    pub cookie: Cookie,
    pub max_len: u16,
    pub controller_id: u16,
    pub userdata: Option<Bytes>,
    pub meter: Option<Arc<Meter>>,
}

/// What a walk looked up and did.
#[derive(Clone, Debug, Default)]
pub struct Walked {
    /// Tables looked into, with what was found.
    pub lookups: SmallVec<[(TableId, Option<CachedHit>); 4]>,
    /// Effects in order.
    pub steps: SmallVec<[Step; 6]>,
}

/// Longest walk that is remembered.
const MAX_STEPS: usize = 64;

/// Takes notes during a walk.
#[derive(Debug)]
pub(crate) struct Recorder<'m> {
    mask: &'m FlowKey,
    walked: Walked,
    tainted: bool,
    refused: bool,
}

impl<'m> Recorder<'m> {
    /// A recorder for a walk whose cache key is the packet's key AND `mask`.
    pub(crate) fn new(mask: &'m FlowKey) -> Self {
        Self { mask, walked: Walked::default(), tainted: false, refused: false }
    }

    /// This walk can't be remembered.
    pub(crate) const fn refuse(&mut self) {
        self.refused = true;
    }

    pub(crate) fn step(&mut self, step: Step) {
        if self.refused {
            return;
        }
        if self.walked.steps.len() >= MAX_STEPS {
            self.refused = true;
            return;
        }
        self.walked.steps.push(step);
    }

    pub(crate) fn edit(&mut self, op: &Op, table: TableId, cookie: Cookie) {
        self.tainted |= crate::pipeline::edit_taints(op, self.mask);
        self.step(Step::Edit(op.clone(), table, cookie));
    }

    /// The packet changed in a way that the key doesn't tell (a meter's remark).
    pub(crate) const fn taint(&mut self) {
        self.tainted = true;
    }

    pub(crate) const fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// A copy ended and the saved packet is back, as untouched as it was.
    pub(crate) const fn restore_taint(&mut self, before: bool) {
        self.tainted = before;
    }

    /// Something was decided by bits that lie within the mask.
    pub(crate) const fn decided(&mut self) {
        if self.tainted {
            self.refused = true;
        }
    }

    /// Something was decided by `bits` of the packet's current key.
    pub(crate) fn decided_by(&mut self, bits: &FlowKey) {
        self.decided();
        if bits.0.iter().zip(&self.mask.0).any(|(b, m)| b & !m != 0) {
            self.refused = true;
        }
    }

    pub(crate) fn lookup(&mut self, table: TableId, hit: Option<&Hit<'_>>) {
        self.decided();
        if self.refused {
            return;
        }
        if self.walked.lookups.len() >= MAX_STEPS {
            self.refused = true;
            return;
        }
        self.walked.lookups.push((table, hit.map(|h| h.handle)));
        if let Some(h) = hit {
            self.step(Step::Count(h.handle));
        }
    }

    /// The notes, unless the walk can't be remembered.
    pub(crate) fn finish(self) -> Option<Walked> {
        (!self.refused).then_some(self.walked)
    }
}
