//! A map from 32-bit ids to shared values whose copies are cheap: 256 shared shards.
//!
//! The single writer changes its own copy; a snapshot already handed out keeps the old shards. A change
//! costs one shard's copy instead of the whole map's.

use hashbrown::HashMap;
use std::sync::Arc;

const SHARDS: usize = 256;

type Shard<V> = HashMap<u32, V, foldhash::fast::FixedState>;

/// The map. Cloning it costs a reference count per shard at the first change after it.
#[derive(Clone, Debug)]
pub struct Shards<V> {
    shards: Arc<Vec<Arc<Shard<V>>>>,
    len: usize,
}

impl<V: Clone> Default for Shards<V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self { shards: Arc::new(vec![empty; SHARDS]), len: 0 }
    }
}

const fn place(id: u32) -> usize {
    (id.wrapping_mul(0x9e37_79b1) >> 24) as usize
}

impl<V: Clone> Shards<V> {
    /// The value of `id`.
    #[inline]
    pub fn get(&self, id: u32) -> Option<&V> {
        self.shards.get(place(id))?.get(&id)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets the value of `id`, giving the old one back.
    pub fn insert(&mut self, id: u32, value: V) -> Option<V> {
        let old = self.shard_mut(id).insert(id, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes `id`.
    pub fn remove(&mut self, id: u32) -> Option<V> {
        let old = self.shard_mut(id).remove(&id);
        self.len -= usize::from(old.is_some());
        old
    }

    fn shard_mut(&mut self, id: u32) -> &mut Shard<V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[place(id)])
    }

    /// Every id and value, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        self.shards.iter().flat_map(|s| s.iter().map(|(k, v)| (*k, v)))
    }

    /// Every id, ascending.
    pub fn sorted_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.iter().map(|(k, _)| k).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_keep_what_they_saw() {
        let mut a = Shards::default();
        for i in 0..1000 {
            a.insert(i, i * 2);
        }
        let snapshot = a.clone();
        a.insert(5, 0);
        a.remove(6);
        assert_eq!((snapshot.get(5), snapshot.get(6), snapshot.len()), (Some(&10), Some(&12), 1000));
        assert_eq!((a.get(5), a.get(6), a.len()), (Some(&0), None, 999));
        assert_eq!(snapshot.sorted_ids(), (0..1000).collect::<Vec<_>>());
    }
}
