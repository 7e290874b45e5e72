//! Nicira's messages, and EXT-187's in 1.3.

use super::flow::{flow_mod, flow_removed, pipeline};
use super::status::set_async;
use crate::arbitrary::{body, part};
use crate::ids::TableId;
use crate::message::Message;
use crate::nx_message::{NxMessage, PacketIn2, TlvMap, TlvTableCommand};
use crate::packet::{PacketIn, PacketInReason};
use crate::role::Role;
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// Any of them.
pub(super) fn nicira(v: Version) -> BoxedStrategy<Message> {
    let reasons = select(vec![PacketInReason::TableMiss, PacketInReason::ApplyAction, PacketInReason::InvalidTtl]);
    let packet_in =
        (body::packet_in(v), reasons, 0..254_u8, pipeline(v, true)).prop_map(|(any, reason, table, matching)| {
            let total_len = 60 + any.data.len() as u16;
            NxMessage::PacketIn(PacketIn { total_len, reason, table: TableId(table), matching, ..any })
        });
    let frame = proptest::collection::vec(any::<u8>(), 14..60).prop_map(bytes::Bytes::from);
    let packet_in2 = (frame, any::<[u32; 2]>(), any::<u64>(), 0..3_u8, pipeline(v, true), part::bytes(9)).prop_map(
        |(data, n, cookie, reason, metadata, userdata)| {
            Box::new(PacketIn2 {
                full_len: Some(60 + data.len() as u32),
                packet: Some(data),
                buffer_id: Some(n[0]),
                table_id: Some(n[1] as u8 & 0x7f),
                cookie: Some(cookie),
                reason: Some(reason),
                metadata: Some(metadata),
                userdata: Some(userdata),
                ..PacketIn2::default()
            })
        },
    );
    // A switch holds no packet of one that it lets a controller resume.
    let resume = packet_in2
        .clone()
        .prop_map(|m| NxMessage::Resume(Box::new(PacketIn2 { full_len: None, buffer_id: None, ..*m })));
    let role = || select(vec![Role::Equal, Role::Master, Role::Slave]);
    let tlv_command = select(vec![TlvTableCommand::Add, TlvTableCommand::Delete, TlvTableCommand::Clear]);
    let tlv_map = (any::<u16>(), any::<u8>(), 1..32_u8, 0..64_u16).prop_map(|(class, ty, words, index)| TlvMap {
        class,
        ty,
        len: 4 * words.min(31),
        index,
    });
    let mut all: Vec<BoxedStrategy<NxMessage>> = vec![
        role().prop_map(NxMessage::RoleRequest).boxed(),
        role().prop_map(NxMessage::RoleReply).boxed(),
        select(vec![0_u32, 2]).prop_map(NxMessage::SetFlowFormat).boxed(),
        any::<bool>().prop_map(NxMessage::FlowModTableId).boxed(),
        (0..3_u32).prop_map(NxMessage::SetPacketInFormat).boxed(),
        any::<u16>().prop_map(NxMessage::SetControllerId).boxed(),
        any::<u16>().prop_map(NxMessage::CtFlushZone).boxed(),
        Just(NxMessage::TlvTableRequest).boxed(),
        (tlv_command, vec(tlv_map.clone(), 0..4))
            .prop_map(|(command, maps)| NxMessage::TlvTableMod { command, maps })
            .boxed(),
        (any::<u32>(), any::<u16>(), vec(tlv_map, 0..4))
            .prop_map(|(space, max_fields, maps)| NxMessage::TlvTableReply {
                max_option_space: space,
                max_fields,
                maps,
            })
            .boxed(),
        any::<u32>().prop_map(NxMessage::FlowMonitorCancel).boxed(),
        any::<[[u32; 2]; 3]>()
            .prop_map(|m| NxMessage::SetAsyncConfig {
                packet_in: m[0].map(|n| n & 7),
                port_status: m[1].map(|n| n & 7),
                flow_removed: m[2].map(|n| n & 7),
            })
            .boxed(),
        Just(NxMessage::FlowMonitorPaused).boxed(),
        Just(NxMessage::FlowMonitorResumed).boxed(),
        Just(NxMessage::FlowAge).boxed(),
        flow_removed(v, true).prop_map(NxMessage::FlowRemoved).boxed(),
        packet_in.boxed(),
        packet_in2.prop_map(NxMessage::PacketIn2).boxed(),
        resume.boxed(),
        flow_mod(v, true).prop_map(NxMessage::FlowMod).boxed(),
        set_async(v.max(Version::V14)).prop_map(NxMessage::SetAsyncConfig2).boxed(),
    ];
    if v == Version::V13 {
        all.push(any::<u32>().prop_map(NxMessage::OnfFlowMonitorCancel).boxed());
        all.push(Just(NxMessage::OnfFlowMonitorPaused).boxed());
        all.push(Just(NxMessage::OnfFlowMonitorResumed).boxed());
    }
    Union::new(all).prop_map(Message::Nicira).boxed()
}
