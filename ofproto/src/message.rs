//! Every message of every version, as meaning (OpenFlow 1.3.5 §7.1.1, §7.3-5; 1.5.1 §7.1.1, §7.3-5).

use crate::async_config::AsyncConfig;
use crate::bundle::{BundleAdd, BundleCtrl, BundleFeatures};
use crate::flow::{FlowMod, FlowRemoved};
use crate::group::{GroupDesc, GroupFeatures, GroupMod, GroupStats};
use crate::ids::{Dpid, ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use crate::meter::{MeterConfig, MeterFeatures, MeterMod, MeterStats};
use crate::monitor::{FlowMonitorRequest, FlowUpdate};
use crate::nx_message::NxMessage;
use crate::packet::{PacketIn, PacketOut};
use crate::port::{Port, PortMod, PortStats, PortStatus};
use crate::queue::{QueueDesc, QueueStats};
use crate::role::{ControllerStatus, RoleMsg, RoleStatus};
use crate::stats::{AggregateStats, FlowDesc, FlowStatsEntry, FlowStatsRequest, SwitchDesc};
use crate::table::{TableDesc, TableFeatures, TableMod, TableStats, TableStatus};
use bitflags::bitflags;
use bytes::Bytes;

/// One hello element (`ofp_hello_elem_type`).
///
/// OpenFlow 1.3.5 §7.5.1, 1.5.1 §7.5.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HelloElement {
    /// `OFPHET_VERSIONBITMAP`: words of 32 bits, bit n of word 0 for wire version n.
    VersionBitmap(Vec<u32>),
    /// One not known.
    Unknown(u16, Bytes),
}

/// `OFPT_ERROR`: raw numbers, because a sender may use any. [`ErrorKind`](crate::ErrorKind) gives them names.
///
/// OpenFlow 1.3.5 §7.4.4, 1.4.1 §7.5.4, 1.5.1 §7.5.4, 1.0.0 §5.4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ErrorMsg {
    /// `type`
    pub ty: u16,
    /// `code` (`exp_type` when `ty` is 0xffff)
    pub code: u16,
    /// Whose, when `ty` is 0xffff.
    pub experimenter: Option<ExperimenterId>,
    /// The offending message's first bytes, or text.
    pub data: Bytes,
}

/// An experimenter message, multipart or statistics body that this crate doesn't know.
///
/// OpenFlow 1.3.5 §7.3.5.15, §7.5.4; 1.4.1 §7.3.5.18, §7.5.5; 1.5.1 §7.3.5.21, §7.5.5; 1.0.0 §5.5.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Experimenter {
    /// Whose.
    pub experimenter: ExperimenterId,
    /// Subtype (1.1+; 1.0's vendor data begins at `data` with it absent).
    pub exp_type: Option<u32>,
    /// The rest.
    pub data: Bytes,
}

bitflags! {
    /// `ofp_capabilities`, all versions.
    ///
    /// OpenFlow 1.3.5 §7.3.1, 1.5.1 §7.3.1, 1.0.0 §5.3.1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Capabilities: u32 {
        /// `OFPC_FLOW_STATS`
        const FLOW_STATS = 1;
        /// `OFPC_TABLE_STATS`
        const TABLE_STATS = 2;
        /// `OFPC_PORT_STATS`
        const PORT_STATS = 4;
        /// `OFPC_GROUP_STATS` (1.1+), `OFPC_STP` (1.0)
        const GROUP_STATS = 8;
        /// `OFPC_IP_REASM`
        const IP_REASM = 32;
        /// `OFPC_QUEUE_STATS`
        const QUEUE_STATS = 64;
        /// `OFPC_ARP_MATCH_IP` (1.0, 1.1)
        const ARP_MATCH_IP = 128;
        /// `OFPC_PORT_BLOCKED` (1.2+)
        const PORT_BLOCKED = 256;
        /// `OFPC_BUNDLES` (1.4+)
        const BUNDLES = 512;
        /// `OFPC_FLOW_MONITORING` (1.4+)
        const FLOW_MONITORING = 1024;
        const _ = !0;
    }
}

