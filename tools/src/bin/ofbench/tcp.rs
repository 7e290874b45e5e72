//! A TCP sink and a TCP source.

use crate::pipeline::seconds;
use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
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
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Streams at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    streams: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const CHUNK: usize = 256 * 1024;

/// Receives streams until killed (or the first ends, with `--once`).
pub fn serve(args: &ServerArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    for stream in listener.incoming() {
        let stream = stream?;
        if args.once {
            return Ok(sink(stream)?);
        }
        // A stream that breaks is its client's to report.
        thread::spawn(|| sink(stream));
    }
    Ok(())
}

fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0u64;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => total += n as u64,
        }
    }
    // The count goes back, so that the client prints what arrived and not what it handed over.
    stream.write_all(&total.to_be_bytes())
}

/// Sends one stream; gives what the server says it received.
fn source(server: SocketAddr, time: Duration) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))
        .with_context(|| format!("cannot connect to {server}"))?;
    // Through a switch that loses everything, this must end, too.
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let buffer = vec![0x5a; CHUNK];
    let start = Instant::now();
    while start.elapsed() < time {
        stream.write_all(&buffer)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count).context("the server ended early")?;
    Ok(u64::from_be_bytes(count))
}

/// Sends streams and prints their rate together.
pub fn send(args: &ClientArgs) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(args.seconds.clamp(0.01, 3600.0));
    let start = Instant::now();
    let streams: Vec<_> = (0..args.streams)
        .map(|_| {
            let server = args.server;
            thread::spawn(move || source(server, time))
        })
        .collect();
    let mut bytes = 0;
    for stream in streams {
        bytes += stream.join().map_err(|_| anyhow::anyhow!("a stream's thread ended"))??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = bytes as f64 * 8.0 / seconds / 1e9;
    if args.json {
        println!("{}", json!({ "bytes": bytes, "seconds": seconds, "gbps": rate }));
    } else {
        println!("   {:.2} GB in {seconds:.1} s: {rate:.2} Gb/s, {}", bytes as f64 / 1e9, args.server);
    }
    Ok(())
}
