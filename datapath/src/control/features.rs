//! Table features: what tables can do, and what a controller lets them do (OpenFlow 1.3.5 §7.3.5.5,
//! 1.5.1 §7.3.5.18).

use super::{Cause, Control, Op};
use crate::clock::Time;
use crate::key::slot;
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::field::{Code, FIELDS, FieldId, FieldInfo};
use ofproto::group::OtherProp;
use ofproto::ids::TableId;
use ofproto::matching::OxmId;
use ofproto::table::{FeatureId, TableConfig, TableFeatureProp, TableFeatures};
use std::sync::Arc;

/// `OFPTFF_INGRESS_TABLE`, `EGRESS_TABLE`, `FIRST_EGRESS` (1.5)
const INGRESS: u32 = 1;
const EGRESS: u32 = 2;
const FIRST_EGRESS: u32 = 16;

/// `OFPTFC_*` (1.5)
const REPLACE: u8 = 0;
const MODIFY: u8 = 1;
const ENABLE: u8 = 2;
const DISABLE: u8 = 3;

/// `OFPAT_OUTPUT`, `OFPAT_GROUP`
const OUTPUT: u16 = 0;
const GROUP: u16 = 22;

fn in_oxm(f: &FieldInfo, version: Version) -> bool {
    slot(f.id).is_some()
        && f.since <= version
        && f.codes
            .iter()
            .any(|c| matches!(c, Code::Oxm(_)) || (matches!(c, Code::PacketRegs(_)) && version >= Version::V15))
}

fn id(ty: u16) -> FeatureId {
    FeatureId { ty, experimenter: None, length: 4 }
}

fn instruction_types(version: Version) -> Vec<u16> {
    let mut types = vec![1, 2, 3, 4, 5];
    match version {
        Version::V13 | Version::V14 => types.push(6),
        Version::V15 => types.push(7),
        _ => {}
    }
    types
}

fn action_types(version: Version) -> Vec<u16> {
    let mut types = vec![0, 11, 12];
    types.extend(15..=27);
    if version >= Version::V15 {
        types.extend([28, 29]);
    }
    types
}

fn oxm(f: &FieldInfo, mask: bool) -> OxmId {
    OxmId { has_mask: mask, ..OxmId::of(f.id) }
}

/// Whether a table belongs to the egress tables, given the first of them.
fn is_egress(table: TableId, first: Option<TableId>) -> bool {
    first.is_some_and(|e| table >= e)
}

impl Control {
    /// Everything `table` can do, in terms of `version`.
    fn ability(&self, table: TableId, version: Version) -> TableFeatures {
        let fields = || FIELDS.iter().filter(|f| in_oxm(f, version));
        let settable: Vec<OxmId> =
            fields().filter(|f| f.settable).map(|f| oxm(f, version >= Version::V15 && f.maskable)).collect();
        // Metadata is settable by set-field from 1.5 on only.
        let settable: Vec<OxmId> =
            settable.into_iter().filter(|f| version >= Version::V15 || f.field != Ok(FieldId::Metadata)).collect();
        let later: Vec<TableId> = (table.0 + 1..self.n_tables()).map(TableId).collect();
        let ids = |types: Vec<u16>| types.into_iter().map(id).collect::<Vec<_>>();
        let mut instructions = ids(instruction_types(version));
        if later.is_empty() {
            instructions.retain(|i| i.ty != 1);
        }
        let mut properties = vec![
            TableFeatureProp::Instructions { miss: false, ids: instructions },
            TableFeatureProp::NextTables { miss: false, tables: later },
            TableFeatureProp::WriteActions { miss: false, ids: ids(action_types(version)) },
            TableFeatureProp::ApplyActions { miss: false, ids: ids(action_types(version)) },
            TableFeatureProp::Match(fields().map(|f| oxm(f, f.maskable)).collect()),
            TableFeatureProp::Wildcards(fields().map(|f| oxm(f, false)).collect()),
            TableFeatureProp::WriteSetfield { miss: false, fields: settable.clone() },
            TableFeatureProp::ApplySetfield { miss: false, fields: settable.clone() },
        ];
        if version >= Version::V15 {
            properties.push(TableFeatureProp::WriteCopyfield { miss: false, fields: settable.clone() });
            properties.push(TableFeatureProp::ApplyCopyfield { miss: false, fields: settable });
        }
        let book = &self.tables[usize::from(table.0)];
        let first_egress = self.state.config.first_egress;
        let mut features = if is_egress(table, first_egress) { EGRESS } else { INGRESS };
        if first_egress.is_none() && table.0 > 0 {
            features |= EGRESS;
        }
        if first_egress == Some(table) {
            features |= FIRST_EGRESS;
        }
        TableFeatures {
            table,
            command: 0,
            features: if version >= Version::V15 { features } else { 0 },
            name: format!("table{table}"),
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            capabilities: if version >= Version::V14 {
                TableConfig::EVICTION | TableConfig::VACANCY_EVENTS
            } else {
                TableConfig::from_bits_retain(TableConfig::MISS_MASK)
            },
            max_entries: book.configuration.max_entries,
            properties,
        }
    }

