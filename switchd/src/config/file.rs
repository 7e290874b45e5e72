//! The TOML file: every long option is a key, and `[[bridge]]` tables hold several bridges.
//!
//! The file is walked by hand rather than by serde so that each mistake names its key, its line and
//! what was expected there.

use super::value::{self, CpuList};
use super::{BridgeOptions, ConfigError, Options, Origin, QueueSpec, Sourced, queue_id};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// Most bridges of one process.
pub const MAX_BRIDGES: usize = 64;

/// What [`File::bridge_key`] takes.
const BRIDGE_KEYS: [&str; 21] = [
    "name",
    "dpid",
    "port",
    "queue",
    "local-port",
    "fail-mode",
    "in-band",
    "controller",
    "listen",
    "snoop",
    "protocol",
    "inactivity-probe",
    "packet-in-rate",
    "packet-in-burst",
    "table-size",
    "state",
    "tls-key",
    "tls-cert",
    "tls-ca",
    "tls-peer",
    "tls-bind-dpid",
];

/// What only the top of the file has.
const PROCESS_KEYS: [&str; 6] = ["workers", "worker-cpus", "spin", "management", "log", "bridge"];

/// Reads a file.
///
/// # Errors
/// It can't be read, is longer than 1 MiB, isn't TOML, or holds something wrong.
pub fn read(path: &Path) -> Result<Options, ConfigError> {
    let name = path.display().to_string();
    let fail = |reason: String| ConfigError { origin: Origin::CommandLine("--config"), reason };
    // The length that a file says it has counts for nothing: a device has none and never ends.
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| fail(format!("can't read `{name}`: {e}")))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| fail(format!("can't read `{name}`: {e}")))?;
    if text.len() as u64 > MAX_FILE {
        return Err(fail(format!("`{name}` has more than {MAX_FILE} bytes; no more are read")));
    }
    parse(&name, &text)
}

/// Parses a file's text; `name` is for messages.
///
/// # Errors
/// It isn't TOML or holds something wrong.
pub fn parse(name: &str, text: &str) -> Result<Options, ConfigError> {
    let file = File { name: name.into(), text };
    let document = DeTable::parse(text).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start);
        ConfigError { origin: file.at(at, ""), reason: format!("not TOML: {}", e.message()) }
    })?;
    let top = document.get_ref();
    let mut options = Options::default();
    let mut single = BridgeOptions::default();
    let mut single_key = None;
    for (key, value) in top {
        let name: &str = key.get_ref();
        if file.bridge_key(&mut single, name, value)? {
            single_key.get_or_insert((name.to_owned(), key.span().start));
            continue;
        }
        match name {
            "workers" => {
                let n = file.number(value, "workers")?;
                options.workers = Some(value::workers(n).map_err(|e| file.wrong(value, "workers", e))?);
            }
            "worker-cpus" => options.worker_cpus = Some(file.parsed::<CpuList>(value, "worker-cpus")?.value),
            "spin" => {
                let n = file.number(value, "spin")?;
                options.spin = Some(value::spin(n).map_err(|e| file.wrong(value, "spin", e))?);
            }
            "management" => options.management = Some(file.parsed(value, "management")?),
            "log" => options.log = Some(file.string(value, "log")?),
            "bridge" => {
                let DeValue::Array(list) = value.get_ref() else {
                    return Err(file.expected(value, "bridge", "tables that begin with `[[bridge]]`"));
                };
                if list.len() > MAX_BRIDGES {
                    return Err(file.wrong(value, "bridge", format!("{MAX_BRIDGES} bridges at most")));
                }
                for item in list {
                    let bridge = file.bridge(item)?;
                    if list.len() > 1 && bridge.name.is_none() {
                        return Err(file.wrong(item, "bridge", "each of several bridges needs a `name`".into()));
                    }
                    options.bridges.push(bridge);
                }
            }
            _ => return Err(file.unknown(key.span().start, name, true)),
        }
    }
    match (single_key, options.bridges.is_empty()) {
        (Some(_), true) => options.bridges.push(single),
        (Some((key, at)), false) => {
            let reason = "belongs into a `[[bridge]]` table when there are any".to_owned();
            return Err(ConfigError { origin: file.at(at, &key), reason });
        }
        (None, _) => {}
    }
    Ok(options)
}

struct File<'a> {
    name: Arc<str>,
    text: &'a str,
}

