//! The trait, the macros that declare a structure's form once for both ways, and the field codecs.

use super::JsonError;
use serde_json::{Map, Value};

pub(crate) use super::bits::*;

pub(crate) type Result<T> = std::result::Result<T, JsonError>;

/// A model with a JSON form.
pub(crate) trait Json: Sized {
    fn to_json(&self) -> Value;
    fn from_json(value: &Value) -> Result<Self>;
}

const FOUND_MAX: usize = 60;

/// A fault at the place being read.
pub(crate) fn bad(value: &Value, expected: impl Into<String>) -> JsonError {
    let mut found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(m) => format!("an object ({})", m.keys().take(4).cloned().collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    };
    if let Some((i, _)) = found.char_indices().nth(FOUND_MAX) {
        found.truncate(i);
    }
    JsonError { path: String::new(), expected: expected.into(), found }
}

impl JsonError {
    /// The same fault, seen from outside `key`.
    pub(crate) fn under(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    pub(crate) fn at(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

static NULL: Value = Value::Null;

pub(crate) fn object_of<'v>(value: &'v Value, keys: &[&str]) -> Result<&'v Map<String, Value>> {
    let map = value.as_object().ok_or_else(|| bad(value, format!("an object with {}", keys.join(", "))))?;
    for (key, v) in map {
        if !keys.contains(&key.as_str()) {
            return Err(bad(v, format!("no such key (known: {})", keys.join(", "))).under(key));
        }
    }
    Ok(map)
}

pub(crate) fn member<'v>(map: &'v Map<String, Value>, key: &str) -> &'v Value {
    map.get(key).unwrap_or(&NULL)
}

/// The one key and value of an object with one key; a bare string is a key without a value.
pub(crate) fn single(value: &Value) -> Result<(&str, &Value)> {
    match value {
        Value::String(s) => Ok((s, &NULL)),
        Value::Object(m) if m.len() == 1 => {
            m.iter().next().map(|(k, v)| (k.as_str(), v)).ok_or_else(|| bad(value, "one key"))
        }
        _ => Err(bad(value, "an object with one key")),
    }
}

macro_rules! to {
    ($v:expr) => {
        $crate::json::codec::Json::to_json($v)
    };
    ($v:expr, $codec:ident) => {
        $crate::json::codec::$codec::to($v)
    };
}
macro_rules! from {
    ($v:expr) => {
        $crate::json::codec::Json::from_json($v)
    };
    ($v:expr, $codec:ident) => {
        $crate::json::codec::$codec::from($v)
    };
}
pub(crate) use {from, to};

/// `object!(Type { "key": field, "key": field as codec } default expr)`; without a default, keys
/// that are missing are read as null, which lists and options take for none. With a default, keys that
/// must be there all the same are named before it: `required "key", "key"`.
macro_rules! object {
    ($ty:ty { $($key:literal: $field:ident $(as $codec:ident)?),* $(,)? }) => {
        impl $crate::json::codec::Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $($crate::json::codec::put(&mut map, $key, $crate::json::codec::to!(&self.$field $(, $codec)?));)*
                serde_json::Value::Object(map)
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                let map = $crate::json::codec::object_of(value, &[$($key),*])?;
                Ok(Self { $(
                    $field: $crate::json::codec::from!($crate::json::codec::member(map, $key) $(, $codec)?).map_err(|e| e.under($key))?,
                )* })
            }
        }
    };
    ($ty:ty { $($key:literal: $field:ident $(as $codec:ident)?),* $(,)? } $(required $($required:literal),+)? default $default:expr) => {
        impl $crate::json::codec::Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $($crate::json::codec::put(&mut map, $key, $crate::json::codec::to!(&self.$field $(, $codec)?));)*
                serde_json::Value::Object(map)
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                let map = $crate::json::codec::object_of(value, &[$($key),*])?;
                $($(if !map.contains_key($required) {
                    return Err($crate::json::codec::bad(&serde_json::Value::Null, "a value").under($required));
                })+)?
                let default: Self = $default;
                Ok(Self { $(
                    $field: match map.get($key) {
                        Some(v) => $crate::json::codec::from!(v $(, $codec)?).map_err(|e| e.under($key))?,
                        None => default.$field,
                    },
                )* })
            }
        }
    };
}
pub(crate) use object;

/// Puts a member, unless it is null.
pub(crate) fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    if !value.is_null() {
        map.insert(key.to_owned(), value);
    }
}

pub(crate) fn wrap(key: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert(key.to_owned(), value);
    Value::Object(map)
}

