//! What a daemon owes its host: logs, a note when it panics, signals, readiness, rights.

use crate::config::Sourced;
use std::io::IsTerminal;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The filter while the user says nothing.
pub const DEFAULT_FILTER: &str = "info";

/// Replaces the log filter while the daemon runs.
#[derive(Clone)]
pub struct LogControl(Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogControl {
    /// One that checks filters and sets nothing, for tests.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self(Arc::new(|_| Ok(())))
    }

    /// Sets the filter.
    ///
    /// # Errors
    /// The text is no filter; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        (self.0)(parse_filter(filter)?)
    }
}

/// Levels, and what log filters may name without one.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
const CRATES: [&str; 3] = ["switchd", "datapath", "ofproto"];

fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    // A word that is no level would be taken for a module, and silence all others.
    let is_word = |d: &&str| !d.is_empty() && d.bytes().all(|b| b.is_ascii_alphabetic());
    let known = |d: &&str| LEVELS.contains(&d.to_lowercase().as_str()) || CRATES.contains(d);
    if let Some(word) = text.split(',').map(str::trim).filter(is_word).find(|d| !known(d)) {
        return Err(format!("`{word}` is no log level; expected error, warn, info, debug, trace or TARGET=LEVEL,…"));
    }
    EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into()).parse(text).map_err(|e| {
        format!("`{text}` is no log filter ({e}); expected a level (error, warn, info, debug, trace) or TARGET=LEVEL,…")
    })
}

/// Begins logging to standard error, without times when the journal adds its own.
///
/// # Errors
/// The filter can't be parsed: its place and what was expected.
pub fn start_logging(filter: Option<&Sourced<String>>) -> Result<LogControl, String> {
    let filter = match filter {
        Some(f) => parse_filter(&f.value).map_err(|e| format!("{}: {e}", f.origin))?,
        None => parse_filter(DEFAULT_FILTER)?,
    };
    let (filter, handle) = reload::Layer::<EnvFilter, Registry>::new(filter);
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let registry = tracing_subscriber::registry().with(filter);
    let started =
        if journal { registry.with(layer.without_time()).try_init() } else { registry.with(layer).try_init() };
    started.map_err(|e| format!("can't start logging: {e}"))?;
    Ok(LogControl(Arc::new(move |f| handle.reload(f).map_err(|e| e.to_string()))))
}

/// A panic ends the task or thread it happens in and nothing else; this makes it seen.
pub fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("?"), "defect: {info}");
        default(info);
    }));
}

/// The signals that end the daemon. A hang-up does so, too: whoever began it in a terminal has gone. Files that
/// change need no signal (see [`agent`](crate::agent)).
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None`: it was to be ignored (`nohup`), and is.
    hangup: Option<Signal>,
}

impl Signals {
    /// Takes the signals over from now on; needs a tokio runtime.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The next one's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            Some(_) = async { self.hangup.as_mut()?.recv().await } => "SIGHUP",
        }
    }
}

/// Whether this process was started with hang-ups ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).map(str::trim);
    // The first signal is the lowest bit.
    mask.and_then(|m| u64::from_str_radix(m, 16).ok()).is_some_and(|m| m & 1 != 0)
}

/// Takes as many descriptors as this process may have: each port needs some for every worker, and the limit
/// that most systems begin with is there for programs of another kind.
pub fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(e) = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(error = %e, "can't raise the limit of open files");
    }
}

/// Tells the service manager, if there is one, that the daemon is ready.
pub fn announce_ready(status: &str) {
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(status)]);
}

/// Tells the service manager that the daemon ends.
pub fn announce_stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(false, state) {
        tracing::warn!(error = %e, "can't tell the service manager");
    }
}

/// The rights that packet sockets and interfaces need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// `CAP_NET_RAW`: packet sockets.
    Raw,
    /// `CAP_NET_ADMIN`: TAP interfaces, promiscuous mode, setting interfaces up.
    Admin,
}

/// Which rights this thread lacks.
pub fn missing_rights() -> Vec<Right> {
    use rustix::thread::CapabilitySet;
    let Ok(sets) = rustix::thread::capabilities(None) else { return Vec::new() };
    let mut missing = Vec::new();
    if !sets.effective.contains(CapabilitySet::NET_RAW) {
        missing.push(Right::Raw);
    }
    if !sets.effective.contains(CapabilitySet::NET_ADMIN) {
        missing.push(Right::Admin);
    }
    missing
}

/// What to do about missing rights, in words.
pub fn rights_advice(missing: &[Right]) -> String {
    let names = missing.iter().map(|r| match r {
        Right::Raw => "CAP_NET_RAW",
        Right::Admin => "CAP_NET_ADMIN",
    });
    let names = names.collect::<Vec<_>>().join(" and ");
    format!(
        "ports need {names}: run as root, or grant it once with \
         `setcap cap_net_raw,cap_net_admin+ep` on the program, \
         or by AmbientCapabilities= in a systemd unit, \
         or try things out in a namespace of your own with `unshare -Urn`"
    )
}

/// What to do about an error of the system at a place where somebody may come to, if there is something to say.
pub fn place_advice(e: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as K;
    match e.kind() {
        K::AddrInUse => Some("choose another place, or end what listens there"),
        K::AddrNotAvailable => Some("no interface has this address; see `ip addr`"),
        K::PermissionDenied => Some("a directory that this user may write to, or a port above 1023, needs no rights"),
        _ => too_many_files(e),
    }
}

fn too_many_files(e: &std::io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    // The errors that say where it happened have no number of their own.
    let full = matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE));
    full.then_some("raise the limit of open files: `ulimit -Hn`, LimitNOFILE= in a systemd unit")
}

/// What to do about an error of the system at an interface, if there is something to say.
pub fn advice(e: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as K;
    match e.kind() {
        K::PermissionDenied => Some("missing rights? Ports need CAP_NET_RAW and CAP_NET_ADMIN"),
        K::ResourceBusy => Some("another process uses it: end that one, or choose another name"),
        K::NotFound => Some("does it exist in this network namespace? See `ip link`"),
        _ => too_many_files(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in ["info", "WARN", "warn,switchd::agent=debug", "off", "", "switchd[{conn=3}]=trace"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        assert!(parse_filter("loud").unwrap_err().contains("`loud` is no log level"));
        let e = parse_filter("switchd=loud").unwrap_err();
        assert!(e.contains("`switchd=loud` is no log filter"), "{e}");
        let e = parse_filter("switchd=debug,inof").unwrap_err();
        assert!(e.contains("`inof` is no log level"), "{e}");
    }

    #[test]
    fn advice_names_the_capabilities() {
        let text = rights_advice(&[Right::Raw, Right::Admin]);
        assert!(text.contains("CAP_NET_RAW and CAP_NET_ADMIN") && text.contains("setcap"), "{text}");
    }
}
