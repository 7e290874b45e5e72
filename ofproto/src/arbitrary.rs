//! Generators of messages that a version can say, in the form in which decoding gives them back.
//!
//! Behind the feature `arbitrary`. Values are structurally sound and otherwise arbitrary: a match may
//! lack prerequisites, a group may be of an undefined type.

mod body;
pub(crate) mod field_bits;
mod part;
mod valid;

pub use part::{actions, instructions, matching};
pub use valid::{message as valid_message, messages as valid_messages};

use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags, BundleProp, OfTime};
use crate::ids::{BundleId, Dpid, ExperimenterId, PortNo, Xid};
use crate::message::{
    Capabilities, ErrorMsg, Experimenter, HelloElement, Message, RequestForward, SwitchConfig, SwitchFeatures,
};
use crate::role::{ControllerStatus, ControllerStatusProp, Role, RoleMsg, RoleStatus};
use crate::version::Version;
use bytes::Bytes;
use part::{bytes, others};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any message of a version. Before 1.3: what that version can say of 1.3's, as it is read there, and
/// the messages that mean something.
pub fn message(version: Version) -> BoxedStrategy<Message> {
    if version < Version::V13 {
        let told = message(Version::V13).prop_filter_map("sayable", move |m| {
            let bytes = crate::wire::encode(version, Xid(1), &m).ok()?;
            crate::wire::decode(&bytes).ok().map(|(_, m)| m)
        });
        return prop_oneof![2 => told, 1 => valid_message(version)].boxed();
    }
    let simple = simple_message(version);
    if version < Version::V14 {
        return prop_oneof![9 => simple, 1 => nested(version), 1 => queue_config()].boxed();
    }
    prop_oneof![9 => simple, 1 => nested(version)].boxed()
}

fn queue_config() -> BoxedStrategy<Message> {
    prop_oneof![
        any::<u32>().prop_map(|p| Message::QueueGetConfigRequest(PortNo(p))),
        (any::<u32>(), vec(body::queue_desc(Version::V13), 0..4))
            .prop_map(|(port, queues)| Message::QueueGetConfigReply { port: PortNo(port), queues }),
    ]
    .boxed()
}

/// A message inside another.
fn nested(version: Version) -> BoxedStrategy<Message> {
    (simple_message(version), any::<u32>(), any::<u32>(), 0..4u16, vec(bundle_prop(version), 0..2), any::<bool>())
        .prop_map(|(m, xid, id, flags, properties, forward)| {
            if forward {
                Message::RequestForward(RequestForward { xid: Xid(xid), request: Box::new(m) })
            } else {
                Message::BundleAdd(BundleAdd {
                    bundle: BundleId(id),
                    flags: BundleFlags::from_bits_retain(flags),
                    message: Box::new(m),
                    inner_xid: Xid(xid),
                    properties,
                })
            }
        })
        .boxed()
}

fn bundle_prop(version: Version) -> BoxedStrategy<BundleProp> {
    let other = part::other().prop_map(BundleProp::Other);
    if version < Version::V15 {
        return other.boxed();
    }
    let time = (any::<u64>(), any::<u32>())
        .prop_map(|(seconds, nanoseconds)| BundleProp::Time(OfTime { seconds, nanoseconds }));
    prop_oneof![other, time].boxed()
}

fn role() -> BoxedStrategy<Role> {
    prop_oneof![
        Just(Role::NoChange),
        Just(Role::Equal),
        Just(Role::Master),
        Just(Role::Slave),
        (4..u32::MAX).prop_map(Role::Unknown)
    ]
    .boxed()
}

fn role_msg(version: Version) -> BoxedStrategy<RoleMsg> {
    (role(), any::<u16>(), any::<u64>())
        .prop_map(move |(role, id, generation_id)| RoleMsg {
            role,
            short_id: if version >= Version::V15 { id } else { 0 },
            generation_id,
        })
        .boxed()
}

/// A controller's status (1.5).
pub(crate) fn controller_status() -> BoxedStrategy<ControllerStatus> {
    let prop = prop_oneof![
        "[a-z:.0-9]{0,40}".prop_map(ControllerStatusProp::Uri),
        part::other().prop_map(ControllerStatusProp::Other)
    ];
    (any::<u16>(), role(), any::<u8>(), any::<u8>(), vec(prop, 0..3))
        .prop_map(|(short_id, role, reason, channel_status, properties)| ControllerStatus {
            short_id,
            role,
            reason,
            channel_status,
            properties,
        })
        .boxed()
}

fn async_config(version: Version) -> BoxedStrategy<AsyncConfig> {
    use AsyncKind::*;
    let kinds =
        [PacketIn, PortStatus, FlowRemoved, RoleStatus, TableStatus, RequestForward, FlowStats, ControllerStatus];
    if version < Version::V14 {
        return any::<[u32; 6]>()
            .prop_map(move |masks| AsyncConfig {
                props: (0..6)
                    .map(|i| AsyncProp::Reasons { kind: kinds[i / 2], master: i % 2 == 0, mask: masks[i] })
                    .collect(),
            })
            .boxed();
    }
    let known = if version >= Version::V15 { 8usize } else { 6 };
    let reasons = (0..known, any::<bool>(), any::<u32>())
        .prop_map(move |(i, master, mask): (usize, _, _)| AsyncProp::Reasons { kind: kinds[i], master, mask });
    vec(prop_oneof![3 => reasons, 1 => part::other().prop_map(AsyncProp::Other)], 0..8)
        .prop_map(|props| AsyncConfig { props })
        .boxed()
}

