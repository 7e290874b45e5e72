//! Tables.

use crate::arbitrary::part::{bytes, field, other, oxm_ids};
use crate::ids::{ExperimenterId, TableId};
use crate::matching::Match;
use crate::table::{
    FeatureId, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp, TableStatus,
};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

fn table_props() -> BoxedStrategy<Vec<TableModProp>> {
    vec(
        prop_oneof![
            any::<u32>().prop_map(TableModProp::Eviction),
            any::<[u8; 3]>().prop_map(|[down, up, vacancy]| TableModProp::Vacancy { down, up, vacancy }),
            other().prop_map(TableModProp::Other)
        ],
        0..3,
    )
    .boxed()
}

pub(in crate::arbitrary) fn table_mod(version: Version) -> BoxedStrategy<TableMod> {
    (any::<u8>(), any::<u32>(), table_props())
        .prop_map(move |(table, config, properties)| TableMod {
            table: TableId(table),
            config: TableConfig::from_bits_retain(config),
            properties: if version >= Version::V14 { properties } else { Vec::new() },
        })
        .boxed()
}

pub(super) fn table_desc() -> BoxedStrategy<TableDesc> {
    table_mod(Version::V14)
        .prop_map(|m| TableDesc { table: m.table, config: m.config, properties: m.properties })
        .boxed()
}

pub(in crate::arbitrary) fn table_status() -> BoxedStrategy<TableStatus> {
    (any::<u8>(), table_desc()).prop_map(|(reason, desc)| TableStatus { reason, desc }).boxed()
}

fn feature_ids() -> BoxedStrategy<Vec<FeatureId>> {
    let plain = (0..100u16, any::<u16>()).prop_map(|(ty, length)| FeatureId { ty, experimenter: None, length });
    let experimenter = (any::<u32>(), bytes(9)).prop_map(|(id, data)| FeatureId {
        ty: 0xffff,
        length: 8 + data.len() as u16,
        experimenter: Some((ExperimenterId(id), data)),
    });
    vec(prop_oneof![4 => plain, 1 => experimenter], 0..5).boxed()
}

pub(super) fn table_features(version: Version) -> BoxedStrategy<TableFeatures> {
    use TableFeatureProp as P;
    let tables = || vec(any::<u8>().prop_map(TableId), 0..9);
    let mut props: Vec<BoxedStrategy<P>> = vec![
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::Instructions { miss, ids }).boxed(),
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::WriteActions { miss, ids }).boxed(),
        (any::<bool>(), feature_ids()).prop_map(|(miss, ids)| P::ApplyActions { miss, ids }).boxed(),
        (any::<bool>(), tables()).prop_map(|(miss, tables)| P::NextTables { miss, tables }).boxed(),
        oxm_ids(version).prop_map(P::Match).boxed(),
        oxm_ids(version).prop_map(P::Wildcards).boxed(),
        (any::<bool>(), oxm_ids(version)).prop_map(|(miss, fields)| P::WriteSetfield { miss, fields }).boxed(),
        (any::<bool>(), oxm_ids(version)).prop_map(|(miss, fields)| P::ApplySetfield { miss, fields }).boxed(),
        other().prop_map(P::Other).boxed(),
    ];
    if version >= Version::V14 {
        props.push(tables().prop_map(P::TableSyncFrom).boxed());
    }
    if version >= Version::V15 {
        let copy = (any::<bool>(), oxm_ids(version));
        props.push(copy.clone().prop_map(|(miss, fields)| P::WriteCopyfield { miss, fields }).boxed());
        props.push(copy.prop_map(|(miss, fields)| P::ApplyCopyfield { miss, fields }).boxed());
        props.push(vec(field(version), 0..3).prop_map(|f| P::PacketTypes(Match::new(f))).boxed());
    }
    (any::<[u8; 2]>(), any::<[u32; 3]>(), any::<[u64; 2]>(), "[a-z ]{0,31}", vec(Union::new(props), 0..6))
        .prop_map(move |(b, n, m, name, properties)| {
            let later = version >= Version::V15;
            TableFeatures {
                table: TableId(b[0]),
                command: if later { b[1] } else { 0 },
                features: if later { n[0] } else { 0 },
                name,
                metadata_match: m[0],
                metadata_write: m[1],
                capabilities: TableConfig::from_bits_retain(n[1]),
                max_entries: n[2],
                properties,
            }
        })
        .boxed()
}
