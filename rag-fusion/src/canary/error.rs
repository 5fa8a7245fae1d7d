//! What can be wrong with a plan, an observation or a saved state.

/// What is wrong, by the name of its field.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CanaryError {
    /// A plan that cannot be carried out.
    #[error("`{field}` of the ramp plan is {value}; {wanted}")]
    Plan {
        /// Path of the field.
        field: String,
        /// What it is.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A value that is no share.
    #[error("`{field}` of the observation is {value}; give a number from 0 to 1, or none")]
    Observation {
        /// The field.
        field: &'static str,
        /// The value.
        value: f64,
    },
    /// A saved state that no canary can have.
    #[error("`{field}` of the saved canary {problem}; restore another copy, or start the canary again")]
    State {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Only a paused canary can be resumed.
    #[error("the canary is {0}, so there is nothing to resume; only a paused one waits for that")]
    NotPaused(super::CanaryStatus),
}
