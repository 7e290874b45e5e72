//! Table configuration: table-mod, eviction, vacancy events, table-desc.

use super::book::{EVICT_IMPORTANCE, EVICT_LIFETIME};
use super::{Control, Event, Op};
use crate::clock::Time;
use crate::table::Miss;
use ofproto::Version;
use ofproto::error::{ErrorKind, OfError};
use ofproto::group::OtherProp;
use ofproto::ids::TableId;
use ofproto::table::{TableConfig, TableDesc, TableMod, TableModProp, TableStatus};
use std::sync::Arc;

/// `OFPTR_VACANCY_DOWN` and `OFPTR_VACANCY_UP`
const VACANCY_DOWN: u8 = 3;
const VACANCY_UP: u8 = 4;

/// `OFPTC_TABLE_MISS_*`
fn miss_bits(miss: Miss) -> u32 {
    match miss {
        Miss::Controller => 0,
        Miss::Continue => TableConfig::MISS_CONTINUE,
        Miss::Drop => TableConfig::MISS_DROP,
    }
}

impl Control {
    /// Carries out a table-mod (OpenFlow 1.1.0 §A.3.3, 1.4.1 §7.3.4.1).
    ///
    /// # Errors
    /// `OFPTMFC_BAD_TABLE`, `OFPTMFC_BAD_CONFIG`, `OFPBPC_*`; nothing is changed then.
    pub fn table_mod(&mut self, version: Version, m: &TableMod, now: Time) -> Result<(), OfError> {
        self.atomically(now, |c| c.apply_table_mod(version, m))
    }

