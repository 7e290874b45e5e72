//! Reading a message over an earlier one: requests that come in rows, flow-mods alone or in a bundle, are read
//! without allocating, and without being moved from result to result.

use super::message::{self, Nesting};
use super::{Header, Reader, bundle, flow, onf};
use crate::error::OfError;
use crate::flow::FlowMod;
use crate::ids::ExperimenterId;
use crate::message::Message;
use crate::version::Version;

/// As [`decode`](super::decode), over a message that was read earlier: where both are flow-mods, or flow-mods in
/// bundles, its memory is used again, which holds what the largest of them needed.
///
/// # Errors
/// As `decode`; what `message` then holds has no meaning.
pub fn decode_over(message: &mut Message, bytes: &[u8]) -> Result<Header, OfError> {
    let (header, version, mut r) = super::open(bytes)?;
    body(message, version, header.ty, &mut r, Nesting::Outer)?;
    super::all_read(&r)?;
    Ok(header)
}

/// Reads the body of a message of type `ty` over an earlier one.
pub(super) fn body(
    message: &mut Message,
    version: Version,
    ty: u8,
    r: &mut Reader<'_>,
    nesting: Nesting,
) -> Result<(), OfError> {
    if ty == message::FLOW_MOD {
        if !matches!(message, Message::FlowMod(_)) {
            *message = Message::FlowMod(FlowMod::default());
        }
        if let Message::FlowMod(m) = message {
            return flow::flow_mod_over(m, r, version);
        }
    }
    if let (Message::BundleAdd(add), Nesting::Outer) = (&mut *message, nesting)
        && begins_bundle_add(ty, r, version)
    {
        return bundle::add_over(add, r, version);
    }
    *message = message::decode(version, ty, r, nesting)?;
    Ok(())
}

/// Whether this is a bundle-add; `r` then stands after what 1.3's extension has in front of its body.
fn begins_bundle_add(ty: u8, r: &mut Reader<'_>, version: Version) -> bool {
    if version != Version::V13 {
        return version > Version::V13 && ty == message::BUNDLE_ADD_MESSAGE;
    }
    let head = (u64::from(ExperimenterId::ONF.0) << 32 | u64::from(onf::BUNDLE_ADD_MESSAGE)).to_be_bytes();
    ty == message::EXPERIMENTER && r.rest().starts_with(&head) && r.skip(head.len()).is_ok()
}
