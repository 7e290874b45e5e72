//! `ofp_match` and `ofp_oxm`.

use super::basic::list;
use super::codec::{HexInt, Json, Result, bad, member, object_of, put, single, wrap};
use crate::field::{Code, FieldId};
use crate::ids::ExperimenterId;
use crate::matching::{Match, MatchField, OxmId, UnknownField};
use crate::text::{format_value, parse_plain_value};
use crate::wire::fixed::VID_INVALID;
use bytes::Bytes;
use serde_json::{Map, Value};

const CLASSES: [(&str, u16); 5] =
    [("nxm0", 0), ("nxm1", 1), ("openflow_basic", 0x8000), ("packet_regs", 0x8001), ("experimenter", 0xffff)];

fn class_of(code: Code) -> u16 {
    match code {
        Code::Nxm0(_) => 0,
        Code::Nxm1(_) => 1,
        Code::Oxm(_) => 0x8000,
        Code::PacketRegs(_) => 0x8001,
        Code::Onf(_) | Code::Nsh(_) => 0xffff,
    }
}

fn class_to_json(class: u16) -> Value {
    CLASSES.iter().find(|(_, n)| *n == class).map_or_else(|| class.to_hex(), |(name, _)| (*name).into())
}

fn class_from_json(value: &Value) -> Result<u16> {
    if value.is_null() {
        return Ok(0x8000);
    }
    match CLASSES.iter().find(|(name, _)| value.as_str() == Some(name)) {
        Some((_, n)) => Ok(*n),
        None => u16::from_hex(value).map_err(|_| bad(value, "openflow_basic, nxm0, nxm1, packet_regs or experimenter")),
    }
}

/// The field's name: the specification's, but for `vlan_id`.
fn field_name(id: FieldId) -> &'static str {
    if id == FieldId::VlanVid { "vlan_id" } else { id.info().name }
}

fn field_of(name: &str) -> Option<FieldId> {
    if name == "vlan_id" { Some(FieldId::VlanVid) } else { FieldId::by_name(name) }
}

/// The class to show for a field, and back.
fn shown_class(id: FieldId, code: Option<Code>) -> Value {
    let code = code.or_else(|| id.info().codes.first().copied());
    class_to_json(code.map_or(0x8000, class_of))
}

fn code_for(id: FieldId, value: &Value) -> Result<Option<Code>> {
    if value.is_null() {
        return Ok(None);
    }
    let class = class_from_json(value)?;
    let codes = id.info().codes;
    if codes.first().is_some_and(|c| class_of(*c) == class) {
        return Ok(None);
    }
    let code = codes.iter().copied().find(|c| class_of(*c) == class);
    code.map(Some).ok_or_else(|| bad(value, format!("a class that has {}", id.info().name)))
}

/// A value or mask in conventional form; flags and the like as numbers.
fn plain(id: FieldId, value: u128) -> String {
    match id {
        FieldId::TcpFlags | FieldId::CtState | FieldId::TunFlags | FieldId::IpFrag | FieldId::PacketType => {
            format!("{value:#x}")
        }
        _ => format_value(id, value, None),
    }
}

/// A mask is written as an address or, for numbers, in hexadecimal.
fn plain_mask(id: FieldId, mask: u128) -> String {
    let shown = plain(id, mask);
    if shown.bytes().all(|b| b.is_ascii_digit()) { format!("{mask:#x}") } else { shown }
}

/// Writes `field=value/mask` with the words of the field's JSON.
pub(crate) fn write_oxm(out: &mut String, field: &MatchField) -> std::fmt::Result {
    use std::fmt::Write as _;
    write!(out, "{}={}", field_name(field.id), plain(field.id, field.value))?;
    field.mask.map_or(Ok(()), |mask| write!(out, "/{}", plain_mask(field.id, mask)))
}

impl Json for MatchField {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "match_class", shown_class(self.id, self.code));
        put(&mut map, "field", field_name(self.id).into());
        if let Some(mask) = self.mask {
            put(&mut map, "mask", plain_mask(self.id, mask).into());
        }
        put(&mut map, "value", plain(self.id, self.value).into());
        Value::Object(map)
    }

    fn from_json(value: &Value) -> Result<Self> {
        let map = object_of(value, &["match_class", "field", "mask", "value"])?;
        let name = member(map, "field");
        let id = name.as_str().and_then(field_of).ok_or_else(|| bad(name, "a match field").under("field"))?;
        let read = |key: &str| {
            let v = member(map, key);
            let text = match v {
                Value::String(s) => s.clone(),
                Value::Number(n) => n.to_string(),
                _ => return Err(bad(v, format!("a value of {}", id.info().name)).under(key)),
            };
            let n = parse_plain_value(id, &text).map_err(|e| bad(v, e.expected).under(key))?;
            // Not the field's bits: a message can hold more of them than mean anything.
            let max = id.info().all_ones_of_bytes();
            // What 1.0 and 1.1 say of a VLAN that can't be.
            let no_vlan = id == FieldId::VlanVid && n & !0xffff == VID_INVALID && n & 0xffff > 0xfff;
            if n > max && !no_vlan { Err(bad(v, format!("a number up to {max:#x}")).under(key)) } else { Ok(n) }
        };
        let mask = if member(map, "mask").is_null() { None } else { Some(read("mask")?) };
        let code = code_for(id, member(map, "match_class")).map_err(|e| e.under("match_class"))?;
        Ok(Self { id, value: read("value")?, mask, code })
    }
}

