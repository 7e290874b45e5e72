//! `table-c`: how the pipeline keeps up under attack and under flow-mods.

use super::{draw, new_table};
use crate::input::{Frames, Kind, parse_rules};
use crate::pipeline::{seconds, warn_of_debug};
use crate::plot::Plot;
use crate::rig::{Outcome, Pace, Phase, Setup, Until, run as measure};
use crate::scenario::{EXPLOSION_RULES, Scenario, explosion, make, random_packets, victims};
use crate::stats::{Spread, round};
use anyhow::bail;
use clap::Args;
use datapath::clock::Time;
use datapath::control::Control;
use ofproto::Version;
use ofproto::flow::{FlowMod, FlowModCommand};
use ofproto::ids::TableId;
use ofproto::instruction::Instruction;
use ofproto::matching::Match;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub struct TableCArgs {
    /// Only attacks whose names contain this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Runs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Seconds before, during and after each attack
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw each attack's time line into attack-N.svg in this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// What is done to the switch while it forwards.
struct Attack {
    name: &'static str,
    rules: fn() -> anyhow::Result<(Vec<crate::input::Placed>, Frames)>,
    frames: fn() -> Frames,
    /// With tuples that never came before.
    fresh: bool,
    pace: Pace,
    /// Flow-mods a second.
    mods: f64,
    goal: f64,
    ovs: Option<f64>,
}

fn three_fields() -> anyhow::Result<(Vec<crate::input::Placed>, Frames)> {
    let rules = parse_rules(EXPLOSION_RULES, Kind::Flow, Version::V13).map_err(|f| anyhow::anyhow!("{}", f.what))?;
    Ok((rules, victims(1000)))
}

fn access_list() -> anyhow::Result<(Vec<crate::input::Placed>, Frames)> {
    let made = make(Scenario::Acl10k, 1000);
    Ok((made.rules()?, made.frames))
}

fn routes() -> anyhow::Result<(Vec<crate::input::Placed>, Frames)> {
    let made = make(Scenario::L3, 10_000);
    Ok((made.rules()?, made.frames))
}

/// The same table with a million entries more, of which those that come and go are a part.
fn many_routes() -> anyhow::Result<(Vec<crate::input::Placed>, Frames)> {
    let (mut rules, frames) = routes()?;
    rules.extend((0..MANY).map(|i| Modifier::flow_mod(i, FlowModCommand::Add, TableId(0)).into()));
    Ok((rules, frames))
}

fn random_tuples() -> Frames {
    random_packets(1000)
}

fn many_tuples() -> Frames {
    random_packets(1_000_000)
}

const fn attack(name: &'static str, pace: Pace, goal: f64, ovs: f64) -> Attack {
    Attack { name, rules: access_list, frames: random_tuples, fresh: true, pace, mods: 0.0, goal, ovs: Some(ovs) }
}

/// Entries of a large table, and what comes and goes beyond.
const MANY: u64 = 950_000;

const ATTACKS: [Attack; 9] = [
    Attack {
        name: "tuple-space explosion, 10,000/s",
        rules: three_fields,
        frames: explosion,
        fresh: false,
        pace: Pace::PerSecond(1e4),
        mods: 0.0,
        goal: 0.9,
        ovs: Some(0.003),
    },
    attack("random tuples, 1,000/s", Pace::PerSecond(1e3), 0.99, 0.96),
    attack("random tuples, 10,000/s", Pace::PerSecond(1e4), 0.98, 0.90),
    attack("random tuples, 100,000/s", Pace::PerSecond(1e5), 0.90, 0.63),
    attack("random tuples, half of all frames", Pace::Half, 0.50, 0.10),
    Attack {
        name: "a million flows beside it, half of all frames",
        rules: access_list,
        frames: many_tuples,
        fresh: false,
        pace: Pace::Half,
        mods: 0.0,
        goal: 0.5,
        ovs: None,
    },
    Attack {
        name: "100,000 flow-mods/s, other table",
        rules: routes,
        frames: Frames::default,
        fresh: false,
        pace: Pace::None,
        mods: 1e5,
        goal: 0.8,
        ovs: None,
    },
    Attack {
        name: "100,000 flow-mods/s, same table",
        rules: routes,
        frames: Frames::default,
        fresh: false,
        pace: Pace::None,
        mods: -1e5,
        goal: 0.8,
        ovs: None,
    },
    Attack {
        name: "1,000,000 flow-mods/s, a table of a million",
        rules: many_routes,
        frames: Frames::default,
        fresh: false,
        pace: Pace::None,
        mods: -1e6,
        goal: 0.8,
        ovs: None,
    },
];

/// Adds and deletes flows that the traffic doesn't meet, so many a second within a stretch of time.
struct Modifier {
    rate: f64,
    table: TableId,
    from: f64,
    to: f64,
    done: u64,
    began: Option<u64>,
    /// The number of the first flow that comes.
    first: u64,
}

impl Modifier {
    fn flow_mod(i: u64, command: FlowModCommand, table: TableId) -> FlowMod {
        let matching = Match::any()
            .with(ofproto::field::FieldId::EthType, 0x0800)
            .with(ofproto::field::FieldId::Ipv4Src, u128::from(0xac10_0000 + (i & 0xf_ffff)))
            .with(ofproto::field::FieldId::Ipv4Dst, u128::from(0xac20_0001 + (i >> 20)));
        let instructions = vec![Instruction::ApplyActions(Vec::new())];
        FlowMod { command, table, priority: 50, matching, instructions, ..FlowMod::default() }
    }

    fn step(&mut self, control: &mut Control, now: Time) -> anyhow::Result<Duration> {
        let began = *self.began.get_or_insert(now.0);
        let at = now.0.saturating_sub(began) as f64 * 1e-9;
        // What was not done in time is left, or the traffic afterwards would still meet it.
        if self.rate == 0.0 || at >= self.to {
            return Ok(Duration::from_millis(20));
        }
        let due = ((at - self.from) * self.rate).max(0.0) as u64;
        // As much as a bridge's thread does in one round.
        for _ in 0..due.saturating_sub(self.done).min(500) {
            let n = self.done;
            // A flow lives through a thousand others.
            let (i, command) = if n.is_multiple_of(2) {
                (n / 2, FlowModCommand::Add)
            } else {
                ((n / 2).saturating_sub(1000), FlowModCommand::DeleteStrict)
            };
            let m = Self::flow_mod(self.first + i, command, self.table);
            control.flow_mod(Version::V13, &m, now).map_err(|e| anyhow::anyhow!("flow-mod: {e}"))?;
            self.done += 1;
        }
        let behind = due > self.done;
        Ok(if behind { Duration::ZERO } else { Duration::from_micros(500) })
    }
}

/// The outcome of one attack.
struct Fared {
    name: &'static str,
    before: Spread,
    during: Spread,
    after: Spread,
    kept: Spread,
    /// Packets of the attack a second of the worker's CPU time, or flow-mods a second of the clock.
    mods: Spread,
    goal: f64,
    ovs: Option<f64>,
    line: Vec<(f64, f64)>,
}

const SLICES: u32 = 20;

fn fare(a: &Attack, args: &TableCArgs) -> anyhow::Result<Fared> {
    let (rules, frames) = (a.rules)()?;
    let mut setup = Setup::new(rules, frames);
    setup.attack = Arc::new((a.frames)());
    setup.fresh = a.fresh;
    let length = Until::Time(Duration::from_secs_f64(args.seconds));
    let phase = |attack| Phase { until: length, slices: SLICES, attack };
    setup.phases = vec![
        Phase::plain(Until::Time(Duration::from_millis(300)), 1),
        phase(Pace::None),
        phase(a.pace),
        phase(Pace::None),
    ];
    let mut runs: Vec<[f64; 3]> = Vec::new();
    let (mut mods, mut line) = (Vec::new(), Vec::new());
    // What an attacker's packets cost is the victim's loss: frames of the victim per CPU second, the work on
    // the attack's included.
    let rate = |o: &Outcome, phase| o.summed(phase, |s| s.frames as f64 * 1e-6 / s.cpu).median;
    for _ in 0..args.runs {
        let from = 0.3 + args.seconds;
        let mut modifier = Modifier {
            rate: a.mods.abs(),
            table: TableId(if a.mods < 0.0 { 0 } else { 1 }),
            from,
            to: from + args.seconds,
            done: 0,
            began: None,
            first: if a.mods < -1e5 { MANY } else { 0 },
        };
        let o = measure(&setup, &mut |control, now| modifier.step(control, now))?;
        runs.push([rate(&o, 1), rate(&o, 2), rate(&o, 3)]);
        mods.push(if a.mods == 0.0 {
            o.summed(2, |s| s.attack as f64 / s.cpu).median
        } else {
            modifier.done as f64 / args.seconds
        });
        line = o
            .workers
            .iter()
            .flatten()
            .filter(|s| s.phase > 0 && s.cpu > 0.0)
            .map(|s| (s.at - 0.3, s.frames as f64 * 1e-6 / s.cpu))
            .collect();
    }
    let of = |i: usize| Spread::of(runs.iter().map(|r| r[i]));
    Ok(Fared {
        name: a.name,
        before: of(0),
        during: of(1),
        after: of(2),
        kept: Spread::of(runs.iter().map(|r| r[1] / r[0])),
        mods: Spread::of(mods),
        goal: a.goal,
        ovs: a.ovs,
        line,
    })
}

/// `table-c`
pub fn table_c(args: &TableCArgs) -> anyhow::Result<()> {
    warn_of_debug();
    let mut all = Vec::new();
    let wanted: Vec<&Attack> = ATTACKS.iter().filter(|a| a.name.contains(&args.only)).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = ATTACKS.iter().map(|a| a.name).collect();
        bail!("no attack's name contains `{}`: they are\n  {}", args.only, names.join("\n  "));
    }
    for a in wanted {
        eprintln!("ofbench: {}", a.name);
        all.push(fare(a, args)?);
    }
    if let Some(dir) = &args.svg {
        for (i, f) in all.iter().enumerate() {
            let plot = Plot {
                title: f.name.to_owned(),
                x: "seconds".into(),
                y: "million packets of the victim a CPU second".into(),
                log_x: false,
                lines: vec![("switchd".into(), f.line.clone())],
                shaded: vec![(args.seconds, 2.0 * args.seconds, "attack".into())],
            };
            draw(dir, &format!("attack-{}", i + 1), &plot)?;
        }
    }
    if args.json {
        let rows: Vec<Value> = all
            .iter()
            .map(|f| {
                json!({
                    "attack": f.name, "before_mpps": f.before.json(), "during_mpps": f.during.json(),
                    "after_mpps": f.after.json(), "kept": f.kept.json(), "attack_per_second": f.mods.json(),
                    "goal": f.goal, "ovs_recorded": f.ovs,
                    "line": f.line.iter().map(|(t, r)| json!([round(*t), round(*r)])).collect::<Vec<_>>(),
                })
            })
            .collect();
        println!("{:#}", json!({ "runs": args.runs, "seconds": args.seconds, "rows": rows }));
        return Ok(());
    }
    let mut t = new_table(&["attack", "before", "during", "after", "kept", "goal", "OVS*", "attack/s"]);
    for f in &all {
        let percent = |x: f64| format!("{:.1} %", x * 100.0);
        t.add_row([
            f.name.to_owned(),
            f.before.to_string(),
            f.during.to_string(),
            f.after.to_string(),
            format!("{} ({}-{})", percent(f.kept.median), percent(f.kept.min), percent(f.kept.max)),
            percent(f.goal),
            f.ovs.map_or(String::new(), percent),
            format!("{:.0}", f.mods.median),
        ]);
    }
    for line in t.lines() {
        println!("{}", line.trim_end());
    }
    println!(
        "Mpps of the victim by the worker's CPU time, feeding frames included; medians (least-most) of {} runs;\nattack/s: \
         packets by that time, too, flow-mods by the clock; *: recorded, not in this run",
        args.runs
    );
    Ok(())
}
