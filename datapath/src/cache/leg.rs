//! Legs: what an entry of a table does to packets of one shape, worked out once.
//!
//! A walk through tables whose entries do no more than edit, send and go on is a chain of legs. Which ones follow each
//! other is found by lookups alone, with a key on which a leg's edits are noted: no frame is touched and nothing
//! counted before the whole walk is known, which is then carried out as if the cache had had it. A leg's steps are
//! those that the interpreter's recorder would have written down; what isn't sure to be so has no leg, and its packets
//! are walked.
//!
//! Legs hold for one epoch (ports, groups, meters, settings, and the static mask) and as long as their segments. The
//! entry is named by place and version, so that another one in its place isn't taken for it.

use super::key::MOST_PUSHES;
use super::micro::{Compiled, Runner};
use super::patch::Parts;
use super::record::{CachedHit, Step};
use super::segment::Traits;
use crate::key::{FlowKey, Slot, VLAN_PRESENT, low_bits, slot, word};
use crate::pipeline::{DropReason, Hit, Miss, View};
use crate::program::Op;
use crate::table::NIL;
use ofproto::field::FieldId as F;
use ofproto::ids::{PortNo, TableId};
use ofproto::port::PortConfig;
use smallvec::SmallVec;

/// Key words that a leg may change.
const MOST_CHANGES: usize = 2;
/// Places of a leg, by the hash of what it is for.
const WAYS: usize = 2;
/// Legs there is room for at first, and at most.
const LEAST: usize = 1 << 10;
const MOST: usize = 1 << 17;

/// Where a packet stands before a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The table that is asked.
    pub(crate) table: TableId,
    /// The packet's shape.
    pub(crate) shape: Runner,
    /// The output that the action set holds, or `UNSET`.
    pub(crate) set: PortNo,
}

/// How a walk goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// It doesn't; it sends to a port, which is to be another than the one where the packet came in.
    Out(PortNo),
    /// It doesn't, and drops the packet.
    Drop,
    /// From here.
    On(Stand),
    /// Only the interpreter knows.
    Unknown,
}

const OUT: u8 = 0;
const DROP: u8 = 1;
const ON: u8 = 2;
const UNKNOWN: u8 = 3;
const KIND: u8 = 3;
const PLAIN: u8 = 1 << 2;
const DECREMENTS: u8 = 1 << 3;
const COVERED: u8 = 1 << 4;
const ENDS: u8 = 1 << 5;
const LISTED: u8 = 1 << 6;

/// What an entry does, or (no entry) its absence: one line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Leg {
    /// The version of the entry, 0 for none.
    added: u64,
    /// Its place.
    index: u32,
    pub(crate) segment: u32,
    /// Where a packet stands before, and behind: table, shape, output of the set, or port.
    table: TableId,
    shape: u8,
    next_table: TableId,
    next_shape: u8,
    /// How it goes on, and what the segment is like.
    flags: u8,
    parts: Parts,
    /// Words of the key that change; the bits that do, and what they become, as far as any entry looks at them.
    words: [u8; MOST_CHANGES],
    set: PortNo,
    next_set: PortNo,
    masks: [u64; MOST_CHANGES],
    values: [u64; MOST_CHANGES],
}

const _: () = assert!(size_of::<Leg>() == 64);

impl Leg {
    /// No table has this number.
    pub(super) const NONE: Self = Self {
        added: 0,
        index: NIL,
        segment: 0,
        table: TableId::ALL,
        shape: 0,
        next_table: TableId::ALL,
        next_shape: 0,
        flags: UNKNOWN,
        parts: 0,
        words: [0; MOST_CHANGES],
        set: PortNo::UNSET,
        next_set: PortNo::UNSET,
        masks: [0; MOST_CHANGES],
        values: [0; MOST_CHANGES],
    };

    const fn new(from: Stand, index: u32, added: u64) -> Self {
        Self { added, index, table: from.table, shape: from.shape.number(), set: from.set, ..Self::NONE }
    }

    const fn is_none(&self) -> bool {
        self.table.0 == TableId::ALL.0
    }

    #[inline]
    fn is_from(&self, from: &Stand) -> bool {
        (self.table == from.table) & (self.shape == from.shape.number()) & (self.set == from.set)
    }

    /// How the walk goes on.
    #[inline]
    pub(crate) fn next(&self) -> Next {
        match self.flags & KIND {
            OUT => Next::Out(self.next_set),
            DROP => Next::Drop,
            ON => {
                let shape = Runner::from_number(self.next_shape);
                Next::On(Stand { table: self.next_table, shape, set: self.next_set })
            }
            _ => Next::Unknown,
        }
    }

