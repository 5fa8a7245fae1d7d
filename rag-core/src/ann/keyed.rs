//! A vector index on its own: vectors under ids of the caller's, without documents, store or tenants.

mod file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{HnswIndex, HnswParams, VectorIndex, VectorIndexMut, VectorQuery, check_vectors};
use crate::distance::normalize;
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::pool::Pool;
use crate::types::{Cancel, DocNum, IdSet};

/// What "near" means. Higher scores are nearer with each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Cosine of the angle, −1 to 1. Vectors are scaled to length 1 when they are added.
    #[default]
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance; the score is `−|q − x|²`.
    L2,
}

impl std::str::FromStr for Metric {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cosine" => Ok(Metric::Cosine),
            "dot" | "ip" => Ok(Metric::Dot),
            "l2" => Ok(Metric::L2),
            other => Err(Error::invalid(format!("`metric` is {other:?}; give \"cosine\", \"dot\" or \"l2\""))),
        }
    }
}

/// Settings of a [`KeyedIndex`].
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedOptions {
    /// Values of a vector.
    pub dimension: usize,
    /// What "near" means.
    pub metric: Metric,
    /// Neighbours of a node of the graph, 2 to 256. Default 16.
    pub m: usize,
    /// Candidates while building the graph. Default 200.
    pub ef_construction: usize,
    /// Threads of building and of searching many at once; 0 (the default): as many as there are processors.
    pub threads: usize,
}

impl KeyedOptions {
    /// Default settings for vectors of `dimension` values.
    pub fn new(dimension: usize) -> Self {
        KeyedOptions { dimension, metric: Metric::Cosine, m: 16, ef_construction: 200, threads: 0 }
    }

    /// Sets the metric.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// Sets neighbours and candidates of the graph.
    #[must_use]
    pub fn with_graph(mut self, m: usize, ef_construction: usize) -> Self {
        self.m = m;
        self.ef_construction = ef_construction;
        self
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Length of the vectors inside. For [`Metric::L2`] they carry `−|x|²/2` at the end, which the query meets with a 1:
    /// the inner product then orders as the distance does.
    fn width(&self) -> usize {
        self.dimension + usize::from(self.metric == Metric::L2)
    }
}

/// Most neighbours that one search may ask for.
pub const MAX_NEIGHBOURS: usize = 1_000_000;

/// What to look for among the vectors of a [`KeyedIndex`].
#[derive(Debug, Clone, Copy)]
pub struct KeyedQuery<'a> {
    /// Neighbours wanted, 1 to [`MAX_NEIGHBOURS`].
    pub k: usize,
    /// Candidates of a search in the graph; higher finds more of the true neighbours and takes longer.
    pub ef: usize,
    /// Only these ids; unknown ones are fine.
    pub allow: Option<&'a [u64]>,
    /// Threads for several queries at once; 0: those of the index.
    pub threads: usize,
    /// The caller's way to stop.
    pub cancel: &'a Cancel,
}

impl KeyedQuery<'_> {
    fn check(&self) -> Result<()> {
        if (1..=MAX_NEIGHBOURS).contains(&self.k) {
            return Ok(());
        }
        Err(Error::invalid(format!("`k` is {}; ask for 1 to {MAX_NEIGHBOURS} neighbours", self.k)))
    }
}

/// Ids and scores, best first; ties in the order of adding.
pub type Neighbours = Vec<(u64, f32)>;

