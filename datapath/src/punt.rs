//! Packets on their way to the controllers: a bounded queue that is fair between sources.
//!
//! Each source, that is each (ingress port, table, reason), has a rate of its own and may hold its share
//! of the queue's places and bytes: a port that floods fills its own share and no one else's. Nothing
//! waits: what comes too fast or doesn't fit is counted and gone.
//!
//! Thread-safety: any number of workers push, one consumer at a time takes; a short lock guards the queue. Workers
//! come here only with packets that leave the fast path anyway.

mod limiter;

use crate::clock::Time;
use crate::frame::Frame;
use crate::key::FlowKey;
use bytes::Bytes;
use hashbrown::HashMap;
use limiter::Limiter;
use ofproto::continuation::Continuation;
use ofproto::ids::{Cookie, PortNo, TableId};
use ofproto::packet::PacketInReason;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A packet for the controllers.
#[derive(Debug)]
pub struct Punt {
    /// Why.
    pub reason: PacketInReason,
    /// The number of a reason that a Nicira action named, where `reason` doesn't say it.
    pub table: TableId,
    /// The entry that sent it, `Cookie(u64::MAX)` for none (bucket, action set, miss).
    pub cookie: Cookie,
    /// Every field at that moment; a packet-in's match is made of its pipeline fields.
    pub key: FlowKey,
    /// The whole frame, checksums finished.
    pub frame: Frame,
    /// Bytes that the action (or `miss_send_len`) allows; 0xffff: all, and no buffering.
    pub max_len: u16,
    /// Which controller, by Nicira's id; 0 is every ordinary one.
    pub controller_id: u16,
    /// What a Nicira action attached.
    pub userdata: Option<Bytes>,
    /// The packet waits: what it still has to do (Nicira's `controller(pause)`).
    pub paused: Option<Box<Continuation>>,
}

impl Punt {
    /// The ingress port.
    pub fn in_port(&self) -> PortNo {
        PortNo(self.key.0[crate::key::word::IN_PORT] as u32)
    }

    fn source(&self) -> Source {
        (self.in_port(), self.table, self.reason)
    }
}

type Source = (PortNo, TableId, PacketInReason);

/// Bounds of a [`PuntQueue`].
#[derive(Clone, Copy, Debug)]
pub struct PuntLimits {
    /// Most packets in the queue.
    pub packets: usize,
    /// Most bytes in the queue.
    pub bytes: usize,
    /// Most packets of one source while others wait too.
    pub per_source: usize,
    /// Most packets of one source per second; 0: any number.
    pub rate: u32,
    /// Most packets of one source at once, before the rate counts.
    pub burst: u32,
}

/// Packets a second that one source may send to the controllers unless told otherwise: more than
/// controllers written in Python take, and little enough for several ports to flood at once.
pub const DEFAULT_RATE: u32 = 2000;
/// How many of them at once.
pub const DEFAULT_BURST: u32 = 500;

impl Default for PuntLimits {
    fn default() -> Self {
        Self { packets: 4096, bytes: 16 << 20, per_source: 512, rate: DEFAULT_RATE, burst: DEFAULT_BURST }
    }
}

#[derive(Default)]
struct Inner {
    /// Each source's packets, oldest first.
    sources: HashMap<Source, VecDeque<Punt>>,
    /// Sources with packets, next to be served first.
    turns: VecDeque<Source>,
    packets: usize,
    bytes: usize,
    /// Memory of lists that ran empty, for the next ones.
    spare: Vec<VecDeque<Punt>>,
}

/// Empty lists whose memory is kept.
const SPARE: usize = 4;

impl Inner {
    fn list(&mut self, source: Source) -> &mut VecDeque<Punt> {
        let spare = &mut self.spare;
        self.sources.entry(source).or_insert_with(|| spare.pop().unwrap_or_default())
    }

    /// Forgets a source that has no packets.
    fn forget(&mut self, source: &Source) {
        if let Some(list) = self.sources.remove(source)
            && self.spare.len() < SPARE
        {
            self.spare.push(list);
        }
    }

    /// Gives all packets for the empty list `out`, if they are one source's and `most` at most.
    fn swap_all(&mut self, most: usize, out: &mut VecDeque<Punt>) -> bool {
        if self.packets > most || self.turns.len() != 1 {
            return false;
        }
        let Some(source) = self.turns.pop_front() else { return false };
        std::mem::swap(self.list(source), out);
        self.forget(&source);
        (self.packets, self.bytes) = (0, 0);
        true
    }

    /// Whether a source may hold one more packet. Its share shrinks as sources come: nobody can hold more than
    /// an even part of a full queue.
    fn has_room(&self, limits: &PuntLimits, source: &Source) -> bool {
        let even = limits.packets / (self.sources.len().max(1) + 1);
        let share = limits.per_source.min(even.max(1));
        let held = self.sources.get(source).map_or(0, VecDeque::len);
        held < share && self.packets < limits.packets
    }

