//! Tests that draw from the differences themselves and take no distribution for granted.

use crate::error::{Error, Result};
use crate::random::SplitMix64;
use crate::significance::{differences, mean};

/// Most samples of a test or an interval.
pub const MAX_SAMPLES: usize = 1_000_000;

/// How samples are drawn. Equal settings and input give equal answers, on every machine.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Number of samples, 1 to [`MAX_SAMPLES`]; 10,000 unless told. The smallest `p` is `1 / (samples + 1)`.
    pub samples: usize,
    /// How often the interval shall hold the true mean, above 0 and below 1; 0.95 unless told.
    pub confidence: f64,
    /// Start of the random numbers, any.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Resampling { samples: 10_000, confidence: 0.95, seed: 0 }
    }
}

impl Resampling {
    /// Sets the number of samples.
    #[must_use]
    pub fn with_samples(self, samples: usize) -> Self {
        Resampling { samples, ..self }
    }

    /// Sets how often the interval shall hold the true mean.
    #[must_use]
    pub fn with_confidence(self, confidence: f64) -> Self {
        Resampling { confidence, ..self }
    }

    /// Sets the start of the random numbers.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Resampling { seed, ..self }
    }

    pub(crate) fn check(self) -> Result<()> {
        if !(1..=MAX_SAMPLES).contains(&self.samples) {
            return Err(Error::Setting { name: "samples", value: self.samples as f64, range: "1 to 1,000,000" });
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            let value = self.confidence;
            return Err(Error::Setting { name: "confidence", value, range: "a number above 0 and below 1" });
        }
        Ok(())
    }
}

/// What a paired bootstrap says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Mean of `b − a`.
    pub mean_difference: f64,
    /// Lower end of the confidence interval of the mean difference.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided, above 0 and at most 1.
    pub p: f64,
}

/// The paired bootstrap: queries are drawn with replacement, and the mean difference of each sample is looked at.
///
/// The interval is the percentile one (Efron & Tibshirani 1993, chapter 13; between two samples, linear). `p` is how often
/// the mean of a sample is as far from that of all queries as that is from 0 (the shift method: Noreen 1989; Sakai 2006),
/// the given sample counted in (Davison & Hinkley 1997).
///
/// # Errors
/// [`Error::Lengths`], [`Error::TooFew`], [`Error::Sample`], [`Error::Setting`].
pub fn bootstrap(a: &[f64], b: &[f64], resampling: Resampling) -> Result<Bootstrap> {
    resampling.check()?;
    let differences = differences(a, b)?;
    let mean_difference = mean(&differences);
    let mut random = SplitMix64::new(resampling.seed);
    let count = differences.len();
    let mut draw = || (0..count).filter_map(|_| differences.get(random.below(count))).sum::<f64>() / count as f64;
    let mut means: Vec<f64> = (0..resampling.samples).map(|_| draw()).collect();
    means.sort_unstable_by(f64::total_cmp);
    let slack = slack(&differences);
    let extreme = means.iter().filter(|&&mean| (mean - mean_difference).abs() >= mean_difference.abs() - slack).count();
    let tail = (1.0 - resampling.confidence) / 2.0;
    Ok(Bootstrap {
        mean_difference,
        low: quantile(&means, tail),
        high: quantile(&means, 1.0 - tail),
        p: share(extreme, resampling.samples),
    })
}

/// The two-sided `p` of Fisher's paired randomisation test: how often the mean difference is as far from 0 when the two
/// systems change places at random, query by query (Smucker, Allan & Carterette, CIKM 2007, recommend it).
///
/// With so few queries that all their `2^n` changes are no more than `samples`, each is tried once and `p` is exact;
/// else the given order is counted in, so that `p` is above 0. `confidence` is not looked at.
///
/// # Errors
/// [`Error::Lengths`], [`Error::TooFew`], [`Error::Sample`], [`Error::Setting`].
pub fn randomization_test(a: &[f64], b: &[f64], resampling: Resampling) -> Result<f64> {
    resampling.check()?;
    let differences = differences(a, b)?;
    let count = differences.len();
    let threshold = mean(&differences).abs() - slack(&differences);
    let is_extreme = |swapped: &mut dyn FnMut(usize) -> bool| {
        let signed = differences.iter().enumerate().map(|(at, value)| if swapped(at) { -value } else { *value });
        (signed.sum::<f64>() / count as f64).abs() >= threshold
    };
    let all = u32::try_from(count).ok().and_then(|count| 1usize.checked_shl(count));
    if let Some(all) = all.filter(|&all| all <= resampling.samples) {
        let extreme = (0..all).filter(|swaps| is_extreme(&mut |at| swaps >> at & 1 == 1)).count();
        return Ok(extreme as f64 / all as f64);
    }
    let mut random = SplitMix64::new(resampling.seed);
    let mut draw = || {
        let mut bits = 0;
        is_extreme(&mut |at| {
            bits = if at % 64 == 0 { random.next_u64() } else { bits >> 1 };
            bits & 1 == 1
        })
    };
    let extreme = (0..resampling.samples).filter(|_| draw()).count();
    Ok(share(extreme, resampling.samples))
}

/// By how much sums of the same numbers in another order may differ: ties with what was seen count as such.
fn slack(differences: &[f64]) -> f64 {
    differences.iter().fold(0.0f64, |most, difference| most.max(difference.abs())) * 1e-12
}

fn share(extreme: usize, samples: usize) -> f64 {
    (extreme as f64 + 1.0) / (samples as f64 + 1.0)
}

/// The value below which the `share` of the sorted values lies; between two of them, linear.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() as f64 - 1.0);
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
    let (below, above) = (at(position.floor()), at(position.ceil()));
    below + (above - below) * position.fract()
}