/// An enum as an object with one key. Each variant is
/// - `"key" = Variant`: null,
/// - `"key" = Variant(value as codec)`: the value,
/// - `"key" = Variant { "member" field name as codec, … }`: an object; `field` is the variant's
///   field, a number for tuples.
///
/// With `property` before the type, the key stands beside the members, as their `type`.
macro_rules! tagged {
    (@to $key:literal, $ty:ident, $variant:ident) => { $crate::json::codec::wrap($key, serde_json::Value::Null) };
    (property $ty:ident { $($body:tt)* }) => { $crate::json::codec::tagged!(@munch flat $ty [] [] [] $($body)*); };
    ($ty:ident { $($body:tt)* }) => { $crate::json::codec::tagged!(@munch tag $ty [] [] [] $($body)*); };
    // unit
    (@munch $form:ident $ty:ident [$($to:tt)*] [$($from:tt)*] [$($keys:tt)*] $key:literal = $variant:ident, $($rest:tt)*) => {
        $crate::json::codec::tagged!(@munch $form $ty
            [$($to)* $ty::$variant => $crate::json::codec::wrap($key, serde_json::Value::Null),]
            [$($from)* ($key, v) => if v.is_null() || v.as_object().is_some_and(|m| m.is_empty()) {
                Ok($ty::$variant)
            } else {
                Err($crate::json::codec::bad(v, "null"))
            },]
            [$($keys)* $key,] $($rest)*);
    };
    // one value
    (@munch $form:ident $ty:ident [$($to:tt)*] [$($from:tt)*] [$($keys:tt)*] $key:literal = $variant:ident(value $(as $codec:ident)?), $($rest:tt)*) => {
        $crate::json::codec::tagged!(@munch $form $ty
            [$($to)* $ty::$variant(a) => $crate::json::codec::wrap($key, $crate::json::codec::to!(a $(, $codec)?)),]
            [$($from)* ($key, v) => $crate::json::codec::from!(v $(, $codec)?).map($ty::$variant),]
            [$($keys)* $key,] $($rest)*);
    };
    // members
    (@munch $form:ident $ty:ident [$($to:tt)*] [$($from:tt)*] [$($keys:tt)*] $key:literal = $variant:ident { $($member:literal $field:tt $name:ident $(as $codec:ident)?),* $(,)? }, $($rest:tt)*) => {
        $crate::json::codec::tagged!(@munch $form $ty
            [$($to)* $ty::$variant { $($field: $name),* } => {
                let mut map = serde_json::Map::new();
                $($crate::json::codec::put(&mut map, $member, $crate::json::codec::to!($name $(, $codec)?));)*
                $crate::json::codec::wrap($key, serde_json::Value::Object(map))
            },]
            [$($from)* ($key, v) => (|| {
                let map = $crate::json::codec::object_of(v, &[$($member),*])?;
                Ok($ty::$variant { $(
                    $field: $crate::json::codec::from!($crate::json::codec::member(map, $member) $(, $codec)?).map_err(|e| e.under($member))?,
                )* })
            })(),]
            [$($keys)* $key,] $($rest)*);
    };
    (@munch $form:ident $ty:ident [$($to:tt)*] [$($from:tt)*] [$($keys:tt)*]) => {
        impl $crate::json::codec::Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                $crate::json::codec::tagged!(@shape $form match self { $($to)* })
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                $crate::json::codec::tagged!(@read $form value [$($keys)*] |value: &serde_json::Value| {
                    let (key, inner) = $crate::json::codec::single(value)?;
                    let read: $crate::json::codec::Result<Self> = match (key, inner) {
                        $($from)*
                        (_, v) => return Err($crate::json::codec::bad(v, format!("a known key ({})", [$($keys)*].join(", "))).under(key)),
                    };
                    read.map_err(|e| e.under(key))
                })
            }
        }
    };
    (@shape tag $e:expr) => { $e };
    (@shape flat $e:expr) => { $crate::json::property::flatten($e) };
    (@read tag $v:ident [$($keys:tt)*] $read:expr) => { ($read)($v) };
    (@read flat $v:ident [$($keys:tt)*] $read:expr) => {{
        let tagged = $crate::json::property::unflatten($v, &[$($keys)*])?;
        ($read)(&tagged).map_err($crate::json::property::flat_place)
    }};
}
pub(crate) use tagged;

/// An enum without data as its name (`"name" | "name read too" = Variant`); numbers without a name as
/// hexadecimal strings.
macro_rules! names {
    ($ty:ident { $($name:literal $(| $other:literal)* = $variant:ident),* $(,)? } unknown $number:ty) => {
        impl $crate::json::codec::Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                match self {
                    $($ty::$variant => serde_json::Value::from($name),)*
                    $ty::Unknown(n) => $crate::json::codec::hex::to(n),
                }
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                match value.as_str() {
                    $(Some($name $(| $other)*) => Ok($ty::$variant),)*
                    _ => $crate::json::codec::unnamed::<$number>(value).map($ty::Unknown).map_err(|mut e| {
                        e.expected = format!("one of {}", [$($name),*].join(", "));
                        e
                    }),
                }
            }
        }
    };
}
pub(crate) use names;

