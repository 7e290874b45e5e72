//! Actions and instructions as text.

use super::matching::{write_hex, write_unknown};
use super::names::{code_bits, code_name, field_text_name, preferred_code};
use super::nicira::{BUNDLE_ALGORITHMS, ENCAP_TYPES, HASH_FIELDS, MULTIPATH_ALGORITHMS, OFPORT, REASONS};
use super::value::{format_action_value, format_value_named, hex_text, port_text};
use super::{Printer, Shown};
use crate::action::{Action, MAX_LEN_NO_BUFFER};
use crate::field::FieldId;
use crate::ids::{GroupId, MeterId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Nat, NxAction, Subfield};
use crate::stats::FlowStat;
use crate::version::Version;
use std::fmt::{self, Formatter, Result};
use std::net::{Ipv4Addr, Ipv6Addr};

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

fn named(names: &[&str], n: u16) -> String {
    names.get(usize::from(n)).map_or_else(|| n.to_string(), |s| (*s).to_owned())
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

    fn write_list(&self, f: &mut Formatter<'_>, actions: &[Action]) -> Result {
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

    fn port(&self, port: PortNo) -> String {
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

    fn write_oxm_bits(&self, f: &mut Formatter<'_>, field: &OxmId, offset: u16, n_bits: u16) -> Result {
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
            Err(u) => {
                f.write_str("oxm(")?;
                write_unknown(f, u)?;
                f.write_str(")")?;
            }
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

    fn write_set_field(&self, f: &mut Formatter<'_>, field: &MatchField) -> Result {
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
                    FieldId::IpTos => Some("mod_nw_tos"),
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
                f.write_str("set_unknown_field(")?;
                write_unknown(f, u)?;
                f.write_str(")")
            }
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

    fn write_nicira(&self, f: &mut Formatter<'_>, action: &NxAction) -> Result {
        match action {
            NxAction::Resubmit { in_port, table, ct } => self.write_resubmit(f, *in_port, *table, *ct),
            NxAction::SetTunnel { id, wide } => {
                let suffix = if *wide { "64" } else { "" };
                write!(f, "set_tunnel{suffix}:{}", hex_text((*id).into()))
            }
            NxAction::SetQueue(q) => write!(f, "set_queue:{q}"),
            NxAction::PopQueue => f.write_str("pop_queue"),
            NxAction::RegMove { n_bits, src_offset, dst_offset, src, dst } => {
                f.write_str("move:")?;
                self.write_oxm_bits(f, src, *src_offset, *n_bits)?;
                f.write_str("->")?;
                self.write_oxm_bits(f, dst, *dst_offset, *n_bits)
            }
            NxAction::RegLoad { dst, value } => {
                write!(f, "load:{}->", hex_text((*value).into()))?;
                self.write_subfield(f, dst)
            }
            NxAction::RegLoad2(field) => self.write_set_field(f, field),
            NxAction::Note(bytes) => {
                f.write_str("note:")?;
                for (i, b) in bytes.iter().enumerate() {
                    write!(f, "{}{b:02x}", if i > 0 { "." } else { "" })?;
                }
                Ok(())
            }
            NxAction::Multipath { fields, basis, algorithm, max_link, arg, dst } => {
                write!(
                    f,
                    "multipath({},{basis},{},{},{arg},",
                    named(&HASH_FIELDS, *fields),
                    named(&MULTIPATH_ALGORITHMS, *algorithm),
                    u32::from(*max_link) + 1
                )?;
                self.write_subfield(f, dst)?;
                f.write_str(")")
            }
            NxAction::Bundle { algorithm, fields, basis, slave_type, members, dst } => {
                write!(
                    f,
                    "bundle{}({},{basis},{},",
                    if dst.is_some() { "_load" } else { "" },
                    named(&HASH_FIELDS, *fields),
                    named(&BUNDLE_ALGORITHMS, *algorithm)
                )?;
                if *slave_type == OFPORT {
                    f.write_str("ofport,")?
                } else {
                    write!(f, "{slave_type:#x},")?
                }
                if let Some(dst) = dst {
                    self.write_subfield(f, dst)?;
                    f.write_str(",")?;
                }
                f.write_str("members:")?;
                for (i, m) in members.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { "," } else { "" }, self.port(*m))?;
                }
                f.write_str(")")
            }
            NxAction::OutputReg { src, .. } => {
                f.write_str("output:")?;
                self.write_subfield(f, src)
            }
            NxAction::Exit => f.write_str("exit"),
            NxAction::DecTtl => f.write_str("dec_ttl"),
            NxAction::DecTtlCntIds(ids) => {
                let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
                write!(f, "dec_ttl({})", ids.join(","))
            }
            NxAction::FinTimeout { idle, hard } => {
                let args = [("idle_timeout", idle), ("hard_timeout", hard)];
                let args: Vec<String> =
                    args.iter().filter(|(_, n)| **n != 0).map(|(name, n)| format!("{name}={n}")).collect();
                write!(f, "fin_timeout({})", args.join(","))
            }
            NxAction::Controller { max_len, controller_id, reason } => {
                write_controller(f, Some(*max_len), Some(*controller_id), Some(*reason), None, false, None)
            }
            NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter } => {
                write_controller2(f, *max_len, *controller_id, *reason, userdata.as_deref(), *pause, *meter)
            }
            NxAction::WriteMetadata { metadata, mask } => write_metadata(f, *metadata, *mask),
            NxAction::PushMpls(ty) => write!(f, "push_mpls:{ty:#06x}"),
            NxAction::PopMpls(ty) => write!(f, "pop_mpls:{ty:#06x}"),
            NxAction::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
            NxAction::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            NxAction::SetMplsLabel(label) => write!(f, "set_mpls_label({label})"),
            NxAction::SetMplsTc(tc) => write!(f, "set_mpls_tc({tc})"),
            NxAction::StackPush(s) => {
                f.write_str("push:")?;
                self.write_subfield(f, s)
            }
            NxAction::StackPop(s) => {
                f.write_str("pop:")?;
                self.write_subfield(f, s)
            }
            NxAction::Sample {
                probability,
                collector_set_id,
                obs_domain_id,
                obs_point_id,
                sampling_port,
                direction,
            } => {
                write!(
                    f,
                    "sample(probability={probability},collector_set_id={collector_set_id},\
                     obs_domain_id={obs_domain_id},obs_point_id={obs_point_id}"
                )?;
                // The form with a direction always has a port.
                if let Some(port) = sampling_port.filter(|p| *p != PortNo::ANY || direction.is_none()) {
                    write!(f, ",sampling_port={}", self.port(port))?;
                }
                match direction {
                    None => {}
                    Some(1) => f.write_str(",ingress")?,
                    Some(2) => f.write_str(",egress")?,
                    Some(n) => write!(f, ",direction={n}")?,
                }
                f.write_str(")")
            }
            NxAction::Learn(learn) => self.write_learn(f, learn),
            NxAction::Conjunction { clause, n_clauses, id } => {
                write!(f, "conjunction({id},{}/{n_clauses})", u16::from(*clause) + 1)
            }
            NxAction::Ct { flags, zone, recirc_table, alg, actions } => {
                self.write_ct(f, *flags, zone, *recirc_table, *alg, actions)
            }
            NxAction::Nat(nat) => write_nat(f, nat),
            NxAction::CtClear => f.write_str("ct_clear"),
            NxAction::OutputTrunc { port, max_len } => {
                write!(f, "output(port={},max_len={max_len})", self.port(*port))
            }
            NxAction::Clone(actions) => {
                f.write_str("clone(")?;
                self.write_list(f, actions)?;
                f.write_str(")")
            }
            NxAction::CheckPktLarger { pkt_len, dst } => {
                write!(f, "check_pkt_larger({pkt_len})->")?;
                self.write_subfield(f, dst)
            }
            NxAction::DeleteField(oxm) => match &oxm.field {
                Ok(id) => write!(f, "delete_field:{}", id.info().name),
                Err(u) => {
                    f.write_str("delete_field:oxm(")?;
                    write_unknown(f, u)?;
                    f.write_str(")")
                }
            },
            NxAction::DecNshTtl => f.write_str("dec_nsh_ttl"),
            NxAction::Encap { hdr_size: 0, packet_type, properties }
                if properties.is_empty() && ENCAP_TYPES.iter().any(|(_, t)| t == packet_type) =>
            {
                let name = ENCAP_TYPES.iter().find(|(_, t)| t == packet_type).map_or("", |(n, _)| n);
                write!(f, "encap({name})")
            }
            NxAction::Encap { hdr_size, packet_type, properties } => {
                write!(f, "encap(hdr_size={hdr_size},packet_type=({},{:#x})", packet_type >> 16, packet_type & 0xffff)?;
                if !properties.is_empty() {
                    f.write_str(",properties=")?;
                    write_hex(f, properties)?;
                }
                f.write_str(")")
            }
            NxAction::Decap { packet_type: 0xfffe } => f.write_str("decap()"),
            NxAction::Decap { packet_type } => {
                write!(f, "decap(packet_type(ns={},type={:#x}))", packet_type >> 16, packet_type & 0xffff)
            }
            NxAction::Unknown { subtype, data } => {
                write!(f, "nicira(subtype={subtype},data=")?;
                write_hex(f, data)?;
                f.write_str(")")
            }
        }
    }

    fn write_resubmit(&self, f: &mut Formatter<'_>, in_port: PortNo, table: Option<TableId>, ct: bool) -> Result {
        if table.is_none() && !ct && in_port != PortNo::IN_PORT {
            return write!(f, "resubmit:{}", self.port(in_port));
        }
        f.write_str("resubmit(")?;
        if in_port != PortNo::IN_PORT {
            f.write_str(&self.port(in_port))?;
        }
        f.write_str(",")?;
        if let Some(table) = table {
            write!(f, "{table}")?;
        }
        f.write_str(if ct { ",ct)" } else { ")" })
    }

    fn write_ct(
        &self,
        f: &mut Formatter<'_>,
        flags: u16,
        zone: &std::result::Result<u16, Subfield>,
        table: TableId,
        alg: u16,
        actions: &[Action],
    ) -> Result {
        f.write_str("ct(")?;
        let mut sep = Separator::default();
        if flags & 1 != 0 {
            write!(f, "{}commit", sep.next())?;
        }
        if flags & 2 != 0 {
            write!(f, "{}force", sep.next())?;
        }
        if flags & !3 != 0 {
            write!(f, "{}flags={:#x}", sep.next(), flags & !3)?;
        }
        if table != TableId::ALL {
            write!(f, "{}table={table}", sep.next())?;
        }
        match zone {
            Ok(0) => {}
            Ok(zone) => write!(f, "{}zone={zone}", sep.next())?,
            Err(sub) => {
                write!(f, "{}zone=", sep.next())?;
                self.write_subfield(f, sub)?;
            }
        }
        let (first, rest) = match actions.split_first() {
            Some((Action::Nicira(NxAction::Nat(nat)), rest)) => (Some(nat), rest),
            _ => (None, actions),
        };
        if let Some(nat) = first {
            f.write_str(sep.next())?;
            write_nat(f, nat)?;
        }
        if !rest.is_empty() {
            write!(f, "{}exec(", sep.next())?;
            self.write_list(f, rest)?;
            f.write_str(")")?;
        }
        match alg {
            0 => {}
            21 => write!(f, "{}alg=ftp", sep.next())?,
            69 => write!(f, "{}alg=tftp", sep.next())?,
            n => write!(f, "{}alg={n}", sep.next())?,
        }
        f.write_str(")")
    }
}

