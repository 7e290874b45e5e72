//! JSON: any value is read or refused with a path, and what was read is written and read the same.

use ofproto::ids::Xid;
use ofproto::{json, validate, wire};

/// Input: the JSON text.
pub fn run(data: &[u8]) {
    let Ok(value) = serde_json::from_slice(data) else { return };
    match json::from_value(&value) {
        Ok(message) => {
            let written = json::to_value(&message);
            assert_eq!(json::from_value(&written).as_ref(), Ok(&message), "{written}");
            for version in crate::VERSIONS {
                let _ = validate::message(&message, version);
                let _ = wire::encode(version, Xid(1), &message);
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
    let _ = json::match_from_value(&value);
    let _ = json::action_from_value(&value);
    let _ = json::instruction_from_value(&value);
    let _ = json::group_mod_from_value(&value);
    let _ = json::meter_mod_from_value(&value);
    let _ = json::port_from_value(&value);
    let _ = json::flow_desc_from_value(&value);
}
