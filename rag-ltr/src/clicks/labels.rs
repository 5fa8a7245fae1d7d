//! Labels for training, from clicks.

use super::counts::{Counts, Prior, by_query, check_clip, check_strength, mean_rate, total};
use super::log::ClickLog;
use super::propensity::Propensities;
use crate::error::{Error, Result};

/// How labels are made of clicks.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelling {
    /// The largest weight of a click, from 1 on; 100 unless told. A smaller one trades a bias for variance.
    pub clip: f64,
    /// How many impressions the mean of all is worth against what was seen of one document, from 0 on; 1 unless told.
    pub strength: f64,
}

impl Default for Labelling {
    fn default() -> Self {
        Labelling { clip: 100.0, strength: 1.0 }
    }
}

impl Labelling {
    /// Sets the largest weight of a click.
    #[must_use]
    pub fn with_clip(self, clip: f64) -> Self {
        Labelling { clip, ..self }
    }

    /// Sets how many impressions the mean of all is worth.
    #[must_use]
    pub fn with_strength(self, strength: f64) -> Self {
        Labelling { strength, ..self }
    }

    fn check(&self, log: &ClickLog) -> Result<()> {
        check_clip(self.clip)?;
        check_strength(self.strength)?;
        if log.clicks() == 0 {
            return Err(Error::Clicks("labels: no document was clicked; log more impressions".to_owned()));
        }
        Ok(())
    }
}

/// What clicks say of one document for one query.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The query.
    pub query: String,
    /// The document.
    pub document: String,
    /// What the log has of them.
    pub counts: Counts,
    /// The relevance: how often the document is clicked where it is looked at, [`Counts::attraction`] shrunk towards the
    /// mean of all. From 0 on.
    pub relevance: f64,
}

/// One label for each document that was shown for a query: queries ascending, the documents of each ascending. Documents
/// without a click are there too; those that were never shown are not, and nothing is known of them.
///
/// With several impressions of a query this is what to train on: [`grades`] makes whole numbers of it. Where most queries
/// were seen once, [`click_lists`] lets the trainer weight each click.
///
/// ```
/// use rag_ltr::clicks::{Labelling, Propensities, grades, read_log, to_training};
/// let log = read_log(concat!(
///     r#"{"query": "moon", "shown": ["tides", "apollo", "cheese"], "clicked": ["tides"]}"#, "\n",
///     r#"{"query": "moon", "shown": ["tides", "apollo", "cheese"], "clicked": ["apollo"]}"#, "\n",
/// ))?;
/// let propensities = Propensities::new(&[1.0, 0.5, 0.25])?;
/// let labels = to_training(&log, &propensities, &Labelling::default().with_strength(0.0))?;
/// let relevance: Vec<_> = labels.iter().map(|label| (label.document.as_str(), label.relevance)).collect();
/// assert_eq!(relevance, [("apollo", 1.0), ("cheese", 0.0), ("tides", 0.5)]);
/// assert_eq!(grades(&labels, 10), [10.0, 0.0, 5.0]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Clicks`] where nothing was clicked; [`Error::Setting`].
pub fn to_training(log: &ClickLog, propensities: &Propensities, labelling: &Labelling) -> Result<Vec<Label>> {
    labelling.check(log)?;
    let queries = by_query(log, propensities, labelling.clip);
    let all = total(&queries);
    let prior = Prior { mean: mean_rate(all.clicks, all.exposure), strength: labelling.strength };
    let documents = queries.iter().flat_map(|(&query, documents)| std::iter::repeat(query).zip(documents));
    let label = |(query, (document, counts)): (&str, (&&str, &Counts))| Label {
        query: query.to_owned(),
        document: (*document).to_owned(),
        counts: *counts,
        relevance: counts.attraction(prior),
    };
    Ok(documents.map(label).collect())
}

/// Relevance as grades from 0 to `levels`, in the order of the labels: rounded in equal steps of up to 1, where a document
/// is clicked whenever it is looked at. The gain of such a grade is the grade itself, so a trainer that takes gains for
/// exponential is to be given `label_gain = 0, 1, …, levels`.
pub fn grades(labels: &[Label], levels: u16) -> Vec<f32> {
    let levels = f64::from(levels);
    labels.iter().map(|label| (label.relevance * levels).round().min(levels) as f32).collect()
}

/// One document of one impression, as a row of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClickRow<'a> {
    /// Number of the impression in the log, from 0 on: what was shown together is one group of rows.
    pub impression: usize,
    /// The query.
    pub query: &'a str,
    /// The document.
    pub document: &'a str,
    /// Whether it was clicked: the label.
    pub clicked: bool,
    /// `1 / propensity`, no more than the clip: how often such a click stands for itself and for those that were not made
    /// because nobody looked.
    pub inverse_propensity: f64,
}

/// The impressions with at least one click, document by document: the lists of LambdaMART weighted by inverse propensity
/// scores. Each pair of a clicked and a not clicked document of an impression is weighted with the clicked one's
/// `inverse_propensity` (Joachims, Swaminathan & Schnabel, WSDM 2017; Wang et al., WSDM 2018). The weight of a pair by both
/// documents of Hu et al. (WWW 2019) needs a second estimate and is not made here.
///
/// # Errors
/// [`Error::Clicks`] where nothing was clicked; [`Error::Setting`].
pub fn click_lists<'a>(
    log: &'a ClickLog,
    propensities: &Propensities,
    labelling: &Labelling,
) -> Result<Vec<ClickRow<'a>>> {
    labelling.check(log)?;
    let mut rows = Vec::new();
    for (impression, it) in log.iter().enumerate().filter(|(_, it)| it.shown.iter().any(|shown| shown.clicked)) {
        rows.extend(it.shown.iter().map(|shown| ClickRow {
            impression,
            query: &it.query,
            document: &shown.document,
            clicked: shown.clicked,
            inverse_propensity: (1.0 / propensities.of(shown)).min(labelling.clip),
        }));
    }
    Ok(rows)
}
