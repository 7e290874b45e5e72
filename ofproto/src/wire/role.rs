//! Roles and controller status (OpenFlow 1.3.5 §7.3.9; 1.5.1 §7.3.8, §7.4.4, §7.4.7).

use super::{EncodeError, Reader, Writer, codes, property};
use crate::error::{ErrorKind, OfError};
use crate::role::{ControllerStatus, ControllerStatusProp, RoleMsg, RoleStatus};
use crate::version::Version;

/// `OFPCID_UNDEFINED`, which stands for the absence of an id before 1.5.
const ID_UNDEFINED: u16 = 0;
/// `OFPCSPT_URI`
const URI: u16 = 0;

/// Reads the body of role-request and role-reply.
pub(super) fn decode_role(r: &mut Reader<'_>, version: Version) -> Result<RoleMsg, OfError> {
    let role = codes::role(r.u32("role")?);
    let short_id = r.u16("short_id")?;
    r.skip(2)?;
    let short_id = if version >= Version::V15 { short_id } else { ID_UNDEFINED };
    Ok(RoleMsg { role, short_id, generation_id: r.u64("generation_id")? })
}

/// Writes it. An id is optional everywhere, so before 1.5 it is left out.
pub(super) fn encode_role(w: &mut Writer, version: Version, m: &RoleMsg) {
    w.u32(codes::role_code(m.role));
    w.u16(if version >= Version::V15 { m.short_id } else { 0 });
    w.zeros(2);
    w.u64(m.generation_id);
}

/// Reads the body of `OFPT_ROLE_STATUS`.
pub(super) fn decode_status(r: &mut Reader<'_>) -> Result<RoleStatus, OfError> {
    let role = codes::role(r.u32("role")?);
    let reason = r.u8("reason")?;
    r.skip(3)?;
    Ok(RoleStatus { role, reason, generation_id: r.u64("generation_id")?, properties: property::decode_others(r)? })
}

/// Writes it.
pub(super) fn encode_status(w: &mut Writer, m: &RoleStatus) -> Result<(), EncodeError> {
    w.u32(codes::role_code(m.role));
    w.u8(m.reason);
    w.zeros(3);
    w.u64(m.generation_id);
    property::encode_others(w, &m.properties)
}

/// Reads an `ofp_controller_status` (1.5).
pub(super) fn decode_controller(r: &mut Reader<'_>) -> Result<ControllerStatus, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let short_id = r.u16("short_id")?;
    let role = codes::role(r.u32("role")?);
    let (reason, channel_status) = (r.u8("reason")?, r.u8("channel_status")?);
    r.skip(6)?;
    let properties = property::decode(&mut r, ErrorKind::BadPropertyBadLen, |ty, body| {
        Ok(match ty {
            URI => ControllerStatusProp::Uri(String::from_utf8_lossy(body.take_rest()).into_owned()),
            _ => ControllerStatusProp::Other(property::decode_other(ty, body)?),
        })
    })?;
    Ok(ControllerStatus { short_id, role, reason, channel_status, properties })
}

/// Writes it.
pub(super) fn encode_controller(w: &mut Writer, m: &ControllerStatus) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u16(m.short_id);
    w.u32(codes::role_code(m.role));
    w.u8(m.reason);
    w.u8(m.channel_status);
    w.zeros(6);
    for prop in &m.properties {
        match prop {
            ControllerStatusProp::Uri(uri) => property::encode(w, URI, |w| {
                w.bytes(uri.as_bytes());
                Ok(())
            })?,
            ControllerStatusProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    super::set_length(w, start, start, "controller status")
}
