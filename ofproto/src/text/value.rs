//! Field values in conventional form: addresses, port names, flags, numbers.

use super::scan::Src;
use super::{ParseContext, PortNames, TextError, TextErrorKind};
use crate::field::FieldId;
use crate::ids::{MacAddr, PortNo};
use crate::version::Version;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How a field's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Decimal,
    Hex,
    /// Hexadecimal with this many digits.
    HexDigits(usize),
    Port,
    Mac,
    Ipv4,
    Ipv6,
    /// Bits by name.
    Flags(&'static [&'static str]),
    Frag,
    PacketType,
}

const TCP_FLAGS: &[&str] = &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
const CT_STATE: &[&str] = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
const TUN_FLAGS: &[&str] = &["oam"];

/// How values of `id` are written.
pub(crate) fn form(id: FieldId) -> Form {
    use FieldId as F;
    match id {
        F::InPort | F::InPhyPort | F::ActsetOutput => Form::Port,
        F::EthDst | F::EthSrc | F::ArpSha | F::ArpTha | F::Ipv6NdSll | F::Ipv6NdTll => Form::Mac,
        F::Ipv4Src | F::Ipv4Dst | F::ArpSpa | F::ArpTpa | F::TunIpv4Src | F::TunIpv4Dst | F::CtNwSrc | F::CtNwDst => {
            Form::Ipv4
        }
        F::Ipv6Src | F::Ipv6Dst | F::Ipv6NdTarget | F::TunIpv6Src | F::TunIpv6Dst | F::CtIpv6Src | F::CtIpv6Dst => {
            Form::Ipv6
        }
        F::EthType | F::VlanTci => Form::HexDigits(4),
        F::Ipv6Flabel => Form::HexDigits(5),
        F::TcpFlags => Form::Flags(TCP_FLAGS),
        F::CtState => Form::Flags(CT_STATE),
        F::TunFlags => Form::Flags(TUN_FLAGS),
        F::IpFrag => Form::Frag,
        F::PacketType => Form::PacketType,
        F::VlanVid
        | F::VlanPcp
        | F::IpDscp
        | F::IpEcn
        | F::IpTos
        | F::IpProto
        | F::TcpSrc
        | F::TcpDst
        | F::UdpSrc
        | F::UdpDst
        | F::SctpSrc
        | F::SctpDst
        | F::CtTpSrc
        | F::CtTpDst
        | F::Icmpv4Type
        | F::Icmpv4Code
        | F::Icmpv6Type
        | F::Icmpv6Code
        | F::ArpOp
        | F::MplsLabel
        | F::MplsTc
        | F::MplsBos
        | F::MplsTtl
        | F::NwTtl
        | F::PbbUca
        | F::ConjId
        | F::CtZone
        | F::CtNwProto
        | F::TunGbpId
        | F::NshFlags
        | F::NshMdtype
        | F::NshNp
        | F::NshSi
        | F::NshTtl => Form::Decimal,
        _ => Form::Hex,
    }
}

/// Port numbers and names. 1.0's reserved numbers (0xff00 and up) are read as what they stand for.
pub(crate) fn parse_port(src: Src<'_>, ctx: &ParseContext<'_>) -> Result<PortNo, TextError> {
    let t = src.trim();
    if t.s.starts_with('"') {
        let name = unquote(t)?;
        return ctx.ports.port(&name).ok_or_else(|| t.err(TextErrorKind::Unknown, "the name of a port"));
    }
    if t.s.starts_with(|c: char| c.is_ascii_digit()) {
        let n = t.plain_to(u32::MAX.into())? as u32;
        let reserved_v10 = ctx.version == Version::V10 && (0xfff8..=0xffff).contains(&n);
        return Ok(PortNo(if reserved_v10 { n | 0xffff_0000 } else { n }));
    }
    if let Some(port) = reserved_port(t.s) {
        return Ok(port);
    }
    ctx.ports.port(t.s).ok_or_else(|| t.err(TextErrorKind::Unknown, "a port number or name"))
}

