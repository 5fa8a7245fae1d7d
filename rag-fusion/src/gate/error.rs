//! What a gate refuses, and why.

use crate::canary::{CanaryError, CanaryStatus};

/// A change that was not made.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A value that is out of its range.
    #[error("`{field}` is {value}; {wanted}")]
    Field {
        /// Path of the field.
        field: String,
        /// What it is.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The state is another one than the caller has seen.
    #[error("the gate is at epoch {found}, not {expected}: somebody else has changed it; look again")]
    Epoch {
        /// What the caller expected.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// What is to be started runs already.
    #[error("experiment {0:?} runs already; end it first, or give another name")]
    Exists(String),
    /// What is to be ended does not run.
    #[error("there is no experiment {name:?}; there {}", none_or(.known))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The experiments of a group share its traffic.
    #[error(
        "group {group:?} has {free:.4} of its traffic free, not {wanted:.4}; end an experiment of it, or ask for less"
    )]
    Full {
        /// The group.
        group: String,
        /// What is free in one piece.
        free: f64,
        /// What was asked for.
        wanted: f64,
    },
    /// The comparison would not be one of the candidate with what was served before.
    #[error("a canary is {0}; end it before {1}, or the comparison is spoilt")]
    CanaryUnderWay(CanaryStatus, &'static str),
    /// There is nothing to end, to resume or to follow.
    #[error("no canary is under way")]
    NoCanary,
    /// What was decided is about another canary than the one under way.
    #[error("the decision is about another canary than the one that is under way")]
    OtherCanary,
    /// The gate is killed.
    #[error("the gate is killed; revive it first")]
    Killed,
    /// The gate is not killed.
    #[error("the gate is not killed, so there is nothing to revive")]
    NotKilled,
    /// Too many experiments.
    #[error("there are {0} experiments; end one first")]
    TooMany(usize),
    /// A key that is too short.
    #[error("the key of the buckets has {bytes} bytes; give at least 16")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// A state that no gate can be in.
    #[error("`{field}` of the recorded gate {problem}; restore another copy of it")]
    State {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The canary refused.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// The audit sink refused the record, and with it the change.
    #[error("the audit refused the change, so nothing has changed: {0}")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn none_or(known: &[String]) -> String {
    if known.is_empty() { "are none".to_owned() } else { format!("are {known:?}").replace(['[', ']'], "") }
}

pub(super) fn check(
    holds: bool,
    field: &str,
    value: &dyn std::fmt::Display,
    wanted: &'static str,
) -> Result<(), GateError> {
    if holds {
        return Ok(());
    }
    Err(GateError::Field { field: field.to_owned(), value: value.to_string(), wanted })
}
