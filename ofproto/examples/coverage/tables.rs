//! The tables of `README.md` and of `ofproto::field`, made from what the code does.

use ofproto::async_config::AsyncConfig;
use ofproto::field::{Code, FIELDS, Prereq};
use ofproto::flow::{FlowMod, FlowRemoved, FlowRemovedReason};
use ofproto::ids::{BufferId, Cookie, ExperimenterId, TableId, Xid};
use ofproto::matching::Match;
use ofproto::message::{Experimenter, Message, Multipart, MultipartReply, MultipartRequest};
use ofproto::monitor::FlowUpdate;
use ofproto::nx_message::{NxMessage, PacketIn2, TlvTableCommand};
use ofproto::packet::{PacketIn, PacketInReason};
use ofproto::role::Role;
use ofproto::stats::{AggregateStats, FlowStats, FlowStatsRequest};
use ofproto::{Version, wire};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the README's table begins and ends.
pub const BEGIN: &str = "<!-- coverage: written by `cargo run -p ofproto --example coverage` -->\n";
/// See [`BEGIN`].
pub const END: &str = "<!-- /coverage -->\n";

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files that hold tables, with what they must hold.
pub fn files() -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let readme = here().join("README.md");
    let text = fs::read_to_string(&readme)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("README.md: no place for the table")?;
    let (_, after) = rest.split_once(END).ok_or("README.md: the table has no end")?;
    let text = format!("{before}{BEGIN}{}{END}{after}", messages()?);
    Ok(vec![(readme, text), (here().join("src/field_table.md"), fields())])
}

/// A message, recorded or made.
struct Sample {
    row: String,
    /// The recording; none of a message that was made.
    recorded: Option<(Version, Vec<u8>)>,
    message: Message,
}

impl Sample {
    /// Place in the table: the type in the numbering of 1.1 and later.
    fn place(&self) -> u8 {
        match &self.recorded {
            Some((Version::V10, _)) => u8::MAX,
            Some((_, bytes)) => bytes.get(1).copied().unwrap_or(u8::MAX),
            None => match self.message {
                Message::MultipartRequest(_) => 18,
                Message::MultipartReply(_) => 19,
                _ => 4,
            },
        }
    }
}

/// What nobody recorded: 1.0's vendor message and Nicira's messages.
fn made() -> Vec<Message> {
    let experimenter = ExperimenterId(0x0100_0001);
    let vendor = Experimenter { experimenter, exp_type: None, data: vec![1, 2, 3, 4].into() };
    let nicira = [
        NxMessage::RoleRequest(Role::Master),
        NxMessage::RoleReply(Role::Master),
        NxMessage::SetFlowFormat(2),
        NxMessage::FlowModTableId(true),
        NxMessage::SetPacketInFormat(1),
        NxMessage::SetAsyncConfig { packet_in: [1, 2], port_status: [3, 4], flow_removed: [5, 6] },
        NxMessage::SetAsyncConfig2(AsyncConfig::default()),
        NxMessage::SetControllerId(5),
        NxMessage::FlowRemoved(FlowRemoved {
            cookie: Cookie(1),
            priority: 1,
            reason: FlowRemovedReason::Delete,
            table: TableId(1),
            idle_timeout: 0,
            hard_timeout: 0,
            stats: FlowStats::default(),
            matching: Match::any(),
        }),
        NxMessage::PacketIn(PacketIn {
            buffer_id: BufferId::NONE,
            total_len: 14,
            reason: PacketInReason::TableMiss,
            table: TableId(1),
            cookie: Cookie(1),
            matching: Match::any(),
            data: vec![0; 14].into(),
        }),
        NxMessage::FlowMod(FlowMod::default()),
        NxMessage::PacketIn2(Box::new(PacketIn2 {
            reason: Some(1),
            packet: Some(vec![0; 14].into()),
            ..PacketIn2::default()
        })),
        NxMessage::Resume(Box::new(PacketIn2 { continuation: Some(vec![0; 8].into()), ..PacketIn2::default() })),
        NxMessage::FlowMonitorCancel(1),
        NxMessage::FlowMonitorPaused,
        NxMessage::FlowMonitorResumed,
        NxMessage::FlowAge,
        NxMessage::CtFlushZone(1),
        NxMessage::TlvTableMod { command: TlvTableCommand::Add, maps: vec![] },
        NxMessage::TlvTableRequest,
        NxMessage::TlvTableReply { max_option_space: 0, max_fields: 0, maps: vec![] },
        NxMessage::OnfFlowMonitorCancel(1),
        NxMessage::OnfFlowMonitorPaused,
        NxMessage::OnfFlowMonitorResumed,
    ];
    let asked = [
        MultipartRequest::NxFlow(FlowStatsRequest::default()),
        MultipartRequest::NxAggregate(FlowStatsRequest::default()),
    ];
    let told = [
        MultipartReply::NxFlow(Vec::new()),
        MultipartReply::NxAggregate(AggregateStats::default()),
        // Recorded ones tell of initial flows, which the extensions don't know.
        MultipartReply::FlowMonitor(vec![FlowUpdate::Abbrev(Xid(1))]),
    ];
    std::iter::once(Message::Experimenter(vendor))
        .chain(nicira.map(Message::Nicira))
        .chain(asked.map(|b| Message::MultipartRequest(Multipart::last(b))))
        .chain(told.map(|b| Message::MultipartReply(Multipart::last(b))))
        .collect()
}

