//! What 1.0 to 1.2 say of tables in their statistics, told from the table-features of 1.3 and later, which the
//! datapath's control keeps.

use datapath::control::Control;
use ofproto::Version;
use ofproto::field::{Code, FIELDS, FieldId};
use ofproto::matching::OxmId;
use ofproto::table::{FeatureId, LegacyTable, TableConfig, TableFeatureProp, TableFeatures, TableStats};

/// `OFPIT_CLEAR_ACTIONS`: 1.2's last instruction.
const LAST_INSTRUCTION: u16 = 5;

/// The last action with a number of its own in 1.1 and 1.2: `OFPAT_DEC_NW_TTL`, `OFPAT_SET_FIELD`.
fn last_action(version: Version) -> u16 {
    if version <= Version::V11 { 24 } else { 25 }
}

/// Wire types of the actions that a version has and this switch does (`OFPAT_*`), 1.2 and later.
fn actions(version: Version) -> Vec<u16> {
    let mut types = vec![0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25];
    if version >= Version::V13 {
        types.extend([26, 27]);
    }
    if version >= Version::V15 {
        types.extend([28, 29]);
    }
    types
}

/// The actions that buckets may hold, as group-features' bitmap.
pub fn group_actions(version: Version) -> u32 {
    actions(version).into_iter().filter(|t| *t < 32).fold(0, |bits, t| bits | 1 << t)
}

/// 1.1's set-field actions by number, with the field that each sets; the other actions have the numbers of
/// later versions.
const SETTERS_11: [(u32, FieldId); 12] = [
    (1, FieldId::VlanVid),
    (2, FieldId::VlanPcp),
    (3, FieldId::EthSrc),
    (4, FieldId::EthDst),
    (5, FieldId::Ipv4Src),
    (6, FieldId::Ipv4Dst),
    (7, FieldId::IpDscp),
    (8, FieldId::IpEcn),
    (9, FieldId::TcpSrc),
    (10, FieldId::TcpDst),
    (13, FieldId::MplsLabel),
    (14, FieldId::MplsTc),
];

/// 1.1's fields by their `OFPFMF_*` bit.
const FIELDS_11: [FieldId; 10] = [
    FieldId::InPort,
    FieldId::VlanVid,
    FieldId::VlanPcp,
    FieldId::EthType,
    FieldId::IpDscp,
    FieldId::IpProto,
    FieldId::TcpSrc,
    FieldId::TcpDst,
    FieldId::MplsLabel,
    FieldId::MplsTc,
];

/// `OFPFW_ALL` of 1.0: anything may be left out.
const WILDCARDS_10: u64 = (1 << 22) - 1;

/// The fields among `ids`, as 1.2 and 1.1 number them.
fn field_bits(version: Version, ids: &[OxmId]) -> u64 {
    let has = |field: FieldId| ids.iter().any(|id| id.field == Ok(field));
    if version == Version::V11 {
        return FIELDS_11.iter().enumerate().filter(|(_, f)| has(**f)).fold(0, |bits, (n, _)| bits | 1 << n);
    }
    FIELDS.iter().filter(|f| f.since <= version && has(f.id)).fold(0, |bits, f| match f.codes.first() {
        Some(Code::Oxm(n)) => bits | 1 << n,
        _ => bits,
    })
}

/// The types among `ids`, up to `last`.
fn type_bits(ids: &[FeatureId], last: u16) -> u32 {
    ids.iter().filter(|i| i.ty <= last).fold(0, |bits, i| bits | 1 << i.ty)
}

