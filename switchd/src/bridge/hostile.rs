//! What a hostile controller may try, against a whole bridge: nothing may panic, every session stays
//! within its bounds, the answer is the specification's, and a second controller notices nothing.
//!
//! `tests/system/README.md` lists every attack by its number (M1 to M19) with its tests and figures; the
//! tests here name theirs.

use super::tests::{Bench, add, group};
use super::{Instance, Runner};
use crate::ports::PortEvent;
use crate::session::ConnId;
use crate::session::{Received, limits};
use bytes::Bytes;
use datapath::engine::PipelineEngine;
use datapath::frame::Frame;
use datapath::group::MAX_CHAIN;
use datapath::pipeline::{DropReason, MAX_STEPS};
use datapath::port::memory::Memory;
use datapath::port::{FramePool, Port};
use datapath::worker::TxQueues;
use ofproto::action::Action;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::bundle::{BundleAdd, BundleCtrl, BundleCtrlType, BundleFlags};
use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
use ofproto::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use ofproto::ids::{BucketId, BundleId, GroupId, MeterId, PortNo, TableId, Xid};
use ofproto::instruction::Instruction;
use ofproto::message::Message;
use ofproto::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use ofproto::role::{Role, RoleMsg};
use ofproto::table::{TableConfig, TableMod, TableModProp};
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError, Version};
use std::path::Path;
use std::time::Duration;

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

/// M14: recorded messages of every version, cut and changed at random: 40 variants of each.
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
                b.hub.receive(b.now, victim, Received::new(header, Bytes::from(bytes)));
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

/// M1: a length below the header's: BAD_LEN, then the end.
#[test]
fn an_error_of_the_framer_is_answered() {
    let mut b = Bench::new();
    let c = b.connect(Version::V13);
    let bytes = Bytes::from_static(&[4, 20, 0, 7, 0, 0, 0, 1]);
    let header = Header::decode(&bytes).unwrap();
    let e = OfError::at(ErrorKind::BadRequestBadLen, 2, "length", "7");
    b.hub.receive(b.now, c, Received::broken(header, bytes, e));
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

/// M2: lengths of actions and instructions that are 0, odd or beyond the end; 64,000 bytes of 8-byte actions.
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

/// M3: match fields twice, without prerequisites, with bits outside the mask, too long, too short, unknown.
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

/// `depth` actions of the extensions, each around the next, as deep as a message is long.
fn nested(subtype: u8, head: &[u8], depth: usize) -> Vec<u8> {
    let each = (10 + head.len()).next_multiple_of(8);
    let mut actions = Vec::new();
    for level in 0..depth {
        let start = actions.len();
        actions.extend_from_slice(&[0xff, 0xff]);
        actions.extend_from_slice(&u16::try_from(each * (depth - level)).unwrap().to_be_bytes());
        actions.extend_from_slice(&[0, 0, 0x23, 0x20, 0, subtype]);
        actions.extend_from_slice(head);
        actions.resize(start + each, 0);
    }
    actions
}

/// Levels of actions in actions that are taken.
const NESTING: usize = 8;

/// M4: actions in actions: a few levels are taken, more and thousands are refused by name; no stack is used
/// up.
#[test]
fn nesting_without_end_is_refused() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let mod_of = |actions: &[u8]| raw_flow_mod(&raw_match(&[]), &raw_apply(actions));
    // Clone holds actions after 6 bytes of nothing, ct after its own 14.
    assert_eq!(verdict(&mut b, c, &mod_of(&nested(42, &[0; 6], NESTING))), None);
    let kind = verdict(&mut b, c, &mod_of(&nested(42, &[0; 6], NESTING + 1)));
    assert_eq!(kind, Some(ErrorKind::BadActionTooMany));
    for depth in [18, 100, 1000, 3900] {
        let kind = verdict(&mut b, c, &mod_of(&nested(42, &[0; 6], depth)));
        assert_eq!(kind, Some(ErrorKind::BadActionBadArgument), "{depth} clones");
    }
    for depth in [18, 1000, 2600] {
        let kind = verdict(&mut b, c, &mod_of(&nested(35, &[0; 14], depth)));
        assert!(kind.is_some(), "{depth} cts: {kind:?}");
    }
    // Learn, write-metadata and unknown ones of the same shape.
    for subtype in [16, 45, 22, 200] {
        assert!(verdict(&mut b, c, &mod_of(&nested(subtype, &[0; 6], 3900))).is_some(), "{subtype}");
    }
    // Bundles in bundles.
    let v = Version::V14;
    let c = b.connect(v);
    let flags = BundleFlags::empty();
    let mut inner = Message::EchoRequest(Bytes::new());
    for _ in 0..2 {
        let message = Box::new(inner);
        inner = Message::BundleAdd(BundleAdd {
            bundle: BundleId(1),
            flags,
            message,
            inner_xid: Xid(99),
            properties: vec![],
        });
    }
    assert_eq!(b.error(c, v, &inner), ErrorKind::BundleFailedMsgUnsup);
}

