use super::*;
use crate::netlink::Speed;
use datapath::port::{PortCounters, PortError, PortRx, PortTx};
use ofproto::ids::MacAddr;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Classes by interface, and whether the kernel refuses.
type Fake = (HashMap<u32, Vec<Class>>, bool);

#[derive(Clone, Default)]
struct FakeShaper(Arc<Mutex<Fake>>);

impl Shaper for FakeShaper {
    fn shape(&mut self, ifindex: u32, classes: &[Class]) -> io::Result<()> {
        let mut s = self.0.lock().unwrap();
        if s.1 {
            return Err(io::ErrorKind::NotFound.into());
        }
        match classes {
            [] => s.0.remove(&ifindex),
            _ => s.0.insert(ifindex, classes.to_vec()),
        };
        Ok(())
    }
    fn gone(&mut self, ifindex: u32) {
        self.0.lock().unwrap().0.remove(&ifindex);
    }
}

/// A port that remembers its queues and does nothing else.
#[derive(Default)]
struct Queued(Mutex<BTreeMap<u32, u32>>);

impl Port for Queued {
    fn name(&self) -> &str {
        "q"
    }
    fn open_rx(&self) -> Result<Box<dyn PortRx>, PortError> {
        Err(PortError::Down)
    }
    fn open_tx(&self) -> Result<Box<dyn PortTx>, PortError> {
        Err(PortError::Down)
    }
    fn counters(&self) -> PortCounters {
        PortCounters::default()
    }
    fn set_queue(&self, queue: QueueId, priority: Option<u32>) -> bool {
        let mut q = self.0.lock().unwrap();
        match priority {
            Some(p) => q.insert(queue.0, p),
            None => q.remove(&queue.0),
        };
        true
    }
}

fn link(mbps: u32) -> Link {
    let speed = Some(Speed { mbps, full_duplex: true });
    Link {
        ifindex: 7,
        name: "e".into(),
        mac: MacAddr::default(),
        mtu: 1500,
        up: true,
        running: true,
        speed,
        master: None,
    }
}

fn place<'a>(link: Option<&'a Link>, backend: &'a dyn Port) -> Place<'a> {
    Place { no: PortNo(1), kind: PortKind::AfPacket, link, backend: Some(backend) }
}

fn spec(s: &str) -> QueueSpec {
    s.parse().unwrap()
}

#[test]
fn classes_follow_queues_interface_and_speed() {
    let (shaper, port) = (FakeShaper::default(), Queued::default());
    let classes = || shaper.0.lock().unwrap().0.get(&7).cloned().unwrap_or_default();
    let mut q = PortQueues::new(Box::new(shaper.clone()));
    q.add(&place(None, &port), spec("e:1,min-rate=10%,max-rate=50%")).unwrap();
    assert!(classes().is_empty(), "it waits for the interface");
    let slow = link(1000);
    q.refresh(&place(Some(&slow), &port)).unwrap();
    let of = |minor| classes().into_iter().find(|c| c.minor == minor).unwrap();
    assert_eq!((of(2).rate, of(2).ceil, of(2).parent), (100_000_000, 500_000_000, ROOT));
    assert_eq!((of(ROOT).rate, of(DEFAULT).ceil), (1_000_000_000, 1_000_000_000));
    assert_eq!(port.0.lock().unwrap().get(&1), Some(&0x1_0002));
    let fast = link(10_000);
    q.refresh(&place(Some(&fast), &port)).unwrap();
    assert_eq!(of(2).rate, 1_000_000_000);
    let p = place(Some(&fast), &port);
    assert_eq!(q.of(&p)[0].describe(PortNo(1)).properties, [QueueProp::MinRate(100), QueueProp::MaxRate(500)]);
    q.add(&p, spec("e:2,max-rate=50M")).unwrap();
    assert_eq!((of(3).rate, of(3).ceil), (SCRAP, 50_000_000));
    assert_eq!(q.of(&p)[1].describe(PortNo(1)).properties, [QueueProp::MaxRate(5)]);
    q.remove(&p, QueueId(1)).unwrap();
    assert!(matches!(q.remove(&p, QueueId(1)), Err(QueueError::NoQueue(..))));
    assert_eq!(classes().len(), 3);
    q.remove(&p, QueueId(2)).unwrap();
    assert!(classes().is_empty() && port.0.lock().unwrap().is_empty());
}

#[test]
fn what_cannot_be_leaves_nothing() {
    let (shaper, port, e) = (FakeShaper::default(), Queued::default(), link(1000));
    let mut q = PortQueues::new(Box::new(shaper.clone()));
    let p = place(Some(&e), &port);
    q.add(&p, spec("e:1,min-rate=60%")).unwrap();
    assert!(matches!(q.add(&p, spec("e:1")), Err(QueueError::Taken(..))));
    for (text, why) in [("e:2,min-rate=50%", "promised 1100000000"), ("e:2,min-rate=2G", "no more than 1000000000")] {
        let e = q.add(&p, spec(text)).unwrap_err().to_string();
        assert!(e.contains(why), "{e}");
    }
    shaper.0.lock().unwrap().1 = true;
    let e = q.add(&p, spec("e:3")).unwrap_err().to_string();
    assert!(e.contains("modprobe sch_htb"), "{e}");
    assert_eq!(q.of(&p).len(), 1);
    assert_eq!(port.0.lock().unwrap().len(), 1);
    let (plain, _) = datapath::port::memory::Memory::pair("a", "b", 1).unwrap();
    let p = Place { no: PortNo(2), kind: PortKind::Tap, link: None, backend: Some(&plain) };
    let e = q.add(&p, spec("t:1")).unwrap_err().to_string();
    assert!(e.contains("is of type tap"), "{e}");
    assert!(q.of(&p).is_empty());
}
