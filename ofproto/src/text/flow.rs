//! Flow-mods, flow statistics and packet-outs as text.

use super::action::{Env, action_list, instructions, parse_group_id, parse_seconds};
use super::action_fmt::{group_text, seconds_text};
use super::matching::MatchBuilder;
use super::scan::{Item, Sep, Src};
use super::value::{parse_port, port_text};
use super::{ParseContext, Printer, Shown, TextError, TextErrorKind};
use crate::flow::{FlowMod, FlowModCommand, FlowModFlags};
use crate::ids::{BufferId, Cookie, GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField};
use crate::packet::PacketOut;
use crate::stats::{FlowDesc, FlowStats, FlowStatsRequest};
use crate::version::Version;
use std::fmt;

const COMMANDS: [(&str, FlowModCommand); 5] = [
    ("add", FlowModCommand::Add),
    ("modify", FlowModCommand::Modify),
    ("modify_strict", FlowModCommand::ModifyStrict),
    ("delete", FlowModCommand::Delete),
    ("delete_strict", FlowModCommand::DeleteStrict),
];

const FLAGS: [(&str, FlowModFlags); 6] = [
    ("send_flow_rem", FlowModFlags::SEND_FLOW_REM),
    ("check_overlap", FlowModFlags::CHECK_OVERLAP),
    ("reset_counts", FlowModFlags::RESET_COUNTS),
    ("no_packet_counts", FlowModFlags::NO_PKT_COUNTS),
    ("no_byte_counts", FlowModFlags::NO_BYT_COUNTS),
    ("emerg", FlowModFlags::EMERG),
];

/// The flags' names and, in hexadecimal, what has none.
pub(crate) fn flag_names(flags: FlowModFlags) -> Vec<String> {
    let mut rest = flags;
    let mut out = Vec::new();
    for (name, flag) in FLAGS {
        if flags.contains(flag) {
            rest.remove(flag);
            out.push(name.to_owned());
        }
    }
    if !rest.is_empty() {
        out.push(format!("flags={:#x}", rest.bits()));
    }
    out
}

/// Everything a flow's text may hold.
struct Parsed<'a> {
    mods: FlowMod,
    table: Option<TableId>,
    has_actions: bool,
    stats: FlowStats,
    /// What was said beside the match, but for the numbers that dumps print.
    said: Vec<Item<'a>>,
}

fn parse<'a>(src: Src<'a>, ctx: &ParseContext<'_>) -> Result<Parsed<'a>, TextError> {
    let mut m = FlowMod::default();
    let mut stats = FlowStats::default();
    let mut table = None;
    let mut matching = MatchBuilder::default();
    let mut actions = None;
    let mut said = Vec::new();
    for item in src.items() {
        let item = item?;
        let number = || item.need("a number");
        said.push(item);
        match (item.key.s, item.sep) {
            ("actions" | "action", Sep::Equals) => {
                actions = Some(item.rest);
                break;
            }
            ("table", Sep::Equals) => {
                table = Some(match number()?.s {
                    "all" | "ALL" => TableId::ALL,
                    _ => number()?.table()?,
                });
            }
            ("priority", Sep::Equals) => m.priority = number()?.u16()?,
            ("idle_timeout", Sep::Equals) => m.idle_timeout = number()?.u16()?,
            ("hard_timeout", Sep::Equals) => m.hard_timeout = number()?.u16()?,
            ("importance", Sep::Equals) => m.importance = number()?.u16()?,
            ("cookie", Sep::Equals) => {
                let (cookie, mask) = number()?.u64_masked()?;
                m.cookie = Cookie(cookie);
                m.cookie_mask = mask.unwrap_or(0);
            }
            ("out_port", Sep::Equals) => m.out_port = parse_port(item.need("a port")?, ctx)?,
            ("out_group", Sep::Equals) => m.out_group = parse_group_id(item.need("a group")?)?,
            ("buffer_id", Sep::Equals) => m.buffer_id = BufferId(number()?.u32()?),
            ("flags", Sep::Equals) => m.flags |= FlowModFlags::from_bits_retain(number()?.u16()?),
            ("duration", Sep::Equals) => (stats.duration_sec, stats.duration_nsec) = parse_seconds(number()?)?,
            ("n_packets", Sep::Equals) => stats.packet_count = number()?.u64()?,
            ("n_bytes", Sep::Equals) => stats.byte_count = number()?.u64()?,
            ("idle_age", Sep::Equals) => stats.idle = Some(parse_seconds(number()?)?),
            ("hard_age", Sep::Equals) => drop(number()?.u64()?),
            (key, Sep::None) if FLAGS.iter().any(|(n, _)| *n == key) => {
                for (name, flag) in FLAGS {
                    if name == key {
                        m.flags |= flag;
                    }
                }
            }
            _ => {
                said.pop();
                if !matching.accept(&item, ctx)? {
                    return Err(item.unknown("a match field or a property of a flow"));
                }
            }
        }
    }
    m.matching = matching.finish()?;
    if let Some(actions) = actions {
        m.instructions = instructions(actions, Env::for_match(ctx, &m.matching))?;
    }
    Ok(Parsed { mods: m, table, has_actions: actions.is_some(), stats, said })
}

