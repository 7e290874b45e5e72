//! Measures the switch beside its peers, and small traffic tools for demonstrations.
#![forbid(unsafe_code)]

mod tcp;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "ofbench", version, about = "Measures the switch beside its peers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receives TCP streams and prints how much came
    TcpServer(tcp::ServerArgs),
    /// Sends one TCP stream as fast as it goes and prints the rate
    TcpClient(tcp::ClientArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::TcpServer(args) => tcp::serve(&args),
        Command::TcpClient(args) => tcp::send(&args),
    }
}
