//! Flows, groups and meters on disk, so that a restart begins where the last run ended.
//!
//! A file of lines: a head, then one message in JSON each, meters and groups before what uses them, then a
//! tail with their number. It is written beside the old one and takes its name when it is safely on
//! disk: whatever happens meanwhile, one whole snapshot is there. Counters begin anew, timeouts too.

use super::switch::{Packets, Switch};
use crate::session::ConnId;
use crate::session::host::Host;
use datapath::clock::Time;
use datapath::control::DumpId;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId};
use ofproto::message::Message;
use ofproto::meter::{MeterMod, MeterModCommand};
use ofproto::stats::FlowStatsRequest;
use ofproto::{OfError, Version, json};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// In whose terms everything is written.
const TERMS: Version = Version::V15;

/// The first line; another form gets another number.
const HEAD: &str = r#"{"switchd_state":1}"#;

/// Longest line that is read: more than the longest message needs.
const LINE: u64 = 16 << 20;

/// Flows taken at a time.
const STEP: usize = 1024;

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
}

fn message_of<P: Packets>(s: &mut Switch<P>, now: Time) -> Result<Vec<Message>, OfError> {
    let mut messages = Vec::new();
    for m in s.control.meter_config(MeterId::ALL)? {
        let command = MeterModCommand::Add;
        messages.push(Message::MeterMod(MeterMod { command, flags: m.flags, meter: m.meter, bands: m.bands }));
    }
    let groups = s.control.group_desc(GroupId::ALL)?;
    // First all of them without anything in them, because they may name each other in any order.
    for g in &groups {
        let buckets = match g.ty {
            GroupType::Indirect => vec![Bucket { id: None, ..Bucket::new(Vec::new()) }],
            _ => Vec::new(),
        };
        messages.push(Message::GroupMod(GroupMod {
            command: GroupModCommand::Add,
            ty: g.ty,
            group: g.group,
            command_bucket: BucketId::ALL,
            buckets,
            properties: Vec::new(),
        }));
    }
    for g in groups {
        messages.push(Message::GroupMod(GroupMod {
            command: GroupModCommand::Modify,
            ty: g.ty,
            group: g.group,
            command_bucket: BucketId::ALL,
            buckets: g.buckets,
            properties: g.properties,
        }));
    }
    let dump: DumpId = s.control.flow_stats(&FlowStatsRequest::default(), TERMS)?;
    loop {
        let (flows, last) = s.control.next_flows(dump, STEP, now);
        messages.extend(flows.into_iter().map(|f| {
            Message::FlowMod(FlowMod {
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
            })
        }));
        if last {
            return Ok(messages);
        }
    }
}

/// Writes everything to `path`: how many messages.
///
/// # Errors
/// [`SnapshotError`]; the old snapshot is then still there.
pub fn save<P: Packets>(s: &mut Switch<P>, now: Time, path: &Path) -> Result<usize, SnapshotError> {
    let messages = message_of(s, now).map_err(SnapshotError::State)?;
    let new = path.with_extension("new");
    let failed = |source| SnapshotError::Io { path: path.to_owned(), source };
    write(&new, &messages).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    // The name, too, has to be on disk.
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|d| d.sync_all()).map_err(failed)?;
    }
    Ok(messages.len())
}

fn write(path: &Path, messages: &[Message]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "{HEAD}")?;
    for message in messages {
        writeln!(file, "{}", json::to_value(message))?;
    }
    writeln!(file, "{}", tail(messages.len()))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn tail(messages: usize) -> String {
    format!(r#"{{"messages":{messages}}}"#)
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
    let messages = read(path, file)?;
    let owner = ConnId(0);
    match s.commit(now, TERMS, owner, &messages) {
        Ok(()) => Ok(Some(messages.len())),
        Err((at, error)) => Err(SnapshotError::Refused { path: path.to_owned(), line: at + 2, error }),
    }
}

fn read(path: &Path, file: File) -> Result<Vec<Message>, SnapshotError> {
    let content = |line, reason: String| SnapshotError::Content { path: path.to_owned(), line, reason };
    let mut reader = BufReader::new(file);
    let mut messages = Vec::new();
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
            if one != HEAD {
                return Err(content(line, format!("no snapshot: it begins with something else than {HEAD}")));
            }
            continue;
        }
        if one == tail(messages.len()) {
            return Ok(messages);
        }
        let value = serde_json::from_str(one).map_err(|e| content(line, e.to_string()))?;
        let message = json::from_value(&value).map_err(|e| content(line, e.to_string()))?;
        match message {
            Message::FlowMod(_) | Message::GroupMod(_) | Message::MeterMod(_) => messages.push(message),
            other => {
                let name = crate::session::message_name(&other);
                return Err(content(line, format!("{name} is nothing that a snapshot holds")));
            }
        }
    }
    unreachable!("a file ends before all numbers are counted")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, add, group};
    use super::*;
    use ofproto::action::Action;
    use ofproto::group::GroupModCommand;
    use ofproto::ids::TableId;
    use ofproto::instruction::Instruction;
    use ofproto::meter::{Band, BandAction, MeterFlags};

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
        let out = b.hear(c);
        assert_eq!(out, []);
        b
    }

    #[test]
    fn what_was_there_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.state");
        let mut b = filled();
        let before = message_of(&mut b.hub.switch, NOW).unwrap();
        let saved = save(&mut b.hub.switch, NOW, &path).unwrap();
        assert_eq!(saved, 1 + 2 * 2 + 300);
        let mut again = Bench::of(1000);
        assert_eq!(restore(&mut again.hub.switch, NOW, &path).unwrap(), Some(saved));
        assert_eq!(message_of(&mut again.hub.switch, NOW).unwrap(), before);
        assert_eq!(restore(&mut again.hub.switch, NOW, &dir.path().join("none")).unwrap(), None);
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
            assert_eq!(message_of(&mut again.hub.switch, NOW).unwrap(), []);
        }
        // A table too small for it.
        fs::write(&path, &whole).unwrap();
        let mut small = Bench::of(8);
        assert!(matches!(restore(&mut small.hub.switch, NOW, &path), Err(SnapshotError::Refused { .. })));
        assert_eq!(message_of(&mut small.hub.switch, NOW).unwrap(), []);
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
}
