//! Makes seeds from the recordings and texts of the test suites: `cargo run --example seeds -- DIR`.
//!
//! Every target gets a directory of DIR; merge them into `corpus` with the target's `-merge=1`, which
//! keeps what reaches code that nothing before it did.

use ofproto::action::Action;
use ofproto::continuation::{Continuation, Part};
use ofproto::flow::FlowMod;
use ofproto::ids::{PortNo, QueueId, TableId, Xid};
use ofproto::message::Message;
use ofproto::wire::encode_continuation;
use ofproto::{Version, json, wire};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("where to?")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let put = |target: &str, name: &str, bytes: &[u8]| -> std::io::Result<()> {
        fs::create_dir_all(out.join(target))?;
        fs::write(out.join(target).join(name), bytes)
    };
    let frames = frames(&root)?;
    let mut stream = vec![0];
    let mut recorded = Vec::new();
    for version in ["of10", "of12", "of13", "of14", "of15"] {
        let mut requests = Vec::new();
        for (i, entry) in fs::read_dir(root.join("tests/vectors").join(version))?.enumerate() {
            let bytes = fs::read(entry?.path())?;
            let Ok((_, message)) = wire::decode(&bytes) else { continue };
            put("json", &format!("{version}-{i}"), json::to_value(&message).to_string().as_bytes())?;
            recorded.push((version, bytes.clone(), message));
            if bytes.len() < 2000 {
                // A request, then a packet; and all of the version's requests in a row.
                let frame = &frames[i * 7 % frames.len()];
                put("switch", &format!("{version}-{i}"), &[&bytes[..], &received(frame)].concat())?;
                requests.extend(&bytes);
                stream.extend(&bytes);
            }
        }
        for (i, frame) in frames.iter().enumerate().step_by(20) {
            put("switch", &format!("{version}-all-{i}"), &[&requests[..], &received(frame)].concat())?;
        }
    }
    stream.truncate(4000);
    put("framer", "stream", &stream)?;
    for (i, frame) in frames.iter().enumerate() {
        // No edit, and four edits that differ from frame to frame.
        put("packet", &format!("{i}-plain"), &[&[0, 0], &frame[..]].concat())?;
        let edits: Vec<u8> = (0..40).map(|n| (i * 31 + n * 17) as u8).collect();
        put("packet", &format!("{i}-edited"), &[&[(i % 16) as u8, 4], &edits[..], &frame[..]].concat())?;
    }
    let flows = fs::read_to_string(root.join("ofproto/tests/flow_syntax.tsv"))?;
    for (i, line) in flows.lines().filter(|l| !l.starts_with('#')).enumerate() {
        for (j, column) in line.split('\t').enumerate() {
            for choice in [0x03, 0x25, 0x33, 0x45, 0x55, 0x63, 0x73] {
                put("text", &format!("{i}-{j}-{choice:x}"), &[&[choice], column.as_bytes()].concat())?;
            }
        }
    }
    for (i, text) in GROUPS_AND_METERS.iter().enumerate() {
        for choice in [0x53, 0x55, 0x63, 0xb5, 0x93] {
            put("text", &format!("g{i}-{choice:x}"), &[&[choice], text.as_bytes()].concat())?;
        }
    }
    for (i, seed) in fuzz::continuation::seeds().iter().enumerate() {
        put("continuation", &format!("walk-{i}"), seed)?;
    }
    for (i, (_, _, message)) in recorded.iter().enumerate() {
        if let Message::FlowMod(m) = message {
            put("continuation", &format!("{i}"), &continuation(m)?)?;
        }
    }
    for (i, file) in captures(&recorded).iter().enumerate() {
        put("capture", &format!("{i}"), file)?;
    }
    for (i, line) in LINES.iter().enumerate() {
        put("management", &format!("{i}"), line.as_bytes())?;
        for event in EVENTS {
            let question = happened(13, line.as_bytes());
            put(
                "bridge",
                &format!("event-{i}-{}", event[0]),
                &[&hello(4), &happened(event[0], event)[..], &question].concat(),
            )?;
        }
    }
    for (i, (_, bytes, _)) in recorded.iter().enumerate().filter(|(_, r)| r.1.len() < 4000) {
        let frame = happened((i % 4) as u8 + 1, &frames[i * 7 % frames.len()]);
        put("bridge", &format!("{i}"), &[&hello(bytes[0]), &bytes[..], &frame].concat())?;
    }
    for version in 1..=6 {
        let mut all = hello(version);
        for (i, (_, bytes, _)) in recorded.iter().enumerate().filter(|(_, r)| r.1[0] == version) {
            all.extend(bytes);
            let event = EVENTS[i % EVENTS.len()];
            all.extend(happened(event[0], event));
        }
        put("bridge", &format!("all-{version}"), &all)?;
    }
    put("snapshot", "all", snapshot(&recorded).as_bytes())?;
    for (i, one) in recorded.chunks(1).enumerate() {
        put("snapshot", &format!("{i}"), snapshot(one).as_bytes())?;
    }
    let settings = fs::read_to_string(root.join("switchd/packaging/switchd.toml"))?;
    put("config", "commented", settings.as_bytes())?;
    put("config", "all", settings.replace("\n#", "\n").as_bytes())?;
    for (i, line) in settings.lines().map(|l| l.trim_start_matches('#')).enumerate() {
        put("config", &format!("{i}"), format!("[[bridge]]\n{line}\n").as_bytes())?;
        put("config", &format!("{i}-alone"), line.as_bytes())?;
    }
    Ok(())
}

