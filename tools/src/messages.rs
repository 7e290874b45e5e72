//! OpenFlow messages in what people have of them: bytes, hexadecimal text, captures of TCP connections.
//!
//! Everything read here is untrusted: memory grows with the input only, and what can't be read is told.

use crate::capture::{self, Link};
use crate::packet::{Ethernet, Ip, Tcp, eth, ip, u16_at};
use ofproto::wire::{HEADER_LEN, Header};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// A message's bytes and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Seconds since the capture began, and the direction.
    pub place: Option<(f64, String)>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Says what is at the end and no whole message.
pub fn leftover(rest: &[u8]) -> String {
    let shown: String = rest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    let more = if rest.len() > 16 { "…" } else { "" };
    format!("{} bytes at the end are no whole message: {shown}{more}", rest.len())
}

/// Whole messages, and what is left.
pub fn cut(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
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
pub fn from_hex(input: &[u8]) -> Option<Vec<u8>> {
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
///
/// # Errors
/// What is wrong with the file and where.
pub fn from_capture(file: &[u8], port: Option<u16>) -> Result<(Vec<Found>, Vec<String>), String> {
    let packets = capture::read(file)?;
    let start = packets.first().map_or(0, |p| p.time);
    let mut places: HashMap<(SocketAddr, SocketAddr), usize> = HashMap::new();
    let mut streams: Vec<Stream> = Vec::new();
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
        let new = || Stream::new(format!("{} > {}", key.0, key.1), first);
        let place = *places.entry(key).or_insert_with(|| {
            streams.push(new());
            streams.len() - 1
        });
        let Some(stream) = streams.get_mut(place) else { continue };
        if syn {
            *stream = new();
        }
        let seconds = p.time.saturating_sub(start) as f64 / 1e9;
        for bytes in stream.take(first, t.payload, port.is_some()) {
            out.push(Found { place: Some((seconds, stream.name.clone())), bytes });
        }
    }
    let notes = streams.iter().filter_map(Stream::end).collect();
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
}
