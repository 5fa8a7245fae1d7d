//! Approximate graph search (Malkov & Yashunin 2018, "Efficient and robust approximate nearest neighbor search using
//! hierarchical navigable small world graphs") by the hnsw_rs crate.
//!
//! An exact index stands beside the graph and owns the vectors. It scores what the graph finds, answers where the graph is
//! not worth it (few vectors, narrow filters, large `k`) or not there yet, and is what can be sealed. The graph is in
//! memory only and made again after open, by [`HnswIndex::start_build`] on any thread; until it is installed, answers are
//! exact.

use std::sync::Arc;

use rayon::prelude::*;

use super::flat::{FlatIndex, FlatView, check_length};
use super::graph::{Broken, Graph};
use super::scan::TopK;
use super::{Capabilities, VectorHits, VectorIndex, VectorIndexMut, VectorQuery, check_query};
use crate::distance::{dot_f32, norm_f32, normalize};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Cancel, ChunkId, DocNum, IdSet};

/// Most vectors that one [`VectorIndexMut::publish`] puts into the graph: what is over stays outside and is scanned.
const INLINE_ROWS: usize = 2000;
/// Points that are put into a new graph by one thread, so that those of the others find something to link to.
const SERIAL_ROWS: usize = 256;
/// Vectors between two checks of the caller's [`Cancel`] while building.
const BATCH_ROWS: usize = 2048;
/// How far from 1 the length of a vector in the graph may be; others are scanned.
const UNIT_TOLERANCE: f64 = 1e-3;

/// Settings of the graph.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HnswParams {
    /// Neighbours of a node, 2 to 256 (256 counts as 255).
    pub m: usize,
    /// Candidates while building, `m` to 10,000.
    pub ef_construction: usize,
    /// Candidates while searching, 1 to 10,000.
    pub ef_search: usize,
    /// With fewer vectors than this, visible to a query, the exact scan answers it. Default 5,000.
    pub exact_below: usize,
}

impl HnswParams {
    /// # Errors
    /// `InvalidArgument`, naming the field.
    pub fn new(m: usize, ef_construction: usize, ef_search: usize) -> Result<Self> {
        for (field, value, low, high) in
            [("m", m, 2, 256), ("ef_construction", ef_construction, m, 10_000), ("ef_search", ef_search, 1, 10_000)]
        {
            if !(low..=high).contains(&value) {
                return Err(Error::invalid(format!("`{field}` is {value}; give {low} to {high}")));
            }
        }
        Ok(HnswParams { m, ef_construction, ef_search, exact_below: 5000 })
    }

    /// Sets [`HnswParams::exact_below`].
    #[must_use]
    pub fn with_exact_below(mut self, rows: usize) -> Self {
        self.exact_below = rows;
        self
    }
}

/// A graph ready for [`HnswIndex::install`].
#[derive(Debug, Clone)]
pub struct HnswGraph {
    graph: Arc<Graph>,
    /// Documents whose vectors are in the graph or in `unreachable`.
    members: IdSet,
    /// Chunks that a search does not come upon, or that cannot be in the graph: scored by every search.
    unreachable: Arc<Vec<ChunkId>>,
    /// Number of points in the graph, those of removed documents included.
    points: usize,
    /// Number of points of removed documents.
    dead: usize,
}

/// The work of building a graph, to be run on any thread.
#[derive(Debug)]
pub struct HnswBuild {
    view: FlatView,
    params: HnswParams,
}

impl HnswBuild {
    /// Builds; in parallel when called inside a rayon pool.
    ///
    /// # Errors
    /// `Cancelled`, `DeadlineExceeded`; `Internal` when the graph library fails.
    pub fn run(self, cancel: &Cancel) -> Result<HnswGraph> {
        let HnswBuild { view, params } = self;
        let graph = Graph::new(params.m, params.ef_construction, view.live_rows());
        let mut made = HnswGraph {
            graph: Arc::new(graph),
            members: IdSet::new(),
            unreachable: Arc::default(),
            points: 0,
            dead: 0,
        };
        let documents: Vec<DocNum> = view.documents().iter().collect();
        made.add(&view, &documents, params, cancel)?;
        Ok(made)
    }
}

