//! print → parse gives the model back; any text is parsed or refused, never more.

use super::*;
use crate::action::Action;
use crate::arbitrary::field_bits::{
    self, copied, copy_field, immediate, learn_spec, masked, prefix, reg_load, reg_move,
};
use crate::field::{FIELDS, FieldId};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags};
use crate::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use crate::ids::{BucketId, Cookie, ExperimenterId, GroupId, MeterId, PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField, OxmId, UnknownField};
use crate::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use crate::nicira::{Nat, NxAction, Subfield};
use crate::stats::{FlowDesc, FlowStat, FlowStats};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn version() -> impl Strategy<Value = Version> {
    proptest::sample::select(Version::ALL.to_vec())
}

fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![
        (1u32..0xff00).prop_map(PortNo),
        proptest::sample::select(vec![PortNo::IN_PORT, PortNo::ALL, PortNo::FLOOD, PortNo::LOCAL, PortNo::NORMAL]),
    ]
}

/// A value of the field, with a mask half of the time where one is allowed.
fn field_value(id: FieldId) -> BoxedStrategy<MatchField> {
    let info = id.info();
    let all = info.all_ones();
    if id == FieldId::IpFrag {
        return prop_oneof![
            proptest::sample::select(vec![0u128, 1, 3]).prop_map(move |v| MatchField::exact(id, v)),
            Just(MatchField::masked(id, 1, 1)),
            Just(MatchField::masked(id, 0, 2)),
        ]
        .boxed();
    }
    if id == FieldId::VlanVid {
        return prop_oneof![
            (0u128..4096).prop_map(move |v| MatchField::exact(id, v | 0x1000)),
            Just(MatchField::exact(id, 0)),
            (0u128..4096, 1u128..0x1fff).prop_map(move |(v, m)| MatchField::masked(id, v & m, m)),
        ]
        .boxed();
    }
    let exact = any::<u128>().prop_map(move |v| MatchField::exact(id, v & all));
    if !info.maskable {
        return exact.boxed();
    }
    prop_oneof![exact, masked(id), prefix(id)].boxed()
}

/// Fields that go with any ethertype.
fn free_fields() -> Vec<FieldId> {
    use crate::field::Prereq;
    FIELDS
        .iter()
        .filter(|f| {
            f.prereq == Prereq::None && !matches!(f.id, FieldId::EthType | FieldId::VlanTci | FieldId::PacketType)
        })
        .map(|f| f.id)
        .collect()
}

/// (ethertype, protocol, fields that go with them)
fn protocols() -> Vec<(Option<u128>, Option<u128>, Vec<FieldId>)> {
    use FieldId as F;
    let ip = [F::IpDscp, F::IpEcn, F::NwTtl, F::IpFrag];
    let v4 = [&ip[..], &[F::Ipv4Src, F::Ipv4Dst]].concat();
    let v6 = [&ip[..], &[F::Ipv6Src, F::Ipv6Dst, F::Ipv6Flabel, F::Ipv6Exthdr]].concat();
    let with = |base: &[F], more: &[F]| [base, more].concat();
    vec![
        (None, None, vec![]),
        (Some(0x88cc), None, vec![]),
        (Some(0x0800), None, v4.clone()),
        (Some(0x0800), Some(2), v4.clone()),
        (Some(0x0800), Some(6), with(&v4, &[F::TcpSrc, F::TcpDst, F::TcpFlags])),
        (Some(0x0800), Some(17), with(&v4, &[F::UdpSrc, F::UdpDst])),
        (Some(0x0800), Some(132), with(&v4, &[F::SctpSrc, F::SctpDst])),
        (Some(0x0800), Some(1), with(&v4, &[F::Icmpv4Type, F::Icmpv4Code])),
        (Some(0x86dd), None, v6.clone()),
        (Some(0x86dd), Some(89), v6.clone()),
        (Some(0x86dd), Some(6), with(&v6, &[F::TcpSrc, F::TcpDst, F::TcpFlags])),
        (Some(0x86dd), Some(17), with(&v6, &[F::UdpSrc, F::UdpDst])),
        (Some(0x86dd), Some(132), with(&v6, &[F::SctpSrc, F::SctpDst])),
        (
            Some(0x86dd),
            Some(58),
            with(&v6, &[F::Icmpv6Type, F::Icmpv6Code, F::Ipv6NdTarget, F::Ipv6NdSll, F::Ipv6NdTll]),
        ),
        (Some(0x0806), None, vec![F::ArpOp, F::ArpSpa, F::ArpTpa, F::ArpSha, F::ArpTha]),
        (Some(0x8035), None, vec![F::ArpOp, F::ArpSpa, F::ArpTpa]),
        (Some(0x8847), None, vec![F::MplsLabel, F::MplsTc, F::MplsBos, F::MplsTtl]),
        (Some(0x8848), None, vec![F::MplsLabel]),
        (Some(0x88e7), None, vec![F::PbbIsid, F::PbbUca]),
        (Some(0x894f), None, vec![F::NshFlags, F::NshMdtype, F::NshSpi, F::NshSi, F::NshC1, F::NshC4]),
    ]
}

