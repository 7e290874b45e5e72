//! Cutting what a connection sends into messages; what they mean is judged by the session.

use crate::session::Received;
use bytes::{Bytes, BytesMut};
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError};

/// Messages of a batch: handing each over by itself would cost as much as carrying it out.
const BATCH: usize = 64;

/// Messages in their order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Whole messages; none: more bytes are needed.
    pub messages: Vec<Received>,
    /// Why nothing can be read after the last of them.
    pub broken: Option<String>,
}

/// Takes messages off the front of a buffer, as many as a batch may have.
pub fn cut(buffer: &mut BytesMut) -> Batch {
    let mut batch = Batch::default();
    while batch.messages.len() < BATCH {
        match next_frame(buffer) {
            Ok(Some(message)) => batch.messages.push(message),
            Ok(None) => break,
            Err((header, bytes, e)) => {
                // Told once; where the next message begins nobody can know.
                batch.broken = Some(e.to_string());
                batch.messages.push(Received::broken(header, bytes, e));
                break;
            }
        }
    }
    batch
}

/// Takes the first message off the buffer. A header that announces less than itself
/// is handed out as an error; the stream can't be read on then.
fn next_frame(buffer: &mut BytesMut) -> Result<Option<Received>, (Header, Bytes, OfError)> {
    let Ok(header) = Header::decode(buffer) else { return Ok(None) };
    let len = usize::from(header.length);
    if len < wire::HEADER_LEN {
        let reason = format!("{len} is less than the header's {}", wire::HEADER_LEN);
        let e = OfError::at(ErrorKind::BadRequestBadLen, 2, "length", reason);
        let bytes = buffer.split_to(wire::HEADER_LEN).freeze();
        return Err((header, bytes, e));
    }
    if buffer.len() < len {
        return Ok(None);
    }
    let bytes = buffer.split_to(len).freeze();
    Ok(Some(Received::new(header, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let stream = [4, 20, 0, 8, 0, 0, 0, 1, 4, 2, 0, 10, 0, 0, 0, 2, 9, 9];
        for step in 1..=stream.len() {
            let mut buffer = BytesMut::new();
            let mut lengths = Vec::new();
            for chunk in stream.chunks(step) {
                buffer.extend_from_slice(chunk);
                while let Some(r) = next_frame(&mut buffer).unwrap() {
                    assert!(wire::decode(&r.bytes).is_ok());
                    lengths.push(r.bytes.len());
                }
            }
            assert_eq!(lengths, [8, 10], "cut every {step}");
        }
    }

    #[test]
    fn a_length_below_the_header_s_is_told_and_ends() {
        let mut buffer = BytesMut::from(&[4, 20, 0, 7, 0, 0, 0, 1][..]);
        let (_, bytes, e) = next_frame(&mut buffer).unwrap_err();
        assert_eq!((bytes.len(), e.kind), (8, ErrorKind::BadRequestBadLen));
    }
}
