//! Workers over memory ports.

use std::sync::mpsc;
use std::time::Instant;

use ofproto::ids::QueueId;

use super::*;
use crate::port::memory::Memory;
use crate::port::{FramePool, Transmitted};

/// Sends port 1's frames to 2 and the other way round; panics at a frame that says so.
struct Cross {
    offline: bool,
    /// How often it went offline.
    left: Arc<AtomicU64>,
}

impl Engine for Cross {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        assert!(!self.offline, "frames while offline");
        for frame in frames.drain(..) {
            match frame.bytes() {
                b"panic" => panic!("told to"),
                b"nowhere" => tx.push(PortNo(77), QueueId(0), frame),
                _ => tx.push(PortNo(3 - in_port.0), QueueId(0), frame),
            }
        }
    }

    fn offline(&mut self) {
        assert!(!std::mem::replace(&mut self.offline, true));
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    fn online(&mut self) {
        assert!(std::mem::replace(&mut self.offline, false));
    }
}

fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || Time(start.elapsed().as_nanos() as u64))
}

struct Rig {
    workers: Workers<Cross>,
    ports: [Memory; 2],
    outer: [Memory; 2],
    left: Arc<AtomicU64>,
}

fn rig(workers: usize, capacity: usize) -> Result<Rig, PortError> {
    rig_of(workers, capacity, WorkerConfig::new("", clock()).spin)
}

fn rig_of(workers: usize, capacity: usize, spin: Duration) -> Result<Rig, PortError> {
    let left = Arc::new(AtomicU64::new(0));
    let started = (0..workers)
        .map(|i| {
            let left = Arc::clone(&left);
            let config = WorkerConfig { spin, ..WorkerConfig::new(format!("w{i}"), clock()) };
            Worker::start(config, move || Cross { offline: true, left: Arc::clone(&left) })
        })
        .collect::<io::Result<_>>()?;
    let workers = Workers::new(started);
    let (a, outer_a) = Memory::pair("a", "outer-a", capacity)?;
    let (b, outer_b) = Memory::pair("b", "outer-b", capacity)?;
    workers.add_port(PortNo(1), &a)?;
    workers.add_port(PortNo(2), &b)?;
    Ok(Rig { workers, ports: [a, b], outer: [outer_a, outer_b], left })
}

fn send(port: &Memory, frames: &[&[u8]]) -> Result<(), PortError> {
    let mut frames: Vec<_> = frames.iter().map(|f| Frame::from_bytes(f)).collect();
    port.open_tx()?.transmit(QueueId(0), &mut frames, &mut FramePool::default());
    Ok(())
}

fn receive(rx: &mut dyn PortRx, n: usize) -> Result<Vec<Vec<u8>>, PortError> {
    let (mut got, mut pool) = (Vec::new(), FramePool::default());
    let start = Instant::now();
    while got.len() < n && start.elapsed() < Duration::from_secs(20) {
        if rx.receive(&mut got, n, &mut pool)? == 0 {
            std::thread::yield_now();
        }
    }
    Ok(got.iter().map(|f| f.bytes().to_vec()).collect())
}

#[test]
fn every_frame_crosses_in_order() -> Result<(), PortError> {
    for workers in [1, 2] {
        let rig = rig(workers, 4096)?;
        let mut rx = rig.outer[1].open_rx()?;
        let sent: Vec<_> = (0..4000u32).map(u32::to_be_bytes).collect();
        for chunk in sent.chunks(37) {
            send(&rig.outer[0], &chunk.iter().map(|b| &b[..]).collect::<Vec<_>>())?;
        }
        assert_eq!(receive(&mut *rx, 4000)?, sent);
        assert_eq!(rig.ports[0].counters().rx_packets, 4000);
        assert_eq!((rig.ports[1].counters().tx_packets, rig.ports[1].counters().tx_bytes), (4000, 16000));
    }
    Ok(())
}

#[test]
fn a_sleeping_worker_is_woken_by_frames_and_by_commands() -> Result<(), PortError> {
    let rig = rig(1, 16)?;
    let mut rx = rig.outer[1].open_rx()?;
    for i in 0..20u64 {
        let start = Instant::now();
        while rig.workers.all()[0].counters().sleeps <= i && start.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        send(&rig.outer[0], &[b"wake"])?;
        assert_eq!(receive(&mut *rx, 1)?, [b"wake"]);
        let (tell, told) = mpsc::channel();
        rig.workers.all()[0]
            .run(move |engine, _, _| {
                assert!(!engine.offline);
                let _ = tell.send(());
            })
            .map_err(io::Error::other)?;
        assert!(told.recv().is_ok());
    }
    Ok(())
}

