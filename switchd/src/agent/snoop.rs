//! Watching: whoever connects to a bridge's snoop socket gets a copy of every OpenFlow message of all its
//! controllers, both ways, as with Open vSwitch (`ovs-ofctl snoop`).
//!
//! The bridge's thread passes copies on and never waits for anybody: a watcher that reads too slowly misses whole
//! messages, not parts, and never holds more than `MOST_BYTES`. With no watcher nothing is copied. What a
//! watcher says after its hello is read and forgotten. Messages bear the version of their own connection.

use super::DIAL;
use super::places::Seldom;
use crate::bridge::{Event, Handle};
use crate::config::SocketPlace;
use crate::management::socket::{self, SocketFile};
use crate::session::hello::{VersionSet, hello_elements};
use bytes::Bytes;
use ofproto::Version;
use ofproto::ids::Xid;
use ofproto::message::Message;
use ofproto::wire::{self, HEADER_LEN, Header};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

/// Watchers at once.
const MOST_WATCHERS: usize = 8;
/// Messages that may wait for one.
const MOST_MESSAGES: usize = 4096;
/// Their bytes.
const MOST_BYTES: usize = 1 << 20;
/// Longest hello of a watcher.
const LONGEST_HELLO: usize = 1024;

/// `OFPT_HELLO`
const HELLO: u8 = 0;

#[derive(Debug, Default)]
struct Tally {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Messages that found no room.
    missed: AtomicU64,
}

/// One watcher, as the bridge's thread sees it.
#[derive(Debug)]
pub struct Watcher {
    queue: mpsc::Sender<Bytes>,
    tally: Arc<Tally>,
}

impl Watcher {
    /// Passes a message on if there is room: whether the watcher is still there.
    fn pass(&self, message: &Bytes) -> bool {
        let before = self.tally.waiting.fetch_add(message.len(), Ordering::Relaxed);
        if before + message.len() <= MOST_BYTES && self.queue.try_send(message.clone()).is_ok() {
            return true;
        }
        self.tally.waiting.fetch_sub(message.len(), Ordering::Relaxed);
        self.tally.missed.fetch_add(1, Ordering::Relaxed);
        !self.queue.is_closed()
    }
}

/// All watchers of a bridge.
#[derive(Debug, Default)]
pub struct Watchers(Vec<Watcher>);

impl Watchers {
    /// Nobody watches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more.
    pub fn add(&mut self, watcher: Watcher) {
        self.0.push(watcher);
    }

    /// Shows them whole messages, one after the other.
    pub fn show(&mut self, mut bytes: &[u8]) {
        while !self.0.is_empty()
            && let Ok(header) = Header::decode(bytes)
        {
            let length = usize::from(header.length).max(HEADER_LEN).min(bytes.len());
            let (message, rest) = bytes.split_at(length);
            let message = Bytes::copy_from_slice(message);
            self.0.retain(|w| w.pass(&message));
            bytes = rest;
        }
    }
}

/// Listens for watchers; returns where, or `None` where they aren't wanted or, by default only, can't be had.
///
/// # Errors
/// The place that was asked for can't be had.
pub(super) fn start(tasks: &mut JoinSet<()>, place: &SocketPlace, bridge: &Handle) -> io::Result<Option<String>> {
    let opened = socket::listen_at(place, |path, e| {
        warn!(path = %path.display(), error = %e, "nobody can watch: give --snoop another path, or `none`");
    });
    let Some((listener, file)) = opened.map_err(|(path, e)| at(&path, &e))? else { return Ok(None) };
    let shown = file.path().display().to_string();
    tasks.spawn(serve(listener, file, bridge.clone()));
    Ok(Some(shown))
}

fn at(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("can't listen for watchers on {}: {e}", path.display()))
}

async fn serve(listener: UnixListener, _file: SocketFile, bridge: Handle) {
    let mut watching = JoinSet::new();
    let mut failures = Seldom::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                if let Some(unsaid) = failures.say(Instant::now()) {
                    warn!(error = %e, unsaid, "can't accept a watcher");
                }
                // Out of descriptors, most likely.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while watching.try_join_next().is_some() {}
        if watching.len() >= MOST_WATCHERS {
            warn!("refused: {MOST_WATCHERS} watchers are there");
            continue;
        }
        watching.spawn(watch(stream, bridge.clone()));
    }
}

