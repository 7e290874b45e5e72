//! A snapshot's file: any bytes are read whole or refused with a line, and what was read is written and read the
//! same.

use std::path::Path;
use switchd::bridge::snapshot::{SnapshotError, read, write_lines};

/// Input: the file.
pub fn run(data: &[u8]) {
    let path = Path::new("br0.state");
    let lines = match read(path, data) {
        Ok(lines) => lines,
        Err(e) => return assert!(e.to_string().starts_with("br0.state")),
    };
    let failed = |source| SnapshotError::Io { path: path.to_owned(), source };
    let mut written = Vec::new();
    let count = write_lines(&mut written, lines.iter().cloned().map(Ok), failed).expect("memory takes all");
    assert_eq!(count, lines.len());
    assert_eq!(read(path, &written[..]).expect("what was written is read"), lines);
}
