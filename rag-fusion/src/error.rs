//! What can be wrong with the input of a fusion.

/// Result of the calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with the input; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A score that is not a number cannot be ranked.
    #[error("run `{run}` has a score that is not finite at position {position}; drop the hit or repair its retriever")]
    NotFinite {
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
    /// A weight that means nothing.
    #[error("weight of run `{run}` is {weight}; give a finite number of at least 0")]
    Weight {
        /// Name of the run.
        run: String,
        /// The weight.
        weight: f32,
    },
    /// Every weight is zero: nothing would be ranked.
    #[error("all weights are 0; give at least one run a weight above 0")]
    NoWeight,
    /// `k` of RRF that could divide by zero or reverse the order.
    #[error("`k` of rrf is {0}; give a finite number of at least 0")]
    RrfK(f32),
}
