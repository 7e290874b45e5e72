//! AF_XDP ports on veth. Needs root, as the other tests on real interfaces, and a kernel with AF_XDP;
//! without either each test says that it was skipped and why.

mod net;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::af_xdp::{AfXdp, AfXdpOptions};
use datapath::port::{FramePool, LinkState, Port, PortError};
use datapath::worker::{Engine, TxQueues, Worker, WorkerConfig, Workers};
use net::{Capture, Net, PATIENCE, Result, ip, passes, send_raw, tagged, within};
use ofproto::ids::{PortNo, QueueId};

/// Two veths to the switch whose MTU leaves XDP its room; `None` (and a printed reason) where they or
/// AF_XDP can't be had.
fn two_veths(queues: u32) -> Result<Option<Net>> {
    let Some(net) = Net::new()? else { return Ok(None) };
    net.veth_with(&net.h1, "h1", "s1", 1500, queues)?;
    net.veth_with(&net.h2, "h2", "s2", 1500, queues)?;
    match rustix::net::socket(rustix::net::AddressFamily::XDP, rustix::net::SocketType::RAW, None) {
        Ok(_) => Ok(Some(net)),
        Err(e) => {
            println!("skipped: this kernel has no AF_XDP ({e})");
            Ok(None)
        }
    }
}

fn af_xdp(name: &str) -> Result<AfXdp> {
    Ok(AfXdp::new(name, &AfXdpOptions { parts: 1 })?)
}

#[test]
fn frames_of_every_kind_pass_unchanged_and_what_does_not_fit_is_counted() -> Result {
    let Some(net) = two_veths(1)? else { return Ok(()) };
    let (a, b) = (af_xdp("s1")?, af_xdp("s2")?);
    let (workers, _events) = net::forward([&a, &b])?;
    let mut capture = Capture::start(&net.h2, "h2")?;
    let frames = vec![
        tagged(&[], 0x88b5, 46),
        tagged(&[(0x8100, 0x2005)], 0x88b5, 46),
        tagged(&[(0x8100, 0xffff)], 0x88b5, 1500),
        tagged(&[(0x88a8, 0x0123), (0x8100, 0xf456)], 0x88b5, 300),
        tagged(&[(0x8100, 7), (0x8100, 8), (0x8100, 9)], 0x88b5, 60),
        tagged(&[], 0x8847, 100),
        tagged(&[], 0x88e7, 200),
        tagged(&[], 0x0026, 38),
        tagged(&[], 0x88b5, 0),
        tagged(&[], 0x88b5, 1),
        tagged(&[], 0x88b5, 1500),
    ];
    send_raw(&net.h1, "h1", frames.clone())?;
    assert_eq!(capture.frames(frames.len())?, frames);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let (ca, cb) = (a.counters(), b.counters());
    assert_eq!((ca.rx_packets, ca.rx_bytes, ca.rx_errors), (frames.len() as u64, bytes as u64, 0));
    assert_eq!((cb.tx_packets, cb.tx_bytes, cb.tx_errors), (frames.len() as u64, bytes as u64, 0));
    assert_eq!((ca.tx_packets, cb.rx_packets), (0, 0), "own frames came back");
    // From another port, anything may come: runts, what exceeds the MTU, what exceeds a chunk, what
    // exceeds everything, a super-frame that is none.
    let before = b.counters();
    let mut tx = b.open_tx()?;
    let mut bad: Vec<Frame> =
        [0, 1, 13, 1519, 4096, 4097, 65_535].iter().map(|n| Frame::from_bytes(&vec![0x55; *n])).collect();
    let mut fake = Frame::from_bytes(&tagged(&[], 0x88b5, 900));
    fake.offload.gso = Some(datapath::frame::Gso { kind: datapath::frame::GsoKind::TcpV4, size: 1, ecn: false });
    bad.push(fake);
    let mut partial = Frame::from_bytes(&tagged(&[], 0x88b5, 100));
    partial.offload.checksum = Some(datapath::frame::PartialChecksum { start: 60_000, offset: 16 });
    bad.push(partial);
    let count = bad.len() as u64;
    let done = tx.transmit(QueueId(0), &mut bad, &mut FramePool::default());
    assert_eq!((done.sent, done.dropped), (1, count - 1), "only the last can be sent");
    let after = b.counters();
    assert_eq!(after.tx_errors - before.tx_errors, count - 1);
    // The rings go on, in spite of more frames than chunks.
    for _ in 0..100 {
        let mut frames: Vec<_> = (0..64).map(|_| Frame::from_bytes(&tagged(&[], 0x88b5, 46))).collect();
        tx.transmit(QueueId(0), &mut frames, &mut FramePool::default());
    }
    // What the kernel hadn't taken yet is counted when it does.
    let start = Instant::now();
    let told = |c: &datapath::port::PortCounters| c.tx_packets + c.tx_dropped - after.tx_packets - after.tx_dropped;
    while told(&b.counters()) < 6400 && start.elapsed() < PATIENCE {
        tx.transmit(QueueId(0), &mut Vec::new(), &mut FramePool::default());
    }
    let c = b.counters();
    assert_eq!(told(&c), 6400);
    assert_eq!(c.tx_bytes - after.tx_bytes, 60 * (c.tx_packets - after.tx_packets));
    drop(tx);
    workers.remove_port(PortNo(1))?;
    workers.remove_port(PortNo(2))?;
    // Nothing is left: another program may have the interface, the next port too.
    let again = af_xdp("s1")?;
    let rx = again.open_rx()?;
    assert!(matches!(again.open_rx(), Err(PortError::Busy(_))));
    drop(rx);
    again.open_rx()?;
    Ok(())
}

