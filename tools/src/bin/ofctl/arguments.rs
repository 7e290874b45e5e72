//! Parts of the command line that several commands have, and where options may stand.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use ofproto::field::FieldId;
use ofproto::stats::FlowDesc;
use ofproto::text::field_by_any_name;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsString;
use std::str::FromStr;

/// The options that some command has, as words. Those of one letter are read here only if every command has them, so
/// that nothing else has their letter.
fn options(cli: &Command) -> HashMap<String, Kind> {
    let mut known = HashMap::new();
    let mut note = |arg: &Arg, everywhere: bool| {
        let optional = arg.get_num_args().is_some_and(|n| n.min_values() == 0);
        let value = match arg.get_action().takes_values() {
            true if arg.is_require_equals_set() => Behind::Nothing,
            true if optional => Behind::Perhaps,
            true => Behind::Value,
            false => Behind::Nothing,
        };
        let kind = Kind { everywhere, value };
        let long = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
        known.extend(long.map(|name| (format!("--{name}"), kind)));
        known.extend(arg.get_short().filter(|_| everywhere).map(|letter| (format!("-{letter}"), kind)));
    };
    // What is everywhere comes last, and counts.
    cli.get_subcommands().flat_map(Command::get_arguments).for_each(|arg| note(arg, false));
    cli.get_arguments().for_each(|arg| note(arg, true));
    for name in ["--help", "--version", "-h", "-V"] {
        known.insert(name.into(), Kind { everywhere: true, value: Behind::Nothing });
    }
    known
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    everywhere: bool,
    value: Behind,
}

/// What follows an option as a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Nothing,
    Value,
    /// A value or not: before the command only behind `=`.
    Perhaps,
}

/// The command line with a command's own options behind it: users of ovs-ofctl write `--strict del-flows` as well
/// as `del-flows --strict`.
pub fn ordered(cli: &Command, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let known = options(cli);
    let mut args = args.into_iter();
    let mut front: Vec<OsString> = args.next().into_iter().collect();
    let (mut own, mut last) = (Vec::new(), Vec::new());
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" || !text.starts_with('-') || text.len() < 2 {
            front.push(arg);
            front.append(&mut own);
            break;
        }
        // `ping` has a `-c` of its own.
        let long = text.strip_prefix("-c").map(|rest| (rest.is_empty(), format!("--certificate={rest}")));
        if let Some((alone, with_value)) = long {
            front.push(if alone { "--certificate".into() } else { with_value.into() });
            front.extend(if alone { args.next() } else { None });
            continue;
        }
        // `--name=value`, `-Xvalue`
        let name = match text.split_once('=') {
            Some((name, _)) if text.starts_with("--") => name,
            None if text.starts_with("--") => &text,
            _ => text.char_indices().nth(2).and_then(|(end, _)| text.get(..end)).unwrap_or(&text),
        };
        let kind = known.get(name).copied().unwrap_or(Kind { everywhere: false, value: Behind::Nothing });
        let behind = if name == text { kind.value } else { Behind::Nothing };
        let to = match (kind.everywhere, behind) {
            (true, _) => &mut front,
            // It would take the next word for its value.
            (false, Behind::Perhaps) => &mut last,
            (false, _) => &mut own,
        };
        to.push(arg);
        to.extend(if behind == Behind::Value { args.next() } else { None });
    }
    front.into_iter().chain(own).chain(args).chain(last).collect()
}

/// `--bundle`
#[derive(Args, Clone, Copy, Debug)]
pub struct InBundle {
    /// All or none, as one bundle (1.4 and later; with the ONF extension 1.3)
    #[arg(long = "bundle")]
    pub wanted: bool,
}

/// A number, alone or after the name that it has in the flow syntax; `None` stands for all of them.
fn one_or_all(text: &str, key: &str) -> Result<Option<u32>, String> {
    let number = text.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).unwrap_or(text);
    if ["all", "any"].iter().any(|all| number.eq_ignore_ascii_case(all)) {
        return Ok(None);
    }
    let parsed = number.strip_prefix("0x").map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
    parsed.map(Some).map_err(|_| format!("expected a number, {key}=NUMBER or all"))
}

