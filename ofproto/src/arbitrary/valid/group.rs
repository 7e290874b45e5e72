//! Groups and meters.

use super::action::free_actions;
use super::matching::{group, meter, port};
use crate::field::{FIELDS, FieldId};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupProp, GroupStats, GroupType,
    MethodName, SelectionMethod,
};
use crate::ids::{BucketId, GroupId, MeterId, PortNo};
use crate::matching::{Match, MatchField};
use crate::meter::{Band, BandAction, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
use crate::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) fn buckets(v: Version, ty: GroupType) -> BoxedStrategy<Vec<Bucket>> {
    let watched = (port(), prop::option::of(group()));
    let one = (1..100_u16, watched, free_actions(v)).prop_map(move |(weight, (port, group), actions)| {
        let fails_over = ty == GroupType::FastFailover;
        Bucket {
            weight: if ty == GroupType::Select { weight } else { 0 },
            watch_port: if fails_over && group.is_none() { port } else { PortNo::ANY },
            watch_group: group.filter(|_| fails_over).unwrap_or(GroupId::ANY),
            ..Bucket::new(actions)
        }
    });
    let count = if ty == GroupType::Indirect { 1..2 } else { 0..4 };
    vec(one, count)
        .prop_map(move |mut list| {
            for (i, bucket) in list.iter_mut().enumerate() {
                bucket.id = (v >= Version::V15).then_some(BucketId(i as u32));
            }
            list
        })
        .boxed()
}

pub(super) fn group_type() -> BoxedStrategy<GroupType> {
    select(vec![GroupType::All, GroupType::Select, GroupType::Indirect, GroupType::FastFailover]).boxed()
}

/// How a select group of 1.5 chooses, if it says so.
pub(super) fn choice(v: Version, ty: GroupType) -> BoxedStrategy<Vec<GroupProp>> {
    if v < Version::V15 || ty != GroupType::Select {
        return Just(vec![]).boxed();
    }
    // Those that Open vSwitch, who made the property, knows.
    let fits = |id: &FieldId| *id < FieldId::Ipv6Exthdr && *id != FieldId::InPhyPort && *id != FieldId::PbbIsid;
    let ids: Vec<_> = FIELDS.iter().map(|f| f.id).filter(fits).collect();
    let fields = proptest::sample::subsequence(ids, 0..5)
        .prop_flat_map(|ids| {
            let masks = vec(prop::option::of(any::<u128>()), ids.len());
            (Just(ids), masks)
        })
        .prop_map(|(ids, masks)| {
            let mask_of = |(id, mask): (FieldId, Option<u128>)| {
                let info = id.info();
                let some = mask.map(|m| m & info.all_ones()).filter(|m| info.maskable && *m != 0);
                MatchField::exact(id, some.unwrap_or(info.all_ones_of_bytes()))
            };
            Match::new(ids.into_iter().zip(masks).map(mask_of).collect())
        });
    let hash = (any::<u64>(), fields).prop_map(|(param, fields)| SelectionMethod {
        param,
        fields,
        ..SelectionMethod::new(MethodName::HASH)
    });
    let dp_hash = any::<u64>().prop_map(|param| SelectionMethod { param, ..SelectionMethod::new(MethodName::DP_HASH) });
    prop::option::of(prop_oneof![hash, dp_hash].prop_map(GroupProp::Selection)).prop_map(Vec::from_iter).boxed()
}

pub(super) fn group_mod(v: Version) -> BoxedStrategy<GroupMod> {
    use GroupModCommand::{Add, AddOrMod, Delete, InsertBucket, Modify, RemoveBucket};
    let mut commands = vec![Add, Add, Modify, Delete, AddOrMod];
    if v >= Version::V15 {
        commands.extend([InsertBucket, RemoveBucket]);
    }
    (select(commands), group_type(), group())
        .prop_flat_map(move |(command, ty, group)| {
            let places = select(vec![BucketId::FIRST, BucketId::LAST, BucketId(3)]);
            let list = if matches!(command, Delete | RemoveBucket) { Just(vec![]).boxed() } else { buckets(v, ty) };
            let whole = matches!(command, Add | AddOrMod | Modify);
            let properties = if whole { choice(v, ty) } else { Just(vec![]).boxed() };
            (Just((command, ty, group)), list, places, properties)
        })
        .prop_map(|((command, ty, group), buckets, place, properties)| GroupMod {
            command,
            ty,
            group,
            command_bucket: if matches!(command, InsertBucket | RemoveBucket) { place } else { BucketId::ALL },
            buckets,
            properties,
        })
        .boxed()
}

