//! Ranking metrics.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rag_core::Error;
use rag_core::ltr::metrics::{self, Metric, MissingQueries, Qrels, TrecRun};

use crate::call::released;
use crate::errors::{invalid, raise};

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
    qrels: HashMap<String, HashMap<String, i32>>,
    run: HashMap<String, HashMap<String, f64>>,
    metrics: Vec<String>,
    per_query: bool,
    missing: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let missing = match missing {
        "zero" => MissingQueries::Zero,
        "skip" => MissingQueries::Skip,
        other => return Err(invalid(py, format!("`missing` is {other:?}; give \"zero\" or \"skip\""))),
    };
    let parsed = metrics.iter().map(|name| name.parse::<Metric>().map_err(Error::from)).collect::<Result<Vec<_>, _>>();
    let parsed = parsed.map_err(|error| raise(py, &error))?;
    let evaluation = released(py, || {
        let (mut judgments, mut answers) = (Qrels::new(), TrecRun::new());
        for (query, documents) in &qrels {
            documents.iter().try_for_each(|(document, &grade)| judgments.insert(query, document, grade))?;
        }
        for (query, documents) in &run {
            answers.insert_query(query, documents.iter().map(|(document, &score)| (document, score)))?;
        }
        Ok(metrics::evaluate(&judgments, &answers, &parsed, missing))
    })?;
    let answer = PyDict::new(py);
    if per_query {
        for (query, values) in evaluation.iter() {
            let of_query = PyDict::new(py);
            metrics.iter().zip(values).try_for_each(|(name, value)| of_query.set_item(name, value))?;
            answer.set_item(query, of_query)?;
        }
    } else {
        for (name, &metric) in metrics.iter().zip(&parsed) {
            answer.set_item(name, evaluation.mean(metric).unwrap_or(f64::NAN))?;
        }
    }
    Ok(answer)
}
