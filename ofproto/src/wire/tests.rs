//! Model → bytes → model, and bytes of every kind of damage.

use super::*;
use crate::arbitrary;
use crate::error::ErrorKind;
use crate::field::FieldId;
use crate::matching::Match;
use crate::message::{Multipart, MultipartRequest};
use crate::monitor::MonitorFlags;
use proptest::prelude::*;

fn round_trip(version: Version, message: &Message) -> Result<(), TestCaseError> {
    let bytes = encode(version, Xid(0x0102_0304), message).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let (header, again) = decode(&bytes).map_err(|e| TestCaseError::fail(format!("{e}\n{bytes:02x?}")))?;
    prop_assert_eq!(header.xid, Xid(0x0102_0304));
    prop_assert_eq!(&again, message);
    Ok(())
}

fn read_and_write(bytes: &[u8]) {
    let (Ok((header, message)), Some(version)) = (decode(bytes), Version::from_wire(bytes[0])) else { return };
    let _ = crate::validate::message(&message, version);
    // Only text that wasn't UTF-8 may have become too long for its field.
    match encode(version, header.xid, &message) {
        Ok(again) => assert_eq!(decode(&again).map(|(_, m)| m), Ok(message)),
        Err(EncodeError::TooLong { .. }) => {}
        Err(e) => panic!("{e}: {message:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn v13_messages_survive(m in arbitrary::message(Version::V13)) {
        round_trip(Version::V13, &m)?;
    }

    #[test]
    fn v14_messages_survive(m in arbitrary::message(Version::V14)) {
        round_trip(Version::V14, &m)?;
    }

    #[test]
    fn v15_messages_survive(m in arbitrary::message(Version::V15)) {
        round_trip(Version::V15, &m)?;
    }

    /// What means something, in every version: as it was, byte by byte, and through JSON.
    #[test]
    fn valid_messages_of_every_version_survive(
        (version, m) in prop::sample::select(Version::ALL.to_vec())
            .prop_flat_map(|v| (Just(v), arbitrary::valid_message(v))),
    ) {
        round_trip(version, &m)?;
        prop_assert_eq!(crate::json::from_value(&crate::json::to_value(&m)), Ok(m));
    }

    /// What is sound, in every version.
    #[test]
    fn sound_messages_survive_json(
        m in prop::sample::select(Version::ALL.to_vec()).prop_flat_map(arbitrary::message),
    ) {
        prop_assert_eq!(crate::json::from_value(&crate::json::to_value(&m)), Ok(m));
    }

    #[test]
    fn messages_of_old_versions_survive(
        (version, m) in prop::sample::select(vec![Version::V10, Version::V11, Version::V12])
            .prop_flat_map(|v| (Just(v), arbitrary::message(v))),
    ) {
        round_trip(version, &m)?;
    }

    /// Damage is either refused or read as something that is read the same when written again.
    #[test]
    fn damaged_messages_are_refused_or_read(
        (version, m) in prop::sample::select(vec![Version::V13, Version::V14, Version::V15])
            .prop_flat_map(|v| (Just(v), arbitrary::message(v))),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(version, Xid(1), &m).expect("sayable");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_and_write(&bytes);
        bytes.truncate(8 + cut.index(bytes.len() - 7));
        let len = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        read_and_write(&bytes);
    }
}

fn fails(bytes: &[u8]) -> (ErrorKind, Option<usize>, &'static str) {
    let e = decode(bytes).expect_err("must be refused");
    (e.kind, e.offset, e.field)
}

/// A 1.3 flow-mod with these bytes after its fixed part (48 bytes).
fn flow_mod(rest: &[u8]) -> Vec<u8> {
    let mut m = vec![4, 14, 0, 0, 0, 0, 0, 1];
    m.extend([0; 40]);
    m.extend(rest);
    let len = m.len() as u16;
    m[2..4].copy_from_slice(&len.to_be_bytes());
    m
}

const EMPTY_MATCH: [u8; 8] = [0, 1, 0, 4, 0, 0, 0, 0];

#[test]
fn structural_faults_have_their_code_place_and_field() {
    use ErrorKind::*;
    assert_eq!(fails(&[9, 0, 0, 8, 0, 0, 0, 1]), (BadRequestBadVersion, Some(0), "version"));
    assert_eq!(fails(&[4, 99, 0, 8, 0, 0, 0, 1]), (BadRequestBadType, Some(1), "type"));
    assert_eq!(fails(&[4, 20, 0, 7, 0, 0, 0, 1]), (BadRequestBadLen, Some(2), "length"));
    assert_eq!(fails(&[4, 20, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0]), (BadRequestBadLen, Some(8), "length"));
    assert_eq!(fails(&[4, 22, 0, 8, 0, 0, 0, 1]), (BadRequestBadLen, Some(8), "port_no"));
    // 1.4 dropped queue-get-config.
    assert_eq!(fails(&[5, 22, 0, 8, 0, 0, 0, 1]).0, BadRequestBadType);

    assert_eq!(fails(&flow_mod(&[0, 0, 0, 4, 0, 0, 0, 0])), (BadMatchBadType, Some(48), "match type"));
    assert_eq!(fails(&flow_mod(&[0, 1, 0, 3, 0, 0, 0, 0])), (BadMatchBadLen, Some(50), "match length"));
    assert_eq!(fails(&flow_mod(&[0, 1, 0, 40, 0, 0, 0, 0])), (BadMatchBadLen, Some(52), "match length"));
    // in_port of three bytes
    let m = flow_mod(&[0, 1, 0, 11, 0x80, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(fails(&m), (BadMatchBadLen, Some(52), "in_port"));

    let with_instruction = |i: &[u8]| flow_mod(&[&EMPTY_MATCH[..], i].concat());
    assert_eq!(
        fails(&with_instruction(&[0, 1, 0, 7, 0, 0, 0, 0])),
        (BadInstructionBadLen, Some(58), "instruction len")
    );
    assert_eq!(
        fails(&with_instruction(&[0, 1, 0, 16, 0, 0, 0, 0])),
        (BadInstructionBadLen, Some(60), "instruction len")
    );
    // clear-actions with an action inside
    let m = with_instruction(&[0, 5, 0, 16, 0, 0, 0, 0, 0, 18, 0, 8, 0, 0, 0, 0]);
    assert_eq!(fails(&m), (BadInstructionBadLen, Some(58), "instruction len"));

    let with_action = |a: &[u8]| with_instruction(&[&[0, 4, 0, 8 + a.len() as u8, 0, 0, 0, 0], a].concat());
    assert_eq!(fails(&with_action(&[0, 18, 0, 14, 0, 0, 0, 0])), (BadActionBadLen, Some(66), "action len"));
    assert_eq!(fails(&with_action(&[0, 18, 0, 0, 0, 0, 0, 0])), (BadActionBadLen, Some(66), "action len"));
    assert_eq!(fails(&with_action(&[0, 0, 0, 8, 0, 0, 0, 1])), (BadActionBadLen, Some(72), "max_len"));
    // set-field of an ipv4_dst of two bytes
    let m = with_action(&[0, 25, 0, 16, 0x80, 0, 24, 2, 1, 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fails(&m), (BadActionBadSetLen, Some(68), "ipv4_dst"));
}

#[test]
fn a_message_in_a_message_in_a_message_is_refused() {
    let inner = encode(Version::V14, Xid(1), &Message::BarrierRequest).expect("sayable");
    let wrap = |inner: &[u8]| {
        let mut m = vec![5, 34, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0];
        m.extend(inner);
        let len = m.len() as u16;
        m[2..4].copy_from_slice(&len.to_be_bytes());
        m
    };
    assert!(decode(&wrap(&inner)).is_ok());
    assert_eq!(fails(&wrap(&wrap(&inner))).0, ErrorKind::BundleFailedMsgUnsup);
}

#[test]
fn what_a_version_cannot_say_is_named() {
    use crate::flow::FlowMod;
    let m = Message::FlowMod(FlowMod { importance: 7, ..FlowMod::default() });
    let e = encode(Version::V13, Xid(0), &m).expect_err("1.3 has no importance");
    assert_eq!(e.to_string(), "OpenFlow 1.3 cannot say importance");
    assert!(encode(Version::V14, Xid(0), &m).is_ok());
    let m = Message::MultipartRequest(Multipart::last(MultipartRequest::TableDesc));
    let e = encode(Version::V13, Xid(0), &m).expect_err("1.3 has no table descriptions");
    assert_eq!(e.to_string(), "OpenFlow 1.3 cannot say OFPMP_TABLE_DESC");
    let queue = Message::QueueGetConfigRequest(crate::ids::PortNo(1));
    assert!(matches!(encode(Version::V14, Xid(0), &queue), Err(EncodeError::Unsupported { .. })));
    let mut buf = vec![1, 2, 3];
    assert!(encode_into(&mut buf, Version::V14, Xid(0), &queue).is_err());
    assert_eq!(buf, [1, 2, 3], "nothing half-written");
}

/// The model keeps 1.0's emergency flag in this bit, which later versions don't define.
#[test]
fn an_undefined_flow_mod_flag_survives() {
    let mut m = flow_mod(&EMPTY_MATCH);
    m[44] = 0x80;
    let (header, message) = decode(&m).expect("structurally sound");
    assert_eq!(encode(Version::V13, header.xid, &message), Ok(m));
    let refused = crate::validate::message(&message, Version::V13).expect_err("an undefined flag");
    assert_eq!(refused.kind, ErrorKind::FlowModFailedBadFlags);
}

/// The experimenter form of `pbb_uca` is 1.3's; 1.4 has the field in the basic class.
#[test]
fn an_experimenter_field_of_another_version_survives() {
    let tlv = [0, 1, 0, 15, 0xff, 0xff, 0, 7, 0x4f, 0x4e, 0x46, 0, 0x0a, 0, 1, 0];
    for (version, known) in [(4, true), (5, false), (6, false)] {
        let mut m = flow_mod(&tlv);
        m[0] = version;
        let (header, message) = decode(&m).expect("structurally sound");
        let Message::FlowMod(f) = &message else { panic!("{message:?}") };
        assert_eq!(f.matching.get(FieldId::PbbUca).is_some(), known);
        assert_eq!(f.matching.unknown.len(), usize::from(!known));
        assert_eq!(encode(Version::from_wire(version).expect("spoken"), header.xid, &message), Ok(m));
    }
}

#[test]
fn a_hello_s_body_never_makes_it_fail() {
    for body in [&[][..], &[1, 2, 3], &[0, 1, 0, 0], &[0, 1, 0xff, 0xff, 0, 0]] {
        let mut m = vec![4, 0, 0, 8 + body.len() as u8, 0, 0, 0, 1];
        m.extend(body);
        assert_eq!(decode(&m).map(|(_, m)| m), Ok(Message::Hello(Vec::new())));
    }
    let (header, _) = decode_hello(&[0x99, 0, 0, 8, 0, 0, 0, 1]).expect("any version");
    assert_eq!(header.version, 0x99);
}

#[test]
fn a_flow_monitor_s_match_is_read_with_and_without_ofp_match_s_head() {
    // OpenFlow 1.3, EXT-187: id 5, flags INITIAL and OWN, any port, all tables; then the match.
    let request = |length: u16, matching: &[u8]| {
        let mut m = vec![4, 18, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 0, 0, 0];
        m.extend([0x4f, 0x4e, 0x46, 0, 0, 0, 0x07, 0x4e]);
        m.extend([0, 0, 0, 5, 0, 33]);
        m.extend(length.to_be_bytes());
        m.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]);
        m.extend(matching);
        m[3] = m.len() as u8;
        let (_, message) = decode(&m).expect("sound");
        let Message::MultipartRequest(Multipart { body: MultipartRequest::FlowMonitor(list), .. }) = message else {
            panic!("{message:?}");
        };
        // OWN asks for the requester's own changes in full, and doesn't hide others'.
        assert_eq!(list[0].flags, MonitorFlags::INITIAL | MonitorFlags::NO_ABBREV);
        list[0].matching.clone()
    };
    let arp = [0x80, 0, 10, 2, 8, 6];
    let expected = Match::any().with(FieldId::EthType, 0x806);
    assert_eq!(request(6, &[&arp[..], &[0; 2]].concat()), expected);
    assert_eq!(request(10, &[&[0, 1, 0, 10][..], &arp, &[0; 6]].concat()), expected);
    assert_eq!(request(4, &[0, 1, 0, 4, 0, 0, 0, 0]), Match::any());
    assert_eq!(request(0, &[]), Match::any());
}

/// In a select group weight 0 (never taken) is said, as the other weights are; elsewhere there is no weight.
#[test]
fn a_select_bucket_of_weight_0_says_so() {
    use crate::group::{Bucket, GroupMod, GroupModCommand, GroupType};
    use crate::ids::{BucketId, GroupId};
    for (ty, expected) in [(GroupType::Select, 8), (GroupType::All, 0)] {
        let m = Message::GroupMod(GroupMod {
            command: GroupModCommand::Add,
            ty,
            group: GroupId(1),
            command_bucket: BucketId::ALL,
            buckets: vec![Bucket { id: Some(BucketId(3)), ..Bucket::new(Vec::new()) }],
            properties: Vec::new(),
        });
        let bytes = encode(Version::V15, Xid(1), &m).unwrap();
        assert_eq!(usize::from(bytes[25]), 8 + expected, "bucket length");
        assert_eq!(bytes.len(), 24 + 8 + expected);
        assert_eq!(decode(&bytes).unwrap().1, m);
    }
}

/// A 1.5 bucket that says no weight has weight 1 in a select group, none elsewhere.
#[test]
fn a_select_bucket_without_a_weight_has_weight_1() {
    use crate::group::GroupType;
    for (code, ty, expected) in [(1, GroupType::Select, 1), (0, GroupType::All, 0)] {
        let bytes = [
            &[6, 15, 0, 32, 0, 0, 0, 1, 0, 0, code, 0, 0, 0, 0, 7, 0, 8, 0, 0][..],
            &[255; 4],
            &[0, 8, 0, 0, 0, 0, 0, 3],
        ]
        .concat();
        let Ok((_, Message::GroupMod(m))) = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
        assert_eq!((m.ty, m.buckets[0].weight), (ty, expected));
    }
}

#[test]
fn a_bucket_s_property_is_there_once() {
    let weight = [0, 0, 0, 8, 0, 5, 0, 0];
    let group = |weights: usize| {
        let props = weight.repeat(weights);
        let len = 8 + props.len() as u8;
        let head = [6, 15, 0, 24 + len, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 7, 0, len, 0, 0, 255, 255, 255, 255];
        [&head[..], &[0, len, 0, 0, 0, 0, 0, 3], &props].concat()
    };
    let Ok((_, Message::GroupMod(m))) = decode(&group(1)) else { panic!("{:?}", decode(&group(1))) };
    assert_eq!(m.buckets[0].weight, 5);
    let e = decode(&group(2)).expect_err("two weights");
    assert_eq!((e.kind, e.field), (ErrorKind::BadPropertyDupType, "property type"));
}

/// Open vSwitch reads instructions in `NXT_FLOW_MOD` after 1.0, actions in 1.0 alone.
#[test]
fn a_nicira_flow_mod_holds_what_the_version_s_flow_mods_hold() {
    use crate::action::Action;
    use crate::flow::FlowMod;
    use crate::ids::{PortNo, TableId};
    use crate::instruction::Instruction;
    use crate::nx_message::NxMessage;
    let apply = Instruction::ApplyActions(vec![Action::output(PortNo(2))]);
    let plain = FlowMod { instructions: vec![apply.clone()], ..FlowMod::default() };
    let more = FlowMod { instructions: vec![apply, Instruction::GotoTable(TableId(3))], ..FlowMod::default() };
    let encode = |version, m: &FlowMod| encode(version, Xid(1), &Message::Nicira(NxMessage::FlowMod(m.clone())));
    let written = encode(Version::V10, &plain).expect("an action list");
    assert_eq!(written[written.len() - 8..written.len() - 2], [0, 0, 0, 8, 0, 2], "the action");
    assert!(encode(Version::V10, &more).is_err());
    for version in [Version::V11, Version::V13, Version::V15] {
        let written = encode(version, &more).expect("instructions");
        assert_eq!(written[written.len() - 8..], [0, 1, 0, 8, 3, 0, 0, 0], "goto-table");
        assert_eq!(decode(&written).map(|(_, m)| m), Ok(Message::Nicira(NxMessage::FlowMod(more.clone()))));
    }
}
