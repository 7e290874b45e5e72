//! `pipeline`: rules and frames of anyone's choice through the switch's own workers.

use crate::input::{Kind, Placed, read_frames, read_rules};
use crate::rig::{Order, Outcome, Phase, Setup, Until, Variant, idle, run as measure};
use crate::scenario::{Made, Scenario, make};
use crate::stats::{Spread, round};
use anyhow::{Context as _, bail};
use clap::Args;
use datapath::engine::{CACHE_ENTRIES, Rehearsal};
use ofproto::Version;
use ofproto::ids::PortNo;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub struct PipelineArgs {
    /// Rules, one a line, in the flow syntax; lines may begin with `flow`, `group` or `meter`
    #[arg(long, value_name = "FILE")]
    flows: Option<PathBuf>,
    /// A built-in scenario instead of --flows and --frames
    #[arg(long, conflicts_with_all = ["flows", "frames"])]
    scenario: Option<Scenario>,
    /// How many flows the scenario's frames are of
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = packets_of)]
    packets_of: usize,
    /// Write the scenario's rules and frames into this directory, and measure nothing
    #[arg(long, value_name = "DIR", requires = "scenario")]
    write: Option<PathBuf>,
    /// Groups, carried out before the flows
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// Meters, carried out before the flows
    #[arg(long, value_name = "FILE")]
    meters: Option<PathBuf>,
    /// Frames of --frame-size bytes one after the other, or a capture (pcap)
    #[arg(long, value_name = "FILE")]
    frames: Option<PathBuf>,
    /// Bytes of a frame in a file that is no capture
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    frame_size: usize,
    /// The protocol version whose meaning the rules have
    #[arg(short = 'O', long, value_name = "VERSION", default_value = "1.3", value_parser = version)]
    of_version: Version,
    /// The port that frames come from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=0xffff_feff))]
    in_port: u32,
    /// Ports beside 1, 2, the one that frames come from and those that rules send to, all of which are there
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=0xffff_feff))]
    ports: Vec<u32>,
    /// In which order frames come; the file's unless told, a scenario's at random
    #[arg(long, value_enum)]
    order: Option<Order>,
    /// The same as --order shuffle
    #[arg(long, conflicts_with = "order")]
    shuffle: bool,
    #[command(flatten)]
    how: How,
    /// Entries of each worker's cache; 0: none
    #[arg(long, value_name = "N")]
    cache: Option<usize>,
    /// Exactly so many frames per worker in each run, after as many to warm up, instead of seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Leave out the runs that tell parsing, the cache and the rest apart (four times as long with them)
    #[arg(long)]
    no_stages: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What all measurements of the pipeline have in common.
#[derive(Args, Clone, Debug)]
pub struct How {
    /// Worker threads, each with its part of the frames
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub workers: u16,
    /// Give every worker all the frames
    #[arg(long)]
    pub same_frames: bool,
    /// Seconds of each run
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = seconds)]
    pub seconds: f64,
    /// Runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// Frames of a burst
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub burst: u16,
}

fn version(s: &str) -> Result<Version, String> {
    Version::parse(s).ok_or_else(|| "expected 1.0 … 1.5".into())
}

/// A number of seconds.
pub fn seconds(s: &str) -> Result<f64, String> {
    match s.parse() {
        Ok(n) if (0.001..=3600.0).contains(&n) => Ok(n),
        _ => Err("expected a number of seconds from 0.001 to 3600".into()),
    }
}

/// `pipeline`
pub fn run(args: &PipelineArgs) -> anyhow::Result<()> {
    warn_of_debug();
    let mut rules: Vec<Placed> = Vec::new();
    for (path, kind) in [(&args.meters, Kind::Meter), (&args.groups, Kind::Group), (&args.flows, Kind::Flow)] {
        if let Some(path) = path {
            rules.extend(read_rules(path, kind, args.of_version)?);
        }
    }
    let mut setup = match (args.scenario, &args.flows, &args.frames) {
        (Some(scenario), ..) => {
            let made = make(scenario, args.packets_of);
            if let Some(dir) = &args.write {
                return write(dir, scenario, args.packets_of, &made);
            }
            rules.extend(made.rules()?);
            let mut setup = Setup::new(rules, made.frames);
            setup.teach = Arc::new(made.teach);
            setup
        }
        (None, Some(_), Some(frames)) => Setup::new(rules, read_frames(frames, args.frame_size)?),
        _ => bail!("--scenario, or --flows and --frames, say what to measure"),
    };
    setup.version = args.of_version;
    setup.in_port = PortNo(args.in_port);
    setup.ports.extend(args.ports.iter().map(|n| PortNo(*n)));
    let usual = if args.scenario.is_some() { Order::Random } else { Order::File };
    setup.order = if args.shuffle { Order::Shuffle } else { args.order.unwrap_or(usual) };
    let report = report(&mut setup, &args.how, args.cache, args.count, !args.no_stages)?;
    if args.json {
        println!("{:#}", report.json())
    } else {
        println!("{report}")
    }
    Ok(())
}

