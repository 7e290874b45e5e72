//! Commands for the management socket of switchd: JSON-RPC 2.0, one line each way.

use crate::cli::Options;
use crate::show::{count, printable, table};
use crate::text_input::{find_port, located, read};
use crate::{Misuse, print, print_json};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use ofproto::field::FieldId;
use ofproto::ids::PortNo;
use ofproto::text::{ParseContext, parse_match};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tools::capture::{self, Link};

#[derive(Args)]
pub struct ManagementArgs {
    /// The management socket, or the bridge's name for /run/switchd/NAME.sock
    #[arg(default_value = "br0")]
    socket: String,
    /// Which bridge, if the daemon holds several
    #[arg(long, value_name = "NAME")]
    bridge: Option<String>,
}

#[derive(Args)]
pub struct TraceArgs {
    /// The management socket, or the bridge's name for /run/switchd/NAME.sock
    socket: String,
    /// The packet: in flow syntax (in_port=1,tcp,nw_dst=10.0.0.2,…), in hexadecimal, or a capture's name
    packet: String,
    /// The port it comes in on, by number, name or LOCAL; in_port=… in flow syntax says it, too
    #[arg(long, value_name = "PORT")]
    in_port: Option<String>,
    /// Which packet of the capture, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    frame: usize,
    /// Which bridge, if the daemon holds several
    #[arg(long, value_name = "NAME")]
    bridge: Option<String>,
}

fn port_number(text: &str) -> Result<u32, String> {
    find_port(text, &[]).map(|port| port.0).map_err(|_| "expected a port's number or LOCAL".into())
}

/// Most bytes of an answer.
const MOST_ANSWER: u64 = 1 << 30;

/// Where daemons listen unless told otherwise, by the name of their first bridge.
const PLACES: &str = "/run/switchd";

fn socket_path(text: &str) -> PathBuf {
    let text = text.strip_prefix("unix:").unwrap_or(text);
    if text.contains('/') { text.into() } else { Path::new(PLACES).join(format!("{text}.sock")) }
}

/// Asks for one thing. A bridge that goes by its name is found whichever daemon has it.
pub fn call(o: &Options, socket: &str, bridge: Option<&str>, method: &str, params: Value) -> anyhow::Result<Value> {
    let path = socket_path(socket);
    if socket.contains('/') || bridge.is_some() {
        return ask(o, &path, bridge, method, params);
    }
    if path.exists() {
        return ask(o, &path, Some(socket), method, params);
    }
    let places = std::fs::read_dir(PLACES).into_iter().flatten().flatten().map(|e| e.path());
    let has = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "sock")
            && ask(o, path, None, "bridges", json!({}))
                .is_ok_and(|names| names.as_array().is_some_and(|n| n.iter().any(|n| n == socket)))
    };
    match places.filter(|p| p != &path).find(has) {
        Some(found) => ask(o, &found, Some(socket), method, params),
        None => ask(o, &path, Some(socket), method, params),
    }
}

fn ask(o: &Options, path: &Path, bridge: Option<&str>, method: &str, mut params: Value) -> anyhow::Result<Value> {
    let stream = UnixStream::connect(path).with_context(|| format!("cannot connect to {}", path.display()))?;
    stream.set_read_timeout(Some(o.wait()))?;
    stream.set_write_timeout(Some(o.wait()))?;
    if let (Some(bridge), Some(map)) = (bridge, params.as_object_mut()) {
        map.insert("bridge".into(), bridge.into());
    }
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    (&stream).write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(&stream, MOST_ANSWER));
    // Whoever speaks OpenFlow says hello first, and would never end a line.
    if reader.fill_buf().is_ok_and(|b| b.first().is_some_and(|version| (1..=6).contains(version))) {
        bail!("{} is an OpenFlow socket; this asks the management socket of switchd, NAME.sock", path.display());
    }
    reader.read_line(&mut line).with_context(|| format!("no answer to {method}"))?;
    let mut answer: Value =
        serde_json::from_str(&line).with_context(|| format!("the answer to {method} is no JSON"))?;
    if let Some(error) = answer.get("error") {
        bail!("{}", error.get("message").and_then(Value::as_str).unwrap_or("refused without a reason"));
    }
    Ok(answer.get_mut("result").map(Value::take).unwrap_or(Value::Null))
}

