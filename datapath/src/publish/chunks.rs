//! A growing array in chunks that readers index while the writer adds and drops chunks.

use super::{Guard, Rcu, Writer};
use std::sync::Arc;

struct Directory<T>(Box<[Rcu<T>]>);

/// Chunks by number. Growing copies the directory (pointers only), never a chunk.
pub(crate) struct Chunks<T: Send + Sync + 'static> {
    directory: Rcu<Directory<T>>,
}

impl<T: Send + Sync + 'static> Chunks<T> {
    pub(crate) fn new() -> Self {
        Self { directory: Rcu::null() }
    }

    /// Chunk number `i`, if it exists.
    #[inline]
    pub(crate) fn get<'g>(&self, i: usize, guard: Guard<'g>) -> Option<&'g T> {
        self.directory.load(guard)?.0.get(i)?.load(guard)
    }

    /// One past the highest chunk there may be.
    pub(crate) fn len(&self, guard: Guard<'_>) -> usize {
        self.directory.load(guard).map_or(0, |d| d.0.len())
    }

    /// Puts a chunk at `i` (or takes it away), growing the directory as needed.
    pub(crate) fn set(&self, i: usize, chunk: Option<Arc<T>>, writer: &mut Writer) {
        let old = self.directory.share(writer);
        if let Some(directory) = &old
            && let Some(cell) = directory.0.get(i)
        {
            cell.replace(chunk, writer);
            return;
        }
        if chunk.is_none() {
            return;
        }
        let size = (i + 1).next_power_of_two().max(4);
        let cells: Box<[Rcu<T>]> = (0..size)
            .map(|j| match &old {
                Some(d) => d.0.get(j).and_then(|c| c.share(writer)).map_or_else(Rcu::null, Rcu::new),
                None => Rcu::null(),
            })
            .collect();
        cells[i].replace(chunk, writer);
        self.directory.replace(Some(Arc::new(Directory(cells))), writer);
    }

    /// Gives the directory's memory back; only when no chunk is left.
    pub(crate) fn clear(&self, writer: &mut Writer) {
        self.directory.replace(None, writer);
    }
}
