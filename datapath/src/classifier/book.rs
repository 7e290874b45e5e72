//! The writer's side of a classifier: what lies where, and how it is placed anew.

use super::choose::{Chooser, SAMPLE};
use super::linear::Linear;
use super::routes::{Plan, RoutesBook, Terms};
use super::structure::{BEHIND, Site, Structure, TAKES, order};
use super::{Classifier, Description, Form, LINEAR_MAX, Mask, Shape, Unchained, beats, unchain};
use crate::key::FlowKey;
use crate::publish::Writer;
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Down to this many entries, a table goes back to direct comparison.
const LINEAR_BACK: usize = 12;
/// A table that lies in several parts is placed anew from this size on with time at hand, and from that while
/// entries are still coming: the choice of masks would cost them more than it gains.
const FIRST_BUILD: usize = 256;
const FIRST_BUSY_BUILD: usize = 1024;
/// Entries placed anew with each change while that goes on.
const PLACED_PER_CHANGE: usize = 8;
/// Rules that a choice of masks looks at instead of placing one.
const WEIGHED_PER_PLACED: usize = 8;

/// A structure that will take the place of the one that readers walk.
struct Build {
    structure: Structure,
    /// The tree in front of it, if it will have one.
    routes: Option<RoutesBook>,
    phase: Phase,
}

impl Build {
    /// Whether the slot is one that was placed already, so that what comes there must be.
    fn is_past(&self, index: u32) -> bool {
        matches!(self.phase, Phase::Placing(cursor) if index < cursor)
    }

    /// Places an entry with those that continue it.
    fn place(&mut self, index: u32, site: Site<'_>) {
        self.structure.place_all(index, site);
        self.routes.take_if(|r| !r.insert(index, site));
    }
}

enum Phase {
    /// Forgets what slots from here on note for the lane.
    Clearing(u32),
    Choosing(Box<Chooser>),
    /// Places the entries of slots from here on.
    Placing(u32),
}

/// Writer's side: what is where.
#[derive(Default)]
pub(crate) struct ClassifierBook {
    /// While the form is linear: the entries, best first.
    linear: Vec<u32>,
    form: Option<Arc<Form>>,
    mixed: Option<Structure>,
    /// The tree in front of that, and what readers know of it.
    routes: Option<(RoutesBook, Terms)>,
    next: Option<Box<Build>>,
    entries: usize,
    /// Entries have come since the last look whether there is time at hand.
    growing: bool,
    /// How many entries there were when all of it was placed last.
    built: usize,
    /// Whether the entries are clauses of conjunctions: those share a slab with the others.
    clauses: bool,
}

