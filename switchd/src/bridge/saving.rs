//! A snapshot under way: the bridge's thread takes flows off the tables a few at a time, a thread of its own
//! writes them.
//!
//! The flows are those of the moment it began, however long it takes and whatever changes meanwhile: a dump
//! holds its version of the tables. Between two pieces the bridge serves everybody; where the disk is slow,
//! it waits for nothing and goes on when there is room.

use super::alone;
use super::snapshot::{self, Line, SnapshotError, TERMS};
use super::switch::{Packets, Switch};
use crossbeam::channel::{Receiver, Sender, bounded};
use datapath::clock::Time;
use datapath::control::DumpId;
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Flows of a piece.
const PIECE: usize = 256;
/// Pieces that may wait for the disk.
const PIECES: usize = 8;
/// How soon to look again while they do.
const WAIT: Duration = Duration::from_millis(1);

/// Hears what became of a snapshot: how many lines it has, or why there is none.
pub type Done = Box<dyn FnOnce(Result<usize, SnapshotError>) + Send>;

enum Piece {
    Flows(Vec<FlowDesc>),
    /// That was all; and what comes after the flows.
    End(Vec<Line>),
}

/// A snapshot under way.
pub struct Saving {
    dump: DumpId,
    last: Vec<Line>,
    /// `None` once everything is handed over.
    pieces: Option<Sender<Piece>>,
    writer: JoinHandle<()>,
    /// It is on disk, or never will be: the next one may begin.
    settled: Arc<AtomicBool>,
}

/// The pieces as lines, the first ones before them.
fn lines(first: Vec<Line>, pieces: &Receiver<Piece>) -> impl Iterator<Item = Result<Line, SnapshotError>> {
    let mut ended = false;
    let rest = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        Some(match pieces.recv() {
            Ok(Piece::Flows(flows)) => flows.into_iter().map(|f| Ok(Line::of_flow(f))).collect(),
            Ok(Piece::End(last)) => {
                ended = true;
                last.into_iter().map(Ok).collect()
            }
            Err(_) => {
                ended = true;
                vec![Err(SnapshotError::GivenUp)]
            }
        })
    });
    first.into_iter().map(Ok).chain(rest.flatten())
}

impl Saving {
    fn begin<P: Packets>(s: &mut Switch<P>, path: &Path, done: Done) -> Result<Self, (Done, SnapshotError)> {
        let (first, last) = match snapshot::around(s) {
            Ok(around) => around,
            Err(e) => return Err((done, SnapshotError::State(e))),
        };
        let dump = match s.control.flow_stats(&FlowStatsRequest::default(), TERMS) {
            Ok(dump) => dump,
            Err(e) => return Err((done, SnapshotError::State(e))),
        };
        let (pieces, receiver) = bounded(PIECES);
        let target = path.to_owned();
        // The thread takes it if there is one.
        let done = Arc::new(Mutex::new(Some(done)));
        let told = Arc::clone(&done);
        let take = |done: &Mutex<Option<Done>>| done.lock().unwrap_or_else(PoisonError::into_inner).take();
        let settled = Arc::new(AtomicBool::new(false));
        let settle = Arc::clone(&settled);
        let writer = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let written = snapshot::write(&target, lines(first, &receiver));
            // Before it is told: whoever hears it may ask for another one at once.
            settle.store(true, Ordering::Release);
            if let Some(done) = take(&told) {
                done(written);
            }
        });
        match writer {
            Ok(writer) => Ok(Self { dump, last, pieces: Some(pieces), writer, settled }),
            Err(source) => {
                s.control.end_dump(dump);
                let failed = SnapshotError::Io { path: path.to_owned(), source };
                Err((take(&done).unwrap_or_else(|| Box::new(|_| {})), failed))
            }
        }
    }

    /// Hands the next piece over, waiting for room.
    fn step<P: Packets>(&mut self, s: &mut Switch<P>, now: Time) {
        let Some(pieces) = &self.pieces else { return };
        let (mut flows, ended) = s.control.next_flows(self.dump, PIECE, now);
        if s.stands_alone() {
            // It comes with the configuration, and shouldn't outlast it.
            flows.retain(|f| !alone::is_own(f));
        }
        // A writer that failed has gone, and said so.
        let mut gone = pieces.send(Piece::Flows(flows)).is_err();
        if ended {
            gone |= pieces.send(Piece::End(std::mem::take(&mut self.last))).is_err();
        } else if gone {
            s.control.end_dump(self.dump);
        }
        if ended || gone {
            self.pieces = None;
        }
    }

    fn has_room(&self) -> bool {
        // The last piece comes with the end.
        self.pieces.as_ref().is_some_and(|p| p.len() + 1 < PIECES)
    }

    /// Waits for the writer.
    fn join(self) {
        drop(self.pieces);
        // A panic was logged where it happened.
        let _ = self.writer.join();
    }
}

impl<P: Packets> Switch<P> {
    /// Begins to write a snapshot where it is kept; `done` hears of its end.
    pub fn begin_save(&mut self, done: Done) {
        let Some(path) = self.config.state.clone() else { return };
        if self.saving.as_ref().is_some_and(|s| s.pieces.is_some() || !s.settled.load(Ordering::Acquire)) {
            return done(Err(SnapshotError::Busy));
        }
        match Saving::begin(self, &path, done) {
            Ok(saving) => self.saving = Some(saving),
            Err((done, e)) => done(Err(e)),
        }
    }

    /// Goes on with a snapshot under way, without waiting.
    pub(super) fn go_on_saving(&mut self, now: Time) {
        if let Some(mut saving) = self.saving.take() {
            if saving.has_room() {
                saving.step(self, now);
            }
            if saving.pieces.is_some() || !saving.writer.is_finished() {
                self.saving = Some(saving);
            }
        }
    }

    /// When to go on.
    pub(super) fn saving_due(&self, now: Time) -> Option<Time> {
        let saving = self.saving.as_ref().filter(|s| s.pieces.is_some())?;
        Some(if saving.has_room() { now } else { now + WAIT })
    }

    /// Gives up a snapshot under way.
    pub(super) fn give_up_saving(&mut self) {
        if let Some(saving) = self.saving.take() {
            if saving.pieces.is_some() {
                self.control.end_dump(saving.dump);
            }
            saving.join();
        }
    }
}

/// Writes everything to `path`, and returns when it is there: how many lines.
///
/// # Errors
/// [`SnapshotError`]; the old snapshot is then still there.
pub fn save<P: Packets>(s: &mut Switch<P>, now: Time, path: &Path) -> Result<usize, SnapshotError> {
    let (tell, told) = bounded(1);
    // Nobody but this function hears it, and it waits.
    let done = Box::new(move |written| drop(tell.send(written)));
    let mut saving = Saving::begin(s, path, done).map_err(|(_, e)| e)?;
    while saving.pieces.is_some() {
        saving.step(s, now);
    }
    saving.join();
    told.recv().unwrap_or(Err(SnapshotError::GivenUp))
}
