//! `monitor`: what the switch reports by itself.

use crate::connection::{Connection, Refused};
use crate::show::{port_config, port_state, printable, seconds};
use crate::target::Target;
use crate::text_input::located;
use crate::{Options, print};
use anyhow::bail;
use clap::Args;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::field::FieldId;
use ofproto::flow::FlowRemovedReason;
use ofproto::ids::{BufferId, MonitorId, Xid};
use ofproto::json;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest, SwitchConfig};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::port::PortReason;
use ofproto::role::{Role, RoleMsg};
use ofproto::text::{InstructionsText, MatchText, ParseContext, describe, parse_flow_stats_request};
use ofproto::wire::Header;
use ofproto::{ErrorKind, Version};
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct MonitorArgs {
    /// The switch
    target: Target,
    /// Bytes of a missed packet that the switch is to send; left as it is unless given
    miss_len: Option<u16>,
    /// Watch changes of flow entries, too: all, or those at least as specific as FILTER
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "")]
    flows: Option<String>,
    /// Keep the equal role instead of asking for the slave's, and the switch's own choice of messages.
    /// A standalone switch stops forwarding by itself then
    #[arg(long)]
    equal: bool,
    /// End after this many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds)]
    seconds: Option<f64>,
    /// Every field of every message, with the packets' bytes
    #[arg(long)]
    full: bool,
}

/// `monitor`
pub fn run(o: &Options, args: &MonitorArgs) -> anyhow::Result<()> {
    let mut c = o.connect(&args.target)?;
    let version = c.version();
    if let Some(miss_send_len) = args.miss_len {
        let Message::GetConfigReply(old) = c.ask(&Message::GetConfigRequest, "configuration")? else {
            bail!("the answer to the configuration request is another message");
        };
        c.tell(&Message::SetConfig(SwitchConfig { miss_send_len, ..old }))?;
    }
    if version >= Version::V13 && !args.equal {
        watch(&mut c)?;
    } else if args.miss_len.is_none() {
        // What a controller says, so that a listener takes us for one.
        let Message::GetConfigReply(old) = c.ask(&Message::GetConfigRequest, "configuration")? else {
            bail!("the answer to the configuration request is another message");
        };
        c.tell(&Message::SetConfig(old))?;
    }
    if let Some(filter) = &args.flows {
        // 1.0 has Nicira's, 1.3 the ONF's.
        if matches!(version, Version::V11 | Version::V12) {
            bail!("OpenFlow {version} has no flow monitors");
        }
        let f = parse_flow_stats_request(filter, &ParseContext::new(version)).map_err(located(filter, None))?;
        let request = FlowMonitorRequest {
            id: MonitorId(1),
            out_port: f.out_port,
            out_group: f.out_group,
            flags: MonitorFlags::INITIAL
                | MonitorFlags::ADD
                | MonitorFlags::REMOVED
                | MonitorFlags::MODIFY
                | MonitorFlags::INSTRUCTIONS,
            table: f.table,
            command: MonitorCommand::Add,
            matching: f.matching,
            bare: false,
        };
        c.tell(&Message::MultipartRequest(Multipart::last(MultipartRequest::FlowMonitor(vec![request]))))?;
    }
    // What was asked has happened, and whoever reads the first line knows that we listen.
    let barrier = c.tell(&Message::BarrierRequest)?;
    let start = Instant::now();
    let deadline = args.seconds.map(|s| start + Duration::from_secs_f64(s));
    let mut left = args.count;
    while left != Some(0) {
        let Some((header, got, bytes)) = c.next(deadline)? else { break };
        let time = start.elapsed().as_secs_f64();
        match got {
            Ok(Message::BarrierReply) if header.xid == barrier => {
                if !o.json {
                    print(&format!(" watching {} with OpenFlow {version}", args.target));
                }
                continue;
            }
            // The answer's end without any flow in it.
            Ok(Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(list), .. }))
                if list.is_empty() =>
            {
                continue;
            }
            Ok(m) if o.json => print(&to_json(&header, &m, time).to_string()),
            Ok(m) if args.full => print(&format!("{time:10.3} {}", describe(&header, &m))),
            Ok(m) => {
                for line in lines(&header, &m) {
                    print(&format!("{time:10.3} {line}"));
                }
            }
            Err(e) if o.json => print(&json!({ "seconds": time, "unreadable": e.to_string() }).to_string()),
            Err(e) => print(&format!(
                "{time:10.3} a message of type {} and {} bytes that can't be read: {e}",
                header.ty,
                bytes.len()
            )),
        }
        left = left.map(|n| n - 1);
    }
    Ok(())
}