impl HnswGraph {
    /// Number of chunks that are scored by every search because the graph does not lead to them.
    pub fn unreachable_len(&self) -> usize {
        self.unreachable.len()
    }

    fn add(&mut self, view: &FlatView, documents: &[DocNum], params: HnswParams, cancel: &Cancel) -> Result<()> {
        let width = view.dimension();
        let rows_of = |&doc: &DocNum| {
            view.vectors_of(doc).chunks_exact(width).zip(0..).map(move |(row, at)| (ChunkId::new(doc, at), row))
        };
        let (unit, other): (Vec<_>, Vec<_>) = documents.iter().flat_map(rows_of).partition(|(_, row)| is_unit(row));
        let serial = SERIAL_ROWS.saturating_sub(self.points).min(unit.len());
        for (chunk, row) in &unit[..serial] {
            self.graph.insert(*chunk, row).map_err(broken)?;
        }
        for batch in unit[serial..].chunks(BATCH_ROWS) {
            cancel.check()?;
            each(batch, |(chunk, row)| self.graph.insert(*chunk, row).map_err(broken))?;
        }
        let mut lost: Vec<ChunkId> = other.into_iter().map(|(chunk, _)| chunk).collect();
        for batch in unit.chunks(BATCH_ROWS) {
            cancel.check()?;
            lost.extend(self.lost_of(batch, params.ef_search));
        }
        if !lost.is_empty() {
            Arc::make_mut(&mut self.unreachable).extend(lost);
        }
        self.points += unit.len();
        self.members.extend(documents.iter().copied());
        Ok(())
    }

    /// Those of the given points that a search for their own vector does not come upon.
    fn lost_of(&self, points: &[(ChunkId, &[f32])], ef: usize) -> Vec<ChunkId> {
        let lost = |&(chunk, row): &(ChunkId, &[f32])| (!self.graph.reaches(chunk, row, ef)).then_some(chunk);
        if in_pool() { points.par_iter().filter_map(lost).collect() } else { points.iter().filter_map(lost).collect() }
    }
}

fn is_unit(row: &[f32]) -> bool {
    (norm_f32(row) - 1.0).abs() <= UNIT_TOLERANCE
}

fn in_pool() -> bool {
    rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1
}

fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync + Send) -> Result<()> {
    if in_pool() { items.par_iter().try_for_each(work) } else { items.iter().try_for_each(work) }
}

fn broken(Broken: Broken) -> Error {
    Error::internal("the graph library failed; the exact scan answers instead")
}

/// An immutable view of an [`HnswIndex`]. Points that are added to the graph later are not visible in it.
#[derive(Debug)]
struct HnswView {
    flat: FlatView,
    params: HnswParams,
    graph: Option<HnswGraph>,
    /// Documents held whose vectors are not in the graph.
    outside: IdSet,
}

impl HnswView {
    /// The graph, if it is the better way to answer a query that may see `documents`.
    fn worthwhile(&self, query: &VectorQuery<'_>, documents: &IdSet) -> Option<&HnswGraph> {
        let graph = self.graph.as_ref()?;
        let live = self.flat.live_rows();
        let visible = live as u64 * documents.len() / self.flat.documents().len().max(1);
        let pays = visible >= self.params.exact_below as u64
            && visible * 10 >= live as u64
            && query.k <= live / 10
            && graph.unreachable.len() <= live / 4;
        pays.then_some(graph)
    }