type Recorded = (&'static str, Vec<u8>, Message);

/// A packet that has to do what a flow-mod says, in its version.
fn continuation(m: &FlowMod) -> Result<Vec<u8>, Box<dyn Error>> {
    let part = Part {
        table: TableId(m.table.0 % 4),
        cookie: m.cookie,
        version: Version::V15,
        nested: m.priority % 2 == 0,
        table_miss: false,
        instructions: m.instructions.clone(),
    };
    let parts = Version::ALL.into_iter().map(|version| Part { version, ..part.clone() });
    // In every version that can say it.
    let sayable =
        |p: &Part| encode_continuation(&Continuation { parts: vec![p.clone()], ..Continuation::default() }).is_ok();
    let rest = Continuation {
        stack: vec![1, u128::MAX],
        queue: Some(QueueId(1)),
        parts: parts.filter(sayable).collect(),
        set: vec![(Version::V15, Action::output(PortNo(2)))],
        ..Continuation::default()
    };
    Ok(encode_continuation(&rest)?.to_vec())
}

/// The recordings as bytes, as hexadecimal text, and as captures of TCP connections.
fn captures(recorded: &[Recorded]) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for some in recorded.chunks(12) {
        let hex = |b: &Vec<u8>| b.iter().map(|b| format!("{b:02x} ")).collect::<String>();
        files.push(some.iter().map(|r| hex(&r.1) + "# a message\n").collect::<String>().into_bytes());
        let mut pcap: Vec<u8> = Vec::new();
        let mut pcapng: Vec<u8> = Vec::new();
        for n in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1] {
            pcap.extend(u32::to_le_bytes(n));
        }
        for n in [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28, 1, 20, 1, 0, 20] {
            pcapng.extend(u32::to_le_bytes(n));
        }
        let mut seq: u32 = 1000;
        for (_, bytes, _) in some.iter().filter(|r| r.1.len() < 1400) {
            // The second half comes first, then all of it.
            let half = bytes.len() / 2;
            for (from, to) in [(half, bytes.len()), (0, bytes.len())] {
                let packet = tcp(seq.wrapping_add(from as u32), &bytes[from..to]);
                let length = packet.len() as u32;
                for n in [1, 2, length, length] {
                    pcap.extend(u32::to_le_bytes(n));
                }
                pcap.extend(&packet);
                let padded = packet.len().next_multiple_of(4);
                let block = padded as u32 + 32;
                for n in [6, block, 0, 1, 2, length, length] {
                    pcapng.extend(u32::to_le_bytes(n));
                }
                pcapng.extend(&packet);
                pcapng.resize(pcapng.len() + padded - packet.len(), 0);
                pcapng.extend(block.to_le_bytes());
            }
            seq = seq.wrapping_add(bytes.len() as u32);
        }
        files.extend([pcap, pcapng]);
    }
    files
}

/// A segment from port 6653.
fn tcp(seq: u32, data: &[u8]) -> Vec<u8> {
    let mut p = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    p.extend((40 + data.len() as u16).to_be_bytes());
    p.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x19, 0xfd, 0x80, 0]);
    p.extend(seq.to_be_bytes());
    p.extend([0, 0, 0, 0, 0x50, 16, 1, 0, 0, 0, 0, 0]);
    p.extend(data);
    p
}

