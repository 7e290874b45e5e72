//! Commands that change something. Each waits for a barrier, so that a refusal shows.

use crate::connection::{Connection, Refused};
use crate::dump::fetch_flows;
use crate::target::Target;
use crate::text_input::{Line, find_port, lines, located, port_names, read_text};
use crate::{Options, print, print_json, report};
use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use ofproto::Version;
use ofproto::bundle::{BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::group::GroupModCommand;
use ofproto::ids::{BundleId, TableId};
use ofproto::message::{Message, MultipartReply, MultipartRequest};
use ofproto::meter::MeterModCommand;
use ofproto::port::{PortConfig, PortFeatures, PortMod, PortModProp};
use ofproto::role::{Role, RoleMsg};
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::table::{TableConfig, TableMod, TableModProp};
use ofproto::text::{
    FlowModText, InstructionsText, MatchText, ParseContext, Printer, TextError, parse_flow_desc, parse_flow_mod,
    parse_group_mod, parse_meter_mod, parse_packet_out,
};
use ofproto::wire::message_name;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Reads a text, with the switch's port names if it needs them: most texts don't, and asking costs a
/// round trip.
fn read<T>(
    c: &mut Connection,
    names: &mut Option<Vec<(String, ofproto::ids::PortNo)>>,
    text: &str,
    place: Option<String>,
    parse: impl Fn(&str, &ParseContext<'_>) -> Result<T, TextError>,
) -> anyhow::Result<T> {
    if names.is_none() {
        if let Ok(done) = parse(text, &ParseContext::new(c.version())) {
            return Ok(done);
        }
        *names = Some(port_names(&c.ports()?));
    }
    let known = names.as_deref().unwrap_or_default().to_vec();
    parse(text, &ParseContext { version: c.version(), ports: &known }).map_err(located(text, place))
}

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

/// `add-flow`, `mod-flows`, `del-flows`
pub fn flow(o: &Options, target: &Target, text: &str, how: Flow) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let (command, name) = match how {
        Flow::Add => (FlowModCommand::Add, "add-flow"),
        Flow::Modify(false) => (FlowModCommand::Modify, "mod-flows"),
        Flow::Modify(true) => (FlowModCommand::ModifyStrict, "mod-flows --strict"),
        Flow::Delete(false) => (FlowModCommand::Delete, "del-flows"),
        Flow::Delete(true) => (FlowModCommand::DeleteStrict, "del-flows --strict"),
    };
    let m = read(&mut c, &mut None, text, None, |t, ctx| parse_flow_mod(t, command, ctx))?;
    let refused = c.modify(&[(format!("{name} `{text}`"), Message::FlowMod(m))])?;
    Ok(report(&refused))
}

/// The flow-mods of a file, each with its place.
fn flow_mods(c: &mut Connection, file: &Path) -> anyhow::Result<Vec<(Line, FlowMod)>> {
    let text = read_text(file)?;
    let mut names = None;
    lines(&text)
        .into_iter()
        .map(|line| {
            let place = Some(place(file, &line));
            let m = read(c, &mut names, &line.text, place, |t, ctx| parse_flow_mod(t, FlowModCommand::Add, ctx))?;
            Ok((line, m))
        })
        .collect()
}

fn place(file: &Path, line: &Line) -> String {
    if file == Path::new("-") { format!("line {}", line.number) } else { format!("{}:{}", file.display(), line.number) }
}

fn finish(c: &mut Connection, mods: &[(String, Message)], bundle: bool) -> anyhow::Result<ExitCode> {
    let refused = if bundle { in_bundle(c, mods)? } else { c.modify(mods)? };
    if bundle && !refused.is_empty() {
        eprintln!("ofctl: nothing was changed");
    } else if !refused.is_empty() && mods.len() > 1 {
        eprintln!("ofctl: {} of {} flow-mods were refused", refused.len(), mods.len());
    }
    Ok(report(&refused))
}

/// `add-flows`
pub fn flow_file(o: &Options, target: &Target, file: &Path, bundle: bool) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let mods: Vec<(String, Message)> = flow_mods(&mut c, file)?
        .into_iter()
        .map(|(line, m)| (format!("{} `{}`", place(file, &line), line.text.trim()), Message::FlowMod(m)))
        .collect();
    finish(&mut c, &mods, bundle)
}