/// Becomes a slave who wants to hear everything: a watcher must not take the switch away from its
/// controllers, or from its own forwarding.
fn watch(c: &mut Connection) -> anyhow::Result<()> {
    let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
    let Message::RoleReply(now) = c.ask(&role(Role::NoChange, 0), "role")? else {
        bail!("the answer to the role request is another message");
    };
    // All ones stand for no election yet; then any generation will do, and 0 is the oldest.
    let generation = if now.generation_id == u64::MAX { 0 } else { now.generation_id };
    c.ask(&role(Role::Slave, generation), "the slave role")?;
    let (v14, v15) = (c.version() >= Version::V14, c.version() >= Version::V15);
    let mut wanted = vec![
        (AsyncKind::PacketIn, if v14 { 0b11_1111 } else { 0b111 }),
        (AsyncKind::PortStatus, 0b111),
        (AsyncKind::FlowRemoved, if v14 { 0b11_1111 } else { 0b1111 }),
    ];
    if v14 {
        // Vacancy down and up; group and meter requests of others.
        wanted.extend([
            (AsyncKind::RoleStatus, 0b111),
            (AsyncKind::TableStatus, 0b1_1000),
            (AsyncKind::RequestForward, 0b11),
        ]);
    }
    if v15 {
        wanted.extend([(AsyncKind::FlowStats, 0b11), (AsyncKind::ControllerStatus, 0b111_1111)]);
    }
    let mut refused = choose(c, &wanted)?;
    if v15
        && refused.as_ref().is_some_and(|r| r.error.kind(Version::V15) == Some(ErrorKind::AsyncConfigFailedUnsupported))
    {
        // Open vSwitch has none of the two kinds that came with 1.5.
        wanted.truncate(wanted.len() - 2);
        refused = choose(c, &wanted)?;
        eprintln!("ofctl: the switch reports neither flow statistics nor controllers' status by itself");
    }
    refused.map_or(Ok(()), |r| Err(r.into()))
}

/// Asks for the kinds of messages, with these reasons; says if the switch refuses.
fn choose(c: &mut Connection, wanted: &[(AsyncKind, u32)]) -> anyhow::Result<Option<Refused>> {
    // 1.3's message has both halves of each kind.
    let props = wanted
        .iter()
        .flat_map(|&(kind, mask)| [true, false].map(|master| AsyncProp::Reasons { kind, master, mask }))
        .collect();
    let refused = c.modify(&[("the choice of messages".into(), Message::SetAsync(AsyncConfig { props }))])?;
    Ok(refused.into_iter().next())
}

fn to_json(header: &Header, m: &Message, time: f64) -> serde_json::Value {
    let mut value = json!({ "seconds": time, "xid": header.xid.0, "message": json::to_value(m) });
    if let (Message::PacketIn(p), Some(object)) = (m, value.as_object_mut()) {
        object.insert("packet".into(), tools::summary::of(&p.data).into());
    }
    value
}

/// A message in a line, or one for each thing that it reports.
fn lines(header: &Header, m: &Message) -> Vec<String> {
    match m {
        Message::PacketIn(p) => vec![packet_in(p)],
        Message::FlowRemoved(f) => vec![format!(
            "flow-removed ({}) cookie={}, duration={}s, table={}, n_packets={}, n_bytes={}, priority={} {}",
            removed(f.reason),
            f.cookie,
            seconds(f.stats.duration_sec, f.stats.duration_nsec),
            f.table,
            f.stats.packet_count,
            f.stats.byte_count,
            f.priority,
            shown_match(&f.matching),
        )],
        Message::PortStatus(s) => {
            let reason = match s.reason {
                PortReason::Add => "add".into(),
                PortReason::Delete => "delete".into(),
                PortReason::Modify => "modify".into(),
                PortReason::Unknown(n) => n.to_string(),
            };
            let p = &s.port;
            vec![format!(
                "port-status ({reason}) port {} {} {} link {} configuration {}",
                p.port_no,
                printable(&p.name),
                p.hw_addr,
                port_state(p.state),
                port_config(p.config)
            )]
        }
        Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(list), .. }) => {
            list.iter().map(update).collect()
        }
        other => vec![describe(header, other).to_string()],
    }
}

