//! Model ⇄ bytes. Version differences live below this module and nowhere else.
//!
//! [`decode`] reads exactly one message and refuses what isn't structurally sound (lengths, truncated
//! structures, unknown message types) with the specification's error, the place and the field. What a
//! message *means* is judged by [`validate`](crate::validate), so that tools can show an invalid one.
//!
//! [`encode`] writes a message for a version. What a controller *asks* must be sayable in that version,
//! or the answer is [`EncodeError::Unsupported`]; what a switch *reports* (statistics, descriptions,
//! asynchronous messages) leaves out the counters and properties for which the version has no room,
//! and reports a reason the version lacks as the one it is a case of.
//!
//! Nothing here keeps state between calls, so everything may be used from any thread.

mod action;
mod action10;
mod async_config;
mod bundle;
mod codes;
mod continuation;
pub mod cursor;
mod experimenter;
pub(crate) mod fixed;
mod flow;
pub mod framer;
mod group;
mod instruction;
mod message;
mod meter;
mod monitor;
mod multipart;
mod nicira;
mod nicira_learn;
mod nicira_message;
mod nicira_tlv;
mod onf;
mod over;
mod oxm;
mod oxs;
mod packet;
mod port;
mod property;
mod queue;
mod role;
pub mod segment;
mod switch;
mod table;
mod v10;

pub use bundle::bundled;
pub use continuation::{decode_continuation, encode_continuation};
pub use cursor::{Reader, Writer};
pub use message::message_name;
pub use over::decode_over;

use crate::error::{ErrorKind, OfError};
use crate::field::{Code, FieldId};
use crate::ids::Xid;
use crate::message::{HelloElement, Message};
use crate::version::Version;
use std::borrow::Cow;

/// Bytes of `ofp_header`.
pub const HEADER_LEN: usize = 8;
/// The longest message that the 16-bit length can announce.
pub const MAX_MESSAGE_LEN: usize = 0xffff;

/// `ofp_header` (OpenFlow 1.3.5 §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The version byte as sent; it need not be one that this crate speaks.
    pub version: u8,
    /// The message type.
    pub ty: u8,
    /// Length of the message, this header included.
    pub length: u16,
    /// Transaction id.
    pub xid: Xid,
}

impl Header {
    /// Reads a header; fails only if there are fewer than eight bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, OfError> {
        let mut r = Reader::new(bytes);
        Ok(Self { version: r.u8("version")?, ty: r.u8("type")?, length: r.u16("length")?, xid: Xid(r.u32("xid")?) })
    }

    /// Whether the message asks for an echo, by its type.
    pub const fn is_echo_request(&self) -> bool {
        self.ty == message::ECHO_REQUEST
    }

    /// Whether the message asks for a barrier in `version`, by its type.
    pub fn is_barrier_request(&self, version: Version) -> bool {
        self.ty == if version == Version::V10 { 18 } else { message::BARRIER_REQUEST }
    }

    /// Whether only switches send messages of this type in `version`.
    pub fn is_from_switch(&self, version: Version) -> bool {
        message::is_from_switch(version, self.ty)
    }
}

/// Why a message cannot be written in a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The version has no wire form for this.
    #[error("OpenFlow {version} cannot say {what}")]
    Unsupported {
        /// The version asked for.
        version: Version,
        /// What it lacks, in the specification's words.
        what: Cow<'static, str>,
    },
    /// A length field cannot hold this.
    #[error("{what} takes {len} bytes, at most {max} fit")]
    TooLong {
        /// The structure or field.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The most bytes that fit.
        max: usize,
    },
    /// A value is wider than its field.
    #[error("{value:#x} is out of range for {what}")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// The value.
        value: u128,
    },
}

/// An `Unsupported` of `what`.
fn unsupported(version: Version, what: impl Into<Cow<'static, str>>) -> EncodeError {
    EncodeError::Unsupported { version, what: what.into() }
}

/// Refuses what a request says beyond the version, unless it is what the absence of the field means.
fn require(holds: bool, version: Version, what: &'static str) -> Result<(), EncodeError> {
    if holds { Ok(()) } else { Err(unsupported(version, what)) }
}

/// Writes the length since `start` into the 16-bit field at `at`.
fn set_length(w: &mut Writer, at: usize, start: usize, what: &'static str) -> Result<(), EncodeError> {
    let len = w.len().saturating_sub(start);
    match u16::try_from(len) {
        Ok(n) => {
            w.patch_u16(at, n);
            Ok(())
        }
        Err(_) => Err(EncodeError::TooLong { what, len, max: MAX_MESSAGE_LEN }),
    }
}

