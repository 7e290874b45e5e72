//! Ports on real interfaces, in network namespaces of their own. Needs root; without it each test
//! says that it was skipped and why.
//!
//! Each test builds `h1 [h1] -- [s1] sw [s2] -- [h2] h2` and enters `sw`; threads that it starts
//! there, workers included, inherit the namespace. What arrives at `h2` is judged by tcpdump, which
//! puts VLAN tags back by itself.

mod net;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::port::af_packet::{AfPacket, AfPacketOptions};
use datapath::port::tap::{Tap, TapOptions};
use datapath::port::{LinkState, Port};
use datapath::worker::{Engine, TxQueues, Worker, WorkerConfig, Workers};
use net::{Capture, Net, PATIENCE, Result, forward, ip, ip_output, passes, send_raw, tagged, within};
use ofproto::ids::{MacAddr, PortNo, QueueId};

fn af_packet(name: &str, ring: bool) -> Result<AfPacket> {
    let default = AfPacketOptions::default();
    let ring_bytes = if ring { default.ring_bytes } else { 0 };
    Ok(AfPacket::new(name, AfPacketOptions { ring_bytes, ..default })?)
}

fn every_kind() -> Vec<Vec<u8>> {
    vec![
        tagged(&[], 0x88b5, 46),
        tagged(&[(0x8100, 0x2005)], 0x88b5, 46),
        tagged(&[(0x8100, 0)], 0x88b5, 46),
        tagged(&[(0x8100, 0xffff)], 0x88b5, 1500),
        tagged(&[(0x88a8, 0x0123), (0x8100, 0xf456)], 0x88b5, 300),
        tagged(&[(0x8100, 7), (0x8100, 8), (0x8100, 9)], 0x88b5, 60),
        tagged(&[], 0x8847, 100),
        tagged(&[(0x8100, 100)], 0x8848, 100),
        tagged(&[], 0x88e7, 200),
        tagged(&[], 0x0026, 38),
        tagged(&[], 0x88b5, 0),
        tagged(&[], 0x88b5, 1),
        tagged(&[], 0x88b5, 9000),
        tagged(&[(0x88a8, 1)], 0x88b5, 8996),
    ]
}

fn frames_pass_unchanged(ring: bool) -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let (a, b) = (af_packet("s1", ring)?, af_packet("s2", ring)?);
    let (_workers, _events) = forward([&a, &b])?;
    let mut capture = Capture::start(&net.h2, "h2")?;
    let frames = every_kind();
    send_raw(&net.h1, "h1", frames.clone())?;
    let got = capture.frames(frames.len())?;
    for (i, (got, sent)) in got.iter().zip(&frames).enumerate() {
        assert_eq!(got, sent, "frame {i}");
    }
    assert_eq!(got.len(), frames.len());
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let (ca, cb) = (a.counters(), b.counters());
    assert_eq!((ca.rx_packets, ca.rx_bytes, ca.rx_errors), (frames.len() as u64, bytes as u64, 0));
    assert_eq!((cb.tx_packets, cb.tx_bytes, cb.tx_errors), (frames.len() as u64, bytes as u64, 0));
    assert_eq!((ca.tx_packets, cb.rx_packets), (0, 0), "own frames came back");
    Ok(())
}

#[test]
fn frames_of_every_kind_pass_a_ring_unchanged() -> Result {
    frames_pass_unchanged(true)
}

#[test]
fn frames_of_every_kind_pass_without_a_ring_unchanged() -> Result {
    frames_pass_unchanged(false)
}

