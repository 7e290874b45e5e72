//! `mod-port` and `mod-table`.

use crate::cli::Options;
use crate::target::Target;
use crate::text_input::{find_port, port_names};
use crate::{Misuse, report};
use anyhow::{Context as _, bail};
use ofproto::Version;
use ofproto::ids::TableId;
use ofproto::message::{Message, MultipartReply, MultipartRequest};
use ofproto::port::{PortConfig, PortFeatures, PortMod, PortModProp};
use ofproto::table::{TableConfig, TableMod, TableModProp};
use std::process::ExitCode;
use std::str::FromStr;

/// One bit of a port's configuration, set or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortChange {
    bit: PortConfig,
    set: bool,
}

impl FromStr for PortChange {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "up" => return Ok(Self { bit: PortConfig::PORT_DOWN, set: false }),
            "down" => return Ok(Self { bit: PortConfig::PORT_DOWN, set: true }),
            _ => {}
        }
        let (name, set) = s.strip_prefix("no-").map_or((s, false), |name| (name, true));
        let bit = match name {
            "stp" => PortConfig::NO_STP,
            "receive" | "recv" => PortConfig::NO_RECV,
            "receive-stp" | "recv-stp" => PortConfig::NO_RECV_STP,
            "flood" => PortConfig::NO_FLOOD,
            "forward" | "fwd" => PortConfig::NO_FWD,
            "packet-in" => PortConfig::NO_PACKET_IN,
            _ => return Err("expected up, down, or [no-]flood, receive, forward, packet-in, stp, receive-stp".into()),
        };
        Ok(Self { bit, set })
    }
}

/// `mod-port`
pub fn port(o: &Options, target: &Target, port: &str, change: PortChange) -> anyhow::Result<ExitCode> {
    let mut c = o.connect(target)?;
    let ports = c.ports()?;
    let no = find_port(port, &port_names(&ports))?;
    let desc = ports.iter().find(|p| p.port_no == no).with_context(|| format!("the switch has no port {no}"))?;
    let config = if change.set { change.bit } else { PortConfig::empty() };
    // Before 1.4 `advertise` is a fixed field; zero leaves it alone.
    let properties =
        if c.version() < Version::V14 { vec![PortModProp::Ethernet(PortFeatures::empty())] } else { Vec::new() };
    let m = PortMod { port_no: no, hw_addr: desc.hw_addr, config, mask: change.bit, properties };
    Ok(report(&c.modify(&[(format!("mod-port {port}"), Message::PortMod(m))])?))
}

/// A flow table's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// `OFPTC_EVICTION`, set or cleared.
    Evict(bool),
    /// `OFPTC_VACANCY_EVENTS` with the thresholds in per cent, or cleared.
    Vacancy(Option<(u8, u8)>),
    /// `OFPTC_TABLE_MISS_*`
    Miss(u32),
}

impl FromStr for TableChange {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if let Some(limits) = s.strip_prefix("vacancy:") {
            let percent = |t: &str| t.trim().parse().ok().filter(|n| *n <= 100);
            return limits
                .split_once(',')
                .and_then(|(a, b)| Some(Self::Vacancy(Some((percent(a)?, percent(b)?)))))
                .ok_or_else(|| "expected vacancy:DOWN,UP in per cent".into());
        }
        match s {
            "evict" => Ok(Self::Evict(true)),
            "noevict" => Ok(Self::Evict(false)),
            "novacancy" => Ok(Self::Vacancy(None)),
            "controller" => Ok(Self::Miss(0)),
            "continue" => Ok(Self::Miss(TableConfig::MISS_CONTINUE)),
            "drop" => Ok(Self::Miss(TableConfig::MISS_DROP)),
            _ => Err("expected evict, noevict, vacancy:DOWN,UP, novacancy, drop, continue or controller".into()),
        }
    }
}

/// `mod-table`
pub fn table(o: &Options, target: &Target, table: &str, change: TableChange) -> anyhow::Result<ExitCode> {
    let id = match table {
        "all" | "ALL" => TableId::ALL,
        n => match n.parse() {
            Ok(number) if number != TableId::ALL.0 => TableId(number),
            _ => return Err(Misuse(format!("`{n}` is no table: expected 0 to 254, or all")).into()),
        },
    };
    let mut c = o.connect(target)?;
    let version = c.version();
    let mods: Vec<TableMod> = match change {
        TableChange::Miss(bits) => {
            if version >= Version::V13 {
                bail!("OpenFlow {version} has no miss configuration: add an entry of priority 0 instead");
            }
            vec![TableMod { table: id, config: TableConfig::from_bits_retain(bits), properties: Vec::new() }]
        }
        TableChange::Evict(_) | TableChange::Vacancy(_) if version < Version::V14 => {
            bail!("OpenFlow {version} has neither eviction nor vacancy events");
        }
        TableChange::Evict(_) | TableChange::Vacancy(_) => {
            // A table-mod sets all bits: those not meant are sent as they are.
            let MultipartReply::TableDesc(tables) = c.query(MultipartRequest::TableDesc, "table descriptions")? else {
                bail!("the answer to table descriptions is another one");
            };
            let chosen: Vec<_> = tables.into_iter().filter(|t| id == TableId::ALL || t.table == id).collect();
            if chosen.is_empty() {
                bail!("there is no table {table}");
            }
            chosen
                .into_iter()
                .map(|t| {
                    let mut config = t.config;
                    let mut properties = Vec::new();
                    match change {
                        TableChange::Evict(on) => config.set(TableConfig::EVICTION, on),
                        TableChange::Vacancy(limits) => {
                            config.set(TableConfig::VACANCY_EVENTS, limits.is_some());
                            properties.extend(limits.map(|(down, up)| TableModProp::Vacancy { down, up, vacancy: 0 }));
                        }
                        TableChange::Miss(_) => {}
                    }
                    TableMod { table: t.table, config, properties }
                })
                .collect()
        }
    };
    let mods: Vec<_> = mods.into_iter().map(|m| (format!("mod-table {}", m.table), Message::TableMod(m))).collect();
    Ok(report(&c.modify(&mods)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_changes() {
        let change = |bit, set| Ok(PortChange { bit, set });
        for (text, want) in [
            ("up", change(PortConfig::PORT_DOWN, false)),
            ("down", change(PortConfig::PORT_DOWN, true)),
            ("no-flood", change(PortConfig::NO_FLOOD, true)),
            ("flood", change(PortConfig::NO_FLOOD, false)),
            ("no-packet-in", change(PortConfig::NO_PACKET_IN, true)),
            ("receive", change(PortConfig::NO_RECV, false)),
        ] {
            assert_eq!(text.parse::<PortChange>(), want, "{text}");
        }
        for text in ["", "no-", "no-up", "sideways"] {
            assert!(text.parse::<PortChange>().is_err(), "{text}");
        }
    }

    #[test]
    fn table_changes() {
        assert_eq!("vacancy:20,80".parse(), Ok(TableChange::Vacancy(Some((20, 80)))));
        assert_eq!("novacancy".parse(), Ok(TableChange::Vacancy(None)));
        assert_eq!("noevict".parse(), Ok(TableChange::Evict(false)));
        assert_eq!("drop".parse(), Ok(TableChange::Miss(2)));
        for text in ["vacancy:", "vacancy:20", "vacancy:20,101", "evict!"] {
            assert!(text.parse::<TableChange>().is_err(), "{text}");
        }
    }
}
