//! Speed and duplex.

use ofproto::port::PortFeatures;

/// How fast an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// In Mb/s, as drivers report it.
    pub mbps: u32,
    /// Both ways at once.
    pub full_duplex: bool,
}

impl Speed {
    /// The speed in kb/s as OpenFlow counts it (`ofp_port.curr_speed`), at most `u32::MAX`.
    pub const fn kbps(self) -> u32 {
        self.mbps.saturating_mul(1000)
    }

    /// The one `ofp_port_features` bit for it; `OTHER` for a speed without a bit.
    pub const fn features(self) -> PortFeatures {
        match (self.mbps, self.full_duplex) {
            (10, false) => PortFeatures::MB10_HD,
            (10, true) => PortFeatures::MB10_FD,
            (100, false) => PortFeatures::MB100_HD,
            (100, true) => PortFeatures::MB100_FD,
            (1000, false) => PortFeatures::GB1_HD,
            (1000, true) => PortFeatures::GB1_FD,
            (10_000, true) => PortFeatures::GB10_FD,
            (40_000, true) => PortFeatures::GB40_FD,
            (100_000, true) => PortFeatures::GB100_FD,
            (1_000_000, true) => PortFeatures::TB1_FD,
            _ => PortFeatures::OTHER,
        }
    }
}

/// What the driver of an interface says, if it says anything.
pub fn speed_of(name: &str) -> Option<Speed> {
    datapath::port::link_speed(name).map(|(mbps, full_duplex)| Speed { mbps, full_duplex })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_their_bits() {
        let bits = |mbps, full_duplex| Speed { mbps, full_duplex }.features();
        assert_eq!(bits(10_000, true), PortFeatures::GB10_FD);
        assert_eq!(bits(100, false), PortFeatures::MB100_HD);
        assert_eq!(bits(2500, true), PortFeatures::OTHER);
        assert_eq!(Speed { mbps: 5_000_000, full_duplex: true }.kbps(), u32::MAX);
        assert_eq!((speed_of("no-such-link"), speed_of("a/b"), speed_of("")), (None, None, None));
    }
}
