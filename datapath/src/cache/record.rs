//! Recording a walk.

use crate::group::{Group, GroupBucket};
use crate::key::{FlowKey, low_bits, slot};
use crate::meter::Meter;
use crate::pipeline::Hit;
use crate::program::Op;
use bytes::Bytes;
use ofproto::field::FieldId;
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
    /// Count a lookup in a table, and the packet on the flow entry that was found.
    Lookup(TableId, Option<CachedHit>),
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
    /// A copy goes where the learning switch says, which is asked each time.
    Normal(Option<QueueId>),
    /// A copy goes to the controllers.
    Punt(Box<PuntStep>),
    /// Keep a copy of the packet and go on with it until [`Step::Restore`].
    Save,
    /// Go back to the packet that was saved last. A drop or an invalid TTL in between skips to here.
    Restore,
    /// The walk dropped the packet or a copy.
    Drop(crate::pipeline::DropReason),
    /// A port's configuration or state dropped it, as it came in or (true) on its way out.
    DropAtPort(crate::pipeline::DropReason, PortNo, bool),
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

/// Longest walk that is remembered.
pub(super) const MOST_STEPS: usize = 64;

/// Takes notes during a walk.
#[derive(Debug)]
pub(crate) struct Recorder<'m> {
    mask: &'m FlowKey,
    steps: SmallVec<[Step; 8]>,
    /// VLAN tags of the packet as far as they are known from the cache's key.
    tags: Option<u32>,
    pushes: usize,
    tainted: bool,
    refused: bool,
    opaque: bool,
    leaves: bool,
    /// Bits that decided and aren't in the mask: with them there, the walk could be remembered.
    wants: Option<Box<FlowKey>>,
}

/// Tags beyond which they are not followed; less than the parser's bound.
const MOST_TAGS: u32 = 8;

impl<'m> Recorder<'m> {
    /// A recorder for the walk of a packet of `kind` whose cache key is the packet's key AND `mask`.
    pub(crate) fn new(mask: &'m FlowKey, kind: u32) -> Self {
        let tags = super::key::tags(kind);
        Self {
            mask,
            steps: SmallVec::new(),
            tags,
            pushes: 0,
            tainted: false,
            refused: false,
            opaque: false,
            leaves: false,
            wants: None,
        }
    }

    /// This walk can't be remembered.
    pub(crate) const fn refuse(&mut self) {
        self.refused = true;
    }

    pub(crate) fn step(&mut self, step: Step) {
        if self.refused {
            return;
        }
        if self.steps.len() >= MOST_STEPS {
            self.refused = true;
            return;
        }
        self.steps.push(step);
    }

    pub(crate) fn edit(&mut self, op: &Op, table: TableId, cookie: Cookie) {
        self.tainted |= self.taints(op);
        if matches!(
            op,
            Op::PushVlan(_)
                | Op::PushMpls(_)
                | Op::PushPbb(_)
                | Op::SetVlanVid { add: true, .. }
                | Op::SetVlanPcp { add: true, .. }
        ) {
            self.pushes += 1;
            self.refused |= self.pushes > super::key::MOST_PUSHES;
        }
        self.step(Step::Edit(op.clone(), table, cookie));
    }

    /// Whether later decisions could see something that the bits in the mask of the packet's first key and
    /// its kind don't determine: a header that was covered, or a value made from bits that no entry
    /// looks at.
    fn taints(&mut self, op: &Op) -> bool {
        // A field that is read whole or not at all is determined before and after the edit.
        let whole = |field: FieldId| {
            slot(field).is_some_and(|s| {
                let m = self.mask.read(s);
                m == 0 || m == u128::from(low_bits(s.bits))
            })
        };
        match op {
            Op::Set { field, .. } => matches!(field, FieldId::EthType | FieldId::IpProto | FieldId::VlanTci),
            Op::WriteMetadata { .. } | Op::SetNwTtl(_) | Op::SetMplsTtl(_) | Op::SetTpSrc(_) | Op::SetTpDst(_) => false,
            Op::SetVlanVid { add: false, .. } | Op::SetVlanPcp { add: false, .. } => false,
            Op::DecNwTtl(_) => !whole(FieldId::NwTtl),
            Op::DecMplsTtl => !whole(FieldId::MplsTtl),
            // Id and priority are copied from the tag that was outermost, to the same place of the key.
            Op::PushVlan(0x8100 | 0x88a8) => {
                self.tags = self.tags.map(|n| n + 1);
                self.tags.is_some_and(|n| n > MOST_TAGS)
            }
            // What a tag covered is known if the packet came with at most one.
            Op::PopVlan => match self.tags {
                Some(n) => {
                    self.tags = Some(n.saturating_sub(1));
                    false
                }
                None => true,
            },
            Op::Move { src, .. } => {
                let Some(slot) = src.slot() else { return true };
                self.mask.read(slot) & src.mask() != src.mask() || !is_pipeline(src.field)
            }
            _ => true,
        }
    }

