//! Actions and instructions as text. Nicira's are in [`super::nicira_fmt`].

use super::matching::{write_hex, write_unknown, write_unknown_id};
use super::names::{code_bits, code_name, field_text_name, preferred_code};
use super::tun_metadata;
use super::value::{format_action_value, format_value_named, hex_text, port_text};
use super::{Printer, Shown};
use crate::action::Action;
use crate::field::FieldId;
use crate::ids::{GroupId, MeterId, PortNo};
use crate::instruction::Instruction;
use crate::matching::{MatchField, OxmId};
use crate::nicira::{NxAction, Subfield};
use crate::stats::FlowStat;
use crate::version::Version;
use std::fmt::{self, Formatter, Result};

/// Prints a list of actions; `drop` for none.
#[derive(Clone, Copy, Debug)]
pub struct ActionsText<'a>(pub &'a [Action]);

impl fmt::Display for ActionsText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Printer::default().write_actions(f, self.0)
    }
}

/// Prints a flow's instructions as its actions; `drop` for none.
#[derive(Clone, Copy, Debug)]
pub struct InstructionsText<'a>(pub &'a [Instruction]);

impl fmt::Display for InstructionsText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Printer::default().write_instructions(f, self.0)
    }
}

/// `group:5`, `group:ALL`
pub(crate) fn group_text(group: GroupId) -> String {
    match group {
        GroupId::ALL => "ALL".to_owned(),
        GroupId::ANY => "ANY".to_owned(),
        GroupId(n) => n.to_string(),
    }
}

pub(crate) fn meter_text(meter: MeterId) -> String {
    match meter {
        MeterId::ALL => "all".to_owned(),
        MeterId::CONTROLLER => "controller".to_owned(),
        MeterId::SLOWPATH => "slowpath".to_owned(),
        MeterId(n) => n.to_string(),
    }
}

/// Seconds with as many decimals (0, 3, 6 or 9) as there is something to say.
pub(crate) fn seconds_text(sec: u32, nsec: u32) -> String {
    if nsec == 0 {
        sec.to_string()
    } else if nsec.is_multiple_of(1_000_000) {
        format!("{sec}.{:03}", nsec / 1_000_000)
    } else if nsec.is_multiple_of(1_000) {
        format!("{sec}.{:06}", nsec / 1_000)
    } else {
        format!("{sec}.{nsec:09}")
    }
}

