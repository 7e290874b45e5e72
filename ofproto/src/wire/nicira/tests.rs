//! What is written is read again, and what is broken is refused.

use crate::action::Action;
use crate::error::{ErrorKind, OfError};
use crate::flow::FlowMod;
use crate::ids::{TableId, Xid};
use crate::instruction::Instruction;
use crate::matching::OxmId;
use crate::message::Message;
use crate::nicira::{NxAction, Subfield};
use crate::text::property_tests::flow_mod;
use crate::version::Version;
use crate::wire::{self, Reader, Writer, action};
use proptest::prelude::*;

fn mod_of(actions: Vec<Action>) -> Message {
    Message::FlowMod(FlowMod { instructions: vec![Instruction::ApplyActions(actions)], ..FlowMod::default() })
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).expect("hex"), 16).expect("hex")).collect()
}

/// An action after its type, length and vendor, as 1.0 carries it.
fn read(body: &str) -> Result<Action, OfError> {
    let body = hex(body);
    let mut bytes = vec![0xff, 0xff, 0, 8 + body.len() as u8, 0, 0, 0x23, 0x20];
    bytes.extend(body);
    let mut r = Reader::new(&bytes);
    let list = action::decode_list(&mut r, Version::V10)?;
    let mut w = Writer::new();
    action::encode_list(&mut w, Version::V10, &list).expect("sayable");
    assert_eq!(w.as_slice(), bytes, "{list:?}");
    Ok(list.into_iter().next().expect("one"))
}

#[test]
fn layouts_are_open_vswitch_s() {
    use crate::field::FieldId as F;
    let reg = |id, offset, n_bits| Subfield { field: OxmId::of(id), offset, n_bits };
    let nx = |text| match read(text) {
        Ok(Action::Nicira(nx)) => nx,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        nx("000e fff8 05 000000"),
        NxAction::Resubmit { in_port: crate::ids::PortNo::IN_PORT, table: Some(TableId(5)), ct: false }
    );
    assert_eq!(
        nx("0007 011f 00010004 0000000012345678"),
        NxAction::RegLoad { dst: reg(F::Reg0, 4, 32), value: 0x1234_5678 }
    );
    assert_eq!(nx("001b 0008 00010204 0010 000000000000"), NxAction::StackPush(reg(F::Reg1, 8, 16)));
    assert_eq!(nx("0022 01 03 000000ff"), NxAction::Conjunction { clause: 1, n_clauses: 3, id: 255 });
    assert_eq!(nx("0027 0007 00000064"), NxAction::OutputTrunc { port: crate::ids::PortNo(7), max_len: 100 });
    assert_eq!(
        nx("0031 05dc 0000 00010004 00000000 0000"),
        NxAction::CheckPktLarger { pkt_len: 1500, dst: reg(F::Reg0, 0, 1) }
    );
}

#[test]
fn a_subtype_not_known_survives() {
    let action = read("7fff 0102 0304 0506").expect("sound");
    assert!(matches!(action, Action::Nicira(NxAction::Unknown { subtype: 0x7fff, .. })));
}

#[test]
fn wrong_lengths_and_reserved_bits_are_refused() {
    let kind = |text| read(text).expect_err("refused").kind;
    assert_eq!(kind("0011 000000000000 0000000000000000"), ErrorKind::BadActionBadLen);
    assert_eq!(kind("0007 001f 00010004 0000"), ErrorKind::BadActionBadLen);
    assert_eq!(kind("0024 0000 0001 0040"), ErrorKind::BadActionBadArgument);
    let learn = "0010 0000 0000 8000 0000000000000000 0000 01 00 0000 0000";
    assert_eq!(kind(&format!("{learn} 5830 0000 0000 0000")), ErrorKind::BadActionBadArgument);
}

