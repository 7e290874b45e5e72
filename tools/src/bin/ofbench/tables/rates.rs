//! `table-b`: the pipeline's rate over flows.

use super::{draw, new_table};
use crate::bound::{Bound, RECORDED, Recorded, nearest};
use crate::pipeline::{How, phases, warn_of_debug};
use crate::plot::Plot;
use crate::rig::{Setup, idle, run as measure};
use crate::scenario::{Scenario, make};
use crate::stats::{Spread, round};
use anyhow::bail;
use clap::{Args, ValueEnum as _};
use comfy_table::CellAlignment;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A cell of the table: what is to be reached, and what Open vSwitch's userspace datapath did, the best of seven builds
/// and settings. Million packets a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    scenario: Scenario,
    flows: usize,
    goal: Option<f64>,
    ovs: Option<f64>,
}

const fn cell(scenario: Scenario, flows: usize, goal: f64, ovs: f64) -> Cell {
    Cell { ovs: Some(ovs), ..alone(scenario, flows, goal) }
}

/// Open vSwitch's figure isn't known.
const fn alone(scenario: Scenario, flows: usize, goal: f64) -> Cell {
    Cell { goal: Some(goal), ..open(scenario, flows) }
}

/// There is no goal, either.
const fn open(scenario: Scenario, flows: usize) -> Cell {
    Cell { scenario, flows, goal: None, ovs: None }
}

/// Recorded once on a machine of two cores of AMD EPYC at 4.05 to 4.4 GHz; the goals were set for it.
const CELLS: [Cell; 33] = [
    cell(Scenario::Port, 1, 80.0, 45.5),
    cell(Scenario::Port, 1000, 80.0, 45.4),
    cell(Scenario::Port, 1_000_000, 80.0, 47.5),
    cell(Scenario::Five, 1, 80.0, 46.2),
    cell(Scenario::Five, 1000, 75.0, 41.4),
    alone(Scenario::Five, 10_000, 70.0),
    alone(Scenario::Five, 100_000, 65.0),
    cell(Scenario::Five, 1_000_000, 60.0, 31.7),
    cell(Scenario::L3, 1, 60.0, 32.9),
    cell(Scenario::L3, 1000, 55.0, 18.3),
    cell(Scenario::L3, 10_000, 50.0, 11.3),
    cell(Scenario::L3, 100_000, 45.0, 10.1),
    cell(Scenario::L3, 1_000_000, 35.0, 9.9),
    open(Scenario::Acl1k, 1),
    open(Scenario::Acl1k, 1000),
    open(Scenario::Acl1k, 10_000),
    open(Scenario::Acl1k, 100_000),
    open(Scenario::Acl1k, 1_000_000),
    cell(Scenario::Acl10k, 1, 60.0, 47.9),
    cell(Scenario::Acl10k, 1000, 50.0, 24.1),
    cell(Scenario::Acl10k, 10_000, 40.0, 11.5),
    cell(Scenario::Acl10k, 100_000, 25.0, 0.92),
    alone(Scenario::Acl10k, 1_000_000, 18.0),
    cell(Scenario::Gateway, 1, 50.0, 25.8),
    cell(Scenario::Gateway, 100, 45.0, 15.9),
    cell(Scenario::Gateway, 10_000, 40.0, 10.2),
    cell(Scenario::Gateway, 100_000, 32.0, 0.65),
    cell(Scenario::Gateway, 1_000_000, 24.0, 0.36),
    alone(Scenario::L2, 1, 60.0),
    cell(Scenario::L2, 1000, 50.0, 25.3),
    alone(Scenario::L2, 10_000, 45.0),
    cell(Scenario::L2, 100_000, 30.0, 2.6),
    alone(Scenario::L2, 1_000_000, 18.0),
];

#[derive(Args)]
pub struct TableBArgs {
    /// Only these scenarios
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Most flows
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    most: usize,
    #[command(flatten)]
    how: How,
    /// Leave out the lookups that show what processor and memory allow
    #[arg(long)]
    no_bound: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw the rates over flows into pipeline-SCENARIO.svg in this directory
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// Exact lookups alone, in turns with the runs of one row.
#[derive(Clone, Copy)]
struct Limit {
    mpps: Spread,
    /// What was recorded for as many flows.
    recorded: Recorded,
}

impl Limit {
    /// How much of the machine with which the goals were set this one is.
    fn machine(&self) -> f64 {
        self.recorded.machine(self.mpps.median)
    }
}

/// A row of table B.
struct Row {
    cell: Cell,
    ours: Spread,
    fed: Spread,
    hits: f64,
    limit: Option<Limit>,
}

impl Row {
    fn of_limit(&self) -> Option<f64> {
        Some(self.ours.median / self.limit?.mpps.median)
    }

