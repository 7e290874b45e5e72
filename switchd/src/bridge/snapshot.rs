//! What outlasts a restart, on disk: flows, groups, meters, and the configuration of tables and ports.
//!
//! A file of lines: a head, then one message each, what tables can do first, meters and groups before what uses
//! them, then the configuration of tables and ports, then a tail with the number of lines. A message is an OpenFlow 1.5 message in hexadecimal, which is
//! quick and short (`ofctl decode` reads it), or JSON where 1.5's wire can't say all of it. It is written beside the old one by a thread of
//! its own ([`saving`](super::saving)) and takes its name when it is safely on disk: whatever happens
//! meanwhile, one whole snapshot is there, and it shows one moment.
//!
//! Counters begin anew, because they count what this run did; so do timeouts, because nobody knows what the
//! time was worth while the switch stood still. What a restart makes anew by itself (ports, queues,
//! connections, and what is a connection's own: roles, flow monitors, bundles, the switch configuration) isn't
//! kept. Ports are known by their interfaces' names.

use super::switch::{Packets, Switch, modification};
use datapath::clock::Time;
use datapath::control::Control;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId, TableId, Xid};
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::meter::{MeterMod, MeterModCommand};
use ofproto::port::PortConfig;
use ofproto::stats::FlowDesc;
use ofproto::table::{TableConfig, TableMod, TableModProp};
use ofproto::{OfError, Version, json, wire};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// In whose terms everything is written.
pub(super) const TERMS: Version = Version::V15;

/// The first line; another form gets another number. 2 knew neither tables' features nor their misses.
const HEAD: &str = r#"{"switchd_state":3}"#;
/// First lines of forms that are a part of the present one.
const EARLIER_HEADS: [&str; 1] = [r#"{"switchd_state":2}"#];

/// Longest line that is read: more than the longest message needs.
const LINE: u64 = 16 << 20;

/// Why a snapshot can't be written or taken up.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It isn't a whole snapshot.
    #[error("{path}, line {line}: {reason}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The switch doesn't take it.
    #[error("{path}, line {line}: {error}")]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why not.
        error: OfError,
    },
    /// The switch doesn't tell.
    #[error("{0}")]
    State(OfError),
    /// The switch is doing so already.
    #[error("a snapshot is being written already")]
    Busy,
    /// It was given up: the switch ends, and writes another one.
    #[error("the snapshot was given up")]
    GivenUp,
}

/// A line of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Something that makes a part of the state.
    Message(Message),
    /// A port's configuration.
    Port {
        /// Its interface.
        name: String,
        /// `OFPPC_*`
        config: PortConfig,
    },
    /// What 1.1 or 1.2 said that a table does with misses.
    Miss {
        /// Which.
        table: TableId,
        /// `OFPTC_TABLE_MISS_*`
        config: TableConfig,
    },
}

impl Line {
    /// The line that makes this flow.
    pub fn of_flow(f: FlowDesc) -> Self {
        Self::Message(Message::FlowMod(FlowMod {
            cookie: f.cookie,
            table: f.table,
            idle_timeout: f.idle_timeout,
            hard_timeout: f.hard_timeout,
            priority: f.priority,
            flags: f.flags - FlowModFlags::CHECK_OVERLAP - FlowModFlags::RESET_COUNTS,
            importance: f.importance,
            matching: f.matching,
            instructions: f.instructions,
            ..FlowMod::default()
        }))
    }

