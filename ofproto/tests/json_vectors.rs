//! Every recorded message of `tests/vectors`: bytes → model → JSON text → model → the same bytes.

use ofproto::{Version, json, text, wire};
use std::fs;
use std::path::PathBuf;

fn vectors() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut out = Vec::new();
    for version in Version::ALL {
        let dir = format!("of1{}", version.column());
        let Ok(files) = fs::read_dir(root.join(&dir)) else { continue };
        for entry in files {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            out.push((format!("{dir}/{name}"), fs::read(&path).expect("readable")));
        }
    }
    out.sort();
    out
}

#[test]
fn every_recording_survives_json_and_can_be_described() {
    let (mut passed, mut failures) = (0, Vec::new());
    for (name, bytes) in vectors() {
        // `tests/vectors.rs` says which recordings aren't whole messages, and why.
        let Ok((header, message)) = wire::decode(&bytes) else { continue };
        let Some(version) = Version::from_wire(header.version) else { continue };
        let written = json::to_value(&message).to_string();
        let value = serde_json::from_str(&written).expect("JSON is JSON");
        let again = match json::from_value(&value) {
            Ok(again) => again,
            Err(e) => {
                failures.push(format!("{name}: {e}\n{written}"));
                continue;
            }
        };
        let first = wire::encode(version, header.xid, &message);
        if again != message && wire::encode(version, header.xid, &again) != first {
            failures.push(format!("{name}:\n{message:?}\n{again:?}"));
            continue;
        }
        let described = text::describe(&header, &message).to_string();
        assert!(described.starts_with("OFPT_"), "{name}: {described}");
        passed += 1;
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), failures.len() + passed, failures.join("\n"));
    assert!(passed >= 250, "only {passed} recordings found");
}

/// Prints recorded flow-mods, flow entries and groups in the flow syntax and reads them again. What
/// comes back must print the same: the print loses nothing that the syntax can say.
#[test]
fn recorded_flows_and_groups_survive_the_flow_syntax() {
    use ofproto::message::{Message, MultipartReply};
    let (mut passed, mut failures) = (0, Vec::new());
    for (name, bytes) in vectors() {
        let Ok((header, message)) = wire::decode(&bytes) else { continue };
        let Some(version) = Version::from_wire(header.version) else { continue };
        let printer = text::Printer { version, ports: &() };
        let ctx = text::ParseContext::new(version);
        // Two write-actions instructions in one flow: shown, but no flow that may be asked for.
        // A traffic class of 10, likewise: it has three bits.
        if name == "of10/ovs-ofctl-of10-action_set_mpls_tc.packet" {
            continue;
        }
        if ["of13/4-12-ofp_flow_stats_reply.packet", "of14/5-12-ofp_flow_stats_reply.packet"].contains(&name.as_str()) {
            continue;
        }
        let mut check = |printed: String, again: Result<String, text::TextError>| match again {
            Ok(again) if again == printed => passed += 1,
            Ok(again) => failures.push(format!("{name}:\n  {printed}\n  {again}")),
            Err(e) => failures.push(format!("{name}: {e}\n  {printed}")),
        };
        match &message {
            Message::FlowMod(m) => {
                let printed = printer.flow_mod(m).to_string();
                let again = text::parse_flow_mod(&printed, m.command, &ctx);
                check(printed, again.map(|m| printer.flow_mod(&m).to_string()));
            }
            Message::GroupMod(m) => {
                let printed = printer.group_mod(m).to_string();
                let again = text::parse_group_mod(&printed, m.command, &ctx);
                check(printed, again.map(|m| printer.group_mod(&m).to_string()));
            }
            Message::MeterMod(m) => {
                let printed = text::MeterModText(m).to_string();
                let again = text::parse_meter_mod(&printed, m.command, &ctx);
                check(printed, again.map(|m| text::MeterModText(&m).to_string()));
            }
            Message::MultipartReply(m) => {
                if let MultipartReply::Flow(flows) = &m.body {
                    for flow in flows {
                        let printed = printer.flow(flow).to_string();
                        let again = text::parse_flow_desc(&printed, &ctx);
                        check(printed, again.map(|m| printer.flow(&m).to_string()));
                    }
                }
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), failures.len() + passed, failures.join("\n"));
    assert!(passed >= 50, "only {passed} flows and groups found");
}

/// Recordings with bytes changed at random: whatever still decodes must be describable and survive
/// JSON, and reading its print again must not panic.
#[test]
fn damaged_recordings_survive_json_too() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let mut decoded = 0;
    for (name, bytes) in vectors() {
        for _ in 0..if bytes.len() > 2000 { 10 } else { 120 } {
            let mut damaged = bytes.clone();
            if damaged.len() <= 8 {
                continue;
            }
            for _ in 0..1 + random() % 3 {
                let at = 8 + random() % (damaged.len() - 8);
                damaged[at] = random() as u8;
            }
            let Ok((header, message)) = wire::decode(&damaged) else { continue };
            let Some(version) = Version::from_wire(header.version) else { continue };
            decoded += 1;
            let written = json::to_value(&message).to_string();
            let value = serde_json::from_str(&written).expect("JSON is JSON");
            let again = json::from_value(&value).unwrap_or_else(|e| panic!("{name}: {e}\n{written}"));
            if again != message {
                let bytes = |m| wire::encode(version, header.xid, m);
                assert_eq!(bytes(&again), bytes(&message), "{name}: {written}");
            }
            let described = text::describe(&header, &message).to_string();
            let ctx = text::ParseContext::new(version);
            for line in described.lines() {
                let _ = text::parse_flow_desc(line, &ctx);
                let _ = text::parse_flow_mod(line.trim_start(), ofproto::flow::FlowModCommand::Add, &ctx);
                let _ = text::parse_group_mod(line.trim_start(), ofproto::group::GroupModCommand::Add, &ctx);
            }
        }
    }
    assert!(decoded > 5000, "only {decoded} still decoded");
}
