//! The table of options that `tun_metadata` fields stand for.

use crate::cli::Options;
use crate::target::Target;
use crate::text_input::located;
use crate::{print, print_json, report};
use anyhow::bail;
use ofproto::message::Message;
use ofproto::nx_message::{NxMessage, TlvTableCommand};
use ofproto::text::{parse_tlv_maps, tlv_table};
use ofproto::wire::message_name;
use std::process::ExitCode;

/// `add-tlv-map`
pub fn add(o: &Options, target: &Target, maps: &str) -> anyhow::Result<ExitCode> {
    change(o, target, maps, TlvTableCommand::Add, format!("add-tlv-map `{maps}`"))
}

/// `del-tlv-map`
pub fn delete(o: &Options, target: &Target, maps: &str) -> anyhow::Result<ExitCode> {
    if maps.trim().is_empty() {
        return change(o, target, maps, TlvTableCommand::Clear, "del-tlv-map".into());
    }
    change(o, target, maps, TlvTableCommand::Delete, format!("del-tlv-map `{maps}`"))
}

fn change(
    o: &Options,
    target: &Target,
    maps: &str,
    command: TlvTableCommand,
    what: String,
) -> anyhow::Result<ExitCode> {
    let parsed = parse_tlv_maps(maps).map_err(located(maps, None))?;
    let mut c = o.connect(target)?;
    let message = Message::Nicira(NxMessage::TlvTableMod { command, maps: parsed });
    Ok(report(&c.modify(&[(what, message)])?))
}

/// Prints the table.
pub fn dump(o: &Options, target: &Target) -> anyhow::Result<()> {
    let mut c = o.connect(target)?;
    let answer = c.ask(&Message::Nicira(NxMessage::TlvTableRequest), "NXT_TLV_TABLE_REQUEST")?;
    match &answer {
        Message::Nicira(NxMessage::TlvTableReply { max_option_space, max_fields, maps }) => {
            if o.json {
                print_json(&ofproto::json::to_value(&answer));
            } else {
                print(&tlv_table(*max_option_space, *max_fields, maps));
            }
            Ok(())
        }
        other => bail!("the answer to NXT_TLV_TABLE_REQUEST is an {}", message_name(other)),
    }
}