impl Printer<'_> {
    /// Actions, printable.
    pub fn actions<'m>(&'m self, actions: &'m [Action]) -> impl fmt::Display + 'm {
        Shown(move |f: &mut Formatter<'_>| self.write_actions(f, actions))
    }

    /// Instructions, printable.
    pub fn instructions<'m>(&'m self, instructions: &'m [Instruction]) -> impl fmt::Display + 'm {
        Shown(move |f: &mut Formatter<'_>| self.write_instructions(f, instructions))
    }

    pub(crate) fn write_actions(&self, f: &mut Formatter<'_>, actions: &[Action]) -> Result {
        if actions.is_empty() {
            return f.write_str("drop");
        }
        self.write_list(f, actions)
    }

    pub(super) fn write_list(&self, f: &mut Formatter<'_>, actions: &[Action]) -> Result {
        for (i, a) in actions.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            self.write_action(f, a)?;
        }
        Ok(())
    }

    pub(crate) fn write_instructions(&self, f: &mut Formatter<'_>, instructions: &[Instruction]) -> Result {
        let mut sep = "";
        let mut ordered: Vec<&Instruction> = instructions.iter().collect();
        ordered.sort_by_key(|i| i.execution_rank());
        for i in ordered {
            if matches!(i, Instruction::ApplyActions(a) if a.is_empty()) {
                continue;
            }
            f.write_str(sep)?;
            sep = ",";
            match i {
                // Bare, Nicira's action would be read as the instruction.
                Instruction::ApplyActions(actions)
                    if self.version > Version::V10
                        && actions.iter().any(|a| matches!(a, Action::Nicira(NxAction::WriteMetadata { .. }))) =>
                {
                    f.write_str("apply_actions(")?;
                    self.write_list(f, actions)?;
                    f.write_str(")")?;
                }
                Instruction::ApplyActions(actions) => self.write_list(f, actions)?,
                Instruction::WriteActions(actions) => {
                    f.write_str("write_actions(")?;
                    self.write_actions(f, actions)?;
                    f.write_str(")")?;
                }
                Instruction::ClearActions => f.write_str("clear_actions")?,
                Instruction::GotoTable(t) => write!(f, "goto_table:{t}")?,
                Instruction::WriteMetadata { metadata, mask } => write_metadata(f, *metadata, *mask)?,
                Instruction::Meter(m) => write!(f, "meter:{}", meter_text(*m))?,
                Instruction::StatTrigger { flags, thresholds } => write_stat_trigger(f, *flags, thresholds)?,
                Instruction::Experimenter { experimenter, data } => {
                    write!(f, "experimenter_instruction(id={experimenter},data=")?;
                    write_hex(f, data)?;
                    f.write_str(")")?;
                }
                Instruction::Unknown { ty, data } => {
                    write!(f, "unknown_instruction(type={ty},data=")?;
                    write_hex(f, data)?;
                    f.write_str(")")?;
                }
            }
        }
        if sep.is_empty() { f.write_str("drop") } else { Ok(()) }
    }

    pub(super) fn port(&self, port: PortNo) -> String {
        port_text(port, self.ports)
    }

    /// `output:2`, `LOCAL`, `CONTROLLER:128`
    fn write_output(&self, f: &mut Formatter<'_>, port: PortNo, max_len: u16) -> Result {
        if port == PortNo::CONTROLLER {
            return write!(f, "CONTROLLER:{max_len}");
        }
        match port.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "output:{}", self.port(port)),
        }
    }

    pub(super) fn write_oxm_bits(&self, f: &mut Formatter<'_>, field: &OxmId, offset: u16, n_bits: u16) -> Result {
        match &field.field {
            Ok(id) => {
                let info = id.info();
                // Bits that the preferred form hasn't got: the specification's own form then.
                let fits = u32::from(offset) + u32::from(n_bits) <= u32::from(code_bits(info, field.code));
                let code = field.code.or(if fits { preferred_code(info) } else { info.codes.first().copied() });
                match code {
                    Some(code) => f.write_str(&code_name(info, code))?,
                    None => f.write_str(info.name)?,
                }
                if offset == 0 && n_bits == code_bits(info, code) {
                    return f.write_str("[]");
                }
            }
            Err(u) => match tun_metadata::of_id(field) {
                Some(n) => {
                    write!(f, "NXM_NX_TUN_METADATA{n}")?;
                    if offset == 0 && n_bits == tun_metadata::BITS {
                        return f.write_str("[]");
                    }
                }
                None => write_unknown_id(f, field, u)?,
            },
        }
        if n_bits == 1 {
            write!(f, "[{offset}]")
        } else {
            write!(f, "[{offset}..{}]", u32::from(offset) + u32::from(n_bits.max(1)) - 1)
        }
    }

    pub(crate) fn write_subfield(&self, f: &mut Formatter<'_>, s: &Subfield) -> Result {
        self.write_oxm_bits(f, &s.field, s.offset, s.n_bits)
    }

    pub(super) fn write_set_field(&self, f: &mut Formatter<'_>, field: &MatchField) -> Result {
        let value = format_action_value(field.id, field.value, field.mask, self.ports);
        write!(f, "set_field:{value}->{}", field_text_name(field.id))
    }

    pub(crate) fn write_action(&self, f: &mut Formatter<'_>, action: &Action) -> Result {
        let v10 = self.version == Version::V10;
        let legacy = self.version <= Version::V11;
        match action {
            Action::Output { port, max_len } => self.write_output(f, *port, *max_len),
            Action::Group(g) => write!(f, "group:{}", group_text(*g)),
            Action::SetQueue(q) => write!(f, "set_queue:{q}"),
            Action::Enqueue { port, queue } => write!(f, "enqueue:{}:{queue}", self.port(*port)),
            Action::PushVlan(ty) => write!(f, "push_vlan:{ty:#06x}"),
            Action::PopVlan => f.write_str(if v10 { "strip_vlan" } else { "pop_vlan" }),
            Action::PushMpls(ty) => write!(f, "push_mpls:{ty:#06x}"),
            Action::PopMpls(ty) => write!(f, "pop_mpls:{ty:#06x}"),
            Action::PushPbb(ty) => write!(f, "push_pbb:{ty:#06x}"),
            Action::PopPbb => f.write_str("pop_pbb"),
            Action::CopyTtlOut => f.write_str("copy_ttl_out"),
            Action::CopyTtlIn => f.write_str("copy_ttl_in"),
            Action::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            Action::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            Action::SetNwTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
            Action::DecNwTtl => f.write_str("dec_ttl"),
            Action::SetField(field) => {
                let old_name = match field.id {
                    // mod_nw_tos sets the DSCP only.
                    FieldId::IpTos if legacy && field.value & 3 == 0 => Some("mod_nw_tos"),
                    FieldId::EthSrc if legacy => Some("mod_dl_src"),
                    FieldId::EthDst if legacy => Some("mod_dl_dst"),
                    FieldId::Ipv4Src if legacy => Some("mod_nw_src"),
                    FieldId::Ipv4Dst if legacy => Some("mod_nw_dst"),
                    FieldId::IpEcn if legacy => Some("mod_nw_ecn"),
                    _ => None,
                };
                match old_name {
                    Some(name) if field.mask.is_none() => {
                        write!(f, "{name}:{}", format_value_named(field.id, field.value, None, self.ports))
                    }
                    _ => self.write_set_field(f, field),
                }
            }
            Action::SetUnknownField(u) => {
                match tun_metadata::parts(u) {
                    Some((n, value, None)) => return write!(f, "set_field:{value}->tun_metadata{n}"),
                    Some((n, value, Some(mask))) => return write!(f, "set_field:{value}/{mask}->tun_metadata{n}"),
                    None => {}
                }
                f.write_str("set_unknown_field(")?;
                write_unknown(f, u)?;
                f.write_str(")")
            }
            // The other name would add a tag to packets without, which 1.1's action doesn't.
            Action::SetVlanVid(vid) if self.version == Version::V11 => write!(f, "set_vlan_vid:{vid}"),
            Action::SetVlanPcp(pcp) if self.version == Version::V11 => write!(f, "set_vlan_pcp:{pcp}"),
            Action::SetVlanVid(vid) => write!(f, "mod_vlan_vid:{vid}"),
            Action::SetVlanPcp(pcp) => write!(f, "mod_vlan_pcp:{pcp}"),
            Action::SetTpSrc(port) => write!(f, "mod_tp_src:{port}"),
            Action::SetTpDst(port) => write!(f, "mod_tp_dst:{port}"),
            Action::CopyField { n_bits, src_offset, dst_offset, src, dst } => {
                f.write_str("copy_field:")?;
                self.write_oxm_bits(f, src, *src_offset, *n_bits)?;
                f.write_str("->")?;
                self.write_oxm_bits(f, dst, *dst_offset, *n_bits)
            }
            Action::Meter(m) => write!(f, "meter:{}", meter_text(*m)),
            Action::Nicira(nx) => self.write_nicira(f, nx),
            Action::Experimenter { experimenter, data } => {
                write!(f, "experimenter(id={experimenter},data=")?;
                write_hex(f, data)?;
                f.write_str(")")
            }
            Action::Unknown { ty, data } => {
                write!(f, "unknown_action(type={ty},data=")?;
                write_hex(f, data)?;
                f.write_str(")")
            }
        }
    }
}

