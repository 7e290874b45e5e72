//! Connections to controllers: dialled and accepted, kept, dialled again.
//!
//! ```text
//!  plain:  controller ──▶ bridge thread: read, frame, decode, session
//!          controller ◀── what the socket takes at once ◀──┤
//!          controller ◀── connection task: the rest ◀── outbox (bounded by the session)
//!  TLS:    controller ──▶ connection task: frame, decode ──▶ queue (batches) ──▶ bridge thread: session
//!          controller ◀── connection task: write ◀── outbox ◀──┘
//! ```
//!
//! Nothing here knows what a message means. Every queue is bounded: a peer that sends too fast is held
//! back by TCP, one that doesn't read costs its own connection only.

pub mod backoff;
mod connection;
mod dial;
mod dialler;
mod frames;
mod identity;
mod listen;
pub mod outbox;
mod places;
pub mod plain;
pub mod snoop;
mod tls;

pub use dialler::{Dialler, MOST_CONTROLLERS, can_be_dialled};
pub use places::MAX_ACCEPTED;

use crate::bridge::{Event, Handle};
use crate::config::{ControllerSpec, Listen, SocketPlace, Tls};
use crate::session::{ConnId, Purpose, Received, Session};
use ofproto::ids::Dpid;
use outbox::Outbox;
use plain::{Reader, Socket, Writer};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tls::TlsFiles;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// How long a dial may take, and a TLS handshake.
const DIAL: Duration = Duration::from_secs(10);

/// How the bridge tells a connection's task what its session has come to.
#[derive(Debug, Default)]
pub struct Standing {
    greeted: Arc<AtomicBool>,
    introduced: Option<oneshot::Sender<ConnId>>,
}

impl Standing {
    /// Tells what is new.
    pub fn follow(&mut self, session: &Session) {
        if session.established() {
            self.greeted.store(true, Ordering::Relaxed);
        }
        if session.introduced()
            && let Some(tell) = self.introduced.take()
        {
            // Nobody listens where no auxiliary connections are wanted.
            let _ = tell.send(session.id());
        }
    }
}

/// Where the bridge's thread gets a connection's messages from.
#[derive(Debug)]
pub enum Inbound {
    /// From its task. The end of the queue is the end of the connection.
    Task(mpsc::Receiver<Vec<Received>>),
    /// From its socket.
    Socket(Reader),
}

/// A new connection, handed to the bridge.
#[derive(Debug)]
pub struct Opened {
    /// The other end, as a URI.
    pub peer: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What it sends.
    pub inbound: Inbound,
    /// What it is sent.
    pub outbox: Arc<Outbox>,
    /// Whom to tell how it stands.
    pub standing: Standing,
}

/// How a dialled controller stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialStatus {
    /// Whom.
    pub controller: ControllerSpec,
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
    pub controllers: Vec<ControllerSpec>,
    /// Listeners.
    pub listen: Vec<Listen>,
    /// Key, certificate and authority, for what speaks TLS.
    pub tls: Option<Tls>,
    /// The datapath that certificates may be bound to.
    pub dpid: Dpid,
    /// Whether the bridge is to be told from where each controller is dialled.
    pub in_band: bool,
    /// One more listener, for tools on this machine.
    pub tools: SocketPlace,
    /// Where watchers come to.
    pub snoop: SocketPlace,
}

/// All connection tasks of one bridge. Dropping it ends them.
#[derive(Debug)]
pub struct Agent {
    tasks: JoinSet<()>,
    /// Who dials the controllers.
    pub dialler: Dialler,
    /// Where the listeners listen; with port 0 the system chose.
    pub listening: Vec<String>,
    /// Where watchers come to.
    pub watched: Option<String>,
}

impl Agent {
    /// Starts dialling and listening; call within a runtime.
    ///
    /// # Errors
    /// A listener's address can't be bound, or a transport needs what isn't configured.
    pub async fn start(config: &AgentConfig, bridge: &Handle) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let mut listening = Vec::new();
        let tls = config.tls.clone().map(|files| TlsFiles::new(files, config.dpid)).transpose()?.map(Arc::new);
        for listen in &config.listen {
            listening.push(listen::start(&mut tasks, listen, bridge, tls.as_ref()).await?);
        }
        if let Some(place) = listen::start_at(&mut tasks, &config.tools, bridge)? {
            listening.push(place);
        }
        let watched = snoop::start(&mut tasks, &config.snoop, bridge)?;
        let dialler = Dialler::new(bridge.clone(), tls, config.in_band);
        dialler.replace(&config.controllers).await?;
        Ok(Self { tasks, dialler, listening, watched })
    }

    /// Ends all of them; returns when they have, and their sockets' files are gone.
    pub async fn stop(mut self) {
        self.dialler.stop().await;
        self.tasks.shutdown().await;
    }
}

fn without_tls(what: &impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what} needs a key, a certificate and an authority"))
}

/// How a controller stands now.
pub fn standing_of(status: &Mutex<DialStatus>) -> MutexGuard<'_, DialStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(status: &Mutex<DialStatus>, change: impl FnOnce(&mut DialStatus)) {
    change(&mut standing_of(status));
}

/// Who a connection is with, for the bridge.
struct Introduction {
    peer: String,
    purpose: Purpose,
    standing: Standing,
}

/// What carries a connection.
enum Line {
    /// A socket that doesn't block, as it is.
    Plain(Socket),
    /// Something that has to be asked from within the runtime.
    Woven(Box<dyn Stream>),
}

/// Anything that bytes go through.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Introduces a connection to the bridge and moves its bytes until it ends.
async fn serve(line: Line, introduction: Introduction, bridge: &Handle) {
    let Introduction { peer, purpose, standing } = introduction;
    let bell = bridge.bell().clone();
    match line {
        Line::Plain(socket) => {
            let writer = match Writer::new(socket.clone()) {
                Ok(writer) => writer,
                Err(e) => {
                    tracing::warn!(peer, error = %e, "can't serve the connection");
                    return;
                }
            };
            let outbox = Arc::new(Outbox::direct(socket.clone()));
            let inbound = Inbound::Socket(Reader::new(socket));
            let opened = Opened { peer, purpose, inbound, outbox: Arc::clone(&outbox), standing };
            if bridge.send(Event::Opened(opened)).await.is_ok() {
                connection::run_out(writer, outbox, bell).await;
            }
        }
        Line::Woven(stream) => {
            let (reader, writer) = tokio::io::split(stream);
            let (sender, inbound) = mpsc::channel(connection::INBOUND);
            let outbox = Arc::new(Outbox::default());
            let inbound = Inbound::Task(inbound);
            let opened = Opened { peer, purpose, inbound, outbox: Arc::clone(&outbox), standing };
            if bridge.send(Event::Opened(opened)).await.is_ok() {
                connection::run(reader, writer, sender, outbox, bell).await;
            }
        }
    }
}
