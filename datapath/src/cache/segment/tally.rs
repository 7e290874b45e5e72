//! Which tables a burst's packets asked, told before any of them is sent.

use super::NO_TABLE;
use crate::pipeline::View;
use ofproto::ids::TableId;
use smallvec::SmallVec;

/// Which tables a walk asks, and whether a flow entry is met in each.
pub(super) type Way = SmallVec<[(TableId, bool); 8]>;
/// Ways that have a number.
const MOST_WAYS: usize = 128;

/// Lookups of tables in a burst.
pub(super) struct Tally {
    /// By table the lookups, in the lower half, and the hits.
    asked: Box<[u64; 256]>,
    /// The tables that may have any.
    tables: Vec<TableId>,
    known: [bool; 256],
    /// Packets that went through the same tables, by the number of their way.
    went: [u64; MOST_WAYS],
    ways: Vec<Way>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            asked: Box::new([0; 256]),
            tables: Vec::new(),
            known: [false; 256],
            went: [0; MOST_WAYS],
            ways: Vec::new(),
        }
    }

    /// There is a segment that begins with this table.
    pub(super) fn meet(&mut self, table: TableId) {
        let known = &mut self.known[usize::from(table.0)];
        if table != NO_TABLE && !*known {
            *known = true;
            self.tables.push(table);
        }
    }

    /// The number of a way through tables that were [met](Self::meet); `None` if all are given.
    pub(super) fn way(&mut self, way: Way) -> Option<u16> {
        let at = self.ways.iter().position(|w| *w == way).unwrap_or(self.ways.len());
        if at == self.ways.len() {
            if at == MOST_WAYS {
                return None;
            }
            self.ways.push(way);
        }
        u16::try_from(at).ok()
    }

    /// No way has a number any more. Nothing may be untold.
    pub(super) fn forget_ways(&mut self) {
        debug_assert!(self.went.iter().all(|n| *n == 0));
        self.ways.clear();
    }

    /// Packets went this way.
    #[inline]
    pub(super) fn add_way(&mut self, way: u16, packets: u64) {
        if let Some(went) = self.went.get_mut(usize::from(way)) {
            *went += packets;
        }
    }

    /// A burst's packets are few enough for halves of a word.
    #[inline]
    pub(super) fn add(&mut self, table: u8, lookups: u64, hits: u64) {
        self.asked[usize::from(table)] += lookups + (hits << 32);
    }

    #[inline]
    pub(super) fn tell<'v>(&mut self, view: impl View<'v>) {
        for (way, went) in self.ways.iter().zip(&mut self.went) {
            let n = std::mem::take(went);
            if n != 0 {
                way.iter().for_each(|(t, met)| self.asked[usize::from(t.0)] += n + if *met { n << 32 } else { 0 });
            }
        }
        for table in &self.tables {
            let asked = std::mem::take(&mut self.asked[usize::from(table.0)]);
            if asked != 0 {
                view.count_table(*table, asked & 0xffff_ffff, asked >> 32);
            }
        }
    }
}
