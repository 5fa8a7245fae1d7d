//! Which ranker users prefer.

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::interleave::Impression;
use crate::interleave::binomial::{anytime_p, interval, sign_test};
use crate::interleave::error::{InterleaveError, Result};
use crate::interleave::power::probability;

/// Two rankers against each other. A ranker wins an impression in which more of its documents are clicked; equal numbers,
/// such as none, are a tie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Preference {
    /// 0-based number of the one team.
    pub first: usize,
    /// 0-based number of the other.
    pub second: usize,
    /// Impressions that `first` wins.
    pub wins: u64,
    /// Impressions that `second` wins.
    pub losses: u64,
    /// Impressions that neither wins.
    pub ties: u64,
    /// `(wins + ties / 2) / impressions − .5`: the preference for `first`, Δ of Chapelle, Joachims, Radlinski & Yue 2012.
    pub delta: f64,
    /// `wins / (wins + losses)`; .5 without either. Ties count for the tests and the interval as little as here.
    pub win_share: f64,
    /// Exact interval of `win_share` (Clopper & Pearson 1934): it holds .5 just where `p` is above 1 − confidence.
    pub interval: (f64, f64),
    /// Exact two-sided sign test. It holds for one look at a number of impressions that was fixed before.
    pub p: f64,
    /// `p`, adjusted for all pairs of the comparison (Holm 1979).
    pub adjusted_p: f64,
    /// A p-value that holds at every look, however many there are: a comparison may end when it is small. It is the larger
    /// for that (mixture sequential ratio: Robbins 1970; Johari, Koomen, Pekelis & Walsh 2017).
    pub anytime_p: f64,
    /// `anytime_p`, adjusted for all pairs.
    pub adjusted_anytime_p: f64,
}

/// Rankers against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Comparison {
    /// Names of the teams.
    pub teams: Vec<String>,
    /// Impressions there were.
    pub impressions: u64,
    /// Every pair of teams: (0, 1), (0, 2), …, (1, 2), ….
    pub preferences: Vec<Preference>,
}

/// Sums up the impressions of one experiment, for a `confidence` such as .95.
///
/// The tests take impressions as independent. Those of one user are not: where a few users make many of them, give one
/// impression a user.
///
/// # Errors
/// [`InterleaveError::NoImpressions`], [`InterleaveError::TooFewRankings`], [`InterleaveError::OtherTeams`],
/// [`InterleaveError::UnknownTeam`], [`InterleaveError::UnknownClick`], [`InterleaveError::Setting`].
pub fn compare<'a, D: Eq + Hash + 'a>(
    impressions: impl IntoIterator<Item = &'a Impression<D>>,
    confidence: f64,
) -> Result<Comparison> {
    probability("confidence", confidence)?;
    let mut impressions = impressions.into_iter().peekable();
    let teams = impressions.peek().ok_or(InterleaveError::NoImpressions)?.teams.clone();
    if teams.len() < 2 {
        return Err(InterleaveError::TooFewRankings(teams.len()));
    }
    // For each pair in order: wins of the first, wins of the second, ties.
    let pairs: Vec<(usize, usize)> = (0..teams.len()).flat_map(|a| (a + 1..teams.len()).map(move |b| (a, b))).collect();
    let mut counts = vec![[0u64; 3]; pairs.len()];
    let mut total = 0;
    for impression in impressions {
        if impression.teams != teams {
            return Err(InterleaveError::OtherTeams { id: impression.id.clone() });
        }
        let credit = impression.credit()?;
        for (&(a, b), count) in pairs.iter().zip(&mut counts) {
            let outcome = match credit[a].cmp(&credit[b]) {
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Less => 1,
                std::cmp::Ordering::Equal => 2,
            };
            count[outcome] += 1;
        }
        total += 1;
    }
    let p: Vec<f64> = counts.iter().map(|&[wins, losses, _]| sign_test(wins, losses)).collect();
    let anytime: Vec<f64> = counts.iter().map(|&[wins, losses, _]| anytime_p(wins, losses)).collect();
    let (adjusted, adjusted_anytime) = (holm(&p), holm(&anytime));
    let preference = |at: usize| {
        let [wins, losses, ties] = counts[at];
        let decided = wins + losses;
        Preference {
            first: pairs[at].0,
            second: pairs[at].1,
            wins,
            losses,
            ties,
            delta: (wins as f64 + ties as f64 / 2.0) / total as f64 - 0.5,
            win_share: if decided == 0 { 0.5 } else { wins as f64 / decided as f64 },
            interval: interval(wins, losses, confidence),
            p: p[at],
            adjusted_p: adjusted[at],
            anytime_p: anytime[at],
            adjusted_anytime_p: adjusted_anytime[at],
        }
    };
    let preferences = (0..pairs.len()).map(preference).collect();
    Ok(Comparison { teams, impressions: total, preferences })
}

/// The smallest of `m` p-values times `m`, the next times `m − 1`, and so on, none below the one before and none above 1
/// (Holm 1979).
fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut least) = (vec![0.0; p.len()], 0f64);
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn holm_by_hand() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.5, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
    }
}
