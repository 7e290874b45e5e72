//! The queues as controllers see them.

use crate::queues::Queue;
use datapath::clock::Time;
use datapath::port::QueueCounters;
use ofproto::ids::{PortNo, QueueId};
use ofproto::queue::{QueueDesc, QueueStats};
use std::collections::BTreeMap;

/// Every port's queues, and since when there are.
#[derive(Debug, Default)]
pub struct QueueTable(BTreeMap<(PortNo, QueueId), (Queue, Time)>);

impl QueueTable {
    /// A port's queues are these now. Those that were there keep their age.
    pub fn set(&mut self, now: Time, port: PortNo, queues: &[Queue]) {
        self.0.retain(|(p, id), _| *p != port || queues.iter().any(|q| q.id == *id));
        for q in queues {
            self.0.entry((port, q.id)).or_insert((*q, now)).0 = *q;
        }
    }

    fn matching(&self, port: PortNo, queue: QueueId) -> impl Iterator<Item = (PortNo, &(Queue, Time))> {
        let any = port == PortNo::ANY || port == PortNo::ALL;
        self.0
            .iter()
            .filter(move |((p, q), _)| (any || *p == port) && (queue == QueueId::ALL || *q == queue))
            .map(|((p, _), entry)| (*p, entry))
    }

    /// Whether some port among those meant has a queue of this number.
    pub fn has(&self, port: PortNo, queue: QueueId) -> bool {
        self.matching(port, queue).next().is_some()
    }

    /// Every queue with its port.
    pub fn iter(&self) -> impl Iterator<Item = (PortNo, &Queue)> {
        self.0.iter().map(|((p, _), (q, _))| (*p, q))
    }

    /// Descriptions of the queues meant.
    pub fn describe(&self, port: PortNo, queue: QueueId) -> Vec<QueueDesc> {
        self.matching(port, queue).map(|(p, (q, _))| q.describe(p)).collect()
    }

    /// Statistics of the queues meant.
    pub fn stats(
        &self,
        now: Time,
        port: PortNo,
        queue: QueueId,
        counters: impl Fn(PortNo, QueueId) -> Option<QueueCounters>,
    ) -> Vec<QueueStats> {
        let stats = |(p, (q, created)): (PortNo, &(Queue, Time))| {
            let c = counters(p, q.id).unwrap_or_default();
            let age = now.since(*created);
            QueueStats {
                port: p,
                queue: q.id,
                tx_bytes: c.tx_bytes,
                tx_packets: c.tx_packets,
                tx_errors: c.tx_errors,
                duration_sec: u32::try_from(age.as_secs()).unwrap_or(u32::MAX),
                duration_nsec: age.subsec_nanos(),
                properties: Vec::new(),
            }
        };
        self.matching(port, queue).map(stats).collect()
    }
}
