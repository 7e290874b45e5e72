//! Nicira extension messages (`NXT_*`) that controllers use, and the few ONF ones without a place in [`crate::message::Message`].

use crate::action::Action;
use crate::flow::{FlowMod, FlowRemoved};
use crate::matching::Match;
use crate::role::Role;
use bytes::Bytes;

/// A Nicira message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the extension's own words")]
pub enum NxMessage {
    /// `NXT_ROLE_REQUEST`
    RoleRequest(Role),
    /// `NXT_ROLE_REPLY`
    RoleReply(Role),
    /// `NXT_SET_FLOW_FORMAT`: 0 OpenFlow 1.0, 2 NXM.
    SetFlowFormat(u32),
    /// `NXT_FLOW_MOD_TABLE_ID`
    FlowModTableId(bool),
    /// `NXT_SET_PACKET_IN_FORMAT`: 0 standard, 1 `NXT_PACKET_IN`, 2 `NXT_PACKET_IN2`.
    SetPacketInFormat(u32),
    /// `NXT_SET_ASYNC_CONFIG`: packet-in, port-status, flow-removed masks for master and slave.
    SetAsyncConfig { packet_in: [u32; 2], port_status: [u32; 2], flow_removed: [u32; 2] },
    /// `NXT_SET_ASYNC_CONFIG2`: 1.4's properties.
    SetAsyncConfig2(crate::async_config::AsyncConfig),
    /// `NXT_SET_CONTROLLER_ID`
    SetControllerId(u16),
    /// `NXT_FLOW_MOD`: 1.0 with an NXM match.
    FlowMod(FlowMod),
    /// `NXT_FLOW_REMOVED`
    FlowRemoved(FlowRemoved),
    /// `NXT_PACKET_IN`
    PacketIn(crate::packet::PacketIn),
    /// `NXT_PACKET_IN2`
    PacketIn2(Box<PacketIn2>),
    /// `NXT_RESUME`
    Resume(Box<PacketIn2>),
    /// `NXT_FLOW_MONITOR_CANCEL`
    FlowMonitorCancel(u32),
    /// `NXT_FLOW_MONITOR_PAUSED`
    FlowMonitorPaused,
    /// `NXT_FLOW_MONITOR_RESUMED`
    FlowMonitorResumed,
    /// `NXT_FLOW_AGE`
    FlowAge,
    /// `NXT_CT_FLUSH_ZONE`
    CtFlushZone(u16),
    /// `ONFT_FLOW_MONITOR_CANCEL` (EXT-187)
    OnfFlowMonitorCancel(u32),
    /// `ONFT_FLOW_MONITOR_PAUSED` (EXT-187)
    OnfFlowMonitorPaused,
    /// `ONFT_FLOW_MONITOR_RESUMED` (EXT-187)
    OnfFlowMonitorResumed,
    /// A subtype not known.
    Unknown { subtype: u32, data: Bytes },
}

/// The properties of `NXT_PACKET_IN2` and `NXT_RESUME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the extension's own words")]
pub struct PacketIn2 {
    pub packet: Option<Bytes>,
    pub full_len: Option<u32>,
    pub buffer_id: Option<u32>,
    pub table_id: Option<u8>,
    pub cookie: Option<u64>,
    pub reason: Option<u8>,
    pub metadata: Option<Match>,
    pub userdata: Option<Bytes>,
    pub continuation: Option<Bytes>,
    pub actions: Vec<Action>,
    /// Properties not known.
    pub other: Vec<crate::group::UnknownProp>,
}
