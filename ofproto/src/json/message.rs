//! Whole messages: objects with one key, the message's name.

use super::basic::list;
use super::codec::{Json, Result, member, names, object, object_of, put, tagged};
use crate::message::{HelloElement, Message, Multipart, MultipartReply, MultipartRequest, RequestForward};
use crate::nx_message::{NxMessage, PacketIn2, TlvMap, TlvTableCommand};
use serde_json::{Map, Value};

tagged!(HelloElement {
    "versionbitmap" = VersionBitmap(value),
    "unknown" = Unknown { "type" 0 ty, "data" 1 data },
});
list!(HelloElement);
object!(RequestForward { "xid": xid, "request": request });

impl<B: Json> Json for Multipart<B> {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "more", self.more.into());
        if self.other_flags != 0 {
            put(&mut map, "other_flags", super::codec::hex::to(&self.other_flags));
        }
        put(&mut map, "body", self.body.to_json());
        map.into()
    }

    fn from_json(value: &Value) -> Result<Self> {
        let map = object_of(value, &["more", "other_flags", "body"])?;
        let flags = super::codec::hex_option::from(member(map, "other_flags")).map_err(|e| e.under("other_flags"))?;
        Ok(Self {
            more: bool::from_json(member(map, "more")).map_err(|e| e.under("more"))?,
            other_flags: flags.unwrap_or(0),
            body: B::from_json(member(map, "body")).map_err(|e| e.under("body"))?,
        })
    }
}

tagged!(MultipartRequest {
    "desc" = Desc,
    "flow" = Flow(value),
    "aggregate" = Aggregate(value),
    "nicira_flow" = NxFlow(value),
    "nicira_aggregate" = NxAggregate(value),
    "table" = Table,
    "port_stats" = PortStats { "port_no" 0 port as port_or_all },
    "queue" = Queue { "port_no" port port as port_or_all, "queue_id" queue queue },
    "group" = Group { "group_id" 0 group },
    "group_desc" = GroupDesc { "group_id" 0 group },
    "group_features" = GroupFeatures,
    "meter" = Meter { "meter_id" 0 meter },
    "meter_config" = MeterConfig { "meter_id" 0 meter },
    "meter_features" = MeterFeatures,
    "table_features" = TableFeatures(value),
    "port_description" = PortDesc { "port_no" 0 port as port_or_all },
    "table_desc" = TableDesc,
    "queue_desc" = QueueDesc { "port_no" port port as port_or_all, "queue_id" queue queue },
    "flow_monitor" = FlowMonitor(value),
    "flow_stats" = FlowStats(value),
    "controller_status" = ControllerStatus,
    "bundle_features" = BundleFeatures(value),
    "experimenter" = Experimenter(value),
    "empty" = Empty { "type" ty ty },
    "unknown" = Unknown { "type" ty ty, "body" body body },
});

tagged!(MultipartReply {
    "desc" = Desc(value),
    "flow" = Flow(value),
    "aggregate" = Aggregate(value),
    "nicira_flow" = NxFlow(value),
    "nicira_aggregate" = NxAggregate(value),
    "table" = Table(value),
    "port_stats" = PortStats(value),
    "queue" = Queue(value),
    "group" = Group(value),
    "group_desc" = GroupDesc(value),
    "group_features" = GroupFeatures(value),
    "meter" = Meter(value),
    "meter_config" = MeterConfig(value),
    "meter_features" = MeterFeatures(value),
    "table_features" = TableFeatures(value),
    "port_description" = PortDesc(value),
    "table_desc" = TableDesc(value),
    "queue_desc" = QueueDesc(value),
    "flow_monitor" = FlowMonitor(value),
    "flow_stats" = FlowStats(value),
    "controller_status" = ControllerStatus(value),
    "bundle_features" = BundleFeatures(value),
    "experimenter" = Experimenter(value),
    "unknown" = Unknown { "type" ty ty, "body" body body },
});

object!(PacketIn2 {
    "packet": packet,
    "full_len": full_len,
    "buffer_id": buffer_id as hex_option,
    "table_id": table_id,
    "cookie": cookie as hex_option,
    "reason": reason,
    "metadata": metadata,
    "userdata": userdata,
    "continuation": continuation,
    "ofp_actions": actions,
    "properties": other,
} default PacketIn2::default());