/// Refuses what would be read and then count for nothing: whoever writes `delete priority=5` takes it for a filter,
/// and would see everything deleted. `None` stands for the filter of a request.
fn all_counts(said: &[Item<'_>], command: Option<FlowModCommand>) -> Result<(), TextError> {
    use FlowModCommand as C;
    let filters = matches!(command, None | Some(C::Delete | C::DeleteStrict));
    for item in said {
        let masked = item.value.s.contains('/');
        let expected = match item.key.s {
            "cookie" if filters && !masked => "a mask behind the cookie: cookie=5/-1 for all of its bits",
            "cookie" if masked && command == Some(C::Add) => "a cookie without a mask: there is none to compare with",
            "actions" | "action" if filters => "a filter without actions",
            "out_port" | "out_group" if !filters => "no filter by output: only deletes and requests have one",
            "priority" if filters && command != Some(C::DeleteStrict) => {
                "no priority: it counts in adds, changes and strict deletes"
            }
            "idle_timeout" | "hard_timeout" | "importance" | "buffer_id" | "flags" if filters => {
                "nothing that only adds and changes set"
            }
            key if filters && FLAGS.iter().any(|(n, _)| *n == key) => "nothing that only adds and changes set",
            _ => continue,
        };
        return Err(item.all.err(TextErrorKind::Syntax, expected));
    }
    Ok(())
}

fn flow_mod(src: Src<'_>, command: FlowModCommand, ctx: &ParseContext<'_>, meant: bool) -> Result<FlowMod, TextError> {
    let (said, body) = src.command(&COMMANDS);
    let command = said.unwrap_or(command);
    let Parsed { mods: mut m, table, has_actions, said, .. } = parse(body, ctx)?;
    if meant {
        all_counts(&said, Some(command))?;
    }
    let delete = matches!(command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
    if !delete && !has_actions {
        return Err(body.from(body.s.len()).missing("actions=… (drop for none)"));
    }
    m.command = command;
    m.table = table.unwrap_or(if delete && ctx.version > Version::V10 { TableId::ALL } else { TableId(0) });
    Ok(m)
}

/// Reads a flow-mod: `table=0,priority=100,ip,nw_dst=10.0.0.0/8,actions=output:2`. A text that
/// begins with `add `, `modify `, `modify_strict `, `delete ` or `delete_strict ` says itself which
/// command it is; for others it is `command`.
///
/// Defaults: priority 32768, table 0 (deletes from 1.1 on: all tables), no timeouts, cookie 0.
///
/// # Errors
/// Whatever [`super::parse_match`] and [`super::parse_instructions`] refuse; a missing `actions=`
/// of anything but a delete.
pub fn parse_flow_mod(text: &str, command: FlowModCommand, ctx: &ParseContext<'_>) -> Result<FlowMod, TextError> {
    flow_mod(Src::new(text), command, ctx, false)
}

/// Reads a flow-mod that somebody wrote, as ovs-ofctl does: what would count for nothing is refused, such as the
/// priority of a delete that isn't strict. [`parse_flow_mod`] reads whatever a message may hold.
///
/// # Errors
/// As [`parse_flow_mod`]; what the command has no use for; a cookie to delete by without a mask.
pub fn parse_written_flow_mod(
    text: &str,
    command: FlowModCommand,
    ctx: &ParseContext<'_>,
) -> Result<FlowMod, TextError> {
    flow_mod(Src::new(text), command, ctx, true)
}

/// The lines of a file with their places, without comments (`#` to the line's end).
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Src<'_>> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let src = Src { s: line, at };
        at += line.len();
        let body = line.find('#').map_or(src, |i| src.slice(0, i)).trim();
        (!body.is_empty()).then_some(body)
    })
}

