//! Where an engine reads the switch's state.

use crate::cache::Validity;
use crate::engine::counter::Writer;
use crate::pipeline::View;

/// A thread's access to the published state.
pub trait Source {
    /// One version of it.
    type View<'r>: View<'r> + Validity
    where
        Self: 'r;

    /// Whose counter cells this thread writes.
    fn writer(&mut self) -> Writer;

    /// Adopts the newest version; what the previous view lent out is given back.
    fn adopt(&mut self) -> Self::View<'_>;

    /// This thread holds nothing and is about to sleep.
    fn offline(&mut self) {}

    /// It is back.
    fn online(&mut self) {}
}
