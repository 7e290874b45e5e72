//! What a hostile controller may try, against a whole bridge: nothing may panic, every session stays
//! within its bounds, the answer is the specification's, and a second controller notices nothing.
//!
//! | attack | where it is tested |
//! |---|---|
//! | lengths: below the header's, longer than the body, half a message and silence | `an_error_of_the_framer_is_answered`; damage below; `session::tests::channel` (handshake, probes) |
//! | actions, instructions of length 0, odd, beyond the end, a full 64 KiB of them | `broken_actions_have_their_own_errors` |
//! | match fields: unknown, too long, twice, without prerequisites, bits outside the mask | `broken_matches_have_their_own_errors` |
//! | actions nested a thousand deep | `nesting_without_end_is_refused` |
//! | groups in a circle, long chains of groups | `groups_in_a_circle_are_refused` |
//! | resubmits and gotos in a circle | the data path's own tests of the pipeline |
//! | bundles: the last of many messages fails, many are open, one is never closed | `a_long_bundle_that_fails_leaves_everything`; `session::bundle`, `session::tests::bundles` |
//! | segments of a request without end | `session::tests::requests` |
//! | a peer that doesn't read | `tests::a_dump_that_nobody_reads_costs_…`, `session::fairness`, `session::tests::channel` |
//! | thousands of connections, half a TLS handshake | `tests/system/test_hostile.py` |
//! | a second hello, other versions, no hello | `session::tests::channel` |
//! | stale generations, roles to and fro | `session::role`, `roles_to_and_fro_keep_one_master` |
//! | full tables, groups, meters | `what_is_full_says_so_and_changes_nothing` |
//! | random messages of all types | `recorded_messages_broken_at_random_hurt_nobody`, the fuzz targets |
//! | flow-mods without end while packets run | `traffic::changes_elsewhere_lose_no_packet` |
//! | one port's flood of misses | `datapath::punt`, `session::fairness`, `tests/system/test_hostile.py` |
//! | a port that vanishes with its flows | `a_port_vanishes_with_everything_on_it`, `tests/system/test_hostile.py` |
//! | the wall clock jumps | times are the monotonic clock's; scheduled commits: `session::tests::bundles` |
//!
//! Who else claims this datapath id is for controllers to see: with TLS the switch shows its certificate.

use super::Instance;
use super::tests::{Bench, add, group};
use crate::ports::PortEvent;
use crate::session::ConnId;
use crate::session::{Received, limits};
use bytes::Bytes;
use ofproto::action::Action;
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::{FlowMod, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, BundleId, GroupId, PortNo, Xid};
use ofproto::instruction::Instruction;
use ofproto::message::Message;
use ofproto::role::{Role, RoleMsg};
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

const V13: Version = Version::V13;

/// A flow-mod with this match (a whole `ofp_match`) and these instructions, as bytes.
fn raw_flow_mod(matching: &[u8], instructions: &[u8]) -> Vec<u8> {
    let mut bytes = wire::encode(V13, Xid(9), &Message::FlowMod(FlowMod::default())).unwrap();
    bytes.truncate(48);
    bytes.extend_from_slice(matching);
    bytes.extend_from_slice(instructions);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// An `ofp_match` around match fields.
fn raw_match(fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + fields.len()).unwrap();
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Apply-actions around actions.
fn raw_apply(actions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + actions.len()).unwrap();
    let mut bytes = vec![0, 4];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(actions);
    bytes
}

/// The error that raw bytes are answered with, if any; nothing may have changed if there is one.
fn verdict(b: &mut Bench, c: ConnId, bytes: &[u8]) -> Option<ErrorKind> {
    let before = b.flows(c, V13);
    b.bytes(c, bytes);
    let out = b.hear(c);
    assert!(out.len() <= 1, "{out:?}");
    let kind = out.first().map(|(_, m)| match m {
        Message::Error(e) => e.kind(V13).unwrap(),
        other => panic!("{other:?}"),
    });
    if kind.is_some() {
        assert_eq!(b.flows(c, V13), before);
    }
    kind
}

