//! Matches, actions and instructions that [`crate::validate`] accepts, in the form that decoding gives.

use crate::action::Action;
use crate::field::{Code, FIELDS, FieldId, FieldInfo, Prereq};
use crate::ids::{Cookie, GroupId, MeterId, PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField, OxmId};
use crate::nicira::{Learn, LearnSource, LearnSpec, Nat, NxAction, Subfield};
use crate::stats::FlowStat;
use crate::version::Version;
use crate::wire::field_code;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

/// The number of a port, as every version and switch can have it.
pub(super) fn port() -> BoxedStrategy<PortNo> {
    prop_oneof![9 => (1..0xff00_u32).prop_map(PortNo), 1 => Just(PortNo::LOCAL)].boxed()
}

/// A place to output to.
pub(super) fn target() -> BoxedStrategy<PortNo> {
    use PortNo as P;
    prop_oneof![2 => (1..0xff00_u32).prop_map(PortNo), 1 => prop::sample::select(vec![
        P::IN_PORT, P::NORMAL, P::FLOOD, P::ALL, P::CONTROLLER, P::LOCAL,
    ])]
    .boxed()
}

pub(super) fn group() -> BoxedStrategy<GroupId> {
    prop_oneof![(0..1000_u32), (0..=GroupId::MAX.0)].prop_map(GroupId).boxed()
}

pub(super) fn meter() -> BoxedStrategy<MeterId> {
    prop_oneof![(1..1000_u32), (1..=MeterId::MAX.0)].prop_map(MeterId).boxed()
}

/// What kind of packets a match selects: its ethertype and protocol, and the prerequisites that then hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    eth_type: Option<u16>,
    ip_proto: Option<u8>,
    /// For neighbour discovery.
    icmpv6_type: Option<u8>,
    holds: Vec<Prereq>,
    tagged: bool,
}

fn stacks(version: Version) -> Vec<Stack> {
    use Prereq as P;
    let stack = |eth_type: u16, ip_proto: u8, icmpv6_type: u8, holds: &[Prereq]| Stack {
        eth_type: Some(eth_type).filter(|t| *t != 0),
        ip_proto: Some(ip_proto).filter(|t| *t != 0),
        icmpv6_type: Some(icmpv6_type).filter(|t| *t != 0),
        holds: holds.to_vec(),
        tagged: false,
    };
    let mut all = vec![
        stack(0, 0, 0, &[]),
        stack(0x88cc, 0, 0, &[]),
        stack(0x0800, 0, 0, &[P::Ip, P::Ipv4]),
        stack(0x0800, 47, 0, &[P::Ip, P::Ipv4]),
        stack(0x0800, 6, 0, &[P::Ip, P::Ipv4, P::Tcp]),
        stack(0x0800, 17, 0, &[P::Ip, P::Ipv4, P::Udp]),
        stack(0x0800, 1, 0, &[P::Ip, P::Ipv4, P::Icmpv4]),
        stack(0x0806, 0, 0, &[P::Arp]),
    ];
    if version >= Version::V11 {
        all.extend([
            stack(0x0800, 132, 0, &[P::Ip, P::Ipv4, P::Sctp]),
            stack(0x8847, 0, 0, &[P::Mpls]),
            stack(0x8848, 0, 0, &[P::Mpls]),
        ]);
    }
    if version >= Version::V12 {
        all.extend([
            stack(0x86dd, 0, 0, &[P::Ip, P::Ipv6]),
            stack(0x86dd, 6, 0, &[P::Ip, P::Ipv6, P::Tcp]),
            stack(0x86dd, 17, 0, &[P::Ip, P::Ipv6, P::Udp]),
            stack(0x86dd, 132, 0, &[P::Ip, P::Ipv6, P::Sctp]),
            stack(0x86dd, 58, 0, &[P::Ip, P::Ipv6, P::Icmpv6]),
            stack(0x86dd, 58, 135, &[P::Ip, P::Ipv6, P::Icmpv6, P::Nd, P::NdSol]),
            stack(0x86dd, 58, 136, &[P::Ip, P::Ipv6, P::Icmpv6, P::Nd, P::NdAdv]),
        ]);
    }
    if version >= Version::V13 {
        all.push(stack(0x88e7, 0, 0, &[P::Pbb]));
    }
    all
}

