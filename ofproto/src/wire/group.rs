//! Groups (OpenFlow 1.3.5 §7.3.4.2, §7.3.5.9-11; 1.5.1 §7.3.4.3, §7.3.5.9-11).

use super::{EncodeError, Reader, Writer, action, codes, oxm, property, require, unsupported};
use crate::error::{ErrorKind, OfError};
use crate::group::{
    Bucket, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod, GroupProp, GroupStats, GroupType, MethodName,
    SelectionMethod,
};
use crate::ids::{BucketId, ExperimenterId, GroupId, PortNo};
use crate::version::Version;

const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;
/// `NTRT_SELECTION_METHOD`
const SELECTION_METHOD: u32 = 1;

/// Reads the body of `OFPT_GROUP_MOD`.
pub(super) fn decode_group_mod(r: &mut Reader<'_>, version: Version) -> Result<GroupMod, OfError> {
    let command = codes::group_mod_command(r.u16("command")?, version);
    let ty = codes::group_type(r.u8("type")?);
    r.skip(1)?;
    let group = GroupId(r.u32("group_id")?);
    if version < Version::V15 {
        let buckets = decode_buckets(r, version, ty)?;
        return Ok(GroupMod { command, ty, group, command_bucket: BucketId::ALL, buckets, properties: Vec::new() });
    }
    let length = r.u16("bucket_array_len")?;
    r.skip(2)?;
    let command_bucket = BucketId(r.u32("command_bucket_id")?);
    let mut list = r.sub(usize::from(length), "bucket_array_len")?;
    let buckets = decode_buckets(&mut list, version, ty)?;
    let properties = property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| decode_prop(ty, body, version))?;
    Ok(GroupMod { command, ty, group, command_bucket, buckets, properties })
}

/// Writes the body of `OFPT_GROUP_MOD`.
pub(super) fn encode_group_mod(w: &mut Writer, version: Version, m: &GroupMod) -> Result<(), EncodeError> {
    let command = codes::group_mod_command_code(m.command, version)
        .ok_or_else(|| unsupported(version, "OFPGC_INSERT_BUCKET and OFPGC_REMOVE_BUCKET"))?;
    w.u16(command);
    w.u8(codes::group_type_code(m.ty));
    w.u8(0);
    w.u32(m.group.0);
    if version < Version::V15 {
        require(m.command_bucket == BucketId::ALL, version, "command_bucket_id")?;
        require(m.properties.is_empty(), version, "group properties")?;
        for bucket in &m.buckets {
            require(bucket.id.is_none(), version, "bucket_id")?;
            require(bucket.other.is_empty(), version, "bucket properties")?;
        }
        return encode_buckets(w, version, m.ty, &m.buckets);
    }
    let len_at = w.len();
    w.zeros(4);
    w.u32(m.command_bucket.0);
    let start = w.len();
    encode_buckets(w, version, m.ty, &m.buckets)?;
    super::set_length(w, len_at, start, "bucket array")?;
    m.properties.iter().try_for_each(|p| encode_prop(w, version, p))
}

fn decode_prop(ty: u16, body: &mut Reader<'_>, version: Version) -> Result<GroupProp, OfError> {
    let mut r = body.clone();
    if ty == property::EXPERIMENTER
        && let Ok(experimenter) = r.u32("experimenter").map(ExperimenterId)
        && matches!(experimenter, ExperimenterId::NETRONOME | ExperimenterId::NETRONOME_COMPAT)
        && r.u32("exp_type") == Ok(SELECTION_METHOD)
    {
        *body = r;
        body.skip(4)?;
        let method = MethodName(body.array("selection_method")?);
        let param = body.u64("selection_method_param")?;
        let mut fields = body.sub(body.remaining(), "fields")?.with_short(ErrorKind::BadMatchBadLen);
        let fields = oxm::decode_fields(&mut fields, version)?;
        return Ok(GroupProp::Selection(SelectionMethod { experimenter, method, param, fields }));
    }
    property::decode_other(ty, body).map(GroupProp::Other)
}

fn encode_prop(w: &mut Writer, version: Version, prop: &GroupProp) -> Result<(), EncodeError> {
    match prop {
        GroupProp::Selection(s) => property::encode(w, property::EXPERIMENTER, |w| {
            w.u32(s.experimenter.0);
            w.u32(SELECTION_METHOD);
            w.zeros(4);
            w.bytes(&s.method.0);
            w.u64(s.param);
            oxm::encode_fields(w, version, &s.fields)
        }),
        GroupProp::Other(p) => property::encode_other(w, p),
    }
}

