//! Configuration: the command line and one TOML file make one [`Config`].
//!
//! Both give [`Options`], in which every value remembers where it came from; [`Config::new`] lays the
//! command line over the file key by key (a list replaces a list), fills in defaults and checks what
//! no single value can show: double names and numbers, TLS without a key.

pub mod channel;
mod cli;
mod file;
mod queue;
pub mod value;

pub use channel::{CertName, ControllerSpec, HostPort, Listen, Target};
pub use cli::Cli;
pub use file::{parse as parse_file, read as read_file};
pub use queue::{MAX_QUEUE, QueueSpec, Rate, queue_id};
pub use value::{CpuList, FailMode, IfName, PortKind, PortSpec, SocketPath};

use ofproto::Version;
use ofproto::ids::Dpid;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, as this option.
    CommandLine(&'static str),
    /// In the environment, as this variable.
    Environment(&'static str),
    /// In a file.
    File {
        /// The file.
        name: Arc<str>,
        /// Counted from 1.
        line: usize,
        /// The key; empty when the fault lies in the file's syntax.
        key: Box<str>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(name) | Self::Environment(name) => f.write_str(name),
            Self::File { name, line, key } if key.is_empty() => write!(f, "{name}, line {line}"),
            Self::File { name, line, key } => write!(f, "{name}, line {line}: {key}"),
        }
    }
}

/// A mistake in the configuration: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct ConfigError {
    /// Where.
    pub origin: Origin,
    /// What is wrong and what was expected.
    pub reason: String,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    fn try_map<U>(self, f: impl FnOnce(T) -> Result<U, String>) -> Result<Sourced<U>, ConfigError> {
        match f(self.value) {
            Ok(value) => Ok(Sourced { value, origin: self.origin }),
            Err(reason) => Err(ConfigError { origin: self.origin, reason }),
        }
    }

    fn wrong(&self, reason: String) -> ConfigError {
        ConfigError { origin: self.origin.clone(), reason }
    }
}

/// What one source says of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the options' names")]
pub struct BridgeOptions {
    pub name: Option<Sourced<IfName>>,
    pub dpid: Option<Sourced<Dpid>>,
    pub ports: Option<Vec<Sourced<PortSpec>>>,
    pub queues: Option<Vec<Sourced<QueueSpec>>>,
    pub local_port: Option<Sourced<bool>>,
    pub fail_mode: Option<Sourced<FailMode>>,
    pub in_band: Option<Sourced<bool>>,
    pub controllers: Option<Vec<Sourced<ControllerSpec>>>,
    pub listen: Option<Vec<Sourced<Listen>>>,
    pub snoop: Option<Sourced<SocketPath>>,
    pub protocols: Option<Vec<Sourced<Version>>>,
    pub inactivity_probe: Option<Sourced<u32>>,
    pub packet_in_rate: Option<Sourced<u32>>,
    pub packet_in_burst: Option<Sourced<u32>>,
    pub table_size: Option<Sourced<u32>>,
    pub state: Option<Sourced<PathBuf>>,
    pub tls_key: Option<Sourced<PathBuf>>,
    pub tls_cert: Option<Sourced<PathBuf>>,
    pub tls_ca: Option<Sourced<PathBuf>>,
    pub tls_peers: Option<Vec<Sourced<CertName>>>,
    pub tls_bind_dpid: Option<Sourced<bool>>,
}