    /// What every table of the pipeline does, in its order: as a controller set it, else all it can.
    pub fn table_features(&self, version: Version) -> Vec<TableFeatures> {
        (0..self.n_tables())
            .filter(|t| self.state.tables[usize::from(*t)].enabled)
            .map(|t| {
                let able = self.ability(TableId(t), version);
                let said = match &self.tables[usize::from(t)].configuration.features {
                    Some(set) => TableFeatures {
                        command: 0,
                        features: able.features,
                        capabilities: able.capabilities,
                        max_entries: able.max_entries,
                        ..TableFeatures::clone(set)
                    },
                    None => able,
                };
                TableFeatures { properties: self.placed(TableId(t), said.properties), ..said }
            })
            .collect()
    }

    /// What of a table's lists its place leaves: an egress table can write neither output nor group, an ingress
    /// table doesn't lead to egress tables (OpenFlow 1.5.1 §5.1), and none to one that is out of the pipeline.
    fn placed(&self, table: TableId, mut properties: Vec<TableFeatureProp>) -> Vec<TableFeatureProp> {
        let first = self.state.config.first_egress;
        let enabled = |t: TableId| self.state.tables.get(usize::from(t.0)).is_some_and(|t| t.enabled);
        for p in &mut properties {
            match p {
                TableFeatureProp::WriteActions { ids, .. } if is_egress(table, first) => {
                    ids.retain(|i| i.experimenter.is_some() || !matches!(i.ty, OUTPUT | GROUP));
                }
                TableFeatureProp::NextTables { tables, .. } => {
                    tables.retain(|t| enabled(*t) && is_egress(*t, first) == is_egress(table, first));
                }
                _ => {}
            }
        }
        properties
    }

    /// Sets table features: all that is asked for, or nothing. Tables that change or leave the
    /// pipeline lose their flows, and nobody is told (OpenFlow 1.3.5 §7.3.5.5); so do those that become egress
    /// tables or ingress tables again, and with them what leads across from tables that stay what they are.
    ///
    /// # Errors
    /// `OFPTFFC_*`, 1.4+ `OFPBPC_*`; nothing is changed then.
    pub fn set_table_features(
        &mut self,
        version: Version,
        request: &[TableFeatures],
        now: Time,
    ) -> Result<(), OfError> {
        self.atomically(now, |c| c.apply_table_features(version, &[version], request))
    }

    /// What controllers have made of the tables: requests in 1.5's terms that make the same of new ones, one
    /// after the other, by [`restore_table_features`](Self::restore_table_features).
    pub fn table_features_set(&self) -> Vec<Vec<TableFeatures>> {
        let first_egress = self.state.config.first_egress;
        let mut requests = Vec::new();
        let mut disabled = Vec::new();
        for t in (0..self.n_tables()).map(TableId) {
            let able = self.ability(t, Version::V15);
            let set = self.tables[usize::from(t.0)].configuration.features.as_deref();
            if set.is_some() || first_egress == Some(t) {
                let (features, capabilities, max_entries) = (able.features, able.capabilities, able.max_entries);
                // No properties: they stay.
                let said = set.cloned().unwrap_or(TableFeatures { properties: Vec::new(), ..able.clone() });
                requests.push(vec![TableFeatures { command: MODIFY, features, capabilities, max_entries, ..said }]);
            }
            if !self.state.tables[usize::from(t.0)].enabled {
                disabled.push(TableFeatures { command: DISABLE, features: 0, properties: Vec::new(), ..able });
            }
        }
        if !disabled.is_empty() {
            requests.push(disabled);
        }
        requests
    }

