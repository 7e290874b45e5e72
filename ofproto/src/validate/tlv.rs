//! Nicira's fields for options of tunnels' headers.

use crate::error::{ErrorKind as E, OfError};
use crate::matching::UnknownField;
use crate::nx_message::{TlvMap, TlvTableCommand};

/// Longest option.
const MAX_OPTION: u8 = 124;

/// Checks `NXT_TLV_TABLE_MOD`, in Open vSwitch's order.
pub(super) fn table_mod(command: TlvTableCommand, maps: &[TlvMap]) -> Result<(), OfError> {
    if let TlvTableCommand::Unknown(n) = command {
        return Err(OfError::new(E::NxTlvBadCommand, "command", format!("{n} is not defined")));
    }
    for m in maps {
        if !m.len.is_multiple_of(4) || m.len > MAX_OPTION {
            let reason = format!("{} is not a multiple of 4 up to {MAX_OPTION}", m.len);
            return Err(OfError::new(E::NxTlvBadOptLen, "option_len", reason));
        }
        if m.index >= u16::from(UnknownField::TUN_METADATA_FIELDS) {
            return Err(OfError::new(E::NxTlvBadFieldIdx, "index", format!("there is no tun_metadata{}", m.index)));
        }
    }
    Ok(())
}

/// The fault of a field not known, `kind` unless it is one that a TLV table would have to map.
pub(super) fn unknown_field(u: &UnknownField, kind: E) -> OfError {
    match u.tun_metadata() {
        Some(n) => OfError::new(E::NxInvalidTlvField, "oxm_header", format!("tun_metadata{n} stands for no option")),
        None => OfError::new(kind, "oxm_header", format!("class {:#06x} field {} is not supported", u.class, u.field)),
    }
}
