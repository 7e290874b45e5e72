//! Every name, form and example of the JSON-RPC-OpenFlow reference, both ways.

use super::codec::Json;
use super::*;
use crate::action::Action;
use crate::field::FieldId;
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags};
use crate::group::{ExperimenterProp, OtherProp, UnknownProp};
use crate::ids::{BufferId, Cookie, ExperimenterId, GroupId, MacAddr, MeterId, PortNo, QueueId, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField};
use crate::message::{MultipartRequest, SwitchConfig};
use crate::port::{
    EthernetPort, EthernetStats, OpticalStats, Port, PortConfig, PortDescProp, PortFeatures, PortState, PortStats,
    PortStatsProp,
};
use crate::role::{Role, RoleMsg};
use crate::stats::{FlowDesc, FlowStats, FlowStatsRequest};
use bytes::Bytes;
use serde_json::json;
use std::fmt::Debug;

/// Written as `value`, and read from it.
fn both<T: Json + PartialEq + Debug>(model: T, value: Value) {
    assert_eq!(model.to_json(), value);
    assert_eq!(T::from_json(&value), Ok(model));
}

/// Read from `value`, which is not how it is written.
fn read<T: Json + PartialEq + Debug>(value: Value, model: T) {
    assert_ne!(model.to_json(), value, "also written so");
    assert_eq!(T::from_json(&value), Ok(model));
}

fn refused<T: Json + PartialEq + Debug>(value: Value) {
    let read = T::from_json(&value);
    assert!(read.is_err(), "{value} is {read:?}");
}

#[test]
fn hex_is_a_string_with_or_without_prefix() {
    both(Cookie(0xabcd_1234), json!("0x00000000abcd1234"));
    for text in ["0xabcd1234", "abcd1234", "0xABCD1234", "0Xabcd1234", "00000000abcd1234"] {
        read(json!(text), Cookie(0xabcd_1234));
    }
    for text in ["", "0x", "g", "-1", "+1", "0x+1", " 1", "1 ", "0x1_0", "0x10000000000000000"] {
        refused::<Cookie>(json!(text));
    }
    refused::<Cookie>(json!(true));
    refused::<Cookie>(json!(-1));
    refused::<Cookie>(json!(0.5));
}

#[test]
fn hybrid_is_a_hex_or_a_name() {
    both(PortNo(0xabcd_1234), json!("0xabcd1234"));
    read(json!("0xe0"), PortNo(0xe0));
    read(json!("10"), PortNo(0x10));
    both(PortNo(0xe0), json!("0x000000e0"));
    refused::<PortNo>(json!("MAX"));
    refused::<PortNo>(json!("slowpath"));
    for (name, port) in [
        ("max", PortNo::MAX),
        ("in_port", PortNo::IN_PORT),
        ("table", PortNo::TABLE),
        ("normal", PortNo::NORMAL),
        ("flood", PortNo::FLOOD),
        ("all", PortNo::ALL),
        ("controller", PortNo::CONTROLLER),
        ("local", PortNo::LOCAL),
        ("any", PortNo::ANY),
    ] {
        both(port, json!(name));
    }
    for (name, meter) in [
        ("max", MeterId::MAX),
        ("slowpath", MeterId::SLOWPATH),
        ("controller", MeterId::CONTROLLER),
        ("all", MeterId::ALL),
    ] {
        both(meter, json!(name));
    }
    for (name, group) in [("max", GroupId::MAX), ("all", GroupId::ALL), ("any", GroupId::ANY)] {
        both(group, json!(name));
    }
    both(TableId::ALL, json!("all"));
    both(TableId(0x0f), json!("0x0f"));
    refused::<TableId>(json!("0x100"));
    both(BufferId::NONE, json!("no_buffer"));
}