/// A reserved port by name, in any case.
pub(crate) fn reserved_port(name: &str) -> Option<PortNo> {
    Some(match name.to_ascii_lowercase().as_str() {
        "in_port" => PortNo::IN_PORT,
        "table" => PortNo::TABLE,
        "normal" => PortNo::NORMAL,
        "flood" => PortNo::FLOOD,
        "all" => PortNo::ALL,
        "controller" => PortNo::CONTROLLER,
        "local" => PortNo::LOCAL,
        "any" | "none" => PortNo::ANY,
        "unset" => PortNo::UNSET,
        _ => return None,
    })
}

fn unquote(src: Src<'_>) -> Result<String, TextError> {
    let inner = src.s.strip_prefix('"').and_then(|s| s.strip_suffix('"')).filter(|_| src.s.len() >= 2);
    let inner = inner.ok_or_else(|| src.err(TextErrorKind::Syntax, "a name in quotes"))?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// A port as printed: by its name in quotes if it has one, else the reserved name or the number.
pub(crate) fn port_text(port: PortNo, ports: &dyn PortNames) -> String {
    match ports.name(port) {
        Some(name) => {
            let mut out = String::with_capacity(name.len() + 2);
            out.push('"');
            for c in name.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
            out
        }
        None => port.to_string(),
    }
}

fn parse_mac(src: Src<'_>) -> Result<u128, TextError> {
    let t = src.trim();
    let mut value = 0u128;
    let mut n = 0;
    for part in t.s.split(':') {
        let well_formed = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = if well_formed { u8::from_str_radix(part, 16).ok() } else { None };
        let byte = byte.ok_or_else(|| t.bad("an Ethernet address (xx:xx:xx:xx:xx:xx)"))?;
        n += 1;
        if n > 6 {
            break;
        }
        value = value << 8 | u128::from(byte);
    }
    if n == 6 { Ok(value) } else { Err(t.bad("an Ethernet address (xx:xx:xx:xx:xx:xx)")) }
}

fn parse_ipv4(src: Src<'_>) -> Result<u128, TextError> {
    let t = src.trim();
    t.s.parse::<Ipv4Addr>().map(|a| u128::from(u32::from(a))).map_err(|_| t.bad("an IPv4 address"))
}

fn parse_ipv6(src: Src<'_>) -> Result<u128, TextError> {
    let t = src.trim();
    t.s.parse::<Ipv6Addr>().map(u128::from).map_err(|_| t.bad("an IPv6 address"))
}

fn prefix_mask(src: Src<'_>, bits: u32) -> Result<u128, TextError> {
    let len = src.plain_to(bits.into())? as u32;
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    Ok(all & !all.checked_shr(len).unwrap_or(0))
}

/// `+a-b`, `a|b`, or a number with an optional mask.
fn parse_flags(src: Src<'_>, names: &[&str], max: u128) -> Result<(u128, Option<u128>), TextError> {
    let t = src.trim();
    let bit_of = |part: Src<'_>| {
        let i = names.iter().position(|n| *n == part.s);
        i.map(|i| 1u128 << i).ok_or_else(|| part.err(TextErrorKind::Unknown, format!("one of {}", names.join(", "))))
    };
    if t.s.starts_with(['+', '-']) {
        let (mut value, mut mask) = (0, 0);
        let mut rest = t;
        while !rest.is_empty() {
            let on = rest.s.starts_with('+');
            let body = rest.slice(1, rest.s.len());
            let end = body.s.find(['+', '-']).unwrap_or(body.s.len());
            let bit = bit_of(body.slice(0, end))?;
            if mask & bit != 0 {
                return Err(rest.err(TextErrorKind::Duplicate, "each flag once"));
            }
            mask |= bit;
            if on {
                value |= bit;
            }
            rest = body.from(end);
        }
        return Ok((value, Some(mask)));
    }
    if t.s.starts_with(|c: char| c.is_ascii_digit()) && !t.s.contains('|') {
        return parse_numbers(t, max);
    }
    let mut value = 0;
    let mut at = 0;
    for part in t.s.split('|') {
        let piece = t.slice(at, at + part.len());
        value |= if part.starts_with(|c: char| c.is_ascii_digit()) { piece.number_to(max)? } else { bit_of(piece)? };
        at += part.len() + 1;
    }
    Ok((value, None))
}

fn parse_numbers(src: Src<'_>, max: u128) -> Result<(u128, Option<u128>), TextError> {
    match src.split_once("/") {
        Some((v, m)) => Ok((v.number_to(max)?, Some(if m.trim().s == "-1" { max } else { m.number_to(max)? }))),
        None => Ok((src.number_to(max)?, None)),
    }
}