fn decode_buckets(r: &mut Reader<'_>, version: Version, ty: GroupType) -> Result<Vec<Bucket>, OfError> {
    let mut list = Vec::new();
    while !r.is_empty() {
        list.push(decode_bucket(r, version, ty)?);
    }
    Ok(list)
}

fn decode_bucket(r: &mut Reader<'_>, version: Version, ty: GroupType) -> Result<Bucket, OfError> {
    let bad = ErrorKind::GroupModFailedBadBucket;
    let at = r.offset();
    let length = usize::from(r.clone().with_short(bad).u16("bucket len")?);
    let least = if version >= Version::V15 { 8 } else { 16 };
    if length < least || !length.is_multiple_of(8) {
        return Err(OfError::at(bad, at, "bucket len", format!("{length} is not a multiple of 8 from {least} on")));
    }
    let mut b = r.sub_short(bad, length, "bucket len")?;
    b.skip(2)?;
    let mut bucket = Bucket::new(Vec::new());
    if version < Version::V15 {
        bucket.weight = b.u16("weight")?;
        bucket.watch_port = PortNo(b.u32("watch_port")?);
        bucket.watch_group = GroupId(b.u32("watch_group")?);
        b.skip(4)?;
        bucket.actions = action::decode_list(&mut b, version)?;
        return Ok(bucket);
    }
    let actions_len = usize::from(b.u16("action_array_len")?);
    bucket.id = Some(BucketId(b.u32("bucket_id")?));
    // The specification doesn't say what the absence of a weight means; a bucket that nothing chooses would be
    // of no use, and Open vSwitch takes it for 1, too.
    bucket.weight = u16::from(ty == GroupType::Select);
    let mut actions = b.sub(actions_len, "action_array_len")?;
    bucket.actions = action::decode_list(&mut actions, version)?;
    let mut seen = [false; 3];
    property::decode(&mut b, ErrorKind::BadPropertyBadLen, |ty, body| {
        // The bucket has room for one of each.
        if let Some(seen) = seen.get_mut(usize::from(ty))
            && std::mem::replace(seen, true)
        {
            return Err(body.error(ErrorKind::BadPropertyDupType, "property type", format!("{ty} is there twice")));
        }
        match ty {
            WEIGHT => {
                bucket.weight = body.u16("weight")?;
                body.skip(2)?;
            }
            WATCH_PORT => bucket.watch_port = PortNo(body.u32("watch")?),
            WATCH_GROUP => bucket.watch_group = GroupId(body.u32("watch")?),
            _ => bucket.other.push(property::decode_other(ty, body)?),
        }
        Ok(())
    })?;
    Ok(bucket)
}

/// Writes buckets. 1.5's get ids from their places where the model has none, a weight in select groups, which
/// live by it, and elsewhere a property for what differs from its absence (weight 0, nothing watched).
fn encode_buckets(w: &mut Writer, version: Version, ty: GroupType, buckets: &[Bucket]) -> Result<(), EncodeError> {
    for (place, bucket) in buckets.iter().enumerate() {
        let start = w.len();
        w.u16(0);
        if version < Version::V15 {
            w.u16(bucket.weight);
            w.u32(bucket.watch_port.0);
            w.u32(bucket.watch_group.0);
            w.zeros(4);
            action::encode_list(w, version, &bucket.actions)?;
        } else {
            w.u16(0);
            w.u32(bucket.id.map_or(place as u32, |id| id.0));
            let actions = w.len();
            action::encode_list(w, version, &bucket.actions)?;
            super::set_length(w, start + 2, actions, "bucket actions")?;
            encode_bucket_props(w, ty, bucket)?;
        }
        super::set_length(w, start, start, "bucket")?;
    }
    Ok(())
}

fn encode_bucket_props(w: &mut Writer, ty: GroupType, bucket: &Bucket) -> Result<(), EncodeError> {
    if bucket.weight != 0 || ty == GroupType::Select {
        property::encode(w, WEIGHT, |w| {
            w.u16(bucket.weight);
            w.zeros(2);
            Ok(())
        })?;
    }
    let watch = |w: &mut Writer, ty, id| {
        property::encode(w, ty, |w| {
            w.u32(id);
            Ok(())
        })
    };
    if bucket.watch_port != PortNo::ANY {
        watch(w, WATCH_PORT, bucket.watch_port.0)?;
    }
    if bucket.watch_group != GroupId::ANY {
        watch(w, WATCH_GROUP, bucket.watch_group.0)?;
    }
    property::encode_others(w, &bucket.other)
}

