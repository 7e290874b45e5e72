//! Everything together: start in order, wait, stop in order.

pub mod router;
