//! Measures the switch beside its peers, and small traffic tools for demonstrations.
#![forbid(unsafe_code)]

mod bound;
mod client;
mod control;
mod echo;
mod flood;
mod input;
mod io;
mod net;
mod peers;
mod pipeline;
mod plot;
mod report;
mod rig;
mod scenario;
mod stats;
mod tables;
mod tcp;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "ofbench",
    version,
    about = "Measures the switch beside its peers",
    max_term_width = 100,
    after_help = "Times are those of a command with its defaults on two quiet cores; --runs and --seconds change them."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throughput and latency through switchd, a Linux bridge and Open vSwitch's userspace datapath: 6 minutes
    Io(io::IoArgs),
    /// Flow-mods, dumps, packet-ins and packet-outs of switchd and Open vSwitch: 6 minutes
    Control(control::ControlArgs),
    /// Table A: ports; the same as `io`: 6 minutes
    TableA(io::IoArgs),
    /// Table B: the pipeline's rate over flows beside exact lookups alone, in one run, beside recorded figures and
    /// the goals: 4 minutes
    TableB(tables::TableBArgs),
    /// Table C: the rate under attack and under flow-mods: 3 minutes
    TableC(tables::TableCArgs),
    /// Table D: control; the same as `control`: 6 minutes
    TableD(control::ControlArgs),
    /// Any rules and any frames through the switch's workers, in memory: rate, stages, cache: 8 seconds
    Pipeline(pipeline::PipelineArgs),
    /// Receives TCP streams and prints how much came
    TcpServer(tcp::ServerArgs),
    /// Sends TCP streams as fast as they go and prints the rate
    TcpClient(tcp::ClientArgs),
    /// Sends small frames out of an interface as fast as it goes
    Flood(flood::FloodArgs),
    /// Sends UDP datagrams back
    EchoServer(echo::ServerArgs),
    /// Measures the round trips to an echo-server
    EchoClient(echo::ClientArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ofbench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Io(args) | Command::TableA(args) => io::run(&args),
        Command::Control(args) | Command::TableD(args) => control::run(&args),
        Command::TableB(args) => tables::table_b(&args),
        Command::TableC(args) => tables::table_c(&args),
        Command::Pipeline(args) => pipeline::run(&args),
        Command::TcpServer(args) => tcp::serve(&args),
        Command::TcpClient(args) => tcp::send(&args),
        Command::Flood(args) => flood::run(&args),
        Command::EchoServer(args) => echo::serve(&args),
        Command::EchoClient(args) => echo::measure(&args),
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
