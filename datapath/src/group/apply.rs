//! Group-mods.

use super::select::Method;
use super::{Group, GroupBucket, GroupTable, MAX_BUCKETS, MAX_CHAIN, type_index};
use crate::clock::Time;
use crate::engine::counter::Counter;
use crate::group_shards::Shards;
use crate::key::FlowKey;
use crate::program::{Context, Op, compile_bucket};
use hashbrown::HashMap;
use ofproto::group::{Bucket, GroupDesc, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId, PortNo};
use ofproto::{ErrorKind as E, OfError};
use std::borrow::Cow;
use std::sync::Arc;

/// What a group-mod did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChange {
    /// Groups that are gone: flow entries that name them go too.
    pub deleted: Vec<GroupId>,
}

fn err(kind: E, field: &'static str, reason: impl Into<Cow<'static, str>>) -> OfError {
    OfError::new(kind, field, reason)
}

impl GroupTable {
    /// Applies a group-mod: the table after it and what it did, or why it is refused, with nothing
    /// changed. Of `ctx` the version, the number of tables and the meters count; its `groups` is this table.
    pub fn apply(&self, m: &GroupMod, ctx: &Context<'_>, now: Time) -> Result<(Self, GroupChange), OfError> {
        let ctx = &Context { groups: self, ..*ctx };
        let id = m.group;
        match m.command {
            GroupModCommand::Add => self.define(m, None, ctx, now),
            GroupModCommand::Modify => {
                check_id(id)?;
                let old = self.get(id).ok_or_else(|| unknown_group(id))?;
                self.define(m, Some(old), ctx, now)
            }
            GroupModCommand::AddOrMod => self.define(m, self.get(id), ctx, now),
            GroupModCommand::Delete => self.delete(m),
            GroupModCommand::InsertBucket => self.insert_buckets(m, ctx),
            GroupModCommand::RemoveBucket => self.remove_buckets(m),
            GroupModCommand::Unknown(n) => {
                Err(err(E::GroupModFailedBadCommand, "command", format!("{n} is not a command")))
            }
        }
    }

    fn define(
        &self,
        m: &GroupMod,
        old: Option<&Arc<Group>>,
        ctx: &Context<'_>,
        now: Time,
    ) -> Result<(Self, GroupChange), OfError> {
        check_id(m.group)?;
        let Some(ty) = type_index(m.ty) else {
            return Err(err(E::GroupModFailedBadType, "type", format!("{:?} is not a group type", m.ty)));
        };
        if old.is_none() {
            if self.get(m.group).is_some() {
                return Err(err(E::GroupModFailedGroupExists, "group_id", format!("there is a group {}", m.group)));
            }
            if self.per_type[ty] >= self.max_groups {
                return Err(err(
                    E::GroupModFailedOutOfGroups,
                    "group_id",
                    format!("{} groups of a type are the most", self.max_groups),
                ));
            }
        }
        let mut next = self.clone();
        let created = old.map_or(now, |g| g.created);
        // Modify keeps the group's counters and starts its buckets' again (1.3.5 §6.5).
        let counter = old.map_or_else(|| Arc::new(Counter::new(self.writers)), |g| Arc::clone(&g.counter));
        let desc = GroupDesc {
            ty: m.ty,
            group: m.group,
            buckets: number(m.buckets.clone()),
            properties: m.properties.clone(),
        };
        let group = self.build(desc, created, counter, None, ctx)?;
        next.put(group)?;
        Ok((next, GroupChange::default()))
    }

