//! What outlasts a restart, on disk: flows, groups, meters, and the configuration of tables and ports.
//!
//! A file of lines: a head, then one message each, what tables can do first, meters and groups before what uses
//! them, then the configuration of tables and ports, then a tail with the number of lines. A message is an OpenFlow
//! 1.5 message in hexadecimal, which is quick and short (`ofctl decode` reads it), or JSON where 1.5's wire can't
//! say all of it. It is written beside the old one by a thread of its own (`saving`) and takes its
//! name when it is safely on disk: whatever happens meanwhile, one whole snapshot is there, and it shows one moment.
//!
//! Counters begin anew, because they count what this run did; so do timeouts, because nobody knows what the
//! time was worth while the switch stood still. What a restart makes anew by itself (connections,
//! and what is a connection's own: roles, flow monitors, bundles, the switch configuration) isn't kept. Ports are
//! known by their interfaces' names; those that were added at run time, and their queues, are kept beside
//! ([`kept`](crate::kept)).

mod line;
#[cfg(test)]
mod tests;

use super::switch::{Packets, Switch, carry_out};
use datapath::clock::Time;
use datapath::control::Control;
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, GroupId, MeterId};
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::meter::{MeterMod, MeterModCommand};
use ofproto::table::{TableConfig, TableMod, TableModProp};
use ofproto::{OfError, Version};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use line::Line;

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
    // What led to a table that left the pipeline stays, though it couldn't come any more: tables leave last.
    let (leave, other): (Vec<_>, Vec<_>) = lines.iter().enumerate().partition(|(_, line)| takes_tables_out(line));
    let committed = s.control.transaction(now, |control| {
        let take = |(at, line): (usize, &Line)| take_up(control, line, now).map_err(|error| (at, error));
        other.into_iter().chain(leave).try_for_each(take)
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

/// Whether a line takes tables out of the pipeline and does nothing else.
fn takes_tables_out(line: &Line) -> bool {
    /// `OFPTFC_DISABLE`
    const DISABLE: u8 = 3;
    let Line::Message(Message::MultipartRequest(Multipart { body: MultipartRequest::TableFeatures(request), .. })) =
        line
    else {
        return false;
    };
    request.first().is_some_and(|f| f.command == DISABLE)
}

/// Makes of the control what one line says, as far as it is the control's.
fn take_up(control: &mut Control, line: &Line, now: Time) -> Result<(), OfError> {
    match line {
        Line::Message(Message::MultipartRequest(Multipart {
            body: MultipartRequest::TableFeatures(request), ..
        })) => control.restore_table_features(request, now),
        // None other is read.
        Line::Message(message) => carry_out(control, TERMS, message, now).unwrap_or(Ok(())),
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
