//! Canary: a candidate weight gets more and more traffic while its guardrails hold.
//!
//! Pure: the caller routes [`Canary::share`] of the traffic to the candidate, reports what happened, asks for decisions
//! as often as it likes, and saves the state, which is serde.

mod decision;
mod error;
mod guardrail;
mod plan;
mod sequential;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use decision::{Decision, DecisionKind, Reading, Sample, Verdict};
pub use error::CanaryError;
pub use guardrail::{Arm, Guardrail, Margin, Metric, Observation};
pub use plan::RampPlan;

use guardrail::{Evidence, Latency, in_unit};

/// Where a canary stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryStatus {
    /// It gathers evidence.
    Running,
    /// It keeps its share and waits for a person. Harm that becomes certain still rolls it back.
    Paused,
    /// Harm was certain; the candidate gets no traffic.
    RolledBack,
    /// A person ended it; the candidate gets no traffic.
    Aborted,
    /// The candidate gets all traffic.
    Complete,
}

impl fmt::Display for CanaryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CanaryStatus::Running => "running",
            CanaryStatus::Paused => "paused",
            CanaryStatus::RolledBack => "rolled back",
            CanaryStatus::Aborted => "aborted",
            CanaryStatus::Complete => "complete",
        })
    }
}

/// A ramp under way: the plan, where it stands, and a few sums for each guardrail. It is serde, less than 10 kB of
/// JSON for any plan, and one that is restored goes on as if nothing had happened.
///
/// # The rule
/// Harm is by how much the candidate is worse. Of each guardrail it has a lower and an upper bound that hold at all
/// times together (a confidence sequence, over the whole ramp), so that looking often costs nothing. In this order:
/// 1. **roll back** if there is a guardrail whose harm is certain (`lower > 0`) and may be too large (`upper ≥
///    margin`). The lower bounds share `alpha` (Bonferroni: `alpha` over the number of guardrails each).
/// 2. **promote** if the step has its least samples and time, and the harm of each guardrail is below its margin
///    (`upper < margin`). As all must be, each upper bound has the whole `alpha` (an intersection-union test; Berger
///    1982). Reaching the last step is **complete**.
/// 3. **pause** if the step has had its greatest time, or its greatest samples while a guardrail is undecided.
/// 4. **continue**.
///
/// Evidence adds up over the steps, so later steps are mostly short. That supposes that the share itself changes
/// neither arm; a harm that comes with load is seen late, since the earlier steps speak against it.
///
/// ```
/// use rag_fusion::{Arm, Canary, DecisionKind, Observation, RampPlan};
/// let mut canary = Canary::new(RampPlan::new(0.4), 0)?;
/// assert_eq!(canary.share(), 0.1);
/// for request in 0..4000 {
///     let arm = if request % 10 == 0 { Arm::Candidate } else { Arm::Control };
///     // The candidate fails at every fifth of its requests.
///     canary.observe(&Observation { error: request % 50 == 0, ..Observation::new(arm) })?;
/// }
/// let decision = canary.decide(60_000_000);
/// assert_eq!(decision.kind, DecisionKind::RollBack);
/// assert_eq!(canary.share(), 0.0);
/// assert!(decision.to_string().contains("error_rate: 0.2000 of 400 against 0.0000 of 3600; worse by 0.2000"));
/// # Ok::<(), rag_fusion::CanaryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct Canary {
    state: State,
}

/// What is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    plan: RampPlan,
    status: CanaryStatus,
    /// 0-based.
    step: usize,
    /// When it began, or was resumed.
    since_us: u64,
    /// Requests since then.
    control: u64,
    candidate: u64,
    latency: Latency,
    /// One for each guardrail, in the order of the plan.
    evidence: Vec<Evidence>,
}

impl TryFrom<State> for Canary {
    type Error = CanaryError;

    fn try_from(state: State) -> Result<Self, CanaryError> {
        state.plan.validate()?;
        let last = state.plan.steps.len() - 1;
        let wrong = |field, problem| Err(CanaryError::State { field, problem });
        if state.step > last || (state.step == last) != (state.status == CanaryStatus::Complete) {
            return wrong("step", "does not fit its plan and status");
        }
        if state.control.max(state.candidate) > sequential::MOST {
            return wrong("control", "or `candidate` counts more requests than there can be");
        }
        if state.evidence.len() != state.plan.guardrails.len() {
            return wrong("evidence", "is not one for each guardrail");
        }
        if !state.evidence.iter().all(Evidence::is_possible) {
            return wrong("evidence", "has numbers that no observations give");
        }
        if !state.latency.is_possible() {
            return wrong("latency", "has a bucket that no latency is in");
        }
        Ok(Canary { state })
    }
}

impl From<Canary> for State {
    fn from(canary: Canary) -> State {
        canary.state
    }
}

impl Canary {
    /// Begins the first step of a plan.
    ///
    /// # Errors
    /// [`CanaryError::Plan`].
    pub fn new(plan: RampPlan, now_us: u64) -> Result<Self, CanaryError> {
        let evidence = vec![Evidence::default(); plan.guardrails.len()];
        let latency = Latency::Calibrating(BTreeMap::new());
        let status = CanaryStatus::Running;
        State { plan, status, step: 0, since_us: now_us, control: 0, candidate: 0, latency, evidence }.try_into()
    }

    /// The plan.
    pub fn plan(&self) -> &RampPlan {
        &self.state.plan
    }

    /// Where it stands.
    pub fn status(&self) -> CanaryStatus {
        self.state.status
    }