fn parse_packet_type(src: Src<'_>) -> Result<u128, TextError> {
    let t = src.trim();
    let inner = t.strip_prefix("(").and_then(|i| i.s.ends_with(')').then(|| i.slice(0, i.s.len() - 1)));
    let Some(inner) = inner else { return t.number_to(u32::MAX.into()) };
    let (ns, ty) = inner.split_once(",").ok_or_else(|| inner.bad("(namespace,type)"))?;
    Ok(u128::from(ns.u16()?) << 16 | u128::from(ty.u16()?))
}

/// Reads a value and mask of `id`. The mask is `None` for an exact value; bits outside it are
/// cleared. `None` as the whole result: the mask is zero, so the field says nothing.
pub(crate) fn parse_value(
    id: FieldId,
    src: Src<'_>,
    ctx: &ParseContext<'_>,
) -> Result<Option<(u128, Option<u128>)>, TextError> {
    let t = src.trim();
    let info = id.info();
    let max = info.all_ones();
    if t.is_empty() {
        return Err(t.missing(format!("a value of {}", info.name)));
    }
    if t.s == "*" || (t.s == "ANY" && form(id) != Form::Port) {
        return Ok(None);
    }
    let addresses = |value: fn(Src<'_>) -> Result<u128, TextError>, prefix: bool| match t.split_once("/") {
        None => Ok((value(t)?, None)),
        Some((v, m)) => {
            let is_length = prefix && m.s.bytes().all(|b| b.is_ascii_digit()) && !m.is_empty();
            let mask = if is_length { prefix_mask(m, info.bits.into())? } else { value(m)? };
            Ok((value(v)?, Some(mask)))
        }
    };
    let (value, mask) = match form(id) {
        Form::Decimal | Form::Hex | Form::HexDigits(_) => parse_numbers(t, max)?,
        Form::Port => (u128::from(parse_port(t, ctx)?.0), None),
        Form::Mac => addresses(parse_mac, false)?,
        Form::Ipv4 => addresses(parse_ipv4, true)?,
        Form::Ipv6 => addresses(parse_ipv6, true)?,
        Form::Flags(names) => parse_flags(t, names, max)?,
        Form::Frag => match t.s {
            "no" => (0, None),
            "first" => (1, None),
            "later" => (3, None),
            "yes" => (1, Some(1)),
            "not_later" => (0, Some(2)),
            _ if t.s.starts_with(|c: char| c.is_ascii_digit()) => parse_numbers(t, max)?,
            _ => return Err(t.bad("no, yes, first, later or not_later")),
        },
        Form::PacketType => (parse_packet_type(t)?, None),
    };
    match mask {
        None => Ok(Some((value, None))),
        Some(m) if m == max => Ok(Some((value, None))),
        Some(_) if !info.maskable => {
            Err(t.err(TextErrorKind::NotMaskable, format!("{} without a mask (it allows none)", info.name)))
        }
        Some(0) => Ok(None),
        Some(m) => Ok(Some((value & m, Some(m)))),
    }
}

/// The length of the prefix that `mask` is, if it is one.
fn prefix_len(mask: u128, bits: u32) -> Option<u32> {
    let all = if bits == 128 { u128::MAX } else { (1 << bits) - 1 };
    let zeros = mask.trailing_zeros().min(bits);
    (mask == all & !(1u128.checked_shl(zeros).unwrap_or(0).wrapping_sub(1))).then_some(bits - zeros)
}

/// Hexadecimal; nought without a prefix, as people know it from C.
pub(crate) fn hex_text(value: u128) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// A value in an action: as in a match, but hexadecimal numbers without leading noughts.
pub(crate) fn format_action_value(id: FieldId, value: u128, mask: Option<u128>, ports: &dyn PortNames) -> String {
    match (form(id), mask.filter(|m| *m != id.info().all_ones())) {
        (Form::HexDigits(_), None) => hex_text(value),
        (Form::HexDigits(_), Some(m)) => format!("{}/{}", hex_text(value), hex_text(m)),
        _ => format_value_named(id, value, mask, ports),
    }
}

