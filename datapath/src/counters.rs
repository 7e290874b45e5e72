//! Counters that each worker keeps for itself and control sums on request.
//!
//! A flow entry (or anything else that counts) has a [`StatsId`]; every worker has a cell for it,
//! written by plain load and store because it has one owner. Sums are exact for everything that a
//! worker counted before the request: workers count before they transmit.
//!
//! Thread-safety: a cell is written by its worker while an entry with its id is visible to that
//! worker, and by control (to zero it) only after no worker can see such an entry any more.

use crate::clock::Time;
use crate::publish::{Chunks, Guard, Writer};
use ofproto::ids::TableId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the cells of one counted thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatsId(pub(crate) u32);

impl StatsId {
    /// The bare number, for a cache entry.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The id with this number; counting on one that isn't in use is ignored or lost.
    pub const fn from_number(n: u32) -> Self {
        Self(n)
    }
}

/// Packets and bytes, and when the last packet was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, frame without FCS.
    pub bytes: u64,
    /// The latest packet's time; `Time::ZERO` if there was none.
    pub used: Time,
}

#[derive(Default)]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
    used: AtomicU64,
}

const PAGE: usize = 1024;

struct Page(Box<[Cell]>);

/// One worker's counters (or control's own: what is left of workers that have gone).
pub struct WorkerCounters {
    pages: Chunks<Page>,
    tables: Box<[[AtomicU64; 2]]>,
}

impl WorkerCounters {
    pub(crate) fn new() -> Self {
        Self { pages: Chunks::new(), tables: (0..256).map(|_| Default::default()).collect() }
    }

    #[inline]
    fn cell<'g>(&self, id: StatsId, guard: Guard<'g>) -> Option<&'g Cell> {
        let i = id.0 as usize;
        self.pages.get(i / PAGE, guard)?.0.get(i % PAGE)
    }

    /// Asks for a cell's memory.
    #[inline]
    pub(crate) fn prefetch(&self, id: StatsId, guard: Guard<'_>) {
        if let Some(c) = self.cell(id, guard) {
            crate::classifier::prefetch(c);
        }
    }

    /// Adds; by the owner only.
    #[inline]
    pub(crate) fn count(&self, id: StatsId, packets: u64, bytes: u64, now: Time, guard: Guard<'_>) {
        if let Some(c) = self.cell(id, guard) {
            c.packets.store(c.packets.load(Ordering::Relaxed).wrapping_add(packets), Ordering::Relaxed);
            c.bytes.store(c.bytes.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
            c.used.store(now.0, Ordering::Relaxed);
        }
    }

    /// Adds to a table's lookups and hits; by the owner only.
    #[inline]
    pub(crate) fn count_table(&self, table: TableId, lookups: u64, matched: u64) {
        let [l, m] = &self.tables[usize::from(table.0)];
        l.store(l.load(Ordering::Relaxed).wrapping_add(lookups), Ordering::Relaxed);
        m.store(m.load(Ordering::Relaxed).wrapping_add(matched), Ordering::Relaxed);
    }

    fn read(&self, id: StatsId, guard: Guard<'_>) -> Count {
        self.cell(id, guard).map_or_else(Count::default, |c| Count {
            packets: c.packets.load(Ordering::Relaxed),
            bytes: c.bytes.load(Ordering::Relaxed),
            used: Time(c.used.load(Ordering::Relaxed)),
        })
    }

    fn write(&self, id: StatsId, count: Count, guard: Guard<'_>) {
        if let Some(c) = self.cell(id, guard) {
            c.packets.store(count.packets, Ordering::Relaxed);
            c.bytes.store(count.bytes, Ordering::Relaxed);
            c.used.store(count.used.0, Ordering::Relaxed);
        }
    }
}

/// All counters of a switch, as control sees them: which ids are in use, and everyone's cells.
pub(crate) struct CounterBook {
    /// Control's own cells: set at allocation, and heir of workers that have gone.
    own: WorkerCounters,
    workers: Vec<Option<Arc<WorkerCounters>>>,
    free: Vec<u32>,
    /// Ids in use on each page.
    used: Vec<u32>,
}

impl CounterBook {
    pub(crate) fn new() -> Self {
        Self { own: WorkerCounters::new(), workers: Vec::new(), free: Vec::new(), used: Vec::new() }
    }

    /// Counters for a worker in `place`, with a cell for every id in use.
    pub(crate) fn attach(&mut self, place: usize, counters: Arc<WorkerCounters>) {
        if self.workers.len() <= place {
            self.workers.resize_with(place + 1, || None);
        }
        self.workers[place] = Some(counters);
    }