    fn of_goal(&self) -> Option<f64> {
        Some(self.ours.median / self.cell.goal?)
    }

    /// The part of the goal if it is scaled as the lookups are.
    fn of_goal_here(&self) -> Option<f64> {
        Some(self.of_goal()? / self.limit?.machine())
    }

    fn of_ovs(&self) -> Option<f64> {
        Some(self.ours.median / self.cell.ovs?)
    }

    fn json(&self) -> Value {
        let ratio = |x: Option<f64>| x.map(round);
        json!({
            "scenario": self.cell.scenario.name(),
            "flows": self.cell.flows,
            "mpps": self.ours.json(),
            "mpps_with_receive": self.fed.json(),
            "cache_hit_rate": round(self.hits),
            "bound_mpps": self.limit.map(|l| l.mpps.json()),
            "bound_flows": self.limit.map(|l| l.recorded.flows),
            "bound_mpps_recorded": self.limit.map(|l| l.recorded.mpps),
            "of_bound": ratio(self.of_limit()),
            "machine": ratio(self.limit.map(|l| l.machine())),
            "ovs_mpps_recorded": self.cell.ovs,
            "of_ovs_recorded": ratio(self.of_ovs()),
            "goal_mpps": self.cell.goal,
            "of_goal": ratio(self.of_goal()),
            "of_goal_times_machine": ratio(self.of_goal_here()),
        })
    }

    fn cells(&self) -> [String; 13] {
        let shown = |x: Option<f64>| x.map_or("-".to_owned(), |x| x.to_string());
        let ratio = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.2}"));
        [
            self.cell.scenario.name().to_owned(),
            self.cell.flows.to_string(),
            self.ours.to_string(),
            format!("{:.1}", self.fed.median),
            format!("{:.0} %", self.hits * 100.0),
            shown(self.limit.map(|l| l.mpps.median.round())),
            ratio(self.of_limit()),
            ratio(self.limit.map(|l| l.machine())),
            shown(self.cell.ovs),
            ratio(self.of_ovs()),
            shown(self.cell.goal),
            ratio(self.of_goal()),
            ratio(self.of_goal_here()),
        ]
    }
}

/// Measures a row.
fn row(cell: Cell, args: &TableBArgs) -> anyhow::Result<Row> {
    let made = make(cell.scenario, cell.flows);
    let mut setup = Setup::new(made.rules()?, made.frames);
    setup.teach = Arc::new(made.teach);
    setup.workers = usize::from(args.how.workers);
    setup.same_frames = args.how.same_frames || setup.workers > cell.flows;
    setup.burst = usize::from(args.how.burst);
    // Each run a switch of its own: where its memory lies matters, too.
    let once = How { runs: 1, ..args.how.clone() };
    setup.phases = phases(&once, None, cell.flows);
    let recorded = nearest(cell.flows);
    let mut bound = (!args.no_bound).then(|| Bound::new(recorded.flows));
    let short = (args.how.seconds / 5.0).min(0.1);
    // The first warms the caches.
    bound.as_mut().map(|b| b.measure(short));
    let (mut ours, mut fed, mut hits, mut limit) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.how.runs {
        let o = measure(&setup, &mut idle)?;
        ours.push(o.summed(1, |s| s.mpps()).median);
        fed.push(o.summed(1, |s| 1e3 / s.ns()).median);
        let c = o.cache(1);
        let probes = c.packets();
        hits.push(if probes > 0 { c.hits as f64 / probes as f64 } else { 0.0 });
        limit.extend(bound.as_mut().map(|b| b.measure(short)));
    }
    let limit = bound.map(|_| Limit { mpps: Spread::of(limit), recorded });
    Ok(Row { cell, ours: Spread::of(ours), fed: Spread::of(fed), hits: Spread::of(hits).median, limit })
}

