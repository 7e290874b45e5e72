//! A switch in memory, and frames driven through it.
//!
//! Worker threads, engines and control are the switch's own; only the ports are ours. A feed stands for
//! a port's receive half: it copies the next frames into buffers of the worker's pool, so that every packet
//! is whole again whatever actions did to the one before. That is the work a real port does otherwise, so
//! it is told apart (`receive`) and kept out of the pipeline's figure. A drain counts what is sent.
//!
//! Rates come from the worker thread's CPU time: on a shared machine a thread is stopped now and then, and
//! the wall clock goes on. Stages come from the processor's time stamps around one burst in sixteen or so,
//! chosen at random, so that the other bursts know nothing of it.

mod engine;
mod feed;
mod outcome;
mod setup;
#[cfg(test)]
mod tests;

pub use outcome::Outcome;
pub use setup::{Order, Pace, Phase, Setup, Until, Variant};

use crate::input::{Placed, Rule, mentioned_ports};
use anyhow::{Context as _, anyhow, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, unbounded};
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
use datapath::pipeline::DropReason;
use datapath::worker::{Clock, Engine, Worker, WorkerConfig};
use engine::{Drain, Inner, Timed};
use feed::{Feed, Log, Signal, Ties, copy};
use ofproto::Version;
use ofproto::ids::{MacAddr, PortNo};
use ofproto::port::Port;
use outcome::slices;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// What is done by control while frames flow: called again and again with the time since the first; says how
/// long to wait until the next call.
pub type Driver<'a> = &'a mut dyn FnMut(&mut Control, Time) -> anyhow::Result<Duration>;

/// Nothing but control's own chores.
pub fn idle(_: &mut Control, _: Time) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(20))
}

/// Carries out rules.
///
/// # Errors
/// The first that is refused, with its line.
pub fn load(control: &mut Control, version: Version, rules: &[Placed]) -> anyhow::Result<()> {
    for r in rules {
        let done = match &r.rule {
            Rule::Flow(m) => control.flow_mod(version, m, Time::ZERO).map(drop),
            Rule::Group(m) => control.group_mod(version, m, Time::ZERO),
            Rule::Meter(m) => control.meter_mod(version, m, Time::ZERO),
        };
        done.map_err(|e| if r.line > 0 { anyhow!("rule in line {}: {e}", r.line) } else { anyhow!("rule: {e}") })?;
    }
    Ok(())
}

/// Builds the switch, drives the frames through it and says what came of it.
///
/// # Errors
/// A rule that is refused, a setup that makes no sense, no threads.
pub fn run(setup: &Setup, drive: Driver<'_>) -> anyhow::Result<Outcome> {
    if setup.frames.len() < setup.workers && !setup.same_frames {
        bail!("{} workers need as many frames; there are {}", setup.workers, setup.frames.len());
    }
    if setup.frames.is_empty() || setup.workers == 0 || setup.phases.is_empty() {
        bail!("nothing to do");
    }
    let mut rig = Rig::new(setup)?;
    let taught = rig.teach(setup)?;
    let logs = rig.feed(setup)?;
    let (logs, packet_ins) = rig.wait(&logs, drive)?;
    let mut outcome = rig.outcome(&logs)?;
    outcome.packet_ins = packet_ins;
    outcome.received += taught;
    Ok(outcome)
}

/// The switch's parts.
struct Rig {
    control: Control,
    shared: Arc<Shared>,
    clock: Clock,
    workers: Vec<(Worker<Timed>, Arc<Signal>)>,
    /// Frames sent, of each worker's ports.
    counters: Vec<(PortNo, Arc<AtomicU64>)>,
    /// Seconds that it took to carry the rules out.
    loading: f64,
}

