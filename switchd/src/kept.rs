//! What management changed of a bridge while it ran, on disk beside the snapshot, so that a restart finds it again: ports
//! and queues that were added, the controllers, the fail mode.
//!
//! Written at every change, beside the old file and renamed when it is on disk, so that one whole file is there
//! whatever happens.
//!
//! Where the configuration has something to say as well, the later word counts: controllers and a fail mode that were set
//! while it ran hold as long as the configuration says what it said then; when that was changed since, they are dropped.
//! Ports and queues of the configuration aren't kept: taken away by management, they come again, too.
//!
//! Thread-safety: any thread may note a change; the newest list is written, by one thread at a time.

use crate::config::{BridgeConfig, ControllerSpec, FailMode, PortSpec, QueueSpec};
use ofproto::ids::{PortNo, QueueId};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was set in place of what the configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instead<T> {
    /// What was set.
    pub set: T,
    /// What the configuration said then.
    pub configured: T,
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Ports, with the numbers that they got.
    pub ports: Vec<PortSpec>,
    /// Queues, with their ports' numbers; of ports of the configuration, too.
    pub queues: Vec<QueueSpec>,
    /// Controllers, if others than the configuration's.
    pub controllers: Option<Instead<Vec<ControllerSpec>>>,
    /// The fail mode, if another one than the configuration's.
    pub fail_mode: Option<Instead<FailMode>>,
}

/// How it is written: as it is said on the command line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    ports: Vec<String>,
    queues: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    controllers: Option<WrittenInstead<Vec<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fail_mode: Option<WrittenInstead<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInstead<T> {
    set: T,
    configured: T,
}

/// What the configuration says of that which can be set instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Whom to dial.
    pub controllers: Vec<ControllerSpec>,
    /// The fail mode.
    pub fail_mode: FailMode,
}

impl From<&BridgeConfig> for Configured {
    fn from(config: &BridgeConfig) -> Self {
        Self { controllers: config.controllers.clone(), fail_mode: config.fail_mode }
    }
}

fn parsed<T: std::str::FromStr<Err = String>>(list: &[String]) -> Result<Vec<T>, String> {
    list.iter().map(|s| s.parse()).collect()
}

fn shown<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

impl<T> Instead<T> {
    fn try_from<U>(written: WrittenInstead<U>, read: impl Fn(U) -> Result<T, String>) -> Result<Self, String> {
        Ok(Self { set: read(written.set)?, configured: read(written.configured)? })
    }

    fn write<U>(&self, show: impl Fn(&T) -> U) -> WrittenInstead<U> {
        WrittenInstead { set: show(&self.set), configured: show(&self.configured) }
    }
}

impl<T: PartialEq> Instead<T> {
    fn of(set: T, configured: T) -> Option<Self> {
        (set != configured).then_some(Self { set, configured })
    }
}

impl List {
    fn read(text: &str) -> Result<Self, String> {
        let Written { ports, queues, controllers, fail_mode } =
            serde_json::from_str(text).map_err(|e| e.to_string())?;
        Ok(Self {
            ports: parsed(&ports)?,
            queues: parsed(&queues)?,
            controllers: controllers.map(|c| Instead::try_from(c, |list| parsed(&list))).transpose()?,
            fail_mode: fail_mode.map(|m| Instead::try_from(m, |mode| mode.parse())).transpose()?,
        })
    }

    fn write(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(&Written {
            ports: shown(&self.ports),
            queues: shown(&self.queues),
            controllers: self.controllers.as_ref().map(|c| c.write(|list| shown(list))),
            fail_mode: self.fail_mode.as_ref().map(|m| m.write(|mode| mode.name().to_owned())),
        })?)
    }

    /// Drops what was set instead of something that the configuration doesn't say any more: whether there was any.
    fn heed(&mut self, configured: &Configured, path: &Path) -> bool {
        let (controllers, fail_mode) = (self.controllers.is_some(), self.fail_mode.is_some());
        let path = path.display();
        if let Some(c) = self.controllers.take_if(|c| c.configured != configured.controllers) {
            let dropped = shown(&c.set).join(" ");
            tracing::warn!(%path, dropped, "the configuration names other controllers than when these were set: it counts");
        }
        if let Some(m) = self.fail_mode.take_if(|m| m.configured != configured.fail_mode) {
            let dropped = m.set.name();
            tracing::warn!(%path, dropped, "the configuration has another fail mode than when this was set: it counts");
        }
        (controllers, fail_mode) != (self.controllers.is_some(), self.fail_mode.is_some())
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
    /// These controllers are dialled.
    Controllers(Vec<ControllerSpec>),
    /// The fail mode is this.
    FailMode(FailMode),
}

