//! `monitor`: what the switch reports by itself.

use crate::cli::Options;
use crate::connection::{Connection, Refused};
use crate::dump::filter;
use crate::show::{port_config, port_state, printable, seconds};
use crate::target::Target;
use crate::{Misuse, print};
use anyhow::bail;
use clap::Args;
use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::field::FieldId;
use ofproto::flow::FlowRemovedReason;
use ofproto::ids::{BufferId, MonitorId, Xid};
use ofproto::json;
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::monitor::{FlowMonitorRequest, FlowUpdate, FlowUpdateEvent, MonitorCommand, MonitorFlags};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::port::PortReason;
use ofproto::role::{Role, RoleMsg};
use ofproto::text::{InstructionsText, MatchText, describe};
use ofproto::wire::Header;
use ofproto::{ErrorKind, Version};
use serde_json::json;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub struct MonitorArgs {
    /// The switch
    target: Target,
    /// Bytes of a missed packet that the switch is to send, invalid_ttl, watch:[SPEC,…]
    ///
    /// As for ovs-ofctl: the number is left as it is unless given. `invalid_ttl` asks for packets whose TTL ends (up to
    /// 1.2, later versions send them anyway). `watch:` watches changes of flow entries; !initial, !add, !delete,
    /// !modify, !own and !actions leave something out, the rest is a filter: watch:!initial,table=1,ip
    #[arg(value_name = "MISS_LEN|invalid_ttl|watch:…")]
    words: Vec<Word>,
    /// Watch changes of flow entries, too: all, or those at least as specific as FILTER
    #[arg(long, value_name = "FILTER", num_args = 0..=1, default_missing_value = "")]
    flows: Option<String>,
    /// Keep the equal role instead of asking for the slave's, and the switch's own choice of messages.
    /// A standalone switch whose controllers are away stops forwarding by itself then
    #[arg(long)]
    equal: bool,
    /// End after this many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = crate::cli::seconds)]
    seconds: Option<f64>,
    /// Every field of every message, with the packets' bytes
    #[arg(short, long, visible_alias = "more")]
    full: bool,
    /// The date and time (UTC) instead of the seconds since the beginning
    #[arg(long)]
    timestamp: bool,
}

/// A word of `monitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    MissLen(u16),
    InvalidTtl,
    Watch(String),
}

impl FromStr for Word {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s.strip_prefix("watch:") {
            Some(spec) => Ok(Self::Watch(spec.into())),
            None if s == "invalid_ttl" => Ok(Self::InvalidTtl),
            None => {
                s.parse().map(Self::MissLen).map_err(|_| "expected a number of bytes, invalid_ttl or watch:…".into())
            }
        }
    }
}

/// `OFPC_INVALID_TTL_TO_CONTROLLER` (1.1, 1.2; Nicira's in 1.0)
const INVALID_TTL: u16 = 4;

/// What a `watch:` leaves out, and the rest as a filter.
fn watched(spec: &str, version: Version) -> (MonitorFlags, String) {
    let mut flags = MonitorFlags::INITIAL
        | MonitorFlags::ADD
        | MonitorFlags::REMOVED
        | MonitorFlags::MODIFY
        | MonitorFlags::INSTRUCTIONS;
    // Nicira's OWN, that our own changes come in full; Open vSwitch refuses the flag that 1.4 has for it.
    if version < Version::V14 {
        flags |= MonitorFlags::NO_ABBREV;
    }
    let mut rest = Vec::new();
    for word in spec.split(',') {
        match word.trim() {
            "!initial" => flags -= MonitorFlags::INITIAL,
            "!add" => flags -= MonitorFlags::ADD,
            "!delete" => flags -= MonitorFlags::REMOVED,
            "!modify" => flags -= MonitorFlags::MODIFY,
            "!own" => flags -= MonitorFlags::NO_ABBREV,
            "!actions" => flags -= MonitorFlags::INSTRUCTIONS,
            other => rest.push(other),
        }
    }
    (flags, rest.join(","))
}

