//! Which masks should the tuples have? Those that take most of the rules at hand, in small groups.

use super::{Mask, Seed, Shape, hash_values};
use crate::key::{FlowKey, WORDS};
use std::collections::HashMap;
use std::sync::Arc;

/// Rules looked at for one choice.
pub(super) const SAMPLE: usize = 512;
/// Places to count rules by hash.
const COUNTS: usize = 2 * SAMPLE;
/// Masks of which most rules are that are combined with each other.
const POPULAR: usize = 16;
/// Rules that a group should have at most: a few more may come later.
const GROUP: usize = 8;
/// Masks chosen at most.
const MOST_CHOSEN: usize = 12;

/// A choice of masks, one after the other, each the one that takes most of what those before it leave.
///
/// Candidates are the rules' own masks, those with prefixes cut to whole bytes and to networks, and what
/// any two popular ones have in common. Companions in a group count against a mask, more bits for it.
pub(super) struct Chooser {
    seed: Seed,
    /// The words of the key that the sample's rules look at.
    words: Vec<u8>,
    /// The rules' masks: each once, and its words side by side.
    masks: Vec<Mask>,
    dense: Vec<u64>,
    /// By rule its mask's number, and word by word the values of all rules.
    kinds: Vec<u16>,
    columns: Vec<Vec<u64>>,
    /// Rules of the sample that no chosen mask takes.
    left: Vec<u32>,
    /// How many rules of the table stand behind one of the sample.
    scale: usize,
    /// What a mask must take of the table.
    takes: usize,
    chosen: Vec<Mask>,
    /// How many of `chosen` were there before.
    open: usize,
    /// Counts by hash, and whose count it is.
    counts: Vec<(u32, u16, u16)>,
    round: u16,
    candidates: Vec<(usize, Candidate)>,
    best: Option<((usize, u32), Candidate)>,
    /// What was looked at beyond what was to be.
    owed: usize,
    done: bool,
}

/// A mask that may be chosen, and which of the sample's masks contain it, a bit each.
#[derive(Clone)]
struct Candidate {
    mask: Mask,
    takes: [u64; SAMPLE / 64],
}

impl Candidate {
    /// Whether it takes rules with mask number `kind`.
    fn is_for(&self, kind: u16) -> bool {
        let kind = usize::from(kind) % SAMPLE;
        self.takes[kind / 64] >> (kind % 64) & 1 != 0
    }
}

impl Chooser {
    /// For a sample of a table with `scale` times as many rules; every mask is to take `takes` of the table's and
    /// be another than those in `chosen`.
    pub(super) fn new(
        seed: Seed,
        mut sample: Vec<(Arc<Shape>, FlowKey)>,
        scale: usize,
        takes: usize,
        chosen: Vec<Mask>,
    ) -> Self {
        sample.truncate(SAMPLE);
        let all = sample.iter().flat_map(|(s, _)| s.mask.words()).fold(0u64, |all, (w, _)| all | 1 << w);
        let words: Vec<u8> = (0..WORDS as u8).filter(|w| all >> w & 1 != 0).collect();
        let mut numbers: HashMap<&Mask, u16, foldhash::fast::FixedState> = HashMap::default();
        let mut masks: Vec<Mask> = Vec::new();
        let kinds = sample
            .iter()
            .map(|(shape, _)| {
                *numbers.entry(&shape.mask).or_insert_with(|| {
                    masks.push(shape.mask.clone());
                    masks.len() as u16 - 1
                })
            })
            .collect();
        let columns = words.iter().map(|w| sample.iter().map(|(_, v)| v.0[usize::from(*w)]).collect()).collect();
        let mut new = Self {
            seed,
            dense: masks.iter().flat_map(|m| spread(m, &words)).collect(),
            masks,
            kinds,
            columns,
            words,
            left: (0..sample.len() as u32).collect(),
            scale: scale.max(1),
            takes,
            open: chosen.len(),
            chosen,
            counts: vec![(0, 0, 0); COUNTS],
            round: 0,
            candidates: Vec::new(),
            best: None,
            owed: 0,
            done: false,
        };
        new.begin();
        new
    }

    fn least(&self) -> usize {
        (self.takes / self.scale).max(8)
    }

