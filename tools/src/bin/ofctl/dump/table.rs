//! Flow tables.

use super::{features, reply_json, unexpected};
use crate::cli::Options;
use crate::show::{self, bits, count, printable};
use crate::target::Target;
use crate::{print, print_json};
use anyhow::bail;
use ofproto::Version;
use ofproto::message::{MultipartReply, MultipartRequest};
use ofproto::table::{TableConfig, TableModProp};

/// `dump-tables`
pub fn tables(o: &Options, target: &Target, all: bool) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Table, "table statistics")?;
    let MultipartReply::Table(tables) = &reply else { return unexpected("table statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let used = |t: &&ofproto::table::TableStats| all || t.active_count > 0 || t.lookup_count > 0;
    let legacy = c.version() < Version::V13;
    let rows: Vec<_> = tables.iter().filter(used).collect();
    if rows.is_empty() {
        print(&format!(" all {} tables are empty and unused", tables.len()));
        return Ok(());
    }
    if legacy {
        print(&show::table(
            ["table", "name", "entries", "at most", "lookups", "matched"],
            &[0, 2, 3, 4, 5],
            rows.iter().map(|t| {
                let l = t.legacy.as_deref();
                [
                    t.table.to_string(),
                    l.map_or_else(String::new, |l| printable(&l.name)),
                    t.active_count.to_string(),
                    l.map_or_else(|| "-".into(), |l| l.max_entries.to_string()),
                    count(t.lookup_count),
                    count(t.matched_count),
                ]
            }),
        ));
    } else {
        print(&show::table(
            ["table", "entries", "lookups", "matched"],
            &[0, 1, 2, 3],
            rows.iter().map(|t| {
                [t.table.to_string(), t.active_count.to_string(), count(t.lookup_count), count(t.matched_count)]
            }),
        ));
    }
    if rows.len() < tables.len() {
        print(&format!(" ({} more are empty and unused)", tables.len() - rows.len()));
    }
    Ok(())
}

/// `dump-table-features`
pub fn table_features(o: &Options, target: &Target, table: Option<u8>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let mut reply = c.query(MultipartRequest::TableFeatures(Vec::new()), "table features")?;
    let MultipartReply::TableFeatures(tables) = &mut reply else { return unexpected("table features") };
    if let Some(n) = table {
        tables.retain(|t| t.table.0 == n);
        if tables.is_empty() {
            bail!("there is no table {n}");
        }
    }
    if !o.json {
        print(&features::text(tables));
        return Ok(());
    }
    print_json(&reply_json(&reply));
    Ok(())
}

/// `dump-table-desc`
pub fn table_desc(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::TableDesc, "table descriptions")?;
    let MultipartReply::TableDesc(tables) = &reply else { return unexpected("table descriptions") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    print(&show::table(
        ["table", "configuration", "eviction by", "vacancy events"],
        &[0],
        tables.iter().map(|t| {
            let config = bits(
                t.config.bits(),
                &[(TableConfig::EVICTION.bits(), "eviction"), (TableConfig::VACANCY_EVENTS.bits(), "vacancy_events")],
            );
            let (mut eviction, mut vacancy) = ("-".to_owned(), "-".to_owned());
            for p in &t.properties {
                match p {
                    TableModProp::Eviction(flags) => {
                        eviction = bits(*flags, &[(1, "other"), (2, "importance"), (4, "lifetime")]);
                    }
                    TableModProp::Vacancy { down, up, vacancy: now } => {
                        vacancy = format!("below {down}%, above {up}%, now {now}%");
                    }
                    TableModProp::Other(_) => {}
                }
            }
            [t.table.to_string(), config, eviction, vacancy]
        }),
    ));
    Ok(())
}
