//! Commits at a set time (OpenFlow 1.5.1 §6.9.6, §7.3.5.20): wall-clock times of controllers against the
//! bridge's own clock, and how far off they may be.
//!
//! A commit's time is turned into the bridge's clock once, when the request comes: that a wall clock is
//! set afterwards moves no commit. Tolerances belong to the connection that asked for them.

use super::requests::err;
use datapath::clock::Time;
use ofproto::bundle::{BundleCtrl, BundleFeatures, BundleFeaturesProp, BundleProp, OfTime};
use ofproto::group::OtherProp;
use ofproto::ids::{BundleId, Xid};
use ofproto::{ErrorKind, OfError};
use std::collections::BTreeMap;
use std::time::Duration;

/// `sched_max_future` and `sched_max_past` until a controller sets others.
const TOLERANCE: Duration = Duration::from_secs(1);
/// The most that a controller may set: a bundle holds memory while it waits.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// How late a commit may be on a machine that has time for it.
const ACCURACY: Duration = Duration::from_millis(1);

/// `OFPBF_TIMESTAMP`: the request bears the controller's time, of which this switch makes nothing.
const TIMESTAMP: u32 = 1;
/// `OFPBF_TIME_SET_SCHED`
const SET_SCHED: u32 = 2;
/// `OFPBF_ATOMIC`, `OFPBF_ORDERED` and `OFPBF_TIME`
const CAPABILITIES: u32 = 7;

/// A commit that waits for its time.
#[derive(Debug)]
pub(super) struct Due {
    pub at: Time,
    pub xid: Xid,
    pub control: BundleCtrl,
}

/// The commits of one connection that wait, and its tolerances.
#[derive(Debug)]
pub(super) struct Schedule {
    max_future: Duration,
    max_past: Duration,
    waiting: BTreeMap<BundleId, Due>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { max_future: TOLERANCE, max_past: TOLERANCE, waiting: BTreeMap::new() }
    }
}

fn duration(t: OfTime) -> Option<Duration> {
    (t.nanoseconds < 1_000_000_000).then(|| Duration::new(t.seconds, t.nanoseconds))
}

fn of_time(d: Duration) -> OfTime {
    OfTime { seconds: d.as_secs(), nanoseconds: d.subsec_nanos() }
}

impl Schedule {
    /// When to commit: `None` for at once. `wall` is what the wall clock shows `now`.
    pub(super) fn time(&self, now: Time, wall: Duration, control: &BundleCtrl) -> Result<Option<Time>, OfError> {
        let asked = control.properties.iter().find_map(|p| match p {
            BundleProp::Time(t) => Some(*t),
            BundleProp::Other(_) => None,
        });
        let Some(asked) = asked else {
            let reason = "OFPBF_TIME is set and there is no time property";
            return Err(err(ErrorKind::BundleFailedBadFlags, "flags", reason));
        };
        let Some(at) = duration(asked) else {
            let reason = format!("{} nanoseconds are more than a second", asked.nanoseconds);
            return Err(err(ErrorKind::BadPropertyBadValue, "scheduled_time", reason));
        };
        let ahead = at.saturating_sub(wall);
        let behind = wall.saturating_sub(at);
        if ahead > self.max_future {
            let reason = format!("{ahead:?} ahead; {:?} at most are taken", self.max_future);
            return Err(err(ErrorKind::BundleFailedSchedFuture, "scheduled_time", reason));
        }
        if behind > self.max_past {
            let reason = format!("{behind:?} ago; {:?} at most are taken", self.max_past);
            return Err(err(ErrorKind::BundleFailedSchedPast, "scheduled_time", reason));
        }
        Ok((!ahead.is_zero()).then(|| now + ahead))
    }

    /// Remembers a commit.
    pub(super) fn add(&mut self, due: Due) {
        self.waiting.insert(due.control.bundle, due);
    }

    /// Forgets a commit.
    pub(super) fn cancel(&mut self, id: BundleId) {
        self.waiting.remove(&id);
    }

    /// Refuses what can't be done to a bundle whose commit waits.
    pub(super) fn refuse_waiting(&self, id: BundleId) -> Result<(), OfError> {
        if self.waiting.contains_key(&id) {
            let reason = format!("the commit of bundle {id} waits for its time");
            return Err(err(ErrorKind::BundleFailedBundleInProgress, "bundle_id", reason));
        }
        Ok(())
    }

    /// Whether a bundle's commit waits.
    pub(super) fn holds(&self, id: BundleId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// The next commit whose time has come.
    pub(super) fn due(&mut self, now: Time) -> Option<Due> {
        let id = *self.waiting.iter().filter(|(_, d)| d.at <= now).min_by_key(|(_, d)| d.at)?.0;
        self.waiting.remove(&id)
    }

    /// When the next is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting.values().map(|d| d.at).min()
    }

    /// Answers a bundle-features request.
    pub(super) fn features(&mut self, wall: Duration, request: &BundleFeatures) -> Result<BundleFeatures, OfError> {
        check(request)?;
        if request.flags & SET_SCHED != 0 {
            let set = request.properties.iter().find_map(|p| match p {
                BundleFeaturesProp::Time { max_future, max_past, .. } => Some((*max_future, *max_past)),
                BundleFeaturesProp::Other(_) => None,
            });
            let bad = |reason: String| err(ErrorKind::BadRequestMultipartBadSched, "properties", reason);
            let Some((future, past)) = set else {
                return Err(bad("tolerances are to be set, and there is no time property".to_owned()));
            };
            match (duration(future), duration(past)) {
                (Some(f), Some(p)) if f <= MOST && p <= MOST => (self.max_future, self.max_past) = (f, p),
                _ => return Err(bad(format!("tolerances can be up to {MOST:?}"))),
            }
        }
        Ok(BundleFeatures {
            flags: CAPABILITIES,
            properties: vec![BundleFeaturesProp::Time {
                accuracy: of_time(ACCURACY),
                max_future: of_time(self.max_future),
                max_past: of_time(self.max_past),
                // In every reply (OpenFlow 1.5.1 §7.3.5.20.4).
                timestamp: of_time(wall),
            }],
        })
    }
}

/// Reserved flags and properties (OpenFlow 1.5.1 §7.1.3); no code says so of the flags.
fn check(request: &BundleFeatures) -> Result<(), OfError> {
    let unknown = request.flags & !(TIMESTAMP | SET_SCHED);
    if unknown != 0 {
        let reason = format!("bits {unknown:#x} are not defined");
        return Err(err(ErrorKind::BadRequestUnknown, "feature_request_flags", reason));
    }
    let mut times = 0;
    for p in &request.properties {
        match p {
            BundleFeaturesProp::Time { .. } => times += 1,
            BundleFeaturesProp::Other(other) => return Err(unknown_property(other)),
        }
    }
    if times > 1 {
        return Err(err(ErrorKind::BadPropertyDupType, "property type", "two of one type"));
    }
    Ok(())
}

/// A property that nobody here knows.
pub(super) fn unknown_property(prop: &OtherProp) -> OfError {
    match prop {
        OtherProp::Experimenter(p) => {
            err(ErrorKind::BadPropertyBadExperimenter, "experimenter", format!("{} is not known", p.experimenter))
        }
        OtherProp::Unknown(p) => {
            err(ErrorKind::BadPropertyBadType, "property type", format!("{} is not defined", p.ty))
        }
    }
}