/// Vectors by id, to be searched from any number of threads while others add and remove.
///
/// Searching is exact until [`KeyedIndex::build`] makes a graph. What is added after that is put into the graph or
/// scanned beside it, so nothing is ever missing. A change is seen by every search that starts after it returns.
///
/// ```
/// use rag_core::ann::{KeyedIndex, KeyedOptions, KeyedQuery};
/// let index = KeyedIndex::new(KeyedOptions::new(2))?;
/// index.add(&[7, 9], &[1.0, 0.0, 0.6, 0.8])?;
/// let cancel = rag_core::Cancel::never();
/// let query = KeyedQuery { k: 1, ef: 64, allow: None, threads: 1, cancel: &cancel };
/// assert_eq!(index.search(&[0.0, 2.0], &query)?[0].0, 9);
/// # Ok::<(), rag_core::Error>(())
/// ```
#[derive(Debug)]
pub struct KeyedIndex {
    options: KeyedOptions,
    writer: Mutex<Writer>,
    numbers: Arc<Numbers>,
    /// Held while a graph is built.
    building: Mutex<()>,
    view: ArcSwap<View>,
    /// Whether the writer has changes that the view lacks.
    changed: AtomicBool,
    pool: Pool,
}

#[derive(Debug)]
struct Writer {
    index: HnswIndex,
    numbers: Arc<Numbers>,
    /// The id of each number.
    keys: Arc<Vec<u64>>,
    is_built: bool,
}

/// Current number of each id; a number is given once. Apart from the writer, who holds its lock for as long as changes and
/// the growth of a graph take: to look an id up does not wait for that.
#[derive(Debug, Default)]
struct Numbers(Mutex<HashMap<u64, DocNum>>);

impl Numbers {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, DocNum>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct View {
    index: Arc<dyn VectorIndex>,
    keys: Arc<Vec<u64>>,
}

impl KeyedIndex {
    /// An empty index.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the setting.
    pub fn new(options: KeyedOptions) -> Result<Self> {
        if !(1..super::MAX_DIMENSION).contains(&options.dimension) {
            let most = super::MAX_DIMENSION - 1;
            return Err(Error::invalid(format!("`dimension` is {}; give 1 to {most}", options.dimension)));
        }
        let params = HnswParams::new(options.m, options.ef_construction, options.ef_construction)?;
        let mut index = HnswIndex::new(options.width(), params)?;
        let keys = Arc::<Vec<u64>>::default();
        let view = ArcSwap::from_pointee(View { index: index.publish()?, keys: keys.clone() });
        let numbers = Arc::<Numbers>::default();
        let writer = Mutex::new(Writer { index, numbers: numbers.clone(), keys, is_built: false });
        let (building, changed) = (Mutex::new(()), AtomicBool::new(false));
        let pool = Pool::new("rag-vectors", options.threads);
        Ok(KeyedIndex { options, writer, numbers, building, view, changed, pool })
    }

    /// The settings.
    pub fn options(&self) -> &KeyedOptions {
        &self.options
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.numbers.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `id` has a vector.
    pub fn contains(&self, id: u64) -> bool {
        self.numbers.lock().contains_key(&id)
    }

    /// Adds the rows of `vectors` under `ids`; an id that has a vector gets the new one, of several equal ones the last
    /// counts.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong number of values, a value that is not finite, a vector too long to compute with,
    /// and, with [`Metric::Cosine`], one of zeros. Then nothing is added.
    pub fn add(&self, ids: &[u64], vectors: &[f32]) -> Result<()> {
        let rows = self.rows("vectors", vectors, ids.len())?;
        let rows = rows.iter().map(|row| self.inner_row(row)).collect::<Result<Vec<_>>>()?;
        let mut writer = self.writer()?;
        let put = ids.iter().zip(&rows).try_for_each(|(&id, row)| writer.put(id, row));
        self.changed.store(true, Ordering::Release); // whatever went in counts, also where a later row did not
        put
    }

    /// Takes vectors out; gives how many were there.
    ///
    /// # Errors
    /// `Internal` after a defect of an earlier call.
    pub fn remove(&self, ids: &[u64]) -> Result<usize> {
        let mut writer = self.writer()?;
        let removed = ids.iter().filter(|id| writer.take(**id)).count();
        self.changed.store(true, Ordering::Release);
        Ok(removed)
    }

    /// Builds a graph over all vectors there are now: searches then take logarithmic instead of linear time, and find most
    /// of the true neighbours instead of all. With less than 5,000 vectors searching stays exact. Everything else goes on
    /// meanwhile; a second build waits for the first.
    ///
    /// # Errors
    /// `Unsupported` for a metric other than [`Metric::Cosine`]; `Cancelled` and `DeadlineExceeded`, with the index as it
    /// was.
    pub fn build(&self, cancel: &Cancel) -> Result<()> {
        if self.options.metric != Metric::Cosine {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a graph needs `metric` \"cosine\"; with others the index stays exact",
            ));
        }
        let _one_at_a_time = self.building.lock().map_err(|_| Error::internal("an earlier build ended in a defect"))?;
        let build = self.writer()?.index.start_build();
        let graph = fork::aside(|| self.pool.run_apart(|| build.run(cancel)));
        let failure = graph.as_ref().err().cloned();
        let mut writer = self.writer()?;
        writer.index.install(graph.ok());
        writer.is_built |= failure.is_none();
        self.changed.store(true, Ordering::Release);
        failure.map_or(Ok(()), Err)
    }

