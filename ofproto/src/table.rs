//! Flow tables' configuration, description, statistics and features (OpenFlow 1.5.1 §7.3.5.17-19).

use crate::group::OtherProp;
use crate::ids::{ExperimenterId, TableId};
use crate::matching::{Match, OxmId};
use bitflags::bitflags;

bitflags! {
    /// `ofp_table_config`; bits 0-1 are 1.1-1.2's miss behaviour (`OFPTC_TABLE_MISS_*`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct TableConfig: u32 {
        /// `OFPTC_EVICTION`
        const EVICTION = 4;
        /// `OFPTC_VACANCY_EVENTS`
        const VACANCY_EVENTS = 8;
        const _ = !0;
    }
}

impl TableConfig {
    /// `OFPTC_TABLE_MISS_MASK` (1.1, 1.2; deprecated later).
    pub const MISS_MASK: u32 = 3;
    /// `OFPTC_TABLE_MISS_CONTINUE`
    pub const MISS_CONTINUE: u32 = 1;
    /// `OFPTC_TABLE_MISS_DROP`
    pub const MISS_DROP: u32 = 2;
}

/// A property of table-mod and table-desc (1.4+).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableModProp {
    /// `OFPTMPT_EVICTION`, `OFPTMPEF_*`
    Eviction(u32),
    /// `OFPTMPT_VACANCY`, in per cent.
    Vacancy {
        /// Event below this.
        down: u8,
        /// Event above this.
        up: u8,
        /// Free now (read-only).
        vacancy: u8,
    },
    /// Anything else.
    Other(OtherProp),
}

/// `OFPT_TABLE_MOD`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableMod {
    /// Which (`ALL`: every table).
    pub table: TableId,
    /// Configuration.
    pub config: TableConfig,
    /// Properties.
    pub properties: Vec<TableModProp>,
}

/// An entry of the table-desc reply (1.4+).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableDesc {
    /// Which.
    pub table: TableId,
    /// Configuration.
    pub config: TableConfig,
    /// Properties.
    pub properties: Vec<TableModProp>,
}

/// `OFPT_TABLE_STATUS` (1.4+): why and the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableStatus {
    /// `OFPTR_VACANCY_DOWN` (3) or `UP` (4).
    pub reason: u8,
    /// The table.
    pub desc: TableDesc,
}

/// An entry of the table statistics reply. What 1.0-1.2 say besides is in `legacy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableStats {
    /// Which.
    pub table: TableId,
    /// Entries.
    pub active_count: u32,
    /// Packets looked up.
    pub lookup_count: u64,
    /// Packets that hit.
    pub matched_count: u64,
    /// 1.0-1.2's description of the table.
    pub legacy: Option<Box<LegacyTable>>,
}

/// What `ofp_table_stats` of 1.0, 1.1 and 1.2 says of a table's abilities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the specification's own words")]
pub struct LegacyTable {
    pub name: String,
    /// 1.0, 1.1: `OFPFW_*`; 1.2: bitmap of OXM fields.
    pub wildcards: u64,
    pub matching: u64,
    pub instructions: u32,
    pub write_actions: u32,
    pub apply_actions: u32,
    pub write_setfields: u64,
    pub apply_setfields: u64,
    pub metadata_match: u64,
    pub metadata_write: u64,
    pub config: u32,
    pub max_entries: u32,
}

/// A type number, or an experimenter's, in a feature list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeatureId {
    /// The wire type.
    pub ty: u16,
    /// Whose, for type 0xffff, with the bytes after the id.
    pub experimenter: Option<(ExperimenterId, bytes::Bytes)>,
    /// The `len` field as sent (recorded messages say 4 or the action's size).
    pub length: u16,
}

/// A table-features property. `miss` picks the `_MISS` twin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields' meaning is the property's")]
pub enum TableFeatureProp {
    Instructions {
        miss: bool,
        ids: Vec<FeatureId>,
    },
    NextTables {
        miss: bool,
        tables: Vec<TableId>,
    },
    WriteActions {
        miss: bool,
        ids: Vec<FeatureId>,
    },
    ApplyActions {
        miss: bool,
        ids: Vec<FeatureId>,
    },
    Match(Vec<OxmId>),
    Wildcards(Vec<OxmId>),
    WriteSetfield {
        miss: bool,
        fields: Vec<OxmId>,
    },
    ApplySetfield {
        miss: bool,
        fields: Vec<OxmId>,
    },
    TableSyncFrom(Vec<TableId>),
    WriteCopyfield {
        miss: bool,
        fields: Vec<OxmId>,
    },
    ApplyCopyfield {
        miss: bool,
        fields: Vec<OxmId>,
    },
    /// `OFPTFPT_PACKET_TYPES` (1.5): packet_type values.
    PacketTypes(Match),
    Other(OtherProp),
}

/// An entry of the table-features request or reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableFeatures {
    /// Which.
    pub table: TableId,
    /// `OFPTFC_*` of a 1.5 request (0 before).
    pub command: u8,
    /// `OFPTFF_*` (1.5).
    pub features: u32,
    /// Name, 31 bytes at most.
    pub name: String,
    /// Metadata bits that can be matched.
    pub metadata_match: u64,
    /// Metadata bits that can be written.
    pub metadata_write: u64,
    /// Capabilities (1.3: `config`).
    pub capabilities: TableConfig,
    /// Most entries.
    pub max_entries: u32,
    /// Properties.
    pub properties: Vec<TableFeatureProp>,
}
