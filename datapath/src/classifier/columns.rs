//! A burst's keys word by word, so that several parts of a table need not gather the same words each for themselves.

use super::BURST;
use crate::key::{FlowKey, WORDS};

/// Words that are kept: an access list looks at three.
const KEPT: usize = 4;
/// Keys that are worked on in one register.
pub(super) const EIGHT: usize = 8;
const NONE: u8 = u8::MAX;

/// The columns of at most [`BURST`] keys.
pub(super) struct Columns<'k> {
    keys: &'k [&'k FlowKey],
    /// The word that each column is of.
    held: [u8; KEPT],
    columns: [[u64; BURST]; KEPT],
    next: usize,
}

impl<'k> Columns<'k> {
    #[inline(always)]
    pub(super) fn new(keys: &'k [&'k FlowKey]) -> Self {
        let keys = &keys[..keys.len().min(BURST)];
        Self { keys, held: [NONE; KEPT], columns: [[0; BURST]; KEPT], next: 0 }
    }

    #[inline(always)]
    pub(super) const fn keys(&self) -> &'k [&'k FlowKey] {
        self.keys
    }

    /// In how many groups of eight the keys are.
    #[inline(always)]
    pub(super) const fn eights(&self) -> usize {
        self.keys.len().div_ceil(EIGHT)
    }

    /// A word of all keys; places beyond theirs say nothing.
    #[inline(always)]
    pub(super) fn get(&mut self, word: u8) -> &[[u64; EIGHT]] {
        let held = self.held.iter().position(|w| *w == word);
        let at = held.unwrap_or_else(|| {
            let at = self.next % KEPT;
            self.next = at + 1;
            self.held[at] = word;
            for (to, key) in self.columns[at].iter_mut().zip(self.keys) {
                // Words are below WORDS; said so that nothing is tested.
                *to = key.0[usize::from(word).min(WORDS - 1)];
            }
            at
        });
        self.columns[at].as_chunks::<EIGHT>().0
    }
}
