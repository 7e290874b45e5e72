//! Meters (OpenFlow 1.3.5 §7.3.4.4, §7.3.5.12-14; 1.5.1 §7.3.4.5, §7.3.5.12-14).

use super::{EncodeError, Reader, Writer, codes};
use crate::error::{ErrorKind, OfError};
use crate::ids::{ExperimenterId, MeterId};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterStats};
use crate::version::Version;
use bytes::Bytes;

const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;
const EXPERIMENTER: u16 = 0xffff;

/// Reads the body of `OFPT_METER_MOD`.
pub(super) fn decode_meter_mod(r: &mut Reader<'_>) -> Result<MeterMod, OfError> {
    Ok(MeterMod {
        command: codes::meter_mod_command(r.u16("command")?),
        flags: MeterFlags::from_bits_retain(r.u16("flags")?),
        meter: MeterId(r.u32("meter_id")?),
        bands: decode_bands(r)?,
    })
}

/// Writes the body of `OFPT_METER_MOD`.
pub(super) fn encode_meter_mod(w: &mut Writer, m: &MeterMod) -> Result<(), EncodeError> {
    w.u16(codes::meter_mod_command_code(m.command));
    w.u16(m.flags.bits());
    w.u32(m.meter.0);
    encode_bands(w, &m.bands)
}

fn decode_bands(r: &mut Reader<'_>) -> Result<Vec<Band>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        let at = r.offset();
        let ty = r.u16("band type")?;
        let length = usize::from(r.u16("band len")?);
        if length < 12 || !length.is_multiple_of(8) {
            return Err(OfError::at(
                ErrorKind::BadRequestBadLen,
                at + 2,
                "band len",
                format!("{length} is not a multiple of 8 from 16 on"),
            ));
        }
        let mut b = r.sub(length - 4, "band len")?;
        let (rate, burst_size) = (b.u32("rate")?, b.u32("burst_size")?);
        let action = match ty {
            DROP => {
                b.skip(4)?;
                BandAction::Drop
            }
            DSCP_REMARK => {
                let prec_level = b.u8("prec_level")?;
                b.skip(3)?;
                BandAction::DscpRemark { prec_level }
            }
            EXPERIMENTER => BandAction::Experimenter {
                experimenter: ExperimenterId(b.u32("experimenter")?),
                data: Bytes::copy_from_slice(b.take_rest()),
            },
            _ => BandAction::Unknown { ty, data: Bytes::copy_from_slice(b.take_rest()) },
        };
        if !b.is_empty() {
            return Err(b.error(ErrorKind::BadRequestBadLen, "band len", "longer than the band"));
        }
        list.push(Band { rate, burst_size, action });
    }
    Ok(list)
}

fn encode_bands(w: &mut Writer, bands: &[Band]) -> Result<(), EncodeError> {
    for band in bands {
        let start = w.len();
        w.u16(match &band.action {
            BandAction::Drop => DROP,
            BandAction::DscpRemark { .. } => DSCP_REMARK,
            BandAction::Experimenter { .. } => EXPERIMENTER,
            BandAction::Unknown { ty, .. } => *ty,
        });
        w.u16(0);
        w.u32(band.rate);
        w.u32(band.burst_size);
        match &band.action {
            BandAction::Drop => w.zeros(4),
            BandAction::DscpRemark { prec_level } => {
                w.u8(*prec_level);
                w.zeros(3);
            }
            BandAction::Experimenter { experimenter, data } => {
                w.u32(experimenter.0);
                w.bytes(data);
            }
            BandAction::Unknown { data, .. } => w.bytes(data),
        }
        w.pad8(start);
        super::set_length(w, start + 2, start, "meter band")?;
    }
    Ok(())
}

/// Reads one entry of the meter-config (1.5: meter-desc) reply.
pub(super) fn decode_config(r: &mut Reader<'_>) -> Result<MeterConfig, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    Ok(MeterConfig {
        flags: MeterFlags::from_bits_retain(r.u16("flags")?),
        meter: MeterId(r.u32("meter_id")?),
        bands: decode_bands(&mut r)?,
    })
}

/// Writes it.
pub(super) fn encode_config(w: &mut Writer, m: &MeterConfig) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u16(m.flags.bits());
    w.u32(m.meter.0);
    encode_bands(w, &m.bands)?;
    super::set_length(w, start, start, "meter configuration")
}

/// Reads one entry of the meter statistics reply.
pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<MeterStats, OfError> {
    let mut r = super::multipart::entry(r, 4, "len")?;
    let meter = MeterId(r.u32("meter_id")?);
    r.skip(8)?;
    let mut m = MeterStats {
        meter,
        ref_count: r.u32("flow_count")?,
        packet_in_count: r.u64("packet_in_count")?,
        byte_in_count: r.u64("byte_in_count")?,
        duration_sec: r.u32("duration_sec")?,
        duration_nsec: r.u32("duration_nsec")?,
        bands: Vec::with_capacity(r.remaining() / 16),
    };
    while !r.is_empty() {
        m.bands.push((r.u64("packet_band_count")?, r.u64("byte_band_count")?));
    }
    Ok(m)
}

/// Writes it.
pub(super) fn encode_stats(w: &mut Writer, m: &MeterStats) -> Result<(), EncodeError> {
    let start = w.len();
    w.u32(m.meter.0);
    w.zeros(8);
    w.u32(m.ref_count);
    w.u64(m.packet_in_count);
    w.u64(m.byte_in_count);
    w.u32(m.duration_sec);
    w.u32(m.duration_nsec);
    for (packets, bytes) in &m.bands {
        w.u64(*packets);
        w.u64(*bytes);
    }
    super::set_length(w, start + 4, start, "meter statistics")
}

/// Reads the meter-features reply.
pub(super) fn decode_features(r: &mut Reader<'_>, version: Version) -> Result<MeterFeatures, OfError> {
    let mut m = MeterFeatures {
        max_meter: r.u32("max_meter")?,
        band_types: r.u32("band_types")?,
        capabilities: r.u32("capabilities")?,
        max_bands: r.u8("max_bands")?,
        max_color: r.u8("max_color")?,
        features: 0,
    };
    r.skip(2)?;
    if version >= Version::V15 {
        m.features = r.u32("features")?;
        r.skip(4)?;
    }
    Ok(m)
}

/// Writes it.
pub(super) fn encode_features(w: &mut Writer, version: Version, m: &MeterFeatures) {
    w.u32(m.max_meter);
    w.u32(m.band_types);
    w.u32(m.capabilities);
    w.u8(m.max_bands);
    w.u8(m.max_color);
    w.zeros(2);
    if version >= Version::V15 {
        w.u32(m.features);
        w.zeros(4);
    }
}
