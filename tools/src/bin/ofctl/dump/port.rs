//! Ports and queues.

use super::{reply_json, unexpected};
use crate::cli::Options;
use crate::connection::Connection;
use crate::show::{self, count, printable, seconds};
use crate::target::Target;
use crate::text_input::{find_port, port_names};
use crate::{print, print_json};
use anyhow::bail;
use ofproto::Version;
use ofproto::ids::{PortNo, QueueId};
use ofproto::json;
use ofproto::message::{Message, MultipartReply, MultipartRequest};
use ofproto::port::PortStatsProp;
use ofproto::queue::{QueueDesc, QueueProp};
use ofproto::wire::message_name;
use serde_json::Value;

fn one_port(c: &mut Connection, port: Option<&str>) -> anyhow::Result<(PortNo, Vec<(String, PortNo)>)> {
    let names = port_names(&c.ports()?);
    let no = port.map(|p| find_port(p, &names)).transpose()?;
    Ok((no.filter(|p| *p != PortNo::ALL).unwrap_or(PortNo::ANY), names))
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
            "rx dropped",
            "rx errors",
            "tx packets",
            "tx bytes",
            "tx dropped",
            "tx errors",
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
pub fn port_desc(o: &Options, target: &Target, port: Option<&str>) -> anyhow::Result<()> {
    let mut ports = o.connect(target)?.ports()?;
    if let Some(port) = port {
        let no = find_port(port, &port_names(&ports))?;
        let all = [PortNo::ANY, PortNo::ALL].contains(&no);
        ports.retain(|p| all || p.port_no == no);
        if ports.is_empty() {
            bail!("the switch has no port {no}");
        }
    }
    if o.json {
        print_json(&Value::Array(ports.iter().map(json::port_to_value).collect()));
    } else {
        print(&show::ports(&ports));
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
pub fn queue_config(o: &Options, target: &Target, port: Option<&str>, queue: Option<u32>) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let (no, names) = one_port(&mut c, port)?;
    let wanted = queue.map_or(QueueId::ALL, QueueId);
    let mut queues: Vec<QueueDesc> = Vec::new();
    if c.version() >= Version::V14 {
        match c.query(MultipartRequest::QueueDesc { port: no, queue: wanted }, "queue descriptions")? {
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
    // Before 1.4 the request names no queue.
    queues.retain(|q| queue.is_none() || q.queue == wanted);
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
