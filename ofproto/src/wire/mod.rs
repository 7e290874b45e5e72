//! Model ⇄ bytes. Version differences live below this module and nowhere else.

pub mod cursor;

pub use cursor::{Reader, Writer};
