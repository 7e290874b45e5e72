//! The tables of rates: over flows, and under attack, beside the figures of others and what is to be reached.

mod attacks;
mod rates;

pub use attacks::{TableCArgs, table_c};
pub use rates::{TableBArgs, table_b};

use crate::plot::Plot;
use anyhow::Context as _;
use comfy_table::{Table, presets};
use std::path::Path;

fn new_table(head: &[&str]) -> Table {
    let mut t = Table::new();
    t.load_preset(presets::NOTHING);
    t.set_header(head);
    t
}

fn draw(dir: &Path, name: &str, plot: &Plot) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join(format!("{name}.svg"));
    std::fs::write(&path, plot.svg()).with_context(|| format!("cannot write {}", path.display()))
}
