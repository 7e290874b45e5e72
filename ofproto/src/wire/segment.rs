//! Multipart sequences: cutting a body that is too long for one message, and putting the pieces of
//! one together again within limits (OpenFlow 1.3.5 §7.3.5). No I/O; time is an argument.

use super::multipart::{self, Marks};
use super::{EncodeError, HEADER_LEN, Header, MAX_MESSAGE_LEN, Writer};
use crate::error::{ErrorKind, OfError};
use crate::ids::Xid;
use crate::message::{Multipart, MultipartReply, MultipartRequest};
use crate::version::Version;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;

/// Writes a multipart reply as one message, or as several where one cannot hold it; all but the last
/// have `OFPMPF_REPLY_MORE` (and the last has it if `reply.more` says so).
///
/// Cuts fall between entries. An entry that is itself longer than a message is an error, and so is a
/// long body without entries.
pub fn encode_reply(
    version: Version,
    xid: Xid,
    reply: &Multipart<MultipartReply>,
) -> Result<Vec<Vec<u8>>, EncodeError> {
    let ty = if version == Version::V10 { 17 } else { MULTIPART_REPLY };
    segments(version, xid, ty, reply.more, |w, marks| multipart::encode_reply(w, version, reply, marks))
}

/// Writes a multipart request likewise (table features and flow monitors may be long).
pub fn encode_request(
    version: Version,
    xid: Xid,
    request: &Multipart<MultipartRequest>,
) -> Result<Vec<Vec<u8>>, EncodeError> {
    let ty = if version == Version::V10 { 16 } else { MULTIPART_REQUEST };
    segments(version, xid, ty, request.more, |w, marks| multipart::encode_request(w, version, request, marks))
}

fn segments(
    version: Version,
    xid: Xid,
    ty: u8,
    more: bool,
    body: impl FnOnce(&mut Writer, &mut Marks) -> Result<(), EncodeError>,
) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut w = Writer::new();
    w.u8(version.wire());
    w.u8(ty);
    w.u16(0);
    w.u32(xid.0);
    let mut marks = Marks::new();
    body(&mut w, &mut marks)?;
    if marks.last() != Some(&w.len()) {
        marks.push(w.len());
    }
    let all = w.into_vec();
    // Everything before the first mark (headers) begins each segment.
    let head_len = marks.first().copied().unwrap_or(all.len());
    let head = all.get(..head_len).unwrap_or_default();
    let mut cuts = Vec::new();
    let mut from = head_len;
    let mut to = head_len;
    for end in marks.into_iter().skip(1) {
        if head_len + (end - to) > MAX_MESSAGE_LEN {
            let max = MAX_MESSAGE_LEN - head_len;
            return Err(EncodeError::TooLong { what: "multipart entry", len: end - to, max });
        }
        if head_len + (end - from) > MAX_MESSAGE_LEN {
            cuts.push((from, to));
            from = to;
        }
        to = end;
    }
    cuts.push((from, to));
    let last = cuts.len() - 1;
    Ok(cuts
        .into_iter()
        .enumerate()
        .map(|(i, (from, to))| {
            let mut w = Writer::over(Vec::with_capacity(head_len + to - from));
            w.bytes(head);
            w.bytes(all.get(from..to).unwrap_or_default());
            w.patch_u16(2, w.len() as u16);
            // The low byte of the flags, after the 16-bit type.
            let flags = HEADER_LEN + 3;
            let old = w.as_slice().get(flags).copied().unwrap_or(0);
            w.patch_u8(flags, if i < last || more { old | 1 } else { old & !1 });
            w.into_vec()
        })
        .collect())
}

/// A multipart body that may come in several segments.
pub trait Segment: Sized {
    /// Whether `next` may follow: it is of the same type.
    fn same_type(&self, next: &Self) -> bool;
    /// Appends a segment of the same type; `false` where the type has no list to append to and isn't empty, either.
    fn append(&mut self, next: Self) -> bool;
    /// Takes the second half out of a list of at least two.
    fn halve(&mut self) -> Option<Self>;
    /// The same type without entries, if this is a list that has some.
    fn emptied(&self) -> Option<Self>;
}

