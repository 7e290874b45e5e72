//! Everything together: start in order, wait, stop in order.
//!
//! Start: interfaces' watch, then each bridge with its ports, then its connections, then management, then
//! readiness is announced: whoever sees the switch sees it whole. The end goes the other way round;
//! nothing that was made outlives it.

mod instance;
mod packets;
pub mod router;

use crate::config::{BridgeConfig, Config, PortKind, SocketPlace};
use crate::management::{self, socket};
use crate::service::{self, LogControl, Signals};
use crate::{netlink, ports};
use anyhow::{Context, Result, anyhow, bail};
use instance::Instance;
use router::DaemonRouter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How long the kernel may take to list its interfaces.
const LINKS_TIME: Duration = Duration::from_secs(10);

/// How long the end may take before it is forced.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How much longer for each port: the kernel lets go of a packet socket when every processor has come round, and a
/// port has some.
const PORT_TIME: Duration = Duration::from_millis(200);

/// How much longer with a state to write.
const SAVE_TIME: Duration = Duration::from_secs(30);

/// What all bridges share.
pub(crate) struct Shared {
    /// The origin of [`datapath::clock::Time`].
    pub epoch: Instant,
    /// The ports' thread.
    pub ports: ports::PortControl,
    /// Sets interfaces up.
    pub links: netlink::Links,
    /// Workers of each bridge.
    pub workers: usize,
    /// CPUs that they are pinned to.
    pub worker_cpus: Vec<usize>,
    /// How long threads look for more to do before they sleep.
    pub spin: Duration,
    /// Where a bridge's thread says that it ended by itself.
    pub failed: mpsc::Sender<String>,
    /// Whether a signal came.
    signal: watch::Receiver<bool>,
}

impl Shared {
    /// Whether the daemon was told to end: a start that is under way goes no further.
    pub fn is_ending(&self) -> bool {
        *self.signal.borrow()
    }
}

/// Runs the daemon until a signal or management ends it.
///
/// # Errors
/// The start failed, with what to do about it; or a part ended by itself.
pub async fn run(config: Config, log: LogControl) -> Result<()> {
    // First of all, so that a signal during the start ends it in order, too.
    let mut signals = Signals::new().context("can't take over signals")?;
    let (came, mut signal) = watch::channel(false);
    tokio::spawn(async move {
        let signal = signals.next().await;
        info!(signal, "stopping");
        came.send_replace(true);
    });
    check_rights(&config)?;
    check_cpus(&config.worker_cpus)?;
    let (stop, mut stopped) = mpsc::channel(1);
    let (failed, mut failures) = mpsc::channel(1);

    let port_thread = ports::start().context("can't start the ports' thread")?;
    let control = port_thread.control();
    let links = {
        let control = control.clone();
        netlink::watch(move |event| control.link_event(event)).context("can't watch interfaces over netlink")?
    };
    tokio::task::block_in_place(|| port_thread.wait_for_links(LINKS_TIME)).context("can't watch interfaces")?;
    let shared = Shared {
        epoch: Instant::now(),
        ports: control.clone(),
        links,
        workers: config.workers.unwrap_or_else(default_workers),
        worker_cpus: config.worker_cpus.clone(),
        spin: config.spin.unwrap_or_else(default_spin),
        failed,
        signal: signal.clone(),
    };

    let mut bridges = Vec::new();
    let mut started = Ok(());
    for bridge in config.bridges.iter().take_while(|_| !shared.is_ending()) {
        match start_bridge(bridge, &shared).await {
            Ok(b) => bridges.push(b),
            Err(e) => {
                started = Err(e.context(format!("bridge `{}` can't start", bridge.name)));
                break;
            }
        }
    }
    let mut served = None;
    if started.is_ok() && !shared.is_ending() {
        let router = DaemonRouter {
            bridges: bridges.iter().map(|b| (b.name().to_owned(), b.to_bridge())).collect(),
            ports: control,
            kept: bridges.iter().map(|b| (b.name().to_owned(), b.kept())).collect(),
            diallers: bridges.iter().filter_map(|b| Some((b.name().to_owned(), b.dialler()?))).collect(),
            log,
            stop,
        };
        match manage(&config.management, router) {
            Ok(s) => served = s,
            Err(e) => started = Err(e),
        }
    }
    let ended = match started {
        Err(e) => Err(e),
        Ok(()) => {
            if shared.is_ending() {
                info!("told to stop before all was started");
            } else {
                let status = format!("{} bridge(s)", bridges.len());
                service::announce_ready(&status);
                info!("ready");
            }
            tokio::select! {
                Ok(_) = signal.wait_for(|came| *came) => Ok(()),
                // Without management nobody holds the other end, and nobody can ask.
                Some(()) = stopped.recv() => Ok(()),
                Some(bridge) = failures.recv() => Err(anyhow!("bridge `{bridge}` ended by itself: see the log")),
            }
        }
    };
    service::announce_stopping();
    force_later(stop_time(&config), ended.as_ref().err().map(|e| format!("{e:#}")));
    drop(served);
    // All at once: one that waits for a controller that doesn't read takes no time from the others.
    for bridge in &bridges {
        bridge.begin_stop().await;
    }
    for bridge in &mut bridges {
        bridge.stop().await;
    }
    // The ports let go of their interfaces, then the workers have nothing left and end.
    tokio::task::block_in_place(|| {
        drop(port_thread);
        drop(bridges);
    });
    ended
}