impl BridgeOptions {
    /// These options where given, else `other`'s.
    fn over(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            dpid: self.dpid.or(other.dpid),
            ports: self.ports.or(other.ports),
            queues: self.queues.or(other.queues),
            local_port: self.local_port.or(other.local_port),
            fail_mode: self.fail_mode.or(other.fail_mode),
            in_band: self.in_band.or(other.in_band),
            controllers: self.controllers.or(other.controllers),
            listen: self.listen.or(other.listen),
            snoop: self.snoop.or(other.snoop),
            protocols: self.protocols.or(other.protocols),
            inactivity_probe: self.inactivity_probe.or(other.inactivity_probe),
            packet_in_rate: self.packet_in_rate.or(other.packet_in_rate),
            packet_in_burst: self.packet_in_burst.or(other.packet_in_burst),
            table_size: self.table_size.or(other.table_size),
            state: self.state.or(other.state),
            tls_key: self.tls_key.or(other.tls_key),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_ca: self.tls_ca.or(other.tls_ca),
            tls_peers: self.tls_peers.or(other.tls_peers),
            tls_bind_dpid: self.tls_bind_dpid.or(other.tls_bind_dpid),
        }
    }
}

/// What one source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Bridges; the command line gives exactly one.
    pub bridges: Vec<BridgeOptions>,
    /// Worker threads.
    pub workers: Option<usize>,
    /// CPUs for them.
    pub worker_cpus: Option<CpuList>,
    /// How long threads look for more to do before they sleep.
    pub spin: Option<Duration>,
    /// Management socket.
    pub management: Option<Sourced<SocketPath>>,
    /// Log filter.
    pub log: Option<Sourced<String>>,
}

/// Files for TLS. All three are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Private key.
    pub key: PathBuf,
    /// Own certificate.
    pub cert: PathBuf,
    /// Authority of the peer's certificate.
    pub ca: PathBuf,
    /// Names of which a peer's certificate must bear one; none: any name will do.
    pub peers: Vec<CertName>,
    /// Whether certificates are bound to the datapath id.
    pub bind_dpid: bool,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Name; also the LOCAL interface's.
    pub name: IfName,
    /// Datapath id, if it was given.
    pub dpid: Option<Dpid>,
    /// Ports, in the order given.
    pub ports: Vec<PortSpec>,
    /// Queues of these ports (or of LOCAL).
    pub queues: Vec<QueueSpec>,
    /// Whether a TAP interface is bound to LOCAL.
    pub local_port: bool,
    /// Without a controller.
    pub fail_mode: FailMode,
    /// Whether the controllers are reached through the bridge's own ports.
    pub in_band: bool,
    /// Controllers to dial.
    pub controllers: Vec<ControllerSpec>,
    /// Listeners.
    pub listen: Vec<Listen>,
    /// One more listener, for tools on this machine, which call the bridge by its name.
    pub tools: SocketPlace,
    /// Where those come to that watch the controllers' messages.
    pub snoop: SocketPlace,
    /// Allowed versions, oldest first, never empty.
    pub protocols: Vec<Version>,
    /// Silence before a controller is probed; `None`: it never is.
    pub inactivity_probe: Option<Duration>,
    /// Packets for controllers per second of each port, table and reason; 0: any number.
    pub packet_in_rate: u32,
    /// How many of them at once.
    pub packet_in_burst: u32,
    /// Flows that each table takes.
    pub table_size: u32,
    /// Directory where flows, groups and meters are kept over a restart.
    pub state: Option<PathBuf>,
    /// TLS, when given; always there when a target or listener needs it.
    pub tls: Option<Tls>,
}

/// Seconds of silence before a controller is probed.
const DEFAULT_PROBE: u32 = 15;

/// Where a socket is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SocketPlace {
    /// Nowhere.
    #[default]
    Off,
    /// Here, because the user said so: failing is fatal.
    At(PathBuf),
    /// Here by default: failing is a warning.
    Default(PathBuf),
}

/// The whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bridges; at least one.
    pub bridges: Vec<BridgeConfig>,
    /// Worker threads of each bridge.
    pub workers: Option<usize>,
    /// CPUs that they are pinned to, one after the other and from the beginning again; none: they aren't.
    pub worker_cpus: Vec<usize>,
    /// How long threads look for more to do before they sleep, at most; `None`: as long as they do unless told.
    pub spin: Option<Duration>,
    /// Management socket.
    pub management: SocketPlace,
    /// Log filter and where it was written.
    pub log: Option<Sourced<String>>,
}