/// Reads a file of flow-mods, one a line; empty lines and `#` comments are skipped.
///
/// # Errors
/// The first line's that is refused, with the offset in the file.
pub fn parse_flow_mods(text: &str, command: FlowModCommand, ctx: &ParseContext<'_>) -> Result<Vec<FlowMod>, TextError> {
    lines(text).map(|line| flow_mod(line, command, ctx, false)).collect()
}

/// Reads a flow entry as [`FlowText`] and `dump-flows` print it.
///
/// # Errors
/// As [`parse_flow_mod`].
pub fn parse_flow_desc(text: &str, ctx: &ParseContext<'_>) -> Result<FlowDesc, TextError> {
    let Parsed { mods: m, table, stats, .. } = parse(Src::new(text), ctx)?;
    Ok(FlowDesc { table: table.unwrap_or(TableId(0)), ..FlowDesc::added(m, stats) })
}

/// Reads the filter of a flow or aggregate statistics request: `table=1,cookie=0x1/-1,ip`.
///
/// # Errors
/// As [`parse_flow_mod`]; what is no filter, such as actions and priorities; a cookie without a mask.
pub fn parse_flow_stats_request(text: &str, ctx: &ParseContext<'_>) -> Result<FlowStatsRequest, TextError> {
    let Parsed { mods: m, table, said, .. } = parse(Src::new(text), ctx)?;
    all_counts(&said, None)?;
    Ok(FlowStatsRequest {
        table: table.unwrap_or(TableId::ALL),
        out_port: m.out_port,
        out_group: m.out_group,
        cookie: m.cookie,
        cookie_mask: m.cookie_mask,
        matching: m.matching,
    })
}

/// Reads a packet-out: `in_port=CONTROLLER,packet=0011…,actions=output:2`. Before 1.5 the match
/// holds `in_port` alone (`ANY` unless given).
///
/// # Errors
/// As [`parse_flow_mod`]; neither `packet` nor `buffer_id`.
pub fn parse_packet_out(text: &str, ctx: &ParseContext<'_>) -> Result<PacketOut, TextError> {
    let src = Src::new(text);
    let mut matching = MatchBuilder::default();
    let (mut buffer_id, mut data) = (BufferId::NONE, None);
    let mut actions = None;
    for item in src.items() {
        let item = item?;
        match (item.key.s, item.sep) {
            ("actions" | "action", Sep::Equals) => {
                actions = Some(item.rest);
                break;
            }
            ("packet" | "data", Sep::Equals) => data = Some(item.value.hex_bytes()?.into()),
            ("buffer_id", Sep::Equals) => buffer_id = BufferId(item.need("a number")?.u32()?),
            _ => {
                if !matching.accept(&item, ctx)? {
                    return Err(item.unknown("in_port, packet, buffer_id or actions"));
                }
            }
        }
    }
    if data.is_none() && buffer_id == BufferId::NONE {
        return Err(src.missing("packet=… in hexadecimal"));
    }
    let mut matching: Match = matching.finish()?;
    let in_port = crate::field::FieldId::InPort;
    if matching.get(in_port).is_none() {
        matching.fields.insert(0, MatchField::exact(in_port, PortNo::ANY.0.into()));
    }
    let actions = match actions {
        Some(src) => action_list(src, Env::new(ctx))?,
        None => return Err(src.missing("actions=…")),
    };
    Ok(PacketOut { buffer_id, matching, actions, data: data.unwrap_or_default() })
}

