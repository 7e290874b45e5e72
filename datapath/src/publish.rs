//! How the single writer's changes reach the workers: versions, quiescent states, deferred freeing.
//!
//! The control thread prepares a change and publishes it by storing one number, the *version*.
//! A worker adopts the newest version at the start of a burst ([`Reader::adopt`]) and thereby says
//! that it holds nothing from before; what the writer replaced is freed once every online worker
//! has said so. Workers never lock, never free and never wait.
//!
//! Invariants
//! - One writer: `Writer` is not `Clone`, and everything that replaces or frees needs `&mut Writer`.
//! - A reference obtained through a `Guard` lives no longer than the guard: the worker's guard
//!   borrows its [`Reader`] mutably until the next adoption, the writer's guard borrows the `Writer`.
//! - What is replaced while version `n` is published carries the tag `n + 1` and is freed only when
//!   every online worker has adopted `n + 1` or later.

use crate::counters::WorkerCounters;
use crate::engine::counter;
use std::any::Any;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

mod protocol;
mod state;
/// What [`protocol`] is made of.
mod sync {
    pub(super) use std::hint::spin_loop as spin;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}
use protocol::Versions;
pub use state::{CachedFlow, FragmentHandling, Published, Snapshot, SwitchSettings};

/// Most workers that one switch may attach.
pub const MAX_WORKERS: usize = 128;

/// Proof that what is loaded now stays alive for `'g`.
#[derive(Clone, Copy)]
pub(crate) struct Guard<'g>(PhantomData<&'g ()>);

/// A nullable pointer to shared data that the writer replaces and workers read.
pub(crate) struct Rcu<T> {
    ptr: AtomicPtr<T>,
    _owns: PhantomData<Arc<T>>,
}

impl<T: Send + Sync + 'static> Rcu<T> {
    pub(crate) fn null() -> Self {
        Self { ptr: AtomicPtr::new(std::ptr::null_mut()), _owns: PhantomData }
    }

    pub(crate) fn new(value: Arc<T>) -> Self {
        Self { ptr: AtomicPtr::new(Arc::into_raw(value).cast_mut()), _owns: PhantomData }
    }

    /// What is there now.
    #[inline]
    pub(crate) fn load<'g>(&self, _guard: Guard<'g>) -> Option<&'g T> {
        let ptr = self.ptr.load(Ordering::Acquire);
        // SAFETY: the pointer is null or came from `Arc::into_raw`; `replace` hands the old Arc to
        // the writer's garbage, which keeps it until no guard that could have loaded it exists.
        unsafe { ptr.as_ref() }
    }

    /// Puts `value` there and gives what was there to the garbage.
    pub(crate) fn replace(&self, value: Option<Arc<T>>, writer: &mut Writer) {
        let new = value.map_or(std::ptr::null_mut(), |v| Arc::into_raw(v).cast_mut());
        let old = self.ptr.swap(new, Ordering::AcqRel);
        if !old.is_null() {
            // SAFETY: from `Arc::into_raw` of this cell, and taken out of it exactly once.
            writer.retire(unsafe { Arc::from_raw(old) });
        }
    }
}

impl<T> Drop for Rcu<T> {
    fn drop(&mut self) {
        let ptr = *self.ptr.get_mut();
        if !ptr.is_null() {
            // SAFETY: from `Arc::into_raw`; the cell itself is unreachable, so no guard can load it.
            drop(unsafe { Arc::from_raw(ptr) });
        }
    }
}

type Garbage = Arc<dyn Any + Send + Sync>;
type Bell = Box<dyn Fn() + Send + Sync>;

/// What control and workers share.
pub(crate) struct Domain {
    versions: Versions,
    state: Rcu<Published>,
    tables: Box<[crate::table::FlowTable]>,
    /// Places of workers that have gone; control takes in their counters.
    gone: Mutex<Vec<usize>>,
    /// Called by the last worker that adopts what is waited for.
    bell: OnceLock<Bell>,
    /// The garbage of a control that ended before its workers.
    graveyard: Mutex<Vec<Garbage>>,
}

