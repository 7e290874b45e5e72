//! `ofp_actions` and `ofp_instructions`.

use super::codec::{Json, Result, bad, object, single, tagged, wrap};
use crate::action::Action;
use crate::instruction::Instruction;
use crate::nicira::{Learn, LearnSource, LearnSpec, Nat, NxAction, Subfield};
use crate::stats::FlowStat;
use serde_json::Value;

tagged!(Action {
    "output" = Output { "port_no" port port, "max_len" max_len max_len as max_len },
    "group" = Group { "group_id" 0 id },
    "set_queue" = SetQueue { "queue_id" 0 id },
    "enqueue" = Enqueue { "port_no" port port, "queue_id" queue queue },
    "push_vlan" = PushVlan { "ethertype" 0 ty as hex },
    "pop_vlan" = PopVlan,
    "push_mpls" = PushMpls { "ethertype" 0 ty as hex },
    "pop_mpls" = PopMpls { "ethertype" 0 ty as hex },
    "push_pbb" = PushPbb { "ethertype" 0 ty as hex },
    "pop_pbb" = PopPbb,
    "copy_ttl_out" = CopyTtlOut,
    "copy_ttl_in" = CopyTtlIn,
    "set_mpls_ttl" = SetMplsTtl { "mpls_ttl" 0 ttl },
    "dec_mpls_ttl" = DecMplsTtl,
    "set_nw_ttl" = SetNwTtl { "nw_ttl" 0 ttl },
    "dec_nw_ttl" = DecNwTtl,
    "set_field" = SetField { "ofp_oxm" 0 oxm },
    "set_unknown_field" = SetUnknownField { "ofp_oxm" 0 oxm },
    "set_vlan_vid" = SetVlanVid { "vlan_vid" 0 n },
    "set_vlan_pcp" = SetVlanPcp { "vlan_pcp" 0 n },
    "set_tp_src" = SetTpSrc { "tp_port" 0 n },
    "set_tp_dst" = SetTpDst { "tp_port" 0 n },
    "copy_field" = CopyField {
        "n_bits" n_bits n_bits, "src_offset" src_offset src_offset, "dst_offset" dst_offset dst_offset,
        "src" src src, "dst" dst dst,
    },
    "meter" = Meter { "meter_id" 0 id },
    "nicira" = Nicira(value),
    "experimenter" = Experimenter { "exp_id" experimenter experimenter, "exp_data" data data },
    "unknown" = Unknown { "type" ty ty, "data" data data },
});

/// An array of actions; one object with several members means them in its order.
impl Json for Vec<Action> {
    fn to_json(&self) -> Value {
        self.iter().map(Json::to_json).collect::<Vec<_>>().into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        members(value, "ofp_actions", "an array of actions")
    }
}

/// An object of instructions, each at most once; an array where one stands twice or not
/// in the order of execution, which is the one that an object means.
impl Json for Vec<Instruction> {
    fn to_json(&self) -> Value {
        let list: Vec<Value> = self.iter().map(Json::to_json).collect();
        if !self.is_sorted_by_key(Instruction::execution_rank) {
            return list.into();
        }
        let mut map = serde_json::Map::new();
        for v in &list {
            if let Ok((key, inner)) = single(v)
                && map.insert(key.to_owned(), inner.clone()).is_some()
            {
                return list.into();
            }
        }
        map.into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        let mut list: Self = members(value, "ofp_instructions", "an object of instructions")?;
        if value.is_object() {
            list.sort_by_key(Instruction::execution_rank);
        }
        Ok(list)
    }
}

fn members<T: Json>(value: &Value, own_name: &str, expected: &str) -> Result<Vec<T>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| T::from_json(v).map_err(|e| e.at(i))).collect(),
        Value::Object(map) => {
            if let (1, Some(inner)) = (map.len(), map.get(own_name)) {
                return members(inner, "", expected).map_err(|e| e.under(own_name));
            }
            map.iter().map(|(key, v)| T::from_json(&wrap(key, v.clone()))).collect()
        }
        _ => Err(bad(value, expected)),
    }
}

tagged!(Instruction {
    "goto_table" = GotoTable { "table_id" 0 table as table_number },
    "write_metadata" = WriteMetadata { "metadata" metadata metadata as hex, "metadata_mask" mask mask as hex },
    "write_actions" = WriteActions(value),
    "apply_actions" = ApplyActions(value),
    "clear_actions" = ClearActions,
    "meter" = Meter { "meter_id" 0 id },
    "stat_trigger" = StatTrigger { "flags" flags flags as stat_trigger, "thresholds" thresholds thresholds },
    "experimenter" = Experimenter { "exp_id" experimenter experimenter, "exp_data" data data },
    "unknown" = Unknown { "type" ty ty, "data" data data },
});

tagged!(FlowStat {
    "duration" = Duration { "sec" 0 s, "nsec" 1 n },
    "idle_time" = IdleTime { "sec" 0 s, "nsec" 1 n },
    "flow_count" = FlowCount(value),
    "packet_count" = PacketCount(value),
    "byte_count" = ByteCount(value),
    "unknown" = Unknown { "class" 0 class as hex, "field" 1 field, "payload" 2 payload },
});
super::basic::list!(FlowStat, LearnSpec);

