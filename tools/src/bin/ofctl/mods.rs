//! Groups and meters, and files of mods of all kinds.

use crate::apply::apply;
use crate::arguments::InBundle;
use crate::cli::Options;
use crate::target::Target;
use crate::text_input::{Given, from_file, given};
use ofproto::flow::FlowModCommand;
use ofproto::group::GroupModCommand;
use ofproto::message::Message;
use ofproto::meter::MeterModCommand;
use ofproto::text::{
    ParseContext, TextError, TextErrorKind, parse_group_mod, parse_meter_mod, parse_packet_out, parse_written_flow_mod,
};
use std::path::Path;
use std::process::ExitCode;

/// What to do with groups.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    Add,
    Modify,
    AddOrModify,
    Delete,
    InsertBuckets,
    RemoveBuckets,
}

fn send(o: &Options, target: &Target, texts: &[Given], how: Group, bundle: InBundle) -> anyhow::Result<ExitCode> {
    let (command, name) = match how {
        Group::Add => (GroupModCommand::Add, "add-group"),
        Group::Modify => (GroupModCommand::Modify, "mod-group"),
        Group::AddOrModify => (GroupModCommand::AddOrMod, "mod-group --may-create"),
        Group::Delete => (GroupModCommand::Delete, "del-groups"),
        Group::InsertBuckets => (GroupModCommand::InsertBucket, "insert-buckets"),
        Group::RemoveBuckets => (GroupModCommand::RemoveBucket, "remove-buckets"),
    };
    apply(o, target, texts, name, bundle, |text, ctx| parse_group_mod(text, command, ctx).map(Message::GroupMod))
}

/// `add-group` and the other group commands
pub fn group(o: &Options, target: &Target, text: &str, how: Group, bundle: InBundle) -> anyhow::Result<ExitCode> {
    send(o, target, &given(text)?, how, bundle)
}

/// `add-groups`
pub fn group_file(o: &Options, target: &Target, file: &Path, bundle: InBundle) -> anyhow::Result<ExitCode> {
    send(o, target, &from_file(file)?, Group::Add, bundle)
}

/// `add-meter`, `mod-meter`, `del-meters`
pub fn meter(o: &Options, target: &Target, text: &str, command: MeterModCommand) -> anyhow::Result<ExitCode> {
    let name = match command {
        MeterModCommand::Modify => "mod-meter",
        MeterModCommand::Delete => "del-meters",
        _ => "add-meter",
    };
    let texts = [Given { place: None, text: text.to_owned() }];
    apply(o, target, &texts, name, InBundle { wanted: false }, |text, ctx| {
        parse_meter_mod(text, command, ctx).map(Message::MeterMod)
    })
}

/// `bundle`
pub fn bundle(o: &Options, target: &Target, file: &Path) -> anyhow::Result<ExitCode> {
    apply(o, target, &from_file(file)?, "bundle", InBundle { wanted: true }, any)
}

/// A line of a file that holds several kinds of mods.
fn any(text: &str, ctx: &ParseContext<'_>) -> Result<Message, TextError> {
    let start = text.len() - text.trim_start().len();
    let word = text.trim_start().split(char::is_whitespace).next().unwrap_or_default();
    let at = start + word.len();
    let rest = text.get(at..).unwrap_or_default();
    let read = match word {
        "flow" => parse_written_flow_mod(rest, FlowModCommand::Add, ctx).map(Message::FlowMod),
        "group" => parse_group_mod(rest, GroupModCommand::Add, ctx).map(Message::GroupMod),
        "meter" => parse_meter_mod(rest, MeterModCommand::Add, ctx).map(Message::MeterMod),
        "packet-out" => parse_packet_out(rest, ctx).map(Message::PacketOut),
        _ => {
            return Err(TextError {
                offset: start,
                kind: TextErrorKind::Unknown,
                expected: "flow, group, meter or packet-out".into(),
                found: word.chars().take(40).collect(),
            });
        }
    };
    read.map_err(|e| TextError { offset: e.offset + at, ..e })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ofproto::Version;

    #[test]
    fn each_line_of_a_bundle_says_its_kind() {
        let read = |text: &str| any(text, &ParseContext::new(Version::V14));
        let kind = |text: &str| match read(text).expect(text) {
            Message::FlowMod(m) => format!("flow {:?}", m.command),
            Message::GroupMod(m) => format!("group {:?}", m.command),
            Message::MeterMod(m) => format!("meter {:?}", m.command),
            Message::PacketOut(_) => "packet-out".into(),
            other => format!("{other:?}"),
        };
        for (text, want) in [
            ("flow ip,actions=drop", "flow Add"),
            (" flow delete_strict priority=5,ip", "flow DeleteStrict"),
            ("group group_id=1,type=all", "group Add"),
            ("group\tdelete group_id=1", "group Delete"),
            ("meter meter=1,kbps,bands=type=drop,rate=1", "meter Add"),
            ("packet-out in_port=1,packet=00,actions=drop", "packet-out"),
        ] {
            assert_eq!(kind(text), want);
        }
        let wrong = read("flow ip,foo=1,actions=drop").expect_err("unknown");
        assert_eq!(wrong.offset, "flow ip,".len());
        let wrong = read("  flows ip").expect_err("unknown");
        assert_eq!((wrong.offset, wrong.found.as_str()), (2, "flows"));
        assert!(read("").is_err());
    }
}
