//! The reference's own examples, faults, and round trips of generated models. Recorded messages of
//! every kind are in `tests/json_vectors.rs`.

use super::*;
use crate::action::Action;
use crate::field::{Code, FieldId};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags};
use crate::group::{Bucket, GroupMod, GroupModCommand, GroupType};
use crate::ids::{BucketId, BufferId, GroupId, MeterId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField};
use crate::packet::PacketOut;
use crate::text::property_tests as generate;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn the_reference_flow_mod_is_read() {
    let value = json!({
        "command": "add",
        "flags": ["reset_counts", "send_flow_rem"],
        "idle_timeout": 14,
        "ofp_instructions": { "apply_actions": { "output": { "port_no": "0x0f" } } },
        "ofp_match": [
            { "match_class": "openflow_basic", "field": "ipv4_src", "mask": "255.255.255.0", "value": "192.168.1.1" },
            { "match_class": "openflow_basic", "field": "tcp_src", "value": "5566" }
        ],
        "priority": 18,
        "table_id": "0x0f"
    });
    let expected = FlowMod {
        command: FlowModCommand::Add,
        flags: FlowModFlags::RESET_COUNTS | FlowModFlags::SEND_FLOW_REM,
        idle_timeout: 14,
        priority: 18,
        table: TableId(15),
        matching: Match::any().with_mask(FieldId::Ipv4Src, 0xc0a8_0101, 0xffff_ff00).with(FieldId::TcpSrc, 5566),
        instructions: vec![Instruction::ApplyActions(vec![Action::output(PortNo(15))])],
        ..FlowMod::default()
    };
    assert_eq!(flow_mod_from_value(&value), Ok(expected));
}

#[test]
fn actions_are_read_as_an_array_and_as_an_object() {
    let oxm = |v: &str| json!({ "set_field": { "ofp_oxm": { "match_class": "openflow_basic", "field": "ipv4_src", "value": v } } });
    let array = json!({ "write_actions": [oxm("11.0.0.1"), { "output": { "port_no": "0x02" } }] });
    let set = Action::SetField(MatchField::exact(FieldId::Ipv4Src, 0x0b00_0001));
    let expected = Instruction::WriteActions(vec![set, Action::output(PortNo(2))]);
    assert_eq!(instruction_from_value(&array), Ok(expected));
    let object = json!({ "meter": { "meter_id": "0x01020304" } });
    assert_eq!(instruction_from_value(&object), Ok(Instruction::Meter(MeterId(0x0102_0304))));
    let null = json!({ "pop_vlan": null });
    assert_eq!(action_from_value(&null), Ok(Action::PopVlan));
}

#[test]
fn an_object_of_actions_keeps_its_order() {
    let text = r#"{ "apply_actions": { "push_vlan": { "ethertype": "0x8100" }, "output": { "port_no": "1" }, "dec_nw_ttl": null } }"#;
    let expected = vec![Action::PushVlan(0x8100), Action::output(PortNo(1)), Action::DecNwTtl];
    assert_eq!(instruction_from_value(&serde_json::from_str(text).unwrap()), Ok(Instruction::ApplyActions(expected)));
}

#[test]
fn values_are_written_in_conventional_form() {
    let m = Match::any()
        .with_mask(FieldId::EthDst, 0x0100_0000_0000, 0x0100_0000_0000)
        .with(FieldId::EthType, 0x0800)
        .with_mask(FieldId::Ipv4Dst, 0x0a00_0000, 0xff00_0000)
        .with(FieldId::UdpDst, 53);
    assert_eq!(
        match_to_value(&m),
        json!([
            { "match_class": "openflow_basic", "field": "eth_dst", "mask": "01:00:00:00:00:00", "value": "01:00:00:00:00:00" },
            { "match_class": "openflow_basic", "field": "eth_type", "value": "0x0800" },
            { "match_class": "openflow_basic", "field": "ipv4_dst", "mask": "255.0.0.0", "value": "10.0.0.0" },
            { "match_class": "openflow_basic", "field": "udp_dst", "value": "53" },
        ])
    );
    let nxm = MatchField { code: Some(Code::Nxm0(7)), ..MatchField::exact(FieldId::Ipv4Src, 1) };
    let m = Match::new(vec![nxm]);
    assert_eq!(match_to_value(&m)[0]["match_class"], "nxm0");
    assert_eq!(match_from_value(&match_to_value(&m)), Ok(m));
}

