//! Nicira's actions from text.

use super::action::{Env, action_list, arrow, set_or_load};
use super::encap;
use super::learn;
use super::names::{code_bits, field_by_any_name};
use super::scan::{Item, Sep, Src};
use super::tun_metadata;
use super::value::{Form, form, parse_port, parse_value};
use super::{ParseContext, TextError, TextErrorKind};
use crate::action::{Action, MAX_LEN_NO_BUFFER};
use crate::field::{Code, FieldId};
use crate::ids::{MeterId, PortNo, TableId};
use crate::matching::{MatchField, OxmId};
use crate::nicira::{Nat, NxAction, Subfield};
use crate::version::Version;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `NX_HASH_FIELDS_*` by number.
pub(crate) const HASH_FIELDS: [&str; 7] =
    ["eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"];
/// `NX_MP_ALG_*` by number.
pub(crate) const MULTIPATH_ALGORITHMS: [&str; 4] = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];
/// `NX_BD_ALG_*` by number.
pub(crate) const BUNDLE_ALGORITHMS: [&str; 2] = ["active_backup", "hrw"];
/// Packet-in reasons by number.
pub(crate) const REASONS: [&str; 6] = ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];
/// The NXM header of `in_port`: what members of a bundle are.
pub(crate) const OFPORT: u32 = 0x0000_0002;
/// Bytes of a note that fill its action to a multiple of eight.
const NOTE_FIRST: usize = 6;

/// `4..7]`, `4]` or `]` after the opening bracket was taken, without the closing one.
pub(crate) fn parse_bit_range(range: Src<'_>, id: FieldId, code: Option<Code>) -> Result<(u16, u16), TextError> {
    bit_range(range, code_bits(id.info(), code), id.info().name)
}

/// The same of a field of `bits` bits.
pub(super) fn bit_range(range: Src<'_>, bits: u16, name: &str) -> Result<(u16, u16), TextError> {
    let range = range.trim();
    let bit = |src: Src<'_>| src.plain_to(u16::MAX.into()).map(|n| n as u16);
    let (first, last) = match range.split_once("..") {
        Some((a, b)) => (bit(a)?, bit(b)?),
        None if range.is_empty() => (0, bits - 1),
        None => {
            let bit = bit(range)?;
            (bit, bit)
        }
    };
    if first > last || last >= bits {
        return Err(range.err(TextErrorKind::OutOfRange, format!("bits of {name} (0 to {})", bits - 1)));
    }
    Ok((first, last - first + 1))
}

/// `NXM_NX_REG0[4..7]`, `reg0[4]`, `reg0[]` or `reg0`.
pub(crate) fn parse_subfield(src: Src<'_>) -> Result<Subfield, TextError> {
    let t = src.trim();
    if let Some(found) = tun_metadata::subfield(t)? {
        return Ok(found);
    }
    let (name, range) = match t.split_once("[") {
        Some((name, range)) => {
            let inner = range.s.strip_suffix(']').map(|s| Src { s, at: range.at });
            (name, inner.ok_or_else(|| t.err(TextErrorKind::Syntax, "a closing bracket at the end"))?)
        }
        None => (t, t.from(t.s.len())),
    };
    let (id, code) =
        field_by_any_name(name.s).ok_or_else(|| name.err(TextErrorKind::Unknown, "a field, as NXM_NX_REG0[0..15]"))?;
    // In actions `in_port` is Nicira's, as for ovs-ofctl.
    let code = if name.s == "in_port" { Some(Code::Nxm0(0)) } else { code };
    let (offset, n_bits) = parse_bit_range(range, id, code)?;
    let field = OxmId { field: Ok(id), has_mask: false, code, length: None };
    Ok(Subfield { field, offset, n_bits })
}