fn hello() -> BoxedStrategy<Message> {
    let element = prop_oneof![
        vec(any::<u32>(), 0..3).prop_map(HelloElement::VersionBitmap),
        (2..u16::MAX, bytes(20)).prop_map(|(ty, data)| HelloElement::Unknown(ty, data)),
    ];
    vec(element, 0..3).prop_map(Message::Hello).boxed()
}

fn error() -> BoxedStrategy<Message> {
    (0..0xffff_u16, any::<u16>(), prop::option::of(any::<u32>()), bytes(64))
        .prop_map(|(ty, code, experimenter, data)| {
            let ty = if experimenter.is_some() { 0xffff } else { ty };
            Message::Error(ErrorMsg { ty, code, experimenter: experimenter.map(ExperimenterId), data })
        })
        .boxed()
}

/// Any experimenter that no codec knows.
pub(crate) fn unknown_experimenter() -> BoxedStrategy<Experimenter> {
    (0x0100_0000..0x4000_0000_u32, any::<u32>(), bytes(40))
        .prop_map(|(id, ty, data)| Experimenter { experimenter: ExperimenterId(id), exp_type: Some(ty), data })
        .boxed()
}

fn features() -> BoxedStrategy<Message> {
    (any::<u64>(), any::<u32>(), any::<u8>(), any::<u8>(), any::<u32>(), any::<u32>())
        .prop_map(|(dpid, n_buffers, n_tables, auxiliary_id, capabilities, actions)| {
            Message::FeaturesReply(SwitchFeatures {
                dpid: Dpid(dpid),
                n_buffers,
                n_tables,
                auxiliary_id,
                capabilities: Capabilities::from_bits_retain(capabilities),
                actions,
                ports: Vec::new(),
            })
        })
        .boxed()
}

fn bundle_control(version: Version) -> BoxedStrategy<Message> {
    use BundleCtrlType::*;
    let ty = prop_oneof![
        prop::sample::select(vec![
            OpenRequest,
            OpenReply,
            CloseRequest,
            CloseReply,
            CommitRequest,
            CommitReply,
            DiscardRequest,
            DiscardReply
        ]),
        (8..u16::MAX).prop_map(Unknown)
    ];
    (any::<u32>(), ty, any::<u16>(), vec(bundle_prop(version), 0..3))
        .prop_map(|(id, ty, flags, properties)| {
            Message::BundleControl(BundleCtrl {
                bundle: BundleId(id),
                ty,
                flags: BundleFlags::from_bits_retain(flags),
                properties,
            })
        })
        .boxed()
}

/// Any message that holds no other.
fn simple_message(version: Version) -> BoxedStrategy<Message> {
    let config = (any::<u16>(), any::<u16>()).prop_map(|(flags, miss_send_len)| SwitchConfig { flags, miss_send_len });
    let role_status =
        (role(), any::<u8>(), any::<u64>(), others()).prop_map(|(role, reason, generation_id, properties)| {
            Message::RoleStatus(RoleStatus { role, reason, generation_id, properties })
        });
    let get_async = if version < Version::V14 { Just(AsyncConfig::default()).boxed() } else { async_config(version) };
    let mut all: Vec<BoxedStrategy<Message>> = vec![
        hello(),
        error(),
        bytes(100).prop_map(Message::EchoRequest).boxed(),
        bytes(100).prop_map(Message::EchoReply).boxed(),
        unknown_experimenter().prop_map(Message::Experimenter).boxed(),
        prop::sample::select(vec![
            Message::FeaturesRequest,
            Message::GetConfigRequest,
            Message::BarrierRequest,
            Message::BarrierReply,
        ])
        .boxed(),
        features(),
        config.clone().prop_map(Message::GetConfigReply).boxed(),
        config.prop_map(Message::SetConfig).boxed(),
        body::packet_in(version).prop_map(Message::PacketIn).boxed(),
        body::packet_out(version).prop_map(Message::PacketOut).boxed(),
        body::flow_mod(version).prop_map(Message::FlowMod).boxed(),
        body::flow_mod(version).prop_map(Message::FlowMod).boxed(),
        body::flow_removed(version).prop_map(Message::FlowRemoved).boxed(),
        body::group_mod(version).prop_map(Message::GroupMod).boxed(),
        body::meter_mod().prop_map(Message::MeterMod).boxed(),
        body::port_status(version).prop_map(Message::PortStatus).boxed(),
        body::port_mod(version).prop_map(Message::PortMod).boxed(),
        body::table_mod(version).prop_map(Message::TableMod).boxed(),
        body::multipart_request(version).prop_map(Message::MultipartRequest).boxed(),
        body::multipart_reply(version).prop_map(Message::MultipartReply).boxed(),
        body::multipart_reply(version).prop_map(Message::MultipartReply).boxed(),
        role_msg(version).prop_map(Message::RoleRequest).boxed(),
        role_msg(version).prop_map(Message::RoleReply).boxed(),
        get_async.prop_map(Message::GetAsyncRequest).boxed(),
        async_config(version).prop_map(Message::GetAsyncReply).boxed(),
        async_config(version).prop_map(Message::SetAsync).boxed(),
        role_status.boxed(),
        bundle_control(version),
    ];
    if version >= Version::V14 {
        all.push(body::table_status().prop_map(Message::TableStatus).boxed());
    }
    if version >= Version::V15 {
        all.push(controller_status().prop_map(Message::ControllerStatus).boxed());
    }
    proptest::strategy::Union::new(all).boxed()
}

/// No bytes at all, for building expectations.
pub const NO_BYTES: Bytes = Bytes::new();