/// Fields that say the same as another one, or overlap it: at most one of a family is in a match.
fn family(id: FieldId) -> u8 {
    use FieldId as F;
    match id {
        F::VlanVid | F::VlanTci | F::VlanPcp => 1,
        F::IpDscp | F::IpTos => 2,
        id if (F::Reg0 as u8..=F::Xxreg3 as u8).contains(&(id as u8)) => 3,
        id => 10 + id as u8,
    }
}

/// What a match of `version` may say beside the ethertype and protocol of `stack`; TLVs or a fixed layout.
fn sayable(info: &FieldInfo, stack: &Stack, version: Version, tlv: bool) -> bool {
    use FieldId as F;
    let standard = matches!(info.codes.first(), Some(Code::Oxm(_)));
    let apart = matches!(
        info.id,
        // In the stack already, or what only a switch knows, or what no flow of a bridge matches.
        F::EthType | F::IpProto | F::VlanPcp | F::ActsetOutput | F::PacketType | F::RecircId | F::DpHash | F::InPhyPort
    );
    let ct = (F::CtNwProto as u8..=F::CtTpDst as u8).contains(&(info.id as u8));
    let taken = info.id == F::Icmpv6Type && stack.icmpv6_type.is_some();
    let holds = info.prereq == Prereq::None || stack.holds.contains(&info.prereq);
    if apart || ct || taken || !holds {
        return false;
    }
    if tlv {
        let known = version <= Version::V11 || !standard || info.since <= version;
        return known && field_code(info.id, version).is_some() && !(version <= Version::V11 && info.id == F::IpDscp);
    }
    standard
        && info.since <= version
        && field_code(info.id, version).is_some()
        && !(version == Version::V10 && matches!(info.id, F::IpEcn | F::ArpSha | F::ArpTha | F::Metadata))
        && !(version == Version::V11 && matches!(info.id, F::IpEcn | F::TunnelId))
}

