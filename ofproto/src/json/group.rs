//! Groups and meters.

use super::basic::list;
use super::codec::{Json, Result, bad, bitmap, names, object, put, tagged};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupProp, GroupStats, GroupType,
    MethodName, SelectionMethod,
};
use crate::ids::{BucketId, GroupId};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use bytes::Bytes;
use serde_json::{Map, Value};

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
list!(Bucket, GroupProp, GroupDesc, GroupStats);
object!(SelectionMethod {
    "exp_id": experimenter,
    "method": method,
    "param": param as hex,
    "fields": fields,
} default SelectionMethod::new(MethodName([0; 16])));

/// Text, or all sixteen bytes if they are something else.
impl Json for MethodName {
    fn to_json(&self) -> Value {
        let text = self.text().and_then(|t| std::str::from_utf8(t).ok());
        match text.filter(|t| Self::new(t) == Some(*self)) {
            Some(text) => text.into(),
            None => Bytes::copy_from_slice(&self.0).to_json(),
        }
    }

    fn from_json(value: &Value) -> Result<Self> {
        let bytes = Bytes::from_json(value).ok().and_then(|b| <[u8; 16]>::try_from(&b[..]).ok()).map(Self);
        let expected = || bad(value, "a method's name of at most 15 bytes");
        bytes.or_else(|| value.as_str().and_then(Self::new)).ok_or_else(expected)
    }
}

tagged!(property GroupProp {
    "selection_method" = Selection(value),
    "other" = Other(value),
});
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
    "types": types as group_types,
    "capabilities": capabilities,
    "max_groups": max_groups,
    "actions": actions,
});

// Meters

names!(MeterModCommand { "add" = Add, "modify" = Modify, "delete" = Delete } unknown u16);
bitmap!(MeterFlags(u16) { "kbps" = KBPS, "pktps" = PKTPS, "burst" = BURST, "stats" = STATS });
tagged!(property BandAction {
    "drop" = Drop,
    "dscp_remark" = DscpRemark { "prec_level" prec_level prec_level },
    "experimenter" = Experimenter { "exp_id" experimenter experimenter, "exp_data" data data },
    "other" = Unknown { "type" ty ty as hex, "data" data data },
});

/// The members of its type stand beside the rates.
impl Json for Band {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.extend(self.action.to_json().as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        put(&mut map, "rate", self.rate.to_json());
        put(&mut map, "burst_size", self.burst_size.to_json());
        map.into()
    }

    fn from_json(value: &Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| bad(value, "an object with type, rate, burst_size"))?;
        let number = |key| map.get(key).map_or(Ok(0), |v| u32::from_json(v).map_err(|e| e.under(key)));
        let of_action = map.iter().filter(|(k, _)| !matches!(k.as_str(), "rate" | "burst_size"));
        let action: Map<String, Value> = of_action.map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self {
            rate: number("rate")?,
            burst_size: number("burst_size")?,
            action: BandAction::from_json(&action.into())?,
        })
    }
}
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
    "band_types": band_types as band_types,
    "capabilities": capabilities as meter_flags,
    "max_bands": max_bands,
    "max_color": max_color,
    "features": features as meter_features,
} default MeterFeatures::default());
