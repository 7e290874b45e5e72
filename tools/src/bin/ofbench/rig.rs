//! A switch in memory, and frames driven through it.
//!
//! Worker threads, engines and control are the switch's own; only the ports are ours. A [`Feed`] stands for
//! a port's receive half: it copies the next frames into buffers of the worker's pool, so that every packet
//! is whole again whatever actions did to the one before. That is the work a real port does otherwise, so
//! it is told apart (`receive`) and kept out of the pipeline's figure. A [`Drain`] counts what is sent.
//!
//! Rates come from the worker thread's CPU time: on a shared machine a thread is stopped now and then, and
//! the wall clock goes on. Stages come from the processor's time stamps around one burst in sixteen or so,
//! chosen at random, so that the other bursts know nothing of it.

use crate::input::{Frames, Placed, Random, Rule, mentioned_ports};
use crate::stats::{Spread, trimmed_mean};
use anyhow::{Context as _, anyhow, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use datapath::cache::CacheStats;
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
use datapath::frame::Frame;
use datapath::key::FlowKey;
use datapath::packet::Packet;
use datapath::pipeline::DropReason;
use datapath::port::{FramePool, PortError, PortRx, PortTx, Transmitted};
use datapath::publish::Reader;
use datapath::sys::cycles;
use datapath::worker::{Clock, Engine, TxQueues, Worker, WorkerConfig};
use ofproto::Version;
use ofproto::ids::{MacAddr, PortNo, QueueId};
use ofproto::port::{Port, PortConfig, PortState};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// In which order frames come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// The file's, over and over
    File,
    /// Shuffled once, then over and over
    Shuffle,
    /// Each drawn anew: no predictor can learn it
    #[default]
    Random,
}

/// Whose work on the frames is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The switch's.
    Switch,
    /// The switch's with a cache of so many entries; 0: none.
    Cache(usize),
    /// Frames are parsed and sent to the first port.
    Parse,
    /// Frames are sent to the first port as they are.
    Ports,
}

/// When a phase ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// After so much time.
    Time(Duration),
    /// After so many frames of each worker.
    Frames(u64),
    /// After so much time and so many frames of each worker: a thread that hardly gets to run has done little
    /// in the time.
    Both(Duration, u64),
}

/// Frames beside the main ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// None.
    #[default]
    None,
    /// So many a second.
    PerSecond(f64),
    /// Every second frame.
    Half,
}

/// A stretch of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// How long.
    pub until: Until,
    /// Into how many slices it is cut.
    pub slices: u32,
    /// The other frames during it.
    pub attack: Pace,
}

impl Phase {
    /// A phase without other frames.
    pub const fn plain(until: Until, slices: u32) -> Self {
        Self { until, slices, attack: Pace::None }
    }
}

/// What is built and driven.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Whose meaning the rules have.
    pub version: Version,
    /// The rules, in order.
    pub rules: Arc<Vec<Placed>>,
    /// Ports beside those that the rules mention.
    pub ports: BTreeSet<PortNo>,
    /// Frames that come before everything else, and where.
    pub teach: Arc<Vec<(PortNo, Frames)>>,
    /// The port that frames come from.
    pub in_port: PortNo,
    /// The frames.
    pub frames: Arc<Frames>,
    /// Their order.
    pub order: Order,
    /// Frames of [`Phase::attack`].
    pub attack: Arc<Frames>,
    /// Workers, each with an equal part of the frames.
    pub workers: usize,
    /// Every worker gets all frames instead.
    pub same_frames: bool,
    /// Frames of a burst.
    pub burst: usize,
    /// What is done with frames.
    pub variant: Variant,
    /// The phases; the first is for warming up.
    pub phases: Vec<Phase>,
}

impl Setup {
    /// One worker, frames from port 1, in random order.
    pub fn new(rules: Vec<Placed>, frames: Frames) -> Self {
        Self {
            version: Version::V13,
            rules: Arc::new(rules),
            ports: [PortNo(1), PortNo(2)].into(),
            teach: Arc::default(),
            in_port: PortNo(1),
            frames: Arc::new(frames),
            order: Order::Random,
            attack: Arc::default(),
            workers: 1,
            same_frames: false,
            burst: 32,
            variant: Variant::Switch,
            phases: Vec::new(),
        }
    }
}

/// A moment of one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    phase: usize,
    frames: u64,
    attack: u64,
    cpu: Duration,
    wall: Duration,
    cycles: u64,
    samples: usize,
}

