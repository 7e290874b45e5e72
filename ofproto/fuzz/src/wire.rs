//! One message: what decodes can be judged, shown, written and read again, in wire form and in JSON.

use ofproto::flow::FlowModCommand;
use ofproto::group::GroupModCommand;
use ofproto::text::ParseContext;
use ofproto::wire::EncodeError;
use ofproto::{Version, json, text, validate, wire};

/// Input: the message.
pub fn run(data: &[u8]) {
    let _ = wire::decode_hello(data);
    let (header, message) = match wire::decode(data) {
        Ok(sound) => sound,
        Err(e) => {
            assert!(e.offset.is_none_or(|at| at <= data.len()), "an offset beyond the message: {e}");
            assert!(!e.to_string().is_empty());
            return;
        }
    };
    let version = Version::from_wire(header.version).expect("decoded");
    let _ = validate::message(&message, version);
    let described = text::describe(&header, &message).to_string();
    assert!(!described.is_empty());
    let ctx = ParseContext::new(version);
    for line in described.lines() {
        let _ = text::parse_flow_desc(line, &ctx);
        let _ = text::parse_flow_mod(line.trim_start(), FlowModCommand::Add, &ctx);
        let _ = text::parse_group_mod(line.trim_start(), GroupModCommand::Add, &ctx);
    }

    let first = wire::encode(version, header.xid, &message);
    match &first {
        Ok(bytes) => {
            let (again_header, again) = wire::decode(bytes).expect("what was written is read");
            assert_eq!((again_header.version, again_header.xid), (header.version, header.xid));
            assert_eq!(again, message, "another message came back");
            assert_eq!(wire::encode(version, header.xid, &again).as_ref(), Ok(bytes));
        }
        // Only text that wasn't UTF-8 may have become too long for its field.
        Err(EncodeError::TooLong { .. }) => {}
        Err(e) => panic!("{e}: {message:?}"),
    }
    // Another version may be unable to say it, and must say so.
    for other in crate::VERSIONS {
        let _ = wire::encode(other, header.xid, &message);
    }

    let value = json::to_value(&message);
    let again = json::from_value(&value).unwrap_or_else(|e| panic!("{e}\n{value}"));
    if again != message {
        assert_eq!(wire::encode(version, header.xid, &again), first, "JSON lost something: {value}");
    }
}
