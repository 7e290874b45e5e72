//! Forwards between two ports as they are:
//! `forward2 [--tap] [--no-ring | --ring MIB] [--spin MICROSECONDS] [--gro] [--stdin] A B`.
//!
//! For measuring what ports and workers cost without a pipeline. Writes `ready` when it forwards;
//! ends on a signal, or with `--stdin` at the end of its input after printing its counters.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::port::Port;
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::tap::{Tap, TapOptions};
use datapath::worker::{Engine, TxQueues, Worker, WorkerConfig, Workers};
use ofproto::ids::{PortNo, QueueId};

struct Cross;

impl Engine for Cross {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        for frame in frames.drain(..) {
            tx.push(PortNo(3 - in_port.0), QueueId(0), frame);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut tap, mut ring, mut spin, mut gro, mut stdin, mut names) = (false, None, None, None, false, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--tap" => tap = true,
            "--no-ring" => ring = Some(0),
            "--ring" => ring = args.next().and_then(|s| s.parse::<usize>().ok()).map(|mib| mib << 20),
            "--spin" => spin = args.next().and_then(|s| s.parse().ok()).map(Duration::from_micros),
            "--gro" => gro = Some(true),
            "--stdin" => stdin = true,
            _ => names.push(arg),
        }
    }
    let [a, b] = names.as_slice() else { return Err("two interface names, please".into()) };
    let start = Instant::now();
    let clock = Arc::new(move || Time(start.elapsed().as_nanos() as u64));
    let mut config = WorkerConfig::new("forward2", clock);
    if let Some(s) = spin {
        config.spin = s;
    }
    config.events = Arc::new(|e| eprintln!("{e:?}"));
    let workers = Workers::new(vec![Worker::start(config, || Cross)?]);
    let mut ports: Vec<Box<dyn Port>> = Vec::new();
    for (no, name) in [(1, a), (2, b)] {
        let port: Box<dyn Port> = if tap {
            Box::new(Tap::create(name, &TapOptions { up: true, ..TapOptions::default() })?)
        } else {
            let mut options = AfPacketOptions { gro, ..AfPacketOptions::default() };
            options.ring_bytes = ring.unwrap_or(options.ring_bytes);
            Box::new(AfPacket::new(name, options)?)
        };
        workers.add_port(PortNo(no), &*port)?;
        ports.push(port);
    }
    eprintln!("ready");
    if stdin {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        for port in &ports {
            eprintln!("{} {:?}", port.name(), port.counters());
        }
        eprintln!("{:?}", workers.all().iter().map(Worker::counters).collect::<Vec<_>>());
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}
