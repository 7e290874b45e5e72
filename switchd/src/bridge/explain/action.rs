//! Compiled actions in the words of the flow syntax.

use datapath::program::{Bits, Choice, HashFields, Op};
use ofproto::action::Action;
use ofproto::ids::PortNo;
use ofproto::matching::{MatchField, OxmId};
use ofproto::nicira::{Learn, NxAction, Subfield};
use ofproto::text::ActionsText;

/// An action as it would be written in a flow.
pub(super) fn in_words(op: &Op) -> String {
    ActionsText(&[said(op)]).to_string()
}

/// The action that compiles to this.
fn said(op: &Op) -> Action {
    let nx = match op {
        Op::Output { port, max_len } => return Action::Output { port: *port, max_len: *max_len },
        Op::Group(g) => return Action::Group(*g),
        Op::Enqueue { port, queue } => return Action::Enqueue { port: *port, queue: *queue },
        Op::SetQueue(q) => return Action::SetQueue(*q),
        Op::PushVlan(ty) => return Action::PushVlan(*ty),
        Op::PopVlan => return Action::PopVlan,
        Op::PushMpls(ty) => return Action::PushMpls(*ty),
        Op::PopMpls(ty) => return Action::PopMpls(*ty),
        Op::PushPbb(ty) => return Action::PushPbb(*ty),
        Op::PopPbb => return Action::PopPbb,
        Op::CopyTtlOut => return Action::CopyTtlOut,
        Op::CopyTtlIn => return Action::CopyTtlIn,
        Op::SetMplsTtl(ttl) => return Action::SetMplsTtl(*ttl),
        Op::DecMplsTtl => return Action::DecMplsTtl,
        Op::SetNwTtl(ttl) => return Action::SetNwTtl(*ttl),
        Op::DecNwTtl(ids) if ids.is_empty() => return Action::DecNwTtl,
        Op::Set { field, value, mask } => {
            let mask = Some(*mask).filter(|m| *m != field.info().all_ones());
            return Action::SetField(MatchField { mask, ..MatchField::exact(*field, *value) });
        }
        Op::SetVlanVid { vid, .. } => return Action::SetVlanVid(*vid),
        Op::SetVlanPcp { pcp, .. } => return Action::SetVlanPcp(*pcp),
        Op::SetTpSrc(port) => return Action::SetTpSrc(*port),
        Op::SetTpDst(port) => return Action::SetTpDst(*port),
        Op::Meter(m) => return Action::Meter(*m),
        Op::DecNwTtl(ids) => NxAction::DecTtlCntIds(ids.to_vec()),
        Op::PopQueue => NxAction::PopQueue,
        Op::OutputTrunc { port, max_len } => NxAction::OutputTrunc { port: *port, max_len: *max_len },
        Op::OutputBits { src, max_len } => NxAction::OutputReg { src: subfield(*src), max_len: *max_len, v2: false },
        Op::Move { src, dst } => NxAction::RegMove {
            n_bits: src.n_bits,
            src_offset: src.offset,
            dst_offset: dst.offset,
            src: OxmId::of(src.field),
            dst: OxmId::of(dst.field),
        },
        Op::Controller { max_len, controller_id, reason, userdata, meter, pause, .. } => NxAction::Controller2 {
            max_len: Some(*max_len),
            controller_id: Some(*controller_id),
            reason: Some(*reason),
            userdata: userdata.clone(),
            pause: *pause,
            meter: *meter,
        },
        Op::Resubmit { in_port, table, .. } => {
            NxAction::Resubmit { in_port: in_port.unwrap_or(PortNo::IN_PORT), table: *table, ct: false }
        }
        Op::Multipath { fields, basis, choice, links, dst } => {
            let (algorithm, arg) = match choice {
                Choice::ModuloN => (0, 0),
                Choice::HashThreshold => (1, 0),
                Choice::Hrw => (2, 0),
                Choice::IterHash(arg) => (3, *arg),
            };
            NxAction::Multipath {
                fields: hash_fields(*fields),
                basis: *basis,
                algorithm,
                // At least one and at most 65,536, as it was said.
                max_link: links.saturating_sub(1) as u16,
                arg,
                dst: subfield(*dst),
            }
        }
        Op::Bundle { fields, basis, active_backup, members, dst } => NxAction::Bundle {
            algorithm: u16::from(!active_backup),
            fields: hash_fields(*fields),
            basis: *basis,
            slave_type: 2, // NXM_OF_IN_PORT
            members: members.to_vec(),
            dst: dst.map(subfield),
        },
        Op::WriteMetadata { metadata, mask } => NxAction::WriteMetadata { metadata: *metadata, mask: *mask },
        Op::StackPush(bits) => NxAction::StackPush(subfield(*bits)),
        Op::StackPop(bits) => NxAction::StackPop(subfield(*bits)),
        Op::Sample { probability, collector_set_id } => NxAction::Sample {
            probability: *probability,
            collector_set_id: *collector_set_id,
            obs_domain_id: 0,
            obs_point_id: 0,
            sampling_port: None,
            direction: None,
        },
        Op::Learn { learn, .. } => NxAction::Learn(Box::new(Learn::clone(learn))),
        Op::FinTimeout { idle, hard } => NxAction::FinTimeout { idle: *idle, hard: *hard },
        Op::CheckPktLarger { pkt_len, dst } => NxAction::CheckPktLarger { pkt_len: *pkt_len, dst: subfield(*dst) },
        Op::Clone(list) => NxAction::Clone(list.iter().map(said).collect()),
        Op::Exit => NxAction::Exit,
    };
    Action::Nicira(nx)
}