    fn apply_table_mod(&mut self, version: Version, m: &TableMod) -> Result<(), OfError> {
        let n = self.n_tables();
        if m.table != TableId::ALL && (m.table.0 >= n || !self.state.tables[usize::from(m.table.0)].enabled) {
            return Err(Self::no_table(ErrorKind::TableModFailedBadTable, m.table, n));
        }
        let legacy = version <= Version::V12;
        let known = if version >= Version::V14 {
            (TableConfig::EVICTION | TableConfig::VACANCY_EVENTS).bits() | TableConfig::MISS_MASK
        } else {
            TableConfig::MISS_MASK
        };
        let bad = m.config.bits() & !known;
        let miss_bits = m.config.bits() & TableConfig::MISS_MASK;
        if bad != 0 || (legacy && miss_bits == TableConfig::MISS_MASK) {
            return Err(OfError::new(
                ErrorKind::TableModFailedBadConfig,
                "config",
                format!("{:#x} is no configuration of OpenFlow {version}", m.config.bits()),
            ));
        }
        let (mut eviction, mut vacancy) = (None, None);
        for p in &m.properties {
            let twice = match p {
                TableModProp::Eviction(flags) => {
                    if flags & !(EVICT_IMPORTANCE | EVICT_LIFETIME) != 0 || *flags == 0 {
                        return Err(OfError::new(
                            ErrorKind::BadPropertyBadValue,
                            "flags",
                            format!("{flags:#x}: eviction goes by importance (2), lifetime (4) or both"),
                        ));
                    }
                    eviction.replace(*flags).is_some()
                }
                TableModProp::Vacancy { down, up, .. } => {
                    if down > up || *up > 100 {
                        return Err(OfError::new(
                            ErrorKind::BadPropertyBadValue,
                            "vacancy_down",
                            format!("{down} to {up} is no range of per cents"),
                        ));
                    }
                    vacancy.replace((*down, *up)).is_some()
                }
                TableModProp::Other(OtherProp::Experimenter(_)) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadExperimenter,
                        "properties",
                        "no experimenter property is known",
                    ));
                }
                TableModProp::Other(OtherProp::Unknown(u)) => {
                    return Err(OfError::new(
                        ErrorKind::BadPropertyBadType,
                        "properties",
                        format!("type {} is not known", u.ty),
                    ));
                }
            };
            if twice {
                return Err(OfError::new(ErrorKind::BadPropertyDupType, "properties", "given twice"));
            }
        }
        let tables = if m.table == TableId::ALL { 0..n } else { m.table.0..m.table.0 + 1 };
        for t in tables.map(TableId) {
            if legacy {
                self.set_miss(t, miss_bits);
                continue;
            }
            if version < Version::V14 {
                // Deprecated and without meaning in 1.3 (OpenFlow 1.3.5 §7.3.3).
                continue;
            }
            let domain = Arc::clone(self.writer.domain());
            let book = &mut self.tables[usize::from(t.0)];
            let before = Box::new(book.configuration.clone());
            let c = &mut book.configuration;
            c.config = m.config & (TableConfig::EVICTION | TableConfig::VACANCY_EVENTS);
            c.eviction = eviction.unwrap_or(c.eviction);
            c.vacancy = vacancy.unwrap_or(c.vacancy);
            // §7.3.4.1: which event comes first depends on where the table stands when it is enabled.
            let restart = !before.config.contains(TableConfig::VACANCY_EVENTS) || before.vacancy != c.vacancy;
            if !c.config.contains(TableConfig::VACANCY_EVENTS) {
                c.awaits_up = None;
            } else if restart {
                let up = c.vacancy.1;
                let free = book.vacancy();
                book.configuration.awaits_up = Some(free < up);
            }
            let reorder = before.config != book.configuration.config || before.eviction != book.configuration.eviction;
            if reorder && let Some(shared) = domain.table(t) {
                book.order_evictions(shared, &self.writer);
            }
            self.ops.push(Op::Configured { table: t, before });
        }
        Ok(())
    }

    fn set_miss(&mut self, table: TableId, bits: u32) {
        let miss = match bits {
            TableConfig::MISS_CONTINUE => Miss::Continue,
            TableConfig::MISS_DROP => Miss::Drop,
            _ => Miss::Controller,
        };
        let mut tables = self.state.tables.to_vec();
        let t = &mut tables[usize::from(table.0)];
        (t.miss, t.miss_configured) = (miss, true);
        self.state.tables = tables.into();
        self.state_changed = true;
    }

    /// Sets what a miss does in tables where no table-mod has said so: the default of the version
    /// that controllers speak (1.0-1.2: to the controller; 1.3 and later: dropped).
    pub fn set_default_miss(&mut self, miss: Miss, now: Time) {
        let mut tables = self.state.tables.to_vec();
        for t in tables.iter_mut().filter(|t| !t.miss_configured) {
            t.miss = miss;
        }
        if *tables != *self.state.tables {
            self.state.tables = tables.into();
            self.state_changed = true;
            self.finish(now);
        }
    }

    /// Tells if the table's free space passed a threshold (OpenFlow 1.4.1 §7.4.5).
    pub(super) fn watch_vacancy(&mut self, table: TableId) {
        let book = &mut self.tables[usize::from(table.0)];
        let Some(awaits_up) = book.configuration.awaits_up else { return };
        let free = book.vacancy();
        let (down, up) = book.configuration.vacancy;
        let reason = match awaits_up {
            false if free < down => VACANCY_DOWN,
            true if free > up => VACANCY_UP,
            _ => return,
        };
        book.configuration.awaits_up = Some(!awaits_up);
        let desc = self.desc(table);
        self.stage(Event::TableStatus(TableStatus { reason, desc }));
    }

    /// Every table's configuration bits (`OFPTC_*`) and most entries, by table id.
    pub fn table_configs(&self) -> Vec<(u32, u32)> {
        let miss = self.state.tables.iter().map(|t| if t.miss_configured { miss_bits(t.miss) } else { 0 });
        let books = self.tables.iter().map(|t| &t.configuration).zip(miss);
        books.map(|(c, miss)| (c.config.bits() | miss, c.max_entries)).collect()
    }

    /// What a table-mod of 1.1 or 1.2 said of misses (`OFPTC_TABLE_MISS_*`), where one did.
    pub fn miss_configs(&self) -> Vec<(TableId, TableConfig)> {
        let tables = (0..).map(TableId).zip(self.state.tables.iter());
        let said = tables.filter(|(_, t)| t.miss_configured);
        said.map(|(id, t)| (id, TableConfig::from_bits_retain(miss_bits(t.miss)))).collect()
    }

    /// Configuration of every table of the pipeline (1.4+).
    pub fn table_desc(&self) -> Vec<TableDesc> {
        (0..self.n_tables())
            .filter(|t| self.state.tables[usize::from(*t)].enabled)
            .map(|t| self.desc(TableId(t)))
            .collect()
    }

    fn desc(&self, table: TableId) -> TableDesc {
        let book = &self.tables[usize::from(table.0)];
        let c = &book.configuration;
        TableDesc {
            table,
            config: c.config,
            properties: vec![
                TableModProp::Eviction(c.eviction),
                TableModProp::Vacancy { down: c.vacancy.0, up: c.vacancy.1, vacancy: book.vacancy() },
            ],
        }
    }
}
