//! Ports: description, status, modification, statistics (OpenFlow 1.3.5 §7.2.1, 1.5.1 §7.2.1).

use super::{EncodeError, Reader, Writer, codes, oxm, property, require, text, unsupported, v10};
use crate::error::{ErrorKind, OfError};
use crate::ids::{MacAddr, PortNo};
use crate::port::{
    EthernetPort, EthernetStats, OpticalPort, OpticalPortMod, OpticalStats, Port, PortConfig, PortDescProp,
    PortFeatures, PortMod, PortModProp, PortState, PortStats, PortStatsProp, PortStatus,
};
use crate::version::Version;

const ETHERNET: u16 = 0;
const OPTICAL: u16 = 1;
const PIPELINE_INPUT: u16 = 2;
const PIPELINE_OUTPUT: u16 = 3;
const RECIRCULATE: u16 = 4;
/// `OFP_MAX_PORT_NAME_LEN`
const NAME_LEN: usize = 16;
const BAD_PROP: ErrorKind = ErrorKind::BadPropertyBadLen;

fn features(r: &mut Reader<'_>, field: &'static str) -> Result<PortFeatures, OfError> {
    Ok(PortFeatures::from_bits_retain(r.u32(field)?))
}

/// Reads an `ofp_port` (1.0: `ofp_phy_port`).
pub(super) fn decode_port(r: &mut Reader<'_>, version: Version) -> Result<Port, OfError> {
    if version == Version::V10 {
        return v10::decode_port(r);
    }
    let mut r = if version >= Version::V14 { super::multipart::entry(r, 4, "length")? } else { r.sub(64, "port")? };
    let port_no = PortNo(r.u32("port_no")?);
    r.skip(4)?;
    let hw_addr = MacAddr(r.array("hw_addr")?);
    r.skip(2)?;
    let name = text(r.bytes(NAME_LEN, "name")?);
    let config = PortConfig::from_bits_retain(r.u32("config")?);
    let state = PortState::from_bits_retain(r.u32("state")?);
    let properties = if version >= Version::V14 {
        property::decode(&mut r, BAD_PROP, |ty, body| decode_desc_prop(ty, body, version))?
    } else {
        vec![PortDescProp::Ethernet(decode_ethernet(&mut r)?)]
    };
    Ok(Port { port_no, hw_addr, name, config, state, properties })
}

fn decode_ethernet(r: &mut Reader<'_>) -> Result<EthernetPort, OfError> {
    Ok(EthernetPort {
        curr: features(r, "curr")?,
        advertised: features(r, "advertised")?,
        supported: features(r, "supported")?,
        peer: features(r, "peer")?,
        curr_speed: r.u32("curr_speed")?,
        max_speed: r.u32("max_speed")?,
    })
}

fn encode_ethernet(w: &mut Writer, e: &EthernetPort) {
    [e.curr, e.advertised, e.supported, e.peer].iter().for_each(|f| w.u32(f.bits()));
    w.u32(e.curr_speed);
    w.u32(e.max_speed);
}

fn decode_desc_prop(ty: u16, body: &mut Reader<'_>, version: Version) -> Result<PortDescProp, OfError> {
    Ok(match ty {
        ETHERNET => {
            body.skip(4)?;
            PortDescProp::Ethernet(decode_ethernet(body)?)
        }
        OPTICAL => {
            body.skip(4)?;
            PortDescProp::Optical(OpticalPort {
                supported: body.u32("supported")?,
                tx_min_freq_lmda: body.u32("tx_min_freq_lmda")?,
                tx_max_freq_lmda: body.u32("tx_max_freq_lmda")?,
                tx_grid_freq_lmda: body.u32("tx_grid_freq_lmda")?,
                rx_min_freq_lmda: body.u32("rx_min_freq_lmda")?,
                rx_max_freq_lmda: body.u32("rx_max_freq_lmda")?,
                rx_grid_freq_lmda: body.u32("rx_grid_freq_lmda")?,
                tx_pwr_min: body.u16("tx_pwr_min")?,
                tx_pwr_max: body.u16("tx_pwr_max")?,
            })
        }
        PIPELINE_INPUT if version >= Version::V15 => PortDescProp::PipelineInput(oxm::decode_ids(body, version)?),
        PIPELINE_OUTPUT if version >= Version::V15 => PortDescProp::PipelineOutput(oxm::decode_ids(body, version)?),
        RECIRCULATE if version >= Version::V15 => {
            let mut ports = Vec::with_capacity(body.remaining() / 4);
            while !body.is_empty() {
                ports.push(PortNo(body.u32("port_nos")?));
            }
            PortDescProp::Recirculate(ports)
        }
        _ => PortDescProp::Other(property::decode_other(ty, body)?),
    })
}