    /// Writes the line without its end; `bytes` is room to work in.
    fn write(&self, to: &mut impl Write, bytes: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Message(message) => {
                bytes.clear();
                let encoded = wire::encode_into(bytes, TERMS, Xid(0), message);
                // What comes back is what was meant, or it is said otherwise.
                if encoded.is_ok() && wire::decode(bytes).is_ok_and(|(_, back)| back == *message) {
                    let digit = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
                    let text: Vec<u8> = bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect();
                    return to.write_all(&text);
                }
                write!(to, "{}", json::to_value(message))
            }
            Self::Port { name, config } => {
                write!(to, "{}", json!({ "port": { "name": name, "config": config.bits() } }))
            }
            Self::Miss { table, config } => {
                write!(to, "{}", json!({ "miss": { "table": table.0, "config": config.bits() } }))
            }
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('{') {
            return Self::from_json(&serde_json::from_str(text).map_err(|e| e.to_string())?);
        }
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or("neither JSON nor hexadecimal")?;
        let (_, message) = wire::decode(&bytes).map_err(|e| e.to_string())?;
        Self::of_message(message)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        if let Some(port) = value.get("port") {
            let name = port.get("name").and_then(Value::as_str).ok_or("`port` has no `name`")?.to_owned();
            let config = port.get("config").and_then(Value::as_u64).and_then(|c| u32::try_from(c).ok());
            let config = PortConfig::from_bits_retain(config.ok_or("`port` has no `config`")?);
            return Ok(Self::Port { name, config });
        }
        if let Some(miss) = value.get("miss") {
            let number = |key| miss.get(key).and_then(Value::as_u64);
            let table = number("table").and_then(|t| u8::try_from(t).ok()).map(TableId);
            let config = number("config").and_then(|c| u32::try_from(c).ok()).map(TableConfig::from_bits_retain);
            return Ok(Self::Miss {
                table: table.ok_or("`miss` has no `table`")?,
                config: config.ok_or("`miss` has no `config`")?,
            });
        }
        Self::of_message(json::from_value(value).map_err(|e| e.to_string())?)
    }

    fn of_message(message: Message) -> Result<Self, String> {
        match message {
            m @ (Message::FlowMod(_)
            | Message::GroupMod(_)
            | Message::MeterMod(_)
            | Message::TableMod(_)
            | Message::MultipartRequest(Multipart {
                body: MultipartRequest::TableFeatures(_), more: false, ..
            })) => Ok(Self::Message(m)),
            other => Err(format!("{} is nothing that a snapshot holds", crate::session::message_name(&other))),
        }
    }
}

/// What comes before the flows and after them, as of now.
pub(super) fn around<P: Packets>(s: &Switch<P>) -> Result<(Vec<Line>, Vec<Line>), OfError> {
    let features = s.control.table_features_set().into_iter();
    let mut first: Vec<Message> =
        features.map(|f| Message::MultipartRequest(Multipart::last(MultipartRequest::TableFeatures(f)))).collect();
    for m in s.control.meter_config(MeterId::ALL)? {
        let command = MeterModCommand::Add;
        first.push(Message::MeterMod(MeterMod { command, flags: m.flags, meter: m.meter, bands: m.bands }));
    }
    let groups = s.control.group_desc(GroupId::ALL)?;
    // First all of them without anything in them, because they may name each other in any order.
    for g in &groups {
        let buckets = match g.ty {
            GroupType::Indirect => vec![Bucket { id: None, ..Bucket::new(Vec::new()) }],
            _ => Vec::new(),
        };
        first.push(Message::GroupMod(GroupMod {
            command: GroupModCommand::Add,
            ty: g.ty,
            group: g.group,
            command_bucket: BucketId::ALL,
            buckets,
            properties: Vec::new(),
        }));
    }
    for g in groups {
        first.push(Message::GroupMod(GroupMod {
            command: GroupModCommand::Modify,
            ty: g.ty,
            group: g.group,
            command_bucket: BucketId::ALL,
            buckets: g.buckets,
            properties: g.properties,
        }));
    }
    let tables = s.control.table_desc().into_iter().filter(|t| !t.config.is_empty()).map(|t| {
        let properties = t.properties.into_iter().filter_map(|p| match p {
            TableModProp::Eviction(flags) if flags != 0 => Some(p),
            // What is free is told, not set.
            TableModProp::Vacancy { down, up, .. } if t.config.contains(TableConfig::VACANCY_EVENTS) => {
                Some(TableModProp::Vacancy { down, up, vacancy: 0 })
            }
            _ => None,
        });
        let properties = properties.collect();
        Line::Message(Message::TableMod(TableMod { table: t.table, config: t.config, properties }))
    });
    let ports = s.port_configs().into_iter().map(|(name, config)| Line::Port { name, config });
    let misses = s.control.miss_configs().into_iter().map(|(table, config)| Line::Miss { table, config });
    Ok((first.into_iter().map(Line::Message).collect(), tables.chain(misses).chain(ports).collect()))
}

