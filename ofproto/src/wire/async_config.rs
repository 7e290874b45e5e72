//! Asynchronous configuration: 1.3's fixed masks, 1.4's properties (OpenFlow 1.3.5 §7.3.10, 1.4.1 §7.3.10).

use super::{EncodeError, Reader, Writer, property, unsupported};
use crate::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use crate::error::{ErrorKind, OfError};
use crate::version::Version;

/// The kinds in the order of their property types, two each: for slaves, then for masters.
const KINDS: [AsyncKind; 8] = [
    AsyncKind::PacketIn,
    AsyncKind::PortStatus,
    AsyncKind::FlowRemoved,
    AsyncKind::RoleStatus,
    AsyncKind::TableStatus,
    AsyncKind::RequestForward,
    AsyncKind::FlowStats,
    AsyncKind::ControllerStatus,
];

/// How many of [`KINDS`] a version knows.
fn known(version: Version) -> usize {
    if version >= Version::V15 {
        8
    } else if version >= Version::V14 {
        6
    } else {
        3
    }
}

/// Reads a configuration to the end of `r`.
pub(super) fn decode(r: &mut Reader<'_>, version: Version) -> Result<AsyncConfig, OfError> {
    if version >= Version::V14 {
        let props = property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| {
            match KINDS[..known(version)].get(usize::from(ty / 2)) {
                Some(kind) => Ok(AsyncProp::Reasons { kind: *kind, master: ty & 1 != 0, mask: body.u32("mask")? }),
                None => Ok(AsyncProp::Other(property::decode_other(ty, body)?)),
            }
        })?;
        return Ok(AsyncConfig { props });
    }
    let mut props = Vec::with_capacity(6);
    for kind in &KINDS[..known(version)] {
        // Index 0 is for the master and equal role, 1 for slaves.
        for master in [true, false] {
            props.push(AsyncProp::Reasons { kind: *kind, master, mask: r.u32("mask")? });
        }
    }
    Ok(AsyncConfig { props })
}

/// Writes a configuration. 1.3 says all six masks; one that the model doesn't hold is written as 0.
pub(super) fn encode(w: &mut Writer, version: Version, m: &AsyncConfig, report: bool) -> Result<(), EncodeError> {
    let kinds = &KINDS[..known(version)];
    if version >= Version::V14 {
        for prop in &m.props {
            match prop {
                AsyncProp::Reasons { kind, master, mask } => match kinds.iter().position(|k| k == kind) {
                    Some(place) => property::encode(w, place as u16 * 2 + u16::from(*master), |w| {
                        w.u32(*mask);
                        Ok(())
                    })?,
                    None if report => {}
                    None => return Err(unsupported(version, format!("an asynchronous mask of {kind:?}"))),
                },
                AsyncProp::Other(other) => property::encode_other(w, other)?,
            }
        }
        return Ok(());
    }
    let mut masks = [0u32; 6];
    for prop in &m.props {
        let slot = match prop {
            AsyncProp::Reasons { kind, master, mask } => {
                kinds.iter().position(|k| k == kind).map(|place| (place * 2 + usize::from(!*master), *mask))
            }
            AsyncProp::Other(_) => None,
        };
        match slot {
            Some((at, mask)) => masks[at] = mask,
            None if report => {}
            None => return Err(unsupported(version, "an asynchronous property other than the first three masks")),
        }
    }
    masks.iter().for_each(|n| w.u32(*n));
    Ok(())
}
