//! The flow-mod specifications of `NXAST_LEARN` and `NXAST_LEARN2`: a header of 16 bits, the source of
//! the bits, and where they go.

use super::{EncodeError, Reader, Writer, oxm};
use crate::error::{ErrorKind, OfError};
use crate::nicira::{LearnSource, LearnSpec, Subfield};
use crate::version::Version;
use bytes::Bytes;

const N_BITS: u16 = 0x3ff;
const IMMEDIATE: u16 = 1 << 13;
const DST_MATCH: u16 = 0;
const DST_LOAD: u16 = 1;
const DST_OUTPUT: u16 = 2;
const DST_SHIFT: u16 = 11;

/// Bytes of a constant of `n_bits`: whole 16-bit words.
fn immediate_len(n_bits: u16) -> usize {
    usize::from(n_bits.div_ceil(16)) * 2
}

/// Reads specifications until one that is all zeros, or to the end.
pub(super) fn decode_specs(r: &mut Reader<'_>, version: Version) -> Result<Vec<LearnSpec>, OfError> {
    let mut specs = Vec::new();
    while r.remaining() >= 2 {
        let at = r.offset();
        let header = r.u16("flow_mod_spec header")?;
        if header == 0 {
            break;
        }
        let n_bits = header & N_BITS;
        let reserved = header & !(N_BITS | IMMEDIATE | 3 << DST_SHIFT);
        let kind = header >> DST_SHIFT & 3;
        if reserved != 0 || kind > DST_OUTPUT || n_bits == 0 {
            return Err(OfError::at(
                ErrorKind::BadActionBadArgument,
                at,
                "flow_mod_spec header",
                format!("{header:#06x} is not defined"),
            ));
        }
        let src = if header & IMMEDIATE != 0 {
            LearnSource::Immediate(Bytes::copy_from_slice(r.bytes(immediate_len(n_bits), "src value")?))
        } else {
            LearnSource::Field(subfield(r, n_bits, version)?)
        };
        specs.push(match kind {
            DST_MATCH => LearnSpec::Match { src, dst: subfield(r, n_bits, version)?, n_bits },
            DST_LOAD => LearnSpec::Load { src, dst: subfield(r, n_bits, version)?, n_bits },
            _ => LearnSpec::Output { src, n_bits },
        });
    }
    r.take_rest();
    Ok(specs)
}

fn subfield(r: &mut Reader<'_>, n_bits: u16, version: Version) -> Result<Subfield, OfError> {
    let field = oxm::decode_id(r, version)?;
    Ok(Subfield { field, offset: r.u16("ofs")?, n_bits })
}

/// Writes specifications; the caller pads.
pub(super) fn encode_specs(w: &mut Writer, version: Version, specs: &[LearnSpec]) -> Result<(), EncodeError> {
    for spec in specs {
        let kind = match spec {
            LearnSpec::Match { .. } => DST_MATCH,
            LearnSpec::Load { .. } => DST_LOAD,
            LearnSpec::Output { .. } => DST_OUTPUT,
        };
        let ((src, dst), n_bits) = (spec.ends(), spec.n_bits());
        if n_bits == 0 || n_bits > N_BITS {
            return Err(EncodeError::OutOfRange { what: "flow_mod_spec n_bits", value: n_bits.into() });
        }
        let constant = if matches!(src, LearnSource::Immediate(_)) { IMMEDIATE } else { 0 };
        w.u16(kind << DST_SHIFT | constant | n_bits);
        match src {
            LearnSource::Field(s) => put_subfield(w, version, s)?,
            LearnSource::Immediate(bytes) => put_immediate(w, bytes, n_bits)?,
        }
        if let Some(dst) = dst {
            put_subfield(w, version, dst)?;
        }
    }
    Ok(())
}

fn put_subfield(w: &mut Writer, version: Version, s: &Subfield) -> Result<(), EncodeError> {
    oxm::encode_id(w, version, &s.field)?;
    w.u16(s.offset);
    Ok(())
}

/// A constant in as many bytes as its width asks for, whatever number of leading zeros the model has.
fn put_immediate(w: &mut Writer, bytes: &[u8], n_bits: u16) -> Result<(), EncodeError> {
    let len = immediate_len(n_bits);
    let spare = bytes.len().saturating_sub(len);
    let (cut, kept) = bytes.split_at(spare);
    if cut.iter().any(|b| *b != 0) {
        return Err(EncodeError::TooLong { what: "learn constant", len: bytes.len(), max: len });
    }
    w.zeros(len - kept.len());
    w.bytes(kept);
    Ok(())
}
