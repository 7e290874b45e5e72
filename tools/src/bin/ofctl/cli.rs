//! The command line: what there is to say. What it does is in the modules of the commands.

use crate::arguments::{GroupArg, InBundle, MeterArg, Order, QueueArg};
use crate::configure::{PortChange, TableChange};
use crate::connection::Connection;
use crate::converse::{FragmentMode, RoleName};
use crate::flows::Source;
use crate::target::{Target, TlsFiles};
use crate::{decode, management, monitor, orders, snoop};
use clap::{Args, Parser, Subcommand};
use ofproto::Version;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
TARGET says where the switch listens: a bridge's name for /run/switchd/NAME.mgmt, unix:PATH,
tcp:HOST[:PORT] or ssl:HOST[:PORT] (6653 unless given).

Examples:
  ofctl show br0
  ofctl dump-flows tcp:10.0.0.1 table=0,ip
  ofctl add-flow br0 'priority=100,tcp,tp_dst=80,actions=output:2'
  ofctl -O 1.3 monitor unix:/run/of.sock
  ofctl decode capture.pcap
  ofctl trace br0 'in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80'

Options may stand before the command, too. Exit status: 0 when all was done, 1 when the switch
refused or could not be reached, 2 when the command line or a flow's text is wrong.";

/// Asks and steers OpenFlow switches of versions 1.0 to 1.5, and reads OpenFlow messages
#[derive(Parser)]
#[command(name = "ofctl", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Args)]
pub struct Options {
    /// Versions to speak, comma-separated: 1.0 … 1.5 or OpenFlow10 … OpenFlow15; all unless given
    #[arg(short = 'O', long, alias = "protocols", global = true, value_name = "VERSIONS", value_delimiter = ',', value_parser = version)]
    protocol: Vec<Version>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print port names in flows and groups; so it is on a terminal
    #[arg(long, global = true, overrides_with = "no_names")]
    names: bool,
    /// Neither print nor read port names
    #[arg(long, global = true, overrides_with = "names")]
    no_names: bool,
    /// Seconds to wait for the switch
    #[arg(short, long, global = true, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    timeout: f64,
    #[command(flatten)]
    tls: TlsFiles,
}

impl Options {
    /// The highest version that may be spoken.
    pub fn highest(&self) -> Version {
        self.protocol.iter().copied().max().unwrap_or(Version::V15)
    }

    /// How long to wait for an answer.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// A session with the switch.
    pub fn connect(&self, target: &Target) -> anyhow::Result<Connection> {
        let versions = if self.protocol.is_empty() { &Version::ALL[..] } else { &self.protocol };
        Connection::open(self.dial(target)?, &target.to_string(), versions, self.wait())
    }

    /// A connection, as it is.
    pub fn dial(&self, target: &Target) -> anyhow::Result<crate::target::Stream> {
        target.connect(self.wait(), &self.tls)
    }

    /// Whether ports are called by their names in what is printed.
    pub fn shows_names(&self) -> bool {
        !self.no_names && (self.names || std::io::stdout().is_terminal())
    }

    /// Whether ports may be called by their names in what is read.
    pub fn reads_names(&self) -> bool {
        !self.no_names
    }
}

fn version(s: &str) -> Result<Version, String> {
    Version::parse(s).ok_or_else(|| "expected 1.0 … 1.5 or OpenFlow10 … OpenFlow15".into())
}

