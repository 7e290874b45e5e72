//! Connections to controllers: dialled and accepted, kept, dialled again.
//!
//! ```text
//!  controller ──▶ connection task: frame, decode ──▶ queue (64 messages) ──▶ bridge thread: session
//!  controller ◀── connection task: write          ◀── outbox (bounded by the session) ◀──┘
//! ```
//!
//! Nothing here knows what a message means. Every queue is bounded: a peer that sends too fast is held
//! back by TCP, one that doesn't read costs its own connection only.

pub mod backoff;
mod connection;
pub mod outbox;
mod tls;

use crate::bridge::{Event, Handle};
use crate::config::{Listen, Target, Tls};
use crate::management::socket;
use crate::session::{Purpose, Received};
use backoff::Backoff;
use outbox::Outbox;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tls::TlsFiles;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Connections that a listener accepts at a time.
pub const MAX_ACCEPTED: usize = 32;

/// The first wait before dialling again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest.
const MOST_WAIT: Duration = Duration::from_secs(8);
/// How long a dial may take.
const DIAL: Duration = Duration::from_secs(10);

/// A new connection, handed to the bridge.
#[derive(Debug)]
pub struct Opened {
    /// The other end, as a URI.
    pub peer: String,
    /// Whether it is a controller from the start.
    pub purpose: Purpose,
    /// What it sends. The end of the queue is the end of the connection.
    pub inbound: mpsc::Receiver<Received>,
    /// What it is sent.
    pub outbox: Arc<Outbox>,
}

/// How a dialled controller stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialStatus {
    /// Whom.
    pub target: String,
    /// Whether a connection exists now (its session has more to say).
    pub connected: bool,
    /// Attempts since the last connection.
    pub attempts: u32,
    /// Why the last attempt or connection ended.
    pub last_error: Option<String>,
}

/// What to dial and where to listen.
#[derive(Clone, Debug, Default)]
pub struct AgentConfig {
    /// Controllers.
    pub controllers: Vec<Target>,
    /// Listeners.
    pub listen: Vec<Listen>,
    /// Key, certificate and authority, for what speaks TLS.
    pub tls: Option<Tls>,
}

/// All connection tasks of one bridge. Dropping it ends them.
#[derive(Debug)]
pub struct Agent {
    tasks: JoinSet<()>,
    dials: Vec<Arc<Mutex<DialStatus>>>,
    /// Where the listeners listen; with port 0 the system chose.
    pub listening: Vec<String>,
}

impl Agent {
    /// Starts dialling and listening; call within a runtime.
    ///
    /// # Errors
    /// A listener's address can't be bound, or a transport needs what isn't configured.
    pub async fn start(config: &AgentConfig, bridge: &Handle) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let mut dials = Vec::new();
        let mut listening = Vec::new();
        let tls = config.tls.clone().map(TlsFiles::new).transpose()?.map(Arc::new);
        for listen in &config.listen {
            listening.push(start_listener(&mut tasks, listen, bridge, tls.as_ref()).await?);
        }
        for target in &config.controllers {
            if matches!(target, Target::Tls(_)) && tls.is_none() {
                return Err(without_tls(target));
            }
            let status = Arc::new(Mutex::new(DialStatus {
                target: target.to_string(),
                connected: false,
                attempts: 0,
                last_error: None,
            }));
            dials.push(Arc::clone(&status));
            tasks.spawn(keep_dialled(target.clone(), bridge.clone(), tls.clone(), status));
        }
        Ok(Self { tasks, dials, listening })
    }

    /// Ends all of them; returns when they have, and their sockets' files are gone.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// Every configured controller's standing.
    pub fn dials(&self) -> Vec<Arc<Mutex<DialStatus>>> {
        self.dials.clone()
    }
}

fn without_tls(what: &impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what} needs a key, a certificate and an authority"))
}

fn note(status: &Mutex<DialStatus>, change: impl FnOnce(&mut DialStatus)) {
    change(&mut status.lock().unwrap_or_else(PoisonError::into_inner));
}

/// A connection shorter than this counts as a failure: the wait grows on.
const LASTING: Duration = Duration::from_secs(5);

