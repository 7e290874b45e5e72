//! Message types and the bodies they have, in the numbering of 1.1 and later (OpenFlow 1.3.5 §7.1.1, A.1).

use super::{
    EncodeError, Reader, Writer, async_config, bundle, flow, group, meter, multipart, nicira_message, onf, packet,
    port, queue, role, switch, table, unsupported, v10,
};
use crate::async_config::AsyncConfig;
use crate::error::{ErrorKind, OfError};
use crate::ids::ExperimenterId;
use crate::message::{Experimenter, Message};
use crate::version::Version;
use bytes::Bytes;

const HELLO: u8 = 0;
const ERROR: u8 = 1;
pub(super) const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
pub(super) const EXPERIMENTER: u8 = 4;
const FEATURES_REQUEST: u8 = 5;
const FEATURES_REPLY: u8 = 6;
const GET_CONFIG_REQUEST: u8 = 7;
const GET_CONFIG_REPLY: u8 = 8;
const SET_CONFIG: u8 = 9;
const PACKET_IN: u8 = 10;
const FLOW_REMOVED: u8 = 11;
const PORT_STATUS: u8 = 12;
const PACKET_OUT: u8 = 13;
pub(super) const FLOW_MOD: u8 = 14;
const GROUP_MOD: u8 = 15;
const PORT_MOD: u8 = 16;
const TABLE_MOD: u8 = 17;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
pub(super) const BARRIER_REQUEST: u8 = 20;
const BARRIER_REPLY: u8 = 21;
const QUEUE_GET_CONFIG_REQUEST: u8 = 22;
const QUEUE_GET_CONFIG_REPLY: u8 = 23;
const ROLE_REQUEST: u8 = 24;
const ROLE_REPLY: u8 = 25;
const GET_ASYNC_REQUEST: u8 = 26;
const GET_ASYNC_REPLY: u8 = 27;
const SET_ASYNC: u8 = 28;
const METER_MOD: u8 = 29;
const ROLE_STATUS: u8 = 30;
const TABLE_STATUS: u8 = 31;
const REQUESTFORWARD: u8 = 32;
const BUNDLE_CONTROL: u8 = 33;
pub(super) const BUNDLE_ADD_MESSAGE: u8 = 34;
const CONTROLLER_STATUS: u8 = 35;

/// Whether `version` defines a message type of 1.1's numbering: from which version on, and until which where it was dropped.
fn defined(ty: u8, version: Version) -> bool {
    match ty {
        // What a connection needs before a version is agreed on is the same in all.
        HELLO..=ECHO_REPLY => true,
        GROUP_MOD | TABLE_MOD => version >= Version::V11,
        EXPERIMENTER..=BARRIER_REPLY => true,
        QUEUE_GET_CONFIG_REQUEST | QUEUE_GET_CONFIG_REPLY => version <= Version::V13,
        ROLE_REQUEST | ROLE_REPLY => version >= Version::V12,
        GET_ASYNC_REQUEST..=METER_MOD => version >= Version::V13,
        ROLE_STATUS..=BUNDLE_ADD_MESSAGE => version >= Version::V14,
        CONTROLLER_STATUS => version >= Version::V15,
        _ => false,
    }
}

/// Whether only switches send messages of this type, as `version` numbers them.
pub(super) fn is_from_switch(version: Version, ty: u8) -> bool {
    let ty = if version == Version::V10 { v10::common_type(ty) } else { Some(ty) };
    matches!(
        ty,
        Some(
            FEATURES_REPLY
            | GET_CONFIG_REPLY
            | PACKET_IN..=PORT_STATUS
            | MULTIPART_REPLY
            | BARRIER_REPLY
            | QUEUE_GET_CONFIG_REPLY
            | ROLE_REPLY
            | GET_ASYNC_REPLY
            | ROLE_STATUS..=REQUESTFORWARD
            | CONTROLLER_STATUS,
        )
    )
}

/// Whether messages of this type, as `version` numbers them, change the switch or send packets: what a bundle may hold.
pub(super) fn is_modification(version: Version, ty: u8) -> bool {
    defined(ty, version)
        && matches!(ty, PACKET_OUT | FLOW_MOD | GROUP_MOD | PORT_MOD | TABLE_MOD | METER_MOD)
        && version >= Version::V13
}

/// Where the body of a bundle-add begins, behind the experimenter's header in 1.3; `None` of another message.
pub(super) fn bundle_add_body(header: &super::Header, message: &[u8]) -> Option<usize> {
    match Version::from_wire(header.version)? {
        Version::V13 if header.ty == EXPERIMENTER => onf::bundle_add_body(message),
        version if version >= Version::V14 && header.ty == BUNDLE_ADD_MESSAGE => Some(super::HEADER_LEN),
        _ => None,
    }
}

