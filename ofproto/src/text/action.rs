//! Actions and instructions from text.

use super::matching::{parse_unknown, transport_of, wants_tag};
use super::names::field_by_any_name;
use super::nicira;
use super::scan::{Item, Sep, Src};
use super::tun_metadata;
use super::value::{parse_port, parse_value, reserved_port};
use super::{MAX_NESTING, ParseContext, TextError, TextErrorKind};
use crate::action::{Action, MAX_LEN_NO_BUFFER};
use crate::field::{FieldId, Prereq};
use crate::ids::{ExperimenterId, GroupId, MeterId, PortNo, QueueId};
use crate::instruction::Instruction;
use crate::matching::{Match, MatchField};
use crate::nicira::NxAction;
use crate::stats::FlowStat;
use crate::version::Version;

/// What actions are read for.
#[derive(Clone, Copy)]
pub(crate) struct Env<'c> {
    pub ctx: &'c ParseContext<'c>,
    /// The transport protocol matched, for `mod_tp_src`.
    pub transport: Option<Prereq>,
    /// Whether a packet has a VLAN tag here; `None` where the match isn't known.
    pub tagged: Option<bool>,
    pub depth: usize,
}

impl<'c> Env<'c> {
    pub fn new(ctx: &'c ParseContext<'c>) -> Self {
        Self { ctx, transport: None, tagged: None, depth: 0 }
    }

    pub fn for_match(ctx: &'c ParseContext<'c>, m: &Match) -> Self {
        Self { ctx, transport: transport_of(m), tagged: Some(wants_tag(m)), depth: 0 }
    }

    pub fn deeper(&self, src: Src<'_>) -> Result<Self, TextError> {
        if self.depth >= MAX_NESTING {
            return Err(src.err(TextErrorKind::TooDeep, format!("at most {MAX_NESTING} levels of actions")));
        }
        Ok(Self { depth: self.depth + 1, ..*self })
    }

    fn legacy(&self) -> bool {
        self.ctx.version <= Version::V11
    }
}

/// Reads a list of actions, as in a bucket or a packet-out: `set_field:1->reg0,output:2`.
///
/// # Errors
/// Unknown actions, malformed arguments, instructions (they belong in a flow).
pub fn parse_actions(text: &str, ctx: &ParseContext<'_>) -> Result<Vec<Action>, TextError> {
    action_list(Src::new(text), Env::new(ctx))
}

/// Reads a flow's actions and instructions: `output:1,write_actions(group:2),goto_table:3`.
/// The result is in the order of execution.
///
/// # Errors
/// As [`parse_actions`]; instructions that the version lacks or that are given twice.
pub fn parse_instructions(text: &str, ctx: &ParseContext<'_>) -> Result<Vec<Instruction>, TextError> {
    instructions(Src::new(text), Env::new(ctx))
}

pub(crate) fn action_list(src: Src<'_>, env: Env<'_>) -> Result<Vec<Action>, TextError> {
    let mut list = ActionList::new(env);
    for item in src.items() {
        list.push(item?)?;
    }
    list.finish()
}

/// Collects actions, item by item.
pub(crate) struct ActionList<'e, 'a> {
    env: Env<'e>,
    out: Vec<Action>,
    dropped: Option<Item<'a>>,
}

impl<'e, 'a> ActionList<'e, 'a> {
    pub fn new(env: Env<'e>) -> Self {
        Self { env, out: Vec::new(), dropped: None }
    }

    pub fn push(&mut self, item: Item<'a>) -> Result<(), TextError> {
        if is_drop(&item)? {
            self.dropped = Some(item);
            return Ok(());
        }
        action(&item, &mut self.env, &mut self.out)
    }

    pub fn finish(self) -> Result<Vec<Action>, TextError> {
        no_drop_beside(self.dropped, self.out.is_empty())?;
        Ok(self.out)
    }
}

fn is_drop(item: &Item<'_>) -> Result<bool, TextError> {
    let is = item.key.s.eq_ignore_ascii_case("drop");
    if is {
        item.bare()?;
    }
    Ok(is)
}

fn no_drop_beside(dropped: Option<Item<'_>>, alone: bool) -> Result<(), TextError> {
    match dropped {
        Some(item) if !alone => Err(item.all.err(TextErrorKind::Syntax, "drop alone, without other actions")),
        _ => Ok(()),
    }
}

