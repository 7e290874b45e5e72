//! Ports and their queues.

use crate::arbitrary::part::{other, others, oxm_ids, port_counts};
use crate::ids::{MacAddr, PortNo, QueueId};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortReason, PortState, PortStats, PortStatsProp, PortStatus,
};
use crate::queue::{QueueDesc, QueueProp, QueueStats};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

fn ethernet() -> BoxedStrategy<EthernetPort> {
    any::<[u32; 6]>()
        .prop_map(|n| {
            let features = PortFeatures::from_bits_retain;
            EthernetPort {
                curr: features(n[0]),
                advertised: features(n[1]),
                supported: features(n[2]),
                peer: features(n[3]),
                curr_speed: n[4],
                max_speed: n[5],
            }
        })
        .boxed()
}

pub(super) fn port(version: Version) -> BoxedStrategy<Port> {
    let optical = (any::<[u32; 7]>(), any::<[u16; 2]>()).prop_map(|(n, p)| {
        PortDescProp::Optical(OpticalPort {
            supported: n[0],
            tx_min_freq_lmda: n[1],
            tx_max_freq_lmda: n[2],
            tx_grid_freq_lmda: n[3],
            rx_min_freq_lmda: n[4],
            rx_max_freq_lmda: n[5],
            rx_grid_freq_lmda: n[6],
            tx_pwr_min: p[0],
            tx_pwr_max: p[1],
        })
    });
    let ethernet = ethernet().prop_map(PortDescProp::Ethernet);
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        let mut all = vec![ethernet.boxed(), optical.boxed(), other().prop_map(PortDescProp::Other).boxed()];
        if version >= Version::V15 {
            all.push(oxm_ids(version).prop_map(PortDescProp::PipelineInput).boxed());
            all.push(oxm_ids(version).prop_map(PortDescProp::PipelineOutput).boxed());
            let ports = vec(any::<u32>().prop_map(PortNo), 0..4);
            all.push(ports.prop_map(PortDescProp::Recirculate).boxed());
        }
        vec(Union::new(all), 0..4).boxed()
    };
    (any::<[u32; 3]>(), any::<[u8; 6]>(), "[a-z0-9]{0,15}", properties)
        .prop_map(|(n, mac, name, properties)| Port {
            port_no: PortNo(n[0]),
            hw_addr: MacAddr(mac),
            name,
            config: PortConfig::from_bits_retain(n[1]),
            state: PortState::from_bits_retain(n[2]),
            properties,
        })
        .boxed()
}

pub(in crate::arbitrary) fn port_status(version: Version) -> BoxedStrategy<PortStatus> {
    use PortReason::*;
    (prop::sample::select(vec![Add, Delete, Modify, Unknown(9)]), port(version))
        .prop_map(|(reason, port)| PortStatus { reason, port })
        .boxed()
}

pub(in crate::arbitrary) fn port_mod(version: Version) -> BoxedStrategy<PortMod> {
    let ethernet = any::<u32>().prop_map(|n| PortModProp::Ethernet(PortFeatures::from_bits_retain(n)));
    let optical = any::<[u32; 5]>().prop_map(|n| {
        PortModProp::Optical(OpticalPortMod {
            configure: n[0],
            freq_lmda: n[1],
            fl_offset: n[2].cast_signed(),
            grid_span: n[3],
            tx_pwr: n[4],
        })
    });
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        vec(prop_oneof![ethernet, optical, other().prop_map(PortModProp::Other)], 0..3).boxed()
    };
    (any::<[u32; 3]>(), any::<[u8; 6]>(), properties)
        .prop_map(|(n, mac, properties)| PortMod {
            port_no: PortNo(n[0]),
            hw_addr: MacAddr(mac),
            config: PortConfig::from_bits_retain(n[1]),
            mask: PortConfig::from_bits_retain(n[2]),
            properties,
        })
        .boxed()
}

pub(super) fn port_stats(version: Version) -> BoxedStrategy<PortStats> {
    let ethernet = any::<[u64; 4]>().prop_map(|n| {
        PortStatsProp::Ethernet(EthernetStats {
            rx_frame_err: n[0],
            rx_over_err: n[1],
            rx_crc_err: n[2],
            collisions: n[3],
        })
    });
    let optical = (any::<[u32; 7]>(), any::<[u16; 4]>()).prop_map(|(n, m)| {
        PortStatsProp::Optical(OpticalStats {
            flags: n[0],
            tx_freq_lmda: n[1],
            tx_offset: n[2],
            tx_grid_span: n[3],
            rx_freq_lmda: n[4],
            rx_offset: n[5],
            rx_grid_span: n[6],
            tx_pwr: m[0],
            rx_pwr: m[1],
            bias_current: m[2],
            temperature: m[3],
        })
    });
    let properties = if version < Version::V14 {
        vec(ethernet, 1..2).boxed()
    } else {
        vec(prop_oneof![ethernet, optical, other().prop_map(PortStatsProp::Other)], 0..3).boxed()
    };
    (any::<[u32; 3]>(), any::<[u64; 8]>(), properties)
        .prop_map(|(n, c, properties)| port_counts(n, c, properties))
        .boxed()
}

pub(in crate::arbitrary) fn queue_desc(version: Version) -> BoxedStrategy<QueueDesc> {
    let _ = version;
    let prop = prop_oneof![
        any::<u16>().prop_map(QueueProp::MinRate),
        any::<u16>().prop_map(QueueProp::MaxRate),
        other().prop_map(QueueProp::Other)
    ];
    (any::<[u32; 2]>(), vec(prop, 0..4))
        .prop_map(|(n, properties)| QueueDesc { port: PortNo(n[0]), queue: QueueId(n[1]), properties })
        .boxed()
}

pub(super) fn queue_stats(version: Version) -> BoxedStrategy<QueueStats> {
    (any::<[u32; 4]>(), any::<[u64; 3]>(), others())
        .prop_map(move |(n, c, properties)| QueueStats {
            port: PortNo(n[0]),
            queue: QueueId(n[1]),
            tx_bytes: c[0],
            tx_packets: c[1],
            tx_errors: c[2],
            duration_sec: n[2],
            duration_nsec: n[3],
            properties: if version >= Version::V14 { properties } else { Vec::new() },
        })
        .boxed()
}
