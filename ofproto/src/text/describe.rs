//! A message for people: its header in one line, then every field by the specification's name,
//! indented. Matches and actions are in the flow syntax.

use super::{Printer, Shown};
use crate::error::ErrorKind;
use crate::ids::{BufferId, ExperimenterId, TableId};
use crate::json;
use crate::message::{ErrorMsg, Message};
use crate::packet::{PacketIn, PacketOut};
use crate::version::Version;
use crate::wire::{Header, message_name};
use bytes::Bytes;
use serde_json::Value;
use std::fmt::{self, Formatter, Write as _};

/// Lines of an echo's or packet's bytes, sixteen to the line.
const HEX_ROW: usize = 16;
/// Strings of hexadecimal digits longer than this are shown as a dump.
const INLINE_DIGITS: usize = 64;

/// The message, printable. The first line is the name, version, xid and length; what follows has
/// two spaces of indentation for each level.
pub fn describe<'m>(header: &'m Header, message: &'m Message) -> impl fmt::Display + 'm {
    Shown(move |f: &mut Formatter<'_>| {
        let version = Version::from_wire(header.version);
        f.write_str(message_name(message))?;
        match version {
            Some(v) => write!(f, " (OpenFlow {v})")?,
            None => write!(f, " (version {:#04x})", header.version)?,
        }
        write!(f, " xid={} length={}", header.xid, header.length)?;
        let printer = Printer { version: version.unwrap_or(Version::V13), ports: &() };
        let mut out = String::new();
        body(&mut out, message, &printer, version)?;
        f.write_str(out.trim_end_matches('\n'))
    })
}

fn body(out: &mut String, message: &Message, printer: &Printer<'_>, version: Option<Version>) -> fmt::Result {
    match message {
        Message::FlowMod(m) => write!(out, "\n  {}", printer.flow_mod(m))?,
        Message::GroupMod(m) => write!(out, "\n  {}", printer.group_mod(m))?,
        Message::MeterMod(m) => write!(out, "\n  {}", super::MeterModText(m))?,
        Message::RequestForward(m) => {
            write!(out, "\n  xid: {}\n  request: {}", m.xid, message_name(&m.request))?;
            let mut inner = String::new();
            body(&mut inner, &m.request, printer, version)?;
            out.push_str(&inner.replace('\n', "\n  "));
        }
        Message::BundleAdd(m) => {
            write!(out, "\n  bundle_id: {}\n  xid: {}", m.bundle, m.inner_xid)?;
            members(out, &json::to_value(message), 1, &["message", "bundle_id", "xid"])?;
            write!(out, "\n  message: {}", message_name(&m.message))?;
            let mut inner = String::new();
            body(&mut inner, &m.message, printer, version)?;
            out.push_str(&inner.replace('\n', "\n  "));
        }
        Message::Error(m) => {
            write!(out, "\n  {}", error_name(m, version))?;
            members(out, &json::to_value(message), 1, &[])?;
        }
        Message::MultipartReply(m) => {
            multipart_head(out, m.more, m.other_flags)?;
            match &m.body {
                crate::message::MultipartReply::Flow(list) => {
                    out.push_str("\n  flow:");
                    for flow in list {
                        write!(out, "\n    {}", printer.flow(flow))?;
                    }
                }
                crate::message::MultipartReply::GroupDesc(list) => {
                    out.push_str("\n  group_desc:");
                    for group in list {
                        write!(out, "\n    {}", printer.group(group))?;
                    }
                }
                crate::message::MultipartReply::MeterConfig(list) => {
                    out.push_str("\n  meter_config:");
                    for meter in list {
                        write!(out, "\n    {}", super::MeterText(meter))?;
                    }
                }
                _ => multipart_body(out, message)?,
            }
        }
        Message::MultipartRequest(m) => {
            multipart_head(out, m.more, m.other_flags)?;
            multipart_body(out, message)?;
        }
        Message::PacketIn(m) => {
            packet_in(out, m)?;
            data(out, &m.data)?;
        }
        Message::PacketOut(m) => {
            // The packet is most of it, and needn't become JSON first.
            let head = Message::PacketOut(PacketOut { data: Bytes::new(), ..m.clone() });
            members(out, &json::to_value(&head), 1, &["data"])?;
            data(out, &m.data)?;
        }
        Message::Nicira(_) => {
            let value = json::to_value(message);
            if let Some(inner) = value.get("nicira") {
                tree(out, inner, 1)?;
            }
        }
        _ => members(out, &json::to_value(message), 1, &[])?,
    }
    Ok(())
}

