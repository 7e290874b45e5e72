//! One bridge's parts: control and workers, its thread, its ports, its connections.

use super::Shared;
use super::packets::{Crew, WorkerPackets, start_workers};
use super::router::ToBridge;
use crate::agent::{self, Agent, AgentConfig, Dialler};
use crate::bridge::hub::Hub;
use crate::bridge::switch::{Switch, SwitchConfig};
use crate::bridge::{self, Event, Handle, Runner};
use crate::config::{BridgeConfig, ControllerSpec, IfName, PortKind, PortSpec, QueueSpec};
use crate::kept::{Configured, Kept};
use crate::ports::PortControl;
use crate::ports::claims::Claims;
use crate::ports::manager::{AddPortError, Backends, BridgePorts, opener};
use crate::queues::KernelShaper;
use crate::service;
use crate::session::Settings;
use crate::session::hello::VersionSet;
use anyhow::{Context, Result, anyhow};
use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use datapath::engine::SharedConfig;
use datapath::port::PortError;
use datapath::punt::{Moment, PuntLimits};
use datapath::worker::Clock;
use ofproto::ids::{Dpid, PortNo};
use std::sync::Arc;
use std::thread::JoinHandle;
use tracing::info;

/// How long the kernel may take to set an interface up or down.
const SET_UP_TIME: std::time::Duration = std::time::Duration::from_secs(3);

/// Ports that are added before the start looks whether it is to go on.
const PORTS_AT_ONCE: usize = 32;

/// A running bridge.
pub(super) struct Instance {
    name: String,
    handle: Handle,
    agent: Option<Agent>,
    thread: Option<JoinHandle<()>>,
    kept: Kept,
}

