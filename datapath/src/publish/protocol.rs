//! Who has adopted which version: the handshake between the writer and the workers, and nothing else.
//!
//! This file is compiled twice: here, and in `tests/publication_model.rs` with a model checker's atomics in place of
//! the processor's, which tries every order in which threads may see each other's stores.

use super::sync::{AtomicU64, Ordering, fence, spin};
use crossbeam::utils::CachePadded;

/// What a worker that holds nothing (asleep, or none in this place) has seen.
const OFFLINE: u64 = u64::MAX;

/// No version is waited for.
const NONE: u64 = u64::MAX;

/// The newest version, and the one that each worker adopted.
pub(crate) struct Versions {
    newest: CachePadded<AtomicU64>,
    seen: Box<[CachePadded<AtomicU64>]>,
    /// The version whose adoption by all is to be told, once.
    awaited: CachePadded<AtomicU64>,
}

impl Versions {
    /// Version 1 is published, and no worker is there.
    pub(crate) fn new(workers: usize) -> Self {
        let seen = (0..workers).map(|_| CachePadded::new(AtomicU64::new(OFFLINE))).collect();
        let [newest, awaited] = [1, NONE].map(|n| CachePadded::new(AtomicU64::new(n)));
        Self { newest, seen, awaited }
    }

    /// Writer: everything prepared becomes visible, as this version.
    pub(crate) fn publish(&self, version: u64) {
        self.newest.store(version, Ordering::Release);
    }

    /// Writer: the oldest version that an online worker may be using; `published`, if none is online.
    pub(crate) fn oldest_seen(&self, published: u64) -> u64 {
        fence(Ordering::SeqCst);
        let oldest = self.seen.iter().map(|s| s.load(Ordering::Acquire)).min().unwrap_or(OFFLINE);
        oldest.min(published)
    }

    /// Writer: whether every online worker has adopted `version`. If not, the one that does so last will be told by
    /// [`is_told`](Self::is_told); of several versions asked about, of the oldest.
    pub(crate) fn is_adopted(&self, version: u64) -> bool {
        if self.oldest_seen(version) == version {
            return true;
        }
        self.awaited.fetch_min(version, Ordering::Relaxed);
        // Looks once more: either a worker sees what is awaited, or this thread sees that the worker has adopted it.
        self.oldest_seen(version) == version
    }

    /// Worker, after it adopted a version or went offline: whether the writer is to be told that all have adopted
    /// what it waits for. Only one worker learns that, once.
    #[inline]
    pub(crate) fn is_told(&self) -> bool {
        fence(Ordering::SeqCst);
        let awaited = self.awaited.load(Ordering::Relaxed);
        awaited != NONE && self.oldest_seen(awaited) == awaited && self.awaited.swap(NONE, Ordering::Relaxed) != NONE
    }

    /// Worker: the newest version.
    #[inline]
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Worker, online: takes version `newest` with the state that `load` finds and the version that the state began
    /// with. If the writer has already stored the state of the next version but not its number, nothing changes:
    /// the burst runs on the old one.
    #[inline]
    pub(crate) fn take<S>(&self, place: usize, newest: u64, load: impl FnOnce() -> (S, u64)) -> Option<S> {
        let (state, since) = load();
        if since > newest {
            return None;
        }
        self.seen[place].store(newest, Ordering::Release);
        Some(state)
    }

    /// Worker: holds nothing from now on.
    pub(crate) fn offline(&self, place: usize) {
        self.seen[place].store(OFFLINE, Ordering::Release);
    }

    /// Worker, offline: adopts the newest version, as [`take`](Self::take).
    pub(crate) fn online<S>(&self, place: usize, mut load: impl FnMut() -> (S, u64)) -> (u64, S) {
        // Announce first, then look: either the writer sees the announcement, or this thread sees
        // everything that the writer replaced before it looked.
        let mut version = self.newest.load(Ordering::SeqCst);
        self.seen[place].store(version, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        loop {
            if let Some(state) = self.take(place, version, &mut load) {
                return (version, state);
            }
            // The writer is between its two stores.
            spin();
            version = self.newest();
        }
    }
}
