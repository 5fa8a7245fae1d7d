//! Ranking metrics.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rag_runtime::maps::{self, ByQuery};

use crate::call::released;

/// Measures a run against judgments, as trec_eval does.
///
/// Args:
///     qrels: {query: {document: grade}}.
///     run: {query: {document: score}}.
///     metrics: Such as "ndcg@10", "ndcg_exp@10", "map", "mrr@10", "precision@5", "recall@100", "success@5", "judged@10".
///     per_query: Whether to give the values of each query instead of the means.
///     missing: What a judged query without an answer counts: "zero", as published figures have it, or "skip", as
///         trec_eval and pytrec_eval do by default.
///
/// Returns:
///     {metric: mean}, or {query: {metric: value}} with per_query.
#[pyfunction]
#[pyo3(signature = (qrels: "collections.abc.Mapping[str, collections.abc.Mapping[str, int]]", run: "collections.abc.Mapping[str, collections.abc.Mapping[str, float]]", metrics: "collections.abc.Sequence[str]", per_query: "bool" = false, *, missing: "str" = "zero") -> "dict[str, typing.Any]")]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    qrels: ByQuery<i32>,
    run: ByQuery<f64>,
    metrics: Vec<String>,
    per_query: bool,
    missing: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let evaluated = released(py, || maps::evaluate(&qrels, &run, metrics, missing))?;
    let answer = PyDict::new(py);
    if per_query {
        for (query, values) in evaluated.queries() {
            let of_query = PyDict::new(py);
            for (name, value) in values {
                of_query.set_item(name, value)?;
            }
            answer.set_item(query, of_query)?;
        }
    } else {
        for (name, mean) in evaluated.means() {
            answer.set_item(name, mean)?;
        }
    }
    Ok(answer)
}
