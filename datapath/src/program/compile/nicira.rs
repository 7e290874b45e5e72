//! Nicira's actions.

use super::{Compiler, MAX_NESTING, bad_conjunction, err};
use crate::key::slot;
use crate::program::Learns;
use crate::program::op::{self, Bits, Choice, HashFields, Op};
use ofproto::field::{FieldId, Prereq};
use ofproto::ids::{PortNo, QueueId, TableId};
use ofproto::matching::MatchField;
use ofproto::nicira::{Learn, LearnSource, NxAction};
use ofproto::{ErrorKind as E, OfError};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn nicira(&mut self, nx: &NxAction, depth: usize, out: &mut Vec<Op>) -> Result<(), OfError> {
        let op = match nx {
            NxAction::Conjunction { .. } => {
                return Err(bad_conjunction("subtype", "it can only stand in a flow entry's apply-actions"));
            }
            NxAction::FinTimeout { idle, hard } => {
                if self.table().is_none_or(|t| t == TableId::ALL) {
                    return Err(err(E::BadActionBadArgument, "fin_timeout", "there is no flow entry to shorten"));
                }
                self.contradict(Prereq::Tcp, "fin_timeout")?;
                // Whether a packet carries FIN or RST need not be in the cache's key.
                self.cacheable = false;
                Op::FinTimeout { idle: *idle, hard: *hard }
            }
            NxAction::Resubmit { ct: true, .. }
            | NxAction::Ct { .. }
            | NxAction::Nat(_)
            | NxAction::CtClear
            | NxAction::DeleteField(_)
            | NxAction::DecNshTtl
            | NxAction::Encap { .. }
            | NxAction::Decap { .. } => {
                return Err(err(
                    E::BadActionBadExpType,
                    "subtype",
                    "connection tracking, NSH and generic encapsulation are not supported",
                ));
            }
            NxAction::Unknown { subtype, .. } => {
                return Err(err(E::BadActionBadExpType, "subtype", format!("{subtype} is not known")));
            }
            // Handled with the standard actions of the same meaning.
            NxAction::PushMpls(_)
            | NxAction::PopMpls(_)
            | NxAction::SetMplsTtl(_)
            | NxAction::DecMplsTtl
            | NxAction::DecTtl
            | NxAction::DecTtlCntIds(_)
            | NxAction::RegLoad2(_) => return Ok(()),
            NxAction::Note(_) => return Ok(()),
            NxAction::Resubmit { in_port, table, ct: false } => {
                let table = table.filter(|t| *t != TableId::ALL);
                if let Some(t) = table {
                    self.check_resubmit(t)?;
                }
                Op::Resubmit { in_port: Some(*in_port).filter(|p| *p != PortNo::IN_PORT), table, rest: None }
            }
            NxAction::SetTunnel { id, .. } => {
                Op::Set { field: FieldId::TunnelId, value: u128::from(*id), mask: u128::from(u64::MAX) }
            }
            NxAction::SetQueue(q) => {
                self.queue(QueueId(*q))?;
                Op::SetQueue(QueueId(*q))
            }
            NxAction::PopQueue => Op::PopQueue,
            NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst } => {
                let kind = E::BadActionBadArgument;
                let src = self.bits(src, *src_offset, *n_bits, kind, "src")?;
                let dst = self.bits_to(dst, *dst_offset, *n_bits, kind, true)?;
                Op::Move { src, dst }
            }
            NxAction::RegLoad { dst, value } => {
                let dst = self.subfield_to(dst)?;
                if u128::from(*value) & !op::mask_bits(dst.n_bits) != 0 {
                    return Err(err(
                        E::BadActionBadArgument,
                        "value",
                        format!("{value:#x} has more than {} bits", dst.n_bits),
                    ));
                }
                let value = u128::from(*value) << dst.offset;
                let mask = dst.mask();
                self.facts.set(dst.field, value);
                match dst.field {
                    FieldId::IpTos => Op::Set { field: FieldId::IpDscp, value: value >> 2, mask: (mask >> 2) & 0x3f },
                    field => Op::Set { field, value, mask },
                }
            }
            NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst } => {
                let dst = self.subfield_to(dst)?;
                let links = u32::from(*max_link) + 1;
                if dst.n_bits < 16 && links > 1 << dst.n_bits {
                    return Err(err(E::BadActionBadArgument, "max_link", "the destination is too narrow"));
                }
                let choice = match algorithm {
                    0 => Choice::ModuloN,
                    1 => Choice::HashThreshold,
                    2 => Choice::Hrw,
                    3 if *arg >= links => Choice::IterHash(*arg),
                    n => return Err(err(E::BadActionBadArgument, "algorithm", format!("{n} is not known"))),
                };
                Op::Multipath { fields: hash_fields(*fields)?, basis: *basis, choice, links, dst }
            }
            NxAction::Bundle { algorithm, fields, basis, slave_type, members, dst } => {
                if *algorithm > 1 {
                    return Err(err(E::BadActionBadArgument, "algorithm", format!("{algorithm} is not known")));
                }
                // NXM_OF_IN_PORT (class 0, field 0, length 2).
                if *slave_type != 2 {
                    return Err(err(E::BadActionBadArgument, "slave_type", "members are ports (NXM_OF_IN_PORT)"));
                }
                if members.len() > 2048 {
                    return Err(err(E::BadActionBadArgument, "n_slaves", "2048 members are the most"));
                }
                let dst = dst.as_ref().map(|d| self.subfield_to(d)).transpose()?;
                self.uses.ports.extend(members.iter().copied());
                Op::Bundle {
                    fields: hash_fields(*fields)?,
                    basis: *basis,
                    active_backup: *algorithm == 0,
                    members: members.clone().into(),
                    dst,
                }
            }
            NxAction::OutputReg { src, max_len, .. } => Op::OutputBits { src: self.subfield(src)?, max_len: *max_len },
            NxAction::Exit => Op::Exit,
            NxAction::Controller { max_len, controller_id, reason } => Op::Controller {
                max_len: *max_len,
                controller_id: *controller_id,
                reason: *reason,
                userdata: None,
                meter: None,
                pause: false,
                rest: None,
            },
            NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter } => {
                self.cacheable &= !pause;
                if let Some(m) = meter {
                    self.uses.meters.push(self.meter(*m)?);
                }
                Op::Controller {
                    max_len: max_len.unwrap_or(u16::MAX),
                    controller_id: controller_id.unwrap_or(0),
                    // NX: OFPR_ACTION
                    reason: reason.unwrap_or(1),
                    userdata: userdata.clone(),
                    meter: *meter,
                    pause: *pause,
                    rest: None,
                }
            }
            NxAction::WriteMetadata { metadata, mask } => Op::WriteMetadata { metadata: metadata & mask, mask: *mask },
            NxAction::SetMplsLabel(l) => {
                if *l >= 1 << 20 {
                    return Err(err(E::BadActionBadArgument, "label", format!("{l} has more than 20 bits")));
                }
                self.set_field(&MatchField::exact(FieldId::MplsLabel, u128::from(*l)), true, true)?
            }
            NxAction::SetMplsTc(t) => {
                if *t > 7 {
                    return Err(err(E::BadActionBadArgument, "tc", format!("{t} has more than 3 bits")));
                }
                self.set_field(&MatchField::exact(FieldId::MplsTc, u128::from(*t)), true, true)?
            }
            NxAction::StackPush(s) => Op::StackPush(self.subfield(s)?),
            NxAction::StackPop(s) => Op::StackPop(self.subfield_to(s)?),
            NxAction::Sample { probability, collector_set_id, .. } => {
                if *probability == 0 {
                    return Err(err(E::BadActionBadArgument, "probability", "0 samples nothing"));
                }
                self.cacheable = false;
                Op::Sample { probability: *probability, collector_set_id: *collector_set_id }
            }
            NxAction::Learn(learn) => {
                self.cacheable = false;
                let result = self.check_learn(learn)?;
                let delete = learn.flags & Learn::DELETE_LEARNED != 0;
                if delete || learn.most() != 0 {
                    self.uses.learns.push(Learns { table: learn.table, cookie: learn.cookie, delete });
                }
                Op::Learn { learn: Arc::new(Learn::clone(learn)), result, rest: None }
            }
            NxAction::OutputTrunc { port, max_len } => {
                self.out_port(*port)?;
                if matches!(*port, PortNo::NORMAL | PortNo::FLOOD | PortNo::ALL | PortNo::TABLE) {
                    return Err(err(E::BadActionBadOutPort, "port", format!("truncated output to {port}")));
                }
                if *max_len < 14 {
                    return Err(err(E::BadActionBadArgument, "max_len", "less than an Ethernet header"));
                }
                self.cacheable = false;
                Op::OutputTrunc { port: *port, max_len: *max_len }
            }
            NxAction::Clone(list) => {
                if depth >= MAX_NESTING {
                    return Err(err(E::BadActionTooMany, "clone", format!("{MAX_NESTING} levels are the most")));
                }
                let facts = self.facts;
                let inner = self.list(list, depth + 1)?;
                self.facts = facts;
                Op::Clone(inner.into())
            }
            NxAction::CheckPktLarger { pkt_len, dst } => {
                let dst = self.subfield_to(dst)?;
                if dst.n_bits != 1 {
                    return Err(err(E::BadActionBadSetArgument, "dst", "one bit takes the answer"));
                }
                // The frame's length is no part of the key.
                self.cacheable = false;
                Op::CheckPktLarger { pkt_len: *pkt_len, dst }
            }
        };
        out.push(op);
        Ok(())
    }

    fn check_learn(&mut self, learn: &Learn) -> Result<Option<Bits>, OfError> {
        let unknown = learn.flags & !(Learn::SEND_FLOW_REM | Learn::DELETE_LEARNED | Learn::WRITE_RESULT);
        if unknown != 0 {
            return Err(err(E::BadActionBadArgument, "flags", format!("bits {unknown:#x} are not supported")));
        }
        let result = match &learn.limit {
            Some((_, Some(dst))) => Some(self.subfield_to(dst)?),
            _ => None,
        };
        if result.is_some_and(|dst| dst.n_bits != 1) {
            return Err(err(E::BadActionBadArgument, "result_dst", "one bit takes the answer"));
        }
        // Either side of the border to the egress tables: a flow-mod is no packet.
        self.check_table(learn.table, "table_id")?;
        for spec in &learn.specs {
            let ((src, dst), n_bits) = (spec.ends(), spec.n_bits());
            if let Some(dst) = dst {
                // The destination's prerequisites are the learnt flow's affair.
                let field = dst.field.field.as_ref().ok().copied().filter(|f| slot(*f).is_some());
                let within =
                    field.is_some_and(|f| u32::from(dst.offset) + u32::from(n_bits) <= u32::from(f.info().bits));
                if !within || n_bits == 0 {
                    return Err(err(E::BadActionBadArgument, "dst", "not a field's bits"));
                }
            }
            match src {
                LearnSource::Field(f) => {
                    self.subfield(f)?;
                }
                LearnSource::Immediate(bytes) => {
                    if bytes.len() > 16 || bytes.len() * 8 < usize::from(n_bits) {
                        return Err(err(E::BadActionBadLen, "src", "the constant doesn't hold the bits"));
                    }
                }
            }
        }
        Ok(result)
    }
}

fn hash_fields(n: u16) -> Result<HashFields, OfError> {
    Ok(match n {
        0 => HashFields::EthSrc,
        1 => HashFields::SymmetricL4,
        2 => HashFields::SymmetricL3L4,
        3 => HashFields::SymmetricL3L4Udp,
        4 => HashFields::NwSrc,
        5 => HashFields::NwDst,
        6 => HashFields::SymmetricL3,
        n => return Err(err(E::BadActionBadArgument, "fields", format!("{n} is no set of fields"))),
    })
}
