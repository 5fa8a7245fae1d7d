//! Nearest vectors: the [`VectorIndex`] and [`VectorIndexMut`] traits and the backends behind them.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod flat;
#[cfg(feature = "hnsw")]
mod graph;
#[cfg(feature = "hnsw")]
mod hnsw;
#[cfg(feature = "hnsw")]
mod keyed;
mod quantise;
mod scan;
mod segment;

use std::fmt;
use std::sync::Arc;

pub use flat::{FlatIndex, Merged};
#[cfg(feature = "hnsw")]
pub use hnsw::{HnswBuild, HnswGraph, HnswIndex, HnswParams};
#[cfg(feature = "hnsw")]
pub use keyed::{KeyedIndex, KeyedOptions, KeyedQuery, MAX_NEIGHBOURS, Metric, Neighbours};
pub use segment::{FlatSegment, SegmentBytes};

use crate::error::{Error, Result};
use crate::types::{Cancel, ChunkId, DocNum, IdSet};

/// Longest vectors that an index takes, in values.
pub const MAX_DIMENSION: usize = 65_536;

/// What a backend can do.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Short name, as in the configuration: `flat`, `hnsw`.
    pub backend: &'static str,
    /// Whether the answer is always the true nearest neighbours.
    pub exact: bool,
    /// Whether sealed data is read from disk at open instead of built again.
    pub persistent: bool,
}

/// One question to a vector index. Similarity is the inner product; vectors have length 1, so it is the cosine.
#[derive(Debug, Clone, Copy)]
pub struct VectorQuery<'a> {
    /// As long as the dimension of the index, finite.
    pub vector: &'a [f32],
    /// Number of chunks wanted, at least 1.
    pub k: usize,
    /// Candidates of an approximate search; `None`: as many as the index was set up with.
    pub ef: Option<usize>,
    /// Only chunks of these documents; `None`: all that the index holds.
    pub allow: Option<&'a IdSet>,
    /// Checked between blocks of work.
    pub cancel: &'a Cancel,
}

/// One found chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorHit {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Inner product with the query in full precision; higher is closer.
    pub score: f32,
}

/// What a search found and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorHits {
    /// Best first; ties by ascending chunk id.
    pub hits: Vec<VectorHit>,
    /// How the answer was found, for `explain`: `exact scan`, `graph`, …
    pub plan: &'static str,
    /// Number of vectors whose distance was computed.
    pub scanned: usize,
}

/// An immutable view of an index: many threads search it while a writer prepares the next one.
pub trait VectorIndex: Send + Sync + fmt::Debug {
    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Length of each vector.
    fn dimension(&self) -> usize;

    /// Number of vectors, those of removed documents included until compaction.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The documents whose vectors this view holds.
    fn documents(&self) -> &IdSet;

    /// The vectors of one document, row-major in the order of its chunks; empty when it has none.
    fn vectors_of(&self, doc: DocNum) -> &[f32];

    /// The `k` nearest chunks.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong dimension, a value that is not finite or `k = 0`; `Cancelled` and `DeadlineExceeded`.
    fn search(&self, query: &VectorQuery<'_>) -> Result<VectorHits>;
}

/// The writing side of an index. Changes are seen by nobody until [`VectorIndexMut::publish`].
pub trait VectorIndexMut: Send + fmt::Debug {
    /// The documents that the next published view will hold.
    fn documents(&self) -> &IdSet;

    /// Adds all chunks of a new document revision: `vectors` is row-major, row `i` is chunk `i`; may be empty.
    ///
    /// # Errors
    /// `InvalidArgument` for a ragged or non-finite matrix; `Conflict` when the revision is there already.
    fn insert(&mut self, doc: DocNum, vectors: &[f32]) -> Result<()>;

    /// Takes a document revision out; whether it was there.
    fn remove(&mut self, doc: DocNum) -> bool;

    /// An immutable view with every change so far.
    ///
    /// # Errors
    /// What building the view reports; the changes stay.
    fn publish(&mut self) -> Result<Arc<dyn VectorIndex>>;
}

/// Checks shared by every backend's [`VectorIndex::search`].
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub(crate) fn check_query(query: &VectorQuery<'_>, dimension: usize) -> Result<()> {
    if query.k == 0 {
        return Err(Error::invalid("`k` is 0; ask for at least one neighbour"));
    }
    check_vectors("vector", query.vector, dimension)?;
    if query.vector.len() == dimension {
        Ok(())
    } else {
        Err(Error::invalid(format!("`vector` has {} values; the index has dimension {dimension}", query.vector.len())))
    }
}

/// Checks that `values` are whole rows of finite numbers.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub(crate) fn check_vectors(field: &str, values: &[f32], dimension: usize) -> Result<()> {
    if dimension == 0 || !values.len().is_multiple_of(dimension) {
        return Err(Error::invalid(format!(
            "`{field}` has {} values; the index has dimension {dimension}",
            values.len()
        )));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::invalid(format!("`{field}` has a value that is not finite at position {at}"))),
        None => Ok(()),
    }
}