fn fields_of(ids: Vec<FieldId>) -> BoxedStrategy<Vec<MatchField>> {
    let n = ids.len();
    proptest::sample::subsequence(ids, 0..=n.min(6))
        .prop_flat_map(|ids| ids.into_iter().map(field_value).collect::<Vec<_>>())
        .boxed()
}

pub(crate) fn unknown_field() -> impl Strategy<Value = UnknownField> {
    (any::<u16>(), 0u8..128, any::<bool>(), option::of(any::<u32>()), bytes(0..9)).prop_map(
        |(class, field, has_mask, experimenter, payload)| UnknownField {
            class,
            field,
            has_mask,
            experimenter: experimenter.map(ExperimenterId),
            payload,
        },
    )
}

fn matching() -> impl Strategy<Value = Match> {
    let proto = proptest::sample::select(protocols()).prop_flat_map(|(ty, proto, ids)| {
        let fixed: Vec<MatchField> = [(FieldId::EthType, ty), (FieldId::IpProto, proto)]
            .into_iter()
            .filter_map(|(id, v)| Some(MatchField::exact(id, v?)))
            .collect();
        fields_of(ids).prop_map(move |more| [fixed.clone(), more].concat())
    });
    let pcp = option::of(field_value(FieldId::VlanPcp));
    let packet_type = option::weighted(0.1, (2u128..8, any::<u16>()));
    (proto, fields_of(free_fields()), pcp, packet_type, vec(unknown_field(), 0..2)).prop_map(
        |(a, b, pcp, packet_type, unknown)| {
            let mut fields = [a, b].concat();
            if let Some(pcp) = pcp
                && fields.iter().any(|f| f.id == FieldId::VlanVid)
            {
                fields.push(pcp);
            }
            if let Some((ns, ty)) = packet_type {
                fields.push(MatchField::exact(FieldId::PacketType, ns << 16 | u128::from(ty)));
            }
            fields.sort_by_key(|f| canonical_order(f.id));
            let n = fields.len();
            Match { fields, unknown: unknown.into_iter().map(|u| (n, u)).collect(), fixed: None }
        },
    )
}

pub(crate) fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn subfield(max_bits: u16) -> BoxedStrategy<Subfield> {
    use FieldId as F;
    let ids = vec![F::Reg0, F::Reg15, F::TunnelId, F::EthSrc, F::Ipv6Dst, F::Xxreg1, F::CtLabel, F::InPort];
    field_bits::subfield(ids, max_bits)
}

fn settable_field(masks: bool) -> impl Strategy<Value = MatchField> {
    let ids: Vec<FieldId> = FIELDS
        .iter()
        .filter(|f| f.settable && !matches!(f.id, FieldId::IpTos | FieldId::VlanVid))
        .map(|f| f.id)
        .collect();
    proptest::sample::select(ids)
        .prop_flat_map(field_value)
        .prop_map(move |f| if masks { f } else { MatchField { mask: None, ..f } })
}