#[test]
fn bitmaps_are_arrays_of_names() {
    both(
        PortConfig::PORT_DOWN | PortConfig::NO_FWD | PortConfig::NO_PACKET_IN | PortConfig::NO_RECV,
        json!(["port_down", "no_recv", "no_fwd", "no_packet_in"]),
    );
    read(json!(["no_packet_in", "port_down", "port_down"]), PortConfig::PORT_DOWN | PortConfig::NO_PACKET_IN);
    both(FlowModFlags::empty(), json!([]));
    let all = ["send_flow_rem", "check_overlap", "reset_counts", "no_pkt_counts", "no_byt_counts"];
    both(FlowModFlags::from_bits_retain(0x1f), json!(all));
    for value in [json!("port_down"), json!(["Port_down"]), json!([1.5]), json!({}), json!([["port_down"]])] {
        refused::<PortConfig>(value);
    }
}

#[test]
fn byte_arrays_are_numbers_or_one_hexadecimal_string() {
    let bytes = Bytes::from_static(&[1, 2, 3, 4, 5, 6]);
    both(bytes.clone(), json!("0x010203040506"));
    read(json!([1, 2, 3, 4, 5, 6]), bytes.clone());
    read(json!("010203040506"), bytes);
    both(Bytes::new(), json!("0x"));
    for value in [json!([256]), json!([-1]), json!([1.5]), json!("0x123"), json!("0xgg"), json!(1)] {
        refused::<Bytes>(value);
    }
}

/// A value of each field in conventional form.
const FIELDS: &[(&str, &str, u128)] = &[
    ("in_port", "1", 1),
    ("in_phy_port", "2", 2),
    ("metadata", "0x1234", 0x1234),
    ("eth_dst", "00:00:00:00:00:0a", 10),
    ("eth_src", "00:00:00:00:00:0b", 11),
    ("eth_type", "0x0800", 0x800),
    ("vlan_id", "4101", 4101),
    ("vlan_pcp", "7", 7),
    ("ip_dscp", "46", 46),
    ("ip_ecn", "3", 3),
    ("ip_proto", "17", 17),
    ("ipv4_src", "192.168.1.1", 0xc0a8_0101),
    ("ipv4_dst", "10.0.0.1", 0x0a00_0001),
    ("tcp_src", "5566", 5566),
    ("tcp_dst", "80", 80),
    ("udp_src", "53", 53),
    ("udp_dst", "67", 67),
    ("sctp_src", "9", 9),
    ("sctp_dst", "65535", 65535),
    ("icmpv4_type", "8", 8),
    ("icmpv4_code", "1", 1),
    ("arp_op", "2", 2),
    ("arp_spa", "1.2.3.4", 0x0102_0304),
    ("arp_tpa", "4.3.2.1", 0x0403_0201),
    ("arp_sha", "02:00:00:00:00:01", 0x0200_0000_0001),
    ("arp_tha", "02:00:00:00:00:02", 0x0200_0000_0002),
    ("ipv6_src", "fe80::1", 0xfe80 << 112 | 1),
    ("ipv6_dst", "ff02::1", 0xff02 << 112 | 1),
    ("ipv6_flabel", "0x12345", 0x12345),
    ("icmpv6_type", "135", 135),
    ("icmpv6_code", "4", 4),
    ("ipv6_nd_target", "fe80::2", 0xfe80 << 112 | 2),
    ("ipv6_nd_sll", "02:00:00:00:00:03", 0x0200_0000_0003),
    ("ipv6_nd_tll", "02:00:00:00:00:04", 0x0200_0000_0004),
    ("mpls_label", "1048575", 0xfffff),
    ("mpls_tc", "5", 5),
    ("mpls_bos", "1", 1),
    ("pbb_isid", "0x123456", 0x0012_3456),
    ("tunnel_id", "0x64", 100),
    ("ipv6_exthdr", "0x1ff", 0x1ff),
    ("pbb_uca", "1", 1),
];

