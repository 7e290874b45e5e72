//! Cuts a byte stream into messages. No I/O: feed it what was read, take what is complete.

use super::HEADER_LEN;
use crate::error::{ErrorKind, OfError};

/// Collects bytes of one connection and hands out whole messages.
///
/// Invariant: at most `cap` bytes are held. A framer that returned an error stays in error, because
/// the place of the next message is unknown: the connection has to be closed.
#[derive(Debug)]
pub struct Framer {
    buf: Vec<u8>,
    /// Bytes of `buf` that were handed out already.
    start: usize,
    cap: usize,
    failed: Option<OfError>,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAP)
    }
}

impl Framer {
    /// Room for four of the longest messages.
    pub const DEFAULT_CAP: usize = 4 * 65_536;

    /// A framer that holds at most `cap` bytes, and never less than the longest message.
    pub fn new(cap: usize) -> Self {
        Self { buf: Vec::new(), start: 0, cap: cap.max(super::MAX_MESSAGE_LEN), failed: None }
    }

    /// Bytes that [`feed`](Self::feed) takes now. A reader that honours this applies back-pressure.
    pub fn room(&self) -> usize {
        self.cap - self.buffered()
    }

    /// Bytes held.
    pub fn buffered(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Takes bytes from the stream; says how many were taken (fewer than given when the cap is reached:
    /// take messages out and feed the rest).
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        if self.start > 0 && (self.start == self.buf.len() || self.start >= super::MAX_MESSAGE_LEN) {
            self.buf.drain(..self.start);
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes.get(..n).unwrap_or_default());
        n
    }

    /// The next whole message, header included; `Ok(None)` when more bytes are needed.
    ///
    /// A length below eight is an error: no next message can be found after it.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, OfError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let held = self.buf.get(self.start..).unwrap_or_default();
        let &[_, _, hi, lo, ..] = held else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([hi, lo]));
        if length < HEADER_LEN {
            let error = OfError::at(
                ErrorKind::BadRequestBadLen,
                2,
                "length",
                format!("{length} is less than the header's {HEADER_LEN}"),
            );
            self.failed = Some(error.clone());
            return Err(error);
        }
        if held.len() < length {
            return Ok(None);
        }
        let at = self.start;
        self.start += length;
        Ok(self.buf.get(at..at + length))
    }

    /// The bytes not handed out yet, such as the header that made [`next_message`](Self::next_message) fail.
    pub fn pending(&self) -> &[u8] {
        self.buf.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARRIER: [u8; 8] = [4, 20, 0, 8, 0, 0, 0, 1];

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let stream: Vec<u8> = BARRIER.iter().chain(&[4, 2, 0, 10, 0, 0, 0, 2, 9, 9]).chain(&BARRIER).copied().collect();
        for step in 1..=stream.len() {
            let mut framer = Framer::default();
            let mut got = Vec::new();
            for chunk in stream.chunks(step) {
                assert_eq!(framer.feed(chunk), chunk.len());
                while let Some(m) = framer.next_message().expect("sound") {
                    got.push(m.to_vec());
                }
            }
            assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [8, 10, 8], "cut every {step}");
            assert_eq!(framer.buffered(), 0);
        }
    }

    #[test]
    fn a_length_below_eight_ends_the_stream() {
        let mut framer = Framer::default();
        framer.feed(&BARRIER);
        framer.feed(&[4, 20, 0, 7, 0, 0, 0, 1]);
        assert!(framer.next_message().expect("first is sound").is_some());
        for _ in 0..2 {
            let e = framer.next_message().expect_err("too short");
            assert_eq!((e.kind, e.offset), (ErrorKind::BadRequestBadLen, Some(2)));
        }
        assert_eq!(framer.pending().len(), 8);
    }

    #[test]
    fn no_more_than_the_cap_is_held() {
        let mut framer = Framer::new(0);
        let big = vec![0u8; 70_000];
        assert_eq!(framer.feed(&big), 65_535);
        assert_eq!(framer.room(), 0);
        assert_eq!(framer.feed(&big), 0);
    }

    #[test]
    fn memory_is_reused() {
        let mut framer = Framer::default();
        for _ in 0..100_000 {
            framer.feed(&BARRIER);
            framer.feed(&BARRIER[..4]);
            assert!(framer.next_message().expect("sound").is_some());
            framer.feed(&BARRIER[4..]);
            assert!(framer.next_message().expect("sound").is_some());
        }
        assert!(framer.buf.capacity() <= 4 * 65_536);
    }
}