/// What sets a field in versions whose own actions can't: a load where the mask is one run of at
/// most 64 bits, else the form with a mask.
pub(crate) fn load(field: MatchField) -> Action {
    let mask = field.effective_mask();
    let offset = mask.trailing_zeros();
    let run = mask.checked_shr(offset).unwrap_or(0);
    let n_bits = run.trailing_ones();
    let contiguous = n_bits < 128 && run == (1 << n_bits) - 1;
    if contiguous && (1..=64).contains(&n_bits) {
        let dst = Subfield { field: OxmId::of(field.id), offset: offset as u16, n_bits: n_bits as u16 };
        return Action::Nicira(NxAction::RegLoad { dst, value: (field.value >> offset) as u64 });
    }
    Action::Nicira(NxAction::RegLoad2(field))
}

fn index_of(src: Src<'_>, names: &[&str]) -> Result<u16, TextError> {
    let t = src.trim();
    if let Some(i) = names.iter().position(|n| *n == t.s) {
        return Ok(i as u16);
    }
    if t.s.starts_with(|c: char| c.is_ascii_digit()) {
        return t.u16();
    }
    Err(t.err(TextErrorKind::Unknown, format!("one of {}", names.join(", "))))
}

/// `controller`, `controller:128`, `controller(max_len=…,…)`.
pub(crate) fn controller(item: &Item<'_>) -> Result<Action, TextError> {
    let output = |max_len| Action::Output { port: PortNo::CONTROLLER, max_len };
    match item.sep {
        Sep::None => return Ok(output(MAX_LEN_NO_BUFFER)),
        Sep::Colon | Sep::Equals => return Ok(output(item.need("a length")?.u16()?)),
        // `controller(128)`
        Sep::Paren if !item.value.is_empty() && item.value.s.bytes().all(|b| b.is_ascii_digit()) => {
            return Ok(output(item.value.u16()?));
        }
        Sep::Paren => {}
    }
    let (mut max_len, mut controller_id, mut reason) = (None, None, None);
    let (mut userdata, mut pause, mut meter) = (None, false, None);
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "max_len" => max_len = Some(part.need("a length")?.u16()?),
            "id" => controller_id = Some(part.need("a number")?.u16()?),
            "reason" => {
                reason = Some(
                    u8::try_from(index_of(part.need("a reason")?, &REASONS)?)
                        .map_err(|_| part.value.err(TextErrorKind::OutOfRange, "a reason from 0 to 255"))?,
                )
            }
            "userdata" => userdata = Some(part.value.hex_bytes()?.into()),
            "pause" => {
                part.bare()?;
                pause = true;
            }
            "meter_id" => meter = Some(MeterId(part.need("a meter")?.u32()?)),
            _ => return Err(part.unknown("max_len, reason, id, userdata, pause or meter_id")),
        }
    }
    if userdata.is_some() || pause || meter.is_some() {
        return Ok(Action::Nicira(NxAction::Controller2 { max_len, controller_id, reason, userdata, pause, meter }));
    }
    let max_len = max_len.unwrap_or(MAX_LEN_NO_BUFFER);
    if controller_id.is_none() && reason.is_none() {
        return Ok(output(max_len));
    }
    Ok(Action::Nicira(NxAction::Controller {
        max_len,
        controller_id: controller_id.unwrap_or(0),
        reason: reason.unwrap_or(1),
    }))
}

/// `output(port=1,max_len=100)`
pub(crate) fn output_trunc(item: &Item<'_>, env: &Env<'_>) -> Result<Action, TextError> {
    let (mut port, mut max_len) = (None, None);
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "port" => port = Some(parse_port(part.need("a port")?, env.ctx)?),
            "max_len" => max_len = Some(part.need("a length")?.u32()?),
            _ => return Err(part.unknown("port or max_len")),
        }
    }
    let port = port.ok_or_else(|| item.all.missing("port=…"))?;
    let max_len = max_len.ok_or_else(|| item.all.missing("max_len=…"))?;
    Ok(Action::Nicira(NxAction::OutputTrunc { port, max_len }))
}

