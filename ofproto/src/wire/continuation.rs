//! The inside of a continuation: opaque to controllers, properties to us. Where Open vSwitch has a property
//! of the same meaning its number and form are used, so that its tools can show them.

use super::{EncodeError, Reader, Writer, action, instruction, property, unsupported};
use crate::action::Action;
use crate::continuation::{Continuation, Ending, MAX_PARTS, MAX_STACK, Part};
use crate::error::{ErrorKind, OfError};
use crate::ids::{Cookie, QueueId, TableId};
use crate::instruction::Instruction;
use crate::version::Version;
use bytes::Bytes;

/// `NXCPT_BRIDGE`: 16 bytes.
const BRIDGE: u16 = 0x8000;
/// `NXCPT_STACK`: one value, the topmost first.
const STACK: u16 = 0x8001;
/// `NXCPT_TABLE_ID`
const TABLE_ID: u16 = 0x8004;
/// `NXCPT_COOKIE`
const COOKIE: u16 = 0x8005;
/// One part: version, flags, two zeros, instructions (1.0: actions). Table and cookie are the last ones named.
const PART: u16 = 0x9000;
/// One action of the set: version, three zeros, the action.
const SET: u16 = 0x9001;
/// Ending, whether a queue is set, two zeros, the queue.
const STATE: u16 = 0x9002;

/// What the first half of [`BRIDGE`] holds, to tell our continuations from others'.
const MARK: u64 = u64::from_be_bytes(*b"switchd\0");

const NESTED: u8 = 1;
const TABLE_MISS: u8 = 2;

/// Writes a continuation as the property of a packet-in holds it.
///
/// # Errors
/// Longer than a message can be, or an action that its version can't say.
pub fn encode_continuation(c: &Continuation) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    // A nested property: what is in it begins at the next multiple of eight.
    w.zeros(4);
    // Properties align to where the outermost begins.
    let mut inner = Writer::new();
    property::encode(&mut inner, BRIDGE, |w| {
        w.u64(MARK);
        w.u64(c.bridge);
        Ok(())
    })?;
    property::encode(&mut inner, STATE, |w| {
        w.u8(c.ending as u8);
        w.u8(u8::from(c.queue.is_some()));
        w.zeros(2);
        w.u32(c.queue.map_or(0, |q| q.0));
        Ok(())
    })?;
    for value in c.stack.iter().rev() {
        let bytes = value.to_be_bytes();
        let used = bytes.iter().position(|b| *b != 0).unwrap_or(15);
        property::encode(&mut inner, STACK, |w| {
            w.bytes(&bytes[used..]);
            Ok(())
        })?;
    }
    for p in &c.parts {
        property::encode(&mut inner, TABLE_ID, |w| {
            w.u8(p.table.0);
            Ok(())
        })?;
        property::encode(&mut inner, COOKIE, |w| {
            w.zeros(4);
            w.u64(p.cookie.0);
            Ok(())
        })?;
        property::encode(&mut inner, PART, |w| {
            w.u8(p.version.wire());
            w.u8(if p.nested { NESTED } else { 0 } | if p.table_miss { TABLE_MISS } else { 0 });
            w.zeros(2);
            if p.version > Version::V10 {
                return instruction::encode_list(w, p.version, &p.instructions);
            }
            p.instructions.iter().try_for_each(|i| match i {
                Instruction::ApplyActions(actions) => action::encode_list(w, p.version, actions),
                _ => Err(unsupported(p.version, "an instruction")),
            })
        })?;
    }
    for (version, a) in &c.set {
        property::encode(&mut inner, SET, |w| {
            w.u8(version.wire());
            w.zeros(3);
            action::encode(w, *version, a)
        })?;
    }
    w.bytes(inner.as_slice());
    Ok(w.into_vec().into())
}

fn version(r: &mut Reader<'_>) -> Result<Version, OfError> {
    let n = r.u8("version")?;
    Version::from_wire(n).ok_or_else(|| r.error(ErrorKind::BadPropertyBadValue, "version", format!("{n:#04x}")))
}