    /// The packet changed in a way that the key doesn't tell (a meter's remark).
    pub(crate) const fn taint(&mut self) {
        self.tainted = true;
    }

    /// A table is asked for something else than what the packet's steps make of its key.
    pub(crate) const fn disguised(&mut self) {
        self.opaque = true;
    }

    /// A packet of the same key may leave a resubmit early where its TTL ends, and what it does behind can't be told
    /// from the steps.
    pub(crate) const fn may_leave(&mut self) {
        self.leaves = true;
    }

    /// Whether that may be.
    pub(crate) const fn leaves(&self) -> bool {
        self.leaves
    }

    /// Whether that happened.
    pub(crate) const fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// What is known of the packet, to come back to after a copy.
    pub(crate) const fn knowledge(&self) -> (bool, Option<u32>) {
        (self.tainted, self.tags)
    }

    /// A copy ended and the saved packet is back, as untouched as it was.
    pub(crate) const fn restore(&mut self, (tainted, tags): (bool, Option<u32>)) {
        (self.tainted, self.tags) = (tainted, tags);
    }

    /// Something was decided by bits that lie within the mask.
    pub(crate) const fn decided(&mut self) {
        if self.tainted {
            self.refused = true;
        }
    }

    /// Something was decided by `bits` of the packet's current key. They are a rule's, not the packet's: if the
    /// mask lacks some, it may be widened by them.
    pub(crate) fn decided_by(&mut self, bits: &FlowKey) {
        self.decided();
        if bits.0.iter().zip(&self.mask.0).any(|(b, m)| b & !m != 0) {
            self.refused = true;
            let wants = self.wants.get_or_insert_default();
            for (w, b) in wants.0.iter_mut().zip(bits.0) {
                *w |= b;
            }
        }
    }

    pub(crate) fn lookup(&mut self, table: TableId, hit: Option<&Hit<'_>>) {
        self.decided();
        self.step(Step::Lookup(table, hit.map(|h| h.handle)));
    }

    /// The notes, unless the walk can't be remembered; and what the mask lacked.
    pub(crate) fn finish(mut self) -> (Option<SmallVec<[Step; 8]>>, Option<Box<FlowKey>>) {
        while self.steps.last().is_some_and(|s| matches!(s, Step::Restore)) {
            drop_last_branch(&mut self.steps);
        }
        ((!self.refused).then_some(self.steps), self.wants)
    }
}

/// Of a walk that ends with a branch: nobody needs the packet as it was before.
fn drop_last_branch(steps: &mut SmallVec<[Step; 8]>) {
    steps.pop();
    let mut depth = 1;
    let before = steps.iter().rposition(|s| {
        match s {
            Step::Save => depth -= 1,
            Step::Restore => depth += 1,
            _ => {}
        }
        depth == 0
    });
    if let Some(i) = before {
        steps.remove(i);
    }
}

/// Fields that no header holds.
const fn is_pipeline(field: FieldId) -> bool {
    let n = field as u8;
    matches!(field, FieldId::Metadata | FieldId::InPort | FieldId::TunnelId | FieldId::PktMark)
        || (n >= FieldId::Reg0 as u8 && n <= FieldId::Xxreg3 as u8)
}
