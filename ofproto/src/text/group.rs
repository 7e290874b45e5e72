//! Groups as text: `group_id=1,type=select,bucket=weight:2,watch_port:1,actions=output:1`.

use super::action::{ActionList, Env, parse_group_id};
use super::action_fmt::group_text;
use super::flow::lines;
use super::matching::write_hex;
use super::scan::{Sep, Src};
use super::selection::{self, Selecting};
use super::value::{parse_port, port_text};
use super::{ParseContext, Printer, Shown, TextError, TextErrorKind};
use crate::group::{
    Bucket, ExperimenterProp, GroupDesc, GroupMod, GroupModCommand, GroupProp, GroupType, OtherProp, UnknownProp,
};
use crate::ids::{BucketId, ExperimenterId, GroupId, PortNo};
use crate::version::Version;
use std::fmt;

const COMMANDS: [(&str, GroupModCommand); 6] = [
    ("add", GroupModCommand::Add),
    ("modify", GroupModCommand::Modify),
    ("add_or_mod", GroupModCommand::AddOrMod),
    ("delete", GroupModCommand::Delete),
    ("insert_bucket", GroupModCommand::InsertBucket),
    ("remove_bucket", GroupModCommand::RemoveBucket),
];

const TYPES: [(&str, GroupType); 5] = [
    ("all", GroupType::All),
    ("select", GroupType::Select),
    ("indirect", GroupType::Indirect),
    ("ff", GroupType::FastFailover),
    ("fast_failover", GroupType::FastFailover),
];

/// A bucket's weight where none is given: 1 in select groups, which need one (OpenFlow 1.3.5
/// §7.3.4.2), 0 elsewhere.
fn default_weight(ty: GroupType) -> u16 {
    u16::from(ty == GroupType::Select)
}

/// Reads a group-mod. A text that begins with `add `, `modify `, `add_or_mod `, `delete `,
/// `insert_bucket ` or `remove_bucket ` says itself which command it is.
///
/// From 1.5 on, buckets without an id get the lowest that is free.
///
/// # Errors
/// Unknown keys, malformed values, a missing `group_id` (deletes: all groups) or `type`.
pub fn parse_group_mod(text: &str, command: GroupModCommand, ctx: &ParseContext<'_>) -> Result<GroupMod, TextError> {
    group_mod(Src::new(text), command, ctx)
}

/// Reads a file of group-mods, one a line; empty lines and `#` comments are skipped.
///
/// # Errors
/// The first line's that is refused, with the offset in the file.
pub fn parse_group_mods(
    text: &str,
    command: GroupModCommand,
    ctx: &ParseContext<'_>,
) -> Result<Vec<GroupMod>, TextError> {
    lines(text).map(|line| group_mod(line, command, ctx)).collect()
}

fn group_mod(src: Src<'_>, command: GroupModCommand, ctx: &ParseContext<'_>) -> Result<GroupMod, TextError> {
    let (said, body) = src.command(&COMMANDS);
    let command = said.unwrap_or(command);
    let (mut group, mut ty, mut command_bucket) = (None, None, None);
    let mut properties = Vec::new();
    let mut selecting = Selecting::default();
    let mut bucket_texts: Vec<Src<'_>> = Vec::new();
    let mut in_bucket: Option<usize> = None;
    for item in body.items() {
        let item = item?;
        if let ("bucket" | "buckets", Sep::Equals) = (item.key.s, item.sep) {
            let start = item.value.at - body.at;
            if let Some(from) = in_bucket {
                bucket_texts.push(body.slice(from, item.all.at - body.at));
            }
            in_bucket = Some(start);
            continue;
        }
        if in_bucket.is_some() {
            continue;
        }
        match item.key.s {
            "group_id" => group = Some(parse_group_id(item.need("a group")?)?),
            "type" => {
                let value = item.need("a type")?;
                let known = TYPES.iter().find(|(n, _)| *n == value.s).map(|(_, t)| *t);
                ty = Some(match known {
                    Some(t) => t,
                    None if value.s.starts_with(|c: char| c.is_ascii_digit()) => match value.u8()? {
                        0 => GroupType::All,
                        1 => GroupType::Select,
                        2 => GroupType::Indirect,
                        3 => GroupType::FastFailover,
                        n => GroupType::Unknown(n),
                    },
                    None => return Err(value.err(TextErrorKind::Unknown, "all, select, indirect or ff")),
                });
            }
            "command_bucket_id" => command_bucket = Some(bucket_id(item.need("a bucket")?)?),
            "property" => properties.push(GroupProp::Other(property(item.value)?)),
            _ if selecting.accept(&item)? => {}
            _ => {
                let known = "group_id, type, selection_method, selection_method_param, fields, command_bucket_id, \
                             property or bucket";
                return Err(item.unknown(known));
            }
        }
    }
    if let Some(from) = in_bucket {
        bucket_texts.push(body.from(from));
    }
    if let Some(selection) = selecting.finish()? {
        properties.insert(0, GroupProp::Selection(selection));
    }
    let delete = command == GroupModCommand::Delete;
    let group = match group {
        Some(g) => g,
        None if delete => GroupId::ALL,
        None => return Err(body.missing("group_id=…")),
    };
    let bucket_only = matches!(command, GroupModCommand::InsertBucket | GroupModCommand::RemoveBucket);
    let ty = match ty {
        Some(ty) => ty,
        None if delete || bucket_only => GroupType::All,
        None => return Err(body.missing("type=all, select, indirect or ff")),
    };
    if bucket_only && command_bucket.is_none() {
        return Err(body.missing("command_bucket_id=…"));
    }
    let mut buckets = bucket_texts.into_iter().map(|b| bucket(b, ty, ctx)).collect::<Result<Vec<_>, _>>()?;
    if ctx.version >= Version::V15 {
        number_buckets(&mut buckets);
    }
    Ok(GroupMod { command, ty, group, command_bucket: command_bucket.unwrap_or(BucketId::ALL), buckets, properties })
}