pub(crate) fn instructions(src: Src<'_>, mut env: Env<'_>) -> Result<Vec<Instruction>, TextError> {
    let v11 = env.ctx.version >= Version::V11;
    let mut meter = None;
    let mut apply: Option<Vec<Action>> = None;
    let mut clear = None;
    let mut write = None;
    let mut metadata = None;
    let mut goto = None;
    let mut others = Vec::new();
    let mut dropped = None;
    for item in src.items() {
        let item = item?;
        if is_drop(&item)? {
            dropped = Some(item);
            continue;
        }
        let instruction = match item.key.s {
            "goto_table" if !v11 => {
                // What comes nearest in 1.0.
                let table = Some(item.need("a table number")?.table()?);
                let goto = NxAction::Resubmit { in_port: PortNo::IN_PORT, table, ct: false };
                apply.get_or_insert_default().push(Action::Nicira(goto));
                continue;
            }
            "goto_table" => Some((&mut goto, Instruction::GotoTable(item.need("a table number")?.table()?))),
            "write_metadata" if v11 => {
                let (value, mask) = item.need("a value")?.u64_masked()?;
                Some((&mut metadata, Instruction::WriteMetadata { metadata: value, mask: mask.unwrap_or(u64::MAX) }))
            }
            "write_actions" => {
                let inner = paren(&item)?;
                Some((&mut write, Instruction::WriteActions(action_list(inner, env.deeper(inner)?)?)))
            }
            "clear_actions" => {
                item.bare()?;
                Some((&mut clear, Instruction::ClearActions))
            }
            "meter" if env.ctx.version < Version::V15 => {
                if env.ctx.version < Version::V13 {
                    return Err(item.all.err(TextErrorKind::Version, "OpenFlow 1.3 or later for meter"));
                }
                Some((&mut meter, Instruction::Meter(parse_meter_id(item.need("a meter")?)?)))
            }
            _ => None,
        };
        if let Some((slot, instruction)) = instruction {
            if !v11 {
                return Err(item.all.err(TextErrorKind::Version, "OpenFlow 1.1 or later for instructions"));
            }
            if slot.replace(instruction).is_some() {
                return Err(item.all.err(TextErrorKind::Duplicate, format!("{} once", item.key.s)));
            }
            continue;
        }
        match item.key.s {
            "apply_actions" => {
                let inner = paren(&item)?;
                let list = action_list(inner, env.deeper(inner)?)?;
                apply.get_or_insert_default().extend(list);
            }
            "stat_trigger" => others.push(stat_trigger(&item)?),
            "experimenter_instruction" => {
                let (experimenter, data) = experimenter(&item)?;
                others.push(Instruction::Experimenter { experimenter, data });
            }
            "unknown_instruction" => {
                let (ty, data) = unknown(&item)?;
                others.push(Instruction::Unknown { ty, data });
            }
            _ => action(&item, &mut env, apply.get_or_insert_default())?,
        }
    }
    let fixed = [meter, apply.map(Instruction::ApplyActions), clear, write, metadata, goto];
    let goto_last = fixed.len() - 1;
    let mut out = Vec::new();
    for (i, instruction) in fixed.into_iter().enumerate() {
        if i == goto_last {
            out.append(&mut others);
        }
        out.extend(instruction);
    }
    no_drop_beside(dropped, !out.iter().any(|i| matches!(i, Instruction::ApplyActions(_))))?;
    Ok(out)
}

fn paren<'a>(item: &Item<'a>) -> Result<Src<'a>, TextError> {
    if item.sep != Sep::Paren || !item.tail.is_empty() {
        return Err(item.all.err(TextErrorKind::Syntax, format!("{}(…)", item.key.s)));
    }
    Ok(item.value)
}

fn stat_trigger(item: &Item<'_>) -> Result<Instruction, TextError> {
    let mut flags = 0;
    let mut thresholds = Vec::new();
    for part in paren(item)?.items() {
        let part = part?;
        match part.key.s {
            "periodic" => flags |= 1,
            "only_first" => flags |= 2,
            "flags" => flags |= part.need("a number")?.u32()?,
            "duration" => {
                let (s, n) = parse_seconds(part.need("seconds")?)?;
                thresholds.push(FlowStat::Duration(s, n));
            }
            "idle_time" => {
                let (s, n) = parse_seconds(part.need("seconds")?)?;
                thresholds.push(FlowStat::IdleTime(s, n));
            }
            "flow_count" => thresholds.push(FlowStat::FlowCount(part.need("a number")?.u32()?)),
            "packet_count" => thresholds.push(FlowStat::PacketCount(part.need("a number")?.u64()?)),
            "byte_count" => thresholds.push(FlowStat::ByteCount(part.need("a number")?.u64()?)),
            "oxs" => {
                let args = part.value.args()?;
                let [class, field, payload] = args[..] else {
                    return Err(part.all.bad("oxs(class,field,payload)"));
                };
                thresholds.push(FlowStat::Unknown(class.u16()?, field.u8()?, payload.hex_bytes()?.into()));
            }
            _ => return Err(part.unknown("a flag or a statistic")),
        }
    }
    Ok(Instruction::StatTrigger { flags, thresholds })
}

