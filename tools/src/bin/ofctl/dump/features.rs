//! What flow tables can do, in words: tables that can do the same are said once.

use crate::show::{bits, printable};
use ofproto::ids::TableId;
use ofproto::matching::OxmId;
use ofproto::table::{FeatureId, TableConfig, TableFeatureProp, TableFeatures};
use ofproto::text::field_text_name;

/// `OFPIT_*` (OpenFlow 1.5.1 §7.2.5)
const INSTRUCTIONS: [(u16, &str); 7] = [
    (1, "goto_table"),
    (2, "write_metadata"),
    (3, "write_actions"),
    (4, "apply_actions"),
    (5, "clear_actions"),
    (6, "meter"),
    (7, "stat_trigger"),
];

/// `OFPAT_*` (OpenFlow 1.1.0 §A.2.5, 1.5.1 §7.2.6)
pub const ACTIONS: [(u16, &str); 20] = [
    (0, "output"),
    (1, "set_vlan_vid"),
    (2, "set_vlan_pcp"),
    (11, "copy_ttl_out"),
    (12, "copy_ttl_in"),
    (15, "set_mpls_ttl"),
    (16, "dec_mpls_ttl"),
    (17, "push_vlan"),
    (18, "pop_vlan"),
    (19, "push_mpls"),
    (20, "pop_mpls"),
    (21, "set_queue"),
    (22, "group"),
    (23, "set_nw_ttl"),
    (24, "dec_nw_ttl"),
    (25, "set_field"),
    (26, "push_pbb"),
    (27, "pop_pbb"),
    (28, "copy_field"),
    (29, "meter"),
];

/// All tables, one after the other.
pub fn text(tables: &[TableFeatures]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut rest = tables;
    while let Some(first) = rest.first() {
        let body = body(first);
        // A table's own name tells it from the others.
        let alike = |(a, b): &(&TableFeatures, &TableFeatures)| {
            own_name(b).is_none() && b.table.0 == a.table.0.wrapping_add(1) && self::body(b) == body
        };
        let more = rest.iter().zip(rest.iter().skip(1)).take_while(alike).count();
        let more = if own_name(first).is_some() { 0 } else { more };
        let title = match (own_name(first), more) {
            (Some(name), _) => format!(" table {} ({name}):", first.table),
            (None, 0) => format!(" table {}:", first.table),
            (None, n) => format!(" tables {} to {}:", first.table, first.table.0.saturating_add(n as u8)),
        };
        out.push(title);
        out.extend(body);
        rest = rest.get(1 + more..).unwrap_or_default();
    }
    out.join("\n")
}

/// The name that somebody gave the table.
fn own_name(t: &TableFeatures) -> Option<String> {
    (t.name != format!("table{}", t.table) && !t.name.is_empty()).then(|| printable(&t.name))
}

/// What a table can do, without its number.
fn body(t: &TableFeatures) -> Vec<String> {
    let capabilities = bits(
        t.capabilities.bits(),
        &[(TableConfig::EVICTION.bits(), "eviction"), (TableConfig::VACANCY_EVENTS.bits(), "vacancy_events")],
    );
    let mut lines = vec![
        format!("   at most {} entries, capabilities: {capabilities}", t.max_entries),
        format!("   metadata: match {:#x}, write {:#x}", t.metadata_match, t.metadata_write),
    ];
    if t.features != 0 {
        let names = [(1, "ingress"), (2, "egress"), (16, "first_egress")];
        lines.insert(1, format!("   features: {}", bits(t.features, &names)));
    }
    // Most switches say the same of the table-miss entry as of others.
    let mut said: Vec<(String, String)> = Vec::new();
    for p in &t.properties {
        let (name, miss, words) = property(t.table, p);
        if miss && said.iter().any(|(n, w)| *n == name && *w == words) {
            continue;
        }
        let name = if miss { format!("{name} of the table-miss entry") } else { name.to_owned() };
        said.push((name, words));
    }
    lines.extend(said.into_iter().map(|(name, words)| format!("   {name}: {words}")));
    lines
}

