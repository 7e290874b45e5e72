//! Writes messages for `tests/oracle/run` to show to other implementations: the flows of
//! `flow_syntax.tsv` and the recordings of `tests/vectors`, each encoded here in every version that can
//! say it. One line per message: version, type, hexadecimal bytes, a flow-mod in the flow syntax.

use ofproto::async_config::{AsyncConfig, AsyncKind, AsyncProp};
use ofproto::field::FieldId;
use ofproto::flow::{FlowMod, FlowModCommand, FlowRemoved, FlowRemovedReason};
use ofproto::ids::{BufferId, Cookie, GroupId, MonitorId, PortNo, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Message, Multipart, MultipartRequest};
use ofproto::monitor::{FlowMonitorRequest, MonitorCommand, MonitorFlags};
use ofproto::nx_message::{NxMessage, PacketIn2};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::role::Role;
use ofproto::stats::{FlowStats, FlowStatsRequest};
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
        Message::FlowMod(_) | Message::Nicira(NxMessage::FlowMod(_)) => match wire::decode(&bytes) {
            Ok((_, Message::FlowMod(m) | Message::Nicira(NxMessage::FlowMod(m)))) => {
                text::Printer { version, ports: &() }.flow_mod(&m).to_string()
            }
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

/// One of each of Nicira's messages; their statistics and NXM matches come with 1.0's flows.
fn nicira() -> Vec<NxMessage> {
    let matching = Match::any().with(FieldId::InPort, 3).with(FieldId::Reg0, 7);
    let config = AsyncProp::Reasons { kind: AsyncKind::PacketIn, master: true, mask: 3 };
    vec![
        NxMessage::RoleRequest(Role::Master),
        NxMessage::RoleReply(Role::Slave),
        NxMessage::SetFlowFormat(2),
        NxMessage::FlowModTableId(true),
        NxMessage::SetPacketInFormat(1),
        NxMessage::SetAsyncConfig { packet_in: [1, 2], port_status: [3, 4], flow_removed: [5, 6] },
        NxMessage::SetAsyncConfig2(AsyncConfig { props: vec![config] }),
        NxMessage::SetControllerId(9),
        NxMessage::FlowRemoved(FlowRemoved {
            cookie: Cookie(5),
            priority: 6,
            reason: FlowRemovedReason::HardTimeout,
            table: TableId(2),
            idle_timeout: 7,
            hard_timeout: 0,
            stats: FlowStats { duration_sec: 1, packet_count: 2, byte_count: 3, ..FlowStats::default() },
            matching: matching.clone(),
        }),
        NxMessage::PacketIn(PacketIn {
            buffer_id: BufferId::NONE,
            total_len: 60,
            reason: PacketInReason::ApplyAction,
            table: TableId(4),
            cookie: Cookie(8),
            matching: matching.clone(),
            data: vec![0; 60].into(),
        }),
        NxMessage::PacketIn2(Box::new(PacketIn2 {
            packet: Some(vec![0; 60].into()),
            full_len: Some(90),
            buffer_id: Some(3),
            table_id: Some(2),
            cookie: Some(7),
            reason: Some(1),
            metadata: Some(matching),
            userdata: Some(vec![1, 2, 3].into()),
            ..PacketIn2::default()
        })),
        NxMessage::FlowMonitorCancel(4),
        NxMessage::FlowMonitorPaused,
        NxMessage::FlowMonitorResumed,
        NxMessage::FlowAge,
        NxMessage::CtFlushZone(12),
        NxMessage::TlvTableRequest,
    ]
}

/// A flow in Nicira's forms of 1.0: the flow-mod, a request for such flows, a monitor of them.
fn nicira_flow(m: FlowMod, lines: &mut BTreeSet<String>) {
    let filter = FlowStatsRequest { matching: m.matching.clone(), ..FlowStatsRequest::default() };
    let monitor = FlowMonitorRequest {
        id: MonitorId(1),
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
        flags: MonitorFlags::INITIAL | MonitorFlags::ADD,
        table: TableId::ALL,
        command: MonitorCommand::Add,
        matching: m.matching.clone(),
        bare: false,
    };
    for body in [
        MultipartRequest::NxFlow(filter.clone()),
        MultipartRequest::NxAggregate(filter),
        MultipartRequest::FlowMonitor(vec![monitor]),
    ] {
        show(Version::V10, &Message::MultipartRequest(Multipart::last(body)), lines);
    }
    show(Version::V10, &Message::Nicira(NxMessage::FlowMod(m)), lines);
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
                    if version == Version::V10 {
                        nicira_flow(m.clone(), &mut lines);
                    }
                    show(version, &Message::FlowMod(m), &mut lines);
                }
            }
        }
        for m in nicira() {
            show(version, &Message::Nicira(m), &mut lines);
        }
        recorded.iter().for_each(|m| show(version, m, &mut lines));
    }
    lines.iter().for_each(|l| println!("{l}"));
    Ok(())
}
