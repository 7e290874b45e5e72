//! Groups and meters.

use super::basic::list;
use super::codec::{bitmap, names, object, tagged};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupStats, GroupType,
};
use crate::ids::{BucketId, GroupId};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};

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
