//! A map from 32-bit ids to shared values whose copies are cheap: a tree of 32 ways and three levels over
//! the hashed id.
//!
//! The single writer changes its own copy; a snapshot already handed out keeps the old nodes. A change
//! costs the copies of the three nodes on its way and of one leaf, however many values there are up to
//! about a million.

use std::sync::Arc;

const WAYS: usize = 32;

type Node<T> = [Option<Arc<T>>; WAYS];
/// Few: one for each of 32768 hashes.
type Leaf<V> = Vec<(u32, V)>;

/// The map. Cloning it costs a reference count.
#[derive(Clone, Debug)]
pub struct Shards<V> {
    root: Arc<Node<Node<Node<Leaf<V>>>>>,
    len: usize,
}

impl<V: Clone> Default for Shards<V> {
    fn default() -> Self {
        Self { root: Arc::default(), len: 0 }
    }
}

/// Where an id is, level by level.
const fn way(id: u32) -> [usize; 3] {
    let h = id.wrapping_mul(0x9e37_79b1);
    [(h >> 27) as usize, (h >> 22) as usize % WAYS, (h >> 17) as usize % WAYS]
}

impl<V: Clone> Shards<V> {
    /// The value of `id`.
    #[inline]
    pub fn get(&self, id: u32) -> Option<&V> {
        let [a, b, c] = way(id);
        let leaf = self.root[a].as_ref()?[b].as_ref()?[c].as_ref()?;
        leaf.iter().find(|(k, _)| *k == id).map(|(_, v)| v)
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
        let leaf = self.leaf_mut(id);
        if let Some((_, v)) = leaf.iter_mut().find(|(k, _)| *k == id) {
            return Some(std::mem::replace(v, value));
        }
        leaf.push((id, value));
        self.len += 1;
        None
    }

    /// Removes `id`.
    pub fn remove(&mut self, id: u32) -> Option<V> {
        self.get(id)?;
        let leaf = self.leaf_mut(id);
        let at = leaf.iter().position(|(k, _)| *k == id)?;
        let (_, old) = leaf.swap_remove(at);
        self.len -= 1;
        Some(old)
    }

    fn leaf_mut(&mut self, id: u32) -> &mut Leaf<V> {
        let [a, b, c] = way(id);
        let high = Arc::make_mut(Arc::make_mut(&mut self.root)[a].get_or_insert_default());
        let low = Arc::make_mut(high[b].get_or_insert_default());
        Arc::make_mut(low[c].get_or_insert_default())
    }

    /// Every id and value, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        let leaves = self.root.iter().flatten().flat_map(|h| h.iter().flatten().flat_map(|l| l.iter().flatten()));
        leaves.flat_map(|leaf| leaf.iter().map(|(k, v)| (*k, v)))
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