/// What a table does, in the words of 1.0 to 1.2; it follows what a controller of a later version made of it.
fn legacy(version: Version, f: &TableFeatures, config: (u32, u32)) -> LegacyTable {
    let mut t = LegacyTable {
        name: f.name.clone(),
        metadata_match: f.metadata_match,
        metadata_write: f.metadata_write,
        config: config.0 & TableConfig::MISS_MASK,
        max_entries: config.1,
        ..LegacyTable::default()
    };
    let (mut write, mut apply): (&[OxmId], &[OxmId]) = (&[], &[]);
    for p in &f.properties {
        match p {
            TableFeatureProp::Instructions { miss: false, ids } => t.instructions = type_bits(ids, LAST_INSTRUCTION),
            TableFeatureProp::WriteActions { miss: false, ids } => {
                t.write_actions = type_bits(ids, last_action(version))
            }
            TableFeatureProp::ApplyActions { miss: false, ids } => {
                t.apply_actions = type_bits(ids, last_action(version))
            }
            TableFeatureProp::Match(ids) => t.matching = field_bits(version, ids),
            TableFeatureProp::Wildcards(ids) => t.wildcards = field_bits(version, ids),
            TableFeatureProp::WriteSetfield { miss: false, fields } => write = fields,
            TableFeatureProp::ApplySetfield { miss: false, fields } => apply = fields,
            _ => {}
        }
    }
    match version {
        Version::V10 => t.wildcards = WILDCARDS_10,
        Version::V11 => {
            let setters = |ids: &[OxmId]| {
                let has = |field: FieldId| ids.iter().any(|id| id.field == Ok(field));
                SETTERS_11.iter().filter(|(_, f)| has(*f)).fold(0, |bits, (n, _)| bits | 1 << n)
            };
            t.write_actions |= setters(write);
            t.apply_actions |= setters(apply);
        }
        _ => {
            t.write_setfields = field_bits(version, write);
            t.apply_setfields = field_bits(version, apply);
        }
    }
    t
}