/// What a body that has no list makes of the next segment. One that is nothing but its type (or a selection) may be
/// said again, and a structure may have empty segments beside it: they add nothing (OpenFlow 1.3.5 §7.3.5).
fn take_request(body: &mut MultipartRequest, next: MultipartRequest) -> bool {
    if same_structure(body, &next) {
        if matches!(body, MultipartRequest::Empty { .. }) {
            *body = next;
        }
        return true;
    }
    let empty = matches!(
        body,
        MultipartRequest::Desc
            | MultipartRequest::Table
            | MultipartRequest::GroupDesc(_)
            | MultipartRequest::GroupFeatures
            | MultipartRequest::MeterFeatures
            | MultipartRequest::PortDesc(_)
            | MultipartRequest::TableDesc
            | MultipartRequest::ControllerStatus
    );
    empty && *body == next
}

/// Whether both are segments of one type whose body is a structure, one of them at least without it.
fn same_structure(body: &MultipartRequest, next: &MultipartRequest) -> bool {
    use MultipartRequest::Empty;
    (matches!(body, Empty { .. }) || matches!(next, Empty { .. }))
        && multipart::structure_type(body).is_some_and(|ty| multipart::structure_type(next) == Some(ty))
}

/// Appends in place where nobody else holds the bytes, so that many short segments cost no more than a few long ones.
fn extend(bytes: &mut Bytes, more: &[u8]) {
    let mut all = std::mem::take(bytes).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    all.extend_from_slice(more);
    *bytes = all.freeze();
}

macro_rules! segments_of {
    ($body:ident, $same:expr, $take:expr, $($list:ident),*) => {
        impl Segment for $body {
            fn same_type(&self, next: &Self) -> bool {
                match (self, next) {
                    (Self::Unknown { ty: a, .. }, Self::Unknown { ty: b, .. }) => a == b,
                    (Self::Experimenter(a), Self::Experimenter(b)) => {
                        (a.experimenter, a.exp_type) == (b.experimenter, b.exp_type)
                    }
                    (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b) || $same(a, b),
                }
            }

            fn append(&mut self, next: Self) -> bool {
                match (self, next) {
                    $((Self::$list(list), Self::$list(more)) => list.extend(more),)*
                    (Self::Experimenter(e), Self::Experimenter(more)) => {
                        extend(&mut e.data, &more.data);
                    }
                    (Self::Unknown { body, .. }, Self::Unknown { body: more, .. }) => {
                        extend(body, &more);
                    }
                    (body, next) => return $take(body, next),
                }
                true
            }

            fn halve(&mut self) -> Option<Self> {
                match self {
                    $(Self::$list(list) if list.len() > 1 => Some(Self::$list(list.split_off(list.len() / 2))),)*
                    _ => None,
                }
            }

            fn emptied(&self) -> Option<Self> {
                match self {
                    $(Self::$list(list) if !list.is_empty() => Some(Self::$list(Vec::new())),)*
                    _ => None,
                }
            }
        }
    };
}

segments_of!(MultipartRequest, same_structure, take_request, TableFeatures, FlowMonitor);
segments_of!(
    MultipartReply,
    |_: &MultipartReply, _: &MultipartReply| false,
    |_: &mut MultipartReply, _: MultipartReply| false,
    Flow,
    NxFlow,
    Table,
    PortStats,
    Queue,
    Group,
    GroupDesc,
    Meter,
    MeterConfig,
    TableFeatures,
    PortDesc,
    TableDesc,
    QueueDesc,
    FlowMonitor,
    FlowStats,
    ControllerStatus
);

