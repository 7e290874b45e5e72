//! The places of a listener: how many connections it has, and who goes when there are too many.
//!
//! Whoever only connects and says nothing, or drags out its handshake, gives way to whoever comes later: the
//! longest silent first. So a flood of connections costs a bounded amount, and the next controller still
//! gets in.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Connections that a listener has at a time.
pub const MAX_ACCEPTED: usize = 64;

/// A listener's connections. Dropping it ends them.
#[derive(Debug, Default)]
pub(super) struct Places {
    tasks: JoinSet<()>,
    /// The oldest first; whether each has agreed on a version.
    held: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
}

impl Places {
    /// Makes room for one more: false if all places are taken by connections that talk.
    pub fn make_room(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.held.retain(|(task, _)| !task.is_finished());
        if self.held.len() < MAX_ACCEPTED {
            return true;
        }
        let Some(silent) = self.held.iter().position(|(_, greeted)| !greeted.load(Ordering::Relaxed)) else {
            return false;
        };
        if let Some((task, _)) = self.held.remove(silent) {
            task.abort();
        }
        true
    }

    /// Runs a connection, which raises `greeted` when it has agreed on a version.
    pub fn spawn(&mut self, greeted: Arc<AtomicBool>, connection: impl Future<Output = ()> + Send + 'static) {
        self.held.push_back((self.tasks.spawn(connection), greeted));
    }
}

/// Says at most once in a while what happens again and again.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    said: Option<Instant>,
    unsaid: u64,
}

/// How often.
const PAUSE: Duration = Duration::from_secs(1);

impl Seldom {
    /// Whether to say it now: how many times it wasn't said since.
    pub fn say(&mut self, now: Instant) -> Option<u64> {
        if self.said.is_some_and(|at| now.duration_since(at) < PAUSE) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_silent_gives_way_and_talkers_stay() {
        let mut p = Places::default();
        let talker = Arc::new(AtomicBool::new(true));
        assert!(p.make_room());
        p.spawn(Arc::clone(&talker), std::future::pending());
        for _ in 0..10_000 {
            assert!(p.make_room());
            p.spawn(Arc::default(), std::future::pending());
            assert!(p.held.len() <= MAX_ACCEPTED);
        }
        assert!(Arc::ptr_eq(&p.held[0].1, &talker) && !p.held[0].0.is_finished());
        p.held.iter().for_each(|(_, g)| g.store(true, Ordering::Relaxed));
        assert!(!p.make_room(), "everybody talks");
        p.held[5].0.abort();
        while !p.held[5].0.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(p.make_room(), "one has ended");
    }

    #[test]
    fn a_storm_is_told_once_a_while() {
        let (mut s, now) = (Seldom::default(), Instant::now());
        assert_eq!((0..100).filter(|_| s.say(now).is_some()).count(), 1);
        assert_eq!(s.say(now + PAUSE), Some(99));
    }
}
