//! A controller that a switch dials: raw messages of OpenFlow 1.3 with as little work of its own as
//! possible, so that the switch is what is measured.

use crate::net::Namespace;
use anyhow::{Context as _, anyhow, bail};
use ofproto::Version;
use ofproto::ids::Xid;
use ofproto::message::{HelloElement, Message, Multipart, MultipartRequest};
use ofproto::wire::framer::Framer;
use ofproto::wire::{self, Header};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The version that is spoken.
pub const VERSION: Version = Version::V13;
/// Where the switch dials, inside its namespace.
pub const CONTROLLER: &str = "127.0.0.1:6653";

/// Message types of 1.3 that answers are told apart by.
pub mod ty {
    pub const ERROR: u8 = 1;
    pub const ECHO_REQUEST: u8 = 2;
    pub const PACKET_IN: u8 = 10;
    pub const MULTIPART_REPLY: u8 = 19;
    pub const BARRIER_REPLY: u8 = 21;
}

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of one system call.
const CHUNK: usize = 256 * 1024;

/// How to wait for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleep in the kernel.
    Sleep,
    /// Look again and again: this side's waking up is not measured.
    Spin,
}

/// A session.
pub struct Client {
    stream: TcpStream,
    framer: Framer,
    chunk: Vec<u8>,
    xid: u32,
    /// Answers to echo requests, which go out between messages.
    replies: Vec<u8>,
}

/// Listens where the switch will dial.
pub fn listen(ns: &Namespace) -> anyhow::Result<TcpListener> {
    ns.within(|| TcpListener::bind(CONTROLLER).with_context(|| format!("cannot listen on {CONTROLLER}")))
}

/// Messages for the switch, encoded.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The last message's transaction id.
    pub last: Xid,
}

