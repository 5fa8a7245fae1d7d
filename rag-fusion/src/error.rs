//! What can be wrong with the input of a fusion.

/// Result of the calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with the input; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A score that is not a number cannot be ranked.
    #[error(
        "run `{run}` has a score that is not a number at position {position}; drop the hit or repair its retriever"
    )]
    NotANumber {
        /// Name of the run.
        run: String,
        /// 0-based position in the input.
        position: usize,
    },
    /// One id twice in a run would count twice.
    #[error("run `{run}` has the same id twice (position {position}); keep the better hit of the two")]
    Duplicate {
        /// Name of the run.
        run: String,
        /// 0-based position of the second one in the input.
        position: usize,
    },
    /// A ranked run has a better hit behind a worse one.
    #[error("run `{run}` has a better score behind a worse one at position {position}; sort it, best first")]
    Order {
        /// Name of the run.
        run: String,
        /// 0-based position of the better one.
        position: usize,
    },
    /// A weight that means nothing.
    #[error("weight of run `{run}` is {weight}; give a finite number of at least 0")]
    Weight {
        /// Name of the run.
        run: String,
        /// The weight.
        weight: f64,
    },
    /// Every weight is zero: nothing would be ranked.
    #[error("all weights are 0; give at least one run a weight above 0")]
    NoWeight,
    /// A parameter of a method that is out of its range.
    #[error("`{name}` of {method} is {value}; give {allowed}")]
    Parameter {
        /// Name of the method.
        method: &'static str,
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A calibration that no judgments give.
    #[error("the calibration of run {run} is none: give finite numbers, scores ascending, probabilities from 0 to 1")]
    Uncalibrated {
        /// 0-based number of the run.
        run: usize,
    },
    /// A method or a normalisation that was learnt for another number of runs.
    #[error("{what} was learnt for {learnt} runs and is given {given}; give it the runs that it was learnt for")]
    Runs {
        /// The method or the normalisation.
        what: &'static str,
        /// Runs it has parameters for.
        learnt: usize,
        /// Runs there are.
        given: usize,
    },
    /// A name that no method has, or a parameter that a method does not have.
    #[error("{0}")]
    Unknown(String),
    /// Judgments that say nothing about what scores mean.
    #[error("calibration has {0}; give scores of relevant documents and of others")]
    Calibration(&'static str),
    /// Judgments that a method cannot be learnt from.
    #[error("training has {0}")]
    Training(String),
}
