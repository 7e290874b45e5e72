//! Bundles and request-forward (OpenFlow 1.4.1 §7.3.9, §7.4.6; 1.5.1 §7.3.9, §7.4.6). 1.3's extension EXT-230 has
//! the same bodies inside ONF experimenter messages.

use super::{EncodeError, HEADER_LEN, Header, Reader, Writer, codes, message, over, property, require};
use crate::bundle::{BundleAdd, BundleCtrl, BundleFeatures, BundleFeaturesProp, BundleFlags, BundleProp, OfTime};
use crate::error::{ErrorKind, OfError};
use crate::ids::{BundleId, Xid};
use crate::message::{Message, RequestForward};
use crate::version::Version;

/// `OFPBPT_TIME`
const TIME: u16 = 1;
/// `OFPTMPBF_TIME_CAPABILITY`
const TIME_CAPABILITY: u16 = 1;

fn decode_time(r: &mut Reader<'_>) -> Result<OfTime, OfError> {
    let time = OfTime { seconds: r.u64("seconds")?, nanoseconds: r.u32("nanoseconds")? };
    r.skip(4)?;
    Ok(time)
}

fn encode_time(w: &mut Writer, time: &OfTime) {
    w.u64(time.seconds);
    w.u32(time.nanoseconds);
    w.zeros(4);
}

fn decode_props(r: &mut Reader<'_>, version: Version) -> Result<Vec<BundleProp>, OfError> {
    property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| {
        if ty == TIME && version >= Version::V15 {
            body.skip(4)?;
            return Ok(BundleProp::Time(decode_time(body)?));
        }
        Ok(BundleProp::Other(property::decode_other(ty, body)?))
    })
}

fn encode_props(w: &mut Writer, version: Version, props: &[BundleProp]) -> Result<(), EncodeError> {
    for prop in props {
        match prop {
            BundleProp::Time(time) => {
                require(version >= Version::V15, version, "OFPBPT_TIME")?;
                property::encode(w, TIME, |w| {
                    w.zeros(4);
                    encode_time(w, time);
                    Ok(())
                })?;
            }
            BundleProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    Ok(())
}

/// Reads the body of `OFPT_BUNDLE_CONTROL`.
pub(super) fn decode_control(r: &mut Reader<'_>, version: Version) -> Result<BundleCtrl, OfError> {
    Ok(BundleCtrl {
        bundle: BundleId(r.u32("bundle_id")?),
        ty: codes::bundle_ctrl_type(r.u16("type")?),
        flags: BundleFlags::from_bits_retain(r.u16("flags")?),
        properties: decode_props(r, version)?,
    })
}

/// Writes it.
pub(super) fn encode_control(w: &mut Writer, version: Version, m: &BundleCtrl) -> Result<(), EncodeError> {
    w.u32(m.bundle.0);
    w.u16(codes::bundle_ctrl_type_code(m.ty));
    w.u16(m.flags.bits());
    encode_props(w, version, &m.properties)
}

/// Where the body of `OFPT_BUNDLE_ADD_MESSAGE` holds the message.
const INNER_AT: usize = 8;

/// Cuts a message out that is inside another one: its header, and its body to read. It must be of the same version.
fn cut_inner<'a>(r: &mut Reader<'a>, version: Version, bad_len: ErrorKind) -> Result<(Header, Reader<'a>), OfError> {
    let at = r.offset();
    let header = Header::decode(r.rest()).map_err(|e| OfError { kind: bad_len, offset: Some(at), ..e })?;
    if header.version != version.wire() {
        return Err(OfError::at(
            ErrorKind::BadRequestBadVersion,
            at,
            "inner version",
            format!("{:#04x} inside a message of {:#04x}", header.version, version.wire()),
        ));
    }
    let length = usize::from(header.length);
    if length < HEADER_LEN || length > r.remaining() {
        return Err(OfError::at(bad_len, at + 2, "inner length", format!("{length} of {} bytes", r.remaining())));
    }
    let mut inner = r.sub(length, "inner message")?.with_short(ErrorKind::BadRequestBadLen);
    inner.skip(HEADER_LEN)?;
    Ok((header, inner))
}

/// Reads the body of a message inside another one, which holds no message itself, over an earlier message.
fn inner_over(
    message: &mut Message,
    header: &Header,
    mut body: Reader<'_>,
    version: Version,
    bad_len: ErrorKind,
) -> Result<(), OfError> {
    over::body(message, version, header.ty, &mut body, message::Nesting::Inner)?;
    if !body.is_empty() {
        return Err(body.error(bad_len, "inner length", "longer than the message"));
    }
    Ok(())
}

/// The message inside a whole `OFPT_BUNDLE_ADD_MESSAGE` as it came, and where it begins; `None` of another message.
pub fn bundled(message: &[u8]) -> Option<(usize, &[u8])> {
    let header = Header::decode(message).ok()?;
    let body = message::bundle_add_body(&header, message)?;
    let at = body + INNER_AT;
    let rest = message.get(at..)?;
    Some((at, rest.get(..usize::from(Header::decode(rest).ok()?.length))?))
}

/// Reads the body of `OFPT_BUNDLE_ADD_MESSAGE`.
pub(super) fn decode_add(r: &mut Reader<'_>, version: Version) -> Result<BundleAdd, OfError> {
    let mut add = BundleAdd {
        bundle: BundleId(0),
        flags: BundleFlags::empty(),
        message: Box::new(Message::BarrierReply),
        inner_xid: Xid(0),
        properties: Vec::new(),
    };
    add_over(&mut add, r, version)?;
    Ok(add)
}

/// As [`decode_add`], over an earlier one, whose memory is used again.
pub(super) fn add_over(m: &mut BundleAdd, r: &mut Reader<'_>, version: Version) -> Result<(), OfError> {
    m.bundle = BundleId(r.u32("bundle_id")?);
    r.skip(2)?;
    m.flags = BundleFlags::from_bits_retain(r.u16("flags")?);
    let start = r.offset();
    let bad_len = ErrorKind::BundleFailedMsgBadLen;
    let (header, body) = cut_inner(r, version, bad_len)?;
    // What no bundle takes is unsupported there however broken it is, and so is what nobody knows (1.4.1 §7.3.9.7).
    inner_over(&mut m.message, &header, body, version, bad_len).map_err(|e| {
        let known = message::is_modification(version, header.ty);
        if known { e } else { OfError { kind: ErrorKind::BundleFailedMsgUnsup, ..e } }
    })?;
    m.inner_xid = header.xid;
    m.properties = Vec::new();
    if !r.is_empty() {
        let used = r.offset() - start;
        r.skip((used.next_multiple_of(8) - used).min(r.remaining()))?;
        m.properties = decode_props(r, version)?;
    }
    Ok(())
}

/// Writes it. Padding follows the inner message only where properties do.
pub(super) fn encode_add(w: &mut Writer, version: Version, m: &BundleAdd) -> Result<(), EncodeError> {
    w.u32(m.bundle.0);
    w.zeros(2);
    w.u16(m.flags.bits());
    let start = w.len();
    super::put_message(w, version, m.inner_xid, &m.message)?;
    if !m.properties.is_empty() {
        w.pad8(start);
    }
    encode_props(w, version, &m.properties)
}

/// Reads the body of `OFPT_REQUESTFORWARD`.
pub(super) fn decode_request_forward(r: &mut Reader<'_>, version: Version) -> Result<RequestForward, OfError> {
    let (header, body) = cut_inner(r, version, ErrorKind::BadRequestBadLen)?;
    let mut request = Box::new(Message::BarrierReply);
    inner_over(&mut request, &header, body, version, ErrorKind::BadRequestBadLen)?;
    let xid = header.xid;
    Ok(RequestForward { xid, request })
}

/// Writes it.
pub(super) fn encode_request_forward(w: &mut Writer, version: Version, m: &RequestForward) -> Result<(), EncodeError> {
    super::put_message(w, version, m.xid, &m.request)
}

fn decode_features_props(r: &mut Reader<'_>) -> Result<Vec<BundleFeaturesProp>, OfError> {
    property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| {
        if ty != TIME_CAPABILITY {
            return Ok(BundleFeaturesProp::Other(property::decode_other(ty, body)?));
        }
        body.skip(4)?;
        Ok(BundleFeaturesProp::Time {
            accuracy: decode_time(body)?,
            max_future: decode_time(body)?,
            max_past: decode_time(body)?,
            timestamp: decode_time(body)?,
        })
    })
}

