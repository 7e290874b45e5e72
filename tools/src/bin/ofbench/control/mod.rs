//! `control`: what a controller gets out of switchd and Open vSwitch, in turns.
//!
//! Each round makes a fresh network (two hosts, one switch) for each switch; the switch dials this
//! program, which speaks OpenFlow 1.3 through [`ofproto`]. Requests are encoded before the clock starts
//! and answers are read as headers, so that the switch is what takes the time. Rounds are interleaved.

mod churn;
mod flows;
mod packets;

use crate::client::{self, Client};
use crate::net::Process;
use crate::peers::{Common, Network, OVS_PROGRAMS, Programs, start_ovs, text};
use crate::report::{self, Figure};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

#[derive(Args)]
pub struct ControlArgs {
    /// Rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Only these measurements
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Only these switches
    #[arg(long, value_delimiter = ',')]
    through: Vec<Peer>,
    /// Flow entries of the measurements of tables
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    flows: u32,
    /// Flow entries of the measurement of a large table
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    large: u32,
    /// Rounds that measure a large table, at most
    #[arg(long, value_name = "N", default_value_t = 5)]
    large_runs: u16,
    #[command(flatten)]
    common: Common,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Echo, barrier, add with barrier, one at a time
    Latency,
    /// Adding, changing, dumping, deleting flow entries; bundles
    Flows,
    /// A large table: adding, memory, dumping, deleting
    Large,
    /// Packet-ins, packet-outs, both in a loop
    Packets,
    /// From a flow-mod to the first packet that it forwards
    Effect,
    /// Frames lost while 100,000 flow-mods a second are carried out
    Churn,
}

/// Which switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// This project's switch
    Switchd,
    /// Open vSwitch's userspace datapath
    Ovs,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Switchd => "switchd",
            Self::Ovs => "OVS userspace",
        }
    }
}

const fn more(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure { key, title, unit, more: true }
}

const fn less(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure { key, title, unit, more: false }
}

const FIGURES: [Figure; 32] = [
    less("echo", "echo, median", "µs"),
    less("barrier", "barrier, median", "µs"),
    less("add_barrier", "add and barrier, median", "µs"),
    less("add_barrier_p99", "add and barrier, 99%", "µs"),
    more("bundle", "adds in one bundle", "k/s"),
    more("add", "adds", "k/s"),
    more("modify_strict", "strict modifies", "k/s"),
    less("dump", "dump", "ms"),
    less("modify", "one modify of all", "ms"),
    more("delete_strict", "strict deletes", "k/s"),
    less("delete", "one delete of all", "ms"),
    more("large_add", "adds, large table", "k/s"),
    less("large_add_cpu", "processor time of an add", "µs"),
    less("large_memory", "memory of a flow", "bytes"),
    less("large_dump", "dump, large table", "ms"),
    less("large_delete", "delete of all, large table", "ms"),
    less("large_left", "memory left after the delete", "MB"),
    more("pin", "packet-ins", "k/s"),
    less("pin_cpu", "processor time of a packet-in, drops included", "µs"),
    less("pin_latency", "frame to packet-in, median", "µs"),
    less("react", "frame, packet-in, packet-out, frame", "µs"),
    more("pout", "packet-outs that arrive", "k/s"),
    less("pout_cpu", "processor time of a packet-out", "µs"),
    less("pout_lost", "packet-outs lost", "%"),
    less("effect", "flow-mod to first frame, median", "µs"),
    less("effect_max", "flow-mod to first frame, most", "µs"),
    less("effect_barrier", "barrier's reply meanwhile, median", "µs"),
    less("stale", "adds not in effect at the barrier", "%"),
    more("churn", "flow-mods of 100 k/s while forwarding", "k/s"),
    more("churn_frames", "frames sent meanwhile", "k/s"),
    less("churn_lost", "of them lost", "frames"),
    less("churn_late", "of them out of order", "frames"),
];