impl Client {
    /// Takes the switch's call.
    pub fn accept(listener: &TcpListener) -> anyhow::Result<Self> {
        listener.set_nonblocking(true)?;
        let end = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => return Err(e).context("the switch doesn't connect"),
            }
        };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut c = Self { stream, framer: Framer::new(8 * CHUNK), chunk: vec![0; CHUNK], xid: 0, replies: Vec::new() };
        let mut hello = Batch::default();
        c.put(&mut hello, &Message::Hello(vec![HelloElement::VersionBitmap(vec![1 << VERSION.wire()])]))?;
        c.put(&mut hello, &Message::FeaturesRequest)?;
        let last = hello.last;
        c.exchange(&hello, Wait::Sleep, |h, _| h.xid == last && h.ty != 0)?;
        Ok(c)
    }

    /// Appends a message.
    pub fn put(&mut self, batch: &mut Batch, m: &Message) -> anyhow::Result<Xid> {
        self.xid = self.xid.wrapping_add(1);
        batch.last = Xid(self.xid);
        wire::encode_into(&mut batch.bytes, VERSION, batch.last, m)?;
        Ok(batch.last)
    }

    /// A batch of messages with a barrier behind it.
    pub fn batch(&mut self, messages: impl IntoIterator<Item = Message>) -> anyhow::Result<Batch> {
        let mut b = Batch::default();
        for m in messages {
            self.put(&mut b, &m)?;
        }
        self.put(&mut b, &Message::BarrierRequest)?;
        Ok(b)
    }

    /// A multipart request.
    pub fn request(&mut self, body: MultipartRequest) -> anyhow::Result<Batch> {
        let mut b = Batch::default();
        self.put(&mut b, &Message::MultipartRequest(Multipart::last(body)))?;
        Ok(b)
    }

    /// Sends a batch and waits for the answer to its last message; gives how long that took.
    pub fn run(&mut self, batch: &Batch) -> anyhow::Result<Duration> {
        let last = batch.last;
        self.exchange(batch, Wait::Sleep, |h, _| h.xid == last)
    }

    /// Sends what is given while reading what comes, until `done` says so of a message; gives how long
    /// that took. An error from the switch ends it: what is refused must not be counted as done.
    pub fn exchange(
        &mut self,
        batch: &Batch,
        wait: Wait,
        mut done: impl FnMut(Header, &[u8]) -> bool,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut left = batch.bytes.as_slice();
        loop {
            let mut moved = false;
            if !left.is_empty() {
                let n = self.write(left.get(..CHUNK).unwrap_or(left))?;
                left = left.get(n..).unwrap_or_default();
                moved = n > 0;
            } else if !self.replies.is_empty() {
                let n = self.write(&self.replies)?;
                self.replies.drain(..n);
                moved = n > 0;
            }
            moved |= self.fill()?;
            while let Some(m) = self.framer.next_message().map_err(|e| anyhow!("{e}"))? {
                let header = Header::decode(m)?;
                match header.ty {
                    ty::ECHO_REQUEST => {
                        let (_, m) = wire::decode(m)?;
                        if let Message::EchoRequest(data) = m {
                            wire::encode_into(&mut self.replies, VERSION, header.xid, &Message::EchoReply(data))?;
                        }
                    }
                    ty::ERROR => match wire::decode(m)? {
                        (_, Message::Error(e)) => {
                            let what =
                                e.kind(VERSION).map_or_else(|| format!("{}/{}", e.ty, e.code), |k| k.to_string());
                            bail!("the switch answered {what}");
                        }
                        _ => bail!("the switch answered an error"),
                    },
                    _ => {
                        if done(header, m) {
                            return Ok(start.elapsed());
                        }
                    }
                }
            }
            if !moved {
                if start.elapsed() > PATIENCE {
                    bail!("no answer in {PATIENCE:?}");
                }
                if wait == Wait::Sleep {
                    self.sleep(!left.is_empty() || !self.replies.is_empty(), Duration::from_millis(100))?;
                }
            }
        }
    }

    /// Sends a batch that is so small that the socket has room for it.
    pub fn send_only(&self, batch: &Batch) -> anyhow::Result<()> {
        let n = self.write(&batch.bytes)?;
        anyhow::ensure!(n == batch.bytes.len(), "the switch doesn't read");
        Ok(())
    }

    /// Takes what comes for a while.
    pub fn listen_for(&mut self, time: Duration, mut got: impl FnMut(Header, &[u8])) -> anyhow::Result<Duration> {
        let start = Instant::now();
        while start.elapsed() < time {
            if !self.fill()? {
                self.sleep(false, Duration::from_millis(10))?;
            }
            while let Some(m) = self.framer.next_message().map_err(|e| anyhow!("{e}"))? {
                got(Header::decode(m)?, m);
            }
        }
        Ok(start.elapsed())
    }

    fn write(&self, bytes: &[u8]) -> anyhow::Result<usize> {
        match (&self.stream).write(bytes) {
            Ok(n) => Ok(n),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            Err(e) => Err(e).context("sending to the switch"),
        }
    }

    /// Reads once, as much as there is room for.
    fn fill(&mut self) -> anyhow::Result<bool> {
        let room = self.framer.room().min(CHUNK);
        let Some(chunk) = self.chunk.get_mut(..room) else { return Ok(false) };
        match self.stream.read(chunk) {
            Ok(0) => bail!("the switch closed the connection"),
            Ok(n) => {
                self.framer.feed(self.chunk.get(..n).unwrap_or_default());
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(e) => Err(e).context("reading from the switch"),
        }
    }

    fn sleep(&self, writing: bool, most: Duration) -> anyhow::Result<()> {
        let flags = if writing { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.stream, flags)], Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// Entries in one segment of a flow statistics reply; an entry begins with its length
/// (OpenFlow 1.3.5 §7.3.5.2). Entries aren't decoded, so that the switch's speed is what counts.
pub fn flow_entries(segment: &[u8]) -> usize {
    let (mut at, mut n) = (16, 0);
    while let Some(length) = tools::packet::u16_at(segment, at).filter(|l| *l > 0) {
        n += 1;
        at += usize::from(length);
    }
    n
}

/// Whether further segments of a multipart reply follow (OpenFlow 1.3.5 §7.3.5).
pub fn more_follows(segment: &[u8]) -> bool {
    tools::packet::u16_at(segment, 10).is_some_and(|flags| flags & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::field::FieldId;
    use ofproto::flow::FlowModFlags;
    use ofproto::ids::{Cookie, TableId};
    use ofproto::matching::Match;
    use ofproto::message::MultipartReply;
    use ofproto::stats::{FlowDesc, FlowStats};

    #[test]
    fn entries_are_counted_as_they_were_written() {
        let entry = FlowDesc {
            table: TableId(3),
            priority: 3,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowModFlags::empty(),
            importance: 0,
            cookie: Cookie(1),
            stats: FlowStats::default(),
            matching: Match::any().with(FieldId::InPort, 1),
            instructions: Vec::new(),
        };
        let reply = Multipart::last(MultipartReply::Flow(vec![entry; 2500]));
        let segments = wire::segment::encode_reply(VERSION, Xid(1), &reply).expect("fits");
        assert!(segments.len() > 1);
        assert_eq!(segments.iter().map(|s| flow_entries(s)).sum::<usize>(), 2500);
        let more: Vec<bool> = segments.iter().map(|s| more_follows(s)).collect();
        assert!(more[..more.len() - 1].iter().all(|m| *m) && !more[more.len() - 1], "{more:?}");
    }
}