fn learn() -> BoxedStrategy<NxAction> {
    let constant = immediate(subfield(128), any::<u128>());
    let limit = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|n| Some((n, None))),
        (any::<u32>(), subfield(1)).prop_map(|(n, d)| Some((n, Some(d)))),
    ];
    field_bits::learn(learn_spec(constant, copied(subfield(32), FieldId::Xxreg0, 7)), any::<u8>(), limit)
}

fn nat() -> impl Strategy<Value = Nat> {
    let v4 = (any::<u32>(), option::of(any::<u32>())).prop_map(|(a, b)| (Some(a), b, None, None));
    let v6 = (any::<u128>(), option::of(any::<u128>())).prop_map(|(a, b)| (None, None, Some(a), b));
    let range = prop_oneof![Just((None, None, None, None)), v4, v6];
    let ports = option::of((any::<u16>(), option::of(any::<u16>())));
    (0u16..3, 0u16..8, range, ports).prop_map(|(kind, more, (a, b, c, d), ports)| {
        if kind == 0 {
            return Nat { flags: more << 2, ..Nat::default() };
        }
        Nat {
            flags: kind | more << 2,
            ipv4_min: a,
            ipv4_max: b,
            ipv6_min: c,
            ipv6_max: d,
            proto_min: ports.map(|p| p.0),
            proto_max: ports.and_then(|p| p.1),
        }
    })
}

