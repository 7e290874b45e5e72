//! Bodies of messages and of multiparts.

use super::part::{actions, bytes, field, flow_stats, instructions, matching, other, others, oxm_ids};
use crate::bundle::{BundleFeatures, BundleFeaturesProp, OfTime};
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupProp, GroupStats, GroupType,
    MethodName, SelectionMethod,
};
use crate::ids::{
    BucketId, BufferId, Cookie, ExperimenterId, GroupId, MacAddr, MeterId, MonitorId, PortNo, QueueId, TableId, Xid,
};
use crate::matching::Match;
use crate::message::{Multipart, MultipartReply, MultipartRequest};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::packet::{PacketIn, PacketInReason, PacketOut};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortReason, PortState, PortStats, PortStatsProp, PortStatus,
};
use crate::queue::{QueueDesc, QueueProp, QueueStats};
use crate::stats::{AggregateStats, FlowDesc, FlowStat, FlowStatsEntry, FlowStatsRequest, SwitchDesc};
use crate::table::{
    FeatureId, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp, TableStats, TableStatus,
};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

fn flow_mod_command() -> BoxedStrategy<FlowModCommand> {
    use FlowModCommand::*;
    prop_oneof![
        prop::sample::select(vec![Add, Modify, ModifyStrict, Delete, DeleteStrict]),
        (5..256u16).prop_map(Unknown)
    ]
    .boxed()
}

pub(super) fn flow_mod(version: Version) -> BoxedStrategy<FlowMod> {
    let later = version >= Version::V14;
    (
        any::<[u64; 2]>(),
        (any::<u8>(), flow_mod_command(), any::<[u16; 4]>(), 0..0x8000u16),
        any::<[u32; 3]>(),
        matching(version),
        instructions(version),
    )
        .prop_map(move |(c, (table, command, t, flags), ids, matching, instructions)| FlowMod {
            cookie: Cookie(c[0]),
            cookie_mask: c[1],
            table: TableId(table),
            command,
            idle_timeout: t[0],
            hard_timeout: t[1],
            priority: t[2],
            buffer_id: BufferId(ids[0]),
            out_port: PortNo(ids[1]),
            out_group: GroupId(ids[2]),
            flags: FlowModFlags::from_bits_retain(flags),
            importance: if later { t[3] } else { 0 },
            matching,
            instructions,
        })
        .boxed()
}

fn removed_reason(version: Version) -> BoxedStrategy<FlowRemovedReason> {
    use FlowRemovedReason::*;
    let mut all = vec![IdleTimeout, HardTimeout, Delete, GroupDelete, Eviction, Unknown(77)];
    if version >= Version::V14 {
        all.push(MeterDelete);
    }
    prop::sample::select(all).boxed()
}

pub(super) fn flow_removed(version: Version) -> BoxedStrategy<FlowRemoved> {
    (any::<u64>(), any::<[u16; 3]>(), removed_reason(version), any::<u8>(), flow_stats(version), matching(version))
        .prop_map(|(cookie, t, reason, table, stats, matching)| FlowRemoved {
            cookie: Cookie(cookie),
            priority: t[0],
            reason,
            table: TableId(table),
            idle_timeout: t[1],
            hard_timeout: t[2],
            stats,
            matching,
        })
        .boxed()
}

pub(super) fn packet_in(version: Version) -> BoxedStrategy<PacketIn> {
    use PacketInReason::*;
    let mut reasons = vec![TableMiss, ApplyAction, InvalidTtl, Other(99)];
    if version >= Version::V14 {
        reasons.extend([ActionSet, Group, PacketOut]);
    }
    let reason = prop::sample::select(reasons);
    (any::<u32>(), any::<u16>(), reason, any::<u8>(), any::<u64>(), matching(version), bytes(100))
        .prop_map(|(buffer, total_len, reason, table, cookie, matching, data)| PacketIn {
            buffer_id: BufferId(buffer),
            total_len,
            reason,
            table: TableId(table),
            cookie: Cookie(cookie),
            matching,
            data,
        })
        .boxed()
}