/// A stretch between two marks of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slice {
    /// Which phase.
    pub phase: usize,
    /// When it ended, in seconds since the worker's first frame.
    pub at: f64,
    /// Frames, without the attack's.
    pub frames: u64,
    /// The attack's.
    pub attack: u64,
    /// CPU seconds.
    pub cpu: f64,
    /// Seconds.
    pub wall: f64,
    /// Time stamps per second.
    pub hertz: f64,
    /// Cycles of a frame in a sampled burst: receiving, the engine's work, sending and the worker's loop.
    pub stages: [f64; 3],
    /// The cache's work.
    pub cache: CacheStats,
}

impl Slice {
    /// Nanoseconds of CPU per frame, everything included.
    pub fn ns(&self) -> f64 {
        self.cpu * 1e9 / self.frames as f64
    }

    /// The part of the time that is not receiving.
    pub fn pipeline_share(&self) -> f64 {
        let all: f64 = self.stages.iter().sum();
        if all > 0.0 { 1.0 - self.stages[0] / all } else { 1.0 }
    }

    /// Nanoseconds of CPU per frame without receiving.
    pub fn pipeline_ns(&self) -> f64 {
        self.ns() * self.pipeline_share()
    }

    /// Million frames a second of CPU time, without receiving.
    pub fn mpps(&self) -> f64 {
        1e3 / self.pipeline_ns()
    }

    /// Nanoseconds of each stage: their shares of the CPU time.
    pub fn stage_ns(&self) -> [f64; 3] {
        let all: f64 = self.stages.iter().sum();
        self.stages.map(|s| if all > 0.0 { self.ns() * s / all } else { 0.0 })
    }
}

/// What came of a measurement.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Each worker's slices.
    pub workers: Vec<Vec<Slice>>,
    /// Frames received, all phases, taught ones included.
    pub received: u64,
    /// Frames sent, by port.
    pub sent: BTreeMap<u32, u64>,
    /// Packets for controllers.
    pub packet_ins: u64,
    /// Drops by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Lookups and matches of each table that had any.
    pub tables: BTreeMap<u8, (u64, u64)>,
    /// Seconds that it took to carry the rules out.
    pub loading: f64,
}

impl Outcome {
    /// Slices of a phase, all workers'.
    pub fn phase(&self, phase: usize) -> impl Iterator<Item = &Slice> {
        self.workers.iter().flatten().filter(move |s| s.phase == phase && s.frames > 0)
    }

    /// The sum over workers of a figure, slice by slice of one phase.
    pub fn summed(&self, phase: usize, figure: impl Fn(&Slice) -> f64) -> Spread {
        let of =
            |w: &Vec<Slice>| w.iter().filter(|s| s.phase == phase && s.frames > 0).map(&figure).collect::<Vec<_>>();
        let all: Vec<Vec<f64>> = self.workers.iter().map(of).collect();
        let n = all.iter().map(Vec::len).min().unwrap_or(0);
        Spread::of((0..n).map(|i| all.iter().map(|w| w[i]).sum()))
    }

    /// The cache's work in a phase.
    pub fn cache(&self, phase: usize) -> CacheStats {
        let mut sum = CacheStats::default();
        for s in self.phase(phase) {
            sum.hits += s.cache.hits;
            sum.misses += s.cache.misses;
            sum.stale += s.cache.stale;
            sum.inserts += s.cache.inserts;
            sum.bypassed += s.cache.bypassed;
        }
        sum
    }
}

/// The least of a sampled burst's figures that are taken for true.
const TRUSTED: f64 = 0.995;
/// Every so many bursts, on average, one is sampled.
const SAMPLE: u64 = 16;
/// Most samples of a slice.
const MOST_SAMPLES: usize = 1 << 18;

/// What a worker's feed and its engine tell each other, on the one thread that they share.
#[derive(Debug, Default)]
struct Signal {
    /// The engine is to say when it is done.
    sample: AtomicBool,
    done: AtomicU64,
    /// Marks made.
    marks: AtomicU64,
}

fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// What a feed has to tell at its end.
#[derive(Debug)]
struct Log {
    worker: usize,
    marks: Vec<Mark>,
    /// Cycles of the three stages and frames.
    samples: Vec<[u32; 4]>,
    frames: u64,
}

