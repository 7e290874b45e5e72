//! Why a packet meets a conjunction or doesn't: which of its clauses have an entry that the packet matches.

use super::{Mismatch, What, mismatch};
use crate::key::FlowKey;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::ids::TableId;
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::nicira::NxAction;
use ofproto::stats::FlowDesc;

/// A conjunction at one priority, as one packet sees it. Clauses count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What entries match as `conj_id`.
    pub id: u32,
    /// The priority of its clauses.
    pub priority: u16,
    /// How many clauses it has.
    pub n_clauses: u8,
    /// Those that the packet meets.
    pub met: Vec<u8>,
    /// Those that it doesn't.
    pub missing: Vec<Missing>,
}

/// A clause that a packet doesn't meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub clause: u8,
    /// An entry for it, and where the packet differs; `None`: it has no entry.
    pub nearest: Option<(Match, Mismatch)>,
}

/// The conjunctions that an entry is a clause of: id, clause, how many there are.
fn clauses(flow: &FlowDesc) -> impl Iterator<Item = (u32, u8, u8)> {
    flow.instructions.iter().flat_map(|i| {
        let actions: &[Action] = if let Instruction::ApplyActions(a) = i { a } else { &[] };
        actions.iter().filter_map(|a| match a {
            Action::Nicira(NxAction::Conjunction { id, clause, n_clauses }) => Some((*id, *clause, *n_clauses)),
            _ => None,
        })
    })
}

/// Whether an entry is no match of its own but a clause of conjunctions.
pub fn is_clause(flow: &FlowDesc) -> bool {
    clauses(flow).next().is_some()
}

/// The conjunction that an entry wants met.
pub fn wanted(m: &Match) -> Option<u32> {
    m.get(FieldId::ConjId).and_then(|f| u32::try_from(f.value).ok()).filter(|id| *id != 0)
}

/// How a conjunction stands for a packet with this key, by the priority of its clauses, highest first.
pub fn standing(id: u32, table: TableId, key: &FlowKey, flows: &[FlowDesc]) -> Vec<Standing> {
    let mut all: Vec<Standing> = Vec::new();
    let of_id = |f: &FlowDesc| clauses(f).filter(|c| c.0 == id).map(|(_, clause, n)| (clause, n)).collect::<Vec<_>>();
    for f in flows.iter().filter(|f| f.table == table) {
        for (clause, n_clauses) in of_id(f) {
            let known = all.iter_mut().find(|s| (s.priority, s.n_clauses) == (f.priority, n_clauses));
            let standing = match known {
                Some(s) => s,
                None => {
                    let missing = (0..n_clauses).map(|clause| Missing { clause, nearest: None }).collect();
                    all.push(Standing { id, priority: f.priority, n_clauses, met: Vec::new(), missing });
                    let Some(new) = all.last_mut() else { continue };
                    new
                }
            };
            match mismatch(key, &f.matching) {
                None => {
                    if !standing.met.contains(&clause) {
                        standing.met.push(clause);
                    }
                    standing.missing.retain(|m| m.clause != clause);
                }
                Some(differs) => {
                    if let Some(m) = standing.missing.iter_mut().find(|m| m.clause == clause)
                        && m.nearest.is_none()
                    {
                        m.nearest = Some((f.matching.clone(), differs));
                    }
                }
            }
        }
    }
    for s in &mut all {
        s.met.sort_unstable();
    }
    all.sort_by_key(|s| std::cmp::Reverse(s.priority));
    all
}

/// Whether a conjunction's clauses come before what a lookup found, so that it would have been the match.
pub(super) fn comes_first(id: u32, lookup: &What, flows: &[FlowDesc]) -> bool {
    let What::Lookup { table, hit, .. } = lookup else { return false };
    let clause = |f: &FlowDesc| clauses(f).any(|c| c.0 == id);
    flows.iter().any(|f| f.table == *table && hit.is_none_or(|h| f.priority > h.priority) && clause(f))
}
