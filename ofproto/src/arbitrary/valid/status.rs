//! What controllers and switches say of roles, asynchronous messages and bundles.

use super::XID;
use super::flow::{flow_mod, packet_out};
use super::group::{group_mod, meter_mod};
use super::port::port_mod;
use super::table::table_mod;
use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::bundle::{
    BundleAdd, BundleCtrl, BundleCtrlType, BundleFeatures, BundleFeaturesProp, BundleFlags, BundleProp, OfTime,
};
use crate::ids::BundleId;
use crate::message::{Message, RequestForward};
use crate::role::{ControllerStatus, ControllerStatusProp, Role, RoleMsg, RoleStatus};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

fn a_role() -> BoxedStrategy<Role> {
    select(vec![Role::NoChange, Role::Equal, Role::Master, Role::Slave]).boxed()
}

pub(super) fn role(v: Version) -> BoxedStrategy<RoleMsg> {
    (a_role(), any::<u16>(), any::<u64>())
        .prop_map(move |(role, id, generation_id)| RoleMsg {
            role,
            short_id: if v >= Version::V15 { id } else { 0 },
            generation_id,
        })
        .boxed()
}

pub(super) fn role_status() -> BoxedStrategy<RoleStatus> {
    (select(vec![Role::Equal, Role::Master, Role::Slave]), 0..3_u8, any::<u64>())
        .prop_map(|(role, reason, generation_id)| RoleStatus { role, reason, generation_id, properties: vec![] })
        .boxed()
}

/// A request of another controller, as a switch passes it on.
pub(super) fn request_forward(v: Version) -> BoxedStrategy<RequestForward> {
    prop_oneof![group_mod(v).prop_map(Message::GroupMod), meter_mod().prop_map(Message::MeterMod)]
        .prop_map(|m| RequestForward { xid: XID, request: Box::new(m) })
        .boxed()
}

pub(super) fn controller_status() -> BoxedStrategy<ControllerStatus> {
    (any::<u16>(), a_role(), 0..7_u8, 0..2_u8, prop::option::of("(tcp|tls):10(\\.[1-9][0-9]?){3}:[1-9][0-9]{3}"))
        .prop_map(|(short_id, role, reason, channel_status, uri)| ControllerStatus {
            short_id,
            role,
            reason,
            channel_status,
            properties: uri.map(ControllerStatusProp::Uri).into_iter().collect(),
        })
        .boxed()
}

/// The kinds of messages that a version can hold back, with the reasons that it defines.
fn kinds(v: Version) -> Vec<(AsyncKind, u32)> {
    use AsyncKind as K;
    let later = v >= Version::V14;
    let mut all = vec![(K::PacketIn, if later { 63 } else { 7 }), (K::PortStatus, 7)];
    all.push((K::FlowRemoved, if later { 63 } else { 15 }));
    if later {
        all.extend([(K::RoleStatus, 7), (K::TableStatus, 24), (K::RequestForward, 3)]);
    }
    if v >= Version::V15 {
        all.extend([(K::FlowStats, 3), (K::ControllerStatus, 127)]);
    }
    all
}

pub(super) fn set_async(v: Version) -> BoxedStrategy<AsyncConfig> {
    let kinds = kinds(v);
    let count = 2 * kinds.len();
    let some = if v >= Version::V14 { any::<u16>().boxed() } else { Just(u16::MAX).boxed() };
    (vec(any::<u32>(), count), some)
        .prop_map(move |(masks, some)| AsyncConfig {
            props: (0..count)
                // 1.3 says all of them.
                .filter(|i| some >> i & 1 != 0)
                .map(|i| {
                    let (kind, known) = kinds[i / 2];
                    // 1.3 has the master's first, 1.4 the slave's.
                    AsyncProp::Reasons { kind, master: (i % 2 == 0) == (v < Version::V14), mask: masks[i] & known }
                })
                .collect(),
        })
        .boxed()
}

fn time() -> BoxedStrategy<OfTime> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanoseconds)| OfTime { seconds, nanoseconds }).boxed()
}

/// Flags, and the time that one of them announces.
fn bundle_flags(v: Version) -> BoxedStrategy<(BundleFlags, Vec<BundleProp>)> {
    (0..4_u16, prop::option::weighted(0.3, time()))
        .prop_map(move |(flags, time)| {
            let time = time.filter(|_| v >= Version::V15).map(BundleProp::Time);
            let more = if time.is_some() { BundleFlags::TIME } else { BundleFlags::empty() };
            (BundleFlags::from_bits_retain(flags) | more, time.into_iter().collect())
        })
        .boxed()
}

pub(super) fn bundle_control(v: Version) -> BoxedStrategy<BundleCtrl> {
    use BundleCtrlType as T;
    let requests = [T::OpenRequest, T::CloseRequest, T::CommitRequest, T::DiscardRequest];
    let replies = [T::OpenReply, T::CloseReply, T::CommitReply, T::DiscardReply];
    (any::<u32>(), select([requests, replies].concat()), bundle_flags(v))
        .prop_map(|(id, ty, (flags, properties))| BundleCtrl { bundle: BundleId(id), ty, flags, properties })
        .boxed()
}

pub(super) fn bundle_add(v: Version) -> BoxedStrategy<BundleAdd> {
    let inner = Union::new_weighted(vec![
        (3, flow_mod(v, false).prop_map(Message::FlowMod).boxed()),
        (1, group_mod(v).prop_map(Message::GroupMod).boxed()),
        (1, port_mod(v).prop_map(Message::PortMod).boxed()),
        (1, meter_mod().prop_map(Message::MeterMod).boxed()),
        (1, table_mod(v).prop_map(Message::TableMod).boxed()),
        (1, packet_out(v).prop_map(Message::PacketOut).boxed()),
    ]);
    (any::<u32>(), bundle_flags(v), inner)
        .prop_map(|(id, (flags, properties), message)| BundleAdd {
            bundle: BundleId(id),
            flags,
            message: Box::new(message),
            inner_xid: XID,
            properties,
        })
        .boxed()
}

/// What is asked or said of scheduled bundles (1.5).
pub(super) fn bundle_features(asks: bool) -> BoxedStrategy<BundleFeatures> {
    let capability = (time(), time(), time(), time()).prop_map(|(accuracy, max_future, max_past, timestamp)| {
        BundleFeaturesProp::Time { accuracy, max_future, max_past, timestamp }
    });
    (0..8_u32, prop::option::of(capability))
        .prop_map(move |(flags, time)| BundleFeatures {
            flags: if asks { flags & 3 } else { flags },
            properties: time.into_iter().collect(),
        })
        .boxed()
}
