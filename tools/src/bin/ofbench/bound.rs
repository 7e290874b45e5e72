//! What this machine's processor and memory allow: one exact table of 64-byte entries, one per flow.
//!
//! A frame of 64 bytes is read, 27 bytes of it (addresses, ethertype, protocol, ports) make a key, the key is
//! hashed and found by linear probing, its flow's packets and bytes are counted and its output port is written down.
//! Frames come in their own order, over and over, in bursts of 32 whose table lines are asked for first; frames and
//! table lie on huge pages. No pipeline does less, and none can be faster with as many flows.
//!
//! It is the work of the program whose figures are kept in [`RECORDED`], so that the two tell how much of their machine
//! this one is.

use crate::scenario::{Scenario, make};
use datapath::classifier::prefetch;
use datapath::sys::huge_pages;
use std::hint::black_box;
use std::time::Duration;

/// What a program of the same work did on the machine and at the clock (4.05 to 4.4 GHz) with which the goals were set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// Flows of [`Scenario::Five`].
    pub flows: usize,
    /// Million lookups a second.
    pub mpps: f64,
    /// What this program reaches of that one's rate, which was built for one processor and makes and compares keys by
    /// its widest instructions: measured beside each other, in turns.
    share: f64,
}

impl Recorded {
    /// How much of that machine this one is, by what was measured here.
    pub fn machine(&self, mpps: f64) -> f64 {
        mpps / (self.mpps * self.share)
    }
}

const fn recorded(flows: usize, mpps: f64, share: f64) -> Recorded {
    Recorded { flows, mpps, share }
}

/// By flows.
pub const RECORDED: [Recorded; 5] = [
    recorded(1, 275.0, 0.88),
    recorded(1000, 337.0, 0.81),
    recorded(10_000, 343.0, 0.81),
    recorded(100_000, 128.0, 0.73),
    recorded(1_000_000, 42.0, 0.85),
];

