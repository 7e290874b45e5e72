//! What a cache tells of itself.

/// How a cache fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Packets served from it.
    pub hits: u64,
    /// Packets that it didn't know. Each packet is one of hits, misses, stale and bypassed.
    pub misses: u64,
    /// Packets whose entry was found stale.
    pub stale: u64,
    /// Walks remembered.
    pub inserts: u64,
    /// Packets that went past it because it didn't pay.
    pub bypassed: u64,
}

impl CacheStats {
    /// Packets, whatever became of them.
    pub const fn packets(&self) -> u64 {
        self.hits + self.misses + self.stale + self.bypassed
    }

    /// What has come since `before`, of the same cache.
    pub const fn since(self, before: Self) -> Self {
        Self {
            hits: self.hits.saturating_sub(before.hits),
            misses: self.misses.saturating_sub(before.misses),
            stale: self.stale.saturating_sub(before.stale),
            inserts: self.inserts.saturating_sub(before.inserts),
            bypassed: self.bypassed.saturating_sub(before.bypassed),
        }
    }
}

impl std::ops::AddAssign for CacheStats {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.stale += other.stale;
        self.inserts += other.inserts;
        self.bypassed += other.bypassed;
    }
}