/// The header form in which `version` writes a field; `None` where it has none.
pub fn field_code(field: FieldId, version: Version) -> Option<Code> {
    oxm::preferred(field.info(), version)
}

/// Text of a zero-filled field; bytes that aren't UTF-8 show as U+FFFD.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Writes text into a zero-filled field of `n` bytes, the last of which stays zero.
fn put_text(w: &mut Writer, text: &str, n: usize, what: &'static str) -> Result<(), EncodeError> {
    if text.len() >= n {
        return Err(EncodeError::TooLong { what, len: text.len(), max: n - 1 });
    }
    w.text(text, n);
    Ok(())
}

/// Reads exactly one message: `bytes` is all of it, as [`framer::Framer`] hands it out.
///
/// Errors carry the code of OpenFlow 1.3.5 §7.4.4, the offset from the first byte of the header and
/// the field's name.
pub fn decode(bytes: &[u8]) -> Result<(Header, Message), OfError> {
    let (header, version, mut r) = open(bytes)?;
    let message = message::decode(version, header.ty, &mut r, message::Nesting::Outer)?;
    all_read(&r)?;
    Ok((header, message))
}

/// The header of a whole message, its version, and the reader of its body.
#[inline]
fn open(bytes: &[u8]) -> Result<(Header, Version, Reader<'_>), OfError> {
    let header = Header::decode(bytes)?;
    let Some(version) = Version::from_wire(header.version) else {
        return Err(OfError::at(
            ErrorKind::BadRequestBadVersion,
            0,
            "version",
            format!("{:#04x} is no version this switch speaks", header.version),
        ));
    };
    if usize::from(header.length) != bytes.len() {
        return Err(OfError::at(
            ErrorKind::BadRequestBadLen,
            2,
            "length",
            format!("header says {} bytes, the message has {}", header.length, bytes.len()),
        ));
    }
    let mut r = Reader::new(bytes);
    r.skip(HEADER_LEN)?;
    Ok((header, version, r))
}

#[inline]
fn all_read(r: &Reader<'_>) -> Result<(), OfError> {
    if r.is_empty() {
        return Ok(());
    }
    let reason = format!("{} bytes more than the message has", r.remaining());
    Err(r.error(ErrorKind::BadRequestBadLen, "length", reason))
}

/// Reads a hello of whatever version, so that negotiation can answer a peer of an unknown one.
///
/// The type must be `OFPT_HELLO`; the body never makes this fail (OpenFlow 1.3.5 §7.5.1).
pub fn decode_hello(bytes: &[u8]) -> Result<(Header, Vec<HelloElement>), OfError> {
    let header = Header::decode(bytes)?;
    if header.ty != 0 {
        return Err(OfError::at(ErrorKind::HelloFailedIncompatible, 1, "type", format!("{} is no hello", header.ty)));
    }
    let mut r = Reader::new(bytes);
    r.skip(HEADER_LEN)?;
    Ok((header, switch::decode_hello(&mut r)))
}

/// Writes one message into a new buffer.
pub fn encode(version: Version, xid: Xid, message: &Message) -> Result<Vec<u8>, EncodeError> {
    let mut buf = Vec::with_capacity(128);
    encode_into(&mut buf, version, xid, message)?;
    Ok(buf)
}

/// Appends one message to `buf`; on an error `buf` is as it was.
pub fn encode_into(buf: &mut Vec<u8>, version: Version, xid: Xid, message: &Message) -> Result<(), EncodeError> {
    let start = buf.len();
    let mut w = Writer::over(std::mem::take(buf));
    let result = put_message(&mut w, version, xid, message);
    *buf = w.into_vec();
    if result.is_err() {
        buf.truncate(start);
    }
    result
}

/// Writes header and body at the writer's end.
fn put_message(w: &mut Writer, version: Version, xid: Xid, message: &Message) -> Result<(), EncodeError> {
    let start = w.len();
    w.u8(version.wire());
    w.u8(0);
    w.u16(0);
    w.u32(xid.0);
    let ty = message::encode(w, version, message)?;
    w.patch_u8(start + 1, ty);
    set_length(w, start + 2, start, "message")
}

#[cfg(test)]
mod old_versions_tests;
#[cfg(test)]
mod tests;