fn leaf_action(v: Version) -> BoxedStrategy<Action> {
    let nx = |s: BoxedStrategy<NxAction>| s.prop_map(Action::Nicira).boxed();
    let v10 = v == Version::V10;
    let v15 = v == Version::V15;
    let mut all: Vec<BoxedStrategy<Action>> = vec![
        port().prop_map(Action::output).boxed(),
        any::<u16>().prop_map(|max_len| Action::Output { port: PortNo::CONTROLLER, max_len }).boxed(),
        any::<u32>().prop_map(|g| Action::Group(GroupId(g))).boxed(),
        any::<u16>().prop_map(Action::PushVlan).boxed(),
        Just(Action::PopVlan).boxed(),
        any::<u16>().prop_map(Action::PushPbb).boxed(),
        Just(Action::PopPbb).boxed(),
        Just(Action::CopyTtlIn).boxed(),
        Just(Action::CopyTtlOut).boxed(),
        unknown_field().prop_map(Action::SetUnknownField).boxed(),
        (any::<u32>(), bytes(0..9))
            .prop_map(|(e, data)| Action::Experimenter { experimenter: ExperimenterId(e), data })
            .boxed(),
        (100..0xfff0_u16, bytes(0..9)).prop_map(|(ty, data)| Action::Unknown { ty, data }).boxed(),
        copy_field(subfield(32)),
        nx((port(), option::of(any::<u8>()), any::<bool>())
            .prop_map(|(in_port, table, ct)| NxAction::Resubmit { in_port, table: table.map(TableId), ct })
            .boxed()),
        nx(reg_move(subfield(32))),
        // 1.5 says with set-field what it can.
        nx(reg_load(if v15 {
            Just(Subfield { field: OxmId::of(FieldId::InPort), offset: 3, n_bits: 9 }).boxed()
        } else {
            subfield(64)
        })),
        nx(vec(any::<u8>(), 14).prop_map(|b| NxAction::Note(b.into())).boxed()),
        nx((0u16..9, any::<[u16; 3]>(), any::<u32>(), subfield(32))
            .prop_map(|(fields, n, arg, dst)| NxAction::Multipath {
                fields,
                basis: n[0],
                algorithm: n[1] % 6,
                max_link: n[2],
                arg,
                dst,
            })
            .boxed()),
        nx(field_bits::bundle((0u16..9, 0u16..4), vec(port(), 0..4), subfield(16))),
        nx(subfield(32).prop_map(|src| NxAction::OutputReg { src, max_len: 0xffff, v2: false }).boxed()),
        nx(Just(NxAction::Exit).boxed()),
        nx(vec(any::<u16>(), 1..4).prop_map(NxAction::DecTtlCntIds).boxed()),
        nx(any::<(u16, u16)>().prop_map(|(idle, hard)| NxAction::FinTimeout { idle, hard }).boxed()),
        nx(any::<(u16, u16, u8)>()
            .prop_map(|(max_len, controller_id, reason)| NxAction::Controller {
                max_len,
                controller_id,
                reason: reason % 8,
            })
            .boxed()),
        nx((
            option::of(any::<u16>()),
            option::of(any::<u16>()),
            option::of(any::<u8>()),
            option::of(bytes(0..5)),
            option::of(any::<u32>()),
        )
            .prop_map(|(max_len, controller_id, reason, userdata, meter)| NxAction::Controller2 {
                max_len,
                controller_id,
                reason,
                userdata,
                pause: true,
                meter: meter.map(MeterId),
            })
            .boxed()),
        nx(subfield(128).prop_map(NxAction::StackPush).boxed()),
        nx(subfield(128).prop_map(NxAction::StackPop).boxed()),
        nx((1u16.., any::<[u32; 3]>(), option::of(port()), 0u8..4)
            .prop_map(|(probability, n, sampling_port, d)| NxAction::Sample {
                probability,
                collector_set_id: n[0],
                obs_domain_id: n[1],
                obs_point_id: n[2],
                direction: sampling_port.is_some().then_some(d),
                sampling_port,
            })
            .boxed()),
        nx(learn().boxed()),
        nx((2u8..=64, any::<u8>(), any::<u32>())
            .prop_map(|(n_clauses, c, id)| NxAction::Conjunction { clause: c % n_clauses, n_clauses, id })
            .boxed()),
        nx(nat().prop_map(NxAction::Nat).boxed()),
        nx(Just(NxAction::CtClear).boxed()),
        nx((port(), any::<u32>()).prop_map(|(port, max_len)| NxAction::OutputTrunc { port, max_len }).boxed()),
        nx((any::<u16>(), subfield(1)).prop_map(|(pkt_len, dst)| NxAction::CheckPktLarger { pkt_len, dst }).boxed()),
        nx(Just(NxAction::PopQueue).boxed()),
        nx(any::<(u64, u64)>().prop_map(|(metadata, mask)| NxAction::WriteMetadata { metadata, mask }).boxed()),
        nx(Just(NxAction::DecNshTtl).boxed()),
        nx(any::<u32>().prop_map(|packet_type| NxAction::Decap { packet_type }).boxed()),
        nx((any::<u16>(), 0u32..3, bytes(0..5))
            .prop_map(|(hdr_size, t, properties)| NxAction::Encap {
                hdr_size: hdr_size % 2,
                packet_type: t << 15,
                properties,
            })
            .boxed()),
        nx((100..0xfff0_u16, bytes(0..9)).prop_map(|(subtype, data)| NxAction::Unknown { subtype, data }).boxed()),
    ];
    if v10 {
        all.extend([
            (port(), any::<u32>()).prop_map(|(port, q)| Action::Enqueue { port, queue: QueueId(q) }).boxed(),
            nx(any::<u64>().prop_map(|id| NxAction::SetTunnel { id, wide: id > 0xffff_ffff }).boxed()),
            nx(any::<u32>().prop_map(NxAction::SetQueue).boxed()),
            nx(any::<u16>().prop_map(NxAction::PushMpls).boxed()),
            nx(any::<u16>().prop_map(NxAction::PopMpls).boxed()),
            nx(any::<u8>().prop_map(NxAction::SetMplsTtl).boxed()),
            nx((0u32..1 << 20).prop_map(NxAction::SetMplsLabel).boxed()),
            nx((0u8..8).prop_map(NxAction::SetMplsTc).boxed()),
            nx(Just(NxAction::DecMplsTtl).boxed()),
            nx(Just(NxAction::DecTtl).boxed()),
        ]);
    } else {
        all.extend([
            any::<u32>().prop_map(|q| Action::SetQueue(QueueId(q))).boxed(),
            any::<u16>().prop_map(Action::PushMpls).boxed(),
            any::<u16>().prop_map(Action::PopMpls).boxed(),
            any::<u8>().prop_map(Action::SetMplsTtl).boxed(),
            Just(Action::DecMplsTtl).boxed(),
            any::<u8>().prop_map(Action::SetNwTtl).boxed(),
            Just(Action::DecNwTtl).boxed(),
        ]);
    }
    if v <= Version::V11 {
        all.extend([
            (0u16..4096).prop_map(Action::SetVlanVid).boxed(),
            (0u8..8).prop_map(Action::SetVlanPcp).boxed(),
            any::<u16>().prop_map(Action::SetTpSrc).boxed(),
            any::<u16>().prop_map(Action::SetTpDst).boxed(),
            field_value(FieldId::EthDst).prop_map(|f| Action::SetField(MatchField { mask: None, ..f })).boxed(),
            field_value(FieldId::Ipv4Src).prop_map(|f| Action::SetField(MatchField { mask: None, ..f })).boxed(),
            (0u128..64).prop_map(|d| Action::SetField(MatchField::exact(FieldId::IpTos, d << 2))).boxed(),
            Just(Action::Nicira(NxAction::RegLoad2(MatchField::exact(FieldId::Ipv6Src, 7)))).boxed(),
        ]);
    } else {
        all.push(settable_field(v == Version::V15).prop_map(Action::SetField).boxed());
        all.push((0u128..0x2000).prop_map(|v| Action::SetField(MatchField::exact(FieldId::VlanVid, v))).boxed());
        // Two runs of bits: a load can't say that.
        if v < Version::V15 {
            all.push(Just(Action::Nicira(NxAction::RegLoad2(MatchField::masked(FieldId::Reg3, 0x101, 0xf0f)))).boxed());
        }
    }
    if v == Version::V15 {
        all.push(any::<u32>().prop_map(|m| Action::Meter(MeterId(m))).boxed());
    }
    proptest::strategy::Union::new(all).boxed()
}

