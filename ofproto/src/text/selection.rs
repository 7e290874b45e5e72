//! How a select group chooses, as text: `selection_method=hash,selection_method_param=1,fields(ip_src,tcp_dst=0xff)`.

use super::matching::{parse_unknown, write_unknown};
use super::names::{field_by_any_name, field_text_name};
use super::scan::{Item, Sep, Src};
use super::value::{format_value, parse_value};
use super::{ParseContext, TextError, TextErrorKind};
use crate::field::FieldId;
use crate::group::{MethodName, SelectionMethod};
use crate::matching::{Match, MatchField};
use std::fmt::{self, Write as _};

/// What a field without a mask stands for.
fn whole(id: FieldId) -> u128 {
    id.info().all_ones_of_bytes()
}

/// Collects what a group's text says of the choice.
#[derive(Default)]
pub(super) struct Selecting<'a> {
    method: Option<MethodName>,
    param: Option<(u64, Src<'a>)>,
    fields: Match,
    fields_at: Option<Src<'a>>,
}

impl<'a> Selecting<'a> {
    /// Takes `item` if it is about the choice.
    pub fn accept(&mut self, item: &Item<'a>) -> Result<bool, TextError> {
        match item.key.s {
            "selection_method" => {
                let value = item.need("a method")?;
                // Others are printed in a form that isn't read.
                let name = MethodName::new(value.s).filter(|_| value.s.bytes().all(|b| b.is_ascii_graphic()));
                self.method = Some(name.ok_or_else(|| value.bad("a method of at most 15 characters of ASCII"))?);
            }
            "selection_method_param" => {
                let value = item.need("a number")?;
                self.param = Some((value.u64()?, value));
            }
            "fields" => {
                self.fields_at = Some(item.all);
                for part in item.need("a field")?.items() {
                    self.field(&part?)?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn field(&mut self, item: &Item<'a>) -> Result<(), TextError> {
        if item.key.s == "oxm" && item.sep == Sep::Paren {
            self.fields.unknown.push((self.fields.fields.len(), parse_unknown(item)?));
            return Ok(());
        }
        let Some((id, code)) = field_by_any_name(item.key.s) else { return Err(item.unknown("a match field")) };
        if self.fields.get(id).is_some() {
            return Err(item.all.err(TextErrorKind::Duplicate, format!("{} once", item.key.s)));
        }
        let value = match item.sep {
            Sep::None => whole(id),
            _ => match parse_value(id, item.need("a mask")?, &ParseContext::default())? {
                Some((mask, None)) if mask != 0 => mask,
                _ => return Err(item.value.bad("the bits that count, at least one")),
            },
        };
        self.fields.fields.push(MatchField { code, ..MatchField::exact(id, value) });
        Ok(())
    }

    /// What was said, if anything.
    pub fn finish(self) -> Result<Option<SelectionMethod>, TextError> {
        let Some(method) = self.method else {
            return match self.fields_at.or(self.param.map(|(_, at)| at)) {
                Some(at) => Err(at.missing("selection_method=…")),
                None => Ok(None),
            };
        };
        if let Some(at) = self.fields_at.filter(|_| method != MethodName::HASH) {
            return Err(at.err(TextErrorKind::Unknown, "fields with selection_method=hash only"));
        }
        let param = self.param.map_or(0, |(n, _)| n);
        Ok(Some(SelectionMethod { param, fields: self.fields, ..SelectionMethod::new(method) }))
    }
}

/// Prints it as ovs-ofctl does, but for the order of the fields, which is the message's.
pub(super) fn write(f: &mut fmt::Formatter<'_>, s: &SelectionMethod) -> fmt::Result {
    let name = s.method.text().unwrap_or(&s.method.0);
    f.write_str("selection_method=")?;
    for &b in name {
        if b.is_ascii_graphic() { f.write_char(b.into())? } else { write!(f, "\\x{b:02x}")? }
    }
    if s.param != 0 {
        write!(f, ",selection_method_param={}", s.param)?;
    }
    let many = match s.fields.fields.len() + s.fields.unknown.len() {
        0 => return Ok(()),
        1 => false,
        _ => true,
    };
    f.write_str(if many { ",fields(" } else { ",fields=" })?;
    let mut sep = "";
    let mut unknown = s.fields.unknown.iter().peekable();
    for (i, field) in s.fields.fields.iter().enumerate() {
        while let Some((_, u)) = unknown.next_if(|(at, _)| *at <= i) {
            write!(f, "{sep}oxm(")?;
            write_unknown(f, u)?;
            f.write_str(")")?;
            sep = ",";
        }
        write!(f, "{sep}{}", field_text_name(field.id))?;
        if field.value != whole(field.id) || field.mask.is_some() {
            write!(f, "={}", format_value(field.id, field.value, field.mask))?;
        }
        sep = ",";
    }
    for (_, u) in unknown {
        write!(f, "{sep}oxm(")?;
        write_unknown(f, u)?;
        f.write_str(")")?;
        sep = ",";
    }
    f.write_str(if many { ")" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{GroupModCommand, GroupProp};
    use crate::text::{GroupModText, parse_group_mod};
    use crate::version::Version;

    fn group(text: &str) -> Result<crate::group::GroupMod, TextError> {
        let ctx = ParseContext { version: Version::V15, ..ParseContext::default() };
        parse_group_mod(text, GroupModCommand::Add, &ctx)
    }

    #[test]
    fn reads_and_prints_what_ovs_ofctl_does() {
        for choice in [
            "selection_method=dp_hash",
            "selection_method=dp_hash,selection_method_param=4294967296",
            "selection_method=hash,selection_method_param=7,fields=ip_src",
            "selection_method=hash,fields(tun_id,metadata=0xff,in_port,reg0=0xff,eth_src=ff:ff:00:00:00:00,eth_type,\
             vlan_vid,vlan_pcp,ip_src,ip_dst=255.255.0.0,ipv6_label,nw_proto,ip_dscp,nw_ttl,tcp_src,nd_sll)",
            "selection_method=hash,fields=tcp_dst=255",
        ] {
            let text = format!("add group_id=1,type=select,{choice},bucket=bucket_id:0,actions=output:1");
            assert_eq!(GroupModText(&group(&text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_field_alone_means_all_of_its_bytes() {
        let m = group("group_id=1,type=select,selection_method=hash,fields(vlan_vid,ipv6_src)").unwrap();
        let [GroupProp::Selection(s)] = &m.properties[..] else { panic!("{m:?}") };
        assert_eq!(s.fields.fields[0].value, 0xffff);
        assert_eq!(s.fields.fields[1].value, u128::MAX);
    }

    #[test]
    fn refuses_what_says_nothing() {
        for (choice, expected) in [
            ("selection_method=longer_than_15_bytes", "at most 15"),
            ("selection_method_param=1", "selection_method"),
            ("fields=ip_src", "selection_method"),
            ("selection_method=dp_hash,fields=ip_src", "hash only"),
            ("selection_method=hash,fields=ip_src=0.0.0.0", "at least one"),
            ("selection_method=hash,fields(ip_src,ip_src)", "once"),
            ("selection_method=hash,fields=nonsense", "a match field"),
        ] {
            let e = group(&format!("group_id=1,type=select,{choice},bucket=output:1")).unwrap_err();
            assert!(e.expected.contains(expected), "{choice}: {e}");
        }
    }

    #[test]
    fn a_method_of_any_characters_comes_back() {
        use crate::group::GroupModCommand;
        let ctx = ParseContext::new(crate::Version::V15);
        let read = |text: &str| crate::text::parse_group_mod(text, GroupModCommand::Add, &ctx);
        let printer = crate::text::Printer { version: crate::Version::V15, ports: &() };
        let odd = read("group_id=1,type=select,selection_method=Ya\\'^/d").expect("a name");
        let printed = printer.group_mod(&odd).to_string();
        assert_eq!(read(printed.trim_start_matches("add ")).map_err(|e| e.to_string()), Ok(odd), "{printed}");
        assert!(read("group_id=1,type=select,selection_method=\u{e9}").is_err());
    }
}