/// `12.5` or `12.5s` as seconds and nanoseconds.
pub(crate) fn parse_seconds(src: Src<'_>) -> Result<(u32, u32), TextError> {
    let t = src.trim();
    let t = t.s.strip_suffix('s').map_or(t, |s| Src { s, at: t.at });
    match t.split_once(".") {
        None => Ok((t.plain_to(u32::MAX.into())? as u32, 0)),
        Some((whole, fraction)) => {
            let digits = fraction.s.len();
            if digits == 0 || digits > 9 || !fraction.s.bytes().all(|b| b.is_ascii_digit()) {
                return Err(t.bad("seconds with at most nine decimals"));
            }
            let n = fraction.plain_to(999_999_999)? as u32 * 10u32.pow(9 - digits as u32);
            Ok((whole.plain_to(u32::MAX.into())? as u32, n))
        }
    }
}

fn experimenter(item: &Item<'_>) -> Result<(ExperimenterId, bytes::Bytes), TextError> {
    let (mut id, mut data) = (None, bytes::Bytes::new());
    for part in paren(item)?.items() {
        let part = part?;
        match part.key.s {
            "id" => id = Some(ExperimenterId(part.need("a number")?.u32()?)),
            "data" => data = part.value.hex_bytes()?.into(),
            _ => return Err(part.unknown("id or data")),
        }
    }
    Ok((id.ok_or_else(|| item.all.missing("id=…"))?, data))
}

fn unknown(item: &Item<'_>) -> Result<(u16, bytes::Bytes), TextError> {
    let (mut ty, mut data) = (None, bytes::Bytes::new());
    for part in paren(item)?.items() {
        let part = part?;
        match part.key.s {
            "type" => ty = Some(part.need("a number")?.u16()?),
            "data" => data = part.value.hex_bytes()?.into(),
            _ => return Err(part.unknown("type or data")),
        }
    }
    Ok((ty.ok_or_else(|| item.all.missing("type=…"))?, data))
}

pub(crate) fn parse_meter_id(src: Src<'_>) -> Result<MeterId, TextError> {
    Ok(match src.trim().s {
        "all" => MeterId::ALL,
        "controller" => MeterId::CONTROLLER,
        "slowpath" => MeterId::SLOWPATH,
        _ => MeterId(src.u32()?),
    })
}

pub(crate) fn parse_group_id(src: Src<'_>) -> Result<GroupId, TextError> {
    Ok(match src.trim().s.to_ascii_lowercase().as_str() {
        "all" => GroupId::ALL,
        "any" => GroupId::ANY,
        _ => GroupId(src.u32()?),
    })
}