impl Config {
    /// Reads what the command line names and makes the configuration.
    ///
    /// # Errors
    /// The file can't be read, or something is wrong with a value or between values.
    pub fn load(cli: Cli) -> Result<Self, ConfigError> {
        let file = cli.config_file().map(file::read).transpose()?.unwrap_or_default();
        Self::new(cli.into_options(), file)
    }

    /// Lays `cli` over `file`.
    ///
    /// # Errors
    /// Something is wrong between values.
    pub fn new(cli: Options, file: Options) -> Result<Self, ConfigError> {
        let mut bridges = file.bridges;
        let over = cli.bridges.into_iter().next().unwrap_or_default();
        if bridges.len() <= 1 {
            bridges = vec![over.over(bridges.pop().unwrap_or_default())];
        } else if over != BridgeOptions::default() {
            let names = bridges.iter().filter_map(|b| b.name.as_ref()).map(|n| n.value.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let Some(wanted) = over.name.clone() else {
                return Err(ConfigError {
                    origin: Origin::CommandLine("--name"),
                    reason: format!("say which bridge of the file the options are for: {names}"),
                });
            };
            let Some(at) = bridges.iter().position(|b| b.name.as_ref().is_some_and(|n| n.value == wanted.value)) else {
                return Err(wanted.wrong(format!("the file has no bridge `{}`; it has {names}", wanted.value)));
            };
            let old = std::mem::take(&mut bridges[at]);
            bridges[at] = over.over(old);
        }
        let several = bridges.len() > 1;
        let mut seen = Seen::default();
        let mut bridges = bridges.into_iter().map(|b| bridge(b, several, &mut seen)).collect::<Result<Vec<_>, _>>()?;
        let management = match cli.management.or(file.management) {
            Some(Sourced { value: SocketPath::Off, .. }) => SocketPlace::Off,
            Some(Sourced { value: SocketPath::At(path), origin }) => {
                unique(&mut seen.sockets, path.display().to_string(), &origin, "socket")?;
                SocketPlace::At(path)
            }
            None => {
                let name = bridges.first().map_or("switchd", |b| b.name.as_str());
                SocketPlace::Default(format!("/run/switchd/{name}.sock").into())
            }
        };
        // Whoever put management elsewhere, or did without, finds nothing new in the default's place.
        if !matches!(management, SocketPlace::Default(_)) {
            for bridge in bridges.iter_mut().filter(|b| matches!(b.snoop, SocketPlace::Default(_))) {
                bridge.snoop = SocketPlace::Off;
            }
            for bridge in &mut bridges {
                bridge.tools = SocketPlace::Off;
            }
        }
        Ok(Self {
            bridges,
            workers: cli.workers.or(file.workers),
            worker_cpus: cli.worker_cpus.or(file.worker_cpus).map(|c| c.0).unwrap_or_default(),
            spin: cli.spin.or(file.spin),
            management,
            log: cli.log.or(file.log),
        })
    }
}

/// What other bridges have taken already.
#[derive(Default)]
struct Seen {
    interfaces: HashMap<IfName, Origin>,
    dpids: HashMap<Dpid, Origin>,
    listeners: HashMap<Listen, Origin>,
    /// Places of unix sockets, whatever they are for.
    sockets: HashMap<String, Origin>,
}

fn unique<K: std::hash::Hash + Eq + fmt::Display>(
    seen: &mut HashMap<K, Origin>,
    key: K,
    origin: &Origin,
    what: &str,
) -> Result<(), ConfigError> {
    if let Some(first) = seen.get(&key) {
        let reason = format!("{what} `{key}` is taken already ({first})");
        return Err(ConfigError { origin: origin.clone(), reason });
    }
    seen.insert(key, origin.clone());
    Ok(())
}

fn bridge(b: BridgeOptions, several: bool, seen: &mut Seen) -> Result<BridgeConfig, ConfigError> {
    let name_origin = b.name.as_ref().map_or(Origin::CommandLine("--name"), |n| n.origin.clone());
    let name = match &b.name {
        Some(n) => n.value.clone(),
        None if several => {
            let reason = "each of several bridges needs a `name`".to_owned();
            return Err(ConfigError { origin: Origin::CommandLine("--config"), reason });
        }
        None => "br0".parse().map_err(|reason| ConfigError { origin: name_origin.clone(), reason })?,
    };
    // A bridge's name is an interface's even without LOCAL, so that one can be added.
    unique(&mut seen.interfaces, name.clone(), &name_origin, "name")?;
    if let Some(d) = &b.dpid {
        unique(&mut seen.dpids, d.value, &d.origin, "datapath id")?;
    }
    let ports = b.ports.unwrap_or_default();
    let mut numbers = HashMap::new();
    for p in &ports {
        unique(&mut seen.interfaces, p.value.name.clone(), &p.origin, "interface")?;
        if let Some(n) = p.value.number {
            unique(&mut numbers, n, &p.origin, "port number")?;
        }
    }
    let queues = b.queues.unwrap_or_default();
    let mut numbers = HashMap::new();
    for q in &queues {
        let named = |p: &Sourced<PortSpec>| {
            p.value.name.as_str() == q.value.port || p.value.number.is_some_and(|n| n.to_string() == q.value.port)
        };
        // A port without a number of its own gets one later: then only the start can tell.
        if !ports.iter().any(named) && q.value.port.parse::<u32>().is_err() {
            return Err(q.wrong(format!("there is no port `{}`", q.value.port)));
        }
        unique(&mut numbers, format!("{}:{}", q.value.port, q.value.id.0), &q.origin, "queue")?;
    }
    let controllers = b.controllers.unwrap_or_default();
    let mut targets = HashMap::new();
    for c in &controllers {
        unique(&mut targets, c.value.target.clone(), &c.origin, "controller")?;
    }
    let local_port = b.local_port.is_some_and(|l| l.value);
    check_in_band(b.in_band.as_ref(), local_port, &controllers)?;
    let listen = b.listen.unwrap_or_default();
    for l in &listen {
        unique(&mut seen.listeners, l.value.clone(), &l.origin, "listener")?;
        if let Listen::Unix(path) = &l.value {
            unique(&mut seen.sockets, path.display().to_string(), &l.origin, "socket")?;
        }
    }
    if let Some(Sourced { value: SocketPath::At(path), origin }) = &b.snoop {
        unique(&mut seen.sockets, path.display().to_string(), origin, "socket")?;
    }
    let wants_tls = controllers.iter().filter(|c| matches!(c.value.target, Target::Tls(_))).map(|c| &c.origin);
    let mut wants_tls = wants_tls.chain(listen.iter().filter(|l| matches!(l.value, Listen::Tls(_))).map(|l| &l.origin));
    let wants_tls = wants_tls.next().cloned();
    let some = b.tls_key.as_ref().or(b.tls_cert.as_ref()).or(b.tls_ca.as_ref()).map(|p| p.origin.clone());
    let checks = b.tls_peers.as_ref().and_then(|l| l.first()).map(|p| p.origin.clone());
    let checks = checks.or(b.tls_bind_dpid.as_ref().filter(|b| b.value).map(|b| b.origin.clone()));
    let (some, wants_tls) = (some.or(checks.clone()), wants_tls.or(checks));
    let peers = b.tls_peers.unwrap_or_default().into_iter().map(|p| p.value).collect();
    let bind_dpid = b.tls_bind_dpid.is_some_and(|b| b.value);
    let tls = match (b.tls_key, b.tls_cert, b.tls_ca) {
        (Some(key), Some(cert), Some(ca)) => {
            Some(Tls { key: key.value, cert: cert.value, ca: ca.value, peers, bind_dpid })
        }
        (None, None, None) if wants_tls.is_none() => None,
        (key, cert, ca) => {
            let missing = [("tls-key", key.is_none()), ("tls-cert", cert.is_none()), ("tls-ca", ca.is_none())];
            let missing = missing.iter().filter(|m| m.1).map(|m| m.0).collect::<Vec<_>>().join(", ");
            let origin = some.or(wants_tls).unwrap_or(Origin::CommandLine("--tls-key"));
            return Err(ConfigError {
                origin,
                reason: format!("TLS needs a key, a certificate and an authority; missing: {missing}"),
            });
        }
    };
    let mut protocols: Vec<Version> = match b.protocols {
        Some(list) => list.into_iter().map(|v| v.value).collect(),
        None => Version::ALL.to_vec(),
    };
    protocols.sort_unstable();
    protocols.dedup();
    if protocols.is_empty() {
        protocols = Version::ALL.to_vec();
    }
    let default_mode = if controllers.is_empty() { FailMode::Standalone } else { FailMode::Secure };
    let snoop = match b.snoop.map(|s| s.value) {
        Some(SocketPath::Off) => SocketPlace::Off,
        Some(SocketPath::At(path)) => SocketPlace::At(path),
        None => SocketPlace::Default(format!("/run/switchd/{name}.snoop").into()),
    };
    let tools: PathBuf = format!("/run/switchd/{name}.mgmt").into();
    let asked_for = listen.iter().any(|l| l.value == Listen::Unix(tools.clone()));
    Ok(BridgeConfig {
        name,
        dpid: b.dpid.map(|d| d.value),
        ports: ports.into_iter().map(|p| p.value).collect(),
        queues: queues.into_iter().map(|q| q.value).collect(),
        local_port,
        fail_mode: b.fail_mode.map_or(default_mode, |m| m.value),
        in_band: b.in_band.is_some_and(|i| i.value),
        controllers: controllers.into_iter().map(|c| c.value).collect(),
        listen: listen.into_iter().map(|l| l.value).collect(),
        tools: if asked_for { SocketPlace::Off } else { SocketPlace::Default(tools) },
        snoop,
        protocols,
        inactivity_probe: match b.inactivity_probe.map_or(DEFAULT_PROBE, |p| p.value) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds.into())),
        },
        packet_in_rate: b.packet_in_rate.map_or(datapath::punt::DEFAULT_RATE, |r| r.value),
        packet_in_burst: b.packet_in_burst.map_or(datapath::punt::DEFAULT_BURST, |r| r.value),
        table_size: b.table_size.map_or(value::MAX_TABLE_SIZE, |n| n.value),
        state: b.state.map(|s| s.value),
        tls,
    })
}

