//! Tables.

use crate::field::{Code, FIELDS, FieldId};
use crate::ids::TableId;
use crate::matching::{Match, OxmId};
use crate::table::{
    FeatureId, LegacyTable, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp,
    TableStats, TableStatus,
};
use crate::version::Version;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(super) fn table_stats(v: Version) -> BoxedStrategy<TableStats> {
    (any::<u8>(), any::<[u32; 4]>(), any::<[u64; 2]>(), "[a-z]{1,20}")
        .prop_map(move |(table, n, c, name)| {
            let (v10, v11, v12) = (v == Version::V10, v == Version::V11, v == Version::V12);
            let legacy = LegacyTable {
                name,
                wildcards: if v12 { 0xf_ffff_ffff & c[0] } else { u64::from(n[1] & 0x3ff) },
                matching: if v10 {
                    0
                } else if v11 {
                    u64::from(n[2] & 0x3ff)
                } else {
                    0xf_ffff_ffff & c[1]
                },
                instructions: if v10 { 0 } else { n[3] & 0x3f },
                max_entries: n[2],
                ..LegacyTable::default()
            };
            TableStats {
                table: TableId(table),
                active_count: n[0],
                lookup_count: c[0],
                matched_count: c[1],
                legacy: (v < Version::V13).then(|| Box::new(legacy)),
            }
        })
        .boxed()
}

/// Properties of eviction and vacancy, and what a table's configuration then says.
fn properties() -> BoxedStrategy<(TableConfig, Vec<TableModProp>)> {
    let vacancy = (0..101_u8, 0..101_u8, 0..101_u8).prop_map(|(a, b, vacancy)| TableModProp::Vacancy {
        down: a.min(b),
        up: a.max(b),
        vacancy,
    });
    (prop::option::of((0..8_u32).prop_map(TableModProp::Eviction)), prop::option::of(vacancy))
        .prop_map(|(eviction, vacancy)| {
            let mut config = TableConfig::empty();
            config.set(TableConfig::EVICTION, eviction.is_some());
            config.set(TableConfig::VACANCY_EVENTS, vacancy.is_some());
            (config, eviction.into_iter().chain(vacancy).collect())
        })
        .boxed()
}

/// The property as a request has it: how much is free is the switch's to say.
fn asked(prop: TableModProp) -> TableModProp {
    match prop {
        TableModProp::Vacancy { down, up, .. } => TableModProp::Vacancy { down, up, vacancy: 0 },
        other => other,
    }
}

pub(super) fn table_mod(v: Version) -> BoxedStrategy<TableMod> {
    (0..=255_u8, 0..3_u32, properties())
        .prop_map(move |(table, miss, (config, properties))| {
            let miss = TableConfig::from_bits_retain(if v < Version::V13 { miss } else { 0 });
            TableMod {
                table: TableId(table),
                config: if v >= Version::V14 { config } else { miss },
                properties: if v >= Version::V14 { properties.into_iter().map(asked).collect() } else { vec![] },
            }
        })
        .boxed()
}

pub(super) fn table_desc() -> BoxedStrategy<TableDesc> {
    (0..254_u8, properties())
        .prop_map(|(table, (config, properties))| TableDesc { table: TableId(table), config, properties })
        .boxed()
}

pub(super) fn table_status() -> BoxedStrategy<TableStatus> {
    // VACANCY_DOWN and VACANCY_UP
    (3..5_u8, table_desc()).prop_map(|(reason, desc)| TableStatus { reason, desc }).boxed()
}

/// Fields of the specification that `v` has.
fn fields(v: Version) -> Vec<FieldId> {
    let standard = |f: &&crate::field::FieldInfo| matches!(f.codes.first(), Some(Code::Oxm(_))) && f.since <= v;
    FIELDS.iter().filter(standard).map(|f| f.id).collect()
}

/// Ids of some of them.
pub(super) fn field_ids(v: Version) -> BoxedStrategy<Vec<OxmId>> {
    subsequence(fields(v), 0..6).prop_map(|ids| ids.into_iter().map(OxmId::of).collect()).boxed()
}

/// Some of these types of instructions or actions, none of which has a body here.
fn types(all: Vec<u16>) -> BoxedStrategy<Vec<FeatureId>> {
    let id = |ty| FeatureId { ty, experimenter: None, length: 4 };
    let n = all.len();
    subsequence(all, 0..=n).prop_map(move |list| list.into_iter().map(id).collect()).boxed()
}

