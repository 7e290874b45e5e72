//! The documentation is a reference: every public type of the model names the sections of the specification that
//! define it, and the sections that this crate names are there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Where Nicira's structures are written down.
const MANUALS: [&str; 4] = ["ovs-actions(7)", "ovs-fields(7)", "`nicira-ext.h`", "`netronome-ext.h`"];

/// Types that no specification has: the form of Nicira's continuations is each switch's own.
const OWN: [&str; 3] = ["Continuation", "Part", "Ending"];

/// How many sections stand directly below each, where there are any.
const CONTENTS: [(&str, &str); 5] = [
    ("1.0.0", "3:4 4:7 4.1:3 5:5 5.2:4 5.3:7 5.4:4 5.5:4"),
    ("1.1.0", "4:9 4.1:1 4.2:1 4.9:1 5:8 5.1:3 A:5 A.2:5 A.3:8 A.4:4 A.5:4"),
    (
        "1.3.5",
        "4:6 5:12 5.1:1 5.6:1 5.7:1 5.12:1 6:6 6.1:3 6.3:8 7:5 7.1:3 7.2:5 7.2.3:10 7.3:10 7.3.4:4 7.3.5:15 \
         7.3.5.5:2 7.4:4 7.5:4",
    ),
    (
        "1.4.1",
        "4:6 5:12 5.1:1 5.6:1 5.7:1 5.12:1 6:8 6.1:3 6.3:8 6.8:5 7:5 7.1:3 7.2:5 7.2.1:2 7.2.2:10 7.3:10 7.3.4:5 \
         7.3.5:18 7.3.5.6:2 7.3.5.17:3 7.3.9:10 7.4:6 7.5:5",
    ),
    (
        "1.5.1",
        "4:7 5:12 5.1:1 5.8:1 5.10:2 5.11:1 6:9 6.1:3 6.3:8 6.9:6 6.9.6:4 7:5 7.1:3 7.2:8 7.2.1:2 7.2.3:12 7.2.4:5 \
         7.2.6:9 7.3:10 7.3.4:5 7.3.4.3:2 7.3.5:21 7.3.5.18:2 7.3.5.19:3 7.3.5.20:4 7.3.9:11 7.4:7 7.5:5 7.5.4:19",
    ),
];

/// Chapters of each text.
const CHAPTERS: u32 = 7;

/// A public type and its documentation.
#[derive(Debug)]
struct Type {
    name: String,
    docs: String,
}

fn files(dir: &Path, deep: bool) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && deep {
            all.extend(files(&path, deep));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// The name that a line declares: `pub struct Name`, `pub enum Name`, or an id's `Name(u32), "format"`.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = match line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) {
        Some(rest) => rest,
        None if line.contains("(u") && line.ends_with("\");") => line,
        None => return None,
    };
    let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
    name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
}

/// The public types of a file. Those that a macro names by its arguments are found where it is used.
fn types(text: &str) -> Vec<Type> {
    let mut all = Vec::new();
    let mut docs = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
            docs.push('\n');
        } else if let Some(name) = declared(line) {
            all.push(Type { name: name.to_owned(), docs: std::mem::take(&mut docs) });
        } else if !line.starts_with("#[") && !line.starts_with("id!(") {
            docs.clear();
        }
    }
    all
}

/// The model: what stands beside `lib.rs`, without the tests' generators.
fn model() -> Vec<(PathBuf, Type)> {
    let mut all = Vec::new();
    for path in files(Path::new(SRC), false) {
        if path.file_name().is_some_and(|n| n == "lib.rs" || n == "arbitrary.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        all.extend(types(&text).into_iter().map(|t| (path.clone(), t)));
    }
    all
}

/// Sections named in a text, each with the version that was named before it: `OpenFlow 1.3.5 §7.2.3.7, §7.3-5`.
fn references(text: &str) -> Vec<(String, String)> {
    let mut version = String::new();
    let mut all = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '§'))) {
        let word = word.trim_end_matches(['.', '-']);
        let numbers: Vec<&str> = word.split('.').collect();
        if numbers.len() == 3 && numbers[0] == "1" && numbers.iter().all(|n| n.parse::<u8>().is_ok()) {
            word.clone_into(&mut version);
        } else if word.starts_with("RFC") || word.starts_with("RPC") {
            version.clear();
        } else if let Some(section) = word.strip_prefix('§')
            && !version.is_empty()
        {
            all.push((version.clone(), section.to_owned()));
        }
    }
    all
}

