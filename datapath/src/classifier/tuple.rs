//! A tuple: entries by the hash of their value under one mask.
//!
//! Under a hash stands an entry whose mask is the tuple's, or a [group](super::group) of entries with the same hash
//! (the same value under the tuple's mask, but for rare collisions).

use super::arena::{Arena, LINE};
use super::filter::{self, Filter};
use super::group::{Group, MOST};
use super::index::{Ground, Index, IndexBook, Slots};
use super::walk::Candidate;
use super::{Bound, Mask, Unchained, unchain};
use crate::key::FlowKey;
use crate::publish::Guard;
use crate::table::{FlowBody, FlowRef, NIL, Slab};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// In a head: it is a group's place in the arena, not an entry's in the slab.
const GROUP: u32 = 1 << 31;

/// Readers' side.
pub(super) struct Tuple {
    pub(super) mask: Mask,
    /// The words of the key that groups compare.
    words: Box<[u8]>,
    index: Index,
}

/// What the entries of a tuple lie in.
#[derive(Clone, Copy)]
pub(super) struct Memory<'g> {
    pub(super) slab: &'g Slab,
    pub(super) arena: &'g Arena,
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Query<'k, 'g> {
    pub(super) version: u64,
    pub(super) key: &'k FlowKey,
    /// Entries of lower rank aren't wanted.
    pub(super) floor: u32,
    pub(super) guard: Guard<'g>,
}

impl Tuple {
    /// Where its heads stand.
    #[inline(always)]
    pub(super) fn slots<'g>(&'g self, arena: &'g Arena) -> Slots<'g> {
        self.index.slots(arena)
    }

    #[inline]
    pub(super) fn prefetch(&self, arena: &Arena, h: u32) {
        self.index.prefetch(arena, h);
    }

    /// What stands under this hash: an entry whose mask is the tuple's, or a group.
    #[inline(always)]
    pub(super) fn head<const WIDE: bool>(&self, arena: &Arena, h: u32) -> Option<u32> {
        self.index.head::<WIDE>(arena, h)
    }

    /// The words of the group that a head stands for; none if it is an entry.
    #[inline(always)]
    pub(super) fn words<'g>(head: u32, memory: Memory<'g>) -> &'g [AtomicU64] {
        if head & GROUP == 0 { &[] } else { memory.arena.words(head & !GROUP) }
    }

    /// Asks for what a head stands for: a group's first lines, or an entry.
    #[inline(always)]
    pub(super) fn prefetch_head(head: u32, memory: Memory<'_>) {
        if head & GROUP == 0 {
            memory.slab.prefetch(head);
        } else {
            let words = Self::words(head, memory).as_ptr();
            super::prefetch(words);
            super::prefetch(words.wrapping_add(LINE));
        }
    }

    /// Whether the key has this entry's values under the tuple's mask, which is its own.
    #[inline]
    fn same(&self, body: &FlowBody, key: &FlowKey) -> bool {
        self.mask.words().iter().zip(body.values.words()).all(|((w, m), v)| key.0[usize::from(*w)] & m == *v)
    }

    /// The best entry under a head that matches: an entry of a group by what is noted there, whether visible or not,
    /// any other only if it is visible. `words` are its [`words`](Self::words).
    #[inline(always)]
    pub(super) fn candidate<'g, const WIDE: bool>(
        &self,
        (head, words): (u32, &'g [AtomicU64]),
        slab: &'g Slab,
        q: Query<'_, 'g>,
    ) -> Candidate {
        if head & GROUP == 0 {
            return match FlowRef::current(slab, head, q.version, q.guard) {
                Some(found) if self.same(found.body(), q.key) => Candidate::new(found.body().rank(), head),
                _ => Candidate::NONE,
            };
        }
        match Group::in_words(words, q.guard) {
            Some(group) => group.candidate::<WIDE>(q.key, &self.words),
            None => Candidate::NONE,
        }
    }

    /// Every visible entry under a head that matches, best first.
    #[inline(always)]
    pub(super) fn matches<'g, 'q, const WIDE: bool>(
        &'q self,
        head: u32,
        memory: Memory<'g>,
        q: Query<'q, 'g>,
    ) -> impl Iterator<Item = FlowRef<'g>> + use<'g, 'q, WIDE> {
        let (single, group) = if head & GROUP == 0 {
            let found = FlowRef::current(memory.slab, head, q.version, q.guard);
            (found.filter(|f| self.same(f.body(), q.key) && f.body().rank() >= q.floor), None)
        } else {
            (None, Group::at(memory.arena, head & !GROUP, q.guard))
        };
        let mut equal = group.map_or(0, |g| g.equal::<WIDE>(q.key, &self.words));
        let of_group = std::iter::from_fn(move || {
            let group = group?;
            while equal != 0 {
                let (rank, index) = group.rule(equal.trailing_zeros() as usize)?;
                if rank < q.floor {
                    return None;
                }
                equal &= equal - 1;
                if index != NIL
                    && let Some(found) = FlowRef::current(memory.slab, index, q.version, q.guard)
                {
                    return Some(found);
                }
            }
            None
        });
        single.into_iter().chain(of_group)
    }

    /// Whether entries with this mask fit the groups.
    fn covers(&self, own: &Mask) -> bool {
        own.words().iter().all(|(w, _)| self.words.contains(w))
    }
}

/// The writer's side of a tuple.
pub(super) struct TupleBook {
    pub(super) tuple: Arc<Tuple>,
    index: IndexBook,
    pub(super) bound: Bound,
    pub(super) entries: usize,
    /// Hashes under which anything stands.
    heads: usize,
    /// What is looked at before them, and how many were noted there; none if there are too many of them.
    filter: Option<Arc<Filter>>,
    noted: usize,
    /// Readers' list of parts has another filter.
    pub(super) refiltered: bool,
}