#[test]
fn broken_actions_have_their_own_errors() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let any = raw_match(&[]);
    let output: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 2, 0, 64, 0, 0, 0, 0, 0, 0];
    let with_len = |len: u16| {
        let mut a = output;
        a[2..4].copy_from_slice(&len.to_be_bytes());
        raw_flow_mod(&any, &raw_apply(&a))
    };
    assert_eq!(verdict(&mut b, c, &raw_flow_mod(&any, &raw_apply(&output))), None);
    for len in [0, 4, 8, 12, 15, 24, 0xfff8, 0xffff] {
        assert_eq!(verdict(&mut b, c, &with_len(len)), Some(ErrorKind::BadActionBadLen), "{len}");
    }
    for len in [0_u16, 1, 4, 7, 9, 0xffff] {
        let mut i = raw_apply(&output);
        i[2..4].copy_from_slice(&len.to_be_bytes());
        let kind = verdict(&mut b, c, &raw_flow_mod(&any, &i));
        assert!(matches!(kind, Some(ErrorKind::BadInstructionBadLen | ErrorKind::BadActionBadLen)), "{len}: {kind:?}");
    }
    // As many as a message holds: taken or refused, but soon.
    let pops = [0, 18, 0, 8, 0, 0, 0, 0].repeat(8000);
    verdict(&mut b, c, &raw_flow_mod(&any, &raw_apply(&pops)));
    let unknown = [0xab, 0xcd, 0, 8, 0, 0, 0, 0].repeat(8000);
    assert_eq!(verdict(&mut b, c, &raw_flow_mod(&any, &raw_apply(&unknown))), Some(ErrorKind::BadActionBadType));
}

#[test]
fn broken_matches_have_their_own_errors() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let ip: &[u8] = &[0x80, 0, 10, 2, 8, 0];
    let src_masked: &[u8] = &[0x80, 0, 23, 8, 10, 0, 0, 1, 255, 255, 255, 0];
    let cases: [(&str, Vec<u8>, ErrorKind); 6] = [
        ("twice", [ip, ip].concat(), ErrorKind::BadMatchDupField),
        ("no prerequisite", vec![0x80, 0, 22, 4, 10, 0, 0, 1], ErrorKind::BadMatchBadPrereq),
        ("bits outside the mask", [ip, src_masked].concat(), ErrorKind::BadMatchBadWildcards),
        ("beyond the end", vec![0x80, 0, 10, 200, 8, 0], ErrorKind::BadMatchBadLen),
        ("too short for the field", vec![0x80, 0, 10, 1, 8], ErrorKind::BadMatchBadLen),
        ("no such field", vec![0x80, 0, 0x7e << 1, 2, 8, 0], ErrorKind::BadMatchBadField),
    ];
    for (what, fields, expected) in cases {
        assert_eq!(verdict(&mut b, c, &raw_flow_mod(&raw_match(&fields), &[])), Some(expected), "{what}");
    }
    for len in [0_u16, 3, 9, 0xffff] {
        let mut m = raw_match(&[]);
        m[2..4].copy_from_slice(&len.to_be_bytes());
        let kind = verdict(&mut b, c, &raw_flow_mod(&m, &[]));
        assert!(kind.is_some(), "{len}");
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    for subtype in [42_u8, 50, 16] {
        // Clone and others of the extensions around each other, as deep as a message is long.
        let mut actions: Vec<u8> = Vec::new();
        for depth in (1..=4000_u16).rev() {
            let length = 16 * (4001 - depth);
            let mut head = vec![0xff, 0xff];
            head.extend_from_slice(&length.to_be_bytes());
            head.extend_from_slice(&[0, 0, 0x23, 0x20, 0, subtype, 0, 0, 0, 0, 0, 0]);
            head.extend_from_slice(&actions);
            actions = head;
            if actions.len() > 64_000 {
                break;
            }
        }
        assert!(verdict(&mut b, c, &raw_flow_mod(&raw_match(&[]), &raw_apply(&actions))).is_some(), "{subtype}");
    }
}

fn chain(id: u32, to: u32, command: GroupModCommand) -> Message {
    Message::GroupMod(GroupMod {
        command,
        ty: GroupType::All,
        group: GroupId(id),
        command_bucket: BucketId::ALL,
        buckets: vec![
            Bucket { id: None, ..Bucket::new(vec![Action::Group(GroupId(to))]) },
            Bucket { id: None, ..Bucket::new(vec![Action::Group(GroupId(to))]) },
        ],
        properties: Vec::new(),
    })
}

