//! The cache's storage and the replay of what it holds.

use super::record::{CachedHit, Step, Walked};
use crate::clock::Time;
use crate::engine::counter::Writer;
use crate::key::{FlowKey, word};
use crate::meter::Verdict;
use crate::packet::Packet;
use crate::pipeline::{DropReason, Outcome, PuntWhat, Sink, View, apply_edit, metered, punt, remark};
use crate::program::Op;
use ofproto::field::FieldId;
use ofproto::ids::{MeterId, PortNo, QueueId, TableId};
use ofproto::packet::PacketInReason;
use smallvec::SmallVec;

/// How a cache fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Packets served from it.
    pub hits: u64,
    /// Packets that it didn't know.
    pub misses: u64,
    /// Entries found stale.
    pub stale: u64,
    /// Walks remembered.
    pub inserts: u64,
    /// Packets that went past it because it didn't pay.
    pub bypassed: u64,
}

/// Which headers a packet has, beyond what its fields say: an IP header that is cut off leaves its fields
/// zero, and a set-field then does nothing where it would act on a whole header of zeros.
pub fn packet_kind(packet: &Packet) -> u64 {
    let l = &packet.layout;
    l.l3_kind as u64
        | (l.l4_kind as u64) << 8
        | u64::from(l.vlan_tags > 0) << 16
        | u64::from(l.fragment) << 17
        | u64::from(l.nd_option != 0) << 18
        | u64::from(packet.has_field(FieldId::Ipv6NdTarget)) << 19
        | u64::from(packet.frame.len() >= 14) << 20
}

/// Whether what a walk saw still holds.
pub trait Validity {
    /// The version being read.
    fn version(&self) -> u64;
    /// Counts changes of ports, groups, meters and settings.
    fn epoch(&self) -> u64;
    /// The version of the latest add to a table.
    fn last_add(&self, table: TableId) -> u64;
    /// Whether the entry is still what this version holds.
    fn holds(&self, hit: CachedHit) -> bool;
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    kind: u64,
    key: Box<[u64]>,
    /// Valid without a question at this version.
    checked: u64,
    /// The version at which the walk was made: adds up to here were seen.
    made: u64,
    epoch: u64,
    walked: Walked,
}

/// A worker's cache.
#[derive(Debug)]
pub struct Cache {
    sets: Box<[[Option<Box<Entry>>; 2]]>,
    /// The words of the key that the mask touches, and the mask's bits there.
    words: Vec<(usize, u64)>,
    mask: FlowKey,
    seed: u64,
    draws: u64,
    /// Hits and probes of the current window, for the decision to go past the cache.
    window: (u32, u32),
    /// Packets still to be sent past it.
    skip: u32,
    /// How it fares.
    pub stats: CacheStats,
}

/// Probes after which the hit rate is looked at.
const WINDOW: u32 = 4096;
/// Packets sent past a cache that doesn't pay before it is tried again.
const SKIP: u32 = 65_536;

impl Cache {
    /// A cache of at least `entries` entries. `seed` keys its hash.
    pub fn new(entries: usize, seed: u64) -> Self {
        let sets = (entries / 2).next_power_of_two().max(1);
        Self {
            sets: (0..sets).map(|_| [None, None]).collect(),
            words: Vec::new(),
            mask: FlowKey::default(),
            seed,
            draws: seed | 1,
            window: (0, 0),
            skip: 0,
            stats: CacheStats::default(),
        }
    }

    /// The mask that decides now. Another one than before empties the cache.
    pub fn set_mask(&mut self, mask: &FlowKey) {
        let mut mask = *mask;
        mask.0[word::IN_PORT] |= u64::from(u32::MAX);
        if mask == self.mask {
            return;
        }
        self.clear();
        self.mask = mask;
        self.words = mask.0.iter().enumerate().filter(|(_, m)| **m != 0).map(|(i, m)| (i, *m)).collect();
    }

