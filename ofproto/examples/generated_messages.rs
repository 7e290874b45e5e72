//! Writes generated messages for `tests/oracle/run` to show to other implementations: so many of each
//! version, the same for the same seed. One line per message, separated by tabs: version, type,
//! hexadecimal bytes; what it says in the flow syntax, one text for each flow, group or meter, separated
//! by ` ;; `; the names of the model's types and variants in it, by which the list of known differences can
//! speak of it; and what it means: numbers by their names in the specification, and match fields.
//!
//! `cargo run -p ofproto --features arbitrary --example generated_messages -- SEED PER_VERSION`

use ofproto::field::FIELDS;
use ofproto::ids::Xid;
use ofproto::message::{Message, MultipartReply};
use ofproto::nx_message::NxMessage;
use ofproto::{Version, arbitrary, text, wire};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, BufWriter, Write};

const XID: Xid = Xid(0x77);

/// The words of a message's debug form that begin with a capital.
fn words(debug: &str) -> String {
    let words: BTreeSet<&str> = debug
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| w.starts_with(|c: char| c.is_ascii_uppercase()) && *w != "None" && *w != "Some")
        .collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// What of the message the flow syntax can say.
fn flows(version: Version, message: &Message) -> Vec<String> {
    let printer = text::Printer { version, ports: &() };
    match message {
        Message::FlowMod(m) | Message::Nicira(NxMessage::FlowMod(m)) => vec![printer.flow_mod(m).to_string()],
        Message::GroupMod(m) => vec![printer.group_mod(m).to_string()],
        Message::MeterMod(m) => vec![text::MeterModText(m).to_string()],
        Message::FlowRemoved(m) | Message::Nicira(NxMessage::FlowRemoved(m)) => {
            let (packets, bytes) = (m.stats.packet_count, m.stats.byte_count);
            let match_text = text::MatchText(&m.matching);
            // 1.0 says no table.
            let known = version > Version::V10 || matches!(message, Message::Nicira(_));
            let table = if known { format!(" table_id={}", m.table) } else { String::new() };
            vec![format!("priority={},{match_text}{table} cookie={} pkts{packets} bytes{bytes}", m.priority, m.cookie)]
        }
        Message::PacketOut(m) => vec![format!("actions={}", printer.actions(&m.actions))],
        Message::BundleAdd(m) => flows(version, &m.message),
        Message::MultipartReply(m) => match &m.body {
            MultipartReply::Flow(list) | MultipartReply::NxFlow(list) => {
                list.iter().map(|f| printer.flow(f).to_string()).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Every number `name: 7` by its name and every `Newtype(7)` by its type, and every match field, in order.
fn meaning(debug: &str) -> serde_json::Value {
    let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (at, _) in debug.match_indices(": ") {
        let start = debug[..at].rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |i| i + 1);
        let name = &debug[start..at];
        let value = &debug[at + 2..];
        let value = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        // Fields' values are below.
        if let (false, Ok(n)) = (["value", "mask"].contains(&name), value.parse()) {
            numbers.entry(name).or_default().push(n);
        }
    }
    for (at, _) in debug.match_indices('(') {
        let start = debug[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |i| i + 1);
        let value = debug[at + 1..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        if let (false, Ok(n)) = (["", "Some"].contains(&&debug[start..at]), value.parse()) {
            numbers.entry(&debug[start..at]).or_default().push(n);
        }
    }
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_owned();
    let fields: Vec<_> = debug
        .match_indices("MatchField { id: ")
        .filter_map(|(at, key)| {
            let (id, rest) = debug[at + key.len()..].split_once(", value: ")?;
            let (value, mask) = rest.split_once(", mask: ")?;
            let name = FIELDS.iter().find(|f| format!("{:?}", f.id) == id)?.name;
            Some([name.to_owned(), number(value), mask.strip_prefix("Some(").map(number).unwrap_or_default()])
        })
        .collect();
    serde_json::json!({ "numbers": numbers, "fields": fields })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number =
        || arguments.next().ok_or("SEED PER_VERSION").and_then(|a| a.parse::<u64>().map_err(|_| "a number"));
    let (seed, count) = (number()?, usize::try_from(number()?)?);
    let mut out = BufWriter::new(io::stdout().lock());
    for version in Version::ALL {
        for message in arbitrary::valid_messages(version, seed, count) {
            let bytes = wire::encode(version, XID, &message).map_err(|e| format!("{version}: {e}: {message:?}"))?;
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let debug = format!("{message:?}");
            let flows = flows(version, &message).join(" ;; ");
            let name = wire::message_name(&message);
            writeln!(out, "{version}\t{name}\t{hex}\t{flows}\t{}\t{}", words(&debug), meaning(&debug))?;
        }
    }
    Ok(())
}
