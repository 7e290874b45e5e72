//! Nicira extension messages (`NXT_*`, `nicira-ext.h`) that controllers use, and the few ONF ones without a place in
//! [`Message`](crate::message::Message).

use crate::action::Action;
use crate::flow::{FlowMod, FlowRemoved};
use crate::matching::Match;
use crate::role::Role;
use bytes::Bytes;

/// A Nicira message (`NXT_*`), or one of the ONF's extensions.
///
/// `nicira-ext.h` of Open vSwitch; the ONF's are EXT-187's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NxMessage {
    /// `NXT_ROLE_REQUEST`: role-request before 1.2.
    RoleRequest(Role),
    /// `NXT_ROLE_REPLY`
    RoleReply(Role),
    /// `NXT_SET_FLOW_FORMAT`: 0 OpenFlow 1.0, 2 NXM.
    SetFlowFormat(u32),
    /// `NXT_FLOW_MOD_TABLE_ID`: whether 1.0's flow-mods have a table in the upper byte of their command.
    FlowModTableId(bool),
    /// `NXT_SET_PACKET_IN_FORMAT`: 0 standard, 1 `NXT_PACKET_IN`, 2 `NXT_PACKET_IN2`.
    SetPacketInFormat(u32),
    /// `NXT_SET_ASYNC_CONFIG`: packet-in, port-status, flow-removed masks for master and slave.
    SetAsyncConfig {
        /// Bit n for `OFPR_*` n.
        packet_in: [u32; 2],
        /// Bit n for `OFPPR_*` n.
        port_status: [u32; 2],
        /// Bit n for `OFPRR_*` n.
        flow_removed: [u32; 2],
    },
    /// `NXT_SET_ASYNC_CONFIG2`: 1.4's properties.
    SetAsyncConfig2(crate::async_config::AsyncConfig),
    /// `NXT_SET_CONTROLLER_ID`: the id by which controller actions name this connection.
    SetControllerId(u16),
    /// `NXT_FLOW_MOD`: 1.0 with an NXM match.
    FlowMod(FlowMod),
    /// `NXT_FLOW_REMOVED`: 1.0 with an NXM match.
    FlowRemoved(FlowRemoved),
    /// `NXT_PACKET_IN`: with table, cookie and pipeline fields in any version.
    PacketIn(crate::packet::PacketIn),
    /// `NXT_PACKET_IN2`: the same as properties.
    PacketIn2(Box<PacketIn2>),
    /// `NXT_RESUME`: gives a paused packet back.
    Resume(Box<PacketIn2>),
    /// `NXT_FLOW_MONITOR_CANCEL`: ends the monitor of this id.
    FlowMonitorCancel(u32),
    /// `NXT_FLOW_MONITOR_PAUSED`
    FlowMonitorPaused,
    /// `NXT_FLOW_MONITOR_RESUMED`
    FlowMonitorResumed,
    /// `NXT_FLOW_AGE`: makes 1.0's statistics tell flows' idle times.
    FlowAge,
    /// `NXT_TLV_TABLE_MOD`: which options of a tunnel's header the fields `tun_metadata0` to `63` stand for.
    TlvTableMod {
        /// What to do.
        command: TlvTableCommand,
        /// The fields that it is about; without meaning for `Clear`.
        maps: Vec<TlvMap>,
    },
    /// `NXT_TLV_TABLE_REQUEST`: which they stand for now.
    TlvTableRequest,
    /// `NXT_TLV_TABLE_REPLY`
    TlvTableReply {
        /// Most bytes of options altogether.
        max_option_space: u32,
        /// Most fields.
        max_fields: u16,
        /// The fields that stand for an option.
        maps: Vec<TlvMap>,
    },
    /// `NXT_CT_FLUSH_ZONE`: forgets the zone's connections.
    CtFlushZone(u16),
    /// `ONFT_FLOW_MONITOR_CANCEL` (EXT-187)
    OnfFlowMonitorCancel(u32),
    /// `ONFT_FLOW_MONITOR_PAUSED` (EXT-187)
    OnfFlowMonitorPaused,
    /// `ONFT_FLOW_MONITOR_RESUMED` (EXT-187)
    OnfFlowMonitorResumed,
    /// A subtype not known.
    Unknown {
        /// `NXT_*` number.
        subtype: u32,
        /// The bytes after it.
        data: Bytes,
    },
}

/// `enum nx_tlv_table_mod_command` of `nicira-ext.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlvTableCommand {
    /// `NXTTMC_ADD`
    Add,
    /// `NXTTMC_DELETE`
    Delete,
    /// `NXTTMC_CLEAR`
    Clear,
    /// Not defined.
    Unknown(u16),
}

/// `struct nx_tlv_map` of `nicira-ext.h`: an option of a tunnel's header and the field that stands for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlvMap {
    /// The option's class.
    pub class: u16,
    /// Its type.
    pub ty: u8,
    /// Its length in bytes, a multiple of 4.
    pub len: u8,
    /// n of `tun_metadata` n.
    pub index: u16,
}

/// The properties of `NXT_PACKET_IN2` and `NXT_RESUME` (`enum nx_packet_in2_prop_type`).
///
/// `nicira-ext.h`; ovs-actions(7), "The controller action".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PacketIn2 {
    /// `NXPINT_PACKET`: the packet's first bytes.
    pub packet: Option<Bytes>,
    /// `NXPINT_FULL_LEN`: its length, if it is cut.
    pub full_len: Option<u32>,
    /// `NXPINT_BUFFER_ID`
    pub buffer_id: Option<u32>,
    /// `NXPINT_TABLE_ID`
    pub table_id: Option<u8>,
    /// `NXPINT_COOKIE`
    pub cookie: Option<u64>,
    /// `NXPINT_REASON`: `OFPR_*`.
    pub reason: Option<u8>,
    /// `NXPINT_METADATA`: pipeline fields.
    pub metadata: Option<Match>,
    /// `NXPINT_USERDATA`: the controller action's.
    pub userdata: Option<Bytes>,
    /// `NXPINT_CONTINUATION`: opaque, to be given back with `NXT_RESUME`.
    pub continuation: Option<Bytes>,
    /// Actions of the continuation.
    pub actions: Vec<Action>,
    /// Properties not known.
    pub other: Vec<crate::group::UnknownProp>,
}
