//! Flow tables.

use super::basic::list;
use super::codec::{bitmap, object, tagged};
use crate::table::{
    FeatureId, LegacyTable, TableConfig, TableDesc, TableFeatureProp, TableFeatures, TableMod, TableModProp,
    TableStats, TableStatus,
};

bitmap!(TableConfig(u32) { "eviction" = EVICTION, "vacancy_events" = VACANCY_EVENTS });
tagged!(property TableModProp {
    "eviction" = Eviction { "flags" 0 flags as eviction },
    "vacancy" = Vacancy { "vacancy_down" down down, "vacancy_up" up up, "vacancy" vacancy vacancy },
    "other" = Other(value),
});
list!(TableModProp, TableDesc, TableStats, TableFeatures, TableFeatureProp, FeatureId);
object!(TableMod { "table_id": table, "config": config, "properties": properties });
object!(TableDesc { "table_id": table, "config": config, "properties": properties });
object!(TableStatus { "reason": reason, "table": desc });
object!(TableStats {
    "table_id": table,
    "active_count": active_count,
    "lookup_count": lookup_count,
    "matched_count": matched_count,
    "legacy": legacy,
} default TableStats::default());
object!(LegacyTable {
    "name": name,
    "wildcards": wildcards as hex,
    "match": matching as hex,
    "instructions": instructions as hex,
    "write_actions": write_actions as hex,
    "apply_actions": apply_actions as hex,
    "write_setfields": write_setfields as hex,
    "apply_setfields": apply_setfields as hex,
    "metadata_match": metadata_match as hex,
    "metadata_write": metadata_write as hex,
    "config": config as hex,
    "max_entries": max_entries,
} default LegacyTable::default());
object!(FeatureId { "type": ty, "exp": experimenter, "length": length });
tagged!(property TableFeatureProp {
    "instructions" = Instructions { "miss" miss miss, "ids" ids ids },
    "next_tables" = NextTables { "miss" miss miss, "table_ids" tables tables },
    "write_actions" = WriteActions { "miss" miss miss, "ids" ids ids },
    "apply_actions" = ApplyActions { "miss" miss miss, "ids" ids ids },
    "match" = Match { "fields" 0 fields },
    "wildcards" = Wildcards { "fields" 0 fields },
    "write_setfield" = WriteSetfield { "miss" miss miss, "fields" fields fields },
    "apply_setfield" = ApplySetfield { "miss" miss miss, "fields" fields fields },
    "table_sync_from" = TableSyncFrom { "table_ids" 0 tables },
    "write_copyfield" = WriteCopyfield { "miss" miss miss, "fields" fields fields },
    "apply_copyfield" = ApplyCopyfield { "miss" miss miss, "fields" fields fields },
    "packet_types" = PacketTypes { "packet_types" 0 types },
    "other" = Other(value),
});
object!(TableFeatures {
    "table_id": table,
    "command": command,
    "features": features as table_features,
    "name": name,
    "metadata_match": metadata_match as hex,
    "metadata_write": metadata_write as hex,
    "capabilities": capabilities,
    "max_entries": max_entries,
    "properties": properties,
});
