//! Flows, groups, meters, ports, tables, queues, packets, statistics.

use super::basic::list;
use super::codec::{HexInt, Json, bitmap, names, object, tagged};
use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::bundle::{
    BundleAdd, BundleCtrl, BundleCtrlType, BundleFeatures, BundleFeaturesProp, BundleFlags, BundleProp, OfTime,
};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason};
use crate::group::{
    Bucket, ExperimenterProp, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupStats,
    GroupType, OtherProp, UnknownProp,
};
use crate::ids::{BucketId, GroupId, PortNo};
use crate::matching::Match;
use crate::message::{Capabilities, ErrorMsg, Experimenter, SwitchConfig, SwitchFeatures};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::packet::{PacketIn, PacketInReason, PacketOut};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortReason, PortState, PortStats, PortStatsProp, PortStatus,
};
use crate::queue::{QueueDesc, QueueProp, QueueStats};
use crate::role::{ControllerStatus, ControllerStatusProp, Role, RoleMsg, RoleStatus};
use crate::stats::{AggregateStats, FlowDesc, FlowStats, FlowStatsEntry, FlowStatsRequest, SwitchDesc};
use crate::table::{
    FeatureId, LegacyTable, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp,
    TableStats, TableStatus,
};

// Properties

object!(ExperimenterProp { "type": ty as hex, "exp_id": experimenter, "exp_type": exp_type as hex, "exp_data": data });
object!(UnknownProp { "type": ty as hex, "data": data });
tagged!(OtherProp {
    "experimenter" = Experimenter(value),
    "unknown" = Unknown(value),
});
list!(OtherProp, UnknownProp);

// Flows

names!(FlowModCommand {
    "add" = Add, "modify" = Modify, "modify_strict" = ModifyStrict, "delete" = Delete, "delete_strict" = DeleteStrict,
} unknown u16);
bitmap!(FlowModFlags(u16) {
    "send_flow_rem" = SEND_FLOW_REM, "check_overlap" = CHECK_OVERLAP, "reset_counts" = RESET_COUNTS,
    "no_pkt_counts" = NO_PKT_COUNTS, "no_byt_counts" = NO_BYT_COUNTS, "emerg" = EMERG,
});
object!(FlowMod {
    "table_id": table,
    "command": command,
    "idle_timeout": idle_timeout,
    "hard_timeout": hard_timeout,
    "priority": priority,
    "cookie": cookie,
    "cookie_mask": cookie_mask as hex,
    "buffer_id": buffer_id,
    "out_port": out_port,
    "out_group": out_group,
    "flags": flags,
    "importance": importance,
    "ofp_match": matching,
    "ofp_instructions": instructions,
} default FlowMod::default());
names!(FlowRemovedReason {
    "idle_timeout" = IdleTimeout, "hard_timeout" = HardTimeout, "delete" = Delete, "group_delete" = GroupDelete,
    "meter_delete" = MeterDelete, "eviction" = Eviction,
} unknown u8);
object!(FlowStats {
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "packet_count": packet_count,
    "byte_count": byte_count,
    "idle_time": idle,
    "oxs": oxs,
} default FlowStats::default());
object!(FlowRemoved {
    "table_id": table,
    "reason": reason,
    "priority": priority,
    "idle_timeout": idle_timeout,
    "hard_timeout": hard_timeout,
    "cookie": cookie,
    "stats": stats,
    "ofp_match": matching,
});
object!(FlowStatsRequest {
    "table_id": table,
    "out_port": out_port,
    "out_group": out_group,
    "cookie": cookie,
    "cookie_mask": cookie_mask as hex,
    "ofp_match": matching,
} default FlowStatsRequest::default());
object!(FlowStatsEntry {
    "table_id": table,
    "reason": reason,
    "priority": priority,
    "stats": stats,
    "ofp_match": matching,
});
object!(AggregateStats {
    "packet_count": packet_count,
    "byte_count": byte_count,
    "flow_count": flow_count,
    "oxs": oxs,
} default AggregateStats::default());
list!(FlowDesc, FlowStatsEntry);

