//! Ports whose receive side is open in parts, one for each of several workers. Needs root, as the other
//! tests on real interfaces.

mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::tap::{Tap, TapOptions};
use datapath::port::{FramePool, Port};
use datapath::worker::{Engine, TxQueues, Worker, WorkerConfig, Workers};
use net::{Net, Result, ip, send_raw};
use ofproto::ids::{PortNo, QueueId};

const FLOWS: u16 = 64;
const ROUNDS: u32 = 24;

/// A frame of a flow with a number in its payload; `fragment` is the header's fragment field.
fn frame(flow: u16, number: u32, payload: usize, fragment: u16) -> Vec<u8> {
    let total = (20 + 8 + payload) as u16;
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    f.extend(total.to_be_bytes());
    f.extend([0, 1]);
    f.extend(fragment.to_be_bytes());
    f.extend([64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
    for word in [1000 + flow, 2000, 8 + payload as u16, 0] {
        f.extend(word.to_be_bytes());
    }
    f.extend(number.to_be_bytes());
    f.resize(14 + usize::from(total), 0);
    f
}

/// What one worker saw, in order: flow and number.
type Seen = Arc<Mutex<Vec<(u16, u32)>>>;

/// Keeps what it sees and sends it back where it came from.
struct Echo(Seen);

impl Engine for Echo {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        if let Ok(mut seen) = self.0.lock() {
            seen.extend(frames.iter().filter_map(|f| {
                let of_ours = f.bytes().get(12..14)? == [8, 0];
                let flow = u16::from_be_bytes(*f.bytes().get(34..)?.first_chunk()?);
                let number = u32::from_be_bytes(*f.bytes().get(42..)?.first_chunk()?);
                of_ours.then_some((flow.wrapping_sub(1000), number))
            }));
        }
        for frame in frames.drain(..) {
            tx.push(in_port, QueueId(0), frame);
        }
    }
}

struct Rig {
    workers: Workers<Echo>,
    seen: Vec<Seen>,
}

impl Rig {
    fn new(workers: usize) -> Result<Self> {
        let seen: Vec<Seen> = (0..workers).map(|_| Seen::default()).collect();
        let start = |seen: &Seen| {
            let (seen, began) = (Arc::clone(seen), Instant::now());
            let clock = Arc::new(move || Time(began.elapsed().as_nanos() as u64));
            Worker::start(WorkerConfig::new("test", clock), move || Echo(Arc::clone(&seen)))
        };
        Ok(Self { workers: Workers::new(seen.iter().map(start).collect::<std::io::Result<_>>()?), seen })
    }

    fn clear(&self) {
        self.seen.iter().for_each(|s| s.lock().unwrap().clear());
    }

    /// Waits until so many frames have come and returns what each worker saw.
    fn wait_for(&self, count: usize) -> Result<Vec<Vec<(u16, u32)>>> {
        let start = Instant::now();
        loop {
            let seen: Vec<_> = self.seen.iter().map(|s| s.lock().unwrap().clone()).collect();
            let got: usize = seen.iter().map(Vec::len).sum();
            if got >= count {
                return Ok(seen);
            }
            if start.elapsed() > net::PATIENCE {
                return Err(format!("{got} of {count} frames came").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Frames of all flows in turns, of lengths for either ring.
fn traffic() -> Vec<Vec<u8>> {
    let lengths = [18, 4000, 1700, 60, 8000, 1742];
    (0..ROUNDS)
        .flat_map(|n| (0..FLOWS).map(move |flow| frame(flow, n, lengths[(n as usize * 7 + flow as usize) % 6], 0)))
        .collect()
}

/// Sends the traffic and checks that every flow came whole, in order, through one worker, and that every
/// worker had some.
fn check(rig: &Rig, ns: &str, interface: &'static str) -> Result {
    rig.clear();
    // In pieces that fit the rings however busy the machine is.
    for piece in traffic().chunks(64) {
        let before = rig.seen.iter().map(|s| s.lock().unwrap().len()).sum::<usize>();
        send_raw(ns, interface, piece.to_vec())?;
        rig.wait_for(before + piece.len())?;
    }
    let mut owner = BTreeMap::new();
    let seen = rig.wait_for(usize::from(FLOWS) * ROUNDS as usize)?;
    for (worker, seen) in seen.iter().enumerate() {
        assert!(!seen.is_empty(), "worker {worker} had nothing to do");
        for flow in seen.iter().map(|s| s.0).collect::<BTreeSet<_>>() {
            assert_eq!(owner.insert(flow, worker), None, "flow {flow} had two workers");
            let numbers: Vec<u32> = seen.iter().filter(|s| s.0 == flow).map(|s| s.1).collect();
            assert_eq!(numbers, (0..ROUNDS).collect::<Vec<_>>(), "flow {flow}");
        }
    }
    assert_eq!(owner.len(), usize::from(FLOWS));
    Ok(())
}

fn af_packet(name: &str, ring: bool, parts: usize) -> Result<AfPacket> {
    let ring_bytes = if ring { AfPacketOptions::default().ring_bytes } else { 0 };
    Ok(AfPacket::new(name, AfPacketOptions { ring_bytes, parts, ..AfPacketOptions::default() })?)
}

fn parts_of_an_interface(ring: bool) -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", ring, 2)?;
    let rig = Rig::new(2)?;
    rig.workers.add_port(PortNo(1), &port)?;
    check(&rig, &net.h1, "h1")?;
    let all = u64::from(FLOWS) * u64::from(ROUNDS);
    assert_eq!(port.counters().rx_packets, all, "each once, and the echo not at all");
    // The kernel takes the sockets out of their groups and puts them back.
    ip(&format!("-n {} link set s1 down", net.sw))?;
    ip(&format!("-n {} link set s1 up", net.sw))?;
    check(&rig, &net.h1, "h1")?;
    // Removed and added again.
    rig.workers.remove_port(PortNo(1))?;
    rig.workers.add_port(PortNo(1), &port)?;
    check(&rig, &net.h1, "h1")?;
    assert_eq!(port.counters().rx_packets, 3 * all);
    // Another interface of that name: the workers open it again, one after the other.
    ip(&format!("-n {} link del s1", net.sw))?;
    net.veth(&net.h1, "h1", "s1")?;
    let (start, mut both) = (Instant::now(), false);
    while !both && start.elapsed() < net::PATIENCE {
        rig.clear();
        send_raw(&net.h1, "h1", (0..FLOWS).map(|f| frame(f, 0, 18, 0)).collect())?;
        thread::sleep(Duration::from_millis(100));
        both = rig.seen.iter().all(|s| !s.lock().unwrap().is_empty());
    }
    assert!(both, "both workers receive again");
    check(&rig, &net.h1, "h1")
}

#[test]
fn an_interface_in_parts_keeps_every_flow_in_order() -> Result {
    parts_of_an_interface(true)
}

#[test]
fn an_interface_in_parts_without_rings_keeps_every_flow_in_order() -> Result {
    parts_of_an_interface(false)
}

#[test]
fn fragments_of_a_datagram_stay_together() -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", true, 2)?;
    let rig = Rig::new(2)?;
    rig.workers.add_port(PortNo(1), &port)?;
    // The first has the more-fragments bit, later ones have offsets. Ports differ as payload does.
    let fragments = (0..40).map(|n| frame(n, u32::from(n), 1600, if n == 0 { 0x2000 } else { 0x2000 | (n * 201) }));
    send_raw(&net.h1, "h1", fragments.collect())?;
    let seen = rig.wait_for(40)?;
    let whole: Vec<u32> = seen.iter().flatten().map(|s| s.1).collect();
    assert_eq!(whole, (0..40).collect::<Vec<_>>());
    assert!(seen.iter().any(Vec::is_empty), "they are spread over the workers");
    Ok(())
}

#[test]
fn no_more_parts_open_than_there_are_workers() -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", true, 8)?;
    let rig = Rig::new(2)?;
    rig.workers.add_port(PortNo(1), &port)?;
    check(&rig, &net.h1, "h1")?;
    let alone = Rig::new(1)?;
    alone.workers.add_port(PortNo(1), &af_packet("s1", true, 8)?)?;
    check(&alone, &net.h1, "h1")
}

#[test]
fn a_tap_in_parts_keeps_every_flow_in_order() -> Result {
    let Some(net) = Net::new()? else { return Ok(()) };
    let options = TapOptions { mtu: Some(9000), up: true, queues: 2, ..TapOptions::default() };
    let port = Tap::create("t1", &options)?;
    let rig = Rig::new(2)?;
    rig.workers.add_port(PortNo(1), &port)?;
    check(&rig, &net.sw, "t1")?;
    assert!(port.open_rx().is_err(), "it is taken");
    // Closed parts take their queues with them.
    rig.workers.remove_port(PortNo(1))?;
    let alone = Rig::new(1)?;
    alone.workers.add_port(PortNo(1), &port)?;
    check(&alone, &net.sw, "t1")?;
    alone.workers.remove_port(PortNo(1))?;
    rig.workers.add_port(PortNo(1), &port)?;
    check(&rig, &net.sw, "t1")?;
    // A device that went has no parts, and no other is made in its place.
    rig.workers.remove_port(PortNo(1))?;
    ip(&format!("-n {} link del t1", net.sw))?;
    assert!(port.open_rx_parts(2).is_err());
    assert!(ip(&format!("-n {} link show t1", net.sw)).is_err());
    Ok(())
}

#[test]
fn the_speed_of_an_interface_is_its_drivers() -> Result {
    let Some(_net) = Net::two_veths()? else { return Ok(()) };
    // In this namespace, though /sys still shows another one's interfaces.
    assert_eq!(datapath::port::link_speed("s1"), Some((10_000, true)));
    assert_eq!(datapath::port::link_speed("lo"), None);
    assert_eq!(datapath::port::link_speed("nowhere"), None);
    Ok(())
}

#[test]
fn sending_from_several_threads_counts_every_frame() -> Result {
    let Some(_net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", true, 2)?;
    thread::scope(|s| {
        for flow in 0..3 {
            let mut tx = port.open_tx()?;
            s.spawn(move || {
                let mut pool = FramePool::default();
                for n in 0..100 {
                    let mut frames = vec![Frame::from_bytes(&frame(flow, n, 18, 0))];
                    tx.transmit(QueueId(0), &mut frames, &mut pool);
                }
            });
        }
        Ok::<_, datapath::port::PortError>(())
    })?;
    let c = port.counters();
    assert_eq!((c.tx_packets + c.tx_dropped, c.tx_errors), (300, 0));
    Ok(())
}
