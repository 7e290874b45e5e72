//! Ports and queues that management added, on disk beside the snapshot: they come again after a restart, as those
//! of the configuration do.
//!
//! Written at every change, beside the old file and renamed when it is on disk, so that one whole file is there
//! whatever happens. What the configuration names isn't kept: taken away by management, it comes again, too.
//!
//! Thread-safety: any thread may note a change; the newest list is written, by one thread at a time.

use crate::config::{PortSpec, QueueSpec};
use ofproto::ids::{PortNo, QueueId};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Ports, with the numbers that they got.
    pub ports: Vec<PortSpec>,
    /// Queues, with their ports' numbers; of ports of the configuration, too.
    pub queues: Vec<QueueSpec>,
}

/// How it is written: as it is said on the command line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    ports: Vec<String>,
    queues: Vec<String>,
}

impl List {
    fn read(text: &str) -> Result<Self, String> {
        let Written { ports, queues } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self {
            ports: ports.iter().map(|s| s.parse()).collect::<Result<_, _>>()?,
            queues: queues.iter().map(|s| s.parse()).collect::<Result<_, _>>()?,
        })
    }

    fn write(&self) -> io::Result<String> {
        let ports = self.ports.iter().map(ToString::to_string).collect();
        let queues = self.queues.iter().map(ToString::to_string).collect();
        Ok(serde_json::to_string_pretty(&Written { ports, queues })?)
    }
}

/// A change.
#[derive(Debug)]
pub enum Change {
    /// A port was added, and got this number.
    Port(PortSpec, PortNo),
    /// A port was taken away, its queues with it.
    NoPort(PortNo),
    /// A queue was made, on this port.
    Queue(QueueSpec, PortNo),
    /// A queue was taken away.
    NoQueue(PortNo, QueueId),
}

impl List {
    fn note(&mut self, change: Change) {
        match change {
            Change::Port(spec, no) => {
                self.ports.retain(|p| p.number != Some(no));
                self.ports.push(PortSpec { number: Some(no), ..spec });
            }
            Change::NoPort(no) => {
                self.ports.retain(|p| p.number != Some(no));
                self.queues.retain(|q| q.port != no.0.to_string());
            }
            Change::Queue(spec, no) => {
                let port = no.0.to_string();
                self.queues.retain(|q| q.port != port || q.id != spec.id);
                self.queues.push(QueueSpec { port, ..spec });
            }
            Change::NoQueue(no, id) => self.queues.retain(|q| q.port != no.0.to_string() || q.id != id),
        }
    }
}

/// The list of one bridge; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// `None`: nothing is kept.
    path: Option<Arc<PathBuf>>,
    list: Arc<Mutex<List>>,
    writing: Arc<Mutex<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// What is kept at `path`. A file that can't be read is put aside, as `.bad`.
    pub fn open(path: PathBuf) -> Self {
        let list = match fs::read_to_string(&path) {
            Ok(text) => List::read(&text).unwrap_or_else(|e| {
                tracing::error!(path = %path.display(), error = e, "the ports that were added can't be restored");
                if let Err(e) = fs::rename(&path, path.with_extension("ports.bad")) {
                    tracing::warn!(path = %path.display(), error = %e, "can't put it aside");
                }
                List::default()
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => List::default(),
            Err(e) => {
                tracing::error!(path = %path.display(), error = %e, "the ports that were added can't be restored");
                List::default()
            }
        };
        Self { path: Some(Arc::new(path)), list: Arc::new(Mutex::new(list)), writing: Arc::default() }
    }

    /// The list.
    pub fn list(&self) -> List {
        lock(&self.list).clone()
    }

    /// Notes a change; [`save`](Self::save) writes it.
    pub fn note(&self, change: Change) {
        if self.path.is_some() {
            lock(&self.list).note(change);
        }
    }

    /// Writes the list as it is now. Blocks until it is on disk.
    ///
    /// # Errors
    /// It isn't; the old file is still there.
    pub fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let _one = lock(&self.writing);
        let text = self.list().write()?;
        let new = path.with_extension("ports.new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &**path)?;
        // The name, too, has to be on disk.
        path.parent().map_or(Ok(()), |dir: &Path| File::open(dir)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_comes_again_and_what_is_taken_away_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.ports");
        let kept = Kept::open(path.clone());
        assert_eq!(kept.list(), List::default());
        let port = |s: &str| s.parse::<PortSpec>().unwrap();
        let queue = |s: &str| s.parse::<QueueSpec>().unwrap();
        kept.note(Change::Port(port("eth1,workers=2"), PortNo(7)));
        kept.note(Change::Port(port("tap\"0,type=tap"), PortNo(8)));
        kept.note(Change::Queue(queue("eth1:1,max-rate=12.5%"), PortNo(7)));
        kept.note(Change::Queue(queue("7:1,min-rate=10M"), PortNo(7)));
        kept.note(Change::Queue(queue("2:1"), PortNo(2)));
        kept.save().unwrap();
        let again = Kept::open(path.clone());
        let expected = List {
            ports: vec![port("7=eth1,workers=2"), port("8=tap\"0,type=tap")],
            queues: vec![queue("7:1,min-rate=10M"), queue("2:1")],
        };
        assert_eq!(again.list(), expected);
        again.note(Change::NoPort(PortNo(7)));
        again.note(Change::NoQueue(PortNo(2), QueueId(1)));
        again.save().unwrap();
        assert_eq!(Kept::open(path).list(), List { ports: vec![port("8=tap\"0,type=tap")], queues: Vec::new() });
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(files, ["br0.ports"]);
    }

    #[test]
    fn a_broken_file_is_put_aside_and_nothing_is_kept_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.ports");
        for text in ["{", "{\"ports\":[\"0=x\"],\"queues\":[]}", "{\"ports\":[]}", "[]"] {
            fs::write(&path, text).unwrap();
            assert_eq!(Kept::open(path.clone()).list(), List::default());
            assert_eq!(fs::read_to_string(path.with_extension("ports.bad")).unwrap(), text);
            assert!(!path.exists());
        }
        let none = Kept::default();
        none.note(Change::NoPort(PortNo(1)));
        none.save().unwrap();
        assert_eq!(none.list(), List::default());
    }
}
