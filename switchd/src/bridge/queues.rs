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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Instance;
    use crate::bridge::tests::Bench;
    use crate::ports::PortEvent;
    use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
    use ofproto::queue::QueueProp;
    use ofproto::{ErrorKind, Version};

    fn bench() -> Bench {
        let mut b = Bench::new();
        let queue = |id, min, max| Queue { id: QueueId(id), min, max, speed: 1_000_000_000 };
        let (now, one) = (b.now, queue(1, Some(100_000_000), None));
        b.hub.switch.port_event(now, PortEvent::Queues(PortNo(1), vec![one, queue(2, None, Some(1000))]));
        b.hub.switch.port_event(now, PortEvent::Queues(PortNo(2), vec![one]));
        b
    }

    fn stats(port: PortNo, queue: QueueId) -> Message {
        Message::MultipartRequest(Multipart::last(MultipartRequest::Queue { port, queue }))
    }

    #[test]
    fn statistics_are_of_the_queues_meant_and_errors_name_what_is_missing() {
        for version in Version::ALL {
            let mut b = bench();
            let c = b.connect(version);
            // OpenFlow 1.0 says OFPP_ALL for every port, later versions OFPP_ANY.
            let every = if version == Version::V10 { PortNo::ALL } else { PortNo::ANY };
            for (port, queue, expected) in [
                (every, QueueId::ALL, 3),
                (every, QueueId(1), 2),
                (PortNo(1), QueueId::ALL, 2),
                (PortNo(1), QueueId(2), 1),
                // A port without queues isn't wrong.
                (PortNo(3), QueueId::ALL, 0),
            ] {
                match b.ask(c, version, &stats(port, queue)) {
                    Message::MultipartReply(Multipart { body: MultipartReply::Queue(list), .. }) => {
                        assert_eq!(list.len(), expected, "{version} {port} {queue}");
                    }
                    other => panic!("{version}: {other:?}"),
                }
            }
            let mut error = |port, queue| b.error(c, version, &stats(port, queue));
            assert_eq!(error(PortNo(2), QueueId(2)), ErrorKind::QueueOpFailedBadQueue);
            assert_eq!(error(every, QueueId(9)), ErrorKind::QueueOpFailedBadQueue);
            assert_eq!(error(PortNo(9), QueueId(1)), ErrorKind::QueueOpFailedBadPort);
            b.hub.switch.port_event(b.now, PortEvent::Removed(PortNo(1)));
            assert_eq!(b.hub.switch.queues.iter().count(), 1);
        }
    }

    #[test]
    fn rates_are_told_in_tenths_of_a_per_cent() {
        for version in [Version::V10, Version::V12, Version::V13] {
            let mut b = bench();
            let c = b.connect(version);
            let reply = b.ask(c, version, &Message::QueueGetConfigRequest(PortNo(1)));
            let Message::QueueGetConfigReply { port, queues } = reply else { panic!("{reply:?}") };
            assert_eq!((port, queues.len()), (PortNo(1), 2));
            assert_eq!(queues[0].properties, [QueueProp::MinRate(100)]);
            assert_eq!(
                b.error(c, version, &Message::QueueGetConfigRequest(PortNo(9))),
                ErrorKind::QueueOpFailedBadPort
            );
        }
        let mut b = bench();
        let c = b.connect(Version::V15);
        let ask = MultipartRequest::QueueDesc { port: PortNo::ANY, queue: QueueId::ALL };
        match b.ask(c, Version::V15, &Message::MultipartRequest(Multipart::last(ask))) {
            Message::MultipartReply(Multipart { body: MultipartReply::QueueDesc(list), .. }) => {
                assert_eq!(list.len(), 3);
                // A thousandth of a tenth of a per cent: told as the least there is.
                assert_eq!(list[1].properties, [QueueProp::MaxRate(1)]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_queue_keeps_its_age_while_it_stays() {
        let mut t = QueueTable::default();
        let queue = Queue { id: QueueId(1), min: None, max: None, speed: 1 };
        t.set(Time::from_secs(1), PortNo(1), &[queue]);
        t.set(Time::from_secs(5), PortNo(1), &[queue, Queue { id: QueueId(2), ..queue }]);
        let ages = |t: &QueueTable| -> Vec<u32> {
            let all = t.stats(Time::from_secs(6), PortNo::ANY, QueueId::ALL, |_, _| None);
            all.iter().map(|s| s.duration_sec).collect()
        };
        assert_eq!(ages(&t), [5, 1]);
    }
}