/// Prints a flow-mod with its command before it: what [`parse_flow_mod`] reads.
#[derive(Clone, Copy, Debug)]
pub struct FlowModText<'a>(pub &'a FlowMod);

impl fmt::Display for FlowModText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer::default().write_flow_mod(f, self.0)
    }
}

/// Prints a flow entry as `dump-flows` does.
#[derive(Clone, Copy, Debug)]
pub struct FlowText<'a>(pub &'a FlowDesc);

impl fmt::Display for FlowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer::default().write_flow(f, self.0)
    }
}

impl Printer<'_> {
    /// A flow-mod, printable.
    pub fn flow_mod<'m>(&'m self, m: &'m FlowMod) -> impl fmt::Display + 'm {
        Shown(move |f: &mut fmt::Formatter<'_>| self.write_flow_mod(f, m))
    }

    /// A flow entry, printable.
    pub fn flow<'m>(&'m self, m: &'m FlowDesc) -> impl fmt::Display + 'm {
        Shown(move |f: &mut fmt::Formatter<'_>| self.write_flow(f, m))
    }

    /// The body: match, a space if there is one, `actions=…`.
    fn write_rule(
        &self,
        f: &mut fmt::Formatter<'_>,
        matching: &Match,
        priority: u16,
        instructions: Option<&[Instruction]>,
    ) -> fmt::Result {
        self.write_match(f, matching, Some(priority))?;
        let Some(instructions) = instructions else { return Ok(()) };
        let nothing = priority == 0x8000 && matching.fields.is_empty() && matching.unknown.is_empty();
        f.write_str(if nothing { "actions=" } else { " actions=" })?;
        self.write_instructions(f, instructions)
    }

    pub(crate) fn write_flow_mod(&self, f: &mut fmt::Formatter<'_>, m: &FlowMod) -> fmt::Result {
        let delete = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        match COMMANDS.iter().find(|(_, c)| *c == m.command) {
            Some((name, _)) => write!(f, "{name} ")?,
            None => write!(f, "command={:?} ", m.command)?,
        }
        let default_table = if delete && self.version > Version::V10 { TableId::ALL } else { TableId(0) };
        if m.table != default_table {
            write!(f, "table={},", m.table)?;
        }
        if m.cookie_mask != 0 {
            write!(f, "cookie={}/{:#x},", m.cookie, m.cookie_mask)?;
        } else if m.cookie.0 != 0 {
            write!(f, "cookie={},", m.cookie)?;
        }
        for (name, n) in
            [("idle_timeout", m.idle_timeout), ("hard_timeout", m.hard_timeout), ("importance", m.importance)]
        {
            if n != 0 {
                write!(f, "{name}={n},")?;
            }
        }
        if m.buffer_id != BufferId::NONE {
            write!(f, "buffer_id={},", m.buffer_id)?;
        }
        if m.out_port != PortNo::ANY {
            write!(f, "out_port={},", port_text(m.out_port, self.ports))?;
        }
        if m.out_group != GroupId::ANY {
            write!(f, "out_group={},", group_text(m.out_group))?;
        }
        for flag in flag_names(m.flags) {
            write!(f, "{flag},")?;
        }
        let shows_actions = !delete || !m.instructions.is_empty();
        self.write_rule(f, &m.matching, m.priority, shows_actions.then_some(&m.instructions))
    }

    pub(crate) fn write_flow(&self, f: &mut fmt::Formatter<'_>, m: &FlowDesc) -> fmt::Result {
        write!(
            f,
            "cookie={}, duration={}s, table={}, n_packets={}, n_bytes={}, ",
            m.cookie,
            seconds_text(m.stats.duration_sec, m.stats.duration_nsec),
            m.table,
            m.stats.packet_count,
            m.stats.byte_count
        )?;
        for (name, n) in
            [("idle_timeout", m.idle_timeout), ("hard_timeout", m.hard_timeout), ("importance", m.importance)]
        {
            if n != 0 {
                write!(f, "{name}={n}, ")?;
            }
        }
        if let Some((s, n)) = m.stats.idle {
            write!(f, "idle_age={}, ", seconds_text(s, n))?;
        }
        for flag in flag_names(m.flags) {
            write!(f, "{flag} ")?;
        }
        self.write_rule(f, &m.matching, m.priority, Some(&m.instructions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;

    fn error(text: &str) -> TextError {
        parse_flow_mod(text, FlowModCommand::Add, &ParseContext::default()).unwrap_err()
    }

    #[test]
    fn what_would_count_for_nothing_is_refused() {
        use FlowModCommand as C;
        let read = |text: &str, command| parse_written_flow_mod(text, command, &ParseContext::default());
        for (text, command, found) in [
            // Either would delete everything.
            ("cookie=5", C::Delete, "cookie=5"),
            ("cookie=5", C::DeleteStrict, "cookie=5"),
            ("ip,priority=7", C::Delete, "priority=7"),
            ("ip,actions=output:1", C::Delete, "actions=output:1"),
            ("delete ip,idle_timeout=3", C::Add, "idle_timeout=3"),
            ("send_flow_rem,ip", C::Delete, "send_flow_rem"),
            ("out_port=1,actions=drop", C::Add, "out_port=1"),
            ("out_group=1,actions=drop", C::Modify, "out_group=1"),
            ("cookie=5/-1,actions=drop", C::Add, "cookie=5/-1"),
        ] {
            let e = read(text, command).unwrap_err();
            assert_eq!((e.kind, e.found.as_str()), (TextErrorKind::Syntax, found), "{text}: {e}");
            // A message may hold it.
            assert!(parse_flow_mod(text, command, &ParseContext::default()).is_ok(), "{text}");
        }
        for (text, command) in [
            ("cookie=5/-1,out_port=1,out_group=2,table=3,ip", C::Delete),
            ("cookie=5/0xff,priority=7", C::DeleteStrict),
            ("cookie=5/-1,priority=7,idle_timeout=3,actions=drop", C::Modify),
            ("cookie=5,actions=drop", C::Modify),
            ("cookie=5,duration=3s,n_packets=4,idle_age=3,ip,actions=drop", C::Add),
        ] {
            assert_eq!(read(text, command), parse_flow_mod(text, command, &ParseContext::default()), "{text}");
        }
        let filter = |text: &str| parse_flow_stats_request(text, &ParseContext::default());
        for text in ["cookie=5", "priority=7", "ip,actions=drop", "hard_timeout=3", "reset_counts", "flags=1"] {
            assert_eq!(filter(text).unwrap_err().kind, TextErrorKind::Syntax, "{text}");
        }
        let asked = filter("cookie=5/-1,table=2,out_port=1,ip").unwrap();
        assert_eq!((asked.cookie, asked.cookie_mask, asked.table), (Cookie(5), u64::MAX, TableId(2)));
    }

    #[test]
    fn errors_say_where_and_what() {
        use TextErrorKind as K;
        let cases = [
            ("ip,foo=1,actions=drop", K::Unknown, 3, "foo=1"),
            ("ip,nw_dst=10.0.0,actions=drop", K::BadValue, 10, "10.0.0"),
            ("tcp,tp_src=65536,actions=drop", K::OutOfRange, 11, "65536"),
            ("ip,nw_proto=6/3,actions=drop", K::NotMaskable, 12, "6/3"),
            ("in_port=eth9,actions=drop", K::Unknown, 8, "eth9"),
            ("ip,arp,actions=drop", K::Duplicate, 3, "arp"),
            ("tp_src=1,actions=drop", K::Missing, 7, "1"),
            ("ip", K::Missing, 2, ""),
            ("actions=set_field:1->foo", K::Unknown, 21, "foo"),
            ("actions=clone(output:1", K::Syntax, 13, "(output:1"),
            ("actions=output:1,drop", K::Syntax, 17, "drop"),
            // Nothing behind a parenthesis is lost.
            ("actions=controller(max_len=5)output:2", K::Syntax, 29, "output:2"),
            ("actions=clone(output:1)2,output:3", K::Syntax, 23, "2"),
            ("actions=ct(commit,nat(src=10.0.0.1)x)", K::Syntax, 35, "x"),
        ];
        for (text, kind, offset, found) in cases {
            let e = error(text);
            assert_eq!((e.kind, e.offset, e.found.as_str()), (kind, offset, found), "{text}: {e}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |n: usize| format!("actions={}output:1{}", "clone(".repeat(n), ")".repeat(n));
        let ctx = ParseContext::default();
        assert!(parse_flow_mod(&deep(super::super::MAX_NESTING), FlowModCommand::Add, &ctx).is_ok());
        for n in [super::super::MAX_NESTING + 1, 100_000] {
            assert_eq!(error(&deep(n)).kind, TextErrorKind::TooDeep);
        }
    }

    #[test]
    fn files_have_comments_and_commands_and_offsets_of_their_own() {
        let file = "# two flows\nadd ip,actions=output:1 # yes\n\ndelete table=3,arp\nip,actions=2\n";
        let flows = parse_flow_mods(file, FlowModCommand::ModifyStrict, &ParseContext::default()).unwrap();
        let commands: Vec<_> = flows.iter().map(|f| (f.command, f.table.0)).collect();
        let expected = [(FlowModCommand::Add, 0), (FlowModCommand::Delete, 3), (FlowModCommand::ModifyStrict, 0)];
        assert_eq!(commands, expected);
        let e = parse_flow_mods("ip,actions=1\nfoo,actions=1", FlowModCommand::Add, &ParseContext::default());
        assert_eq!(e.unwrap_err().offset, 13);
    }

    #[test]
    fn ports_are_read_and_printed_by_name() {
        let names = vec![("eth0".to_owned(), PortNo(4)), ("a \"b\"".to_owned(), PortNo(5))];
        let ctx = ParseContext { version: Version::V13, ports: &names };
        let text = r#"add in_port="eth0" actions=output:"a \"b\"",output:7,LOCAL"#;
        let flow = parse_flow_mod(text, FlowModCommand::Add, &ctx).unwrap();
        assert_eq!(flow.matching.get(crate::field::FieldId::InPort).unwrap().value, 4);
        let outputs = [PortNo(5), PortNo(7), PortNo::LOCAL].map(Action::output).to_vec();
        assert_eq!(flow.instructions, [Instruction::ApplyActions(outputs)]);
        assert_eq!(Printer { version: Version::V13, ports: &names }.flow_mod(&flow).to_string(), text);
        let text = r#"enqueue:"a:b":7"#;
        let names = vec![("a:b".to_owned(), PortNo(6))];
        let (ctx, printer) =
            (ParseContext { version: Version::V10, ports: &names }, Printer { version: Version::V10, ports: &names });
        let actions = crate::text::parse_actions(text, &ctx).unwrap();
        assert_eq!(printer.actions(&actions).to_string(), text);
        let names = vec![("eth0".to_owned(), PortNo(4))];
        let ctx = ParseContext { version: Version::V13, ports: &names };
        let bare = parse_flow_mod("in_port=eth0,actions=eth0", FlowModCommand::Add, &ctx).unwrap();
        assert_eq!(bare.instructions, [Instruction::ApplyActions(vec![Action::output(PortNo(4))])]);
    }

    #[test]
    fn a_packet_out_has_an_in_port() {
        let ctx = ParseContext::default();
        let out = parse_packet_out("in_port=CONTROLLER,packet=00112233,actions=output:1", &ctx).unwrap();
        assert_eq!(out.matching.fields[0].value, PortNo::CONTROLLER.0.into());
        assert_eq!(&out.data[..], [0, 0x11, 0x22, 0x33]);
        assert_eq!(parse_packet_out("actions=output:1", &ctx).unwrap_err().kind, TextErrorKind::Missing);
    }

    #[test]
    fn nicira_s_write_metadata_stays_an_action() {
        let v13 = Version::V13;
        let text = "actions=6,apply_actions(8,28,write_metadata:182,228)";
        let flow = parse_flow_mod(text, FlowModCommand::Add, &ParseContext::new(v13)).expect("sound");
        let [Instruction::ApplyActions(list)] = flow.instructions.as_slice() else { panic!("{:?}", flow.instructions) };
        assert_eq!(list.len(), 5);
        let printed = Printer { version: v13, ports: &() }.flow_mod(&flow).to_string();
        assert_eq!(printed, "add actions=apply_actions(output:6,output:8,output:28,write_metadata:0xb6,output:228)");
        assert_eq!(parse_flow_mod(&printed, FlowModCommand::Add, &ParseContext::new(v13)), Ok(flow));
    }

    #[test]
    fn a_tos_that_is_set_by_nicira_s_field_stays_one() {
        let ctx = ParseContext::new(Version::V13);
        for (text, field) in [
            ("ip actions=set_field:4->nw_tos", crate::field::FieldId::IpTos),
            ("ip actions=mod_nw_tos:4", crate::field::FieldId::IpDscp),
        ] {
            let flow = parse_flow_desc(text, &ctx).expect("sound");
            let [Instruction::ApplyActions(list)] = flow.instructions.as_slice() else { panic!("{flow:?}") };
            assert!(matches!(list.as_slice(), [Action::SetField(f)] if f.id == field), "{list:?}");
            let printed = Printer { version: Version::V13, ports: &() }.flow(&flow).to_string();
            assert_eq!(parse_flow_desc(&printed, &ctx), Ok(flow), "{printed}");
        }
        // All eight bits, which 1.0's own action says.
        let ctx = ParseContext::new(Version::V10);
        for text in ["ip actions=set_field:7->nw_tos", "ip actions=mod_nw_tos:4"] {
            let flow = parse_flow_desc(text, &ctx).expect("sound");
            let printed = Printer { version: Version::V10, ports: &() }.flow(&flow).to_string();
            assert!(printed.ends_with(&text[3..]), "{printed}");
            assert_eq!(parse_flow_desc(&printed, &ctx), Ok(flow), "{printed}");
        }
    }

    /// The tag control word as a whole by its bits is what it is as a whole.
    #[test]
    fn the_bits_of_a_tag_mean_what_its_word_does() {
        let ctx = ParseContext::new(Version::V13);
        let read = |text: &str| crate::text::parse_match(text, &ctx).map_err(|e| e.to_string());
        assert_eq!(read("vlan_tci[]=0"), read("vlan_tci=0"));
        assert_eq!(read("vlan_tci=0,vlan_tci[]=0"), read("vlan_tci=0"));
        assert_eq!(read("vlan_tci[12]=1"), read("vlan_tci=0x1000/0x1000"));
        assert_eq!(read("vlan_tci[13..15]=3"), read("vlan_tci=0x6000/0xe000"));
    }
}
