//! Ports and queues.

use super::basic::list;
use super::codec::{bitmap, names, object, tagged};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortReason, PortState, PortStats, PortStatsProp, PortStatus,
};
use crate::queue::{QueueDesc, QueueProp, QueueStats};

// Ports

bitmap!(PortConfig(u32) {
    "port_down" = PORT_DOWN, "no_stp" = NO_STP, "no_recv" = NO_RECV, "no_recv_stp" = NO_RECV_STP,
    "no_flood" = NO_FLOOD, "no_fwd" = NO_FWD, "no_packet_in" = NO_PACKET_IN,
});
bitmap!(PortState(u32) { "link_down" = LINK_DOWN, "blocked" = BLOCKED, "live" = LIVE });
bitmap!(PortFeatures(u32) {
    "10mb_hd" = MB10_HD, "10mb_fd" = MB10_FD, "100mb_hd" = MB100_HD, "100mb_fd" = MB100_FD, "1gb_hd" = GB1_HD,
    "1gb_fd" = GB1_FD, "10gb_fd" = GB10_FD, "40gb_fd" = GB40_FD, "100gb_fd" = GB100_FD, "1tb_fd" = TB1_FD,
    "other" = OTHER, "copper" = COPPER, "fiber" = FIBER, "autoneg" = AUTONEG, "pause" = PAUSE,
    "pause_asym" = PAUSE_ASYM,
});
object!(EthernetPort {
    "curr": curr,
    "advertised": advertised,
    "supported": supported,
    "peer": peer,
    "curr_speed": curr_speed,
    "max_speed": max_speed,
} default EthernetPort::default());
object!(OpticalPort {
    "supported": supported as optical_features,
    "tx_min_freq_lmda": tx_min_freq_lmda,
    "tx_max_freq_lmda": tx_max_freq_lmda,
    "tx_grid_freq_lmda": tx_grid_freq_lmda,
    "rx_min_freq_lmda": rx_min_freq_lmda,
    "rx_max_freq_lmda": rx_max_freq_lmda,
    "rx_grid_freq_lmda": rx_grid_freq_lmda,
    "tx_pwr_min": tx_pwr_min,
    "tx_pwr_max": tx_pwr_max,
} default OpticalPort::default());
tagged!(property PortDescProp {
    "ethernet" = Ethernet(value),
    "optical" = Optical(value),
    "pipeline_input" = PipelineInput { "oxm_ids" 0 ids },
    "pipeline_output" = PipelineOutput { "oxm_ids" 0 ids },
    "recirculate" = Recirculate { "port_nos" 0 ports },
    "other" = Other(value),
});
list!(PortDescProp, Port, PortModProp, PortStatsProp, PortStats);
object!(Port {
    "port_no": port_no,
    "hw_addr": hw_addr,
    "name": name,
    "config": config,
    "state": state,
    "properties": properties,
});
names!(PortReason { "add" = Add, "delete" = Delete, "modify" = Modify } unknown u8);
object!(PortStatus { "reason": reason, "desc": port });
object!(OpticalPortMod {
    "configure": configure as optical_features,
    "freq_lmda": freq_lmda,
    "fl_offset": fl_offset,
    "grid_span": grid_span,
    "tx_pwr": tx_pwr,
} default OpticalPortMod::default());
tagged!(property PortModProp {
    "ethernet" = Ethernet { "advertise" 0 features },
    "optical" = Optical(value),
    "other" = Other(value),
});
object!(PortMod {
    "port_no": port_no,
    "hw_addr": hw_addr,
    "config": config,
    "mask": mask,
    "properties": properties,
});
object!(EthernetStats {
    "rx_frame_err": rx_frame_err,
    "rx_over_err": rx_over_err,
    "rx_crc_err": rx_crc_err,
    "collisions": collisions,
} default EthernetStats::default());
object!(OpticalStats {
    "flags": flags as optical_flags,
    "tx_freq_lmda": tx_freq_lmda,
    "tx_offset": tx_offset,
    "tx_grid_span": tx_grid_span,
    "rx_freq_lmda": rx_freq_lmda,
    "rx_offset": rx_offset,
    "rx_grid_span": rx_grid_span,
    "tx_pwr": tx_pwr,
    "rx_pwr": rx_pwr,
    "bias_current": bias_current,
    "temperature": temperature,
} default OpticalStats::default());
tagged!(property PortStatsProp {
    "ethernet" = Ethernet(value),
    "optical" = Optical(value),
    "other" = Other(value),
});
object!(PortStats {
    "port_no": port_no,
    "rx_packets": rx_packets,
    "tx_packets": tx_packets,
    "rx_bytes": rx_bytes,
    "tx_bytes": tx_bytes,
    "rx_dropped": rx_dropped,
    "tx_dropped": tx_dropped,
    "rx_errors": rx_errors,
    "tx_errors": tx_errors,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "properties": properties,
} default PortStats::default());

// Queues

tagged!(property QueueProp {
    "min_rate" = MinRate { "rate" 0 rate },
    "max_rate" = MaxRate { "rate" 0 rate },
    "other" = Other(value),
});
list!(QueueProp, QueueDesc, QueueStats);
object!(QueueDesc { "port_no": port, "queue_id": queue, "properties": properties });
object!(QueueStats {
    "port_no": port,
    "queue_id": queue,
    "tx_bytes": tx_bytes,
    "tx_packets": tx_packets,
    "tx_errors": tx_errors,
    "duration_sec": duration_sec,
    "duration_nsec": duration_nsec,
    "properties": properties,
} default QueueStats::default());