    fn set_next(&mut self, next: Next) {
        let kind = match next {
            Next::Out(port) => {
                self.next_set = port;
                OUT
            }
            Next::Drop => DROP,
            Next::On(stand) => {
                (self.next_table, self.next_shape, self.next_set) = (stand.table, stand.shape.number(), stand.set);
                ON
            }
            Next::Unknown => UNKNOWN,
        };
        self.flags = self.flags & !KIND | kind;
    }

    /// What the segment is like.
    #[inline]
    pub(crate) fn traits(&self) -> Traits {
        let has = |bit| self.flags & bit != 0;
        Traits {
            plain: has(PLAIN),
            decrements: has(DECREMENTS),
            covered: has(COVERED),
            ends: has(ENDS),
            listed: has(LISTED),
            parts: self.parts,
        }
    }

    /// The segment that was made of the steps. One that isn't plain ends the leg's use.
    pub(super) fn set_segment(&mut self, segment: u32, t: Traits) {
        self.segment = segment;
        self.parts = t.parts;
        for (has, bit) in
            [(t.plain, PLAIN), (t.decrements, DECREMENTS), (t.covered, COVERED), (t.ends, ENDS), (t.listed, LISTED)]
        {
            self.flags = self.flags & !bit | if has { bit } else { 0 };
        }
        if !t.plain {
            self.set_next(Next::Unknown);
        }
    }

    /// Its packets are the interpreter's.
    pub(super) fn give_up(&mut self) {
        self.set_next(Next::Unknown);
    }

    /// Notes on a key what the leg changes in the packet.
    #[inline]
    pub(crate) fn change(&self, key: &mut FlowKey) {
        for (w, (mask, value)) in self.words.iter().zip(self.masks.iter().zip(&self.values)) {
            if *mask == 0 {
                break;
            }
            if let Some(word) = key.0.get_mut(usize::from(*w)) {
                *word = *word & !mask | value;
            }
        }
    }
}

/// A worker's legs: a table of fixed places, in which a later one may push out an earlier one.
pub(crate) struct Legs {
    places: Vec<Leg>,
    used: usize,
    seed: u64,
}

impl Legs {
    pub(super) const fn new(seed: u64) -> Self {
        Self { places: Vec::new(), used: 0, seed }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        if self.used > 0 {
            self.places.fill(Leg::NONE);
            self.used = 0;
        }
    }

    #[inline]
    fn place(&self, from: &Stand, index: u32) -> usize {
        let stand = u64::from(from.table.0) << 32 | u64::from(from.shape.number()) << 40;
        let what = (u64::from(index) | stand) ^ u64::from(from.set.0).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let h = (what ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (h >> 32) as usize & (self.places.len().max(WAYS) - WAYS)
    }

    /// Asks for a leg's line.
    #[inline]
    pub(super) fn prefetch(&self, from: &Stand, hit: Option<&CachedHit>) {
        let at = self.place(from, named(hit).0);
        crate::classifier::prefetch(self.places.as_ptr().wrapping_add(at));
        crate::classifier::prefetch(self.places.as_ptr().wrapping_add(at + 1));
    }

    /// The place of an entry's leg, if it is known.
    #[inline]
    pub(super) fn find(&self, from: &Stand, hit: Option<&CachedHit>) -> Option<usize> {
        let (index, added) = named(hit);
        let at = self.place(from, index);
        let [first, second] = self.places.get(at..at + WAYS)? else { return None };
        // Without a branch on which of the two it is: that can't be foretold.
        let is = |l: &Leg| (l.index == index) & (l.added == added) & l.is_from(from);
        let other = !is(first);
        (!other | is(second)).then_some(at + usize::from(other))
    }

    /// Whether the leg at a place is an entry's.
    #[inline]
    pub(super) fn is_at(&self, at: usize, from: &Stand, hit: Option<&CachedHit>) -> bool {
        let (index, added) = named(hit);
        let is = |l: &Leg| (l.index == index) & (l.added == added) & l.is_from(from);
        self.places.get(at).is_some_and(is)
    }

    /// The leg at a place that [`find`](Self::find) gave.
    #[inline]
    pub(super) fn get(&self, at: usize) -> &Leg {
        self.places.get(at).unwrap_or(&Leg::NONE)
    }

    /// Keeps a leg; its place.
    pub(super) fn put(&mut self, leg: Leg) -> usize {
        if self.used * 2 >= self.places.len() && self.places.len() < MOST {
            let more = (self.places.len() * 4).max(LEAST);
            let mut places = Vec::with_capacity(more);
            crate::sys::huge_pages(places.spare_capacity_mut());
            places.resize(more, Leg::NONE);
            let old = std::mem::replace(&mut self.places, places);
            self.used = 0;
            for leg in old.into_iter().filter(|l| !l.is_none()) {
                self.set(leg);
            }
        }
        self.set(leg)
    }

    fn set(&mut self, leg: Leg) -> usize {
        let from = Stand { table: leg.table, shape: Runner::from_number(leg.shape), set: leg.set };
        let at = self.place(&from, leg.index);
        let Some([first, second]) = self.places.get_mut(at..at + WAYS) else { return at };
        // The place of an entry that was there before is taken by the one that is there now.
        if first.is_none() || first.index == leg.index && first.is_from(&from) {
            self.used += usize::from(first.is_none());
            *first = leg;
        } else {
            self.used += usize::from(second.is_none());
            *second = std::mem::replace(first, leg);
        }
        at
    }
}

impl std::fmt::Debug for Legs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Legs").field("used", &self.used).finish_non_exhaustive()
    }
}

