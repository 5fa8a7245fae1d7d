//! What can be wrong with a tuning.

use std::error::Error;

use crate::tune::Point;

/// Result of the calls of this module.
pub type Result<T, E = TuneError> = std::result::Result<T, E>;

/// Why nothing was tuned; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// Nothing to choose from.
    #[error("the space has no parameter; name at least one")]
    EmptySpace,
    /// A parameter that has no grid.
    #[error("parameter `{name}`: {reason}")]
    Parameter {
        /// Name of the parameter.
        name: String,
        /// What is wrong, and what is allowed.
        reason: &'static str,
    },
    /// The prior is no point of the space.
    #[error("prior, parameter `{name}`: {reason}")]
    Prior {
        /// Name of the parameter.
        name: String,
        /// What is wrong, and what is allowed.
        reason: &'static str,
    },
    /// An option out of its range.
    #[error("option `{name}` is {value}; {allowed}")]
    Setting {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Fewer judged queries than folds.
    #[error(
        "{queries} judged queries cannot be split into {folds} folds; judge more queries or ask for fewer folds (at least 2)"
    )]
    TooFewQueries {
        /// Queries there are.
        queries: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// A value of the objective that cannot be compared.
    #[error("the objective is {value} for query {query} at {point}; it must give a finite number for every point")]
    NotFinite {
        /// The point.
        point: Box<Point>,
        /// 0-based number of the query.
        query: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A table whose rows do not fit together.
    #[error(
        "{field} of query {query} has {found} values, {expected} are needed; give one row of equal length for each query"
    )]
    Shape {
        /// `values` or `features`.
        field: &'static str,
        /// 0-based number of the query.
        query: usize,
        /// What there is.
        found: usize,
        /// What there should be.
        expected: usize,
    },
    /// A feature or value of a per-query table that is not finite.
    #[error("{field} of query {query} holds {value} at position {position}; give finite numbers")]
    Cell {
        /// `values` or `features`.
        field: &'static str,
        /// 0-based number of the query.
        query: usize,
        /// 0-based position in the row.
        position: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// The learner failed.
    #[error("the model could not be fitted")]
    Model(#[source] Box<dyn Error + Send + Sync>),
    /// The system gave no threads.
    #[error("option `threads`: {0} threads could not be started; ask for fewer")]
    Threads(usize),
    /// The caller stopped it.
    #[error("tuning was stopped before its end; nothing was chosen")]
    Stopped,
}