/// A port's receive half that never runs dry until its phases are over.
struct Feed {
    frames: Arc<Frames>,
    attack: Arc<Frames>,
    order: Order,
    /// Its part of the frames: `first`, `first + step`, …, `count` of them.
    first: usize,
    step: usize,
    count: usize,
    next: usize,
    next_attack: usize,
    random: Random,
    phases: Vec<Phase>,
    phase: usize,
    slice: u32,
    /// Where the slice ends.
    ends_at: Duration,
    ends_after: u64,
    /// And not before so many frames.
    least: u64,
    phase_began: (Duration, u64),
    started: Option<Instant>,
    look: u32,
    total: u64,
    attacked: u64,
    attack_due: f64,
    attack_seen: Duration,
    next_sample: u64,
    bursts: u64,
    sampling: Option<(u64, u64, u32)>,
    log: Log,
    signal: Arc<Signal>,
    barrier: Arc<Barrier>,
    done: Sender<Log>,
    over: bool,
}

impl Feed {
    fn mark(&mut self, wall: Duration) {
        self.log.marks.push(Mark {
            phase: self.phase,
            frames: self.total,
            attack: self.attacked,
            cpu: cpu(),
            wall,
            cycles: cycles(),
            samples: self.log.samples.len(),
        });
        self.signal.marks.fetch_add(1, Relaxed);
    }

    fn begin_phase(&mut self, wall: Duration) {
        self.slice = 0;
        self.phase_began = (wall, self.total);
        self.attack_due = 0.0;
        self.attack_seen = wall;
        self.set_end();
    }

    fn set_end(&mut self) {
        let Some(p) = self.phases.get(self.phase) else { return };
        self.least = 0;
        let (n, of) = (u64::from(self.slice + 1), u64::from(p.slices.max(1)));
        (self.ends_at, self.ends_after) = match p.until {
            Until::Time(t) => (self.phase_began.0 + t.mul_f64(n as f64 / of as f64), u64::MAX),
            Until::Frames(f) => (Duration::MAX, self.phase_began.1 + f * n / of),
            Until::Both(t, f) => {
                self.least = self.phase_began.1 + f * n / of;
                (self.phase_began.0 + t.mul_f64(n as f64 / of as f64), u64::MAX)
            }
        };
    }

    /// Whether everything is over.
    fn advance(&mut self) -> bool {
        self.look += 1;
        if self.total < self.least {
            return false;
        }
        if self.total < self.ends_after && (self.ends_at == Duration::MAX || self.look < 16) {
            return false;
        }
        self.look = 0;
        let wall = self.started.map_or(Duration::ZERO, |s| s.elapsed());
        if self.total < self.ends_after && wall < self.ends_at {
            return false;
        }
        self.mark(wall);
        self.slice += 1;
        let slices = self.phases.get(self.phase).map_or(0, |p| p.slices.max(1));
        if self.slice < slices {
            self.set_end();
            return false;
        }
        self.phase += 1;
        if self.phase >= self.phases.len() {
            return true;
        }
        if self.phase == 1 {
            // All begin to measure at the same time.
            self.barrier.wait();
            let wall = self.started.map_or(Duration::ZERO, |s| s.elapsed());
            self.log.marks.pop();
            self.signal.marks.fetch_sub(1, Relaxed);
            self.mark(wall);
            if let Some(m) = self.log.marks.last_mut() {
                m.phase = 0;
            }
            self.begin_phase(wall);
        } else {
            self.begin_phase(wall);
        }
        false
    }

    /// How many of the next `n` frames are the attack's.
    fn attackers(&mut self, n: usize) -> usize {
        if self.attack.is_empty() {
            return 0;
        }
        match self.phases.get(self.phase).map_or(Pace::None, |p| p.attack) {
            Pace::None => 0,
            Pace::Half => n / 2,
            Pace::PerSecond(rate) => {
                let now = self.started.map_or(Duration::ZERO, |s| s.elapsed());
                self.attack_due += rate * now.saturating_sub(self.attack_seen).as_secs_f64();
                self.attack_seen = now;
                // What wasn't sent while the thread stood still isn't made up for without end.
                self.attack_due = self.attack_due.min(4.0 * n as f64);
                let k = (self.attack_due as usize).min(n / 2);
                self.attack_due -= k as f64;
                k
            }
        }
    }

    #[inline]
    fn draw(&mut self) -> usize {
        let k = match self.order {
            Order::Random => self.random.below(self.count as u64) as usize,
            Order::File | Order::Shuffle => {
                let k = self.next;
                self.next = if k + 1 == self.count { 0 } else { k + 1 };
                k
            }
        };
        self.first + k * self.step
    }
}

