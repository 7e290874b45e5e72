//! `encap` and `decap`: what is put before a packet, and the properties of an NSH header.
//!
//! A property is class, type and length (two bytes, one, one), then its bytes, padded to eight. Of those
//! that Open vSwitch knows, both of NSH, the syntax has names; others are written as they are.

use super::matching::write_hex;
use super::scan::{Item, Src};
use super::{TextError, TextErrorKind};
use bytes::Bytes;
use std::fmt;

/// What `encap` can name: namespace and type.
pub(super) const TYPES: [(&str, u32); 4] =
    [("ethernet", 0), ("mpls", 0x1_8847), ("mpls_mc", 0x1_8848), ("nsh", 0x1_894f)];

/// `OFPPPC_NSH`
const NSH: [u8; 2] = [0, 4];
/// `OFPPPT_PROP_NSH_MDTYPE`: its length is that of what precedes the padding.
const MD_TYPE: u8 = 1;
/// `OFPPPT_PROP_NSH_TLV`: class, type, length, data padded to eight.
const TLV: u8 = 2;

/// A property that has a name.
enum Property<'a> {
    MdType(u8),
    Tlv { class: u16, ty: u8, data: &'a [u8] },
}

/// Writes a property with its padding.
fn encode(out: &mut Vec<u8>, property: &Property<'_>) {
    out.extend(NSH);
    match property {
        Property::MdType(n) => out.extend([MD_TYPE, 5, *n, 0, 0, 0]),
        Property::Tlv { class, ty, data } => {
            let padded = data.len().next_multiple_of(8);
            // The parser takes no more data than fit.
            let (length, own) = (u8::try_from(8 + padded).unwrap_or(0), u8::try_from(data.len()).unwrap_or(0));
            out.extend([TLV, length]);
            out.extend(class.to_be_bytes());
            out.extend([*ty, own]);
            out.extend(*data);
            out.resize(out.len() + padded - data.len(), 0);
        }
    }
}

/// The properties by name, if those are all there are and they are written as [`encode`] writes them.
fn decode(bytes: &[u8]) -> Option<Vec<Property<'_>>> {
    let (mut rest, mut out, mut again) = (bytes, Vec::new(), Vec::new());
    while let [a, b, ty, length, ..] = rest {
        let size = usize::from(*length).next_multiple_of(8);
        if [*a, *b] != NSH || size > rest.len() || size < 8 {
            return None;
        }
        let (property, after) = rest.split_at(size);
        out.push(match (ty, property) {
            (&MD_TYPE, [_, _, _, _, n @ 1..=2, ..]) => Property::MdType(*n),
            (&TLV, [_, _, _, _, hi, lo, ty, length, data @ ..]) => {
                Property::Tlv { class: u16::from_be_bytes([*hi, *lo]), ty: *ty, data: data.get(..(*length).into())? }
            }
            _ => return None,
        });
        rest = after;
    }
    out.iter().for_each(|p| encode(&mut again, p));
    (again == bytes).then_some(out)
}

/// Reads `md_type=1,tlv(0x1000,10,0x12345678)`.
pub(super) fn parse_properties(text: Src<'_>) -> Result<Bytes, TextError> {
    let mut out = Vec::new();
    for part in text.items() {
        let part: Item<'_> = part?;
        match part.key.s {
            "md_type" => match part.need("1 or 2")?.u8()? {
                n @ 1..=2 => encode(&mut out, &Property::MdType(n)),
                _ => return Err(part.value.err(TextErrorKind::OutOfRange, "1 or 2")),
            },
            "tlv" => {
                let args = part.value.args()?;
                let [class, ty, data] = args[..] else { return Err(part.all.missing("class, type and value")) };
                let hex = if data.s.starts_with("0x") { data.from(2) } else { data };
                let bytes = hex.hex_bytes()?;
                if bytes.len() > 240 {
                    return Err(data.err(TextErrorKind::OutOfRange, "240 bytes at most"));
                }
                encode(&mut out, &Property::Tlv { class: class.u16()?, ty: ty.u8()?, data: &bytes });
            }
            _ => return Err(part.unknown("md_type or tlv")),
        }
    }
    Ok(out.into())
}

