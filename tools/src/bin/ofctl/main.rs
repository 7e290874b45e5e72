//! Asks and steers OpenFlow switches, and reads OpenFlow messages.
//!
//! Exit status: 0 when all was done, 1 when the switch refused or could not be reached, 2 when the
//! command line or a flow's text is wrong.
#![forbid(unsafe_code)]

mod connection;
mod decode;
mod dump;
mod management;
mod modify;
mod monitor;
mod show;
mod target;
mod text_input;
mod tlv;

use clap::{Args, Parser, Subcommand};
use connection::{Connection, Refused};
use ofproto::Version;
use ofproto::nx_message::TlvTableCommand;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use target::Target;
use text_input::SyntaxError;

const EXAMPLES: &str = "\
TARGET is unix:PATH or tcp:HOST[:PORT] (6653 unless given): where the switch listens.

Examples:
  ofctl show unix:/run/of.sock
  ofctl dump-flows tcp:10.0.0.1 table=0,ip
  ofctl add-flow tcp:10.0.0.1 'priority=100,tcp,tp_dst=80,actions=output:2'
  ofctl -O 1.3 monitor tcp:10.0.0.1
  ofctl decode capture.pcap
  ofctl trace br0 'in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80'";

/// Asks and steers OpenFlow switches of versions 1.0 to 1.5, and reads OpenFlow messages
#[derive(Parser)]
#[command(name = "ofctl", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args)]
struct Options {
    /// Versions to speak, comma-separated: 1.0 … 1.5 or OpenFlow10 … OpenFlow15; all unless given
    #[arg(short = 'O', long, global = true, value_name = "VERSIONS", value_delimiter = ',', value_parser = version)]
    protocol: Vec<Version>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print port names in flows
    #[arg(long, global = true)]
    names: bool,
    /// Seconds to wait for the switch
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    timeout: f64,
}

impl Options {
    fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    fn connect(&self, target: &Target) -> anyhow::Result<Connection> {
        let versions = if self.protocol.is_empty() { &Version::ALL[..] } else { &self.protocol };
        Connection::open(target, versions, self.wait())
    }
}

fn version(s: &str) -> Result<Version, String> {
    Version::parse(s).ok_or_else(|| "expected 1.0 … 1.5 or OpenFlow10 … OpenFlow15".into())
}

fn seconds(s: &str) -> Result<f64, String> {
    match s.parse() {
        Ok(n) if (0.001..=1e6).contains(&n) => Ok(n),
        _ => Err("expected a number of seconds".into()),
    }
}