    /// `None` when the graph fails or finds too little.
    fn search_graph(
        &self,
        graph: &HnswGraph,
        query: &VectorQuery<'_>,
        visible: &IdSet,
        filtered: bool,
    ) -> Result<Option<VectorHits>> {
        let mut unit = query.vector.to_vec();
        if normalize(&mut unit) == 0.0 || !is_unit(&unit) {
            return Ok(None);
        }
        // Half as many again, because distances in the graph are rounded in another way and dead points take room.
        let count = query.k + query.k / 2 + 16;
        let ef = query.ef.unwrap_or(self.params.ef_search).max(count);
        let is_visible = |chunk: ChunkId| visible.contains(chunk.doc());
        let filter: Option<&dyn Fn(ChunkId) -> bool> = if filtered { Some(&is_visible) } else { None };
        let Ok((mut chunks, mut scanned)) = graph.graph.search(&unit, count, ef, filter) else { return Ok(None) };
        query.cancel.check()?;
        chunks.extend(graph.unreachable.iter());
        chunks.retain(|&chunk| is_visible(chunk));
        chunks.sort_unstable();
        chunks.dedup();
        let mut best = TopK::new(query.k);
        for &chunk in &chunks {
            if let Some(score) = self.score(chunk, query.vector) {
                best.offer(chunk, score);
                scanned += 1;
            }
        }
        let outside = self.outside.intersection(visible);
        if !outside.is_empty() {
            let found = self.flat.search(&VectorQuery { allow: Some(&outside), ..*query })?;
            found.hits.iter().for_each(|hit| best.offer(hit.chunk, hit.score));
            scanned += found.scanned;
        }
        let hits = best.into_hits();
        if hits.len() < query.k {
            return Ok(None);
        }
        let plan = if filtered { "graph with a filter" } else { "graph" };
        Ok(Some(VectorHits { hits, plan, scanned }))
    }

    /// Score of a chunk in this view; `None` for one that is outside (and scanned) or not held.
    fn score(&self, chunk: ChunkId, vector: &[f32]) -> Option<f32> {
        if self.outside.contains(chunk.doc()) {
            return None;
        }
        let start = chunk.ordinal() as usize * vector.len();
        self.flat.vectors_of(chunk.doc()).get(start..start + vector.len()).map(|row| dot_f32(row, vector))
    }
}

impl VectorIndex for HnswView {
    fn capabilities(&self) -> Capabilities {
        Capabilities { backend: "hnsw", exact: false, persistent: false }
    }

    fn dimension(&self) -> usize {
        self.flat.dimension()
    }

    fn len(&self) -> usize {
        self.flat.len()
    }

    fn documents(&self) -> &IdSet {
        self.flat.documents()
    }

    fn vectors_of(&self, doc: DocNum) -> &[f32] {
        self.flat.vectors_of(doc)
    }

    fn search(&self, query: &VectorQuery<'_>) -> Result<VectorHits> {
        check_query(query, self.dimension())?;
        check_length("vector", query.vector, self.dimension())?;
        query.cancel.check()?;
        let held = self.flat.documents();
        let allowed = query.allow.map(|allow| held.intersection(allow));
        let visible = allowed.as_ref().unwrap_or(held);
        if let Some(graph) = self.worthwhile(query, visible) {
            // Many dead points would crowd out the living ones: then they are filtered inside the graph as well.
            let filtered = visible.len() < held.len() || graph.dead * 4 > graph.points;
            if let Some(found) = self.search_graph(graph, query, visible, filtered)? {
                return Ok(found);
            }
        }
        self.flat.search(query)
    }
}

/// The graph index, writing side.
///
/// A view published earlier shares the graph with later ones: it never shows what came after it, but which of two
/// equally plausible paths a search takes may change.
#[derive(Debug)]
pub struct HnswIndex {
    params: HnswParams,
    flat: FlatIndex,
    graph: Option<HnswGraph>,
    /// While a graph is being built elsewhere: the documents removed since, whose vectors in it are stale.
    removed_since: Option<IdSet>,
}

impl HnswIndex {
    /// An empty index.
    ///
    /// # Errors
    /// `InvalidArgument` for parameters or a dimension out of range; `Unsupported` on 32-bit machines.
    pub fn new(dimension: usize, params: HnswParams) -> Result<Self> {
        HnswIndex::over(FlatIndex::new(dimension)?, params)
    }

