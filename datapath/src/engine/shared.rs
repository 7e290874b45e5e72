//! What the threads of one switch share beside the published state.

use super::counter::Writer;
use super::port_drops::{PortDrops, TableDrops};
use crate::clock::Time;
use crate::normal::MacTable;
use crate::pipeline::{DropReason, Lost, Request};
use crate::punt::{PuntLimits, PuntQueue};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use crossbeam::utils::CachePadded;
use ofproto::flow::FlowMod;
use ofproto::ids::{PortNo, TableId};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What becomes of packets while no controller is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailMode {
    /// Through the tables as always.
    Secure,
    /// Through the learning switch instead (OpenFlow 1.3.5 §6.3.5).
    Standalone,
}

/// How a switch's shared parts are made.
#[derive(Clone, Copy, Debug)]
pub struct SharedConfig {
    /// Bounds of the controllers' queue.
    pub punts: PuntLimits,
    /// Most wishes that wait for control.
    pub requests: usize,
    /// Most learnt addresses.
    pub mac_entries: usize,
    /// When a learnt address is forgotten.
    pub mac_ageing: Duration,
    /// Keys the caches' hashes; unpredictable to those who send packets.
    pub seed: u64,
    /// Threads that count, control included: one more than control's most workers.
    pub writers: usize,
}

impl Default for SharedConfig {
    fn default() -> Self {
        Self {
            punts: PuntLimits::default(),
            requests: 1024,
            mac_entries: 8192,
            mac_ageing: Duration::from_secs(300),
            seed: 0x0005_eed0_f9a5_5ed1,
            writers: 17,
        }
    }
}

/// Drops by reason, in the order of [`DropReason::ALL`].
pub type DropCounts = [u64; DropReason::COUNT];

/// What the threads of one switch share.
#[derive(Debug)]
pub struct Shared {
    punts: PuntQueue,
    requests: (Sender<Request>, Receiver<Request>),
    lost_requests: AtomicU64,
    sampled: AtomicU64,
    normal: MacTable,
    mode: AtomicU8,
    drops: Box<[CachePadded<[AtomicU64; DropReason::COUNT]>]>,
    /// By the port where a packet came in, and by the one that it couldn't leave through.
    port_drops: Box<[CachePadded<[PortDrops; 2]>]>,
    table_drops: Box<[CachePadded<TableDrops>]>,
    seed: u64,
    /// Marks of flows taught lately.
    recent: Box<[AtomicU64]>,
}

impl Shared {
    /// The shared parts of a new switch.
    pub fn new(config: SharedConfig) -> Self {
        Self {
            punts: PuntQueue::new(config.punts),
            requests: bounded(config.requests.max(1)),
            lost_requests: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            normal: MacTable::new(config.mac_entries, config.mac_ageing, config.seed),
            mode: AtomicU8::new(0),
            drops: (0..config.writers.max(1)).map(|_| CachePadded::default()).collect(),
            port_drops: (0..config.writers.max(1)).map(|_| CachePadded::default()).collect(),
            table_drops: (0..config.writers.max(1)).map(|_| CachePadded::default()).collect(),
            seed: config.seed,
            recent: (0..256).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Packets for the controllers.
    pub const fn punts(&self) -> &PuntQueue {
        &self.punts
    }

    /// Wishes of the pipeline for control, oldest first.
    pub fn next_request(&self) -> Option<Request> {
        self.requests.1.try_recv().ok()
    }

    /// Wishes that were lost because control didn't keep up.
    pub fn lost_requests(&self) -> u64 {
        self.lost_requests.load(Ordering::Relaxed)
    }

    /// Packets that sample actions chose.
    pub fn sampled(&self) -> u64 {
        self.sampled.load(Ordering::Relaxed)
    }

    /// The learning switch.
    pub const fn normal(&self) -> &MacTable {
        &self.normal
    }

    /// Sets what becomes of packets from the next burst on.
    pub fn set_mode(&self, mode: FailMode) {
        self.mode.store(u8::from(mode == FailMode::Standalone), Ordering::Relaxed);
    }

    pub(super) fn is_standalone(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != 0
    }

    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Drops so far.
    pub fn drops(&self) -> DropCounts {
        let mut sum = DropCounts::default();
        for d in &self.drops {
            for (s, n) in sum.iter_mut().zip(&**d) {
                *s = s.wrapping_add(n.load(Ordering::Relaxed));
            }
        }
        sum
    }

    /// Drops so far by the port that the packet came in on; ports without any are left out.
    pub fn port_drops(&self) -> BTreeMap<PortNo, DropCounts> {
        let mut sum = BTreeMap::new();
        for d in &self.port_drops {
            d[0].add_to(&mut sum);
        }
        sum
    }

    /// Drops so far by the port that the packet was to leave through and couldn't.
    pub fn out_port_drops(&self) -> BTreeMap<PortNo, DropCounts> {
        let mut sum = BTreeMap::new();
        for d in &self.port_drops {
            d[1].add_to(&mut sum);
        }
        sum
    }

    /// Drops so far by the table that was asked last; those before any table aren't among them.
    pub fn table_drops(&self) -> BTreeMap<TableId, DropCounts> {
        let mut sum = BTreeMap::new();
        for d in &self.table_drops {
            d.add_to(&mut sum);
        }
        sum
    }

    pub(super) fn count_drop(&self, lost: Lost, writer: Writer) {
        let Lost { reason, in_port, table, out_port } = lost;
        let i = usize::from(writer.0).min(self.drops.len() - 1);
        self.port_drops[i][0].count(in_port, reason);
        if let Some(port) = out_port {
            self.port_drops[i][1].count(port, reason);
        }
        if let Some(table) = table {
            self.table_drops[i].count(table, reason);
        }
        let n = &self.drops[i][reason as usize];
        n.store(n.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn request(&self, request: Request, now: Time) -> bool {
        if let Request::Learn { flow_mod, waiting: None, .. } = &request
            && self.is_recent(flow_mod, now)
        {
            return true;
        }
        let sent = match self.requests.0.try_send(request) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost_requests.fetch_add(1, Ordering::Relaxed);
                false
            }
        };
        // Control sleeps where it waits for packets.
        self.punts.wake();
        sent
    }

    /// Whether the same flow was taught a moment ago: every packet of a connection teaches it again,
    /// and control need hear it only now and then, for its timeouts.
    fn is_recent(&self, flow_mod: &FlowMod, now: Time) -> bool {
        let hash = foldhash::fast::FixedState::with_seed(self.seed).hash_one(flow_mod);
        // About an eighth of a second.
        let mark = hash.wrapping_add(now.0 >> 27);
        let slot = &self.recent[hash as usize % self.recent.len()];
        slot.swap(mark, Ordering::Relaxed) == mark
    }

    pub(super) fn count_sample(&self) {
        self.sampled.fetch_add(1, Ordering::Relaxed);
    }
}
