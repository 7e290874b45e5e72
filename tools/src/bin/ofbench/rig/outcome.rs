//! What came of a measurement: slices of time and of work, sums over them.

use super::feed::{Log, Mark};
use crate::stats::{Spread, trimmed_mean};
use datapath::cache::CacheStats;
use std::collections::BTreeMap;

/// The least of a sampled burst's figures that are taken for true.
const TRUSTED: f64 = 0.995;

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
            sum += s.cache;
        }
        sum
    }
}

/// What lies between marks.
pub(super) fn slices(log: &Log, caches: &[CacheStats]) -> Vec<Slice> {
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
            cache: after.since(before),
        });
    }
    all
}
