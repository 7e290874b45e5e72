//! The command line.

use super::channel::{CertName, ControllerSpec, Listen};
use super::value::{self, CpuList, FailMode, IfName, PortSpec, SocketPath};
use super::{BridgeOptions, Options, Origin, QueueSpec, Sourced};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};
use ofproto::Version;
use ofproto::ids::Dpid;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  A learning switch over two interfaces:
    switchd --port eth1 --port eth2
  A switch with fixed port numbers, steered by a controller with OpenFlow 1.3:
    switchd --dpid 1 --port 1=eth1 --port 2=eth2 --controller tcp:10.0.0.1:6653 --protocol 1.3
  The same from a file (every long option is a key; `[[bridge]]` tables make several bridges):
    switchd --config /etc/switchd.toml

Needs CAP_NET_RAW and CAP_NET_ADMIN. SIGTERM and SIGINT end it in order.";

/// A software OpenFlow switch: OpenFlow 1.0 to 1.5, no kernel module.
#[derive(Debug, Parser)]
#[command(name = "switchd", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// The bridge's name
    ///
    /// `br0` unless given. It names the LOCAL interface and the management socket.
    #[arg(long, value_name = "NAME", value_parser = IfName::from_str, help_heading = "Bridge")]
    name: Option<IfName>,

    /// Datapath id, up to 16 hexadecimal digits
    ///
    /// Without it, one is derived from this machine, the bridge's name and its first port, and is
    /// the same at every start.
    #[arg(long, value_name = "HEX16", value_parser = value::dpid, help_heading = "Bridge")]
    dpid: Option<Dpid>,

    /// A port: [NO=]IFNAME[,type=af_packet|tap|af_xdp][,workers=N] (repeatable)
    ///
    /// NO is its OpenFlow port number, 1 to 65279; without it the lowest free one is taken. The
    /// interface may come later, go away and come back: its port keeps the number. `type=tap` makes
    /// the interface and takes it away at the end. `type=af_xdp` takes an interface's frames by XDP before the
    /// host's stack sees them (needs CAP_BPF, too; no queues). With `workers=N` the kernel shares its frames out over
    /// N of the worker threads, by flow, so that each flow keeps its order.
    #[arg(long = "port", value_name = "PORT", value_parser = PortSpec::from_str, help_heading = "Bridge")]
    port: Vec<PortSpec>,

    /// A queue of a port: PORT:ID[,min-rate=RATE][,max-rate=RATE] (repeatable)
    ///
    /// PORT is an interface's name or a port number, RATE in bits per second (`50M`; k, M, G) or in per
    /// cent of the port's speed (`12.5%`). The kernel's HTB shapes it, in place of the interface's root
    /// queueing discipline, until the end. Queue 0 is also for what is in no other queue.
    #[arg(long = "queue", value_name = "QUEUE", value_parser = QueueSpec::from_str, help_heading = "Bridge")]
    queue: Vec<QueueSpec>,

    /// Make a TAP interface with the bridge's name and bind it to the LOCAL port
    #[arg(long, help_heading = "Bridge")]
    local_port: bool,

    /// What to do without a connected controller: `secure` or `standalone`
    ///
    /// `secure`: it goes on by its flows alone. `standalone`: while none of the controllers is connected it is a
    /// MAC-learning switch that leaves its flows aside; with none configured it goes by its flows, of which the first,
    /// `priority=0,actions=NORMAL`, is there at every start and makes it a learning switch. Default: `standalone`
    /// without `--controller`, `secure` with one.
    #[arg(long, value_name = "MODE", value_parser = FailMode::from_str, help_heading = "Bridge")]
    fail_mode: Option<FailMode>,

    /// Reach the controllers through the bridge's own ports
    ///
    /// What carries the OpenFlow channel passes beside the flow tables: ARP and IPv6's neighbour discovery of
    /// the LOCAL port and for the controllers, DHCP of LOCAL, TCP to and from the controllers' addresses. Needs
    /// `--local-port`, whose interface has the switch's address, and controllers given by address.
    #[arg(long, help_heading = "OpenFlow channel")]
    in_band: bool,

    /// Flows that each table takes; by default, and at most, 1000000
    ///
    /// What comes on top is refused, or takes the place of what a table's configuration says (OpenFlow 1.4 and later:
    /// eviction). Of this size are the per cents of vacancy events.
    #[arg(long, value_name = "N", value_parser = parse_table_size, help_heading = "Bridge")]
    table_size: Option<u32>,

    /// Keep flows, groups, meters and configurations in this directory over a restart
    ///
    /// They are written when the switch stops and when management says `save-state`, and read at the
    /// start: flows, groups, meters, what controllers have made of tables, the configuration of ports. So are ports
    /// and queues that management added, and the controllers and the fail mode that it set, which are written at once; the
    /// latter hold until the configuration says something else than it said then. Counters and timeouts begin anew.
    #[arg(long, value_name = "DIR", help_heading = "Bridge")]
    state: Option<PathBuf>,

    /// A controller to dial: tcp:HOST[:PORT], tls:HOST[:PORT] or unix:PATH (repeatable)
    ///
    /// The default port is 6653. `,auxiliary=N` after it asks for N auxiliary connections beside the main
    /// one, over which packet-ins go then (OpenFlow 1.3 and later; the controller has to know them).
    /// `,name=NAME` after tls: is the name that its certificate must bear.
    #[arg(long, value_name = "TARGET", value_parser = ControllerSpec::from_str, help_heading = "OpenFlow channel")]
    controller: Vec<ControllerSpec>,

    /// Listen for controllers: ptcp:[PORT][:IP], ptls:[PORT][:IP] or punix:PATH (repeatable)
    ///
    /// The default port is 6653. Unless `--management` is given, /run/switchd/NAME.mgmt listens as well, for tools on
    /// this machine: `ofctl show NAME`.
    #[arg(long, value_name = "LISTENER", value_parser = Listen::from_str, help_heading = "OpenFlow channel")]
    listen: Vec<Listen>,

    /// Socket for those who watch the controllers' messages, or `none`; by default /run/switchd/NAME.snoop
    ///
    /// Whoever connects there, `ovs-ofctl snoop unix:PATH` for one, gets a copy of every OpenFlow message of all
    /// controllers, both ways; who reads slowly misses some. With `--management` there is none unless asked for.
    #[arg(long, value_name = "PATH", value_parser = SocketPath::from_str, help_heading = "OpenFlow channel")]
    snoop: Option<SocketPath>,

    /// Allowed versions, comma-separated: 1.0 … 1.5 or OpenFlow10 … OpenFlow15
    ///
    /// All of them unless given.
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', value_parser = value::version, help_heading = "OpenFlow channel")]
    protocol: Vec<Version>,

    /// Seconds of silence before a controller is probed, 0 for never; by default 15
    ///
    /// A controller that stays silent for as long again is disconnected and dialled anew.
    #[arg(long, value_name = "SECONDS", value_parser = parse_probe, help_heading = "OpenFlow channel")]
    inactivity_probe: Option<u32>,

    /// Packets per second that each port, table and reason may send to controllers; by default 2000
    ///
    /// What comes faster is dropped and counted, so that one port's flood neither drowns the
    /// controllers nor others' packets. 0 for any number.
    #[arg(long, value_name = "N", value_parser = parse_packet_in_rate, help_heading = "OpenFlow channel")]
    packet_in_rate: Option<u32>,

    /// How many of these packets may come at once; by default 500
    #[arg(long, value_name = "N", value_parser = parse_packet_in_burst, help_heading = "OpenFlow channel")]
    packet_in_burst: Option<u32>,

    /// Private key for TLS (PEM)
    #[arg(long, value_name = "FILE", help_heading = "OpenFlow channel")]
    tls_key: Option<PathBuf>,

    /// Certificate for TLS (PEM)
    #[arg(long, value_name = "FILE", help_heading = "OpenFlow channel")]
    tls_cert: Option<PathBuf>,

    /// Certificate authority that the peer must be signed by (PEM)
    #[arg(long, value_name = "FILE", help_heading = "OpenFlow channel")]
    tls_ca: Option<PathBuf>,

    /// A name of which the peer's certificate must bear one (repeatable)
    ///
    /// One of its alternative names (DNS, URI, address, mail) or the subject's common name. Without it
    /// every certificate of the authority will do.
    #[arg(long, value_name = "NAME", value_parser = CertName::from_str, help_heading = "OpenFlow channel")]
    tls_peer: Vec<CertName>,

    /// Bind certificates to the datapath id
    ///
    /// The switch's own certificate must then bear the name `dpid:HEX16` of its datapath id, and a peer's
    /// that bears any such names must bear this one.
    #[arg(long, help_heading = "OpenFlow channel")]
    tls_bind_dpid: bool,

    /// Packet worker threads of each bridge; by default one per processor, 4 at most
    #[arg(long, value_name = "N", value_parser = parse_workers, help_heading = "Process")]
    workers: Option<usize>,

    /// CPUs that the worker threads are pinned to, such as `0,2-3`
    ///
    /// Each worker of a bridge gets the next one, from the beginning again when there are more workers.
    /// Unless given, they run where the system puts them.
    #[arg(long, value_name = "CPUS", value_parser = CpuList::from_str, help_heading = "Process")]
    worker_cpus: Option<CpuList>,

    /// How long threads look for more to do before they sleep, in microseconds [default: 20; 0 with one processor]
    ///
    /// More lowers latency and costs processor time while there is something to do now and then. The thread
    /// that serves the controllers looks seldom when it seldom finds anything.
    #[arg(long, value_name = "MICROSECONDS", value_parser = parse_spin, help_heading = "Process")]
    spin: Option<Duration>,

    /// Management socket, or `none`; by default /run/switchd/NAME.sock
    #[arg(long, value_name = "PATH", value_parser = SocketPath::from_str, help_heading = "Process")]
    management: Option<SocketPath>,

    /// Log filter, such as `info` or `warn,switchd::agent=debug`
    #[arg(long, value_name = "FILTER", env = "SWITCHD_LOG", help_heading = "Process")]
    log: Option<String>,

    /// Whether `log` is the environment's.
    #[arg(skip)]
    log_by_environment: bool,

    /// Read options from a TOML file; options on the command line win
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    config: Option<PathBuf>,
}

