//! Control against a naive model, with real threads, and case by case.

mod feature_limits;
mod features;
mod learnt;
mod lists;
mod model;
mod prefixes;
mod semantics;
mod triggers;

impl super::Control {
    /// A writer that nobody else uses.
    pub(crate) fn into_writer(self) -> crate::publish::Writer {
        self.writer
    }
}
