//! Groups: which buckets a packet takes, and what they do to copies of it (OpenFlow 1.3.5 §5.6).

use super::edit::is_edit;
use super::walk::{Flow, NO_COOKIE, Origin, Walk};
use super::{DropReason, Event, Observer, Ports, Sink, View};
use crate::cache::Step;
use crate::group::{Group, Looks};
use crate::key::{FlowKey, word};
use crate::program::Op;
use ofproto::continuation::Ending;
use ofproto::field::FieldId;
use ofproto::group::GroupType;
use ofproto::ids::GroupId;
use std::sync::Arc;

impl<'v, V: View<'v>, S: Sink, O: Observer> Walk<'v, '_, '_, V, S, O> {
    pub(super) fn group(&mut self, id: GroupId) -> Flow {
        let Some(group) = self.view.groups().get(id) else {
            self.note(|| Event::Group { group: id, bucket: None });
            self.drop(DropReason::NoBucket);
            return Flow::Go;
        };
        if self.charge(1) == Flow::Stop || self.enter() == Flow::Stop {
            return Flow::Stop;
        }
        let len = self.len();
        if !self.env.dry {
            group.counter.add(self.env.writer, 1, len);
        }
        self.step(|| Step::CountGroup(Arc::clone(group)));
        let saved = (self.origin, self.cookie);
        self.origin = Origin::Group;
        self.cookie = NO_COOKIE;
        match group.ty() {
            GroupType::All | GroupType::Indirect => {
                for i in 0..group.buckets.len() {
                    if self.charge(1) == Flow::Stop {
                        break;
                    }
                    self.bucket(group, i);
                }
                if group.buckets.is_empty() {
                    self.drop(DropReason::NoBucket);
                }
            }
            GroupType::Select => {
                if let Some(r) = &mut self.record {
                    r.decided_by(group.hashed_bits().unwrap_or(&select_bits()));
                }
                let mut looks = Looks::default();
                let groups = self.view.groups();
                let chosen = groups.select_by(group, &self.packet.key, &Ports(self.view), &mut looks);
                self.chosen(group, chosen, &looks);
            }
            GroupType::FastFailover => {
                let mut looks = Looks::default();
                let chosen = self.view.groups().failover_by(group, &Ports(self.view), &mut looks);
                self.chosen(group, chosen, &looks);
            }
            GroupType::Unknown(_) => {}
        }
        (self.origin, self.cookie) = saved;
        self.leave();
        Flow::Go
    }

    fn chosen(&mut self, group: &'v Arc<Group>, chosen: Option<usize>, looks: &Looks) {
        if self.charge(looks.cost()) == Flow::Stop {
            return;
        }
        match chosen {
            Some(i) => self.bucket(group, i),
            None => {
                let id = group.id();
                self.note(|| Event::Group { group: id, bucket: None });
                self.drop(DropReason::NoBucket);
            }
        }
    }

    fn bucket(&mut self, group: &'v Arc<Group>, i: usize) {
        let Some(bucket) = group.buckets.get(i) else { return };
        let id = group.id();
        self.note(|| Event::Group { group: id, bucket: Some(i) });
        let len = self.len();
        if !self.env.dry {
            bucket.counter.add(self.env.writer, 1, len);
        }
        self.step(|| Step::CountBucket(Arc::clone(bucket)));
        let ends = matches!(bucket.ops.last(), Some(Op::Output { .. } | Op::Group(_) | Op::Resubmit { .. }));
        let metered = bucket.ops.iter().any(|op| matches!(op, Op::Meter(_)));
        if !ends && !metered {
            self.drop(DropReason::NoOutput);
            return;
        }
        // A bucket that only outputs leaves the packet as it is; so does one that ends in a group.
        let changes = bucket.ops.iter().any(|op| is_edit(op) || matches!(op, Op::Meter(_) | Op::Resubmit { .. }));
        let set = matches!(bucket.ops.last(), Some(Op::Resubmit { .. })).then(|| self.set.clone());
        self.on_copy(changes, |w| {
            let flow = w.list(&bucket.ops);
            if flow == Flow::Go && !ends {
                // A set is carried out also where nothing leaves: its meter counts the packet.
                w.drop(DropReason::NoOutput);
            }
            w.end(flow, Ending::Nothing);
        });
        if let Some(set) = set {
            self.set = set;
        }
    }
}

/// What a select group's choice reads.
pub(crate) fn select_bits() -> FlowKey {
    let mut k = FlowKey::default();
    for w in [word::ETH_DST_TYPE, word::ETH_SRC_VLAN, word::IP4] {
        k.0[w] = u64::MAX;
    }
    // Protocol, any-fragment and later-fragment bits, ports.
    k.0[word::L4] = 0xffff_0003_ffff_ffff;
    k.set(FieldId::MplsLabel, 0xf_ffff);
    for w in [word::IP6_SRC, word::IP6_SRC + 1, word::IP6_DST, word::IP6_DST + 1] {
        k.0[w] = u64::MAX;
    }
    k
}