/// A bitmap as an array of names; the bits without a name as one hexadecimal string.
macro_rules! bitmap {
    ($ty:ident($number:ty) { $($name:literal = $flag:ident),* $(,)? }) => {
        impl $crate::json::codec::Json for $ty {
            fn to_json(&self) -> serde_json::Value {
                let mut rest = self.bits();
                let mut out: Vec<serde_json::Value> = Vec::new();
                $(if self.contains($ty::$flag) {
                    rest &= !$ty::$flag.bits();
                    out.push($name.into());
                })*
                if rest != 0 {
                    out.push($crate::json::codec::hex::to(&rest));
                }
                out.into()
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                let expected = || $crate::json::codec::bad(value, format!("an array of {}", [$($name),*].join(", ")));
                if value.is_null() {
                    return Ok($ty::empty());
                }
                let mut bits = $ty::empty();
                for (i, v) in value.as_array().ok_or_else(expected)?.iter().enumerate() {
                    bits |= match v.as_str() {
                        $(Some($name) => $ty::$flag,)*
                        _ => $ty::from_bits_retain($crate::json::codec::unnamed::<$number>(v).map_err(|mut e| {
                            e.expected = format!("one of {}", [$($name),*].join(", "));
                            e.at(i)
                        })?),
                    };
                }
                Ok(bits)
            }
        }
    };
}
pub(crate) use bitmap;

/// Integers that are written as hexadecimal strings.
pub(crate) trait HexInt: Sized {
    fn to_hex(&self) -> Value;
    fn from_hex(value: &Value) -> Result<Self>;
}

/// A number where a name is expected: only with its prefix, so that a misspelt name isn't a number.
pub(crate) fn unnamed<T: HexInt>(value: &Value) -> Result<T> {
    match value {
        Value::String(s) if !s.starts_with("0x") => Err(bad(value, "a name")),
        _ => T::from_hex(value),
    }
}

macro_rules! integers {
    ($($ty:ty, $digits:literal;)*) => {$(
        impl HexInt for $ty {
            fn to_hex(&self) -> Value {
                format!("0x{:0width$x}", self, width = $digits).into()
            }
            fn from_hex(value: &Value) -> Result<Self> {
                let expected = || bad(value, concat!("a hexadecimal string of at most ", $digits, " digits"));
                match value {
                    Value::Number(_) => Self::from_json(value),
                    Value::String(s) => {
                        let digits = s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")).unwrap_or(s);
                        if digits.starts_with('+') {
                            return Err(expected());
                        }
                        <$ty>::from_str_radix(digits, 16).map_err(|_| expected())
                    }
                    _ => Err(expected()),
                }
            }
        }

        impl Json for $ty {
            fn to_json(&self) -> Value {
                (*self).into()
            }
            fn from_json(value: &Value) -> Result<Self> {
                let expected = || bad(value, format!("a number from 0 to {}", <$ty>::MAX));
                match value {
                    Value::Number(n) => {
                        n.as_u64().and_then(|n| <$ty>::try_from(n).ok()).ok_or_else(expected)
                    }
                    Value::String(s) => match s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")) {
                        Some(_) => Self::from_hex(value),
                        None => s.parse().map_err(|_| expected()),
                    },
                    _ => Err(expected()),
                }
            }
        }
    )*};
}

integers! {
    u8, 2;
    u16, 4;
    u32, 8;
    u64, 16;
}

/// Hexadecimal strings.
pub(crate) mod hex {
    use super::{HexInt, Result};
    use serde_json::Value;
    pub fn to<T: HexInt>(n: &T) -> Value {
        n.to_hex()
    }
    pub fn from<T: HexInt>(value: &Value) -> Result<T> {
        T::from_hex(value)
    }
}

/// Hexadecimal strings where there may be nothing.
pub(crate) mod hex_option {
    use super::{HexInt, Result};
    use serde_json::Value;
    pub fn to<T: HexInt>(n: &Option<T>) -> Value {
        n.as_ref().map_or(Value::Null, HexInt::to_hex)
    }
    pub fn from<T: HexInt>(value: &Value) -> Result<Option<T>> {
        if value.is_null() { Ok(None) } else { T::from_hex(value).map(Some) }
    }
}

/// A table number as a JSON number.
pub(crate) mod table_number {
    use super::{Json, Result};
    use crate::ids::TableId;
    use serde_json::Value;
    pub fn to(table: &TableId) -> Value {
        table.0.into()
    }
    pub fn from(value: &Value) -> Result<TableId> {
        TableId::from_json(value)
    }
}