/// A property's name, whether it is the table-miss entry's, and what it says.
fn property(table: TableId, p: &TableFeatureProp) -> (&'static str, bool, String) {
    use TableFeatureProp as P;
    match p {
        P::Instructions { miss, ids } => ("instructions", *miss, types(ids, &INSTRUCTIONS)),
        P::NextTables { miss, tables } => ("next tables", *miss, next_tables(table, tables)),
        P::WriteActions { miss, ids } => ("write actions", *miss, types(ids, &ACTIONS)),
        P::ApplyActions { miss, ids } => ("apply actions", *miss, types(ids, &ACTIONS)),
        P::Match(fields) => ("match", false, names(fields)),
        P::Wildcards(fields) => ("wildcards", false, names(fields)),
        P::WriteSetfield { miss, fields } => ("write set-field", *miss, names(fields)),
        P::ApplySetfield { miss, fields } => ("apply set-field", *miss, names(fields)),
        P::TableSyncFrom(tables) => ("synchronized from", false, ranges(tables)),
        P::WriteCopyfield { miss, fields } => ("write copy-field", *miss, names(fields)),
        P::ApplyCopyfield { miss, fields } => ("apply copy-field", *miss, names(fields)),
        P::PacketTypes(m) => {
            let list = m.fields.iter().map(|f| format!("({},{:#x})", f.value >> 16, f.value & 0xffff));
            ("packet types", false, joined(list.collect()))
        }
        P::Other(other) => ("property", false, format!("{other:?}")),
    }
}

fn joined(words: Vec<String>) -> String {
    if words.is_empty() { "-".into() } else { words.join(" ") }
}

fn types(ids: &[FeatureId], known: &[(u16, &str)]) -> String {
    let name = |id: &FeatureId| match (&id.experimenter, known.iter().find(|(ty, _)| *ty == id.ty)) {
        (Some((whose, _)), _) => format!("experimenter:{whose}"),
        (None, Some((_, name))) => (*name).to_owned(),
        (None, None) => id.ty.to_string(),
    };
    joined(ids.iter().map(name).collect())
}

fn names(fields: &[OxmId]) -> String {
    let name = |f: &OxmId| {
        let name = f.field.as_ref().map_or_else(|_| "unknown".to_owned(), |id| field_text_name(*id).to_owned());
        if f.has_mask { format!("{name}/mask") } else { name }
    };
    joined(fields.iter().map(name).collect())
}

fn next_tables(table: TableId, tables: &[TableId]) -> String {
    let mut after = (table.0.saturating_add(1)..=u8::MAX).map(TableId);
    match tables.last() {
        Some(last) if tables.iter().all(|t| after.next() == Some(*t)) => format!("all that follow, to {last}"),
        _ => ranges(tables),
    }
}

/// Numbers with runs of them joined.
fn ranges(tables: &[TableId]) -> String {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for t in tables {
        match runs.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(t.0) => *end = t.0,
            _ => runs.push((t.0, t.0)),
        }
    }
    joined(runs.into_iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::field::FieldId;

    fn table(n: u8, next: &[u8]) -> TableFeatures {
        let ids = |types: &[u16]| types.iter().map(|ty| FeatureId { ty: *ty, experimenter: None, length: 4 }).collect();
        TableFeatures {
            table: TableId(n),
            command: 0,
            features: 0,
            name: format!("table{n}"),
            metadata_match: 0xff,
            metadata_write: 0,
            capabilities: TableConfig::EVICTION,
            max_entries: 10,
            properties: vec![
                TableFeatureProp::Instructions { miss: false, ids: ids(&[1, 4, 99]) },
                TableFeatureProp::Instructions { miss: true, ids: ids(&[1, 4, 99]) },
                TableFeatureProp::ApplyActions { miss: false, ids: ids(&[0, 25]) },
                TableFeatureProp::ApplyActions { miss: true, ids: ids(&[0]) },
                TableFeatureProp::NextTables { miss: false, tables: next.iter().copied().map(TableId).collect() },
                TableFeatureProp::Match(vec![OxmId { has_mask: true, ..OxmId::of(FieldId::Ipv4Src) }]),
            ],
        }
    }

    #[test]
    fn tables_that_are_alike_are_said_once() {
        let mut named = table(3, &[4, 6, 7]);
        named.name = "acl".into();
        let shown = text(&[table(0, &[1, 2, 3]), table(1, &[2, 3]), table(2, &[3]), named, table(4, &[])]);
        let titles: Vec<&str> = shown.lines().filter(|l| !l.starts_with("   ")).collect();
        assert_eq!(titles, [" tables 0 to 2:", " table 3 (acl):", " table 4:"]);
        let first: Vec<&str> = shown.lines().take(8).collect();
        assert_eq!(
            first,
            [
                " tables 0 to 2:",
                "   at most 10 entries, capabilities: eviction",
                "   metadata: match 0xff, write 0x0",
                "   instructions: goto_table apply_actions 99",
                "   apply actions: output set_field",
                "   apply actions of the table-miss entry: output",
                "   next tables: all that follow, to 3",
                "   match: ip_src/mask",
            ]
        );
        assert!(shown.contains("   next tables: 4 6-7") && shown.contains("   next tables: -"));
        assert_eq!(text(&[]), "");
    }
}
