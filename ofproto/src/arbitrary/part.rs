//! Parts of messages: bytes, properties, matches, actions, instructions.

use crate::action::Action;
use crate::field::{Code, FIELDS};
use crate::group::{ExperimenterProp, OtherProp, UnknownProp};
use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField, OxmId, UnknownField};
use crate::monitor::{FlowUpdate, FlowUpdateEvent};
use crate::port::{PortStats, PortStatsProp};
use crate::stats::{FlowDesc, FlowStat, FlowStats};
use crate::version::Version;
use crate::wire::field_code;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

/// Up to `most` bytes.
pub(super) fn bytes(most: usize) -> BoxedStrategy<Bytes> {
    vec(any::<u8>(), 0..=most).prop_map(Bytes::from).boxed()
}

/// `least` bytes and a multiple of 8 more, as bodies need that are padded to 8 with their header.
fn eights(least: usize) -> BoxedStrategy<Bytes> {
    (0..4usize).prop_flat_map(move |n| vec(any::<u8>(), least + 8 * n)).prop_map(Bytes::from).boxed()
}

/// An experimenter that no codec knows.
fn experimenter() -> BoxedStrategy<ExperimenterId> {
    (0x0100_0000..0x4000_0000_u32).prop_map(ExperimenterId).boxed()
}

/// A property beyond the model.
pub(super) fn other() -> BoxedStrategy<OtherProp> {
    prop_oneof![
        (experimenter(), any::<u32>(), bytes(13)).prop_map(|(experimenter, exp_type, data)| {
            OtherProp::Experimenter(ExperimenterProp { ty: 0xffff, experimenter, exp_type, data })
        }),
        (0x100..0xfff0_u16, bytes(13)).prop_map(|(ty, data)| OtherProp::Unknown(UnknownProp { ty, data })),
    ]
    .boxed()
}

/// A few of them.
pub(super) fn others() -> BoxedStrategy<Vec<OtherProp>> {
    vec(other(), 0..3).boxed()
}

/// A field with a value in its range and perhaps a mask.
pub(super) fn field(version: Version) -> BoxedStrategy<MatchField> {
    let sayable: Vec<_> = FIELDS.iter().filter(|f| field_code(f.id, version).is_some()).map(|f| f.id).collect();
    (prop::sample::select(sayable), any::<u128>(), prop::option::of(any::<u128>()), any::<bool>())
        .prop_map(move |(id, value, mask, nicira)| {
            let info = id.info();
            let ones = info.all_ones();
            // Nicira's header form of a standard field, which every version takes. (Its in_port is
            // narrower than the values here.)
            let nxm = info.codes.iter().copied().find(|c| matches!(c, Code::Nxm0(1..) | Code::Nxm1(_)));
            let code = nxm.filter(|c| nicira && field_code(id, version) != Some(*c));
            MatchField { id, value: value & ones, mask: mask.map(|m| m & ones), code }
        })
        .boxed()
}

fn unknown_field() -> BoxedStrategy<UnknownField> {
    (0x0002..0x7fff_u16, 0..128u8, any::<bool>(), prop::option::of(experimenter()), bytes(30))
        .prop_map(|(class, field, has_mask, experimenter, payload)| UnknownField {
            class: if experimenter.is_some() { 0xffff } else { class },
            field,
            has_mask,
            experimenter,
            payload,
        })
        .boxed()
}

/// Any match.
pub fn matching(version: Version) -> BoxedStrategy<Match> {
    (vec(field(version), 0..6), vec((0..7usize, unknown_field()), 0..2))
        .prop_map(|(fields, mut unknown)| {
            for (at, _) in &mut unknown {
                *at = (*at).min(fields.len());
            }
            unknown.sort_by_key(|(at, _)| *at);
            Match { fields, unknown, fixed: None }
        })
        .boxed()
}

/// A field's id.
pub(super) fn oxm_id(version: Version) -> BoxedStrategy<OxmId> {
    let unknown = (unknown_field(), any::<u8>()).prop_map(|(u, length)| OxmId {
        has_mask: u.has_mask,
        field: Err(UnknownField { payload: Bytes::new(), ..u }),
        code: None,
        length: Some(length),
    });
    let known = (field(version), any::<bool>()).prop_map(|(f, has_mask)| OxmId { has_mask, ..OxmId::of(f.id) });
    prop_oneof![4 => known, 1 => unknown].boxed()
}

/// A few of them.
pub(super) fn oxm_ids(version: Version) -> BoxedStrategy<Vec<OxmId>> {
    vec(oxm_id(version), 0..5).boxed()
}

