//! Replays `tests/packet_oracle/vectors.jsonl`: packets and edits with the results that Scapy, which
//! shares no code with us, says they have. `tests/packet_oracle/generate.py` describes the format.

use datapath::frame::{Frame, PartialChecksum};
use datapath::packet::Packet;
use ofproto::field::{FIELDS, FieldId};
use serde_json::Value;
use std::collections::HashMap;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/packet_oracle/vectors.jsonl");

struct Kind {
    bytes: Vec<u8>,
    fields: HashMap<String, u128>,
    partial: Option<(Vec<u8>, PartialChecksum)>,
}

struct Edit {
    kind: String,
    op: String,
    args: Vec<Value>,
    out: Option<Vec<u8>>,
    error: bool,
}

fn text<'a>(v: &'a Value, name: &str) -> &'a str {
    v[name].as_str().unwrap_or_else(|| panic!("no {name} in {v}"))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
}

fn number(text: &str) -> u128 {
    u128::from_str_radix(text, 16).expect("a number")
}

fn load() -> (HashMap<String, Kind>, Vec<Edit>) {
    let file = std::fs::read_to_string(VECTORS).expect("the vectors");
    let (mut kinds, mut edits) = (HashMap::new(), Vec::new());
    for line in file.lines() {
        let v: Value = serde_json::from_str(line).expect("JSON");
        let kind = text(&v, "kind").to_owned();
        if v.get("in").is_some() {
            let fields = v["fields"].as_object().expect("fields");
            let fields = fields.iter().map(|(k, v)| (k.clone(), number(v.as_str().expect("text")))).collect();
            let small = |v: &Value| v.as_u64().expect("a number") as u16;
            let partial = v.get("partial").map(|p| {
                (hex(text(p, "in")), PartialChecksum { start: small(&p["start"]), offset: small(&p["offset"]) })
            });
            kinds.insert(kind, Kind { bytes: hex(text(&v, "in")), fields, partial });
        } else {
            edits.push(Edit {
                kind,
                op: text(&v, "op").to_owned(),
                args: v["args"].as_array().expect("arguments").clone(),
                out: v.get("out").map(|o| hex(o.as_str().expect("hex"))),
                error: v["error"] == true,
            });
        }
    }
    (kinds, edits)
}

/// Applies the edit; whether it failed.
fn apply(p: &mut Packet, edit: &Edit) -> bool {
    let arg = || edit.args[0].as_u64().expect("an argument") as u16;
    match edit.op.as_str() {
        "push_vlan" => p.push_vlan(arg()),
        "pop_vlan" => p.pop_vlan(),
        "set_vlan_vid" => p.set_vlan_vid(arg()),
        "set_vlan_pcp" => p.set_vlan_pcp(arg() as u8),
        "push_mpls" => p.push_mpls(arg()),
        "pop_mpls" => p.pop_mpls(arg()),
        "push_pbb" => p.push_pbb(arg()),
        "pop_pbb" => p.pop_pbb(),
        "set_mpls_ttl" => p.set_mpls_ttl(arg() as u8),
        "dec_mpls_ttl" => return p.dec_mpls_ttl().is_err(),
        "set_nw_ttl" => p.set_nw_ttl(arg() as u8),
        "dec_nw_ttl" => return p.dec_nw_ttl().is_err(),
        "copy_ttl_out" => p.copy_ttl_out(),
        "copy_ttl_in" => p.copy_ttl_in(),
        "set_tp_src" => p.set_tp_src(arg()),
        "set_tp_dst" => p.set_tp_dst(arg()),
        "set_field" => {
            let part = |i: usize| edit.args[i].as_str().expect("text");
            p.set_field(FieldId::by_name(part(0)).expect("a field"), number(part(1)), number(part(2)));
        }
        op => panic!("unknown edit {op}"),
    }
    false
}

fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn every_field_is_parsed_as_scapy_says() {
    let (kinds, _) = load();
    assert!(kinds.len() >= 61, "{} kinds", kinds.len());
    let mut wrong = Vec::new();
    for (name, kind) in &kinds {
        let p = Packet::new(Frame::from_bytes(&kind.bytes));
        for f in FIELDS.iter().filter(|f| is_in_frame(f.id)) {
            let (ours, theirs) = (p.field(f.id), kind.fields.get(f.name).copied());
            if ours != theirs {
                wrong.push(format!("{name}: {} is {ours:x?}, expected {theirs:x?}", f.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The fields that the vectors list.
fn is_in_frame(field: FieldId) -> bool {
    let f = field.info();
    let pipeline = ["in_", "metadata", "tunnel", "tun_", "reg", "xreg", "xxreg", "ct_", "nsh_", "pkt_mark", "dp_hash"];
    let other = ["actset_output", "packet_type", "recirc_id", "conj_id", "vlan_tci"];
    !pipeline.iter().any(|p| f.name.starts_with(p)) && !other.contains(&f.name)
}

#[test]
fn every_edit_gives_scapys_bytes() {
    let (kinds, edits) = load();
    assert!(edits.len() >= 5900, "{} edits", edits.len());
    let mut wrong = Vec::new();
    for edit in &edits {
        let kind = &kinds[&edit.kind];
        let expected = edit.out.as_ref().unwrap_or(&kind.bytes);
        let mut p = Packet::new(Frame::from_bytes(&kind.bytes));
        let error = apply(&mut p, edit);
        if error != edit.error || p.frame.bytes() != expected {
            wrong.push(format!(
                "{}: {} {:?}\n  before   {}\n  expected {}\n  got      {} (error {error})",
                edit.kind,
                edit.op,
                edit.args,
                show(&kind.bytes),
                show(expected),
                show(p.frame.bytes()),
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), edits.len(), wrong.join("\n"));
}

/// An edit before a checksum is finished gives what the edit of a finished packet gives.
#[test]
fn edits_of_unfinished_checksums_end_the_same() {
    let (kinds, edits) = load();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for edit in &edits {
        let kind = &kinds[&edit.kind];
        let Some((bytes, partial)) = &kind.partial else { continue };
        count += 1;
        let mut frame = Frame::from_bytes(bytes);
        frame.offload.checksum = Some(*partial);
        let mut p = Packet::new(frame);
        apply(&mut p, edit);
        p.finish_checksum();
        let expected = edit.out.as_ref().unwrap_or(&kind.bytes);
        if p.frame.bytes() != expected {
            wrong.push(format!(
                "{}: {} {:?}\n  expected {}\n  got      {}",
                edit.kind,
                edit.op,
                edit.args,
                show(expected),
                show(p.frame.bytes()),
            ));
        }
    }
    assert!(count >= 1200, "{count} edits");
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
