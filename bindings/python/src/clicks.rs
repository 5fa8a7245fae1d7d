//! Click logs.

use std::collections::HashMap;
use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict};
use rag_core::{Cancel, ltr};
use rag_runtime::clicks;

use crate::call::{interruptible, released};
use crate::convert::from_json;
use crate::evaluation::by_query;
use crate::features::FeatureLog;

/// What users were shown and what they clicked: one impression a line of JSON, with the fields query, shown and clicked (ids
/// of documents in the order in which they were shown).
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct ClickLog {
    inner: ltr::clicks::ClickLog,
}

#[pymethods]
impl ClickLog {
    /// Reads a file of JSON Lines.
    ///
    /// Raises:
    ///     InvalidArgument: Names the line and the field.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]") -> "ClickLog")]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<ClickLog> {
        interruptible(py, &Cancel::never(), |_| clicks::load(&path)).map(|inner| ClickLog { inner })
    }

    /// How many clicks there are.
    #[getter]
    fn clicks(&self) -> usize {
        self.inner.clicks()
    }

    /// How likely a document at each rank is looked at, relative to the first.
    ///
    /// Args:
    ///     method: "harvesting", by documents that rankers put at different ranks, or "em", by expectation maximisation.
    ///     ranks: The last rank that is looked at; None for 100.
    ///     monotone: Whether the values shall nowhere rise from one rank to the next; None for no.
    #[pyo3(signature = (method: "str" = "harvesting", *, ranks: "int | None" = None, monotone: "bool | None" = None) -> "numpy.typing.NDArray[numpy.float64]")]
    fn propensities<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        ranks: Option<u32>,
        monotone: Option<bool>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let estimated =
            interruptible(py, &Cancel::never(), |_| clicks::propensities(&self.inner, method, ranks, monotone))?;
        Ok(estimated.into_pyarray(py))
    }

    /// How often each document is clicked when it is looked at, 0 to 1: {query: {document: relevance}}.
    #[pyo3(signature = (propensities: "collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64]") -> "dict[str, dict[str, float]]")]
    fn relevance(&self, py: Python<'_>, propensities: Vec<f64>) -> PyResult<HashMap<String, HashMap<String, f64>>> {
        released(py, || clicks::relevance(&self.inner, &propensities))
    }

    /// Rows for `Ranker.train`: the impressions with a click as groups of rows of a feature log, each click weighted by the
    /// chance that it was made. What the feature log does not have is left out.
    ///
    /// Returns:
    ///     A dictionary of X, y, group and inverse_propensities: `Ranker.train(**clicks.training(log, propensities))`.
    #[pyo3(signature = (log: "FeatureLog", propensities: "collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64]") -> "dict[str, typing.Any]")]
    fn training<'py>(
        &self,
        py: Python<'py>,
        log: &Bound<'py, FeatureLog>,
        propensities: Vec<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let features = log.get();
        let made = released(py, || clicks::training(&self.inner, &features.inner, &propensities))?;
        let dictionary = PyDict::new(py);
        dictionary.set_item("X", features.table(py)?.as_any().get_item(made.rows.into_pyarray(py))?)?;
        dictionary.set_item("y", made.labels.into_pyarray(py))?;
        dictionary.set_item("group", made.groups)?;
        dictionary.set_item("inverse_propensities", made.inverse_propensities.into_pyarray(py))?;
        Ok(dictionary)
    }

    /// How often each document was shown and clicked, for `Engine.set_click_history`: (id, impressions, clicks) each.
    #[pyo3(signature = () -> "list[tuple[str, int, int]]")]
    fn history(&self, py: Python<'_>) -> PyResult<Vec<(String, u64, u64)>> {
        let rows = released(py, || clicks::history(&self.inner))?;
        Ok(rows.into_iter().map(|row| (row.id, row.impressions, row.clicks)).collect())
    }

    /// What another ranking would have earned for each impression, on the log of the rankings that served.
    ///
    /// Args:
    ///     run: {query: {document: score}}.
    ///     propensities: Of each rank, from the first on.
    ///     reward: "clicks" or "dcg".
    ///     k: Only the first k documents earn something; None for all.
    ///     clip: The largest weight of all estimates but "ips"; None for 100.
    ///
    /// Returns:
    ///     The estimates "logged" (of what served), "ips", "clipped_ips", "snips", "direct", "doubly_robust" and "gain"
    ///     (doubly robust above logged), each with value, standard_error, low and high (95 %); and what to be wary of.
    #[pyo3(signature = (run: "collections.abc.Mapping[str, collections.abc.Mapping[str, float]]", propensities: "collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64]", *, reward: "str" = "clicks", k: "int | None" = None, clip: "float | None" = None) -> "dict[str, typing.Any]")]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        run: &Bound<'py, PyAny>,
        propensities: Vec<f64>,
        reward: &str,
        k: Option<usize>,
        clip: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let run = by_query::<f64>(run, "run")?;
        let found = interruptible(py, &Cancel::never(), |_| {
            clicks::evaluate(&self.inner, &run, &propensities, reward, k, clip)
        })?;
        from_json(py, &found.to_string())
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __repr__(&self) -> String {
        format!("ClickLog({} impressions, {} clicks)", self.inner.len(), self.inner.clicks())
    }
}
