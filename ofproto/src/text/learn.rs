//! The `learn` action's arguments, both ways.

use super::names::{code_bits, field_by_any_name};
use super::nicira::{has_own_form, parse_subfield};
use super::scan::{Item, Sep, Src};
use super::value::{format_action_value, hex_text, parse_value};
use super::{ParseContext, TextError, TextErrorKind, field_text_name};
use crate::ids::Cookie;
use crate::matching::OxmId;
use crate::nicira::{Learn, LearnSource, LearnSpec, NxAction, Subfield};
use std::fmt;

pub(crate) fn parse(item: &Item<'_>, ctx: &ParseContext<'_>) -> Result<NxAction, TextError> {
    let mut learn = Learn::default();
    let (mut limit, mut result_dst) = (None, None);
    for part in item.value.items() {
        let part = part?;
        let number = || part.need("a number");
        match part.key.s {
            "table" => learn.table = number()?.table()?,
            "idle_timeout" => learn.idle_timeout = number()?.u16()?,
            "hard_timeout" => learn.hard_timeout = number()?.u16()?,
            "fin_idle_timeout" => learn.fin_idle_timeout = number()?.u16()?,
            "fin_hard_timeout" => learn.fin_hard_timeout = number()?.u16()?,
            "priority" => learn.priority = number()?.u16()?,
            "cookie" => learn.cookie = Cookie(number()?.u64()?),
            "send_flow_rem" => learn.flags |= Learn::SEND_FLOW_REM,
            "delete_learned" => learn.flags |= Learn::DELETE_LEARNED,
            "flags" => learn.flags |= number()?.u16()?,
            "limit" => limit = Some(number()?.u32()?),
            "result_dst" => {
                learn.flags |= Learn::WRITE_RESULT;
                result_dst = Some(parse_subfield(part.need("a field")?)?);
            }
            "load" => learn.specs.push(load(&part)?),
            "output" => {
                let src = parse_subfield(part.need("a field")?)?;
                let n_bits = src.n_bits;
                learn.specs.push(LearnSpec::Output { src: LearnSource::Field(src), n_bits });
            }
            _ => learn.specs.push(matching(&part, ctx)?),
        }
    }
    if limit.is_some() || result_dst.is_some() {
        learn.limit = Some((limit.unwrap_or(0), result_dst));
    }
    Ok(NxAction::Learn(Box::new(learn)))
}

/// A constant of `n_bits` in whole 16-bit words, as the specification of a flow-spec has it.
fn immediate(value: u128, n_bits: u16) -> LearnSource {
    let len = usize::from(n_bits.div_ceil(16)) * 2;
    let all = value.to_be_bytes();
    let mut bytes = vec![0; len.saturating_sub(all.len())];
    bytes.extend(all.get(all.len().saturating_sub(len)..).unwrap_or(&all));
    LearnSource::Immediate(bytes.into())
}

fn starts_number(src: Src<'_>) -> bool {
    src.s.starts_with(|c: char| c.is_ascii_digit())
}

fn max_of(n_bits: u16) -> u128 {
    if n_bits >= 128 { u128::MAX } else { (1 << n_bits) - 1 }
}

fn load(part: &Item<'_>) -> Result<LearnSpec, TextError> {
    let (from, to) = super::action::arrow(part, part.need("value->field")?)?;
    let dst = parse_subfield(to)?;
    let n_bits = dst.n_bits;
    let src = if starts_number(from) {
        immediate(from.number_to(max_of(n_bits))?, n_bits)
    } else {
        field_source(from, n_bits)?
    };
    Ok(LearnSpec::Load { src, dst, n_bits })
}

fn field_source(src: Src<'_>, n_bits: u16) -> Result<LearnSource, TextError> {
    let field = parse_subfield(src)?;
    if field.n_bits != n_bits {
        return Err(src.err(TextErrorKind::OutOfRange, format!("{n_bits} bits, as many as the destination has")));
    }
    Ok(LearnSource::Field(field))
}

/// `F[..]`, `F[..]=G[..]`, `F[..]=5`, `eth_type=0x800`.
fn matching(part: &Item<'_>, ctx: &ParseContext<'_>) -> Result<LearnSpec, TextError> {
    let (dst, value) = match part.sep {
        // `oxm(…)[0..7]=5`
        Sep::Paren => match part.tail.split_once("=") {
            Some((before, value)) => (part.all.slice(0, before.at + before.s.len() - part.all.at), Some(value)),
            None => (part.all, None),
        },
        Sep::None => (part.key, None),
        _ => (part.key, Some(part.need("a value or field")?)),
    };
    let dst = parse_subfield(dst)?;
    let n_bits = dst.n_bits;
    let Some(value) = value else {
        return Ok(LearnSpec::Match { src: LearnSource::Field(dst.clone()), dst, n_bits });
    };
    let is_field = value.s.contains('[') || field_by_any_name(value.s).is_some();
    let src = if is_field {
        field_source(value, n_bits)?
    } else {
        match &dst.field.field {
            Ok(id) if n_bits == code_bits(id.info(), dst.field.code) && has_own_form(*id) => {
                match parse_value(*id, value, ctx)? {
                    Some((v, None)) => immediate(v, n_bits),
                    _ => return Err(value.err(TextErrorKind::NotMaskable, "a value without a mask")),
                }
            }
            _ => immediate(value.number_to(max_of(n_bits))?, n_bits),
        }
    };
    Ok(LearnSpec::Match { src, dst, n_bits })
}