/// Writes an `ofp_port`. Before 1.4 it says the first Ethernet property; zeros without one.
pub(super) fn encode_port(w: &mut Writer, version: Version, p: &Port) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_port(w, p);
    }
    let start = w.len();
    w.u32(p.port_no.0);
    w.zeros(4);
    w.bytes(&p.hw_addr.0);
    w.zeros(2);
    super::put_text(w, &p.name, NAME_LEN, "port name")?;
    w.u32(p.config.bits());
    w.u32(p.state.bits());
    if version < Version::V14 {
        encode_ethernet(w, &p.ethernet().copied().unwrap_or_default());
        return Ok(());
    }
    for prop in &p.properties {
        encode_desc_prop(w, version, prop)?;
    }
    super::set_length(w, start + 4, start, "port")
}

fn encode_desc_prop(w: &mut Writer, version: Version, prop: &PortDescProp) -> Result<(), EncodeError> {
    match prop {
        PortDescProp::Ethernet(e) => property::encode(w, ETHERNET, |w| {
            w.zeros(4);
            encode_ethernet(w, e);
            Ok(())
        }),
        PortDescProp::Optical(o) => property::encode(w, OPTICAL, |w| {
            w.zeros(4);
            let words = [
                o.supported,
                o.tx_min_freq_lmda,
                o.tx_max_freq_lmda,
                o.tx_grid_freq_lmda,
                o.rx_min_freq_lmda,
                o.rx_max_freq_lmda,
                o.rx_grid_freq_lmda,
            ];
            words.iter().for_each(|n| w.u32(*n));
            w.u16(o.tx_pwr_min);
            w.u16(o.tx_pwr_max);
            Ok(())
        }),
        // A report: 1.4 has no room for these.
        PortDescProp::PipelineInput(_) | PortDescProp::PipelineOutput(_) | PortDescProp::Recirculate(_)
            if version < Version::V15 =>
        {
            Ok(())
        }
        PortDescProp::PipelineInput(ids) => {
            property::encode(w, PIPELINE_INPUT, |w| ids.iter().try_for_each(|id| oxm::encode_id(w, version, id)))
        }
        PortDescProp::PipelineOutput(ids) => {
            property::encode(w, PIPELINE_OUTPUT, |w| ids.iter().try_for_each(|id| oxm::encode_id(w, version, id)))
        }
        PortDescProp::Recirculate(ports) => property::encode(w, RECIRCULATE, |w| {
            ports.iter().for_each(|p| w.u32(p.0));
            Ok(())
        }),
        PortDescProp::Other(other) => property::encode_other(w, other),
    }
}

/// Reads the body of `OFPT_PORT_STATUS`.
pub(super) fn decode_status(r: &mut Reader<'_>, version: Version) -> Result<PortStatus, OfError> {
    let reason = codes::port_reason(r.u8("reason")?);
    r.skip(7)?;
    Ok(PortStatus { reason, port: decode_port(r, version)? })
}

/// Writes it.
pub(super) fn encode_status(w: &mut Writer, version: Version, m: &PortStatus) -> Result<(), EncodeError> {
    w.u8(codes::port_reason_code(m.reason));
    w.zeros(7);
    encode_port(w, version, &m.port)
}

/// Reads the body of `OFPT_PORT_MOD`.
pub(super) fn decode_port_mod(r: &mut Reader<'_>, version: Version) -> Result<PortMod, OfError> {
    if version == Version::V10 {
        return v10::decode_port_mod(r);
    }
    let port_no = PortNo(r.u32("port_no")?);
    r.skip(4)?;
    let hw_addr = MacAddr(r.array("hw_addr")?);
    r.skip(2)?;
    let config = PortConfig::from_bits_retain(r.u32("config")?);
    let mask = PortConfig::from_bits_retain(r.u32("mask")?);
    let properties = if version >= Version::V14 {
        property::decode(r, BAD_PROP, |ty, body| {
            Ok(match ty {
                ETHERNET => PortModProp::Ethernet(features(body, "advertise")?),
                OPTICAL => PortModProp::Optical(OpticalPortMod {
                    configure: body.u32("configure")?,
                    freq_lmda: body.u32("freq_lmda")?,
                    fl_offset: body.u32("fl_offset")?.cast_signed(),
                    grid_span: body.u32("grid_span")?,
                    tx_pwr: body.u32("tx_pwr")?,
                }),
                _ => PortModProp::Other(property::decode_other(ty, body)?),
            })
        })?
    } else {
        let advertise = features(r, "advertise")?;
        r.skip(4)?;
        vec![PortModProp::Ethernet(advertise)]
    };
    Ok(PortMod { port_no, hw_addr, config, mask, properties })
}

