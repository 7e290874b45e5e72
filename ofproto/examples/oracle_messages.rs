//! Writes messages for `tests/oracle/run` to show to other implementations: the flows of
//! `flow_syntax.tsv` and the recordings of `tests/vectors`, each encoded here in every version that can
//! say it. One line per message: version, type, hexadecimal bytes, a flow-mod in the flow syntax.

use ofproto::flow::FlowModCommand;
use ofproto::ids::Xid;
use ofproto::message::Message;
use ofproto::{Version, text, wire};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn show(version: Version, message: &Message, lines: &mut BTreeSet<String>) {
    // What a version can't say is said in another.
    let Ok(bytes) = wire::encode(version, Xid(0x77), message) else { return };
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let flow = match message {
        // As decoded, because that is what the bytes say.
        Message::FlowMod(_) => match wire::decode(&bytes) {
            Ok((_, Message::FlowMod(m))) => text::Printer { version, ports: &() }.flow_mod(&m).to_string(),
            _ => "(not read back)".into(),
        },
        _ => String::new(),
    };
    lines.insert(format!("{version}\t{}\t{hex}\t{flow}", wire::message_name(message)));
}

fn recordings(root: &Path) -> Result<Vec<Message>, Box<dyn Error>> {
    let mut files = Vec::new();
    for version in Version::ALL {
        let dir = root.join(format!("of1{}", version.column()));
        if dir.is_dir() {
            for entry in fs::read_dir(dir)? {
                files.push(entry?.path());
            }
        }
    }
    files.sort();
    let mut messages = Vec::new();
    for file in files {
        if let Ok((_, message)) = wire::decode(&fs::read(file)?) {
            messages.push(message);
        }
    }
    Ok(messages)
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let flows = fs::read_to_string(here.join("tests/flow_syntax.tsv"))?;
    let flows: BTreeSet<&str> = flows.lines().filter_map(|l| l.split('\t').nth(1)).collect();
    let recorded = recordings(&here.join("../tests/vectors"))?;
    let mut lines = BTreeSet::new();
    for version in Version::ALL {
        let ctx = text::ParseContext::new(version);
        for flow in &flows {
            for command in [FlowModCommand::Add, FlowModCommand::ModifyStrict] {
                if let Ok(m) = text::parse_flow_mod(flow, command, &ctx) {
                    show(version, &Message::FlowMod(m), &mut lines);
                }
            }
        }
        recorded.iter().for_each(|m| show(version, m, &mut lines));
    }
    lines.iter().for_each(|l| println!("{l}"));
    Ok(())
}
