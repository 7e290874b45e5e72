//! Actions and instructions that [`crate::validate`] accepts, in the form that decoding gives.

use super::matching::{Stack, group, meter, port, target, value};
use crate::action::Action;
use crate::arbitrary::field_bits::{self, copied, copy_field, immediate, learn_spec, reg_load, reg_move, subfield};
use crate::field::{Code, FIELDS, FieldId, FieldInfo, Prereq};
use crate::ids::{PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Nat, NxAction, Subfield};
use crate::stats::FlowStat;
use crate::version::Version;
use crate::wire::field_code;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

fn bits(id: FieldId, offset: u16, n_bits: u16) -> Subfield {
    Subfield { field: OxmId::of(id), offset, n_bits }
}

/// Bits of a register.
fn register(most: u16) -> BoxedStrategy<Subfield> {
    use FieldId as F;
    subfield(vec![F::Reg0, F::Reg3, F::Reg7, F::TunnelId, F::EthSrc, F::Xxreg1], most)
}

fn learn() -> BoxedStrategy<NxAction> {
    let constant = immediate(register(32), any::<u32>().prop_map(u128::from));
    let spec = learn_spec(constant, copied(register(32), FieldId::Reg1, 0));
    let result = prop::option::of((0..32_u16).prop_map(|offset| bits(FieldId::Reg0, offset, 1)));
    field_bits::learn(spec, 0..254_u8, prop::option::weighted(0.3, (any::<u32>(), result)))
}

fn bundle() -> BoxedStrategy<NxAction> {
    let members = vec((1..0xff00_u32).prop_map(PortNo), 1..4);
    field_bits::bundle((0..2_u16, 0..2_u16), members, Just(bits(FieldId::Reg3, 0, 16)))
}

/// In its three forms.
fn sample() -> BoxedStrategy<NxAction> {
    // Towards the switch or away from it; the third form without a direction says what the second does.
    let later = prop::option::of((port(), prop::option::of(1..3_u8)));
    (1_u16.., any::<[u32; 3]>(), later)
        .prop_map(|(probability, n, later)| NxAction::Sample {
            probability,
            collector_set_id: n[0],
            obs_domain_id: n[1],
            obs_point_id: n[2],
            sampling_port: later.map(|(port, _)| port),
            direction: later.and_then(|(_, direction)| direction),
        })
        .boxed()
}

fn nat() -> BoxedStrategy<Nat> {
    (1..3_u16, any::<[u32; 2]>(), any::<[u128; 2]>(), 0..3_u8, prop::option::of((1_u16.., any::<u16>())))
        .prop_map(|(flags, v4, v6, kind, ports)| {
            let mut nat = Nat { flags, ..Nat::default() };
            match kind {
                0 => (nat.ipv4_min, nat.ipv4_max) = (Some(v4[0]), Some(v4[1]).filter(|max| *max > v4[0])),
                1 => (nat.ipv6_min, nat.ipv6_max) = (Some(v6[0]), Some(v6[1]).filter(|max| *max > v6[0])),
                // To the address of the interface, if anything.
                _ => return Nat::default(),
            }
            if let Some((min, max)) = ports {
                (nat.proto_min, nat.proto_max) = (Some(min), Some(max).filter(|max| *max > min));
            }
            nat
        })
        .boxed()
}

