//! `decode`: any OpenFlow message, from bytes, hexadecimal text or a capture.

use crate::text_input::read;
use crate::{Options, print};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use ofproto::ids::Xid;
use ofproto::json;
use ofproto::message::Message;
use ofproto::text::describe;
use ofproto::wire::{self, HEADER_LEN, Header};
use ofproto::{OfError, Version, validate};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tools::capture::{self, Link};
use tools::packet::{Ethernet, Ip, Tcp, eth, ip, u16_at};

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

/// A message's bytes and where they came from.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    /// Seconds since the capture began, and the direction.
    place: Option<(f64, String)>,
    bytes: Vec<u8>,
}

/// `decode`. The status is 1 if a message could not be read.
pub fn run(o: &Options, args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    let input = read(&args.file)?;
    let (messages, notes) = if capture::is_capture(&input) {
        from_capture(&input, args.port)?
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
            std::io::stdout().write_all(&wire::encode(version, header.xid, &message)?)?;
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

fn leftover(rest: &[u8]) -> String {
    let shown: String = rest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let more = if rest.len() > 16 { "…" } else { "" };
    format!("{} bytes at the end are no whole message: {shown}{more}", rest.len())
}

/// Whole messages, and what is left.
fn cut(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut out = Vec::new();
    while let Some(length) = u16_at(bytes, 2).map(usize::from) {
        if length < HEADER_LEN || length > bytes.len() {
            break;
        }
        let (message, rest) = bytes.split_at(length);
        out.push(message);
        bytes = rest;
    }
    (out, bytes)
}

/// Bytes written as hexadecimal text: pairs of digits, with or without `0x`, colons, commas, blanks
/// between; `#` comments; offsets in front of lines as hexdump and tcpdump write them. `None` if it
/// is anything else.
fn from_hex(input: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let mut digits = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        // What tcpdump and hexdump print behind the bytes.
        let line = line.split("  |").next().unwrap_or_default().trim();
        // "0x0010:" or "0010:", or "00000010 " in front.
        let line = match line.split_once(": ") {
            Some((offset, rest)) if is_offset(offset) => rest.split("  ").next().unwrap_or_default(),
            _ => match line.split_once(char::is_whitespace) {
                Some((offset, rest)) if matches!(offset.len(), 4 | 8) && is_dump_row(rest) => rest,
                _ => line,
            },
        };
        for word in line.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '-')) {
            let word = word.strip_prefix("0x").or_else(|| word.strip_prefix("\\x")).unwrap_or(word);
            // A pair of digits may not be torn apart: "4 0e" isn't two bytes.
            if word.len() % 2 != 0 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            digits.push_str(word);
        }
    }
    if digits.is_empty() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect()
}

