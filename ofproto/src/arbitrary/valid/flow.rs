//! Flows: messages about them, and packets.

use super::action::{actions, free_actions, instructions};
use super::matching::{group, matching, port};
use crate::arbitrary::part::{bytes, full_update};
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason};
use crate::ids::{BufferId, Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use crate::packet::{PacketIn, PacketInReason, PacketOut};
use crate::stats::{AggregateStats, FlowDesc, FlowStats, FlowStatsEntry, FlowStatsRequest};
use crate::version::Version;
use proptest::prelude::*;
use proptest::sample::select;

fn u16s() -> BoxedStrategy<[u16; 4]> {
    any::<[u16; 4]>().boxed()
}

fn flags(v: Version) -> BoxedStrategy<FlowModFlags> {
    let known = match v {
        Version::V10 | Version::V11 => 3,
        Version::V12 => 7,
        _ => 0x1f,
    };
    any::<u16>().prop_map(move |n| FlowModFlags::from_bits_retain(n & known)).boxed()
}

/// A flow-mod; with `nx`, as `NXT_FLOW_MOD` says one.
pub(super) fn flow_mod(v: Version, nx: bool) -> BoxedStrategy<FlowMod> {
    use FlowModCommand::{Add, Delete, DeleteStrict, Modify, ModifyStrict};
    let command = select(vec![Add, Add, Modify, ModifyStrict, Delete, DeleteStrict]);
    let old = v == Version::V10 || nx;
    let table = if old { Just(0).boxed() } else { (0..254_u8).boxed() };
    (command, table, matching(v, nx))
        .prop_flat_map(move |(command, table, (m, stack))| {
            let list = if nx && v == Version::V10 {
                actions(v, &stack)
                    .prop_map(|a| if a.is_empty() { vec![] } else { vec![Instruction::ApplyActions(a)] })
                    .boxed()
            } else {
                instructions(v, &stack, table)
            };
            (
                Just((command, table, m)),
                list,
                flags(v),
                u16s(),
                any::<[u64; 2]>(),
                prop::option::of(port()),
                prop::option::of(group()),
                prop::option::weighted(0.1, 0..u32::MAX),
            )
        })
        .prop_map(move |((command, table, matching), instructions, flags, t, c, out_port, out_group, buffer)| {
            let deletes = matches!(command, Delete | DeleteStrict);
            // 1.0 has no filter by cookie, Nicira's structure has one that is no new cookie.
            let filters = if nx { deletes } else { command != Add && v > Version::V10 };
            let cookie_mask = if filters { c[1] } else { 0 };
            FlowMod {
                cookie: Cookie(if cookie_mask == 0 { c[0] } else { c[0] & cookie_mask }),
                cookie_mask,
                table: TableId(table),
                command,
                idle_timeout: t[0],
                hard_timeout: t[1],
                priority: t[2],
                buffer_id: buffer.filter(|_| !deletes).map_or(BufferId::NONE, BufferId),
                out_port: out_port.filter(|_| deletes).unwrap_or(PortNo::ANY),
                out_group: out_group.filter(|_| deletes && !old).unwrap_or(GroupId::ANY),
                flags,
                importance: if v >= Version::V14 && !nx && command == Add { t[3] } else { 0 },
                matching,
                instructions: if deletes { vec![] } else { instructions },
            }
        })
        .boxed()
}

pub(super) fn stats(v: Version) -> BoxedStrategy<FlowStats> {
    (any::<u32>(), 0..1_000_000_000_u32, any::<[u64; 2]>(), prop::option::of(0..1_000_000_000_u32))
        .prop_map(move |(duration_sec, duration_nsec, n, idle)| FlowStats {
            duration_sec,
            duration_nsec,
            packet_count: n[0],
            byte_count: n[1],
            idle: idle.filter(|_| v >= Version::V15).map(|s| (s, 0)),
            oxs: None,
        })
        .boxed()
}

pub(super) fn flow_removed(v: Version, nx: bool) -> BoxedStrategy<FlowRemoved> {
    use FlowRemovedReason::{Delete, Eviction, GroupDelete, HardTimeout, IdleTimeout, MeterDelete};
    let mut reasons = vec![IdleTimeout, HardTimeout, Delete];
    if v >= Version::V11 {
        reasons.push(GroupDelete);
    }
    if v >= Version::V14 {
        reasons.extend([MeterDelete, Eviction]);
    }
    (any::<u64>(), u16s(), select(reasons), 0..254_u8, stats(if nx { Version::V13 } else { v }), matching(v, nx))
        .prop_map(move |(cookie, t, reason, table, stats, (matching, _))| FlowRemoved {
            cookie: Cookie(cookie),
            priority: t[0],
            reason,
            table: TableId(if v == Version::V10 && !nx { 0 } else { table }),
            idle_timeout: t[1],
            hard_timeout: if v >= Version::V12 && !nx { t[2] } else { 0 },
            stats,
            matching,
        })
        .boxed()
}

/// What a switch says of a packet's way.
pub(super) fn pipeline(v: Version, nx: bool) -> BoxedStrategy<Match> {
    (port(), prop::option::of(any::<u64>()), prop::option::of(any::<u64>()))
        .prop_map(move |(p, metadata, tunnel)| {
            let mut m = Match::any().with(FieldId::InPort, p.0.into());
            if v >= Version::V12 || nx {
                if let Some(n) = metadata {
                    m = m.with(FieldId::Metadata, n.into());
                }
                if let Some(n) = tunnel.filter(|_| v >= Version::V13) {
                    m = m.with(FieldId::TunnelId, n.into());
                }
            }
            m
        })
        .boxed()
}

pub(super) fn packet_in(v: Version) -> BoxedStrategy<PacketIn> {
    use PacketInReason as R;
    let mut reasons = vec![R::TableMiss, R::ApplyAction];
    if v >= Version::V12 {
        reasons.push(R::InvalidTtl);
    }
    if v >= Version::V14 {
        reasons.extend([R::ActionSet, R::Group, R::PacketOut]);
    }
    (any::<u32>(), select(reasons), 0..254_u8, any::<u64>(), pipeline(v, false), bytes(80))
        .prop_map(move |(buffer, reason, table, cookie, matching, data)| PacketIn {
            buffer_id: BufferId(buffer),
            total_len: 80 + data.len() as u16,
            reason,
            table: TableId(if v == Version::V10 { 0 } else { table }),
            cookie: Cookie(if v < Version::V13 { u64::MAX } else { cookie }),
            matching,
            data,
        })
        .boxed()
}

pub(super) fn packet_out(v: Version) -> BoxedStrategy<PacketOut> {
    let from = prop_oneof![3 => port(), 1 => Just(PortNo::CONTROLLER)];
    (from, free_actions(v), bytes(60), prop::option::weighted(0.3, 0..u32::MAX))
        .prop_map(|(from, actions, data, buffer)| PacketOut {
            buffer_id: buffer.map_or(BufferId::NONE, BufferId),
            matching: Match::any().with(FieldId::InPort, from.0.into()),
            actions,
            data: if buffer.is_some() { bytes::Bytes::new() } else { data },
        })
        .boxed()
}

pub(super) fn flow_request(v: Version, nx: bool) -> BoxedStrategy<FlowStatsRequest> {
    (0..=255_u8, prop::option::of(port()), prop::option::of(group()), any::<[u64; 2]>(), matching(v, nx))
        .prop_map(move |(table, port, group, c, (matching, _))| {
            let old = v == Version::V10;
            FlowStatsRequest {
                table: TableId(table),
                out_port: port.unwrap_or(PortNo::ANY),
                out_group: group.filter(|_| !old).unwrap_or(GroupId::ANY),
                cookie: Cookie(if old { 0 } else { c[0] & c[1] }),
                cookie_mask: if old { 0 } else { c[1] },
                matching,
            }
        })
        .boxed()
}

pub(super) fn monitor(v: Version) -> BoxedStrategy<FlowMonitorRequest> {
    use MonitorCommand::{Add, Delete, Modify};
    let later = v >= Version::V14;
    let command = if later { select(vec![Add, Add, Modify, Delete]).boxed() } else { Just(Add).boxed() };
    let filters = (prop::option::of(port()), prop::option::of(group()));
    (any::<u32>(), filters, 1..128_u16, 0..=255_u8, command, matching(v, true))
        .prop_map(move |(id, (out_port, out_group), flags, table, command, (matching, _))| FlowMonitorRequest {
            id: MonitorId(id),
            out_port: out_port.unwrap_or(PortNo::ANY),
            // The extensions before 1.4 have six flags, and no such filter.
            out_group: out_group.filter(|_| later).unwrap_or(GroupId::ANY),
            flags: (MonitorFlags::from_bits_retain(flags) | MonitorFlags::ADD)
                - if later { MonitorFlags::empty() } else { MonitorFlags::ONLY_OWN },
            table: TableId(table),
            command,
            matching,
            bare: false,
        })
        .boxed()
}

/// What a monitor tells.
pub(super) fn update(v: Version) -> BoxedStrategy<FlowUpdate> {
    use FlowRemovedReason::{Delete, HardTimeout, IdleTimeout};
    use FlowUpdateEvent::{Added, Initial, Modified, Removed};
    let later = v >= Version::V14;
    let mut events = vec![Added, Modified, Removed(Delete), Removed(IdleTimeout), Removed(HardTimeout)];
    if later {
        events.push(Initial);
    }
    let full = (select(events), flow_desc(v, v == Version::V10)).prop_map(|(event, f)| full_update(event, f));
    let abbrev = any::<u32>().prop_map(|n| FlowUpdate::Abbrev(Xid(n)));
    // Before 1.4 pauses are messages of their own.
    if later {
        return prop_oneof![4 => full, 1 => abbrev, 1 => Just(FlowUpdate::Paused), 1 => Just(FlowUpdate::Resumed)]
            .boxed();
    }
    prop_oneof![3 => full, 1 => abbrev].boxed()
}

pub(super) fn flow_desc(v: Version, nx: bool) -> BoxedStrategy<FlowDesc> {
    (flow_mod(v, nx), stats(v), any::<u8>(), any::<u16>())
        .prop_map(move |(m, mut stats, table, idle)| {
            if nx {
                stats.idle = Some((u32::from(idle.min(0xfffe)), 0));
            }
            FlowDesc {
                table: if v == Version::V10 { TableId(table) } else { m.table },
                priority: m.priority,
                idle_timeout: m.idle_timeout,
                hard_timeout: m.hard_timeout,
                flags: if v >= Version::V13 { m.flags } else { FlowModFlags::empty() },
                importance: m.importance,
                cookie: m.cookie,
                stats,
                matching: m.matching,
                instructions: m.instructions,
            }
        })
        .boxed()
}

/// An entry of 1.5's statistics without instructions.
pub(super) fn stats_entry() -> BoxedStrategy<FlowStatsEntry> {
    (0..254_u8, 0..2_u8, any::<u16>(), matching(Version::V15, false), stats(Version::V15))
        .prop_map(|(table, reason, priority, (matching, _), stats)| FlowStatsEntry {
            table: TableId(table),
            reason,
            priority,
            matching,
            stats,
        })
        .boxed()
}

pub(super) fn aggregate() -> BoxedStrategy<AggregateStats> {
    (any::<[u64; 2]>(), any::<u32>())
        .prop_map(|(c, flow_count)| AggregateStats { packet_count: c[0], byte_count: c[1], flow_count, oxs: None })
        .boxed()
}