/// With what a version writes on the connection by.
fn ct(version: Version) -> BoxedStrategy<NxAction> {
    let load = move |id: FieldId, n: u64| {
        Action::Nicira(NxAction::RegLoad { dst: bits(id, 0, if id == FieldId::CtMark { 32 } else { 64 }), value: n })
    };
    let mark = any::<u32>().prop_map(move |n| {
        if version < Version::V12 {
            return load(FieldId::CtMark, n.into());
        }
        Action::SetField(MatchField::exact(FieldId::CtMark, n.into()))
    });
    let label = any::<u64>().prop_map(move |n| {
        if version < Version::V12 {
            return load(FieldId::CtLabel, n);
        }
        Action::SetField(MatchField::exact(FieldId::CtLabel, u128::from(n) << 7))
    });
    let zone = prop_oneof![
        3 => any::<u16>().prop_map(Ok),
        1 => Just(Err(bits(FieldId::Reg0, 4, 16))),
    ];
    let inside = (prop::option::of(nat()), prop::option::of(mark), prop::option::of(label));
    (any::<bool>(), zone, prop::option::of(0..254_u8), prop::option::of(Just(21_u16)), inside)
        .prop_map(|(commit, zone, table, alg, (nat, mark, label))| {
            let nat = nat.filter(|n| commit || *n == Nat::default());
            let mut actions: Vec<_> = nat.map(|n| Action::Nicira(NxAction::Nat(n))).into_iter().collect();
            if commit {
                actions.extend(mark);
                actions.extend(label);
            }
            NxAction::Ct {
                flags: u16::from(commit),
                zone,
                recirc_table: TableId(table.unwrap_or(0xff)),
                alg: alg.filter(|_| commit).unwrap_or(0),
                actions,
            }
        })
        .boxed()
}

/// Nicira's actions that stand in any flow of such packets; in 1.0 those too for which later versions have
/// their own.
fn nicira(version: Version, stack: &Stack) -> BoxedStrategy<NxAction> {
    let mut all: Vec<BoxedStrategy<NxAction>> = vec![
        (port(), prop::option::of(0..254_u8), any::<bool>())
            .prop_map(|(in_port, table, ct)| NxAction::Resubmit {
                in_port,
                ct: ct && table.is_some(),
                table: table.map(TableId),
            })
            .boxed(),
        Just(NxAction::PopQueue).boxed(),
        Just(NxAction::Exit).boxed(),
        vec(any::<u8>(), 6).prop_map(|b| NxAction::Note(b.into())).boxed(),
        (0..2_u16, any::<[u16; 2]>(), any::<u32>(), register(32), 0..4_u16)
            .prop_map(|(fields, n, arg, mut dst, algorithm)| {
                dst = Subfield { field: OxmId::of(FieldId::Reg0), offset: 0, n_bits: dst.n_bits.max(16) };
                NxAction::Multipath { fields, basis: n[0], algorithm, max_link: n[1] & 0xff, arg, dst }
            })
            .boxed(),
        bundle(),
        (register(32), any::<u16>(), any::<bool>())
            .prop_map(|(src, max_len, v2)| NxAction::OutputReg { src, max_len, v2 })
            .boxed(),
        any::<(u16, u16)>()
            .prop_map(|(max_len, controller_id)| NxAction::Controller { max_len, controller_id, reason: 1 })
            .boxed(),
        (prop::option::of(0..0xffff_u16), prop::option::of(1..u16::MAX), prop::option::of(vec(any::<u8>(), 1..9)))
            .prop_map(|(max_len, controller_id, userdata)| NxAction::Controller2 {
                max_len,
                controller_id,
                reason: None,
                userdata: userdata.map(Bytes::from),
                pause: false,
                meter: None,
            })
            .boxed(),
        register(64).prop_map(NxAction::StackPush).boxed(),
        register(64).prop_map(NxAction::StackPop).boxed(),
        sample(),
        learn(),
        ct(version),
        Just(NxAction::CtClear).boxed(),
        ((1..0xff00_u32).prop_map(PortNo), 14..u32::MAX)
            .prop_map(|(port, max_len)| NxAction::OutputTrunc { port, max_len })
            .boxed(),
        vec(
            target().prop_map(|p| Action::Output { port: p, max_len: if p == PortNo::CONTROLLER { 128 } else { 0 } }),
            1..3,
        )
        .prop_map(NxAction::Clone)
        .boxed(),
        (any::<u16>(), 0..32_u16)
            .prop_map(|(pkt_len, offset)| NxAction::CheckPktLarger {
                pkt_len,
                dst: Subfield { field: OxmId::of(FieldId::Reg0), offset, n_bits: 1 },
            })
            .boxed(),
    ];
    if version < Version::V15 {
        all.push(reg_move(register(32)));
        all.push(reg_load(register(64)));
        let field = prop::sample::select(vec![FieldId::Reg1, FieldId::TunnelId, FieldId::EthDst, FieldId::PktMark]);
        all.push(field.prop_flat_map(move |id| value(id, version, true)).prop_map(NxAction::RegLoad2).boxed());
    }
    if stack.holds.contains(&Prereq::Ip) {
        all.push(vec(any::<u16>(), 1..6).prop_map(NxAction::DecTtlCntIds).boxed());
    }
    if stack.holds.contains(&Prereq::Tcp) {
        all.push(any::<(u16, u16)>().prop_map(|(idle, hard)| NxAction::FinTimeout { idle, hard }).boxed());
    }
    if version >= Version::V13 {
        // Nothing, and metadata of type 1.
        let properties = prop::sample::select(vec![&[][..], &[0, 4, 1, 5, 1, 0, 0, 0]]);
        let types = prop::sample::select(vec![(0, false), (0x1_8847, false), (0x1_894f, true)]);
        all.push(
            (types, properties)
                .prop_map(|((packet_type, nsh), properties)| NxAction::Encap {
                    hdr_size: 0,
                    packet_type,
                    properties: Bytes::from_static(if nsh { properties } else { &[] }),
                })
                .boxed(),
        );
        all.push(Just(NxAction::Decap { packet_type: 0 }).boxed());
        if stack.holds.contains(&Prereq::Nsh) {
            all.extend(vec![Just(NxAction::DecNshTtl).boxed(); 5]);
        }
    }
    if version == Version::V10 {
        if stack.holds.contains(&Prereq::Ip) {
            all.push(Just(NxAction::DecTtl).boxed());
        }
        all.extend([
            any::<u32>().prop_map(NxAction::SetQueue).boxed(),
            any::<u32>().prop_map(|id| NxAction::SetTunnel { id: id.into(), wide: false }).boxed(),
            (1_u64 << 32..).prop_map(|id| NxAction::SetTunnel { id, wide: true }).boxed(),
        ]);
    }
    Union::new(all).boxed()
}