fn copy(pool: &mut FramePool, bytes: &[u8]) -> Frame {
    let mut f = pool.take(bytes.len());
    f.extend(bytes);
    f
}

impl PortRx for Feed {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        if self.over {
            return Err(PortError::Closed);
        }
        if let Some((began, received, n)) = self.sampling.take() {
            self.signal.sample.store(false, Relaxed);
            let done = self.signal.done.load(Relaxed);
            let stage = |from: u64, to: u64| u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
            let sample = [stage(began, received), stage(received, done), stage(done, cycles()), n];
            let first = self.log.marks.last().map_or(0, |m| m.samples);
            if self.log.samples.len() - first < MOST_SAMPLES {
                self.log.samples.push(sample);
            }
        }
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.begin_phase(Duration::ZERO);
            self.mark(Duration::ZERO);
        }
        if self.advance() {
            self.over = true;
            self.log.frames = self.total + self.attacked;
            let log = Log {
                worker: self.log.worker,
                frames: self.log.frames,
                marks: std::mem::take(&mut self.log.marks),
                samples: std::mem::take(&mut self.log.samples),
            };
            // Whoever waited for it has gone: nothing to tell.
            let _ = self.done.send(log);
            return Err(PortError::Closed);
        }
        self.bursts += 1;
        let sample = self.bursts >= self.next_sample;
        let began = if sample { cycles() } else { 0 };
        let most = usize::try_from(self.ends_after.saturating_sub(self.total)).unwrap_or(max);
        let attackers = self.attackers(max);
        let own = (max - attackers).min(most);
        let before = burst.len();
        for i in 0..own.max(attackers) {
            if i < own {
                let k = self.draw();
                burst.push(copy(pool, self.frames.get(k)));
            }
            if i < attackers {
                let k = self.next_attack;
                self.next_attack = if k + 1 >= self.attack.len() { 0 } else { k + 1 };
                burst.push(copy(pool, self.attack.get(k)));
            }
        }
        self.total += own as u64;
        self.attacked += attackers as u64;
        let n = burst.len() - before;
        if sample {
            self.next_sample = self.bursts + SAMPLE / 2 + self.random.below(SAMPLE);
            self.signal.sample.store(true, Relaxed);
            self.sampling = Some((began, cycles(), n as u32));
        }
        Ok(n)
    }

    fn each_fd(&self, _each: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn cheap_when_idle(&self) -> bool {
        true
    }

    fn prepare_wait(&mut self) -> bool {
        true
    }
}

/// Counts what is sent and gives the buffers back.
struct Drain(Arc<AtomicU64>);

impl PortTx for Drain {
    fn transmit(&mut self, _queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        let sent = frames.len() as u64;
        self.0.store(self.0.load(Relaxed) + sent, Relaxed);
        pool.put_all(frames);
        Transmitted { sent, dropped: 0 }
    }
}

/// The work that is measured, or a part of it to compare with.
enum Inner {
    Switch(Box<PipelineEngine<Reader>>),
    Part { parse: bool, to: PortNo, packet: Box<Packet> },
}

/// An engine that says when a sampled burst is done.
struct Timed {
    inner: Inner,
    signal: Arc<Signal>,
    marks: u64,
    caches: Vec<CacheStats>,
}

impl Engine for Timed {
    #[inline]
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, now: Time) {
        let marks = self.signal.marks.load(Relaxed);
        if marks != self.marks {
            self.marks = marks;
            self.caches.push(self.cache());
        }
        match &mut self.inner {
            Inner::Switch(engine) => engine.process(in_port, frames, tx, now),
            Inner::Part { parse, to, packet } => {
                let key = FlowKey::default();
                for frame in frames.drain(..) {
                    if *parse {
                        packet.load(frame, &key);
                        black_box(&packet.key);
                        tx.push(*to, QueueId(0), std::mem::take(&mut packet.frame));
                    } else {
                        tx.push(*to, QueueId(0), frame);
                    }
                }
            }
        }
        if self.signal.sample.load(Relaxed) {
            self.signal.done.store(cycles(), Relaxed);
        }
    }

    fn offline(&mut self) {
        if let Inner::Switch(engine) = &mut self.inner {
            engine.offline();
        }
    }

    fn online(&mut self) {
        if let Inner::Switch(engine) = &mut self.inner {
            engine.online();
        }
    }
}

