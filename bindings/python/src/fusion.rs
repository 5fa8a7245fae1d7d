//! Several runs to one.

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyMapping};
use rag_core::fusion::Parameters;
use rag_runtime::maps::{self, Fusion, Scores};

use crate::call::released;
use crate::errors::invalid;

/// Fuses runs; a run is {query: {document: score}}, higher scores are better.
///
/// Args:
///     runs: At least one.
///     method: By ranks "rrf", "isr", "log_isr", "logn_isr", "borda", "condorcet", "rbc"; by scores "sum" (also "convex":
///         weights make it one), "mnz", "anz", "max", "min", "med", "gmnz", "wmnz", "mixed". docs/fusion.md has the formulas.
///     k: The constant of "rrf"; 60 unless told.
///     weights: One for each run; None for 1 each.
///     normalization: Of methods by scores: "min_max" (the default), "max", "sum", "z_score", "rank", "borda", "dbsf", "l2",
///         "sigmoid", "none", or "min_max_inverted" where lower scores are better.
///     sigma: Of "logn_isr"; 0.01 unless told.
///     gamma: Of "gmnz".
///     phi: Of "rbc".
///
/// Returns:
///     A run, each query with its documents best first; equal scores by the first run that has the document, then by id.
#[pyfunction]
#[pyo3(signature = (runs: "collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]]", method: "str" = "rrf", k: "float | None" = None, weights: "collections.abc.Sequence[float] | None" = None, normalization: "str | None" = None, *, sigma: "float | None" = None, gamma: "float | None" = None, phi: "float | None" = None) -> "dict[str, dict[str, float]]")]
#[allow(clippy::too_many_arguments)]
pub(crate) fn fuse<'py>(
    py: Python<'py>,
    runs: Vec<Bound<'py, PyAny>>,
    method: &str,
    k: Option<f64>,
    weights: Option<Vec<f64>>,
    normalization: Option<String>,
    sigma: Option<f64>,
    gamma: Option<f64>,
    phi: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let runs = runs.iter().map(scores).collect::<PyResult<Vec<_>>>()?;
    let parameters = Parameters { k, sigma, gamma, phi };
    let how = Fusion { method: Some(method.to_owned()), parameters, weights, normalization };
    let fused = released(py, || maps::fuse(runs, &how))?;
    let answer = PyDict::new(py);
    for (query, hits) in fused {
        let documents = PyDict::new(py);
        for (document, score) in hits {
            documents.set_item(document, score)?;
        }
        answer.set_item(query, documents)?;
    }
    Ok(answer)
}

fn scores(run: &Bound<'_, PyAny>) -> PyResult<Scores> {
    let py = run.py();
    let Ok(queries) = run.cast::<PyMapping>() else {
        return Err(invalid(py, "a run is no dictionary; give {query: {document: score}}"));
    };
    let pairs = queries.items()?;
    pairs
        .iter()
        .map(|pair| {
            let (query, documents): (String, Bound<'_, PyAny>) = pair.extract()?;
            let Ok(documents) = documents.cast_into::<PyMapping>() else {
                return Err(invalid(py, format!("query {query:?}: its documents are no dictionary of scores")));
            };
            Ok((query, documents.items()?.iter().map(|pair| pair.extract()).collect::<PyResult<_>>()?))
        })
        .collect()
}
