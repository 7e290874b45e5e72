//! Flow entries: `add-flow` and its like, `diff-flows`, `replace-flows`.

use crate::apply::{apply, finish, read};
use crate::arguments::InBundle;
use crate::cli::Options;
use crate::connection::Connection;
use crate::dump::fetch_flows;
use crate::target::Target;
use crate::text_input::{Given, from_file, given};
use crate::{Misuse, print};
use anyhow::bail;
use ofproto::Version;
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::TableId;
use ofproto::message::Message;
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::text::{
    FlowModText, InstructionsText, MatchText, ParseContext, Printer, parse_flow_desc, parse_written_flow_mod,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// What to do with flow entries.
#[derive(Clone, Copy, Debug)]
pub enum Flow {
    /// Add.
    Add,
    /// Change; strictly.
    Modify(bool),
    /// Delete; strictly.
    Delete(bool),
}

fn send(o: &Options, target: &Target, texts: &[Given], how: Flow, bundle: InBundle) -> anyhow::Result<ExitCode> {
    let (command, name) = match how {
        Flow::Add => (FlowModCommand::Add, "add-flow"),
        Flow::Modify(false) => (FlowModCommand::Modify, "mod-flows"),
        Flow::Modify(true) => (FlowModCommand::ModifyStrict, "mod-flows --strict"),
        Flow::Delete(false) => (FlowModCommand::Delete, "del-flows"),
        Flow::Delete(true) => (FlowModCommand::DeleteStrict, "del-flows --strict"),
    };
    apply(o, target, texts, name, bundle, |text, ctx| parse_written_flow_mod(text, command, ctx).map(Message::FlowMod))
}

/// `add-flow`, `mod-flows`, `del-flows`
pub fn flow(o: &Options, target: &Target, text: &str, how: Flow, bundle: InBundle) -> anyhow::Result<ExitCode> {
    send(o, target, &given(text)?, how, bundle)
}

/// `add-flows`
pub fn flow_file(o: &Options, target: &Target, file: &Path, bundle: InBundle) -> anyhow::Result<ExitCode> {
    send(o, target, &from_file(file)?, Flow::Add, bundle)
}

/// What makes two entries the same one.
type Key = (TableId, std::cmp::Reverse<u16>, String);

/// What an entry says beyond its key, as far as the version reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    cookie: u64,
    idle: u16,
    hard: u16,
    importance: u16,
    flags: FlowModFlags,
    instructions: String,
    flow: FlowMod,
}

fn entry(flow: FlowMod, version: Version) -> (Key, Entry) {
    let key = (flow.table, std::cmp::Reverse(flow.priority), MatchText(&flow.matching).to_string());
    let kept = FlowModFlags::SEND_FLOW_REM | FlowModFlags::NO_PKT_COUNTS | FlowModFlags::NO_BYT_COUNTS;
    let entry = Entry {
        cookie: flow.cookie.0,
        idle: flow.idle_timeout,
        hard: flow.hard_timeout,
        importance: if version >= Version::V14 { flow.importance } else { 0 },
        flags: if version >= Version::V13 { flow.flags & kept } else { FlowModFlags::empty() },
        instructions: InstructionsText(&flow.instructions).to_string(),
        flow,
    };
    (key, entry)
}

impl Entry {
    fn same(&self, other: &Self) -> bool {
        (self.cookie, self.idle, self.hard, self.importance, self.flags, &self.instructions)
            == (other.cookie, other.idle, other.hard, other.importance, other.flags, &other.instructions)
    }

    fn text(&self) -> String {
        as_entry(&FlowModText(&self.flow))
    }
}

/// An adding flow-mod's text without its command: the entry's.
pub fn as_entry(text: &impl std::fmt::Display) -> String {
    let text = text.to_string();
    text.strip_prefix("add ").unwrap_or(&text).to_owned()
}

/// The flow-mod that would make this entry.
pub fn as_mod(f: FlowDesc) -> FlowMod {
    FlowMod {
        cookie: f.cookie,
        table: f.table,
        idle_timeout: f.idle_timeout,
        hard_timeout: f.hard_timeout,
        priority: f.priority,
        flags: f.flags,
        importance: f.importance,
        matching: f.matching,
        instructions: f.instructions,
        ..FlowMod::default()
    }
}

/// A set of flow entries.
type Entries = BTreeMap<Key, Entry>;

/// Where flow entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file; `-` is standard input.
    File(PathBuf),
    /// In a switch.
    Switch(Target),
}

impl FromStr for Source {
    type Err = String;

    /// As ovs-ofctl tells them apart.
    fn from_str(s: &str) -> Result<Self, String> {
        let file = s == "-" || s.starts_with(['/', '.']) || !s.contains(':') && Path::new(s).exists();
        if file { Ok(Self::File(s.into())) } else { s.parse().map(Self::Switch) }
    }
}

/// A file's entries, as a version says them; `c` knows the ports' names.
fn of_file(file: &Path, version: Version, o: &Options, mut c: Option<&mut Connection>) -> anyhow::Result<Entries> {
    let mut names = None;
    let mut entries = Entries::new();
    for line in from_file(file)? {
        let m = read(o, c.as_deref_mut(), version, &mut names, &line, |t, ctx| {
            parse_written_flow_mod(t, FlowModCommand::Add, ctx)
        })?;
        if m.command != FlowModCommand::Add {
            let place = line.place.unwrap_or_default();
            return Err(Misuse(format!("{place}: a file of flow entries can't hold commands")).into());
        }
        let (key, e) = entry(m, version);
        entries.insert(key, e);
    }
    Ok(entries)
}

