//! Answers as Python sees them.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use rag_core::engine;

use crate::convert;
use crate::explanation::{self, Explanation};
use crate::value::value_class;

value_class! {
    /// The place of a passage in its document.
    Chunk {
        /// Which chunk of the document, 0-based.
        ordinal: usize,
        /// Where it starts in the UTF-8 bytes of the document's text.
        start: usize,
        /// Where it ends, exclusive.
        end: usize,
    }
}

value_class! {
    /// Which weight the ranker had for an answer, and why; docs/gate.md.
    Served {
        /// Number of the change of the gate that held.
        epoch: u64,
        /// Weight of the ranker; None without a ranker.
        weight: Option<f32>,
        /// "baseline", "experiment", "canary" or "killed".
        reason: String,
        /// The experiment that served, or "canary".
        experiment: Option<String>,
        /// The variant of it: of a canary "control" or "candidate".
        variant: Option<String>,
        /// For what becomes known later of an answer in a canary: `Gate.observe_quality`.
        token: Option<String>,
    }
}

/// One found document.
#[pyclass(frozen, get_all, module = "rag_core")]
#[derive(Debug)]
pub(crate) struct Hit {
    /// 1-based.
    rank: usize,
    /// Id of the document.
    id: String,
    /// Fused score, or cosine or BM25 with one retriever; higher is better.
    score: f32,
    /// Title of the document.
    title: String,
    /// The passage that matched best.
    text: String,
    /// Its place in the document.
    chunk: Py<Chunk>,
    /// Metadata of the document.
    metadata: Py<PyDict>,
    /// How many further candidates have the same value of the field that the search collapses by.
    hidden: usize,
    /// How the hit came about, if asked for.
    explain: Option<Py<Explanation>>,
}

#[pymethods]
impl Hit {
    #[new]
    #[pyo3(signature = (rank, id, score, title, text, chunk, metadata, hidden=0, explain=None))]
    #[allow(clippy::too_many_arguments, reason = "the fields, for pickle")]
    fn new(
        rank: usize,
        id: String,
        score: f32,
        title: String,
        text: String,
        chunk: Py<Chunk>,
        metadata: Bound<'_, PyDict>,
        hidden: usize,
        explain: Option<Py<Explanation>>,
    ) -> Self {
        Hit { rank, id, score, title, text, chunk, metadata: metadata.unbind(), hidden, explain }
    }

    /// As a dictionary, all the way down.
    #[pyo3(signature = () -> "dict[str, object]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        dictionary.set_item("rank", self.rank)?;
        dictionary.set_item("id", &self.id)?;
        dictionary.set_item("score", self.score)?;
        dictionary.set_item("title", &self.title)?;
        dictionary.set_item("text", &self.text)?;
        dictionary.set_item("chunk", self.chunk.get().to_dict(py)?)?;
        dictionary.set_item("metadata", self.metadata.bind(py).copy()?)?;
        dictionary.set_item("hidden", self.hidden)?;
        let explain = self.explain.as_ref().map(|explain| explain.get().to_dict(py)).transpose()?;
        dictionary.set_item("explain", explain)?;
        Ok(dictionary)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Hit>() else { return Ok(false) };
        self.to_dict(py)?.eq(other.get().to_dict(py)?)
    }

    fn __repr__(&self) -> String {
        let mut text: String = self.text.chars().take(60).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        format!("Hit(rank={}, id={:?}, score={:.4}, text={text:?})", self.rank, self.id, self.score)
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let Hit { rank, id, score, title, text, chunk, metadata, hidden, explain } = self;
        (py.get_type::<Hit>(), (rank, id, score, title, text, chunk, metadata, hidden, explain)).into_pyobject(py)
    }
}