/// The wire's `max_len`: it means something for a controller only, and 1.0's is zero elsewhere by custom.
fn output(port: PortNo, len: u16) -> Action {
    Action::Output { port, max_len: if port == PortNo::CONTROLLER { len } else { 0 } }
}

/// Whether a field's prerequisite holds for what was matched.
fn settable(info: &FieldInfo, stack: &Stack, version: Version) -> bool {
    use FieldId as F;
    let holds = info.prereq == Prereq::None || stack.holds.contains(&info.prereq);
    let standard = matches!(info.codes.first(), Some(Code::Oxm(_)));
    let apart = matches!(
        info.id,
        // They change what may follow, or are other fields' bits, or have rules of their own.
        F::EthType
            | F::IpProto
            | F::VlanVid
            | F::VlanTci
            | F::IpTos
            | F::Icmpv6Type
            | F::TunFlags
            | F::Metadata
            | F::CtMark
            | F::CtLabel
    );
    let meta = (F::Reg0 as u8..=F::Xxreg3 as u8).contains(&(info.id as u8));
    match version {
        Version::V10 => matches!(info.id, F::EthSrc | F::EthDst) || holds && matches!(info.id, F::Ipv4Src | F::Ipv4Dst),
        Version::V11 => {
            matches!(info.id, F::EthSrc | F::EthDst)
                || holds && matches!(info.id, F::Ipv4Src | F::Ipv4Dst | F::IpEcn | F::MplsLabel | F::MplsTc)
        }
        _ => {
            info.settable
                && holds
                && !apart
                && (meta || !standard || info.since <= version)
                && field_code(info.id, version).is_some()
        }
    }
}

