//! A packet's walk told in words and as JSON: which entry took it in each table, which better ones passed
//! it over and why, what was done to it, and what became of it.

mod action;

use datapath::key::{FlowKey, VLAN_PRESENT};
use datapath::trace::conjunction::{self, Standing};
use datapath::trace::{Matched, Met, Mismatch, Trace, What};
use ofproto::field::{FIELDS, FieldId as F};
use ofproto::ids::{PortNo, TableId};
use ofproto::matching::{Match, MatchField};
use ofproto::text::{InstructionsText, MatchText};
use serde_json::{Value, json};

/// Most better entries of one lookup that are told why they weren't it.
pub const MOST_PASSED_OVER: usize = 8;

/// Tells a trace; `met` is what its lookups met, in their order.
pub fn explain(trace: &Trace, met: &[Met]) -> Value {
    let mut lines = Vec::new();
    let (mut met, nothing) = (met.iter(), Met::default());
    let steps: Vec<Value> = trace
        .steps
        .iter()
        .map(|step| {
            let (text, mut value) = match &step.what {
                What::Lookup { table, key, hit } => lookup(*table, key, *hit, met.next().unwrap_or(&nothing)),
                what => tell(what),
            };
            let indent = "  ".repeat(step.depth as usize);
            lines.extend(text.lines().map(|l| format!("{indent}{l}")));
            if let Some(object) = value.as_object_mut() {
                object.insert("depth".into(), json!(step.depth));
                object.insert("text".into(), json!(text));
            }
            value
        })
        .collect();
    let sent: Vec<Value> = trace
        .result
        .sent
        .iter()
        .map(|(port, queue, frame)| {
            json!({ "port": port.to_string(), "queue": queue.map(|q| q.0), "frame": hex(frame.bytes()) })
        })
        .collect();
    let dropped: Vec<&str> = trace.result.drops.iter().map(|d| d.name()).collect();
    let controller = trace.result.punts.len();
    let mut ends = Vec::new();
    if !sent.is_empty() {
        let ports: Vec<String> = trace.result.sent.iter().map(|s| port_name(s.0)).collect();
        ends.push(format!("sent to {}", ports.join(", ")));
    }
    if controller > 0 {
        ends.push(format!("{controller} to the controller"));
    }
    if !dropped.is_empty() {
        ends.push(format!("dropped: {}", dropped.join(", ")));
    }
    lines.push(format!("Result: {}", if ends.is_empty() { "nothing".to_owned() } else { ends.join("; ") }));
    json!({
        "steps": steps,
        "sent": sent,
        "to_controller": controller,
        "dropped": dropped,
        "text": lines.join("\n"),
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut s, b| {
        // Writing to a String can't fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn port_name(port: PortNo) -> String {
    format!("port {port}")
}

fn prioritised(priority: u16, m: &Match) -> String {
    let m = MatchText(m).to_string();
    if m.is_empty() { format!("priority={priority}") } else { format!("priority={priority},{m}") }
}

/// A mismatch in words.
pub fn because(m: &Mismatch) -> String {
    let shown = |field: MatchField| MatchText(&Match::new(vec![field])).to_string();
    let found = shown(MatchField::exact(m.field, m.found));
    let wanted = if m.mask == m.field.info().all_ones() {
        shown(MatchField::exact(m.field, m.wanted))
    } else {
        shown(MatchField::masked(m.field, m.wanted, m.mask))
    };
    format!("wants {wanted}, has {found}")
}

/// Why an entry that wants a conjunction wasn't it, in words and as JSON. Clauses count from 1, as in
/// `conjunction(1,2/3)`.
fn unmet(wants: &Match, standings: &[Standing]) -> (String, Value) {
    // Of several priorities that which comes nearest.
    let Some(s) = standings.iter().min_by_key(|s| s.missing.len()) else {
        let id = conjunction::wanted(wants).unwrap_or_default();
        return (format!("no entry is a clause of conjunction {id}"), json!({ "id": id, "clauses": 0 }));
    };
    let number = |clause: u8| u32::from(clause) + 1;
    let met: Vec<u32> = s.met.iter().map(|c| number(*c)).collect();
    let mut missing = Vec::new();
    let mut told = Vec::new();
    for m in &s.missing {
        let (n, of) = (number(m.clause), s.n_clauses);
        let why = match &m.nearest {
            Some((entry, differs)) => {
                format!("nothing matches clause {n}/{of} (as {}: {})", MatchText(entry), because(differs))
            }
            None => format!("clause {n}/{of} has no entry"),
        };
        missing.push(json!({ "clause": n, "because": why }));
        told.push(why);
    }
    let why = if told.is_empty() {
        format!("conjunction {} is met, but what matched comes first", s.id)
    } else {
        format!("of conjunction {} {}", s.id, told.join(", "))
    };
    let clauses = json!({
        "id": s.id, "priority": s.priority, "clauses": s.n_clauses, "met": met, "missing": missing,
    });
    (why, clauses)
}

/// What a lookup found, and what it passed over.
fn lookup(table: TableId, key: &FlowKey, hit: Option<Matched>, met: &Met) -> (String, Value) {
    let packet = MatchText(&packet(key)).to_string();
    let shown = met
        .entry
        .as_ref()
        .map(|f| format!("{} {}", prioritised(f.priority, &f.matching), InstructionsText(&f.instructions)));
    let mut text = format!("table {table}: {packet}");
    match (&shown, hit) {
        (Some(shown), _) => text += &format!("\n  matched: {shown}"),
        (None, Some(h)) => text += &format!("\n  matched: priority={}, cookie={}", h.priority, h.cookie),
        (None, None) => text += "\n  no entry matched",
    }
    let mut passed = Vec::new();
    for r in &met.passed_over {
        let (why, clauses) = match (&r.conjunction, &r.because) {
            (Some(standings), _) => unmet(&r.matching, standings),
            (None, Some(differs)) => (because(differs), Value::Null),
            // It came after the walk.
            (None, None) => continue,
        };
        let matching = MatchText(&r.matching).to_string();
        text += &format!("\n  not {}: {why}", prioritised(r.priority, &r.matching));
        let mut value = json!({ "priority": r.priority, "cookie": r.cookie.0, "match": matching, "because": why });
        if !clauses.is_null() {
            value["conjunction"] = clauses;
        }
        passed.push(value);
    }
    let value = json!({
        "step": "lookup", "table": table.0, "packet": packet, "entry": shown,
        "priority": hit.map(|h| h.priority), "cookie": hit.map(|h| h.cookie.0), "passed_over": passed,
    });
    (text, value)
}

fn tell(what: &What) -> (String, Value) {
    match what {
        // Told with what it met.
        What::Lookup { table, .. } => (format!("table {table}"), json!({ "step": "lookup", "table": table.0 })),
        What::Miss { table, miss } => {
            let does = format!("{miss:?}").to_lowercase();
            (format!("table {table}: miss, {does}"), json!({ "step": "miss", "table": table.0, "does": does }))
        }
        What::Action(op) => {
            let action = action::in_words(op);
            (format!("do {action}"), json!({ "step": "action", "action": action }))
        }
        What::WriteActions(ops) => {
            let ops: Vec<String> = ops.iter().map(action::in_words).collect();
            (format!("action set: {}", ops.join(", ")), json!({ "step": "action_set", "actions": ops }))
        }
        What::Group { group, bucket } => {
            let bucket_text = bucket.map_or("no bucket".to_owned(), |b| format!("bucket {b}"));
            (format!("group {group}: {bucket_text}"), json!({ "step": "group", "group": group.0, "bucket": bucket }))
        }
        What::Meter { meter, verdict } => {
            let verdict = verdict.map(|v| format!("{v:?}").to_lowercase());
            let text = format!("meter {meter}: {}", verdict.as_deref().unwrap_or("not charged in a trace"));
            (text, json!({ "step": "meter", "meter": meter.0, "verdict": verdict }))
        }
        What::Egress { port, table } => {
            let text = format!("egress of {} begins at table {table}", port_name(*port));
            (text, json!({ "step": "egress", "port": port.to_string(), "table": table.0 }))
        }
        What::Output { port, queue, len } => {
            let on = queue.map_or(String::new(), |q| format!(", queue {q}"));
            let text = format!("output to {}{on} ({len} bytes)", port_name(*port));
            (text, json!({ "step": "output", "port": port.to_string(), "queue": queue.map(|q| q.0), "bytes": len }))
        }
        What::Controller { reason, max_len } => {
            let reason = format!("{reason:?}");
            let text = format!("to the controller ({reason}, {max_len} bytes at most)");
            (text, json!({ "step": "controller", "reason": reason, "max_len": max_len }))
        }
        What::Drop(reason) => {
            (format!("dropped: {}", reason.name()), json!({ "step": "drop", "reason": reason.name() }))
        }
    }
}

/// A packet's fields as a match: those that it has.
fn packet(key: &FlowKey) -> Match {
    let mut m = Match::any();
    let mut add = |id: F, always: bool| {
        let value = key.get(id);
        if always || value != 0 {
            m = std::mem::take(&mut m).with(id, value);
        }
    };
    add(F::InPort, true);
    add(F::Metadata, false);
    add(F::TunnelId, false);
    add(F::PktMark, false);
    // An entry may have been passed over for one of them.
    FIELDS.iter().filter(|f| f.name.starts_with("reg")).for_each(|f| add(f.id, false));
    add(F::EthSrc, true);
    add(F::EthDst, true);
    if key.get(F::VlanVid) & u128::from(VLAN_PRESENT) != 0 {
        add(F::VlanVid, true);
        add(F::VlanPcp, true);
    }
    add(F::EthType, true);
    let eth_type = key.get(F::EthType);
    match eth_type {
        0x0800 => [F::Ipv4Src, F::Ipv4Dst].map(|id| add(id, true)),
        0x86dd => [F::Ipv6Src, F::Ipv6Dst].map(|id| add(id, true)),
        0x0806 => {
            add(F::ArpOp, true);
            [F::ArpSpa, F::ArpTpa].map(|id| add(id, true))
        }
        0x8847 | 0x8848 => {
            add(F::MplsBos, true);
            [F::MplsLabel, F::MplsTc].map(|id| add(id, true))
        }
        _ => [(); 2],
    };
    if matches!(eth_type, 0x0800 | 0x86dd) {
        add(F::IpProto, true);
        add(F::IpDscp, false);
        add(F::IpEcn, false);
        match key.get(F::IpProto) {
            6 => [F::TcpSrc, F::TcpDst].map(|id| add(id, true)),
            17 => [F::UdpSrc, F::UdpDst].map(|id| add(id, true)),
            132 => [F::SctpSrc, F::SctpDst].map(|id| add(id, true)),
            1 => [F::Icmpv4Type, F::Icmpv4Code].map(|id| add(id, true)),
            58 => [F::Icmpv6Type, F::Icmpv6Code].map(|id| add(id, true)),
            _ => [(); 2],
        };
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;
    use datapath::clock::Time;
    use datapath::control::{Control, ControlConfig};
    use datapath::engine::{CACHE_ENTRIES, PipelineEngine, Shared, SharedConfig};
    use datapath::pipeline::Start;
    use datapath::publish::Reader;
    use datapath::trace::search;
    use ofproto::Version;
    use ofproto::action::Action;
    use ofproto::flow::{FlowMod, FlowModCommand};
    use ofproto::instruction::Instruction;
    use ofproto::nicira::NxAction;
    use std::sync::Arc;

    /// Tables and one who walks them.
    struct Walks {
        control: Control,
        engine: PipelineEngine<Reader>,
    }

    impl Walks {
        fn new() -> Self {
            let mut control = Control::new(ControlConfig::default());
            let shared = Arc::new(Shared::new(SharedConfig::default()));
            let engine = PipelineEngine::new(control.attach_worker().unwrap(), shared, CACHE_ENTRIES);
            Self { control, engine }
        }

        fn add(&mut self, priority: u16, matching: Match, actions: Vec<Action>) {
            let instructions = vec![Instruction::ApplyActions(actions)];
            let m = FlowMod { priority, matching, instructions, ..FlowMod::default() };
            self.control.flow_mod(Version::V15, &m, Time::ZERO).unwrap();
        }

        fn told(&mut self, packet: &Match) -> Value {
            let (frame, mut key) = datapath::compose::compose(packet).unwrap();
            key.set(F::InPort, 3);
            let trace = self.engine.trace(key, frame, Start::Received, Time::ZERO);
            let met = search(&mut self.control, &trace, MOST_PASSED_OVER, Time::ZERO).unwrap();
            explain(&trace, &met)
        }
    }

    fn tcp() -> Match {
        Match::any().with(F::EthType, 0x800).with(F::IpProto, 6)
    }

    #[test]
    fn a_conjunction_that_is_not_met_names_the_clause_that_is_missing() {
        let clause = |clause| vec![Action::Nicira(NxAction::Conjunction { id: 7, clause, n_clauses: 3 })];
        let mut w = Walks::new();
        w.add(2, tcp().with(F::ConjId, 7), vec![]);
        w.add(1, Match::any(), vec![]);
        let packet = tcp().with(F::Ipv4Src, 0x0a00_0001).with(F::TcpDst, 22);
        // No clause at all.
        let t = w.told(&packet);
        assert!(t["text"].as_str().unwrap().contains("no entry is a clause of conjunction 7"), "{}", t["text"]);
        w.add(5, tcp().with(F::Ipv4Src, 0x0a00_0001), clause(0));
        w.add(5, tcp().with(F::TcpDst, 443), clause(1));
        w.add(5, tcp().with(F::TcpDst, 80), clause(1));
        let t = w.told(&packet);
        let text = t["text"].as_str().unwrap();
        let line = "  not priority=2,conj_id=7,tcp: of conjunction 7 nothing matches clause 2/3 (as tcp,tp_dst=443: wants \
                    tcp_dst=443, has tcp_dst=22), clause 3/3 has no entry";
        assert!(text.lines().any(|l| l == line), "{line}\nin\n{text}");
        let told_json = &t["steps"][0]["passed_over"][0]["conjunction"];
        assert_eq!(told_json["met"], json!([1]));
        assert_eq!(told_json["missing"][0]["clause"], json!(2));
        assert_eq!(told_json["clauses"], json!(3));
        // What matches comes before the entry, but not before its clauses.
        w.add(4, tcp(), vec![]);
        let t = w.told(&packet);
        assert!(t["text"].as_str().unwrap().lines().any(|l| l == line), "{}", t["text"]);
        // And before its clauses as well: it is of no interest.
        w.add(6, tcp(), vec![]);
        assert_eq!(w.told(&packet)["steps"][0]["passed_over"], json!([]));
        for priority in [6, 4] {
            let gone =
                FlowMod { command: FlowModCommand::DeleteStrict, priority, matching: tcp(), ..FlowMod::default() };
            w.control.flow_mod(Version::V15, &gone, Time::ZERO).unwrap();
        }
        // Met: the entry is what matched, and says so.
        w.add(5, tcp().with(F::TcpDst, 22), clause(1));
        w.add(5, Match::any(), clause(2));
        let t = w.told(&packet);
        assert!(t["text"].as_str().unwrap().contains("matched: priority=2,conj_id=7"), "{}", t["text"]);
        assert_eq!(t["steps"][0]["passed_over"], json!([]));
    }

    #[test]
    fn a_walk_names_what_matched_and_what_was_passed_over_and_why() {
        let mut w = Walks::new();
        w.add(9, tcp().with(F::TcpDst, 443), vec![]);
        w.add(8, Match::any().with_mask(F::EthDst, 0x0100_0000_0000, 0x0100_0000_0000), vec![]);
        w.add(5, tcp(), vec![]);
        w.add(1, Match::any(), vec![]);
        let told = w.told(&tcp().with(F::TcpDst, 80));
        let text = told["text"].as_str().unwrap();
        for line in [
            "  matched: priority=5,tcp",
            "  not priority=9,tcp,tp_dst=443: wants tcp_dst=443, has tcp_dst=80",
            "  not priority=8,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00: wants dl_dst=01:00:00:00:00:00/01:00:00:00:00:00, has dl_dst=",
            "dropped: no_output",
            "Result: dropped: no_output",
        ] {
            assert!(text.lines().any(|l| l.starts_with(line)), "{line}\nin\n{text}");
        }
        let marked = w.told(&tcp().with(F::Reg3, 5).with(F::PktMark, 7));
        let packet = marked["steps"][0]["packet"].as_str().unwrap();
        assert!(packet.contains("reg3=0x5") && packet.contains("pkt_mark=0x7"), "{packet}");
        assert!(!text.contains("priority=1"), "what is below the match needs no reason\n{text}");
        assert_eq!(told["steps"][0]["passed_over"].as_array().map(Vec::len), Some(2));
        assert_eq!(told["dropped"], json!(["no_output"]));
    }
}
