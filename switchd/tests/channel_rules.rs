//! `channel_rules.tsv` says which test shows which rule of the OpenFlow channel: every line names tests, every test that
//! it names is there, and no rule stands there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RULES: &str = include_str!("channel_rules.tsv");
const VERSIONS: [&str; 6] = ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"];
const TEXTS: [&str; 5] = ["1.0.0", "1.1.0", "1.3.5", "1.4.1", "1.5.1"];

/// The functions of a file that are tests: of Rust those with the attribute; Python's suites have lists of their own.
fn tests(path: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path}: {e}"));
    let name = |line: &str, keyword: &str| {
        let (_, rest) = line.split_once(keyword)?;
        Some(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_owned())
    };
    let mut all = BTreeSet::new();
    let mut marked = false;
    for line in text.lines() {
        let line = line.trim_start();
        if path.ends_with(".py") {
            all.extend(line.starts_with("def ").then(|| name(line, "def ")).flatten());
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(test) = name(line, "fn ").filter(|_| marked && !line.starts_with("//")) {
            all.insert(test);
            marked = false;
        }
    }
    all
}

/// What is wrong with the columns before the tests.
fn fault(versions: &str, section: &str, rule: &str) -> Option<&'static str> {
    let place = |v: &str| VERSIONS.iter().position(|known| *known == v);
    let (first, last) = versions.split_once('-').unwrap_or((versions, versions));
    match (place(first), place(last)) {
        (Some(first), Some(last)) if first <= last => {}
        _ => return Some("no range of versions"),
    }
    let (text, number) = section.split_once(' ').unwrap_or((section, ""));
    let chapter = number.split('.').next().unwrap_or_default();
    if !TEXTS.contains(&text) || !matches!(chapter, "3" | "4" | "5" | "6" | "7" | "A") {
        return Some("no text and section");
    }
    (rule.is_empty() || rule.len() > 140).then_some("no rule, or a long one")
}

#[test]
fn every_rule_names_tests_that_exist() {
    let mut files: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut rules = BTreeSet::new();
    let mut wrong = Vec::new();
    for (n, line) in RULES.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
        let n = n + 1;
        let [versions, section, rule, named] = line.split('\t').collect::<Vec<_>>()[..] else {
            wrong.push(format!("line {n}: four columns are expected"));
            continue;
        };
        wrong.extend(fault(versions, section, rule).map(|what| format!("line {n}: {what}")));
        if !rules.insert((versions, rule)) {
            wrong.push(format!("line {n}: {rule:?} stands there already"));
        }
        if named.trim().is_empty() {
            wrong.push(format!("line {n}: no test"));
        }
        for test in named.split(' ') {
            let Some((path, name)) = test.split_once("::") else {
                wrong.push(format!("line {n}: {test:?} is no file::function"));
                continue;
            };
            if !files.entry(path).or_insert_with(|| tests(path)).contains(name) {
                wrong.push(format!("line {n}: {path} has no test {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "channel_rules.tsv:\n{}", wrong.join("\n"));
    assert!(rules.len() >= 200, "{} rules", rules.len());
}

#[test]
fn what_the_check_looks_for_it_finds() {
    let own = tests("switchd/tests/channel_rules.rs");
    assert!(own.contains("every_rule_names_tests_that_exist") && !own.contains("fault"));
    assert_eq!(fault("1.3-1.5", "1.3.5 6.2", "a rule"), None);
    assert!(fault("1.5-1.3", "1.3.5 6.2", "a rule").is_some());
    assert!(fault("1.3", "1.3.4 6.2", "a rule").is_some());
    assert!(fault("1.3", "1.3.5 6.2", "").is_some());
}
