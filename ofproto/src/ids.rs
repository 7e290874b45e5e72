//! Newtypes for the numbers that OpenFlow hands around, so that none is taken for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $fmt:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $fmt, self.0)
            }
        }
        impl From<$inner> for $name {
            fn from(n: $inner) -> Self {
                Self(n)
            }
        }
    };
}

id!(/// A transaction id (header `xid`).
    Xid(u32), "{:#010x}");
id!(/// A datapath id.
    Dpid(u64), "{:016x}");
id!(/// A flow table (`table_id`).
    TableId(u8), "{}");
id!(/// A group.
    GroupId(u32), "{}");
id!(/// A meter.
    MeterId(u32), "{}");
id!(/// A queue of a port.
    QueueId(u32), "{}");
id!(/// A flow entry's opaque cookie.
    Cookie(u64), "{:#x}");
id!(/// A packet kept by the switch for the controller.
    BufferId(u32), "{}");
id!(/// An experimenter (vendor) id.
    ExperimenterId(u32), "{:#010x}");
id!(/// A bundle.
    BundleId(u32), "{}");
id!(/// A flow monitor.
    MonitorId(u32), "{}");
id!(/// A group bucket (1.5).
    BucketId(u32), "{}");

/// A port number in the 32-bit form of OpenFlow 1.1 and later; the 1.0 codec maps the reserved
/// range `0xff00..=0xffff` to `0xffffff00..=0xffffffff` and back (OpenFlow 1.3.5 §7.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNo(pub u32);

impl PortNo {
    /// The highest number of a physical or logical port.
    pub const MAX: Self = Self(0xffff_ff00);
    /// `OFPP_UNSET` (1.5): no output port in the action set.
    pub const UNSET: Self = Self(0xffff_fff7);
    /// `OFPP_IN_PORT`
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// `OFPP_TABLE`
    pub const TABLE: Self = Self(0xffff_fff9);
    /// `OFPP_NORMAL`
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// `OFPP_FLOOD`
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// `OFPP_ALL`
    pub const ALL: Self = Self(0xffff_fffc);
    /// `OFPP_CONTROLLER`
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// `OFPP_LOCAL`
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// `OFPP_ANY` (1.0: `OFPP_NONE`)
    pub const ANY: Self = Self(0xffff_ffff);

    /// Whether this is a number a physical or logical port may bear (1 ..= OFPP_MAX).
    pub const fn is_ordinary(self) -> bool {
        self.0 != 0 && self.0 <= Self::MAX.0
    }

    /// The lower-case reserved name, if any (`in_port`, `flood`, …).
    pub const fn reserved_name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNSET => "UNSET",
            Self::IN_PORT => "IN_PORT",
            Self::TABLE => "TABLE",
            Self::NORMAL => "NORMAL",
            Self::FLOOD => "FLOOD",
            Self::ALL => "ALL",
            Self::CONTROLLER => "CONTROLLER",
            Self::LOCAL => "LOCAL",
            Self::ANY => "ANY",
            _ => return None,
        })
    }
}

impl fmt::Display for PortNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl TableId {
    /// `OFPTT_MAX`: the last usable table.
    pub const MAX: Self = Self(0xfe);
    /// `OFPTT_ALL`
    pub const ALL: Self = Self(0xff);
}

impl GroupId {
    /// `OFPG_MAX`
    pub const MAX: Self = Self(0xffff_ff00);
    /// `OFPG_ALL`
    pub const ALL: Self = Self(0xffff_fffc);
    /// `OFPG_ANY`
    pub const ANY: Self = Self(0xffff_ffff);
}

impl MeterId {
    /// `OFPM_MAX`
    pub const MAX: Self = Self(0xffff_0000);
    /// `OFPM_SLOWPATH`
    pub const SLOWPATH: Self = Self(0xffff_fffd);
    /// `OFPM_CONTROLLER`
    pub const CONTROLLER: Self = Self(0xffff_fffe);
    /// `OFPM_ALL`
    pub const ALL: Self = Self(0xffff_ffff);
}

impl QueueId {
    /// `OFPQ_ALL`
    pub const ALL: Self = Self(0xffff_ffff);
}

impl BufferId {
    /// `OFP_NO_BUFFER`
    pub const NONE: Self = Self(0xffff_ffff);
}

impl ExperimenterId {
    /// Open Networking Foundation.
    pub const ONF: Self = Self(0x4f4e_4600);
    /// Nicira (Open vSwitch).
    pub const NICIRA: Self = Self(0x0000_2320);
    /// Network Service Header fields.
    pub const NSH: Self = Self(0x005a_d650);
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