    /// Makes of the tables what they were made once, in whatever version: all of it, or nothing.
    ///
    /// # Errors
    /// As [`set_table_features`](Self::set_table_features), in 1.3's terms if no version would take it.
    pub fn restore_table_features(&mut self, request: &[TableFeatures], now: Time) -> Result<(), OfError> {
        // Actions and instructions have other numbers in each.
        const SAID_IN: [Version; 3] = [Version::V15, Version::V14, Version::V13];
        self.atomically(now, |c| c.apply_table_features(Version::V15, &SAID_IN, request))
    }

    /// `version` says what the request means, one of `said_in` what is in its lists.
    fn apply_table_features(
        &mut self,
        version: Version,
        said_in: &[Version],
        request: &[TableFeatures],
    ) -> Result<(), OfError> {
        // Before 1.5 every set replaces; from it on the first entry's command counts.
        let command = if version >= Version::V15 { request.first().map_or(REPLACE, |f| f.command) } else { REPLACE };
        if command > DISABLE {
            return Err(OfError::new(
                ErrorKind::TableFeaturesFailedBadCommand,
                "command",
                format!("{command} is no table-features command"),
            ));
        }
        let n = self.n_tables();
        let mut listed = vec![false; usize::from(n)];
        for f in request {
            if f.table.0 >= n {
                return Err(Self::no_table(ErrorKind::TableFeaturesFailedBadTable, f.table, n));
            }
            if std::mem::replace(&mut listed[usize::from(f.table.0)], true) {
                return Err(OfError::new(
                    ErrorKind::TableFeaturesFailedBadTable,
                    "table_id",
                    format!("table {} is given twice", f.table),
                ));
            }
            if command <= MODIFY {
                let checked = said_in.iter().map(|v| self.check_ability(*v, f));
                checked.reduce(Result::or).unwrap_or(Ok(()))?;
            }
        }
        let mut tables = self.state.tables.to_vec();
        let mut first_egress = self.state.config.first_egress;
        let mut lose = Vec::new();
        for f in request {
            let i = usize::from(f.table.0);
            match command {
                ENABLE => tables[i].enabled = true,
                DISABLE => {
                    tables[i].enabled = false;
                    lose.push(f.table);
                }
                _ => {
                    if command == REPLACE {
                        tables[i].enabled = true;
                    }
                    if version >= Version::V15 && f.features & FIRST_EGRESS != 0 {
                        first_egress = Some(f.table);
                    } else if version >= Version::V15 && first_egress == Some(f.table) {
                        first_egress = None;
                    }
                    let mut new = f.clone();
                    let able = self.ability(f.table, version);
                    if f.properties.is_empty() {
                        // 1.5: unchanged.
                        let book = &self.tables[i].configuration;
                        new.properties =
                            book.features.as_ref().map_or_else(|| able.properties.clone(), |s| s.properties.clone());
                    }
                    let old = self.tables[i].configuration.features.as_deref().unwrap_or(&able);
                    // Nothing changes either for who sends back what was reported.
                    let same = (old.properties == new.properties
                        || self.placed(f.table, old.properties.clone()) == new.properties)
                        && old.name == new.name
                        && (old.metadata_match, old.metadata_write) == (new.metadata_match, new.metadata_write);
                    if !same {
                        let before = Box::new(self.tables[i].configuration.clone());
                        self.tables[i].configuration.features = Some(Arc::new(new));
                        self.ops.push(Op::Configured { table: f.table, before });
                        lose.push(f.table);
                    }
                }
            }
        }
        if command == REPLACE {
            for t in (0..n).filter(|t| !listed[usize::from(*t)]) {
                tables[usize::from(t)].enabled = false;
                lose.push(TableId(t));
            }
        }
        if !tables.first().is_some_and(|t| t.enabled) {
            return Err(OfError::new(
                ErrorKind::TableFeaturesFailedBadTable,
                "table_id",
                "table 0 cannot leave the pipeline",
            ));
        }
        if first_egress.is_some_and(|e| e.0 == 0 || !tables[usize::from(e.0)].enabled) {
            return Err(OfError::new(
                ErrorKind::TableFeaturesFailedBadFeatures,
                "features",
                "the first egress table must be a later table of the pipeline",
            ));
        }
        self.state.tables = tables.into();
        let before = std::mem::replace(&mut self.state.config.first_egress, first_egress);
        // Tables that go over to the other side can do something else than before.
        let turned = |t: &TableId| is_egress(*t, before) != is_egress(*t, first_egress);
        lose.extend((0..n).map(TableId).filter(turned));
        lose.sort_unstable();
        lose.dedup();
        self.state_changed = true;
        self.behaviours.forget();
        for table in lose {
            for index in self.all_of(table) {
                self.end(table, index, Cause::Silently, true);
            }
        }
        if let Some(first) = first_egress.filter(|_| before != first_egress) {
            self.end_ways_across(first);
        }
        Ok(())
    }

