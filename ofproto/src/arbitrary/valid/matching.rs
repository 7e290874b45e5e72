//! Matches that [`crate::validate`] accepts, in the form that decoding gives.

use crate::arbitrary::field_bits::{masked, prefix};
use crate::field::{Code, FIELDS, FieldId, FieldInfo, Prereq};
use crate::ids::{GroupId, MeterId, PortNo};
use crate::matching::{Match, MatchField};
use crate::version::Version;
use crate::wire::field_code;
use proptest::prelude::*;

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
    pub(super) holds: Vec<Prereq>,
    pub(super) tagged: bool,
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
            stack(0x894f, 0, 0, &[P::Nsh]),
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
        F::EthType | F::IpProto | F::VlanPcp | F::ActsetOutput | F::PacketType | F::InPhyPort
    );
    let ct = (F::CtNwProto as u8..=F::CtTpDst as u8).contains(&(info.id as u8));
    let taken = info.id == F::Icmpv6Type && stack.icmpv6_type.is_some();
    let holds = info.prereq == Prereq::None || stack.holds.contains(&info.prereq);
    // Of a tracked connection, which the stack doesn't say.
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
pub(super) fn value(id: FieldId, version: Version, tlv: bool) -> BoxedStrategy<MatchField> {
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
        // As RFC 8300 has them: six bits of TTL, two ways with metadata.
        FieldId::NshTtl => (0..64_u128).prop_map(|v| MatchField::exact(FieldId::NshTtl, v)).boxed(),
        FieldId::NshMdtype => (1..3_u128).prop_map(|v| MatchField::exact(FieldId::NshMdtype, v)).boxed(),
        FieldId::CtState => (1..256_u128, any::<u128>())
            .prop_map(|(m, v)| MatchField::masked(FieldId::CtState, v & m, m))
            .boxed(),
        // Only the flag "OAM" exists.
        FieldId::TunFlags => prop::sample::select(vec![0_u128, 1]).prop_map(|v| MatchField::masked(FieldId::TunFlags, v, 1)).boxed(),
        _ if !info.maskable || (!tlv && (version == Version::V10 || ports)) => exact.boxed(),
        _ => prop_oneof![2 => exact, 1 => masked(id), 1 => prefix(id)].boxed(),
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

/// The original tuple of a tracked TCP connection over the stack's version of IP.
fn tracked(stack: &Stack, [src, dst, ports]: [u128; 3], beside: &[MatchField]) -> Vec<MatchField> {
    use FieldId as F;
    let (from, to) = match stack.eth_type {
        Some(0x0800) => (F::CtNwSrc, F::CtNwDst),
        Some(0x86dd) => (F::CtIpv6Src, F::CtIpv6Dst),
        _ => return Vec::new(),
    };
    // OFPCS_TRACKED and ESTABLISHED
    let state = MatchField::masked(F::CtState, 0x22, 0x22);
    let state = Some(state).filter(|_| !beside.iter().any(|f| f.id == F::CtState));
    let exact = |id: FieldId, n: u128| MatchField::exact(id, n & id.info().all_ones());
    let rest = [
        exact(from, src),
        exact(to, dst),
        exact(F::CtNwProto, 6),
        exact(F::CtTpSrc, ports),
        exact(F::CtTpDst, ports >> 16),
    ];
    match state {
        Some(state) => std::iter::once(state).chain(rest).collect(),
        None => Vec::new(),
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
                (0..8_u128, any::<bool>()),
                prop::option::weighted(0.1, any::<[u128; 3]>()),
            )
        })
        .prop_flat_map(move |(stack, own, free, pcp, tuple)| {
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
            (Just(stack), fields, Just(pcp), Just(tuple))
        })
        .prop_map(move |(mut stack, mut fields, (pcp, with_pcp), tuple)| {
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
            if tlv && let Some(numbers) = tuple {
                fields.extend(tracked(&stack, numbers, &fields));
            }
            if !tlv {
                fields.sort_by_key(|f| fixed_order(f.id));
            }
            (Match::new(fields), stack)
        })
        .boxed()
}