impl File<'_> {
    fn at(&self, offset: usize, key: &str) -> Origin {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Origin::File { name: self.name.clone(), line, key: key.into() }
    }

    fn wrong(&self, value: &Spanned<DeValue<'_>>, key: &str, reason: String) -> ConfigError {
        ConfigError { origin: self.at(value.span().start, key), reason }
    }

    fn expected(&self, value: &Spanned<DeValue<'_>>, key: &str, what: &str) -> ConfigError {
        self.wrong(value, key, format!("found {}, expected {what}", type_name(value.get_ref())))
    }

    fn unknown(&self, at: usize, key: &str, top: bool) -> ConfigError {
        let known = BRIDGE_KEYS.iter().chain(PROCESS_KEYS.iter().filter(|_| top));
        let shown = known.clone().copied().collect::<Vec<_>>().join(", ");
        let mut reason = format!("unknown key; expected one of {shown}");
        if !top && PROCESS_KEYS.contains(&key) {
            reason = format!("`{key}` is the whole process's: it belongs above the first `[[bridge]]`");
        } else if let Some(near) = known.into_iter().find(|k| similar(k, key)) {
            reason = format!("unknown key; did you mean `{near}`?");
        }
        ConfigError { origin: self.at(at, key), reason }
    }

    fn bridge(&self, item: &Spanned<DeValue<'_>>) -> Result<BridgeOptions, ConfigError> {
        let DeValue::Table(table) = item.get_ref() else {
            return Err(self.expected(item, "bridge", "tables that begin with `[[bridge]]`"));
        };
        let mut bridge = BridgeOptions::default();
        for (key, value) in table {
            if !self.bridge_key(&mut bridge, key.get_ref(), value)? {
                return Err(self.unknown(key.span().start, key.get_ref(), false));
            }
        }
        Ok(bridge)
    }

    /// Takes a bridge's key; `false` if it is none.
    fn bridge_key(&self, b: &mut BridgeOptions, key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool, ConfigError> {
        match key {
            "name" => b.name = Some(self.parsed(value, key)?),
            "dpid" => {
                let text = match value.get_ref() {
                    DeValue::Integer(_) => return Err(self.expected(value, key, "a string of hexadecimal digits")),
                    _ => self.string(value, key)?,
                };
                b.dpid = Some(text.try_map(|s| value::dpid(&s))?);
            }
            "port" => b.ports = Some(self.list(value, key, false, |s| s.parse())?),
            "queue" => b.queues = Some(self.queues(value, key)?),
            "local-port" => b.local_port = Some(self.boolean(value, key)?),
            "fail-mode" => b.fail_mode = Some(self.parsed(value, key)?),
            "in-band" => b.in_band = Some(self.boolean(value, key)?),
            "controller" => b.controllers = Some(self.list(value, key, false, |s| s.parse())?),
            "listen" => b.listen = Some(self.list(value, key, false, |s| s.parse())?),
            "snoop" => b.snoop = Some(self.parsed(value, key)?),
            "protocol" => b.protocols = Some(self.list(value, key, true, value::version)?),
            "inactivity-probe" => {
                let n = self.number(value, key)?;
                let n = value::probe(n).map_err(|e| self.wrong(value, key, e))?;
                b.inactivity_probe = Some(Sourced { value: n, origin: self.at(value.span().start, key) });
            }
            "packet-in-rate" => {
                let n = self.number(value, key)?;
                let n = value::packet_in_rate(n).map_err(|e| self.wrong(value, key, e))?;
                b.packet_in_rate = Some(Sourced { value: n, origin: self.at(value.span().start, key) });
            }
            "table-size" => {
                let n = value::table_size(self.number(value, key)?).map_err(|e| self.wrong(value, key, e))?;
                b.table_size = Some(Sourced { value: n, origin: self.at(value.span().start, key) });
            }
            "packet-in-burst" => {
                let n = self.number(value, key)?;
                let n = value::packet_in_burst(n).map_err(|e| self.wrong(value, key, e))?;
                b.packet_in_burst = Some(Sourced { value: n, origin: self.at(value.span().start, key) });
            }
            "state" => b.state = Some(self.path(value, key)?),
            "tls-key" => b.tls_key = Some(self.path(value, key)?),
            "tls-cert" => b.tls_cert = Some(self.path(value, key)?),
            "tls-ca" => b.tls_ca = Some(self.path(value, key)?),
            "tls-peer" => b.tls_peers = Some(self.list(value, key, false, |s| s.parse())?),
            "tls-bind-dpid" => b.tls_bind_dpid = Some(self.boolean(value, key)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Queues, each a string as on the command line or a table (`[[queue]]`, `[[bridge.queue]]`).
    fn queues(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<Vec<Sourced<QueueSpec>>, ConfigError> {
        match value.get_ref() {
            DeValue::Array(items) if items.iter().any(|i| matches!(i.get_ref(), DeValue::Table(_))) => {
                items.iter().map(|i| self.queue(i, key)).collect()
            }
            _ => self.list(value, key, false, |s| s.parse()),
        }
    }

    fn queue(&self, item: &Spanned<DeValue<'_>>, key: &str) -> Result<Sourced<QueueSpec>, ConfigError> {
        let DeValue::Table(table) = item.get_ref() else {
            return Err(self.expected(item, key, "only tables or only strings in the list"));
        };
        let text = |value: &Spanned<DeValue<'_>>, key: &str| match value.get_ref() {
            DeValue::Integer(_) => self.number(value, key).map(|n| n.to_string()),
            DeValue::String(s) => Ok(s.to_string()),
            _ => Err(self.expected(value, key, "a string or a number")),
        };
        let (mut port, mut id) = (None, None);
        let mut spec = QueueSpec { port: String::new(), id: ofproto::ids::QueueId(0), min: None, max: None };
        for (name, value) in table {
            let name: &str = name.get_ref();
            let text = text(value, name)?;
            match name {
                "port" => port = Some(text),
                "id" => id = Some(queue_id(&text).map_err(|e| self.wrong(value, name, e))?),
                _ => spec.set(name, &text).map_err(|e| self.wrong(value, name, e))?,
            }
        }
        let (Some(port), Some(id)) = (port.filter(|p| !p.is_empty()), id) else {
            return Err(self.wrong(item, key, "a queue needs `port` and `id`".into()));
        };
        (spec.port, spec.id) = (port, id);
        Ok(Sourced { value: spec, origin: self.at(item.span().start, key) })
    }

    fn boolean(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<Sourced<bool>, ConfigError> {
        match value.get_ref() {
            DeValue::Boolean(on) => Ok(Sourced { value: *on, origin: self.at(value.span().start, key) }),
            _ => Err(self.expected(value, key, "`true` or `false`")),
        }
    }

    fn number(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<i64, ConfigError> {
        let n = match value.get_ref() {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok(),
            _ => None,
        };
        n.ok_or_else(|| self.expected(value, key, "a number"))
    }

    fn string(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<Sourced<String>, ConfigError> {
        match value.get_ref() {
            DeValue::String(s) => Ok(Sourced { value: s.to_string(), origin: self.at(value.span().start, key) }),
            _ => Err(self.expected(value, key, "a string")),
        }
    }

    fn path(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<Sourced<PathBuf>, ConfigError> {
        let s = self.string(value, key)?;
        s.try_map(|s| if s.is_empty() { Err("a path is missing".into()) } else { Ok(s.into()) })
    }

    fn parsed<T: std::str::FromStr<Err = String>>(
        &self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
    ) -> Result<Sourced<T>, ConfigError> {
        self.string(value, key)?.try_map(|s| s.parse())
    }

    /// A list of strings, or one string; with `commas` each may hold several.
    fn list<T>(
        &self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        commas: bool,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<Sourced<T>>, ConfigError> {
        let strings = match value.get_ref() {
            DeValue::String(_) => vec![self.string(value, key)?],
            DeValue::Array(items) => {
                let strings = items.iter().map(|i| match i.get_ref() {
                    DeValue::String(_) => self.string(i, key),
                    _ => Err(self.expected(i, key, "strings in the list")),
                });
                strings.collect::<Result<_, _>>()?
            }
            _ => return Err(self.expected(value, key, "a list of strings")),
        };
        let mut out = Vec::new();
        for s in strings {
            let parts = if commas { s.value.split(',').collect() } else { vec![s.value.as_str()] };
            for part in parts {
                let value = parse(part).map_err(|reason| ConfigError { origin: s.origin.clone(), reason })?;
                out.push(Sourced { value, origin: s.origin.clone() });
            }
        }
        Ok(out)
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether `key` is a likely slip for `known`: the plural, `_` for `-`, or one letter off.
fn similar(known: &str, key: &str) -> bool {
    let key = key.replace('_', "-").to_ascii_lowercase();
    let key = key.as_bytes();
    let known = known.as_bytes();
    let common = known.iter().zip(key).take_while(|(a, b)| a == b).count();
    let tail = known[common..].iter().rev().zip(key[common..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (k, n) = (key.len() - common - tail, known.len() - common - tail);
    k <= 1 && n <= 1 && common + tail >= 2
}
