//! A cache of what was computed about documents: the trait, and the one in memory.
//!
//! Keys name everything that a value depends on, so nothing is ever invalidated: what changed has another key, and what
//! nobody asks for any more is the first to go.

mod memory;

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::types::DocNum;

pub use memory::MemoryCache;

/// What a cached value belongs to.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The tenant, by name: no collision of hashes shows one tenant what is another's.
    pub tenant: Arc<str>,
    /// Hash of the data folder, the model, the analyser, the feature schema and the kind of value.
    pub context: u128,
    /// Hash of the question and its vector; 0 for what holds for every question.
    pub query: u128,
    /// The document revision; an update has another number.
    pub document: DocNum,
    /// Hash of the commit and the statistics of the collection; 0 for what does not depend on them.
    pub epoch: u64,
}

/// Numbers about a cache, since it was made.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Values asked for that were there.
    pub hits: u64,
    /// Values asked for that were not.
    pub misses: u64,
    /// Values that are there.
    pub entries: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
}

impl CacheStats {
    /// Share of the values asked for that were there; `None` before anything was asked.
    ///
    /// ```
    /// assert_eq!(rag_core::cache::CacheStats::default().hit_ratio(), None);
    /// ```
    pub fn hit_ratio(&self) -> Option<f64> {
        let asked = self.hits + self.misses;
        (asked > 0).then(|| self.hits as f64 / asked as f64)
    }
}

/// A cache of bytes. It may forget anything at any time; it must never give what was put under another key.
pub trait FeatureCache: Send + Sync + fmt::Debug {
    /// The values of these keys, in their order; `None` for what is not there.
    ///
    /// # Errors
    /// What the cache reports; the search then does without learning to rank and says so.
    fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Arc<[u8]>>>>;

    /// Keeps values.
    ///
    /// # Errors
    /// What the cache reports; it is logged, and the search goes on.
    fn put_many(&self, entries: Vec<(CacheKey, Arc<[u8]>)>) -> Result<()>;

    /// Numbers since the cache was made.
    fn stats(&self) -> CacheStats;
}
