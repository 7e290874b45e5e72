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

#[derive(Parser)]
#[command(name = "ofbench", version, about = "Measures the switch beside its peers", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throughput and latency through switchd, a Linux bridge and Open vSwitch's userspace datapath
    Io(io::IoArgs),
    /// Flow-mods, dumps, packet-ins and packet-outs of switchd and Open vSwitch
    Control(control::ControlArgs),
    /// Table A: ports; the same as `io`
    TableA(io::IoArgs),
    /// Table B: the pipeline's rate over flows, beside recorded figures and the goals
    TableB(tables::TableBArgs),
    /// Table C: the rate under attack and under flow-mods
    TableC(tables::TableCArgs),
    /// Table D: control; the same as `control`
    TableD(control::ControlArgs),
    /// Any rules and any frames through the switch's workers, in memory: rate, stages, cache
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

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
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
