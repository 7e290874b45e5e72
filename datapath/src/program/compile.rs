//! From the model's instructions to a [`Program`], with the specification's refusals.

mod field;
mod nicira;

use super::check::Facts;
use super::op::{Conjunction, Op, SetKey, SetOp};
use super::{Context, Learns, Place, Program, Rest, Source, StatTrigger, Uses};
use ofproto::action::Action;
use ofproto::field::Prereq;
use ofproto::ids::{GroupId, MeterId, PortNo, QueueId, TableId};
use ofproto::instruction::Instruction;
use ofproto::nicira::NxAction;
use ofproto::{ErrorKind as E, OfError, Version};
use std::borrow::Cow;
use std::sync::Arc;

/// Most actions of one list, nested ones included.
const MAX_ACTIONS: usize = 8192;
/// Deepest nesting of `clone`.
const MAX_NESTING: usize = 8;

/// Compiles an entry's instructions.
pub fn compile(instructions: &[Instruction], ctx: &Context<'_>) -> Result<Program, OfError> {
    let mut p = Program { cacheable: true, ..Program::default() };
    let facts = match ctx.place {
        Place::Flow { matching, priority, .. } => {
            p.table_miss = priority == 0
                && matching.fields.is_empty()
                && matching.unknown.is_empty()
                && ctx.version >= Version::V13;
            Facts::of_match(matching)
        }
        Place::Bucket | Place::PacketOut | Place::Resumed(_) => Facts::unknown(),
    };
    let mut c = Compiler { facts, cacheable: true, ..Compiler::new(ctx) };
    c.after = instructions.iter().filter(|i| follows_apply(i)).cloned().collect();
    check_duplicates(instructions, ctx.version)?;
    // Actions are checked in the order in which they run, whatever the order they were sent in.
    for i in instructions {
        match i {
            Instruction::Meter(id) => {
                if ctx.version >= Version::V15 {
                    return Err(err(E::BadInstructionUnsupInst, "type", "the meter instruction ended with 1.4"));
                }
                p.meter = Some(c.meter(*id)?);
            }
            Instruction::Experimenter { experimenter, .. } => {
                let kind = if ctx.version == Version::V11 {
                    E::BadInstructionUnsupExpInst
                } else {
                    E::BadInstructionBadExperimenter
                };
                return Err(err(kind, "experimenter", format!("{experimenter} has no instruction here")));
            }
            Instruction::Unknown { ty, .. } => {
                return Err(err(E::BadInstructionUnknownInst, "type", format!("{ty} is no instruction")));
            }
            Instruction::GotoTable(next) => {
                c.check_goto(*next)?;
                p.goto_table = Some(*next);
            }
            Instruction::WriteMetadata { metadata, mask } => p.metadata = Some((metadata & mask, *mask)),
            Instruction::ClearActions => p.clear = true,
            Instruction::StatTrigger { flags, thresholds } => {
                if ctx.version < Version::V15 {
                    return Err(err(E::BadInstructionUnsupInst, "type", "stat-trigger begins with 1.5"));
                }
                p.trigger = Some(Arc::new(StatTrigger::new(*flags, thresholds)?));
            }
            Instruction::ApplyActions(_) | Instruction::WriteActions(_) => {}
        }
    }
    for i in instructions {
        if let Instruction::ApplyActions(list) = i {
            match conjunctions(list)? {
                Some(all) if instructions.len() == 1 => p.conjunctions = all,
                Some(_) => return Err(bad_conjunction("instructions", "other instructions stand beside it")),
                None => p.apply = c.list(list, 0)?.into(),
            }
        }
    }
    for i in instructions {
        if let Instruction::WriteActions(list) = i {
            p.write = c.set(list)?.into();
        }
    }
    p.cacheable = c.cacheable && p.meter.is_none();
    p.uses = c.uses.build(p.meter);
    Ok(p)
}

/// Compiles a packet-out's action list.
pub fn compile_packet_out(actions: &[Action], ctx: &Context<'_>) -> Result<Program, OfError> {
    let ctx = Context { place: Place::PacketOut, ..*ctx };
    let mut c = Compiler::new(&ctx);
    let apply = c.list(actions, 0)?.into();
    Ok(Program { apply, uses: c.uses.build(None), ..Program::default() })
}