impl Rig {
    /// The switch with its rules and ports, and workers that have nothing to do yet.
    fn new(setup: &Setup) -> anyhow::Result<Self> {
        let epoch = Instant::now();
        let mut rig = Self {
            control: Control::new(ControlConfig { max_workers: setup.workers, ..ControlConfig::default() }),
            shared: Arc::new(Shared::new(SharedConfig { writers: setup.workers + 1, ..SharedConfig::default() })),
            clock: Arc::new(move || Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))),
            workers: Vec::new(),
            counters: Vec::new(),
            loading: 0.0,
        };
        let mut ports = mentioned_ports(&setup.rules);
        ports.extend(&setup.ports);
        ports.insert(setup.in_port);
        for no in &ports {
            rig.control.add_port(port(*no), no.0, Time::ZERO).map_err(|e| anyhow!("port {no}: {e}"))?;
        }
        let began = Instant::now();
        load(&mut rig.control, setup.version, &setup.rules)?;
        rig.loading = began.elapsed().as_secs_f64();
        for w in 0..setup.workers {
            rig.add_worker(setup, w, &ports)?;
        }
        Ok(rig)
    }

    fn add_worker(&mut self, setup: &Setup, w: usize, ports: &BTreeSet<PortNo>) -> anyhow::Result<()> {
        let signal = Arc::<Signal>::default();
        let cache = match setup.variant {
            Variant::Switch => Some(CACHE_ENTRIES),
            Variant::Cache(n) | Variant::Only(_, n) => Some(n),
            Variant::Ports => None,
        };
        let to = ports.iter().copied().find(|p| *p != setup.in_port).unwrap_or(setup.in_port);
        let mut inner = Some(match cache {
            Some(entries) => {
                let reader = self.control.attach_worker().context("too many workers")?;
                let engine = Box::new(PipelineEngine::new(reader, Arc::clone(&self.shared), entries));
                match setup.variant {
                    Variant::Only(far, _) => Inner::Only { engine, far, to },
                    _ => Inner::Switch(engine),
                }
            }
            None => Inner::Ports { to },
        });
        let engine_signal = Arc::clone(&signal);
        let make = move || {
            let inner = inner.take().unwrap_or_else(|| panic!("the engine before panicked"));
            Timed { inner, signal: Arc::clone(&engine_signal), marks: 0, caches: Vec::new() }
        };
        let config =
            WorkerConfig { burst: setup.burst, ..WorkerConfig::new(format!("bench-w{w}"), Arc::clone(&self.clock)) };
        let worker = Worker::start(config, make)?;
        for no in ports {
            let counter = Arc::<AtomicU64>::default();
            worker.add_tx(*no, Box::new(Drain(Arc::clone(&counter))))?;
            self.counters.push((*no, counter));
        }
        self.workers.push((worker, signal));
        Ok(())
    }

    /// Sends the first worker what comes before everything else; returns how many frames that are.
    fn teach(&self, setup: &Setup) -> anyhow::Result<u64> {
        let Some((worker, _)) = self.workers.first() else { return Ok(0) };
        let mut sent = 0;
        for (no, taught) in setup.teach.iter() {
            let (no, taught) = (*no, taught.clone());
            sent += taught.len() as u64;
            worker.run(move |engine, tx, now| {
                for i in 0..taught.len() {
                    let mut one = vec![copy(tx.pool(), taught.get(i))];
                    engine.process(no, &mut one, tx, now);
                    tx.flush();
                }
            })?;
            worker.sync()?;
        }
        Ok(sent)
    }

    /// Gives every worker its feed; returns where they tell what they saw.
    fn feed(&self, setup: &Setup) -> anyhow::Result<Receiver<Log>> {
        let frames =
            if setup.order == Order::Shuffle { Arc::new(setup.frames.shuffled(7)) } else { Arc::clone(&setup.frames) };
        let (done, logs) = unbounded();
        let barrier = Arc::new(Barrier::new(self.workers.len()));
        for (w, (worker, signal)) in self.workers.iter().enumerate() {
            let ties = Ties { signal: Arc::clone(signal), barrier: Arc::clone(&barrier), done: done.clone() };
            worker.add_rx(setup.in_port, Box::new(Feed::new(setup, &frames, w, ties)))?;
        }
        Ok(logs)
    }

    /// Does control's work until every feed has ended; returns what they told and how many packets went to
    /// controllers.
    fn wait(&mut self, logs: &Receiver<Log>, drive: Driver<'_>) -> anyhow::Result<(Vec<Log>, u64)> {
        let (mut got, mut packet_ins, mut pause) = (Vec::new(), 0, Duration::ZERO);
        loop {
            match logs.recv_timeout(pause) {
                Ok(log) => got.push(log),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let done = got.len() == self.workers.len();
            if !done {
                pause = drive(&mut self.control, (self.clock)())?;
            }
            while self.shared.punts().pop().is_some() {
                packet_ins += 1;
            }
            while self.shared.next_request().is_some() {}
            self.control.tick((self.clock)());
            self.control.events().for_each(drop);
            if self.workers.iter().any(|(w, _)| w.counters().panics > 0) {
                bail!("the engine panicked");
            }
            if done {
                break;
            }
        }
        if got.len() < self.workers.len() {
            bail!("a worker ended early");
        }
        Ok((got, packet_ins))
    }

    /// Stops the workers and counts.
    fn outcome(mut self, logs: &[Log]) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome { loading: self.loading, ..Outcome::default() };
        for log in logs {
            let (tell, told) = unbounded();
            let (worker, _) = self.workers.get(log.worker).context("a worker that isn't there")?;
            worker.run(move |engine, _, _| {
                engine.caches.push(engine.cache());
                let _ = tell.send(std::mem::take(&mut engine.caches));
            })?;
            let caches = told.recv().context("the worker has stopped")?;
            outcome.received += log.frames;
            outcome.workers.push(slices(log, &caches));
        }
        self.workers.clear();
        for (no, n) in &self.counters {
            *outcome.sent.entry(no.0).or_default() += n.load(Relaxed);
        }
        outcome.sent.retain(|_, n| *n > 0);
        for (reason, n) in DropReason::ALL.into_iter().zip(self.shared.drops()) {
            if n > 0 {
                outcome.drops.insert(reason.name(), n);
            }
        }
        for t in self.control.table_stats() {
            if t.lookup_count > 0 {
                outcome.tables.insert(t.table.0, (t.lookup_count, t.matched_count));
            }
        }
        Ok(outcome)
    }
}

fn port(no: PortNo) -> Port {
    let [_, b, c, d] = no.0.to_be_bytes();
    Port::new(no, MacAddr([2, 0, 0xff, b, c, d]), format!("m{no}"))
}
