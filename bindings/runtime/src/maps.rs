//! Fusion and evaluation of whole runs as scripting languages hold them: maps from queries to documents to numbers.

use std::collections::HashMap;

use rag_core::fusion::{self, Fusion, Method, Normalization, Parameters, Run, Weighted};
use rag_core::ltr::metrics::{self, Evaluation, Metric, MissingQueries, Qrels, TrecRun};
use rag_core::{Error, Result};

/// How runs are fused unless told.
pub const METHOD: &str = "rrf";

/// What a judged query without an answer counts unless told.
pub const MISSING: &str = "zero";

/// A run in its caller's order: query, then document and score.
pub type Scores = Vec<(String, Vec<(String, f64)>)>;

/// How runs are fused; what is `None` is as the method has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// One of [`Method::NAMES`]; [`METHOD`] unless told.
    pub method: Option<String>,
    /// Of the methods that have one.
    pub parameters: Parameters,
    /// One for each run; 1 each unless told.
    pub weights: Option<Vec<f64>>,
    /// Of the methods that look at scores: one of [`Normalization::NAMES`], or `min_max_inverted` where lower scores are
    /// better. `min_max` unless told.
    pub normalization: Option<String>,
    /// What [`learn`](crate::learned::learn) gave, instead of all others.
    pub learned: Option<String>,
}

/// Name of the normalisation of runs in which lower scores are better.
const INVERTED: &str = "min_max_inverted";

impl Asked {
    /// The fusion of so many runs, and whether lower scores are better.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the argument.
    fn fusion(&self, runs: usize) -> Result<(Fusion, bool)> {
        if let Some(learned) = &self.learned {
            if *self != (Asked { learned: self.learned.clone(), ..Asked::default() }) {
                return Err(Error::invalid(
                    "a learnt fusion has its parameters, weights and normalisation; give it alone",
                ));
            }
            let fusion: Fusion = serde_json::from_str(learned)
                .map_err(|error| Error::invalid(format!("`method` is no learnt fusion: {error}")).with_source(error))?;
            if !fusion.is_learned() {
                return Err(Error::invalid(
                    "`method` is no learnt fusion; give the name of the method, and the rest beside it",
                ));
            }
            if fusion.weights.len() != runs {
                let learnt = fusion.weights.len();
                return Err(Error::invalid(format!("the fusion was learnt for {learnt} runs; `runs` has {runs}")));
            }
            return Ok((fusion, false));
        }
        let name = self.method.as_deref().unwrap_or(METHOD);
        let method = Method::from_name(name, self.parameters)
            .map_err(|error| Error::invalid(error.to_string()).with_source(error))?;
        if self.normalization.is_some() && !method.reads_scores() {
            return Err(Error::invalid(format!(
                "`normalization` is for methods that look at scores; {name:?} looks at ranks"
            )));
        }
        let named = self.normalization.as_deref().unwrap_or("min_max");
        let is_inverted = named.replace('-', "_") == INVERTED;
        let normalization = Normalization::from_name(if is_inverted { "min_max" } else { named }).ok_or_else(|| {
            let known = Normalization::NAMES.join(", ");
            Error::invalid(format!("`normalization` is {named:?}; give one of {known}, {INVERTED}"))
        })?;
        let weights = self.weights.clone().unwrap_or_else(|| vec![1.0; runs]);
        if weights.len() != runs {
            return Err(Error::invalid(format!("`weights` has {} values for {runs} runs", weights.len())));
        }
        Ok((Fusion { method, normalization, weights }, is_inverted))
    }
}