/// All or nothing (OpenFlow 1.4.1 §6.8).
fn in_bundle(c: &mut Connection, mods: &[(String, Message)]) -> anyhow::Result<Vec<Refused>> {
    if c.version() < Version::V13 {
        bail!("OpenFlow {} has no bundles", c.version());
    }
    let bundle = BundleId(1);
    let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle, ty, flags, properties: Vec::new() });
    c.ask(&control(BundleCtrlType::OpenRequest), "a bundle")?;
    let refused = c.modify_in_bundle(bundle, flags, mods)?;
    if !refused.is_empty() {
        // It may be gone already: a failed add can close it.
        let _ = c.ask(&control(BundleCtrlType::DiscardRequest), "the bundle's end");
        return Ok(refused);
    }
    c.commit(&control(BundleCtrlType::CommitRequest), mods)
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
        let text = FlowModText(&self.flow).to_string();
        text.strip_prefix("add ").unwrap_or(&text).to_owned()
    }
}

fn as_mod(f: FlowDesc) -> FlowMod {
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

/// Both sides' entries: the file's and the switch's.
fn both(c: &mut Connection, file: &Path) -> anyhow::Result<(BTreeMap<Key, Entry>, BTreeMap<Key, Entry>)> {
    let version = c.version();
    let mut wanted = BTreeMap::new();
    for (line, m) in flow_mods(c, file)? {
        if m.command != FlowModCommand::Add {
            bail!("{}: a file of flow entries can't hold commands", place(file, &line));
        }
        let (key, e) = entry(m, version);
        wanted.insert(key, e);
    }
    let printer = Printer { version, ports: &() };
    let present = fetch_flows(c, FlowStatsRequest::default())?
        .into_iter()
        .map(|f| {
            // Printed and read again it has the canonical form that the file's entries have. Where the
            // syntax can't say it, it is compared as it is.
            let canonical = parse_flow_desc(&printer.flow(&f).to_string(), &ParseContext::new(version));
            entry(as_mod(canonical.unwrap_or(f)), version)
        })
        .collect();
    Ok((wanted, present))
}

/// `diff-flows`
pub fn diff_flows(o: &Options, target: &Target, file: &Path) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let (wanted, present) = both(&mut c, file)?;
    let mut same = true;
    let keys: std::collections::BTreeSet<&Key> = wanted.keys().chain(present.keys()).collect();
    for key in keys {
        let (w, p) = (wanted.get(key), present.get(key));
        if let (Some(w), Some(p)) = (w, p)
            && w.same(p)
        {
            continue;
        }
        same = false;
        if let Some(w) = w {
            print(&format!("-{}", w.text()));
        }
        if let Some(p) = p {
            print(&format!("+{}", p.text()));
        }
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `replace-flows`
pub fn replace_flows(o: &Options, target: &Target, file: &Path, bundle: bool) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let (wanted, present) = both(&mut c, file)?;
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
        if !present.get(&key).is_some_and(|p| w.same(p)) {
            mods.push((format!("adding `{}`", w.text()), Message::FlowMod(w.flow)));
        }
    }
    if mods.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    finish(&mut c, &mods, bundle)
}

/// What to do with groups.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    Add,
    Modify,
    AddOrModify,
    Delete,
    InsertBuckets,
    RemoveBuckets,
}

/// `add-group` and the other group commands
pub fn group(o: &Options, target: &Target, text: &str, how: Group) -> anyhow::Result<ExitCode> {
    let (command, name) = match how {
        Group::Add => (GroupModCommand::Add, "add-group"),
        Group::Modify => (GroupModCommand::Modify, "mod-group"),
        Group::AddOrModify => (GroupModCommand::AddOrMod, "mod-group --may-create"),
        Group::Delete => (GroupModCommand::Delete, "del-groups"),
        Group::InsertBuckets => (GroupModCommand::InsertBucket, "insert-buckets"),
        Group::RemoveBuckets => (GroupModCommand::RemoveBucket, "remove-buckets"),
    };
    let mut c = o.connect(target)?;
    let m = read(&mut c, &mut None, text, None, |t, ctx| parse_group_mod(t, command, ctx))?;
    let what = format!("{name} `{text}`");
    Ok(report(&c.modify(&[(what, Message::GroupMod(m))])?))
}

