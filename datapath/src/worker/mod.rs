//! Worker threads: receive a burst, let the engine work on it, send what came of it.
//!
//! A worker owns the receive halves of its ports, one transmit half of every port, its buffers and
//! its engine; nothing is shared on the way of a frame. Everything else reaches it through a bounded
//! channel. Frames of one flow keep their order: they come in on one port, which one worker owns, or in
//! one of its parts, which one worker owns.
//!
//! A worker that finds nothing to do spins for a moment and then sleeps in `poll`, having told the
//! engine that it goes offline. A panic ends the engine, not the worker: a new engine is made and the
//! ports stay.

mod run;
pub mod tx;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded, unbounded};
use ofproto::ids::PortNo;

pub use self::tx::TxQueues;
use crate::clock::Time;
use crate::frame::Frame;
use crate::port::{LinkState, Port, PortError, PortRx, PortTx};
use crate::sys::Event;

/// What is done with frames. One engine per worker.
pub trait Engine: Send + 'static {
    /// Called once per round before any frames: the moment to adopt newly published state.
    fn begin_burst(&mut self, _now: Time) {}

    /// Works on frames from one port, in order, and pushes what is to be sent to `tx`. Frames left
    /// in `frames` are dropped. A frame kept beyond this call must be [detached](Frame::detach).
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time);

    /// Called once per round after everything was sent; no reference into published state is held.
    fn end_burst(&mut self, _now: Time) {}

    /// The worker is about to sleep, or to let others run: nobody needs to wait for it.
    fn offline(&mut self) {}

    /// The worker goes on.
    fn online(&mut self) {}
}

/// The worker's clock, read once per round.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Something happened to a port's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortEvent {
    /// The port.
    pub port: PortNo,
    /// What.
    pub kind: PortEventKind,
}

/// What happened to a port's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortEventKind {
    /// Its state changed. After `Gone` the worker keeps trying to open it again.
    Link(LinkState),
    /// Nothing will be received from it any more; the worker has let go of it.
    Closed,
}

/// Called on the worker's thread; must not block.
pub type EventSink = Arc<dyn Fn(PortEvent) + Send + Sync>;

/// Asks the scheduler to let the calling thread run promptly when it wakes up, beside threads that compute.
/// It asks for nice -10, unless started with another nice value, and for short slices: as much as the
/// privileges and the kernel (Linux 6.12 for slices) allow.
pub fn wake_promptly() {
    if let Err(e) = crate::sys::ask_to_run_promptly() {
        tracing::debug!(error = %e, "neither more weight nor short time slices");
    }
}

/// How a worker runs.
#[derive(Clone)]
pub struct WorkerConfig {
    /// The thread's name.
    pub name: String,
    /// Frames taken from a port at a time.
    pub burst: usize,
    /// How long to look for frames before going to sleep. More lowers latency and costs CPU.
    pub spin: Duration,
    /// The CPU to stay on.
    pub cpu: Option<usize>,
    /// The clock.
    pub clock: Clock,
    /// Who hears of port events.
    pub events: EventSink,
}

impl std::fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerConfig")
            .field("name", &self.name)
            .field("burst", &self.burst)
            .field("spin", &self.spin)
            .field("cpu", &self.cpu)
            .finish_non_exhaustive()
    }
}

impl WorkerConfig {
    /// Bursts of 32, a short spin, no pinning, events ignored.
    pub fn new(name: impl Into<String>, clock: Clock) -> Self {
        Self {
            name: name.into(),
            burst: 32,
            spin: Duration::from_micros(20),
            cpu: None,
            clock,
            events: Arc::new(|_| {}),
        }
    }
}

/// What a worker has counted; read at any time.
#[derive(Debug, Default)]
pub struct WorkerStats {
    rounds: AtomicU64,
    frames: AtomicU64,
    sleeps: AtomicU64,
    panics: AtomicU64,
    unknown_port: AtomicU64,
}

/// A reading of [`WorkerStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Rounds in which frames came.
    pub rounds: u64,
    /// Frames received.
    pub frames: u64,
    /// Times the worker went to sleep.
    pub sleeps: u64,
    /// Engines lost to a panic.
    pub panics: u64,
    /// Frames for ports that didn't exist.
    pub unknown_port_drops: u64,
}