pub(super) fn packet_out(version: Version) -> BoxedStrategy<PacketOut> {
    let matching = if version >= Version::V15 {
        matching(version)
    } else {
        any::<u32>().prop_map(|p| Match::any().with(FieldId::InPort, p.into())).boxed()
    };
    (any::<u32>(), matching, actions(version), bytes(100))
        .prop_map(|(buffer, matching, actions, data)| PacketOut {
            buffer_id: BufferId(buffer),
            matching,
            actions,
            data,
        })
        .boxed()
}

fn group_type() -> BoxedStrategy<GroupType> {
    use GroupType::*;
    prop::sample::select(vec![All, Select, Indirect, FastFailover, Unknown(9)]).boxed()
}

fn bucket(version: Version) -> BoxedStrategy<Bucket> {
    let later = version >= Version::V15;
    (any::<u32>(), any::<u16>(), any::<[u32; 2]>(), actions(version), others())
        .prop_map(move |(id, weight, watch, actions, other)| Bucket {
            id: later.then_some(BucketId(id)),
            weight,
            watch_port: PortNo(watch[0]),
            watch_group: GroupId(watch[1]),
            actions,
            other: if later { other } else { Vec::new() },
        })
        .boxed()
}

fn group_props(version: Version) -> BoxedStrategy<Vec<GroupProp>> {
    let name = prop_oneof![Just(MethodName::HASH), Just(MethodName::DP_HASH), any::<[u8; 16]>().prop_map(MethodName)];
    let experimenter = prop::sample::select(vec![ExperimenterId::NETRONOME, ExperimenterId::NETRONOME_COMPAT]);
    let selection =
        (experimenter, name, any::<u64>(), matching(version)).prop_map(|(experimenter, method, param, fields)| {
            GroupProp::Selection(SelectionMethod { experimenter, method, param, fields })
        });
    vec(prop_oneof![other().prop_map(GroupProp::Other), selection], 0..3).boxed()
}

pub(super) fn group_mod(version: Version) -> BoxedStrategy<GroupMod> {
    use GroupModCommand::*;
    let later = version >= Version::V15;
    let mut commands = vec![Add, Modify, Delete, AddOrMod, Unknown(77)];
    if later {
        commands.extend([InsertBucket, RemoveBucket]);
    }
    let command = prop::sample::select(commands);
    (command, group_type(), any::<[u32; 2]>(), vec(bucket(version), 0..4), group_props(version))
        .prop_map(move |(command, ty, ids, buckets, properties)| GroupMod {
            command,
            ty,
            group: GroupId(ids[0]),
            command_bucket: if later { BucketId(ids[1]) } else { BucketId::ALL },
            buckets,
            properties: if later { properties } else { Vec::new() },
        })
        .boxed()
}

fn group_desc(version: Version) -> BoxedStrategy<GroupDesc> {
    group_mod(version)
        .prop_map(|m| GroupDesc { ty: m.ty, group: m.group, buckets: m.buckets, properties: m.properties })
        .boxed()
}

fn bands() -> BoxedStrategy<Vec<Band>> {
    let eights = (0..3usize).prop_flat_map(|n| vec(any::<u8>(), 8 * n));
    let action = prop_oneof![
        Just(BandAction::Drop),
        any::<u8>().prop_map(|prec_level| BandAction::DscpRemark { prec_level }),
        (any::<u32>(), eights)
            .prop_map(|(id, data)| BandAction::Experimenter { experimenter: ExperimenterId(id), data: data.into() }),
        (3..100u16, any::<[u8; 4]>()).prop_map(|(ty, data)| BandAction::Unknown { ty, data: data.to_vec().into() }),
    ];
    vec((any::<[u32; 2]>(), action).prop_map(|(n, action)| Band { rate: n[0], burst_size: n[1], action }), 0..4).boxed()
}

pub(super) fn meter_mod() -> BoxedStrategy<MeterMod> {
    use MeterModCommand::*;
    (prop::sample::select(vec![Add, Modify, Delete, Unknown(77)]), any::<u16>(), any::<u32>(), bands())
        .prop_map(|(command, flags, meter, bands)| MeterMod {
            command,
            flags: MeterFlags::from_bits_retain(flags),
            meter: MeterId(meter),
            bands,
        })
        .boxed()
}

