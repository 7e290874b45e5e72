//! Bytes on their way from the bridge's thread to one connection's socket.
//!
//! The bridge pushes and never waits; the connection's task takes and writes. The bound is the
//! pusher's to keep: it looks at [`Outbox::queued`] before it makes more (see `session::limits`), so
//! that a peer that doesn't read costs a known amount of memory and no time of anybody else's.
//!
//! What is small and meets an empty queue the bridge's thread writes to the socket itself, where the
//! connection's bytes are the socket's: waking the task up would cost more than the write,
//! and the answer would leave later. Whatever the socket doesn't take at once goes to the task.
//!
//! Thread-safety: any thread may call anything; the lock is held to move pointers, and for one write
//! that doesn't wait.

use super::plain::Socket;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// At once.
    Now,
    /// When what is queued has been written (or can't be for a second).
    AfterFlush,
}

/// Most bytes that the bridge's thread writes at once, more than a round's packet-ins usually have: larger
/// pieces are copied by the task, beside it.
const DIRECT_MOST: usize = 64 << 10;

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    direct: Option<Socket>,
    chunks: Mutex<VecDeque<Bytes>>,
    close: watch::Sender<Option<Close>>,
    /// Bytes pushed and not yet written to the socket.
    queued: AtomicUsize,
    /// Bytes written since the beginning.
    written: AtomicU64,
    wake: Notify,
}

/// What there is to do for the writer.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// Write this.
    Write(Vec<Bytes>),
    /// Everything was taken; end the connection.
    End,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            direct: None,
            chunks: Mutex::default(),
            close: watch::Sender::new(None),
            queued: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }
}

impl Outbox {
    /// A queue in front of a socket that may be written to directly.
    pub fn direct(socket: Socket) -> Self {
        Self { direct: Some(socket), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        // A panic while the lock was held leaves a queue of whole chunks all the same.
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes of a buffer and leaves it empty. After [`close`](Self::close) they are dropped.
    pub fn push(&self, buffer: &mut Vec<u8>) {
        if buffer.is_empty() || self.closing().is_some() {
            buffer.clear();
            return;
        }
        let mut chunks = self.lock();
        // Nothing waits and nothing is being written: `queued` falls only once the task has written.
        if let Some(direct) = self.direct.as_ref().filter(|_| buffer.len() <= DIRECT_MOST && self.queued() == 0) {
            let n = direct.write(buffer);
            self.written.fetch_add(n as u64, Ordering::Relaxed);
            if n == buffer.len() {
                buffer.clear();
                return;
            }
            buffer.drain(..n);
        }
        self.queued.fetch_add(buffer.len(), Ordering::Relaxed);
        chunks.push_back(Bytes::from(std::mem::take(buffer)));
        drop(chunks);
        self.wake.notify_one();
    }

    /// Bytes that wait, those being written included.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Bytes ever written: stands still when the peer doesn't read.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the connection; an end at once is not softened later.
    pub fn close(&self, how: Close) {
        self.close.send_if_modified(|now| {
            let changes = *now != Some(how) && *now != Some(Close::Now);
            if changes {
                *now = Some(how);
            }
            changes
        });
        self.wake.notify_one();
    }

    /// Whether, and how, the connection is to end.
    pub fn closing(&self) -> Option<Close> {
        *self.close.borrow()
    }

    /// The writer's side: waits for work.
    pub async fn take(&self) -> Work {
        loop {
            let closing = self.closing();
            if closing == Some(Close::Now) {
                return Work::End;
            }
            let chunks: Vec<Bytes> = self.lock().drain(..).collect();
            if !chunks.is_empty() {
                return Work::Write(chunks);
            }
            if closing.is_some() {
                return Work::End;
            }
            self.wake.notified().await;
        }
    }

    /// Resolves once the connection is to end at once, so that a write that the peer never takes can
    /// be left.
    pub async fn cut(&self) {
        // The sender is `self`: it outlives the wait.
        let _ = self.close.subscribe().wait_for(|c| *c == Some(Close::Now)).await;
    }

    /// Resolves once the connection is to end in whatever way.
    pub async fn closed(&self) {
        let _ = self.close.subscribe().wait_for(Option::is_some).await;
    }

    /// The writer's side: `n` more bytes are out.
    pub fn wrote(&self, n: usize) {
        self.queued.fetch_sub(n.min(self.queued()), Ordering::Relaxed);
        self.written.fetch_add(n as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_out_in_order_and_are_counted_until_written() {
        let o = Outbox::default();
        o.push(&mut b"abc".to_vec());
        o.push(&mut Vec::new());
        o.push(&mut b"de".to_vec());
        assert_eq!(o.queued(), 5);
        assert_eq!(o.take().await, Work::Write(vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de")]));
        assert_eq!(o.queued(), 5, "being written counts");
        o.wrote(5);
        assert_eq!((o.queued(), o.written()), (0, 5));
    }

    #[tokio::test]
    async fn a_flush_ends_after_the_last_byte_and_takes_no_more() {
        let o = Outbox::default();
        o.push(&mut b"last words".to_vec());
        o.close(Close::AfterFlush);
        let mut late = b"too late".to_vec();
        o.push(&mut late);
        assert!(late.is_empty());
        assert_eq!(o.take().await, Work::Write(vec![Bytes::from_static(b"last words")]));
        assert_eq!(o.take().await, Work::End);
    }

    #[tokio::test]
    async fn a_cut_ends_at_once_and_is_not_softened() {
        let o = Outbox::default();
        o.push(&mut b"x".to_vec());
        o.close(Close::Now);
        o.close(Close::AfterFlush);
        o.cut().await;
        assert_eq!(o.take().await, Work::End);
    }

    #[tokio::test]
    async fn a_direct_write_takes_what_fits_and_overtakes_nothing() {
        use std::io::Read;
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        let o = Outbox::direct(Socket::new(near));
        let mut said = Vec::new();
        let mut say = |byte: u8, len: usize| {
            let mut piece = vec![byte; len];
            said.extend_from_slice(&piece);
            o.push(&mut piece);
            assert!(piece.is_empty());
        };
        say(1, 10);
        assert_eq!((o.queued(), o.written()), (0, 10), "it went out at once");
        for byte in 2..=255 {
            say(byte, DIRECT_MOST);
        }
        assert!(o.queued() > 0, "the socket takes no more");
        // The peer reads, but what came later must not overtake what waits.
        let mut heard = vec![0; usize::try_from(o.written()).unwrap()];
        far.read_exact(&mut heard).unwrap();
        say(0, 1);
        let Work::Write(chunks) = o.take().await else { panic!("nothing to write") };
        say(0, 1);
        for chunk in chunks {
            heard.extend_from_slice(&chunk);
            o.wrote(chunk.len());
        }
        let Work::Write(chunks) = o.take().await else { panic!("nothing to write") };
        assert_eq!(chunks.len(), 1);
        heard.extend_from_slice(&chunks[0]);
        o.wrote(1);
        assert_eq!(heard, said);
        o.push(&mut vec![7; DIRECT_MOST + 1]);
        assert_eq!(o.queued(), DIRECT_MOST + 1, "a large piece is the task's");
    }
}
