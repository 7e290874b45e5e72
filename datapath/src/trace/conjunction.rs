//! Why a packet meets a conjunction or doesn't: which of its clauses have an entry that the packet matches.

use super::{Mismatch, mismatch};
use crate::key::FlowKey;
use crate::table::FlowRef;
use ofproto::action::Action;
use ofproto::field::FieldId;
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use ofproto::nicira::NxAction;
use std::cmp::Reverse;
use std::collections::BTreeMap;

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
pub(super) fn clauses(instructions: &[Instruction]) -> impl Iterator<Item = (u32, u8, u8)> {
    instructions.iter().flat_map(|i| {
        let actions: &[Action] = if let Instruction::ApplyActions(a) = i { a } else { &[] };
        actions.iter().filter_map(|a| match a {
            Action::Nicira(NxAction::Conjunction { id, clause, n_clauses }) => Some((*id, *clause, *n_clauses)),
            _ => None,
        })
    })
}

/// The conjunction that an entry wants met.
pub fn wanted(m: &Match) -> Option<u32> {
    m.get(FieldId::ConjId).and_then(|f| u32::try_from(f.value).ok()).filter(|id| *id != 0)
}

/// How a conjunction stands for a packet: found out clause by clause.
pub(super) struct Standings {
    id: u32,
    /// By the priority of the clauses, highest first, and how many there are.
    all: BTreeMap<(Reverse<u16>, u8), Standing>,
}

impl Standings {
    /// No clause is known yet.
    pub fn of(id: u32) -> Self {
        Self { id, all: BTreeMap::new() }
    }

    /// An entry is one of its clauses.
    pub fn see(&mut self, key: &FlowKey, flow: &FlowRef<'_>, clause: u8, n_clauses: u8) {
        let (id, priority) = (self.id, flow.priority());
        let standing = self.all.entry((Reverse(priority), n_clauses)).or_insert_with(|| {
            let missing = (0..n_clauses).map(|clause| Missing { clause, nearest: None }).collect();
            Standing { id, priority, n_clauses, met: Vec::new(), missing }
        });
        let matching = flow.matching();
        match mismatch(key, &matching) {
            None => {
                if let Err(at) = standing.met.binary_search(&clause) {
                    standing.met.insert(at, clause);
                }
                standing.missing.retain(|m| m.clause != clause);
            }
            Some(differs) => {
                if let Some(m) = standing.missing.iter_mut().find(|m| m.clause == clause)
                    && m.nearest.is_none()
                {
                    m.nearest = Some((matching, differs));
                }
            }
        }
    }

    /// By the priority of the clauses, highest first.
    pub fn told(&self) -> Vec<Standing> {
        self.all.values().cloned().collect()
    }
}