/// Compiles a bucket's action set, in the order of execution, and what it refers to.
///
/// Groups named in it are *not* looked up: the group table does that, because a bucket may name a
/// group that the same change brings.
pub fn compile_bucket(actions: &[Action], ctx: &Context<'_>) -> Result<(Box<[Op]>, Uses, bool), OfError> {
    let ctx = Context { place: Place::Bucket, ..*ctx };
    let mut c = Compiler { cacheable: true, ..Compiler::new(&ctx) };
    let mut set = c.set(actions)?;
    set.sort_by_key(|s| s.key);
    // A bucket is an action set: a group in it makes the output void (1.3.5 §5.10), and either Nicira's resubmit.
    if let Some(last) = set.iter().map(|s| s.key).find(|k| *k >= SetKey::GROUP) {
        set.retain(|s| s.key <= last);
    }
    Ok((set.into_iter().map(|s| s.op).collect(), c.uses.build(None), c.cacheable))
}

/// Compiles one action of an action set.
pub(super) fn compile_set(action: &Action, ctx: &Context<'_>) -> Result<Vec<SetOp>, OfError> {
    Compiler::new(ctx).set(std::slice::from_ref(action))
}

/// What is carried out after an entry's apply-actions.
const fn follows_apply(i: &Instruction) -> bool {
    matches!(
        i,
        Instruction::ClearActions
            | Instruction::WriteActions(_)
            | Instruction::WriteMetadata { .. }
            | Instruction::GotoTable(_)
    )
}

/// The clauses of a list that consists of conjunctions; `None` for any other list.
fn conjunctions(list: &[Action]) -> Result<Option<Box<[Conjunction]>>, OfError> {
    let mut all = Vec::new();
    let mut others = false;
    for a in list {
        match a {
            Action::Nicira(NxAction::Conjunction { clause, n_clauses, id }) => {
                if !(2..=64).contains(n_clauses) || clause >= n_clauses {
                    let why = format!("clause {clause} (from 0) of {n_clauses}: 2 to 64 clauses are possible");
                    return Err(bad_conjunction("clause", why));
                }
                if all.len() == MAX_ACTIONS {
                    return Err(err(E::BadActionTooMany, "actions", format!("{MAX_ACTIONS} actions are the most")));
                }
                all.push(Conjunction { id: *id, n_clauses: *n_clauses, clause: *clause });
            }
            Action::Nicira(NxAction::Note(_)) => {}
            _ => others = true,
        }
    }
    if !all.is_empty() && others {
        return Err(bad_conjunction("actions", "other actions than notes stand beside it"));
    }
    all.sort_unstable();
    all.dedup();
    Ok((!all.is_empty()).then(|| all.into()))
}

/// Nicira's own code for this isn't one of the model's.
fn bad_conjunction(field: &'static str, why: impl Into<Cow<'static, str>>) -> OfError {
    err(E::BadActionBadArgument, field, format!("conjunction: {}", why.into()))
}

fn err(kind: E, field: &'static str, reason: impl Into<Cow<'static, str>>) -> OfError {
    OfError::new(kind, field, reason)
}

fn check_duplicates(instructions: &[Instruction], version: Version) -> Result<(), OfError> {
    let mut seen = Vec::with_capacity(instructions.len());
    for i in instructions {
        let kind = match i {
            // Unknown ones are refused for what they are.
            Instruction::Experimenter { .. } | Instruction::Unknown { .. } => continue,
            known => std::mem::discriminant(known),
        };
        if seen.contains(&kind) {
            // Before 1.4 the rule exists without a code of its own.
            let code = if version >= Version::V14 { E::BadInstructionDupInst } else { E::BadInstructionUnsupInst };
            return Err(err(code, "instructions", "two instructions of one type"));
        }
        seen.push(kind);
    }
    Ok(())
}

#[derive(Default)]
struct UsesBuilder {
    groups: Vec<GroupId>,
    meters: Vec<MeterId>,
    ports: Vec<PortNo>,
    learns: Vec<Learns>,
}

