//! What was decided, and the figures that led to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::guardrail::Metric;

/// What a canary does next.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// The step goes on.
    Continue,
    /// The next step begins.
    Promote,
    /// The candidate gets no more traffic: harm is certain.
    RollBack,
    /// A person must resume or abort: the step has had its time or samples and is undecided.
    Pause,
    /// The candidate gets all traffic; the canary is over.
    Complete,
    /// A person ended it; the candidate gets no more traffic.
    Abort,
}

/// What the observations say of a guardrail.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There are not enough of them for bounds.
    TooFew,
    /// Harm may be nothing or more than the margin.
    Undecided,
    /// There is harm (`lower > 0`) and it may be above the margin.
    Harmful,
    /// If there is harm, it is below the margin (`upper < margin`).
    Tolerable,
}

/// An arm, in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Number of values.
    pub n: u64,
    /// Their mean; 0 without any.
    pub mean: f64,
}

/// A guardrail, as the observations of all steps have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// What is watched.
    pub guardrail: Metric,
    /// The control, over all steps.
    pub control: Sample,
    /// The candidate, over all steps.
    pub candidate: Sample,
    /// By how much the candidate is worse: below 0 where it is better. The steps are compared each within itself, so it
    /// may differ from that of the two means. None while an arm lacks values.
    pub difference: Option<f64>,
    /// Least that it is worse by, at a risk of `alpha` over the number of guardrails, for all times together.
    pub lower: Option<f64>,
    /// Most that it is worse by, at a risk of `alpha`, for all times together.
    pub upper: Option<f64>,
    /// The margin in units of the metric; none while a relative one lacks a control.
    pub margin: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
}

/// What a canary does next, and why. `Display` says it to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What.
    pub kind: DecisionKind,
    /// The step that holds from now on, 1-based.
    pub step: usize,
    /// Number of steps of the plan.
    pub steps: usize,
    /// Share of the traffic that the candidate gets from now on.
    pub share: f64,
    /// Requests of the arm that has fewer, in the step that was looked at.
    pub samples: u64,
    /// Duration of that step so far.
    pub seconds: u64,
    /// The guardrails, in the order of the plan.
    pub because: Vec<Reading>,
}

impl Decision {
    /// As `Display` says it, in one line of at most 1,000 bytes.
    pub fn in_one_line(&self) -> String {
        let mut line = self.to_string().replace("\n  ", "; ");
        line.truncate(1000);
        line
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecisionKind::Continue => "continue",
            DecisionKind::Promote => "promote",
            DecisionKind::RollBack => "roll back",
            DecisionKind::Pause => "pause",
            DecisionKind::Complete => "complete",
            DecisionKind::Abort => "abort",
        };
        let Decision { step, steps, samples, seconds, .. } = self;
        let share = self.share * 100.0;
        write!(f, "{what}: step {step} of {steps}, {share:.0} % of the traffic to the candidate ")?;
        write!(f, "(looked at {samples} requests of each arm, {seconds} s)")?;
        self.because.iter().try_for_each(|reading| write!(f, "\n  {reading}"))
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading { guardrail, control, candidate, .. } = self;
        write!(f, "{guardrail}: {:.4} of {}", candidate.mean, candidate.n)?;
        write!(f, " against {:.4} of {}", control.mean, control.n)?;
        if let Some(difference) = self.difference {
            write!(f, "; worse by {difference:.4}")?;
        }
        if let (Some(lower), Some(upper)) = (self.lower, self.upper) {
            write!(f, " ({lower:.4} to {upper:.4})")?;
        }
        if let Some(margin) = self.margin {
            write!(f, ", tolerated below {margin:.4}")?;
        }
        f.write_str(match self.verdict {
            // The one that the caller has to tell.
            Verdict::TooFew if *guardrail == Metric::Quality => {
                ": too few to say (observe it, or take the guardrail out of the plan)"
            }
            Verdict::TooFew => ": too few to say",
            Verdict::Undecided => ": undecided",
            Verdict::Harmful => ": harmful",
            Verdict::Tolerable => ": tolerable",
        })
    }
}
