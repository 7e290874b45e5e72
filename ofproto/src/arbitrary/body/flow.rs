//! Flows: what changes them, what is told of them; and packets.

use crate::arbitrary::part::{actions, bytes, flow_stats, full_update, instructions, matching};
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason};
use crate::ids::{BufferId, Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use crate::matching::Match;
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::packet::{PacketIn, PacketInReason, PacketOut};
use crate::stats::{AggregateStats, FlowDesc, FlowStat, FlowStatsEntry, FlowStatsRequest};
use crate::version::Version;
use proptest::prelude::*;
use proptest::strategy::Union;

fn flow_mod_command() -> BoxedStrategy<FlowModCommand> {
    use FlowModCommand::*;
    prop_oneof![
        prop::sample::select(vec![Add, Modify, ModifyStrict, Delete, DeleteStrict]),
        (5..256u16).prop_map(Unknown)
    ]
    .boxed()
}

pub(in crate::arbitrary) fn flow_mod(version: Version) -> BoxedStrategy<FlowMod> {
    let later = version >= Version::V14;
    (
        any::<[u64; 2]>(),
        (any::<u8>(), flow_mod_command(), any::<[u16; 4]>(), 0..0x8000u16),
        any::<[u32; 3]>(),
        matching(version),
        instructions(version),
    )
        .prop_map(move |(c, (table, command, t, flags), ids, matching, instructions)| FlowMod {
            cookie: Cookie(c[0]),
            cookie_mask: c[1],
            table: TableId(table),
            command,
            idle_timeout: t[0],
            hard_timeout: t[1],
            priority: t[2],
            buffer_id: BufferId(ids[0]),
            out_port: PortNo(ids[1]),
            out_group: GroupId(ids[2]),
            flags: FlowModFlags::from_bits_retain(flags),
            importance: if later { t[3] } else { 0 },
            matching,
            instructions,
        })
        .boxed()
}

fn removed_reason(version: Version) -> BoxedStrategy<FlowRemovedReason> {
    use FlowRemovedReason::*;
    let mut all = vec![IdleTimeout, HardTimeout, Delete, GroupDelete, Eviction, Unknown(77)];
    if version >= Version::V14 {
        all.push(MeterDelete);
    }
    prop::sample::select(all).boxed()
}

pub(in crate::arbitrary) fn flow_removed(version: Version) -> BoxedStrategy<FlowRemoved> {
    (any::<u64>(), any::<[u16; 3]>(), removed_reason(version), any::<u8>(), flow_stats(version), matching(version))
        .prop_map(|(cookie, t, reason, table, stats, matching)| FlowRemoved {
            cookie: Cookie(cookie),
            priority: t[0],
            reason,
            table: TableId(table),
            idle_timeout: t[1],
            hard_timeout: t[2],
            stats,
            matching,
        })
        .boxed()
}

pub(in crate::arbitrary) fn packet_in(version: Version) -> BoxedStrategy<PacketIn> {
    use PacketInReason::*;
    let mut reasons = vec![TableMiss, ApplyAction, InvalidTtl, Other(99)];
    if version >= Version::V14 {
        reasons.extend([ActionSet, Group, PacketOut]);
    }
    let reason = prop::sample::select(reasons);
    (any::<u32>(), any::<u16>(), reason, any::<u8>(), any::<u64>(), matching(version), bytes(100))
        .prop_map(|(buffer, total_len, reason, table, cookie, matching, data)| PacketIn {
            buffer_id: BufferId(buffer),
            total_len,
            reason,
            table: TableId(table),
            cookie: Cookie(cookie),
            matching,
            data,
        })
        .boxed()
}

pub(in crate::arbitrary) fn packet_out(version: Version) -> BoxedStrategy<PacketOut> {
    let matching = if version >= Version::V15 {
        matching(version)
    } else {
        any::<u32>().prop_map(|p| Match::any().with(FieldId::InPort, p.into())).boxed()
    };
    (any::<u32>(), matching, actions(version), bytes(100))
        .prop_map(|(buffer, matching, actions, data)| PacketOut {
            buffer_id: BufferId(buffer),
            matching,
            actions,
            data,
        })
        .boxed()
}

pub(super) fn flow_request(version: Version) -> BoxedStrategy<FlowStatsRequest> {
    (any::<u8>(), any::<[u32; 2]>(), any::<[u64; 2]>(), matching(version))
        .prop_map(|(table, n, c, matching)| FlowStatsRequest {
            table: TableId(table),
            out_port: PortNo(n[0]),
            out_group: GroupId(n[1]),
            cookie: Cookie(c[0]),
            cookie_mask: c[1],
            matching,
        })
        .boxed()
}

pub(super) fn flow_desc(version: Version) -> BoxedStrategy<FlowDesc> {
    (flow_mod(version), flow_stats(version)).prop_map(|(m, stats)| FlowDesc::added(m, stats)).boxed()
}

pub(super) fn flow_stats_entry(version: Version) -> BoxedStrategy<FlowStatsEntry> {
    (any::<[u8; 2]>(), any::<u16>(), matching(version), flow_stats(version))
        .prop_map(|(b, priority, matching, stats)| FlowStatsEntry {
            table: TableId(b[0]),
            reason: b[1],
            priority,
            matching,
            stats,
        })
        .boxed()
}

pub(super) fn aggregate(version: Version) -> BoxedStrategy<AggregateStats> {
    let usual = (any::<[u64; 2]>(), any::<u32>()).prop_map(|(c, flow_count)| AggregateStats {
        packet_count: c[0],
        byte_count: c[1],
        flow_count,
        oxs: None,
    });
    if version < Version::V15 {
        return usual.boxed();
    }
    let unusual = any::<u32>().prop_map(|n| AggregateStats {
        flow_count: n,
        oxs: Some(vec![FlowStat::FlowCount(n)]),
        ..AggregateStats::default()
    });
    prop_oneof![usual, unusual].boxed()
}

/// EXT-187 of 1.3 has neither group filter nor command.
pub(super) fn monitor_request(version: Version) -> BoxedStrategy<FlowMonitorRequest> {
    use MonitorCommand::*;
    let later = version >= Version::V14;
    let command = prop::sample::select(vec![Add, Modify, Delete, Unknown(9)]);
    (any::<[u32; 3]>(), any::<u16>(), any::<u8>(), command, matching(version))
        .prop_map(move |(n, flags, table, command, matching)| FlowMonitorRequest {
            id: MonitorId(n[0]),
            out_port: PortNo(n[1]),
            out_group: if later { GroupId(n[2]) } else { GroupId::ANY },
            flags: MonitorFlags::from_bits_retain(flags),
            table: TableId(table),
            command: if later { command } else { Add },
            bare: version == Version::V13 && n[2] & 1 != 0,
            matching,
        })
        .boxed()
}

pub(super) fn flow_update(version: Version) -> BoxedStrategy<FlowUpdate> {
    use FlowUpdateEvent::*;
    let later = version >= Version::V14;
    let mut events =
        vec![Just(Added).boxed(), Just(Modified).boxed(), removed_reason(version).prop_map(Removed).boxed()];
    if later {
        events.push(Just(Initial).boxed());
    }
    let full = (Union::new(events), flow_desc(version)).prop_map(|(event, f)| full_update(event, f));
    let abbrev = any::<u32>().prop_map(|n| FlowUpdate::Abbrev(Xid(n)));
    let unknown = (7..u16::MAX, bytes(9)).prop_map(|(event, data)| FlowUpdate::Unknown { event, data });
    if later {
        prop_oneof![full, abbrev, unknown, Just(FlowUpdate::Paused), Just(FlowUpdate::Resumed)].boxed()
    } else {
        prop_oneof![full, abbrev, unknown].boxed()
    }
}
