//! A connection whose bytes go over the socket as they are: the bridge's thread reads it itself, and writes
//! what the socket takes at once. A hand-over between threads, which costs more than carrying out most
//! requests, is left only for output that has to wait: that is written by the connection's task ([`Writer`]).
//!
//! Reading takes a piece at a time, and none while messages of the last piece wait, so that TCP holds back a
//! peer that sends too fast.

use super::frames::{self, Batch};
use crate::session::Received;
use bytes::BytesMut;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWrite, Interest};

/// Bytes read at a time.
pub const READ: usize = 64 << 10;

/// A socket that its connection's task and the bridge's thread share. It doesn't block.
#[derive(Clone, Debug)]
pub struct Socket(Arc<OwnedFd>);

impl Socket {
    /// Of a descriptor that doesn't block.
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self(Arc::new(fd.into()))
    }

    /// Writes as much as there is room for; faults are left for the task to meet.
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.send(bytes).unwrap_or(0)
    }

    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        send(&self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a look at a connection found.
#[derive(Debug)]
pub enum Taken {
    /// Messages, at least one.
    Messages(Vec<Received>),
    /// None for now.
    Nothing,
    /// None any more: why.
    End(String),
}

/// The reading side of a plain connection.
#[derive(Debug)]
pub struct Reader {
    socket: Socket,
    /// Read and not yet taken as messages.
    rest: BytesMut,
    /// The socket may have more.
    readable: bool,
    over: Option<String>,
}

impl Reader {
    /// Reads from a socket.
    pub fn new(socket: Socket) -> Self {
        Self { socket, rest: BytesMut::new(), readable: true, over: None }
    }

    /// The socket, to wait for; `None` when nothing more can come.
    pub fn wait_for(&self) -> Option<&Socket> {
        self.over.is_none().then_some(&self.socket)
    }

    /// There is something to read, or the end.
    pub fn note_readable(&mut self) {
        self.readable = true;
    }

    /// Whether nothing is known to wait: neither bytes nor something in the socket.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty() && !self.readable
    }

    /// Takes the next messages; reads once if there are none. `scratch` is memory for that, [`READ`] bytes.
    pub fn take(&mut self, scratch: &mut [u8]) -> Taken {
        loop {
            let Batch { messages, broken } = frames::cut(&mut self.rest);
            if let Some(reason) = broken {
                self.over = Some(reason);
                self.rest.clear();
            }
            if !messages.is_empty() {
                return Taken::Messages(messages);
            }
            if let Some(reason) = &self.over {
                return Taken::End(reason.clone());
            }
            if !self.readable {
                return Taken::Nothing;
            }
            match recv(&self.socket, &mut *scratch, RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.over = Some("the peer closed the connection".to_owned()),
                Ok((n, _)) => {
                    // What is more than fits one piece is looked for without asking.
                    self.readable = n == scratch.len();
                    self.rest.extend_from_slice(scratch.get(..n).unwrap_or_default());
                }
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(e) => self.over = Some(e.to_string()),
            }
        }
    }
}

/// The writing side, for a task.
#[derive(Debug)]
pub struct Writer(AsyncFd<Socket>);

impl Writer {
    /// Writes to a socket; call within a runtime.
    ///
    /// # Errors
    /// The runtime can't wait for it.
    #[expect(deprecated, reason = "a Socket owns its one descriptor, so that this is as sound as the unsafe successor")]
    pub fn new(socket: Socket) -> io::Result<Self> {
        // Not for reading: what comes must wake nobody but the bridge's thread.
        Ok(Self(AsyncFd::with_interest(socket, Interest::WRITABLE)?))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(done) = guard.try_io(|fd| Ok(fd.get_ref().send(bytes)?)) {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(self.0.get_ref(), Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::wire;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Reader, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Reader::new(Socket::new(near)), far)
    }

    const ECHO: [u8; 8] = [4, 2, 0, 8, 0, 0, 0, 1];

    #[test]
    fn messages_come_in_batches_and_the_end_after_them() {
        let (mut reader, mut far) = pair();
        let mut scratch = vec![0; READ];
        assert!(matches!(reader.take(&mut scratch), Taken::Nothing));
        assert!(reader.is_empty());
        far.write_all(&[&ECHO.repeat(1000)[..], &ECHO[..5]].concat()).unwrap();
        assert!(matches!(reader.take(&mut scratch), Taken::Nothing), "nobody said that there is something");
        reader.note_readable();
        let mut total = 0;
        while let Taken::Messages(batch) = reader.take(&mut scratch) {
            assert!(batch.len() <= 64);
            total += batch.len();
        }
        assert_eq!(total, 1000);
        assert!(!reader.is_empty(), "a part of a message waits");
        drop(far);
        reader.note_readable();
        assert!(matches!(reader.take(&mut scratch), Taken::End(_)));
        assert!(reader.wait_for().is_none(), "an end must not wake anybody again and again");
    }

    #[test]
    fn nothing_is_read_after_a_length_that_can_t_be() {
        let (mut reader, mut far) = pair();
        let mut scratch = vec![0; READ];
        far.write_all(&[4, 2, 0, 7, 0, 0, 0, 1, 4, 2, 0, 8, 0, 0, 0, 1]).unwrap();
        let Taken::Messages(batch) = reader.take(&mut scratch) else { panic!("the fault is told") };
        assert!(batch.len() == 1 && wire::decode(&batch[0].bytes).is_err());
        assert!(matches!(reader.take(&mut scratch), Taken::End(_)));
    }

    #[tokio::test]
    async fn a_writer_waits_for_room() {
        use tokio::io::AsyncWriteExt;
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut writer = Writer::new(Socket::new(near)).unwrap();
        let bytes: Vec<u8> = (0..4_000_000u32).map(|i| (i % 251) as u8).collect();
        let reading = std::thread::spawn(move || {
            let mut heard = Vec::new();
            std::io::Read::read_to_end(&mut &far, &mut heard).map(|_| heard)
        });
        writer.write_all(&bytes).await.unwrap();
        writer.shutdown().await.unwrap();
        assert!(reading.join().unwrap().unwrap() == bytes);
    }
}