/// `OFPT_FEATURES_REPLY`: who the switch is and what it can do.
///
/// OpenFlow 1.3.5 §7.3.1, 1.5.1 §7.3.1, 1.0.0 §5.3.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SwitchFeatures {
    /// Datapath id.
    pub dpid: Dpid,
    /// Packets the switch can buffer.
    pub n_buffers: u32,
    /// Tables.
    pub n_tables: u8,
    /// Auxiliary connection id (1.3+).
    pub auxiliary_id: u8,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// 1.0: bitmap of actions; 1.1+: reserved.
    pub actions: u32,
    /// 1.0-1.2: the ports.
    pub ports: Vec<Port>,
}

/// `ofp_switch_config`: how fragments are treated, and how much of a packet without a match is sent.
///
/// OpenFlow 1.3.5 §7.3.2, 1.5.1 §7.3.2, 1.0.0 §5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SwitchConfig {
    /// `OFPC_FRAG_*` in bits 0-1; 1.1-1.2: `OFPC_INVALID_TTL_TO_CONTROLLER` is bit 2.
    pub flags: u16,
    /// Bytes of a packet-in for a miss.
    pub miss_send_len: u16,
}

/// `OFPT_REQUESTFORWARD` (1.4+; the 1.3 extension EXT-235): another controller's request.
///
/// OpenFlow 1.4.1 §7.4.6, 1.5.1 §7.4.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestForward {
    /// The request that was carried out: its xid and the message (group-mod or meter-mod).
    pub xid: crate::ids::Xid,
    /// The message.
    pub request: Box<Message>,
}