    /// Checks a definition and makes it ready to run. Buckets that `keep` holds under the same id keep
    /// their counters.
    fn build(
        &self,
        desc: GroupDesc,
        created: Time,
        counter: Arc<Counter>,
        keep: Option<&Group>,
        ctx: &Context<'_>,
    ) -> Result<Group, OfError> {
        if desc.buckets.len() > MAX_BUCKETS {
            return Err(err(E::GroupModFailedOutOfBuckets, "buckets", format!("{MAX_BUCKETS} buckets are the most")));
        }
        if desc.ty == GroupType::Indirect && desc.buckets.len() != 1 {
            return Err(err(
                E::GroupModFailedInvalidGroup,
                "buckets",
                format!("an indirect group has exactly one bucket, not {}", desc.buckets.len()),
            ));
        }
        let mut seen = hashbrown::HashSet::new();
        let mut buckets = Vec::with_capacity(desc.buckets.len());
        let (mut named, mut children, mut meters) = (Vec::new(), Vec::new(), Vec::<MeterId>::new());
        let watches = reads_watches(desc.ty);
        for (place, b) in desc.buckets.iter().enumerate() {
            let id = b.id.unwrap_or(BucketId(place as u32));
            if id >= BucketId::MAX {
                return Err(err(E::GroupModFailedBadBucket, "bucket_id", format!("{id:?} is reserved")));
            }
            if !seen.insert(id) {
                return Err(err(E::GroupModFailedBucketExists, "bucket_id", format!("bucket {id} twice")));
            }
            self.check_watch(desc.group, desc.ty, b)?;
            if let Some(kept) = keep.and_then(|g| g.buckets.iter().find(|k| k.id == id)) {
                named.extend(named_groups(&kept.ops));
                children.extend(Some(kept.watch_group).filter(|_| watches));
                buckets.push(Arc::clone(kept));
                continue;
            }
            // Before 1.3 a weight outside select groups has no meaning, and no error.
            if b.weight != 0 && desc.ty != GroupType::Select && ctx.version >= ofproto::Version::V13 {
                return Err(err(
                    E::GroupModFailedInvalidGroup,
                    "weight",
                    format!("weight {} in a group that doesn't select", b.weight),
                ));
            }
            let (ops, uses, cacheable) = compile_bucket(&b.actions, ctx)?;
            for &g in &uses.groups {
                if g == desc.group {
                    return Err(err(E::GroupModFailedLoop, "actions", format!("group {g} would run itself")));
                }
                if self.get(g).is_none() {
                    return Err(err(E::BadActionBadOutGroup, "group_id", format!("there is no group {g}")));
                }
            }
            named.extend_from_slice(&uses.groups);
            meters.extend_from_slice(&uses.meters);
            children.extend(Some(b.watch_group).filter(|_| watches));
            let mut bucket = GroupBucket {
                id,
                weight: b.weight,
                watch_port: b.watch_port,
                watch_group: b.watch_group,
                out_port: None,
                ops,
                cacheable,
                counter: Arc::new(Counter::new(self.writers)),
            };
            if !bucket.is_watched() {
                bucket.out_port = bucket.ops.iter().find_map(|op| match op {
                    Op::Output { port, .. } if port.is_ordinary() => Some(*port),
                    _ => None,
                });
            }
            buckets.push(Arc::new(bucket));
        }
        tidy(&mut named);
        children.retain(|g| *g != GroupId::ANY);
        children.extend_from_slice(&named);
        tidy(&mut children);
        tidy(&mut meters);
        let method = Method::of(desc.ty, &desc.properties)?;
        let bits = method.bits().map(Box::new);
        let mut weights = buckets.iter().map(|b| b.weight).filter(|w| *w != 0);
        let first = weights.next();
        let even = weights.all(|w| Some(w) == first);
        Ok(Group {
            desc,
            created,
            buckets: buckets.into(),
            children: children.into(),
            named: named.into(),
            meters: meters.into(),
            method,
            bits,
            even,
            counter,
        })
    }

    fn check_watch(&self, own: GroupId, ty: GroupType, b: &Bucket) -> Result<(), OfError> {
        if !reads_watches(ty) {
            return Ok(());
        }
        let port = b.watch_port;
        if !(port == PortNo::ANY || port == PortNo::LOCAL || port.is_ordinary()) {
            return Err(err(E::GroupModFailedBadWatch, "watch_port", format!("{port} can't be watched")));
        }
        let g = b.watch_group;
        if g == own {
            return Err(err(E::GroupModFailedLoop, "watch_group", format!("group {g} would watch itself")));
        }
        if g != GroupId::ANY && self.get(g).is_none() {
            return Err(err(E::GroupModFailedBadWatch, "watch_group", format!("there is no group {g:?}")));
        }
        Ok(())
    }

    /// Puts a definition in place of what was there, unless it closes a loop or makes a chain too long.
    fn put(&mut self, group: Group) -> Result<(), OfError> {
        let id = group.id();
        let (ty, named) = (group.ty(), group.named.clone());
        self.count_choice(&group, true);
        let old = self.groups.insert(id.0, Arc::new(group));
        self.check_chains(id)?;
        if let Some(old) = &old {
            self.unname(&old.named);
            self.count_choice(old, false);
            if let Some(t) = type_index(old.ty()) {
                self.per_type[t] -= 1;
            }
        }
        for g in &*named {
            let n = self.named_by.get(g.0).copied().unwrap_or(0);
            self.named_by.insert(g.0, n + 1);
        }
        if let Some(t) = type_index(ty) {
            self.per_type[t] += 1;
        }
        Ok(())
    }