fn ethernet() -> BoxedStrategy<EthernetPort> {
    any::<[u32; 6]>()
        .prop_map(|n| {
            let features = PortFeatures::from_bits_retain;
            EthernetPort {
                curr: features(n[0]),
                advertised: features(n[1]),
                supported: features(n[2]),
                peer: features(n[3]),
                curr_speed: n[4],
                max_speed: n[5],
            }
        })
        .boxed()
}

fn port(version: Version) -> BoxedStrategy<Port> {
    let optical = (any::<[u32; 7]>(), any::<[u16; 2]>()).prop_map(|(n, p)| {
        PortDescProp::Optical(OpticalPort {
            supported: n[0],
            tx_min_freq_lmda: n[1],
            tx_max_freq_lmda: n[2],
            tx_grid_freq_lmda: n[3],
            rx_min_freq_lmda: n[4],
            rx_max_freq_lmda: n[5],
            rx_grid_freq_lmda: n[6],
            tx_pwr_min: p[0],
            tx_pwr_max: p[1],
        })
    });
    let ethernet = ethernet().prop_map(PortDescProp::Ethernet);
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        let mut all = vec![ethernet.boxed(), optical.boxed(), other().prop_map(PortDescProp::Other).boxed()];
        if version >= Version::V15 {
            all.push(oxm_ids(version).prop_map(PortDescProp::PipelineInput).boxed());
            all.push(oxm_ids(version).prop_map(PortDescProp::PipelineOutput).boxed());
            let ports = vec(any::<u32>().prop_map(PortNo), 0..4);
            all.push(ports.prop_map(PortDescProp::Recirculate).boxed());
        }
        vec(Union::new(all), 0..4).boxed()
    };
    (any::<[u32; 3]>(), any::<[u8; 6]>(), "[a-z0-9]{0,15}", properties)
        .prop_map(|(n, mac, name, properties)| Port {
            port_no: PortNo(n[0]),
            hw_addr: MacAddr(mac),
            name,
            config: PortConfig::from_bits_retain(n[1]),
            state: PortState::from_bits_retain(n[2]),
            properties,
        })
        .boxed()
}

pub(super) fn port_status(version: Version) -> BoxedStrategy<PortStatus> {
    use PortReason::*;
    (prop::sample::select(vec![Add, Delete, Modify, Unknown(9)]), port(version))
        .prop_map(|(reason, port)| PortStatus { reason, port })
        .boxed()
}

pub(super) fn port_mod(version: Version) -> BoxedStrategy<PortMod> {
    let ethernet = any::<u32>().prop_map(|n| PortModProp::Ethernet(PortFeatures::from_bits_retain(n)));
    let optical = any::<[u32; 5]>().prop_map(|n| {
        PortModProp::Optical(OpticalPortMod {
            configure: n[0],
            freq_lmda: n[1],
            fl_offset: n[2].cast_signed(),
            grid_span: n[3],
            tx_pwr: n[4],
        })
    });
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        vec(prop_oneof![ethernet, optical, other().prop_map(PortModProp::Other)], 0..3).boxed()
    };
    (any::<[u32; 3]>(), any::<[u8; 6]>(), properties)
        .prop_map(|(n, mac, properties)| PortMod {
            port_no: PortNo(n[0]),
            hw_addr: MacAddr(mac),
            config: PortConfig::from_bits_retain(n[1]),
            mask: PortConfig::from_bits_retain(n[2]),
            properties,
        })
        .boxed()
}

fn port_stats(version: Version) -> BoxedStrategy<PortStats> {
    let ethernet = any::<[u64; 4]>().prop_map(|n| {
        PortStatsProp::Ethernet(EthernetStats {
            rx_frame_err: n[0],
            rx_over_err: n[1],
            rx_crc_err: n[2],
            collisions: n[3],
        })
    });
    let optical = (any::<[u32; 7]>(), any::<[u16; 4]>()).prop_map(|(n, m)| {
        PortStatsProp::Optical(OpticalStats {
            flags: n[0],
            tx_freq_lmda: n[1],
            tx_offset: n[2],
            tx_grid_span: n[3],
            rx_freq_lmda: n[4],
            rx_offset: n[5],
            rx_grid_span: n[6],
            tx_pwr: m[0],
            rx_pwr: m[1],
            bias_current: m[2],
            temperature: m[3],
        })
    });
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        vec(prop_oneof![ethernet, optical, other().prop_map(PortStatsProp::Other)], 0..3).boxed()
    };
    (any::<[u32; 3]>(), any::<[u64; 8]>(), properties)
        .prop_map(|(n, c, properties)| PortStats {
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
        })
        .boxed()
}

