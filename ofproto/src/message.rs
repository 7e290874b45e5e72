//! Every message of every version, as meaning.

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

/// One hello element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HelloElement {
    /// `OFPHET_VERSIONBITMAP`: words of 32 bits, bit n of word 0 for wire version n.
    VersionBitmap(Vec<u32>),
    /// One not known.
    Unknown(u16, Bytes),
}

/// `OFPT_ERROR`: raw numbers, because a sender may use any.
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

/// `OFPT_FEATURES_REPLY`
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

/// `ofp_switch_config`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SwitchConfig {
    /// `OFPC_FRAG_*` in bits 0-1; 1.1-1.2: `OFPC_INVALID_TTL_TO_CONTROLLER` is bit 2.
    pub flags: u16,
    /// Bytes of a packet-in for a miss.
    pub miss_send_len: u16,
}

/// `OFPT_REQUESTFORWARD` (1.4+)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestForward {
    /// The request that was carried out: its xid and the message (group-mod or meter-mod).
    pub xid: crate::ids::Xid,
    /// The message.
    pub request: Box<Message>,
}

/// A message, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "variants are the specification's message names; their payloads are documented")]
pub enum Message {
    Hello(Vec<HelloElement>),
    Error(ErrorMsg),
    EchoRequest(Bytes),
    EchoReply(Bytes),
    Experimenter(Experimenter),
    /// A Nicira (or ONF-extension) message that this crate knows.
    Nicira(NxMessage),
    FeaturesRequest,
    FeaturesReply(SwitchFeatures),
    GetConfigRequest,
    GetConfigReply(SwitchConfig),
    SetConfig(SwitchConfig),
    PacketIn(PacketIn),
    FlowRemoved(FlowRemoved),
    PortStatus(PortStatus),
    PacketOut(PacketOut),
    FlowMod(FlowMod),
    GroupMod(GroupMod),
    PortMod(PortMod),
    TableMod(TableMod),
    MultipartRequest(Multipart<MultipartRequest>),
    MultipartReply(Multipart<MultipartReply>),
    BarrierRequest,
    BarrierReply,
    QueueGetConfigRequest(PortNo),
    QueueGetConfigReply {
        port: PortNo,
        queues: Vec<QueueDesc>,
    },
    RoleRequest(RoleMsg),
    RoleReply(RoleMsg),
    /// 1.3 carries no body; 1.5's request may carry properties.
    GetAsyncRequest(AsyncConfig),
    GetAsyncReply(AsyncConfig),
    SetAsync(AsyncConfig),
    MeterMod(MeterMod),
    RoleStatus(RoleStatus),
    TableStatus(TableStatus),
    RequestForward(RequestForward),
    BundleControl(BundleCtrl),
    BundleAdd(BundleAdd),
    ControllerStatus(ControllerStatus),
}

/// One segment of a multipart (1.0: statistics) exchange.
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

/// Body of a multipart request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "variants are the specification's multipart names; their payloads are documented")]
pub enum MultipartRequest {
    Desc,
    /// 1.0-1.4 `FLOW`, 1.5 `FLOW_DESC`.
    Flow(FlowStatsRequest),
    Aggregate(FlowStatsRequest),
    /// `NXST_FLOW` (Nicira's statistics in 1.0, with an NXM match).
    NxFlow(FlowStatsRequest),
    /// `NXST_AGGREGATE`
    NxAggregate(FlowStatsRequest),
    Table,
    PortStats(PortNo),
    Queue {
        port: PortNo,
        queue: QueueId,
    },
    Group(GroupId),
    /// 1.5 names one group; before: `ALL`.
    GroupDesc(GroupId),
    GroupFeatures,
    Meter(MeterId),
    MeterConfig(MeterId),
    MeterFeatures,
    TableFeatures(Vec<TableFeatures>),
    /// 1.5 names one port; before: `ANY`.
    PortDesc(PortNo),
    TableDesc,
    QueueDesc {
        port: PortNo,
        queue: QueueId,
    },
    FlowMonitor(Vec<FlowMonitorRequest>),
    /// 1.5 `FLOW_STATS`.
    FlowStats(FlowStatsRequest),
    ControllerStatus,
    BundleFeatures(BundleFeatures),
    Experimenter(Experimenter),
    Unknown {
        ty: u16,
        body: Bytes,
    },
}

/// Body of a multipart reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "variants are the specification's multipart names; their payloads are documented")]
pub enum MultipartReply {
    Desc(SwitchDesc),
    Flow(Vec<FlowDesc>),
    Aggregate(AggregateStats),
    /// `NXST_FLOW`
    NxFlow(Vec<FlowDesc>),
    /// `NXST_AGGREGATE`
    NxAggregate(AggregateStats),
    Table(Vec<TableStats>),
    PortStats(Vec<PortStats>),
    Queue(Vec<QueueStats>),
    Group(Vec<GroupStats>),
    GroupDesc(Vec<GroupDesc>),
    GroupFeatures(GroupFeatures),
    Meter(Vec<MeterStats>),
    MeterConfig(Vec<MeterConfig>),
    MeterFeatures(MeterFeatures),
    TableFeatures(Vec<TableFeatures>),
    PortDesc(Vec<Port>),
    TableDesc(Vec<TableDesc>),
    QueueDesc(Vec<QueueDesc>),
    FlowMonitor(Vec<FlowUpdate>),
    FlowStats(Vec<FlowStatsEntry>),
    ControllerStatus(Vec<ControllerStatus>),
    BundleFeatures(BundleFeatures),
    Experimenter(Experimenter),
    Unknown {
        ty: u16,
        body: Bytes,
    },
}
