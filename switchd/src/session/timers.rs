//! What a connection's time does: handshake, probes, bundles and unfinished requests end in theirs.

use super::host::Host;
use super::{Session, State, limits};
use bytes::Bytes;
use datapath::clock::Time;
use ofproto::message::Message;
use ofproto::{ErrorKind, OfError};

impl Session {
    /// Timers: handshake, probes, bundles, unfinished requests. Commits at a set time are
    /// [`commit_due`](Self::commit_due)'s.
    pub fn tick(&mut self, now: Time, host: &mut dyn Host) {
        match self.state {
            State::Ending => return,
            State::Hello { since } => {
                if now.since(since) >= limits::HANDSHAKE {
                    self.end(false, format!("no hello within {:?}", limits::HANDSHAKE));
                }
                return;
            }
            State::Up => {}
        }
        for id in self.bundles.expire(now, |id| self.schedule.holds(id)) {
            let e = OfError::new(
                ErrorKind::BundleFailedTimeout,
                "bundle_id",
                format!("bundle {id} lay idle for {:?}; it is discarded", limits::BUNDLE_WAIT),
            );
            let xid = self.fresh_xid();
            self.refuse_with(xid, &[], &e);
        }
        while let Some(xid) = self.segments.expire(now.0) {
            let e = OfError::new(
                ErrorKind::BadRequestMultipartRequestTimeout,
                "flags",
                format!("the next segment didn't come within {:?}", limits::MULTIPART_WAIT),
            );
            self.refuse_with(xid, &[], &e);
        }
        if let Some(interval) = self.settings.probe {
            match self.probed {
                None if now.since(self.last_received) >= interval => {
                    let xid = self.fresh_xid();
                    self.probed = Some(now);
                    self.counters.probes_sent += 1;
                    self.send(xid, &Message::EchoRequest(Bytes::new()));
                }
                Some(at) if now.since(at) >= interval => {
                    self.end(false, format!("no answer to the inactivity probe within {interval:?}"));
                }
                _ => {}
            }
        }
        self.advance(now, host);
    }

    /// Notes that the peer is alive although its messages are held back.
    pub fn touch(&mut self, now: Time) {
        self.last_received = now;
        self.probed = None;
    }

    /// When [`tick`](Self::tick) is due next.
    pub fn deadline(&self) -> Option<Time> {
        let up = match self.state {
            State::Ending => return None,
            State::Hello { since } => return Some(since + limits::HANDSHAKE),
            State::Up => [
                self.settings.probe.map(|i| self.probed.unwrap_or(self.last_received) + i),
                self.bundles.deadline(|id| self.schedule.holds(id)),
                self.schedule.deadline(),
                self.segments.deadline().map(Time),
            ],
        };
        up.into_iter().flatten().min()
    }
}