/// A sound value of the field, under a mask where one may be.
fn value(id: FieldId, version: Version, tlv: bool) -> BoxedStrategy<MatchField> {
    let info = id.info();
    let all = info.all_ones();
    let exact = any::<u128>().prop_map(move |v| MatchField::exact(id, v & all));
    // Fixed matches have eight bits for it.
    if id == FieldId::ArpOp && !tlv {
        return (0..256_u128).prop_map(move |v| MatchField::exact(id, v)).boxed();
    }
    if !tlv
        && version == Version::V10
        && matches!(id, FieldId::Ipv4Src | FieldId::Ipv4Dst | FieldId::ArpSpa | FieldId::ArpTpa)
    {
        return (any::<u128>(), 1..=32_u32)
            .prop_map(move |(v, n)| match all & !(all >> n) {
                m if m == all => MatchField::exact(id, v & all),
                m => MatchField::masked(id, v & m, m),
            })
            .boxed();
    }
    let ports = matches!(
        id,
        FieldId::TcpSrc | FieldId::TcpDst | FieldId::UdpSrc | FieldId::UdpDst | FieldId::SctpSrc | FieldId::SctpDst
    );
    match id {
        FieldId::InPort => port().prop_map(|p| MatchField::exact(FieldId::InPort, p.0.into())).boxed(),
        FieldId::VlanVid if tlv || version >= Version::V12 => prop_oneof![
            2 => (0..4096_u128).prop_map(|v| MatchField::exact(FieldId::VlanVid, v | 0x1000)),
            1 => Just(MatchField::exact(FieldId::VlanVid, 0)),
            1 => Just(MatchField::masked(FieldId::VlanVid, 0x1000, 0x1000)),
            1 => (0..4096_u128, 1..0xfff_u128).prop_map(|(v, m)| MatchField::masked(FieldId::VlanVid, v & m | 0x1000, m | 0x1000)),
        ]
        .boxed(),
        FieldId::VlanVid => prop_oneof![
            (0..4096_u128).prop_map(|v| MatchField::exact(FieldId::VlanVid, v | 0x1000)),
            Just(MatchField::exact(FieldId::VlanVid, 0)),
        ]
        .boxed(),
        FieldId::VlanTci => (0..0x2000_u128)
            .prop_map(|v| MatchField::exact(FieldId::VlanTci, (v & 0xfff) | (v >> 12 << 13) | 0x1000))
            .boxed(),
        FieldId::IpTos => (0..64_u128).prop_map(|v| MatchField::exact(FieldId::IpTos, v << 2)).boxed(),
        FieldId::IpFrag => prop::sample::select(vec![
            MatchField::exact(FieldId::IpFrag, 0), MatchField::exact(FieldId::IpFrag, 1), MatchField::exact(FieldId::IpFrag, 3),
            MatchField::masked(FieldId::IpFrag, 1, 1), MatchField::masked(FieldId::IpFrag, 0, 2),
        ]).boxed(),
        FieldId::CtState => (1..256_u128, any::<u128>())
            .prop_map(|(m, v)| MatchField::masked(FieldId::CtState, v & m, m))
            .boxed(),
        // Only the flag "OAM" exists.
        FieldId::TunFlags => prop::sample::select(vec![0_u128, 1]).prop_map(|v| MatchField::masked(FieldId::TunFlags, v, 1)).boxed(),
        _ if !info.maskable || (!tlv && (version == Version::V10 || ports)) => exact.boxed(),
        _ => {
            let masked = (any::<u128>(), any::<u128>()).prop_map(move |(v, m)| match m & all {
                0 => MatchField::exact(id, v & all),
                m if m == all => MatchField::exact(id, v & all),
                m => MatchField::masked(id, v & m, m),
            });
            let prefix = (any::<u128>(), 1..info.bits).prop_map(move |(v, n)| {
                let m = all & !(all >> n);
                MatchField::masked(id, v & m, m)
            });
            prop_oneof![2 => exact, 1 => masked, 1 => prefix].boxed()
        }
    }
}

/// The order in which a fixed match is read.
fn fixed_order(id: FieldId) -> u8 {
    use FieldId as F;
    match id {
        F::InPort => 0,
        F::EthType => 1,
        F::VlanVid => 2,
        F::VlanPcp => 3,
        F::Metadata => 4,
        F::EthSrc => 5,
        F::EthDst => 6,
        F::Ipv4Src | F::ArpSpa => 7,
        F::Ipv4Dst | F::ArpTpa => 8,
        F::IpProto => 9,
        F::IpDscp => 10,
        F::TcpSrc | F::UdpSrc | F::SctpSrc | F::Icmpv4Type | F::ArpOp | F::MplsLabel => 11,
        _ => 12,
    }
}