/// Sends a recognisable stream from h1 to h2 over TCP and compares it there.
fn tcp_transfer(net: &Net, total: usize) -> Result {
    let byte = |i: usize| (i % 251) as u8;
    let (ready, wait) = std::sync::mpsc::channel();
    let server = within(&net.h2, move || {
        let listener = TcpListener::bind("10.9.0.2:5000")?;
        ready.send(())?;
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut buf = vec![0; 1 << 16];
        let mut at = 0;
        loop {
            let n = stream.read(&mut buf)?;
            if n == 0 {
                return Ok(at);
            }
            for b in &buf[..n] {
                if *b != byte(at) {
                    return Err(format!("byte {at} is wrong").into());
                }
                at += 1;
            }
        }
    });
    wait.recv()?;
    let client = within(&net.h1, move || {
        let mut stream = TcpStream::connect_timeout(&"10.9.0.2:5000".parse()?, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let data: Vec<u8> = (0..total).map(byte).collect();
        stream.write_all(&data)?;
        Ok(())
    });
    client.join().map_err(|_| "the client failed")?;
    let received = server.join().map_err(|_| "the server failed")?;
    assert_eq!(received, total);
    Ok(())
}

#[test]
fn tcp_passes_with_offloads_on_in_super_frames() -> Result {
    for ring in [true, false] {
        let Some(net) = Net::two_veths()? else { return Ok(()) };
        net.addresses("h1", "h2")?;
        let (a, b) = (af_packet("s1", ring)?, af_packet("s2", ring)?);
        let (workers, _events) = forward([&a, &b])?;
        tcp_transfer(&net, 32 << 20)?;
        workers.sync()?;
        let c = a.counters();
        assert!(c.rx_bytes >= 32 << 20);
        assert!(c.rx_bytes / c.rx_packets > 9014, "no super-frames: {c:?}");
        assert_eq!((c.rx_errors, b.counters().tx_errors), (0, 0));
    }
    Ok(())
}

#[test]
fn receive_offload_joins_the_frames_of_hosts_without_segmentation() -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    net.addresses("h1", "h2")?;
    if Command::new("ethtool").arg("--version").output().is_err() {
        println!("skipped: ethtool is missing");
        return Ok(());
    }
    ip(&format!("netns exec {} ethtool -K h1 tx off tso off gso off", net.h1))?;
    let open = |name| AfPacket::new(name, AfPacketOptions { gro: Some(true), ..AfPacketOptions::default() });
    let (a, b) = (open("s1")?, open("s2")?);
    let (workers, _events) = forward([&a, &b])?;
    tcp_transfer(&net, 32 << 20)?;
    workers.sync()?;
    let c = a.counters();
    assert!(c.rx_bytes / c.rx_packets > 9014, "no super-frames: {c:?}");
    Ok(())
}

#[test]
fn an_interface_may_go_down_and_come_back_and_be_replaced() -> Result {
    for ring in [true, false] {
        let Some(net) = Net::two_veths()? else { return Ok(()) };
        let (a, b) = (af_packet("s1", ring)?, af_packet("s2", ring)?);
        let (_workers, events) = forward([&a, &b])?;
        passes(&net.h1, "h1", &net.h2, "h2")?;
        ip(&format!("-n {} link set s1 down", net.sw))?;
        events.wait_for(1, LinkState::Down)?;
        ip(&format!("-n {} link set s1 up", net.sw))?;
        events.wait_for(1, LinkState::Up)?;
        passes(&net.h1, "h1", &net.h2, "h2")?;
        // Carrier loss at the far end.
        ip(&format!("-n {} link set h1 down", net.h1))?;
        events.wait_for(1, LinkState::Down)?;
        ip(&format!("-n {} link set h1 up", net.h1))?;
        events.wait_for(1, LinkState::Up)?;
        ip(&format!("-n {} link del s1", net.sw))?;
        events.wait_for(1, LinkState::Gone)?;
        // The other port lives on, and sending to the lost one is a counted drop.
        send_raw(&net.h2, "h2", vec![tagged(&[(0x8100, 5)], 0x88b5, 46)])?;
        let start = Instant::now();
        while a.counters().tx_dropped == 0 && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(a.counters().tx_dropped, 1);
        net.veth(&net.h1, "h1", "s1")?;
        events.wait_for(1, LinkState::Up)?;
        passes(&net.h1, "h1", &net.h2, "h2")?;
        passes(&net.h2, "h2", &net.h1, "h1")?;
    }
    Ok(())
}