/// Reads a Nicira action; `None` if the item isn't one.
pub(crate) fn action(item: &Item<'_>, env: &Env<'_>) -> Result<Option<Action>, TextError> {
    let a = match item.key.s {
        "resubmit" => resubmit(item, env.ctx)?,
        "set_tunnel" => {
            let id = item.need("a number")?.u64()?;
            NxAction::SetTunnel { id, wide: id > u64::from(u32::MAX) }
        }
        "set_tunnel64" => NxAction::SetTunnel { id: item.need("a number")?.u64()?, wide: true },
        "pop_queue" => bare(item, NxAction::PopQueue)?,
        "move" | "copy_field" => return copy(item).map(Some),
        "load" => {
            let (value, field) = arrow(item, item.need("value->field")?)?;
            let dst = parse_subfield(field)?;
            if let Some(n) = tun_metadata::of_id(&dst.field) {
                if dst.n_bits == tun_metadata::BITS {
                    return Ok(Some(Action::SetUnknownField(tun_metadata::whole_value(n, value)?)));
                }
                if env.ctx.version == Version::V15 {
                    return Ok(Some(Action::SetUnknownField(tun_metadata::some_bits(n, &dst, value)?)));
                }
            }
            let max = if dst.n_bits >= 128 { u128::MAX } else { (1 << dst.n_bits) - 1 };
            settable(&dst, field)?;
            if dst.field.field.is_err() && dst.n_bits > 64 {
                return Err(field.err(TextErrorKind::OutOfRange, "at most 64 bits"));
            }
            let value = value.number_to(max)?;
            match dst {
                Subfield { field: OxmId { field: Ok(id), .. }, offset, n_bits }
                    if n_bits > 64 || (env.ctx.version == Version::V15 && id.info().settable) =>
                {
                    // Wider than a load, or of the version whose set-field has masks.
                    let mask = (max << offset != id.info().all_ones()).then_some(max << offset);
                    return Ok(Some(set_or_load(MatchField { id, value: value << offset, mask, code: None }, env)));
                }
                dst => NxAction::RegLoad { dst, value: value as u64 },
            }
        }
        "note" => {
            let mut bytes = if item.sep == Sep::None { Vec::new() } else { item.value.hex_bytes()? };
            while bytes.len() < NOTE_FIRST || !(bytes.len() - NOTE_FIRST).is_multiple_of(8) {
                bytes.push(0);
            }
            NxAction::Note(bytes.into())
        }
        "multipath" => multipath(item)?,
        "bundle" | "bundle_load" => bundle(item, env.ctx)?,
        "exit" => bare(item, NxAction::Exit)?,
        "fin_timeout" => {
            let (mut idle, mut hard) = (0, 0);
            for part in item.value.items() {
                let part = part?;
                match part.key.s {
                    "idle_timeout" => idle = part.need("seconds")?.u16()?,
                    "hard_timeout" => hard = part.need("seconds")?.u16()?,
                    _ => return Err(part.unknown("idle_timeout or hard_timeout")),
                }
            }
            NxAction::FinTimeout { idle, hard }
        }
        "write_metadata" => {
            let (metadata, mask) = item.need("a value")?.u64_masked()?;
            NxAction::WriteMetadata { metadata, mask: mask.unwrap_or(u64::MAX) }
        }
        "push" => NxAction::StackPush(parse_subfield(item.need("a field")?)?),
        "pop" => {
            let value = item.need("a field")?;
            let dst = parse_subfield(value)?;
            settable(&dst, value)?;
            NxAction::StackPop(dst)
        }
        "sample" => sample(item, env.ctx)?,
        "learn" => learn::parse(item, env.ctx)?,
        "conjunction" => {
            let args = item.value.args()?;
            let [id, clause] = args[..] else { return Err(item.all.bad("conjunction(id,k/n)")) };
            let (k, n) = clause.split_once("/").ok_or_else(|| clause.bad("k/n"))?;
            let (k_src, k, n_clauses) = (k, k.u8()?, n.u8()?);
            if !(2..=64).contains(&n_clauses) {
                return Err(n.err(TextErrorKind::OutOfRange, "2 to 64 clauses"));
            }
            if k == 0 || k > n_clauses {
                return Err(k_src.err(TextErrorKind::OutOfRange, format!("a clause from 1 to {n_clauses}")));
            }
            NxAction::Conjunction { clause: k - 1, n_clauses, id: id.u32()? }
        }
        "ct" => ct(item, env)?,
        "nat" => NxAction::Nat(nat(item)?),
        "ct_clear" => bare(item, NxAction::CtClear)?,
        "clone" => NxAction::Clone(action_list(item.value, env.deeper(item.value)?)?),
        "check_pkt_larger" => {
            let dst =
                item.tail.strip_prefix("->").ok_or_else(|| item.all.bad("check_pkt_larger(length)->field[bit]"))?;
            let dst_sub = parse_subfield(dst)?;
            if dst_sub.n_bits != 1 {
                return Err(dst.err(TextErrorKind::OutOfRange, "one bit"));
            }
            settable(&dst_sub, dst)?;
            NxAction::CheckPktLarger { pkt_len: item.value.u16()?, dst: dst_sub }
        }
        "delete_field" => NxAction::DeleteField(parse_subfield(item.need("a field")?)?.field),
        "dec_nsh_ttl" => bare(item, NxAction::DecNshTtl)?,
        "encap" => {
            let (mut hdr_size, mut packet_type, mut properties) = (0, None, bytes::Bytes::new());
            for part in item.value.items() {
                let part = part?;
                if let Some((name, ty)) = encap::TYPES.iter().find(|(n, _)| *n == part.key.s) {
                    packet_type = Some(*ty);
                    if *name == "nsh" && part.sep == Sep::Paren {
                        properties = encap::parse_properties(part.value)?;
                    } else {
                        part.bare()?;
                    }
                    continue;
                }
                match part.key.s {
                    "hdr_size" => hdr_size = part.need("a number")?.u16()?,
                    "packet_type" => packet_type = Some(packet_type_of(&part)?),
                    "properties" => properties = part.value.hex_bytes()?.into(),
                    _ => return Err(part.unknown("ethernet, mpls, mpls_mc, nsh, packet_type, hdr_size or properties")),
                }
            }
            let packet_type = packet_type.ok_or_else(|| item.all.missing("a packet type"))?;
            NxAction::Encap { hdr_size, packet_type, properties }
        }
        "decap" => {
            // (0,0xfffe): whatever comes next.
            let mut packet_type = 0xfffe;
            for part in item.value.items() {
                let part = part?;
                match part.key.s {
                    "packet_type" => packet_type = packet_type_of(&part)?,
                    _ => return Err(part.unknown("packet_type(ns=…,type=…)")),
                }
            }
            NxAction::Decap { packet_type }
        }
        "nicira" => {
            let (mut subtype, mut data) = (None, bytes::Bytes::new());
            for part in item.value.items() {
                let part = part?;
                match part.key.s {
                    "subtype" => subtype = Some(part.need("a number")?.u16()?),
                    "data" => data = part.value.hex_bytes()?.into(),
                    _ => return Err(part.unknown("subtype or data")),
                }
            }
            NxAction::Unknown { subtype: subtype.ok_or_else(|| item.all.missing("subtype=…"))?, data }
        }
        _ => return Ok(None),
    };
    Ok(Some(Action::Nicira(a)))
}