impl Timed {
    fn cache(&self) -> CacheStats {
        match &self.inner {
            Inner::Switch(engine) => engine.cache_stats(),
            Inner::Part { .. } => CacheStats::default(),
        }
    }
}

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
    let epoch = Instant::now();
    let now = move || Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let mut control = Control::new(ControlConfig { max_workers: setup.workers, ..ControlConfig::default() });
    let shared = Arc::new(Shared::new(SharedConfig { writers: setup.workers + 1, ..SharedConfig::default() }));
    let mut ports = mentioned_ports(&setup.rules);
    ports.extend(&setup.ports);
    ports.insert(setup.in_port);
    for no in &ports {
        let [_, b, c, d] = no.0.to_be_bytes();
        let port = Port {
            port_no: *no,
            hw_addr: MacAddr([2, 0, 0xff, b, c, d]),
            name: format!("m{no}"),
            config: PortConfig::empty(),
            state: PortState::LIVE,
            properties: vec![],
        };
        control.add_port(port, no.0, Time::ZERO).map_err(|e| anyhow!("port {no}: {e}"))?;
    }
    let began = Instant::now();
    load(&mut control, setup.version, &setup.rules)?;
    let loading = began.elapsed().as_secs_f64();
    let frames =
        if setup.order == Order::Shuffle { Arc::new(setup.frames.shuffled(7)) } else { Arc::clone(&setup.frames) };
    let clock: Clock = Arc::new(now);
    let (done, logs) = unbounded();
    let barrier = Arc::new(Barrier::new(setup.workers));
    let to = ports.iter().copied().find(|p| *p != setup.in_port).unwrap_or(setup.in_port);
    let mut workers = Vec::new();
    let mut counters = Vec::new();
    for w in 0..setup.workers {
        let signal = Arc::<Signal>::default();
        let cache = match setup.variant {
            Variant::Switch => Some(CACHE_ENTRIES),
            Variant::Cache(n) => Some(n),
            Variant::Parse | Variant::Ports => None,
        };
        let mut inner = Some(match cache {
            Some(entries) => {
                let reader = control.attach_worker().context("too many workers")?;
                Inner::Switch(Box::new(PipelineEngine::new(reader, Arc::clone(&shared), entries)))
            }
            None => {
                let packet = Box::new(Packet::new(Frame::default()));
                Inner::Part { parse: setup.variant == Variant::Parse, to, packet }
            }
        });
        let engine_signal = Arc::clone(&signal);
        let make = move || {
            let inner = inner.take().unwrap_or_else(|| panic!("the engine before panicked"));
            Timed { inner, signal: Arc::clone(&engine_signal), marks: 0, caches: Vec::new() }
        };
        let config =
            WorkerConfig { burst: setup.burst, ..WorkerConfig::new(format!("bench-w{w}"), Arc::clone(&clock)) };
        let worker = Worker::start(config, make)?;
        for no in &ports {
            let counter = Arc::<AtomicU64>::default();
            worker.add_tx(*no, Box::new(Drain(Arc::clone(&counter))))?;
            counters.push((no.0, counter));
        }
        workers.push((worker, signal));
    }
    let mut received = 0;
    for (no, taught) in setup.teach.iter() {
        for (worker, _) in workers.iter().take(1) {
            let (no, taught) = (*no, taught.clone());
            received += taught.len() as u64;
            worker.run(move |engine, tx, now| {
                for i in 0..taught.len() {
                    let mut one = vec![copy(tx.pool(), taught.get(i))];
                    engine.process(no, &mut one, tx, now);
                    tx.flush();
                }
            })?;
            worker.sync()?;
        }
    }
    for (w, (worker, signal)) in workers.iter().enumerate() {
        let (first, step) = if setup.same_frames { (0, 1) } else { (w, setup.workers) };
        let count = (frames.len() - first).div_ceil(step);
        let feed = Feed {
            frames: Arc::clone(&frames),
            attack: Arc::clone(&setup.attack),
            order: setup.order,
            first,
            step,
            count,
            next: 0,
            next_attack: 0,
            random: Random::new(w as u64 + 1),
            phases: setup.phases.clone(),
            phase: 0,
            slice: 0,
            ends_at: Duration::ZERO,
            ends_after: 0,
            least: 0,
            phase_began: (Duration::ZERO, 0),
            started: None,
            look: 0,
            total: 0,
            attacked: 0,
            attack_due: 0.0,
            attack_seen: Duration::ZERO,
            next_sample: SAMPLE,
            bursts: 0,
            sampling: None,
            log: Log { worker: w, marks: Vec::new(), samples: Vec::with_capacity(MOST_SAMPLES), frames: 0 },
            signal: Arc::clone(signal),
            barrier: Arc::clone(&barrier),
            done: done.clone(),
            over: false,
        };
        worker.add_rx(setup.in_port, Box::new(feed))?;
    }
    drop(done);
    let (logs, packet_ins) = wait(&mut control, &shared, &logs, &workers, drive, &now)?;
    let mut outcome = Outcome { received, packet_ins, loading, ..Outcome::default() };
    for log in logs {
        let (tell, told) = unbounded();
        let (worker, _) = workers.get(log.worker).context("a worker that isn't there")?;
        worker.run(move |engine, _, _| {
            engine.caches.push(engine.cache());
            let _ = tell.send(std::mem::take(&mut engine.caches));
        })?;
        let caches = told.recv().context("the worker has stopped")?;
        outcome.received += log.frames;
        outcome.workers.push(slices(&log, &caches));
    }
    drop(workers);
    for (no, n) in counters {
        *outcome.sent.entry(no).or_default() += n.load(Relaxed);
    }
    outcome.sent.retain(|_, n| *n > 0);
    for (reason, n) in DropReason::ALL.into_iter().zip(shared.drops()) {
        if n > 0 {
            outcome.drops.insert(reason.name(), n);
        }
    }
    for t in control.table_stats() {
        if t.lookup_count > 0 {
            outcome.tables.insert(t.table.0, (t.lookup_count, t.matched_count));
        }
    }
    Ok(outcome)
}