object!(Subfield { "field": field, "offset": offset, "n_bits": n_bits });

tagged!(LearnSource {
    "field" = Field(value),
    "immediate" = Immediate(value),
});

tagged!(LearnSpec {
    "match" = Match { "src" src src, "dst" dst dst, "n_bits" n_bits n_bits },
    "load" = Load { "src" src src, "dst" dst dst, "n_bits" n_bits n_bits },
    "output" = Output { "src" src src, "n_bits" n_bits n_bits },
});

object!(Nat {
    "flags": flags as hex,
    "ipv4_min": ipv4_min as hex_option,
    "ipv4_max": ipv4_max as hex_option,
    "ipv6_min": ipv6_min as ipv6,
    "ipv6_max": ipv6_max as ipv6,
    "proto_min": proto_min,
    "proto_max": proto_max,
} default Nat::default());

object!(Learn {
    "idle_timeout": idle_timeout,
    "hard_timeout": hard_timeout,
    "priority": priority,
    "cookie": cookie,
    "flags": flags as hex,
    "table_id": table,
    "fin_idle_timeout": fin_idle_timeout,
    "fin_hard_timeout": fin_hard_timeout,
    "limit": limit as learn_limit,
    "specs": specs,
});

tagged!(NxAction {
    "resubmit" = Resubmit { "in_port" in_port in_port, "table_id" table table, "ct" ct ct },
    "set_tunnel" = SetTunnel { "tun_id" id id as hex, "wide" wide wide },
    "set_queue" = SetQueue { "queue_id" 0 id as hex },
    "pop_queue" = PopQueue,
    "reg_move" = RegMove {
        "n_bits" n_bits n_bits, "src_offset" src_offset src_offset, "dst_offset" dst_offset dst_offset,
        "src" src src, "dst" dst dst,
    },
    "reg_load" = RegLoad { "dst" dst dst, "value" value v as hex },
    "reg_load2" = RegLoad2 { "ofp_oxm" 0 oxm },
    "note" = Note { "note" 0 bytes },
    "multipath" = Multipath {
        "fields" fields fields, "basis" basis basis, "algorithm" algorithm algorithm, "max_link" max_link max_link,
        "arg" arg arg, "dst" dst dst,
    },
    "bundle" = Bundle {
        "algorithm" algorithm algorithm, "fields" fields fields, "basis" basis basis,
        "slave_type" slave_type slave_type as hex, "members" members members, "dst" dst dst,
    },
    "output_reg" = OutputReg { "src" src src, "max_len" max_len max_len as max_len, "v2" v2 v2 },
    "exit" = Exit,
    "dec_ttl" = DecTtl,
    "dec_ttl_cnt_ids" = DecTtlCntIds { "ids" 0 ids },
    "fin_timeout" = FinTimeout { "fin_idle_timeout" idle idle, "fin_hard_timeout" hard hard },
    "controller" = Controller {
        "max_len" max_len max_len as max_len, "controller_id" controller_id controller_id, "reason" reason reason,
    },
    "controller2" = Controller2 {
        "max_len" max_len max_len, "controller_id" controller_id controller_id, "reason" reason reason,
        "userdata" userdata userdata, "pause" pause pause, "meter_id" meter meter,
    },
    "write_metadata" = WriteMetadata { "metadata" metadata metadata as hex, "metadata_mask" mask mask as hex },
    "push_mpls" = PushMpls { "ethertype" 0 ty as hex },
    "pop_mpls" = PopMpls { "ethertype" 0 ty as hex },
    "set_mpls_ttl" = SetMplsTtl { "mpls_ttl" 0 ttl },
    "dec_mpls_ttl" = DecMplsTtl,
    "set_mpls_label" = SetMplsLabel { "label" 0 label },
    "set_mpls_tc" = SetMplsTc { "tc" 0 tc },
    "stack_push" = StackPush(value),
    "stack_pop" = StackPop(value),
    "sample" = Sample {
        "probability" probability probability, "collector_set_id" collector_set_id collector_set_id,
        "obs_domain_id" obs_domain_id obs_domain_id, "obs_point_id" obs_point_id obs_point_id,
        "sampling_port" sampling_port sampling_port, "direction" direction direction,
    },
    "learn" = Learn(value),
    "conjunction" = Conjunction { "clause" clause clause, "n_clauses" n_clauses n_clauses, "conj_id" id id },
    "ct" = Ct {
        "flags" flags flags as hex, "zone" zone zone as ct_zone, "recirc_table" recirc_table recirc_table,
        "alg" alg alg, "ofp_actions" actions actions,
    },
    "nat" = Nat(value),
    "ct_clear" = CtClear,
    "output_trunc" = OutputTrunc { "port_no" port port, "max_len" max_len max_len },
    "clone" = Clone(value),
    "check_pkt_larger" = CheckPktLarger { "pkt_len" pkt_len pkt_len, "dst" dst dst },
    "delete_field" = DeleteField(value),
    "dec_nsh_ttl" = DecNshTtl,
    "encap" = Encap {
        "hdr_size" hdr_size hdr_size, "packet_type" packet_type packet_type as hex, "properties" properties properties,
    },
    "decap" = Decap { "packet_type" packet_type packet_type as hex },
    "unknown" = Unknown { "subtype" subtype subtype, "data" data data },
});
