//! Bodies of multiparts.

use super::flow::{aggregate, flow_desc, flow_request, monitor, stats_entry, update};
use super::group::{group_desc, group_features, group_stats, meter_config, meter_features, meter_stats};
use super::matching::{group, meter, port};
use super::port::{a_port, port_stats, queue_desc, queue_stats};
use super::status::{bundle_features, controller_status};
use super::table::{table_desc, table_features, table_stats};
use super::unknown_experimenter;
use crate::ids::{GroupId, PortNo, QueueId};
use crate::message::{MultipartReply, MultipartRequest};
use crate::stats::SwitchDesc;
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

pub(super) fn request(v: Version) -> BoxedStrategy<MultipartRequest> {
    use MultipartRequest as M;
    let mut all = vec![
        select(vec![M::Desc, M::Table]).boxed(),
        flow_request(v, false).prop_map(M::Flow).boxed(),
        flow_request(v, false).prop_map(M::Aggregate).boxed(),
        port().prop_map(M::PortStats).boxed(),
        (port(), any::<u32>()).prop_map(|(port, q)| M::Queue { port, queue: QueueId(q) }).boxed(),
    ];
    if v == Version::V10 {
        all.push(flow_request(v, true).prop_map(M::NxFlow).boxed());
        all.push(flow_request(v, true).prop_map(M::NxAggregate).boxed());
    }
    if v >= Version::V11 {
        all.push(group().prop_map(M::Group).boxed());
        all.push(unknown_experimenter(v).prop_map(M::Experimenter).boxed());
    }
    if (Version::V11..Version::V15).contains(&v) {
        all.push(Just(M::GroupDesc(GroupId::ALL)).boxed());
    }
    if v >= Version::V12 {
        all.push(Just(M::GroupFeatures).boxed());
    }
    if v >= Version::V13 {
        all.push(meter().prop_map(M::Meter).boxed());
        all.push(meter().prop_map(M::MeterConfig).boxed());
        all.push(Just(M::MeterFeatures).boxed());
        let tables = prop_oneof![Just(vec![]), vec(table_features(v, true), 1..3)];
        all.push(tables.prop_map(M::TableFeatures).boxed());
    }
    if (Version::V13..Version::V15).contains(&v) {
        all.push(Just(M::PortDesc(PortNo::ANY)).boxed());
    }
    if v >= Version::V15 {
        all.push(group().prop_map(M::GroupDesc).boxed());
        all.push(port().prop_map(M::PortDesc).boxed());
        all.push(flow_request(v, false).prop_map(M::FlowStats).boxed());
        all.push(Just(M::ControllerStatus).boxed());
        all.push(bundle_features(true).prop_map(M::BundleFeatures).boxed());
    }
    if v >= Version::V14 {
        all.push(Just(M::TableDesc).boxed());
        all.push((port(), any::<u32>()).prop_map(|(port, q)| M::QueueDesc { port, queue: QueueId(q) }).boxed());
    }
    if !matches!(v, Version::V11 | Version::V12) {
        all.push(vec(monitor(v), 1..3).prop_map(M::FlowMonitor).boxed());
    }
    Union::new(all).boxed()
}

pub(super) fn reply(v: Version) -> BoxedStrategy<MultipartReply> {
    use MultipartReply as M;
    let desc = ["[ -~]{0,40}", "[ -~]{0,9}", "[ -~]{0,9}", "[ -~]{0,31}", "[ -~]{0,20}"].prop_map(|[a, b, c, d, e]| {
        M::Desc(SwitchDesc { mfr_desc: a, hw_desc: b, sw_desc: c, serial_num: d, dp_desc: e })
    });
    let mut all = vec![
        desc.boxed(),
        vec(flow_desc(v, false), 1..3).prop_map(M::Flow).boxed(),
        vec(flow_desc(v, false), 1..3).prop_map(M::Flow).boxed(),
        aggregate().prop_map(M::Aggregate).boxed(),
        vec(table_stats(v), 0..3).prop_map(M::Table).boxed(),
        vec(port_stats(v), 1..3).prop_map(M::PortStats).boxed(),
        vec(queue_stats(v), 1..3).prop_map(M::Queue).boxed(),
    ];
    if v == Version::V10 {
        all.push(vec(flow_desc(v, true), 1..3).prop_map(M::NxFlow).boxed());
        all.push(aggregate().prop_map(M::NxAggregate).boxed());
    }
    if v >= Version::V11 {
        all.push(vec(group_stats(v), 1..3).prop_map(M::Group).boxed());
        all.push(vec(group_desc(v), 1..3).prop_map(M::GroupDesc).boxed());
        all.push(unknown_experimenter(v).prop_map(M::Experimenter).boxed());
    }
    if v >= Version::V12 {
        all.push(group_features().prop_map(M::GroupFeatures).boxed());
    }
    if v >= Version::V13 {
        all.push(vec(meter_config(), 1..3).prop_map(M::MeterConfig).boxed());
        all.push(vec(meter_stats(), 1..3).prop_map(M::Meter).boxed());
        all.push(meter_features(v).prop_map(M::MeterFeatures).boxed());
        all.push(vec(a_port(v), 1..3).prop_map(M::PortDesc).boxed());
        all.push(vec(table_features(v, false), 1..3).prop_map(M::TableFeatures).boxed());
    }
    if v >= Version::V14 {
        all.push(vec(table_desc(), 0..3).prop_map(M::TableDesc).boxed());
        all.push(vec(queue_desc(None), 0..3).prop_map(M::QueueDesc).boxed());
    }
    if v >= Version::V15 {
        all.push(vec(stats_entry(), 0..3).prop_map(M::FlowStats).boxed());
        all.push(vec(controller_status(), 0..3).prop_map(M::ControllerStatus).boxed());
        all.push(bundle_features(false).prop_map(M::BundleFeatures).boxed());
    }
    if !matches!(v, Version::V11 | Version::V12) {
        all.push(vec(update(v), 1..5).prop_map(M::FlowMonitor).boxed());
    }
    Union::new(all).boxed()
}
