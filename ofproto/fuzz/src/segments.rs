//! Multipart sequences: any order of segments stays within the limits, and a body that was put
//! together is cut and put together again unchanged.

use ofproto::ids::Xid;
use ofproto::message::{Message, MultipartReply, MultipartRequest};
use ofproto::wire::framer::Framer;
use ofproto::wire::segment::{Limits, Reassembler, encode_reply, encode_request};
use ofproto::{Version, message, wire};

const LIMITS: Limits = Limits { sequences: 3, segments: 6, bytes: 150_000, timeout: 10 };

/// Input: a stream of messages.
pub fn run(data: &[u8]) {
    let mut requests = Reassembler::new(LIMITS);
    let mut replies = Reassembler::new(LIMITS);
    let mut framer = Framer::default();
    framer.feed(data);
    let mut now = 0;
    while let Ok(Some(bytes)) = framer.next_message() {
        now += 1;
        let Ok((header, message)) = wire::decode(bytes) else { continue };
        let version = Version::from_wire(header.version).expect("decoded");
        let len = bytes.len();
        match message {
            Message::MultipartRequest(m) => {
                if let Ok(Some(body)) = requests.push(now, header.xid, m, len) {
                    request(version, body);
                }
            }
            Message::MultipartReply(m) => {
                if let Ok(Some(body)) = replies.push(now, header.xid, m, len) {
                    reply(version, body);
                }
            }
            // Any other message lets time pass.
            _ => now += 3,
        }
        for _ in 0..LIMITS.sequences {
            requests.expire(now);
            replies.expire(now);
        }
        assert!(requests.deadline().is_none_or(|at| at > now && at <= now + LIMITS.timeout));
        assert!(replies.deadline().is_none_or(|at| at > now && at <= now + LIMITS.timeout));
    }
}

fn request(version: Version, body: MultipartRequest) {
    let whole = message::Multipart::last(body);
    let Ok(parts) = encode_request(version, Xid(7), &whole) else { return };
    let mut again = Reassembler::new(Limits::default());
    let last = parts.len() - 1;
    for (i, part) in parts.iter().enumerate() {
        let (_, Message::MultipartRequest(m)) = wire::decode(part).expect("a segment is a message") else {
            panic!("a segment of another type")
        };
        let done = again.push(0, Xid(7), m, part.len()).expect("within the limits");
        assert_eq!(done.is_some(), i == last);
        if let Some(done) = done {
            assert_eq!(done, whole.body);
        }
    }
}

fn reply(version: Version, body: MultipartReply) {
    let whole = message::Multipart::last(body);
    let Ok(parts) = encode_reply(version, Xid(7), &whole) else { return };
    let mut again = Reassembler::new(Limits::default());
    let last = parts.len() - 1;
    for (i, part) in parts.iter().enumerate() {
        let (_, Message::MultipartReply(m)) = wire::decode(part).expect("a segment is a message") else {
            panic!("a segment of another type")
        };
        let done = again.push(0, Xid(7), m, part.len()).expect("within the limits");
        assert_eq!(done.is_some(), i == last);
        if let Some(done) = done {
            assert_eq!(done, whole.body);
        }
    }
}