/// What to do with meters.
#[derive(Clone, Copy, Debug)]
pub enum Meter {
    Add,
    Modify,
    Delete,
}

/// `add-meter`, `mod-meter`, `del-meter`
pub fn meter(o: &Options, target: &Target, text: &str, how: Meter) -> anyhow::Result<ExitCode> {
    let (command, name) = match how {
        Meter::Add => (MeterModCommand::Add, "add-meter"),
        Meter::Modify => (MeterModCommand::Modify, "mod-meter"),
        Meter::Delete => (MeterModCommand::Delete, "del-meter"),
    };
    let mut c = o.connect(target)?;
    let m = read(&mut c, &mut None, text, None, |t, ctx| parse_meter_mod(t, command, ctx))?;
    Ok(report(&c.modify(&[(format!("{name} `{text}`"), Message::MeterMod(m))])?))
}

/// One bit of a port's configuration, set or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortChange {
    bit: PortConfig,
    set: bool,
}

impl FromStr for PortChange {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "up" => return Ok(Self { bit: PortConfig::PORT_DOWN, set: false }),
            "down" => return Ok(Self { bit: PortConfig::PORT_DOWN, set: true }),
            _ => {}
        }
        let (name, set) = s.strip_prefix("no-").map_or((s, false), |name| (name, true));
        let bit = match name {
            "stp" => PortConfig::NO_STP,
            "receive" | "recv" => PortConfig::NO_RECV,
            "receive-stp" | "recv-stp" => PortConfig::NO_RECV_STP,
            "flood" => PortConfig::NO_FLOOD,
            "forward" | "fwd" => PortConfig::NO_FWD,
            "packet-in" => PortConfig::NO_PACKET_IN,
            _ => return Err("expected up, down, or [no-]flood, receive, forward, packet-in, stp, receive-stp".into()),
        };
        Ok(Self { bit, set })
    }
}

/// `mod-port`
pub fn port(o: &Options, target: &Target, port: &str, change: PortChange) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let ports = c.ports()?;
    let no = find_port(port, &port_names(&ports))?;
    let desc = ports.iter().find(|p| p.port_no == no).with_context(|| format!("the switch has no port {no}"))?;
    let config = if change.set { change.bit } else { PortConfig::empty() };
    // Before 1.4 `advertise` is a fixed field; zero leaves it alone.
    let properties =
        if c.version() < Version::V14 { vec![PortModProp::Ethernet(PortFeatures::empty())] } else { Vec::new() };
    let m = PortMod { port_no: no, hw_addr: desc.hw_addr, config, mask: change.bit, properties };
    Ok(report(&c.modify(&[(format!("mod-port {port}"), Message::PortMod(m))])?))
}

/// A flow table's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// `OFPTC_EVICTION`, set or cleared.
    Evict(bool),
    /// `OFPTC_VACANCY_EVENTS` with the thresholds in per cent, or cleared.
    Vacancy(Option<(u8, u8)>),
    /// `OFPTC_TABLE_MISS_*`
    Miss(u32),
}

impl FromStr for TableChange {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if let Some(limits) = s.strip_prefix("vacancy:") {
            let percent = |t: &str| t.trim().parse().ok().filter(|n| *n <= 100);
            return limits
                .split_once(',')
                .and_then(|(a, b)| Some(Self::Vacancy(Some((percent(a)?, percent(b)?)))))
                .ok_or_else(|| "expected vacancy:DOWN,UP in per cent".into());
        }
        match s {
            "evict" => Ok(Self::Evict(true)),
            "noevict" => Ok(Self::Evict(false)),
            "novacancy" => Ok(Self::Vacancy(None)),
            "controller" => Ok(Self::Miss(0)),
            "continue" => Ok(Self::Miss(TableConfig::MISS_CONTINUE)),
            "drop" => Ok(Self::Miss(TableConfig::MISS_DROP)),
            _ => Err("expected evict, noevict, vacancy:DOWN,UP, novacancy, drop, continue or controller".into()),
        }
    }
}

