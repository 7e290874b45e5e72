//! How long to wait before dialling again (OpenFlow 1.3.5 §6.3.4: growing intervals).

use std::time::Duration;

/// Doubling waits with jitter, so that many switches that lost one controller don't come back at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    /// Waits from `first` up to `most`; `seed` makes switches differ.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most: most.max(first), next: first, random: seed | 1 }
    }

    /// The next wait: between half of it and all of it.
    pub fn wait(&mut self) -> Duration {
        // xorshift64: spread, not secrecy, is what matters here.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.most);
        let part = u32::try_from(self.random % 1024).unwrap_or(0);
        full / 2 + (full / 2) * part / 1024
    }

    /// A connection came to life: begin from the first wait again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_start_again() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(8));
        let mut b = Backoff::new(first, most, 42);
        for full in [1, 2, 4, 8, 8, 8] {
            let full = Duration::from_secs(full);
            let w = b.wait();
            assert!(w >= full / 2 && w <= full, "{w:?} of {full:?}");
        }
        b.reset();
        assert!(b.wait() <= first);
    }

    #[test]
    fn seeds_spread_the_waits() {
        let waits: std::collections::HashSet<_> =
            (0..100).map(|s| Backoff::new(Duration::from_secs(1), Duration::from_secs(1), s * 977).wait()).collect();
        assert!(waits.len() > 40, "{}", waits.len());
    }
}
