//! Queues (OpenFlow 1.3.5 §7.2.2, §7.3.5.8, §7.3.6; 1.4.1 §7.3.5.9-10).

use super::{EncodeError, Reader, Writer, property, v10};
use crate::error::{ErrorKind, OfError};
use crate::group::{ExperimenterProp, OtherProp, UnknownProp};
use crate::ids::{ExperimenterId, PortNo, QueueId};
use crate::queue::{QueueDesc, QueueProp, QueueStats};
use crate::version::Version;
use bytes::Bytes;

const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;
const EXPERIMENTER: u16 = 0xffff;

/// Reads an `ofp_packet_queue` (until 1.3) of `port`, which it names itself from 1.2 on.
pub(super) fn decode_packet_queue(r: &mut Reader<'_>, version: Version, port: PortNo) -> Result<QueueDesc, OfError> {
    if version <= Version::V11 {
        let mut r = super::multipart::entry(r, 4, "len")?;
        let queue = QueueId(r.u32("queue_id")?);
        r.skip(4)?;
        return Ok(QueueDesc { port, queue, properties: decode_old_props(&mut r)? });
    }
    let mut r = super::multipart::entry(r, 8, "len")?;
    let (queue, port) = (QueueId(r.u32("queue_id")?), PortNo(r.u32("port")?));
    r.skip(8)?;
    Ok(QueueDesc { port, queue, properties: decode_old_props(&mut r)? })
}

/// Properties before 1.4: an 8-byte header, and a length that covers everything.
pub(super) fn decode_old_props(r: &mut Reader<'_>) -> Result<Vec<QueueProp>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        let at = r.offset();
        let ty = r.u16("property")?;
        let length = usize::from(r.u16("property len")?);
        if length < 8 {
            return Err(OfError::at(
                ErrorKind::BadRequestBadLen,
                at + 2,
                "property len",
                format!("{length} is less than 8"),
            ));
        }
        r.skip(4)?;
        let mut body = r.sub(length - 8, "property len")?;
        list.push(match ty {
            MIN_RATE | MAX_RATE => {
                let rate = body.u16("rate")?;
                body.skip(6)?;
                if ty == MIN_RATE { QueueProp::MinRate(rate) } else { QueueProp::MaxRate(rate) }
            }
            EXPERIMENTER => QueueProp::Other(OtherProp::Experimenter(ExperimenterProp {
                ty,
                experimenter: ExperimenterId(body.u32("experimenter")?),
                // Padding here; kept, as later versions' subtype stands in its place.
                exp_type: body.u32("pad")?,
                data: Bytes::copy_from_slice(body.take_rest()),
            })),
            _ => {
                QueueProp::Other(OtherProp::Unknown(UnknownProp { ty, data: Bytes::copy_from_slice(body.take_rest()) }))
            }
        });
        if !body.is_empty() {
            return Err(body.error(ErrorKind::BadRequestBadLen, "property len", "longer than the property"));
        }
    }
    Ok(list)
}

/// Writes an `ofp_packet_queue` (until 1.3).
pub(super) fn encode_packet_queue(w: &mut Writer, version: Version, q: &QueueDesc) -> Result<(), EncodeError> {
    let start = w.len();
    if version <= Version::V11 {
        w.u32(q.queue.0);
        w.u32(0);
        encode_old_props(w, &q.properties)?;
        return super::set_length(w, start + 4, start, "queue");
    }
    w.u32(q.queue.0);
    w.u32(q.port.0);
    w.zeros(8);
    encode_old_props(w, &q.properties)?;
    super::set_length(w, start + 8, start, "queue")
}

/// Writes properties in the form before 1.4.
pub(super) fn encode_old_props(w: &mut Writer, props: &[QueueProp]) -> Result<(), EncodeError> {
    for prop in props {
        let start = w.len();
        let ty = match prop {
            QueueProp::MinRate(_) => MIN_RATE,
            QueueProp::MaxRate(_) => MAX_RATE,
            QueueProp::Other(OtherProp::Experimenter(p)) => p.ty,
            QueueProp::Other(OtherProp::Unknown(p)) => p.ty,
        };
        w.u16(ty);
        w.zeros(6);
        match prop {
            QueueProp::MinRate(rate) | QueueProp::MaxRate(rate) => {
                w.u16(*rate);
                w.zeros(6);
            }
            QueueProp::Other(OtherProp::Experimenter(p)) => {
                w.u32(p.experimenter.0);
                w.u32(p.exp_type);
                w.bytes(&p.data);
            }
            QueueProp::Other(OtherProp::Unknown(p)) => w.bytes(&p.data),
        }
        super::set_length(w, start + 2, start, "queue property")?;
    }
    Ok(())
}