impl ClassifierBook {
    /// Links an entry; readers see it as soon as its version is published.
    pub(crate) fn insert(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        self.entries += 1;
        self.growing = true;
        if self.mixed.is_none() && self.linear.len() < LINEAR_MAX {
            let guard = writer.guard();
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return };
            self.clauses = new.body().behaviour.is_clause();
            let at = self
                .linear
                .partition_point(|i| FlowRef::of_writer(slab, *i, guard).is_some_and(|e| beats(e.body(), new.body())));
            self.linear.insert(at, index);
            self.publish_linear(c, slab, writer);
            return;
        }
        let site = Site { slab, writer };
        let now = self.mixed.get_or_insert_with(|| {
            let mut structure = Structure::new(c.seed, 0);
            std::mem::take(&mut self.linear).into_iter().for_each(|i| structure.place_all(i, site));
            self.form = None;
            self.built = 0;
            structure
        });
        now.place(index, site);
        now.gather(site);
        now.changed |= self.routes.take_if(|(r, _)| !r.insert(index, site)).is_some();
        if let Some(next) = self.next.as_mut().filter(|n| n.is_past(index)) {
            next.place(index, site);
        }
        if self.has_work(false) {
            self.work(c, slab, PLACED_PER_CHANGE, writer);
        }
        self.refresh(c, slab, writer);
    }

    /// Links an entry that goes on where `old` ends, with the same match, rank and age: readers find it where they
    /// find `old`. Whether that was possible; [`insert`](Self::insert) does it otherwise.
    pub(crate) fn follow(&mut self, slab: &Slab, old: u32, index: u32, writer: &Writer) -> bool {
        let guard = writer.guard();
        let (Some(before), Some(new)) = (slab.slot(old, guard), slab.slot(index, guard)) else { return false };
        let same = |a: &FlowBody, b: &FlowBody| {
            a.shape.mask == b.shape.mask
                && a.values.words() == b.values.words()
                && (a.rank(), a.created) == (b.rank(), b.created)
        };
        if !before.body(guard).zip(new.body(guard)).is_some_and(|(a, b)| same(a, b)) {
            return false;
        }
        for (mine, theirs) in new.home.iter().zip(&before.home) {
            let home = theirs.load(Ordering::Relaxed);
            mine.store(if home == NIL { NIL } else { home | BEHIND }, Ordering::Relaxed);
        }
        new.next.store(before.next.load(Ordering::Relaxed), Ordering::Relaxed);
        before.next.store(index, Ordering::Release);
        self.entries += 1;
        true
    }

    /// Asks for the memory that linking an entry with this match will look at.
    #[inline]
    pub(crate) fn foresee(&self, mask: &Mask, value: &FlowKey) {
        if let Some(now) = &self.mixed {
            now.foresee(mask, value);
        }
    }

    /// Asks for the memory that unlinking an entry will look at.
    pub(crate) fn prefetch(&self, slab: &Slab, index: u32, writer: &Writer) {
        if let Some(now) = &self.mixed {
            now.prefetch(index, Site { slab, writer });
        }
    }

    /// Unlinks an entry that no version in use shows. Its slot may be freed a grace period later.
    pub(crate) fn remove(&mut self, c: &Classifier, slab: &Slab, index: u32, writer: &mut Writer) {
        let Some(now) = &mut self.mixed else {
            for at in 0..self.linear.len() {
                match unchain(slab, self.linear[at], index, writer) {
                    Unchained::No => continue,
                    Unchained::Inside => {}
                    Unchained::Head(NIL) => {
                        self.linear.remove(at);
                        self.publish_linear(c, slab, writer);
                    }
                    Unchained::Head(next) => {
                        self.linear[at] = next;
                        if let Some(Form::Linear(linear)) = self.form.as_deref() {
                            linear.renew(at, next);
                        }
                    }
                }
                self.entries -= 1;
                return;
            }
            return;
        };
        let site = Site { slab, writer };
        let follower = site.next(index);
        // The structure in preparation first: its removal leaves the link as it is, too.
        let heads = site.note(index, now.lane) & BEHIND == 0;
        let unlinked = now.remove(index, site);
        if let Some((routes, _)) = self.routes.as_mut().filter(|_| heads) {
            routes.remove(index, follower, site);
        }
        if let Some(next) = &mut self.next {
            next.structure.remove(index, site);
            if let Some(routes) = next.routes.as_mut().filter(|_| heads) {
                routes.remove(index, follower, site);
            }
        }
        if !unlinked {
            return;
        }
        self.entries -= 1;
        if heads && follower != NIL {
            // What continued it stands for itself now.
            for lane in 0..2 {
                let home = site.note(follower, lane);
                if home != NIL {
                    site.set_note(follower, lane, home & !BEHIND);
                }
            }
            if let Some(next) = self.next.as_mut().filter(|n| n.is_past(follower))
                && site.note(follower, next.structure.lane) == NIL
            {
                next.place(follower, site);
            }
        }
        if self.entries == 0 {
            *self = Self::default();
            c.form.replace(None, writer);
        }
    }

    /// After a batch of removals: readers stop looking at parts that hold nothing.
    pub(crate) fn flush(&mut self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        if let Some(now) = &mut self.mixed {
            now.settle(writer);
        }
        self.refresh(c, slab, writer);
    }

    /// Goes back to direct comparison if few entries are left. `live` lists every entry linked.
    pub(crate) fn relax(&mut self, c: &Classifier, slab: &Slab, live: impl Iterator<Item = u32>, writer: &mut Writer) {
        if !self.wants_relaxing() {
            return;
        }
        let mut all: Vec<u32> = live.collect();
        if all.len() != self.entries {
            return;
        }
        all.sort_by(|a, b| order(*a, *b, Site { slab, writer }));
        *self = Self { linear: all, entries: self.entries, clauses: self.clauses, ..Self::default() };
        for i in &self.linear {
            (0..2).for_each(|lane| Site { slab, writer }.set_note(*i, lane, NIL));
        }
        self.publish_linear(c, slab, writer);
    }

    pub(crate) fn wants_relaxing(&self) -> bool {
        self.mixed.is_some() && self.entries <= LINEAR_BACK
    }

    /// Entries linked, those awaiting their end included.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Whether all of it should be placed anew, or is being so. With time at hand (`idle`) a smaller change of size
    /// is reason enough.
    pub(crate) fn has_work(&self, idle: bool) -> bool {
        if self.next.is_some() {
            return true;
        }
        let Some(now) = &self.mixed else { return false };
        let first = if idle { FIRST_BUILD } else { FIRST_BUSY_BUILD };
        let grown = if idle { self.built + self.built / 4 } else { 3 * self.built };
        let shrunk = if idle { self.built / 2 } else { self.built / 4 };
        now.cost() > 1 && (self.entries >= first.max(grown) || self.entries < shrunk && self.entries > LINEAR_BACK)
    }

    /// Whether there is [work](Self::has_work) now that a turn has nothing better to do: not while entries are still
    /// coming, or all would be placed anew again and again.
    pub(crate) fn has_work_now(&mut self) -> bool {
        let growing = std::mem::take(&mut self.growing);
        self.has_work(!growing)
    }

    /// Goes on with placing everything anew: about `n` entries' work. `limit`: one past the highest slot in use.
    pub(crate) fn work(&mut self, c: &Classifier, slab: &Slab, n: usize, writer: &mut Writer) {
        let limit = slab.limit();
        let Some(now) = &self.mixed else { return };
        let (site, clauses, lane) = (Site { slab, writer }, self.clauses, now.lane);
        let next = self.next.get_or_insert_with(|| {
            self.built = self.entries;
            let structure = Structure::new(c.seed, lane ^ 1);
            Box::new(Build { structure, routes: None, phase: Phase::Clearing(0) })
        });
        match &mut next.phase {
            Phase::Clearing(cursor) => {
                let end = limit.min(cursor.saturating_add(16 * n as u32));
                for i in (*cursor..end).filter(|i| site.is_ours(*i, lane, clauses)) {
                    site.set_note(i, lane ^ 1, NIL);
                }
                *cursor = end;
                if end == limit {
                    let sample = sample(site, limit, (lane, clauses));
                    next.routes = Plan::of(&sample).map(RoutesBook::new);
                    let scale = self.entries / sample.len().max(1);
                    next.phase = Phase::Choosing(Box::new(Chooser::new(c.seed, sample, scale, TAKES, Vec::new())));
                }
            }
            Phase::Choosing(chooser) => {
                if chooser.step(n * WEIGHED_PER_PLACED) {
                    let Phase::Choosing(chooser) = std::mem::replace(&mut next.phase, Phase::Placing(0)) else {
                        return;
                    };
                    let (masks, words) = chooser.finish();
                    next.structure.open(masks, words, writer);
                }
            }
            Phase::Placing(cursor) => {
                let range = *cursor..limit.min(cursor.saturating_add(n as u32));
                *cursor = range.end;
                let complete = range.end >= limit;
                for i in range {
                    if site.is_ours(i, lane, clauses)
                        && site.note(i, lane) & BEHIND == 0
                        && site.note(i, lane ^ 1) == NIL
                    {
                        next.place(i, site);
                    }
                }
                if complete && let Some(next) = self.next.take() {
                    let mut structure = next.structure;
                    structure.complete(writer);
                    self.mixed = Some(structure);
                    self.routes = next.routes.map(|r| {
                        let terms = r.terms();
                        (r, terms)
                    });
                    self.built = self.entries;
                    self.refresh(c, slab, writer);
                }
            }
        }
    }

    /// What the lookup structure consists of now.
    pub(crate) fn describe(&self) -> Description {
        let (tuples, blocks) = self.mixed.as_ref().map(|s| (s.tuples(), s.blocks())).unwrap_or_default();
        let routes = self.routes.as_ref().map_or(0, |(r, _)| r.len());
        Description { direct: self.linear.len(), routes, tuples, blocks, placing: self.next.is_some() }
    }

    /// Entries by tuples, and entries in blocks, for tests.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (Vec<usize>, usize) {
        self.mixed.as_ref().map_or((Vec::new(), 0), |s| (s.tuples(), s.residue))
    }

    fn publish_linear(&mut self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        self.form =
            (!self.linear.is_empty()).then(|| Arc::new(Form::Linear(Linear::new(slab, &self.linear, writer.guard()))));
        c.form.replace(self.form.clone(), writer);
    }

    /// Gives readers the list of parts if it has changed.
    fn refresh(&mut self, c: &Classifier, slab: &Slab, writer: &mut Writer) {
        let Some(now) = &mut self.mixed else { return };
        if let Some((routes, terms)) = &mut self.routes
            && let Some(new) = routes.news().filter(|n| n != terms)
        {
            *terms = new;
            now.changed = true;
        }
        if std::mem::take(&mut now.changed) {
            let mut parts = now.list(Site { slab, writer });
            parts.routes = self.routes.as_ref().map(|(r, terms)| (r.readers(), *terms));
            c.form.replace(Some(Arc::new(Form::Parts(parts))), writer);
        }
    }
}

/// Rules of a table in slots below `limit`, of this lane and kind: all of them, or some from everywhere.
fn sample(site: Site<'_>, limit: u32, (lane, clauses): (usize, bool)) -> Vec<(Arc<Shape>, FlowKey)> {
    let step = (limit as usize).div_ceil(SAMPLE).max(1);
    (0..limit)
        .step_by(step)
        .filter_map(|first| (first..limit.min(first + 8.min(step as u32))).find(|i| site.is_ours(*i, lane, clauses)))
        .filter_map(|i| site.rule(i))
        .map(|r| (r.shape, r.value))
        .collect()
}