fn packet_in(p: &PacketIn) -> String {
    let reason = match p.reason {
        PacketInReason::TableMiss => "table_miss".into(),
        PacketInReason::ApplyAction => "apply_action".into(),
        PacketInReason::InvalidTtl => "invalid_ttl".into(),
        PacketInReason::ActionSet => "action_set".into(),
        PacketInReason::Group => "group".into(),
        PacketInReason::PacketOut => "packet_out".into(),
        PacketInReason::Other(n) => n.to_string(),
    };
    let mut out = format!("packet-in ({reason}) table {}", p.table);
    // All ones: no entry did it.
    if p.cookie.0 != u64::MAX && p.cookie.0 != 0 {
        out += &format!(" cookie {}", p.cookie);
    }
    let matching =
        p.matching.get(FieldId::InPort).map(|f| format!(" in_port={}", ofproto::ids::PortNo(f.value as u32)));
    out += &matching.unwrap_or_default();
    let rest = Match::new(p.matching.fields.iter().filter(|f| f.id != FieldId::InPort).cloned().collect());
    if !rest.fields.is_empty() {
        out += &format!(",{}", MatchText(&rest));
    }
    let cut = usize::from(p.total_len) > p.data.len();
    out += &if cut { format!(" {} of {} bytes", p.data.len(), p.total_len) } else { format!(" {} bytes", p.total_len) };
    if p.buffer_id != BufferId::NONE {
        out += &format!(" buffer {}", p.buffer_id);
    }
    format!("{out}: {}", tools::summary::of(&p.data))
}

fn removed(reason: FlowRemovedReason) -> String {
    match reason {
        FlowRemovedReason::IdleTimeout => "idle_timeout".into(),
        FlowRemovedReason::HardTimeout => "hard_timeout".into(),
        FlowRemovedReason::Delete => "delete".into(),
        FlowRemovedReason::GroupDelete => "group_delete".into(),
        FlowRemovedReason::MeterDelete => "meter_delete".into(),
        FlowRemovedReason::Eviction => "eviction".into(),
        FlowRemovedReason::Unknown(n) => n.to_string(),
    }
}

fn shown_match(m: &Match) -> String {
    let text = MatchText(m).to_string();
    if text.is_empty() { "any".into() } else { text }
}

fn update(u: &FlowUpdate) -> String {
    match u {
        FlowUpdate::Full { event, table, priority, cookie, matching, instructions, .. } => {
            let event = match event {
                FlowUpdateEvent::Initial => "initial".into(),
                FlowUpdateEvent::Added => "added".into(),
                FlowUpdateEvent::Modified => "modified".into(),
                FlowUpdateEvent::Removed(why) => format!("removed: {}", removed(*why)),
            };
            let actions = if instructions.is_empty() {
                String::new()
            } else {
                format!(" actions={}", InstructionsText(instructions))
            };
            format!(
                "flow ({event}) cookie={cookie}, table={table}, priority={priority} {}{actions}",
                shown_match(matching)
            )
        }
        FlowUpdate::Abbrev(Xid(xid)) => format!("flow (own request {xid:#x} took effect)"),
        FlowUpdate::Paused => "flow updates paused".into(),
        FlowUpdate::Resumed => "flow updates resumed".into(),
        FlowUpdate::Unknown { event, .. } => format!("flow (unknown event {event})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::ids::{Cookie, TableId};

    #[test]
    fn a_packet_in_is_a_line() {
        let p = PacketIn {
            buffer_id: BufferId(7),
            total_len: 100,
            reason: PacketInReason::ApplyAction,
            table: TableId(2),
            cookie: Cookie(0x1f),
            matching: Match::any().with(FieldId::InPort, 0xffff_fffe).with(FieldId::Metadata, 5),
            data: vec![0xff; 14].into(),
        };
        assert_eq!(
            packet_in(&p),
            "packet-in (apply_action) table 2 cookie 0x1f in_port=LOCAL,metadata=0x5 14 of 100 bytes buffer 7: \
             ff:ff:ff:ff:ff:ff > ff:ff:ff:ff:ff:ff type 0xffff"
        );
    }
}
