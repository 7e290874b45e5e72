//! Match fields as OXM TLVs (OpenFlow 1.3.5 §7.2.3; Nicira's NXM classes share the form).
//!
//! A field's header form is looked up by class and number in tables built from
//! [`FIELDS`](crate::field::FIELDS) at compile time.

use super::fixed::{self, Say};
use super::{EncodeError, Reader, Writer, unsupported};
use crate::error::{ErrorKind, OfError};
use crate::field::{Code, FIELDS, FieldId, FieldInfo};
use crate::ids::ExperimenterId;
use crate::matching::{Match, MatchField, OxmId, UnknownField};
use crate::version::Version;
use bytes::Bytes;

const NXM_0: u16 = 0x0000;
const NXM_1: u16 = 0x0001;
const BASIC: u16 = 0x8000;
const PACKET_REGS: u16 = 0x8001;
const EXPERIMENTER: u16 = 0xffff;
/// Not classes on the wire: they tell [`table`] which experimenter's fields to list.
const ONF: u16 = 0xfffe;
const NSH: u16 = 0xfffd;
/// `OFPMT_OXM`
const MATCH_TYPE_OXM: u16 = 1;

type FieldTable = [Option<FieldId>; 128];

const fn table(class: u16) -> FieldTable {
    let mut table = [None; 128];
    let mut i = 0;
    while i < FIELDS.len() {
        let mut j = 0;
        while j < FIELDS[i].codes.len() {
            let number = match (FIELDS[i].codes[j], class) {
                (Code::Oxm(n), BASIC) | (Code::Nxm0(n), NXM_0) | (Code::Nxm1(n), NXM_1) => n as usize,
                (Code::PacketRegs(n), PACKET_REGS) => n as usize,
                (Code::Nsh(n), NSH) => n as usize,
                (Code::Onf(n), ONF) if n < 128 => n as usize,
                _ => 128,
            };
            if number < 128 {
                table[number] = Some(FIELDS[i].id);
            }
            j += 1;
        }
        i += 1;
    }
    table
}

const BASIC_FIELDS: FieldTable = table(BASIC);
static NXM_0_FIELDS: FieldTable = table(NXM_0);
static NXM_1_FIELDS: FieldTable = table(NXM_1);
static PACKET_REG_FIELDS: FieldTable = table(PACKET_REGS);
static ONF_FIELDS: FieldTable = table(ONF);
static NSH_FIELDS: FieldTable = table(NSH);

/// What [`decode_basic`] needs of a field of the basic class.
#[derive(Clone, Copy)]
struct BasicField {
    /// Bytes of a value; more than any TLV has where there is no such field.
    width: u8,
    since: Version,
    id: FieldId,
}

static BASIC_SHORT: [BasicField; 128] = {
    let mut short = [BasicField { width: u8::MAX, since: Version::V15, id: FieldId::InPort }; 128];
    let mut n = 0;
    while n < 128 {
        if let Some(id) = BASIC_FIELDS[n] {
            let info = &FIELDS[id as usize];
            // 1.0 and 1.1 have such TLVs in Nicira's structures only, and prefer Nicira's forms there.
            let since = if (info.since as u8) < Version::V12 as u8 { Version::V12 } else { info.since };
            short[n] = BasicField { width: info.bytes() as u8, since, id };
        }
        n += 1;
    }
    short
};

/// An ONF extension's number: below 128 it is the header's field number, above a 16-bit `exp_type`
/// after the experimenter id (the form of the early EXT-256).
const fn onf_has_exp_type(number: u16) -> bool {
    number >= 128
}

/// Whether `version` knows a field under this header form.
fn allowed(info: &FieldInfo, code: Code, version: Version) -> bool {
    match code {
        // 1.0 and 1.1 have TLVs in Nicira's structures only, where every form is known.
        Code::Oxm(_) | Code::PacketRegs(_) => version <= Version::V11 || version >= info.since,
        Code::Onf(_) => version >= Version::V12 && (version < info.since || version < Version::V14),
        Code::Nxm0(_) | Code::Nxm1(_) | Code::Nsh(_) => true,
    }
}

