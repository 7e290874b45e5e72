//! A socket cut into messages.

use crate::target::Stream;
use anyhow::{Context as _, bail};
use ofproto::wire::framer::Framer;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

/// A socket and what was read of the next message.
#[derive(Debug)]
pub struct Channel {
    stream: Stream,
    framer: Framer,
}

impl Channel {
    /// Nothing was read yet.
    pub fn new(stream: Stream) -> Self {
        Self { stream, framer: Framer::default() }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).context("sending to the switch")
    }

    /// The next message's bytes, or `None` at the deadline.
    pub fn next(&mut self, deadline: Option<Instant>) -> anyhow::Result<Option<Vec<u8>>> {
        let mut chunk = [0; 65_536];
        loop {
            if let Some(m) = self.framer.next_message()? {
                return Ok(Some(m.to_vec()));
            }
            let wait = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Ok(None),
                wait => wait,
            };
            self.stream.set_read_timeout(wait)?;
            // Never more than the framer takes.
            let most = chunk.len().min(self.framer.room());
            match self.stream.read(chunk.get_mut(..most).unwrap_or_default()) {
                Ok(0) => bail!("the switch closed the connection"),
                Ok(n) => {
                    self.framer.feed(chunk.get(..n).unwrap_or_default());
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(e) => return Err(e).context("reading from the switch"),
            }
        }
    }
}
