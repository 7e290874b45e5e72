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
