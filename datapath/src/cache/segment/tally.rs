//! Which tables a burst's packets asked, told before any of them is sent.

use super::NO_TABLE;
use crate::pipeline::View;
use ofproto::ids::TableId;

/// Lookups of tables in a burst.
pub(super) struct Tally {
    /// By table the lookups, in the lower half, and the hits.
    asked: Box<[u64; 256]>,
    /// The tables that may have any.
    tables: Vec<TableId>,
    known: [bool; 256],
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { asked: Box::new([0; 256]), tables: Vec::new(), known: [false; 256] }
    }

    /// There is a segment that begins with this table.
    pub(super) fn meet(&mut self, table: TableId) {
        let known = &mut self.known[usize::from(table.0)];
        if table != NO_TABLE && !*known {
            *known = true;
            self.tables.push(table);
        }
    }

    /// A burst's packets are few enough for halves of a word.
    #[inline]
    pub(super) fn add(&mut self, table: u8, lookups: u64, hits: u64) {
        self.asked[usize::from(table)] += lookups + (hits << 32);
    }

    #[inline]
    pub(super) fn tell<'v>(&mut self, view: impl View<'v>) {
        for table in &self.tables {
            let asked = std::mem::take(&mut self.asked[usize::from(table.0)]);
            if asked != 0 {
                view.count_table(*table, asked & 0xffff_ffff, asked >> 32);
            }
        }
    }
}
