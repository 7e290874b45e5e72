//! Lists of flows for management, put into words a few flows at a time: between two pieces the bridge serves
//! everybody.
//!
//! A list shows one moment, however long it takes: a dump holds its version of the tables. One list is under way
//! at a time, and the others wait; a client that went away is noticed at the next piece.

use super::answers::{TERMS, failed};
use super::switch::{Packets, Switch};
use crate::management::{Answer, CallError};
use datapath::clock::Time;
use datapath::control::DumpId;
use ofproto::ids::TableId;
use ofproto::stats::{FlowDesc, FlowStatsRequest};
use ofproto::text::{self, ParseContext};
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// Most flows of one answer; there is a filter for more.
const MOST_FLOWS: usize = 100_000;

/// Flows of a piece.
const PIECE: usize = 128;

/// A list that is asked for.
struct Listing {
    request: FlowStatsRequest,
    /// Begun when its turn came.
    dump: Option<DumpId>,
    list: Vec<Value>,
    reply: oneshot::Sender<Answer>,
}

/// The lists that are asked for, in their order.
#[derive(Default)]
pub struct Listings(VecDeque<Listing>);

fn entry(f: &FlowDesc) -> Value {
    json!({
        "table": f.table.0,
        "priority": f.priority,
        "cookie": f.cookie.0,
        "match": text::MatchText(&f.matching).to_string(),
        "instructions": text::InstructionsText(&f.instructions).to_string(),
        "flow": text::FlowText(f).to_string(),
        "idle_timeout": f.idle_timeout,
        "hard_timeout": f.hard_timeout,
        "importance": f.importance,
        "flags": f.flags.bits(),
        "duration": f64::from(f.stats.duration_sec) + f64::from(f.stats.duration_nsec) / 1e9,
        "packets": f.stats.packet_count,
        "bytes": f.stats.byte_count,
    })
}

/// The answer to who asks for more than [`MOST_FLOWS`].
fn too_many() -> CallError {
    CallError::Failed(format!("there are more than {MOST_FLOWS} flows; ask for one table, or with a filter"))
}

impl<P: Packets> Switch<P> {
    /// Begins a list of the flows of `table` that `filter` leaves; it is answered when it is whole.
    pub(super) fn begin_listing(&mut self, table: Option<u8>, filter: Option<&str>, reply: oneshot::Sender<Answer>) {
        match self.listed(table, filter) {
            Ok(request) => self.listings.0.push_back(Listing { request, dump: None, list: Vec::new(), reply }),
            // A client that went away needs no answer.
            Err(e) => drop(reply.send(Err(e))),
        }
    }

    fn listed(&self, table: Option<u8>, filter: Option<&str>) -> Result<FlowStatsRequest, CallError> {
        let mut request = match filter {
            Some(text) => text::parse_flow_stats_request(text, &ParseContext::default())
                .map_err(|e| CallError::BadParams(format!("filter: {e}")))?,
            None => FlowStatsRequest::default(),
        };
        if let Some(t) = table {
            if t >= self.control.n_tables() {
                return Err(CallError::NotFound(format!("there is no table {t}")));
            }
            request.table = TableId(t);
        }
        Ok(request)
    }

    /// Goes on with the list under way, by one piece.
    pub(super) fn go_on_listing(&mut self, now: Time) {
        let Some(mut listing) = self.listings.0.pop_front() else { return };
        match self.next_piece(&mut listing, now) {
            Ok(false) => self.listings.0.push_front(listing),
            Ok(true) => drop(listing.reply.send(Ok(Value::Array(listing.list)))),
            Err(e) => {
                if let Some(dump) = listing.dump {
                    self.control.end_dump(dump);
                }
                drop(listing.reply.send(Err(e)));
            }
        }
    }

    /// Whether that was the last one.
    fn next_piece(&mut self, listing: &mut Listing, now: Time) -> Result<bool, CallError> {
        if listing.reply.is_closed() {
            return Err(CallError::Failed("nobody waits for it".into()));
        }
        let dump = match listing.dump {
            Some(dump) => dump,
            None => *listing.dump.insert(self.control.flow_stats(&listing.request, TERMS).map_err(|e| failed(&e))?),
        };
        let (flows, last) = self.control.next_flows(dump, PIECE, now);
        listing.list.extend(flows.iter().map(entry));
        if !last && listing.list.len() > MOST_FLOWS {
            return Err(too_many());
        }
        Ok(last)
    }

    /// When to go on.
    pub(super) fn listing_due(&self, now: Time) -> Option<Time> {
        (!self.listings.0.is_empty()).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Instance;
    use crate::bridge::hub::Backend;
    use crate::bridge::tests::{Bench, add};
    use ofproto::Version;
    use ofproto::flow::{FlowMod, FlowModCommand, FlowModFlags};
    use ofproto::message::Message;

    const V13: Version = Version::V13;
    const FLOWS: u16 = 1000;

    fn filled() -> Bench {
        let mut b = Bench::of(u32::from(FLOWS));
        let c = b.connect(V13);
        for priority in 0..FLOWS {
            b.say(c, V13, 2, &Message::FlowMod(FlowMod { priority, ..add(1, FlowModFlags::empty()) }));
        }
        assert_eq!(b.hear(c), []);
        b
    }

    fn ask(b: &mut Bench, table: Option<u8>, filter: Option<&str>) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        b.hub.switch.list_flows(table, filter, reply);
        answer
    }

    /// Ticks until there is nothing more to list: how many.
    fn ticks(b: &mut Bench) -> usize {
        let mut n = 0;
        while b.hub.switch.listing_due(b.now).is_some() {
            assert_eq!(b.hub.switch.deadline(b.now), Some(b.now), "nobody waits for a timer");
            b.hub.switch.tick(b.now);
            n += 1;
        }
        n
    }

    #[test]
    fn many_flows_are_listed_in_pieces_as_of_one_moment() {
        let mut b = filled();
        let mut first = ask(&mut b, None, None);
        let mut second = ask(&mut b, Some(0), Some("cookie=7/-1"));
        b.hub.switch.tick(b.now);
        assert!(first.try_recv().is_err(), "not whole yet");
        // What changes meanwhile isn't seen by the one that has begun.
        let c = b.connect(V13);
        let all = FlowMod { command: FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
        b.say(c, V13, 3, &Message::FlowMod(all));
        assert_eq!(ticks(&mut b), usize::from(FLOWS).div_ceil(PIECE) - 1 + 1);
        let list = first.try_recv().unwrap().unwrap();
        let mut priorities: Vec<_> = list.as_array().unwrap().iter().map(|f| f["priority"].as_u64().unwrap()).collect();
        priorities.sort_unstable();
        assert_eq!(priorities, (0..u64::from(FLOWS)).collect::<Vec<_>>());
        assert_eq!(second.try_recv().unwrap().unwrap(), json!([]));
    }

    #[test]
    fn who_goes_away_is_listed_nothing_more_and_who_asks_wrongly_hears_so_at_once() {
        let mut b = filled();
        let gone = ask(&mut b, None, None);
        b.hub.switch.tick(b.now);
        drop(gone);
        assert_eq!(ticks(&mut b), 1);
        let mut no_table = ask(&mut b, Some(4), None);
        assert!(matches!(no_table.try_recv().unwrap(), Err(CallError::NotFound(_))));
        let mut no_filter = ask(&mut b, None, Some("nonsense"));
        assert!(matches!(no_filter.try_recv().unwrap(), Err(CallError::BadParams(_))));
        assert_eq!(ticks(&mut b), 0);
    }
}
