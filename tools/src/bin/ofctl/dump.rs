//! Commands that ask.

use crate::connection::Connection;
use crate::show::{self, bits, count, printable, seconds};
use crate::target::Target;
use crate::text_input::{find_port, located, port_names};
use crate::{Options, print, print_json};
use anyhow::bail;
use ofproto::ids::{GroupId, MeterId, PortNo, QueueId};
use ofproto::json;
use ofproto::message::{Capabilities, Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::port::PortStatsProp;
use ofproto::queue::{QueueDesc, QueueProp};
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::table::{TableConfig, TableModProp};
use ofproto::text::{MeterText, ParseContext, Printer, parse_flow_stats_request};
use ofproto::wire::message_name;
use ofproto::{Version, wire};
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
    let desc = match c.query(MultipartRequest::Desc, "description")? {
        MultipartReply::Desc(d) => d,
        _ => return unexpected("description"),
    };
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
    let fragments = match config.flags & 3 {
        0 => "normal",
        1 => "drop",
        2 => "reassemble",
        _ => "3",
    };
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

/// Flow entries, by table and falling priority.
pub fn fetch_flows(c: &mut Connection, request: FlowStatsRequest) -> anyhow::Result<Vec<FlowDesc>> {
    match c.query(MultipartRequest::Flow(request), "flow statistics")? {
        MultipartReply::Flow(mut flows) => {
            flows.sort_by_key(|f| (f.table, std::cmp::Reverse(f.priority)));
            Ok(flows)
        }
        _ => unexpected("flow statistics"),
    }
}

fn filter(c: &mut Connection, text: &str) -> anyhow::Result<FlowStatsRequest> {
    // Names cost a round trip; numbers need none.
    let names = if text.contains("port=") { port_names(&c.ports()?) } else { Vec::new() };
    let ctx = ParseContext { version: c.version(), ports: &names };
    parse_flow_stats_request(text, &ctx).map_err(located(text, None))
}

/// `dump-flows`
pub fn flows(o: &Options, target: &Target, text: &str) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let request = filter(&mut c, text)?;
    let flows = fetch_flows(&mut c, request)?;
    if o.json {
        print_json(&Value::Array(flows.iter().map(json::flow_desc_to_value).collect()));
        return Ok(());
    }
    let names = if o.names { port_names(&c.ports()?) } else { Vec::new() };
    let printer = Printer { version: c.version(), ports: &names };
    let mut out = String::new();
    for mut flow in flows {
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
    let request = filter(&mut c, text)?;
    let reply = c.query(MultipartRequest::Aggregate(request), "aggregate statistics")?;
    let MultipartReply::Aggregate(a) = &reply else { return unexpected("aggregate statistics") };
    if o.json {
        print_json(&reply_json(&reply));
    } else {
        print(&format!(" packet_count={} byte_count={} flow_count={}", a.packet_count, a.byte_count, a.flow_count));
    }
    Ok(())
}

fn one_port(c: &mut Connection, port: Option<&str>) -> anyhow::Result<(PortNo, Vec<(String, PortNo)>)> {
    let names = port_names(&c.ports()?);
    let no = port.map(|p| find_port(p, &names)).transpose()?;
    Ok((no.unwrap_or(PortNo::ANY), names))
}

fn name_of(names: &[(String, PortNo)], no: PortNo) -> String {
    names.iter().find(|(_, n)| *n == no).map_or_else(String::new, |(name, _)| printable(name))
}

/// `dump-ports`
pub fn port_stats(o: &Options, target: &Target, port: Option<&str>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let (no, names) = one_port(&mut c, port)?;
    let reply = c.query(MultipartRequest::PortStats(no), "port statistics")?;
    let MultipartReply::PortStats(stats) = &reply else { return unexpected("port statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let mut sorted: Vec<_> = stats.iter().collect();
    sorted.sort_by_key(|p| p.port_no);
    let numbers: Vec<usize> = (2..11).chain([0]).collect();
    print(&show::table(
        [
            "port",
            "name",
            "rx packets",
            "rx bytes",
            "dropped",
            "errors",
            "tx packets",
            "tx bytes",
            "dropped",
            "errors",
            "seconds",
        ],
        &numbers,
        sorted.iter().map(|p| {
            [
                p.port_no.to_string(),
                name_of(&names, p.port_no),
                count(p.rx_packets),
                count(p.rx_bytes),
                count(p.rx_dropped),
                count(p.rx_errors),
                count(p.tx_packets),
                count(p.tx_bytes),
                count(p.tx_dropped),
                count(p.tx_errors),
                if c.version() < Version::V13 { "-".into() } else { seconds(p.duration_sec, p.duration_nsec) },
            ]
        }),
    ));
    // Only what somebody counts: these are zero nearly everywhere.
    for p in sorted {
        for property in &p.properties {
            let PortStatsProp::Ethernet(e) = property else { continue };
            let named = [
                ("frame errors", e.rx_frame_err),
                ("overruns", e.rx_over_err),
                ("CRC errors", e.rx_crc_err),
                ("collisions", e.collisions),
            ];
            let some: Vec<String> = named
                .iter()
                .filter(|(_, n)| *n != 0 && *n != u64::MAX)
                .map(|(name, n)| format!("{n} {name}"))
                .collect();
            if !some.is_empty() {
                print(&format!(" port {}: {}", p.port_no, some.join(", ")));
            }
        }
    }
    Ok(())
}

/// `dump-ports-desc`
pub fn port_desc(o: &Options, target: &Target) -> anyhow::Result<()> {
    let ports = o.connect(target)?.ports()?;
    if o.json {
        print_json(&Value::Array(ports.iter().map(json::port_to_value).collect()));
    } else {
        print(&show::ports(&ports));
    }
    Ok(())
}

/// `dump-tables`
pub fn tables(o: &Options, target: &Target, all: bool) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Table, "table statistics")?;
    let MultipartReply::Table(tables) = &reply else { return unexpected("table statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let used = |t: &&ofproto::table::TableStats| all || t.active_count > 0 || t.lookup_count > 0;
    let legacy = c.version() < Version::V13;
    let rows: Vec<_> = tables.iter().filter(used).collect();
    if rows.is_empty() {
        print(&format!(" all {} tables are empty and unused", tables.len()));
        return Ok(());
    }
    if legacy {
        print(&show::table(
            ["table", "name", "entries", "at most", "lookups", "matched"],
            &[0, 2, 3, 4, 5],
            rows.iter().map(|t| {
                let l = t.legacy.as_deref();
                [
                    t.table.to_string(),
                    l.map_or_else(String::new, |l| printable(&l.name)),
                    t.active_count.to_string(),
                    l.map_or_else(|| "-".into(), |l| l.max_entries.to_string()),
                    count(t.lookup_count),
                    count(t.matched_count),
                ]
            }),
        ));
    } else {
        print(&show::table(
            ["table", "entries", "lookups", "matched"],
            &[0, 1, 2, 3],
            rows.iter().map(|t| {
                [t.table.to_string(), t.active_count.to_string(), count(t.lookup_count), count(t.matched_count)]
            }),
        ));
    }
    if rows.len() < tables.len() {
        print(&format!(" ({} more are empty and unused)", tables.len() - rows.len()));
    }
    Ok(())
}

/// Prints a reply as `describe` shows it, without the line of its header.
fn described(version: Version, reply: &MultipartReply) {
    let message = Message::MultipartReply(Multipart::last(reply.clone()));
    let header = wire::Header { version: version.wire(), ty: 19, length: 0, xid: ofproto::ids::Xid(0) };
    let text = ofproto::text::describe(&header, &message).to_string();
    let rest: Vec<&str> = text.lines().skip(1).map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
    print(&rest.join("\n"));
}

/// `dump-table-features`
pub fn table_features(o: &Options, target: &Target, table: Option<u8>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let mut reply = c.query(MultipartRequest::TableFeatures(Vec::new()), "table features")?;
    let MultipartReply::TableFeatures(tables) = &mut reply else { return unexpected("table features") };
    if let Some(n) = table {
        tables.retain(|t| t.table.0 == n);
        if tables.is_empty() {
            bail!("there is no table {n}");
        }
    }
    if o.json {
        print_json(&reply_json(&reply));
    } else {
        described(c.version(), &reply);
    }
    Ok(())
}

/// `dump-table-desc`
pub fn table_desc(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::TableDesc, "table descriptions")?;
    let MultipartReply::TableDesc(tables) = &reply else { return unexpected("table descriptions") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    print(&show::table(
        ["table", "configuration", "eviction by", "vacancy events"],
        &[0],
        tables.iter().map(|t| {
            let config = bits(
                t.config.bits(),
                &[(TableConfig::EVICTION.bits(), "eviction"), (TableConfig::VACANCY_EVENTS.bits(), "vacancy_events")],
            );
            let (mut eviction, mut vacancy) = ("-".to_owned(), "-".to_owned());
            for p in &t.properties {
                match p {
                    TableModProp::Eviction(flags) => {
                        eviction = bits(*flags, &[(1, "other"), (2, "importance"), (4, "lifetime")]);
                    }
                    TableModProp::Vacancy { down, up, vacancy: now } => {
                        vacancy = format!("below {down}%, above {up}%, now {now}%");
                    }
                    TableModProp::Other(_) => {}
                }
            }
            [t.table.to_string(), config, eviction, vacancy]
        }),
    ));
    Ok(())
}

/// `dump-groups`
pub fn groups(o: &Options, target: &Target, group: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let wanted = group.map_or(GroupId::ALL, GroupId);
    // Before 1.5 the request has no group: the whole list comes.
    let asked = if c.version() >= Version::V15 { wanted } else { GroupId::ALL };
    let mut reply = c.query(MultipartRequest::GroupDesc(asked), "group descriptions")?;
    let MultipartReply::GroupDesc(groups) = &mut reply else { return unexpected("group descriptions") };
    groups.retain(|g| group.is_none() || g.group == wanted);
    groups.sort_by_key(|g| g.group);
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let names = if o.names { port_names(&c.ports()?) } else { Vec::new() };
    let printer = Printer { version: c.version(), ports: &names };
    if let MultipartReply::GroupDesc(groups) = &reply {
        for g in groups {
            print(&format!(" {}", printer.group(g)));
        }
    }
    Ok(())
}

/// `dump-group-stats`
pub fn group_stats(o: &Options, target: &Target, group: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Group(group.map_or(GroupId::ALL, GroupId)), "group statistics")?;
    let MultipartReply::Group(groups) = &reply else { return unexpected("group statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let mut rows = Vec::new();
    for g in groups {
        rows.push([
            g.group.to_string(),
            String::new(),
            g.packet_count.to_string(),
            g.byte_count.to_string(),
            g.ref_count.to_string(),
            if c.version() < Version::V13 { "-".into() } else { seconds(g.duration_sec, g.duration_nsec) },
        ]);
        for (i, (packets, bytes)) in g.buckets.iter().enumerate() {
            let blank = String::new;
            rows.push([blank(), i.to_string(), packets.to_string(), bytes.to_string(), blank(), blank()]);
        }
    }
    print(&show::table(["group", "bucket", "packets", "bytes", "references", "seconds"], &[0, 1, 2, 3, 4, 5], rows));
    Ok(())
}

/// `dump-group-features`
pub fn group_features(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::GroupFeatures, "group features")?;
    let MultipartReply::GroupFeatures(f) = &reply else { return unexpected("group features") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let capabilities = bits(
        f.capabilities.bits(),
        &[(1, "select_weight"), (2, "select_liveness"), (4, "chaining"), (8, "chaining_checks")],
    );
    print(&format!(" capabilities: {capabilities}"));
    print(&show::table(
        ["type", "at most", "actions"],
        &[1],
        ["all", "select", "indirect", "ff"].into_iter().enumerate().filter(|(i, _)| f.types >> i & 1 == 1).map(
            |(i, name)| {
                let at = |list: &[u32; 4]| list.get(i).copied().unwrap_or(0);
                [name.to_owned(), at(&f.max_groups).to_string(), action_types(at(&f.actions))]
            },
        ),
    ));
    Ok(())
}

/// The names of wire action types (OpenFlow 1.3.5 §7.2.5).
fn action_types(bitmap: u32) -> String {
    let names = [
        (0, "output"),
        (1, "set_vlan_vid"),
        (2, "set_vlan_pcp"),
        (11, "copy_ttl_out"),
        (12, "copy_ttl_in"),
        (15, "set_mpls_ttl"),
        (16, "dec_mpls_ttl"),
        (17, "push_vlan"),
        (18, "pop_vlan"),
        (19, "push_mpls"),
        (20, "pop_mpls"),
        (21, "set_queue"),
        (22, "group"),
        (23, "set_nw_ttl"),
        (24, "dec_nw_ttl"),
        (25, "set_field"),
        (26, "push_pbb"),
        (27, "pop_pbb"),
        (28, "copy_field"),
        (29, "meter"),
    ]
    .map(|(bit, name)| (1u32 << bit, name));
    bits(bitmap, &names)
}

/// `dump-meters`
pub fn meters(o: &Options, target: &Target, meter: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::MeterConfig(meter.map_or(MeterId::ALL, MeterId)), "meter descriptions")?;
    let MultipartReply::MeterConfig(meters) = &reply else { return unexpected("meter descriptions") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    for m in meters {
        print(&format!(" {}", MeterText(m)));
    }
    Ok(())
}

/// `meter-stats`
pub fn meter_stats(o: &Options, target: &Target, meter: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::Meter(meter.map_or(MeterId::ALL, MeterId)), "meter statistics")?;
    let MultipartReply::Meter(meters) = &reply else { return unexpected("meter statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    let mut rows = Vec::new();
    for m in meters {
        rows.push([
            m.meter.to_string(),
            String::new(),
            m.packet_in_count.to_string(),
            m.byte_in_count.to_string(),
            m.ref_count.to_string(),
            seconds(m.duration_sec, m.duration_nsec),
        ]);
        for (i, (packets, bytes)) in m.bands.iter().enumerate() {
            let blank = String::new;
            rows.push([blank(), i.to_string(), packets.to_string(), bytes.to_string(), blank(), blank()]);
        }
    }
    print(&show::table(["meter", "band", "packets", "bytes", "references", "seconds"], &[0, 1, 2, 3, 4, 5], rows));
    Ok(())
}

/// `meter-features`
pub fn meter_features(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let reply = c.query(MultipartRequest::MeterFeatures, "meter features")?;
    let MultipartReply::MeterFeatures(f) = &reply else { return unexpected("meter features") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    print(&format!(
        " at most {} meters of {} bands, colours to {}\n bands: {}\n flags: {}",
        f.max_meter,
        f.max_bands,
        f.max_color,
        bits(f.band_types, &[(1 << 1, "drop"), (1 << 2, "dscp_remark")]),
        bits(f.capabilities, &[(1, "kbps"), (2, "pktps"), (4, "burst"), (8, "stats")]),
    ));
    if c.version() >= Version::V15 {
        let names = [(1, "action_set"), (2, "any_position"), (4, "multi_list")];
        print(&format!(" features: {}", bits(f.features, &names)));
    }
    Ok(())
}

/// `queue-stats`
pub fn queue_stats(o: &Options, target: &Target, port: Option<&str>, queue: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let (no, names) = one_port(&mut c, port)?;
    // 1.0 has no "any": all ports are OFPP_ALL (OpenFlow 1.0 §5.3.5).
    let no = if c.version() == Version::V10 && no == PortNo::ANY { PortNo::ALL } else { no };
    let queue = queue.map_or(QueueId::ALL, QueueId);
    let reply = c.query(MultipartRequest::Queue { port: no, queue }, "queue statistics")?;
    let MultipartReply::Queue(stats) = &reply else { return unexpected("queue statistics") };
    if o.json {
        print_json(&reply_json(&reply));
        return Ok(());
    }
    print(&show::table(
        ["port", "name", "queue", "packets", "bytes", "dropped", "seconds"],
        &[0, 2, 3, 4, 5, 6],
        stats.iter().map(|q| {
            [
                q.port.to_string(),
                name_of(&names, q.port),
                q.queue.to_string(),
                count(q.tx_packets),
                count(q.tx_bytes),
                count(q.tx_errors),
                if c.version() < Version::V13 { "-".into() } else { seconds(q.duration_sec, q.duration_nsec) },
            ]
        }),
    ));
    Ok(())
}

/// `queue-get-config`
pub fn queue_config(o: &Options, target: &Target, port: Option<&str>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let (no, names) = one_port(&mut c, port)?;
    let mut queues: Vec<QueueDesc> = Vec::new();
    if c.version() >= Version::V14 {
        match c.query(MultipartRequest::QueueDesc { port: no, queue: QueueId::ALL }, "queue descriptions")? {
            MultipartReply::QueueDesc(q) => queues = q,
            _ => return unexpected("queue descriptions"),
        }
    } else {
        // 1.0 asks about one port at a time.
        let each = if c.version() == Version::V10 && no == PortNo::ANY {
            names.iter().map(|(_, n)| *n).filter(|n| n.is_ordinary()).collect()
        } else {
            vec![no]
        };
        for port in each {
            match c.ask(&Message::QueueGetConfigRequest(port), "queue configuration")? {
                Message::QueueGetConfigReply { queues: q, .. } => queues.extend(q),
                other => bail!("the answer to queue configuration is an {}", message_name(&other)),
            }
        }
    }
    if o.json {
        print_json(&reply_json(&MultipartReply::QueueDesc(queues)));
        return Ok(());
    }
    let rate = |r: Option<u16>| match r {
        Some(n) if n <= 1000 => format!("{}.{}%", n / 10, n % 10),
        _ => "-".into(),
    };
    print(&show::table(
        ["port", "name", "queue", "min rate", "max rate"],
        &[0, 2, 3, 4],
        queues.iter().map(|q| {
            let min = q.properties.iter().find_map(|p| if let QueueProp::MinRate(n) = p { Some(*n) } else { None });
            let max = q.properties.iter().find_map(|p| if let QueueProp::MaxRate(n) = p { Some(*n) } else { None });
            [q.port.to_string(), name_of(&names, q.port), q.queue.to_string(), rate(min), rate(max)]
        }),
    ));
    Ok(())
}
