//! Several runs to one.

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyMapping, PyString};
use rag_core::fusion::Parameters;
use rag_runtime::learned;
use rag_runtime::maps::{self, Asked, Scores};

use crate::call::released;
use crate::convert;
use crate::errors::invalid;
use crate::evaluation::by_query;

/// Fuses runs; a run is {query: {document: score}}, higher scores are better.
///
/// Args:
///     runs: At least one.
///     method: By ranks "rrf" (unless told), "isr", "log_isr", "logn_isr", "borda", "condorcet", "rbc"; by scores "sum" (also "convex":
///         weights make it one), "mnz", "anz", "max", "min", "med", "gmnz", "wmnz", "mixed". docs/fusion.md has the formulas.
///         Or what `learn_fusion` gave, and then nothing else, for the runs in the same order.
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
#[pyo3(signature = (runs: "collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]]", method: "str | collections.abc.Mapping[str, object] | None" = None, k: "float | None" = None, weights: "collections.abc.Sequence[float] | None" = None, normalization: "str | None" = None, *, sigma: "float | None" = None, gamma: "float | None" = None, phi: "float | None" = None) -> "dict[str, dict[str, float]]")]
#[allow(clippy::too_many_arguments)]
pub(crate) fn fuse<'py>(
    py: Python<'py>,
    runs: Vec<Bound<'py, PyAny>>,
    method: Option<&Bound<'py, PyAny>>,
    k: Option<f64>,
    weights: Option<Vec<f64>>,
    normalization: Option<String>,
    sigma: Option<f64>,
    gamma: Option<f64>,
    phi: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let runs = runs.iter().map(scores).collect::<PyResult<Vec<_>>>()?;
    let parameters = Parameters { k, sigma, gamma, phi };
    let mut how = Asked { parameters, weights, normalization, ..Asked::default() };
    match method.map(|method| method.cast::<PyString>().map_err(|_| method)) {
        Some(Ok(name)) => how.method = Some(name.extract()?),
        Some(Err(learned)) => how.learned = Some(convert::json(learned, "method", false)?),
        None => {}
    }
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

/// Learns from judgments how far each run can be trusted; documents without a judgment count as not relevant.
///
/// Args:
///     runs: At least one; their answers to judged queries.
///     qrels: {query: {document: grade}}, grades of 1 and more are relevant.
///     method: "bayes_fuse", "map_fuse", "pos_fuse", "prob_fuse", "seg_fuse" or "slide_fuse"; or one that `fuse` has, by
///         scores, with a normalization that is learnt. docs/fusion.md has the formulas.
///     normalization: Of methods by scores: "platt" or "isotonic" for the probability of being relevant, or as for `fuse`, but
///         "min_max_inverted".
///     weights: One for each run; None for 1 each.
///     segments: Of "prob_fuse", the number of parts that answers are cut into; 20 unless told.
///     width: Of "slide_fuse", ranks to each side; 5 unless told.
///     gamma: Of "gmnz".
///
/// Returns:
///     A dictionary that `fuse` takes as its method and that can be kept as JSON.
#[pyfunction]
#[pyo3(signature = (runs: "collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]]", qrels: "collections.abc.Mapping[str, collections.abc.Mapping[str, int]]", method: "str", *, normalization: "str | None" = None, weights: "collections.abc.Sequence[float] | None" = None, segments: "int | None" = None, width: "int | None" = None, gamma: "float | None" = None) -> "dict[str, typing.Any]")]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub(crate) fn learn_fusion<'py>(
    py: Python<'py>,
    runs: Vec<Bound<'py, PyAny>>,
    qrels: &Bound<'py, PyAny>,
    method: String,
    normalization: Option<String>,
    weights: Option<Vec<f64>>,
    segments: Option<i128>,
    width: Option<i128>,
    gamma: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let runs = runs.iter().map(scores).collect::<PyResult<Vec<_>>>()?;
    let qrels = by_query::<i32>(qrels, "qrels")?;
    let count = |name, value: Option<i128>| value.map(|value| convert::count(py, name, value)).transpose();
    let (segments, width) = (count("segments", segments)?, count("width", width)?);
    let parameters = Parameters { gamma, ..Parameters::default() };
    let asked = learned::Asked { method, parameters, segments, width, normalization, weights };
    let learned = released(py, || learned::learn(&runs, &qrels, &asked))?;
    convert::from_json(py, &learned)
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
            let hits = if let Ok(documents) = documents.cast::<PyDict>() {
                // Without a tuple for each hit.
                let pairs = documents.keys().into_iter().zip(documents.values());
                pairs.map(|(id, score)| Ok((id.extract()?, score.extract()?))).collect::<PyResult<_>>()?
            } else if let Ok(documents) = documents.cast::<PyMapping>() {
                documents.items()?.iter().map(|pair| pair.extract()).collect::<PyResult<_>>()?
            } else {
                return Err(invalid(py, format!("query {query:?}: its documents are no dictionary of scores")));
            };
            Ok((query, hits))
        })
        .collect()
}