/// What a [`Reassembler`] holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequences open at once on the connection.
    pub sequences: usize,
    /// Segments of one sequence.
    pub segments: usize,
    /// Bytes of all open sequences together, as received.
    pub bytes: usize,
    /// Nanoseconds from one segment to the next (the specification: more than 100 ms).
    pub timeout: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sequences: 8, segments: 1024, bytes: 4 << 20, timeout: 1_000_000_000 }
    }
}

#[derive(Debug)]
struct Open<B> {
    xid: Xid,
    body: B,
    segments: usize,
    bytes: usize,
    deadline: u64,
}

/// Refused sequences whose rest is remembered to be left out.
const REFUSED: usize = 64;

/// Puts multipart sequences of one connection together. Bounded by its [`Limits`].
///
/// Of a sequence that was refused, whatever still comes up to its last segment is left out: it was answered with its
/// one error, and its last segment alone is another request than the one that was made.
#[derive(Debug)]
pub struct Reassembler<B> {
    limits: Limits,
    open: VecDeque<Open<B>>,
    /// Refused before their end, and until when that is remembered.
    refused: VecDeque<(Xid, u64)>,
}

impl<B: Segment> Reassembler<B> {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: VecDeque::new(), refused: VecDeque::new() }
    }

    /// Takes a segment that came at `now` (nanoseconds) in a message of `len` bytes; hands out the
    /// whole body when it was the last.
    ///
    /// Errors: `OFPBRC_BAD_MULTIPART` where the sequence was of another type, `OFPBRC_BAD_LEN` where
    /// the type has room for one body only, `OFPBRC_MULTIPART_BUFFER_OVERFLOW` past a limit. The
    /// sequence is forgotten then, and its rest left out.
    pub fn push(&mut self, now: u64, xid: Xid, segment: Multipart<B>, len: usize) -> Result<Option<B>, OfError> {
        let more = segment.more;
        if self.is_refused(now, xid, more) {
            return Ok(None);
        }
        let outcome = self.join(now, xid, segment, len);
        if outcome.is_err() && more {
            self.note_refused(now, xid);
        }
        outcome
    }

    /// A request's segment, a whole message, was refused for a reason of its own (it can't be read, its sender may not
    /// send it): the sequence is forgotten, and its rest left out. What is no segment changes nothing.
    pub fn refuse(&mut self, now: u64, message: &[u8]) {
        let Ok(header) = Header::decode(message) else { return };
        // Before 1.3 no request comes in segments.
        let segmented = header.ty == MULTIPART_REQUEST && header.version >= Version::V13.wire();
        // The low byte of the flags, after the 16-bit type.
        let Some(flags) = message.get(HEADER_LEN + 3).filter(|_| segmented) else { return };
        self.open.retain(|o| o.xid != header.xid);
        if flags & 1 != 0 {
            self.note_refused(now, header.xid);
        } else {
            self.refused.retain(|(xid, _)| *xid != header.xid);
        }
    }

    fn note_refused(&mut self, now: u64, xid: Xid) {
        self.refused.retain(|(x, until)| *x != xid && *until > now);
        if self.refused.len() >= REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back((xid, now.saturating_add(self.limits.timeout)));
    }

    /// Whether a segment belongs to a refused sequence, which goes on with `more` or is over now.
    fn is_refused(&mut self, now: u64, xid: Xid, more: bool) -> bool {
        let Some(i) = self.refused.iter().position(|(x, _)| *x == xid) else { return false };
        let Some((_, until)) = self.refused.remove(i) else { return false };
        let refused = until > now;
        if refused && more {
            self.note_refused(now, xid);
        }
        refused
    }

    fn join(&mut self, now: u64, xid: Xid, segment: Multipart<B>, len: usize) -> Result<Option<B>, OfError> {
        let place = self.open.iter().position(|o| o.xid == xid);
        let Some(mut open) = place.and_then(|i| self.open.remove(i)) else {
            return self.begin(now, xid, segment, len);
        };
        if !open.body.same_type(&segment.body) {
            return Err(OfError::new(
                ErrorKind::BadRequestBadMultipart,
                "multipart type",
                "differs from that of the sequence with this xid",
            ));
        }
        open.segments += 1;
        open.bytes = open.bytes.saturating_add(len);
        let held = self.held().saturating_add(open.bytes);
        if open.segments > self.limits.segments || held > self.limits.bytes {
            let reason = format!("{} segments, {held} bytes with those of other sequences", open.segments);
            return Err(OfError::new(ErrorKind::BadRequestMultipartBufferOverflow, "body", reason));
        }
        if !open.body.append(segment.body) {
            return Err(OfError::new(ErrorKind::BadRequestBadLen, "body", "this type has one body, not a sequence"));
        }
        if !segment.more {
            return Ok(Some(open.body));
        }
        open.deadline = now.saturating_add(self.limits.timeout);
        self.open.push_back(open);
        Ok(None)
    }

    fn begin(&mut self, now: u64, xid: Xid, segment: Multipart<B>, len: usize) -> Result<Option<B>, OfError> {
        if !segment.more {
            return Ok(Some(segment.body));
        }
        if self.open.len() >= self.limits.sequences || self.held().saturating_add(len) > self.limits.bytes {
            let reason = format!("{} sequences are open", self.open.len());
            return Err(OfError::new(ErrorKind::BadRequestMultipartBufferOverflow, "body", reason));
        }
        let deadline = now.saturating_add(self.limits.timeout);
        self.open.push_back(Open { xid, body: segment.body, segments: 1, bytes: len, deadline });
        Ok(None)
    }

    /// Bytes of the open sequences.
    fn held(&self) -> usize {
        self.open.iter().map(|o| o.bytes).sum()
    }

    /// The next moment at which [`expire`](Self::expire) has something to do.
    pub fn deadline(&self) -> Option<u64> {
        self.open.iter().map(|o| o.deadline).min()
    }

    /// Forgets a sequence whose next segment is overdue at `now` and says its xid, which is to be
    /// answered with `OFPBRC_MULTIPART_REQUEST_TIMEOUT`. Call until it says `None`.
    pub fn expire(&mut self, now: u64) -> Option<Xid> {
        let place = self.open.iter().position(|o| o.deadline <= now)?;
        let xid = self.open.remove(place)?.xid;
        self.note_refused(now, xid);
        Some(xid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PortNo;
    use crate::message::Message;
    use crate::port::PortStats;
    use crate::table::TableStats;
    use crate::wire;

    fn ports(n: u32) -> Vec<PortStats> {
        (0..n).map(|i| PortStats { port_no: PortNo(i), tx_packets: u64::from(i) * 7, ..PortStats::default() }).collect()
    }

    fn parts(messages: &[Vec<u8>]) -> Vec<Multipart<MultipartReply>> {
        messages
            .iter()
            .map(|m| match wire::decode(m).expect("sound") {
                (_, Message::MultipartReply(part)) => part,
                (_, other) => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn every_list_can_be_halved_and_emptied() {
        use crate::stats::FlowDesc;
        let flows = || vec![FlowDesc::added(Default::default(), Default::default()); 3];
        for mut reply in [MultipartReply::Flow(flows()), MultipartReply::NxFlow(flows())] {
            let empty = reply.emptied().expect("it has entries");
            assert_eq!(std::mem::discriminant(&empty), std::mem::discriminant(&reply));
            assert_eq!(empty.emptied(), None);
            let whole = reply.clone();
            let second = reply.halve().expect("two halves");
            assert_eq!(reply.clone().halve(), None, "one entry can't be cut");
            assert!(reply.append(second) && reply == whole);
        }
        assert_eq!(MultipartReply::Desc(Default::default()).halve(), None);
    }

    #[test]
    fn a_long_reply_is_cut_between_entries_and_comes_together_again() {
        for version in [Version::V13, Version::V14, Version::V15] {
            let reply = Multipart::last(MultipartReply::PortStats(ports(2000)));
            let messages = encode_reply(version, Xid(9), &reply).expect("sayable");
            assert!(messages.len() >= 3);
            let mut together = Reassembler::new(Limits::default());
            let parts = parts(&messages);
            let last = parts.len() - 1;
            for (i, part) in parts.into_iter().enumerate() {
                assert_eq!(part.more, i < last);
                let done = together.push(0, Xid(9), part, messages[i].len()).expect("within limits");
                assert_eq!(done.is_some(), i == last);
                if let Some(MultipartReply::PortStats(list)) = done {
                    assert_eq!(list.iter().map(|p| p.port_no.0).collect::<Vec<_>>(), (0..2000).collect::<Vec<_>>());
                    assert!(list.iter().all(|p| p.tx_packets == u64::from(p.port_no.0) * 7));
                }
            }
        }
    }

    #[test]
    fn short_and_empty_replies_are_one_message() {
        for n in [0, 1, 500] {
            let reply = Multipart::last(MultipartReply::PortStats(ports(n)));
            let messages = encode_reply(Version::V13, Xid(1), &reply).expect("sayable");
            let one = wire::encode(Version::V13, Xid(1), &Message::MultipartReply(reply)).expect("sayable");
            assert_eq!(messages, [one]);
        }
    }

    fn table(id: u8, more: bool) -> Multipart<MultipartReply> {
        let stats = TableStats { table: crate::ids::TableId(id), ..TableStats::default() };
        Multipart { more, other_flags: 0, body: MultipartReply::Table(vec![stats]) }
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { sequences: 1, segments: 2, bytes: 100, timeout: 10 };
        let mut r = Reassembler::new(limits);
        let kind = |r: Result<Option<MultipartReply>, OfError>| r.map(|b| b.is_some()).map_err(|e| e.kind);
        assert_eq!(kind(r.push(0, Xid(1), table(0, true), 40)), Ok(false));
        let overflow = Err(ErrorKind::BadRequestMultipartBufferOverflow);
        assert_eq!(kind(r.push(0, Xid(2), table(0, true), 40)), overflow, "sequences");
        assert_eq!(kind(r.push(0, Xid(1), table(1, true), 40)), Ok(false));
        assert_eq!(kind(r.push(0, Xid(1), table(2, true), 10)), overflow, "segments");
        assert_eq!(kind(r.push(0, Xid(3), table(0, true), 60)), Ok(false));
        assert_eq!(kind(r.push(0, Xid(3), table(0, false), 60)), overflow, "bytes");
        assert_eq!(kind(r.push(5, Xid(4), table(0, true), 40)), Ok(false));
        assert_eq!(r.deadline(), Some(15));
        assert_eq!(r.expire(14), None);
        assert_eq!(r.expire(15), Some(Xid(4)));
        assert_eq!(r.expire(15), None);
    }

    #[test]
    fn sequences_interleave_and_share_the_bytes() {
        let mut r = Reassembler::new(Limits { sequences: 2, segments: 9, bytes: 100, timeout: 10 });
        let kind = |r: Result<Option<MultipartReply>, OfError>| match r {
            Ok(Some(MultipartReply::Table(t))) => Ok(t.len()),
            Ok(_) => Ok(0),
            Err(e) => Err(e.kind),
        };
        for xid in [1, 2] {
            assert_eq!(kind(r.push(0, Xid(xid), table(0, true), 30)), Ok(0));
        }
        let overflow = Err(ErrorKind::BadRequestMultipartBufferOverflow);
        assert_eq!(kind(r.push(0, Xid(1), table(1, true), 41)), overflow, "71 bytes, and the other one's 30");
        assert_eq!(kind(r.push(0, Xid(3), table(0, true), 71)), overflow);
        assert_eq!(kind(r.push(0, Xid(4), table(0, true), 70)), Ok(0));
        assert_eq!(kind(r.push(0, Xid(4), table(1, false), 0)), Ok(2));
        assert_eq!(kind(r.push(0, Xid(2), table(1, false), 30)), Ok(2));
    }

    #[test]
    fn another_type_and_single_bodies_are_refused() {
        let mut r = Reassembler::new(Limits::default());
        assert!(r.push(0, Xid(1), table(0, true), 40).is_ok());
        let other = Multipart::last(MultipartReply::PortStats(Vec::new()));
        let e = r.push(0, Xid(1), other, 40).expect_err("other type");
        assert_eq!(e.kind, ErrorKind::BadRequestBadMultipart);
        let mut r = Reassembler::new(Limits::default());
        let port = |more| Multipart { more, other_flags: 0, body: MultipartRequest::PortStats(PortNo(1)) };
        assert!(r.push(0, Xid(1), port(true), 24).is_ok());
        assert_eq!(r.push(0, Xid(1), port(false), 24).expect_err("one body").kind, ErrorKind::BadRequestBadLen);
        let desc = |more| Multipart { more, other_flags: 0, body: MultipartRequest::Desc };
        assert_eq!(r.push(0, Xid(1), desc(true), 16), Ok(None));
        assert_eq!(r.push(0, Xid(1), desc(false), 16), Ok(Some(MultipartRequest::Desc)), "it adds nothing");
    }

    #[test]
    fn the_rest_of_a_refused_sequence_is_left_out() {
        let limits = Limits { sequences: 1, segments: 9, bytes: 100, timeout: 10 };
        let mut r = Reassembler::new(limits);
        let kind = |r: Result<Option<MultipartRequest>, OfError>| r.map(|b| b.is_some()).map_err(|e| e.kind);
        let part = |more| Multipart { more, other_flags: 0, body: MultipartRequest::TableFeatures(Vec::new()) };
        let message =
            |more, xid| wire::encode(Version::V13, Xid(xid), &Message::MultipartRequest(part(more))).expect("sayable");
        assert_eq!(kind(r.push(0, Xid(1), part(true), 90)), Ok(false));
        assert_eq!(kind(r.push(0, Xid(1), part(true), 90)), Err(ErrorKind::BadRequestMultipartBufferOverflow));
        for more in [true, true, false] {
            assert_eq!(kind(r.push(9, Xid(1), part(more), 20)), Ok(false), "one error, and nothing of the rest");
        }
        assert_eq!(kind(r.push(9, Xid(1), part(false), 20)), Ok(true), "the next request is a new one");
        // One in the middle can't be read; another comes between; a third is late.
        assert_eq!(kind(r.push(0, Xid(1), part(true), 20)), Ok(false));
        assert_eq!(kind(r.push(0, Xid(2), part(true), 20)), Err(ErrorKind::BadRequestMultipartBufferOverflow));
        r.refuse(0, &message(true, 1));
        assert_eq!(kind(r.push(1, Xid(1), part(false), 20)), Ok(false));
        assert_eq!(kind(r.push(1, Xid(2), part(false), 20)), Ok(false));
        assert_eq!(kind(r.push(1, Xid(3), part(true), 20)), Ok(false));
        assert_eq!(r.expire(11), Some(Xid(3)));
        assert_eq!(kind(r.push(12, Xid(3), part(false), 20)), Ok(false));
        // Its last one can't be read, or what can't be read is no segment: nothing to leave out.
        assert_eq!(kind(r.push(20, Xid(4), part(true), 20)), Ok(false));
        r.refuse(20, &message(false, 4));
        r.refuse(20, &wire::encode(Version::V13, Xid(4), &Message::BarrierRequest).expect("sayable"));
        assert_eq!(kind(r.push(20, Xid(4), part(false), 20)), Ok(true));
        // Not remembered for ever, nor without bound.
        r.refuse(20, &message(true, 5));
        assert_eq!(kind(r.push(30, Xid(5), part(false), 20)), Ok(true));
        (0..1000).for_each(|xid| r.refuse(30, &message(true, xid)));
        assert!(r.refused.len() <= REFUSED);
    }
}