/// Nothing the first time, a comma later.
#[derive(Default)]
pub(super) struct Separator(bool);

impl Separator {
    pub(super) fn next(&mut self) -> &'static str {
        if std::mem::replace(&mut self.0, true) { "," } else { "" }
    }
}

pub(super) fn write_metadata(f: &mut Formatter<'_>, metadata: u64, mask: u64) -> Result {
    write!(f, "write_metadata:{}", hex_text(metadata.into()))?;
    if mask != u64::MAX { write!(f, "/{}", hex_text(mask.into())) } else { Ok(()) }
}

fn write_stat_trigger(f: &mut Formatter<'_>, flags: u32, thresholds: &[FlowStat]) -> Result {
    let mut sep = Separator::default();
    f.write_str("stat_trigger(")?;
    if flags & 1 != 0 {
        write!(f, "{}periodic", sep.next())?;
    }
    if flags & 2 != 0 {
        write!(f, "{}only_first", sep.next())?;
    }
    if flags & !3 != 0 {
        write!(f, "{}flags={:#x}", sep.next(), flags & !3)?;
    }
    for t in thresholds {
        f.write_str(sep.next())?;
        match t {
            FlowStat::Duration(s, n) => write!(f, "duration={}", seconds_text(*s, *n))?,
            FlowStat::IdleTime(s, n) => write!(f, "idle_time={}", seconds_text(*s, *n))?,
            FlowStat::FlowCount(n) => write!(f, "flow_count={n}")?,
            FlowStat::PacketCount(n) => write!(f, "packet_count={n}")?,
            FlowStat::ByteCount(n) => write!(f, "byte_count={n}")?,
            FlowStat::Unknown(class, field, payload) => {
                write!(f, "oxs({class:#06x},{field},")?;
                write_hex(f, payload)?;
                f.write_str(")")?;
            }
        }
    }
    f.write_str(")")
}
