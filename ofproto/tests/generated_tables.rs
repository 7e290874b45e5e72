//! The tables in the documentation say what the code does.

#[path = "../examples/coverage/tables.rs"]
mod tables;

use ofproto::Version;

#[test]
fn the_tables_are_up_to_date() {
    for (path, text) in tables::files().expect("every message comes back") {
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{} is stale: cargo run -p ofproto --example coverage", tables::short(&path));
    }
}

/// The table's own measure: it covers every version and doesn't shrink unnoticed.
#[test]
fn the_message_table_covers_every_version() {
    let table = tables::messages().expect("every message comes back");
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|l| l.split('|').map(str::trim).collect()).collect();
    assert!(rows.len() >= 65, "only {} rows", rows.len());
    for version in Version::ALL {
        let column = version.column() + 2;
        let spoken = rows.iter().filter(|r| r[column] != "–").count();
        assert!(spoken >= 25, "only {spoken} rows in {version}");
    }
}
