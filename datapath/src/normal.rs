//! `OFPP_NORMAL`: a learning switch, per VLAN.
//!
//! Bounded, and aged by the time that packets bring. A place holds two words: whose it is, and where that was seen
//! and when. An address may stand in two buckets of four places, a line each; a keyed hash says in which.
//!
//! Thread-safety: reading takes no lock, nor does learning what is known already; its age is written
//! once per tick, so that workers that share an address seldom write to the same line. Who enters, moves or
//! removes an address holds the lock. Invariants:
//!
//! - A place's name changes only under the lock, and what stands beside it is another then: whoever reads both and
//!   finds the name unchanged afterwards has read what belongs together. Names count how often a place was used
//!   again, so that an address that goes and comes isn't taken for one that stayed.
//! - Without the lock only the age is written, by compare-and-swap, and never another port. So whatever happens in
//!   between, no address is said to be where it wasn't seen.

use crate::clock::Time;
use ofproto::ids::{MacAddr, PortNo};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Places of a bucket.
const WAYS: usize = 4;
/// Buckets that are searched for who was quiet longest, when all is full.
const SWEEP: usize = 16;
/// Ages are kept in ticks of so many nanoseconds, as a power of two: 134 ms. An address is forgotten so much early at
/// most. A tick's number comes again after eighteen years.
const TICK_BITS: u32 = 27;
/// Who was heard of within so many ticks (a second) makes no room.
const BUSY: u32 = 8;

/// Bits of a place's name: the address, the VLAN, whether it is taken; what is above counts.
const TAKEN: u64 = 1 << 60;
const NAME: u64 = (TAKEN << 1) - 1;
const AGAIN: u64 = TAKEN << 1;

#[derive(Debug, Default)]
struct Slot {
    name: AtomicU64,
    /// The port in the upper half, the tick when it was seen in the lower one.
    what: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([Slot; WAYS]);

/// Which port an address was last seen on.
#[derive(Debug)]
pub struct MacTable {
    buckets: Box<[Bucket]>,
    seed: u64,
    most: usize,
    /// In nanoseconds.
    ageing: u64,
    book: Mutex<Book>,
}

/// What writers know.
#[derive(Debug, Default)]
struct Book {
    /// Addresses in the table.
    used: usize,
    /// Where to look next for who makes room.
    hand: usize,
}

/// What is known of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Behind this port.
    Port(PortNo),
    /// Not known, or a group address: flood.
    Flood,
}

/// An address of a VLAN, and where it may stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Station {
    name: u64,
    buckets: [u32; 2],
}

impl Station {
    /// A group address, or none at all: nobody's own.
    const fn is_nobody(self) -> bool {
        self.name & 1 << 40 != 0 || self.name & ((1 << 48) - 1) == 0
    }
}

const fn tick(now: Time) -> u32 {
    (now.0 >> TICK_BITS) as u32
}

const fn what(port: PortNo, tick: u32) -> u64 {
    (port.0 as u64) << 32 | tick as u64
}

const fn port(what: u64) -> PortNo {
    PortNo((what >> 32) as u32)
}

/// Ticks between; 0 if `seen` is to come.
const fn ticks(seen: u64, tick: u32) -> u32 {
    let age = tick.wrapping_sub(seen as u32);
    if age > u32::MAX / 2 { 0 } else { age }
}