#[test]
fn every_basic_field_has_its_name_and_conventional_form() {
    for &(name, text, value) in FIELDS {
        let oxm = json!({ "match_class": "openflow_basic", "field": name, "value": text });
        let id = MatchField::from_json(&oxm).unwrap_or_else(|e| panic!("{name}: {e}")).id;
        both(MatchField::exact(id, value), oxm.clone());
        // The class may be left out, and numbers be JSON numbers.
        read(json!({ "field": name, "value": text }), MatchField::exact(id, value));
        if let Ok(n) = text.parse::<u32>() {
            read(json!({ "field": name, "value": n }), MatchField::exact(id, value));
        }
        let beyond = match text.contains([':', '.']) {
            true => "1.2.3.4.5".to_owned(),
            false => format!("{:#x}", id.info().all_ones_of_bytes() + 1),
        };
        refused::<MatchField>(json!({ "field": name, "value": beyond }));
        refused::<MatchField>(json!({ "field": name }));
        refused::<MatchField>(json!({ "field": name, "value": text, "maks": text }));
        if !id.info().maskable {
            continue;
        }
        // The mask has the value's form; of numbers, hexadecimal.
        let all = if name.contains("eth") || name.ends_with("ll") || name.ends_with("ha") {
            "ff:ff:ff:ff:ff:00".to_owned()
        } else if text.contains("::") {
            "ffff:ffff::".to_owned()
        } else if text.contains('.') {
            "255.255.255.0".to_owned()
        } else {
            format!("{:#x}", id.info().all_ones() & !1)
        };
        let masked = json!({ "match_class": "openflow_basic", "field": name, "mask": all, "value": text });
        let model = MatchField::from_json(&masked).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(model.mask.is_some_and(|m| m != id.info().all_ones()), "{model:?}");
        both(model, masked);
    }
}

#[test]
fn classes_have_their_names() {
    both(
        MatchField { code: FieldId::Ipv4Src.info().codes.get(1).copied(), ..MatchField::exact(FieldId::Ipv4Src, 1) },
        json!({ "match_class": "nxm0", "field": "ipv4_src", "value": "0.0.0.1" }),
    );
    both(
        MatchField { code: FieldId::IpEcn.info().codes.get(1).copied(), ..MatchField::exact(FieldId::IpEcn, 1) },
        json!({ "match_class": "nxm1", "field": "ip_ecn", "value": "1" }),
    );
    refused::<MatchField>(json!({ "match_class": "basic", "field": "ip_ecn", "value": "1" }));
    refused::<MatchField>(json!({ "match_class": "experimenter", "field": "ip_ecn", "value": "1" }));
}

#[test]
fn every_action_has_its_form() {
    let oxm = json!({ "match_class": "openflow_basic", "field": "ipv4_src", "value": "11.0.0.1" });
    for (action, value) in [
        (
            Action::Output { port: PortNo::CONTROLLER, max_len: 0xffff },
            json!({ "output": { "port_no": "controller", "max_len": "no_buffer" } }),
        ),
        (
            Action::Output { port: PortNo(2), max_len: 0xffe5 },
            json!({ "output": { "port_no": "0x00000002", "max_len": "max" } }),
        ),
        (
            Action::Output { port: PortNo(2), max_len: 128 },
            json!({ "output": { "port_no": "0x00000002", "max_len": "0x0080" } }),
        ),
        (Action::Group(GroupId(1)), json!({ "group": { "group_id": "0x00000001" } })),
        (Action::SetQueue(QueueId(7)), json!({ "set_queue": { "queue_id": "0x00000007" } })),
        (Action::SetMplsTtl(64), json!({ "set_mpls_ttl": { "mpls_ttl": 64 } })),
        (Action::SetNwTtl(255), json!({ "set_nw_ttl": { "nw_ttl": 255 } })),
        (Action::PushVlan(0x8100), json!({ "push_vlan": { "ethertype": "0x8100" } })),
        (Action::PushPbb(0x88e7), json!({ "push_pbb": { "ethertype": "0x88e7" } })),
        (Action::PushMpls(0x8847), json!({ "push_mpls": { "ethertype": "0x8847" } })),
        (Action::PopMpls(0x0800), json!({ "pop_mpls": { "ethertype": "0x0800" } })),
        (
            Action::SetField(MatchField::exact(FieldId::Ipv4Src, 0x0b00_0001)),
            json!({ "set_field": { "ofp_oxm": oxm } }),
        ),
        (
            Action::Experimenter { experimenter: ExperimenterId(5), data: Bytes::from_static(&[1, 2]) },
            json!({ "experimenter": { "exp_id": "0x00000005", "exp_data": "0x0102" } }),
        ),
        (Action::CopyTtlOut, json!({ "copy_ttl_out": null })),
        (Action::CopyTtlIn, json!({ "copy_ttl_in": null })),
        (Action::DecMplsTtl, json!({ "dec_mpls_ttl": null })),
        (Action::DecNwTtl, json!({ "dec_nw_ttl": null })),
        (Action::PopPbb, json!({ "pop_pbb": null })),
        (Action::PopVlan, json!({ "pop_vlan": null })),
    ] {
        both(action, value);
    }
    read(json!({ "output": { "port_no": "0x0f" } }), Action::output(PortNo(15)));
    read(json!({ "push_vlan": { "ethertype": "88a8" } }), Action::PushVlan(0x88a8));
    for value in [
        json!({ "set_nw_ttl": { "nw_ttl": 256 } }),
        json!({ "output": {} }),
        json!({ "output": { "port_no": "0x100000000" } }),
        json!({ "pop_vlan": { "ethertype": "0x8100" } }),
        json!({ "push_vlan": null }),
    ] {
        refused::<Action>(value);
    }
}