#[test]
fn groups_in_a_circle_are_refused() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    b.say(c, V13, 1, &group(1));
    b.say(c, V13, 2, &chain(2, 1, GroupModCommand::Add));
    assert_eq!(b.hear(c), []);
    assert_eq!(b.error(c, V13, &chain(1, 1, GroupModCommand::Modify)), ErrorKind::GroupModFailedLoop);
    assert_eq!(b.error(c, V13, &chain(1, 2, GroupModCommand::Modify)), ErrorKind::GroupModFailedLoop);
    // Each doubles: 2^64 outputs, if anybody carried them out. Far from all of them are taken, or a packet
    // is cut off; either way the switch answers.
    for id in 3..=66 {
        b.say(c, V13, id, &chain(id, id - 1, GroupModCommand::Add));
    }
    b.hear(c);
    let echo = Message::EchoRequest(Bytes::new());
    assert_eq!(b.ask(c, V13, &echo), Message::EchoReply(Bytes::new()));
}

#[test]
fn a_long_bundle_that_fails_leaves_everything() {
    const MESSAGES: u32 = 10_000;
    let mut b = Bench::of(MESSAGES - 1);
    let v = Version::V14;
    let c = b.connect(v);
    let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() });
    b.say(c, v, 1, &Message::FlowMod(add(0, FlowModFlags::empty())));
    let before = b.flows(c, v);
    b.say(c, v, 1, &control(BundleCtrlType::OpenRequest));
    for n in 1..=MESSAGES {
        let message = Box::new(Message::FlowMod(add(n, FlowModFlags::empty())));
        let add = BundleAdd { bundle: BundleId(1), flags, message, inner_xid: Xid(n), properties: Vec::new() };
        b.say(c, v, n, &Message::BundleAdd(add));
    }
    b.hear(c);
    b.say(c, v, 50, &control(BundleCtrlType::CommitRequest));
    let out = b.hear(c);
    assert!(matches!(&out[1].1, Message::Error(e) if e.kind(v) == Some(ErrorKind::BundleFailedMsgFailed)), "{out:?}");
    assert_eq!(b.flows(c, v), before);
}

#[test]
fn roles_to_and_fro_keep_one_master() {
    let mut b = Bench::new();
    let c = [b.connect(V13), b.connect(V13), b.connect(V13)];
    let mut seed = 7;
    for generation_id in 0..2000 {
        let who = c[random(&mut seed) % 3];
        let role = [Role::Master, Role::Slave, Role::Equal, Role::NoChange][random(&mut seed) % 4];
        let stale = random(&mut seed).is_multiple_of(5);
        let generation_id = if stale { generation_id / 2 } else { generation_id };
        b.ask(who, V13, &Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id }));
        let masters = c.iter().filter(|id| b.hub.session(**id).unwrap().role() == Role::Master).count();
        assert!(masters <= 1);
        for id in c {
            b.hear(id);
        }
    }
}

#[test]
fn what_is_full_says_so_and_changes_nothing() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    for n in 1..=8 {
        b.say(c, V13, n, &Message::FlowMod(add(n, FlowModFlags::empty())));
    }
    let before = b.flows(c, V13);
    for n in 9..20 {
        let full = b.error(c, V13, &Message::FlowMod(add(n, FlowModFlags::empty())));
        assert_eq!(full, ErrorKind::FlowModFailedTableFull);
    }
    assert_eq!(b.flows(c, V13), before);
    let mut full = None;
    for n in 1..=501 {
        b.say(c, V13, n, &group(n));
        match b.hear(c).pop() {
            Some((_, Message::Error(e))) => full = e.kind(V13),
            None => continue,
            other => panic!("{other:?}"),
        }
        break;
    }
    assert_eq!(full, Some(ErrorKind::GroupModFailedOutOfGroups));
    assert!(matches!(b.ask(c, V13, &Message::EchoRequest(Bytes::new())), Message::EchoReply(_)));
}

#[test]
fn a_port_vanishes_with_everything_on_it() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    b.say(c, V13, 1, &group(1));
    let mut flow = add(1, FlowModFlags::SEND_FLOW_REM);
    flow.instructions = vec![Instruction::ApplyActions(vec![Action::Group(GroupId(1)), Action::output(PortNo(1))])];
    b.say(c, V13, 2, &Message::FlowMod(flow));
    assert_eq!(b.hear(c), []);
    for _ in 0..100 {
        b.hub.switch.port_event(b.now, PortEvent::Removed(PortNo(1)));
        b.hub.spread(None);
        b.turn();
        b.hub.switch.port_event(b.now, PortEvent::Added(crate::session::tests::fake::port(1)));
        b.hub.spread(None);
        b.turn();
    }
    let out = b.hear(c);
    assert_eq!(out.iter().filter(|(_, m)| matches!(m, Message::PortStatus(_))).count(), 200);
    assert_eq!(b.flows(c, V13).len(), 1, "flows stay: the port may come back");
}
