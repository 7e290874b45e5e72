//! Every recorded message of `tests/vectors`: bytes → model → the same bytes.

use ofproto::Version;
use ofproto::wire;
use std::fs;
use std::path::PathBuf;

/// The directories and the versions they hold, with the number of files each must have, so that no
/// file goes missing unnoticed.
const DIRECTORIES: &[(&str, Version, usize)] =
    &[("of13", Version::V13, 105), ("of14", Version::V14, 73), ("of15", Version::V15, 77)];

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
    let again = wire::encode(version, header.xid, &message).map_err(|e| format!("encode: {e}\n{message:#?}"))?;
    if again != bytes {
        return Err(format!("differs\n{message:?}\nrecorded\n{}written\n{}", hex(bytes), hex(&again)));
    }
    Ok(())
}