/// Sends `total` bytes by TCP, and a few datagrams, from h1 to h2, and back.
fn transfers(net: &Net, total: usize) -> Result {
    net.addresses("h1", "h2")?;
    let udp = within(&net.h2, || {
        let s = UdpSocket::bind("10.9.0.2:7001")?;
        s.set_read_timeout(Some(PATIENCE * 6))?;
        let mut buffer = [0; 2000];
        let (n, from) = s.recv_from(&mut buffer)?;
        s.send_to(&buffer[..n], from)?;
        Ok(())
    });
    let server = within(&net.h2, move || {
        let (mut s, _) = TcpListener::bind("10.9.0.2:7000")?.accept()?;
        let mut got = vec![0; total];
        s.read_exact(&mut got)?;
        assert!(got.iter().enumerate().all(|(i, b)| *b == (i % 251) as u8), "bytes changed");
        s.write_all(&got)?;
        Ok(())
    });
    let client = within(&net.h1, move || {
        let start = Instant::now();
        let mut s = loop {
            match TcpStream::connect("10.9.0.2:7000") {
                Ok(s) => break s,
                Err(e) if start.elapsed() > PATIENCE => return Err(e.into()),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        s.write_all(&(0..total).map(|i| (i % 251) as u8).collect::<Vec<_>>())?;
        let mut back = vec![0; total];
        s.read_exact(&mut back)?;
        let s = UdpSocket::bind("10.9.0.1:0")?;
        s.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut buffer = [0; 2000];
        while s.send_to(&[7; 1001], "10.9.0.2:7001").is_err() || s.recv_from(&mut buffer).is_err() {
            if start.elapsed() > PATIENCE * 5 {
                return Err("no datagram came back".into());
            }
        }
        Ok(())
    });
    for t in [client, server, udp] {
        t.join().map_err(|_| "transfer failed")?;
    }
    Ok(())
}

#[test]
fn tcp_and_udp_of_hosts_with_offloads_pass() -> Result {
    let Some(net) = two_veths(1)? else { return Ok(()) };
    let (a, b) = (af_xdp("s1")?, af_xdp("s2")?);
    let (_workers, _events) = net::forward([&a, &b])?;
    transfers(&net, 1 << 20)?;
    let (ca, cb) = (a.counters(), b.counters());
    assert_eq!((ca.rx_errors, ca.tx_errors, cb.rx_errors, cb.tx_errors), (0, 0, 0, 0));
    Ok(())
}

#[test]
fn super_frames_from_another_kind_of_port_are_cut() -> Result {
    let Some(net) = two_veths(1)? else { return Ok(()) };
    let (a, b) = (AfPacket::new("s1", AfPacketOptions::default())?, af_xdp("s2")?);
    let (_workers, _events) = net::forward([&a, &b])?;
    transfers(&net, 1 << 20)?;
    let (ca, cb) = (a.counters(), b.counters());
    assert!(cb.tx_packets > ca.rx_packets, "no super-frames came: {ca:?}");
    assert!(cb.tx_bytes / cb.tx_packets <= 1514 && cb.tx_errors == 0, "{cb:?}");
    Ok(())
}

#[test]
fn an_interface_may_go_down_and_come_back_and_be_replaced() -> Result {
    let Some(net) = two_veths(1)? else { return Ok(()) };
    let (a, b) = (af_xdp("s1")?, af_xdp("s2")?);
    let (_workers, events) = net::forward([&a, &b])?;
    passes(&net.h1, "h1", &net.h2, "h2")?;
    ip(&format!("-n {} link set s1 down", net.sw))?;
    events.wait_for(1, LinkState::Down)?;
    let sent = a.counters().tx_bytes;
    // Dropped, and not sent whenever the interface comes back.
    send_raw(&net.h2, "h2", vec![tagged(&[], 0x88b6, 46)])?;
    let start = Instant::now();
    while a.counters().tx_dropped == 0 && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((a.counters().tx_dropped, a.counters().tx_bytes), (1, sent));
    ip(&format!("-n {} link set s1 up", net.sw))?;
    events.wait_for(1, LinkState::Up)?;
    passes(&net.h2, "h2", &net.h1, "h1")?;
    passes(&net.h1, "h1", &net.h2, "h2")?;
    ip(&format!("-n {} link del s1", net.sw))?;
    events.wait_for(1, LinkState::Gone)?;
    send_raw(&net.h2, "h2", vec![tagged(&[(0x8100, 5)], 0x88b5, 46)])?;
    while a.counters().tx_dropped == 1 && start.elapsed() < PATIENCE * 2 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(a.counters().tx_dropped, 2);
    net.veth_with(&net.h1, "h1", "s1", 1500, 1)?;
    events.wait_for(1, LinkState::Up)?;
    passes(&net.h1, "h1", &net.h2, "h2")?;
    passes(&net.h2, "h2", &net.h1, "h1")
}

#[test]
fn what_cannot_be_had_is_said() -> Result {
    let Some(net) = two_veths(1)? else { return Ok(()) };
    assert!(matches!(AfXdp::new("a-name-of-16-byt", &AfXdpOptions::default()), Err(PortError::Name { .. })));
    assert!(matches!(af_xdp("nowhere")?.open_rx(), Err(PortError::Open { what: "interface", .. })));
    // A veth whose peer sends longer frames than a page takes.
    net.veth_with(&net.h1, "h3", "s3", 9000, 1)?;
    assert!(matches!(af_xdp("s3")?.open_rx(), Err(PortError::Open { what: "BPF_LINK_CREATE", .. })));
    // Somebody else's program.
    let first = af_xdp("s1")?;
    let _rx = first.open_rx()?;
    assert!(matches!(af_xdp("s1")?.open_rx(), Err(PortError::Open { what: "BPF_LINK_CREATE", .. })));
    Ok(())
}

/// Keeps the number and the flow of each frame, by worker.
type Seen = Arc<Mutex<Vec<(u8, u32)>>>;

struct Record(Seen);

impl Engine for Record {
    fn process(&mut self, _in_port: PortNo, frames: &mut Vec<Frame>, _tx: &mut TxQueues, _now: Time) {
        if let Ok(mut seen) = self.0.lock() {
            let ours = frames.iter().filter(|f| f.len() == 60 && f.bytes()[12..14] == [8, 0]);
            seen.extend(ours.map(|f| (f.bytes()[35], u32::from_be_bytes(*f.bytes()[42..].first_chunk().unwrap()))));
        }
    }
}

#[test]
fn the_queues_of_an_interface_are_shared_out_and_flows_stay_in_order() -> Result {
    let Some(net) = two_veths(4)? else { return Ok(()) };
    let port = AfXdp::new("s1", &AfXdpOptions { parts: 3 })?;
    let seen: Vec<Seen> = (0..2).map(|_| Seen::default()).collect();
    let start = |seen: &Seen| {
        let seen = Arc::clone(seen);
        Worker::start(WorkerConfig::new("test", Arc::new(|| Time::ZERO)), move || Record(Arc::clone(&seen)))
    };
    let workers = Workers::new(seen.iter().map(start).collect::<std::io::Result<Vec<_>>>()?);
    workers.add_port(PortNo(1), &port)?;
    const FLOWS: u8 = 64;
    const ROUNDS: u32 = 20;
    let frame = |flow: u8, n: u32| {
        let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0];
        f.extend([10, 9, 0, 1, 10, 9, 0, 2, 3, flow, 7, 7, 0, 26, 0, 0]);
        f.extend(n.to_be_bytes());
        f.resize(60, 0);
        f
    };
    send_raw(&net.h1, "h1", (0..ROUNDS).flat_map(|n| (0..FLOWS).map(move |i| frame(i, n))).collect())?;
    let all = usize::from(FLOWS) * ROUNDS as usize;
    let began = Instant::now();
    while seen.iter().map(|s| s.lock().unwrap().len()).sum::<usize>() < all && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    let mut owner = BTreeMap::new();
    for (worker, seen) in seen.iter().enumerate() {
        let seen = seen.lock().unwrap();
        for flow in seen.iter().map(|s| s.0).collect::<BTreeSet<_>>() {
            assert_eq!(owner.insert(flow, worker), None, "flow {flow} had two workers");
            let numbers: Vec<u32> = seen.iter().filter(|s| s.0 == flow).map(|s| s.1).collect();
            assert_eq!(numbers, (0..ROUNDS).collect::<Vec<_>>(), "flow {flow}");
        }
        assert!(!seen.is_empty(), "worker {worker} had nothing to do");
    }
    assert_eq!(owner.len(), usize::from(FLOWS));
    assert_eq!(port.counters().rx_packets, all as u64);
    Ok(())
}