    /// Counts a group that comes or goes among those that choose. The bits of fields stay until the last group
    /// with fields is gone: too many only cost some hits of the cache.
    fn count_choice(&mut self, group: &Group, comes: bool) {
        let count = match group.hashed_bits() {
            Some(_) => &mut self.by_fields,
            None if group.hashes_flows() => &mut self.by_flow,
            None => return,
        };
        *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        if let Some(bits) = group.hashed_bits().filter(|_| comes) {
            self.fields_bits.0.iter_mut().zip(bits.0).for_each(|(all, b)| *all |= b);
        } else if self.by_fields == 0 {
            self.fields_bits = FlowKey::default();
        }
    }

    fn unname(&mut self, named: &[GroupId]) {
        for g in named {
            match self.named_by.get(g.0).copied().unwrap_or(0) {
                0 | 1 => drop(self.named_by.remove(g.0)),
                n => drop(self.named_by.insert(g.0, n - 1)),
            }
        }
    }

    /// Depth-first from `start`, without recursion: a group met again on the way down is a loop.
    fn check_chains(&self, start: GroupId) -> Result<(), OfError> {
        /// Under examination, or the length of the longest chain from here.
        enum Mark {
            Open,
            Done(usize),
        }
        let mut marks: HashMap<GroupId, Mark> = HashMap::new();
        let mut stack = vec![(start, false)];
        while let Some((id, children_done)) = stack.pop() {
            let children = self.get(id).map_or(&[][..], |g| &g.children);
            if children_done {
                let below = children.iter().map(|c| if let Some(Mark::Done(n)) = marks.get(c) { *n } else { 0 }).max();
                let length = below.unwrap_or(0) + 1;
                if length > MAX_CHAIN {
                    return Err(err(
                        E::GroupModFailedChainingUnsupported,
                        "actions",
                        format!("a chain of more than {MAX_CHAIN} groups"),
                    ));
                }
                marks.insert(id, Mark::Done(length));
                continue;
            }
            match marks.get(&id) {
                Some(Mark::Done(_)) => continue,
                Some(Mark::Open) => {
                    return Err(err(E::GroupModFailedLoop, "actions", format!("group {id} would reach itself")));
                }
                None => {}
            }
            marks.insert(id, Mark::Open);
            stack.push((id, true));
            for c in children {
                match marks.get(c) {
                    Some(Mark::Done(_)) => {}
                    Some(Mark::Open) => {
                        return Err(err(E::GroupModFailedLoop, "actions", format!("group {c} would reach itself")));
                    }
                    None => stack.push((*c, false)),
                }
            }
        }
        Ok(())
    }

    fn delete(&self, m: &GroupMod) -> Result<(Self, GroupChange), OfError> {
        if !m.buckets.is_empty() {
            return Err(err(E::GroupModFailedInvalidGroup, "buckets", "a delete has no buckets"));
        }
        let mut next = self.clone();
        let mut change = GroupChange::default();
        if m.group == GroupId::ALL {
            change.deleted = self.groups.sorted_ids().into_iter().map(GroupId).collect();
            next.groups = Shards::default();
            next.named_by = Shards::default();
            next.per_type = [0; 4];
            (next.by_flow, next.by_fields, next.fields_bits) = (0, 0, FlowKey::default());
            return Ok((next, change));
        }
        check_id(m.group)?;
        if self.get(m.group).is_none() {
            return Ok((next, change));
        }
        if let Some(n) = self.named_by.get(m.group.0) {
            return Err(err(
                E::GroupModFailedChainedGroup,
                "group_id",
                format!("{n} group(s) have group {} in their buckets", m.group),
            ));
        }
        if let Some(old) = next.groups.remove(m.group.0) {
            next.unname(&old.named);
            next.count_choice(&old, false);
            if let Some(t) = type_index(old.ty()) {
                next.per_type[t] -= 1;
            }
            change.deleted.push(m.group);
        }
        Ok((next, change))
    }

