//! Packets that went nowhere, by the reason and the port they came in on, the one they were to leave through,
//! or the table.
//!
//! Each thread that counts has places of its own and writes them with plain loads and stores; a place is a
//! port's from the first drop on. Ports beyond the places are counted together.

use crate::pipeline::DropReason;
use ofproto::ids::{PortNo, TableId};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Ports told apart.
const PLACES: usize = 256;
/// Places looked at before a port counts among the others.
const PROBES: usize = 16;
/// No port's number.
const NONE: u32 = 0;
/// The number under which other ports are counted.
pub const OTHERS: PortNo = PortNo::ANY;

#[derive(Debug, Default)]
struct Place {
    port: AtomicU32,
    drops: [AtomicU64; DropReason::COUNT],
}

impl Place {
    fn count(&self, reason: DropReason) {
        let n = &self.drops[reason as usize];
        n.store(n.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// One thread's drops by the table that was asked last. Written by that thread alone.
#[derive(Debug, Default)]
pub(super) struct TableDrops {
    /// Made at the first drop, one for each table number.
    tables: OnceLock<Box<[[AtomicU64; DropReason::COUNT]]>>,
}

impl TableDrops {
    /// Counts a packet that was lost in `table`.
    pub(super) fn count(&self, table: TableId, reason: DropReason) {
        let tables = self.tables.get_or_init(|| (0..=u8::MAX).map(|_| Default::default()).collect());
        if let Some(drops) = tables.get(usize::from(table.0)) {
            let n: &AtomicU64 = &drops[reason as usize];
            n.store(n.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Adds what was counted to `sum`.
    pub(super) fn add_to(&self, sum: &mut BTreeMap<TableId, [u64; DropReason::COUNT]>) {
        for (table, drops) in (0..=u8::MAX).zip(self.tables.get().into_iter().flatten()) {
            if drops.iter().any(|n| n.load(Ordering::Relaxed) > 0) {
                let all = sum.entry(TableId(table)).or_default();
                all.iter_mut().zip(drops).for_each(|(a, n)| *a = a.wrapping_add(n.load(Ordering::Relaxed)));
            }
        }
    }
}

/// One thread's drops. Written by that thread alone.
#[derive(Debug, Default)]
pub(super) struct PortDrops {
    /// Made at the first drop; the last one is everybody else's.
    places: OnceLock<Box<[Place]>>,
}

impl PortDrops {
    /// Counts a packet of `port`.
    pub(super) fn count(&self, port: PortNo, reason: DropReason) {
        let places = self.places.get_or_init(|| (0..=PLACES).map(|_| Place::default()).collect());
        let first = port.0.wrapping_mul(0x9e37_79b1) as usize >> 16;
        if port.0 != NONE {
            for i in 0..PROBES {
                let Some(place) = places.get((first + i) % PLACES) else { break };
                let owner = place.port.load(Ordering::Relaxed);
                if owner == NONE {
                    place.port.store(port.0, Ordering::Relaxed);
                }
                if owner == NONE || owner == port.0 {
                    return place.count(reason);
                }
            }
        }
        if let Some(others) = places.last() {
            others.count(reason);
        }
    }

    /// Adds what was counted to `sum`.
    pub(super) fn add_to(&self, sum: &mut BTreeMap<PortNo, [u64; DropReason::COUNT]>) {
        for (i, place) in self.places.get().into_iter().flatten().enumerate() {
            let port = match place.port.load(Ordering::Relaxed) {
                _ if i == PLACES => OTHERS,
                NONE => continue,
                n => PortNo(n),
            };
            let drops: [u64; DropReason::COUNT] = std::array::from_fn(|r| place.drops[r].load(Ordering::Relaxed));
            if drops.iter().any(|n| *n > 0) {
                let all = sum.entry(port).or_default();
                all.iter_mut().zip(drops).for_each(|(a, n)| *a = a.wrapping_add(n));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_apart_and_none_is_lost() {
        let (a, b) = (PortDrops::default(), PortDrops::default());
        for n in 0..1000 {
            a.count(PortNo(n), DropReason::TableMiss);
        }
        b.count(PortNo(1), DropReason::TableMiss);
        b.count(PortNo(1), DropReason::Meter);
        let mut sum = BTreeMap::new();
        a.add_to(&mut sum);
        b.add_to(&mut sum);
        assert_eq!(sum[&PortNo(1)][DropReason::TableMiss as usize], 2);
        assert_eq!(sum[&PortNo(1)][DropReason::Meter as usize], 1);
        let all: u64 = sum.values().map(|d| d[DropReason::TableMiss as usize]).sum();
        assert_eq!(all, 1001);
        assert!(sum.len() > 200 && sum.contains_key(&OTHERS), "{}", sum.len());
    }
}