    /// Lists the candidates for the next mask.
    fn begin(&mut self) {
        let mut counts = vec![0usize; self.masks.len()];
        for i in &self.left {
            counts[usize::from(self.kinds[*i as usize])] += 1;
        }
        let mut groups: Vec<(usize, usize)> = counts.into_iter().enumerate().filter(|(_, n)| *n > 0).collect();
        let mask = |kind: usize| &self.masks[kind];
        groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| mask(a.0).words().cmp(mask(b.0).words())));
        let mut candidates: Vec<Mask> = Vec::new();
        for (kind, _) in groups.iter().take(3 * POPULAR) {
            candidates.extend([mask(*kind).clone(), mask(*kind).widened(), mask(*kind).coarse()]);
        }
        let popular: Vec<Mask> = groups.iter().take(POPULAR).map(|(kind, _)| mask(*kind).widened()).collect();
        for (i, a) in popular.iter().enumerate() {
            candidates.extend(popular[..i].iter().map(|b| a.common(b)));
        }
        candidates.sort_unstable_by(|a, b| a.words().cmp(b.words()));
        candidates.dedup();
        candidates.retain(|c| !self.chosen.contains(c));
        let least = self.least();
        let mut weighed: Vec<(usize, Candidate)> =
            candidates.into_iter().map(|c| self.candidate(c, &groups)).filter(|(weight, _)| *weight >= least).collect();
        // The heaviest is tried first.
        weighed.sort_by_key(|(weight, _)| *weight);
        self.candidates = weighed;
        self.best = None;
    }

    /// A mask of bits that rules' masks have, and how many rules of these groups contain it.
    fn candidate(&self, mask: Mask, groups: &[(usize, usize)]) -> (usize, Candidate) {
        let n = self.words.len();
        let bits: Vec<u64> = spread(&mask, &self.words).collect();
        let (mut weight, mut takes) = (0, [0; SAMPLE / 64]);
        for (kind, count) in groups {
            let own = &self.dense[kind * n..(kind + 1) * n];
            if own.iter().zip(&bits).fold(0, |missing, (m, b)| missing | b & !m) == 0 {
                weight += count;
                takes[kind / 64] |= 1 << (kind % 64);
            }
        }
        (weight, Candidate { mask, takes })
    }

    /// Tells of each of the rules left that a mask takes by its kind its place among those with the same hash under the
    /// mask, from 0.
    fn count(&mut self, candidate: &Candidate, mut found: impl FnMut(u32, usize)) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.counts.fill((0, 0, 0));
            self.round = 1;
        }
        let words = candidate.mask.words();
        let columns: Vec<&[u64]> = words
            .iter()
            .filter_map(|(w, _)| Some(self.columns[self.words.binary_search(w).ok()?].as_slice()))
            .collect();
        let mut values = [0; WORDS];
        for rule in self.left.iter().copied().filter(|i| candidate.is_for(self.kinds[*i as usize])) {
            values.iter_mut().zip(&columns).for_each(|(v, c)| *v = c[rule as usize]);
            let h = hash_values(self.seed, &candidate.mask, &values[..columns.len()]);
            let mut at = h as usize % COUNTS;
            // There are fewer rules than places.
            while self.counts[at].2 == self.round && self.counts[at].0 != h {
                at = (at + 1) % COUNTS;
            }
            let n = if self.counts[at].2 == self.round { self.counts[at].1 } else { 0 };
            self.counts[at] = (h, n.saturating_add(1), self.round);
            found(rule, usize::from(n));
        }
    }

    /// How many of the rules left a mask takes, and how many of those as companions of another.
    fn weigh(&mut self, candidate: &Candidate) -> (usize, usize) {
        let room = self.room();
        let (mut taken, mut behind) = (0, 0);
        self.count(candidate, |_, n| {
            taken += usize::from(n < room);
            behind += usize::from(n < room && n > 0);
        });
        (taken, behind)
    }

    /// Rules of the sample that a group may have.
    fn room(&self) -> usize {
        (GROUP / self.scale).max(1)
    }

    /// Goes on for about as long as it takes to look at `budget` rules; whether the choice is complete. What one step takes
    /// more, those after it take less.
    pub(super) fn step(&mut self, budget: usize) -> bool {
        let mut spent = self.owed;
        while spent < budget && !self.done {
            let best = self.best.as_ref().map_or(0, |((score, _), _)| *score);
            match self.candidates.pop() {
                Some((weight, candidate)) if weight * 8 >= best => {
                    let (taken, behind) = self.weigh(&candidate);
                    let score = (taken * 8 - behind, candidate.mask.bits());
                    if taken >= self.least() && self.best.as_ref().is_none_or(|(s, _)| score > *s) {
                        self.best = Some((score, candidate));
                    }
                    // It costs something to begin with.
                    spent += weight + SAMPLE / 16;
                }
                _ => {
                    self.settle();
                    spent += 16 * SAMPLE;
                }
            }
        }
        self.owed = spent.saturating_sub(budget);
        self.done
    }

    /// All candidates were weighed.
    fn settle(&mut self) {
        let Some((_, best)) = self.best.take() else {
            self.done = true;
            return;
        };
        let room = self.room();
        let mut taken = [0u64; SAMPLE / 64];
        self.count(&best, |rule, n| taken[rule as usize / 64] |= u64::from(n < room) << (rule % 64));
        self.left.retain(|i| taken[*i as usize / 64] >> (i % 64) & 1 == 0);
        self.chosen.push(best.mask);
        self.done = self.chosen.len() >= MOST_CHOSEN || self.left.is_empty();
        if !self.done {
            self.begin();
        }
    }

    /// The masks chosen, and the words that the sample's rules look at.
    pub(super) fn finish(self) -> (Vec<Mask>, Vec<u8>) {
        let mut chosen = self.chosen;
        (chosen.split_off(self.open), self.words)
    }
}

/// A mask's bits in each of these words.
fn spread(mask: &Mask, words: &[u8]) -> impl Iterator<Item = u64> {
    words.iter().map(|w| mask.words().iter().find(|(x, _)| x == w).map_or(0, |(_, m)| *m))
}
