//! Multipart requests: put together from segments within bounds, answered in as many segments as needed,
//! dumps as fast as the peer takes them.

use super::host::{Answer, Host};
use super::requests::{err, unknown_experimenter};
use super::{DumpKind, Session, Waiting, limits};
use datapath::clock::Time;
use ofproto::ids::Xid;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::stats::{FlowDesc, FlowStatsEntry};
use ofproto::wire::segment::Segment as _;
use ofproto::{ErrorKind, OfError};
use ofproto::{Version, validate, wire};
use std::collections::VecDeque;
use tracing::warn;

impl Session {
    pub(super) fn multipart(
        &mut self,
        now: Time,
        xid: Xid,
        request: Multipart<MultipartRequest>,
        bytes: usize,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let Some(body) = self.segments.push(now.0, xid, request, bytes)? else { return Ok(()) };
        if matches!(body, MultipartRequest::Empty { .. }) {
            // Of all its segments none held anything: what one alone is.
            return validate::message(&Message::MultipartRequest(Multipart::last(body)), self.version);
        }
        self.answer(now, xid, &body, host)
    }

    fn answer(&mut self, now: Time, xid: Xid, request: &MultipartRequest, host: &mut dyn Host) -> Result<(), OfError> {
        match request {
            MultipartRequest::Unknown { ty, .. } => {
                return Err(err(
                    ErrorKind::BadRequestBadMultipart,
                    "type",
                    format!("multipart type {ty} is not defined in OpenFlow {}", self.version),
                ));
            }
            MultipartRequest::Experimenter(e) => return Err(unknown_experimenter(e)),
            MultipartRequest::BundleFeatures(request) => {
                let features = self.schedule.features(host.wall(), request)?;
                self.send_reply(xid, MultipartReply::BundleFeatures(features), true);
                return Ok(());
            }
            MultipartRequest::FlowMonitor(requests) => return self.flow_monitor(now, xid, requests, host),
            _ => {}
        }
        let kind = match request {
            MultipartRequest::FlowStats(_) => DumpKind::Stats,
            MultipartRequest::NxFlow(_) => DumpKind::Nicira,
            _ => DumpKind::Desc,
        };
        match host.multipart(now, self.version, request)? {
            Answer::Whole(reply) => {
                self.send_reply(xid, reply, true);
            }
            Answer::Flows(cursor) => {
                self.waiting =
                    Waiting::Flows { xid, cursors: VecDeque::from([cursor]), kind, held: None, spare: Vec::new() };
            }
        }
        Ok(())
    }

    /// Goes on with a dump while the peer takes it.
    pub(super) fn pump(&mut self, now: Time, host: &mut dyn Host) {
        while self.unsent() < limits::REPLY_QUEUE {
            let Waiting::Flows { xid, cursors, kind, held, spare } = &mut self.waiting else { return };
            let xid = *xid;
            let Some(cursor) = cursors.front_mut() else {
                let last = held.take().unwrap_or_else(|| kind.reply(Vec::new(), 0));
                self.waiting = Waiting::Nothing;
                self.send_reply(xid, last, true);
                return;
            };
            let mut flows = std::mem::take(spare);
            host.next_flows(now, cursor, limits::FLOWS_PER_STEP, &mut flows);
            let ended = cursor.ended;
            if ended {
                cursors.pop_front();
            }
            if flows.is_empty() {
                *spare = flows;
                if ended {
                    continue;
                }
                // Nothing found so far in a long search: others have their turn.
                return;
            }
            let left = cursors.len() + usize::from(ended);
            let reply = kind.reply(flows, left);
            // One step is held back, because only the last segment may say that none follows.
            if let Some(earlier) = held.replace(reply) {
                let sent = self.send_reply(xid, earlier, false);
                if let (Some(MultipartReply::Flow(flows)), Waiting::Flows { spare, .. }) = (sent, &mut self.waiting) {
                    *spare = flows;
                }
            }
        }
    }

    /// Sends a reply in as many segments as it needs; `last` says that no more comes after it. Gives it back if it
    /// needed one.
    pub(super) fn send_reply(&mut self, xid: Xid, mut body: MultipartReply, last: bool) -> Option<MultipartReply> {
        if self.version >= Version::V15 {
            super::loads::say_as_set_field(&mut body);
        }
        let message = Message::MultipartReply(Multipart { more: !last, other_flags: 0, body });
        match wire::encode_into(&mut self.out, self.version, xid, &message) {
            Ok(()) => {
                self.counters.messages_sent += 1;
                let Message::MultipartReply(Multipart { body, .. }) = message else { return None };
                Some(body)
            }
            Err(e) => {
                let Message::MultipartReply(Multipart { mut body, .. }) = message else { return None };
                match body.halve() {
                    Some(second) => {
                        self.send_reply(xid, body, false);
                        self.send_reply(xid, second, last);
                    }
                    None => {
                        warn!(conn = %self.id, version = %self.version, error = %e, "can't write a multipart reply");
                        self.last_error = Some(format!("can't write a multipart reply: {e}"));
                        // A dump whose last entry can't be said would never end.
                        if last && let Some(empty) = body.emptied() {
                            self.send_reply(xid, empty, true);
                        }
                    }
                }
                None
            }
        }
    }
}

impl DumpKind {
    /// The part of the reply that these flows make, while `left` cursors aren't at their end.
    fn reply(&self, flows: Vec<FlowDesc>, left: usize) -> MultipartReply {
        match self {
            Self::Desc => MultipartReply::Flow(flows),
            Self::Nicira => MultipartReply::NxFlow(flows),
            Self::Stats => MultipartReply::FlowStats(
                flows
                    .into_iter()
                    .map(|f| FlowStatsEntry {
                        table: f.table,
                        reason: 0,
                        priority: f.priority,
                        matching: f.matching,
                        stats: f.stats,
                    })
                    .collect(),
            ),
            Self::Initial(monitors) => MultipartReply::FlowMonitor(super::monitor::initial(
                monitors,
                monitors.len().saturating_sub(left),
                &flows,
            )),
        }
    }
}