/// In-band control needs LOCAL, through which the switch itself talks, and controllers' addresses.
fn check_in_band(
    in_band: Option<&Sourced<bool>>,
    local_port: bool,
    controllers: &[Sourced<ControllerSpec>],
) -> Result<(), ConfigError> {
    let Some(in_band) = in_band.filter(|i| i.value) else { return Ok(()) };
    if !local_port {
        return Err(in_band.wrong("needs `local-port`, the interface through which the switch itself talks".into()));
    }
    if controllers.iter().all(|c| matches!(c.value.target, Target::Unix(_))) {
        return Err(in_band.wrong("needs a `controller` at a `tcp:` or `tls:` address".into()));
    }
    controllers.iter().try_for_each(|c| c.value.check_in_band().map_err(|why| c.wrong(why)))
}

/// A datapath id for a bridge that was given none: the same at every start, another one on another
/// machine or for another bridge. Laid out as a locally administered Ethernet address under 16 zero bits,
/// as OpenFlow 1.3.5 §7.3.1 suggests.
pub fn derived_dpid(machine: &str, bridge: &BridgeConfig) -> Dpid {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let first_port = bridge.ports.first().map_or("", |p| p.name.as_str());
    for text in [machine.trim(), bridge.name.as_str(), first_port] {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    let mixed = hash ^ (hash >> 48);
    Dpid((mixed & 0x0000_fcff_ffff_ffff) | 0x0000_0200_0000_0000)
}

#[cfg(test)]
mod tests;
