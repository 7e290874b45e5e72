//! Whether the bridge's thread looks for more to do for a moment before it sleeps: answers often come sooner than
//! a sleeping thread wakes up.
//!
//! It is only worth the processor's time while it succeeds. Each success buys some further tries; without
//! any left only one sleep in many is put off, so that a connection with a message now and then costs next to
//! nothing, and a silent one nothing at all.

use std::time::Duration;

/// Unless told otherwise.
pub const DEFAULT: Duration = Duration::from_micros(20);

/// Tries that a success buys, and the most in stock.
const GAIN: u8 = 4;
const STOCK: u8 = 32;
/// Without any in stock, one of so many.
const SELDOM: u8 = 32;

/// The decision.
#[derive(Debug)]
pub struct Spin {
    limit: Duration,
    stock: u8,
    left_out: u8,
}

impl Spin {
    /// Spinning takes at most `limit` at a time.
    pub fn new(limit: Duration) -> Self {
        Self { limit, stock: STOCK, left_out: 0 }
    }

    /// How long to look before the next sleep.
    pub fn time(&mut self) -> Duration {
        if self.stock == 0 {
            self.left_out += 1;
            if self.left_out < SELDOM {
                return Duration::ZERO;
            }
            self.left_out = 0;
        }
        self.limit
    }

    /// Something came in that time, or nothing.
    pub fn ended(&mut self, found: bool) {
        self.stock = if found { (self.stock + GAIN).min(STOCK) } else { self.stock.saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_success_it_is_seldom_tried_and_with_it_again() {
        let mut spin = Spin::new(DEFAULT);
        let mut tries = |found: bool, times: usize| {
            let mut n = 0;
            for _ in 0..times {
                if !spin.time().is_zero() {
                    n += 1;
                    spin.ended(found);
                }
            }
            n
        };
        assert_eq!(tries(false, 32 + 320), 32 + 10);
        assert_eq!(tries(true, 100), 100 - 31, "the first success is one of the rare tries");
        let mut off = Spin::new(Duration::ZERO);
        assert!((0..100).all(|_| off.time().is_zero()));
    }
}