/// Whether a message stands alone or inside a bundle-add or request-forward. One level is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    Outer,
    Inner,
}

impl Nesting {
    /// Refuses a second level, so that no message makes the decoder recurse further.
    pub(super) fn forbid(self, r: &Reader<'_>) -> Result<(), OfError> {
        match self {
            Self::Outer => Ok(()),
            Self::Inner => Err(r.error(
                ErrorKind::BundleFailedMsgUnsup,
                "inner type",
                "a message inside a message inside a message",
            )),
        }
    }
}

/// Reads the body of a message of type `ty`; `r` stands after the header.
#[inline]
pub(super) fn decode(version: Version, ty: u8, r: &mut Reader<'_>, nesting: Nesting) -> Result<Message, OfError> {
    let wire = ty;
    let ty = if version == Version::V10 { v10::common_type(ty) } else { Some(ty) };
    let Some(ty) = ty.filter(|ty| defined(*ty, version)) else {
        return Err(OfError::at(
            ErrorKind::BadRequestBadType,
            r.offset().saturating_sub(super::HEADER_LEN - 1),
            "type",
            format!("{wire} is no message of OpenFlow {version}"),
        ));
    };
    Ok(match ty {
        HELLO => Message::Hello(switch::decode_hello(r)),
        ERROR => Message::Error(switch::decode_error(r, version)?),
        ECHO_REQUEST => Message::EchoRequest(Bytes::copy_from_slice(r.take_rest())),
        ECHO_REPLY => Message::EchoReply(Bytes::copy_from_slice(r.take_rest())),
        EXPERIMENTER => decode_experimenter(version, r, nesting)?,
        FEATURES_REQUEST => Message::FeaturesRequest,
        FEATURES_REPLY => Message::FeaturesReply(switch::decode_features(r, version)?),
        GET_CONFIG_REQUEST => Message::GetConfigRequest,
        GET_CONFIG_REPLY => Message::GetConfigReply(switch::decode_config(r)?),
        SET_CONFIG => Message::SetConfig(switch::decode_config(r)?),
        PACKET_IN => Message::PacketIn(packet::decode_packet_in(r, version)?),
        FLOW_REMOVED => Message::FlowRemoved(flow::decode_flow_removed(r, version)?),
        PORT_STATUS => Message::PortStatus(port::decode_status(r, version)?),
        PACKET_OUT => Message::PacketOut(packet::decode_packet_out(r, version)?),
        FLOW_MOD => Message::FlowMod(flow::decode_flow_mod(r, version)?),
        GROUP_MOD => Message::GroupMod(group::decode_group_mod(r, version)?),
        PORT_MOD => Message::PortMod(port::decode_port_mod(r, version)?),
        TABLE_MOD => Message::TableMod(table::decode_table_mod(r, version)?),
        MULTIPART_REQUEST => Message::MultipartRequest(multipart::decode_request(r, version)?),
        MULTIPART_REPLY => Message::MultipartReply(multipart::decode_reply(r, version)?),
        BARRIER_REQUEST => Message::BarrierRequest,
        BARRIER_REPLY => Message::BarrierReply,
        QUEUE_GET_CONFIG_REQUEST if version == Version::V10 => {
            let port = v10::port(r, "port")?;
            r.skip(2)?;
            Message::QueueGetConfigRequest(port)
        }
        QUEUE_GET_CONFIG_REQUEST => Message::QueueGetConfigRequest(port::decode_port_request(r, version)?),
        QUEUE_GET_CONFIG_REPLY => {
            let port = port::decode_port_request(r, version)?;
            let mut queues = Vec::new();
            while !r.is_empty() {
                queues.push(queue::decode_packet_queue(r, version, port)?);
            }
            Message::QueueGetConfigReply { port, queues }
        }
        ROLE_REQUEST => Message::RoleRequest(role::decode_role(r, version)?),
        ROLE_REPLY => Message::RoleReply(role::decode_role(r, version)?),
        GET_ASYNC_REQUEST if version == Version::V13 => Message::GetAsyncRequest(AsyncConfig::default()),
        GET_ASYNC_REQUEST => Message::GetAsyncRequest(async_config::decode(r, version)?),
        GET_ASYNC_REPLY => Message::GetAsyncReply(async_config::decode(r, version)?),
        SET_ASYNC => Message::SetAsync(async_config::decode(r, version)?),
        METER_MOD => Message::MeterMod(meter::decode_meter_mod(r)?),
        ROLE_STATUS => Message::RoleStatus(role::decode_status(r)?),
        TABLE_STATUS => Message::TableStatus(table::decode_status(r)?),
        REQUESTFORWARD => {
            nesting.forbid(r)?;
            Message::RequestForward(bundle::decode_request_forward(r, version)?)
        }
        BUNDLE_CONTROL => Message::BundleControl(bundle::decode_control(r, version)?),
        BUNDLE_ADD_MESSAGE => {
            nesting.forbid(r)?;
            Message::BundleAdd(bundle::decode_add(r, version)?)
        }
        _ => Message::ControllerStatus(role::decode_controller(r)?),
    })
}