/// A message, without its header (`ofp_type`).
///
/// OpenFlow 1.3.5 §6.1, §7.1.1, §7.3-5; 1.4.1 §7.1.1, §7.3-5; 1.5.1 §7.1.1, §7.3-5; 1.0.0 §5.1, §5.3-5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `OFPT_HELLO` (1.3.5 §7.5.1)
    Hello(Vec<HelloElement>),
    /// `OFPT_ERROR` (1.3.5 §7.4.4, 1.5.1 §7.5.4)
    Error(ErrorMsg),
    /// `OFPT_ECHO_REQUEST` (1.3.5 §7.5.2)
    EchoRequest(Bytes),
    /// `OFPT_ECHO_REPLY` (1.3.5 §7.5.3)
    EchoReply(Bytes),
    /// `OFPT_EXPERIMENTER` (1.3.5 §7.5.4, 1.5.1 §7.5.5); 1.0: `OFPT_VENDOR`.
    Experimenter(Experimenter),
    /// A Nicira (or ONF-extension) message that this crate knows.
    Nicira(NxMessage),
    /// `OFPT_FEATURES_REQUEST` (1.3.5 §7.3.1)
    FeaturesRequest,
    /// `OFPT_FEATURES_REPLY` (1.3.5 §7.3.1)
    FeaturesReply(SwitchFeatures),
    /// `OFPT_GET_CONFIG_REQUEST` (1.3.5 §7.3.2)
    GetConfigRequest,
    /// `OFPT_GET_CONFIG_REPLY` (1.3.5 §7.3.2)
    GetConfigReply(SwitchConfig),
    /// `OFPT_SET_CONFIG` (1.3.5 §7.3.2)
    SetConfig(SwitchConfig),
    /// `OFPT_PACKET_IN` (1.3.5 §7.4.1)
    PacketIn(PacketIn),
    /// `OFPT_FLOW_REMOVED` (1.3.5 §7.4.2)
    FlowRemoved(FlowRemoved),
    /// `OFPT_PORT_STATUS` (1.3.5 §7.4.3)
    PortStatus(PortStatus),
    /// `OFPT_PACKET_OUT` (1.3.5 §7.3.7, 1.5.1 §7.3.6)
    PacketOut(PacketOut),
    /// `OFPT_FLOW_MOD` (1.3.5 §7.3.4.1, 1.5.1 §7.3.4.2)
    FlowMod(FlowMod),
    /// `OFPT_GROUP_MOD` (1.3.5 §7.3.4.2, 1.5.1 §7.3.4.3)
    GroupMod(GroupMod),
    /// `OFPT_PORT_MOD` (1.3.5 §7.3.4.3, 1.5.1 §7.3.4.4)
    PortMod(PortMod),
    /// `OFPT_TABLE_MOD` (1.3.5 §7.3.3, 1.5.1 §7.3.4.1)
    TableMod(TableMod),
    /// `OFPT_MULTIPART_REQUEST` (1.3.5 §7.3.5); 1.0-1.2: `OFPT_STATS_REQUEST`.
    MultipartRequest(Multipart<MultipartRequest>),
    /// `OFPT_MULTIPART_REPLY` (1.3.5 §7.3.5); 1.0-1.2: `OFPT_STATS_REPLY`.
    MultipartReply(Multipart<MultipartReply>),
    /// `OFPT_BARRIER_REQUEST` (1.3.5 §7.3.8, 1.5.1 §7.3.7)
    BarrierRequest,
    /// `OFPT_BARRIER_REPLY` (1.3.5 §7.3.8, 1.5.1 §7.3.7)
    BarrierReply,
    /// `OFPT_QUEUE_GET_CONFIG_REQUEST` (1.3.5 §7.3.6)
    QueueGetConfigRequest(PortNo),
    /// `OFPT_QUEUE_GET_CONFIG_REPLY` (1.3.5 §7.3.6)
    QueueGetConfigReply {
        /// Of which port.
        port: PortNo,
        /// Its queues.
        queues: Vec<QueueDesc>,
    },
    /// `OFPT_ROLE_REQUEST` (1.3.5 §7.3.9, 1.5.1 §7.3.8)
    RoleRequest(RoleMsg),
    /// `OFPT_ROLE_REPLY` (1.3.5 §7.3.9, 1.5.1 §7.3.8)
    RoleReply(RoleMsg),
    /// `OFPT_GET_ASYNC_REQUEST` (1.3.5 §7.3.10); 1.3 carries no body, 1.5's request may carry properties.
    GetAsyncRequest(AsyncConfig),
    /// `OFPT_GET_ASYNC_REPLY` (1.3.5 §7.3.10)
    GetAsyncReply(AsyncConfig),
    /// `OFPT_SET_ASYNC` (1.3.5 §7.3.10)
    SetAsync(AsyncConfig),
    /// `OFPT_METER_MOD` (1.3.5 §7.3.4.4, 1.5.1 §7.3.4.5)
    MeterMod(MeterMod),
    /// `OFPT_ROLE_STATUS` (1.4.1 §7.4.4)
    RoleStatus(RoleStatus),
    /// `OFPT_TABLE_STATUS` (1.4.1 §7.4.5)
    TableStatus(TableStatus),
    /// `OFPT_REQUESTFORWARD` (1.4.1 §7.4.6)
    RequestForward(RequestForward),
    /// `OFPT_BUNDLE_CONTROL` (1.4.1 §7.3.9.1)
    BundleControl(BundleCtrl),
    /// `OFPT_BUNDLE_ADD_MESSAGE` (1.4.1 §7.3.9.2)
    BundleAdd(BundleAdd),
    /// `OFPT_CONTROLLER_STATUS` (1.5.1 §7.4.7)
    ControllerStatus(ControllerStatus),
}

/// One segment of a multipart (1.0-1.2: statistics) exchange: `ofp_multipart_request`, `ofp_multipart_reply`.
///
/// OpenFlow 1.3.5 §7.3.5, 1.5.1 §7.3.5, 1.0.0 §5.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Multipart<B> {
    /// `OFPMPF_*_MORE`: further segments follow.
    pub more: bool,
    /// Other flag bits as received.
    pub other_flags: u16,
    /// The body.
    pub body: B,
}

impl<B> Multipart<B> {
    /// A single, last segment.
    pub const fn last(body: B) -> Self {
        Self { more: false, other_flags: 0, body }
    }
}

