//! What follows an action at which a packet may be paused, and how it is taken up again.
//!
//! The rest of a walk is kept in the model's words ([`Continuation`]), because it leaves the switch. What
//! comes back is compiled like any other list: by the version that it was written in, against the groups, meters
//! and queues that there are now.

use super::compile::{compile, compile_set};
use super::{Context, Op, Place, Program, SetOp};
use ofproto::action::Action;
use ofproto::continuation::{Continuation, Ending, Part};
use ofproto::field::FieldId;
use ofproto::ids::{PortNo, QueueId, TableId};
use ofproto::instruction::Instruction;
use ofproto::matching::{MatchField, OxmId};
use ofproto::nicira::{NxAction, Subfield};
use ofproto::{ErrorKind, OfError, Version};
use std::sync::Arc;

/// A list of actions as it came, and the instructions after it.
#[derive(Debug, PartialEq)]
pub struct Source {
    /// By which version's rules.
    pub version: Version,
    /// The list.
    pub actions: Box<[Action]>,
    /// What is carried out after it.
    pub after: Box<[Instruction]>,
}

/// What follows an action in its list, and after that.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// The list.
    pub source: Arc<Source>,
    /// The first action that follows.
    pub next: usize,
}

impl Rest {
    /// The rest as instructions.
    pub fn instructions(&self) -> Vec<Instruction> {
        let actions = self.source.actions.get(self.next..).unwrap_or_default();
        let apply = (!actions.is_empty()).then(|| Instruction::ApplyActions(actions.to_vec()));
        apply.into_iter().chain(self.source.after.iter().cloned()).collect()
    }
}

/// The rest of an entry, ready to be executed.
#[derive(Debug)]
pub struct ResumedPart {
    /// As it came.
    pub part: Part,
    /// Compiled.
    pub program: Program,
}

/// A continuation, ready to be executed.
#[derive(Debug)]
pub struct Resumption {
    /// Innermost first.
    pub parts: Vec<ResumedPart>,
    /// The action set.
    pub set: Vec<SetOp>,
    /// The stack, lowest value first.
    pub stack: Vec<u128>,
    /// The queue that was set.
    pub queue: Option<QueueId>,
    /// What comes after the parts.
    pub ending: Ending,
    /// How often it has waited for what it teaches.
    pub waits: u32,
}

/// Compiles what is left of a walk.
///
/// # Errors
/// As for a flow-mod with the same instructions.
pub fn compile_resumption(c: &Continuation, ctx: &Context<'_>) -> Result<Resumption, OfError> {
    let mut parts = Vec::with_capacity(c.parts.len());
    for part in &c.parts {
        if part.table != TableId::ALL && part.table.0 >= ctx.n_tables {
            let why = format!("there is no table {}", part.table);
            return Err(OfError::new(ErrorKind::BadRequestBadTableId, "table_id", why));
        }
        let ctx = Context { version: part.version, place: Place::Resumed(part.table), ..*ctx };
        let mut program = compile(&part.instructions, &ctx)?;
        if program.meter.is_some() || program.trigger.is_some() || !program.conjunctions.is_empty() {
            let why = "no rest of an entry holds a meter instruction, a trigger or a conjunction";
            return Err(OfError::new(ErrorKind::BadInstructionUnsupInst, "instructions", why));
        }
        program.table_miss = part.table_miss;
        parts.push(ResumedPart { part: part.clone(), program });
    }
    let mut set = Vec::with_capacity(c.set.len());
    for (version, action) in &c.set {
        let ctx = Context { version: *version, place: Place::Resumed(TableId(0)), ..*ctx };
        set.extend(compile_set(action, &ctx)?);
    }
    Ok(Resumption { parts, set, stack: c.stack.clone(), queue: c.queue, ending: c.ending, waits: c.waits })
}

