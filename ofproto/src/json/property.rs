//! Properties: objects whose `type` is an enum and whose other members are that type's.

use super::JsonError;
use super::codec::{Json, Result, bad, hex, hex_option, member, object_of, put, single, wrap};
use crate::group::{ExperimenterProp, OtherProp, UnknownProp};
use bytes::Bytes;
use serde_json::{Map, Value};

/// `{"ethernet": {…}}` as `{"type": "ethernet", …}`. What is under `other` has its type already.
pub(crate) fn flatten(tagged: Value) -> Value {
    match single(&tagged) {
        Ok(("other", inner)) => inner.clone(),
        Ok((key, members)) => {
            let mut map = Map::new();
            map.insert("type".to_owned(), key.into());
            map.extend(members.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            map.into()
        }
        _ => tagged,
    }
}

/// The way back: the type is one of `keys`, or the property is another one.
pub(crate) fn unflatten(flat: &Value, keys: &[&str]) -> Result<Value> {
    let map = flat.as_object().ok_or_else(|| bad(flat, "an object with type"))?;
    let ty = member(map, "type");
    let name = ty.as_str().map(plain_name).unwrap_or_default();
    match keys.iter().find(|k| **k == name && **k != "other") {
        Some(key) => {
            let rest = map.iter().filter(|(k, _)| *k != "type");
            Ok(wrap(key, rest.map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>().into()))
        }
        None if name == "experimenter" || hex::from::<u16>(ty).is_ok() => Ok(wrap("other", flat.clone())),
        None => {
            let known: Vec<&str> = keys.iter().map(|k| if *k == "other" { "experimenter" } else { k }).collect();
            Err(bad(ty, format!("one of {}", known.join(", "))).under("type"))
        }
    }
}

/// The place of a fault, which is not inside a member named as the type is.
pub(crate) fn flat_place(mut e: JsonError) -> JsonError {
    e.path = e.path.split_once('.').map_or_else(String::new, |(_, rest)| rest.to_owned());
    e
}

/// The reference writes a type as `ethernet`, `ETHERNET` and `OFPPSPT_ETHERNET`.
fn plain_name(name: &str) -> String {
    let bare = name.strip_prefix("OFP").and_then(|n| n.split_once('_')).map_or(name, |(_, rest)| rest);
    bare.to_ascii_lowercase()
}

const EXPERIMENTER: u16 = 0xffff;

impl Json for OtherProp {
    fn to_json(&self) -> Value {
        match self {
            Self::Experimenter(p) => {
                let mut map = Map::new();
                let ty = if p.ty == EXPERIMENTER { "experimenter".into() } else { hex::to(&p.ty) };
                put(&mut map, "type", ty);
                put(&mut map, "exp_id", p.experimenter.to_json());
                put(&mut map, "exp_type", hex::to(&p.exp_type));
                put(&mut map, "exp_data", p.data.to_json());
                map.into()
            }
            Self::Unknown(p) => p.to_json(),
        }
    }

    fn from_json(value: &Value) -> Result<Self> {
        if value.get("data").is_some() {
            return UnknownProp::from_json(value).map(Self::Unknown);
        }
        let map = object_of(value, &["type", "exp_id", "exp_type", "exp_data"])?;
        let get = |key| member(map, key);
        let ty = get("type");
        Ok(Self::Experimenter(ExperimenterProp {
            ty: if ty.as_str().is_some_and(|t| plain_name(t) == "experimenter") {
                EXPERIMENTER
            } else {
                hex::from(ty).map_err(|e| e.under("type"))?
            },
            experimenter: Json::from_json(get("exp_id")).map_err(|e| e.under("exp_id"))?,
            exp_type: hex_option::from(get("exp_type")).map_err(|e| e.under("exp_type"))?.unwrap_or(0),
            data: Bytes::from_json(get("exp_data")).map_err(|e| e.under("exp_data"))?,
        }))
    }
}
