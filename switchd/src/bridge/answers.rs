//! Management's questions about a switch, answered as JSON.

use super::switch::{Packets, Switch};
use crate::management::{Answer, CallError, Request};
use datapath::clock::Time;
use datapath::engine::DropCounts;
use datapath::pipeline::DropReason;
use datapath::port::PortCounters;
use ofproto::ids::{GroupId, MeterId, PortNo, TableId};
use ofproto::port::PortState;
use ofproto::text;
use ofproto::{OfError, Version};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The version whose terms answers use: the newest, which can say everything.
pub(super) const TERMS: Version = Version::V15;

/// Answers one request.
pub fn answer<P: Packets>(s: &mut Switch<P>, now: Time, request: &Request) -> Answer {
    match request {
        Request::SetFailMode(mode) => {
            s.set_fail_mode(now, *mode);
            Ok(json!({ "fail_mode": mode.name() }))
        }
        Request::Status => Ok(status(s)),
        Request::Ports => Ok(ports(s, now)),
        Request::Queues => Ok(queues(s)),
        Request::Tables => Ok(tables(s)),
        Request::Groups => groups(s, now),
        Request::Meters => meters(s, now),
        Request::Counters => Ok(counters(s)),
        Request::Learned => Ok(learned(s, now)),
        Request::ForgetLearned => {
            s.shared.normal().flush();
            Ok(Value::Null)
        }
        Request::Connections
        | Request::Controllers
        | Request::Flows { .. }
        | Request::Trace { .. }
        | Request::Metrics
        | Request::SaveState
        | Request::AddPort(_)
        | Request::DelPort(_)
        | Request::AddQueue(_)
        | Request::DelQueue { .. }
        | Request::SetControllers(_)
        | Request::SetLog(_)
        | Request::Stop => Err(CallError::Failed("this is not the bridge's to answer".into())),
        #[expect(unreachable_patterns, reason = "management may learn further questions")]
        _ => Err(CallError::Failed("the bridge doesn't know this question".into())),
    }
}

pub(super) fn failed(e: &OfError) -> CallError {
    CallError::Failed(e.to_string())
}

fn status<P: Packets>(s: &Switch<P>) -> Value {
    let flows: u64 = (0..s.control.n_tables()).map(|t| u64::from(s.control.flow_count(TableId(t)))).sum();
    json!({
        "name": s.config.name,
        "datapath_id": s.config.dpid.to_string(),
        "fail_mode": s.config.fail_mode.name(),
        "controller_configured": s.config.dials,
        "controlled": s.demand.controlled,
        "flows_aside": s.leaves_flows_aside(),
        "tables": s.control.n_tables(),
        "flows": flows,
        "ports": s.control.ports().len(),
        "version": s.control.version(),
    })
}

fn port_counters(c: PortCounters) -> Value {
    json!({
        "rx_packets": c.rx_packets,
        "rx_bytes": c.rx_bytes,
        "rx_dropped": c.rx_dropped,
        "rx_errors": c.rx_errors,
        "tx_packets": c.tx_packets,
        "tx_bytes": c.tx_bytes,
        "tx_dropped": c.tx_dropped,
        "tx_errors": c.tx_errors,
    })
}

fn queues<P: Packets>(s: &Switch<P>) -> Value {
    let entry = |(port, q): (PortNo, &crate::queues::Queue)| {
        let c = s.packets.queue_counters(port, q.id).unwrap_or_default();
        json!({
            "port_no": port.0,
            "queue_id": q.id.0,
            "min_rate": q.min,
            "max_rate": q.max,
            "tx_packets": c.tx_packets,
            "tx_bytes": c.tx_bytes,
            "tx_errors": c.tx_errors,
        })
    };
    s.queues.iter().map(entry).collect()
}

