//! What this machine's processor and memory allow: one exact table of 64-byte entries, one per flow, found
//! by a hash of fixed header bytes, counted, and nothing else done. No pipeline can be faster with as many
//! flows; measured beside ours it tells the machine's mood, too.

use crate::input::{Frames, Random};
use crate::stats::Spread;
use std::hint::black_box;
use std::time::Duration;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Entry {
    key: [u64; 4],
    packets: u64,
    bytes: u64,
    used: u64,
}

fn word(frame: &[u8], at: usize) -> u64 {
    frame.get(at..).and_then(|b| b.first_chunk::<8>()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// Addresses and ports, tagged or not.
fn key(frame: &[u8]) -> [u64; 4] {
    [word(frame, 0), word(frame, 8), word(frame, 26), word(frame, 34)]
}

fn hash(key: &[u64; 4]) -> u64 {
    let mut h = 0x9e37_79b9_7f4a_7c15u64;
    for k in key {
        h = (h ^ k).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }
    h ^ h >> 32
}

struct Flows {
    entries: Vec<Entry>,
}

impl Flows {
    fn of(frames: &Frames) -> Self {
        let size = (frames.len() * 2).next_power_of_two();
        let mut all = Self { entries: vec![Entry::default(); size] };
        for i in 0..frames.len() {
            let k = key(frames.get(i));
            let at = all.find(&k, hash(&k));
            all.entries[at].key = k;
            all.entries[at].used = 1;
        }
        all
    }

    /// Where the key is, or could be put: the table is at most half full.
    #[inline]
    fn find(&self, key: &[u64; 4], hash: u64) -> usize {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        while self.entries[at].used != 0 && self.entries[at].key != *key {
            at = (at + 1) & mask;
        }
        at
    }
}

fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Million lookups a second of CPU time, in bursts of 32, frames drawn at random and copied before the clock
/// starts. Each run takes about `seconds`.
pub fn measure(frames: &Frames, runs: u16, seconds: f64) -> Spread {
    const BURST: usize = 32;
    const BATCH: usize = 64 * BURST;
    let mut flows = Flows::of(frames);
    let mut random = Random::new(1);
    let mut batch = vec![[0u8; 64]; BATCH];
    let mut rates = Vec::new();
    for run in 0..=runs {
        let (mut spent, mut done) = (Duration::ZERO, 0u64);
        while spent.as_secs_f64() < seconds {
            for slot in &mut batch {
                let frame = frames.get(random.below(frames.len() as u64) as usize);
                let n = frame.len().min(64);
                slot[..n].copy_from_slice(&frame[..n]);
            }
            let start = cpu();
            for burst in batch.chunks_exact(BURST) {
                let mut keys = [([0; 4], 0); BURST];
                for (k, frame) in keys.iter_mut().zip(burst) {
                    k.0 = key(frame);
                    k.1 = hash(&k.0);
                }
                for (k, h) in &keys {
                    let at = flows.find(k, *h);
                    let e = &mut flows.entries[at];
                    e.packets += 1;
                    e.bytes += 64;
                    black_box(at);
                }
            }
            spent += cpu().saturating_sub(start);
            done += BATCH as u64;
        }
        // The first warms the caches.
        if run > 0 {
            rates.push(done as f64 * 1e-6 / spent.as_secs_f64());
        }
    }
    black_box(&flows.entries);
    Spread::of(rates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, make};

    #[test]
    fn every_flow_has_an_entry_of_its_own() {
        let made = make(Scenario::Five, 500);
        let flows = Flows::of(&made.frames);
        assert_eq!(flows.entries.iter().filter(|e| e.used != 0).count(), 500);
        assert!(measure(&made.frames, 1, 0.0001).median > 0.0);
    }
}