fn bare(item: &Item<'_>, a: NxAction) -> Result<NxAction, TextError> {
    item.bare()?;
    Ok(a)
}

fn settable(dst: &Subfield, src: Src<'_>) -> Result<(), TextError> {
    match &dst.field.field {
        Ok(id) if !id.info().settable && *id != FieldId::InPort => {
            Err(src.err(TextErrorKind::BadValue, format!("a field that can be set ({} can't)", id.info().name)))
        }
        _ => Ok(()),
    }
}

/// `packet_type(ns=0,type=0)` or `packet_type=(0,0)`.
fn packet_type_of(part: &Item<'_>) -> Result<u32, TextError> {
    if part.sep == Sep::Equals {
        let parsed = parse_value(FieldId::PacketType, part.need("(ns,type)")?, &ParseContext::default())?;
        return Ok(parsed.map_or(0, |(v, _)| v as u32));
    }
    let (mut ns, mut ty) = (0, 0);
    for arg in part.value.items() {
        let arg = arg?;
        match arg.key.s {
            "ns" => ns = arg.need("a number")?.u16()?,
            "type" => ty = arg.need("a number")?.u16()?,
            _ => return Err(arg.unknown("ns or type")),
        }
    }
    Ok(u32::from(ns) << 16 | u32::from(ty))
}

