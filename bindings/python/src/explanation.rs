//! How hits came about, as Python sees it.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rag_core::engine;

use crate::value::value_class;

value_class! {
    /// What one retriever thought of a document.
    RunExplanation {
        /// "dense" or "lexical".
        run: String,
        /// 1-based rank of the document in the run; None: not among its candidates.
        rank: Option<usize>,
        /// Score of its best chunk there.
        score: Option<f32>,
        /// The score after normalisation, or 1 / (60 + rank).
        normalized: Option<f32>,
        /// Weight of the run.
        weight: f32,
        /// What the run adds to the final score.
        contribution: f32,
    }
}

value_class! {
    /// One feature of a document.
    FeatureExplanation {
        /// Its name.
        name: String,
        /// Its value; None: missing.
        value: Option<f32>,
        /// Its SHAP value: what it adds to the score; None where the model does not say enough of its training.
        contribution: Option<f64>,
    }
}

/// What a ranker thought of a document: the score of the hit is (1 − weight) · fused_normalized + weight · normalized.
#[pyclass(frozen, get_all, module = "rag_core")]
#[derive(Debug)]
pub(crate) struct LtrExplanation {
    /// The fused score, which the runs add up to.
    fused: f32,
    /// Its place between the least and the greatest of the candidates that the model ranked.
    fused_normalized: f32,
    /// The model's score.
    score: f64,
    /// Its place between the least and the greatest.
    normalized: f32,
    /// Weight of the model's score.
    weight: f32,
    /// What the model answers when no feature is known. With the contributions of all features it adds up to the model's
    /// score; None where the model does not say.
    expected: Option<f64>,
    /// One FeatureExplanation for each feature that the model read, in its order.
    features: Py<PyTuple>,
}

#[pymethods]
impl LtrExplanation {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "the fields, for pickle")]
    fn new(
        fused: f32,
        fused_normalized: f32,
        score: f64,
        normalized: f32,
        weight: f32,
        expected: Option<f64>,
        features: Bound<'_, PyTuple>,
    ) -> Self {
        LtrExplanation { fused, fused_normalized, score, normalized, weight, expected, features: features.unbind() }
    }

    /// As a dictionary.
    #[pyo3(signature = () -> "dict[str, object]")]
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        dictionary.set_item("fused", self.fused)?;
        dictionary.set_item("fused_normalized", self.fused_normalized)?;
        dictionary.set_item("score", self.score)?;
        dictionary.set_item("normalized", self.normalized)?;
        dictionary.set_item("weight", self.weight)?;
        dictionary.set_item("expected", self.expected)?;
        dictionary.set_item("features", dictionaries(self.features.bind(py))?)?;
        Ok(dictionary)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<LtrExplanation>() else { return Ok(false) };
        self.to_dict(py)?.eq(other.get().to_dict(py)?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        crate::value::repr("LtrExplanation", &self.to_dict(py)?)
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let LtrExplanation { fused, fused_normalized, score, normalized, weight, expected, features } = self;
        let fields = (fused, fused_normalized, score, normalized, weight, expected, features.bind(py));
        (py.get_type::<LtrExplanation>(), fields).into_pyobject(py)
    }
}

fn dictionaries<'py>(values: &Bound<'py, PyTuple>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    values.iter().map(|value| value.call_method0("to_dict")).collect()
}

/// How a score came about. The contributions of the runs add up to the fused score, which without a ranker is the score.
#[pyclass(frozen, get_all, module = "rag_core")]
#[derive(Debug)]
pub(crate) struct Explanation {
    /// The score that is explained.
    score: f32,
    /// How the runs were combined, such as "convex(min_max)" or "rrf(60)"; the name of the only run.
    fusion: String,
    /// One RunExplanation for each run that was asked, in run order.
    runs: Py<PyTuple>,
    /// What the ranker said; None without one, and where it was skipped.
    ltr: Option<Py<LtrExplanation>>,
    /// The value of maximal marginal relevance when the document was picked; None where the search asks for no diversity.
    diversity: Option<f64>,
}

#[pymethods]
impl Explanation {
    #[new]
    #[pyo3(signature = (score, fusion, runs, ltr=None, diversity=None))]
    fn new(
        score: f32,
        fusion: String,
        runs: Bound<'_, PyTuple>,
        ltr: Option<Py<LtrExplanation>>,
        diversity: Option<f64>,
    ) -> Self {
        Explanation { score, fusion, runs: runs.unbind(), ltr, diversity }
    }

    /// As a dictionary.
    #[pyo3(signature = () -> "dict[str, object]")]
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        dictionary.set_item("score", self.score)?;
        dictionary.set_item("fusion", &self.fusion)?;
        dictionary.set_item("runs", dictionaries(self.runs.bind(py))?)?;
        let ltr = self.ltr.as_ref().map(|ltr| ltr.get().to_dict(py)).transpose()?;
        dictionary.set_item("ltr", ltr)?;
        dictionary.set_item("diversity", self.diversity)?;
        Ok(dictionary)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Explanation>() else { return Ok(false) };
        self.to_dict(py)?.eq(other.get().to_dict(py)?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let ltr = self.ltr.as_ref().map(|ltr| Ok::<_, PyErr>(format!(", ltr={}", ltr.get().__repr__(py)?)));
        let (ltr, runs) = (ltr.transpose()?.unwrap_or_default(), self.runs.bind(py).repr()?);
        Ok(format!("Explanation(score={}, fusion={:?}, runs={runs}{ltr})", self.score, self.fusion))
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (py.get_type::<Explanation>(), (self.score, &self.fusion, self.runs.bind(py), &self.ltr, self.diversity))
            .into_pyobject(py)
    }
}

/// An explanation of the engine as Python sees it.
pub(crate) fn explanation(py: Python<'_>, explained: engine::Explanation) -> PyResult<Py<Explanation>> {
    let runs = explained.runs.into_iter().map(|run| {
        let engine::RunExplanation { rank, score, normalized, weight, contribution, .. } = run;
        Py::new(py, RunExplanation { run: run.run.to_owned(), rank, score, normalized, weight, contribution })
    });
    let runs = PyTuple::new(py, runs.collect::<PyResult<Vec<_>>>()?)?.unbind();
    let ltr = explained.ltr.map(|learned| ltr(py, learned)).transpose()?;
    Py::new(
        py,
        Explanation { score: explained.score, fusion: explained.fusion, runs, ltr, diversity: explained.diversity },
    )
}

fn ltr(py: Python<'_>, learned: engine::LtrExplanation) -> PyResult<Py<LtrExplanation>> {
    let engine::LtrExplanation { fused, fused_normalized, score, normalized, weight, expected, features, .. } = learned;
    let features = features.into_iter().map(|feature| {
        let engine::FeatureExplanation { name, value, contribution, .. } = feature;
        Py::new(py, FeatureExplanation { name, value: Some(value).filter(|value| !value.is_nan()), contribution })
    });
    let features = PyTuple::new(py, features.collect::<PyResult<Vec<_>>>()?)?.unbind();
    Py::new(py, LtrExplanation { fused, fused_normalized, score, normalized, weight, expected, features })
}