impl Instance {
    /// Starts a bridge: when this returns its ports are there and its listeners listen.
    ///
    /// # Errors
    /// With what to do about it.
    pub(super) async fn start(config: &BridgeConfig, dpid: Dpid, shared: &Shared) -> Result<Self> {
        let epoch = shared.epoch;
        let clock = move || Time(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if let Some(dir) = &config.state {
            state_dir(dir)
                .map_err(|e| anyhow!("--state: nothing can be kept in {}: {e}{}", dir.display(), state_advice(&e)))?;
        }
        let configured = Configured::from(config);
        let kept = match &config.state {
            Some(dir) => Kept::open(dir.join(format!("{}.changes", config.name)), configured),
            None => Kept::nowhere(configured),
        };
        info!(bridge = %config.name, dpid = %dpid, fail_mode = kept.fail_mode().name(), "starting");
        let controllers = controllers(config, &kept);
        let (handle, inbox) = bridge::channel().context("can't make the bridge's bell")?;
        let backends = Backends::default();
        let mut control = Control::new(ControlConfig {
            seed: random(),
            max_workers: shared.workers,
            max_entries: config.table_size,
            ..ControlConfig::default()
        });
        // One writer of counters for control, one for each worker.
        let parts = SharedConfig {
            seed: random(),
            writers: shared.workers + 1,
            punts: PuntLimits { rate: config.packet_in_rate, burst: config.packet_in_burst, ..PuntLimits::default() },
            ..SharedConfig::default()
        };
        let parts = Arc::new(datapath::engine::Shared::new(parts));
        let bell = handle.bell().clone();
        control.on_adoption(move || bell.ring());
        let worker_clock: Clock = Arc::new(clock);
        let crew = Crew { count: shared.workers, cpus: &shared.worker_cpus, spin: shared.spin, clock: &worker_clock };
        let workers =
            start_workers(config.name.as_str(), &crew, &mut control, &parts).context("can't start the workers")?;
        let workers = Arc::new(workers);
        let packets = WorkerPackets {
            workers: Arc::clone(&workers),
            backends: backends.clone(),
            bridge: config.name.to_string(),
            ports: shared.ports.clone(),
        };
        let switch_config = SwitchConfig {
            name: config.name.to_string(),
            dpid,
            fail_mode: kept.fail_mode(),
            dials: !controllers.is_empty(),
            state: config.state.as_ref().map(|dir| dir.join(format!("{}.state", config.name))),
            in_band: if config.in_band {
                controllers.iter().filter_map(ControllerSpec::in_band).collect()
            } else {
                Vec::new()
            },
        };
        let mut switch = Switch::new(clock(), control, Arc::clone(&parts), packets, switch_config);
        switch.restore_state(clock());
        switch.stand_alone(clock());
        let settings = Settings {
            versions: VersionSet::of(&config.protocols),
            probe: config.inactivity_probe,
            ..Settings::default()
        };
        let runner = Runner::new(Hub::new(switch, settings), inbox, clock, wall).spinning(shared.spin);
        let helper = runner.helper();
        parts.punts().on_packet(move |moment| helper.packets_wait(moment == Moment::Spare));
        let failed = shared.failed.clone();
        let name = config.name.to_string();
        let thread = std::thread::Builder::new()
            .name(format!("bridge-{name}"))
            .spawn(move || {
                // Dropped on the way out, a panic's too; the daemon then knows that the bridge is gone.
                datapath::worker::wake_promptly();
                let note = EndNote { name, failed };
                runner.run();
                note.forget();
            })
            .context("can't start the bridge's thread")?;
        let mut instance = Self { name: config.name.to_string(), handle, agent: None, thread: Some(thread), kept };

        instance.start_ports(config, shared, workers, backends)?;
        let agent_config = AgentConfig {
            controllers,
            listen: config.listen.clone(),
            tls: config.tls.clone(),
            dpid,
            in_band: config.in_band,
            tools: config.tools.clone(),
            snoop: config.snoop.clone(),
        };
        let agent = Agent::start(&agent_config, &instance.handle).await.map_err(|e| {
            let advice = service::place_advice(&e).map(|a| format!(" ({a})")).unwrap_or_default();
            anyhow!("{e}{advice}")
        })?;
        for place in &agent.listening {
            info!(bridge = instance.name, place, "listening for controllers");
        }
        if let Some(path) = &agent.watched {
            info!(bridge = instance.name, path, "who watches the controllers' messages comes here");
        }
        instance.agent = Some(agent);
        Ok(instance)
    }

    fn start_ports<P: crate::ports::manager::Plumbing + 'static>(
        &self,
        config: &BridgeConfig,
        shared: &Shared,
        plumbing: P,
        backends: Backends,
    ) -> Result<()> {
        let (tell, links) = (self.handle.clone(), shared.links.clone());
        let kept = self.kept.list();
        // The configuration has the say where both name an interface.
        let named = |spec: &&PortSpec| !config.ports.iter().any(|p| p.name == spec.name);
        let added: Vec<&PortSpec> = kept.ports.iter().filter(named).collect();
        let specs: Vec<PortSpec> = config.ports.iter().chain(added.iter().copied()).cloned().collect();
        let runtime = tokio::runtime::Handle::current();
        let shaper = KernelShaper::new(links.clone(), runtime.clone());
        let ports = BridgePorts::new(
            &self.name,
            &specs,
            plumbing,
            backends,
            opener(specs.len()),
            move |event| {
                // The bridge is gone at the end only, and nobody needs to hear of its ports then.
                let _ = tell.send_blocking(Event::Port(event));
            },
            move |link, up| {
                // In order: up after down must not overtake it.
                let set = async { tokio::time::timeout(SET_UP_TIME, links.set_up(link.ifindex, up)).await };
                let set = runtime.block_on(set).unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
                if let Err(e) = set {
                    tracing::warn!(interface = link.name, up, error = %e, "can't set the interface up or down");
                }
            },
            Box::new(shaper),
        )
        .claiming(Claims::new(tokio::runtime::Handle::current()));
        tokio::task::block_in_place(|| {
            shared.ports.add_bridge(ports);
            if config.local_port {
                let local =
                    PortSpec { number: Some(PortNo::LOCAL), kind: PortKind::Tap, ..PortSpec::new(config.name.clone()) };
                add(&shared.ports, &self.name, local)?;
            }
            for some in config.ports.chunks(PORTS_AT_ONCE).take_while(|_| !shared.is_ending()) {
                add_all(&shared.ports, &self.name, some)?;
            }
            if shared.is_ending() {
                return Ok(());
            }
            config.queues.iter().try_for_each(|spec| add_queue(&shared.ports, &self.name, spec))?;
            // What was added by hand can't keep the switch from starting.
            for spec in added.into_iter().take_while(|_| !shared.is_ending()) {
                if let Err(e) = add(&shared.ports, &self.name, spec.clone()) {
                    tracing::warn!(bridge = self.name, port = %spec, error = %e, "a port that was added doesn't come again");
                }
            }
            for spec in &kept.queues {
                if let Err(e) = add_queue(&shared.ports, &self.name, spec) {
                    tracing::warn!(bridge = self.name, queue = %spec, error = %e, "a queue that was added doesn't come again");
                }
            }
            Ok(())
        })
    }