/// Writes the lines beside `path`, and gives them its name once they are on disk: how many there are.
///
/// # Errors
/// [`SnapshotError`]; the old snapshot is then still there, and nothing beside it.
pub(super) fn write(
    path: &Path,
    lines: impl Iterator<Item = Result<Line, SnapshotError>>,
) -> Result<usize, SnapshotError> {
    let new = path.with_extension("new");
    let failed = |source| SnapshotError::Io { path: path.to_owned(), source };
    let written = write_to(&new, lines, failed).and_then(|count| {
        fs::rename(&new, path).map_err(failed)?;
        // The name, too, has to be on disk.
        if let Some(dir) = path.parent() {
            File::open(dir).and_then(|d| d.sync_all()).map_err(failed)?;
        }
        Ok(count)
    });
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_to(
    path: &Path,
    lines: impl Iterator<Item = Result<Line, SnapshotError>>,
    failed: impl Fn(io::Error) -> SnapshotError,
) -> Result<usize, SnapshotError> {
    let mut file = BufWriter::new(File::create(path).map_err(&failed)?);
    let count = write_lines(&mut file, lines, &failed)?;
    file.into_inner().map_err(|e| failed(e.into_error()))?.sync_all().map_err(&failed)?;
    Ok(count)
}

/// Writes the lines between a head and a tail: how many there are.
///
/// # Errors
/// The first line's, or what `failed` makes of the writer's.
pub fn write_lines(
    to: &mut impl Write,
    lines: impl Iterator<Item = Result<Line, SnapshotError>>,
    failed: impl Fn(io::Error) -> SnapshotError,
) -> Result<usize, SnapshotError> {
    writeln!(to, "{HEAD}").map_err(&failed)?;
    let mut count = 0;
    let mut bytes = Vec::new();
    for line in lines {
        line?.write(to, &mut bytes).and_then(|()| to.write_all(b"\n")).map_err(&failed)?;
        count += 1;
    }
    writeln!(to, "{}", tail(count)).map_err(&failed)?;
    Ok(count)
}

fn tail(lines: usize) -> String {
    format!(r#"{{"lines":{lines}}}"#)
}

/// Takes up what `path` holds, all of it or nothing: how many messages; `None` if there is no such file.
///
/// # Errors
/// [`SnapshotError`]; the switch is then as it was.
pub fn restore<P: Packets>(s: &mut Switch<P>, now: Time, path: &Path) -> Result<Option<usize>, SnapshotError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SnapshotError::Io { path: path.to_owned(), source }),
    };
    let lines = read(path, file)?;
    let count = lines.len();
    // The ports' queues come later.
    s.control.set_queues(None);
    s.changed(now);
    let committed = s.control.transaction(now, |control| {
        let take = |(at, line): (usize, &Line)| take_up(control, line, now).map_err(|error| (at, error));
        lines.iter().enumerate().try_for_each(take)
    });
    s.note_queues();
    match committed {
        Ok(()) => {
            let port = |line| if let Line::Port { name, config } = line { Some((name, config)) } else { None };
            s.keep_port_configs(lines.into_iter().filter_map(port).collect());
            Ok(Some(count))
        }
        Err((at, error)) => Err(SnapshotError::Refused { path: path.to_owned(), line: at + 2, error }),
    }
}

/// Makes of the control what one line says, as far as it is the control's.
fn take_up(control: &mut Control, line: &Line, now: Time) -> Result<(), OfError> {
    match line {
        Line::Message(Message::MultipartRequest(Multipart {
            body: MultipartRequest::TableFeatures(request), ..
        })) => control.restore_table_features(request, now),
        Line::Message(message) => match modification(message) {
            Some(change) => control.modify(TERMS, &change, now),
            // None other is read.
            None => Ok(()),
        },
        Line::Miss { table, config } => {
            let said = TableMod { table: *table, config: *config, properties: Vec::new() };
            control.table_mod(Version::V12, &said, now)
        }
        Line::Port { .. } => Ok(()),
    }
}

/// Reads the lines of a whole snapshot; `path` is for the errors.
///
/// # Errors
/// [`SnapshotError`]: it can't be read, or isn't whole.
pub fn read(path: &Path, file: impl io::Read) -> Result<Vec<Line>, SnapshotError> {
    let content = |line, reason: String| SnapshotError::Content { path: path.to_owned(), line, reason };
    let mut reader = BufReader::new(file);
    let mut lines = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let n = io::Read::take(&mut reader, LINE)
            .read_line(&mut text)
            .map_err(|source| SnapshotError::Io { path: path.to_owned(), source })?;
        let whole = text.strip_suffix('\n');
        let Some(one) = whole.filter(|_| n > 0) else {
            return Err(content(line, "the file ends in the middle".to_owned()));
        };
        if line == 1 {
            if one != HEAD && !EARLIER_HEADS.contains(&one) {
                return Err(content(line, format!("no snapshot: it begins with something else than {HEAD}")));
            }
            continue;
        }
        if one == tail(lines.len()) {
            return Ok(lines);
        }
        lines.push(Line::read(one).map_err(|e| content(line, e))?);
    }
    unreachable!("a file ends before all numbers are counted")
}

