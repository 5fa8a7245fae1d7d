//! Reports and numbers of an engine.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rag_core::engine;

use crate::answer::repr;

/// What an upsert did; staged until the next commit.
#[pyclass(frozen, eq, get_all, module = "rag_core")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UpsertReport {
    /// Documents that were not there.
    added: usize,
    /// Documents that were there and differ.
    updated: usize,
    /// Documents that were there just so; nothing was done.
    unchanged: usize,
    /// Documents that a later one of the same batch with the same id replaced.
    repeated: usize,
    /// Chunks of the added and updated documents.
    chunks: usize,
    /// Chunks that the model embedded; the others kept their vectors.
    embedded: usize,
    /// Chunks of which the model saw only the beginning.
    truncated: usize,
}

#[pymethods]
impl UpsertReport {
    #[new]
    fn new(
        added: usize,
        updated: usize,
        unchanged: usize,
        repeated: usize,
        chunks: usize,
        embedded: usize,
        truncated: usize,
    ) -> Self {
        UpsertReport { added, updated, unchanged, repeated, chunks, embedded, truncated }
    }

    /// As a dictionary.
    #[pyo3(signature = () -> "dict[str, int]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        for (name, value) in ["added", "updated", "unchanged", "repeated", "chunks", "embedded", "truncated"]
            .into_iter()
            .zip(self.fields())
        {
            dictionary.set_item(name, value)?;
        }
        Ok(dictionary)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        repr("UpsertReport", &self.to_dict(py)?)
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (py.get_type::<UpsertReport>(), PyTuple::new(py, self.fields())?).into_pyobject(py)
    }
}

impl UpsertReport {
    fn fields(&self) -> [usize; 7] {
        let UpsertReport { added, updated, unchanged, repeated, chunks, embedded, truncated } = *self;
        [added, updated, unchanged, repeated, chunks, embedded, truncated]
    }
}

impl From<engine::UpsertReport> for UpsertReport {
    fn from(report: engine::UpsertReport) -> Self {
        UpsertReport {
            added: report.added,
            updated: report.updated,
            unchanged: report.unchanged,
            repeated: report.repeated,
            chunks: report.chunks,
            embedded: report.embedded,
            truncated: report.truncated,
        }
    }
}

/// What `verify` found.
#[pyclass(frozen, eq, get_all, module = "rag_core")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VerifyReport {
    /// Documents whose rows were read and agree.
    pub(crate) documents: u64,
    /// Derived pieces that were wrong and have been made again from the store.
    pub(crate) repaired: Vec<String>,
}

#[pymethods]
impl VerifyReport {
    #[new]
    fn new(documents: u64, repaired: Vec<String>) -> Self {
        VerifyReport { documents, repaired }
    }

    fn __repr__(&self) -> String {
        format!("VerifyReport(documents={}, repaired={:?})", self.documents, self.repaired)
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (py.get_type::<VerifyReport>(), (self.documents, &self.repaired)).into_pyobject(py)
    }
}

/// Numbers about an engine.
#[pyclass(frozen, eq, get_all, module = "rag_core")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stats {
    /// Documents of the tenant.
    documents: u64,
    /// Documents of all tenants.
    documents_total: u64,
    /// Chunks of all tenants.
    chunks_total: u64,
    /// The last commit.
    commit_seq: u64,
    /// The model that made the vectors.
    model: String,
    /// Values of a vector.
    dimension: usize,
    /// Backend of the dense retriever.
    vector_backend: String,
    /// Vectors in the dense index, those of replaced documents included until compaction.
    vectors: usize,
    /// What the lexical index does to words.
    analyser: String,
    /// Bytes on disk: the store.
    bytes_store: u64,
    /// Bytes on disk: the lexical index.
    bytes_lexical: u64,
    /// Bytes on disk: sealed vectors.
    bytes_vectors: u64,
}

#[pymethods]
impl Stats {
    /// As a dictionary.
    #[pyo3(signature = () -> "dict[str, object]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        dictionary.set_item("documents", self.documents)?;
        dictionary.set_item("documents_total", self.documents_total)?;
        dictionary.set_item("chunks_total", self.chunks_total)?;
        dictionary.set_item("commit_seq", self.commit_seq)?;
        dictionary.set_item("model", &self.model)?;
        dictionary.set_item("dimension", self.dimension)?;
        dictionary.set_item("vector_backend", &self.vector_backend)?;
        dictionary.set_item("vectors", self.vectors)?;
        dictionary.set_item("analyser", &self.analyser)?;
        dictionary.set_item("bytes_store", self.bytes_store)?;
        dictionary.set_item("bytes_lexical", self.bytes_lexical)?;
        dictionary.set_item("bytes_vectors", self.bytes_vectors)?;
        Ok(dictionary)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        repr("Stats", &self.to_dict(py)?)
    }
}

impl From<engine::Stats> for Stats {
    fn from(stats: engine::Stats) -> Self {
        Stats {
            documents: stats.documents,
            documents_total: stats.documents_total,
            chunks_total: stats.chunks_total,
            commit_seq: stats.commit_seq,
            model: stats.model.name.clone(),
            dimension: stats.model.dimension,
            vector_backend: stats.vector_backend.to_owned(),
            vectors: stats.vectors,
            analyser: stats.analyser,
            bytes_store: stats.bytes.store,
            bytes_lexical: stats.bytes.lexical,
            bytes_vectors: stats.bytes.vectors,
        }
    }
}