#[test]
fn actions_in_actions_end_somewhere() {
    let clone = |inner| vec![Action::Nicira(NxAction::Clone(inner))];
    let deep = |n| (0..n).fold(Vec::new(), |inner, _| clone(inner));
    for version in Version::ALL {
        let bytes = |n| wire::encode(version, Xid(1), &mod_of(deep(n))).expect("sayable");
        let deepest = bytes(16);
        assert!(wire::decode(&deepest).is_ok());
        assert!(wire::encode(version, Xid(1), &mod_of(deep(18))).is_err());
        // Clones all the way down: the innermost one becomes the header of the next level again and again.
        let at = deepest.windows(10).position(|w| w[..2] == [0xff; 2] && w[8..] == [0, 42]).expect("a clone");
        let levels = 3000;
        let mut bytes = deepest[..at].to_vec();
        for level in 0..levels {
            let len = ((levels - level) * 16) as u16;
            bytes.extend([0xff, 0xff]);
            bytes.extend(len.to_be_bytes());
            bytes.extend([0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0]);
        }
        let total = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        if version > Version::V10 {
            let instruction = at - 8;
            bytes[instruction + 2..instruction + 4].copy_from_slice(&((levels * 16 + 8) as u16).to_be_bytes());
        }
        let e = wire::decode(&bytes).expect_err("too deep");
        assert_eq!(e.kind, ErrorKind::BadActionBadArgument, "{version}: {e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Everything that the flow syntax can say in a version is said on the wire and comes back, or
    /// is refused by name. Learnt constants have one form on the wire, so bytes are compared.
    #[test]
    fn flow_mods_of_the_syntax_survive((version, m) in flow_mod()) {
        let message = Message::FlowMod(m);
        if let Ok(bytes) = wire::encode(version, Xid(7), &message) {
            let (_, again) = wire::decode(&bytes).map_err(|e| TestCaseError::fail(format!("{e}: {message:?}")))?;
            prop_assert_eq!(wire::encode(version, Xid(7), &again).expect("was"), bytes, "{:?} {:?}", message, again);
        }
    }
}

/// Where a layout has four bytes for a field, one that needs an experimenter's header of eight is refused, both ways.
#[test]
fn four_bytes_hold_no_experimenter_s_field() {
    use crate::field::FieldId as F;
    let src = Subfield { field: OxmId::of(F::NshSpi), offset: 0, n_bits: 16 };
    let actions = [
        NxAction::RegLoad { dst: src.clone(), value: 1 },
        NxAction::OutputReg { src: src.clone(), max_len: 1, v2: false },
        NxAction::Multipath { fields: 0, basis: 0, algorithm: 0, max_link: 1, arg: 0, dst: src.clone() },
        NxAction::Bundle { algorithm: 0, fields: 0, basis: 0, slave_type: 2, members: vec![], dst: Some(src.clone()) },
        NxAction::Ct { flags: 0, zone: Err(src.clone()), recirc_table: TableId::ALL, alg: 0, actions: vec![] },
    ];
    for nx in actions {
        let written = action::encode_list(&mut Writer::new(), Version::V13, &[Action::Nicira(nx.clone())]);
        assert!(matches!(written, Err(wire::EncodeError::Unsupported { .. })), "{nx:?}: {written:?}");
    }
    // The later layout has room.
    let action = Action::Nicira(NxAction::OutputReg { src, max_len: 1, v2: true });
    let mut w = Writer::new();
    action::encode_list(&mut w, Version::V13, std::slice::from_ref(&action)).expect("sayable");
    assert_eq!(action::decode_list(&mut Reader::new(w.as_slice()), Version::V13), Ok(vec![action]));
    let header = "ffff0804 005ad650";
    for body in [
        format!("0007 000f {header} 00000001"),
        format!("000a 0000 0000 0000 0000 0001 00000000 0000 000f {header} 00000000"),
        format!("000d 0000 0000 0000 00000002 0000 000f {header} 00000000 00000000"),
        format!("000f 000f {header} 0001 0000"),
        format!("0023 0000 {header} 000f ff 000000 0000 00000000"),
    ] {
        let e = read(&body).unwrap_err();
        assert_eq!((e.kind, e.field), (ErrorKind::BadActionBadSetType, "oxm_header"), "{body}: {e:?}");
    }
}