/// The writer's side of a domain: prepares versions, keeps garbage until it may be freed.
pub(crate) struct Writer {
    domain: Arc<Domain>,
    published: u64,
    garbage: VecDeque<(u64, Garbage)>,
    /// Tags of dumps in progress: nothing removed later than these is freed.
    pins: Vec<u64>,
    places: Vec<bool>,
}

impl Writer {
    /// A new domain whose first version, 1, is `state`, for at most `workers` workers.
    pub(crate) fn new(state: Published, tables: Box<[crate::table::FlowTable]>, workers: usize) -> Self {
        let domain = Domain {
            versions: Versions::new(workers),
            state: Rcu::new(Arc::new(Published { since: 1, ..state })),
            tables,
            gone: Mutex::default(),
            bell: OnceLock::new(),
            graveyard: Mutex::default(),
        };
        Self {
            domain: Arc::new(domain),
            published: 1,
            garbage: VecDeque::new(),
            pins: Vec::new(),
            places: vec![false; workers],
        }
    }

    pub(crate) fn guard(&self) -> Guard<'_> {
        Guard(PhantomData)
    }

    pub(crate) fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// What is published, as control's own thread sees it: `state` is the newest, `counters` are control's.
    pub(crate) fn view<'r>(&'r self, state: &'r Published, counters: &'r WorkerCounters) -> Snapshot<'r> {
        Snapshot::new(self.published, state, &self.domain, counters, counter::Writer::CONTROL, self.guard())
    }

    /// The newest published version.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// The version that the next publication will have.
    pub(crate) fn next(&self) -> u64 {
        self.published + 1
    }

    /// Keeps `old` until no worker can still use it.
    pub(crate) fn retire(&mut self, old: Garbage) {
        self.garbage.push_back((self.published + 1, old));
    }

    /// Makes everything prepared visible, as one version; with a new state if that changed.
    pub(crate) fn publish(&mut self, state: Option<Published>) -> u64 {
        let version = self.published + 1;
        if let Some(state) = state {
            let domain = Arc::clone(&self.domain);
            domain.state.replace(Some(Arc::new(Published { since: version, ..state })), self);
        }
        self.domain.versions.publish(version);
        self.published = version;
        version
    }

    /// The oldest version that an online worker may be using; everything published, if none is online.
    pub(crate) fn oldest_seen(&self) -> u64 {
        self.domain.versions.oldest_seen(self.published)
    }

    /// Whether every online worker has adopted `version`; if not, the [bell](Self::on_adoption) rings when they have.
    pub(crate) fn is_adopted(&self, version: u64) -> bool {
        self.domain.versions.is_adopted(version)
    }

    /// Sets the bell, once.
    pub(crate) fn on_adoption(&self, ring: impl Fn() + Send + Sync + 'static) {
        let _ = self.domain.bell.set(Box::new(ring));
    }

    /// As [`Self::oldest_seen`], dumps in progress included.
    pub(crate) fn oldest_used(&self) -> u64 {
        self.pins.iter().copied().min().unwrap_or(u64::MAX).min(self.oldest_seen())
    }

    pub(crate) fn pin(&mut self) -> u64 {
        self.pins.push(self.published);
        self.published
    }

    pub(crate) fn unpin(&mut self, version: u64) {
        if let Some(i) = self.pins.iter().position(|p| *p == version) {
            self.pins.swap_remove(i);
        }
    }

    /// Frees a share of the garbage, so that a turn stays short and a flood is kept up with, `most` pieces at most;
    /// whether some is left.
    pub(crate) fn collect(&mut self, most: usize) -> bool {
        let oldest = self.oldest_used();
        let budget = 48.max(self.garbage.len() / 64).min(most);
        for _ in 0..budget {
            match self.garbage.front() {
                Some((tag, _)) if *tag <= oldest => drop(self.garbage.pop_front()),
                _ => break,
            }
        }
        if self.garbage.capacity() > 1024 && self.garbage.len() < self.garbage.capacity() / 8 {
            self.garbage.shrink_to_fit();
        }
        !self.garbage.is_empty()
    }

    /// The version that the latest piece of garbage waits for.
    pub(crate) fn youngest_garbage(&self) -> Option<u64> {
        self.garbage.back().map(|(tag, _)| *tag)
    }

    /// A place for one more worker, or `None` if all are taken.
    pub(crate) fn attach(&mut self, counters: Arc<WorkerCounters>) -> Option<(usize, Reader)> {
        let place = self.places.iter().position(|taken| !taken)?;
        self.places[place] = true;
        let mut reader =
            Reader { domain: Arc::clone(&self.domain), place, version: 0, state: std::ptr::null(), counters };
        reader.online();
        Some((place, reader))
    }

    /// Places of workers that have gone since the last call; the places are free again.
    pub(crate) fn take_gone(&mut self) -> Vec<usize> {
        let gone = std::mem::take(&mut *self.domain.gone.lock().unwrap_or_else(PoisonError::into_inner));
        for place in &gone {
            self.places[*place] = false;
        }
        gone
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let rest = self.garbage.drain(..).map(|(_, g)| g);
        self.domain.graveyard.lock().unwrap_or_else(PoisonError::into_inner).extend(rest);
    }
}