/// Reads one action.
fn action(item: &Item<'_>, env: &mut Env<'_>, out: &mut Vec<Action>) -> Result<(), TextError> {
    let v = env.ctx.version;
    let nx = v == Version::V10;
    let number = || item.need("a number");
    // `set_mpls_ttl(3)` and `set_mpls_ttl:3` are the same.
    let set = |id: FieldId| -> Result<Action, TextError> { set_field(id, item.need("a value")?, env) };
    let a = match item.key.s {
        "output" => output(item, env)?,
        "controller" | "CONTROLLER" => nicira::controller(item)?,
        "enqueue" => {
            let value = item.need("port:queue")?;
            let (port, queue) = if value.s.starts_with('"') {
                let (port, after) = value.split_quoted()?;
                let queue = after.strip_prefix(":").or_else(|| after.strip_prefix(","));
                (port, queue.ok_or_else(|| value.bad("port:queue"))?)
            } else {
                value.split_once(":").or_else(|| value.split_once(",")).ok_or_else(|| value.bad("port:queue"))?
            };
            let (port, queue) = (parse_port(port, env.ctx)?, QueueId(queue.u32()?));
            if v == Version::V10 {
                Action::Enqueue { port, queue }
            } else {
                // Later versions say the same with a queue that is set, used and unset.
                out.push(Action::SetQueue(queue));
                out.push(Action::output(port));
                Action::Nicira(NxAction::PopQueue)
            }
        }
        "group" => Action::Group(parse_group_id(item.need("a group")?)?),
        "set_queue" if nx => Action::Nicira(NxAction::SetQueue(number()?.u32()?)),
        "set_queue" => Action::SetQueue(QueueId(number()?.u32()?)),
        "push_vlan" => {
            env.tagged = Some(true);
            Action::PushVlan(if item.sep == Sep::None { 0x8100 } else { number()?.u16()? })
        }
        "pop_vlan" | "strip_vlan" => {
            item.bare()?;
            env.tagged = Some(false);
            Action::PopVlan
        }
        "push_mpls" if nx => Action::Nicira(NxAction::PushMpls(number()?.u16()?)),
        "push_mpls" => Action::PushMpls(number()?.u16()?),
        "pop_mpls" if nx => Action::Nicira(NxAction::PopMpls(number()?.u16()?)),
        "pop_mpls" => Action::PopMpls(number()?.u16()?),
        "push_pbb" => Action::PushPbb(if item.sep == Sep::None { 0x88e7 } else { number()?.u16()? }),
        "pop_pbb" => bare(item, Action::PopPbb)?,
        "copy_ttl_out" => bare(item, Action::CopyTtlOut)?,
        "copy_ttl_in" => bare(item, Action::CopyTtlIn)?,
        "set_mpls_ttl" if nx => Action::Nicira(NxAction::SetMplsTtl(number()?.u8()?)),
        "set_mpls_ttl" => Action::SetMplsTtl(number()?.u8()?),
        "dec_mpls_ttl" if nx => bare(item, Action::Nicira(NxAction::DecMplsTtl))?,
        "dec_mpls_ttl" => bare(item, Action::DecMplsTtl)?,
        "set_tunnel" | "set_tunnel64" if v >= Version::V12 => set(FieldId::TunnelId)?,
        "set_mpls_label" if nx => Action::Nicira(NxAction::SetMplsLabel(number()?.number_to(0xf_ffff)? as u32)),
        "set_mpls_label" => set(FieldId::MplsLabel)?,
        "set_mpls_tc" if nx => Action::Nicira(NxAction::SetMplsTc(number()?.number_to(7)? as u8)),
        "set_mpls_tc" => set(FieldId::MplsTc)?,
        "mod_nw_ttl" | "set_nw_ttl" if nx => set(FieldId::NwTtl)?,
        "mod_nw_ttl" | "set_nw_ttl" => Action::SetNwTtl(number()?.u8()?),
        "dec_ttl" if item.sep != Sep::None && !item.value.trim().is_empty() => {
            let ids = item.value.args()?.into_iter().map(Src::u16).collect::<Result<_, _>>()?;
            Action::Nicira(NxAction::DecTtlCntIds(ids))
        }
        "dec_ttl" | "dec_nw_ttl" if nx => bare(item, Action::Nicira(NxAction::DecTtl))?,
        "dec_ttl" | "dec_nw_ttl" => bare(item, Action::DecNwTtl)?,
        // The one name adds a tag where there is none, from 1.1 on; the other is 1.1's action.
        "mod_vlan_vid" | "set_vlan_vid" => {
            let vid = number()?.number_to(0xfff)? as u16;
            if item.key.s == "mod_vlan_vid" {
                push_tag_if_none(env, out);
            }
            set_vlan_vid(vid, v)
        }
        "mod_vlan_pcp" | "set_vlan_pcp" => {
            let pcp = number()?.number_to(7)? as u8;
            if item.key.s == "mod_vlan_pcp" {
                push_tag_if_none(env, out);
            }
            set_vlan_pcp(pcp, v)
        }
        "mod_dl_src" => set(FieldId::EthSrc)?,
        "mod_dl_dst" => set(FieldId::EthDst)?,
        "mod_nw_src" => set(FieldId::Ipv4Src)?,
        "mod_nw_dst" => set(FieldId::Ipv4Dst)?,
        "mod_nw_tos" => {
            let value = number()?;
            let tos = value.number_to(0xff)?;
            if tos & 3 != 0 {
                return Err(value.err(TextErrorKind::OutOfRange, "a TOS whose two ECN bits are zero"));
            }
            Action::SetField(if env.legacy() {
                MatchField::exact(FieldId::IpTos, tos)
            } else {
                MatchField::exact(FieldId::IpDscp, tos >> 2)
            })
        }
        "mod_nw_ecn" => set(FieldId::IpEcn)?,
        "mod_tp_src" if env.legacy() => Action::SetTpSrc(number()?.u16()?),
        "mod_tp_dst" if env.legacy() => Action::SetTpDst(number()?.u16()?),
        "mod_tp_src" | "mod_tp_dst" => {
            let src = item.key.s == "mod_tp_src";
            let id = match (env.transport, src) {
                (Some(Prereq::Tcp), true) => FieldId::TcpSrc,
                (Some(Prereq::Tcp), false) => FieldId::TcpDst,
                (Some(Prereq::Udp), true) => FieldId::UdpSrc,
                (Some(Prereq::Udp), false) => FieldId::UdpDst,
                (Some(Prereq::Sctp), true) => FieldId::SctpSrc,
                (Some(Prereq::Sctp), false) => FieldId::SctpDst,
                _ => return Err(item.all.missing("a match on tcp, udp or sctp for this action, or set_field")),
            };
            set(id)?
        }
        "set_field" => {
            let (value, field) = arrow(item, item.need("value->field")?)?;
            if let Some(n) = tun_metadata::field_named(field.s) {
                let set = tun_metadata::value(n, value)?;
                if set.has_mask && v < Version::V15 {
                    // Before 1.5 set-field has no masks.
                    out.extend(tun_metadata::loads(n, &set).map(Action::Nicira));
                } else if !set.has_mask || tun_metadata::has_bits(&set) {
                    out.push(Action::SetUnknownField(set));
                }
                return Ok(());
            }
            let (id, _) =
                field_by_any_name(field.s).ok_or_else(|| field.err(TextErrorKind::Unknown, "a match field"))?;
            if value.s.contains('/') && id.info().settable && parse_value(id, value, env.ctx)?.is_none() {
                // A mask of zeros: nothing is set.
                return Ok(());
            }
            set_field(id, value, env)?
        }
        "set_unknown_field" => Action::SetUnknownField(parse_unknown(item)?),
        "meter" if v >= Version::V15 => Action::Meter(parse_meter_id(item.need("a meter")?)?),
        "experimenter" => {
            let (experimenter, data) = experimenter(item)?;
            Action::Experimenter { experimenter, data }
        }
        "unknown_action" => {
            let (ty, data) = unknown(item)?;
            Action::Unknown { ty, data }
        }
        "goto_table" | "write_actions" | "apply_actions" | "clear_actions" | "meter" => {
            return Err(item.all.err(TextErrorKind::Syntax, format!("actions only: {} is an instruction", item.key.s)));
        }
        _ => match nicira::action(item, env)? {
            Some(a) => a,
            None if !names_port(item, env) && item.key.s.bytes().any(|b| b.is_ascii_uppercase()) => {
                // Names of actions are read in any case, unless ports have them.
                let name = item.key.s.to_ascii_lowercase();
                let key = Src { s: &name, at: item.key.at };
                return action(&Item { key, ..*item }, env, out);
            }
            None => bare_port(item, env)?,
        },
    };
    out.push(a);
    Ok(())
}

