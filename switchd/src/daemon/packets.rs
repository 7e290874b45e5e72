//! A bridge's workers: started here, reached from the bridge's thread through [`Packets`].

use crate::bridge::switch::{OutPacket, Packets, Way};
use crate::ports::PortControl;
use crate::ports::manager::Backends;
use crossbeam::channel::Receiver;
use datapath::control::Control;
use datapath::engine::counter::Writer;
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, Source};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::pipeline::Start;
use datapath::port::{PortCounters, QueueCounters};
use datapath::publish::{Reader, Snapshot};
use datapath::trace::Trace;
use datapath::worker::{Clock, TxQueues, Worker, WorkerConfig, WorkerCounters, Workers};
use ofproto::ids::{PortNo, QueueId};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A worker's view of the published state, which outlives an engine that panics: control made it once,
/// and the next engine takes it over.
pub(super) struct Lent {
    reader: Option<Reader>,
    home: Arc<Mutex<Option<Reader>>>,
}

impl Lent {
    /// Takes the view from its home. `None` if it is out.
    fn take(home: &Arc<Mutex<Option<Reader>>>) -> Option<Self> {
        let reader = home.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Self { reader: Some(reader), home: Arc::clone(home) })
    }

    fn reader(&mut self) -> &mut Reader {
        // It is `None` only while being dropped, when nobody can call.
        self.reader.as_mut().unwrap_or_else(|| unreachable!("a view in use is there"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            reader.offline();
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        }
    }
}

impl Source for Lent {
    type View<'r> = Snapshot<'r>;

    fn writer(&mut self) -> Writer {
        self.reader().adopt().writer()
    }

    #[inline]
    fn adopt(&mut self) -> Snapshot<'_> {
        self.reader().adopt()
    }

    fn offline(&mut self) {
        self.reader().offline();
    }

    fn online(&mut self) {
        self.reader().online();
    }
}

/// The engine of every worker.
pub(super) type Engine = PipelineEngine<Lent>;

/// How many workers, and where.
pub(super) struct Crew<'a> {
    pub(super) count: usize,
    /// CPUs that they are pinned to, one after the other and from the beginning again; none: they aren't.
    pub(super) cpus: &'a [usize],
    /// How long they look for frames before they sleep.
    pub(super) spin: Duration,
    pub(super) clock: &'a Clock,
}

/// Starts a bridge's workers on views of `control`.
///
/// # Errors
/// Out of threads or descriptors, or more workers than control has views for.
pub(super) fn start_workers(
    bridge: &str,
    crew: &Crew<'_>,
    control: &mut Control,
    shared: &Arc<Shared>,
) -> io::Result<Workers<Engine>> {
    let mut workers = Vec::new();
    for i in 0..crew.count {
        let mut reader = control.attach_worker().ok_or_else(|| io::Error::other("too many workers"))?;
        reader.offline();
        let home = Arc::new(Mutex::new(Some(reader)));
        let shared = Arc::clone(shared);
        let make = move || {
            let source = Lent::take(&home).unwrap_or_else(|| unreachable!("the engine before was dropped"));
            PipelineEngine::new(source, Arc::clone(&shared), CACHE_ENTRIES)
        };
        let mut config = WorkerConfig::new(format!("{bridge}-w{i}"), Arc::clone(crew.clock));
        config.spin = crew.spin;
        config.cpu = crew.cpus.get(i % crew.cpus.len().max(1)).copied();
        workers.push(Worker::start(config, make)?);
    }
    Ok(Workers::new(workers))
}

/// Raises a counter by a number when a task has run, or has been dropped without running: a barrier that waits for
/// it must not wait for ever.
struct Done(Arc<AtomicU64>, u64);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_add(self.1, Ordering::Release);
    }
}

/// The workers as the bridge's thread uses them.
pub(super) struct WorkerPackets {
    pub(super) workers: Arc<Workers<Engine>>,
    pub(super) backends: Backends,
    pub(super) bridge: String,
    pub(super) ports: PortControl,
}

impl Packets for WorkerPackets {
    fn halves(&self) -> Option<MutexGuard<'_, TxQueues>> {
        Some(self.workers.outside())
    }

    /// All go through the first worker, so that they keep their order.
    fn packet_outs(&self, packets: Vec<OutPacket>, done: Arc<AtomicU64>) {
        let done = Done(done, packets.len() as u64);
        if let Some(worker) = self.workers.all().first() {
            // If the worker has stopped the task is dropped, which is its end, too.
            let _ = worker.run(move |engine, tx, now| {
                for OutPacket { way, key, frame } in packets {
                    match way {
                        Way::Actions(program) => engine.packet_out(&program, key, frame, tx, now),
                        Way::Rest(rest) => engine.resume(&rest, key, frame, tx, now),
                    }
                }
                tx.flush();
                drop(done);
            });
        }
    }

    fn trace(&self, key: FlowKey, frame: Frame) -> Option<Receiver<Trace>> {
        let (tell, told) = crossbeam::channel::bounded(1);
        let task = move |engine: &mut Engine, _: &mut TxQueues, now| {
            // Who asked may not wait any more.
            let _ = tell.send(engine.trace(key, frame, Start::Received, now));
        };
        self.workers.all().first()?.run(task).ok()?;
        Some(told)
    }

    fn port_counters(&self, port: PortNo) -> Option<PortCounters> {
        self.backends.get(port).map(|b| b.counters())
    }

    fn queue_counters(&self, port: PortNo, queue: QueueId) -> Option<QueueCounters> {
        self.backends.get(port)?.queue_counters(queue)
    }

    fn worker_counters(&self) -> Vec<WorkerCounters> {
        self.workers.all().iter().map(Worker::counters).collect()
    }

    fn set_port_up(&self, port: PortNo, up: bool) {
        self.ports.set_up(&self.bridge, port, up);
    }
}