/// The header form that `version` writes a field in.
pub(super) fn preferred(info: &FieldInfo, version: Version) -> Option<Code> {
    let allowed = |code: &Code| allowed(info, *code, version);
    let nxm = |code: &Code| matches!(code, Code::Nxm0(_) | Code::Nxm1(_));
    if version <= Version::V11
        && let Some(code) = info.codes.iter().find(|code| nxm(code))
    {
        return Some(*code);
    }
    info.codes.iter().copied().find(allowed)
}

/// Bytes of a value under a header form.
const fn width(info: &FieldInfo, code: Code) -> usize {
    match code {
        Code::Nxm0(0) => 2,
        _ => info.bytes(),
    }
}

/// A TLV's header, with the experimenter's part where there is one.
struct Header {
    class: u16,
    field: u8,
    has_mask: bool,
    length: u8,
}

fn read_header(r: &mut Reader<'_>) -> Result<Header, OfError> {
    let word = r.u32("oxm_header")?;
    Ok(Header {
        class: (word >> 16) as u16,
        field: ((word >> 9) & 0x7f) as u8,
        has_mask: word & 0x100 != 0,
        length: word as u8,
    })
}

/// The field and header form that a header names. For an experimenter's, `body` is read past the id
/// (and `exp_type`) only if the field is known.
fn lookup(header: &Header, body: &mut Reader<'_>, version: Version) -> Option<(&'static FieldInfo, Code)> {
    let n = header.field;
    let (id, code) = match header.class {
        BASIC => (BASIC_FIELDS[usize::from(n & 0x7f)], Code::Oxm(n)),
        // Open vSwitch gave this number to two things: one byte is `mpls_ttl`, eight are its cookie filter.
        NXM_1 if n == 30 && header.length >= 8 => return None,
        NXM_1 => (NXM_1_FIELDS[usize::from(n & 0x7f)], Code::Nxm1(n)),
        NXM_0 => (NXM_0_FIELDS[usize::from(n & 0x7f)], Code::Nxm0(n)),
        PACKET_REGS => (PACKET_REG_FIELDS[usize::from(n & 0x7f)], Code::PacketRegs(n)),
        EXPERIMENTER => {
            let mut peek = body.clone();
            let n_index = usize::from(n & 0x7f);
            let (id, code) = match ExperimenterId(peek.u32("oxm experimenter").ok()?) {
                ExperimenterId::ONF if n == 0 => {
                    let code = Code::Onf(peek.u16("exp_type").ok()?);
                    (FieldId::by_code(code), code)
                }
                ExperimenterId::ONF => (ONF_FIELDS[n_index], Code::Onf(u16::from(n))),
                ExperimenterId::NSH => (NSH_FIELDS[n_index], Code::Nsh(n)),
                _ => return None,
            };
            if !allowed(id?.info(), code, version) {
                return None;
            }
            *body = peek;
            (id, code)
        }
        _ => return None,
    };
    let info = id?.info();
    allowed(info, code, version).then_some((info, code))
}

/// What a TLV holds.
pub(super) enum Tlv {
    Known(MatchField),
    Unknown(UnknownField),
}

/// Reads one TLV. `bad_len` is what its enclosing structure answers a wrong length with.
pub(super) fn decode_tlv(r: &mut Reader<'_>, version: Version, bad_len: ErrorKind) -> Result<Tlv, OfError> {
    let at = r.offset();
    let header = read_header(r)?;
    let mut body = r.sub(usize::from(header.length), "oxm_length")?;
    let Some((info, code)) = lookup(&header, &mut body, version) else {
        let experimenter = if header.class == EXPERIMENTER {
            body.set_short(bad_len);
            Some(ExperimenterId(body.u32("oxm experimenter")?))
        } else {
            None
        };
        return Ok(Tlv::Unknown(UnknownField {
            class: header.class,
            field: header.field,
            has_mask: header.has_mask,
            experimenter,
            payload: Bytes::copy_from_slice(body.take_rest()),
        }));
    };
    let width = width(info, code);
    let expected = if header.has_mask { 2 * width } else { width };
    if body.remaining() != expected {
        let got = body.remaining();
        return Err(OfError::at(
            bad_len,
            at,
            info.name,
            format!("oxm_length leaves {got} bytes for the value, {expected} are needed"),
        ));
    }
    let mut value = body.uint(width, info.name)?;
    let mut mask = if header.has_mask { Some(body.uint(width, info.name)?) } else { None };
    if code == Code::Nxm0(0) {
        value = widen_port(value);
        mask = mask.map(|m| if m == 0xffff { 0xffff_ffff } else { m });
    }
    let canonical = preferred(info, version) == Some(code);
    Ok(Tlv::Known(MatchField { id: info.id, value, mask, code: if canonical { None } else { Some(code) } }))
}