impl TupleBook {
    /// A tuple whose groups compare these words of the key; `None` if there is no memory for it.
    pub(super) fn new(mask: Mask, words: Box<[u8]>, ground: &mut Ground<'_>) -> Option<Self> {
        let (readers, index) = IndexBook::new(ground)?;
        let tuple = Arc::new(Tuple { mask, words, index: readers });
        let filter = Some(Arc::new(Filter::new(0)));
        let bound = Bound::default();
        Some(Self { tuple, index, bound, entries: 0, heads: 0, filter, noted: 0, refiltered: false })
    }

    /// What readers look at before the tuple's slots.
    pub(super) fn filter(&self) -> Option<Arc<Filter>> {
        self.filter.clone()
    }

    /// Something stands under this hash now where nothing stood.
    fn note(&mut self, h: u32, ground: &Ground<'_>) {
        self.heads += 1;
        match &self.filter {
            Some(filter) if self.noted < filter.room() => {
                filter.note(h);
                self.noted += 1;
            }
            // Not at once again for a tuple that is about as large as may be.
            None if self.heads > filter::MOST / 2 => {}
            _ => {
                self.filter = (self.heads <= filter::MOST).then(|| {
                    let filter = Filter::new(self.heads);
                    self.index.each_hash(&self.tuple.index, ground.arena, |h| filter.note(h));
                    Arc::new(filter)
                });
                self.noted = self.heads;
                self.refiltered = true;
            }
        }
    }

    /// Nothing stands under this hash any more.
    fn strike(&mut self, h: u32, ground: &mut Ground<'_>) {
        self.heads = self.heads.saturating_sub(1);
        self.index.strike(&self.tuple.index, h, ground);
    }

    /// Puts an entry with this mask under a hash that has room; whether it could.
    pub(super) fn insert(&mut self, h: u32, index: u32, own: &Mask, slab: &Slab, ground: &mut Ground<'_>) -> bool {
        if !own.contains(&self.tuple.mask) {
            return false;
        }
        let guard = ground.writer.guard();
        let mut entries: SmallVec<[u32; MOST + 1]> = SmallVec::new();
        match self.tuple.head::<false>(ground.arena, h) {
            None => {}
            Some(head) if head & GROUP == 0 => entries.push(head),
            Some(head) => {
                entries.extend(Group::at(ground.arena, head & !GROUP, guard).into_iter().flat_map(|g| g.entries()));
            }
        }
        // Groups compare the words of the tuple; alone under its hash, an entry of the tuple's mask needs none.
        let alone = entries.is_empty() && *own == self.tuple.mask;
        if !alone && !self.tuple.covers(own) || entries.len() >= MOST {
            return false;
        }
        let head = if alone {
            index
        } else {
            let Some(new) = FlowRef::of_writer(slab, index, guard) else { return false };
            let worse =
                |i: &u32| FlowRef::of_writer(slab, *i, guard).is_none_or(|e| super::beats(new.body(), e.body()));
            let at = entries.iter().position(worse).unwrap_or(entries.len());
            entries.insert(at, index);
            let Some(at) = ground.make_group(slab, &entries, &self.tuple.words) else { return false };
            GROUP | at
        };
        self.set_head(h, head, ground)
    }

    /// Puts `head` under a hash, in place of what was there.
    fn set_head(&mut self, h: u32, head: u32, ground: &mut Ground<'_>) -> bool {
        match self.index.set(&self.tuple.index, h, head, ground) {
            Ok(Some(old)) if old & GROUP != 0 => ground.free_group(old & !GROUP),
            Ok(Some(_)) => {}
            Ok(None) => self.note(h, ground),
            Err(()) => return false,
        }
        true
    }

    /// Takes an entry away, or puts in its place the one that continues it; whether it was there.
    pub(super) fn remove(&mut self, h: u32, index: u32, slab: &Slab, ground: &mut Ground<'_>) -> bool {
        let Some(head) = self.tuple.head::<false>(ground.arena, h) else { return false };
        if head & GROUP == 0 {
            match unchain(slab, head, index, ground.writer) {
                Unchained::No => return false,
                Unchained::Inside => {}
                Unchained::Head(NIL) => self.strike(h, ground),
                Unchained::Head(next) => return self.set_head(h, next, ground),
            }
            return true;
        }
        let at = head & !GROUP;
        let Some(group) = Group::at(ground.arena, at, ground.writer.guard()) else { return false };
        for (lane, (_, entry)) in (0..MOST).map_while(|i| Some((i, group.rule(i)?))).filter(|(_, r)| r.1 != NIL) {
            match unchain(slab, entry, index, ground.writer) {
                Unchained::No => continue,
                Unchained::Inside => return true,
                Unchained::Head(next) => {
                    group.renew(lane, next);
                    if next == NIL {
                        let mut left = group.entries();
                        match (left.next(), left.next()) {
                            (None, _) => {
                                self.strike(h, ground);
                                ground.free_group(at);
                            }
                            (Some(last), None) if self.is_own(slab, last, ground) => {
                                self.set_head(h, last, ground);
                            }
                            _ => {}
                        }
                    }
                    return true;
                }
            }
        }
        false
    }

    /// Whether an entry's mask is the tuple's.
    fn is_own(&self, slab: &Slab, index: u32, ground: &Ground<'_>) -> bool {
        FlowRef::of_writer(slab, index, ground.writer.guard()).is_some_and(|e| e.body().shape.mask == self.tuple.mask)
    }

    /// Gives its memory back. Nothing lies in it any more, and readers' list has it no longer after this version.
    pub(super) fn close(mut self, ground: &mut Ground<'_>) {
        self.index.close(&self.tuple.index, ground);
    }
}