/// Reads a continuation that [`encode_continuation`] wrote.
///
/// # Errors
/// `NXR_STALE` for one that isn't ours, `OFPBPC_*` for one that isn't sound, `OFPBAC_*` and `OFPBIC_*` for
/// what its actions and instructions lack.
pub fn decode_continuation(bytes: &[u8]) -> Result<Continuation, OfError> {
    let mut r = Reader::new(bytes).with_short(ErrorKind::BadPropertyBadLen);
    r.skip(4)?;
    let mut c = Continuation::default();
    let mut ours = false;
    let (mut table, mut cookie) = (TableId(0), Cookie(0));
    property::decode(&mut r, ErrorKind::BadPropertyBadLen, |ty, body| {
        match ty {
            BRIDGE => {
                ours = body.u64("bridge")? == MARK;
                c.bridge = body.u64("bridge")?;
            }
            STATE => {
                let ending = body.u8("ending")?;
                c.ending = match ending {
                    0 => Ending::ActionSet,
                    1 => Ending::Nothing,
                    2 => Ending::Egress,
                    n => return Err(body.error(ErrorKind::BadPropertyBadValue, "ending", format!("{n} is none"))),
                };
                let has_queue = body.u8("queue")? != 0;
                body.skip(2)?;
                let queue = QueueId(body.u32("queue")?);
                c.queue = has_queue.then_some(queue);
            }
            STACK => {
                let n = body.remaining();
                if n > 16 {
                    return Err(body.error(
                        ErrorKind::BadPropertyBadLen,
                        "stack",
                        format!("{n} bytes, 16 are the most"),
                    ));
                }
                if c.stack.len() == MAX_STACK {
                    let why = format!("{MAX_STACK} values are the most");
                    return Err(body.error(ErrorKind::BadPropertyTooMany, "stack", why));
                }
                c.stack.push(body.uint(n, "stack")?);
            }
            TABLE_ID => table = TableId(body.u8("table_id")?),
            COOKIE => {
                body.skip(4)?;
                cookie = Cookie(body.u64("cookie")?);
            }
            PART => {
                if c.parts.len() == MAX_PARTS {
                    let why = format!("{MAX_PARTS} parts are the most");
                    return Err(body.error(ErrorKind::BadPropertyTooMany, "actions", why));
                }
                let version = version(body)?;
                let flags = body.u8("flags")?;
                body.skip(2)?;
                let instructions = if version > Version::V10 {
                    instruction::decode_list(body, version)?
                } else {
                    vec![Instruction::ApplyActions(action::decode_list(body, version)?)]
                };
                let (nested, table_miss) = (flags & NESTED != 0, flags & TABLE_MISS != 0);
                c.parts.push(Part { table, cookie, version, nested, table_miss, instructions });
            }
            SET => {
                let version = version(body)?;
                body.skip(3)?;
                let a: Action = action::decode(body, version)?;
                c.set.push((version, a));
            }
            _ => return Err(body.error(ErrorKind::BadPropertyBadType, "continuation", format!("{ty:#06x} is none"))),
        }
        Ok(())
    })?;
    if !ours {
        return Err(OfError::new(ErrorKind::NxResumeStale, "continuation", "this switch made no such continuation"));
    }
    c.stack.reverse();
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PortNo;
    use crate::matching::MatchField;
    use crate::nicira::NxAction;

    fn sample() -> Continuation {
        let nx = |a| Action::Nicira(a);
        Continuation {
            bridge: 0x1234,
            stack: vec![1, 0, u128::MAX, 0x1_0000_0000],
            queue: Some(QueueId(7)),
            parts: vec![
                Part {
                    table: TableId(3),
                    cookie: Cookie(0xabcd),
                    version: Version::V10,
                    nested: true,
                    table_miss: false,
                    instructions: vec![Instruction::ApplyActions(vec![
                        Action::SetVlanVid(5),
                        Action::output(PortNo(2)),
                        nx(NxAction::Exit),
                    ])],
                },
                Part {
                    table: TableId::ALL,
                    cookie: Cookie(u64::MAX),
                    version: Version::V13,
                    nested: false,
                    table_miss: true,
                    instructions: vec![
                        Instruction::ClearActions,
                        Instruction::WriteActions(vec![Action::output(PortNo(9))]),
                        Instruction::GotoTable(TableId(4)),
                    ],
                },
            ],
            set: vec![
                (Version::V11, Action::SetTpSrc(80)),
                (Version::V15, Action::SetField(MatchField::exact(crate::field::FieldId::EthDst, 5))),
            ],
            ending: Ending::Egress,
            waits: 0,
        }
    }

    #[test]
    fn continuations_come_back() {
        let bytes = encode_continuation(&sample()).unwrap();
        assert_eq!(bytes.len() % 8, 4);
        assert_eq!(decode_continuation(&bytes).unwrap(), sample());
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_a_continuation_or_an_error() {
        let bytes = encode_continuation(&sample()).unwrap();
        for n in 0..bytes.len() {
            assert!(decode_continuation(&bytes[..n]).is_err() || n >= 4 + 24, "cut at {n}");
        }
        for i in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[i] ^= flip;
                let _ = decode_continuation(&changed);
            }
        }
        let mut strange = bytes.to_vec();
        strange[8] ^= 1;
        assert_eq!(decode_continuation(&strange).unwrap_err().kind, ErrorKind::NxResumeStale);
        assert_eq!(decode_continuation(&[0; 4]).unwrap_err().kind, ErrorKind::NxResumeStale);
        assert_eq!(decode_continuation(&[0; 3]).unwrap_err().kind, ErrorKind::BadPropertyBadLen);
        assert_eq!(
            decode_continuation(&[
                0, 0, 0, 0, 0x80, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
            ])
            .unwrap_err()
            .kind,
            ErrorKind::BadPropertyBadLen
        );
    }
}