/// The short way for what nearly every TLV is: a sound one of a field of the basic class, whose own
/// header form that is. `None`, with nothing read, for all else; [`decode_tlv`] then says what it is.
#[inline]
fn decode_basic(r: &mut Reader<'_>, version: Version) -> Option<MatchField> {
    let tlv = r.rest();
    let &[0x80, 0x00, field, length, ..] = tlv else { return None };
    let BasicField { width, since, id } = BASIC_SHORT[usize::from(field >> 1)];
    let has_mask = field & 1 != 0;
    if version < since || usize::from(length) != usize::from(width) << u8::from(has_mask) {
        return None;
    }
    let (width, end) = (usize::from(width), 4 + usize::from(length));
    let value = number_before(tlv, 4 + width, width)?;
    let mask = if has_mask { Some(number_before(tlv, end, width)?) } else { None };
    r.skip(end).ok()?;
    Some(MatchField { id, value, mask, code: None })
}

/// The number of `width` bytes that ends at `end` of a TLV. Read together with what stands before it, of
/// which a TLV's header alone has four bytes, so that the widths of nearly all fields need no case each.
#[inline]
fn number_before(tlv: &[u8], end: usize, width: usize) -> Option<u128> {
    let read = tlv.get(..end)?;
    Some(match width {
        1..=4 => u128::from(u32::from_be_bytes(*read.last_chunk()?) & u32::MAX >> (32 - 8 * width)),
        5..=8 => u128::from(u64::from_be_bytes(*read.last_chunk()?) & u64::MAX >> (64 - 8 * width)),
        16 => u128::from_be_bytes(*read.last_chunk()?),
        _ => return None,
    })
}

/// A 16-bit port number in the 32-bit form: the reserved ones move to the end of the range.
pub(super) const fn widen_port(port: u128) -> u128 {
    if port >= 0xff00 { port + 0xffff_0000 } else { port }
}

/// Reads TLVs to the end of `r`.
#[inline]
pub(super) fn decode_fields(r: &mut Reader<'_>, version: Version) -> Result<Match, OfError> {
    let mut matching = Match::any();
    fields_into(&mut matching, r, version)?;
    Ok(matching)
}

/// As [`decode_fields`], into a match that is empty. What is written where it stays needn't be moved through
/// each caller's result.
fn fields_into(matching: &mut Match, r: &mut Reader<'_>, version: Version) -> Result<(), OfError> {
    // Few TLVs have less than six bytes; a match of many that do grows once.
    matching.fields.reserve_exact(r.remaining().div_ceil(6));
    while !r.is_empty() {
        if let Some(field) = decode_basic(r, version) {
            matching.fields.push(field);
            continue;
        }
        match decode_tlv(r, version, ErrorKind::BadMatchBadLen)? {
            Tlv::Known(field) => matching.fields.push(field),
            Tlv::Unknown(field) => matching.unknown.push((matching.fields.len(), field)),
        }
    }
    Ok(())
}

/// Reads an `ofp_match`, with its padding; 1.0's and 1.1's are fixed.
#[inline]
pub(super) fn decode_match(r: &mut Reader<'_>, version: Version) -> Result<Match, OfError> {
    let mut matching = Match::any();
    match_into(&mut matching, r, version)?;
    Ok(matching)
}

