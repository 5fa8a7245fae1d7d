//! How a ranking that nobody sees differs from the one that was served.

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::overlap::overlap;

/// How two rankings differ at their top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankingDifference {
    /// Share of the served documents that the other ranking has as well; 1 for two empty ones.
    pub overlap: f64,
    /// Rank-biased overlap at persistence 0.9, extrapolated: `RBO_ext` of Webber, Moffat & Zobel (2010, equation 32 for lists
    /// of one length; a shorter list counts as if it ended there). 1 for equal rankings, 0 for disjoint ones.
    pub rbo: f64,
    /// Whether the first document is another one.
    pub first_differs: bool,
}

impl RankingDifference {
    /// Compares the served ranking with another one, both best first and without repetitions, over as many ranks as the
    /// served one has.
    pub fn between<Id: Eq + Hash>(served: &[Id], other: &[Id]) -> Self {
        let depth = served.len();
        if depth == 0 {
            return RankingDifference { overlap: 1.0, rbo: 1.0, first_differs: false };
        }
        let both = overlap(served, other, depth);
        RankingDifference {
            overlap: both.common as f64 / depth as f64,
            rbo: both.rbo,
            first_differs: served.first() != other.first(),
        }
    }
}

/// How the rankings of a shadow experiment differ on average.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowSummary {
    /// Requests that were compared.
    pub requests: u64,
    /// Mean of [`RankingDifference::overlap`]; 0 without requests.
    pub overlap: f64,
    /// Mean of [`RankingDifference::rbo`].
    pub rbo: f64,
    /// Share of the requests whose first document is another one.
    pub first_differs: f64,
}

impl ShadowSummary {
    /// Counts one more request.
    pub fn add(&mut self, seen: &RankingDifference) {
        self.requests += 1;
        let n = self.requests as f64;
        self.overlap += (seen.overlap - self.overlap) / n;
        self.rbo += (seen.rbo - self.rbo) / n;
        self.first_differs += (f64::from(seen.first_differs) - self.first_differs) / n;
    }
}