#[derive(Subcommand)]
enum Command {
    /// The switch, its configuration and ports
    Show {
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
        /// One group
        group: Option<u32>,
    },
    /// Groups' counters
    DumpGroupStats {
        /// The switch
        target: Target,
        /// One group
        group: Option<u32>,
    },
    /// What groups can do
    DumpGroupFeatures {
        /// The switch
        target: Target,
    },
    /// Meters with their bands
    DumpMeters {
        /// The switch
        target: Target,
        /// One meter
        meter: Option<u32>,
    },
    /// Meters' counters
    MeterStats {
        /// The switch
        target: Target,
        /// One meter
        meter: Option<u32>,
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
        /// One port, by number or name
        port: Option<String>,
        /// One queue
        queue: Option<u32>,
    },
    /// Queues' configuration
    QueueGetConfig {
        /// The switch
        target: Target,
        /// One port, by number or name
        port: Option<String>,
    },
    /// Add a flow entry
    AddFlow {
        /// The switch
        target: Target,
        /// priority=100,ip,nw_dst=10.0.0.0/8,actions=output:2
        flow: String,
    },
    /// Add the flow entries of a file, one a line; lines may begin with add, modify, delete, …
    AddFlows {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
        /// All or none, as one bundle (1.4 and later; with the ONF extension 1.3)
        #[arg(long)]
        bundle: bool,
    },
    /// Change the actions of the flow entries that a match covers
    ModFlows {
        /// The switch
        target: Target,
        /// Match and actions
        flow: String,
        /// Only the entry with exactly this match and priority
        #[arg(long)]
        strict: bool,
    },
    /// Delete flow entries; all of them without FLOW
    DelFlows {
        /// The switch
        target: Target,
        /// What match they have: table=1,cookie=0x1/-1,out_port=2,ip,…
        #[arg(default_value = "")]
        flow: String,
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
        /// All or none, as one bundle (1.4 and later; with the ONF extension 1.3)
        #[arg(long)]
        bundle: bool,
    },
    /// Show how a file's flow entries (-) differ from the switch's (+); status 1 if they do
    DiffFlows {
        /// The switch
        target: Target,
        /// The file, - for standard input
        file: PathBuf,
    },
    /// Add a group
    AddGroup {
        /// The switch
        target: Target,
        /// group_id=1,type=select,bucket=output:1,bucket=output:2
        group: String,
    },
    /// Change a group
    ModGroup {
        /// The switch
        target: Target,
        /// As for add-group
        group: String,
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
    },
    /// Insert buckets into a group (1.5)
    InsertBuckets {
        /// The switch
        target: Target,
        /// group_id=1,command_bucket_id=last,bucket=output:3
        group: String,
    },
    /// Remove buckets from a group (1.5)
    RemoveBuckets {
        /// The switch
        target: Target,
        /// group_id=1,command_bucket_id=2
        group: String,
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
    /// Delete meters; all of them without METER
    DelMeter {
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
        change: modify::PortChange,
    },
    /// Configure a flow table
    ModTable {
        /// The switch
        target: Target,
        /// Number or `all`
        table: String,
        /// evict, noevict, vacancy:DOWN,UP or novacancy (1.4 and later); drop, continue or controller (1.1, 1.2)
        change: modify::TableChange,
    },
    /// Say which options of tunnels' headers the fields tun_metadata0 to tun_metadata63 stand for
    AddTlvMap {
        /// The switch
        target: Target,
        /// {class=0xffff,type=0,len=4}->tun_metadata0, several with commas
        maps: String,
    },
    /// Let fields stand for no option; none of them without MAPS
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
        /// in_port=CONTROLLER,packet=HEX,actions=output:2 - or the frame in hexadecimal, with --actions
        packet: String,
        /// What to do with a frame given alone
        #[arg(long, value_name = "ACTIONS")]
        actions: Option<String>,
        /// Where a frame given alone came in
        #[arg(long, value_name = "PORT", default_value = "CONTROLLER")]
        in_port: String,
    },
    /// Print what the switch reports: packet-ins, removed flows, port changes, …
    Monitor(monitor::MonitorArgs),
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
        /// How many
        #[arg(short, long, default_value_t = 5)]
        count: u32,
        /// Bytes in each
        #[arg(short, long, default_value_t = 64)]
        size: u16,
    },
    /// Ask for this connection's role, or for a change of it (1.2 and later)
    Role {
        /// The switch
        target: Target,
        /// equal, master or slave
        role: Option<modify::RoleName>,
        /// The election's generation
        #[arg(long, value_name = "N", default_value_t = 0)]
        generation: u64,
    },
    /// Print OpenFlow messages: bytes, hexadecimal text or a capture (pcap, pcapng)
    Decode(decode::DecodeArgs),
    /// What the pipeline does with a packet, step by step
    Trace(management::TraceArgs),
    /// A bridge in short
    Status(management::ManagementArgs),
    /// A bridge's controllers and listeners
    Connections(management::ManagementArgs),
    /// A bridge's counters, drops by reason among them
    Counters(management::ManagementArgs),
    /// The addresses that a bridge has learned for NORMAL and standalone mode, with their ages in seconds
    Learned(management::ManagementArgs),
    /// Let a bridge learn all addresses anew
    ForgetLearned(management::ManagementArgs),
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let o = &cli.options;
    let done = |r: anyhow::Result<()>| r.map(|()| ExitCode::SUCCESS);
    match &cli.command {
        Command::Show { target } => done(dump::switch(o, target)),
        Command::DumpFlows { target, filter } => done(dump::flows(o, target, filter)),
        Command::DumpAggregate { target, filter } => done(dump::aggregate(o, target, filter)),
        Command::DumpPorts { target, port } => done(dump::port_stats(o, target, port.as_deref())),
        Command::DumpPortsDesc { target } => done(dump::port_desc(o, target)),
        Command::DumpTables { target, all } => done(dump::tables(o, target, *all)),
        Command::DumpTableFeatures { target, table } => done(dump::table_features(o, target, *table)),
        Command::DumpTableDesc { target } => done(dump::table_desc(o, target)),
        Command::DumpGroups { target, group } => done(dump::groups(o, target, *group)),
        Command::DumpGroupStats { target, group } => done(dump::group_stats(o, target, *group)),
        Command::DumpGroupFeatures { target } => done(dump::group_features(o, target)),
        Command::DumpMeters { target, meter } => done(dump::meters(o, target, *meter)),
        Command::MeterStats { target, meter } => done(dump::meter_stats(o, target, *meter)),
        Command::MeterFeatures { target } => done(dump::meter_features(o, target)),
        Command::QueueStats { target, port, queue } => done(dump::queue_stats(o, target, port.as_deref(), *queue)),
        Command::QueueGetConfig { target, port } => done(dump::queue_config(o, target, port.as_deref())),
        Command::AddFlow { target, flow } => modify::flow(o, target, flow, modify::Flow::Add),
        Command::AddFlows { target, file, bundle } => modify::flow_file(o, target, file, *bundle),
        Command::ModFlows { target, flow, strict } => modify::flow(o, target, flow, modify::Flow::Modify(*strict)),
        Command::DelFlows { target, flow, strict } => modify::flow(o, target, flow, modify::Flow::Delete(*strict)),
        Command::ReplaceFlows { target, file, bundle } => modify::replace_flows(o, target, file, *bundle),
        Command::DiffFlows { target, file } => modify::diff_flows(o, target, file),
        Command::AddGroup { target, group } => modify::group(o, target, group, modify::Group::Add),
        Command::ModGroup { target, group, may_create } => {
            let how = if *may_create { modify::Group::AddOrModify } else { modify::Group::Modify };
            modify::group(o, target, group, how)
        }
        Command::DelGroups { target, group } => modify::group(o, target, group, modify::Group::Delete),
        Command::InsertBuckets { target, group } => modify::group(o, target, group, modify::Group::InsertBuckets),
        Command::RemoveBuckets { target, group } => modify::group(o, target, group, modify::Group::RemoveBuckets),
        Command::AddMeter { target, meter } => modify::meter(o, target, meter, modify::Meter::Add),
        Command::ModMeter { target, meter } => modify::meter(o, target, meter, modify::Meter::Modify),
        Command::DelMeter { target, meter } => modify::meter(o, target, meter, modify::Meter::Delete),
        Command::ModPort { target, port, change } => modify::port(o, target, port, *change),
        Command::ModTable { target, table, change } => modify::table(o, target, table, *change),
        Command::AddTlvMap { target, maps } => tlv::change(o, target, maps, TlvTableCommand::Add),
        Command::DelTlvMap { target, maps } if maps.trim().is_empty() => {
            tlv::change(o, target, maps, TlvTableCommand::Clear)
        }
        Command::DelTlvMap { target, maps } => tlv::change(o, target, maps, TlvTableCommand::Delete),
        Command::DumpTlvMap { target } => done(tlv::dump(o, target)),
        Command::PacketOut { target, packet, actions, in_port } => {
            modify::packet_out(o, target, packet, actions.as_deref(), in_port)
        }
        Command::Monitor(args) => done(monitor::run(o, args)),
        Command::Barrier { target } => done(modify::barrier(o, target)),
        Command::Probe { target } => done(modify::probe(o, target)),
        Command::Ping { target, count, size } => modify::ping(o, target, *count, *size),
        Command::Role { target, role, generation } => done(modify::role(o, target, *role, *generation)),
        Command::Decode(args) => decode::run(o, args),
        Command::Trace(args) => done(management::trace(o, args)),
        Command::Status(args) => done(management::status(o, args)),
        Command::Connections(args) => done(management::list(o, args, "connections")),
        Command::Counters(args) => done(management::counters(o, args)),
        Command::Learned(args) => done(management::list(o, args, "learned")),
        Command::ForgetLearned(args) => done(management::order(o, args, "forget-learned")),
    }
}

/// Prints to standard output; a reader that has gone (`| head`) ends the program quietly.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints JSON.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}"));
}

/// Reports what the switch refused and says the exit status.
pub fn report(refused: &[Refused]) -> ExitCode {
    for r in refused {
        eprintln!("ofctl: {r}");
    }
    if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(e) => {
            if let Some(syntax) = e.downcast_ref::<SyntaxError>() {
                eprintln!("ofctl: {syntax}");
                return ExitCode::from(2);
            }
            eprintln!("ofctl: {e:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
