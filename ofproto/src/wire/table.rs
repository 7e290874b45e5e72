//! Flow tables: table-mod, table-status, descriptions, statistics, features (OpenFlow 1.3.5 §7.3.3, §7.3.5.4-5;
//! 1.5.1 §7.3.4.1, §7.3.5.16-18).

use super::{EncodeError, Reader, Writer, oxm, property, require, text};
use crate::error::{ErrorKind, OfError};
use crate::ids::{ExperimenterId, TableId};
use crate::matching::OxmId;
use crate::table::{
    FeatureId, LegacyTable, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp,
    TableStats, TableStatus,
};
use crate::version::Version;
use bytes::Bytes;

const EVICTION: u16 = 2;
const VACANCY: u16 = 3;
const EXPERIMENTER: u16 = 0xffff;
/// `OFP_MAX_TABLE_NAME_LEN`
const NAME_LEN: usize = 32;

fn decode_config(r: &mut Reader<'_>) -> Result<TableConfig, OfError> {
    Ok(TableConfig::from_bits_retain(r.u32("config")?))
}

fn decode_mod_props(r: &mut Reader<'_>) -> Result<Vec<TableModProp>, OfError> {
    property::decode(r, ErrorKind::BadPropertyBadLen, |ty, body| {
        Ok(match ty {
            EVICTION => TableModProp::Eviction(body.u32("flags")?),
            VACANCY => {
                let (down, up, vacancy) = (body.u8("vacancy_down")?, body.u8("vacancy_up")?, body.u8("vacancy")?);
                body.skip(1)?;
                TableModProp::Vacancy { down, up, vacancy }
            }
            _ => TableModProp::Other(property::decode_other(ty, body)?),
        })
    })
}

fn encode_mod_props(w: &mut Writer, props: &[TableModProp]) -> Result<(), EncodeError> {
    for prop in props {
        match prop {
            TableModProp::Eviction(flags) => property::encode(w, EVICTION, |w| {
                w.u32(*flags);
                Ok(())
            })?,
            TableModProp::Vacancy { down, up, vacancy } => property::encode(w, VACANCY, |w| {
                w.bytes(&[*down, *up, *vacancy, 0]);
                Ok(())
            })?,
            TableModProp::Other(other) => property::encode_other(w, other)?,
        }
    }
    Ok(())
}

/// Reads the body of `OFPT_TABLE_MOD`.
pub(super) fn decode_table_mod(r: &mut Reader<'_>, version: Version) -> Result<TableMod, OfError> {
    let table = TableId(r.u8("table_id")?);
    r.skip(3)?;
    let config = decode_config(r)?;
    let properties = if version >= Version::V14 { decode_mod_props(r)? } else { Vec::new() };
    Ok(TableMod { table, config, properties })
}

/// Writes it.
pub(super) fn encode_table_mod(w: &mut Writer, version: Version, m: &TableMod) -> Result<(), EncodeError> {
    require(version >= Version::V14 || m.properties.is_empty(), version, "table-mod properties")?;
    w.u8(m.table.0);
    w.zeros(3);
    w.u32(m.config.bits());
    encode_mod_props(w, &m.properties)
}

/// Reads an `ofp_table_desc` (1.4+).
pub(super) fn decode_desc(r: &mut Reader<'_>) -> Result<TableDesc, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let table = TableId(r.u8("table_id")?);
    r.skip(1)?;
    Ok(TableDesc { table, config: decode_config(&mut r)?, properties: decode_mod_props(&mut r)? })
}

/// Writes it.
pub(super) fn encode_desc(w: &mut Writer, m: &TableDesc) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u8(m.table.0);
    w.u8(0);
    w.u32(m.config.bits());
    encode_mod_props(w, &m.properties)?;
    super::set_length(w, start, start, "table description")
}

