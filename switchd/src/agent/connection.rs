//! The task of one connection: what it sends waits in the bridge's outbox, what it receives under TLS goes to the
//! bridge's queue.
//!
//! Reading stops while the bridge's queue for this connection is full, so that TCP holds the peer
//! back; writing goes on meanwhile. Where nothing lies between socket and messages the bridge's thread reads
//! by itself ([`super::plain`]).

use super::frames::{self, Batch};
use super::outbox::{Close, Outbox, Work};
use super::plain::READ;
use crate::bridge::Doorbell;
use crate::session::{Received, limits};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tracing::debug;

/// Batches that may wait for the bridge per connection. A batch comes out of one buffer: its messages
/// have little more than twice [`READ`] bytes together.
pub const INBOUND: usize = 16;

/// Unsent bytes below which a held-back dump goes on.
const LOW_WATER: usize = limits::REPLY_QUEUE / 2;

/// How long the last words of a connection may take.
const FLUSH: Duration = Duration::from_secs(5);

/// What has to be done when a connection's task ends, in whatever way.
struct Parting {
    outbox: Arc<Outbox>,
    bell: Doorbell,
}

impl Drop for Parting {
    fn drop(&mut self) {
        self.outbox.close(Close::Now);
        self.bell.ring();
    }
}

/// Moves bytes both ways until the connection ends.
pub async fn run<R, W>(reader: R, writer: W, inbound: mpsc::Sender<Vec<Received>>, outbox: Arc<Outbox>, bell: Doorbell)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let _parting = Parting { outbox: Arc::clone(&outbox), bell: bell.clone() };
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
}

/// Moves bytes out until the connection ends.
pub async fn run_out(writer: impl AsyncWrite + Unpin + Send, outbox: Arc<Outbox>, bell: Doorbell) {
    let _parting = Parting { outbox: Arc::clone(&outbox), bell: bell.clone() };
    write(writer, &outbox, &bell).await;
}

async fn read<R: AsyncRead + Unpin>(mut reader: R, inbound: &mpsc::Sender<Vec<Received>>, bell: &Doorbell) -> String {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        loop {
            let Batch { mut messages, broken } = frames::cut(&mut buffer);
            messages.iter_mut().for_each(Received::read);
            if messages.is_empty() {
                break;
            }
            if inbound.send(messages).await.is_err() {
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
