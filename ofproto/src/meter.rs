//! Meters (OpenFlow 1.3.5 §5.7, §7.3.4.4; 1.5.1 §5.11, §7.3.4.5).

use crate::ids::{ExperimenterId, MeterId};
use bitflags::bitflags;
use bytes::Bytes;

/// `ofp_meter_mod_command`: what a meter-mod does.
///
/// OpenFlow 1.3.5 §6.6, 1.4.1 §6.7, 1.5.1 §6.8.
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
    /// `ofp_meter_flags`: units of a meter's rates, and what it counts.
    ///
    /// OpenFlow 1.3.5 §7.3.4.4, 1.5.1 §7.3.4.5.
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

/// What a band does beyond its rate (`ofp_meter_band_type`).
///
/// OpenFlow 1.3.5 §5.7.1, §7.3.4.4; 1.5.1 §5.11.1, §7.3.4.5.
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

/// A meter band (`ofp_meter_band_header`). Units are kilobits, or packets with [`MeterFlags::PKTPS`].
///
/// OpenFlow 1.3.5 §5.7.1, §7.3.4.4; 1.5.1 §5.11.1, §7.3.4.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// kb/s or packets/s.
    pub rate: u32,
    /// kilobits or packets.
    pub burst_size: u32,
    /// What happens above the rate.
    pub action: BandAction,
}

/// `OFPT_METER_MOD`: adds, changes or deletes a meter.
///
/// OpenFlow 1.3.5 §6.6, §7.3.4.4; 1.4.1 §7.3.4.5; 1.5.1 §6.8, §7.3.4.5.
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

/// `ofp_meter_config` (1.5: `ofp_meter_desc`), an entry of the meter-config (1.5: meter-desc) reply.
///
/// OpenFlow 1.3.5 §7.3.5.13, 1.4.1 §7.3.5.15, 1.5.1 §7.3.5.13.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterConfig {
    /// Flags.
    pub flags: MeterFlags,
    /// Which.
    pub meter: MeterId,
    /// Bands.
    pub bands: Vec<Band>,
}

/// `ofp_meter_stats`, an entry of the meter statistics reply.
///
/// OpenFlow 1.3.5 §7.3.5.12, 1.4.1 §7.3.5.14, 1.5.1 §7.3.5.12.
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

/// `ofp_meter_features`, the meter-features reply.
///
/// OpenFlow 1.3.5 §7.3.5.14, 1.4.1 §7.3.5.16, 1.5.1 §7.3.5.14.
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
