//! Properties, flows, packets, the switch.

use super::basic::list;
use super::codec::{HexInt, Json, bitmap, names, object};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason};
use crate::group::{OtherProp, UnknownProp};
use crate::ids::PortNo;
use crate::matching::Match;
use crate::message::{Capabilities, ErrorMsg, Experimenter, SwitchConfig, SwitchFeatures};
use crate::packet::{PacketIn, PacketInReason, PacketOut};
use crate::stats::{AggregateStats, FlowDesc, FlowStats, FlowStatsEntry, FlowStatsRequest, SwitchDesc};

// Properties

object!(UnknownProp { "type": ty as hex, "data": data });
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
} required "table_id", "command" default FlowMod::default());
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
} required "table_id" default FlowStatsRequest::default());
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
