//! Queues as they are configured: a port's share of its speed, in bits per second or per cent.

use ofproto::ids::QueueId;
use std::fmt;
use std::str::FromStr;

/// The highest number that a queue can be given: the kernel's classes have 16-bit numbers, and some are
/// needed besides the queues.
pub const MAX_QUEUE: u32 = 0xffef;

/// A rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// In bits per second.
    Bits(u64),
    /// In tenths of a per cent of the port's speed, 1000 at most, as OpenFlow counts it
    /// (OpenFlow 1.3.5 §7.2.2).
    Tenths(u16),
}

impl Rate {
    /// In bits per second on a port of this speed.
    pub fn bits(self, speed: u64) -> u64 {
        match self {
            Self::Bits(n) => n,
            Self::Tenths(t) => u64::try_from(u128::from(speed) * u128::from(t) / 1000).unwrap_or(u64::MAX),
        }
    }
}

const RATE: &str = "expected bits per second such as `50M` (k, M, G) or a share of the port's speed such as `12.5%`";

/// Most bits per second: far beyond any interface, far from any overflow.
const MAX_RATE: u64 = 100_000_000_000_000;

impl FromStr for Rate {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is no rate; {RATE}");
        let digits =
            |s: &str| -> Option<u64> { s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok()).flatten() };
        if let Some(percent) = s.strip_suffix('%') {
            let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
            let (Some(w), Some(t), 1) = (digits(whole), digits(tenth), tenth.len()) else { return Err(wrong()) };
            let tenths = w.checked_mul(10).and_then(|w| w.checked_add(t)).filter(|n| (1..=1000).contains(n));
            let tenths = tenths.and_then(|n| u16::try_from(n).ok());
            return tenths.map(Self::Tenths).ok_or_else(|| format!("`{s}` can't be; expected 0.1% to 100%"));
        }
        let (number, unit) = match s.as_bytes().last() {
            Some(b'k' | b'K') => (&s[..s.len() - 1], 1000),
            Some(b'M') => (&s[..s.len() - 1], 1_000_000),
            Some(b'G') => (&s[..s.len() - 1], 1_000_000_000),
            _ => (s, 1),
        };
        let bits = digits(number).ok_or_else(wrong)?.checked_mul(unit).filter(|n| (8..=MAX_RATE).contains(n));
        bits.map(Self::Bits).ok_or_else(|| format!("`{s}` can't be; expected 8 to {MAX_RATE} bits per second"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits(n) => write!(f, "{n}"),
            Self::Tenths(t) => write!(f, "{}.{}%", t / 10, t % 10),
        }
    }
}

/// One `--queue`: `PORT:ID[,min-rate=RATE][,max-rate=RATE]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueSpec {
    /// Its port, by name or number.
    pub port: String,
    /// Its number.
    pub id: QueueId,
    /// What it gets whatever the port's other queues do.
    pub min: Option<Rate>,
    /// What it can't exceed.
    pub max: Option<Rate>,
}

/// A queue's number.
pub fn queue_id(s: &str) -> Result<QueueId, String> {
    let n = s.parse::<u32>().ok().filter(|n| *n <= MAX_QUEUE);
    n.map(QueueId).ok_or_else(|| format!("`{s}` is no queue number; expected 0 to {MAX_QUEUE}"))
}

impl QueueSpec {
    /// Sets one of the rates by its name.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let slot = match key {
            "min-rate" => &mut self.min,
            "max-rate" => &mut self.max,
            _ => return Err(format!("unknown queue option `{key}`; expected `min-rate=RATE` or `max-rate=RATE`")),
        };
        if slot.is_some() {
            return Err(format!("`{key}` is given twice"));
        }
        *slot = Some(value.parse()?);
        match (self.min, self.max) {
            (Some(Rate::Bits(a)), Some(Rate::Bits(b))) if a > b => Err(format!("min-rate {a} is above max-rate {b}")),
            (Some(Rate::Tenths(a)), Some(Rate::Tenths(b))) if a > b => {
                Err(format!("min-rate {} is above max-rate {}", Rate::Tenths(a), Rate::Tenths(b)))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for QueueSpec {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let mut parts = s.split(',');
        let head = parts.next().unwrap_or_default();
        let (port, id) = head.rsplit_once(':').filter(|(port, _)| !port.is_empty()).ok_or_else(|| {
            format!(
                "`{head}` names no queue; expected PORT:ID[,min-rate=RATE][,max-rate=RATE], such as eth1:1,max-rate=50M"
            )
        })?;
        let mut spec = Self { port: port.to_owned(), id: queue_id(id)?, min: None, max: None };
        for option in parts {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            spec.set(key, value)?;
        }
        Ok(spec)
    }
}

impl fmt::Display for QueueSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.port, self.id.0)?;
        if let Some(r) = self.min {
            write!(f, ",min-rate={r}")?;
        }
        if let Some(r) = self.max {
            write!(f, ",max-rate={r}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_read_and_print() {
        let q: QueueSpec = "eth1:1,min-rate=2.5%,max-rate=50M".parse().unwrap();
        assert_eq!((q.min, q.max), (Some(Rate::Tenths(25)), Some(Rate::Bits(50_000_000))));
        assert_eq!(q.to_string(), "eth1:1,min-rate=2.5%,max-rate=50000000");
        assert_eq!(q.to_string().parse(), Ok(q));
        assert_eq!(Rate::Tenths(25).bits(1_000_000_000), 25_000_000);
        assert_eq!("3:0".parse::<QueueSpec>().unwrap().port, "3");
    }

    #[test]
    fn a_bad_queue_says_what_was_expected() {
        for (text, why) in [
            ("", "expected PORT:ID"),
            ("eth1", "expected PORT:ID"),
            (":1", "expected PORT:ID"),
            ("eth1:x", "0 to 65519"),
            ("eth1:65520", "0 to 65519"),
            ("eth1:1,max-rate=fast", "is no rate"),
            ("eth1:1,max-rate=", "is no rate"),
            ("eth1:1,max-rate=+5M", "is no rate"),
            ("eth1:1,max-rate=0", "8 to"),
            ("eth1:1,max-rate=18446744073709551615G", "8 to"),
            ("eth1:1,max-rate=100.1%", "0.1% to 100%"),
            ("eth1:1,max-rate=1.25%", "is no rate"),
            ("eth1:1,min-rate=2M,max-rate=1M", "above"),
            ("eth1:1,min-rate=2M,min-rate=1M", "twice"),
            ("eth1:1,prio=2", "unknown queue option `prio`"),
        ] {
            let e = text.parse::<QueueSpec>().unwrap_err();
            assert!(e.contains(why), "{text}: {e}");
        }
    }
}