/// Does control's work until every feed has ended.
fn wait(
    control: &mut Control,
    shared: &Shared,
    logs: &Receiver<Log>,
    workers: &[(Worker<Timed>, Arc<Signal>)],
    drive: Driver<'_>,
    now: &dyn Fn() -> Time,
) -> anyhow::Result<(Vec<Log>, u64)> {
    let (mut got, mut packet_ins, mut pause) = (Vec::new(), 0, Duration::ZERO);
    loop {
        match logs.recv_timeout(pause) {
            Ok(log) => got.push(log),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let done = got.len() == workers.len();
        if !done {
            pause = drive(control, now())?;
        }
        while shared.punts().pop().is_some() {
            packet_ins += 1;
        }
        while shared.next_request().is_some() {}
        control.tick(now());
        control.events().for_each(drop);
        if workers.iter().any(|(w, _)| w.counters().panics > 0) {
            bail!("the engine panicked");
        }
        if done {
            break;
        }
    }
    if got.len() < workers.len() {
        bail!("a worker ended early");
    }
    Ok((got, packet_ins))
}

/// What lies between marks.
fn slices(log: &Log, caches: &[CacheStats]) -> Vec<Slice> {
    let mut all = Vec::new();
    for (i, pair) in log.marks.windows(2).enumerate() {
        let [a, b] = pair else { continue };
        // The whole phase's samples: a slice has too few where packets are slow.
        let of_phase = |m: &&Mark| m.phase == b.phase;
        let first =
            log.marks.iter().zip(log.marks.iter().skip(1)).find(|(_, m)| of_phase(m)).map_or(0, |(m, _)| m.samples);
        let last = log.marks.iter().rfind(of_phase).map_or(first, |m| m.samples);
        // With too few the stages are not told: all the time counts as the pipeline's.
        let samples = log.samples.get(first..last).filter(|s| s.len() >= 64).unwrap_or_default();
        let stage = |n: usize| {
            let mut per_burst: Vec<u64> = samples.iter().map(|s| u64::from(s[n])).collect();
            trimmed_mean(&mut per_burst, TRUSTED)
        };
        let burst = samples.iter().map(|s| f64::from(s[3])).sum::<f64>() / samples.len().max(1) as f64;
        let wall = b.wall.saturating_sub(a.wall).as_secs_f64();
        let (before, after) =
            (caches.get(i).copied().unwrap_or_default(), caches.get(i + 1).copied().unwrap_or_default());
        all.push(Slice {
            phase: b.phase,
            at: b.wall.as_secs_f64(),
            frames: b.frames - a.frames,
            attack: b.attack - a.attack,
            cpu: b.cpu.saturating_sub(a.cpu).as_secs_f64(),
            wall,
            hertz: if wall > 0.0 { b.cycles.wrapping_sub(a.cycles) as f64 / wall } else { 0.0 },
            stages: [stage(0), stage(1), stage(2)].map(|c| if burst > 0.0 { c / burst } else { 0.0 }),
            cache: CacheStats {
                hits: after.hits.saturating_sub(before.hits),
                misses: after.misses.saturating_sub(before.misses),
                stale: after.stale.saturating_sub(before.stale),
                inserts: after.inserts.saturating_sub(before.inserts),
                bypassed: after.bypassed.saturating_sub(before.bypassed),
            },
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Kind, parse_rules};

    fn frames(n: u32) -> Frames {
        let mut all = Frames::default();
        for i in 0..n {
            let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
            f.extend((0x0a00_0000 + i).to_be_bytes());
            f.extend([10, 1, 0, 1, 4, 0, 0, 53, 0, 26, 0, 0]);
            f.resize(64, 0);
            all.push(&f);
        }
        all
    }

    #[test]
    fn every_frame_is_counted_once_and_slices_have_their_share() {
        let text = "priority=9,udp,nw_src=10.0.0.0/31,actions=dec_ttl,output:2\n\
                    priority=8,udp,nw_src=10.0.0.2,actions=output:3\n\
                    priority=7,udp,nw_src=10.0.0.3,actions=drop\n\
                    priority=0,actions=controller\n";
        let rules = parse_rules(text, Kind::Flow, Version::V13).unwrap();
        let mut setup = Setup::new(rules, frames(5));
        setup.order = Order::File;
        setup.workers = 1;
        setup.phases = vec![Phase::plain(Until::Frames(500), 1), Phase::plain(Until::Frames(1000), 4)];
        let o = run(&setup, &mut idle).unwrap();
        assert_eq!(o.received, 1500);
        assert_eq!(o.sent, BTreeMap::from([(2, 600), (3, 300)]));
        let limited = o.drops.get("controller_queue").copied().unwrap_or(0);
        assert_eq!((o.packet_ins + limited, o.drops["no_output"]), (300, 300));
        assert_eq!(o.tables, BTreeMap::from([(0, (1500, 1500))]));
        let slices: Vec<u64> = o.workers[0].iter().map(|s| s.frames).collect();
        assert_eq!(slices, [500, 250, 250, 250, 250]);
        let cache = o.cache(1);
        assert_eq!(cache.hits + cache.misses + cache.stale + cache.bypassed, 1000, "{cache:?}");
    }

    #[test]
    fn workers_share_the_frames_and_the_attack_comes_beside_them() {
        let rules = parse_rules("in_port=1,actions=output:2", Kind::Flow, Version::V13).unwrap();
        let mut setup = Setup::new(rules, frames(7));
        setup.workers = 2;
        setup.attack = Arc::new(frames(1));
        let half = Phase { until: Until::Frames(64), slices: 1, attack: Pace::Half };
        setup.phases = vec![Phase::plain(Until::Frames(64), 1), half];
        let o = run(&setup, &mut idle).unwrap();
        assert_eq!(o.workers.len(), 2);
        assert_eq!(o.phase(1).map(|s| (s.frames, s.attack)).collect::<Vec<_>>(), [(64, 64); 2]);
        assert_eq!((o.received, o.sent[&2]), (384, 384));
    }

    #[test]
    fn the_parts_forward_every_frame() {
        for variant in [Variant::Parse, Variant::Ports, Variant::Cache(0)] {
            let rules = parse_rules("actions=output:2", Kind::Flow, Version::V13).unwrap();
            let mut setup = Setup::new(rules, frames(3));
            setup.variant = variant;
            setup.order = Order::Shuffle;
            setup.phases = vec![Phase::plain(Until::Frames(100), 1)];
            let o = run(&setup, &mut idle).unwrap();
            assert_eq!((o.received, o.sent[&2]), (100, 100), "{variant:?}");
        }
    }

    #[test]
    fn refused_rules_say_their_line() {
        let rules = parse_rules("\nactions=group:7", Kind::Flow, Version::V13).unwrap();
        let e =
            run(&Setup { phases: vec![Phase::plain(Until::Frames(1), 1)], ..Setup::new(rules, frames(1)) }, &mut idle);
        assert!(e.unwrap_err().to_string().contains("line 2"));
    }
}
