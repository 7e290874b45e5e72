//! Packets that the cache doesn't know, through the tables together.
//!
//! What lies before one table is looked up in one go, so that its packets wait for memory together. Nothing is done to
//! packets here: what is found is a walk of the kind that the cache remembers, for [`FastPath`] to carry out in the
//! packets' order. Packets of other shapes, and those that meet what no [leg](Leg) is made of, are left for the
//! interpreter.

#[cfg(test)]
mod tests;

use super::burst::{BURST, FastPath};
use super::keys::TOO_LONG;
use crate::cache::{COMPACT, FAST, Ids, Leg, Next, PACKED, Runner, Stand, Traits, Validity};
use crate::key::FlowKey;
use crate::pipeline::{Hit, View};
use crate::table::NIL;
use ofproto::ids::{PortNo, TableId};

/// Chunks in a row of which hardly a packet could be helped, after which the next ones aren't tried.
const PATIENCE: u32 = 8;
/// How many of those.
const PAUSE: u32 = 64;
/// Upper layers that are told apart where a leg is guessed by the last one.
const GUESSES: usize = 4;

/// Where the walks of a burst's packets stand.
#[derive(Debug)]
pub(super) struct Walks {
    keys: [FlowKey; BURST],
    stands: [Stand; BURST],
    ids: [Ids; BURST],
    lens: [u8; BURST],
    traits: [Traits; BURST],
    before: Before,
    /// Chunks of which hardly a packet could be helped; those that aren't tried.
    futile: u32,
    pause: u32,
}

impl Walks {
    pub(super) fn new() -> Self {
        let shape = Runner::default();
        Self {
            keys: [FlowKey::default(); BURST],
            stands: [Stand { table: TableId(0), shape, set: PortNo::UNSET }; BURST],
            ids: [Ids::default(); BURST],
            lens: [0; BURST],
            traits: [Traits::none(Some(shape)); BURST],
            before: Before { packets: [0; 256], tables: [0; 4] },
            futile: 0,
            pause: 0,
        }
    }

    /// Whether to try, and what came of the last time.
    fn is_worth_it(&mut self) -> bool {
        if self.futile < PATIENCE {
            return true;
        }
        self.pause += 1;
        if self.pause > PAUSE {
            (self.pause, self.futile) = (0, PATIENCE - 1);
        }
        false
    }
}

/// Which packets stand before which table.
#[derive(Debug)]
struct Before {
    /// By table the packets, a bit each.
    packets: [u32; 256],
    /// The tables before which any stand, a bit each.
    tables: [u64; 4],
}

impl Before {
    #[inline]
    fn add(&mut self, table: TableId, i: usize) {
        self.add_all(table, 1 << i);
    }

    #[inline]
    fn add_all(&mut self, table: TableId, packets: u32) {
        self.packets[usize::from(table.0)] |= packets;
        self.tables[usize::from(table.0 >> 6)] |= 1 << (table.0 & 63);
    }

    /// Takes those away that stand before the lowest table.
    #[inline]
    fn lowest(&mut self) -> Option<(TableId, u32)> {
        let (at, word) = self.tables.iter_mut().enumerate().find(|(_, w)| **w != 0)?;
        let table = at * 64 + word.trailing_zeros() as usize;
        *word &= *word - 1;
        Some((TableId(table as u8), std::mem::take(&mut self.packets[table])))
    }
}

/// The places of the bits set.
pub(super) fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let i = set.trailing_zeros() as usize;
            set &= set - 1;
            i
        })
    })
}