fn number(mac: MacAddr) -> u64 {
    mac.0.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl MacTable {
    /// A table of at most `entries` addresses that are forgotten `ageing` after their last packet
    /// (802.1D's default is 300 s), or up to 134 ms earlier. `seed` keys its hash.
    pub fn new(entries: usize, ageing: Duration, seed: u64) -> Self {
        let most = entries.clamp(1, 1 << 24);
        // Twice the places, so that hardly ever both buckets of an address are full.
        let buckets = (2 * most).div_ceil(WAYS).next_power_of_two();
        let ageing = u64::try_from(ageing.as_nanos()).unwrap_or(u64::MAX);
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            seed: seed | 1,
            most,
            ageing,
            book: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an address, as a number, of a VLAN (0: untagged) may stand.
    #[inline]
    pub(crate) fn station(&self, vlan: u16, mac: u64) -> Station {
        let name = TAKEN | u64::from(vlan & 0xfff) << 48 | mac & 0xffff_ffff_ffff;
        let p = u128::from(name ^ self.seed) * u128::from(0x9e37_79b9_7f4a_7c15_u64 ^ self.seed << 8);
        let h = p as u64 ^ (p >> 64) as u64;
        let mask = self.buckets.len() as u32 - 1;
        Station { name, buckets: [h as u32 & mask, (h >> 32) as u32 & mask] }
    }

    /// Asks for the line where an address most likely stands.
    #[inline]
    pub(crate) fn prefetch(&self, station: Station) {
        crate::classifier::prefetch(self.buckets.as_ptr().wrapping_add(station.buckets[0] as usize));
    }

    /// The place of an address, and what it says.
    #[inline]
    fn look(&self, station: Station) -> Option<(&Slot, u64)> {
        for b in station.buckets {
            let Some(bucket) = self.buckets.get(b as usize) else { continue };
            for slot in &bucket.0 {
                let name = slot.name.load(Acquire);
                if name & NAME == station.name {
                    let what = slot.what.load(Acquire);
                    return (slot.name.load(Relaxed) == name).then_some((slot, what));
                }
            }
        }
        None
    }

    /// Learns a source address. Group addresses are not learnt. When there is no room the address that was quiet longest,
    /// of those looked at, makes it, but only if it has been quiet for a second: a flood of invented addresses can't push
    /// out busy ones.
    pub fn learn(&self, vlan: u16, src: MacAddr, port: PortNo, now: Time) {
        self.learn_at(self.station(vlan, number(src)), port, now);
    }

    #[inline]
    pub(crate) fn learn_at(&self, station: Station, on: PortNo, now: Time) {
        if let Some((slot, known)) = self.look(station)
            && port(known) == on
        {
            let tick = tick(now);
            if ticks(known, tick) == 0 {
                return;
            }
            // Failing says that another thread was here, for whom the same holds, or that the address moved or went.
            if slot.what.compare_exchange(known, what(on, tick), Relaxed, Relaxed).is_ok() {
                return;
            }
        }
        self.enter(station, on, now);
    }

    /// Enters an address, or moves it.
    #[cold]
    #[inline(never)]
    fn enter(&self, station: Station, on: PortNo, now: Time) {
        if station.is_nobody() {
            return;
        }
        let new = what(on, tick(now));
        let mut book = self.lock();
        if let Some((slot, _)) = self.look(station) {
            slot.what.store(new, Release);
            return;
        }
        let mine = || station.buckets.iter().flat_map(|b| &self.buckets[*b as usize].0);
        let mut free = self.free_place(station);
        if book.used >= self.most || free.is_none() {
            let hand = book.hand;
            book.hand = hand.wrapping_add(SWEEP);
            let swept = (0..SWEEP).map(|i| &self.buckets[(hand.wrapping_add(i)) & (self.buckets.len() - 1)]);
            let swept = swept.flat_map(|b| &b.0).take(if free.is_some() { usize::MAX } else { 0 });
            let age = |s: &Slot| ticks(s.what.load(Relaxed), tick(now));
            let Some(quiet) = mine().chain(swept).filter(|s| s.is_taken()).max_by_key(|s| age(s)) else { return };
            if age(quiet) < BUSY {
                return;
            }
            quiet.clear();
            book.used -= 1;
            if free.is_none() {
                free = Some(quiet);
            }
        }
        if let Some(slot) = free {
            slot.fill(station.name, new);
            book.used += 1;
        }
    }

    /// A free place for an address: in the bucket that has more, else in the first, which is looked at first.
    fn free_place(&self, station: Station) -> Option<&Slot> {
        let [a, b] = station.buckets.map(|b| self.buckets[b as usize].0.iter().filter(|s| !s.is_taken()));
        let (first, second) = (a.clone().count(), b.clone().count());
        if first >= second { a } else { b }.next()
    }

    /// Where a destination is.
    pub fn find(&self, vlan: u16, dst: MacAddr, now: Time) -> Where {
        self.find_at(self.station(vlan, number(dst)), now)
    }

    #[inline]
    pub(crate) fn find_at(&self, station: Station, now: Time) -> Where {
        match self.look(station) {
            Some((_, known)) if !self.is_old(known, now) => Where::Port(port(known)),
            // Group addresses are never learnt.
            _ => Where::Flood,
        }
    }

    #[inline]
    fn is_old(&self, known: u64, now: Time) -> bool {
        let age = u64::from(ticks(known, tick(now))) << TICK_BITS | now.0 & ((1 << TICK_BITS) - 1);
        age >= self.ageing
    }

    fn forget_if(&self, goes: impl Fn(u64) -> bool) {
        let mut book = self.lock();
        for slot in self.buckets.iter().flat_map(|b| &b.0) {
            if slot.is_taken() && goes(slot.what.load(Relaxed)) {
                slot.clear();
                book.used -= 1;
            }
        }
    }

    /// Forgets what is too old; for control's timer.
    pub fn age(&self, now: Time) {
        self.forget_if(|known| self.is_old(known, now));
    }

    /// Forgets the addresses behind a port that went down or away.
    pub fn forget_port(&self, gone: PortNo) {
        self.forget_if(|known| port(known) == gone);
    }

    /// Forgets all.
    pub fn flush(&self) {
        self.forget_if(|_| true);
    }

    /// What frames would find: VLAN (0: untagged), address, port, time since it was last seen (to 134 ms).
    pub fn known(&self, now: Time) -> Vec<(u16, MacAddr, PortNo, Duration)> {
        let young = |(.., seen): &(_, _, _, Time)| now.since(*seen).as_nanos() < u128::from(self.ageing);
        let all = self.dump().into_iter().filter(young);
        all.map(|(vlan, address, port, seen)| (vlan, address, port, now.since(seen))).collect()
    }

    /// Everything in the table: VLAN (0: untagged), address, port, when it was last seen (to 134 ms).
    pub fn dump(&self) -> Vec<(u16, MacAddr, PortNo, Time)> {
        let _held = self.lock();
        let slots = self.buckets.iter().flat_map(|b| &b.0).filter(|s| s.is_taken());
        let mut all: Vec<_> = slots
            .map(|s| {
                let (name, what) = (s.name.load(Relaxed), s.what.load(Relaxed));
                let seen = Time(u64::from(what as u32) << TICK_BITS);
                ((name >> 48) as u16 & 0xfff, mac(name), port(what), seen)
            })
            .collect();
        all.sort_unstable();
        all
    }
}

/// Only who holds the table's lock calls these.
impl Slot {
    fn is_taken(&self) -> bool {
        self.name.load(Relaxed) & TAKEN != 0
    }

    /// Nobody's: first the name goes, so that who still reads what stood beside it notices.
    fn clear(&self) {
        let again = (self.name.load(Relaxed) & !NAME).wrapping_add(AGAIN);
        self.name.store(again, Relaxed);
        fence(Release);
        self.what.store(0, Release);
    }

    fn fill(&self, name: u64, what: u64) {
        let again = self.name.load(Relaxed) & !NAME;
        self.what.store(what, Release);
        self.name.store(again | name, Release);
    }
}

fn mac(n: u64) -> MacAddr {
    let b = n.to_be_bytes();
    MacAddr([b[2], b[3], b[4], b[5], b[6], b[7]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const AGEING: Duration = Duration::from_secs(300);

    fn table(entries: usize) -> MacTable {
        MacTable::new(entries, AGEING, 0x5eed)
    }

    fn invented(i: u32) -> MacAddr {
        let b = i.to_be_bytes();
        MacAddr([6, 0, b[0], b[1], b[2], b[3]])
    }

    #[test]
    fn learns_moves_ages_and_keeps_vlans_apart() {
        let t = table(1000);
        t.learn(0, A, PortNo(1), Time::ZERO);
        assert_eq!(t.find(0, A, Time::from_secs(299)), Where::Port(PortNo(1)));
        assert_eq!(t.find(5, A, Time::ZERO), Where::Flood);
        t.learn(0, A, PortNo(2), Time::from_secs(200));
        assert_eq!(t.find(0, A, Time::from_secs(400)), Where::Port(PortNo(2)));
        let age = Time::from_secs(400).since(Time::from_secs(200));
        let known = t.known(Time::from_secs(400));
        assert!(matches!(known[..], [(0, A, PortNo(2), a)] if a >= age && a - age < Duration::from_millis(135)));
        assert_eq!(t.find(0, A, Time::from_secs(500)), Where::Flood);
        assert!(t.known(Time::from_secs(500)).is_empty());
        t.age(Time::from_secs(500));
        assert!(t.dump().is_empty());
        t.learn(0, MacAddr([0xff; 6]), PortNo(1), Time::ZERO);
        t.learn(0, MacAddr([0; 6]), PortNo(1), Time::ZERO);
        assert!(t.dump().is_empty());
        t.learn(7, A, PortNo(3), Time::ZERO);
        t.forget_port(PortNo(3));
        assert_eq!(t.find(7, A, Time::ZERO), Where::Flood);
    }

    #[test]
    fn each_packet_keeps_its_source_known() {
        let t = table(100);
        let last =
            (0..100).map(|i| Time::from_millis(1000 + 97 * i)).inspect(|now| t.learn(0, A, PortNo(1), *now)).last();
        let last = last.unwrap_or_default();
        assert_eq!(t.find(0, A, last + AGEING - Duration::from_millis(160)), Where::Port(PortNo(1)));
        assert_eq!(t.find(0, A, last + AGEING), Where::Flood);
        assert_eq!(t.dump().len(), 1);
        // An ageing time that is short itself.
        let t = MacTable::new(100, Duration::from_secs(1), 1);
        t.learn(0, A, PortNo(1), Time::from_millis(500));
        t.learn(0, A, PortNo(1), Time::from_millis(540));
        assert_eq!(t.find(0, A, Time::from_millis(1520)), Where::Port(PortNo(1)));
        assert_eq!(t.find(0, A, Time::from_millis(1540)), Where::Flood);
    }

    #[test]
    fn as_many_addresses_as_there_may_be_are_all_known() {
        let t = table(8192);
        for i in 0..8192 {
            t.learn((i % 7) as u16, invented(i), PortNo(1 + i % 5), Time::ZERO);
        }
        for i in 0..8192 {
            assert_eq!(t.find((i % 7) as u16, invented(i), Time::ZERO), Where::Port(PortNo(1 + i % 5)), "{i}");
        }
        assert_eq!(t.dump().len(), 8192);
        t.forget_port(PortNo(2));
        assert_eq!(t.dump().len(), 8192 - 8192_usize.div_ceil(5));
        t.flush();
        assert!(t.dump().is_empty());
        t.learn(0, A, PortNo(1), Time::ZERO);
        assert_eq!(t.dump().len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_stays_within_bounds_and_spares_busy_ones() {
        let t = table(640);
        t.learn(0, A, PortNo(1), Time::ZERO);
        for i in 0..100_000 {
            t.learn(0, invented(i), PortNo(2), Time::from_millis(500));
        }
        assert_eq!(t.dump().len(), 640);
        assert_eq!(t.find(0, A, Time::from_millis(500)), Where::Port(PortNo(1)));
        // They make room when they have been quiet, and who wasn't stays.
        let later = Time::from_secs(3);
        t.learn(0, A, PortNo(1), later);
        let mut known = 0;
        for i in 0..10_000 {
            t.learn(0, invented(1 << 20 | i), PortNo(3), later);
        }
        for i in 0..10_000 {
            known += usize::from(t.find(0, invented(1 << 20 | i), later) != Where::Flood);
        }
        assert!(known > 500 && t.dump().len() <= 640, "{known}");
        assert_eq!(t.find(0, A, later), Where::Port(PortNo(1)));
    }

    /// Every address has ports of its own: whoever learns, moves and forgets meanwhile, no reader may see another's.
    #[test]
    fn no_address_is_said_to_be_where_it_was_not_seen() {
        let t = table(64);
        let stop = AtomicBool::new(false);
        let port = |i: u32, n: u32| PortNo(1000 + 2 * i + n % 2);
        std::thread::scope(|s| {
            for w in 0..2 {
                let (t, stop) = (&t, &stop);
                s.spawn(move || {
                    let mut n: u32 = w;
                    while !stop.load(Relaxed) {
                        n += 1;
                        let i = n.wrapping_mul(2_654_435_761) >> 24;
                        t.learn(0, invented(i), port(i, n >> 6), Time::from_secs(u64::from(n >> 4)));
                        if n.is_multiple_of(64) {
                            t.forget_port(port(i, n >> 6));
                        }
                    }
                });
            }
            let mut found = 0;
            for round in 0..4000 {
                for i in 0..256 {
                    // Older than everything, so that nothing is too old.
                    if let Where::Port(p) = t.find(0, invented(i), Time::ZERO) {
                        found += 1;
                        assert!(p == port(i, 0) || p == port(i, 1), "{i} {p} in round {round}");
                    }
                }
            }
            stop.store(true, Relaxed);
            assert!(found > 0);
        });
    }
}