/// Body of a multipart request (`ofp_multipart_type`).
///
/// OpenFlow 1.3.5 §7.3.5, 1.4.1 §7.3.5, 1.5.1 §7.3.5, 1.0.0 §5.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultipartRequest {
    /// `OFPMP_DESC` (1.3.5 §7.3.5.1)
    Desc,
    /// `OFPMP_FLOW` (1.3.5 §7.3.5.2); 1.5: `OFPMP_FLOW_DESC`.
    Flow(FlowStatsRequest),
    /// `OFPMP_AGGREGATE` (1.3.5 §7.3.5.3, 1.5.1 §7.3.5.4)
    Aggregate(FlowStatsRequest),
    /// `NXST_FLOW`: Nicira's statistics in 1.0, with an NXM match (`nicira-ext.h`).
    NxFlow(FlowStatsRequest),
    /// `NXST_AGGREGATE`, likewise.
    NxAggregate(FlowStatsRequest),
    /// `OFPMP_TABLE` (1.3.5 §7.3.5.4, 1.5.1 §7.3.5.16)
    Table,
    /// `OFPMP_PORT_STATS` (1.3.5 §7.3.5.6, 1.5.1 §7.3.5.5)
    PortStats(PortNo),
    /// `OFPMP_QUEUE` (1.3.5 §7.3.5.8, 1.5.1 §7.3.5.7)
    Queue {
        /// Of which port.
        port: PortNo,
        /// Which queue.
        queue: QueueId,
    },
    /// `OFPMP_GROUP` (1.3.5 §7.3.5.9)
    Group(GroupId),
    /// `OFPMP_GROUP_DESC` (1.3.5 §7.3.5.10); 1.5 names one group; before: `ALL`.
    GroupDesc(GroupId),
    /// `OFPMP_GROUP_FEATURES` (1.3.5 §7.3.5.11)
    GroupFeatures,
    /// `OFPMP_METER` (1.3.5 §7.3.5.12)
    Meter(MeterId),
    /// `OFPMP_METER_CONFIG` (1.3.5 §7.3.5.13); 1.5: `OFPMP_METER_DESC`.
    MeterConfig(MeterId),
    /// `OFPMP_METER_FEATURES` (1.3.5 §7.3.5.14)
    MeterFeatures,
    /// `OFPMP_TABLE_FEATURES` (1.3.5 §7.3.5.5, 1.5.1 §7.3.5.18)
    TableFeatures(Vec<TableFeatures>),
    /// `OFPMP_PORT_DESC` (1.3.5 §7.3.5.7, 1.5.1 §7.3.5.6); 1.5 names one port; before: `ANY`.
    PortDesc(PortNo),
    /// `OFPMP_TABLE_DESC` (1.4.1 §7.3.5.5, 1.5.1 §7.3.5.17)
    TableDesc,
    /// `OFPMP_QUEUE_DESC` (1.4.1 §7.3.5.10, 1.5.1 §7.3.5.8)
    QueueDesc {
        /// Of which port.
        port: PortNo,
        /// Which queue.
        queue: QueueId,
    },
    /// `OFPMP_FLOW_MONITOR` (1.4.1 §7.3.5.17, 1.5.1 §7.3.5.19)
    FlowMonitor(Vec<FlowMonitorRequest>),
    /// `OFPMP_FLOW_STATS` (1.5.1 §7.3.5.3)
    FlowStats(FlowStatsRequest),
    /// `OFPMP_CONTROLLER_STATUS` (1.5.1 §7.3.5.15)
    ControllerStatus,
    /// `OFPMP_BUNDLE_FEATURES` (1.5.1 §7.3.5.20)
    BundleFeatures(BundleFeatures),
    /// `OFPMP_EXPERIMENTER` (1.3.5 §7.3.5.15, 1.5.1 §7.3.5.21)
    Experimenter(Experimenter),
    /// Nothing of a type whose body is one structure: a segment before or behind the one that holds it (1.3.5
    /// §7.3.5). Alone it is no request.
    Empty {
        /// The wire type.
        ty: u16,
    },
    /// A type that the version doesn't define.
    Unknown {
        /// The wire type.
        ty: u16,
        /// Its body.
        body: Bytes,
    },
}