fn decode_experimenter(version: Version, r: &mut Reader<'_>, nesting: Nesting) -> Result<Message, OfError> {
    let experimenter = ExperimenterId(r.u32("experimenter")?);
    if experimenter == ExperimenterId::NICIRA && r.remaining() >= 4 {
        let subtype = r.u32("subtype")?;
        return Ok(Message::Nicira(nicira_message::decode(subtype, r, version)?));
    }
    if version == Version::V10 {
        // A vendor's data have no form in common.
        let data = Bytes::copy_from_slice(r.take_rest());
        return Ok(Message::Experimenter(Experimenter { experimenter, exp_type: None, data }));
    }
    let exp_type = r.u32("exp_type")?;
    if experimenter == ExperimenterId::ONF
        && let Some(message) = onf::decode_message(exp_type, r, version, nesting)?
    {
        return Ok(message);
    }
    let data = Bytes::copy_from_slice(r.take_rest());
    Ok(Message::Experimenter(Experimenter { experimenter, exp_type: Some(exp_type), data }))
}

/// Writes a message's body and says its type.
pub(super) fn encode(w: &mut Writer, version: Version, m: &Message) -> Result<u8, EncodeError> {
    if version == Version::V13 && onf::encode_message(w, version, m)? {
        return Ok(EXPERIMENTER);
    }
    let ty = message_type(m);
    if !defined(ty, version) {
        return Err(unsupported(version, message_name(m)));
    }
    match m {
        Message::Hello(elements) => switch::encode_hello(w, elements)?,
        Message::Error(e) => {
            super::require(e.experimenter.is_none() || version >= Version::V12, version, "an experimenter's error")?;
            switch::encode_error(w, e);
        }
        Message::EchoRequest(data) | Message::EchoReply(data) => w.bytes(data),
        Message::Experimenter(e) => {
            w.u32(e.experimenter.0);
            match e.exp_type {
                Some(exp_type) if version > Version::V10 => w.u32(exp_type),
                None if version == Version::V10 => {}
                Some(_) => return Err(unsupported(version, "an experimenter subtype")),
                None => return Err(unsupported(version, "an experimenter message without subtype")),
            }
            w.bytes(&e.data);
        }
        Message::Nicira(m) => nicira_message::encode(w, version, m)?,
        Message::FeaturesRequest | Message::GetConfigRequest | Message::BarrierRequest | Message::BarrierReply => {}
        Message::FeaturesReply(f) => switch::encode_features(w, version, f)?,
        Message::GetConfigReply(c) | Message::SetConfig(c) => switch::encode_config(w, c),
        Message::PacketIn(p) => packet::encode_packet_in(w, version, p)?,
        Message::FlowRemoved(f) => flow::encode_flow_removed(w, version, f)?,
        Message::PortStatus(p) => port::encode_status(w, version, p)?,
        Message::PacketOut(p) => packet::encode_packet_out(w, version, p)?,
        Message::FlowMod(f) => flow::encode_flow_mod(w, version, f)?,
        Message::GroupMod(g) => group::encode_group_mod(w, version, g)?,
        Message::PortMod(p) => port::encode_port_mod(w, version, p)?,
        Message::TableMod(t) => table::encode_table_mod(w, version, t)?,
        Message::MultipartRequest(p) => multipart::encode_request(w, version, p, &mut Vec::new())?,
        Message::MultipartReply(p) => multipart::encode_reply(w, version, p, &mut Vec::new())?,
        Message::QueueGetConfigRequest(port) if version == Version::V10 => {
            v10::put_port(w, *port, "port")?;
            w.zeros(2);
        }
        Message::QueueGetConfigRequest(port) => port::encode_port_request(w, version, *port)?,
        Message::QueueGetConfigReply { port, queues } => {
            port::encode_port_request(w, version, *port)?;
            queues.iter().try_for_each(|q| queue::encode_packet_queue(w, version, q))?;
        }
        Message::RoleRequest(r) | Message::RoleReply(r) => role::encode_role(w, version, r),
        Message::GetAsyncRequest(a) if version == Version::V13 => {
            super::require(a.props.is_empty(), version, "a get-async request with properties")?;
        }
        Message::GetAsyncRequest(a) | Message::SetAsync(a) => async_config::encode(w, version, a, false)?,
        Message::GetAsyncReply(a) => async_config::encode(w, version, a, true)?,
        Message::MeterMod(m) => meter::encode_meter_mod(w, m)?,
        Message::RoleStatus(s) => role::encode_status(w, s)?,
        Message::TableStatus(s) => table::encode_status(w, s)?,
        Message::RequestForward(f) => bundle::encode_request_forward(w, version, f)?,
        Message::BundleControl(b) => bundle::encode_control(w, version, b)?,
        Message::BundleAdd(b) => bundle::encode_add(w, version, b)?,
        Message::ControllerStatus(s) => role::encode_controller(w, s)?,
    }
    if version == Version::V10 {
        return v10::own_type(ty).ok_or_else(|| unsupported(version, message_name(m)));
    }
    Ok(ty)
}

