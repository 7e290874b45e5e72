//! `OFPP_NORMAL`: a learning switch, per VLAN.
//!
//! Bounded and aged by the time that packets bring. Thread-safety: 64 shards, each behind its own short
//! lock; a packet takes one or two of them.

use crate::clock::Time;
use hashbrown::HashMap;
use ofproto::ids::{MacAddr, PortNo};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 64;

/// By VLAN and address.
type Shard = HashMap<(u16, u64), Learnt>;

#[derive(Clone, Copy, Debug)]
struct Learnt {
    port: PortNo,
    seen: Time,
}

/// Which port an address was last seen on.
#[derive(Debug)]
pub struct MacTable {
    shards: Box<[Mutex<Shard>]>,
    per_shard: usize,
    ageing: Duration,
}

/// What is known of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Behind this port.
    Port(PortNo),
    /// Not known, or a group address: flood.
    Flood,
}

fn number(mac: MacAddr) -> u64 {
    mac.0.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl MacTable {
    /// A table of at most `entries` addresses that are forgotten `ageing` after their last packet
    /// (802.1D's default is 300 s).
    pub fn new(entries: usize, ageing: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_shard: entries.div_ceil(SHARDS).max(1),
            ageing,
        }
    }

    fn shard(&self, vlan: u16, mac: u64) -> &Mutex<Shard> {
        let h = (mac ^ u64::from(vlan) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        &self.shards[h as usize % SHARDS]
    }

    /// Learns a source address. Group addresses are not learnt. When a shard is full the entry that was
    /// quiet longest makes room, but only if it has been quiet for a second: a flood of invented
    /// addresses can't push out busy ones.
    pub fn learn(&self, vlan: u16, src: MacAddr, port: PortNo, now: Time) {
        if src.0[0] & 1 != 0 || src.0 == [0; 6] {
            return;
        }
        let mac = number(src);
        let mut shard = self.shard(vlan, mac).lock().unwrap_or_else(PoisonError::into_inner);
        let full = shard.len() >= self.per_shard;
        if let Some(known) = shard.get_mut(&(vlan, mac)) {
            *known = Learnt { port, seen: now };
            return;
        }
        if full {
            let oldest = shard.iter().min_by_key(|(_, l)| l.seen).map(|(k, l)| (*k, l.seen));
            match oldest {
                Some((key, seen)) if now.since(seen) >= Duration::from_secs(1) => drop(shard.remove(&key)),
                _ => return,
            }
        }
        shard.insert((vlan, mac), Learnt { port, seen: now });
    }

    /// Where a destination is.
    pub fn find(&self, vlan: u16, dst: MacAddr, now: Time) -> Where {
        if dst.0[0] & 1 != 0 {
            return Where::Flood;
        }
        let mac = number(dst);
        let shard = self.shard(vlan, mac).lock().unwrap_or_else(PoisonError::into_inner);
        match shard.get(&(vlan, mac)) {
            Some(l) if now.since(l.seen) < self.ageing => Where::Port(l.port),
            _ => Where::Flood,
        }
    }

    /// Forgets what is too old; for control's timer.
    pub fn age(&self, now: Time) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, l| now.since(l.seen) < self.ageing);
        }
    }

    /// Forgets the addresses behind a port that went down or away.
    pub fn forget_port(&self, port: PortNo) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, l| l.port != port);
        }
    }

    /// Everything known: VLAN (0: untagged), address, port, when it was last seen.
    pub fn dump(&self) -> Vec<(u16, MacAddr, PortNo, Time)> {
        let mut all: Vec<_> = self
            .shards
            .iter()
            .flat_map(|s| {
                let s = s.lock().unwrap_or_else(PoisonError::into_inner);
                s.iter().map(|((v, m), l)| (*v, mac(*m), l.port, l.seen)).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        all
    }
}

fn mac(n: u64) -> MacAddr {
    let b = n.to_be_bytes();
    MacAddr([b[2], b[3], b[4], b[5], b[6], b[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn learns_moves_ages_and_keeps_vlans_apart() {
        let t = MacTable::new(1000, Duration::from_secs(300));
        t.learn(0, A, PortNo(1), Time::ZERO);
        assert_eq!(t.find(0, A, Time::from_secs(299)), Where::Port(PortNo(1)));
        assert_eq!(t.find(5, A, Time::ZERO), Where::Flood);
        t.learn(0, A, PortNo(2), Time::from_secs(200));
        assert_eq!(t.find(0, A, Time::from_secs(400)), Where::Port(PortNo(2)));
        assert_eq!(t.find(0, A, Time::from_secs(500)), Where::Flood);
        t.age(Time::from_secs(500));
        assert!(t.dump().is_empty());
        t.learn(0, MacAddr([0xff; 6]), PortNo(1), Time::ZERO);
        assert!(t.dump().is_empty());
        t.learn(7, A, PortNo(3), Time::ZERO);
        t.forget_port(PortNo(3));
        assert_eq!(t.find(7, A, Time::ZERO), Where::Flood);
    }

    #[test]
    fn a_flood_of_addresses_stays_within_bounds_and_spares_busy_ones() {
        let t = MacTable::new(640, Duration::from_secs(300));
        t.learn(0, A, PortNo(1), Time::ZERO);
        for i in 0..100_000u32 {
            let b = i.to_be_bytes();
            t.learn(0, MacAddr([6, 0, b[0], b[1], b[2], b[3]]), PortNo(2), Time::from_millis(500));
        }
        assert!(t.dump().len() <= 640);
        assert_eq!(t.find(0, A, Time::from_millis(500)), Where::Port(PortNo(1)));
    }
}
