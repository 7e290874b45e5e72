//! A line of a snapshot, written and read.

use super::TERMS;
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::ids::{TableId, Xid};
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::port::PortConfig;
use ofproto::stats::FlowDesc;
use ofproto::table::TableConfig;
use ofproto::{json, wire};
use serde_json::{Value, json};
use std::io::{self, Write};

/// A line of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Something that makes a part of the state.
    Message(Message),
    /// A port's configuration.
    Port {
        /// Its interface.
        name: String,
        /// `OFPPC_*`
        config: PortConfig,
    },
    /// What 1.1 or 1.2 said that a table does with misses.
    Miss {
        /// Which.
        table: TableId,
        /// `OFPTC_TABLE_MISS_*`
        config: TableConfig,
    },
}

impl Line {
    /// The line that makes this flow.
    pub fn of_flow(f: FlowDesc) -> Self {
        Self::Message(Message::FlowMod(FlowMod {
            cookie: f.cookie,
            table: f.table,
            idle_timeout: f.idle_timeout,
            hard_timeout: f.hard_timeout,
            priority: f.priority,
            flags: f.flags - FlowModFlags::CHECK_OVERLAP - FlowModFlags::RESET_COUNTS,
            importance: f.importance,
            matching: f.matching,
            instructions: f.instructions,
            ..FlowMod::default()
        }))
    }

    /// Writes the line without its end; `bytes` is room to work in.
    pub(super) fn write(&self, to: &mut impl Write, bytes: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Message(message) => {
                bytes.clear();
                let encoded = wire::encode_into(bytes, TERMS, Xid(0), message);
                // What comes back is what was meant, or it is said otherwise.
                if encoded.is_ok() && wire::decode(bytes).is_ok_and(|(_, back)| back == *message) {
                    let digit = |n: u8| b"0123456789abcdef"[usize::from(n & 15)];
                    let text: Vec<u8> = bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect();
                    return to.write_all(&text);
                }
                write!(to, "{}", json::to_value(message))
            }
            Self::Port { name, config } => {
                write!(to, "{}", json!({ "port": { "name": name, "config": config.bits() } }))
            }
            Self::Miss { table, config } => {
                write!(to, "{}", json!({ "miss": { "table": table.0, "config": config.bits() } }))
            }
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('{') {
            return Self::from_json(&serde_json::from_str(text).map_err(|e| e.to_string())?);
        }
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.ok_or("neither JSON nor hexadecimal")?;
        let (_, message) = wire::decode(&bytes).map_err(|e| e.to_string())?;
        Self::of_message(message)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        if let Some(port) = value.get("port") {
            let name = port.get("name").and_then(Value::as_str).ok_or("`port` has no `name`")?.to_owned();
            let config = port.get("config").and_then(Value::as_u64).and_then(|c| u32::try_from(c).ok());
            let config = PortConfig::from_bits_retain(config.ok_or("`port` has no `config`")?);
            return Ok(Self::Port { name, config });
        }
        if let Some(miss) = value.get("miss") {
            let number = |key| miss.get(key).and_then(Value::as_u64);
            let table = number("table").and_then(|t| u8::try_from(t).ok()).map(TableId);
            let config = number("config").and_then(|c| u32::try_from(c).ok()).map(TableConfig::from_bits_retain);
            return Ok(Self::Miss {
                table: table.ok_or("`miss` has no `table`")?,
                config: config.ok_or("`miss` has no `config`")?,
            });
        }
        Self::of_message(json::from_value(value).map_err(|e| e.to_string())?)
    }

    fn of_message(message: Message) -> Result<Self, String> {
        match message {
            m @ (Message::FlowMod(_)
            | Message::GroupMod(_)
            | Message::MeterMod(_)
            | Message::TableMod(_)
            | Message::MultipartRequest(Multipart {
                body: MultipartRequest::TableFeatures(_), more: false, ..
            })) => Ok(Self::Message(m)),
            other => Err(format!("{} is nothing that a snapshot holds", crate::session::message_name(&other))),
        }
    }
}
