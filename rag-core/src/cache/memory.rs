//! The cache in memory.

use std::fmt;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use moka::sync::Cache;

use super::{CacheKey, CacheStats, FeatureCache};
use crate::error::Result;

/// What an entry takes beside its value and the name of the tenant, which all keys of a search share: the key, two
/// counters of references, and the cache's own nodes.
const ENTRY_BYTES: usize = size_of::<CacheKey>() + 160;

/// A cache in the memory of this process, bounded by bytes. Of what does not fit, the least often asked goes first
/// (W-TinyLFU, Einziger, Friedman & Manes 2017, by the moka crate).
///
/// ```
/// use rag_core::cache::{FeatureCache, MemoryCache};
/// let cache = MemoryCache::new(1 << 20);
/// assert_eq!(cache.stats().entries, 0);
/// ```
pub struct MemoryCache {
    /// Made for the first value: many engines never rank.
    entries: OnceLock<Cache<CacheKey, Arc<[u8]>>>,
    bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl MemoryCache {
    /// A cache of at most about `bytes`.
    pub fn new(bytes: u64) -> Self {
        MemoryCache { entries: OnceLock::new(), bytes, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    fn entries(&self) -> &Cache<CacheKey, Arc<[u8]>> {
        let weigh = |_: &CacheKey, value: &Arc<[u8]>| u32::try_from(ENTRY_BYTES + value.len()).unwrap_or(u32::MAX);
        self.entries.get_or_init(|| Cache::builder().max_capacity(self.bytes).weigher(weigh).build())
    }
}

impl FeatureCache for MemoryCache {
    fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Arc<[u8]>>>> {
        let values: Vec<_> = keys.iter().map(|key| self.entries.get().and_then(|entries| entries.get(key))).collect();
        let hits = values.iter().flatten().count() as u64;
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(values.len() as u64 - hits, Ordering::Relaxed);
        Ok(values)
    }

    fn put_many(&self, entries: Vec<(CacheKey, Arc<[u8]>)>) -> Result<()> {
        for (key, value) in entries {
            self.entries().insert(key, value);
        }
        Ok(())
    }

    fn stats(&self) -> CacheStats {
        let entries = self.entries.get();
        if let Some(entries) = entries {
            entries.run_pending_tasks();
        }
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: entries.map_or(0, Cache::entry_count),
            bytes: entries.map_or(0, Cache::weighted_size),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(tenant: &str, document: u64) -> CacheKey {
        CacheKey { tenant: tenant.into(), context: 1, query: 2, document, epoch: 3 }
    }

    #[test]
    fn what_was_put_is_found_under_its_own_key_alone() {
        let cache = MemoryCache::new(1 << 20);
        cache.put_many(vec![(key("a", 1), vec![1].into()), (key("b", 1), vec![2].into())]).unwrap();
        let found = cache.get_many(&[key("b", 1), key("a", 2), key("a", 1)]).unwrap();
        assert_eq!(found, [Some(vec![2].into()), None, Some(vec![1].into())]);
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries, stats.hit_ratio()), (2, 1, 2, Some(2.0 / 3.0)));
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let cache = MemoryCache::new(100_000);
        for document in 0..10_000 {
            cache.put_many(vec![(key("a", document), vec![0; 200].into())]).unwrap();
        }
        let stats = cache.stats();
        assert!(stats.bytes <= 100_000 && stats.entries > 100, "{stats:?}");
    }
}