/// A value for people; `-` for none.
pub fn word(v: Option<&Value>) -> String {
    match v {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(s)) => printable(s),
        Some(other) => other.to_string(),
    }
}

/// `status`
pub fn status(o: &Options, a: &ManagementArgs) -> anyhow::Result<()> {
    let s = call(o, &a.socket, a.bridge.as_deref(), "status", json!({}))?;
    if o.json {
        print_json(&s);
        return Ok(());
    }
    print(&standing(&s));
    Ok(())
}

/// Who decides where packets go, and what there is.
fn standing(s: &Value) -> String {
    let is = |key: &str| s.get(key) == Some(&Value::Bool(true));
    let (who, then) = match (is("controlled"), is("controller_configured")) {
        (true, _) => ("a controller is connected", ""),
        (false, true) if is("flows_aside") => {
            ("no controller is connected", ": it is a learning switch and leaves its flows aside")
        }
        (false, true) => ("no controller is connected", ": it goes by the flows that it has"),
        (false, false) => ("no controller is configured", ": it goes by its flows"),
    };
    format!(
        " {} datapath {}: {who}, fail mode {}{then}\n flows: {}, tables: {}, ports: {}",
        word(s.get("name")),
        word(s.get("datapath_id")),
        word(s.get("fail_mode")),
        word(s.get("flows")),
        word(s.get("tables")),
        word(s.get("ports")),
    )
}

/// A method that is asked for nothing and does something.
pub fn order(o: &Options, a: &ManagementArgs, method: &str) -> anyhow::Result<()> {
    call(o, &a.socket, a.bridge.as_deref(), method, json!({})).map(|_| ())
}

/// A method whose answer is a list: `connections`, `learned`.
pub fn list(o: &Options, a: &ManagementArgs, method: &str) -> anyhow::Result<()> {
    let list = call(o, &a.socket, a.bridge.as_deref(), method, json!({}))?;
    if o.json {
        print_json(&list);
        return Ok(());
    }
    let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
    print(&any_table(rows));
    Ok(())
}

/// A table of what objects have in common: every key that some object has, in the order of their
/// first appearance.
fn any_table(rows: &[Value]) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|m| m.keys()) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return " (none)".into();
    }
    let lines: Vec<Vec<String>> = rows.iter().map(|r| keys.iter().map(|k| word(r.get(*k))).collect()).collect();
    crate::show::columns(&keys, &[], &lines)
}

/// `counters`
pub fn counters(o: &Options, a: &ManagementArgs) -> anyhow::Result<()> {
    let c = call(o, &a.socket, a.bridge.as_deref(), "counters", json!({}))?;
    if o.json {
        print_json(&c);
        return Ok(());
    }
    let mut flat = Vec::new();
    flatten(&mut flat, "", &c);
    let all = flat.len();
    flat.retain(|(_, n)| *n != 0);
    if !flat.is_empty() {
        print(&table(["counter", "value"], &[1], flat.iter().map(|(name, n)| [name.clone(), count(*n)])));
    }
    if flat.len() < all {
        print(&format!(" ({} more are zero)", all - flat.len()));
    }
    Ok(())
}

/// Nested counters under names joined by dots.
fn flatten(out: &mut Vec<(String, u64)>, name: &str, v: &Value) {
    match v {
        Value::Object(m) => {
            // Which of a list it is, and no counter.
            for (key, v) in m.iter().filter(|(key, _)| *key != "id") {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(out, &name, v);
            }
        }
        Value::Array(list) => {
            for (i, v) in list.iter().enumerate() {
                let id = v.get("id").and_then(Value::as_u64).unwrap_or(i as u64);
                flatten(out, &format!("{name}.{id}"), v);
            }
        }
        Value::Number(n) => out.push((name.to_owned(), n.as_u64().unwrap_or(0))),
        _ => {}
    }
}