/// The members of a packet-in before its packet: the message that there may be most of, so that it doesn't become JSON
/// first.
fn packet_in(out: &mut String, m: &PacketIn) -> fmt::Result {
    match m.buffer_id {
        BufferId::NONE => out.push_str("\n  buffer_id: no_buffer"),
        BufferId(n) => write!(out, "\n  buffer_id: {n}")?,
    }
    write!(out, "\n  total_len: {}", m.total_len)?;
    member(out, "reason", &json::Json::to_json(&m.reason), 1)?;
    match m.table {
        TableId::ALL => out.push_str("\n  table_id: all"),
        TableId(n) => write!(out, "\n  table_id: {n}")?,
    }
    write!(out, "\n  cookie: {:#018x}", m.cookie.0)?;
    if m.matching.fields.is_empty() || !m.matching.unknown.is_empty() || m.matching.fixed.is_some() {
        return member(out, "ofp_match", &json::match_to_value(&m.matching), 1);
    }
    for (i, field) in m.matching.fields.iter().enumerate() {
        out.push_str(if i == 0 { "\n  match: " } else { "," });
        json::write_oxm(out, field)?;
    }
    Ok(())
}

fn multipart_head(out: &mut String, more: bool, other_flags: u16) -> fmt::Result {
    if more {
        out.push_str("\n  flags: more");
    }
    if other_flags != 0 {
        write!(out, "\n  other_flags: {other_flags:#x}")?;
    }
    Ok(())
}

fn multipart_body(out: &mut String, message: &Message) -> fmt::Result {
    let value = json::to_value(message);
    let body = value.as_object().and_then(|m| m.values().next()).and_then(|m| m.get("body"));
    body.map_or(Ok(()), |body| tree(out, body, 1))
}

/// The specification's names of an error's type and code.
fn error_name(m: &ErrorMsg, version: Option<Version>) -> String {
    let Some(version) = version else { return "unknown version".to_owned() };
    let kind = match m.experimenter {
        None => ErrorKind::from_wire(version, m.ty, m.code),
        Some(ExperimenterId::ONF) => ErrorKind::from_onf(version, m.code),
        Some(_) => None,
    };
    kind.map_or_else(|| "an error without a name in this version".to_owned(), |k| k.to_string())
}

/// The members of a message's object, under its name's key.
fn members(out: &mut String, value: &Value, depth: usize, skip: &[&str]) -> fmt::Result {
    let Some(inner) = value.as_object().and_then(|m| m.values().next()) else { return Ok(()) };
    match inner {
        Value::Object(map) => {
            for (key, v) in map {
                if !skip.contains(&key.as_str()) {
                    member(out, key, v, depth)?;
                }
            }
            Ok(())
        }
        Value::Null => Ok(()),
        other => tree(out, other, depth),
    }
}

fn indent(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// A value by itself on its own lines.
fn tree(out: &mut String, value: &Value, depth: usize) -> fmt::Result {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, v)| member(out, key, v, depth)),
        Value::Array(list) => {
            for v in list {
                indent(out, depth);
                if let Some(line) = inline(v) {
                    write!(out, "- {line}")?;
                    continue;
                }
                // The first line of what is inside goes beside the dash.
                let mut inner = String::new();
                tree(&mut inner, v, depth + 1)?;
                write!(out, "- {}", inner.trim_start())?;
            }
            Ok(())
        }
        other => {
            indent(out, depth);
            write!(out, "{}", scalar(other))
        }
    }
}

fn member(out: &mut String, key: &str, value: &Value, depth: usize) -> fmt::Result {
    indent(out, depth);
    if let Value::String(s) = value
        && let Some(digits) = s.strip_prefix("0x").filter(|d| d.len() > INLINE_DIGITS)
    {
        write!(out, "{key}: {} bytes", digits.len() / 2)?;
        dump(out, digits.as_bytes().chunks(2).map(|pair| [pair[0], *pair.last().unwrap_or(&b'0')]), depth + 1);
        return Ok(());
    }
    let (key, line) = match key {
        "ofp_match" => ("match", inline(value)),
        "ofp_actions" => ("actions", inline(value)),
        "ofp_instructions" => ("instructions", inline(value)),
        "ids" => ("ids", feature_ids(value)),
        "versionbitmap" => ("versions", versions(value)),
        key => (key, if is_number(key) { decimal(value).or_else(|| inline(value)) } else { inline(value) }),
    };
    match line {
        Some(line) => write!(out, "{key}: {line}"),
        None => {
            write!(out, "{key}:")?;
            tree(out, value, depth + 1)
        }
    }
}

/// Keys whose hexadecimal strings people know as decimal numbers.
fn is_number(key: &str) -> bool {
    matches!(
        key,
        "port_no"
            | "out_port"
            | "watch_port"
            | "in_port"
            | "table_id"
            | "group_id"
            | "out_group"
            | "watch_group"
            | "meter_id"
            | "queue_id"
            | "buffer_id"
            | "bucket_id"
            | "bundle_id"
            | "monitor_id"
    )
}