fn resubmit(item: &Item<'_>, ctx: &ParseContext<'_>) -> Result<NxAction, TextError> {
    if item.sep != Sep::Paren {
        let in_port = parse_port(item.need("a port")?, ctx)?;
        return Ok(NxAction::Resubmit { in_port, table: None, ct: false });
    }
    let args = item.value.args()?;
    let (port, table, ct) = match args[..] {
        [port] => (port, None, None),
        [port, table] => (port, Some(table), None),
        [port, table, ct] => (port, Some(table), Some(ct)),
        _ => return Err(item.all.bad("resubmit(port,table,ct)")),
    };
    let in_port = if port.is_empty() { PortNo::IN_PORT } else { parse_port(port, ctx)? };
    let table = table.filter(|t| !t.is_empty()).map(Src::table).transpose()?;
    if let Some(ct) = ct
        && ct.s != "ct"
    {
        return Err(ct.err(TextErrorKind::Unknown, "ct"));
    }
    Ok(NxAction::Resubmit { in_port, table, ct: ct.is_some() })
}

fn copy(item: &Item<'_>) -> Result<Action, TextError> {
    let (a, b) = arrow(item, item.need("field->field")?)?;
    let (src, dst) = (parse_subfield(a)?, parse_subfield(b)?);
    settable(&dst, b)?;
    if src.n_bits != dst.n_bits {
        return Err(b.err(TextErrorKind::OutOfRange, format!("{} bits, as many as the source has", src.n_bits)));
    }
    let (n_bits, src_offset, dst_offset) = (src.n_bits, src.offset, dst.offset);
    Ok(if item.key.s == "move" {
        Action::Nicira(NxAction::RegMove { n_bits, src_offset, dst_offset, src: src.field, dst: dst.field })
    } else {
        Action::CopyField { n_bits, src_offset, dst_offset, src: src.field, dst: dst.field }
    })
}

fn multipath(item: &Item<'_>) -> Result<NxAction, TextError> {
    let args = item.value.words()?;
    let [fields, basis, algorithm, links, arg, dst] = args[..] else {
        return Err(item.all.bad("multipath(fields,basis,algorithm,n_links,arg,field)"));
    };
    let n_links = links.number_to(65536)?;
    let max_link = n_links.checked_sub(1).ok_or_else(|| links.err(TextErrorKind::OutOfRange, "at least one link"))?;
    Ok(NxAction::Multipath {
        fields: index_of(fields, &HASH_FIELDS)?,
        basis: basis.u16()?,
        algorithm: index_of(algorithm, &MULTIPATH_ALGORITHMS)?,
        max_link: max_link as u16,
        arg: arg.u32()?,
        dst: parse_subfield(dst)?,
    })
}

