//! A line of the management socket: any bytes are requests or refusals, whose answers are sound JSON-RPC, and
//! what they name is read by the readers of the configuration and the flow syntax.

use datapath::compose::compose;
use datapath::key::FlowKey;
use datapath::parse::parse;
use ofproto::Version;
use ofproto::text::{ParseContext, parse_flow_stats_request, parse_match};
use serde_json::{Value, json};
use switchd::config::{PortSpec, QueueSpec};
use switchd::management::rpc::{self, Incoming, Line, MAX_BATCH, Wanted};
use switchd::management::{Request, TracePacket};

/// Input: the line.
pub fn run(data: &[u8]) {
    match rpc::parse(data) {
        Line::One(request) => one(request),
        Line::Batch(requests) => {
            assert!(!requests.is_empty() && requests.len() <= MAX_BATCH);
            requests.into_iter().for_each(one);
        }
    }
}

fn one(incoming: Incoming) {
    let result = match incoming.wanted {
        Ok(Wanted::Call { request, .. }) => {
            carry_out(&request);
            Ok(json!(true))
        }
        Ok(_) => Ok(json!([])),
        Err(e) => {
            assert!(!e.message.is_empty());
            Err(e)
        }
    };
    let Some(id) = incoming.id else { return };
    let text = rpc::response(id.clone(), result).to_string();
    let back: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(back["id"], id);
    assert!(!text.contains('\n'), "an answer is one line");
}

/// What the owners of these do with their texts first.
fn carry_out(request: &Request) {
    match request {
        Request::AddPort(text) => match text.parse::<PortSpec>() {
            Ok(_) => {}
            Err(e) => assert!(!e.is_empty()),
        },
        Request::AddQueue(text) => match text.parse::<QueueSpec>() {
            Ok(_) => {}
            Err(e) => assert!(!e.is_empty()),
        },
        Request::Flows { filter: Some(text), .. } => {
            let _ = parse_flow_stats_request(text, &ParseContext::new(Version::V15));
        }
        Request::Trace { packet: TracePacket::Flow(text), .. } => {
            let Ok(wanted) = parse_match(text, &ParseContext::new(Version::V15)) else { return };
            let Ok((frame, key)) = compose(&wanted) else { return };
            // The frame has the fields that were asked for.
            let mut found: FlowKey = key;
            parse(frame.bytes(), &mut found);
            for field in wanted.fields.iter().filter(|f| f.mask.is_none()) {
                assert_eq!(found.get(field.id), field.value, "{field:?} in {:02x?}", frame.bytes());
            }
        }
        _ => {}
    }
}