fn decimal(value: &Value) -> Option<String> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok().map(|n| n.to_string())
}

/// The versions of a hello's bitmap.
fn versions(value: &Value) -> Option<String> {
    let words = value.as_array()?;
    let mut out = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let word = word.as_u64()?;
        for bit in (0..32).filter(|bit| word >> bit & 1 == 1) {
            let number = 32 * i + bit;
            let version = u8::try_from(number).ok().and_then(Version::from_wire);
            out.push(version.map_or_else(|| format!("wire {number}"), |v| v.to_string()));
        }
    }
    Some(out.join(" "))
}

/// Type numbers of a table feature, with the experimenter where there is one.
fn feature_ids(value: &Value) -> Option<String> {
    let ids = value.as_array()?.iter().map(|id| {
        let ty = id.get("type")?.as_u64()?;
        Some(match id.get("exp").and_then(|e| e.get(0)).and_then(Value::as_str) {
            Some(exp) => format!("{ty}({exp})"),
            None => ty.to_string(),
        })
    });
    ids.collect::<Option<Vec<_>>>().map(|ids| ids.join(" "))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) if s == "0x" => "(none)".to_owned(),
        Value::String(s) => s.chars().map(|c| if c.is_control() { '.' } else { c }).collect(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// What fits on the key's line: scalars, bitmaps, an oxm, an action without a structure inside.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) if list.is_empty() => Some("(none)".to_owned()),
        Value::Array(list) if list.iter().all(|v| !v.is_array() && !v.is_object()) => {
            Some(list.iter().map(scalar).collect::<Vec<_>>().join(" "))
        }
        Value::Array(list) if list.iter().all(is_oxm) => {
            Some(list.iter().filter_map(inline).collect::<Vec<_>>().join(","))
        }
        Value::Array(_) => None,
        Value::Object(map) if is_oxm(value) => {
            let get = |key| map.get(key).map(scalar);
            let mut line = get("field")?;
            if let Some(v) = get("value") {
                let _ = write!(line, "={v}");
            }
            if let Some(mask) = get("mask") {
                let _ = write!(line, "/{mask}");
            }
            if map.get("has_mask").is_some_and(|m| m == true) {
                line.push_str("/mask");
            }
            Some(line)
        }
        Value::Object(map) if map.is_empty() => Some("(none)".to_owned()),
        Value::Object(map) if map.len() == 1 => {
            let (key, inner) = map.iter().next()?;
            match inner {
                Value::Null => Some(key.clone()),
                Value::Object(m) if m.values().all(|v| !v.is_array() && !v.is_object()) => {
                    let shown = |k: &str, v| if is_number(k) { decimal(v) } else { None }.unwrap_or_else(|| scalar(v));
                    let args: Vec<String> = m.iter().map(|(k, v)| format!("{k}={}", shown(k, v))).collect();
                    let line = format!("{key}({})", args.join(","));
                    (line.len() <= INLINE_DIGITS).then_some(line)
                }
                _ => None,
            }
        }
        Value::Object(_) => None,
        other => Some(scalar(other)),
    }
}

fn is_oxm(value: &Value) -> bool {
    value.get("match_class").is_some() && value.get("payload").is_none()
}

/// A packet's bytes, last of a message's members.
fn data(out: &mut String, data: &[u8]) -> fmt::Result {
    indent(out, 1);
    if data.is_empty() {
        out.push_str("data: (none)");
        return Ok(());
    }
    if 2 * data.len() <= INLINE_DIGITS {
        out.push_str("data: 0x");
        out.extend(data.iter().flat_map(|b| hex_digits(*b)).map(char::from));
        return Ok(());
    }
    write!(out, "data: {} bytes", data.len())?;
    dump(out, data.iter().map(|b| hex_digits(*b)), 2);
    Ok(())
}

fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Bytes, of two hexadecimal digits each, in rows with their offsets.
fn dump(out: &mut String, bytes: impl ExactSizeIterator<Item = [u8; 2]>, depth: usize) {
    out.reserve(4 * bytes.len());
    let mut row: Vec<u8> = Vec::with_capacity(2 * depth + 3 * HEX_ROW + 8);
    for (i, byte) in bytes.enumerate() {
        if i % HEX_ROW == 0 {
            out.push_str(&String::from_utf8_lossy(&row));
            row.clear();
            row.push(b'\n');
            row.resize(1 + 2 * depth, b' ');
            // Messages end before 64 KiB.
            row.extend((i as u16).to_be_bytes().map(hex_digits).as_flattened());
        }
        row.extend([b' ', byte[0], byte[1]]);
    }
    out.push_str(&String::from_utf8_lossy(&row));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FlowMod;
    use crate::ids::{PortNo, Xid};
    use crate::instruction::Instruction;

    fn header(ty: u8) -> Header {
        Header { version: 4, ty, length: 80, xid: Xid(7) }
    }

    #[test]
    fn a_flow_mod_is_one_line_of_flow_syntax() {
        let m = Message::FlowMod(FlowMod {
            priority: 5,
            instructions: vec![Instruction::ApplyActions(vec![crate::action::Action::output(PortNo(3))])],
            ..FlowMod::default()
        });
        assert_eq!(
            describe(&header(14), &m).to_string(),
            "OFPT_FLOW_MOD (OpenFlow 1.3) xid=0x00000007 length=80\n  add priority=5 actions=output:3"
        );
    }

    #[test]
    fn a_packet_in_shows_fields_and_bytes() {
        let m = Message::PacketIn(PacketIn {
            buffer_id: crate::ids::BufferId::NONE,
            total_len: 34,
            reason: crate::packet::PacketInReason::TableMiss,
            table: crate::ids::TableId(1),
            cookie: crate::ids::Cookie(2),
            matching: crate::matching::Match::any().with(crate::field::FieldId::InPort, 3),
            data: bytes::Bytes::from(vec![0xab; 34]),
        });
        let text = describe(&header(10), &m).to_string();
        let row = "ab ".repeat(16);
        let expected = format!(
            "OFPT_PACKET_IN (OpenFlow 1.3) xid=0x00000007 length=80\n  buffer_id: no_buffer\n  total_len: 34\n  \
             reason: table_miss\n  table_id: 1\n  cookie: 0x0000000000000002\n  match: in_port=3\n  \
             data: 34 bytes\n    0000 {}\n    0010 {}\n    0020 ab ab",
            row.trim_end(),
            row.trim_end()
        );
        assert_eq!(text, expected);
    }

    /// What is written directly is what the message's JSON says.
    #[test]
    fn a_packet_in_s_members_are_its_json_s() {
        use crate::field::FieldId as F;
        use crate::ids::{BufferId, Cookie, PortNo, TableId};
        use crate::matching::{Match, UnknownField};
        use crate::packet::PacketInReason;
        let fields = Match::any()
            .with(F::InPort, PortNo::CONTROLLER.0.into())
            .with_mask(F::Metadata, 5, 0xff)
            .with(F::VlanVid, 0x1005)
            .with_mask(F::Ipv4Src, 0x0a00_0000, 0xff00_0000)
            .with(F::Ipv6Dst, 1)
            .with(F::TcpFlags, 18)
            .with(F::PacketType, 0x0001_0800);
        let mut unknown = Match::any().with(F::InPort, 3);
        unknown.unknown.push((
            1,
            UnknownField {
                class: 1,
                field: 99,
                has_mask: false,
                experimenter: None,
                payload: Bytes::from_static(&[1]),
            },
        ));
        for (buffer_id, table, reason, matching) in [
            (BufferId(7), TableId(254), PacketInReason::Other(9), fields),
            (BufferId::NONE, TableId::ALL, PacketInReason::ApplyAction, unknown),
            (BufferId(0), TableId(0), PacketInReason::PacketOut, Match::any()),
        ] {
            let m =
                PacketIn { buffer_id, total_len: 9, reason, table, cookie: Cookie(1), matching, data: Bytes::new() };
            let (mut direct, mut by_json) = (String::new(), String::new());
            packet_in(&mut direct, &m).unwrap();
            members(&mut by_json, &json::to_value(&Message::PacketIn(m)), 1, &["data"]).unwrap();
            assert_eq!(direct, by_json);
        }
    }

    #[test]
    fn short_and_missing_packets_stand_on_a_line() {
        for (data, shown) in [(&[][..], "\n  data: (none)"), (&[1, 0xab], "\n  data: 0x01ab")] {
            let m = Message::PacketOut(PacketOut {
                buffer_id: crate::ids::BufferId::NONE,
                matching: crate::matching::Match::any().with(crate::field::FieldId::InPort, 3),
                actions: Vec::new(),
                data: Bytes::copy_from_slice(data),
            });
            let text = describe(&header(13), &m).to_string();
            assert!(text.ends_with(shown), "{text}");
        }
    }

    #[test]
    fn an_error_has_its_names() {
        let m = Message::Error(ErrorMsg { ty: 1, code: 6, experimenter: None, data: bytes::Bytes::new() });
        let text = describe(&header(1), &m).to_string();
        assert!(text.contains("\n  OFPET_BAD_REQUEST/OFPBRC_BAD_LEN\n"), "{text}");
    }
}