/// Hexadecimal digits, blanks and colons between them, as bytes; `None` if it is anything else.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect()
}

/// The packet that `trace` is about as the call's parameters, and the port it came in on.
fn packet(text: &str, frame: usize) -> anyhow::Result<(&'static str, String, Option<u32>)> {
    let path = Path::new(text);
    if path.is_file() {
        let file = read(path)?;
        let packets = capture::read(&file).map_err(|e| anyhow!("{text}: {e}"))?;
        let packet = frame.checked_sub(1).and_then(|i| packets.get(i));
        let packet = packet.with_context(|| format!("{text} has {} packets", packets.len()))?;
        if packet.link != Link::Ethernet {
            bail!("{text} has no Ethernet frames");
        }
        return Ok(("packet", packet.data.iter().map(|b| format!("{b:02x}")).collect(), None));
    }
    if let Some(bytes) = unhex(text) {
        return Ok(("packet", bytes.iter().map(|b| format!("{b:02x}")).collect(), None));
    }
    // Read here as well, so that a mistake is shown at its place.
    let m = parse_match(text, &ParseContext::new(ofproto::Version::V15)).map_err(located(text, None))?;
    Ok(("flow", text.to_owned(), m.get(FieldId::InPort).and_then(|f| u32::try_from(f.value).ok())))
}

/// The number of a port that may be given by its name, which the bridge is asked for then. What is no port's name stays as
/// it is.
fn numbered(o: &Options, a: &TraceArgs, port: &str) -> anyhow::Result<String> {
    if port.is_empty() || port.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(port.to_owned());
    }
    let ports = call(o, &a.socket, a.bridge.as_deref(), "ports", json!({}))?;
    let of_name = |p: &&Value| p.get("name").and_then(Value::as_str) == Some(port);
    let number = ports.as_array().and_then(|l| l.iter().find(of_name)).and_then(|p| p.get("port_no"));
    Ok(number.map_or_else(|| port.to_owned(), ToString::to_string))
}

/// The flow with its in_port as a number.
fn with_number(o: &Options, a: &TraceArgs) -> anyhow::Result<String> {
    let text = a.packet.trim();
    let Some((before, rest)) = text.split_once("in_port=") else { return Ok(text.to_owned()) };
    let (port, after) = rest.split_at(rest.find([',', ' ']).unwrap_or(rest.len()));
    Ok(format!("{before}in_port={}{after}", numbered(o, a, port.trim_matches('"'))?))
}

/// `trace`
pub fn trace(o: &Options, a: &TraceArgs) -> anyhow::Result<()> {
    let (form, packet, port) = packet(&with_number(o, a)?, a.frame)?;
    let named = a.in_port.as_deref().map(|port| numbered(o, a, port)).transpose()?;
    let named = named.map(|p| port_number(&p).map_err(|why| Misuse(format!("--in-port: {why}")))).transpose()?;
    let in_port = named
        .or(port)
        .ok_or_else(|| Misuse("which port does it come in on? Say --in-port or in_port=… in the flow".into()))?;
    let t = call(o, &a.socket, a.bridge.as_deref(), "trace", json!({ "in_port": in_port, form: packet }))?;
    if o.json {
        print_json(&t);
        return Ok(());
    }
    if let Some(bytes) = unhex(&packet).filter(|_| form == "packet") {
        print(&format!(" {} bytes in on port {}: {}", bytes.len(), PortNo(in_port), tools::summary::of(&bytes)));
    }
    print(&walk(&t));
    Ok(())
}

/// A text's lines, fit for the terminal.
fn word_lines(v: Option<&Value>) -> Vec<String> {
    v.and_then(Value::as_str).unwrap_or("?").lines().map(printable).collect()
}

