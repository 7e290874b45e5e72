//! A rate for each source of packets for the controllers, kept without a lock.
//!
//! Each source has a bucket, kept as the theoretical arrival time of the generic cell rate algorithm in
//! one word. The sources' table is of fixed size: a place whose bucket is full again is given to the
//! next source that needs one, and should all places near by be busy, two sources share one.
//!
//! Thread-safety: any thread may ask. Two that ask for a new source at once may make two places for it
//! and let it have its burst twice, once.

use super::Source;
use crate::clock::Time;
use ofproto::packet::PacketInReason;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Places for sources.
const PLACES: usize = 1024;
/// Places looked at for one source.
const PROBES: usize = 16;

#[derive(Debug, Default)]
struct Place {
    /// The source, 0 for none.
    source: AtomicU64,
    /// When the bucket is full again, in nanoseconds.
    full_at: AtomicU64,
}

/// The limiter.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Nanoseconds that a packet costs; 0: no limit.
    cost: u64,
    /// Nanoseconds that a bucket may be ahead of the clock.
    ahead: u64,
    places: Box<[Place]>,
}

/// A source as a number, never 0.
fn number((port, table, reason): Source) -> u64 {
    let reason = match reason {
        PacketInReason::TableMiss => 0,
        PacketInReason::ApplyAction => 1,
        PacketInReason::InvalidTtl => 2,
        PacketInReason::ActionSet => 3,
        PacketInReason::Group => 4,
        PacketInReason::PacketOut => 5,
        PacketInReason::Other(n) => 0x100 | u64::from(n),
    };
    u64::from(port.0) << 32 | u64::from(table.0) << 16 | reason << 1 | 1
}

impl Limiter {
    /// `rate` packets a second (0: any number) of each source, `burst` at once.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        let cost = if rate == 0 { 0 } else { 1_000_000_000 / u64::from(rate) };
        let places = if rate == 0 { 0 } else { PLACES };
        let ahead = cost.saturating_mul(u64::from(burst.max(1)));
        Self { cost, ahead, places: (0..places).map(|_| Place::default()).collect() }
    }

    /// Whether one more packet of the source may come.
    pub(super) fn admits(&self, source: Source, now: Time) -> bool {
        if self.cost == 0 {
            return true;
        }
        let Some(place) = self.place(number(source), now) else { return true };
        let mut full_at = place.full_at.load(Relaxed);
        loop {
            let next = full_at.max(now.0).saturating_add(self.cost);
            if next - now.0 > self.ahead {
                return false;
            }
            match place.full_at.compare_exchange_weak(full_at, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => full_at = other,
            }
        }
    }

    fn place(&self, source: u64, now: Time) -> Option<&Place> {
        let start = (source.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PLACES;
        let near = || (0..PROBES).filter_map(|i| self.places.get((start + i) % PLACES));
        if let Some(own) = near().find(|p| p.source.load(Relaxed) == source) {
            return Some(own);
        }
        for place in near() {
            let held = place.source.load(Relaxed);
            let idle = held == 0 || place.full_at.load(Relaxed) <= now.0;
            if idle && place.source.compare_exchange(held, source, Relaxed, Relaxed).is_ok() {
                return Some(place);
            }
        }
        near().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::ids::{PortNo, TableId};

    fn source(port: u32) -> Source {
        (PortNo(port), TableId(0), PacketInReason::TableMiss)
    }

    #[test]
    fn a_source_has_its_burst_then_its_rate_whatever_others_do() {
        let l = Limiter::new(1000, 50);
        let now = Time::from_secs(9);
        assert_eq!((0..10_000).filter(|_| l.admits(source(1), now)).count(), 50);
        assert_eq!((0..10).filter(|_| l.admits(source(2), now)).count(), 10);
        let mut admitted = 0;
        for us in 1..=1_000_000_u64 {
            admitted += usize::from(l.admits(source(1), Time(now.0 + us * 1000)));
        }
        assert_eq!(admitted, 1000);
        let other = (PortNo(1), TableId(1), PacketInReason::TableMiss);
        assert!(l.admits(other, now), "another table is another source");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let l = Limiter::new(0, 0);
        assert!((0..10_000).all(|_| l.admits(source(1), Time::ZERO)));
    }

    #[test]
    fn many_sources_come_and_go() {
        let l = Limiter::new(10, 1);
        for second in 1..10 {
            let now = Time::from_secs(second);
            let ports = second as u32 * 500..second as u32 * 500 + 500;
            let first = ports.clone().filter(|p| l.admits(source(*p), now)).count();
            assert!(first >= 490, "places are given to those who need them: {first}");
            assert_eq!(ports.filter(|p| l.admits(source(*p), now)).count(), 0);
        }
    }
}
