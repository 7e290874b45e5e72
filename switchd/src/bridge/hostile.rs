//! Everything that was ever recorded, broken in every way, against a whole bridge: nothing may panic,
//! every session stays within its bounds, and a second controller notices nothing.

use super::tests::Bench;
use crate::session::{Received, limits};
use bytes::Bytes;
use ofproto::message::Message;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};
use std::path::Path;

/// Recorded messages of a version; nobody recorded 1.1, so 1.2's stand for it.
fn recordings(version: Version) -> Vec<Vec<u8>> {
    let recorded = if version == Version::V11 { Version::V12 } else { version };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(format!("of1{}", recorded.column()));
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let all: Vec<_> = files.iter().map(|f| std::fs::read(f).unwrap()).filter(|b| b.len() >= wire::HEADER_LEN).collect();
    assert!(all.len() > 10, "{version}: the recordings are there");
    all
}

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

#[test]
fn recorded_messages_broken_at_random_hurt_nobody() {
    for version in Version::ALL {
        let mut b = Bench::new();
        let witness = b.connect(version);
        let mut victim = b.connect(version);
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for message in recordings(version) {
            for round in 0..40 {
                let mut bytes = message.clone();
                bytes[0] = version.wire();
                for _ in 0..round % 4 {
                    let at = 1 + random(&mut seed) % (bytes.len() - 1);
                    bytes[at] = random(&mut seed) as u8;
                }
                if round % 5 == 4 {
                    bytes.truncate(wire::HEADER_LEN + random(&mut seed) % (bytes.len() - wire::HEADER_LEN + 1));
                }
                // The framer's part: a length that fits.
                let length = u16::try_from(bytes.len()).unwrap();
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                let header = Header::decode(&bytes).unwrap();
                let message = wire::decode(&bytes).map(|(_, m)| m);
                b.hub.receive(b.now, victim, Received { header, message, bytes: Bytes::from(bytes) });
                b.turn();
                let session = b.hub.session_mut(victim).unwrap();
                assert!(session.take_output().len() < limits::HARD_QUEUE);
                session.set_queued(0);
                if session.ending().is_some() {
                    b.hub.closed(b.now, victim);
                    victim = b.connect(version);
                }
            }
        }
        b.hub.session_mut(witness).unwrap().take_output();
        b.hub.session_mut(witness).unwrap().set_queued(0);
        let echo = Message::EchoRequest(Bytes::from_static(b"still here"));
        assert_eq!(b.ask(witness, version, &echo), Message::EchoReply(Bytes::from_static(b"still here")));
    }
}

#[test]
fn an_error_of_the_framer_is_answered() {
    let mut b = Bench::new();
    let c = b.connect(Version::V13);
    let bytes = Bytes::from_static(&[4, 20, 0, 7, 0, 0, 0, 1]);
    let header = Header::decode(&bytes).unwrap();
    let message = Err(OfError::at(ErrorKind::BadRequestBadLen, 2, "length", "7"));
    b.hub.receive(b.now, c, Received { header, message, bytes });
    assert!(matches!(&b.hear(c)[0].1, Message::Error(e) if e.kind(Version::V13) == Some(ErrorKind::BadRequestBadLen)));
}