#[test]
fn every_instruction_has_its_form() {
    let output = || vec![Action::output(PortNo(15))];
    let written = json!([{ "output": { "port_no": "0x0000000f", "max_len": "no_buffer" } }]);
    for (instruction, value) in [
        (Instruction::GotoTable(TableId(200)), json!({ "goto_table": { "table_id": 200 } })),
        (
            Instruction::WriteMetadata { metadata: 1, mask: 0xff },
            json!({ "write_metadata": { "metadata": "0x0000000000000001", "metadata_mask": "0x00000000000000ff" } }),
        ),
        (Instruction::Meter(MeterId(0x0102_0304)), json!({ "meter": { "meter_id": "0x01020304" } })),
        (Instruction::Meter(MeterId::SLOWPATH), json!({ "meter": { "meter_id": "slowpath" } })),
        (
            Instruction::Experimenter { experimenter: ExperimenterId(5), data: Bytes::new() },
            json!({ "experimenter": { "exp_id": "0x00000005", "exp_data": "0x" } }),
        ),
        (Instruction::ApplyActions(output()), json!({ "apply_actions": written })),
        (Instruction::WriteActions(output()), json!({ "write_actions": written })),
        (Instruction::ClearActions, json!({ "clear_actions": null })),
    ] {
        both(instruction, value);
    }
    read(json!({ "goto_table": { "table_id": "0x0f" } }), Instruction::GotoTable(TableId(15)));
    let object = json!({ "output": { "port_no": "0x0f" } });
    read(json!({ "apply_actions": object }), Instruction::ApplyActions(output()));
    read(json!({ "apply_actions": { "ofp_actions": object } }), Instruction::ApplyActions(output()));
    read(
        json!({ "write_actions": object, "meter": { "meter_id": "0x01020304" } }),
        vec![Instruction::Meter(MeterId(0x0102_0304)), Instruction::WriteActions(output())],
    );
    refused::<Instruction>(json!({ "goto_table": { "table_id": 256 } }));
    refused::<Instruction>(json!({ "goto_table": {} }));
}

#[test]
fn a_configuration() {
    read(
        json!({ "flags": ["normal", "reasm"], "miss_send_len": "no_buffer" }),
        SwitchConfig { flags: 2, miss_send_len: 0xffff },
    );
    both(SwitchConfig { flags: 1, miss_send_len: 0xffe5 }, json!({ "flags": ["drop"], "miss_send_len": "max" }));
    both(SwitchConfig { flags: 0, miss_send_len: 128 }, json!({ "flags": ["normal"], "miss_send_len": "0x0080" }));
}

#[test]
fn a_role() {
    let request = RoleMsg { role: Role::NoChange, short_id: 0, generation_id: 0 };
    read(json!({ "role": "nochange" }), request);
    read(json!({ "role": "no_change" }), request);
    for (role, name) in
        [(Role::NoChange, "nochange"), (Role::Equal, "equal"), (Role::Master, "master"), (Role::Slave, "slave")]
    {
        both(role, json!(name));
    }
    refused::<RoleMsg>(json!({}));
}

