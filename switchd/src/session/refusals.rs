//! How often refused requests are logged: a controller that does nothing but wrong must not fill the disk.

use datapath::clock::Time;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// As many are logged at once, of one connection and of all together.
const BURST: u32 = 10;
const BURST_OF_ALL: u32 = 30;
/// After those, one in this time.
const INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL_OF_ALL: Duration = Duration::from_secs(2);

/// A bucket of allowed lines.
#[derive(Debug)]
struct Allowance {
    left: u32,
    most: u32,
    interval: Duration,
    /// When the last one was regained.
    since: Time,
}

impl Allowance {
    const fn new(now: Time, most: u32, interval: Duration) -> Self {
        Self { left: most, most, interval, since: now }
    }

    fn take(&mut self, now: Time) -> bool {
        let regained = now.since(self.since).as_millis() / self.interval.as_millis();
        if regained > 0 {
            self.left = u32::try_from(regained).unwrap_or(u32::MAX).saturating_add(self.left).min(self.most);
            self.since = now;
        }
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

/// All connections' allowance: a peer that connects again and again has no new one each time.
#[derive(Clone, Debug)]
pub struct SharedRefusals(Arc<Mutex<Allowance>>);

impl Default for SharedRefusals {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Allowance::new(Time::ZERO, BURST_OF_ALL, INTERVAL_OF_ALL))))
    }
}

/// One connection's allowance.
#[derive(Debug)]
pub struct Refusals {
    own: Allowance,
    unsaid: u64,
}

impl Refusals {
    /// A full allowance.
    pub const fn new(now: Time) -> Self {
        Self { own: Allowance::new(now, BURST, INTERVAL), unsaid: 0 }
    }

    /// Whether to log another one: how many weren't logged since the last that was.
    pub fn admit(&mut self, all: &SharedRefusals, now: Time) -> Option<u64> {
        if self.own.take(now) && all.0.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Some(std::mem::take(&mut self.unsaid));
        }
        self.unsaid += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_logged_in_part_and_its_size_is_told() {
        let start = Time(5);
        let all = SharedRefusals::default();
        let mut r = Refusals::new(start);
        let logged = (0..1000).filter(|_| r.admit(&all, start).is_some()).count();
        assert_eq!(logged, BURST as usize);
        let later = start + INTERVAL;
        assert_eq!(r.admit(&all, later), Some(1000 - u64::from(BURST)));
        assert_eq!(r.admit(&all, later), None);
        let much_later = later + INTERVAL * 1000;
        let logged = (0..1000).filter(|_| r.admit(&all, much_later).is_some()).count();
        assert_eq!(logged, BURST as usize, "no more is saved up");
    }

    #[test]
    fn connecting_again_gains_nothing() {
        let all = SharedRefusals::default();
        let storm = |now| (0..1000).filter(|_| Refusals::new(now).admit(&all, now).is_some()).count();
        assert_eq!(storm(Time(5)), BURST_OF_ALL as usize);
        assert_eq!(storm(Time(5) + INTERVAL_OF_ALL * 3), 3);
    }
}
