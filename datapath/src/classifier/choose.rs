//! Which masks should the tuples have? Those that take most of the rules at hand, in small groups.

use super::{Mask, Seed, Shape, hash};
use crate::key::FlowKey;
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
    sample: Vec<(Arc<Shape>, FlowKey)>,
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
    candidates: Vec<(usize, Mask)>,
    best: Option<((usize, u32), Mask)>,
    done: bool,
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
        let left = (0..sample.len() as u32).collect();
        let mut new = Self {
            seed,
            sample,
            left,
            scale: scale.max(1),
            takes,
            open: chosen.len(),
            chosen,
            counts: vec![(0, 0, 0); COUNTS],
            round: 0,
            candidates: Vec::new(),
            best: None,
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
        let mut by_mask: HashMap<&Mask, usize, foldhash::fast::FixedState> = HashMap::default();
        for i in &self.left {
            *by_mask.entry(&self.sample[*i as usize].0.mask).or_default() += 1;
        }
        let mut groups: Vec<(&Mask, usize)> = by_mask.into_iter().collect();
        groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.words().cmp(b.0.words())));
        let mut candidates: Vec<Mask> = Vec::new();
        for (mask, _) in groups.iter().take(3 * POPULAR) {
            candidates.extend([(*mask).clone(), mask.widened(), mask.coarse()]);
        }
        let popular: Vec<Mask> = groups.iter().take(POPULAR).map(|(m, _)| m.widened()).collect();
        for (i, a) in popular.iter().enumerate() {
            candidates.extend(popular[..i].iter().map(|b| a.common(b)));
        }
        candidates.sort_unstable_by(|a, b| a.words().cmp(b.words()));
        candidates.dedup();
        candidates.retain(|c| !self.chosen.contains(c));
        let least = self.least();
        let mut weighed: Vec<(usize, Mask)> = candidates
            .into_iter()
            .map(|c| (groups.iter().filter(|(m, _)| m.contains(&c)).map(|(_, n)| n).sum(), c))
            .filter(|(weight, _)| *weight >= least)
            .collect();
        // The heaviest is tried first.
        weighed.sort_by_key(|(weight, _)| *weight);
        self.candidates = weighed;
        self.best = None;
    }

    /// The rule's place among those left with the same hash under a mask, from 0, if the mask takes rules of its kind.
    fn count(&mut self, mask: &Mask, rule: u32) -> Option<usize> {
        let (shape, value) = &self.sample[rule as usize];
        if !shape.mask.contains(mask) {
            return None;
        }
        let h = hash(self.seed, mask, value);
        let mut at = h as usize % COUNTS;
        // There are fewer rules than places.
        while self.counts[at].2 == self.round && self.counts[at].0 != h {
            at = (at + 1) % COUNTS;
        }
        let n = if self.counts[at].2 == self.round { self.counts[at].1 } else { 0 };
        self.counts[at] = (h, n.saturating_add(1), self.round);
        Some(usize::from(n))
    }

    fn fresh_counts(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.counts.fill((0, 0, 0));
            self.round = 1;
        }
    }

    /// How many of the rules left a mask takes, and how many of those as companions of another.
    fn weigh(&mut self, mask: &Mask) -> (usize, usize) {
        self.fresh_counts();
        let (mut taken, mut behind) = (0, 0);
        for i in 0..self.left.len() {
            if let Some(n) = self.count(mask, self.left[i])
                && n < self.room()
            {
                taken += 1;
                behind += usize::from(n > 0);
            }
        }
        (taken, behind)
    }

    /// Rules of the sample that a group may have.
    fn room(&self) -> usize {
        (GROUP / self.scale).max(1)
    }

    /// Weighs `n` candidates; whether the choice is complete.
    pub(super) fn step(&mut self, n: usize) -> bool {
        for _ in 0..n {
            if self.done {
                return true;
            }
            let best = self.best.as_ref().map_or(0, |((score, _), _)| *score);
            match self.candidates.pop() {
                Some((weight, mask)) if weight * 8 >= best => {
                    let (taken, behind) = self.weigh(&mask);
                    let score = (taken * 8 - behind, mask.bits());
                    if taken >= self.least() && self.best.as_ref().is_none_or(|(s, _)| score > *s) {
                        self.best = Some((score, mask));
                    }
                }
                _ => self.settle(),
            }
        }
        self.done
    }

    /// All candidates were weighed.
    fn settle(&mut self) {
        let Some((_, mask)) = self.best.take() else {
            self.done = true;
            return;
        };
        self.fresh_counts();
        let mut left = std::mem::take(&mut self.left);
        left.retain(|i| self.count(&mask, *i).is_none_or(|n| n >= self.room()));
        self.left = left;
        self.chosen.push(mask);
        self.done = self.chosen.len() >= MOST_CHOSEN || self.left.is_empty();
        if !self.done {
            self.begin();
        }
    }

    /// The masks chosen, and the words that the sample's rules look at.
    pub(super) fn finish(self) -> (Vec<Mask>, Vec<u8>) {
        let words = self.sample.iter().flat_map(|(s, _)| s.mask.words()).map(|(w, _)| *w);
        let words: std::collections::BTreeSet<u8> = words.collect();
        let mut chosen = self.chosen;
        (chosen.split_off(self.open), words.into_iter().collect())
    }
}