fn number_buckets(buckets: &mut [Bucket]) {
    let taken: std::collections::HashSet<u32> = buckets.iter().filter_map(|b| b.id).map(|id| id.0).collect();
    let mut free = (0..).filter(|n| !taken.contains(n));
    for b in buckets {
        if b.id.is_none() {
            b.id = free.next().map(BucketId);
        }
    }
}

fn bucket_id(src: Src<'_>) -> Result<BucketId, TextError> {
    Ok(match src.s {
        "first" => BucketId::FIRST,
        "last" => BucketId::LAST,
        "all" => BucketId::ALL,
        _ => BucketId(src.u32()?),
    })
}

/// `(type=0xffff,experimenter=1,exp_type=2,data=00)`
fn property(src: Src<'_>) -> Result<OtherProp, TextError> {
    let inner = src.strip_prefix("(").and_then(|i| i.s.ends_with(')').then(|| i.slice(0, i.s.len() - 1)));
    let inner = inner.ok_or_else(|| src.bad("(type=…,data=…)"))?;
    let (mut ty, mut experimenter, mut exp_type, mut data) = (0xffff, None, 0, bytes::Bytes::new());
    for part in inner.items() {
        let part = part?;
        match part.key.s {
            "type" => ty = part.need("a number")?.u16()?,
            "experimenter" => experimenter = Some(ExperimenterId(part.need("a number")?.u32()?)),
            "exp_type" => exp_type = part.need("a number")?.u32()?,
            "data" => data = part.value.hex_bytes()?.into(),
            _ => return Err(part.unknown("type, experimenter, exp_type or data")),
        }
    }
    Ok(match experimenter {
        Some(experimenter) => OtherProp::Experimenter(ExperimenterProp { ty, experimenter, exp_type, data }),
        None => OtherProp::Unknown(UnknownProp { ty, data }),
    })
}

fn bucket(src: Src<'_>, ty: GroupType, ctx: &ParseContext<'_>) -> Result<Bucket, TextError> {
    let mut out = Bucket::new(Vec::new());
    out.weight = default_weight(ty);
    let mut actions = ActionList::new(Env::new(ctx));
    // What a bucket says of itself may stand between and behind its actions, too.
    let (mut items, mut named) = (src.items(), false);
    while let Some(item) = items.next() {
        let item = item?;
        match item.key.s {
            "weight" => out.weight = item.need("a number")?.u16()?,
            "watch_port" => out.watch_port = parse_port(item.need("a port")?, ctx)?,
            "watch_group" => out.watch_group = parse_group_id(item.need("a group")?)?,
            "bucket_id" => out.id = Some(BucketId(item.need("a number")?.u32()?)),
            "property" => out.other.push(property(item.value)?),
            "actions" | "action" if !named => (items, named) = (item.rest.items(), true),
            // Actions without the word before them.
            _ => actions.push(item)?,
        }
    }
    out.actions = actions.finish()?;
    Ok(out)
}

/// Prints a group-mod with its command before it: what [`parse_group_mod`] reads.
#[derive(Clone, Copy, Debug)]
pub struct GroupModText<'a>(pub &'a GroupMod);

impl fmt::Display for GroupModText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer::default().write_group_mod(f, self.0)
    }
}

/// Prints a group as `dump-groups` does.
#[derive(Clone, Copy, Debug)]
pub struct GroupText<'a>(pub &'a GroupDesc);

impl fmt::Display for GroupText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printer::default().write_group(f, self.0)
    }
}

fn write_group_property(f: &mut fmt::Formatter<'_>, p: &GroupProp) -> fmt::Result {
    f.write_str(",")?;
    match p {
        GroupProp::Selection(s) => selection::write(f, s),
        GroupProp::Other(p) => write_property(f, "=", p),
    }
}