pub(super) fn queue_desc(version: Version) -> BoxedStrategy<QueueDesc> {
    let _ = version;
    let prop = prop_oneof![
        any::<u16>().prop_map(QueueProp::MinRate),
        any::<u16>().prop_map(QueueProp::MaxRate),
        other().prop_map(QueueProp::Other)
    ];
    (any::<[u32; 2]>(), vec(prop, 0..4))
        .prop_map(|(n, properties)| QueueDesc { port: PortNo(n[0]), queue: QueueId(n[1]), properties })
        .boxed()
}

fn queue_stats(version: Version) -> BoxedStrategy<QueueStats> {
    (any::<[u32; 4]>(), any::<[u64; 3]>(), others())
        .prop_map(move |(n, c, properties)| QueueStats {
            port: PortNo(n[0]),
            queue: QueueId(n[1]),
            tx_bytes: c[0],
            tx_packets: c[1],
            tx_errors: c[2],
            duration_sec: n[2],
            duration_nsec: n[3],
            properties: if version >= Version::V14 { properties } else { Vec::new() },
        })
        .boxed()
}

fn table_props() -> BoxedStrategy<Vec<TableModProp>> {
    vec(
        prop_oneof![
            any::<u32>().prop_map(TableModProp::Eviction),
            any::<[u8; 3]>().prop_map(|[down, up, vacancy]| TableModProp::Vacancy { down, up, vacancy }),
            other().prop_map(TableModProp::Other)
        ],
        0..3,
    )
    .boxed()
}

pub(super) fn table_mod(version: Version) -> BoxedStrategy<TableMod> {
    (any::<u8>(), any::<u32>(), table_props())
        .prop_map(move |(table, config, properties)| TableMod {
            table: TableId(table),
            config: TableConfig::from_bits_retain(config),
            properties: if version >= Version::V14 { properties } else { Vec::new() },
        })
        .boxed()
}

fn table_desc() -> BoxedStrategy<TableDesc> {
    table_mod(Version::V14)
        .prop_map(|m| TableDesc { table: m.table, config: m.config, properties: m.properties })
        .boxed()
}

pub(super) fn table_status() -> BoxedStrategy<TableStatus> {
    (any::<u8>(), table_desc()).prop_map(|(reason, desc)| TableStatus { reason, desc }).boxed()
}

fn feature_ids() -> BoxedStrategy<Vec<FeatureId>> {
    let plain = (0..100u16, any::<u16>()).prop_map(|(ty, length)| FeatureId { ty, experimenter: None, length });
    let experimenter = (any::<u32>(), bytes(9)).prop_map(|(id, data)| FeatureId {
        ty: 0xffff,
        length: 8 + data.len() as u16,
        experimenter: Some((ExperimenterId(id), data)),
    });
    vec(prop_oneof![4 => plain, 1 => experimenter], 0..5).boxed()
}

