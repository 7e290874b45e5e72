//! The controllers that are dialled, which may be others at any time.
//!
//! Invariants: one task for each; whoever stays in the list keeps its connection; the bridge hears of a new list after
//! the tasks of those that left have ended, so that nothing new comes of them. Shared by clones; lists
//! are taken one after the other.

use super::tls::TlsFiles;
use super::{DialStatus, dial, without_tls};
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

    /// The controllers are others from now on; call within a runtime.
    ///
    /// # Errors
    /// One can't be dialled as things are configured; everything is then as it was.
    pub async fn replace(&self, specs: &[ControllerSpec]) -> io::Result<()> {
        let mut list = self.list.lock().await;
        if list.in_band {
            return Err(io::Error::other("in-band control needs the controllers that it began with"));
        }
        list.take(specs).await
    }

    /// The first ones.
    pub(super) async fn begin(&self, specs: &[ControllerSpec]) -> io::Result<()> {
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
            if matches!(spec.target, Target::Tls(_)) && self.tls.is_none() {
                return Err(without_tls(&spec.target));
            }
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
        for spec in specs {
            if !self.dials.iter().any(|d| d.spec == *spec) {
                let dial = self.dial(spec.clone());
                self.dials.push(dial);
            }
        }
        self.dials.sort_by_key(|d| specs.iter().position(|s| *s == d.spec));
        let dials = self.dials.iter().map(|d| Arc::clone(&d.status)).collect();
        let _ = self.bridge.send(Event::Dials(dials)).await;
        Ok(())
    }

    fn dial(&self, spec: ControllerSpec) -> Dial {
        let target = spec.target.to_string();
        let status = DialStatus { target, connected: false, attempts: 0, last_error: None };
        let status = Arc::new(StdMutex::new(status));
        let dialling =
            dial::keep(spec.clone(), self.in_band, self.bridge.clone(), self.tls.clone(), Arc::clone(&status));
        let mut task = JoinSet::new();
        task.spawn(dialling);
        Dial { spec, status, task }
    }
}