pub(crate) fn action(v: Version) -> BoxedStrategy<Action> {
    leaf_action(v)
        .prop_recursive(3, 12, 4, |inner| {
            let ct = (0u16..8, prop_oneof![any::<u16>().prop_map(Ok), subfield(16).prop_map(Err)], any::<(u8, u16)>())
                .prop_flat_map({
                    let inner = inner.clone();
                    move |(flags, zone, (table, alg))| {
                        (option::of(nat()), vec(inner.clone(), 0..3)).prop_map(move |(nat, rest)| {
                            let mut actions: Vec<Action> =
                                nat.map(|n| Action::Nicira(NxAction::Nat(n))).into_iter().collect();
                            actions.extend(rest);
                            Action::Nicira(NxAction::Ct {
                                flags,
                                zone: zone.clone(),
                                recirc_table: TableId(table),
                                alg,
                                actions,
                            })
                        })
                    }
                });
            prop_oneof![vec(inner, 0..4).prop_map(|a| Action::Nicira(NxAction::Clone(a))), ct]
        })
        .boxed()
}

fn instruction_list(v: Version) -> BoxedStrategy<Vec<Instruction>> {
    let apply = vec(action(v), 0..5);
    if v == Version::V10 {
        return apply.prop_map(|a| if a.is_empty() { vec![] } else { vec![Instruction::ApplyActions(a)] }).boxed();
    }
    let trigger =
        (0u32..8, any::<(u32, u64)>(), 0u32..1_000_000_000).prop_map(|(flags, (s, n), ns)| Instruction::StatTrigger {
            flags,
            thresholds: vec![
                FlowStat::Duration(s, ns),
                FlowStat::PacketCount(n),
                FlowStat::Unknown(7, 3, Bytes::from_static(b"ab")),
            ],
        });
    (
        option::of(any::<u32>()),
        apply,
        any::<bool>(),
        option::of(vec(action(v), 0..3)),
        option::of(any::<(u64, u64)>()),
        option::of(any::<u8>()),
        option::weighted(0.1, trigger),
    )
        .prop_map(move |(meter, apply, clear, write, metadata, goto, trigger)| {
            let mut out = Vec::new();
            if (Version::V13..Version::V15).contains(&v) {
                out.extend(meter.map(|m| Instruction::Meter(MeterId(m))));
            }
            if !apply.is_empty() {
                out.push(Instruction::ApplyActions(apply));
            }
            if clear {
                out.push(Instruction::ClearActions);
            }
            out.extend(write.map(Instruction::WriteActions));
            out.extend(metadata.map(|(metadata, mask)| Instruction::WriteMetadata { metadata, mask }));
            out.extend(trigger);
            out.extend(goto.map(|t| Instruction::GotoTable(TableId(t))));
            out
        })
        .boxed()
}

