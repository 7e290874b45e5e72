//! Bodies of messages and of multiparts.

mod flow;
mod group;
mod port;
mod table;

pub(super) use flow::{flow_mod, flow_removed, packet_in, packet_out};
pub(super) use group::{group_mod, meter_mod};
pub(super) use port::{port_mod, port_status, queue_desc};
pub(super) use table::{table_mod, table_status};

use super::part::{bytes, other};
use crate::bundle::{BundleFeatures, BundleFeaturesProp, OfTime};
use crate::group::{GroupCapabilities, GroupFeatures, GroupStats};
use crate::ids::{GroupId, MeterId, PortNo, QueueId, TableId};
use crate::message::{Multipart, MultipartReply, MultipartRequest};
use crate::meter::{MeterConfig, MeterFeatures, MeterStats};
use crate::stats::SwitchDesc;
use crate::table::TableStats;
use crate::version::Version;
use flow::{aggregate, flow_desc, flow_request, flow_stats_entry, flow_update, monitor_request};
use group::group_desc;
use port::{port, port_stats, queue_stats};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use table::{table_desc, table_features};

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
    if version < Version::V13 {
        // No request of these comes in segments.
        return multipart(all).prop_map(|m| Multipart { more: false, ..m }).boxed();
    }
    all.push(prop::sample::select(vec![1, 2, 4, 5, 6, 9, 10]).prop_map(|ty| M::Empty { ty }).boxed());
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