/// Fuses runs query by query; queries in the order in which they first appear, documents best first.
///
/// ```
/// use rag_runtime::maps::{Asked, fuse};
/// let run = |id: &str| vec![("q".to_owned(), vec![(id.to_owned(), 1.0)])];
/// let how = Asked { weights: Some(vec![1.0, 2.0]), ..Asked::default() };
/// assert_eq!(fuse(vec![run("a"), run("b")], &how)?[0].1[0].0, "b");
/// # Ok::<(), rag_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` naming the argument, or the query and what is wrong with its scores.
pub fn fuse(mut runs: Vec<Scores>, how: &Asked) -> Result<Scores> {
    let (fusion, is_inverted) = how.fusion(runs.len())?;
    if is_inverted {
        let hits = runs.iter_mut().flatten().flat_map(|(_, hits)| hits);
        hits.for_each(|(_, score)| *score = -*score);
    }
    if !runs.is_empty() {
        fusion.check().map_err(|error| Error::invalid(error.to_string()).with_source(error))?;
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
    let none = Run::new("none", []).map_err(|error| Error::internal(error.to_string()))?;
    let one = |query: String| {
        let runs = of_query.remove(&query).unwrap_or_default();
        let fused = if fusion.is_learned() {
            let mut all = vec![&none; fusion.weights.len()];
            for (number, run) in &runs {
                all[*number] = run;
            }
            fusion.fuse(&all, usize::MAX)
        } else {
            // A run without the query is none of its runs, and one of weight 0 brings nothing.
            let weighted = runs.iter().map(|(number, run)| Weighted::new(run, fusion.weights[*number]));
            let weighted: Vec<_> = weighted.filter(|run| run.weight > 0.0).collect();
            fusion::fuse(&weighted, &fusion.method, &fusion.normalization, usize::MAX)
        };
        let fused = fused.map_err(|error| of(&query, &error))?;
        Ok((query, fused.into_hits().into_iter().map(|hit| (hit.id, hit.score)).collect()))
    };
    queries.into_iter().map(one).collect()
}

pub(crate) fn of(query: &str, error: &fusion::Error) -> Error {
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

    fn run(query: &str, hits: &[(&str, f64)]) -> Scores {
        vec![(query.to_owned(), hits.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect())]
    }

    fn how(method: &str, normalization: Option<&str>) -> Asked {
        Asked { method: Some(method.to_owned()), normalization: normalization.map(str::to_owned), ..Asked::default() }
    }

    #[test]
    fn queries_keep_their_order_and_runs_their_weights() {
        let runs =
            || vec![run("z", &[("a", 2.0), ("b", 1.0)]), [run("a", &[("c", 1.0)]), run("z", &[("b", 9.0)])].concat()];
        let fused = fuse(runs(), &Asked { weights: Some(vec![0.25, 0.75]), ..how("convex", None) }).unwrap();
        assert_eq!(fused[0], run("z", &[("b", 0.75), ("a", 0.25)])[0]);
        assert_eq!(fused[1], run("a", &[("c", 0.75)])[0]);
        let fused = fuse(runs(), &Asked::default()).unwrap();
        assert_eq!(fused[0].1[0], ("b".to_owned(), 1.0 / 62.0 + 1.0 / 61.0));
        let fused =
            fuse(vec![run("q", &[("far", 9.0), ("near", 1.0)])], &how("sum", Some("min-max-inverted"))).unwrap();
        assert_eq!(fused[0].1, [("near".to_owned(), 1.0), ("far".to_owned(), 0.0)]);
    }

    #[test]
    fn a_run_of_weight_0_brings_nothing() {
        let runs = vec![run("q", &[("a", 1.0)]), [run("q", &[("b", 1.0)]), run("p", &[("b", 1.0)])].concat()];
        let fused = fuse(runs, &Asked { weights: Some(vec![1.0, 0.0]), ..Asked::default() }).unwrap();
        assert_eq!((fused[0].1.len(), fused[1].1.len()), (1, 0));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let one = || vec![run("q", &[("a", 1.0)])];
        let message = |result: Result<Scores>| result.unwrap_err().to_string();
        assert!(message(fuse(one(), &how("median", None))).contains("`method`"));
        assert!(message(fuse(one(), &how("rrf", Some("dbsf")))).contains("`normalization`"));
        let parameters = Parameters { k: Some(60.0), ..Parameters::default() };
        assert!(message(fuse(one(), &Asked { parameters, ..how("convex", None) })).contains("`k`"));
        assert!(message(fuse(one(), &how("convex", Some("mean")))).contains("`normalization`"));
        assert!(message(fuse(one(), &Asked { weights: Some(vec![]), ..Asked::default() })).contains("`weights`"));
        assert!(message(fuse(vec![run("q", &[("a", f64::NAN)])], &Asked::default())).contains("query \"q\""));
        let none = HashMap::new();
        assert!(evaluate(&none, &HashMap::new(), vec!["bogus".to_owned()], "zero").is_err());
        assert!(evaluate(&none, &HashMap::new(), vec![], "ignore").unwrap_err().to_string().contains("`missing`"));
    }
}