pub(super) fn bands() -> BoxedStrategy<(MeterFlags, Vec<Band>)> {
    let band = (1..u32::MAX, any::<u32>(), prop::option::of(0..8_u8)).prop_map(|(rate, burst_size, dscp)| Band {
        rate,
        burst_size,
        action: dscp.map_or(BandAction::Drop, |prec_level| BandAction::DscpRemark { prec_level }),
    });
    (any::<[bool; 3]>(), vec(band, 1..4))
        .prop_map(|([packets, burst, stats], mut bands)| {
            let unit = if packets { MeterFlags::PKTPS } else { MeterFlags::KBPS };
            if !burst {
                bands.iter_mut().for_each(|b| b.burst_size = 0);
            }
            let more = [(burst, MeterFlags::BURST), (stats, MeterFlags::STATS)];
            (more.into_iter().filter(|m| m.0).fold(unit, |all, m| all | m.1), bands)
        })
        .boxed()
}

pub(super) fn meter_mod() -> BoxedStrategy<MeterMod> {
    use MeterModCommand::{Add, Delete, Modify};
    let virtual_meter = select(vec![MeterId::SLOWPATH, MeterId::CONTROLLER]);
    let one = prop_oneof![9 => meter(), 1 => virtual_meter];
    (select(vec![Add, Modify, Delete]), one, bands())
        .prop_map(|(command, meter, (flags, bands))| MeterMod {
            command,
            flags: if command == Delete { MeterFlags::empty() } else { flags },
            meter,
            bands: if command == Delete { vec![] } else { bands },
        })
        .boxed()
}

pub(super) fn group_stats(v: Version) -> BoxedStrategy<GroupStats> {
    let timed = v >= Version::V13;
    (group(), any::<[u32; 2]>(), 0..1_000_000_000_u32, any::<[u64; 2]>(), vec(any::<(u64, u64)>(), 0..3))
        .prop_map(move |(group, n, nsec, c, buckets)| GroupStats {
            group,
            ref_count: n[0],
            packet_count: c[0],
            byte_count: c[1],
            duration_sec: if timed { n[1] } else { 0 },
            duration_nsec: if timed { nsec } else { 0 },
            buckets,
        })
        .boxed()
}

pub(super) fn group_desc(v: Version) -> BoxedStrategy<GroupDesc> {
    (group_type(), group())
        .prop_flat_map(move |(ty, group)| (Just((ty, group)), buckets(v, ty), choice(v, ty)))
        .prop_map(|((ty, group), buckets, properties)| GroupDesc { ty, group, buckets, properties })
        .boxed()
}

pub(super) fn group_features() -> BoxedStrategy<GroupFeatures> {
    (0..16_u32, 0..16_u32, any::<[u32; 4]>(), any::<[u32; 4]>())
        .prop_map(|(types, c, max_groups, actions)| GroupFeatures {
            types,
            capabilities: GroupCapabilities::from_bits_retain(c),
            max_groups,
            actions: actions.map(|a| a & 0x0fff_9801),
        })
        .boxed()
}

pub(super) fn meter_config() -> BoxedStrategy<MeterConfig> {
    (meter(), bands()).prop_map(|(meter, (flags, bands))| MeterConfig { flags, meter, bands }).boxed()
}

pub(super) fn meter_stats() -> BoxedStrategy<MeterStats> {
    (meter(), any::<[u32; 2]>(), 0..1_000_000_000_u32, any::<[u64; 2]>(), vec(any::<(u64, u64)>(), 0..3))
        .prop_map(|(meter, n, duration_nsec, c, bands)| MeterStats {
            meter,
            ref_count: n[0],
            packet_in_count: c[0],
            byte_in_count: c[1],
            duration_sec: n[1],
            duration_nsec,
            bands,
        })
        .boxed()
}

pub(super) fn meter_features(v: Version) -> BoxedStrategy<MeterFeatures> {
    (any::<u32>(), 0..4_u32, 0..16_u32, any::<[u8; 2]>(), 0..4_u32)
        .prop_map(move |(max_meter, types, capabilities, b, features)| MeterFeatures {
            max_meter,
            // From type 1 on.
            band_types: types << 1,
            capabilities,
            max_bands: b[0],
            max_color: b[1],
            features: if v >= Version::V15 { features } else { 0 },
        })
        .boxed()
}
