//! Ports: description, status, modification, statistics (OpenFlow 1.3.5 §7.2.1, §7.3.4.3, §7.3.5.6-7, §7.4.3;
//! 1.5.1 §7.2.1, §7.3.4.4, §7.3.5.5-6, §7.4.3).

use crate::group::OtherProp;
use crate::ids::{MacAddr, PortNo};
use crate::matching::OxmId;
use bitflags::bitflags;

bitflags! {
    /// `ofp_port_config`, all versions' bits (1.0's `NO_STP`, `NO_RECV_STP` and `NO_FLOOD` too).
    ///
    /// OpenFlow 1.3.5 §7.2.1, 1.5.1 §7.2.1.1, 1.0.0 §5.2.1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PortConfig: u32 {
        /// `OFPPC_PORT_DOWN`
        const PORT_DOWN = 1;
        /// `OFPPC_NO_STP` (1.0)
        const NO_STP = 2;
        /// `OFPPC_NO_RECV`
        const NO_RECV = 4;
        /// `OFPPC_NO_RECV_STP` (1.0)
        const NO_RECV_STP = 8;
        /// `OFPPC_NO_FLOOD` (1.0)
        const NO_FLOOD = 16;
        /// `OFPPC_NO_FWD`
        const NO_FWD = 32;
        /// `OFPPC_NO_PACKET_IN`
        const NO_PACKET_IN = 64;
        const _ = !0;
    }
}

bitflags! {
    /// `ofp_port_state` of 1.1+; 1.0's STP states travel in the same word (bits 8-9).
    ///
    /// OpenFlow 1.3.5 §7.2.1, 1.5.1 §7.2.1.1, 1.0.0 §5.2.1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PortState: u32 {
        /// `OFPPS_LINK_DOWN`
        const LINK_DOWN = 1;
        /// `OFPPS_BLOCKED`
        const BLOCKED = 2;
        /// `OFPPS_LIVE`
        const LIVE = 4;
        const _ = !0;
    }
}

bitflags! {
    /// `ofp_port_features` of 1.1+; the 1.0 codec maps its own bits.
    ///
    /// OpenFlow 1.3.5 §7.2.1, 1.5.1 §7.2.1.2, 1.0.0 §5.2.1.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PortFeatures: u32 {
        /// `OFPPF_10MB_HD`
        const MB10_HD = 1;
        /// `OFPPF_10MB_FD`
        const MB10_FD = 1 << 1;
        /// `OFPPF_100MB_HD`
        const MB100_HD = 1 << 2;
        /// `OFPPF_100MB_FD`
        const MB100_FD = 1 << 3;
        /// `OFPPF_1GB_HD`
        const GB1_HD = 1 << 4;
        /// `OFPPF_1GB_FD`
        const GB1_FD = 1 << 5;
        /// `OFPPF_10GB_FD`
        const GB10_FD = 1 << 6;
        /// `OFPPF_40GB_FD`
        const GB40_FD = 1 << 7;
        /// `OFPPF_100GB_FD`
        const GB100_FD = 1 << 8;
        /// `OFPPF_1TB_FD`
        const TB1_FD = 1 << 9;
        /// `OFPPF_OTHER`
        const OTHER = 1 << 10;
        /// `OFPPF_COPPER`
        const COPPER = 1 << 11;
        /// `OFPPF_FIBER`
        const FIBER = 1 << 12;
        /// `OFPPF_AUTONEG`
        const AUTONEG = 1 << 13;
        /// `OFPPF_PAUSE`
        const PAUSE = 1 << 14;
        /// `OFPPF_PAUSE_ASYM`
        const PAUSE_ASYM = 1 << 15;
        const _ = !0;
    }
}

/// `ofp_port_desc_prop_ethernet`, and the same words of 1.0-1.3's port structures.
///
/// OpenFlow 1.3.5 §7.2.1, 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EthernetPort {
    /// Current features.
    pub curr: PortFeatures,
    /// Advertised.
    pub advertised: PortFeatures,
    /// Supported.
    pub supported: PortFeatures,
    /// The peer's.
    pub peer: PortFeatures,
    /// Current speed in kb/s (1.1+).
    pub curr_speed: u32,
    /// Most speed in kb/s (1.1+).
    pub max_speed: u32,
}