/// The table statistics, with what 1.0 to 1.2 say besides.
pub fn table_stats(control: &Control, version: Version) -> Vec<TableStats> {
    let mut stats = control.table_stats();
    if version >= Version::V13 {
        return stats;
    }
    let features = control.table_features(Version::V13);
    let configs = control.table_configs();
    for s in &mut stats {
        let config = configs.get(usize::from(s.table.0)).copied().unwrap_or_default();
        s.legacy = features.iter().find(|f| f.table == s.table).map(|f| Box::new(legacy(version, f, config)));
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use super::*;
    use ofproto::action::Action;
    use ofproto::error::ErrorKind;
    use ofproto::flow::{FlowMod, FlowModCommand};
    use ofproto::ids::{TableId, Xid};
    use ofproto::instruction::Instruction;
    use ofproto::matching::Match;
    use ofproto::message::{Message, Multipart, MultipartReply, MultipartRequest};
    use ofproto::wire;

    fn told(b: &mut Bench, version: Version) -> Vec<LegacyTable> {
        let c = b.connect(version);
        match b.ask(c, version, &Message::MultipartRequest(Multipart::last(MultipartRequest::Table))) {
            Message::MultipartReply(Multipart { body: MultipartReply::Table(list), .. }) => {
                list.into_iter().map(|t| *t.legacy.unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_table_says_what_it_can() {
        let mut b = Bench::of(77);
        let tables = told(&mut b, Version::V10);
        assert_eq!(tables[0].wildcards, 0x3f_ffff);
        assert!(tables.iter().all(|t| t.max_entries == 77));
        let tables = told(&mut b, Version::V11);
        assert_eq!((tables[0].wildcards, tables[0].matching), (0x3ff, 0x3ff));
        assert_eq!((tables[0].write_actions, tables[0].apply_actions), (0x1ff_ffff, 0x1ff_ffff));
        let tables = told(&mut b, Version::V12);
        // OFPXMT_OFB_* 0 to 35, and OFPIT_* 1 to 5; nothing comes after the last table.
        assert_eq!((tables[0].matching, tables[0].wildcards), ((1 << 36) - 1, (1 << 36) - 1));
        let goto: Vec<_> = tables.iter().map(|t| t.instructions).collect();
        assert_eq!(goto, [0x3e, 0x3e, 0x3e, 0x3c]);
        let all = 1 | 3 << 11 | 0x7ff << 15;
        assert_eq!((tables[0].write_actions, tables[0].apply_actions), (all, all));
        assert_eq!(tables[0].name, "table0");
    }

    /// Every set-field that 1.2 claims is taken, and every one that it doesn't is refused.
    #[test]
    fn what_is_claimed_to_be_settable_is() {
        let mut b = Bench::of(1000);
        let claimed = told(&mut b, Version::V12)[0].apply_setfields;
        let c = b.connect(Version::V12);
        for f in FIELDS {
            let Some(Code::Oxm(n)) = f.codes.first() else { continue };
            if f.since > Version::V12 {
                continue;
            }
            let value = if f.id == FieldId::VlanVid { 0x1001 } else { 0 };
            let value = ofproto::matching::MatchField::exact(f.id, value);
            let flow = FlowMod {
                matching: prerequisites(f.id),
                instructions: vec![Instruction::ApplyActions(vec![Action::SetField(value)])],
                ..FlowMod::default()
            };
            let Ok(bytes) = wire::encode(Version::V12, Xid(1), &Message::FlowMod(flow)) else { panic!("{}", f.name) };
            b.bytes(c, &bytes);
            let taken = b.hear(c).is_empty();
            assert_eq!(taken, claimed & (1 << n) != 0, "{}", f.name);
        }
        let delete = FlowMod { command: FlowModCommand::Delete, table: TableId::ALL, ..FlowMod::default() };
        b.say(c, Version::V12, 1, &Message::FlowMod(delete));
    }

    /// A match without which the field isn't there.
    fn prerequisites(id: FieldId) -> Match {
        let mut m = Match::any();
        let name = id.info().name;
        let ty = match name {
            n if n.starts_with("arp") => Some(0x0806),
            n if n.starts_with("mpls") => Some(0x8847),
            n if n.starts_with("ipv6") || n.starts_with("icmpv6") || n.starts_with("nd") => Some(0x86dd),
            n if n.starts_with("ip") || n.starts_with("tcp") || n.starts_with("udp") => Some(0x0800),
            n if n.starts_with("sctp") || n.starts_with("icmp") || n.starts_with("nw") => Some(0x0800),
            _ => None,
        };
        if let Some(ty) = ty {
            m = m.with(FieldId::EthType, ty);
        }
        let proto = match name {
            n if n.starts_with("tcp") => Some(6),
            n if n.starts_with("udp") => Some(17),
            n if n.starts_with("sctp") => Some(132),
            n if n.starts_with("icmpv6") || n.starts_with("nd") || n.starts_with("ipv6_nd") => Some(58),
            n if n.starts_with("icmp") => Some(1),
            _ => None,
        };
        if let Some(proto) = proto {
            m = m.with(FieldId::IpProto, proto);
        }
        if name.contains("nd_") {
            m = m.with(FieldId::Icmpv6Type, if name.ends_with("tll") { 136 } else { 135 });
        }
        if name.starts_with("vlan") {
            m = m.with(FieldId::VlanVid, 0x1001);
        }
        m
    }

    #[test]
    fn what_a_later_controller_made_of_a_table_shows() {
        let mut b = Bench::new();
        let v13 = b.connect(Version::V13);
        let ask = |set| Message::MultipartRequest(Multipart::last(MultipartRequest::TableFeatures(set)));
        let mut set = match b.ask(v13, Version::V13, &ask(Vec::new())) {
            Message::MultipartReply(Multipart { body: MultipartReply::TableFeatures(list), .. }) => list,
            other => panic!("{other:?}"),
        };
        set[1].name = "acl".into();
        for p in &mut set[1].properties {
            match p {
                TableFeatureProp::Match(ids) | TableFeatureProp::Wildcards(ids) => {
                    ids.retain(|i| i.field == Ok(FieldId::VlanVid));
                }
                TableFeatureProp::ApplySetfield { fields, .. } => fields.clear(),
                _ => {}
            }
        }
        set.truncate(3);
        let reply = b.ask(v13, Version::V13, &ask(set));
        assert!(!matches!(reply, Message::Error(_)), "{reply:?}");
        let tables = told(&mut b, Version::V12);
        assert_eq!(tables.len(), 3, "one has left the pipeline");
        assert_eq!((tables[1].name.as_str(), tables[1].matching, tables[1].apply_setfields), ("acl", 1 << 6, 0));
        assert_ne!(tables[1].write_setfields, 0);
        let tables = told(&mut b, Version::V11);
        assert_eq!((tables[1].matching, tables[1].apply_actions & 0x67fe), (1 << 1, 0));
        let c = b.connect(Version::V12);
        let other =
            FlowMod { table: TableId(1), matching: Match::any().with(FieldId::EthDst, 1), ..FlowMod::default() };
        assert_eq!(b.error(c, Version::V12, &Message::FlowMod(other)), ErrorKind::BadMatchBadField);
    }
}