/// Reads the body of `OFPT_TABLE_STATUS` (1.4+).
pub(super) fn decode_status(r: &mut Reader<'_>) -> Result<TableStatus, OfError> {
    let reason = r.u8("reason")?;
    r.skip(7)?;
    Ok(TableStatus { reason, desc: decode_desc(r)? })
}

/// Writes it.
pub(super) fn encode_status(w: &mut Writer, m: &TableStatus) -> Result<(), EncodeError> {
    w.u8(m.reason);
    w.zeros(7);
    encode_desc(w, &m.desc)
}

/// Reads one entry of the table statistics reply. Before 1.3 it describes the table too.
pub(super) fn decode_stats(r: &mut Reader<'_>, version: Version) -> Result<TableStats, OfError> {
    let table = TableId(r.u8("table_id")?);
    r.skip(if matches!(version, Version::V11 | Version::V12) { 7 } else { 3 })?;
    if version < Version::V13 {
        let mut t = LegacyTable { name: text(r.bytes(NAME_LEN, "name")?), ..LegacyTable::default() };
        match version {
            Version::V10 => t.wildcards = r.u32("wildcards")?.into(),
            Version::V11 => {
                (t.wildcards, t.matching) = (r.u32("wildcards")?.into(), r.u32("match")?.into());
                t.instructions = r.u32("instructions")?;
                (t.write_actions, t.apply_actions) = (r.u32("write_actions")?, r.u32("apply_actions")?);
                t.config = r.u32("config")?;
            }
            _ => {
                (t.matching, t.wildcards) = (r.u64("match")?, r.u64("wildcards")?);
                (t.write_actions, t.apply_actions) = (r.u32("write_actions")?, r.u32("apply_actions")?);
                (t.write_setfields, t.apply_setfields) = (r.u64("write_setfields")?, r.u64("apply_setfields")?);
                (t.metadata_match, t.metadata_write) = (r.u64("metadata_match")?, r.u64("metadata_write")?);
                t.instructions = r.u32("instructions")?;
                t.config = r.u32("config")?;
            }
        }
        t.max_entries = r.u32("max_entries")?;
        return Ok(TableStats {
            table,
            active_count: r.u32("active_count")?,
            lookup_count: r.u64("lookup_count")?,
            matched_count: r.u64("matched_count")?,
            legacy: Some(Box::new(t)),
        });
    }
    Ok(TableStats {
        table,
        active_count: r.u32("active_count")?,
        lookup_count: r.u64("lookup_count")?,
        matched_count: r.u64("matched_count")?,
        legacy: None,
    })
}

/// Writes it.
pub(super) fn encode_stats(w: &mut Writer, version: Version, m: &TableStats) -> Result<(), EncodeError> {
    w.u8(m.table.0);
    w.zeros(if matches!(version, Version::V11 | Version::V12) { 7 } else { 3 });
    if version < Version::V13 {
        let none = LegacyTable::default();
        let t = m.legacy.as_deref().unwrap_or(&none);
        super::put_text(w, &t.name, NAME_LEN, "table name")?;
        // 1.0's and 1.1's wildcards and 1.1's fields are 32-bit words; their bits end far below that.
        match version {
            Version::V10 => w.u32(t.wildcards as u32),
            Version::V11 => {
                w.u32(t.wildcards as u32);
                w.u32(t.matching as u32);
                [t.instructions, t.write_actions, t.apply_actions, t.config].iter().for_each(|n| w.u32(*n));
            }
            _ => {
                w.u64(t.matching);
                w.u64(t.wildcards);
                w.u32(t.write_actions);
                w.u32(t.apply_actions);
                let words = [t.write_setfields, t.apply_setfields, t.metadata_match, t.metadata_write];
                words.iter().for_each(|n| w.u64(*n));
                w.u32(t.instructions);
                w.u32(t.config);
            }
        }
        w.u32(t.max_entries);
    }
    w.u32(m.active_count);
    w.u64(m.lookup_count);
    w.u64(m.matched_count);
    Ok(())
}