/// Writes a scenario for other switches: rules, frames, and what is to be taught before.
fn write(dir: &Path, scenario: Scenario, flows: usize, made: &Made) -> anyhow::Result<()> {
    let put = |name: String, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let name = scenario.name();
    put(format!("{name}.flows"), made.text.as_bytes())?;
    put(format!("{name}-{flows}.frames"), made.frames.bytes())?;
    for (port, frames) in &made.teach {
        put(format!("{name}-teach-port{port}.frames"), frames.bytes())?;
    }
    Ok(())
}

fn packets_of(s: &str) -> Result<usize, String> {
    match s.parse() {
        Ok(n) if (1..=10_000_000).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 10000000".into()),
    }
}

/// Says so when figures mean little.
pub fn warn_of_debug() {
    if cfg!(debug_assertions) {
        eprintln!("ofbench: this is a debug build; its figures mean little");
    }
}

/// The phases of a plain measurement: warming up, during which each frame comes a few times, then the runs.
pub fn phases(how: &How, count: Option<u64>, frames: usize) -> Vec<Phase> {
    let runs = u32::from(how.runs);
    match count {
        Some(n) => vec![
            Phase::plain(Until::Frames(n), 1),
            Phase::plain(Until::Frames(n.saturating_mul(u64::from(runs))), runs),
        ],
        None => vec![
            Phase::plain(
                Until::Both(Duration::from_secs_f64(how.seconds.max(0.2)), 20_000.max(4 * frames as u64).min(400_000)),
                1,
            ),
            Phase::plain(Until::Time(Duration::from_secs_f64(how.seconds * f64::from(runs))), runs),
        ],
    }
}

/// Nanoseconds of an engine that does less than the switch's.
struct Parts {
    /// Sends frames on as they are.
    ports: f64,
    /// Makes their keys before.
    keys: f64,
    /// Asks the cache, too.
    cache: f64,
}

/// Everything about one set of rules and frames.
pub struct Report {
    outcome: Outcome,
    frames: usize,
    how: How,
    /// The stages of the engine's work.
    parts: Option<Parts>,
    /// Nanoseconds of the engine's work without a cache.
    walked: Option<f64>,
}

/// The median over slices of what the engine does with a frame, in nanoseconds.
fn engine_ns(outcome: &Outcome) -> f64 {
    Spread::of(outcome.phase(1).map(|s| s.stage_ns()[1])).median
}

/// Measures.
///
/// # Errors
/// As [`measure`].
pub fn report(
    setup: &mut Setup,
    how: &How,
    cache: Option<usize>,
    count: Option<u64>,
    stages: bool,
) -> anyhow::Result<Report> {
    setup.workers = usize::from(how.workers);
    setup.same_frames = how.same_frames;
    setup.burst = usize::from(how.burst);
    setup.phases = phases(how, count, setup.frames.len());
    setup.variant = cache.map_or(Variant::Switch, Variant::Cache);
    let outcome = measure(setup, &mut idle)?;
    let (mut parts, mut walked) = (None, None);
    if stages {
        let of = |variant| {
            let s = Setup { variant, workers: 1, same_frames: true, ..setup.clone() };
            measure(&s, &mut idle).map(|o| engine_ns(&o))
        };
        let entries = cache.unwrap_or(CACHE_ENTRIES);
        parts = Some(Parts {
            ports: of(Variant::Ports)?,
            keys: of(Variant::Only(Rehearsal::Keys, entries))?,
            cache: of(Variant::Only(Rehearsal::Cache, entries))?,
        });
        if cache != Some(0) {
            walked = Some(of(Variant::Cache(0))?);
        }
    }
    Ok(Report { outcome, frames: setup.frames.len(), how: how.clone(), parts, walked })
}

impl Report {
    /// Million packets a second of CPU time without the feeding of frames, summed over workers.
    pub fn mpps(&self) -> Spread {
        self.outcome.summed(1, |s| s.mpps())
    }

