//! Click-through history as features.

use std::collections::BTreeMap;

use super::counts::{Counts, Prior, by_query, check_strength, mean_rate, total};
use super::log::ClickLog;
use super::propensity::Propensities;
use crate::error::Result;

/// What was shown and clicked, for each document and for each document of each query.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    documents: BTreeMap<String, Counts>,
    queries: BTreeMap<String, BTreeMap<String, Counts>>,
    click_rate: Prior,
    attraction: Prior,
}

/// What is known of one document.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClickFeatures {
    /// How often it was shown.
    pub impressions: usize,
    /// How often it was clicked when shown.
    pub clicks: usize,
    /// Click-through rate, smoothed: [`Counts::click_rate`].
    pub click_rate: f64,
    /// The rate freed from position bias, smoothed: [`Counts::attraction`].
    pub attraction: f64,
}

/// Adds up a log for features. A rate is smoothed towards that of the whole log by a beta prior that is worth `strength`
/// impressions; 10 is a fair start.
///
/// The history of a training must end before its labels begin: with clicks that are labels too, a model learns to read
/// the answer off. [`ClickLog::retain`] parts a log.
///
/// ```
/// use rag_ltr::clicks::{Propensities, history, read_log};
/// let log = read_log(concat!(
///     r#"{"query": "moon", "shown": ["tides", "apollo"], "clicked": ["tides"]}"#, "\n",
///     r#"{"query": "moon", "shown": ["tides", "apollo"], "clicked": ["apollo"]}"#, "\n",
/// ))?;
/// let history = history(&log, &Propensities::power_law(1.0, 10)?, 0.0)?;
/// let (tides, apollo) = (history.pair("moon", "tides"), history.pair("moon", "apollo"));
/// assert_eq!((tides.click_rate, apollo.click_rate), (0.5, 0.5));
/// // The second place is looked at half as often as the first.
/// assert_eq!((tides.attraction, apollo.attraction), (0.5, 1.0));
/// assert_eq!(history.document("cheese").impressions, 0);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a `strength` that is below 0 or not finite.
pub fn history(log: &ClickLog, propensities: &Propensities, strength: f64) -> Result<History> {
    check_strength(strength)?;
    let queries = by_query(log, propensities, f64::INFINITY);
    let all = total(&queries);
    let mut documents: BTreeMap<String, Counts> = BTreeMap::new();
    for (&document, counts) in queries.values().flatten() {
        match documents.get_mut(document) {
            Some(sum) => sum.join(counts),
            None => drop(documents.insert(document.to_owned(), *counts)),
        }
    }
    let owned = |documents: BTreeMap<&str, Counts>| {
        documents.into_iter().map(|(document, counts)| (document.to_owned(), counts)).collect()
    };
    Ok(History {
        documents,
        queries: queries.into_iter().map(|(query, documents)| (query.to_owned(), owned(documents))).collect(),
        click_rate: Prior { mean: mean_rate(all.clicks, all.impressions as f64), strength },
        attraction: Prior { mean: mean_rate(all.clicks, all.exposure), strength },
    })
}

impl History {
    /// Of a document, over all queries. One that was never shown has the rates of the prior.
    pub fn document(&self, document: &str) -> ClickFeatures {
        self.features(self.documents.get(document))
    }

    /// Of a document for one query.
    pub fn pair(&self, query: &str, document: &str) -> ClickFeatures {
        self.features(self.queries.get(query).and_then(|documents| documents.get(document)))
    }

    /// Every document, ascending.
    pub fn documents(&self) -> impl Iterator<Item = (&str, ClickFeatures)> {
        self.documents.iter().map(|(document, counts)| (document.as_str(), self.features(Some(counts))))
    }

    /// Every query, ascending, with each of its documents, ascending.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, ClickFeatures)> {
        let of_query = |(query, documents)| std::iter::repeat(query).zip::<&BTreeMap<String, Counts>>(documents);
        let pairs = self.queries.iter().flat_map(of_query);
        pairs.map(|(query, (document, counts))| (query.as_str(), document.as_str(), self.features(Some(counts))))
    }

    fn features(&self, counts: Option<&Counts>) -> ClickFeatures {
        let counts = counts.copied().unwrap_or_default();
        ClickFeatures {
            impressions: counts.impressions,
            clicks: counts.clicks,
            click_rate: counts.click_rate(self.click_rate),
            attraction: counts.attraction(self.attraction),
        }
    }
}