fn bundle(item: &Item<'_>, ctx: &ParseContext<'_>) -> Result<NxAction, TextError> {
    let form = "bundle(fields,basis,algorithm,ofport,members:1,2) or bundle_load(…,ofport,field,members:1,2)";
    let args = item.value.words()?;
    let [fields, basis, algorithm, ty, rest @ ..] = &args[..] else { return Err(item.all.bad(form)) };
    let slave_type = match ty.s {
        "ofport" => OFPORT,
        _ => ty.u32().map_err(|_| ty.err(TextErrorKind::Unknown, "ofport"))?,
    };
    let (dst, rest) = match (item.key.s, rest) {
        ("bundle_load", [dst, rest @ ..]) => (Some(parse_subfield(*dst)?), rest),
        (_, rest) => (None, rest),
    };
    let Some((first, more)) = rest.split_first() else { return Err(item.all.bad(form)) };
    let first = first
        .strip_prefix("members:")
        .or_else(|| first.strip_prefix("slaves:"))
        .ok_or_else(|| first.bad("members:…"))?;
    let bracketed = first.strip_prefix("[").filter(|f| more.is_empty() && f.s.ends_with(']'));
    let list: Vec<Src<'_>> = match bracketed {
        Some(inner) => inner.slice(0, inner.s.len() - 1).words()?,
        None => std::iter::once(first).chain(more.iter().copied()).collect(),
    };
    let mut members = Vec::new();
    for member in list.iter().filter(|m| !m.is_empty()) {
        members.push(parse_port(*member, ctx)?);
    }
    Ok(NxAction::Bundle {
        algorithm: index_of(*algorithm, &BUNDLE_ALGORITHMS)?,
        fields: index_of(*fields, &HASH_FIELDS)?,
        basis: basis.u16()?,
        slave_type,
        members,
        dst,
    })
}

fn sample(item: &Item<'_>, ctx: &ParseContext<'_>) -> Result<NxAction, TextError> {
    let (mut probability, mut collector_set_id, mut obs_domain_id, mut obs_point_id) = (None, 0, 0, 0);
    let (mut sampling_port, mut direction) = (None, None);
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "probability" => probability = Some(part.need("a number")?.u16()?),
            "collector_set_id" => collector_set_id = part.need("a number")?.u32()?,
            "obs_domain_id" => obs_domain_id = part.need("a number")?.u32()?,
            "obs_point_id" => obs_point_id = part.need("a number")?.u32()?,
            "sampling_port" => sampling_port = Some(parse_port(part.need("a port")?, ctx)?),
            "ingress" => direction = Some(1),
            "egress" => direction = Some(2),
            "direction" => direction = Some(part.need("a number")?.u8()?),
            _ => return Err(part.unknown("an argument of sample")),
        }
    }
    let probability =
        probability.filter(|p| *p > 0).ok_or_else(|| item.all.missing("a probability from 1 to 65535"))?;
    if direction.is_some() {
        sampling_port.get_or_insert(PortNo::ANY);
    }
    Ok(NxAction::Sample { probability, collector_set_id, obs_domain_id, obs_point_id, sampling_port, direction })
}

fn ct(item: &Item<'_>, env: &Env<'_>) -> Result<NxAction, TextError> {
    let (mut flags, mut zone, mut recirc_table, mut alg) = (0, Ok(0), TableId::ALL, 0);
    let mut nats = Vec::new();
    let mut actions = Vec::new();
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "commit" => flags |= 1,
            "force" => flags |= 2,
            "flags" => flags |= part.need("a number")?.u16()?,
            "table" => recirc_table = part.need("a table")?.table()?,
            "zone" => {
                let value = part.need("a zone")?;
                zone = if value.s.starts_with(|c: char| c.is_ascii_digit()) {
                    Ok(value.u16()?)
                } else {
                    Err(parse_subfield(value)?)
                };
            }
            "alg" => {
                alg = match part.need("ftp or tftp")?.s {
                    "ftp" => 21,
                    "tftp" => 69,
                    _ => part.value.u16()?,
                };
            }
            "nat" => nats.push(Action::Nicira(NxAction::Nat(nat(&part)?))),
            "exec" => actions.extend(action_list(part.value, env.deeper(part.value)?)?),
            _ => return Err(part.unknown("commit, force, table, zone, alg, nat or exec")),
        }
    }
    nats.extend(actions);
    Ok(NxAction::Ct { flags, zone, recirc_table, alg, actions: nats })
}

