//! Meters: immutable configuration in cheap snapshots, token buckets that workers share without locks
//! (OpenFlow 1.3.5 §5.7, §7.3.4.4; 1.5.1 §5.11).
//!
//! Each band has one bucket, kept as the *theoretical arrival time* of the generic cell rate
//! algorithm: one 64-bit word that workers advance by compare-and-swap, so that a meter's rate holds
//! over all workers together. A packet is offered to the bands from the highest rate down; the first
//! band whose bucket can't take it is the one that acts (the highest exceeded band), and bands below
//! it are not charged for a packet that a band above has taken out of their traffic.
//!
//! Time is in 1/64 ns, so that a cost of a small packet at 100 Gb/s keeps two digits; the word lasts
//! nine years from the clock's origin.

use crate::clock::Time;
use crate::engine::counter::{Counter, Writer};
use crate::group_shards::Shards;
use ofproto::ids::MeterId;
use ofproto::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use ofproto::{ErrorKind, OfError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Most meters unless told otherwise.
pub const MAX_METERS: u32 = 65_536;
/// Most bands of a meter.
pub const MAX_BANDS: u8 = 16;

/// Time units per nanosecond.
const UNIT: u64 = 64;
/// The burst of a band without `OFPMF_BURST`: what its rate carries in this time. Short, so that it
/// doesn't show in a rate measured over some seconds.
const DEFAULT_BURST_NS: u64 = 50_000_000;

/// What a meter says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No band was exceeded.
    Pass,
    /// A drop band took it.
    Drop,
    /// A remark band took it: raise the drop precedence by so much.
    Remark(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Drop,
    Remark(u8),
}

/// A band's bucket.
#[derive(Debug)]
struct Bucket {
    /// kb/s or packets/s.
    rate: u64,
    /// Time units that the bucket may be ahead.
    burst: u64,
    does: Does,
    /// Position in the configuration.
    index: usize,
    /// Theoretical arrival time.
    tat: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// One meter.
#[derive(Debug)]
pub struct Meter {
    /// As it was configured, echoed exactly.
    pub config: MeterConfig,
    /// When it was added.
    pub created: Time,
    per_packet: bool,
    /// Highest rate first.
    bands: Box<[Bucket]>,
    count: Arc<Counter>,
}

impl Meter {
    fn new(config: MeterConfig, created: Time, now: Time, count: Arc<Counter>) -> Self {
        let per_packet = config.flags.contains(MeterFlags::PKTPS);
        let mut bands: Vec<Bucket> = config
            .bands
            .iter()
            .enumerate()
            .filter_map(|(index, b)| {
                let does = match b.action {
                    BandAction::Drop => Does::Drop,
                    BandAction::DscpRemark { prec_level } => Does::Remark(prec_level),
                    BandAction::Experimenter { .. } | BandAction::Unknown { .. } => return None,
                };
                let rate = u64::from(b.rate).max(1);
                let burst = if config.flags.contains(MeterFlags::BURST) {
                    let amount = if per_packet { u64::from(b.burst_size) } else { u64::from(b.burst_size) * 1000 };
                    cost(amount, rate, per_packet)
                } else {
                    DEFAULT_BURST_NS * UNIT
                };
                Some(Bucket {
                    rate,
                    burst,
                    does,
                    index,
                    tat: AtomicU64::new(now.0.saturating_mul(UNIT)),
                    packets: AtomicU64::new(0),
                    bytes: AtomicU64::new(0),
                })
            })
            .collect();
        bands.sort_by_key(|b| std::cmp::Reverse(b.rate));
        Self { config, created, per_packet, bands: bands.into(), count }
    }

    /// Whether it may change packets.
    pub fn remarks(&self) -> bool {
        self.bands.iter().any(|b| matches!(b.does, Does::Remark(_)))
    }

    /// Charges `packets` packets of `bytes` bytes together (a super-frame counts as its segments) and
    /// says what becomes of them.
    pub fn charge(&self, writer: Writer, packets: u64, bytes: u64, now: Time) -> Verdict {
        self.count.add(writer, packets, bytes);
        let amount = if self.per_packet { packets } else { bytes.saturating_mul(8) };
        let now = now.0.saturating_mul(UNIT);
        for b in &self.bands {
            if b.take(amount, self.per_packet, now) {
                continue;
            }
            b.packets.fetch_add(packets, Relaxed);
            b.bytes.fetch_add(bytes, Relaxed);
            return match b.does {
                Does::Drop => Verdict::Drop,
                Does::Remark(level) => Verdict::Remark(level),
            };
        }
        Verdict::Pass
    }

    /// Statistics as of `now`; `refs` is the number of flows (1.5: flows and groups) that use it.
    pub fn stats(&self, refs: u32, now: Time) -> MeterStats {
        let (packet_in_count, byte_in_count) = self.count.sum();
        let age = now.since(self.created);
        let mut bands = vec![(0, 0); self.config.bands.len()];
        for b in &self.bands {
            if let Some(slot) = bands.get_mut(b.index) {
                *slot = (b.packets.load(Relaxed), b.bytes.load(Relaxed));
            }
        }
        MeterStats {
            meter: self.config.meter,
            ref_count: refs,
            packet_in_count,
            byte_in_count,
            duration_sec: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
            duration_nsec: age.subsec_nanos(),
            bands,
        }
    }
}

/// Time units that `amount` packets or bits take at `rate` packets/s or kb/s.
fn cost(amount: u64, rate: u64, per_packet: bool) -> u64 {
    let per = if per_packet { 1_000_000_000u128 } else { 1_000_000 };
    let units = u128::from(amount) * per * u128::from(UNIT) / u128::from(rate);
    u64::try_from(units).unwrap_or(u64::MAX)
}

impl Bucket {
    /// Takes the tokens if they are there.
    fn take(&self, amount: u64, per_packet: bool, now: u64) -> bool {
        let cost = cost(amount, self.rate, per_packet);
        // A packet larger than the whole bucket passes when the bucket is full: otherwise it never could.
        let room = self.burst.max(cost);
        let mut tat = self.tat.load(Relaxed);
        loop {
            let next = tat.max(now).saturating_add(cost);
            if next - now > room {
                return false;
            }
            match self.tat.compare_exchange_weak(tat, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(seen) => tat = seen,
            }
        }
    }
}

/// The drop precedence of an Assured Forwarding code point raised by `levels`, at most to 3; other
/// code points have no precedence and stay (OpenFlow 1.3.5 §7.3.4.4; RFC 2597).
pub const fn remark_dscp(dscp: u8, levels: u8) -> u8 {
    let (class, drop) = (dscp >> 3, (dscp >> 1) & 3);
    if class >= 1 && class <= 4 && drop >= 1 && dscp & 1 == 0 {
        let raised = drop.saturating_add(levels);
        (class << 3) | ((if raised > 3 { 3 } else { raised }) << 1)
    } else {
        dscp
    }
}

/// What a meter-mod did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterChange {
    /// Meters that are gone: flows that use them go too.
    pub deleted: Vec<MeterId>,
}

/// Every meter. Cloning it makes a snapshot; only the single writer changes its copy.
#[derive(Clone, Debug)]
pub struct MeterTable {
    meters: Shards<Arc<Meter>>,
    max_meters: u32,
    writers: usize,
}

impl MeterTable {
    /// An empty table for counters of `writers` writers.
    pub fn new(max_meters: u32, writers: usize) -> Self {
        Self { meters: Shards::default(), max_meters, writers }
    }

    /// A meter.
    #[inline]
    pub fn get(&self, id: MeterId) -> Option<&Arc<Meter>> {
        self.meters.get(id.0)
    }

    /// How many meters there are.
    pub const fn len(&self) -> usize {
        self.meters.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }

    /// Every meter, by id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Meter>> {
        self.meters.sorted_ids().into_iter().filter_map(|id| self.meters.get(id))
    }

    /// What the meter-features reply says.
    pub const fn features(&self) -> MeterFeatures {
        MeterFeatures {
            max_meter: self.max_meters,
            // 1 << OFPMBT_DROP | 1 << OFPMBT_DSCP_REMARK
            band_types: 0b110,
            capabilities: 0b1111,
            max_bands: MAX_BANDS,
            max_color: 0,
            // OFPMFF_ACTION_SET | OFPMFF_ANY_POSITION | OFPMFF_MULTI_LIST
            features: 0b111,
        }
    }

    /// Applies a meter-mod: the table after it and what it did, or why it is refused, with nothing changed.
    pub fn apply(&self, m: &MeterMod, now: Time) -> Result<(Self, MeterChange), OfError> {
        let mut next = self.clone();
        let mut change = MeterChange::default();
        match m.command {
            MeterModCommand::Add => {
                check_id(m.meter)?;
                if self.get(m.meter).is_some() {
                    return Err(refuse(ErrorKind::MeterModFailedMeterExists, "meter_id", format!("{}", m.meter)));
                }
                if !is_virtual(m.meter) && self.meters.len() >= self.max_meters as usize {
                    return Err(refuse(
                        ErrorKind::MeterModFailedOutOfMeters,
                        "meter_id",
                        format!("{} meters are the most", self.max_meters),
                    ));
                }
                let config = check_config(m)?;
                let count = Arc::new(Counter::new(self.writers));
                next.meters.insert(m.meter.0, Arc::new(Meter::new(config, now, now, count)));
            }
            MeterModCommand::Modify => {
                check_id(m.meter)?;
                let Some(old) = self.get(m.meter) else {
                    return Err(refuse(ErrorKind::MeterModFailedUnknownMeter, "meter_id", format!("{}", m.meter)));
                };
                let config = check_config(m)?;
                // The meter's own counters live on, the bands' start again (1.3.5 §6.6).
                let meter = Meter::new(config, old.created, now, Arc::clone(&old.count));
                next.meters.insert(m.meter.0, Arc::new(meter));
            }
            MeterModCommand::Delete if m.meter == MeterId::ALL => {
                // Virtual meters are never deleted by OFPM_ALL (1.3.5 §7.3.4.4).
                for id in self.meters.sorted_ids() {
                    if !is_virtual(MeterId(id)) {
                        next.meters.remove(id);
                        change.deleted.push(MeterId(id));
                    }
                }
            }
            MeterModCommand::Delete => {
                check_id(m.meter)?;
                if next.meters.remove(m.meter.0).is_some() {
                    change.deleted.push(m.meter);
                }
            }
            MeterModCommand::Unknown(n) => {
                return Err(refuse(ErrorKind::MeterModFailedBadCommand, "command", format!("{n} is not a command")));
            }
        }
        Ok((next, change))
    }
}

