//! Tables and words for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use ofproto::port::{EthernetPort, Port, PortConfig, PortFeatures, PortState};
use std::time::Duration;

/// A table without lines: columns under their heads, those of `right` (numbers) to the right.
pub fn table<const N: usize>(head: [&str; N], right: &[usize], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    columns(&head, right, &rows)
}

/// [`table`] for a number of columns that isn't known beforehand.
pub fn columns(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let mut t = Table::new();
    t.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    for row in rows {
        t.add_row(row);
    }
    for (i, column) in t.column_iter_mut().enumerate() {
        column.set_padding((if i == 0 { 0 } else { 2 }, 0));
        if right.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    t.lines().map(|line| format!(" {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

/// A counter; all ones mean that the switch doesn't count it (OpenFlow 1.3.5 §7.3.5.6).
pub fn count(n: u64) -> String {
    if n == u64::MAX { "-".into() } else { n.to_string() }
}

/// Seconds with as many decimals as mean something.
pub fn seconds(sec: u32, nsec: u32) -> String {
    if (sec, nsec) == (u32::MAX, u32::MAX) {
        return "-".into();
    }
    let t = Duration::new(u64::from(sec), nsec.min(999_999_999)).as_secs_f64();
    if t < 100.0 { format!("{t:.1}") } else { format!("{t:.0}") }
}

/// Bits by name; those without one in hexadecimal; `-` for none.
pub fn bits(value: u32, names: &[(u32, &str)]) -> String {
    let mut rest = value;
    let mut out = Vec::new();
    for (bit, name) in names {
        if value & bit != 0 {
            rest &= !bit;
            out.push((*name).to_owned());
        }
    }
    if rest != 0 {
        out.push(format!("{rest:#x}"));
    }
    if out.is_empty() { "-".into() } else { out.join(" ") }
}

/// `ofp_port_config` in words.
pub fn port_config(c: PortConfig) -> String {
    bits(
        c.bits(),
        &[
            (PortConfig::PORT_DOWN.bits(), "down"),
            (PortConfig::NO_STP.bits(), "no-stp"),
            (PortConfig::NO_RECV.bits(), "no-receive"),
            (PortConfig::NO_RECV_STP.bits(), "no-receive-stp"),
            (PortConfig::NO_FLOOD.bits(), "no-flood"),
            (PortConfig::NO_FWD.bits(), "no-forward"),
            (PortConfig::NO_PACKET_IN.bits(), "no-packet-in"),
        ],
    )
}

/// The link and whatever else the state says.
pub fn port_state(s: PortState) -> String {
    let link = if s.contains(PortState::LINK_DOWN) { "down" } else { "up" };
    let rest = s - PortState::LINK_DOWN;
    match bits(rest.bits(), &[(PortState::BLOCKED.bits(), "blocked"), (PortState::LIVE.bits(), "live")]).as_str() {
        "-" => link.into(),
        more => format!("{link} {more}"),
    }
}

/// `ofp_port_features` in words.
pub fn port_features(f: PortFeatures) -> String {
    let names: Vec<(u32, &str)> = [
        "10Mb-HD",
        "10Mb-FD",
        "100Mb-HD",
        "100Mb-FD",
        "1Gb-HD",
        "1Gb-FD",
        "10Gb-FD",
        "40Gb-FD",
        "100Gb-FD",
        "1Tb-FD",
        "other",
        "copper",
        "fiber",
        "autoneg",
        "pause",
        "pause-asym",
    ]
    .into_iter()
    .enumerate()
    .map(|(i, name)| (1 << i, name))
    .collect();
    bits(f.bits(), &names)
}

/// A rate in kb/s.
pub fn speed(kbps: u32) -> String {
    match kbps {
        0 => "-".into(),
        k if k % 1_000_000 == 0 => format!("{} Gb/s", k / 1_000_000),
        k if k % 1000 == 0 => format!("{} Mb/s", k / 1000),
        k => format!("{k} kb/s"),
    }
}

/// The speed of a port, from the number or from the features' bits (1.0 has no number).
pub fn port_speed(e: &EthernetPort) -> String {
    if e.curr_speed != 0 {
        return speed(e.curr_speed);
    }
    let known = [
        (PortFeatures::TB1_FD, 1_000_000_000),
        (PortFeatures::GB100_FD, 100_000_000),
        (PortFeatures::GB40_FD, 40_000_000),
        (PortFeatures::GB10_FD, 10_000_000),
        (PortFeatures::GB1_FD | PortFeatures::GB1_HD, 1_000_000),
        (PortFeatures::MB100_FD | PortFeatures::MB100_HD, 100_000),
        (PortFeatures::MB10_FD | PortFeatures::MB10_HD, 10_000),
    ];
    known.iter().find(|(f, _)| e.curr.intersects(*f)).map_or_else(|| "-".into(), |(_, kbps)| speed(*kbps))
}

/// The ports as a table.
pub fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|p| p.port_no);
    table(
        ["port", "name", "address", "link", "speed", "configuration", "features"],
        &[0, 4],
        sorted.into_iter().map(|p| {
            let e = p.ethernet().copied().unwrap_or_default();
            [
                p.port_no.to_string(),
                printable(&p.name),
                p.hw_addr.to_string(),
                port_state(p.state),
                port_speed(&e),
                port_config(p.config),
                port_features(e.curr),
            ]
        }),
    )
}

/// Text from the wire without control characters: a name must not move the terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_without_trailing_blanks() {
        let rows = [["1".to_owned(), "a".to_owned()], ["10".to_owned(), "bc".to_owned()]];
        assert_eq!(table(["n", "name"], &[0], rows), "  n  name\n  1  a\n 10  bc");
    }

    #[test]
    fn words() {
        assert_eq!(count(u64::MAX), "-");
        assert_eq!(seconds(5, 250_000_000), "5.2");
        assert_eq!(seconds(u32::MAX, u32::MAX), "-");
        assert_eq!(port_config(PortConfig::PORT_DOWN | PortConfig::from_bits_retain(1 << 20)), "down 0x100000");
        assert_eq!(port_state(PortState::LIVE), "up live");
        assert_eq!(port_state(PortState::LINK_DOWN), "down");
        assert_eq!(port_features(PortFeatures::GB10_FD | PortFeatures::COPPER), "10Gb-FD copper");
        assert_eq!(
            (speed(10_000_000), speed(100_000), speed(1)),
            ("10 Gb/s".into(), "100 Mb/s".into(), "1 kb/s".into())
        );
        assert_eq!(printable("a\x1b[2J"), "a.[2J");
    }
}
