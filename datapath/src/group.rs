//! Groups: immutable snapshots, every group-mod rule, bucket choice and liveness
//! (OpenFlow 1.3.5 §5.6, §6.5, §7.3.4.2; 1.5.1 §7.3.4.3).
//!
//! The single writer derives a new [`GroupTable`] from the old one; workers hold whichever they
//! adopted. Counters live outside the snapshots, so that a change keeps what it should keep.
//!
//! Invariants: no group reaches itself through buckets, or through watches of groups that choose by them; a chain
//! is at most [`MAX_CHAIN`] groups long, further watches aren't followed; every group that a bucket names exists
//! (deleting it is refused). How often a packet may be copied by chained groups is bounded where packets run, not here.

mod apply;
mod select;
#[cfg(test)]
mod tests;

pub use apply::GroupChange;
pub use select::flow_hash;

use crate::clock::Time;
use crate::engine::counter::Counter;
use crate::group_shards::Shards;
use crate::key::FlowKey;
use crate::program::Op;
use ofproto::group::{GroupCapabilities, GroupDesc, GroupFeatures, GroupStats, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId, PortNo};
use std::sync::Arc;

/// Most groups of one type unless told otherwise.
pub const MAX_GROUPS: u32 = 1 << 20;
/// Most buckets of a group.
pub const MAX_BUCKETS: usize = 4096;
/// Longest chain of groups.
pub const MAX_CHAIN: usize = 16;
/// How many buckets the choice of one may look at: those of the largest group, each by way of some others.
const MOST_LOOKS: u32 = 4 * MAX_BUCKETS as u32;

/// Whether ports are live, as a snapshot of the ports knows it.
pub trait Liveness {
    /// The port exists, is not administratively down and has a link.
    fn port_live(&self, port: PortNo) -> bool;
}

/// A bucket, ready to run.
#[derive(Debug)]
pub struct GroupBucket {
    /// Its id (before 1.5: its place).
    pub id: BucketId,
    /// Its weight in a select group.
    pub weight: u16,
    /// Live while this port is, or `ANY`.
    pub watch_port: PortNo,
    /// Live while this group is, or `ANY`.
    pub watch_group: GroupId,
    /// Its action set in the order of execution.
    pub ops: Box<[Op]>,
    /// The one ordinary port it outputs to, if it has no watch: a select group leaves it out while that
    /// port is down (1.3.5 §5.6.1).
    pub out_port: Option<PortNo>,
    /// See [`crate::program::Program::cacheable`].
    pub cacheable: bool,
    /// Packets and bytes.
    pub counter: Arc<Counter>,
}

impl GroupBucket {
    const fn is_watched(&self) -> bool {
        self.watch_port.0 != PortNo::ANY.0 || self.watch_group.0 != GroupId::ANY.0
    }
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// As it was configured, echoed exactly.
    pub desc: GroupDesc,
    /// When it was added.
    pub created: Time,
    /// The buckets, in order.
    pub buckets: Box<[Arc<GroupBucket>]>,
    /// Groups that its buckets name or watch.
    pub children: Box<[GroupId]>,
    /// Groups that its buckets name.
    named: Box<[GroupId]>,
    /// Meters that its buckets name.
    pub meters: Box<[MeterId]>,
    /// How a bucket is chosen, in a select group.
    method: select::Method,
    /// The bits of a key that its own list of fields makes decide.
    bits: Option<Box<FlowKey>>,
    /// Whether all weights are alike, which makes choosing cheaper.
    even: bool,
    /// Packets and bytes.
    pub counter: Arc<Counter>,
}

impl Group {
    /// Its kind.
    pub const fn ty(&self) -> GroupType {
        self.desc.ty
    }

    /// Its id.
    pub const fn id(&self) -> GroupId {
        self.desc.group
    }

    /// What the choice of a bucket reads, if the group has a list of fields for it; else what [`flow_hash`] reads.
    pub fn hashed_bits(&self) -> Option<&FlowKey> {
        self.bits.as_deref()
    }

    /// Whether it chooses by what makes a flow.
    fn hashes_flows(&self) -> bool {
        self.ty() == GroupType::Select && self.bits.is_none()
    }
}

/// Every group. Cloning it makes a snapshot; only the single writer derives new ones.
#[derive(Clone, Debug)]
pub struct GroupTable {
    groups: Shards<Arc<Group>>,
    /// How many groups' buckets name each group.
    named_by: Shards<u32>,
    per_type: [u32; 4],
    /// How many select groups choose by what makes a flow.
    by_flow: u32,
    /// How many choose by fields of their own.
    by_fields: u32,
    /// All bits that those fields have had since there was no such group.
    fields_bits: FlowKey,
    max_groups: u32,
    writers: usize,
    seed: u64,
}

