//! Controllers that are dialled, again and again; and auxiliary connections beside each.

use super::backoff::Backoff;
use super::identity::explain;
use super::plain::Socket;
use super::tls::{TlsFiles, server_name};
use super::{DIAL, DialStatus, Introduction, Line, Standing, note, serve, without_tls};
use crate::bridge::{Event, Handle, Route};
use crate::config::{ControllerSpec, Target};
use crate::netlink::{self, RouteChanges};
use crate::repeats::Repeats;
use crate::session::Purpose;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info};

/// The first wait before dialling again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest.
const MOST_WAIT: Duration = Duration::from_secs(8);
/// A connection shorter than this counts as a failure: the wait grows on.
const LASTING: Duration = Duration::from_secs(5);

/// A connection just made.
struct Dialled {
    line: Line,
    /// Our end and the other's, where they have addresses.
    ends: Option<(SocketAddr, SocketAddr)>,
}

/// Dials a controller for ever; where it is reached through the bridge's own ports, the bridge hears which way.
pub(super) async fn keep(
    spec: ControllerSpec,
    in_band: bool,
    bridge: Handle,
    tls: Option<Arc<TlsFiles>>,
    status: Arc<Mutex<DialStatus>>,
) {
    let controller = spec.in_band().filter(|_| in_band);
    let way = async {
        match controller {
            Some(controller) => follow_way(controller, &bridge).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = way => {}
        () = dial_again(spec, controller, bridge.clone(), tls, status) => {}
    }
}

/// Tells the bridge how a controller is dialled now.
async fn tell_way(controller: SocketAddr, bridge: &Handle) {
    if let Some(own) = own_address(controller) {
        // Where the kernel doesn't say, it is as with a controller on the link.
        let router = netlink::gateway(controller.ip()).await.unwrap_or_default();
        // A bridge that has stopped is met elsewhere.
        let _ = bridge.send(Event::Way(controller, Route { own, router })).await;
    }
}

/// Tells the bridge the way again whenever it may be another one, connected or not.
async fn follow_way(controller: SocketAddr, bridge: &Handle) {
    loop {
        match RouteChanges::watch() {
            Ok(mut changes) => {
                while changes.next().await.is_ok() {
                    tell_way(controller, bridge).await;
                }
            }
            Err(e) => debug!(%controller, error = %e, "routes can't be watched; the next dial notices what changes"),
        }
        tokio::time::sleep(MOST_WAIT).await;
        tell_way(controller, bridge).await;
    }
}

async fn dial_again(
    spec: ControllerSpec,
    in_band: Option<SocketAddr>,
    bridge: Handle,
    tls: Option<Arc<TlsFiles>>,
    status: Arc<Mutex<DialStatus>>,
) {
    let target = spec.target.clone();
    let (mut backoff, mut failures) = (backoff(&target), Repeats::default());
    // Whether the last failure was said: then what comes of it is, too.
    let mut said = true;
    loop {
        note(&status, |s| s.attempts += 1);
        let began = Instant::now();
        if let Some(controller) = in_band {
            tell_way(controller, &bridge).await;
        }
        let ended = match dial(&spec, tls.as_deref(), None).await {
            Err(e) => explain(&e),
            Ok(Dialled { line, ends }) => {
                if said {
                    info!(controller = %target, "connected");
                } else {
                    debug!(controller = %target, "connected");
                }
                note(&status, |s| {
                    s.connected = true;
                    s.attempts = 0;
                });
                let began = Instant::now();
                let (tell, told) = oneshot::channel();
                let standing = Standing { introduced: (spec.auxiliary > 0).then_some(tell), ..Standing::default() };
                let (peer, purpose) = (target.to_string(), Purpose::Controller);
                let introduction = Introduction { peer, purpose, standing };
                let auxiliaries = async {
                    let Ok(main) = told.await else { return std::future::pending().await };
                    // Dropped with the main connection, and with it their tasks and sockets.
                    let mut tasks = JoinSet::new();
                    for id in 1..=spec.auxiliary {
                        let purpose = Purpose::Auxiliary { main, id };
                        tasks.spawn(keep_auxiliary(spec.clone(), purpose, ends, bridge.clone(), tls.clone()));
                    }
                    while tasks.join_next().await.is_some() {}
                    std::future::pending().await
                };
                tokio::select! {
                    () = serve(line, introduction, &bridge) => {}
                    () = auxiliaries => {}
                }
                if began.elapsed() >= LASTING {
                    backoff.reset();
                    failures.reset();
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
        let times = failures.note(&ended);
        said = worth_saying(times);
        if said {
            info!(controller = %target, reason = ended, times, ?wait, ?took, "no connection; dialling again");
        } else {
            debug!(controller = %target, reason = ended, times, ?wait, ?took, "no connection; dialling again");
        }
        tokio::time::sleep(wait).await;
    }
}

/// Dials one auxiliary connection for as long as the main one lives: from its address to its peer's.
async fn keep_auxiliary(
    spec: ControllerSpec,
    purpose: Purpose,
    ends: Option<(SocketAddr, SocketAddr)>,
    bridge: Handle,
    tls: Option<Arc<TlsFiles>>,
) {
    let (mut backoff, mut failures) = (backoff(&spec.target), Repeats::default());
    loop {
        let began = Instant::now();
        let ended = match dial(&spec, tls.as_deref(), ends).await {
            Err(e) => explain(&e),
            Ok(Dialled { line, .. }) => {
                let (peer, standing) = (spec.target.to_string(), Standing::default());
                serve(line, Introduction { peer, purpose, standing }, &bridge).await;
                if began.elapsed() >= LASTING {
                    backoff.reset();
                    failures.reset();
                }
                "the connection ended".to_owned()
            }
        };
        let wait = backoff.wait();
        let (controller, times) = (&spec.target, failures.note(&ended));
        if worth_saying(times) {
            info!(%controller, ?purpose, reason = ended, times, ?wait, "no auxiliary connection; dialling again");
        } else {
            debug!(%controller, ?purpose, reason = ended, times, ?wait, "no auxiliary connection; dialling again");
        }
        tokio::time::sleep(wait).await;
    }
}

/// The address from which the kernel would send to a controller now; sends nothing.
fn own_address(controller: SocketAddr) -> Option<IpAddr> {
    let any = if controller.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(controller).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Whether to say so when a controller can't be reached for one reason, that often in a row: ever more seldom, as
/// it may be away for days.
fn worth_saying(times: u64) -> bool {
    times.is_power_of_two()
}

fn backoff(target: &Target) -> Backoff {
    // Switches that start together must not dial together: the hasher's keys are random.
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), target.to_string());
    Backoff::new(FIRST_WAIT, MOST_WAIT, seed)
}

async fn dial(
    spec: &ControllerSpec,
    tls: Option<&TlsFiles>,
    ends: Option<(SocketAddr, SocketAddr)>,
) -> io::Result<Dialled> {
    match tokio::time::timeout(DIAL, dial_on(spec, tls, ends)).await {
        Ok(dialled) => dialled,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {DIAL:?}"))),
    }
}

async fn dial_on(
    spec: &ControllerSpec,
    tls: Option<&TlsFiles>,
    ends: Option<(SocketAddr, SocketAddr)>,
) -> io::Result<Dialled> {
    let at = match &spec.target {
        Target::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            return Ok(Dialled { line: Line::Plain(Socket::new(stream.into_std()?)), ends: None });
        }
        Target::Tcp(at) | Target::Tls(at) => at,
    };
    let stream = match ends {
        None => TcpStream::connect((at.host.as_str(), at.port)).await?,
        Some((mut own, peer)) => {
            let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            own.set_port(0);
            socket.bind(own)?;
            socket.connect(peer).await?
        }
    };
    stream.set_nodelay(true)?;
    let ends = Some((stream.local_addr()?, stream.peer_addr()?));
    if matches!(spec.target, Target::Tcp(_)) {
        return Ok(Dialled { line: Line::Plain(Socket::new(stream.into_std()?)), ends });
    }
    let tls = tls.ok_or_else(|| without_tls(&spec.target))?;
    let stream = tls.connector().connect(server_name(&at.host), stream).await?;
    tls.admit(stream.get_ref().1.peer_certificates(), spec.name.as_ref())?;
    Ok(Dialled { line: Line::Woven(Box::new(stream)), ends })
}
