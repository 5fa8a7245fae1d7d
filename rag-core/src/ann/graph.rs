//! The guarded hnsw_rs graph: the only module that names that crate.
//!
//! The crate ends the process for more than 256 neighbours, panics on NaN and on negative distances, trusts the lengths in
//! its own files, cannot delete, starts rayon's global pool when a graph is dropped, and a parallel build may leave points
//! that nothing leads to. So: parameters are checked before, only vectors of length 1 go in, its files are not used, who
//! is visible is decided outside, every call is fenced against panics, and [`Graph::reaches`] finds what has to be
//! answered in another way.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;

use crate::distance::dot_f32;
use crate::types::ChunkId;

/// Most layers of a graph; the number of points that would need more is astronomical.
const MAX_LAYERS: usize = 16;
/// The crate keeps the number of neighbours in a byte.
const MAX_NEIGHBOURS: usize = 255;

thread_local! {
    /// Distances computed by this thread.
    static DISTANCES: Cell<usize> = const { Cell::new(0) };
}

/// `1 − cosine` of unit vectors. Rounding may carry it below 0, which the crate does not forgive.
#[derive(Debug, Clone, Copy, Default)]
struct UnitDistance;

impl Distance<f32> for UnitDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        DISTANCES.set(DISTANCES.get().wrapping_add(1));
        (1.0 - dot_f32(a, b)).max(0.0)
    }
}

/// A panic inside the crate, caught.
#[derive(Debug)]
pub(super) struct Broken;

/// Points are only added; searching and adding may happen at the same time.
pub(super) struct Graph {
    /// `None` only while being dropped.
    inner: Option<Hnsw<'static, f32, UnitDistance>>,
}

impl Graph {
    /// An empty graph. `capacity` is a hint.
    pub(super) fn new(m: usize, ef_construction: usize, capacity: usize) -> Self {
        let m = m.clamp(2, MAX_NEIGHBOURS);
        Graph { inner: Some(Hnsw::new(m, capacity, MAX_LAYERS, ef_construction.max(m), UnitDistance)) }
    }

    /// Adds a unit vector.
    pub(super) fn insert(&self, chunk: ChunkId, vector: &[f32]) -> Result<(), Broken> {
        let (Some(inner), Ok(id)) = (&self.inner, usize::try_from(chunk.to_u64())) else { return Err(Broken) };
        catch_unwind(AssertUnwindSafe(|| inner.insert_slice((vector, id)))).map_err(|_| Broken)
    }

    /// About the `count` nearest points that pass `filter`, nearest first, and the number of distances computed.
    ///
    /// Points added later than the caller knows of may be among them, and points of one chunk more than once.
    pub(super) fn search(
        &self,
        unit: &[f32],
        count: usize,
        ef: usize,
        filter: Option<&dyn Fn(ChunkId) -> bool>,
    ) -> Result<(Vec<ChunkId>, usize), Broken> {
        let Some(inner) = &self.inner else { return Err(Broken) };
        let before = DISTANCES.get();
        let found = catch_unwind(AssertUnwindSafe(|| match filter {
            None => inner.search_filter(unit, count, ef.max(2), None),
            Some(filter) => {
                let passes = |id: &usize| filter(ChunkId::from_u64(*id as u64));
                inner.search_filter(unit, count, ef.max(2), Some(&passes))
            }
        }))
        .map_err(|_| Broken)?;
        let chunks = found.iter().map(|neighbour| ChunkId::from_u64(neighbour.d_id as u64)).collect();
        Ok((chunks, DISTANCES.get().wrapping_sub(before)))
    }

    /// Whether a search for the vector of `chunk` comes upon `chunk`.
    pub(super) fn reaches(&self, chunk: ChunkId, unit: &[f32], ef: usize) -> bool {
        self.search(unit, ef, ef, None).is_ok_and(|(found, _)| found.contains(&chunk))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = self.inner.as_ref().map_or(0, Hnsw::get_nb_point);
        f.debug_struct("Graph").field("points", &points).finish_non_exhaustive()
    }
}

impl Drop for Graph {
    /// The crate takes its graph apart with rayon: outside of a pool that would start the global one for good.
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let take_apart = || catch_unwind(AssertUnwindSafe(|| drop(inner)));
        let pool = match rayon::current_thread_index() {
            Some(_) => None,
            None => rayon::ThreadPoolBuilder::new().num_threads(1).build().ok(),
        };
        // A panic here (the crate unwraps the clock) has nobody to be reported to; what is left of the graph leaks.
        let _ = match pool {
            Some(pool) => pool.install(take_apart),
            None => take_apart(),
        };
    }
}