impl GroupTable {
    /// An empty table for counters of `writers` writers. `seed` makes the choice of select buckets
    /// differ between switches, which keeps a row of them from polarising.
    pub fn new(max_groups: u32, writers: usize, seed: u64) -> Self {
        Self {
            groups: Shards::default(),
            named_by: Shards::default(),
            per_type: [0; 4],
            by_flow: 0,
            by_fields: 0,
            fields_bits: FlowKey::default(),
            max_groups,
            writers,
            seed,
        }
    }

    /// A group.
    #[inline]
    pub fn get(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(id.0)
    }

    /// How many groups there are.
    pub const fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether there is a select group that chooses by what makes a flow.
    pub const fn has_select_by_flow(&self) -> bool {
        self.by_flow > 0
    }

    /// At least the bits by which select groups with fields of their own choose.
    pub const fn fields_bits(&self) -> &FlowKey {
        &self.fields_bits
    }

    /// Every group, by id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.sorted_ids().into_iter().filter_map(|id| self.groups.get(id))
    }

    /// Every group's description, by id.
    pub fn descs(&self) -> Vec<GroupDesc> {
        self.all().map(|g| g.desc.clone()).collect()
    }

    /// A group's statistics as of `now`; `flows` is the number of flow entries that name it.
    pub fn stats(&self, group: &Group, flows: u32, now: Time) -> GroupStats {
        let (packet_count, byte_count) = group.counter.sum();
        let age = now.since(group.created);
        GroupStats {
            group: group.id(),
            ref_count: flows.saturating_add(self.named_by.get(group.id().0).copied().unwrap_or(0)),
            packet_count,
            byte_count,
            duration_sec: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
            duration_nsec: age.subsec_nanos(),
            buckets: group.buckets.iter().map(|b| b.counter.sum()).collect(),
        }
    }

    /// The group-features reply; `actions` is the bitmap of wire action types that buckets can hold.
    pub const fn features(&self, actions: u32) -> GroupFeatures {
        GroupFeatures {
            types: 0b1111,
            capabilities: GroupCapabilities::SELECT_WEIGHT
                .union(GroupCapabilities::SELECT_LIVENESS)
                .union(GroupCapabilities::CHAINING)
                .union(GroupCapabilities::CHAINING_CHECKS),
            max_groups: [self.max_groups; 4],
            actions: [actions; 4],
        }
    }

    /// Whether a bucket is live: its port is, or its group is; without a watch it isn't
    /// (1.3.5 §6.5).
    pub fn bucket_live(&self, bucket: &GroupBucket, ports: &impl Liveness) -> bool {
        self.live(bucket, ports, MAX_CHAIN, &mut Looks::default())
    }

    fn live(&self, b: &GroupBucket, ports: &impl Liveness, depth: usize, looks: &mut Looks) -> bool {
        if depth == 0 || !looks.one_more() {
            return false;
        }
        (b.watch_port != PortNo::ANY && ports.port_live(b.watch_port))
            || (b.watch_group != GroupId::ANY
                && self
                    .get(b.watch_group)
                    .is_some_and(|g| g.buckets.iter().any(|b| self.live(b, ports, depth - 1, looks))))
    }

    /// The first live bucket of a fast-failover group.
    pub fn failover(&self, group: &Group, ports: &impl Liveness) -> Option<usize> {
        self.failover_by(group, ports, &mut Looks::default())
    }

    pub(crate) fn failover_by(&self, group: &Group, ports: &impl Liveness, looks: &mut Looks) -> Option<usize> {
        group.buckets.iter().position(|b| self.live(b, ports, MAX_CHAIN, looks))
    }

    /// The bucket of a select group for the packet with this key.
    pub fn select(&self, group: &Group, key: &FlowKey, ports: &impl Liveness) -> Option<usize> {
        self.select_by(group, key, ports, &mut Looks::default())
    }

    pub(crate) fn select_by(
        &self,
        group: &Group,
        key: &FlowKey,
        ports: &impl Liveness,
        looks: &mut Looks,
    ) -> Option<usize> {
        looks.0 += group.buckets.len() as u32;
        let usable = |b: &GroupBucket| {
            if b.is_watched() {
                self.live(b, ports, MAX_CHAIN, looks)
            } else {
                b.out_port.is_none_or(|p| ports.port_live(p))
            }
        };
        select::choose(group, group.method.hash(key, self.seed), usable)
    }
}

/// How many buckets have been looked at to choose one.
#[derive(Debug, Default)]
pub(crate) struct Looks(u32);

impl Looks {
    /// Those beyond the most count as dead.
    fn one_more(&mut self) -> bool {
        self.0 += 1;
        self.0 <= MOST_LOOKS
    }

    /// What they cost, in actions.
    pub(crate) const fn cost(&self) -> u32 {
        self.0 / 16
    }
}

/// The index of a type in per-type arrays.
const fn type_index(ty: GroupType) -> Option<usize> {
    match ty {
        GroupType::All => Some(0),
        GroupType::Select => Some(1),
        GroupType::Indirect => Some(2),
        GroupType::FastFailover => Some(3),
        GroupType::Unknown(_) => None,
    }
}
