//! The controllers that are dialled, which may be others at any time.
//!
//! Invariants: one task for each; whoever stays in the list keeps its connection; the bridge hears of a new list after
//! the tasks of those that left have ended, so that nothing new comes of them, and before new ones begin, so that it is
//! ready for whom they meet. Shared by clones; lists are taken one after the other.

use super::tls::TlsFiles;
use super::{DialStatus, dial, standing_of, without_tls};
use crate::bridge::{Event, Handle};
use crate::config::{ControllerSpec, Target};
use std::io;
use std::sync::{Arc, Mutex as StdMutex};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Most controllers of a bridge that are taken at run time.
pub const MOST_CONTROLLERS: usize = 64;

/// Who dials a bridge's controllers.
#[derive(Clone, Debug)]
pub struct Dialler {
    list: Arc<Mutex<List>>,
}

#[derive(Debug)]
struct List {
    dials: Vec<Dial>,
    bridge: Handle,
    tls: Option<Arc<TlsFiles>>,
    in_band: bool,
    ended: bool,
}

#[derive(Debug)]
struct Dial {
    spec: ControllerSpec,
    status: Arc<StdMutex<DialStatus>>,
    /// The one that dials; ended with it.
    task: JoinSet<()>,
}

impl Dialler {
    /// One that dials nobody yet.
    pub(super) fn new(bridge: Handle, tls: Option<Arc<TlsFiles>>, in_band: bool) -> Self {
        let list = List { dials: Vec::new(), bridge, tls, in_band, ended: false };
        Self { list: Arc::new(Mutex::new(list)) }
    }

    /// The controllers are these from now on; call within a runtime.
    ///
    /// # Errors
    /// One can't be dialled as things are configured; everything is then as it was.
    pub async fn replace(&self, specs: &[ControllerSpec]) -> io::Result<()> {
        self.list.lock().await.take(specs).await
    }

    /// Ends all of it; returns when the tasks have ended.
    pub(super) async fn stop(&self) {
        let mut list = self.list.lock().await;
        list.ended = true;
        for mut dial in std::mem::take(&mut list.dials) {
            dial.task.shutdown().await;
        }
    }
}

impl List {
    async fn take(&mut self, specs: &[ControllerSpec]) -> io::Result<()> {
        if self.ended {
            return Err(io::Error::other("the bridge ends"));
        }
        if specs.len() > MOST_CONTROLLERS {
            return Err(io::Error::other(format!("{} controllers; {MOST_CONTROLLERS} at most", specs.len())));
        }
        for (i, spec) in specs.iter().enumerate() {
            if specs[..i].iter().any(|other| other.target == spec.target) {
                return Err(io::Error::other(format!("{} is named twice", spec.target)));
            }
            can_be_dialled(spec, self.tls.is_some(), self.in_band)?;
        }
        let (stay, leave): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.dials).into_iter().partition(|d| specs.contains(&d.spec));
        self.dials = stay;
        let mut left = Vec::new();
        for mut dial in leave {
            dial.task.shutdown().await;
            left.push(dial.spec.target.to_string());
        }
        // Before others are dialled: one that comes again with other options is another one. A bridge that has
        // stopped needs to hear nothing.
        let _ = self.bridge.send(Event::Undialled(left)).await;
        let stayed = self.dials.len();
        for spec in specs {
            if !self.dials.iter().any(|d| d.spec == *spec) {
                self.dials.push(Dial::new(spec.clone()));
            }
        }
        let mut dials: Vec<_> = self.dials.iter().map(|d| Arc::clone(&d.status)).collect();
        dials.sort_by_key(|d| specs.iter().position(|s| *s == standing_of(d).controller));
        let in_band =
            if self.in_band { specs.iter().filter_map(ControllerSpec::in_band).collect() } else { Vec::new() };
        let _ = self.bridge.send(Event::Dials { dials, in_band }).await;
        let (bridge, tls) = (&self.bridge, &self.tls);
        for dial in self.dials.iter_mut().skip(stayed) {
            let status = Arc::clone(&dial.status);
            dial.task.spawn(dial::keep(dial.spec.clone(), self.in_band, bridge.clone(), tls.clone(), status));
        }
        Ok(())
    }
}

impl Dial {
    /// One that doesn't dial yet.
    fn new(spec: ControllerSpec) -> Self {
        let status = DialStatus { controller: spec.clone(), connected: false, attempts: 0, last_error: None };
        Self { spec, status: Arc::new(StdMutex::new(status)), task: JoinSet::new() }
    }
}

/// Whether a controller can be dialled at all, by what a bridge has for it.
///
/// # Errors
/// What it lacks.
pub fn can_be_dialled(spec: &ControllerSpec, tls: bool, in_band: bool) -> io::Result<()> {
    if matches!(spec.target, Target::Tls(_)) && !tls {
        return Err(without_tls(&spec.target));
    }
    if in_band { spec.check_in_band().map_err(io::Error::other) } else { Ok(()) }
}