/// `ofp_flow_stats` holds the statistics flat, as the reference has them.
impl Json for FlowDesc {
    fn to_json(&self) -> serde_json::Value {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, v| super::codec::put(&mut map, key, v);
        put("table_id", self.table.to_json());
        put("packet_count", self.stats.packet_count.to_json());
        put("byte_count", self.stats.byte_count.to_json());
        put("idle_timeout", self.idle_timeout.to_json());
        put("hard_timeout", self.hard_timeout.to_json());
        put("duration_sec", self.stats.duration_sec.to_json());
        put("duration_nsec", self.stats.duration_nsec.to_json());
        put("idle_time", self.stats.idle.to_json());
        put("oxs", self.stats.oxs.to_json());
        put("priority", self.priority.to_json());
        put("importance", self.importance.to_json());
        put("cookie", self.cookie.to_json());
        put("flags", self.flags.to_json());
        put("ofp_match", self.matching.to_json());
        put("ofp_instructions", self.instructions.to_json());
        map.into()
    }

    fn from_json(value: &serde_json::Value) -> super::codec::Result<Self> {
        let own = [
            "table_id",
            "idle_timeout",
            "hard_timeout",
            "priority",
            "importance",
            "cookie",
            "flags",
            "ofp_match",
            "ofp_instructions",
        ];
        let stats = ["packet_count", "byte_count", "duration_sec", "duration_nsec", "idle_time", "oxs"];
        let map = super::codec::object_of(value, &[&own[..], &stats[..]].concat())?;
        let of_stats: serde_json::Map<_, _> =
            map.iter().filter(|(k, _)| stats.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
        fn read<T: Json>(
            map: &serde_json::Map<String, serde_json::Value>,
            key: &str,
            default: Option<T>,
        ) -> super::codec::Result<T> {
            match (map.get(key), default) {
                (None, Some(default)) => Ok(default),
                _ => T::from_json(super::codec::member(map, key)).map_err(|e| e.under(key)),
            }
        }
        Ok(Self {
            table: read(map, "table_id", None)?,
            priority: read(map, "priority", Some(0x8000))?,
            idle_timeout: read(map, "idle_timeout", Some(0))?,
            hard_timeout: read(map, "hard_timeout", Some(0))?,
            flags: read(map, "flags", None)?,
            importance: read(map, "importance", Some(0))?,
            cookie: read(map, "cookie", Some(crate::ids::Cookie(0)))?,
            stats: FlowStats::from_json(&of_stats.into())?,
            matching: read(map, "ofp_match", None)?,
            instructions: read(map, "ofp_instructions", None)?,
        })
    }
}

// Groups

names!(GroupModCommand {
    "add" = Add, "modify" = Modify, "delete" = Delete, "insert_bucket" = InsertBucket,
    "remove_bucket" = RemoveBucket, "add_or_mod" = AddOrMod,
} unknown u16);
names!(GroupType { "all" = All, "select" = Select, "indirect" = Indirect, "ff" = FastFailover } unknown u8);
object!(Bucket {
    "bucket_id": id,
    "weight": weight,
    "watch_port": watch_port,
    "watch_group": watch_group,
    "ofp_actions": actions,
    "properties": other,
} default Bucket::new(Vec::new()));
list!(Bucket, GroupDesc, GroupStats);
object!(GroupMod {
    "command": command,
    "type": ty,
    "group_id": group,
    "command_bucket_id": command_bucket,
    "buckets": buckets,
    "properties": properties,
} default GroupMod {
    command: GroupModCommand::Add,
    ty: GroupType::All,
    group: GroupId::ANY,
    command_bucket: BucketId::ALL,
    buckets: Vec::new(),
    properties: Vec::new(),
});
object!(GroupDesc { "type": ty, "group_id": group, "buckets": buckets, "properties": properties });
object!(GroupStats {
    "group_id": group,
    "ref_count": ref_count,
    "packet_count": packet_count,
    "byte_count": byte_count,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "bucket_stats": buckets as counters,
} default GroupStats::default());
bitmap!(GroupCapabilities(u32) {
    "select_weight" = SELECT_WEIGHT, "select_liveness" = SELECT_LIVENESS, "chaining" = CHAINING,
    "chaining_checks" = CHAINING_CHECKS,
});
object!(GroupFeatures {
    "types": types as hex,
    "capabilities": capabilities,
    "max_groups": max_groups,
    "actions": actions,
});

// Meters

names!(MeterModCommand { "add" = Add, "modify" = Modify, "delete" = Delete } unknown u16);
bitmap!(MeterFlags(u16) { "kbps" = KBPS, "pktps" = PKTPS, "burst" = BURST, "stats" = STATS });
tagged!(BandAction {
    "drop" = Drop,
    "dscp_remark" = DscpRemark { "prec_level" prec_level prec_level },
    "experimenter" = Experimenter { "exp_id" experimenter experimenter, "exp_data" data data },
    "unknown" = Unknown { "type" ty ty, "data" data data },
});
object!(Band { "type": action, "rate": rate, "burst_size": burst_size } default Band {
    rate: 0,
    burst_size: 0,
    action: BandAction::Drop,
});
list!(Band, MeterConfig, MeterStats);
object!(MeterMod { "command": command, "flags": flags, "meter_id": meter, "bands": bands });
object!(MeterConfig { "flags": flags, "meter_id": meter, "bands": bands });
object!(MeterStats {
    "meter_id": meter,
    "ref_count": ref_count,
    "packet_in_count": packet_in_count,
    "byte_in_count": byte_in_count,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "band_stats": bands as counters,
} default MeterStats::default());
object!(MeterFeatures {
    "max_meter": max_meter,
    "band_types": band_types as hex,
    "capabilities": capabilities as hex,
    "max_bands": max_bands,
    "max_color": max_color,
    "features": features as hex,
} default MeterFeatures::default());

// Ports

bitmap!(PortConfig(u32) {
    "port_down" = PORT_DOWN, "no_stp" = NO_STP, "no_recv" = NO_RECV, "no_recv_stp" = NO_RECV_STP,
    "no_flood" = NO_FLOOD, "no_fwd" = NO_FWD, "no_packet_in" = NO_PACKET_IN,
});
bitmap!(PortState(u32) { "link_down" = LINK_DOWN, "blocked" = BLOCKED, "live" = LIVE });
bitmap!(PortFeatures(u32) {
    "10mb_hd" = MB10_HD, "10mb_fd" = MB10_FD, "100mb_hd" = MB100_HD, "100mb_fd" = MB100_FD, "1gb_hd" = GB1_HD,
    "1gb_fd" = GB1_FD, "10gb_fd" = GB10_FD, "40gb_fd" = GB40_FD, "100gb_fd" = GB100_FD, "1tb_fd" = TB1_FD,
    "other" = OTHER, "copper" = COPPER, "fiber" = FIBER, "autoneg" = AUTONEG, "pause" = PAUSE,
    "pause_asym" = PAUSE_ASYM,
});
object!(EthernetPort {
    "curr": curr,
    "advertised": advertised,
    "supported": supported,
    "peer": peer,
    "curr_speed": curr_speed,
    "max_speed": max_speed,
} default EthernetPort::default());
object!(OpticalPort {
    "supported": supported as hex,
    "tx_min_freq_lmda": tx_min_freq_lmda,
    "tx_max_freq_lmda": tx_max_freq_lmda,
    "tx_grid_freq_lmda": tx_grid_freq_lmda,
    "rx_min_freq_lmda": rx_min_freq_lmda,
    "rx_max_freq_lmda": rx_max_freq_lmda,
    "rx_grid_freq_lmda": rx_grid_freq_lmda,
    "tx_pwr_min": tx_pwr_min,
    "tx_pwr_max": tx_pwr_max,
} default OpticalPort::default());
tagged!(PortDescProp {
    "ethernet" = Ethernet(value),
    "optical" = Optical(value),
    "pipeline_input" = PipelineInput(value),
    "pipeline_output" = PipelineOutput(value),
    "recirculate" = Recirculate(value),
    "other" = Other(value),
});
list!(PortDescProp, Port, PortModProp, PortStatsProp, PortStats);
object!(Port {
    "port_no": port_no,
    "hw_addr": hw_addr,
    "name": name,
    "config": config,
    "state": state,
    "properties": properties,
});
names!(PortReason { "add" = Add, "delete" = Delete, "modify" = Modify } unknown u8);
object!(PortStatus { "reason": reason, "desc": port });
object!(OpticalPortMod {
    "configure": configure as hex,
    "freq_lmda": freq_lmda,
    "fl_offset": fl_offset,
    "grid_span": grid_span,
    "tx_pwr": tx_pwr,
} default OpticalPortMod::default());
tagged!(PortModProp {
    "ethernet" = Ethernet { "advertise" 0 features },
    "optical" = Optical(value),
    "other" = Other(value),
});
object!(PortMod {
    "port_no": port_no,
    "hw_addr": hw_addr,
    "config": config,
    "mask": mask,
    "properties": properties,
});
object!(EthernetStats {
    "rx_frame_err": rx_frame_err,
    "rx_over_err": rx_over_err,
    "rx_crc_err": rx_crc_err,
    "collisions": collisions,
} default EthernetStats::default());
object!(OpticalStats {
    "flags": flags as hex,
    "tx_freq_lmda": tx_freq_lmda,
    "tx_offset": tx_offset,
    "tx_grid_span": tx_grid_span,
    "rx_freq_lmda": rx_freq_lmda,
    "rx_offset": rx_offset,
    "rx_grid_span": rx_grid_span,
    "tx_pwr": tx_pwr,
    "rx_pwr": rx_pwr,
    "bias_current": bias_current,
    "temperature": temperature,
} default OpticalStats::default());
tagged!(PortStatsProp {
    "ethernet" = Ethernet(value),
    "optical" = Optical(value),
    "other" = Other(value),
});
object!(PortStats {
    "port_no": port_no,
    "rx_packets": rx_packets,
    "tx_packets": tx_packets,
    "rx_bytes": rx_bytes,
    "tx_bytes": tx_bytes,
    "rx_dropped": rx_dropped,
    "tx_dropped": tx_dropped,
    "rx_errors": rx_errors,
    "tx_errors": tx_errors,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "properties": properties,
} default PortStats::default());

// Queues

tagged!(QueueProp {
    "min_rate" = MinRate(value),
    "max_rate" = MaxRate(value),
    "other" = Other(value),
});
list!(QueueProp, QueueDesc, QueueStats);
object!(QueueDesc { "port_no": port, "queue_id": queue, "properties": properties });
object!(QueueStats {
    "port_no": port,
    "queue_id": queue,
    "tx_bytes": tx_bytes,
    "tx_packets": tx_packets,
    "tx_errors": tx_errors,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "properties": properties,
} default QueueStats::default());

// Tables

bitmap!(TableConfig(u32) { "eviction" = EVICTION, "vacancy_events" = VACANCY_EVENTS });
tagged!(TableModProp {
    "eviction" = Eviction { "flags" 0 flags as hex },
    "vacancy" = Vacancy { "vacancy_down" down down, "vacancy_up" up up, "vacancy" vacancy vacancy },
    "other" = Other(value),
});
list!(TableModProp, TableDesc, TableStats, TableFeatures, TableFeatureProp, FeatureId);
object!(TableMod { "table_id": table, "config": config, "properties": properties });
object!(TableDesc { "table_id": table, "config": config, "properties": properties });
object!(TableStatus { "reason": reason, "table": desc });
object!(TableStats {
    "table_id": table,
    "active_count": active_count,
    "lookup_count": lookup_count,
    "matched_count": matched_count,
    "legacy": legacy,
} default TableStats::default());
object!(LegacyTable {
    "name": name,
    "wildcards": wildcards as hex,
    "match": matching as hex,
    "instructions": instructions as hex,
    "write_actions": write_actions as hex,
    "apply_actions": apply_actions as hex,
    "write_setfields": write_setfields as hex,
    "apply_setfields": apply_setfields as hex,
    "metadata_match": metadata_match as hex,
    "metadata_write": metadata_write as hex,
    "config": config as hex,
    "max_entries": max_entries,
} default LegacyTable::default());
object!(FeatureId { "type": ty, "exp": experimenter, "length": length });
tagged!(TableFeatureProp {
    "instructions" = Instructions { "miss" miss miss, "ids" ids ids },
    "next_tables" = NextTables { "miss" miss miss, "table_ids" tables tables },
    "write_actions" = WriteActions { "miss" miss miss, "ids" ids ids },
    "apply_actions" = ApplyActions { "miss" miss miss, "ids" ids ids },
    "match" = Match(value),
    "wildcards" = Wildcards(value),
    "write_setfield" = WriteSetfield { "miss" miss miss, "fields" fields fields },
    "apply_setfield" = ApplySetfield { "miss" miss miss, "fields" fields fields },
    "table_sync_from" = TableSyncFrom(value),
    "write_copyfield" = WriteCopyfield { "miss" miss miss, "fields" fields fields },
    "apply_copyfield" = ApplyCopyfield { "miss" miss miss, "fields" fields fields },
    "packet_types" = PacketTypes(value),
    "other" = Other(value),
});
object!(TableFeatures {
    "table_id": table,
    "command": command,
    "features": features as hex,
    "name": name,
    "metadata_match": metadata_match as hex,
    "metadata_write": metadata_write as hex,
    "capabilities": capabilities,
    "max_entries": max_entries,
    "properties": properties,
});

// Packets

impl Json for PacketInReason {
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::TableMiss => "table_miss".into(),
            Self::ApplyAction => "apply_action".into(),
            Self::InvalidTtl => "invalid_ttl".into(),
            Self::ActionSet => "action_set".into(),
            Self::Group => "group".into(),
            Self::PacketOut => "packet_out".into(),
            Self::Other(n) => n.to_hex(),
        }
    }
    fn from_json(value: &serde_json::Value) -> super::codec::Result<Self> {
        Ok(match value.as_str() {
            Some("table_miss" | "no_match") => Self::TableMiss,
            Some("apply_action" | "action") => Self::ApplyAction,
            Some("invalid_ttl") => Self::InvalidTtl,
            Some("action_set") => Self::ActionSet,
            Some("group") => Self::Group,
            Some("packet_out") => Self::PacketOut,
            _ => Self::Other(super::codec::unnamed::<u8>(value).map_err(|_| {
                super::codec::bad(value, "table_miss, apply_action, invalid_ttl, action_set, group or packet_out")
            })?),
        })
    }
}
object!(PacketIn {
    "buffer_id": buffer_id,
    "total_len": total_len,
    "reason": reason,
    "table_id": table,
    "cookie": cookie,
    "ofp_match": matching,
    "data": data,
});
object!(PacketOut {
    "buffer_id": buffer_id,
    "ofp_match": matching,
    "ofp_actions": actions,
    "data": data,
} default PacketOut {
    buffer_id: crate::ids::BufferId::NONE,
    matching: Match::any().with(crate::field::FieldId::InPort, PortNo::ANY.0.into()),
    actions: Vec::new(),
    data: bytes::Bytes::new(),
});