impl WorkerStats {
    /// The current values.
    pub fn read(&self) -> WorkerCounters {
        WorkerCounters {
            rounds: self.rounds.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            sleeps: self.sleeps.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            unknown_port_drops: self.unknown_port.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a counter that only the caller's thread writes.
fn bump(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

type Task<E> = Box<dyn FnOnce(&mut E, &mut TxQueues, Time) + Send>;

enum Command<E> {
    AddRx(PortNo, Box<dyn PortRx>),
    RemoveRx(PortNo, Sender<Half>),
    AddTx(PortNo, Box<dyn PortTx>),
    RemoveTx(PortNo, Sender<Half>),
    Run(Task<E>),
}

/// What a worker lets go of goes back to whoever asked for it, to be closed there: the kernel takes tens of
/// milliseconds to end a socket with a ring, and the worker's other ports would wait.
enum Half {
    Rx(#[expect(dead_code, reason = "held to be dropped")] Box<dyn PortRx>),
    Tx(#[expect(dead_code, reason = "held to be dropped")] Box<dyn PortTx>),
}

/// The worker's thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker has stopped")]
pub struct Stopped;

/// How many commands may wait for a worker; more make the sender wait.
const COMMANDS: usize = 256;

#[derive(Debug)]
struct Wake {
    event: Event,
    pending: AtomicBool,
    /// The worker is to end once it has done what waits. Not a command: an engine that can't even start
    /// never gets to those.
    stop: AtomicBool,
}

impl Wake {
    fn signal(&self) {
        // Whoever set it before wakes the worker, if it hasn't yet, and the worker then finds all that was sent.
        if !self.pending.swap(true, Ordering::AcqRel) {
            self.event.signal();
        }
    }
}

/// A running worker. Dropping it stops the thread.
#[derive(Debug)]
pub struct Worker<E> {
    commands: Sender<Command<E>>,
    wake: Arc<Wake>,
    stats: Arc<WorkerStats>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Engine> Worker<E> {
    /// Starts a worker without ports. `engine` makes its engine, and another one after a panic; it
    /// runs on the worker's thread.
    ///
    /// # Errors
    /// Out of threads or descriptors.
    pub fn start(config: WorkerConfig, engine: impl FnMut() -> E + Send + 'static) -> io::Result<Self> {
        let (commands, receiver) = bounded(COMMANDS);
        let wake =
            Arc::new(Wake { event: Event::new()?, pending: AtomicBool::new(false), stop: AtomicBool::new(false) });
        let stats = Arc::<WorkerStats>::default();
        let state = run::State::new(config.clone(), receiver, Arc::clone(&wake), Arc::clone(&stats));
        let thread = std::thread::Builder::new().name(config.name).spawn(move || run::thread(state, engine))?;
        Ok(Self { commands, wake, stats, thread: Some(thread) })
    }

    fn send(&self, command: Command<E>) -> Result<(), Stopped> {
        self.commands.send(command).map_err(|_| Stopped)?;
        self.wake.signal();
        Ok(())
    }

    /// Gives the worker a port's receive half, or a part of it; it keeps those that it has.
    ///
    /// # Errors
    /// [`Stopped`]
    pub fn add_rx(&self, no: PortNo, rx: Box<dyn PortRx>) -> Result<(), Stopped> {
        self.send(Command::AddRx(no, rx))
    }

    /// Lets go of a port's receive half, or of all parts that the worker has.
    fn remove_rx(&self, no: PortNo, to: &Sender<Half>) -> Result<(), Stopped> {
        self.send(Command::RemoveRx(no, to.clone()))
    }

    /// Gives the worker a transmit half of a port.
    ///
    /// # Errors
    /// [`Stopped`]
    pub fn add_tx(&self, no: PortNo, tx: Box<dyn PortTx>) -> Result<(), Stopped> {
        self.send(Command::AddTx(no, tx))
    }

    /// Takes a port's transmit half away.
    fn remove_tx(&self, no: PortNo, to: &Sender<Half>) -> Result<(), Stopped> {
        self.send(Command::RemoveTx(no, to.clone()))
    }

    /// Runs something between two bursts on the worker's thread.
    ///
    /// # Errors
    /// [`Stopped`]
    pub fn run(&self, task: impl FnOnce(&mut E, &mut TxQueues, Time) + Send + 'static) -> Result<(), Stopped> {
        self.send(Command::Run(Box::new(task)))
    }

    /// Waits until the worker has done everything it was told before. Not to be called on a worker's
    /// own thread (from its engine or event sink), which would wait for itself.
    ///
    /// # Errors
    /// [`Stopped`]
    pub fn sync(&self) -> Result<(), Stopped> {
        let (done, wait) = bounded::<()>(1);
        self.run(move |_, _, _| drop(done))?;
        // The channel closes when the task ran, and also when the worker ended without running it.
        let _ = wait.recv();
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) { Err(Stopped) } else { Ok(()) }
    }

    /// What it has counted.
    pub fn counters(&self) -> WorkerCounters {
        self.stats.read()
    }
}

impl<E> Drop for Worker<E> {
    fn drop(&mut self) {
        self.wake.stop.store(true, Ordering::Release);
        self.wake.signal();
        if let Some(t) = self.thread.take() {
            // It catches panics itself; what is left to fail can't be helped here.
            let _ = t.join();
        }
    }
}

/// All workers of a datapath: spreads ports over them. Every worker can send to every port; each
/// port's receive half goes to the worker that has the fewest, each of its parts to another one.
#[derive(Debug)]
pub struct Workers<E> {
    workers: Vec<Worker<E>>,
    /// Transmit halves for whoever else sends.
    outside: Mutex<TxQueues>,
    /// Which workers receive from a port.
    placed: Mutex<HashMap<PortNo, Vec<usize>>>,
}

impl<E: Engine> Workers<E> {
    /// Manages `workers`, of which there must be at least one for ports to be received from.
    pub fn new(workers: Vec<Worker<E>>) -> Self {
        Self { workers, outside: Mutex::default(), placed: Mutex::default() }
    }

    /// The workers.
    pub fn all(&self) -> &[Worker<E>] {
        &self.workers
    }

    /// A transmit half of every port, for one thread that is no worker. No worker ever asks for it; a port
    /// that comes or goes waits for it.
    pub fn outside(&self) -> MutexGuard<'_, TxQueues> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a port's halves and hands them out. When this returns, all workers have them. Several threads may do
    /// so at once: what takes time is the kernel's part of opening, which goes on side by side.
    ///
    /// # Errors
    /// The port can't be opened (then nothing has changed), or a worker is gone.
    pub fn add_port(&self, no: PortNo, port: &dyn Port) -> Result<(), PortError> {
        let stopped = |e: Stopped| PortError::Io(io::Error::other(e));
        let busy = || PortError::Busy(port.name().to_owned());
        if self.workers.is_empty() || self.placed().contains_key(&no) {
            return Err(busy());
        }
        let parts = port.open_rx_parts(self.workers.len())?;
        let halves = self.workers.iter().map(|_| port.open_tx()).collect::<Result<Vec<_>, _>>()?;
        let outside = port.open_tx()?;
        let mut placed = self.placed();
        if placed.contains_key(&no) {
            return Err(busy());
        }
        self.outside().add_port(no, outside);
        for (worker, tx) in self.workers.iter().zip(halves) {
            worker.add_tx(no, tx).map_err(stopped)?;
        }
        for worker in &self.workers {
            worker.sync().map_err(stopped)?;
        }
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        order.sort_by_key(|i| placed.values().flatten().filter(|w| *w == i).count());
        // Nobody has more than one part unless there are more parts than workers.
        let takers: Vec<usize> = order.into_iter().cycle().take(parts.len()).collect();
        for (rx, i) in parts.into_iter().zip(&takers) {
            self.workers[*i].add_rx(no, rx).map_err(stopped)?;
        }
        placed.insert(no, takers);
        self.sync().map_err(stopped)
    }

    /// Takes a port from all workers. When this returns nobody holds a half of it.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn remove_port(&self, no: PortNo) -> Result<(), Stopped> {
        let (to, halves) = unbounded();
        let mut placed = self.placed();
        let takers = placed.remove(&no).unwrap_or_default();
        for worker in takers.iter().filter_map(|i| self.workers.get(*i)) {
            worker.remove_rx(no, &to)?;
        }
        self.sync()?;
        let outside = self.outside().take_port(no);
        for worker in &self.workers {
            worker.remove_tx(no, &to)?;
        }
        self.sync()?;
        // Closing is for the kernel: neither workers nor other ports wait for it.
        drop(placed);
        drop((outside, to));
        halves.iter().for_each(drop);
        Ok(())
    }

    fn placed(&self) -> MutexGuard<'_, HashMap<PortNo, Vec<usize>>> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every worker has done everything it was told before.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn sync(&self) -> Result<(), Stopped> {
        self.workers.iter().try_for_each(Worker::sync)
    }
}

#[cfg(test)]
mod tests;
