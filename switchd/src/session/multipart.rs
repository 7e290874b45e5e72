//! Multipart requests: put together from segments within bounds, answered in as many segments as needed,
//! dumps as fast as the peer takes them.

use super::host::{Answer, Host};
use super::requests::{err, unknown_experimenter};
use super::{DumpKind, Session, Waiting, limits};
use datapath::clock::Time;
use ofproto::ids::Xid;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::stats::{FlowDesc, FlowStatsEntry};
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
                let Message::MultipartReply(Multipart { body, .. }) = message else { return None };
                match halve(body) {
                    Ok((first, second)) => {
                        self.send_reply(xid, first, false);
                        self.send_reply(xid, second, last);
                    }
                    Err(body) => {
                        warn!(conn = %self.id, version = %self.version, error = %e, "can't write a multipart reply");
                        self.last_error = Some(format!("can't write a multipart reply: {e}"));
                        if last && let Some(empty) = emptied(&body) {
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

/// The replies that are arrays.
macro_rules! arrays {
    ($of:ident) => {
        $of!(
            Flow,
            NxFlow,
            Table,
            PortStats,
            Queue,
            Group,
            GroupDesc,
            Meter,
            MeterConfig,
            TableFeatures,
            PortDesc,
            TableDesc,
            QueueDesc,
            FlowMonitor,
            FlowStats,
            ControllerStatus
        )
    };
}

/// Cuts a reply into two replies, or gives it back when it can't be cut.
fn halve(body: MultipartReply) -> Result<(MultipartReply, MultipartReply), MultipartReply> {
    macro_rules! cut {
        ($($variant:ident),*) => {
            match body {
                $(MultipartReply::$variant(mut v) if v.len() > 1 => {
                    let second = v.split_off(v.len() / 2);
                    Ok((MultipartReply::$variant(v), MultipartReply::$variant(second)))
                })*
                other => Err(other),
            }
        };
    }
    arrays!(cut)
}

/// The empty reply of the same type, for an array whose one element can't be written.
fn emptied(body: &MultipartReply) -> Option<MultipartReply> {
    macro_rules! empty {
        ($($variant:ident),*) => {
            match body {
                $(MultipartReply::$variant(v) if !v.is_empty() => Some(MultipartReply::$variant(Vec::new())),)*
                _ => None,
            }
        };
    }
    arrays!(empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::flow::FlowMod;
    use ofproto::stats::FlowStats;

    #[test]
    fn every_array_can_be_halved_and_emptied() {
        let flow = || FlowDesc::added(FlowMod::default(), FlowStats::default());
        let flows = || vec![flow(), flow()];
        for reply in [MultipartReply::Flow(flows()), MultipartReply::NxFlow(flows())] {
            // A dump whose last entry can't be said ends with an empty reply; it would never end without.
            let empty = emptied(&reply).expect("an empty reply of the same type");
            assert_eq!(std::mem::discriminant(&empty), std::mem::discriminant(&reply));
            assert_eq!(emptied(&empty), None);
            let (first, second) = halve(reply).expect("two halves");
            assert_eq!(first, second);
            assert!(halve(first).is_err(), "one entry can't be cut");
        }
    }
}