    /// The mask in use.
    pub const fn mask(&self) -> &FlowKey {
        &self.mask
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        for set in &mut self.sets {
            *set = [None, None];
        }
        self.window = (0, 0);
        self.skip = 0;
    }

    /// Whether the next packet should be looked up at all.
    pub fn pays(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            self.stats.bypassed += 1;
            return false;
        }
        if self.window.1 >= WINDOW {
            // Under one hit in eight a probe costs more than it saves.
            if self.window.0 < WINDOW / 8 {
                self.skip = SKIP;
            }
            self.window = (0, 0);
        }
        true
    }

    fn hash(&self, key: &FlowKey, kind: u64) -> u64 {
        let mut h = self.seed ^ kind.rotate_left(32);
        for (w, m) in &self.words {
            // A keyed multiply: the halves of a 128-bit product, folded.
            let p = u128::from(h ^ (key.0[*w] & m)) * 0xe703_7ed1_a0b4_28db;
            h = (p as u64 ^ (p >> 64) as u64).wrapping_add(self.seed.rotate_left(17));
        }
        h ^ h >> 32
    }

    fn set_of(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    /// What was remembered for this key, if it still holds.
    pub fn find(&mut self, packet: &Packet, now: &impl Validity) -> Option<&Walked> {
        let (key, kind) = (&packet.key, packet_kind(packet));
        let hash = self.hash(key, kind);
        let set = self.set_of(hash);
        self.window.1 += 1;
        let words = &self.words;
        let way = self.sets[set].iter().position(|e| {
            e.as_ref().is_some_and(|e| {
                e.hash == hash && e.kind == kind && words.iter().zip(&e.key).all(|((w, m), k)| key.0[*w] & m == *k)
            })
        });
        let Some(way) = way else {
            self.stats.misses += 1;
            return None;
        };
        let valid = self.sets[set][way].as_mut().is_some_and(|e| e.is_valid(now));
        if !valid {
            self.sets[set][way] = None;
            self.stats.stale += 1;
            return None;
        }
        self.stats.hits += 1;
        self.window.0 += 1;
        self.sets[set][way].as_ref().map(|e| &e.walked)
    }

    /// Remembers a walk. When both places are taken by others, mostly doesn't: a flood of new keys
    /// would otherwise push out what pays.
    pub fn insert(&mut self, key: &FlowKey, kind: u64, walked: Walked, now: &impl Validity) {
        let hash = self.hash(key, kind);
        let set = self.set_of(hash);
        let free = self.sets[set].iter().position(Option::is_none);
        let way = match free {
            Some(way) => way,
            None => {
                self.draws = self.draws.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                if self.draws >> 60 != 0 {
                    return;
                }
                (self.draws >> 59 & 1) as usize
            }
        };
        let key = self.words.iter().map(|(w, m)| key.0[*w] & m).collect();
        let (version, epoch) = (now.version(), now.epoch());
        self.sets[set][way] = Some(Box::new(Entry { hash, kind, key, checked: version, made: version, epoch, walked }));
        self.stats.inserts += 1;
    }
}

impl Entry {
    fn is_valid(&mut self, now: &impl Validity) -> bool {
        let version = now.version();
        if self.epoch != now.epoch() {
            return false;
        }
        if self.checked == version {
            return true;
        }
        let holds = self
            .walked
            .lookups
            .iter()
            .all(|(table, hit)| now.last_add(*table) <= self.made && hit.is_none_or(|h| now.holds(h)));
        if holds {
            self.checked = version;
        }
        holds
    }
}

