//! Roles, asynchronous messages, monitors, bundles.

use super::basic::list;
use super::codec::{Json, bitmap, names, object, tagged};
use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::bundle::{
    BundleAdd, BundleCtrl, BundleCtrlType, BundleFeatures, BundleFeaturesProp, BundleFlags, BundleProp, OfTime,
};
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::role::{ControllerStatus, ControllerStatusProp, Role, RoleMsg, RoleStatus};

// The reference has both names.
names!(Role { "nochange" | "no_change" = NoChange, "equal" = Equal, "master" = Master, "slave" = Slave } unknown u32);
object!(RoleMsg { "role": role, "short_id": short_id, "generation_id": generation_id as hex } required "role" default RoleMsg {
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
tagged!(property ControllerStatusProp {
    "uri" = Uri { "uri" 0 uri },
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
tagged!(property AsyncProp {
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
    "bare_match": bare,
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
tagged!(property BundleProp {
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
tagged!(property BundleFeaturesProp {
    "time" = Time {
        "sched_accuracy" accuracy accuracy, "sched_max_future" max_future max_future,
        "sched_max_past" max_past max_past, "timestamp" timestamp timestamp,
    },
    "other" = Other(value),
});
object!(BundleFeatures { "flags": flags as hex, "properties": properties } default BundleFeatures::default());