// Roles, asynchronous messages, monitors, bundles

names!(Role { "nochange" = NoChange, "equal" = Equal, "master" = Master, "slave" = Slave } unknown u32);
object!(RoleMsg { "role": role, "short_id": short_id, "generation_id": generation_id as hex } default RoleMsg {
    role: Role::NoChange,
    short_id: 0,
    generation_id: 0,
});
object!(RoleStatus {
    "role": role,
    "reason": reason,
    "generation_id": generation_id as hex,
    "properties": properties,
});
tagged!(ControllerStatusProp {
    "uri" = Uri(value),
    "other" = Other(value),
});
list!(ControllerStatusProp, ControllerStatus);
object!(ControllerStatus {
    "short_id": short_id,
    "role": role,
    "reason": reason,
    "channel_status": channel_status,
    "properties": properties,
});
macro_rules! plain_names {
    ($ty:ident { $($name:literal = $variant:ident),* $(,)? }) => {
        impl Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                match self { $(Self::$variant => $name.into()),* }
            }
            fn from_json(value: &serde_json::Value) -> super::codec::Result<Self> {
                match value.as_str() {
                    $(Some($name) => Ok(Self::$variant),)*
                    _ => Err(super::codec::bad(value, [$($name),*].join(", "))),
                }
            }
        }
    };
}
plain_names!(AsyncKind {
    "packet_in" = PacketIn, "port_status" = PortStatus, "flow_removed" = FlowRemoved, "role_status" = RoleStatus,
    "table_status" = TableStatus, "requestforward" = RequestForward, "flow_stats" = FlowStats,
    "controller_status" = ControllerStatus,
});
tagged!(AsyncProp {
    "reasons" = Reasons { "message" kind kind, "master" master master, "mask" mask mask as hex },
    "other" = Other(value),
});
list!(AsyncProp);
object!(AsyncConfig { "properties": props });
bitmap!(MonitorFlags(u16) {
    "initial" = INITIAL, "add" = ADD, "removed" = REMOVED, "modify" = MODIFY, "instructions" = INSTRUCTIONS,
    "no_abbrev" = NO_ABBREV, "only_own" = ONLY_OWN,
});
names!(MonitorCommand { "add" = Add, "modify" = Modify, "delete" = Delete } unknown u8);
object!(FlowMonitorRequest {
    "monitor_id": id,
    "out_port": out_port,
    "out_group": out_group,
    "flags": flags,
    "table_id": table,
    "command": command,
    "ofp_match": matching,
});
tagged!(FlowUpdateEvent {
    "initial" = Initial,
    "added" = Added,
    "removed" = Removed { "reason" 0 reason },
    "modified" = Modified,
});
tagged!(FlowUpdate {
    "full" = Full {
        "event" event event, "table_id" table table, "idle_timeout" idle_timeout idle_timeout,
        "hard_timeout" hard_timeout hard_timeout, "priority" priority priority, "cookie" cookie cookie,
        "ofp_match" matching matching, "ofp_instructions" instructions instructions,
    },
    "abbrev" = Abbrev { "xid" 0 xid },
    "paused" = Paused,
    "resumed" = Resumed,
    "unknown" = Unknown { "event" event event, "data" data data },
});
list!(FlowMonitorRequest, FlowUpdate);
names!(BundleCtrlType {
    "open_request" = OpenRequest, "open_reply" = OpenReply, "close_request" = CloseRequest, "close_reply" = CloseReply,
    "commit_request" = CommitRequest, "commit_reply" = CommitReply, "discard_request" = DiscardRequest,
    "discard_reply" = DiscardReply,
} unknown u16);
bitmap!(BundleFlags(u16) { "atomic" = ATOMIC, "ordered" = ORDERED, "time" = TIME });
object!(OfTime { "seconds": seconds, "nanoseconds": nanoseconds });
tagged!(BundleProp {
    "time" = Time(value),
    "other" = Other(value),
});
list!(BundleProp, BundleFeaturesProp);
object!(BundleCtrl { "bundle_id": bundle, "type": ty, "flags": flags, "properties": properties });
object!(BundleAdd {
    "bundle_id": bundle,
    "flags": flags,
    "xid": inner_xid,
    "message": message,
    "properties": properties,
});
tagged!(BundleFeaturesProp {
    "time" = Time {
        "sched_accuracy" accuracy accuracy, "sched_max_future" max_future max_future,
        "sched_max_past" max_past max_past, "timestamp" timestamp timestamp,
    },
    "other" = Other(value),
});
object!(BundleFeatures { "flags": flags as hex, "properties": properties } default BundleFeatures::default());

