//! Impressions and clicks, added up.

use std::collections::BTreeMap;

use super::log::{ClickLog, Shown};
use super::propensity::Propensities;
use crate::error::{Error, Result};

/// What a log says of one document, for one query or for all.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// How often it was shown.
    pub impressions: usize,
    /// How often it was clicked when shown.
    pub clicks: usize,
    /// How often it was looked at: the sum of the propensities of its places.
    pub exposure: f64,
    /// The sum of `1 / propensity` over its clicks: in expectation the clicks that it would have had, had it always stood
    /// at rank 1 (Joachims, Swaminathan & Schnabel, WSDM 2017).
    pub weighted_clicks: f64,
}

impl Counts {
    pub(super) fn add(&mut self, shown: &Shown, propensity: f64, clip: f64) {
        self.impressions += 1;
        self.exposure += propensity;
        if shown.clicked {
            self.clicks += 1;
            self.weighted_clicks += (1.0 / propensity).min(clip);
        }
    }

    pub(super) fn join(&mut self, other: &Counts) {
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.exposure += other.exposure;
        self.weighted_clicks += other.weighted_clicks;
    }

    /// Click-through rate, smoothed: `(clicks + strength · mean) / (impressions + strength)`, the mean of a rate with this
    /// prior after these clicks. 0 to 1.
    pub fn click_rate(&self, prior: Prior) -> f64 {
        prior.smooth(self.clicks as f64, self.impressions as f64)
    }

    /// Click-through rate freed from position bias, smoothed: `(clicks + strength · mean) / (exposure + strength)`. Under
    /// the position-based model, clicks have the expectation `attraction · exposure`, so without a prior this is an unbiased
    /// estimate of the attraction. From 0 on; noise can take it above 1.
    pub fn attraction(&self, prior: Prior) -> f64 {
        prior.smooth(self.clicks as f64, self.exposure)
    }
}

/// What is believed of a rate before it is seen: a beta distribution of this mean, `Beta(strength · mean, strength · (1 −
/// mean))`, worth as much as `strength` impressions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// 0 to 1.
    pub mean: f64,
    /// From 0, which takes the counts as they are, on.
    pub strength: f64,
}

impl Prior {
    /// # Errors
    /// [`Error::Setting`] for a mean or a strength out of range.
    pub fn new(mean: f64, strength: f64) -> Result<Prior> {
        if !(0.0..=1.0).contains(&mean) {
            return Err(Error::Setting { name: "mean", value: mean, range: "a rate from 0 to 1" });
        }
        check_strength(strength)?;
        Ok(Prior { mean, strength })
    }

    fn smooth(self, clicks: f64, times: f64) -> f64 {
        let whole = times + self.strength;
        if whole > 0.0 { (clicks + self.strength * self.mean) / whole } else { self.mean }
    }
}

pub(super) fn check_strength(strength: f64) -> Result<()> {
    if strength >= 0.0 && strength.is_finite() {
        return Ok(());
    }
    Err(Error::Setting { name: "strength", value: strength, range: "a number of impressions from 0 on" })
}

pub(super) fn check_clip(clip: f64) -> Result<()> {
    if clip >= 1.0 {
        return Ok(());
    }
    Err(Error::Setting { name: "clip", value: clip, range: "a weight from 1 on; infinity clips nothing" })
}

/// Query → document → counts.
pub(super) type ByQuery<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Counts>>;

/// Adds up a log. No click weighs more than `clip`.
pub(super) fn by_query<'a>(log: &'a ClickLog, propensities: &Propensities, clip: f64) -> ByQuery<'a> {
    let mut queries = ByQuery::new();
    for impression in log {
        let documents = queries.entry(&impression.query).or_default();
        for shown in &impression.shown {
            documents.entry(&shown.document).or_default().add(shown, propensities.of(shown), clip);
        }
    }
    queries
}

/// All counts as one.
pub(super) fn total(queries: &ByQuery<'_>) -> Counts {
    let mut total = Counts::default();
    queries.values().flat_map(BTreeMap::values).for_each(|counts| total.join(counts));
    total
}

/// The rate of all, as a prior's mean.
pub(super) fn mean_rate(clicks: usize, times: f64) -> f64 {
    if times > 0.0 { (clicks as f64 / times).min(1.0) } else { 0.0 }
}
