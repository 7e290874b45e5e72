//! Inputs that once broke a promise of `fuzz/src`, each with what must hold now.

use ofproto::{Version, wire};

/// Reads, writes and reads again.
fn survives(bytes: &[u8]) {
    let (header, message) = wire::decode(bytes).expect("sound");
    let version = Version::from_wire(header.version).expect("known");
    let written = wire::encode(version, header.xid, &message).expect("sayable");
    assert_eq!(wire::decode(&written).expect("sound").1, message);
}

/// 1.0's features reply with a port whose state has the bit that later versions call `OFPPS_LIVE`.
#[test]
fn an_undefined_state_bit_of_1_0_is_not_live() {
    let mut bytes = vec![1, 6, 0, 80, 0, 0, 0, 1];
    bytes.extend([0; 24]);
    bytes.extend([0, 1, 2, 0, 0, 0, 0, 1]);
    bytes.extend(*b"eth0\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 4]);
    bytes.extend([0; 16]);
    survives(&bytes);
}