fn table_features(version: Version) -> BoxedStrategy<TableFeatures> {
    use TableFeatureProp as P;
    let tables = || vec(any::<u8>().prop_map(TableId), 0..9);
    let mut props: Vec<BoxedStrategy<P>> = vec![
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::Instructions { miss, ids }).boxed(),
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::WriteActions { miss, ids }).boxed(),
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::ApplyActions { miss, ids }).boxed(),
        (any::<bool>(), tables()).prop_map(|(miss, tables)| P::NextTables { miss, tables }).boxed(),
        oxm_ids(version).prop_map(P::Match).boxed(),
        oxm_ids(version).prop_map(P::Wildcards).boxed(),
        (any::<bool>(), oxm_ids(version)).prop_map(|(miss, fields)| P::WriteSetfield { miss, fields }).boxed(),
        (any::<bool>(), oxm_ids(version)).prop_map(|(miss, fields)| P::ApplySetfield { miss, fields }).boxed(),
        other().prop_map(P::Other).boxed(),
    ];
    if version >= Version::V14 {
        props.push(tables().prop_map(P::TableSyncFrom).boxed());
    }
    if version >= Version::V15 {
        let copy = (any::<bool>(), oxm_ids(version));
        props.push(copy.clone().prop_map(|(miss, fields)| P::WriteCopyfield { miss, fields }).boxed());
        props.push(copy.prop_map(|(miss, fields)| P::ApplyCopyfield { miss, fields }).boxed());
        props.push(vec(field(version), 0..3).prop_map(|f| P::PacketTypes(Match::new(f))).boxed());
    }
    (any::<[u8; 2]>(), any::<[u32; 3]>(), any::<[u64; 2]>(), "[a-z ]{0,31}", vec(Union::new(props), 0..6))
        .prop_map(move |(b, n, m, name, properties)| {
            let later = version >= Version::V15;
            TableFeatures {
                table: TableId(b[0]),
                command: if later { b[1] } else { 0 },
                features: if later { n[0] } else { 0 },
                name,
                metadata_match: m[0],
                metadata_write: m[1],
                capabilities: TableConfig::from_bits_retain(n[1]),
                max_entries: n[2],
                properties,
            }
        })
        .boxed()
}

fn flow_request(version: Version) -> BoxedStrategy<FlowStatsRequest> {
    (any::<u8>(), any::<[u32; 2]>(), any::<[u64; 2]>(), matching(version))
        .prop_map(|(table, n, c, matching)| FlowStatsRequest {
            table: TableId(table),
            out_port: PortNo(n[0]),
            out_group: GroupId(n[1]),
            cookie: Cookie(c[0]),
            cookie_mask: c[1],
            matching,
        })
        .boxed()
}

fn flow_desc(version: Version) -> BoxedStrategy<FlowDesc> {
    (flow_mod(version), flow_stats(version)).prop_map(|(m, stats)| FlowDesc::added(m, stats)).boxed()
}

fn flow_stats_entry(version: Version) -> BoxedStrategy<FlowStatsEntry> {
    (any::<[u8; 2]>(), any::<u16>(), matching(version), flow_stats(version))
        .prop_map(|(b, priority, matching, stats)| FlowStatsEntry {
            table: TableId(b[0]),
            reason: b[1],
            priority,
            matching,
            stats,
        })
        .boxed()
}

fn aggregate(version: Version) -> BoxedStrategy<AggregateStats> {
    let usual = (any::<[u64; 2]>(), any::<u32>()).prop_map(|(c, flow_count)| AggregateStats {
        packet_count: c[0],
        byte_count: c[1],
        flow_count,
        oxs: None,
    });
    if version < Version::V15 {
        return usual.boxed();
    }
    let unusual = any::<u32>().prop_map(|n| AggregateStats {
        flow_count: n,
        oxs: Some(vec![FlowStat::FlowCount(n)]),
        ..AggregateStats::default()
    });
    prop_oneof![usual, unusual].boxed()
}

/// EXT-187 of 1.3 has neither group filter nor command.
fn monitor_request(version: Version) -> BoxedStrategy<FlowMonitorRequest> {
    use MonitorCommand::*;
    let later = version >= Version::V14;
    let command = prop::sample::select(vec![Add, Modify, Delete, Unknown(9)]);
    (any::<[u32; 3]>(), any::<u16>(), any::<u8>(), command, matching(version))
        .prop_map(move |(n, flags, table, command, matching)| FlowMonitorRequest {
            id: MonitorId(n[0]),
            out_port: PortNo(n[1]),
            out_group: if later { GroupId(n[2]) } else { GroupId::ANY },
            flags: MonitorFlags::from_bits_retain(flags),
            table: TableId(table),
            command: if later { command } else { Add },
            matching,
        })
        .boxed()
}

