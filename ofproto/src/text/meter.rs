//! Meters as text: `meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100`.

use super::action::parse_meter_id;
use super::action_fmt::meter_text;
use super::matching::write_hex;
use super::scan::Src;
use super::{ParseContext, TextError, TextErrorKind};
use crate::ids::{ExperimenterId, MeterId};
use crate::meter::{Band, BandAction, MeterConfig, MeterFlags, MeterMod, MeterModCommand};
use bytes::Bytes;
use std::fmt;

const COMMANDS: [(&str, MeterModCommand); 3] =
    [("add", MeterModCommand::Add), ("modify", MeterModCommand::Modify), ("delete", MeterModCommand::Delete)];

const FLAGS: [(&str, MeterFlags); 4] = [
    ("kbps", MeterFlags::KBPS),
    ("pktps", MeterFlags::PKTPS),
    ("burst", MeterFlags::BURST),
    ("stats", MeterFlags::STATS),
];

/// Reads a meter-mod. A text that begins with `add `, `modify ` or `delete ` says itself which
/// command it is. Without `kbps` or `pktps`, rates are in kb/s.
///
/// # Errors
/// Unknown keys, malformed values, a missing `meter` (deletes: all meters), bands without a rate.
pub fn parse_meter_mod(text: &str, command: MeterModCommand, _: &ParseContext<'_>) -> Result<MeterMod, TextError> {
    let (said, body) = Src::new(text).command(&COMMANDS);
    let command = said.unwrap_or(command);
    let (mut meter, mut flags, mut explicit) = (None, MeterFlags::empty(), false);
    let mut bands: Vec<PartialBand<'_>> = Vec::new();
    for item in body.items() {
        let item = item?;
        let number = || item.need("a number");
        if let Some((_, flag)) = FLAGS.iter().find(|(n, _)| *n == item.key.s) {
            item.bare()?;
            flags |= *flag;
            continue;
        }
        let key = item.key.s;
        if matches!(key, "bands" | "band") {
            let inner = item.value;
            match inner.split_once("=") {
                Some((ty, value)) if ty.s == "type" => bands.push(PartialBand::new(value)),
                _ if inner.is_empty() => {}
                _ => return Err(inner.bad("type=drop, dscp_remark or experimenter")),
            }
            continue;
        }
        if key == "type" {
            bands.push(PartialBand::new(number()?));
            continue;
        }
        match (key, bands.last_mut()) {
            ("meter", _) => meter = Some(parse_meter_id(item.need("a meter")?)?),
            ("flags", None) => {
                explicit = true;
                flags |= MeterFlags::from_bits_retain(number()?.u16()?);
            }
            ("rate", Some(b)) => b.rate = Some(number()?.u32()?),
            ("burst_size", Some(b)) => b.burst_size = number()?.u32()?,
            ("prec_level", Some(b)) => b.prec_level = number()?.u8()?,
            ("experimenter", Some(b)) => b.experimenter = number()?.u32()?,
            ("data", Some(b)) => b.data = item.value.hex_bytes()?.into(),
            ("rate" | "burst_size" | "prec_level" | "experimenter" | "data", None) => {
                return Err(item.all.missing("bands=type=… before a band's properties"));
            }
            _ => return Err(item.unknown("meter, kbps, pktps, burst, stats, bands or a band's property")),
        }
    }
    let meter = match meter {
        Some(m) => m,
        None if command == MeterModCommand::Delete => MeterId::ALL,
        None => return Err(body.missing("meter=…")),
    };
    let delete = command == MeterModCommand::Delete;
    if !delete && !explicit && !flags.intersects(MeterFlags::KBPS | MeterFlags::PKTPS) {
        flags |= MeterFlags::KBPS;
    }
    let bands = bands.into_iter().map(PartialBand::finish).collect::<Result<_, _>>()?;
    Ok(MeterMod { command, flags, meter, bands })
}