impl UsesBuilder {
    fn build(mut self, meter: Option<MeterId>) -> Uses {
        self.meters.extend(meter);
        self.groups.sort_unstable();
        self.groups.dedup();
        self.meters.sort_unstable();
        self.meters.dedup();
        self.ports.sort_unstable();
        self.ports.dedup();
        Uses {
            groups: self.groups.into(),
            meters: self.meters.into(),
            ports: self.ports.into(),
            learns: self.learns.into(),
        }
    }
}

struct Compiler<'a> {
    ctx: &'a Context<'a>,
    facts: Facts,
    count: usize,
    cacheable: bool,
    uses: UsesBuilder,
    /// What follows the outermost list.
    after: Vec<Instruction>,
}

impl<'a> Compiler<'a> {
    /// For a list of whose packets nothing is known.
    fn new(ctx: &'a Context<'a>) -> Self {
        let uses = UsesBuilder::default();
        Self { ctx, facts: Facts::unknown(), count: 0, cacheable: false, uses, after: Vec::new() }
    }

    const fn table(&self) -> Option<TableId> {
        match self.ctx.place {
            Place::Flow { table, .. } | Place::Resumed(table) => Some(table),
            Place::Bucket | Place::PacketOut => None,
        }
    }

    fn is_egress(&self) -> bool {
        matches!((self.table(), self.ctx.first_egress), (Some(t), Some(e)) if t >= e)
    }

    fn check_goto(&self, next: TableId) -> Result<(), OfError> {
        let Some(own) = self.table() else { return Ok(()) };
        let bad = |why: String| Err(err(E::BadInstructionBadTableId, "table_id", why));
        if next <= own {
            return bad(format!("table {next} does not come after table {own}"));
        }
        if next.0 >= self.ctx.n_tables {
            return bad(format!("there is no table {next}"));
        }
        if self.ctx.tables.get(usize::from(next.0)).is_some_and(|t| !t.enabled) {
            return bad(format!("table {next} is not in the pipeline: table features took it out"));
        }
        if let Some(first) = self.ctx.first_egress
            && own < first
            && next >= first
        {
            return bad(format!("ingress table {own} can't go to egress table {next}"));
        }
        Ok(())
    }

    /// Refuses a table that there isn't, or that isn't in the pipeline.
    fn check_table(&self, table: TableId, field: &'static str) -> Result<(), OfError> {
        let kind = E::BadActionBadArgument;
        if table.0 >= self.ctx.n_tables {
            return Err(err(kind, field, format!("there is no table {table}")));
        }
        if self.ctx.tables.get(usize::from(table.0)).is_some_and(|t| !t.enabled) {
            let why = format!("table {table} is not in the pipeline: table features took it out");
            return Err(err(kind, field, why));
        }
        Ok(())
    }

    /// A resubmit stays on its side of the border to the egress tables, as gotos do. A bucket may be met on either side: there
    /// the packet decides.
    fn check_resubmit(&self, to: TableId) -> Result<(), OfError> {
        self.check_table(to, "table")?;
        let Some(first) = self.ctx.first_egress else { return Ok(()) };
        let beyond = match self.ctx.place {
            Place::Bucket => false,
            Place::Flow { .. } | Place::Resumed(_) | Place::PacketOut => self.is_egress() != (to >= first),
        };
        if beyond {
            let why = format!("table {to} is beyond the border to the egress tables, which begin at {first}");
            return Err(err(E::BadActionBadArgument, "table", why));
        }
        Ok(())
    }

    fn meter(&self, id: MeterId) -> Result<MeterId, OfError> {
        let ordinary = (1..=MeterId::MAX.0).contains(&id.0);
        if ordinary && self.ctx.meters.get(id).is_some() {
            return Ok(id);
        }
        let kind = if self.ctx.version >= Version::V15 { E::BadActionBadMeter } else { E::MeterModFailedUnknownMeter };
        Err(err(kind, "meter_id", format!("there is no meter {id:?} for flows")))
    }

