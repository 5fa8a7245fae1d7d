//! Fusion and evaluation of whole runs as scripting languages hold them: maps from queries to documents to numbers.

use std::collections::HashMap;

use rag_core::fusion::{self, Method, Normalization, RRF_K, Run, Weighted};
use rag_core::ltr::metrics::{self, Evaluation, Metric, MissingQueries, Qrels, TrecRun};
use rag_core::{Error, Result};

/// How runs are fused unless told.
pub const METHOD: &str = "rrf";

/// What a judged query without an answer counts unless told.
pub const MISSING: &str = "zero";

/// A run in its caller's order: query, then document and score.
pub type Scores = Vec<(String, Vec<(String, f32)>)>;

/// Fuses runs query by query; queries in the order in which they first appear, documents best first.
///
/// `method` is `rrf`, whose constant is `k` (60 unless told), or `convex`, whose scores are scaled by `normalization`:
/// `min_max` (unless told), `z_score`, `dbsf` or `none`. `weights`: one for each run; 1 each unless told.
///
/// ```
/// let run = |id: &str| vec![("q".to_owned(), vec![(id.to_owned(), 1.0)])];
/// let fused = rag_runtime::maps::fuse(vec![run("a"), run("b")], "rrf", None, Some(vec![1.0, 2.0]), None)?;
/// assert_eq!(fused[0].1[0].0, "b");
/// # Ok::<(), rag_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` naming the argument, or the query and what is wrong with its scores.
pub fn fuse(
    runs: Vec<Scores>,
    method: &str,
    k: Option<f32>,
    weights: Option<Vec<f32>>,
    normalization: Option<&str>,
) -> Result<Scores> {
    let method = match (method, normalization, k) {
        ("rrf", None, k) => Method::Rrf { k: k.unwrap_or(RRF_K) },
        ("rrf", Some(_), _) => {
            return Err(Error::invalid("`normalization` is for the method \"convex\"; \"rrf\" looks at ranks"));
        }
        ("convex", name, None) => Method::Convex(scale(name)?),
        ("convex", _, Some(_)) => return Err(Error::invalid("`k` is for the method \"rrf\"; \"convex\" has none")),
        (other, ..) => return Err(Error::invalid(format!("`method` is {other:?}; give \"rrf\" or \"convex\""))),
    };
    let weights = weights.unwrap_or_else(|| vec![1.0; runs.len()]);
    if weights.len() != runs.len() {
        return Err(Error::invalid(format!("`weights` has {} values for {} runs", weights.len(), runs.len())));
    }
    let mut queries = Vec::new();
    let mut of_query = HashMap::<String, Vec<(usize, Run<String>)>>::new();
    for (number, run) in runs.into_iter().enumerate() {
        for (query, hits) in run {
            let run = Run::new(format!("{number}"), hits).map_err(|error| of(&query, &error))?;
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
        let fused = fusion::fuse(&weighted, method, usize::MAX).map_err(|error| of(&query, &error))?;
        Ok((query, fused.into_iter().map(|hit| (hit.id, hit.score)).collect()))
    };
    queries.into_iter().map(one).collect()
}

fn scale(name: Option<&str>) -> Result<Normalization> {
    Ok(match name {
        None => Normalization::default(),
        Some("min_max") => Normalization::MinMax,
        Some("z_score") => Normalization::ZScore,
        Some("dbsf") => Normalization::Dbsf,
        Some("none") => Normalization::None,
        Some(other) => {
            let known = "\"min_max\", \"z_score\", \"dbsf\" or \"none\"";
            return Err(Error::invalid(format!("`normalization` is {other:?}; give {known}")));
        }
    })
}

fn of(query: &str, error: &fusion::Error) -> Error {
    Error::invalid(format!("query {query:?}: {error}"))
}

/// Numbers by document, by query.
pub type ByQuery<T> = HashMap<String, HashMap<String, T>>;

/// The values of some metrics, under the names by which they were asked for.
#[derive(Debug)]
pub struct Evaluated {
    names: Vec<String>,
    metrics: Vec<Metric>,
    evaluation: Evaluation,
}

/// Measures a run against judgments. `missing`, what a judged query without an answer counts: `zero` or `skip`.
///
/// # Errors
/// `InvalidArgument` naming the metric, the argument, or the query and what is wrong with it.
pub fn evaluate(qrels: &ByQuery<i32>, run: &ByQuery<f64>, names: Vec<String>, missing: &str) -> Result<Evaluated> {
    let missing = match missing {
        "zero" => MissingQueries::Zero,
        "skip" => MissingQueries::Skip,
        other => return Err(Error::invalid(format!("`missing` is {other:?}; give \"zero\" or \"skip\""))),
    };
    let metrics = names.iter().map(|name| Ok(name.parse::<Metric>()?)).collect::<Result<Vec<_>>>()?;
    let (mut judgments, mut answers) = (Qrels::new(), TrecRun::new());
    for (query, documents) in qrels {
        documents.iter().try_for_each(|(document, &grade)| judgments.insert(query, document, grade))?;
    }
    for (query, documents) in run {
        answers.insert_query(query, documents.iter().map(|(document, &score)| (document, score)))?;
    }
    let evaluation = metrics::evaluate(&judgments, &answers, &metrics, missing);
    Ok(Evaluated { names, metrics, evaluation })
}

impl Evaluated {
    /// The mean of each metric over the evaluated queries; NaN without any.
    pub fn means(&self) -> impl Iterator<Item = (&str, f64)> {
        let mean = |metric| self.evaluation.mean(metric).unwrap_or(f64::NAN);
        self.names.iter().zip(&self.metrics).map(move |(name, &metric)| (name.as_str(), mean(metric)))
    }

    /// The values of each query, queries in ascending order.
    pub fn queries(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, f64)>)> {
        let named = |values| self.names.iter().map(String::as_str).zip(values);
        self.evaluation.iter().map(move |(query, values)| (query, named(values.iter().copied())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(query: &str, hits: &[(&str, f32)]) -> Scores {
        vec![(query.to_owned(), hits.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect())]
    }

    #[test]
    fn queries_keep_their_order_and_runs_their_weights() {
        let runs =
            || vec![run("z", &[("a", 2.0), ("b", 1.0)]), [run("a", &[("c", 1.0)]), run("z", &[("b", 9.0)])].concat()];
        let fused = fuse(runs(), "convex", None, Some(vec![0.25, 0.75]), None).unwrap();
        assert_eq!(fused[0], run("z", &[("b", 0.75), ("a", 0.25)])[0]);
        assert_eq!(fused[1], run("a", &[("c", 0.75)])[0]);
        let fused = fuse(runs(), "rrf", None, None, None).unwrap();
        assert_eq!(fused[0].1[0], ("b".to_owned(), 1.0 / 62.0 + 1.0 / 61.0));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let one = || vec![run("q", &[("a", 1.0)])];
        let message = |result: Result<Scores>| result.unwrap_err().to_string();
        assert!(message(fuse(one(), "median", None, None, None)).contains("`method`"));
        assert!(message(fuse(one(), "rrf", None, None, Some("dbsf"))).contains("`normalization`"));
        assert!(message(fuse(one(), "convex", Some(60.0), None, None)).contains("`k`"));
        assert!(message(fuse(one(), "convex", None, None, Some("max"))).contains("`normalization`"));
        assert!(message(fuse(one(), "rrf", None, Some(vec![]), None)).contains("`weights`"));
        assert!(message(fuse(vec![run("q", &[("a", f32::NAN)])], "rrf", None, None, None)).contains("query \"q\""));
        let none = HashMap::new();
        assert!(evaluate(&none, &HashMap::new(), vec!["bogus".to_owned()], "zero").is_err());
        assert!(evaluate(&none, &HashMap::new(), vec![], "ignore").unwrap_err().to_string().contains("`missing`"));
    }
}