fn action(version: Version) -> BoxedStrategy<Action> {
    let mut all: Vec<BoxedStrategy<Action>> = vec![
        (any::<u32>(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port: PortNo(port), max_len }).boxed(),
        any::<u32>().prop_map(|n| Action::Group(GroupId(n))).boxed(),
        any::<u32>().prop_map(|n| Action::SetQueue(QueueId(n))).boxed(),
        any::<u16>().prop_map(Action::PushVlan).boxed(),
        any::<u16>().prop_map(Action::PushMpls).boxed(),
        any::<u16>().prop_map(Action::PopMpls).boxed(),
        any::<u16>().prop_map(Action::PushPbb).boxed(),
        any::<u8>().prop_map(Action::SetMplsTtl).boxed(),
        any::<u8>().prop_map(Action::SetNwTtl).boxed(),
        prop::sample::select(vec![
            Action::PopVlan,
            Action::PopPbb,
            Action::CopyTtlOut,
            Action::CopyTtlIn,
            Action::DecMplsTtl,
            Action::DecNwTtl,
        ])
        .boxed(),
        field(version).prop_map(Action::SetField).boxed(),
        unknown_field().prop_map(Action::SetUnknownField).boxed(),
        (experimenter(), eights(0))
            .prop_map(|(experimenter, data)| Action::Experimenter { experimenter, data })
            .boxed(),
        (100..0xfff0_u16, eights(4)).prop_map(|(ty, data)| Action::Unknown { ty, data }).boxed(),
    ];
    if version >= Version::V15 {
        all.push(any::<u32>().prop_map(|n| Action::Meter(MeterId(n))).boxed());
        all.push(
            (any::<[u16; 3]>(), oxm_id(version), oxm_id(version))
                .prop_map(|([n_bits, src_offset, dst_offset], src, dst)| Action::CopyField {
                    n_bits,
                    src_offset,
                    dst_offset,
                    src,
                    dst,
                })
                .boxed(),
        );
    }
    proptest::strategy::Union::new(all).boxed()
}

/// Any action list.
pub fn actions(version: Version) -> BoxedStrategy<Vec<Action>> {
    vec(action(version), 0..5).boxed()
}

/// Any instructions.
pub fn instructions(version: Version) -> BoxedStrategy<Vec<Instruction>> {
    let mut all: Vec<BoxedStrategy<Instruction>> = vec![
        any::<u8>().prop_map(|n| Instruction::GotoTable(TableId(n))).boxed(),
        (any::<u64>(), any::<u64>()).prop_map(|(metadata, mask)| Instruction::WriteMetadata { metadata, mask }).boxed(),
        actions(version).prop_map(Instruction::WriteActions).boxed(),
        actions(version).prop_map(Instruction::ApplyActions).boxed(),
        Just(Instruction::ClearActions).boxed(),
        (experimenter(), eights(0))
            .prop_map(|(experimenter, data)| Instruction::Experimenter { experimenter, data })
            .boxed(),
        (100..0xfff0_u16, eights(4)).prop_map(|(ty, data)| Instruction::Unknown { ty, data }).boxed(),
    ];
    if version < Version::V15 {
        all.push(any::<u32>().prop_map(|n| Instruction::Meter(MeterId(n))).boxed());
    } else {
        all.push(
            (any::<u32>(), stat_list())
                .prop_map(|(flags, thresholds)| Instruction::StatTrigger { flags, thresholds })
                .boxed(),
        );
    }
    vec(proptest::strategy::Union::new(all), 0..4).boxed()
}

/// Any OXS list.
fn stat_list() -> BoxedStrategy<Vec<FlowStat>> {
    let stat = prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(a, b)| FlowStat::Duration(a, b)),
        (any::<u32>(), any::<u32>()).prop_map(|(a, b)| FlowStat::IdleTime(a, b)),
        any::<u32>().prop_map(FlowStat::FlowCount),
        any::<u64>().prop_map(FlowStat::PacketCount),
        any::<u64>().prop_map(FlowStat::ByteCount),
        (0..0x8000_u16, any::<u8>(), bytes(9)).prop_map(|(c, f, d)| FlowStat::Unknown(c, f, d)),
    ];
    vec(stat, 0..5).boxed()
}

/// A flow's statistics as the version counts them; 1.5 may list others.
pub(super) fn flow_stats(version: Version) -> BoxedStrategy<FlowStats> {
    let usual = (any::<[u32; 2]>(), any::<[u64; 2]>(), prop::option::of(any::<(u32, u32)>())).prop_map(
        move |([duration_sec, duration_nsec], [packet_count, byte_count], idle)| FlowStats {
            duration_sec,
            duration_nsec,
            packet_count,
            byte_count,
            idle: idle.filter(|_| version >= Version::V15),
            oxs: None,
        },
    );
    if version < Version::V15 {
        return usual.boxed();
    }
    let unusual =
        any::<u32>().prop_map(|n| FlowStats { oxs: Some(vec![FlowStat::FlowCount(n)]), ..FlowStats::default() });
    prop_oneof![3 => usual, 1 => unusual].boxed()
}

/// A change of a flow as a monitor tells it in full.
pub(super) fn full_update(event: FlowUpdateEvent, f: FlowDesc) -> FlowUpdate {
    FlowUpdate::Full {
        event,
        table: f.table,
        idle_timeout: f.idle_timeout,
        hard_timeout: f.hard_timeout,
        priority: f.priority,
        cookie: f.cookie,
        matching: f.matching,
        instructions: f.instructions,
    }
}

/// A port's statistics of its number and age, what it counted, and the rest.
pub(super) fn port_counts(n: [u32; 3], c: [u64; 8], properties: Vec<PortStatsProp>) -> PortStats {
    PortStats {
        port_no: PortNo(n[0]),
        duration_sec: n[1],
        duration_nsec: n[2],
        rx_packets: c[0],
        tx_packets: c[1],
        rx_bytes: c[2],
        tx_bytes: c[3],
        rx_dropped: c[4],
        tx_dropped: c[5],
        rx_errors: c[6],
        tx_errors: c[7],
        properties,
    }
}