    /// What management changed.
    pub(super) fn kept(&self) -> Kept {
        self.kept.clone()
    }

    /// Who dials its controllers; `None` once it is stopping.
    pub(super) fn dialler(&self) -> Option<Dialler> {
        self.agent.as_ref().map(|a| a.dialler.clone())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How management's calls get to it.
    pub(super) fn to_bridge(&self) -> ToBridge {
        let handle = self.handle.clone();
        Arc::new(move |call| {
            let handle = handle.clone();
            // A call to a bridge that has ended is dropped, and its client told so.
            tokio::spawn(async move { handle.send(Event::Call(call)).await });
        })
    }

    /// Tells the thread to end, and doesn't wait for it.
    pub(super) async fn begin_stop(&self) {
        let _ = self.handle.send(Event::Stop).await;
    }

    /// Ends the thread, which says goodbye to the controllers, and then the connections.
    pub(super) async fn stop(&mut self) {
        self.begin_stop().await;
        if let Some(thread) = self.thread.take() {
            // A panic was logged where it happened.
            let _ = tokio::task::block_in_place(|| thread.join());
        }
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }
}

/// Whom to dial: those who were set while it ran, as far as they can be, or those of the configuration.
fn controllers(config: &BridgeConfig, kept: &Kept) -> Vec<ControllerSpec> {
    let mut controllers = kept.controllers();
    // What was set by hand can't keep the switch from starting; what is configured was checked.
    controllers.retain(|spec| match agent::can_be_dialled(spec, config.tls.is_some(), config.in_band) {
        Ok(()) => true,
        Err(e) => {
            tracing::warn!(bridge = %config.name, controller = %spec, error = %e, "a controller that was set isn't dialled");
            false
        }
    });
    if controllers != config.controllers {
        let list = controllers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        info!(bridge = %config.name, controllers = list, "the controllers are those that were set while it ran");
    }
    controllers
}

/// Makes the directory where the state is kept, if need be: at the end it would be too late to hear that it can't
/// be written there.
fn state_dir(dir: &std::path::Path) -> std::io::Result<()> {
    use rustix::fs::{Access, access};
    std::fs::create_dir_all(dir)?;
    Ok(access(dir, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn state_advice(e: &std::io::Error) -> &'static str {
    match e.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            " (under systemd, StateDirectory= makes one that can be written)"
        }
        _ => "",
    }
}

/// The wall clock in international atomic time, as far as the system knows it.
fn wall() -> std::time::Duration {
    let tai = rustix::time::clock_gettime_dynamic(rustix::time::DynamicClockId::Tai);
    let now = tai.unwrap_or_else(|_| rustix::time::clock_gettime(rustix::time::ClockId::Realtime));
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    std::time::Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A number that senders of packets can't guess.
fn random() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8)
}

