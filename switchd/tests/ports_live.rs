//! Ports of real interfaces that come late, are renamed, vanish and come back, in network namespaces.
//! Needs root; without it the test says that it was skipped.

use datapath::clock::Time;
use datapath::frame::Frame;
use datapath::worker::{Engine, TxQueues, Worker, WorkerConfig, Workers};
use ofproto::ids::{PortNo, QueueId};
use ofproto::port::{Port, PortState};
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use switchd::netlink;
use switchd::ports::manager::{Backends, BridgePorts, opener};
use switchd::ports::{self, PortEvent};
use switchd::queues::KernelShaper;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends port 1's frames to 2 and the other way round.
struct Cross;

impl Engine for Cross {
    fn process(&mut self, in_port: PortNo, frames: &mut Vec<Frame>, tx: &mut TxQueues, _now: Time) {
        for frame in frames.drain(..) {
            if in_port.0 < 3 {
                tx.push(PortNo(3 - in_port.0), QueueId(0), frame);
            }
        }
    }
}

fn ip(args: &str) -> Result<String> {
    let out = Command::new("ip").args(args.split(' ')).output()?;
    if !out.status.success() {
        return Err(format!("ip {args}: {}", String::from_utf8_lossy(&out.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Namespaces `sw`, `h1`, `h2`, deleted on drop.
struct Net([String; 3]);

impl Net {
    fn new() -> Result<Self> {
        let names = ["sw", "h1", "h2"].map(|n| format!("sd{}{n}", std::process::id()));
        let net = Self(names);
        for ns in &net.0 {
            ip(&format!("netns add {ns}"))?;
        }
        // The switch namespace is this thread's, and so that of all threads it starts.
        let file = std::fs::File::open(format!("/run/netns/{}", net.0[0]))?;
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(kind))?;
        Ok(net)
    }

    /// `h<n>` with an interface whose other end is the switch's `port`, which is left down.
    fn cable(&self, n: usize, port: &str) -> Result {
        let (sw, h) = (&self.0[0], &self.0[n]);
        ip(&format!("-n {sw} link add {port} type veth peer name eth0 netns {h}"))?;
        // The same address each time: the other host remembers it.
        ip(&format!("-n {h} link set eth0 address 02:00:00:00:09:0{n}"))?;
        ip(&format!("-n {h} addr add 10.9.0.{n}/24 dev eth0"))?;
        ip(&format!("-n {h} link set eth0 up"))?;
        Ok(())
    }

    fn ping(&self, when: &str) -> Result {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let h1 = &self.0[1];
            if ip(&format!("netns exec {h1} ping -q -c 1 -W 1 10.9.0.2")).is_ok() {
                return Ok(());
            }
        }
        Err(format!("no answer to pings {when}").into())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for ns in &self.0 {
            let _ = ip(&format!("netns del {ns}"));
        }
    }
}

/// What the bridge would know of its ports.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<std::collections::BTreeMap<PortNo, Port>>>);

impl Seen {
    fn take(&self, event: PortEvent) {
        let mut map = self.0.lock().unwrap();
        match event {
            PortEvent::Added(p) | PortEvent::Changed(p) => drop(map.insert(p.port_no, p)),
            PortEvent::Removed(no) => drop(map.remove(&no)),
            PortEvent::Queues(..) => {}
        }
    }

    fn wait(&self, what: &str, no: u32, fits: impl Fn(&Port) -> bool) -> Result {
        let start = Instant::now();
        loop {
            let port = self.0.lock().unwrap().get(&PortNo(no)).cloned();
            if port.as_ref().is_some_and(&fits) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{what}: {port:?}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn ports_outlive_their_interfaces() -> Result {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: network namespaces need root");
        return Ok(());
    }
    let net = Net::new()?;
    net.cable(1, "s1")?;
    let sw = net.0[0].clone();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let thread = ports::start()?;
    let control = thread.control();
    let links = {
        let control = control.clone();
        runtime.block_on(async { netlink::watch(move |e| control.link_event(e)) })?
    };
    thread.wait_for_links(PATIENCE)?;

    let start = Instant::now();
    let clock = Arc::new(move || Time(start.elapsed().as_nanos() as u64));
    let worker = Worker::start(WorkerConfig::new("w0", clock), || Cross)?;
    let workers = Arc::new(Workers::new(vec![worker]));
    let specs = ["1=s1", "2=s2", "7=t7,type=tap"].map(|s| s.parse::<switchd::config::PortSpec>().unwrap());
    let seen = Seen::default();
    let (tell, up) = (seen.clone(), runtime.handle().clone());
    let shaper = KernelShaper::new(links.clone(), up.clone());
    let (raise, raised) = mpsc::channel();
    control.add_bridge(BridgePorts::new(
        "br0",
        &specs,
        Arc::clone(&workers),
        Backends::default(),
        opener(3),
        move |e| tell.take(e),
        move |l, on| {
            let (links, index) = (links.clone(), l.ifindex);
            up.spawn(async move { links.set_up(index, on).await });
            let _ = raise.send(l.name.clone());
        },
        Box::new(shaper),
    ));
    for spec in specs {
        control.add_and_wait("br0", spec).ok_or("no bridge")??;
    }

    // One interface is there and was down, one is missing, one was made.
    assert_eq!(raised.recv_timeout(PATIENCE)?, "s1");
    let live = |p: &Port| p.state == PortState::LIVE;
    let down = |p: &Port| p.state == PortState::LINK_DOWN;
    seen.wait("s1 is set up", 1, live)?;
    seen.wait("s2 is missing", 2, |p| down(p) && p.name == "s2")?;
    seen.wait("t7 is there", 7, |p| live(p) && p.hw_addr.0 != [0; 6])?;
    assert!(ip(&format!("-n {sw} -o link"))?.contains("t7"));

    net.cable(2, "s2")?;
    seen.wait("s2 came", 2, live)?;
    net.ping("at first")?;

    ip(&format!("-n {sw} link set s2 down"))?;
    seen.wait("s2 was set down", 2, down)?;
    ip(&format!("-n {sw} link set s2 name other"))?;
    seen.wait("s2 was renamed", 2, |p| p.name == "other")?;
    ip(&format!("-n {sw} link set other up"))?;
    seen.wait("it is up again", 2, live)?;
    net.ping("after renaming")?;

    ip(&format!("-n {sw} link del other"))?;
    seen.wait("it was deleted", 2, |p| down(p) && p.name == "s2")?;
    net.cable(2, "s2")?;
    seen.wait("it was made again", 2, live)?;
    net.ping("after making it again")?;

    ip(&format!("-n {sw} link del t7"))?;
    // The switch makes its TAP again, with a new interface number.
    let begin = Instant::now();
    while !ip(&format!("-n {sw} -o link"))?.contains("t7") {
        assert!(begin.elapsed() < PATIENCE, "the TAP did not come back");
        std::thread::sleep(Duration::from_millis(5));
    }
    seen.wait("the TAP is up again", 7, live)?;

    let (told, removed) = mpsc::channel();
    control.remove("br0", "s1", move |no| told.send(no).unwrap());
    assert_eq!(removed.recv_timeout(PATIENCE)?, Some(PortNo(1)));
    assert!(!seen.0.lock().unwrap().contains_key(&PortNo(1)));

    drop(thread);
    drop(workers);
    let left = ip(&format!("-n {sw} -o link"))?;
    assert!(!left.contains("t7") && left.contains("s1") && left.contains("s2"), "{left}");
    Ok(())
}
