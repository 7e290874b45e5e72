//! Flow tables' configuration, description, statistics and features (OpenFlow 1.3.5 §7.3.3,
//! §7.3.5.4-5; 1.5.1 §7.3.4.1, §7.3.5.16-18).

use crate::group::OtherProp;
use crate::ids::{ExperimenterId, TableId};
use crate::matching::{Match, OxmId};
use bitflags::bitflags;

bitflags! {
    /// `ofp_table_config`; bits 0-1 are 1.1-1.2's miss behaviour (`OFPTC_TABLE_MISS_*`).
    ///
    /// OpenFlow 1.3.5 §7.3.3, 1.4.1 §7.3.4.1, 1.5.1 §7.3.4.1, 1.1.0 §A.3.3.
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

/// A property of table-mod and table-desc (1.4+; `ofp_table_mod_prop_type`).
///
/// OpenFlow 1.4.1 §7.3.4.1, 1.5.1 §7.3.4.1.
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

/// `OFPT_TABLE_MOD`: configures a table.
///
/// OpenFlow 1.3.5 §7.3.3, 1.4.1 §7.3.4.1, 1.5.1 §7.3.4.1, 1.1.0 §A.3.3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableMod {
    /// Which (`ALL`: every table).
    pub table: TableId,
    /// Configuration.
    pub config: TableConfig,
    /// Properties.
    pub properties: Vec<TableModProp>,
}

/// `ofp_table_desc`, an entry of the table-desc reply (1.4+).
///
/// OpenFlow 1.4.1 §7.3.5.5, 1.5.1 §7.3.5.17.
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
///
/// OpenFlow 1.4.1 §7.4.5, 1.5.1 §7.4.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableStatus {
    /// `OFPTR_VACANCY_DOWN` (3) or `UP` (4).
    pub reason: u8,
    /// The table.
    pub desc: TableDesc,
}

/// `ofp_table_stats`, an entry of the table statistics reply. What 1.0-1.2 say besides is in `legacy`.
///
/// OpenFlow 1.3.5 §7.3.5.4, 1.4.1 §7.3.5.4, 1.5.1 §7.3.5.16, 1.0.0 §5.3.5, 1.1.0 §A.3.6.
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
///
/// OpenFlow 1.0.0 §5.3.5, 1.1.0 §A.3.6.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LegacyTable {
    /// Name, 31 bytes at most.
    pub name: String,
    /// Fields that can be wildcards: 1.0, 1.1: `OFPFW_*`; 1.2: bitmap of OXM fields.
    pub wildcards: u64,
    /// Fields that can be matched (1.1, 1.2), in the same bits.
    pub matching: u64,
    /// Bitmap of instruction types (1.1, 1.2).
    pub instructions: u32,
    /// Bitmap of action types in `OFPIT_WRITE_ACTIONS` (1.1, 1.2).
    pub write_actions: u32,
    /// Bitmap of action types in `OFPIT_APPLY_ACTIONS` (1.1, 1.2).
    pub apply_actions: u32,
    /// Bitmap of OXM fields that the action set can set (1.2).
    pub write_setfields: u64,
    /// Bitmap of OXM fields that an action list can set (1.2).
    pub apply_setfields: u64,
    /// Metadata bits that can be matched (1.2).
    pub metadata_match: u64,
    /// Metadata bits that can be written (1.2).
    pub metadata_write: u64,
    /// `OFPTC_*` (1.1, 1.2).
    pub config: u32,
    /// Most entries.
    pub max_entries: u32,
}

/// A type number, or an experimenter's, in a feature list (`ofp_instruction_id`, `ofp_action_id`).
///
/// OpenFlow 1.3.5 §7.3.5.5.2, 1.4.1 §7.3.5.6.2, 1.5.1 §7.3.5.18.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeatureId {
    /// The wire type.
    pub ty: u16,
    /// Whose, for type 0xffff, with the bytes after the id.
    pub experimenter: Option<(ExperimenterId, bytes::Bytes)>,
    /// The `len` field as sent (recorded messages say 4 or the action's size).
    pub length: u16,
}

/// A table-features property (`ofp_table_feature_prop_type`). `miss` picks the `_MISS` twin, which speaks of the
/// table-miss entry.
///
/// OpenFlow 1.3.5 §7.3.5.5.2, 1.4.1 §7.3.5.6.2, 1.5.1 §7.3.5.18.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TableFeatureProp {
    /// `OFPTFPT_INSTRUCTIONS`: instructions that entries can have.
    Instructions {
        /// Of the table-miss entry.
        miss: bool,
        /// Types.
        ids: Vec<FeatureId>,
    },
    /// `OFPTFPT_NEXT_TABLES`: tables that goto-table can name.
    NextTables {
        /// Of the table-miss entry.
        miss: bool,
        /// Tables.
        tables: Vec<TableId>,
    },
    /// `OFPTFPT_WRITE_ACTIONS`: actions that write-actions can hold.
    WriteActions {
        /// Of the table-miss entry.
        miss: bool,
        /// Types.
        ids: Vec<FeatureId>,
    },
    /// `OFPTFPT_APPLY_ACTIONS`: actions that apply-actions can hold.
    ApplyActions {
        /// Of the table-miss entry.
        miss: bool,
        /// Types.
        ids: Vec<FeatureId>,
    },
    /// `OFPTFPT_MATCH`: fields that can be matched.
    Match(Vec<OxmId>),
    /// `OFPTFPT_WILDCARDS`: fields that can be left out of a match.
    Wildcards(Vec<OxmId>),
    /// `OFPTFPT_WRITE_SETFIELD`: fields that the action set can set.
    WriteSetfield {
        /// Of the table-miss entry.
        miss: bool,
        /// Fields.
        fields: Vec<OxmId>,
    },
    /// `OFPTFPT_APPLY_SETFIELD`: fields that an action list can set.
    ApplySetfield {
        /// Of the table-miss entry.
        miss: bool,
        /// Fields.
        fields: Vec<OxmId>,
    },
    /// `OFPTFPT_TABLE_SYNC_FROM` (1.4+): tables whose entries this one takes over.
    TableSyncFrom(Vec<TableId>),
    /// `OFPTFPT_WRITE_COPYFIELD` (1.5): fields that the action set can copy.
    WriteCopyfield {
        /// Of the table-miss entry.
        miss: bool,
        /// Fields.
        fields: Vec<OxmId>,
    },
    /// `OFPTFPT_APPLY_COPYFIELD` (1.5): fields that an action list can copy.
    ApplyCopyfield {
        /// Of the table-miss entry.
        miss: bool,
        /// Fields.
        fields: Vec<OxmId>,
    },
    /// `OFPTFPT_PACKET_TYPES` (1.5): `packet_type` values.
    PacketTypes(Match),
    /// Anything else.
    Other(OtherProp),
}

/// `ofp_table_features`, an entry of the table-features request or reply.
///
/// OpenFlow 1.3.5 §7.3.5.5.1, 1.4.1 §7.3.5.6.1, 1.5.1 §7.3.5.18.1.
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