    /// The nearest vectors to one.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field; `Cancelled` and `DeadlineExceeded`.
    pub fn search(&self, vector: &[f32], query: &KeyedQuery<'_>) -> Result<Neighbours> {
        query.check()?;
        self.rows("query", vector, 1)?;
        let view = self.view()?;
        let allow = query.allow.map(|ids| self.numbers(ids));
        self.nearest(&view, vector, allow.as_ref(), query)
    }

    /// The nearest vectors to each row of `vectors`, row by row, on several threads.
    ///
    /// # Errors
    /// As [`KeyedIndex::search`].
    pub fn search_many(&self, vectors: &[f32], query: &KeyedQuery<'_>) -> Result<Vec<Neighbours>> {
        query.check()?;
        let rows = self.rows("query", vectors, vectors.len() / self.options.dimension)?;
        let view = self.view()?;
        let allow = query.allow.map(|ids| self.numbers(ids));
        let nearest = |row: &&[f32]| self.nearest(&view, row, allow.as_ref(), query);
        let threads = if query.threads == 0 { usize::MAX } else { query.threads };
        if threads == 1 || rows.len() < 2 {
            return rows.iter().map(nearest).collect();
        }
        self.pool.run(|| {
            let threads = threads.min(rayon::current_num_threads());
            let parts = rows.par_chunks(rows.len().div_ceil(threads));
            let found = parts.map(|part| part.iter().map(nearest).collect::<Result<Vec<_>>>());
            Ok(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Writes everything to one file, whole or not at all; a graph is not kept, but built again by [`KeyedIndex::load`].
    ///
    /// # Errors
    /// Failures of the disk.
    pub fn save(&self, path: &Path) -> Result<()> {
        let view = self.view()?;
        let is_built = self.writer()?.is_built;
        file::save(path, &self.options, &view, is_built)
    }

    /// Reads what [`KeyedIndex::save`] wrote, with `threads` as in [`KeyedOptions::threads`], and builds the graph where
    /// there was one.
    ///
    /// # Errors
    /// `NotFound`, `Corruption`; as [`KeyedIndex::build`].
    pub fn load(path: &Path, threads: usize, cancel: &Cancel) -> Result<Self> {
        KeyedIndex::of_file(file::load(path)?, threads, cancel)
    }

    /// What a file holds that [`KeyedIndex::save`] could have written, as an index; for fuzzing as well.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self> {
        KeyedIndex::of_file(file::parse(payload)?, 1, &Cancel::never())
    }

    fn of_file(saved: file::Saved, threads: usize, cancel: &Cancel) -> Result<Self> {
        let damaged = |error: Error| Error::corruption(format!("file of vectors: {error}")).with_source(error);
        let index = KeyedIndex::new(saved.options.with_threads(threads)).map_err(damaged)?;
        {
            let mut writer = index.writer()?;
            for (id, row) in saved.ids.iter().zip(saved.rows.chunks_exact(index.options.width())) {
                writer.put(*id, row).map_err(damaged)?;
            }
            index.changed.store(true, Ordering::Release);
        }
        if saved.is_built {
            index.build(cancel)?;
        }
        Ok(index)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        self.writer
            .lock()
            .map_err(|_| Error::internal("an earlier change of the index ended in a defect; load it again"))
    }

    /// What there is now.
    fn view(&self) -> Result<Arc<View>> {
        if self.changed.load(Ordering::Acquire) {
            let mut writer = self.writer()?;
            if self.changed.swap(false, Ordering::AcqRel) {
                let published = writer.index.publish().inspect_err(|_| self.changed.store(true, Ordering::Release))?;
                self.view.store(Arc::new(View { index: published, keys: writer.keys.clone() }));
            }
        }
        Ok(self.view.load_full())
    }

    fn numbers(&self, ids: &[u64]) -> IdSet {
        let numbers = self.numbers.lock();
        ids.iter().filter_map(|id| numbers.get(id).copied()).collect()
    }

    /// Checks a matrix of the caller's and gives its rows.
    fn rows<'a>(&self, field: &str, values: &'a [f32], rows: usize) -> Result<Vec<&'a [f32]>> {
        let dimension = self.options.dimension;
        check_vectors(field, values, dimension)?;
        if values.len() / dimension != rows {
            let given = values.len() / dimension;
            return Err(Error::invalid(format!("`{field}` has {given} rows of {dimension} values; {rows} are wanted")));
        }
        Ok(values.chunks_exact(dimension).collect())
    }

    /// A vector as the index holds it.
    fn inner_row(&self, row: &[f32]) -> Result<Vec<f32>> {
        let mut inner = row.to_vec();
        match self.options.metric {
            Metric::Cosine => {
                if normalize(&mut inner) == 0.0 {
                    return Err(Error::invalid("`vectors` has a row of zeros, which has no direction; leave it out"));
                }
            }
            Metric::Dot => {}
            Metric::L2 => inner.push((-0.5 * squared_length(row)) as f32),
        }
        super::flat::check_length("vectors", &inner, self.options.width())?;
        Ok(inner)
    }

    fn nearest(
        &self,
        view: &View,
        vector: &[f32],
        allow: Option<&IdSet>,
        query: &KeyedQuery<'_>,
    ) -> Result<Neighbours> {
        let mut inner = vector.to_vec();
        match self.options.metric {
            Metric::Cosine => {
                normalize(&mut inner);
            }
            Metric::Dot => {}
            Metric::L2 => inner.push(1.0),
        }
        let (k, ef, cancel) = (query.k, Some(query.ef), query.cancel);
        let found = view.index.search(&VectorQuery { vector: &inner, k, ef, allow, cancel })?;
        let length = squared_length(vector);
        let score = |product: f32| match self.options.metric {
            Metric::L2 => (2.0 * f64::from(product) - length).min(0.0) as f32,
            Metric::Cosine | Metric::Dot => product,
        };
        let key = |doc: DocNum| view.keys.get(doc as usize).copied().unwrap_or_default();
        Ok(found.hits.iter().map(|hit| (key(hit.chunk.doc()), score(hit.score))).collect())
    }
}

impl Writer {
    fn put(&mut self, id: u64, row: &[f32]) -> Result<()> {
        let number = self.keys.len() as DocNum;
        self.index.insert(number, row)?;
        Arc::make_mut(&mut self.keys).push(id);
        let old = self.numbers.lock().insert(id, number);
        if let Some(old) = old {
            self.index.remove(old);
        }
        Ok(())
    }

    fn take(&mut self, id: u64) -> bool {
        let number = self.numbers.lock().remove(&id);
        number.is_some_and(|number| self.index.remove(number))
    }
}

fn squared_length(row: &[f32]) -> f64 {
    row.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}
