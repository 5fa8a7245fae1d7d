//! What a gate is in, and what an action makes of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Reason;
use super::action::Action;
use super::audit::Change;
use super::bucket::{BUCKETS, BucketKey};
use super::error::{GateError, check};
use super::experiment::{Experiment, Running, Unit, Variant};
use crate::canary::{Arm, Canary, CanaryStatus, Decision, DecisionKind};

/// Most experiments at a time.
const MAX_EXPERIMENTS: usize = 100;

/// All that a gate knows; recorded whole with each change, so that the last record is enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateState {
    /// Number of changes so far.
    pub epoch: u64,
    /// The weight of all who are in no experiment; none: that of the ranker.
    pub weight: Option<f32>,
    /// Whether everyone gets the weight 0.
    pub killed: bool,
    /// In the order in which they began.
    pub experiments: Vec<Running>,
    /// The canary that is under way, or the last one.
    pub canary: Option<Canary>,
    /// The epoch in which the canary last began, went to another step, paused or ended.
    pub canary_epoch: u64,
    /// The epoch in which it began: with it, who is a candidate is drawn anew.
    pub canary_started: u64,
    /// The last change; none before the first.
    pub changed: Option<Change>,
    /// [`Change::source`] of the last change that has one: a file is obeyed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obeyed: Option<String>,
}

impl GateState {
    /// Whether a gate can be in it.
    pub(super) fn validate(&self) -> Result<(), GateError> {
        let wrong = |field, problem| Err(GateError::State { field, problem });
        if self.weight.is_some_and(|weight| !(0.0..=1.0).contains(&weight)) {
            return wrong("weight", "is not from 0 to 1");
        }
        if self.experiments.len() > MAX_EXPERIMENTS {
            return wrong("experiments", "are more than there can be");
        }
        for (position, running) in self.experiments.iter().enumerate() {
            running.experiment.validate()?;
            let others = &self.experiments[..position];
            if running.first > BUCKETS || running.end() > BUCKETS {
                return wrong("experiments", "have buckets that do not exist");
            }
            let (name, space) = (&running.experiment.name, running.experiment.space());
            if others.iter().any(|other| other.experiment.name == *name) {
                return wrong("experiments", "have one name twice");
            }
            let overlaps = |other: &Running| running.first < other.end() && other.first < running.end();
            if others.iter().any(|other| other.experiment.space() == space && overlaps(other)) {
                return wrong("experiments", "of one group have the same buckets");
            }
        }
        if self.canary_started > self.canary_epoch || self.canary_epoch > self.epoch {
            return wrong("canary_epoch", "does not fit its other epochs");
        }
        self.changed.as_ref().map_or(Ok(()), Change::validate)
    }

    /// The canary, if it is under way.
    pub fn canary_under_way(&self) -> Option<&Canary> {
        let status = self.canary.as_ref()?.status();
        self.canary.as_ref().filter(|_| matches!(status, CanaryStatus::Running | CanaryStatus::Paused))
    }

    /// The state that an action of now leads to.
    pub(super) fn after(&self, action: &Action, now_us: u64) -> Result<GateState, GateError> {
        let mut next = GateState { epoch: self.epoch + 1, ..self.clone() };
        match action {
            Action::SetWeight { weight } => {
                self.refuse_during_canary("changing the weight")?;
                check((0.0..=1.0).contains(weight), "weight", weight, "give a number from 0 to 1")?;
                next.weight = Some(*weight);
            }
            Action::Kill => {
                next.killed = true;
                if let Some(canary) = self.canary_under_way() {
                    next.canary = Some(aborted(canary));
                    next.canary_epoch = next.epoch;
                }
            }
            Action::Revive if !self.killed => return Err(GateError::NotKilled),
            Action::Revive => next.killed = false,
            Action::StartExperiment(experiment) => next.start(experiment)?,
            Action::EndExperiment { name } => {
                let Some(at) = self.experiments.iter().position(|running| running.experiment.name == *name) else {
                    let known = self.experiments.iter().map(|running| running.experiment.name.clone()).collect();
                    return Err(GateError::Unknown { name: name.clone(), known });
                };
                if !self.experiments[at].experiment.shadow {
                    self.refuse_during_canary("ending an experiment")?;
                }
                next.experiments.remove(at);
            }
            Action::StartCanary(plan) => {
                self.refuse_during_canary("starting another")?;
                if self.killed {
                    return Err(GateError::Killed);
                }
                next.canary = Some(Canary::new(plan.clone(), now_us)?);
                next.canary_started = next.epoch;
                next.canary_epoch = next.epoch;
            }
            Action::ResumeCanary => {
                let mut canary = self.canary_under_way().ok_or(GateError::NoCanary)?.clone();
                canary.resume(now_us)?;
                next.canary = Some(canary);
                next.canary_epoch = next.epoch;
            }
            Action::AbortCanary => {
                next.canary = Some(aborted(self.canary_under_way().ok_or(GateError::NoCanary)?));
                next.canary_epoch = next.epoch;
            }
            Action::FollowCanary { canary, decision } => next.follow(canary, decision)?,
        }
        Ok(next)
    }