fn write_property(f: &mut fmt::Formatter<'_>, sep: &str, p: &OtherProp) -> fmt::Result {
    match p {
        OtherProp::Experimenter(p) => {
            write!(f, "property{sep}(type={:#x},experimenter={},exp_type={},data=", p.ty, p.experimenter, p.exp_type)?;
            write_hex(f, &p.data)?;
        }
        OtherProp::Unknown(p) => {
            write!(f, "property{sep}(type={:#x},data=", p.ty)?;
            write_hex(f, &p.data)?;
        }
    }
    f.write_str(")")
}

impl Printer<'_> {
    /// A group-mod, printable.
    pub fn group_mod<'m>(&'m self, m: &'m GroupMod) -> impl fmt::Display + 'm {
        Shown(move |f: &mut fmt::Formatter<'_>| self.write_group_mod(f, m))
    }

    /// A group, printable.
    pub fn group<'m>(&'m self, m: &'m GroupDesc) -> impl fmt::Display + 'm {
        Shown(move |f: &mut fmt::Formatter<'_>| self.write_group(f, m))
    }

    fn write_type(&self, f: &mut fmt::Formatter<'_>, ty: GroupType) -> fmt::Result {
        match (TYPES.iter().find(|(_, t)| *t == ty), ty) {
            (Some((name, _)), _) => write!(f, ",type={name}"),
            (None, GroupType::Unknown(n)) => write!(f, ",type={n}"),
            (None, _) => Ok(()),
        }
    }

    fn write_buckets(&self, f: &mut fmt::Formatter<'_>, ty: GroupType, buckets: &[Bucket]) -> fmt::Result {
        for b in buckets {
            f.write_str(",bucket=")?;
            if let Some(id) = b.id {
                write!(f, "bucket_id:{id},")?;
            }
            if b.weight != default_weight(ty) {
                write!(f, "weight:{},", b.weight)?;
            }
            if b.watch_port != PortNo::ANY {
                write!(f, "watch_port:{},", port_text(b.watch_port, self.ports))?;
            }
            if b.watch_group != GroupId::ANY {
                write!(f, "watch_group:{},", group_text(b.watch_group))?;
            }
            for p in &b.other {
                write_property(f, ":", p)?;
                f.write_str(",")?;
            }
            f.write_str("actions=")?;
            self.write_actions(f, &b.actions)?;
        }
        Ok(())
    }

    fn write_group_mod(&self, f: &mut fmt::Formatter<'_>, m: &GroupMod) -> fmt::Result {
        match COMMANDS.iter().find(|(_, c)| *c == m.command) {
            Some((name, _)) => write!(f, "{name} ")?,
            None => write!(f, "command={:?} ", m.command)?,
        }
        write!(f, "group_id={}", group_text(m.group).to_ascii_lowercase())?;
        let bucket_only = matches!(m.command, GroupModCommand::InsertBucket | GroupModCommand::RemoveBucket);
        if bucket_only || m.command_bucket != BucketId::ALL {
            match m.command_bucket {
                BucketId::FIRST => f.write_str(",command_bucket_id=first")?,
                BucketId::LAST => f.write_str(",command_bucket_id=last")?,
                BucketId::ALL => f.write_str(",command_bucket_id=all")?,
                BucketId(n) => write!(f, ",command_bucket_id={n}")?,
            }
        }
        if !((bucket_only || m.command == GroupModCommand::Delete) && m.ty == GroupType::All) {
            self.write_type(f, m.ty)?;
        }
        m.properties.iter().try_for_each(|p| write_group_property(f, p))?;
        self.write_buckets(f, m.ty, &m.buckets)
    }

    fn write_group(&self, f: &mut fmt::Formatter<'_>, m: &GroupDesc) -> fmt::Result {
        write!(f, "group_id={}", group_text(m.group).to_ascii_lowercase())?;
        self.write_type(f, m.ty)?;
        m.properties.iter().try_for_each(|p| write_group_property(f, p))?;
        self.write_buckets(f, m.ty, &m.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_says_of_itself_may_follow_its_actions() {
        let ctx = ParseContext::default();
        for (text, printed) in [
            ("bucket=output:1,weight:5", "bucket=weight:5,actions=output:1"),
            (
                "bucket=actions=output:2,weight:7,output:3,watch_port:3",
                "bucket=weight:7,watch_port:3,actions=output:2,output:3",
            ),
            ("bucket=weight:2,drop,watch_group:4", "bucket=weight:2,watch_group:4,actions=drop"),
            ("bucket=weight:2", "bucket=weight:2,actions=drop"),
        ] {
            let group = parse_group_mod(&format!("group_id=1,type=select,{text}"), GroupModCommand::Add, &ctx);
            assert_eq!(GroupModText(&group.unwrap()).to_string(), format!("add group_id=1,type=select,{printed}"));
        }
        for text in ["bucket=drop,output:1", "bucket=actions=output:1,actions=output:2", "bucket=output:1,weight"] {
            let text = format!("group_id=1,type=select,{text}");
            assert!(parse_group_mod(&text, GroupModCommand::Add, &ctx).is_err(), "{text}");
        }
    }
}