    fn set(&mut self, list: &[Action]) -> Result<Vec<SetOp>, OfError> {
        let queues = list.iter().filter(|a| queue_of(a).is_some());
        self.check_queues(queues.chain(list.iter().filter(|a| queue_of(a).is_none())))?;
        // Pushes and pops of the same list run before its set-fields, wherever they stand.
        let (first, later): (Vec<&Action>, Vec<&Action>) =
            list.iter().partition(|a| !matches!(a, Action::SetField(_) | Action::CopyField { .. }));
        let mut out: Vec<SetOp> = Vec::with_capacity(list.len());
        let mut compiled = Vec::with_capacity(list.len());
        for a in first.into_iter().chain(later) {
            self.one(a, 0, &mut compiled)?;
            if self.is_egress() && matches!(a, Action::Output { .. } | Action::Group(_)) {
                return Err(err(
                    E::BadActionBadType,
                    "type",
                    "an egress table's write-actions can hold neither output nor group",
                ));
            }
        }
        for op in compiled {
            let Some(key) = op.set_key() else {
                return Err(err(E::BadActionBadType, "type", "this action can't be in an action set"));
            };
            // Two of one type: the later one counts (1.3.5 §5.10 allows this or an error).
            out.retain(|s| s.key != key);
            out.push(SetOp { key, op });
        }
        Ok(out)
    }

    fn list(&mut self, list: &[Action], depth: usize) -> Result<Vec<Op>, OfError> {
        let mut out = Vec::with_capacity(list.len());
        self.check_queues(list.iter())?;
        // Where a packet may be paused, and what comes after.
        let mut pauses: Vec<(usize, usize)> = Vec::new();
        for (i, a) in list.iter().enumerate() {
            let before = out.len();
            self.one(a, depth, &mut out)?;
            if out.get_mut(before).is_some_and(|op: &mut Op| op.rest_mut().is_some()) {
                pauses.push((before, i + 1));
            }
        }
        let after: &[Instruction] = if depth == 0 { &self.after } else { &[] };
        if pauses.iter().any(|(_, next)| *next < list.len() || !after.is_empty()) {
            let source = Source { version: self.ctx.version, actions: list.into(), after: after.into() };
            let source = Arc::new(source);
            for (op, next) in pauses {
                if let Some(rest) = out.get_mut(op).and_then(Op::rest_mut) {
                    *rest = Some(Box::new(Rest { source: Arc::clone(&source), next }));
                }
            }
        }
        Ok(out)
    }

    fn need(&self, prereq: Prereq, what: &'static str) -> Result<(), OfError> {
        // 1.0 and 1.1 set a field where it is present; nothing has to be matched for it.
        if self.ctx.version <= Version::V11 || self.facts.allow(prereq) {
            Ok(())
        } else {
            Err(err(
                E::BadActionMatchInconsistent,
                what,
                format!("needs {prereq:?}, which neither the match nor an earlier action gives"),
            ))
        }
    }

    /// Refuses what the match excludes; what it leaves open is a no-op on packets without the header.
    fn contradict(&self, prereq: Prereq, what: &'static str) -> Result<(), OfError> {
        if self.ctx.version <= Version::V11 || (Facts { lax: true, ..self.facts }).allow(prereq) {
            Ok(())
        } else {
            Err(err(E::BadActionMatchInconsistent, what, format!("the match excludes {prereq:?}")))
        }
    }