macro_rules! message_types {
    ($($pattern:pat => $ty:ident, $name:literal;)*) => {
        /// The type of a message in the numbering of 1.1 and later.
        fn message_type(m: &Message) -> u8 {
            match m { $($pattern => $ty),* }
        }

        /// The specification's name of a message's type.
        pub fn message_name(m: &Message) -> &'static str {
            match m { $($pattern => $name),* }
        }
    };
}

message_types! {
    Message::Hello(_) => HELLO, "OFPT_HELLO";
    Message::Error(_) => ERROR, "OFPT_ERROR";
    Message::EchoRequest(_) => ECHO_REQUEST, "OFPT_ECHO_REQUEST";
    Message::EchoReply(_) => ECHO_REPLY, "OFPT_ECHO_REPLY";
    Message::Experimenter(_) | Message::Nicira(_) => EXPERIMENTER, "OFPT_EXPERIMENTER";
    Message::FeaturesRequest => FEATURES_REQUEST, "OFPT_FEATURES_REQUEST";
    Message::FeaturesReply(_) => FEATURES_REPLY, "OFPT_FEATURES_REPLY";
    Message::GetConfigRequest => GET_CONFIG_REQUEST, "OFPT_GET_CONFIG_REQUEST";
    Message::GetConfigReply(_) => GET_CONFIG_REPLY, "OFPT_GET_CONFIG_REPLY";
    Message::SetConfig(_) => SET_CONFIG, "OFPT_SET_CONFIG";
    Message::PacketIn(_) => PACKET_IN, "OFPT_PACKET_IN";
    Message::FlowRemoved(_) => FLOW_REMOVED, "OFPT_FLOW_REMOVED";
    Message::PortStatus(_) => PORT_STATUS, "OFPT_PORT_STATUS";
    Message::PacketOut(_) => PACKET_OUT, "OFPT_PACKET_OUT";
    Message::FlowMod(_) => FLOW_MOD, "OFPT_FLOW_MOD";
    Message::GroupMod(_) => GROUP_MOD, "OFPT_GROUP_MOD";
    Message::PortMod(_) => PORT_MOD, "OFPT_PORT_MOD";
    Message::TableMod(_) => TABLE_MOD, "OFPT_TABLE_MOD";
    Message::MultipartRequest(_) => MULTIPART_REQUEST, "OFPT_MULTIPART_REQUEST";
    Message::MultipartReply(_) => MULTIPART_REPLY, "OFPT_MULTIPART_REPLY";
    Message::BarrierRequest => BARRIER_REQUEST, "OFPT_BARRIER_REQUEST";
    Message::BarrierReply => BARRIER_REPLY, "OFPT_BARRIER_REPLY";
    Message::QueueGetConfigRequest(_) => QUEUE_GET_CONFIG_REQUEST, "OFPT_QUEUE_GET_CONFIG_REQUEST";
    Message::QueueGetConfigReply { .. } => QUEUE_GET_CONFIG_REPLY, "OFPT_QUEUE_GET_CONFIG_REPLY";
    Message::RoleRequest(_) => ROLE_REQUEST, "OFPT_ROLE_REQUEST";
    Message::RoleReply(_) => ROLE_REPLY, "OFPT_ROLE_REPLY";
    Message::GetAsyncRequest(_) => GET_ASYNC_REQUEST, "OFPT_GET_ASYNC_REQUEST";
    Message::GetAsyncReply(_) => GET_ASYNC_REPLY, "OFPT_GET_ASYNC_REPLY";
    Message::SetAsync(_) => SET_ASYNC, "OFPT_SET_ASYNC";
    Message::MeterMod(_) => METER_MOD, "OFPT_METER_MOD";
    Message::RoleStatus(_) => ROLE_STATUS, "OFPT_ROLE_STATUS";
    Message::TableStatus(_) => TABLE_STATUS, "OFPT_TABLE_STATUS";
    Message::RequestForward(_) => REQUESTFORWARD, "OFPT_REQUESTFORWARD";
    Message::BundleControl(_) => BUNDLE_CONTROL, "OFPT_BUNDLE_CONTROL";
    Message::BundleAdd(_) => BUNDLE_ADD_MESSAGE, "OFPT_BUNDLE_ADD_MESSAGE";
    Message::ControllerStatus(_) => CONTROLLER_STATUS, "OFPT_CONTROLLER_STATUS";
}
