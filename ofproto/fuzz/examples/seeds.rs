//! Makes seeds from the recordings and texts of the test suites: `cargo run --example seeds -- DIR`.
//!
//! Every target gets a directory of DIR; merge them into `corpus` with the target's `-merge=1`, which
//! keeps what reaches code that nothing before it did.

use ofproto::{json, wire};
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
    for version in ["of10", "of12", "of13", "of14", "of15"] {
        let mut requests = Vec::new();
        for (i, entry) in fs::read_dir(root.join("tests/vectors").join(version))?.enumerate() {
            let bytes = fs::read(entry?.path())?;
            let Ok((_, message)) = wire::decode(&bytes) else { continue };
            put("json", &format!("{version}-{i}"), json::to_value(&message).to_string().as_bytes())?;
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
    Ok(())
}

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
