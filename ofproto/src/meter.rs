//! Meters (OpenFlow 1.3.5 §5.7, §7.3.4.4).

use crate::ids::{ExperimenterId, MeterId};
use bitflags::bitflags;
use bytes::Bytes;

/// `ofp_meter_mod_command`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeterModCommand {
    /// `OFPMC_ADD`
    Add,
    /// `OFPMC_MODIFY`
    Modify,
    /// `OFPMC_DELETE`
    Delete,
    /// Not defined.
    Unknown(u16),
}

bitflags! {
    /// `ofp_meter_flags`
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MeterFlags: u16 {
        /// `OFPMF_KBPS`
        const KBPS = 1;
        /// `OFPMF_PKTPS`
        const PKTPS = 2;
        /// `OFPMF_BURST`
        const BURST = 4;
        /// `OFPMF_STATS`
        const STATS = 8;
        const _ = !0;
    }
}

/// What a band does beyond its rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BandAction {
    /// `OFPMBT_DROP`
    Drop,
    /// `OFPMBT_DSCP_REMARK`
    DscpRemark {
        /// Drop precedence levels to add.
        prec_level: u8,
    },
    /// `OFPMBT_EXPERIMENTER`
    Experimenter {
        /// Whose.
        experimenter: ExperimenterId,
        /// The bytes after it.
        data: Bytes,
    },
    /// Not defined.
    Unknown {
        /// Wire type.
        ty: u16,
        /// The bytes after the common header.
        data: Bytes,
    },
}

/// A meter band.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// kb/s or packets/s.
    pub rate: u32,
    /// kilobits or packets.
    pub burst_size: u32,
    /// What happens above the rate.
    pub action: BandAction,
}

/// `OFPT_METER_MOD`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterModCommand,
    /// Flags.
    pub flags: MeterFlags,
    /// Which meter.
    pub meter: MeterId,
    /// Its bands.
    pub bands: Vec<Band>,
}

/// An entry of the meter-config (1.5: meter-desc) reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterConfig {
    /// Flags.
    pub flags: MeterFlags,
    /// Which.
    pub meter: MeterId,
    /// Bands.
    pub bands: Vec<Band>,
}

/// An entry of the meter statistics reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MeterStats {
    /// Which.
    pub meter: MeterId,
    /// Flows (1.5: `ref_count`).
    pub ref_count: u32,
    /// Packets in.
    pub packet_in_count: u64,
    /// Bytes in.
    pub byte_in_count: u64,
    /// Seconds alive.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Packets and bytes that each band caught.
    pub bands: Vec<(u64, u64)>,
}

/// The meter-features reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MeterFeatures {
    /// Most meters.
    pub max_meter: u32,
    /// Bitmap of band types.
    pub band_types: u32,
    /// Bitmap of meter flags.
    pub capabilities: u32,
    /// Most bands of a meter.
    pub max_bands: u8,
    /// Most colour value.
    pub max_color: u8,
    /// `OFPMFF_*` (1.5).
    pub features: u32,
}
