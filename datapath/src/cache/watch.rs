//! Hearing of changes: what a worker does at once with each, so that its packets need not ask.
//!
//! For the tables that walks came through, a worker reads the log of changes up to the version that it adopts. Of an
//! entry that came it asks a filter whether any walk that it remembers asked its table for such a packet; the filter
//! holds the keys of all walks of the current generation under the masks of what came lately. If none did, nothing
//! need be done; else the walks must be looked at again, each when it is next met.
//!
//! A mask is watched from the first change under it that is heard of, and walks remembered before that must be looked at
//! again, too; it isn't when many walks were remembered without another change under it.

use super::record::Step;
use super::seen::Seen;
use super::validity::Validity;
use crate::table::changes::{MaskWords, News, hash, told, touches};
use ofproto::ids::TableId;

/// Bits of the filter.
const BITS: usize = 1 << 23;
/// Bits set after which it is emptied.
const FULL: usize = BITS / 4;
/// Walks that are remembered before a mask under which nothing comes any more is no longer watched.
const IDLE: u32 = 4096;
/// Masks that are watched in one table.
const MOST: usize = 128;
/// Changes that weren't heard of: a number that none has.
const MISSED: u64 = u64::MAX;

struct Watched {
    table: TableId,
    /// The next change to hear of.
    next: u64,
    masks: Vec<Mask>,
}

struct Mask {
    number: u32,
    words: MaskWords,
    /// The table was asked for keys of which these words aren't all known.
    blind: bool,
    /// Walks remembered since the last change.
    idle: u32,
}

/// What a worker watches.
pub(super) struct Watch {
    tables: Vec<Watched>,
    /// By table, its place above plus one.
    places: Box<[u8; 256]>,
    filter: Vec<u64>,
    set: usize,
    /// Everything that ended later than this version was heard of.
    pub(super) whole: u64,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("tables", &self.tables.len()).field("set", &self.set).finish_non_exhaustive()
    }
}

fn places(number: u32, hash: u32, table: TableId) -> [usize; 2] {
    let all = (u64::from(hash) | u64::from(number) << 32) ^ u64::from(table.0).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let p = u128::from(all) * 0x9e37_79b9_7f4a_7c15;
    let h = (p >> 64) as u64 ^ p as u64;
    [h as usize % BITS, (h >> 32) as usize % BITS]
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { tables: Vec::new(), places: Box::new([0; 256]), filter: Vec::new(), set: 0, whole: 0 }
    }

    /// Whether anything changed since the last look. Cheap.
    #[inline]
    pub(super) fn is_news(&self, now: &impl Validity) -> bool {
        self.tables.iter().any(|t| now.changes(t.table) != t.next)
    }

    /// Hears of what `now` has. Whether walks may have come to mean something else; `gone` is told which entries ended.
    #[cold]
    pub(super) fn hear<V: Validity>(&mut self, now: &V, mut gone: impl FnMut(u32)) -> bool {
        let (mut doubt, mut missed) = (false, false);
        let Self { tables, filter, .. } = self;
        for t in tables {
            let (table, masks) = (t.table, &mut t.masks);
            let next = now.news(table, t.next, |news| match news {
                News::Any => doubt = true,
                News::Gone(stats) => gone(stats),
                News::Came { mask, hash } => {
                    let Some(m) = masks.iter_mut().find(|m| m.number == mask) else {
                        doubt = true;
                        if masks.len() >= MOST {
                            masks.clear();
                        }
                        if let Some(words) = now.mask_of(table, mask) {
                            masks.push(Mask { number: mask, words, blind: false, idle: 0 });
                        }
                        return;
                    };
                    m.idle = 0;
                    doubt |= m.blind || is_in(filter, places(mask, hash, table));
                }
            });
            t.next = match next {
                Some(next) => next,
                None => {
                    missed = true;
                    now.next_change(table).unwrap_or(MISSED)
                }
            };
        }
        if missed {
            self.whole = now.version();
        }
        doubt || missed
    }

    /// Hears of a table's changes from the next version on.
    pub(super) fn add(&mut self, table: TableId, now: &impl Validity) {
        let place = &mut self.places[usize::from(table.0)];
        if *place != 0 {
            return;
        }
        let next = now.next_change(table).unwrap_or(MISSED);
        self.tables.push(Watched { table, next, masks: Vec::new() });
        *place = self.tables.len() as u8;
    }

    /// Whether there is anything to be told of walks.
    #[inline]
    pub(super) fn is_watching(&self) -> bool {
        self.tables.iter().any(|t| !t.masks.is_empty())
    }

    /// A walk is remembered, or found to hold: what its tables were asked is put into the filter. Whether that is full.
    pub(super) fn remember<'s>(&mut self, seen: &mut Seen, steps: impl IntoIterator<Item = &'s Step>) -> bool {
        if self.filter.is_empty() {
            self.filter = vec![0; BITS / 64];
        }
        let Self { tables, places: of, filter, set, .. } = self;
        for step in steps {
            if let Step::Lookup(table, _) = step
                && let Some(t) = usize::from(of[usize::from(table.0)]).checked_sub(1).and_then(|i| tables.get_mut(i))
            {
                t.masks.retain_mut(|m| {
                    m.idle += 1;
                    if touches(&m.words, seen.unknown) {
                        m.blind = true;
                    } else {
                        let h = told(hash(m.number, &m.words, &seen.key));
                        for at in places(m.number, h, *table) {
                            let (word, bit) = (&mut filter[at / 64], 1 << (at % 64));
                            *set += usize::from(*word & bit == 0);
                            *word |= bit;
                        }
                    }
                    m.idle < IDLE
                });
            }
            seen.step(step);
        }
        *set > FULL
    }

    /// Everything was forgotten, or must be looked at again.
    pub(super) fn forget(&mut self) {
        if self.set > 0 {
            self.filter.fill(0);
            self.set = 0;
        }
        self.tables.iter_mut().for_each(|t| t.masks.clear());
    }
}

fn is_in(filter: &[u64], places: [usize; 2]) -> bool {
    places.iter().all(|at| filter.get(at / 64).is_some_and(|w| w >> (at % 64) & 1 != 0))
}