/// An action list for packets of this kind.
pub(super) fn actions(version: Version, stack: &Stack) -> BoxedStrategy<Vec<Action>> {
    let (v10, v11) = (version == Version::V10, version == Version::V11);
    let ip = stack.holds.contains(&Prereq::Ip);
    let mut all: Vec<(u32, BoxedStrategy<Action>)> = vec![
        (4, (target(), any::<u16>()).prop_map(|(p, n)| output(p, n)).boxed()),
        (3, nicira(version, stack).prop_map(Action::Nicira).boxed()),
    ];
    let ids: Vec<FieldId> = FIELDS.iter().filter(|f| settable(f, stack, version)).map(|f| f.id).collect();
    let set = prop::sample::select(ids).prop_flat_map(move |id| value(id, version, true)).prop_map(move |mut f| {
        if version < Version::V15 {
            f = MatchField::exact(f.id, f.value);
        }
        Action::SetField(f)
    });
    all.push((4, set.boxed()));
    if v10 {
        all.push((
            1,
            ((1..0xff00_u32), any::<u32>())
                .prop_map(|(p, q)| Action::Enqueue { port: PortNo(p), queue: QueueId(q) })
                .boxed(),
        ));
        all.push((1, Just(Action::PopVlan).boxed()));
    } else {
        all.push((1, group().prop_map(Action::Group).boxed()));
        all.push((1, any::<u32>().prop_map(|q| Action::SetQueue(QueueId(q))).boxed()));
    }
    if v10 || (v11 && stack.tagged) {
        all.push((1, (0..4096_u16).prop_map(Action::SetVlanVid).boxed()));
        all.push((1, (0..8_u8).prop_map(Action::SetVlanPcp).boxed()));
    }
    if (v10 || v11) && ip {
        all.push((1, (0..64_u128).prop_map(|d| Action::SetField(MatchField::exact(FieldId::IpTos, d << 2))).boxed()));
    }
    if (v10 || v11) && stack.holds.iter().any(|p| matches!(p, Prereq::Tcp | Prereq::Udp)) {
        all.push((1, any::<u16>().prop_map(Action::SetTpSrc).boxed()));
        all.push((1, any::<u16>().prop_map(Action::SetTpDst).boxed()));
    }
    if !v10 && ip {
        all.push((1, Just(Action::DecNwTtl).boxed()));
        all.push((1, (1_u8..).prop_map(Action::SetNwTtl).boxed()));
    }
    if !v10 && stack.holds.contains(&Prereq::Mpls) {
        all.push((1, Just(Action::DecMplsTtl).boxed()));
        all.push((1, any::<u8>().prop_map(Action::SetMplsTtl).boxed()));
    }
    if version >= Version::V12 && stack.tagged {
        all.push((
            1,
            (0..4096_u128).prop_map(|v| Action::SetField(MatchField::exact(FieldId::VlanVid, v | 0x1000))).boxed(),
        ));
    }
    if version == Version::V15 {
        all.push((1, meter().prop_map(Action::Meter).boxed()));
        all.push((1, copy_field(register(32))));
    }
    // What makes another kind of packet stands at the end.
    let mut tails = vec![Just(vec![]).boxed(), Just(vec![]).boxed()];
    if version >= Version::V12 {
        let set = |id, v: u128| Action::SetField(MatchField::exact(id, v));
        tails.push(
            (prop::sample::select(vec![0x8100_u16, 0x88a8]), 0..4096_u128, 0..8_u128)
                .prop_map(move |(ty, v, p)| {
                    vec![Action::PushVlan(ty), set(FieldId::VlanVid, v | 0x1000), set(FieldId::VlanPcp, p)]
                })
                .boxed(),
        );
        tails.push(
            (prop::sample::select(vec![0x8847_u16, 0x8848]), 0..1_u128 << 20, 0..8_u128)
                .prop_map(move |(ty, l, tc)| {
                    vec![Action::PushMpls(ty), set(FieldId::MplsLabel, l), set(FieldId::MplsTc, tc)]
                })
                .boxed(),
        );
    }
    if version >= Version::V13 {
        tails.push(Just(vec![Action::PushPbb(0x88e7)]).boxed());
        if stack.holds.contains(&Prereq::Pbb) {
            tails.push(Just(vec![Action::PopPbb]).boxed());
        }
    }
    if v10 {
        let labels = (0..1_u32 << 20, 0..8_u8, any::<u8>()).prop_map(|(label, tc, ttl)| {
            let tag = [
                NxAction::PushMpls(0x8847),
                NxAction::SetMplsLabel(label),
                NxAction::SetMplsTc(tc),
                NxAction::SetMplsTtl(ttl),
                NxAction::DecMplsTtl,
            ];
            let pop = NxAction::PopMpls(0x0800);
            tag.into_iter().chain(Some(pop).filter(|_| ttl & 1 == 0)).map(Action::Nicira).collect()
        });
        tails.push(labels.boxed());
    }
    if stack.tagged && !v10 {
        tails.push(Just(vec![Action::PopVlan]).boxed());
    }
    if stack.holds.contains(&Prereq::Mpls) && !v10 {
        tails.push(Just(vec![Action::PopMpls(0x0800)]).boxed());
        tails.push(prop::sample::select(vec![vec![Action::CopyTtlIn], vec![Action::CopyTtlOut]]).boxed());
    }
    (vec(Union::new_weighted(all), 0..4), Union::new(tails))
        .prop_map(|(mut list, tail)| {
            list.extend(tail);
            list
        })
        .boxed()
}

