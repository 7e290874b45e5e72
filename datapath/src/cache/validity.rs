//! What a cache asks a version of the switch's state.

use super::record::CachedHit;
use super::seen::Seen;
use crate::table::changes::{MaskWords, News};
use ofproto::ids::TableId;

/// Whether what a walk saw still holds.
pub trait Validity {
    /// The version being read.
    fn version(&self) -> u64;
    /// Counts changes of ports, groups, meters and settings.
    fn epoch(&self) -> u64;
    /// The version of the latest add to a table.
    fn last_add(&self, table: TableId) -> u64;
    /// Whether an entry of the table that matches what was seen there may have come later than version `since`. Its
    /// key is under the cache's mask.
    fn may_have_come(&self, table: TableId, since: u64, seen: &Seen) -> bool;
    /// Whether the entry of the table that counts under this number may have ended later than version `since`.
    fn may_have_gone(&self, table: TableId, since: u64, stats: u32) -> bool;
    /// How many changes of a table there were, those of versions to come among them.
    fn changes(&self, table: TableId) -> u64;
    /// The number of a table's first change that this version doesn't have, if that can be told.
    fn next_change(&self, table: TableId) -> Option<u64>;
    /// Tells this version's changes of a table from number `first` on; gives the number of the first that it doesn't
    /// have, or nothing if some were missed.
    fn news(&self, table: TableId, first: u64, tell: impl FnMut(News)) -> Option<u64>;
    /// The mask of this number.
    fn mask_of(&self, table: TableId, number: u32) -> Option<MaskWords>;
    /// Whether the entry is still what this version holds.
    fn holds(&self, hit: CachedHit) -> bool;
}