fn subfield(bits: Bits) -> Subfield {
    Subfield { field: OxmId::of(bits.field), offset: bits.offset, n_bits: bits.n_bits }
}

/// `NX_HASH_FIELDS_*`
const fn hash_fields(fields: HashFields) -> u16 {
    match fields {
        HashFields::EthSrc => 0,
        HashFields::SymmetricL4 => 1,
        HashFields::SymmetricL3L4 => 2,
        HashFields::SymmetricL3L4Udp => 3,
        HashFields::NwSrc => 4,
        HashFields::NwDst => 5,
        HashFields::SymmetricL3 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::field::FieldId as F;
    use ofproto::ids::{QueueId, TableId};

    #[test]
    fn actions_read_as_in_flows() {
        let reg = |field, offset, n_bits| Bits { field, offset, n_bits };
        for (op, text) in [
            (Op::Output { port: PortNo(2), max_len: 0 }, "output:2"),
            (Op::DecNwTtl(Box::default()), "dec_ttl"),
            (Op::DecNwTtl(Box::new([1, 2])), "dec_ttl(1,2)"),
            (Op::PushVlan(0x8100), "push_vlan:0x8100"),
            (Op::PopVlan, "pop_vlan"),
            (Op::SetQueue(QueueId(3)), "set_queue:3"),
            (Op::Set { field: F::Ipv4Src, value: 0x0a00_0001, mask: 0xffff_ffff }, "set_field:10.0.0.1->ip_src"),
            (Op::Set { field: F::Reg0, value: 5, mask: 0xff }, "set_field:0x5/0xff->reg0"),
            (
                Op::Move { src: reg(F::Reg0, 0, 16), dst: reg(F::Reg1, 8, 16) },
                "move:NXM_NX_REG0[0..15]->NXM_NX_REG1[8..23]",
            ),
            (Op::Resubmit { in_port: None, table: Some(TableId(3)), rest: None }, "resubmit(,3)"),
            (Op::OutputBits { src: reg(F::Reg2, 0, 32), max_len: 64 }, "output:NXM_NX_REG2[]"),
            (Op::Clone(Box::new([Op::PopVlan, Op::Exit])), "clone(pop_vlan,exit)"),
            (Op::StackPush(reg(F::Reg3, 0, 32)), "push:NXM_NX_REG3[]"),
        ] {
            assert_eq!(in_words(&op), text, "{op:?}");
        }
    }
}