/// The action that compiles to `op`, with a version that can say it; `None` if an action set can't hold it.
pub(crate) fn said(op: &Op) -> Option<(Version, Action)> {
    let id = OxmId::of;
    Some((
        Version::V15,
        match op {
            Op::Output { port, max_len } => Action::Output { port: *port, max_len: *max_len },
            Op::Group(g) => Action::Group(*g),
            Op::SetQueue(q) => Action::SetQueue(*q),
            Op::PushVlan(t) => Action::PushVlan(*t),
            Op::PopVlan => Action::PopVlan,
            Op::PushMpls(t) => Action::PushMpls(*t),
            Op::PopMpls(t) => Action::PopMpls(*t),
            Op::PushPbb(t) => Action::PushPbb(*t),
            Op::PopPbb => Action::PopPbb,
            Op::CopyTtlOut => Action::CopyTtlOut,
            Op::CopyTtlIn => Action::CopyTtlIn,
            Op::SetMplsTtl(t) => Action::SetMplsTtl(*t),
            Op::DecMplsTtl => Action::DecMplsTtl,
            Op::SetNwTtl(t) => Action::SetNwTtl(*t),
            Op::DecNwTtl(ids) if ids.is_empty() => Action::DecNwTtl,
            Op::DecNwTtl(ids) => Action::Nicira(NxAction::DecTtlCntIds(ids.to_vec())),
            Op::Meter(m) => Action::Meter(*m),
            Op::SetTpSrc(p) => return Some((Version::V11, Action::SetTpSrc(*p))),
            Op::SetTpDst(p) => return Some((Version::V11, Action::SetTpDst(*p))),
            Op::SetVlanVid { vid, .. } => return Some((Version::V11, Action::SetVlanVid(*vid))),
            Op::SetVlanPcp { pcp, .. } => return Some((Version::V11, Action::SetVlanPcp(*pcp))),
            Op::Move { src, dst } => Action::Nicira(NxAction::RegMove {
                n_bits: src.n_bits,
                src_offset: src.offset,
                dst_offset: dst.offset,
                src: id(src.field),
                dst: id(dst.field),
            }),
            Op::Set { field, value, mask } => set_field(*field, *value, *mask),
            Op::Resubmit { in_port, table, .. } => Action::Nicira(NxAction::Resubmit {
                in_port: in_port.unwrap_or(PortNo::IN_PORT),
                table: *table,
                ct: false,
            }),
            _ => return None,
        },
    ))
}

/// A load says what set-field can't: some bits of a VLAN id, the ingress port.
fn set_field(field: FieldId, value: u128, mask: u128) -> Action {
    let (offset, ones) = (mask.trailing_zeros(), mask.count_ones());
    let load = ones <= 64 && mask.leading_zeros() + ones + offset == 128;
    match (u16::try_from(offset), u16::try_from(ones)) {
        (Ok(offset), Ok(n_bits)) if load && ones > 0 => {
            let dst = Subfield { field: OxmId::of(field), offset, n_bits };
            Action::Nicira(NxAction::RegLoad { dst, value: (value >> offset) as u64 })
        }
        _ => Action::SetField(MatchField { mask: Some(mask), ..MatchField::exact(field, value) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testbed::TestSwitch;

    #[test]
    fn what_an_action_set_holds_is_said_again() {
        let of11 = [Action::SetTpSrc(7), Action::SetTpDst(8), Action::SetVlanVid(9), Action::SetVlanPcp(3)];
        let f = |id, value| Action::SetField(MatchField::exact(id, value));
        let masked =
            |id, value, mask| Action::SetField(MatchField { mask: Some(mask), ..MatchField::exact(id, value) });
        let load = |field, offset, n_bits, value| {
            let dst = Subfield { field: OxmId::of(field), offset, n_bits };
            Action::Nicira(NxAction::RegLoad { dst, value })
        };
        let of15 = [
            Action::CopyTtlIn,
            Action::PopVlan,
            Action::PopPbb,
            Action::PopMpls(0x0800),
            Action::PushMpls(0x8848),
            Action::PushPbb(0x88e7),
            Action::PushVlan(0x88a8),
            Action::CopyTtlOut,
            Action::DecMplsTtl,
            Action::DecNwTtl,
            Action::Nicira(NxAction::DecTtlCntIds(vec![1, 2])),
            Action::SetMplsTtl(3),
            Action::SetNwTtl(4),
            Action::SetQueue(QueueId(5)),
            Action::output(PortNo(6)),
            Action::Output { port: PortNo::CONTROLLER, max_len: 99 },
            Action::Nicira(NxAction::Resubmit { in_port: PortNo(3), table: Some(TableId(2)), ct: false }),
            f(FieldId::EthDst, 0x0102_0304_0506),
            f(FieldId::VlanVid, 0x1005),
            f(FieldId::Ipv6Dst, u128::MAX - 5),
            f(FieldId::IpDscp, 46),
            masked(FieldId::Ipv4Src, 0x0a00_0001, 0xff00_00ff),
            masked(FieldId::EthSrc, 0, 0xff),
            load(FieldId::VlanVid, 0, 12, 7),
            load(FieldId::InPort, 0, 16, 7),
            load(FieldId::Xxreg0, 64, 64, u64::MAX),
            Action::Nicira(NxAction::RegMove {
                n_bits: 16,
                src_offset: 3,
                dst_offset: 8,
                src: OxmId::of(FieldId::Reg1),
                dst: OxmId::of(FieldId::Metadata),
            }),
        ];
        for (version, actions) in [(Version::V11, &of11[..]), (Version::V15, &of15[..])] {
            let switch = TestSwitch::new(version);
            let context = switch.context(Place::Resumed(TableId(0)));
            for a in actions {
                let once = compile_set(a, &context).unwrap_or_else(|e| panic!("{a:?}: {e}"));
                for op in &once {
                    let (version, again) = said(&op.op).unwrap_or_else(|| panic!("{a:?} isn't said"));
                    let back = compile_set(&again, &Context { version, ..context });
                    assert_eq!(back, Ok(vec![op.clone()]), "{a:?} as {again:?}");
                }
            }
        }
    }
}
