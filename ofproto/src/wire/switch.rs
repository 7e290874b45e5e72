//! Hello, error, features, configuration, description (OpenFlow 1.3.5 §7.3.1-2, §7.3.5.1, §7.4.4, §7.5.1).

use super::{EncodeError, Reader, Writer, text};
use crate::error::{EXPERIMENTER_ERROR, OfError};
use crate::ids::{Dpid, ExperimenterId};
use crate::message::{Capabilities, ErrorMsg, HelloElement, SwitchConfig, SwitchFeatures};
use crate::stats::SwitchDesc;
use crate::version::Version;
use bytes::Bytes;

/// `OFPHET_VERSIONBITMAP`
const VERSION_BITMAP: u16 = 1;
/// `DESC_STR_LEN`
const DESC_LEN: usize = 256;
/// `SERIAL_NUM_LEN`
const SERIAL_LEN: usize = 32;

/// Reads hello elements. A hello's body never makes it fail (a peer of any version may have put
/// anything there): reading stops at what isn't an element.
pub(super) fn decode_hello(r: &mut Reader<'_>) -> Vec<HelloElement> {
    let mut elements = Vec::new();
    while let Ok(element) = decode_hello_element(r) {
        elements.push(element);
    }
    r.take_rest();
    elements
}

fn decode_hello_element(r: &mut Reader<'_>) -> Result<HelloElement, OfError> {
    let ty = r.u16("element type")?;
    let length = usize::from(r.u16("element length")?);
    let mut body = match length.checked_sub(4) {
        Some(n) => r.sub(n, "element length")?,
        None => return Err(r.error(r.short(), "element length", "less than 4")),
    };
    // The last element's padding may be missing.
    r.skip((length.next_multiple_of(8) - length).min(r.remaining()))?;
    if ty != VERSION_BITMAP {
        return Ok(HelloElement::Unknown(ty, Bytes::copy_from_slice(body.take_rest())));
    }
    let mut words = Vec::with_capacity(body.remaining() / 4);
    while !body.is_empty() {
        words.push(body.u32("bitmaps")?);
    }
    Ok(HelloElement::VersionBitmap(words))
}

/// Writes hello elements.
pub(super) fn encode_hello(w: &mut Writer, elements: &[HelloElement]) -> Result<(), EncodeError> {
    for element in elements {
        let start = w.len();
        match element {
            HelloElement::VersionBitmap(words) => {
                w.u16(VERSION_BITMAP);
                w.u16(0);
                words.iter().for_each(|n| w.u32(*n));
            }
            HelloElement::Unknown(ty, data) => {
                w.u16(*ty);
                w.u16(0);
                w.bytes(data);
            }
        }
        super::set_length(w, start + 2, start, "hello element")?;
        w.pad8(start);
    }
    Ok(())
}

/// Reads the body of `OFPT_ERROR`.
pub(super) fn decode_error(r: &mut Reader<'_>, version: Version) -> Result<ErrorMsg, OfError> {
    let (ty, code) = (r.u16("type")?, r.u16("code")?);
    let experimenter = if ty == EXPERIMENTER_ERROR && version >= Version::V12 {
        Some(ExperimenterId(r.u32("experimenter")?))
    } else {
        None
    };
    Ok(ErrorMsg { ty, code, experimenter, data: Bytes::copy_from_slice(r.take_rest()) })
}

/// Writes it.
pub(super) fn encode_error(w: &mut Writer, m: &ErrorMsg) {
    w.u16(m.ty);
    w.u16(m.code);
    if let Some(id) = m.experimenter {
        w.u32(id.0);
    }
    w.bytes(&m.data);
}

/// Reads the body of `OFPT_FEATURES_REPLY` (1.1+).
pub(super) fn decode_features(r: &mut Reader<'_>, version: Version) -> Result<SwitchFeatures, OfError> {
    let dpid = Dpid(r.u64("datapath_id")?);
    let n_buffers = r.u32("n_buffers")?;
    let n_tables = r.u8("n_tables")?;
    let auxiliary_id = r.u8("auxiliary_id")?;
    r.skip(2)?;
    let capabilities = Capabilities::from_bits_retain(r.u32("capabilities")?);
    let actions = r.u32("reserved")?;
    let mut ports = Vec::new();
    while version < Version::V13 && !r.is_empty() {
        ports.push(super::port::decode_port(r, version)?);
    }
    let auxiliary_id = if version >= Version::V13 { auxiliary_id } else { 0 };
    Ok(SwitchFeatures { dpid, n_buffers, n_tables, auxiliary_id, capabilities, actions, ports })
}

/// Writes it. From 1.3 on ports have a multipart of their own.
pub(super) fn encode_features(w: &mut Writer, version: Version, m: &SwitchFeatures) -> Result<(), EncodeError> {
    w.u64(m.dpid.0);
    w.u32(m.n_buffers);
    w.u8(m.n_tables);
    w.u8(if version >= Version::V13 { m.auxiliary_id } else { 0 });
    w.zeros(2);
    w.u32(m.capabilities.bits());
    w.u32(m.actions);
    if version < Version::V13 {
        // 1.0 has no number for a port above 0xff00, so it doesn't see the port.
        let seen = |p: &&crate::port::Port| version > Version::V10 || super::v10::narrow(p.port_no, "port_no").is_ok();
        for port in m.ports.iter().filter(seen) {
            super::port::encode_port(w, version, port)?;
        }
    }
    Ok(())
}

/// Reads an `ofp_switch_config` body.
pub(super) fn decode_config(r: &mut Reader<'_>) -> Result<SwitchConfig, OfError> {
    Ok(SwitchConfig { flags: r.u16("flags")?, miss_send_len: r.u16("miss_send_len")? })
}

/// Writes it.
pub(super) fn encode_config(w: &mut Writer, m: &SwitchConfig) {
    w.u16(m.flags);
    w.u16(m.miss_send_len);
}

/// Reads the description.
pub(super) fn decode_desc(r: &mut Reader<'_>) -> Result<SwitchDesc, OfError> {
    Ok(SwitchDesc {
        mfr_desc: text(r.bytes(DESC_LEN, "mfr_desc")?),
        hw_desc: text(r.bytes(DESC_LEN, "hw_desc")?),
        sw_desc: text(r.bytes(DESC_LEN, "sw_desc")?),
        serial_num: text(r.bytes(SERIAL_LEN, "serial_num")?),
        dp_desc: text(r.bytes(DESC_LEN, "dp_desc")?),
    })
}

/// Writes it.
pub(super) fn encode_desc(w: &mut Writer, m: &SwitchDesc) -> Result<(), EncodeError> {
    super::put_text(w, &m.mfr_desc, DESC_LEN, "mfr_desc")?;
    super::put_text(w, &m.hw_desc, DESC_LEN, "hw_desc")?;
    super::put_text(w, &m.sw_desc, DESC_LEN, "sw_desc")?;
    super::put_text(w, &m.serial_num, SERIAL_LEN, "serial_num")?;
    super::put_text(w, &m.dp_desc, DESC_LEN, "dp_desc")
}