    fn one(&mut self, a: &Action, depth: usize, out: &mut Vec<Op>) -> Result<(), OfError> {
        self.count += 1;
        if self.count > MAX_ACTIONS {
            return Err(err(E::BadActionTooMany, "actions", format!("{MAX_ACTIONS} actions are the most")));
        }
        let v = self.ctx.version;
        let op = match a {
            Action::Output { port, max_len } => {
                self.out_port(*port)?;
                Op::Output { port: *port, max_len: *max_len }
            }
            Action::Enqueue { port, queue } => {
                if !(port.is_ordinary() || *port == PortNo::IN_PORT || *port == PortNo::LOCAL) {
                    return Err(err(E::BadActionBadOutPort, "port", format!("can't enqueue to {port}")));
                }
                self.queue(*queue)?;
                self.uses.ports.push(*port);
                Op::Enqueue { port: *port, queue: *queue }
            }
            Action::Group(id) => {
                if id.0 > GroupId::MAX.0 {
                    return Err(err(E::BadActionBadOutGroup, "group_id", format!("{id:?} is reserved")));
                }
                if !matches!(self.ctx.place, Place::Bucket) && self.ctx.groups.get(*id).is_none() {
                    return Err(err(E::BadActionBadOutGroup, "group_id", format!("there is no group {id}")));
                }
                self.uses.groups.push(*id);
                Op::Group(*id)
            }
            Action::SetQueue(q) => {
                self.queue(*q)?;
                Op::SetQueue(*q)
            }
            Action::PushVlan(t) => {
                check_push(*t, &[0x8100, 0x88a8])?;
                self.facts.vlan = Some(true);
                Op::PushVlan(*t)
            }
            Action::PopVlan => {
                if v >= Version::V12 {
                    self.contradict(Prereq::Vlan, "pop_vlan")?;
                }
                self.facts.pop_vlan();
                Op::PopVlan
            }
            Action::PushMpls(t) | Action::Nicira(NxAction::PushMpls(t)) => {
                check_push(*t, &[0x8847, 0x8848])?;
                self.facts.retype(Some(*t));
                Op::PushMpls(*t)
            }
            Action::PopMpls(t) | Action::Nicira(NxAction::PopMpls(t)) => {
                self.contradict(Prereq::Mpls, "pop_mpls")?;
                self.facts.uncover(*t);
                Op::PopMpls(*t)
            }
            Action::PushPbb(t) => {
                check_push(*t, &[0x88e7])?;
                self.facts.retype(Some(0x88e7));
                self.facts.vlan = None;
                Op::PushPbb(*t)
            }
            Action::PopPbb => {
                self.contradict(Prereq::Pbb, "pop_pbb")?;
                self.facts.retype(None);
                self.facts.vlan = None;
                Op::PopPbb
            }
            Action::CopyTtlOut => Op::CopyTtlOut,
            Action::CopyTtlIn => Op::CopyTtlIn,
            Action::SetMplsTtl(t) | Action::Nicira(NxAction::SetMplsTtl(t)) => {
                self.contradict(Prereq::Mpls, "set_mpls_ttl")?;
                Op::SetMplsTtl(*t)
            }
            Action::DecMplsTtl | Action::Nicira(NxAction::DecMplsTtl) => {
                self.contradict(Prereq::Mpls, "dec_mpls_ttl")?;
                Op::DecMplsTtl
            }
            Action::SetNwTtl(t) => {
                self.contradict(Prereq::Ip, "set_nw_ttl")?;
                Op::SetNwTtl(*t)
            }
            Action::DecNwTtl | Action::Nicira(NxAction::DecTtl) => {
                self.contradict(Prereq::Ip, "dec_nw_ttl")?;
                Op::DecNwTtl(Box::new([]))
            }
            Action::Nicira(NxAction::DecTtlCntIds(ids)) => {
                self.contradict(Prereq::Ip, "dec_ttl")?;
                Op::DecNwTtl(ids.clone().into())
            }
            Action::SetField(f) => self.set_field(f, v >= Version::V15, false)?,
            Action::Nicira(NxAction::RegLoad2(f)) => self.set_field(f, true, true)?,
            Action::SetUnknownField(f) => {
                let what = format!("class {:#06x} field {} is not known", f.class, f.field);
                return Err(err(E::BadActionBadSetType, "field", what));
            }
            Action::SetVlanVid(vid) => {
                if *vid > 0xfff {
                    return Err(err(E::BadActionBadArgument, "vlan_vid", format!("{vid} is more than 4095")));
                }
                self.facts.vlan = Some(true);
                Op::SetVlanVid { vid: *vid, add: v == Version::V10 }
            }
            Action::SetVlanPcp(pcp) => {
                if *pcp > 7 {
                    return Err(err(E::BadActionBadArgument, "vlan_pcp", format!("{pcp} is more than 7")));
                }
                self.facts.vlan = Some(true);
                Op::SetVlanPcp { pcp: *pcp, add: v == Version::V10 }
            }
            Action::SetTpSrc(p) => Op::SetTpSrc(*p),
            Action::SetTpDst(p) => Op::SetTpDst(*p),
            Action::CopyField { n_bits, src_offset, dst_offset, src, dst } => {
                let kind = E::BadActionBadSetArgument;
                let src = self.bits(src, *src_offset, *n_bits, kind, "src")?;
                let dst = self.bits_to(dst, *dst_offset, *n_bits, kind, false)?;
                Op::Move { src, dst }
            }
            Action::Meter(id) => {
                let id = self.meter(*id)?;
                self.uses.meters.push(id);
                self.cacheable = false;
                Op::Meter(id)
            }
            Action::Nicira(nx) => return self.nicira(nx, depth, out),
            Action::Experimenter { experimenter, .. } => {
                return Err(err(
                    E::BadActionBadExperimenter,
                    "experimenter",
                    format!("{experimenter} has no action here"),
                ));
            }
            Action::Unknown { ty, .. } => {
                return Err(err(E::BadActionBadType, "type", format!("{ty} is no action of OpenFlow {v}")));
            }
        };
        out.push(op);
        Ok(())
    }

