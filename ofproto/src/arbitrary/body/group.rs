//! Groups and meters.

use crate::arbitrary::part::{actions, matching, other, others};
use crate::group::{Bucket, GroupDesc, GroupMod, GroupModCommand, GroupProp, GroupType, MethodName, SelectionMethod};
use crate::ids::{BucketId, ExperimenterId, GroupId, MeterId, PortNo};
use crate::meter::{Band, BandAction, MeterFlags, MeterMod, MeterModCommand};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;

fn group_type() -> BoxedStrategy<GroupType> {
    use GroupType::*;
    prop::sample::select(vec![All, Select, Indirect, FastFailover, Unknown(9)]).boxed()
}

fn bucket(version: Version) -> BoxedStrategy<Bucket> {
    let later = version >= Version::V15;
    (any::<u32>(), any::<u16>(), any::<[u32; 2]>(), actions(version), others())
        .prop_map(move |(id, weight, watch, actions, other)| Bucket {
            id: later.then_some(BucketId(id)),
            weight,
            watch_port: PortNo(watch[0]),
            watch_group: GroupId(watch[1]),
            actions,
            other: if later { other } else { Vec::new() },
        })
        .boxed()
}

fn group_props(version: Version) -> BoxedStrategy<Vec<GroupProp>> {
    let name = prop_oneof![Just(MethodName::HASH), Just(MethodName::DP_HASH), any::<[u8; 16]>().prop_map(MethodName)];
    let experimenter = prop::sample::select(vec![ExperimenterId::NETRONOME, ExperimenterId::NETRONOME_COMPAT]);
    let selection =
        (experimenter, name, any::<u64>(), matching(version)).prop_map(|(experimenter, method, param, fields)| {
            GroupProp::Selection(SelectionMethod { experimenter, method, param, fields })
        });
    vec(prop_oneof![other().prop_map(GroupProp::Other), selection], 0..3).boxed()
}

pub(in crate::arbitrary) fn group_mod(version: Version) -> BoxedStrategy<GroupMod> {
    use GroupModCommand::*;
    let later = version >= Version::V15;
    let mut commands = vec![Add, Modify, Delete, AddOrMod, Unknown(77)];
    if later {
        commands.extend([InsertBucket, RemoveBucket]);
    }
    let command = prop::sample::select(commands);
    (command, group_type(), any::<[u32; 2]>(), vec(bucket(version), 0..4), group_props(version))
        .prop_map(move |(command, ty, ids, buckets, properties)| GroupMod {
            command,
            ty,
            group: GroupId(ids[0]),
            command_bucket: if later { BucketId(ids[1]) } else { BucketId::ALL },
            buckets,
            properties: if later { properties } else { Vec::new() },
        })
        .boxed()
}

pub(super) fn group_desc(version: Version) -> BoxedStrategy<GroupDesc> {
    group_mod(version)
        .prop_map(|m| GroupDesc { ty: m.ty, group: m.group, buckets: m.buckets, properties: m.properties })
        .boxed()
}

fn bands() -> BoxedStrategy<Vec<Band>> {
    let eights = (0..3usize).prop_flat_map(|n| vec(any::<u8>(), 8 * n));
    let action = prop_oneof![
        Just(BandAction::Drop),
        any::<u8>().prop_map(|prec_level| BandAction::DscpRemark { prec_level }),
        (any::<u32>(), eights)
            .prop_map(|(id, data)| BandAction::Experimenter { experimenter: ExperimenterId(id), data: data.into() }),
        (3..100u16, any::<[u8; 4]>()).prop_map(|(ty, data)| BandAction::Unknown { ty, data: data.to_vec().into() }),
    ];
    vec((any::<[u32; 2]>(), action).prop_map(|(n, action)| Band { rate: n[0], burst_size: n[1], action }), 0..4).boxed()
}

pub(in crate::arbitrary) fn meter_mod() -> BoxedStrategy<MeterMod> {
    use MeterModCommand::*;
    (prop::sample::select(vec![Add, Modify, Delete, Unknown(77)]), any::<u16>(), any::<u32>(), bands())
        .prop_map(|(command, flags, meter, bands)| MeterMod {
            command,
            flags: MeterFlags::from_bits_retain(flags),
            meter: MeterId(meter),
            bands,
        })
        .boxed()
}
