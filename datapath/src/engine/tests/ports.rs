//! Whether a frame may come in, with and without the cache.

use super::*;

/// 1.0 has a bit for 802.1D's packets and one for all others (OpenFlow 1.0.0 §5.2.1).
#[test]
fn spanning_tree_packets_have_a_bit_of_their_own() {
    let mut s = TestSwitch::new(Version::V10);
    s.apply(0, 1, Match::any(), vec![Action::output(PortNo(2))]);
    let mut bpdu = frames::tcp();
    bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
    let both = PortConfig::NO_RECV | PortConfig::NO_RECV_STP;
    for (config, plain, stp) in [
        (PortConfig::empty(), true, true),
        (PortConfig::NO_RECV, false, true),
        (PortConfig::NO_RECV_STP, true, false),
        (both, false, false),
        (PortConfig::PORT_DOWN, false, false),
    ] {
        s.port_mut(1).config = config;
        let mut cached = FastPath::new(256, 256, 1);
        for _ in 0..3 {
            for (frame, passes) in [(frames::tcp(), plain), (bpdu.clone(), stp)] {
                for c in [s.run(1, &frame, Time::ZERO), s.run_cached(&mut cached, 1, &frame, Time::ZERO)] {
                    let dropped = if passes { vec![] } else { vec![DropReason::PortNoRecv] };
                    assert_eq!((c.sent.len(), c.drops), (usize::from(passes), dropped), "{config:?}");
                }
            }
        }
    }
}
