//! `decode`: any OpenFlow message, from bytes, hexadecimal text or a capture.

use crate::cli::Options;
use crate::print;
use crate::text_input::read;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use ofproto::ids::Xid;
use ofproto::json;
use ofproto::message::Message;
use ofproto::text::describe;
use ofproto::wire::{self, Header};
use ofproto::{OfError, Version, validate};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use tools::capture;
use tools::messages::{Found, cut, from_capture, from_hex, leftover};

#[derive(Args)]
pub struct DecodeArgs {
    /// The file, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Write the messages' bytes again, as they are understood, instead of printing them
    #[arg(long)]
    re_encode: bool,
    /// Only TCP streams of this port; otherwise whatever looks like OpenFlow
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// `decode`. The status is 1 if a message could not be read.
pub fn run(o: &Options, args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    let input = read(&args.file)?;
    let (messages, notes) = if capture::is_capture(&input) {
        from_capture(&input, args.port).map_err(|e| anyhow!("the capture can't be read: {e}"))?
    } else {
        let bytes = from_hex(&input).unwrap_or(input);
        let (messages, rest) = cut(&bytes);
        let notes = if rest.is_empty() { Vec::new() } else { vec![leftover(rest)] };
        (messages.into_iter().map(|m| Found { place: None, bytes: m.to_vec() }).collect(), notes)
    };
    if messages.is_empty() && notes.is_empty() {
        bail!("{}: no OpenFlow message", args.file.display());
    }
    let mut bad = !notes.is_empty();
    for m in &messages {
        let decoded = wire::decode(&m.bytes);
        bad |= decoded.is_err();
        if args.re_encode {
            let (header, message) = decoded.map_err(|e| anyhow!("a message can't be read: {e}"))?;
            let version = Version::from_wire(header.version).context("a version that isn't known")?;
            crate::write(&wire::encode(version, header.xid, &message)?);
        } else if o.json {
            print(&to_json(m, &decoded).to_string());
        } else {
            print(&to_text(m, &decoded));
        }
    }
    for note in notes {
        eprintln!("ofctl: {note}");
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Why a controller's request would be refused.
fn fault(header: &Header, message: &Message) -> Option<OfError> {
    validate::message(message, Version::from_wire(header.version)?).err()
}

fn place_text(offset: Option<usize>) -> String {
    offset.map_or_else(String::new, |n| format!(" at offset {n}"))
}

fn to_text(m: &Found, decoded: &Result<(Header, Message), OfError>) -> String {
    let mut out = String::new();
    if let Some((time, direction)) = &m.place {
        out += &format!("{time:.6} {direction}\n");
    }
    match decoded {
        Ok((header, message)) => {
            out += &describe(header, message).to_string();
            if let Some(e) = fault(header, message) {
                out +=
                    &format!("\n  ! to be refused with {}: {}{}: {}", e.kind, e.field, place_text(e.offset), e.reason);
            }
        }
        Err(e) => {
            let (version, ty, xid) = Header::decode(&m.bytes).map_or((0, 0, Xid(0)), |h| (h.version, h.ty, h.xid));
            let version = Version::from_wire(version)
                .map_or_else(|| format!("version {version:#04x}"), |v| format!("OpenFlow {v}"));
            out += &format!("type {ty} ({version}) xid={xid} length={}", m.bytes.len());
            out += &format!("\n  ! can't be read, {}: {}{}: {}", e.kind, e.field, place_text(e.offset), e.reason);
            for (i, row) in m.bytes.chunks(16).enumerate() {
                let shown: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
                out += &format!("\n    {:04x} {}", 16 * i, shown.join(" "));
            }
        }
    }
    out
}

fn fault_json(e: &OfError) -> Value {
    json!({ "error": e.kind.to_string(), "field": e.field, "offset": e.offset, "reason": e.reason })
}

fn to_json(m: &Found, decoded: &Result<(Header, Message), OfError>) -> Value {
    let mut out = serde_json::Map::new();
    if let Some((time, direction)) = &m.place {
        out.insert("seconds".into(), (*time).into());
        out.insert("direction".into(), direction.clone().into());
    }
    if let Ok(h) = Header::decode(&m.bytes) {
        out.insert("version".into(), Version::from_wire(h.version).map_or(h.version.into(), |v| v.to_string().into()));
        out.insert("type".into(), h.ty.into());
        out.insert("xid".into(), h.xid.0.into());
        out.insert("length".into(), h.length.into());
    }
    match decoded {
        Ok((header, message)) => {
            out.insert("message".into(), json::to_value(message));
            if let Some(e) = fault(header, message) {
                out.insert("refused".into(), fault_json(&e));
            }
        }
        Err(e) => {
            out.insert("unreadable".into(), fault_json(e));
            out.insert("bytes".into(), m.bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into());
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_and_shown() {
        // A table-features request's reserved type, and a flow-mod whose match lacks its prerequisite.
        let unreadable = Found { place: None, bytes: vec![4, 99, 0, 8, 0, 0, 0, 1] };
        let text = to_text(&unreadable, &wire::decode(&unreadable.bytes));
        assert!(text.contains("can't be read, OFPET_BAD_REQUEST/OFPBRC_BAD_TYPE"), "{text}");
        let mut m = ofproto::flow::FlowMod::default();
        m.matching = m.matching.with(ofproto::field::FieldId::TcpDst, 80);
        let bytes = wire::encode(Version::V13, Xid(1), &Message::FlowMod(m)).expect("sayable");
        let found = Found { place: None, bytes };
        let decoded = wire::decode(&found.bytes);
        let text = to_text(&found, &decoded);
        assert!(text.contains("to be refused with OFPET_BAD_MATCH/OFPBMC_BAD_PREREQ"), "{text}");
        assert_eq!(to_json(&found, &decoded)["refused"]["error"], "OFPET_BAD_MATCH/OFPBMC_BAD_PREREQ");
    }
}
