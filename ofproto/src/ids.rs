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

id!(
    /// A transaction id, the header's `xid`: a reply bears its request's.
    ///
    /// OpenFlow 1.3.5 §7.1.1, 1.5.1 §7.1.1, 1.0.0 §5.1.
    Xid(u32), "{:#010x}");
id!(
    /// A datapath id: which switch. The lower 48 bits are for a MAC address, the upper 16 are the implementer's.
    ///
    /// OpenFlow 1.3.5 §7.3.1, 1.5.1 §7.3.1, 1.0.0 §5.3.1.
    Dpid(u64), "{:016x}");
id!(
    /// A flow table (`table_id`), 0 to [`TableId::MAX`]; `OFPTT_ALL` is every one.
    ///
    /// OpenFlow 1.3.5 §7.3.3, 1.5.1 §7.3.3.
    TableId(u8), "{}");
id!(
    /// A group (`group_id`), up to [`GroupId::MAX`]; reserved numbers (`ofp_group`) are above it.
    ///
    /// OpenFlow 1.3.5 §7.3.4.2, 1.5.1 §7.3.4.3.
    GroupId(u32), "{}");
id!(
    /// A meter (`meter_id`), 1 to [`MeterId::MAX`]; virtual and reserved ones (`ofp_meter`) are above it.
    ///
    /// OpenFlow 1.3.5 §7.3.4.4, 1.5.1 §7.3.4.5.
    MeterId(u32), "{}");
id!(
    /// A queue of a port (`queue_id`); `OFPQ_ALL` is every one.
    ///
    /// OpenFlow 1.3.5 §7.2.2, 1.4.1 §7.3.5.10, 1.5.1 §7.3.5.8.
    QueueId(u32), "{}");
id!(
    /// A flow entry's cookie: opaque to the switch, chosen by the controller.
    ///
    /// OpenFlow 1.3.5 §6.4, §7.3.4.1; 1.5.1 §7.3.4.2.
    Cookie(u64), "{:#x}");
id!(
    /// A packet that the switch keeps for the controller (`buffer_id`).
    ///
    /// OpenFlow 1.3.5 §7.4.1, 1.5.1 §7.4.1.
    BufferId(u32), "{}");
id!(
    /// An experimenter's (1.0: a vendor's) id: an IEEE OUI in the lower 24 bits if the top byte is 0, else one that the
    /// ONF gave out.
    ///
    /// OpenFlow 1.3.5 §7.5.4, 1.5.1 §7.2.8, 1.0.0 §5.5.4.
    ExperimenterId(u32), "{:#010x}");
id!(
    /// A bundle of one connection (`bundle_id`).
    ///
    /// OpenFlow 1.4.1 §7.3.9.1, 1.5.1 §7.3.9.1.
    BundleId(u32), "{}");
id!(
    /// A flow monitor of one connection (`monitor_id`).
    ///
    /// OpenFlow 1.4.1 §7.3.5.17.1, 1.5.1 §7.3.5.19.1.
    MonitorId(u32), "{}");
id!(
    /// A bucket within its group (1.5), up to [`BucketId::MAX`]; reserved numbers (`ofp_group_bucket`) are above it.
    ///
    /// OpenFlow 1.5.1 §7.3.4.3.
    BucketId(u32), "{}");

/// A port number (`ofp_port_no`) in the 32-bit form of OpenFlow 1.1 and later; the 1.0 codec maps the reserved
/// range `0xff00..=0xffff` to `0xffffff00..=0xffffffff` and back.
///
/// OpenFlow 1.3.5 §7.2.1, 1.5.1 §7.2.1, 1.0.0 §5.2.1.
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
    /// Netronome: how a select group chooses.
    pub const NETRONOME: Self = Self(0x0000_154d);
    /// The number that Open vSwitch had for it at first.
    pub const NETRONOME_COMPAT: Self = Self(0x0000_1540);
    /// Network Service Header fields.
    pub const NSH: Self = Self(0x005a_d650);
}

/// An Ethernet address, bytes in the order of the wire.
///
/// OpenFlow 1.3.5 §7.2.1 (`hw_addr`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
