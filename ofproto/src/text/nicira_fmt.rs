//! Nicira's actions as text.

use super::Printer;
use super::action_fmt::{Separator, write_metadata};
use super::encap;
use super::matching::{write_hex, write_unknown_id};
use super::nicira::{BUNDLE_ALGORITHMS, HASH_FIELDS, MULTIPATH_ALGORITHMS, OFPORT, REASONS};
use super::tun_metadata;
use super::value::hex_text;
use crate::action::{Action, MAX_LEN_NO_BUFFER};
use crate::ids::{MeterId, PortNo, TableId};
use crate::nicira::{Nat, NxAction, Subfield};
use std::fmt::{Formatter, Result};
use std::net::{Ipv4Addr, Ipv6Addr};

fn named(names: &[&str], n: u16) -> String {
    names.get(usize::from(n)).map_or_else(|| n.to_string(), |s| (*s).to_owned())
}

impl Printer<'_> {
    pub(super) fn write_nicira(&self, f: &mut Formatter<'_>, action: &NxAction) -> Result {
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
                // The first form has every number; those that are as by default are left out, but something
                // must tell it from a plain output to the controller.
                let reason = Some(*reason).filter(|r| *r != 1);
                let max_len = Some(*max_len).filter(|m| *m != MAX_LEN_NO_BUFFER);
                let controller_id = Some(*controller_id).filter(|id| *id != 0 || reason.is_none());
                ControllerArgs { max_len, controller_id, reason, ..ControllerArgs::default() }.write(f)
            }
            NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter } => {
                let (max_len, controller_id, reason) = (*max_len, *controller_id, *reason);
                let userdata = userdata.as_deref();
                ControllerArgs { max_len, controller_id, reason, userdata, pause: *pause, meter: *meter }.write(f)
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
                    f.write_str("delete_field:")?;
                    match tun_metadata::of_id(oxm) {
                        Some(n) => write!(f, "tun_metadata{n}"),
                        None => write_unknown_id(f, oxm, u),
                    }
                }
            },
            NxAction::DecNshTtl => f.write_str("dec_nsh_ttl"),
            NxAction::Encap { hdr_size, packet_type, properties } => {
                encap::write(f, *hdr_size, *packet_type, properties)
            }
            NxAction::Decap { packet_type: 0xfffe } => f.write_str("decap()"),
            NxAction::Decap { packet_type } => {
                let (ns, ty) = (packet_type >> 16, packet_type & 0xffff);
                if ty == 0 {
                    return write!(f, "decap(packet_type(ns={ns},type=0))");
                }
                write!(f, "decap(packet_type(ns={ns},type={ty:#x}))")
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

/// The arguments of a controller action.
#[derive(Default)]
struct ControllerArgs<'a> {
    max_len: Option<u16>,
    controller_id: Option<u16>,
    reason: Option<u8>,
    userdata: Option<&'a [u8]>,
    pause: bool,
    meter: Option<MeterId>,
}

impl ControllerArgs<'_> {
    fn write(&self, f: &mut Formatter<'_>) -> Result {
        let mut sep = Separator::default();
        f.write_str("controller(")?;
        if let Some(r) = self.reason {
            write!(f, "{}reason={}", sep.next(), named(&REASONS, r.into()))?;
        }
        if let Some(n) = self.max_len {
            write!(f, "{}max_len={n}", sep.next())?;
        }
        if let Some(id) = self.controller_id {
            write!(f, "{}id={id}", sep.next())?;
        }
        if let Some(data) = self.userdata {
            write!(f, "{}userdata=", sep.next())?;
            for (i, b) in data.iter().enumerate() {
                write!(f, "{}{b:02x}", if i > 0 { "." } else { "" })?;
            }
        }
        if self.pause {
            write!(f, "{}pause", sep.next())?;
        }
        if let Some(m) = self.meter {
            write!(f, "{}meter_id={m}", sep.next())?;
        }
        f.write_str(")")
    }
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