/// The number that an immediate is; `None` beyond 128 bits.
fn immediate_value(bytes: &[u8]) -> Option<u128> {
    let significant =
        bytes.iter().position(|b| *b != 0).map_or(&bytes[bytes.len()..], |i| bytes.get(i..).unwrap_or(&[]));
    (significant.len() <= 16).then(|| significant.iter().fold(0, |v, b| v << 8 | u128::from(*b)))
}

fn write_immediate(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match immediate_value(bytes) {
        Some(v) => f.write_str(&hex_text(v)),
        None => {
            f.write_str("0x")?;
            super::matching::write_hex(f, bytes)
        }
    }
}

impl super::Printer<'_> {
    pub(crate) fn write_learn(&self, f: &mut fmt::Formatter<'_>, learn: &Learn) -> fmt::Result {
        write!(f, "learn(table={}", learn.table)?;
        for (name, n) in [
            ("idle_timeout", learn.idle_timeout),
            ("hard_timeout", learn.hard_timeout),
            ("fin_idle_timeout", learn.fin_idle_timeout),
            ("fin_hard_timeout", learn.fin_hard_timeout),
        ] {
            if n != 0 {
                write!(f, ",{name}={n}")?;
            }
        }
        if learn.priority != Learn::default().priority {
            write!(f, ",priority={}", learn.priority)?;
        }
        let result = learn.limit.as_ref().and_then(|(_, dst)| dst.as_ref());
        let mut unsaid = learn.flags & !(Learn::SEND_FLOW_REM | Learn::DELETE_LEARNED);
        if result.is_some() {
            unsaid &= !Learn::WRITE_RESULT;
        }
        if learn.flags & Learn::SEND_FLOW_REM != 0 {
            f.write_str(",send_flow_rem")?;
        }
        if learn.flags & Learn::DELETE_LEARNED != 0 {
            f.write_str(",delete_learned")?;
        }
        if unsaid != 0 {
            write!(f, ",flags={unsaid:#x}")?;
        }
        if learn.cookie != Cookie(0) {
            write!(f, ",cookie={}", learn.cookie)?;
        }
        if let Some((n, _)) = learn.limit
            && (n != 0 || result.is_none())
        {
            write!(f, ",limit={n}")?;
        }
        if let Some(dst) = result {
            f.write_str(",result_dst=")?;
            self.write_subfield(f, dst)?;
        }
        for spec in &learn.specs {
            f.write_str(",")?;
            self.write_learn_spec(f, spec)?;
        }
        f.write_str(")")
    }

    fn write_learn_spec(&self, f: &mut fmt::Formatter<'_>, spec: &LearnSpec) -> fmt::Result {
        match spec {
            LearnSpec::Match { src: LearnSource::Field(src), dst, .. } => {
                self.write_subfield(f, dst)?;
                if src != dst {
                    f.write_str("=")?;
                    self.write_subfield(f, src)?;
                }
                Ok(())
            }
            LearnSpec::Match { src: LearnSource::Immediate(bytes), dst, n_bits } => {
                if let (Subfield { field: OxmId { field: Ok(id), code: None, .. }, .. }, Some(v)) =
                    (dst, immediate_value(bytes))
                    && *n_bits == code_bits(id.info(), None)
                    && has_own_form(*id)
                {
                    return write!(f, "{}={}", field_text_name(*id), format_action_value(*id, v, None, &()));
                }
                self.write_subfield(f, dst)?;
                f.write_str("=")?;
                write_immediate(f, bytes)
            }
            LearnSpec::Load { src, dst, .. } => {
                f.write_str("load:")?;
                self.write_learn_source(f, src)?;
                f.write_str("->")?;
                self.write_subfield(f, dst)
            }
            LearnSpec::Output { src, .. } => {
                f.write_str("output:")?;
                self.write_learn_source(f, src)
            }
        }
    }

    fn write_learn_source(&self, f: &mut fmt::Formatter<'_>, src: &LearnSource) -> fmt::Result {
        match src {
            LearnSource::Field(s) => self.write_subfield(f, s),
            LearnSource::Immediate(bytes) => write_immediate(f, bytes),
        }
    }
}