    fn pop(&mut self) -> Option<Punt> {
        let source = self.turns.pop_front()?;
        let list = self.sources.get_mut(&source)?;
        let punt = list.pop_front();
        if list.capacity() > 64 && list.len() < list.capacity() / 8 {
            list.shrink_to(list.len() * 2);
        }
        if list.is_empty() {
            self.forget(&source);
        } else {
            self.turns.push_back(source);
        }
        if let Some(p) = &punt {
            self.packets -= 1;
            self.bytes -= p.frame.len();
        }
        punt
    }
}

/// The bounded, fair queue.
pub struct PuntQueue {
    inner: Mutex<Inner>,
    limits: PuntLimits,
    limiter: Limiter,
    limited: [AtomicU64; 7],
    queued: AtomicU64,
    dropped: [AtomicU64; 7],
    /// About how many packets there are; exact under the lock.
    held: AtomicUsize,
    /// A packet came into an empty queue, and nobody was told.
    untold: AtomicBool,
    taker: OnceLock<Box<dyn Fn(Moment) + Send + Sync>>,
}

/// When it is said that packets wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// There are other things to do: whoever takes packets must only be woken.
    Busy,
    /// Few frames came and all of them are done, what they caused to be sent is on its way, and no published state
    /// is held: packets may be taken on the calling thread.
    Spare,
}

impl std::fmt::Debug for PuntQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PuntQueue").field("limits", &self.limits).finish_non_exhaustive()
    }
}

const fn reason_index(r: PacketInReason) -> usize {
    match r {
        PacketInReason::TableMiss => 0,
        PacketInReason::ApplyAction => 1,
        PacketInReason::InvalidTtl => 2,
        PacketInReason::ActionSet => 3,
        PacketInReason::Group => 4,
        PacketInReason::PacketOut => 5,
        PacketInReason::Other(_) => 6,
    }
}

impl PuntQueue {
    /// An empty queue.
    pub fn new(limits: PuntLimits) -> Self {
        Self {
            inner: Mutex::default(),
            limiter: Limiter::new(limits.rate, limits.burst),
            limits,
            limited: Default::default(),
            queued: AtomicU64::new(0),
            dropped: Default::default(),
            held: AtomicUsize::new(0),
            untold: AtomicBool::new(false),
            taker: OnceLock::new(),
        }
    }

    /// Sets what is called when packets came into an empty queue, once: on the worker's thread, so it must do no more
    /// than the [`Moment`] allows.
    pub fn on_packet(&self, taker: impl Fn(Moment) + Send + Sync + 'static) {
        // Whoever set it first goes on being told.
        let _ = self.taker.set(Box::new(taker));
    }

