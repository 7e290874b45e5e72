//! What must hold for any bytes at all, one module per fuzz target.
//!
//! Each `run` takes what the fuzzer made and panics where a promise is broken. `fuzz_targets/` hands
//! them to libFuzzer; `tests/fuzz-smoke` builds and runs that without a nightly toolchain.
#![forbid(unsafe_code)]

#[cfg(feature = "daemon")]
pub mod bridge;
pub mod capture;
#[cfg(feature = "daemon")]
pub mod config;
pub mod continuation;
pub mod framer;
pub mod json;
#[cfg(feature = "daemon")]
pub mod management;
pub mod packet;
mod rig;
pub mod segments;
#[cfg(feature = "daemon")]
pub mod snapshot;
pub mod switch;
pub mod text;
pub mod wire;

use ofproto::Version;

/// All versions, for a target whose input chooses one by a byte.
pub const VERSIONS: [Version; 6] = [Version::V10, Version::V11, Version::V12, Version::V13, Version::V14, Version::V15];

/// The version that a byte chooses.
pub fn version(byte: u8) -> Version {
    VERSIONS[usize::from(byte) % VERSIONS.len()]
}
