//! What came and went in a table lately, for caches of what was looked up in it.
//!
//! A cache that holds an answer from version `since` asks whether an entry that came later could match its packet, and
//! whether the entry that it knows may have gone. The answers err on the side of yes. Written by control before the
//! version of a change is published, read by workers; a reader may see changes of versions to come.

use crate::cache::is_received;
use crate::key::FlowKey;
use crate::publish::{Guard, Rcu, Writer};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places for changes; a later one takes the place of an earlier one.
const SLOTS: usize = 4096;
/// Masks told apart.
const MOST_MASKS: usize = 8;

/// The masks of the entries that came since version `floor`.
struct Masks {
    floor: u64,
    of: Vec<Box<[(u8, u64)]>>,
}

struct Lately {
    masks: Rcu<Masks>,
    /// By mask and value, the version of the latest entry that came.
    came: Box<[AtomicU64]>,
    /// By the number of its counters, the version of the latest entry that went.
    gone: Box<[AtomicU64]>,
}

/// A table's changes.
#[derive(Default)]
pub(crate) struct Changes {
    last_add: AtomicU64,
    last_change: AtomicU64,
    /// The latest entry to come that may match anything.
    any: AtomicU64,
    /// Made with the first change.
    lately: OnceLock<Box<Lately>>,
}

fn slot(mask: usize, words: &[(u8, u64)], key: &FlowKey) -> usize {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let h = words.iter().fold(mask as u64 + 1, |h, (w, m)| {
        let p = u128::from((key.0[usize::from(*w)] & m) ^ h) * u128::from(K);
        (p as u64 ^ (p >> 64) as u64).wrapping_add(K)
    });
    (h ^ h >> 32) as usize % SLOTS
}

fn slots() -> Box<[AtomicU64]> {
    (0..SLOTS).map(|_| AtomicU64::new(0)).collect()
}

impl Changes {
    fn lately(&self) -> &Lately {
        self.lately.get_or_init(|| Box::new(Lately { masks: Rcu::null(), came: slots(), gone: slots() }))
    }

    /// The version of the latest add.
    #[inline]
    pub(crate) fn last_add(&self) -> u64 {
        self.last_add.load(Ordering::Acquire)
    }

    /// The version of the latest change.
    #[inline]
    pub(crate) fn last_change(&self) -> u64 {
        self.last_change.load(Ordering::Acquire)
    }

    /// An entry comes with `version` whose effect is not that of a match.
    pub(crate) fn note_any(&self, version: u64) {
        self.any.store(version, Ordering::Release);
        self.last_add.store(version, Ordering::Release);
        self.last_change.store(version, Ordering::Release);
    }

    /// An entry comes with `version` that matches `value` under `mask`.
    pub(crate) fn note_add(&self, version: u64, mask: &[(u8, u64)], value: &FlowKey, writer: &mut Writer) {
        // What packets bring along from earlier tables isn't known to those who ask.
        if mask.iter().any(|(w, _)| !is_received(usize::from(*w))) {
            return self.note_any(version);
        }
        let lately = self.lately();
        let place = |m: &Masks| m.of.iter().position(|of| **of == *mask);
        let i = lately.masks.load(writer.guard()).and_then(place).unwrap_or_else(|| {
            let (floor, mut of) = match lately.masks.load(writer.guard()) {
                Some(m) if m.of.len() < MOST_MASKS => (m.floor, m.of.clone()),
                // Of what came before, this version included, nothing is known any more.
                Some(_) => (version, Vec::new()),
                None => (0, Vec::new()),
            };
            of.push(mask.into());
            let i = of.len() - 1;
            lately.masks.replace(Some(Arc::new(Masks { floor, of })), writer);
            i
        });
        lately.came[slot(i, mask, value)].store(version, Ordering::Release);
        self.last_add.store(version, Ordering::Release);
        self.last_change.store(version, Ordering::Release);
    }

    /// The entry that counts under `stats` ends with `version`.
    pub(crate) fn note_end(&self, version: u64, stats: u32) {
        self.lately().gone[stats as usize % SLOTS].store(version, Ordering::Release);
        self.last_change.store(version, Ordering::Release);
    }

    /// Whether an entry that matches `key` may have come later than version `since`.
    pub(crate) fn may_have_come(&self, since: u64, key: &FlowKey, guard: Guard<'_>) -> bool {
        if self.any.load(Ordering::Acquire) > since {
            return true;
        }
        let Some(lately) = self.lately.get() else { return false };
        let Some(masks) = lately.masks.load(guard) else { return false };
        masks.floor > since
            || masks.of.iter().enumerate().any(|(i, m)| lately.came[slot(i, m, key)].load(Ordering::Acquire) > since)
    }

    /// Whether the entry that counts under `stats` may have ended later than version `since`.
    pub(crate) fn may_have_gone(&self, since: u64, stats: u32) -> bool {
        self.lately.get().is_some_and(|l| l.gone[stats as usize % SLOTS].load(Ordering::Acquire) > since)
    }
}