/// Packets that went nowhere, by reason; reasons without any are left out.
fn drops_of(counts: &DropCounts) -> Value {
    let some = DropReason::ALL.iter().zip(counts).filter(|(_, n)| **n > 0);
    some.map(|(r, n)| (r.name().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>().into()
}

fn ports<P: Packets>(s: &Switch<P>, now: Time) -> Value {
    let (drops, drops_out) = (s.shared.port_drops(), s.shared.out_port_drops());
    let list: Vec<Value> = s
        .control
        .ports()
        .iter()
        .map(|(no, p)| {
            let down = p.desc.state.contains(PortState::LINK_DOWN);
            let e = p.desc.ethernet().copied().unwrap_or_default();
            let mut port = json!({
                "port_no": no.0,
                "name": p.desc.name,
                "hw_addr": p.desc.hw_addr.to_string(),
                "link": if down { "down" } else { "up" },
                "config": p.desc.config.bits(),
                "state": p.desc.state.bits(),
                "speed_kbps": e.curr_speed,
                "seconds": now.since(p.created).as_secs(),
            });
            let counters = s.port_counters(no, p).map(port_counters);
            if let (Some(port), Some(Value::Object(counters))) = (port.as_object_mut(), counters) {
                port.extend(counters);
            }
            port["drops"] = drops.get(&no).map_or_else(|| json!({}), drops_of);
            port["out_drops"] = drops_out.get(&no).map_or_else(|| json!({}), drops_of);
            port
        })
        .collect();
    Value::Array(list)
}

/// Who is where, as NORMAL has it; `vlan` 0 is for frames without a tag.
fn learned<P: Packets>(s: &Switch<P>, now: Time) -> Value {
    let known = s.shared.normal().known(now).into_iter();
    known
        .map(|(vlan, address, port, age)| {
            json!({"port_no": port.0, "vlan": vlan, "address": address.to_string(), "age": age.as_secs()})
        })
        .collect()
}

fn tables<P: Packets>(s: &Switch<P>) -> Value {
    let drops = s.shared.table_drops();
    let descs = s.control.table_desc();
    let list: Vec<Value> = s
        .control
        .table_stats()
        .iter()
        .zip(descs)
        .map(|(t, d)| {
            json!({
                "table_id": t.table.0,
                "active_count": t.active_count,
                "lookups": t.lookup_count,
                "matched": t.matched_count,
                "config": d.config.bits(),
                "drops": drops.get(&t.table).map_or_else(|| json!({}), drops_of),
            })
        })
        .collect();
    Value::Array(list)
}

fn pairs(list: &[(u64, u64)]) -> Vec<Value> {
    list.iter().map(|(packets, bytes)| json!({ "packets": packets, "bytes": bytes })).collect()
}

fn groups<P: Packets>(s: &Switch<P>, now: Time) -> Answer {
    let descs = s.control.group_desc(GroupId::ALL).map_err(|e| failed(&e))?;
    let stats = s.control.group_stats(GroupId::ALL, now).map_err(|e| failed(&e))?;
    let stats: HashMap<_, _> = stats.iter().map(|st| (st.group, st)).collect();
    let list: Vec<Value> = descs
        .iter()
        .map(|d| {
            let st = stats.get(&d.group);
            json!({
                "group_id": d.group.0,
                "group": text::GroupText(d).to_string(),
                "ref_count": st.map(|s| s.ref_count),
                "packets": st.map(|s| s.packet_count),
                "bytes": st.map(|s| s.byte_count),
                "duration": st.map(|s| s.duration_sec),
                "buckets": st.map(|s| pairs(&s.buckets)),
            })
        })
        .collect();
    Ok(Value::Array(list))
}

fn meters<P: Packets>(s: &Switch<P>, now: Time) -> Answer {
    let configs = s.control.meter_config(MeterId::ALL).map_err(|e| failed(&e))?;
    let stats = s.control.meter_stats(MeterId::ALL, now).map_err(|e| failed(&e))?;
    let stats: HashMap<_, _> = stats.iter().map(|st| (st.meter, st)).collect();
    let list: Vec<Value> = configs
        .iter()
        .map(|c| {
            let st = stats.get(&c.meter);
            json!({
                "meter_id": c.meter.0,
                "meter": text::MeterText(c).to_string(),
                "ref_count": st.map(|s| s.ref_count),
                "packets": st.map(|s| s.packet_in_count),
                "bytes": st.map(|s| s.byte_in_count),
                "duration": st.map(|s| s.duration_sec),
                "bands": st.map(|s| pairs(&s.bands)),
            })
        })
        .collect();
    Ok(Value::Array(list))
}

fn counters<P: Packets>(s: &Switch<P>) -> Value {
    let drops: serde_json::Map<String, Value> =
        DropReason::ALL.iter().zip(s.shared.drops()).map(|(r, n)| (r.name().to_owned(), json!(n))).collect();
    let names = ["table_miss", "apply_action", "invalid_ttl", "action_set", "group", "packet_out", "other"];
    let punts = s.shared.punts();
    let by_reason = |counts: [u64; 7]| -> serde_json::Map<String, Value> {
        names.iter().zip(counts).map(|(r, n)| ((*r).to_owned(), json!(n))).collect()
    };
    let workers: Vec<Value> = (s.packets.worker_counters().iter().enumerate())
        .map(|(i, c)| {
            json!({
                "id": i,
                "rounds": c.rounds,
                "frames": c.frames,
                "sleeps": c.sleeps,
                "panics": c.panics,
                "unknown_port_drops": c.unknown_port_drops,
            })
        })
        .collect();
    // Ports that are there are told with their own.
    let missing: Vec<Value> = s
        .shared
        .out_port_drops()
        .iter()
        .filter(|(no, _)| s.control.ports().get(**no).is_none())
        .map(|(no, counts)| json!({ "port_no": no.0, "drops": counts.iter().sum::<u64>() }))
        .collect();
    json!({
        "drops": drops,
        "workers": workers,
        "missing_ports": missing,
        "controller_queue": {
            "queued": punts.queued(),
            "waiting": punts.len(),
            "dropped": by_reason(punts.dropped()),
            "limited": by_reason(punts.limited()),
        },
        "lost_requests": s.shared.lost_requests(),
        "sampled": s.shared.sampled(),
    })
}
