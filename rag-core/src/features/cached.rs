//! What is kept in the cache, and under which keys.
//!
//! | bytes of a value | |
//! |---|---|
//! | 0..4 | version of the feature schema, little-endian |
//! | 4..12 | first bytes of its hash |
//! | 12.. | the features |

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::extract::Work;
use crate::cache::CacheKey;
use crate::error::Result;

/// Bytes before the features.
const HEADER: usize = 12;

/// Kinds of values: of a question and a document, and of a document alone.
pub(super) const MATCHING: &str = "matching";
pub(super) const FACTS: &str = "facts";

impl Work<'_> {
    /// A key for every candidate.
    pub(super) fn keys(&self, kind: &str, query: u128, epoch: u64) -> Vec<CacheKey> {
        if self.extractor.cache.is_none() {
            return Vec::new();
        }
        let tenant: Arc<str> = self.question.tenant.into();
        let context = hash(&[kind.as_bytes(), &self.instance.to_le_bytes()]);
        let key = |&document: &u64| CacheKey { tenant: tenant.clone(), context, query, document, epoch };
        self.docs.iter().map(key).collect()
    }

    /// What the cache has for each candidate; a value of another schema counts as none.
    pub(super) fn cached(&self, keys: &[CacheKey]) -> Result<Vec<Option<Arc<[u8]>>>> {
        let Some(cache) = &self.extractor.cache else { return Ok(vec![None; self.docs.len()]) };
        let header = self.header();
        let mut values = cache.get_many(keys)?;
        values.resize(keys.len(), None);
        for value in &mut values {
            if value.as_ref().is_some_and(|value| !value.starts_with(&header)) {
                *value = None;
            }
        }
        Ok(values)
    }

    /// Keeps the features of the candidates at these positions. A cache that takes nothing is no reason to rank worse.
    pub(super) fn keep(&self, keys: &[CacheKey], features: impl Iterator<Item = (usize, Vec<u8>)>) {
        let Some(cache) = &self.extractor.cache else { return };
        let header = self.header();
        let entries = features.map(|(position, bytes)| {
            let value: Arc<[u8]> = header.iter().copied().chain(bytes).collect();
            (keys[position].clone(), value)
        });
        if let Err(error) = cache.put_many(entries.collect()) {
            tracing::warn!(%error, "the feature cache takes nothing");
        }
    }

    /// Hash of everything about the question that features depend on.
    pub(super) fn query_hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        hasher.update(&[u8::from(self.question.syntax), u8::from(self.question.vector.is_some())]);
        for value in self.question.vector.unwrap_or_default() {
            hasher.update(&value.to_le_bytes());
        }
        hasher.update(self.question.text.as_bytes());
        hasher.digest128()
    }

    /// Changes with every commit, and when entries of deleted chunks are merged away in between.
    pub(super) fn epoch(&self) -> u64 {
        let (seq, entries) = (self.sources.seq.to_le_bytes(), self.sources.lexical.entries().to_le_bytes());
        hash(&[&seq[..], &entries]) as u64
    }

    fn header(&self) -> [u8; HEADER] {
        let schema = &self.extractor.plan.schema;
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&schema.version().to_le_bytes());
        header[4..].copy_from_slice(&(hash(&[schema.hash().as_bytes()]) as u64).to_le_bytes());
        header
    }
}

/// The features of a value.
pub(super) fn payload(value: &[u8]) -> &[u8] {
    value.get(HEADER..).unwrap_or_default()
}

/// Hash of several pieces, each with its length.
pub(super) fn hash<T: AsRef<[u8]> + ?Sized>(pieces: &[&T]) -> u128 {
    let mut hasher = Xxh3::new();
    for piece in pieces {
        let bytes = piece.as_ref();
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hasher.digest128()
}

/// Little-endian floats; `None` for bytes that end in the middle of one.
pub(super) fn floats(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
