//! One connection's bytes: the socket on one side, the bridge's queues on the other.
//!
//! Reading stops while the bridge's queue for this connection is full, so that TCP holds the peer
//! back; writing goes on meanwhile. Messages are framed and decoded here, in parallel for all
//! connections; what they mean is judged by the session.

use super::outbox::{Close, Outbox, Work};
use crate::bridge::Doorbell;
use crate::session::{Received, limits};
use bytes::BytesMut;
use ofproto::wire::{self, Header};
use ofproto::{ErrorKind, OfError};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tracing::debug;

/// Batches that may wait for the bridge per connection. A batch comes out of one buffer: its messages
/// have little more than twice [`READ`] bytes together.
pub const INBOUND: usize = 16;

/// Messages of a batch: handing each over by itself would cost as much as carrying it out.
pub const BATCH: usize = 64;

/// Bytes read at a time.
const READ: usize = 64 << 10;

/// Unsent bytes below which a held-back dump goes on.
const LOW_WATER: usize = limits::REPLY_QUEUE / 2;

/// How long the last words of a connection may take.
const FLUSH: Duration = Duration::from_secs(5);

/// Moves bytes until the connection ends.
pub async fn run<R, W>(reader: R, writer: W, inbound: mpsc::Sender<Vec<Received>>, outbox: Arc<Outbox>, bell: Doorbell)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let write = write(writer, &outbox, &bell);
    let read = async {
        let reason = read(reader, &inbound, &bell).await;
        debug!(reason, "nothing more is read");
        // The queue's end tells the bridge, which then closes the outbox.
        drop(inbound);
        bell.ring();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    outbox.close(Close::Now);
    bell.ring();
}

async fn read<R: AsyncRead + Unpin>(mut reader: R, inbound: &mpsc::Sender<Vec<Received>>, bell: &Doorbell) -> String {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        loop {
            let mut batch = Vec::new();
            let mut broken = None;
            while batch.len() < BATCH {
                match next_frame(&mut buffer) {
                    Ok(Some(frame)) => batch.push(frame),
                    Ok(None) => break,
                    Err(e) => {
                        // Told once; where the next message begins nobody can know.
                        broken = Some(e.message.as_ref().err().map(ToString::to_string).unwrap_or_default());
                        batch.push(*e);
                        break;
                    }
                }
            }
            if batch.is_empty() {
                break;
            }
            if inbound.send(batch).await.is_err() {
                return "the bridge ended the connection".to_owned();
            }
            bell.ring();
            if let Some(reason) = broken {
                return reason;
            }
        }
        buffer.reserve(READ);
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return "the peer closed the connection".to_owned(),
            Ok(_) => {}
            Err(e) => return e.to_string(),
        }
    }
}

/// Takes the first message off the buffer and decodes it. A header that announces less than itself
/// is handed out as an error; the stream can't be read on then.
fn next_frame(buffer: &mut BytesMut) -> Result<Option<Received>, Box<Received>> {
    let Ok(header) = Header::decode(buffer) else { return Ok(None) };
    let len = usize::from(header.length);
    if len < wire::HEADER_LEN {
        let reason = format!("{len} is less than the header's {}", wire::HEADER_LEN);
        let e = OfError::at(ErrorKind::BadRequestBadLen, 2, "length", reason);
        let bytes = buffer.split_to(wire::HEADER_LEN).freeze();
        return Err(Box::new(Received { header, message: Err(e), bytes }));
    }
    if buffer.len() < len {
        return Ok(None);
    }
    let bytes = buffer.split_to(len).freeze();
    let message = wire::decode(&bytes).map(|(_, message)| message);
    Ok(Some(Received { header, message, bytes }))
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, outbox: &Outbox, bell: &Doorbell) {
    let all = async {
        while let Work::Write(chunks) = outbox.take().await {
            for chunk in chunks {
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    match writer.write(rest).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => {
                            let before = outbox.queued();
                            outbox.wrote(n);
                            // What was held back for want of room may go on.
                            if before >= LOW_WATER && outbox.queued() < LOW_WATER {
                                bell.ring();
                            }
                            rest = rest.get(n..).unwrap_or(&[]);
                        }
                    }
                }
            }
            if writer.flush().await.is_err() {
                return;
            }
        }
    };
    let flushed_in_time = async {
        outbox.closed().await;
        tokio::time::sleep(FLUSH).await;
    };
    tokio::select! {
        () = all => {}
        () = outbox.cut() => {}
        () = flushed_in_time => {}
    }
    // The peer may be gone already.
    let _ = tokio::time::timeout(Duration::from_secs(1), writer.shutdown()).await;
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
                    assert!(r.message.is_ok());
                    lengths.push(r.bytes.len());
                }
            }
            assert_eq!(lengths, [8, 10], "cut every {step}");
        }
    }

    #[test]
    fn a_length_below_the_header_s_is_told_and_ends() {
        let mut buffer = BytesMut::from(&[4, 20, 0, 7, 0, 0, 0, 1][..]);
        let r = next_frame(&mut buffer).unwrap_err();
        assert_eq!(r.message.unwrap_err().kind, ErrorKind::BadRequestBadLen);
    }
}