/// The walk and what came out.
fn walk(t: &Value) -> String {
    let list = |key: &str| t.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut out = Vec::new();
    for step in list("steps") {
        let depth = step.get("depth").and_then(Value::as_u64).unwrap_or(0).min(64) as usize;
        for line in word_lines(step.get("text")) {
            out.push(format!(" {:indent$}{line}", "", indent = 2 * depth));
        }
    }
    let mut ends = Vec::new();
    for sent in list("sent") {
        let queue = match sent.get("queue") {
            None | Some(Value::Null) => String::new(),
            Some(q) => format!(" queue {q}"),
        };
        let frame = sent.get("frame").and_then(Value::as_str).and_then(unhex).unwrap_or_default();
        let what = tools::summary::of(&frame);
        ends.push(format!("{} bytes out of port {}{queue}: {what}", frame.len(), word(sent.get("port"))));
    }
    match t.get("to_controller").and_then(Value::as_u64) {
        Some(0) | None => {}
        Some(1) => ends.push("to the controller".into()),
        Some(n) => ends.push(format!("{n} times to the controller")),
    }
    for reason in list("dropped") {
        ends.push(format!("dropped: {}", word(Some(reason))));
    }
    if ends.is_empty() {
        ends.push("nothing comes out".into());
    }
    out.extend(ends.into_iter().map(|e| format!(" = {e}")));
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_by_name_and_path() {
        assert_eq!(socket_path("br0"), Path::new("/run/switchd/br0.sock"));
        assert_eq!(socket_path("unix:/tmp/m.sock"), Path::new("/tmp/m.sock"));
        assert_eq!(socket_path("./m.sock"), Path::new("./m.sock"));
    }

    #[test]
    fn a_switch_says_who_decides() {
        let says = |controlled: bool, configured: bool, aside: bool| {
            let told = json!({ "controlled": controlled, "controller_configured": configured, "flows_aside": aside });
            standing(&told).lines().next().unwrap_or_default().to_owned()
        };
        assert!(says(false, true, true).ends_with("leaves its flows aside"));
        assert!(says(false, true, false).ends_with("goes by the flows that it has"));
        assert!(says(false, false, false).contains("no controller is configured"));
        assert!(
            says(true, true, false).contains("a controller is connected") && !says(true, true, false).contains("flows")
        );
    }

    #[test]
    fn counters_are_flat_names() {
        let mut out = Vec::new();
        flatten(&mut out, "", &json!({ "drops": { "miss": 3, "ttl": 0 }, "sampled": 1, "name": "x" }));
        assert_eq!(out, [("drops.miss".to_owned(), 3), ("drops.ttl".into(), 0), ("sampled".into(), 1)]);
        out.clear();
        flatten(&mut out, "", &json!({ "workers": [{ "id": 4, "frames": 3 }, { "id": 5, "frames": 0 }] }));
        assert_eq!(out, [("workers.4.frames".to_owned(), 3), ("workers.5.frames".into(), 0)]);
    }

    #[test]
    fn a_walk_ends_with_what_came_out() {
        let t = json!({
            "steps": [{ "depth": 0, "text": "a\nb" }, { "depth": 1, "text": "c" }],
            "sent": [
                { "port": "2", "queue": null, "frame": "00000000000200000000000188b5" },
                { "port": "LOCAL", "queue": 1, "frame": "00000000000200000000000188b5" },
            ],
            "to_controller": 1,
            "dropped": ["meter"],
        });
        let lines: Vec<String> = walk(&t).lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                " a",
                " b",
                "   c",
                " = 14 bytes out of port 2: 00:00:00:00:00:01 > 00:00:00:00:00:02 type 0x88b5",
                " = 14 bytes out of port LOCAL queue 1: 00:00:00:00:00:01 > 00:00:00:00:00:02 type 0x88b5",
                " = to the controller",
                " = dropped: meter",
            ]
        );
        assert_eq!(walk(&json!({})), " = nothing comes out");
    }
}
