//! The handshake of versions under a model checker: every order in which the writer and the workers may see each
//! other's stores. `src/publish/protocol.rs` is the very file that the switch runs, with loom's atomics.

#[allow(dead_code, reason = "the model uses what it needs")]
#[path = "../src/publish/protocol.rs"]
mod protocol;

mod sync {
    pub use loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub use loom::thread::yield_now as spin;
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use protocol::Versions;
use sync::Ordering;

/// States as the writer replaces them: `current` names the one in force. A freed one is written to, which the
/// checker takes for a race with whoever may still be reading it.
struct Domain {
    versions: Versions,
    current: AtomicUsize,
    states: Vec<State>,
}

struct State {
    since: u64,
    /// Whether it is alive; `entries` is what the version shows.
    alive: UnsafeCell<bool>,
}

impl Domain {
    fn new(workers: usize, states: u64) -> Arc<Self> {
        Arc::new(Self {
            versions: Versions::new(workers),
            current: AtomicUsize::new(0),
            states: (1..=states).map(|since| State { since, alive: UnsafeCell::new(true) }).collect(),
        })
    }

    fn load(&self) -> (usize, u64) {
        let at = self.current.load(Ordering::Acquire);
        (at, self.touch(at))
    }

    /// Reads a state, as a worker does.
    fn touch(&self, at: usize) -> u64 {
        // SAFETY: the checker fails if a write is possible meanwhile.
        self.states[at].alive.with(|alive| assert!(unsafe { *alive }, "a freed state is in use"));
        self.states[at].since
    }

    fn free(&self, at: usize) {
        // SAFETY: the checker fails if anybody may be reading.
        self.states[at].alive.with_mut(|alive| unsafe { *alive = false });
    }

    /// The writer: a new state for every version, the old one freed when its tag has been passed.
    fn write(&self) {
        let mut garbage = std::collections::VecDeque::new();
        for at in 1..self.states.len() {
            let version = at as u64 + 1;
            self.current.swap(at, Ordering::AcqRel);
            garbage.push_back((version, at - 1));
            self.versions.publish(version);
            while garbage.front().is_some_and(|(tag, _)| *tag <= self.versions.oldest_seen(version)) {
                garbage.pop_front().into_iter().for_each(|(_, old)| self.free(old));
            }
        }
    }

    fn work(&self, place: usize, bursts: usize, sleeps: bool) {
        let adopted = self.versions.online(place, || self.load());
        self.go_on(place, adopted, bursts, sleeps);
    }

    fn go_on(&self, place: usize, (mut version, mut state): (u64, usize), bursts: usize, sleeps: bool) {
        for _ in 0..bursts {
            assert!(self.touch(state) <= version);
            if sleeps {
                self.versions.offline(place);
                let before = version;
                (version, state) = self.versions.online(place, || self.load());
                assert!(version >= before, "a worker never goes back");
            } else {
                let newest = self.versions.newest();
                if newest != version
                    && let Some(s) = self.versions.take(place, newest, || self.load())
                {
                    (version, state) = (newest, s);
                }
            }
        }
        assert!(self.touch(state) <= version);
        self.versions.offline(place);
    }
}

/// Few enough switches between threads to be tried in all orders within seconds.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn nothing_is_freed_under_a_worker_that_adopts() {
    check(|| {
        let domain = Domain::new(1, 3);
        let theirs = Arc::clone(&domain);
        let worker = loom::thread::spawn(move || theirs.work(0, 2, false));
        domain.write();
        worker.join().unwrap();
    });
}

#[test]
fn nothing_is_freed_under_a_worker_that_wakes() {
    check(|| {
        let domain = Domain::new(1, 3);
        let theirs = Arc::clone(&domain);
        let worker = loom::thread::spawn(move || theirs.work(0, 1, true));
        domain.write();
        worker.join().unwrap();
    });
}

#[test]
fn two_workers_are_waited_for() {
    check(|| {
        let domain = Domain::new(2, 2);
        let workers = [0, 1].map(|place| {
            let adopted = domain.versions.online(place, || domain.load());
            let theirs = Arc::clone(&domain);
            loom::thread::spawn(move || theirs.go_on(place, adopted, 1, false))
        });
        domain.write();
        workers.into_iter().for_each(|w| w.join().unwrap());
    });
}

/// A writer that sleeps until it is told doesn't sleep for ever, whichever worker is last, and however they go on.
fn somebody_tells_the_writer(workers: usize, sleeps: bool) {
    check(move || {
        let domain = Domain::new(workers, 1);
        let bell = Arc::new(loom::sync::Notify::new());
        let threads: Vec<_> = (0..workers)
            .map(|place| {
                domain.versions.online(place, || domain.load());
                let (theirs, bell) = (Arc::clone(&domain), Arc::clone(&bell));
                let tell = move || {
                    if theirs.versions.is_told() {
                        bell.notify();
                    }
                };
                let theirs = Arc::clone(&domain);
                loom::thread::spawn(move || {
                    let newest = theirs.versions.newest();
                    if !sleeps && newest != 1 {
                        theirs.versions.take(place, newest, || theirs.load());
                        tell();
                    }
                    theirs.versions.offline(place);
                    tell();
                })
            })
            .collect();
        domain.versions.publish(2);
        while !domain.versions.is_adopted(2) {
            bell.wait();
        }
        threads.into_iter().for_each(|w| w.join().unwrap());
    });
}

#[test]
fn the_last_worker_to_adopt_tells_the_writer() {
    somebody_tells_the_writer(1, false);
    somebody_tells_the_writer(2, false);
}

#[test]
fn the_last_worker_to_sleep_tells_the_writer() {
    somebody_tells_the_writer(2, true);
}
