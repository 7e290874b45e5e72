//! Which mask should the next tuple have? The one that takes most of the rules at hand, in short chains.

use super::{CHAIN_MAX, Mask, Seed, hash};
use crate::key::FlowKey;
use crate::table::FlowBody;
use std::collections::HashMap;

/// Rules looked at for one choice.
pub(super) const SAMPLE: usize = 512;
/// Masks of which most rules are that are combined with each other.
const POPULAR: usize = 12;

/// A mask for a tuple that takes at least `least` of `rules` (the first [`SAMPLE`] of them), if there is one that isn't
/// open already.
///
/// Candidates are the rules' own masks, those with prefixes cut to whole bytes and to networks, and what
/// any two popular ones have in common. A long chain counts against a mask, more bits for it.
pub(super) fn choose(seed: Seed, rules: &[&FlowBody], least: usize, is_open: impl Fn(&Mask) -> bool) -> Option<Mask> {
    let rules = &rules[..rules.len().min(SAMPLE)];
    let mut by_mask: HashMap<&Mask, Vec<usize>, foldhash::fast::FixedState> = HashMap::default();
    for (i, r) in rules.iter().enumerate() {
        by_mask.entry(&r.shape.mask).or_default().push(i);
    }
    let values: Vec<FlowKey> = rules.iter().map(|r| r.value()).collect();
    let mut groups: Vec<(&Mask, Vec<usize>)> = by_mask.into_iter().collect();
    groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.1.cmp(&b.1)));
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
    candidates.retain(|c| !is_open(c));
    let mut weighed: Vec<(usize, Mask)> = candidates
        .into_iter()
        .map(|c| (groups.iter().filter(|(m, _)| m.contains(&c)).map(|(_, r)| r.len()).sum(), c))
        .filter(|(weight, _)| *weight >= least)
        .collect();
    weighed.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let mut best: Option<((usize, u32), Mask)> = None;
    let mut hashes = Vec::with_capacity(rules.len());
    for (weight, c) in weighed {
        if best.as_ref().is_some_and(|((score, _), _)| weight * 8 < *score) {
            break;
        }
        hashes.clear();
        for (_, rules) in groups.iter().filter(|(m, _)| m.contains(&c)) {
            hashes.extend(rules.iter().map(|i| hash(seed, &c, &values[*i])));
        }
        hashes.sort_unstable();
        let (mut taken, mut behind) = (0, 0);
        for chain in hashes.chunk_by(|a, b| a == b) {
            taken += chain.len().min(CHAIN_MAX);
            behind += chain.len().min(CHAIN_MAX) - 1;
        }
        let score = (taken * 8 - behind * 2, c.bits());
        if taken >= least && best.as_ref().is_none_or(|(s, _)| score > *s) {
            best = Some((score, c));
        }
    }
    best.map(|(_, mask)| mask)
}