/// A switch's entries.
fn of_switch(c: &mut Connection) -> anyhow::Result<Entries> {
    let version = c.version();
    let printer = Printer { version, ports: &() };
    let canonical = |f: FlowDesc| {
        // Printed and read again it has the canonical form that a file's entries have. Where the syntax can't say
        // it, it is compared as it is.
        let canonical = parse_flow_desc(&printer.flow(&f).to_string(), &ParseContext::new(version));
        entry(as_mod(canonical.unwrap_or(f)), version)
    };
    Ok(fetch_flows(c, FlowStatsRequest::default())?.into_iter().map(canonical).collect())
}

/// One side of a comparison.
enum Side<'s> {
    File(&'s Path),
    Switch(Box<Connection>),
}

impl<'s> Side<'s> {
    fn open(o: &Options, source: &'s Source) -> anyhow::Result<Self> {
        match source {
            Source::File(path) => Ok(Self::File(path)),
            Source::Switch(target) => o.connect(target).map(|c| Self::Switch(Box::new(c))),
        }
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::File(_) => None,
            Self::Switch(c) => Some(c),
        }
    }

    /// Its entries; a file's ports have the names that the other side's have.
    fn entries(&mut self, o: &Options, version: Version, other: Option<&mut Connection>) -> anyhow::Result<Entries> {
        match self {
            Self::File(path) => of_file(path, version, o, other),
            Self::Switch(c) => of_switch(c),
        }
    }
}

/// `diff-flows`. The status is 2 if they differ, as ovs-ofctl's.
pub fn diff_flows(o: &Options, first: &Source, second: &Source) -> anyhow::Result<ExitCode> {
    let (mut a, mut b) = (Side::open(o, first)?, Side::open(o, second)?);
    let version = match (a.connection(), b.connection()) {
        (Some(a), Some(b)) if a.version() != b.version() => bail!(
            "one switch speaks OpenFlow {}, the other {}: choose a version that both have with -O",
            a.version(),
            b.version()
        ),
        (Some(c), _) | (_, Some(c)) => c.version(),
        (None, None) => o.highest(),
    };
    let here = a.entries(o, version, b.connection())?;
    let there = b.entries(o, version, a.connection())?;
    let mut same = true;
    for key in here.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
        let (h, t) = (here.get(key), there.get(key));
        if let (Some(h), Some(t)) = (h, t)
            && h.same(t)
        {
            continue;
        }
        same = false;
        for (mark, e) in [("-", h), ("+", t)] {
            if let Some(e) = e {
                print(&format!("{mark}{}", e.text()));
            }
        }
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// `replace-flows`; with `readd` those are added, too, that are there already.
pub fn replace_flows(
    o: &Options,
    target: &Target,
    file: &Path,
    bundle: InBundle,
    readd: bool,
) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let wanted = of_file(file, c.version(), o, Some(&mut c))?;
    let present = of_switch(&mut c)?;
    let mut mods = Vec::new();
    for (key, p) in &present {
        if !wanted.contains_key(key) {
            let flow = FlowMod {
                command: FlowModCommand::DeleteStrict,
                table: p.flow.table,
                priority: p.flow.priority,
                matching: p.flow.matching.clone(),
                ..FlowMod::default()
            };
            mods.push((format!("deleting `{}`", p.text()), Message::FlowMod(flow)));
        }
    }
    for (key, w) in wanted {
        if readd || !present.get(&key).is_some_and(|p| w.same(p)) {
            mods.push((format!("adding `{}`", w.text()), Message::FlowMod(w.flow)));
        }
    }
    if mods.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    finish(&mut c, &mods, bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_switches_are_told_apart() {
        for (text, file) in
            [("-", true), ("./x", true), ("/run/of.sock", true), ("unix:/run/of.sock", false), ("br0", false)]
        {
            let source = text.parse::<Source>().expect(text);
            assert_eq!(matches!(source, Source::File(_)), file, "{text}");
        }
        // The directory that tests run in.
        assert!(matches!("Cargo.toml".parse(), Ok(Source::File(_))));
        assert!("ftp:x".parse::<Source>().is_err());
    }

    #[test]
    fn entries_are_compared_as_far_as_the_version_tells() {
        let flow = |text: &str, version| {
            entry(parse_written_flow_mod(text, FlowModCommand::Add, &ParseContext::new(version)).expect(text), version)
        };
        let (k1, a) = flow("priority=5,importance=3,send_flow_rem,ip,actions=output:1", Version::V12);
        let (k2, b) = flow("priority=5,ip,actions=output:1", Version::V12);
        assert!(k1 == k2 && a.same(&b));
        let (_, a) = flow("priority=5,importance=3,ip,actions=output:1", Version::V14);
        let (_, b) = flow("priority=5,ip,actions=output:1", Version::V14);
        assert!(!a.same(&b));
        assert_eq!(b.text(), "priority=5,ip actions=output:1");
    }
}