fn is_offset(word: &str) -> bool {
    let word = word.strip_prefix("0x").unwrap_or(word);
    matches!(word.len(), 4 | 8) && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Bytes apart from each other, as a dump with offsets has them.
fn is_dump_row(rest: &str) -> bool {
    rest.split_whitespace().all(|w| w.len() == 2 && w.bytes().all(|b| b.is_ascii_hexdigit()))
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

/// Bytes of a stream held while those before them are missing.
const MOST_AHEAD: usize = 4 << 20;

/// One direction of a TCP connection.
#[derive(Debug)]
struct Stream {
    name: String,
    /// The sequence number that comes next.
    next: u32,
    /// In order, not yet a whole message.
    held: Vec<u8>,
    /// What came early, by distance from the first `next`.
    ahead: BTreeMap<u64, Vec<u8>>,
    ahead_bytes: usize,
    /// Bytes taken so far: what `ahead` counts from.
    taken: u64,
    /// Whether it is OpenFlow; `None` until enough came.
    openflow: Option<bool>,
    /// What made it unreadable.
    lost: Option<String>,
}

impl Stream {
    fn new(name: String, next: u32) -> Self {
        Self {
            name,
            next,
            held: Vec::new(),
            ahead: BTreeMap::new(),
            ahead_bytes: 0,
            taken: 0,
            openflow: None,
            lost: None,
        }
    }

    /// Takes a segment's bytes; hands out the messages that are whole.
    fn take(&mut self, seq: u32, data: &[u8], known_port: bool) -> Vec<Vec<u8>> {
        if self.openflow == Some(false) || self.lost.is_some() || data.is_empty() {
            return Vec::new();
        }
        let distance = seq.wrapping_sub(self.next);
        if distance < 1 << 31 {
            let place = self.taken + u64::from(distance);
            // Sent twice: the longer one counts.
            let old = self.ahead.get(&place).map_or(0, Vec::len);
            if data.len() > old {
                self.ahead_bytes += data.len() - old;
                self.ahead.insert(place, data.to_vec());
            }
        } else {
            // Begins before what is wanted: sent again, perhaps with more behind it.
            let before = self.next.wrapping_sub(seq) as usize;
            if let Some(rest) = data.get(before..).filter(|r| !r.is_empty()) {
                self.ahead_bytes += rest.len();
                self.ahead.insert(self.taken, rest.to_vec());
            }
        }
        while let Some(first) = self.ahead.first_entry() {
            if *first.key() > self.taken {
                break;
            }
            let skip = usize::try_from(self.taken - *first.key()).unwrap_or(usize::MAX);
            let bytes = first.remove();
            self.ahead_bytes -= bytes.len();
            let new = bytes.get(skip..).unwrap_or_default();
            self.taken += new.len() as u64;
            self.next = self.next.wrapping_add(new.len() as u32);
            self.held.extend_from_slice(new);
        }
        if self.ahead_bytes > MOST_AHEAD {
            self.lost = Some("bytes are missing in the capture".into());
            return Vec::new();
        }
        if self.openflow.is_none() && self.held.len() >= HEADER_LEN {
            let likely = Header::decode(&self.held)
                .is_ok_and(|h| (1..=6).contains(&h.version) && h.ty <= 35 && usize::from(h.length) >= HEADER_LEN);
            self.openflow = Some(known_port || likely);
        }
        if self.openflow != Some(true) {
            return Vec::new();
        }
        let (messages, rest) = cut(&self.held);
        let messages: Vec<Vec<u8>> = messages.into_iter().map(<[u8]>::to_vec).collect();
        if u16_at(rest, 2).is_some_and(|n| usize::from(n) < HEADER_LEN) {
            self.lost = Some(leftover(rest));
        }
        let from = self.held.len() - rest.len();
        self.held.drain(..from);
        messages
    }

    /// What there is to say at the end.
    fn end(&self) -> Option<String> {
        if self.openflow != Some(true) {
            return None;
        }
        let why = match &self.lost {
            Some(why) => why.clone(),
            None if !self.ahead.is_empty() => "bytes are missing in the capture".into(),
            None if !self.held.is_empty() => leftover(&self.held),
            None => return None,
        };
        Some(format!("{}: {why}", self.name))
    }
}

/// The IP packet in a captured one.
fn ip_of(link: Link, data: &[u8]) -> Option<Ip<'_>> {
    match link {
        Link::Ethernet => {
            let e = Ethernet::read(data)?;
            if matches!(e.ty, eth::IPV4 | eth::IPV6) { Ip::read(e.payload) } else { None }
        }
        Link::Ip => Ip::read(data),
        Link::Loopback => Ip::read(data.get(4..)?),
        Link::Cooked { ty, len } => {
            if matches!(u16_at(data, ty)?, eth::IPV4 | eth::IPV6) {
                Ip::read(data.get(len..)?)
            } else {
                None
            }
        }
        Link::Other(_) => None,
    }
}

/// The messages of a capture in the order in which they became whole, and what could not be read.
fn from_capture(file: &[u8], port: Option<u16>) -> anyhow::Result<(Vec<Found>, Vec<String>)> {
    let packets = capture::read(file).map_err(|e| anyhow!("the capture can't be read: {e}"))?;
    let start = packets.first().map_or(0, |p| p.time);
    let mut streams: HashMap<(SocketAddr, SocketAddr), Stream> = HashMap::new();
    let mut order = Vec::new();
    let mut out = Vec::new();
    for p in &packets {
        let Some(i) = ip_of(p.link, p.data).filter(|i| i.proto == ip::TCP && !i.later_fragment) else { continue };
        let Some(t) = Tcp::read(i.payload) else { continue };
        if port.is_some_and(|n| n != t.src && n != t.dst) {
            continue;
        }
        let key = (SocketAddr::new(i.src, t.src), SocketAddr::new(i.dst, t.dst));
        let syn = t.flags & 2 != 0;
        // A SYN takes one number of the sequence.
        let first = if syn { t.seq.wrapping_add(1) } else { t.seq };
        if syn {
            streams.remove(&key);
        }
        let stream = streams.entry(key).or_insert_with(|| {
            if !order.contains(&key) {
                order.push(key);
            }
            Stream::new(format!("{} > {}", key.0, key.1), first)
        });
        let seconds = p.time.saturating_sub(start) as f64 / 1e9;
        for bytes in stream.take(first, t.payload, port.is_some()) {
            out.push(Found { place: Some((seconds, stream.name.clone())), bytes });
        }
    }
    let notes = order.iter().filter_map(|key| streams.get(key)?.end()).collect();
    Ok((out, notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARRIER: [u8; 8] = [4, 20, 0, 8, 0, 0, 0, 1];

    #[test]
    fn hexadecimal_in_its_usual_forms() {
        for text in [
            "0414000800000001",
            "04 14 00 08 00 00 00 01\n",
            "04:14:00:08:00:00:00:01",
            "0x04, 0x14, 0x00, 0x08,\n0x00, 0x00, 0x00, 0x01 # a barrier",
            "0000  04 14 00 08 00 00 00 01",
            "00000000  04 14 00 08 00 00 00 01  |........|",
            "        0x0000:  0414 0008 0000 0001  ........",
        ] {
            assert_eq!(from_hex(text.as_bytes()).as_deref(), Some(&BARRIER[..]), "{text}");
        }
        for text in ["", "041", "4 0e", "hello", "04 1g"] {
            assert_eq!(from_hex(text.as_bytes()), None, "{text}");
        }
        assert_eq!(from_hex(&BARRIER), None);
    }

    #[test]
    fn bytes_are_cut_into_messages() {
        let two = [BARRIER, BARRIER].concat();
        let (messages, rest) = cut(&two[..12]);
        assert_eq!((messages, rest), (vec![&BARRIER[..]], &BARRIER[..4]));
        assert_eq!(cut(&[4, 0, 0, 7, 0, 0, 0, 0]).0.len(), 0);
    }

    #[test]
    fn segments_in_any_order_give_the_messages() {
        let bytes = [BARRIER, BARRIER, BARRIER].concat();
        // The sequence wraps within the stream.
        let start = u32::MAX - 9;
        let at = |from: usize, to: usize| (start.wrapping_add(from as u32), &bytes[from..to]);
        let orders: [&[(u32, &[u8])]; 5] = [
            &[at(0, 24)],
            &[at(0, 5), at(5, 13), at(13, 24)],
            &[at(0, 5), at(13, 24), at(5, 13)],
            &[at(0, 5), at(0, 5), at(3, 13), at(5, 13), at(13, 24)],
            &[at(0, 5), at(8, 12), at(8, 24), at(2, 9)],
        ];
        for order in orders {
            let mut s = Stream::new("a".into(), start);
            let got: Vec<Vec<u8>> = order.iter().flat_map(|(seq, data)| s.take(*seq, data, false)).collect();
            assert_eq!(got.concat(), bytes, "{order:?}");
            assert_eq!(s.end(), None);
        }
        let mut s = Stream::new("a".into(), start);
        s.take(at(0, 5).0, at(0, 5).1, true);
        s.take(at(0, 8).0, at(0, 8).1, true);
        s.take(at(16, 24).0, at(16, 24).1, true);
        assert!(s.end().is_some_and(|e| e.contains("missing")));
    }

    #[test]
    fn what_is_no_openflow_is_passed_over() {
        let mut s = Stream::new("a".into(), 0);
        assert!(s.take(0, b"GET / HTTP/1.0\r\n", false).is_empty());
        assert_eq!(s.end(), None);
    }

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