    /// Share of the traffic that the candidate shall have now, from 0 to 1.
    pub fn share(&self) -> f64 {
        match self.state.status {
            CanaryStatus::RolledBack | CanaryStatus::Aborted => 0.0,
            _ => self.state.plan.steps.get(self.state.step).copied().unwrap_or(0.0),
        }
    }

    /// Counts a request. After the end of the canary nothing counts.
    ///
    /// # Errors
    /// [`CanaryError::Observation`]; nothing of the request is counted then.
    pub fn observe(&mut self, seen: &Observation) -> Result<(), CanaryError> {
        seen.validate()?;
        if self.is_over() {
            return Ok(());
        }
        let state = &mut self.state;
        match seen.arm {
            Arm::Control => state.control += 1,
            Arm::Candidate => state.candidate += 1,
        }
        for (guardrail, evidence) in state.plan.guardrails.iter().zip(&mut state.evidence) {
            evidence.observe(guardrail.metric, seen, &state.latency);
        }
        state.latency.observe(seen);
        Ok(())
    }

    /// Counts the quality, from 0 to 1, of a request that was observed before without: a click that came later, a
    /// judgment. It counts for the step in which it comes.
    ///
    /// # Errors
    /// [`CanaryError::Observation`].
    pub fn observe_quality(&mut self, arm: Arm, quality: f64) -> Result<(), CanaryError> {
        in_unit("quality", Some(quality))?;
        if self.is_over() {
            return Ok(());
        }
        for (guardrail, evidence) in self.state.plan.guardrails.iter().zip(&mut self.state.evidence) {
            if guardrail.metric == Metric::Quality {
                evidence.add(arm, quality);
            }
        }
        Ok(())
    }

    /// Decides by the rule above, at a time that is not before the earlier ones, and acts on it: [`Canary::share`] is
    /// that of the decision afterwards. After the end it repeats how it ended.
    pub fn decide(&mut self, now_us: u64) -> Decision {
        self.state.latency.freeze();
        let state = &self.state;
        let (samples, seconds) =
            (state.control.min(state.candidate), now_us.saturating_sub(state.since_us) / 1_000_000);
        let because = self.readings();
        let kind = self.kind(&because, samples, seconds);
        self.act(kind, now_us);
        let (step, steps) = (self.state.step + 1, self.state.plan.steps.len());
        Decision { kind, step, steps, share: self.share(), samples, seconds, because }
    }

    /// Gives a paused step its samples and time once more; the evidence stays.
    ///
    /// # Errors
    /// [`CanaryError::NotPaused`].
    pub fn resume(&mut self, now_us: u64) -> Result<(), CanaryError> {
        if self.state.status != CanaryStatus::Paused {
            return Err(CanaryError::NotPaused(self.state.status));
        }
        self.state.status = CanaryStatus::Running;
        self.begin_window(now_us);
        Ok(())
    }

    /// Takes the candidate out of the traffic. One that has ended stays as it is.
    pub fn abort(&mut self) {
        if !self.is_over() {
            self.state.status = CanaryStatus::Aborted;
        }
    }

    /// The guardrails as they are now, in the order of the plan; changes nothing.
    pub fn readings(&self) -> Vec<Reading> {
        let RampPlan { guardrails, alpha, .. } = &self.state.plan;
        let each = alpha / guardrails.len() as f64;
        guardrails.iter().zip(&self.state.evidence).map(|(guardrail, it)| it.read(guardrail, each, *alpha)).collect()
    }

    fn kind(&self, because: &[Reading], samples: u64, seconds: u64) -> DecisionKind {
        let State { plan, status, step, .. } = &self.state;
        match status {
            CanaryStatus::RolledBack => return DecisionKind::RollBack,
            CanaryStatus::Aborted => return DecisionKind::Abort,
            CanaryStatus::Complete => return DecisionKind::Complete,
            CanaryStatus::Running | CanaryStatus::Paused => {}
        }
        let all_tolerable = because.iter().all(|reading| reading.verdict == Verdict::Tolerable);
        if because.iter().any(|reading| reading.verdict == Verdict::Harmful) {
            DecisionKind::RollBack
        } else if *status == CanaryStatus::Paused {
            DecisionKind::Pause
        } else if all_tolerable && samples >= plan.min_samples && seconds >= plan.min_seconds {
            if step + 2 == plan.steps.len() { DecisionKind::Complete } else { DecisionKind::Promote }
        } else if seconds >= plan.max_seconds || (samples >= plan.max_samples && !all_tolerable) {
            DecisionKind::Pause
        } else {
            DecisionKind::Continue
        }
    }

    fn act(&mut self, kind: DecisionKind, now_us: u64) {
        if self.is_over() {
            return;
        }
        match kind {
            DecisionKind::Continue | DecisionKind::Abort => {}
            DecisionKind::Pause => self.state.status = CanaryStatus::Paused,
            DecisionKind::RollBack => self.state.status = CanaryStatus::RolledBack,
            DecisionKind::Promote | DecisionKind::Complete => {
                self.state.step += 1;
                self.state.evidence.iter_mut().for_each(Evidence::end_step);
                self.begin_window(now_us);
                if kind == DecisionKind::Complete {
                    self.state.status = CanaryStatus::Complete;
                }
            }
        }
    }

    fn begin_window(&mut self, now_us: u64) {
        self.state.since_us = now_us;
        self.state.control = 0;
        self.state.candidate = 0;
    }

    fn is_over(&self) -> bool {
        !matches!(self.state.status, CanaryStatus::Running | CanaryStatus::Paused)
    }
}
