//! What `tests/oracle` shows to other implementations is all that this crate can say: every kind of
//! message of the coverage table in every version that has it, and every variant of the model.

#[path = "../examples/coverage/tables.rs"]
#[allow(dead_code, reason = "shared with the program that writes the tables")]
mod tables;

use ofproto::field::FIELDS;
use ofproto::ids::Xid;
use ofproto::message::Message;
use ofproto::{Version, arbitrary, wire};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// As many of each version, and with the same seed, as `tests/oracle/run` shows.
fn generated(version: Version) -> Vec<Message> {
    arbitrary::valid_messages(version, 1, 2200)
}

/// Rows of the table that aren't generated in these versions, and why.
const NOT_GENERATED: &[(&str, &[Version], &str)] = &[];

#[test]
fn every_kind_of_message_is_generated_in_every_version() {
    let rows = tables::rows().expect("every message comes back");
    let spoken = |row: &str, version: Version| {
        rows.iter().any(|(r, cells)| r == row && cells[version.column()] != tables::Cell::Absent)
    };
    let mut made: BTreeSet<(String, u8)> = BTreeSet::new();
    for version in Version::ALL {
        made.extend(generated(version).iter().map(|m| (tables::row(m), version.wire())));
    }
    let mut wrong = Vec::new();
    for version in Version::ALL {
        for (row, _) in made.iter().filter(|(_, v)| *v == version.wire()) {
            if !spoken(row, version) {
                wrong.push(format!("{row} {version}: generated, but not in the coverage table"));
            }
        }
        for (row, _) in rows.iter().filter(|(row, _)| spoken(row, version)) {
            let excused = NOT_GENERATED.iter().any(|(r, v, _)| r == row && v.contains(&version));
            match (made.contains(&(row.clone(), version.wire())), excused) {
                (false, false) => wrong.push(format!("{row} {version}: in the coverage table, but not generated")),
                (true, true) => wrong.push(format!("{row} {version}: generated, though listed as not")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Variants of the model that aren't generated, and why.
const NO_VARIANTS: &[(&str, &str)] = &[
    ("Action::SetUnknownField", "a field that nobody here knows; refused by the validator"),
    ("FlowStat::FlowCount", "stands in lists other than the usual one only, which are kept as they came"),
    ("MultipartRequest::Empty", "a segment and no request; refused by the validator"),
    ("NxAction::DeleteField", "Open vSwitch has it for its tun_metadata alone, which this crate doesn't have"),
];

/// `Enum::Variant` of every enumeration of what messages hold.
fn variants() -> BTreeSet<(String, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = BTreeSet::new();
    for module in [
        "action",
        "async_config",
        "bundle",
        "flow",
        "group",
        "instruction",
        "message",
        "meter",
        "monitor",
        "nicira",
        "nx_message",
        "packet",
        "port",
        "queue",
        "role",
        "stats",
        "table",
    ] {
        let text = fs::read_to_string(source.join(module).with_extension("rs")).expect("a module of the model");
        let mut name = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("pub enum ") {
                name = Some(rest.trim_end_matches(" {").to_owned());
            } else if line == "}" {
                name = None;
            } else if let (Some(name), Some(rest)) = (&name, line.strip_prefix("    "))
                && rest.starts_with(|c: char| c.is_ascii_uppercase())
            {
                let variant = rest.split(|c: char| !c.is_alphanumeric()).next().expect("a word");
                out.insert((name.clone(), variant.to_owned()));
            }
        }
    }
    out
}

#[test]
fn every_variant_and_field_is_generated() {
    let mut words: BTreeSet<String> = BTreeSet::new();
    for version in Version::ALL {
        for m in generated(version) {
            wire::encode(version, Xid(1), &m).expect("sayable");
            let debug = format!("{m:?}");
            words.extend(debug.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        }
    }
    let mut wrong = Vec::new();
    let all = variants();
    assert!(all.len() > 250, "only {} variants found", all.len());
    for (name, variant) in &all {
        let full = format!("{name}::{variant}");
        // Of what isn't known, nobody outside can judge; the property tests have it.
        let excused = NO_VARIANTS.iter().any(|(v, _)| *v == full) || matches!(variant.as_str(), "Unknown" | "Other");
        if !excused && !words.contains(variant) {
            wrong.push(format!("{full}: not generated"));
        }
    }
    for f in FIELDS {
        let name = format!("{:?}", f.id);
        if !words.contains(&name) && !NO_VARIANTS.iter().any(|(v, _)| *v == format!("FieldId::{name}")) {
            wrong.push(format!("FieldId::{name}: not generated"));
        }
    }
    for (full, _) in NO_VARIANTS {
        let variant = full.rsplit("::").next().expect("a name");
        if words.contains(variant) {
            wrong.push(format!("{full}: generated, though listed as not"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whatever stood there before: what is read over it is what is read alone.
#[test]
fn messages_read_over_others_are_what_they_are_alone() {
    let mut over = Message::BarrierReply;
    let mut again = 0;
    for version in Version::ALL {
        let bytes: Vec<Vec<u8>> =
            generated(version).iter().filter_map(|m| wire::encode(version, Xid(7), m).ok()).collect();
        // Flow-mods and bundles meet each other here as in rows; a cut one leaves what it has read.
        let rows = bytes.iter().filter(|b| matches!(b[1], 4 | 14 | 34));
        for b in bytes.iter().chain(rows) {
            let mut cut = b[..8.max(b.len() * 3 / 4)].to_vec();
            let len = u16::try_from(cut.len()).unwrap().to_be_bytes();
            cut[2..4].copy_from_slice(&len);
            for b in [b, &cut] {
                let same = std::mem::discriminant(&over);
                match (wire::decode_over(&mut over, b), wire::decode(b)) {
                    (Ok(header), Ok((alone, message))) => {
                        assert_eq!((header, &over), (alone, &message), "{version}");
                        again += usize::from(same == std::mem::discriminant(&over));
                    }
                    (Err(a), Err(b)) => assert_eq!(a, b, "{version}"),
                    (a, b) => panic!("{a:?} but {b:?} in {version}"),
                }
            }
        }
    }
    assert!(again > 1000, "{again}");
}