/// As [`decode_match`], into a match that is empty.
pub(super) fn match_into(matching: &mut Match, r: &mut Reader<'_>, version: Version) -> Result<(), OfError> {
    if version <= Version::V11 {
        *matching = fixed::decode(r, version)?;
        return Ok(());
    }
    let outer = r.set_short(ErrorKind::BadMatchBadLen);
    let at = r.offset();
    let ty = r.u16("match type")?;
    if ty != MATCH_TYPE_OXM {
        return Err(OfError::at(ErrorKind::BadMatchBadType, at, "match type", format!("{ty} is not OFPMT_OXM")));
    }
    let length = usize::from(r.u16("match length")?);
    if length < 4 {
        return Err(OfError::at(ErrorKind::BadMatchBadLen, at + 2, "match length", format!("{length} is less than 4")));
    }
    let mut fields = r.sub(length - 4, "match length")?;
    fields_into(matching, &mut fields, version)?;
    r.skip(length.next_multiple_of(8) - length)?;
    r.set_short(outer);
    Ok(())
}

/// Writes what a report says of a flow's match: 1.0 and 1.1 leave out fields that they lack.
pub(super) fn report_match(w: &mut Writer, version: Version, matching: &Match) -> Result<(), EncodeError> {
    match version {
        Version::V10 | Version::V11 => fixed::encode(w, version, matching, Say::Possible),
        _ => encode_match(w, version, matching),
    }
}

/// Writes an `ofp_match`, with its padding; 1.0's and 1.1's are fixed.
pub(super) fn encode_match(w: &mut Writer, version: Version, matching: &Match) -> Result<(), EncodeError> {
    if version <= Version::V11 {
        return fixed::encode(w, version, matching, Say::All);
    }
    let start = w.len();
    w.u16(MATCH_TYPE_OXM);
    w.u16(0);
    encode_fields(w, version, matching)?;
    super::set_length(w, start + 2, start, "match")?;
    w.pad8(start);
    Ok(())
}

/// Writes a match's TLVs, unknown ones in their places.
pub(super) fn encode_fields(w: &mut Writer, version: Version, matching: &Match) -> Result<(), EncodeError> {
    let mut unknown = matching.unknown.iter().peekable();
    for (i, field) in matching.fields.iter().enumerate() {
        while let Some((_, u)) = unknown.next_if(|(at, _)| *at <= i) {
            encode_unknown(w, u)?;
        }
        encode_field(w, version, field)?;
    }
    unknown.try_for_each(|(_, u)| encode_unknown(w, u))
}

/// Writes one field's TLV.
pub(super) fn encode_field(w: &mut Writer, version: Version, field: &MatchField) -> Result<(), EncodeError> {
    let info = field.id.info();
    let code = match field.code {
        Some(code) if allowed(info, code, version) => code,
        _ => preferred(info, version).ok_or_else(|| unsupported(version, info.name))?,
    };
    let width = width(info, code);
    put_header(w, code, field.mask.is_some(), if field.mask.is_some() { 2 * width } else { width });
    put_value(w, info, width, field.value)?;
    if let Some(mask) = field.mask {
        put_value(w, info, width, mask)?;
    }
    Ok(())
}

fn put_value(w: &mut Writer, info: &FieldInfo, width: usize, value: u128) -> Result<(), EncodeError> {
    if width == 2 && info.id == FieldId::InPort {
        // NXM_OF_IN_PORT
        let fits = value < 0xff00 || (0xffff_ff00..=0xffff_ffff).contains(&value);
        if !fits {
            return Err(EncodeError::OutOfRange { what: info.name, value });
        }
    } else if width < 16 && value >> (8 * width) != 0 {
        return Err(EncodeError::OutOfRange { what: info.name, value });
    }
    w.uint(value, width);
    Ok(())
}

