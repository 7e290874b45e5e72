//! Speed and duplex.

use ofproto::port::PortFeatures;
use std::path::Path;

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

/// What `/sys/class/net` says of an interface.
///
/// sysfs shows the network namespace it was mounted in, which needn't be ours (`mnexec` and `nsenter -n`
/// don't mount it again): an entry counts only if it has our interface's number and address.
pub fn speed_of(name: &str, ifindex: u32, mac: ofproto::ids::MacAddr) -> Option<Speed> {
    if name.contains('/') {
        return None;
    }
    let dir = Path::new("/sys/class/net").join(name);
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).ok().map(|s| s.trim().to_owned());
    if read("ifindex")? != ifindex.to_string() || read("address")? != mac.to_string() {
        return None;
    }
    from_text(&read("speed")?, &read("duplex")?)
}

/// Drivers without a speed say -1 (or fail to answer, which the caller sees as no text).
fn from_text(speed: &str, duplex: &str) -> Option<Speed> {
    let mbps = speed.parse::<u32>().ok().filter(|n| *n > 0 && *n < u32::MAX)?;
    Some(Speed { mbps, full_duplex: duplex != "half" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        assert_eq!(from_text("10000", "full"), Some(Speed { mbps: 10_000, full_duplex: true }));
        assert_eq!(from_text("100", "half").map(Speed::features), Some(PortFeatures::MB100_HD));
        assert_eq!(from_text("2500", "full").map(Speed::features), Some(PortFeatures::OTHER));
        for unknown in ["-1", "0", "4294967295", ""] {
            assert_eq!(from_text(unknown, "unknown"), None);
        }
        assert_eq!(Speed { mbps: 5_000_000, full_duplex: true }.kbps(), u32::MAX);
    }
}