#[cfg(test)]
mod tests {
    use super::super::Instance;
    use super::super::saving::save;
    use super::super::tests::{Bench, add, group};
    use super::*;
    use crate::ports::PortEvent;
    use crate::queues::Queue;
    use crate::session::tests::fake::port;
    use ofproto::action::Action;
    use ofproto::ids::PortNo;
    use ofproto::instruction::Instruction;
    use ofproto::meter::{Band, BandAction, MeterFlags};
    use ofproto::port::PortMod;
    use ofproto::stats::FlowStatsRequest;
    use ofproto::table::TableFeatureProp;

    const NOW: Time = Time::from_secs(5);

    fn filled() -> Bench {
        let mut b = Bench::of(1000);
        let c = b.connect(TERMS);
        let rate = Band { action: BandAction::Drop, rate: 1000, burst_size: 100 };
        let meter =
            MeterMod { command: MeterModCommand::Add, flags: MeterFlags::KBPS, meter: MeterId(3), bands: vec![rate] };
        b.say(c, TERMS, 1, &Message::MeterMod(meter));
        // Group 1 is made last and stands first.
        b.say(c, TERMS, 1, &group(9));
        let mut through = GroupMod {
            command: GroupModCommand::Add,
            ty: GroupType::Indirect,
            group: GroupId(1),
            command_bucket: BucketId::ALL,
            buckets: Vec::new(),
            properties: Vec::new(),
        };
        through.buckets = vec![Bucket { id: None, ..Bucket::new(vec![Action::Group(GroupId(9))]) }];
        b.say(c, TERMS, 2, &Message::GroupMod(through));
        for n in 0..300 {
            let mut flow = add(n, FlowModFlags::SEND_FLOW_REM | FlowModFlags::RESET_COUNTS);
            flow.table = TableId((n % 3) as u8);
            flow.priority = n as u16;
            flow.cookie = ofproto::ids::Cookie(u64::MAX - u64::from(n));
            flow.idle_timeout = n as u16 % 7;
            let actions = vec![Action::Meter(MeterId(3)), Action::Group(GroupId(1))];
            flow.instructions = vec![Instruction::ApplyActions(actions)];
            b.say(c, TERMS, n, &Message::FlowMod(flow));
        }
        // What the newest version's wire has no form for.
        let queue = Queue { id: ofproto::ids::QueueId(3), min: None, max: None, speed: 1 };
        b.hub.switch.port_event(b.now, PortEvent::Queues(PortNo(1), vec![queue]));
        let old = b.connect(Version::V10);
        let mut flow = add(77, FlowModFlags::empty());
        flow.instructions =
            vec![Instruction::ApplyActions(vec![Action::Enqueue { port: PortNo(1), queue: ofproto::ids::QueueId(3) }])];
        b.say(old, Version::V10, 1, &Message::FlowMod(flow));
        assert_eq!(b.hear(old), []);
        b.hub.session_mut(old).unwrap().end(false, "test");
        b.hub.closed(b.now, old);
        // Of the other controller's coming and going.
        b.hear(c);
        let config = TableConfig::EVICTION | TableConfig::VACANCY_EVENTS;
        let properties = vec![TableModProp::Eviction(2), TableModProp::Vacancy { down: 10, up: 20, vacancy: 0 }];
        b.say(c, TERMS, 1, &Message::TableMod(TableMod { table: TableId(1), config, properties }));
        let closed = PortMod {
            port_no: PortNo(2),
            hw_addr: port(2).hw_addr,
            config: PortConfig::NO_FWD,
            mask: PortConfig::NO_FWD,
            properties: Vec::new(),
        };
        b.say(c, TERMS, 1, &Message::PortMod(closed));
        let out = b.hear(c);
        assert!(matches!(out[..], [(_, Message::PortStatus(_))]), "{out:?}");
        b
    }