/// `mod-table`
pub fn table(o: &Options, target: &Target, table: &str, change: TableChange) -> anyhow::Result<ExitCode> {
    let id = match table {
        "all" | "ALL" => TableId::ALL,
        n => TableId(n.parse().map_err(|_| anyhow!("`{n}` is no table: expected 0 to 254, or all"))?),
    };
    let mut c = o.connect(target)?;
    let version = c.version();
    let mods: Vec<TableMod> = match change {
        TableChange::Miss(bits) => {
            if version >= Version::V13 {
                bail!("OpenFlow {version} has no miss configuration: add an entry of priority 0 instead");
            }
            vec![TableMod { table: id, config: TableConfig::from_bits_retain(bits), properties: Vec::new() }]
        }
        TableChange::Evict(_) | TableChange::Vacancy(_) if version < Version::V14 => {
            bail!("OpenFlow {version} has neither eviction nor vacancy events");
        }
        TableChange::Evict(_) | TableChange::Vacancy(_) => {
            // A table-mod sets all bits: those not meant are sent as they are.
            let MultipartReply::TableDesc(tables) = c.query(MultipartRequest::TableDesc, "table descriptions")? else {
                bail!("the answer to table descriptions is another one");
            };
            let chosen: Vec<_> = tables.into_iter().filter(|t| id == TableId::ALL || t.table == id).collect();
            if chosen.is_empty() {
                bail!("there is no table {table}");
            }
            chosen
                .into_iter()
                .map(|t| {
                    let mut config = t.config;
                    let mut properties = Vec::new();
                    match change {
                        TableChange::Evict(on) => config.set(TableConfig::EVICTION, on),
                        TableChange::Vacancy(limits) => {
                            config.set(TableConfig::VACANCY_EVENTS, limits.is_some());
                            properties.extend(limits.map(|(down, up)| TableModProp::Vacancy { down, up, vacancy: 0 }));
                        }
                        TableChange::Miss(_) => {}
                    }
                    TableMod { table: t.table, config, properties }
                })
                .collect()
        }
    };
    let mods: Vec<_> = mods.into_iter().map(|m| (format!("mod-table {}", m.table), Message::TableMod(m))).collect();
    Ok(report(&c.modify(&mods)?))
}

/// `packet-out`
pub fn packet_out(
    o: &Options,
    target: &Target,
    packet: &str,
    actions: Option<&str>,
    in_port: &str,
) -> anyhow::Result<ExitCode> {
    let text = match (packet.contains('='), actions) {
        (true, None) => packet.to_owned(),
        (true, Some(_)) => bail!("the packet-out has its actions in it; --actions is for a frame given alone"),
        (false, Some(actions)) => {
            let digits: String = packet.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
            format!("in_port={in_port},packet={digits},actions={actions}")
        }
        (false, None) => bail!("a frame given alone needs --actions"),
    };
    let mut c = o.connect(target)?;
    let m = read(&mut c, &mut None, &text, None, parse_packet_out)?;
    Ok(report(&c.modify(&[("packet-out".into(), Message::PacketOut(m))])?))
}

/// `barrier`
pub fn barrier(o: &Options, target: &Target) -> anyhow::Result<()> {
    match o.connect(target)?.ask(&Message::BarrierRequest, "barrier")? {
        Message::BarrierReply => Ok(()),
        other => bail!("the answer to barrier is an {}", message_name(&other)),
    }
}

fn echo(c: &mut Connection, size: usize, seed: u8) -> anyhow::Result<Duration> {
    let data: Vec<u8> = (0..size).map(|i| (i as u8).wrapping_add(seed)).collect();
    let start = Instant::now();
    match c.ask(&Message::EchoRequest(data.clone().into()), "echo")? {
        Message::EchoReply(back) if back == data => Ok(start.elapsed()),
        Message::EchoReply(_) => bail!("the echo came back with other data"),
        other => bail!("the answer to echo is an {}", message_name(&other)),
    }
}

