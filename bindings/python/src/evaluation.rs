//! Ranking metrics.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};
use rag_runtime::maps::{self, ByQuery};

use crate::call::released;
use crate::errors::invalid;

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
    qrels: &Bound<'py, PyAny>,
    run: &Bound<'py, PyAny>,
    metrics: Vec<String>,
    per_query: bool,
    missing: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let (qrels, run) = (by_query::<i32>(qrels, "qrels")?, by_query::<f64>(run, "run")?);
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

/// Numbers by query and document.
pub(crate) fn by_query<'py, T: for<'a> FromPyObject<'a, 'py>>(
    queries: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<ByQuery<T>> {
    let py = queries.py();
    let wanted =
        || invalid(py, format!("`{name}` is no dictionary of dictionaries; give {{query: {{document: number}}}}"));
    let mut all = ByQuery::new();
    for pair in queries.cast::<PyMapping>().map_err(|_| wanted())?.items()? {
        let (query, documents): (String, Bound<'_, PyAny>) = pair.extract().map_err(|_| wanted())?;
        let mut of_query = std::collections::HashMap::new();
        for pair in documents.cast::<PyMapping>().map_err(|_| wanted())?.items()? {
            let (document, number): (String, Bound<'_, PyAny>) = pair.extract().map_err(|_| wanted())?;
            let wrong = |_| invalid(py, format!("`{name}`: query {query:?}, document {document:?}: not such a number"));
            let number = number.extract::<T>().map_err(wrong)?;
            of_query.insert(document, number);
        }
        all.insert(query, of_query);
    }
    Ok(all)
}