    /// Name and nanoseconds of each stage.
    fn stages(&self) -> Vec<(&'static str, f64)> {
        let median = |i: usize| Spread::of(self.outcome.phase(1).map(|s| s.stage_ns()[i])).median;
        let mut all = vec![("receive", median(0))];
        match &self.parts {
            Some(p) => {
                // Differences between runs: what they vary by must not make a stage negative.
                let parse = (p.keys - p.ports).clamp(0.0, median(1));
                let cache = (p.cache - p.keys).clamp(0.0, median(1) - parse);
                all.push(("parse", parse));
                all.push(("cache", cache));
                all.push(("tables, actions", median(1) - parse - cache));
            }
            None => all.push(("parse, cache, tables, actions", median(1))),
        }
        all.push(("transmit, worker's round", median(2)));
        all
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let o = &self.outcome;
        let cache = o.cache(1);
        let probes = cache.packets();
        let hertz = Spread::of(o.phase(1).map(|s| s.hertz)).median;
        let stages: serde_json::Map<String, Value> =
            self.stages().into_iter().map(|(n, ns)| (n.into(), json!(round(ns)))).collect();
        json!({
            "frames": self.frames,
            "workers": self.how.workers,
            "seconds": self.how.seconds,
            "mpps": self.mpps().json(),
            "mpps_with_receive": o.summed(1, |s| 1e3 / s.ns()).json(),
            "mpps_by_wall_clock": o.summed(1, |s| s.frames as f64 * 1e-6 / s.wall).json(),
            "ns": Spread::of(o.phase(1).map(|s| s.pipeline_ns())).json(),
            "cycles": Spread::of(o.phase(1).map(|s| s.pipeline_ns() * 1e-9 * s.hertz)).json(),
            "tsc_hertz": round(hertz),
            "stages_ns": stages,
            "engine_ns": round(engine_ns(o)),
            "engine_ns_without_cache": self.walked.map(round),
            "cache": {
                "hits": cache.hits, "misses": cache.misses, "stale": cache.stale,
                "inserts": cache.inserts, "bypassed": cache.bypassed,
                "hit_rate": if probes > 0 { json!(cache.hits as f64 / probes as f64) } else { Value::Null },
            },
            "loading_seconds": round(o.loading),
            "counts": {
                "received": o.received,
                "sent": o.sent,
                "dropped": o.drops,
                "packet_ins": o.packet_ins,
                "tables": o.tables.iter().map(|(t, (l, m))| {
                    (t.to_string(), json!({ "lookups": l, "matched": m }))
                }).collect::<serde_json::Map<_, _>>(),
            },
        })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let o = &self.outcome;
        let hertz = Spread::of(o.phase(1).map(|s| s.hertz)).median;
        writeln!(
            f,
            "{} frames, {} worker{}, {} runs of {} s: medians (least-most), by the threads' CPU time",
            self.frames,
            self.how.workers,
            if self.how.workers == 1 { "" } else { "s" },
            self.how.runs,
            self.how.seconds
        )?;
        writeln!(f, "rate              {} Mpps, without feeding frames", self.mpps())?;
        writeln!(f, "  with receiving  {} Mpps", o.summed(1, |s| 1e3 / s.ns()))?;
        writeln!(f, "  by the clock    {} Mpps", o.summed(1, |s| s.frames as f64 * 1e-6 / s.wall))?;
        let ns = Spread::of(o.phase(1).map(|s| s.pipeline_ns()));
        writeln!(f, "per packet        {ns} ns, {:.0} cycles at {:.2} GHz", ns.median * hertz * 1e-9, hertz * 1e-9)?;
        for (name, ns) in self.stages() {
            writeln!(f, "  {name:<30} {ns:>8.2} ns {:>8.0} cycles", ns * hertz * 1e-9)?;
        }
        if let Some(walked) = self.walked {
            writeln!(f, "without a cache   {walked:.2} ns in the engine, {:.2} with", engine_ns(o))?;
        }
        let cache = o.cache(1);
        let probes = cache.packets().max(1);
        let percent = |n: u64| 100.0 * n as f64 / probes as f64;
        writeln!(
            f,
            "cache             {:.2} % hits, {:.2} % misses, {:.2} % stale, {:.2} % past it",
            percent(cache.hits),
            percent(cache.misses),
            percent(cache.stale),
            percent(cache.bypassed)
        )?;
        let list = |m: &mut dyn Iterator<Item = (String, u64)>| {
            let all: Vec<String> = m.map(|(k, n)| format!("{k}: {n}")).collect();
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        };
        writeln!(f, "received          {}", o.received)?;
        writeln!(f, "sent by port      {}", list(&mut o.sent.iter().map(|(k, n)| (k.to_string(), *n))))?;
        writeln!(f, "dropped           {}", list(&mut o.drops.iter().map(|(k, n)| ((*k).to_owned(), *n))))?;
        write!(f, "to controllers    {}", o.packet_ins)
    }
}