/// Reads one entry of the group-desc reply.
pub(super) fn decode_desc(r: &mut Reader<'_>, version: Version) -> Result<GroupDesc, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let ty = codes::group_type(r.u8("type")?);
    r.skip(1)?;
    let group = GroupId(r.u32("group_id")?);
    if version < Version::V15 {
        return Ok(GroupDesc { ty, group, buckets: decode_buckets(&mut r, version, ty)?, properties: Vec::new() });
    }
    let length = r.u16("bucket_array_len")?;
    r.skip(6)?;
    let mut list = r.sub(usize::from(length), "bucket_array_len")?;
    let buckets = decode_buckets(&mut list, version, ty)?;
    let properties = property::decode(&mut r, ErrorKind::BadPropertyBadLen, |ty, body| decode_prop(ty, body, version))?;
    Ok(GroupDesc { ty, group, buckets, properties })
}

/// Writes one entry of the group-desc reply.
pub(super) fn encode_desc(w: &mut Writer, version: Version, m: &GroupDesc) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u8(codes::group_type_code(m.ty));
    w.u8(0);
    w.u32(m.group.0);
    if version < Version::V15 {
        encode_buckets(w, version, m.ty, &m.buckets)?;
    } else {
        let len_at = w.len();
        w.zeros(8);
        let buckets = w.len();
        encode_buckets(w, version, m.ty, &m.buckets)?;
        super::set_length(w, len_at, buckets, "bucket array")?;
        m.properties.iter().try_for_each(|p| encode_prop(w, version, p))?;
    }
    super::set_length(w, start, start, "group description")
}

/// Reads one entry of the group statistics reply.
pub(super) fn decode_stats(r: &mut Reader<'_>, version: Version) -> Result<GroupStats, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(4)?;
    let group = GroupId(r.u32("group_id")?);
    let ref_count = r.u32("ref_count")?;
    r.skip(4)?;
    let (packet_count, byte_count) = (r.u64("packet_count")?, r.u64("byte_count")?);
    let (mut duration_sec, mut duration_nsec) = (0, 0);
    if version >= Version::V13 {
        (duration_sec, duration_nsec) = (r.u32("duration_sec")?, r.u32("duration_nsec")?);
    }
    let mut buckets = Vec::with_capacity(r.remaining() / 16);
    while !r.is_empty() {
        buckets.push((r.u64("bucket packet_count")?, r.u64("bucket byte_count")?));
    }
    Ok(GroupStats { group, ref_count, packet_count, byte_count, duration_sec, duration_nsec, buckets })
}

/// Writes one entry of the group statistics reply.
pub(super) fn encode_stats(w: &mut Writer, version: Version, m: &GroupStats) -> Result<(), EncodeError> {
    let start = w.len();
    w.u32(0);
    w.u32(m.group.0);
    w.u32(m.ref_count);
    w.zeros(4);
    w.u64(m.packet_count);
    w.u64(m.byte_count);
    if version >= Version::V13 {
        w.u32(m.duration_sec);
        w.u32(m.duration_nsec);
    }
    for (packets, bytes) in &m.buckets {
        w.u64(*packets);
        w.u64(*bytes);
    }
    super::set_length(w, start, start, "group statistics")
}

/// Reads the group-features reply.
pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<GroupFeatures, OfError> {
    let types = r.u32("types")?;
    let capabilities = GroupCapabilities::from_bits_retain(r.u32("capabilities")?);
    let mut four =
        |field| -> Result<[u32; 4], OfError> { Ok([r.u32(field)?, r.u32(field)?, r.u32(field)?, r.u32(field)?]) };
    Ok(GroupFeatures { types, capabilities, max_groups: four("max_groups")?, actions: four("actions")? })
}

/// Writes the group-features reply.
pub(super) fn encode_features(w: &mut Writer, m: &GroupFeatures) {
    w.u32(m.types);
    w.u32(m.capabilities.bits());
    m.max_groups.iter().chain(&m.actions).for_each(|n| w.u32(*n));
}