fn bare(item: &Item<'_>, a: Action) -> Result<Action, TextError> {
    item.bare()?;
    Ok(a)
}

/// 1.0's tag-setting actions add a tag where there is none; later versions have to say so.
fn push_tag_if_none(env: &mut Env<'_>, out: &mut Vec<Action>) {
    if env.tagged == Some(false) && env.ctx.version > Version::V10 {
        out.push(Action::PushVlan(0x8100));
        env.tagged = Some(true);
    }
}

/// `value->field`
pub(crate) fn arrow<'a>(item: &Item<'a>, value: Src<'a>) -> Result<(Src<'a>, Src<'a>), TextError> {
    let (a, b) =
        value.split_once("->").ok_or_else(|| value.err(TextErrorKind::Syntax, format!("{}:…->field", item.key.s)))?;
    Ok((a.trim(), b.trim()))
}

/// The action of the version that sets a field.
fn set_field(id: FieldId, src: Src<'_>, env: &Env<'_>) -> Result<Action, TextError> {
    let info = id.info();
    if !info.settable {
        return Err(src.err(TextErrorKind::BadValue, format!("a field that can be set ({} can't)", info.name)));
    }
    let (value, mask) = parse_value(id, src, env.ctx)?
        .ok_or_else(|| src.err(TextErrorKind::OutOfRange, "a mask that has some bits, or none"))?;
    Ok(set_or_load(MatchField { id, value, mask, code: None }, env))
}