/// Body of a multipart reply (`ofp_multipart_type`).
///
/// OpenFlow 1.3.5 §7.3.5, 1.4.1 §7.3.5, 1.5.1 §7.3.5, 1.0.0 §5.3.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MultipartReply {
    /// `OFPMP_DESC` (1.3.5 §7.3.5.1)
    Desc(SwitchDesc),
    /// `OFPMP_FLOW` (1.3.5 §7.3.5.2); 1.5: `OFPMP_FLOW_DESC`.
    Flow(Vec<FlowDesc>),
    /// `OFPMP_AGGREGATE` (1.3.5 §7.3.5.3, 1.5.1 §7.3.5.4)
    Aggregate(AggregateStats),
    /// `NXST_FLOW` (`nicira-ext.h`)
    NxFlow(Vec<FlowDesc>),
    /// `NXST_AGGREGATE` (`nicira-ext.h`)
    NxAggregate(AggregateStats),
    /// `OFPMP_TABLE` (1.3.5 §7.3.5.4, 1.5.1 §7.3.5.16)
    Table(Vec<TableStats>),
    /// `OFPMP_PORT_STATS` (1.3.5 §7.3.5.6, 1.5.1 §7.3.5.5)
    PortStats(Vec<PortStats>),
    /// `OFPMP_QUEUE` (1.3.5 §7.3.5.8, 1.5.1 §7.3.5.7)
    Queue(Vec<QueueStats>),
    /// `OFPMP_GROUP` (1.3.5 §7.3.5.9)
    Group(Vec<GroupStats>),
    /// `OFPMP_GROUP_DESC` (1.3.5 §7.3.5.10)
    GroupDesc(Vec<GroupDesc>),
    /// `OFPMP_GROUP_FEATURES` (1.3.5 §7.3.5.11)
    GroupFeatures(GroupFeatures),
    /// `OFPMP_METER` (1.3.5 §7.3.5.12)
    Meter(Vec<MeterStats>),
    /// `OFPMP_METER_CONFIG` (1.3.5 §7.3.5.13); 1.5: `OFPMP_METER_DESC`.
    MeterConfig(Vec<MeterConfig>),
    /// `OFPMP_METER_FEATURES` (1.3.5 §7.3.5.14)
    MeterFeatures(MeterFeatures),
    /// `OFPMP_TABLE_FEATURES` (1.3.5 §7.3.5.5, 1.5.1 §7.3.5.18)
    TableFeatures(Vec<TableFeatures>),
    /// `OFPMP_PORT_DESC` (1.3.5 §7.3.5.7, 1.5.1 §7.3.5.6)
    PortDesc(Vec<Port>),
    /// `OFPMP_TABLE_DESC` (1.4.1 §7.3.5.5, 1.5.1 §7.3.5.17)
    TableDesc(Vec<TableDesc>),
    /// `OFPMP_QUEUE_DESC` (1.4.1 §7.3.5.10, 1.5.1 §7.3.5.8)
    QueueDesc(Vec<QueueDesc>),
    /// `OFPMP_FLOW_MONITOR` (1.4.1 §7.3.5.17, 1.5.1 §7.3.5.19)
    FlowMonitor(Vec<FlowUpdate>),
    /// `OFPMP_FLOW_STATS` (1.5.1 §7.3.5.3)
    FlowStats(Vec<FlowStatsEntry>),
    /// `OFPMP_CONTROLLER_STATUS` (1.5.1 §7.3.5.15)
    ControllerStatus(Vec<ControllerStatus>),
    /// `OFPMP_BUNDLE_FEATURES` (1.5.1 §7.3.5.20)
    BundleFeatures(BundleFeatures),
    /// `OFPMP_EXPERIMENTER` (1.3.5 §7.3.5.15, 1.5.1 §7.3.5.21)
    Experimenter(Experimenter),
    /// A type that the version doesn't define.
    Unknown {
        /// The wire type.
        ty: u16,
        /// Its body.
        body: Bytes,
    },
}