pub(crate) fn flow_mod() -> impl Strategy<Value = (Version, FlowMod)> {
    use FlowModCommand as C;
    version().prop_flat_map(|v| {
        (
            Just(v),
            proptest::sample::select(vec![C::Add, C::Modify, C::ModifyStrict, C::Delete, C::DeleteStrict]),
            matching(),
            instruction_list(v),
            any::<[u16; 5]>(),
            any::<(u64, u64, u8)>(),
            (option::of(port()), option::of(any::<u32>())),
        )
            .prop_map(
                |(v, command, matching, instructions, n, (cookie, cookie_mask, table), (port, group))| {
                    let m = FlowMod {
                        command,
                        cookie: Cookie(cookie),
                        cookie_mask,
                        table: TableId(table),
                        idle_timeout: n[0],
                        hard_timeout: n[1],
                        priority: n[2],
                        importance: n[3],
                        flags: FlowModFlags::from_bits_retain(n[4]),
                        out_port: port.unwrap_or(PortNo::ANY),
                        out_group: group.map_or(GroupId::ANY, GroupId),
                        matching,
                        instructions,
                        ..FlowMod::default()
                    };
                    (v, m)
                },
            )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_match_survives(m in matching()) {
        let text = MatchText(&m).to_string();
        prop_assert_eq!(parse_match(&text, &ParseContext::default()), Ok(m), "{}", text);
    }

    #[test]
    fn a_flow_mod_survives((v, m) in flow_mod()) {
        let text = Printer { version: v, ports: &() }.flow_mod(&m).to_string();
        prop_assert_eq!(parse_flow_mod(&text, FlowModCommand::Add, &ParseContext::new(v)), Ok(m), "{}", text);
    }

    #[test]
    fn a_flow_entry_survives((v, m) in flow_mod(), n in any::<(u32, u64, u64)>(), nsec in 0u32..1_000_000_000, idle in any::<Option<u32>>()) {
        let stats = FlowStats {
            duration_sec: n.0,
            duration_nsec: nsec,
            packet_count: n.1,
            byte_count: n.2,
            idle: idle.map(|s| (s, nsec)),
            oxs: None,
        };
        let desc = FlowDesc::added(m, stats);
        let text = Printer { version: v, ports: &() }.flow(&desc).to_string();
        prop_assert_eq!(parse_flow_desc(&text, &ParseContext::new(v)), Ok(desc), "{}", text);
    }

    #[test]
    fn a_group_mod_survives(
        v in version(),
        command in proptest::sample::select(vec![
            GroupModCommand::Add, GroupModCommand::Modify, GroupModCommand::Delete,
            GroupModCommand::InsertBucket, GroupModCommand::RemoveBucket, GroupModCommand::AddOrMod,
        ]),
        ty in proptest::sample::select(vec![
            GroupType::All, GroupType::Select, GroupType::Indirect, GroupType::FastFailover, GroupType::Unknown(9),
        ]),
        ids in any::<(u32, u32)>(),
        buckets in vec((any::<u16>(), option::of(port()), option::of(any::<u32>()), vec(action(Version::V15), 0..3)), 0..4),
    ) {
        let buckets = buckets.into_iter().enumerate().map(|(i, (weight, port, group, actions))| Bucket {
            id: (v == Version::V15).then_some(BucketId(i as u32)),
            weight,
            watch_port: port.unwrap_or(PortNo::ANY),
            watch_group: group.map_or(GroupId::ANY, GroupId),
            actions: if v == Version::V15 { actions } else { vec![Action::output(PortNo(3)), Action::DecNwTtl] },
            other: Vec::new(),
        }).collect();
        let v = if v == Version::V10 { Version::V13 } else { v };
        let m = GroupMod { command, ty, group: GroupId(ids.0), command_bucket: BucketId(ids.1), buckets, properties: Vec::new() };
        let text = Printer { version: v, ports: &() }.group_mod(&m).to_string();
        prop_assert_eq!(parse_group_mod(&text, GroupModCommand::Add, &ParseContext::new(v)), Ok(m), "{}", text);
    }

    #[test]
    fn a_meter_mod_survives(
        command in proptest::sample::select(vec![MeterModCommand::Add, MeterModCommand::Modify, MeterModCommand::Delete]),
        flags in any::<u16>(),
        meter in any::<u32>(),
        bands in vec((any::<u32>(), any::<u32>(), any::<u8>(), 0..4, bytes(0..5)), 0..4),
    ) {
        let bands = bands.into_iter().map(|(rate, burst_size, prec_level, kind, data)| Band {
            rate,
            burst_size,
            action: match kind {
                0 => BandAction::Drop,
                1 => BandAction::DscpRemark { prec_level },
                2 => BandAction::Experimenter { experimenter: ExperimenterId(rate), data },
                _ => BandAction::Unknown { ty: 77, data },
            },
        }).collect();
        let m = MeterMod { command, flags: MeterFlags::from_bits_retain(flags), meter: MeterId(meter), bands };
        let text = MeterModText(&m).to_string();
        prop_assert_eq!(parse_meter_mod(&text, MeterModCommand::Add, &ParseContext::default()), Ok(m), "{}", text);
    }

    /// Texts made of the syntax's own words get further than random ones.
    #[test]
    fn no_text_panics(words in vec(proptest::sample::select(vec![
        "ip", "tcp", "actions=", "output", "(", ")", "[", "]", ":", "=", ",", "/", "->", "..", "NXM_NX_REG0", "reg0", "load", "learn",
        "ct", "nat", "src", "-", "0x", "1", "999999999999999999999999999999999999999999", "\"", "\\", "é", "set_field", "clone", "bucket=",
        "type=", "meter=", "dl_vlan", "tp_src", "nw_src", "10.0.0.0", "fe80::1", "00:11:22:33:44:55", "+", "trk", "|", "note", "members",
        "bundle", "resubmit", "write_actions", "cookie", " ", "\n", "#", "oxm", "packet_type", "encap", "sample", "exec", "multipath", "enqueue",
    ]), 0..40), v in version()) {
        let text = words.concat();
        let ctx = ParseContext::new(v);
        let _ = parse_flow_mod(&text, FlowModCommand::Add, &ctx);
        let _ = parse_flow_mods(&text, FlowModCommand::Add, &ctx);
        let _ = parse_actions(&text, &ctx);
        let _ = parse_group_mod(&text, GroupModCommand::Add, &ctx);
        let _ = parse_meter_mod(&text, MeterModCommand::Add, &ctx);
        let _ = parse_packet_out(&text, &ctx);
        let _ = parse_flow_desc(&text, &ctx);
    }

    #[test]
    fn no_random_text_panics(text in any::<String>()) {
        let ctx = ParseContext::default();
        let _ = parse_flow_mod(&text, FlowModCommand::Add, &ctx);
        let _ = parse_actions(&text, &ctx);
    }
}
