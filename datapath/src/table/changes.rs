//! What came and went in a table lately, for caches of what was looked up in it.
//!
//! There are two ways to learn of a change. The log tells every change in order, so that a cache can do at once what
//! follows from each: usually nothing, as no packet of its own matches what came. Whoever has reason to doubt what it
//! knows since version `since` asks the notes whether an entry that came later could match its packet, and whether the
//! entry that it knows may have gone; those answers err on the side of yes. Both are written by control before the
//! version of a change is published, and read by workers, who may see changes of versions to come.

use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use crate::sys::array::Array;
use crossbeam::utils::CachePadded;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// Places for changes; a later one takes the place of an earlier one.
const SLOTS: usize = 4096;
/// Changes that the log holds: what a worker may miss that doesn't run for a while. Memory is taken as it is used.
const LOG: u64 = 1 << 15;
/// Masks told apart: so many as they are, the others rounded down to whole bytes, and beyond that as the closest one
/// that asks for less.
const EXACT_MASKS: usize = 48;
const MOST_MASKS: usize = 96;
/// Changes after which a full list of masks is made anew.
const AGED: u64 = 1 << 16;
/// Places by a mask's hash that say where it is noted: an access list has many masks.
const HINTS: usize = 1024;
/// Numbers of masks that a list takes.
const NUMBERS: u32 = 128;
const _: () = assert!(MOST_MASKS <= NUMBERS as usize);

/// The words of a mask that aren't zero.
pub type MaskWords = SmallVec<[(u8, u64); 6]>;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// An entry came that matches packets whose key has this [`hash`] under the mask of this number.
    Came {
        /// The mask's number, never used for another one of the table.
        mask: u32,
        /// The high half of the hash.
        hash: u32,
    },
    /// Something changed that any packet may meet.
    Any,
    /// The entry that counts under this number ended.
    Gone(u32),
}

const KIND_ANY: u64 = 0;
const KIND_CAME: u64 = 1 << 62;
const KIND_GONE: u64 = 2 << 62;

impl News {
    fn word(self) -> u64 {
        match self {
            Self::Any => KIND_ANY,
            Self::Came { mask, hash } => KIND_CAME | u64::from(mask & 0x3fff_ffff) << 32 | u64::from(hash),
            Self::Gone(stats) => KIND_GONE | u64::from(stats),
        }
    }

    fn of(word: u64) -> Self {
        match word & 3 << 62 {
            KIND_CAME => Self::Came { mask: (word >> 32) as u32 & 0x3fff_ffff, hash: word as u32 },
            KIND_GONE => Self::Gone(word as u32),
            _ => Self::Any,
        }
    }
}

/// The hash of a key under the mask of this number.
#[inline]
pub(crate) fn hash(number: u32, words: &[(u8, u64)], key: &FlowKey) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let h = words.iter().fold(u64::from(number) + 1, |h, (w, m)| {
        let p = u128::from((key.0[usize::from(*w)] & m) ^ h) * u128::from(K);
        (p as u64 ^ (p >> 64) as u64).wrapping_add(K)
    });
    h ^ h >> 32
}