/// `monitor`
pub fn run(o: &Options, args: &MonitorArgs) -> anyhow::Result<()> {
    let mut c = o.connect(&args.target)?;
    let version = c.version();
    let watches = args.words.iter().filter_map(|w| if let Word::Watch(spec) = w { Some(spec) } else { None });
    let watches: Vec<&String> = args.flows.iter().chain(watches).collect();
    // A controller says what it wants; before 1.3 a listener takes us for one by that alone.
    let quiet = version >= Version::V13 && !args.equal;
    if !quiet || args.words.iter().any(|w| !matches!(w, Word::Watch(_))) {
        let Message::GetConfigReply(mut config) = c.ask(&Message::GetConfigRequest, "configuration")? else {
            bail!("the answer to the configuration request is another message");
        };
        for word in &args.words {
            match word {
                Word::MissLen(n) => config.miss_send_len = *n,
                Word::InvalidTtl if version < Version::V13 => config.flags |= INVALID_TTL,
                Word::InvalidTtl | Word::Watch(_) => {}
            }
        }
        c.tell(&Message::SetConfig(config))?;
    }
    if quiet {
        watch(&mut c)?;
    }
    // 1.0 has Nicira's, 1.3 the ONF's.
    if !watches.is_empty() && matches!(version, Version::V11 | Version::V12) {
        bail!("OpenFlow {version} has no flow monitors");
    }
    for (id, spec) in (1..).zip(watches) {
        let (flags, rest) = watched(spec, version);
        let f = filter(o, &mut c, &rest)?;
        if f.cookie_mask != 0 {
            bail!(Misuse(format!("flow entries can't be watched by their cookies: `{rest}`")));
        }
        let request = FlowMonitorRequest {
            id: MonitorId(id),
            out_port: f.out_port,
            out_group: f.out_group,
            flags,
            table: f.table,
            command: MonitorCommand::Add,
            matching: f.matching,
            bare: false,
        };
        c.tell(&Message::MultipartRequest(Multipart::last(MultipartRequest::FlowMonitor(vec![request]))))?;
    }
    // What was asked has happened, and whoever reads the first line knows that we listen.
    let barrier = c.tell(&Message::BarrierRequest)?;
    let start = Instant::now();
    let deadline = args.seconds.map(|s| start + Duration::from_secs_f64(s));
    let mut left = args.count;
    while left != Some(0) {
        let Some((header, got, bytes)) = c.next(deadline)? else { break };
        let moment = Moment::since(start, args.timestamp);
        let time = moment.text();
        match got {
            Ok(Message::BarrierReply) if header.xid == barrier => {
                if !o.json {
                    print(&format!(" watching {} with OpenFlow {version}", args.target));
                }
                continue;
            }
            // The answer's end without any flow in it.
            Ok(Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(list), .. }))
                if list.is_empty() =>
            {
                continue;
            }
            Ok(m) if o.json => print(&to_json(&header, &m, &moment).to_string()),
            Ok(m) if args.full => print(&format!("{time} {}", describe(&header, &m))),
            Ok(m) => {
                for line in lines(&header, &m) {
                    print(&format!("{time} {line}"));
                }
            }
            Err(e) if o.json => print(&moment.json(json!({ "unreadable": e.to_string() })).to_string()),
            Err(e) => print(&format!(
                "{time} a message of type {} and {} bytes that can't be read: {e}",
                header.ty,
                bytes.len()
            )),
        }
        left = left.map(|n| n - 1);
    }
    Ok(())
}

/// When a message came.
pub struct Moment {
    /// Seconds since the beginning.
    seconds: f64,
    /// The date and time in UTC, to the millisecond, if that is asked for.
    date: Option<String>,
}