/// The recorded figure to compare with where so many flows are measured: that of as many, or the next.
pub fn nearest(flows: usize) -> Recorded {
    RECORDED.into_iter().find(|r| r.flows >= flows).unwrap_or(RECORDED[RECORDED.len() - 1])
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Entry {
    key: [u64; 4],
    packets: u64,
    bytes: u64,
    /// Odd; 0: there is no entry.
    hash: u32,
    port: u32,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Packet([u8; 64]);

const BURST: usize = 32;

#[inline]
fn word<const AT: usize>(p: &Packet) -> u64 {
    p.0[AT..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

/// Of an untagged IPv4 packet.
#[inline]
fn key_of(p: &Packet) -> [u64; 4] {
    [word::<0>(p), word::<6>(p), word::<26>(p), word::<34>(p) << 32 | u64::from(p.0[23])]
}

#[inline]
fn hash_of(k: &[u64; 4]) -> u32 {
    let mixed = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let h = mixed(k[0] ^ 0x9e37_79b9_7f4a_7c15, k[1] ^ 0xff51_afd7_ed55_8ccd)
        ^ mixed(k[2] ^ 0xc4ce_b9fe_1a85_ec53, k[3] ^ 0x2545_f491_4f6c_dd1d);
    // As where the recorded figures come from: the mark is part of the place, so that every second is a home.
    (h ^ h >> 32) as u32 | 1
}

/// What is made of a burst.
#[derive(Default)]
struct Made {
    keys: [[u64; 4]; BURST],
    hashes: [u32; BURST],
    ports: [u32; BURST],
}

/// The frames and their table.
pub struct Bound {
    packets: Vec<Packet>,
    entries: Vec<Entry>,
    next: usize,
}

fn on_huge_pages<T>(n: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(n);
    huge_pages(all.spare_capacity_mut());
    all
}

impl Bound {
    /// With so many flows.
    pub fn new(flows: usize) -> Self {
        let frames = make(Scenario::Five, flows).frames;
        let mut packets = on_huge_pages(frames.len());
        packets.extend((0..frames.len()).filter_map(|i| Some(Packet(*frames.get(i).first_chunk()?))));
        let size = (packets.len() * 2).next_power_of_two().max(64);
        let mut entries = on_huge_pages(size);
        entries.resize(size, Entry::default());
        let mut all = Self { packets, entries, next: 0 };
        for i in 0..all.packets.len() {
            let key = key_of(&all.packets[i]);
            let hash = hash_of(&key);
            let at = find(&all.entries, &key, hash);
            all.entries[at] = Entry { key, hash, port: at as u32 & 7, ..all.entries[at] };
        }
        all
    }

    /// A burst: the ports that its packets go to.
    #[inline]
    fn burst(&mut self, made: &mut Made) {
        let (packets, entries) = (self.packets.as_slice(), self.entries.as_mut_slice());
        let mut next = self.next;
        for (key, hash) in made.keys.iter_mut().zip(&mut made.hashes) {
            let Some(packet) = packets.get(next) else { return };
            next = if next + 1 == packets.len() { 0 } else { next + 1 };
            *key = key_of(packet);
            *hash = hash_of(key);
            prefetch(&raw const entries[*hash as usize & (entries.len() - 1)]);
        }
        self.next = next;
        for ((key, hash), port) in made.keys.iter().zip(&made.hashes).zip(&mut made.ports) {
            let at = find(entries, key, *hash);
            let e = &mut entries[at];
            e.packets += 1;
            e.bytes += 64;
            *port = e.port;
        }
    }

    /// Million lookups a second of CPU time, over at least so many seconds.
    pub fn measure(&mut self, seconds: f64) -> f64 {
        const BETWEEN: usize = 2048;
        let (mut made, start, mut done) = (Made::default(), cpu(), 0u64);
        loop {
            for _ in 0..BETWEEN {
                self.burst(&mut made);
                black_box(&made.ports);
            }
            done += (BETWEEN * BURST) as u64;
            let spent = cpu().saturating_sub(start).as_secs_f64();
            if spent >= seconds {
                return done as f64 * 1e-6 / spent;
            }
        }
    }
}

/// Where the key is, or could be put: the table is at most half full.
#[inline]
fn find(entries: &[Entry], key: &[u64; 4], hash: u32) -> usize {
    let mask = entries.len() - 1;
    let mut at = hash as usize & mask;
    while entries[at].hash != 0 && (entries[at].hash != hash || differ(&entries[at].key, key)) {
        at = (at + 1) & mask;
    }
    at
}

/// Without jumps.
#[inline]
fn differ(a: &[u64; 4], b: &[u64; 4]) -> bool {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) != 0
}

fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_has_an_entry_of_its_own_and_every_frame_is_counted() {
        let mut bound = Bound::new(500);
        assert_eq!(bound.entries.iter().filter(|e| e.hash != 0).count(), 500);
        for _ in 0..125 {
            bound.burst(&mut Made::default());
        }
        assert!(bound.entries.iter().all(|e| (e.packets, e.bytes) == if e.hash == 0 { (0, 0) } else { (8, 512) }));
        assert!(bound.measure(0.0001) > 0.0);
    }

    #[test]
    fn keys_hold_what_tells_flows_apart_and_nothing_else() {
        let frames = make(Scenario::Five, 1).frames;
        let packet = Packet(*frames.get(0).first_chunk().unwrap());
        let in_key: Vec<usize> = (0..64)
            .filter(|i| {
                let mut other = packet;
                other.0[*i] ^= 1;
                key_of(&other) != key_of(&packet)
            })
            .collect();
        let wanted: Vec<usize> = (0..14).chain([23]).chain(26..38).collect();
        assert_eq!(in_key, wanted);
    }

    #[test]
    fn a_recorded_figure_is_that_of_as_many_flows_or_the_next() {
        assert_eq!([1, 100, 1000, 5_000_000].map(|n| nearest(n).flows), [1, 1000, 1000, 1_000_000]);
        assert_eq!(nearest(100_000).machine(46.72), 0.5);
    }
}
