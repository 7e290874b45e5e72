//! Listeners: whoever comes is a visitor until it behaves as a controller.

use super::identity::explain;
use super::places::{MAX_ACCEPTED, Places, Seldom};
use super::plain::Socket;
use super::tls::TlsFiles;
use super::{DIAL, Introduction, Line, Standing, serve, without_tls};
use crate::bridge::Handle;
use crate::config::{Listen, SocketPlace};
use crate::management::socket::{self, SocketFile};
use crate::session::Purpose;
use std::fmt::Display;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

/// Starts a listener; returns where it listens.
pub(super) async fn start(
    tasks: &mut JoinSet<()>,
    listen: &Listen,
    bridge: &Handle,
    tls: Option<&Arc<TlsFiles>>,
) -> io::Result<String> {
    let bridge = bridge.clone();
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
                let mut door = Door::default();
                loop {
                    let (stream, from) = match listener.accept().await {
                        Ok(accepted) => accepted,
                        Err(e) => {
                            door.failed(&e).await;
                            continue;
                        }
                    };
                    if !door.opens(&from) || stream.set_nodelay(true).is_err() {
                        continue;
                    }
                    let greeted = Arc::new(AtomicBool::new(false));
                    let standing = Standing { greeted: Arc::clone(&greeted), ..Standing::default() };
                    let bridge = bridge.clone();
                    match tls.clone() {
                        None => door.places.spawn(greeted, async move {
                            let Ok(stream) = stream.into_std() else { return };
                            let line = Line::Plain(Socket::new(stream));
                            serve(line, visitor(format!("tcp:{from}"), standing), &bridge).await;
                        }),
                        Some(tls) => {
                            let said = Arc::clone(&door.handshakes);
                            door.places.spawn(greeted, async move {
                                match secure(&tls, stream).await {
                                    Ok(stream) => {
                                        let line = Line::Woven(Box::new(stream));
                                        serve(line, visitor(format!("tls:{from}"), standing), &bridge).await;
                                    }
                                    Err(e) => {
                                        let said =
                                            said.lock().unwrap_or_else(PoisonError::into_inner).say(Instant::now());
                                        if let Some(unsaid) = said {
                                            warn!(%from, error = explain(&e), unsaid, "no TLS with a visitor");
                                        }
                                    }
                                }
                            });
                        }
                    }
                }
            });
            Ok(bound)
        }
        Listen::Unix(path) => {
            let (listener, file) = socket::listen(path).map_err(|e| at_address(listen, &e))?;
            serve_unix(tasks, UnixListener::from_std(listener)?, file, bridge);
            Ok(listen.to_string())
        }
    }
}

/// Starts the listener for tools on this machine; returns where it listens, or `None` where it isn't wanted or, by
/// default only, can't be had.
pub(super) fn start_at(tasks: &mut JoinSet<()>, place: &SocketPlace, bridge: &Handle) -> io::Result<Option<String>> {
    let opened = socket::listen_at(place, |path, e| {
        warn!(path = %path.display(), error = %e, "tools can't call the bridge by its name: a --listen serves them, too");
    });
    let opened = opened.map_err(|(path, e)| at_address(&Listen::Unix(path), &e))?;
    let Some((listener, file)) = opened else { return Ok(None) };
    let shown = Listen::Unix(file.path().to_owned()).to_string();
    serve_unix(tasks, listener, file, bridge.clone());
    Ok(Some(shown))
}

/// Accepts visitors on a unix socket, whose file goes when the task ends.
fn serve_unix(tasks: &mut JoinSet<()>, listener: UnixListener, file: SocketFile, bridge: Handle) {
    let peer = format!("unix:{}", file.path().display());
    tasks.spawn(async move {
        let _file = file;
        let mut door = Door::default();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    door.failed(&e).await;
                    continue;
                }
            };
            if !door.opens(&peer) {
                continue;
            }
            let greeted = Arc::new(AtomicBool::new(false));
            let standing = Standing { greeted: Arc::clone(&greeted), ..Standing::default() };
            let (bridge, peer) = (bridge.clone(), peer.clone());
            door.places.spawn(greeted, async move {
                let Ok(stream) = stream.into_std() else { return };
                serve(Line::Plain(Socket::new(stream)), visitor(peer, standing), &bridge).await;
            });
        }
    });
}

fn visitor(peer: String, standing: Standing) -> Introduction {
    Introduction { peer, purpose: Purpose::Visitor, standing }
}

/// The TLS handshake of a visitor, and whether it is somebody to talk to.
async fn secure(tls: &TlsFiles, stream: TcpStream) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no TLS handshake within {DIAL:?}"));
    let stream = tokio::time::timeout(DIAL, tls.acceptor().accept(stream)).await.map_err(late)??;
    tls.admit(stream.get_ref().1.peer_certificates(), None)?;
    Ok(stream)
}

/// What a listener keeps of those that came.
#[derive(Default)]
struct Door {
    places: Places,
    refused: Seldom,
    failures: Seldom,
    handshakes: Arc<Mutex<Seldom>>,
}

impl Door {
    /// Whether there is a place for one more.
    fn opens(&mut self, from: &impl Display) -> bool {
        let opens = self.places.make_room();
        if !opens && let Some(unsaid) = self.refused.say(Instant::now()) {
            warn!(%from, unsaid, "refused: {MAX_ACCEPTED} accepted connections exist");
        }
        opens
    }

    /// Out of descriptors, most likely: trying again at once would only burn time.
    async fn failed(&mut self, e: &io::Error) {
        if let Some(unsaid) = self.failures.say(Instant::now()) {
            warn!(error = %e, unsaid, "can't accept a connection");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn at_address(listen: &Listen, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("can't listen on {listen}: {e}"))
}
