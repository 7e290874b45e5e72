//! `tun_metadata0=0x12/0xff`, and what these fields stand for: `{class=0xffff,type=0,len=4}->tun_metadata0`.

use super::scan::{Item, Sep, Src};
use super::{TextError, TextErrorKind};
use crate::matching::UnknownField;
use crate::nx_message::TlvMap;
use std::fmt;

/// n, if `name` is that of `tun_metadata` n.
pub(super) fn field_named(name: &str) -> Option<u8> {
    let n = name.strip_prefix("tun_metadata").or_else(|| name.strip_prefix("NXM_NX_TUN_METADATA"))?;
    let digits = n.bytes().all(|b| b.is_ascii_digit()) && (n == "0" || !n.starts_with('0'));
    n.parse().ok().filter(|n| digits && *n < UnknownField::TUN_METADATA_FIELDS)
}

/// The bytes of a number that don't begin with zero.
fn bytes(src: Src<'_>) -> Result<Vec<u8>, TextError> {
    let t = src.trim();
    let bytes = match t.strip_prefix("0x").or_else(|| t.strip_prefix("0X")) {
        Some(hex) if hex.s.len() % 2 == 1 => Src { s: &format!("0{}", hex.s), at: hex.at }.hex_bytes()?,
        Some(hex) => hex.hex_bytes()?,
        None => t.number()?.to_be_bytes().to_vec(),
    };
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    if bytes.len() > 124 {
        return Err(t.err(TextErrorKind::OutOfRange, "at most 124 bytes"));
    }
    Ok(bytes.to_vec())
}

fn stretched(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len.saturating_sub(bytes.len())];
    out.extend_from_slice(bytes);
    out
}

/// Reads a value and perhaps a mask: as few bytes as they need.
pub(super) fn value(n: u8, src: Src<'_>) -> Result<UnknownField, TextError> {
    let (value, mask) = match src.split_once("/") {
        Some((value, mask)) => (bytes(value)?, Some(bytes(mask)?)),
        None => (bytes(src)?, None),
    };
    let len = mask.as_ref().map_or(value.len(), |m| m.len().max(value.len()));
    let mask = mask.map(|m| stretched(&m, len));
    let mut value = stretched(&value, len);
    if let Some(mask) = &mask {
        value.iter_mut().zip(mask).for_each(|(v, m)| *v &= m);
    }
    let field = UnknownField::of_tun_metadata(n, &value, mask.as_deref());
    field.ok_or_else(|| src.bad("a value of at most 124 bytes"))
}