/// Does to a packet what a remembered walk did.
pub fn replay<'v, V: View<'v>, S: Sink>(
    view: V,
    walked: &Walked,
    packet: &mut Packet,
    writer: Writer,
    now: Time,
    sink: &mut S,
) -> Outcome {
    packet.key.set(ofproto::field::FieldId::ActsetOutput, u128::from(PortNo::UNSET.0));
    let mut saved: SmallVec<[Packet; 2]> = SmallVec::new();
    let mut pending: Option<(PortNo, Option<QueueId>)> = None;
    for (table, hit) in &walked.lookups {
        view.count_table(*table, hit.is_some());
    }
    let mut i = 0;
    while let Some(step) = walked.steps.get(i) {
        i += 1;
        let len = packet.frame.len() as u64;
        let in_port = PortNo(packet.key.0[word::IN_PORT] as u32);
        let mut stop = false;
        match step {
            Step::Count(hit) => view.count(*hit, 1, len, now),
            Step::CountGroup(g) => g.counter.add(writer, 1, len),
            Step::CountBucket(b) => b.counter.add(writer, 1, len),
            Step::Edit(op, table, cookie) => {
                flush(&mut pending, packet, sink);
                if apply_edit(packet, op).is_err() {
                    sink.dropped(DropReason::InvalidTtl, in_port);
                    let ids: &[u16] = match op {
                        Op::DecNwTtl(ids) if !ids.is_empty() => ids,
                        _ => &[0],
                    };
                    for id in ids {
                        let what = PuntWhat {
                            reason: PacketInReason::InvalidTtl,
                            table: *table,
                            cookie: *cookie,
                            max_len: view.settings().miss_send_len,
                            controller_id: *id,
                            userdata: None,
                            meter: None,
                        };
                        send(view, packet, what, writer, now, sink);
                    }
                    stop = true;
                }
            }
            Step::Meter(meter) => {
                let (packets, bytes) = metered(packet);
                match meter.charge(writer, packets, bytes, now) {
                    Verdict::Pass => {}
                    Verdict::Drop => {
                        sink.dropped(DropReason::Meter, in_port);
                        stop = true;
                    }
                    Verdict::Remark(levels) => {
                        flush(&mut pending, packet, sink);
                        remark(packet, levels);
                    }
                }
            }
            Step::Output(port, queue) => {
                flush(&mut pending, packet, sink);
                pending = Some((*port, *queue));
            }
            Step::Punt(p) => {
                let what = PuntWhat {
                    reason: p.reason,
                    table: p.table,
                    cookie: p.cookie,
                    max_len: p.max_len,
                    controller_id: p.controller_id,
                    userdata: p.userdata.clone(),
                    meter: p.meter.clone(),
                };
                send(view, packet, what, writer, now, sink);
            }
            Step::Save => {
                flush(&mut pending, packet, sink);
                saved.push(packet.duplicate());
            }
            Step::Restore => {
                if let Some(before) = saved.pop() {
                    let copy = std::mem::replace(packet, before);
                    if let Some((port, queue)) = pending.take() {
                        sink.transmit(port, queue, copy.frame);
                    }
                }
            }
            Step::Drop(reason) => sink.dropped(*reason, in_port),
        }
        if stop {
            // This copy is done; what follows the branch goes on, if this was one.
            let mut depth = 1;
            while depth > 0 {
                match walked.steps.get(i) {
                    Some(Step::Save) => depth += 1,
                    Some(Step::Restore) => depth -= 1,
                    Some(_) => {}
                    None => break,
                }
                if depth > 0 {
                    i += 1;
                }
            }
        }
    }
    match pending {
        Some((port, queue)) => {
            sink.transmit(port, queue, std::mem::take(&mut packet.frame));
            Outcome::Sent
        }
        None => Outcome::Left(std::mem::take(&mut packet.frame)),
    }
}

fn flush<S: Sink>(pending: &mut Option<(PortNo, Option<QueueId>)>, packet: &Packet, sink: &mut S) {
    if let Some((port, queue)) = pending.take() {
        sink.transmit(port, queue, packet.frame.duplicate());
    }
}

fn send<'v, V: View<'v>, S: Sink>(view: V, packet: &Packet, what: PuntWhat, writer: Writer, now: Time, sink: &mut S) {
    let in_port = PortNo(packet.key.0[word::IN_PORT] as u32);
    if !punt(packet, what, view.meters().get(MeterId::CONTROLLER), writer, now, sink) {
        sink.dropped(DropReason::ControllerQueue, in_port);
    }
}
