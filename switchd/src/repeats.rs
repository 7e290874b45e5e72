//! Failures of what is tried again and again, so that a log has each reason and not each attempt.

/// What one thing that is tried again failed of, in a row. One owner.
#[derive(Debug, Default)]
pub struct Repeats {
    reason: String,
    times: u64,
}

impl Repeats {
    /// It failed again: how often for this reason in a row, this time included.
    pub fn note(&mut self, reason: &str) -> u64 {
        if self.reason != reason {
            self.reason = reason.to_owned();
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        self.times
    }

    /// It works: the next failure is a new one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_counts_until_another_comes_or_it_works() {
        let mut r = Repeats::default();
        assert_eq!(["a", "a", "b", "a", "a"].map(|reason| r.note(reason)), [1, 2, 1, 1, 2]);
        r.reset();
        assert_eq!(r.note("a"), 1);
    }
}
