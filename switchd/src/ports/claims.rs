//! One port per interface, whoever asks: two ports at one interface would send everything twice, and the kernel
//! lets any number of packet sockets hear the same frames.
//!
//! A claim is a listening unix socket whose abstract name holds the interface's number. Such names belong to a
//! network namespace as interfaces do, and end with the process, however it ends: nothing stale is left. Bridges of
//! one process and of several are told apart by the same means. Whoever finds a claim asks who holds it.
//!
//! Anybody in the namespace may take such a name. So a claim counts only if the kernel says that its process is
//! root's or has our own user: nobody else can keep a switch from an interface.

use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recv, socket_with,
    sockopt,
};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Who holds an interface already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process, unless that is this one.
    pub process: Option<i32>,
    /// What it says it is; may be empty.
    pub what: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.process, self.what.as_str()) {
            (None, "") => f.write_str("another port of this switch"),
            (None, what) => f.write_str(what),
            (Some(n), "") => write!(f, "a port of another switchd, process {n}"),
            (Some(n), what) => write!(f, "{what} of another switchd, process {n}"),
        }
    }
}

/// What a claim comes to.
#[derive(Debug)]
pub enum Outcome {
    /// It is ours as long as the claim lives.
    Ours(Claim),
    /// Somebody has it.
    Taken(Holder),
    /// It can't be told, and keeps nobody from using it: why.
    Unknown(String),
}

/// An interface is ours until this is dropped, which blocks until anybody can have it.
#[derive(Debug)]
pub struct Claim {
    answering: Option<JoinHandle<()>>,
    runtime: Handle,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(task) = self.answering.take() {
            task.abort();
            // Cancelled, as it must be.
            let _ = self.runtime.block_on(task);
        }
    }
}

/// How long another switch may take to say what it is.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Longest answer that is read.
const ANSWER: usize = 100;

/// Claims interfaces, from threads that aren't a runtime's; its tasks answer those who ask.
#[derive(Clone, Debug)]
pub struct Claims(Handle);

impl Claims {
    /// With this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self(runtime)
    }

    /// Claims the interface of that number in this network namespace for `what`. Blocks for a moment where somebody
    /// holds it.
    pub fn claim(&self, ifindex: u32, what: String) -> Outcome {
        match self.take(ifindex, what) {
            Ok(claim) => Outcome::Ours(claim),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => match ask(ifindex) {
                Ok(outcome) => outcome,
                Err(e) => Outcome::Unknown(format!("whoever marked the interface doesn't answer: {e}")),
            },
            Err(e) => Outcome::Unknown(e.to_string()),
        }
    }

    fn take(&self, ifindex: u32, what: String) -> io::Result<Claim> {
        let socket = stream()?;
        bind(&socket, &name(ifindex)?)?;
        listen(&socket, 16)?;
        // A socket is registered with the runtime whose context it is made in.
        let _context = self.0.enter();
        let listener = tokio::net::UnixListener::from_std(socket.into())?;
        let answering = self.0.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((mut peer, _)) => {
                        // It fits the socket's buffer; one who went away needs no answer.
                        let _ = peer.write_all(what.as_bytes()).await;
                    }
                    // Out of descriptors: it may be better later.
                    Err(_) => tokio::time::sleep(ANSWER_TIME).await,
                }
            }
        });
        Ok(Claim { answering: Some(answering), runtime: self.0.clone() })
    }
}

fn stream() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
}

fn name(ifindex: u32) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new_abstract_name(format!("switchd/interface/{ifindex}").as_bytes())
}

/// Asks who holds an interface. A peer that doesn't take connections is never waited for.
fn ask(ifindex: u32) -> io::Result<Outcome> {
    let socket = stream()?;
    connect(&socket, &name(ifindex)?)?;
    let peer = sockopt::socket_peercred(&socket)?;
    if !peer.uid.is_root() && peer.uid != rustix::process::geteuid() {
        let why = format!("user {} marked the interface, which only root or this user may", peer.uid.as_raw());
        return Ok(Outcome::Unknown(why));
    }
    let stream = std::os::unix::net::UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    let mut answer = [0; ANSWER];
    // Without an answer in time it is told by its process alone.
    let (len, _) = recv(&stream, &mut answer[..], RecvFlags::empty()).unwrap_or((0, 0));
    let what = String::from_utf8_lossy(answer.get(..len).unwrap_or(&[]));
    let what = what.chars().filter(|c| !c.is_control()).collect();
    let own = rustix::process::getpid();
    let process = if peer.pid == own { None } else { Some(peer.pid.as_raw_nonzero().get()) };
    Ok(Outcome::Taken(Holder { process, what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that no interface has.
    fn number() -> u32 {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let own = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
        0x4000_0000 + (own << 8) + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn one_claim_at_a_time_and_who_holds_it_is_said() {
        let runtime = runtime();
        let (claims, n) = (Claims::new(runtime.handle().clone()), number());
        let Outcome::Ours(first) = claims.claim(n, "port 3 of bridge `a`".into()) else { panic!() };
        for _ in 0..100 {
            let Outcome::Taken(holder) = claims.claim(n, "another".into()) else { panic!() };
            assert_eq!(holder.to_string(), "port 3 of bridge `a`");
        }
        assert!(matches!(claims.claim(number(), "elsewhere".into()), Outcome::Ours(_)));
        drop(first);
        for _ in 0..100 {
            assert!(matches!(claims.claim(n, "another".into()), Outcome::Ours(_)));
        }
    }

    #[test]
    fn holders_in_words() {
        let holder = |process, what: &str| Holder { process, what: what.into() }.to_string();
        assert_eq!(holder(Some(7), ""), "a port of another switchd, process 7");
        assert_eq!(holder(Some(7), "port 1 of bridge `b`"), "port 1 of bridge `b` of another switchd, process 7");
        assert_eq!(holder(None, ""), "another port of this switch");
    }

    /// Somebody who took the name, accepts nothing and says nothing, holds up nobody.
    #[test]
    fn a_holder_that_never_answers_is_not_waited_for() {
        let runtime = runtime();
        let (claims, n) = (Claims::new(runtime.handle().clone()), number());
        let socket = stream().unwrap();
        bind(&socket, &name(n).unwrap()).unwrap();
        listen(&socket, 0).unwrap();
        let Outcome::Taken(holder) = claims.claim(n, String::new()) else { panic!() };
        assert_eq!(holder.what, "");
        let kept: Vec<_> =
            (0..3).filter_map(|_| stream().ok().filter(|s| connect(s, &name(n).unwrap()).is_ok())).collect();
        assert!(kept.len() < 3, "its queue is full");
        assert!(matches!(claims.claim(n, String::new()), Outcome::Unknown(_)));
    }
}
