//! The live gate for languages: actions and what holds, as JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rag_core::config::GateConfig;
use rag_core::fusion::{Arm, Decision, Observation, RampPlan, Reading};
use rag_core::gate::{
    Action, Assignment, Change, Experiment, GateRecord, GateState, GateStatus, LiveGate, ShadowSummary,
};
use rag_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Who changes a gate, and why.
#[derive(Debug, Clone, Default)]
pub struct Why {
    /// A person or a program.
    pub author: String,
    /// In a sentence.
    pub reason: String,
    /// Where it is discussed.
    pub issue: Option<String>,
    /// Refuse at another epoch.
    pub expect: Option<u64>,
}

/// The gate of a data folder; `key_file`: see [`GateConfig`].
///
/// # Errors
/// As [`LiveGate::open`].
pub fn open(folder: &Path, key_file: Option<PathBuf>) -> Result<LiveGate> {
    LiveGate::open(folder, &GateConfig { key_file, watch: None })
}

/// Does something to a gate; gives what holds then: [`Told`] in JSON.
///
/// # Errors
/// As [`LiveGate::change`].
pub fn act(gate: &LiveGate, action: Action, why: Why) -> Result<String> {
    let change = Change { issue: why.issue, ..Change::new(why.author, why.reason) };
    json(&Told::of(&gate.change(action, change, why.expect)?.state))
}

/// The action that begins an experiment in JSON.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub fn start_experiment(experiment: &str) -> Result<Action> {
    read::<Experiment>("experiment", experiment).map(Action::StartExperiment)
}

/// The action that begins a canary: its weight, or a plan in JSON.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub fn start_canary(plan: &str) -> Result<Action> {
    let plan = match serde_json::from_str::<f32>(plan) {
        Ok(weight) => RampPlan::new(weight),
        Err(_) => read("plan", plan)?,
    };
    Ok(Action::StartCanary(plan))
}

fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        // Where in the text: the caller gave an object, not the text.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Error::invalid(format!("`{name}`: {message}")).with_source(error)
    })
}

/// What holds: what of a state is of use to people and programs.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    epoch: u64,
    weight: Option<f32>,
    killed: bool,
    experiments: Vec<&'a Experiment>,
    canary: Option<ToldCanary<'a>>,
    changed: Option<&'a Change>,
}

#[derive(Debug, Serialize)]
struct ToldCanary<'a> {
    status: String,
    weight: f32,
    share: f64,
    plan: &'a RampPlan,
}

impl<'a> Told<'a> {
    /// Of a state.
    pub fn of(state: &'a GateState) -> Self {
        let canary = state.canary.as_ref().map(|canary| ToldCanary {
            status: canary.status().to_string(),
            weight: canary.plan().weight,
            share: canary.share(),
            plan: canary.plan(),
        });
        Told {
            epoch: state.epoch,
            weight: state.weight,
            killed: state.killed,
            experiments: state.experiments.iter().map(|running| &running.experiment).collect(),
            canary,
            changed: state.changed.as_ref(),
        }
    }
}

/// What holds, and what was seen of the requests.
#[derive(Debug, Serialize)]
pub struct ToldStatus<'a> {
    #[serde(flatten)]
    state: Told<'a>,
    key: &'a str,
    guardrails: &'a [Reading],
    shadows: &'a BTreeMap<String, ShadowSummary>,
}

impl<'a> ToldStatus<'a> {
    /// Of a status.
    pub fn of(status: &'a GateStatus) -> Self {
        let GateStatus { state, key, canary, shadows } = status;
        ToldStatus { state: Told::of(state), key, guardrails: canary, shadows }
    }
}

/// A change, and what held from then on.
#[derive(Debug, Serialize)]
pub struct ToldRecord<'a> {
    #[serde(flatten)]
    state: Told<'a>,
    action: ToldAction<'a>,
    weight_before: Option<f32>,
    key: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ToldAction<'a> {
    /// Without what the canary saw, which is in the record itself.
    Decision {
        follow_canary: ToldDecision<'a>,
    },
    Other(&'a Action),
}

#[derive(Debug, Serialize)]
struct ToldDecision<'a> {
    decision: &'a Decision,
}

impl<'a> ToldRecord<'a> {
    /// Of a record.
    pub fn of(record: &'a GateRecord) -> Self {
        let action = match &record.action {
            Action::FollowCanary { decision, .. } => ToldAction::Decision { follow_canary: ToldDecision { decision } },
            action => ToldAction::Other(action),
        };
        ToldRecord { state: Told::of(&record.state), action, weight_before: record.weight_before, key: &record.key }
    }
}

/// [`ToldStatus`] in JSON.
///
/// # Errors
/// As [`LiveGate::status`].
pub fn status(gate: &LiveGate) -> Result<String> {
    json(&ToldStatus::of(&gate.status()?))
}

/// All changes, the first one first: a list of [`ToldRecord`] in JSON.
///
/// # Errors
/// As [`LiveGate::records`].
pub fn records(gate: &LiveGate) -> Result<String> {
    json(&gate.records()?.iter().map(ToldRecord::of).collect::<Vec<_>>())
}

/// What holds for a request.
#[derive(Serialize)]
struct ToldAssignment<'a> {
    epoch: u64,
    /// None: that of the ranker.
    weight: Option<f32>,
    reason: &'a str,
    experiment: Option<&'a str>,
    variant: Option<&'a str>,
    token: Option<String>,
}

/// What holds for a request, in JSON: epoch, weight (null: that of the ranker), reason, experiment, variant, token.
///
/// # Errors
/// None in practice.
pub fn assignment(assigned: &Assignment) -> Result<String> {
    json(&ToldAssignment {
        epoch: assigned.epoch(),
        weight: Some(assigned.weight(f32::NAN)).filter(|weight| !weight.is_nan()),
        reason: assigned.reason(),
        experiment: assigned.experiment(),
        variant: assigned.variant(),
        token: assigned.canary().map(|token| token.to_string()),
    })
}

/// Directly to text: by way of a JSON value, 0.4 of 32 bits would become 0.4000000059604645.
fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()).with_source(error))
}

/// Tells the canary what became of a request, but for its arm, which the token has.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub fn observe(gate: &LiveGate, token: &str, seen: &Observation) -> Result<()> {
    gate.observe(self::token(token)?, seen)
}

/// Tells the canary the quality of an answer.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub fn observe_quality(gate: &LiveGate, token: &str, quality: f64) -> Result<()> {
    gate.observe_quality(self::token(token)?, quality)
}

/// A request of which nothing is known but what the caller adds.
pub fn observation() -> Observation {
    Observation::new(Arm::Control)
}

fn token(text: &str) -> Result<rag_core::gate::CanaryToken> {
    text.parse().map_err(|error: rag_core::gate::GateError| Error::invalid(error.to_string()).with_source(error))
}
