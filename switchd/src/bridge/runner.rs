//! The bridge's thread, and who works in its place while it sleeps.
//!
//! All of a bridge's state is behind one lock. The thread holds it for whole rounds and lets go of it to wait. In that
//! time a worker with nothing else to do takes a few packets to the controllers itself ([`Helper`]): waking the
//! thread up would take longer than that does. Nobody ever waits for the lock but the thread.
//!
//! Invariant: a helper works between two rounds, so that what connections are told keeps one order.

use super::bell::{Doorbell, Ears};
use super::hub::Hub;
use super::rounds::{Rounds, Sleep};
use super::{Inbox, Instance};
use datapath::clock::Time;
use rustix::event::{PollFd, PollFlags};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;
use tracing::info;

/// How often it is looked at the end whether connections have had their last bytes.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// What a defect left behind.
type Defect = Box<dyn std::any::Any + Send>;

/// What the lock guards.
struct Place<S> {
    /// Gone once the thread has ended and taken it along: a helper that held it last would end the workers on one of
    /// them.
    rounds: Option<Rounds<S>>,
    /// A helper met a defect: the thread ends with it.
    defect: Option<Defect>,
}

type Shared<S> = Arc<Mutex<Place<S>>>;

/// The thread.
pub struct Runner<S> {
    place: Shared<S>,
    ears: Ears,
    sleep: Sleep,
}

impl<S: Instance> Runner<S> {
    /// A bridge around a switch; `clock` and `wall`, the wall clock (TAI), are read once per round.
    pub fn new(
        hub: Hub<S>,
        inbox: Inbox,
        clock: impl Fn() -> Time + Send + 'static,
        wall: impl Fn() -> Duration + Send + 'static,
    ) -> Self {
        let place = Place { rounds: Some(Rounds::new(hub, inbox.events, clock, wall)), defect: None };
        Self { place: Arc::new(Mutex::new(place)), ears: inbox.ears, sleep: Sleep::default() }
    }

    /// The same, that looks for more to do for `limit` before it sleeps; unless told, it doesn't.
    #[must_use]
    pub fn spinning(mut self, limit: Duration) -> Self {
        self.with(|rounds, _| rounds.set_spin(limit));
        self
    }

    /// For the workers.
    pub fn helper(&self) -> Helper<S> {
        Helper { place: Arc::clone(&self.place), bell: self.ears.bell() }
    }

    /// Runs until told to stop, or until nobody is left who could tell.
    pub fn run(mut self) {
        while self.round() {}
        self.with(|rounds, _| rounds.end());
        // Their last bytes go out while somebody waits, but not for ever: a peer may not read.
        let until = self.with(|rounds, _| rounds.last_words());
        while self.with(|rounds, _| rounds.is_ending(until)) {
            self.ears.heed();
            self.ears.wait(&mut [self.ears.place()], LAST_LOOK);
        }
        info!("the bridge has stopped");
    }

    /// One round, and the sleep after it if there was nothing to do; false at the end.
    pub(super) fn round(&mut self) -> bool {
        self.ears.heed();
        let goes_on = self.with(|rounds, sleep| rounds.round(sleep));
        let Some(time) = self.sleep.time.filter(|_| goes_on) else { return goes_on };
        let sockets = self.sleep.sockets.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = std::iter::once(self.ears.place()).chain(sockets).collect();
        self.ears.wait(&mut fds, time);
        let ready = fds.iter().skip(1).zip(&self.sleep.sockets).filter(|(fd, _)| !fd.revents().is_empty());
        self.sleep.ready.extend(ready.map(|(_, (i, _))| *i));
        true
    }

    /// Works on the state.
    pub(super) fn with<R>(&mut self, work: impl FnOnce(&mut Rounds<S>, &mut Sleep) -> R) -> R {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(defect) = place.defect.take() {
            resume_unwind(defect);
        }
        let rounds = place.rounds.as_mut().unwrap_or_else(|| unreachable!("it is there as long as its thread"));
        work(rounds, &mut self.sleep)
    }
}

impl<S> Drop for Runner<S> {
    fn drop(&mut self) {
        // Ending the state ends the workers, which may just be asking for it: not under the lock.
        let rounds = self.place.lock().unwrap_or_else(PoisonError::into_inner).rounds.take();
        drop(rounds);
    }
}

/// Takes packets to the controllers on a worker's thread.
pub struct Helper<S> {
    place: Shared<S>,
    bell: Doorbell,
}

impl<S: Instance> Helper<S> {
    /// Says that packets for the controllers wait. `here`: a few may be taken to them on the calling thread, which is
    /// done if the bridge's thread sleeps; else, and for all that is left to do, it is woken up.
    pub fn packets_wait(&self, here: bool) {
        if !(here && self.bell.meets_sleep() && self.pass_on()) {
            self.bell.ring();
        }
    }

    /// Does so; false if it can't be now, or if something is left to do for the thread.
    pub(super) fn pass_on(&self) -> bool {
        let mut place = match self.place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => return false,
        };
        let Some(rounds) = &mut place.rounds else { return false };
        catch_unwind(AssertUnwindSafe(|| rounds.pass_on())).unwrap_or_else(|defect| {
            place.defect = Some(defect);
            false
        })
    }
}