/// `nat`, `nat(src=10.0.0.1-10.0.0.9:1000-2000,random)`, `nat(dst=[fe80::1]:80)`.
fn nat(item: &Item<'_>) -> Result<Nat, TextError> {
    let mut nat = Nat::default();
    for part in item.value.items() {
        let part = part?;
        match part.key.s {
            "src" => nat.flags |= 1,
            "dst" => nat.flags |= 2,
            "persistent" => nat.flags |= 4,
            "hash" => nat.flags |= 8,
            "random" => nat.flags |= 16,
            "flags" => nat.flags |= part.need("a number")?.u16()?,
            _ => return Err(part.unknown("src, dst, persistent, hash or random")),
        }
        if matches!(part.key.s, "src" | "dst") && part.sep != Sep::None {
            nat_range(part.value, &mut nat)?;
        }
    }
    if nat.flags & 3 == 3 {
        return Err(item.all.err(TextErrorKind::Duplicate, "either src or dst"));
    }
    Ok(nat)
}

fn nat_range(src: Src<'_>, nat: &mut Nat) -> Result<(), TextError> {
    let mut rest = src.trim();
    let v6 = |s: Src<'_>| s.s.parse::<Ipv6Addr>().map(u128::from).map_err(|_| s.bad("an IPv6 address"));
    let v4 = |s: Src<'_>| s.s.parse::<Ipv4Addr>().map(u32::from).map_err(|_| s.bad("an IPv4 address"));
    let ports_at;
    if rest.s.starts_with('[') {
        let (first, after) = rest.from(1).split_once("]").ok_or_else(|| rest.bad("[address]"))?;
        nat.ipv6_min = Some(v6(first)?);
        rest = after;
        if let Some(second) = rest.strip_prefix("-[") {
            let (second, after) = second.split_once("]").ok_or_else(|| second.bad("[address]"))?;
            nat.ipv6_max = Some(v6(second)?);
            rest = after;
        }
        ports_at = rest.strip_prefix(":");
        if ports_at.is_none() && !rest.is_empty() {
            return Err(rest.bad(":ports"));
        }
    } else if rest.s.matches(':').count() > 1 {
        // Bare IPv6 addresses: no ports can follow.
        let (first, second) = match rest.split_once("-") {
            Some((a, b)) => (a, Some(b)),
            None => (rest, None),
        };
        nat.ipv6_min = Some(v6(first)?);
        nat.ipv6_max = second.map(v6).transpose()?;
        ports_at = None;
    } else {
        let (addresses, ports) = match rest.split_once(":") {
            Some((a, p)) => (a, Some(p)),
            None => (rest, None),
        };
        if !addresses.is_empty() {
            let (first, second) = match addresses.split_once("-") {
                Some((a, b)) => (a, Some(b)),
                None => (addresses, None),
            };
            nat.ipv4_min = Some(v4(first)?);
            nat.ipv4_max = second.map(v4).transpose()?;
        }
        ports_at = ports;
    }
    if let Some(ports) = ports_at {
        let (first, second) = match ports.split_once("-") {
            Some((a, b)) => (a, Some(b)),
            None => (ports, None),
        };
        nat.proto_min = Some(first.u16()?);
        nat.proto_max = second.map(Src::u16).transpose()?;
    }
    Ok(())
}

/// Whether a constant may be written in the field's own form inside `learn`.
pub(crate) fn has_own_form(id: FieldId) -> bool {
    !matches!(form(id), Form::Port | Form::Flags(_) | Form::Frag)
}