/// Writes a TLV's header (and experimenter part) for a payload of `payload` bytes.
fn put_header(w: &mut Writer, code: Code, has_mask: bool, payload: usize) {
    let (class, field, experimenter) = match code {
        Code::Oxm(n) => (BASIC, n, None),
        Code::Nxm0(n) => (NXM_0, n, None),
        Code::Nxm1(n) => (NXM_1, n, None),
        Code::PacketRegs(n) => (PACKET_REGS, n, None),
        Code::Onf(n) if onf_has_exp_type(n) => (EXPERIMENTER, 0, Some((ExperimenterId::ONF, Some(n)))),
        Code::Onf(n) => (EXPERIMENTER, n as u8, Some((ExperimenterId::ONF, None))),
        Code::Nsh(n) => (EXPERIMENTER, n, Some((ExperimenterId::NSH, None))),
    };
    let extra = match experimenter {
        None => 0,
        Some((_, None)) => 4,
        Some((_, Some(_))) => 6,
    };
    w.u16(class);
    w.u8((field << 1) | u8::from(has_mask));
    // The widest known field is 16 bytes with a mask of as many, so this fits.
    w.u8((payload + extra) as u8);
    if let Some((id, exp_type)) = experimenter {
        w.u32(id.0);
        if let Some(n) = exp_type {
            w.u16(n);
        }
    }
}

/// Writes a TLV as it came.
pub(super) fn encode_unknown(w: &mut Writer, u: &UnknownField) -> Result<(), EncodeError> {
    let length = u.payload.len() + if u.experimenter.is_some() { 4 } else { 0 };
    let Ok(short) = u8::try_from(length) else {
        return Err(EncodeError::TooLong { what: "oxm payload", len: length, max: 255 });
    };
    put_unknown_header(w, u, short);
    w.bytes(&u.payload);
    Ok(())
}

fn put_unknown_header(w: &mut Writer, u: &UnknownField, length: u8) {
    w.u16(u.class);
    w.u8((u.field << 1) | u8::from(u.has_mask));
    w.u8(length);
    if let Some(id) = u.experimenter {
        w.u32(id.0);
    }
}

/// Reads an OXM id: a header without its value, with the experimenter's part.
pub(super) fn decode_id(r: &mut Reader<'_>, version: Version) -> Result<OxmId, OfError> {
    let header = read_header(r)?;
    if let Some((info, code)) = lookup(&header, r, version) {
        let own = own_length(info, code);
        return Ok(OxmId {
            field: Ok(info.id),
            has_mask: header.has_mask,
            // Nicira's in_port has another width, which offsets beside it count on: it is never left unsaid.
            code: if preferred(info, version) == Some(code) && code != Code::Nxm0(0) { None } else { Some(code) },
            length: if usize::from(header.length) == own { None } else { Some(header.length) },
        });
    }
    let experimenter =
        if header.class == EXPERIMENTER { Some(ExperimenterId(r.u32("oxm experimenter")?)) } else { None };
    Ok(OxmId {
        field: Err(UnknownField {
            class: header.class,
            field: header.field,
            has_mask: header.has_mask,
            experimenter,
            payload: Bytes::new(),
        }),
        has_mask: header.has_mask,
        code: None,
        length: Some(header.length),
    })
}

/// `oxm_length` of a field's id: that of its value, not doubled for a mask (OpenFlow 1.3.5 §7.3.5.5.2).
fn own_length(info: &FieldInfo, code: Code) -> usize {
    width(info, code)
        + match code {
            Code::Onf(n) if onf_has_exp_type(n) => 6,
            Code::Onf(_) | Code::Nsh(_) => 4,
            _ => 0,
        }
}

/// Writes an OXM id.
pub(super) fn encode_id(w: &mut Writer, version: Version, id: &OxmId) -> Result<(), EncodeError> {
    match &id.field {
        Ok(field) => {
            let info = field.info();
            let code = match id.code {
                Some(code) if allowed(info, code, version) => code,
                _ => preferred(info, version).ok_or_else(|| unsupported(version, info.name))?,
            };
            let at = w.len();
            put_header(w, code, id.has_mask, width(info, code));
            if let Some(length) = id.length {
                w.patch_u8(at + 3, length);
            }
        }
        Err(u) => put_unknown_header(w, &UnknownField { has_mask: id.has_mask, ..u.clone() }, id.length.unwrap_or(0)),
    }
    Ok(())
}

/// Reads OXM ids to the end of `r`.
pub(super) fn decode_ids(r: &mut Reader<'_>, version: Version) -> Result<Vec<OxmId>, OfError> {
    let mut ids = Vec::with_capacity(r.remaining() / 4);
    while !r.is_empty() {
        ids.push(decode_id(r, version)?);
    }
    Ok(ids)
}
