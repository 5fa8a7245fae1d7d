//! How the traffic of a candidate grows, and when.

use serde::{Deserialize, Serialize};

use super::error::CanaryError;
use super::guardrail::{Guardrail, Margin, Metric};

/// Most steps of a plan.
const MAX_STEPS: usize = 20;

/// How a candidate weight comes to serve everyone.
///
/// The last step is 1 and ends the comparison: without a control there is nothing to compare with, and a holdback for
/// ever would keep the better ranking from some. Who wants a look at nearly full load puts a step of 0.95 before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampPlan {
    /// The weight that the candidate tries, from 0 to 1. It has no default.
    pub weight: f32,
    /// Shares of the traffic that the candidate gets, rising, the last one 1; 2 to 20 of them.
    /// Default 0.1, 0.25, 0.5, 1.
    #[serde(default = "default_steps")]
    pub steps: Vec<f64>,
    /// Requests that either arm must have in a step before it is promoted. Default 1000; at least 1.
    #[serde(default = "default_min_samples")]
    pub min_samples: u64,
    /// A step pauses undecided when each arm has so many requests in it. Default 100 000; at least `min_samples`.
    #[serde(default = "default_max_samples")]
    pub max_samples: u64,
    /// Least duration of a step. Default 3600: an hour.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: u64,
    /// A step pauses after so long. Default 604 800: a week; above `min_seconds`.
    #[serde(default = "default_max_seconds")]
    pub max_seconds: u64,
    /// What must not become worse; at least one, each metric once. All must be observed: of a metric without
    /// observations nobody can say that it is well, and the ramp pauses. By default all five.
    #[serde(default = "default_guardrails")]
    pub guardrails: Vec<Guardrail>,
    /// The risk over the whole ramp, however often it is looked at, that a candidate which is no worse in any metric
    /// is rolled back; also the risk that one which is worse by a margin is promoted to the end. Default 0.05; above
    /// 0 and below 0.5.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
}

fn default_steps() -> Vec<f64> {
    vec![0.10, 0.25, 0.50, 1.0]
}

fn default_min_samples() -> u64 {
    1000
}

fn default_max_samples() -> u64 {
    100_000
}

fn default_min_seconds() -> u64 {
    3600
}

fn default_max_seconds() -> u64 {
    7 * 24 * 3600
}

fn default_alpha() -> f64 {
    0.05
}

fn default_guardrails() -> Vec<Guardrail> {
    let guardrail = |metric, margin| Guardrail { metric, margin };
    vec![
        guardrail(Metric::P95Latency, Margin::Absolute(0.02)),
        guardrail(Metric::ErrorRate, Margin::Absolute(0.005)),
        guardrail(Metric::CacheHitRate, Margin::Absolute(0.03)),
        guardrail(Metric::EmptyRate, Margin::Absolute(0.01)),
        guardrail(Metric::Quality, Margin::Relative(0.03)),
    ]
}

impl RampPlan {
    /// The default plan for a candidate weight.
    pub fn new(weight: f32) -> Self {
        RampPlan {
            weight,
            steps: default_steps(),
            min_samples: default_min_samples(),
            max_samples: default_max_samples(),
            min_seconds: default_min_seconds(),
            max_seconds: default_max_seconds(),
            guardrails: default_guardrails(),
            alpha: default_alpha(),
        }
    }

    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// [`CanaryError::Plan`] for the first field that is out of its range.
    pub fn validate(&self) -> Result<(), CanaryError> {
        check((0.0..=1.0).contains(&self.weight), "weight", &self.weight, "give a number from 0 to 1")?;
        self.validate_steps()?;
        check(self.min_samples >= 1, "min_samples", &self.min_samples, "give at least 1")?;
        let enough = self.max_samples >= self.min_samples;
        check(enough, "max_samples", &self.max_samples, "give at least `min_samples`")?;
        let later = self.max_seconds > self.min_seconds;
        check(later, "max_seconds", &self.max_seconds, "give more than `min_seconds`")?;
        self.validate_guardrails()?;
        check(self.alpha > 0.0 && self.alpha < 0.5, "alpha", &self.alpha, "give a number above 0 and below 0.5")
    }

    fn validate_steps(&self) -> Result<(), CanaryError> {
        let count = self.steps.len();
        check((2..=MAX_STEPS).contains(&count), "steps", &format!("a list of {count}"), "give 2 to 20 shares")?;
        let mut before = 0.0;
        for (position, &share) in self.steps.iter().enumerate() {
            let rises = share > before && share <= 1.0;
            check(rises, &format!("steps[{position}]"), &share, "give rising shares above 0 and at most 1")?;
            before = share;
        }
        check(before == 1.0, &format!("steps[{}]", count - 1), &before, "end the ramp at 1")
    }

    fn validate_guardrails(&self) -> Result<(), CanaryError> {
        check(!self.guardrails.is_empty(), "guardrails", &"empty", "give at least one")?;
        for (position, Guardrail { metric, margin }) in self.guardrails.iter().enumerate() {
            let again = self.guardrails.iter().take(position).any(|other| other.metric == *metric);
            let field = |name: &str| format!("guardrails[{position}].{name}");
            check(!again, &field("metric"), metric, "give each metric once")?;
            let (Margin::Absolute(size) | Margin::Relative(size)) = *margin;
            let sized = size > 0.0 && size <= 1.0;
            check(sized, &field("margin"), &size, "give a number above 0 and at most 1")?;
        }
        Ok(())
    }
}

fn check(holds: bool, field: &str, value: &dyn std::fmt::Display, wanted: &'static str) -> Result<(), CanaryError> {
    if holds {
        return Ok(());
    }
    Err(CanaryError::Plan { field: field.to_owned(), value: value.to_string(), wanted })
}
