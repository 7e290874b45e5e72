//! 1.5's stat-trigger instruction: thresholds on an entry's own statistics (OpenFlow 1.5.1 §5.5, §7.2.5).
//!
//! Nothing of it runs where packets are: control looks at the counters now and then and compares.

use ofproto::stats::FlowStat;
use ofproto::{ErrorKind as E, OfError};

/// `OFPSTF_PERIODIC` and `OFPSTF_ONLY_FIRST`
const PERIODIC: u32 = 1;
const ONLY_FIRST: u32 = 2;

/// Most thresholds of one entry.
const MAX_THRESHOLDS: usize = 32;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Nanoseconds since the entry was added.
    Duration,
    /// Nanoseconds since its last packet.
    Idle,
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
}

/// A statistic and the value to pass, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What.
    pub of: Statistic,
    /// How much, more than 0.
    pub value: u64,
}

/// A stat-trigger instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatTrigger {
    /// Every multiple of a threshold counts, not only the threshold.
    pub periodic: bool,
    /// The threshold passed first is the only one from then on.
    pub only_first: bool,
    /// The thresholds, in the controller's order.
    pub thresholds: Box<[Threshold]>,
}

impl StatTrigger {
    /// Checks an instruction.
    ///
    /// # Errors
    /// `OFPBIC_UNSUP_INST`: no code is more specific for flags and statistics that a flow entry lacks.
    pub fn new(flags: u32, thresholds: &[FlowStat]) -> Result<Self, OfError> {
        let err = |field, why: String| Err(OfError::new(E::BadInstructionUnsupInst, field, why));
        let unknown = flags & !(PERIODIC | ONLY_FIRST);
        if unknown != 0 {
            return err("flags", format!("bits {unknown:#x} of a stat-trigger are not defined"));
        }
        if thresholds.len() > MAX_THRESHOLDS {
            return err("thresholds", format!("{} of them; {MAX_THRESHOLDS} are the most", thresholds.len()));
        }
        let nanoseconds = |s: u32, n: u32| u64::from(s) * 1_000_000_000 + u64::from(n);
        let mut all = Vec::with_capacity(thresholds.len());
        for t in thresholds {
            let (of, value) = match t {
                FlowStat::Duration(s, n) => (Statistic::Duration, nanoseconds(*s, *n)),
                FlowStat::IdleTime(s, n) => (Statistic::Idle, nanoseconds(*s, *n)),
                FlowStat::PacketCount(n) => (Statistic::Packets, *n),
                FlowStat::ByteCount(n) => (Statistic::Bytes, *n),
                FlowStat::FlowCount(_) => return err("thresholds", "a flow entry has no flow_count".into()),
                FlowStat::Unknown(class, field, _) => {
                    let field = field >> 1;
                    return err("thresholds", format!("class {class:#06x} field {field} is no statistic known here"));
                }
            };
            if value == 0 {
                return err("thresholds", format!("{of:?}: 0 can't be passed"));
            }
            all.push(Threshold { of, value });
        }
        Ok(Self { periodic: flags & PERIODIC != 0, only_first: flags & ONLY_FIRST != 0, thresholds: all.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let bad = |flags, t: &[FlowStat]| StatTrigger::new(flags, t).unwrap_err().kind;
        assert_eq!(bad(4, &[FlowStat::PacketCount(1)]), E::BadInstructionUnsupInst);
        assert_eq!(bad(0, &[FlowStat::FlowCount(1)]), E::BadInstructionUnsupInst);
        assert_eq!(bad(0, &[FlowStat::Unknown(0x8002, 12, Vec::new().into())]), E::BadInstructionUnsupInst);
        assert_eq!(bad(0, &[FlowStat::ByteCount(0)]), E::BadInstructionUnsupInst);
        assert_eq!(bad(0, &vec![FlowStat::ByteCount(1); 33]), E::BadInstructionUnsupInst);
        let t = StatTrigger::new(3, &[FlowStat::Duration(1, 5), FlowStat::PacketCount(7)]).unwrap();
        assert!(t.periodic && t.only_first);
        assert_eq!(t.thresholds[0], Threshold { of: Statistic::Duration, value: 1_000_000_005 });
        assert_eq!(t.thresholds[1], Threshold { of: Statistic::Packets, value: 7 });
    }
}
