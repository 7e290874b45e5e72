//! Looking at entries where they lie, a few at a time.

use super::flows::view;
use super::{Control, DumpId};
use crate::table::FlowRef;
use ofproto::ids::TableId;

impl Control {
    /// Shows entries of a table as a [dump](Self::flow_stats) has them, whatever the dump's request was: those in `looks`
    /// places from place `from` on. Where to go on; `None` when that was all, or the dump has ended.
    pub fn see_flows(
        &self,
        dump: DumpId,
        table: TableId,
        from: u32,
        looks: usize,
        mut see: impl FnMut(FlowRef<'_>),
    ) -> Option<u32> {
        let version = self.dumps.get(&dump.0)?.version;
        let shared = self.writer.domain().table(table)?;
        let slab = &self.tables.get(usize::from(table.0))?.slab;
        let guard = self.writer.guard();
        let mut next = from;
        for _ in 0..looks {
            next = slab.next_used(next);
            if next >= slab.limit() {
                return None;
            }
            if let Some(slot) = shared.slab.slot(next, guard)
                && slot.is_visible(version)
                && let Some(flow) = view(shared, next, guard)
            {
                see(flow);
            }
            next += 1;
        }
        Some(next)
    }
}