/// Writes it. Before 1.4: at most one Ethernet property; none means "don't change" (0).
pub(super) fn encode_port_mod(w: &mut Writer, version: Version, m: &PortMod) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::encode_port_mod(w, m);
    }
    w.u32(m.port_no.0);
    w.zeros(4);
    w.bytes(&m.hw_addr.0);
    w.zeros(2);
    w.u32(m.config.bits());
    w.u32(m.mask.bits());
    if version < Version::V14 {
        w.u32(advertise_alone(m, version)?.bits());
        w.zeros(4);
        return Ok(());
    }
    for prop in &m.properties {
        match prop {
            PortModProp::Ethernet(advertise) => property::encode(w, ETHERNET, |w| {
                w.u32(advertise.bits());
                Ok(())
            })?,
            PortModProp::Optical(o) => property::encode(w, OPTICAL, |w| {
                w.u32(o.configure);
                w.u32(o.freq_lmda);
                w.u32(o.fl_offset.cast_unsigned());
                w.u32(o.grid_span);
                w.u32(o.tx_pwr);
                Ok(())
            })?,
            PortModProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    Ok(())
}

/// What `advertise` of 1.0-1.3 says.
pub(super) fn advertise_alone(m: &PortMod, version: Version) -> Result<PortFeatures, EncodeError> {
    match m.properties.as_slice() {
        [] => Ok(PortFeatures::empty()),
        [PortModProp::Ethernet(advertise)] => Ok(*advertise),
        _ => Err(unsupported(version, "port-mod properties")),
    }
}

/// Reads one entry of the port statistics reply.
pub(super) fn decode_stats(r: &mut Reader<'_>, version: Version) -> Result<PortStats, OfError> {
    let mut m = PortStats::default();
    if version >= Version::V14 {
        let mut r = super::multipart::entry(r, 0, "length")?;
        r.skip(4)?;
        m.port_no = PortNo(r.u32("port_no")?);
        m.duration_sec = r.u32("duration_sec")?;
        m.duration_nsec = r.u32("duration_nsec")?;
        decode_counters(&mut r, &mut m)?;
        m.properties = property::decode(&mut r, BAD_PROP, decode_stats_prop)?;
        return Ok(m);
    }
    m.port_no = decode_port_request(r, version)?;
    decode_counters(r, &mut m)?;
    m.properties.push(PortStatsProp::Ethernet(decode_ethernet_stats(r)?));
    if version >= Version::V13 {
        m.duration_sec = r.u32("duration_sec")?;
        m.duration_nsec = r.u32("duration_nsec")?;
    }
    Ok(m)
}

fn decode_counters(r: &mut Reader<'_>, m: &mut PortStats) -> Result<(), OfError> {
    m.rx_packets = r.u64("rx_packets")?;
    m.tx_packets = r.u64("tx_packets")?;
    m.rx_bytes = r.u64("rx_bytes")?;
    m.tx_bytes = r.u64("tx_bytes")?;
    m.rx_dropped = r.u64("rx_dropped")?;
    m.tx_dropped = r.u64("tx_dropped")?;
    m.rx_errors = r.u64("rx_errors")?;
    m.tx_errors = r.u64("tx_errors")?;
    Ok(())
}

fn decode_ethernet_stats(r: &mut Reader<'_>) -> Result<EthernetStats, OfError> {
    Ok(EthernetStats {
        rx_frame_err: r.u64("rx_frame_err")?,
        rx_over_err: r.u64("rx_over_err")?,
        rx_crc_err: r.u64("rx_crc_err")?,
        collisions: r.u64("collisions")?,
    })
}

fn encode_ethernet_stats(w: &mut Writer, e: &EthernetStats) {
    [e.rx_frame_err, e.rx_over_err, e.rx_crc_err, e.collisions].iter().for_each(|n| w.u64(*n));
}

fn decode_stats_prop(ty: u16, body: &mut Reader<'_>) -> Result<PortStatsProp, OfError> {
    Ok(match ty {
        ETHERNET => {
            body.skip(4)?;
            PortStatsProp::Ethernet(decode_ethernet_stats(body)?)
        }
        OPTICAL => {
            body.skip(4)?;
            PortStatsProp::Optical(OpticalStats {
                flags: body.u32("flags")?,
                tx_freq_lmda: body.u32("tx_freq_lmda")?,
                tx_offset: body.u32("tx_offset")?,
                tx_grid_span: body.u32("tx_grid_span")?,
                rx_freq_lmda: body.u32("rx_freq_lmda")?,
                rx_offset: body.u32("rx_offset")?,
                rx_grid_span: body.u32("rx_grid_span")?,
                tx_pwr: body.u16("tx_pwr")?,
                rx_pwr: body.u16("rx_pwr")?,
                bias_current: body.u16("bias_current")?,
                temperature: body.u16("temperature")?,
            })
        }
        _ => PortStatsProp::Other(property::decode_other(ty, body)?),
    })
}

/// Writes one entry of the port statistics reply. Before 1.4, counters of an absent Ethernet
/// property are "not counted" (all ones).
pub(super) fn encode_stats(w: &mut Writer, version: Version, m: &PortStats) -> Result<(), EncodeError> {
    let start = w.len();
    let counters =
        [m.rx_packets, m.tx_packets, m.rx_bytes, m.tx_bytes, m.rx_dropped, m.tx_dropped, m.rx_errors, m.tx_errors];
    if version >= Version::V14 {
        w.u32(0);
        w.u32(m.port_no.0);
        w.u32(m.duration_sec);
        w.u32(m.duration_nsec);
        counters.iter().for_each(|n| w.u64(*n));
        for prop in &m.properties {
            encode_stats_prop(w, prop)?;
        }
        return super::set_length(w, start, start, "port statistics");
    }
    encode_port_request(w, version, m.port_no)?;
    counters.iter().for_each(|n| w.u64(*n));
    encode_ethernet_stats(w, &ethernet_stats(m));
    if version >= Version::V13 {
        w.u32(m.duration_sec);
        w.u32(m.duration_nsec);
    }
    Ok(())
}

/// The Ethernet counters as 1.0-1.3 report them.
pub(super) fn ethernet_stats(m: &PortStats) -> EthernetStats {
    let uncounted =
        EthernetStats { rx_frame_err: u64::MAX, rx_over_err: u64::MAX, rx_crc_err: u64::MAX, collisions: u64::MAX };
    m.properties
        .iter()
        .find_map(|p| if let PortStatsProp::Ethernet(e) = p { Some(*e) } else { None })
        .unwrap_or(uncounted)
}

fn encode_stats_prop(w: &mut Writer, prop: &PortStatsProp) -> Result<(), EncodeError> {
    match prop {
        PortStatsProp::Ethernet(e) => property::encode(w, ETHERNET, |w| {
            w.zeros(4);
            encode_ethernet_stats(w, e);
            Ok(())
        }),
        PortStatsProp::Optical(o) => property::encode(w, OPTICAL, |w| {
            w.zeros(4);
            let words =
                [o.flags, o.tx_freq_lmda, o.tx_offset, o.tx_grid_span, o.rx_freq_lmda, o.rx_offset, o.rx_grid_span];
            words.iter().for_each(|n| w.u32(*n));
            [o.tx_pwr, o.rx_pwr, o.bias_current, o.temperature].iter().for_each(|n| w.u16(*n));
            Ok(())
        }),
        PortStatsProp::Other(other) => property::encode_other(w, other),
    }
}

/// Reads a request that names a port: 1.5's port-desc, every version's port statistics.
pub(super) fn decode_port_request(r: &mut Reader<'_>, version: Version) -> Result<PortNo, OfError> {
    if version == Version::V10 {
        return v10::decode_port_request(r);
    }
    let port = PortNo(r.u32("port_no")?);
    r.skip(4)?;
    Ok(port)
}

/// Writes a port and the padding after it.
pub(super) fn encode_port_request(w: &mut Writer, version: Version, port: PortNo) -> Result<(), EncodeError> {
    if version == Version::V10 {
        v10::put_port(w, port, "port_no")?;
        w.zeros(6);
        return Ok(());
    }
    w.u32(port.0);
    w.zeros(4);
    Ok(())
}

/// Writes the port-desc request, which names a port from 1.5 on.
pub(super) fn encode_desc_request(w: &mut Writer, version: Version, port: PortNo) -> Result<(), EncodeError> {
    if version >= Version::V15 {
        w.u32(port.0);
        w.zeros(4);
        return Ok(());
    }
    require(port == PortNo::ANY, version, "a port-desc request of one port")
}
