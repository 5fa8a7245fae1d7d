//! What is watched, what harm is tolerated, and what the observations say of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::decision::{Reading, Sample, Verdict};
use super::error::CanaryError;
use super::sequential::{Difference, MOST, Moments, radius, radius_of_harm};

/// Values that each arm must have before its bounds are believed: they are asymptotic.
const BURN_IN: u64 = 100;

/// Latencies of the control from which its 95th percentile is taken.
const CALIBRATION: u64 = 500;

/// Which ranking answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The weight that served everyone before.
    Control,
    /// The weight that is tried.
    Candidate,
}

impl Arm {
    /// Its name in plans and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Control => "control",
            Arm::Candidate => "candidate",
        }
    }
}

/// What a guardrail watches. Each is the mean of a value of `[0, 1]` a request.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of the requests that take longer than a threshold: the 95th percentile of the control's latencies, of at
    /// least its first 500, to an eighth of an octave; frozen then. About 0.05 for the control; more is harm. Only
    /// requests after that are compared, those of both arms with the same threshold.
    P95Latency,
    /// Share of the requests that failed; more is harm.
    ErrorRate,
    /// Mean share of look-ups that the cache answered; less is harm.
    CacheHitRate,
    /// Share of the requests without a result; more is harm.
    EmptyRate,
    /// Mean of clicks or judgments; less is harm.
    Quality,
}

impl Metric {
    /// Its name in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::P95Latency => "p95_latency",
            Metric::ErrorRate => "error_rate",
            Metric::CacheHitRate => "cache_hit_rate",
            Metric::EmptyRate => "empty_rate",
            Metric::Quality => "quality",
        }
    }

    /// 1 where more of it is harm, −1 where less is.
    fn harm(self) -> f64 {
        match self {
            Metric::P95Latency | Metric::ErrorRate | Metric::EmptyRate => 1.0,
            Metric::CacheHitRate | Metric::Quality => -1.0,
        }
    }

    fn value(self, seen: &Observation, latency: &Latency) -> Option<f64> {
        match self {
            Metric::P95Latency => latency.is_slow(seen.latency_us?).map(f64::from),
            Metric::ErrorRate => Some(f64::from(seen.error)),
            Metric::CacheHitRate => seen.cache_hit,
            Metric::EmptyRate => Some(f64::from(seen.empty)),
            Metric::Quality => seen.quality,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A harm that must not be promoted. Greater than 0 and at most 1.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// In units of the metric: 0.005 of the error rate is half a percentage point.
    Absolute(f64),
    /// Times the mean of the control so far: 0.03 of the quality is 3 % of it.
    Relative(f64),
}

/// A metric and the harm of it that is tolerated.
///
/// Harm of at least the margin is promoted to the end with a probability of at most `alpha`, and a candidate that
/// does no harm at all is rolled back with at most `alpha`. In between either may happen, whatever is certain first:
/// roughly, harm below half of the margin is promoted and above it rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// What is watched.
    pub metric: Metric,
    /// The least harm that must not be promoted.
    pub margin: Margin,
}

/// What happened at one request.
///
/// The statistics take requests for independent. Where one user or one query sends many, that are bucketed together,
/// give one observation for each of those that were bucketed (their mean), or the bounds are narrower than they
/// should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Who answered.
    pub arm: Arm,
    /// How long it took, in microseconds; none if it was not measured.
    #[serde(default)]
    pub latency_us: Option<u64>,
    /// Whether it failed.
    #[serde(default)]
    pub error: bool,
    /// Share of the look-ups that the cache answered, in `[0, 1]`; none if there were none.
    #[serde(default)]
    pub cache_hit: Option<f64>,
    /// Whether the answer had no results.
    #[serde(default)]
    pub empty: bool,
    /// A click or a judgment, in `[0, 1]`; none if it is not known (yet).
    #[serde(default)]
    pub quality: Option<f64>,
}

impl Observation {
    /// A request that went well and of which nothing else is known.
    pub fn new(arm: Arm) -> Self {
        Observation { arm, latency_us: None, error: false, cache_hit: None, empty: false, quality: None }
    }

    pub(super) fn validate(&self) -> Result<(), CanaryError> {
        in_unit("cache_hit", self.cache_hit)?;
        in_unit("quality", self.quality)
    }
}

pub(super) fn in_unit(field: &'static str, value: Option<f64>) -> Result<(), CanaryError> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => Err(CanaryError::Observation { field, value }),
        _ => Ok(()),
    }
}

/// Which latencies are slow: above the 95th percentile of the control, once that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Latency {
    /// Latencies of the control, counted by [`bucket`].
    Calibrating(BTreeMap<u32, u64>),
    /// Microseconds.
    Above(u64),
}

