//! What can be wrong with rankings, impressions and logs.

/// Result of the calls of this module.
pub type Result<T, E = InterleaveError> = std::result::Result<T, E>;

/// Why nothing was drawn, compared or replayed; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InterleaveError {
    /// One ranking has nothing to be compared with.
    #[error("{0} rankings cannot be compared; give at least 2")]
    TooFewRankings(usize),
    /// One document twice in a ranking.
    #[error("ranking {ranking} has the same document twice (position {position}); keep the better place of the two")]
    Duplicate {
        /// 0-based number of the ranking.
        ranking: usize,
        /// 0-based position of the second one.
        position: usize,
    },
    /// Impressions of different comparisons.
    #[error(
        "impression `{id}` has other teams than the first one; compare the impressions of one experiment at a time"
    )]
    OtherTeams {
        /// The impression.
        id: String,
    },
    /// A team that the impression does not name.
    #[error("impression `{id}`: `shown` names team {team}, `teams` has {teams}; log both as they were drawn")]
    UnknownTeam {
        /// The impression.
        id: String,
        /// 0-based number of the team.
        team: usize,
        /// Teams there are.
        teams: usize,
    },
    /// A click on what was not shown.
    #[error("impression `{id}`: click {click} is on a document that was not shown; drop it or repair the log")]
    UnknownClick {
        /// The impression.
        id: String,
        /// 0-based position in `clicked`.
        click: usize,
    },
    /// A number out of its range.
    #[error("`{name}` is {value}; {allowed}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An empty log.
    #[error("there are no impressions; log some first")]
    NoImpressions,
    /// A ranking that is shorter than what is evaluated.
    #[error(
        "impression `{id}`: {field} has {found} documents and {depth} are evaluated; lower `depth` or leave it out"
    )]
    Depth {
        /// The impression.
        id: String,
        /// `shown` or `ranking`.
        field: &'static str,
        /// Documents there are.
        found: usize,
        /// Documents that are evaluated.
        depth: usize,
    },
    /// A propensity that is none.
    #[error("impression `{id}`: the propensity at position {position} is {value}; log a number from 1e-12 to 1")]
    Propensity {
        /// The impression.
        id: String,
        /// 0-based position in `shown`.
        position: usize,
        /// The number.
        value: f64,
    },
    /// The log says nothing about the ranker.
    #[error(
        "no logged impression agrees with the ranker at position {position}; log more exploration or lower `depth`"
    )]
    NoMatch {
        /// 0-based position.
        position: usize,
    },
}