/// Serves one watcher until it leaves.
async fn watch(mut stream: UnixStream, bridge: Handle) {
    match tokio::time::timeout(DIAL, greet(&mut stream)).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => return info!(error = %e, "a watcher that doesn't greet"),
        Err(_) => return info!("a watcher that doesn't greet in time"),
    }
    let (queue, mut messages) = mpsc::channel(MOST_MESSAGES);
    let tally = Arc::new(Tally::default());
    if bridge.send(Event::Watcher(Watcher { queue, tally: Arc::clone(&tally) })).await.is_err() {
        return;
    }
    let (mut from, mut to) = stream.into_split();
    let mut forgotten = [0; 512];
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Some(message) = message else { break };
                if to.write_all(&message).await.is_err() {
                    break;
                }
                tally.waiting.fetch_sub(message.len(), Ordering::Relaxed);
            }
            read = from.read(&mut forgotten) => {
                if !matches!(read, Ok(1..)) {
                    break;
                }
            }
        }
    }
    let missed = tally.missed.load(Ordering::Relaxed);
    if missed > 0 {
        info!(missed, "a watcher read too slowly and missed messages");
    }
}

/// Exchanges hellos: any version will do, because each message has its connection's.
async fn greet(stream: &mut UnixStream) -> io::Result<()> {
    let hello = Message::Hello(hello_elements(VersionSet::ALL));
    let hello = wire::encode(Version::V15, Xid(0), &hello).map_err(io::Error::other)?;
    stream.write_all(&hello).await?;
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).await?;
    let header = Header::decode(&head).map_err(io::Error::other)?;
    let rest = usize::from(header.length).checked_sub(HEADER_LEN).filter(|n| *n <= LONGEST_HELLO);
    let Some(rest) = rest.filter(|_| header.ty == HELLO) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it didn't begin with a hello"));
    };
    stream.read_exact(&mut vec![0; rest]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(most: usize) -> (Watcher, mpsc::Receiver<Bytes>) {
        let (queue, messages) = mpsc::channel(most);
        (Watcher { queue, tally: Arc::default() }, messages)
    }

    fn echo(xid: u8, data: usize) -> Vec<u8> {
        let mut bytes = vec![4, 2, 0, 0, 0, 0, 0, xid];
        bytes.resize(HEADER_LEN + data, 7);
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        bytes
    }

    #[test]
    fn messages_are_passed_on_whole_or_not_at_all() {
        let mut watchers = Watchers::default();
        let ((quick, mut all), (slow, mut some)) = (watcher(100), watcher(1));
        let tally = Arc::clone(&slow.tally);
        watchers.add(quick);
        watchers.add(slow);
        watchers.show(&[echo(1, 0), echo(2, 9), echo(3, 1)].concat());
        let got: Vec<_> = std::iter::from_fn(|| all.try_recv().ok()).collect();
        assert_eq!(got, [echo(1, 0), echo(2, 9), echo(3, 1)]);
        assert_eq!(some.try_recv().unwrap(), echo(1, 0));
        assert!(some.try_recv().is_err());
        assert_eq!(tally.missed.load(Ordering::Relaxed), 2);
        // Who has left is forgotten.
        drop((all, some));
        watchers.show(&echo(4, 0));
        assert!(watchers.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_by_bytes() {
        let mut watchers = Watchers::default();
        let (one, mut messages) = watcher(MOST_MESSAGES);
        let tally = Arc::clone(&one.tally);
        watchers.add(one);
        for _ in 0..100 {
            watchers.show(&echo(1, 60_000));
        }
        let waiting = tally.waiting.load(Ordering::Relaxed);
        assert!(waiting <= MOST_BYTES && waiting > MOST_BYTES - 70_000, "{waiting}");
        let got = std::iter::from_fn(|| messages.try_recv().ok()).count() as u64;
        assert_eq!(got + tally.missed.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_length_that_can_t_be_ends() {
        let mut watchers = Watchers::default();
        let (one, mut messages) = watcher(9);
        watchers.add(one);
        watchers.show(&[4, 2, 0, 3, 0, 0, 0, 1]);
        watchers.show(&[4, 2, 0, 99, 0, 0, 0, 1]);
        watchers.show(&[4, 2, 0]);
        assert_eq!(std::iter::from_fn(|| messages.try_recv().ok()).count(), 2);
    }
}
