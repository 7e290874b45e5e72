//! Asks and steers OpenFlow switches, and reads OpenFlow messages.
//!
//! Exit status: 0 when all was done, 1 when the switch refused or could not be reached, 2 when the
//! command line or a flow's text is wrong.
#![forbid(unsafe_code)]

mod apply;
mod arguments;
mod channel;
mod cli;
mod configure;
mod connection;
mod converse;
mod decode;
mod dump;
mod flows;
mod management;
mod mods;
mod monitor;
mod orders;
mod packet_out;
mod show;
mod snoop;
mod target;
mod text_input;
mod tls;
mod tlv;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use connection::Refused;
use flows::Flow;
use mods::Group;
use ofproto::meter::MeterModCommand;
use std::io::Write as _;
use std::process::ExitCode;
use text_input::SyntaxError;

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let o = &cli.options;
    let done = |r: anyhow::Result<()>| r.map(|()| ExitCode::SUCCESS);
    match &cli.command {
        Command::Show { target } => done(dump::switch(o, target)),
        Command::DumpDesc { target } => done(dump::description(o, target)),
        Command::DumpFlows { target, filter, order, no_stats } => {
            done(dump::flows(o, target, filter, order, *no_stats))
        }
        Command::DumpAggregate { target, filter } => done(dump::aggregate(o, target, filter)),
        Command::DumpPorts { target, port } => done(dump::port_stats(o, target, port.as_deref())),
        Command::DumpPortsDesc { target, port } => done(dump::port_desc(o, target, port.as_deref())),
        Command::DumpTables { target, all } => done(dump::tables(o, target, *all)),
        Command::DumpTableFeatures { target, table } => done(dump::table_features(o, target, *table)),
        Command::DumpTableDesc { target } => done(dump::table_desc(o, target)),
        Command::DumpGroups { target, group } => done(dump::groups(o, target, group.and_then(|g| g.0))),
        Command::DumpGroupStats { target, group } => done(dump::group_stats(o, target, group.and_then(|g| g.0))),
        Command::DumpGroupFeatures { target } => done(dump::group_features(o, target)),
        Command::DumpMeters { target, meter } => done(dump::meters(o, target, meter.and_then(|m| m.0))),
        Command::MeterStats { target, meter } => done(dump::meter_stats(o, target, meter.and_then(|m| m.0))),
        Command::MeterFeatures { target } => done(dump::meter_features(o, target)),
        Command::QueueStats { target, port, queue } => {
            done(dump::queue_stats(o, target, port.as_deref(), queue.and_then(|q| q.0)))
        }
        Command::QueueGetConfig { target, port, queue } => {
            done(dump::queue_config(o, target, port.as_deref(), queue.and_then(|q| q.0)))
        }
        Command::AddFlow { target, flow, bundle } => flows::flow(o, target, flow, Flow::Add, *bundle),
        Command::AddFlows { target, file, bundle } => flows::flow_file(o, target, file, *bundle),
        Command::ModFlows { target, flow, strict, bundle } => {
            flows::flow(o, target, flow, Flow::Modify(*strict), *bundle)
        }
        Command::DelFlows { target, flow, strict, bundle } => {
            flows::flow(o, target, flow, Flow::Delete(*strict), *bundle)
        }
        Command::ReplaceFlows { target, file, bundle, readd } => flows::replace_flows(o, target, file, *bundle, *readd),
        Command::DiffFlows { first, second } => flows::diff_flows(o, first, second),
        Command::AddGroup { target, group, bundle } => mods::group(o, target, group, Group::Add, *bundle),
        Command::AddGroups { target, file, bundle } => mods::group_file(o, target, file, *bundle),
        Command::ModGroup { target, group, may_create, bundle } => {
            let how = if *may_create { Group::AddOrModify } else { Group::Modify };
            mods::group(o, target, group, how, *bundle)
        }
        Command::DelGroups { target, group, bundle } => mods::group(o, target, group, Group::Delete, *bundle),
        Command::InsertBuckets { target, group, bundle } => {
            mods::group(o, target, group, Group::InsertBuckets, *bundle)
        }
        Command::RemoveBuckets { target, group, bundle } => {
            mods::group(o, target, group, Group::RemoveBuckets, *bundle)
        }
        Command::AddMeter { target, meter } => mods::meter(o, target, meter, MeterModCommand::Add),
        Command::ModMeter { target, meter } => mods::meter(o, target, meter, MeterModCommand::Modify),
        Command::DelMeters { target, meter } => mods::meter(o, target, meter, MeterModCommand::Delete),
        Command::Bundle { target, file } => mods::bundle(o, target, file),
        Command::ModPort { target, port, change } => configure::port(o, target, port, *change),
        Command::ModTable { target, table, change } => configure::table(o, target, table, *change),
        Command::AddTlvMap { target, maps } => tlv::add(o, target, maps),
        Command::DelTlvMap { target, maps } => tlv::delete(o, target, maps),
        Command::DumpTlvMap { target } => done(tlv::dump(o, target)),
        Command::PacketOut { target, packet, actions, in_port } => {
            packet_out::packet_out(o, target, packet, actions.as_deref(), in_port)
        }
        Command::GetFrags { target } => done(converse::get_fragments(o, target)),
        Command::SetFrags { target, mode } => converse::set_fragments(o, target, *mode),
        Command::Monitor(args) => done(monitor::run(o, args)),
        Command::Snoop(args) => done(snoop::run(o, args)),
        Command::Barrier { target } => done(converse::barrier(o, target)),
        Command::Probe { target } => done(converse::probe(o, target)),
        Command::Ping { target, size, count } => converse::ping(o, target, *count, *size),
        Command::Benchmark { target, size, count } => done(converse::benchmark(o, target, *size, *count)),
        Command::Role { target, role, generation } => done(converse::role(o, target, *role, *generation)),
        Command::Decode(args) => decode::run(o, args),
        Command::Trace(args) => done(management::trace(o, args)),
        Command::Status(args) => done(management::status(o, args)),
        Command::Connections(args) => done(management::list(o, args, "connections")),
        Command::Counters(args) => done(management::counters(o, args)),
        Command::Learned(args) => done(management::list(o, args, "learned")),
        Command::ForgetLearned(args) => done(management::order(o, args, "forget-learned")),
        Command::AddPort(args) => done(orders::add_port(o, args)),
        Command::DelPort(args) => done(orders::del_port(o, args)),
        Command::AddQueue(args) => done(orders::add_queue(o, args)),
        Command::DelQueue(args) => done(orders::del_queue(o, args)),
        Command::SetController(args) => done(orders::set_controller(o, args)),
        Command::DelController(at) => done(orders::del_controller(o, at)),
        Command::GetController(at) => done(orders::get_controller(o, at)),
        Command::SetFailMode(args) => done(orders::set_fail_mode(o, args)),
        Command::GetFailMode(at) => done(orders::get_fail_mode(o, at)),
        Command::SaveState(at) => done(orders::save_state(o, at)),
        Command::SetLog(args) => done(orders::set_log(o, args)),
    }
}

/// A command line that asks for what can't be, found out after it was read.
#[derive(Debug)]
pub struct Misuse(pub String);

impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// Writes to standard output; a reader that has gone (`| head`) ends the program quietly.
pub fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        // A full disk: nobody may take what is there for the whole.
        Err(e) => {
            eprintln!("ofctl: cannot write the output: {e}");
            std::process::exit(1);
        }
    }
}

/// Prints a text and a line's end.
pub fn print(text: &str) {
    write(format!("{text}\n").as_bytes());
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
    match run(&Cli::parse_from(arguments::ordered(&Cli::command(), std::env::args_os()))) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("ofctl: {e:#}");
            if e.is::<SyntaxError>() || e.is::<Misuse>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