    fn refuse_during_canary(&self, what: &'static str) -> Result<(), GateError> {
        self.canary_under_way().map_or(Ok(()), |canary| Err(GateError::CanaryUnderWay(canary.status(), what)))
    }

    fn start(&mut self, experiment: &Experiment) -> Result<(), GateError> {
        experiment.validate()?;
        if !experiment.shadow {
            self.refuse_during_canary("starting an experiment")?;
        }
        if self.experiments.iter().any(|running| running.experiment.name == experiment.name) {
            return Err(GateError::Exists(experiment.name.clone()));
        }
        if self.experiments.len() == MAX_EXPERIMENTS {
            return Err(GateError::TooMany(MAX_EXPERIMENTS));
        }
        let first = self.free_buckets(experiment)?;
        self.experiments.push(Running { experiment: experiment.clone(), started: self.epoch, first });
        Ok(())
    }

    /// The first gap of the group that is wide enough.
    fn free_buckets(&self, experiment: &Experiment) -> Result<u32, GateError> {
        let (space, wanted) = (experiment.space(), experiment.buckets());
        let in_group = self.experiments.iter().filter(|running| running.experiment.space() == space);
        let mut taken: Vec<(u32, u32)> = in_group.map(|running| (running.first, running.end())).collect();
        taken.push((BUCKETS, BUCKETS));
        taken.sort_unstable();
        let (mut at, mut widest) = (0, 0);
        for (first, end) in taken {
            if first - at >= wanted {
                return Ok(at);
            }
            widest = widest.max(first - at);
            at = end;
        }
        let share = |buckets| f64::from(buckets) / f64::from(BUCKETS);
        let group = experiment.group.clone().unwrap_or_default();
        Err(GateError::Full { group, free: share(widest), wanted: share(wanted) })
    }

    fn follow(&mut self, canary: &Canary, decision: &Decision) -> Result<(), GateError> {
        let before = self.canary_under_way().ok_or(GateError::NoCanary)?;
        if before.plan() != canary.plan() {
            return Err(GateError::OtherCanary);
        }
        if decision.kind == DecisionKind::Complete {
            self.weight = Some(canary.plan().weight);
        }
        self.canary = Some(canary.clone());
        self.canary_epoch = self.epoch;
        Ok(())
    }

    /// Why a request has its weight, and what is computed beside it.
    pub(super) fn place(&self, key: &BucketKey, user: Option<&str>, query: &str) -> (Reason, Option<(usize, usize)>) {
        if self.killed {
            return (Reason::Killed, None);
        }
        let canary = self.canary_under_way();
        if self.experiments.is_empty() && canary.is_none() {
            return (Reason::Baseline, None);
        }
        let query = normal(query);
        let mut served = None;
        let mut shadow = None;
        for (position, running) in self.experiments.iter().enumerate() {
            let found = if running.experiment.shadow { &mut shadow } else { &mut served };
            let name = match running.experiment.unit {
                Unit::User => user,
                Unit::Query => Some(&*query),
            };
            let Some(name) = name.filter(|_| found.is_none()) else { continue };
            let unit = running.experiment.unit;
            if running.has(key.bucket(&running.experiment.space(), unit, name)) {
                *found = Some((position, running.variant(key.bucket(&running.variant_space(), unit, name))));
            }
        }
        let reason = match (served, canary) {
            (Some((experiment, variant)), _) => Reason::Experiment(experiment, variant),
            (None, Some(canary)) => {
                let (unit, name) = user.map_or((Unit::Query, &*query), |user| (Unit::User, user));
                let number = key.number(&format!("canary/{}", self.canary_started), unit, name);
                let bucket = (number % u64::from(BUCKETS)) as f64;
                let is_candidate = bucket < canary.share() * f64::from(BUCKETS);
                Reason::Canary(if is_candidate { Arm::Candidate } else { Arm::Control }, number)
            }
            (None, None) => Reason::Baseline,
        };
        (reason, shadow)
    }

    pub(super) fn variant(&self, (experiment, variant): (usize, usize)) -> &Variant {
        &self.experiments[experiment].experiment.variants[variant]
    }
}

fn aborted(canary: &Canary) -> Canary {
    let mut canary = canary.clone();
    canary.abort();
    canary
}

/// A query as it is bucketed.
fn normal(query: &str) -> Cow<'_, str> {
    let query = query.trim();
    if query.chars().any(char::is_uppercase) { query.to_lowercase().into() } else { query.into() }
}
