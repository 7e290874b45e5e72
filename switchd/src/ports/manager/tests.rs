use super::*;
use crate::ports::claims::Outcome;
use datapath::port::memory::Memory;
use ofproto::ids::MacAddr;
use ofproto::port::PortState;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

#[derive(Clone, Default)]
struct FakePlumbing(Arc<Mutex<(HashSet<PortNo>, bool)>>);

impl Plumbing for FakePlumbing {
    fn connect(&self, no: PortNo, _: &dyn Port) -> Result<(), PortError> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(PortError::Down);
        }
        assert!(state.0.insert(no), "connected twice");
        Ok(())
    }
    fn disconnect(&self, no: PortNo) {
        assert!(self.0.lock().unwrap().0.remove(&no), "wasn't connected");
    }
}

impl FakePlumbing {
    fn connected(&self) -> Vec<u32> {
        let mut list: Vec<_> = self.0.lock().unwrap().0.iter().map(|n| n.0).collect();
        list.sort_unstable();
        list
    }
}

struct NoShaper;

impl Shaper for NoShaper {
    fn shape(&mut self, _: u32, _: &[crate::netlink::htb::Class]) -> std::io::Result<()> {
        Ok(())
    }
    fn gone(&mut self, _: u32) {}
}

struct Rig {
    ports: BridgePorts,
    plumbing: FakePlumbing,
    events: mpsc::Receiver<PortEvent>,
    raised: mpsc::Receiver<u32>,
    /// Among how many ports the last one was made.
    among: Arc<AtomicUsize>,
}

fn rig() -> Rig {
    let plumbing = FakePlumbing::default();
    let (tell, events) = mpsc::channel();
    let (raise, raised) = mpsc::channel();
    let among = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&among);
    let open: Opener = Box::new(move |s, ports| {
        counted.store(ports, Ordering::Relaxed);
        if s.name.as_str() == "bad" {
            return Err(PortError::Closed);
        }
        let (a, _) = Memory::pair("a", "b", 4)?;
        Ok(Arc::new(a))
    });
    let ports = BridgePorts::new(
        "br0",
        &[],
        plumbing.clone(),
        Backends::default(),
        open,
        move |e| tell.send(e).unwrap(),
        move |l, up| raise.send(if up { l.ifindex } else { 0 }).unwrap(),
        Box::new(NoShaper),
    );
    Rig { ports, plumbing, events, raised, among }
}

fn link(ifindex: u32, name: &str, up: bool) -> Link {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    Link { ifindex, name: name.into(), mac, mtu: 1500, up, running: up, speed: None, master: None }
}

#[test]
fn a_port_that_comes_later_shares_with_those_that_are_there() {
    let mut r = rig();
    for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
        r.ports.add(name.parse().unwrap(), [].iter()).unwrap();
        assert_eq!(r.among.load(Ordering::Relaxed), i + 1);
    }
    r.ports.remove("b");
    r.ports.add("d".parse().unwrap(), [].iter()).unwrap();
    assert_eq!(r.among.load(Ordering::Relaxed), 3);
}

#[test]
fn a_missing_interface_is_opened_when_it_comes_and_let_go_when_it_goes() {
    let mut r = rig();
    let no = r.ports.add("eth1".parse().unwrap(), [].iter()).unwrap();
    assert!(matches!(r.events.recv().unwrap(), PortEvent::Added(p) if p.state == PortState::LINK_DOWN));
    assert!(r.plumbing.connected().is_empty());
    for ifindex in [5, 6] {
        r.ports.link_event(&LinkEvent::Added(link(ifindex, "eth1", false)));
        assert_eq!(r.plumbing.connected(), [no.0]);
        assert_eq!(r.raised.recv().unwrap(), ifindex, "it is set up");
        r.events.recv().unwrap();
        let up = LinkEvent::Changed { old: link(ifindex, "eth1", false), new: link(ifindex, "eth1", true) };
        r.ports.link_event(&up);
        assert!(matches!(r.events.recv().unwrap(), PortEvent::Changed(p) if p.state == PortState::LIVE));
        r.ports.link_event(&LinkEvent::Removed(link(ifindex, "eth1", true)));
        assert!(matches!(r.events.recv().unwrap(), PortEvent::Changed(p) if p.state == PortState::LINK_DOWN));
        assert!(r.plumbing.connected().is_empty());
    }
    assert!(r.ports.backends.get(no).is_some(), "counters outlive the interface");
    assert_eq!(r.ports.remove("eth1"), Some(no));
    assert_eq!(r.events.recv().unwrap(), PortEvent::Removed(no));
    assert!(r.raised.try_recv().is_err(), "an interface that is up is left alone");
}