/// `ofp_port_desc_prop_optical` (1.4+). Frequencies are in MHz, wavelengths in hundredths of a nanometre, powers in
/// tenths of a dBm.
///
/// OpenFlow 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpticalPort {
    /// `OFPOPF_*`: what can be tuned, and in which domain.
    pub supported: u32,
    /// Least transmit frequency or wavelength.
    pub tx_min_freq_lmda: u32,
    /// Greatest transmit frequency or wavelength.
    pub tx_max_freq_lmda: u32,
    /// Spacing of the transmit grid.
    pub tx_grid_freq_lmda: u32,
    /// Least receive frequency or wavelength.
    pub rx_min_freq_lmda: u32,
    /// Greatest receive frequency or wavelength.
    pub rx_max_freq_lmda: u32,
    /// Spacing of the receive grid.
    pub rx_grid_freq_lmda: u32,
    /// Least transmit power.
    pub tx_pwr_min: u16,
    /// Greatest transmit power.
    pub tx_pwr_max: u16,
}

/// A property of a port's description (`ofp_port_desc_prop_type`).
///
/// OpenFlow 1.4.1 §7.2.1.2, 1.5.1 §7.2.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortDescProp {
    /// `OFPPDPT_ETHERNET`
    Ethernet(EthernetPort),
    /// `OFPPDPT_OPTICAL`
    Optical(OpticalPort),
    /// `OFPPDPT_PIPELINE_INPUT` (1.5)
    PipelineInput(Vec<OxmId>),
    /// `OFPPDPT_PIPELINE_OUTPUT` (1.5)
    PipelineOutput(Vec<OxmId>),
    /// `OFPPDPT_RECIRCULATE` (1.5)
    Recirculate(Vec<PortNo>),
    /// Anything else.
    Other(OtherProp),
}

/// `ofp_port` (1.0: `ofp_phy_port`). 1.0-1.3 hold exactly one `Ethernet` property.
///
/// OpenFlow 1.3.5 §7.2.1, 1.4.1 §7.2.1.1, 1.5.1 §7.2.1.1, 1.0.0 §5.2.1; in multipart replies 1.3.5 §7.3.5.7, 1.5.1
/// §7.3.5.6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Number.
    pub port_no: PortNo,
    /// Ethernet address.
    pub hw_addr: MacAddr,
    /// Name, 15 bytes at most (16 on the wire); bytes that aren't UTF-8 are kept as U+FFFD.
    pub name: String,
    /// Configuration.
    pub config: PortConfig,
    /// State.
    pub state: PortState,
    /// Properties.
    pub properties: Vec<PortDescProp>,
}

impl Port {
    /// A port of this number, address and name: nothing configured, no bit of state, no properties.
    pub fn new(port_no: PortNo, hw_addr: MacAddr, name: impl Into<String>) -> Self {
        Self {
            port_no,
            hw_addr,
            name: name.into(),
            config: PortConfig::empty(),
            state: PortState::empty(),
            properties: Vec::new(),
        }
    }

    /// The first Ethernet property.
    pub fn ethernet(&self) -> Option<&EthernetPort> {
        self.properties.iter().find_map(|p| if let PortDescProp::Ethernet(e) = p { Some(e) } else { None })
    }
}

/// `ofp_port_reason`
///
/// OpenFlow 1.3.5 §7.4.3, 1.5.1 §7.4.3, 1.0.0 §5.4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortReason {
    /// `OFPPR_ADD`
    Add,
    /// `OFPPR_DELETE`
    Delete,
    /// `OFPPR_MODIFY`
    Modify,
    /// Not defined.
    Unknown(u8),
}

/// `OFPT_PORT_STATUS`: a port was added, deleted or changed.
///
/// OpenFlow 1.3.5 §7.4.3, 1.5.1 §7.4.3, 1.0.0 §5.4.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port.
    pub port: Port,
}

/// A property of port-mod (1.4+; `ofp_port_mod_prop_type`); 1.0-1.3's `advertise` is `Ethernet`.
///
/// OpenFlow 1.3.5 §7.3.4.3, 1.4.1 §7.3.4.4, 1.5.1 §7.3.4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortModProp {
    /// Features to advertise.
    Ethernet(PortFeatures),
    /// Optical settings.
    Optical(OpticalPortMod),
    /// Anything else.
    Other(OtherProp),
}