/// The port of a statistics request, where `all` is `OFPP_ANY`.
pub(crate) mod port_or_all {
    use super::{HexInt, Json, Result};
    use crate::ids::PortNo;
    use serde_json::Value;
    pub fn to(port: &PortNo) -> Value {
        match *port {
            PortNo::ANY => "all".into(),
            // The name is taken.
            PortNo::ALL => PortNo::ALL.0.to_hex(),
            port => port.to_json(),
        }
    }
    pub fn from(value: &Value) -> Result<PortNo> {
        if value.as_str() == Some("all") { Ok(PortNo::ANY) } else { PortNo::from_json(value) }
    }
}

/// `OFPCML`: `"max"`, `"no_buffer"` or a hexadecimal string.
pub(crate) mod max_len {
    use super::{HexInt, Result};
    use serde_json::Value;
    pub fn to(n: &u16) -> Value {
        match n {
            0xffe5 => "max".into(),
            0xffff => "no_buffer".into(),
            n => n.to_hex(),
        }
    }
    pub fn from(value: &Value) -> Result<u16> {
        match value.as_str() {
            Some("max") => Ok(0xffe5),
            Some("no_buffer") => Ok(0xffff),
            _ if value.is_null() => Ok(0xffff),
            _ => u16::from_hex(value),
        }
    }
}

/// Pairs of packet and byte counters as objects.
pub(crate) mod counters {
    use super::{Json, Result, member, object_of, put};
    use serde_json::{Map, Value};
    pub fn to(list: &[(u64, u64)]) -> Value {
        list.iter()
            .map(|(packets, bytes)| {
                let mut map = Map::new();
                put(&mut map, "packet_count", (*packets).into());
                put(&mut map, "byte_count", (*bytes).into());
                Value::Object(map)
            })
            .collect::<Vec<_>>()
            .into()
    }
    pub fn from(value: &Value) -> Result<Vec<(u64, u64)>> {
        let keys = ["packet_count", "byte_count"];
        let list: &[Value] = if value.is_null() {
            &[]
        } else {
            value.as_array().ok_or_else(|| super::bad(value, "an array of counters"))?
        };
        list.iter()
            .enumerate()
            .map(|(i, v)| {
                let map = object_of(v, &keys).map_err(|e| e.at(i))?;
                let [p, b] = keys.map(|k| u64::from_json(member(map, k)).map_err(|e| e.under(k).at(i)));
                Ok((p?, b?))
            })
            .collect()
    }
}

/// An IPv6 address where there may be none.
pub(crate) mod ipv6 {
    use super::{Result, bad};
    use serde_json::Value;
    use std::net::Ipv6Addr;
    pub fn to(address: &Option<u128>) -> Value {
        address.map_or(Value::Null, |a| Ipv6Addr::from(a).to_string().into())
    }
    pub fn from(value: &Value) -> Result<Option<u128>> {
        if value.is_null() {
            return Ok(None);
        }
        let address = value.as_str().and_then(|s| s.parse::<Ipv6Addr>().ok());
        address.map(|a| Some(a.into())).ok_or_else(|| bad(value, "an IPv6 address"))
    }
}

/// A conntrack zone: a number or the bits of a field.
pub(crate) mod ct_zone {
    use super::Json;
    use crate::nicira::Subfield;
    use serde_json::Value;
    pub fn to(zone: &Result<u16, Subfield>) -> Value {
        match zone {
            Ok(n) => n.to_json(),
            Err(field) => field.to_json(),
        }
    }
    pub fn from(value: &Value) -> super::Result<Result<u16, Subfield>> {
        if value.is_object() { Subfield::from_json(value).map(Err) } else { u16::from_json(value).map(Ok) }
    }
}

/// The second learn form's limit and the bit where success is written.
pub(crate) mod learn_limit {
    use super::{Json, Result, member, object_of, put};
    use crate::nicira::Subfield;
    use serde_json::{Map, Value};
    pub fn to(limit: &Option<(u32, Option<Subfield>)>) -> Value {
        let Some((flows, dst)) = limit else { return Value::Null };
        let mut map = Map::new();
        put(&mut map, "flows", flows.to_json());
        put(&mut map, "result_dst", dst.to_json());
        Value::Object(map)
    }
    pub fn from(value: &Value) -> Result<Option<(u32, Option<Subfield>)>> {
        if value.is_null() {
            return Ok(None);
        }
        let map = object_of(value, &["flows", "result_dst"])?;
        let flows = u32::from_json(member(map, "flows")).map_err(|e| e.under("flows"))?;
        let dst = Option::<Subfield>::from_json(member(map, "result_dst")).map_err(|e| e.under("result_dst"))?;
        Ok(Some((flows, dst)))
    }
}
