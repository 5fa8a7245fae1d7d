//! What can be done to a gate.

use serde::{Deserialize, Serialize};

use super::experiment::Experiment;
use crate::canary::{Canary, Decision, RampPlan};

/// What can be done to a gate.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Another weight for all who are in no experiment. Not while a canary is under way.
    SetWeight {
        /// From 0 to 1.
        weight: f32,
    },
    /// The weight 0 for everyone, until [`Action::Revive`]; a canary under way is aborted. Nothing refuses it but the
    /// audit.
    Kill,
    /// Weight and experiments as before the [`Action::Kill`]; the canary stays aborted.
    Revive,
    /// Begins an experiment. One that serves, not while a canary is under way.
    StartExperiment(Experiment),
    /// Ends an experiment. One that serves, not while a canary is under way.
    EndExperiment {
        /// Its name.
        name: String,
    },
    /// Begins a canary.
    StartCanary(RampPlan),
    /// Gives a paused canary the samples and the time of its step once more.
    ResumeCanary,
    /// Ends the canary: nobody gets the weight that it tries.
    AbortCanary,
    /// What the canary has decided on what it saw: the step that it goes to, or how it ended. One that is complete leaves
    /// its weight to the gate.
    FollowCanary {
        /// The canary after the decision.
        canary: Box<Canary>,
        /// The decision.
        decision: Decision,
    },
}
