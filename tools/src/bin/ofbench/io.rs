//! `io`: the same measurements through switchd and its peers, in turns.
//!
//! For each measurement round a fresh network: two hosts' namespaces and one for the switch, joined by
//! veth pairs with the kernel's default offloads. The OpenFlow switches have two flow entries (one port
//! to the other and back). Rounds are interleaved (switchd, bridge, OVS, switchd, …), so that a change
//! of the machine's mood meets all of them.

use crate::net::{Namespace, Process, output};
use crate::peers::{Common, Network, OVS_BRIDGE, OVS_PROGRAMS, Programs, start_ovs, text};
use crate::pipeline::seconds;
use crate::plot::Plot;
use crate::report::{self, Figure};
use crate::stats::Spread;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct IoArgs {
    /// Rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Seconds of each throughput measurement
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Only these measurements
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Only through these switches; switchd, bridge and ovs unless given
    #[arg(long, value_delimiter = ',')]
    through: Vec<Peer>,
    /// Draw the round trips' distribution into latency.svg in this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// TCP, one stream, Gb/s
    Tcp1,
    /// TCP, four streams, Gb/s
    Tcp4,
    /// 64-byte frames, Mpps
    Pps,
    /// 64-byte frames, the most of which no more than 2 in 1,000 are lost, Mpps
    LossFree,
    /// Round trips of a small UDP datagram, µs
    Latency,
}

/// Through what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// This project's switch
    Switchd,
    /// The same, two workers on each port
    SwitchdWorkers,
    /// The same, with AF_XDP ports
    SwitchdXdp,
    /// The kernel's bridge
    Bridge,
    /// Open vSwitch's userspace datapath
    Ovs,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Switchd => "switchd",
            Self::SwitchdWorkers => "2 workers/port",
            Self::SwitchdXdp => "AF_XDP",
            Self::Bridge => "Linux bridge",
            Self::Ovs => "OVS userspace",
        }
    }

    /// What follows an interface's name in `--port`, if it is this project's switch.
    fn port_options(self) -> Option<&'static str> {
        match self {
            Self::Switchd => Some(""),
            Self::SwitchdWorkers => Some(",workers=2"),
            Self::SwitchdXdp => Some(",type=af_xdp"),
            Self::Bridge | Self::Ovs => None,
        }
    }
}

const FIGURES: [Figure; 6] = [
    Figure { key: "tcp1", title: "TCP, 1 stream", unit: "Gb/s", more: true },
    Figure { key: "tcp4", title: "TCP, 4 streams", unit: "Gb/s", more: true },
    Figure { key: "pps", title: "64-byte frames", unit: "Mpps", more: true },
    Figure { key: "loss_free", title: "64-byte frames without loss", unit: "Mpps", more: true },
    Figure { key: "p50", title: "round trip, median", unit: "µs", more: false },
    Figure { key: "p99", title: "round trip, 99%", unit: "µs", more: false },
];

const IP: [&str; 2] = ["10.99.0.1", "10.99.0.2"];
const MAC: [&str; 2] = ["02:99:00:00:00:01", "02:99:00:00:00:02"];
/// Behind port 2, but not the host's own: the frames end early in its stack.
const SINK: &str = "02:99:00:00:02:99";

/// The most frames a second that are offered in the search for the rate without loss.
const MOST_OFFERED: u64 = 2_000_000;
/// What part may be lost.
const LOSS: f64 = 0.002;
/// The longest that a rate is tried, in seconds.
const TRIAL: f64 = 1.0;

/// Figures by their keys.
type Figures = Vec<(&'static str, f64)>;

/// The OpenFlow switches' entries.
const FLOWS: [&str; 2] = ["in_port=1,actions=output:2", "in_port=2,actions=output:1"];

fn names(peers: &[Peer]) -> Vec<&'static str> {
    peers.iter().map(|p| p.name()).collect()
}