/// A snapshot of what 1.5 can say of the recordings, the rest as JSON.
fn snapshot(recorded: &[Recorded]) -> String {
    let mut text = String::from("{\"switchd_state\":2}\n");
    let mut count = 1;
    for (i, (_, _, message)) in recorded.iter().enumerate() {
        if !matches!(message, Message::FlowMod(_) | Message::GroupMod(_) | Message::MeterMod(_) | Message::TableMod(_))
        {
            continue;
        }
        match wire::encode(Version::V15, Xid(0), message) {
            Ok(bytes) if i % 4 != 0 => text.extend(bytes.iter().map(|b| format!("{b:02x}"))),
            _ => text += &json::to_value(message).to_string(),
        }
        text += "\n";
        count += 1;
    }
    text + &format!("{{\"port\":{{\"name\":\"e1\",\"config\":33}}}}\n{{\"lines\":{count}}}\n")
}

fn hello(version: u8) -> Vec<u8> {
    vec![version, 0, 0, 8, 0, 0, 0, 1]
}

/// An event's record in the bridge's input.
fn happened(what: u8, bytes: &[u8]) -> Vec<u8> {
    let mut record = vec![0, what];
    record.extend((bytes.len() as u16 + 8).to_be_bytes());
    record.extend([0; 4]);
    record.extend(bytes);
    record
}

/// Connections, ports, queues and time, each named by its first byte.
const EVENTS: &[&[u8]] = &[&[5], &[6], &[7, 0], &[8, 1], &[9, 0], &[10, 100], &[11, 0x81], &[11, 0x42], &[12, 0x12]];

/// Lines of the management socket.
const LINES: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#,
    r#"{"id":"a","method":"flows","params":{"table":0,"filter":"tcp,nw_src=10.0.0.0/8"}}"#,
    r#"{"id":2,"method":"trace","params":{"in_port":1,"packet":"020000000001020000000002080045000014000000004011"}}"#,
    r#"{"id":2,"method":"trace","params":{"in_port":1,"flow":"tcp6,ipv6_src=fe80::1,tp_dst=80,dl_vlan=5"}}"#,
    r#"{"id":2,"method":"trace","params":{"in_port":1,"flow":"arp,arp_spa=10.0.0.1,arp_op=2"}}"#,
    r#"{"id":2,"method":"trace","params":{"in_port":2,"flow":"dl_type=0x8847,mpls_label=5,mpls_bos=1"}}"#,
    r#"{"id":2,"method":"trace","params":{"in_port":2,"flow":"icmp6,icmp_type=135,nd_target=fe80::1,pbb_isid=7"}}"#,
    r#"[{"id":6,"method":"bridges"},{"method":"methods"},3]"#,
    r#"{"id":3,"method":"add-port","params":{"port":"3=eth3,type=af_packet,workers=2"}}"#,
    r#"{"id":3,"method":"del-port","params":{"port":4,"bridge":"br0"}}"#,
    r#"{"id":3,"method":"add-queue","params":{"queue":"eth2:1,min-rate=10%,max-rate=50M"}}"#,
    r#"{"id":3,"method":"del-queue","params":{"port":"eth2","id":7}}"#,
    r#"{"id":4,"method":"set-log","params":{"filter":"warn,switchd::agent=debug"}}"#,
    r#"{"id":null,"method":"groups"}"#,
    r#"{"id":5,"method":"meters"}"#,
    r#"{"id":5,"method":"ports"}"#,
    r#"{"id":5,"method":"queues"}"#,
    r#"{"id":5,"method":"tables"}"#,
    r#"{"id":5,"method":"counters"}"#,
];

const GROUPS_AND_METERS: &[&str] = &[
    "add group_id=1,type=select,selection_method=hash,fields(ip_dst,tcp_dst),bucket=weight:5,output:1,bucket=output:2",
    "group_id=7,type=ff,bucket=watch_port:1,output:1,bucket=watch_group:2,actions=group:2",
    "insert_bucket group_id=1,command_bucket_id=first,bucket=bucket_id=3,weight:1,actions=output:3",
    "meter=1,kbps,burst,stats,band=type=drop,rate=1000,burst_size=100,band=type=dscp_remark,rate=5,prec_level=1",
    "in_port=controller,packet=000102030405060708090a0b0800,actions=output:1,set_field:5->reg0",
];

/// A packet's record in the switch's input.
fn received(frame: &[u8]) -> Vec<u8> {
    let mut record = vec![0, frame.len() as u8];
    record.extend((frame.len() as u16 + 8).to_be_bytes());
    record.extend([0; 4]);
    record.extend(frame);
    record
}

fn frames(root: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut frames = Vec::new();
    for line in fs::read_to_string(root.join("tests/packet_oracle/vectors.jsonl"))?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if let Some(hex) = value["in"].as_str() {
            let bytes: Result<Vec<u8>, _> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16)).collect();
            frames.push(bytes?);
        }
    }
    Ok(frames)
}