    fn insert_buckets(&self, m: &GroupMod, ctx: &Context<'_>) -> Result<(Self, GroupChange), OfError> {
        check_id(m.group)?;
        let old = self.get(m.group).ok_or_else(|| unknown_group(m.group))?;
        let mut buckets = old.desc.buckets.clone();
        let at = match m.command_bucket {
            BucketId::FIRST => 0,
            BucketId::LAST => buckets.len(),
            id => 1 + position(&buckets, id)?,
        };
        if let Some(b) = m.buckets.iter().find(|b| b.id.is_some_and(|id| buckets.iter().any(|o| o.id == Some(id)))) {
            return Err(err(
                E::GroupModFailedBucketExists,
                "bucket_id",
                format!("there is a bucket {}", b.id.unwrap_or_default()),
            ));
        }
        // A bucket without an id gets the next free one, so that ids stay unique.
        let mut free = buckets.iter().filter_map(|b| b.id).map(|b| b.0 + 1).max().unwrap_or(0);
        let new = m.buckets.iter().cloned().map(|mut b| {
            if b.id.is_none() {
                b.id = Some(BucketId(free));
                free += 1;
            }
            b
        });
        buckets.splice(at..at, new);
        self.rebuild(old, buckets, ctx)
    }

    fn remove_buckets(&self, m: &GroupMod) -> Result<(Self, GroupChange), OfError> {
        check_id(m.group)?;
        let old = self.get(m.group).ok_or_else(|| unknown_group(m.group))?;
        if !m.buckets.is_empty() {
            return Err(err(E::GroupModFailedBadBucket, "buckets", "buckets are removed by command_bucket_id"));
        }
        let mut buckets = old.desc.buckets.clone();
        match m.command_bucket {
            BucketId::ALL => buckets.clear(),
            BucketId::FIRST | BucketId::LAST if buckets.is_empty() => {
                return Err(err(E::GroupModFailedUnknownBucket, "command_bucket_id", "the group has no buckets"));
            }
            BucketId::FIRST => drop(buckets.remove(0)),
            BucketId::LAST => drop(buckets.pop()),
            id => drop(buckets.remove(position(&buckets, id)?)),
        }
        let meters = crate::meter::MeterTable::new(0, 1);
        // What stays was checked when it came; nothing is compiled anew.
        let ctx = Context {
            version: ofproto::Version::V15,
            place: crate::program::Place::Bucket,
            n_tables: u8::MAX,
            tables: &[],
            first_egress: None,
            groups: self,
            meters: &meters,
            queues: None,
        };
        self.rebuild(old, buckets, &ctx)
    }

    /// The group with other buckets; those that stay keep their counters, and so does the group.
    fn rebuild(&self, old: &Group, buckets: Vec<Bucket>, ctx: &Context<'_>) -> Result<(Self, GroupChange), OfError> {
        let desc = GroupDesc { buckets, ..old.desc.clone() };
        let group = self.build(desc, old.created, Arc::clone(&old.counter), Some(old), ctx)?;
        let mut next = self.clone();
        next.put(group)?;
        Ok((next, GroupChange::default()))
    }
}

/// Whether a group's own choice reads its buckets' watches. In others controllers leave anything there, 0 for one,
/// which is a group's number.
const fn reads_watches(ty: GroupType) -> bool {
    matches!(ty, GroupType::FastFailover | GroupType::Select)
}

/// Numbers the buckets that have no id by their place.
fn number(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    if buckets.iter().all(|b| b.id.is_none()) {
        for (i, b) in buckets.iter_mut().enumerate() {
            b.id = Some(BucketId(i as u32));
        }
    }
    buckets
}

fn named_groups(ops: &[Op]) -> impl Iterator<Item = GroupId> {
    ops.iter().filter_map(|op| if let Op::Group(g) = op { Some(*g) } else { None })
}

fn tidy<T: Ord>(v: &mut Vec<T>) {
    v.sort_unstable();
    v.dedup();
}

fn position(buckets: &[Bucket], id: BucketId) -> Result<usize, OfError> {
    buckets.iter().position(|b| b.id == Some(id)).ok_or_else(|| {
        err(E::GroupModFailedUnknownBucket, "command_bucket_id", format!("the group has no bucket {id:?}"))
    })
}

fn check_id(id: GroupId) -> Result<(), OfError> {
    if id > GroupId::MAX {
        return Err(err(E::GroupModFailedInvalidGroup, "group_id", format!("{id:?} is reserved")));
    }
    Ok(())
}

fn unknown_group(id: GroupId) -> OfError {
    err(E::GroupModFailedUnknownGroup, "group_id", format!("there is no group {id}"))
}