fn encode_features_props(w: &mut Writer, props: &[BundleFeaturesProp]) -> Result<(), EncodeError> {
    for prop in props {
        match prop {
            BundleFeaturesProp::Time { accuracy, max_future, max_past, timestamp } => {
                property::encode(w, TIME_CAPABILITY, |w| {
                    w.zeros(4);
                    [accuracy, max_future, max_past, timestamp].iter().for_each(|t| encode_time(w, t));
                    Ok(())
                })?;
            }
            BundleFeaturesProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    Ok(())
}

/// Reads the bundle-features request.
pub(super) fn decode_features_request(r: &mut Reader<'_>) -> Result<BundleFeatures, OfError> {
    let flags = r.u32("feature_request_flags")?;
    r.skip(4)?;
    Ok(BundleFeatures { flags, properties: decode_features_props(r)? })
}

/// Writes it.
pub(super) fn encode_features_request(w: &mut Writer, m: &BundleFeatures) -> Result<(), EncodeError> {
    w.u32(m.flags);
    w.zeros(4);
    encode_features_props(w, &m.properties)
}

/// Reads the bundle-features reply, whose capabilities are 16 bits wide.
pub(super) fn decode_features_reply(r: &mut Reader<'_>) -> Result<BundleFeatures, OfError> {
    let flags = u32::from(r.u16("capabilities")?);
    r.skip(6)?;
    Ok(BundleFeatures { flags, properties: decode_features_props(r)? })
}

/// Writes it.
pub(super) fn encode_features_reply(w: &mut Writer, m: &BundleFeatures) -> Result<(), EncodeError> {
    let Ok(capabilities) = u16::try_from(m.flags) else {
        return Err(EncodeError::OutOfRange { what: "bundle capabilities", value: m.flags.into() });
    };
    w.u16(capabilities);
    w.zeros(6);
    encode_features_props(w, &m.properties)
}