impl Latency {
    fn is_slow(&self, latency_us: u64) -> Option<bool> {
        match self {
            Latency::Calibrating(_) => None,
            Latency::Above(threshold) => Some(latency_us > *threshold),
        }
    }

    pub(super) fn observe(&mut self, seen: &Observation) {
        if let (Latency::Calibrating(counts), Arm::Control, Some(latency_us)) = (self, seen.arm, seen.latency_us) {
            *counts.entry(bucket(latency_us)).or_default() += 1;
        }
    }

    /// Sets the threshold when the control has enough latencies. At decisions alone, so that the order of the
    /// observations between two of them does not matter.
    pub(super) fn freeze(&mut self) {
        let Latency::Calibrating(counts) = self else { return };
        let n: u64 = counts.values().sum();
        if n < CALIBRATION {
            return;
        }
        let rank = n - n / 20;
        let mut below = 0;
        let percentile = counts.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        if let Some((bucket, _)) = percentile {
            *self = Latency::Above(upper_end(*bucket));
        }
    }

    pub(super) fn is_possible(&self) -> bool {
        match self {
            Latency::Calibrating(counts) => counts.iter().all(|(&bucket, &n)| bucket < BUCKETS && n <= MOST),
            Latency::Above(_) => true,
        }
    }
}

/// Eight of equal width an octave: whole numbers below 16 have their own.
const BUCKETS: u32 = 62 * 8;

fn bucket(latency_us: u64) -> u32 {
    let octave = (u64::BITS - latency_us.leading_zeros()).saturating_sub(4);
    octave * 8 + (latency_us >> octave) as u32
}

/// The greatest number in the bucket.
fn upper_end(bucket: u32) -> u64 {
    let octave = (bucket / 8).saturating_sub(1);
    let next = u128::from(bucket - octave * 8 + 1) << octave;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

/// Moments of both arms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arms {
    control: Moments,
    candidate: Moments,
}

/// All that is kept of the observations of one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Evidence {
    /// Of this step.
    step: Arms,
    /// Of the steps before it.
    past: Arms,
    /// The comparisons within those.
    difference: Difference,
}

impl Evidence {
    pub(super) fn observe(&mut self, metric: Metric, seen: &Observation, latency: &Latency) {
        if let Some(value) = metric.value(seen, latency) {
            self.add(seen.arm, value);
        }
    }

    pub(super) fn add(&mut self, arm: Arm, value: f64) {
        match arm {
            Arm::Control => self.step.control.add(value),
            Arm::Candidate => self.step.candidate.add(value),
        }
    }

    /// The share changes: what comes is not pooled with what was.
    pub(super) fn end_step(&mut self) {
        self.difference = self.difference.with(&self.step.control, &self.step.candidate);
        self.past = self.total();
        self.step = Arms::default();
    }

    fn total(&self) -> Arms {
        Arms {
            control: self.past.control.merge(&self.step.control),
            candidate: self.past.candidate.merge(&self.step.candidate),
        }
    }

    /// What it says of a guardrail. `alpha_lower` is the risk to call harm what is none, `alpha_upper` that to call
    /// tolerable what is not.
    pub(super) fn read(&self, guardrail: &Guardrail, alpha_lower: f64, alpha_upper: f64) -> Reading {
        let Arms { control, candidate } = self.total();
        let margin = match guardrail.margin {
            Margin::Absolute(margin) => Some(margin),
            Margin::Relative(share) => (control.n > 0).then_some(share * control.mean),
        };
        let mut reading = Reading {
            guardrail: guardrail.metric,
            control: Sample { n: control.n, mean: control.mean },
            candidate: Sample { n: candidate.n, mean: candidate.mean },
            difference: None,
            lower: None,
            upper: None,
            margin,
            verdict: Verdict::TooFew,
        };
        let compared = self.difference.with(&self.step.control, &self.step.candidate).estimate();
        let (Some((estimate, variance)), Some(margin)) = (compared, margin) else { return reading };
        let harm = guardrail.metric.harm() * estimate;
        reading.difference = Some(harm);
        // A relative margin of a control of 0 has no scale.
        if control.n.min(candidate.n) < BURN_IN || margin <= 0.0 {
            return reading;
        }
        let lower = harm - radius_of_harm(variance, margin, alpha_lower);
        let upper = harm + radius(variance, margin, alpha_upper);
        reading.lower = Some(lower);
        reading.upper = Some(upper);
        reading.verdict = match (lower > 0.0, upper < margin) {
            (_, true) => Verdict::Tolerable,
            (true, false) => Verdict::Harmful,
            (false, false) => Verdict::Undecided,
        };
        reading
    }

    pub(super) fn is_possible(&self) -> bool {
        let Arms { control, candidate } = &self.step;
        let moments = [control, candidate, &self.past.control, &self.past.candidate];
        moments.iter().all(|moments| moments.is_possible()) && self.difference.is_possible()
    }
}