fn plots(dir: &Path, rows: &[Row]) -> anyhow::Result<()> {
    for scenario in Scenario::value_variants() {
        let mine: Vec<&Row> = rows.iter().filter(|r| r.cell.scenario == *scenario).collect();
        if mine.is_empty() {
            continue;
        }
        let line = |name: &str, f: &dyn Fn(&Row) -> Option<f64>| {
            (name.to_owned(), mine.iter().filter_map(|r| Some((r.cell.flows as f64, f(r)?))).collect::<Vec<_>>())
        };
        let mut lines = vec![
            line("switchd", &|r| Some(r.ours.median)),
            line("OVS, recorded", &|r| r.cell.ovs),
            line("to reach", &|r| r.cell.goal),
            line("to reach, here", &|r| Some(r.cell.goal? * r.limit?.machine())),
        ];
        lines.retain(|(_, points)| !points.is_empty());
        let plot = Plot {
            title: format!("{}: rate over flows", scenario.name()),
            x: "flows".into(),
            y: "million packets a second".into(),
            log_x: true,
            lines,
            shaded: Vec::new(),
        };
        draw(dir, &format!("pipeline-{}", scenario.name()), &plot)?;
    }
    Ok(())
}

/// `table-b`
pub fn table_b(args: &TableBArgs) -> anyhow::Result<()> {
    warn_of_debug();
    let wanted = |c: &&Cell| c.flows <= args.most && (args.only.is_empty() || args.only.contains(&c.scenario));
    let cells: Vec<Cell> = CELLS.iter().filter(wanted).copied().collect();
    if cells.is_empty() {
        bail!("--most {} leaves nothing to measure: the least is 1", args.most);
    }
    let mut rows = Vec::new();
    for cell in cells {
        eprintln!("ofbench: {} with {} flows", cell.scenario.name(), cell.flows);
        rows.push(row(cell, args)?);
    }
    if let Some(dir) = &args.svg {
        plots(dir, &rows)?;
    }
    if args.json {
        let all: Vec<Value> = rows.iter().map(Row::json).collect();
        println!("{:#}", json!({ "workers": args.how.workers, "runs": args.how.runs, "rows": all }));
        return Ok(());
    }
    let mut t = new_table(&[
        "scenario",
        "flows",
        "Mpps",
        "fed",
        "hits",
        "bound",
        "of it",
        "machine",
        "OVS*",
        "of it",
        "goal*",
        "of it",
        "of it here",
    ]);
    for r in &rows {
        t.add_row(r.cells());
    }
    for column in t.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in t.lines() {
        println!("{}", line.trim_end());
    }
    println!(
        "Mpps: by CPU time, without feeding frames, median (least-most) of {} runs; fed: with feeding them\n\
         bound: exact lookups of as many flows and nothing else (of 1,000 beside 100), in turns with the runs\n\
         machine: the bound beside what a program of the same work did at 4.05 to 4.4 GHz, {};\n\
         of it here: of the goal times that\n\
         *: recorded and set, not run here, at 4.05 to 4.4 GHz",
        args.how.runs,
        RECORDED.map(|r| format!("{} with {}", r.mpps, r.flows)).join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64) -> Spread {
        Spread { median, min: median, max: median, runs: 5 }
    }

    #[test]
    fn ratios_are_to_figures_of_the_same_row() {
        let limit = Some(Limit { mpps: spread(337.0 * 0.81 / 2.0), recorded: nearest(1000) });
        let cell = cell(Scenario::L3, 1000, 60.0, 20.0);
        let row = Row { cell, ours: spread(30.0), fed: spread(20.0), hits: 1.0, limit };
        let v = row.json();
        assert_eq!(
            ["of_bound", "machine", "of_ovs_recorded", "of_goal", "of_goal_times_machine"].map(|k| v[k].as_f64()),
            [0.2198, 0.5, 1.5, 0.5, 1.0].map(Some)
        );
        let row = Row { cell: open(Scenario::Acl1k, 1), limit: None, ..row };
        let v = row.json();
        for k in ["of_bound", "machine", "of_ovs_recorded", "of_goal", "of_goal_times_machine"] {
            assert!(v[k].is_null(), "{k}");
        }
        assert_eq!(row.cells().iter().filter(|c| *c == "-").count(), 8);
    }

    #[test]
    fn every_scenario_is_measured_from_one_flow_to_a_million() {
        for s in Scenario::value_variants() {
            let flows: Vec<usize> = CELLS.iter().filter(|c| c.scenario == *s).map(|c| c.flows).collect();
            assert!(flows.is_sorted() && flows.first() == Some(&1) && flows.last() == Some(&1_000_000), "{s:?}");
        }
    }
}
