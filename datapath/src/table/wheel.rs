//! A hierarchical timing wheel for timeouts: 50 ms ticks, three levels of 256.
//!
//! Items are re-armed lazily: the owner looks at a due item, and puts it back if its time has moved
//! (an idle timeout of an entry that was used). Time never goes backwards here; a jump forwards
//! only makes more items due, and costs no more than the items there are.

use crate::clock::Time;

const TICK: u64 = 50_000_000;
const SLOTS: u64 = 256;
const LEVELS: usize = 3;
/// Ticks that are gone through one by one, however few items there are.
const STRIDE: u64 = 4096;

pub(crate) struct Wheel<T> {
    /// The tick that the next call of `due` looks at first.
    now: u64,
    levels: [Vec<Vec<(u64, T)>>; LEVELS],
    /// Due and not yet handed out.
    ready: Vec<T>,
    len: usize,
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            levels: std::array::from_fn(|_| (0..SLOTS).map(|_| Vec::new()).collect()),
            ready: Vec::new(),
            len: 0,
        }
    }

    /// Forgets all items; time stays where it is, or the next [`due`](Self::due) would go through all of it again.
    pub(crate) fn clear(&mut self) {
        *self = Self { now: self.now, ..Self::new() };
    }

    /// Items waiting.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes `item` due at `at`, or within a tick after.
    pub(crate) fn arm(&mut self, at: Time, item: T) {
        self.len += 1;
        // Rounded up, so that nothing is due early.
        self.put(at.0.div_ceil(TICK), item);
    }

    fn put(&mut self, tick: u64, item: T) {
        if tick <= self.now {
            self.ready.push(item);
            return;
        }
        // The level at which the wheel comes by before the item is due.
        for level in 0..LEVELS {
            let unit = SLOTS.pow(level as u32);
            if tick / unit - self.now / unit < SLOTS || level == LEVELS - 1 {
                let furthest = (self.now / unit) + SLOTS - 1;
                let place = (tick / unit).min(furthest) % SLOTS;
                self.levels[level][place as usize].push((tick, item));
                return;
            }
        }
    }

    /// Places everything anew as seen from `target`.
    fn leap(&mut self, target: u64) {
        self.now = target;
        let levels = std::mem::replace(&mut self.levels, Self::new().levels);
        for (tick, item) in levels.into_iter().flatten().flatten() {
            self.put(tick, item);
        }
    }

    /// Takes out at most `budget` items due at `now`; whether more are.
    pub(crate) fn due(&mut self, now: Time, budget: usize, out: &mut Vec<T>) -> bool {
        let target = now.0 / TICK;
        if self.len == 0 {
            self.now = self.now.max(target);
            return false;
        }
        if target.saturating_sub(self.now) > STRIDE + self.len as u64 {
            self.leap(target);
        }
        while self.ready.len() < budget && self.now < target {
            self.now += 1;
            // Higher levels cascade when the lower one has come round.
            for level in (1..LEVELS).rev() {
                let unit = SLOTS.pow(level as u32);
                if self.now.is_multiple_of(unit) {
                    let place = (self.now / unit % SLOTS) as usize;
                    for (tick, item) in std::mem::take(&mut self.levels[level][place]) {
                        self.put(tick, item);
                    }
                }
            }
            let place = (self.now % SLOTS) as usize;
            for (tick, item) in std::mem::take(&mut self.levels[0][place]) {
                self.put(tick, item);
            }
        }
        let n = self.ready.len().min(budget);
        out.extend(self.ready.drain(..n));
        self.len -= n;
        if self.ready.is_empty() {
            self.ready.shrink_to(1024);
        }
        !self.ready.is_empty() || self.now < target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_everything_in_time_and_nothing_early() {
        let mut wheel = Wheel::new();
        let mut x = 1u64;
        let mut all = Vec::new();
        for _ in 0..5000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Up to 18.2 h, the longest timeout there is, with many short ones.
            let at = Time::from_millis((x >> 20) % if x & 1 == 0 { 65_535_000 } else { 90_000 });
            all.push(at);
            wheel.arm(at, at);
        }
        let mut got = 0;
        let mut now = Time::ZERO;
        let mut out = Vec::new();
        while got < all.len() {
            now = Time(now.0 + TICK * (1 + got as u64 % 40));
            while wheel.due(now, 100, &mut out) {}
            for at in out.drain(..) {
                assert!(at <= now, "early");
                assert!(now.0 - at.0 <= TICK * 42, "late by {} ms", (now.0 - at.0) / 1_000_000);
                got += 1;
            }
            assert!(now < Time::from_secs(70_000), "{got} of {}", all.len());
        }
        assert_eq!(wheel.len(), 0);
    }

    /// As when a virtual machine goes on after months.
    #[test]
    fn a_leap_of_the_clock_costs_what_there_is() {
        let mut wheel = Wheel::new();
        let start = Time::from_secs(7);
        let mut out = Vec::new();
        wheel.due(start, 10, &mut out);
        for s in 1..=65_535u64 {
            wheel.arm(start + std::time::Duration::from_secs(s), s);
        }
        // Half are due, and go by the budget; the others keep their time.
        let half = start + std::time::Duration::from_secs(32_000);
        while wheel.due(half, 1000, &mut out) {}
        out.sort_unstable();
        assert_eq!(out, (1..=32_000).collect::<Vec<_>>());
        out.clear();
        // A century, tick by tick, would be sixty thousand million of them.
        let century = Time::from_secs(100 * 365 * 86_400);
        while wheel.due(century, 1000, &mut out) {}
        out.sort_unstable();
        assert_eq!(out, (32_001..=65_535).collect::<Vec<_>>());
        wheel.arm(century + std::time::Duration::from_secs(1), 1);
        out.clear();
        wheel.due(century + std::time::Duration::from_millis(900), 10, &mut out);
        assert!(out.is_empty());
        wheel.due(century + std::time::Duration::from_secs(1), 10, &mut out);
        assert_eq!(out, [1]);
    }

    #[test]
    fn a_cleared_wheel_does_not_go_through_the_past_again() {
        let mut wheel = Wheel::new();
        let mut out = Vec::new();
        let now = Time::from_secs(90 * 86_400);
        // With nothing to wait for, time passes at once.
        wheel.due(now, 10, &mut out);
        wheel.arm(now + std::time::Duration::from_secs(9), 2);
        wheel.clear();
        assert_eq!((wheel.len(), wheel.now), (0, now.0 / TICK));
        wheel.arm(now + std::time::Duration::from_secs(1), 3);
        wheel.due(now + std::time::Duration::from_millis(900), 10, &mut out);
        assert!(out.is_empty());
        wheel.due(now + std::time::Duration::from_secs(1), 10, &mut out);
        assert_eq!(out, [3]);
    }
}
