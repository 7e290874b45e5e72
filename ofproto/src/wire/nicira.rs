//! Nicira's actions (`NXAST_*`), which every version carries in its experimenter (1.0: vendor) action.
//! Their layouts are Open vSwitch's: port numbers have 16 bits, fields are NXM or OXM headers.
//!
//! Actions in actions (`ct`, `clone`) nest no deeper than [`Reader::descend`] lets them.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(super) use decode::decode;
pub(super) use encode::encode;

const RESUBMIT: u16 = 1;
const SET_TUNNEL: u16 = 2;
const SET_QUEUE: u16 = 4;
const POP_QUEUE: u16 = 5;
const REG_MOVE: u16 = 6;
const REG_LOAD: u16 = 7;
const NOTE: u16 = 8;
const SET_TUNNEL64: u16 = 9;
const MULTIPATH: u16 = 10;
const BUNDLE: u16 = 12;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const EXIT: u16 = 17;
const DEC_TTL: u16 = 18;
const FIN_TIMEOUT: u16 = 19;
const CONTROLLER: u16 = 20;
const DEC_TTL_CNT_IDS: u16 = 21;
const WRITE_METADATA: u16 = 22;
const PUSH_MPLS: u16 = 23;
const POP_MPLS: u16 = 24;
const SET_MPLS_TTL: u16 = 25;
const DEC_MPLS_TTL: u16 = 26;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
const SAMPLE: u16 = 29;
const SET_MPLS_LABEL: u16 = 30;
const SET_MPLS_TC: u16 = 31;
const OUTPUT_REG2: u16 = 32;
const REG_LOAD2: u16 = 33;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const NAT: u16 = 36;
const CONTROLLER2: u16 = 37;
const SAMPLE2: u16 = 38;
const OUTPUT_TRUNC: u16 = 39;
const SAMPLE3: u16 = 41;
const CLONE: u16 = 42;
const CT_CLEAR: u16 = 43;
const RESUBMIT_TABLE_CT: u16 = 44;
const LEARN2: u16 = 45;
const ENCAP: u16 = 46;
const DECAP: u16 = 47;
const DEC_NSH_TTL: u16 = 48;
const CHECK_PKT_LARGER: u16 = 49;
const DELETE_FIELD: u16 = 50;

/// Properties of `NXAST_CONTROLLER2`.
const PROP_MAX_LEN: u16 = 0;
const PROP_CONTROLLER_ID: u16 = 1;
const PROP_REASON: u16 = 2;
const PROP_USERDATA: u16 = 3;
const PROP_PAUSE: u16 = 4;
const PROP_METER: u16 = 5;

/// The bytes before the subtype: type, length, vendor.
const BEFORE: usize = 8;