fn refuse(kind: ErrorKind, field: &'static str, reason: impl Into<std::borrow::Cow<'static, str>>) -> OfError {
    OfError::new(kind, field, reason)
}

fn is_virtual(id: MeterId) -> bool {
    id == MeterId::CONTROLLER || id == MeterId::SLOWPATH
}

fn check_id(id: MeterId) -> Result<(), OfError> {
    if (1..=MeterId::MAX.0).contains(&id.0) || is_virtual(id) {
        Ok(())
    } else {
        Err(refuse(ErrorKind::MeterModFailedInvalidMeter, "meter_id", format!("{id:?} can't be a meter")))
    }
}

fn check_config(m: &MeterMod) -> Result<MeterConfig, OfError> {
    let known = MeterFlags::KBPS | MeterFlags::PKTPS | MeterFlags::BURST | MeterFlags::STATS;
    if !known.contains(m.flags) {
        return Err(refuse(
            ErrorKind::MeterModFailedBadFlags,
            "flags",
            format!("unknown bits {:#06x}", m.flags.bits() & !known.bits()),
        ));
    }
    if m.bands.len() > usize::from(MAX_BANDS) {
        return Err(refuse(ErrorKind::MeterModFailedOutOfBands, "bands", format!("{MAX_BANDS} bands are the most")));
    }
    for Band { rate, action, .. } in &m.bands {
        match action {
            BandAction::Drop => {}
            BandAction::DscpRemark { prec_level } if *prec_level <= 3 => {}
            BandAction::DscpRemark { prec_level } => {
                return Err(refuse(
                    ErrorKind::MeterModFailedBadBandValue,
                    "prec_level",
                    format!("{prec_level}: a code point has three drop precedences"),
                ));
            }
            BandAction::Experimenter { .. } | BandAction::Unknown { .. } => {
                return Err(refuse(ErrorKind::MeterModFailedBadBand, "type", "neither drop nor dscp_remark"));
            }
        }
        if *rate == 0 {
            return Err(refuse(
                ErrorKind::MeterModFailedBadRate,
                "rate",
                "0: the band that does nothing is implied, one that catches everything is a drop",
            ));
        }
    }
    Ok(MeterConfig { flags: m.flags, meter: m.meter, bands: m.bands.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter_mod(flags: MeterFlags, bands: Vec<Band>) -> MeterMod {
        MeterMod { command: MeterModCommand::Add, flags, meter: MeterId(1), bands }
    }

    fn drop_at(rate: u32) -> Band {
        Band { rate, burst_size: 0, action: BandAction::Drop }
    }

    fn table(flags: MeterFlags, bands: Vec<Band>) -> MeterTable {
        MeterTable::new(10, 2).apply(&meter_mod(flags, bands), Time::ZERO).unwrap().0
    }

    /// Offers `offered` packets/s of `len` bytes for ten simulated seconds; what passed.
    fn offer(t: &MeterTable, offered: u64, len: u64) -> (u64, u64) {
        offer_in_bursts(t, offered, len, 1)
    }

    /// The same in bursts of so many at one moment, as a worker's clock shows them.
    fn offer_in_bursts(t: &MeterTable, offered: u64, len: u64, burst: u64) -> (u64, u64) {
        let m = t.get(MeterId(1)).unwrap();
        let (mut passed, mut remarked) = (0, 0);
        for i in 0..offered * 10 {
            let now = Time(i / burst * burst * 1_000_000_000 / offered);
            match m.charge(Writer((i % 2) as u16), 1, len, now) {
                Verdict::Pass => passed += 1,
                Verdict::Remark(_) => remarked += 1,
                Verdict::Drop => {}
            }
        }
        (passed, remarked)
    }

    #[test]
    fn packet_rates_are_exact_to_one_percent() {
        for rate in [100, 300, 999, 3_000, 10_000, 31_623, 99_991, 300_000, 1_000_000] {
            for (burst, load) in [(1, 2), (32, 2), (1, 5)] {
                // Bursts larger than the bucket holds lose what a bucket has to lose.
                if burst * 40 > u64::from(rate) || (rate >= 100_000 && load > 2) {
                    continue;
                }
                let t = table(MeterFlags::PKTPS, vec![drop_at(rate)]);
                let (passed, _) = offer_in_bursts(&t, u64::from(rate) * load, 64, burst);
                let want = f64::from(rate) * 10.0;
                assert!((passed as f64 - want).abs() <= want * 0.01, "{rate} in bursts of {burst}: {passed}");
            }
        }
    }

    #[test]
    fn bit_rates_are_exact_to_one_percent() {
        // Few bytes at a high rate are many packets: those pairs are left to the packet rates.
        for (kbps, len) in [
            (100u32, 64u64),
            (100, 300),
            (1000, 64),
            (1000, 300),
            (1000, 1500),
            (10_000, 64),
            (10_000, 1500),
            (100_000, 300),
            (100_000, 1500),
            (1_000_000, 1500),
            (1_000_000, 9000),
            (10_000_000, 9000),
            (10_000_000, 65_000),
        ] {
            let t = table(MeterFlags::KBPS, vec![drop_at(kbps)]);
            let offered = u64::from(kbps) * 1000 / (len * 8) * 2;
            let (passed, _) = offer(&t, offered, len);
            let want = f64::from(kbps) * 10_000.0;
            let got = (passed * len * 8) as f64;
            assert!((got - want).abs() <= want * 0.01, "{kbps}: {got} of {want}");
        }
    }

    #[test]
    fn below_the_rate_nothing_is_lost() {
        let t = table(MeterFlags::PKTPS, vec![drop_at(1000)]);
        assert_eq!(offer(&t, 990, 64).0, 9900);
    }

    #[test]
    fn the_highest_exceeded_band_acts_and_lower_ones_get_the_rest() {
        let remark = Band { rate: 100, burst_size: 0, action: BandAction::DscpRemark { prec_level: 1 } };
        let t = table(MeterFlags::PKTPS, vec![remark, drop_at(200)]);
        let (passed, remarked) = offer(&t, 300, 64);
        assert!((990..=1010).contains(&passed), "{passed}");
        assert!((985..=1020).contains(&remarked), "{remarked}");
        let stats = t.get(MeterId(1)).unwrap().stats(1, Time::from_secs(10));
        assert_eq!(stats.packet_in_count, 3000);
        assert_eq!(stats.bands[0].0, remarked);
        assert_eq!(stats.bands[1].0, 3000 - passed - remarked);
    }

    #[test]
    fn burst_size_is_what_an_idle_meter_lets_through_at_once() {
        let band = Band { rate: 10, burst_size: 25, action: BandAction::Drop };
        let t = table(MeterFlags::PKTPS | MeterFlags::BURST, vec![band]);
        let m = t.get(MeterId(1)).unwrap();
        let at_once = (0..100).filter(|_| m.charge(Writer(0), 1, 64, Time::from_secs(60)) == Verdict::Pass).count();
        assert_eq!(at_once, 25);
    }

    #[test]
    fn a_packet_larger_than_the_burst_still_passes_at_the_rate() {
        let band = Band { rate: 100, burst_size: 1, action: BandAction::Drop };
        let t = table(MeterFlags::KBPS | MeterFlags::BURST, vec![band]);
        let (passed, _) = offer(&t, 100, 1500);
        assert!((80..=85).contains(&passed), "{passed}");
    }

    #[test]
    fn workers_share_one_rate() {
        let t = table(
            MeterFlags::PKTPS | MeterFlags::BURST,
            vec![Band { rate: 1, burst_size: 1000, action: BandAction::Drop }],
        );
        let m = t.get(MeterId(1)).unwrap();
        let passed: usize = std::thread::scope(|s| {
            let hands: Vec<_> = (0..4u16)
                .map(|w| {
                    s.spawn(move || {
                        (0..1000).filter(|_| m.charge(Writer(w), 1, 1, Time::ZERO) == Verdict::Pass).count()
                    })
                })
                .collect();
            hands.into_iter().map(|h| h.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }

    #[test]
    fn dscp_remark_raises_the_drop_precedence_only() {
        assert_eq!(remark_dscp(18, 1), 20); // AF21 → AF22
        assert_eq!(remark_dscp(18, 2), 22);
        assert_eq!(remark_dscp(22, 3), 22);
        assert_eq!(remark_dscp(46, 1), 46); // EF
        assert_eq!(remark_dscp(0, 1), 0);
        assert_eq!(remark_dscp(16, 1), 16); // CS2
        assert_eq!(remark_dscp(42, 1), 42); // class 5
    }

    #[test]
    fn refusals_have_the_exact_code() {
        let empty = MeterTable::new(1, 1);
        let code = |t: &MeterTable, m: MeterMod| t.apply(&m, Time::ZERO).unwrap_err().kind;
        let base = || meter_mod(MeterFlags::KBPS, vec![drop_at(1)]);
        let with = |f: &dyn Fn(&mut MeterMod)| {
            let mut m = base();
            f(&mut m);
            m
        };
        assert_eq!(code(&empty, with(&|m| m.meter = MeterId(0))), ErrorKind::MeterModFailedInvalidMeter);
        assert_eq!(code(&empty, with(&|m| m.meter = MeterId::ALL)), ErrorKind::MeterModFailedInvalidMeter);
        assert_eq!(
            code(&empty, with(&|m| m.flags = MeterFlags::from_bits_retain(16))),
            ErrorKind::MeterModFailedBadFlags
        );
        assert_eq!(code(&empty, with(&|m| m.bands = vec![drop_at(1); 17])), ErrorKind::MeterModFailedOutOfBands);
        assert_eq!(code(&empty, with(&|m| m.bands[0].rate = 0)), ErrorKind::MeterModFailedBadRate);
        assert_eq!(
            code(&empty, with(&|m| m.bands[0].action = BandAction::DscpRemark { prec_level: 9 })),
            ErrorKind::MeterModFailedBadBandValue
        );
        assert_eq!(
            code(&empty, with(&|m| m.bands[0].action = BandAction::Unknown { ty: 7, data: bytes::Bytes::new() })),
            ErrorKind::MeterModFailedBadBand
        );
        assert_eq!(
            code(&empty, with(&|m| m.command = MeterModCommand::Unknown(9))),
            ErrorKind::MeterModFailedBadCommand
        );
        assert_eq!(code(&empty, with(&|m| m.command = MeterModCommand::Modify)), ErrorKind::MeterModFailedUnknownMeter);
        let one = empty.apply(&base(), Time::ZERO).unwrap().0;
        assert_eq!(code(&one, base()), ErrorKind::MeterModFailedMeterExists);
        assert_eq!(code(&one, with(&|m| m.meter = MeterId(2))), ErrorKind::MeterModFailedOutOfMeters);
        // The virtual meter needs no room, and OFPM_ALL leaves it.
        let two = one.apply(&with(&|m| m.meter = MeterId::CONTROLLER), Time::ZERO).unwrap().0;
        let all = with(&|m| {
            m.command = MeterModCommand::Delete;
            m.meter = MeterId::ALL;
        });
        let (rest, change) = two.apply(&all, Time::ZERO).unwrap();
        assert_eq!(change.deleted, [MeterId(1)]);
        assert!(rest.get(MeterId::CONTROLLER).is_some());
    }

    #[test]
    fn modify_keeps_the_meters_counters_and_resets_the_bands() {
        let t = table(MeterFlags::PKTPS | MeterFlags::STATS, vec![drop_at(1)]);
        offer(&t, 100, 10);
        let mut m = meter_mod(MeterFlags::PKTPS, vec![drop_at(7), drop_at(3)]);
        m.command = MeterModCommand::Modify;
        let (t, _) = t.apply(&m, Time::from_secs(10)).unwrap();
        let meter = t.get(MeterId(1)).unwrap();
        let stats = meter.stats(0, Time::from_secs(12));
        assert_eq!((stats.packet_in_count, stats.duration_sec), (1000, 12));
        assert_eq!(stats.bands, [(0, 0), (0, 0)]);
        assert_eq!(meter.config, MeterConfig { flags: m.flags, meter: m.meter, bands: m.bands });
    }
}