#[test]
fn what_cannot_be_opened_leaves_nothing() {
    let mut r = rig();
    assert!(r.ports.add("bad".parse().unwrap(), [].iter()).is_err());
    r.plumbing.0.lock().unwrap().1 = true;
    let links = [link(3, "eth1", true)];
    assert!(r.ports.add("eth1".parse().unwrap(), links.iter()).is_err());
    assert_eq!(r.ports.table().iter().count(), 0);
    assert!(r.events.try_recv().is_err());
    // An interface that comes later and can't be opened is tried again.
    r.ports.add("eth1".parse().unwrap(), [].iter()).unwrap();
    r.ports.link_event(&LinkEvent::Added(links[0].clone()));
    assert!(r.ports.wants_retry());
    // Each attempt counts as one for the same reason, which is said once.
    let no = r.ports.failures.keys().copied().next().unwrap();
    r.ports.retry();
    r.ports.retry();
    assert_eq!(r.ports.failures.get_mut(&no).unwrap().note(&PortError::Down.to_string()), 4);
    r.plumbing.0.lock().unwrap().1 = false;
    r.ports.retry();
    assert!(!r.ports.wants_retry());
    assert!(r.ports.failures.is_empty(), "it works: the next failure is said again");
    assert_eq!(r.plumbing.connected().len(), 1);
}

#[test]
fn a_deleted_tap_is_made_again() {
    let mut r = rig();
    let no = r.ports.add("t0,type=tap".parse().unwrap(), [].iter()).unwrap();
    assert_eq!(r.plumbing.connected(), [no.0], "it needs no message to be there");
    r.ports.link_event(&LinkEvent::Added(link(5, "t0", true)));
    r.ports.link_event(&LinkEvent::Removed(link(5, "t0", true)));
    assert_eq!(r.plumbing.connected(), [no.0]);
    r.ports.close();
    assert!(r.plumbing.connected().is_empty());
}

