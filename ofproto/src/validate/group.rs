//! Properties of groups.

use super::request::{fault, unknown_property};
use crate::error::{ErrorKind as E, OfError};
use crate::group::{GroupMod, GroupModCommand, GroupProp, GroupType, MethodName, SelectionMethod};

/// Checks a group-mod's properties, in the order and with the codes of Open vSwitch, whose property this is.
pub(super) fn properties(m: &GroupMod) -> Result<(), OfError> {
    for prop in &m.properties {
        match prop {
            GroupProp::Selection(s) => selection(m, s)?,
            GroupProp::Other(p) => return Err(unknown_property(p)),
        }
    }
    Ok(())
}

fn selection(m: &GroupMod, s: &SelectionMethod) -> Result<(), OfError> {
    let bad = |field, reason: String| Err(fault(E::BadPropertyBadValue, field, reason));
    match m.ty {
        GroupType::Select => {}
        GroupType::Unknown(n) => return Err(fault(E::GroupModFailedBadType, "type", format!("{n} is not defined"))),
        _ => return bad("selection_method", "only a select group chooses".to_owned()),
    }
    if matches!(m.command, GroupModCommand::Delete | GroupModCommand::InsertBucket | GroupModCommand::RemoveBucket) {
        return bad("selection_method", "goes with a whole group's definition".to_owned());
    }
    let Some(name) = s.method.text() else {
        return bad("selection_method", "has no NUL at its end".to_owned());
    };
    let hash = Some(name) == MethodName::HASH.text();
    if !hash && Some(name) != MethodName::DP_HASH.text() {
        return bad("selection_method", format!("{} is not supported", name.escape_ascii()));
    }
    let none = s.fields.fields.is_empty() && s.fields.unknown.is_empty();
    if !(hash || none) {
        return bad("fields", "dp_hash has none".to_owned());
    }
    fields(s)
}

fn fields(s: &SelectionMethod) -> Result<(), OfError> {
    for (i, f) in s.fields.fields.iter().enumerate() {
        if let Some((_, u)) = s.fields.unknown.iter().find(|(at, _)| *at <= i) {
            return Err(unknown(u));
        }
        let info = f.id.info();
        if f.mask.is_some() {
            return Err(fault(E::BadMatchBadMask, info.name, "the value is the mask"));
        }
        if s.fields.fields[..i].iter().any(|earlier| earlier.id == f.id) {
            return Err(fault(E::BadMatchDupField, info.name, "twice"));
        }
        if !info.maskable && f.value != 0 && f.value != info.all_ones_of_bytes() {
            return Err(fault(E::BadMatchBadMask, info.name, "counts as a whole or not at all"));
        }
    }
    s.fields.unknown.first().map_or(Ok(()), |(_, u)| Err(unknown(u)))
}

fn unknown(u: &crate::matching::UnknownField) -> OfError {
    fault(E::BadMatchBadField, "fields", format!("class {:#06x} field {} is not known", u.class, u.field))
}
