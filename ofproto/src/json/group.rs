//! Groups and meters.

use super::basic::list;
use super::codec::{Json, Result, bad, bitmap, names, object, single, tagged, wrap};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupProp, GroupStats, GroupType,
    MethodName, OtherProp, SelectionMethod,
};
use crate::ids::{BucketId, GroupId};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use bytes::Bytes;
use serde_json::Value;

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

impl Json for GroupProp {
    fn to_json(&self) -> Value {
        match self {
            Self::Selection(s) => wrap("selection_method", s.to_json()),
            Self::Other(p) => p.to_json(),
        }
    }

    fn from_json(value: &Value) -> Result<Self> {
        match single(value)? {
            ("selection_method", s) => {
                SelectionMethod::from_json(s).map(Self::Selection).map_err(|e| e.under("selection_method"))
            }
            _ => OtherProp::from_json(value).map(Self::Other),
        }
    }
}
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
