//! Ports and queues.

use super::matching::port;
use super::table::field_ids;
use crate::arbitrary::part::port_counts;
use crate::ids::{MacAddr, PortNo, QueueId};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortState, PortStats, PortStatsProp,
};
use crate::queue::{QueueDesc, QueueProp, QueueStats};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;

pub(super) fn features(v: Version) -> BoxedStrategy<PortFeatures> {
    any::<u32>()
        .prop_map(move |n| PortFeatures::from_bits_retain(n & if v == Version::V10 { 0xf87f } else { 0xffff }))
        .boxed()
}

fn optical_port() -> BoxedStrategy<OpticalPort> {
    (0..16_u32, any::<[u32; 6]>(), any::<[u16; 2]>())
        .prop_map(|(supported, n, p)| OpticalPort {
            supported,
            tx_min_freq_lmda: n[0],
            tx_max_freq_lmda: n[1],
            tx_grid_freq_lmda: n[2],
            rx_min_freq_lmda: n[3],
            rx_max_freq_lmda: n[4],
            rx_grid_freq_lmda: n[5],
            tx_pwr_min: p[0],
            tx_pwr_max: p[1],
        })
        .boxed()
}

/// What a port may say beside its Ethernet's features: an optical one's, and where packets go inside.
fn more_of_a_port(v: Version) -> BoxedStrategy<Vec<PortDescProp>> {
    if v < Version::V14 {
        return Just(vec![]).boxed();
    }
    let later = v >= Version::V15;
    let inside = (field_ids(v), field_ids(v), vec((1..0xff00_u32).prop_map(PortNo), 1..4));
    (prop::option::weighted(0.4, optical_port()), prop::option::weighted(0.4, inside))
        .prop_map(move |(optical, inside)| {
            let mut all: Vec<_> = optical.into_iter().map(PortDescProp::Optical).collect();
            if let Some((input, output, ports)) = inside.filter(|_| later) {
                all.push(PortDescProp::PipelineInput(input));
                all.push(PortDescProp::PipelineOutput(output));
                all.push(PortDescProp::Recirculate(ports));
            }
            all
        })
        .boxed()
}

pub(super) fn a_port(v: Version) -> BoxedStrategy<Port> {
    let ethernet = (vec(features(v), 4), any::<[u32; 2]>()).prop_map(move |(f, speed)| EthernetPort {
        curr: f[0],
        advertised: f[1],
        supported: f[2],
        peer: f[3],
        curr_speed: if v == Version::V10 { 0 } else { speed[0] },
        max_speed: if v == Version::V10 { 0 } else { speed[1] },
    });
    (port(), any::<[u8; 6]>(), "[a-z][a-z0-9]{0,14}", any::<[u32; 2]>(), ethernet, more_of_a_port(v))
        .prop_map(move |(port_no, mac, name, n, ethernet, more)| Port {
            port_no,
            hw_addr: MacAddr(mac),
            name,
            config: PortConfig::from_bits_retain(n[0] & if v == Version::V10 { 0x7f } else { 0x65 }),
            state: PortState::from_bits_retain(n[1] & if v == Version::V10 { 1 } else { 7 }),
            properties: std::iter::once(PortDescProp::Ethernet(ethernet)).chain(more).collect(),
        })
        .boxed()
}

pub(super) fn port_mod(v: Version) -> BoxedStrategy<PortMod> {
    let optical = any::<[u32; 5]>().prop_map(|n| {
        PortModProp::Optical(OpticalPortMod {
            configure: n[0] & 0xf,
            freq_lmda: n[1],
            fl_offset: n[2].cast_signed(),
            grid_span: n[3],
            tx_pwr: n[4],
        })
    });
    let optical = prop::option::weighted(0.4, optical);
    (port(), any::<[u8; 6]>(), any::<[u32; 2]>(), features(v), optical)
        .prop_map(move |(port_no, mac, n, advertise, optical)| {
            let mask = n[1] & if v == Version::V10 { 0x7f } else { 0x65 };
            PortMod {
                port_no,
                hw_addr: MacAddr(mac),
                config: PortConfig::from_bits_retain(n[0] & mask),
                mask: PortConfig::from_bits_retain(mask),
                properties: std::iter::once(PortModProp::Ethernet(advertise))
                    .chain(optical.filter(|_| v >= Version::V14))
                    .collect(),
            }
        })
        .boxed()
}

pub(super) fn port_stats(v: Version) -> BoxedStrategy<PortStats> {
    let timed = v >= Version::V13;
    let optical = (0..4_u32, any::<[u32; 6]>(), any::<[u16; 4]>()).prop_map(|(flags, n, m)| {
        PortStatsProp::Optical(OpticalStats {
            flags,
            tx_freq_lmda: n[0],
            tx_offset: n[1],
            tx_grid_span: n[2],
            rx_freq_lmda: n[3],
            rx_offset: n[4],
            rx_grid_span: n[5],
            tx_pwr: m[0],
            rx_pwr: m[1],
            bias_current: m[2],
            temperature: m[3],
        })
    });
    let optical = prop::option::weighted(0.3, optical);
    (port(), any::<u32>(), 0..1_000_000_000_u32, any::<[u64; 12]>(), optical)
        .prop_map(move |(port_no, sec, nsec, c, optical)| {
            let [sec, nsec] = if timed { [sec, nsec] } else { [0, 0] };
            let ethernet = PortStatsProp::Ethernet(EthernetStats {
                rx_frame_err: c[8],
                rx_over_err: c[9],
                rx_crc_err: c[10],
                collisions: c[11],
            });
            let properties = std::iter::once(ethernet).chain(optical.filter(|_| v >= Version::V14)).collect();
            port_counts([port_no.0, sec, nsec], std::array::from_fn(|i| c[i]), properties)
        })
        .boxed()
}

pub(super) fn queue_stats(v: Version) -> BoxedStrategy<QueueStats> {
    let timed = v >= Version::V13;
    (port(), any::<[u32; 2]>(), 0..1_000_000_000_u32, any::<[u64; 3]>())
        .prop_map(move |(port, n, nsec, c)| QueueStats {
            port,
            queue: QueueId(n[0]),
            tx_bytes: c[0],
            tx_packets: c[1],
            tx_errors: c[2],
            duration_sec: if timed { n[1] } else { 0 },
            duration_nsec: if timed { nsec } else { 0 },
            properties: vec![],
        })
        .boxed()
}

/// A queue of the port, or of any.
pub(super) fn queue_desc(on: Option<PortNo>) -> BoxedStrategy<QueueDesc> {
    let on = on.map_or_else(port, |p| Just(p).boxed());
    let rates = (prop::option::of(0..1001_u16), prop::option::of(0..1001_u16));
    (on, any::<u32>(), rates)
        .prop_map(|(port, queue, (least, most))| QueueDesc {
            port,
            queue: QueueId(queue),
            properties: least.map(QueueProp::MinRate).into_iter().chain(most.map(QueueProp::MaxRate)).collect(),
        })
        .boxed()
}