/// A match, and what it selects. With `tlv`, in the TLVs of Nicira's structures in 1.0 and 1.1 too.
pub(super) fn matching(version: Version, tlv: bool) -> BoxedStrategy<(Match, Stack)> {
    let tlv = tlv || version >= Version::V12;
    let mut kinds = stacks(version);
    if tlv {
        kinds.extend(stacks(Version::V12));
    }
    prop::sample::select(kinds)
        .prop_flat_map(move |stack| {
            let ids: Vec<FieldId> = FIELDS.iter().filter(|f| sayable(f, &stack, version, tlv)).map(|f| f.id).collect();
            // Those that go with the protocol, beside the many that go with any.
            let (free, own): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.info().prereq == Prereq::None);
            let (n, m) = (own.len(), free.len());
            (
                Just(stack),
                prop::sample::subsequence(own, 0..=n.min(4)),
                prop::sample::subsequence(free, 0..=m.min(4)),
                0..8_u128,
                any::<bool>(),
            )
        })
        .prop_flat_map(move |(stack, own, free, pcp, with_pcp)| {
            let mut seen = Vec::new();
            let fields: Vec<_> = free
                .into_iter()
                .chain(own)
                .filter(|id| {
                    let fresh = !seen.contains(&family(*id));
                    seen.push(family(*id));
                    fresh
                })
                .map(|id| value(id, version, tlv))
                .collect();
            (Just(stack), fields, Just((pcp, with_pcp)))
        })
        .prop_map(move |(mut stack, mut fields, (pcp, with_pcp))| {
            let vid = fields.iter().find(|f| f.id == FieldId::VlanVid);
            stack.tagged = vid.is_some_and(|f| f.value & 0x1000 != 0);
            let kept: Vec<MatchField> = std::mem::take(&mut fields);
            let (free, own): (Vec<_>, Vec<_>) = kept.into_iter().partition(|f| f.id.info().prereq == Prereq::None);
            fields.extend(free);
            if stack.tagged && with_pcp && (!tlv || version >= Version::V12) {
                fields.push(MatchField::exact(FieldId::VlanPcp, pcp));
            }
            let fixed = [
                (FieldId::EthType, stack.eth_type.map(u128::from)),
                (FieldId::IpProto, stack.ip_proto.map(u128::from)),
                (FieldId::Icmpv6Type, stack.icmpv6_type.map(u128::from)),
            ];
            fields.extend(fixed.into_iter().filter_map(|(id, v)| Some(MatchField::exact(id, v?))));
            fields.extend(own);
            if !tlv {
                fields.sort_by_key(|f| fixed_order(f.id));
            }
            (Match::new(fields), stack)
        })
        .boxed()
}

/// Bits of a register.
fn register(most: u16) -> BoxedStrategy<Subfield> {
    use FieldId as F;
    let ids = vec![F::Reg0, F::Reg3, F::Reg7, F::TunnelId, F::EthSrc, F::Xxreg1];
    (prop::sample::select(ids), any::<[u16; 2]>())
        .prop_map(move |(id, [a, b])| {
            let bits = id.info().bits;
            let offset = a % bits;
            Subfield { field: OxmId::of(id), offset, n_bits: 1 + b % (bits - offset).min(most) }
        })
        .boxed()
}

fn learn() -> BoxedStrategy<NxAction> {
    let immediate = (register(32), any::<u32>()).prop_map(|(dst, v)| {
        let n = dst.n_bits;
        let v = if n == 32 { v } else { v & ((1 << n) - 1) };
        let len = usize::from(n.div_ceil(16)) * 2;
        (LearnSource::Immediate(Bytes::copy_from_slice(&v.to_be_bytes()[4 - len..])), dst, n)
    });
    let copied = register(32).prop_map(|dst| {
        let n = dst.n_bits;
        (LearnSource::Field(Subfield { field: OxmId::of(FieldId::Reg1), offset: 0, n_bits: n }), dst, n)
    });
    let spec = (prop_oneof![immediate, copied], 0..3).prop_map(|((src, dst, n_bits), kind)| match (kind, src) {
        (0, src) => LearnSpec::Match { src, dst, n_bits },
        (1, src) => LearnSpec::Load { src, dst, n_bits },
        (_, LearnSource::Field(s)) => LearnSpec::Output { src: LearnSource::Field(s), n_bits },
        (_, src) => LearnSpec::Load { src, dst, n_bits },
    });
    (any::<[u16; 5]>(), any::<u64>(), 0..4_u16, 0..254_u8, vec(spec, 0..4))
        .prop_map(|(n, cookie, flags, table, specs)| {
            NxAction::Learn(Box::new(Learn {
                idle_timeout: n[0],
                hard_timeout: n[1],
                priority: n[2],
                cookie: Cookie(cookie),
                flags,
                table: TableId(table),
                fin_idle_timeout: n[3],
                fin_hard_timeout: n[4],
                limit: None,
                specs,
            }))
        })
        .boxed()
}