/// What a table-features property's length faults are answered with: 1.3 has a type of its own.
fn prop_bad_len(version: Version) -> ErrorKind {
    if version >= Version::V14 { ErrorKind::BadPropertyBadLen } else { ErrorKind::TableFeaturesFailedBadLen }
}

/// Reads one `ofp_table_features`.
pub(super) fn decode_features(r: &mut Reader<'_>, version: Version) -> Result<TableFeatures, OfError> {
    let mut r = super::multipart::entry(r, 0, "length")?;
    r.skip(2)?;
    let table = TableId(r.u8("table_id")?);
    let (mut command, mut features) = (0, 0);
    if version >= Version::V15 {
        command = r.u8("command")?;
        features = r.u32("features")?;
    } else {
        r.skip(5)?;
    }
    Ok(TableFeatures {
        table,
        command,
        features,
        name: text(r.bytes(NAME_LEN, "name")?),
        metadata_match: r.u64("metadata_match")?,
        metadata_write: r.u64("metadata_write")?,
        capabilities: TableConfig::from_bits_retain(r.u32("capabilities")?),
        max_entries: r.u32("max_entries")?,
        properties: property::decode(&mut r, prop_bad_len(version), |ty, body| decode_feature(ty, body, version))?,
    })
}

/// Writes one `ofp_table_features`.
pub(super) fn encode_features(w: &mut Writer, version: Version, m: &TableFeatures) -> Result<(), EncodeError> {
    let start = w.len();
    w.u16(0);
    w.u8(m.table.0);
    if version >= Version::V15 {
        w.u8(m.command);
        w.u32(m.features);
    } else {
        require(m.command == 0, version, "a table-features command")?;
        w.zeros(5);
    }
    super::put_text(w, &m.name, NAME_LEN, "table name")?;
    w.u64(m.metadata_match);
    w.u64(m.metadata_write);
    w.u32(m.capabilities.bits());
    w.u32(m.max_entries);
    for prop in &m.properties {
        encode_feature(w, version, prop)?;
    }
    super::set_length(w, start, start, "table features")
}

/// Even property types are for hits, their odd twins for the table-miss entry.
fn decode_feature(ty: u16, body: &mut Reader<'_>, version: Version) -> Result<TableFeatureProp, OfError> {
    let miss = ty & 1 != 0;
    Ok(match ty {
        0 | 1 => TableFeatureProp::Instructions { miss, ids: decode_feature_ids(body)? },
        2 | 3 => TableFeatureProp::NextTables { miss, tables: decode_tables(body) },
        4 | 5 => TableFeatureProp::WriteActions { miss, ids: decode_feature_ids(body)? },
        6 | 7 => TableFeatureProp::ApplyActions { miss, ids: decode_feature_ids(body)? },
        8 => TableFeatureProp::Match(oxm::decode_ids(body, version)?),
        10 => TableFeatureProp::Wildcards(oxm::decode_ids(body, version)?),
        12 | 13 => TableFeatureProp::WriteSetfield { miss, fields: oxm::decode_ids(body, version)? },
        14 | 15 => TableFeatureProp::ApplySetfield { miss, fields: oxm::decode_ids(body, version)? },
        16 if version >= Version::V14 => TableFeatureProp::TableSyncFrom(decode_tables(body)),
        18 | 19 if version >= Version::V15 => {
            TableFeatureProp::WriteCopyfield { miss, fields: oxm::decode_ids(body, version)? }
        }
        20 | 21 if version >= Version::V15 => {
            TableFeatureProp::ApplyCopyfield { miss, fields: oxm::decode_ids(body, version)? }
        }
        22 if version >= Version::V15 => TableFeatureProp::PacketTypes(oxm::decode_fields(body, version)?),
        _ => TableFeatureProp::Other(property::decode_other(ty, body)?),
    })
}