/// How long this daemon's end may take.
fn stop_time(config: &Config) -> Duration {
    let ports: usize = config.bridges.iter().map(|b| b.ports.len()).sum();
    let saving = config.bridges.iter().any(|b| b.state.is_some());
    let ports = PORT_TIME.saturating_mul(u32::try_from(ports).unwrap_or(u32::MAX));
    STOP_TIME + ports + if saving { SAVE_TIME } else { Duration::ZERO }
}

/// An end that hangs must not hang for ever: the kernel takes the rest away with the process. Why it ends, if
/// something is wrong, is said in any case.
fn force_later(time: Duration, why: Option<String>) {
    let forced = std::thread::Builder::new().name("stop-timer".into()).spawn(move || {
        std::thread::sleep(time);
        if let Some(why) = why {
            error!("{why}");
        }
        error!("could not stop in order in {} s; ending at once", time.as_secs());
        std::process::exit(1);
    });
    if let Err(e) = forced {
        warn!(error = %e, "the end is not timed");
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(4))
}

/// Whoever might have something to say needs a processor, too.
fn default_spin() -> Duration {
    let alone = std::thread::available_parallelism().is_ok_and(|n| n.get() == 1);
    if alone { Duration::ZERO } else { crate::bridge::spin::DEFAULT }
}

/// Refuses early what would fail at the first port, with words that help.
fn check_rights(config: &Config) -> Result<()> {
    let mut ports = config.bridges.iter().flat_map(|b| &b.ports);
    let taps = config.bridges.iter().any(|b| b.local_port || b.ports.iter().any(|p| p.kind == PortKind::Tap));
    if !taps && ports.next().is_none() {
        return Ok(());
    }
    let missing = service::missing_rights();
    if !missing.is_empty() {
        bail!("{}", service::rights_advice(&missing));
    }
    Ok(())
}

/// Refuses CPUs that workers can't be pinned to.
fn check_cpus(cpus: &[usize]) -> Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let allowed = rustix::thread::sched_getaffinity(None).context("can't tell which CPUs there are")?;
    match cpus.iter().find(|c| **c >= rustix::thread::CpuSet::MAX_CPU || !allowed.is_set(**c)) {
        Some(cpu) => bail!("--worker-cpus: this process can't run on CPU {cpu}; see `taskset -p $$`"),
        None => Ok(()),
    }
}

async fn start_bridge(config: &BridgeConfig, shared: &Shared) -> Result<Instance> {
    let dpid = config.dpid.unwrap_or_else(|| crate::config::derived_dpid(&machine_id(), config));
    Instance::start(config, dpid, shared).await
}

/// What tells this machine from others: systemd's machine id, else its name.
fn machine_id() -> String {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|p| std::fs::read_to_string(p).ok());
    id.filter(|id| !id.trim().is_empty())
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// The management server; its socket's file goes away with it.
struct Served {
    task: JoinHandle<()>,
    _file: socket::SocketFile,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn manage(place: &SocketPlace, router: DaemonRouter) -> Result<Option<Served>> {
    let opened = socket::listen_at(place, |path, e| {
        warn!(path = %path.display(), error = %e, "no management: give --management another path, or `none`");
    });
    let opened = opened.map_err(|(path, e)| {
        let advice = service::place_advice(&e).map(|a| format!(" ({a})")).unwrap_or_default();
        anyhow!("can't listen for management on {}: {e}{advice}", path.display())
    })?;
    let Some((listener, file)) = opened else { return Ok(None) };
    info!(path = %file.path().display(), "management");
    let task = tokio::spawn(management::serve(listener, Arc::new(router)));
    Ok(Some(Served { task, _file: file }))
}