impl Domain {
    /// The state stored last, and the version that it began with. For a worker that is online or coming online.
    fn current(&self) -> (*const Published, u64) {
        let state: *const Published = self.state.ptr.load(Ordering::Acquire);
        // SAFETY: never null after `Writer::new`; alive, because the worker's announced version is
        // older than the tag that a retirement from now on gets.
        (state, unsafe { (*state).since })
    }

    /// A worker adopted a version or holds nothing any more: tells the writer if it waits for that.
    #[inline]
    fn tell(&self) {
        if self.versions.is_told()
            && let Some(ring) = self.bell.get()
        {
            ring();
        }
    }

    /// The table's shared part; tables that the switch doesn't have are `None`.
    #[inline]
    pub(crate) fn table(&self, table: ofproto::ids::TableId) -> Option<&crate::table::FlowTable> {
        self.tables.get(usize::from(table.0))
    }
}

/// One worker's view. `Send`, for the thread that will own it; one per worker.
///
/// A worker calls [`adopt`](Self::adopt) at the start of every burst, [`offline`](Self::offline)
/// before it blocks. An attached, online worker that does neither holds up barriers and freeing.
pub struct Reader {
    domain: Arc<Domain>,
    place: usize,
    /// The adopted version; 0 while offline.
    version: u64,
    state: *const Published,
    counters: Arc<WorkerCounters>,
}

// SAFETY: `state` points into `domain`, which is `Send + Sync`, and is used through `&mut self` only.
unsafe impl Send for Reader {}

impl Reader {
    /// Adopts the newest version; what the previous snapshot lent out is given back (the borrow ends).
    #[inline]
    pub fn adopt(&mut self) -> Snapshot<'_> {
        if self.version == 0 {
            self.online();
        } else {
            let newest = self.domain.versions.newest();
            if newest != self.version
                && let Some(state) = self.domain.versions.take(self.place, newest, || self.domain.current())
            {
                self.version = newest;
                self.state = state;
                self.domain.tell();
            }
        }
        // SAFETY: `take` loaded it while this worker was online at a version before its retirement;
        // it is freed only after this worker adopts a later version or goes offline, which needs
        // `&mut self` and so ends the snapshot's borrow.
        let state = unsafe { &*self.state };
        let writer = counter::Writer((self.place + 1) as u16);
        Snapshot::new(self.version, state, &self.domain, &self.counters, writer, Guard(PhantomData))
    }

    /// Says that this worker holds nothing; call before blocking.
    pub fn offline(&mut self) {
        self.version = 0;
        self.state = std::ptr::null();
        self.domain.versions.offline(self.place);
        self.domain.tell();
    }

    /// Comes back after [`offline`](Self::offline); [`adopt`](Self::adopt) does it by itself.
    pub fn online(&mut self) {
        if self.version != 0 {
            return;
        }
        (self.version, self.state) = self.domain.versions.online(self.place, || self.domain.current());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.offline();
        self.domain.gone.lock().unwrap_or_else(PoisonError::into_inner).push(self.place);
    }
}