#[test]
fn a_device_in_another_namespace_goes_on_until_it_ends_there() {
    #[derive(Debug)]
    struct Device(Memory, Arc<AtomicBool>);
    impl Port for Device {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn open_rx(&self) -> Result<Box<dyn datapath::port::PortRx>, PortError> {
            self.0.open_rx()
        }
        fn open_tx(&self) -> Result<Box<dyn datapath::port::PortTx>, PortError> {
            self.0.open_tx()
        }
        fn counters(&self) -> datapath::port::PortCounters {
            self.0.counters()
        }
        fn lives_elsewhere(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }
    let mut r = rig();
    let alive = Arc::new(AtomicBool::new(true));
    let device = Arc::clone(&alive);
    r.ports.open = Box::new(move |_, _| Ok(Arc::new(Device(Memory::pair("a", "b", 4)?.0, Arc::clone(&device)))));
    let no = r.ports.add("t0,type=tap".parse().unwrap(), [].iter()).unwrap();
    r.ports.link_event(&LinkEvent::Added(link(5, "t0", true)));
    r.ports.link_event(&LinkEvent::Removed(link(5, "t0", false)));
    assert_eq!(r.plumbing.connected(), [no.0]);
    assert_eq!(r.ports.table().describe(no).unwrap().state, PortState::LIVE);
    let first = r.ports.backends.get(no).unwrap();
    r.ports.retry();
    assert!(Arc::ptr_eq(&first, &r.ports.backends.get(no).unwrap()), "it is left alone");
    // It comes back.
    r.ports.link_event(&LinkEvent::Added(link(5, "t0", false)));
    assert!(!r.ports.wants_retry());
    assert_eq!(r.ports.table().describe(no).unwrap().state, PortState::LINK_DOWN);
    // It leaves again, and the other namespace ends with it.
    r.ports.link_event(&LinkEvent::Removed(link(5, "t0", false)));
    assert!(r.ports.wants_retry());
    alive.store(false, Ordering::Relaxed);
    r.ports.retry();
    assert!(!r.ports.wants_retry());
    assert!(!Arc::ptr_eq(&first, &r.ports.backends.get(no).unwrap()), "made anew");
    assert_eq!(r.plumbing.connected(), [no.0]);
    let last = std::iter::from_fn(|| r.events.try_recv().ok()).last();
    assert!(matches!(last, Some(PortEvent::Changed(p)) if p.state == PortState::LINK_DOWN));
}

#[test]
fn a_port_set_down_stays_down_when_its_interface_comes_back() {
    let mut r = rig();
    let up = link(5, "eth1", true);
    let no = r.ports.add("eth1".parse().unwrap(), [up.clone()].iter()).unwrap();
    r.ports.set_up(no, false);
    assert_eq!(r.raised.recv().unwrap(), 0);
    r.ports.link_event(&LinkEvent::Removed(up));
    r.ports.link_event(&LinkEvent::Added(link(6, "eth1", false)));
    assert!(r.raised.try_recv().is_err(), "it isn't raised");
    r.ports.set_up(no, true);
    assert_eq!(r.raised.recv().unwrap(), 6);
    r.ports.set_up(PortNo(99), false);
    assert!(r.ports.down.is_empty());
}

/// On a busy host interfaces come and go all the time.
#[test]
fn what_could_not_be_opened_is_tried_again_although_other_things_happen() {
    let Rig { ports, plumbing, events, .. } = rig();
    let thread = crate::ports::start().unwrap();
    let control = thread.control();
    control.add_bridge(ports);
    plumbing.0.lock().unwrap().1 = true;
    control.add_and_wait("br0", "eth1".parse().unwrap()).unwrap().unwrap();
    control.link_event(LinkEvent::Added(link(3, "eth1", true)));
    // Told that it is there: opening has failed.
    while !matches!(events.recv().unwrap(), PortEvent::Changed(_)) {}
    plumbing.0.lock().unwrap().1 = false;
    for n in 0.. {
        assert!(n < 3000, "never tried again");
        control.link_event(LinkEvent::Added(link(100 + n, "other", true)));
        std::thread::sleep(std::time::Duration::from_millis(10));
        if plumbing.connected() == [1] {
            break;
        }
    }
}

#[test]
fn many_ports_have_smaller_rings() {
    let mib = |n: usize| n << 20;
    let rings = [(0, 8), (1, 8), (32, 8), (33, 6), (64, 4), (100, 2), (256, 2), (65_279, 2)];
    for (ports, size) in rings {
        assert_eq!(ring_bytes(ports), mib(size), "{ports} ports");
    }
}

/// Opening one takes the kernel a while; of many at once each is told of, in order, and those that can't be had are left.
#[test]
fn ports_are_added_side_by_side() {
    let mut r = rig();
    let links: Vec<Link> = (0..100).map(|n| link(n + 1, &format!("e{n}"), true)).collect();
    let names = (0..100).map(|n| if n == 50 { "bad".to_owned() } else { format!("{}=e{}", n + 1, n % 99) });
    let specs = names.map(|name| Ok(name.parse().unwrap())).collect();
    let outcomes = r.ports.add_all(specs, || links.iter());
    assert_eq!(outcomes.len(), 100);
    let refused: Vec<_> = outcomes.iter().enumerate().filter(|(_, o)| o.is_err()).map(|(n, _)| n).collect();
    assert_eq!(refused, [50, 99], "one can't be opened, one is there already");
    let expected: Vec<u32> = (1..=99).filter(|n| *n != 51).collect();
    assert_eq!(r.plumbing.connected(), expected);
    let told: Vec<u32> = std::iter::from_fn(|| r.events.try_recv().ok())
        .map(|e| if let PortEvent::Added(p) = e { p.port_no.0 } else { panic!("{e:?}") })
        .collect();
    assert_eq!(told, expected);
    r.ports.close();
    assert!(r.plumbing.connected().is_empty());
}

/// An interface that another switch has isn't up as far as this one's controllers are concerned, until it is free.
#[test]
fn a_claimed_interface_is_waited_for_and_down() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let claims = Claims::new(runtime.handle().clone());
    // A number that no interface has.
    let index = 0x7000_0000 + (rustix::process::getpid().as_raw_nonzero().get().unsigned_abs() & 0xff_ffff);
    let Outcome::Ours(other) = claims.claim(index, "port 3 of bridge `x`".into()) else { panic!() };
    let Rig { ports, plumbing, events, .. } = rig();
    let mut ports = ports.claiming(claims);
    let theirs = link(index, "eth1", true);
    let refused = ports.add("eth1".parse().unwrap(), [theirs.clone()].iter()).unwrap_err();
    assert_eq!(refused.to_string(), "interface `eth1` is port 3 of bridge `x` already");
    let no = ports.add("eth1".parse().unwrap(), [].iter()).unwrap();
    ports.link_event(&LinkEvent::Added(theirs));
    assert!(plumbing.connected().is_empty() && ports.wants_retry());
    let last = std::iter::from_fn(|| events.try_recv().ok()).last();
    assert!(matches!(last, Some(PortEvent::Changed(p)) if p.state == PortState::LINK_DOWN));
    drop(other);
    ports.retry();
    assert_eq!(plumbing.connected(), [no.0]);
    assert!(matches!(events.recv().unwrap(), PortEvent::Changed(p) if p.state == PortState::LIVE));
}