/// Says that a bridge's thread ended without having been told to.
struct EndNote {
    name: String,
    failed: tokio::sync::mpsc::Sender<String>,
}

impl EndNote {
    fn forget(mut self) {
        self.name.clear();
    }
}

impl Drop for EndNote {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.failed.try_send(std::mem::take(&mut self.name));
        }
    }
}

fn add(ports: &PortControl, bridge: &str, spec: PortSpec) -> Result<()> {
    let name = spec.name.clone();
    match ports.add_and_wait(bridge, spec) {
        Some(Ok(_)) => Ok(()),
        Some(Err(e)) => Err(with_advice(&name, e)),
        None => Err(anyhow!("the ports' thread has ended")),
    }
}

/// Adds ports side by side; the first that can't be added counts.
fn add_all(ports: &PortControl, bridge: &str, specs: &[PortSpec]) -> Result<()> {
    let outcomes = ports.add_all_and_wait(bridge, specs.to_vec());
    let outcomes = outcomes.ok_or_else(|| anyhow!("the ports' thread has ended"))?;
    specs.iter().zip(outcomes).try_for_each(|(spec, added)| added.map(drop).map_err(|e| with_advice(&spec.name, e)))
}

fn add_queue(ports: &PortControl, bridge: &str, spec: &QueueSpec) -> Result<()> {
    match ports.add_queue_and_wait(bridge, spec.clone()) {
        Some(Ok(_)) => Ok(()),
        Some(Err(e)) => Err(anyhow!("can't make queue `{spec}`: {e}")),
        None => Err(anyhow!("the ports' thread has ended")),
    }
}

/// What to do when AF_XDP can't be had. Another kind of port is never taken in its place.
fn xdp_advice(e: &std::io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    match Errno::from_io_error(e)? {
        Errno::PERM | Errno::ACCESS => Some("AF_XDP needs CAP_BPF beside CAP_NET_ADMIN; type=af_packet does not"),
        Errno::BUSY | Errno::EXIST => Some("another XDP program is attached there; see `ip link`"),
        Errno::RANGE | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSPC => Some(
            "the interface can't take an XDP program as it is: its MTU or its peer's may be too large (3500 at most \
             on veth), or its peer sends through more queues than it has; type=af_packet can do without",
        ),
        Errno::NOSYS | Errno::AFNOSUPPORT => Some("this kernel has no AF_XDP: use type=af_packet"),
        Errno::NOBUFS | Errno::NOMEM | Errno::OVERFLOW => {
            Some("each queue of the interface locks 12 MiB of memory: raise the limit (LimitMEMLOCK=, `ulimit -l`)")
        }
        _ => None,
    }
}

fn with_advice(name: &IfName, e: AddPortError) -> anyhow::Error {
    let advice = match &e {
        AddPortError::Port(PortError::Open { what: "/dev/net/tun", source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Some("TAP interfaces need the tun module: `modprobe tun`")
        }
        AddPortError::Port(PortError::Open { what: "TUNSETIFF", source, .. })
            if source.kind() == std::io::ErrorKind::InvalidInput =>
        {
            Some("an interface of that name exists and is no TAP: choose another name, or leave out type=tap")
        }
        AddPortError::Port(PortError::Open { what, source, .. }) if what.contains("BPF_") || what.contains("XDP") => {
            xdp_advice(source)
        }
        AddPortError::Port(PortError::Open { source, .. }) => service::advice(source),
        AddPortError::Claimed(_, holder) if holder.process.is_some() => {
            Some("end that one, or take the port away there")
        }
        AddPortError::Port(_) | AddPortError::Table(_) | AddPortError::Elsewhere(..) | AddPortError::Claimed(..) => {
            None
        }
    };
    let advice = advice.map(|a| format!(" ({a})")).unwrap_or_default();
    anyhow!("can't add port `{name}`: {e}{advice}")
}