/// Nicira's actions that stand in any flow; in 1.0 those too for which later versions have their own.
fn nicira(version: Version) -> BoxedStrategy<NxAction> {
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
        (0..2_u16, any::<u16>(), 0..2_u16, vec((1..0xff00_u32).prop_map(PortNo), 1..4))
            .prop_map(|(fields, basis, algorithm, members)| NxAction::Bundle {
                algorithm,
                fields,
                basis,
                slave_type: 2,
                members,
                dst: None,
            })
            .boxed(),
        (register(32), any::<u16>()).prop_map(|(src, max_len)| NxAction::OutputReg { src, max_len, v2: false }).boxed(),
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
        (1_u16.., any::<[u32; 3]>())
            .prop_map(|(probability, n)| NxAction::Sample {
                probability,
                collector_set_id: n[0],
                obs_domain_id: n[1],
                obs_point_id: n[2],
                sampling_port: None,
                direction: None,
            })
            .boxed(),
        learn(),
        (0..2_u16, any::<u16>(), 0..254_u8)
            .prop_map(|(flags, zone, table)| NxAction::Ct {
                flags,
                zone: Ok(zone),
                recirc_table: TableId(table),
                alg: 0,
                actions: vec![],
            })
            .boxed(),
        (any::<u16>(), 1..3_u16, any::<u32>(), prop::option::of(1..u16::MAX))
            .prop_map(|(zone, flags, address, port)| NxAction::Ct {
                flags: 1,
                zone: Ok(zone),
                recirc_table: TableId(0xff),
                alg: 0,
                actions: vec![Action::Nicira(NxAction::Nat(Nat {
                    flags,
                    ipv4_min: Some(address),
                    proto_min: port,
                    ..Nat::default()
                }))],
            })
            .boxed(),
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
        all.push(
            (register(32), 0..96_u16)
                .prop_map(|(dst, src_offset)| NxAction::RegMove {
                    n_bits: dst.n_bits,
                    src_offset,
                    dst_offset: dst.offset,
                    src: OxmId::of(FieldId::Xxreg0),
                    dst: dst.field,
                })
                .boxed(),
        );
        all.push(
            (register(64), any::<u64>())
                .prop_map(|(dst, v)| {
                    let value = if dst.n_bits == 64 { v } else { v & ((1 << dst.n_bits) - 1) };
                    NxAction::RegLoad { dst, value }
                })
                .boxed(),
        );
    }
    if version == Version::V10 {
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
        (3, nicira(version).prop_map(Action::Nicira).boxed()),
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
        all.push((
            1,
            (register(32), 0..96_u16)
                .prop_map(|(dst, src_offset)| Action::CopyField {
                    n_bits: dst.n_bits,
                    src_offset,
                    dst_offset: dst.offset,
                    src: OxmId::of(FieldId::Xxreg0),
                    dst: dst.field,
                })
                .boxed(),
        ));
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
    }
    if stack.tagged && !v10 {
        tails.push(Just(vec![Action::PopVlan]).boxed());
    }
    if stack.holds.contains(&Prereq::Mpls) && !v10 {
        tails.push(Just(vec![Action::PopMpls(0x0800)]).boxed());
        tails.push(Just(vec![Action::CopyTtlIn]).boxed());
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
    let trigger = (1..4_u32, any::<u64>())
        .prop_map(|(flags, n)| Instruction::StatTrigger { flags, thresholds: vec![FlowStat::PacketCount(n)] });
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