/// `probe`
pub fn probe(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let time = echo(&mut c, 8, 0)?;
    if o.json {
        print_json(&json!({ "version": c.version().to_string(), "seconds": time.as_secs_f64() }));
    } else {
        print(&format!(" {target} answers OpenFlow {} in {:.3} ms", c.version(), time.as_secs_f64() * 1e3));
    }
    Ok(())
}

/// `ping`
pub fn ping(o: &Options, target: &Target, count: u32, size: u16) -> anyhow::Result<ExitCode> {
    // The header takes eight bytes of the longest message.
    let size = usize::from(size).min(ofproto::wire::MAX_MESSAGE_LEN - ofproto::wire::HEADER_LEN);
    let mut c = o.connect(target)?;
    let mut times = Vec::new();
    for i in 0..count {
        let time = echo(&mut c, size, i as u8)?.as_secs_f64() * 1e3;
        if !o.json {
            print(&format!(" {size} bytes from {target}: {time:.3} ms"));
        }
        times.push(time);
    }
    if o.json {
        print_json(&json!({ "bytes": size, "milliseconds": times }));
    }
    Ok(ExitCode::SUCCESS)
}

/// A role by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleName {
    Equal,
    Master,
    Slave,
}

/// `role`
pub fn role(o: &Options, target: &Target, role: Option<RoleName>, generation: u64) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    if c.version() < Version::V12 {
        bail!("OpenFlow {} has no roles", c.version());
    }
    let role = match role {
        None => Role::NoChange,
        Some(RoleName::Equal) => Role::Equal,
        Some(RoleName::Master) => Role::Master,
        Some(RoleName::Slave) => Role::Slave,
    };
    let request = RoleMsg { role, short_id: 0, generation_id: generation };
    let Message::RoleReply(r) = c.ask(&Message::RoleRequest(request), "role")? else {
        bail!("the answer to role is no role reply");
    };
    let name = match r.role {
        Role::NoChange => "nochange".into(),
        Role::Equal => "equal".into(),
        Role::Master => "master".into(),
        Role::Slave => "slave".into(),
        Role::Unknown(n) => n.to_string(),
    };
    // All ones: no election has been held.
    let known = (r.generation_id != u64::MAX).then_some(r.generation_id);
    if o.json {
        print_json(&json!({ "role": name, "generation_id": known }));
    } else {
        let generation = known.map_or_else(|| "none".into(), |g| g.to_string());
        print(&format!(" role {name}, generation {generation}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_changes() {
        let change = |bit, set| Ok(PortChange { bit, set });
        for (text, want) in [
            ("up", change(PortConfig::PORT_DOWN, false)),
            ("down", change(PortConfig::PORT_DOWN, true)),
            ("no-flood", change(PortConfig::NO_FLOOD, true)),
            ("flood", change(PortConfig::NO_FLOOD, false)),
            ("no-packet-in", change(PortConfig::NO_PACKET_IN, true)),
            ("receive", change(PortConfig::NO_RECV, false)),
        ] {
            assert_eq!(text.parse::<PortChange>(), want, "{text}");
        }
        for text in ["", "no-", "no-up", "sideways"] {
            assert!(text.parse::<PortChange>().is_err(), "{text}");
        }
    }

    #[test]
    fn table_changes() {
        assert_eq!("vacancy:20,80".parse(), Ok(TableChange::Vacancy(Some((20, 80)))));
        assert_eq!("novacancy".parse(), Ok(TableChange::Vacancy(None)));
        assert_eq!("noevict".parse(), Ok(TableChange::Evict(false)));
        assert_eq!("drop".parse(), Ok(TableChange::Miss(2)));
        for text in ["vacancy:", "vacancy:20", "vacancy:20,101", "evict!"] {
            assert!(text.parse::<TableChange>().is_err(), "{text}");
        }
    }

    #[test]
    fn entries_are_compared_as_far_as_the_version_tells() {
        let flow = |text: &str, version| {
            entry(parse_flow_mod(text, FlowModCommand::Add, &ParseContext::new(version)).expect(text), version)
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