#[test]
fn taps_carry_tcp_with_offloads_and_end_with_their_port() -> Result {
    let Some(net) = Net::new()? else { return Ok(()) };
    let mac = MacAddr([2, 0, 0, 0, 7, 1]);
    let a = Tap::create("t1", &TapOptions { mac: Some(mac), mtu: Some(4000), up: true, ..TapOptions::default() })?;
    assert_eq!(a.mac()?, mac);
    let shown = ip_output(&format!("-n {} link show t1", net.sw))?;
    assert!(shown.contains("mtu 4000") && shown.contains("UP"), "{shown}");
    let b = Tap::create("t2", &TapOptions::default())?;
    assert!(Tap::create("t1", &TapOptions::default()).is_err(), "the device is taken");
    for (ns, tap) in [(&net.h1, "t1"), (&net.h2, "t2")] {
        ip(&format!("-n {} link set {tap} netns {ns}", net.sw))?;
        ip(&format!("-n {ns} link set {tap} up"))?;
    }
    net.addresses("t1", "t2")?;
    let (workers, events) = forward([&a, &b])?;
    tcp_transfer(&net, 32 << 20)?;
    let c = a.counters();
    assert!(c.rx_bytes / c.rx_packets > 4014, "no super-frames: {c:?}");
    assert_eq!((c.rx_errors, b.counters().tx_errors), (0, 0));
    // Deleted from outside.
    ip(&format!("-n {} link del t2", net.h2))?;
    events.wait_for(2, LinkState::Gone)?;
    // Removed with the port.
    workers.remove_port(PortNo(1))?;
    drop(a);
    assert!(ip(&format!("-n {} link show t1", net.h1)).is_err(), "the device outlived its port");
    Ok(())
}

#[test]
fn tagged_frames_pass_from_a_tap_to_a_veth() -> Result {
    let Some(net) = Net::new()? else { return Ok(()) };
    let a = Tap::create("t1", &TapOptions { mtu: Some(9000), ..TapOptions::default() })?;
    ip(&format!("-n {} link set t1 netns {}", net.sw, net.h1))?;
    ip(&format!("-n {} link set t1 up", net.h1))?;
    net.veth(&net.h2, "h2", "s2")?;
    let b = af_packet("s2", true)?;
    let (_workers, _events) = forward([&a, &b])?;
    let mut capture = Capture::start(&net.h2, "h2")?;
    let frames = every_kind();
    send_raw(&net.h1, "t1", frames.clone())?;
    assert_eq!(capture.frames(frames.len())?, frames);
    Ok(())
}

/// Sends everything to port 2, alternating between no queue and queue 7.
struct Alternate(u32);

impl Engine for Alternate {
    fn process(&mut self, _in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        for frame in frames.drain(..) {
            self.0 = 7 - self.0;
            tx.push(PortNo(2), QueueId(self.0), frame);
        }
    }
}

#[test]
fn a_queue_sends_with_its_priority_and_so_through_its_class() -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let tc = |args: &str| ip_output(&format!("netns exec {} tc {args}", net.sw));
    if tc("qdisc add dev s2 root handle 1: htb default 10").is_err() {
        println!("skipped: tc or the kernel's HTB is missing");
        return Ok(());
    }
    tc("class add dev s2 parent 1: classid 1:10 htb rate 1gbit")?;
    tc("class add dev s2 parent 1: classid 1:20 htb rate 1gbit")?;
    let (a, b) = (af_packet("s1", true)?, af_packet("s2", true)?);
    b.set_queue(QueueId(7), Some(1 << 16 | 0x20));
    let config = WorkerConfig::new("test", Arc::new(|| Time::ZERO));
    let workers = Workers::new(vec![Worker::start(config, || Alternate(0))?]);
    workers.add_port(PortNo(1), &a)?;
    workers.add_port(PortNo(2), &b)?;
    let mut capture = Capture::start(&net.h2, "h2")?;
    send_raw(&net.h1, "h1", vec![tagged(&[], 0x88b5, 46); 11])?;
    assert_eq!(capture.frames(11)?.len(), 11);
    let shown = tc("-s class show dev s2")?;
    let sent = |class: &str| {
        let at = shown.find(class).map_or("", |i| &shown[i..]);
        at.split_once(" bytes ").and_then(|(_, s)| s.split(' ').next()).map(str::to_owned)
    };
    assert_eq!((sent("htb 1:10").as_deref(), sent("htb 1:20").as_deref()), (Some("5"), Some("6")), "{shown}");
    Ok(())
}