impl List {
    fn note(&mut self, change: Change, configured: &Configured) {
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
            Change::Controllers(set) => self.controllers = Instead::of(set, configured.controllers.clone()),
            Change::FailMode(set) => self.fail_mode = Instead::of(set, configured.fail_mode),
        }
    }
}

/// The list of one bridge; cheap to clone.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `None`: nothing is kept.
    path: Option<Arc<PathBuf>>,
    configured: Arc<Configured>,
    list: Arc<Mutex<List>>,
    writing: Arc<Mutex<()>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// A list that is kept nowhere.
    pub fn nowhere(configured: Configured) -> Self {
        Self {
            path: None,
            configured: Arc::new(configured),
            list: Arc::default(),
            writing: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// What is kept at `path`. A file that can't be read is put aside, as `.bad`.
    pub fn open(path: PathBuf, configured: Configured) -> Self {
        let read = match fs::read_to_string(&path) {
            Ok(text) => List::read(&text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(List::default()),
            Err(e) => Err(e.to_string()),
        };
        let mut list = read.unwrap_or_else(|e| {
            tracing::error!(path = %path.display(), error = e, "what was changed while it ran can't be restored");
            // Whatever it holds: the next change would be written over it.
            if let Err(e) = fs::rename(&path, path.with_extension("changes.bad")) {
                tracing::warn!(path = %path.display(), error = %e, "can't put it aside");
            }
            List::default()
        });
        let dropped = list.heed(&configured, &path);
        let kept = Self { path: Some(Arc::new(path)), list: Arc::new(Mutex::new(list)), ..Self::nowhere(configured) };
        // Or it would come again with the configuration that it was set against.
        if dropped && let Err(e) = kept.save() {
            tracing::warn!(error = %e, "what was dropped may come again");
        }
        kept
    }

    /// The list.
    pub fn list(&self) -> List {
        lock(&self.list).clone()
    }

    /// Whom to dial: who was set, else who is configured.
    pub fn controllers(&self) -> Vec<ControllerSpec> {
        let set = lock(&self.list).controllers.as_ref().map(|c| c.set.clone());
        set.unwrap_or_else(|| self.configured.controllers.clone())
    }

    /// The fail mode: the one that was set, else the configured one.
    pub fn fail_mode(&self) -> FailMode {
        lock(&self.list).fail_mode.as_ref().map_or(self.configured.fail_mode, |m| m.set)
    }

    /// Waits for changes under way that have several steps: held from the change to its note, they are noted in the
    /// order in which they are carried out.
    pub async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Notes a change; [`save`](Self::save) writes it.
    pub fn note(&self, change: Change) {
        if self.path.is_some() {
            lock(&self.list).note(change, &self.configured);
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
        let new = path.with_extension("changes.new");
        let written = write(&new, path, &text);
        if written.is_err() {
            // A full disk has no room for half a file; it may not even be there.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

fn write(new: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)?;
    // The name, too, has to be on disk.
    path.parent().map_or(Ok(()), |dir: &Path| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> Configured {
        Configured { controllers: vec!["tcp:10.0.0.1".parse().unwrap()], fail_mode: FailMode::Secure }
    }

    fn open(path: &Path) -> Kept {
        Kept::open(path.to_owned(), configured())
    }

    fn controllers(list: &[&str]) -> Vec<ControllerSpec> {
        list.iter().map(|s| s.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_added_comes_again_and_what_is_taken_away_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.changes");
        let kept = open(&path);
        assert_eq!(kept.list(), List::default());
        let port = |s: &str| s.parse::<PortSpec>().unwrap();
        let queue = |s: &str| s.parse::<QueueSpec>().unwrap();
        kept.note(Change::Port(port("eth1,workers=2"), PortNo(7)));
        kept.note(Change::Port(port("tap\"0,type=tap"), PortNo(8)));
        kept.note(Change::Queue(queue("eth1:1,max-rate=12.5%"), PortNo(7)));
        kept.note(Change::Queue(queue("7:1,min-rate=10M"), PortNo(7)));
        kept.note(Change::Queue(queue("2:1"), PortNo(2)));
        kept.save().unwrap();
        let again = open(&path);
        let expected = List {
            ports: vec![port("7=eth1,workers=2"), port("8=tap\"0,type=tap")],
            queues: vec![queue("7:1,min-rate=10M"), queue("2:1")],
            ..List::default()
        };
        assert_eq!(again.list(), expected);
        again.note(Change::NoPort(PortNo(7)));
        again.note(Change::NoQueue(PortNo(2), QueueId(1)));
        again.save().unwrap();
        assert_eq!(open(&path).list(), List { ports: vec![port("8=tap\"0,type=tap")], ..List::default() });
        let files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(files, ["br0.changes"]);
    }

    #[test]
    fn what_is_set_holds_until_the_configuration_says_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.changes");
        let kept = open(&path);
        assert_eq!((kept.controllers(), kept.fail_mode()), (configured().controllers, FailMode::Secure));
        let set = controllers(&["unix:/run/a,b", "tls:c0,name=x y,auxiliary=2"]);
        kept.note(Change::Controllers(set.clone()));
        kept.note(Change::FailMode(FailMode::Standalone));
        kept.save().unwrap();
        let again = open(&path);
        assert_eq!((again.controllers(), again.fail_mode()), (set.clone(), FailMode::Standalone));
        // Others are configured now, and the same mode.
        let others = Configured { controllers: controllers(&["tcp:10.0.0.2"]), fail_mode: FailMode::Secure };
        let other = Kept::open(path.clone(), others.clone());
        assert_eq!((other.controllers(), other.fail_mode()), (others.controllers, FailMode::Standalone));
        assert_eq!(open(&path).controllers(), configured().controllers, "dropped for good");
        let standalone = Configured { fail_mode: FailMode::Standalone, ..configured() };
        assert_eq!(Kept::open(path.clone(), standalone).fail_mode(), FailMode::Standalone);
        assert_eq!(open(&path).fail_mode(), FailMode::Secure, "this too");
        // Nobody at all is a choice; what the configuration says anyway is none.
        again.note(Change::Controllers(Vec::new()));
        again.save().unwrap();
        assert_eq!(open(&path).controllers(), []);
        again.note(Change::Controllers(configured().controllers));
        again.note(Change::FailMode(FailMode::Secure));
        again.save().unwrap();
        assert_eq!(open(&path).list(), List::default());
    }

    #[test]
    fn a_broken_file_is_put_aside_and_nothing_is_kept_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.changes");
        for text in [
            &b"{"[..],
            b"{\"ports\":[\"0=x\"],\"queues\":[]}",
            b"{\"ports\":[]}",
            b"[]",
            b"\xff\xfe no text",
            b"{\"ports\":[],\"queues\":[],\"fail_mode\":{\"set\":\"x\",\"configured\":\"secure\"}}",
            b"{\"ports\":[],\"queues\":[],\"controllers\":{\"set\":[\"tcp:\"],\"configured\":[]}}",
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(open(&path).list(), List::default());
            assert_eq!(fs::read(path.with_extension("changes.bad")).unwrap(), text);
            assert!(!path.exists());
        }
        // Where it can't be written nothing half is left.
        let kept = open(&path);
        fs::create_dir(&path).unwrap();
        assert!(kept.save().is_err());
        assert!(!path.with_extension("changes.new").exists());
        let none = Kept::nowhere(configured());
        none.note(Change::Controllers(Vec::new()));
        none.save().unwrap();
        assert_eq!(none.controllers(), configured().controllers);
    }
}