/// A table's row: the message's name, with the multipart's type.
pub fn row(message: &Message) -> String {
    let name = wire::message_name(message);
    let variant = |debug: String| debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    match message {
        Message::MultipartRequest(m) => format!("`{name}` {}", variant(format!("{:?}", m.body))),
        Message::MultipartReply(m) => format!("`{name}` {}", variant(format!("{:?}", m.body))),
        Message::Nicira(m) => match variant(format!("{m:?}")).strip_prefix("Onf") {
            Some(onf) => format!("`{name}` ONF {onf}"),
            None => format!("`{name}` Nicira {}", variant(format!("{m:?}"))),
        },
        _ => format!("`{name}`"),
    }
}

fn samples() -> Result<Vec<Sample>, Box<dyn Error>> {
    let mut samples = Vec::new();
    for dir in ["of10", "of12", "of13", "of14", "of15"] {
        let mut paths: Vec<_> = fs::read_dir(here().join("../tests/vectors").join(dir))?
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            add(&mut samples, fs::read(path)?);
        }
    }
    samples.extend(made().into_iter().map(|message| Sample { row: row(&message), recorded: None, message }));
    Ok(samples)
}

/// Takes a recording that is one whole message.
fn add(samples: &mut Vec<Sample>, bytes: Vec<u8>) {
    let Ok((header, message)) = wire::decode(&bytes) else { return };
    let Some(version) = Version::from_wire(header.version) else { return };
    samples.push(Sample { row: row(&message), recorded: Some((version, bytes)), message });
}

/// What a version does with a row's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// So many recorded ones come back byte for byte.
    Recorded(usize),
    /// None was recorded, but another version's can be written, and is read the same.
    Written,
    /// The version has no such message.
    Absent,
}

fn cell(version: Version, samples: &[&Sample]) -> Result<Cell, Box<dyn Error>> {
    let recorded = samples
        .iter()
        .filter_map(|s| s.recorded.as_ref())
        .filter(|(v, bytes)| {
            *v == version
                && wire::decode(bytes).is_ok_and(|(h, m)| wire::encode(version, h.xid, &m).as_ref() == Ok(bytes))
        })
        .count();
    if recorded > 0 {
        return Ok(Cell::Recorded(recorded));
    }
    let mut written = false;
    for sample in samples {
        let Ok(bytes) = wire::encode(version, Xid(1), &sample.message) else { continue };
        // A report may lose what the version has no room for: once, not twice.
        let (header, again) = wire::decode(&bytes).map_err(|e| format!("{version} {}: {e}", sample.row))?;
        if row(&again) != sample.row || wire::encode(version, header.xid, &again).as_ref() != Ok(&bytes) {
            return Err(format!("{version} {}: does not come back", sample.row).into());
        }
        written = true;
    }
    Ok(if written { Cell::Written } else { Cell::Absent })
}

