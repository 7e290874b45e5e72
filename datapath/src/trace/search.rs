//! Names what a walk's lookups met: the entry that matched, the better ones that were passed over and why.
//!
//! Entries are looked at where they lie, a few at a time, and only those that are told are described: however many there
//! are, whoever owns the tables is kept for a moment only. What is told is of one version of the tables, that at which the
//! search began.

use super::conjunction::{Standing, Standings};
use super::{Matched, Mismatch, Trace, What, mismatch};
use crate::cache::CachedHit;
use crate::clock::Time;
use crate::control::{Control, DumpId};
use crate::key::FlowKey;
use crate::publish::CachedFlow;
use crate::table::FlowRef;
use ofproto::Version;
use ofproto::error::OfError;
use ofproto::ids::{Cookie, TableId};
use ofproto::matching::Match;
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a lookup met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Met {
    /// The entry that matched; `None` if there was none, or it is gone by now.
    pub entry: Option<FlowDesc>,
    /// Those that would have come before it, best first.
    pub passed_over: Vec<Rejected>,
}

/// An entry that would have come before the one that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: Cookie,
    /// Its match.
    pub matching: Match,
    /// Why it didn't match; `None` if it is the table's newer state that holds it.
    pub because: Option<Mismatch>,
    /// The conjunction that it wants, by priority of the clauses, best first.
    pub conjunction: Option<Vec<Standing>>,
}

/// An entry that is to be told.
struct Candidate {
    priority: u16,
    at: CachedFlow,
    wants: Option<u32>,
}

/// A lookup that entries are sought for.
struct Lookup {
    table: TableId,
    key: Box<FlowKey>,
    hit: Option<Matched>,
    /// The best ones so far, best first.
    better: Vec<Candidate>,
    /// Conjunctions with a clause that comes before what matched.
    clauses: HashSet<u32>,
    /// How those stand that a candidate wants.
    standings: HashMap<u32, Standings>,
}

/// What the tables are walked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Entries of a higher priority.
    Better,
    /// Clauses that come before what matched.
    Clauses,
    /// Entries that such clauses would have met.
    Met,
    /// All clauses of conjunctions that are to be told.
    Standings,
}

/// A search under way.
pub struct Search {
    dump: DumpId,
    most: usize,
    lookups: Vec<Lookup>,
    aim: Aim,
    /// The lookups of each table by what they found, lowest first.
    tables: BTreeMap<TableId, Vec<usize>>,
    /// Tables still to be walked, and from where.
    left: Vec<TableId>,
    next: u32,
    /// Some entry wants a conjunction and comes after what matched by its own priority.
    low: bool,
}

impl Lookup {
    /// Whether an entry of this priority comes before what matched.
    fn beaten_by(&self, priority: u16) -> bool {
        self.hit.is_none_or(|h| priority > h.priority)
    }

    fn take(&mut self, flow: &FlowRef<'_>, wants: Option<u32>, most: usize) {
        let priority = flow.priority();
        let at = self.better.partition_point(|c| c.priority >= priority);
        if at < most {
            self.better.truncate(most - 1);
            self.better.insert(at, Candidate { priority, at: flow.cached(), wants });
        }
    }

    fn is_hit(&self, flow: &FlowRef<'_>) -> bool {
        self.hit.is_some_and(|h| named(h.entry) == flow.cached())
    }
}

fn named(hit: CachedHit) -> CachedFlow {
    CachedFlow { table: hit.table, index: hit.index, added: hit.added }
}

impl Search {
    /// Begins to search what the lookups of a walk met, and for each at most `most` better ones. Close it with
    /// [`end`](Self::end).
    ///
    /// # Errors
    /// Those of [`Control::flow_stats`], in theory.
    pub fn begin(control: &mut Control, trace: &Trace, most: usize) -> Result<Self, OfError> {
        let dump = control.flow_stats(&FlowStatsRequest::default(), Version::V15)?;
        let lookups: Vec<Lookup> = trace
            .steps
            .iter()
            .filter_map(|step| match &step.what {
                What::Lookup { table, key, hit } => Some(Lookup {
                    table: *table,
                    key: key.clone(),
                    hit: *hit,
                    better: Vec::new(),
                    clauses: HashSet::new(),
                    standings: HashMap::new(),
                }),
                _ => None,
            })
            .collect();
        let mut tables = BTreeMap::<TableId, Vec<usize>>::new();
        for (i, lookup) in lookups.iter().enumerate() {
            tables.entry(lookup.table).or_default().push(i);
        }
        for of in tables.values_mut() {
            of.sort_by_key(|i| lookups[*i].hit.map(|h| h.priority));
        }
        let left = tables.keys().copied().collect();
        Ok(Self { dump, most, lookups, aim: Aim::Better, tables, left, next: 0, low: false })
    }