/// Place and version of an entry.
fn named(hit: Option<&CachedHit>) -> (u32, u64) {
    hit.map_or((NIL, 0), |h| (h.index, h.added))
}

/// A leg with the steps of its segment.
pub(super) struct Draft {
    pub(super) leg: Leg,
    pub(super) steps: SmallVec<[Step; 8]>,
}

/// Works out what an entry, or that there is none, does to packets that stand so. `mask` is what entries look at.
pub(super) fn draft<'v>(view: impl View<'v>, from: Stand, hit: Option<&Hit<'v>>, mask: &FlowKey) -> Draft {
    let (index, added) = named(hit.map(|h| &h.handle));
    let mut leg = Leg::new(from, index, added);
    let mut steps = SmallVec::new();
    let next = match hit {
        Some(hit) => follow(view, from, hit, mask, &mut leg, &mut steps),
        None => missed(view, from, &mut steps),
    };
    leg.set_next(next.unwrap_or(Next::Unknown));
    Draft { leg, steps }
}

/// No entry.
fn missed<'v>(view: impl View<'v>, from: Stand, steps: &mut SmallVec<[Step; 8]>) -> Option<Next> {
    steps.push(Step::Lookup(from.table, None));
    let next = TableId(from.table.0.saturating_add(1));
    match view.miss(from.table) {
        Miss::Drop => {
            steps.push(Step::Drop(DropReason::TableMiss));
            Some(Next::Drop)
        }
        Miss::Continue if next.0 < view.settings().n_tables => Some(Next::On(Stand { table: next, ..from })),
        Miss::Continue | Miss::Controller => None,
    }
}

/// What an entry's program does, if it is all of the kind that legs are made of.
fn follow<'v>(
    view: impl View<'v>,
    from: Stand,
    hit: &Hit<'v>,
    mask: &FlowKey,
    leg: &mut Leg,
    steps: &mut SmallVec<[Step; 8]>,
) -> Option<Next> {
    let p = hit.program;
    steps.push(Step::Lookup(from.table, Some(hit.handle)));
    if p.meter.is_some() {
        return None;
    }
    let mut changes = Changes { mask, made: SmallVec::new() };
    let mut shape = from.shape;
    let mut edit = |op: &Op, steps: &mut SmallVec<[Step; 8]>| {
        let before = shape;
        let done = match shape.compile(op) {
            Compiled::No => return None,
            Compiled::Micro(_) => true,
            Compiled::Nothing => false,
        };
        steps.push(Step::Edit(op.clone(), from.table, hit.cookie));
        changes.by(op, before, done)
    };
    let mut sent = None;
    for op in &p.apply {
        if sent.is_some() {
            return None;
        }
        match op {
            Op::Output { port, .. } => sent = Some(*port),
            _ => edit(op, steps)?,
        }
    }
    let mut set = if p.clear { PortNo::UNSET } else { from.set };
    for s in &p.write {
        match &s.op {
            Op::Output { port, .. } => set = *port,
            _ => return None,
        }
    }
    if let Some((metadata, mask)) = p.metadata {
        edit(&Op::WriteMetadata { metadata, mask }, steps)?;
    }
    if !p.write.is_empty() || p.clear {
        changes.slot(F::ActsetOutput, u128::from(set.0), u128::MAX);
    }
    changes.finish(leg)?;
    if let Some(table) = p.goto_table {
        return sent.is_none().then_some(Next::On(Stand { table, shape, set }));
    }
    let out = match sent {
        Some(_) if set != PortNo::UNSET => return None,
        Some(port) => port,
        None if set == PortNo::UNSET => {
            steps.push(Step::Drop(DropReason::NoOutput));
            return Some(Next::Drop);
        }
        None => set,
    };
    if out == PortNo::NORMAL {
        steps.push(Step::Normal(None));
        return Some(Next::Out(out));
    }
    let facts = view.port(out).filter(|p| p.is_up() && !p.config.contains(PortConfig::NO_FWD))?;
    if !out.is_ordinary() || facts.no != out {
        return None;
    }
    steps.push(Step::Output(out, None));
    Some(Next::Out(out))
}