/// Whoever runs while it looks for frames may keep the processor for milliseconds.
#[test]
fn nobody_waits_for_a_worker_that_looks_for_frames() -> Result<(), PortError> {
    let rig = rig_of(1, 16, Duration::from_secs(3600))?;
    let mut rx = rig.outer[1].open_rx()?;
    send(&rig.outer[0], &[b"frame"])?;
    assert_eq!(receive(&mut *rx, 1)?, [b"frame"]);
    let (start, before) = (Instant::now(), rig.left.load(Ordering::Relaxed));
    while rig.left.load(Ordering::Relaxed) < before + 3 && start.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert!(rig.left.load(Ordering::Relaxed) >= before + 3, "offline between looks");
    assert_eq!(rig.workers.all()[0].counters().sleeps, 0);
    Ok(())
}

#[test]
fn a_panic_costs_the_burst_and_not_the_worker() -> Result<(), PortError> {
    let rig = rig(1, 64)?;
    let mut rx = rig.outer[1].open_rx()?;
    send(&rig.outer[0], &[b"panic"])?;
    let start = Instant::now();
    while rig.workers.all()[0].counters().panics == 0 && start.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    assert_eq!(rig.workers.all()[0].counters().panics, 1);
    send(&rig.outer[0], &[b"after"])?;
    assert_eq!(receive(&mut *rx, 1)?, [b"after"]);
    Ok(())
}

#[test]
fn unknown_ports_are_counted_and_removed_ports_let_go() -> Result<(), PortError> {
    let rig = rig(2, 64)?;
    let mut rx = rig.outer[1].open_rx()?;
    send(&rig.outer[0], &[b"nowhere", b"here"])?;
    assert_eq!(receive(&mut *rx, 1)?, [b"here"]);
    rig.workers.remove_port(PortNo(1)).map_err(io::Error::other)?;
    let drops: u64 = rig.workers.all().iter().map(|w| w.counters().unknown_port_drops).sum();
    assert_eq!(drops, 1);
    drop(rig.ports[0].open_rx()?);
    rig.workers.add_port(PortNo(1), &rig.ports[0])?;
    send(&rig.outer[0], &[b"again"])?;
    assert_eq!(receive(&mut *rx, 1)?, [b"again"]);
    Ok(())
}

#[test]
fn a_worker_whose_engine_cannot_start_still_stops() -> io::Result<()> {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let worker = Worker::<Cross>::start(WorkerConfig::new("w", clock()), move || {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("no engine today")
    })?;
    while made.load(Ordering::Relaxed) < 3 {
        std::thread::yield_now();
    }
    drop(worker);
    Ok(())
}

/// Says on which thread it ends.
struct Ends<T>(T, mpsc::Sender<std::thread::ThreadId>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        let _ = self.1.send(std::thread::current().id());
    }
}

impl PortRx for Ends<Box<dyn PortRx>> {
    fn receive(&mut self, burst: &mut Vec<Frame>, max: usize, pool: &mut FramePool) -> Result<usize, PortError> {
        self.0.receive(burst, max, pool)
    }
    fn each_fd(&self, each: &mut dyn FnMut(std::os::fd::BorrowedFd<'_>)) {
        self.0.each_fd(each);
    }
    fn prepare_wait(&mut self) -> bool {
        self.0.prepare_wait()
    }
    fn check(&mut self) -> LinkState {
        self.0.check()
    }
    fn reopen(&mut self) -> Result<(), PortError> {
        self.0.reopen()
    }
}

impl PortTx for Ends<Box<dyn PortTx>> {
    fn transmit(&mut self, queue: QueueId, frames: &mut Vec<Frame>, pool: &mut FramePool) -> Transmitted {
        self.0.transmit(queue, frames, pool)
    }
}

impl Port for Ends<Memory> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        Ok(Box::new(Ends(self.0.open_rx()?, self.1.clone())))
    }
    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        Ok(Box::new(Ends(self.0.open_tx()?, self.1.clone())))
    }
    fn counters(&self) -> crate::port::PortCounters {
        self.0.counters()
    }
}

/// A worker that closed a socket with a ring would keep its other ports waiting.
#[test]
fn what_workers_let_go_of_ends_elsewhere_and_before_it_is_said_to_be_gone() -> Result<(), PortError> {
    let rig = rig(2, 16)?;
    let (tell, told) = mpsc::channel();
    let (port, _outer) = Memory::pair("c", "outer-c", 16)?;
    let port = Ends(port, tell);
    for _ in 0..20 {
        rig.workers.add_port(PortNo(3), &port)?;
        assert!(told.try_recv().is_err());
        rig.workers.remove_port(PortNo(3)).expect("workers run");
        // One receive half, a transmit half for each worker, and one for others.
        let threads: Vec<_> = told.try_iter().collect();
        assert_eq!(threads, vec![std::thread::current().id(); 4]);
    }
    Ok(())
}
