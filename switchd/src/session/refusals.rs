//! How often refused requests are logged: a controller that does nothing but wrong must not fill the disk.

use datapath::clock::Time;
use std::time::Duration;

/// As many are logged at once.
const BURST: u32 = 10;
/// After those, one in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// One connection's allowance.
#[derive(Debug)]
pub struct Refusals {
    left: u32,
    /// When the last one was regained.
    since: Time,
    unsaid: u64,
}

impl Refusals {
    /// A full allowance.
    pub const fn new(now: Time) -> Self {
        Self { left: BURST, since: now, unsaid: 0 }
    }

    /// Whether to log another one: how many weren't logged since the last that was.
    pub fn admit(&mut self, now: Time) -> Option<u64> {
        let regained = now.since(self.since).as_secs() / INTERVAL.as_secs();
        if regained > 0 {
            self.left = u32::try_from(regained).unwrap_or(u32::MAX).saturating_add(self.left).min(BURST);
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.unsaid))
            }
            None => {
                self.unsaid += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_logged_in_part_and_its_size_is_told() {
        let start = Time(5);
        let mut r = Refusals::new(start);
        let logged = (0..1000).filter(|_| r.admit(start).is_some()).count();
        assert_eq!(logged, BURST as usize);
        let later = start + INTERVAL;
        assert_eq!(r.admit(later), Some(1000 - u64::from(BURST)));
        assert_eq!(r.admit(later), None);
        let much_later = later + INTERVAL * 1000;
        assert_eq!((0..1000).filter(|_| r.admit(much_later).is_some()).count(), BURST as usize, "no more is saved up");
    }
}