names!(TlvTableCommand { "add" = Add, "delete" = Delete, "clear" = Clear } unknown u16);
object!(TlvMap { "class": class as hex, "type": ty as hex, "len": len, "index": index });
list!(TlvMap);
tagged!(NxMessage {
    "role_request" = RoleRequest { "role" 0 role },
    "role_reply" = RoleReply { "role" 0 role },
    "set_flow_format" = SetFlowFormat { "format" 0 n },
    "flow_mod_table_id" = FlowModTableId { "set" 0 b },
    "set_packet_in_format" = SetPacketInFormat { "format" 0 n },
    "set_async_config" = SetAsyncConfig {
        "packet_in" packet_in packet_in, "port_status" port_status port_status, "flow_removed" flow_removed flow_removed,
    },
    "set_async_config2" = SetAsyncConfig2(value),
    "set_controller_id" = SetControllerId { "controller_id" 0 n },
    "flow_mod" = FlowMod(value),
    "flow_removed" = FlowRemoved(value),
    "packet_in" = PacketIn(value),
    "packet_in2" = PacketIn2(value),
    "resume" = Resume(value),
    "flow_monitor_cancel" = FlowMonitorCancel { "id" 0 id },
    "flow_monitor_paused" = FlowMonitorPaused,
    "flow_monitor_resumed" = FlowMonitorResumed,
    "flow_age" = FlowAge,
    "tlv_table_mod" = TlvTableMod { "command" command command, "maps" maps maps },
    "tlv_table_request" = TlvTableRequest,
    "tlv_table_reply" = TlvTableReply {
        "max_option_space" max_option_space max_option_space, "max_fields" max_fields max_fields, "maps" maps maps,
    },
    "ct_flush_zone" = CtFlushZone { "zone" 0 zone },
    "onf_flow_monitor_cancel" = OnfFlowMonitorCancel { "id" 0 id },
    "onf_flow_monitor_paused" = OnfFlowMonitorPaused,
    "onf_flow_monitor_resumed" = OnfFlowMonitorResumed,
    "unknown" = Unknown { "subtype" subtype subtype, "data" data data },
});

tagged!(Message {
    "ofp_hello" = Hello { "elements" 0 elements },
    "ofp_error" = Error(value),
    "ofp_echo_request" = EchoRequest { "data" 0 data },
    "ofp_echo_reply" = EchoReply { "data" 0 data },
    "ofp_experimenter" = Experimenter(value),
    "nicira" = Nicira(value),
    "ofp_features_request" = FeaturesRequest,
    "ofp_features_reply" = FeaturesReply(value),
    "ofp_get_config_request" = GetConfigRequest,
    "ofp_get_config_reply" = GetConfigReply(value),
    "ofp_set_config" = SetConfig(value),
    "ofp_packet_in" = PacketIn(value),
    "ofp_flow_removed" = FlowRemoved(value),
    "ofp_port_status" = PortStatus(value),
    "ofp_packet_out" = PacketOut(value),
    "ofp_flow_mod" = FlowMod(value),
    "ofp_group_mod" = GroupMod(value),
    "ofp_port_mod" = PortMod(value),
    "ofp_table_mod" = TableMod(value),
    "ofp_multipart_request" = MultipartRequest(value),
    "ofp_multipart_reply" = MultipartReply(value),
    "ofp_barrier_request" = BarrierRequest,
    "ofp_barrier_reply" = BarrierReply,
    "ofp_queue_get_config_request" = QueueGetConfigRequest { "port_no" 0 port },
    "ofp_queue_get_config_reply" = QueueGetConfigReply { "port_no" port port, "queues" queues queues },
    "ofp_role_request" = RoleRequest(value),
    "ofp_role_reply" = RoleReply(value),
    "ofp_get_async_request" = GetAsyncRequest(value),
    "ofp_get_async_reply" = GetAsyncReply(value),
    "ofp_set_async" = SetAsync(value),
    "ofp_meter_mod" = MeterMod(value),
    "ofp_role_status" = RoleStatus(value),
    "ofp_table_status" = TableStatus(value),
    "ofp_requestforward" = RequestForward(value),
    "ofp_bundle_control" = BundleControl(value),
    "ofp_bundle_add_message" = BundleAdd(value),
    "ofp_controller_status" = ControllerStatus(value),
});