// The switch

object!(SwitchDesc {
    "mfr_desc": mfr_desc,
    "hw_desc": hw_desc,
    "sw_desc": sw_desc,
    "serial_num": serial_num,
    "dp_desc": dp_desc,
} default SwitchDesc::default());
bitmap!(Capabilities(u32) {
    "flow_stats" = FLOW_STATS, "table_stats" = TABLE_STATS, "port_stats" = PORT_STATS, "group_stats" = GROUP_STATS,
    "ip_reasm" = IP_REASM, "queue_stats" = QUEUE_STATS, "arp_match_ip" = ARP_MATCH_IP, "port_blocked" = PORT_BLOCKED,
    "bundles" = BUNDLES, "flow_monitoring" = FLOW_MONITORING,
});
object!(SwitchFeatures {
    "datapath_id": dpid,
    "n_buffers": n_buffers,
    "n_tables": n_tables,
    "auxiliary_id": auxiliary_id,
    "capabilities": capabilities,
    "actions": actions as hex,
    "ports": ports,
});
object!(ErrorMsg { "type": ty, "code": code, "exp_id": experimenter, "data": data });
object!(Experimenter { "exp_id": experimenter, "exp_type": exp_type as hex_option, "exp_data": data });

/// `flags` is a bitmap of `OFPC_FRAG` names, of which the first three exclude each other.
impl Json for SwitchConfig {
    fn to_json(&self) -> serde_json::Value {
        let frag = match self.flags & 3 {
            0 => "normal",
            1 => "drop",
            2 => "reasm",
            _ => "mask",
        };
        let mut flags: Vec<serde_json::Value> = vec![frag.into()];
        if self.flags & 4 != 0 {
            flags.push("invalid_ttl_to_controller".into());
        }
        if self.flags & !7 != 0 {
            flags.push((self.flags & !7).to_hex());
        }
        let mut map = serde_json::Map::new();
        super::codec::put(&mut map, "flags", flags.into());
        super::codec::put(&mut map, "miss_send_len", super::codec::max_len::to(&self.miss_send_len));
        map.into()
    }

    fn from_json(value: &serde_json::Value) -> super::codec::Result<Self> {
        let map = super::codec::object_of(value, &["flags", "miss_send_len"])?;
        let mut flags = 0;
        let list = super::codec::member(map, "flags");
        let names = if list.is_null() {
            &[]
        } else {
            list.as_array().map(Vec::as_slice).ok_or_else(|| super::codec::bad(list, "an array").under("flags"))?
        };
        for (i, v) in names.iter().enumerate() {
            flags |= match v.as_str() {
                Some("normal") => 0,
                Some("drop") => 1,
                Some("reasm") => 2,
                Some("mask") => 3,
                Some("invalid_ttl_to_controller") => 4,
                _ => u16::from_hex(v).map_err(|e| e.at(i).under("flags"))?,
            };
        }
        let len = super::codec::member(map, "miss_send_len");
        let miss_send_len = super::codec::max_len::from(len).map_err(|e| e.under("miss_send_len"))?;
        Ok(Self { flags, miss_send_len })
    }
}
