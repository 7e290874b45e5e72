//! Every recorded message of `tests/vectors`: bytes → model → the same bytes, and the model means what
//! the recording's own description (`json/`) says.

use ofproto::Version;
use ofproto::wire;
use std::fs;
use std::path::PathBuf;

/// The directories and the versions they hold, with the number of files each must have, so that no
/// file goes missing unnoticed.
const DIRECTORIES: &[(&str, Version, usize)] = &[
    ("of10", Version::V10, 13),
    ("of12", Version::V12, 47),
    ("of13", Version::V13, 105),
    ("of14", Version::V14, 73),
    ("of15", Version::V15, 77),
];

/// A recording that isn't one whole message, or that is wrong.
struct Exception {
    path: &'static str,
    /// The proof.
    why: &'static str,
    /// The bytes that mend it (offset, new value), after which it must pass; none where nothing can.
    mend: &'static [(usize, u8)],
}

const EXCEPTIONS: &[Exception] = &[
    Exception { path: "of13/libofproto-OFP13-flow_mod.truncated64", why: "the file is empty", mend: &[] },
    Exception {
        path: "of15/libofproto-OFP15-flow_desc_reply.packet",
        why: "the goto-table instruction at 0x48 says len 0x0808 where eight bytes are left; its own \
              expectation in json/of15 says len 8, table_id 2",
        mend: &[(0x4a, 0x00)],
    },
    Exception {
        path: "of15/libofproto-OFP15-meter_features_reply.packet",
        why: "header.length is 32, the size of 1.3's and 1.4's reply; 1.5's ofp_meter_features is 24 bytes \
              after 16 of headers, and the file has 40",
        mend: &[(0x03, 40)],
    },
];

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn files(dir: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(vectors().join(dir))
        .expect("vectors are part of the source tree")
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(16).map(|row| row.iter().map(|b| format!("{b:02x} ")).collect::<String>() + "\n").collect()
}