#[test]
fn faults_name_their_place() {
    let flow_mod = |key: &str, v: Value| {
        let mut body = json!({ "table_id": "0x01", "command": "add" });
        body[key] = v;
        json!({ "ofp_flow_mod": body })
    };
    let cases = [
        (json!({ "ofp_flow_mod": { "comand": "add" } }), "ofp_flow_mod.comand"),
        (flow_mod("command", json!("ad")), "ofp_flow_mod.command"),
        (json!({ "ofp_flow_mod": { "command": "add" } }), "ofp_flow_mod.table_id"),
        (json!({ "ofp_flow_mod": { "table_id": "all" } }), "ofp_flow_mod.command"),
        (flow_mod("priority", json!(65536)), "ofp_flow_mod.priority"),
        (flow_mod("ofp_match", json!([{ "field": "ipv4_src", "value": "1.2.3" }])), "ofp_flow_mod.ofp_match[0].value"),
        (flow_mod("ofp_match", json!([{ "field": "eth_dts", "value": "1" }])), "ofp_flow_mod.ofp_match[0].field"),
        (
            flow_mod("ofp_instructions", json!({ "apply_actions": [{ "outptu": {} }] })),
            "ofp_flow_mod.ofp_instructions.apply_actions[0].outptu",
        ),
        (flow_mod("flags", json!(["no"])), "ofp_flow_mod.flags[0]"),
        (json!({ "ofp_packet_in": { "table_id": "0x100" } }), "ofp_packet_in.buffer_id"),
        (
            json!({ "ofp_port_mod": { "port_no": "1", "hw_addr": "1:2:3:4:5:6", "properties": [{ "type": "round" }] } }),
            "ofp_port_mod.properties[0].type",
        ),
        (
            json!({ "ofp_port_mod": { "port_no": "1", "hw_addr": "1:2:3:4:5:6", "properties": [{ "type": "ethernet", "advertise": ["1"] }] } }),
            "ofp_port_mod.properties[0].advertise[0]",
        ),
        (json!([]), ""),
    ];
    for (value, path) in cases {
        let e = from_value(&value).unwrap_err();
        assert_eq!(e.path, path, "{e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_flow_mod_survives((_, m) in generate::flow_mod()) {
        let message = Message::FlowMod(m);
        let text = to_value(&message).to_string();
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(from_value(&value), Ok(message), "{}", text);
    }

    #[test]
    fn a_group_mod_survives(
        lists in proptest::collection::vec(proptest::collection::vec(generate::action(crate::Version::V13), 0..3), 0..4),
        n in any::<(u32, u32, u16)>(),
        id in any::<Option<u32>>(),
        kind in any::<u8>(),
        command in any::<u16>(),
    ) {
        let buckets = lists.into_iter().map(|actions| Bucket {
            id: id.map(BucketId),
            weight: n.2,
            watch_port: PortNo(n.1),
            watch_group: GroupId(n.0),
            actions,
            other: Vec::new(),
        }).collect();
        let ty = match kind { 1 => GroupType::Select, n => GroupType::Unknown(n) };
        let command = match command { 1 => GroupModCommand::Modify, n => GroupModCommand::Unknown(n) };
        let message = Message::GroupMod(GroupMod { command, ty, group: GroupId(n.0), command_bucket: BucketId(n.1), buckets, properties: vec![] });
        prop_assert_eq!(from_value(&to_value(&message)), Ok(message));
    }

    #[test]
    fn a_packet_out_survives(
        fields in proptest::collection::vec(generate::unknown_field(), 0..3),
        actions in proptest::collection::vec(generate::action(crate::Version::V15), 0..4),
        data in generate::bytes(0..40),
        buffer in any::<u32>(),
        port in any::<u32>(),
    ) {
        let mut matching = Match::any().with(FieldId::InPort, port.into());
        matching.unknown = fields.into_iter().enumerate().map(|(i, u)| (i.min(1), u)).collect();
        let message = Message::PacketOut(PacketOut { buffer_id: BufferId(buffer), matching, actions, data });
        prop_assert_eq!(from_value(&to_value(&message)), Ok(message));
    }

    /// A flow-mod's JSON with one place replaced is read or refused, and what is read can be written.
    #[test]
    fn altered_json_is_read_or_refused((_, m) in generate::flow_mod(), place in any::<usize>(), with in 0usize..8) {
        let mut value = to_value(&Message::FlowMod(m));
        let replacement = match with {
            0 => Value::Null,
            1 => json!([]),
            2 => json!({}),
            3 => json!(-1),
            4 => json!("0xffffffffffffffffffffffffffffffffff"),
            5 => json!("é"),
            6 => json!(1.5),
            _ => json!({ "ofp_actions": [{ "nicira": { "clone": [] } }] }),
        };
        let n = count(&value);
        replace(&mut value, &mut (place % n), &replacement);
        if let Ok(message) = from_value(&value) {
            prop_assert_eq!(from_value(&to_value(&message)), Ok(message));
        }
    }
}

/// How many values there are inside and including `value`.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value at `place` in the order of a walk from outside in.
fn replace(value: &mut Value, place: &mut usize, with: &Value) -> bool {
    if *place == 0 {
        *value = with.clone();
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|v| replace(v, place, with)),
        Value::Object(map) => map.values_mut().any(|v| replace(v, place, with)),
        _ => false,
    }
}

/// 1.0 has 16 bits for a VLAN id: what no packet can have stays what it is.
#[test]
fn a_vlan_id_that_no_packet_has_comes_back() {
    let mut bytes = vec![0; 72];
    bytes[..8].copy_from_slice(&[1, 14, 0, 72, 0, 0, 0, 0]);
    bytes[8..12].copy_from_slice(&(0x003f_ffffu32 & !2).to_be_bytes());
    bytes[26..28].copy_from_slice(&0x7d00u16.to_be_bytes());
    let (_, message) = crate::wire::decode(&bytes).expect("as a tool shows it");
    let value = to_value(&message);
    assert_eq!(from_value(&value).map_err(|e| e.to_string()), Ok(message), "{value}");
}