/// Writes an `encap`.
pub(super) fn write(f: &mut fmt::Formatter<'_>, hdr_size: u16, packet_type: u32, properties: &[u8]) -> fmt::Result {
    let name = TYPES.iter().find(|(_, t)| *t == packet_type).map(|(n, _)| *n);
    let known = decode(properties).filter(|list| list.is_empty() || name == Some("nsh"));
    if let (0, Some(name), Some(list)) = (hdr_size, name, known) {
        write!(f, "encap({name}")?;
        for (i, property) in list.iter().enumerate() {
            f.write_str(if i == 0 { "(" } else { "," })?;
            match property {
                Property::MdType(n) => write!(f, "md_type={n}")?,
                Property::Tlv { class, ty, data } => {
                    write!(f, "tlv({class:#06x},{ty},0x")?;
                    write_hex(f, data)?;
                    f.write_str(")")?;
                }
            }
        }
        return f.write_str(if list.is_empty() { ")" } else { "))" });
    }
    write!(f, "encap(hdr_size={hdr_size},packet_type=({},{:#x})", packet_type >> 16, packet_type & 0xffff)?;
    if !properties.is_empty() {
        f.write_str(",properties=")?;
        write_hex(f, properties)?;
    }
    f.write_str(")")
}

#[cfg(test)]
mod tests {
    use crate::action::Action;
    use crate::nicira::NxAction;
    use crate::text::{ActionsText, ParseContext, parse_actions};
    use crate::version::Version;

    fn both_ways(text: &str, expected: &[u8]) {
        let list = parse_actions(text, &ParseContext::new(Version::V13)).expect(text);
        let [Action::Nicira(NxAction::Encap { hdr_size: 0, packet_type: 0x1_894f, properties })] = &list[..] else {
            panic!("{list:?}");
        };
        assert_eq!(&properties[..], expected);
        assert_eq!(ActionsText(&list).to_string(), text);
    }

    #[test]
    fn an_nsh_header_s_properties_have_names() {
        both_ways("encap(nsh)", &[]);
        both_ways("encap(nsh(md_type=1))", &[0, 4, 1, 5, 1, 0, 0, 0]);
        let tlv = [0, 4, 2, 16, 0x10, 0, 10, 4, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0];
        both_ways("encap(nsh(tlv(0x1000,10,0x12345678)))", &tlv);
        let both: Vec<u8> = [0, 4, 1, 5, 2, 0, 0, 0].into_iter().chain(tlv).collect();
        both_ways("encap(nsh(md_type=2,tlv(0x1000,10,0x12345678)))", &both);
    }

    #[test]
    fn what_has_no_name_is_written_in_hexadecimal() {
        for bytes in [&[0, 4, 1, 8, 1, 0, 0, 0][..], &[0, 4, 3, 8, 1, 0, 0, 0], &[0, 4, 2], &[0, 4, 1, 0, 0, 0, 0, 0]] {
            let action = NxAction::Encap { hdr_size: 0, packet_type: 0x1_894f, properties: bytes.to_vec().into() };
            let list = vec![Action::Nicira(action)];
            let text = ActionsText(&list).to_string();
            assert!(text.contains("properties="), "{text}");
            assert_eq!(parse_actions(&text, &ParseContext::new(Version::V13)), Ok(list));
        }
    }

    #[test]
    fn faults_are_found() {
        for text in [
            "encap(nsh(md_type))",
            "encap(nsh(md_type=3))",
            "encap(nsh(tlv(1,2)))",
            "encap(nsh(x=1))",
            "encap(nsh(tlv(1,2,0xzz)))",
        ] {
            assert!(parse_actions(text, &ParseContext::new(Version::V13)).is_err(), "{text}");
        }
    }
}