/// A value (and mask) of `id` in conventional form: `10.0.0.0/8`, `0x50/0xfff0`, `+syn-ack`.
pub fn format_value(id: FieldId, value: u128, mask: Option<u128>) -> String {
    format_value_named(id, value, mask, &())
}

pub(crate) fn format_value_named(id: FieldId, value: u128, mask: Option<u128>, ports: &dyn PortNames) -> String {
    let info = id.info();
    let max = info.all_ones();
    let mask = mask.filter(|m| *m != max);
    let mac = |v: u128| {
        let b = (v as u64).to_be_bytes();
        MacAddr([b[2], b[3], b[4], b[5], b[6], b[7]]).to_string()
    };
    let addresses = |show: &dyn Fn(u128) -> String, bits: u32| match mask {
        None => show(value),
        Some(m) => match prefix_len(m, bits) {
            Some(len) => format!("{}/{len}", show(value)),
            None => format!("{}/{}", show(value), show(m)),
        },
    };
    match (form(id), mask) {
        (Form::Decimal, None) => value.to_string(),
        (Form::Decimal | Form::Hex, Some(m)) => format!("{}/{}", hex_text(value), hex_text(m)),
        (Form::Hex, None) => hex_text(value),
        (Form::HexDigits(n), None) => format!("0x{value:0n$x}"),
        (Form::HexDigits(n), Some(m)) => format!("0x{value:0n$x}/0x{m:0n$x}"),
        (Form::Port, None) => port_text(PortNo(value as u32), ports),
        (Form::Port | Form::PacketType, Some(m)) => format!("{value:#x}/{m:#x}"),
        (Form::Mac, None) => mac(value),
        (Form::Mac, Some(m)) => format!("{}/{}", mac(value), mac(m)),
        (Form::Ipv4, _) => addresses(&|v| Ipv4Addr::from(v as u32).to_string(), 32),
        (Form::Ipv6, _) => addresses(&|v| Ipv6Addr::from(v).to_string(), 128),
        (Form::Flags(names), None) => {
            let mut parts: Vec<String> = Vec::new();
            for (i, name) in names.iter().enumerate() {
                if value >> i & 1 == 1 {
                    parts.push((*name).to_owned());
                }
            }
            let rest = value & !((1u128 << names.len()) - 1);
            if rest != 0 || value == 0 {
                parts.push(if rest == 0 { "0".to_owned() } else { format!("{rest:#x}") });
            }
            parts.join("|")
        }
        (Form::Flags(names), Some(m)) => {
            if m >> names.len() != 0 || m == 0 || value & !m != 0 {
                return format!("{value:#x}/{m:#x}");
            }
            let mut out = String::new();
            for (i, name) in names.iter().enumerate() {
                if m >> i & 1 == 1 {
                    out.push(if value >> i & 1 == 1 { '+' } else { '-' });
                    let _ = write!(out, "{name}");
                }
            }
            out
        }
        (Form::Frag, m) => match (value, m) {
            (0, None) => "no".to_owned(),
            (1, None) => "first".to_owned(),
            (3, None) => "later".to_owned(),
            (1, Some(1)) => "yes".to_owned(),
            (0, Some(2)) => "not_later".to_owned(),
            (v, None) => v.to_string(),
            (v, Some(m)) => format!("{v:#x}/{m:#x}"),
        },
        (Form::PacketType, None) => format!("({},{:#x})", value >> 16, value & 0xffff),
    }
}

/// A value of `id` in conventional form, without a mask; wider than the field if the text says so.
///
/// # Errors
/// Texts of another form.
pub fn parse_plain_value(id: FieldId, text: &str) -> Result<u128, TextError> {
    let src = Src::new(text);
    let ctx = ParseContext::default();
    match form(id) {
        Form::Decimal | Form::Hex | Form::HexDigits(_) => src.plain_number(),
        Form::Port => Ok(parse_port(src, &ctx)?.0.into()),
        Form::Mac => parse_mac(src),
        Form::Ipv4 => parse_ipv4(src),
        Form::Ipv6 => parse_ipv6(src),
        Form::Flags(_) | Form::Frag | Form::PacketType => match src.plain_number() {
            Ok(n) => Ok(n),
            Err(_) => match parse_value(id, src, &ctx)? {
                Some((value, None)) => Ok(value),
                _ => Err(src.bad("a value without a mask")),
            },
        },
    }
}