/// The answer to a question: a sequence of its hits, best first, and what to know about them.
#[pyclass(frozen, get_all, sequence, module = "rag_core")]
#[derive(Debug)]
pub(crate) struct Answer {
    /// The hits as a tuple, best first; equal scores by the order of the runs, then by document id.
    hits: Py<PyTuple>,
    /// The commit that the answer was made from.
    commit_seq: u64,
    /// Documents that the tenant and the filter let through.
    visible: u64,
    /// What was left out, and why; empty for a full answer.
    degraded: Vec<String>,
    /// How the dense run was found: "exact scan", "graph", …; None when it was not asked for.
    plan: Option<String>,
    /// Which weight the ranker had, and why.
    gate: Py<Served>,
}

#[pymethods]
impl Answer {
    #[new]
    #[pyo3(signature = (hits, commit_seq, visible, degraded, plan, gate))]
    fn new(
        hits: Bound<'_, PyTuple>,
        commit_seq: u64,
        visible: u64,
        degraded: Vec<String>,
        plan: Option<String>,
        gate: Py<Served>,
    ) -> Self {
        Answer { hits: hits.unbind(), commit_seq, visible, degraded, plan, gate }
    }

    /// As a dictionary, all the way down.
    #[pyo3(signature = () -> "dict[str, object]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        let hits = self.hits.bind(py).iter().map(|hit| hit.call_method0("to_dict")).collect::<PyResult<Vec<_>>>()?;
        dictionary.set_item("hits", hits)?;
        dictionary.set_item("commit_seq", self.commit_seq)?;
        dictionary.set_item("visible", self.visible)?;
        dictionary.set_item("degraded", &self.degraded)?;
        dictionary.set_item("plan", &self.plan)?;
        dictionary.set_item("gate", self.gate.get().to_dict(py)?)?;
        Ok(dictionary)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.hits.bind(py).len()
    }

    /// A hit by its position, or a tuple of hits by a slice.
    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.hits.bind(py).as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.hits.bind(py).try_iter()?.into_any())
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Answer>() else { return Ok(false) };
        self.to_dict(py)?.eq(other.get().to_dict(py)?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let hits = self.hits.bind(py);
        let degraded = if self.degraded.is_empty() { String::new() } else { format!(", degraded={:?}", self.degraded) };
        Ok(format!("Answer({}{degraded})", PyList::new(py, hits.iter())?.repr()?))
    }

    /// A table for notebooks.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        py.import("rag_core._notebook")?.call_method1("table", (self.to_dict(py)?,))?.extract()
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let Answer { hits, commit_seq, visible, degraded, plan, gate } = self;
        (py.get_type::<Answer>(), (hits, commit_seq, visible, degraded, plan, gate)).into_pyobject(py)
    }
}

/// An answer of the engine as Python sees it.
pub(crate) fn answer(py: Python<'_>, answer: engine::Answer) -> PyResult<Answer> {
    let hits = answer.hits.into_iter().map(|found| Py::new(py, hit(py, found)?)).collect::<PyResult<Vec<_>>>()?;
    Ok(Answer {
        hits: PyTuple::new(py, hits)?.unbind(),
        commit_seq: answer.commit_seq,
        visible: answer.visible,
        degraded: answer.degraded,
        plan: answer.plan.map(str::to_owned),
        gate: Py::new(py, served(answer.gate))?,
    })
}

fn served(gate: engine::Served) -> Served {
    let engine::Served { epoch, weight, reason, experiment, variant, token, .. } = gate;
    let token = token.map(|token| token.to_string());
    Served { epoch, weight, reason: reason.to_owned(), experiment, variant, token }
}

/// A hit of the engine as Python sees it.
pub(crate) fn hit(py: Python<'_>, hit: engine::Hit) -> PyResult<Hit> {
    let passage = hit.passage;
    let chunk = Chunk { ordinal: passage.ordinal, start: passage.start, end: passage.end };
    Ok(Hit {
        rank: hit.rank,
        id: hit.id,
        score: hit.score,
        title: hit.title,
        text: passage.text,
        chunk: Py::new(py, chunk)?,
        metadata: convert::metadata(py, &hit.metadata)?.unbind(),
        hidden: hit.hidden,
        explain: hit.explanation.map(|explained| explanation::explanation(py, explained)).transpose()?,
    })
}