async fn keep_dialled(target: Target, bridge: Handle, tls: Option<Arc<TlsFiles>>, status: Arc<Mutex<DialStatus>>) {
    // Switches that start together must not dial together: the hasher's keys are random.
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), target.to_string());
    let mut backoff = Backoff::new(FIRST_WAIT, MOST_WAIT, seed);
    loop {
        note(&status, |s| s.attempts += 1);
        let began = tokio::time::Instant::now();
        let ended = match tokio::time::timeout(DIAL, dial(&target, tls.as_deref())).await {
            Err(_) => format!("no connection within {DIAL:?}"),
            Ok(Err(e)) => e.to_string(),
            Ok(Ok(stream)) => {
                info!(controller = %target, "connected");
                note(&status, |s| {
                    s.connected = true;
                    s.attempts = 0;
                });
                let began = tokio::time::Instant::now();
                match stream {
                    Stream::Tcp(s) => {
                        let (r, w) = s.into_split();
                        serve(r, w, target.to_string(), Purpose::Controller, &bridge).await;
                    }
                    Stream::Unix(s) => {
                        let (r, w) = s.into_split();
                        serve(r, w, target.to_string(), Purpose::Controller, &bridge).await;
                    }
                    Stream::Tls(s) => {
                        let (r, w) = tokio::io::split(s);
                        serve(r, w, target.to_string(), Purpose::Controller, &bridge).await;
                    }
                }
                if began.elapsed() >= LASTING {
                    backoff.reset();
                }
                "the connection ended".to_owned()
            }
        };
        note(&status, |s| {
            s.connected = false;
            s.last_error = Some(ended.clone());
        });
        let wait = backoff.wait();
        let took = began.elapsed();
        info!(controller = %target, reason = ended, ?wait, ?took, "no connection; dialling again");
        tokio::time::sleep(wait).await;
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn dial(target: &Target, tls: Option<&TlsFiles>) -> io::Result<Stream> {
    match target {
        Target::Tcp(at) => {
            let stream = TcpStream::connect((at.host.as_str(), at.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Target::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Target::Tls(at) => {
            let connector = tls.ok_or_else(|| without_tls(target))?.connector();
            let stream = TcpStream::connect((at.host.as_str(), at.port)).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(tls::server_name(&at.host), stream).await?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

/// Introduces a connection to the bridge and moves its bytes until it ends.
async fn serve<R, W>(reader: R, writer: W, peer: String, purpose: Purpose, bridge: &Handle)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let (sender, inbound) = mpsc::channel(connection::INBOUND);
    let outbox = Arc::new(Outbox::default());
    let opened = Opened { peer, purpose, inbound, outbox: Arc::clone(&outbox) };
    if bridge.send(Event::Opened(opened)).await.is_err() {
        return;
    }
    connection::run(reader, writer, sender, outbox, bridge.bell().clone()).await;
}

async fn start_listener(
    tasks: &mut JoinSet<()>,
    listen: &Listen,
    bridge: &Handle,
    tls: Option<&Arc<TlsFiles>>,
) -> io::Result<String> {
    let bridge = bridge.clone();
    let places = Arc::new(Semaphore::new(MAX_ACCEPTED));
    match listen {
        Listen::Tcp(at) | Listen::Tls(at) => {
            let tls = match listen {
                Listen::Tls(_) => Some(Arc::clone(tls.ok_or_else(|| without_tls(listen))?)),
                _ => None,
            };
            let listener = TcpListener::bind(at).await.map_err(|e| at_address(listen, &e))?;
            let bound = listener.local_addr()?;
            let bound = if tls.is_some() { Listen::Tls(bound) } else { Listen::Tcp(bound) }.to_string();
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    while connections.try_join_next().is_some() {}
                    let (stream, from) = match listener.accept().await {
                        Ok(accepted) => accepted,
                        Err(e) => {
                            accept_failed(&e).await;
                            continue;
                        }
                    };
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        warn!(%from, "refused: {MAX_ACCEPTED} accepted connections exist");
                        continue;
                    };
                    if stream.set_nodelay(true).is_err() {
                        continue;
                    }
                    let bridge = bridge.clone();
                    // The files are read here, one connection after the other.
                    let acceptor = tls.as_deref().map(TlsFiles::acceptor);
                    connections.spawn(async move {
                        match acceptor {
                            None => {
                                let (r, w) = stream.into_split();
                                serve(r, w, format!("tcp:{from}"), Purpose::Visitor, &bridge).await;
                            }
                            Some(acceptor) => match tokio::time::timeout(DIAL, acceptor.accept(stream)).await {
                                Ok(Ok(stream)) => {
                                    let (r, w) = tokio::io::split(stream);
                                    serve(r, w, format!("tls:{from}"), Purpose::Visitor, &bridge).await;
                                }
                                Ok(Err(e)) => warn!(%from, error = %e, "TLS failed"),
                                Err(_) => warn!(%from, "no TLS handshake within {DIAL:?}"),
                            },
                        }
                        drop(place);
                    });
                }
            });
            Ok(bound)
        }
        Listen::Unix(path) => {
            let (listener, file) = socket::listen(path).map_err(|e| at_address(listen, &e))?;
            let listener = UnixListener::from_std(listener)?;
            let name = listen.to_string();
            let peer = format!("unix:{}", path.display());
            tasks.spawn(async move {
                // Removed when the task ends.
                let _file = file;
                let mut connections = JoinSet::new();
                loop {
                    while connections.try_join_next().is_some() {}
                    let stream = match listener.accept().await {
                        Ok((stream, _)) => stream,
                        Err(e) => {
                            accept_failed(&e).await;
                            continue;
                        }
                    };
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        warn!(peer, "refused: {MAX_ACCEPTED} accepted connections exist");
                        continue;
                    };
                    let (bridge, peer) = (bridge.clone(), peer.clone());
                    connections.spawn(async move {
                        let (r, w) = stream.into_split();
                        serve(r, w, peer, Purpose::Visitor, &bridge).await;
                        drop(place);
                    });
                }
            });
            Ok(name)
        }
    }
}

fn at_address(listen: &Listen, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("can't listen on {listen}: {e}"))
}

/// Out of descriptors, most likely: trying again at once would only burn time.
async fn accept_failed(e: &io::Error) {
    warn!(error = %e, "can't accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
