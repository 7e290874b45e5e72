//! Commands that ask.

mod features;
mod group;
mod port;
mod table;

pub use group::{group_features, group_stats, groups, meter_features, meter_stats, meters};
pub use port::{port_desc, port_stats, queue_config, queue_stats};
pub use table::{table_desc, table_features, tables};

use crate::apply::read;
use crate::arguments::Order;
use crate::cli::Options;
use crate::connection::{Connection, Refused};
use crate::converse::fragments;
use crate::flows::{as_entry, as_mod};
use crate::show::{self, bits, printable};
use crate::target::Target;
use crate::text_input::{Given, port_names};
use crate::{print, print_json};
use anyhow::bail;
use ofproto::Version;
use ofproto::json;
use ofproto::message::{Capabilities, Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::stats::{FlowDesc, FlowStatsRequest, SwitchDesc};
use ofproto::text::{Printer, parse_flow_stats_request};
use ofproto::wire::message_name;
use serde_json::{Value, json};
use std::io::IsTerminal as _;

/// The payload of a message's or reply's JSON, without the names around it.
fn body(message: &Message) -> Value {
    fn only(v: Value) -> Value {
        match v {
            Value::Object(m) if m.len() == 1 => m.into_iter().next().map_or(Value::Null, |(_, v)| v),
            other => other,
        }
    }
    let inner = only(json::to_value(message));
    match inner {
        Value::Object(mut m) if matches!(message, Message::MultipartReply(_)) => {
            only(m.remove("body").unwrap_or(Value::Null))
        }
        other => other,
    }
}

fn reply_json(reply: &MultipartReply) -> Value {
    body(&Message::MultipartReply(Multipart::last(reply.clone())))
}

fn unexpected<T>(what: &str) -> anyhow::Result<T> {
    bail!("the switch answered {what} with another kind of statistics")
}

/// `show`
pub fn switch(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let features_message = c.ask(&Message::FeaturesRequest, "features")?;
    let Message::FeaturesReply(features) = &features_message else {
        bail!("the answer to features is an {}", message_name(&features_message));
    };
    let desc = describe(&mut c)?;
    let config_message = c.ask(&Message::GetConfigRequest, "configuration")?;
    let Message::GetConfigReply(config) = &config_message else {
        bail!("the answer to configuration is an {}", message_name(&config_message));
    };
    let ports = c.ports()?;
    if o.json {
        print_json(&json!({
            "version": c.version().to_string(),
            "features": body(&features_message),
            "description": reply_json(&MultipartReply::Desc(desc)),
            "config": body(&config_message),
            "ports": ports.iter().map(json::port_to_value).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let named = |b: Capabilities, name| (b.bits(), name);
    let capabilities = bits(
        features.capabilities.bits(),
        &[
            named(Capabilities::FLOW_STATS, "flow_stats"),
            named(Capabilities::TABLE_STATS, "table_stats"),
            named(Capabilities::PORT_STATS, "port_stats"),
            named(Capabilities::GROUP_STATS, if c.version() == Version::V10 { "stp" } else { "group_stats" }),
            named(Capabilities::IP_REASM, "ip_reasm"),
            named(Capabilities::QUEUE_STATS, "queue_stats"),
            named(Capabilities::ARP_MATCH_IP, "arp_match_ip"),
            named(Capabilities::PORT_BLOCKED, "port_blocked"),
            named(Capabilities::BUNDLES, "bundles"),
            named(Capabilities::FLOW_MONITORING, "flow_monitoring"),
        ],
    );
    let fragments = fragments(config);
    let words = [&desc.mfr_desc, &desc.sw_desc, &desc.hw_desc].map(|s| printable(s));
    let software: Vec<&str> = words.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    let tables = if features.n_tables == 1 { "table" } else { "tables" };
    let aux = if features.auxiliary_id == 0 { String::new() } else { format!(", auxiliary {}", features.auxiliary_id) };
    let name = printable(&desc.dp_desc);
    print(&format!(
        " datapath {}{}, OpenFlow {}{aux}\n {}\n {} {tables}, {} packet buffers, miss_send_len {}, fragments {fragments}\n capabilities: {capabilities}\n\n{}",
        features.dpid,
        if name.is_empty() { name } else { format!(" ({name})") },
        c.version(),
        software.join(", "),
        features.n_tables,
        features.n_buffers,
        config.miss_send_len,
        show::ports(&ports),
    ));
    Ok(())
}

fn describe(c: &mut Connection) -> anyhow::Result<SwitchDesc> {
    match c.query(MultipartRequest::Desc, "description")? {
        MultipartReply::Desc(d) => Ok(d),
        _ => unexpected("description"),
    }
}

/// `dump-desc`
pub fn description(o: &Options, target: &Target) -> anyhow::Result<()> {
    let d = describe(&mut o.connect(target)?)?;
    if o.json {
        print_json(&reply_json(&MultipartReply::Desc(d)));
        return Ok(());
    }
    let lines = [
        ("manufacturer", &d.mfr_desc),
        ("hardware", &d.hw_desc),
        ("software", &d.sw_desc),
        ("serial number", &d.serial_num),
        ("datapath", &d.dp_desc),
    ]
    .map(|(name, text)| format!(" {name}: {}", printable(text)));
    print(&lines.join("\n"));
    Ok(())
}

/// Flow entries, by table and falling priority. In 1.0 they are asked for in Nicira's form, which says all of
/// their matches, and in 1.0's own where the switch doesn't know that one.
pub fn fetch_flows(c: &mut Connection, request: FlowStatsRequest) -> anyhow::Result<Vec<FlowDesc>> {
    let own = MultipartRequest::Flow(request.clone());
    let reply = if c.version() == Version::V10 {
        match c.query(MultipartRequest::NxFlow(request), "flow statistics") {
            Err(e) if e.is::<Refused>() => c.query(own, "flow statistics"),
            other => other,
        }
    } else {
        c.query(own, "flow statistics")
    };
    match reply? {
        MultipartReply::Flow(mut flows) | MultipartReply::NxFlow(mut flows) => {
            flows.sort_by_key(|f| (f.table, std::cmp::Reverse(f.priority)));
            Ok(flows)
        }
        _ => unexpected("flow statistics"),
    }
}

/// What flow entries a command is about.
pub fn filter(o: &Options, c: &mut Connection, text: &str) -> anyhow::Result<FlowStatsRequest> {
    let version = c.version();
    let given = Given { place: None, text: text.to_owned() };
    read(o, Some(c), version, &mut None, &given, parse_flow_stats_request)
}

/// `dump-flows`
pub fn flows(o: &Options, target: &Target, text: &str, order: &Order, no_stats: bool) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let request = filter(o, &mut c, text)?;
    let mut flows = fetch_flows(&mut c, request)?;
    order.sort(&mut flows);
    if o.json {
        print_json(&Value::Array(flows.iter().map(json::flow_desc_to_value).collect()));
        return Ok(());
    }
    let names = if o.shows_names() { port_names(&c.ports()?) } else { Vec::new() };
    let printer = Printer { version: c.version(), ports: &names };
    let mut out = String::new();
    for mut flow in flows {
        if no_stats {
            out.push_str(&format!(" {}\n", as_entry(&printer.flow_mod(&as_mod(flow)))));
            continue;
        }
        // Milliseconds are what people read; JSON has all digits.
        flow.stats.duration_nsec = flow.stats.duration_nsec / 1_000_000 * 1_000_000;
        flow.stats.idle = flow.stats.idle.map(|(s, ns)| (s, ns / 1_000_000 * 1_000_000));
        out.push_str(&format!(" {}\n", printer.flow(&flow)));
    }
    // Scripts count lines; people wonder whether it worked.
    if !out.is_empty() {
        print(out.trim_end_matches('\n'));
    } else if std::io::stdout().is_terminal() {
        print(" (no flow entries)");
    }
    Ok(())
}

/// `dump-aggregate`
pub fn aggregate(o: &Options, target: &Target, text: &str) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let request = filter(o, &mut c, text)?;
    let reply = c.query(MultipartRequest::Aggregate(request), "aggregate statistics")?;
    let MultipartReply::Aggregate(a) = &reply else { return unexpected("aggregate statistics") };
    if o.json {
        print_json(&reply_json(&reply));
    } else {
        print(&format!(" packet_count={} byte_count={} flow_count={}", a.packet_count, a.byte_count, a.flow_count));
    }
    Ok(())
}