#[test]
fn every_recording_survives_decode_and_encode() {
    let mut failures = Vec::new();
    for (dir, version, count) in DIRECTORIES {
        let files = files(dir);
        assert_eq!(files.len(), *count, "files in {dir}");
        let mut passed = 0;
        for (name, bytes) in &files {
            let path = format!("{dir}/{name}");
            let outcome = round_trip(*version, bytes);
            match (outcome, EXCEPTIONS.iter().find(|e| e.path == path)) {
                (Ok(()), None) => passed += 1,
                (Err(_), Some(exception)) => {
                    let mut mended = bytes.clone();
                    exception.mend.iter().for_each(|(at, byte)| mended[*at] = *byte);
                    if !exception.mend.is_empty()
                        && let Err(e) = round_trip(*version, &mended)
                    {
                        failures.push(format!("{path}, mended: {e}"));
                    }
                    println!("{path}: {}", exception.why);
                }
                (Ok(()), Some(_)) => failures.push(format!("{path} passes, yet is listed as wrong")),
                (Err(e), None) => failures.push(format!("{path}: {e}")),
            }
        }
        println!("{dir}: {passed} of {} as recorded", files.len());
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn round_trip(version: Version, bytes: &[u8]) -> Result<(), String> {
    let (header, message) = wire::decode(bytes).map_err(|e| format!("decode: {e}"))?;
    if header.version != version.wire() {
        return Err(format!("version {} in a directory of {version}", header.version));
    }
    // The codec knows all that was recorded of Nicira's: none of it survives as mere bytes. (Two
    // recordings have "exp_data" as an action of theirs, which is none.)
    let debug = format!("{message:?}").replace("Nicira(Unknown { subtype: 25976, data: b\"p_data\" })", "");
    if debug.contains("Nicira(Unknown") || debug.contains("ExperimenterId(8992)") {
        return Err(format!("a Nicira structure is not understood: {debug}"));
    }
    let again = wire::encode(version, header.xid, &message).map_err(|e| format!("encode: {e}\n{message:#?}"))?;
    if again != bytes {
        return Err(format!("differs\n{message:?}\nrecorded\n{}written\n{}", hex(bytes), hex(&again)));
    }
    Ok(())
}

/// Numbers whose name in the descriptions is that of the model.
const SAME_NAME: &[&str] = &[
    "idle_timeout",
    "hard_timeout",
    "priority",
    "cookie",
    "cookie_mask",
    "importance",
    "buffer_id",
    "out_port",
    "out_group",
    "total_len",
    "max_len",
    "ethertype",
    "port_no",
    "watch_port",
    "watch_group",
    "weight",
    "ref_count",
    "curr_speed",
    "max_speed",
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_dropped",
    "tx_dropped",
    "rx_errors",
    "tx_errors",
    "collisions",
    "rx_crc_err",
    "tx_min_freq_lmda",
    "rx_grid_freq_lmda",
    "bias_current",
    "temperature",
    "rate",
    "burst_size",
    "prec_level",
    "packet_in_count",
    "byte_in_count",
    "max_bands",
    "max_color",
    "band_types",
    "max_meter",
    "generation_id",
    "short_id",
    "miss_send_len",
    "n_buffers",
    "n_tables",
    "auxiliary_id",
    "metadata_match",
    "metadata_write",
    "max_entries",
    "active_count",
    "lookup_count",
    "matched_count",
    "grid_span",
    "tx_pwr",
    "freq_lmda",
    "channel_status",
    // Nicira's actions.
    "basis",
    "max_link",
    "arg",
    "controller_id",
    "probability",
    "collector_set_id",
    "obs_domain_id",
    "obs_point_id",
    "n_clauses",
    "fin_idle_timeout",
    "fin_hard_timeout",
    "alg",
    "recirc_table",
];

/// Every number called `name` in a description, in order.
fn described(name: &str, json: &serde_json::Value, found: &mut Vec<u64>) {
    match json {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_u64() {
                    Some(n) if key == name => found.push(n),
                    _ => described(name, value, found),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| described(name, v, found)),
        _ => {}
    }
}

/// Every number that the model calls `name`, in order, newtypes or not.
fn modelled(name: &str, debug: &str) -> Vec<u64> {
    let key = format!(" {name}: ");
    debug
        .match_indices(&key)
        .filter_map(|(at, key)| {
            let value = &debug[at + key.len()..];
            let value =
                value.split_once('(').filter(|(t, _)| t.chars().all(char::is_alphabetic)).map_or(value, |v| v.1);
            value.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
        .collect()
}

/// A value of a description: a number, or text of an address.
fn value(json: &serde_json::Value) -> Option<u128> {
    let text = match json {
        serde_json::Value::Number(n) => return n.as_u64().map(u128::from),
        serde_json::Value::String(text) => text,
        _ => return None,
    };
    if let Ok(v4) = text.parse::<std::net::Ipv4Addr>() {
        return Some(u32::from(v4).into());
    }
    if let Ok(v6) = text.parse::<std::net::Ipv6Addr>() {
        return Some(u128::from(v6));
    }
    text.split(':').try_fold(0u128, |n, byte| Some((n << 8) | u128::from(u8::from_str_radix(byte, 16).ok()?)))
}

/// Every match field of a description: name, value, mask.
fn described_fields(json: &serde_json::Value, found: &mut Vec<(String, u128, Option<u128>)>) {
    match json {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(tlv)) = map.get("OXMTlv") {
                let name = tlv["field"].as_str().expect("a name");
                if let Some(v) = value(&tlv["value"]) {
                    let name = if name == "tun_ipv4_src" { "tun_src" } else { name };
                    let name = if name == "tun_ipv4_dst" { "tun_dst" } else { name };
                    found.push((name.to_owned(), v, value(&tlv["mask"])));
                }
            }
            map.values().for_each(|v| described_fields(v, found));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| described_fields(v, found)),
        _ => {}
    }
}

/// The fields of a description's fixed match, as far as the recordings have them.
fn described_fixed(json: &serde_json::Value, found: &mut Vec<(String, u128, Option<u128>)>) {
    match json {
        serde_json::Value::Object(map) => {
            if let Some(m) = map.get("OFPMatch").filter(|m| m.get("wildcards").is_some()) {
                let wildcards = m["wildcards"].as_u64().expect("a number");
                let places = [
                    ("in_port", "in_port", 1),
                    ("dl_src", "eth_src", 4),
                    ("dl_dst", "eth_dst", 8),
                    ("dl_type", "eth_type", 16),
                ];
                for (theirs, ours, bit) in places {
                    if wildcards & bit == 0 {
                        found.push((ours.to_owned(), value(&m[theirs]).expect("a value"), None));
                    }
                }
            }
            // A packet's ingress port stands alone.
            if let Some(m) = map.get("OFPPacketIn") {
                found.push(("in_port".to_owned(), value(&m["in_port"]).expect("a number"), None));
            }
            map.values().for_each(|v| described_fixed(v, found));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| described_fixed(v, found)),
        _ => {}
    }
}

/// Every match field of the model, likewise.
fn modelled_fields(debug: &str) -> Vec<(String, u128, Option<u128>)> {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
    debug
        .match_indices("MatchField { id: ")
        .map(|(at, key)| {
            let text = &debug[at + key.len()..];
            let (id, rest) = text.split_once(", value: ").expect("a value follows");
            let (v, mask) = rest.split_once(", mask: ").expect("a mask follows");
            let name = ofproto::field::FIELDS.iter().find(|f| format!("{:?}", f.id) == id).expect("a field").name;
            (name.to_owned(), number(v).expect("a number"), mask.strip_prefix("Some(").and_then(number))
        })
        .collect()
}

#[test]
fn recordings_mean_what_their_descriptions_say() {
    let (mut fields, mut numbers, mut failures) = (0, 0, Vec::new());
    for (dir, _, _) in DIRECTORIES {
        for (name, bytes) in files(dir) {
            let Ok(text) = fs::read_to_string(vectors().join("json").join(dir).join(format!("{name}.json"))) else {
                continue;
            };
            let (Ok((_, message)), Ok(json)) = (wire::decode(&bytes), serde_json::from_str(&text)) else { continue };
            let debug = format!("{message:?}");
            let mut expected = Vec::new();
            described_fields(&json, &mut expected);
            if dir == &"of10" {
                described_fixed(&json, &mut expected);
            }
            let mut found = modelled_fields(&debug);
            // A description of a 1.3 packet-out has its in_port outside of a match.
            found.retain(|f| !text.contains("OFPPacketOut") || expected.contains(f));
            fields += expected.len();
            // The descriptions' keys are sorted, so instructions come before the match.
            expected.sort();
            found.sort();
            if found != expected {
                failures.push(format!("{dir}/{name}: fields {found:?}\n  described {expected:?}"));
            }
            for number in SAME_NAME {
                let mut expected = Vec::new();
                described(number, &json, &mut expected);
                let mut found = modelled(number, &debug);
                // 1.0's reserved port numbers have 16 bits.
                if dir == &"of10" && number.contains("port") {
                    expected.iter_mut().filter(|n| **n >= 0xff00).for_each(|n| *n += 0xffff_0000);
                }
                // A features reply's ports are described in the order of their numbers.
                // A learn action's priority stands in it, before or after its flow's.
                if text.contains("OFPSwitchFeatures") || text.contains("NXActionLearn") {
                    expected.sort();
                    found.sort();
                }
                // What a version lacks has a value in the model, or the description another name.
                if found.is_empty() || expected.is_empty() {
                    continue;
                }
                numbers += expected.len();
                if found != expected {
                    failures.push(format!("{dir}/{name}: {number} {found:?}, described {expected:?}"));
                }
            }
        }
    }
    println!("{fields} match fields and {numbers} numbers compared");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(fields > 450 && numbers > 2500, "only {fields} fields and {numbers} numbers compared");
}