/// Keeps the number that each frame carries.
struct Record(Arc<Mutex<Vec<u32>>>);

impl Engine for Record {
    fn process(&mut self, _in_port: PortNo, frames: &mut Vec<Frame>, _tx: &mut TxQueues, _now: Time) {
        if let Ok(mut seen) = self.0.lock() {
            seen.extend(
                frames.iter().filter_map(|f| f.bytes().get(14..)?.first_chunk().copied()).map(u32::from_be_bytes),
            );
        }
    }
}

#[test]
fn frames_of_mixed_lengths_keep_their_order_across_the_two_rings() -> Result {
    let Some(net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", true)?;
    let seen = Arc::<Mutex<Vec<u32>>>::default();
    let recorder = Arc::clone(&seen);
    let config = WorkerConfig::new("test", Arc::new(|| Time::ZERO));
    let workers = Workers::new(vec![Worker::start(config, move || Record(Arc::clone(&recorder)))?]);
    workers.add_port(PortNo(1), &port)?;
    const COUNT: u32 = 20_000;
    let frames = (0..COUNT).map(|i| {
        let mut f = tagged(&[], 0x88b5, [46, 4000, 1790, 60, 9000, 1770][i as usize * 7 % 6]);
        f[14..18].copy_from_slice(&i.to_be_bytes());
        f
    });
    send_raw(&net.h1, "h1", frames.collect())?;
    let start = Instant::now();
    let mut last = (0, start);
    // Until all came, or nothing has come for a while: the rings may overflow, but not reorder.
    while last.0 < COUNT as usize && last.1.elapsed() < Duration::from_secs(2) {
        let n = seen.lock().map_err(|e| e.to_string())?.len();
        if n > last.0 {
            last = (n, Instant::now());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let seen = seen.lock().map_err(|e| e.to_string())?;
    assert!(seen.is_sorted_by(|a, b| a < b), "reordered");
    assert!(seen.len() > COUNT as usize / 10, "only {} came", seen.len());
    Ok(())
}

#[test]
fn names_too_long_for_an_interface_and_missing_interfaces_are_refused() -> Result {
    assert!(AfPacket::new("a-name-of-16-byt", AfPacketOptions::default()).is_err());
    let Some(_net) = Net::new()? else { return Ok(()) };
    let port = af_packet("nowhere", true)?;
    assert!(port.open_rx().is_err());
    assert!(port.open_tx().is_err());
    Ok(())
}

/// Runs in a process of its own: a limit of descriptors is everybody's in a process.
#[test]
fn without_descriptors_the_reason_is_told() -> Result {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const ALONE: &str = "DATAPATH_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut own = Command::new(std::env::current_exe()?);
        own.args(["--exact", "without_descriptors_the_reason_is_told", "--nocapture"]).env(ALONE, "1");
        let out = own.output()?;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        return Ok(());
    }
    let Some(_net) = Net::two_veths()? else { return Ok(()) };
    let port = af_packet("s1", false)?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) })?;
    let mut opened = 0;
    for free in 0..8 {
        let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - free);
        let tried = port.open_rx().map(drop).map_err(|e| e.to_string());
        drop(taken);
        match tried {
            Ok(()) => opened += 1,
            Err(e) => assert!(e.contains("Too many open files"), "with {free}: {e}"),
        }
    }
    assert!((1..8).contains(&opened), "{opened}");
    Ok(())
}