fn flow_update(version: Version) -> BoxedStrategy<FlowUpdate> {
    use FlowUpdateEvent::*;
    let later = version >= Version::V14;
    let mut events =
        vec![Just(Added).boxed(), Just(Modified).boxed(), removed_reason(version).prop_map(Removed).boxed()];
    if later {
        events.push(Just(Initial).boxed());
    }
    let full = (Union::new(events), flow_desc(version)).prop_map(|(event, f)| FlowUpdate::Full {
        event,
        table: f.table,
        idle_timeout: f.idle_timeout,
        hard_timeout: f.hard_timeout,
        priority: f.priority,
        cookie: f.cookie,
        matching: f.matching,
        instructions: f.instructions,
    });
    let abbrev = any::<u32>().prop_map(|n| FlowUpdate::Abbrev(Xid(n)));
    let unknown = (7..u16::MAX, bytes(9)).prop_map(|(event, data)| FlowUpdate::Unknown { event, data });
    if later {
        prop_oneof![full, abbrev, unknown, Just(FlowUpdate::Paused), Just(FlowUpdate::Resumed)].boxed()
    } else {
        prop_oneof![full, abbrev, unknown].boxed()
    }
}

fn bundle_features() -> BoxedStrategy<BundleFeatures> {
    let time = || any::<(u64, u32)>().prop_map(|(seconds, nanoseconds)| OfTime { seconds, nanoseconds });
    let capability = (time(), time(), time(), time()).prop_map(|(accuracy, max_future, max_past, timestamp)| {
        BundleFeaturesProp::Time { accuracy, max_future, max_past, timestamp }
    });
    let prop = prop_oneof![capability, other().prop_map(BundleFeaturesProp::Other)];
    (any::<u16>(), vec(prop, 0..3))
        .prop_map(|(flags, properties)| BundleFeatures { flags: flags.into(), properties })
        .boxed()
}

fn multipart<B: std::fmt::Debug + Clone + 'static>(body: Vec<BoxedStrategy<B>>) -> BoxedStrategy<Multipart<B>> {
    (Union::new(body), any::<bool>(), any::<u16>())
        .prop_map(|(body, more, flags)| Multipart { more, other_flags: flags & !1, body })
        .boxed()
}

pub(super) fn multipart_request(version: Version) -> BoxedStrategy<Multipart<MultipartRequest>> {
    use MultipartRequest as M;
    let later = version >= Version::V15;
    let mut all: Vec<BoxedStrategy<M>> = vec![
        prop::sample::select(vec![M::Desc, M::Table, M::GroupFeatures, M::MeterFeatures]).boxed(),
        flow_request(version).prop_map(M::Flow).boxed(),
        flow_request(version).prop_map(M::Aggregate).boxed(),
        any::<u32>().prop_map(|n| M::PortStats(PortNo(n))).boxed(),
        any::<[u32; 2]>().prop_map(|n| M::Queue { port: PortNo(n[0]), queue: QueueId(n[1]) }).boxed(),
        any::<u32>().prop_map(|n| M::Group(GroupId(n))).boxed(),
        any::<u32>().prop_map(move |n| M::GroupDesc(if later { GroupId(n) } else { GroupId::ALL })).boxed(),
        any::<u32>().prop_map(|n| M::Meter(MeterId(n))).boxed(),
        any::<u32>().prop_map(|n| M::MeterConfig(MeterId(n))).boxed(),
        vec(table_features(version), 0..3).prop_map(M::TableFeatures).boxed(),
        any::<u32>().prop_map(move |n| M::PortDesc(if later { PortNo(n) } else { PortNo::ANY })).boxed(),
        vec(monitor_request(version), 0..3).prop_map(M::FlowMonitor).boxed(),
        super::unknown_experimenter().prop_map(M::Experimenter).boxed(),
        (100..0xfff0_u16, bytes(20)).prop_map(|(ty, body)| M::Unknown { ty, body }).boxed(),
    ];
    if version >= Version::V14 {
        all.push(Just(M::TableDesc).boxed());
        all.push(any::<[u32; 2]>().prop_map(|n| M::QueueDesc { port: PortNo(n[0]), queue: QueueId(n[1]) }).boxed());
    }
    if later {
        all.push(flow_request(version).prop_map(M::FlowStats).boxed());
        all.push(Just(M::ControllerStatus).boxed());
        all.push(bundle_features().prop_map(M::BundleFeatures).boxed());
    }
    multipart(all)
}