/// `ofp_port_mod_prop_optical` (1.4+). Frequencies are in MHz, wavelengths in hundredths of a nanometre, powers in
/// tenths of a dBm; the tuned frequency is `freq_lmda` and `fl_offset` together.
///
/// OpenFlow 1.4.1 §7.3.4.4, 1.5.1 §7.3.4.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpticalPortMod {
    /// `OFPOPF_*`: what is to be set.
    pub configure: u32,
    /// The centre frequency or wavelength.
    pub freq_lmda: u32,
    /// Offset from it.
    pub fl_offset: i32,
    /// Bandwidth of the grid.
    pub grid_span: u32,
    /// Transmit power.
    pub tx_pwr: u32,
}

/// `OFPT_PORT_MOD`: changes a port's configuration.
///
/// OpenFlow 1.3.5 §7.3.4.3, 1.4.1 §7.3.4.4, 1.5.1 §7.3.4.4, 1.0.0 §5.3.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortMod {
    /// Which port.
    pub port_no: PortNo,
    /// Its address, as a check.
    pub hw_addr: MacAddr,
    /// New bits.
    pub config: PortConfig,
    /// Which bits.
    pub mask: PortConfig,
    /// Properties.
    pub properties: Vec<PortModProp>,
}

/// A property of a port's statistics (1.4+; `ofp_port_stats_prop_type`).
///
/// OpenFlow 1.3.5 §7.3.5.6, 1.4.1 §7.3.5.7, 1.5.1 §7.3.5.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortStatsProp {
    /// Ethernet error counters.
    Ethernet(EthernetStats),
    /// Optical counters.
    Optical(OpticalStats),
    /// Anything else.
    Other(OtherProp),
}

/// `ofp_port_stats_prop_ethernet`; `u64::MAX` where the switch doesn't count.
///
/// OpenFlow 1.3.5 §7.3.5.6, 1.4.1 §7.3.5.7, 1.5.1 §7.3.5.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EthernetStats {
    /// Frames with alignment errors.
    pub rx_frame_err: u64,
    /// Packets lost to a receiver that was overrun.
    pub rx_over_err: u64,
    /// Frames with CRC errors.
    pub rx_crc_err: u64,
    /// Collisions.
    pub collisions: u64,
}

/// `ofp_port_stats_prop_optical` (1.4+). Frequencies are in MHz, wavelengths in hundredths of a nanometre, powers
/// in tenths of a dBm, the bias current in tenths of a milliampere, the temperature in tenths of a degree Celsius.
///
/// OpenFlow 1.4.1 §7.3.5.7, 1.5.1 §7.3.5.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpticalStats {
    /// `OFPOSF_*`: which values are valid.
    pub flags: u32,
    /// Transmit frequency or wavelength.
    pub tx_freq_lmda: u32,
    /// Offset from it.
    pub tx_offset: u32,
    /// Spacing of the transmit grid.
    pub tx_grid_span: u32,
    /// Receive frequency or wavelength.
    pub rx_freq_lmda: u32,
    /// Offset from it.
    pub rx_offset: u32,
    /// Spacing of the receive grid.
    pub rx_grid_span: u32,
    /// Transmit power.
    pub tx_pwr: u16,
    /// Receive power.
    pub rx_pwr: u16,
    /// Transmitter's bias current.
    pub bias_current: u16,
    /// Laser's temperature.
    pub temperature: u16,
}

/// `ofp_port_stats`, an entry of the port statistics reply; `u64::MAX` where the switch doesn't count. 1.0-1.3 hold
/// exactly one `Ethernet` property.
///
/// OpenFlow 1.3.5 §7.3.5.6, 1.4.1 §7.3.5.7, 1.5.1 §7.3.5.5, 1.0.0 §5.3.5.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortStats {
    /// Number.
    pub port_no: PortNo,
    /// Seconds alive (1.3+).
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets dropped on the way in.
    pub rx_dropped: u64,
    /// Packets dropped on the way out.
    pub tx_dropped: u64,
    /// Receive errors, those of the `Ethernet` property included.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Properties.
    pub properties: Vec<PortStatsProp>,
}
