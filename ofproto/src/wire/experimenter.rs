//! Where experimenters' own structures are told apart. What no codec here knows stays bytes and
//! survives decode → encode unchanged.

use super::{EncodeError, Reader, Writer, unsupported};
use crate::action::Action;
use crate::error::OfError;
use crate::ids::ExperimenterId;
use crate::nicira::NxAction;
use crate::version::Version;
use bytes::Bytes;

/// Reads an experimenter action's body; `body` stands after the experimenter id.
pub(super) fn decode_action(
    experimenter: ExperimenterId,
    body: &mut Reader<'_>,
    _version: Version,
) -> Result<Action, OfError> {
    Ok(Action::Experimenter { experimenter, data: Bytes::copy_from_slice(body.take_rest()) })
}

/// Writes a Nicira action's body, from its subtype on.
pub(super) fn encode_nicira_action(_w: &mut Writer, version: Version, _action: &NxAction) -> Result<(), EncodeError> {
    Err(unsupported(version, "a Nicira action"))
}