/// `io`
pub fn run(args: &IoArgs) -> anyhow::Result<()> {
    let programs = args.common.programs()?;
    let all = [Peer::Switchd, Peer::Bridge, Peer::Ovs];
    let needed: Vec<&str> = OVS_PROGRAMS.into_iter().chain(["ovs-ofctl"]).collect();
    let peers = programs.peers(&args.through, &all, [Peer::Switchd, Peer::Ovs], &needed)?;
    let measures: Vec<Measure> =
        if args.only.is_empty() { Measure::value_variants().to_vec() } else { args.only.clone() };
    let mut samples: Vec<Figures> = vec![Vec::new(); peers.len()];
    let mut round_trips: Vec<Vec<(f64, f64)>> = vec![Vec::new(); peers.len()];
    for round in 1..=args.runs {
        for ((peer, out), all) in peers.iter().zip(&mut samples).zip(&mut round_trips) {
            eprintln!("ofbench: round {round} of {}: {}", args.runs, peer.name());
            let lab = Lab::new(*peer, &programs).with_context(|| peer.name().to_owned())?;
            for m in &measures {
                if *m == Measure::Latency {
                    let (got, shares) = lab.round_trips().with_context(|| format!("through {}", peer.name()))?;
                    out.extend(got);
                    all.extend(shares);
                    continue;
                }
                let got = lab.measure(*m, args.seconds).with_context(|| format!("{m:?} through {}", peer.name()))?;
                out.extend(got);
            }
        }
    }
    let names = names(&peers);
    if let Some(dir) = &args.svg {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join("latency.svg");
        std::fs::write(&path, distribution(&names, &round_trips).svg())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.common.json {
        println!(
            "{:#}",
            json!({ "runs": args.runs, "seconds": args.seconds, "results": report::summary(&FIGURES, &names, &samples) })
        );
    } else {
        println!("{}", report::table(&FIGURES, &names, &samples));
        if peers.len() > 1 {
            println!("x: how many times as good {} is; above 1 it is better", names[0]);
        }
    }
    Ok(())
}

/// A network with a switch in it. What is dropped first is declared first.
struct Lab {
    _switch: Vec<Process>,
    net: Network,
    bench: String,
}

impl Lab {
    fn new(peer: Peer, programs: &Programs) -> anyhow::Result<Self> {
        let net = Network::new()?;
        for (i, host) in [&net.h1, &net.h2].into_iter().enumerate() {
            host.ip(&format!("link set eth0 address {}", MAC[i]))?;
            host.ip("link set eth0 up")?;
            host.ip(&format!("addr add {}/24 dev eth0", IP[i]))?;
            host.ip(&format!("neigh replace {} lladdr {} dev eth0 nud permanent", IP[1 - i], MAC[1 - i]))?;
        }
        let (sw, dir) = (&net.sw, &net.dir.0);
        let switch = match peer {
            Peer::Bridge => {
                sw.ip("link add br0 type bridge")?;
                sw.ip("link set br0 up")?;
                sw.ip("link set s1 master br0")?;
                sw.ip("link set s2 master br0")?;
                Vec::new()
            }
            Peer::Switchd | Peer::SwitchdWorkers | Peer::SwitchdXdp => {
                start_switchd(sw, dir, programs, peer.port_options().unwrap_or_default())?
            }
            Peer::Ovs => {
                let processes = start_ovs(sw, dir, None)?;
                let target = format!("unix:{}", dir.join(OVS_BRIDGE).display());
                for flow in FLOWS {
                    output(&["ovs-ofctl", "-O", "OpenFlow13", "add-flow", &target, flow])?;
                }
                processes
            }
        };
        let lab = Self { _switch: switch, net, bench: text(&programs.bench)?.to_owned() };
        // A learning switch must know where the sink is.
        lab.net.h2.run(&[&lab.bench, "flood", "eth0", "--src", SINK, "--dst", MAC[0], "--count", "1"])?;
        lab.net
            .h1
            .run(&["ping", "-q", "-c", "3", "-i", "0.1", "-W", "2", IP[1]])
            .context("the hosts don't reach each other")?;
        Ok(lab)
    }

    fn bench_json(&self, words: &[&str]) -> anyhow::Result<Value> {
        let all: Vec<&str> = [self.bench.as_str()].into_iter().chain(words.iter().copied()).collect();
        Ok(serde_json::from_str(&self.net.h1.run(&all)?)?)
    }

    fn measure(&self, m: Measure, seconds: f64) -> anyhow::Result<Figures> {
        let time = seconds.to_string();
        match m {
            Measure::Tcp1 | Measure::Tcp4 => {
                let (key, streams) = if m == Measure::Tcp1 { ("tcp1", "1") } else { ("tcp4", "4") };
                let server = format!("{}:5001", IP[1]);
                let _sink = self.net.h2.spawn(&[&self.bench, "tcp-server", &server], &[])?;
                sleep(Duration::from_millis(200));
                let got =
                    self.bench_json(&["tcp-client", &server, "--seconds", &time, "--streams", streams, "--json"])?;
                Ok(vec![(key, number(&got, "gbps")?)])
            }
            Measure::Pps => {
                let longer = (seconds + 0.6).to_string();
                let words = [&self.bench, "flood", "eth0", "--src", MAC[0], "--dst", SINK, "--seconds", &longer];
                let _source = self.net.h1.spawn(&words, &[])?;
                sleep(Duration::from_millis(300));
                let (before, start) = (self.net.h2.received("eth0")?, Instant::now());
                sleep(Duration::from_secs_f64(seconds));
                let (after, time) = (self.net.h2.received("eth0")?, start.elapsed());
                Ok(vec![("pps", after.saturating_sub(before) as f64 / time.as_secs_f64() / 1e6)])
            }
            Measure::LossFree => {
                let rate = most_without_loss(|rate| self.lost(rate, seconds.min(TRIAL)))?;
                Ok(vec![("loss_free", rate as f64 / 1e6)])
            }
            Measure::Latency => Ok(self.round_trips()?.0),
        }
    }

    /// The figures of small datagrams' round trips, and how they are distributed.
    fn round_trips(&self) -> anyhow::Result<(Figures, Vec<(f64, f64)>)> {
        let server = format!("{}:5002", IP[1]);
        let _echo = self.net.h2.spawn(&[&self.bench, "echo-server", &server], &[])?;
        sleep(Duration::from_millis(200));
        let got = self.bench_json(&["echo-client", &server, "--count", "5000", "--json"])?;
        let pair = |v: &Value| Some((v.get(0)?.as_f64()?, v.get(1)?.as_f64()?));
        let shares = got.get("distribution").and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect();
        Ok((vec![("p50", number(&got, "p50_us")?), ("p99", number(&got, "p99_us")?)], shares))
    }

    /// What part of 64-byte frames is lost at this rate; `None` if the sender doesn't reach it.
    fn lost(&self, rate: u64, seconds: f64) -> anyhow::Result<Option<f64>> {
        let (rate_text, time) = (rate.to_string(), seconds.to_string());
        let before = self.net.h2.received("eth0")?;
        let words = ["flood", "eth0", "--src", MAC[0], "--dst", SINK, "--seconds", &time, "--rate", &rate_text];
        let sent = number(&self.bench_json(&words)?, "sent")?;
        sleep(Duration::from_millis(200));
        let received = self.net.h2.received("eth0")?.saturating_sub(before) as f64;
        Ok((sent >= 0.95 * rate as f64 * seconds).then(|| (1.0 - received / sent.max(1.0)).max(0.0)))
    }
}

/// The highest rate of which no more than [`LOSS`] is lost, by halving. `lost` gives the part that is lost at a rate,
/// or `None` where it can't be offered.
fn most_without_loss(mut lost: impl FnMut(u64) -> anyhow::Result<Option<f64>>) -> anyhow::Result<u64> {
    let (mut low, mut high) = (0, MOST_OFFERED);
    while high - low > MOST_OFFERED / 128 {
        let rate = low.midpoint(high);
        match lost(rate)? {
            Some(part) if part <= LOSS => low = rate,
            _ => high = rate,
        }
    }
    Ok(low)
}

/// The round trips of all rounds: how many of them took how long.
fn distribution(names: &[&str], round_trips: &[Vec<(f64, f64)>]) -> Plot {
    let line = |all: &Vec<(f64, f64)>| {
        let mut rounds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (percent, time) in all {
            rounds.entry((percent * 10.0) as u64).or_default().push(*time);
        }
        rounds.into_iter().map(|(tenths, times)| (Spread::of(times).median, tenths as f64 / 10.0)).collect()
    };
    Plot {
        title: "Round trips of a small UDP datagram".into(),
        x: "within so many µs (medians of the rounds)".into(),
        y: "% of them".into(),
        log_x: true,
        lines: names.iter().zip(round_trips).map(|(name, all)| ((*name).to_owned(), line(all))).collect(),
        ..Plot::default()
    }
}

fn number(v: &Value, key: &str) -> anyhow::Result<f64> {
    v.get(key).and_then(Value::as_f64).with_context(|| format!("no `{key}` in {v}"))
}

fn start_switchd(sw: &Namespace, dir: &Path, programs: &Programs, options: &str) -> anyhow::Result<Vec<Process>> {
    let socket = dir.join("of.sock");
    let ports = [format!("1=s1{options}"), format!("2=s2{options}")];
    let listen = format!("punix:{}", socket.display());
    let words = [
        text(&programs.switchd)?,
        "--port",
        &ports[0],
        "--port",
        &ports[1],
        "--fail-mode",
        "secure",
        "--listen",
        &listen,
        "--management",
        "none",
        "--log",
        "error",
    ];
    let mut switchd = sw.spawn(&words, &[])?;
    switchd.until("switchd", || socket.exists())?;
    let target = format!("unix:{}", socket.display());
    for flow in FLOWS {
        output(&[text(&programs.ofctl)?, "add-flow", &target, flow])?;
    }
    Ok(vec![switchd])
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn the_rate_without_loss_is_found_by_halving() {
        let within = |found: u64, wanted: u64| found <= wanted && wanted - found <= MOST_OFFERED / 128;
        assert!(within(most_without_loss(|r| Ok(Some(if r <= 300_000 { 0.002 } else { 0.0021 }))).unwrap(), 300_000));
        // What can't be offered isn't passed.
        assert!(within(most_without_loss(|r| Ok((r <= 700_000).then_some(0.0))).unwrap(), 700_000));
        assert_eq!(most_without_loss(|_| Ok(Some(1.0))).unwrap(), 0);
        assert!(most_without_loss(|_| bail!("no")).is_err());
    }

    #[test]
    fn a_distribution_is_the_median_of_the_rounds() {
        let plot = distribution(&["one"], &[vec![(50.0, 10.0), (99.9, 90.0), (50.0, 30.0), (99.9, 70.0)]]);
        assert_eq!(plot.lines, [("one".to_owned(), vec![(20.0, 50.0), (80.0, 99.9)])]);
    }

    #[test]
    fn the_table_has_the_figures_that_were_measured() {
        let samples = [vec![("pps", 2.0), ("pps", 1.0), ("pps", 1.2)], vec![("pps", 0.6)]];
        let names = names(&[Peer::Switchd, Peer::Ovs]);
        let text = report::table(&FIGURES, &names, &samples);
        let row = text.lines().find(|l| l.contains("64-byte")).expect("a row");
        assert!(row.contains("1.20 (1.00 to 2.00)") && row.contains("2.00x"), "{text}");
        assert!(!text.contains("TCP"), "{text}");
        let json = report::summary(&FIGURES, &names, &samples);
        assert_eq!(json["pps"]["OVS userspace"]["first_is_better_by"], 2.0);
    }
}
