//! Medians and spreads.

use serde_json::{Value, json};

/// What several runs gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many.
    pub runs: usize,
}

impl Spread {
    /// Of these figures; all zero if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.into_iter().filter(|f| f.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (all.first(), all.last()) else { return Self::default() };
        let (min, max, mid) = (*min, *max, all.len() / 2);
        let median = if all.len() % 2 == 1 { all[mid] } else { (all[mid - 1] + all[mid]) / 2.0 };
        Self { median, min, max, runs: all.len() }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({ "median": round(self.median), "min": round(self.min), "max": round(self.max), "runs": self.runs })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n = if self.median >= 100.0 {
            0
        } else if self.median >= 10.0 {
            1
        } else {
            2
        };
        write!(f, "{:.n$}", self.median)?;
        if self.runs > 1 {
            write!(f, " ({:.n$}-{:.n$})", self.min, self.max)?;
        }
        Ok(())
    }
}

/// Four digits are more than a measurement is worth.
pub fn round(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(3 - x.abs().log10().floor() as i32);
    (x * scale).round() / scale
}

/// The mean of what lies below the given share of the sorted figures: a thread that was stopped in the
/// middle of a sample leaves a figure a thousand times too large.
pub fn trimmed_mean(figures: &mut [u64], keep: f64) -> f64 {
    figures.sort_unstable();
    let n = (figures.len() as f64 * keep).ceil() as usize;
    let kept = &figures[..n.min(figures.len())];
    if kept.is_empty() { 0.0 } else { kept.iter().sum::<u64>() as f64 / kept.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0, runs: 3 });
        assert_eq!(Spread::of([3.0, 1.0]).median, 2.0);
        assert_eq!(Spread::of([f64::NAN]), Spread::default());
        assert_eq!(Spread::of([12.34, 11.0, 15.0]).to_string(), "12.3 (11.0-15.0)");
        assert_eq!(Spread::of([0.5]).to_string(), "0.50");
    }

    #[test]
    fn rounding_keeps_four_digits() {
        assert_eq!((round(123_456.0), round(0.001_234_56), round(0.0)), (123_500.0, 0.001_235, 0.0));
    }

    #[test]
    fn outliers_are_left_out() {
        let mut f: Vec<u64> = vec![10; 199];
        f.push(1_000_000);
        assert_eq!(trimmed_mean(&mut f, 0.995), 10.0);
        assert_eq!(trimmed_mean(&mut [], 0.9), 0.0);
    }
}