    fn queue(&self, q: QueueId) -> Result<(), OfError> {
        if q == QueueId::ALL {
            return Err(err(E::BadActionBadQueue, "queue_id", "OFPQ_ALL is no queue"));
        }
        Ok(())
    }

    /// Refuses queues that packets could not be put into: an output's port that is there has to have the
    /// queue set before it; a queue that no output of the list follows has to be some port's.
    fn check_queues<'l>(&self, actions: impl Iterator<Item = &'l Action>) -> Result<(), OfError> {
        let Some(queues) = self.ctx.queues else { return Ok(()) };
        let bad = |why: String| err(E::BadActionBadQueue, "queue_id", why);
        let anywhere = |set: Option<(QueueId, bool)>| match set {
            Some((q, false)) if !queues.anywhere(q) => Err(bad(format!("no port has a queue {q}"))),
            _ => Ok(()),
        };
        let at = |port: PortNo, q: QueueId| {
            if queues.allow(port, q) { Ok(()) } else { Err(bad(format!("port {port} has no queue {q}"))) }
        };
        let known = |port: &PortNo| port.is_ordinary() || *port == PortNo::LOCAL;
        // The queue set, and whether an output has been judged with it.
        let mut set: Option<(QueueId, bool)> = None;
        for a in actions {
            if let Some(q) = queue_of(a) {
                anywhere(set.replace((q, false)))?;
                continue;
            }
            match a {
                Action::Nicira(NxAction::PopQueue) => anywhere(set.take())?,
                Action::Output { port, .. } if known(port) => {
                    if let Some((q, judged)) = &mut set {
                        at(*port, *q)?;
                        *judged = true;
                    }
                }
                Action::Enqueue { port, queue } if known(port) => at(*port, *queue)?,
                Action::Enqueue { queue, .. } => anywhere(Some((*queue, false)))?,
                _ => {}
            }
        }
        anywhere(set)
    }

    fn out_port(&mut self, port: PortNo) -> Result<(), OfError> {
        let ok = match port {
            PortNo::IN_PORT | PortNo::NORMAL | PortNo::FLOOD | PortNo::ALL | PortNo::CONTROLLER | PortNo::LOCAL => true,
            PortNo::TABLE => matches!(self.ctx.place, Place::PacketOut | Place::Resumed(TableId::ALL)),
            p => p.is_ordinary(),
        };
        if !ok {
            return Err(err(E::BadActionBadOutPort, "port", format!("nothing can ever go out of {port} here")));
        }
        self.uses.ports.push(port);
        Ok(())
    }
}

/// The queue that an action sets for the outputs after it.
const fn queue_of(a: &Action) -> Option<QueueId> {
    match a {
        Action::SetQueue(q) => Some(*q),
        Action::Nicira(NxAction::SetQueue(q)) => Some(QueueId(*q)),
        _ => None,
    }
}

fn check_push(ethertype: u16, allowed: &[u16]) -> Result<(), OfError> {
    if allowed.contains(&ethertype) {
        Ok(())
    } else {
        Err(err(E::BadActionBadArgument, "ethertype", format!("{ethertype:#06x} can't be pushed so")))
    }
}
