//! The metrics of a whole run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::graded::GradedRanking;
use crate::metrics::metric::Metric;
use crate::metrics::qrels::Qrels;
use crate::metrics::run::{ScorePrecision, TrecRun};

/// What becomes of a query that has judgments and is not in the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingQueries {
    /// It is left out of the mean, as trec_eval and pytrec_eval do unless told. A system that fails on hard queries looks
    /// better by it.
    #[default]
    Skip,
    /// It counts 0, as trec_eval `-c` does.
    Zero,
}

/// How a run is evaluated. The default is that of trec_eval; a [`MissingQueries`] alone turns into the options with it.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What becomes of a query that has judgments and is not in the run.
    pub missing: MissingQueries,
    /// The lowest grade that is relevant (trec_eval `-l`), 1 unless told. nDCG and judged do not look at it.
    pub relevance_level: u32,
    /// In how many bits scores are told apart.
    pub precision: ScorePrecision,
}

impl Default for Options {
    fn default() -> Self {
        Options { missing: MissingQueries::Skip, relevance_level: 1, precision: ScorePrecision::Single }
    }
}

impl From<MissingQueries> for Options {
    fn from(missing: MissingQueries) -> Self {
        Options::default().with_missing(missing)
    }
}

impl Options {
    /// Sets what becomes of a query that has judgments and is not in the run.
    #[must_use]
    pub fn with_missing(self, missing: MissingQueries) -> Self {
        Options { missing, ..self }
    }

    /// Sets the lowest grade that is relevant.
    #[must_use]
    pub fn with_relevance_level(self, relevance_level: u32) -> Self {
        Options { relevance_level, ..self }
    }

    /// Sets in how many bits scores are told apart.
    #[must_use]
    pub fn with_precision(self, precision: ScorePrecision) -> Self {
        Options { precision, ..self }
    }
}

/// The values of some metrics for every evaluated query.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    metrics: Vec<Metric>,
    /// The values in the order of the metrics.
    queries: BTreeMap<String, Vec<f64>>,
    missing: Vec<String>,
    unjudged: Vec<String>,
}

/// Evaluates a run by the rules of [`metrics`](crate::metrics).
///
/// ```
/// use rag_ltr::metrics::{Metric, MissingQueries, Options, Qrels, TrecRun, evaluate};
///
/// let mut qrels = Qrels::new();
/// qrels.insert("moon", "apollo", 2)?;
/// qrels.insert("moon", "tides", 1)?;
/// qrels.insert("mars", "rover", 1)?;
/// let mut run = TrecRun::new();
/// run.insert_query("moon", [("cheese", 3.0), ("tides", 2.0), ("apollo", 1.0)])?;
///
/// let recall = Metric::Recall { k: Some(2) };
/// let skip = evaluate(&qrels, &run, &[recall], MissingQueries::Skip);
/// assert_eq!((skip.mean(recall), skip.missing()), (Some(0.5), &["mars".to_owned()][..]));
/// let zero = evaluate(&qrels, &run, &[recall], MissingQueries::Zero);
/// assert_eq!(zero.mean(recall), Some(0.25));
/// let strict = evaluate(&qrels, &run, &[recall], Options::default().with_relevance_level(2));
/// assert_eq!(strict.value("moon", recall), Some(0.0));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
pub fn evaluate(qrels: &Qrels, run: &TrecRun, metrics: &[Metric], options: impl Into<Options>) -> Evaluation {
    let options = options.into();
    let mut queries = BTreeMap::new();
    let mut missing = Vec::new();
    for (query, judgments) in qrels.iter() {
        if run.get(query).is_none() {
            missing.push(query.to_owned());
            if options.missing == MissingQueries::Skip {
                continue;
            }
        }
        let ranked = run.ranked(query, options.precision);
        let ranking = GradedRanking::of(ranked.iter().map(|&(document, _)| document), judgments);
        let values = metrics.iter().map(|&metric| ranking.value(metric, options.relevance_level));
        queries.insert(query.to_owned(), values.collect());
    }
    let unjudged = run.iter().map(|(query, _)| query).filter(|query| qrels.get(query).is_none());
    Evaluation { metrics: metrics.to_vec(), queries, missing, unjudged: unjudged.map(str::to_owned).collect() }
}

impl Evaluation {
    /// The metrics, in the order given.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Every evaluated query, ascending, with its values in the order of [`metrics`](Self::metrics).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.queries.iter().map(|(query, values)| (query.as_str(), values.as_slice()))
    }

    /// Number of evaluated queries: what the means are over.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether no query was evaluated.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// The value for one query; `None`: the query or the metric was not evaluated.
    pub fn value(&self, query: &str, metric: Metric) -> Option<f64> {
        self.queries.get(query)?.get(self.position(metric)?).copied()
    }

    /// The values of a metric for every evaluated query, in ascending order of the queries; `None`: it was not evaluated.
    pub fn values(&self, metric: Metric) -> Option<Vec<f64>> {
        let position = self.position(metric)?;
        Some(self.queries.values().filter_map(|values| values.get(position).copied()).collect())
    }

    /// The arithmetic mean over the evaluated queries; `None`: the metric or no query at all was evaluated.
    pub fn mean(&self, metric: Metric) -> Option<f64> {
        let values = self.values(metric).filter(|values| !values.is_empty())?;
        Some(values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Queries with judgments that are not in the run, ascending: left out or counted 0, as [`MissingQueries`] says.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Queries of the run without judgments, ascending: never evaluated.
    pub fn unjudged(&self) -> &[String] {
        &self.unjudged
    }

    /// The values of a metric for two systems, query by query, as the tests of [`significance`](crate::significance) take
    /// them.
    ///
    /// # Errors
    /// [`Error::Unpaired`] with the metric or the first query that one of the two lacks; with
    /// [`MissingQueries::Zero`] and equal judgments no query is lacking.
    pub fn paired(&self, other: &Evaluation, metric: Metric) -> Result<(Vec<f64>, Vec<f64>)> {
        let (Some(mine), Some(others)) = (self.values(metric), other.values(metric)) else {
            return Err(Error::Unpaired(metric.to_string()));
        };
        let lacks = |one: &Evaluation, two: &Evaluation| {
            one.queries.keys().find(|query| !two.queries.contains_key(*query)).cloned()
        };
        match lacks(self, other).or_else(|| lacks(other, self)) {
            Some(query) => Err(Error::Unpaired(query)),
            None => Ok((mine, others)),
        }
    }

    fn position(&self, metric: Metric) -> Option<usize> {
        self.metrics.iter().position(|&it| it == metric)
    }
}