/// A kind of message, and what each version does with it.
pub type Row = (String, [Cell; 6]);

/// Every kind of message, with what the versions do with it; by type in the numbering of 1.1 and later,
/// then as sorted.
pub fn rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let samples = samples()?;
    let mut rows: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        rows.entry(&sample.row).or_default().push(sample);
    }
    let mut order: Vec<&str> = rows.keys().copied().collect();
    order.sort_by_key(|r| rows[r].iter().map(|s| s.place()).min());
    let mut out = Vec::new();
    for row in order {
        let mut cells = [Cell::Absent; 6];
        for version in Version::ALL {
            cells[version.column()] = cell(version, &rows[row])?;
        }
        out.push((row.to_owned(), cells));
    }
    Ok(out)
}

/// The message table.
pub fn messages() -> Result<String, Box<dyn Error>> {
    let mut out = String::from("| message |");
    Version::ALL.iter().for_each(|v| _ = write!(out, " {v} |"));
    out.push_str("\n|---|");
    Version::ALL.iter().for_each(|_| out.push_str(":-:|"));
    out.push('\n');
    for (row, cells) in rows()? {
        _ = write!(out, "| {row} |");
        for cell in cells {
            match cell {
                Cell::Recorded(n) => _ = write!(out, " {n} |"),
                Cell::Written => out.push_str(" ✓ |"),
                Cell::Absent => out.push_str(" – |"),
            }
        }
        out.push('\n');
    }
    Ok(out)
}

fn code(code: &Code) -> String {
    match code {
        Code::Oxm(n) => format!("OXM {n}"),
        Code::Nxm0(n) => format!("NXM0 {n}"),
        Code::Nxm1(n) => format!("NXM1 {n}"),
        Code::PacketRegs(n) => format!("packet register {n}"),
        Code::Onf(n) => format!("ONF {n}"),
        Code::Nsh(n) => format!("NSH {n}"),
    }
}

const fn prerequisite(p: Prereq) -> &'static str {
    match p {
        Prereq::None => "",
        Prereq::InPort => "in_port",
        Prereq::Vlan => "a VLAN tag",
        Prereq::Ip => "IPv4 or IPv6",
        Prereq::Ipv4 => "IPv4",
        Prereq::Ipv6 => "IPv6",
        Prereq::Arp => "ARP",
        Prereq::Mpls => "MPLS",
        Prereq::Pbb => "PBB",
        Prereq::Nsh => "NSH",
        Prereq::Tcp => "TCP",
        Prereq::Udp => "UDP",
        Prereq::Sctp => "SCTP",
        Prereq::Icmpv4 => "ICMP",
        Prereq::Icmpv6 => "ICMPv6",
        Prereq::Nd => "neighbour discovery",
        Prereq::NdSol => "neighbour solicitation",
        Prereq::NdAdv => "neighbour advertisement",
    }
}

/// The field table.
pub fn fields() -> String {
    let mut out = String::from(
        "| field | flow syntax | bits | mask | set | needs | since | header forms |\n|---|---|--:|:-:|:-:|---|---|---|\n",
    );
    let yes = |b| if b { "yes" } else { "" };
    for f in FIELDS {
        let codes: Vec<String> = f.codes.iter().map(code).collect();
        _ = writeln!(
            out,
            "| `{}` | `{}` | {} | {} | {} | {} | {} | {} |",
            f.name,
            f.alias,
            f.bits,
            yes(f.maskable),
            yes(f.settable),
            prerequisite(f.prereq),
            f.since,
            codes.join(", ")
        );
    }
    out
}

/// A path as said to people.
pub fn short(path: &Path) -> String {
    path.strip_prefix(here()).unwrap_or(path).display().to_string()
}