/// What a table can do for packets that hit, or for those that miss.
fn abilities(v: Version, table: u8, miss: bool) -> BoxedStrategy<Vec<TableFeatureProp>> {
    use TableFeatureProp as P;
    // 1.5 has a meter action instead of the instruction, and triggers.
    let instructions = if v >= Version::V15 { vec![1, 2, 3, 4, 5, 7] } else { vec![1, 2, 3, 4, 5, 6] };
    let mut kinds = vec![0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27];
    if v >= Version::V15 {
        kinds.extend([28, 29]);
    }
    let later: Vec<TableId> = (table.saturating_add(1)..254).map(TableId).collect();
    let most = later.len().min(9);
    let actions = (types(kinds.clone()), types(kinds));
    let set = (field_ids(v), field_ids(v));
    let copy = (field_ids(v), field_ids(v));
    (types(instructions), subsequence(later, 0..=most), actions, set, copy)
        .prop_map(move |(instructions, tables, actions, set, copy)| {
            let mut all = vec![
                P::Instructions { miss, ids: instructions },
                P::NextTables { miss, tables },
                P::WriteActions { miss, ids: actions.0 },
                P::ApplyActions { miss, ids: actions.1 },
                P::WriteSetfield { miss, fields: set.0 },
                P::ApplySetfield { miss, fields: set.1 },
            ];
            if v >= Version::V15 {
                all.push(P::WriteCopyfield { miss, fields: copy.0 });
                all.push(P::ApplyCopyfield { miss, fields: copy.1 });
            }
            all
        })
        .boxed()
}

/// A table's features, all that the version wants to be told; `asks` in a request.
pub(super) fn table_features(v: Version, asks: bool) -> BoxedStrategy<TableFeatures> {
    use TableFeatureProp as P;
    // Fields, and which of them may be left out of a match or masked.
    let matched = subsequence(fields(v), 1..20)
        .prop_flat_map(|list| (subsequence(list.clone(), 0..=list.len()), vec_of_masks(list)));
    (0..254_u8, any::<bool>())
        .prop_flat_map(move |(table, misses)| {
            let miss = if misses { abilities(v, table, true) } else { Just(vec![]).boxed() };
            (Just(table), abilities(v, table, false), miss)
        })
        .prop_flat_map(move |(table, hit, miss)| {
            let before: Vec<TableId> = (0..table).map(TableId).collect();
            let sync = subsequence(before, 0..=usize::from(table).min(3));
            let numbers = (any::<u32>(), any::<[u64; 2]>(), 0..4_u8, 0..16_u32);
            let types = subsequence(vec![0_u128, 0x1_0800, 0x1_86dd], 0..3);
            (Just((table, hit, miss)), matched.clone(), sync, numbers, "[a-z][a-z ]{0,30}", types)
        })
        .prop_map(move |((table, mut properties, miss), (wildcards, matched), sync, numbers, name, types)| {
            let (max_entries, metadata, command, features) = numbers;
            properties.extend(miss);
            properties.push(P::Match(matched));
            properties.push(P::Wildcards(wildcards.into_iter().map(OxmId::of).collect()));
            if v >= Version::V14 && !sync.is_empty() {
                properties.push(P::TableSyncFrom(sync));
            }
            if v >= Version::V15 && !types.is_empty() {
                let one = |ty| crate::matching::MatchField::exact(FieldId::PacketType, ty);
                properties.push(P::PacketTypes(Match::new(types.into_iter().map(one).collect())));
            }
            let later = v >= Version::V15;
            let known = if v >= Version::V14 {
                TableConfig::EVICTION | TableConfig::VACANCY_EVENTS
            } else {
                TableConfig::empty()
            };
            TableFeatures {
                table: TableId(table),
                command: if later && asks { command } else { 0 },
                features: if later { features & 7 } else { 0 },
                name: name.trim_end().to_owned(),
                metadata_match: metadata[0],
                metadata_write: metadata[1],
                capabilities: TableConfig::from_bits_retain(max_entries) & known,
                max_entries,
                properties,
            }
        })
        .boxed()
}

/// The ids of these fields, with a mark where a mask may be.
fn vec_of_masks(list: Vec<FieldId>) -> BoxedStrategy<Vec<OxmId>> {
    let one = |id: FieldId| {
        let masks = if id.info().maskable { vec![false, true] } else { vec![false] };
        select(masks).prop_map(move |has_mask| OxmId { has_mask, ..OxmId::of(id) })
    };
    list.into_iter().map(one).collect::<Vec<_>>().boxed()
}