fn decode_tables(body: &mut Reader<'_>) -> Vec<TableId> {
    body.take_rest().iter().map(|n| TableId(*n)).collect()
}

/// Instruction and action ids: type, len; an experimenter's `len` covers its id and data.
fn decode_feature_ids(body: &mut Reader<'_>) -> Result<Vec<FeatureId>, OfError> {
    let mut ids = Vec::with_capacity(body.remaining() / 4);
    while !body.is_empty() {
        let (ty, length) = (body.u16("type")?, body.u16("len")?);
        let experimenter = if ty == EXPERIMENTER {
            let experimenter = ExperimenterId(body.u32("experimenter")?);
            let data = body.bytes(usize::from(length).saturating_sub(8), "exp_data")?;
            Some((experimenter, Bytes::copy_from_slice(data)))
        } else {
            None
        };
        ids.push(FeatureId { ty, experimenter, length });
    }
    Ok(ids)
}

fn encode_feature(w: &mut Writer, version: Version, prop: &TableFeatureProp) -> Result<(), EncodeError> {
    let twin = |ty: u16, miss: bool| ty + u16::from(miss);
    match prop {
        TableFeatureProp::Instructions { miss, ids } => encode_ids(w, twin(0, *miss), ids),
        TableFeatureProp::NextTables { miss, tables } => encode_tables(w, twin(2, *miss), tables),
        TableFeatureProp::WriteActions { miss, ids } => encode_ids(w, twin(4, *miss), ids),
        TableFeatureProp::ApplyActions { miss, ids } => encode_ids(w, twin(6, *miss), ids),
        TableFeatureProp::Match(fields) => encode_oxm_ids(w, version, 8, fields),
        TableFeatureProp::Wildcards(fields) => encode_oxm_ids(w, version, 10, fields),
        TableFeatureProp::WriteSetfield { miss, fields } => encode_oxm_ids(w, version, twin(12, *miss), fields),
        TableFeatureProp::ApplySetfield { miss, fields } => encode_oxm_ids(w, version, twin(14, *miss), fields),
        // A property that an earlier version lacks describes what that version cannot ask for either.
        TableFeatureProp::TableSyncFrom(_) if version < Version::V14 => Ok(()),
        TableFeatureProp::WriteCopyfield { .. }
        | TableFeatureProp::ApplyCopyfield { .. }
        | TableFeatureProp::PacketTypes(_)
            if version < Version::V15 =>
        {
            Ok(())
        }
        TableFeatureProp::TableSyncFrom(tables) => encode_tables(w, 16, tables),
        TableFeatureProp::WriteCopyfield { miss, fields } => encode_oxm_ids(w, version, twin(18, *miss), fields),
        TableFeatureProp::ApplyCopyfield { miss, fields } => encode_oxm_ids(w, version, twin(20, *miss), fields),
        TableFeatureProp::PacketTypes(values) => property::encode(w, 22, |w| oxm::encode_fields(w, version, values)),
        TableFeatureProp::Other(other) => property::encode_other(w, other),
    }
}

fn encode_ids(w: &mut Writer, ty: u16, ids: &[FeatureId]) -> Result<(), EncodeError> {
    property::encode(w, ty, |w| {
        for id in ids {
            w.u16(id.ty);
            w.u16(id.length);
            if let Some((experimenter, data)) = &id.experimenter {
                w.u32(experimenter.0);
                w.bytes(data);
            }
        }
        Ok(())
    })
}

fn encode_tables(w: &mut Writer, ty: u16, tables: &[TableId]) -> Result<(), EncodeError> {
    property::encode(w, ty, |w| {
        tables.iter().for_each(|t| w.u8(t.0));
        Ok(())
    })
}

fn encode_oxm_ids(w: &mut Writer, version: Version, ty: u16, fields: &[OxmId]) -> Result<(), EncodeError> {
    property::encode(w, ty, |w| fields.iter().try_for_each(|f| oxm::encode_id(w, version, f)))
}
