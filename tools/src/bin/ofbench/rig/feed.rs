//! A port's receive half that never runs dry, and what it tells of its worker.

use super::setup::{Order, Pace, Phase, Setup, Until};
use crate::input::{Frames, Random};
use crossbeam::channel::Sender;
use datapath::frame::Frame;
use datapath::port::{FramePool, PortError, PortRx};
use datapath::sys::cycles;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Every so many bursts, on average, one is sampled.
const SAMPLE: u64 = 16;
/// Bursts after which the clock says how many of the attack are due.
const PACE: u64 = 8;
/// Most samples of a slice.
const MOST_SAMPLES: usize = 1 << 18;

/// A moment of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) phase: usize,
    pub(super) frames: u64,
    pub(super) attack: u64,
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    pub(super) cycles: u64,
    pub(super) samples: usize,
}

/// What a worker's feed and its engine tell each other, on the one thread that they share.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// The engine is to say when it is done.
    pub(super) sample: AtomicBool,
    pub(super) done: AtomicU64,
    /// Marks made.
    pub(super) marks: AtomicU64,
}

fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// What a feed has to tell at its end.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) worker: usize,
    pub(super) marks: Vec<Mark>,
    /// Cycles of the three stages and frames.
    pub(super) samples: Vec<[u32; 4]>,
    pub(super) frames: u64,
}

/// What ties a feed to others.
pub(super) struct Ties {
    /// With its worker's engine.
    pub(super) signal: Arc<Signal>,
    /// With the other feeds: where they wait for each other.
    pub(super) barrier: Arc<Barrier>,
    /// With whoever collects what they tell.
    pub(super) done: Sender<Log>,
}

/// A port's receive half that never runs dry until its phases are over.
pub(super) struct Feed {
    frames: Arc<Frames>,
    attack: Arc<Frames>,
    fresh: bool,
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
    ties: Ties,
    over: bool,
}

impl Feed {
    /// The feed of worker `w`: every `workers`-th frame, or all.
    pub(super) fn new(setup: &Setup, frames: &Arc<Frames>, w: usize, ties: Ties) -> Self {
        let (first, step) = if setup.same_frames { (0, 1) } else { (w, setup.workers) };
        Self {
            frames: Arc::clone(frames),
            attack: Arc::clone(&setup.attack),
            fresh: setup.fresh,
            order: setup.order,
            first,
            step,
            count: (frames.len() - first).div_ceil(step),
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
            ties,
            over: false,
        }
    }

    /// Time since the first frame.
    fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |s| s.elapsed())
    }

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
        self.ties.signal.marks.fetch_add(1, Relaxed);
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
        let wall = self.elapsed();
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
        let wall = if self.phase == 1 { self.meet() } else { wall };
        self.begin_phase(wall);
        false
    }

    /// Waits until every worker has warmed up, so that all begin to measure at the same time; the warm-up's
    /// last mark is made again. Returns the time.
    fn meet(&mut self) -> Duration {
        self.ties.barrier.wait();
        let wall = self.elapsed();
        self.log.marks.pop();
        self.ties.signal.marks.fetch_sub(1, Relaxed);
        self.mark(wall);
        if let Some(m) = self.log.marks.last_mut() {
            m.phase = 0;
        }
        wall
    }

    /// How many of the next `n` frames are the attack's.
    fn attackers(&mut self, n: usize) -> usize {
        if self.attack.is_empty() {
            return 0;
        }
        match self.phases.get(self.phase).map_or(Pace::None, |p| p.attack) {
            Pace::None => 0,
            Pace::Half => n / 2,
            // The clock is read seldom, or reading it were what costs most.
            Pace::PerSecond(_) if !self.bursts.is_multiple_of(PACE) => 0,
            Pace::PerSecond(rate) => {
                let now = self.elapsed();
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

/// Gives an IPv4 frame other addresses and ports. Checksums are nobody's concern here.
fn randomize(frame: &mut Frame, random: &mut Random) {
    if let Some(tuple) = frame.bytes_mut().get_mut(26..).and_then(<[u8]>::first_chunk_mut::<12>) {
        let (addresses, ports) = (random.next(), random.next() as u32);
        tuple[..8].copy_from_slice(&addresses.to_ne_bytes());
        tuple[8..].copy_from_slice(&ports.to_ne_bytes());
    }
}

pub(super) fn copy(pool: &mut FramePool, bytes: &[u8]) -> Frame {
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
            self.ties.signal.sample.store(false, Relaxed);
            let done = self.ties.signal.done.load(Relaxed);
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
            let _ = self.ties.done.send(log);
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
                let mut frame = copy(pool, self.attack.get(k));
                if self.fresh {
                    randomize(&mut frame, &mut self.random);
                }
                burst.push(frame);
            }
        }
        self.total += own as u64;
        self.attacked += attackers as u64;
        let n = burst.len() - before;
        if sample {
            self.next_sample = self.bursts + SAMPLE / 2 + self.random.below(SAMPLE);
            self.ties.signal.sample.store(true, Relaxed);
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