macro_rules! one_or_all {
    ($($(#[$doc:meta])* $name:ident, $key:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub Option<u32>);

        impl FromStr for $name {
            type Err = String;

            fn from_str(s: &str) -> Result<Self, String> {
                one_or_all(s, $key).map(Self)
            }
        }
    )+};
}

one_or_all! {
    /// A group, or all.
    GroupArg, "group_id";
    /// A meter, or all.
    MeterArg, "meter";
    /// A queue, or all.
    QueueArg, "queue";
}

/// What flow entries are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Priority,
    Field(FieldId),
}

impl FromStr for Key {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "priority" => Ok(Self::Priority),
            _ => field_by_any_name(s)
                .map(|(id, _)| Self::Field(id))
                .ok_or_else(|| "expected priority or a match field, such as nw_src".into()),
        }
    }
}

/// `--sort` and `--rsort`: keys in the order given, and whether each falls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order(Vec<(Key, bool)>);

/// The options and whether the order falls.
const SORTS: [(&str, bool, &str); 2] = [
    ("sort", false, "Sort by FIELD, rising: priority or a match field; repeat for more. Entries without it come last"),
    ("rsort", true, "The same, falling"),
];

impl Args for Order {
    fn augment_args(cmd: Command) -> Command {
        cmd.args(SORTS.map(|(name, _, help)| {
            Arg::new(name)
                .long(name)
                .value_name("FIELD")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("priority")
                .action(ArgAction::Append)
                .value_parser(Key::from_str)
                .help(help)
        }))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for Order {
    fn from_arg_matches(m: &ArgMatches) -> Result<Self, clap::Error> {
        let mut keys = Vec::new();
        for (name, falling, _) in SORTS {
            let places = m.indices_of(name).into_iter().flatten();
            let values = m.get_many::<Key>(name).into_iter().flatten();
            keys.extend(places.zip(values).map(|(at, key)| (at, (*key, falling))));
        }
        keys.sort_by_key(|(at, _)| *at);
        Ok(Self(keys.into_iter().map(|(_, key)| key).collect()))
    }

    fn update_from_arg_matches(&mut self, m: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(m)?;
        Ok(())
    }
}

impl Order {
    /// Sorts, entries that are alike in all keys as they stood.
    pub fn sort(&self, flows: &mut [FlowDesc]) {
        flows.sort_by(|a, b| self.compare(a, b));
    }

    fn compare(&self, a: &FlowDesc, b: &FlowDesc) -> Ordering {
        for (key, falling) in &self.0 {
            let order = match key {
                Key::Priority => a.priority.cmp(&b.priority),
                Key::Field(id) => {
                    let value = |f: &FlowDesc| f.matching.get(*id).map(|m| m.value & m.mask.unwrap_or(u128::MAX));
                    match (value(a), value(b)) {
                        (Some(a), Some(b)) => a.cmp(&b),
                        // Whichever way: what lacks the field comes last.
                        (Some(_), None) => return Ordering::Less,
                        (None, Some(_)) => return Ordering::Greater,
                        (None, None) => Ordering::Equal,
                    }
                }
            };
            if order.is_ne() {
                return if *falling { order.reverse() } else { order };
            }
        }
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory as _;
    use ofproto::Version;
    use ofproto::text::{ParseContext, parse_flow_desc};

    fn moved(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        ordered(&Cli::command(), words)
            .into_iter()
            .map(|w| w.into_string().expect("text"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_command_s_options_may_stand_before_it() {
        for (given, read) in [
            ("ofctl --strict del-flows br0 ip", "ofctl del-flows --strict br0 ip"),
            ("ofctl -O OpenFlow13 --bundle add-flows br0 -", "ofctl -O OpenFlow13 add-flows --bundle br0 -"),
            ("ofctl -OOpenFlow13 --sort=nw_src dump-flows br0", "ofctl -OOpenFlow13 dump-flows --sort=nw_src br0"),
            ("ofctl --protocols=OpenFlow13 -t 3 show br0", "ofctl --protocols=OpenFlow13 -t 3 show br0"),
            ("ofctl -p k -c c -C a show ssl:h", "ofctl -p k --certificate c -C a show ssl:h"),
            ("ofctl -cfile show ssl:h", "ofctl --certificate=file show ssl:h"),
            ("ofctl ping -c 3 br0", "ofctl ping -c 3 br0"),
            // Values of their own aren't taken for the command.
            ("ofctl --seconds 5 --count=2 monitor br0", "ofctl monitor --seconds 5 --count=2 br0"),
            ("ofctl --port 6653 decode f", "ofctl decode --port 6653 f"),
            ("ofctl --flows monitor br0", "ofctl monitor br0 --flows"),
            ("ofctl --flows=ip --json monitor br0", "ofctl --json monitor --flows=ip br0"),
            ("ofctl --sort dump-flows br0", "ofctl dump-flows --sort br0"),
            ("ofctl --timeout 3 -h", "ofctl --timeout 3 -h"),
            ("ofctl --help", "ofctl --help"),
            ("ofctl --strict", "ofctl --strict"),
            ("ofctl", "ofctl"),
        ] {
            assert_eq!(moved(given), read);
        }
    }

    #[test]
    fn numbers_alone_or_with_their_names() {
        assert_eq!("7".parse(), Ok(GroupArg(Some(7))));
        assert_eq!("group_id=0x10".parse(), Ok(GroupArg(Some(16))));
        assert_eq!("meter=all".parse(), Ok(MeterArg(None)));
        assert_eq!("ALL".parse(), Ok(QueueArg(None)));
        for text in ["", "meter=", "meter=x", "group_id=1"] {
            assert!(text.parse::<MeterArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn flows_are_sorted_by_several_keys() {
        let command = Order::augment_args(Command::new("x"));
        let order = |args: &[&str]| {
            let words = ["x"].iter().chain(args).copied();
            Order::from_arg_matches(&command.clone().try_get_matches_from(words).expect("sound")).expect("sound")
        };
        let sorted = |args: &[&str]| {
            let mut flows: Vec<_> = [
                "priority=1,ip,nw_src=10.0.0.2",
                "priority=2,arp",
                "priority=3,ip,nw_src=10.0.0.1",
                "priority=1,ip,nw_src=10.0.0.3/0.0.0.254",
                "priority=4,ip",
            ]
            .map(|t| parse_flow_desc(&format!("{t},actions=drop"), &ParseContext::new(Version::V13)).expect(t))
            .into();
            for (i, f) in flows.iter_mut().enumerate() {
                f.cookie.0 = i as u64;
            }
            order(args).sort(&mut flows);
            flows.iter().map(|f| f.cookie.0).collect::<Vec<_>>()
        };
        assert_eq!(sorted(&[]), [0, 1, 2, 3, 4]);
        assert_eq!(sorted(&["--sort"]), [0, 3, 1, 2, 4]);
        assert_eq!(sorted(&["--rsort=priority"]), [4, 2, 1, 0, 3]);
        // Of a masked value the bits that aren't asked for count as 0.
        assert_eq!(sorted(&["--sort=nw_src"]), [3, 2, 0, 1, 4]);
        assert_eq!(sorted(&["--rsort=nw_src"]), [0, 2, 3, 1, 4]);
        assert_eq!(sorted(&["--sort=priority", "--rsort=nw_src"]), [0, 3, 1, 2, 4]);
        assert_eq!(sorted(&["--rsort=nw_src", "--sort"]), [0, 2, 3, 1, 4]);
        assert!(command.clone().try_get_matches_from(["x", "--sort=colour"]).is_err());
    }
}