/// A number of seconds.
pub fn seconds(s: &str) -> Result<f64, String> {
    match s.parse() {
        Ok(n) if (0.001..=1e6).contains(&n) => Ok(n),
        _ => Err("expected a number of seconds".into()),
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// The switch, its configuration and ports
    Show {
        /// The switch
        target: Target,
    },
    /// Who made the switch and what it is called
    DumpDesc {
        /// The switch
        target: Target,
    },
    /// Flow entries with their counters
    DumpFlows {
        /// The switch
        target: Target,
        /// Only those at least as specific: table=1,cookie=0x1/-1,out_port=2,ip,…
        #[arg(default_value = "")]
        filter: String,
        #[command(flatten)]
        order: Order,
        /// Without counters and ages, and without cookies and tables that are 0
        #[arg(long)]
        no_stats: bool,
    },
    /// Sums over flow entries
    DumpAggregate {
        /// The switch
        target: Target,
        /// Only those at least as specific
        #[arg(default_value = "")]
        filter: String,
    },
    /// Ports' counters
    DumpPorts {
        /// The switch
        target: Target,
        /// One port, by number or name
        port: Option<String>,
    },
    /// Ports' descriptions
    DumpPortsDesc {
        /// The switch
        target: Target,
        /// One port, by number or name
        port: Option<String>,
    },
    /// Flow tables' occupancy and lookups
    DumpTables {
        /// The switch
        target: Target,
        /// The tables that nothing uses, too
        #[arg(long)]
        all: bool,
    },
    /// What each flow table can do (1.3 and later)
    DumpTableFeatures {
        /// The switch
        target: Target,
        /// One table
        table: Option<u8>,
    },
    /// Flow tables' configuration (1.4 and later)
    DumpTableDesc {
        /// The switch
        target: Target,
    },
    /// Groups with their buckets
    DumpGroups {
        /// The switch
        target: Target,
        /// One group: its number, alone or after group_id=
        group: Option<GroupArg>,
    },
    /// Groups' counters
    DumpGroupStats {
        /// The switch
        target: Target,
        /// One group: its number, alone or after group_id=
        group: Option<GroupArg>,
    },
    /// What groups can do
    DumpGroupFeatures {
        /// The switch
        target: Target,
    },
    /// Meters with their bands
    #[command(visible_alias = "dump-meter")]
    DumpMeters {
        /// The switch
        target: Target,
        /// One meter: its number, alone or after meter=
        meter: Option<MeterArg>,
    },
    /// Meters' counters
    MeterStats {
        /// The switch
        target: Target,
        /// One meter: its number, alone or after meter=
        meter: Option<MeterArg>,
    },
    /// What meters can do
    MeterFeatures {
        /// The switch
        target: Target,
    },
    /// Queues' counters
    QueueStats {
        /// The switch
        target: Target,
        /// One port, by number or name, or ALL
        port: Option<String>,
        /// One queue
        queue: Option<QueueArg>,
    },
    /// Queues' configuration
    QueueGetConfig {
        /// The switch
        target: Target,
        /// One port, by number or name, or ANY
        port: Option<String>,
        /// One queue
        queue: Option<QueueArg>,
    },
    /// Add a flow entry
    AddFlow {
        /// The switch
        target: Target,
        /// priority=100,ip,nw_dst=10.0.0.0/8,actions=output:2, or - for several from standard input
        flow: String,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Add the flow entries of a file, one a line; lines may begin with add, modify, delete, …
    AddFlows {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Change the actions of the flow entries that a match covers
    ModFlows {
        /// The switch
        target: Target,
        /// Match and actions, or - for several from standard input
        flow: String,
        #[command(flatten)]
        bundle: InBundle,
        /// Only the entry with exactly this match and priority
        #[arg(long)]
        strict: bool,
    },
    /// Delete flow entries; all of them without FLOW
    DelFlows {
        /// The switch
        target: Target,
        /// What match they have: table=1,cookie=0x1/-1,out_port=2,ip,…; - for several from standard input
        #[arg(default_value = "")]
        flow: String,
        #[command(flatten)]
        bundle: InBundle,
        /// Only the entry with exactly this match and priority
        #[arg(long)]
        strict: bool,
    },
    /// Make the switch's flow entries those of a file
    ReplaceFlows {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
        #[command(flatten)]
        bundle: InBundle,
        /// Add those anew, too, that are as they should be
        #[arg(long)]
        readd: bool,
    },
    /// Compare flow entries: those that only the first has (-) and only the second (+); status 2 if they differ
    DiffFlows {
        /// A file if it begins with / or . or is there, else a switch; - for standard input
        first: Source,
        /// The other
        second: Source,
    },
    /// Add a group
    AddGroup {
        /// The switch
        target: Target,
        /// group_id=1,type=select,bucket=output:1,bucket=output:2, or - for several from standard input
        group: String,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Add the groups of a file, one a line; lines may begin with add, modify, delete, insert_bucket, …
    AddGroups {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Change a group
    ModGroup {
        /// The switch
        target: Target,
        /// As for add-group
        group: String,
        #[command(flatten)]
        bundle: InBundle,
        /// Add it if it isn't there
        #[arg(long)]
        may_create: bool,
    },
    /// Delete groups; all of them without GROUP
    DelGroups {
        /// The switch
        target: Target,
        /// group_id=1
        #[arg(default_value = "")]
        group: String,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Insert buckets into a group (1.5)
    InsertBuckets {
        /// The switch
        target: Target,
        /// group_id=1,command_bucket_id=last,bucket=output:3
        group: String,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Remove buckets from a group (1.5)
    RemoveBuckets {
        /// The switch
        target: Target,
        /// group_id=1,command_bucket_id=2
        group: String,
        #[command(flatten)]
        bundle: InBundle,
    },
    /// Add a meter
    AddMeter {
        /// The switch
        target: Target,
        /// meter=1,kbps,bands=type=drop,rate=1000
        meter: String,
    },
    /// Change a meter
    ModMeter {
        /// The switch
        target: Target,
        /// As for add-meter
        meter: String,
    },
    /// Carry out the lines of a file as one bundle: all of them or none (1.4 and later; with the ONF extension 1.3)
    ///
    /// Each line begins with `flow`, `group`, `meter` or `packet-out` and goes on as for add-flow, add-group,
    /// add-meter and packet-out: flow delete table=1
    Bundle {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
    },
    /// Delete meters; all of them without METER
    #[command(visible_alias = "del-meter")]
    DelMeters {
        /// The switch
        target: Target,
        /// meter=1
        #[arg(default_value = "")]
        meter: String,
    },
    /// Configure a port
    ModPort {
        /// The switch
        target: Target,
        /// Number or name
        port: String,
        /// up, down, and flood, receive, forward, packet-in, stp, receive-stp, each with or without no-
        change: PortChange,
    },
    /// Configure a flow table
    ModTable {
        /// The switch
        target: Target,
        /// Number or `all`
        table: String,
        /// evict, noevict, vacancy:DOWN,UP or novacancy (1.4 and later); drop, continue or controller (1.1, 1.2)
        change: TableChange,
    },
    /// Say which options of tunnels' headers the fields tun_metadata0 to tun_metadata63 stand for
    AddTlvMap {
        /// The switch
        target: Target,
        /// {class=0xffff,type=0,len=4}->tun_metadata0, several with commas
        maps: String,
    },
    /// Let fields stand for no option any more; all of them without MAPS
    DelTlvMap {
        /// The switch
        target: Target,
        /// As for add-tlv-map; only the fields count
        #[arg(default_value = "")]
        maps: String,
    },
    /// The options that fields stand for
    DumpTlvMap {
        /// The switch
        target: Target,
    },
    /// Send a packet through actions
    PacketOut {
        /// The switch
        target: Target,
        /// in_port=CONTROLLER,packet=HEX,actions=output:2 - or IN_PORT ACTIONS HEX… - or one frame, with --actions
        #[arg(required = true, value_name = "PACKET")]
        packet: Vec<String>,
        /// What to do with a frame given alone
        #[arg(long, value_name = "ACTIONS")]
        actions: Option<String>,
        /// Where a frame given alone came in
        #[arg(long, value_name = "PORT", default_value = "CONTROLLER")]
        in_port: String,
    },
    /// How the switch treats fragments of IP packets
    GetFrags {
        /// The switch
        target: Target,
    },
    /// Choose how the switch treats fragments of IP packets
    SetFrags {
        /// The switch
        target: Target,
        /// What to do with them
        mode: FragmentMode,
    },
    /// Print what the switch reports: packet-ins, removed flows, port changes, …
    Monitor(monitor::MonitorArgs),
    /// Print a copy of every message of a switch's controllers, both ways
    Snoop(snoop::SnoopArgs),
    /// Wait until the switch has done all that was asked before
    Barrier {
        /// The switch
        target: Target,
    },
    /// Whether the switch answers, and how fast
    Probe {
        /// The switch
        target: Target,
    },
    /// Echo requests with their round-trip times
    Ping {
        /// The switch
        target: Target,
        /// Bytes in each
        #[arg(default_value_t = 64)]
        size: u16,
        /// How many
        #[arg(short, long, value_name = "N", default_value_t = 10)]
        count: u32,
    },
    /// How long many echo requests take, one after the other
    Benchmark {
        /// The switch
        target: Target,
        /// Bytes in each
        size: u16,
        /// How many
        count: u32,
    },
    /// Ask for this connection's role, or for a change of it (1.2 and later)
    Role {
        /// The switch
        target: Target,
        /// equal, master or slave
        role: Option<RoleName>,
        /// The election's generation
        #[arg(long, value_name = "N", default_value_t = 0)]
        generation: u64,
    },
    /// Print OpenFlow messages: bytes, hexadecimal text or a capture (pcap, pcapng)
    #[command(visible_aliases = ["ofp-parse", "ofp-parse-pcap"])]
    Decode(decode::DecodeArgs),
    /// What the pipeline does with a packet, step by step
    Trace(management::TraceArgs),
    /// A bridge in short
    Status(management::ManagementArgs),
    /// A bridge's connections: controllers, also those that it waits for, and tools
    Connections(management::ManagementArgs),
    /// A bridge's counters, drops by reason among them
    Counters(management::ManagementArgs),
    /// The addresses that a bridge has learned for NORMAL (and standalone mode), with their ages in seconds
    Learned(management::ManagementArgs),
    /// Let a bridge learn all addresses anew
    ForgetLearned(management::ManagementArgs),
    /// Open a port of a bridge that runs
    AddPort(orders::AddPort),
    /// Close a port of a bridge that runs
    DelPort(orders::DelPort),
    /// Make a queue of a port
    AddQueue(orders::AddQueue),
    /// Take a port's queue away
    DelQueue(orders::DelQueue),
    /// Dial these controllers instead of those before
    ///
    /// Who is named again keeps its connection. All flows go when the first controller comes. With `switchd --state` they
    /// are kept over a restart, as long as the configuration names the controllers that it named then.
    SetController(orders::SetController),
    /// Dial no controller any more
    ///
    /// All flows go; a switch in standalone fail mode begins again with priority=0,actions=NORMAL.
    DelController(orders::At),
    /// Whom a bridge dials
    GetController(orders::At),
    /// What a bridge does while no controller is connected, from now on
    ///
    /// Where no controller is configured all flows go; standalone begins again with priority=0,actions=NORMAL. With
    /// `switchd --state` it is kept over a restart, as long as the configuration has the mode that it had then.
    SetFailMode(orders::SetFailMode),
    /// What a bridge does while no controller is connected
    GetFailMode(orders::At),
    /// Write what `switchd --state` keeps, now
    SaveState(orders::At),
    /// Log more or less from now on
    SetLog(orders::SetLog),
}