    fn lines(b: &mut Bench) -> Vec<Line> {
        let (mut lines, last) = around(&b.hub.switch).unwrap();
        let s = &mut b.hub.switch;
        let dump = s.control.flow_stats(&FlowStatsRequest::default(), TERMS).unwrap();
        loop {
            let (flows, ended) = s.control.next_flows(dump, 1000, NOW);
            lines.extend(flows.into_iter().map(Line::of_flow));
            if ended {
                break;
            }
        }
        lines.extend(last);
        lines
    }

    #[test]
    fn what_was_there_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        let before = lines(&mut b);
        let saved = save(&mut b.hub.switch, NOW, &path).unwrap();
        assert_eq!(saved, 1 + 2 * 2 + 301 + 1 + 1);
        // In words: the enqueue, a bucket without an id, the port.
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|l| l.starts_with("06")).count(), saved - 3, "{text}");
        let mut again = Bench::of(1000);
        again.hub.switch.port_event(NOW, PortEvent::Removed(PortNo(2)));
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(saved));
        // Ports come later than the state.
        again.hub.switch.port_event(NOW, PortEvent::Added(port(2)));
        assert_eq!(again.hub.switch.control.ports().get(PortNo(2)).unwrap().desc.config, PortConfig::NO_FWD);
        assert_eq!(lines(&mut again), before);
        assert_eq!(restore(&mut again.hub.switch, NOW, &dir.path().join("none")).unwrap(), None);
    }

    /// Tables as controllers of all versions can leave them.
    fn tables(b: &mut Bench) {
        let c = b.connect(Version::V13);
        let mut set = b.hub.switch.control.table_features(Version::V13);
        // Out of the pipeline.
        set.retain(|f| f.table != TableId(3));
        let narrow = &mut set[1];
        narrow.name = "narrow".into();
        narrow.metadata_write = 0xff;
        narrow.properties.retain(|p| !matches!(p, TableFeatureProp::WriteActions { .. }));
        narrow.properties.push(TableFeatureProp::WriteActions { miss: false, ids: Vec::new() });
        b.hub.switch.control.set_table_features(Version::V13, &set, b.now).unwrap();
        let mut flow = add(5, FlowModFlags::empty());
        flow.table = TableId(1);
        b.say(c, Version::V13, 1, &Message::FlowMod(flow));
        let mut egress = b.hub.switch.control.table_features(Version::V15).remove(2);
        egress.command = 1;
        egress.features |= 16;
        egress.properties.clear();
        b.hub.switch.control.set_table_features(Version::V15, &[egress], b.now).unwrap();
        let old = b.connect(Version::V12);
        for (table, config) in [(0, TableConfig::MISS_CONTINUE), (1, TableConfig::MISS_DROP), (2, 0)] {
            let config = TableConfig::from_bits_retain(config);
            let m = TableMod { table: TableId(table), config, properties: Vec::new() };
            b.say(old, Version::V12, 1, &Message::TableMod(m));
        }
        assert_eq!(b.hear(c), []);
        assert_eq!(b.hear(old), []);
    }

    #[test]
    fn tables_can_do_after_a_restart_what_they_could_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = Bench::of(1000);
        tables(&mut b);
        let before = lines(&mut b);
        save(&mut b.hub.switch, NOW, &path).unwrap();
        let mut again = Bench::of(1000);
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(before.len()));
        for version in [Version::V13, Version::V14, Version::V15] {
            let (old, new) = (&b.hub.switch.control, &again.hub.switch.control);
            assert_eq!(new.table_features(version), old.table_features(version));
        }
        let (old, new) = (&b.hub.switch.control, &again.hub.switch.control);
        assert_eq!(new.table_features(Version::V13).len(), 3);
        assert_eq!(new.miss_configs(), old.miss_configs());
        assert_eq!(new.miss_configs().len(), 3);
        assert_eq!(new.table_configs(), old.table_configs());
        assert_eq!(new.table_configs()[1].0, TableConfig::MISS_DROP);
        assert_eq!(lines(&mut again), before);
        // And they bind again.
        let c = again.connect(Version::V13);
        let mut flow = add(6, FlowModFlags::empty());
        flow.table = TableId(1);
        flow.instructions = vec![Instruction::WriteActions(vec![Action::output(PortNo(1))])];
        again.say(c, Version::V13, 1, &Message::FlowMod(flow));
        assert!(matches!(again.hear(c)[..], [(_, Message::Error(_))]));
        // What the switch can't do, a file can't make it do.
        let text = fs::read_to_string(&path).unwrap();
        let bad = r#"{"miss":{"table":254,"config":1}}"#;
        for (line, with) in [(r#"{"miss":{"table":0,"config":1}}"#, bad), ("0612", "0499")] {
            assert!(text.contains(line), "{text}");
            fs::write(&path, text.replacen(line, with, 1)).unwrap();
            let mut third = Bench::of(1000);
            assert!(restore(&mut third.hub.switch, NOW, &path).is_err());
            assert_eq!(lines(&mut third), []);
        }
    }

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        let before = lines(&mut b);
        save(&mut b.hub.switch, NOW, &path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (head, read) in [(2, true), (3, true), (1, false), (4, false)] {
            fs::write(&path, text.replacen(HEAD, &format!("{{\"switchd_state\":{head}}}"), 1)).unwrap();
            let mut again = Bench::of(1000);
            assert_eq!(restore(&mut again.hub.switch, NOW, &path).is_ok(), read, "{head}");
            // All but the port, which is there already.
            assert_eq!(lines(&mut again).len(), if read { before.len() - 1 } else { 0 });
        }
    }

    #[test]
    fn half_a_snapshot_is_none_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        save(&mut b.hub.switch, NOW, &path).unwrap();
        let whole = fs::read(&path).unwrap();
        let cuts = (0..whole.len()).step_by(997).chain(whole.len() - 30..whole.len());
        for cut in cuts {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Bench::of(1000);
            assert!(restore(&mut again.hub.switch, NOW, &path).is_err(), "cut at {cut} of {}", whole.len());
            assert_eq!(lines(&mut again), []);
        }
        // A table too small for it.
        fs::write(&path, &whole).unwrap();
        let mut small = Bench::of(8);
        assert!(matches!(restore(&mut small.hub.switch, NOW, &path), Err(SnapshotError::Refused { .. })));
        assert_eq!(lines(&mut small), []);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        save(&mut b.hub.switch, NOW, &path).unwrap();
        let old = fs::read(&path).unwrap();
        // In the way of the file that is to be written first.
        fs::create_dir(dir.path().join("br0.new")).unwrap();
        assert!(save(&mut b.hub.switch, NOW, &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), old);
    }

    #[test]
    fn a_snapshot_under_way_shows_the_moment_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        let before = lines(&mut b);
        let (tell, told) = std::sync::mpsc::channel();
        b.hub.switch.config.state = Some(path.clone());
        b.hub.switch.begin_save(Box::new(move |done| tell.send(done).unwrap()));
        // Another one meanwhile has to wait.
        let (busy, heard) = std::sync::mpsc::channel();
        b.hub.switch.begin_save(Box::new(move |done| busy.send(done).unwrap()));
        assert!(matches!(heard.recv().unwrap(), Err(SnapshotError::Busy)));
        // Everything is deleted before the first flow is taken.
        let c = b.connect(TERMS);
        let delete =
            FlowMod { command: ofproto::flow::FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
        b.say(c, TERMS, 1, &Message::FlowMod(delete));
        for _ in 0..1_000_000 {
            b.turn();
            if let Ok(done) = told.try_recv() {
                assert_eq!(done.unwrap(), before.len());
                break;
            }
            std::thread::yield_now();
        }
        b.hear(c);
        assert_eq!(b.flows_count(c), 0);
        let mut again = Bench::of(1000);
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(before.len()));
        again.hub.switch.port_event(NOW, PortEvent::Removed(PortNo(2)));
        again.hub.switch.port_event(NOW, PortEvent::Added(port(2)));
        assert_eq!(lines(&mut again), before);
    }

    #[test]
    fn an_end_in_the_middle_of_a_snapshot_writes_the_end_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        b.hub.switch.config.state = Some(path.clone());
        let (tell, told) = std::sync::mpsc::channel();
        b.hub.switch.begin_save(Box::new(move |done| tell.send(done).unwrap()));
        b.hub.switch.ending(NOW);
        assert!(matches!(told.recv().unwrap(), Err(SnapshotError::GivenUp)));
        let mut again = Bench::of(1000);
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(308));
        assert!(!dir.path().join("br0.new").exists());
    }
}