#[test]
fn a_flow_mod() {
    let ports = json!({ "table_id": "all", "command": "delete_strict", "out_port": "any", "out_group": "0x05",
        "buffer_id": "no_buffer", "importance": 65535, "cookie": "0x1", "cookie_mask": "ff" });
    read(
        ports,
        FlowMod {
            table: TableId::ALL,
            command: FlowModCommand::DeleteStrict,
            out_group: GroupId(5),
            importance: 65535,
            cookie: Cookie(1),
            cookie_mask: 0xff,
            ..FlowMod::default()
        },
    );
    for (command, name) in [
        (FlowModCommand::Add, "add"),
        (FlowModCommand::Modify, "modify"),
        (FlowModCommand::ModifyStrict, "modify_strict"),
        (FlowModCommand::Delete, "delete"),
        (FlowModCommand::DeleteStrict, "delete_strict"),
    ] {
        both(command, json!(name));
    }
    refused::<FlowMod>(json!({ "table_id": "0x00" }));
    refused::<FlowMod>(json!({ "command": "add" }));
    refused::<FlowMod>(json!({ "table_id": "0x00", "command": "add", "importance": 65536 }));
}

#[test]
fn a_request_for_flows_and_its_reply() {
    let matching = Match::any().with_mask(FieldId::Ipv4Src, 0xc0a8_0101, 0xffff_ff00);
    let oxm = json!({ "match_class": "openflow_basic", "field": "ipv4_src", "mask": "255.255.255.0", "value": "192.168.1.1" });
    read(
        json!({ "ofp_match": [oxm], "table_id": "0x0f" }),
        FlowStatsRequest { table: TableId(15), matching: matching.clone(), ..FlowStatsRequest::default() },
    );
    refused::<FlowStatsRequest>(json!({ "ofp_match": [oxm] }));
    let entry = json!({
        "table_id": "0xe0",
        "packet_count": 29348,
        "byte_count": 7039684,
        "idle_timeout": 3,
        "hard_timeout": 15,
        "duration_sec": 10,
        "duration_nsec": 56,
        "priority": 19,
        "importance": 28,
        "cookie": "0x1234567890abcdef",
        "flags": ["send_flow_rem", "check_overlap"],
        "ofp_match": [oxm, { "match_class": "openflow_basic", "field": "tcp_src", "value": "5566" }],
        "ofp_instructions": { "goto_table": { "table_id": 15 } }
    });
    both(
        FlowDesc {
            table: TableId(0xe0),
            priority: 19,
            idle_timeout: 3,
            hard_timeout: 15,
            flags: FlowModFlags::SEND_FLOW_REM | FlowModFlags::CHECK_OVERLAP,
            importance: 28,
            cookie: Cookie(0x1234_5678_90ab_cdef),
            stats: FlowStats {
                duration_sec: 10,
                duration_nsec: 56,
                packet_count: 29348,
                byte_count: 7_039_684,
                idle: None,
                oxs: None,
            },
            matching: matching.with(FieldId::TcpSrc, 5566),
            instructions: vec![Instruction::GotoTable(TableId(15))],
        },
        entry,
    );
}