/// Nothing the first time, a comma later.
#[derive(Default)]
struct Separator(bool);

impl Separator {
    fn next(&mut self) -> &'static str {
        if std::mem::replace(&mut self.0, true) { "," } else { "" }
    }
}

fn write_metadata(f: &mut Formatter<'_>, metadata: u64, mask: u64) -> Result {
    write!(f, "write_metadata:{}", hex_text(metadata.into()))?;
    if mask != u64::MAX { write!(f, "/{}", hex_text(mask.into())) } else { Ok(()) }
}

fn write_controller(
    f: &mut Formatter<'_>,
    max_len: Option<u16>,
    controller_id: Option<u16>,
    reason: Option<u8>,
    userdata: Option<&[u8]>,
    pause: bool,
    meter: Option<MeterId>,
) -> Result {
    // The first form has every number; those that are as by default are left out, but something
    // must tell it from a plain output to the controller.
    let reason = reason.filter(|r| *r != 1);
    let max_len = max_len.filter(|m| *m != MAX_LEN_NO_BUFFER);
    let controller_id = controller_id.filter(|id| *id != 0 || reason.is_none());
    write_controller2(f, max_len, controller_id, reason, userdata, pause, meter)
}

fn write_controller2(
    f: &mut Formatter<'_>,
    max_len: Option<u16>,
    controller_id: Option<u16>,
    reason: Option<u8>,
    userdata: Option<&[u8]>,
    pause: bool,
    meter: Option<MeterId>,
) -> Result {
    let mut sep = Separator::default();
    f.write_str("controller(")?;
    if let Some(r) = reason {
        write!(f, "{}reason={}", sep.next(), named(&REASONS, r.into()))?;
    }
    if let Some(n) = max_len {
        write!(f, "{}max_len={n}", sep.next())?;
    }
    if let Some(id) = controller_id {
        write!(f, "{}id={id}", sep.next())?;
    }
    if let Some(data) = userdata {
        write!(f, "{}userdata=", sep.next())?;
        for (i, b) in data.iter().enumerate() {
            write!(f, "{}{b:02x}", if i > 0 { "." } else { "" })?;
        }
    }
    if pause {
        write!(f, "{}pause", sep.next())?;
    }
    if let Some(m) = meter {
        write!(f, "{}meter_id={m}", sep.next())?;
    }
    f.write_str(")")
}