    /// Ends what has a way from an ingress table to an egress table, or by resubmit back: no such one may come
    /// (OpenFlow 1.5.1 §5.1).
    fn end_ways_across(&mut self, first: TableId) {
        for table in (0..self.n_tables()).map(TableId) {
            for index in self.all_of(table) {
                let beyond = |t: TableId| (t >= first) != (table >= first);
                if self.body(table, index).is_some_and(|b| b.behaviour.program.leads_to(beyond)) {
                    self.end(table, index, Cause::Silently, true);
                }
            }
        }
    }

    fn check_ability(&self, version: Version, f: &TableFeatures) -> Result<(), OfError> {
        let able = self.ability(f.table, version);
        if version >= Version::V15 {
            Self::check_fixed(f, &able)?;
        }
        let (bad_type, bad_value, twice) = if version >= Version::V14 {
            (ErrorKind::BadPropertyBadType, ErrorKind::BadPropertyBadValue, ErrorKind::BadPropertyDupType)
        } else {
            (
                ErrorKind::TableFeaturesFailedBadType,
                ErrorKind::TableFeaturesFailedBadArgument,
                ErrorKind::TableFeaturesFailedBadArgument,
            )
        };
        let mut seen = Vec::new();
        for p in &f.properties {
            let kind = match p {
                TableFeatureProp::Other(OtherProp::Experimenter(_)) => {
                    let kind = if version >= Version::V14 { ErrorKind::BadPropertyBadExperimenter } else { bad_type };
                    return Err(OfError::new(kind, "properties", "no experimenter property is known"));
                }
                TableFeatureProp::Other(OtherProp::Unknown(u)) => {
                    return Err(OfError::new(bad_type, "properties", format!("type {} is not known", u.ty)));
                }
                TableFeatureProp::TableSyncFrom(t) if !t.is_empty() => {
                    return Err(OfError::new(bad_type, "properties", "tables are not synchronised"));
                }
                other => (std::mem::discriminant(other), is_miss(other)),
            };
            if seen.contains(&kind) {
                return Err(OfError::new(twice, "properties", "a property is given twice"));
            }
            seen.push(kind);
            if let Some(reason) = beyond(p, &able) {
                return Err(OfError::new(bad_value, "properties", reason));
            }
        }
        // A table that names what it wildcards and not what it matches on contradicts itself (1.3.5
        // §7.3.5.5.2), and one that says nothing at all says nothing. Other lists are left to the controller, as
        // some send only what they care for: Faucet none of the two for tables that match on anything. From 1.5
        // on no properties at all mean that they stay as they are.
        let names = |list: fn(&TableFeatureProp) -> bool| f.properties.iter().any(list);
        if !names(|p| matches!(p, TableFeatureProp::Match(_)))
            && (names(|p| matches!(p, TableFeatureProp::Wildcards(_)))
                || version < Version::V15 && f.properties.is_empty())
        {
            return Err(OfError::new(
                bad_value,
                "properties",
                format!("table {}: the match property is missing", f.table),
            ));
        }
        Ok(())
    }