impl FastPath {
    /// Finds the walks of the packets in `missed`, a bit each, as far as they are walks of legs; the others keep what
    /// they have. Which ones were found. They are remembered if the cache is in use.
    #[inline(never)]
    pub(super) fn resolve<'v, const N: usize, V: View<'v> + Validity>(
        &mut self,
        view: V,
        in_port: PortNo,
        missed: u32,
        remember: bool,
    ) -> u32 {
        if !self.walks.is_worth_it()
            || view.settings().first_egress.is_some()
            || view.port(in_port).is_some_and(|p| !p.takes_all())
        {
            return 0;
        }
        let mut first = 0;
        for i in bits(missed) {
            let kind = self.kinds[i];
            if kind & (FAST | TOO_LONG) != FAST {
                continue;
            }
            let Some(shape) = Runner::new(kind) else { continue };
            let w = &mut self.walks;
            first |= 1 << i;
            w.stands[i] = Stand { table: TableId(0), shape, set: PortNo::UNSET };
            (w.ids[i], w.lens[i]) = (Ids::default(), 0);
            w.traits[i] = Traits::none(Some(shape));
            if N == PACKED && self.keys.is_loose(i) {
                self.cache.whole_key::<COMPACT>(self.keys.get::<COMPACT>(i), &mut w.keys[i]);
            } else {
                self.cache.whole_key::<N>(self.keys.get::<N>(i), &mut w.keys[i]);
            }
        }
        self.walks.before.add_all(TableId(0), first);
        let done = self.step_by_step(view, in_port);
        #[cfg(test)]
        {
            self.legged += u64::from(done.count_ones());
        }
        let w = &mut self.walks;
        w.futile = if done.count_ones() * 4 < missed.count_ones() { w.futile + 1 } else { 0 };
        let mut fresh = done;
        let mut came = false;
        for i in bits(done) {
            if came {
                let before = self.find::<N>(i, &view);
                if before.is_some() {
                    // The first of its flow came just before.
                    self.found[i] = before;
                    fresh &= !(1 << i);
                    continue;
                }
            }
            let ids = self.walks.ids[i];
            self.found[i] = self.cache.walked(ids, self.walks.traits[i]);
            if remember
                && !self.cache.passes(&ids)
                && let Some(at) = self.room::<N>(i, &view)
            {
                self.remember::<N>(i, at);
                came = true;
            }
        }
        fresh
    }

    /// Lookup after lookup, those before the lowest table first: a goto only leads upwards. Which packets came to an
    /// end.
    fn step_by_step<'v, V: View<'v> + Validity>(&mut self, view: V, in_port: PortNo) -> u32 {
        let Self { cache, walks, .. } = self;
        let mut done = 0;
        let mut hits: [Option<Hit<'v>>; BURST] = [None; BURST];
        while let Some((table, packets)) = walks.before.lowest() {
            let n = packets.count_ones() as usize;
            if n < 3 {
                for (hit, i) in hits.iter_mut().zip(bits(packets)) {
                    *hit = view.lookup(table, &walks.keys[i]);
                }
            } else {
                let mut keys = [&walks.keys[0]; BURST];
                keys.iter_mut().zip(bits(packets)).for_each(|(k, i)| *k = &walks.keys[i]);
                view.lookup_burst(table, &keys[..n], &mut hits[..n]);
                let mut last = None;
                for (hit, i) in hits.iter().zip(bits(packets)) {
                    let hit = hit.as_ref();
                    let index = Some(hit.map_or(NIL, |h| h.handle.index));
                    if index != last {
                        cache.prefetch_leg(&walks.stands[i], hit);
                    }
                    last = index;
                }
            }
            let mut guesses = [0; GUESSES];
            for (hit, i) in hits.iter().zip(bits(packets)) {
                let stand = &walks.stands[i];
                let leg = cache.leg(view, stand, hit.as_ref(), &mut guesses[stand.shape.l4() % GUESSES]);
                done |= u32::from(walks.take(i, leg, in_port)) << i;
                let segment = leg.segment;
                cache.segments.prefetch(segment);
            }
        }
        done
    }
}

impl Walks {
    /// Packet `i` takes a leg. Whether it is at the end of its walk; one whose walk isn't known goes no further.
    #[inline]
    fn take(&mut self, i: usize, leg: &Leg, in_port: PortNo) -> bool {
        // More than an entry names hang on each other: that is left to the interpreter.
        let Some(place) = self.ids[i].get_mut(usize::from(self.lens[i])) else { return false };
        *place = leg.segment;
        self.lens[i] += 1;
        self.traits[i] = self.traits[i].then(leg.traits());
        match leg.next() {
            Next::On(stand) => {
                self.stands[i] = stand;
                leg.change(&mut self.keys[i]);
                self.before.add(stand.table, i);
                false
            }
            Next::Out(port) => port != in_port,
            Next::Drop => true,
            Next::Unknown => false,
        }
    }
}