/// Reads one entry of the queue-desc reply (1.4+).
pub(super) fn decode_desc(r: &mut Reader<'_>) -> Result<QueueDesc, OfError> {
    let mut r = super::multipart::entry(r, 8, "len")?;
    let (port, queue) = (PortNo(r.u32("port_no")?), QueueId(r.u32("queue_id")?));
    r.skip(8)?;
    let properties = property::decode(&mut r, ErrorKind::BadPropertyBadLen, |ty, body| {
        Ok(match ty {
            MIN_RATE | MAX_RATE => {
                let rate = body.u16("rate")?;
                body.skip(2)?;
                if ty == MIN_RATE { QueueProp::MinRate(rate) } else { QueueProp::MaxRate(rate) }
            }
            _ => QueueProp::Other(property::decode_other(ty, body)?),
        })
    })?;
    Ok(QueueDesc { port, queue, properties })
}

/// Writes one entry of the queue-desc reply (1.4+).
pub(super) fn encode_desc(w: &mut Writer, q: &QueueDesc) -> Result<(), EncodeError> {
    let start = w.len();
    w.u32(q.port.0);
    w.u32(q.queue.0);
    w.zeros(8);
    for prop in &q.properties {
        let mut rate = |ty, rate: u16| {
            property::encode(w, ty, |w| {
                w.u16(rate);
                w.zeros(2);
                Ok(())
            })
        };
        match prop {
            QueueProp::MinRate(n) => rate(MIN_RATE, *n)?,
            QueueProp::MaxRate(n) => rate(MAX_RATE, *n)?,
            QueueProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    super::set_length(w, start + 8, start, "queue")
}

/// Reads the port and queue that a request names.
pub(super) fn decode_request(r: &mut Reader<'_>, version: Version) -> Result<(PortNo, QueueId), OfError> {
    if version == Version::V10 {
        return v10::decode_queue_request(r);
    }
    Ok((PortNo(r.u32("port_no")?), QueueId(r.u32("queue_id")?)))
}

/// Writes them.
pub(super) fn encode_request(
    w: &mut Writer,
    version: Version,
    port: PortNo,
    queue: QueueId,
) -> Result<(), EncodeError> {
    if version == Version::V10 {
        return v10::put_port_queue(w, port, queue);
    }
    w.u32(port.0);
    w.u32(queue.0);
    Ok(())
}

/// Reads one entry of the queue statistics reply.
pub(super) fn decode_stats(r: &mut Reader<'_>, version: Version) -> Result<QueueStats, OfError> {
    if version >= Version::V14 {
        let mut r = super::multipart::entry(r, 0, "length")?;
        r.skip(8)?;
        let mut m = decode_counters(&mut r, version)?;
        m.properties = property::decode_others(&mut r)?;
        return Ok(m);
    }
    decode_counters(r, version)
}

fn decode_counters(r: &mut Reader<'_>, version: Version) -> Result<QueueStats, OfError> {
    let (port, queue) = decode_request(r, version)?;
    let mut m = QueueStats {
        port,
        queue,
        tx_bytes: r.u64("tx_bytes")?,
        tx_packets: r.u64("tx_packets")?,
        tx_errors: r.u64("tx_errors")?,
        ..QueueStats::default()
    };
    if version >= Version::V13 {
        m.duration_sec = r.u32("duration_sec")?;
        m.duration_nsec = r.u32("duration_nsec")?;
    }
    Ok(m)
}

/// Writes one entry of the queue statistics reply.
pub(super) fn encode_stats(w: &mut Writer, version: Version, m: &QueueStats) -> Result<(), EncodeError> {
    let start = w.len();
    if version >= Version::V14 {
        w.u64(0);
    }
    encode_request(w, version, m.port, m.queue)?;
    w.u64(m.tx_bytes);
    w.u64(m.tx_packets);
    w.u64(m.tx_errors);
    if version >= Version::V13 {
        w.u32(m.duration_sec);
        w.u32(m.duration_nsec);
    }
    if version >= Version::V14 {
        property::encode_others(w, &m.properties)?;
        super::set_length(w, start, start, "queue statistics")?;
    }
    Ok(())
}
