//! Packet and byte counters with one cell per writer.
//!
//! Each writer (a worker, or the control thread, which is writer 0) owns its cell: it adds with a
//! plain load and store, never with a locked instruction. A reader sums the cells at any time; what
//! it reads is exact for everything that happened before the read.
//!
//! A writer number beyond the cells is folded on the last cell, so that a wrong number costs accuracy
//! and never memory safety.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A writer's number: 0 is the control thread, 1… are the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer(pub u16);

impl Writer {
    /// The control thread.
    pub const CONTROL: Self = Self(0);
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// Packets and bytes, summed over writers.
#[derive(Debug)]
pub struct Counter {
    cells: Box<[Cell]>,
}

impl Counter {
    /// A zero counter for `writers` writers (at least one).
    pub fn new(writers: usize) -> Self {
        Self { cells: (0..writers.max(1)).map(|_| Cell::default()).collect() }
    }

    /// Adds, as the one owner of `writer`'s cell.
    #[inline]
    pub fn add(&self, writer: Writer, packets: u64, bytes: u64) {
        let last = self.cells.len() - 1;
        let c = &self.cells[usize::from(writer.0).min(last)];
        c.packets.store(c.packets.load(Relaxed).wrapping_add(packets), Relaxed);
        c.bytes.store(c.bytes.load(Relaxed).wrapping_add(bytes), Relaxed);
    }

    /// Packets and bytes so far.
    pub fn sum(&self) -> (u64, u64) {
        self.cells
            .iter()
            .fold((0, 0), |(p, b), c| (p.wrapping_add(c.packets.load(Relaxed)), b.wrapping_add(c.bytes.load(Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_writers_and_folds_unknown_ones() {
        let c = Counter::new(2);
        c.add(Writer::CONTROL, 1, 100);
        c.add(Writer(1), 2, 50);
        c.add(Writer(9), 1, 1);
        assert_eq!(c.sum(), (4, 151));
    }
}