impl Json for UnknownField {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "match_class", class_to_json(self.class));
        put(&mut map, "field", self.field.to_hex());
        put(&mut map, "has_mask", self.has_mask.into());
        put(&mut map, "exp_id", self.experimenter.to_json());
        put(&mut map, "payload", self.payload.to_json());
        Value::Object(map)
    }

    fn from_json(value: &Value) -> Result<Self> {
        let map = object_of(value, &["match_class", "field", "has_mask", "exp_id", "payload"])?;
        let get = |key| member(map, key);
        Ok(Self {
            class: class_from_json(get("match_class")).map_err(|e| e.under("match_class"))?,
            field: u8::from_hex(get("field")).map_err(|e| e.under("field"))?,
            has_mask: bool::from_json(get("has_mask")).map_err(|e| e.under("has_mask"))?,
            experimenter: Option::<ExperimenterId>::from_json(get("exp_id")).map_err(|e| e.under("exp_id"))?,
            payload: Bytes::from_json(get("payload")).map_err(|e| e.under("payload"))?,
        })
    }
}

/// Whether an object is one of a field not known: only those have a payload.
fn is_unknown(value: &Value) -> bool {
    value.get("payload").is_some()
}

impl Json for Match {
    fn to_json(&self) -> Value {
        let mut out = Vec::with_capacity(self.fields.len() + self.unknown.len());
        for i in 0..=self.fields.len() {
            for (_, u) in self.unknown.iter().filter(|(at, _)| *at == i || (i == self.fields.len() && *at > i)) {
                out.push(u.to_json());
            }
            out.extend(self.fields.get(i).map(Json::to_json));
        }
        if let Some(fixed) = &self.fixed {
            out.push(wrap("fixed", fixed.to_json()));
        }
        out.into()
    }

    fn from_json(value: &Value) -> Result<Self> {
        let mut out = Self::any();
        if value.is_null() {
            return Ok(out);
        }
        let list = value.as_array().ok_or_else(|| bad(value, "an array of ofp_oxm"))?;
        for (i, v) in list.iter().enumerate() {
            let here = |e: super::JsonError| e.at(i);
            if let Ok(("fixed", fixed)) = single(v) {
                out.fixed = Some(Box::new(Bytes::from_json(fixed).map_err(here)?));
            } else if is_unknown(v) {
                out.unknown.push((out.fields.len(), UnknownField::from_json(v).map_err(here)?));
            } else {
                out.fields.push(MatchField::from_json(v).map_err(here)?);
            }
        }
        Ok(out)
    }
}

impl Json for OxmId {
    fn to_json(&self) -> Value {
        match &self.field {
            Err(unknown) => {
                let mut map = Map::new();
                put(&mut map, "unknown", unknown.to_json());
                put(&mut map, "has_mask", self.has_mask.into());
                put(&mut map, "length", self.length.to_json());
                Value::Object(map)
            }
            Ok(id) => {
                let mut map = Map::new();
                put(&mut map, "match_class", shown_class(*id, self.code));
                put(&mut map, "field", field_name(*id).into());
                put(&mut map, "has_mask", self.has_mask.into());
                put(&mut map, "length", self.length.to_json());
                Value::Object(map)
            }
        }
    }

    fn from_json(value: &Value) -> Result<Self> {
        if let Some(name) = value.as_str() {
            return field_of(name).map(Self::of).ok_or_else(|| bad(value, "a match field"));
        }
        let map = object_of(value, &["unknown", "match_class", "field", "has_mask", "length"])?;
        let has_mask = bool::from_json(member(map, "has_mask")).map_err(|e| e.under("has_mask"))?;
        let length = Option::<u8>::from_json(member(map, "length")).map_err(|e| e.under("length"))?;
        if let Some(unknown) = map.get("unknown") {
            let field = Err(UnknownField::from_json(unknown).map_err(|e| e.under("unknown"))?);
            return Ok(Self { field, has_mask, code: None, length });
        }
        let name = member(map, "field");
        let id = name.as_str().and_then(field_of).ok_or_else(|| bad(name, "a match field").under("field"))?;
        let code = code_for(id, member(map, "match_class")).map_err(|e| e.under("match_class"))?;
        Ok(Self { field: Ok(id), has_mask, code, length })
    }
}

list!(OxmId);