    /// New counters that have a page wherever one is in use.
    pub(crate) fn fresh(&self, writer: &mut Writer) -> Arc<WorkerCounters> {
        let counters = WorkerCounters::new();
        for (i, n) in self.used.iter().enumerate() {
            if *n > 0 {
                counters.pages.set(i, Some(page()), writer);
            }
        }
        Arc::new(counters)
    }

    /// Takes in what the worker of `place` counted. It must be gone.
    pub(crate) fn detach(&mut self, place: usize, writer: &Writer) {
        let Some(worker) = self.workers.get_mut(place).and_then(Option::take) else { return };
        let guard = writer.guard();
        for (p, n) in self.used.iter().enumerate() {
            if *n == 0 {
                continue;
            }
            for i in 0..PAGE {
                let id = StatsId((p * PAGE + i) as u32);
                let theirs = worker.read(id, guard);
                let mine = self.own.read(id, guard);
                self.own.write(id, add(mine, theirs), guard);
            }
        }
        for (mine, theirs) in self.own.tables.iter().zip(&worker.tables) {
            for (m, t) in mine.iter().zip(theirs) {
                m.store(m.load(Ordering::Relaxed).wrapping_add(t.load(Ordering::Relaxed)), Ordering::Relaxed);
            }
        }
    }

    /// An id whose cells are zero everywhere, last used at `used`.
    pub(crate) fn allocate(&mut self, used: Time, writer: &mut Writer) -> StatsId {
        if self.free.is_empty() {
            // The first page that has nothing, or one more.
            let p = self.used.iter().position(|n| *n == 0).unwrap_or(self.used.len());
            if p == self.used.len() {
                self.used.push(0);
            }
            for counters in std::iter::once(&self.own).chain(self.workers.iter().flatten().map(|w| &**w)) {
                counters.pages.set(p, Some(page()), writer);
            }
            self.free.extend((0..PAGE).rev().map(|i| (p * PAGE + i) as u32));
        }
        let id = StatsId(self.free.pop().unwrap_or(0));
        self.used[id.0 as usize / PAGE] += 1;
        self.own.write(id, Count { packets: 0, bytes: 0, used }, writer.guard());
        id
    }

    /// Gives an id back; no worker may be able to count on it any more.
    pub(crate) fn release(&mut self, id: StatsId, writer: &mut Writer) {
        let guard = writer.guard();
        self.own.write(id, Count::default(), guard);
        for w in self.workers.iter().flatten() {
            w.write(id, Count::default(), guard);
        }
        let p = id.0 as usize / PAGE;
        self.used[p] -= 1;
        self.free.push(id.0);
    }

    /// Gives back the memory of pages that nothing uses. Costs a pass over the free ids.
    pub(crate) fn trim(&mut self, writer: &mut Writer) {
        let empty: Vec<bool> = self.used.iter().map(|n| *n == 0).collect();
        if !empty.iter().any(|e| *e) {
            return;
        }
        self.free.retain(|id| !empty[*id as usize / PAGE]);
        self.free.shrink_to_fit();
        for (p, _) in empty.iter().enumerate().filter(|(_, e)| **e) {
            for counters in std::iter::once(&self.own).chain(self.workers.iter().flatten().map(|w| &**w)) {
                counters.pages.set(p, None, writer);
            }
        }
        while self.used.last() == Some(&0) {
            self.used.pop();
        }
        if self.used.is_empty() {
            for counters in std::iter::once(&self.own).chain(self.workers.iter().flatten().map(|w| &**w)) {
                counters.pages.clear(writer);
            }
        }
    }

    /// Everyone's counts together.
    pub(crate) fn sum(&self, id: StatsId, writer: &Writer) -> Count {
        let guard = writer.guard();
        self.workers.iter().flatten().fold(self.own.read(id, guard), |sum, w| add(sum, w.read(id, guard)))
    }

    /// A table's lookups and hits.
    pub(crate) fn table(&self, table: TableId) -> (u64, u64) {
        std::iter::once(&self.own).chain(self.workers.iter().flatten().map(|w| &**w)).fold((0, 0), |(l, m), c| {
            let [a, b] = &c.tables[usize::from(table.0)];
            (l.wrapping_add(a.load(Ordering::Relaxed)), m.wrapping_add(b.load(Ordering::Relaxed)))
        })
    }
}

fn page() -> Arc<Page> {
    Arc::new(Page((0..PAGE).map(|_| Cell::default()).collect()))
}

fn add(a: Count, b: Count) -> Count {
    Count { packets: a.packets.wrapping_add(b.packets), bytes: a.bytes.wrapping_add(b.bytes), used: a.used.max(b.used) }
}