fn parse_workers(s: &str) -> Result<usize, String> {
    value::workers(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

fn parse_spin(s: &str) -> Result<Duration, String> {
    value::spin(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

fn parse_probe(s: &str) -> Result<u32, String> {
    value::probe(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

fn parse_packet_in_rate(s: &str) -> Result<u32, String> {
    value::packet_in_rate(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

fn parse_table_size(s: &str) -> Result<u32, String> {
    value::table_size(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

fn parse_packet_in_burst(s: &str) -> Result<u32, String> {
    value::packet_in_burst(s.parse().map_err(|_| format!("`{s}` is no number"))?)
}

impl Cli {
    /// What the process was called with; ends it where that is wrong.
    pub fn read() -> Self {
        let matches = Self::command().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
        cli.log_by_environment = matches.value_source("log") == Some(ValueSource::EnvVariable);
        cli
    }

    /// The file to read, if any.
    pub fn config_file(&self) -> Option<&std::path::Path> {
        self.config.as_deref()
    }

    /// What was given, as options.
    pub fn into_options(self) -> Options {
        fn one<T>(v: T, key: &'static str) -> Sourced<T> {
            Sourced { value: v, origin: Origin::CommandLine(key) }
        }
        fn list<T>(v: Vec<T>, key: &'static str) -> Option<Vec<Sourced<T>>> {
            if v.is_empty() { None } else { Some(v.into_iter().map(|v| one(v, key)).collect()) }
        }
        Options {
            bridges: vec![BridgeOptions {
                name: self.name.map(|v| one(v, "--name")),
                dpid: self.dpid.map(|v| one(v, "--dpid")),
                ports: list(self.port, "--port"),
                queues: list(self.queue, "--queue"),
                local_port: self.local_port.then(|| one(true, "--local-port")),
                fail_mode: self.fail_mode.map(|v| one(v, "--fail-mode")),
                in_band: self.in_band.then(|| one(true, "--in-band")),
                controllers: list(self.controller, "--controller"),
                listen: list(self.listen, "--listen"),
                snoop: self.snoop.map(|v| one(v, "--snoop")),
                protocols: list(self.protocol, "--protocol"),
                inactivity_probe: self.inactivity_probe.map(|v| one(v, "--inactivity-probe")),
                packet_in_rate: self.packet_in_rate.map(|v| one(v, "--packet-in-rate")),
                packet_in_burst: self.packet_in_burst.map(|v| one(v, "--packet-in-burst")),
                table_size: self.table_size.map(|v| one(v, "--table-size")),
                state: self.state.map(|v| one(v, "--state")),
                tls_key: self.tls_key.map(|v| one(v, "--tls-key")),
                tls_cert: self.tls_cert.map(|v| one(v, "--tls-cert")),
                tls_ca: self.tls_ca.map(|v| one(v, "--tls-ca")),
                tls_peers: list(self.tls_peer, "--tls-peer"),
                tls_bind_dpid: self.tls_bind_dpid.then(|| one(true, "--tls-bind-dpid")),
            }],
            workers: self.workers,
            worker_cpus: self.worker_cpus,
            spin: self.spin,
            management: self.management.map(|v| one(v, "--management")),
            log: self.log.map(|value| Sourced {
                value,
                origin: if self.log_by_environment {
                    Origin::Environment("SWITCHD_LOG")
                } else {
                    Origin::CommandLine("--log")
                },
            }),
        }
    }
}