/// One measurement's figures.
type Samples = Vec<(&'static str, f64)>;

/// `control`
pub fn run(args: &ControlArgs) -> anyhow::Result<()> {
    let programs = args.common.programs()?;
    let all = [Peer::Switchd, Peer::Ovs];
    let peers = programs.peers(&args.through, &all, all, &OVS_PROGRAMS)?;
    let measures: Vec<Measure> =
        if args.only.is_empty() { Measure::value_variants().to_vec() } else { args.only.clone() };
    let mut samples: Vec<Samples> = vec![Vec::new(); peers.len()];
    for round in 1..=args.runs {
        for m in measures.iter().filter(|m| **m != Measure::Large || round <= args.large_runs) {
            for (peer, out) in peers.iter().zip(&mut samples) {
                eprintln!("ofbench: round {round} of {}: {m:?} of {}", args.runs, peer.name());
                let mut lab = Lab::new(*peer, &programs).with_context(|| peer.name().to_owned())?;
                let got = match m {
                    Measure::Latency => flows::latency(&mut lab),
                    Measure::Flows => flows::flows(&mut lab, args.flows),
                    Measure::Large => flows::large(&mut lab, args.large),
                    Measure::Packets => packets::packets(&mut lab),
                    Measure::Effect => packets::effect(&mut lab),
                    Measure::Churn => churn::churn(&mut lab),
                };
                out.extend(got.with_context(|| format!("{m:?} of {}", peer.name()))?);
            }
        }
    }
    let names: Vec<&str> = peers.iter().map(|p| p.name()).collect();
    if args.common.json {
        let results = report::summary(&FIGURES, &names, &samples);
        println!("{:#}", json!({ "runs": args.runs, "flows": args.flows, "large": args.large, "results": results }));
    } else {
        println!("{}", report::table(&FIGURES, &names, &samples));
        println!("tables of {} and {} flow entries of five fields", args.flows, args.large);
        if peers.len() > 1 {
            println!("x: how many times as good {} is; above 1 it is better", names[0]);
        }
    }
    Ok(())
}

/// A network with a switch in it. What is dropped first is declared first.
struct Lab {
    client: Client,
    switch: Vec<Process>,
    net: Network,
    bench: String,
}

impl Lab {
    fn new(peer: Peer, programs: &Programs) -> anyhow::Result<Self> {
        let net = Network::new()?;
        for host in [&net.h1, &net.h2] {
            host.ip("link set eth0 up")?;
        }
        let listener = client::listen(&net.sw)?;
        let target = format!("tcp:{}", client::CONTROLLER);
        let switch = match peer {
            Peer::Switchd => {
                let words = ["--port", "1=s1", "--port", "2=s2", "--fail-mode", "secure", "--controller", &target];
                // Open vSwitch limits neither rate nor burst by default.
                let rest = ["--protocol", "1.3", "--packet-in-rate", "0", "--management", "none", "--log", "error"];
                let all: Vec<&str> = [text(&programs.switchd)?].into_iter().chain(words).chain(rest).collect();
                vec![net.sw.spawn(&all, &[])?]
            }
            Peer::Ovs => start_ovs(&net.sw, &net.dir.0, Some(&target))?,
        };
        let client = Client::accept(&listener)?;
        Ok(Self { client, switch, net, bench: text(&programs.bench)?.to_owned() })
    }

    /// The switch's resident memory in bytes.
    fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024.0)
    }

    /// The processor time that the switch's threads have used, in seconds.
    fn processor(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            // A thread that has ended meanwhile has none to tell.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let ns: f64 = stat.split_whitespace().next().unwrap_or("0").parse()?;
            total += ns / 1e9;
        }
        Ok(total)
    }

    fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.switch.first().context("no switch")?.id())
    }
}

/// Sorted, and where a part of them lies, in microseconds.
fn quantile_us(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    crate::echo::quantile(times, part) * 1e6
}