    /// An index over the vectors of `flat`, which answers exactly until a graph is installed.
    ///
    /// # Errors
    /// As [`HnswIndex::new`].
    pub fn over(flat: FlatIndex, params: HnswParams) -> Result<Self> {
        HnswParams::new(params.m, params.ef_construction, params.ef_search)?;
        if usize::BITS < 64 {
            return Err(Error::new(ErrorKind::Unsupported, "the hnsw backend needs a 64-bit machine; use `flat`"));
        }
        Ok(HnswIndex { params, flat, graph: None, removed_since: None })
    }

    /// The exact index that owns the vectors, for sealing.
    pub fn flat(&mut self) -> &mut FlatIndex {
        &mut self.flat
    }

    /// Whether a new graph is worth building: there are enough vectors, and there is none, or it lacks more than
    /// one publication adds, or more of its points are dead than alive. `false` while one is being built.
    pub fn build_wanted(&self) -> bool {
        let rows = self.flat.live_len();
        if self.removed_since.is_some() || rows < self.params.exact_below.max(1) {
            return false;
        }
        self.graph.as_ref().is_none_or(|graph| {
            let alive = graph.points - graph.dead.min(graph.points) + graph.unreachable.len();
            graph.dead * 2 > graph.points || rows > alive + INLINE_ROWS
        })
    }

    /// The work of building a graph over all vectors there are now; the index can be used meanwhile.
    pub fn start_build(&mut self) -> HnswBuild {
        self.removed_since = Some(IdSet::new());
        HnswBuild { view: self.flat.view(), params: self.params }
    }

    /// Uses a graph that [`HnswIndex::start_build`] of this index led to, from the next publication on; `None` when the
    /// build failed or was given up.
    pub fn install(&mut self, graph: Option<HnswGraph>) {
        let stale = self.removed_since.take().unwrap_or_default();
        let Some(mut graph) = graph else { return };
        // An estimate (documents, not vectors) that only decides when the next graph is worth it.
        graph.dead += stale.intersection_len(&graph.members) as usize;
        graph.members = graph.members.difference(&stale);
        self.graph = Some(graph);
    }

    /// Puts documents that the graph lacks into it, up to [`INLINE_ROWS`] vectors.
    fn extend_graph(&mut self, view: &FlatView) -> Result<()> {
        let Some(graph) = &mut self.graph else { return Ok(()) };
        let mut rows = 0;
        let missing = view.documents().difference(&graph.members);
        let chosen: Vec<DocNum> = missing
            .iter()
            .take_while(|&doc| {
                rows += view.vectors_of(doc).len() / view.dimension();
                rows <= INLINE_ROWS
            })
            .collect();
        graph.add(view, &chosen, self.params, &Cancel::never())
    }
}

impl VectorIndexMut for HnswIndex {
    fn documents(&self) -> &IdSet {
        self.flat.documents()
    }

    fn insert(&mut self, doc: DocNum, vectors: &[f32]) -> Result<()> {
        self.flat.insert(doc, vectors)
    }

    fn remove(&mut self, doc: DocNum) -> bool {
        let rows = self.flat.live_len();
        let removed = self.flat.remove(doc);
        if removed {
            if let Some(since) = &mut self.removed_since {
                since.insert(doc);
            }
            if let Some(graph) = &mut self.graph
                && graph.members.remove(doc)
            {
                graph.dead += rows - self.flat.live_len();
            }
        }
        removed
    }

    fn publish(&mut self) -> Result<Arc<dyn VectorIndex>> {
        if self.build_wanted() && self.flat.live_len() <= INLINE_ROWS {
            let build = self.start_build();
            let built = build.run(&Cancel::never()).ok();
            self.install(built);
        }
        let view = self.flat.view();
        if self.extend_graph(&view).is_err() {
            // The exact scan is always right; the engine may build a new graph.
            self.graph = None;
        }
        let outside = match &self.graph {
            Some(graph) => view.documents().difference(&graph.members),
            None => IdSet::new(),
        };
        Ok(Arc::new(HnswView { flat: view, params: self.params, graph: self.graph.clone(), outside }))
    }
}

#[cfg(test)]
mod tests;