/// An action list where nothing is known of the packet.
pub(super) fn free_actions(version: Version) -> BoxedStrategy<Vec<Action>> {
    actions(version, &Stack::default())
}

/// The instructions of a flow in `table`.
pub(super) fn instructions(version: Version, stack: &Stack, table: u8) -> BoxedStrategy<Vec<Instruction>> {
    let apply = actions(version, stack);
    if version == Version::V10 {
        return apply.prop_map(|a| if a.is_empty() { vec![] } else { vec![Instruction::ApplyActions(a)] }).boxed();
    }
    // A set holds one action of a type; and Nicira's have no place there.
    let write = vec((target(), any::<u16>()).prop_map(|(p, n)| output(p, n)), 0..2);
    let conjunction = (2..=64_u8, any::<u8>(), any::<u32>()).prop_map(|(n_clauses, c, id)| {
        vec![Action::Nicira(NxAction::Conjunction { clause: c % n_clauses, n_clauses, id })]
    });
    let threshold = (any::<u64>(), 0..4_u8).prop_map(|(n, kind)| match kind {
        0 => FlowStat::Duration((n >> 32) as u32, n as u32),
        1 => FlowStat::IdleTime((n >> 32) as u32, n as u32),
        2 => FlowStat::PacketCount(n),
        _ => FlowStat::ByteCount(n),
    });
    let trigger =
        (1..4_u32, vec(threshold, 1..4)).prop_map(|(flags, thresholds)| Instruction::StatTrigger { flags, thresholds });
    (
        prop::option::weighted(0.2, meter()),
        prop_oneof![9 => apply, 1 => conjunction],
        prop::option::weighted(0.2, Just(Instruction::ClearActions)),
        prop::option::weighted(0.3, write),
        prop::option::weighted(0.2, any::<(u64, u64)>()),
        prop::option::weighted(0.3, table.saturating_add(1)..255_u8),
        prop::option::weighted(0.05, trigger),
    )
        .prop_map(move |(meter, apply, clear, write, metadata, goto, trigger)| {
            let alone = matches!(apply.first(), Some(Action::Nicira(NxAction::Conjunction { .. })));
            if alone {
                return vec![Instruction::ApplyActions(apply)];
            }
            let mut out = Vec::new();
            if (Version::V13..Version::V15).contains(&version) {
                out.extend(meter.map(Instruction::Meter));
            }
            if !apply.is_empty() {
                out.push(Instruction::ApplyActions(apply));
            }
            out.extend(clear);
            out.extend(write.filter(|w| !w.is_empty()).map(Instruction::WriteActions));
            out.extend(metadata.map(|(v, mask)| Instruction::WriteMetadata { metadata: v & mask, mask }));
            out.extend(trigger.filter(|_| version == Version::V15));
            out.extend(goto.filter(|g| *g > table && *g < 255).map(|g| Instruction::GotoTable(TableId(g))));
            out
        })
        .boxed()
}
