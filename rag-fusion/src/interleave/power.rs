//! How many impressions a comparison takes.

use crate::interleave::binomial::at_least;
use crate::interleave::error::{InterleaveError, Result};

/// The chance that the exact two-sided sign test at level `alpha` sees a preference in `decided` impressions (those without a
/// tie), each won by one side with probability `preference`: the power of the test, without approximation.
///
/// It does not rise with every impression: the test can reject at whole numbers only.
///
/// # Errors
/// [`InterleaveError::Setting`] for a `preference` or `alpha` that is not between 0 and 1.
pub fn power(preference: f64, decided: u64, alpha: f64) -> Result<f64> {
    probability("preference", preference)?;
    probability("alpha", alpha)?;
    // The least count of wins that the test calls significant.
    let (mut low, mut critical) = (decided / 2, decided + 1);
    while low < critical {
        let middle = low + (critical - low) / 2;
        if 2.0 * at_least(middle, decided, 0.5) <= alpha { critical = middle } else { low = middle + 1 }
    }
    Ok((at_least(critical, decided, preference) + at_least(critical, decided, 1.0 - preference)).min(1.0))
}

/// How many impressions it takes to see a preference with the wanted power. `decided_share` is the share of impressions that
/// one side wins; the others, ties, say nothing (Chapelle, Joachims, Radlinski & Yue 2012 measure how many there are).
///
/// ```
/// // 55 of 100 decided impressions prefer the better ranker, and every second impression is decided.
/// let needed = rag_fusion::interleave::impressions_needed(0.55, 0.05, 0.8, 0.5)?;
/// assert!((1500..1700).contains(&needed));
/// # Ok::<(), rag_fusion::interleave::InterleaveError>(())
/// ```
///
/// # Errors
/// [`InterleaveError::Setting`] for a number that is not between 0 and 1, and a `preference` nearer to .5 than .0001: a
/// difference that nobody needs to see.
pub fn impressions_needed(preference: f64, alpha: f64, wanted_power: f64, decided_share: f64) -> Result<u64> {
    probability("wanted_power", wanted_power)?;
    if !(decided_share > 0.0 && decided_share <= 1.0) {
        let allowed = "give a share above 0 and at most 1";
        return Err(InterleaveError::Setting { name: "decided_share", value: decided_share, allowed });
    }
    // .5001 − .5 is a hair less than .0001.
    if (preference - 0.5).abs() < 0.999e-4 {
        let allowed = "give a share that differs from .5 by at least .0001";
        return Err(InterleaveError::Setting { name: "preference", value: preference, allowed });
    }
    let mut enough = 1;
    while power(preference, enough, alpha)? < wanted_power {
        enough *= 2;
    }
    let mut low = enough / 2;
    while low + 1 < enough {
        let middle = low + (enough - low) / 2;
        if power(preference, middle, alpha)? < wanted_power { low = middle } else { enough = middle }
    }
    Ok((enough as f64 / decided_share).ceil() as u64)
}

pub(super) fn probability(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(InterleaveError::Setting { name, value, allowed: "give a number between 0 and 1" })
}
