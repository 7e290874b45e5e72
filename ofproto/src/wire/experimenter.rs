//! Where experimenters' own structures are told apart. What no codec here knows stays bytes and
//! survives decode → encode unchanged.

use super::{EncodeError, Reader, Writer, nicira};
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
    version: Version,
) -> Result<Action, OfError> {
    match experimenter {
        ExperimenterId::NICIRA => nicira::decode(body, version),
        _ => Ok(Action::Experimenter { experimenter, data: Bytes::copy_from_slice(body.take_rest()) }),
    }
}

/// Writes a Nicira action's body, from its subtype on.
pub(super) fn encode_nicira_action(w: &mut Writer, version: Version, action: &NxAction) -> Result<(), EncodeError> {
    nicira::encode(w, version, action)
}