fn set_vlan_vid(vid: u16, version: Version) -> Action {
    if version <= Version::V11 {
        return Action::SetVlanVid(vid & 0xfff);
    }
    Action::SetField(MatchField::exact(FieldId::VlanVid, u128::from(vid) | 0x1000))
}

fn set_vlan_pcp(pcp: u8, version: Version) -> Action {
    if version <= Version::V11 {
        return Action::SetVlanPcp(pcp);
    }
    Action::SetField(MatchField::exact(FieldId::VlanPcp, pcp.into()))
}

/// 1.0's and 1.1's action of its own for a field that they don't set by an address's or label's.
fn legacy_set(id: FieldId, value: u128) -> Option<Action> {
    Some(match id {
        FieldId::VlanVid => Action::SetVlanVid((value & 0xfff) as u16),
        FieldId::VlanPcp => Action::SetVlanPcp(value as u8),
        FieldId::IpDscp => Action::SetField(MatchField::exact(FieldId::IpTos, value << 2)),
        FieldId::IpTos => Action::SetField(MatchField::exact(id, value)),
        FieldId::TcpSrc | FieldId::UdpSrc => Action::SetTpSrc(value as u16),
        FieldId::TcpDst | FieldId::UdpDst => Action::SetTpDst(value as u16),
        _ => return None,
    })
}

/// The version's own action that sets a field, where it has one, or a Nicira load.
pub(crate) fn set_or_load(field: MatchField, env: &Env<'_>) -> Action {
    let (id, mask) = (field.id, field.mask);
    let v = env.ctx.version;
    let native = match v {
        Version::V10 => matches!(id, FieldId::EthSrc | FieldId::EthDst | FieldId::Ipv4Src | FieldId::Ipv4Dst),
        Version::V11 => matches!(
            id,
            FieldId::EthSrc
                | FieldId::EthDst
                | FieldId::Ipv4Src
                | FieldId::Ipv4Dst
                | FieldId::IpEcn
                | FieldId::MplsLabel
                | FieldId::MplsTc
        ),
        _ => true,
    };
    if v <= Version::V11
        && mask.is_none()
        && let Some(action) = legacy_set(id, field.value)
    {
        return action;
    }
    if v == Version::V15 || (native && mask.is_none()) {
        return Action::SetField(field);
    }
    nicira::load(field)
}

fn output(item: &Item<'_>, env: &Env<'_>) -> Result<Action, TextError> {
    let value = item.need("a port")?;
    if item.sep == Sep::Paren {
        return nicira::output_trunc(item, env);
    }
    let names_field = reserved_port(value.s).is_none()
        && env.ctx.ports.port(value.s).is_none()
        && field_by_any_name(value.s).is_some();
    if names_field || (value.s.contains('[') && !value.s.starts_with('"')) {
        let src = nicira::parse_subfield(value)?;
        return Ok(Action::Nicira(NxAction::OutputReg { src, max_len: MAX_LEN_NO_BUFFER, v2: false }));
    }
    if let Some((port, len)) = value.split_once(":")
        && !value.s.starts_with('"')
    {
        return Ok(Action::Output { port: parse_port(port, env.ctx)?, max_len: len.u16()? });
    }
    Ok(Action::output(parse_port(value, env.ctx)?))
}

fn names_port(item: &Item<'_>, env: &Env<'_>) -> bool {
    item.key.s.starts_with('"')
        || item.key.s.starts_with(|c: char| c.is_ascii_digit())
        || reserved_port(item.key.s).is_some()
        || env.ctx.ports.port(item.key.s).is_some()
}

/// `3`, `LOCAL`, `"eth0"`, and `CONTROLLER:128` as dumps print it.
fn bare_port(item: &Item<'_>, env: &Env<'_>) -> Result<Action, TextError> {
    if !names_port(item, env) {
        return Err(item.unknown("an action or a port"));
    }
    let port = parse_port(item.key, env.ctx)?;
    match item.sep {
        Sep::None => Ok(Action::output(port)),
        Sep::Colon if port == PortNo::CONTROLLER => Ok(Action::Output { port, max_len: item.value.u16()? }),
        _ => Err(item.all.err(TextErrorKind::Syntax, "a port alone")),
    }
}