/// What becomes of a key, as far as any entry looks at it.
struct Changes<'m> {
    mask: &'m FlowKey,
    made: SmallVec<[(u8, u64, u64); MOST_CHANGES]>,
}

impl Changes<'_> {
    /// Of an edit on a packet of this shape that has what is edited (`done`) or not; `None` if that isn't known.
    fn by(&mut self, op: &Op, shape: Runner, done: bool) -> Option<()> {
        const VID: u64 = 0xfff;
        const TCI: u64 = 0xffff;
        let present = u64::from(VLAN_PRESENT);
        match op {
            Op::WriteMetadata { metadata, mask } => self.bits(word::METADATA, *mask, *metadata),
            Op::Set { field, value, mask } if is_pipeline(*field) => self.slot(*field, *value, *mask),
            _ if !done => {}
            Op::Set { field: F::VlanVid, value, .. } => self.bits(word::ETH_SRC_VLAN, VID, *value as u64),
            Op::Set { field, value, mask } => self.slot(*field, *value, *mask),
            Op::SetVlanVid { vid, .. } => self.bits(word::ETH_SRC_VLAN, VID, u64::from(*vid)),
            Op::SetVlanPcp { pcp, .. } => self.slot(F::VlanPcp, u128::from(*pcp), u128::MAX),
            Op::SetTpSrc(port) => self.slot(F::TcpSrc, u128::from(*port), u128::MAX),
            Op::SetTpDst(port) => self.slot(F::TcpDst, u128::from(*port), u128::MAX),
            Op::DecNwTtl(_) => {
                // What it is isn't in the key, but then nobody may ask.
                let slot = slot(F::NwTtl)?;
                return (self.mask.read(slot) == 0).then_some(());
            }
            Op::PopVlan if shape.tags() == 1 => self.bits(word::ETH_SRC_VLAN, TCI, 0),
            Op::PushVlan(_) if shape.tags() == 0 => self.bits(word::ETH_SRC_VLAN, TCI, present),
            // Another tag with what the outermost one said.
            Op::PushVlan(_) if (shape.tags() as usize) < MOST_PUSHES => {}
            _ => return None,
        }
        Some(())
    }

    fn slot(&mut self, field: F, value: u128, mask: u128) {
        let Some(Slot { word, shift, bits }) = slot(field) else { return };
        if bits == 128 {
            self.bits(word, (mask >> 64) as u64, (value >> 64) as u64);
            self.bits(word + 1, mask as u64, value as u64);
        } else {
            let ones = low_bits(bits) & mask as u64;
            self.bits(word, ones << shift, (value as u64) << shift);
        }
    }

    fn bits(&mut self, word: usize, mask: u64, value: u64) {
        let seen = mask & self.mask.0.get(word).copied().unwrap_or(0);
        if seen == 0 {
            return;
        }
        let value = value & seen;
        match self.made.iter_mut().find(|m| usize::from(m.0) == word) {
            Some((_, m, v)) => (*m, *v) = (*m | seen, *v & !seen | value),
            None => self.made.push((word as u8, seen, value)),
        }
    }

    /// Gives them to the leg, if they aren't too many.
    fn finish(self, leg: &mut Leg) -> Option<()> {
        if self.made.len() > MOST_CHANGES {
            return None;
        }
        for (i, (w, m, v)) in self.made.into_iter().enumerate() {
            (leg.words[i], leg.masks[i], leg.values[i]) = (w, m, v);
        }
        Some(())
    }
}

/// Fields that no header holds, which every packet has.
const fn is_pipeline(field: F) -> bool {
    let n = field as u8;
    matches!(field, F::Metadata | F::TunnelId | F::PktMark) || (n >= F::Reg0 as u8 && n <= F::Xxreg3 as u8)
}