    /// Whether a source may send one more packet now, by its rate and by the room there is; asked before the
    /// packet is copied. What it may not is counted.
    pub fn admits(&self, in_port: PortNo, table: TableId, reason: PacketInReason, now: Time) -> bool {
        let source = (in_port, table, reason);
        if !self.limiter.admits(source, now) {
            self.limited[reason_index(reason)].fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // A flood's packets aren't copied for nothing. Few packets leave room for everybody.
        let crowded = self.held.load(Ordering::Relaxed) >= self.limits.per_source.min(self.limits.packets / 2);
        if crowded && !self.lock().has_room(&self.limits, &source) {
            self.dropped[reason_index(reason)].fetch_add(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a packet, or drops it and says false. Who takes packets hears of it by [`tell`](Self::tell).
    pub fn push(&self, punt: Punt) -> bool {
        let reason = reason_index(punt.reason);
        let len = punt.frame.len();
        let source = punt.source();
        {
            let mut q = self.lock();
            let held = q.sources.get(&source).map_or(0, VecDeque::len);
            if !q.has_room(&self.limits, &source) || q.bytes + len > self.limits.bytes {
                drop(q);
                self.dropped[reason].fetch_add(1, Ordering::Relaxed);
                return false;
            }
            if q.packets == 0 {
                self.untold.store(true, Ordering::Release);
            }
            q.packets += 1;
            self.held.store(q.packets, Ordering::Relaxed);
            q.bytes += len;
            if held == 0 {
                q.turns.push_back(source);
            }
            q.list(source).push_back(punt);
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Tells whoever takes packets, if some came into an empty queue: called once for all packets of a burst,
    /// so that they are taken together.
    pub fn tell(&self, moment: Moment) {
        if self.is_untold() && self.untold.swap(false, Ordering::AcqRel) {
            self.call(moment);
        }
    }

    /// Whether packets came into an empty queue of which nobody was told.
    pub fn is_untold(&self) -> bool {
        self.untold.load(Ordering::Acquire)
    }

    /// Wakes whoever takes packets, for something else that waits for them.
    pub fn wake(&self) {
        self.call(Moment::Busy);
    }

    fn call(&self, moment: Moment) {
        if let Some(taker) = self.taker.get() {
            taker(moment);
        }
    }

    /// Takes the next packet: sources take turns.
    pub fn pop(&self) -> Option<Punt> {
        let mut q = self.lock();
        let punt = q.pop();
        self.held.store(q.packets, Ordering::Relaxed);
        punt
    }

    /// Takes up to `most` packets, as so many [`pop`](Self::pop)s would.
    pub fn pop_some(&self, most: usize, out: &mut VecDeque<Punt>) {
        let mut q = self.lock();
        // Workers wait for the lock: what a flood of one source brings changes hands as a whole.
        if !(out.is_empty() && q.swap_all(most, out)) {
            out.extend(std::iter::from_fn(|| q.pop()).take(most));
        }
        self.held.store(q.packets, Ordering::Relaxed);
    }

    /// Packets waiting.
    pub fn len(&self) -> usize {
        self.lock().packets
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packets queued so far.
    pub fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Packets dropped so far because their source sent too many, by reason as in [`dropped`](Self::dropped).
    pub fn limited(&self) -> [u64; 7] {
        std::array::from_fn(|i| self.limited[i].load(Ordering::Relaxed))
    }

    /// Packets dropped so far for want of room, by reason: table miss, apply-action, invalid TTL, action
    /// set, group, packet-out, other.
    pub fn dropped(&self) -> [u64; 7] {
        std::array::from_fn(|i| self.dropped[i].load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::field::FieldId;

    fn punt(port: u32, len: usize) -> Punt {
        let mut key = FlowKey::default();
        key.set(FieldId::InPort, u128::from(port));
        Punt {
            reason: PacketInReason::TableMiss,
            table: TableId(0),
            cookie: Cookie(0),
            key,
            frame: Frame::from_bytes(&vec![0; len]),
            max_len: 128,
            controller_id: 0,
            userdata: None,
            paused: None,
        }
    }

    #[test]
    fn a_flooding_port_neither_starves_others_nor_outgrows_its_share() {
        let q = PuntQueue::new(PuntLimits { packets: 100, bytes: 1 << 20, per_source: 50, ..PuntLimits::default() });
        for _ in 0..10_000 {
            q.push(punt(1, 60));
        }
        assert_eq!(q.len(), 50);
        for _ in 0..3 {
            assert!(q.push(punt(2, 60)));
        }
        assert_eq!(q.dropped()[0], 9950);
        let order: Vec<u32> = (0..6).filter_map(|_| q.pop()).map(|p| p.in_port().0).collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2]);
        assert_eq!(std::iter::from_fn(|| q.pop()).count(), 47);
        assert!(q.is_empty());
    }

    #[test]
    fn bytes_are_bounded_and_the_consumer_is_woken_for_the_first() {
        let q = PuntQueue::new(PuntLimits { packets: 100, bytes: 1000, per_source: 100, ..PuntLimits::default() });
        let woken = std::sync::Arc::new(AtomicU64::new(0));
        let w = std::sync::Arc::clone(&woken);
        q.on_packet(move |moment| {
            assert_eq!(moment, Moment::Spare);
            w.fetch_add(1, Ordering::Relaxed);
        });
        assert!(q.push(punt(1, 600)));
        assert!(!q.push(punt(2, 600)));
        assert!(q.push(punt(2, 400)));
        assert_eq!(woken.load(Ordering::Relaxed), 0, "not before the burst's end");
        q.tell(Moment::Spare);
        q.tell(Moment::Spare);
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert_eq!(q.queued(), 2);
    }

    #[test]
    fn a_full_share_is_known_before_a_packet_is_copied() {
        let limits = PuntLimits { packets: 100, per_source: 20, rate: 0, ..PuntLimits::default() };
        let q = PuntQueue::new(limits);
        let admits = |port| q.admits(PortNo(port), TableId(0), PacketInReason::TableMiss, Time::ZERO);
        let mut admitted = 0;
        while admits(1) {
            assert!(q.push(punt(1, 60)), "what was admitted fits");
            admitted += 1;
        }
        assert_eq!((admitted, q.dropped()[0]), (20, 1));
        assert!(admits(2), "others have room");
        let mut out = VecDeque::new();
        q.pop_some(15, &mut out);
        assert_eq!((out.len(), q.len()), (15, 5));
        assert!(admits(1));
        q.pop_some(15, &mut out);
        assert_eq!((out.len(), q.len()), (20, 0));
        // All of one source at once, and then there is room for all again.
        (0..15).for_each(|_| assert!(q.push(punt(1, 60))));
        out.clear();
        q.pop_some(15, &mut out);
        assert_eq!((out.len(), q.len()), (15, 0));
        (0..20).for_each(|_| assert!(q.push(punt(2, 60))));
        assert!(!q.push(punt(2, 60)) && q.push(punt(1, 60)));
        out.clear();
        q.pop_some(100, &mut out);
        let order: Vec<u32> = out.iter().take(3).map(|p| p.in_port().0).collect();
        assert_eq!((order, out.len(), q.len()), (vec![2, 1, 2], 21, 0));
    }
}
