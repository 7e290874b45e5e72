//! Forms of numbers with names, bytes, addresses and containers.

use super::codec::{HexInt, Json, Result, bad};
use crate::ids::{
    BucketId, BufferId, BundleId, Cookie, Dpid, ExperimenterId, GroupId, MacAddr, MeterId, MonitorId, PortNo, QueueId,
    TableId, Xid,
};
use bytes::Bytes;
use serde_json::Value;

macro_rules! ids {
    ($($ty:ident($inner:ty) { $($name:literal = $value:expr),* $(,)? };)*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                $(if *self == $value {
                    return $name.into();
                })*
                self.0.to_hex()
            }
            fn from_json(value: &Value) -> Result<Self> {
                $(if value.as_str() == Some($name) {
                    return Ok($value);
                })*
                <$inner>::from_hex(value).map($ty)
            }
        }
    )*};
}

ids! {
    Xid(u32) {};
    Dpid(u64) {};
    Cookie(u64) {};
    ExperimenterId(u32) {};
    BundleId(u32) {};
    MonitorId(u32) {};
    TableId(u8) { "all" = TableId::ALL };
    GroupId(u32) { "max" = GroupId::MAX, "all" = GroupId::ALL, "any" = GroupId::ANY };
    MeterId(u32) { "max" = MeterId::MAX, "slowpath" = MeterId::SLOWPATH, "controller" = MeterId::CONTROLLER, "all" = MeterId::ALL };
    QueueId(u32) { "all" = QueueId::ALL };
    BufferId(u32) { "no_buffer" = BufferId::NONE };
    BucketId(u32) { "max" = BucketId::MAX, "first" = BucketId::FIRST, "last" = BucketId::LAST, "all" = BucketId::ALL };
    PortNo(u32) {
        "max" = PortNo::MAX, "unset" = PortNo::UNSET, "in_port" = PortNo::IN_PORT, "table" = PortNo::TABLE,
        "normal" = PortNo::NORMAL, "flood" = PortNo::FLOOD, "all" = PortNo::ALL, "controller" = PortNo::CONTROLLER,
        "local" = PortNo::LOCAL, "any" = PortNo::ANY,
    };
}

impl Json for bool {
    fn to_json(&self) -> Value {
        (*self).into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        if value.is_null() { Ok(false) } else { value.as_bool().ok_or_else(|| bad(value, "true or false")) }
    }
}

impl Json for i32 {
    fn to_json(&self) -> Value {
        (*self).into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        value.as_i64().and_then(|n| n.try_into().ok()).ok_or_else(|| bad(value, "a number of 32 bits with a sign"))
    }
}

impl Json for String {
    fn to_json(&self) -> Value {
        self.as_str().into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        value.as_str().map(str::to_owned).ok_or_else(|| bad(value, "a string"))
    }
}

impl Json for MacAddr {
    fn to_json(&self) -> Value {
        self.to_string().into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        let expected = || bad(value, "an Ethernet address (xx:xx:xx:xx:xx:xx)");
        let mut out = [0; 6];
        let mut parts = value.as_str().ok_or_else(expected)?.split(':');
        for byte in &mut out {
            let part =
                parts.next().filter(|p| (1..=2).contains(&p.len()) && !p.starts_with('+')).ok_or_else(expected)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| expected())?;
        }
        if parts.next().is_some() { Err(expected()) } else { Ok(Self(out)) }
    }
}

impl Json for Bytes {
    fn to_json(&self) -> Value {
        let mut out = String::with_capacity(2 + 2 * self.len());
        out.push_str("0x");
        for b in self {
            for digit in [b >> 4, b & 15] {
                out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        out.into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        let expected = || bad(value, "bytes: a hexadecimal string or an array of numbers from 0 to 255");
        match value {
            Value::Null => Ok(Self::new()),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(i, v)| u8::from_json(v).map_err(|e| e.at(i)))
                .collect::<Result<Vec<u8>>>()
                .map(Self::from),
            Value::String(s) => {
                let digits = s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")).unwrap_or(s).as_bytes();
                let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(expected);
                let (pairs, rest) = digits.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(expected());
                }
                let bytes = pairs.iter().map(|[h, l]| Ok((digit(*h)? << 4 | digit(*l)?) as u8));
                bytes.collect::<Result<Vec<u8>>>().map(Self::from)
            }
            _ => Err(expected()),
        }
    }
}

impl<T: Json> Json for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Json::to_json)
    }
    fn from_json(value: &Value) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }
}

impl<T: Json> Json for Box<T> {
    fn to_json(&self) -> Value {
        (**self).to_json()
    }
    fn from_json(value: &Value) -> Result<Self> {
        T::from_json(value).map(Self::new)
    }
}

/// Implements lists of a type; lists of actions and instructions have forms of their own.
macro_rules! list {
    ($($ty:ty),* $(,)?) => {$(
        impl $crate::json::codec::Json for Vec<$ty> {
            fn to_json(&self) -> serde_json::Value {
                self.iter().map($crate::json::codec::Json::to_json).collect::<Vec<_>>().into()
            }
            fn from_json(value: &serde_json::Value) -> $crate::json::codec::Result<Self> {
                if value.is_null() {
                    return Ok(Vec::new());
                }
                let list = value.as_array().ok_or_else(|| $crate::json::codec::bad(value, "an array"))?;
                list.iter().enumerate().map(|(i, v)| <$ty>::from_json(v).map_err(|e| e.at(i))).collect()
            }
        }
    )*};
}
pub(crate) use list;

list!(u16, u32, PortNo, TableId);

impl<A: Json, B: Json> Json for (A, B) {
    fn to_json(&self) -> Value {
        vec![self.0.to_json(), self.1.to_json()].into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        match value.as_array().map(Vec::as_slice) {
            Some([a, b]) => Ok((A::from_json(a).map_err(|e| e.at(0))?, B::from_json(b).map_err(|e| e.at(1))?)),
            _ => Err(bad(value, "an array of two")),
        }
    }
}

impl<const N: usize> Json for [u32; N] {
    fn to_json(&self) -> Value {
        self.iter().map(Json::to_json).collect::<Vec<_>>().into()
    }
    fn from_json(value: &Value) -> Result<Self> {
        let list = Vec::<u32>::from_json(value)?;
        list.try_into().map_err(|_| bad(value, format!("an array of {N} numbers")))
    }
}