/// Reads an item of a match; `None` if it is about something else. Without a value: the option is there.
pub(super) fn item(item: &Item<'_>) -> Result<Option<UnknownField>, TextError> {
    let Some(n) = field_named(item.key.s) else { return Ok(None) };
    match item.sep {
        Sep::None => Ok(UnknownField::of_tun_metadata(n, &[], Some(&[]))),
        Sep::Equals => value(n, item.need("a value")?).map(Some),
        _ => Ok(None),
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.0.iter().position(|b| *b != 0) else { return f.write_str("0") };
        let mut rest = self.0.iter().skip(at);
        if let Some(first) = rest.next() {
            write!(f, "{first:#x}")?;
        }
        rest.try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// The parts of such a field that can be printed: its number, value and mask.
pub(super) fn parts(u: &UnknownField) -> Option<(u8, impl fmt::Display, Option<impl fmt::Display>)> {
    let n = u.tun_metadata()?;
    if !u.has_mask {
        return Some((n, Hex(&u.payload), None));
    }
    if !u.payload.len().is_multiple_of(2) {
        return None;
    }
    let (value, mask) = u.payload.split_at(u.payload.len() / 2);
    Some((n, Hex(value), Some(Hex(mask))))
}

/// Prints a match's field not known.
pub(super) fn write(f: &mut fmt::Formatter<'_>, u: &UnknownField) -> fmt::Result {
    match parts(u) {
        Some((n, _, Some(mask))) if mask.to_string() == "0" => write!(f, "tun_metadata{n}"),
        Some((n, value, Some(mask))) => write!(f, "tun_metadata{n}={value}/{mask}"),
        Some((n, value, None)) => write!(f, "tun_metadata{n}={value}"),
        None => {
            f.write_str("oxm(")?;
            super::matching::write_unknown(f, u)?;
            f.write_str(")")
        }
    }
}

/// Reads what fields stand for: `{class=0xffff,type=0,len=4}->tun_metadata0`, several behind each other or with commas.
///
/// # Errors
/// Another form, or numbers out of range.
pub fn parse_tlv_maps(text: &str) -> Result<Vec<TlvMap>, TextError> {
    let mut rest = Src::new(text).trim();
    let mut maps = Vec::new();
    while !rest.is_empty() {
        let expected = "{class=…,type=…,len=…}->tun_metadata…";
        let inner = rest.strip_prefix("{").ok_or_else(|| rest.bad(expected))?;
        let (option, after) = inner.split_once("}->").ok_or_else(|| rest.bad(expected))?;
        let mut map = TlvMap::default();
        for part in option.items() {
            let part = part?;
            match part.key.s {
                "class" => map.class = part.need("a number")?.u16()?,
                "type" => map.ty = part.need("a number")?.u8()?,
                "len" => map.len = part.need("a number")?.u8()?,
                _ => return Err(part.unknown("class, type or len")),
            }
        }
        let end = after.s.find([',', '{']).unwrap_or(after.s.len());
        let name = after.slice(0, end).trim();
        map.index = field_named(name.s).ok_or_else(|| name.bad("tun_metadata0 to tun_metadata63"))?.into();
        maps.push(map);
        let next = after.from(end);
        rest = next.strip_prefix(",").unwrap_or(next).trim();
    }
    Ok(maps)
}

/// Prints what fields stand for, as ovs-ofctl does.
pub fn tlv_table(max_option_space: u32, max_fields: u16, maps: &[TlvMap]) -> String {
    use fmt::Write as _;
    let allocated: u32 = maps.iter().map(|m| u32::from(m.len)).sum();
    let mut out = format!(
        " max option space={max_option_space} max fields={max_fields}\n allocated option space={allocated}\n\n \
         mapping table:\n  class  type  length  match field\n ------  ----  ------  --------------"
    );
    for m in maps {
        let hex = |n: u16| if n == 0 { "0".to_owned() } else { format!("{n:#x}") };
        let (class, ty) = (hex(m.class), hex(m.ty.into()));
        let _ = write!(out, "\n {class:>6}  {ty:>4}  {:>6}  tun_metadata{}", m.len, m.index);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{MatchText, ParseContext, parse_match};

    #[test]
    fn prints_as_ovs_ofctl_and_takes_as_few_bytes() {
        let ctx = ParseContext::default();
        // The bytes are those of ovs-ofctl's flow-mods.
        for (text, printed, has_mask, payload) in [
            ("tun_metadata0=0x12", "tun_metadata0=0x12", false, &[0x12][..]),
            ("tun_metadata0=5", "tun_metadata0=0x5", false, &[5]),
            ("tun_metadata1", "tun_metadata1", true, &[]),
            ("tun_metadata1=0", "tun_metadata1=0", false, &[]),
            (
                "tun_metadata63=0x112233445566/0xff00ff00ff00ff",
                "tun_metadata63=0x2200440066/0xff00ff00ff00ff",
                true,
                &[0, 0, 0x22, 0, 0x44, 0, 0x66, 0xff, 0, 0xff, 0, 0xff, 0, 0xff],
            ),
        ] {
            let m = parse_match(text, &ctx).unwrap();
            let (_, u) = &m.unknown[0];
            assert_eq!((u.has_mask, &u.payload[..]), (has_mask, payload), "{text}");
            assert_eq!(MatchText(&m).to_string(), printed);
            assert_eq!(parse_match(printed, &ctx).unwrap(), m);
        }
        let longest = format!("tun_metadata7=0x{}", "ab".repeat(124));
        assert_eq!(MatchText(&parse_match(&longest, &ctx).unwrap()).to_string(), longest);
        for wrong in ["tun_metadata64=1", "tun_metadata01=1", "tun_metadata0=0xfg", "tun_metadata0=1,tun_metadata0=2"] {
            assert!(parse_match(wrong, &ctx).is_err(), "{wrong}");
        }
        assert!(parse_match(&format!("{longest}00"), &ctx).is_err());
    }

    #[test]
    fn reads_tables_and_prints_them_as_ovs_ofctl() {
        let maps =
            parse_tlv_maps("{class=0xffff,type=0,len=4}->tun_metadata0,{class=1,type=0x80,len=124}->tun_metadata63");
        let maps = maps.unwrap();
        let one = TlvMap { class: 1, ty: 0x80, len: 124, index: 63 };
        assert_eq!(maps, [TlvMap { class: 0xffff, ty: 0, len: 4, index: 0 }, one]);
        assert_eq!(
            tlv_table(256, 64, &maps),
            " max option space=256 max fields=64\n allocated option space=128\n\n mapping table:\n  class  type  length  \
             match field\n ------  ----  ------  --------------\n 0xffff     0       4  tun_metadata0\n    0x1  0x80     124  \
             tun_metadata63"
        );
        for wrong in [
            "class=1",
            "{class=1}",
            "{class=1}->tun_metadata64",
            "{clas=1}->tun_metadata0",
            "{class=65536}->tun_metadata0",
        ] {
            assert!(parse_tlv_maps(wrong).is_err(), "{wrong}");
        }
    }
}