/// The half of a hash that the log tells.
#[inline]
pub(crate) const fn told(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Whether a mask looks at a word of which `unknown` has the bit.
#[inline]
pub(crate) fn touches(words: &[(u8, u64)], unknown: u64) -> bool {
    unknown != 0 && words.iter().any(|(w, _)| unknown >> w & 1 != 0)
}

/// A mask of entries that came.
struct Noted {
    number: u32,
    words: MaskWords,
    /// The version of the latest of them.
    last: AtomicU64,
}

/// The masks of the entries that came since version `floor`.
struct Masks {
    floor: u64,
    of: Vec<Arc<Noted>>,
}

/// The latest note of a place, and the version of the one before that had another hash.
#[derive(Default)]
struct Note {
    /// The version above a part of the hash.
    latest: AtomicU64,
    before: AtomicU64,
}

const TAG_BITS: u32 = 12;

const fn tag(hash: u64) -> u64 {
    hash >> 40 & ((1 << TAG_BITS) - 1)
}

impl Note {
    fn write(&self, version: u64, hash: u64) {
        let latest = self.latest.load(Ordering::Relaxed);
        let next = version << TAG_BITS | tag(hash);
        if (latest ^ next) & ((1 << TAG_BITS) - 1) != 0 {
            self.before.store(latest >> TAG_BITS, Ordering::Release);
        }
        self.latest.store(next, Ordering::Release);
    }

    /// Whether something of this hash may have been noted later than version `since`.
    fn is_later(&self, since: u64, hash: u64) -> bool {
        // What a later note replaced is in `before` by the time that that note can be seen.
        let latest = self.latest.load(Ordering::Acquire);
        latest >> TAG_BITS > since
            && (latest & ((1 << TAG_BITS) - 1) == tag(hash) || self.before.load(Ordering::Acquire) > since)
    }
}

/// Changes in order. Numbers of changes go up; the ring holds the latest.
struct Log {
    /// How many were begun and how many are there.
    begun: CachePadded<AtomicU64>,
    there: CachePadded<AtomicU64>,
    /// Two words for each: the version, and what changed.
    ring: Array<AtomicU64>,
}

impl Log {
    fn new() -> Self {
        Self { begun: CachePadded::default(), there: CachePadded::default(), ring: Array::new() }
    }

    fn push(&self, version: u64, news: News) {
        let n = self.there.load(Ordering::Relaxed);
        self.begun.store(n + 1, Ordering::Relaxed);
        // Whoever sees anything of the new change sees that it was begun.
        fence(Ordering::Release);
        let at = 2 * (n % LOG) as u32;
        self.ring.grow(at + 1);
        if let Some((v, w)) = self.ring.get(at).zip(self.ring.get(at + 1)) {
            v.store(version, Ordering::Relaxed);
            w.store(news.word(), Ordering::Relaxed);
        }
        self.there.store(n + 1, Ordering::Release);
    }

    fn get(&self, n: u64) -> (u64, News) {
        let at = 2 * (n % LOG) as u32;
        let Some((v, w)) = self.ring.get(at).zip(self.ring.get(at + 1)) else { return (0, News::Any) };
        (v.load(Ordering::Relaxed), News::of(w.load(Ordering::Relaxed)))
    }

    /// Whether all that was read from change `n` on was what stood there.
    fn is_whole(&self, n: u64) -> bool {
        fence(Ordering::Acquire);
        self.begun.load(Ordering::Relaxed).saturating_sub(n) <= LOG
    }
}

struct Lately {
    masks: Rcu<Masks>,
    /// By mask and value.
    came: Box<[Note]>,
    /// By the number of its counters, the version of the latest entry that went.
    gone: Box<[AtomicU64]>,
    log: Log,
    /// The writer's: where in the list a mask may be found, by a hash of it; and when the list was made.
    hints: [AtomicU8; HINTS],
    began: AtomicU64,
}

/// A table's changes.
#[derive(Default)]
pub(crate) struct Changes {
    last_add: AtomicU64,
    /// The latest entry to come that may match anything.
    any: AtomicU64,
    /// Made with the first change.
    lately: OnceLock<Box<Lately>>,
}

/// Whether a packet's bits under `mask` say what they are under `part`.
fn is_part(part: &[(u8, u64)], mask: &[(u8, u64)]) -> bool {
    part.iter().all(|(w, m)| mask.iter().any(|(x, n)| x == w && m & !n == 0))
}

fn hint(mask: &[(u8, u64)]) -> usize {
    let h = mask.iter().fold(0u64, |h, (w, m)| (h ^ m ^ u64::from(*w)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (h >> 48) as usize % HINTS
}

/// A mask without those bytes that it has in part.
fn whole_bytes(mask: &[(u8, u64)]) -> MaskWords {
    let whole = |m: u64| (0..8).map(|i| 0xff << (8 * i)).filter(|byte| m & byte == *byte).fold(0, |a, b| a | b);
    mask.iter().map(|(w, m)| (*w, whole(*m))).filter(|(_, m)| *m != 0).collect()
}

impl Changes {
    fn lately(&self) -> &Lately {
        self.lately.get_or_init(|| {
            Box::new(Lately {
                masks: Rcu::null(),
                came: (0..SLOTS).map(|_| Note::default()).collect(),
                gone: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
                log: Log::new(),
                hints: [const { AtomicU8::new(0) }; HINTS],
                began: AtomicU64::new(0),
            })
        })
    }

    /// The version of the latest add.
    #[inline]
    pub(crate) fn last_add(&self) -> u64 {
        self.last_add.load(Ordering::Acquire)
    }

    /// An entry comes with `version` whose effect is not that of a match.
    pub(crate) fn note_any(&self, version: u64) {
        self.any.store(version, Ordering::Release);
        self.last_add.store(version, Ordering::Release);
        self.lately().log.push(version, News::Any);
    }

    /// An entry comes with `version` that matches `value` under `mask`.
    pub(crate) fn note_add(&self, version: u64, mask: &[(u8, u64)], value: &FlowKey, writer: &mut Writer) {
        let lately = self.lately();
        if let Some(noted) = lately.hinted(mask, writer.guard()) {
            return self.note_came(lately, version, noted, value);
        }
        match lately.noted(version, mask, writer) {
            Some(noted) => self.note_came(lately, version, &noted, value),
            None => self.note_any(version),
        }
    }

    fn note_came(&self, lately: &Lately, version: u64, noted: &Noted, value: &FlowKey) {
        let h = hash(noted.number, &noted.words, value);
        lately.came[h as usize % SLOTS].write(version, h);
        noted.last.store(version, Ordering::Release);
        self.last_add.store(version, Ordering::Release);
        lately.log.push(version, News::Came { mask: noted.number, hash: told(h) });
    }

    /// The entry that counts under `stats` ends with `version`.
    pub(crate) fn note_end(&self, version: u64, stats: u32) {
        let lately = self.lately();
        lately.gone[stats as usize % SLOTS].store(version, Ordering::Release);
        lately.log.push(version, News::Gone(stats));
    }

    /// Whether an entry that matches `key` may have come later than version `since`. Nothing is known of the key's
    /// words of which `unknown` has the bit.
    pub(crate) fn may_have_come(&self, since: u64, key: &FlowKey, unknown: u64, guard: Guard<'_>) -> bool {
        if self.any.load(Ordering::Acquire) > since {
            return true;
        }
        let Some(lately) = self.lately.get() else { return false };
        let Some(masks) = lately.masks.load(guard) else { return false };
        masks.floor > since
            || masks.of.iter().any(|m| {
                m.last.load(Ordering::Acquire) > since && {
                    let h = hash(m.number, &m.words, key);
                    touches(&m.words, unknown) || lately.came[h as usize % SLOTS].is_later(since, h)
                }
            })
    }

    /// Whether the entry that counts under `stats` may have ended later than version `since`.
    pub(crate) fn may_have_gone(&self, since: u64, stats: u32) -> bool {
        self.lately.get().is_some_and(|l| l.gone[stats as usize % SLOTS].load(Ordering::Acquire) > since)
    }

    /// How many changes there were.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.lately.get().map_or(0, |l| l.log.there.load(Ordering::Acquire))
    }

    /// The number of the first change that `version` doesn't have, unless there are too many of them.
    pub(crate) fn count_at(&self, version: u64) -> Option<u64> {
        let Some(log) = self.lately.get().map(|l| &l.log) else { return Some(0) };
        let there = log.there.load(Ordering::Acquire);
        let least = there.saturating_sub(LOG / 2);
        let first = (least..there).rev().find(|n| log.get(*n).0 <= version).map_or(least, |n| n + 1);
        (log.is_whole(least) && (first > least || least == 0)).then_some(first)
    }

    /// Tells the changes from number `first` on that `version` has; gives the number of the first that it doesn't have,
    /// or nothing if some were missed. What is told then may be wrong.
    pub(crate) fn news(&self, first: u64, version: u64, mut tell: impl FnMut(News)) -> Option<u64> {
        let Some(log) = self.lately.get().map(|l| &l.log) else { return Some(0) };
        let there = log.there.load(Ordering::Acquire);
        if first > there || !log.is_whole(first) {
            return None;
        }
        for n in first..there {
            let (of, news) = log.get(n);
            if of > version {
                return log.is_whole(first).then_some(n);
            }
            tell(news);
        }
        log.is_whole(first).then_some(there)
    }

    /// The mask of this number, if it is still in use.
    pub(crate) fn mask(&self, number: u32, guard: Guard<'_>) -> Option<MaskWords> {
        let masks = self.lately.get()?.masks.load(guard)?;
        masks.of.iter().find(|m| m.number == number).map(|m| m.words.clone())
    }
}

impl Lately {
    /// Where an entry with this mask is noted, if it is where it was last.
    fn hinted<'g>(&self, mask: &[(u8, u64)], guard: Guard<'g>) -> Option<&'g Noted> {
        let masks = self.masks.load(guard)?;
        let found = masks.of.get(usize::from(self.hints[hint(mask)].load(Ordering::Relaxed)))?;
        let fits = found.words[..] == *mask || masks.of.len() >= EXACT_MASKS && is_part(&found.words, mask);
        fits.then_some(found)
    }

    /// Where an entry with this mask is noted; `None` if that would say nothing.
    fn noted(&self, version: u64, mask: &[(u8, u64)], writer: &mut Writer) -> Option<Arc<Noted>> {
        let hint = &self.hints[hint(mask)];
        let masks = self.masks.load(writer.guard());
        let (floor, of) = masks.map_or((0, &[][..]), |m| (m.floor, &m.of));
        let found = |of: &[Arc<Noted>], mask: &[(u8, u64)]| of.iter().position(|m| m.words[..] == *mask);
        let take = |of: &[Arc<Noted>], i: usize| {
            hint.store(i as u8, Ordering::Relaxed);
            of.get(i).cloned()
        };
        if let Some(i) = found(of, mask) {
            return take(of, i);
        }
        let bytes = whole_bytes(mask);
        let first = of.first().map_or(0, |m| m.number);
        let (floor, words, first, before) = if of.len() < EXACT_MASKS {
            (floor, mask.into(), first, of)
        } else if let Some(i) = found(of, &bytes) {
            return take(of, i);
        } else if of.len() < MOST_MASKS && !bytes.is_empty() {
            (floor, bytes, first, of)
        } else if self.log.there.load(Ordering::Relaxed).saturating_sub(self.began.load(Ordering::Relaxed)) < AGED {
            let bits = |m: &Noted| m.words.iter().map(|(_, m)| m.count_ones()).sum::<u32>();
            let fitting = (0..of.len()).filter(|i| is_part(&of[*i].words, mask));
            let best = fitting.max_by_key(|i| bits(&of[*i]))?;
            return take(of, best);
        } else {
            // Of what came before, this version included, nothing is known any more.
            let first = (first + NUMBERS) % (1 << 30);
            self.began.store(self.log.there.load(Ordering::Relaxed), Ordering::Relaxed);
            self.log.push(version, News::Any);
            (version, mask.into(), first, &[][..])
        };
        let i = before.len();
        let mut of = before.to_vec();
        of.push(Arc::new(Noted { number: first + i as u32, words, last: AtomicU64::new(0) }));
        let taken = take(&of, i);
        self.masks.replace(Some(Arc::new(Masks { floor, of })), writer);
        taken
    }
}
