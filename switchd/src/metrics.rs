//! Counters as Prometheus text (exposition format 0.0.4).
//!
//! The numbers are those of the management answers, so that the two never disagree: every numeric
//! member of an answer becomes a sample, its path the metric's name, and what identifies its object
//! (port, table, connection) its labels.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One sample's labels, in order.
type Labels = Vec<(&'static str, String)>;

#[derive(Default)]
struct Family {
    counter: bool,
    samples: Vec<(Labels, f64)>,
}

/// Samples by metric name.
#[derive(Default)]
pub struct Metrics {
    families: BTreeMap<String, Family>,
}

/// How deep answers are followed.
const DEPTH: usize = 4;

/// Members that identify an object within its list, and the label each becomes.
const IDENTITIES: [(&str, &str); 10] = [
    ("port_no", "port"),
    ("table_id", "table"),
    ("table", "table"),
    ("group_id", "group"),
    ("meter_id", "meter"),
    ("name", "name"),
    ("peer", "peer"),
    ("target", "target"),
    ("queue_id", "queue"),
    ("id", "id"),
];

impl Metrics {
    /// Adds a management answer of a bridge under `switchd_<prefix>`. `counters` says that its numbers
    /// only grow.
    pub fn add_answer(&mut self, bridge: &str, prefix: &str, counters: bool, answer: &Value) {
        let labels = vec![("bridge", bridge.to_owned())];
        let path = if prefix.is_empty() { "switchd".to_owned() } else { format!("switchd_{prefix}") };
        self.walk(&path, counters, answer, &labels, DEPTH);
    }

    /// Adds one number.
    pub fn add(&mut self, name: &str, counter: bool, labels: Labels, value: f64) {
        let mut name = sanitized(name);
        if counter && !name.ends_with("_total") {
            name.push_str("_total");
        }
        let family = self.families.entry(name).or_default();
        family.counter = counter;
        family.samples.push((labels, value));
    }

    fn walk(&mut self, path: &str, counters: bool, value: &Value, labels: &Labels, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match value {
            Value::Number(n) => {
                if let Some(n) = n.as_f64() {
                    let counter = counters || grows(path);
                    self.add(path, counter, labels.clone(), n);
                }
            }
            Value::Bool(b) => self.add(path, false, labels.clone(), f64::from(u8::from(*b))),
            Value::Array(items) => {
                for item in items.iter().filter(|i| i.is_object()) {
                    self.walk(path, counters, item, labels, depth + 1);
                }
            }
            Value::Object(members) => {
                let mut labels = labels.clone();
                let own = identity(members);
                // A bridge's own name is its label already.
                labels.extend(
                    own.into_iter()
                        .filter(|(label, v)| *label != "name" || labels.first().is_none_or(|(_, bridge)| bridge != v))
                        .collect::<Labels>(),
                );
                for (key, value) in members {
                    if IDENTITIES.iter().any(|(member, _)| member == key) {
                        continue;
                    }
                    if key == "link" {
                        self.add(&format!("{path}_up"), false, labels.clone(), f64::from(u8::from(value == "up")));
                        continue;
                    }
                    self.walk(&format!("{path}_{key}"), counters, value, &labels, depth);
                }
            }
            Value::String(_) | Value::Null => {}
        }
    }

    /// The text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.families {
            let kind = if family.counter { "counter" } else { "gauge" };
            // Writing to a String can't fail.
            let _ = writeln!(out, "# TYPE {name} {kind}");
            for (labels, value) in &family.samples {
                let labels = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v)));
                let labels = labels.collect::<Vec<_>>().join(",");
                let _ = writeln!(out, "{name}{{{labels}}} {value}");
            }
        }
        out
    }
}

/// The labels that tell an object from its neighbours.
fn identity(members: &Map<String, Value>) -> Labels {
    let mut labels: Labels = Vec::new();
    for (member, label) in IDENTITIES {
        let text = match members.get(member) {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Number(n)) => n.to_string(),
            _ => continue,
        };
        if !labels.iter().any(|(l, _)| *l == label) {
            labels.push((label, text));
        }
    }
    labels
}

/// Whether a number with this name only grows.
fn grows(path: &str) -> bool {
    const ENDS: [&str; 10] =
        ["_packets", "_bytes", "_dropped", "_errors", "_drops", "_lookups", "_matched", "_sent", "_received", "_count"];
    // By reason.
    if path.contains("_drops_") {
        return true;
    }
    // Numbers of entries come and go.
    !path.ends_with("active_count") && !path.ends_with("ref_count") && ENDS.iter().any(|e| path.ends_with(e))
}

fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_become_samples() {
        let mut m = Metrics::default();
        let ports = json!([
            {"port_no": 1, "name": "e\"1", "link": "up", "rx_packets": 5, "speed_kbps": 10, "note": "x"},
            {"port_no": 2, "name": "e2", "link": "down", "rx_packets": 6},
        ]);
        m.add_answer("br0", "port", false, &ports);
        m.add_answer("br0", "", true, &json!({"drops": {"no-match": 3}, "deep": {"a": {"b": {"c": {"d": 1}}}}}));
        let text = m.render();
        for line in [
            "# TYPE switchd_port_rx_packets_total counter",
            "switchd_port_rx_packets_total{bridge=\"br0\",port=\"1\",name=\"e\\\"1\"} 5",
            "# TYPE switchd_port_speed_kbps gauge",
            "switchd_port_up{bridge=\"br0\",port=\"2\",name=\"e2\"} 0",
            "switchd_drops_no_match_total{bridge=\"br0\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        }
        // Not only a name can be the bridge's.
        let mut m = Metrics::default();
        m.add_answer("1", "port", false, &json!([{"port_no": 1, "rx_packets": 5}, {"port_no": 2, "rx_packets": 6}]));
        assert!(m.render().contains("switchd_port_rx_packets_total{bridge=\"1\",port=\"1\"} 5"), "{}", m.render());
        assert_eq!(text.matches("# TYPE switchd_port_rx_packets_total").count(), 1);
        assert!(!text.contains("deep"), "too deep");
    }
}
