//! A TCP sink and a TCP source.

use anyhow::Context as _;
use clap::Args;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct ServerArgs {
    /// Address and port to listen on
    listen: SocketAddr,
    /// End after the first stream
    #[arg(long)]
    once: bool,
}

#[derive(Args)]
pub struct ClientArgs {
    /// Where a `tcp-server` listens
    server: SocketAddr,
    /// How long to send
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

const CHUNK: usize = 256 * 1024;

/// Receives streams until killed (or the first ends, with `--once`).
pub fn serve(args: &ServerArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut buffer = vec![0; CHUNK];
        let mut total = 0u64;
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                n => total += n as u64,
            }
        }
        // The count goes back, so that the client prints what arrived and not what it handed over.
        stream.write_all(&total.to_be_bytes())?;
        if args.once {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends one stream and prints what the server says it received.
pub fn send(args: &ClientArgs) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&args.server, Duration::from_secs(5))
        .with_context(|| format!("cannot connect to {}", args.server))?;
    let buffer = vec![0x5a; CHUNK];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(args.seconds) {
        stream.write_all(&buffer)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count).context("the server ended early")?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes = u64::from_be_bytes(count);
    println!(
        "   {:.2} GB in {seconds:.1} s: {:.2} Gb/s, {}",
        bytes as f64 / 1e9,
        bytes as f64 * 8.0 / seconds / 1e9,
        args.server
    );
    Ok(())
}
