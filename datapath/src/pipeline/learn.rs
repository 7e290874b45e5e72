//! The flow-mod that a learn action makes of a packet (Nicira's `NXAST_LEARN`).

use crate::packet::Packet;
use crate::program::op::mask_bits;
use ofproto::action::{Action, MAX_LEN_NO_BUFFER};
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::ids::PortNo;
use ofproto::instruction::Instruction;
use ofproto::matching::{Match, MatchField};
use ofproto::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};

fn value(p: &Packet, src: &LearnSource, n_bits: u16) -> u128 {
    let v = match src {
        LearnSource::Field(Subfield { field, offset, .. }) => match field.field {
            Ok(f) => p.key.get(f) >> (*offset).min(127),
            Err(_) => 0,
        },
        LearnSource::Immediate(bytes) => bytes.iter().rev().take(16).rev().fold(0u128, |n, b| n << 8 | u128::from(*b)),
    };
    v & mask_bits(n_bits)
}

/// The flow that the packet teaches.
pub(super) fn flow_mod(p: &Packet, learn: &Learn) -> FlowMod {
    let mut fields: Vec<MatchField> = Vec::new();
    let mut actions = Vec::new();
    if learn.fin_idle_timeout != 0 || learn.fin_hard_timeout != 0 {
        actions
            .push(Action::Nicira(NxAction::FinTimeout { idle: learn.fin_idle_timeout, hard: learn.fin_hard_timeout }));
    }
    for spec in &learn.specs {
        match spec {
            LearnSpec::Match { src, dst, n_bits } => {
                let Ok(id) = dst.field.field else { continue };
                let shift = dst.offset.min(127);
                let (v, m) = (value(p, src, *n_bits) << shift, mask_bits(*n_bits) << shift);
                // Several specs may fill parts of one field.
                match fields.iter_mut().find(|f| f.id == id) {
                    Some(f) => {
                        f.value = f.value & !m | v;
                        f.mask = Some(f.effective_mask() | m);
                    }
                    None => fields.push(MatchField::masked(id, v, m)),
                }
            }
            LearnSpec::Load { src, dst, n_bits } => {
                // Loads of more than 64 bits go in two.
                let v = value(p, src, *n_bits);
                let mut done = 0;
                while done < *n_bits {
                    let n = (*n_bits - done).min(64);
                    let dst = Subfield { field: dst.field.clone(), offset: dst.offset + done, n_bits: n };
                    let value = (v >> done) as u64 & mask_bits(n) as u64;
                    actions.push(Action::Nicira(NxAction::RegLoad { dst, value }));
                    done += n;
                }
            }
            LearnSpec::Output { src, n_bits } => {
                let port = value(p, src, *n_bits) as u32;
                // NXM ports have 16 bits; the reserved ones stand at the top of either range.
                let port = PortNo(if *n_bits <= 16 && port >= 0xff00 { port | 0xffff_0000 } else { port });
                // As Open vSwitch, which adds no action for the others: a packet that a controller sent teaches no way to it.
                let named = matches!(port, PortNo::IN_PORT | PortNo::FLOOD | PortNo::ALL | PortNo::LOCAL);
                if port.is_ordinary() || named {
                    actions.push(Action::Output { port, max_len: MAX_LEN_NO_BUFFER });
                }
            }
        }
    }
    for f in &mut fields {
        if f.mask == Some(f.id.info().all_ones()) {
            f.mask = None;
        }
    }
    // Prerequisites before what needs them.
    fields.sort_by_key(|f| (rank(f.id), f.id));
    let mut flags = FlowModFlags::empty();
    if learn.flags & Learn::SEND_FLOW_REM != 0 {
        flags |= FlowModFlags::SEND_FLOW_REM;
    }
    FlowMod {
        cookie: learn.cookie,
        table: learn.table,
        command: FlowModCommand::Add,
        idle_timeout: learn.idle_timeout,
        hard_timeout: learn.hard_timeout,
        priority: learn.priority,
        flags,
        matching: Match::new(fields),
        instructions: if actions.is_empty() { Vec::new() } else { vec![Instruction::ApplyActions(actions)] },
        ..FlowMod::default()
    }
}

fn rank(id: ofproto::field::FieldId) -> u8 {
    use ofproto::field::Prereq as P;
    match id.info().prereq {
        P::None => 0,
        P::InPort | P::Vlan | P::Ip | P::Ipv4 | P::Ipv6 | P::Arp | P::Mpls | P::Pbb | P::Nsh => 1,
        P::Tcp | P::Udp | P::Sctp | P::Icmpv4 | P::Icmpv6 => 2,
        P::Nd | P::NdSol | P::NdAdv => 3,
    }
}
