//! Properties: type, length, body, padding to eight bytes (OpenFlow 1.4.1 §7.1.2, §7.2.1.2).

use super::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfError};
use crate::group::{ExperimenterProp, OtherProp, UnknownProp};
use crate::ids::ExperimenterId;
use bytes::Bytes;

/// `OFP*PT_EXPERIMENTER`
pub(super) const EXPERIMENTER: u16 = 0xffff;
/// The other experimenter slot of table features and asynchronous configuration.
const EXPERIMENTER_TWIN: u16 = 0xfffe;

/// Reads properties to the end of `r`. `one` gets the type and a reader of the body, without padding;
/// bytes it leaves are a length fault.
pub(super) fn decode<'a, T>(
    r: &mut Reader<'a>,
    bad_len: ErrorKind,
    mut one: impl FnMut(u16, &mut Reader<'a>) -> Result<T, OfError>,
) -> Result<Vec<T>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        let outer = r.set_short(bad_len);
        let at = r.offset();
        let ty = r.u16("property type")?;
        let length = usize::from(r.u16("property length")?);
        if length < 4 {
            return Err(OfError::at(
                bad_len,
                at + 2,
                "property length",
                format!("{length} is less than the header's 4"),
            ));
        }
        let mut body = r.sub(length - 4, "property length")?;
        list.push(one(ty, &mut body)?);
        if !body.is_empty() {
            let rest = body.remaining();
            return Err(body.error(bad_len, "property length", format!("{rest} bytes more than type {ty} has")));
        }
        r.skip(length.next_multiple_of(8) - length)?;
        r.set_short(outer);
    }
    Ok(list)
}

/// Reads a property that the caller's structure doesn't define.
pub(super) fn decode_other(ty: u16, body: &mut Reader<'_>) -> Result<OtherProp, OfError> {
    if ty == EXPERIMENTER || ty == EXPERIMENTER_TWIN {
        return Ok(OtherProp::Experimenter(ExperimenterProp {
            ty,
            experimenter: ExperimenterId(body.u32("experimenter")?),
            exp_type: body.u32("exp_type")?,
            data: Bytes::copy_from_slice(body.take_rest()),
        }));
    }
    Ok(OtherProp::Unknown(UnknownProp { ty, data: Bytes::copy_from_slice(body.take_rest()) }))
}

/// Writes one property: header, what `body` writes, padding.
pub(super) fn encode(
    w: &mut Writer,
    ty: u16,
    body: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(ty);
    w.u16(0);
    body(w)?;
    super::set_length(w, start + 2, start, "property")?;
    w.pad8(start);
    Ok(())
}

/// Writes a property that the model keeps as it came.
pub(super) fn encode_other(w: &mut Writer, prop: &OtherProp) -> Result<(), EncodeError> {
    match prop {
        OtherProp::Experimenter(p) => encode(w, p.ty, |w| {
            w.u32(p.experimenter.0);
            w.u32(p.exp_type);
            w.bytes(&p.data);
            Ok(())
        }),
        OtherProp::Unknown(p) => encode(w, p.ty, |w| {
            w.bytes(&p.data);
            Ok(())
        }),
    }
}

/// Reads properties of a structure that defines none itself.
pub(super) fn decode_others(r: &mut Reader<'_>) -> Result<Vec<OtherProp>, OfError> {
    decode(r, ErrorKind::BadPropertyBadLen, decode_other)
}

/// Writes them.
pub(super) fn encode_others(w: &mut Writer, props: &[OtherProp]) -> Result<(), EncodeError> {
    props.iter().try_for_each(|p| encode_other(w, p))
}
