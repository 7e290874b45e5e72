//! Network namespaces around a port: what the tests on real interfaces share.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::port::pcap::PcapReader;
use datapath::port::{FramePool, LinkState, Port};
use datapath::worker::{Engine, PortEvent, PortEventKind, TxQueues, Worker, WorkerConfig, Workers};
use ofproto::ids::{PortNo, QueueId};

pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn ip(args: &str) -> Result {
    ip_output(args).map(drop)
}

pub fn ip_output(args: &str) -> Result<String> {
    let out = Command::new("ip").args(args.split(' ')).output()?;
    if !out.status.success() {
        return Err(format!("ip {args}: {}", String::from_utf8_lossy(&out.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Moves the calling thread into a namespace.
pub fn enter(ns: &str) -> Result {
    let file = std::fs::File::open(format!("/run/netns/{ns}"))?;
    let kind = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(kind))?;
    Ok(())
}

/// Three namespaces, deleted on drop.
pub struct Net {
    pub h1: String,
    pub h2: String,
    pub sw: String,
}

impl Net {
    /// `None` (and a printed reason) without root.
    pub fn new() -> Result<Option<Self>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return Ok(None);
        }
        let tag = format!("dp{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let net = Self { h1: format!("{tag}h1"), h2: format!("{tag}h2"), sw: format!("{tag}sw") };
        for ns in [&net.h1, &net.h2, &net.sw] {
            ip(&format!("netns add {ns}"))?;
            // Nobody should send anything unasked.
            let sysctl = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
            ip(&format!("netns exec {ns} {sysctl}"))?;
        }
        enter(&net.sw)?;
        Ok(Some(net))
    }

    pub fn veth(&self, host: &str, host_if: &str, switch_if: &str) -> Result {
        self.veth_with(host, host_if, switch_if, 9000, 1)
    }

    pub fn veth_with(&self, host: &str, host_if: &str, switch_if: &str, mtu: u32, queues: u32) -> Result {
        let sw = &self.sw;
        let (own, peer) = (format!("mtu {mtu} numrxqueues {queues} numtxqueues {queues}"), format!("mtu {mtu}"));
        let peer = format!("{peer} numrxqueues {queues} numtxqueues {queues}");
        ip(&format!("-n {sw} link add {switch_if} {own} type veth peer name {host_if} {peer} netns {host}"))?;
        ip(&format!("-n {sw} link set {switch_if} up"))?;
        ip(&format!("-n {host} link set {host_if} up"))
    }

    pub fn two_veths() -> Result<Option<Self>> {
        let Some(net) = Self::new()? else { return Ok(None) };
        net.veth(&net.h1, "h1", "s1")?;
        net.veth(&net.h2, "h2", "s2")?;
        Ok(Some(net))
    }

    pub fn addresses(&self, if1: &str, if2: &str) -> Result {
        for (ns, i, a) in [(&self.h1, if1, 1), (&self.h2, if2, 2)] {
            ip(&format!("-n {ns} addr add 10.9.0.{a}/24 dev {i}"))?;
        }
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for ns in [&self.h1, &self.h2, &self.sw] {
            let _ = ip(&format!("netns del {ns}"));
        }
    }
}

#[derive(Clone, Default)]
pub struct Events(pub Arc<Mutex<Vec<PortEvent>>>);

impl Events {
    pub fn wait_for(&self, port: u32, state: LinkState) -> Result {
        let wanted = PortEvent { port: PortNo(port), kind: PortEventKind::Link(state) };
        let start = Instant::now();
        loop {
            let mut seen = self.0.lock().map_err(|e| e.to_string())?;
            if let Some(at) = seen.iter().position(|e| *e == wanted) {
                seen.drain(..=at);
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("no {wanted:?} among {seen:?}").into());
            }
            drop(seen);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Runs `f` on a thread in a namespace.
pub fn within<T: Send + 'static>(ns: &str, f: impl FnOnce() -> Result<T> + Send + 'static) -> thread::JoinHandle<T> {
    let ns = ns.to_owned();
    thread::spawn(move || {
        let run = || {
            enter(&ns)?;
            f()
        };
        run().unwrap_or_else(|e| panic!("in {ns}: {e}"))
    })
}

pub fn send_raw(ns: &str, interface: &'static str, frames: Vec<Vec<u8>>) -> Result {
    within(ns, move || {
        // From one processor: each has a receive queue of its own in the kernel, and a sender that moves
        // may overtake itself there, before any port has seen the frames.
        let mut here = rustix::thread::CpuSet::new();
        here.set(rustix::thread::sched_getcpu());
        rustix::thread::sched_setaffinity(None, &here)?;
        let mut socket = afpacket::sync::RawPacketStream::new()?;
        socket.bind(interface)?;
        for f in &frames {
            socket.write_all(f)?;
        }
        Ok(())
    })
    .join()
    .map_err(|_| "sender failed".into())
}

pub fn tagged(tags: &[(u16, u16)], ethertype: u16, payload: usize) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for (tpid, tci) in tags {
        f.extend(tpid.to_be_bytes());
        f.extend(tci.to_be_bytes());
    }
    f.extend(ethertype.to_be_bytes());
    f.extend((0..payload).map(|i| (i * 7) as u8));
    f
}

pub struct Cross;

impl Engine for Cross {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        for frame in frames.drain(..) {
            tx.push(PortNo(3 - in_port.0), QueueId(0), frame);
        }
    }
}

pub fn forward(ports: [&dyn Port; 2]) -> Result<(Workers<Cross>, Events)> {
    let start = Instant::now();
    let mut config = WorkerConfig::new("test", Arc::new(move || Time(start.elapsed().as_nanos() as u64)));
    let events = Events::default();
    let sink = events.clone();
    config.events = Arc::new(move |e| {
        if let Ok(mut seen) = sink.0.lock() {
            seen.push(e);
        }
    });
    let workers = Workers::new(vec![Worker::start(config, || Cross)?]);
    for (no, port) in (1..).zip(ports) {
        workers.add_port(PortNo(no), port)?;
    }
    Ok((workers, events))
}

/// tcpdump in a namespace.
pub struct Capture(Child);

impl Capture {
    pub fn start(ns: &str, interface: &str) -> Result<Self> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", ns, "tcpdump", "-i", interface, "-s", "0", "-U", "-Q", "in", "-w", "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = Vec::new();
        let stderr = child.stderr.as_mut().ok_or("no stderr")?;
        let mut byte = [0];
        while !said.ends_with(b"listening on") {
            if stderr.read(&mut byte)? == 0 {
                return Err(String::from_utf8_lossy(&said).into_owned().into());
            }
            said.push(byte[0]);
        }
        Ok(Self(child))
    }

    /// The next `n` frames.
    pub fn frames(&mut self, n: usize) -> Result<Vec<Vec<u8>>> {
        let stdout = self.0.stdout.take().ok_or("no stdout")?;
        let reader = thread::spawn(move || -> std::io::Result<Vec<Vec<u8>>> {
            let mut pool = FramePool::default();
            let mut pcap = PcapReader::new(stdout)?;
            let mut got = Vec::new();
            while got.len() < n {
                match pcap.next_frame(&mut pool)? {
                    Some((_, f)) => got.push(f.bytes().to_vec()),
                    None => break,
                }
            }
            Ok(got)
        });
        let start = Instant::now();
        while !reader.is_finished() && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        self.0.kill()?;
        Ok(reader.join().map_err(|_| "reader panicked")??)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a tagged frame from one host's interface and sees it come out of the other's as it was.
pub fn passes(from: &str, interface: &'static str, to: &str, other: &str) -> Result {
    let probe = tagged(&[(0x8100, 5)], 0x88b5, 46);
    let mut capture = Capture::start(to, other)?;
    send_raw(from, interface, vec![probe.clone()])?;
    assert_eq!(capture.frames(1)?.first(), Some(&probe));
    Ok(())
}