/// Whether the version's text has the section, or the range of sections `7.3.5.2-4`.
fn is_there(contents: &BTreeMap<(&str, &str), u32>, version: &str, section: &str) -> bool {
    let (first, last) = section.split_once('-').unwrap_or((section, ""));
    let (parent, number) = first.rsplit_once('.').unwrap_or(("", first));
    let most = match (parent, number) {
        ("", "A") => return version == "1.1.0",
        ("", _) => CHAPTERS,
        _ => contents.get(&(version, parent)).copied().unwrap_or(0),
    };
    let within = |n: &str| n.parse::<u32>().is_ok_and(|n| (1..=most).contains(&n));
    let ordered = last.is_empty() || number.parse::<u32>().ok() < last.parse::<u32>().ok();
    within(number) && (last.is_empty() || within(last)) && ordered
}

fn contents() -> BTreeMap<(&'static str, &'static str), u32> {
    CONTENTS
        .iter()
        .flat_map(|(version, text)| text.split(' ').map(move |entry| (*version, entry)))
        .map(|(version, entry)| {
            let (section, n) = entry.split_once(':').expect("section:number");
            ((version, section), n.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn every_type_of_the_model_names_its_place_in_the_specification() {
    let model = model();
    assert!(model.len() > 100, "only {} types were found", model.len());
    let mut lacking = Vec::new();
    for (path, t) in &model {
        let manual = MANUALS.iter().any(|m| t.docs.contains(m));
        let nicira = path.file_name().is_some_and(|n| n == "nicira.rs" || n == "nx_message.rs");
        let own = OWN.contains(&t.name.as_str());
        if !manual && !own && (nicira || references(&t.docs).is_empty()) {
            lacking.push(format!("{}: {}", path.display(), t.name));
        }
    }
    assert!(lacking.is_empty(), "no section is named:\n{}", lacking.join("\n"));
    let gone: Vec<_> = OWN.iter().filter(|own| !model.iter().any(|(_, t)| t.name == **own)).collect();
    assert!(gone.is_empty(), "no exceptions are needed for {gone:?}");
}

#[test]
fn the_sections_that_are_named_exist() {
    let contents = contents();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in files(Path::new(SRC), true) {
        let text = std::fs::read_to_string(&path).expect("text");
        // A version holds for the sections after it up to the end of the comment.
        let mut comment = String::new();
        for line in text.lines().chain([""]) {
            let line = line.trim();
            if let Some(words) = line.strip_prefix("//") {
                comment.push_str(words.trim_start_matches(['/', '!']));
                comment.push('\n');
                continue;
            }
            for (version, section) in references(&std::mem::take(&mut comment)) {
                seen += 1;
                if !is_there(&contents, &version, &section) {
                    wrong.push(format!("{}: OpenFlow {version} §{section}", path.display()));
                }
            }
        }
    }
    assert!(seen > 300, "only {seen} sections were found");
    assert!(wrong.is_empty(), "not in the text's table of contents:\n{}", wrong.join("\n"));
}

#[test]
fn what_the_checks_look_for_they_find() {
    let text = "/// A thing.\n///\n/// OpenFlow 1.3.5 §7.2.3.7, §7.3-5; 1.5.1 §7.2.4.\n#[derive(Debug)]\npub struct Thing {\n    /// Its number.\n    pub n: u8,\n}\n\npub enum Bare {\n";
    let found = types(text);
    assert_eq!(found.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["Thing", "Bare"]);
    assert_eq!(
        references(&found[0].docs),
        [("1.3.5", "7.2.3.7"), ("1.3.5", "7.3-5"), ("1.5.1", "7.2.4")].map(|(v, s)| (v.to_owned(), s.to_owned()))
    );
    assert!(references(&found[1].docs).is_empty());
    let contents = contents();
    let there = |section| is_there(&contents, "1.3.5", section);
    assert!(there("7.2.3.7") && there("7.3-5") && there("7") && there("7.3.5.5.2"));
    assert!(!there("7.2.3.11") && !there("7.3-6") && !there("8") && !there("7.4.4.12") && !there("A.2"));
}
