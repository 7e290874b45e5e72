//! What a controller can make one packet cost.

use super::*;

/// `OFPP_TABLE` out of a register: each time round is a level, not only a lookup, or the stack ends before the bounds do.
#[test]
fn a_packet_that_submits_itself_ends() {
    let mut s = TestSwitch::new(Version::V13);
    let reg = sub(F::Reg0, 0, 16);
    let again = vec![
        Action::Nicira(NxAction::RegLoad { dst: reg.clone(), value: 0xfff9 }),
        out(2),
        Action::Nicira(NxAction::OutputReg { src: reg, max_len: 0, v2: false }),
    ];
    s.apply(0, 1, Match::any(), again);
    let c = s.run(1, &frames::tcp(), T);
    assert_eq!(c.drops, [DropReason::TooComplex]);
    assert!(c.sent.len() <= MAX_DEPTH as usize + 1, "{}", c.sent.len());
}
