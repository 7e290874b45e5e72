//! What 1.0 to 1.2 say of tables in their statistics; 1.3 and later have table-features, which the
//! datapath's control keeps.

use datapath::control::Control;
use ofproto::Version;
use ofproto::field::{Code, FIELDS, FieldInfo};
use ofproto::ids::TableId;
use ofproto::table::{LegacyTable, TableStats};

/// Wire types of the actions that a version has and this switch does (`OFPAT_*`), 1.2 and later.
fn actions(version: Version) -> Vec<u16> {
    let mut types = vec![0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];
    if version >= Version::V13 {
        types.extend([26, 27]);
    }
    if version >= Version::V15 {
        types.extend([28, 29]);
    }
    types
}

/// The actions that buckets may hold, as group-features' bitmap.
pub fn group_actions(version: Version) -> u32 {
    actions(version).into_iter().filter(|t| *t < 32).fold(0, |bits, t| bits | 1 << t)
}

/// Wire types of the instructions (`OFPIT_*`).
fn instructions(version: Version) -> Vec<u16> {
    let mut types = vec![1, 2, 3, 4, 5];
    match version {
        Version::V13 | Version::V14 => types.push(6),
        Version::V15 => types.push(7),
        _ => {}
    }
    types
}

/// The fields of the specification that `version` has, with their numbers.
fn fields(version: Version) -> impl Iterator<Item = (&'static FieldInfo, u8)> {
    FIELDS.iter().filter(move |f| f.since <= version).filter_map(|f| match f.codes.first() {
        Some(Code::Oxm(n)) => Some((f, *n)),
        _ => None,
    })
}

fn bits(types: &[u16]) -> u32 {
    types.iter().filter(|t| **t < 32).fold(0, |bits, t| bits | 1 << t)
}

/// The table statistics, with what 1.0 to 1.2 say besides.
pub fn table_stats(control: &Control, version: Version) -> Vec<TableStats> {
    let mut stats = control.table_stats();
    if version >= Version::V13 {
        return stats;
    }
    let oxm: u64 = fields(version).fold(0, |bits, (_, n)| bits | 1 << n);
    let settable: u64 = fields(version).filter(|(f, _)| f.settable).fold(0, |bits, (_, n)| bits | 1 << n);
    // `OFPFW_ALL` of 1.0 and of 1.1.
    let (wildcards, matching) = match version {
        Version::V10 => ((1 << 22) - 1, (1 << 22) - 1),
        Version::V11 => ((1 << 10) - 1, (1 << 10) - 1),
        _ => (oxm, oxm),
    };
    let actions = match version {
        // 1.1 has its own numbers up to 24, and all are done.
        Version::V11 => (1 << 25) - 1,
        _ => bits(&actions(version)),
    };
    let config = control.table_configs();
    for s in &mut stats {
        s.legacy = Some(Box::new(LegacyTable {
            name: name(s.table),
            wildcards,
            matching,
            instructions: bits(&instructions(version)),
            write_actions: actions,
            apply_actions: actions,
            write_setfields: settable,
            apply_setfields: settable,
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            config: config.get(usize::from(s.table.0)).map_or(0, |c| c.0),
            max_entries: config.get(usize::from(s.table.0)).map_or(0, |c| c.1),
        }));
    }
    stats
}

fn name(table: TableId) -> String {
    format!("table{table}")
}