pub(super) fn multipart_reply(version: Version) -> BoxedStrategy<Multipart<MultipartReply>> {
    use MultipartReply as M;
    let desc =
        ["[ -~]{0,255}", "[ -~]{0,9}", "[ -~]{0,9}", "[ -~]{0,31}", "[ -~]{0,255}"].prop_map(|[a, b, c, d, e]| {
            M::Desc(SwitchDesc { mfr_desc: a, hw_desc: b, sw_desc: c, serial_num: d, dp_desc: e })
        });
    let table = (any::<u8>(), any::<u32>(), any::<[u64; 2]>()).prop_map(|(table, active_count, c)| TableStats {
        table: TableId(table),
        active_count,
        lookup_count: c[0],
        matched_count: c[1],
        legacy: None,
    });
    let pairs = || vec(any::<(u64, u64)>(), 0..4);
    let group = (any::<[u32; 4]>(), any::<[u64; 2]>(), pairs()).prop_map(|(n, c, buckets)| GroupStats {
        group: GroupId(n[0]),
        ref_count: n[1],
        packet_count: c[0],
        byte_count: c[1],
        duration_sec: n[2],
        duration_nsec: n[3],
        buckets,
    });
    let meter = (any::<[u32; 4]>(), any::<[u64; 2]>(), pairs()).prop_map(|(n, c, bands)| MeterStats {
        meter: MeterId(n[0]),
        ref_count: n[1],
        packet_in_count: c[0],
        byte_in_count: c[1],
        duration_sec: n[2],
        duration_nsec: n[3],
        bands,
    });
    let group_features =
        (any::<[u32; 2]>(), any::<[u32; 4]>(), any::<[u32; 4]>()).prop_map(|(n, max_groups, actions)| {
            M::GroupFeatures(GroupFeatures {
                types: n[0],
                capabilities: GroupCapabilities::from_bits_retain(n[1]),
                max_groups,
                actions,
            })
        });
    let meter_features = (any::<[u32; 4]>(), any::<[u8; 2]>()).prop_map(move |(n, b)| {
        M::MeterFeatures(MeterFeatures {
            max_meter: n[0],
            band_types: n[1],
            capabilities: n[2],
            max_bands: b[0],
            max_color: b[1],
            features: if version >= Version::V15 { n[3] } else { 0 },
        })
    });
    let meter_config = meter_mod().prop_map(|m| MeterConfig { flags: m.flags, meter: m.meter, bands: m.bands });
    let mut all: Vec<BoxedStrategy<M>> = vec![
        desc.boxed(),
        vec(flow_desc(version), 0..3).prop_map(M::Flow).boxed(),
        aggregate(version).prop_map(M::Aggregate).boxed(),
        vec(table, 0..3).prop_map(M::Table).boxed(),
        vec(port_stats(version), 0..3).prop_map(M::PortStats).boxed(),
        vec(queue_stats(version), 0..3).prop_map(M::Queue).boxed(),
        vec(group, 0..3).prop_map(M::Group).boxed(),
        vec(group_desc(version), 0..3).prop_map(M::GroupDesc).boxed(),
        group_features.boxed(),
        vec(meter, 0..3).prop_map(M::Meter).boxed(),
        vec(meter_config, 0..3).prop_map(M::MeterConfig).boxed(),
        meter_features.boxed(),
        vec(table_features(version), 0..3).prop_map(M::TableFeatures).boxed(),
        vec(port(version), 0..3).prop_map(M::PortDesc).boxed(),
        vec(flow_update(version), 0..3).prop_map(M::FlowMonitor).boxed(),
        super::unknown_experimenter().prop_map(M::Experimenter).boxed(),
        (100..0xfff0_u16, bytes(20)).prop_map(|(ty, body)| M::Unknown { ty, body }).boxed(),
    ];
    if version >= Version::V14 {
        all.push(vec(table_desc(), 0..3).prop_map(M::TableDesc).boxed());
        all.push(vec(queue_desc(version), 0..3).prop_map(M::QueueDesc).boxed());
    }
    if version >= Version::V15 {
        all.push(vec(flow_stats_entry(version), 0..3).prop_map(M::FlowStats).boxed());
        all.push(vec(super::controller_status(), 0..3).prop_map(M::ControllerStatus).boxed());
        all.push(bundle_features().prop_map(M::BundleFeatures).boxed());
    }
    multipart(all)
}