    /// What stands beside the properties, as far as 1.5 has errors for it.
    fn check_fixed(f: &TableFeatures, able: &TableFeatures) -> Result<(), OfError> {
        let err = |kind, field, why: String| Err(OfError::new(kind, field, why));
        let capabilities = f.capabilities - able.capabilities;
        if !capabilities.is_empty() {
            let why = format!("bits {:#x} are not supported", capabilities.bits());
            return err(ErrorKind::TableFeaturesFailedBadCapa, "capabilities", why);
        }
        let features = f.features & !(INGRESS | EGRESS | FIRST_EGRESS);
        if features != 0 {
            let why = format!("bits {features:#x} are not supported");
            return err(ErrorKind::TableFeaturesFailedBadFeatures, "features", why);
        }
        if f.max_entries > able.max_entries {
            let why = format!("{}: {} are the most", f.max_entries, able.max_entries);
            return err(ErrorKind::TableFeaturesFailedBadMaxEnt, "max_entries", why);
        }
        Ok(())
    }
}

pub(super) fn is_miss(p: &TableFeatureProp) -> bool {
    use TableFeatureProp as P;
    match p {
        P::Instructions { miss, .. }
        | P::NextTables { miss, .. }
        | P::WriteActions { miss, .. }
        | P::ApplyActions { miss, .. }
        | P::WriteSetfield { miss, .. }
        | P::ApplySetfield { miss, .. }
        | P::WriteCopyfield { miss, .. }
        | P::ApplyCopyfield { miss, .. } => *miss,
        P::Match(_) | P::Wildcards(_) | P::TableSyncFrom(_) | P::PacketTypes(_) | P::Other(_) => false,
    }
}

/// What of a property the table cannot do, in words.
fn beyond(p: &TableFeatureProp, able: &TableFeatures) -> Option<String> {
    use TableFeatureProp as P;
    let ids = |asked: &[FeatureId], can: &[FeatureId]| {
        asked
            .iter()
            .find(|a| a.experimenter.is_some() || !can.iter().any(|c| c.ty == a.ty))
            .map(|a| format!("type {} is not supported", a.ty))
    };
    let fields = |asked: &[OxmId], can: &[OxmId]| {
        asked.iter().find_map(|a| match &a.field {
            Err(u) => Some(format!("field {} of class {:#06x} is not known", u.field, u.class)),
            Ok(f) => match can.iter().find(|c| c.field == Ok(*f)) {
                None => Some(format!("{} is not supported", f.info().name)),
                Some(c) if a.has_mask && !c.has_mask => Some(format!("{} has no mask", f.info().name)),
                Some(_) => None,
            },
        })
    };
    able.properties.iter().find_map(|can| match (p, can) {
        (P::Instructions { ids: a, .. }, P::Instructions { ids: c, .. })
        | (P::WriteActions { ids: a, .. }, P::WriteActions { ids: c, .. })
        | (P::ApplyActions { ids: a, .. }, P::ApplyActions { ids: c, .. }) => ids(a, c),
        // Wildcards may be the same list as the match, masks included (1.3.5 §7.3.5.5.2).
        (P::Match(a) | P::Wildcards(a), P::Match(c)) => fields(a, c),
        (P::WriteSetfield { fields: a, .. }, P::WriteSetfield { fields: c, .. })
        | (P::ApplySetfield { fields: a, .. }, P::ApplySetfield { fields: c, .. })
        | (P::WriteCopyfield { fields: a, .. }, P::WriteCopyfield { fields: c, .. })
        | (P::ApplyCopyfield { fields: a, .. }, P::ApplyCopyfield { fields: c, .. }) => fields(a, c),
        (P::NextTables { tables: a, .. }, P::NextTables { tables: c, .. }) => {
            a.iter().find(|t| !c.contains(t)).map(|t| format!("table {t} is no later table"))
        }
        _ => None,
    })
}
