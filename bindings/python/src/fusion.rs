//! Several runs to one.

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyMapping};
use rag_core::fusion::{self, Method, Normalization, Run, Weighted};
use rag_core::{Error, Result};

use crate::call::released;
use crate::errors::invalid;

/// A run as Python has it, in its order: query, then document and score.
type Scores = Vec<(String, Vec<(String, f32)>)>;

/// Fuses runs; a run is {query: {document: score}}, higher scores are better.
///
/// Args:
///     runs: At least one.
///     method: "rrf", reciprocal rank fusion: the sum of weight / (k + rank); or "convex": the sum of weight · normalised
///         score.
///     k: The constant of "rrf".
///     weights: One for each run; None for 1 each.
///     normalization: Of "convex": "min_max" (the default), "z_score", "dbsf" or "none".
///
/// Returns:
///     A run, each query with its documents best first; equal scores by the first run that has the document, then by id.
#[pyfunction]
#[pyo3(signature = (runs: "collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]]", method: "str" = "rrf", k: "float" = 60.0, weights: "collections.abc.Sequence[float] | None" = None, normalization: "str | None" = None) -> "dict[str, dict[str, float]]")]
pub(crate) fn fuse<'py>(
    py: Python<'py>,
    runs: Vec<Bound<'py, PyAny>>,
    method: &str,
    k: f32,
    weights: Option<Vec<f32>>,
    normalization: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let method = match (method, normalization) {
        ("rrf", None) => Method::Rrf { k },
        ("rrf", Some(_)) => {
            return Err(invalid(py, "`normalization` is for the method \"convex\"; \"rrf\" looks at ranks"));
        }
        ("convex", name) => Method::Convex(match name {
            None | Some("min_max") => Normalization::MinMax,
            Some("z_score") => Normalization::ZScore,
            Some("dbsf") => Normalization::Dbsf,
            Some("none") => Normalization::None,
            Some(other) => {
                let known = "\"min_max\", \"z_score\", \"dbsf\" or \"none\"";
                return Err(invalid(py, format!("`normalization` is {other:?}; give {known}")));
            }
        }),
        (other, _) => return Err(invalid(py, format!("`method` is {other:?}; give \"rrf\" or \"convex\""))),
    };
    let weights = weights.unwrap_or_else(|| vec![1.0; runs.len()]);
    if weights.len() != runs.len() {
        return Err(invalid(py, format!("`weights` has {} values for {} runs", weights.len(), runs.len())));
    }
    let runs = runs.iter().map(scores).collect::<PyResult<Vec<_>>>()?;
    let fused = released(py, || fuse_all(runs, &weights, method))?;
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

fn fuse_all(runs: Vec<Scores>, weights: &[f32], method: Method) -> Result<Scores> {
    let mut queries = Vec::new();
    let mut of_query = std::collections::HashMap::<String, Vec<(usize, Run<String>)>>::new();
    for (number, run) in runs.into_iter().enumerate() {
        for (query, hits) in run {
            let run = Run::new(format!("{number}"), hits).map_err(|error| wrong(&query, &error))?;
            let slot = of_query.entry(query.clone()).or_default();
            if slot.is_empty() {
                queries.push(query);
            }
            slot.push((number, run));
        }
    }
    let one = |query: String| {
        let runs = of_query.remove(&query).unwrap_or_default();
        let weighted: Vec<_> = runs.iter().map(|(number, run)| Weighted::new(run, weights[*number])).collect();
        let fused = fusion::fuse(&weighted, method, usize::MAX).map_err(|error| wrong(&query, &error))?;
        Ok((query, fused.into_iter().map(|hit| (hit.id, hit.score)).collect()))
    };
    queries.into_iter().map(one).collect()
}

fn wrong(query: &str, error: &fusion::Error) -> Error {
    Error::invalid(format!("query {query:?}: {error}"))
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