#[test]
fn statistics_of_ports() {
    both(MultipartRequest::PortStats(PortNo(0xe0)), json!({ "port_stats": { "port_no": "0x000000e0" } }));
    both(MultipartRequest::PortStats(PortNo::ANY), json!({ "port_stats": { "port_no": "all" } }));
    both(MultipartRequest::PortStats(PortNo::ALL), json!({ "port_stats": { "port_no": "0xfffffffc" } }));
    read(json!({ "port_stats": { "port_no": "any" } }), MultipartRequest::PortStats(PortNo::ANY));
    let ethernet = EthernetStats { rx_frame_err: 8, rx_crc_err: 15, rx_over_err: 57, collisions: 18 };
    let stats = PortStats {
        port_no: PortNo(0xe0),
        tx_packets: 28290,
        rx_packets: 29348,
        tx_bytes: 7_039_684,
        rx_bytes: 7_200_243,
        tx_dropped: 609,
        rx_dropped: 534,
        tx_errors: 97,
        rx_errors: 80,
        duration_sec: 2,
        duration_nsec: 56,
        properties: vec![PortStatsProp::Ethernet(ethernet)],
    };
    let mut value = json!({
        "port_no": "0x000000e0",
        "tx_packets": 28290,
        "rx_packets": 29348,
        "tx_bytes": 7039684,
        "rx_bytes": 7200243,
        "tx_dropped": 609,
        "rx_dropped": 534,
        "tx_errors": 97,
        "rx_errors": 80,
        "duration_sec": 2,
        "duration_nsec": 56,
        "properties": [{ "type": "ethernet", "rx_frame_err": 8, "rx_crc_err": 15, "rx_over_err": 57, "collisions": 18 }]
    });
    both(stats.clone(), value.clone());
    for name in ["OFPPSPT_ETHERNET", "ETHERNET"] {
        value["properties"][0]["type"] = json!(name);
        read(value.clone(), stats.clone());
    }
    both(
        PortStatsProp::Optical(OpticalStats {
            flags: 0x77,
            tx_freq_lmda: 1,
            tx_offset: 2,
            tx_grid_span: 3,
            rx_freq_lmda: 4,
            rx_offset: 5,
            rx_grid_span: 6,
            tx_pwr: 7,
            rx_pwr: 8,
            bias_current: 9,
            temperature: 10,
        }),
        json!({
            "type": "optical",
            "flags": ["rx_tune", "tx_tune", "tx_pwr", "rx_pwr", "tx_bias", "tx_temp"],
            "tx_freq_lmda": 1,
            "tx_offset": 2,
            "tx_grid_span": 3,
            "rx_freq_lmda": 4,
            "rx_offset": 5,
            "rx_grid_span": 6,
            "tx_pwr": 7,
            "rx_pwr": 8,
            "bias_current": 9,
            "temperature": 10
        }),
    );
    let other = |ty| {
        PortStatsProp::Other(OtherProp::Experimenter(ExperimenterProp {
            ty,
            experimenter: ExperimenterId(1),
            exp_type: 2,
            data: Bytes::from_static(&[3]),
        }))
    };
    let value = json!({ "type": "experimenter", "exp_id": "0x00000001", "exp_type": "0x00000002", "exp_data": "0x03" });
    both(other(0xffff), value.clone());
    let mut value = value;
    value["type"] = json!("0xfffe");
    both(other(0xfffe), value);
    let unknown = OtherProp::Unknown(UnknownProp { ty: 7, data: Bytes::new() });
    both(PortStatsProp::Other(unknown), json!({ "type": "0x0007", "data": "0x" }));
    refused::<PortStatsProp>(json!({ "type": "round" }));
    refused::<PortStatsProp>(json!({ "rx_frame_err": 8 }));
    refused::<PortStatsProp>(json!({ "type": "ethernet", "tx_pwr": 1 }));
}

#[test]
fn descriptions_of_ports() {
    let port = Port {
        port_no: PortNo(1),
        hw_addr: MacAddr([0xea, 0x68, 0x7d, 0x44, 9, 0x75]),
        name: "s1-eth1".to_owned(),
        config: PortConfig::empty(),
        state: PortState::empty(),
        properties: vec![PortDescProp::Ethernet(EthernetPort { max_speed: 102_400, ..EthernetPort::default() })],
    };
    let value = json!({
        "port_no": "1",
        "hw_addr": "ea:68:7d:44:9:75",
        "name": "s1-eth1",
        "config": [],
        "state": [],
        "properties": [{
            "type": "ETHERNET",
            "curr": [],
            "advertised": [],
            "supported": [],
            "peer": [],
            "curr_speed": 0,
            "max_speed": 102400
        }]
    });
    read(value.clone(), port.clone());
    let mut value = value;
    value["port_no"] = json!("0x00000001");
    value["hw_addr"] = json!("ea:68:7d:44:09:75");
    value["properties"][0]["type"] = json!("ethernet");
    both(port, value);
    both(PortFeatures::GB1_FD | PortFeatures::COPPER, json!(["1gb_fd", "copper"]));
    both(MultipartRequest::PortDesc(PortNo::ANY), json!({ "port_description": { "port_no": "all" } }));
}