fn group_mod(id: u32) -> GroupMod {
    match group(id) {
        Message::GroupMod(g) => g,
        other => panic!("{other:?}"),
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

/// M5: a group that leads to itself, at once or through another.
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

/// M5: as many groups as may stand in a row, each doubling: one packet's copies are bounded and what is too
/// much is counted.
#[test]
fn a_packet_s_copies_are_bounded() {
    let mut b = Bench::new();
    let c = b.connect(V13);
    let mut first = group_mod(1);
    first.buckets.push(first.buckets[0].clone());
    b.say(c, V13, 1, &Message::GroupMod(first));
    let mut deepest = 1;
    for id in 2..=200 {
        let mut wide = match chain(id, id - 1, GroupModCommand::Add) {
            Message::GroupMod(g) => g,
            other => panic!("{other:?}"),
        };
        wide.buckets.extend(wide.buckets.clone());
        b.say(c, V13, id, &Message::GroupMod(wide));
        match b.hear(c).pop() {
            None => deepest = id,
            Some((_, Message::Error(e))) => {
                assert_eq!(e.kind(V13), Some(ErrorKind::GroupModFailedChainingUnsupported));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(deepest as usize, MAX_CHAIN, "4^15 copies and more, if anybody made them");
    let mut flow = add(3, FlowModFlags::empty());
    flow.instructions = vec![Instruction::ApplyActions(vec![Action::Group(GroupId(deepest))])];
    b.say(c, V13, 2, &Message::FlowMod(flow));
    assert_eq!(b.hear(c), []);
    let shared = std::sync::Arc::clone(&b.hub.switch.shared);
    let mut engine = PipelineEngine::new(b.lend_worker(), std::sync::Arc::clone(&shared), 0);
    let (near, far) = Memory::pair("near", "far", 1 << 17).unwrap();
    let mut rx = far.open_rx().unwrap();
    let mut tx = TxQueues::new();
    tx.add_port(PortNo(1), near.open_tx().unwrap());
    let mut frames = vec![Frame::from_bytes(&[0; 64])];
    engine.burst(PortNo(3), &mut frames, &mut tx, b.now);
    tx.flush();
    let (mut pool, mut out) = (FramePool::new(64, 4), Vec::new());
    while rx.receive(&mut out, 4096, &mut pool).unwrap() > 0 {}
    assert!((1000..=MAX_STEPS as usize).contains(&out.len()), "{} copies of one packet", out.len());
    let counted = DropReason::ALL.iter().zip(shared.drops()).find(|(r, _)| **r == DropReason::TooComplex).unwrap().1;
    assert!(counted > 0);
    assert!(matches!(b.ask(c, V13, &Message::EchoRequest(Bytes::new())), Message::EchoReply(_)));
}

/// M7: 1,000 bundles are opened and never closed: a few are, the others are refused, and time ends them all.
#[test]
fn open_bundles_are_few_and_end() {
    let mut b = Bench::new();
    let v = Version::V14;
    let c = b.connect(v);
    let flags = BundleFlags::ATOMIC;
    let mut opened = 0;
    for n in 0..1000 {
        let ty = BundleCtrlType::OpenRequest;
        match b.ask(c, v, &Message::BundleControl(BundleCtrl { bundle: BundleId(n), ty, flags, properties: vec![] })) {
            Message::BundleControl(_) => opened += 1,
            Message::Error(e) => assert_eq!(e.kind(v), Some(ErrorKind::BundleFailedOutOfBundles)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(opened, limits::BUNDLES);
    b.now = b.now + limits::BUNDLE_WAIT;
    b.hub.tick(b.now);
    let told = b.hear(c);
    assert_eq!(told.len(), opened, "each is told");
    let again = BundleCtrl { bundle: BundleId(7), ty: BundleCtrlType::OpenRequest, flags, properties: vec![] };
    assert!(matches!(b.ask(c, v, &Message::BundleControl(again)), Message::BundleControl(_)));
}

/// M7: the last of 10,000 messages fails: every flow is as it was.
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

/// M12: 2,000 role requests of three controllers, a fifth of them stale: one master at most.
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

/// M13: table, groups and meters full: TABLE_FULL, OUT_OF_GROUPS, OUT_OF_METERS; nothing changes, not by half
/// a bundle either.
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
    let meter = |n| {
        let rate = Band { action: BandAction::Drop, rate: 1000, burst_size: 100 };
        let flags = MeterFlags::KBPS | MeterFlags::BURST;
        Message::MeterMod(MeterMod { command: MeterModCommand::Add, flags, meter: MeterId(n), bands: vec![rate] })
    };
    for n in 1..=50 {
        b.say(c, V13, n, &meter(n));
        assert_eq!(b.hear(c), []);
    }
    assert_eq!(b.error(c, V13, &meter(51)), ErrorKind::MeterModFailedOutOfMeters);
    assert_eq!(b.error(c, V13, &meter(7)), ErrorKind::MeterModFailedMeterExists);

    // A bundle with something for each of them: nothing of it stays.
    let v = Version::V14;
    let c14 = b.connect(v);
    let flags = BundleFlags::ATOMIC | BundleFlags::ORDERED;
    let control = |ty| Message::BundleControl(BundleCtrl { bundle: BundleId(1), ty, flags, properties: Vec::new() });
    let delete = GroupMod { command: GroupModCommand::Delete, group: GroupId(1), buckets: vec![], ..group_mod(1) };
    let changed = FlowMod { priority: 77, command: FlowModCommand::Modify, ..add(1, FlowModFlags::empty()) };
    let parts = [Message::GroupMod(delete), group(501), Message::FlowMod(changed), meter(51)];
    b.ask(c14, v, &control(BundleCtrlType::OpenRequest));
    for (n, part) in parts.into_iter().enumerate() {
        let inner_xid = Xid(n as u32 + 1);
        let add = BundleAdd { bundle: BundleId(1), flags, message: Box::new(part), inner_xid, properties: vec![] };
        b.say(c14, v, inner_xid.0, &Message::BundleAdd(add));
    }
    let groups = b.hub.switch.control.group_desc(GroupId::ALL).unwrap();
    b.say(c14, v, 50, &control(BundleCtrlType::CommitRequest));
    let out = b.hear(c14);
    let kinds: Vec<_> = out.iter().map(|(_, m)| if let Message::Error(e) = m { e.kind(v) } else { None }).collect();
    assert_eq!(kinds, [Some(ErrorKind::MeterModFailedOutOfMeters), Some(ErrorKind::BundleFailedMsgFailed)]);
    assert_eq!(b.flows(c, V13), before);
    assert_eq!(b.hub.switch.control.group_desc(GroupId::ALL).unwrap(), groups);
    assert!(matches!(b.ask(c, V13, &Message::EchoRequest(Bytes::new())), Message::EchoReply(_)));
}

/// M13: the table tells that it gets full, and that there is room again.
#[test]
fn vacancy_is_told_once_each_way() {
    let mut b = Bench::of(10);
    let v = Version::V14;
    let c = b.connect(v);
    let props = vec![AsyncProp::Reasons { kind: AsyncKind::TableStatus, master: true, mask: 3 << 3 }];
    b.say(c, v, 1, &Message::SetAsync(AsyncConfig { props }));
    let properties = vec![TableModProp::Vacancy { down: 20, up: 50, vacancy: 0 }];
    let config = TableConfig::VACANCY_EVENTS;
    b.say(c, v, 1, &Message::TableMod(TableMod { table: TableId(0), config, properties }));
    b.hear(c);
    for n in 1..=10 {
        b.say(c, v, n, &Message::FlowMod(add(n, FlowModFlags::empty())));
    }
    let reasons = |b: &mut Bench| -> Vec<u8> {
        let told = b.hear(c);
        told.iter().map(|(_, m)| if let Message::TableStatus(s) = m { s.reason } else { 0 }).collect()
    };
    assert_eq!(reasons(&mut b), [3], "VACANCY_DOWN, when the ninth came");
    assert_eq!(b.error(c, v, &Message::FlowMod(add(11, FlowModFlags::empty()))), ErrorKind::FlowModFailedTableFull);
    let delete = FlowMod { command: FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
    b.say(c, v, 2, &Message::FlowMod(delete));
    for _ in 0..4 {
        b.turn();
    }
    assert_eq!(reasons(&mut b), [4], "VACANCY_UP");
}

/// M19: the wall clock jumps by a day, to and fro: no flow expires, no connection ends, timers go on.
#[test]
fn the_wall_clock_jumps_and_nothing_happens() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let mut b = Bench::new();
    let c = b.connect(V13);
    let mut flow = add(1, FlowModFlags::SEND_FLOW_REM);
    (flow.idle_timeout, flow.hard_timeout) = (60, 600);
    b.say(c, V13, 1, &Message::FlowMod(flow));
    b.hear(c);
    let now = std::sync::Arc::new(AtomicU64::new(b.now.0));
    let wall = std::sync::Arc::new(AtomicU64::new(1_800_000_000));
    let (clock, calendar) = (std::sync::Arc::clone(&now), std::sync::Arc::clone(&wall));
    let (_handle, inbox) = super::channel().unwrap();
    let clock = move || datapath::clock::Time(clock.load(Ordering::Relaxed));
    let calendar = move || Duration::from_secs(calendar.load(Ordering::Relaxed));
    let mut worker = b.lend_worker();
    let mut runner = Runner::new(b.hub, inbox, clock, calendar);
    for jump in [86_400_i64, -86_400, -86_400, 365 * 86_400, -365 * 86_400] {
        wall.fetch_add(jump.cast_unsigned(), Ordering::Relaxed);
        now.fetch_add(5_000_000_000, Ordering::Relaxed);
        let _ = worker.adopt();
        runner.with(|r, _| r.hub.tick(datapath::clock::Time(now.load(Ordering::Relaxed))));
        assert!(runner.round());
        assert_eq!(runner.with(|r, _| r.hub.switch.control.flow_count(TableId(0))), 1);
        assert!(runner.with(|r, _| r.hub.session(c).unwrap().ending().is_none()));
    }
    // The monotonic clock alone lets it expire.
    now.fetch_add(60_000_000_000, Ordering::Relaxed);
    let _ = worker.adopt();
    runner.with(|r, _| r.hub.tick(datapath::clock::Time(now.load(Ordering::Relaxed))));
    assert_eq!(runner.with(|r, _| r.hub.switch.control.flow_count(TableId(0))), 0);
}

/// M17: a port with flows, groups and queues on it comes and goes: a PORT_STATUS each time, flows stay.
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