impl Moment {
    /// Now.
    pub fn since(start: Instant, dated: bool) -> Self {
        let now = || date(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        Self { seconds: start.elapsed().as_secs_f64(), date: dated.then(now) }
    }

    /// As a line begins with it.
    pub fn text(&self) -> String {
        self.date.clone().unwrap_or_else(|| format!("{:10.3}", self.seconds))
    }

    /// Puts it before what is said of the message.
    pub fn json(&self, said: serde_json::Value) -> serde_json::Value {
        let (key, value) = match &self.date {
            Some(date) => ("timestamp", json!(date)),
            None => ("seconds", json!(self.seconds)),
        };
        let said = if let serde_json::Value::Object(said) = said { said } else { serde_json::Map::new() };
        std::iter::once((key.to_owned(), value)).chain(said).collect()
    }
}

/// A time since 1970 as a date of the Gregorian calendar, whose years are counted from March so that a leap day is
/// the last.
fn date(since: Duration) -> String {
    let seconds = since.as_secs();
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (year, day) = (year + 400 * era + month / 10, day - (153 * month + 2) / 5 + 1);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let month = (month + 2) % 12 + 1;
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", since.subsec_millis())
}

/// Becomes a slave who wants to hear everything: a watcher must not take the switch away from its
/// controllers, or from its own forwarding.
fn watch(c: &mut Connection) -> anyhow::Result<()> {
    let role = |role, generation_id| Message::RoleRequest(RoleMsg { role, short_id: 0, generation_id });
    let Message::RoleReply(now) = c.ask(&role(Role::NoChange, 0), "role")? else {
        bail!("the answer to the role request is another message");
    };
    // All ones stand for no election yet; then any generation will do, and 0 is the oldest.
    let generation = if now.generation_id == u64::MAX { 0 } else { now.generation_id };
    c.ask(&role(Role::Slave, generation), "the slave role")?;
    let (v14, v15) = (c.version() >= Version::V14, c.version() >= Version::V15);
    let mut wanted = vec![
        (AsyncKind::PacketIn, if v14 { 0b11_1111 } else { 0b111 }),
        (AsyncKind::PortStatus, 0b111),
        (AsyncKind::FlowRemoved, if v14 { 0b11_1111 } else { 0b1111 }),
    ];
    if v14 {
        // Vacancy down and up; group and meter requests of others.
        wanted.extend([
            (AsyncKind::RoleStatus, 0b111),
            (AsyncKind::TableStatus, 0b1_1000),
            (AsyncKind::RequestForward, 0b11),
        ]);
    }
    if v15 {
        wanted.extend([(AsyncKind::FlowStats, 0b11), (AsyncKind::ControllerStatus, 0b111_1111)]);
    }
    let mut refused = choose(c, &wanted)?;
    if v15
        && refused.as_ref().is_some_and(|r| r.error.kind(Version::V15) == Some(ErrorKind::AsyncConfigFailedUnsupported))
    {
        // Open vSwitch has none of the two kinds that came with 1.5.
        wanted.truncate(wanted.len() - 2);
        refused = choose(c, &wanted)?;
        eprintln!("ofctl: the switch reports neither flow statistics nor controllers' status by itself");
    }
    refused.map_or(Ok(()), |r| Err(r.into()))
}

/// Asks for the kinds of messages, with these reasons; says if the switch refuses.
fn choose(c: &mut Connection, wanted: &[(AsyncKind, u32)]) -> anyhow::Result<Option<Refused>> {
    // 1.3's message has both halves of each kind.
    let props = wanted
        .iter()
        .flat_map(|&(kind, mask)| [true, false].map(|master| AsyncProp::Reasons { kind, master, mask }))
        .collect();
    let refused = c.modify(&[("the choice of messages".into(), Message::SetAsync(AsyncConfig { props }))])?;
    Ok(refused.into_iter().next())
}

/// A message and when it came.
pub fn to_json(header: &Header, m: &Message, moment: &Moment) -> serde_json::Value {
    let mut value = moment.json(json!({ "xid": header.xid.0, "message": json::to_value(m) }));
    if let (Message::PacketIn(p), Some(object)) = (m, value.as_object_mut()) {
        object.insert("packet".into(), tools::summary::of(&p.data).into());
    }
    value
}

/// A message in a line, or one for each thing that it reports.
pub fn lines(header: &Header, m: &Message) -> Vec<String> {
    match m {
        Message::PacketIn(p) => vec![packet_in(p)],
        Message::FlowRemoved(f) => vec![format!(
            "flow-removed ({}) cookie={}, duration={}s, table={}, n_packets={}, n_bytes={}, priority={} {}",
            removed(f.reason),
            f.cookie,
            seconds(f.stats.duration_sec, f.stats.duration_nsec),
            f.table,
            f.stats.packet_count,
            f.stats.byte_count,
            f.priority,
            shown_match(&f.matching),
        )],
        Message::PortStatus(s) => {
            let reason = match s.reason {
                PortReason::Add => "add".into(),
                PortReason::Delete => "delete".into(),
                PortReason::Modify => "modify".into(),
                PortReason::Unknown(n) => n.to_string(),
            };
            let p = &s.port;
            vec![format!(
                "port-status ({reason}) port {} {} {} link {} configuration {}",
                p.port_no,
                printable(&p.name),
                p.hw_addr,
                port_state(p.state),
                port_config(p.config)
            )]
        }
        Message::MultipartReply(Multipart { body: MultipartReply::FlowMonitor(list), .. }) => {
            list.iter().map(update).collect()
        }
        other => vec![describe(header, other).to_string()],
    }
}

fn packet_in(p: &PacketIn) -> String {
    let reason = match p.reason {
        PacketInReason::TableMiss => "table_miss".into(),
        PacketInReason::ApplyAction => "apply_action".into(),
        PacketInReason::InvalidTtl => "invalid_ttl".into(),
        PacketInReason::ActionSet => "action_set".into(),
        PacketInReason::Group => "group".into(),
        PacketInReason::PacketOut => "packet_out".into(),
        PacketInReason::Other(n) => n.to_string(),
    };
    let mut out = format!("packet-in ({reason}) table {}", p.table);
    // All ones: no entry did it.
    if p.cookie.0 != u64::MAX && p.cookie.0 != 0 {
        out += &format!(" cookie {}", p.cookie);
    }
    let matching =
        p.matching.get(FieldId::InPort).map(|f| format!(" in_port={}", ofproto::ids::PortNo(f.value as u32)));
    out += &matching.unwrap_or_default();
    let rest = Match::new(p.matching.fields.iter().filter(|f| f.id != FieldId::InPort).cloned().collect());
    if !rest.fields.is_empty() {
        out += &format!(",{}", MatchText(&rest));
    }
    let cut = usize::from(p.total_len) > p.data.len();
    out += &if cut { format!(" {} of {} bytes", p.data.len(), p.total_len) } else { format!(" {} bytes", p.total_len) };
    if p.buffer_id != BufferId::NONE {
        out += &format!(" buffer {}", p.buffer_id);
    }
    format!("{out}: {}", tools::summary::of(&p.data))
}

fn removed(reason: FlowRemovedReason) -> String {
    match reason {
        FlowRemovedReason::IdleTimeout => "idle_timeout".into(),
        FlowRemovedReason::HardTimeout => "hard_timeout".into(),
        FlowRemovedReason::Delete => "delete".into(),
        FlowRemovedReason::GroupDelete => "group_delete".into(),
        FlowRemovedReason::MeterDelete => "meter_delete".into(),
        FlowRemovedReason::Eviction => "eviction".into(),
        FlowRemovedReason::Unknown(n) => n.to_string(),
    }
}

fn shown_match(m: &Match) -> String {
    let text = MatchText(m).to_string();
    if text.is_empty() { "any".into() } else { text }
}

fn update(u: &FlowUpdate) -> String {
    match u {
        FlowUpdate::Full { event, table, priority, cookie, matching, instructions, .. } => {
            let event = match event {
                FlowUpdateEvent::Initial => "initial".into(),
                FlowUpdateEvent::Added => "added".into(),
                FlowUpdateEvent::Modified => "modified".into(),
                FlowUpdateEvent::Removed(why) => format!("removed: {}", removed(*why)),
            };
            let actions = if instructions.is_empty() {
                String::new()
            } else {
                format!(" actions={}", InstructionsText(instructions))
            };
            format!(
                "flow ({event}) cookie={cookie}, table={table}, priority={priority} {}{actions}",
                shown_match(matching)
            )
        }
        FlowUpdate::Abbrev(Xid(xid)) => format!("flow (own request {xid:#x} took effect)"),
        FlowUpdate::Paused => "flow updates paused".into(),
        FlowUpdate::Resumed => "flow updates resumed".into(),
        FlowUpdate::Unknown { event, .. } => format!("flow (unknown event {event})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::ids::{Cookie, TableId};

    #[test]
    fn words_of_ovs_ofctl() {
        assert_eq!("128".parse(), Ok(Word::MissLen(128)));
        assert_eq!("invalid_ttl".parse(), Ok(Word::InvalidTtl));
        assert_eq!("watch:".parse(), Ok(Word::Watch(String::new())));
        assert!("65536".parse::<Word>().is_err() && "watch".parse::<Word>().is_err());
        let (all, none) = watched("", Version::V14);
        assert!(none.is_empty() && all.contains(MonitorFlags::INITIAL | MonitorFlags::INSTRUCTIONS));
        let (some, filter) = watched("!initial,table=1,!actions,ip", Version::V14);
        assert_eq!(filter, "table=1,ip");
        assert_eq!(all - some, MonitorFlags::INITIAL | MonitorFlags::INSTRUCTIONS);
        // As Open vSwitch takes it.
        assert_eq!(watched("", Version::V13).0 - all, MonitorFlags::NO_ABBREV);
        assert!(!watched("!own", Version::V13).0.contains(MonitorFlags::NO_ABBREV));
    }

    #[test]
    fn a_message_bears_the_seconds_or_the_date() {
        let header = Header { version: 4, ty: 20, length: 8, xid: Xid(7) };
        for (date, text, json) in [
            (None, "     1.500", r#"{"seconds":1.5,"xid":7,"message":{"ofp_barrier_request":null}}"#),
            (Some("then"), "then", r#"{"timestamp":"then","xid":7,"message":{"ofp_barrier_request":null}}"#),
        ] {
            let moment = Moment { seconds: 1.5, date: date.map(str::to_owned) };
            assert_eq!(moment.text(), text);
            assert_eq!(to_json(&header, &Message::BarrierRequest, &moment).to_string(), json);
        }
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.250"),
            (951_782_399, "2000-02-28 23:59:59.250"),
            (951_868_799, "2000-02-29 23:59:59.250"),
            (951_868_800, "2000-03-01 00:00:00.250"),
            (1_767_225_599, "2025-12-31 23:59:59.250"),
            (4_107_542_400, "2100-03-01 00:00:00.250"),
        ] {
            assert_eq!(date(Duration::new(seconds, 250_000_000)), text);
        }
    }

    #[test]
    fn a_packet_in_is_a_line() {
        let p = PacketIn {
            buffer_id: BufferId(7),
            total_len: 100,
            reason: PacketInReason::ApplyAction,
            table: TableId(2),
            cookie: Cookie(0x1f),
            matching: Match::any().with(FieldId::InPort, 0xffff_fffe).with(FieldId::Metadata, 5),
            data: vec![0xff; 14].into(),
        };
        assert_eq!(
            packet_in(&p),
            "packet-in (apply_action) table 2 cookie 0x1f in_port=LOCAL,metadata=0x5 14 of 100 bytes buffer 7: \
             ff:ff:ff:ff:ff:ff > ff:ff:ff:ff:ff:ff type 0xffff"
        );
    }
}
