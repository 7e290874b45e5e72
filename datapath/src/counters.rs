//! Counters that each worker keeps for itself and control sums on request.
//!
//! A flow entry (or anything else that counts) has a [`StatsId`]; every worker has a cell for it,
//! written by plain load and store because it has one owner. Sums are exact for everything that a
//! worker counted before the request: workers count before they transmit.
//!
//! Thread-safety: a cell is written by its worker while an entry with its id is visible to that
//! worker, and by control (to zero it) only after no worker can see such an entry any more.

use crate::clock::Time;
use crate::publish::{Guard, Writer};
use crate::sys::array::{Array, Zeroed};
use crate::sys::places::Places;
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

/// Two a line: of three in two lines each third one would lie in both.
#[derive(Default)]
#[repr(align(32))]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
    used: AtomicU64,
}

// SAFETY: atomics and nothing else.
unsafe impl Zeroed for Cell {}

/// Cells that are found without looking which piece they are in, as a power of two: 2 MiB, of which only what is used is
/// there.
const CELLS_BITS: u32 = 16;

/// One worker's counters (or control's own: what is left of workers that have gone).
pub struct WorkerCounters {
    cells: Array<Cell, CELLS_BITS>,
    tables: Box<[[AtomicU64; 2]]>,
}

impl WorkerCounters {
    pub(crate) fn new() -> Self {
        Self { cells: Array::new(), tables: (0..256).map(|_| Default::default()).collect() }
    }

    #[inline]
    fn cell<'g>(&'g self, id: StatsId, _guard: Guard<'g>) -> Option<&'g Cell> {
        self.cells.get(id.0)
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
    /// What workers counted that have gone, and the first id of which it hasn't been taken in.
    leaving: Vec<(Arc<WorkerCounters>, u32)>,
    ids: Ids,
}

type Ids = Places<8>;

/// Ids of a worker that has gone that are taken in at once.
const TAKEN_IN: u32 = 16 * 1024;

impl CounterBook {
    pub(crate) fn new() -> Self {
        Self { own: WorkerCounters::new(), workers: Vec::new(), leaving: Vec::new(), ids: Ids::default() }
    }

    /// Control's own.
    pub(crate) fn own(&self) -> &WorkerCounters {
        &self.own
    }

    fn everyone(&self) -> impl Iterator<Item = &WorkerCounters> {
        let workers = self.workers.iter().flatten().chain(self.leaving.iter().map(|(w, _)| w));
        std::iter::once(&self.own).chain(workers.map(|w| &**w))
    }

    /// Counters for a worker in `place`, with a cell for every id in use.
    pub(crate) fn attach(&mut self, place: usize, counters: Arc<WorkerCounters>) {
        if self.workers.len() <= place {
            self.workers.resize_with(place + 1, || None);
        }
        self.workers[place] = Some(counters);
    }

    /// New counters that have a cell wherever one is in use.
    pub(crate) fn fresh(&self) -> Arc<WorkerCounters> {
        let counters = WorkerCounters::new();
        self.ids.blocks_in_use().for_each(|first| counters.cells.grow(first));
        Arc::new(counters)
    }

    /// The worker of `place` has gone: what it counted is taken in bit by bit, and counts until then.
    pub(crate) fn detach(&mut self, place: usize) {
        let Some(worker) = self.workers.get_mut(place).and_then(Option::take) else { return };
        for (mine, theirs) in self.own.tables.iter().zip(&worker.tables) {
            for (m, t) in mine.iter().zip(theirs) {
                m.store(m.load(Ordering::Relaxed).wrapping_add(t.swap(0, Ordering::Relaxed)), Ordering::Relaxed);
            }
        }
        self.leaving.push((worker, 0));
    }

    /// Goes on taking in what workers counted that have gone: some thousand ids. Whether there is more.
    pub(crate) fn take_in(&mut self, writer: &Writer) -> bool {
        let Some((worker, next)) = self.leaving.last_mut() else { return false };
        let guard = writer.guard();
        let end = next.saturating_add(TAKEN_IN).min(self.ids.limit());
        for id in (*next..end).map(StatsId) {
            let theirs = worker.read(id, guard);
            if theirs != Count::default() {
                self.own.write(id, add(self.own.read(id, guard), theirs), guard);
                worker.write(id, Count::default(), guard);
            }
        }
        *next = end;
        if end == self.ids.limit() {
            self.leaving.pop();
        }
        !self.leaving.is_empty()
    }

    /// An id whose cells are zero everywhere, last used at `used`.
    pub(crate) fn allocate(&mut self, used: Time, writer: &Writer) -> StatsId {
        let id = StatsId(self.ids.take().unwrap_or(0));
        self.everyone().for_each(|counters| counters.cells.grow(id.0));
        self.own.write(id, Count { packets: 0, bytes: 0, used }, writer.guard());
        id
    }

    /// Gives an id back; no worker may be able to count on it any more.
    pub(crate) fn release(&mut self, id: StatsId, writer: &Writer) {
        let vacant = self.ids.free(id.0);
        for counters in self.everyone() {
            counters.write(id, Count::default(), writer.guard());
            if vacant {
                counters.cells.discard(id.0 / Ids::BLOCK * Ids::BLOCK, Ids::BLOCK as usize);
            }
        }
    }

    /// Forgets the ids behind the last one in use.
    pub(crate) fn trim(&mut self) {
        self.ids.trim();
    }

    /// Everyone's counts together.
    pub(crate) fn sum(&self, id: StatsId, writer: &Writer) -> Count {
        let guard = writer.guard();
        self.everyone().fold(Count::default(), |sum, w| add(sum, w.read(id, guard)))
    }

    /// A table's lookups and hits.
    pub(crate) fn table(&self, table: TableId) -> (u64, u64) {
        self.everyone().fold((0, 0), |(l, m), c| {
            let [a, b] = &c.tables[usize::from(table.0)];
            (l.wrapping_add(a.load(Ordering::Relaxed)), m.wrapping_add(b.load(Ordering::Relaxed)))
        })
    }
}

fn add(a: Count, b: Count) -> Count {
    Count { packets: a.packets.wrapping_add(b.packets), bytes: a.bytes.wrapping_add(b.bytes), used: a.used.max(b.used) }
}
