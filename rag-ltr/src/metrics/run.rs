//! What a system retrieved.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// In how many bits two scores are told apart.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScorePrecision {
    /// 32 bits: trec_eval up to 9, and pytrec_eval. Scores that only 64 bits tell apart are equal, and those beyond the
    /// range of 32 bits are equal to infinity.
    #[default]
    Single,
    /// 64 bits: trec_eval 10.
    Double,
}

/// The retrieved documents of every query with their scores: query → document → score. Higher is better, every score is
/// finite, every document stands once for a query.
///
/// There is no other order than that of the scores: what a system ranked among equal ones is not kept (see the rules of
/// [`metrics`](crate::metrics)).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrecRun {
    queries: BTreeMap<String, BTreeMap<String, f64>>,
}

impl TrecRun {
    /// No query.
    pub fn new() -> Self {
        TrecRun::default()
    }

    /// Adds one retrieved document.
    ///
    /// # Errors
    /// [`Error::NotFinite`]; [`Error::Duplicate`]: the document is retrieved for this query already. Nothing changes.
    pub fn insert(&mut self, query: &str, document: &str, score: f64) -> Result<()> {
        if !score.is_finite() {
            return Err(Error::NotFinite { query: query.to_owned(), document: document.to_owned() });
        }
        if self.get(query).is_some_and(|documents| documents.contains_key(document)) {
            return Err(Error::Duplicate { query: query.to_owned(), document: document.to_owned() });
        }
        self.queries.entry(query.to_owned()).or_default().insert(document.to_owned(), score);
        Ok(())
    }

    /// Adds the answer to a query. An empty one is an answer too: it counts 0, where a query that the run lacks may be
    /// left out.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the documents before the wrong one stay.
    pub fn insert_query<D: AsRef<str>>(&mut self, query: &str, hits: impl IntoIterator<Item = (D, f64)>) -> Result<()> {
        self.queries.entry(query.to_owned()).or_default();
        hits.into_iter().try_for_each(|(document, score)| self.insert(query, document.as_ref(), score))
    }

    /// The retrieved documents of a query and their scores; `None`: the run lacks it.
    pub fn get(&self, query: &str) -> Option<&BTreeMap<String, f64>> {
        self.queries.get(query)
    }

    /// The documents of a query as trec_eval ranks them: by descending score, equal scores by descending id. Empty where
    /// the run lacks the query.
    pub fn ranked(&self, query: &str, precision: ScorePrecision) -> Vec<(&str, f64)> {
        let key = |score: f64| match precision {
            ScorePrecision::Single => f64::from(score as f32),
            ScorePrecision::Double => score,
        };
        let mut ranked: Vec<(&str, f64)> =
            self.get(query).into_iter().flatten().map(|(document, &score)| (document.as_str(), score)).collect();
        ranked.sort_by(|a, b| {
            // No score is NaN; 0 and -0 are equal, as in C.
            key(b.1).partial_cmp(&key(a.1)).unwrap_or(Ordering::Equal).then_with(|| b.0.cmp(a.0))
        });
        ranked
    }

    /// Every query, ascending, with its documents and scores.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, f64>)> {
        self.queries.iter().map(|(query, documents)| (query.as_str(), documents))
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there is no query.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}