    /// Goes on for a while: `work` is about the number of entries that are looked at, for one lookup. Whether that was all.
    pub fn go_on(&mut self, control: &Control, work: usize) -> bool {
        loop {
            let Some(table) = self.left.last().copied() else {
                if !self.next_aim() {
                    return true;
                }
                continue;
            };
            let Some(of) = self.tables.get(&table) else { return true };
            let (lookups, aim, most, low) = (&mut self.lookups, self.aim, self.most, &mut self.low);
            let looks = (work / of.len()).max(1);
            let see = |flow: FlowRef<'_>| see(&flow, aim, of, lookups, most, low);
            match control.see_flows(self.dump, table, self.next, looks, see) {
                Some(next) => self.next = next,
                None => {
                    self.left.pop();
                    self.next = 0;
                }
            }
            return false;
        }
    }

    /// What to walk the tables for next; false at the end.
    fn next_aim(&mut self) -> bool {
        self.aim = match self.aim {
            Aim::Better if self.low => Aim::Clauses,
            Aim::Clauses if self.lookups.iter().any(|l| !l.clauses.is_empty()) => Aim::Met,
            Aim::Standings => return false,
            _ => {
                for lookup in &mut self.lookups {
                    let wanted = lookup.better.iter().filter_map(|c| c.wants);
                    lookup.standings = wanted.map(|id| (id, Standings::of(id))).collect();
                }
                Aim::Standings
            }
        };
        let lookups = &self.lookups;
        let concerned = |of: &[usize]| match self.aim {
            Aim::Better | Aim::Clauses => true,
            Aim::Met => of.iter().any(|i| lookups.get(*i).is_some_and(|l| !l.clauses.is_empty())),
            Aim::Standings => of.iter().any(|i| lookups.get(*i).is_some_and(|l| !l.standings.is_empty())),
        };
        self.left = self.tables.iter().filter(|(_, of)| concerned(of)).map(|(table, _)| *table).collect();
        true
    }

    /// Closes it: what each lookup met, in their order, as far as it was found.
    pub fn end(self, control: &mut Control, now: Time) -> Vec<Met> {
        let met = |mut lookup: Lookup| {
            let Lookup { key, better, standings, .. } = &mut lookup;
            let rejected = better.iter().filter_map(|c| {
                let flow = control.flow_at(c.at, now)?;
                Some(Rejected {
                    priority: flow.priority,
                    cookie: flow.cookie,
                    because: mismatch(key, &flow.matching),
                    matching: flow.matching,
                    // Several entries may want the same.
                    conjunction: c.wants.map(|id| standings.get(&id).map(Standings::told).unwrap_or_default()),
                })
            });
            let passed_over = rejected.collect();
            Met { entry: lookup.hit.and_then(|h| control.flow_at(named(h.entry), now)), passed_over }
        };
        let all = self.lookups.into_iter().map(met).collect();
        control.end_dump(self.dump);
        all
    }
}

/// What an entry is to the lookups `of` its table.
fn see(flow: &FlowRef<'_>, aim: Aim, of: &[usize], lookups: &mut [Lookup], most: usize, low: &mut bool) {
    let (priority, is_clause, wants) = (flow.priority(), flow.is_clause(), flow.wanted_conjunction());
    for i in of {
        let Some(lookup) = lookups.get_mut(*i) else { continue };
        let beaten = lookup.beaten_by(priority);
        match aim {
            // A clause is never the match itself.
            Aim::Better => match wants {
                Some(_) if lookup.is_hit(flow) => {}
                None if is_clause => return,
                _ if beaten => lookup.take(flow, wants, most),
                // Its clauses' priority counts, not its own.
                Some(_) => *low = true,
                // The others found something better still.
                None => return,
            },
            Aim::Clauses if is_clause && beaten => {
                lookup.clauses.extend(super::conjunction::clauses(flow.instructions()).map(|c| c.0));
            }
            Aim::Met => {
                if let Some(id) = wants
                    && !beaten
                    && lookup.clauses.contains(&id)
                    && !lookup.is_hit(flow)
                {
                    lookup.take(flow, wants, most);
                }
            }
            Aim::Standings if is_clause && !lookup.standings.is_empty() => {
                for (id, clause, n_clauses) in super::conjunction::clauses(flow.instructions()) {
                    if let Some(standings) = lookup.standings.get_mut(&id) {
                        standings.see(&lookup.key, flow, clause, n_clauses);
                    }
                }
            }
            Aim::Clauses | Aim::Standings => {}
        }
    }
}

/// A search that takes as long as it takes.
///
/// # Errors
/// As [`Search::begin`].
pub fn search(control: &mut Control, trace: &Trace, most: usize, now: Time) -> Result<Vec<Met>, OfError> {
    let mut search = Search::begin(control, trace, most)?;
    while !search.go_on(control, usize::MAX) {}
    Ok(search.end(control, now))
}
