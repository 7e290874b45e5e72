//! Who waits for workers to adopt a version is told by the last of them, and by nobody else.

use datapath::clock::Time;
use datapath::control::{Control, ControlConfig};
use ofproto::Version;
use ofproto::flow::FlowMod;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn the_last_worker_rings_once_for_a_barrier_that_waits() {
    let mut control = Control::new(ControlConfig { n_tables: 1, ..ControlConfig::default() });
    let rings = Arc::new(AtomicUsize::new(0));
    let bell = Arc::clone(&rings);
    control.on_adoption(move || {
        bell.fetch_add(1, Ordering::Relaxed);
    });
    let rung = || rings.load(Ordering::Relaxed);
    let mut first = control.attach_worker().expect("a place");
    let mut second = control.attach_worker().expect("a place");
    let change = |control: &mut Control| {
        control.flow_mod(Version::V13, &FlowMod::default(), Time::ZERO).expect("an entry that matches all");
        control.barrier()
    };

    change(&mut control);
    first.adopt();
    second.adopt();
    assert_eq!(rung(), 0, "nobody waits");

    let barrier = change(&mut control);
    assert!(!control.barrier_done(barrier));
    first.adopt();
    assert_eq!(rung(), 0, "the other hasn't adopted it");
    assert!(!control.barrier_done(barrier));
    second.adopt();
    assert_eq!(rung(), 1);
    assert!(control.barrier_done(barrier));
    first.adopt();
    second.offline();
    assert_eq!(rung(), 1, "once");

    let barrier = change(&mut control);
    assert!(!control.barrier_done(barrier));
    // Whoever sleeps needn't be waited for.
    first.offline();
    assert_eq!(rung(), 2);
    assert!(control.barrier_done(barrier));
}