fn write_nat(f: &mut Formatter<'_>, nat: &Nat) -> Result {
    f.write_str("nat")?;
    let empty = nat == &Nat::default();
    if empty {
        return Ok(());
    }
    f.write_str("(")?;
    let mut sep = Separator::default();
    if nat.flags & 3 != 0 {
        f.write_str(sep.next())?;
        f.write_str(if nat.flags & 1 != 0 { "src" } else { "dst" })?;
        let mut range = String::new();
        match (nat.ipv4_min, nat.ipv6_min) {
            (Some(min), _) => {
                range += &Ipv4Addr::from(min).to_string();
                if let Some(max) = nat.ipv4_max {
                    range += &format!("-{}", Ipv4Addr::from(max));
                }
            }
            (None, Some(min)) => {
                let show = |a: u128| match nat.proto_min {
                    Some(_) => format!("[{}]", Ipv6Addr::from(a)),
                    None => Ipv6Addr::from(a).to_string(),
                };
                range += &show(min);
                if let Some(max) = nat.ipv6_max {
                    range += &format!("-{}", show(max));
                }
            }
            (None, None) => {}
        }
        if let Some(min) = nat.proto_min {
            range += &format!(":{min}");
            if let Some(max) = nat.proto_max {
                range += &format!("-{max}");
            }
        }
        if !range.is_empty() {
            write!(f, "={range}")?;
        }
    }
    for (bit, name) in [(4, "persistent"), (8, "hash"), (16, "random")] {
        if nat.flags & bit != 0 {
            write!(f, "{}{name}", sep.next())?;
        }
    }
    if nat.flags & !0x1f != 0 {
        write!(f, "{}flags={:#x}", sep.next(), nat.flags & !0x1f)?;
    }
    f.write_str(")")
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