struct PartialBand<'a> {
    ty: Src<'a>,
    rate: Option<u32>,
    burst_size: u32,
    prec_level: u8,
    experimenter: u32,
    data: Bytes,
}

impl<'a> PartialBand<'a> {
    fn new(ty: Src<'a>) -> Self {
        Self { ty, rate: None, burst_size: 0, prec_level: 0, experimenter: 0, data: Bytes::new() }
    }

    fn finish(self) -> Result<Band, TextError> {
        let action = match self.ty.s {
            "drop" => BandAction::Drop,
            "dscp_remark" => BandAction::DscpRemark { prec_level: self.prec_level },
            "experimenter" => {
                BandAction::Experimenter { experimenter: ExperimenterId(self.experimenter), data: self.data }
            }
            n if n.starts_with(|c: char| c.is_ascii_digit()) => {
                BandAction::Unknown { ty: self.ty.u16()?, data: self.data }
            }
            _ => return Err(self.ty.err(TextErrorKind::Unknown, "drop, dscp_remark or experimenter")),
        };
        let rate = self.rate.ok_or_else(|| self.ty.missing("rate=… of the band"))?;
        Ok(Band { rate, burst_size: self.burst_size, action })
    }
}

/// Prints a meter-mod with its command before it: what [`parse_meter_mod`] reads.
#[derive(Clone, Copy, Debug)]
pub struct MeterModText<'a>(pub &'a MeterMod);

impl fmt::Display for MeterModText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.0;
        match COMMANDS.iter().find(|(_, c)| *c == m.command) {
            Some((name, _)) => write!(f, "{name} ")?,
            None => write!(f, "command={:?} ", m.command)?,
        }
        let quiet = m.command == MeterModCommand::Delete && m.flags.is_empty();
        write_meter(f, m.meter, (!quiet).then_some(m.flags), &m.bands)
    }
}

/// Prints a meter's configuration.
#[derive(Clone, Copy, Debug)]
pub struct MeterText<'a>(pub &'a MeterConfig);

impl fmt::Display for MeterText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_meter(f, self.0.meter, Some(self.0.flags), &self.0.bands)
    }
}

fn write_meter(f: &mut fmt::Formatter<'_>, meter: MeterId, flags: Option<MeterFlags>, bands: &[Band]) -> fmt::Result {
    write!(f, "meter={}", meter_text(meter))?;
    if let Some(flags) = flags {
        let mut rest = flags;
        for (name, flag) in FLAGS {
            if flags.contains(flag) {
                rest.remove(flag);
                write!(f, ",{name}")?;
            }
        }
        if !rest.is_empty() || !flags.intersects(MeterFlags::KBPS | MeterFlags::PKTPS) {
            write!(f, ",flags={:#x}", rest.bits())?;
        }
    }
    for (i, b) in bands.iter().enumerate() {
        f.write_str(if i == 0 { ",bands=" } else { "," })?;
        match &b.action {
            BandAction::Drop => f.write_str("type=drop")?,
            BandAction::DscpRemark { .. } => f.write_str("type=dscp_remark")?,
            BandAction::Experimenter { .. } => f.write_str("type=experimenter")?,
            BandAction::Unknown { ty, .. } => write!(f, "type={ty}")?,
        }
        write!(f, ",rate={}", b.rate)?;
        if b.burst_size != 0 {
            write!(f, ",burst_size={}", b.burst_size)?;
        }
        match &b.action {
            BandAction::Drop => {}
            BandAction::DscpRemark { prec_level } => write!(f, ",prec_level={prec_level}")?,
            BandAction::Experimenter { experimenter, data } => {
                write!(f, ",experimenter={experimenter},data=")?;
                write_hex(f, data)?;
            }
            BandAction::Unknown { data, .. } => {
                f.write_str(",data=")?;
                write_hex(f, data)?;
            }
        }
    }
    Ok(())
}
